# SPDX-License-Identifier: Apache-2.0
"""Several data directories per datanode: added, taken away and brought back while it serves, failing one by one, and
nonsense in the configuration. `quern admin -reconfig` and SIGHUP, as an administrator uses them."""
import glob
import os
import random
import re
import shutil
import signal
import subprocess

import pytest

from cluster import Cluster, verdict, wait_for

KB = 1 << 10


class Disks(Cluster):
    """Two datanodes with a directory each, to which others are added."""

    def __init__(self):
        super().__init__(datanodes=2, workers=1, replication=2)
        with open(os.path.join(self.dir, "site.conf"), "w") as f:
            f.write("dfs.heartbeat.interval = 300ms\ndfs.namenode.redundancy.settle = 100ms\n"
                    "dfs.namenode.redundancy.interval.seconds = 200ms\ndfs.datanode.directoryscan.interval = 500ms\n")

    def path(self, node, name):
        return os.path.join(self.dir, "data", f"{node}{name}")

    def first(self, node):
        return os.path.join(self.dir, "data", str(node))

    def configure(self, node, *entries, more=""):
        """What the datanode's configuration says of its directories from now on."""
        path = os.path.join(self.dir, "conf", f"datanode{node}.conf")
        lines = [l for l in open(path) if not re.match(r"dfs\.datanode\.(data\.dir|failed|fsdataset|available|du)", l)]
        open(path, "w").write("".join(lines) + f"dfs.datanode.data.dir = {', '.join(entries)}\n{more}")

    def address(self, node):
        report = self.run("admin", "-report").stdout.decode()
        return re.search(rf"Name: (\S+) \(node{node}\)", report).group(1)

    def reconfig(self, node, what="start", check=True):
        return self.run("admin", "-reconfig", "datanode", self.address(node), what, check=check)

    def reload(self, node):
        """Start it, and wait for its end: what status says then."""
        at = self.address(node)
        out = self.run("admin", "-reconfig", "datanode", at, "start").stdout.decode()
        assert out == f"Started reconfiguration task on node [{at}].\n"
        return wait_for(lambda: self.finished(at))

    def finished(self, at):
        out = self.run("admin", "-reconfig", "datanode", at, "status").stdout.decode()
        assert out.startswith(f"Reconfiguring status for node [{at}]: started at ")
        return out if " and finished at " in out else None

    def blocks(self, dir):
        return {os.path.basename(p) for p in glob.glob(dir + "/current/finalized/*/*/blk_*") if not p.endswith(".meta")}

    def put(self, name, seed):
        data = random.Random(seed).randbytes(100 * KB)
        self.fs("-put", "-", name, input=data)
        return data

    def is_healthy(self):
        """every block has its two replicas"""
        out = self.run("fsck", "/", check=False).stdout.decode()
        return "is HEALTHY" in out and re.search(r"Under-replicated blocks:\t0\b", out)

    def living(self):
        """The blocks of the files there are: what was deleted before may stay on the disks for a while."""
        return set(re.findall(r"blk_\d+(?=_\d)", self.run("fsck", "/", "-files", "-blocks").stdout.decode()))

    def log(self, node):
        return open(os.path.join(self.dir, "log", f"datanode{node}.log"), errors="replace").read()


@pytest.fixture(scope="module")
def c():
    with Disks() as cluster:
        yield cluster


@pytest.fixture
def kept(c):
    """Files that must be there, whole, whatever a test does to the directories."""
    files = {f"/kept{i}": c.put(f"/kept{i}", i) for i in range(6)}
    yield files
    for name, data in files.items():
        assert c.fs("-cat", name).stdout == data
        c.fs("-rm", "-skipTrash", name)


def test_a_directory_is_added_taken_away_and_brought_back(c, kept):
    a, b = c.first(1), c.path(1, "b")
    c.configure(1, a, "[SSD]file://" + b)
    out = c.reload(1)
    assert out.endswith(f"SUCCESS: Changed property dfs.datanode.data.dir\n\tFrom: \"{a}\"\n\tTo: \"{a}, [SSD]file://{b}\"\n"), out
    wait_for(lambda: os.path.exists(b + "/current/VERSION"))
    wait_for(c.is_healthy)
    more = {f"/more{i}": c.put(f"/more{i}", 100 + i) for i in range(6)}
    assert len(c.blocks(b)) >= 2, "no block was put into the new directory"
    kept.update(more)

    # away: its blocks are told as gone, and replaced, on this node too; its files stay
    gone = c.blocks(b)
    c.configure(1, a)
    assert "SUCCESS" in c.reload(1)
    wait_for(lambda: gone <= c.blocks(a))
    wait_for(c.is_healthy)
    assert c.blocks(b) == gone
    assert not os.path.exists(b + "/current/probe.tmp")

    # back again, by SIGHUP: the second copies are no loss to anybody
    c.configure(1, a, "[DISK]" + b)
    os.kill(c.pid("datanode1"), signal.SIGHUP)
    wait_for(lambda: f"{b} is used now: {len(gone)} replicas" in c.log(1))
    wait_for(c.is_healthy)


