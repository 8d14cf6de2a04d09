# SPDX-License-Identifier: Apache-2.0
"""What `make soak` does to a cluster follows from its seed alone, so that a seed that failed can be tried again."""
import os
import subprocess
import sys

from cluster import ROOT


def show(seed, hash_seed):
    return subprocess.run([sys.executable, os.path.join(ROOT, "tests", "soak", "soak.py"), "--show", str(seed)], capture_output=True, text=True,
                          check=True, env=dict(os.environ, PYTHONHASHSEED=hash_seed)).stdout


def test_a_seed_gives_the_same_schedule_in_every_process():
    first = show(77, "1")
    assert first.count("round") == 3 and len(first.splitlines()) > 20
    assert first == show(77, "2") != show(78, "1")
