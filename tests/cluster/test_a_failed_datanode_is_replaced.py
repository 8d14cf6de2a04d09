# SPDX-License-Identifier: Apache-2.0
"""A file is written call by call. When datanodes of its pipeline fail, others take their places: what was
flushed is always in as many memories as there are replicas, what was synced on as many disks."""
import glob
import os
import re
import signal

import pytest

from cluster import Cluster, ToldWriter, wait_for

NODES = [f"datanode{n}" for n in range(1, 6)]


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=5, workers=1, replication=3)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.client.socket-timeout = 6s\ndfs.namenode.redundancy.settle = 0s\ndfs.heartbeat.interval = 1s\n")
    with c:
        c.names = iter(range(10**6))
        yield c


@pytest.fixture(autouse=True)
def all_well_again(cluster):
    yield
    for node in NODES:
        if cluster.pid(node):
            cluster.kill(node, signal.SIGCONT)
    cluster.up()
    wait_for(lambda: nothing_is_left(cluster))


def nothing_is_left(cluster):
    """no replica is left in rbw or tmp: all files have the same bytes, so it would be taken for one of the next file"""
    return not files(cluster, "rbw") + files(cluster, "tmp")


def files(cluster, where, number="*"):
    return glob.glob(os.path.join(cluster.dir, "data", number, "current", where, "blk_*"))


def replicas(cluster, length):
    """Of the block that is being written: the living datanodes that hold the file's first `length` bytes."""
    want, found = ToldWriter.bytes(length), []
    for node in NODES:
        for path in files(cluster, "rbw", node[len("datanode"):]):
            if not path.endswith(".meta") and cluster.pid(node) and open(path, "rb").read(length) == want:
                found.append(node)
    return sorted(set(found))


def chain(cluster, path):
    """The datanodes the block at the end of an open file is written to, in their order."""
    told = cluster.run("fsck", path, "-files", "-blocks", "-locations", "-openforwrite", check=False).stdout.decode()
    ports = re.findall(r"DatanodeInfoWithStorage\[[^,]*:(\d+),", told)
    of = {}
    for node in NODES:
        with open(os.path.join(cluster.dir, "conf", node + ".conf")) as f:
            of[re.search(r"dfs.datanode.address = .*:(\d+)", f.read())[1]] = node
    return [of[port] for port in ports]


def test_a_block_that_was_flushed_keeps_its_three_replicas(cluster):
    writer = ToldWriter(cluster, "/flushed")
    writer.tell("write 100001", "hflush")
    first = replicas(cluster, 100001)
    assert len(first) == 3
    cluster.kill(first[0])
    writer.tell("write 200", "hflush")
    second = replicas(cluster, 100201)
    assert len(second) == 3 and first[0] not in second, second
    cluster.kill([n for n in first if n in second][0])
    writer.tell("write 300000", "hsync")
    third = replicas(cluster, 400201)
    assert len(third) == 3, third
    assert cluster.fs("-cat", "/flushed").stdout == ToldWriter.bytes(400201)
    writer.tell("write 5")
    writer.close()
    assert cluster.fs("-cat", "/flushed").stdout == ToldWriter.bytes(400206)
    wait_for(lambda: b"Live_repl=3" in cluster.run("fsck", "/flushed", "-files", "-blocks", "-locations").stdout)


def test_one_that_hangs_is_replaced_too(cluster):
    writer = ToldWriter(cluster, "/hung")
    writer.tell("write 5000", "hflush")
    first = replicas(cluster, 5000)
    cluster.kill(first[1], signal.SIGSTOP)
    writer.tell("write 5000", "hflush")
    now = [n for n in replicas(cluster, 10000) if n != first[1]]
    assert len(now) == 3, now
    writer.close()
    assert cluster.fs("-cat", "/hung").stdout == ToldWriter.bytes(10000)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_sender_with_bad_memory_takes_no_healthy_receiver_with_it(cluster, place):
    """It damages what it sends on, behind its own check: its own replica is as bad as that, so somebody else
    takes its place. (Whoever is the last sends nothing: that its replica is bad shows when it is read.)"""
    with open(os.path.join(cluster.dir, "remote.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")  # no shared memory with the first of the chain
    writer = ToldWriter(cluster, f"/sender{place}", env={"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")})
    writer.tell("write 100000", "hflush")
    first = chain(cluster, f"/sender{place}")
    assert sorted(first) == replicas(cluster, 100000)
    cluster.run("console", first[place], "faults", "dn.write.forward=1+:corrupt")
    try:
        writer.tell("write 20000", "hflush", "write 300000", "hsync")
        now = replicas(cluster, writer.length)
    finally:
        cluster.run("console", first[place], "faults", "off")
        writer.close() # what it leaves open would be taken for the next one's
    assert set(first) - {first[place]} <= set(now), (first, now)
    assert place == 2 or len(now) == 3 and first[place] not in now, (first, now)
    assert cluster.fs("-cat", f"/sender{place}").stdout == ToldWriter.bytes(writer.length)


def test_a_newcomer_that_dies_while_it_gets_its_bytes_is_not_the_last(cluster):
    writer = ToldWriter(cluster, "/newcomer")
    writer.tell("write 70000", "hflush")
    first = replicas(cluster, 70000)
    for node in NODES:
        if node not in first:
            cluster.run("console", node, "faults", "dn.write.packet=1:kill")
            break
    cluster.kill(first[2])
    writer.tell("write 10", "hflush")
    assert len(replicas(cluster, 70010)) == 3 or not cluster.pid(node)
    cluster.run("console", node, "faults", "off", check=False) # one that was not asked is not to die later
    writer.close()
    assert cluster.fs("-cat", "/newcomer").stdout == ToldWriter.bytes(70010)


def test_when_there_is_nobody_else_the_writer_goes_on(cluster):
    writer = ToldWriter(cluster, "/nobody")
    writer.tell("write 70000", "hflush")
    first = replicas(cluster, 70000)
    for node in NODES:
        if node not in first and cluster.pid(node):
            cluster.kill(node)
    cluster.kill(first[0])
    writer.tell("write 10", "hflush")
    assert replicas(cluster, 70010) == first[1:]
    writer.close()
    assert cluster.fs("-cat", "/nobody").stdout == ToldWriter.bytes(70010)


def test_in_the_end_nothing_is_left_over(cluster):
    def is_clean():
        """fsck is content, and no replica is left in rbw or tmp"""
        healthy = cluster.run("fsck", "/", check=False).stdout.decode().rstrip().endswith("is HEALTHY")
        return healthy and nothing_is_left(cluster)
    cluster.up()
    wait_for(is_clean)
