# SPDX-License-Identifier: Apache-2.0
"""fsck on three datanodes: the command lines of tests/clients/hadoop_shell/nodes3 that a real Hadoop has
answered, with the same things done to the cluster in between; and what only ours has."""
import glob
import json
import os
import re
import subprocess
import sys

import pytest

from cluster import BUILD, QUERN, ROOT, Cluster, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests", "clients", "hadoop_shell"))
import cases  # noqa: E402


WRITER = os.path.join(BUILD, "tests", "cluster", "slow_writer")


class Ours:
    """A shell as cases.Play wants one, and its world."""

    datanode = "none:0"  # no case asks one by name

    def __init__(self, cluster):
        self.cluster = cluster
        self.env = dict(cluster.env, ASAN_OPTIONS="detect_leaks=0:quarantine_size_mb=1:malloc_context_size=0")
        self.fs = re.search(r"fs.defaultFS = (\S+)", open(cluster.env["QUERN_CONF"]).read())[1].replace("quern://", "hdfs://")
        self.hadoop = os.path.join(cluster.dir, "hadoop")
        self.writers = {}
        self.hdfs = os.path.join(cluster.dir, "hdfs")
        os.symlink(QUERN, self.hadoop)
        os.symlink(QUERN, self.hdfs)

    def run(self, tool, words, user, stdin, cwd):
        if tool == "world":
            getattr(self, words[0])(*words[1:])
            return 0, "", ""
        command = {"fs": [self.hadoop, "fs"], "fsck": [self.hdfs, "fsck"]}.get(tool) or [QUERN, "admin"]
        env = self.env if user == cases.USER else dict(self.env, HADOOP_USER_NAME=user)
        said = subprocess.run(command + ["-fs", self.fs] + words, input=stdin, cwd=cwd, env=env, capture_output=True, timeout=120)
        return said.returncode, said.stdout.decode(), said.stderr.decode()

    # --- the world ---
    def fsck(self, *words):
        return self.run("fsck", list(words), cases.USER, b"", self.cluster.dir)[1]

    def replicas(self, path):
        """The files of the first block, and its id."""
        block = re.search(r"blk_\d+", self.fsck(path, "-files", "-blocks"))[0]
        return glob.glob(f"{self.cluster.dir}/data/*/current/finalized/*/*/{block}"), block

    def until(self, block, words):
        wait_for(lambda: re.search(words, self.fsck("-blockId", block)))

    def corrupt(self, path):
        files, block = self.replicas(path)
        for name in files:
            os.chmod(name, 0o600)
            with open(name, "r+b") as f:
                f.write(b"\0\1")
        self.cluster.fs("-cat", path, check=False)
        self.until(block, f"No. of corrupted Replica: {len(files)}\n")

    def lose(self, path):
        files, block = self.replicas(path)
        nodes = {re.search(r"/data/(\w+)/", name)[1] for name in files}
        for name in files:
            for one in glob.glob(name + "*"):
                os.unlink(one)
        for node in nodes:
            self.cluster.kill("datanode" + node)
        self.cluster.up()
        wait_for(lambda: "MISSING 1 blocks" in self.fsck(path) and "data-nodes:\t3" in self.fsck(path))

    def open(self, path, words):
        writer = self.writers[path] = subprocess.Popen([WRITER, path], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        writer.stdin.write(words.encode() + b"\n")
        writer.stdin.flush()
        assert writer.stdout.readline().startswith(b"flushed ")

    def close(self, path):
        self.writers[path].communicate(timeout=120)

    def send_away(self, path, how):
        node = re.search(r"DatanodeInfoWithStorage\[([\w.]+:\d+),", self.fsck(path, "-files", "-blocks", "-locations"))[1]
        report = self.cluster.run("admin", "-report").stdout.decode()
        name = re.search(rf"Name: {re.escape(node)} \((\w+)\)", report)[1]
        self.say(f"{name}{how}\n")

    def decommission(self, path, *_):
        self.send_away(path, "")
        wait_for(lambda: "\n DecommissionedReplicas:" in self.fsck(path))

    def rest(self, path):
        self.send_away(path, " maintenance")
        wait_for(lambda: "\n InMaintenanceReplicas:" in self.fsck(path))

    def take_back(self):
        self.say("")
        wait_for(lambda: "IN MAINTENANCE" not in self.cluster.run("admin", "-report").stdout.decode().upper())

    def say(self, excluded):
        with open(os.path.join(self.cluster.dir, "exclude"), "w") as f:
            f.write(excluded)
        self.cluster.run("admin", "-refreshNodes")

    def __getattr__(self, name):
        if name == "return":
            return self.take_back
        raise AttributeError(name)


@pytest.fixture(scope="module")
def ours():
    c = Cluster(datanodes=3, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.namenode.redundancy.settle = 0s\ndfs.heartbeat.interval = 200ms\ndfs.namenode.redundancy.interval.seconds = 500ms\n"
                f"dfs.namenode.decommission.interval = 200ms\ndfs.hosts.exclude = {c.dir}/exclude\n")
    open(os.path.join(c.dir, "exclude"), "w").close()
    with c:
        yield Ours(c)


def every_case():
    for path in cases.files(nodes=3):
        stem = os.path.basename(path)[:-4]
        for case in cases.load(path)[1]:
            yield pytest.param(stem, case, id=f"{stem}: {case.name}")


@pytest.mark.parametrize("stem, case", list(every_case()))
def test_case(ours, stem, case, tmp_path):
    play = cases.Play(ours, f"{stem}{case.number}a", case, "absolute", tmp_path)
    play.begin()
    for step in case.steps:
        said = play.do(step)
        why = said and play.compare(step, step.expected(), *said, step.less, step.more)
        assert not why, why


def test_each_difference_has_a_reason():
    for path in cases.files(nodes=3):
        for case in cases.load(path)[1]:
            for step in case.steps:
                assert bool(step.ours.any or step.less or step.more) == bool(step.reason), f"{path}: {case.name}: {step.text}"
