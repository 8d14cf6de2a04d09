# SPDX-License-Identifier: Apache-2.0
"""Streaming: programs in Python, awk and shell as mappers, reducers and combiners, in our words and in those of Hadoop's streaming;
what they say on stderr, what they find in their environment, how they fail. The same without a cluster."""
import collections
import glob
import os
import random
import subprocess

import pytest

from cluster import BUILD, Cluster

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
    assert b"counter      Words: lines read = " in run.stdout and b"counter      Map-Reduce" not in run.stdout
    log = cluster.run("job", "-logs", job, "-task", "m0").stdout
    assert b"plain words" in log and b"reporter:" not in log


def test_a_separator_may_have_more_bytes_than_one(cluster):
    """As in Hadoop; a part of it separates nothing."""
    cluster.fs("-put", "-", "/apart", input="a::b:c::d\na:b\nx::\ny::z::\n::\na:::b\na\u00e4\u00e5\u00e4\n".encode())
    for out, between, fields, want in (("/apart1", "::", 1, "|\na|:b\na|b:c::d\na:b|\na\u00e4\u00e5\u00e4|\nx|\ny|z::\n"),
                                       ("/apart2", "::", 2, "::|\na:::b|\na::b:c|d\na:b|\na\u00e4\u00e5\u00e4|\nx::|\ny::z|\n"),
                                       ("/apart3", "\u00e4", 1, "::|\na|\u00e5\u00e4\na:::b|\na::b:c::d|\na:b|\nx::|\ny::z::|\n")):
        stream(cluster, out, "-reduces", "1", "-D", f"stream.map.output.field.separator={between}", "-D", f"stream.num.map.output.key.fields={fields}", "-D",
               "stream.reduce.input.field.separator=|", "-D", "stream.reduce.output.field.separator=||", "-mapper", "cat", "-reducer", "cat", put_in="/apart")
        assert sorted(answer(cluster, out).decode().split("\t\n")) == sorted(want.split("\n")), out
    for setting, said in (("stream.num.map.output.key.fields=some", 'stream.num.map.output.key.fields = "some": a whole number'),
                          ("mapreduce.map.output.key.field.separator=::", "one byte ends a field of a key")):
        wrong = stream(cluster, "/apart4", "-D", setting, "-D", "mapreduce.job.output.key.comparator.class=KeyFieldBasedComparator", "-mapper", "cat", put_in="/apart", check=False)
        assert wrong.returncode == 2 and said in wrong.stderr.decode()


def test_in_the_words_of_hadoops_streaming(cluster, scripts):
    cluster.run("run", "-stream", "-D", "mapred.reduce.tasks=9", "-files", f"{scripts}/map.py,{scripts}/reduce.py", "-numReduceTasks", "2",
                "-input", "/{nothing,i}n,/empty", "-input", "/empty", "-output", "/hadoop", "-mapper", "map.py", "-combiner", "reduce.py", "-reducer", "reduce.py",
                "-inputformat", "org.apache.hadoop.mapred.TextInputFormat")
    assert b"".join(sorted(answer(cluster, "/hadoop").splitlines(True))) == counted(TEXT)
    assert len(cluster.fs("-ls", "-C", "/hadoop/part-*").stdout.split()) == 2


