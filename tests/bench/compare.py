#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare: one table, ours beside others' programs, on one machine in one run.

    tests/bench/compare.py [--size 1g] [--runs 5] [--only words,sort,...] [--without hadoop,...]
                           [--peers DIR] [--dir DIR] [--json FILE]          (make bench BENCH="...")

With --speed (make bench BENCH=--speed) it is tests/bench/speed.py: map, sort, shuffle and reduce beside their goals.
With --tasks (make bench BENCH=--tasks) it is tests/bench/tasks.py: what jobs and tasks cost beyond their work.
With --fs (make bench BENCH=--fs) it is tests/bench/filesystem.py that runs: the filesystem's figures beside their goals;
with --memory tests/bench/memory.py: much data through tasks with little memory.

Starts a release cluster of its own (one datanode, one worker, one replica) in a fresh directory below
--dir on free ports, makes its inputs (tests/bench/inputs.c), and lets ours and theirs take turns, so
that both meet the same machine. Before each turn memory is warm (every page was touched once, and none was
free for long since) and the input is in the page cache. A figure is the median; the answers of all are compared, and a wrong or
failed one is told in its place. Peers: GNU sort, awk and dd, always; with --peers DIR (or PEERS=DIR)
also what lies there:

    DIR/one_machine.py words|sort duckdb|polars IN OUT      run by $PEERS_PYTHON (default python3)
    DIR/spark/work.py  words|sort IN OUT | empty            likewise
    DIR/hadoop/hadoop  up | down | fs ... | example ...     with $PEER_DIR/lib full of its jars

What is not there is told as "not here". A peer whose turn took longer than --slow seconds gets no more
than --slow-runs of them. Exits 1 when any answer of ours was wrong."""
import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("QUERN_BUILD", "build/release"))
SMALL_TEXT = "one small text, counted many times\n" * 1000
CREATE_CLIENTS = 64
UP_SECONDS = 300


class NotHere(Exception):
    """The peer is not on this machine: why."""


class Wrong(Exception):
    """It ran, and did not do what was asked."""


def run(argv, out=None, env=None, cwd=None, timeout=1800, errors=None):
    """Seconds that a command took; what it prints goes to `out`, what it complains of to `errors`."""
    start = time.monotonic()
    with open(out, "wb") if out else tempfile.TemporaryFile() as sink:
        done = subprocess.run(argv, stdout=sink, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              env=env, cwd=cwd, timeout=timeout, check=False)
    took = time.monotonic() - start
    if errors:
        with open(errors, "wb") as f:
            f.write(done.stderr)
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip() or "no word").splitlines()[-1]
        raise Wrong(f"exit {done.returncode}: {last[:160]}")
    return took


def text_of(argv, env=None):
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout


def size_of(text):
    m = re.fullmatch(r"(\d+)([kmgt]?)", text.lower())
    if not m:
        raise argparse.ArgumentTypeError(f"{text}: a size is a number and k, m, g or t")
    return int(m.group(1)) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[m.group(2)]


def digest(paths, sorted_lines=False):
    """Of the files one after the other; of their lines in order when they may come in any."""
    if sorted_lines:
        pipe = subprocess.Popen(["sort", "-S", "512M", "--"] + paths, stdout=subprocess.PIPE,
                                env=dict(os.environ, LC_ALL="C"))
        reader = pipe.stdout
        total = hashlib.sha256()
        for piece in iter(lambda: reader.read(1 << 20), b""):
            total.update(piece)
        pipe.wait()
        return total.hexdigest()
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as f:
            for piece in iter(lambda: f.read(1 << 20), b""):
                total.update(piece)
    return total.hexdigest()


def parts(directory):
    """A job's output files in order."""
    return [os.path.join(directory, n) for n in sorted(os.listdir(directory)) if n.startswith("part-")]


def read_through(path):
    """Into the page cache, also all files below a directory."""
    files = [path] if os.path.isfile(path) else [os.path.join(d, n) for d, _, names in os.walk(path) for n in names]
    for name in filter(os.path.isfile, files):
        with open(name, "rb", buffering=0) as f:
            buffer = bytearray(1 << 20)
            while f.readinto(buffer):
                pass


