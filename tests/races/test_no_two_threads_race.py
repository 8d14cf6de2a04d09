# SPDX-License-Identifier: Apache-2.0
"""A cluster built with ThreadSanitizer, at work: files written, read, changed at their end, jobs, a datanode killed
under a client that knows every byte, directories that come and go, an image by a forked child. Whatever two threads
of a daemon, a task or a client touch without a lock is told, by all of them, in files; there must be none.

`make races` builds it and runs this; it is no part of a check."""
import glob
import os
import random
import signal
import sys
import urllib.request

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cluster"))
from cluster import BUILD, Cluster, verdict, wait_for  # noqa: E402

MB = 1 << 20
LIMIT = 120  # everything takes ten times as long


@pytest.fixture(scope="module")
def c(tmp_path_factory):
    told = str(tmp_path_factory.mktemp("told") / "race")
    os.environ["TSAN_OPTIONS"] = f"log_path={told} halt_on_error=0 exitcode=0 second_deadlock_stack=1"
    cluster = Cluster(datanodes=3, workers=2, replication=2)
    cluster.told = told
    with open(os.path.join(cluster.dir, "site.conf"), "w") as f:
        f.write("dfs.blocksize = 1m\ndfs.heartbeat.interval = 500ms\ndfs.namenode.heartbeat.recheck-interval = 1s\n"
                "dfs.namenode.redundancy.settle = 0\ndfs.namenode.redundancy.interval.seconds = 300ms\n"
                "dfs.namenode.lease-hard-limit-sec = 5s\ndfs.datanode.directoryscan.interval = 1s\n"
                "dfs.namenode.checkpoint.txns = 100\n")
    with open(os.path.join(cluster.dir, "remote.conf"), "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")
    with cluster:
        yield cluster
    races = sorted(glob.glob(told + ".*"))
    text = "".join(open(path, errors="replace").read() for path in races)
    assert not races, f"{len(races)} processes tell of races:\n{text[:20000]}"


def test_it_is_built_to_tell():
    assert b"__tsan_init" in open(os.path.join(BUILD, "quern-datanode"), "rb").read()


def test_files_are_put_read_changed_and_copied(c):
    data = random.Random(1).randbytes(5 * MB + 77)
    for name, env in (("/near", None), ("/far", {"QUERN_CONF": os.path.join(c.dir, "remote.conf")})):
        c.fs("-put", "-", name, input=data, env=env)
        assert c.fs("-cat", name, env=env).stdout == data
        c.fs("-appendToFile", "-", name, input=data[:MB], env=env)
        c.fs("-truncate", "-w", str(5 * MB + 99), name, env=env)
        assert c.fs("-cat", name, env=env).stdout == data + data[:22]
        c.fs("-checksum", name)
    hedged = ("-D", "dfs.client.hedged.read.threadpool.size=4", "-D", "dfs.client.hedged.read.threshold.millis=1")
    assert c.fs(*hedged, "-cat", "/far").stdout == data + data[:22]
    c.fs("-setrep", "-w", "3", "/near")
    c.fs("-setrep", "-w", "1", "/near")


def test_jobs_run(c):
    text = b"".join(b"%d the quern grinds\n" % (i % 1000) for i in range(60000))
    c.fs("-put", "-", "/text", input=text)
    for job, more in (("wordcount", ("-reduces", "3")), ("sort", ("-reduces", "2")), ("grep", ("-D", "grep.pattern=9+ the"))):
        c.run("run", "-D", "mapreduce.input.fileinputformat.split.maxsize=300k", *more, job, "/text", "/out-" + job, timeout=300)
    c.run("job", "-list", "all")


def test_a_datanode_dies_under_writers_and_readers(c):
    model = c.model(seed=9, seconds=12, writers=3)
    c.kill("datanode2")
    c.run("admin", "-report")
    wait_for(lambda: c.run("admin", "-report").stdout.count(b"Dead datanodes (1)"), timeout=LIMIT)
    c.up()
    verdict(model, fails=True)
    wait_for(lambda: b"is HEALTHY" in c.run("fsck", "/", check=False).stdout, timeout=LIMIT)


def test_operators_ask(c):
    c.save_namespace()
    c.run("admin", "-refreshNodes")
    c.run("admin", "-metasave", "meta")
    report = c.run("admin", "-report").stdout.decode()
    at = next(line.split()[1] for line in report.splitlines() if line.startswith("Name: "))
    c.run("admin", "-reconfig", "datanode", at, "start")
    c.run("admin", "-triggerBlockReport", at)
    c.run("diskbalancer", "-report")
    c.run("balancer", "-threshold", "1", check=False)
    for daemon in ("namenode", "datanode1", "jobtracker", "worker1"):
        c.run("console", daemon, "faults")
        c.kill(daemon, signal.SIGHUP)
    for daemon in ("namenode", "jobtracker"):
        at = c.run("getconf", "-confKey", {"namenode": "dfs.namenode.http-address"}.get(daemon, "mapreduce.jobtracker.http.address")).stdout.decode().strip()
        for page in ("status.json", "metrics"):
            with urllib.request.urlopen(f"http://{at}/{page}", timeout=LIMIT) as answer:
                assert answer.read()
