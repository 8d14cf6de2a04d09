# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""A datanode dies by kill -9 at each named step of a write and of a read, each daemon is stopped and
started under load, the jobtracker's journal is torn and rots, checksum files rot. A client that knows
every byte it wrote sees nothing of it, jobs end with the right answer."""
import os
import re
import signal
import time

import pytest

from cluster import BUILD, Cluster, is_over, output_of, verdict, wait_for
from heal import QUICK

SLOW = os.path.join(BUILD, "tests", "jobs", "slow.so")
LINES = [b"line %d\n" % (i % 53) for i in range(1500)]
pytestmark = pytest.mark.usefixtures("healed")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=2, site=QUICK) as c:
        with open(c.dir + "/remote.conf", "w") as f:
            f.write("include = quern.conf\nnode.name = elsewhere\n")
        c.fs("-mkdir", "/in")
        for i in range(3):
            c.fs("-put", "-", f"/in/{i}", input=b"".join(LINES[i::3]))
        yield c


def play_until_dead(cluster, daemon, dir, seed, **kw):
    """A second of the model client and, where the machine is slow, some more."""
    for i in range(40):
        verdict(cluster.model("--dir", f"/{dir}-{i}", seed=seed + i, seconds=1, **kw))
        if cluster.pid(daemon) is None:
            return
    raise AssertionError("it never came to this step")


@pytest.mark.parametrize("point", ["dn.write.begin=2", "dn.write.chain=3", "dn.write.packet=20", "dn.write.forward=12", "dn.write.disk=9",
                                   "dn.write.sync=4", "dn.write.ack=25", "dn.finalize.synced=3", "dn.finalize.renamed=4", "dn.finalize.done=5",
                                   "dn.read.open=6", "dn.read.packet=9"])
def test_a_datanode_is_killed_at(cluster, point):
    cluster.kill("datanode2")
    cluster.up(env={"QUERN_FAULT": point + ":kill"})
    play_until_dead(cluster, "datanode2", point.replace("=", "-"), len(point), env={"QUERN_CONF": cluster.dir + "/remote.conf"})
    cluster.up()


def test_the_datanode_next_door_is_killed_while_it_hands_out_a_block(cluster):
    cluster.kill("datanode1")
    cluster.up(env={"QUERN_FAULT": "dn.read.local=5:kill"})
    play_until_dead(cluster, "datanode1", "next-door", 3)
    cluster.up()


def stop_and_start(c, daemon):
    pid = c.pid(daemon)
    c.kill(daemon, signal.SIGTERM)
    wait_for(lambda: is_over(pid))
    c.up()


def files_in(c, path):
    words = c.fs("-count", path, check=False).stdout.split()
    return int(words[1]) if words else 0


@pytest.mark.parametrize("daemon", ["namenode", "datanode1", "datanode3"])
def test_files_while_it_is_restarted(cluster, daemon):
    run = cluster.model("--dir", "/restart-" + daemon, seed=7, seconds=600)
    wait_for(lambda: files_in(cluster, "/restart-" + daemon) > 3)
    stop_and_start(cluster, daemon)
    after = files_in(cluster, "/restart-" + daemon)
    wait_for(lambda: files_in(cluster, "/restart-" + daemon) != after)
    run.terminate()
    verdict(run)


def begin_job(c, out):
    run = c.run("run", "-detach", "-reduces", "3", "-D", "mapreduce.input.fileinputformat.split.maxsize=1k", "-D", "slow.map.us=1000",
                "-D", "slow.reduce.us=5000", SLOW, "/in", out)
    return run.stdout.decode().strip()


def finish_job(c, job, out):
    wait = c.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 0, wait.stderr.decode()
    assert output_of(c, out) == b"".join(sorted(b"%s\t%d\n" % (line[:-1], LINES.count(line)) for line in set(LINES)))


@pytest.mark.parametrize("daemon", ["namenode", "jobtracker", "worker1", "datanode2"])
def test_a_job_while_it_is_restarted(cluster, daemon):
    job = begin_job(cluster, "/job-" + daemon)
    wait_for(lambda: cluster.status(job)["stages"][0]["done"] > 0)
    stop_and_start(cluster, daemon)
    finish_job(cluster, job, "/job-" + daemon)


def test_nothing_is_published_before_its_winners_are_in_the_journal(cluster):
    """Each fsync of the jobtracker takes two seconds from now on; so must the step from done to published."""
    job = begin_job(cluster, "/durable")
    wait_for(lambda: cluster.status(job)["stages"][0]["done"] > 0)
    cluster.run("console", "jobtracker", "faults", "disk.fsync=1+:delay2000")
    try:
        wait_for(lambda: cluster.status(job)["stages"][-1]["done"] == 1)
        seen = time.monotonic()
        wait_for(lambda: cluster.fs("-test", "-e", "/durable/_SUCCESS", check=False).returncode == 0)
        assert time.monotonic() - seen > 1
    finally:
        cluster.run("console", "jobtracker", "faults", "off")
    finish_job(cluster, job, "/durable")


def journal(c):
    dir = c.dir + "/jobs/journal"
    return os.path.join(dir, sorted(n for n in os.listdir(dir) if re.fullmatch(r"log\.\d+", n))[-1])


def patch(path, at, bytes):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(bytes)


def test_a_torn_journal_of_the_jobtracker_is_cut(cluster):
    job = begin_job(cluster, "/torn")
    wait_for(lambda: cluster.status(job)["stages"][0]["done"] > 2)
    cluster.kill("jobtracker")
    text = open(journal(cluster), "rb").read()
    patch(journal(cluster), (len(text.rstrip(b"\0")) + 4095) // 4096 * 4096, b"QREC\x40\0\0\0 half a record")
    cluster.up()
    finish_job(cluster, job, "/torn")


def test_a_rotten_journal_of_the_jobtracker_is_refused_in_one_line(cluster):
    job = begin_job(cluster, "/rot")
    wait_for(lambda: cluster.status(job)["stages"][0]["done"] > 2)
    cluster.kill("jobtracker")
    path, text = journal(cluster), open(journal(cluster), "rb").read()
    at = text.index(b"/rot")
    patch(path, at, b"!")
    damaged = open(path, "rb").read()
    run = cluster.up(check=False)
    assert run.returncode == 1 and run.stderr.count("\n") == 1, run
    assert run.stderr.startswith("quern up: jobtracker: ") and "is damaged" in run.stderr and "Nothing was changed" in run.stderr
    assert open(path, "rb").read() == damaged and cluster.pid("jobtracker") is None
    patch(path, at, b"/")
    cluster.up()
    finish_job(cluster, job, "/rot")


def test_rotten_checksum_files_are_seen_and_replaced(cluster):
    data = os.urandom(2_000_000)
    cluster.fs("-put", "-", "/sums", input=data)
    name = [w.split(":")[-1] for w in cluster.run("fsck", "/sums", "-files", "-blocks").stdout.decode().split() if ":blk_" in w][0]
    block = "_".join(name.split("_")[:2])
    metas = [os.path.join(base, n) for base, _, names in os.walk(cluster.dir + "/data") for n in names
             if n.startswith(block + "_") and n.endswith(".meta")]
    assert len(metas) == 3, metas
    good = open(metas[0], "rb").read()
    for i, path in enumerate(metas[:2]):
        os.chmod(path, 0o600)
        patch(path, len(good) - 2000 if i == 0 else 4, b"\x55\xaa\x55\xaa")  # among the sums; in the head
    for node in ("node1", "node2", "node3", "elsewhere"):
        with open(cluster.dir + "/reader.conf", "w") as f:
            f.write(f"include = quern.conf\nnode.name = {node}\n")
        assert cluster.fs("-cat", "/sums", env={"QUERN_CONF": cluster.dir + "/reader.conf"}).stdout == data
    wait_for(lambda: whole(metas, good))


def whole(metas, good):
    """every checksum file is as it was written"""
    return all(os.path.exists(p) and open(p, "rb").read() == good for p in metas)