def test_a_slip_in_a_key_is_told_though_programs_get_any(cluster):
    keys = ["mapreduce.job.reducse=2", "stream.num.map.output.key.field=2", "my.own.key=1", "mapreduce.job.reduces=1", "stream.map.output.field.separator=,"]
    run = stream(cluster, "/slips", *(word for key in keys for word in ("-D", key)), "-mapper", "env | grep -c ^mapreduce_job_reducse=", "-reducer", "NONE")
    assert [line for line in run.stderr.decode().splitlines() if line.startswith("quern run: ")] == [
        "quern run: -D mapreduce.job.reducse is no setting (did you mean mapreduce.job.reduces?): it only goes into the environment of the commands",
        "quern run: -D stream.num.map.output.key.field is no setting (did you mean stream.num.map.output.key.fields?): it only goes into the environment of the commands"]
    assert answer(cluster, "/slips") == b"1\t\n"


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
    stream(cluster, "/env", "-D", "my.own-setting=5", "-cmdenv", "GREETING=hello you", "-cmdenv", "B=2", "-D", "stream.non.zero.exit.is.failure=true", "-reducer", "NONE",
           "-mapper", "env; cat > /dev/null", put_in="/dots")
    env = dict(line.rstrip("\t").split("=", 1) for line in answer(cluster, "/env").decode().splitlines() if "=" in line)
    assert env["GREETING"] == "hello you" and env["B"] == "2"
    assert env["mapreduce_map_input_file"] == "/dots" and env["mapreduce_task_ismap"] == "true" and env["mapreduce_task_partition"] == "0"
    assert env["mapreduce_task_attempt_id"].startswith("attempt_") and env["mapreduce_job_id"].startswith("job_")
    assert env["mapreduce_task_id"].startswith("task_") and env["mapreduce_job_reduces"] == "0"
    assert env["my_own_setting"] == "5", "any setting is the programs'"


def test_a_program_that_reads_little_or_says_much(cluster):
    stream(cluster, "/head", "-reducer", "NONE", "-mapper", "head -n 2")
    assert len(answer(cluster, "/head").splitlines()) == 2
    stream(cluster, "/much", "-reducer", "NONE", "-mapper", "yes 123456789 | head -c 3000000; cat | wc -l")
    assert len(answer(cluster, "/much").splitlines()) == 300001
    stream(cluster, "/silence", "-reduces", "1", "-mapper", "cat", "-reducer", "wc -l", put_in="/empty")
    assert answer(cluster, "/silence").split() == [b"0"]
    stream(cluster, "/nobody", "-reducer", "NONE", "-mapper", 'echo "$(wc -l) in $mapreduce_map_input_file"', put_in="/empty")
    assert answer(cluster, "/nobody") == b"0 in /empty\t\n"


def test_each_file_has_a_mapper_of_its_own(cluster):
    """As with Hadoop, though small files share a task: which file it is, and that its first line is a head, hold for each of them."""
    heads = {"a": b"name\tcount\nann\t1\nbob\t2\n", "b": b"name\tcount\ncy\t3", "c": b"", "d": b"name\tcount\n" + b"dee\t4\n" * 50000}
    for name, text in heads.items():
        cluster.fs("-mkdir", "-p", "/heads")
        cluster.fs("-put", "-", f"/heads/{name}", input=text)
    awk = "awk 'NR == 1 { next } { n++ } END { print ENVIRON[\"mapreduce_map_input_file\"] \" \" $1 \" \" n }'"
    for out, more, again in ("/each", [], 1), ("/each2", ["-D", "mapreduce.input.fileinputformat.split.maxsize=100m", "-input", "/heads/b", "-input", "/heads/b"], 3):
        cluster.run("run", "-stream", *more, "-reducer", "NONE", "-mapper", awk, "-input", "/heads", "-output", out)
        lines = sorted(line.rstrip("\t") for line in answer(cluster, out).decode().splitlines())
        assert lines == ["/heads/a bob 2", *["/heads/b cy 1"] * again, "/heads/d dee 50000"], lines
    cluster.run("run", "-stream", "-reducer", "NONE", "-mapper", "head -n 1", "/heads", "/first")
    assert answer(cluster, "/first") == b"name\tcount\n" * 3
    for end, said in ("exit 3", "code 3: the mapper"), ("kill -9 $$", "(SIGKILL), reading /heads/b"):
        run = cluster.run("run", "-stream", "-D", "mapreduce.map.maxattempts=1", "-reducer", "NONE", "-mapper",
                          f"cat; [ $map_input_file != /heads/b ] || {end}", "/heads", f"/fails{end[-1]}", check=False)
        assert run.returncode == 1 and said in run.stderr.decode() and ", reading /heads/b" in run.stderr.decode(), run.stderr


