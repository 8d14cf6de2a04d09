# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""A job at a known place, and a death there: the jobtracker in each state of a job, a worker whose map outputs are needed, a
task process that stands still, a map output that is damaged on disk. The answer is right each time, and work that was done is not
done again where that can be told."""
import glob
import os
import re
import signal
import subprocess
import time

import pytest

from cluster import BUILD, Cluster, is_over, output_of, wait_for

SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
MISBEHAVE = os.path.join(BUILD, "tests", "jobs", "misbehave.so")
TEXT = b"".join(b"line %05d\n" % (i * 7919 % 20000) for i in range(20000))
SPLITS = ["-D", "mapreduce.input.fileinputformat.split.maxsize=40k"]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=3, replication=2) as c:
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", "-", "/in/a", input=TEXT)
        c.fs("-put", "-", "/now", input=b"now\n")
        yield c


def submit(c, name, *more):
    run = c.run("run", "-detach", "-reduces", "2", *more, *SPLITS, SLUGGISH, "/in/a", "/out/" + name)
    return run.stdout.decode().strip()


def stage(c, job, which):
    return c.status(job)["stages"][which]


def finish(c, job, name):
    wait = c.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 0, wait.stderr.decode()
    assert output_of(c, "/out/" + name) == b"".join(sorted(TEXT.splitlines(keepends=True)))
    return c.status(job)


PLACES = {
    "when just submitted": (["-D", "sluggish.map=300"], lambda c, job: True),
    "while maps run": (["-D", "sluggish.map=300", "-D", "sluggish.reduce=1500"], lambda c, job: stage(c, job, 0)["done"] >= 2),
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
        assert status["stages"][0]["median_ms"] > 0, "how long they took is known from before"
    timeline = cluster.run("job", "-history", job).stdout.decode().split("\ntimeline: ")[1]
    attempts = re.findall(r"^([mr]\d+(?:_\d+)?) +node\d+ +\|", timeline, re.M)
    assert len(attempts) >= sum(one["tasks"] for one in status["stages"][:2]), timeline


def test_the_jobtracker_dies_before_the_history_of_a_job_is_written(cluster):
    # The next life writes what is missing: it must not be that of an earlier test's job.
    wait_for(lambda: len(glob.glob(cluster.dir + "/jobs/history/*.status")) == len(cluster.jobs()))
    cluster.kill("jobtracker")
    cluster.up(env={"QUERN_FAULT": "jt.history.write=1:kill"})
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)
    job = submit(cluster, "unwritten")
    wait_for(lambda: not cluster.pid("jobtracker"))
    cluster.up()
    status = finish(cluster, job, "unwritten")
    assert status["state"] == 3 and status["stages"][0]["done"] == status["stages"][0]["tasks"]
    assert any(c["name"] == "Map input records" and c["value"] for c in status["counters"])
    assert '"stage":"map"' in cluster.run("job", "-history", job, "--json").stdout.decode()
    cluster.kill("jobtracker", signal.SIGTERM)
    wait_for(lambda: not cluster.pid("jobtracker"))
    cluster.up()
    assert cluster.status(job)["state"] == 3


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


def test_a_whole_worker_stands_still():
    """It is not gone, but says nothing: its tasks get copies or run again, and what it held is made again."""
    with Cluster(datanodes=1, workers=3) as c:
        c.down()
        with open(os.path.join(c.dir, "site.conf"), "a") as f:
            f.write("jobtracker.worker.timeout = 3s\n")
        c.up()
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", "-", "/in/a", input=TEXT)
        job = submit(c, "still", "-D", "sluggish.map=150", "-D", "sluggish.reduce=300")
        wait_for(lambda: stage(c, job, 0)["done"] >= 2)
        pid = c.pid("worker2")
        os.kill(pid, signal.SIGSTOP)
        try:
            finish(c, job, "still")
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: c.run("job", "-workers").stdout.count(b" live ") == 3)
        finish(c, submit(c, "again"), "again")


def works_on(pid, job):
    try:
        return f"/{job}/" in os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return False


def tasks_of(pid, job):
    """Those at work: others wait for the next job."""
    run = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True)
    return [int(p) for p in run.stdout.split() if works_on(p, job)]


def test_a_task_process_that_is_stopped_is_a_straggler_like_any(cluster):
    job = submit(cluster, "stopped", "-D", "sluggish.map=2000")
    stopped = wait_for(lambda: tasks_of(cluster.pid("worker1"), job))[0]
    os.kill(stopped, signal.SIGSTOP)
    finish(cluster, job, "stopped")
    wait_for(lambda: is_over(stopped))


KILLED_AT = {
    "waiting": ([], lambda c, job: True),
    "maps": (["-D", "sluggish.map=60000"], lambda c, job: stage(c, job, 0)["running"] > 0),
    "reduces": (["-D", "sluggish.reduce=60000"], lambda c, job: stage(c, job, 1)["running"] > 0),
}


@pytest.mark.parametrize("place", KILLED_AT)
def test_a_job_is_killed_and_the_jobtracker_dies_with_the_news(cluster, place):
    """The kill is on its way when the jobtracker goes: what was acknowledged holds, and either end is a whole one."""
    settings, is_there = KILLED_AT[place]
    job = submit(cluster, "killed-" + place, *settings)
    wait_for(lambda: is_there(cluster, job))
    kill = cluster.start("job", "-kill", job)
    cluster.kill("jobtracker")
    cluster.up()
    kill.communicate(timeout=120)
    if kill.returncode != 0:
        cluster.run("job", "-kill", job, check=False)
    wait_for(lambda: cluster.status(job)["state"] in (3, 5))
    made = cluster.fs("-test", "-e", f"/out/killed-{place}/_SUCCESS", check=False).returncode == 0
    assert made == (cluster.status(job)["state"] == 3)
    wait_for(lambda: cluster.fs("-test", "-e", f"/out/killed-{place}/_temporary", check=False).returncode == 1)
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)


def test_the_jobtracker_dies_while_a_job_fails(cluster):
    job = cluster.run("run", "-detach", "-D", "misbehave.how=fail", "-D", "mapreduce.map.maxattempts=3", MISBEHAVE, "/now",
                      "/out/failing").stdout.decode().strip()
    cluster.kill("jobtracker")
    cluster.up()
    wait = cluster.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 1 and b"failed" in wait.stderr
    assert cluster.status(job)["state"] == 4
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)


def test_a_changed_priority_is_honoured_and_survives_the_jobtracker(cluster):
    first = submit(cluster, "first", "-D", "sluggish.map=100")
    low, high = [submit(cluster, name, "-D", "sluggish.map=400") for name in ("low", "high")]
    cluster.run("job", "-set-priority", low, "VERY_LOW")
    cluster.run("job", "-set-priority", high, "VERY_HIGH")
    cluster.kill("jobtracker")
    cluster.up()
    assert [cluster.status(j)["priority"] for j in (first, low, high)] == [2, 0, 4]
    finish(cluster, high, "high")
    assert stage(cluster, low, 0)["done"] < stage(cluster, low, 0)["tasks"] or cluster.status(first)["state"] == 3
    finish(cluster, first, "first")
    finish(cluster, low, "low")
    listed = {j["id"]["job"]: j["state"] for j in cluster.jobs()}
    cluster.kill("jobtracker")
    cluster.up()
    assert {j["id"]["job"]: j["state"] for j in cluster.jobs()} == listed, "finished jobs are listed after a restart"
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)


def test_a_job_says_when_its_reduces_begin(cluster):
    job = submit(cluster, "slowstart", "-D", "sluggish.map=60000", "-D", "sluggish.which=first", "-D", "mapreduce.map.speculative=false",
                 "-D", "mapreduce.job.reduce.slowstart.completedmaps=1")
    wait_for(lambda: stage(cluster, job, 0)["done"] == stage(cluster, job, 0)["tasks"] - 1)
    assert stage(cluster, job, 1)["running"] == 0
    cluster.run("job", "-kill", job)
    job = submit(cluster, "faststart", "-D", "sluggish.map=60000", "-D", "sluggish.which=first", "-D", "mapreduce.map.speculative=false",
                 "-D", "mapreduce.job.reduce.slowstart.completedmaps=0.1")
    wait_for(lambda: stage(cluster, job, 1)["running"] > 0)
    wait_for(lambda: stage(cluster, job, 0)["running"] == 1)
    cluster.run("job", "-kill", job)


def test_fifty_small_jobs_at_once(cluster):
    cluster.fs("-put", "-", "/small", input=b"b\na\n")
    runs = [cluster.start("run", "-detach", "sort", "/small", f"/out/many/{i}") for i in range(50)]
    jobs = []
    for run in runs:
        out, err = run.communicate(timeout=120)
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
