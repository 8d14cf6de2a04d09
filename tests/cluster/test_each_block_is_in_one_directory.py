# SPDX-License-Identifier: Apache-2.0
"""A datanode with several directories has each of its blocks in one of them: killed while it evens them out, and
when one comes back whose blocks were replaced meanwhile."""
import contextlib
import glob
import os
import random
import signal
import subprocess

import pytest

from cluster import wait_for
from test_data_directories_come_and_go import Disks, balance, files_of

FILES, BYTES = 36, 400 << 10


@pytest.fixture(scope="module")
def c():
    with Disks() as cluster:
        local = os.path.join(cluster.dir, "kept")
        os.mkdir(local)
        cluster.kept = {f"/kept/{i}": random.Random(i).randbytes(BYTES) for i in range(FILES)}
        for name, data in cluster.kept.items():
            with open(local + "/" + os.path.basename(name), "wb") as f:
                f.write(data)
        cluster.fs("-put", local, "/")
        yield cluster


def command_of(c, daemon):
    words = open(f"/proc/{c.pid(daemon)}/cmdline", "rb").read().decode().split("\0")[:-1]
    at = words.index("-ready-fd") if "-ready-fd" in words else len(words)
    return words[:at] + words[at + 2:]


def start(c, words):
    """With the directories it had: `quern up` would write its configuration anew."""
    log = open(os.path.join(c.dir, "log", "datanode1.log"), "a")
    run = subprocess.Popen(words, env=c.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    wait_for(lambda: c.pid("datanode1") == run.pid)
    wait_for(c.is_healthy)
    return run


def bytes_of(dir):
    found = {}
    for path in glob.glob(dir + "/current/finalized/*/*/blk_*"):
        with contextlib.suppress(FileNotFoundError):  # it has just been moved
            found[os.path.basename(path)] = open(path, "rb").read()
    return found


def check_one_of_each(c, a, b):
    """Between them the two directories hold what the other node holds, each file once."""
    wait_for(lambda: not set(bytes_of(a)) & set(bytes_of(b)))
    wait_for(c.is_healthy)
    wait_for(lambda: not [p for dir in (a, b) for what in ("tmp/*", "shift") for p in glob.glob(f"{dir}/current/{what}")])
    here, there = {**bytes_of(a), **bytes_of(b)}, bytes_of(c.first(2))
    assert here == there
    assert c.fs("-cat", *c.kept).stdout == b"".join(c.kept.values())


def make_uneven(c, a, b):
    """All blocks in the first one, and an empty second one."""
    c.configure(1, a)
    c.reload(1)
    wait_for(c.is_healthy)
    wait_for(lambda: c.blocks(c.first(2)) <= c.blocks(a))
    subprocess.run(["rm", "-rf", b], check=True)
    c.configure(1, a, b)
    c.reload(1)


def level(c):
    """Whose directories differ is known once their free space has been looked at."""
    wait_for(lambda: "Bytes to move: " in balance(c, "-plan", "node1", "-thresholdPercentage", "0"))
    c.run("diskbalancer", "-execute", "node1", "-thresholdPercentage", "0")


def test_killed_while_blocks_move_nothing_is_lost_and_nothing_is_twice(c):
    a, b = c.first(1), c.path(1, "level")
    make_uneven(c, a, b)
    words, runs, moved = command_of(c, "datanode1"), [], 0
    for point in ("copied=1", "noted=1", "placed=1", "removed=1", "placed=3", "noted=2", None, None):
        if point:
            c.run("console", "datanode1", "faults", f"dn.shift.{point}:kill")
        pid, before = c.pid("datanode1"), len(c.blocks(b))
        if point:
            level(c)
            wait_for(lambda: c.pid("datanode1") != pid)
        else:
            c.run("diskbalancer", "-execute", "node1", "-thresholdPercentage", "0", check=False)
            wait_for(lambda: len(c.blocks(b)) > before or "UNDER_PROGRESS" not in balance(c, "-query", "node1"), every=0.001)
            c.kill("datanode1")
        for run in runs:
            run.wait()
        runs = [start(c, words)]
        check_one_of_each(c, a, b)
        moved = len(c.blocks(b))
    assert 0 < moved <= FILES // 2 + 1
    c.run("diskbalancer", "-execute", "node1", "-thresholdPercentage", "0", check=False)  # and in the end it is done
    wait_for(lambda: "UNDER_PROGRESS" not in balance(c, "-query", "node1"))
    assert abs(len(c.blocks(a)) - len(c.blocks(b))) <= 1
    check_one_of_each(c, a, b)
    c.kill("datanode1", signal.SIGTERM)
    runs[0].wait(120)
    c.runs = [start(c, words)]


def replace(c, a, b):
    """The blocks of `b` are replaced in `a` while it is away: their names."""
    c.configure(1, a, b)
    c.reload(1)
    wait_for(c.is_healthy)
    gone = c.blocks(b)
    assert gone
    c.configure(1, a)
    c.reload(1)
    wait_for(lambda: gone <= c.blocks(a))
    wait_for(c.is_healthy)
    assert c.blocks(b) == gone
    return gone


def flip(path):
    with open(path, "r+b") as f:
        byte = f.read(1)
        f.seek(0)
        f.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_of_blocks_that_were_replaced_meanwhile_one_stays(c, how):
    """Whichever can be read: of one block the new copy is damaged, of another the old one."""
    a, b = c.first(1), c.path(1, "level")
    if len(c.blocks(b)) < 3:
        c.configure(1, a, b)
        c.reload(1)
        for i in range(8):
            c.kept[f"/kept/{how}{i}"] = c.put(f"/kept/{how}{i}", how + str(i))
    gone = sorted(replace(c, a, b))
    flip(files_of(a, gone[0])[0])
    flip(files_of(b, gone[1])[0])
    words = command_of(c, "datanode1")
    c.configure(1, a, b)
    if how == "reload":
        c.reload(1)
    else:
        pid = c.pid("datanode1")
        c.kill("datanode1")
        for run in c.runs:
            if run.pid == pid:
                run.wait()
        c.runs = [start(c, words)]
    wait_for(lambda: not c.blocks(a) & c.blocks(b))
    assert gone[0] in c.blocks(b) and gone[1] in c.blocks(a)
    check_one_of_each(c, a, b)
    log = c.log(1)
    assert f"{gone[0]}_" in log and "was damaged: the one on" in log and "its other copy on" in log