def test_how_a_program_fails_is_told(cluster):
    quick = ["-D", "mapreduce.map.maxattempts=1"]
    for out, command, said in (("/f1", "echo oh dear >&2; exit 3", b"subprocess failed with code 3"),
                               ("/f2", "kill -SEGV $$", b"was killed by signal 11 (SIGSEGV)"),
                               ("/f3", "no-such-program", b"subprocess failed with code 127")):
        run = stream(cluster, out, *quick, "-mapper", command, "-reducer", "NONE", put_in="/dots", check=False)
        assert run.returncode == 1 and said in run.stderr, run.stderr
    stream(cluster, "/f4", "-D", "stream.non.zero.exit.is.failure=false", "-mapper", "cat; exit 3", "-reducer", "NONE", put_in="/dots")
    for words, said in ((["-mapper"], "needs a value"), (["-cmdenv", "x"], "NAME=VALUE"), (["-partitioner", "my.Own"], "is Java"),
                        (["-D", "mapred.output.key.comparator.class=my.Own"], "is Java"), (["-inputformat", "my.Format"], "is Java")):
        run = cluster.run("run", "-stream", *words, check=False)
        assert run.returncode == 2 and said in run.stderr.decode() and len(run.stderr.splitlines()) == 1, run.stderr


def test_formats_of_java_that_change_what_a_program_is_given(cluster, tmp_path):
    """One task for so many lines, which come behind their offsets; lines in two parts; files without a record."""
    cluster.fs("-put", "-", "/parts", input=b"a=1\nb\n=2\n\nc=3=4")
    n_lines = ["-inputformat", "org.apache.hadoop.mapred.lib.NLineInputFormat", "-reducer", "NONE", "-mapper", "cat"]
    two, want = ["-D", "mapreduce.input.lineinputformat.linespermap=2"], [b"0\ta=1\n4\tb\n", b"6\t=2\n9\t\n", b"10\tc=3=4\n"]
    stream(cluster, "/nline", *n_lines, *two, put_in="/parts")
    assert [cluster.fs("-cat", f"/nline/part-m-{n:05d}").stdout for n in range(3)] == want
    (tmp_path / "parts").write_bytes(cluster.fs("-cat", "/parts").stdout)
    cluster.run("run", "-jt", "local", "-stream", *n_lines, tmp_path / "parts", tmp_path / "out")
    assert b"".join(open(p, "rb").read() for p in sorted(glob.glob(f"{tmp_path}/out/part-*"))) == b"".join(want)
    assert len(glob.glob(f"{tmp_path}/out/part-*")) == 5
    run = cluster.run("run", *two, "terasort", "/parts", "/never", check=False)
    assert run.returncode == 2 and b"terasort does not read lines" in run.stderr
    stream(cluster, "/pairs", "-inputformat", "KeyValueTextInputFormat", "-D", "mapreduce.input.keyvaluelinerecordreader.key.value.separator==", "-reducer",
           "NONE", "-mapper", "cat", "-D", "mapred.textoutputformat.separator=,", put_in="/parts")
    assert answer(cluster, "/pairs") == b"a,1\nb,\n,2\n,\nc,3=4\n"
    stream(cluster, "/lazy", "-lazyOutput", "-reduces", "4", "-mapper", "echo one", "-reducer", "cat", put_in="/dots")
    assert len(cluster.fs("-ls", "-C", "/lazy/part-*").stdout.split()) == 1


def test_what_is_of_java_says_so_in_a_line(cluster):
    for words, said in ((["-outputformat", "org.apache.hadoop.mapred.SequenceFileOutputFormat"], "TextOutputFormat is"),
                        (["-inputreader", "StreamXmlRecordReader,begin=<a>"], "a mapper is given lines"), (["-io", "typedbytes"], "lines of text"),
                        (["-D", "stream.map.output=rawbytes"], "lines of text"), (["-additionalconfspec", "x.xml"], "-D key=value"),
                        (["-reducer", "org.apache.hadoop.mapred.lib.LongSumReducer"], "give a command")):
        run = cluster.run("run", "-stream", *words, "-mapper", "cat", "/dots", "/java", check=False)
        assert run.returncode == 2 and said in run.stderr.decode() and len(run.stderr.splitlines()) == 1, run.stderr
    run = cluster.run("run", "-stream", "-mapdebug", "look.sh", "-io", "text", "-verbose", "-debug", "-mapper", "cat", "/dots", "/java")
    assert b"look.sh is not run" in run.stderr
    assert b"stream.map.command" in cluster.run("run", "-stream", "-info").stdout


