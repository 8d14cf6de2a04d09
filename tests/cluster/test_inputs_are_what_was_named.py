# SPDX-License-Identifier: Apache-2.0
"""What a job reads when files are named twice, by patterns, with hidden ones and directories among them; and that its counters say
what wc says."""
import gzip
import os
import re
import shutil
import subprocess

import pytest

from cluster import Cluster, wait_for

FILES = {"/in/1": b"x y\nz", "/in/2": b"k\n", "/in/_h": b"hidden\n", "/in/.h": b"hidden too\n", "/in/sub/3": b"c\n", "/a": b"b\na\n", "/b": b"q\n"}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=2) as c:
        c.fs("-mkdir", "-p", "/in/sub", "/nothing", "/big")
        c.fs("-touchz", "/empty")
        for path, text in FILES.items():
            c.fs("-put", "-", path, input=text)
        yield c


def lines_of(*paths):
    return sorted(line for p in paths for line in FILES[p].split(b"\n") if line)


OUT = iter(range(1000))


def run(c, *inputs, job="sort", options=("-reduces", "1"), check=True):
    out = f"/out/{next(OUT)}"
    return c.run("run", *options, job, *inputs, out, check=check), out


@pytest.mark.parametrize("inputs, read", [
    (["/a", "/a"], ["/a", "/a"]),
    (["/a", "/[ab]"], ["/a", "/a", "/b"]),
    (["/{a,b}"], ["/a", "/b"]),
    (["/in/[12]", "/in/1"], ["/in/1", "/in/1", "/in/2"]),
    (["/in/*"], ["/in/1", "/in/2", "/in/sub/3"]),
    (["/in/_*"], ["/in/_h"]),
    (["/in/.h", "/in/_h"], ["/in/.h", "/in/_h"]),
    (["/empty", "/b", "/nothing"], ["/b"]),
    (["/empty", "/empty"], []),
    (["/nothing"], []),
])
def test_what_is_named_is_read_and_as_often(cluster, inputs, read):
    _, out = run(cluster, *inputs)
    assert cluster.fs("-cat", out + "/part-*").stdout == b"".join(l + b"\n" for l in lines_of(*read))
    assert cluster.fs("-test", "-e", out + "/_SUCCESS").returncode == 0


def test_a_directory_in_a_directory_is_read_when_that_is_said(cluster):
    refused, out = run(cluster, "/in", check=False)
    assert refused.returncode == 1 and b"/in/sub: Is a directory among the inputs" in refused.stderr
    _, out = run(cluster, "/in", options=("-reduces", "1", "-D", "mapreduce.input.fileinputformat.input.dir.recursive=true"))
    assert cluster.fs("-cat", out + "/part-*").stdout == b"".join(l + b"\n" for l in lines_of("/in/1", "/in/2", "/in/sub/3"))


@pytest.mark.parametrize("inputs, missing", [
    (["/a", "/nope", "/b"], "/nope: No such file"), (["/a", "/zz*"], "/zz*: No such file"), (["/in/[_.]*"], "/in/[_.]*: matches only names that")])
def test_one_missing_among_several_is_named_and_nothing_begins(cluster, inputs, missing):
    jobs = len(cluster.jobs())
    refused, out = run(cluster, *inputs, check=False)
    assert refused.returncode == 1 and missing in refused.stderr.decode() and refused.stderr.count(b"\n") == 1
    assert cluster.fs("-test", "-e", out, check=False).returncode == 1 and len(cluster.jobs()) == jobs


@pytest.mark.parametrize("options, parts", [(("-reduces", "5"), "part-r-0000"), (("-reduces", "0"), None)])
def test_an_empty_input_makes_as_many_empty_files_as_there_are_reducers(cluster, options, parts):
    _, out = run(cluster, "/empty", options=options)
    names = [os.path.basename(n) for n in cluster.fs("-ls", "-C", out).stdout.decode().split()]
    assert sorted(names) == ["_MANIFEST", "_SUCCESS"] + ([parts + str(i) for i in range(5)] if parts else [])
    assert cluster.fs("-cat", out + "/part-*", check=False).stdout == b""


def test_more_reducers_than_keys_and_none_at_all(cluster):
    _, out = run(cluster, "/a", options=("-reduces", "20"))
    assert cluster.fs("-cat", out + "/part-*").stdout == b"a\nb\n"
    _, out = run(cluster, "/a", "/b", options=("-reduces", "0"))
    assert cluster.fs("-cat", out + "/part-m-*").stdout == b"b\na\nq\n"


