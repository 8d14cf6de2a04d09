# SPDX-License-Identifier: Apache-2.0
"""A job that is slow says why: each cause is named with its evidence, and a healthy job has none. And each
attempt says where its time went."""
import json
import os
import re

import pytest

from cluster import BUILD, Cluster, wait_for

RELUCTANT = os.path.join(BUILD, "tests/jobs/reluctant.so")
MISBEHAVE = os.path.join(BUILD, "tests/jobs/misbehave.so")
RECORDS = 100_000
RUNNING = 1
SPLIT = "mapreduce.input.fileinputformat.split.maxsize="
# Each read of a file of the cluster takes a task this much longer, and a spill, too.
SLOW = {"QUERN_FAULT": "client.read.disk=1+:delay5,client.read.local=1+:delay5,task.spill=1+:delay200"}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=2, replication=2, env=SLOW) as c:
        put(c, "/hot", ["customer 0"] * 1500 + [f"customer {i}" for i in range(1, 101)])
        put(c, "/many", [f"x{i}" for i in range(1500)] + [f"{i}" for i in range(100)])
        put(c, "/few", [f"x{i}" for i in range(300)])
        put(c, "/daily-1", [f"x{i}" for i in range(300)])
        put(c, "/daily-2", [f"x{i}" for i in range(1500)])
        put(c, "/even", [f"{i:063}" for i in range(12)])
        put(c, "/lines", [f"{i * 7919 % RECORDS:08} and some more of it" for i in range(RECORDS)])
        yield c


def put(cluster, path, lines):
    cluster.run("fs", "-put", "-", path, input=("\n".join(lines) + "\n").encode())


def run(cluster, input, *settings, reduces=4, job=RELUCTANT):
    words = [word for setting in settings for word in ("-D", setting)]
    run.count = getattr(run, "count", 0) + 1
    told = cluster.run("run", *words, "-reduces", str(reduces), job, input, f"/out/{run.count}")
    return told.stdout.decode()


def why(cluster):
    """Of the last job: its findings, and what a person is told."""
    last = max(job["id"]["job"] for job in cluster.jobs())
    text = cluster.run("job", "-why", str(last)).stdout.decode()
    return last, {f["code"]: f for f in cluster.status(last)["findings"]}, text


def test_a_hot_key_is_named_at_the_end_of_the_run(cluster):
    told = run(cluster, "/hot", "reluctant.value.us=1000")
    assert 'why          the key "customer 0" has 93 % of all values (1,500 ± 0): reduce ' in told
    last, found, text = why(cluster)
    assert text.startswith("HOT_KEY, about ") and "to do: more reducers will not help" in text
    status = cluster.run("job", "-status", str(last)).stdout.decode()
    assert 'most often "customer 0": ' in status


def test_many_keys_of_one_reducer_are_skew(cluster):
    told = run(cluster, "/many", "reluctant.value.us=1000")
    assert "why          reduce 0 got " in told
    _, found, text = why(cluster)
    assert "SKEW_REDUCE" in found and "HOT_KEY" not in found


def test_more_input_than_last_time_is_no_fault_of_the_job(cluster):
    for day in 1, 2:
        run(cluster, f"/daily-{day}", "reluctant.value.us=1000", reduces=1)
    _, found, text = why(cluster)
    assert "the run before had" in found["VOLUME_UP"]["says"]


def test_a_run_over_other_data_is_not_compared(cluster):
    run(cluster, "/few", reduces=1)
    run(cluster, "/many", "reluctant.value.us=1000", reduces=1)
    _, found, text = why(cluster)
    assert found == {} and "nothing held it up" in text


def test_neither_a_killed_run_nor_one_that_reads_nothing_is_compared(cluster):
    for rows in "1", "12":
        cluster.run("run", "sleep", "-D", f"sleep.rows={rows}", "-D", "sleep.map.ms=100", f"/out/sleep{rows}")
    assert why(cluster)[1] == {}
    run(cluster, "/daily-1", reduces=1)
    many = cluster.start("run", "-D", "reluctant.value.us=3000", "-reduces", "1", RELUCTANT, "/daily-2", "/out/killed")
    last = wait_for(lambda: next((job["id"]["job"] for job in cluster.jobs() if job["elapsed_ms"] > 2000 and job["state"] == RUNNING), None))
    cluster.run("job", "-kill", str(last))
    assert many.wait(120) == 3 and why(cluster)[1] == {}


