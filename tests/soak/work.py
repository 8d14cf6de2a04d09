# SPDX-License-Identifier: Apache-2.0
"""work: what users do while things break, and what they must be told. Three of them at once:

    a model client   creates, flushes, reads, renames, deletes, and knows every byte (tests/cluster/model_client.c)
    puts             by the shell, slow and quick ones, some renamed, appended to, cut; read back at once and at the end
    jobs             wordcount, grep, sort, distinct over real text; each answer compared with coreutils'

A call may fail when daemons are gone; then all of it or nothing has happened. It may never lie, and never hang."""
import os
import random
import select
import shutil
import subprocess
import threading
import time

from world import QUERN, verdict

TEXT_BYTES = 5_000_000
LIMIT_S = 150  # one command, however much breaks under it
NO_CLUSTER = 75
OUTPUTS_MAX = 8  # at a time: the disks are small, and a quick machine does a hundred jobs a round
PATTERN = "[a-z]+_t[^a-z]"
JOBS = {
    "wordcount": (["-reduces", "3"], "tr -s ' \\t\\n\\v\\f\\r' '\\n' < {0} | grep -av '^$' | sort | uniq -c | awk '{{ print $2 \"\\t\" $1 }}' | sort"),
    "grep": (["-D", "grep.pattern=" + PATTERN], "grep -aoE '" + PATTERN + "' {0} | sort | uniq -c | sed -E 's/^ *([0-9]+) (.*)$/\\2\\t\\1/' | sort"),
    "sort": (["-reduces", "4"], "sort {0}"),
    "distinct": (["-reduces", "2"], "sort -u {0}"),
}


def is_refused(run):
    """The job was not taken: nobody was there, or the jobtracker's disk is full, where its program should go."""
    return run.returncode == NO_CLUSTER or (run.returncode == 1 and b"/jobs/blobs/" in run.stderr and b"No space left on device" in run.stderr)


class Text:
    """Real text, and what coreutils say of it."""

    def __init__(self, directory):
        self.path, size = os.path.join(directory, "text"), 0
        with open(self.path, "wb") as out:
            for base, dirs, names in os.walk("/usr/include"):
                dirs.sort()
                for name in sorted(names):
                    path = os.path.join(base, name)
                    if size < TEXT_BYTES and name.endswith(".h") and not os.path.islink(path):
                        text = open(path, "rb").read()
                        size += out.write(text if text.endswith(b"\n") else text + b"\n")
        self.bytes = open(self.path, "rb").read()
        self.answers = {job: self.shell(line.format(self.path)) for job, (_, line) in JOBS.items()}

    @staticmethod
    def shell(line):
        return subprocess.run(["bash", "-c", line], env=dict(os.environ, LC_ALL="C"), capture_output=True, check=True).stdout


def where_it_is(pid):
    """What a process that hangs is doing, thread by thread."""
    found = []
    for task in sorted(os.listdir(f"/proc/{pid}/task") if os.path.isdir(f"/proc/{pid}/task") else []):
        for what in ("comm", "wchan", "syscall", "stack"):
            try:
                found.append(f"{task} {what}: {open(f'/proc/{pid}/task/{task}/{what}').read().strip()}")
            except OSError:
                pass
    if shutil.which("gdb"):
        run = subprocess.run(["gdb", "-p", str(pid), "-batch", "-ex", "thread apply all bt 20"], capture_output=True, text=True, timeout=60)
        found.append(run.stdout[-6000:])
    return "\n".join(found)


class Wrong(Exception):
    """The cluster has lied, lost something, or hangs."""


