# SPDX-License-Identifier: Apache-2.0
"""What a newcomer types, and what coreutils say to it."""
import glob
import os
import subprocess

import pytest

from cluster import BUILD, QUERN, ROOT, Cluster, count_words, output_of

TEXTS = sorted(p for p in glob.glob("/usr/share/common-licenses/*") if os.path.isfile(p) and not os.path.islink(p))


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=3) as c:
        c.fs("-mkdir", "-p", "/in")
        c.fs("-put", *TEXTS, "/in")
        yield c


def texts():
    return [open(p, "rb").read() for p in TEXTS]


def test_what_is_put_comes_back_byte_by_byte(cluster):
    for path in TEXTS:
        assert cluster.fs("-cat", "/in/" + os.path.basename(path)).stdout == open(path, "rb").read()


def test_wordcount_says_what_coreutils_say(cluster):
    cluster.run("run", "wordcount", "/in", "/out/words")
    assert output_of(cluster, "/out/words") == b"".join(sorted(count_words(texts()).splitlines(keepends=True)))
    names = cluster.fs("-ls", "-C", "/out/words").stdout.decode().split()
    assert "/out/words/_SUCCESS" in names and "/out/words/_MANIFEST" in names
    assert not [n for n in names if "_temporary" in n]


def test_the_same_job_twice_gives_the_same_bytes(cluster):
    cluster.run("run", "-reduces", "3", "wordcount", "/in", "/out/a")
    cluster.run("run", "-reduces", "3", "wordcount", "/in", "/out/b")
    for part in range(3):
        a, b = (cluster.fs("-cat", f"/out/{x}/part-r-{part:05d}").stdout for x in "ab")
        assert a == b


def test_distinct_and_sort_say_what_coreutils_say(cluster):
    lines = b"".join(t if t.endswith(b"\n") else t + b"\n" for t in texts()).splitlines(keepends=True)
    cluster.run("run", "distinct", "/in", "/out/distinct")
    assert output_of(cluster, "/out/distinct") == b"".join(sorted(set(lines)))
    cluster.run("run", "-reduces", "1", "sort", "/in", "/out/sort")
    assert cluster.fs("-cat", "/out/sort/part-r-00000").stdout == b"".join(sorted(lines, key=lambda l: l[:-1]))


def test_lines_of_another_system_keep_their_carriage_returns(cluster):
    """Only a newline ends a line, as for sort(1): every byte that is not one comes out again."""
    text = b"b\r\na\r\n\r\na\nb\0c\n\xff\r\n"
    cluster.fs("-put", "-", "/crlf", input=text)
    cluster.run("run", "-reduces", "1", "sort", "/crlf", "/out/crlf")
    assert cluster.fs("-cat", "/out/crlf/part-r-00000").stdout == b"\r\na\na\r\nb\0c\nb\r\n\xff\r\n"


def test_a_plugin_of_ones_own_runs(cluster, tmp_path):
    source = os.path.join(ROOT, "jobs", "wordcount.c")
    plugin = tmp_path / "my.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", os.path.join(ROOT, "include"),
                    source, "-o", str(plugin)], check=True)
    cluster.run("run", str(plugin), "/in", "/out/mine")
    assert output_of(cluster, "/out/mine") == b"".join(sorted(count_words(texts()).splitlines(keepends=True)))


def test_existing_output_is_refused_unless_it_may_be_replaced(cluster):
    cluster.run("run", "wordcount", "/in", "/out/once")
    again = cluster.run("run", "wordcount", "/in", "/out/once", check=False)
    assert again.returncode == 1
    assert b"/out/once exists already (add -mode replace, or remove it)" in again.stderr
    cluster.run("run", "-mode", "replace", "wordcount", "/in", "/out/once")


def test_mistakes_get_one_clear_line(cluster):
    def says(text, *args, code=2):
        run = cluster.run(*args, check=False)
        assert text in run.stderr.decode(), run.stderr
        assert run.returncode == code
    says('no job named "wordcuont" (did you mean wordcount?', "run", "wordcuont", "/in", "/x")
    says('no option "grep.patern": grep knows grep.pattern', "run", "-D", "grep.patern=x", "grep", "/in", "/x")
    says("/missing: No such file or directory", "run", "wordcount", "/missing", "/x", code=1)
    says("give at least one INPUT and the OUTPUT", "run", "wordcount", "/in")


