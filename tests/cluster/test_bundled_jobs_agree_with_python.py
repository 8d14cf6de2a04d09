# SPDX-License-Identifier: Apache-2.0
"""Each bundled job against a few lines of Python (bundled.py), over tidy tables, odd ones and none: with splits of several sizes, one
reducer and several, inputs packed and plain, in one thread, in processes and on a cluster. wordcount, sort, distinct and grep meet
coreutils, too, in test_answers_equal_coreutils.py."""
import decimal
import glob
import gzip
import json
import os
import random
import subprocess
import zlib

import pytest

from bundled import JOBS, TABLES, inputs_of, lines, pagerank
from cluster import BUILD, QUERN, Cluster

TASK = os.path.join(BUILD, "quern-task")


def local(*args):
    done = subprocess.run([TASK, "-local", *map(str, args)], capture_output=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


def parts(out):
    return [open(p, "rb").read() for p in sorted(glob.glob(f"{out}/part-*"))]


def plugin(job):
    return os.path.join(BUILD, "jobs", job + ".so")


SPLIT = "mapreduce.input.fileinputformat.split.maxsize"
ONE_THREAD = ["-D", "local.inprocess=true"]
# How a job runs; each table meets one of them, each job all.
CUTS = (
    lambda size: ["-reduces", "1", *ONE_THREAD],
    lambda size: ["-reduces", "1", "-D", f"{SPLIT}={size // 4 + 1}"],
    lambda size: ["-reduces", "3", *ONE_THREAD, "-D", f"{SPLIT}={size // 9 + 1}"],
    lambda size: ["-reduces", "1", *ONE_THREAD, "-D", f"{SPLIT}={size // 20 + 11}"],
    lambda size: ["-reduces", "2", *ONE_THREAD, "packed"],
)


def write_inputs(home, files, packed, side):
    home.mkdir()
    for name, content in files.items():
        (home / name).write_bytes(gzip.compress(content, 1) if packed and name != side else content)


@pytest.mark.parametrize("name", JOBS)
def test_without_a_cluster_however_it_is_cut(name, tmp_path):
    job = JOBS[name]
    for n, (kind, text) in enumerate(TABLES.items()):
        home, files = tmp_path / str(n), inputs_of(text)
        how = CUTS[(n + len(name)) % len(CUTS)](len(text))
        write_inputs(home, files, "packed" in how, job.side)
        said = [o.format(dir=home) for o in job.options] + (["-file", home / job.side] if job.side else [])
        want = job.want({f"{home}/{file}": content for file, content in files.items()})
        local(*(word for word in how if word != "packed"), *said, plugin(job.plugin), home / "left", home / "right", home / "out")
        got = b"".join(parts(home / "out"))
        if how[1] == "1" and not job.side:
            assert got == want, (kind, how)
        else:
            assert sorted(lines(got)) == sorted(lines(want)), (kind, how)


# A fifth of what it is about in small: records of 100 MB where a task has 512 MB.
@pytest.mark.parametrize("name", [name for name in JOBS if name not in ("grep", "grep, a group", "invertedindex", "stream", "stream, programs")])
def test_records_of_a_fifth_of_the_memory(name, tmp_path):
    job = JOBS[name]
    long = 6_500_000
    files = {"left": b"k\t" + b"x" * long + b"\nb\t-5\n" + b"y" * long, "right": b"k\t" + b"z" * long + b"\nk\t5\nb\t6\n"}
    write_inputs(tmp_path / "in", files, False, None)
    said = [o.format(dir=tmp_path / "in") for o in job.options] + (["-file", tmp_path / "in" / job.side] if job.side else [])
    local("-D", "mapreduce.map.memory.mb=32m", "-D", "mapreduce.reduce.memory.mb=32m", "-reduces", "1", *said, plugin(job.plugin),
          tmp_path / "in" / "left", tmp_path / "in" / "right", tmp_path / "out")
    got, want = b"".join(parts(tmp_path / "out")), job.want({f"{tmp_path}/in/{file}": text for file, text in files.items()})
    assert (sorted(lines(got)) == sorted(lines(want))) if job.side else got == want


def test_iterations_go_on_from_what_the_one_before_made(tmp_path):
    rnd = random.Random(11)
    links = b"".join(b"p%d\tp%d\n" % (rnd.randrange(200), int(rnd.random() ** 3 * 300)) for _ in range(2000))
    (tmp_path / "links").write_bytes(b"# from\tto\n" + links)
    for steps, more in ((1, []), (2, ["-reduces", "1"]), (5, ["-reduces", "3", "-D", f"{SPLIT}=4000"])):
        out = tmp_path / f"ranks{steps}"
        done = subprocess.run([QUERN, "run", "-jt", "local", "-iterate", str(steps), *more, "pagerank", tmp_path / "links", out], capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        want = pagerank({"links": (tmp_path / "links").read_bytes()}, steps)
        assert sorted(lines(b"".join(parts(out)))) == lines(want), steps
    assert sorted(os.listdir(tmp_path)) == ["links", "ranks1", "ranks2", "ranks5"], "what was made on the way is gone"
    for words, said in ((["-iterate", "0", "pagerank", "a", "b"], "a number from 1"), (["-iterate", "2", "teragen", "out"], "needs INPUT... and OUTPUT"),
                        (["-iterate", "2", "-detach", "sort", "a", "b"], "-detach leaves one job"),
                        (["-iterate", "3", "-D", "pagerank.damping=2", "pagerank", tmp_path / "links", tmp_path / "bad"], "that was step 1 of 3")):
        done = subprocess.run([QUERN, "run", "-jt", "local", *map(str, words)], capture_output=True, text=True, timeout=120)
        assert done.returncode in (1, 2) and said in done.stderr, done.stderr
    assert not os.path.exists(tmp_path / "bad")


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


WRONG = [
    ("topn", ["topn.n=0"], 'topn.n = "0": a whole number from 1 to'),
    ("topn", ["topn.field=1x"], 'topn.field = "1x": a whole number from 1 to'),
    ("sample", ["sample.probability=2"], 'sample.probability = "2": a number from 0 to 1'),
    ("sample", ["sample.seed=chance"], 'sample.seed = "chance": a whole number from 0 up'),
    ("histogram", ["histogram.width=-1"], 'histogram.width = "-1": a number from 0 to'),
    ("histogram", ["histogram.width=0"], "histogram.width is 0"),
    ("histogram", ["histogram.field=name"], 'histogram.field = "name": a whole number from 1 up'),
    ("join", ["join.left=/x", "join.type=cross"], 'join.type = "cross": one of these is wanted: inner left right full'),
    ("join", ["join.left=/x", "join.left.field=-1"], 'join.left.field = "-1": a whole number from 1 up'),
    ("hashjoin", ["hashjoin.left=in", "hashjoin.right.field=99999999999999999999999"], "a whole number from 1 up"),
    ("hashjoin", ["hashjoin.left=in", "hashjoin.type=left"], 'hashjoin.type = "left": one of these is wanted: inner right'),
    ("hashjoin", ["hashjoin.left=elsewhere"], 'hashjoin.left = "elsewhere": the name of a file that comes with the job is wanted (-file PATH#elsewhere)'),
    ("dedupe", ["dedupe.key=0"], 'dedupe.key = "0": a whole number from 1 up'),
    ("dedupe", ["dedupe.order=1.5"], 'dedupe.order = "1.5": a whole number from 1 up'),
    ("upsert", ["upsert.changes=/x", "upsert.key="], 'upsert.key = "": a whole number from 1 up'),
    ("topwords", ["topwords.n=-1"], 'topwords.n = "-1": a whole number from 1 up'),
    ("pagerank", ["pagerank.step=first"], 'pagerank.step = "first": a whole number from 0 up'),
    ("approxdistinct", ["approxdistinct.of=letters"], "one of these is wanted: lines words"),
    ("secondarysort", ["secondarysort.descending=1"], "one of these is wanted: false true"),
    ("grep", ["grep.pattern=a", "grep.ignore.case=maybe"], 'grep.ignore.case = "maybe": one of these is wanted: false true'),
    ("grep", ["grep.pattern=(a)b", "grep.group=2"], 'grep.group = "2": a whole number from 0 to 1 is wanted'),
    ("sleep", ["sleep.map.ms=-1"], 'sleep.map.ms = "-1": a whole number from 0 to'),
    ("dfsiowrite", ["dfsiowrite.rows=1", "dfsio.size=big"], 'dfsio.size = "big" is no number of bytes'),
    ("randomwriter", ["randomwriter.rows=1", "randomwriter.key.min=9", "randomwriter.key.max=3"], "a .min is larger than its .max"),
    ("join", [], "which side is "),
    ("stream", ["stream.num.map.output.key.fields=x"], 'stream.num.map.output.key.fields = "x": a whole number from 0 up'),
]
WITHOUT_INPUT = ("sleep", "dfsiowrite", "randomwriter")


@pytest.mark.parametrize("job, options, said", WRONG)
def test_what_options_do_not_mean_is_told_before_the_job_is_submitted(job, options, said, tmp_path):
    (tmp_path / "in").write_bytes(b"a\t1\n")
    more = [] if job in WITHOUT_INPUT else [tmp_path / "in"]
    for words in (["-jt", "local", job, *more, tmp_path / "out"], ["-jt", "127.0.0.1:1", job, *more, "/out"]):
        done = subprocess.run([QUERN, "run", *(w for o in options for w in ("-D", o)), *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1, (job, done.stderr)
    assert os.listdir(tmp_path) == ["in"]


def test_options_of_each_job_of_a_chain_are_looked_at(tmp_path):
    done = subprocess.run([QUERN, "run", "-jt", "local", "-chain", "wordcount,topn", "-D", "topn.n=x", tmp_path, tmp_path / "out"],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, 'quern run: topn.n = "x": a whole number from 1 to 99999999 is wanted\n')


@pytest.mark.parametrize("job, options, said", WRONG)
def test_what_options_do_not_mean_is_told(job, options, said, tmp_path):
    """Not taken for the number or the word it begins with, nor for none: the job would do something else and say it is done."""
    (tmp_path / "in").write_bytes(b"a\t1\n")
    more = [] if job in WITHOUT_INPUT else ["-file", tmp_path / "in", tmp_path / "in"]
    done = subprocess.run([TASK, "-local", *(w for o in options for w in ("-D", o)), *more[:2], plugin(job), *more[2:], tmp_path / "out"],
                          capture_output=True, text=True, timeout=120)
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
        done = subprocess.run([TASK, "-local", *map(str, words)], capture_output=True, text=True, timeout=120)
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
            with open(f"{c.dir}/{name}", "wb") as f:
                f.write(text)
        for some in (list(JOBS)[:8], list(JOBS)[8:]):
            runs = {}
            for name in some:
                job = JOBS[name]
                said = [o.format(dir="/in") for o in job.options] + (["-file", f"{c.dir}/{job.side}"] if job.side else [])
                runs[name] = c.start("run", *said, "-reduces", "2", job.plugin, "/in", "/out/" + name.replace(" ", ""))
            for name, run in runs.items():
                assert run.communicate(timeout=120) and run.returncode == 0, name
                want = JOBS[name].want({f"/in/{file}": text for file, text in files.items()})
                assert sorted(lines(c.fs("-cat", f"/out/{name.replace(' ', '')}/part-*").stdout)) == sorted(lines(want)), name
        c.run("run", "-iterate", "3", "pagerank", "/in", "/ranks")
        assert sorted(lines(c.fs("-cat", "/ranks/part-*").stdout)) == sorted(lines(pagerank(files, 3)))
        assert b"-step-" not in c.fs("-ls", "/").stdout
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
        bench = c.run("bench", "-size", "1m", "-files", "2", "--json")
        rows = {row["name"]: row for row in json.loads(bench.stdout)}
        assert list(rows) == ["empty job", "dfsio write", "dfsio read", "teragen", "terasort", "teravalidate", "wordcount", "grep", "sort"]
        assert rows["dfsio read"]["bytes"] == 1 << 20 and rows["terasort"]["bytes"] == (1 << 20) // 100 * 100 and rows["sort"]["seconds"] > 0
        assert c.fs("-ls", "/benchmarks").stdout == b"" and b"MiB/s a task" in c.run("bench", "dfsio", "-size", "1m", "-keep").stdout
        for words, said in ((["-only", "grep,nonsense"], b"-only nonsense: no such job"), (["-size", "7"], b"a size from 1m up"), ([], b"exists already"),
                            (["-fles", "2"], b"no option -fles"), (["wordcuont"], b"-only wordcuont: no such job (did you mean wordcount?)"),
                            (["sort", "grep"], b'"grep" behind "sort": the jobs are one word')):
            run = c.run("bench", *words, check=False)
            assert run.returncode in (1, 2) and said in run.stderr and not run.stdout, run.stderr
