# SPDX-License-Identifier: Apache-2.0
"""Disks that take long to free what is removed (mount -o discard: seconds for a large file): a worker beats, answers and runs
tasks meanwhile, and in the end nothing is left."""
import os

import pytest

from cluster import BUILD, Cluster, output_of, wait_for

LINES = b"".join(b"%07d line\n" % (i * 7919 % 500_000) for i in range(500_000))
SITE = """
worker.cores = 2
worker.memory = 300m
worker.output.memory = 0
worker.heartbeat.interval = 100ms
jobtracker.worker.timeout = 2s
"""


@pytest.fixture
def cluster():
    with Cluster(datanodes=1, workers=1, site=SITE) as c:
        c.fs("-put", "-", "/lines", input=LINES)
        c.fs("-put", "-", "/words", input=b"a b a\n")
        yield c


def job_files(c):
    return [os.path.join(base, name) for base, _, names in os.walk(c.path("worker1", "jobs")) for name in names]


def slow(c, at_once=False):
    """Its worker begins anew, and waits for that file to go wherever it frees blocks."""
    hold = os.path.join(c.dir, "hold")
    if c.pid("worker1"):
        c.kill("worker1")
    if at_once:
        open(hold, "w").close()
    c.up(env={"LD_PRELOAD": os.path.join(BUILD, "tests", "cluster", "slow_removal.so"), "SLOW_REMOVAL": hold,
              "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")})
    wait_for(lambda: b" live " in c.run("job", "-workers").stdout)
    open(hold, "w").close()
    return hold


def test_map_outputs(cluster):
    hold = slow(cluster)
    cluster.run("run", "-reduces", "2", "distinct", "/lines", "/out")
    wait_for(lambda: os.path.exists(hold + ".met"))
    for n in range(3):
        cluster.run("run", "wordcount", "/words", f"/out{n}", timeout=120)
        assert output_of(cluster, f"/out{n}") == b"a\t2\nb\t1\n"
    os.unlink(hold)
    wait_for(lambda: not job_files(cluster))


def test_what_a_task_wrote_beside_its_output(cluster):
    hold = slow(cluster)
    leaves = "head -c 2000000 /dev/zero >left; sort"
    cluster.run("run", "-stream", "-reduces", "1", "-mapper", leaves, "-reducer", leaves, "/words", "/out", timeout=120)
    assert output_of(cluster, "/out") == b"a b a\t\n"
    wait_for(lambda: os.path.exists(hold + ".met"))
    assert job_files(cluster)
    os.unlink(hold)
    wait_for(lambda: not job_files(cluster))


def test_what_an_earlier_life_left(cluster):
    """It is given back while the new one is at work; what that could not finish, by the one after it."""
    cluster.kill("worker1")
    jobs = cluster.path("worker1", "jobs")
    os.makedirs(os.path.join(jobs, "job_1", "runner_1"))
    with open(os.path.join(jobs, "job_1", "runner_1", "spill"), "wb") as f:
        f.write(bytes(1_000_000))
    for n in range(2):
        hold = slow(cluster, at_once=True)
        wait_for(lambda: os.path.exists(hold + ".met"))
        os.unlink(hold + ".met")
        cluster.run("run", "wordcount", "/words", f"/out{n}", timeout=120)
        assert output_of(cluster, f"/out{n}") == b"a\t2\nb\t1\n"
        assert any(name.endswith("spill") for name in job_files(cluster))
    os.unlink(hold)
    wait_for(lambda: os.listdir(jobs) == [])
