# SPDX-License-Identifier: Apache-2.0
"""heal: what must be true once nothing breaks any more, within a bound: every block has its replicas, fsck
says HEALTHY, datanodes hold the blocks the namenode knows and no others, nothing half-done lies about."""
import glob
import os
import re
import time

from cluster import processes_of

BOUND_S = 90
QUICK = """
dfs.heartbeat.interval = 200ms
dfs.namenode.redundancy.settle = 0s
dfs.namenode.redundancy.interval.seconds = 100ms
dfs.namenode.replication.max-streams = 20
dfs.namenode.replication.max-streams-hard-limit = 40
worker.output.memory.keep = 1s
"""  # of a cluster that is to heal within a second
READY_MAX = 8
FD_SLACK = 24  # a daemon may keep connections open


def parent_of(pid):
    try:
        return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None  # gone meanwhile


class Healing:
    """Of a cluster, in whose life there may be several; `shipped`: its time-outs are, and long."""

    def __init__(self, world, say=print, shipped=False):
        self.world, self.say, self.shipped = world, say, shipped
        self.datanodes = [d for d in world.all_daemons() if d.startswith("datanode")]
        self.fds = {}  # at the first calm of each incarnation

    def wait(self):
        """Ask until nothing is amiss; what still is after the bound is the failure."""
        end, last = time.monotonic() + BOUND_S, None
        while True:
            amiss = self.amiss()
            if not amiss:
                return
            if amiss != last:
                self.say(f"healing: {amiss[0]}" + (f" and {len(amiss) - 1} more" if len(amiss) > 1 else ""))
            last = amiss
            if time.monotonic() > end:
                raise AssertionError(f"not healed within {BOUND_S} s:\n  " + "\n  ".join(amiss))
            time.sleep(0.2)

    def amiss(self):
        gone = self.gone()
        if gone:
            return gone
        wrong = self.report()
        wrong += self.fsck() if not wrong else []
        return wrong + self.world.directories_amiss() + self.leftovers() + self.strays()

    def gone(self):
        """Nobody kills any more: who does not run has broken by itself, and his log says how."""
        wrong = []
        for daemon in self.world.all_daemons():
            if not self.world.pid(daemon):
                lines = open(self.world.log_of(daemon), errors="replace").read().splitlines() or [""]
                reasons = [line for line in lines if line.startswith(("reason:", "request:")) or " ERROR " in line]
                wrong.append(f"{daemon} does not run: {'; '.join(reasons[-2:] or lines[-1:])}")
        return wrong

    def report(self):
        run = self.world.run("admin", "-report", check=False)
        text = run.stdout.decode()
        want = [f"Live datanodes ({len(self.datanodes)}):"] + [w + ": 0" for w in (
            "Under replicated blocks", "Blocks with corrupt replicas", "Missing blocks", "Pending deletion blocks")]
        return [f"report without {w!r}: {run.stderr.decode()[-200:]}" for w in want if w not in text]

    def fsck(self):
        text = self.world.run("fsck", "/", "-files", "-blocks", "-locations", "-openforwrite", check=False).stdout.decode()
        wrong = [] if text.rstrip().endswith("is HEALTHY") else ["fsck: " + text[-300:]]
        wrong += [line for line in text.splitlines() if "OPENFORWRITE" in line and not self.may_wait(line)]
        wrong += [line.strip() for line in text.splitlines()
                  if re.match(r" (Over|Under|Mis)-replicated blocks:|\s+Blocks queued", line) and "\t0" not in line]
        known = {}
        report = self.world.run("admin", "-report", check=False).stdout.decode()
        node_at = {address: "datanode" + node for address, node in re.findall(r"Name: (\S+) \(node(\d+)\)", report)}
        for line in text.splitlines():
            block = re.match(r"\d+\. \S*(blk_\d+_\d+) ", line)
            for address in re.findall(r"DatanodeInfoWithStorage\[([^,]+),", line) if block else []:
                known.setdefault(node_at.get(address), set()).add(block.group(1))
        for node in self.datanodes:
            there, here = self.blocks_on(node), known.get(node, set())
            if there != here:
                wrong.append(f"{node} has {self.some(there - here)} the namenode does not know there, lacks {self.some(here - there)}")
        return wrong

    @staticmethod
    def some(names):
        names = sorted(names)
        return f"{names[:5]}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    def may_wait(self, line):
        """A block that no node has any byte of is given up only after the nodes had their time to come back: with
        time-outs as shipped, ten minutes."""
        return self.shipped and re.search(r" 0 bytes, .* 1 block", line)

    def blocks_on(self, node):
        """What lies in its directories; each block in one of them, once, with data and checksums."""
        found = [p for home in self.world.homes(node) for p in glob.glob(home + "/current/finalized/*/*/blk_*")]
        names = [os.path.basename(p) for p in found]
        metas = {n[:-len(".meta")] for n in names if n.endswith(".meta")}
        alone = {n for n in names if not n.endswith(".meta")} ^ {m.rsplit("_", 1)[0] for m in metas}
        twice = {n for n in names if names.count(n) > 1} if len(names) != len(set(names)) else set()
        return metas | {"half: " + n for n in alone} | {"twice: " + n for n in twice}

    def leftovers(self):
        wrong = []
        for daemon in self.world.all_daemons():
            if daemon.startswith("datanode"):
                wrong += [p for home in self.world.homes(daemon) for what in ("rbw/*", "tmp/*", "shift") for p in glob.glob(f"{home}/current/{what}")]
            if daemon.startswith("worker"):
                wrong += glob.glob(self.world.path(daemon, "jobs/*")) + glob.glob(self.world.path(daemon, "*tmp*"))
            if daemon in ("namenode", "jobtracker"):
                wrong += [os.path.join(b, n) for home in self.world.homes(daemon) for b, _, names in os.walk(home) for n in names if "tmp" in n]
        return [f"left behind: {path}" for path in wrong]

    def strays(self):
        """Workers keep a few processes ready for tasks to come."""
        daemons = {self.world.pid(d) for d in self.world.all_daemons()}
        wrong, ready = [], {}
        for pid, words in processes_of(self.world.dir).items():
            if pid in daemons or "nsenter" in words or not re.search(r"quern-\w+$|quern$", words.split()[0]):
                continue
            parent = parent_of(pid)
            ready[parent] = ready.get(parent, 0) + 1
            if parent not in daemons or ready[parent] > READY_MAX:
                wrong.append(f"stray process {pid}: {words[:200]}")
        return wrong + [line for daemon in self.world.all_daemons() for line in self.descriptors(daemon)]

    def descriptors(self, daemon):
        pid = self.world.pid(daemon)
        try:
            now = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return [f"{daemon} does not run"]
        first = self.fds.setdefault((daemon, pid), now)
        return [f"{daemon} has {now} descriptors, had {first}"] if now > first + FD_SLACK else []
