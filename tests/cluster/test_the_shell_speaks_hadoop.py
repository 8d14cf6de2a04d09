# SPDX-License-Identifier: Apache-2.0
"""The shell's output, messages and exit codes, compared with tests/clients/fs_shell/*.txt (its
README tells the format) on a real cluster."""
import getpass
import glob
import os
import re
import shlex
import signal
import subprocess

import pytest

from cluster import QUERN, ROOT, Cluster, wait_for

CASES = os.path.join(ROOT, "tests", "clients", "fs_shell")
PATTERNS = {"date": r"\d{4}-\d\d-\d\d \d\d:\d\d", "utc": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "n": r" *\d+", "any": r".*"}


class Step:
    def __init__(self, kind, text):
        self.kind, self.text = kind, text
        self.out, self.err, self.code = [], [], 0
        self.open_end = False  # stdout does not end with a newline


def cases():
    for path in sorted(glob.glob(os.path.join(CASES, "*.txt"))):
        name, steps = None, []
        for line in open(path).read().split("\n") + ["=== "]:
            if line.startswith("=== "):
                if name:
                    yield pytest.param(steps, id=os.path.basename(path)[:-4] + ": " + name)
                name, steps = line[4:], []
            elif line[:2] in ("$ ", "% "):
                steps.append(Step(line[0], line[2:]))
            elif line.startswith(">|"):
                steps[-1].out.append(("=", line[3:]))
                steps[-1].open_end = True
            elif line[:1] == ">":
                steps[-1].out.append((line[1:2].replace(" ", "="), line[3 if line[1:2] in "~*" and line[1:2] else 2:]))
            elif line[:2] == "2>":
                steps[-1].err.append(("=", line[3:]))
            elif line[:2] == "2~":
                steps[-1].err.append(("~", line[3:]))
            elif line[:2] == "? ":
                steps[-1].code = int(line[2:])
            else:
                assert not line.strip(), f"{path}: what is this? {line}"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        c.words = {"user": getpass.getuser(), "group": "supergroup"}
        c.words["fs"] = re.search(r"fs.defaultFS = (\S+)", open(c.env["QUERN_CONF"]).read()).group(1)
        c.fs("-mkdir", "-p", "/user/" + c.words["user"])
        yield c


def fill(text, words):
    for key, value in words.items():
        text = text.replace("{%s}" % key, value)
    return text


def matches(line, kind, want, words):
    want = fill(want, words)
    if kind == "~":
        return re.fullmatch(want, line)
    regex = re.escape(want)
    for key, pattern in PATTERNS.items():
        regex = regex.replace(r"\{%s\}" % key, pattern)
    return re.fullmatch(regex, line)


def same_lines(what, lines, want, words):
    text = "\n".join(lines)
    if any(kind == "*" for kind, _ in want):  # the rest does not matter
        want = want[:[kind for kind, _ in want].index("*")]
        lines = lines[:len(want)]
    assert len(lines) == len(want), f"{what}: {len(lines)} lines instead of {len(want)}:\n{text}"
    for line, (kind, expected) in zip(lines, want):
        assert matches(line, kind, expected, words), f"{what}:\n  is       {line!r}\n  expected {expected!r}\nin:\n{text}"


def run_quern(cluster, text, cwd):
    text, stdin, into = fill(text, cluster.words), None, None
    here = re.search(r" <<< (.*)$", text)
    if here:
        text, stdin = text[:here.start()], (here.group(1) + "\n").encode()
    redirect = re.search(r" > (\w+)$", text)
    if redirect:
        text, into = text[:redirect.start()], os.path.join(cwd, redirect.group(1))
    quoted = re.sub(r"\$'(.*?)'", lambda m: shlex.quote(m.group(1).encode().decode("unicode_escape")), text)
    run = subprocess.run([QUERN, "fs"] + shlex.split(quoted), cwd=cwd, env=cluster.env, input=stdin,
                         stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True, timeout=120)
    if into:
        open(into, "wb").write(run.stdout)
        run.stdout = b""
    return run


def check_err(lines, want, words):
    if any(kind == "~" for kind, _ in want):
        for kind, expected in want:
            assert any(matches(line, kind, expected, words) for line in lines), f"no stderr line like {expected!r} in:\n" + "\n".join(lines)
    else:
        same_lines("stderr", lines, want, words)


