# SPDX-License-Identifier: Apache-2.0
"""A process serves task after task of one job, each as if it were the first in it; blank ones wait for the next job; none is
shared by two jobs, and none that saw a failure is used again."""
import json
import os
import random
import re
import signal
import threading

import pytest

from cluster import BUILD, Cluster, output_of, tree_of, wait_for

LITTER = os.path.join(BUILD, "tests", "jobs", "litter.so")
BRIEF = os.path.join(BUILD, "tests", "jobs", "brief.so")
ROWS = 600


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=1, workers=1)
    with open(c.dir + "/site.conf", "w", encoding="ascii") as f:
        f.write("worker.cores = 2\nworker.runners.blank = 2\n")
    with c:
        yield c


def processes(c, out, *options, tasks=12):
    """Of each task of a job the process it ran in."""
    c.run("run", "-D", f"litter.rows={tasks}", "-D", f"mapreduce.job.maps={tasks}", "-D", "mapreduce.map.memory.mb=32m", *options, LITTER, out)
    numbers = [int(line.split()[0]) for line in output_of(c, out).splitlines()]
    assert len(numbers) == tasks
    return numbers


def newest(c):
    return str(max(job["id"]["job"] for job in c.jobs()))


def blank(c):
    """Children of the worker, once there are as many as are to wait, but for the one that makes the others."""
    def look():
        return {pid for pid in children(c) if name_of(pid) == "quern-task"}
    wait_for(lambda: len(look()) == 2)
    return look()


def children(c):
    with open(f"/proc/{c.pid('worker1')}/task/{c.pid('worker1')}/children", encoding="ascii") as f:
        return {int(word) for word in f.read().split()}


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as f:
            return f.read().strip()
    except OSError:
        return ""  # gone


def template(c):
    return [pid for pid in children(c) if name_of(pid) == "quern-template"]


def test_a_process_serves_many_tasks_as_if_each_were_its_first(cluster):
    """On two cores; where a process has yet to say that it is free, one of those that wait is taken instead."""
    assert len(set(processes(cluster, "/many"))) <= 4


def test_the_next_job_takes_the_processes_that_wait_and_no_other(cluster):
    first = processes(cluster, "/first")
    waiting = blank(cluster)
    assert not waiting & set(first), "a process of a job that is over waits for the next"
    assert set(processes(cluster, "/second")) & waiting, "no task ran in a process that waited"


def test_a_process_for_each_task_where_that_is_asked_for(cluster):
    assert len(set(processes(cluster, "/single", "-D", "mapreduce.job.jvm.numtasks=1"))) == 12


def test_a_process_whose_task_failed_is_not_used_again(cluster):
    used = processes(cluster, "/failing", "-D", "litter.fail=3")
    said = cluster.run("job", "-logs", newest(cluster)).stdout.decode()
    failed = {int(number) for number in re.findall(r"failed in process (\d+)", said)}
    assert len(failed) == 3 and not failed & set(used)


@pytest.mark.parametrize("kept", ["litter.bytes=100000000", "litter.files=300"])
def test_memory_and_files_that_tasks_leave_behind_are_not_the_next_ones(cluster, kept):
    assert len(set(processes(cluster, "/" + kept, "-D", kept))) == 12


def test_a_limit_lowered_for_good_is_not_the_next_ones(cluster):
    """It is raised again where one may, else its process ends."""
    processes(cluster, "/limit", "-D", "litter.limit=yes")


def outputs_kept(c):
    """Length by inode of the memory files in which the worker holds, or held, the output of a map."""
    found, files = {}, f"/proc/{c.pid('worker1')}/fd/"
    for fd in os.listdir(files):
        if os.readlink(files + fd).startswith("/memfd:quern-map-output"):
            about = os.stat(files + fd)
            if about.st_size:
                found[about.st_ino] = about.st_size
    return found


def test_memory_of_outputs_is_written_over_by_the_next_job(cluster):
    kept = []
    for name, count in ("long", 80000), ("short", 45000):
        lines = [b"%032x\n" % random.Random(i).getrandbits(128) for i in range(count)]
        cluster.fs("-put", "-", "/in." + name, input=b"".join(lines))
        cluster.run("run", "sort", "/in." + name, "/out." + name)
        assert cluster.fs("-cat", f"/out.{name}/part-*").stdout == b"".join(sorted(lines))
        wait_for(lambda: outputs_kept(cluster))
        kept.append(outputs_kept(cluster))
    again = kept[0].keys() & kept[1].keys()
    assert again and all(kept[1][file] < kept[0][file] for file in again), kept


def test_a_template_that_is_killed_or_stopped_is_made_anew(cluster):
    for how in signal.SIGKILL, signal.SIGSTOP:
        blank(cluster)
        old, = template(cluster)
        os.kill(old, how)
        processes(cluster, f"/template{how}", tasks=2)
        wait_for(lambda: template(cluster) not in ([], [old]))


