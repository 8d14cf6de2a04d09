# SPDX-License-Identifier: Apache-2.0
"""Somebody sets the date of a machine while it works: an hour ahead, an hour back. Leases, heartbeats and
time-outs go by a clock that only measures, so nobody notices."""
import os
import struct
import subprocess
import time

import pytest

from cluster import BUILD, Cluster, verdict, wait_for

JUMP = os.path.join(BUILD, "tests", "cluster", "clock_jump.so")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        yield c


def restart_with_clock(c, daemon):
    """The file that its clock goes by."""
    path = os.path.join(c.dir, daemon + ".jump")
    set_clock(path, 0)
    c.kill(daemon)
    c.up(env={"LD_PRELOAD": JUMP, "CLOCK_JUMP": path, "ASAN_OPTIONS": "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")})
    return path


def set_clock(path, ahead_s):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.pwrite(fd, struct.pack("<q", ahead_s), 0)
    os.close(fd)


@pytest.mark.parametrize("daemon", ["namenode", "datanode1"])
def test_nobody_notices(cluster, daemon):
    clock = restart_with_clock(cluster, daemon)
    data = os.urandom(300_000)
    wait_for(lambda: b"Live datanodes (3)" in cluster.run("admin", "-report", check=False).stdout)
    slow = cluster.popen([os.path.join(BUILD, "quern"), "fs", "-put", "-", f"/slow-{daemon}"], stdin=subprocess.PIPE)
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
    assert slow.wait(60) == 0
    assert cluster.fs("-cat", f"/slow-{daemon}").stdout == data * 4
    verdict(run)
