# SPDX-License-Identifier: Apache-2.0
"""Outputs that replace, replace in part, are added, or must be new: whoever dies around their publication, they are there
once and whole, or not at all; readers keep what they opened, and of two jobs at once neither spoils the other."""
import collections
import os
import signal
import subprocess

import pytest

from cluster import ROOT, Cluster, wait_for

# Each line goes into the directory of its first byte.
FILER = r"""
#include <stdlib.h>
#include <unistd.h>
#include <quern/job.h>

static int setup(struct qn_task *task)
{
    return usleep((useconds_t)atoi(qn_option(task, "filer.ms")) * 1000);
}

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    char name[] = "day=?/part";
    (void)where;
    name[4] = *(const char *)line.data;
    return qn_emit_to(task, name, line, qn_nothing());
}

static const struct qn_option_row options[] = {{"filer.ms", "0", "milliseconds a map sleeps"}, {NULL, NULL, NULL}};
const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "filer", .about = "files lines by day", .setup = setup, .map = map,
                              .key = QN_TEXT, .value = QN_NONE, .options = options};
"""
OLD = [b"%d old %d" % (i % 3, i) for i in range(300)]  # days 0, 1, 2
NEW = [b"%d new %d" % (i % 3 + 1, i) for i in range(300)]  # 1, 2, 3
WANT = {
    "fail": NEW,
    "replace": NEW,
    "append": OLD + NEW,
    "replace-partition": [line for line in OLD if line.startswith(b"0")] + NEW,
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    dir = tmp_path_factory.mktemp("filer")
    (dir / "filer.c").write_text(FILER)
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(ROOT, "include"), dir / "filer.c", "-o", dir / "filer.so"],
                   check=True, timeout=120)
    with Cluster(datanodes=1, workers=2) as c:
        c.plugin = str(dir / "filer.so")
        for name, lines in ("/old", OLD), ("/new", NEW):
            c.fs("-put", "-", name, input=b"\n".join(lines) + b"\n")
        yield c


def words(c, input, out, mode="fail", ms=0):
    return ["-reduces", "0", "-mode", mode, "-D", f"filer.ms={ms}", "-D", "mapreduce.input.fileinputformat.split.maxsize=1k",
            c.plugin, input, out]


def run(c, *args):
    return c.run("run", *words(c, *args))


def submit(c, *args):
    return c.run("run", "-detach", *words(c, *args)).stdout.decode().strip()


def lines_of(c, out):
    return sorted(c.fs("-cat", out + "/*/part*").stdout.splitlines())


def is_whole(c, out, want):
    assert lines_of(c, out) == sorted(want)
    assert b"all as their manifest says" in c.run("job", "-verify", out).stdout
    assert c.fs("-test", "-e", out + "/_temporary", check=False).returncode == 1


def begin_all(c, top, ms):
    """A job of each mode, to one output each; all of them at work."""
    c.fs("-mkdir", top)
    for mode in WANT:
        if mode != "fail":
            run(c, "/old", f"{top}/{mode}")
    return {mode: submit(c, "/new", f"{top}/{mode}", mode, ms) for mode in WANT}


def end_all(c, top, jobs):
    for mode, job in jobs.items():
        wait = c.run("job", "-wait", job, check=False, timeout=120)
        assert wait.returncode == 0, (mode, wait.stderr)
        is_whole(c, f"{top}/{mode}", WANT[mode])


def are_over(c, jobs):
    states = {job["id"]["job"]: job["state"] for job in c.jobs()}
    return all(states[int(job.rsplit("_", 1)[-1])] > 2 for job in jobs.values())


def dies(c, daemon, jobs):
    """It does, or has no more reason to."""
    wait_for(lambda: not c.pid(daemon) or are_over(c, jobs))


def test_the_jobtracker_dies_around_every_publication(cluster):
    """Before the namenode is asked, and when it has answered."""
    jobs = begin_all(cluster, "/jobtracker", 1500)
    cluster.run("console", "jobtracker", "faults", "jt.publish.ask=1:kill")
    for fault in "jt.publish.done=1:kill", "jt.publish.done=2:kill", "jt.publish.ask=2:kill", "":
        wait_for(lambda: not cluster.pid("jobtracker"))
        cluster.up(env={"QUERN_FAULT": fault}, check=not fault)  # it may die before it is said to be up
    end_all(cluster, "/jobtracker", jobs)


def test_the_namenode_and_a_worker_die_while_outputs_are_written_and_published(cluster):
    jobs = begin_all(cluster, "/namenode", 300)
    cluster.kill("worker2")
    for nth in 9, 5, 2, 1, 3:
        cluster.run("console", "namenode", "faults", f"disk.*={nth}:kill")
        dies(cluster, "namenode", jobs)
        cluster.up()
    cluster.run("console", "namenode", "faults", "off")
    end_all(cluster, "/namenode", jobs)


def test_the_client_dies_at_each_of_its_questions(cluster):
    """The job was begun or was not; nothing lies between."""
    cluster.fs("-mkdir", "/client")
    run(cluster, "/old", "/client/out")
    want = OLD
    for nth in range(1, 100):
        told = cluster.run("run", *words(cluster, "/new", "/client/out", "append"), env={"QUERN_FAULT": f"client.ask={nth}:kill"}, check=False)
        last = max((job for job in cluster.jobs()), key=lambda job: job["id"]["job"])
        cluster.run("job", "-wait", str(last["id"]["job"]))
        found = lines_of(cluster, "/client/out")
        want = want + NEW if len(found) > len(want) else want
        assert found == sorted(want), nth
        if told.returncode == 0:
            break
        assert told.returncode == -signal.SIGKILL, told.stderr
    is_whole(cluster, "/client/out", want)


def test_of_two_jobs_with_one_output_neither_spoils_the_other(cluster):
    cluster.fs("-mkdir", "/two")
    for mode in "fail", "append", "replace":
        runs = [cluster.start("run", *words(cluster, input, f"/two/{mode}", mode, 300)) for input in ("/old", "/new")]
        ended = [one.wait(120) for one in runs]  # one that must be new may be refused at once
        assert sorted(ended) == ([0, 1] if mode == "fail" else [0, 0])
        if mode == "append":
            is_whole(cluster, "/two/append", OLD + NEW)
        else:
            found = collections.Counter(lines_of(cluster, f"/two/{mode}"))
            assert found in (collections.Counter(OLD), collections.Counter(NEW))
            assert mode != "fail" or found == collections.Counter((OLD, NEW)[ended.index(0)])


@pytest.mark.parametrize("mode", ["replace", "replace-partition"])
def test_who_reads_what_is_replaced_reads_all_of_it(cluster, mode):
    """More than a pipe holds is still to come when the file goes."""
    old = b"".join(b"1 a long line of the old output, %07d\n" % i for i in range(40000))
    cluster.fs("-put", "-f", "-", "/long", input=old)
    out = "/read-" + mode
    cluster.run("run", "-reduces", "0", cluster.plugin, "/long", out)
    cat = cluster.start("fs", "-cat", out + "/day=1/part*")
    got = os.read(cat.stdout.fileno(), 1000)
    run(cluster, "/new", out, mode)
    is_whole(cluster, out, NEW)
    rest, err = cat.communicate(timeout=120)
    assert cat.returncode == 0, err
    assert got + rest == old
