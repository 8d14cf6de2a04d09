# SPDX-License-Identifier: Apache-2.0
"""The namenode is killed at its first write, fsync or rename, at its second, and so on; a client that
knows what it was answered goes on with the next one (names_crash.c says how). QUERN_CRASH_STRIDE=1
tries every single one."""
import os
import subprocess

from cluster import BUILD


def test_no_answered_change_is_lost_and_none_is_done_twice():
    stride = os.environ.get("QUERN_CRASH_STRIDE", "5")
    run = subprocess.run([os.path.join(BUILD, "tests", "cluster", "names_crash"), "-stride", stride],
                         capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[0]) > 20
