# SPDX-License-Identifier: Apache-2.0
"""What happens to a daemon whatever it does itself: the machine's clock is set, it crashes, it was started as root."""
import os
import pwd
import re
import signal
import subprocess
import time

import pytest

from cluster import BUILD, Cluster, count_words, output_of, wait_for

DAEMONS = ["namenode", "datanode1", "jobtracker", "worker1"]
# A wall clock that goes as many seconds wrong as a file says, for whoever is started with it.
WRONG_CLOCK = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);
    FILE *f = id == CLOCK_REALTIME && getenv("WRONG_BY") ? fopen(getenv("WRONG_BY"), "r") : NULL;
    long seconds = 0;
    if (f && fscanf(f, "%ld", &seconds) == 1)
        ts->tv_sec += seconds;
    if (f)
        fclose(f);
    return rc;
}
"""
DAY = 24 * 3600


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """A file that says how wrong the clock of the cluster's daemons goes, and their environment."""
    room = tmp_path_factory.mktemp("clock")
    source, library, by = room / "clock.c", room / "clock.so", room / "by"
    source.write_text(WRONG_CLOCK)
    by.write_text("0\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    asan = os.environ.get("ASAN_OPTIONS", "")
    return by, {"LD_PRELOAD": str(library), "WRONG_BY": str(by), "ASAN_OPTIONS": ":".join(filter(None, [asan, "verify_asan_link_order=0"]))}


@pytest.fixture(scope="module")
def cluster(wrong):
    with Cluster(datanodes=2, workers=1, env=wrong[1]) as c:
        yield c


def set_clock(by, seconds):
    new = by.with_suffix(".new")
    new.write_text(f"{seconds}\n")
    os.replace(new, by)


def report(c):
    return c.run("admin", "-report").stdout.decode()


def test_time_outs_do_not_go_by_the_wall_clock(cluster, wrong):
    """A year ahead and then two back: no node is given up, no lease runs out, a job goes on to its end."""
    c, text = cluster, b"one two two three three three\n" * 2000
    c.fs("-put", "-", "/in", input=text)
    writer = c.popen([os.path.join(BUILD, "quern"), "fs", "-put", "-", "/slow"], stdin=subprocess.PIPE)
    writer.stdin.write(text)
    writer.stdin.flush()
    for i, days in enumerate((365, -365, 0)):
        set_clock(wrong[0], days * DAY)
        said = report(c)
        assert "Live datanodes (2)" in said, said
        c.fs("-put", "-", f"/after{i}", input=text)
        assert abs(int(c.fs("-stat", "%Y", f"/after{i}").stdout) / 1000 - time.time() - days * DAY) < DAY
        c.run("run", "-D", "mapreduce.job.reduces=1", "wordcount", "/in", f"/out{i}")
        assert output_of(c, f"/out{i}") == count_words([text])
    writer.stdin.write(text)
    writer.stdin.close()
    assert writer.wait(120) == 0
    assert c.fs("-cat", "/slow").stdout == text + text


def said_at_the_end(c, daemon):
    """What the daemon's file of last words and its log say."""
    paths = [os.path.join(base, n) for base, _, names in os.walk(c.dir) for n in names if n.startswith(daemon) and not n.endswith((".pid", ".conf"))]
    return "".join(open(p, errors="replace").read() for p in sorted(paths) if os.path.isfile(p))


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("sig", [signal.SIGABRT, signal.SIGSEGV])
def test_a_crash_tells_build_stack_and_last_lines(cluster, daemon, sig):
    c, pid = cluster, cluster.pid(daemon)
    if sig == signal.SIGSEGV and "release" not in BUILD:
        pytest.skip("the sanitizers keep this signal for themselves")
    before = len(said_at_the_end(c, daemon))
    os.kill(pid, sig)
    wait_for(lambda: c.pid(daemon) != pid)
    told = said_at_the_end(c, daemon)
    assert len(told) > before
    crash = told[told.rindex(f"cut here: quern-{daemon.rstrip('1')} crashed"):]
    for want in (r"build[ id]*: +[0-9a-f]{32}", rf"{sig.name} sent by process {os.getpid()}", r"request:", r"cut here: end"):
        assert re.search(want, crash), crash
    c.up()
    wait_for(lambda: c.run("fs", "-ls", "/", check=False).returncode == 0)
    wait_for(lambda: "Live datanodes (2)" in report(c))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_daemon_started_as_root_is_its_user_from_then_on(tmp_path):
    c = Cluster(datanodes=1, workers=1)
    with c:
        user = pwd.getpwnam("nobody")
        c.kill("datanode1", signal.SIGTERM)
        wait_for(lambda: c.pid("datanode1") is None)
        os.chmod(c.dir, 0o755)
        for base, dirs, files in os.walk(c.dir):
            for name in dirs + files:
                os.chown(os.path.join(base, name), user.pw_uid, user.pw_gid, follow_symlinks=False)
        log = os.path.join(c.dir, "log", "as-nobody.log")
        daemon = subprocess.Popen([os.path.join(BUILD, "quern-datanode"), "-conf", f"{c.dir}/conf/datanode1.conf", "-D", "user=nobody", "-D", f"log.file={log}"],
                                  env=c.env, cwd="/", stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: daemon.poll() is not None or os.path.exists(log) and "registered with" in open(log).read())
            assert daemon.poll() is None, daemon.stderr.read()
            ids = dict(line.split(":", 1) for line in open(f"/proc/{daemon.pid}/status") if ":" in line)
            assert ids["Uid"].split() == [str(user.pw_uid)] * 4
            assert ids["Gid"].split() == [str(user.pw_gid)] * 4
            assert ids["CapEff"].strip() == "0" * 16
            c.fs("-put", "-", "/a", input=b"mine")
            assert c.fs("-cat", "/a").stdout == b"mine"
            assert os.stat(log).st_uid == user.pw_uid
        finally:
            daemon.terminate()
            daemon.wait(120)
