# SPDX-License-Identifier: Apache-2.0
"""What `rm` moves to the trash becomes a checkpoint and goes for good by itself, on the namenode:
nobody has to type -expunge, and a namenode that dies in between goes on with it."""
import os
import re

import pytest

from cluster import Cluster, wait_for


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=1, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("fs.trash.interval = 12s\nfs.trash.checkpoint.interval = 1s\n")
    with c:
        yield c


def trash_of(cluster, user):
    out = cluster.fs("-ls", "-C", "/user/%s/.Trash" % user, check=False).stdout.decode()
    return [os.path.basename(line) for line in out.splitlines()]


def test_what_is_removed_stays_a_while_and_then_goes(cluster):
    cluster.fs("-mkdir", "-p", "/user/bob")
    cluster.fs("-chown", "bob", "/user/bob")
    for name in ("a", "b"):
        cluster.fs("-put", "-", "/user/bob/" + name, input=b"x", env={"HADOOP_USER_NAME": "bob"})
    run = cluster.fs("-rm", "/user/bob/a", env={"HADOOP_USER_NAME": "bob"})
    assert b"to trash at: " in run.stderr
    seen = wait_for(lambda: [n for n in trash_of(cluster, "bob") if re.fullmatch(r"\d{12}", n)])
    assert cluster.fs("-cat", "/user/bob/.Trash/%s/user/bob/a" % seen[0]).stdout == b"x"
    cluster.fs("-mkdir", "/user/bob/.Trash/kept")  # somebody's own
    cluster.kill("namenode")
    cluster.up()
    wait_for(lambda: cluster.fs("-touchz", "/up", check=False).returncode == 0)
    wait_for(lambda: trash_of(cluster, "bob") == ["kept"])
    cluster.fs("-rm", "-skipTrash", "/user/bob/b", env={"HADOOP_USER_NAME": "bob"})
    assert trash_of(cluster, "bob") == ["kept"]
