# SPDX-License-Identifier: Apache-2.0
"""A file is written in tiny pieces around the borders of its checksummed chunks, each of them flushed, while
others read it: they see what was flushed before they began, at least, nothing but the file's bytes, and no
checksum that is of other bytes, whichever replica they read."""
import os
import random
import threading

import pytest

from cluster import Cluster, ToldWriter, wait_for

SIZES = [1, 2, 510, 511, 512, 513, 514, 1023, 1024, 1025]


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=3, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.client.socket-timeout = 20s\n")
    with open(os.path.join(c.dir, "remote.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")
    with c:
        yield c


class Reader(threading.Thread):
    def __init__(self, cluster, writer, path, conf):
        super().__init__()
        self.cluster, self.writer, self.path, self.conf = cluster, writer, path, conf
        self.is_over, self.wrong, self.times = False, None, 0

    def run(self):
        want = ToldWriter.bytes(200_000)
        while not self.is_over and not self.wrong:
            flushed = self.writer.flushed
            run = self.cluster.fs("-cat", self.path, check=False, env={"QUERN_CONF": os.path.join(self.cluster.dir, self.conf)})
            got = run.stdout
            if run.returncode != 0 or len(got) < flushed or got != want[:len(got)]:
                self.wrong = f"{len(got)} bytes of {flushed} flushed: {run.stderr.decode()}"
            self.times += 1


@pytest.mark.parametrize("sync", ["hflush", "hsync"])
def test_tiny_pieces_are_read_whole(cluster, sync):
    path = f"/{sync}"
    writer = ToldWriter(cluster, path, env={"QUERN_CONF": os.path.join(cluster.dir, "remote.conf")})
    writer.flushed = 0
    readers = [Reader(cluster, writer, path, conf) for conf in ("remote.conf", "quern.conf")]
    for reader in readers:
        reader.start()
    sizes = random.Random(7)
    try:
        while min(reader.times for reader in readers) < 8 and not any(reader.wrong for reader in readers):
            for _ in range(100 if writer.length < 50_000 else 0):
                writer.tell(f"write {sizes.choice(SIZES)}", sync)
                writer.flushed = writer.length
            turns = [reader.times for reader in readers]
            wait_for(lambda: any(reader.times != turn or reader.wrong for reader, turn in zip(readers, turns)), every=0.001)
            for _ in range(30 if writer.length < 150_000 else 0):
                writer.tell(f"write {sizes.choice(SIZES)}", sync)
                writer.flushed = writer.length
    finally:
        for reader in readers:
            reader.is_over = True
        for reader in readers:
            reader.join()
    assert [reader.wrong for reader in readers] == [None, None]
    writer.close()
    assert cluster.fs("-cat", path).stdout == ToldWriter.bytes(writer.length)
    assert cluster.run("fsck", path).stdout.decode().rstrip().endswith("is HEALTHY")
