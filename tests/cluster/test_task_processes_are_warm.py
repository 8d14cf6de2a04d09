# SPDX-License-Identifier: Apache-2.0
"""A process serves task after task of one job, each as if it were the first in it; blank ones wait for the next job; none is
shared by two jobs, and none that saw a failure is used again."""
import os
import re
import signal

import pytest

from cluster import BUILD, Cluster, output_of, wait_for

LITTER = os.path.join(BUILD, "tests", "jobs", "litter.so")


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
    assert len(set(processes(cluster, "/many"))) <= 2


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


def test_memory_that_tasks_leave_behind_is_not_the_next_ones(cluster):
    assert len(set(processes(cluster, "/greedy", "-D", "litter.bytes=100000000"))) == 12


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
