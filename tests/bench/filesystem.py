#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""filesystem: the filesystem's own figures beside their goals, in one table, in under ten minutes on an idle machine.

    tests/bench/filesystem.py [--runs 3] [--dir DIR] [--n 100000] [--mb 1024] [--json FILE]   (make bench BENCH=--fs)

Names: nn_bench, a namenode and 64 clients with one request each on its way, asked three ways: TCP, a connection for
each; the namenode's unix socket, likewise; TCP with 8 connections, as the threads of 8 programs share them. Then one
client alone. Bytes: block_bench, one datanode, one replica; writes end with fsync, reads are verified and cached.
Small files: 10,000 of 4 KiB by one `quern fs -put`, in turns with the same files made, written and fsynced one after
the other on the disk below. Medians of --runs turns. Memory: namespace_memory and namespace_served, once each: what
the namenode takes per file, directory, block and further replica with 1, 5 and 10 million files (12 bytes of name, one
block), how fast such an image loads, how soon a namenode with 5 million files serves after a restart, and how long one
client waits while another sums up or deletes a tree of a million."""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

import compare

OPERATIONS = {"create": 100000, "rename": 100000, "delete": 100000, "stat": 200000, "open": 200000}
WAYS = {"TCP, 64 connections": [], "unix socket, 64 connections": ["-over", "unix"],
        "TCP, 8 connections": ["-connections", "8"]}
ALONE = {"one client, TCP": [], "one client, unix socket": ["-over", "unix"]}
ALONE_MS = {"create": 0.300, "rename": None, "delete": None, "stat": None}
BYTES = {"local write": 1300, "tcp write": 1000, "tcp read": 1600, "local read": 4000}
SMALL_FILES = 10000
SMALL_BYTES = 4096
SMALL_RATIO = 1.5
MEMORY = {"per file": (96, "B"), "per dir": (None, "B"), "per block": (40, "B"), "per replica": (4, "B")}
MILLION = 1000000
SERVED = 5 * MILLION
WAIT_MS = 5


class Table:
    def __init__(self):
        self.rows = {}

    def add(self, work, goal, figure, note=""):
        row = self.rows.setdefault(work, {"goal": goal, "figures": [], "notes": []})
        row["figures"].append(figure)
        row["notes"].append(note)

    def lines(self):
        yield "| work | goal | ours, median (least to most) | reached | cost |\n|---|---|---|---|---|"
        for work, row in self.rows.items():
            figures = row["figures"]
            middle = statistics.median(figures)
            note = row["notes"][figures.index(min(figures, key=lambda f: abs(f - middle)))]
            word, goal, more = row["goal"]
            share = "" if goal is None else f"{100 * (middle / goal if more else goal / middle):.0f} %"
            yield f"| {work} | {word} | {shown(middle)} ({shown(min(figures))} to {shown(max(figures))}) | {share} | {note} |"

    def tell(self, head, options, wrong):
        """Print it, and keep the figures if asked to; the exit code."""
        print(f"\n{head}, after {os.getloadavg()[0]:.1f}.\n")
        print("\n".join(self.lines()))
        if options.json:
            with open(options.json, "w", encoding="ascii") as f:
                json.dump({"machine": head, "rows": self.rows}, f, indent=1)
        if wrong:
            print(f"bench: {wrong}", file=sys.stderr)
        return 1 if wrong else 0


def shown(figure):
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3f}"


def short(goal):
    return f"{goal:,}" if isinstance(goal, int) or goal >= 1000 else f"{goal:.3g}"


def at_least(goal, unit):
    return (f"at least {short(goal)} {unit}", goal, True)


def at_most(goal, unit):
    return (f"at most {short(goal)} {unit}", goal, False) if goal else ("", None, False)


def program(name):
    return os.path.join(compare.BUILD, "tests/bench", name)


def names(table, b, n):
    for way, words in WAYS.items():
        text = compare.text_of([program("nn_bench"), "-clients", "64", "-n", str(n), "-dir", b.dir] + words)
        for name, goal in OPERATIONS.items():
            m = re.search(rf"^{name} +\d+ +(\d+) /s +CPU +([\d.]+) us, asking +([\d.]+) us(.*)", text, re.M)
            if not m or "FAILED" in m.group(4):
                raise compare.Wrong(f"nn_bench: {name}: {text.strip()[-160:]}")
            table.add(f"{name}, {way}", at_least(goal, "/s"), float(m.group(1)),
                      f"namenode {m.group(2)} us CPU, asking {m.group(3)} us")
    for way, words in ALONE.items():
        text = compare.text_of([program("nn_bench"), "-clients", "1", "-n", str(max(n // 50, 100)), "-dir", b.dir] + words)
        for name, goal in ALONE_MS.items():
            m = re.search(rf"^{name} .* median +([\d.]+) ms", text, re.M)
            if not m:
                raise compare.Wrong(f"nn_bench: {name}: {text.strip()[-160:]}")
            table.add(f"{name}, {way}", at_most(goal, "ms"), float(m.group(1)), "")


def block_bytes(table, b, mb):
    text = compare.text_of([program("block_bench"), "-dir", b.dir, "-mb", str(mb), "-runs", "1", "-small", "1"])
    for name, goal in BYTES.items():
        m = re.search(rf"^{name} +(\d+) MB/s +(datanode +[\d.]+, client +[\d.]+ cpu s/GB)", text, re.M)
        if not m:
            raise compare.Wrong(f"block_bench: {name}: {text.strip()[-160:]}")
        table.add(name, at_least(goal, "MB/s"), float(m.group(1)), re.sub(" +", " ", m.group(2)))


def bare_files(directory):
    """Seconds for the same files, each created, written and fsynced, the directory at the end."""
    data = os.urandom(SMALL_BYTES)
    os.mkdir(directory)
    start = time.monotonic()
    for i in range(SMALL_FILES):
        fd = os.open(os.path.join(directory, f"f{i:05}"), os.O_CREAT | os.O_WRONLY)
        os.write(fd, data)
        os.fsync(fd)
        os.close(fd)
    fd = os.open(directory, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    return time.monotonic() - start


def small_files(table, b):
    source = b.path("small")
    bare = bare_files(b.path(b.fresh("bare")))
    if not os.path.exists(source):
        bare_files(source)
    b.fs("-mkdir", "-p", "/small")
    name = b.fresh("/small/d")
    took = b.fs("-put", source, name)
    b.fs("-rm", "-r", "-skipTrash", name)
    table.add(f"{SMALL_FILES:,} files of 4 KiB by one put, against bare files with fsync", at_most(SMALL_RATIO, "times"),
              took / bare, f"{took:.2f} s against {bare:.2f} s")


def memory(table, files):
    text = compare.text_of([program("namespace_memory"), str(files)])
    of = f"{files // MILLION} million files" if files % MILLION == 0 else f"{files:,} files"
    for name, (goal, unit) in MEMORY.items():
        m = re.search(rf"^{name} +([\d.]+) B(.*)", text, re.M)
        if not m:
            raise compare.Wrong(f"namespace_memory: {name}: {text.strip()[-160:]}")
        table.add(f"memory {name}, {of}", at_most(goal, unit), float(m.group(1)), m.group(2).strip(" :,"))
    m = re.search(r"^loaded +([\d.]+) M inodes/s", text, re.M)
    table.add(f"image loaded, {of}, of CPU time", ("at least 2.0 M inodes/s", 2.0, True), float(m.group(1)))


def served(table, b, files, waits_of):
    """Starts with so many files; waits while half of so many others are summed up and deleted."""
    text = compare.text_of([program("namespace_served"), str(files), b.dir])
    for m in re.finditer(r"^started .* serves after ([\d.]+) s \((.*)\), (.*)", text, re.M):
        table.add(f"restart with {files:,} files", at_most(5, "s"), float(m.group(1)), f"{m.group(2)}, {m.group(3)}")
    text = compare.text_of([program("namespace_served"), str(waits_of), b.dir])
    for m in re.finditer(r"^(summary|delete|nothing)(.*?)  .* others wait +([\d.]+) ms at most, ([\d.]+) in 999", text, re.M):
        name = "waits of others: " + (m.group(1) + m.group(2)).replace("half", f"{waits_of // 2:,} files")
        table.add(name, at_most(None if m.group(1) == "nothing" else WAIT_MS, "ms"), float(m.group(3)), f"999 of 1000: {m.group(4)} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fs", action="store_true", help=argparse.SUPPRESS)  # how compare.py was asked for this
    parser.add_argument("--runs", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--n", type=int, default=100000, help="files that nn_bench makes (100000)")
    parser.add_argument("--mb", type=int, default=1024, help="MiB that block_bench moves (1024)")
    parser.add_argument("--only", default="names,bytes,small,memory", help="which: names,bytes,small,memory")
    parser.add_argument("--files", default="1000000,5000000,10000000", help="in memory (1, 5 and 10 million)")
    parser.add_argument("--dir", default=os.path.join(compare.ROOT, "build"), help="where to work; choose a real disk (build)")
    parser.add_argument("--json", metavar="FILE", help="every single figure")
    options = parser.parse_args()
    options.warm, options.peers, options.size = 4096, None, 0
    only, head, table, wrong = options.only.split(","), compare.machine(), Table(), None
    b = compare.Bench(options)
    try:
        if "small" in only:
            b.cluster_up("q")
        b.warm_memory()
        for n in range(options.runs):
            print(f"turn {n + 1} of {options.runs}", file=sys.stderr, flush=True)
            if "names" in only:
                names(table, b, options.n)
            if "bytes" in only:
                block_bytes(table, b, options.mb)
            if "small" in only:
                small_files(table, b)
        if "memory" in only:
            print("memory", file=sys.stderr, flush=True)
            for files in options.files.split(","):
                memory(table, int(files))
            served(table, b, min(SERVED, max(map(int, options.files.split(",")))), 2 * min(MILLION, max(map(int, options.files.split(",")))))
    except (compare.Wrong, subprocess.SubprocessError) as why:
        wrong = why
    finally:
        if "small" in only:
            b.release()
        shutil.rmtree(b.dir, ignore_errors=True)
    return table.tell(head, options, wrong)


if __name__ == "__main__":
    sys.exit(main())
