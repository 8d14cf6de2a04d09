# SPDX-License-Identifier: Apache-2.0
"""world: the cluster of a plan, in either shape, as faults, work and healing need it: daemons started
one by one, their files as paths of ours, their consoles."""
import glob
import json
import os
import subprocess
import sys
from subprocess import PIPE, STDOUT  # noqa: F401

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster"))
from cluster import MODEL, QUERN, Cluster, processes_of, verdict, wait_for  # noqa: E402, F401
from nodes import IMPATIENT, Nodes  # noqa: E402

# In either shape: a writer that was killed is not waited for twenty minutes, and small blocks make many.
ALWAYS = """
dfs.namenode.lease-hard-limit-sec = 8s
dfs.namenode.reconstruction.pending.timeout-sec = 5s
dfs.namenode.checkpoint.txns = 500
dfs.blocksize = 1m
worker.output.memory.keep = 10s
"""
NODE_ROOM = "192m"  # a name directory takes two thirds of it


class Loopback(Cluster):
    """What `quern up` gives: a daemon is started again by typing that again."""

    def __init__(self, plan):
        super().__init__(datanodes=plan.datanodes, workers=plan.datanodes)
        self.plan, self.starting = plan, None
        # Of its own: while all is dead others would take the usual ports, and answer its clients.
        self.args += ["--port-base", str(12000 + os.getpid() % 380 * 50)]
        short = "".join(line + "\n" for line in IMPATIENT.splitlines() if not line.startswith("worker.")) if plan.patience == "short" else ""
        with open(os.path.join(self.dir, "site.conf"), "w") as f:
            f.write(ALWAYS + f"dfs.hosts.exclude = {self.dir}/exclude\n" + short)
        self.exclude(())
        with open(os.path.join(self.dir, "remote.conf"), "w") as f:
            f.write("include = quern.conf\nnode.name = elsewhere\n")

    def start_again(self, daemon):
        """In the background: it waits for all, and one of them may stand still."""
        if self.starting is None or self.starting.poll() is not None:
            self.starting = subprocess.Popen([QUERN, "up", "--detach", "--dir", self.dir] + self.args, env=self.env,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def exclude(self, nodes):
        with open(os.path.join(self.dir, "exclude"), "w") as f:
            f.write("".join(n + "\n" for n in nodes))

    def console(self, daemon):
        return os.path.join(self.dir, "run", daemon + ".sock")

    def ask_console(self, daemon, *words):
        return self.run("console", self.console(daemon), *words, check=False, timeout=20)


class Machines(Nodes):
    """Each machine a namespace, with a small disk of its own. One datanode has two directories, the namenode
    one or two: these come and go."""

    def __init__(self, plan):
        names = ["names", "jobs"] + ["node%d" % (i + 1) for i in range(plan.datanodes)]
        self.plan = plan
        rooms = dict.fromkeys(names, NODE_ROOM)
        if plan.name_dirs == 2:
            rooms["names"] = "384m"
        super().__init__(datanodes=plan.datanodes, conf=ALWAYS, tmpfs=rooms)
        self.conf += f"dfs.hosts.exclude = {self.dir}.exclude\n"
        for daemon in ["namenode"] + [f"datanode{i + 1}" for i in range(plan.datanodes)]:
            self.configure(daemon, range(1 + self.has_two(daemon)))
        self.exclude(())

    def common(self, name):
        """What is written again while it runs lies outside: its own disk may be full."""
        lines = super().common(name).splitlines()
        if name in ("jobs", "client"):
            return "\n".join(lines)
        mine = "dfs.namenode.name.dir" if name == "names" else "dfs.datanode.data.dir"
        return "\n".join([line for line in lines if not line.startswith(mine)] + [f"include = {self.dir}.{name}.conf\n"])

    def configure(self, daemon, which):
        """These of its directories are to be used from the next reload or start on."""
        key, name = {"namenode": ("dfs.namenode.name.dir", "name")}.get(daemon, ("dfs.datanode.data.dir", "data"))
        dirs = [self.dir + "/" + name + ("-b" if i else "") for i in which]
        self.write_beside(self.node_of(daemon) + ".conf", f"{key} = {', '.join(dirs)}\n")

    def write_beside(self, name, text):
        with open(f"{self.dir}.{name}.new", "w") as f:
            f.write(text)
        os.rename(f"{self.dir}.{name}.new", f"{self.dir}.{name}")

    def destroy(self):
        super().destroy()
        for path in glob.glob(self.dir + ".*"):
            os.unlink(path)

    def has_two(self, daemon):
        return daemon == f"datanode{self.plan.rotten}" or (daemon == "namenode" and self.plan.name_dirs == 2)

    def homes(self, daemon):
        return [self.path(daemon)] + ([self.path(daemon) + "-b"] if self.has_two(daemon) else [])

    def directories_amiss(self):
        """What its daemons do not use as they should."""
        wrong = []
        for daemon, table in ((f"datanode{self.plan.rotten}", "volumes"), ("namenode", "journal")):
            try:
                status = json.loads(self.page(daemon))
                states = [dict(zip([c["name"] for c in status["tables"][table]["columns"]], row))["state"] for row in status["tables"][table]["rows"]]
            except (ValueError, KeyError, subprocess.TimeoutExpired):
                states = ["unknown"]
            if len(states) != len(self.homes(daemon)) or not set(states) <= {"good", "whole"}:
                wrong.append(f"{daemon}: directories are {states}")
        return wrong

    def page(self, daemon):
        port = {"namenode": 9870}.get(daemon, 9864)
        where = f"http://{self.address(self.node_of(daemon))}:{port}/status.json"
        return self.on(self.node_of(daemon), "curl", "-s", "-m", "5", where, check=False).stdout

    def exclude(self, nodes):
        self.write_beside("exclude", "".join(n + "\n" for n in nodes))

    def start_again(self, daemon):
        return None if self.pid(daemon) else self.start_daemon(daemon, wait=False)

    def path(self, daemon, file=""):
        kind = daemon.rstrip("0123456789")
        below = {"namenode": "name", "jobtracker": "jobs", "datanode": "data", "worker": "work"}[kind]
        return os.path.join(self.root(self.node_of(daemon)), below) + (file and "/" + file)

    def log_of(self, daemon):
        return os.path.join(self.root(self.node_of(daemon)), daemon.rstrip("0123456789") + ".log")

    def ask_console(self, daemon, *words):
        return self.run("console", self.console(daemon), *words, on=self.node_of(daemon), check=False, timeout=20)


def make(plan):
    return (Machines if plan.shape == "nodes" else Loopback)(plan)
