# SPDX-License-Identifier: Apache-2.0
"""A cluster that never had a second datanode closes files that want more replicas with one. From the day
it has had two it wants two, also when the namenode is new and the second one is not back yet."""
import os
import signal
import subprocess
import time

import pytest

from cluster import Cluster, wait_for

DATA = os.urandom(300_000)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


def put(cluster, path):
    begun = time.monotonic()
    cluster.run("fs", "-D", "dfs.replication=3", "-put", "-", path, input=DATA)
    assert time.monotonic() - begun < 50, "the close waited for what cannot be"
    assert cluster.fs("-cat", path).stdout == DATA


def finalized(cluster, node):
    """How many blocks it has."""
    top = os.path.join(cluster.dir, "data", str(node), "current", "finalized")
    return sum(name.startswith("blk_") and not name.endswith(".meta") for _, _, names in os.walk(top) for name in names)


def test_a_write_waits_for_the_datanode_that_was_there_before_the_namenodes_start(cluster):
    """Without a single block there is no safe mode to wait in."""
    cluster.kill("datanode1", signal.SIGSTOP)
    cluster.kill("namenode")
    again = cluster.start("up", "--detach", "--dir", cluster.dir, *cluster.args)
    try:
        wait_for(lambda: b"OFF" in cluster.run("admin", "-safemode", "get", check=False).stdout)
        assert b"Live datanodes" not in cluster.run("admin", "-report").stdout
        run = cluster.start("fs", "-D", "dfs.replication=3", "-put", os.path.join(cluster.dir, "quern.conf"), "/early")
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(1)
    finally:
        cluster.kill("datanode1", signal.SIGCONT)
    assert run.wait(120) == 0, run.stderr.read()
    assert again.wait(120) == 0, again.stderr.read()


def test_one_replica_is_enough_where_one_is_all_there_can_be(cluster):
    put(cluster, "/first")
    cluster.fs("-appendToFile", "-", "/first", input=DATA)
    assert cluster.fs("-cat", "/first").stdout == DATA + DATA
    cluster.kill("namenode")
    cluster.up()
    put(cluster, "/again")
    assert b"node1" in cluster.run("fsck", "/again", "-files", "-blocks", "-locations", check=False).stdout


def test_with_an_image_it_is_still_the_only_one(cluster):
    cluster.save_namespace()
    cluster.kill("namenode")
    cluster.up()
    put(cluster, "/third")


def test_once_there_were_two_a_close_waits_for_the_second(cluster):
    cluster.args = ["--datanodes", "2", "--workers", "1"]
    cluster.up()
    put(cluster, "/two")
    cluster.save_namespace()  # the image knows it, and no record of the journal
    cluster.kill("datanode2", signal.SIGSTOP)
    cluster.kill("namenode")
    again = cluster.start("up", "--detach", "--dir", cluster.dir, *cluster.args)
    wait_for(lambda: b"OFF" in cluster.run("admin", "-safemode", "get", check=False).stdout)
    assert b"Live datanodes (1)" in cluster.run("admin", "-report").stdout
    before = finalized(cluster, 1)
    path = os.path.join(cluster.dir, "bytes")
    with open(path, "wb") as f:
        f.write(DATA)
    run = cluster.start("fs", "-D", "dfs.replication=3", "-put", path, "/waits")
    wait_for(lambda: finalized(cluster, 1) > before)
    time.sleep(1)
    assert run.poll() is None, "closed with one replica"
    cluster.kill("datanode2", signal.SIGCONT)
    assert run.wait(90) == 0, run.stderr.read()
    assert again.wait(120) == 0, again.stderr.read()
    assert cluster.fs("-cat", "/waits").stdout == DATA
