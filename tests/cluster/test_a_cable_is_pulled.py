# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""Every node in its own network and mount namespace; one of them is cut off while it is seen to be
needed. Nothing is reset, packets only vanish: what waits must notice by itself. All ends with the right
bytes, and a node that comes back serves again."""
import os
import re
import subprocess
import sys
import time

import pytest

from cluster import BUILD, output_of, verdict, wait_for
from nodes import Nodes, need_nodes

pytestmark = need_nodes()
SLOW = os.path.join(BUILD, "tests", "jobs", "slow.so")
LINES = [b"line %d\n" % (i % 97) for i in range(2400)]


@pytest.fixture(scope="module")
def cluster():
    with Nodes(datanodes=4) as c:
        c.fs("-mkdir", "/in")
        for i in range(4):
            c.fs("-put", "-", f"/in/{i}", input=b"".join(LINES[i * 600:(i + 1) * 600]), on="node%d" % (i + 1))
        yield c


@pytest.fixture(autouse=True)
def whole(cluster):
    yield
    for name in cluster.names:
        cluster.join(name)
    wait_for(lambda: alive(cluster) == 4 and workers(cluster) == 4)


def alive(c):
    """how many datanodes the namenode thinks alive"""
    found = re.search(rb"Live datanodes \((\d+)\)", c.run("admin", "-report", "-live", check=False).stdout)
    return int(found.group(1)) if found else 0


def workers(c):
    return c.run("job", "-workers", check=False).stdout.count(b" live ")


def peers(c, port, where="client"):
    """Nodes that `where` is connected to at this port."""
    found = set()
    for line in open(f"/proc/{c.sleepers[where].pid}/net/tcp").readlines()[1:]:
        remote, state = line.split()[2:4]
        host, at = remote.split(":")
        if int(at, 16) == port and state == "01":
            found.add("node%d" % (int(host[:2], 16) - 10))
    return found


def test_nodes_do_not_see_each_others_files(cluster):
    assert "data.sock" in cluster.on("node1", "ls", cluster.dir, text=True).stdout
    assert "data.sock" not in cluster.on("client", "ls", cluster.dir, text=True).stdout
    assert cluster.on("node1", "ls", cluster.dir + "/node2", check=False).returncode != 0


def hears(c, one, other):
    probe = f"import socket; socket.create_connection(('{c.address(other)}', 9), 0.5)"
    return "refused" in c.on(one, sys.executable, "-c", probe, check=False, text=True).stderr


def test_a_cut_is_a_cut(cluster):
    assert hears(cluster, "node1", "node2")
    cluster.cut("node2")
    assert not hears(cluster, "node1", "node2") and hears(cluster, "node1", "node3")
    cluster.join("node2")
    cluster.cut_between("node1", "node2")
    assert not hears(cluster, "node1", "node2") and not hears(cluster, "node2", "node1") and hears(cluster, "node1", "node3")
    cluster.join_between("node1", "node2")
    assert hears(cluster, "node1", "node2")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_datanode_is_cut_off_while_it_is_written_to(cluster, place):
    data = os.urandom(3_000_000)
    path = f"/written{place}"
    put = cluster.start("fs", "-put", "-d", "-", path, stdin=subprocess.PIPE)
    put.stdin.write(data[:1_500_000])
    put.stdin.flush()
    chain = wait_for(lambda: chain_of(cluster, path))
    cluster.cut(chain[place])
    out, err = put.communicate(data[1_500_000:], timeout=120)
    assert put.returncode == 0, err
    assert cluster.fs("-cat", path).stdout == data


def chain_of(c, path):
    """the pipeline of a file's block being written: all three nodes, the first first"""
    first = list(peers(c, 9866))
    if len(first) != 1:
        return None
    second = list(peers(c, 9866, first[0]) - set(first))
    third = list(peers(c, 9866, second[0]) - {second[0], first[0]}) if len(second) == 1 else []
    return [first[0], second[0], third[0]] if len(third) == 1 else None


def test_a_datanode_is_cut_off_while_it_is_read_from(cluster):
    data = os.urandom(12_000_000)
    cluster.fs("-put", "-", "/read", input=data)
    cat = cluster.start("fs", "-cat", "/read")
    got = os.read(cat.stdout.fileno(), 100_000)
    served = wait_for(lambda: peers(cluster, 9866))
    for name in served:
        cluster.cut(name)
    out, err = cat.communicate(timeout=120)
    assert cat.returncode == 0, err
    assert got + out == data


