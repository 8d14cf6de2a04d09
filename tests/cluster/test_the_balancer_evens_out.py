# SPDX-License-Identifier: Apache-2.0
"""Datanodes are filled unevenly; the balancer evens them out, says what it does as Hadoop's says it,
and no byte changes."""
import os
import signal
import subprocess

import pytest

from cluster import QUERN, Cluster, wait_for
from nodes import Nodes, need_nodes

MB = 1 << 20
DATA = os.urandom(48 * MB)
HEADER = ("Time Stamp               Iteration#  Bytes Already Moved  Bytes Left To Move  "
          "Bytes Being Moved  NameNode")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


def test_a_balanced_cluster_is_said_to_be_so(cluster):
    run = cluster.run("balancer")
    lines = run.stdout.decode().splitlines()
    assert lines[0] == HEADER
    assert lines[1].split()[5:13] == ["0", "0", "B", "0", "B", "0", "B", "0"], lines[1]
    assert lines[2] == "The cluster is balanced. Exiting..."
    assert " Balancing took " in lines[3]


def test_bad_arguments_are_251(cluster):
    for words in (["-threshold", "0"], ["-threshold", "101"], ["-threshold"], ["-idleiterations", "0"], ["-policy", "x"],
                  ["-include", "a", "-exclude", "b"], ["-include", "-f", "/nowhere"], ["-what"], ["what"]):
        run = cluster.run("balancer", *words, check=False)
        assert run.returncode == 251, (words, run)
    said = cluster.run("balancer", "-policy", "x", check=False).stderr + cluster.run("balancer", "-threshold", "x", check=False).stderr
    assert b"Illegal policy name: x\n" in said and b"Expecting a number in the range of [1.0, 100.0]: x\n" in said


def test_as_a_service_it_begins_again_until_it_is_told_to_stop(cluster):
    options = ["-asService", "-sortTopNodes", "-blockpools", "x", "-hotBlockTimeInterval", "1", "-idleiterations", "-1"]
    with subprocess.Popen([QUERN, "balancer", *options], env=cluster.env, stdout=subprocess.PIPE, text=True) as service:
        for line in service.stdout:
            if "Balancing took" in line:
                break
        assert service.poll() is None
        service.send_signal(signal.SIGTERM)
        assert service.wait(120) == 250


def test_in_safe_mode_it_is_refused_with_252(cluster):
    cluster.run("admin", "-safemode", "enter")
    run = cluster.run("balancer", check=False)
    cluster.run("admin", "-safemode", "leave")
    assert run.returncode == 252 and run.stderr == b"balancer: Cannot balance. Name node is in safe mode.\n"


def test_only_a_superuser_may(cluster):
    run = cluster.run("balancer", check=False, env={"HADOOP_USER_NAME": "eve"})
    assert run.returncode == 252 and b"Superuser privilege is required" in run.stderr


def used(c):
    """Percent of its capacity that each node uses, by its name."""
    report = c.run("admin", "-report").stdout.decode().split("Live datanodes")[1]
    names = [l.split("(")[1].rstrip(")") for l in report.splitlines() if l.startswith("Name: ")]
    shares = [float(l.split()[2].rstrip("%")) for l in report.splitlines() if l.startswith("DFS Used%: ")]
    return dict(zip(names, shares))


@need_nodes()
def test_a_full_node_gives_to_the_others_and_every_byte_stays():
    conf = "dfs.blocksize = 2m\ndfs.balancer.getBlocks.min-block-size = 1m\ndfs.namenode.fs-limits.min-block-size = 1m\ndfs.client.socket-timeout = 20s\n"
    with Nodes(datanodes=3, tmpfs={f"node{i}": "160m" for i in (1, 2, 3)}, replication=1, conf=conf) as c:
        assert c.fs("-put", "-", "/f", input=DATA, on="node1").returncode == 0
        wait_for(lambda: used(c)["node1"] > 25)
        assert used(c)["node2"] < 1 and used(c)["node3"] < 1
        run = c.run("balancer", "-threshold", "2", "-exclude", "node3", check=False)
        assert run.returncode == 0, run
        assert "The cluster is balanced. Exiting..." in run.stdout.decode()
        assert used(c)["node3"] < 1
        run = c.run("balancer", "-threshold", "2", check=False)
        assert run.returncode == 0, run
        wait_for(lambda: max(used(c).values()) - min(used(c).values()) < 5)
        lines = run.stdout.decode().splitlines()
        assert lines[0] == HEADER and " Balancing took " in lines[-1], lines
        assert lines[-2] == "The cluster is balanced. Exiting..." and float(lines[-3].split()[6]) > 8, lines
        assert c.fs("-cat", "/f").stdout == DATA
        assert c.run("fsck", "/").stdout.endswith(b"is HEALTHY\n")
