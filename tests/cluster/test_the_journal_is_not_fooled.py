# SPDX-License-Identifier: Apache-2.0
"""A namenode alone with a torn, a rotten, a locked, a full, a failing name directory: what was told is
kept, damage is never taken for a crash, and each refusal is one line. And the tools that read it."""
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from xml.etree import ElementTree

import pytest

from cluster import BUILD, QUERN, Cluster, wait_for

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
            self.process.wait(120)

    def run(self, command, *args):
        """A client, not waited for longer than a namenode of these tests may take to answer: clients
        themselves are patient, and some of these namenodes are meant to die."""
        ask = [QUERN, command, "-fs", "quern://" + self.address] + list(args)
        client = subprocess.Popen(ask, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, words = client.communicate(timeout=20)
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
    report = subprocess.run([NAMENODE, "-recover"] + nn.options(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert report.returncode == 1 and "nothing was changed" in report.stderr
    assert "DAMAGED" in report.stdout and "records 1 to 1 are whole" in report.stdout
    patch(segment(nn), at, b"/")
    assert nn.start(), nn.words
    assert nn.listing() == ["/one", "/three", "/two"]


def test_a_second_namenode_is_told_who_has_the_directory(nn):
    assert nn.start(), nn.words
    other = subprocess.run([NAMENODE, "--foreground"] + nn.options(), capture_output=True, text=True, timeout=120)
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
    assert nn.process.wait(120) == 1
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
    assert nn.admin("-safemode", "enter").returncode == 0
    assert nn.admin("-saveNamespace").returncode == 0
    assert nn.admin("-safemode", "leave").returncode == 0
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


def test_image_and_journal_in_the_forms_hadoop_has(tmp_path):
    """Every section of an image and every kind of record: as XML that parses, as fields, as counts."""
    with Cluster(datanodes=1, workers=1) as c:
        c.fs("-mkdir", "-p", "/dir/a & b<c>", "/quota")
        c.fs("-put", "-", "/dir/two\nlines\tand \"tabs\"", input=b"x" * 3000)
        c.fs("-put", "-", "/dir/\x07bell \\ é", input=b"words")
        c.run("admin", "-setQuota", "10", "/quota")
        c.fs("-setfattr", "-n", "user.a", "-v", "b", "/quota")
        c.fs("-setfacl", "-m", "user:bob:r--", "/quota")
        c.fs("-setrep", "2", "/dir/\x07bell \\ é")
        c.fs("-rm", "-skipTrash", "/dir/\x07bell \\ é")
        names = next(base for base, _, files in os.walk(c.dir) if any(n.startswith("image.") for n in files))
        text = lambda *args: c.run(*args).stdout.decode()
        edits = ElementTree.fromstring(text("oev", "-p", "XML", "-i", names))
        kinds = [r.findtext("OPCODE") for r in edits.iter("RECORD")]
        assert {"OP_MKDIR", "OP_CREATE", "OP_ADD_BLOCK", "OP_CLOSE", "OP_SET_QUOTA", "OP_SET_XATTR", "OP_SET_ACL", "OP_DELETE",
                "OP_SET_REPLICATION"} <= set(kinds), kinds
        assert [int(r.findtext("DATA/TXID")) for r in edits.iter("RECORD")] == list(range(1, len(kinds) + 1))
        assert "/dir/a & b<c>" in [r.findtext("DATA/PATH") for r in edits.iter("RECORD")]
        stats = dict(re.findall(r"^ +OP_(\w+) +\( *\d+\): (\d+)$", text("oev", "-p", "stats", "-i", names), re.M))
        assert {kind: str(kinds.count("OP_" + kind)) for kind in stats} == stats and sum(map(int, stats.values())) == len(kinds)
        c.save_namespace()
        out = str(tmp_path / "image.xml")
        assert text("oiv", "-p", "XML", "-i", names, "-o", out) == ""
        image = ElementTree.parse(out).getroot()
        inodes = {i.findtext("name"): i for i in image.iter("inode")}
        assert inodes["a & b<c>"].findtext("type") == "DIRECTORY" and inodes["quota"].findtext("nsquota") == "10"
        assert [i.findtext("nsquota") for i in image.iter("inode")][0] == str(2 ** 63 - 1)
        file = inodes["two\\000a;lines\\0009;and \"tabs\""]
        assert file.findtext("blocks/block/numBytes") == "3000" and file.findtext("parent") == inodes["dir"].findtext("id")
        assert {s.tag for s in image} >= {"version", "NameSection", "INodeSection", "AttributeSection"}
        assert image.findtext("AttributeSection/entry/xattrs/user.a") == "b"
        rows = list(csv.reader(io.StringIO(text("oiv", "-p", "Delimited", "-delimiter", ",", "-i", names))))
        assert rows[0] == ("Path,Replication,ModificationTime,AccessTime,PreferredBlockSize,BlocksCount,FileSize,NSQUOTA,DSQUOTA,Permission,"
                           "UserName,GroupName").split(",")
        assert all(len(row) == 12 for row in rows)
        assert [row[6] for row in rows if row[0] == "/dir/two\nlines\tand \"tabs\""] == ["3000"]
        assert [row[7:10] for row in rows if row[0] == "/quota"] == [["10", "-1", "drwxr-xr-x+"]]
        spread = text("oiv", "-p", "FileDistribution", "-step", "1000", "-maxSize", "10000", "-i", names)
        assert spread.startswith("Size\tNumFiles\n") and "\n3000\t1\n" in spread and "maxFileSize = 3000\n" in spread, spread
        for bad in (["oiv", "-p", "Web", "-i", names], ["oiv", "-p", "FileDistribution", "-step", "0", "-i", names],
                    ["oev", "-p", "binary", "-i", names], ["oiv", "-p", "XML", "-i", c.dir], ["oev", "-i", "/nowhere"]):
            run = c.run(*bad, check=False)
            assert run.returncode in (1, 2) and run.stderr.count(b"\n") == 1, run
        newest = max(n for n in os.listdir(names) if re.fullmatch(r"image\.\d+", n))
        with open(os.path.join(names, newest), "rb") as f:
            whole = f.read()
        (tmp_path / newest).write_bytes(whole[:-7])
        run = c.run("oiv", "-p", "Delimited", "-i", str(tmp_path / newest), check=False)
        assert run.returncode == 1 and run.stdout == b"" and run.stderr.count(b"\n") == 1, run
