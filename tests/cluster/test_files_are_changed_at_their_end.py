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

from cluster import QUERN, Cluster, count_words, output_of, wait_for

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


@pytest.mark.parametrize("before", [0, 511, 513, SMALL - 1, SMALL])
def test_appended_bytes_follow_the_old_ones_at_every_boundary(cluster, before):
    whole = content(before, before)
    path = f"/t/grown{before}"
    put(cluster, path, whole)
    for n in (0, 1, 511, 512, SMALL + 3):
        more = content(n, n + 7)
        append(cluster, path, more)
        whole += more
        assert cat(cluster, path) == whole, n
    lengths = [n for _, n in blocks(cluster, path)]
    assert lengths == [SMALL] * (len(whole) // SMALL) + [len(whole) % SMALL], "blocks are filled up"


def test_new_block_leaves_the_last_one_alone(cluster):
    put(cluster, "/t/n", b"one")
    before = blocks(cluster, "/t/n")
    append(cluster, "/t/n", b"two", "-n")
    assert blocks(cluster, "/t/n")[:1] == before
    append(cluster, "/t/n", b"three")
    assert [n for _, n in blocks(cluster, "/t/n")] == [3, 8]
    assert cat(cluster, "/t/n") == b"onetwothree"


def appender(cluster, path, first, env=None):
    """One that has `first` on the datanodes, and waits for more."""
    run = cluster.popen([QUERN, "fs", "-appendToFile", "-", path], env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    run.stdin.write(first)
    run.stdin.flush()
    return run


def test_readers_see_the_old_file_or_acknowledged_bytes_only(cluster):
    old, new = content(700, 1), content(3 * SMALL, 2)
    put(cluster, "/t/r", old, block=8 * SMALL)
    run = appender(cluster, "/t/r", new[:SMALL])
    seen = b""
    for at in range(SMALL, len(new), SMALL):
        seen = wait_for(lambda: (lambda now: now if len(now) > max(len(seen), len(old)) else None)(cat(cluster, "/t/r")))
        assert (old + new).startswith(seen), "no byte but those that were there or were sent"
        run.stdin.write(new[at:at + SMALL])
        run.stdin.flush()
    _, err = run.communicate()
    assert run.returncode == 0, err
    assert cat(cluster, "/t/r") == old + new


def test_of_two_who_append_one_is_refused(cluster):
    put(cluster, "/t/two", b"before ")
    run = appender(cluster, "/t/two", b"")
    wait_for(lambda: b"/t/two" in cluster.run("admin", "-listOpenFiles").stdout)
    second = append(cluster, "/t/two", b"B", check=False)
    assert second.returncode == 1
    assert re.match(rb"appendToFile: Failed to APPEND_FILE /t/two for client_\w+ on [\d.:]+ because this file lease is currently owned by client_\w+\n$",
                    second.stderr), second.stderr
    cut = cluster.fs("-truncate", "1", "/t/two", check=False)
    assert cut.returncode == 1 and b"Failed to TRUNCATE_FILE /t/two" in cut.stderr
    run.communicate(b"A")
    assert run.returncode == 0 and cat(cluster, "/t/two") == b"before A"


@pytest.mark.parametrize("point", ["client.append.setup", "client.append.switch", "client.write.send", "client.write.finish", "client.write.complete"])
def test_an_appender_killed_anywhere_leaves_the_file_as_it_was_or_longer(cluster, point):
    old, more = content(1300, 3), content(2000, 4)
    path = "/t/" + point
    put(cluster, path, old)
    run = append(cluster, path, more, check=False, env={"QUERN_FAULT": f"{point}=1:kill"})
    assert run.returncode == -signal.SIGKILL
    cluster.run("admin", "-recoverLease", "-path", path, "-retries", "50")
    now = cat(cluster, path)
    assert now == old if point.startswith("client.append") else now.startswith(old) and (old + more).startswith(now)
    append(cluster, path, b"and on")
    assert cat(cluster, path) == now + b"and on"
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", path).stdout)


def replica_files(cluster, block):
    return [os.path.join(base, name) for base, _, names in os.walk(cluster.dir + "/data") for name in names if name == f"blk_{block}"]


def test_a_damaged_replica_is_not_begun_with(cluster):
    old, more = content(5000, 5), content(5000, 6)
    put(cluster, "/t/rot", old)
    (block, _), = blocks(cluster, "/t/rot")
    victims = wait_for(lambda: (lambda found: found if len(found) == 3 else None)(replica_files(cluster, block)))
    for path in victims[:2]:
        with open(path, "r+b") as f:
            f.seek(4000)
            f.write(b"rot")
    append(cluster, "/t/rot", more)
    assert cat(cluster, "/t/rot") == old + more
    wait_for(lambda: len(replica_files(cluster, blocks(cluster, "/t/rot")[0][0])) == 3)
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", "/t/rot").stdout)


def test_a_datanode_that_dies_while_it_copies_is_done_without(cluster):
    old, more = content(5000, 7), content(5000, 8)
    put(cluster, "/t/dies", old)
    cluster.kill("datanode2")
    cluster.up(env={"QUERN_FAULT": "dn.verify=1:kill"})
    wait_for(lambda: b"Live datanodes (3)" in cluster.run("admin", "-report").stdout)
    append(cluster, "/t/dies", more)
    assert cluster.pid("datanode2") is None, "it was asked, and died"
    assert cat(cluster, "/t/dies") == old + more
    cluster.up()
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", "/t/dies").stdout)


def test_the_namenode_may_die_while_somebody_appends(cluster):
    old, more = content(1000, 9), content(SMALL, 10)
    put(cluster, "/t/nn", old)
    run = appender(cluster, "/t/nn", more)
    wait_for(lambda: len(cat(cluster, "/t/nn")) > len(old))
    cluster.kill("namenode")
    cluster.up()
    _, err = run.communicate(b"end")
    assert run.returncode == 0, err
    assert cat(cluster, "/t/nn") == old + more + b"end"


# --- truncate -------------------------------------------------------------------------------------

@pytest.mark.parametrize("length", [0, 1, 512, SMALL, SMALL + 511, 2 * SMALL + 99])
def test_a_cut_file_has_what_it_had_up_to_there(cluster, length):
    whole = content(2 * SMALL + 100, 11)
    path = f"/t/cut{length}"
    put(cluster, path, whole)
    said = cluster.fs("-truncate", "-w", str(length), path).stdout.decode()
    waited = f"Waiting for {path} ...\n" if length % SMALL else ""
    assert said == f"{waited}Truncated {path} to length: {length}\n"
    assert cat(cluster, path) == whole[:length]
    assert int(cluster.fs("-stat", "%b", path).stdout) == length
    append(cluster, path, b"more")
    assert cat(cluster, path) == whole[:length] + b"more"


def test_a_cut_waits_for_datanodes_and_shows_the_old_file_until_then(cluster):
    whole = content(5000, 12)
    put(cluster, "/t/wait", whole)
    wait_for(lambda: len(replica_files(cluster, blocks(cluster, "/t/wait")[0][0])) == 3)
    cluster.kill("datanode1")
    cluster.kill("datanode2")
    said = cluster.fs("-truncate", "777", "/t/wait").stdout.decode()
    assert said == "Truncating /t/wait to length: 777. Wait for block recovery to complete before further updating this file.\n"
    assert cat(cluster, "/t/wait") == whole
    again = cluster.fs("-truncate", "776", "/t/wait", check=False)
    assert again.returncode == 1 and b"because /t/wait is being truncated." in again.stderr
    cluster.kill("namenode")
    cluster.up()
    assert cluster.fs("-truncate", "-w", "777", "/t/wait").stdout.endswith(b"Truncated /t/wait to length: 777\n")
    assert cat(cluster, "/t/wait") == whole[:777]
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", "/t/wait").stdout)


# --- concat ---------------------------------------------------------------------------------------

def test_joined_files_are_read_in_every_way_though_blocks_are_short(cluster):
    cluster.fs("-mkdir", "-p", "/t/j")
    parts = [b"".join(b"%d words of part %d\n" % (i, p) for i in range(2000 * p)) for p in (1, 2, 3)]
    for i, part in enumerate(parts):
        put(cluster, f"/t/j/{i}", part)
    sums = blocks(cluster, "/t/j")
    cluster.fs("-concat", "/t/j/0", "/t/j/1", "/t/j/2")
    whole = b"".join(parts)
    assert cat(cluster, "/t/j/0") == whole
    assert cluster.fs("-ls", "-C", "/t/j").stdout == b"/t/j/0\n"
    assert blocks(cluster, "/t/j/0") == sums, "no byte was copied"
    assert cluster.fs("-tail", "/t/j/0").stdout == whole[-1024:]
    assert cluster.fs("-head", "/t/j/0").stdout == whole[:1024]
    local = os.path.join(cluster.dir, "joined")
    cluster.fs("-get", "/t/j/0", local)
    assert open(local, "rb").read() == whole
    cluster.run("run", "wordcount", "/t/j", "/t/counted", timeout=120)
    assert output_of(cluster, "/t/counted") == count_words([whole])
    cluster.fs("-checksum", "/t/j/0")
    append(cluster, "/t/j/0", b"end\n")
    assert cat(cluster, "/t/j/0") == whole + b"end\n"
    assert b"HEALTHY" in cluster.run("fsck", "/t/j").stdout


@pytest.mark.parametrize("words, says", [
    ([], "Target path not specified. <target path> <src path> <src path> ..."),
    (["/t/c/a", "/t/c/b"], "The number of source paths is less than 2. <target path> <src path> <src path> ..."),
    (["/t/c/none", "/t/c/a", "/t/c/b"], "Target path {fs}/t/c/none does not exist or is not file."),
    (["/t/c/a", "/t/c/b", "/t/c"], "{fs}/t/c does not exist or is not file."),
    (["/t/c/a", "/t/c/b", "/t/c/b"], "concat: at least two of the source files are the same"),
    (["/t/c/a", "/t/c/b", "/t/c/empty"], "concat: source file /t/c/empty is invalid or empty or underConstruction"),
    (["/t/c/a", "/t/c/b", "/t/else"], "Source file /t/else is not in the same directory with the target /t/c/a"),
])
def test_what_cannot_be_joined_is_told(cluster, words, says):
    cluster.fs("-mkdir", "-p", "/t/c")
    for path in ("/t/c/a", "/t/c/b", "/t/else"):
        cluster.fs("-put", "-f", "-", path, input=b"x")
    cluster.fs("-touchz", "/t/c/empty")
    run = cluster.fs("-concat", *words, check=False)
    fs = cluster.run("getconf", "-confKey", "fs.defaultFS").stdout.decode().strip()
    assert (run.returncode, run.stderr.decode()) == (1, f"concat: {says.format(fs=fs)}\n")


def test_in_the_end_nothing_is_left_over(cluster):
    """Every file is whole, and no datanode keeps a block that no file has."""
    wait_for(lambda: b"HEALTHY" in cluster.run("fsck", "/").stdout)
    known = {i for i, _ in blocks(cluster, "/")}

    def on_disk():
        return {int(name[4:]) for base, _, names in os.walk(cluster.dir + "/data") for name in names if re.fullmatch(r"blk_\d+", name)}
    try:
        wait_for(lambda: on_disk() == known)
    except AssertionError:
        raise AssertionError(f"left over: {on_disk() - known}, missing: {known - on_disk()}")
