// SPDX-License-Identifier: Apache-2.0
// Oracle: a real Hadoop that answers command lines for record.py. A MiniDFSCluster lives as long as this
// process; FsShell and DFSAdmin run inside it, so that a command costs milliseconds instead of a JVM.
//
// It prints one line "ready <uri> <host:port of the first datanode>", then for each request line
//     <fs|dfsadmin|fsck|world> TAB <user> TAB <base64 stdin> TAB <base64 word> TAB <base64 word> ...
// one answer line
//     <exit code> TAB <base64 stdout> TAB <base64 stderr>
// The first argument is the number of datanodes, the others are settings. What is done to the cluster
// for a case (World.java) comes the same way, as words of the tool "world".
// Needs the jars hadoop-minicluster brings along, and nothing else.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.tools.DFSAdmin;
import org.apache.hadoop.hdfs.tools.DFSck;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.util.ToolRunner;

public class Oracle {
    static String encode(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }

    static byte[] decode(String word) {
        return Base64.getDecoder().decode(word);
    }

    static World world;

    // As DFSck.main does it, but for the end of the process.
    static int fsck(Configuration conf, String[] words) throws Exception {
        boolean asksHelp = words.length == 1 && (words[0].equals("-h") || words[0].equals("-help"));
        if (words.length == 0 || words[0].equals("-files") || asksHelp) {
            java.lang.reflect.Method print = DFSck.class.getDeclaredMethod("printUsage", PrintStream.class);
            print.setAccessible(true);
            print.invoke(null, asksHelp ? System.out : System.err);
            return asksHelp ? 0 : -1;
        }
        return ToolRunner.run(new DFSck(conf), words);
    }

    static int run(Configuration conf, String tool, String[] words) throws Exception {
        switch (tool) {
        case "fs":
            return ToolRunner.run(new FsShell(conf), words);
        case "fsck":
            return fsck(conf, words);
        case "world":
            return world.run(words);
        default:
            return ToolRunner.run(new DFSAdmin(conf), words);
        }
    }

    static String answer(Configuration conf, String[] request) throws Exception {
        PrintStream out = System.out, err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream said = new ByteArrayOutputStream(), complained = new ByteArrayOutputStream();
        String[] words = new String[request.length - 3];
        for (int i = 0; i < words.length; i++)
            words[i] = new String(decode(request[i + 3]), StandardCharsets.UTF_8);
        System.setIn(new ByteArrayInputStream(decode(request[2])));
        System.setOut(new PrintStream(said, true, "UTF-8"));
        System.setErr(new PrintStream(complained, true, "UTF-8"));
        int code;
        try {
            UserGroupInformation user = UserGroupInformation.createRemoteUser(request[1]);
            code = user.doAs((PrivilegedExceptionAction<Integer>) () -> run(new Configuration(conf), request[0], words));
        } catch (Exception e) {
            System.err.println(e);
            code = 255;
        } finally {
            System.out.flush();
            System.err.flush();
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
        }
        return (code & 255) + "\t" + encode(said) + "\t" + encode(complained);
    }

    public static void main(String[] args) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        Configuration conf = new Configuration();
        for (String setting : Arrays.copyOfRange(args, 1, args.length))
            conf.set(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(conf).numDataNodes(Integer.parseInt(args[0])).build();
        cluster.waitActive();
        world = new World(cluster);
        System.out.println("ready " + cluster.getURI() + " localhost:" + cluster.getDataNodes().get(0).getIpcPort());
        for (String line; (line = requests.readLine()) != null;)
            System.out.println(answer(conf, line.split("\t", -1)));
        cluster.shutdown();
        System.exit(0);
    }
}
