# SPDX-License-Identifier: Apache-2.0
"""Jobs that crash, loop, leak, exit or cannot be begun, on a real cluster: each ends, says why once, with where and what it last
wrote; `quern job` tells it again afterwards, also when the jobtracker has died in between."""
import contextlib
import glob
import os
import pwd
import signal
import subprocess

import pytest

from cluster import BUILD, QUERN, Cluster, is_over, output_of, tree_of, wait_for

MISBEHAVE = os.path.join(BUILD, "tests", "jobs", "misbehave.so")
SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
IS_SANITIZED = "debug" in BUILD or "tsan" in BUILD
CLOSED = "closed its connection to the worker, and was killed: a job must not close descriptors that it has not opened"


def memory_group():
    """Where this process's memory is accounted for, when groups of the first version do that and may be made."""
    for line in open("/proc/self/cgroup"):
        if ":memory:" in line:
            path = "/sys/fs/cgroup/memory" + line.split(":", 2)[2].strip()
            return path if os.access(path + "/cgroup.procs", os.W_OK) else None
    return None


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=3) as c:
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", "-", "/in/a", input=b"".join(b"line %d\n" % i for i in range(100)) + b"now\nafter\n")
        c.fs("-put", "-", "/leak", input=b"leak\n")
        yield c


def breaks(c, how, *more):
    run = c.run("run", *more, "-D", f"misbehave.how={how}", MISBEHAVE, "/in/a", "/out/" + how.replace(" ", "-"), check=False, timeout=120)
    assert run.returncode == 1, (run.stdout, run.stderr)
    wait_for(lambda: c.fs("-test", "-e", "/out/" + how.replace(" ", "-"), check=False).returncode == 1)
    return run.stderr.decode()


def last_job(c):
    return str(max(j["id"]["job"] for j in c.jobs()))


@pytest.mark.parametrize("how,task,said", [
    ("segv", "map 0", "crashed (signal 11, SIGSEGV)"),
    ("exit", "map 0", "ended its process by itself (exit code 7)"),
    ("fail", "map 0", 'cannot stand "now"'),
    ("setup", "map 0", "no such table"),
    ("abort in setup", "map 0", "crashed (signal 6, SIGABRT)"),
    ("say nothing in setup", "map 0", "qn_fail was called without a word why"),
    ("cleanup", "map 0", "cannot tidy up"),
    ("segv in reduce", "reduce 0", "crashed (signal 11, SIGSEGV)"),
    ("abort", "map 0", "crashed (signal 6, SIGABRT)"),
    ("kill", "map 0", "crashed (signal 9, SIGKILL)"),
    ("exit with 0", "map 0", "ended its process by itself (exit code 0)"),
    ("exit in reduce", "reduce 0", "ended its process by itself (exit code 3)"),
    ("exit with 0 in reduce", "reduce 0", "ended its process by itself (exit code 0)"),
    ("thread", "map 0", "crashed (signal 6, SIGABRT)"),
    ("close all", "map 0", CLOSED),
    ("close all and go on", "map 0", CLOSED),
])
def test_four_attempts_on_several_nodes_and_one_reason(cluster, how, task, said):
    if IS_SANITIZED and "segv" in how:
        pytest.skip("a sanitizer takes the signal")
    text = breaks(cluster, how)
    line = [l for l in text.splitlines() if "failed: " in l]
    assert len(line) == 1 and f"{task} failed 4 times, on node" in line[0] and line[0].endswith(": " + said)
    nodes = line[0].split(", on ")[1].split(":")[0].split(", ")
    assert len(nodes) == 4 and len(set(nodes)) == 3, "on another node each time, while there is one"
    job = last_job(cluster)
    logs = cluster.run("job", "-logs", job).stdout.decode()
    assert logs.count(said) == 4 and logs.count("attempt_") == 4
    assert said in cluster.run("job", "-logs", job, "-task", task[0] + "0").stdout.decode()
    stages = cluster.status(job)["stages"]
    assert sum(s["failed_attempts"] for s in stages) == 4 and sum(s["running"] + s["waiting"] for s in stages) == 0
    if "segv" in how:
        assert "in write_to_nothing" in text
    at_a_record = task == "map 0" and "setup" not in how and how != "cleanup"
    if how == "close all and go on":
        return  # it may be at any later record, or behind the last one, when it is killed
    assert ("record at /in/a offset 790" in text, "record at" in text, "-record" in text) == (at_a_record,) * 3, text


