# SPDX-License-Identifier: Apache-2.0
"""An operator takes datanodes out of a cluster that is being written to, lets one rest, and takes
them back: no byte is lost, and the states are shown as they are."""
import os

import pytest

from cluster import Cluster, verdict, wait_for

DATA = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=4, workers=1, replication=2)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.namenode.redundancy.settle = 0s\ndfs.heartbeat.interval = 200ms\n"
                "dfs.namenode.heartbeat.recheck-interval = 500ms\ndfs.namenode.redundancy.interval.seconds = 500ms\n"
                "dfs.namenode.replication.work.multiplier.per.iteration = 30\ndfs.namenode.replication.max-streams = 10\n"
                "dfs.namenode.decommission.interval = 200ms\ndfs.blocksize = 1m\n"
                f"dfs.hosts = {c.dir}/include\ndfs.hosts.exclude = {c.dir}/exclude\n")
    say(c, "include", "")
    say(c, "exclude", "")
    with c:
        yield c


def say(cluster, name, text):
    with open(os.path.join(cluster.dir, name), "w") as f:
        f.write(text)


def refresh(cluster, exclude=None, include=None):
    for name, text in (("exclude", exclude), ("include", include)):
        if text is not None:
            say(cluster, name, text)
    assert cluster.run("admin", "-refreshNodes").stdout == b"Refresh nodes successful\n"


def report(cluster):
    """{node: {field: value}} of -report, and the sections a node is in."""
    nodes, section, node = {}, None, None
    for line in cluster.run("admin", "-report").stdout.decode().splitlines():
        if line.endswith("):") and " datanodes (" in line:
            section = line.split(" datanodes")[0]
        elif line.startswith("Name: "):
            node = nodes.setdefault(line.split("(")[1].rstrip(")"), {"sections": []})
            node["sections"].append(section)
        elif node is not None and ": " in line:
            key, value = line.split(": ", 1)
            node[key.strip()] = value
    return nodes


def admin_state(cluster, node):
    return report(cluster).get(node, {}).get("Decommission Status")


def become(cluster, node, state):
    wait_for(lambda: admin_state(cluster, node) == state)


def all_whole(cluster, want="/"):
    run = cluster.run("fsck", want, check=False)
    return run.returncode == 0 and b" Under-replicated blocks:\t0 (" in run.stdout and run.stdout


def test_a_node_leaves_under_load_and_may_be_thrown_away(cluster):
    cluster.fs("-put", "-", "/before", input=DATA)
    cluster.fs("-mkdir", "/small")
    for i in range(16):  # so that some lie on the node that leaves, wherever the others went
        cluster.fs("-put", "-", f"/small/{i}", input=b"small")
    load = cluster.model(seconds=4)
    refresh(cluster, exclude="node2\n")
    cluster.fs("-put", "-", "/while", input=DATA)
    verdict(load)
    become(cluster, "node2", "Decommissioned")
    topology = cluster.run("admin", "-printTopology").stdout.decode()
    assert " (node2) Decommissioned\n" in topology and " (node1) In Service\n" in topology
    assert b"\n DecommissionedReplicas:\t" in all_whole(cluster)
    cluster.kill("datanode2")
    wait_for(lambda: "Dead" in report(cluster)["node2"]["sections"])
    wait_for(lambda: all_whole(cluster))
    for name in ("/before", "/while"):
        assert cluster.fs("-cat", name).stdout == DATA


def test_a_node_is_taken_back(cluster):
    refresh(cluster, exclude="")
    cluster.up()
    become(cluster, "node2", "Normal")
    wait_for(lambda: report(cluster)["node2"]["sections"] == ["Live"])
    wait_for(lambda: all_whole(cluster))


def test_a_resting_node_is_switched_off_and_nothing_is_copied(cluster):
    refresh(cluster, exclude="node3 maintenance\n")
    become(cluster, "node3", "In maintenance")
    assert "In maintenance" in report(cluster)["node3"]["sections"]
    before = {n: r["Num of Blocks"] for n, r in report(cluster).items()}
    cluster.kill("datanode3")
    wait_for(lambda: "Dead" in report(cluster)["node3"]["sections"])
    said = cluster.run("fsck", "/", "-maintenance").stdout
    assert b"\n InMaintenanceReplicas:\t" in said and b"EnteringMaintenanceReplicas" not in said and b" Under-replicated blocks:\t0 (" in said
    assert b"Under replicated blocks: 0\n" in cluster.run("admin", "-report").stdout
    assert {n: r["Num of Blocks"] for n, r in report(cluster).items()} == before
    assert cluster.fs("-cat", "/before").stdout == DATA
    cluster.up()
    refresh(cluster, exclude="")
    become(cluster, "node3", "Normal")
    wait_for(lambda: all_whole(cluster))


def test_who_is_not_included_may_not_come(cluster):
    refresh(cluster, include="node1\nnode2\nnode3\n")
    wait_for(lambda: "node4" not in report(cluster))
    wait_for(lambda: all_whole(cluster))
    log = os.path.join(cluster.dir, "log", "namenode.log")
    wait_for(lambda: "not in the include-list" in open(log).read())
    refresh(cluster, include="")
    wait_for(lambda: report(cluster).get("node4", {}).get("sections") == ["Live"])


def test_a_line_that_makes_no_sense_changes_nothing(cluster):
    say(cluster, "exclude", "node1 sometimes\n")
    run = cluster.run("admin", "-refreshNodes", check=False)
    assert run.returncode == 255 and b"exclude:1: expected" in run.stderr and run.stderr.count(b"\n") == 1, run.stderr
    say(cluster, "exclude", "")
    assert admin_state(cluster, "node1") == "Normal"
