# SPDX-License-Identifier: Apache-2.0
"""Five nodes, each with its own network and mounts, so that remote is remote, in two racks: maps run where their input
lies, then in its rack. A node that is slow, in processor or disk, costs a copy of its tasks and no more; one on which
tasks keep failing gets none for a while."""
import contextlib
import os
import re
import signal
import threading

import pytest

from cluster import BUILD, output_of, tree_of, wait_for
from nodes import Nodes, need_nodes

pytestmark = need_nodes()
SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
RELUCTANT = os.path.join(BUILD, "tests", "jobs", "reluctant.so")
BLOCK = 2048
LINES = [b"%07d\n" % (i * 7919 % 1000000) for i in range(40 * BLOCK // 8)]  # none lies in two blocks
CONF = """
dfs.namenode.fs-limits.min-block-size = 512
dfs.blocksize = 2048
jobtracker.locality.wait = 1s
jobtracker.worker.exclude = 8s
jobtracker.worker.timeout = 5s
net.topology.table.file.name = %s/racks
"""
RACKS = "".join(f"node{i} /{'left' if i < 3 else 'right'}\n" for i in range(1, 6))


class Racks(Nodes):
    """Each node has the table of racks before anybody starts."""
    def common(self, name):
        self.conf = CONF % self.dir
        self.write(name, "racks", RACKS)
        return super().common(name)


@pytest.fixture(scope="module")
def cluster():
    with Racks(datanodes=5, replication=3) as c:
        c.fs("-put", "-", "/forty", input=b"".join(LINES))
        c.fs("-put", "-", "/twenty", input=b"".join(LINES[:len(LINES) // 2]))
        for name in "node1", "node4":
            c.fs("-D", "dfs.replication=1", "-put", "-", "/only-" + name, input=b"".join(LINES[:4 * BLOCK // 8]), on=name)
            c.fs("-D", "dfs.replication=1", "-put", "-", "/one-" + name, input=b"0000000\n", on=name)
        yield c


def submit(c, input, out, *settings, job=SLUGGISH, reduces=1):
    words = [word for setting in settings for word in ("-D", setting)]
    return c.run("run", "-detach", "-reduces", str(reduces), *words, job, input, out).stdout.decode().strip()


def finish(c, job):
    wait = c.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 0, wait.stderr.decode()
    return c.status(job)


def places(status):
    maps = status["stages"][0]
    return [maps[key] for key in ("node_local", "rack_local", "remote")]


def test_maps_of_an_idle_cluster_run_where_their_input_lies(cluster):
    node, rack, far = places(finish(cluster, submit(cluster, "/forty", "/out/idle", "sluggish.map=20")))
    assert node + rack + far == 40 and node * 100 >= 95 * 40, (node, rack, far)


def test_most_maps_of_a_busy_cluster_do(cluster):
    jobs = [submit(cluster, "/forty", f"/out/busy{i}", "sluggish.map=50") for i in range(3)]
    node, rack, far = [sum(column) for column in zip(*[places(finish(cluster, job)) for job in jobs])]
    assert node + rack + far == 120 and node * 100 >= 80 * 120, (node, rack, far)
    for i in range(3):
        assert output_of(cluster, f"/out/busy{i}") == b"".join(sorted(LINES))


def test_what_finds_no_core_there_goes_to_the_same_rack_first(cluster):
    """Four maps whose input lies on one node of two cores, which has one neighbour in its rack and three nodes elsewhere."""
    assert re.search(rb"node2 .*/left", cluster.run("job", "-workers").stdout)
    for name in "node1", "node4":
        job = submit(cluster, "/only-" + name, "/out/rack-" + name, "sluggish.map=3000", "mapreduce.map.speculative=false")
        wait_for(lambda: sum(places(cluster.status(job))) == 4)
        cluster.run("job", "-kill", job)
        assert places(cluster.status(job)) == [2, 2, 0]


def test_maps_that_wait_for_bytes_from_afar_are_told(cluster):
    """All their input lies on one node, which sends it slowly."""
    cluster.fs("-D", "dfs.replication=1", "-put", "-", "/afar", input=b"".join(LINES[:20 * BLOCK // 8]), on="node1")
    cluster.run("console", cluster.console("datanode1"), "faults", "dn.read.packet=1+:delay1000", on="node1")
    try:
        status = finish(cluster, submit(cluster, "/afar", "/out/afar", "sluggish.map=700", "mapreduce.map.speculative=false"))
    finally:
        cluster.run("console", cluster.console("datanode1"), "faults", "off", on="node1")
    found = {f["code"]: f["says"] for f in status["findings"]}
    assert re.search(r"^\d+ of 20 maps read from other nodes, \d+ % slower$", found["LOCALITY_LOW"]), found


# --- nodes that are slow ---------------------------------------------------------------------------

def tell_all(pid, sig):
    for p in tree_of(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(p, sig)


@contextlib.contextmanager
def a_tenth_of_the_time(pid):
    """This process and its children run for a tenth of the time."""
    over = threading.Event()

    def stop_and_go():
        while not over.is_set():
            for sig, seconds in (signal.SIGSTOP, 0.45), (signal.SIGCONT, 0.05):
                tell_all(pid, sig)
                over.wait(seconds)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tell_all(pid, signal.SIGCONT)


@contextlib.contextmanager
def restarted(c, worker, env):
    def begin(env):
        c.kill(worker)
        c.start_daemon(worker, env=env)
        wait_for(lambda: c.run("job", "-workers").stdout.count(b" live ") == 5)

    begin(env)
    try:
        yield
    finally:
        begin(None)


TASK_MS = 1200


def timed(c, out):
    """Twenty maps for ten cores."""
    status = finish(c, submit(c, "/twenty", out, f"sluggish.map={TASK_MS}"))
    assert output_of(c, out) == b"".join(sorted(LINES[:len(LINES) // 2]))
    return status["elapsed_ms"], status["stages"][0]["speculative"]


def test_a_slow_node_costs_a_task_time_and_a_half_at_most(cluster):
    """Beside what starting tasks costs, which is told by the healthy run."""
    healthy, copies = timed(cluster, "/out/healthy")
    assert copies == 0
    most = healthy + 1.5 * TASK_MS + (healthy - 2 * TASK_MS)
    with a_tenth_of_the_time(cluster.pid("worker5")):
        ms, copies = timed(cluster, "/out/stopped")
    assert 0 < copies <= 2 and ms <= most, (ms, most)
    with restarted(cluster, "worker5", {"QUERN_FAULT": "client.read.*=1+:delay20000"}):
        ms, copies = timed(cluster, "/out/slow-disk")
    assert 0 < copies <= 2 and ms <= most, (ms, most)


def test_a_task_that_merely_has_more_data_is_not_copied(cluster):
    lines = [LINES[i * 8:i * 8 + 8] for i in range(12)]
    lines[5] = LINES[:500]
    cluster.fs("-mkdir", "/uneven")
    for i, some in enumerate(lines):
        cluster.fs("-D", "dfs.blocksize=4096", "-put", "-", f"/uneven/{i}", input=b"".join(some))
    status = finish(cluster, submit(cluster, "/uneven", "/out/uneven", "reluctant.slow=/nowhere/", "reluctant.us=4000", job=RELUCTANT))
    assert status["stages"][0]["speculative"] == 0 and status["elapsed_ms"] > 2000


# --- whose map outputs cannot be fetched -----------------------------------------------------------

@pytest.mark.parametrize("how", ["1+:corrupt", "2:kill", "2:stop"])
def test_a_worker_fails_in_the_middle_of_a_fetch(cluster, how):
    """It sends other bytes than it has, dies, or stands still."""
    pid, out = cluster.pid("worker1"), "/out/fetch-" + how.split(":")[1]
    cluster.run("console", cluster.console("worker1"), "faults", "wk.outputs.send=" + how, on="node1")
    job = submit(cluster, "/forty", out, "mapreduce.reduce.speculative=false", reduces=4)  # one at least is elsewhere
    try:
        findings = {f["code"]: f["says"] for f in finish(cluster, job)["findings"]}
    finally:
        if how.endswith("kill"):
            cluster.start_daemon("worker1")
        else:
            os.kill(pid, signal.SIGCONT)
            cluster.run("console", cluster.console("worker1"), "faults", "off", on="node1")
    assert output_of(cluster, out) == b"".join(sorted(LINES))
    assert findings["FETCH_FAIL"].endswith(" node1"), findings
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 5)


# --- and at fault ----------------------------------------------------------------------------------

def state_of(c, name):
    return next(line.split() for line in c.run("job", "-workers").stdout.decode().splitlines() if line.startswith(name + " "))


def test_a_node_where_tasks_keep_failing_gets_none_for_a_while(cluster):
    """Their input lies there alone, so there they begin."""
    with restarted(cluster, "worker4", {"QUERN_FAULT": "client.read.*=1+:kill"}):
        for i in range(3):
            assert "live" in state_of(cluster, "node4")
            assert finish(cluster, submit(cluster, "/one-node4", f"/out/fault{i}"))["stages"][0]["failed_attempts"] == 1
        told = r"node4 gets no tasks for another \d+ s: those of several jobs failed there and then went well elsewhere"
        listed = cluster.run("job", "-workers").stdout.decode()
        assert re.search(rf"^node4 +excluded +0/2 .* 3  /.*\n(?s:.*)^{told}", listed, re.M), listed
        assert finish(cluster, submit(cluster, "/one-node4", "/out/elsewhere"))["stages"][0]["failed_attempts"] == 0
        assert "node4 gets no tasks for 8 s" in cluster.read("jobs", "jobtracker.log")
        wait_for(lambda: "live" in state_of(cluster, "node4"))
    status = finish(cluster, submit(cluster, "/one-node4", "/out/mended"))
    assert status["stages"][0]["failed_attempts"] == 0 and places(status) == [1, 0, 0]
