// SPDX-License-Identifier: Apache-2.0
// World: what is done to the cluster between two command lines of a case; README tells the verbs. Each
// returns when the namenode knows of it.
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.hdfs.DFSTestUtil;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.protocol.*;
import org.apache.hadoop.hdfs.server.blockmanagement.*;
import org.apache.hadoop.hdfs.server.datanode.DataNode;

class World {
    final MiniDFSCluster cluster;
    final DistributedFileSystem fs;
    final Map<String, FSDataOutputStream> open = new HashMap<>();

    World(MiniDFSCluster cluster) throws Exception {
        this.cluster = cluster;
        fs = cluster.getFileSystem();
    }

    interface Condition {
        boolean holds() throws Exception;
    }

    static void await(Condition condition) throws Exception {
        for (int i = 0; i < 600; i++) {
            if (condition.holds())
                return;
            Thread.sleep(50);
        }
        throw new Exception("waited in vain");
    }

    BlockManager blocks() {
        return cluster.getNamesystem().getBlockManager();
    }

    List<LocatedBlock> located(String path) throws Exception {
        return fs.getClient().getLocatedBlocks(path, 0, Long.MAX_VALUE).getLocatedBlocks();
    }

    // All replicas of the file's first block are found bad.
    void corrupt(String path) throws Exception {
        LocatedBlock block = located(path).get(0);
        fs.getClient().reportBadBlocks(new LocatedBlock[] {block});
        await(() -> located(path).get(0).isCorrupt());
    }

    // All replicas of the file's first block vanish.
    void lose(String path) throws Exception {
        ExtendedBlock block = located(path).get(0).getBlock();
        for (DataNode node : cluster.getDataNodes()) {
            if (node.getFSDataset().contains(block))
                node.getFSDataset().invalidate(block.getBlockPoolId(), new Block[] {block.getLocalBlock()});
        }
        await(() -> {
            cluster.triggerDeletionReports();
            return located(path).get(0).getLocations().length == 0;
        });
    }

    DatanodeDescriptor node(String path) throws Exception {
        DatanodeID id = located(path).get(0).getLocations()[0];
        return blocks().getDatanodeManager().getDatanode(id);
    }

    final List<DatanodeDescriptor> away = new ArrayList<>();

    int run(String[] words) throws Exception {
        String path = words.length > 1 ? words[1] : null;
        DatanodeAdminManager admin = blocks().getDatanodeManager().getDatanodeAdminManager();
        switch (words[0]) {
        case "corrupt":
            corrupt(path);
            break;
        case "lose":
            lose(path);
            break;
        case "open":
            FSDataOutputStream out = fs.create(new Path(path));
            out.write((words[2] + "\n").getBytes(StandardCharsets.UTF_8));
            out.hflush();
            open.put(path, out);
            break;
        case "close":
            open.remove(path).close();
            break;
        case "decommission": { // the node with the file's first block
            DatanodeDescriptor node = node(path);
            away.add(node);
            admin.startDecommission(node);
            await(() -> node.isDecommissioned() || words.length > 2);
            break;
        }
        case "rest": {
            DatanodeDescriptor node = node(path);
            away.add(node);
            admin.startMaintenance(node, Long.MAX_VALUE);
            await(() -> node.isInMaintenance() || words.length > 2);
            break;
        }
        case "return": // all nodes are in service again
            for (DatanodeDescriptor node : away) {
                admin.stopDecommission(node);
                admin.stopMaintenance(node);
            }
            away.clear();
            break;
        default:
            throw new Exception("no such verb: " + words[0]);
        }
        return 0;
    }
}
