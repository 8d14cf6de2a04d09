# SPDX-License-Identifier: Apache-2.0
"""The commands among odd names, pipes that close, terminals, full disks and wrong addresses."""
import os
import pty
import resource
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

from cluster import QUERN, Cluster

NAMES = [b"sp ace", b"ta\tb", "\u00fcn\u00ef".encode(), b"new\nline", b"-dash", b"st*r", b"pct%20x", b"ha#sh", b"qu?st", b"br[a]ck",
         b"cur{a,b}", b"back\\slash", b"co:lon", b"not\xff\xfeutf", b"quo'te\"", b"~", b"x" * 246, b"y" * 255]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        c.fs("-put", "-", "/big", input=os.urandom(4 << 20))
        yield c


def test_any_name_a_disk_can_hold_goes_there_and_back(cluster, tmp_path):
    src = tmp_path / "src"
    src.mkdir()
    for name in NAMES:
        open(os.path.join(os.fsencode(src), name), "wb").write(name)
    cluster.fs("-put", str(src), "/odd")
    cluster.fs("-get", "/odd", str(tmp_path / "back"))
    back = os.fsencode(tmp_path / "back")
    assert {name: open(os.path.join(back, name), "rb").read() for name in os.listdir(back)} == {name: name for name in NAMES}
    listed = cluster.fs("-ls", "-C", "/odd").stdout
    assert listed == b"".join(b"/odd/" + name + b"\n" for name in sorted(NAMES))
    for name in NAMES:  # one by one, what a glob would take for its own escaped
        typed = b"".join(b"\\" + bytes([c]) if c in b"*?[]{}\\" else bytes([c]) for c in name)
        assert cluster.fs("-cat", b"/odd/" + typed).stdout == name


SAY = [["fs", "-cat", "/big"], ["fs", "-ls", "/"], ["fs", "-get", "/big", "-"], ["fs", "-help"], ["fs", "-count", "/"], ["admin", "-report"],
       ["fsck", "/"], ["job", "-list", "all"], ["job", "-help"], ["run", "-list"], ["run", "-help"], ["run", "wordcount", "-help"], ["help"],
       ["version"], ["--version"], ["--help"], ["up", "-help"], ["down", "-help"], ["console", "namenode", "info"],
       ["namenode", "--print-config"], ["datanode", "--help"], ["worker", "--version"]]


@pytest.mark.parametrize("words", SAY, ids=" ".join)
def test_what_cannot_be_said_is_a_failure(cluster, words):
    with open("/dev/full", "wb") as full:
        run = subprocess.run([QUERN] + words, env=cluster.env, stdout=full, stderr=subprocess.PIPE, timeout=120)
    assert run.returncode in (1, 255)
    last = run.stderr.decode().splitlines()[-1]
    assert last.endswith(("cannot write to stdout", "Unable to write to output stream."))


@pytest.mark.parametrize("words", SAY[:3], ids=" ".join)
def test_who_listens_no_more_is_no_error_worth_a_word(cluster, words):
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = subprocess.run([QUERN] + words, env=cluster.env, stdout=write_end, stderr=subprocess.PIPE, timeout=120)
    os.close(write_end)
    assert (run.returncode, run.stderr) == (-signal.SIGPIPE, b"")


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def test_a_get_that_finds_no_room_says_so_and_leaves_nothing(cluster, tmp_path):
    run = subprocess.run([QUERN, "fs", "-get", "/big", str(tmp_path)], env=cluster.env, capture_output=True, text=True, timeout=120,
                         preexec_fn=small_files)
    assert run.returncode == 1 and run.stderr == f"get: {tmp_path}/big._COPYING_: File too large\n"
    assert os.listdir(tmp_path) == []


def put_slowly(cluster, stderr):
    """A `put -` that has begun, and where it is fed."""
    read_end, write_end = os.pipe()
    put = subprocess.Popen([QUERN, "fs", "-put", "-f", "-", "/slow"], env=cluster.env, stdin=read_end, stderr=stderr)
    os.close(read_end)
    return put, write_end


def test_progress_is_shown_on_a_terminal(cluster):
    ours, theirs = pty.openpty()
    put, feed = put_slowly(cluster, theirs)
    os.close(theirs)
    seen, limit = b"", time.monotonic() + 30
    while b" files done" not in seen:
        assert time.monotonic() < limit, seen
        os.write(feed, b"x" * 4096)
        if select.select([ours], [], [], 0.05)[0]:
            seen += os.read(ours, 4096)
    os.close(feed)
    assert put.wait(120) == 0
    seen += os.read(ours, 4096)
    assert seen.startswith(b"\rput  ") and seen.endswith(b"\r\x1b[K")  # nothing of it stays
    os.close(ours)