def test_a_killed_job_leaves_no_program_behind(cluster):
    job = cluster.run("run", "-detach", "-stream", "-mapper", "sleep 987654", "-reducer", "NONE", "/in", "/killed").stdout.decode().strip()
    running = lambda: os.popen("pgrep -fx 'sleep 987654'").read().split()
    from cluster import wait_for
    wait_for(running)
    cluster.run("job", "-kill", job)
    wait_for(lambda: not running())


# What Hadoop 3.4.2 makes of the same (its local runner), but for the order of what its comparator takes for equal.
AGGREGATE = b"awk '" + b"; ".join(b'print "%s:%s" %s' % row for row in (
    (b"LongValueSum", b"sum_", b'$1 "\\t" $2'), (b"LongValueMax", b"max_", b'$1 "\\t" $2'), (b"LongValueMin", b"min_", b'$1 "\\t" $2'),
    (b"DoubleValueSum", b"ds_", b'$1 "\\t" $2 ".5"'), (b"StringValueMax", b"smax", b'"\\t" $1'), (b"StringValueMin", b"smin", b'"\\t" $1'),
    (b"UniqValueCount", b"uniq_", b'$1 "\\t" $2'), (b"ValueHistogram", b"hist", b'"\\t" $1'), (b"ValueHistogram", b"hist2", b'"\\t" $1 "\\t" $2')))
AGGREGATE = AGGREGATE.replace(b"awk '", b"awk '{ ") + b" }'"
AGGREGATED = b"""ds_a\t11.5\nds_b\t11.0\nds_c\t-3.5\nmax_a\t7\nmax_b\t5\nmax_c\t-3\nmin_a\t1\nmin_b\t5\nmin_c\t-3\nsum_a\t10\nsum_b\t10\nsum_c\t-3
smax\tc\nsmin\ta\nuniq_a\t3\nuniq_b\t1\nuniq_c\t1\nhist\t3\t1\t2\t3\t2.0\t0.816496580927726\nhist2\t3\t-3\t10\t10\t5.666666666666667\t6.128258770283412
"""


def test_aggregate_adds_up_as_hadoops_does(cluster, tmp_path):
    (tmp_path / "in").write_bytes(b"a 1\nb 5\na 7\nc -3\nb 5\na 2\n")
    local = ["run", "-jt", "local", "-stream", "-reduces", "1"]
    cluster.run(*local, "-mapper", AGGREGATE.decode(), "-reducer", "aggregate", str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "part-r-00000").read_bytes() == AGGREGATED
    for key, said in (("LongValueSum:x\\tno", "is no whole number"), ("Sum:x\\t1", "is not TYPE:ID"), ("x\\t1", "is not TYPE:ID"),
                      ("LongValueSum:x\\t99999999999999999999", "is no whole number"), ("DoubleValueSum:x\\t1,5", "is no number")):
        run = cluster.run(*local, "-mapper", f"printf '{key}\\n'", "-reducer", "aggregate", str(tmp_path / "in"), str(tmp_path / "bad"), check=False)
        assert run.returncode == 1 and said in run.stderr.decode(), run.stderr


COMPARE = ["-D", "mapred.output.key.comparator.class=org.apache.hadoop.mapred.lib.KeyFieldBasedComparator"]
DOTS = ["-D", "stream.num.map.output.key.fields=4", "-D", "stream.map.output.field.separator=.", "-D", "map.output.key.field.separator=."]


@pytest.mark.parametrize("spec,key", [
    ("-k2,2nr -k1,4", lambda f: (-float(f[1]), b".".join(f))), ("-k1,1r -k3,3n -k1,4", lambda f: ([-c for c in f[0]] + [1], float(f[2]), b".".join(f))),
    ("-k4.2,4.3 -k2,2n -k1,4", lambda f: (f[3][1:3] or b"", float(f[1]), b".".join(f)))])
