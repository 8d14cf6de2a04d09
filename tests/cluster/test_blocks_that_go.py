# SPDX-License-Identifier: Apache-2.0
"""Blocks are deleted while they are read, while their node is away, and while they are being written;
and a datanode comes back with blocks that it had begun."""
import contextlib
import os
import subprocess

import pytest

from cluster import QUERN, Cluster, ToldWriter, wait_for
from heal import QUICK

DATA = os.urandom(6_000_000)
pytestmark = pytest.mark.usefixtures("healed")


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=3, workers=1, site=QUICK)
    with open(os.path.join(c.dir, "remote.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")
    with c:
        yield c


def block_files(cluster, under="", node=""):
    return [os.path.join(base, name) for base, _, names in os.walk(os.path.join(cluster.dir, "data", node))
            for name in names if name.startswith("blk_") and f"/{under}" in base]


def read_while_it_is_deleted(cluster, conf):
    cluster.fs("-put", "-", "/read", input=DATA)
    run = cluster.start("fs", "-cat", "/read", env={"QUERN_CONF": os.path.join(cluster.dir, conf)})
    got = run.stdout.read(1000)  # it has begun, and waits for us
    cluster.fs("-rm", "-skipTrash", "/read")
    wait_for(lambda: not block_files(cluster))
    got += run.stdout.read()
    return run.wait(timeout=120), got, run.stderr.read()


def test_what_is_read_by_descriptor_is_read_to_its_end(cluster):
    status, got, _ = read_while_it_is_deleted(cluster, "quern.conf")
    assert status == 0 and got == DATA


def test_what_is_read_over_a_socket_ends_with_right_bytes_and_a_reason(cluster):
    status, got, said = read_while_it_is_deleted(cluster, "remote.conf")
    assert DATA.startswith(got)
    assert status == 0 and got == DATA or status == 1 and said == b"cat: `/read': No such file or directory\n", said


def test_a_node_that_was_away_deletes_what_was_deleted_meanwhile(cluster):
    cluster.fs("-put", "-", "/gone", input=DATA)
    wait_for(lambda: len(block_files(cluster)) == 6)
    cluster.kill("datanode3")
    cluster.fs("-rm", "-skipTrash", "/gone")
    wait_for(lambda: not block_files(cluster, node="1") and not block_files(cluster, node="2"))
    assert block_files(cluster, node="3")
    cluster.up()
    wait_for(lambda: not block_files(cluster))


def test_a_file_deleted_under_its_writer_leaves_no_block(cluster):
    writer = subprocess.Popen([QUERN, "fs", "-put", "-", "/open"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    writer.stdin.write(DATA[:3_000_000])
    writer.stdin.flush()
    wait_for(lambda: block_files(cluster, under="current/rbw"))
    cluster.fs("-rm", "-skipTrash", "/open._COPYING_")
    with contextlib.suppress(BrokenPipeError):  # it may have been told already
        writer.stdin.write(DATA[:1_000_000])
        writer.stdin.close()
    assert writer.wait(timeout=120) == 1
    assert writer.stderr.read().count(b"\n") == 1
    wait_for(lambda: not block_files(cluster))


def test_all_datanodes_restart_under_a_writer_and_nothing_flushed_is_lost(cluster):
    """A put that lives on: its replicas are rbw when the nodes die and are taken up by the recovery."""
    cluster.fs("-put", "-", "/kept", input=DATA)
    writer = subprocess.Popen([QUERN, "fs", "-put", "-", "/begun"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    writer.stdin.write(DATA[:3_000_000])
    writer.stdin.flush()
    wait_for(lambda: block_files(cluster, under="current/rbw"))
    writer.kill()
    writer.wait()
    for node in ("datanode1", "datanode2", "datanode3"):
        cluster.kill(node)
    assert block_files(cluster, under="current/rbw")
    cluster.up()
    assert cluster.fs("-cat", "/kept").stdout == DATA
    cluster.fs("-rm", "-skipTrash", "/begun._COPYING_")
    cluster.fs("-rm", "-skipTrash", "/kept")
    wait_for(lambda: not block_files(cluster))


def test_a_node_that_was_away_has_an_old_replica_and_only_that_goes(cluster):
    """It had a part of the block when it died; the others went on under a new stamp. In the end it has all of it, alone."""
    writer = ToldWriter(cluster, "/old")
    writer.tell("write 100000", "hflush")
    cluster.kill("datanode3")
    writer.tell("write 100000", "hflush")
    writer.close()
    cluster.up()

    def whole(node):
        return [f for f in block_files(cluster, "finalized", node) if not f.endswith(".meta") and open(f, "rb").read() == ToldWriter.bytes(200000)]
    wait_for(lambda: all(whole(node) for node in "123") and not block_files(cluster, "rbw"))
    wait_for(lambda: b"Live_repl=3" in cluster.run("fsck", "/old", "-files", "-blocks", "-locations").stdout)
    cluster.kill("datanode1")
    cluster.kill("datanode2")
    assert cluster.fs("-cat", "/old").stdout == ToldWriter.bytes(200000)
    cluster.up()