def test_progress_is_not_shown_in_a_pipe(cluster):
    put, feed = put_slowly(cluster, subprocess.PIPE)
    limit = time.monotonic() + 1.5
    while time.monotonic() < limit:
        os.write(feed, b"x" * 4096)
        select.select([put.stderr], [], [], 0.05)
    os.close(feed)
    assert (put.wait(120), put.stderr.read()) == (0, b"")


def test_several_sources_of_which_one_is_missing(cluster, tmp_path):
    (tmp_path / "a").write_text("a\n")
    (tmp_path / "c").write_text("c\n")
    os.mkfifo(tmp_path / "fifo")
    feeder = subprocess.Popen(["sh", "-c", f"echo fed >{tmp_path}/fifo"])
    cluster.fs("-mkdir", "/several")
    run = cluster.fs("-put", *(str(tmp_path / n) for n in ("a", "b", "c", "fifo")), "/several", check=False)
    feeder.wait()
    assert run.returncode == 1 and run.stderr.decode() == f"put: `{tmp_path}/b': No such file or directory\n"
    run = cluster.fs("-cat", "/several/a", "/several/b", "/several/c", "/several/fifo", check=False)
    assert (run.returncode, run.stdout) == (1, b"a\nc\nfed\n")


def test_a_wrong_address_is_told_at_once(cluster):
    conf = open(cluster.env["QUERN_CONF"]).read()
    rpc = int(conf.split("fs.defaultFS = quern://127.0.0.1:")[1].split()[0])
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        closed = s.getsockname()[1]
    cases = {f"quern://127.0.0.1:{rpc - 1}/": f"127.0.0.1:{rpc - 1} is a web server's port, not quern's RPC port",
             f"hdfs://127.0.0.1:{closed}/": f"cannot reach 127.0.0.1:{closed}: connection refused: is the namenode running?",
             "quern://127.0.0.1:99999/": '"127.0.0.1:99999" is no host:port', "gopher://h/": 'No FileSystem for scheme "gopher"'}
    for uri, text in cases.items():
        began = time.monotonic()
        run = cluster.fs("-ls", uri, check=False)
        assert (run.returncode, run.stderr.decode()) == (1, f"ls: {text}\n")
        assert time.monotonic() - began < 10
    assert cluster.fs("-ls", "-C", f"hdfs://127.0.0.1:{rpc}/big").stdout == f"hdfs://127.0.0.1:{rpc}/big\n".encode()


def test_a_namenode_that_says_nothing_is_given_up(cluster):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        run = cluster.fs("-D", "dfs.client.socket-timeout=300ms", "-ls", f"quern://127.0.0.1:{port}/", check=False)
    assert (run.returncode, run.stderr.decode()) == (1, f"ls: cannot reach 127.0.0.1:{port}: timed out\n")


