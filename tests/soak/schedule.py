# SPDX-License-Identifier: Apache-2.0
"""schedule: from a seed, what the world is like and what goes wrong in it when. Nothing here looks at a
clock or at a cluster, so a seed gives the same schedule everywhere and always.

What may come together is bounded by what can be recovered: bytes rot in the blocks of one and the
same datanode, whose directories also come and go (the others have them right), everything else takes
processes, connections and room, never data."""
import random
from collections import namedtuple

# at_s: seconds after the round began. undo: the event that ends what an earlier one began.
Event = namedtuple("Event", "at_s what target arg")

ROUNDS = 3
ROUND_S = (12, 25)

# point → actions, and how many hits may pass first
DATANODE_FAULTS = [
    ("dn.write.begin", ("kill", "delay2000"), 5), ("dn.write.chain", ("kill", "delay2000"), 5),
    ("dn.write.packet", ("kill", "corrupt", "delay3000"), 40), ("dn.write.forward", ("kill", "corrupt"), 40),
    ("dn.write.disk", ("kill", "eio"), 30), ("dn.write.sync", ("kill", "delay3000"), 10),
    ("dn.write.ack", ("kill", "drop"), 40), ("dn.finalize.synced", ("kill",), 5), ("dn.finalize.renamed", ("kill",), 5),
    ("dn.finalize.done", ("kill",), 5), ("dn.restamp.sums", ("kill",), 2), ("dn.restamp.cut", ("kill",), 2),
    ("dn.read.open", ("kill", "eio"), 10), ("dn.read.packet", ("kill", "corrupt", "drop"), 10), ("dn.read.local", ("kill",), 10),
    ("dn.copy.packet", ("kill", "corrupt", "drop"), 3), ("dn.recover.init", ("kill",), 2), ("dn.recover.commit", ("kill",), 2),
    ("disk.*", ("kill",), 400), ("disk.write", ("enospc", "delay3000"), 60), ("disk.fsync", ("delay3000",), 20),
    ("dn.shift.copied", ("kill",), 3), ("dn.shift.noted", ("kill",), 3), ("dn.shift.placed", ("kill",), 3), ("dn.shift.removed", ("kill",), 3),
]
NAMENODE_FAULTS = [("disk.*", ("kill",), 300), ("disk.fsync", ("kill", "delay3000"), 100), ("disk.fsync", ("eio",), 100),
                   ("disk.write", ("delay2000",), 100), ("disk.rename", ("kill",), 2)]
JOBTRACKER_FAULTS = [("disk.*", ("kill",), 100), ("disk.fsync", ("kill", "delay3000"), 30), ("jt.publish.ask", ("kill",), 2),
                     ("jt.publish.done", ("kill",), 2)]
WORKER_FAULTS = [("wk.outputs.send", ("corrupt", "kill"), 20), ("disk.*", ("kill",), 200), ("disk.write", ("enospc", "eio", "delay2000"), 60)]
POINTS = {"namenode": NAMENODE_FAULTS, "datanode": DATANODE_FAULTS, "jobtracker": JOBTRACKER_FAULTS, "worker": WORKER_FAULTS}

# what happens how often; those of NODES_ONLY need machines that are namespaces
WEIGHTS = {"kill": 34, "stop": 16, "arm": 22, "kill all": 3, "kill task": 8, "kill client": 6, "rot": 8, "rot output": 4,
           "fill": 7, "cut": 8, "cut between": 5, "restart": 6, "retire": 6, "take away": 8, "level": 6, "break names": 5, "reload": 5}
NODES_ONLY = ("fill", "cut", "cut between", "take away", "level", "break names", "reload")


