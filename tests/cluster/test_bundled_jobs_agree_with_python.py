# SPDX-License-Identifier: Apache-2.0
"""Each bundled job against a few lines of Python, over tidy tables, odd ones and none: with splits of several sizes, one reducer
and several, in one thread, in processes and on a cluster. The other four are in test_answers_equal_coreutils.py."""
import collections
import decimal
import glob
import gzip
import math
import os
import random
import subprocess
import zlib

import pytest

from cluster import BUILD, Cluster

TASK = os.path.join(BUILD, "quern-task")


def table(seed, rows, keys):
    rnd = random.Random(seed)
    return b"".join(b"%s\t%s\t%06d\n" % (rnd.choice(keys), rnd.choice([b"%d" % rnd.randrange(-99, 99), b"%.3f" % rnd.gauss(0, 50),
                                                                      b"-0", b"1e3", b"x", b""]), n) for n in range(rows))


KEYS = [b"a", b"b", b"ab", b"", b"a\0", b"\0", b"\0\xff", b"\xff", b"k" * 300, "\u00e4\u20ac".encode(), b"a b"]
TABLES = {
    "tidy": b"".join(b"key%d\t%d\t%d\n" % (n % 97, n * 7919 % 1009, n) for n in range(4000)),
    "odd": table(1, 3000, KEYS),
    "one key": b"k\t1\n" * 3000,
    "one row": b"only\t-5",
    "no tabs": b"just\nsome\n\nlines\nsome\n",
    "nothing": b"",
}


def lines(text):
    cut = text.split(b"\n")
    return cut[:-1] if cut[-1] == b"" else cut


def joined(rows):
    return b"".join(row + b"\n" for row in rows)


def number(text):
    try:
        v = float(text) if text and len(text) < 64 and text.strip() == text and b"_" not in text else math.nan
    except ValueError:
        v = math.nan
    return None if math.isnan(v) else v


def field(line, n):
    fields = line.split(b"\t")
    return fields[n - 1] if n <= len(fields) else None


def secondarysort(files):
    rows = []
    for line in (l for text in files.values() for l in lines(text)):
        second = field(line, 2) or b""
        if second.lstrip(b"-").isdigit() and len(second) - len(second.lstrip(b"-")) < 2:
            rows.append((field(line, 1), int(second)))
    return joined(b"%s\t%d" % row for row in sorted(rows))


def topn(files):
    rows = [(-number(field(l, 2)), l) for text in files.values() for l in lines(text) if number(field(l, 2)) is not None]
    return joined(l for _, l in sorted(rows)[:25])


def dedupe(files):
    best = {}
    for line in (l for path in sorted(files) for l in lines(files[path])):
        order = field(line, 3) or b""
        if field(line, 1) not in best or order >= best[field(line, 1)][0]:
            best[field(line, 1)] = (order, line)
    return joined(best[key][1] for key in sorted(best))


def invertedindex(files):
    counts = collections.Counter((word, path) for path, text in files.items() for word in text.split())
    return joined(b"%s\t%s\t%d" % (word, path.encode(), counts[word, path]) for word, path in sorted(counts))


def histogram(files):
    numbers = [number(field(l, 2)) for text in files.values() for l in lines(text)]
    counts = collections.Counter(math.floor(v / 12.5) * 12.5 for v in numbers if v is not None)
    return joined(b"%s\t%d" % ((b"%d" if low == int(low) else b"%.1f") % low, counts[low]) for low in sorted(counts))


def join(files):
    sides = [collections.defaultdict(list), collections.defaultdict(list)]
    for path in sorted(files):
        for line in lines(files[path]):
            sides[not os.path.basename(path).startswith("l")][field(line, 1)].append(line)
    rows = []
    for key in sorted(set(sides[0]) | set(sides[1])):
        for right in sides[1][key] or [b""]:
            rows += [b"%s\t%s\t%s" % (key, left, right) for left in sides[0][key] or [b""]]
    return joined(rows)


JOBS = {
    "secondarysort": ([], secondarysort),
    "topn": (["-D", "topn.n=25", "-D", "topn.field=2"], topn),
    "dedupe": (["-D", "dedupe.order=3"], dedupe),
    "invertedindex": ([], invertedindex),
    "histogram": (["-D", "histogram.width=12.5", "-D", "histogram.field=2"], histogram),
    "join": (["-D", "join.left={dir}/l", "-D", "join.type=full"], join),
}


