# SPDX-License-Identifier: Apache-2.0
"""quern namenode -recover: a journal that a start refuses. What is lost is shown, the operator is asked,
everything that was there is kept beside the new beginning, and no lost file's blocks are deleted."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from cluster import BUILD, Cluster, wait_for
from test_the_journal_is_not_fooled import NAMENODE, Namenode, fill, patch, segment


@pytest.fixture()
def dir():
    path = tempfile.mkdtemp(prefix="quern-nn-", dir=os.environ.get("TMPDIR", "/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture()
def nn(dir):
    n = Namenode(dir, ("name", "name2"))
    n.format()
    yield n
    n.stop(signal.SIGKILL)


def recover(n, *options, answer=b""):
    return subprocess.run([NAMENODE, "-recover", *options] + n.options(), input=answer, capture_output=True, timeout=120)


def contents(top):
    """{path: bytes} of all files, those that are set aside under the names they had."""
    found = {}
    for base, _, names in os.walk(top):
        for name in names:
            if name not in ("in_use.lock", "DECISION"):
                path = os.path.join(base, name)
                found[re.sub(r"recovered-\d+/", "", os.path.relpath(path, top))] = open(path, "rb").read()
    return found


def rot(n, word, dirs=None):
    """Change a byte of the record with this word, in some directories."""
    for name in n.names[:dirs]:
        path = os.path.join(name, "log.000000000001")
        patch(path, open(path, "rb").read().index(word), b"X")


def kept(n, before):
    """What was there before is in recovered-N, to the byte. How many records were lost is known where the
    namenode still came to write down how far it had promised."""
    for name, files in zip(n.names, before):
        aside = [d for d in os.listdir(name) if d.startswith("recovered-")]
        assert len(aside) == 1
        assert contents(os.path.join(name, aside[0])) == files
        decision = open(os.path.join(name, aside[0], "DECISION")).read()
        assert re.search(r"^lost     (records \d+ to \d+, and all|what came) ", decision, re.M), decision
        assert "decided  uid " in decision, decision


def test_a_journal_that_rotted_in_the_middle(nn):
    fill(nn)
    nn.stop()
    rot(nn, b"/two")
    before = [contents(name) for name in nn.names]
    assert not nn.start()
    refused = recover(nn, answer=b"what?\nq\n")
    text = refused.stdout.decode()
    assert refused.returncode == 1 and refused.stderr.count(b"\n") == 1 and b"nothing was changed" in refused.stderr, refused
    assert "DAMAGED" in text and "kept     the image of record 0" in text and ", and records 1 to 1 of the log" in text, text
    assert "lost     records 2 to 3, and all there may have been after them\n" in text, text
    assert text.count("(c/q)") == 2 and "I'm sorry, I cannot understand your response.\n" in text
    assert [contents(name) for name in nn.names] == before
    done = recover(nn, answer=b"c\n")
    assert done.returncode == 0 and b"done: the next start goes on from record 1" in done.stdout, done
    kept(nn, before)
    assert nn.start(), nn.words
    assert nn.listing() == ["/one"]
    assert nn.fs("-mkdir", "/four").returncode == 0
    nn.stop()
    assert nn.start(), nn.words
    assert nn.listing() == ["/four", "/one"]


def test_nobody_is_asked_with_force_and_nothing_happens_when_nobody_answers(nn):
    fill(nn)
    nn.stop()
    rot(nn, b"/three")
    before = [contents(name) for name in nn.names]
    silent = recover(nn)
    assert silent.returncode == 1 and [contents(name) for name in nn.names] == before
    done = recover(nn, "-force")
    assert done.returncode == 0 and b"automatically choosing c\n" in done.stdout, done
    kept(nn, before)
    assert nn.start(), nn.words
    assert nn.listing() == ["/one", "/two"]


def test_a_lost_first_segment(nn):
    """The image alone is what is left, however much of the log there is behind the hole."""
    fill(nn)
    nn.stop()
    for name in nn.names:
        os.unlink(os.path.join(name, "log.000000000001"))
    before = [contents(name) for name in nn.names]
    assert not nn.start()
    done = recover(nn, answer=b"C\n")
    assert done.returncode == 0, done
    kept(nn, before)
    assert nn.start(), nn.words
    assert nn.listing() == []


def test_images_that_are_all_rotten_leave_nothing_to_go_on_from(nn):
    fill(nn)
    nn.stop()
    for name in nn.names:
        for image in [n for n in os.listdir(name) if n.startswith("image.")]:
            patch(os.path.join(name, image), 70, b"XX")
    before = [contents(name) for name in nn.names]
    run = recover(nn, "-force")
    assert run.returncode == 1 and b"holds no image that is whole" in run.stderr and run.stderr.count(b"\n") == 1, run
    assert [contents(name) for name in nn.names] == before


def test_what_a_start_mends_by_itself_needs_no_recovery(dir):
    n = Namenode(dir, ("name", "name2"))
    n.format()
    fill(n)
    n.stop(signal.SIGKILL)
    try:
        rot(n, b"/two", dirs=1)
        before = [contents(name) for name in n.names]
        run = recover(n)
        assert run.returncode == 0 and b"lost     nothing: a start needs no help\n" in run.stdout and b"DAMAGED" in run.stdout, run
        assert [contents(name) for name in n.names] == before
        assert n.start(), n.words
        assert n.listing() == ["/one", "/three", "/two"]
        busy = recover(n, "-force")
        assert busy.returncode == 1 and b"in use" in busy.stderr, busy
    finally:
        n.stop(signal.SIGKILL)


def test_a_single_directory(dir):
    n = Namenode(dir)
    n.format()
    fill(n)
    n.stop(signal.SIGKILL)
    rot(n, b"/two")
    before = [contents(name) for name in n.names]
    assert recover(n, "-force").returncode == 0
    kept(n, before)


def test_both_directories_are_rotten_in_different_places(dir):
    n = Namenode(dir, ("name", "name2"))
    n.format()
    fill(n)
    n.stop()
    try:
        rot(n, b"/two", dirs=1)
        patch(os.path.join(n.names[1], "log.000000000001"), open(segment(n), "rb").read().index(b"/three"), b"X")
        assert not n.start()
        assert recover(n, "-force").returncode == 0
        assert n.start(), n.words
        assert n.listing() == ["/one", "/two"]  # the one that leads farther
    finally:
        n.stop(signal.SIGKILL)


def test_blocks_of_lost_files_are_not_deleted():
    """Their ids are not given out again either."""
    with Cluster(datanodes=1, workers=1) as c:
        c.fs("-put", "-", "/kept", input=b"kept")
        c.fs("-put", "-", "/lost", input=b"lost")
        names = next(base for base, _, files in os.walk(c.dir) if any(n.startswith("image.") for n in files))
        c.down()
        log = os.path.join(names, "log.000000000001")
        patch(log, open(log, "rb").read().index(b"/lost"), b"X")
        conf = ["-conf", c.env["QUERN_CONF"], "-D", "dfs.namenode.name.dir=" + names]
        done = subprocess.run([NAMENODE, "-recover", "-force"] + conf, capture_output=True, env=c.env)
        assert done.returncode == 0, done
        blocks = lambda: sorted(n for _, _, files in os.walk(c.dir + "/data") for n in files if re.fullmatch(r"blk_\d+", n))
        before = blocks()
        assert len(before) == 2
        c.up()
        assert wait_for(lambda: c.fs("-cat", "/kept", check=False).stdout) == b"kept"
        wait_for(lambda: c.fs("-put", "-", "/new", input=b"new", check=False).returncode == 0)
        c.kill("datanode1")
        c.up()
        assert wait_for(lambda: c.fs("-cat", "/new", check=False).stdout) == b"new"
        assert set(before) < set(blocks()) and len(blocks()) == 3
        assert int(blocks()[-1][4:]) > int(before[-1][4:]) + 1000
        dump = subprocess.run([os.path.join(BUILD, "quern-imagedump"), "-json", names], capture_output=True, text=True)
        head = [json.loads(line) for line in dump.stdout.splitlines() if "next_block" in line][0]
        assert head["spared_from"] <= int(before[-1][4:]) <= head["spared_to"]
