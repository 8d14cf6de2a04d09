# SPDX-License-Identifier: Apache-2.0
"""A day of an administrator, step by step and in this order: a fresh cluster of five is loaded; one node is taken
out, another one dies, a disk fills up, three replicas rot, all while users work; the nodes come back, blocks
are balanced, a quota is set, somebody needs his trash; in the evening everything is restarted. Then fsck
says HEALTHY, and every byte is as those remember who wrote it.

With namespaces each node has a small disk of its own; elsewhere none fills up. QUERN_DAY_SECONDS=60 lets the
users work so long in each step (2 otherwise)."""
import errno
import glob
import os
import re
import subprocess

import pytest

from cluster import MODEL, Cluster, count_words, output_of, verdict, wait_for
from nodes import IMPATIENT, Nodes, why_not

SECONDS = int(os.environ.get("QUERN_DAY_SECONDS", "2"))
NODES = range(1, 6)
CONF = ("dfs.blocksize = 1m\ndfs.namenode.decommission.interval = 200ms\nfs.trash.interval = 1h\n"
        "dfs.namenode.reconstruction.pending.timeout-sec = 5s\ndfs.namenode.checkpoint.txns = 300\n"
        "dfs.balancer.getBlocks.min-block-size = 1k\n")
TEXTS = [p for p in sorted(glob.glob("/usr/include/*.h")) if not os.path.islink(p)][:30]


class Day:
    """The cluster, in either shape, and what its users wrote: records of model clients."""

    def __init__(self):
        self.has_disks, self.records = why_not() is None, []
        if self.has_disks:
            room = "%dm" % max(160, SECONDS * 60)
            self.c = Nodes(datanodes=5, tmpfs=dict.fromkeys(["node%d" % n for n in NODES], room), replication=3)
            self.c.conf = CONF + f"dfs.hosts.exclude = {self.c.dir}-exclude\n"
        else:
            self.c = Cluster(datanodes=5, workers=2, replication=3)
            with open(self.c.dir + "/site.conf", "w") as f:
                f.write(CONF + f"dfs.hosts.exclude = {self.c.dir}-exclude\n" +
                        "".join(line + "\n" for line in IMPATIENT.splitlines() if line.startswith("dfs.")))
        self.exclude("")

    # --- what differs between the shapes ---
    def exclude(self, text):
        with open(self.c.dir + "-exclude", "w") as f:
            f.write(text)

    def data(self, node, what):
        top = self.c.root("node%d" % node) + "/data" if self.has_disks else f"{self.c.dir}/data/{node}"
        return glob.glob(f"{top}/current/{what}")

    def revive(self, *daemons):
        for daemon in daemons if self.has_disks else ():
            self.c.start_daemon(daemon, wait=False)
        if not self.has_disks:
            self.c.up()

    # --- users ---
    def users(self):
        number = len(self.records) + 1
        record = os.path.join(self.c.dir, f"record{number}")
        self.records.append(record)
        return self.c.model("--dir", f"/users/{number}", "--record", record, "--max-bytes", "500000",
                            seed=number, seconds=SECONDS, writers=2)

    def report(self):
        return self.c.run("admin", "-report").stdout.decode()

    def state_of(self, node):
        section = re.search(rf"^Name: .*\(node{node}\)$(.*?)^$", self.report(), re.M | re.S)
        return re.search(r"Decommission Status : (.*)", section.group(1)).group(1).strip() if section else None

    def is_whole(self):
        """fsck is content, and every block has all its replicas"""
        text = self.c.run("fsck", "/", check=False).stdout.decode()
        return text.rstrip().endswith("is HEALTHY") and re.search(r" Under-replicated blocks:\s+0 ", text) and text


@pytest.fixture(scope="module")
def day():
    day = Day()
    with day.c:
        yield day
    os.unlink(day.c.dir + "-exclude")


def test_in_the_morning_a_fresh_cluster_is_loaded(day):
    wait_for(lambda: "Live datanodes (5):" in day.report())
    day.c.fs("-mkdir", "-p", "/texts", "/users")
    day.c.fs("-put", *TEXTS, "/texts")
    verdict(day.users())
    wait_for(day.is_whole)


def test_a_node_is_taken_out_while_users_work(day):
    users = day.users()
    day.exclude("node2\n")
    day.c.run("admin", "-refreshNodes")
    verdict(users)
    wait_for(lambda: day.state_of(2) == "Decommissioned")
    wait_for(day.is_whole)
    day.c.kill("datanode2")  # nobody needs it any more


def test_another_one_dies_while_users_work(day):
    users = day.users()
    day.c.kill("datanode3")
    verdict(users)
    wait_for(lambda: "Dead datanodes (2):" in day.report())
    wait_for(day.is_whole)


def test_both_come_back(day):
    day.exclude("")
    day.c.run("admin", "-refreshNodes")
    day.revive("datanode2", "datanode3")
    wait_for(lambda: "Live datanodes (5):" in day.report())
    wait_for(lambda: day.state_of(2) == "Normal")
    wait_for(day.is_whole)


def fill(path):
    """Zeros, until there is no room for more."""
    with open(path, "wb", buffering=0) as f:
        try:
            while f.write(bytes(1 << 20)):
                pass
        except OSError as e:
            assert e.errno == errno.ENOSPC


def test_a_disk_fills_up_while_users_work(day):
    if not day.has_disks:
        pytest.skip("no disks of their own: " + why_not())
    users = day.users()
    ballast = day.c.root("node4") + "/ballast"
    fill(ballast)
    verdict(users)
    assert day.c.pid("datanode4")
    os.unlink(ballast)
    wait_for(day.is_whole)


