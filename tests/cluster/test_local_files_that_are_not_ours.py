# SPDX-License-Identifier: Apache-2.0
"""What a real Hadoop answered to somebody who is not root about local files that he may not read, write or
enter (tests/clients/hadoop_shell/plain/*.txt), put to our shell as somebody who is not root."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from cluster import QUERN, ROOT, Cluster

sys.path.insert(0, os.path.join(ROOT, "tests", "clients", "hadoop_shell"))
import cases  # noqa: E402

IS_ROOT = os.getuid() == 0
USER = "nobody" if IS_ROOT else cases.USER
NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if IS_ROOT else {}


class Ours:
    """A shell as cases.Play wants one, of a superuser of the cluster who is nobody here."""

    def __init__(self, cluster):
        os.chmod(cluster.dir, 0o755)
        self.env = dict(cluster.env, ASAN_OPTIONS="detect_leaks=0:malloc_context_size=0", HOME="/")
        self.env.pop("HADOOP_USER_NAME", None)
        self.fs = cluster.run("getconf", "-confKey", "fs.defaultFS").stdout.decode().strip().replace("quern://", "hdfs://")
        self.datanode = "no:0"

    def run(self, tool, words, user, stdin, cwd):
        env = self.env if user == USER else dict(self.env, HADOOP_USER_NAME=user)
        said = subprocess.run(["hadoop", tool, "-fs", self.fs] + words, executable=QUERN, input=stdin, cwd=cwd, env=env,
                              capture_output=True, timeout=120, check=False, **NOBODY)
        return said.returncode, said.stdout.decode(), said.stderr.decode()


@pytest.fixture(scope="module")
def ours():
    if IS_ROOT and subprocess.run([QUERN, "version"], capture_output=True, check=False, cwd="/", **NOBODY).returncode:
        pytest.skip("nobody may not run " + QUERN)
    c = Cluster(datanodes=1, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.permissions.superusergroup = nogroup\n" if IS_ROOT else "")
    with c:
        yield Ours(c)


@pytest.fixture
def here():
    path = tempfile.mkdtemp(prefix="quern-test-")
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


def every_case():
    for path in sorted(glob.glob(os.path.join(cases.HERE, "plain", "*.txt"))):
        for case in cases.load(path)[1]:
            yield pytest.param(os.path.basename(path)[:-4], case, case.forms[0], id=case.name)  # local paths have one form


class Play(cases.Play):
    def local(self, text):
        subprocess.run(["bash", "-c", text], cwd=self.cwd, check=True, **NOBODY)


@pytest.mark.parametrize("stem, case, form", list(every_case()))
def test_case(ours, stem, case, form, here, monkeypatch):
    monkeypatch.setattr(cases, "USER", USER)
    play = Play(ours, f"{stem}{case.number}{form[0]}", case, form, here)
    play.begin()
    for step in case.steps:
        said = play.do(step)
        why = said and play.compare(step, step.expected(), *said, step.less, step.more)
        assert not why, why
