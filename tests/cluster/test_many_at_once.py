# SPDX-License-Identifier: Apache-2.0
"""Sixty-four writers and readers against one datanode: what it opens, it closes; its threads stay within
their bound; and no byte is wrong."""
import os
import subprocess

from cluster import BUILD, Cluster, wait_for

MODEL = os.path.join(BUILD, "tests", "cluster", "model_client")
THREADS_MAX = 144  # an open file of each writer, and a read beside it
OTHERS = 12  # the loop, the disk's, and what a sanitizer adds


def test_what_many_clients_need_is_given_back():
    c = Cluster(datanodes=1, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write(f"dfs.datanode.max.transfer.threads = {THREADS_MAX}\n")
    with c:
        pid = c.pid("datanode1")
        opened = lambda: len(os.listdir(f"/proc/{pid}/fd"))
        threads = lambda: len(os.listdir(f"/proc/{pid}/task"))
        before, most = opened(), 0
        run = subprocess.Popen([MODEL, "--seed", "7", "--seconds", "4", "--writers", "64"], env=c.env, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        while run.poll() is None:
            most = max(most, threads())
        out = run.stdout.read()
        assert run.returncode == 0 and "nothing violated" in out and " 0 calls failed" in out, out
        assert c.pid("datanode1") == pid
        assert 32 < most <= THREADS_MAX + OTHERS
        wait_for(lambda: opened() <= before + 2)
