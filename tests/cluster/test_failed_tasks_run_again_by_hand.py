# SPDX-License-Identifier: Apache-2.0
"""A task that failed can be run again alone: as it was, on its last record, or in a debugger."""
import json
import os
import re
import shutil
import subprocess

import pytest

from cluster import ROOT, Cluster

# Crashes on one record of a map; a reduce refuses one key.
DELICATE = r"""
#include <string.h>
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    if (line.len == 6 && memcmp(line.data, "poison", 6) == 0)
        __builtin_trap();
    return qn_emit(task, line, qn_from_u64(&(uint64_t){1}));
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *counts)
{
    struct qn_slice count;
    uint64_t sum = 0;
    while (qn_next(counts, &count))
        sum += qn_to_u64(count);
    if (key.len == 5 && memcmp(key.data, "venom", 5) == 0)
        return qn_fail(task, "venom came %llu times", (unsigned long long)sum);
    return qn_emit(task, key, qn_from_u64(&sum));
}

#ifdef TWICE /* it is the second stage that stands no venom */
static int pass(struct qn_task *task, struct qn_slice key, struct qn_values *counts)
{
    struct qn_slice count;
    while (qn_next(counts, &count))
        if (qn_emit(task, key, count) != 0)
            return -1;
    return 0;
}

static const struct qn_job second = {.head = QN_JOB_HEAD, .name = "second", .reduce = reduce,
                                     .out_key = QN_TEXT, .out_value = QN_U64};
#define STAGES .reduce = pass, .out_key = QN_TEXT, .out_value = QN_U64, .then = &second
#else
#define STAGES .reduce = reduce
#endif

const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "delicate", .about = "stands little",
                              .map = map, .key = QN_TEXT, .value = QN_U64, STAGES};
"""


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


@pytest.fixture(scope="module")
def plugin(cluster, tmp_path_factory):
    dir = tmp_path_factory.mktemp("delicate")
    (dir / "delicate.c").write_text(DELICATE)
    for name in "delicate", "twice":
        subprocess.run(["cc", "-g", "-shared", "-fPIC", "-D" + name.upper(), "-I", os.path.join(ROOT, "include"), dir / "delicate.c",
                        "-o", dir / (name + ".so")], check=True, timeout=120)
    numbers = "".join(f"{i}\n" for i in range(500))
    cluster.run("fs", "-put", "-", "/poison", input=(numbers + "poison\n" + numbers).encode())
    cluster.run("fs", "-put", "-", "/venom", input=("venom\n" + numbers + "venom\n").encode())
    once = ["-D", "mapreduce.map.maxattempts=1", "-D", "mapreduce.reduce.maxattempts=1"]
    told = cluster.run("run", *once, str(dir / "delicate.so"), "/poison", "/o", check=False).stderr.decode()
    assert "again     quern job -replay 1 -task m0" in told
    cluster.run("run", *once, "-reduces", "1", "-D", "mapreduce.input.fileinputformat.split.maxsize=1k",
                str(dir / "delicate.so"), "/venom", "/o", check=False)
    told = cluster.run("run", *once, "-reduces", "2", "-D", "mapreduce.input.fileinputformat.split.maxsize=1k",
                       str(dir / "twice.so"), "/venom", "/o", check=False).stderr.decode()
    task = re.search("job 3 failed: reduce ([01]) of reduce stage 2 failed 1 time, on ", told).group(1)
    assert f"quern job -logs 3 -task s{task}\n" in told and f"quern job -replay 3 -task s{task} " in told
    cluster.run("run", "wordcount", "/venom", "/well")
    history = cluster.run("job", "-history", "3").stdout.decode()
    assert re.search(rf"\ns{task} +node1 .* failed\n", history) and f"failed  s{task} attempt 0 on node1 (said so): venom" in history
    for name in "delicate", "twice":
        os.unlink(dir / (name + ".so"))  # the cluster has its own
    return dir


def replay(cluster, plugin, *words, **kw):
    run = cluster.run("job", "-replay", *words, check=False, env={"TMPDIR": str(plugin)}, **kw)
    for name in os.listdir(plugin):
        if name.startswith("quern-replay-"):
            shutil.rmtree(plugin / name)
    return run


