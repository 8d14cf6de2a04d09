#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""speed: map, sort, shuffle and reduce beside their goals, in one table.

    tests/bench/speed.py [--runs 5] [--only terasort,words,own,grep,stream,empty,limited] [--scale 1] [--dir DIR]
                         [--limited SIZE] [--limit 6g] [--json FILE]                     (make bench BENCH=--speed)

A release cluster (a datanode, a worker, one replica, results fsynced) and inputs that the page cache holds; memory is kept
warm (compare.py). Turns go through all rows, so that all meet the same machine; a figure is the median. terasort: 1 and 4 GB of rows, each
result checked by teravalidate. words: word count of 1 GiB, 200,000 different words, with a declared combiner; own: the same by
tests/jobs/ownwords.c, which declares nothing. grep: the same text, the answer that of GNU grep, whose speed is told beside
ours. stream: 200 MB of words through a Python script; the figure is how many times longer it takes than the same script under
`xargs -P2` over four local pieces, sorted and reduced by sort(1) and the script. empty: tests/bench/tasks.py. limited: as
terasort, 16 GB, with the whole cluster in a control group of 6 GiB, once and then once more with its input put out of memory
first; takes three times its size of disk. --scale 0.1 makes all but `limited` smaller, with the goals; `cost` is CPU time of
all daemons and tasks, which depends on the machine's load least.
For the table against other programs see tests/bench/compare.py."""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import compare
import tasks
from filesystem import Table, at_least, at_most

GB = 1000000000
GIB = 1 << 30
ROW = 100
MATCH = "zuxu[a-z]*"
COUNT = """import collections, sys
def count():
    found = collections.Counter()
    for line in sys.stdin.buffer:
        found.update(line.split())
    for word, n in found.items():
        sys.stdout.buffer.write(b"%s\\t%d\\n" % (word, n))
def add_up():
    last, sum = None, 0
    for line in sys.stdin.buffer:
        word, n = line.rstrip(b"\\n").split(b"\\t")
        if word != last and last is not None:
            sys.stdout.buffer.write(b"%s\\t%d\\n" % (last, sum))
            sum = 0
        last, sum = word, sum + int(n)
    if last is not None:
        sys.stdout.buffer.write(b"%s\\t%d\\n" % (last, sum))
(count if sys.argv[1] == "map" else add_up)()
"""


class Speed(compare.Bench):
    def __init__(self, options):
        super().__init__(options)
        self.made = {}

    def job_cost(self, *words):
        """Seconds, and the CPU time that daemons and tasks took."""
        before = tasks.cpu_of(self)
        took = self.job(*words)
        after = tasks.cpu_of(self)
        return took, "CPU " + ", ".join(f"{name} {after[name] - before.get(name, 0):.1f}" for name in ("tasks", "worker", "datanode") if name in after) + " s"

    def gone(self, *paths):
        self.fs("-rm", "-r", "-skipTrash", *paths)

    def rows(self, size):
        path, self.current = f"/rows.{size}", None
        if path not in self.made:
            self.job("-reduces", "0", "-D", f"teragen.rows={size // ROW}", "teragen", path)
            self.made[path] = True
        return path

    def words(self, size):
        """A text of ours, on the local disk and in the cluster."""
        name = f"words.{size}"
        path = self.current = self.path(name)
        if name not in self.made:
            compare.run([os.path.join(compare.BUILD, "tests/bench/inputs"), "words", str(size)], out=path)
            self.fs("-mkdir", "-p", "/in")
            self.fs("-put", path, "/in/" + name)
            self.made[name] = True
        return path, "/in/" + name

    def counts(self, path):
        """A result's lines, in order."""
        local = self.path(self.fresh("out"))
        self.fs("-cat", path + "/part-*", out=local)
        whole = compare.digest([local], True)
        os.unlink(local)
        return whole


