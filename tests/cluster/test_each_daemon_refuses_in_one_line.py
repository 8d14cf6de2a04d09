# SPDX-License-Identifier: Apache-2.0
"""What keeps a daemon from starting is one line on its stderr, which names the thing, and an exit code:
2 for options and configuration, 1 for all else. For each kind of daemon; and nothing on disk is touched."""
import os
import re
import shutil
import socket
import subprocess

import pytest

from cluster import BUILD, Cluster, ToldWriter, wait_for

DAEMONS = ["namenode", "datanode1", "jobtracker", "worker1"]
RPC = {"namenode": "dfs.namenode.rpc-address", "datanode1": "dfs.datanode.address",
       "jobtracker": "mapreduce.jobtracker.address", "worker1": "worker.address"}
HTTP = {"namenode": "dfs.namenode.http-address", "datanode1": "dfs.datanode.http.address",
        "jobtracker": "mapreduce.jobtracker.http.address", "worker1": "worker.http.address"}
DIR = {"namenode": "dfs.namenode.name.dir", "datanode1": "dfs.datanode.data.dir",
       "jobtracker": "jobtracker.dir", "worker1": "worker.local.dir"}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        yield c


def program(daemon):
    return os.path.join(BUILD, "quern-" + daemon.rstrip("1"))


def refuses(c, daemon, *keys, code=1, log=None):
    """The one line a daemon of this cluster's configuration, with these keys over it, ends with."""
    words = [program(daemon), "-conf", f"{c.dir}/conf/{daemon}.conf", "-D", f"log.file={log or c.dir + '/refused.log'}", "-D", "admin.socket="]
    for key in keys:
        words += ["-D", key]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert run.returncode == code, run
    assert run.stdout == "" and run.stderr.count("\n") == 1 and run.stderr.startswith(f"quern-{daemon.rstrip('1')}: "), run
    return run.stderr


def own(daemon, dir):
    """Keys that give a second daemon ports and a directory of its own."""
    return [RPC[daemon] + "=127.0.0.1:0", HTTP[daemon] + "=127.0.0.1:0", f"{DIR[daemon]}={dir}"] + (
        ["dfs.domain.socket.path="] if daemon == "datanode1" else [])


def tree(dir):
    """Every regular file below it, and what is in it."""
    paths = [os.path.join(base, n) for base, _, names in os.walk(dir) for n in names]
    return {p: open(p, "rb").read() for p in paths if os.path.isfile(p)}


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("keys", [RPC, HTTP])
def test_a_taken_port_names_who_has_it(cluster, tmp_path, daemon, keys):
    if daemon == "namenode":
        format(tmp_path / "d")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        line = refuses(cluster, daemon, *own(daemon, tmp_path / "d"), f"{keys[daemon]}={address}")
        assert f"{address} is taken by process {os.getpid()} (" in line


def format(dir):
    subprocess.run([program("namenode"), "-format", "-D", f"dfs.namenode.name.dir={dir}"], check=True, capture_output=True)


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_directory_in_use_names_who_uses_it(cluster, daemon):
    dir = {"namenode": "name", "datanode1": "data/1", "jobtracker": "jobs", "worker1": "work/1"}[daemon]
    before = tree(f"{cluster.dir}/{dir}").keys()
    line = refuses(cluster, daemon, *own(daemon, f"{cluster.dir}/{dir}"))
    assert f"{cluster.dir}/{dir} is in use: locked by process {cluster.pid(daemon)} (quern-" in line
    assert tree(f"{cluster.dir}/{dir}").keys() == before


