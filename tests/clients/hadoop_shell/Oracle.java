// SPDX-License-Identifier: Apache-2.0
// Oracle: a real Hadoop that answers command lines for record.py. A MiniDFSCluster lives as long as this
// process; FsShell and DFSAdmin run inside it, so that a command costs milliseconds instead of a JVM.
//
// It prints one line "ready <uri>", then for each request line
//     <fs|dfsadmin|id> TAB <user> TAB <base64 stdin> TAB <base64 word> TAB <base64 word> ...
// one answer line
//     <exit code> TAB <base64 stdout> TAB <base64 stderr>
// Needs the jars hadoop-minicluster brings along, and nothing else.
import java.io.*;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import java.util.*;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.tools.DFSAdmin;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.util.Tool;
import org.apache.hadoop.util.ToolRunner;

public class Oracle {
    static String encode(ByteArrayOutputStream bytes) {
        return Base64.getEncoder().encodeToString(bytes.toByteArray());
    }

    static byte[] decode(String word) {
        return Base64.getDecoder().decode(word);
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
            code = user.doAs((PrivilegedExceptionAction<Integer>) () -> {
                Configuration own = new Configuration(conf);
                Tool tool = request[0].equals("fs") ? new FsShell(own) : new DFSAdmin(own);
                return ToolRunner.run(tool, words);
            });
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
        for (String setting : args)
            conf.set(setting.substring(0, setting.indexOf('=')), setting.substring(setting.indexOf('=') + 1));
        MiniDFSCluster cluster = new MiniDFSCluster.Builder(conf).numDataNodes(1).build();
        cluster.waitActive();
        System.out.println("ready " + cluster.getURI());
        for (String line; (line = requests.readLine()) != null;)
            System.out.println(answer(conf, line.split("\t", -1)));
        cluster.shutdown();
        System.exit(0);
    }
}
