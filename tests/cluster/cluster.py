# SPDX-License-Identifier: Apache-2.0
"""cluster: a real cluster on loopback for one test: `quern up`, its daemons by name, their pids,
kill -9, restart, and the shell. Nothing here sleeps for luck: wait_for asks again until it is so."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("QUERN_BUILD", "build/debug"))
QUERN = os.path.join(BUILD, "quern")
MODEL = os.path.join(BUILD, "tests", "cluster", "model_client")


def wait_for(what, timeout=120, every=0.05):
    """Call `what` until it returns something true; that is the result."""
    end = time.monotonic() + timeout
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {getattr(what, '__doc__', None) or what}")
        time.sleep(every)


def tree_of(pid):
    """A process and all below it."""
    try:
        below = open(f"/proc/{pid}/task/{pid}/children").read().split()
    except FileNotFoundError:
        return []
    return [pid] + [p for child in below for p in tree_of(int(child))]


def is_over(pid):
    """Gone, or dead and not yet collected. A killed process whose other threads are still in a flush has its locks and ports."""
    try:
        if open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
            return False
        return os.listdir(f"/proc/{pid}/task") in ([], [str(pid)])
    except (FileNotFoundError, ProcessLookupError):
        return True


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


class Cluster:
    def __init__(self, datanodes=3, workers=3, replication=None, dir=None, env=None, site=None):
        self.dir = dir or tempfile.mkdtemp(prefix="quern-test-", dir=os.environ.get("TMPDIR", "/tmp"))
        self.args = ["--datanodes", str(datanodes), "--workers", str(workers)]
        self.datanodes, self.workers = datanodes, workers
        if replication:
            self.args += ["--replication", str(replication)]
        self.env = dict(os.environ, QUERN_CONF=os.path.join(self.dir, "quern.conf"))
        self.env.pop("QUERN_FAULT", None)
        self.up_env = dict(self.env, **(env or {}))
        if site:
            with open(os.path.join(self.dir, "site.conf"), "w") as f:
                f.write(site)

    # --- life ---
    def up(self, env=None, check=True):
        run = subprocess.run([QUERN, "up", "--detach", "--dir", self.dir] + self.args, env=dict(self.up_env, **(env or {})),
                             capture_output=True, text=True, timeout=120)
        if check and run.returncode != 0:
            raise AssertionError(f"quern up: {run.returncode}\n{run.stdout}{run.stderr}")
        return run

    def down(self):
        subprocess.run([QUERN, "down", "--dir", self.dir], env=self.env, capture_output=True, timeout=120)

    def destroy(self):
        self.down()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *exc):
        if exc and exc[0] is not None:
            self.dump_logs()
        self.destroy()

    def dump_logs(self):
        for base, _, names in os.walk(self.dir):
            for name in names:
                if name.endswith(".log") and "/journal" not in base:
                    path = os.path.join(base, name)
                    text = open(path, errors="replace").read()
                    print(f"--- {os.path.relpath(path, self.dir)}\n{text[-3000:]}")

    # --- daemons ---
    def all_daemons(self):
        return ["namenode", "jobtracker"] + [f"{kind}{i + 1}" for kind, n in (("datanode", self.datanodes), ("worker", self.workers)) for i in range(n)]

    def pid(self, daemon):
        """Of "namenode", "datanode1", "jobtracker", "worker2" ...; None when it does not run."""
        try:
            pid = int(open(os.path.join(self.dir, "run", daemon + ".pid")).read().split()[0])
            return None if is_over(pid) else pid
        except (OSError, ValueError, IndexError):
            return None

    def kill(self, daemon, sig=signal.SIGKILL):
        pid = self.pid(daemon)
        assert pid, f"{daemon} does not run"
        os.kill(pid, sig)
        if sig == signal.SIGKILL:
            wait_for(lambda: is_over(pid))

    def path(self, daemon, file=""):
        """A file in the daemon's directory: blocks of a datanode, map outputs of a worker."""
        kind = daemon.rstrip("0123456789")
        below = {"namenode": "name", "jobtracker": "jobs", "datanode": "data/", "worker": "work/"}[kind] + daemon[len(kind):]
        return os.path.join(self.dir, below, file)

    def homes(self, daemon):
        """Its directories."""
        return [self.path(daemon)]

    def directories_amiss(self):
        return []

    def log_of(self, daemon):
        return os.path.join(self.dir, "log", daemon + ".log")

    # --- asking ---
    def run(self, *args, input=None, check=True, timeout=120, env=None):
        run = subprocess.run([QUERN] + list(args), env=dict(self.env, **(env or {})), input=input, capture_output=True, timeout=timeout)
        if check and run.returncode != 0:
            raise AssertionError(f"quern {' '.join(args)}: exit {run.returncode}\n{run.stdout.decode(errors='replace')}"
                                 f"{run.stderr.decode(errors='replace')}")
        return run

    def save_namespace(self):
        self.run("admin", "-safemode", "enter")
        self.run("admin", "-saveNamespace")
        self.run("admin", "-safemode", "leave")

    def fs(self, *args, **kw):
        return self.run("fs", *args, **kw)

    def start(self, *args, env=None):
        return subprocess.Popen([QUERN] + list(args), env=dict(self.env, **(env or {})), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def jobs(self, all=True):
        run = self.run("job", "-list", *(["all"] if all else []), "--json")
        return json.loads(run.stdout)["jobs"]

    def page_address(self, daemon):
        log = open(os.path.join(self.dir, "log", daemon + ".log")).read()
        return re.findall(r"status pages at http://([\d.:]+)/", log)[-1]

    def page(self, daemon, path):
        with urllib.request.urlopen(f"http://{self.page_address(daemon)}{path}", timeout=20) as answer:
            return answer.read().decode()

    def status(self, job):
        return json.loads(self.run("job", "-status", str(job), "--json").stdout)

    def model(self, *args, seed=1, seconds=5, writers=3, env=None, **kw):
        """A client that knows every byte it wrote, at work (model_client.c); verdict() hears its end."""
        words = [MODEL, "--seed", str(seed), "--seconds", str(seconds), "--writers", str(writers), *args]
        return self.popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)

    def popen(self, words, env=None, **kw):
        return subprocess.Popen(words, env=dict(self.env, **(env or {})), **kw)


