# SPDX-License-Identifier: Apache-2.0
"""What an administrator sets on names and what users then meet, on a real cluster and in Hadoop's
words; all of it is still so after the namenode was killed, from the journal and from an image."""
import os
import time

import pytest

from cluster import Cluster, wait_for


@pytest.fixture(scope="module")
def cluster():
    c = Cluster(datanodes=2, workers=1)
    with open(os.path.join(c.dir, "site.conf"), "w") as f:
        f.write("hadoop.user.group.static.mapping.overrides = bob=staff;eve=;carol=supergroup\n"
                "dfs.blocksize = 1048576\ndfs.namenode.accesstime.precision = 500\n")
    with c:
        yield c


def as_user(cluster, user, *args, **kw):
    return cluster.fs(*args, check=False, env={"HADOOP_USER_NAME": user}, **kw)


def restart(cluster, image=False):
    if image:
        cluster.save_namespace()
    cluster.kill("namenode")
    cluster.up()
    wait_for(lambda: cluster.fs("-touchz", "/restarted", check=False).returncode == 0)


def test_a_quota_is_kept_and_shown(cluster):
    admin = lambda *args: cluster.run("admin", *args, check=False)
    cluster.fs("-mkdir", "-p", "/q/sub")
    assert admin("-setQuota", "3", "/q").returncode == 0
    assert admin("-setSpaceQuota", "3m", "/q").returncode == 0
    cluster.fs("-put", "-", "/q/f", input=b"x" * 1000)
    run = cluster.fs("-touchz", "/q/g", check=False)
    assert (run.returncode, run.stderr) == (1, b"touchz: The NameSpace quota (directories and files) of "
                                               b"directory /q is exceeded: quota=3 file count=4\n")
    assert cluster.fs("-count", "-q", "/q").stdout == (
        b"           3               0         3145728         3143728 "
        b"           2            1               1000 /q\n")
    assert admin("-clrQuota", "/q").returncode == 0
    run = cluster.fs("-put", "-", "/q/big", input=b"y" * 2_000_000, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(b"put: The DiskSpace quota of /q is exceeded: quota = 3145728 B = 3 MB but "
                                 b"diskspace consumed = ")
    assert cluster.fs("-ls", "/q/big", check=False).returncode == 1
    restart(cluster)
    restart(cluster, image=True)
    assert cluster.fs("-count", "-q", "/q").stdout.split()[:4] == [b"none", b"inf", b"3145728", b"3143728"]
    assert admin("-clrSpaceQuota", "/q", "/q/sub").returncode == 0
    cluster.fs("-put", "-", "/q/big", input=b"y" * 2_000_000)
    run = cluster.run("admin", "-setQuota", "5", "/q", check=False, env={"HADOOP_USER_NAME": "bob"})
    assert (run.returncode, run.stderr) == (255, b"setQuota: Access denied for user bob. Superuser privilege is "
                                                b"required for operation setQuota\n")
    assert admin("-setQuota", "5", "/nope").stderr == b"setQuota: Directory does not exist: /nope\n"
    assert b"Invalid size prefix 'x' in 'x'." in admin("-setSpaceQuota", "x", "/q").stderr
    assert cluster.fs("-count", "-q", "/").stdout.split()[:3] == [b"9223372036854775807", b"%d" % (
        9223372036854775807 - sum(int(n) for n in cluster.fs("-count", "/").stdout.split()[:2])), b"none"]


def test_who_may_do_what_is_told_as_hadoop_tells_it(cluster):
    cluster.fs("-mkdir", "-p", "/who/bob")
    cluster.fs("-chown", "bob:staff", "/who/bob")
    assert as_user(cluster, "bob", "-put", "-", "/who/bob/f", input=b"x").returncode == 0
    assert cluster.fs("-stat", "%u:%g", "/who/bob/f").stdout == b"bob:staff\n"  # the parent's group
    as_user(cluster, "bob", "-chmod", "700", "/who/bob")

    def denied(user, *args):
        run = as_user(cluster, user, *args)
        assert run.returncode == 1
        return run.stderr.decode()
    assert denied("eve", "-cat", "/who/bob/f") == (
        'cat: Permission denied: user=eve, access=EXECUTE, inode="/who/bob":bob:staff:drwx------\n')
    assert denied("eve", "-ls", "/who/bob") == (
        'ls: Permission denied: user=eve, access=READ_EXECUTE, inode="/who/bob":bob:staff:drwx------\n')
    assert denied("bob", "-mkdir", "/who/new") == (
        'mkdir: Permission denied: user=bob, access=WRITE, inode="/who":root:supergroup:drwxr-xr-x\n')
    assert denied("eve", "-chmod", "777", "/who/bob") == (
        "chmod: changing permissions of '/who/bob': Permission denied. user=eve is not the owner of inode=/who/bob\n")
    assert denied("bob", "-chown", "eve", "/who/bob") == (
        "chown: changing ownership of '/who/bob': User bob is not a super user (non-super user cannot change owner).\n")
    assert denied("bob", "-chgrp", "wheel", "/who/bob") == (
        "chgrp: changing ownership of '/who/bob': User bob does not belong to wheel\n")
    assert as_user(cluster, "carol", "-cat", "/who/bob/f").stdout == b"x"  # of the supergroup
    as_user(cluster, "bob", "-chmod", "755", "/who/bob")
    as_user(cluster, "bob", "-mkdir", "/who/bob/drop")
    as_user(cluster, "bob", "-chmod", "1777", "/who/bob/drop")
    assert as_user(cluster, "eve", "-touchz", "/who/bob/drop/hers").returncode == 0
    cluster.fs("-chown", "root", "/who/bob/drop")
    assert denied("bob", "-rm", "-r", "/who/bob/drop") == (
        'rm: Permission denied by sticky bit: user=bob, path="/who/bob/drop/hers":eve:staff:-rw-r--r--, '
        'parent="/who/bob/drop":root:staff:drwxrwxrwt\n')


def test_attributes_are_kept_shown_and_guarded(cluster):
    cluster.fs("-mkdir", "-p", "/x")
    cluster.fs("-touchz", "/x/f")
    cluster.fs("-setfattr", "-n", "user.color", "-v", "blue", "/x/f")
    cluster.fs("-setfattr", "-n", "user.bytes", "-v", "0x00ff10", "/x/f")
    cluster.fs("-setfattr", "-n", "trusted.t", "-v", "0saGVsbG8=", "/x/f")
    cluster.fs("-setfattr", "-n", "user.none", "/x/f")
    restart(cluster)
    restart(cluster, image=True)
    assert cluster.fs("-getfattr", "-d", "-e", "hex", "/x/f").stdout == (
        b"# file: /x/f\nuser.bytes=0x00ff10\nuser.color=0x626c7565\nuser.none\ntrusted.t=0x68656c6c6f\n")
    assert cluster.fs("-getfattr", "-n", "user.color", "/x/f").stdout == b'# file: /x/f\nuser.color="blue"\n'
    assert cluster.fs("-getfattr", "-n", "user.bytes", "-e", "base64", "/x/f").stdout.endswith(b"user.bytes=0sAP8Q\n")
    assert b"trusted" not in as_user(cluster, "bob", "-getfattr", "-d", "/x/f").stdout
    assert as_user(cluster, "bob", "-getfattr", "-n", "trusted.t", "/x/f").stderr == (
        b"getfattr: User doesn't have permission for xattr: trusted.t\n")
    cluster.fs("-setfattr", "-x", "user.color", "/x/f")
    run = cluster.fs("-getfattr", "-n", "user.color", "/x/f", check=False)
    assert (run.returncode, run.stderr) == (1, b"getfattr: At least one of the attributes provided was not found.\n")
    assert cluster.fs("-setfattr", "-n", "plain", "/x/f", check=False).stderr.startswith(
        b"-setfattr: An XAttr name must be prefixed with user/trusted/security/system/raw")
    run = cluster.fs("-getfattr", "/x/f", check=False)
    assert run.returncode == 255 and run.stderr.startswith(b"-getfattr: Must specify '-n name' or '-d' option.\n")


def test_access_lists_let_in_whom_they_name(cluster):
    cluster.fs("-mkdir", "-p", "/acl")
    cluster.fs("-chmod", "750", "/acl")
    cluster.fs("-put", "-", "/acl/f", input=b"secret")
    cluster.fs("-chmod", "640", "/acl/f")
    assert as_user(cluster, "bob", "-cat", "/acl/f").returncode == 1
    cluster.fs("-setfacl", "-m", "user:bob:r-x,default:user:bob:rwx,default:group:staff:r--", "/acl")
    cluster.fs("-setfacl", "-m", "user:bob:rw-", "/acl/f")
    cluster.fs("-setfacl", "-m", "mask::r--", "/acl/f")
    restart(cluster)
    restart(cluster, image=True)
    assert as_user(cluster, "bob", "-cat", "/acl/f").stdout == b"secret"
    run = as_user(cluster, "eve", "-cat", "/acl/f")
    assert run.stderr == (b'cat: Permission denied: user=eve, access=EXECUTE, '
                          b'inode="/acl":root:supergroup:drwxr-x---\n')
    assert cluster.fs("-getfacl", "/acl/f").stdout == (
        b"# file: /acl/f\n# owner: root\n# group: supergroup\nuser::rw-\nuser:bob:rw-\t#effective:r--\n"
        b"group::r--\nmask::r--\nother::---\n\n")
    assert cluster.fs("-getfacl", "/acl").stdout == (
        b"# file: /acl\n# owner: root\n# group: supergroup\nuser::rwx\nuser:bob:r-x\ngroup::r-x\nmask::r-x\nother::---\n"
        b"default:user::rwx\ndefault:user:bob:rwx\ndefault:group::r-x\ndefault:group:staff:r--\ndefault:mask::rwx\n"
        b"default:other::---\n\n")
    assert cluster.fs("-ls", "/acl").stdout.splitlines()[1].startswith(b"-rw-r-----+  2 root")
    cluster.fs("-mkdir", "/acl/sub")  # the default list takes the place of the umask
    cluster.fs("-touchz", "/acl/sub/g")
    assert cluster.fs("-getfacl", "/acl/sub/g").stdout.splitlines()[3:9] == [
        b"user::rw-", b"user:bob:rwx\t#effective:rw-", b"group::r-x\t#effective:r--", b"group:staff:r--", b"mask::rw-",
        b"other::---"]
    cluster.fs("-setfacl", "-R", "-b", "/acl")
    assert b"+" not in cluster.fs("-ls", "-R", "/acl").stdout
    assert as_user(cluster, "bob", "-setfacl", "-m", "user:bob:rwx", "/acl").stderr == (
        b"setfacl: Permission denied. user=bob is not the owner of inode=/acl\n")
    assert cluster.fs("-setfacl", "-m", "default:user:bob:rwx", "/acl/f", check=False).stderr == (
        b"setfacl: Invalid ACL: only directories may have a default ACL. Path: /acl/f\n")
    run = cluster.fs("-setfacl", "-m", "usr:bob:rwx", "/acl", check=False)
    assert run.returncode == 255 and run.stderr.startswith(b"-setfacl: Invalid type of acl in <aclSpec> :usr:bob:rwx\n")


def test_a_copy_keeps_lists_and_attributes_when_asked(cluster):
    cluster.fs("-mkdir", "-p", "/keep/d")
    cluster.fs("-put", "-", "/keep/d/f", input=b"x")
    cluster.fs("-setfacl", "-m", "user:bob:rw-,mask::r--", "/keep/d/f")
    cluster.fs("-setfacl", "-m", "default:user:bob:rwx", "/keep/d")
    cluster.fs("-setfattr", "-n", "user.color", "-v", "blue", "/keep/d/f")

    def told(path):
        return [cluster.fs(*args, path).stdout.splitlines()[1:] for args in (("-getfacl",), ("-getfattr", "-d"))]
    cluster.fs("-cp", "-ptopax", "/keep/d", "/keep/all")
    cluster.fs("-cp", "-p", "/keep/d", "/keep/few")
    for name in ("", "/f"):
        assert told("/keep/all" + name) == told("/keep/d" + name)
    assert b"bob" not in cluster.fs("-getfacl", "-R", "/keep/few").stdout
    assert b"color" not in cluster.fs("-getfattr", "-d", "/keep/few/f").stdout


def test_a_file_remembers_when_it_was_read(cluster):
    """To half a second, here: who reads again sooner changes nothing. It survives kill and image."""
    cluster.fs("-put", "-", "/read", input=b"x")
    read = lambda: int(cluster.fs("-stat", "%X", "/read").stdout)
    made, changed = read(), cluster.fs("-stat", "%Y", "/read").stdout
    assert abs(made - int(changed)) < 60_000

    def is_later():
        cluster.fs("-cat", "/read")
        return read() - made
    assert wait_for(is_later) >= 500
    cluster.run("admin", "-safemode", "enter")
    try:
        before = read()
        wait_for(lambda: time.time() * 1000 > before + 600)
        cluster.fs("-cat", "/read")
        assert read() == before  # nothing is written down in safe mode
    finally:
        cluster.run("admin", "-safemode", "leave")
    restart(cluster)
    assert read() == before
    restart(cluster, image=True)
    assert read() == before and cluster.fs("-stat", "%Y", "/read").stdout == changed
    cluster.fs("-touch", "-a", "-t", "20200102:030405", "/read", env={"TZ": "UTC"})
    assert cluster.fs("-stat", "%x", "/read").stdout == b"2020-01-02 03:04:05\n"
    assert cluster.fs("-ls", "-u", "/read", env={"TZ": "UTC"}).stdout.split()[5:7] == [b"2020-01-02", b"03:04"]
