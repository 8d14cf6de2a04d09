# SPDX-License-Identifier: Apache-2.0
"""Programs on the namenode's host ask it over a unix socket, when one is configured; all others, and all that it is
of no use for, over TCP."""
import os

import pytest

from cluster import Cluster, wait_for

NOBODY = "quern://127.0.0.1:1"  # nothing listens there


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=1, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.namenode.socket.path = %s/n.rpc\n"
                "dfs.namenode.audit.log = %s/audit.log\n" % (c.dir, c.dir))
    with c:
        yield c


def test_a_program_on_the_same_host_uses_it(cluster):
    cluster.fs("-D", "fs.defaultFS=" + NOBODY, "-mkdir", "/over-the-socket")
    cluster.fs("-test", "-d", "/over-the-socket")
    wait_for(lambda: "ip=/127.0.0.1\tcmd=mkdirs\tsrc=/over-the-socket" in open(cluster.dir + "/audit.log").read())


def test_whoever_calls_himself_otherwise_does_not_because_the_kernel_would_tell(cluster):
    run = cluster.fs("-D", "fs.defaultFS=" + NOBODY, "-ls", "/", check=False, env={"HADOOP_USER_NAME": "alice"})
    assert run.returncode != 0 and b"cannot reach 127.0.0.1:1" in run.stderr
    cluster.fs("-mkdir", "/alice")
    cluster.fs("-chown", "alice", "/alice")
    cluster.fs("-touchz", "/alice/x", env={"HADOOP_USER_NAME": "alice"})
    assert b" alice " in cluster.fs("-ls", "/alice").stdout


def test_it_belongs_to_the_configured_namenode_and_to_no_other(cluster):
    run = cluster.fs("-ls", NOBODY + "/", check=False)
    assert run.returncode != 0 and b"cannot reach 127.0.0.1:1" in run.stderr


def test_where_there_is_no_socket_tcp_is_used(cluster):
    for path in ["/nowhere/n.rpc", cluster.dir + "/quern.conf", ""]:
        cluster.fs("-D", "dfs.namenode.socket.path=" + path, "-ls", "/")


def test_it_is_there_again_after_the_namenode_died(cluster):
    cluster.kill("namenode")
    cluster.up()
    cluster.fs("-D", "fs.defaultFS=" + NOBODY, "-test", "-e", "/")
