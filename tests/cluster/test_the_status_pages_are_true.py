# SPDX-License-Identifier: Apache-2.0
"""What the four daemons show of themselves over HTTP: read by a machine that takes nothing on trust (a
strict reader of Prometheus' text format), asked by somebody rude, and what is left when one is killed by
a signal."""
import json
import os
import re
import signal
import socket
import urllib.request

import pytest

from cluster import Cluster, is_over, wait_for

MARKUP = "<script>alert('1')</script> \"&\" \u00fc"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=1) as c:
        c.run("fs", "-put", "/usr/share/common-licenses/GPL-3", "/text")
        c.run("run", "-name", MARKUP, "wordcount", "/text", "/out")
        yield c


DAEMONS = ["namenode", "datanode1", "jobtracker", "worker1"]


def raw(cluster, daemon, request):
    """Everything that comes back until the other side closes."""
    host, port = cluster.page_address(daemon).split(":")
    with socket.create_connection((host, int(port)), timeout=20) as s:
        s.sendall(request)
        got = b""
        while piece := s.recv(65536):
            got += piece
        return got


# --- /metrics ------------------------------------------------------------------------------------

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"^({NAME})(\{{{LABEL}(?:,{LABEL})*\}})? (\d+)$")


def read_metrics(text):
    """{(name, labels): value}; anything Prometheus would not take, or promtool would blame, is an error."""
    assert text.endswith("\n") and "\n\n" not in text
    samples, kinds, family = {}, {}, None
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("# HELP "):
            _, _, family, words = line.split(" ", 3)
            assert words and family not in kinds, line
            kind = next(lines).split(" ")
            assert kind[:3] == ["#", "TYPE", family] and kind[3] in ("counter", "gauge"), line
            kinds[family] = kind[3]
            assert (kind[3] == "counter") == family.endswith("_total"), line
            continue
        match = SAMPLE.match(line)
        assert match, line
        assert match[1] == family, f"{line} is not under its heading"
        key = (match[1], match[2] or "")
        assert key not in samples, f"{line} a second time"
        samples[key] = int(match[3])
    return samples


@pytest.mark.parametrize("daemon", DAEMONS)
def test_metrics_are_what_prometheus_reads(cluster, daemon):
    samples = read_metrics(cluster.page(daemon, "/metrics"))
    build = [labels for name, labels in samples if name == "quern_build_info"]
    assert len(build) == 1 and f'daemon="{daemon.rstrip("1")}"' in build[0]
    assert samples["quern_resident_memory_bytes", ""] > 1 << 20
    assert 3 < samples["quern_open_fds", ""] <= samples["quern_max_fds", ""]


def test_metrics_are_of_now(cluster):
    jt = lambda: read_metrics(cluster.page("jobtracker", "/metrics"))
    nn = lambda: read_metrics(cluster.page("namenode", "/metrics"))
    assert jt()["quern_jt_jobs_total", '{end="succeeded"}'] == 1
    assert jt()["quern_jt_live_workers", ""] == 1
    assert jt()["quern_jt_jobs_total", '{end="failed"}'] == 0  # there before the first one
    before = nn()["quern_nn_files", ""]
    cluster.fs("-touchz", "/one-more")
    assert nn()["quern_nn_files", ""] == before + 1


# --- /status.json --------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", DAEMONS)
def test_the_status_is_json_whose_rows_fit_their_columns(cluster, daemon):
    status = json.loads(cluster.page(daemon, "/status.json"))
    assert status["state"] == "serving" and status["pid"] == cluster.pid(daemon)
    assert status["resident_bytes"] > 1 << 20
    for table in status["tables"].values():
        for row in table["rows"]:
            assert len(row) == len(table["columns"])
            for value, column in zip(row, table["columns"]):
                assert isinstance(value, str if column["unit"] in ("text", "job") else int), (column, value)
    for name, value in status["values"].items():
        link = value["link"]
        assert not link.startswith("#") or link[1:] in status["tables"], name


