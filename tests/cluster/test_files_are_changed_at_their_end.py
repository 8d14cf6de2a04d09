# SPDX-License-Identifier: Apache-2.0
"""Append, truncate and concat on a running cluster, with everything killed that can be killed while
it goes on. A finalized block never changes: what a reader sees is the file as it was, or with what
was acknowledged."""
import os
import random
import re
import signal
import subprocess

import pytest
from cluster import Cluster, wait_for

SMALL = 1 << 20  # the smallest block there is


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        c.fs("-mkdir", "-p", "/t")
        yield c


def content(n, seed):
    return random.Random(seed).randbytes(n)


def put(cluster, path, data, block=SMALL):
    cluster.fs("-D", f"dfs.blocksize={block}", "-put", "-f", "-", path, input=data)


def append(cluster, path, data, *options, **kw):
    return cluster.fs("-appendToFile", *options, "-", path, input=data, **kw)


def cat(cluster, path):
    return cluster.fs("-cat", path).stdout


def blocks(cluster, path):
    """Lengths of its blocks, and their ids, as fsck tells them."""
    text = cluster.run("fsck", path, "-files", "-blocks").stdout.decode()
    return [(int(i), int(n)) for i, n in re.findall(r"blk_(\d+)_\d+ len=(\d+)", text)]


@pytest.mark.parametrize("before", [0, 1, 511, 512, 513, SMALL - 1, SMALL, SMALL + 700])
def test_appended_bytes_follow_the_old_ones_at_every_boundary(cluster, before):
    whole = content(before, before)
    path = f"/t/grown{before}"
    put(cluster, path, whole)
    for n in (0, 1, 511, 512, 513, SMALL + 3):
        more = content(n, n + 7)
        append(cluster, path, more)
        whole += more
        assert cat(cluster, path) == whole, n
    lengths = [n for _, n in blocks(cluster, path)]
    assert lengths == [SMALL] * (len(whole) // SMALL) + [len(whole) % SMALL], "blocks are filled up"