def damage(path):
    """Bytes in the middle, or all of it when it is small; gives what was there."""
    good = open(path, "rb").read()
    os.chmod(path, 0o600)
    with open(path, "r+b") as f:
        f.seek(len(good) // 2)
        f.write(bytes(b ^ 0x55 for b in good[len(good) // 2:len(good) // 2 + 64]))
    return good


def test_three_replicas_rot_and_nobody_is_told_wrong_bytes(day):
    known = set(re.findall(r"blk_\d+", day.c.run("fsck", "/texts", "-files", "-blocks").stdout.decode()))
    rotten = {}
    for node in NODES:
        for path in day.data(node, "finalized/*/*/blk_*"):
            block = os.path.basename(path)
            if block in known and len(rotten) < 3:
                known.discard(block)
                rotten[path] = damage(path)
    assert len(rotten) == 3
    for text in TEXTS:
        for on in [dict(on="node%d" % n) for n in NODES] if day.has_disks else [{}]:
            assert day.c.fs("-cat", "/texts/" + os.path.basename(text), **on).stdout == open(text, "rb").read(), text
            if os.path.getsize(text) not in map(len, rotten.values()):
                break  # one reader is enough of those that are whole

    def is_mended():
        """every rotten replica that was read is gone, or as it was written"""
        day.c.fs("-cat", "/texts/*")
        return all(not os.path.exists(path) or open(path, "rb").read() == good for path, good in rotten.items())
    if day.has_disks:  # each was somebody's nearest
        wait_for(is_mended)
    wait_for(day.is_whole)


def test_blocks_are_balanced_while_users_work(day):
    users = day.users()
    run = day.c.run("balancer", "-threshold", "3")
    assert "The cluster is balanced. Exiting..." in run.stdout.decode()
    verdict(users)
    wait_for(day.is_whole)


def test_a_quota_holds(day):
    day.c.fs("-mkdir", "/small")
    day.c.run("admin", "-setQuota", "3", "/small")
    day.c.run("admin", "-setSpaceQuota", "9m", "/small")
    day.c.fs("-put", "-", "/small/a", input=b"a" * 2_000_000)
    assert day.c.fs("-count", "-q", "/small").stdout.split()[:3] == [b"3", b"1", b"9437184"]
    full = day.c.fs("-put", "-", "/small/b", input=b"b" * 2_000_000, check=False)
    assert full.returncode == 1 and b"The DiskSpace quota of /small is exceeded" in full.stderr, full.stderr
    day.c.fs("-touchz", "/small/c")
    many = day.c.fs("-touchz", "/small/d", check=False)
    assert many.returncode == 1 and b"The NameSpace quota (directories and files) of directory /small is exceeded" in many.stderr, many.stderr
    day.c.run("admin", "-clrQuota", "/small")
    day.c.fs("-touchz", "/small/d")


def test_the_trash_gives_back_what_was_thrown_away(day):
    name = os.path.basename(TEXTS[0])
    run = day.c.fs("-rm", "/texts/" + name)
    there = re.search(rb"to trash at: (\S+)", run.stderr).group(1).decode()
    assert day.c.fs("-test", "-e", "/texts/" + name, check=False).returncode == 1
    day.c.fs("-mv", there, "/texts/" + name)
    assert day.c.fs("-cat", "/texts/" + name).stdout == open(TEXTS[0], "rb").read()
    day.c.fs("-rm", "/small/a")
    day.c.fs("-expunge", "-immediate")
    assert b"/small/a" not in day.c.fs("-ls", "-R", "/user", check=False).stdout


def test_a_job_counts_the_words(day):
    day.c.run("run", "-reduces", "2", "wordcount", "/texts", "/counted")
    want = count_words([open(p, "rb").read() for p in TEXTS])
    assert output_of(day.c, "/counted") == b"".join(sorted(want.splitlines(keepends=True)))


def test_in_the_evening_everything_is_restarted(day):
    daemons = [d for d in (day.c.all_daemons() if day.has_disks else
                           ["namenode", "jobtracker"] + ["datanode%d" % n for n in NODES]) if day.c.pid(d)]
    for daemon in daemons:
        day.c.kill(daemon)
    day.revive(*daemons)
    wait_for(lambda: b"OFF" in day.c.run("admin", "-safemode", "get", check=False).stdout)
    wait_for(lambda: "Live datanodes (5):" in day.report())


def test_at_night_all_is_healthy_and_every_byte_is_there(day):
    text = wait_for(day.is_whole)
    assert re.search(r" Over-replicated blocks:\s+0 ", text) and re.search(r" Missing blocks:\s+0\n", text), text
    for record in day.records:
        run = day.c.popen([MODEL, "--check", record], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = run.communicate(timeout=300)
        assert run.returncode == 0, out
    for text in TEXTS:
        assert day.c.fs("-cat", "/texts/" + os.path.basename(text)).stdout == open(text, "rb").read()
    known = set(re.findall(r"blk_\d+", day.c.run("fsck", "/", "-files", "-blocks").stdout.decode()))

    def nothing_leaked():
        """no datanode has a block that nobody knows, or half of one"""
        there = {os.path.basename(p) for n in NODES for p in day.data(n, "finalized/*/*/blk_*") if not p.endswith(".meta")}
        return there == known and not any(day.data(n, "rbw/*") + day.data(n, "tmp/*") for n in NODES)
    wait_for(nothing_leaked)
