# SPDX-License-Identifier: Apache-2.0
"""Nodes whose disk is a small filesystem that fills up while it is used: a datanode's, the namenode's, a
worker's. Nothing acknowledged is lost, what cannot be done is said, and once there is room all goes on."""
import os
import random
import subprocess
import time

import pytest

from cluster import BUILD, QUERN, count_words, output_of, verdict, wait_for
from nodes import Nodes, need_nodes

pytestmark = need_nodes()
MB = 1 << 20


def put(c, path, data, *options, **kw):
    return c.fs(*options, "-put", "-", path, input=data, check=False, **kw)


def words(run):
    return run.stderr.decode()


def fill(c, node, leave=0):
    """A file that takes all room that is left on the node's disk, but so many bytes."""
    free = int(c.on(node, "sh", "-c", f"df -B1 --output=avail {c.dir}/ | tail -n 1").stdout)
    if free > leave:
        c.on(node, "sh", "-c", f"head -c {free - leave} /dev/zero > {c.dir}/ballast || true")


def test_a_full_datanode_is_passed_over_and_nothing_is_lost():
    """One of three is small: blocks go to the others, a block caught by the full disk is finished by them."""
    with Nodes(datanodes=3, tmpfs={"node1": "24m"}, replication=2, conf="dfs.blocksize = 8m\n") as c:
        kept = {}
        for i in range(10):
            data = random.Random(i).randbytes(6 * MB)
            run = put(c, f"/f{i}", data, on="node1")  # it writes to itself first
            assert run.returncode == 0, words(run)
            kept[f"/f{i}"] = data
        fill(c, "node1")
        run = c.model("--dir", "/model", seed=5, seconds=4)  # appends, cuts and joins, too
        time.sleep(2)
        c.on("node1", "rm", c.dir + "/ballast")
        verdict(run)
        for path, data in kept.items():
            assert c.fs("-cat", path).stdout == data
        wait_for(lambda: b"is HEALTHY" in c.run("fsck", "/", check=False).stdout)
        assert c.pid("datanode1")


def test_a_cluster_without_room_says_so_and_serves_again_when_there_is_some():
    with Nodes(datanodes=1, tmpfs={"node1": "24m"}, conf="dfs.blocksize = 4m\n") as c:
        kept, refused = {}, None
        for i in range(12):
            data = random.Random(i).randbytes(3 * MB)
            run = put(c, f"/f{i}", data)
            if run.returncode != 0:
                refused = words(run)
                break
            kept[f"/f{i}"] = data
        assert len(kept) >= 4 and refused, "it never got full"
        assert refused.startswith(f"put: ") and refused.count("\n") == 1, refused
        assert "could only be written to 0 of the 1 minReplication nodes" in refused or "No space left" in refused, refused
        for path, data in kept.items():
            assert c.fs("-cat", path).stdout == data
        c.fs("-rm", "-skipTrash", "/f0", "/f1", "/f2")
        for path in ("/f0", "/f1", "/f2"):
            kept.pop(path)
        wait_for(lambda: put(c, "/again", b"room\n" * 1000).returncode == 0)
        kept["/again"] = b"room\n" * 1000
        c.kill("datanode1")
        c.start_daemon("datanode1")
        for path, data in kept.items():
            wait_for(lambda: c.fs("-cat", path, check=False).stdout == data)


def test_a_datanodes_disk_that_others_fill_while_it_writes():
    """No room is left under a write that has begun: it fails in one line or ends elsewhere, no torn file is closed."""
    with Nodes(datanodes=1, tmpfs={"node1": "48m"}, conf="dfs.blocksize = 16m\n") as c:
        data = random.Random(1).randbytes(9 * MB)
        assert put(c, "/before", data).returncode == 0
        run = c.start("fs", "-put", "-", "/caught", stdin=subprocess.PIPE)
        run.stdin.write(data[:3 * MB])
        run.stdin.flush()
        fill(c, "node1")
        out, err = run.communicate(data[3 * MB:], timeout=120)
        assert run.returncode == 1 and err.decode().startswith("put: "), err
        assert c.fs("-cat", "/before").stdout == data
        c.on("node1", "rm", c.dir + "/ballast")
        wait_for(lambda: put(c, "/after", data).returncode == 0)
        assert c.fs("-cat", "/after").stdout == data


def test_the_namenodes_disk_is_full_and_nothing_told_is_lost():
    with Nodes(datanodes=1, tmpfs={"names": "80m"}) as c:
        told = []
        for i in range(5):
            c.fs("-mkdir", f"/d{i}")
            told.append(f"/d{i}")
        fill(c, "names")
        refused = None
        directory = "x" * 200
        for i in range(400):
            batch = [f"/b{i}-{k}-{directory}" for k in range(200)]
            run = subprocess.Popen(c.into("client") + [os.path.join(BUILD, "quern"), "fs", "-mkdir", *batch], env=c.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                _, err = run.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                run.kill()
                run.communicate()
                err = b"no answer"
            if run.returncode != 0:
                refused = err.decode()
                break
            told += batch
        assert refused, "it never got full"
        assert "safe mode" in refused or c.pid("namenode") is None, refused
        c.on("names", "rm", c.dir + "/ballast")
        if c.pid("namenode"):
            c.kill("namenode")
        c.start_daemon("namenode")
        wait_for(lambda: b"OFF" in c.run("admin", "-safemode", "get", check=False).stdout)
        listed = set(c.fs("-ls", "-C", "/").stdout.decode().split())
        assert set(told) <= listed, sorted(set(told) - listed)[:3]
        c.fs("-mkdir", "/after")


def test_a_worker_whose_local_directory_is_full_does_not_fail_the_job():
    """Its attempts fail for want of room, and run elsewhere."""
    rnd = random.Random(5)
    texts = [b"".join(b"%x %x\n" % (rnd.getrandbits(40), i % 100) for i in range(20000)) for _ in range(3)]
    with Nodes(datanodes=2, tmpfs={"node1": "64m"}, replication=1) as c:
        c.fs("-mkdir", "/in")
        for i, t in enumerate(texts):
            c.fs("-put", "-", f"/in/{i}", input=t, on="node2")
        fill(c, "node1")
        run = c.run("run", "-reduces", "2", "wordcount", "/in", "/out", check=False)
        assert run.returncode == 0, words(run)
        want = count_words(texts)
        assert output_of(c, "/out") == b"".join(sorted(want.splitlines(keepends=True)))
        assert c.pid("worker1")
        c.on("node1", "rm", c.dir + "/ballast")
        assert c.run("run", "-reduces", "2", "wordcount", "/in", "/out2", check=False).returncode == 0


def test_a_cluster_on_a_disk_with_too_little_room_is_not_waited_for(tmp_path):
    """The namenode keeps room for its journal: on a smaller disk it stays in safe mode, and `quern up` says why, at once."""
    script = f"mount -t tmpfs -o size=120m none {tmp_path} && exec {QUERN} up --detach --dir {tmp_path} --datanodes 1 --workers 1"
    began = time.monotonic()
    run = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert run.stderr == ("quern up: does not serve: the namenode is in safe mode: Resources are low on NN: there is little room left for "
                          "the journal. Please add or free up space. Use \"quern admin -safemode leave\" to turn safe mode off.\n")
    assert time.monotonic() - began < 50
