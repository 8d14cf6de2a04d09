# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""Disks of workers, of which each has two: map outputs that rot, shrink or go between map and reduce; a directory that is full, that
becomes read-only, or that vanishes while tasks run. The job ends with the right answer, and maps whose output was spoilt ran again."""
import fcntl
import glob
import os
import random
import re
import shutil
import signal
import struct
import subprocess

import pytest

from cluster import BUILD, Cluster, output_of, wait_for

SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
LINES = [b"%032x\n" % random.Random(i).getrandbits(128) for i in range(330_000)]
MISBEHAVE = os.path.join(BUILD, "tests", "jobs", "misbehave.so")
WANT = b"".join(sorted(LINES))
TEXT = [b"%08d of what is said again and again\n" % (i * 7919 % 100_003) for i in range(80_000)]
WORDS = b"".join(sorted(TEXT))
# Reduces begin only when the first map, which sleeps, is done. Workers have no memory for map outputs: all of them are files, whoever makes them.
SETTINGS = ["-D", "mapreduce.map.memory.mb=16m", "-D", "mapreduce.reduce.memory.mb=16m", "-D", "mapreduce.map.speculative=false",
            "-D", "mapreduce.job.reduce.slowstart.completedmaps=1", "-D", "mapreduce.input.fileinputformat.split.maxsize=600k"]
WAITS = ["-D", "sluggish.map=60000", "-D", "sluggish.which=first"]
DEEP = "deep/" * 25  # outputs are sent by the network: their socket's path would be too long
MAY_MOUNT = os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


class Workers(Cluster):
    """Its workers are started here: with two directories each, and little memory."""
    def begin(self, mount=None, deep="", fault=""):
        """One of the four directories is mounted like this, or all: in memory, or (disk) with a filesystem of its own. All processes of the
        first worker have the fault."""
        self.own, self.deep = [], deep
        for name in "worker1", "worker2":
            if self.pid(name):
                self.kill(name)
        for n in 1, 2:
            dirs = [f"{self.dir}/own/{n}/{deep}{d}" for d in "ab"]
            words = [os.path.join(BUILD, "quern-worker"), "-conf", f"{self.dir}/conf/worker{n}.conf", "-D", "worker.memory=33m", "-D", "worker.cores=2",
                     "-D", "worker.output.memory=1m",
                     "-D", "worker.local.dir=" + ",".join(dirs)]
            for dir in dirs:
                os.makedirs(dir, exist_ok=True)
            if mount and (n == 1 or "all" in mount):
                places = dirs if "all" in mount else dirs[:1]
                how = [f"truncate -s 200M {dir}.disk && mkfs.ext4 -q {dir}.disk && mount -o loop {dir}.disk {dir} && rm -r {dir}/lost+found && "
                       if "disk" in mount else f"mount -t tmpfs -o {mount.split()[-1]} t {dir} && " for dir in places]
                words = ["unshare", "-m", "sh", "-c", "".join(how) + "exec \"$@\"", "sh"] + words
            env = {**os.environ, "QUERN_FAULT": fault} if fault and n == 1 else None
            self.own.append(subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        wait_for(lambda: all(os.path.exists(self.seen(n) + "b/VERSION") for n in (1, 2)))  # registered, and told whose cluster it is

    def seen(self, n):
        """Where the n-th worker's directories are, as it sees them."""
        return f"/proc/{self.own[n - 1].pid}/root{self.dir}/own/{n}/{self.deep}"

    def end(self):
        for worker in self.own:
            worker.kill()
            worker.wait()
        shutil.rmtree(f"{self.dir}/own", ignore_errors=True)


@pytest.fixture(scope="module")
def cluster():
    with Workers(datanodes=1, workers=2) as c:
        c.fs("-put", "-", "/in", input=b"".join(LINES))
        c.fs("-put", "-", "/words", input=b"".join(TEXT))
        c.fs("-put", "-", "/now", input=b"now\n")
        yield c


@pytest.fixture()
def workers(cluster, request):
    cluster.begin(getattr(request, "param", None))
    yield cluster
    cluster.end()


def submit(c, name, *options, text="/in"):
    return c.run("run", "-detach", "-reduces", "3", *SETTINGS, *options, SLUGGISH, text, "/out/" + name).stdout.decode().strip()


def finish(c, job, name, want=WANT):
    wait = c.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 0, wait.stderr.decode()
    assert output_of(c, "/out/" + name) == want
    return c.status(job)


def flip(path):
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)[0]
        f.seek(-1, 1)
        f.write(bytes([byte ^ 4]))


DAMAGE = {
    "rotten": flip,
    "torn": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "empty": lambda path: os.truncate(path, 0),
    "deleted": os.unlink,
}


def sleeper(c, job):
    """The process of map 0's first attempt: the one that writes its log."""
    def logs():
        return [path for n in (1, 2) for path in glob.glob(f"{c.seen(n)}*/logs/{job}/*_m_000000_0.log")]
    wait_for(logs)  # it gets its name once something is in it
    log = logs()[0]
    for worker in c.own:
        for pid in subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True).stdout.split():
            if os.path.samefile(f"/proc/{pid}/fd/1", log):
                return int(pid)
    raise AssertionError("nobody sleeps")


