#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""memory: much data through tasks with little memory, and what they had of it at once.

    tests/bench/memory.py [--size 8g] [--budget 32] [--long 100m] [--dir DIR]   (make bench BENCH=--memory)

A release cluster of its own (one datanode, one replica, one worker that offers four such tasks) runs, with --budget
MiB a task: terasort over --size of rows, checked by teravalidate; over a sixteenth of that word count, whose words are
nearly all different, and whose counts must add up, the same with a combine of the job's own, and streaming (where the
programs' own memory is not counted); and, with five times the longest record and at least 512 MiB a
task, sort over twelve lines of --long bytes each, half of them alike but for their end. The most memory that any map
and any reduce had at once (the kernel's ru_maxrss, programs and libraries included) must be no more than their budget
and 16 MiB. Exits 1 when it was, or when an answer was wrong."""
import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time

import compare

os.environ.setdefault("QUERN_BUILD", "build/release")
sys.path.insert(0, os.path.join(compare.ROOT, "tests", "cluster"))
from cluster import BUILD, Cluster  # noqa: E402

ROOM = 16 << 20
ROW = 100


def job_counters(c):
    job = max(j["id"]["job"] for j in c.jobs())
    text = c.run("job", "-counter", str(job)).stdout.decode()
    return {k.strip(): int(v) for k, v in re.findall(r"^\s*(.+?)=(\d+)$", text, re.M)}


def row(c, work, data, budget, *words):
    start = time.monotonic()
    memory = ["-D", f"mapreduce.map.memory.mb={budget}", "-D", f"mapreduce.reduce.memory.mb={budget}"]
    c.run("run", *memory, *words, timeout=3600)
    took = time.monotonic() - start
    counters = job_counters(c)
    peaks = [counters.get(f"Peak {kind} Physical memory (bytes)", 0) for kind in ("Map", "Reduce")]
    is_good = 0 < max(peaks) <= (budget << 20) + ROOM
    print(f"| {work} | {data / 1e9:.2f} GB | {budget} MiB | {peaks[0] / 2**20:.1f} MiB | {peaks[1] / 2**20:.1f} MiB "
          f"| {counters.get('spills', 0)} | {took:.1f} s | {'yes' if is_good else 'NO'} |", flush=True)
    return is_good


def check(is_right, what):
    if not is_right:
        print(f"memory: {what}", file=sys.stderr)
    return is_right


def words_agree(c):
    """What the job counted of each word, added up, is the number of words that maps found."""
    total = sum(int(line.rsplit(b"\t", 1)[1]) for line in c.run("fs", "-cat", "/words/part-*", timeout=3600).stdout.splitlines())
    found = job_counters(c)["Map output records"]
    return check(total == found > 0, f"word count says {total} words, maps found {found}")


def long_lines(path, length, count=12):
    """Even ones are the same but for their last byte, so that comparing them looks at all of them."""
    whole = hashlib.sha256()
    lines = []
    for i in range(count):
        last = b"%c" % (ord("a") + (i * 7) % count)
        lines.append(b"k" * (length - 1) + last if i % 2 else last + b"k" * (length - 1))
    with open(path, "wb") as f:
        for line in lines:
            f.write(line + b"\n")
    for line in sorted(lines):
        whole.update(line + b"\n")
    return whole.hexdigest()


def digest(c, path):
    whole = hashlib.sha256()
    whole.update(c.run("fs", "-cat", path, timeout=3600).stdout)
    return whole.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=compare.size_of, default="8g", help="of the rows (8g)")
    parser.add_argument("--budget", type=int, default=32, help="MiB a task (32)")
    parser.add_argument("--long", type=compare.size_of, default="100m", help="of each long line (100m)")
    parser.add_argument("--dir", default=os.path.join(compare.ROOT, "build"), help="where to work: six times --size (build)")
    args = parser.parse_args()
    dir = tempfile.mkdtemp(prefix="memory-", dir=args.dir)
    long_budget = max(512, 5 * args.long >> 20)
    good = True
    try:
        with open(os.path.join(dir, "site.conf"), "w", encoding="utf-8") as f:
            f.write(f"worker.memory = {max(4 * args.budget, 2 * long_budget)}m\nworker.cores = 2\n")
        with Cluster(datanodes=1, workers=1, dir=dir) as c:
            rows = args.size // ROW
            c.run("run", "-reduces", "0", "-D", f"teragen.rows={rows}", "teragen", "/rows", timeout=3600)
            print("| work | data | budget | peak of a map | peak of a reduce | spills | took | within 16 MiB |\n|---|---|---|---|---|---|---|---|")
            good &= row(c, "terasort", args.size, args.budget, "-reduces", "4", "terasort", "/rows", "/sorted")
            c.run("run", "teravalidate", "/sorted", "/report", timeout=3600)
            said = c.run("fs", "-cat", "/report/part-*").stdout
            good &= check(b"rror" not in said, f"teravalidate: {said[:200]!r}")
            c.fs("-rm", "-r", "-skipTrash", "/sorted")
            c.fs("-rm", "-r", "-skipTrash", "/rows")
            c.run("run", "-reduces", "0", "-D", f"teragen.rows={rows // 16}", "teragen", "/few", timeout=3600)
            good &= row(c, "word count, most words once", args.size // 16, args.budget, "-reduces", "4", "wordcount", "/few", "/words")
            good &= words_agree(c)
            good &= row(c, "the same, with the job's own combine", args.size // 16, args.budget, "-reduces", "4",
                        os.path.join(BUILD, "tests", "jobs", "ownwords.so"), "/few", "/own")
            good &= row(c, "cat and cat as programs", args.size // 16, args.budget, "-stream", "-reduces", "4", "-mapper", "cat", "-reducer", "cat",
                        "/few", "/cat")
            good &= check(digest(c, "/own/part-*") == digest(c, "/words/part-*"), "the own combine counted other words")
            c.fs("-rm", "-r", "-skipTrash", "/words", "/own", "/cat", "/few")
            want = long_lines(os.path.join(dir, "long"), args.long)
            c.fs("-mkdir", "/long")
            c.fs("-put", os.path.join(dir, "long"), "/long/lines", timeout=3600)
            good &= row(c, f"sort, lines of {args.long / 2**20:.0f} MiB", os.path.getsize(os.path.join(dir, "long")), long_budget,
                        "-reduces", "1", "sort", "/long", "/long.sorted")
            good &= check(digest(c, "/long.sorted/part-r-00000") == want, "long lines are not in order")
    finally:
        shutil.rmtree(dir, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
