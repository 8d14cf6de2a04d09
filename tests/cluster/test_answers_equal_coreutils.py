# SPDX-License-Identifier: Apache-2.0
"""Text that nobody would write, counted, searched, sorted and made distinct: by a cluster whose blocks and splits end at every
place of a record, by the local driver in processes and in one thread; and by coreutils, or Python where they would need help."""
import collections
import glob
import os
import random
import subprocess

import pytest

from cluster import BUILD, Cluster

TASK = os.path.join(BUILD, "quern-task")
ENV = dict(os.environ, LC_ALL="C")
BLOCK = 1 << 20


def noise(seed, size, letters):
    rnd = random.Random(seed)
    return bytes(rnd.choices(letters, k=size))


def around_a_block_end():
    """A megabyte of lines, and a record that begins at each of some bytes around its end."""
    files = {}
    for shift in range(-4, 5):
        body = b"".join(b"%07d x\n" % i for i in range(BLOCK // 10))[:BLOCK - 40]
        body = body[:body.rindex(b"\n") + 1]
        body += b"y" * (BLOCK + shift - len(body) - 1) + b"\n" + b"first of its block\n\nlast"
        files["shift%d" % (shift + 4)] = body
    return files


TEXTS = {
    "nothing": b"",
    "one newline": b"\n",
    "newlines": b"\n" * 1000,
    "no newline": b"a b  a",
    "spaces": b"  \t \v\f  \n \n\t\n",
    "returns": b"a b\r\nb\r\r\n\ra\n\r\n" * 50,
    "zeros": b"a\0b a\0b\n\0\0 \0\na\0\n" * 40,
    "not utf-8": noise(1, 4000, b"\xff\xfe\xc3\x28\xa0\xf0\x9f\x98 \n"),
    "every byte": bytes(range(256)) * 20,
    "noise": noise(2, 30000, bytes(range(256))),
    "few letters": noise(3, 20000, b"ab \n\r\0"),
    "one key": b"same\n" * 20000,
    "all distinct": b"".join(b"%06d\n" % (i * 7919 % 100003) for i in range(30000)),
    "long words": b"".join(bytes([c]) * 100_000 + b" " for c in b"abcabc") + b"\n",
    "long lines": (b"q" * 3_000_000 + b"\n" + b"w " * 1_500_000 + b"\n") + b"end",
    "prefixes": b"".join(b"a" * n + b"\n" + b"a" * n + b"\0\n" for n in range(40)),
}


def lines(text):
    cut = text.split(b"\n")
    return cut[:-1] if cut[-1] == b"" else cut


def counted(items):
    counts = collections.Counter(items)
    return b"".join(b"%s\t%d\n" % (k, counts[k]) for k in sorted(counts))


def matches(text):
    run = subprocess.run(["grep", "-aoE", "[ab]+[^ab ]?"], input=text, capture_output=True, env=ENV)
    assert run.returncode in (0, 1), run.stderr
    return lines(run.stdout)


JOBS = {
    "wordcount": ([], lambda text: counted(text.split())),
    "sort": ([], lambda text: b"".join(l + b"\n" for l in sorted(lines(text)))),
    "distinct": ([], lambda text: b"".join(l + b"\n" for l in sorted(set(lines(text))))),
    "grep": (["-D", "grep.pattern=[ab]+[^ab ]?"], lambda text: counted(matches(text))),
}


def split(size):
    return ["-D", f"mapreduce.input.fileinputformat.split.maxsize={size}"]


def local(*args):
    done = subprocess.run([TASK, "-local", *map(str, args)], capture_output=True, timeout=120, env=ENV)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


def parts(out):
    return b"".join(open(p, "rb").read() for p in sorted(glob.glob(f"{out}/part-*")))


def plugin(job):
    return os.path.join(BUILD, "jobs", job + ".so")


@pytest.mark.parametrize("job", JOBS)
def test_in_one_thread_with_a_split_of_any_size(job, tmp_path):
    options, want = JOBS[job]
    for n, (name, text) in enumerate(TEXTS.items()):
        (tmp_path / "in").write_bytes(text)
        for size in (len(text) // 7 + 1,):
            out = tmp_path / f"{n}-{size}"
            local("-D", "local.inprocess=true", *options, *split(size), "-reduces", "1", plugin(job), tmp_path / "in", out)
            assert parts(out) == want(text), (name, size)


@pytest.mark.parametrize("job", JOBS)
def test_in_processes_with_splits_that_end_at_every_byte(job, tmp_path):
    options, want = JOBS[job]
    text = b"ab a\r\n\n\0b \xff\n\nb aa\nab"
    (tmp_path / "in").write_bytes(text)
    for size in (1, 2, 3, 5, 7, 11):
        local(*options, *split(size), "-reduces", "1", plugin(job), tmp_path / "in", tmp_path / str(size))
        assert parts(tmp_path / str(size)) == want(text), size


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=3) as c:
        c.fs("-mkdir", "-p", "/in", "/ends")
        for n, text in enumerate(TEXTS.values()):
            c.fs("-D", f"dfs.blocksize={BLOCK}", "-put", "-", f"/in/{n:02d}", input=text)
        for name, text in around_a_block_end().items():
            c.fs("-D", f"dfs.blocksize={BLOCK}", "-put", "-", f"/ends/{name}", input=text)
        yield c


def answer(c, out):
    return c.fs("-cat", out + "/part-*").stdout


@pytest.mark.parametrize("job", JOBS)
def test_by_a_cluster_each_text_alone_and_all_together(cluster, job):
    options, want = JOBS[job]
    runs = []
    for n, text in enumerate(TEXTS.values()):
        out = f"/out/{job}/{n}"
        runs.append((cluster.start("run", *options, "-reduces", "1", job, f"/in/{n:02d}", out), out, text))
        if n % 4 == 3 or n == len(TEXTS) - 1:
            for run, path, one in runs:
                assert run.communicate(timeout=120) and run.returncode == 0
                assert answer(cluster, path) == want(one), path
            runs = []
    # What stands last without a newline is a line of its own, also before the next file.
    everything = b"".join(l + b"\n" for text in TEXTS.values() for l in lines(text))
    cluster.run("run", *options, *split("300k"), "-reduces", "1", job, "/in", f"/out/{job}/all")
    assert answer(cluster, f"/out/{job}/all") == want(everything)


@pytest.mark.parametrize("job", JOBS)
def test_records_cross_the_end_of_a_block_at_every_byte(cluster, job):
    options, want = JOBS[job]
    everything = b"".join(l + b"\n" for text in around_a_block_end().values() for l in lines(text))
    cluster.run("run", *options, "-reduces", "1", job, "/ends", f"/out/{job}/ends")
    assert answer(cluster, f"/out/{job}/ends") == want(everything)


def test_the_bytes_are_the_same_on_one_node_and_on_three(cluster):
    with Cluster(datanodes=1, workers=1) as one:
        one.fs("-mkdir", "-p", "/in")
        for n, text in enumerate(TEXTS.values()):
            one.fs("-D", f"dfs.blocksize={BLOCK}", "-put", "-", f"/in/{n:02d}", input=text)
        for job, (options, _) in JOBS.items():
            for c in (one, cluster):
                c.run("run", *options, *split("500k"), "-reduces", "3", job, "/in", f"/same/{job}", timeout=400)
            for part in range(3):
                a, b = (c.fs("-cat", f"/same/{job}/part-r-{part:05d}").stdout for c in (one, cluster))
                assert a == b, (job, part)


@pytest.mark.parametrize("memory", ["512", "16"])
def test_keys_and_values_of_every_awkward_kind(cluster, memory):
    """Empty ones, zeros, newlines and tabs in them, a megabyte and more; also where little memory makes them spill."""
    giant = lambda kind, n=1 << 20: bytes([ord("a") + kind]) * n
    pairs = {b"0": (b"", b""), b"1": (b"", b"v"), b"2": (b"\0", b"\0\0"), b"3": (b"\0\0", b""), b"4": (b"a\nb\tc", b"\n"), b"5": (giant(5), b"x"),
             b"6": (giant(6), b"x"), b"7": (b"big", giant(7, (1 << 20) + 1)), b"8": (b"\xff\xfe", b"i")}
    kinds = [k for k in sorted(pairs) for _ in range(3)]
    random.Random(memory).shuffle(kinds)
    cluster.fs("-put", "-f", "-", "/odd", input=b"".join(k + b"\n" for k in kinds))
    cluster.run("run", "-reduces", "1", *split(7), "-D", f"mapreduce.map.memory.mb={memory}m", "-D", f"mapreduce.reduce.memory.mb={memory}m",
                os.path.join(BUILD, "tests", "jobs", "odd.so"), "/odd", f"/out/odd-{memory}")
    # Values of one key come in the order in which they were emitted; here the two of the empty key are mixed.
    got = answer(cluster, f"/out/odd-{memory}")
    empty = [pairs[k][1] for k in kinds if k in b"01"]
    want = b"".join(b"\t" + v + b"\n" for v in empty)
    want += b"".join(key + b"\t" + value + b"\n" for key, value in sorted(v for k, v in pairs.items() if k not in b"01") for _ in range(3))
    assert got == want