def test_the_only_copy_is_missing_without_its_directory_and_comes_back_with_it(c):
    a, b = c.first(1), c.path(1, "only")
    c.configure(1, a, b)
    c.reload(1)
    held = {}
    while not c.blocks(b):
        name = f"/only{len(held)}"
        held[name] = random.Random(name).randbytes(10 * KB)
        c.fs("-D", "dfs.replication=1", "-put", "-", name, input=held[name])
    c.configure(1, a)
    c.reload(1)
    wait_for(lambda: "Missing blocks:\t\t1\n" in c.run("fsck", "/", check=False).stdout.decode())
    c.configure(1, a, b)
    c.reload(1)
    wait_for(c.is_healthy)
    for name, data in held.items():
        assert c.fs("-cat", name).stdout == data
        c.fs("-rm", "-skipTrash", name)
    c.configure(1, a)
    c.reload(1)


@pytest.mark.parametrize("make,why", [
    (lambda c: [c.first(1), c.first(1) + "/"], "lists {first}/ twice"),
    (lambda c: [c.first(1), "[FAST]/x"], "[FAST]/x: no such storage type"),
    (lambda c: [c.first(1), "data/x"], "data/x is no absolute path"),
    (lambda c: [c.first(1), c.first(2)], "is in use: locked by process"),
    (lambda c: [c.path(1, "pictures")], "holds files but no current/VERSION"),
    (lambda c: [c.first(1), c.path(1, "stranger")], "belongs to datanode"),
    (lambda c: [c.first(1), "/proc/x"], "/proc/x"),
], ids=["twice", "type", "relative", "locked", "files", "anothers", "impossible"])
def test_nonsense_is_refused_in_one_line_and_nothing_changes(c, make, why):
    os.makedirs(c.path(1, "pictures/holiday"), exist_ok=True)
    stranger = c.path(1, "stranger")
    if not os.path.exists(stranger):
        shutil.copytree(c.first(2) + "/current", stranger + "/current")
    c.configure(1, c.first(1))
    c.reload(1)
    before = c.blocks(c.first(1))
    entries = make(c)
    c.configure(1, *entries)
    out = c.reload(1)
    found = re.search(r"FAILED: Change property dfs.datanode.data.dir\n\tFrom: \"(.*)\"\n\tTo: \"(.*)\"\n\tError: (.*)\.\n$", out)
    assert found and found.group(1) == c.first(1) and found.group(2) == ", ".join(entries), out
    assert why.format(first=c.first(1)) in found.group(3), out
    # What was deleted before may go meanwhile; nothing else may.
    assert c.blocks(c.first(1)) <= before
    data = c.put("/still", 9)
    assert c.fs("-cat", "/still").stdout == data
    c.fs("-rm", "-skipTrash", "/still")
    c.configure(1, c.first(1))
    assert "FAILED" not in c.reload(1)


def test_an_unreadable_configuration_changes_nothing(c):
    path = os.path.join(c.dir, "conf", "datanode1.conf")
    text = open(path).read()
    open(path, "w").write(text + "dfs.datanode.du.reserved = lots\n")
    at = c.address(1)
    run = c.run("admin", "-reconfig", "datanode", at, "start", check=False)
    open(path, "w").write(text)
    assert run.returncode == 1
    assert run.stderr.decode().startswith(f"Node [{at}] reconfiguring: ") and "lots" in run.stderr.decode()
    assert run.stderr.count(b"\n") == 1


