# SPDX-License-Identifier: Apache-2.0
"""quern run and quern job as typed by people: every wrong word is one line and exit code 2, and what
lies in another filesystem is never taken for what has the same name in this one."""
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from xml.etree import ElementTree

import pytest

from cluster import BUILD, QUERN, Cluster, wait_for

SLOW = os.path.join(BUILD, "tests", "jobs", "slow.so")


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        c.fs("-put", "-", "/in", input=b"to be or not to be\n")
        c.run("run", "-detach", "-name", "the first", "wordcount", "/in", "/first")
        c.run("job", "-wait", "1")
        yield c


def said(run):
    return run.returncode, run.stderr.decode()


def said_text(run):
    return run.returncode, run.stderr


USAGE = [
    ("run", "which job? quern run [OPTION...] PLUGIN INPUT... OUTPUT (`quern run -list` shows the bundled ones)"),
    ("run wordcount", "give at least one INPUT and the OUTPUT: quern run wordcount INPUT... OUTPUT"),
    ("run wordcount /in", "give at least one INPUT and the OUTPUT: quern run wordcount INPUT... OUTPUT"),
    ("run wordcuont /in /o", 'no job named "wordcuont" (did you mean wordcount? `quern run -list` shows all)'),
    ("run ./nosuch.so /in /o", "./nosuch.so: No such file or directory"),
    ("run /dev /in /o", "/dev: Is a directory, not a plugin"),
    ("run -reduces x wordcount /in /o", "-reduces x: a number up to 100000, or auto"),
    ("run --reduces=-1 wordcount /in /o", "-reduces -1: a number up to 100000, or auto"),
    ("run -mode sideways wordcount /in /o", "-mode sideways: fail, replace, append or replace-partition"),
    ("run -mode", "-mode needs a value"),
    ("run -nam x wordcount /in /o", "no option -nam (did you mean -name? `quern run -help`)"),
    ("run -stream -maper cat /in /o", "no option -maper (did you mean -stream with -mapper?)"),
    ("run -mapper cat /in /o", "no option -mapper (did you mean -stream with -mapper?)"),
    ("run -stream -mapper cat -chain wordcount /in /o", "-stream runs programs, -chain plugins: choose one (a pipe in -mapper puts programs together)"),
    ("run -D reduces wordcount /in /o", "-D reduces: want key=value"),
    ("run -file  wordcount /in /o", '-file "": a path is wanted'),
    ("run -mode replace wordcount /in /", "/ cannot be the output: give a directory in it"),
    ("run wordcount  /o", '"" names no input or output'),
    ("run wordcount /in ", '"" names no input or output'),
    ("job -status", "-status ID: which job?"),
    ("job -kill x", "-kill ID: that is no job id"),
    ("job -wait -1", "-wait ID: that is no job id"),
    ("job -status 99999999999999999999", "-status ID: that is no job id"),
    ("job -status 1 2", '-status ID: takes no "2"'),
    ("job -list some", '-list [all]: takes no "some"'),
    ("job -list -nonsense", '-list [all]: takes no "-nonsense"'),
    ("job -lst", "no command -lst (did you mean -list?)"),
    ("job nwe lengths", "no command -nwe (did you mean new?)"),
    ("job -chekc ./my.so", "no command -chekc (did you mean check?)"),
    ("job tst ./my.so", "no command -tst (did you mean test?)"),
    ("job -logs 1 -task", "-task needs a task, m12 or r3"),
    ("job -kill-task", "-kill-task ATTEMPT: which attempt?"),
    ("job -fail-task m0", "m0 is no attempt's id: attempt_1700000000000_0017_m_000012_0 is one"),
    ("job -list-attempt-ids 1 MAPS running", "-list-attempt-ids ID MAP|REDUCE running|completed|failed|killed|pending"),
    ("job -config 1", "-config ID FILE: to which file?"),
    ("job -counter 1 group", "-counter ID GROUP NAME, or -counter ID for all"),
    ("job -set-priority 1 HUGE", "-set-priority ID VERY_LOW|LOW|NORMAL|HIGH|VERY_HIGH"),
]


@pytest.mark.parametrize("typed, message", USAGE, ids=[u[0] for u in USAGE])
def test_a_wrong_word_is_one_line(cluster, typed, message):
    words = typed.split(" ")
    assert said(cluster.run(*words, check=False)) == (2, f"quern {words[0]}: {message}\n")


def test_help_is_asked_for_with_and_without_a_dash(cluster):
    assert cluster.run("job", "help").stdout == cluster.run("job", "-help").stdout


@pytest.mark.parametrize("command", ["status", "wait", "kill", "history", "logs", "counter"])
def test_a_job_that_never_was_is_told(cluster, command):
    code, err = said(cluster.run("job", "-" + command, "999", check=False))
    assert code == 1 and err.startswith("quern job: no job 999 here (") and err.count("\n") == 1