def test_a_directory_of_many_is_listed_in_pages(cluster, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for i in range(2500):
        (many / f"f{i:04}").touch()
    cluster.fs("-put", str(many), "/")
    names = [f"/many/f{i:04}" for i in range(2500)]
    assert cluster.fs("-ls", "-C", "/many").stdout.decode().split() == names
    assert cluster.fs("-ls", "-C", "/many/f1*7").stdout.decode().split() == [n for n in names if n[7] == "1" and n[-1] == "7"]
    assert cluster.fs("-count", "/many").stdout.split()[:3] == [b"1", b"2500", b"0"]
    du = cluster.fs("-du", "/many").stdout.decode().splitlines()
    assert [line.split()[2] for line in du] == names
    assert cluster.fs("-rm", "-r", "-skipTrash", "/many/f0*").stdout.count(b"Deleted") == 1000
    assert cluster.fs("-rm", "-r", "/many").returncode == 0
    shutil.rmtree(many)


def test_a_configuration_that_is_not_there_is_told_as_such(cluster):
    run = cluster.fs("-ls", "/", env={"QUERN_CONF": "/nowhere/q.conf"}, check=False)
    assert (run.returncode, run.stderr) == (1, b"ls: cannot read configuration file /nowhere/q.conf (from $QUERN_CONF): No such file or directory\n")
    run = cluster.run("run", "-conf", "/nowhere/q.conf", "wordcount", "/a", "/b", check=False)
    assert (run.returncode, run.stderr) == (2, b"quern run: cannot read configuration file /nowhere/q.conf: No such file or directory\n")


def test_a_setting_of_the_engine_that_is_misspelt_is_named(cluster):
    run = cluster.run("run", "-D", "mapreduce.job.redces=2", "wordcount", "/big", "/out", check=False)
    assert run.returncode == 2
    assert run.stderr.startswith(b'quern run: no option "mapreduce.job.redces" (did you mean mapreduce.job.reduces?): wordcount knows ')


def shown_on_a_terminal(cluster, *words, **env):
    """What a command prints when its stdout is a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([QUERN, "fs", *words], env=dict(cluster.env, TERM="xterm", **env), stdout=slave) as run:
        os.close(slave)
        said = b""
        try:
            while more := os.read(master, 65536):
                said += more
        except OSError:  # the other side is closed
            pass
    os.close(master)
    assert run.returncode == 0
    return said


def test_ls_has_colours_for_a_person_and_none_for_a_script(cluster):
    cluster.fs("-mkdir", "-p", "/hues/dir")
    assert b"\033[01;34m/hues/dir\033[0m" in shown_on_a_terminal(cluster, "-ls", "/hues")
    assert b"\033" not in shown_on_a_terminal(cluster, "-ls", "/hues", NO_COLOR="1")
    assert b"\033" not in cluster.fs("-ls", "/hues", env={"TERM": "xterm"}).stdout


def test_tail_follows_what_is_appended(cluster):
    cluster.fs("-put", "-", "/followed", input=b"one\n")
    with subprocess.Popen([QUERN, "fs", "-tail", "-f", "-s", "50", "/followed"], env=cluster.env, stdout=subprocess.PIPE) as tail:
        assert tail.stdout.readline() == b"one\n"
        cluster.fs("-appendToFile", "-", "/followed", input=b"two\n")
        assert tail.stdout.readline() == b"two\n"
        cluster.fs("-appendToFile", "-", "/followed", input=b"three\n")
        assert tail.stdout.readline() == b"three\n"
        tail.send_signal(signal.SIGINT)
    assert tail.returncode == 130


def test_requests_that_go_side_by_side_are_told_in_their_order(cluster, tmp_path):
    many = tmp_path / "side"
    (many / "f250d").mkdir(parents=True)
    names = [f"f{i:03}" for i in range(500)]
    for name in names:
        (many / name).touch()
    cluster.fs("-put", str(many), "/")
    bobs = names[1::2]
    cluster.fs("-chown", "bob", "/side", *(f"/side/{n}" for n in bobs))
    run = cluster.fs("-chmod", "-R", "701", "/side", env={"HADOOP_USER_NAME": "bob"}, check=False)
    others = sorted(set(names) - set(bobs) | {"f250d"})
    assert run.stderr.decode().splitlines() == [
        f"chmod: changing permissions of '/side/{n}': Permission denied. user=bob is not the owner of inode=/side/{n}" for n in others]
    assert run.returncode == 1
    modes = {line.split()[7]: line.split()[0] for line in cluster.fs("-ls", "/side").stdout.decode().splitlines()[1:]}
    assert all(modes[f"/side/{n}"] == "-rwx-----x" for n in bobs) and modes["/side/f000"] == "-rw-r--r--"

    run = subprocess.run([QUERN, "fs", "-rm", "-skipTrash", "/side/*"], env=cluster.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    assert run.stdout.decode().splitlines() == [f"Deleted /side/{n}" if n in names else f"rm: `/side/{n}': Is a directory" for n in sorted(names + ["f250d"])]


def test_what_lies_in_another_operand_is_not_removed_beside_it(cluster):
    for _ in range(20):
        cluster.fs("-mkdir", "-p", "/in/side")
        run = cluster.fs("-rm", "-r", "-skipTrash", "/in", "/in/side", check=False)
        assert (run.stdout, run.stderr.decode()) == (b"Deleted /in\n", "rm: `/in/side': Input/output error\n")


def test_what_goes_to_the_trash_side_by_side_is_told_in_its_order(cluster, tmp_path):
    many = tmp_path / "bin"
    many.mkdir()
    for i in range(200):
        (many / f"f{i:03}").touch()
    cluster.fs("-put", str(many), "/")
    conf = (["-D", "fs.trash.interval=60"])
    run = cluster.fs(*conf, "-rm", "/bin/*")
    said = run.stderr.decode().splitlines() + run.stdout.decode().splitlines()
    assert len(said) == 200 and all(f"/bin/f{i:03}" in line for i, line in enumerate(said))


@pytest.mark.parametrize("words, said", [("-put -f - /closed", "put: reading stdin: Bad file descriptor"), ("-appendToFile - /closed", "appendToFile: reading stdin: Bad file descriptor"),
                                         ("-ls /", "ls: Unable to write to output stream."), ("-cat /big", "cat: Unable to write to output stream.")])
def test_descriptors_that_are_closed_are_told(cluster, words, said):
    run = subprocess.run(["sh", "-c", f'exec "$0" fs {words} <&- >&-', QUERN], env=cluster.env, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (1, said + "\n")
