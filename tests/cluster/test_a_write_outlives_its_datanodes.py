# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""Each datanode of a pipeline in turn is killed or hangs, at set-up, in mid-stream, at the last packet,
at the close: the writer goes on with the others and notices nothing but the time. All nodes of the
pipeline are tried, so every place in it is."""
import os
import random
import signal
import subprocess
import time

import pytest

from cluster import QUERN, Cluster, ToldWriter, wait_for

NODES = ["datanode1", "datanode2", "datanode3"]
DATA = os.urandom(1_500_000)
PACKETS = 12  # of a small file that is flushed again and again; the last one ends it
SEED = os.environ.get("QUERN_SEED") or random.randrange(10**6)
POINTS = {"set-up": "dn.write.begin=1", "mid-stream": "dn.write.packet=3", "last packet": "dn.finalize.synced=1",
          "close": "dn.finalize.done=1"}


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=3, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.client.socket-timeout = 10s\ndfs.namenode.redundancy.settle = 0s\ndfs.heartbeat.interval = 1s\n")
    with open(os.path.join(c.dir, "remote.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")
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
    for node in NODES:
        wait_for(lambda: cluster.run("console", node, "faults", "off", check=False).returncode == 0)


def arm(cluster, nodes, point, action):
    for node in nodes:
        cluster.run("console", node, "faults", f"{point}:{action}")


def put(cluster, env=None):
    name = f"/file{next(cluster.names)}"
    return name, cluster.fs("-put", "-", name, input=DATA, check=False, env=env)


def written(cluster, env=None):
    name, run = put(cluster, env)
    assert run.returncode == 0, run.stderr.decode()
    assert cluster.fs("-cat", name).stdout == DATA
    return name


@pytest.mark.parametrize("node", NODES)
@pytest.mark.parametrize("when", POINTS)
def test_one_is_killed_at(cluster, when, node):
    arm(cluster, [node], POINTS[when], "kill")
    written(cluster)
    wait_for(lambda: not cluster.pid(node))


@pytest.mark.parametrize("when,node", [("set-up", "datanode2"), ("set-up", "datanode3"), ("mid-stream", "datanode1"),
                                       ("mid-stream", "datanode2"), ("close", "datanode3")])
def test_one_hangs_at(cluster, when, node):
    arm(cluster, [node], POINTS[when], "stop")
    name = written(cluster)
    # it alone was left out: the two healthy ones have the file's only block
    wait_for(lambda: b"Live_repl=2" in cluster.run("fsck", name, "-files", "-blocks", "-locations").stdout)


def test_one_whose_disk_fails_ends_and_says_so(cluster):
    arm(cluster, ["datanode2"], "disk.fsync=1+", "eio")
    written(cluster)
    wait_for(lambda: not cluster.pid("datanode2"))
    log = open(os.path.join(cluster.dir, "log", "datanode2.log")).read()
    assert "has failed: 1 of 1 data directories are lost" in log, log[-2000:]


def test_a_writer_elsewhere_loses_its_first_node(cluster):
    arm(cluster, ["datanode1"], POINTS["mid-stream"], "kill")
    written(cluster, env={"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")})


def test_two_of_three_die_and_the_close_waits_until_one_is_back(cluster):
    arm(cluster, ["datanode2", "datanode3"], POINTS["mid-stream"], "kill")
    name = f"/file{next(cluster.names)}"
    path = os.path.join(cluster.dir, "two")
    with open(path, "wb") as f:
        f.write(DATA)
    run = cluster.start("fs", "-put", path, name)
    wait_for(lambda: not cluster.pid("datanode2") and not cluster.pid("datanode3"))
    time.sleep(0.5)
    assert run.poll() is None, "closed with one replica"
    cluster.up()
    assert run.wait(timeout=120) == 0, run.stderr.read().decode()
    assert cluster.fs("-cat", name).stdout == DATA


@pytest.mark.parametrize("point", [f"dn.write.packet={n}" for n in range(1, PACKETS + 1)] +
                         ["dn.write.sync=1", "dn.write.sync=3", "dn.finalize.synced=1", "dn.finalize.done=1"])
def test_two_of_three_die(cluster, point):
    """At each packet of a block, each sync, and when it is closed: whichever two they are, all that was acknowledged can
    be read from the third one at once, and the close ends when somebody is back to take a copy."""
    pair = random.Random(f"{SEED} {point}").sample(NODES, 2)
    print(f"QUERN_SEED={SEED}: {pair} die at {point}")
    name = f"/file{next(cluster.names)}"
    arm(cluster, pair, point, "kill")
    writer = ToldWriter(cluster, name)
    for n in range(1, PACKETS):
        writer.tell("write 5000", "hsync" if n % 2 else "hflush")
        if not any(cluster.pid(node) for node in pair):
            assert cluster.fs("-cat", name).stdout == ToldWriter.bytes(writer.length)
    writer.say("close")
    wait_for(lambda: not any(cluster.pid(node) for node in pair))
    cluster.up()
    writer.hear()
    assert cluster.fs("-cat", name).stdout == ToldWriter.bytes(writer.length) and writer.length == 5000 * (PACKETS - 1)


@pytest.mark.parametrize("action", ["kill", "stop"])
def test_when_all_are_gone_the_writer_says_so_and_pretends_nothing(cluster, action):
    arm(cluster, NODES, POINTS["mid-stream"], action)
    name, run = put(cluster)
    assert run.returncode == 1
    said = run.stderr.decode()
    assert said.count("\n") == 1 and all(node in said for node in ("node1", "node2", "node3")), said
    assert cluster.fs("-test", "-e", name, check=False).returncode == 1


@pytest.mark.parametrize("conf", ["quern.conf", "remote.conf"])
def test_a_reader_leaves_a_hung_node(cluster, conf):
    name = written(cluster)
    wait_for(lambda: b"Live_repl=3" in cluster.run("fsck", name, "-files", "-blocks", "-locations").stdout)
    for node in NODES[:2]:
        cluster.kill(node, signal.SIGSTOP)
    begun = time.monotonic()
    assert cluster.fs("-cat", name, env={"QUERN_CONF": os.path.join(cluster.dir, conf)}).stdout == DATA
    assert time.monotonic() - begun < 55


def test_in_the_end_every_block_is_where_it_should_be(cluster):
    """three replicas each, nothing left behind in rbw"""
    def is_healthy():
        report = cluster.run("fsck", "/", check=False).stdout.decode()
        return report.rstrip().endswith("is HEALTHY") and under_replicated(report) == 0
    wait_for(is_healthy)


def under_replicated(report):
    line = [l for l in report.splitlines() if "Under-replicated blocks" in l][0]
    return int(line.split(":")[1].split()[0])