def meminfo(what):
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(what + r":\s+(\d+)", f.read()).group(1)) << 10


class Bench:
    """Options, the directory all happens in, and the cluster."""

    def __init__(self, options):
        self.options = options
        os.makedirs(options.dir, exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix="quern-bench.", dir=options.dir)
        self.quern = os.path.join(BUILD, "quern")
        self.env = dict(os.environ, QUERN_CONF=self.path("q/quern.conf"), LC_ALL="C")
        self.hadoop_up = self.hadoop_fails = False
        self.current = None  # the input of this row
        self.serial = 0

    def path(self, name):
        return os.path.join(self.dir, name)

    def fresh(self, name):
        """A name that was not used before."""
        self.serial += 1
        return f"{name}.{self.serial}"

    def cluster_up(self, directory):
        return run([self.quern, "up", "--detach", "--dir", self.path(directory), "--datanodes", "1", "--workers", "1",
                    "--replication", "1", "--port-base", str(20000 + os.getpid() % 20000)])

    def cluster_down(self, directory):
        run([self.quern, "down", "--dir", self.path(directory)])

    def fs(self, *words, out=None):
        return run([self.quern, "fs", *words], out=out, env=self.env)

    def job(self, *words):
        return run([self.quern, "run", *words], env=self.env)

    def warm_memory(self):
        """Pages of a file of holes, which cost no disk, take all memory that is free but 256 MiB, and give way to whoever wants it: what
        is free for two seconds a hypervisor may take back, and touching that again costs as much as the first time."""
        mib, step = self.options.warm, 1 << 17
        if mib == 0:
            return
        with open(self.path("warm"), "ab") as f:
            f.truncate(mib << 20)
        with open(self.path("warm"), "rb", buffering=0) as f:
            for at in range(0, mib << 20, step):
                if at % (64 << 20) == 0 and meminfo("MemFree") < 256 << 20:
                    break
                os.posix_fadvise(f.fileno(), at, step, os.POSIX_FADV_WILLNEED)

    def inputs(self, kind, name):
        path = self.path(name)
        if not os.path.exists(path):
            run([os.path.join(BUILD, "tests/bench/inputs"), kind, str(self.options.size)], out=path)
            self.fs("-mkdir", "-p", "/in")
            self.fs("-put", path, "/in/" + name)
        self.current = path
        return path

    def ready(self):
        """Memory is warm, theirs and ours alike are in the page cache."""
        self.warm_memory()
        for path in (self.current, self.path("q")):
            read_through(path) if path else None

    # ---- peers ----

    def peer(self, name):
        path = self.options.peers and os.path.join(self.options.peers, name)
        if not path or not os.path.exists(path):
            raise NotHere("no PEERS=DIR with " + name)
        return path

    def python(self, module):
        python = os.environ.get("PEERS_PYTHON", "python3")
        if subprocess.run([python, "-c", "import " + module], capture_output=True, check=False).returncode != 0:
            raise NotHere(f"{python} has no {module}")
        return python

    def one_machine(self, tool, what, src):
        script, python = self.peer("one_machine.py"), self.python(tool)
        out = self.path(self.fresh("out"))
        env = dict(os.environ, POLARS_MAX_THREADS=str(os.cpu_count()))
        took = run([python, script, what, tool, src, out], env=env, cwd=self.dir)
        return took, [out]

    def spark(self, what, src):
        script, python = self.peer("spark/work.py"), self.python("pyspark")
        out = self.path(self.fresh("out"))
        took = run([python, script, what, src, out], cwd=self.dir)
        return took, parts(out)

    def hadoop(self, *words, out=None, errors=None):
        tool = self.peer("hadoop/hadoop")
        lib = os.path.join(os.environ.get("PEER_DIR", "peer-hadoop"), "lib")
        if not os.path.isdir(lib) or not os.listdir(lib):
            raise NotHere(f"no Hadoop in {lib}: {tool} install")
        env = dict(os.environ, PEER_DIR=os.path.dirname(os.path.abspath(lib)))
        took = 0
        if words[0] != "down" and (words[0] == "up" or not self.hadoop_up or self.hadoop_fails):
            if self.hadoop_fails:
                raise NotHere("it did not come up")
            self.hadoop_up = self.hadoop_fails = True  # from now on there is something to take down
            took = run([tool, "up"], env=env, timeout=UP_SECONDS)
            self.hadoop_fails = False
        return took if words[0] == "up" else run([tool, *words], out=out, env=env, errors=errors)

    def hadoop_has(self, path):
        name = "/in/" + os.path.basename(path)
        try:
            self.hadoop("fs", "-test", "-e", name)
        except Wrong:
            self.hadoop("fs", "-mkdir", "-p", "/in")
            self.hadoop("fs", "-put", path, name)
        return name

    def hadoop_job(self, example, src):
        name, out = self.hadoop_has(src), "/" + self.fresh("out")
        words = ["-Dmapreduce.job.reduces=2"] if example in ("terasort", "wordcount") else []
        took = self.hadoop("example", example, *words, name, out)
        local = self.path(self.fresh("out"))
        self.hadoop("fs", "-get", out, local)
        self.hadoop("fs", "-rm", "-r", "-skipTrash", out)
        return took, parts(local)

    def release(self):
        for step in (lambda: self.hadoop_up and self.hadoop("down"), lambda: self.cluster_down("q")):
            try:
                step()
            except (Wrong, NotHere, subprocess.SubprocessError) as why:
                print(f"compare: {why}", file=sys.stderr)
        shutil.rmtree(self.dir, ignore_errors=True)


