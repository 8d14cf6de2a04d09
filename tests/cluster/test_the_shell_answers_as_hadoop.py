# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""Command lines that a real Hadoop has answered (tests/clients/hadoop_shell/*.txt, its README tells the
format), put to `hadoop fs` and `hdfs dfsadmin` of ours: stdout, stderr and exit code must be the same, in each
form a path can be typed in, or the file says what differs and why."""
import os
import re
import subprocess
import sys

import pytest

from cluster import QUERN, ROOT, Cluster

sys.path.insert(0, os.path.join(ROOT, "tests", "clients", "hadoop_shell"))
import cases  # noqa: E402


class Ours:
    """A shell as cases.Play wants one: our program under the name that old scripts call."""

    def __init__(self, cluster):
        # a thousand short processes: what leaks is told by the other tests
        self.env = dict(cluster.env, ASAN_OPTIONS="detect_leaks=0:quarantine_size_mb=1:malloc_context_size=0")
        self.fs = re.search(r"fs.defaultFS = (\S+)", open(cluster.env["QUERN_CONF"]).read())[1].replace("quern://", "hdfs://")
        self.datanode = re.search(rb"^Name: (\S+)", cluster.run("admin", "-report").stdout, re.M)[1].decode()
        self.hadoop, self.hdfs = os.path.join(cluster.dir, "hadoop"), os.path.join(cluster.dir, "hdfs")
        os.symlink(QUERN, self.hadoop)
        os.symlink(QUERN, self.hdfs)

    def run(self, tool, words, user, stdin, cwd):
        command = [self.hadoop, "fs"] if tool == "fs" else [self.hdfs, "dfsadmin"]
        env = self.env if user == cases.USER else dict(self.env, HADOOP_USER_NAME=user)
        said = subprocess.run(command + ["-fs", self.fs] + words, input=stdin, cwd=cwd, env=env, capture_output=True, timeout=120)
        return said.returncode, said.stdout.decode(), said.stderr.decode()


@pytest.fixture(scope="module")
def ours():
    with Cluster(datanodes=1, workers=1) as c:
        yield Ours(c)


def every_case():
    for path in cases.files():
        stem = os.path.basename(path)[:-4]
        for case in cases.load(path)[1]:
            for form in case.forms:
                name = f"{stem}: {case.name}" + (f" ({form})" if len(case.forms) > 1 else "")
                yield pytest.param(stem, case, form, id=name)


@pytest.mark.parametrize("stem, case, form", list(every_case()))
def test_case(ours, stem, case, form, tmp_path):
    play = cases.Play(ours, f"{stem}{case.number}{form[0]}", case, form, tmp_path)
    play.begin()
    for step in case.steps:
        said = play.do(step)
        why = said and play.compare(step, step.expected(), *said, step.less, step.more)
        assert not why, why


def test_each_difference_has_a_reason_and_is_one():
    for path in cases.files():
        for case in cases.load(path)[1]:
            for step in case.steps:
                assert bool(step.ours.any or step.less or step.more) == bool(step.reason), f"{path}: {case.name}: {step.text}"
                ours, hadoop = step.ours, step.hadoop
                assert not ours.any or (ours.out, ours.err, ours.code) != (hadoop.out, hadoop.err, hadoop.code), f"{case.name}: {step.text}"