def verdict(run, fails=False):
    """What a model client that has ended says; with `fails` calls may have failed, but never lied."""
    out, _ = run.communicate(timeout=300)
    assert "nothing violated" in out, out
    assert fails or " 0 calls failed" in out, out
    assert run.returncode == 0, out
    return out


def count_words(texts):
    """What wordcount must say: words as isspace separates them, counted in bytes."""
    counts = {}
    for text in texts:
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
    return b"".join(b"%s\t%d\n" % (w, counts[w]) for w in sorted(counts))


def output_of(cluster, path):
    """A job's output: lines of all parts, sorted."""
    return b"".join(sorted(cluster.fs("-cat", path + "/part-*").stdout.splitlines(keepends=True)))


class ToldWriter:
    """A file that is written call by call, as it is told (told_writer.c)."""

    def __init__(self, cluster, path, env=None, append=False):
        self.run = cluster.popen([os.path.join(BUILD, "tests", "cluster", "told_writer"), *["-append"][:append], path], env=env,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.length = 0
        self.hear()

    def hear(self):
        answer = self.run.stdout.readline()
        assert answer.startswith("ok "), answer or "the writer is gone"
        self.length = int(answer.split()[1])

    def tell(self, *calls):
        for call in calls:
            self.say(call)
            self.hear()

    def say(self, call):
        self.run.stdin.write(call + "\n")
        self.run.stdin.flush()

    def close(self):
        self.tell("close")
        self.run.stdin.close()
        assert self.run.wait(30) == 0

    @staticmethod
    def bytes(length):
        """What the first `length` bytes of its file are."""
        whole = bytearray()
        row = bytes(i * 31 % 251 for i in range(256 + 251))
        first = {row[i]: i for i in range(250, -1, -1)}
        for start in range(0, length, 256):  # 256 bytes go on from where in the row their first one is
            at = first[(start * 31 + start // 256) % 251]
            whole += row[at:at + 256]
        return bytes(whole[:length])