# ---- the work: name -> (title, unit, what is more, {who: turn}) ----
# A turn returns its figure, and what it answered (any value equal among all who did right, or None).


def work_words(b):
    src = b.inputs("words", "words")

    def ours():
        out = "/" + b.fresh("out")
        took = b.job("wordcount", "/in/words", out)
        local = b.path(b.fresh("out"))
        b.fs("-cat", out + "/part-*", out=local)
        b.fs("-rm", "-r", "-skipTrash", out)
        return took, digest([local], True)

    def awk():
        out = b.path(b.fresh("out"))
        script = "{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w \"\\t\" n[w] }"
        return run(["awk", script, src], out=out, env=b.env), digest([out], True)

    def of(turn):
        took, files = turn()
        return took, digest(files, True)

    return {"quern": ours, "awk, one core": awk,
            "DuckDB": lambda: of(lambda: b.one_machine("duckdb", "words", src)),
            "Polars": lambda: of(lambda: b.one_machine("polars", "words", src)),
            "Spark": lambda: of(lambda: b.spark("words", src)),
            "Hadoop": lambda: of(lambda: b.hadoop_job("wordcount", src))}


def work_sort(b):
    src = b.inputs("rows", "rows")

    def ours():
        out = "/" + b.fresh("out")
        took = b.job("sort", "/in/rows", out)
        local = b.path(b.fresh("out"))
        b.fs("-cat", out + "/part-*", out=local)
        b.fs("-rm", "-r", "-skipTrash", out)
        return took, digest([local])

    def gnu(memory):
        out = b.path(b.fresh("out"))
        words = ["sort", f"--parallel={os.cpu_count()}", "-T", b.dir, "-o", out] + (["-S", memory] if memory else [])
        return run(words + [src], env=b.env), digest([out])

    def of(turn):
        took, files = turn()
        return took, digest(files)

    return {"quern": ours, "GNU sort -S 4G": lambda: gnu("4G"), "GNU sort": lambda: gnu(None),
            "DuckDB": lambda: of(lambda: b.one_machine("duckdb", "sort", src)),
            "Polars": lambda: of(lambda: b.one_machine("polars", "sort", src)),
            "Spark": lambda: of(lambda: b.spark("sort", src)),
            "Hadoop terasort": lambda: of(lambda: b.hadoop_job("terasort", src))}