@pytest.mark.parametrize("daemon", DAEMONS)
def test_an_unknown_key_is_named_with_the_near_one(cluster, tmp_path, daemon):
    near = DIR[daemon][:-2] + "ri"
    line = refuses(cluster, daemon, near + "=/nowhere", code=2)
    assert f'unknown key "{near}" (did you mean {DIR[daemon]}?)' in line
    conf = tmp_path / "x.conf"
    conf.write_text(f"# one\n\nlog.levle = info\n")
    run = subprocess.run([program(daemon), "-conf", str(conf)], capture_output=True, text=True, timeout=120)
    assert run.returncode == 2 and run.stderr.count("\n") == 1
    assert f'{conf}:3: unknown key "log.levle" (did you mean log.level?)' in run.stderr


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("keys", [RPC, HTTP])
def test_other_machines_are_let_in_only_when_that_is_said_aloud(cluster, tmp_path, daemon, keys):
    if daemon == "namenode":
        format(tmp_path / "d")
    line = refuses(cluster, daemon, *own(daemon, tmp_path / "d"), keys[daemon] + "=0.0.0.0:0", code=2)
    assert "trust = network" in line and "0.0.0.0" in line


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_directory_that_cannot_be_made_is_named(cluster, tmp_path, daemon):
    (tmp_path / "file").write_text("mine")
    line = refuses(cluster, daemon, *own(daemon, tmp_path / "file" / "d"))
    assert str(tmp_path / "file") in line
    assert (tmp_path / "file").read_text() == "mine"


def test_a_namenode_without_a_format_says_what_to_type(cluster, tmp_path):
    line = refuses(cluster, "namenode", *own("namenode", tmp_path / "d"))
    assert "-format" in line and str(tmp_path / "d") in line


@pytest.fixture()
def stopped(cluster, tmp_path):
    """Copies of each daemon's directory that nobody uses."""
    if cluster.fs("-test", "-e", "/f", check=False).returncode:
        cluster.fs("-put", "-", "/f", input=b"bytes")
    for name, dir in (("namenode", "name"), ("datanode1", "data/1"), ("jobtracker", "jobs"), ("worker1", "work/1")):
        wait_for(lambda: version_of(f"{cluster.dir}/{dir}"))
        shutil.copytree(f"{cluster.dir}/{dir}", tmp_path / name, ignore=shutil.ignore_patterns("in_use.lock", "*.sock"))
    return {name: tmp_path / name for name in DAEMONS}


def version_of(dir):
    return next((os.path.join(base, "VERSION") for base, _, names in os.walk(dir) if "VERSION" in names), None)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def change_version(dir, old, new, sealed=True):
    path = version_of(dir)
    text = open(path).read().replace(old, new)
    head, check = text.rsplit("check=", 1)
    open(path, "w").write(head + "check=" + ("%08x\n" % crc32c(head.encode()) if sealed else check))


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_newer_layout_is_left_alone(cluster, stopped, daemon):
    change_version(stopped[daemon], "layout=1", "layout=77")
    before = tree(stopped[daemon])
    line = refuses(cluster, daemon, *own(daemon, stopped[daemon]))
    assert "was written by a newer quern (layout 77, this one reads up to 1)" in line and str(stopped[daemon]) in line
    assert {p: b for p, b in tree(stopped[daemon]).items() if "in_use.lock" not in p} == before


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("damage", ["changed", "cut", "empty", "noise"])
def test_a_damaged_version_file_is_named(cluster, stopped, daemon, damage):
    path = version_of(stopped[daemon])
    whole = open(path, "rb").read()
    if damage == "changed":
        change_version(stopped[daemon], "cluster=", "cluster=0", sealed=False)
    else:
        open(path, "wb").write({"cut": whole[:-20], "empty": b"", "noise": os.urandom(300)}[damage])
    before = tree(stopped[daemon])
    line = refuses(cluster, daemon, *own(daemon, stopped[daemon]))
    assert f"{path} is damaged or not quern's: " in line
    assert {p: b for p, b in tree(stopped[daemon]).items() if "in_use.lock" not in p} == before


@pytest.mark.parametrize("daemon, other", [("namenode", "datanode1"), ("datanode1", "namenode"), ("jobtracker", "namenode"), ("jobtracker", "datanode1"),
                                           ("jobtracker", "worker1"), ("worker1", "namenode"), ("worker1", "datanode1"),
                                           ("worker1", "jobtracker")])
def test_the_directory_of_another_kind_of_daemon_is_refused(cluster, stopped, daemon, other):
    before = tree(stopped[other])
    line = refuses(cluster, daemon, *own(daemon, stopped[other]))
    assert str(stopped[other]) in line
    assert {p: b for p, b in tree(stopped[other]).items() if "in_use.lock" not in p} == before


