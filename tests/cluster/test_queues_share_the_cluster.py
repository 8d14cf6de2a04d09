# SPDX-License-Identifier: Apache-2.0
"""Queues as who runs a cluster, and who submits to it, meet them: configured and read again while jobs run, listed, wrong names,
limits; and a small job that comes late to a cluster whose every core is taken for a minute."""
import json
import os
import signal
import subprocess
import time

import pytest

from cluster import BUILD, QUERN, ROOT, Cluster, wait_for

SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
MAPRED = os.path.join(ROOT, "scripts", "compat", "mapred")
MINUTE = ["-D", "sluggish.map=60000", "-D", "mapreduce.map.memory.mb=64"]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=2, replication=1) as c:
        configure(c, "worker.cores = 2", None)
        c.down()
        c.up()
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", "-", "/in/a", input=b"line of text\n" * 4000)
        wait_for(lambda: c.run("job", "-workers").stdout.count(b" live ") == 2)
        yield c


def configure(c, line, daemon="jobtracker"):
    path = os.path.join(c.dir, "site.conf")
    kept = [one for one in open(path).read().splitlines() if one.split("=")[0] != line.split("=")[0]]
    with open(path, "w") as f:
        f.write("\n".join(kept + [line]) + "\n")
    if daemon:
        os.kill(c.pid(daemon), signal.SIGHUP)


def log(c):
    return open(next(os.path.join(base, "jobtracker.log") for base, _, names in os.walk(c.dir) if "jobtracker.log" in names)).read()


def queues(c):
    return json.loads(c.run("queue", "-list", "--json").stdout)


def names(c):
    return [q["name"] for q in queues(c)["queues"]]


def queue(c, name):
    return next(q for q in queues(c)["queues"] if q["name"] == name)


def submit(c, name, maps, *more, check=True):
    run = c.run("run", "-detach", "-reduces", "0", *more, "-D", f"mapreduce.input.fileinputformat.split.maxsize={52000 // maps}", SLUGGISH,
                "/in/a", "/out/" + name, check=check)
    return run.stdout.decode().strip() if check else run


def running(c, job):
    return c.status(job)["stages"][0]["running"]


def kill(c, *jobs):
    for job in jobs:
        c.run("job", "-kill", job)


def mapred(c, *words):
    return subprocess.run([MAPRED, *words], env=dict(c.env, QUERN=QUERN), capture_output=True, text=True, timeout=120)


def test_queues_are_configured_while_the_jobtracker_runs(cluster):
    assert names(cluster) == ["default"]
    configure(cluster, "jobtracker.queues = default, prod weight=3, narrow weight=1 cores=1 jobs=2")
    wait_for(lambda: names(cluster) == ["default", "prod", "narrow"])
    assert (queue(cluster, "prod")["weight"], queue(cluster, "prod")["share_percent"]) == (3, 60)
    text = cluster.run("queue", "-list").stdout.decode().splitlines()
    assert text[0].split()[:4] == ["queue", "state", "weight", "share"] and text[2].split()[:4] == ["prod", "running", "3", "60%"]
    configure(cluster, "jobtracker.queues = default, prod weight=many")
    wait_for(lambda: "queue prod: \"weight=many\" is not" in log(cluster))
    assert names(cluster) == ["default", "prod", "narrow"], "what cannot be understood changes nothing"
    configure(cluster, "jobtracker.queues = default, prod weight=3, narrow weight=1 cores=1 jobs=2")


def test_a_queue_that_is_not_there_is_named_with_those_that_are(cluster):
    run = submit(cluster, "nowhere", 2, "-D", "mapreduce.job.queuename=prd", check=False)
    assert run.returncode == 1 and run.stderr.decode() == \
        "quern run: no queue \"prd\": there is default, prod, narrow (`quern queue -list`)\n"
    assert cluster.run("queue", "-info", "prd", check=False).returncode == 1


def test_a_late_small_job_gets_cores_within_seconds_of_a_cluster_busy_for_a_minute(cluster):
    cores = queues(cluster)["cores"]
    big = submit(cluster, "big", 3 * cores, *MINUTE, "-D", "mapreduce.job.queuename=prod")
    wait_for(lambda: running(cluster, big) == cores)
    small = submit(cluster, "small", 1)
    begun = time.monotonic()
    assert cluster.run("job", "-wait", small, check=False, timeout=120).returncode == 0
    assert time.monotonic() - begun < 40, "it did not wait for tasks of a minute"
    status = cluster.status(big)
    assert status["queue"] == "prod" and status["stages"][0]["killed_attempts"] >= 1 and status["stages"][0]["failed_attempts"] == 0
    attempts = cluster.run("job", "-history", big, "--json").stdout.decode()
    assert "made room for a queue that was below its share" in attempts
    kill(cluster, big)


def test_limits_of_jobs_and_queues_are_kept(cluster):
    cores = queues(cluster)["cores"]
    narrow = submit(cluster, "narrow", 4, *MINUTE, "-D", "mapreduce.job.queuename=narrow")
    few = submit(cluster, "few", 4, *MINUTE, "-D", "mapreduce.job.running.map.limit=1")
    wait_for(lambda: running(cluster, narrow) == 1 and running(cluster, few) == 1)
    assert cores == 4 and queue(cluster, "narrow")["cores_used"] == 1
    second = submit(cluster, "narrow2", 1, "-D", "mapreduce.job.queuename=narrow")
    run = submit(cluster, "narrow3", 1, "-D", "mapreduce.job.queuename=narrow", check=False)
    assert run.returncode == 1 and b"queue narrow has 2 jobs that are not over, and takes no more than 2" in run.stderr
    assert (queue(cluster, "narrow")["running"], queue(cluster, "narrow")["waiting"]) == (1, 1)
    info = cluster.run("queue", "-info", "narrow", "-showJobs").stdout.decode()
    assert info.splitlines()[-1].split()[0] == narrow.split("_")[-1].lstrip("0"), "the older of the two stands last"
    listed = mapred(cluster, "queue", "-info", "narrow", "-showJobs").stdout
    assert "Queue Name : narrow \nQueue State : running \n" in listed and "Total jobs:2\n" in listed and narrow in listed
    assert mapred(cluster, "queue", "-info", "none").stdout == 'Queue "none" does not exist.\n'
    assert mapred(cluster, "queue", "-list").stdout.count("Scheduling Info : Capacity: ") == 3
    kill(cluster, narrow, few, second)
    wait_for(lambda: queue(cluster, "narrow")["cores_used"] == 0)


def test_jobs_keep_their_queue_over_a_restart(cluster):
    job = submit(cluster, "kept", 2, *MINUTE, "-D", "mapreduce.job.queuename=prod")
    cluster.kill("jobtracker")
    cluster.up()
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 2)
    assert cluster.status(job)["queue"] == "prod"
    wait_for(lambda: queue(cluster, "prod")["cores_used"] == 2)
    kill(cluster, job)
    assert cluster.status(job)["queue"] == "prod"