def work_smallest(b):
    name = b.path("small")
    if not os.path.exists(name):
        with open(name, "w", encoding="ascii") as f:
            f.write(SMALL_TEXT)
        b.fs("-mkdir", "-p", "/in")
        b.fs("-put", name, "/in/small")

    def ours():
        out = "/" + b.fresh("out")
        took = b.job("wordcount", "/in/small", out)
        b.fs("-rm", "-r", "-skipTrash", out)
        return took, None

    def spark():
        script, python = b.peer("spark/work.py"), b.python("pyspark")
        return run([python, script, "empty"], cwd=b.dir), None

    return {"quern": ours, "Spark, 30 empty jobs and its start": spark,
            "Hadoop, pi 1 1": lambda: (b.hadoop("example", "pi", "1", "1"), None)}


def work_put(b):
    src = b.inputs("rows", "rows")

    def ours():
        b.fs("-rm", "-f", "-skipTrash", "/put")
        took = b.fs("-put", src, "/put")
        return b.options.size / took / 1e6, None

    def dd():
        out = b.path("dd.out")
        took = run(["dd", "if=" + src, "of=" + out, "bs=1M", "conv=fsync"])
        os.unlink(out)
        return b.options.size / took / 1e6, None

    def hadoop():
        name = b.hadoop_has(src)
        took = b.hadoop("fs", "-put", src, name + ".again")
        b.hadoop("fs", "-rm", "-skipTrash", name + ".again")
        return b.options.size / took / 1e6, None

    return {"quern": ours, "dd conv=fsync, no checksums": dd, "Hadoop, no fsync": hadoop}


def work_cat(b):
    src = b.inputs("rows", "rows")
    copy = b.path("cat.out")
    b.fs("-cat", "/in/rows", out=copy)
    same = digest([copy]) == digest([src])
    os.unlink(copy)
    if not same:
        raise Wrong("cat gave other bytes than put took")

    def ours():
        return b.options.size / b.fs("-cat", "/in/rows", out="/dev/null") / 1e6, None

    def plain():  # a pipe between, as /dev/null takes no byte from anyone
        return b.options.size / run(["sh", "-c", 'dd if="$1" bs=1M | cat >/dev/null', "sh", src]) / 1e6, None

    def hadoop():
        return b.options.size / b.hadoop("fs", "-cat", b.hadoop_has(src), out="/dev/null") / 1e6, None

    return {"quern": ours, "dd through a pipe, no checksums": plain, "Hadoop": hadoop}


def work_creates(b):
    count = str(b.options.creates)

    def ours():
        text = text_of([os.path.join(BUILD, "tests/bench/nn_bench"), "-clients", str(CREATE_CLIENTS), "-n", count, "-dir", b.dir])
        m = re.search(r"^create +\d+ +(\d+) /s", text, re.M)
        if not m or "FAILED" in text:
            raise Wrong("nn_bench: " + text.strip()[-160:])
        return float(m.group(1)), None

    def hadoop():
        out = b.path("hadoop.creates")
        b.hadoop("hdfs", "org.apache.hadoop.hdfs.server.namenode.NNThroughputBenchmark", "-fs", "hdfs://127.0.0.1:9820",
                 "-op", "create", "-threads", str(CREATE_CLIENTS), "-files", "20000", "-close", errors=out)  # it logs its figure
        with open(out, encoding="utf-8", errors="replace") as f:
            m = re.search(r"Ops per sec: ([\d.]+)", f.read())
        if not m:
            raise Wrong("NNThroughputBenchmark told no figure")
        return float(m.group(1)), None

    return {"quern": ours, "Hadoop": hadoop}


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) / 1024


def pids_below(directory):
    found = {}
    for where, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".pid"):
                with open(os.path.join(where, name), encoding="ascii") as f:
                    words = f.read().split()
                if words and os.path.exists(f"/proc/{words[0]}"):
                    found[name[:-4]] = int(words[0])
    return found