def test_keys_are_ordered_by_their_fields(cluster, tmp_path, spec, key):
    rnd = random.Random(7)
    rows = [[b"%d" % rnd.choice((1, 2, 10, 33)), b"%d" % rnd.choice((-12, -3, 0, 7, 12, 10**17)), b"%d" % rnd.choice((9, 10, 11)), rnd.choice((b"abc", b"xyz", b"pq"))]
            for _ in range(300)]
    (tmp_path / "in").write_bytes(b"".join(b".".join(row) + b".value\n" for row in rows))
    cluster.run("run", "-jt", "local", "-stream", "-reduces", "1", *COMPARE, *DOTS, "-D", "mapreduce.partition.keycomparator.options=" + spec, "-mapper", "cat",
                "-reducer", "cat", "-D", "mapreduce.input.fileinputformat.split.maxsize=2000", str(tmp_path / "in"), str(tmp_path / "out"))
    got = (tmp_path / "out" / "part-r-00000").read_bytes()
    assert got == b"".join(b".".join(row) + b"\tvalue\n" for row in sorted(rows, key=key))


def test_lines_alike_in_some_fields_meet(cluster):
    stream(cluster, "/meet", *DOTS, "-reduces", "3", "-partitioner", "org.apache.hadoop.mapred.lib.KeyFieldBasedPartitioner",
           "-D", "mapreduce.partition.keypartitioner.options=-k1,2", "-mapper", "cat", "-reducer", "cat", put_in="/dots")
    # The same files as Hadoop's: its hash, and its remainder.
    want = {n: b"" for n in range(3)}
    for line in sorted(b"11.12.1.2\n11.14.2.3\n11.11.4.1\n11.12.1.1\n11.14.2.2\n".split()):
        hash = 0
        for c in b".".join(line.split(b".")[:2]):
            hash = (hash * 31 + c) % 2**32
        want[hash % 2**31 % 3] += line + b"\t\n"
    assert [cluster.fs("-cat", f"/meet/part-r-{n:05d}").stdout for n in range(3)] == list(want.values())
    for spec in ("-k0", "-k", "-kx", "-k1,2z", "x"):
        run = stream(cluster, "/bad", "-D", "mapreduce.map.maxattempts=1", *COMPARE, "-D", "mapred.text.key.comparator.options=" + spec, "-mapper", "cat", put_in="/dots",
                     check=False)
        assert run.returncode == 2 and b"parts of keys are -kF" in run.stderr, (spec, run.stderr)


def test_archives_are_unpacked_beside_the_program(cluster, tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "word").write_text("found")
    for name, pack in (("a.tgz", ["tar", "-czf"]), ("it's.tar", ["tar", "-cf"])):
        subprocess.run([*pack, tmp_path / name, "-C", tmp_path / "dir", "word"], check=True)
    subprocess.run(["python3", "-m", "zipfile", "-c", tmp_path / "b.zip", tmp_path / "dir" / "word"], check=True)
    stream(cluster, "/archives", "-archives", f"{tmp_path}/a.tgz#a,{tmp_path}/b.zip", "-cacheArchive", f"{tmp_path}/it's.tar#it's", "-reduces", "1",
           "-mapper", "cat a/word b.zip/word; wc -l", "-reducer", "cat it\\'s/word; cat", put_in="/dots")
    assert answer(cluster, "/archives") == b"found5\t\n".replace(b"found5", b"foundfoundfound5")


def test_old_scripts_find_old_names(cluster):
    stream(cluster, "/old", "-reducer", "NONE", "-D", "stream.jobconf.truncate.limit=5", "-cmdenv", "LONG=longer than five", "-mapper", "env", put_in="/dots")
    env = dict(line.rstrip("\t").split("=", 1) for line in answer(cluster, "/old").decode().splitlines() if "=" in line)
    assert env["map_input_file"] == "/dots" and env["mapred_task_is_map"] == "true" and env["mapred_task_partition"] == "0"
    assert env["mapred_job_id"] == env["mapreduce_job_id"] == "job_1" and env["LONG"] == "longer than five"


def local_stream(cluster, top, *words, fails=False):
    done = cluster.run("run", "-jt", "local", "-stream", *map(str, words), str(top / "in"), str(top / "out"), check=False)
    assert (done.returncode != 0) == fails, done.stderr
    got = b"".join(open(p, "rb").read() for p in sorted(glob.glob(f"{top}/out/part-*")))
    subprocess.run(["rm", "-rf", top / "out"], check=True)
    return done.stderr if fails else got