@pytest.mark.parametrize("steps", list(cases()))
def test_case(cluster, steps, tmp_path):
    cluster.fs("-rm", "-r", "-f", "/t")
    cluster.fs("-mkdir", "/t")
    for step in steps:
        if step.kind == "%":
            subprocess.run(["bash", "-c", step.text], cwd=tmp_path, check=True)
            continue
        run = run_quern(cluster, step.text, tmp_path)
        out, err = run.stdout.decode(), run.stderr.decode()
        told = f"$ {step.text}\n{out}{err}"
        assert run.returncode == step.code, f"exit {run.returncode} instead of {step.code}:\n{told}"
        lines = out.split("\n")
        if not step.open_end:
            assert lines[-1] == "", f"no newline at the end of:\n{told}"
            lines.pop()
        same_lines(f"$ {step.text}", lines, step.out, cluster.words)
        check_err([e for e in err.split("\n") if e], step.err, cluster.words)


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name)
def test_who_is_interrupted_leaves_nothing_half_copied(cluster, sig):
    cluster.fs("-rm", "-r", "-f", "/t")
    cluster.fs("-mkdir", "/t")
    put = subprocess.Popen([QUERN, "fs", "-put", "-", "/t/half"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                           preexec_fn=lambda: signal.signal(sig, signal.SIG_DFL))  # nohup has it ignored
    put.stdin.write(b"x" * 3_000_000)
    put.stdin.flush()
    wait_for(lambda: b"half._COPYING_" in cluster.fs("-ls", "/t").stdout)
    put.send_signal(sig)
    assert put.wait(timeout=120) == 128 + sig
    assert b"put: Interrupted" in put.stderr.read()
    assert cluster.fs("-ls", "/t").stdout == b""


def test_two_writers_of_one_name_do_not_mix(cluster):
    cluster.fs("-rm", "-r", "-f", "/t")
    cluster.fs("-mkdir", "/t")
    puts = [subprocess.Popen([QUERN, "fs", "-put", "-f", "-", "/t/one"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)]
    for i, put in enumerate(puts):
        put.stdin.write(bytes([i]) * 200_000)
        put.stdin.close()
    codes = [put.wait(timeout=120) for put in puts]
    assert 0 in codes
    assert cluster.fs("-cat", "/t/one").stdout in (b"\0" * 200_000, b"\1" * 200_000)
    assert cluster.fs("-ls", "-C", "/t").stdout == b"/t/one\n"


@pytest.mark.parametrize("force", [["-f"], []], ids=["forced", "unforced"])
@pytest.mark.parametrize("sent", [0, 3_000_000], ids=["before its first block", "in the middle of a block"])
def test_a_later_writer_takes_the_name_over(cluster, force, sent):
    """Who comes later gets it whole; who lost it is told, and removes nothing that is not his."""
    cluster.fs("-rm", "-r", "-f", "/t")
    cluster.fs("-mkdir", "/t")
    first = subprocess.Popen([QUERN, "fs", "-put", *force, "-", "/t/one"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    first.stdin.write(b"1" * sent)
    first.stdin.flush()
    wait_for(lambda: b"one._COPYING_" in cluster.fs("-ls", "/t").stdout)
    before = cluster.fs("-stat", "%Y", "/t/one._COPYING_").stdout
    second = subprocess.Popen([QUERN, "fs", "-put", *force, "-", "/t/one"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    second.stdin.write(b"2" * 2_000_000)
    second.stdin.flush()
    wait_for(lambda: cluster.fs("-stat", "%Y", "/t/one._COPYING_").stdout != before)
    told = first.communicate(b"1" * 1000, timeout=120)[1]
    assert first.returncode == 1
    assert b"No lease on /t/one._COPYING_" in told, told
    assert b"one._COPYING_" in cluster.fs("-ls", "/t").stdout, "the loser removed the other's file"
    told = second.communicate(b"2", timeout=120)[1]
    assert (second.returncode, told) == (0, b"")
    assert cluster.fs("-cat", "/t/one").stdout == b"2" * 2_000_001
    assert cluster.fs("-ls", "-C", "/t").stdout == b"/t/one\n"


def test_two_gets_of_one_name_do_not_mix(cluster, tmp_path):
    cluster.fs("-rm", "-r", "-f", "/t")
    cluster.fs("-mkdir", "/t")
    cluster.fs("-put", "-", "/t/a", input=b"a" * 1_000_000)
    (tmp_path / "g").write_bytes(b"old")
    first = subprocess.Popen([QUERN, "fs", "-cp", "-f", "file:///dev/stdin", f"file://{tmp_path}/g"], env=cluster.env, stdin=subprocess.PIPE)
    first.stdin.write(b"1" * 300_000)
    first.stdin.flush()
    wait_for(lambda: os.path.exists(tmp_path / "g._COPYING_"))
    run = cluster.fs("-get", "-f", "/t/a", str(tmp_path / "g"), check=False)
    assert run.returncode == 1 and b"another process is writing it" in run.stderr
    first.communicate(b"1", timeout=120)
    assert first.returncode == 0
    assert (tmp_path / "g").read_bytes() == b"1" * 300_001
    cluster.fs("-get", "-f", "/t/a", str(tmp_path / "g"))
    assert os.listdir(tmp_path) == ["g"]


def test_a_configuration_mistake_is_one_line(cluster):
    run = cluster.fs("-D", "dfs.bloksize=1m", "-ls", "/", check=False)
    assert run.returncode == 1
    assert run.stderr.count(b"\n") == 1 and b"dfs.blocksize" in run.stderr, run.stderr


def test_somebody_else_may_not(cluster):
    cluster.fs("-rm", "-r", "-f", "/t")
    cluster.fs("-mkdir", "/t")
    env = {"HADOOP_USER_NAME": "bob"}
    run = cluster.fs("-mkdir", "/t/x", check=False, env=env)
    assert run.returncode == 1
    user = cluster.words["user"]
    assert run.stderr.decode() == ('mkdir: Permission denied: user=bob, access=WRITE, inode="/t":' f"{user}:supergroup:drwxr-xr-x\n")
