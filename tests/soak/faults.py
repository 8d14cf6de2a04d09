# SPDX-License-Identifier: Apache-2.0
"""faults: doing to a world what a schedule says, and undoing all of it at the end of a round. A fault
that finds nothing to break (a block when there is none) does nothing."""
import glob
import os
import re
import signal
import subprocess

from world import QUERN, processes_of, wait_for


class Faults:
    """may_be_dead: daemons that were killed, or told to be, since the last calm."""

    def __init__(self, world, say):
        self.world, self.say = world, say
        self.may_be_dead, self.stopped, self.cuts, self.filled = set(), {}, set(), set()
        self.retired, self.is_away, self.asked = set(), False, []

    def do(self, event):
        getattr(self, event.what.replace(" ", "_"))(event.target, event.arg)

    # --- processes ---
    def kill(self, daemon, _):
        pid = self.world.pid(daemon)
        if pid:
            self.may_be_dead.add(daemon)
            self.world.kill(daemon)

    kill_all = kill

    def end(self, daemon, _):
        """In good order; it takes its time."""
        pid = self.world.pid(daemon)
        if pid and daemon not in self.stopped:
            self.may_be_dead.add(daemon)
            os.kill(pid, signal.SIGTERM)

    def reload(self, daemon, _):
        pid = self.world.pid(daemon)
        if pid:
            os.kill(pid, signal.SIGHUP)

    def start(self, daemon, _):
        if not self.world.pid(daemon):
            self.world.start_again(daemon)

    def revive(self):
        """Start whoever is dead. One that nobody killed has broken by itself."""
        for daemon in self.world.all_daemons():
            if not self.world.pid(daemon):
                assert daemon in self.may_be_dead, f"{daemon} has died by itself"
                self.world.start_again(daemon)

    def stop(self, daemon, _):
        pid = self.world.pid(daemon)
        if pid:
            self.stopped[daemon] = pid
            os.kill(pid, signal.SIGSTOP)

    def wake(self, daemon, _):
        pid = self.stopped.pop(daemon, None)
        if pid and pid == self.world.pid(daemon):
            os.kill(pid, signal.SIGCONT)

    def kill_task(self, _, place):
        """Of a worker; those in which a client looks at a plugin or at its input are the client's own."""
        tasks = sorted(p for p, words in processes_of(self.world.dir).items()
                       if "quern-task" in words.split()[0] and not re.search(r" -(probe|sample)\b", words))
        self.kill_one(tasks, place)

    def kill_client(self, _, place):
        """Only those that put: a job's outlive their client anyway, and the model is no victim."""
        self.kill_one(sorted(p for p, words in processes_of(self.world.dir).items() if re.search(r" fs -(put|appendToFile) ", words)), place)

    @staticmethod
    def kill_one(pids, place):
        if pids:
            try:
                os.kill(pids[int(place * len(pids))], signal.SIGKILL)
            except ProcessLookupError:
                pass

    def arm(self, daemon, spec):
        if daemon in self.stopped or not self.world.pid(daemon):
            return
        if not spec.endswith("corrupt") and "delay" not in spec and not spec.endswith("drop"):
            self.may_be_dead.add(daemon)
        try:
            self.world.ask_console(daemon, "faults", spec)
        except subprocess.TimeoutExpired:
            pass  # it is on its way out

    # --- disks ---
    def flip(self, paths, place, where):
        paths = sorted(p for p in paths if os.path.isfile(p) and os.path.getsize(p))
        if not paths:
            return None
        path = paths[int(place * len(paths))]
        try:
            with open(path, "r+b") as f:
                f.seek(int(where * os.path.getsize(path)))
                byte = f.read(1)
                f.seek(-1, os.SEEK_CUR)
                f.write(bytes([byte[0] ^ 1 << int(where * 997) % 8]))
        except OSError:
            return None
        self.say(f"flipped a bit of {path}")
        return path

    def rot(self, daemon, arg):
        place, kind, where = arg
        blocks = [b for home in self.world.homes(daemon) for b in glob.glob(home + "/current/finalized/*/*/blk_*")]
        self.flip([b for b in blocks if b.endswith(".meta") == (kind == "sums")], place, where)

    def rot_output(self, daemon, arg):
        self.flip([os.path.join(base, name) for base, _, names in os.walk(self.world.path(daemon, "jobs"))
                   for name in names], *arg)

    def fill(self, node, leave):
        root = self.world.root(node)
        free = os.statvfs(root).f_bavail * os.statvfs(root).f_frsize
        self.filled.add(node)
        try:
            with open(root + "/ballast", "wb") as f:
                os.posix_fallocate(f.fileno(), 0, max(1, free - leave))
        except OSError:
            pass  # somebody else took it meanwhile: full all the same

    def empty(self, node, _):
        self.filled.discard(node)
        if os.path.exists(self.world.root(node) + "/ballast"):
            os.unlink(self.world.root(node) + "/ballast")

    def take_away(self, daemon, which):
        self.is_away = True
        self.world.configure(daemon, [1 - which])
        self.reload(daemon, None)

    def bring_back(self, daemon, _):
        self.is_away = False
        self.world.configure(daemon, [0, 1])
        self.reload(daemon, None)

    def level(self, node, _):
        self.ask("diskbalancer", "-execute", node, "-thresholdPercentage", "1", "-bandwidth", "100")

    # --- who may be there ---
    def retire(self, node, _):
        self.retired = {node}  # one at a time: somebody must be left who takes what is written
        self.tell_admission()

    def take_back(self, node, _):
        self.retired.discard(node)
        self.tell_admission()

    def tell_admission(self):
        self.world.exclude(sorted(self.retired))
        self.ask("admin", "-refreshNodes")

    def ask(self, *words):
        """Nobody waits for its end: it may take until the daemons are back."""
        self.asked = [run for run in self.asked if run.poll() is None]
        self.asked.append(self.world.popen([QUERN, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    # --- network ---
    def cut(self, node, _):
        self.cuts.add((node, None))
        self.world.cut(node)

    def join(self, node, _):
        if (node, None) in self.cuts:
            self.cuts.discard((node, None))
            self.world.join(node)

    def cut_between(self, one, other):
        if (one, other) not in self.cuts:
            self.cuts.add((one, other))
            self.world.cut_between(one, other)

    def join_between(self, one, other):
        if (one, other) in self.cuts:
            self.cuts.discard((one, other))
            self.world.join_between(one, other)

    # --- the end of it ---
    def calm(self):
        """Everything undone, every daemon running, no fault armed."""
        for node in list(self.filled):
            self.empty(node, None)
        for one, other in list(self.cuts):
            self.join_between(one, other) if other else self.join(one, None)
        for daemon in list(self.stopped):
            self.wake(daemon, None)
        wait_for(self.all_run, timeout=60, every=0.2)
        for daemon in self.world.all_daemons():
            self.world.ask_console(daemon, "faults", "off")
        self.revive()  # one may have come to its point just before
        wait_for(self.all_run, timeout=60, every=0.2)
        self.settle_configuration()

    def settle_configuration(self):
        """What was on its way to be told has arrived or never will: then, once more, as it should be."""
        for run in self.asked:
            run.kill()
            run.wait()
        self.asked = []
        self.retired.clear()
        self.world.exclude(())
        wait_for(lambda: self.world.run("admin", "-refreshNodes", check=False, timeout=60).returncode == 0, timeout=60)
        if self.is_away:
            self.bring_back(f"datanode{self.world.plan.rotten}", None)
        try:
            wait_for(self.heal_directories, timeout=60, every=3)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.world.directories_amiss()}") from e

    def heal_directories(self):
        """all directories are in use again"""
        wrong = self.world.directories_amiss()
        for daemon in {line.split(":")[0] for line in wrong}:
            self.reload(daemon, None)
        return not wrong

    def all_run(self):
        """every daemon runs"""
        self.revive()
        return all(self.world.pid(d) for d in self.world.all_daemons())
