# SPDX-License-Identifier: Apache-2.0
"""What replicas cannot mend: all of them are wrong; and what is not broken but slow: a network of a megabit,
a disk that takes a third of a second for a write. It is said, and other files do not suffer."""
import glob
import os
import time

import pytest

from cluster import Cluster, wait_for
from nodes import Nodes, need_nodes

DATA = os.urandom(1_200_000)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        with open(c.dir + "/remote.conf", "w") as f:
            f.write("include = quern.conf\nnode.name = elsewhere\n")
        yield c


def replicas_of(c, path):
    words = c.run("fsck", path, "-files", "-blocks").stdout.decode().split()
    block = "_".join([w.split(":")[-1] for w in words if ":blk_" in w][0].split("_")[:2])
    return glob.glob(f"{c.dir}/data/*/current/finalized/*/*/{block}")


def test_all_replicas_are_wrong(cluster):
    cluster.fs("-put", "-", "/doomed", input=DATA)
    cluster.fs("-put", "-", "/other", input=DATA)
    paths = replicas_of(cluster, "/doomed")
    assert len(paths) == 3
    for path in paths:
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            f.seek(700_000)
            f.write(b"\0\1\2\3")
    for conf in ("quern.conf", "remote.conf"):
        run = cluster.fs("-cat", "/doomed", check=False, env={"QUERN_CONF": f"{cluster.dir}/{conf}"})
        assert run.returncode == 1 and DATA.startswith(run.stdout) and len(run.stdout) < len(DATA)
        assert run.stderr.startswith(b"cat: ") and run.stderr.count(b"\n") == 1, run.stderr
    wait_for(lambda: cluster.run("fsck", "/", check=False).stdout.decode().rstrip().endswith("is CORRUPT"))
    assert b"/doomed: CORRUPT" in cluster.run("fsck", "/", check=False).stdout
    assert cluster.fs("-cat", "/other").stdout == DATA
    assert any(os.path.exists(path) for path in paths), "the last one, that may be saved by hand, was removed"
    cluster.fs("-rm", "/doomed")
    wait_for(lambda: cluster.run("fsck", "/", check=False).stdout.decode().rstrip().endswith("is HEALTHY"))


def test_a_disk_that_is_slow(cluster):
    cluster.run("console", "datanode2", "faults", "disk.write=1+:delay300,disk.fsync=1+:delay300")
    before = time.monotonic()
    cluster.fs("-put", "-", "/slow-disk", input=DATA)
    assert time.monotonic() - before < 30
    assert cluster.fs("-cat", "/slow-disk").stdout == DATA
    cluster.run("console", "datanode2", "faults", "off")


@need_nodes()
def test_a_network_that_is_slow():
    """One of three has a megabit; its time-outs are shorter than a block takes there, and it is not dead for that."""
    with Nodes(datanodes=3) as c:
        c.sh("node2", "tc qdisc add dev eth0 root tbf rate 4mbit burst 16k latency 500ms")
        data = DATA[:600_000]
        c.run("fs", "-put", "-", "/slow", input=data)
        for on in ("client", "node1", "node2"):
            assert c.run("fs", "-cat", "/slow", on=on).stdout == data
        wait_for(lambda: b"Live_repl=3" in c.run("fsck", "/slow", "-files", "-blocks").stdout)