def test_a_job_that_is_over_cannot_be_killed_also_after_a_restart(cluster):
    assert cluster.run("job", "-kill", "1").stdout == b"The job 1 is over already.\n"
    cluster.kill("jobtracker")
    cluster.up()
    assert cluster.run("job", "--kill", "1").stdout == b"The job 1 is over already.\n"


def test_values_may_stand_behind_an_equals_sign_and_options_behind_words(cluster):
    cluster.run("run", "-name=n 1", "--reduces=2", "wordcount", "/in", "/equals", "-mode=replace")
    job = [j for j in cluster.jobs() if j["out"] == "/equals"][0]
    assert job["name"] == "n 1" and cluster.fs("-ls", "-C", "/equals/part-*").stdout.count(b"\n") == 2


def test_a_name_that_would_write_to_other_peoples_terminals_is_refused(cluster):
    for name in "a\033[31mred", "two\nlines":
        code, err = said(cluster.run("run", "-name", name, "wordcount", "/in", "/named", check=False))
        assert code != 0 and err == "quern run: a job's name is one line of text without control characters\n"
    cluster.run("run", "-name", "évil <b>&", "wordcount", "/in", "/named")
    assert "évil <b>&" in cluster.run("job", "-list", "all").stdout.decode()


def test_another_filesystem_is_not_taken_for_this_one(cluster):
    uri = re.search(r"fs.defaultFS = quern://(\S+)", open(cluster.env["QUERN_CONF"]).read()).group(1)
    port = uri.split(":")[1]
    for words in (["file:///in", "/x"], ["/in", "file:///tmp/x"], ["s3://b/in", "/x"]):
        code, err = said(cluster.run("run", "wordcount", *words, check=False))
        assert code == 2 and f"the job reads and writes quern://{uri} (another one with -fs" in err
    code, err = said(cluster.run("run", "wordcount", "hdfs://127.0.0.1:1/in", "/x", check=False))
    assert code == 75 and "cannot reach 127.0.0.1:1" in err
    with Cluster(datanodes=1, workers=1) as other:
        far = re.search(r"fs.defaultFS = (\S+)", open(other.env["QUERN_CONF"]).read()).group(1)
        other.fs("-put", "-", "/in", input=b"another\n")
        code, err = said(cluster.run("run", "wordcount", far + "/in", "/x", check=False))
        assert code == 2 and err.startswith(f"quern run: {far}/in: the job reads and writes quern://{uri} (")
        code, err = said(cluster.run("run", "wordcount", "/in", far + "/x", check=False))
        assert code == 2
    code, err = said(cluster.run("run", "-jt", "local", "wordcount", f"quern://{uri}/in", "/tmp/x", check=False))
    assert (code, err) == (2, f"quern run: quern://{uri}/in: with -jt local a job reads and writes local files\n")
    # this one by its other names
    cluster.run("run", "wordcount", f"hdfs://{uri}/in", f"quern://localhost:{port}/names")
    cluster.fs("-test", "-e", "/names/_SUCCESS")