def test_each_bundled_job_tells_what_it_needs_before_it_has_it(cluster):
    for job in ("wordcount", "grep", "sort", "distinct"):
        told = cluster.run("run", job, "-help").stdout.decode()
        assert told.startswith(f"{job}: ") and "usage: quern run " in told
    assert "grep.pattern" in cluster.run("run", "grep", "-help").stdout.decode()


def test_no_cluster_is_worth_a_retry():
    env = dict(os.environ, QUERN_CONF="/dev/null")
    run = subprocess.run([QUERN, "-D", "mapreduce.jobtracker.address=127.0.0.1:1", "job", "-list"], env=env, capture_output=True)
    assert run.returncode in (2, 75)
    run = subprocess.run([QUERN, "job", "-list", "-D", "mapreduce.jobtracker.address=127.0.0.1:1"], env=env, capture_output=True)
    assert run.returncode == 75
    assert b"is the jobtracker running?" in run.stderr


def test_odd_inputs_have_sensible_ends(cluster):
    cluster.fs("-touchz", "/empty")
    cluster.run("run", "wordcount", "/empty", "/out/empty")
    assert cluster.fs("-cat", "/out/empty/part-*", check=False).stdout == b""
    cluster.fs("-put", "-", "/giant", input=b"x" * 3_000_000)
    cluster.run("run", "wordcount", "/giant", "/out/giant")
    assert output_of(cluster, "/out/giant") == b"x" * 3_000_000 + b"\t1\n"
    cluster.run("run", "-reduces", "7", "wordcount", "/giant", "/out/more")
    assert output_of(cluster, "/out/more") == b"x" * 3_000_000 + b"\t1\n"
    run = cluster.run("run", "-reduces", "0", "grep", "-D", "grep.pattern=GNU", "/in", "/out/none", check=False)
    assert run.returncode in (0, 1)
    cluster.fs("-mkdir", "-p", "/deep/below")
    cluster.fs("-put", TEXTS[0], "/deep/below")
    deep = cluster.run("run", "wordcount", "/deep", "/out/deep", check=False)
    assert deep.returncode == 1 and b"Is a directory among the inputs" in deep.stderr


def test_jobs_are_listed_and_told_about(cluster):
    run = cluster.run("run", "-detach", "-name", "listed", "wordcount", "/in", "/out/listed")
    job = run.stdout.decode().strip().rsplit("_", 1)[1].lstrip("0")
    assert cluster.run("job", "-wait", job).returncode == 0
    assert any(j["name"] == "listed" for j in cluster.jobs())
    status = cluster.run("job", "-status", job).stdout.decode()
    assert "succeeded" in status and "Map input records=" in status
    records = int(cluster.run("job", "-counter", job, "Map-Reduce Framework", "Map input records").stdout)
    assert records == sum(len(t.splitlines()) for t in texts())


def test_the_report_names_all_datanodes(cluster):
    report = cluster.run("admin", "-report").stdout.decode()
    assert "Live datanodes (3):" in report
    assert cluster.run("fsck", "/").stdout.decode().rstrip().endswith("The filesystem under path '/' is HEALTHY")


def test_local_mode_needs_no_cluster(tmp_path):
    out = tmp_path / "out"
    subprocess.run([QUERN, "run", "-jt", "local", "wordcount", os.path.join(ROOT, "LICENSE"), str(out)], check=True,
                   env=dict(os.environ, QUERN_CONF="/dev/null"))
    lines = b"".join(sorted(b"".join(open(p, "rb").read() for p in glob.glob(str(out / "part-*"))).splitlines(keepends=True)))
    want = count_words([open(os.path.join(ROOT, "LICENSE"), "rb").read()])
    assert lines == b"".join(sorted(want.splitlines(keepends=True)))
