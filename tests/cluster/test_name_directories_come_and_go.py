# SPDX-License-Identifier: Apache-2.0
"""Several name directories: one fails while the namenode serves, comes back while it serves, others are added and
taken away by reload; killed at every step of that, the next start has all that was told."""
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

from cluster import wait_for
from test_the_journal_is_not_fooled import NAMENODE, Namenode, dir  # noqa: F401 (a fixture)


class Reloaded(Namenode):
    """Its directories stand in a file that is read again."""

    def __init__(self, dir, names):
        super().__init__(dir, names)
        self.write()

    def options(self):
        words = super().options()
        return ["-conf", os.path.join(self.dir, "conf"), "-D", "admin.socket=" + self.dir + "/console"] + words[2:]

    def write(self, more=""):
        with open(os.path.join(self.dir, "conf"), "w") as f:
            f.write("dfs.namenode.name.dir = " + ", ".join(self.names) + "\n" + more)

    def faults(self, spec):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.dir + "/console")
            s.sendall(b"faults " + spec.encode() + b"\n")
            return s.recv(4096)

    def text(self):
        return open(self.log, errors="replace").read()

    def lose_one(self):
        """The next fsync of the journal fails in one of the directories."""
        before = self.text().count("it is not used any more")
        self.faults("disk.fsync=1:eio")
        assert self.fs("-mkdir", "/lost%d" % before).returncode == 0
        wait_for(lambda: self.text().count("it is not used any more") > before)
        self.faults("off")

    def reconfigure(self):
        run = self.admin("-reconfig", "namenode", self.address, "start")
        assert run.returncode == 0, run.stderr
        status = lambda: self.admin("-reconfig", "namenode", self.address, "status").stdout
        return wait_for(lambda: status() if " and finished at " in status() else None)

    def used(self):
        """What the directories hold: those with a log that can be read, and up to which record."""
        self.stop()
        out = subprocess.run([NAMENODE, "-recover"] + self.options(), capture_output=True, text=True).stdout
        return re.findall(r"records 1 to (\d+) are whole", out)


@pytest.fixture()
def two(dir):
    n = Reloaded(dir, ("a", "b"))
    n.format()
    assert n.start(), n.words
    yield n
    n.stop(signal.SIGKILL)


def keep_busy(n, told, stop):
    i = 0
    while not stop.is_set():
        name = f"/busy{i}"
        if n.fs("-mkdir", name).returncode == 0:
            told.append(name)
        i += 1


def test_a_directory_that_failed_comes_back_by_reload_while_others_write(two):
    told, stop = [], threading.Event()
    writer = threading.Thread(target=keep_busy, args=(two, told, stop))
    writer.start()
    two.lose_one()
    before = len(told)
    two.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "was filled again and is used" in two.text() and "takes part in the journal" in two.text())
    wait_for(lambda: len(told) > before + 3)
    stop.set()
    writer.join()
    two.lose_one()  # either of them: the one that is left has everything
    two.fs("-mkdir", "/after")
    two.stop(signal.SIGKILL)
    dead = re.findall(r"WARN .* (\S+): cannot fdatasync the log", two.text())[-1]
    two.names = [n for n in two.names if n != dead]
    two.write()
    assert two.start(), two.words
    assert set(told) | {"/after"} <= set(two.listing())


def test_directories_are_added_and_taken_away_by_reconfig(two):
    first, second = two.names
    two.fs("-mkdir", "/one")
    two.names.append(os.path.join(two.dir, "c"))
    two.write()
    out = two.reconfigure()
    assert f"SUCCESS: Changed property dfs.namenode.name.dir\n\tFrom: \"{first}, {second}\"\n\tTo: \"{', '.join(two.names)}\"\n" in out, out
    two.fs("-mkdir", "/two")
    two.names = [two.names[2]]
    two.write()
    assert "SUCCESS" in two.reconfigure()
    wait_for(lambda: not os.path.exists(first + "/watermark") and not os.path.exists(second + "/watermark"))
    two.fs("-mkdir", "/three")
    two.stop(signal.SIGKILL)
    assert two.start(), two.words  # c alone
    assert two.listing() == ["/one", "/three", "/two"]


def test_a_directory_that_will_not_do_is_refused_and_nothing_changes(two):
    old = list(two.names)
    os.makedirs(two.dir + "/pictures/holiday")
    stranger = Namenode(two.dir, ("stranger",))
    stranger.format()
    for names, why in [(old + [two.dir + "/pictures"], "holds other files and no VERSION"),
                       (old + [two.dir + "/stranger"], "belongs to cluster"), (["/proc/none"], "/proc"),
                       (old + [old[0]], "lists " + old[0] + " twice"), (old + ["x/y"], "x/y is no absolute path")]:
        two.names = names
        two.write()
        out = two.reconfigure()
        assert "FAILED: Change property dfs.namenode.name.dir" in out and why in out, out
        assert two.fs("-mkdir", "-p", "/still").returncode == 0
    two.names = old
    two.write()
    assert os.listdir(two.dir + "/pictures") == ["holiday"] or "holiday" in os.listdir(two.dir + "/pictures")
    assert len(set(two.used())) == 1


