# SPDX-License-Identifier: Apache-2.0
"""world: the cluster of a plan, in either shape, as faults, work and healing need it: daemons started
one by one, their files as paths of ours, their consoles."""
import os
import subprocess
import sys
from subprocess import PIPE, STDOUT  # noqa: F401

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))
from cluster import MODEL, QUERN, Cluster, is_over, verdict, wait_for  # noqa: E402, F401
from nodes import IMPATIENT, Nodes  # noqa: E402

# In either shape: a writer that was killed is not waited for twenty minutes, and small blocks make many.
ALWAYS = """
dfs.namenode.lease-hard-limit-sec = 8s
dfs.namenode.reconstruction.pending.timeout-sec = 5s
dfs.namenode.checkpoint.txns = 500
dfs.blocksize = 1m
"""
NODE_ROOM = "192m"


class Loopback(Cluster):
    """What `quern up` gives: a daemon is started again by typing that again."""

    def __init__(self, plan):
        super().__init__(datanodes=plan.datanodes, workers=plan.datanodes)
        self.plan, self.starting = plan, None
        short = "".join(line + "\n" for line in IMPATIENT.splitlines() if not line.startswith("worker.")) if plan.patience == "short" else ""
        with open(os.path.join(self.dir, "site.conf"), "w") as f:
            f.write(ALWAYS + short)
        with open(os.path.join(self.dir, "remote.conf"), "w") as f:
            f.write("include = quern.conf\nnode.name = elsewhere\n")

    def all_daemons(self):
        return self.plan.daemons()

    def start_again(self, daemon):
        """In the background: it waits for all, and one of them may stand still."""
        if self.starting is None or self.starting.poll() is not None:
            self.starting = subprocess.Popen([QUERN, "up", "--detach", "--dir", self.dir] + self.args, env=self.env,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def path(self, daemon, file=""):
        """A file in the daemon's directory: blocks of a datanode, map outputs of a worker."""
        kind, number = daemon.rstrip("0123456789"), daemon.lstrip("adeknortwmjbc")
        return os.path.join(self.dir, {"namenode": "name", "jobtracker": "jobs", "datanode": "data/" + number, "worker": "work/" + number}[kind], file)

    def console(self, daemon):
        return os.path.join(self.dir, "run", daemon + ".sock")

    def ask_console(self, daemon, *words):
        return self.run("console", self.console(daemon), *words, check=False, timeout=20)

    def logs(self):
        return os.path.join(self.dir, "log")


class Machines(Nodes):
    """Each machine a namespace, with a small disk of its own."""

    def __init__(self, plan):
        names = ["names", "jobs"] + ["node%d" % (i + 1) for i in range(plan.datanodes)]
        self.plan = plan
        super().__init__(datanodes=plan.datanodes, conf=ALWAYS, tmpfs=dict.fromkeys(names, NODE_ROOM))

    def start_again(self, daemon):
        return None if self.pid(daemon) else self.start_daemon(daemon, wait=False)

    def path(self, daemon, file=""):
        kind = daemon.rstrip("0123456789")
        below = {"namenode": "name", "jobtracker": "jobs", "datanode": "data", "worker": "work"}[kind]
        return os.path.join(self.root(self.node_of(daemon)), below, file)

    def ask_console(self, daemon, *words):
        return self.run("console", self.console(daemon), *words, on=self.node_of(daemon), check=False, timeout=20)


def make(plan):
    return (Machines if plan.shape == "nodes" else Loopback)(plan)


def processes_of(directory):
    """{pid: command line} of everything that was started for this cluster's directory."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
            env = open(f"/proc/{pid}/environ", "rb").read()
        except OSError:
            continue
        if directory.encode() in b" ".join(words) + env and b"quern" in words[0] and not is_over(int(pid)):
            found[int(pid)] = b" ".join(words).decode(errors="replace")
    return found
