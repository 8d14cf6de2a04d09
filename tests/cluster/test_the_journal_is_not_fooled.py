# SPDX-License-Identifier: Apache-2.0
"""A namenode alone with a torn, a rotten, a locked, a full, a failing name directory: what was told is
kept, damage is never taken for a crash, and each refusal is one line. And the tools that read it."""
import json
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from cluster import BUILD, QUERN, wait_for

NAMENODE = os.path.join(BUILD, "quern-namenode")


class Namenode:
    """One process over name directories below `dir`."""

    def __init__(self, dir, names=("name",)):
        self.dir = dir
        self.names = [os.path.join(dir, n) for n in names]
        self.process = None
        self.address = None
        self.log = os.path.join(dir, "log")

    def options(self):
        return ["-D", "dfs.namenode.name.dir=" + ",".join(self.names), "-D", "dfs.namenode.rpc-address=127.0.0.1:0",
                "-D", "dfs.namenode.http-address=127.0.0.1:0", "-D", "dfs.namenode.resource.du.reserved=0",
                "-D", "dfs.namenode.safemode.extension=0"]

    def format(self):
        subprocess.run([NAMENODE, "-format"] + self.options(), check=True, capture_output=True)

    def start(self, fault=None, count=None):
        """True when it serves; False when it died on the way (its last words are in self.words)."""
        env = dict(os.environ)
        env.pop("QUERN_FAULT", None)
        if fault:
            env["QUERN_FAULT"] = fault
        if count:
            env["QUERN_FAULT_COUNT"] = count
        begin = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        out = open(self.log, "ab")
        self.process = subprocess.Popen([NAMENODE, "--foreground"] + self.options(), env=env, stdout=out, stderr=out)
        out.close()

        def ready():
            text = open(self.log, errors="replace").read()[begin:]
            if "daemon     serving" in text:
                self.address = text.split("serving cluster", 1)[1].split(" on ", 1)[1].split()[0]
                return True
            return self.process.poll() is not None

        wait_for(ready)
        self.words = open(self.log, errors="replace").read()[begin:]
        return self.process.poll() is None

    def stop(self, sig=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
        if self.process:
            self.process.wait(30)

    def run(self, command, *args):
        """A client, not waited for longer than a namenode of these tests may take to answer: clients
        themselves are patient, and some of these namenodes are meant to die."""
        ask = [QUERN, command, "-fs", "quern://" + self.address] + list(args)
        client = subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, words = client.communicate(timeout=8)
        except subprocess.TimeoutExpired:
            client.kill()
            out, words = client.communicate()
        return subprocess.CompletedProcess(ask, client.returncode, out, words)

    def fs(self, *args):
        return self.run("fs", *args)

    def admin(self, *args):
        return self.run("admin", *args)

    def listing(self):
        run = self.fs("-ls", "-R", "/")
        assert run.returncode == 0, run.stderr
        return sorted(line.split(None, 7)[7] for line in run.stdout.splitlines())


@pytest.fixture()
def dir():
    path = tempfile.mkdtemp(prefix="quern-nn-", dir=os.environ.get("TMPDIR", "/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture()
def nn(dir):
    n = Namenode(dir)
    n.format()
    yield n
    n.stop(signal.SIGKILL)


def segment(n):
    return os.path.join(n.names[0], "log.000000000001")


def patch(path, where, byte):
    with open(path, "r+b") as f:
        f.seek(where)
        f.write(byte)


def fill(n):
    assert n.start(), n.words
    for name in ("/one", "/two", "/three"):
        assert n.fs("-mkdir", name).returncode == 0


def test_a_torn_tail_is_cut(nn):
    fill(nn)
    nn.stop(signal.SIGKILL)
    text = open(segment(nn), "rb").read()
    end = len(text.rstrip(b"\0"))
    patch(segment(nn), (end + 4095) // 4096 * 4096, b"QREC\x10\0\0\0 half a record")
    assert nn.start(), nn.words
    assert "cut after record 3" in nn.words
    assert nn.listing() == ["/one", "/three", "/two"]


def test_rot_is_refused_in_one_line_and_nothing_is_changed(nn):
    fill(nn)
    nn.stop()
    before = open(segment(nn), "rb").read()
    at = before.index(b"/two")
    patch(segment(nn), at, b"X")
    damaged = open(segment(nn), "rb").read()
    assert not nn.start()
    assert nn.process.returncode == 1
    assert "record 2 is damaged with good records after it: this is bit rot, not a crash. Nothing was changed. `quern namenode -recover` tells what can be saved" in nn.words
    assert open(segment(nn), "rb").read() == damaged
    report = subprocess.run([NAMENODE, "-recover"] + nn.options(), capture_output=True, text=True)
    assert report.returncode == 0
    assert "DAMAGED" in report.stdout and "records 1 to 1 are whole" in report.stdout
    patch(segment(nn), at, b"/")
    assert nn.start(), nn.words
    assert nn.listing() == ["/one", "/three", "/two"]


def test_a_second_namenode_is_told_who_has_the_directory(nn):
    assert nn.start(), nn.words
    other = subprocess.run([NAMENODE, "--foreground"] + nn.options(), capture_output=True, text=True, timeout=30)
    assert other.returncode == 1
    assert f"is in use: locked by process {nn.process.pid} (quern-namenode)" in other.stderr
    again = subprocess.run([NAMENODE, "-format", "-force"] + nn.options(), capture_output=True, text=True)
    assert again.returncode == 1 and "is in use" in again.stderr


def test_no_room_for_the_next_segment_means_safe_mode(nn):
    assert nn.start(), nn.words
    assert nn.fs("-mkdir", "/before").returncode == 0
    nn.stop()
    assert nn.start(fault="disk.allocate=2+:enospc"), nn.words
    wait_for(lambda: "safe mode" in nn.fs("-mkdir", "/after").stderr)
    assert nn.listing() == ["/before"]
    nn.stop()
    assert nn.start(), nn.words
    assert nn.fs("-mkdir", "/after").returncode == 0


def test_a_failed_fsync_ends_it_and_is_not_tried_again(nn):
    assert nn.start(fault="disk.fsync=12+:eio"), nn.words
    told = set()
    for i in range(40):
        if nn.fs("-mkdir", f"/d{i}").returncode != 0:
            break
        told.add(f"/d{i}")
    assert nn.process.wait(30) == 1
    assert "no directory of the log can be written any more" in open(nn.log).read()
    assert nn.start(), nn.words
    assert told <= set(nn.listing())


def test_one_of_two_directories_may_fail(dir):
    n = Namenode(dir, names=("one", "two"))
    n.format()
    try:
        assert n.start(fault="disk.fsync=24:eio"), n.words
        for i in range(30):
            assert n.fs("-mkdir", f"/d{i}").returncode == 0
        assert "it is not used any more" in open(n.log).read()
        n.stop(signal.SIGKILL)
        assert n.start(), n.words
        assert "was filled again from" in n.words
        assert len(n.listing()) == 30
    finally:
        n.stop(signal.SIGKILL)


def test_journal_and_image_can_be_read_by_people_and_programs(nn):
    fill(nn)
    assert nn.admin("-saveNamespace").returncode == 0
    tool = lambda name, *args: subprocess.run([os.path.join(BUILD, name)] + list(args), capture_output=True, text=True)
    text = tool("quern-editdump", nn.names[0])
    assert text.returncode == 0 and "MKDIR" in text.stdout and "# " in text.stdout
    records = [json.loads(line) for line in tool("quern-editdump", "-json", "-from", "2", nn.names[0]).stdout.splitlines()]
    assert [r["fields"]["path"] for r in records] == ["/two", "/three"]
    copy = os.path.join(nn.dir, "copy.log")
    shutil.copy(segment(nn), copy)
    assert tool("quern-editdump", copy).stdout.count("MKDIR") == 3
    rows = [json.loads(line) for line in tool("quern-imagedump", "--json", nn.names[0]).stdout.splitlines()]
    assert {r["path"] for r in rows if "path" in r} == {"/", "/one", "/two", "/three"}
    assert "4 directories, 0 files" in tool("quern-imagedump", nn.names[0]).stdout
    assert tool("quern-imagedump", "-list", nn.names[0]).stdout.count("image.") == 2
    patch(copy, 4096 + 40, b"\xff")
    for name, path in (("quern-editdump", copy), ("quern-imagedump", copy), ("quern-imagedump", nn.dir), ("quern-editdump", nn.log)):
        bad = tool(name, path)
        assert bad.returncode == 1 and bad.stderr.startswith(name + ": "), bad
    for name in ("quern-editdump", "quern-imagedump"):
        assert tool(name).returncode == 2
        assert tool(name, "--help").returncode == 0