def wake(c, job):
    os.kill(sleeper(c, job), 9)  # its second attempt does not sleep


@pytest.mark.parametrize("damage", DAMAGE)
def test_map_outputs_are_damaged_before_they_are_fetched(workers, damage):
    job = submit(workers, damage, *WAITS)
    maps = workers.status(job)["stages"][0]["tasks"]
    wait_for(lambda: workers.status(job)["stages"][0]["done"] == maps - 1)
    runs = [p for p in glob.glob(f"{workers.dir}/own/*/*/jobs/*/*/*") if os.path.getsize(p)]
    assert len(runs) >= 2
    runs = runs[:3]  # a reduce that meets one after the other gives up in the end
    for path in runs:
        DAMAGE[damage](path)
    wake(workers, job)
    status = finish(workers, job, damage)
    if damage != "deleted":  # the worker reads on from what it has open
        assert status["stages"][0]["killed_attempts"] >= len(runs), "maps whose output was damaged run again"
        found = {f["code"]: f["says"] for f in status["findings"]}
        assert re.search("^[0-9]+ finished maps ran again: what they had made could not be read from node[12]$", found["FETCH_FAIL"])


def test_one_bad_output_is_made_again_and_no_other(cluster):
    """They are sent by the network, one behind the other."""
    cluster.begin(deep=DEEP)
    try:
        job = submit(cluster, "one-bad", *WAITS)
        maps = cluster.status(job)["stages"][0]["tasks"]
        wait_for(lambda: cluster.status(job)["stages"][0]["done"] == maps - 1)
        flip(next(p for p in glob.glob(f"{cluster.seen(1)}*/jobs/*/*/*") if os.path.getsize(p)))
        wake(cluster, job)
        assert finish(cluster, job, "one-bad")["stages"][0]["killed_attempts"] == 1
    finally:
        cluster.end()


def test_a_directory_vanishes_under_running_tasks(workers):
    job = submit(workers, "vanishing", "-D", "sluggish.map=200", "-D", "mapreduce.map.maxattempts=8")
    wait_for(lambda: workers.status(job)["stages"][0]["done"] >= 2)
    shutil.rmtree(f"{workers.dir}/own/1/a")
    finish(workers, job, "vanishing")
    assert workers.own[0].poll() is None
    finish(workers, submit(workers, "after"), "after")


def test_a_worker_with_one_directory_left_goes_on_there_before_its_first_task(workers):
    shutil.rmtree(f"{workers.dir}/own/1/a")
    open(f"{workers.dir}/own/1/a", "w").close()
    status = finish(workers, submit(workers, "one-left"), "one-left")
    assert sum(stage["killed_attempts"] + stage["failed_attempts"] for stage in status["stages"]) == 0


def test_a_worker_without_any_directory_gets_no_tasks_and_is_told(workers):
    """It would fail one after the other at once, and look as if it had room for all that waits."""
    for dir in "ab":
        shutil.rmtree(f"{workers.dir}/own/1/{dir}")
        open(f"{workers.dir}/own/1/{dir}", "w").close()
    status = finish(workers, submit(workers, "homeless"), "homeless")
    assert sum(stage["killed_attempts"] for stage in status["stages"]) <= 4, "what two cores had been ordered to begin, and no more"
    listed = workers.run("job", "-workers").stdout.decode()
    assert re.search(r"^node1 +excluded ", listed, re.M), listed
    assert "node1 gets no tasks: none of its local directories is usable" in listed
    after = finish(workers, submit(workers, "homeless-too"), "homeless-too")
    assert sum(stage["killed_attempts"] + stage["failed_attempts"] for stage in after["stages"]) == 0


@pytest.mark.skipif(not MAY_MOUNT, reason="needs to mount")
@pytest.mark.parametrize("workers", ["size=300k"], indirect=True)
def test_a_full_directory_beside_a_good_one(workers):
    finish(workers, submit(workers, "full", "-D", "mapreduce.map.maxattempts=1"), "full")


@pytest.mark.skipif(not MAY_MOUNT, reason="needs to mount")
@pytest.mark.parametrize("workers", ["all size=3m"], indirect=True)
def test_all_directories_are_full(workers):
    """A job that needs more room than there is says where; one that does not is served."""
    job = submit(workers, "nowhere", "-D", "mapreduce.input.fileinputformat.split.maxsize=1g")
    wait = workers.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 1
    assert re.search(r"no local directory is usable \(/.*/own/./[ab]/jobs/job_.*: No space left on device\): free space, or set worker.local.dir\n",
                     wait.stderr.decode())
    assert all(worker.poll() is None for worker in workers.own)
    workers.run("run", "wordcount", "/now", "/out/little", timeout=120)
    assert output_of(workers, "/out/little") == b"now\t1\n"


def cut(dir):
    """From now on its disk answers every read and write with an error."""
    at = os.open(dir, os.O_RDONLY)
    fcntl.ioctl(at, 0x8004587D, struct.pack("I", 2))  # FS_IOC_SHUTDOWN
    os.close(at)


