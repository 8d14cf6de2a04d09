# SPDX-License-Identifier: Apache-2.0
"""quern admin does what it says, beyond the words (which test_the_shell_answers_as_hadoop.py compares):
rates reach the datanodes, writers are evicted and go on, an image that was fetched is one, the lists of the
block side are in the file, quotas by type of storage hold, and nobody else may."""
import json
import os
import re
import subprocess

import pytest

from cluster import BUILD, QUERN, Cluster, wait_for

BOB = {"HADOOP_USER_NAME": "bob"}


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=2, workers=1, replication=2)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.blocksize = 1048576\ndfs.namenode.redundancy.settle = 0\n")
    with c:
        yield c


def admin(c, *words, **kw):
    return c.run("admin", *words, **kw)


def nodes(c):
    return re.findall(r"^Name: (\S+)", admin(c, "-report", "-live").stdout.decode(), re.M)


def test_a_rate_reaches_every_datanode(cluster):
    assert admin(cluster, "-setBalancerBandwidth", "5m").stdout == b"Balancer bandwidth is set to 5242880\n"
    for node in nodes(cluster):
        wait_for(lambda n=node: admin(cluster, "-getBalancerBandwidth", n).stdout ==
                 b"Balancer bandwidth is 5242880 bytes per second.\n")
    assert admin(cluster, "-setBalancerBandwidth", "1", check=False, env=BOB).returncode == 255
    assert b"is 5242880 " in admin(cluster, "-getBalancerBandwidth", nodes(cluster)[0]).stdout


