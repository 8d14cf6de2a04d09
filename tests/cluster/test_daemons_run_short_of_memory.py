# SPDX-License-Identifier: Apache-2.0
"""Everything a datanode and a jobtracker may be asked, while the first allocation fails on the way, then the
second, and so on (memory_short.c says how; the namenode's turn is unit namenode/serve/test_short_of_memory).
QUERN_CRASH_STRIDE=1 tries every one."""
import os
import subprocess

from cluster import BUILD


def test_one_question_fails_at_most_and_nothing_is_lost_or_leaked():
    run = subprocess.run([os.path.join(BUILD, "tests", "cluster", "memory_short"), "-stride", os.environ.get("QUERN_CRASH_STRIDE", "13")],
                         capture_output=True, text=True, timeout=3000)
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(run.stdout.split()[0]) > 80