def test_a_loop_ends_with_the_time_out(cluster):
    text = breaks(cluster, "loop", "-D", "mapreduce.task.timeout=300ms", "-D", "mapreduce.map.maxattempts=2")
    assert "map 0 failed 2 times" in text and "made no progress for" in text


def test_a_loop_in_a_reduce_ends_with_the_time_out(cluster):
    text = breaks(cluster, "loop in reduce", "-D", "mapreduce.task.timeout=5s", "-D", "mapreduce.reduce.maxattempts=2")
    assert "reduce 0 failed 2 times" in text and "made no progress for" in text


def parent(pid):
    return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])


def left(path):
    """Those of the processes whose numbers are in the file that still live."""
    numbers = path.read_text().split() if path.exists() else []
    return [n for n in numbers if not is_over(n) and b"sleep" in open(f"/proc/{n}/cmdline", "rb").read()]


@pytest.mark.parametrize("how", ["not", "fail", "segv", "loop", "exit"])
def test_no_process_of_an_attempt_outlives_it(cluster, tmp_path, how):
    """A child in a session of its own, with no environment and no open file, whose parent is gone."""
    os.chmod(tmp_path, 0o777)
    pids = tmp_path / "pids"
    cluster.run("run", "-D", f"misbehave.how={how}", "-D", f"misbehave.child={pids}", "-D", "mapreduce.task.timeout=5s", "-D",
                "mapreduce.map.maxattempts=2", MISBEHAVE, "/in/a", "/out/child-" + how, check=how == "not", timeout=120)
    assert len(pids.read_text().split()) == (1 if how == "not" else 2)
    wait_for(lambda: not left(pids))


@pytest.mark.parametrize("limit", ["auto", "poll"])
@pytest.mark.parametrize("leaves", ["forked", "child"])
def test_what_a_killed_workers_tasks_left_ends_with_its_next_life(tmp_path, leaves, limit):
    """One that was forked, or has given up all by which it could be found; with control groups, and without.

    In a control group a living worker next door (of another test) may be the one who ends it, at any moment."""
    os.chmod(tmp_path, 0o777)
    pids = tmp_path / "pids"
    with Cluster(datanodes=1, workers=1, site=f"worker.task.limit = {limit}\n") as c:
        c.fs("-put", "-", "/in", input=b"now\n")
        c.run("run", "-detach", "-D", "misbehave.how=loop", "-D", f"misbehave.{leaves}={pids}", MISBEHAVE, "/in", "/out")
        wait_for(lambda: pids.exists() and pids.read_text().endswith("\n"))
        child = pids.read_text().split()[0]
        wait_for(lambda: c.pid("worker1") == parent(parent(child)))  # its own parent ends at once; then it is the task's
        c.kill("worker1")
        assert limit == "auto" or not is_over(child)
        c.up()
        wait_for(lambda: is_over(child))


@pytest.mark.skipif(not memory_group(), reason="needs control groups of the first version")
def test_processes_without_end_end_with_their_task(cluster):
    before = [cluster.pid(w) for w in ("worker1", "worker2", "worker3")]
    cluster.run("run", "-D", "misbehave.how=bomb", "-D", "mapreduce.map.memory.mb=64", MISBEHAVE, "/in/a", "/out/bomb", timeout=120)
    wait_for(lambda: all(len(tree_of(worker)) < 20 for worker in before))
    cluster.run("run", "wordcount", "/in/a", "/out/after-bomb", timeout=120)
    assert [cluster.pid(w) for w in ("worker1", "worker2", "worker3")] == before, "no daemon dies from a task"