def test_a_failed_directory_is_dropped_and_its_blocks_are_replaced_on_the_same_node(c, kept):
    """Both nodes have a replica of everything, so the lost ones can only come to the good directory of the same node."""
    a, b = c.first(1), c.path(1, "fails")
    c.configure(1, a, b, more="dfs.datanode.failed.volumes.tolerated = 1\n")
    c.reload(1)
    more = {f"/lost{i}": c.put(f"/lost{i}", 200 + i) for i in range(6)}
    kept.update(more)
    lost = c.blocks(b)
    assert lost
    shutil.rmtree(b)
    wait_for(lambda: [c.fs("-cat", name).stdout for name in more] and f"{b} has failed" in c.log(1))
    wait_for(lambda: lost <= c.blocks(a))
    wait_for(c.is_healthy)
    assert c.pid("datanode1")
    assert b"Failed" not in c.run("fsck", "/").stdout

    # a new disk in its place: an empty directory, taken by the next reload
    os.mkdir(b)
    os.kill(c.pid("datanode1"), signal.SIGHUP)
    wait_for(lambda: os.path.exists(b + "/current/VERSION"))
    wait_for(c.is_healthy)
    kept.update({f"/new{i}": c.put(f"/new{i}", 300 + i) for i in range(4)})
    assert c.blocks(b)
    c.configure(1, a)
    c.reload(1)
    wait_for(c.is_healthy)


def test_writers_into_a_directory_that_goes_end_well(c):
    """It is taken away while a block is being written into it: the write goes on elsewhere, and nothing is lost."""
    a, b = c.first(1), c.path(1, "away")
    c.configure(1, a, b)
    c.reload(1)
    model = c.model(seed=5, seconds=4, writers=3)
    for i in range(3):
        c.configure(1, a)
        c.reload(1)
        c.configure(1, a, b)
        c.reload(1)
    verdict(model)
    c.configure(1, a)
    c.reload(1)
    wait_for(c.is_healthy)


def files_of(dir, block):
    return sorted(glob.glob(f"{dir}/current/finalized/*/*/{block}*"))


def test_files_that_vanish_appear_or_change_are_noticed_and_put_right(c, kept):
    """Nobody reads them: the disks are compared with memory now and then."""
    c.configure(1, c.first(1))
    c.reload(1)
    wait_for(c.is_healthy)
    a = c.first(1)
    whole = [b for b in sorted(c.blocks(a)) if os.path.getsize(files_of(a, b)[0]) == 100 * KB]
    vanished, cut, sumless, moved = whole[:4]
    os.unlink(files_of(a, vanished)[0])
    os.truncate(files_of(a, cut)[0], 1000)
    os.unlink(files_of(a, sumless)[1])
    away = os.path.join(c.dir, "away")
    os.mkdir(away)
    homes = {f: os.path.dirname(f) for f in files_of(a, moved)}
    for f in homes:
        shutil.move(f, away)
    for block, said in ((vanished, "is gone from"), (cut, "is damaged"), (sumless, "is damaged"), (moved, "is gone from")):
        wait_for(lambda: re.search(block + r"_\d+ (on \S+ )?" + said, c.log(1)))
    wait_for(lambda: {vanished, cut, sumless, moved} <= c.blocks(a) and len(files_of(a, sumless)) == 2)
    wait_for(lambda: os.path.getsize(files_of(a, cut)[0]) == 100 * KB)
    wait_for(c.is_healthy)
    assert c.pid("datanode1")

    # with the other node's copies out of reach, one that comes back by hand is found and read again
    for f in files_of(a, moved):
        os.unlink(f)
    os.kill(c.pid("datanode2"), signal.SIGSTOP)
    try:
        wait_for(lambda: c.log(1).count(moved) >= 2 and not files_of(a, moved))
        for f, home in homes.items():
            shutil.move(os.path.join(away, os.path.basename(f)), home)
        wait_for(lambda: re.search(moved + r"_\d+ has appeared on", c.log(1)))
    finally:
        os.kill(c.pid("datanode2"), signal.SIGCONT)
    wait_for(c.is_healthy)
    shutil.rmtree(away)


def balance(c, *words, check=True):
    return c.run("diskbalancer", *words, check=check).stdout.decode()


