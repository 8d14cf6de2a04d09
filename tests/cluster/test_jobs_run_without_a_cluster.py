# SPDX-License-Identifier: Apache-2.0
"""The local driver: the cluster's own map, run and reduce objects in processes of one machine, or in
one thread. What they say is compared with coreutils, awk and Python; what breaks is told."""
import collections
import glob
import os
import random
import re
import subprocess

import pytest

from cluster import BUILD, ROOT, is_over, tree_of, wait_for

TASK = os.path.join(BUILD, "quern-task")
TEXTS = sorted(p for p in glob.glob("/usr/share/common-licenses/*") if os.path.isfile(p) and not os.path.islink(p))
ENV = dict(os.environ, LC_ALL="C")


def job(name):
    for folder in ("jobs", "tests/jobs"):
        path = os.path.join(BUILD, folder, name + ".so")
        if os.path.exists(path):
            return path
    raise AssertionError(f"no job {name} in {BUILD}")


def run(*args, code=0, timeout=120, env=None):
    done = subprocess.run([TASK, "-local", *map(str, args)], capture_output=True, timeout=timeout, env=env or ENV)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done


def parts(out):
    return b"".join(open(p, "rb").read() for p in sorted(glob.glob(f"{out}/part-*")))


def shell(script, stdin=None):
    return subprocess.run(["bash", "-c", script], input=stdin, stdout=subprocess.PIPE, check=True, env=ENV).stdout


