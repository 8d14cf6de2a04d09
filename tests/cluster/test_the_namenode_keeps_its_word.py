# SPDX-License-Identifier: Apache-2.0
"""The namenode on a real cluster: who may do what, safe mode, silent writers, restarts, images, the
audit log."""
import json
import os
import signal
import subprocess
import time
import urllib.request

import pytest

from cluster import QUERN, Cluster, wait_for


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=2, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("dfs.namenode.lease-hard-limit-sec = 8\n"
                "dfs.namenode.audit.log = %s/audit.log\n"
                "hadoop.user.group.static.mapping.overrides = bob=staff;carol=supergroup\n" % c.dir)
    with c:
        yield c


def as_user(cluster, user, *args):
    return cluster.fs(*args, check=False, env={"HADOOP_USER_NAME": user})


def page(cluster, name):
    conf = dict(line.split(" = ", 1) for line in open(os.path.join(cluster.dir, "quern.conf")).read().split("\n") if " = " in line)
    with urllib.request.urlopen("http://%s/%s" % (conf["dfs.namenode.http-address"], name)) as answer:
        return answer.read().decode()


def namenode_status(cluster):
    return json.loads(page(cluster, "status.json"))


def test_others_are_kept_out_in_hadoops_words(cluster):
    cluster.fs("-mkdir", "/mine")
    run = as_user(cluster, "bob", "-mkdir", "/mine/x")
    assert run.returncode == 1
    assert run.stderr == (b'mkdir: Permission denied: user=bob, access=WRITE, '
                          b'inode="/mine":root:supergroup:drwxr-xr-x\n')
    cluster.fs("-mkdir", "/shared")
    cluster.fs("-chmod", "1777", "/shared")
    assert as_user(cluster, "bob", "-touchz", "/shared/b").returncode == 0
    run = as_user(cluster, "alice", "-rm", "/shared/b")
    assert run.stderr.startswith(b'rm: Permission denied by sticky bit: user=alice, path="/shared/b":bob:supergroup:')
    assert as_user(cluster, "carol", "-rm", "/shared/b").returncode == 0  # of the supergroup


def test_safe_mode_only_reads(cluster):
    cluster.run("admin", "-safemode", "enter")
    try:
        run = cluster.fs("-mkdir", "/refused", check=False)
        assert run.returncode == 1
        assert run.stderr == b"mkdir: Cannot create directory /refused. Name node is in safe mode.\n"
        cluster.fs("-ls", "/")
    finally:
        cluster.run("admin", "-safemode", "leave")
    cluster.fs("-mkdir", "/refused")


def test_a_killed_writers_file_is_closed_with_what_the_datanodes_have(cluster, tmp_path):
    data = os.urandom(3_000_000)
    put = subprocess.Popen([QUERN, "fs", "-put", "-d", "-", "/silent"], env=cluster.env, stdin=subprocess.PIPE)
    put.stdin.write(data)
    put.stdin.flush()
    wait_for(lambda: len(cluster.fs("-cat", "/silent", check=False).stdout) > 2_000_000)
    put.kill()
    put.wait()

    def is_closed():
        line = cluster.run("fsck", "/silent", "-files", "-openforwrite", check=False).stdout
        return b"OPENFORWRITE" not in line and b"/silent" in line
    wait_for(is_closed)
    got = cluster.fs("-cat", "/silent").stdout
    assert len(got) > 2_000_000 and data.startswith(got)
    assert cluster.fs("-stat", "%b", "/silent").stdout == b"%d\n" % len(got)
    put = cluster.fs("-put", "-f", "-", "/silent", input=b"again")
    assert cluster.fs("-cat", "/silent").stdout == b"again"