@pytest.fixture
def mounted(c):
    """A filesystem of its own at a directory of node 1."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    at = c.path(1, "mounted")
    os.makedirs(at, exist_ok=True)

    def mount(script):
        run = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
        if run.returncode != 0:
            pytest.skip("cannot mount here: " + run.stderr.strip())
        return at

    yield mount
    c.configure(1, c.first(1))
    c.reload(1)
    while subprocess.run(["umount", "-l", "-R", at], capture_output=True).returncode == 0:
        pass


def test_the_directories_of_a_node_are_evened_out_and_nobody_notices(c, kept, mounted):
    """A new directory gets its half; readers go on, the namenode misses nothing, killed meanwhile nothing is lost."""
    at = c.path(1, "mounted")  # disks of their own: what others leave free of a shared one is another number at each look
    a, b = at + "/one", at + "/two"
    disks = [f"mkdir {dir} && mount -t tmpfs -o size=100m none {dir}" for dir in (a, b)]
    mounted(" && ".join([f"mount -t tmpfs none {at}", *disks]))
    c.configure(1, a)
    c.reload(1)
    kept.update({f"/even{i}": c.put(f"/even{i}", 400 + i) for i in range(10)})
    c.configure(1, a, b)
    c.reload(1)
    wait_for(c.is_healthy)
    before = c.living()
    assert len(before) >= len(kept)
    wait_for(lambda: c.blocks(a) == before)
    wait_for(lambda: "Bytes to move: " in balance(c, "-plan", "node1", "-thresholdPercentage", "1"))
    assert "NO_PLAN" in balance(c, "-query", "node1")
    out = balance(c, "-execute", "node1", "-thresholdPercentage", "1")
    assert "PLAN_UNDER_PROGRESS" in out or "PLAN_DONE" in out, out
    again = c.run("diskbalancer", "-execute", "node1", check=False)
    assert again.returncode in (0, 1)
    for name, data in kept.items():
        assert c.fs("-cat", name).stdout == data
    wait_for(lambda: "PLAN_DONE" in balance(c, "-query", "node1"))
    assert c.blocks(a) | c.blocks(b) == before and not c.blocks(a) & c.blocks(b)
    sizes = [sum(os.path.getsize(files_of(dir, block)[0]) for block in c.blocks(dir)) for dir in (a, b)]
    assert max(sizes) < 2 * min(sizes), sizes
    assert not os.path.exists(b + "/current/shift")
    wait_for(c.is_healthy)
    assert "No plan generated. DiskBalancing not needed" in balance(c, "-plan", "node1")
    assert c.run("diskbalancer", "-plan", "nobody", check=False).returncode == 1
    assert c.run("diskbalancer", check=False).returncode == 255
    assert f"volume-{b}]" in balance(c, "-report")

    # what was moved is found where it is: the other directory alone
    c.configure(1, b)
    c.reload(1)
    wait_for(c.is_healthy)


def test_one_of_two_directories_is_full_and_writes_go_to_the_other(c, mounted):
    at = mounted(f"mount -t tmpfs -o size=12m none {c.path(1, 'mounted')}")
    c.configure(1, c.first(1), at, more="dfs.datanode.failed.volumes.tolerated = 0\n")
    c.reload(1)
    data = {f"/full{i}": random.Random(i).randbytes(3 << 20) for i in range(12)}
    for name, bytes in data.items():
        c.fs("-D", "dfs.blocksize=4m", "-put", "-", name, input=bytes)
    assert c.blocks(at), "the small one was never used"
    assert c.pid("datanode1") and f"{at} has failed" not in c.log(1)
    for name, bytes in data.items():
        assert c.fs("-cat", name).stdout == bytes
    c.configure(1, c.first(1))
    c.reload(1)
    wait_for(c.is_healthy)
    c.fs("-rm", "-skipTrash", *data)


def test_a_directory_that_becomes_read_only_is_dropped_and_comes_back_when_it_is_writable(c, mounted, kept):
    disk = os.path.join(c.dir, "ext4.disk")
    at = c.path(1, "mounted")
    mounted(f"truncate -s 400M {disk} && mkfs.ext4 -q {disk} && mount -o loop {disk} {at}")
    c.configure(1, c.first(1), at, more="dfs.datanode.failed.volumes.tolerated = 1\n")
    c.reload(1)
    kept.update({f"/ro{i}": c.put(f"/ro{i}", 500 + i) for i in range(4)})
    lost = c.blocks(at)
    assert lost
    # a mount upon it, for the one below is in use: whoever opens a file to write from now on is refused
    subprocess.run(["sh", "-c", f"mount --bind {at} {at} && mount -o remount,ro,bind {at}"], check=True)
    kept.update({f"/on{i}": c.put(f"/on{i}", 600 + i) for i in range(4)})  # nobody who writes is told
    wait_for(lambda: f"{at} has failed" in c.log(1))
    wait_for(lambda: lost <= c.blocks(c.first(1)))
    wait_for(c.is_healthy)
    subprocess.run(["mount", "-o", "remount,rw,bind", at], check=True)
    os.kill(c.pid("datanode1"), signal.SIGHUP)
    wait_for(lambda: f"{at} is used now" in c.log(1).split("has failed")[-1])
    wait_for(c.is_healthy)
    before = c.blocks(at)
    kept.update({f"/rw{i}": c.put(f"/rw{i}", 700 + i) for i in range(4)})
    assert c.blocks(at) > before