def lines(data):
    assert data == b"" or data.endswith(b"\n")
    return b"".join(line + b"\n" for line in sorted(data.split(b"\n")[:-1]))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A few megabytes in several files: words, numbers, long and empty lines, one without its end."""
    folder = tmp_path_factory.mktemp("text")
    rng = random.Random(7)
    words = ["".join(rng.choice("abcdefghij") for _ in range(rng.randint(1, 12))) for _ in range(3000)]
    for i in range(4):
        with open(folder / f"f{i}", "w") as f:
            for _ in range(9000):
                f.write(" ".join(rng.choice(words) for _ in range(rng.randint(0, 14))) + "\n")
            f.write("the last line has no end")
    open(folder / "_hidden", "w").write("not to be counted\n")
    open(folder / ".also", "w").write("not to be counted\n")
    return folder


@pytest.fixture(params=["processes", "one thread"])
def how(request):
    return [] if request.param == "processes" else ["-D", "local.inprocess=true"]


SMALL_SPLITS = ["-D", "mapreduce.input.fileinputformat.split.maxsize=300k"]


# --- answers ---------------------------------------------------------------------------------------

def test_wordcount_says_what_awk_says(text, how, tmp_path):
    run(*how, *SMALL_SPLITS, "-reduces", "3", job("wordcount"), text, tmp_path / "out")
    want = shell(f"awk '{{ for (i = 1; i <= NF; i++) n[$i]++ }} END {{ for (w in n) print w \"\\t\" n[w] }}' {text}/f*")
    assert lines(parts(tmp_path / "out")) == lines(want)


def test_wordcount_of_real_text_says_what_coreutils_say(how, tmp_path):
    run(*how, job("wordcount"), *TEXTS, tmp_path / "out")
    want = shell("cat " + " ".join(TEXTS) + r" | tr -s ' \t\n\v\f\r' '\n' | grep . | sort | uniq -c | awk '{ print $2 \"\t\" $1 }'"
                 .replace(r"\"", '"'))
    assert parts(tmp_path / "out") == want


def test_sort_says_what_sort_says_over_all_files(text, how, tmp_path):
    run(*how, *SMALL_SPLITS, "-reduces", "4", job("sort"), text, tmp_path / "out")
    assert parts(tmp_path / "out") == shell(f"sort {text}/f*")
    assert len(glob.glob(f"{tmp_path}/out/part-r-*")) == 4


def test_distinct_says_what_sort_u_says(text, how, tmp_path):
    run(*how, *SMALL_SPLITS, "-reduces", "2", job("distinct"), text, tmp_path / "out")
    assert lines(parts(tmp_path / "out")) == shell(f"sort -u {text}/f*")


def test_grep_says_what_grep_o_says(text, how, tmp_path):
    run(*how, *SMALL_SPLITS, "-D", "grep.pattern=a[bc]+d", job("grep"), text, tmp_path / "out")
    want = shell(f"cat {text}/f* | grep -oE 'a[bc]+d' | sort | uniq -c | awk '{{ print $2 \"\\t\" $1 }}'")
    assert want and parts(tmp_path / "out") == want


def test_grep_can_ignore_case(tmp_path):
    (tmp_path / "in").write_text("Quern quern QUERN\nno match\n")
    run("-D", "grep.pattern=quern", "-D", "grep.ignore.case=true", job("grep"), tmp_path / "in", tmp_path / "out")
    assert parts(tmp_path / "out") == b"QUERN\t1\nQuern\t1\nquern\t1\n"


def test_typed_keys_own_combine_order_and_partition(how, tmp_path):
    rng = random.Random(3)
    pairs = [(rng.randint(-500, 500), rng.randint(-10**12, 10**12)) for _ in range(60000)]
    (tmp_path / "in").write_text("".join(f"{k} {v}\n" for k, v in pairs))
    run(*how, *SMALL_SPLITS, "-reduces", "2", job("numbers"), tmp_path / "in", tmp_path / "out")
    sums = collections.Counter()
    for k, v in pairs:
        sums[k] += v
    for part in range(2):
        got = open(tmp_path / "out" / f"part-r-{part:05d}").read()
        assert got == "".join(f"{k}\t{sums[k]}\n" for k in sorted(sums, reverse=True) if k % 2 == part)


def test_the_cplusplus_job(text, how, tmp_path):
    run(*how, *SMALL_SPLITS, job("longest"), text, tmp_path / "out")
    best = {}
    for word in b" ".join(open(f, "rb").read() for f in glob.glob(f"{text}/f*")).split():
        old = best.get(word[:1], b"")
        if len(word) > len(old) or (len(word) == len(old) and word < old):
            best[word[:1]] = word
    assert parts(tmp_path / "out") == b"".join(k + b"\t" + best[k] + b"\n" for k in sorted(best))


def test_the_output_is_the_same_however_it_is_made(text, tmp_path):
    variants = [[], ["-D", "local.inprocess=true"], ["-D", "mapreduce.map.memory.mb=16"],
                ["-D", "mapreduce.task.io.sort.mb=1", "-D", "mapreduce.task.io.sort.factor=2"]]
    for name in ("wordcount", "sort", "numbers"):
        source = text
        if name == "numbers":
            source = tmp_path / "numbers.txt"
            source.write_text("".join(f"{i * 7919 % 1000 - 500} {i}\n" for i in range(40000)))
        seen = set()
        for i, variant in enumerate(variants):
            out = tmp_path / f"{name}{i}"
            run(*variant, *SMALL_SPLITS, "-reduces", "3", job(name), source, out)
            seen.add(tuple(open(p, "rb").read() for p in sorted(glob.glob(f"{out}/part-*"))))
            assert len(seen) == 1, (name, variant)


def test_a_record_may_be_longer_than_the_sort_buffer(tmp_path):
    lines = ["z", "m" * (3 << 20), "a", "k" * (5 << 20), "b"]
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in lines))
    run("-D", "mapreduce.task.io.sort.mb=1", job("sort"), tmp_path / "in", tmp_path / "out")
    assert parts(tmp_path / "out").decode().split() == sorted(lines)


def test_the_page_about_the_first_job_tells_the_truth(tmp_path):
    page = open(os.path.join(ROOT, "docs", "first-job.md")).read()
    code = re.search(r"```c\n(.*?)```", page, re.S).group(1)
    compile_c = re.search(r"^cc .*$", page, re.M).group(0)
    compile_cpp = re.search(r"^c\+\+ .*$", page, re.M).group(0)
    (tmp_path / "lengths.c").write_text(code)
    (tmp_path / "longest.cpp").write_text(open(os.path.join(ROOT, "tests", "jobs", "longest.cpp")).read())
    os.symlink(os.path.join(ROOT, "include"), tmp_path / "include")
    for line in compile_c, compile_cpp:
        done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
    readme = os.path.join(ROOT, "README.md")
    run(tmp_path / "lengths.so", readme, tmp_path / "lengths")
    count = collections.Counter(len(line) for line in open(readme, "rb").read().rstrip(b"\n").split(b"\n"))
    assert parts(tmp_path / "lengths") == b"".join(b"%d\t%d\n" % (n, count[n]) for n in sorted(count))
    run(tmp_path / "longest.so", readme, tmp_path / "longest")


# --- inputs and outputs ----------------------------------------------------------------------------

def test_the_manifest_tells_length_records_and_sum_of_each_file(text, tmp_path):
    run("-reduces", "3", job("distinct"), text, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == ["_MANIFEST", "_SUCCESS"] + [f"part-r-{i:05d}" for i in range(3)]
    manifest = (tmp_path / "out" / "_MANIFEST").read_text().splitlines()
    assert len(manifest) == 3
    for i, line in enumerate(manifest):
        name, length, records, crc = line.split("\t")
        data = (tmp_path / "out" / name).read_bytes()
        assert name == f"part-r-{i:05d}" and int(length) == len(data) and int(records) == data.count(b"\n")
        assert re.fullmatch("[0-9a-f]{8}", crc)


def test_without_a_reduce_maps_write_the_output(text, tmp_path):
    (tmp_path / "my.c").write_text("""
        #include <quern/job.h>
        static int map(struct qn_task *t, struct qn_slice line, struct qn_slice where)
        { return qn_emit(t, where, line); }
        const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "number-lines", .map = map, .key = QN_U64};
    """)
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", os.path.join(ROOT, "include"),
                    str(tmp_path / "my.c"), "-o", str(tmp_path / "my.so")], check=True)
    run(*SMALL_SPLITS, tmp_path / "my.so", text / "f0", tmp_path / "out")
    data = (text / "f0").read_bytes()
    at, want = 0, []
    for line in data.splitlines(keepends=True):
        want.append(b"%d\t%s\n" % (at, line.rstrip(b"\n")))
        at += len(line)
    assert parts(tmp_path / "out") == b"".join(want)
    assert os.path.exists(tmp_path / "out" / "part-m-00001")


def test_crlf_lines_keep_their_carriage_returns(tmp_path, how):
    (tmp_path / "in").write_bytes(b"one\r\ntwo\r\n\r\nth\rree\nlast\r")
    run(*how, "-reduces", "1", job("sort"), tmp_path / "in", tmp_path / "out")
    assert parts(tmp_path / "out") == lines(b"one\r\ntwo\r\n\r\nth\rree\nlast\r\n")


def test_binary_bytes_survive(tmp_path, how):
    rng = random.Random(5)
    data = b"\n".join(bytes(rng.choice([0, 1, 9, 13, 255, 65]) for _ in range(rng.randint(0, 30))) for _ in range(20000)) + b"\n"
    (tmp_path / "in").write_bytes(data)
    run(*how, *SMALL_SPLITS, "-reduces", "1", job("sort"), tmp_path / "in", tmp_path / "out")
    want = sorted(data.split(b"\n")[:-1])
    assert parts(tmp_path / "out") == b"".join(line + b"\n" for line in want)


def test_no_bytes_and_no_files_make_empty_output(tmp_path, how):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "dir").mkdir()
    run(*how, "-reduces", "2", job("wordcount"), tmp_path / "empty", tmp_path / "dir", tmp_path / "out")
    assert parts(tmp_path / "out") == b"" and len(glob.glob(f"{tmp_path}/out/part-r-*")) == 2


def test_more_reducers_than_keys(tmp_path, how):
    (tmp_path / "in").write_text("a b a\n")
    run(*how, "-reduces", "40", job("wordcount"), tmp_path / "in", tmp_path / "out")
    assert lines(parts(tmp_path / "out")) == b"a\t2\nb\t1\n"


def test_a_job_with_a_reduce_told_to_have_none_writes_what_map_emits(tmp_path):
    (tmp_path / "in").write_text("b a\n")
    run("-reduces", "0", job("wordcount"), tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "part-m-00000").read_text() == "b\t1\na\t1\n"


def test_a_giant_line_is_refused_with_its_place_and_taken_with_more_memory(tmp_path, how):
    with open(tmp_path / "in", "wb") as f:
        f.write(b"small\n" + b"x" * (6 << 20) + b"\nsmall\n")
    done = run(*how, "-D", "mapreduce.map.memory.mb=16", job("distinct"), tmp_path / "in", tmp_path / "out", code=1)
    assert f"{tmp_path}/in: the line at offset 6 has 6 M, more than a quarter of this task's memory (16 M)".encode() in done.stderr
    would_do = re.search(rb"-D mapreduce.map.memory.mb=(\d+) would do", done.stderr)[1].decode()
    assert int(would_do) < 32
    done = run(*how, "-D", "mapreduce.map.memory.mb=" + would_do, "-D", "mapreduce.reduce.memory.mb=16", job("distinct"),
               tmp_path / "in", tmp_path / "out", code=1)
    assert f"-D mapreduce.reduce.memory.mb={would_do} would do".encode() in done.stderr
    run(*how, "-D", "mapreduce.map.memory.mb=" + would_do, "-D", "mapreduce.reduce.memory.mb=" + would_do, job("distinct"),
        tmp_path / "in", tmp_path / "out")
    assert len(parts(tmp_path / "out")) == (6 << 20) + 7


@pytest.mark.parametrize("name", ["approxdistinct", "dedupe", "distinct", "grep", "histogram", "invertedindex", "join", "pagerank", "pi", "secondarysort", "sort", "terasort",
                                  "teravalidate", "topn", "topwords", "upsert", "wordcount"])
def test_without_a_reduce_a_job_writes_what_can_be_read_or_refuses(tmp_path, name):
    """A form of its own that its reduce alone knows is no output."""
    (tmp_path / "in").write_bytes(b"1\tb\n2\ta\n1\tb\n" if name not in ("terasort", "teravalidate") else b"x" * 100)
    more = {"grep": ["-D", "grep.pattern=a"], "pi": ["-D", "pi.rows=5"], "upsert": ["-D", "upsert.changes=none"]}.get(name, [])
    done = subprocess.run([os.path.join(BUILD, "quern"), "run", "-jt", "local", "-D", "mapreduce.job.reduces=0", *more, name, *[tmp_path / "in"] * (name != "pi"), tmp_path / "out"],
                          capture_output=True, timeout=120)
    if done.returncode == 0:
        assert set(parts(tmp_path / "out")) <= set(b"\t\n abx0123456789")
    else:
        assert (done.returncode, done.stdout, done.stderr.decode()) == (
            2, b"", f"quern run: -reduces 0: what the maps of {name} emit is for its reduce alone: leave it out, or give 1 or more\n")
        assert not (tmp_path / "out").exists()


def test_existing_output_is_kept_unless_it_may_be_replaced(tmp_path):
    (tmp_path / "in").write_text("new\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old\n")
    done = run(job("distinct"), tmp_path / "in", tmp_path / "out", code=1)
    assert done.stderr.decode() == f"quern run: {tmp_path}/out exists already (add -mode replace, or remove it)\n"
    assert os.listdir(tmp_path / "out") == ["old"]
    (tmp_path / "out" / "_SUCCESS").touch()
    run("-mode", "replace", job("distinct"), tmp_path / "in", tmp_path / "out")
    assert parts(tmp_path / "out") == b"new\n" and not os.path.exists(tmp_path / "out" / "old")
    assert sorted(os.listdir(tmp_path)) == ["in", "out"]


@pytest.mark.parametrize("mode", ["append", "replace-partition"])
def test_an_output_that_stays_is_never_half_new_and_whole_by_its_looks(tmp_path, mode):
    out = tmp_path / "out"
    (tmp_path / "in").write_text("a\nb\nc\n")
    run("-reduces", "3", job("distinct"), tmp_path / "in", out)
    before, halves = set(os.listdir(out)), 0
    assert "_SUCCESS" in before
    for n in range(1, 60):
        done = subprocess.run([TASK, "-local", "-D", "local.inprocess=true", "-reduces", "3", "-mode", mode, job("distinct"), tmp_path / "in", out],
                              capture_output=True, timeout=120, env=dict(ENV, QUERN_FAULT=f"disk.rename={n}:kill"))
        now = set(os.listdir(out))
        if done.returncode == 0:
            break
        assert done.returncode == -9, done
        assert "_SUCCESS" not in now or now == before, now
        halves += "_SUCCESS" not in now
        before = now
    assert done.returncode == 0 and "_SUCCESS" in now and halves >= 3


@pytest.mark.parametrize("make,code,said", [
    (lambda t: [t / "missing"], 1, "/missing: No such file or directory"),
    (lambda t: [t], 1, "/sub: a directory among the input files"),
])
def test_wrong_inputs_are_told(tmp_path, make, code, said):
    (tmp_path / "sub").mkdir()
    done = run(job("wordcount"), *make(tmp_path), tmp_path / "out", code=code)
    assert said in done.stderr.decode() and done.stderr.count(b"\n") == 1
    assert not os.path.exists(tmp_path / "out")


def test_directories_below_are_taken_when_asked_for(tmp_path):
    (tmp_path / "in" / "sub" / "_skipped").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "f").write_text("deep\n")
    (tmp_path / "in" / "sub" / "_skipped" / "f").write_text("no\n")
    run("-D", "mapreduce.input.fileinputformat.input.dir.recursive=true", job("distinct"), tmp_path / "in", tmp_path / "out")
    assert parts(tmp_path / "out") == b"deep\n"


# --- plugins that are none -------------------------------------------------------------------------

@pytest.mark.parametrize("name,said", [
    ("no_symbol", "exports no `qn_job` (is it declared `const struct qn_job qn_job = {…}` and visible?)"),
    ("other_abi", "built for job ABI 99, this quern runs 1: rebuild it against include/quern/job.h"),
    ("undefined", "cannot be loaded: undefined symbol: function_that_is_nowhere (link what defines it: its object file, or -lNAME)"),
    ("bad_start", "crashes while being loaded (signal 6, SIGABRT)"),
])
def test_a_plugin_that_is_none_is_told_before_anything_starts(tmp_path, name, said):
    (tmp_path / "in").write_text("x\n")
    done = run(job(name), tmp_path / "in", tmp_path / "out", code=1)
    assert done.stderr.decode() == f"quern run: {job(name)}: {said}\n"
    assert os.listdir(tmp_path) == ["in"]


def test_a_file_that_is_no_shared_object(tmp_path):
    (tmp_path / "in").write_text("x\n" * 100)
    done = run(tmp_path / "in", tmp_path / "in", tmp_path / "out", code=1)
    assert b"cannot be loaded: " in done.stderr
    done = run(tmp_path / "none.so", tmp_path / "in", tmp_path / "out", code=1)
    assert done.stderr.decode() == f"quern run: {tmp_path}/none.so: No such file or directory\n"


def test_options_are_checked_against_the_plugin(tmp_path):
    (tmp_path / "in").write_text("x\n")
    done = run("-D", "grep.patern=x", job("grep"), tmp_path / "in", tmp_path / "out", code=2)
    assert done.stderr.decode() == 'quern run: no option "grep.patern": grep knows grep.pattern, grep.ignore.case, grep.group\n'
    done = run(job("grep"), tmp_path / "in", tmp_path / "out", code=2)
    assert b"grep needs -D grep.pattern=..." in done.stderr
    done = run("-D", "grep.pattern=a(", job("grep"), tmp_path / "in", tmp_path / "out", code=1)
    assert b'map 0: grep.pattern "a(": ' in done.stderr


def test_a_probe_tells_what_a_plugin_is(tmp_path):
    done = subprocess.run([TASK, "-probe", "-json", job("grep")], capture_output=True, text=True, check=True)
    assert '"name":"grep"' in done.stdout and '"is_required":true' in done.stdout and '"default_reducers":1' in done.stdout
    done = subprocess.run([TASK, "-probe", job("no_symbol")], capture_output=True, text=True)
    assert done.returncode == 1 and "exports no `qn_job`" in done.stderr and done.stdout == ""


# --- plugins that break ----------------------------------------------------------------------------

def misbehave(tmp_path, what, *more, code=1, at=2000):
    with open(tmp_path / "in", "w") as f:
        f.write("".join(f"line {i}\n" for i in range(at)) + "now\n" + "after\n")
    return run(*more, "-D", f"misbehave.how={what}", job("misbehave"), tmp_path / "in", tmp_path / "out", code=code)


@pytest.mark.parametrize("what,said,at", [
    ("segv", "map 0: crashed (signal 11, SIGSEGV)\n", r"misbehave\.c:\d+ in write_to_nothing"),
    ("abort", "map 0: crashed (signal 6, SIGABRT)\n", r"misbehave\.c:\d+ in map"),
])
def test_a_crash_is_told_with_the_record_in_hand(tmp_path, what, said, at):
    text = misbehave(tmp_path, what).stderr.decode()
    assert "job failed: " + said in text
    offset = sum(len(f"line {i}\n") for i in range(2000))
    assert re.search(rf"  at        {at}, record at {tmp_path}/in offset {offset}\n", text), text
    assert '"now" (3 bytes)' in text
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_a_crash_that_takes_long_to_look_up_is_told_by_its_own_signal(tmp_path):
    """The time for looking up the line is over: a node that stands still, a loader that died with its lock held."""
    open(tmp_path / "addr2line", "w").write(f'#!/bin/sh\nmkdir {tmp_path}/once && kill -ALRM $PPID && sleep 1\n')
    os.chmod(tmp_path / "addr2line", 0o755)
    (tmp_path / "in").write_text("now\n")
    env = dict(ENV, PATH=f"{tmp_path}:{ENV['PATH']}")
    text = run("-D", "misbehave.how=segv", job("misbehave"), tmp_path / "in", tmp_path / "out", code=1, env=env).stderr.decode()
    assert os.path.isdir(tmp_path / "once")
    assert "job failed: map 0: crashed (signal 11, SIGSEGV)\n" in text, text
    assert re.search(r"  at        \S*misbehave\.so\+0x[0-9a-f]+, record at", text), text


@pytest.mark.parametrize("what,said", [
    ("exit", "map 0: ended its process by itself (exit code 7)"),
    ("kill", "map 0: crashed (signal 9, SIGKILL)"),
    ("fail", 'map 0: cannot stand "now"'),
    ("setup", "map 0: no such table"),
    ("giant", "map 0: emitted a record of 64 M, more than a quarter of this task's memory"),
    ("segv in reduce", "reduce 0: crashed (signal 11, SIGSEGV)"),
])
def test_what_else_ends_a_task_is_told(tmp_path, what, said):
    more = ["-D", "mapreduce.map.memory.mb=128"] if what == "giant" else []
    text = misbehave(tmp_path, what, *more).stderr.decode()
    assert "job failed: " + said in text
    assert sorted(os.listdir(tmp_path)) == ["in"]


def test_an_endless_loop_ends_with_the_time_out(tmp_path):
    text = misbehave(tmp_path, "loop", "-D", "mapreduce.task.timeout=1s").stderr.decode()
    assert "map 0: made no progress for 1.0 s and was killed" in text or "made no progress for 1 s and was killed" in text


def test_a_closed_stdout_harms_nobody(tmp_path):
    misbehave(tmp_path, "stdout", code=0)
    assert b"after\n" in parts(tmp_path / "out")


def test_what_a_job_prints_goes_to_its_log_and_is_shown_when_it_fails(tmp_path):
    done = misbehave(tmp_path, "print", code=0)
    assert b"printed by the job" not in done.stdout + done.stderr


def test_counters_without_end_are_bounded(tmp_path):
    out = misbehave(tmp_path, "counters", "-v", code=0).stdout.decode()
    assert "counters beyond the limit" in out
    assert out.count("counter      many: ") < 1001


def test_attempts_are_made_again_when_asked_for(tmp_path):
    text = misbehave(tmp_path, "segv", "-D", "mapreduce.map.maxattempts=3").stderr.decode()
    assert "job failed: map 0: crashed" in text


# --- memory and interruption -----------------------------------------------------------------------

def test_an_interrupted_job_leaves_nothing_behind(tmp_path):
    (tmp_path / "in").write_text("now\n")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    driver = subprocess.Popen([TASK, "-local", "-D", "misbehave.how=loop", job("misbehave"), str(tmp_path / "in"), str(tmp_path / "out")],
                              env=dict(ENV, TMPDIR=str(scratch)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    children = wait_for(lambda: glob.glob(f"{scratch}/quern-local-*/m-*.log") and tree_of(driver.pid)[1:])
    driver.send_signal(2)
    out, err = driver.communicate(timeout=120)
    assert driver.returncode == 130 and err == b"quern run: interrupted\n"
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)
    assert os.listdir(scratch) == [] and sorted(os.listdir(tmp_path)) == ["in", "tmp"]


def test_children_end_with_their_driver(tmp_path):
    (tmp_path / "in").write_text("now\n")
    driver = subprocess.Popen([TASK, "-local", "-D", "misbehave.how=loop", job("misbehave"), str(tmp_path / "in"), str(tmp_path / "out")],
                              env=dict(ENV, TMPDIR=str(tmp_path)), stdout=subprocess.DEVNULL)
    children = wait_for(lambda: glob.glob(f"{tmp_path}/quern-local-*/m-*.log") and tree_of(driver.pid)[1:])
    driver.kill()
    driver.wait()
    wait_for(lambda: all(is_over(pid) for pid in children))


ASIDE = """
    #include <quern/job.h>
    static int map(struct qn_task *t, struct qn_slice line, struct qn_slice where) { (void)where; return qn_emit_to(t, "aside", line, qn_nothing()); }
    static int reduce(struct qn_task *t, struct qn_slice key, struct qn_values *v) { (void)v; return qn_emit(t, key, qn_nothing()); }
    const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "aside", .map = map, .reduce = reduce, .value = QN_NONE};
