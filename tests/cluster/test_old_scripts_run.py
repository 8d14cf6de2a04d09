# SPDX-License-Identifier: Apache-2.0
"""Scripts written for Hadoop run with only their PATH changed: scripts/compat holds hadoop, hdfs, mapred
and yarn. The script below is the kind that cron runs: it scrapes columns, exit codes and the console."""
import itertools
import os
import re
import subprocess

import pytest

from cluster import BUILD, Cluster

COMPAT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "compat")
NIGHTLY = r"""
set -eu
day=2026-11-20
hdfs dfs -mkdir -p /logs/$day
hdfs dfs -put "$1" /logs/$day/
[ "$(hdfs dfs -ls /logs/$day | grep -v '^Found' | awk '{print $8}')" = "/logs/$day/$(basename "$1")" ]
[ "$(hadoop fs -du -s /logs/$day | awk '{print $1}')" = "$(wc -c <"$1" | tr -d ' ')" ]
if hadoop fs -test -e /report/$day; then hadoop fs -rm -r -skipTrash /report/$day; fi
hadoop jar /opt/hadoop/share/hadoop-mapreduce-examples-3.4.2.jar wordcount \
    -Dmapreduce.job.reduces=2 -Dmapreduce.map.memory.mb=512 /logs/$day /report/$day 2>console
grep -q 'Running job: job_[0-9]*_[0-9]*$' console
grep -q ' map 100% reduce 100%$' console
grep -q 'Job job_[0-9_]* completed successfully$' console
hadoop fs -test -e /report/$day/_SUCCESS
[ "$(hadoop fs -ls /report/$day/part-r-* | wc -l)" = 2 ]
hadoop fs -getmerge /report/$day words
hadoop jar hadoop-mapreduce-examples.jar grep /logs/$day /report/grep 'b[a-z]*' 2>/dev/null
hadoop fs -cat /report/grep/part-r-00000 >matches
hadoop jar hadoop-mapreduce-examples.jar grep /logs/$day /report/group '(b)([a-z]*)' 1 2>/dev/null
[ "$(hadoop fs -cat /report/group/part-r-00000)" = "$(awk '{ n += $1 } END { print n "\tb" }' matches)" ]
hadoop distcp -update /report/$day /backup/$day
hadoop fs -count /backup/$day | awk '{ exit $2 != 4 }'
mapred job -list all | awk -F '\t' '$3 ~ /SUCCEEDED/ { n++ } END { exit n < 2 }'
yarn application -list 2>/dev/null | head -1 | grep -q 'tags: \[\]):0$'
hdfs dfsadmin -safemode get | grep -q 'Safe mode is OFF'
hdfs fsck / | tail -1 | grep -q 'is HEALTHY$'
"""


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


def shell(cluster, text, *args, cwd=None):
    env = dict(cluster.env, PATH=f"{os.path.abspath(COMPAT)}:{os.environ['PATH']}", QUERN=os.path.join(BUILD, "quern"))
    return subprocess.run(["bash", "-x", "-c", text, "script", *map(str, args)], env=env, cwd=cwd,
                          capture_output=True, text=True, timeout=120, check=False)


