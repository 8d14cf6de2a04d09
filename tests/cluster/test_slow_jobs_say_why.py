# SPDX-License-Identifier: Apache-2.0
"""A job that is slow says why: the cause is named with its evidence, and a healthy job has none."""
import os
import subprocess

import pytest

from cluster import ROOT, Cluster

# Waits a millisecond for each value: what one key has too much of, one reduce waits for.
PATIENT = r"""
#include <time.h>
#include <quern/job.h>

static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return qn_emit(task, line, qn_from_u64(&(uint64_t){1}));
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *counts)
{
    struct qn_slice count;
    uint64_t sum = 0;
    while (qn_next(counts, &count)) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        sum += qn_to_u64(count);
    }
    return qn_emit(task, key, qn_from_u64(&sum));
}

const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "patient", .about = "waits for each value",
                              .map = map, .reduce = reduce, .key = QN_TEXT, .value = QN_U64};
"""


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


def test_a_hot_key_is_named_at_the_end_of_the_run(cluster, tmp_path):
    (tmp_path / "patient.c").write_text(PATIENT)
    subprocess.run(["cc", "-shared", "-fPIC", "-I", os.path.join(ROOT, "include"), tmp_path / "patient.c",
                    "-o", tmp_path / "patient.so"], check=True, timeout=60)
    lines = ["customer 0"] * 1500 + [f"customer {i}" for i in range(1, 101)]
    cluster.run("fs", "-put", "-", "/orders", input="\n".join(lines).encode() + b"\n")
    told = cluster.run("run", "-reduces", "4", str(tmp_path / "patient.so"), "/orders", "/slow").stdout.decode()
    assert 'why          the key "customer 0" has 93 % of all values (1,500): reduce ' in told
    why = cluster.run("job", "-why", "1").stdout.decode()
    assert why.startswith("HOT_KEY, about ") and "to do: more reducers will not help" in why
    assert '"code":"HOT_KEY"' in cluster.run("job", "-status", "1", "--json").stdout.decode()


def test_a_healthy_job_was_held_up_by_nothing(cluster):
    told = cluster.run("run", "wordcount", "/orders", "/quick").stdout.decode()
    assert "why  " not in told
    assert cluster.run("job", "-why", "2").stdout == b"job 2: nothing held it up\n"


def test_why_a_job_failed_is_the_same_question(cluster):
    cluster.run("run", "-D", "grep.pattern=a(", "grep", "/orders", "/broken", check=False)
    assert b'grep.pattern "a("' in cluster.run("job", "-why", "3").stdout
