# SPDX-License-Identifier: Apache-2.0
"""What tired people do to directories: put an old backup of the namespace back, remove a lock file, so that a second
daemon may start, have a pipe or a directory where a file was. It ends with a line that says why, or it changes nothing;
what was there stays."""
import contextlib
import os
import re
import shutil
import subprocess

import pytest

from cluster import BUILD, Cluster, wait_for
from heal import QUICK, Healing

NEW = {f"/new{i}": os.urandom(60_000 + i) for i in range(6)}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=1, replication=2, site=QUICK) as c:
        yield c


def replicas(c):
    return sorted(n for base, _, names in os.walk(c.dir + "/data") for n in names if n.startswith("blk_"))


def exchange_names(c, put_in, keep_as):
    """The namenode ends, and another directory takes the place of its own."""
    if c.pid("namenode"):
        c.kill("namenode")
    os.rename(c.dir + "/name", c.dir + "/" + keep_as)
    os.rename(c.dir + "/" + put_in, c.dir + "/name")


@contextlib.contextmanager
def namenode(c):
    """Alone: `quern up` would end it again, since it does not serve."""
    run = c.popen([os.path.join(BUILD, "quern-namenode"), "-conf", c.dir + "/conf/namenode.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: b"Live datanodes (2)" in c.run("admin", "-report", check=False).stdout)
        yield
    finally:
        run.kill()
        run.wait()


def safemode(c, action, check=True):
    run = c.run("admin", "-safemode", action, check=check)
    return run.stdout.decode() + run.stderr.decode()


@pytest.fixture(scope="module")
def backup(cluster):
    cluster.fs("-put", "-", "/old", input=b"old")
    cluster.kill("namenode")
    shutil.copytree(cluster.dir + "/name", cluster.dir + "/backup")
    cluster.up()
    for path, data in NEW.items():
        cluster.fs("-put", "-", path, input=data)


def test_an_old_backup_of_the_namespace_deletes_nothing(cluster, backup):
    """Whose blocks are newer than all it gave out lets nobody write, and nobody delete, until that is forced."""
    had = replicas(cluster)
    assert len(had) == 4 * (1 + len(NEW))
    exchange_names(cluster, "backup", "right")
    up = cluster.up(check=False)
    assert up.returncode == 1 and "never given out here: the name directory is older than they are" in up.stderr, up
    with namenode(cluster):
        wait_for(lambda: "ON" in safemode(cluster, "get"))
        assert "never given out here" in open(cluster.log_of("namenode")).read()
        refused = cluster.fs("-put", "-", "/more", input=b"more", check=False)
        assert refused.returncode == 1 and b"Name node is in safe mode" in refused.stderr, refused.stderr
        assert "Refusing to leave safe mode without a force flag" in safemode(cluster, "leave", check=False)
        assert "ON" in safemode(cluster, "get")
        assert cluster.fs("-cat", "/old").stdout == b"old"
    exchange_names(cluster, "right", "backup")
    cluster.up()
    wait_for(lambda: "OFF" in safemode(cluster, "get"))
    for path, data in NEW.items():
        assert cluster.fs("-cat", path).stdout == data
    Healing(cluster).wait()
    assert replicas(cluster) == had


def test_who_forces_it_gets_ids_of_his_own(cluster, backup):
    """The blocks of before are given up; no new file meets one of them."""
    exchange_names(cluster, "backup", "right")
    with namenode(cluster):
        wait_for(lambda: "Refusing" in safemode(cluster, "leave", check=False))
        assert "OFF" in safemode(cluster, "forceExit")
        for path in NEW:
            cluster.fs("-put", "-", path, input=b"other " + path.encode())
        for path in NEW:
            assert cluster.fs("-cat", path).stdout == b"other " + path.encode()
    cluster.up()  # the ids are on record
    wait_for(lambda: "OFF" in safemode(cluster, "get"))
    assert cluster.fs("-cat", "/new0").stdout == b"other /new0"
    Healing(cluster).wait()


def test_without_its_lock_file_a_directory_is_still_in_use(cluster):
    ports = {"namenode": ["dfs.namenode.rpc-address", "dfs.namenode.http-address"], "datanode1": ["dfs.datanode.address", "dfs.datanode.http.address"],
             "jobtracker": ["mapreduce.jobtracker.address", "mapreduce.jobtracker.http.address"], "worker1": ["worker.address", "worker.http.address"]}
    pids = {daemon: cluster.pid(daemon) for daemon in ports}
    for daemon, keys in ports.items():
        os.unlink(cluster.path(daemon, "in_use.lock"))
        words = [os.path.join(BUILD, "quern-" + daemon.rstrip("1")), "-conf", f"{cluster.dir}/conf/{daemon}.conf", "-D", "admin.socket=",
                 "-D", f"log.file={cluster.dir}/second.log"] + [w for key in keys for w in ("-D", key + "=127.0.0.1:0")]
        second = subprocess.run(words, env=cluster.env, capture_output=True, text=True, timeout=120, check=False)
        assert second.returncode == 1 and "is in use: another process has locked it" in second.stderr, second
    cluster.fs("-put", "-", "/after", input=b"after")
    assert pids == {daemon: cluster.pid(daemon) for daemon in ports}
    Healing(cluster).wait()


def files_of_blocks(c, datanode):
    return sorted(os.path.join(base, n) for base, _, names in os.walk(c.path(datanode, "current/finalized")) for n in names if re.fullmatch(r"blk_\d+", n))


def test_what_is_no_file_is_a_replica_that_is_gone(cluster):
    """Readers go elsewhere, and it is replaced; nobody waits for the other end of a pipe."""
    texts = {f"/odd{i}": os.urandom(50_000 + i) for i in range(6)}
    before = set(files_of_blocks(cluster, "datanode1"))
    for path, data in texts.items():
        cluster.fs("-put", "-", path, input=data)
    blocks = sorted(set(files_of_blocks(cluster, "datanode1")) - before)
    assert len(blocks) == len(texts)
    for i, block in enumerate(blocks):
        os.unlink(block)
        [os.mkdir, os.mkfifo, lambda at: os.symlink("/dev/zero", at)][i % 3](block)
    cluster.kill("datanode1")  # what it has open and has in mind goes
    cluster.up()
    for path, data in texts.items():
        assert cluster.fs("-cat", path).stdout == data
    Healing(cluster).wait()
    assert all(os.path.isdir(at.replace("/blk_", "/aside.blk_")) for at in blocks[::3])  # each was in the way, and is not ours to remove
    cluster.kill("datanode2")
    for path, data in texts.items():
        assert cluster.fs("-cat", path).stdout == data
    cluster.up()


@pytest.mark.parametrize("daemon, file", [("namenode", "VERSION"), ("namenode", "watermark"), ("datanode1", "current/VERSION"), ("datanode1", "current/node")])
def test_a_pipe_in_the_place_of_a_file_is_named(cluster, daemon, file):
    at = cluster.path(daemon, file)
    cluster.kill(daemon)
    os.rename(at, at + ".kept")
    os.mkfifo(at)
    words = [os.path.join(BUILD, "quern-" + daemon.rstrip("1")), "-conf", f"{cluster.dir}/conf/{daemon}.conf"]
    run = subprocess.run(words, env=cluster.env, capture_output=True, text=True, timeout=120, check=False)
    os.rename(at + ".kept", at)
    cluster.up()
    assert run.returncode == 1 and at in run.stderr and "it is not a regular file" in run.stderr and run.stderr.count("\n") == 1, run
    Healing(cluster).wait()