def test_a_silent_task_has_an_empty_log(cluster):
    processes(cluster, "/silent", tasks=2)
    assert cluster.run("job", "-logs", newest(cluster), "-task", "m1").stdout == b""


# --- many short tasks at once ---

def brief(c, out, *options):
    """Of a job of short tasks, all of whose rows came out: its maps' attempts, in order of tasks."""
    c.run("run", "-D", f"brief.rows={ROWS}", "-D", f"mapreduce.job.maps={ROWS}", "-D", "mapreduce.map.memory.mb=32m", "-D", "mapreduce.job.reduces=1",
          "-D", "mapreduce.map.speculative=false", *options, BRIEF, out)
    assert output_of(c, out).split() == [b"%06d" % row for row in range(ROWS)]
    document = json.loads(c.run("job", "-history", newest(c), "--json").stdout)
    return [task["attempts"] for task in document["stages"][0]["tasks"]]


def waited_in_a_row(attempt):
    """On its node it waits for others to the microsecond, for a core to the millisecond."""
    return attempt["times"]["queue"] % 1000 != 0


def failed(tasks):
    return [n for n, attempts in enumerate(tasks) for a in attempts if a["state"] == "failed"]


def assert_sums(times):
    parts = sum(value for name, value in times.items() if name not in ("total", "queue"))
    assert times["total"] > 0 and abs(times["total"] - parts) <= 2 + times["total"] // 20, times


def given_back(tasks, why):
    return [n for n, attempts in enumerate(tasks) for a in attempts if a["state"] == "killed" and why in a["why"]]


def test_short_tasks_are_given_to_a_process_several_at_a_time(cluster):
    tasks = brief(cluster, "/brief")
    assert sum(waited_in_a_row(attempts[-1]) for attempts in tasks) > ROWS // 4
    for attempts in tasks:
        assert_sums(attempts[-1]["times"])


def test_a_task_that_takes_long_keeps_none_of_its_row_waiting(cluster):
    tasks = brief(cluster, "/long", "-D", "brief.long=100", "-D", "brief.seconds=2")
    long = tasks[100][-1]
    assert given_back(tasks, "takes long"), "nobody stood behind it"
    assert not failed(tasks)
    assert all(attempts[-1]["end_ms"] < long["end_ms"] for n, attempts in enumerate(tasks) if n != 100)


@pytest.mark.parametrize("how", ["crash", "fail"])
def test_whoever_ends_badly_is_charged_alone(cluster, how):
    for turn in range(10):  # it may be the last of its row
        tasks = brief(cluster, f"/{how}.{turn}", "-D", f"brief.{how}=100")
        assert failed(tasks) == [100]
        assert_sums(tasks[100][0]["times"])
        if given_back(tasks, "it stood"):
            return
    pytest.fail("nobody stood behind it")


def test_the_process_of_a_row_is_killed_and_only_the_task_in_hand_is_charged(cluster):
    def cpu(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                return sum(int(word) for word in f.read().rsplit(")", 1)[1].split()[11:13])
        except OSError:
            return 0  # gone

    def at_work():
        """The child of the worker that has used half a second of a processor more than all others."""
        used = sorted((cpu(pid), pid) for pid in children(cluster) if name_of(pid) == "quern-task")
        return used and used[-1][0] - (used[-2][0] if used[1:] else 0) > 50 and used[-1][1]

    killer = threading.Thread(target=lambda: os.kill(wait_for(at_work), signal.SIGKILL))
    killer.start()
    tasks = brief(cluster, "/killed", "-D", "brief.long=100", "-D", "brief.seconds=120")
    killer.join()
    assert failed(tasks) == [100]
    times = tasks[100][0]["times"]
    assert_sums(times)
    assert times["map"] > 400_000, "that is where it was"


def test_an_order_meets_processes_that_have_just_died():
    """The worker stands still while its processes are killed and orders come: what cannot be handed to a dead one is told, and runs again."""
    with Cluster(datanodes=1, workers=1) as c:
        c.run("run", "-D", "sleep.map.ms=1", "sleep", "/first")
        worker = c.pid("worker1")
        for turn in range(12):
            os.kill(worker, signal.SIGSTOP)
            job = c.start("run", "-D", "mapreduce.job.maps=4", "-D", "sleep.rows=4", "-D", "sleep.map.ms=1", "sleep", f"/out{turn}")
            wait_for(lambda: any(stage["running"] for one in c.jobs(all=False) for stage in one["stages"]))
            for pid in tree_of(worker)[2:]:
                os.kill(int(pid), signal.SIGKILL)
            os.kill(worker, signal.SIGCONT)
            job.communicate(timeout=60)
            assert job.returncode == 0
