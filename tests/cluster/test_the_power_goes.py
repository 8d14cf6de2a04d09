# SPDX-License-Identifier: Apache-2.0
"""Disks that lose power, go read-only, fail an fsync once and then claim that all is well: ext4 on loop
devices, one per node. What was acknowledged is there afterwards; what was not is not pretended."""
import os
import re
import shutil
import subprocess

import pytest

from cluster import MODEL, ToldWriter, verdict, wait_for
from nodes import Nodes, need_nodes, why_not

NAMES = ["names", "jobs", "node1", "node2", "node3"]
MB = 1 << 20


def no_disks():
    """None when this machine can make disks of files and cut their power."""
    if why_not() or not shutil.which("mkfs.ext4"):
        return why_not() or "no mkfs.ext4"
    try:
        with Nodes(datanodes=1, disks={"names": "16m"}) as c:
            c.cut_power(["names"])
            c.give_power(["names"])
    except (subprocess.CalledProcessError, OSError, AssertionError) as e:
        return f"loop devices: {e}"
    return None


pytestmark = [need_nodes(), pytest.mark.skipif(not os.path.exists("/dev/loop-control"), reason="no loop devices"),
              pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="no mkfs.ext4")]


@pytest.fixture(scope="module", autouse=True)
def can_make_disks():
    reason = no_disks()
    if reason:
        pytest.skip(reason)


def is_well(c, path="/"):
    text = c.run("fsck", path, check=False).stdout.decode()
    return text.rstrip().endswith("is HEALTHY") and re.search(r"Under-replicated blocks:\s+0 ", text)


def files_in(c, path):
    """How many; none while the directory is not there yet or nobody answers."""
    columns = c.run("fs", "-count", path, check=False).stdout.split()
    return int(columns[1]) if columns else 0


