# SPDX-License-Identifier: Apache-2.0
"""A writer dies, or is merely slow, and somebody wants the file: an administrator sees who has which
file open, and has it closed now with what the datanodes agree on."""
import os
import re
import signal
import subprocess

import pytest

from cluster import QUERN, Cluster, wait_for

DATA = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        yield c


def open_files(cluster, *where):
    lines = cluster.run("admin", "-listOpenFiles", *where).stdout.decode().splitlines()
    assert lines[0].split("\t") == ["Client Host".ljust(20), "Client Name".ljust(20), "Open File Path"], lines
    rows = [line.split("\t") for line in lines[1:]]
    assert all(host.strip() in ("", "127.0.0.1") for host, _, _ in rows), rows
    return {path: who.strip() for _, who, path in rows}


def begin(cluster, name):
    """A writer who has something on the datanodes, and waits."""
    put = subprocess.Popen([QUERN, "fs", "-put", "-", name], env=cluster.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
    put.stdin.write(DATA)
    put.stdin.flush()
    wait_for(lambda: any("/rbw/" in os.path.join(base, n) and os.path.getsize(os.path.join(base, n)) > 0
                         for base, _, names in os.walk(cluster.dir + "/data") for n in names if n.startswith("blk_")))
    return put, name + "._COPYING_"


def test_what_a_dead_writer_left_is_closed_at_once(cluster):
    cluster.fs("-mkdir", "/in", "/other")
    put, held = begin(cluster, "/in/dead")
    assert open_files(cluster)[held].startswith("client_")
    assert open_files(cluster, "/other") == {} and held in open_files(cluster, "-path", "/in/")
    put.send_signal(signal.SIGKILL)
    put.wait()
    assert held in open_files(cluster)  # nobody knows yet
    said = cluster.run("admin", "-recoverLease", "-path", held, "-retries", "50").stdout.decode()
    assert said == f"recoverLease SUCCEEDED on {held}\n"
    assert open_files(cluster) == {}
    got = cluster.fs("-cat", held).stdout
    assert DATA.startswith(got) and len(got) > 0
    assert b"HEALTHY" in cluster.run("fsck", "/").stdout
    again = cluster.run("admin", "-recoverLease", held).stdout.decode()
    assert again == said  # it is closed, and stays so


def test_a_writer_whose_file_was_taken_is_told(cluster):
    put, held = begin(cluster, "/in/taken")
    cluster.run("admin", "-recoverLease", held)
    _, stderr = put.communicate(DATA, timeout=120)
    assert put.returncode == 1 and b"taken" in stderr, stderr


def test_it_is_the_namenodes_even_when_it_is_restarted(cluster):
    put, held = begin(cluster, "/in/twice")
    put.send_signal(signal.SIGKILL)
    put.wait()
    for node in ("datanode1", "datanode2", "datanode3"):
        cluster.kill(node, signal.SIGSTOP)  # so that nobody can settle anything
    run = cluster.run("admin", "-recoverLease", held, "-retries", "2", check=False)
    assert run.returncode == 1 and b"still being recovered" in run.stderr, run
    assert open_files(cluster)[held] == "(being recovered)"
    cluster.kill("namenode")
    for node in ("datanode1", "datanode2", "datanode3"):
        cluster.kill(node, signal.SIGCONT)
    cluster.up()
    wait_for(lambda: held not in open_files(cluster))
    got = cluster.fs("-cat", held).stdout
    assert DATA.startswith(got) and len(got) > 0


def test_wrong_lines_are_answered_in_one(cluster):
    for words in (["-recoverLease", "/none"], ["-recoverLease", "/in"], ["-recoverLease"], ["-recoverLease", "/a", "/b"],
                  ["-recoverLease", "/a", "-retries", "x"], ["-listOpenFiles", "-path"]):
        run = cluster.run("admin", *words, check=False)
        assert run.returncode != 0 and run.stderr, words
    assert b"File does not exist: /none" in cluster.run("admin", "-recoverLease", "/none", check=False).stderr
    assert b"Path is not a file: /in" in cluster.run("admin", "-recoverLease", "/in", check=False).stderr
    stranger = dict(HADOOP_USER_NAME="stranger")
    cluster.fs("-touchz", "/in/mine")
    assert b"denied" in cluster.run("admin", "-listOpenFiles", env=stranger, check=False).stderr


def stamps(cluster, block="[0-9]+"):
    """Of all replicas of this block, as their files have them."""
    names = [re.fullmatch(f"blk_{block}_([0-9]+)\\.meta", n) for _, _, files in os.walk(cluster.dir + "/data") for n in files]
    return [int(n[1]) for n in names if n]


def fsyncs(cluster, node):
    """How many it has begun since faults were armed there."""
    report = dict(line.split() for line in cluster.run("console", node, "faults").stdout.decode().splitlines())
    return int(report.get("disk.fsync", 0))


def test_two_recoveries_of_one_block_are_under_way_and_the_older_ends_last(cluster):
    """A slow disk holds the first one up while the namenode's next process begins another, under a newer stamp."""
    nodes = ("datanode1", "datanode2", "datanode3")
    put, held = begin(cluster, "/overtaken")
    put.send_signal(signal.SIGKILL)
    put.wait()
    before = max(stamps(cluster))
    for node in nodes:
        cluster.run("console", node, "faults", "disk.fsync=1:delay5000")
    asked = cluster.start("admin", "-recoverLease", held)
    wait_for(lambda: any(fsyncs(cluster, node) for node in nodes))
    cluster.kill("namenode")
    cluster.up()
    asked.communicate(timeout=120)
    wait_for(lambda: held not in open_files(cluster))
    for node in nodes:
        cluster.run("console", node, "faults", "off")
    got = cluster.fs("-cat", held).stdout
    assert DATA.startswith(got) and len(got) > 0
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", held, check=False).stdout)
    block, stamp = re.search(r"blk_(\d+)_(\d+) len=", cluster.run("fsck", held, "-files", "-blocks").stdout.decode()).groups()
    assert int(stamp) >= before + 2
    wait_for(lambda: stamps(cluster, block) == 3 * [int(stamp)])