def counters(c, job):
    text = c.run("job", "-counter", job).stdout.decode()
    return {k.strip(): int(v) for k, v in re.findall(r"^\s+(.*)=(\d+)$", text, re.M)}


@pytest.mark.parametrize("dies", [False, True])
def test_counters_say_what_wc_says(cluster, dies):
    """Also when a worker died and its maps ran twice: only what won is counted."""
    text = b"".join(b"line %d of many, with words\n" % (i * 31 % 1000) for i in range(20000)) + b"and no end"
    cluster.fs("-put", "-f", "-", "/big/t", input=text)
    settings = ["-reduces", "3", "-D", "mapreduce.input.fileinputformat.split.maxsize=20k"]
    for name in "wordcount", "sort":
        out = f"/out/{name}-{dies}"
        job = cluster.run("run", "-detach", *settings, name, "/big/t", "/big/t", out).stdout.decode().strip()
        if dies:
            wait_for(lambda: cluster.status(job)["stages"][0]["done"] > 3)
            cluster.kill("worker2")
        assert cluster.run("job", "-wait", job, check=False, timeout=90).returncode == 0
        cluster.up()
        wait_for(lambda: cluster.run("job", "-workers").stdout.count(b" live ") == 2)
        n = counters(cluster, job)
        result = cluster.fs("-cat", out + "/part-*").stdout
        lines, words = 2 * len(text.split(b"\n")), 2 * len(text.split())
        emitted = words if name == "wordcount" else lines
        assert n["Map input records"] == lines and n["Map input bytes"] == 2 * len(text)
        assert n["Map output records"] == emitted
        assert n["Reduce output records"] == result.count(b"\n") and n["output bytes"] == len(result)
        assert n["Reduce input groups"] == (len(set(text.split())) if name == "wordcount" else len(set(text.split(b"\n"))))
        if name == "sort":
            assert n["Reduce input records"] == lines
        status = cluster.status(job)
        assert status["out_bytes"] == len(result) and status["out_files"] == 3 and status["bytes"] == 2 * len(text)
        sizes = [int(l.split()[4]) for l in cluster.fs("-ls", out).stdout.decode().splitlines() if "/part-" in l]
        assert sum(sizes) == len(result)


def packed(text, how):
    if how == "gzip":
        return gzip.compress(text)
    if not shutil.which(how):
        pytest.skip(f"no {how}")
    return subprocess.run([how, "-c"], input=text, capture_output=True, check=True).stdout


@pytest.mark.parametrize("how", ("gzip", "zstd", "lz4"))
def test_compressed_files_are_read_as_their_text_whatever_their_names(cluster, how, tmp_path):
    text = b"".join(b"%d some words\n" % (n * 7919 % 100003) for n in range(60000)) + b"last"
    whole = packed(text, how)
    split = ["-D", "mapreduce.input.fileinputformat.split.maxsize=40000", "-reduces", "1"]
    assert len(whole) > 50000
    cluster.fs("-mkdir", f"/{how}")
    cluster.fs("-put", "-", f"/{how}/large", input=whole)
    cluster.fs("-put", "-", f"/{how}/plain.gz", input=b"not packed at all\n")
    cluster.fs("-put", "-", f"/{how}/small", input=packed(b"a\nb", how))
    want = b"".join(l + b"\n" for l in sorted(text.split(b"\n") + [b"not packed at all", b"a", b"b"]))
    _, out = run(cluster, f"/{how}", options=split)
    assert cluster.fs("-cat", out + "/part-*").stdout == want
    (tmp_path / "in").write_bytes(whole)
    cluster.run("run", "-jt", "local", *split, "sort", str(tmp_path / "in"), str(tmp_path / "out"))
    assert (tmp_path / "out" / "part-r-00000").read_bytes() == b"".join(l + b"\n" for l in sorted(text.split(b"\n")))
    cluster.fs("-put", "-", f"/{how}-cut", input=whole[:-9])
    failed, _ = run(cluster, f"/{how}-cut", options=["-D", "mapreduce.map.maxattempts=1"], check=False)
    assert failed.returncode == 1 and b"compressed data" in failed.stderr, failed.stderr
