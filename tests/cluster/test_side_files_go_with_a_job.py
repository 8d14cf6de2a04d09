# SPDX-License-Identifier: Apache-2.0
"""Side files: given once with -file, beside every task under their name, mapped or opened; on a cluster, in processes, in one
thread. And what cannot be brought is told before anything runs."""
import glob
import os
import subprocess

import pytest

from cluster import BUILD, Cluster, wait_for

PLUGIN = os.path.join(BUILD, "tests/jobs/beside.so")
TEXT = b"a b c a\nb a\n" * 100
WANT = b"a\t300\nc\t100\n"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=2) as c:
        c.fs("-put", "-", "/in", input=TEXT)
        yield c


def lists(tmp_path):
    (tmp_path / "words.txt").write_bytes(b"a\nc\n")
    (tmp_path / "long").write_bytes(b"a\n" + b"filler %d\n" * 400_000 + b"c\n")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("more", ([], ["-D", "local.inprocess=true"]))
def test_without_a_cluster(cluster, more, tmp_path):
    lists(tmp_path)
    (tmp_path / "in").write_bytes(TEXT)
    cluster.run("run", "-jt", "local", *more, "-reduces", "1", "-file", tmp_path / "words.txt", PLUGIN,
                tmp_path / "in", tmp_path / "out")
    assert b"".join(open(p, "rb").read() for p in glob.glob(f"{tmp_path}/out/part-*")) == WANT


def test_on_a_cluster_by_their_own_name_and_another(cluster, tmp_path):
    lists(tmp_path)
    files = {"one": ["-file", tmp_path / "words.txt"], "named": [f"-file={tmp_path}/long#words.txt"],
             "many": ["-files", f"{tmp_path}/empty,file://{tmp_path}/long#words.txt"]}
    runs = {out: cluster.start("run", "-reduces", "1", *words, PLUGIN, "/in", f"/{out}") for out, words in files.items()}
    for out, run in runs.items():
        said = run.communicate(timeout=120)
        assert run.returncode == 0, said
        assert cluster.fs("-cat", f"/{out}/part-*").stdout == WANT
    wait_for(lambda: not [p for p in glob.glob(f"{cluster.dir}/**/jobs/job_*/**", recursive=True) if len(os.path.basename(p)) == 64])


def brought(c, worker):
    """Files a worker has fetched for jobs, and their bytes."""
    told = dict(line.split(" ") for line in c.page(worker, "/metrics").splitlines() if line.startswith("quern_wk_job_file"))
    return int(told.get("quern_wk_job_files_total", 0)), int(told.get("quern_wk_job_file_bytes_total", 0))


def test_each_node_fetches_them_once_however_many_tasks_there_are(cluster, tmp_path):
    """Under two names it is one file, too; and the plugin, which is kept, comes with the first job only."""
    lists(tmp_path)
    long = (tmp_path / "long").stat().st_size
    often = ["-D", "mapreduce.input.fileinputformat.split.maxsize=100", "-reduces", "3"]
    for out, split in ("few", []), ("many", often):
        before = [brought(cluster, w) for w in ("worker1", "worker2")]
        job = cluster.run("run", "-detach", *split, "-file", f"{tmp_path}/long#words.txt", "-file", f"{tmp_path}/long#again", PLUGIN, "/in",
                          f"/once-{out}").stdout.decode().strip()
        assert cluster.run("job", "-wait", job, timeout=120).returncode == 0
        rose = [tuple(a - b for a, b in zip(brought(cluster, w), was)) for w, was in zip(("worker1", "worker2"), before)]
        assert cluster.fs("-cat", f"/once-{out}/part-*").stdout.count(b"\n") == 2
    assert cluster.status(job)["stages"][0]["tasks"] > 8
    assert max(rose) == (1, long) and min(rose) in ((0, 0), (1, long)), rose


def test_a_job_that_asks_for_what_was_not_given_says_so(cluster, tmp_path):
    lists(tmp_path)
    run = cluster.run("run", "-file", tmp_path / "empty", PLUGIN, "/in", "/none", check=False)
    assert run.returncode == 1 and b'no side file "words.txt" came with the job' in run.stderr and b"there is empty" in run.stderr


def test_what_cannot_be_brought_is_told_at_once(cluster, tmp_path):
    lists(tmp_path)
    for words, said in (([f"-file={tmp_path}/nothere"], "No such file"), (["-file", tmp_path], "Is a directory"),
                        (["-file", f"{tmp_path}/empty#a/b"], "no slash"),
                        ([f"-files={tmp_path}/empty,{tmp_path}/words.txt#empty"], "two side files are called empty"),
                        (["-D", "mapreduce.job.cache.limit.max-resources-mb=1", "-file", tmp_path / "long"], "allows 1 M")):
        run = cluster.run("run", *words, PLUGIN, "/in", "/never", check=False)
        assert run.returncode == 2 and said in run.stderr.decode(), (words, run.stderr)
        assert len(run.stderr.splitlines()) == 1


def test_those_that_are_in_the_filesystem_already(cluster, tmp_path):
    cluster.fs("-mkdir", "/lists")
    cluster.fs("-put", "-", "/lists/words.txt", input=b"a\nc\n")
    cluster.fs("-put", "-", "/lists/much", input=b"x" * (2 << 20))
    cluster.run("run", "-files", "hdfs:///lists/words.txt", PLUGIN, "/in", "/remote")
    assert cluster.fs("-cat", "/remote/part-*").stdout == WANT
    cluster.run("run", "-stream", "-cacheFile", "quern:///lists/words.txt#w", "-mapper", "cat w; cat >/dev/null", "-reduces", "1", "/in", "/cached")
    assert cluster.fs("-cat", "/cached/part-*").stdout == b"a\t\nc\t\n"
    for words, code, said in ((["-file=hdfs:///lists/none"], 1, "-file hdfs:///lists/none: No such file"), (["-file", "hdfs:///lists"], 1, "Is a directory"),
                              (["-D", "mapreduce.job.cache.limit.max-resources-mb=1", "-file", "hdfs:///lists/much"], 1, "allows 1 M"),
                              (["-jt", "local", "-file", "hdfs:///lists/words.txt"], 2, "not with -jt local")):
        run = cluster.run("run", *words, PLUGIN, "/in" if code == 1 else __file__, "/never", check=False)
        assert run.returncode == code and said in run.stderr.decode() and len(run.stderr.splitlines()) == 1, (words, run.stderr)


def test_they_outlive_the_jobtracker(cluster, tmp_path):
    lists(tmp_path)
    slow = ["-D", "mapreduce.input.fileinputformat.split.maxsize=100", "-reduces", "1"]
    job = cluster.run("run", "-detach", *slow, "-file", f"{tmp_path}/long#words.txt", PLUGIN, "/in", "/outlived").stdout.decode().strip()
    cluster.kill("jobtracker")
    cluster.up()
    assert cluster.run("job", "-wait", job, timeout=120).returncode == 0
    assert cluster.fs("-cat", "/outlived/part-*").stdout == WANT