def slow_job(c, out, *options):
    run = c.run("run", "-detach", "-reduces", "4", "-D", "mapreduce.job.reduce.slowstart.completedmaps=1",
                "-D", "mapreduce.map.speculative=false", "-D", "mapreduce.reduce.speculative=false", *options, SLOW, "/in", out)
    return run.stdout.decode().strip()


def running_on(c, job, kind):
    """nodes that run tasks of this kind now"""
    stage = c.status(job)["stages"][0 if kind == "map" else 1]
    return stage["running"] and stage


def finish(c, job, out):
    wait = c.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 0, wait.stderr.decode()
    want = b"".join(sorted(b"%s\t%d\n" % (line[:-1], LINES.count(line)) for line in set(LINES)))
    assert output_of(c, out) == want


@pytest.mark.parametrize("kind", ["map", "reduce"])
def test_a_worker_is_cut_off_in(cluster, kind):
    out = "/out-" + kind
    job = slow_job(cluster, out, "-D", {"map": "slow.map.us=2000", "reduce": "slow.reduce.us=40000"}[kind])
    wait_for(lambda: running_on(cluster, job, kind))
    cluster.cut("node2")
    finish(cluster, job, out)


def test_the_jobtracker_is_cut_off_from_the_namenode(cluster):
    job = slow_job(cluster, "/out-publish", "-D", "slow.map.us=1000")
    wait_for(lambda: running_on(cluster, job, "map"))
    cluster.cut_between("jobs", "names")
    wait_for(lambda: cluster.status(job)["stages"][1]["done"] == 4)
    time.sleep(0.5)
    assert cluster.fs("-test", "-e", "/out-publish/_SUCCESS", check=False).returncode == 1
    cluster.join_between("jobs", "names")
    finish(cluster, job, "/out-publish")


def test_the_namenode_is_cut_off_for_a_while_and_writers_go_on(cluster):
    run = cluster.model("--errors-ok", "--dir", "/model1", seed=1, seconds=4)
    time.sleep(1)
    cluster.cut("names")
    time.sleep(2)
    cluster.join("names")
    verdict(run, fails=True)


def test_each_node_in_turn_is_cut_off_under_a_client_that_knows_every_byte(cluster):
    run = cluster.model("--dir", "/model2", seed=2, seconds=9)
    for name in ("node1", "node2"):
        time.sleep(1)
        cluster.cut(name)
        time.sleep(2.5)
        cluster.join(name)
    verdict(run)


def test_single_links_are_cut_under_a_client_that_knows_every_byte(cluster):
    """Between the client and one datanode, between two datanodes, between a datanode and the namenode: all others still see both."""
    run = cluster.model("--dir", "/model3", seed=3, seconds=9)
    for pair in (("client", "node1"), ("node1", "node2"), ("node3", "names")):
        time.sleep(0.5)
        cluster.cut_between(*pair)
        time.sleep(2)
        cluster.join_between(*pair)
    verdict(run)
    wait_for(lambda: fsck_says(cluster, "/model3", b"is HEALTHY") and fsck_says(cluster, "/model3", b"Under-replicated blocks:\t0 "))


def test_a_node_declared_dead_comes_back_and_serves(cluster):
    data = os.urandom(2_000_000)
    cluster.fs("-put", "-", "/back", input=data, on="node1")
    cluster.cut("node1")
    wait_for(lambda: alive(cluster) == 3)
    wait_for(lambda: fsck_says(cluster, "/back", b"Under-replicated blocks:\t0 "))
    assert cluster.fs("-cat", "/back").stdout == data
    cluster.join("node1")
    wait_for(lambda: alive(cluster) == 4)
    wait_for(lambda: fsck_says(cluster, "/back", b"Over-replicated blocks:\t0 ") and fsck_says(cluster, "/back", b"Average block replication:\t3.0"))
    for node in cluster.workers:
        assert cluster.fs("-cat", "/back", on=node).stdout == data
    cluster.fs("-put", "-", "/on1", input=data, on="node1")
    assert cluster.address("node1").encode() + b":" in cluster.run("fsck", "/on1", "-files", "-blocks", "-locations").stdout


def fsck_says(c, path, words):
    """fsck of it says so"""
    return words in c.run("fsck", path, check=False).stdout