def test_without_a_cluster_a_file_uri_is_its_path(tmp_path):
    (tmp_path / "in").write_text("a b a\n")

    def run(*words):
        return subprocess.run([QUERN, "run", "-jt", "local", *words], capture_output=True, text=True, timeout=120, cwd=tmp_path,
                              env=dict(os.environ, QUERN_CONF="/dev/null"))

    done = run("wordcount", f"file://{tmp_path}/in", f"file:{tmp_path}/out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "part-r-00000").read_text() == "a\t2\nb\t1\n"
    assert said_text(run("wordcount", "file://host/in", "x")) == (2, "quern run: file://host/in: with -jt local a job reads and writes local files\n")
    assert said_text(run("-detach", "wordcount", "in", "x")) == (2, "quern run: -detach leaves a job to a cluster: not with -jt local\n")
    assert said_text(run("wordcount", "nosuch", "x"))[0] == 1 and said_text(run("wordcount", "in", "out"))[0] == 1


def test_no_cluster_is_worth_a_retry(cluster):
    for words in (["run", "-jt", "127.0.0.1:1", "wordcount", "/in", "/x"], ["run", "-fs", "quern://127.0.0.1:1", "wordcount", "/in", "/x"],
                  ["job", "-jt", "127.0.0.1:1", "-list"]):
        assert cluster.run(*words, check=False).returncode == 75
    with socket.create_server(("127.0.0.1", 0)) as dying:  # killed just when it had taken the call
        run = cluster.start("job", "-jt", "127.0.0.1:%d" % dying.getsockname()[1], "-list")
        while run.poll() is None:
            if select.select([dying], [], [], 0.1)[0]:
                dying.accept()[0].close()
        assert run.returncode == 75


def test_a_killed_job_is_3_to_who_waits(cluster):
    job = cluster.run("run", "-detach", "-D", "slow.map.us=60000000", SLOW, "/in", "/killed").stdout.decode().strip()
    wait = cluster.start("job", "-wait", job)
    assert cluster.run("job", "-kill", job).returncode == 0
    out, err = wait.communicate(timeout=120)
    assert wait.returncode == 3, err
    assert cluster.fs("-test", "-e", "/killed", check=False).returncode == 1


def test_an_attempt_is_stopped_with_and_without_using_up_a_try(cluster):
    job = cluster.run("run", "-detach", "-D", "mapreduce.map.maxattempts=2", "-D", "slow.map.us=60000000", SLOW, "/in", "/stopped").stdout.decode().strip()

    def ids(state):
        return cluster.run("job", "-list-attempt-ids", job, "map", state).stdout.decode().split()

    def stop(how):
        wait_for(lambda: ids("running"))
        (running,) = ids("RUNNING")
        return running, cluster.run("job", "-" + how, running, check=False)

    killed = []
    for _ in range(3):
        one, run = stop("kill-task")
        assert run.stdout.decode() == f"Killed task {one}\n"
        killed.append(one)
    assert ids("killed") == killed and ids("failed") == [] and ids("pending") == []
    again = cluster.run("job", "-kill-task", killed[0], check=False)
    assert said(again) == (1, f"quern job: {killed[0]} does not run: it is killed\n")
    none = killed[0][:-1] + "99"
    assert f"has no attempt {none}" in said(cluster.run("job", "-fail-task", none, check=False))[1]
    wait_for(lambda: ids("running"))
    stranger = subprocess.run([QUERN, "job", "-kill-task", ids("running")[0]], env=dict(cluster.env, HADOOP_USER_NAME="mallory"), capture_output=True, timeout=60)
    assert stranger.returncode == 1 and b"belongs to" in stranger.stderr
    failed = []
    for _ in range(2):
        one, run = stop("fail-task")
        assert run.stdout.decode() == f"Killed task {one} by failing it\n"
        failed.append(one)
    wait_for(lambda: cluster.status(job)["state"] == 4)
    assert ids("failed") == failed and cluster.status(job)["why"] == "map 0 failed 2 times"
    assert b"failed by " in cluster.run("job", "-logs", job).stdout


def test_a_jobs_settings_are_written_as_xml(cluster, tmp_path):
    odd = 'a<b>&"c\\ \u00e4\td'
    job = cluster.run("run", "-stream", "-detach", "-name", "x & y", "-D", "my.odd=" + odd, "-D", "mapreduce.map.maxattempts=2", "-mapper", "cat",
                      "-reducer", "NONE", "/in", "/set").stdout.decode().strip()
    cluster.run("job", "-wait", job)
    cluster.run("job", "-config", job, tmp_path / "job.xml")
    said = {p.findtext("name"): p.findtext("value") for p in ElementTree.parse(tmp_path / "job.xml").getroot()}
    assert said["my.odd"] == odd and said["mapreduce.map.maxattempts"] == "2" and said["mapreduce.job.name"] == "x & y"
    assert said["mapreduce.output.fileoutputformat.outputdir"] == "/set"
    assert cluster.run("job", "-config", job, "-").stdout == (tmp_path / "job.xml").read_bytes()
    refused = cluster.run("job", "-config", job, tmp_path, check=False)
    assert refused.returncode == 1 and refused.stderr.count(b"\n") == 1 and b"Is a directory" in refused.stderr


def test_a_terminal_shows_the_job_and_ctrl_c_leaves_it_running(cluster):
    ours, theirs = pty.openpty()
    run = subprocess.Popen([QUERN, "run", "-D", "slow.map.us=60000000", SLOW, "/in", "/shown"], env=cluster.env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen, limit = b"", time.monotonic() + 60
    while not re.search(rb"map +\S* *\d+ %  0/1", seen):
        assert time.monotonic() < limit, seen
        if select.select([ours], [], [], 0.05)[0]:
            seen += os.read(ours, 4096)
    run.send_signal(signal.SIGINT)
    while b"ends it" not in seen:
        seen += os.read(ours, 4096)
    assert run.wait(120) == 130
    os.close(ours)
    job = re.search(rb"job (\d+) runs on: `quern job -wait \1` waits for it, `quern job -kill \1` ends it", seen).group(1).decode()
    assert cluster.status(job)["state"] == 1
    cluster.run("job", "-kill", job)
    wait_for(lambda: cluster.status(job)["state"] == 5)


@pytest.mark.parametrize("command", ["run", "up", "down", "namenode"])
def test_every_option_the_help_shows_is_taken(command):
    shown = subprocess.run([QUERN, command, "-help"], capture_output=True, text=True, timeout=120).stdout
    options = re.findall(r"^  -([A-Za-z-]+)", shown, re.M)
    assert len(options) >= 2, shown
    for option in options:
        # behind it a word that ends every command with a usage error before anything is done
        run = subprocess.run([QUERN, command, "-" + option, "--no-such-option", "--no-such-option"], capture_output=True, text=True, timeout=120,
                             env=dict(os.environ, QUERN_CONF="/dev/null"))
        assert f'no option "-{option}"' not in run.stderr and f"no option -{option} " not in run.stderr
        assert run.returncode == 2, (option, run.stderr)