class Plan:
    """shape: "loopback" (what `quern up` gives) or "nodes" (each machine a namespace). patience:
    "shipped" time-outs, or "short" ones, so that nodes are given up within seconds."""

    def __init__(self, seed, has_nodes):
        dice = random.Random(f"world {seed}")
        self.seed = seed
        self.shape = dice.choice(["loopback", "nodes"])
        if not has_nodes:
            self.shape = "loopback"
        self.patience = "short" if self.shape == "nodes" else dice.choice(["shipped", "short"])
        self.datanodes = dice.choice([3, 3, 4])
        self.rotten = dice.randint(1, self.datanodes)
        self.name_dirs = dice.choice([1, 2]) if self.shape == "nodes" else 1
        self.rounds = [self.round(i) for i in range(ROUNDS)]

    def daemons(self):
        nodes = range(1, self.datanodes + 1)
        return ["namenode", "jobtracker"] + [f"datanode{i}" for i in nodes] + [f"worker{i}" for i in nodes]

    def round(self, number):
        """(seconds, events in order of time)"""
        dice = random.Random(f"round {self.seed}/{number}")
        seconds = dice.uniform(*ROUND_S)
        kinds = [k for k in WEIGHTS if self.shape == "nodes" or k not in NODES_ONLY]
        busy = dice.choice([0.4, 1.0, 2.0])  # seconds between two events
        at, events = 1.0, []
        while at < seconds - 2:
            what = dice.choices(kinds, [WEIGHTS[k] for k in kinds])[0]
            events += self.one(dice, at, seconds, what)
            at += dice.expovariate(1 / busy)
        return seconds, sorted(events, key=lambda e: e.at_s)

    def one(self, dice, at, seconds, what):
        daemon, until = dice.choice(self.daemons()), min(seconds, at + dice.choice([0.2, 1, 3, 6]) * dice.random())
        node, other = dice.sample(range(1, self.datanodes + 1), 2)
        place = dice.random()
        if what == "kill":
            return [Event(at, "kill", daemon, ""), Event(until, "start", daemon, "")]
        if what == "kill all":
            return [Event(at, "kill", d, "") for d in self.daemons()] + [Event(until, "start", d, "") for d in self.daemons()]
        if what == "stop":
            return [Event(at, "stop", daemon, ""), Event(until, "wake", daemon, "")]
        if what == "arm":
            point, actions, most = dice.choice(POINTS[daemon.rstrip("0123456789")])
            return [Event(at, "arm", daemon, f"{point}={dice.randint(1, most)}:{dice.choice(actions)}")]
        if what == "restart":
            return [Event(at, "end", daemon, ""), Event(until, "start", daemon, "")]
        if what == "retire":
            return [Event(at, "retire", f"node{node}", ""), Event(until, "take back", f"node{node}", "")]
        if what == "take away":
            return [Event(at, "take away", f"datanode{self.rotten}", dice.randrange(2)), Event(until, "bring back", f"datanode{self.rotten}", "")]
        if what == "level":
            return [Event(at, "level", f"node{self.rotten}", "")]
        if what == "break names":
            return [Event(at, "arm", "namenode", f"disk.fsync={dice.randint(1, 60)}:eio"), Event(until, "reload", "namenode", "")]
        if what == "reload":
            return [Event(at, "reload", dice.choice(["namenode", f"datanode{node}"]), "")]
        if what in ("kill task", "kill client"):
            return [Event(at, what, "", place)]
        if what == "rot":
            return [Event(at, what, f"datanode{self.rotten}", (place, dice.choice(["data", "sums"]), dice.random()))]
        if what == "rot output":
            return [Event(at, what, f"worker{node}", (place, dice.random()))]
        if what == "fill":
            where = dice.choice(["names", "jobs", f"node{node}", f"node{node}"])
            return [Event(at, "fill", where, dice.choice([0, 10_000, 2_000_000])), Event(until, "empty", where, "")]
        where = dice.choice(["names", "jobs", f"node{node}", f"node{node}"])
        if what == "cut":
            return [Event(at, "cut", where, ""), Event(until, "join", where, "")]
        return [Event(at, "cut between", where if where != f"node{other}" else "names", f"node{other}"),
                Event(until, "join between", where if where != f"node{other}" else "names", f"node{other}")]