def put_out_of_memory(b):
    """The cluster's files: the next to read them reads the disk."""
    os.sync()
    for d, _, names in os.walk(b.path("q")):
        for name in filter(os.path.isfile, (os.path.join(d, n) for n in names)):
            with open(name, "rb", buffering=0) as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def terasort(table, b, size, goal, ready=compare.Bench.ready, name="terasort, {} GB"):
    out = "/" + b.fresh("sorted")
    source = b.rows(size)
    ready(b)
    took, cost = b.job_cost("terasort", source, out)
    b.job("teravalidate", out, out + ".report")
    said = b.path(b.fresh("report"))
    b.fs("-cat", out + ".report/part-*", out=said)
    with open(said, "rb") as f:
        text = f.read()
    if b"rror" in text or b"checksum" not in text:
        raise compare.Wrong(f"teravalidate: {text[:160]!r}")
    b.gone(out, out + ".report")
    table.add(name.format(f"{size / GB:g}"), at_most(goal, "s"), took, cost)


def same_answer(b, what, answer):
    if b.made.setdefault("answer of " + what, answer) != answer:
        raise compare.Wrong(f"{what}: another answer than before")


def count_words(table, b, size, program, title, goal):
    source = b.words(size)[1]
    out = "/" + b.fresh("counted")
    b.ready()
    took, cost = b.job_cost(program, source, out)
    same_answer(b, f"words.{size}", b.counts(out))
    b.gone(out)
    table.add(f"word count, {compare.size_text(size)}, {title}", at_most(goal, "s"), took, cost)


def grep(table, b, size, goal):
    local, source = b.words(size)
    out, theirs = "/" + b.fresh("found"), b.path(b.fresh("found"))
    b.ready()
    took, cost = b.job_cost("-D", "grep.pattern=" + MATCH, "grep", source, out)
    b.ready()
    gnu = compare.run(["sh", "-c", 'grep -oE "$1" "$2" | sort | uniq -c | awk \'{ print $2 "\\t" $1 }\'', "sh", MATCH, local],
                      out=theirs, env=b.env)
    ours = b.counts(out)
    if ours != compare.digest([theirs], True):
        raise compare.Wrong("grep: another answer than GNU grep's")
    b.gone(out)
    table.add(f"grep, {compare.size_text(size)}", at_least(goal, "GB/s"), size / took / GB, f"{cost}; GNU grep {size / gnu / GB:.2f} GB/s")


def stream(table, b, size, goal):
    local, source = b.words(size)
    script = b.path("count.py")
    out, theirs = "/" + b.fresh("streamed"), b.path(b.fresh("streamed"))
    if not os.path.exists(script):
        with open(script, "w", encoding="ascii") as f:
            f.write(COUNT)
        os.mkdir(b.path("pieces"))
        compare.run(["split", "-n", "l/4", local, b.path("pieces/piece.")])
    b.current = b.path("pieces")
    b.ready()
    took, cost = b.job_cost("-stream", "-file", script, "-mapper", "python3 count.py map", "-reducer", "python3 count.py reduce", source, out)
    b.ready()
    xargs = compare.run(["sh", "-c", 'ls "$1"piece.?? | xargs -P2 -I{} sh -c "python3 \'$2\' map <{} >{}.m" && '
                         'sort "$1"piece.*.m | python3 "$2" reduce', "sh", b.path("pieces/"), script], out=theirs, env=b.env)
    if b.counts(out) != compare.digest([theirs], True):
        raise compare.Wrong("streaming: another answer than xargs's")
    b.gone(out)
    table.add(f"streaming word count in Python, {size / 1e6:.0f} MB, times xargs -P2", at_most(goal, "times"), took / xargs,
              f"{took:.2f} s against {xargs:.2f} s; {cost}")


def empty(table, options, only):
    """By tests/bench/tasks.py, which has a cluster of its own."""
    if "empty" not in only:
        return
    with tempfile.NamedTemporaryFile(suffix=".json") as f:
        compare.run([sys.executable, os.path.join(compare.ROOT, "tests/bench/tasks.py"), "--runs", str(options.runs), "--jobs", "300",
                     "--n", "2000", "--dir", options.dir, "--json", f.name])
        rows = json.load(f)["rows"]
    for name in ("empty job, median", "empty job, the slowest of a hundred"):
        for figure, note in zip(rows[name]["figures"], rows[name]["notes"]):
            table.add(name, tuple(rows[name]["goal"]), figure, note)