def test_evicted_writers_go_on(cluster):
    node = nodes(cluster)[0]
    put = subprocess.Popen([QUERN, "fs", "-put", "-", "/evicted"], env=cluster.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    put.stdin.write(b"x" * 400_000)
    put.stdin.flush()
    wait_for(lambda: b"/evicted" in admin(cluster, "-listOpenFiles").stdout)
    wait_for(lambda: any("/rbw/" in os.path.join(base, n) for base, _, names in os.walk(cluster.dir + "/data") for n in names))
    assert admin(cluster, "-evictWriters", node, check=False, env=BOB).returncode == 255
    said = admin(cluster, "-evictWriters", node).stdout.decode()
    assert said == f"Requested writer eviction to datanode {node}\n"
    _, err = put.communicate(b"y" * 100_000, timeout=120)
    assert put.returncode == 0, err
    got = cluster.fs("-cat", "/evicted").stdout
    assert got == b"x" * 400_000 + b"y" * 100_000
    assert b"evicts all writers" in b"".join(open(os.path.join(base, n), "rb").read() for base, _, names in os.walk(cluster.dir)
                                             for n in names if n.startswith("datanode") and n.endswith(".log"))


def test_a_report_can_be_asked_for(cluster):
    node = nodes(cluster)[0]
    for words in (["-triggerBlockReport"], ["-triggerBlockReport", "-incremental"]):
        assert b"Triggering a" in admin(cluster, *words, node).stdout
    last = lambda: re.search(rb"Last Block Report: (.*)", admin(cluster, "-report").stdout)[1]
    before = last()
    wait_for(lambda: admin(cluster, "-triggerBlockReport", node) and last() != before)


def test_an_image_that_was_fetched_is_one(cluster, tmp_path):
    cluster.fs("-mkdir", "-p", "/in/the/image")
    cluster.save_namespace()
    admin(cluster, "-fetchImage", str(tmp_path))
    (name,) = os.listdir(tmp_path)
    assert re.fullmatch(r"fsimage_\d{19}", name)
    text = subprocess.run([os.path.join(BUILD, "quern-imagedump"), str(tmp_path / name)], capture_output=True, check=True).stdout
    assert b"the" in text and b"image" in text
    refused = admin(cluster, "-fetchImage", str(tmp_path), check=False, env=BOB)
    assert refused.returncode == 255 and b"required for operation fetchImage" in refused.stderr
    assert os.listdir(tmp_path) == [name]


def test_nothing_is_saved_before_a_shutdown_that_is_saved_already(cluster):
    admin(cluster, "-safemode", "enter")
    assert admin(cluster, "-saveNamespace").stdout == b"Save namespace successful\n"
    said = admin(cluster, "-saveNamespace", "-beforeShutdown").stdout.decode().splitlines()
    assert said[0].startswith("Do checkpoint if necessary before stopping namenode. The time window is 10800 seconds")
    assert said[1] == "No extra checkpoint has been made"
    admin(cluster, "-safemode", "leave")


def test_a_rolled_journal_begins_a_new_segment(cluster):
    segments = lambda: [n for base, _, names in os.walk(cluster.dir) for n in names if re.fullmatch(r"log\.\d+", n)]
    cluster.fs("-touchz", "/before-the-roll")
    before = set(segments())
    said = admin(cluster, "-rollEdits").stdout.decode()
    first = int(re.fullmatch(r"Successfully rolled edit logs\.\nNew segment starts at txid (\d+)\n", said)[1])
    cluster.fs("-touchz", "/after-the-roll")
    new = wait_for(lambda: set(segments()) - before)
    assert [int(n[4:]) for n in new] == [first]


def test_what_is_short_is_in_the_list(cluster):
    cluster.fs("-put", "-", "/short", input=b"z" * 1000)
    cluster.fs("-setrep", "3", "/short")  # of two datanodes
    wait_for(lambda: b"Under replicated blocks: 1" in admin(cluster, "-report").stdout)
    said = admin(cluster, "-metasave", "lists.txt").stdout.decode()
    assert said.startswith("Created metasave file lists.txt in the log directory of namenode ")
    (path,) = [os.path.join(base, "lists.txt") for base, _, names in os.walk(cluster.dir) if "lists.txt" in names]
    text = open(path).read()
    assert re.search(r"^\d+ files and directories, \d+ blocks = \d+ total filesystem objects\nLive Datanodes: 2\nDead Datanodes: 0\n"
                     r"Metasave: Blocks waiting for reconstruction: 1\n/short: blk_\d+_\d+ \(replicas: live: 2 decommissioning and "
                     r"decommissioned: 0 corrupt: 0 in excess: 0 maintenance mode: 0\)  127\.0\.0\.1:\d+ :  127\.0\.0\.1:\d+ : \n"
                     r"Metasave: Blocks currently missing: 0\nMis-replicated blocks that have been postponed:\n"
                     r"Metasave: Blocks being reconstructed: 0\n", text), text
    assert re.search(r"\nCorrupt Blocks:\nMetasave: Number of datanodes: 2\n(127\.0\.0\.1:\d+ IN \d+\(.*\) .*\n){2}$", text), text
    admin(cluster, "-metasave", "lists.txt")  # its own it overwrites
    for name, why in (("../lists.txt", b"no plain file name"), ("two\nlines", b"has a control character (a line break?) in it"),
                      ("namenode.log", b"nothing that metasave has written")):
        refused = admin(cluster, "-metasave", name, check=False)
        assert refused.returncode == 255 and why in refused.stderr and refused.stderr.count(b"\n") == 1, refused.stderr
    cluster.fs("-rm", "-skipTrash", "/short")


def test_a_quota_of_disk_holds_and_is_kept(cluster):
    cluster.fs("-mkdir", "/typed")
    admin(cluster, "-setSpaceQuota", "3m", "-storageType", "DISK", "/typed")
    admin(cluster, "-setSpaceQuota", "1", "-storageType", "SSD", "/typed")  # nothing is on one
    cluster.fs("-put", "-", "/typed/small", input=b"s" * 1000)
    refused = cluster.fs("-put", "-", "/typed/big", input=b"b" * 1_500_000, check=False)
    assert refused.returncode == 1 and refused.stderr.startswith(
        b"put: Quota by storage type : DISK on path : /typed is exceeded. quota = 3 MB but space consumed = "), refused.stderr
    shown = cluster.fs("-count", "-q", "-t", "DISK,SSD", "/typed").stdout
    assert shown.split()[:4] == [b"3145728", b"%d" % (3145728 - 2000), b"1", b"1"]
    cluster.save_namespace()
    cluster.kill("namenode")
    cluster.up()
    wait_for(lambda: cluster.fs("-touchz", "/restarted", check=False).returncode == 0)
    assert cluster.fs("-count", "-q", "-t", "DISK,SSD", "/typed").stdout == shown
    assert cluster.fs("-getfattr", "-d", "/typed").stdout == b"# file: /typed\n"  # what it is kept in is nobody's
    admin(cluster, "-clrSpaceQuota", "-storageType", "DISK", "/typed")
    cluster.fs("-put", "-", "/typed/big", input=b"b" * 1_500_000)


def test_others_see_the_figures_and_no_datanode(cluster):
    run = admin(cluster, "-report", check=False, env=BOB)
    assert run.returncode == 255 and b"DFS Used" in run.stdout and b"Name:" not in run.stdout
    assert run.stderr == b"report: Access denied for user bob. Superuser privilege is required for operation datanodeReport\n"
    assert cluster.fs("-df", env=BOB).returncode == 0


def test_what_is_listed_can_be_had_as_json(cluster):
    def ask(*words):
        return [json.loads(line) for line in cluster.run(*words, "--json").stdout.decode().splitlines()]
    cluster.fs("-mkdir", "/listed")
    cluster.fs("-put", "-", "/listed/f", input=b"x" * 3)
    workers = ask("job", "-workers")[0]["workers"]
    workers = ask("job", "-workers")[0]["workers"]
    assert [w["state"] for w in workers] == ["live"] and workers[0]["cores"] > 0
    report, = ask("admin", "-report")
    assert [n["admin"] for n in report["nodes"]] == ["Normal"] * 2 and not report["safemode"]
    assert [n["state"] for n in ask("admin", "-printTopology")[0]["nodes"]] == ["live"] * 2
    assert sum(n["blocks"] for n in report["nodes"]) > 0
    wait_for(lambda: sum(ask("admin", "-getVolumeReport", node)[0]["volumes"][0]["blocks"] for node in nodes(cluster)) ==
             sum(n["blocks"] for n in ask("admin", "-report")[0]["nodes"]))
    assert [f["path"] for f in ask("fs", "-find", "/listed", "-type", "f")] == ["/listed/f"]
    with subprocess.Popen([QUERN, "fs", "-put", "-", "/open"], env=cluster.env, stdin=subprocess.PIPE) as put:
        wait_for(lambda: [f["path"] for f in ask("admin", "-listOpenFiles")] == ["/open._COPYING_"])
        put.communicate(b"", timeout=120)
    assert admin(cluster, "-safemode", "get", "--json", check=False).returncode == 255


def test_volumes_are_told_to_their_operator(cluster):
    node = nodes(cluster)[0]
    lines = admin(cluster, "-getVolumeReport", node).stdout.decode().splitlines()
    assert lines[0] == "Active Volumes : 1" and lines[2].startswith("Directory: ")
    assert [line.split(":")[0] for line in lines[3:]] == ["StorageType", "Capacity Used", "Capacity Left", "Capacity Reserved",
                                                          "Reserved Space for Replicas", "Blocks"]
    run = admin(cluster, "-getVolumeReport", node, check=False, env=BOB)
    assert run.returncode == 255 and run.stdout == b"" and b"Superuser privilege is required" in run.stderr


def test_a_datanode_is_shut_down_and_only_by_its_operator(cluster):
    node = nodes(cluster)[1]
    pids = {name: cluster.pid(name) for name in ("datanode1", "datanode2")}
    assert admin(cluster, "-shutdownDatanode", node, check=False, env=BOB).returncode == 255
    assert admin(cluster, "-shutdownDatanode", node, "upgrade").stdout.decode() == f"Submitted a shutdown request to datanode {node}\n"
    wait_for(lambda: sum(cluster.pid(name) is None for name in pids) == 1)
    wait_for(lambda: admin(cluster, "-getDatanodeInfo", node, check=False).returncode == 255)
    said = admin(cluster, "-getDatanodeInfo", node, check=False).stderr
    assert said.startswith(b"getDatanodeInfo: Datanode unreachable. "), said
