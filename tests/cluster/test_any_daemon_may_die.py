# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each daemon while a job is seen to run: nothing acknowledged is lost, the job ends with
the right answer, once the daemon is back (namenode, jobtracker) or without it (datanode, worker)."""
import os
import random

import pytest

from cluster import Cluster, count_words, output_of, wait_for

WORDS = [b"%x" % (i * 2654435761 % 5000) for i in range(5000)]


def text(seed, size):
    rnd = random.Random(seed)
    line = lambda: b" ".join(rnd.choices(WORDS, k=12)) + b"\n"
    out = []
    while size > 0:
        out.append(line())
        size -= len(out[-1])
    return b"".join(out)


@pytest.fixture()
def cluster():
    with Cluster(datanodes=3, workers=3) as c:
        c.texts = [text(i, 400_000) for i in range(6)]
        c.fs("-mkdir", "-p", "/in")
        for i, t in enumerate(c.texts):
            c.fs("-put", "-", f"/in/{i}", input=t)
        yield c


def slow_job(c):
    """A job of many small tasks, under way."""
    run = c.run("run", "-detach", "-reduces", "3", "-D", "mapreduce.input.fileinputformat.split.maxsize=40k", "wordcount", "/in", "/out")
    job = run.stdout.decode().strip()
    wait_for(lambda: sum(s["done"] for s in c.status(job)["stages"]) > 2)
    return job


def finish(c, job):
    wait = c.run("job", "-wait", job, check=False, timeout=180)
    assert wait.returncode == 0, wait.stderr.decode()
    want = count_words(c.texts)
    assert output_of(c, "/out") == b"".join(sorted(want.splitlines(keepends=True)))
    for i, t in enumerate(c.texts):
        assert c.fs("-cat", f"/in/{i}").stdout == t


@pytest.mark.parametrize("daemon", ["worker1", "datanode1"])
def test_a_job_ends_without(cluster, daemon):
    job = slow_job(cluster)
    cluster.kill(daemon)
    finish(cluster, job)


@pytest.mark.parametrize("daemon", ["namenode", "jobtracker"])
def test_a_job_ends_once_it_is_back(cluster, daemon):
    job = slow_job(cluster)
    cluster.kill(daemon)
    cluster.up()
    finish(cluster, job)


def test_everything_survives_a_restart_of_all(cluster):
    for daemon in ("namenode", "jobtracker", "datanode1", "datanode2", "datanode3", "worker1", "worker2", "worker3"):
        cluster.kill(daemon)
    cluster.up()
    for i, t in enumerate(cluster.texts):
        assert cluster.fs("-cat", f"/in/{i}").stdout == t


def test_a_finished_job_is_history_after_a_restart(cluster):
    job = slow_job(cluster)
    finish(cluster, job)
    cluster.kill("jobtracker")
    cluster.up()
    wait_for(lambda: any(j["id"]["job"] == int(job.rsplit("_", 1)[1]) for j in cluster.jobs()))
    assert "succeeded" in cluster.run("job", "-status", job).stdout.decode()