def test_descriptors_without_end_are_not_the_next_tasks(cluster):
    cluster.run("run", "-D", "misbehave.how=keep descriptors", "-D", "mapreduce.input.fileinputformat.split.maxsize=100", MISBEHAVE, "/in/a",
                "/out/descriptors", timeout=120)
    assert len(output_of(cluster, "/out/descriptors").splitlines()) == 101


def test_a_thread_that_stays_harms_no_other_attempt(cluster):
    cluster.run("run", "-D", "misbehave.how=thread stays", "-D", "mapreduce.input.fileinputformat.split.maxsize=100", MISBEHAVE, "/in/a",
                "/out/threads")
    assert len(output_of(cluster, "/out/threads").splitlines()) == 101


def test_what_a_job_prints_is_bounded_and_its_end_kept(cluster):
    cluster.run("run", "-D", "misbehave.how=flood", MISBEHAVE, "/in/a", "/out/flood")
    text = cluster.run("job", "-logs", last_job(cluster), "-task", "m0").stdout
    assert text.endswith(b"the end of much\n")
    paths = glob.glob(f"{cluster.dir}/work/*/logs/*_{int(last_job(cluster)):04d}/*.log")
    assert paths and max(os.path.getsize(p) for p in paths) <= 16 << 20
    assert any(b"bytes were printed before this and are not kept (worker.log.limit)" in open(p, "rb").read() for p in paths)


def test_a_leak_is_killed_before_it_hurts_others(cluster):
    run = cluster.run("run", "-D", "mapreduce.map.memory.mb=32", "-D", "mapreduce.map.maxattempts=1", SLUGGISH, "/leak", "/out/leak",
                      check=False, timeout=120)
    assert run.returncode == 1
    assert b"of memory where 32 M is its share, and was killed: give it more with -D mapreduce.map.memory.mb" in run.stderr, run.stderr.decode()


def rests(c):
    """What a task that is to be found out must do where its memory is only looked at."""
    return [] if memory_group() else ["-D", "misbehave.rest=3000000"]


def test_a_child_that_wants_more_than_the_share_is_the_tasks_failure(cluster):
    before = [cluster.pid(w) for w in ("worker1", "worker2", "worker3")]
    text = breaks(cluster, "eat in child", *rests(cluster), "-D", "misbehave.mb=700", "-D", "mapreduce.map.memory.mb=32", "-D",
                  "mapreduce.map.maxattempts=1")
    assert "of memory where 32 M is its share, and was killed: give it more with -D mapreduce.map.memory.mb" in text
    if memory_group():
        assert "killed by the kernel); the task said: its child got signal 9" in text
    assert [cluster.pid(w) for w in ("worker1", "worker2", "worker3")] == before, "no daemon dies from a task"


def test_what_had_too_little_memory_runs_again_with_twice_as_much(cluster):
    much = 430 if IS_SANITIZED else 250
    cluster.run("run", "-D", "misbehave.how=eat", *rests(cluster), "-D", f"misbehave.mb={much}", "-D", "mapreduce.map.memory.mb=64", MISBEHAVE,
                "/in/a", "/out/twice", timeout=120)
    stage = cluster.status(last_job(cluster))["stages"][0]
    assert stage["failed_attempts"] == 1 and stage["done"] == 1
    assert "of memory where 64 M is its share" in cluster.run("job", "-logs", last_job(cluster)).stdout.decode()


