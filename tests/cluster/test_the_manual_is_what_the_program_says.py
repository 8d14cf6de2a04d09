# SPDX-License-Identifier: Apache-2.0
"""Help that teaches: what a key means, and manual pages made from the program's own words. Needs no cluster."""
import os
import re
import shutil
import subprocess

import pytest

from cluster import QUERN, ROOT


def quern(*args, code=0):
    done = subprocess.run([QUERN, *args], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    where = tmp_path_factory.mktemp("man")
    subprocess.run([os.path.join(ROOT, "scripts", "manual"), QUERN, where], check=True, timeout=120)
    return {p.name: p.read_text() for p in where.iterdir()}


def test_every_key_is_explained(pages):
    told = re.findall(r"^(\S+)   ", quern("help", "keys").stdout, re.M)
    shown = quern("namenode", "-D", "node.name=x", "-print-config").stdout
    assert sorted(told) == sorted(re.findall(r"^(?:# )?(\S+) =", shown, re.M))
    for key in told:
        assert f".B {key}\n".replace("-", "\\-") in pages["quern.conf.5"].replace("\\:", "")


def test_one_key_is_explained_and_a_wrong_one_corrected():
    assert "size of new files' blocks; 512 to 1t" in quern("help", "dfs.blocksize").stdout
    assert "did you mean dfs.blocksize?" in quern("help", "dfs.bloksize", code=2).stderr


def test_each_command_has_its_page(pages):
    commands = re.findall(r"^  ([a-z]+) ", quern("help").stdout, re.M)
    for command in set(commands) - {"help", "version"}:
        page = pages[f"quern-{command}.1"]
        for line in quern(command, "-help").stdout.splitlines():
            for option in re.findall(r"^\s+\[?(-[a-zA-Z]+)", line):
                assert option.replace("-", "\\-") in page


def test_the_first_page_names_each_command_and_its_page():
    with open(os.path.join(ROOT, "docs", "quern.1"), encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    about, _, also = page.partition(".SH SEE ALSO")
    named = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^\.TP\n\.B ([a-z, ]+)$", about, re.M))))
    commands = set(re.findall(r"^  ([a-z]+) ", quern("help").stdout, re.M)) - {"help", "version"}
    assert named == commands
    daemons = {"namenode", "datanode", "jobtracker", "worker", "down"}
    assert set(re.findall(r"quern-([a-z]+) \(1\)", also)) == commands - daemons


def test_each_command_that_prints_for_programs_says_so(pages):
    for area, commands in (("admin", ("report", "printTopology", "listOpenFiles", "getVolumeReport")),
                           ("job", ("list", "status", "history", "counter", "workers"))):
        lines = pages[f"quern-{area}.1"].replace("\\-", "-").splitlines()
        for command in commands:
            assert any(re.match(rf"\s+\[?-{command}\b.*\[--json\]", line) for line in lines), command
    assert "[--json]" in quern("admin", "-getVolumeReport", code=255).stderr


def test_whoever_asks_is_helped():
    for command in re.findall(r"^  ([a-z]+) ", quern("help").stdout, re.M):
        done = quern(command, "-h")
        assert done.stdout and not done.stderr, command
        assert "hdfs fsck" not in done.stdout and "Usage: hdfs" not in done.stdout
    for word in ("-h", "-help", "--help"):
        assert "-mkdir [-p] <path> ... :" in quern("fs", "-mkdir", word).stdout
        assert "-report [-live]" in quern("admin", "-report", word).stdout


def test_under_a_name_of_hadoops_the_help_is_about_that_name(tmp_path):
    os.symlink(QUERN, tmp_path / "hdfs")
    for area, first in (("fsck", "Usage: hdfs fsck <path>"), ("balancer", "Usage: hdfs balancer"), ("getconf", "hdfs getconf is utility")):
        done = subprocess.run([tmp_path / "hdfs", area, "-h"], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 and done.stdout.startswith(first) and not done.stderr
    done = subprocess.run([tmp_path / "hdfs", "dfs", "-h"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 255 and done.stderr.startswith("-h: Unknown command")  # as there


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff here")
def test_the_pages_are_whole(pages):
    for name, text in pages.items():
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=text, capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0 and not done.stderr, f"{name}: {done.stderr}"
