# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""model_client writes, flushes, renames, deletes and reads, and compares every byte with what must be
there, while daemons die under it."""
import os
import subprocess
import threading
import time

import pytest

from cluster import MODEL, Cluster, verdict, wait_for


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        yield c


def again_and_again(what, times, every, run):
    """Do `what` so many times while the client is seen to run."""
    for _ in range(times):
        time.sleep(every)
        if run.poll() is not None:
            break
        what()


def test_all_is_as_it_was_written(cluster):
    creates, turn = 0, 0
    while creates <= 20:  # on a slow machine fewer mean too little
        out = verdict(cluster.model("--dir", f"/model{turn}", seed=1 + turn))
        creates, turn = creates + int(out.split(" creates")[0].split()[-1]), turn + 1


def test_datanodes_die_and_come_back_and_nobody_notices(cluster):
    run = cluster.model(seed=2, seconds=12)
    turn = iter(range(100))

    def kill_one():
        cluster.kill(f"datanode{1 + next(turn) % 3}")
        time.sleep(1.5)
        cluster.up()
    again_and_again(kill_one, 3, 1.5, run)
    verdict(run)


def test_the_namenode_dies_and_comes_back(cluster):
    run = cluster.model("--errors-ok", seed=3, seconds=10)

    def kill_it():
        cluster.kill("namenode")
        cluster.up()
    again_and_again(kill_it, 3, 2, run)
    verdict(run, fails=True)


@pytest.mark.parametrize("fault", ["client.write.send=40:eio,client.write.send=300:eio", "client.write.acks=25:eio",
                                   "client.connect=6:eio", "client.read.local=20:eio", "client.read.verify=30:corrupt",
                                   "client.write.finish=5:delay300"])
def test_what_breaks_inside_the_client_is_mended(cluster, fault):
    verdict(cluster.model(env={"QUERN_FAULT": fault}, seed=4, seconds=3))


def test_without_short_circuit_it_is_the_same(cluster):
    conf = os.path.join(cluster.dir, "remote.conf")
    with open(conf, "w") as f:
        f.write("include = quern.conf\nnode.name = elsewhere\n")
    verdict(cluster.model(env={"QUERN_CONF": conf}, seed=5, seconds=4))


def test_what_was_closed_survives_the_death_of_everything(cluster, tmp_path):
    record = str(tmp_path / "record")
    verdict(cluster.model("--record", record, seed=6, seconds=4))
    assert os.path.getsize(record) > 0
    for daemon in ("namenode", "datanode1", "datanode2", "datanode3"):
        cluster.kill(daemon)
    cluster.up()
    wait_for(lambda: b"OFF" in cluster.run("admin", "-safemode", "get").stdout)
    check = subprocess.run([MODEL, "--check", record], env=cluster.env, capture_output=True, text=True, timeout=120)
    assert check.returncode == 0, check.stdout + check.stderr
    assert cluster.run("fsck", "/").stdout.decode().rstrip().endswith("is HEALTHY")


def replicas(cluster, path):
    """The three files of its one block."""
    line = [w.split(":")[-1] for w in cluster.run("fsck", path, "-files", "-blocks").stdout.decode().split() if ":blk_" in w][0]
    block = "_".join(line.split("_")[:2])
    paths = sorted(os.path.join(base, name) for base, _, names in os.walk(os.path.join(cluster.dir, "data"))
                   for name in names if name == block)
    assert len(paths) == 3, paths
    return paths


def exchange(a, b):
    os.rename(a, a + "~")
    os.rename(b, a)
    os.rename(a + "~", b)


def test_files_of_two_blocks_that_were_exchanged_are_seen(cluster):
    """With their checksums, which are right for their bytes: on the reader's own machine, and read over the network."""
    data = {path: os.urandom(300_000) for path in ("/one", "/other")}
    for path, text in data.items():
        cluster.fs("-put", "-", path, input=text)
    wait_for(lambda: all(b"Live_repl=3" in cluster.run("fsck", p, "-files", "-blocks", "-locations").stdout for p in data))
    one, other = (replicas(cluster, path) for path in data)
    exchange(one[0], other[0])
    metas = [next(os.path.join(os.path.dirname(p), n) for n in os.listdir(os.path.dirname(p))
                  if n.startswith(os.path.basename(p) + "_") and n.endswith(".meta")) for p in (one[0], other[0])]
    exchange(*metas)
    for conf in ("quern.conf", "remote.conf"):
        with open(os.path.join(cluster.dir, "remote.conf"), "w") as f:
            f.write("include = quern.conf\nnode.name = elsewhere\n")
        for path, text in data.items():
            for _ in range(4):
                assert cluster.fs("-cat", path, env={"QUERN_CONF": os.path.join(cluster.dir, conf)}).stdout == text
    wait_for(lambda: all_good(one, data["/one"]) and all_good(other, data["/other"]))


def test_a_reader_never_sees_damaged_bytes(cluster):
    """Flip bits in two of three replicas on disk: reading gives the third, and the others are replaced."""
    data = os.urandom(3_000_000)
    cluster.fs("-put", "-", "/precious", input=data)
    paths = replicas(cluster, "/precious")
    for path in paths[:2]:
        os.chmod(path, 0o600)
        with open(path, "r+b") as f:
            f.seek(1_000_000)
            f.write(b"\0damage\0")
    for node in ("node1", "node2", "node3", "elsewhere"):  # each replica is somebody's nearest
        conf = os.path.join(cluster.dir, "reader.conf")
        with open(conf, "w") as f:
            f.write(f"include = quern.conf\nnode.name = {node}\n")
        assert cluster.fs("-cat", "/precious", env={"QUERN_CONF": conf}).stdout == data
    wait_for(lambda: all_good(paths, data))


def all_good(paths, data):
    """every replica is as it was written"""
    good = 0
    for path in paths:
        try:
            good += open(path, "rb").read() == data
        except OSError:
            pass
    return good == len(paths)
