# SPDX-License-Identifier: Apache-2.0
"""quern getconf tells scripts what the configuration says, without a cluster."""
import os
import subprocess

import pytest

from cluster import QUERN


@pytest.fixture
def getconf(tmp_path):
    conf = tmp_path / "quern.conf"
    conf.write_text("fs.defaultFS = quern://nn.example:9000\ndfs.hosts.exclude = /etc/exclude\ndfs.blocksize = 64m\n")

    def ask(*words):
        run = subprocess.run([QUERN, "getconf", *words], env=dict(os.environ, QUERN_CONF=str(conf)), capture_output=True, text=True)
        return run.returncode, run.stdout, run.stderr

    return ask


def test_what_is_set_is_told(getconf):
    assert getconf("-namenodes") == (0, "nn.example\n", "")
    assert getconf("-nnRpcAddresses") == (0, "nn.example:9000\n", "")
    assert getconf("-excludeFile") == (0, "/etc/exclude\n", "")
    assert getconf("-confKey", "dfs.blocksize") == (0, "64m\n", "")
    assert getconf("-confKey", "fs.default.name") == (0, "quern://nn.example:9000\n", "")
    assert getconf("-confKey", "dfs.replication", "-D", "dfs.replication=2") == (0, "2\n", "")


def test_what_is_not_set_has_its_default_or_is_missing(getconf):
    assert getconf("-confKey", "dfs.replication") == (0, "3\n", "")
    assert getconf("-confKey", "mapreduce.task.io.sort.mb")[1].strip().isdigit()  # not 64m: scripts reckon with it
    assert getconf("-confKey", "no.such.key") == (255, "", "Configuration no.such.key is missing.\n")
    assert getconf("-includeFile") == (255, "", "Configuration dfs.hosts is missing.\n")


def test_roles_that_nobody_has_are_empty(getconf):
    for role in ("-secondaryNameNodes", "-backupNodes", "-journalNodes"):
        assert getconf(role) == (0, "\n", "")


def test_what_makes_no_sense_shows_the_usage(getconf):
    for words in ((), ("-what",), ("-what", "x"), ("namenodes",)):
        code, out, err = getconf(*words)
        assert code == 255 and out == "" and err.startswith("quern getconf is utility for"), words
    assert getconf("-confKey") == getconf("-confKey", "a", "b") == (255, "", "usage: -confKey [key]\n")
    assert getconf("-namenodes", "x") == (255, "", "Did not expect argument: x\n")
    code, out, err = getconf("-help")
    assert code == 0 and "[-confKey [key]]" in out and err == ""