def crash_of(run):
    return re.search(rb"map 0: crashed.*?\n  at        (.*)\n  record    (.*)\n", run.stdout).groups()


def test_a_map_crashes_again_on_the_same_record(cluster, plugin):
    run = replay(cluster, plugin, "1", "-task", "m0")
    assert run.returncode == 1
    at, record = crash_of(run)
    assert b"delicate.c:9 in map, record at /poison offset 1890" in at and record == b'"poison" (6 bytes)'


def test_the_task_that_failed_is_the_one_that_is_meant(cluster, plugin):
    run = replay(cluster, plugin, "2")
    assert run.returncode == 1 and b"replaying reduce 0 of job 2 in " in run.stdout and b"venom came 2 times" in run.stdout


def test_that_nothing_is_limited_is_said_with_what_was(cluster, plugin):
    assert b"neither its memory nor its time is limited: what ended for want of 512 M, " in replay(cluster, plugin, "1", "-record").stdout
    assert b"without limits of memory and time" in cluster.run("job", "-help").stdout


def test_the_record_alone_is_enough(cluster, plugin):
    run = replay(cluster, plugin, "1", "-task", "m0", "-record")
    assert run.returncode == 1 and crash_of(run)[0].endswith(b"record at /poison offset 1890")


def test_a_reduce_gets_its_input_made_again(cluster, plugin):
    run = replay(cluster, plugin, "2", "-task", "r0")
    assert run.returncode == 1
    assert b"its 2 maps run again first" in run.stdout
    assert b"map 1, whose output is read: 2 of 2" in run.stdout
    assert b"reduce 0: venom came 2 times" in run.stdout


def test_a_reduce_of_a_later_stage_gets_its_input_made_again_too(cluster, plugin):
    stages = json.loads(cluster.run("job", "-status", "3", "--json").stdout)["stages"]
    assert [stage["tasks"] for stage in stages[:3]] == [2, 1, 2]
    runs = [replay(cluster, plugin, "3", "-task", f"s{i}") for i in range(2)]
    assert sorted(run.returncode for run in runs) == [0, 1], [run.stdout for run in runs]
    failed = next(run for run in runs if run.returncode == 1)
    assert b"its 2 maps and the reduces before it run again first" in failed.stdout
    assert b"reduce 0, whose output is read: 3 of 3" in failed.stdout
    assert b"venom came 2 times" in failed.stdout


def test_a_map_that_was_well_is_done(cluster, plugin):
    run = replay(cluster, plugin, "2", "-task", "m1")
    assert run.returncode == 0 and b"map 1: done in" in run.stdout


@pytest.mark.skipif(not shutil.which("gdb"), reason="no gdb here")
def test_a_debugger_stops_where_it_crashes(cluster, plugin):
    run = replay(cluster, plugin, "1", "-task", "m0", "-gdb", input=b"run\nbt 1\nkill\nquit\n")
    assert b"#0 " in run.stdout and b"delicate.c:9" in run.stdout


def test_what_is_not_there_is_said_in_one_line(cluster, plugin):
    for words, why in ((("1", "-task", "m7"), b"job 1 has 1 map"), (("77", "-task", "m0"), b"no job 77 here"),
                       (("1", "-task", "x"), b"a task is m12 or r3"), (("1", "-task", "s0"), b"job 1 has 0 reduces in that stage"), (("4",), b"job 4 did not fail: say which of its tasks with -task (m12, r3;"),
                       (("1", "-task", "r0", "-record"), b"-record")):
        run = replay(cluster, plugin, *words)
        assert run.returncode != 0 and why in run.stderr and run.stderr.count(b"\n") == 1


def test_a_jobtracker_that_was_replaced_still_knows_it(cluster, plugin):
    cluster.kill("jobtracker")
    cluster.up()
    assert replay(cluster, plugin, "1", "-task", "m0", "-record").returncode == 1


def test_nobody_elses_job_is_given_away(cluster, plugin):
    run = cluster.run("job", "-replay", "1", "-task", "m0", check=False,
                      env={"HADOOP_USER_NAME": "mallory", "TMPDIR": str(plugin)})
    assert run.returncode != 0 and b"belongs to" in run.stderr