def test_a_nightly_script_finds_everything_where_it_was(cluster, tmp_path):
    text = tmp_path / "app.log"
    text.write_text("b a b\nbb c b\n" * 200)
    done = shell(cluster, NIGHTLY, text, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted((tmp_path / "words").read_text().splitlines()) == ["a\t200", "b\t600", "bb\t200", "c\t200"]
    assert (tmp_path / "matches").read_text() == "600\tb\n200\tbb\n"


def test_what_is_not_here_says_so(cluster, tmp_path):
    (tmp_path / "etl.jar").touch()
    done = shell(cluster, "hadoop jar etl.jar com.example.Main", cwd=tmp_path)
    assert done.returncode == 1 and "etl.jar is Java" in done.stderr
    for name in ("sudoku", "dbcount", "bbp"):
        done = shell(cluster, "hadoop jar x-examples.jar $1 1 1", name)
        assert done.returncode == 1 and re.search(f"hadoop: {name}: .*(here|lines|estimates it)", done.stderr), done.stderr
    done = shell(cluster, "hadoop jar x-examples.jar nothing 1 1")
    assert done.returncode == 255 and "Unknown program 'nothing' chosen." in done.stdout
    done = shell(cluster, "hdfs ec -listPolicies")
    assert done.returncode == 1 and "there is no erasure coding" in done.stderr


def test_a_job_that_fails_fails_the_script(cluster):
    done = shell(cluster, "hadoop jar x-examples.jar wordcount /not/there /never")
    assert done.returncode != 0 and "/not/there" in done.stderr


STREAMED = r"""
set -eu
hadoop fs -put - /streamed < "$1"
hadoop jar /opt/hadoop-streaming-3.4.2.jar -D mapreduce.job.name=words -files "$2" -input /streamed -output /s1 -mapper "tr ' ' '\n'" -reducer count.sh
mapred streaming -files "$2" -numReduceTasks 2 -input /streamed -output /s2 -mapper "tr ' ' '\n'" -reducer count.sh 2>console
grep -q 'completed successfully$' console
[ "$(hadoop fs -cat '/s1/part-*')" = "$(printf 'a\t2\nb\t1\nc\t1')" ]
[ "$(hadoop fs -cat '/s2/part-*' | sort)" = "$(printf 'a\t2\nb\t1\nc\t1')" ]
[ "$(hadoop fs -ls '/s1/part-*' '/s2/part-*' | wc -l)" = 3 ]
hadoop jar hadoop-streaming.jar -mapper cat -reducer cat -jobconf mapred.reduce.tasks=3 -input /streamed,/streamed -output /s3
[ "$(hadoop fs -ls '/s3/part-*' | wc -l) $(hadoop fs -cat '/s3/part-*' | wc -l)" = "3 4" ]
mapred streaming -input /streamed -output /s4 -background -mapper "until [ -e '$2.go' ]; do sleep 0.1; done; cat" 2>console
grep -q 'Job is running in background' console
[ -n "$(mapred job -list | grep "$(grep -o 'job_[0-9]*_[0-9]*' console)")" ]
touch "$2.go"
until hadoop fs -test -e /s4/part-00000; do sleep 0.2; done
hadoop jar hadoop-mapreduce-examples.jar teragen -D mapreduce.job.maps=2 1000 /rows
hadoop jar hadoop-mapreduce-examples.jar terasort /rows /sorted
hadoop jar hadoop-mapreduce-examples.jar teravalidate /sorted /valid
[ "$(hadoop fs -cat '/valid/part-*' | head -1)" = "$(printf 'rows\t1000')" ]
"""


def test_streaming_by_jar_and_by_mapred(cluster, tmp_path):
    (tmp_path / "in").write_text("b a\na c\n")
    (tmp_path / "count.sh").write_text("#!/bin/sh\nuniq -c | awk '{ print $2 \"\\t\" $1 }'\n")
    (tmp_path / "count.sh").chmod(0o755)
    done = shell(cluster, STREAMED, tmp_path / "in", tmp_path / "count.sh", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("words, said", [
    ("-inputt /a -output /o -mapper cat", "Unrecognized option: -inputt (did you mean -input?)"),
    ("-libjars x.jar -input /a -outptu /o -mapper cat", "Unrecognized option: -outptu (did you mean -output?)"),
    ("-input /a -output /o -maper cat", "Unrecognized option: -maper (did you mean -mapper?)"),
    ("-input /a -output /o -mapper cat -numReduceTask 2", "Unrecognized option: -numReduceTask (did you mean -numReduceTasks?)"),
    ("-zork -input /a", "Unrecognized option: -zork"),
    ("-output /o -mapper cat", "Required argument: -input <name>\nTry -help for more information"),
    ("-input /a -mapper cat -output", "quern run: -output needs a value"),
])
def test_an_option_of_streaming_that_is_spelt_wrong_is_named(cluster, words, said):
    done = shell(cluster, "set +x; hadoop jar hadoop-streaming.jar " + words)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr.endswith(said + "\n") and done.stderr.count("Required") == said.count("Required")


def uri(cluster, scheme="hdfs"):
    return re.search(r"fs.defaultFS = quern(://\S+)", open(cluster.env["QUERN_CONF"]).read()).expand(scheme + r"\1")


@pytest.fixture(scope="module")
def other():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


DISTCP = r"""
set -eu
here=$1 there=$2
mkdir -p tree/sub; echo one >tree/1; echo two >tree/sub/2; : >tree/empty
hadoop distcp "file://$PWD/tree" $here/a
hadoop fs -chmod 640 $here/a/1; hadoop fs -touch -t 20200102:030405 $here/a/1

hadoop distcp $here/a $there/b                    # becomes b
[ "$(hadoop fs -count $there/b | awk '{ print $1, $2, $3 }')" = "2 3 8" ]
hadoop distcp $here/a $there/b                    # goes into b
hadoop fs -test -e $there/b/a/sub/2
hadoop fs -rm -r -skipTrash $there/b/a

echo changed >1; hadoop fs -put -f 1 $here/a/1; echo more >3; hadoop fs -put 3 $here/a
hadoop distcp $here/a/1 $here/a/3 $there/b        # what is there stays
[ "$(hadoop fs -cat $there/b/1)" = one ] && [ "$(hadoop fs -cat $there/b/3)" = more ]

echo three >x; hadoop fs -put x $there/b/sub/extra
hadoop fs -put x $there/b/1.same; hadoop fs -rm -skipTrash $there/b/1.same
hadoop distcp -update -delete -pugpt -m 5 -bandwidth 10 -i $here/a $there/b 2>counters
grep -q 'Files Copied=1$' counters && grep -q 'Files Skipped=3$' counters && grep -q 'Files Deleted=1$' counters
[ "$(hadoop fs -cat $there/b/1)" = changed ]
if hadoop fs -test -e $there/b/sub/extra; then exit 7; fi

echo CHANGED >1; hadoop fs -put -f 1 $there/b/1   # same length, other bytes: the checksum tells
hadoop distcp -update -skipcrccheck $here/a $there/b
[ "$(hadoop fs -cat $there/b/1)" = CHANGED ]
hadoop distcp -update $here/a $there/b
[ "$(hadoop fs -cat $there/b/1)" = changed ]
hadoop distcp -overwrite $here/a $there/b 2>counters
grep -q 'Files Copied=4$' counters

hadoop distcp -update $there/b "file://$PWD/back"
[ "$(cat back/1 back/sub/2)" = "changed
two" ]
"""


DISTCP_LISTS = r"""
set -eu
here=$1 there=$2
mkdir -p logs/sub logs/_temporary/0 logs/kept.tmp
echo one >logs/1; echo two >logs/sub/2; echo x >logs/a.tmp; echo y >logs/_temporary/0/y; echo z >logs/kept.tmp/z
hadoop fs -put logs $here/sieved
printf '%s\n' '.*\.tmp' '.*/_temporary(?:/.*)?' >filters

hadoop distcp -filters filters $here/sieved $there/filtered
[ "$(hadoop fs -find $there/filtered -name '*' | sed "s#$there/##" | sort | xargs)" = \
  "filtered filtered/1 filtered/kept.tmp filtered/kept.tmp/z filtered/sub filtered/sub/2" ]
hadoop fs -touchz $there/filtered/mine.tmp $there/filtered/extra
hadoop distcp -update -delete -filters filters $here/sieved $there/filtered 2>counters
grep -q 'Files Deleted=1$' counters
hadoop fs -test -e $there/filtered/mine.tmp
! hadoop fs -test -e $there/filtered/extra

printf '%s\n' "$here/sieved/1" "$here/sieved/su*" >list
hadoop fs -put list $here/list
hadoop distcp -f $here/list $there/listed
hadoop distcp -update -f file://$PWD/list $there/merged
[ "$(hadoop fs -cat $there/listed/1 $there/listed/sub/2 $there/merged/1 $there/merged/2 | xargs)" = "one two one two" ]

seq 200000 >grown; hadoop fs -put grown $here/grown; hadoop distcp $here/grown $there/grown
seq 200001 200500 >more; hadoop fs -appendToFile more $here/grown
hadoop distcp -update -append $here/grown $there/grown 2>counters
grep -q "Bytes Copied=$(stat -c %s more)$" counters
[ "$(hadoop fs -cat $there/grown | md5sum)" = "$(seq 200500 | md5sum)" ]

hadoop fs -truncate -w 300000 $there/grown; echo other | hadoop fs -appendToFile - $there/grown
hadoop distcp -update -append $here/grown $there/grown   # it does not begin like this: copied whole
[ "$(hadoop fs -cat $there/grown | md5sum)" = "$(seq 200500 | md5sum)" ]
hadoop distcp -update -append $here/grown file://$PWD/grown
seq 200500 | cmp - grown
echo short >grown; hadoop distcp $here/grown file://$PWD/grown   # onto a file that is there
seq 200500 | cmp - grown
"""


def test_examples_that_are_made_of_others(cluster, tmp_path):
    """What Hadoop 3.4.2 prints and leaves, of the same eight words."""
    cluster.fs("-put", "-", "/eight", input=b"a bb ccc\ndd e\nlonger words here\n")
    for name, says, leaves in (("wordmean", "The mean is: 3.0\n", b"count\t8\nlength\t24\n"),
                               ("wordmedian", "The median is: 2\n", b"1\t2\n2\t2\n3\t1\n4\t1\n5\t1\n6\t1\n"),
                               ("wordstandarddeviation", "The standard deviation is: 1.7320508075688772\n", b"count\t8\nlength\t24\nsquare\t96\n")):
        run = shell(cluster, 'hadoop jar examples.jar "$@"', name, "/eight", f"/made/{name}")
        assert run.returncode == 0 and run.stdout == says, run
        assert cluster.fs("-cat", f"/made/{name}/part-r-00000").stdout == leaves
    for name, more in (("randomtextwriter", ["-D", "mapreduce.randomtextwriter.totalbytes=20000"]),
                       ("randomwriter", ["-D", "mapreduce.randomwriter.bytespermap=30000", "-D", "mapreduce.randomwriter.mapsperhost=2"])):
        assert shell(cluster, 'hadoop jar examples.jar "$@"', name, *more, f"/made/{name}").returncode == 0
        assert 15000 < int(cluster.fs("-du", "-s", f"/made/{name}").stdout.split()[0]) < 120000


def test_examples_that_add_up_and_order(cluster):
    cluster.fs("-put", "-", "/words", input=b"b a\nc b\n\nc c\n")
    cluster.fs("-put", "-", "/pairs", input=b"3 4\n1 9\n-3 7\n1 -2\n3 4\n10 1\n")
    line = b"-" * 48 + b"\n"
    for name, put_in, leaves in (("aggregatewordcount", "/words", b"a\t1\nb\t2\nc\t3\n"), ("multifilewc", "/words", b"a\t1\nb\t2\nc\t3\n"),
                                 ("aggregatewordhist", "/words", b"WORD_HISTOGRAM\t3\t1\t2\t3\t2.0\t0.816496580927726\n"),
                                 ("secondarysort", "/pairs", line + b"-3\t7\n" + line + b"1\t-2\n1\t9\n" + line + b"3\t4\n3\t4\n" + line + b"10\t1\n")):
        run = shell(cluster, 'hadoop jar examples.jar "$@"', name, put_in, f"/added/{name}")
        assert run.returncode == 0 and cluster.fs("-cat", f"/added/{name}/part-r-00000").stdout == leaves, (name, run.stderr)


def joined(op, sources):
    """As Hadoop's CompositeInputFormat: the last input's values change first."""
    for key in sorted({key for pairs in sources for key, _ in pairs}):
        values = [[v for k, v in pairs if k == key] for pairs in sources]
        if op == "override":
            yield from (f"{key}\t{v}" for v in next(of for of in reversed(values) if of))
        elif op == "outer" or all(values):
            yield from (f"{key}\t[{','.join(row)}]" for row in itertools.product(*(of or [""] for of in values)))


@pytest.mark.parametrize("op", ["inner", "outer", "override"])
def test_hadoops_join_of_several_inputs(cluster, op):
    """Keys of all kinds of text in any order, several values of one, a directory beside files, and one input that is named twice."""
    sources = [[("b", "b1"), ("a", "x y"), ("1", "one"), ("1.0", "dot"), ("", "no key"), ("a", "x2")], [("a", "3\t4"), ("c", ""), ("b", "\\n"), ("1", "$1")],
               [("b", "'q'"), ("d", "only"), ("a", "%s"), ("1", "\"")]]
    for i, pairs in enumerate(sources):
        for part, few in enumerate((pairs[:2], pairs[2:])):
            cluster.fs("-mkdir", "-p", f"/joins/{op}/{i}")
            cluster.fs("-put", "-", f"/joins/{op}/{i}/part-{part}", input="".join(f"{k}\t{v}\n" if v else f"{k}\n" for k, v in few).encode())
    user = cluster.fs("-ls", "-d", "/joins").stdout.decode().split()[2]
    cluster.fs("-mkdir", "-p", f"/user/{user}")
    cluster.fs("-put", "-", f"/user/{user}/right-{op}", input="".join(f"{k}\t{v}\n" for k, v in sources[2]).encode())
    words = ["-r", "2", "-inFormat", "org.apache.hadoop.mapreduce.lib.input.KeyValueTextInputFormat", "-outFormat", "org.apache.hadoop.mapreduce.lib.output.TextOutputFormat",
             "-outKey", "org.apache.hadoop.io.Text", "-joinOp", op, f"/joins/{op}/0/", f"hdfs:///joins/{op}/1", f"right-{op}", f"/joins/{op}/0"]
    run = shell(cluster, 'hadoop jar examples.jar join "$@"', *words, f"/joined/{op}")
    assert run.returncode == 0 and "The job took " in run.stdout, run
    got = cluster.fs("-cat", f"/joined/{op}/part-r-*").stdout.decode().split("\n")[:-1]
    assert sorted(got) == sorted(joined(op, [*sources, sources[0]])), got
    for more, code, said in ((["/a"], 2, "Wrong number of parameters"), (["-r", "x", "/a", "/b"], 2, "Integer expected instead of x"), (["-joinOp"], 2, "missing from -joinOp"),
                             (["-joinOp", "cross", "/a", "/b"], 1, "inner, outer or override"), (["-inFormat", "SequenceFileInputFormat", "/a", "/b"], 1, "lines of text are joined"),
                             (["/joins/no", "/a", "/b"], 1, "Input path does not exist: /joins/no")):
        run = shell(cluster, 'hadoop jar examples.jar join "$@"', *more)
        assert run.returncode == code and said in run.stdout + run.stderr, run


def test_the_words_of_hadoops_sort(cluster):
    cluster.fs("-put", "-", "/unsorted", input=b"c\na\nb\na\n" * 50)
    sort = 'hadoop jar examples.jar sort "$@"'
    run = shell(cluster, sort, "-r", "2", "-inFormat", "org.apache.hadoop.mapreduce.lib.input.TextInputFormat", "-outKey", "org.apache.hadoop.io.Text",
                "-totalOrder", "0.1", "1000", "10", "/unsorted", "/in-order")
    assert run.returncode == 0 and cluster.fs("-cat", "/in-order/part-r-*").stdout == b"a\n" * 100 + b"b\n" * 50 + b"c\n" * 50, run.stderr
    assert cluster.fs("-test", "-e", "/in-order/part-r-00001").returncode == 0
    for words, code, said in ((["-inFormat", "x.SequenceFileInputFormat", "/a", "/b"], 1, "lines of text are sorted here"), (["-r", "none", "/a", "/b"], 1, "how many reducers?"),
                              (["/a"], 2, "sort [-r <reduces>]"), (["-r", "/a", "/b"], 2, "sort [-r <reduces>]")):
        run = shell(cluster, sort, *words)
        assert run.returncode == code and said in run.stdout + run.stderr, run


def test_the_benchmark_of_the_filesystem(cluster, tmp_path):
    """Its table on the console and in a file, as scripts scrape it; its files under their names."""
    jar = "hadoop jar hadoop-mapreduce-client-jobclient-3.4.2-tests.jar TestDFSIO -D test.build.data=/dfsio "
    for kind, size in (("write", "-size 1MB"), ("read", "-fileSize 1")):
        run = shell(cluster, jar + f"-{kind} -nrFiles 3 {size} -resFile result", cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        table = dict(re.split(" ?: ", row.strip(), maxsplit=1) for row in (tmp_path / "result").read_text().splitlines()[-10:] if row)
        assert table["----- TestDFSIO -----"] == kind and table["Number of files"] == "3" and table["Total MBytes processed"] == "3"
        assert float(table["Throughput mb/sec"]) > 0 and float(table["Average IO rate mb/sec"]) > 0 and float(table["IO rate std deviation"]) >= 0
        assert re.search(r"INFO fs.TestDFSIO:       Throughput mb/sec: [0-9.]+\n", run.stderr)
    assert cluster.fs("-du", "-s", "/dfsio/io_data/test_io_[0-2]").stdout.count(b"1048576") == 6
    assert shell(cluster, jar + "-clean").returncode == 0 and cluster.fs("-test", "-e", "/dfsio", check=False).returncode == 1
    for words, code, said in (("-append", 1, "-write, -read and -clean are known"), ("-size x -write", 255, "Illegal argument: x"), ("", 255, "Usage: TestDFSIO"),
                              ("-read", 1, "write it first")):
        run = shell(cluster, jar + words)
        assert run.returncode == code and said in run.stderr, (words, run.stderr)
    sleeps = shell(cluster, "hadoop jar hadoop-mapreduce-client-jobclient-tests.jar sleep -m 2 -r 1 -mt 1 -rt 1")
    assert sleeps.returncode == 0 and "completed successfully" in sleeps.stderr


def test_counters_have_the_groups_and_names_of_hadoop(cluster, tmp_path):
    """By eye, and by the names of its classes: of a job of two reducers over 30 bytes."""
    cluster.fs("-put", "-", "/counted", input=b"a b\nb c\n" * 3 + b"a b c\n")
    run = shell(cluster, "hadoop jar examples.jar wordcount -D mapreduce.job.reduces=2 /counted /counts")
    assert run.returncode == 0, run.stderr
    groups = re.findall(r"^\t(\S.*)$", run.stderr, re.M)
    assert groups == ["File System Counters", "Job Counters ", "Map-Reduce Framework", "File Input Format Counters ", "File Output Format Counters "]
    job = re.search(r"Running job: (\S+)", run.stderr).group(1)
    mapreduce = "org.apache.hadoop.mapreduce."
    for group, name, value in (("TaskCounter", "MAP_INPUT_RECORDS", 7), ("TaskCounter", "MAP_OUTPUT_RECORDS", 15), ("TaskCounter", "COMBINE_OUTPUT_RECORDS", 3),
                               ("TaskCounter", "REDUCE_INPUT_GROUPS", 3), ("TaskCounter", "REDUCE_OUTPUT_RECORDS", 3), ("JobCounter", "TOTAL_LAUNCHED_MAPS", 1),
                               ("JobCounter", "TOTAL_LAUNCHED_REDUCES", 2), ("JobCounter", "NUM_FAILED_MAPS", 0), ("FileSystemCounter", "HDFS_BYTES_READ", 30),
                               ("lib.input.FileInputFormatCounter", "BYTES_READ", 30), ("lib.output.FileOutputFormatCounter", "BYTES_WRITTEN", 12)):
        said = shell(cluster, 'mapred job -counter "$@"', job, mapreduce + group, name)
        assert said.stdout == f"{value}\n", (group, name, said.stdout, said.stderr)
    for group, name, value in (("Job Counters", "Launched reduce tasks", 2), ("File Input Format Counters ", "Bytes Read", 30)):
        assert cluster.run("job", "-counter", job, group, name).stdout == b"%d\n" % value
    assert "Could not find job" in shell(cluster, "mapred job -counter job_1_0001 x y").stdout
    attempts = shell(cluster, "mapred job -list-attempt-ids $1 REDUCE completed; hadoop job -kill-task attempt_${1#job_}_m_000000_0 || echo $?; "
                              "mapred job -config $1 job.xml && grep -c '<property>' job.xml; mapred job -list-attempt-ids $1 REDUCES done || echo $?", job, cwd=tmp_path)
    number = job[len("job_"):]
    assert attempts.stdout.split("\n")[:4] == [f"attempt_{number}_r_00000{i}_0" for i in range(2)] + [f"Could not kill task attempt_{number}_m_000000_0", "255"]
    assert int(attempts.stdout.split("\n")[4]) >= 3 and attempts.stdout.split("\n")[5] == "255" and "does not run: it is done" in attempts.stderr


def test_distcp_between_two_clusters_and_local_paths(cluster, other, tmp_path):
    done = shell(cluster, DISTCP, uri(cluster), uri(other, "quern"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    kept = cluster.fs("-stat", "%a", "/a/1").stdout
    assert kept == other.fs("-stat", "%a", "/b/1").stdout


def test_distcp_takes_lists_and_appends(cluster, other, tmp_path):
    done = shell(cluster, DISTCP_LISTS, uri(cluster), uri(other), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


def test_distcp_refuses_what_would_lose_something(cluster, other, tmp_path):
    here, there = uri(cluster), uri(other)
    cluster.fs("-mkdir", "-p", "/lose/1", "/lose/2", "/again/1")
    cluster.fs("-touchz", "/empty", "/lose/x")
    other.fs("-mkdir", "-p", "/keep")
    other.fs("-touchz", "/keep/x")
    (tmp_path / "ahead").write_text(".*(?=x)\n")
    for args, code, said in (
            (f"-delete {here}/lose {there}/keep", 255, "Delete missing is applicable only with update or overwrite"),
            (f"-update -overwrite {here}/lose {there}/keep", 255, "mutually exclusive"),
            (f"-update -delete {here}/lose/1 {here}/lose/2 {there}/keep", 255, "-delete takes one source"),
            (f"-update -delete {here}/none {there}/keep", 255, f"Invalid input: {here}/none doesn't exist: No such file or directory"),
            (f"{here}/lose {there}/keep/x", 255, f"Cannot copy {here}/lose, which is not a file to {there}/keep/x"),
            (f"{here}/lose/1 {here}/lose/2 {there}/keep/x", 255, "Multiple source being copied to a file"),
            (f"{here}/lose/1 {here}/again/1 {there}/keep", 254, "would cause duplicates. Aborting"),
            (f"-update {here}/lose {here}/again {there}/keep", 254, "would cause duplicates. Aborting"),
            (f"-update -diff s1 s2 {here}/lose {there}/keep", 255, "-diff and -rdiff compare snapshots, and there are none here"),
            (f"-append {here}/lose {there}/keep", 255, "Append is valid only with update options"),
            (f"-update -append -skipcrccheck {here}/lose {there}/keep", 255, "Append is disallowed when skipping CRC"),
            (f"-update -delete -filters none {here}/lose {there}/keep", 255, "`none': No such file or directory"),
            (f"-update -delete -filters ahead {here}/lose {there}/keep", 255, 'ahead, line 1: ".*(?=x)" is no regular expression'),
            (f"-f {here}/lose {here}/lose {there}/keep", 255, "Both source file listing and source paths present"),
            (f"-f {here}/empty {there}/keep", 255, "Nothing to process. Source paths::EMPTY"),
            (f"-f {here}/none {there}/keep", 255, f"`{here}/none': No such file or directory"),
            (f"{here}/lose/x {there}/keep/x/y", 25, "keep/x"),
            ("", 255, "Target path not specified"),
            (f"-nosuch {here}/lose {there}/keep", 255, "Illegal option -nosuch")):
        done = shell(cluster, "hadoop distcp " + args, cwd=tmp_path)
        assert done.returncode == code and said in done.stderr, (args, done)
    assert other.fs("-ls", "-C", "/keep").stdout.strip() == b"/keep/x"


def test_a_lease_is_taken_as_debug_takes_it(cluster):
    done = shell(cluster, r"""
        set -e
        hdfs dfs -touchz /led
        hdfs debug recoverLease -path /led -retries 3
        hdfs debug | head -n 1
        hdfs debug recoverLease | head -n 1
        ! hdfs debug recoverLease -path /none 2>&1
        ! hdfs debug recoverLease -path / -retries 2 2>&1
        ! hdfs debug recoverLease -path /led -retries x 2>&1
        [ -z "$(hdfs lsSnapshottableDir)" ]
        ! hdfs lsSnapshottableDir x 2>/dev/null""")
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        "recoverLease SUCCEEDED on /led", "Usage: hdfs debug <command> [arguments]", "recoverLease -path <path> [-retries <num-retries>]",
        "recoverLease got exception: File does not exist: /none", "Giving up on recoverLease for /none after 1 try",
        "recoverLease got exception: Path is not a file: /", "Giving up on recoverLease for / after 2 tries",
        'Failed to parse the argument to -retries: For input string: "x"']


def test_the_small_questions_of_scripts(cluster):
    done = shell(cluster, "hadoop fs -ls -l; hdfs groups; mapred queue -list; hadoop classpath; hadoop checknative")
    assert "Usage: hadoop fs [generic options] -ls" in done.stderr
    assert " : " in done.stdout and "Queue Name : default" in done.stdout and "zlib:    true" in done.stdout
    done = shell(cluster, "hadoop fs -D fs.s3a.access.key=x -Ddfs.client.socket.timeout=1 -ls -d /")
    assert done.returncode == 0, done.stderr


OLD = os.path.join(os.path.dirname(__file__), "..", "clients", "old_scripts")


@pytest.mark.parametrize("name", ["nightly_load", "health_check", "benchmark", "housekeeping", "job_control"])
def test_an_old_script_runs(cluster, name, tmp_path):
    done = shell(cluster, f"exec {os.path.abspath(OLD)}/{name}.sh", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-2500:]


def test_an_old_script_copies_to_another_cluster(cluster, other, tmp_path):
    done = shell(cluster, f"exec {os.path.abspath(OLD)}/offsite_copy.sh {uri(cluster)} {uri(other)}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-2500:]
