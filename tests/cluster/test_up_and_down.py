# SPDX-License-Identifier: Apache-2.0
"""quern up and quern down as a newcomer uses and abuses them."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from cluster import QUERN, Cluster, wait_for

DAEMONS = ["namenode", "datanode1", "datanode2", "jobtracker", "worker1", "worker2"]


@pytest.fixture
def cluster():
    c = Cluster(datanodes=2, workers=2)
    yield c
    c.destroy()


def processes_of(cluster):
    """Every process that was told a file of this cluster's directory."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline").read()
            state = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if cluster.dir in words and state != "Z":
            found.append(int(pid))
    return found


def is_empty(cluster):
    wait_for(lambda: not processes_of(cluster))
    return True


def take_a_port():
    """A listening socket on a port that --port-base may be, below those that the kernel gives to
    whoever connects: there, hundreds may be in use above it while other tests run."""
    for port in range(11000 + os.getpid() % 9000, 32000):
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            s.close()
            continue
        s.listen()
        return s
    raise AssertionError("no port is free")


def up_words(cluster, *more):
    return [QUERN, "up", "--dir", cluster.dir] + cluster.args + list(more)


def test_one_command_brings_it_up_and_says_what_to_type(cluster):
    out = cluster.up().stdout
    assert re.search(r"^cluster +namenode, 2 datanodes, jobtracker, 2 workers on 127.0.0.1   up in ", out, re.M)
    assert re.search(r"^status pages +namenode http://127.0.0.1:\d+   jobs http://127.0.0.1:\d+$", out, re.M)
    assert f"\nexport QUERN_CONF={cluster.dir}/quern.conf\n" in out
    assert all(cluster.pid(d) for d in DAEMONS)
    cluster.fs("-ls", "/")


def test_down_stops_everything_and_waits(cluster):
    cluster.up()
    out = subprocess.run([QUERN, "down", "--dir", cluster.dir], capture_output=True, text=True, timeout=120)
    assert out.returncode == 0, out.stderr
    assert processes_of(cluster) == []
    assert out.stdout == f"6 daemons of {cluster.dir} stopped\n"
    again = subprocess.run([QUERN, "down", "-dir", cluster.dir], capture_output=True, text=True, timeout=120)
    assert (again.returncode, again.stdout) == (0, f"nothing is running in {cluster.dir}\n")


def test_data_stays_over_down_and_up(cluster):
    cluster.up()
    cluster.fs("-put", "-", "/a", input=b"kept\n")
    cluster.down()
    cluster.up()
    assert cluster.fs("-cat", "/a").stdout == b"kept\n"


def test_a_second_up_starts_only_what_is_down(cluster):
    cluster.up()
    before = {d: cluster.pid(d) for d in DAEMONS}
    assert "is up already" in cluster.up().stdout
    assert {d: cluster.pid(d) for d in DAEMONS} == before
    cluster.kill("worker2")
    cluster.kill("datanode1")
    assert "4 were up already, 2 were started" in cluster.up().stdout
    after = {d: cluster.pid(d) for d in DAEMONS}
    assert [d for d in DAEMONS if after[d] != before[d]] == ["datanode1", "worker2"]


def test_what_is_down_is_started_while_somebody_keeps_the_namenode_in_safe_mode(cluster):
    """As one does who works on datanodes; only a namenode that begins like that is not left running."""
    cluster.up()
    cluster.run("admin", "-safemode", "enter")
    cluster.kill("datanode1")
    again = cluster.up()
    assert "5 were up already, 1 were started" in again.stdout, again.stdout
    assert "the namenode is in safe mode: It was turned on manually" in again.stdout, again.stdout
    assert cluster.pid("datanode1")
    assert b"Safe mode is ON" in cluster.run("admin", "-safemode", "get").stdout
    cluster.run("admin", "-safemode", "leave")
    assert "safe mode" not in cluster.up().stdout


def test_a_taken_port_moves_all_of_them_and_is_told(cluster):
    taken = take_a_port()
    base = taken.getsockname()[1] - 11  # where datanode1 would listen
    cluster.args += ["--port-base", str(base)]
    out = cluster.up().stdout
    assert f"127.0.0.1:{base + 11} is taken by process {os.getpid()} (" in out
    moved = int(re.search(r"using ports (\d+) to \d+$", out, re.M).group(1))
    assert moved > base and (moved - base) % 100 == 0  # the next ones may be taken as well
    assert f"namenode http://127.0.0.1:{moved} " in out
    taken.close()


