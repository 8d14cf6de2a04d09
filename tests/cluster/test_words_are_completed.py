# SPDX-License-Identifier: Apache-2.0
"""Completion in a person's shell: what TAB offers comes from the help of the program itself."""
import os
import pty
import select
import shutil
import signal
import subprocess
import time

import pytest

from cluster import BUILD, ROOT, Cluster

SCRIPT = os.path.join(ROOT, "etc", "completion", "quern.bash")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        c.run("fs", "-mkdir", "/logs", "/lost")
        c.run("fs", "-touchz", "/logs/a")
        yield c


def offered(cluster, *words):
    """What TAB behind these words offers; the last one is being typed."""
    ask = f". {SCRIPT}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _quern; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    env = dict(cluster.env, PATH=f"{os.path.abspath(BUILD)}:{os.environ['PATH']}")
    done = subprocess.run(["bash", "-c", ask, "tab", "quern", *words], env=env, capture_output=True, text=True,
                          timeout=120, check=True)
    return done.stdout.split()


def test_areas_commands_and_options(cluster):
    assert {"fs", "run", "job", "admin"} <= set(offered(cluster, ""))
    assert offered(cluster, "fs", "-mk") == ["-mkdir"]
    assert {"-R", "-h", "-t"} <= set(offered(cluster, "fs", "-ls", "-"))
    assert offered(cluster, "fs", "-help", "mkd") == ["mkdir"]
    assert "-set-priority" in offered(cluster, "job", "-")
    assert "-safemode" in offered(cluster, "admin", "-s")
    assert offered(cluster, "run", "word") == ["wordcount"]


def test_options_that_are_only_here(cluster):
    for words in ("job -list", "job -status", "job -history", "job -counter", "job -workers", "admin -report", "admin -printTopology",
                  "admin -listOpenFiles", "admin -getVolumeReport", "fs -find", "fs -ls", "fs -count"):
        assert offered(cluster, *words.split(), "--js") == ["--json"], words
    for words in ("job -kill", "admin -safemode", "fs -mkdir"):
        assert offered(cluster, *words.split(), "--js") == [], words
    assert set(offered(cluster, "job", "-replay", "-")) == {"-task", "-record", "-gdb"}
    assert {"-filters", "-f", "-append", "-update"} <= set(offered(cluster, "distcp", "-"))


def test_words_of_an_administrator(cluster):
    assert set(offered(cluster, "admin", "-safemode", "")) == {"enter", "leave", "get", "wait", "forceExit"}
    assert "-live" not in offered(cluster, "admin", "-") and "-live" in offered(cluster, "admin", "-report", "-")
    assert offered(cluster, "admin", "-setQuota", "5", "/logs") == ["/logs/"]
    assert ":" in offered(cluster, "admin", "-getDatanodeInfo", "")[0]
    assert offered(cluster, "getconf", "-confKey", "dfs.blocks") == ["dfs.blocksize"]
    assert offered(cluster, "fs", "-D", "dfs.blocks") == ["dfs.blocksize="]
    assert offered(cluster, "console", "name") == ["namenode"]


def test_paths_of_the_cluster(cluster):
    assert offered(cluster, "fs", "-cat", "/lo") == ["/logs/", "/lost/"]
    assert offered(cluster, "fs", "-cat", "/logs/") == ["/logs/a"]
    assert offered(cluster, "run", "wordcount", "/los") == ["/lost/"]
    assert offered(cluster, "fs", "-ls", "/none") == []


def typed_in_zsh(cluster, line, wanted):
    """What zsh shows when TAB is pressed behind the line, read until `wanted` is in it."""
    env = dict(cluster.env, PATH=f"{os.path.abspath(BUILD)}:{os.environ['PATH']}", TERM="xterm")
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], env)
    seen = b""
    try:
        for text, until in ((f"fpath=({os.path.dirname(SCRIPT)} $fpath); autoload -U compinit; compinit -u -D; print rea''dy\n", "ready"),
                            (line + "\t", wanted)):
            os.write(fd, text.encode())
            seen, end = b"", time.monotonic() + 30
            while until.encode() not in seen and time.monotonic() < end:
                if select.select([fd], [], [], 0.1)[0]:
                    seen += os.read(fd, 65536)
    finally:
        os.close(fd)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return seen.decode(errors="replace")


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_zsh_offers_the_same(cluster):
    assert "quern fs -mkdir" in typed_in_zsh(cluster, "quern fs -mkd", "-mkdir")
    assert "/logs/" in typed_in_zsh(cluster, "quern fs -cat /log", "/logs/")