def test_the_blocks_of_another_cluster_are_refused(cluster, stopped):
    change_version(stopped["datanode1"], "cluster=", "cluster=f0")
    before = tree(stopped["datanode1"])
    line = refuses(cluster, "datanode1", *own("datanode1", stopped["datanode1"]), "node.name=stranger")
    assert "belongs to cluster f0" in line and "wrong disk, or wrong namenode" in line
    assert {p: b for p, b in tree(stopped["datanode1"]).items() if "in_use.lock" not in p} == before


@pytest.mark.parametrize("daemon, other", [("jobtracker", "namenode"), ("worker1", "jobtracker")])
def test_the_work_of_another_cluster_is_refused(cluster, stopped, daemon, other):
    change_version(stopped[daemon], "cluster=", "cluster=f0")
    before = tree(stopped[daemon])
    line = refuses(cluster, daemon, *own(daemon, stopped[daemon]), "node.name=stranger")
    assert f"{stopped[daemon]} belongs to cluster f0" in line and f"wrong disk, or wrong {other}" in line
    after = {p: b for p, b in tree(stopped[daemon]).items() if "in_use.lock" not in p and "/journal/" not in p}
    assert after == {p: b for p, b in before.items() if "/journal/" not in p}


@pytest.mark.parametrize("daemon", ["jobtracker", "worker1"])
def test_a_directory_of_somebodys_files_is_not_worked_in(cluster, tmp_path, daemon):
    (tmp_path / "letters").write_text("dear")
    line = refuses(cluster, daemon, *own(daemon, tmp_path))
    assert f"{tmp_path} holds files but no VERSION" in line
    assert set(os.listdir(tmp_path)) <= {"in_use.lock", "letters"}


def test_somebodys_files_are_not_taken_for_blocks(cluster, tmp_path):
    (tmp_path / "letters").write_text("dear")
    line = refuses(cluster, "datanode1", *own("datanode1", tmp_path))
    assert str(tmp_path) in line
    assert os.listdir(tmp_path) == ["letters"] or sorted(os.listdir(tmp_path)) == ["in_use.lock", "letters"]


def test_a_copied_data_directory_does_not_serve_twice(cluster, stopped):
    line = subprocess.Popen([program("datanode1"), "-conf", f"{cluster.dir}/conf/datanode1.conf", "-D", f"log.file={cluster.dir}/twice.log",
                             "-D", "admin.socket=", "-D", "node.name=twin"] + [w for k in own("datanode1", stopped["datanode1"]) for w in ("-D", k)])
    try:
        wait_for(lambda: "a copied directory cannot serve twice" in open(f"{cluster.dir}/twice.log").read() if os.path.exists(f"{cluster.dir}/twice.log") else False)
        assert cluster.fs("-cat", "/f").stdout == b"bytes"
    finally:
        line.kill()
        line.wait()


def test_another_clusters_namenode_in_the_place_of_ours_is_refused(cluster, tmp_path):
    """The same address, another namespace: who is in the middle of something hears it in one line and changes nothing."""
    conf = ["-conf", f"{cluster.dir}/conf/namenode.conf", "-D", f"dfs.namenode.name.dir={tmp_path}/other", "-D", f"log.file={tmp_path}/other.log"]
    ids = [re.search("cluster=(.*)", open(version_of(f"{cluster.dir}/name")).read())[1]]
    subprocess.run([program("namenode"), "-format", *conf], check=True, capture_output=True, timeout=120)
    ids.append(re.search("cluster=(.*)", open(version_of(f"{tmp_path}/other")).read())[1])
    writer = ToldWriter(cluster, "/open")
    writer.tell("write 1000", "hflush", "write 1000")
    daemons = [d for d in ("datanode1", "jobtracker") if cluster.pid(d)]
    cluster.kill("namenode")
    other = subprocess.Popen([program("namenode"), *conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        writer.say("close")
        answer = writer.run.stdout.readline()
        assert answer.startswith("error ") and ids[0] in answer and ids[1] in answer, answer
        for daemon in daemons:
            wait_for(lambda: not cluster.pid(daemon))
            last = open(f"{cluster.dir}/log/{daemon}.log").read().splitlines()[-6:]
            assert any(ids[0] in line and ids[1] in line and "wrong namenode" in line for line in last), last
    finally:
        other.kill()
        other.wait()
    cluster.up()
    assert cluster.fs("-cat", "/open").stdout[:1000] == ToldWriter.bytes(1000)
