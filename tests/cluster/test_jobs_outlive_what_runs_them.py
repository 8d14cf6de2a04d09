# SPDX-License-Identifier: Apache-2.0
"""A job at a known place, and a death there: the jobtracker in each state of a job, a worker whose map outputs are needed, a
task process that stands still, a map output that is damaged on disk. The answer is right each time, and work that was done is not
done again where that can be told."""
import glob
import os
import signal
import time

import pytest

from cluster import BUILD, Cluster, output_of, wait_for

SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
TEXT = b"".join(b"line %05d\n" % (i * 7919 % 20000) for i in range(20000))
SPLITS = ["-D", "mapreduce.input.fileinputformat.split.maxsize=40k"]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=3, replication=2) as c:
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", "-", "/in/a", input=TEXT)
        yield c


def submit(c, name, *more):
    run = c.run("run", "-detach", "-reduces", "2", *more, *SPLITS, SLUGGISH, "/in/a", "/out/" + name)
    return run.stdout.decode().strip()


def stage(c, job, which):
    return c.status(job)["stages"][which]


def finish(c, job, name):
    wait = c.run("job", "-wait", job, check=False, timeout=90)
    assert wait.returncode == 0, wait.stderr.decode()
    assert output_of(c, "/out/" + name) == b"".join(sorted(TEXT.splitlines(keepends=True)))
    return c.status(job)


PLACES = {
    "when just submitted": (["-D", "sluggish.map=300"], lambda c, job: True),
    "while maps run": (["-D", "sluggish.map=300"], lambda c, job: stage(c, job, 0)["done"] >= 2),
    "while reduces run": (["-D", "sluggish.reduce=1500"],
                          lambda c, job: stage(c, job, 0)["done"] == stage(c, job, 0)["tasks"] and stage(c, job, 1)["running"]),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_jobtracker_dies(cluster, place):
    settings, is_there = PLACES[place]
    name = place.replace(" ", "-")
    job = submit(cluster, name, *settings)
    wait_for(lambda: is_there(cluster, job))
    done = stage(cluster, job, 0)["done"]
    held = stage(cluster, job, 0)["tasks"] == done
    cluster.kill("jobtracker")
    cluster.up()
    status = finish(cluster, job, name)
    if held:
        attempts = cluster.run("job", "-history", job, "--json").stdout.decode()
        assert '"stage":"map"' in attempts
        assert status["stages"][0]["node_local"] + status["stages"][0]["rack_local"] + status["stages"][0]["remote"] == 0, \
            "maps whose outputs are held are not run again"


@pytest.mark.parametrize("fault", ["jt.publish.ask=1:kill", "jt.publish.done=1:kill"])
def test_the_jobtracker_dies_around_the_publication(cluster, fault):
    """Before the namenode is asked, and when it has said yes and nobody was told."""
    name = fault.split("=")[0]
    cluster.kill("jobtracker")
    cluster.up(env={"QUERN_FAULT": fault})
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)
    job = submit(cluster, name)
    wait_for(lambda: not cluster.pid("jobtracker"))
    cluster.up()
    finish(cluster, job, name)
    names = cluster.fs("-ls", "-C", "/out/" + name).stdout.decode().split()
    assert sorted(os.path.basename(n) for n in names) == ["_MANIFEST", "_SUCCESS", "part-r-00000", "part-r-00001"]


def test_a_task_process_that_stands_still_gets_a_faster_copy(cluster):
    job = submit(cluster, "straggler", "-reduces", "1", "-D", "sluggish.map=30000", "-D", "sluggish.which=first")
    status = finish(cluster, job, "straggler")
    maps = status["stages"][0]
    assert maps["speculative"] == 1 and maps["killed_attempts"] == 1 and maps["failed_attempts"] == 0
    assert status["elapsed_ms"] < 20000


def test_a_worker_dies_with_map_outputs_that_are_needed(cluster):
    job = submit(cluster, "lost", "-D", "sluggish.reduce=1000")
    wait_for(lambda: stage(cluster, job, 0)["done"] == stage(cluster, job, 0)["tasks"] and stage(cluster, job, 1)["running"])
    cluster.kill("worker3")
    finish(cluster, job, "lost")
    cluster.up()
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)


def test_fifty_small_jobs_at_once(cluster):
    cluster.fs("-put", "-", "/small", input=b"b\na\n")
    runs = [cluster.start("run", "-detach", "sort", "/small", f"/out/many/{i}") for i in range(50)]
    jobs = []
    for run in runs:
        out, err = run.communicate(timeout=60)
        assert run.returncode == 0, err
        jobs.append(out.decode().strip())
    assert len(set(jobs)) == 50
    for job in jobs:
        cluster.run("job", "-wait", job)
    assert cluster.fs("-cat", "/out/many/*/part-*").stdout == b"a\nb\n" * 50


def test_tasks_that_begin_while_the_namenode_is_away_wait_for_it(cluster):
    """They would use up their attempts within a second."""
    job = submit(cluster, "away", "-D", "sluggish.map=200")
    wait_for(lambda: stage(cluster, job, 0)["done"] >= 2)
    cluster.kill("namenode")
    end = time.monotonic() + 2
    while time.monotonic() < end:
        assert not stage(cluster, job, 0)["failed_attempts"]
        time.sleep(0.1)
    cluster.up()
    finish(cluster, job, "away")