@contextlib.contextmanager
def only_worker(c, *before):
    """The cluster's three workers make room for one, started by these words and some options."""
    for w in "worker1", "worker2", "worker3":
        c.kill(w)
    worker = subprocess.Popen([*before[:-1], os.path.join(BUILD, "quern-worker"), "-conf", f"{c.dir}/conf/worker1.conf", *before[-1]],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: c.run("job", "-workers").stdout.count(b" live ") == 1)
        yield worker
    finally:
        worker.terminate()
        worker.wait()
        c.up()
        wait_for(lambda: c.run("job", "-workers").stdout.count(b" live ") == 3)


def test_where_there_are_no_control_groups_memory_is_looked_at(cluster):
    with only_worker(cluster, ["-D", "worker.task.limit=poll"]):
        for how in "eat", "eat in child":
            text = breaks(cluster, how, "-D", "misbehave.rest=20000000", "-D", "misbehave.mb=700", "-D", "mapreduce.map.memory.mb=32", "-D",
                          "mapreduce.map.maxattempts=1")
            assert "of memory where 32 M is its share, and was killed" in text and "(all its processes, added up)" in text


@pytest.mark.skipif(os.geteuid() != 0 or not memory_group(), reason="needs control groups of the first version")
def test_a_machine_without_memory_is_not_the_tasks_fault(cluster):
    """One worker in a group that has less than its tasks may use: there the kernel kills for the group above."""
    small = memory_group() + f"/quern-small.{os.getpid()}"
    os.mkdir(small)
    with open(small + "/memory.limit_in_bytes", "w") as f:
        f.write("500M")
    with only_worker(cluster, "sh", "-c", f"echo $$ > {small}/cgroup.procs && exec \"$@\"", "sh", []) as worker:
        cluster.run("run", "-D", "misbehave.how=eat twice", "-D", "misbehave.mb=700", "-D", "mapreduce.map.memory.mb=512", "-D",
                    "mapreduce.map.maxattempts=1", MISBEHAVE, "/in/a", "/out/small", timeout=120)
        stage = cluster.status(last_job(cluster))["stages"][0]
        assert stage["failed_attempts"] == 0 and stage["killed_attempts"] == 2
        said = cluster.run("job", "-logs", last_job(cluster)).stdout.decode()
        assert said.count("the kernel killed it because the machine had no memory left (control group: limit ") == 2
        assert worker.poll() is None, "the daemon outlives its tasks"
    wait_for(lambda: not glob.glob(small + "/quern-task.*"))
    os.rmdir(small)


def test_a_closed_stdout_harms_nobody_and_counters_without_end_are_bounded(cluster):
    for how in "stdout", "counters":
        cluster.run("run", "-D", f"misbehave.how={how}", MISBEHAVE, "/in/a", "/out/" + how)
    counters = cluster.run("job", "-counter", last_job(cluster)).stdout.decode()
    assert "Map input records=102" in counters and "counters beyond the limit" in counters


def test_logs_and_reasons_outlive_the_jobtracker(cluster):
    breaks(cluster, "fail")
    job = last_job(cluster)
    cluster.run("run", "-D", "misbehave.how=print", MISBEHAVE, "/in/a", "/out/print")
    printed = last_job(cluster)
    before = [cluster.run("job", *args).stdout for args in (["-logs", job], ["--history", job], ["-status", job, "--json"])]
    cluster.kill("jobtracker")
    cluster.up()
    wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 3)
    after = [cluster.run("job", *args).stdout for args in (["-logs", job], ["--history", job], ["-status", job, "--json"])]
    assert before == after
    assert b'cannot stand "now"' in cluster.run("job", "-logs", job, "-task", "m0").stdout
    assert cluster.run("job", "--logs", printed, "--task", "m0").stdout == b"printed by the job\n"
    assert b"no attempt of job" in cluster.run("job", "-logs", printed).stderr
    assert cluster.run("job", "-logs", "4711", check=False).returncode == 1


