# SPDX-License-Identifier: Apache-2.0
"""Jobs of more stages than two, and partitions packed into reducers when the maps are done: the answer is that of the same jobs one
after another, of a few lines of Python, and byte for byte the same wherever it is made, though workers and the jobtracker die in the
second stage."""
import collections
import glob
import os
import random
import re
import subprocess

import pytest

from cluster import BUILD, QUERN, Cluster, output_of, wait_for

SLUGGISH = os.path.join(BUILD, "tests", "jobs", "sluggish.so")
MISBEHAVE = os.path.join(BUILD, "tests", "jobs", "misbehave.so")
SPLITS = ["-D", "mapreduce.input.fileinputformat.split.maxsize=40k"]
WORDS = ["w%d" % (i * i) for i in range(600)]
# One word is a third of all: its partition is no other's company.
TEXT = "".join(" ".join(r.choices(WORDS, k=6) + ["the"] * 3) + "\n" for r in [random.Random(11)] for _ in range(4000)).encode()


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=2, workers=3, replication=2) as c:
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", "-", "/in/a", input=TEXT)
        yield c


def run(c, *words, fails=False):
    done = c.run("run", *SPLITS, *words, check=False, timeout=120)
    assert (done.returncode != 0) == fails, done.stderr.decode()
    return done


def parts(c, path):
    names = c.fs("-ls", "-C", path + "/part-*").stdout.decode().split()
    return [c.fs("-cat", name).stdout for name in names]


def run_locally(tmp_path, *words, text=TEXT, code=0):
    """The same job over the same bytes without a cluster."""
    (tmp_path / "a").write_bytes(text)
    done = subprocess.run([QUERN, "run", "-jt", "local", *SPLITS, *words, str(tmp_path / "a"), str(tmp_path / "out")], capture_output=True, timeout=120)
    assert done.returncode == code, done.stderr.decode()
    return (done.stdout + done.stderr).decode()


def local_parts(tmp_path, *words):
    out = tmp_path / "out"
    run_locally(tmp_path, *words)
    return [open(p, "rb").read() for p in sorted(glob.glob(f"{out}/part-*"))]


def frequent(n):
    counts = collections.Counter(TEXT.decode().split())
    return sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:n]


def stage(c, job, which):
    return c.status(job)["stages"][which]


@pytest.mark.parametrize("how", [["-reduces", "3"], ["-reduces", "5"], []])
def test_partitions_are_packed_alike_everywhere(cluster, tmp_path, how):
    out = "/out/packed-" + "".join(how)
    run(cluster, *how, "wordcount", "/in/a", out)
    here = parts(cluster, out)
    assert len(here) == (int(how[1]) if how else 1)
    assert here == local_parts(tmp_path, *how, "wordcount")
    for part in here:
        keys = [line.split(b"\t")[0] for line in part.splitlines()]
        assert keys == sorted(keys), "a file is in order, however many partitions are in it"
    counts = collections.Counter(TEXT.split())
    assert dict(line.split(b"\t") for part in here for line in part.splitlines()) == {w: b"%d" % n for w, n in counts.items()}


def test_a_plugin_has_three_stages(cluster, tmp_path):
    told = run(cluster, "-D", "topwords.n=20", "topwords", "/in/a", "/out/top")
    assert " records in → 20 out\n" in told.stdout.decode()  # of the last stage alone
    want = "".join(f"{word}\t{n}\n" for word, n in frequent(20)).encode()
    assert parts(cluster, "/out/top") == [want]
    assert b"".join(local_parts(tmp_path, "-D", "topwords.n=20", "topwords")) == want


def arrows(report):
    """What went in, was shuffled by each stage, and came out."""
    return re.search(r"done in \S+( ms| s|m \S+)   (.*)\n", report).group(2)


