# SPDX-License-Identifier: Apache-2.0
"""Streaming: programs in Python, awk and shell as mappers, reducers and combiners, in our words and in those of Hadoop's streaming;
what they say on stderr, what they find in their environment, how they fail. The same without a cluster."""
import collections
import glob
import os
import random

import pytest

from cluster import Cluster

TEXT = b"".join(b"%s %s\n" % (w, w[::-1]) for w in random.Random(5).choices([b"a", b"bb", b"ccc", b"d\xff", b"e\0e"], k=5000)) + b"last"
MAPPER = b'''#!/usr/bin/env python3
import os, sys
for line in sys.stdin.buffer:
    for word in line.split():
        sys.stdout.buffer.write(word + b"\\t1\\n")
sys.stderr.write("reporter:counter:Words,lines read,1\\nreporter:status:nearly done\\nplain words\\n")
'''
REDUCER = b'''#!/usr/bin/env python3
import itertools, sys
rows = (line.rstrip(b"\\n").split(b"\\t", 1) for line in sys.stdin.buffer)
for word, group in itertools.groupby(rows, key=lambda row: row[0]):
    sys.stdout.buffer.write(b"%s\\t%d\\n" % (word, sum(int(n) for _, n in group)))
'''


def counted(text):
    counts = collections.Counter(text.split())
    return b"".join(b"%s\t%d\n" % (w, counts[w]) for w in sorted(counts))


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=2) as c:
        c.fs("-put", "-", "/in", input=TEXT)
        c.fs("-put", "-", "/dots", input=b"11.12.1.2\n11.14.2.3\n11.11.4.1\n11.12.1.1\n11.14.2.2\n")
        c.fs("-touchz", "/empty")
        yield c


