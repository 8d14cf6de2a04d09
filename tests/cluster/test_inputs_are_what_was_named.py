# SPDX-License-Identifier: Apache-2.0
"""What a job reads when files are named twice, by patterns, with hidden ones and directories among them; that its counters say what
wc says; and that inputs which are read in ways of their own meet in one reduce, as Python and coreutils' join put them together."""
import collections
import csv
import glob
import gzip
import io
import os
import random
import re
import shutil
import subprocess

import pytest

from bundled import TABLES, inputs_of, lines
from cluster import BUILD, QUERN, ROOT, Cluster, wait_for

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


@pytest.mark.parametrize("inputs, options, parts", [
    (["/empty"], ("-reduces", "5"), [f"part-r-0000{i}" for i in range(5)]), (["/empty"], ("-reduces", "0"), ["part-m-00000"]),
    (["/empty"] * 3, ("-reduces", "0"), ["part-m-00000"]), (["/nothing"], ("-reduces", "2"), ["part-r-00000", "part-r-00001"]),
    (["/nothing"], ("-reduces", "0"), []),
    (["/empty"], ("-reduces", "0", "-D", "mapreduce.input.lineinputformat.linespermap=2"), [])])
def test_an_empty_file_has_a_map_and_an_empty_directory_none(cluster, inputs, options, parts):
    _, out = run(cluster, *inputs, options=options)
    names = [os.path.basename(n) for n in cluster.fs("-ls", "-C", out).stdout.decode().split()]
    assert sorted(names) == ["_MANIFEST", "_SUCCESS"] + parts
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
        assert cluster.run("job", "-wait", job, check=False, timeout=120).returncode == 0
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


# --- inputs read in ways of their own ----------------------------------------------------------------

# What two formats have in common, in order over all reducers: their sample is read as they are, too.
UNION = """
#include <quern/csv.h>
struct state {
    struct qn_csv csv;
    struct qn_slice name;
};
static int setup(struct qn_task *task)
{
    struct state *s = *qn_state(task) = calloc(1, sizeof(*s));
    s->name = qn_text(qn_input(task)->name); /* known from here on */
    return 0;
}
static int map_row(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice field;
    (void)where;
    if (qn_csv_begin(task, &s->csv, record, ';') != 0)
        return -1;
    return qn_csv_next(&s->csv, &field) ? qn_emit(task, field, s->name) : 0;
}
static int map_word(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    (void)where;
    return qn_emit(task, record, s->name);
}
static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice value;
    while (qn_next(values, &value))
        if (qn_emit(task, key, value) != 0)
            return -1;
    return 0;
}
static int cleanup(struct qn_task *task)
{
    qn_give_back(&((struct state *)*qn_state(task))->csv.room);
    free(*qn_state(task));
    return 0;
}
static const struct qn_job table = {.head = QN_JOB_HEAD, .name = "table", .map = map_row, .input = QN_CSV, .csv_separator = ';'};
static const struct qn_job eights = {.head = QN_JOB_HEAD, .name = "eights", .map = map_word, .input = QN_RECORDS, .record_size = 8};
static const struct qn_job *const inputs[] = {&table, &eights, NULL};
const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "union", .setup = setup, .map = map_word, .reduce = reduce,
                              .cleanup = cleanup, .spread = QN_BY_RANGE, .inputs = inputs};
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "union.c").write_text(UNION)
    shutil.copy(f"{ROOT}/docs/examples/spent.c", folder)
    for name in "union", "spent":
        subprocess.run(["cc", "-std=c11", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers",
                        f"-I{ROOT}/include", f"{name}.c", "-o", f"{name}.so"], cwd=folder, check=True, timeout=120)
    return folder


@pytest.fixture(params=["cluster", "local"])
def place(request, cluster, tmp_path):
    return On(cluster, f"/meet{next(OUT)}") if request.param == "cluster" else Here(cluster, str(tmp_path))


class On:
    """The cluster's files and workers."""
    flags = []

    def __init__(self, cluster, top):
        self.c, self.top = cluster, top

    def put(self, name, data):
        self.c.fs("-mkdir", "-p", os.path.dirname(f"{self.top}/{name}"))
        self.c.fs("-put", "-", f"{self.top}/{name}", input=data)

    def parts(self, out, name="part"):
        listed = self.c.fs("-ls", "-C", f"{self.top}/{out}/{name}-*").stdout.decode().split()
        return [self.c.fs("-cat", path).stdout for path in listed]

    def run(self, *words, check=True):
        return self.c.run("run", *self.flags, *(str(w).replace("@", self.top + "/") for w in words), check=check)


class Here(On):
    """No cluster: this machine's files."""
    flags = ["-jt", "local"]

    def put(self, name, data):
        os.makedirs(os.path.dirname(f"{self.top}/{name}"), exist_ok=True)
        open(f"{self.top}/{name}", "wb").write(data)

    def parts(self, out, name="part"):
        return [open(path, "rb").read() for path in sorted(glob.glob(f"{self.top}/{out}/{name}-*"))]