@pytest.mark.parametrize("command, made", [
    ("head -n 1", b"000000\t\n"),
    ("true", b""),
    ("exec <&-; echo closed", b"closed\t\n"),
    ("head -n 1; exec >&-; sleep 0.05", b"000000\t\n"),
    ("exec >&-; cat >/dev/null", b""),
    ("cat > /dev/null; exec >&-; exit 3", b"code 3"),
    ("exec <&-; exit 4", b"code 4"),
    ("exec >&- <&-; kill -KILL $$", b"SIGKILL"),
])
def test_a_program_that_hangs_up_early_is_judged_by_its_end(cluster, tmp_path, command, made):
    """What it has said counts, its exit code decides; more input than fits into pipes is left. As mapper, combiner and reducer."""
    (tmp_path / "in").write_bytes(b"".join(b"%06d\n" % n + b"more of it" * 13 + b"\n" for n in range(10_000)))
    fails = made.startswith((b"code", b"SIG"))
    whole = ["-D", "mapreduce.input.fileinputformat.split.maxsize=1g", "-D", "mapreduce.map.maxattempts=1", "-reduces", "1"]
    for words in ["-mapper", command, "-reducer", "NONE"], ["-mapper", "cat", "-combiner", command, "-reducer", command]:
        got = local_stream(cluster, tmp_path, *(whole[:4] if "NONE" in words else whole), *words, fails=fails)
        assert made in got if fails else got == made, words


def test_lines_of_a_fifth_of_the_memory_go_through(cluster, tmp_path):
    """As one of 100 MB where a task has 512 MB; beyond a quarter it is told, with what memory would do."""
    rows = [b"k\t" + b"x" * 6_500_000, b"b\t1", b"k\t" + b"y" * 6_500_000, b"", b"a"]
    (tmp_path / "in").write_bytes(b"\n".join(rows))
    memory = ["-D", "mapreduce.map.memory.mb=32m", "-D", "mapreduce.reduce.memory.mb=32m", "-D", "mapreduce.map.maxattempts=1", "-reduces", "1"]
    want = b"".join((row if b"\t" in row else row + b"\t") + b"\n" for row in sorted(rows, key=lambda row: row.split(b"\t")[0]))
    for words in (["-mapper", "cat"], ["-mapper", "cat", "-combiner", "cat"]):
        assert local_stream(cluster, tmp_path, *memory, *words, "-reducer", "cat") == want, words
    said = local_stream(cluster, tmp_path, *memory, "-mapper", "printf k; head -c 9000000 /dev/zero | tr '\\0' x; echo", "-reducer", "cat", fails=True)
    assert b"emitted a record of 8.6 M, more than a quarter" in said and b"mapreduce.map.memory.mb=" in said, said


@pytest.mark.skipif("debug" in BUILD or "tsan" in BUILD, reason="a sanitizer has memory of its own")
def test_long_lines_stay_near_the_budget(cluster):
    """A reducer has one of 7 MB in hand, one on its way back from the program, and its output's ring: all of it beside 32 MB at most 16."""
    rows = [b"k%03d\t" % (n * 7919 % 1000) + bytes([97 + n % 26]) * (7 << 20) for n in range(30)]
    cluster.fs("-put", "-", "/long", input=b"\n".join(rows) + b"\n")
    memory = ["-D", "mapreduce.map.memory.mb=32", "-D", "mapreduce.reduce.memory.mb=32"]
    job = cluster.run("run", "-detach", "-stream", *memory, "-reduces", "2", "-mapper", "cat", "-reducer", "cat", "/long", "/longer").stdout.decode().strip()
    assert cluster.run("job", "-wait", job, timeout=300).returncode == 0
    assert sorted(cluster.fs("-cat", "/longer/part-*").stdout.splitlines()) == sorted(rows)
    peaks = {stage["name"]: stage["account"]["peak_memory"] for stage in cluster.status(job)["stages"]}
    assert 0 < max(peaks["map"], peaks["reduce"]) <= 48 << 20, peaks


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
