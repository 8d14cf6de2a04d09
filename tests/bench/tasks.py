#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tasks: what jobs and tasks cost beyond their work, beside the goals, in one table, in about two minutes on an idle machine.

    tests/bench/tasks.py [--runs 3] [--dir DIR] [--jobs 300] [--n 40000] [--json FILE]      (make bench BENCH=--tasks)

A release cluster: a datanode, two workers with eight cores each, so that a core that is free always has a task on its way. An empty
job is one map and one reduce that do nothing, its output published, its end on disk; jobs come one after the other over one
connection. Tasks are the maps of one job, in processes that serve one after another, then in a new process each. All of it by
tasks_bench; medians of --runs turns. The cost is CPU time of each kind of process for one job or task: unlike rates it hardly
depends on what else the machine does. Last the scheduler alone, in virtual time (scheduler_bench)."""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

import compare
from filesystem import Table, at_least, at_most, program

NEW_EACH = ["-D", "mapreduce.job.jvm.numtasks=1"]
TICK = os.sysconf("SC_CLK_TCK")


def processes():
    """Of each: its number, its parent's, its words, and four times: its own and its ended children's, of user and system."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                words = f.read().split("\0")
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # gone meanwhile
        yield int(pid), int(fields[1]), words, [int(n) / TICK for n in fields[11:15]]


def cpu_of(b):
    """Seconds of CPU so far: the daemons of this cluster, and the tasks: all below its workers, those that are over and those that wait.
    Looked up twice: who ends meanwhile may be neither there any more nor yet among what the worker has waited for."""
    first = look_up(b)
    time.sleep(0.1)
    then = look_up(b)
    return {name: max(seconds, first.get(name, 0)) for name, seconds in then.items()}


def look_up(b):
    total, below, parents = {}, {}, {}
    for pid, parent, words, times in processes():
        parents[pid] = parent
        below[pid] = sum(times)
        if os.path.basename(words[0]) != "quern-task" and any(b.dir in word for word in words[1:]):
            name = os.path.basename(words[0]).replace("quern-", "")
            total[name] = total.get(name, 0) + sum(times[:2])
            below[pid] = sum(times[2:]) if name == "worker" else None
            parents[pid] = "worker" if name == "worker" else None

    def is_below_worker(pid):
        while pid in parents:
            pid = parents[pid]
        return pid == "worker"

    total["tasks"] = sum(seconds for pid, seconds in below.items() if seconds and is_below_worker(pid))
    return total


def ask(b, count, *words):
    """What tasks_bench says, and what one of `count` cost each program."""
    before = cpu_of(b)
    text = compare.text_of([program("tasks_bench"), "-address", b.conf("mapreduce.jobtracker.address"), "-fs", b.conf("fs.defaultFS"),
                            "-plugin", os.path.join(compare.BUILD, "tests/jobs/nothing.so"), *words])
    after = cpu_of(b)
    return text, ", ".join(f"{name} {1e6 * (after[name] - before.get(name, 0)) / count:.0f} us" for name in sorted(after))


def figure(text, pattern):
    m = re.search(pattern, text)
    if not m:
        raise compare.Wrong(f"tasks_bench: {text.strip()[-160:]}")
    return float(m.group(1))


def turn(table, b, jobs, n):
    text, cost = ask(b, jobs, "-jobs", str(jobs))
    table.add("empty job, median", at_most(5, "ms"), figure(text, r"median ([\d.]+)"), cost)
    table.add("empty job, the slowest of a hundred", at_most(20, "ms"), figure(text, r"p99 ([\d.]+)"), "")
    text, cost = ask(b, n, "-jobs", "0", "-tasks", str(n))
    table.add("tasks, one after another in a process", at_least(20000, "/s"), figure(text, r"([\d.]+) tasks/s"), cost)
    few = max(n // 20, 10)
    text, cost = ask(b, few, "-jobs", "0", "-tasks", str(few), *NEW_EACH)
    table.add("tasks, a new process each", at_least(500, "/s"), figure(text, r"([\d.]+) tasks/s"), cost)


def scheduler(table):
    """The core alone, in virtual time, around a cluster that no machine holds."""
    text = compare.text_of([program("scheduler_bench")])
    steps = re.search(r"submitted in .*", text)
    table.add("10,000 workers, 100,000 tasks, 500 jobs", at_least(2000, "starts/s"), figure(text, r"([\d.]+) starts/s"),
              steps.group(0).rstrip(")") if steps else "")
    table.add("memory of a task in the jobtracker", at_most(1024, "B"), figure(text, r"memory: ([\d.]+) bytes a task"), "")


class Cluster(compare.Bench):
    def start(self):
        os.mkdir(self.path("q"))
        with open(self.path("q/site.conf"), "w", encoding="ascii") as f:
            f.write("worker.cores = 8\nworker.memory = 4g\n")
        compare.run([self.quern, "up", "--detach", "--dir", self.path("q"), "--datanodes", "1", "--workers", "2", "--replication", "1",
                     "--port-base", str(20000 + os.getpid() % 20000)])

    def conf(self, key):
        with open(self.path("q/quern.conf"), encoding="ascii") as f:
            return re.search(rf"^{re.escape(key)} = (\S+)", f.read(), re.M).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", action="store_true", help=argparse.SUPPRESS)  # how compare.py was asked for this
    parser.add_argument("--runs", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--jobs", type=int, default=300, help="empty jobs of a turn (300)")
    parser.add_argument("--n", type=int, default=40000, help="tasks of a turn (40000)")
    parser.add_argument("--dir", default=os.path.join(compare.ROOT, "build"), help="where to work; choose a real disk (build)")
    parser.add_argument("--json", metavar="FILE", help="every single figure")
    options = parser.parse_args()
    options.peers, options.size = None, 0
    head, table, wrong = compare.machine(), Table(), None
    b = Cluster(options)
    try:
        b.start()
        ask(b, 20, "-jobs", "20")  # from here on processes wait
        for n in range(options.runs):
            print(f"turn {n + 1} of {options.runs}", file=sys.stderr, flush=True)
            turn(table, b, options.jobs, options.n)
            scheduler(table)
    except (compare.Wrong, subprocess.SubprocessError) as why:
        wrong = why
    finally:
        b.release()
        shutil.rmtree(b.dir, ignore_errors=True)
    return table.tell(head, options, wrong)


if __name__ == "__main__":
    sys.exit(main())
