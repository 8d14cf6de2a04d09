# SPDX-License-Identifier: Apache-2.0
"""The namenode dies between the moment a change is durable and the moment it would tell so: whoever asked asks
again, of its next process, and the change is there once."""
import subprocess
import tempfile

import pytest

from cluster import QUERN, Cluster, wait_for

SMALL = 1 << 20


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=1) as c:
        c.fs("-mkdir", "-p", "/t")
        c.bytes = bytes(i * i % 251 for i in range(SMALL + 777))
        yield c


def lose(cluster, n, *words, input=b""):
    """Run that command while the n-th answer about a change is lost with the namenode."""
    cluster.run("console", "namenode", "faults", f"nn.answer={n}:kill")
    with tempfile.TemporaryFile() as stdin:
        stdin.write(input)
        stdin.seek(0)
        command = cluster.popen([QUERN, "fs", *words], stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for(lambda: cluster.pid("namenode") is None)
    cluster.up()
    _, err = command.communicate(timeout=120)
    assert (command.returncode, err) == (0, b""), words


def put(cluster, path, data):
    cluster.fs("-D", f"dfs.blocksize={SMALL}", "-put", "-f", "-", path, input=data)


def names(cluster):
    return cluster.fs("-ls", "-C", "/t").stdout.decode().split()


def test_a_directory_a_name_and_a_deletion(cluster):
    lose(cluster, 1, "-mkdir", "/t/d")
    put(cluster, "/t/a", b"a")
    lose(cluster, 1, "-mv", "/t/a", "/t/b")
    assert names(cluster) == ["/t/b", "/t/d"]
    lose(cluster, 1, "-rm", "-r", "-skipTrash", "/t/d")
    lose(cluster, 1, "-setrep", "1", "/t/b")
    assert cluster.fs("-stat", "%r", "/t/b").stdout == b"1\n"
    assert names(cluster) == ["/t/b"]


@pytest.mark.parametrize("n", range(1, 4))
def test_each_answer_of_a_new_file_of_two_blocks(cluster, n):
    lose(cluster, n, "-D", f"dfs.blocksize={SMALL}", "-put", "-", f"/t/new{n}", input=cluster.bytes)
    assert cluster.fs("-cat", f"/t/new{n}").stdout == cluster.bytes


@pytest.mark.parametrize("n", range(1, 4))
def test_each_answer_of_an_append(cluster, n):
    put(cluster, "/t/grown", cluster.bytes)
    lose(cluster, n, "-appendToFile", "-", "/t/grown", input=b"more")
    assert cluster.fs("-cat", "/t/grown").stdout == cluster.bytes + b"more"


def test_a_cut_and_a_joining(cluster):
    put(cluster, "/t/one", cluster.bytes)
    put(cluster, "/t/two", b"second")
    put(cluster, "/t/three", b"third")
    lose(cluster, 1, "-truncate", "-w", str(SMALL + 3), "/t/one")
    assert cluster.fs("-cat", "/t/one").stdout == cluster.bytes[:SMALL + 3]
    lose(cluster, 1, "-concat", "/t/one", "/t/two", "/t/three")
    assert cluster.fs("-cat", "/t/one").stdout == cluster.bytes[:SMALL + 3] + b"secondthird"
    assert not {"/t/two", "/t/three"} & set(names(cluster))
    assert cluster.run("fsck", "/").stdout.decode().rstrip().endswith("is HEALTHY")