def test_a_name_that_is_markup_stays_a_name(cluster):
    jobs = json.loads(cluster.page("jobtracker", "/status.json"))["tables"]["jobs"]["rows"]
    assert MARKUP in [row[1] for row in jobs]
    page = raw(cluster, "jobtracker", b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert b"alert" not in page and b"default-src 'self'" in page
    assert b"innerHTML" not in cluster.page("jobtracker", "/status.js").encode()


# --- rude requests -------------------------------------------------------------------------------

HOST = b"Host: localhost\r\nConnection: close\r\n"
RUDE = {
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n": b" 200 ",
    b"GET /nothing HTTP/1.1\r\n" + HOST + b"\r\n": b" 404 ",
    b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n": b" 404 ",
    b"POST /status.json HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n": b" 405 ",
    b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n": b" 501 ",
    b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n": b" 403 ",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100000 + b"\r\n\r\n": b" 400 ",
    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n" + HOST + b"\r\n": b" 400 ",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n\r\n": b" 413 ",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -5\r\n\r\n": b" 400 ",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n": b" 413 ",
    b"\0\1\2\r\n\r\n": b" 400 ",
}


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_rude_request_is_refused_in_kind(cluster, daemon):
    for request, want in RUDE.items():
        got = raw(cluster, daemon, request)
        assert want in got.split(b"\r\n")[0], (request[:60], got[:200])
        if request.startswith(b"HEAD"):
            assert got.endswith(b"\r\n\r\n"), "a HEAD has no body"
    assert json.loads(cluster.page(daemon, "/status.json"))["state"] == "serving"


# --- the last words ------------------------------------------------------------------------------


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_daemon_killed_by_a_signal_leaves_a_report(cluster, daemon):
    """SIGABRT: the sanitizers of a debug build keep the others to themselves."""
    path = os.path.join(cluster.dir, "log", daemon + ".log")
    build = json.loads(cluster.page(daemon, "/status.json"))["build_id"]
    pid = cluster.pid(daemon)
    before = os.path.getsize(path)
    os.kill(pid, signal.SIGABRT)
    wait_for(lambda: "cut here: end" in open(path, errors="replace").read()[before:])
    report = open(path, errors="replace").read()[before:]
    assert f"SIGABRT sent by process {os.getpid()}" in report
    assert f"build id: {build}" in report and f"process:  {pid}" in report
    assert "request:  none" in report and "stack (addr2line" in report
    assert "last log lines:\n" in report and " INFO " in report
    assert report.count("cut here: end") == 1
    wait_for(lambda: is_over(pid))
    cluster.up()
    wait_for(lambda: json.loads(cluster.page(daemon, "/status.json"))["state"] == "serving")


def test_jobs_of_a_jobtracker_that_was_killed_are_on_the_page_of_the_next(cluster):
    """The one before this test has killed the jobtracker."""
    table = json.loads(cluster.page("jobtracker", "/status.json"))["tables"]["jobs"]
    names = [column["name"] for column in table["columns"]]
    (row,) = [row for row in table["rows"] if row[0] == "1"]
    job = dict(zip(names, row))
    assert job["name"] == MARKUP and job["state"] in ("succeeded", "failed") and job["queue"] == "default"
    assert job["tasks done"].startswith("map ") and "commit" not in job["tasks done"]
    assert json.loads(cluster.page("jobtracker", "/job.json?id=1"))


# --- one job -------------------------------------------------------------------------------------

def test_a_jobs_page_has_what_its_attempts_recorded(cluster):
    cluster.run("fs", "-put", "-", "/page", input=b"a line\n" * 100)
    cluster.run("run", "wordcount", "/page", "/paged")
    job = json.loads(cluster.page("jobtracker", "/job.json?id=2"))
    assert job["status"]["name"] == "wordcount" and job["partitions"][0]["keys"]
    assert all(a["times"]["total"] > 0 for s in job["stages"] for t in s["tasks"] for a in t["attempts"])
    assert "/job.js" in cluster.page("jobtracker", "/job?id=1")
    for query, code in (("?id=99", b" 404 "), ("?id=x", b" 400 "), ("", b" 400 ")):
        answer = raw(cluster, "jobtracker", b"GET /job.json" + query.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert code in answer.split(b"\r\n")[0]


def no_jobs_shown(cluster):
    on_page = json.loads(cluster.page("jobtracker", "/status.json"))["tables"]["jobs"]["rows"]
    return on_page == [] and b"Total jobs:0" in cluster.run("job", "-list", "all").stdout


def test_a_job_that_has_left_the_history_is_on_no_page(cluster):
    with open(os.path.join(cluster.dir, "site.conf"), "a") as f:
        f.write("\nmapreduce.jobhistory.max-age-ms = 1s\n")
    cluster.kill("jobtracker")
    cluster.up()
    wait_for(lambda: no_jobs_shown(cluster))
    told = cluster.run("job", "-status", "2", check=False)
    assert told.returncode != 0 and told.stderr == b"quern job: no job 2 here (`quern job -list all` shows what is known)\n"
    assert b" 404 " in raw(cluster, "jobtracker", b"GET /job.json?id=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").split(b"\r\n")[0]


def test_a_job_leaves_in_time_without_a_restart(cluster):
    cluster.run("run", "wordcount", "/page", "/leaves")
    wait_for(lambda: no_jobs_shown(cluster))