def work_memory(b):
    def ours(role):
        pids = [pid for name, pid in pids_below(b.path("q")).items() if name.startswith(role)]
        if not pids:
            raise Wrong(f"no pid file of the {role}")
        return resident_mb(pids[0]), None

    def hadoop(role):
        b.hadoop("fs", "-ls", "/")
        return resident_mb(pids_below(os.environ.get("PEER_DIR", "peer-hadoop"))[role]), None

    turns = {f"quern {role}": lambda role=role: ours(role) for role in ("worker", "namenode", "datanode", "jobtracker")}
    turns.update({f"Hadoop {role}": lambda role=role: hadoop(role)
                  for role in ("nodemanager", "namenode", "datanode1", "resourcemanager")})
    return turns


def work_up(b):
    def ours():
        name = b.fresh("up")
        took = b.cluster_up(name)
        b.cluster_down(name)
        shutil.rmtree(b.path(name))
        return took, None

    def hadoop():
        if b.hadoop_up:
            b.hadoop("down")
            b.hadoop_up = False
            time.sleep(5)
        return b.hadoop("up"), None

    return {"quern": ours, "Hadoop": hadoop}


WORK = {  # name: (title, unit, more is better, how)
    "up": ("cluster up, from nothing to serving", "s", False, work_up),
    "words": ("word count, {size}", "s", False, work_words),
    "sort": ("sort, {size}", "s", False, work_sort),
    "smallest": ("smallest job, submitted to done", "s", False, work_smallest),
    "put": ("put {size}", "MB/s", True, work_put),
    "cat": ("cat {size}", "MB/s", True, work_cat),
    "creates": (f"durable creates, {CREATE_CLIENTS} clients", "/s", True, work_creates),
    "memory": ("resident after the above", "MB", False, work_memory),
}


def take_turns(b, turns):
    """who -> list of figures, or a word why there are none; and who answered otherwise than ours."""
    figures, why, answers = {who: [] for who in turns}, {}, {}
    for n in range(b.options.runs):
        for who, turn in turns.items():
            slow = figures[who] and figures[who][0][1] > b.options.slow and n >= b.options.slow_runs
            if who in why or slow or any(w and who.lower().startswith(w) for w in b.options.without):
                why.setdefault(who, "left out") if not figures[who] else None
                continue
            b.ready()
            start = time.monotonic()
            try:
                figure, answer = turn()
            except NotHere as reason:
                why[who] = f"not here ({reason})"
                continue
            except subprocess.TimeoutExpired as reason:
                why[who] = f"FAILED: not done in {reason.timeout:.0f} s"
                continue
            except (Wrong, OSError, KeyError, subprocess.SubprocessError) as reason:
                why[who] = f"FAILED: {reason}"
                continue
            figures[who].append((figure, time.monotonic() - start))
            answers.setdefault(who, set()).add(answer)
            print(f"  {who:36} {figure:12.3f}", file=sys.stderr, flush=True)
    first = answers.get("quern")
    for who, given in answers.items():
        if given != first and who != "quern" and first is not None:
            why[who] = "ANOTHER ANSWER"
    return {who: [f for f, _ in pairs] for who, pairs in figures.items()}, why


def shown(figure, unit):
    digits = 3 if unit == "s" and figure < 1 else 1 if figure < 100 else 0
    return f"{figure:,.{digits}f} {unit}"


def size_text(size):
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> shift and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


def rows_of(title, unit, more, figures, why):
    """Lines of the table; ratio: how many times better ours is."""
    medians = [statistics.median(got) for who, got in figures.items() if got and who.startswith("quern")]
    theirs = [who for who in figures if not who.startswith("quern")]
    lines = []
    for who, got in figures.items():
        is_ours = who.startswith("quern")
        if not got:
            lines.append(f"| {title} | | {who}: {why.get(who, 'no figure')} | |" if not is_ours
                         else f"| {title} | {who}: {why.get(who, 'no figure')} | | |")
            continue
        middle = statistics.median(got)
        spread = f"{shown(middle, unit)} ({len(got)}: {min(got):.3g} to {max(got):.3g})" if len(got) > 1 else f"{shown(middle, unit)} (1)"
        if is_ours:
            lines.append(f"| {title} | {'' if who == 'quern' else who + ': '}{spread} | | |")
        else:
            # several of ours stand beside as many of theirs
            ours = medians and medians[theirs.index(who) if len(medians) > 1 else 0]
            ratio = "" if not ours or not middle else f"{ours / middle:.2f}" if more else f"{middle / ours:.2f}"
            lines.append(f"| {title} | | {who}: {spread} {why.get(who, '')}".rstrip() + f" | {ratio} |")
    return lines