@pytest.fixture
def scripts(tmp_path):
    for name, text in (("map.py", MAPPER), ("reduce.py", REDUCER)):
        (tmp_path / name).write_bytes(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def answer(c, out):
    return c.fs("-cat", out + "/part-*").stdout


def stream(c, out, *words, put_in="/in", check=True):
    return c.run("run", "-stream", *map(str, words), put_in, out, check=check)


def test_python_counts_words_and_says_so(cluster, scripts):
    split = ["-D", "mapreduce.input.fileinputformat.split.maxsize=20000"]
    run = stream(cluster, "/py", *split, "-reduces", "1", "-file", scripts / "map.py", "-file", scripts / "reduce.py",
                 "-mapper", "map.py", "-reducer", "reduce.py")
    assert answer(cluster, "/py") == counted(TEXT)
    job = run.stderr.split()[1].decode()
    assert b"lines read" in cluster.run("job", "-status", job).stdout
    log = cluster.run("job", "-logs", job, "-task", "m0").stdout
    assert b"plain words" in log and b"reporter:" not in log


def test_in_the_words_of_hadoops_streaming(cluster, scripts):
    cluster.run("run", "-stream", "-D", "mapred.reduce.tasks=9", "-files", f"{scripts}/map.py,{scripts}/reduce.py", "-numReduceTasks", "2",
                "-input", "/in", "-input", "/empty", "-output", "/hadoop", "-mapper", "map.py", "-combiner", "reduce.py", "-reducer", "reduce.py",
                "-inputformat", "org.apache.hadoop.mapred.TextInputFormat")
    assert b"".join(sorted(answer(cluster, "/hadoop").splitlines(True))) == counted(TEXT)
    assert len(cluster.fs("-ls", "-C", "/hadoop/part-*").stdout.split()) == 2


def shuffled(c, out):
    status = c.status(next(j for j in c.jobs() if j["out"] == out)["id"]["job"])
    return next(n["value"] for n in status["counters"] if n["name"] == "Reduce shuffle bytes")


def test_a_combiner_travels_less_and_changes_nothing(cluster, scripts):
    for out, more in (("/all", []), ("/less", ["-combiner", "reduce.py"])):
        stream(cluster, out, "-reduces", "1", "-files", f"{scripts}/map.py,{scripts}/reduce.py", "-mapper", "map.py", "-reducer", "reduce.py", *more)
        assert answer(cluster, out) == counted(TEXT)
    all_, less = (shuffled(cluster, out) for out in ("/all", "/less"))
    assert less * 100 < all_, (less, all_)


def test_shell_and_awk_and_what_a_line_without_a_tab_is(cluster):
    stream(cluster, "/awk", "-reduces", "1", "-mapper", "tr ' ' '\\n'", "-reducer",
           "awk -F '\\t' '{ n[$1]++ } END { for (w in n) print w \"\\t\" n[w] }' | LC_ALL=C sort")
    assert answer(cluster, "/awk") == counted(TEXT)
    # As with Hadoop: a line without a tab is all key, and its empty value is printed behind one.
    stream(cluster, "/keys", "-reduces", "1", "-mapper", "cat", "-reducer", "uniq", put_in="/dots")
    assert answer(cluster, "/keys") == b"11.11.4.1\t\n11.12.1.1\t\n11.12.1.2\t\n11.14.2.2\t\n11.14.2.3\t\n"
    stream(cluster, "/none", "-mapper", "sed s/11/x/", "-reducer", "NONE", put_in="/dots")
    assert answer(cluster, "/none") == b"x.12.1.2\t\nx.14.2.3\t\nx.11.4.1\t\nx.12.1.1\t\nx.14.2.2\t\n"
    stream(cluster, "/plain", "-reduces", "1", put_in="/dots")
    assert answer(cluster, "/plain") == answer(cluster, "/keys")


def test_fields_of_a_key(cluster):
    stream(cluster, "/fields", "-reduces", "1", "-D", "stream.map.output.field.separator=.", "-D", "stream.num.map.output.key.fields=2",
           "-mapper", "cat", "-reducer", "cat", put_in="/dots")
    assert answer(cluster, "/fields") == b"11.11\t4.1\n11.12\t1.2\n11.12\t1.1\n11.14\t2.3\n11.14\t2.2\n"


def test_what_programs_find_around_them(cluster):
    stream(cluster, "/env", "-cmdenv", "GREETING=hello you", "-cmdenv", "B=2", "-D", "stream.non.zero.exit.is.failure=true", "-reducer", "NONE",
           "-mapper", "env; cat > /dev/null", put_in="/dots")
    env = dict(line.rstrip("\t").split("=", 1) for line in answer(cluster, "/env").decode().splitlines() if "=" in line)
    assert env["GREETING"] == "hello you" and env["B"] == "2"
    assert env["mapreduce_map_input_file"] == "/dots" and env["mapreduce_task_ismap"] == "true" and env["mapreduce_task_partition"] == "0"
    assert env["mapreduce_task_attempt_id"].startswith("attempt_") and env["mapreduce_job_id"].startswith("job_")
    assert env["mapreduce_task_id"].startswith("task_") and env["mapreduce_job_reduces"] == "0"


def test_a_program_that_reads_little_or_says_much(cluster):
    stream(cluster, "/head", "-reducer", "NONE", "-mapper", "head -n 2")
    assert len(answer(cluster, "/head").splitlines()) == 2
    stream(cluster, "/much", "-reducer", "NONE", "-mapper", "yes 123456789 | head -c 3000000; cat | wc -l")
    assert len(answer(cluster, "/much").splitlines()) == 300001
    stream(cluster, "/silence", "-reduces", "1", "-mapper", "cat", "-reducer", "wc -l", put_in="/empty")
    assert answer(cluster, "/silence").split() == [b"0"]


def test_how_a_program_fails_is_told(cluster):
    quick = ["-D", "mapreduce.map.maxattempts=1"]
    for out, command, said in (("/f1", "echo oh dear >&2; exit 3", b"subprocess failed with code 3"),
                               ("/f2", "kill -SEGV $$", b"was killed by signal 11 (SIGSEGV)"),
                               ("/f3", "no-such-program", b"subprocess failed with code 127")):
        run = stream(cluster, out, *quick, "-mapper", command, "-reducer", "NONE", put_in="/dots", check=False)
        assert run.returncode == 1 and said in run.stderr, run.stderr
    stream(cluster, "/f4", "-D", "stream.non.zero.exit.is.failure=false", "-mapper", "cat; exit 3", "-reducer", "NONE", put_in="/dots")
    for words, said in ((["-mapper"], "needs a value"), (["-cmdenv", "x"], "NAME=VALUE"), (["-reducer", "aggregate"], "not known here"),
                        (["-inputformat", "my.Format"], "is Java")):
        run = cluster.run("run", "-stream", *words, check=False)
        assert run.returncode == 2 and said in run.stderr.decode() and len(run.stderr.splitlines()) == 1, run.stderr


def test_a_killed_job_leaves_no_program_behind(cluster):
    job = cluster.run("run", "-detach", "-stream", "-mapper", "sleep 987654", "-reducer", "NONE", "/in", "/killed").stdout.decode().strip()
    running = lambda: os.popen("pgrep -fx 'sleep 987654'").read().split()
    from cluster import wait_for
    wait_for(running)
    cluster.run("job", "-kill", job)
    wait_for(lambda: not running())


def test_without_a_cluster(cluster, scripts):
    (scripts / "in").write_bytes(TEXT)
    for n, more in enumerate(([], ["-D", "local.inprocess=true"])):
        cluster.run("run", "-jt", "local", "-stream", *more, "-reduces", "1", "-files", f"{scripts}/map.py,{scripts}/reduce.py",
                    "-mapper", "map.py", "-reducer", "reduce.py", str(scripts / "in"), str(scripts / str(n)))
        assert b"".join(open(p, "rb").read() for p in glob.glob(f"{scripts}/{n}/part-*")) == counted(TEXT)


def test_without_a_cluster_the_end_of_one_process_is_not_that_of_another(cluster, tmp_path):
    """A task whose first attempt fails, while another is at work in the process beside it: that one goes on."""
    (tmp_path / "in").write_bytes(b"a\nb\n")
    first = "case $mapreduce_task_partition.$mapreduce_task_attempt_id in 0.*_0) exit 1;; 1.*_0) sleep 1; cat;; 1.*) echo killed;; *) cat;; esac"
    cluster.run("run", "-jt", "local", "-stream", "-D", "mapreduce.input.fileinputformat.split.maxsize=2", "-D", "worker.cores=2", "-D",
                "mapreduce.map.maxattempts=3", "-mapper", first,
                "-reducer", "NONE", str(tmp_path / "in"), str(tmp_path / "out"))
    assert b"".join(open(p, "rb").read() for p in sorted(glob.glob(f"{tmp_path}/out/part-*"))) == b"a\t\nb\t\n"
