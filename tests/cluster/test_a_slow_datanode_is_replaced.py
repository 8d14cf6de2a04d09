# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""One datanode of a pipeline is slow: a disk that takes 300 ms per write, a network of a megabit. It is taken
out and another takes its place, and the write takes about as long as without it. When all are slow, nobody is.
A reader leaves one that says nothing when it is told to hedge."""
import os
import signal
import time

import pytest

from cluster import Cluster, ToldWriter, wait_for
from nodes import Nodes, need_nodes

NODES = [f"datanode{n}" for n in range(1, 5)]
WINDOW = "dfs.client.slow.datanode.window = 600ms\n"


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=4, workers=1, replication=3)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write(WINDOW + "dfs.namenode.redundancy.settle = 0s\ndfs.heartbeat.interval = 1s\n")
    with open(os.path.join(c.dir, "remote.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")
    with c:
        yield c


@pytest.fixture(autouse=True)
def all_fast_again(request):
    yield
    if "cluster" in request.fixturenames:
        for node in NODES:
            request.getfixturevalue("cluster").run("console", node, "faults", "off")


HEDGED = ("-D", "dfs.client.hedged.read.threadpool.size=4", "-D", "dfs.client.hedged.read.threshold.millis=200")


@pytest.mark.parametrize("how", ["stopped", "slow"])
def test_a_reader_asks_another_when_one_is_silent(cluster, how):
    """Whoever is asked first: each in turn is stopped, or waits twenty seconds before each answer. The time-out is a minute."""
    path, data = f"/hedged-{how}", os.urandom(6 << 20)
    elsewhere = {"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")}
    cluster.run("fs", "-D", "dfs.replication=2", "-D", "dfs.blocksize=1m", "-put", "-", path, input=data)
    for node in NODES:
        if how == "stopped":
            cluster.kill(node, signal.SIGSTOP)
        else:
            cluster.run("console", node, "faults", "dn.read.packet=1+:delay20000")
        before = time.monotonic()
        try:
            assert cluster.run("fs", *HEDGED, "-cat", path, env=elsewhere).stdout == data
            assert cluster.run("fs", *HEDGED, "-tail", path, env=elsewhere).stdout == data[-1024:]
        finally:
            if how == "stopped":
                cluster.kill(node, signal.SIGCONT)
            else:
                cluster.run("console", node, "faults", "off")
        assert time.monotonic() - before < 18, f"{node} was waited for"


def holders(cluster):
    """The datanodes that have a replica that is being written."""
    return [n for n in NODES if os.listdir(os.path.join(cluster.dir, "data", n[len("datanode"):], "current", "rbw"))]


def write_slowly(writer, until, times=40):
    """Pieces that everybody has in memory when the next one is written."""
    for _ in range(times):
        writer.tell("write 20000", "hflush")
        if until():
            return
    raise AssertionError("the slow datanode was not replaced")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_slow_disk_is_left(cluster, place):
    path = f"/disk{place}"
    writer = ToldWriter(cluster, path, env={"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")})
    writer.tell("write 100000", "hflush")
    first = holders(cluster)
    spare = [n for n in NODES if n not in first][0]
    cluster.run("console", first[place], "faults", "dn.write.disk=1+:delay300")
    write_slowly(writer, lambda: spare in holders(cluster))
    before = time.monotonic()
    for _ in range(20):
        writer.tell("write 20000", "hflush")
    assert time.monotonic() - before < 6, "it is in the pipeline still"
    cluster.run("console", first[place], "faults", "off")
    writer.close()
    assert cluster.fs("-cat", path).stdout == ToldWriter.bytes(writer.length)
    wait_for(lambda: holders(cluster) == [])


def seconds(writer, *calls, times=1):
    """What they take."""
    begun = time.monotonic()
    for _ in range(times):
        writer.tell(*calls)
    return time.monotonic() - begun


def test_a_write_with_one_slow_disk_takes_less_than_three_times_as_long(cluster):
    """Measured on this machine, now; fifteen times as long if the slow one stayed. The others take 20 ms a step, so that
    what the replacement itself costs is a part of it."""
    elsewhere, took = {"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")}, {}
    for how in ("healthy", "slow"):
        writer = ToldWriter(cluster, f"/{how}", env=elsewhere)
        writer.tell("write 100000", "hflush")
        for node in NODES:
            cluster.run("console", node, "faults", "dn.write.disk=1+:delay20")
        if how == "slow":
            cluster.run("console", holders(cluster)[1], "faults", "dn.write.disk=1+:delay300")
        took[how] = seconds(writer, "write 20000", "hflush", times=160)
        for node in NODES:
            cluster.run("console", node, "faults", "off")
        writer.close()
        assert cluster.fs("-cat", f"/{how}").stdout == ToldWriter.bytes(writer.length)
        wait_for(lambda: holders(cluster) == [])
    assert took["slow"] < 3 * took["healthy"], took


def test_when_all_disks_are_slow_nobody_is_left(cluster):
    writer = ToldWriter(cluster, "/all", env={"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")})
    writer.tell("write 100000", "hflush")
    first = holders(cluster)
    for node in NODES:
        cluster.run("console", node, "faults", "dn.write.disk=1+:delay300")
    for _ in range(5):
        writer.tell("write 20000", "hflush")
    writer.tell("write 5000000", "hflush")
    assert holders(cluster) == first
    writer.close()


def test_with_factor_0_nobody_is_too_slow(cluster):
    with open(os.path.join(cluster.dir, "patient.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\ndfs.client.slow.datanode.factor = 0\n")
    writer = ToldWriter(cluster, "/patient", env={"QUERN_CONF": os.path.join(cluster.dir, "patient.conf")})
    writer.tell("write 100000", "hflush")
    first = holders(cluster)
    cluster.run("console", first[1], "faults", "dn.write.disk=1+:delay300")
    for _ in range(8):
        writer.tell("write 20000", "hflush")
    assert holders(cluster) == first
    writer.close()


@need_nodes()
def test_a_slow_network_is_left():
    """12 MB take a minute and a half through a megabit: what arrives at a member, then also what leaves it. With everybody
    else at 24 megabits a write takes some seconds, and not three times as long with the slow one in its pipeline."""
    with Nodes(datanodes=5, conf=WINDOW + "dfs.client.socket-timeout = 20s\n", replication=3) as c:
        for node in c.workers:
            limit(c, node, "to", "add", "24mbit")
        writer = ToldWriter(c, "/healthy")
        writer.tell("write 100000", "hflush")
        healthy = seconds(writer, "write 12000000", "hflush")
        writer.close()
        wait_for(lambda: members(c) == [])
        for number, ways in enumerate([["to"], ["to", "from"]]):
            writer = ToldWriter(c, f"/{number}")
            writer.tell("write 100000", "hflush")
            first = members(c)
            slow, spares = first[number], [n for n in c.workers if n not in first]
            limit(c, slow, "to", "change")
            if "from" in ways:
                limit(c, slow, "from", "add")
            took = seconds(writer, "write 12000000", "hflush")
            assert took < (3 * healthy if ways == ["to"] else healthy + 20), (ways, took, healthy)  # "from": its receiver is suspected first
            assert set(spares) & set(members(c)), "nobody has taken the place of the slow one"
            writer.close()
            wait_for(lambda: members(c) == [])
            limit(c, slow, "to", "change", "24mbit")
            if "from" in ways:
                limit(c, slow, "from", "del")
            assert c.run("fs", "-cat", f"/{number}").stdout == ToldWriter.bytes(writer.length)


def members(c):
    """The nodes that have a replica that is being written."""
    return [n for n in c.workers if os.listdir(os.path.join(c.root(n), "data", "current", "rbw"))]


def limit(c, node, way, what, rate="1mbit"):
    where, device = (node, "eth0") if way == "from" else (c.switch, node + "0")
    c.sh(where, f"tc qdisc {what} dev {device} root tbf rate {rate} burst 16k latency 500ms")