def test_names_and_data_survive_kill_and_image(cluster):
    cluster.fs("-mkdir", "-p", "/kept/a/b")
    cluster.fs("-put", "-", "/kept/a/f", input=b"bytes")
    cluster.fs("-chown", "bob:staff", "/kept/a/f")
    cluster.fs("-setrep", "1", "/kept/a/f")
    cluster.save_namespace()
    cluster.fs("-mv", "/kept/a/f", "/kept/a/g")
    cluster.fs("-rm", "-r", "/kept/a/b")
    before = cluster.fs("-ls", "-R", "/kept").stdout
    cluster.kill("namenode")
    cluster.up()
    wait_for(lambda: cluster.fs("-ls", "-R", "/kept", check=False).stdout == before)
    wait_for(lambda: cluster.fs("-cat", "/kept/a/g", check=False).stdout == b"bytes")
    wait_for(lambda: cluster.fs("-touchz", "/kept/writable", check=False).returncode == 0)


def test_a_tree_of_many_files_goes_at_once_and_is_freed_later(cluster, tmp_path):
    for i in range(300):
        (tmp_path / ("f%03d" % i)).write_bytes(b"x")
    cluster.fs("-mkdir", "/many")
    cluster.fs("-put", *[str(p) for p in sorted(tmp_path.iterdir())], "/many")
    assert cluster.fs("-count", "/many").stdout.split() == [b"1", b"300", b"300", b"/many"]
    blocks = namenode_status(cluster)["values"]["blocks"]["value"]
    cluster.fs("-rm", "-r", "/many")
    assert cluster.fs("-ls", "/many", check=False).returncode == 1
    wait_for(lambda: namenode_status(cluster)["values"]["blocks"]["value"] <= blocks - 300)


def test_every_call_leaves_a_line_in_the_audit_log(cluster):
    as_user(cluster, "bob", "-mkdir", "/audited")
    cluster.fs("-mkdir", "/audited two")
    cluster.fs("-mv", "/audited two", "/audited three")

    def lines():
        return open(os.path.join(cluster.dir, "audit.log")).read()
    wait_for(lambda: "cmd=rename\tsrc=/audited two\tdst=/audited three" in lines())
    assert "allowed=false\tugi=bob (auth:SIMPLE)\tip=/127.0.0.1\tcmd=mkdirs\tsrc=/audited\t" in lines()
    assert "allowed=true\tugi=root (auth:SIMPLE)\tip=/127.0.0.1\tcmd=mkdirs\tsrc=/audited two\tdst=null" in lines()


def test_the_status_page_tells_what_there_is(cluster):
    def is_written(status):
        return status["values"]["durable index"]["value"] == status["values"]["applied index"]["value"] and status
    status = wait_for(lambda: is_written(namenode_status(cluster)))
    assert status["daemon"] == "namenode"
    assert status["values"]["live datanodes"]["value"] == 2
    assert status["values"]["safe mode"]["value"] == "off"
    assert len(status["tables"]["datanodes"]["rows"]) == 2
    wait_for(lambda: "\nquern_nn_files %d\n" % status["values"]["files"]["value"] in page(cluster, "metrics"))
    assert '\nquern_nn_calls_total{method="MKDIR"} ' in page(cluster, "metrics")


def test_a_call_waits_while_the_namenode_starts(cluster):
    """Datanodes that are held back keep it in safe mode; the caller is not sent away for that."""
    cluster.fs("-put", "-", "/held", input=b"x" * 1000)
    nodes = [cluster.pid("datanode1"), cluster.pid("datanode2")]
    for pid in nodes:
        os.kill(pid, signal.SIGSTOP)
    try:
        cluster.kill("namenode")
        up = cluster.start("up", "--detach", "--dir", cluster.dir, *cluster.args)
        wait_for(lambda: b"ON" in cluster.run("admin", "-safemode", "get", check=False).stdout)
        mkdir = cluster.start("fs", "-mkdir", "/waited")
        time.sleep(0.5)
        assert mkdir.poll() is None, mkdir.communicate()
    finally:
        for pid in nodes:
            os.kill(pid, signal.SIGCONT)
    assert mkdir.wait(timeout=120) == 0, mkdir.communicate()
    up.communicate(timeout=120)
