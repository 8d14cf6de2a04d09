# SPDX-License-Identifier: Apache-2.0
"""A client reads the replica of its own node by descriptors, and the disk below them hangs: the kernel never
answers. The read is left behind after the client's time-out, or the threshold of hedged reads, and the bytes come
from another node."""
import glob
import os
import select

import pytest

import stuck_file
from cluster import Cluster, wait_for

DATA = os.urandom(1 << 20)
LONG = ("-D", "dfs.client.socket-timeout=1h")
HEDGED = LONG + ("-D", "dfs.client.hedged.read.threadpool.size=4", "-D", "dfs.client.hedged.read.threshold.millis=300")

pytestmark = pytest.mark.skipif(stuck_file.why_not() is not None, reason=str(stuck_file.why_not()))


@pytest.fixture(scope="module")
def c():
    with Cluster(datanodes=2, workers=1, replication=2) as cluster:
        cluster.fs("-put", "-", "/f", input=DATA)
        yield cluster


def stuck(c, which):
    """The block file on the client's node, or its checksums."""
    found = [p for p in glob.glob(os.path.join(c.dir, "data/1/current/finalized/*/*/blk_*")) if p.endswith(".meta") == (which == "sums")]
    assert len(found) == 1
    try:
        return stuck_file.StuckFile(found[0])
    except OSError as e:
        pytest.skip(f"cannot mount here: {e}")


@pytest.mark.parametrize("how", [("-D", "dfs.client.socket-timeout=2s"), HEDGED], ids=["timeout", "hedged"])
def test_the_read_is_left_behind_and_the_bytes_come_from_elsewhere(c, how):
    file = stuck(c, "data")
    run = None
    try:
        run = c.start("fs", *how, "-cat", "/f")
        got = b""
        while len(got) < len(DATA):
            assert select.select([run.stdout], [], [], 60)[0], "it waits for the disk"
            piece = os.read(run.stdout.fileno(), 1 << 20)
            assert piece, run.stderr.read()
            got += piece
        assert got == DATA
        assert file.asked > 0, "nobody has read from that disk"
    finally:
        file.close()
        if run:
            assert run.wait(120) == 0
    wait_for(lambda: c.fs("-cat", "/f").stdout == DATA)
