# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""A datanode is killed at its first write, fsync, rename or unlink, at its second, and so on, while blocks are
written, closed, copied, recovered and deleted there, or that operation fails; most of them have no other
replica (blocks_crash.c says how). QUERN_CRASH_STRIDE=1 tries every single one."""
import os
import subprocess

import pytest

from cluster import BUILD


def lives(act, stride):
    stride = os.environ.get("QUERN_CRASH_STRIDE", str(stride))
    run = subprocess.run([os.path.join(BUILD, "tests", "cluster", "blocks_crash"), "-act", act, "-stride", stride],
                         capture_output=True, text=True, timeout=3000)
    assert run.returncode == 0, run.stdout + run.stderr
    words = run.stdout.split()
    return int(words[0]), int(words[2])


def test_nothing_acknowledged_is_lost_and_nothing_is_left_behind():
    tried, felt = lives("kill", 53)
    assert felt > tried / 2


@pytest.mark.parametrize("act", ["eio", "enospc"])
def test_a_disk_that_fails_once_loses_nothing_and_leaves_nothing_behind(act):
    tried, _ = lives(act, 101)
    assert tried > 2
