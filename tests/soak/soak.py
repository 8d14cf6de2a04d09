#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""soak: random faults on real processes, under users who know what they must be told, until the time is up.

    make soak MINUTES=10             fresh seeds
    make soak MINUTES=10 SEED=77     that seed first: it has the same schedule again
    tests/soak/soak.py --show 77     what happens when, without doing it

A seed is a world (schedule.py): a cluster, and rounds. In each round daemons are killed and stopped, disks
fill, bytes rot, cables are pulled, directories and datanodes come and go (faults.py) under a model client, puts,
appends and jobs (work.py). Then all is
undone, and within a bound all must be well (tests/cluster/heal.py). A seed that fails is told, with the directory that
keeps its logs and data. Ends with "N passed, N failed": rounds."""
import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "cluster"))
import nodes  # noqa: E402
import schedule  # noqa: E402
import world as worlds  # noqa: E402
from faults import Faults  # noqa: E402
from heal import Healing  # noqa: E402
from work import Text, Work, Wrong  # noqa: E402


class Diary:
    """What happened when, on disk and, if wanted, on the screen."""

    def __init__(self, path, loud):
        self.file, self.loud, self.start = open(path, "a"), loud, time.monotonic()

    def say(self, words):
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - self.start:7.2f} {words}"
        print(line, file=self.file, flush=True)
        if self.loud:
            print(line, flush=True)


def nemesis(faults, events, seconds, say):
    """The schedule, event by event; who fell over an armed point is started again."""
    def run(is_wrong):
        start, left = time.monotonic(), list(events)
        while (left or time.monotonic() < start + seconds) and not is_wrong():
            if left and time.monotonic() >= start + left[0].at_s:
                event = left.pop(0)
                say(f"{event.what} {event.target} {event.arg}")
                faults.do(event)
            elif not left or left[0].at_s - (time.monotonic() - start) > 0.3:
                time.sleep(0.3)
                faults.revive()
            else:
                time.sleep(0.02)
        faults.calm()
    return run


def play(seed, plan, text, diary):
    """All rounds of one seed; gives how many were well, and the failure or None."""
    world = worlds.make(plan)
    done = 0
    try:
        world.up()
        world.fs("-mkdir", "-p", "/in", "/puts", "/out", "/model")
        world.fs("-put", "-", "/in/text", input=text.bytes)
        faults, healing, work = Faults(world, diary.say), Healing(world, diary.say, plan.patience == "shipped"), Work(world, text, diary.say)
        for number, (seconds, events) in enumerate(plan.rounds):
            diary.say(f"round {number}: {len(events)} events in {seconds:.0f} s")
            faults.may_be_dead.clear()
            record = work.during(f"{seed}/{number}", seconds, nemesis(faults, events, seconds, diary.say))
            healing.wait()
            check(world, record)
            work.check()
            healing.wait()
            done += 1
            diary.say(f"round {number}: well; {work.counts}")
        return done, None
    except Exception as e:  # told, kept, and the next seed has its turn
        diary.say(traceback.format_exc())
        keep(world, diary)
        return done, e
    finally:
        world.destroy()


def check(world, record):
    run = world.popen([worlds.MODEL, "--check", record], stdout=worlds.PIPE, stderr=worlds.STDOUT, text=True)
    out, _ = run.communicate(timeout=120)
    if run.returncode != 0:
        raise Wrong(f"the model's files at the end: {out[-1500:]}")


def keep(world, diary):
    """Logs and what lies on the disks, out of reach of the world's end."""
    where = os.path.join(os.path.dirname(diary.file.name), "kept")
    fsck = world.run("fsck", "/", "-files", "-blocks", "-locations", "-openforwrite", check=False)
    for name in world.names if hasattr(world, "names") else [""]:
        source = world.root(name) if name else world.dir
        try:
            shutil.copytree(source, os.path.join(where, name), symlinks=True, dirs_exist_ok=True,
                            ignore=lambda base, names: [n for n in names if n == "ballast" or n.endswith((".sock", ".data"))])
        except shutil.Error as e:
            diary.say(f"gone while it was copied: {len(e.args[0])} files")
    with open(os.path.join(where, "fsck"), "wb") as f:
        f.write(fsck.stdout + fsck.stderr)


def show(plan):
    print(f"seed {plan.seed}: {plan.shape}, {plan.datanodes} datanodes, {plan.patience} time-outs")
    for number, (seconds, events) in enumerate(plan.rounds):
        print(f"round {number}, {seconds:.0f} s")
        for e in events:
            print(f"  {e.at_s:6.2f}  {e.what} {e.target} {e.arg}")


def main():
    parser = argparse.ArgumentParser(usage="soak.py --minutes N [--seed S] [--once] [--loud] | --show S")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--once", action="store_true", help="only this seed")
    parser.add_argument("--loud", action="store_true")
    parser.add_argument("--show", type=int)
    args = parser.parse_args()
    reason = nodes.why_not()
    if args.show is not None:
        return show(schedule.Plan(args.show, reason is None))
    if reason:
        print(f"no machines of their own, so no cut cables and no full disks: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its time"))  # no daemon stays behind
    base = tempfile.mkdtemp(prefix="quern-soak-", dir=os.environ.get("TMPDIR", "/tmp"))
    os.environ["TMPDIR"] = base
    text = Text(base)
    end, passed, failed = time.monotonic() + 60 * args.minutes, 0, 0
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "little")
    while True:
        plan = schedule.Plan(seed, reason is None)
        home = os.path.join(base, str(seed))
        os.mkdir(home)
        diary = Diary(os.path.join(home, "diary"), args.loud)
        done, why = play(seed, plan, text, diary)
        passed, failed = passed + done, failed + (why is not None)
        if why:
            print(f"FAILED: make soak SEED={seed}  ({plan.shape}, {plan.patience} time-outs, round {done}); kept in {home}\n  {why}", flush=True)
        else:
            print(f"ok: seed {seed}, {done} rounds", flush=True)
            shutil.rmtree(home)
        seed += 1
        if args.once or time.monotonic() > end:
            break
    if not failed:
        shutil.rmtree(base)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