"""


@pytest.mark.parametrize("what", ["maps", "reduces", "a further output"])
def test_a_disk_that_fails_at_any_write_fails_the_job_or_nothing(tmp_path, what):
    """Also at the last, as an output is closed: no job is done without what it wrote."""
    source, plugin, words = tmp_path / "in", job("sort"), ["-reduces", "0" if what == "maps" else "1"]
    source.write_bytes(b"".join(b"%04d\n" % (i * 7 % 3000) for i in range(3000)))
    if what == "a further output":
        plugin = tmp_path / "aside.so"
        (tmp_path / "aside.c").write_text(ASIDE)
        subprocess.run(["cc", "-shared", "-fPIC", f"-I{ROOT}/include", str(tmp_path / "aside.c"), "-o", str(plugin)], check=True)
    told = []
    for n in range(1, 7):
        out = tmp_path / f"out{n}"
        done = subprocess.run([TASK, "-local", *words, str(plugin), str(source), str(out)], capture_output=True, timeout=120,
                              env=dict(ENV, QUERN_FAULT=f"disk.write={n}:eio"))
        if done.returncode == 0:
            written = b"".join(open(p, "rb").read() for p in sorted(glob.glob(f"{out}/[ap]*-*")))
            assert lines(written) == lines(source.read_bytes())
        else:
            assert done.returncode == 1 and b"Input/output error" in done.stderr and not out.exists()
            told += re.findall(rb"/([a-z]+)-[mr]-00000: Input", done.stderr)
    assert (b"aside" if what == "a further output" else b"part") in told
