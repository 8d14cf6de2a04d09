# SPDX-License-Identifier: Apache-2.0
"""Disks rot while nobody reads. Each datanode goes its rounds, finds what is wrong by itself, and the
namenode has it replaced. And copies between datanodes keep to the bandwidth they are given."""
import os
import signal
import time

import pytest

from cluster import Cluster, wait_for

DATA = os.urandom(1_500_000)
SITE = ("dfs.datanode.scan.period.hours = 1500ms\ndfs.namenode.redundancy.settle = 0s\ndfs.heartbeat.interval = 1s\n"
        "dfs.namenode.redundancy.interval.seconds = 100ms\n")


def site(cluster, bandwidth):
    with open(os.path.join(cluster.dir, "site.conf"), "w") as f:
        f.write(SITE + f"dfs.datanode.balance.bandwidthPerSec = {bandwidth}\n")


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=3, workers=1)
    site(c, "1g")
    with c:
        yield c


def files_of(cluster, path):
    """(data, checksums) of every replica of the file's one block"""
    text = cluster.run("fsck", path, "-files", "-blocks").stdout.decode()
    block = "_".join([w.split(":")[-1] for w in text.split() if ":blk_" in w][0].split("_")[:2])
    found = {}
    for base, _, names in os.walk(cluster.dir + "/data"):
        if "/finalized/" in base:
            for n in names:
                if n == block or n.startswith(block + "_"):
                    found.setdefault(base, {})["sums" if n.endswith(".meta") else "data"] = os.path.join(base, n)
    return [found[base] for base in sorted(found)]


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0x20]))


DAMAGE = {
    "a bit of the block": lambda r: flip(r["data"], 777_777),
    "its last byte": lambda r: flip(r["data"], len(DATA) - 1),
    "a checksum": lambda r: flip(r["sums"], 1536 + 400),
    "the head of its checksums": lambda r: flip(r["sums"], 9),
    "cut short": lambda r: os.truncate(r["data"], 700_000),
    "no checksums": lambda r: os.unlink(r["sums"]),
    "no bytes": lambda r: os.unlink(r["data"]),
}


def test_what_rots_unread_is_found_and_replaced(cluster):
    before = {}
    for i, (name, damage) in enumerate(DAMAGE.items()):
        cluster.fs("-put", "-", f"/rot{i}", input=DATA)
        before[i] = files_of(cluster, f"/rot{i}")
        assert len(before[i]) == 3, before
    for i, damage in enumerate(DAMAGE.values()):
        damage(before[i][i % 3])

    def is_whole(i):
        now = files_of(cluster, f"/rot{i}")
        return len(now) == 3 and all(len(r) == 2 and open(r["data"], "rb").read() == DATA for r in now)

    for i, name in enumerate(DAMAGE):
        try:
            wait_for(lambda: is_whole(i), every=0.2)
        except AssertionError:
            raise AssertionError(f"{name}: never replaced")
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", "/", check=False).stdout)


def test_how_far_the_rounds_are_is_kept_and_a_damaged_note_begins_anew(cluster):
    notes = [f"{cluster.dir}/data/{n}/current/patrol" for n in os.listdir(cluster.dir + "/data")
             if os.path.isdir(f"{cluster.dir}/data/{n}/current")]
    assert len(notes) == 3, notes
    wait_for(lambda: all(os.path.exists(p) and b"cursor=" in open(p, "rb").read() for p in notes))
    for node in ("datanode1", "datanode2", "datanode3"):
        cluster.kill(node)
    for path in notes:
        flip(path, 8)
    cluster.up()
    wait_for(lambda: "a new round begins" in open(cluster.dir + "/log/datanode1.log").read())
    assert cluster.fs("-cat", "/rot0").stdout == DATA


def test_copies_keep_to_the_bandwidth_that_a_reload_gives_them(cluster):
    cluster.fs("-D", "dfs.replication=1", "-put", "-", "/slow", input=DATA)
    nodes = ("datanode1", "datanode2", "datanode3")
    before = [open(f"{cluster.dir}/log/{n}.log").read().count("reload") for n in nodes]
    site(cluster, "256k")
    for node in nodes:
        cluster.kill(node, signal.SIGHUP)
    wait_for(lambda: all(open(f"{cluster.dir}/log/{n}.log").read().count("reload") > b for n, b in zip(nodes, before)))
    began = time.monotonic()
    cluster.fs("-setrep", "-w", "2", "/slow")
    assert time.monotonic() - began > 3.5  # three pieces of 512 KiB at 256 KiB/s: 0, 2, 4 s