def inputs_of(text):
    """Left and right file, for a join's sake: the second half may lack a key of the first."""
    rows = lines(text)
    return {"left": joined(rows[:len(rows) // 2])[:400], "right": joined(rows[len(rows) // 2:])}


def local(*args):
    done = subprocess.run([TASK, "-local", *map(str, args)], capture_output=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


def parts(out):
    return [open(p, "rb").read() for p in sorted(glob.glob(f"{out}/part-*"))]


def plugin(job):
    return os.path.join(BUILD, "jobs", job + ".so")


@pytest.mark.parametrize("job", JOBS)
def test_without_a_cluster_however_it_is_cut(job, tmp_path):
    options, want = JOBS[job]
    for n, text in enumerate(TABLES.values()):
        home = tmp_path / str(n)
        home.mkdir()
        files = inputs_of(text)
        for name, content in files.items():
            (home / name).write_bytes(content)
        said = [o.format(dir=home) for o in options]
        expected = want({f"{home}/{name}": content for name, content in files.items()})
        for extra in (["-D", "local.inprocess=true", "-reduces", "1"],
                      ["-D", f"mapreduce.input.fileinputformat.split.maxsize={len(text) // 5 + 1}", "-reduces", "1"],
                      ["-D", "mapreduce.input.fileinputformat.split.maxsize=900", "-D", "local.inprocess=true", "-reduces", "3"]):
            out = home / f"out{len(os.listdir(home))}"
            local(*extra, *said, plugin(job), home / "left", home / "right", out)
            got = parts(out)
            if "3" in extra:
                assert sorted(lines(b"".join(got))) == sorted(lines(expected)), (n, extra)
            else:
                assert got == [expected], (n, extra)


def test_a_sample_is_the_same_every_time_and_as_large_as_asked(tmp_path):
    (tmp_path / "in").write_bytes(b"".join(b"%d\n" % n for n in range(20000)))
    taken = []
    for p, size, seed in ((0.1, 5000, 1), (0.1, 50000, 1), (0.1, 50000, 2), (0, 50000, 1), (1, 50000, 1)):
        out = tmp_path / str(len(os.listdir(tmp_path)))
        local("-D", "local.inprocess=true", "-D", f"sample.probability={p}", "-D", f"sample.seed={seed}",
              "-D", f"mapreduce.input.fileinputformat.split.maxsize={size}", plugin("sample"), tmp_path / "in", out)
        taken.append(lines(b"".join(parts(out))))
    assert taken[0] == taken[1] != taken[2]
    assert 1700 < len(taken[1]) < 2300 and 1700 < len(taken[2]) < 2300
    assert taken[3] == [] and len(taken[4]) == 20000


@pytest.mark.parametrize("distinct", (0, 1, 100, 10000, 200000))
def test_about_how_many_distinct_lines(distinct, tmp_path):
    (tmp_path / "in").write_bytes(b"".join(b"line %d\n" % (n % distinct) for n in range(distinct * 2)))
    local("-D", "mapreduce.input.fileinputformat.split.maxsize=400000", plugin("approxdistinct"), tmp_path / "in", tmp_path / "out")
    got = int(b"".join(parts(tmp_path / "out")))
    assert abs(got - distinct) <= distinct * 0.03, (got, distinct)


def test_what_options_do_not_mean_is_told(tmp_path):
    (tmp_path / "in").write_bytes(b"a\t1\n")
    for job, option, said in (("topn", "topn.n=0", "whole numbers from 1"), ("sample", "sample.probability=2", "no number from 0 to 1"),
                              ("histogram", "histogram.width=-1", "no number above 0"), ("join", "join.type=cross", "inner, left, right or full"),
                              ("dedupe", "dedupe.key=0", "from 1 up")):
        more = ["-D", "join.left=/x"] if job == "join" else []
        done = subprocess.run([TASK, "-local", "-D", option, *more, plugin(job), tmp_path / "in", tmp_path / "out"],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and said in done.stderr, (job, done.stderr)


def rows_of_the_benchmark(count):
    """As sortbenchmark.org describes them: x' = a x + c modulo 2^128."""
    x = 0
    for n in range(count):
        x = (x * 0x2360ed051fc65da44385df649fccf645 + 0x4a696d47726179524950202020202001) % (1 << 128)
        yield (x.to_bytes(16, "big")[:10] + b"\0\x11" + b"%032X" % n + b"\x88\x99\xaa\xbb"
               + b"".join(bytes([c]) * 4 for c in b"%012X" % (x % (1 << 48))) + b"\xcc\xdd\xee\xff")


def test_rows_of_the_sort_benchmark_are_made_sorted_and_validated(tmp_path):
    rows = list(rows_of_the_benchmark(3001))
    total = sum(zlib.crc32(row) for row in rows)
    split = ["-D", "mapreduce.input.fileinputformat.split.maxsize=70001"]
    local("-D", "teragen.rows=3001", "-D", "mapreduce.job.maps=4", plugin("teragen"), tmp_path / "rows")
    assert b"".join(parts(tmp_path / "rows")) == b"".join(rows) and len(parts(tmp_path / "rows")) == 4
    local(*split, "-reduces", "3", plugin("terasort"), tmp_path / "rows", tmp_path / "sorted")
    assert b"".join(parts(tmp_path / "sorted")) == b"".join(sorted(rows)) and len(parts(tmp_path / "sorted")) == 3
    sizes = [len(part) for part in parts(tmp_path / "sorted")]
    assert max(sizes) <= 1.2 * min(sizes), "ranges that a sample cut"
    local(*split, plugin("teravalidate"), tmp_path / "sorted", tmp_path / "good")
    assert parts(tmp_path / "good") == [b"rows\t3001\nchecksum\t%x\n" % total]
    local("-D", "local.inprocess=true", plugin("teravalidate"), tmp_path / "rows", tmp_path / "bad")
    said = lines(parts(tmp_path / "bad")[0])
    assert said[-2:] == [b"rows\t3001", b"checksum\t%x" % total] and said[0].startswith(b"misorder\t") and b" rows behind a larger one" in said[0]
    local("-D", "teragen.rows=0", plugin("teragen"), tmp_path / "none")
    (tmp_path / "crooked").write_bytes(b"x" * 250)
    for words, said in ((["-D", "teragen.rows=3x", plugin("teragen"), tmp_path / "no"], "no number of rows"),
                        ([plugin("teragen"), tmp_path / "no"], "teragen.rows"),
                        (["-D", "teragen.rows=3", plugin("teragen"), tmp_path / "rows", tmp_path / "no"], "makes its own input"),
                        ([plugin("terasort"), tmp_path / "crooked", tmp_path / "no"], "no whole number of records of 100"),
                        ([plugin("terasort"), tmp_path / "no"], "INPUT... OUTPUT are wanted")):
        done = subprocess.run([TASK, "-local", *map(str, words)], capture_output=True, text=True, timeout=60)
        assert done.returncode in (1, 2) and said in done.stderr, (words, done.stderr)


def halton(n, base):
    x, digit = 0.0, 1.0
    while n:
        digit /= base
        x += n % base * digit
        n //= base
    return x


def test_jobs_that_make_their_own_rows_do_so_however_they_are_cut(tmp_path):
    for maps in (1, 7):
        cut = ["-D", "local.inprocess=true", "-D", f"mapreduce.job.maps={maps}"]
        inside = sum((halton(n, 2) - .5) ** 2 + (halton(n, 3) - .5) ** 2 <= .25 for n in range(1, 3001))
        local(*cut, "-D", "pi.rows=3000", plugin("pi"), tmp_path / f"pi{maps}")
        assert parts(tmp_path / f"pi{maps}") == [f"Estimated value of Pi is {decimal.Decimal(4 * inside) / 3000:.20f}\n".encode()]
        local(*cut, "-D", "randomtextwriter.rows=500", plugin("randomtextwriter"), tmp_path / f"words{maps}")
        local(*cut, "-D", "sleep.rows=3", "-D", "sleep.map.ms=1", "-reduces", "2", plugin("sleep"), tmp_path / f"slept{maps}")
        assert not any(parts(tmp_path / f"slept{maps}"))
    made = [b"".join(parts(tmp_path / f"words{maps}")) for maps in (1, 7)]
    assert made[0] == made[1] and len(lines(made[0])) == 500
    for line in lines(made[0]):
        key, value = line.split(b"\t")
        assert 5 <= len(key.split()) <= 9 and 20 <= len(value.split()) <= 99 and line.replace(b"\t", b"").replace(b" ", b"").isalpha()
    assert 300 < len(set(made[0].split())) <= 1000


COMPRESS = "mapreduce.output.fileoutputformat.compress"


@pytest.mark.parametrize("codec,suffix", [(None, ".gz"), ("gzip", ".gz"), ("zstd", ".zst"), ("lz4", ".lz4"), ("org.apache.hadoop.io.compress.BZip2Codec", ".bz2")])
def test_output_is_packed_and_can_be_read_again(tmp_path, codec, suffix):
    text = b"".join(b"row %d of some\n" % (n * 7919 % 5003) for n in range(20000))
    (tmp_path / "in").write_bytes(text)
    how = ["-D", COMPRESS + "=true"] + (["-D", f"{COMPRESS}.codec={codec}"] if codec else [])
    local(*how, "-reduces", "2", plugin("sort"), tmp_path / "in", tmp_path / "sorted")
    assert sorted(os.listdir(tmp_path / "sorted")) == ["_MANIFEST", "_SUCCESS", "part-r-00000" + suffix, "part-r-00001" + suffix]
    assert 10 < sum(len(part) for part in parts(tmp_path / "sorted")) < len(text) / 3
    for line in (tmp_path / "sorted" / "_MANIFEST").read_text().splitlines():
        name, size = line.split("\t")[:2]
        assert (tmp_path / "sorted" / name).stat().st_size == int(size)
    local("-reduces", "1", plugin("sort"), tmp_path / "sorted", tmp_path / "again")
    assert b"".join(parts(tmp_path / "again")) == b"".join(sorted(text.splitlines(keepends=True)))


def crooked_lines():
    """Each begins alike, and they crowd at one end: whoever knows nothing of them shares them out badly."""
    rnd = random.Random(8)
    return b"".join(b"the same beginning %09d\n" % (rnd.random() ** 4 * 10**9) for _ in range(20000))


@pytest.mark.parametrize("pack", ["plain", "gzip"])
def test_each_reducer_gets_a_range_of_lines_and_about_as_many(tmp_path, pack):
    text = crooked_lines()
    half = text.index(b"\n", len(text) // 2) + 1
    (tmp_path / "in").mkdir()
    for name, part in (("a", text[:half]), ("b", text[half:])):
        (tmp_path / "in" / name).write_bytes(gzip.compress(part) if pack == "gzip" else part)
    for driver in ("false", "true"):
        out = tmp_path / driver
        local("-D", f"local.inprocess={driver}", "-reduces", "7", plugin("sort"), tmp_path / "in", out)
        assert b"".join(parts(out)) == b"".join(sorted(text.splitlines(keepends=True)))
        sizes = [len(part) for part in parts(out)]
        assert len(sizes) == 7 and max(sizes) < 1.5 * min(sizes), sizes


def test_on_a_cluster_the_same():
    with Cluster(datanodes=2, workers=2) as c:
        c.fs("-mkdir", "-p", "/in")
        files = inputs_of(TABLES["odd"])
        for name, text in files.items():
            c.fs("-put", "-", f"/in/{name}", input=text)
        runs = {}
        for job, (options, want) in JOBS.items():
            runs[job] = c.start("run", *[o.format(dir="/in") for o in options], "-reduces", "2", job, "/in", f"/out/{job}")
        for job, run in runs.items():
            assert run.communicate(timeout=60) and run.returncode == 0, job
            want = JOBS[job][1]({f"/in/{name}": text for name, text in files.items()})
            assert sorted(lines(c.fs("-cat", f"/out/{job}/part-*").stdout)) == sorted(lines(want)), job
        made = c.run("run", "-D", "teragen.rows=20k", "-D", "mapreduce.job.maps=3", "teragen", "/rows")
        assert c.fs("-cat", "/rows/part-*").stdout == b"".join(rows_of_the_benchmark(20000)), made.stderr
        c.run("run", "-reduces", "2", "terasort", "/rows", "/sorted")
        assert c.fs("-cat", "/sorted/part-*").stdout == b"".join(sorted(rows_of_the_benchmark(20000)))
        text = crooked_lines()
        c.fs("-put", "-", "/crooked", input=text)
        c.run("run", "-reduces", "4", "sort", "/crooked", "/straight")
        parts_of = [c.fs("-cat", f"/straight/part-r-{n:05d}").stdout for n in range(4)]
        assert b"".join(parts_of) == b"".join(sorted(text.splitlines(keepends=True)))
        assert max(map(len, parts_of)) < 1.3 * min(map(len, parts_of)), list(map(len, parts_of))
        c.run("run", "-D", COMPRESS + "=true", "-D", COMPRESS + ".codec=zstd", "-D", "randomtextwriter.rows=2000", "-D", "mapreduce.job.maps=2",
              "randomtextwriter", "/packed")
        assert b"".join(c.fs("-text", "/packed/part-*").stdout.splitlines(keepends=True)).count(b"\n") == 2000
        assert b"part-m-00001.zst" in c.fs("-ls", "/packed").stdout
        for words, said in ((["teragen", "/x"], b"teragen needs -D teragen.rows"), (["-D", "teragen.rows=1", "teragen", "/rows", "/x"], b"makes its own input"),
                            (["-D", "teragen.rows=", "teragen", "/x"], b"no number of rows")):
            run = c.run("run", *words, check=False)
            assert run.returncode in (1, 2) and said in run.stderr and len(run.stderr.splitlines()) == 1, run.stderr
