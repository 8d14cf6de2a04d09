# SPDX-License-Identifier: Apache-2.0
"""A job whose tasks ask for more than any worker has is told so when it is submitted, with what would do; what nobody asked for
bends to the worker. While a jobtracker is young, and where a large worker is lost, such a job waits for one, and says so."""
import os

import pytest

from cluster import BUILD, Cluster, output_of, wait_for

SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
SMALL = "worker.cores = 2\nworker.memory = 300m\n"


@pytest.fixture
def cluster():
    with Cluster(datanodes=1, workers=1, site=SMALL + "jobtracker.resume.grace = 0\n") as c:
        c.fs("-put", "-", "/in", input=b"a b a\n")
        wait_for(lambda: b" live " in c.run("job", "-workers").stdout)
        yield c


def word_count(cluster, out, *settings, **how):
    words = [word for setting in settings for word in ("-D", setting)]
    return cluster.run("run", *words, "wordcount", "/in", out, **how)


def test_what_nobody_asked_for_bends_to_the_worker(cluster):
    word_count(cluster, "/out")
    assert output_of(cluster, "/out") == b"a\t2\nb\t1\n"
    cluster.run("run", "-D", "teragen.rows=1000", "teragen", "/rows")


@pytest.mark.parametrize("asks, says", [
    (["mapreduce.map.memory.mb=600"], "a map task asks for 600 M of memory, the largest worker offers 300 M: -D mapreduce.map.memory.mb=300 would do"),
    (["mapreduce.map.memory.mb=300", "mapreduce.reduce.memory.mb=301"], "a reduce task asks for 301 M of memory"),
    (["mapreduce.reduce.cpu.vcores=3"], "a reduce task asks for 3 cores, the largest worker offers 2: -D mapreduce.reduce.cpu.vcores=2 would do"),
])
def test_what_no_worker_could_run_is_refused_when_it_is_submitted(cluster, asks, says):
    refused = word_count(cluster, "/out", *asks, check=False)
    assert refused.returncode == 1 and says in refused.stderr.decode(), refused
    assert cluster.jobs() == []
    word_count(cluster, "/out", "mapreduce.map.memory.mb=300", "mapreduce.reduce.memory.mb=300", "mapreduce.map.cpu.vcores=2")


def test_it_waits_for_a_large_worker_that_may_come(cluster):
    with open(os.path.join(cluster.dir, "site.conf"), "w") as f:
        f.write(SMALL + "jobtracker.resume.grace = 1h\n")
    cluster.kill("jobtracker")
    cluster.up()
    wait_for(lambda: b" live " in cluster.run("job", "-workers").stdout)
    waits = cluster.start("run", "-D", "mapreduce.map.memory.mb=600", SLUGGISH, "/in", "/out")
    says = "a map task asks for 600 M of memory, the largest worker offers 300 M: -D mapreduce.map.memory.mb=300 would do"
    wait_for(lambda: any(says in job["waits_for"] for job in cluster.jobs()))
    begins = waits.stderr.readline().decode(), waits.stderr.readline().decode()
    assert "waits: " + says in begins[1], begins
    with open(os.path.join(cluster.dir, "site.conf"), "w") as f:
        f.write("worker.memory = 700m\n")
    cluster.kill("worker1")
    cluster.up()
    _, said = waits.communicate(timeout=120)
    assert waits.returncode == 0, said


def test_what_was_taken_before_the_workers_were_known_ends_when_they_are(cluster):
    with open(os.path.join(cluster.dir, "site.conf"), "w") as f:
        f.write(SMALL + "jobtracker.resume.grace = 8s\n")
    cluster.kill("jobtracker")
    cluster.up()
    refused = word_count(cluster, "/out", "mapreduce.reduce.memory.mb=600", check=False, timeout=120)
    assert refused.returncode == 1
    assert "a reduce task asks for 600 M of memory, the largest worker offers 300 M: -D mapreduce.reduce.memory.mb=300 would do" in refused.stderr.decode()
    assert cluster.fs("-test", "-e", "/out", check=False).returncode == 1