def machine():
    gib = meminfo("MemTotal") / (1 << 30)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {gib:.0f} GiB, Linux {os.uname().release}, "
            f"commit {commit.stdout.strip() or 'unknown'}, load before {os.getloadavg()[0]:.1f}")


def main():
    if "--speed" in sys.argv[1:]:  # jobs beside their goals, another table
        os.execv(os.path.join(ROOT, "tests/bench/speed.py"), sys.argv)
    if "--tasks" in sys.argv[1:]:  # jobs without work, another table
        os.execv(os.path.join(ROOT, "tests/bench/tasks.py"), sys.argv)
    if "--fs" in sys.argv[1:]:  # the filesystem's goals, another table
        os.execv(os.path.join(ROOT, "tests/bench/filesystem.py"), sys.argv)
    if "--memory" in sys.argv[1:]:  # much data through little memory, another
        os.execv(os.path.join(ROOT, "tests/bench/memory.py"), sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=size_of, default="1g", help="of each input (1g)")
    parser.add_argument("--runs", type=int, default=5, help="turns of each (5)")
    parser.add_argument("--slow", type=float, default=60, help="seconds after which a turn is slow (60)")
    parser.add_argument("--slow-runs", type=int, default=2, help="turns of a slow one (2)")
    parser.add_argument("--creates", type=int, default=100000, help="files to create (100000)")
    parser.add_argument("--warm", type=int, default=meminfo("MemTotal") >> 20, metavar="MIB",
                        help="memory to keep warm (all; 0: none)")
    parser.add_argument("--only", default=",".join(WORK), help="which rows: " + ",".join(WORK))
    parser.add_argument("--without", default="", help="which peers to leave out, by how their names begin")
    parser.add_argument("--peers", default=os.environ.get("PEERS"), metavar="DIR", help="where peers are ($PEERS)")
    parser.add_argument("--dir", default=os.path.join(ROOT, "build"), help="where to work; choose a real disk (build)")
    parser.add_argument("--json", metavar="FILE", help="every single figure")
    options = parser.parse_args()
    options.without = options.without.lower().split(",")
    unknown = [w for w in options.only.split(",") if w not in WORK]
    if unknown:
        parser.error(f"no row {unknown[0]}: there are {', '.join(WORK)}")
    head, lines, record, wrong = machine(), [], {}, False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compare: ended"))  # through `finally`, as Ctrl-C
    b = Bench(options)
    try:
        b.cluster_up("q")
        for name in options.only.split(","):
            title, unit, more, how = WORK[name]
            title = title.format(size=size_text(options.size))
            print(title, file=sys.stderr, flush=True)
            b.current = None
            try:
                figures, why = take_turns(b, how(b))
            except Wrong as reason:
                figures, why = {"quern": []}, {"quern": f"FAILED: {reason}"}
            lines += rows_of(title, unit, more, figures, why)
            record[name] = {"unit": unit, "figures": figures, "why": why}
            wrong = wrong or any(who.startswith("quern") or word == "ANOTHER ANSWER" for who, word in why.items())
    finally:
        b.release()
    print(f"\n{head}, after {os.getloadavg()[0]:.1f}. Medians (turns: least to most); ratio: how many times better ours is.\n")
    print("| work | ours | theirs | ratio |\n|---|---|---|---|")
    print("\n".join(lines))
    if options.json:
        with open(options.json, "w", encoding="ascii") as f:
            json.dump({"machine": head, "rows": record}, f, indent=1)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