def test_a_daemon_that_cannot_start_is_named_and_leaves_no_orphan(cluster):
    os.makedirs(os.path.join(cluster.dir, "data"))
    open(os.path.join(cluster.dir, "data", "2"), "w").close()
    run = cluster.up(check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("quern up: datanode2: ")
    assert cluster.dir + "/data/2" in run.stderr and run.stderr.count("\n") == 1
    assert is_empty(cluster)


def test_a_mistake_in_the_users_own_keys_is_named_with_its_line(cluster):
    os.makedirs(cluster.dir, exist_ok=True)
    with open(os.path.join(cluster.dir, "site.conf"), "w") as f:
        f.write("# mine\ndfs.bloksize = 1m\n")
    run = cluster.up(check=False)
    assert run.returncode == 1
    assert 'site.conf:2: unknown key "dfs.bloksize" (did you mean dfs.blocksize?)' in run.stderr
    assert is_empty(cluster)


def test_it_can_grow_but_not_shrink(cluster):
    cluster.up()
    cluster.down()
    cluster.args = ["--datanodes", "1"]
    run = cluster.up(check=False)
    assert run.returncode == 2 and "has 2 datanodes; with 1 some blocks would be missing" in run.stderr
    cluster.args = ["--datanodes", "3"]
    assert "namenode, 3 datanodes, jobtracker, 2 workers" in cluster.up().stdout
    assert cluster.pid("datanode3")


def in_front(cluster):
    """A foreground `quern up` that has said it serves."""
    up = subprocess.Popen(up_words(cluster), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    line = ""
    while "Ctrl-C" not in line:
        line = up.stdout.readline()
        assert line, "quern up ended"
    return up


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_takes_a_foreground_cluster_down(cluster, sig):
    up = in_front(cluster)
    up.send_signal(sig)
    assert up.wait(120) == 0
    assert processes_of(cluster) == []


def test_a_foreground_cluster_ends_even_when_quern_up_is_killed(cluster):
    up = in_front(cluster)
    up.kill()
    up.wait()
    assert is_empty(cluster)


def test_a_daemon_that_dies_is_told_and_not_respawned(cluster):
    up = in_front(cluster)
    cluster.kill("worker1")
    assert up.stdout.readline().startswith("worker1 was killed by signal 9; `quern up ")
    time.sleep(0.3)
    assert cluster.pid("worker1") is None
    up.send_signal(signal.SIGINT)
    assert up.wait(120) == 0


def test_ctrl_c_while_it_comes_up_leaves_nothing(cluster):
    up = subprocess.Popen(up_words(cluster, "--detach"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: cluster.pid("namenode"), every=0.005)
    up.send_signal(signal.SIGINT)
    out, err = up.communicate(timeout=120)
    assert up.returncode in (0, 130), err  # it may just have been ready
    if up.returncode == 130:
        assert is_empty(cluster)


def test_the_console_answers(cluster):
    cluster.up()
    assert b'"daemon":"datanode"' in cluster.run("console", "datanode2", "info").stdout
    assert cluster.run("console", "worker1", "config", "node.name").stdout == b"node1\n"


def test_the_front_names_near_misses_and_keeps_exit_codes(cluster):
    def code(*words):
        run = cluster.run(*words, check=False)
        return run.returncode, run.stderr.decode()

    assert code("upp") == (2, 'quern: no command "upp" (did you mean up?)\n')
    assert code("up", "--datanode", "3") == (2, 'quern up: no option "--datanode" (did you mean -datanodes?)\n')
    assert code("up", "--datanodes", "0")[0] == 2
    assert code("down", "x")[0] == 2
    assert code()[0] == 2
    assert code("--version")[0] == 0


def test_the_same_command_again_keeps_the_ports_of_those_that_run(cluster):
    """... also when its base was taken the first time, and a daemon has died since."""
    with take_a_port() as taken:
        base = ["--port-base", str(taken.getsockname()[1])]
        first = subprocess.run(up_words(cluster, "--detach", *base), capture_output=True, text=True, timeout=120)
        assert "using ports" in first.stdout, first.stdout + first.stderr
    cluster.kill("namenode")
    again = subprocess.run(up_words(cluster, "--detach", *base), capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert re.search(r"^export .*", first.stdout, re.M).group() in again.stdout
    cluster.fs("-mkdir", "/still")


def test_a_daemon_that_goes_while_up_looks_is_started_after_all(cluster):
    cluster.up()
    pid = cluster.pid("namenode")
    os.kill(pid, signal.SIGSTOP)
    again = subprocess.Popen(up_words(cluster, "--detach"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with pytest.raises(subprocess.TimeoutExpired):
        again.wait(0.5)  # it has seen six that run, and waits for the one that says nothing
    os.kill(pid, signal.SIGKILL)
    out, _ = again.communicate(timeout=120)
    assert again.returncode == 0, out
    assert "5 were up already, 1 were started" in out


def test_a_directory_with_any_name_works_and_the_line_to_type_does(cluster):
    os.makedirs(cluster.dir, exist_ok=True)
    inner = os.path.join(cluster.dir, "it's a dir")
    up = subprocess.run([QUERN, "up", "-detach", "-dir", "./it's a dir/"] + cluster.args, capture_output=True, text=True, timeout=120, cwd=cluster.dir)
    assert up.returncode == 0, up.stderr
    line = re.search(r"^export .*", up.stdout, re.M).group()
    shown = subprocess.run(["sh", "-c", f'{line}; echo "$QUERN_CONF"; {QUERN} fs -ls -d -C /'], capture_output=True, text=True, timeout=120)
    assert shown.stdout == f"{cluster.dir}/./it's a dir/quern.conf\n/\n", shown.stderr
    down = subprocess.run([QUERN, "down", "-dir", inner], capture_output=True, text=True, timeout=120)
    assert down.stdout.startswith("6 daemons of "), down.stderr


def test_the_default_directory_is_found_by_clients_themselves(cluster):
    os.makedirs(cluster.dir, exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k != "QUERN_CONF"}
    env["HOME"] = cluster.dir

    def run(*words):
        return subprocess.run([QUERN, *words], capture_output=True, text=True, timeout=120, env=env)

    up = run("up", "-detach", "-datanodes", "1", "-workers", "1")
    assert up.returncode == 0, up.stderr
    assert f"export QUERN_CONF={cluster.dir}/.local/share/quern/quern.conf\n" in up.stdout
    assert run("fs", "-ls", "-d", "-C", "/").stdout == "/\n"
    assert run("job", "-list").stdout == "Total jobs:0\n"
    assert run("down").stdout.startswith("4 daemons of ")


def test_what_somebody_wrote_by_hand_is_not_written_over(cluster):
    os.makedirs(cluster.dir, exist_ok=True)
    conf = os.path.join(cluster.dir, "quern.conf")
    with open(conf, "w") as f:
        f.write("dfs.replication = 2\n")
    run = cluster.up(check=False)
    assert run.returncode == 1
    assert run.stderr == f"quern up: {conf} was not written by `quern up`, which would write over it: choose another -dir\n"
    assert (open(conf).read(), os.listdir(cluster.dir)) == ("dfs.replication = 2\n", ["quern.conf"])


def test_a_site_conf_that_was_removed_is_no_loss(cluster):
    cluster.up()
    cluster.down()
    os.remove(os.path.join(cluster.dir, "site.conf"))
    cluster.up()
    cluster.fs("-ls", "/")


@pytest.mark.parametrize("words, message", [
    (["-dir", ""], "-dir needs DIR"), (["-dir"], "-dir needs DIR"), (["-datanodes", "x"], "-datanodes x: want a number from 1 to 64"),
    (["-workers", "-1"], "-workers -1: want a number from 1 to 64"), (["-replication", "3"], "-replication 3: want a number from 1 to 2"),
    (["-port-base", "80"], "-port-base 80: want a number from 1024 to 60000"), (["-detach=yes"], "-detach takes no value"),
    (["there"], 'takes no argument "there" (-dir DIR?)')], ids=" ".join)
def test_what_makes_no_sense_is_refused(cluster, words, message):
    run = subprocess.run(up_words(cluster, *words), capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stderr) == (2, f"quern up: {message}\n")


def test_two_at_once_do_not_disturb_each_other(cluster):
    ups = [subprocess.Popen(up_words(cluster, "-detach"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outs = [up.communicate(timeout=120) for up in ups]
    codes = sorted(up.returncode for up in ups)
    assert codes in ([0, 0], [0, 1]), outs
    for up, (out, err) in zip(ups, outs):
        if up.returncode:
            assert re.fullmatch(r"quern up: another `quern up` is at work on .* \(process \d+\)\n", err)
    assert len(processes_of(cluster)) == len(DAEMONS)


def test_pid_files_of_the_dead_and_of_others_are_not_believed(cluster):
    cluster.up()
    pids = {d: cluster.pid(d) for d in DAEMONS}
    for d in DAEMONS:
        cluster.kill(d)
    with open(os.path.join(cluster.dir, "run", "namenode.pid"), "w") as f:
        f.write(f"{os.getpid()}\n")  # alive, and none of ours
    assert subprocess.run([QUERN, "down", "-dir", cluster.dir], capture_output=True, text=True, timeout=120).stdout == f"nothing is running in {cluster.dir}\n"
    cluster.up()
    assert all(cluster.pid(d) not in (None, pids[d], os.getpid()) for d in DAEMONS)


def test_down_ends_a_daemon_that_was_stopped_too(cluster):
    cluster.up()
    for d in ("namenode", "worker1"):
        os.kill(cluster.pid(d), signal.SIGSTOP)
    down = subprocess.run([QUERN, "down", "-dir", cluster.dir], capture_output=True, text=True, timeout=120)
    assert (down.returncode, down.stdout, down.stderr) == (0, f"6 daemons of {cluster.dir} stopped\n", "")