def test_restore_failed_storage_tries_again_by_itself(two):
    for word, want in (("check", "false"), ("true", "true"), ("check", "true"), ("false", "false")):
        run = two.admin("-restoreFailedStorage", word)
        assert (run.returncode, run.stdout) == (0, f"restoreFailedStorage is set to {want}\n")
    run = two.admin("-restoreFailedStorage", "maybe")
    assert (run.returncode, run.stderr) == (255, "restoreFailedStorage valid args are true|false|check\n")
    two.lose_one()
    two.admin("-restoreFailedStorage", "true")
    wait_for(lambda: "takes part in the journal" in two.text())
    assert len(two.used()) == 2


@pytest.mark.parametrize("point", ["nn.restore.image=1", "nn.restore.segments=1", "disk.*=6", "disk.*=12", "disk.*=20",
                                   "disk.*=26", "disk.*=30", "disk.*=33", "disk.*=36", "nn.restore.joined=1"])
def test_killed_while_a_directory_comes_back_nothing_is_lost(two, point):
    told = []
    for i in range(3):
        assert two.fs("-mkdir", f"/d{i}").returncode == 0
        told.append(f"/d{i}")
    two.lose_one()
    two.faults(point + ":kill")
    two.process.send_signal(signal.SIGHUP)
    wait_for(lambda: two.process.poll() is not None or "takes part in the journal" in two.text())
    two.stop(signal.SIGKILL)
    assert two.start(), two.words
    assert set(told) <= set(two.listing())
    assert two.fs("-mkdir", "/after").returncode == 0
    assert len(set(two.used())) == 1 and len(two.used()) == 2, two.used()


def bootstrap(n, source, *more):
    return subprocess.run([NAMENODE, "-bootstrap", source.address, *more] + n.options(), capture_output=True, text=True, timeout=120)


def test_a_fresh_namenode_begins_as_a_copy_of_a_running_one(two):
    """While others write and images are made: the copy is whole, up to what was durable when it began."""
    for i in range(3):
        two.fs("-mkdir", f"/before{i}")
    two.admin("-safemode", "enter")
    two.admin("-saveNamespace")
    two.admin("-safemode", "leave")
    told, stop = [f"/before{i}" for i in range(3)], threading.Event()
    writer = threading.Thread(target=keep_busy, args=(two, told, stop))
    writer.start()
    wait_for(lambda: len(told) > 6)
    copy = Reloaded(two.dir + "/copy", ("x", "y")) if os.makedirs(two.dir + "/copy") is None else None
    must = list(told)
    run = bootstrap(copy, two)
    stop.set()
    writer.join()
    assert run.returncode == 0, run.stderr
    assert re.search(r"Storage directory \S+/copy/x has been filled from \S+: \d+ bytes, up to record \d+", run.stderr)
    again = bootstrap(copy, two)
    assert again.returncode == 1 and "is formatted already" in again.stderr and again.stderr.count("\n") == 1
    assert copy.start(), copy.words
    try:
        assert set(must) <= set(copy.listing()) <= set(two.listing())
        assert len(set(copy.used())) == 1 and len(copy.used()) == 2
    finally:
        copy.stop(signal.SIGKILL)
    assert bootstrap(copy, two, "-force").returncode == 0
    assert copy.start() and set(copy.listing()) == set(two.listing())
    copy.stop(signal.SIGKILL)


@pytest.mark.parametrize("fault", ["nn.bootstrap.page=1", "nn.bootstrap.page=2", "disk.*=5", "disk.*=9", "nn.bootstrap.adopted=1"])
def test_a_copy_that_is_cut_short_is_none_and_is_begun_again(two, fault):
    two.fs("-mkdir", "/one")
    os.makedirs(two.dir + "/copy")
    copy = Reloaded(two.dir + "/copy", ("x",))
    env = dict(os.environ, QUERN_FAULT=fault + ":kill")
    run = subprocess.run([NAMENODE, "-bootstrap", two.address] + copy.options(), env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == -signal.SIGKILL, run
    assert not copy.start()
    assert bootstrap(copy, two).returncode == 0
    assert copy.start(), copy.words
    assert copy.listing() == ["/one"]
    copy.stop(signal.SIGKILL)


def test_only_a_superuser_gets_a_copy(two):
    os.makedirs(two.dir + "/copy")
    copy = Reloaded(two.dir + "/copy", ("x",))
    run = subprocess.run([NAMENODE, "-bootstrap", two.address] + copy.options(), env=dict(os.environ, HADOOP_USER_NAME="mallory"),
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 1 and "mallory" in run.stderr and run.stderr.count("\n") == 1, run.stderr