def memory_group(limit):
    """A control group for so many bytes, of either version."""
    with open("/proc/self/cgroup", encoding="ascii") as f:
        groups = {name: path for _, names, path in (line.rstrip("\n").split(":", 2) for line in f) for name in names.split(",")}
    first = "memory" in groups
    root = "/sys/fs/cgroup" + ("/memory" if first else "")
    group = os.path.join(root + groups["memory" if first else ""], f"quern-bench-{os.getpid()}")
    try:
        os.mkdir(group)
        with open(os.path.join(group, "memory.limit_in_bytes" if first else "memory.max"), "w", encoding="ascii") as f:
            f.write(str(limit))
    except OSError as why:
        raise compare.NotHere(f"no control group can be made: {why}") from why
    return group


class Limited(Speed):
    def start(self, group, limit):
        os.mkdir(self.path("q"))
        with open(self.path("q/site.conf"), "w", encoding="ascii") as f:
            f.write(f"worker.memory = {limit // 3 >> 20}m\nworker.output.memory = {limit * 5 // 12 >> 20}m\n")
        compare.run(["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group, self.quern, "up", "--detach", "--dir", self.path("q"),
                     "--datanodes", "1", "--workers", "1", "--replication", "1", "--port-base", str(20000 + os.getpid() % 20000)])


def limited(table, options, only):
    """Alone, after the other cluster is gone."""
    if "limited" not in only:
        return
    free = shutil.disk_usage(options.dir).free
    if free < 3.1 * options.limited:
        raise compare.NotHere(f"limited: {free / GB:.0f} GB of disk are free, it takes {3.1 * options.limited / GB:.0f} (--limited SIZE)")
    group = memory_group(options.limit)
    b = Limited(options)
    try:
        b.start(group, options.limit)
        size, goal = options.limited // ROW * ROW, 50 * options.limited / (16 * GB)
        name = "terasort, {} GB, all in " + compare.size_text(options.limit)
        terasort(table, b, size, goal, name=name)
        terasort(table, b, size, goal, put_out_of_memory, name + ", input on disk")
    finally:
        b.release()
        os.rmdir(group)


def turn(table, b, only, scale):
    def part(size):
        return int(size * scale) // ROW * ROW

    if "terasort" in only:
        terasort(table, b, part(GB), 2.5 * scale)
        terasort(table, b, part(4 * GB), 8 * scale)
    if "words" in only:
        count_words(table, b, part(GIB), "wordcount", "a declared combiner", 1.8 * scale)
    if "own" in only:
        own = os.path.join(compare.BUILD, "tests/jobs/ownwords.so")
        count_words(table, b, part(GIB), own, "combine and reduce of its own", 3 * scale)
    if "grep" in only:
        grep(table, b, part(GIB), 2)
    if "stream" in only:
        stream(table, b, part(200000000), 1.2)


def turns(table, options, only):
    if not set(only) - {"empty", "limited"}:
        return
    b = Speed(options)
    try:
        b.cluster_up("q")
        for n in range(options.runs):
            print(f"turn {n + 1} of {options.runs}", file=sys.stderr, flush=True)
            turn(table, b, only, options.scale)
    finally:
        b.release()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speed", action="store_true", help=argparse.SUPPRESS)  # how compare.py was asked for this
    parser.add_argument("--runs", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--only", default="terasort,words,own,grep,stream,empty,limited", help="which rows")
    parser.add_argument("--scale", type=float, default=1, help="of sizes and goals (1)")
    parser.add_argument("--limited", type=compare.size_of, default=16 * GB, help="rows to sort in little memory (16 GB)")
    parser.add_argument("--limit", type=compare.size_of, default="6g", help="what memory (6g)")
    parser.add_argument("--warm", type=int, default=compare.meminfo("MemTotal") >> 20, metavar="MIB", help="memory to keep warm (all; 0: none)")
    parser.add_argument("--dir", default=os.path.join(compare.ROOT, "build"), help="where to work; choose a real disk (build)")
    parser.add_argument("--json", metavar="FILE", help="every single figure")
    options = parser.parse_args()
    options.peers, options.size = None, 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("speed: ended"))  # through `finally`, as Ctrl-C
    only, head, table, wrong = options.only.split(","), compare.machine(), Table(), []
    for rows in (empty, turns, limited):  # milliseconds first: memory that others leave is given back for seconds
        try:
            rows(table, options, only)
        except compare.NotHere as why:
            print(f"bench: not here: {why}", file=sys.stderr)
        except (compare.Wrong, subprocess.SubprocessError) as why:
            wrong.append(str(why))
    return table.tell(head, options, "; ".join(wrong))


if __name__ == "__main__":
    sys.exit(main())