def test_a_report_tells_each_stage_by_itself_with_a_cluster_and_without(cluster, tmp_path):
    words = ["-D", "topwords.n=20", "topwords"]
    with_cluster = arrows(run(cluster, *words, "/in/a", "/out/arrows").stdout.decode())
    assert re.fullmatch(r"\S+ K in → \S+ K shuffled → \S+ K shuffled → \d+ out   4,000 records in → 20 out", with_cluster)
    assert arrows(run_locally(tmp_path, *words)) == with_cluster
    status = cluster.run("job", "-status", str(max(j["id"]["job"] for j in cluster.jobs()))).stdout.decode().splitlines()
    assert len([line for line in status if line.startswith("shuffled ")]) == 2
    assert [line for line in status if line.startswith("reduce 2 ") and " of memory at most" in line]


def test_a_task_of_a_later_stage_is_called_by_its_stage(tmp_path):
    said = run_locally(tmp_path, "-D", "misbehave.how=segv", "-chain", f"distinct,distinct,{MISBEHAVE}", text=b"now\n", code=1)
    assert "job failed: reduce 2, task 0: crashed" in said


def test_a_chain_is_its_jobs_one_after_another(cluster, tmp_path):
    top = ["-D", "topn.n=30", "-D", "topn.field=2"]
    run(cluster, *top, "-chain", "wordcount,distinct,topn", "/in/a", "/out/chain")
    run(cluster, "-reduces", "2", "wordcount", "/in/a", "/out/chain1")
    run(cluster, "distinct", "/out/chain1", "/out/chain2")
    run(cluster, *top, "topn", "/out/chain2", "/out/chain3")
    assert parts(cluster, "/out/chain") == parts(cluster, "/out/chain3") != []
    assert local_parts(tmp_path, *top, "-chain", "wordcount,distinct,topn") == parts(cluster, "/out/chain")


def test_what_cannot_be_a_chain_is_said(cluster):
    for chain, why in (("wordcount,terasort", "does not read lines"), ("wordcount,sort", "range of keys"), ("terasort,wordcount", "terasort does not write lines"), ("wordcount,grep", "the chain needs -D grep.pattern"),
                       ("wordcount,teragen", "no reduce"), ("wordcount,nosuch", "no job named"),
                       (",".join(["wordcount"] * 9), "at most 8")):
        assert why in run(cluster, "-chain", chain, "/in/a", "/out/never", fails=True).stderr.decode()


def submit_slow(c, name):
    """Two jobs that hand lines through, each reducer of both after a while."""
    done = run(c, "-detach", "-reduces", "2", "-D", "sluggish.reduce=1500", "-chain", f"{SLUGGISH},{SLUGGISH}", "/in/a", "/out/" + name)
    return done.stdout.decode().strip()


def finish(c, job, name):
    wait = c.run("job", "-wait", job, check=False, timeout=120)
    assert wait.returncode == 0, wait.stderr.decode()
    assert output_of(c, "/out/" + name) == b"".join(sorted(TEXT.splitlines(keepends=True)))
    return c.status(job)


def is_in_stage(c, job, which):
    return stage(c, job, which)["running"] > 0 or stage(c, job, which)["done"] > 0


@pytest.mark.parametrize("which", [1, 2])
def test_the_jobtracker_dies_in_a_later_stage(cluster, which):
    job = submit_slow(cluster, f"jt-{which}")
    wait_for(lambda: is_in_stage(cluster, job, which))
    cluster.kill("jobtracker")
    cluster.up()
    status = finish(cluster, job, f"jt-{which}")
    ran_again = status["stages"][0]
    assert ran_again["node_local"] + ran_again["rack_local"] + ran_again["remote"] == 0, "maps whose outputs are held are not run again"


def test_a_worker_dies_with_what_two_stages_made(cluster):
    job = submit_slow(cluster, "worker")
    wait_for(lambda: stage(cluster, job, 2)["running"] > 0)
    cluster.kill("worker1")
    status = finish(cluster, job, "worker")
    assert all(s["done"] == s["tasks"] for s in status["stages"])
    cluster.up()