def test_power_goes_everywhere_at_once_and_nothing_closed_is_lost(tmp_path):
    """Twice, while a client that knows every byte writes; it goes on when the machines are back."""
    record = str(tmp_path / "record")
    with Nodes(conf="dfs.blocksize = 1m\ndfs.namenode.checkpoint.txns = 100\n", disks=dict.fromkeys(NAMES, "128m")) as c:
        c.run("fs", "-put", "-", "/before", input=os.urandom(3 * MB))
        before = c.run("fs", "-cat", "/before").stdout
        run = c.model("--errors-ok", "--record", record, "--max-bytes", "1000000", seed=11, seconds=120, writers=2)
        for n in range(2):
            wait_for(lambda: files_in(c, "/model") > 5 * (n + 1))
            c.cut_power(NAMES)
            c.give_power(NAMES)
            wait_for(lambda: b"OFF" in c.run("admin", "-safemode", "get", check=False).stdout)
        run.terminate()
        verdict(run, fails=True)
        check = c.popen([MODEL, "--check", record], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = check.communicate(timeout=120)
        assert check.returncode == 0, out
        assert c.run("fs", "-cat", "/before").stdout == before
        wait_for(lambda: is_well(c))


def closed_by_recovery(c, path):
    """its lease has no holder any more, and it has a length"""
    return b"SUCCEEDED" in c.run("admin", "-recoverLease", "-path", path, check=False).stdout


def test_what_was_synced_is_there_though_its_writer_and_all_power_are_gone():
    """In the first block, over the end of one, behind what an append began with; and a truncation that was answered."""
    machines = ["names", "node1", "node2", "node3"]
    with Nodes(conf="dfs.blocksize = 1m\n", disks=dict.fromkeys(machines, "128m")) as c:
        wait_for(lambda: b"OFF" in c.run("admin", "-safemode", "get", check=False).stdout)
        closed = ToldWriter(c, "/append")
        closed.tell("write 700000")
        closed.close()
        c.run("fs", "-cp", "/append", "/cut")
        writers = {"/first": ToldWriter(c, "/first"), "/second": ToldWriter(c, "/second"), "/append": ToldWriter(c, "/append", append=True)}
        writers["/first"].tell("write 300001", "hsync")
        writers["/second"].tell("write 1500001", "hsync")
        writers["/append"].tell("write 50001", "hsync", "write 10", "hsync")
        synced = {path: writer.length for path, writer in writers.items()}
        assert synced["/append"] == 750011
        for writer in writers.values():
            writer.tell("write 99999", "hflush")
        c.run("fs", "-truncate", "333333", "/cut")
        c.cut_power(machines)
        for writer in writers.values():
            writer.run.kill()
            writer.run.wait()
        c.give_power(machines)
        wait_for(lambda: b"OFF" in c.run("admin", "-safemode", "get", check=False).stdout)
        for path, length in synced.items():
            wait_for(lambda: closed_by_recovery(c, path))
            got = c.run("fs", "-cat", path).stdout
            assert len(got) >= length and got == ToldWriter.bytes(len(got)), (path, length, len(got))
        wait_for(lambda: c.run("fs", "-stat", "%b", "/cut").stdout == b"333333\n")
        assert c.run("fs", "-cat", "/cut").stdout == ToldWriter.bytes(333333)
        wait_for(lambda: is_well(c))


def test_a_datanodes_disk_goes_read_only_and_its_blocks_are_copied_elsewhere():
    with Nodes(datanodes=3, replication=2, disks={"node2": "64m"}) as c:
        data = os.urandom(4 * MB)
        other = os.urandom(16 * MB)  # of so many blocks one goes to node2
        c.run("fs", "-D", "dfs.blocksize=1m", "-put", "-", "/a", input=data)
        device = c.on("node2", "findmnt", "-no", "SOURCE", c.dir).stdout.decode().split("[")[0].strip()
        with open(f"/sys/fs/ext4/{os.path.basename(device)}/trigger_fs_error", "w") as f:
            f.write("a test")
        c.run("fs", "-D", "dfs.blocksize=1m", "-put", "-", "/b", input=other)
        assert c.run("fs", "-cat", "/a").stdout == data and c.run("fs", "-cat", "/b").stdout == other
        wait_for(lambda: not c.pid("datanode2"))
        assert "node2" not in c.run("fsck", "/b", "-files", "-blocks", "-locations").stdout.decode()
        wait_for(lambda: is_well(c))


def test_an_fsync_that_fails_once_ends_the_namenode_and_nothing_answered_is_lost():
    """The journal lies on a disk that lies in a tmpfs without room: an fsync fails, the next one would succeed, and the bytes are gone."""
    with Nodes(datanodes=1) as c:
        c.run("fs", "-mkdir", "/before")
        c.kill("namenode")
        top = f"{c.dir}/thin"
        c.sh("names", f"mkdir {top} && mount -t tmpfs -o size=40m none {top} && truncate -s 160m {top}/disk && mkfs.ext4 -q -E lazy_itable_init=1 {top}/disk && "
             f"mkdir {c.dir}/lost && mount -o loop {top}/disk {c.dir}/lost && cp -a --sparse=always {c.dir}/name {c.dir}/lost/name")
        c.write("names", "quern.conf", c.common("names").replace(f"{c.dir}/name", f"{c.dir}/lost/name"))
        c.start_daemon("namenode")
        wait_for(lambda: b"OFF" in c.run("admin", "-safemode", "get", check=False).stdout)
        c.sh("names", f"head -c 100m /dev/zero > {top}/ballast || true")
        during = [f"/{n:03d}" + "x" * 200 for n in range(60)]
        waits = c.start("fs", "-mkdir", *during)
        wait_for(lambda: c.pid("namenode") is None)
        words = c.read("names", "namenode.log").splitlines()
        assert "cannot fdatasync the log" in words[-2] and "stopping" in words[-1], words[-3:]
        c.sh("names", f"rm {top}/ballast && umount {c.dir}/lost && mount -o loop {top}/disk {c.dir}/lost")
        c.start_daemon("namenode")
        wait_for(lambda: b"OFF" in c.run("admin", "-safemode", "get", check=False).stdout)
        assert waits.wait(120) == 0, waits.stderr.read()
        assert c.run("fs", "-ls", "-C", "/").stdout.decode().split() == during + ["/before"]