def stopped(worker):
    """Its task processes that stand at a fault point."""
    pids = subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in pids if os.path.exists(f"/proc/{pid}") and open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "T"]


@pytest.mark.skipif(not MAY_MOUNT or not shutil.which("mkfs.ext4"), reason="needs to mount")
@pytest.mark.parametrize("which", ["a", "b", "ab"])
def test_a_disk_gives_errors_in_the_middle_of_a_map(cluster, which):
    """Nothing can be read or written there any more, spills of the task neither: it is done again, in another directory or by the other worker."""
    try:
        cluster.begin(mount="disk all", fault="task.spill=3:stop")
        name = f"errors-{which}"
        options = "-D", "mapreduce.input.fileinputformat.split.maxsize=4m", "-D", "mapreduce.task.io.sort.mb=1m"
        job = submit(cluster, name, *options)
        struck = []

        def is_over():
            pids = stopped(cluster.own[0])
            for dir in which if pids and not struck else "":
                cut(cluster.seen(1) + dir)
                struck.append(dir)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            return cluster.status(job)["state"] > 2
        wait_for(is_over)
        status = finish(cluster, job, name)
        assert struck and status["stages"][0]["failed_attempts"] > 0 and cluster.own[0].poll() is None
    finally:
        cluster.end()


@pytest.mark.skipif(not MAY_MOUNT or not shutil.which("mkfs.ext4"), reason="needs to mount")
@pytest.mark.parametrize("dirs", [1, 2])
@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_a_disk_gives_errors_when_map_outputs_are_fetched_from_it(cluster, far, dirs):
    """The reduce reads there itself, or the worker does for it, as for another node."""
    try:
        cluster.begin(mount="disk all", deep=DEEP if far else "")
        name = f"unreadable-{dirs}-{far}"
        job = submit(cluster, name, *WAITS)
        maps = cluster.status(job)["stages"][0]["tasks"]
        wait_for(lambda: cluster.status(job)["stages"][0]["done"] == maps - 1)
        held = {dir: len([p for p in glob.glob(f"{cluster.seen(1)}{dir}/jobs/*/*/*") if os.path.getsize(p)]) for dir in "ab"}
        struck = sorted(held, key=held.get)[-dirs:]
        for dir in struck:
            cut(cluster.seen(1) + dir)
        wake(cluster, job)
        status = finish(cluster, job, name)
        assert status["stages"][0]["killed_attempts"] >= sum(held[dir] for dir in struck) > 0
        found = {f["code"]: f["says"] for f in status["findings"]}
        assert re.search("^[0-9]+ finished maps ran again: what they had made could not be read from node1$", found["FETCH_FAIL"])
        assert cluster.own[0].poll() is None
    finally:
        cluster.end()


@pytest.mark.skipif(not MAY_MOUNT, reason="needs to mount")
@pytest.mark.parametrize("workers", ["all size=60m"], indirect=True)
def test_a_task_fills_its_directory(workers):
    """What it has written ends with it."""
    workers.run("run", "-D", "misbehave.how=fill", *SETTINGS, MISBEHAVE, "/now", "/out/fills")
    assert b"full=1" in workers.run("job", "-counter", str(max(j["id"]["job"] for j in workers.jobs()))).stdout
    wait_for(lambda: not any(glob.glob(f"/proc/{w.pid}/root{workers.dir}/own/*/*/jobs/*/*/much") for w in workers.own))
    finish(workers, submit(workers, "filled", "-D", "mapreduce.map.maxattempts=1"), "filled")


@pytest.mark.skipif(not MAY_MOUNT, reason="needs to mount")
@pytest.mark.parametrize("workers", ["size=30m"], indirect=True)
def test_a_directory_becomes_read_only_under_running_tasks(workers):
    job = submit(workers, "readonly", "-D", "sluggish.map=200", "-D", "mapreduce.map.maxattempts=8")
    wait_for(lambda: workers.status(job)["stages"][0]["done"] >= 2)
    dir = f"{workers.dir}/own/1/a"
    script = f"mount --bind {dir} {dir} && mount -o remount,ro,bind {dir}"
    subprocess.run(["nsenter", "-t", str(workers.own[0].pid), "-m", "sh", "-c", script], check=True)
    finish(workers, job, "readonly")
    finish(workers, submit(workers, "again"), "again")
    assert workers.own[0].poll() is None


PACK = "mapreduce.map.output.compress"


@pytest.mark.parametrize("far", [False, True], ids=["near", "far"])
def test_runs_packed_or_not_give_the_same_and_take_their_room(cluster, far):
    cluster.begin(deep="deep/" * 25 if far else "")
    try:
        stored = {}
        for say in "false", "true", "auto":
            name = f"{say}-{far}"
            job = submit(cluster, name, "-D", f"{PACK}={say}", "-D", "mapreduce.task.io.sort.mb=1m", text="/words")
            account = finish(cluster, job, name, WORDS)["stages"][0]["account"]
            stored[say] = account["run_bytes"] + account["spilled_bytes"]
        assert stored["true"] < .7 * stored["false"] and stored["true"] <= stored["auto"] <= stored["false"]
    finally:
        cluster.end()