def test_a_user_nobody_knows_gets_a_reason_and_no_endless_job(cluster):
    if os.geteuid() != 0:
        pytest.skip("only a worker of root becomes another user")
    cluster.fs("-mkdir", "-p", "/user/ghost")
    cluster.fs("-chown", "ghost", "/user/ghost")
    run = cluster.run("run", "wordcount", "/in/a", "/user/ghost/out", env={"HADOOP_USER_NAME": "ghost"}, check=False, timeout=120)
    assert run.returncode == 1
    assert b"no node could run map 0" in run.stderr and b"user ghost has no account on this node" in run.stderr


def test_a_plugin_runs_as_who_submitted_it(cluster, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only a worker of root becomes another user")
    os.chmod(cluster.dir, 0o755)
    (tmp_path / "who.c").write_text("""
        #include <quern/job.h>
        #include <stdio.h>
        #include <unistd.h>
        static int map(struct qn_task *t, struct qn_slice line, struct qn_slice where)
        { char s[64]; (void)line; (void)where; int back = setuid(0);
          return qn_emit(t, qn_bytes(s, (size_t)snprintf(s, sizeof(s), "%d %d %d", (int)getuid(), (int)getgid(), back)), qn_nothing()); }
        static int reduce(struct qn_task *t, struct qn_slice key, struct qn_values *v) { (void)v; return qn_emit(t, key, qn_nothing()); }
        const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "who", .map = map, .reduce = reduce, .value = QN_NONE};
    """)
    so = tmp_path / "who.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(os.path.dirname(BUILD), "..", "include"), str(tmp_path / "who.c"),
                    "-o", str(so)], check=True)
    cluster.fs("-mkdir", "-p", "/user/nobody")
    cluster.fs("-chown", "nobody", "/user/nobody")
    cluster.run("run", str(so), "/in/a", "/user/nobody/who", env={"HADOOP_USER_NAME": "nobody"})
    user = pwd.getpwnam("nobody")
    assert output_of(cluster, "/user/nobody/who") == b"%d %d -1\n" % (user.pw_uid, user.pw_gid)
    for line in cluster.fs("-ls", "/user/nobody/who").stdout.decode().splitlines()[1:]:
        assert line.split()[2] == "nobody", line


# --- what a person does meanwhile -------------------------------------------------------------------

def test_ctrl_c_leaves_the_job_running_and_a_kill_ends_it(cluster):
    watching = cluster.start("run", "-D", "sluggish.map=20000", SLUGGISH, "/in/a", "/out/long")
    wait_for(lambda: [j for j in cluster.jobs(all=False) if j["state"] == 1])
    job = last_job(cluster)
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=120)
    assert watching.returncode == 130 and f"`quern job -wait {job}` waits for it" in err.decode()
    assert cluster.status(job)["state"] == 1
    waiting = cluster.start("job", "-wait", job)
    assert cluster.run("job", "-kill", job).stdout.decode() == f"Killed job {job}\n"
    out, err = waiting.communicate(timeout=120)
    assert waiting.returncode == 3 and b"killed: killed by " in err
    assert cluster.run("job", "-kill", job).stdout.decode() == f"The job {job} is over already.\n"


def test_a_kill_that_was_acknowledged_survives_the_jobtracker(cluster):
    for i in range(3):
        job = cluster.run("run", "-detach", "-D", "sluggish.map=20000", SLUGGISH, "/in/a", f"/out/killed{i}").stdout.decode().strip()
        cluster.run("job", "-kill", job)
        cluster.kill("jobtracker")
        cluster.up()
        assert cluster.status(job)["state"] == 5


def test_a_killed_job_does_not_blame_an_attempt(cluster):
    job = cluster.run("run", "-detach", "-D", "misbehave.how=fail", "-D", "mapreduce.map.maxattempts=100", MISBEHAVE, "/in/a",
                      "/out/blame").stdout.decode().strip()
    wait_for(lambda: cluster.status(job)["stages"][0]["failed_attempts"] > 0)
    cluster.run("job", "-kill", job)
    status = cluster.run("job", "-status", job).stdout.decode()
    assert "killed: killed by " in status and "failed: " not in status