def orders_and_customers(rnd):
    """CSV with quotes, separators and line breaks in names; who is known; and what each spent."""
    names = [f"{a}{sep}{b}" for a in ("ann", "bob", "\u00e4", "") for sep in (" ", ", ", '"', "") for b in ("x", "y z", "")]
    text, spent = io.StringIO(), collections.Counter()
    write = csv.writer(text, lineterminator="\n").writerow
    write(["number", "customer", "cents"])
    for n in range(3000):
        who, cents = rnd.choice(names + ["line\nbreak"]), rnd.randrange(-50, 1000)
        spent[who] += cents
        write([n, who, cents])
    known = {who: rnd.choice(["Rome", "Oslo", ""]) for who in rnd.sample(sorted(set(names)), 20)}
    known["never bought"] = "Bonn"
    customers = "".join(f"{who}\t{city}\r\n" for who, city in known.items())
    want = {f"{who}\t{city}\t{spent[who]}" for who, city in known.items()}
    unknown = {f"{who}\t\t{cents}" for who, cents in spent.items() if who not in known}
    return text.getvalue().encode(), customers.encode(), want, unknown


def test_two_inputs_of_different_formats_meet(place, jobs):
    orders, customers, want, unknown = orders_and_customers(random.Random(5))
    half = orders.index(b"\n", len(orders) // 2) + 1
    heading = orders[:orders.index(b"\n") + 1]
    if orders[half:].count(b'"') % 2:
        half = orders.index(b"\n", orders.index(b'"', half)) + 1
    place.put("orders/a.csv", orders[:half])
    place.put("orders/b.csv.gz", gzip.compress(heading + orders[half:]))
    place.put("who/c", customers)
    for n, cut in enumerate(([], ["-D", "mapreduce.input.fileinputformat.split.maxsize=4k"])):
        done = place.run(*cut, "-reduces", "2", "-input", "orders=@orders/[ab]*", "-input", "customers=@who", jobs / "spent.so", f"@out{n}")
        assert set(b"".join(place.parts(f"out{n}")).decode().splitlines()) == want, done.stderr
        text = b"".join(place.parts(f"out{n}", "unknown")).decode()
        assert set(text.replace("line\nbreak", "a break").splitlines()) == {row.replace("line\nbreak", "a break") for row in unknown}
    if not place.flags:
        jobs_told = place.c.jobs()
        again = place.c.run("job", "-replay", str(len(jobs_told)), "-task", "m0", check=False)
        assert again.returncode == 0, again.stderr


def test_a_range_of_keys_is_cut_by_a_sample_of_all_inputs(place, jobs):
    rnd = random.Random(6)
    words = [b"%06d" % rnd.randrange(10**6) for _ in range(9000)]
    place.put("t", b"".join(b'"%s";x\n' % w if rnd.random() < .2 else b"%s;\n" % w for w in words[:3000]))
    place.put("e", b"".join(b"%s.." % w for w in words[3000:6000]))
    place.put("l", b"\n".join(words[6000:]))
    done = place.run("-reduces", "3", "-D", "mapreduce.input.fileinputformat.split.maxsize=9k", jobs / "union.so", "-input", "eights=@e", "@l",
                     "-input", "table=@t", "@out")
    parts = place.parts("out")
    want = sorted([w + b"\ttable" for w in words[:3000]] + [w + b"..\teights" for w in words[3000:6000]] + [w + b"\t" for w in words[6000:]],
                  key=lambda l: (l.split(b"\t")[0]))
    assert sorted(b"".join(parts).splitlines()) == sorted(want), done.stderr
    assert [l.split(b"\t")[0] for l in b"".join(parts).splitlines()] == [l.split(b"\t")[0] for l in want], "in order over all parts"
    assert max(map(len, parts)) < 1.5 * min(map(len, parts)), list(map(len, parts))


def coreutils_join(left, right, tmp_path):
    """All columns of a line are one for join(1): its tabs are hidden."""
    for name, text in ("left", left), ("right", right):
        rows = b"".join(l.split(b"\t")[0] + b"\t" + l.replace(b"\t", b"\1") + b"\n" for l in lines(text))
        with open(tmp_path / name, "wb") as f:
            subprocess.run(["sort", "-s", "-t", "\t", "-k1,1"], input=rows, stdout=f, env={"LC_ALL": "C"}, check=True)
    done = subprocess.run(["join", "-t", "\t", "-a", "1", "-a", "2", "-o", "0,1.2,2.2", "left", "right"], cwd=tmp_path, env={"LC_ALL": "C"},
                          capture_output=True, check=True)
    return lines(done.stdout.replace(b"\1", b"\t"))


def test_join_is_that_of_coreutils(cluster, tmp_path):
    full = ["-D", "join.type=full", "-reduces", "1"]
    for n, (kind, text) in enumerate(TABLES.items()):
        if b"\1" in text:
            continue
        (tmp_path / str(n)).mkdir()
        for name, part in inputs_of(text).items():
            (tmp_path / str(n) / name).write_bytes(part)
        here, want = str(tmp_path / str(n)), coreutils_join(*(inputs_of(text)[side] for side in ("left", "right")), tmp_path)
        if n % 4 == 0:
            put = f"/join{n}"
            cluster.fs("-put", here, put)
            cluster.run("run", *full, "-input", f"left={put}/left", "-input", f"right={put}/ri*", "join", f"{put}/out")
            got = cluster.fs("-cat", f"{put}/out/part-*").stdout
        else:
            cut = ["-D", "local.inprocess=true", "-D", f"mapreduce.input.fileinputformat.split.maxsize={len(text) // 7 + 1}"]
            done = subprocess.run([os.path.join(BUILD, "quern-task"), "-local", *full, *cut, "-input", f"left={here}/left",
                                   "-input", f"right={here}/right", os.path.join(BUILD, "jobs", "join.so"), f"{here}/out"], capture_output=True)
            assert done.returncode == 0, done.stderr
            got = (tmp_path / str(n) / "out" / "part-r-00000").read_bytes()
        assert sorted(lines(got)) == sorted(want), kind


def test_inputs_with_names_are_read_in_each_step(place, jobs):
    """Beside what the step before made, which is removed without a word."""
    place.put("a.csv", b"x;ann\ny;bob\n")
    place.put("b", b"carldoro")
    place.put("first", b"")
    done = place.run("-iterate", "2", "-reduces", "1", "-input", "table=@a.csv", "-input", "eights=@b", jobs / "union.so", "@first", "@steps")
    words = [b"carldoro\teights", b"x\ttable", b"y\ttable"]
    assert sorted(b"".join(place.parts("steps")).splitlines()) == sorted(words + [word + b"\t" for word in words])
    assert b"stays behind" not in done.stderr, done.stderr


def test_steps_without_an_input_to_hand_on_are_refused_before_the_first(place):
    """join's map of paths without a name fails: that shall not be found out when a step is done and its work lost."""
    place.put("l", b"k\t1\n")
    names = ["-input", "left=@l", "-input", "right=@l", "join"]
    done = place.run("-iterate", "2", *names, "@joined", check=False)
    assert done.returncode == 2 and done.stdout == b"" and done.stderr == (
        b"quern run: -iterate: what a step has made, the next reads as an INPUT without a name: give the first one so, too, beside -input\n"), done.stderr
    place.run("-iterate", "1", *names, "@joined") # there is no next one
    assert b"".join(place.parts("joined")) == b"k\tk\t1\tk\t1\n"


def test_why_is_answered_for_a_job_of_several_inputs(cluster):
    cluster.fs("-put", "-", "/several", input=b"k\t1\n")
    cluster.run("run", "-input", "left=/several", "-input", "right=/several", "join", "/out/several")
    last = max(job["id"]["job"] for job in cluster.jobs())
    assert cluster.run("job", "-why", str(last)).stdout == f"job {last}: nothing held it up\n".encode()


def test_a_file_is_joined_with_itself_and_heads_a_chain(cluster):
    cluster.fs("-put", "-", "/self", input=b"k\t1\nk\t2\nj\t3\n")
    cluster.run("run", "-input", "left=/self", "-input", "right=/self", "join", "/out/self")
    assert sorted(cluster.fs("-cat", "/out/self/part-*").stdout.splitlines()) == sorted(
        b"\t".join((a[:1], a, b)) for a in (b"k\t1", b"k\t2", b"j\t3") for b in (b"k\t1", b"k\t2", b"j\t3") if a[:1] == b[:1])
    cluster.run("run", "-chain", "join,wordcount", "-reduces", "1", "-input", "left=/self", "-input=right=/self", "/out/chained")
    assert cluster.fs("-cat", "/out/chained/part-*").stdout == b"1\t4\n2\t4\n3\t2\nj\t3\nk\t12\n"


@pytest.mark.parametrize("words, said", [
    (["-input", "lef=/a", "join"], "-input lef=/a: the inputs of join are left, right (did you mean left?)"),
    (["-input", "left=/a", "join"], "no path is given for the input right of join: -input right=PATH"),
    (["-input", "left", "-input", "right=/a", "join"], "-input left: NAME=PATH is wanted"),
    (["-input", "left=/a", "-input", "right=/nope", "join"], "/nope: No such file or directory"),
    (["-input", "left=/a", "sort", "/a"], "-input left=/a: sort has no inputs with names: give paths alone"),
    (["-chain", "sort,join", "/a"], "join does not read lines: it can only be the first of a chain"),
    (["join", "/a"], "which side is /a? -input left=PATH -input right=PATH, or -D join.left=PREFIX"),
])
def test_a_path_that_is_nobodys_is_told(cluster, words, said):
    run = cluster.run("run", *words, f"/out/{next(OUT)}", check=False)
    assert run.returncode in (1, 2) and said in run.stderr.decode(), run.stderr
    local = subprocess.run([QUERN, "run", "-jt", "local", *words, "/nowhere/out"], capture_output=True, text=True)
    assert local.returncode in (1, 2) and (said in local.stderr or "/a: No such file" in local.stderr or "/nowhere" in local.stderr)