def test_a_node_on_which_everything_is_slow_is_named(cluster):
    run(cluster, "/even", SPLIT + "64", "reluctant.slow=/2/", "reluctant.slow.us=1700000", "reluctant.us=500000",
        "mapreduce.map.speculative=false", "mapreduce.map.memory.mb=64", reduces=1)
    _, found, text = why(cluster)
    assert "tasks on node2 ran at" in found["SLOW_NODE"]["says"]


def test_tasks_that_wanted_more_memory_are_told_with_the_limit(cluster):
    run(cluster, "/few", "reluctant.mb=900", "mapreduce.map.memory.mb=64", reduces=1)
    _, found, text = why(cluster)
    assert re.search("1 attempt wanted more memory than its limit: a map on node[12] with 64 M", found["OOM_LIMIT"]["says"])
    assert "mapreduce.map.memory.mb=128" in found["OOM_LIMIT"]["fix"]
    assert text.startswith("OOM_LIMIT, about ")


def test_buffers_that_are_too_small_are_told(cluster):
    run(cluster, "/lines", "mapreduce.task.io.sort.mb=1", "mapreduce.task.io.sort.factor=5", reduces=1)
    _, found, text = why(cluster)
    assert re.match(r"the maps wrote \S+ M \(\S+ records\) to disk before the end and merged them, \d+ % of their time: ", found["SPILL"]["says"])
    (said,) = re.findall(r"-D (mapreduce.task.io.sort.mb=\d+)", found["SPILL"]["fix"])
    assert "memory.mb" not in found["SPILL"]["fix"]
    run(cluster, "/lines", said, "mapreduce.task.io.sort.factor=5", reduces=1)
    job, found, _ = why(cluster)
    assert "SPILL" not in found
    assert all(a["account"]["spilled_records"] == 0 for stage, a in winners(cluster, job) if stage == "map")


def test_very_many_small_files_are_told(cluster, tmp_path):
    (tmp_path / "small").mkdir()
    for i in range(1000):
        (tmp_path / "small" / f"f{i}").write_text("x\n" * 9 * (i < 120))  # what is empty is soon written, and counts
    cluster.run("fs", "-D", "dfs.replication=1", "-put", str(tmp_path / "small"), "/small")
    cluster.run("run", "-reduces", "1", "wordcount", "/small", "/out/small")
    _, found, text = why(cluster)
    assert "1,000 files of 2 in the mean" in found["SMALL_FILES"]["says"]


def test_twenty_healthy_jobs_have_nothing_to_complain_of(cluster):
    before = {job["id"]["job"] for job in cluster.jobs()}
    for input in "/hot", "/many", "/few", "/even":
        runs = [cluster.start("run", "-reduces", "2", job, input, f"/healthy{input}/{job}")
                for job in ("wordcount", "sort", "distinct", "topn", "invertedindex")]
        assert all(one.wait(120) == 0 for one in runs)
    new = [job for job in cluster.jobs() if job["id"]["job"] not in before]
    assert len(new) == 20 and [job["findings"] for job in new] == [[]] * 20
    assert cluster.run("job", "-why", str(new[0]["id"]["job"])).stdout.endswith(b": nothing held it up\n")


def test_healthy_jobs_that_take_long_have_none_either(cluster):
    """Each of several seconds, so that what a finding must have cost is not out of reach: waves of maps, several reducers, three at a time."""
    before = {job["id"]["job"] for job in cluster.jobs()}
    long = [["-reduces", "3", "-D", "reluctant.slow=none", "-D", "reluctant.us=800000", "-D", SPLIT + "64", RELUCTANT, "/even", "/long/waves"],
            ["-reduces", "4", "-D", "mapreduce.job.maps=12", "-D", "sleep.map.ms=800", "-D", "sleep.reduce.ms=1500", "sleep", "/long/slept"],
            ["-reduces", "3", "-D", SPLIT + "600k", "-stream", "-mapper", "sleep 1; cat", "-reducer", "sleep 2; cat", "/lines", "/long/streamed"]]
    runs = [cluster.start("run", *words) for words in long]
    assert all(one.wait(120) == 0 for one in runs)
    new = [job for job in cluster.jobs() if job["id"]["job"] not in before]
    assert len(new) == 3 and [job["findings"] for job in new] == [[]] * 3
    assert all(job["elapsed_ms"] > 2000 for job in new), [job["elapsed_ms"] for job in new]


