# SPDX-License-Identifier: Apache-2.0
"""Somebody sets the date of a machine while it works: an hour ahead, an hour back. Leases, heartbeats and
time-outs go by a clock that only measures, so nobody notices; nor when that one runs a tenth too fast, or too slow."""
import os
import struct
import subprocess
import time

import pytest

from cluster import BUILD, Cluster, verdict, wait_for
from heal import QUICK

JUMP = os.path.join(BUILD, "tests", "cluster", "clock_jump.so")
pytestmark = pytest.mark.usefixtures("healed")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1, site=QUICK) as c:
        yield c


def with_clock(path):
    return {"LD_PRELOAD": JUMP, "CLOCK_JUMP": path, "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")}


def restart_with_clock(c, daemon, too_fast=0):
    """The file that its clock goes by."""
    path = os.path.join(c.dir, daemon + ".jump")
    set_clock(path, 0, too_fast)
    c.kill(daemon)
    c.up(env=with_clock(path))
    return path


def set_clock(path, ahead_s, too_fast=0):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(fd, struct.pack("<qq", ahead_s, too_fast), 0)
    os.close(fd)


def begin_slow_put(c, path, env=None):
    return c.popen([os.path.join(BUILD, "quern"), "fs", "-put", "-", path], stdin=subprocess.PIPE, **({"env": dict(c.env, **env)} if env else {}))


@pytest.mark.parametrize("daemon", ["namenode", "datanode1"])
def test_nobody_notices(cluster, daemon):
    clock = restart_with_clock(cluster, daemon)
    data = os.urandom(300_000)
    wait_for(lambda: b"Live datanodes (3)" in cluster.run("admin", "-report", check=False).stdout)
    slow = begin_slow_put(cluster, f"/slow-{daemon}")
    run = cluster.model("--dir", f"/clock-{daemon}", seed=21, seconds=4, writers=2)
    for ahead_s in (3600, -3600, 86400, 0):
        slow.stdin.write(data)
        slow.stdin.flush()
        set_clock(clock, ahead_s)
        wait_for(lambda: cluster.fs("-touchz", f"/{daemon}{ahead_s}").returncode == 0)
        told = cluster.fs("-stat", "%Y", f"/{daemon}{ahead_s}").stdout
        if daemon == "namenode":
            assert abs(int(told) / 1000 - time.time() - ahead_s) < 60, "the clock did not jump"
        assert b"Live datanodes (3)" in cluster.run("admin", "-report").stdout
    slow.stdin.close()
    assert slow.wait(120) == 0
    assert cluster.fs("-cat", f"/slow-{daemon}").stdout == data * 4
    verdict(run)


def test_nobody_notices_of_a_client(cluster):
    clock, data = os.path.join(cluster.dir, "client.jump"), os.urandom(300_000)
    set_clock(clock, 0, 100)  # and runs too fast
    slow = begin_slow_put(cluster, "/slow-client", with_clock(clock))
    for ahead_s in (3600, -3600, 86400, 0):
        slow.stdin.write(data)
        slow.stdin.flush()
        set_clock(clock, ahead_s, 100)
        wait_for(lambda: cluster.fs("-touchz", f"/client{ahead_s}").returncode == 0)
    slow.stdin.close()
    assert slow.wait(120) == 0
    assert cluster.fs("-cat", "/slow-client").stdout == data * 4


@pytest.mark.parametrize("too_fast", [100, -100])
def test_nobody_notices_a_clock_that_does_not_run_as_the_others(cluster, too_fast):
    restart_with_clock(cluster, "namenode", too_fast)
    restart_with_clock(cluster, "datanode1", -too_fast)
    wait_for(lambda: b"Live datanodes (3)" in cluster.run("admin", "-report", check=False).stdout)
    run = cluster.model("--dir", f"/drift{too_fast}", seed=22, seconds=4, writers=2)
    slow = begin_slow_put(cluster, f"/slow{too_fast}")
    slow.stdin.write(b"a" * 200_000)
    slow.stdin.flush()
    while run.poll() is None:
        report = cluster.run("admin", "-report").stdout
        assert b"Live datanodes (3)" in report and b"Dead" not in report
    slow.stdin.write(b"b" * 200_000)
    slow.stdin.close()
    assert slow.wait(120) == 0
    verdict(run)