class Work:
    """files: what must be there at the end, {path: bytes}; maybe: {path: bytes} of puts that failed or
    were killed, there whole or not at all; between: {path: (least, most)} of files whose end was being
    changed; outputs: {directory: job} of those that succeeded."""

    def __init__(self, world, text, say):
        self.world, self.text, self.say = world, text, say
        self.files, self.maybe, self.between, self.outputs, self.wrong = {}, {}, {}, {}, None
        self.counts = dict(puts=0, refused=0, appends=0, cuts=0, jobs=0, retried=0)

    def ask(self, *words, **kw):
        try:
            return self.world.run(*words, check=False, timeout=LIMIT_S, **kw)
        except subprocess.TimeoutExpired as e:
            raise Wrong(f"quern {' '.join(words)} has not ended within {LIMIT_S} s") from e

    def during(self, seed, seconds, nemesis):
        """Run `nemesis` here and the work beside it; what went wrong is raised in the end."""
        self.ends = time.monotonic() + seconds
        record = os.path.join(self.world.dir, f"record-{seed.replace('/', '-')}")
        number = abs(int(seed.split("/")[0])) * 100 + int(seed.split("/")[1])
        # killed daemons make failed calls; the model's own rules about those are what is tried
        model = self.world.model("--errors-ok", "--record", record, "--max-bytes", "2500000", seed=number, seconds=int(seconds), writers=2)
        threads = [threading.Thread(target=self.guard, args=(what, random.Random(f"{what.__name__} {seed}")), daemon=True)
                   for what in (self.puts, self.jobs)]
        for t in threads:
            t.start()
        try:
            nemesis(lambda: self.wrong)
        finally:
            self.ends = 0
            for t in threads:
                t.join(LIMIT_S * 3)
        if any(t.is_alive() for t in threads):
            self.wrong = self.wrong or Wrong(f"a put or a job has not ended within {LIMIT_S * 3} s")
        if self.wrong:
            model.kill()
            raise self.wrong
        try:
            self.say("model: " + verdict(model, fails=True).strip().splitlines()[-1])
        except subprocess.TimeoutExpired as e:
            model.kill()
            raise Wrong("the model client has not ended") from e
        return record

    def guard(self, what, dice):
        try:
            number = 0
            while time.monotonic() < self.ends and not self.wrong:
                what(dice, number)
                number += 1
        except Exception as e:  # to the thread that waits
            self.wrong = self.wrong or e

    # --- puts ---
    def puts(self, dice, number):
        path = f"/puts/{dice.randrange(1 << 40):010x}"
        data = dice.randbytes(dice.choice([0, 1, 511, 70_000, 1_048_576, dice.randrange(3_000_000)]))
        slow = dice.random() < 0.3
        self.counts["puts"] += 1
        code, words = self.feed("-put", path, data, slow, dice)
        if code == 0:
            self.files[path] = data
        else:
            self.counts["refused"] += 1
            self.say(f"put {path}: exit {code}: {words.strip()[-200:]}")
            self.maybe[path] = data
            return
        if dice.random() < 0.3:
            self.rename(path, path + "-renamed")
        if dice.random() < 0.3 and self.files:
            self.append(dice.choice(sorted(self.files)), dice)
        if dice.random() < 0.2 and self.files:
            self.cut(dice.choice(sorted(self.files)), dice)
        if dice.random() < 0.5 and self.files:
            self.look(dice.choice(sorted(self.files)))

    def append(self, path, dice):
        data, more = self.files.pop(path), dice.randbytes(dice.choice([1, 600, 1_200_000]))
        code, words = self.feed("-appendToFile", path, more, dice.random() < 0.3, dice)
        self.counts["appends"] += 1
        if code == 0:
            self.files[path] = data + more
        else:
            self.say(f"append to {path}: exit {code}: {words.strip()[-200:]}")
            self.between[path] = (data, data + more)

    def cut(self, path, dice):
        data = self.files.pop(path)
        to = dice.randrange(len(data) + 1)
        run = self.ask("fs", "-truncate", "-w", str(to), path)
        self.counts["cuts"] += 1
        if run.returncode == 0:
            self.files[path] = data[:to]
        else:
            self.say(f"truncate {path}: exit {run.returncode}: {run.stderr.decode(errors='replace').strip()[-200:]}")
            self.between[path] = (data[:to], data)

    def feed(self, how, path, data, slow, dice):
        put = self.world.popen([QUERN, "fs", how, "-", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            for at in range(0, len(data), 300_000) if slow else []:
                self.give(put, data[at:at + 300_000])
                time.sleep(dice.uniform(0, 0.5))
            _, words = put.communicate(input=None if slow else data, timeout=LIMIT_S)
        except BrokenPipeError:
            put.stdin = None
            _, words = put.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired as e:
            self.say(f"{how} of {path} hangs:\n{where_it_is(put.pid)}")
            put.kill()
            raise Wrong(f"{how} of {path} has not ended within {LIMIT_S} s") from e
        return put.returncode, words.decode(errors="replace")

    @staticmethod
    def give(put, piece):
        """Into its standard input, which it reads or closes in time."""
        fd, end = put.stdin.fileno(), time.monotonic() + LIMIT_S
        os.set_blocking(fd, False)
        while piece:
            if not select.select([], [fd], [], max(0, end - time.monotonic()))[1]:
                raise subprocess.TimeoutExpired(put.args, LIMIT_S)
            piece = piece[os.write(fd, piece):]
        os.set_blocking(fd, True)

    def rename(self, old, new):
        run = self.ask("fs", "-mv", old, new)
        data = self.files.pop(old)
        if run.returncode == 0:
            self.files[new] = data
        else:  # either name, but whole; settled when all is well again
            self.maybe[old] = self.maybe[new] = data

    def look(self, path):
        """Reading may fail now; what is read in full must be right."""
        run = self.ask("fs", "-cat", path)
        if run.returncode == 0 and run.stdout != self.files[path]:
            raise Wrong(f"{path}: {len(run.stdout)} bytes were read that are not the {len(self.files[path])} written")
        if run.returncode != 0 and not self.files[path].startswith(run.stdout):
            raise Wrong(f"{path}: wrong bytes before the error {run.stderr[-200:]}")

    # --- jobs ---
    def jobs(self, dice, number):
        name, out = dice.choice(sorted(JOBS)), f"/out/{dice.randrange(1 << 40):010x}"
        words = ["run", "-D", "mapreduce.input.fileinputformat.split.maxsize=%dk" % dice.choice([300, 700, 5000])]
        self.counts["jobs"] += 1
        run, retried = None, 0
        while time.monotonic() < self.ends or run is None:
            run = self.ask(*words, *JOBS[name][0], name, "/in/text", out)
            if not is_refused(run):
                break
            retried += 1
            time.sleep(0.2)
        self.counts["retried"] += retried
        if is_refused(run):
            return
        # nobody could say what became of an earlier try: it has succeeded
        is_earlier = retried and b"exists already" in run.stderr
        if run.returncode != 0 and not is_earlier:
            raise Wrong(f"{name} to {out}: exit {run.returncode}: {(run.stdout + run.stderr).decode(errors='replace')[-1500:]}")
        self.outputs[out] = name
        if len(self.outputs) > OUTPUTS_MAX:
            self.forget_job(next(iter(self.outputs)))

    def forget_job(self, out):
        """Looked at once more, if that can be done now, and deleted."""
        run = self.ask("fs", "-cat", out + "/part-*")
        if run.returncode == 0:
            self.compare(out, self.outputs[out], run)
        if self.ask("fs", "-rm", "-r", "-skipTrash", out).returncode == 0:
            del self.outputs[out]

    def check(self):
        """Now that nothing breaks any more: everything as it must be. Job outputs go, so that disks do not fill."""
        for path, data in sorted(self.maybe.items()):
            run = self.ask("fs", "-cat", path)
            if run.returncode == 0 and run.stdout != data:
                raise Wrong(f"{path}: a put that failed left {len(run.stdout)} bytes, other than the {len(data)} given")
        for path, (least, most) in sorted(self.between.items()):
            run = self.ask("fs", "-cat", path)
            if run.returncode != 0 or not run.stdout.startswith(least) or not most.startswith(run.stdout):
                raise Wrong(f"{path}: a change of its end that failed left {len(run.stdout)} bytes, not {len(least)} to {len(most)} of those given: "
                            f"exit {run.returncode}: {run.stderr[-300:]}")
        for path, data in sorted(self.files.items()):
            self.check_file(path, data)
        for out, name in sorted(self.outputs.items()):
            self.check_job(out, name)
        self.ask("fs", "-rm", "-r", "-f", "/puts/*", "/out/*", "/model/*")
        for known in (self.files, self.maybe, self.between, self.outputs):
            known.clear()

    def check_file(self, path, data):
        run = self.ask("fs", "-cat", path)
        if run.returncode != 0 or run.stdout != data:
            raise Wrong(f"{path}: cat exit {run.returncode}, {len(run.stdout)} bytes of {len(data)}: {run.stderr[-300:]}")

    def check_job(self, out, name):
        run = self.ask("fs", "-cat", out + "/part-*")
        if run.returncode != 0:
            raise Wrong(f"{name} in {out}: exit {run.returncode}: {run.stderr[-300:]}")
        self.compare(out, name, run)

    def compare(self, out, name, run):
        got, want = sorted(run.stdout.splitlines()), sorted(self.text.answers[name].splitlines())
        if got != want:
            raise Wrong(f"{name} in {out}: {len(got)} lines instead of {len(want)}, exit {run.returncode}: {run.stderr[-300:]}")