def test_why_a_job_failed_is_the_same_question(cluster):
    cluster.run("run", "-D", "misbehave.how=setup", MISBEHAVE, "/hot", "/broken", check=False)
    assert "no such table" in why(cluster)[2]


# --- where the time went -------------------------------------------------------------------------

PHASES = ("launch", "read", "decompress", "map", "combine", "sort", "spill", "fetch", "merge", "reduce", "write", "commit")


def winners(cluster, job):
    document = json.loads(cluster.run("job", "-history", str(job), "--json").stdout)
    return [(stage["stage"], a) for stage in document["stages"] for task in stage["tasks"] for a in task["attempts"] if a["winner"]]


def test_the_times_of_each_attempt_add_up_to_what_it_took(cluster):
    """Within 5 %, and the milliseconds of the way to the worker and back."""
    cluster.run("run", "sleep", "-D", "sleep.map.ms=1500", "-D", "sleep.reduce.ms=1500", "/out/slept")
    cluster.run("run", "-stream", "-mapper", "cat", "-reducer", "cat", "/lines", "/out/streamed")
    run(cluster, "/lines", reduces=2, job="wordcount")
    run(cluster, "/lines", reduces=2, job="sort")
    last = max(job["id"]["job"] for job in cluster.jobs())
    seen = 0
    for job in range(last - 3, last + 1):
        for stage, a in winners(cluster, job):
            took, times = a["end_ms"] - a["start_ms"], a["times"]
            told = sum(times[phase] for phase in PHASES) / 1000
            assert abs(told - times["total"] / 1000) <= 0.05 * took + 1, (stage, a)
            assert abs(told - took) <= 0.05 * took + 500, (stage, a)
            seen += 1
    assert seen >= 12


def test_what_moved_is_told_on_each_arrow(cluster):
    last = max(job["id"]["job"] for job in cluster.jobs())  # sort
    maps, reduces = [sum(a["account"][key] for stage, a in winners(cluster, last) if stage == kind) for kind, key in
                     (("map", "emitted_records"), ("reduce", "in_records"))]
    assert maps == reduces == RECORDS
    status = cluster.run("job", "-status", str(last)).stdout.decode()
    for words in ("where the time went", "read ", "emitted ", "to runs ", "shuffled ", "written ", "keys, from "):
        assert words in status
    assert "timeline: " in cluster.run("job", "-history", str(last)).stdout.decode()


def test_who_waits_for_a_program_does_not_sort(cluster):
    cluster.run("run", "-stream", "-mapper", "sleep 2; cat", "-reducer", "sleep 2; cat", "-reduces", "1", "/lines", "/out/waited")
    for stage, a in winners(cluster, max(job["id"]["job"] for job in cluster.jobs())):
        if stage != "commit":
            assert a["times"][stage] >= 1900000 > 2 * (a["times"]["sort"] + a["times"]["merge"]), a["times"]


def test_tasks_that_began_again_because_their_worker_died_are_told(cluster):
    job = cluster.run("run", "-detach", "-D", SPLIT + "64", "-D", "reluctant.slow=/nowhere/", "-D", "reluctant.us=1700000", "-D", "mapreduce.map.speculative=false", "-reduces", "1",
                      RELUCTANT, "/even", "/out/cut").stdout.decode().strip()
    tasks = lambda: [t["attempts"] for s in json.loads(cluster.run("job", "-history", job, "--json").stdout)["stages"][:1] for t in s["tasks"]]
    wait_for(lambda: any(a["worker"] == "node2" and a["state"] == "running" for attempts in tasks() for a in attempts))
    cluster.kill("worker2")
    try:
        cluster.run("job", "-wait", job, timeout=90)
    finally:
        cluster.up()
    _, found, _ = why(cluster)
    assert re.search("^[0-9]+ running maps? had to begin again: node2 was lost$", found["NODE_LOST"]["says"])
    assert found["NODE_LOST"]["cost_ms"] > 0 and "the log of that worker" in found["NODE_LOST"]["fix"]
