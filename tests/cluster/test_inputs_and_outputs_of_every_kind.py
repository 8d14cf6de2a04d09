# SPDX-License-Identifier: Apache-2.0
"""CSV with line breaks in its fields, JSON lines, records behind their lengths, key TAB value, whole files, packed ones: cut into
many splits, on a cluster and without one, against Python's own readers. And outputs: those a job names itself, the ways to add to an
output that exists, the same bytes from every run; and `quern job -verify`, which finds a byte that is wrong."""
import collections
import csv
import gzip
import io
import json
import os
import random
import shutil
import struct
import subprocess

import pytest

from cluster import ROOT, Cluster

SMALL = ["-D", "mapreduce.input.fileinputformat.split.maxsize=64k"]

# Every record as "<offset of it>:<its length>:<its bytes>", or its fields, in the order of the input.
READER = """
#include <stdio.h>
#include <quern/csv.h>
static struct qn_csv csv;
static int put(struct qn_task *task, struct qn_slice bytes)
{
    char head[32];
    int n = snprintf(head, sizeof(head), "%zu:", bytes.len);
    return qn_emit(task, qn_bytes(head, (size_t)n), bytes);
}
static int map(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    (void)where;
    (void)csv;
#ifdef CSV
    struct qn_slice field;
    if (qn_csv_begin(task, &csv, record, ',') != 0)
        return -1;
    while (qn_csv_next(&csv, &field))
        if (put(task, field) != 0)
            return -1;
    return qn_emit(task, qn_text(";"), qn_nothing());
#endif
#ifdef PAIRS
    if (put(task, where) != 0)
        return -1;
#endif
    return put(task, record);
}
const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "reader", .map = map, .input = FORMAT, .output = QN_RAW};
"""

# Lines "day word": counts words, to an output of each day's own; attempts may fail when all is written.
NAMER = """
#include <stdio.h>
#include <quern/job.h>
static const struct qn_option_row options[] = {{"namer.fail", "0", "how many attempts of each reduce fail"}, {0}};
static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    if (line.len == 0)
        return qn_emit_to(task, "empty", qn_text("a line"), qn_text("was empty"));
    return qn_emit(task, line, qn_text("1"));
}
static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    char name[64], number[32];
    struct qn_slice day, word = key, value;
    unsigned n = 0;
    while (qn_next(values, &value))
        n++;
    snprintf(number, sizeof(number), "%u", n);
    qn_next_field(&word, ' ', &day);
    snprintf(name, sizeof(name), "day=%.*s/part", (int)day.len, (const char *)day.data);
    if (task->attempt < (uint32_t)atoi(qn_option(task, "namer.fail")) && qn_emit_to(task, "ghost", word, qn_nothing()) != 0)
        return -1;
    return qn_emit_to(task, name, word, qn_text(number));
}
static int cleanup(struct qn_task *task)
{
    if (task->is_reduce && task->attempt < (uint32_t)atoi(qn_option(task, "namer.fail")))
        return qn_fail(task, "as told");
    return 0;
}
const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "namer", .map = map, .reduce = reduce, .cleanup = cleanup,
                              .options = options};
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """The jobs of this file, compiled as an author would."""
    folder = tmp_path_factory.mktemp("jobs")
    kinds = {"csv": ["-DFORMAT=QN_CSV", "-DCSV"], "json": ["-DFORMAT=QN_JSON_LINES"], "prefixed": ["-DFORMAT=QN_PREFIXED"],
             "pairs": ["-DFORMAT=QN_KEY_VALUES", "-DPAIRS"], "crlf": ["-DFORMAT=QN_CRLF_LINES"], "whole": ["-DFORMAT=QN_WHOLE_FILES"]}
    (folder / "reader.c").write_text(READER)
    (folder / "namer.c").write_text(NAMER)
    for name, flags in [*kinds.items(), ("namer", [])]:
        source = "namer.c" if name == "namer" else "reader.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror", f"-I{ROOT}/include",
                        *flags, source, "-o", f"{name}.so"], cwd=folder, check=True, timeout=120)
    return {name: str(folder / f"{name}.so") for name in [*kinds, "namer"]}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=1, workers=2) as c:
        yield c


@pytest.fixture(params=["cluster", "local"])
def place(request, cluster, tmp_path):
    return Place(cluster, tmp_path) if request.param == "cluster" else Local(cluster, tmp_path)


class Place:
    """The cluster's filesystem and its workers."""
    flags = []
    number = iter(range(10000))

    def __init__(self, cluster, tmp_path):
        self.c, self.tmp, self.top = cluster, tmp_path, f"/t{next(self.number)}"
        self.make()

    def make(self):
        self.c.fs("-mkdir", "-p", self.top + "/in")

    def make_dir(self, name):
        self.c.fs("-mkdir", f"{self.top}/{name}")

    def put(self, name, data):
        self.c.fs("-put", "-f", "-", f"{self.top}/in/{name}", input=data)

    def run(self, *args, check=True, out="out"):
        return self.c.run("run", *self.flags, *args, self.top + "/in", f"{self.top}/{out}", check=check)

    def names(self, out="out"):
        listed = self.c.fs("-ls", "-R", f"{self.top}/{out}").stdout.decode().splitlines()
        paths = [line.split()[-1] for line in listed if not line.startswith(("d", "Found"))]
        return sorted(p[len(f"{self.top}/{out}/"):] for p in paths)

    def read(self, name, out="out"):
        return self.c.fs("-cat", f"{self.top}/{out}/{name}").stdout

    def verify(self, out="out", check=True):
        return self.c.run("job", "-verify", *self.flags, f"{self.top}/{out}", check=check)

    def spoil(self, name, data, out="out"):
        self.c.fs("-put", "-f", "-", f"{self.top}/{out}/{name}", input=data)


class Local(Place):
    """No cluster: this machine's files."""
    flags = ["-jt", "local"]

    def make(self):
        self.top = str(self.tmp)
        os.mkdir(self.top + "/in")

    def make_dir(self, name):
        os.mkdir(f"{self.top}/{name}")

    def put(self, name, data):
        open(f"{self.top}/in/{name}", "wb").write(data)

    def names(self, out="out"):
        return sorted(os.path.relpath(os.path.join(folder, f), f"{self.top}/{out}") for folder, _, files in os.walk(f"{self.top}/{out}") for f in files)

    def read(self, name, out="out"):
        return open(f"{self.top}/{out}/{name}", "rb").read()

    def spoil(self, name, data, out="out"):
        open(f"{self.top}/{out}/{name}", "wb").write(data)


def outputs(place, out="out"):
    return b"".join(place.read(n, out) for n in place.names(out) if n.startswith("part-"))


def told(records):
    return b"".join(b"%d:%s" % (len(r), r) for r in records)


# --- inputs ------------------------------------------------------------------------------------------

def some_csv(seed, size):
    rnd, out = random.Random(seed), io.StringIO()
    writer = csv.writer(out, lineterminator=rnd.choice(["\n", "\r\n"]))
    texts = ["", "plain", "with, comma", 'a "quote"', "line\nbreak", "two\r\nlines\r\n", '""', ",", "\n" * 5, "x" * 3000, '"\n"']
    while out.tell() < size:
        writer.writerow(rnd.choice(texts) for _ in range(rnd.randint(1, 6)))
    return out.getvalue().encode()


def csv_told(*files):
    csv.field_size_limit(1 << 30)
    out = []
    for data in files:
        for row in csv.reader(io.StringIO(data.decode(), newline="")):
            out.append(told(f.encode() for f in row or [""]) + b";")
    return b"".join(out)


def test_csv_is_what_python_reads_wherever_it_is_cut(place, jobs):
    files = [some_csv(n, 400_000) for n in range(2)]
    files.append(b'a,"' + b"long line\n" * 20_000 + b'",b\nc,d\n')  # a field longer than three splits
    files.append(b"1,2\n3,4\n" * 30_000)
    files.append(b"")
    for i, data in enumerate(files):
        place.put(f"f{i}", data)
    place.run(*SMALL, jobs["csv"])
    assert outputs(place) == csv_told(*files)


@pytest.mark.parametrize("data, why", [
    (b"a,b\n" * 40_000 + b'c,"never closed\n' + b"d,e\n" * 40_000, "offset 160002"),
    (b"a,b\n" * 40_000 + b'c"d,e\n' + b"d,e\n" * 40_000, "offset 160001"),
])
def test_malformed_csv_fails_with_its_place(place, jobs, data, why):
    place.put("bad.csv", data)
    refused = place.run(*SMALL, jobs["csv"], check=False)
    assert refused.returncode == 1 and b"bad.csv" in refused.stderr
    whole = place.run(jobs["csv"], check=False, out="whole")
    assert whole.returncode == 1 and why in whole.stderr.decode(), whole.stderr


def test_lines_of_json_are_checked(place, jobs):
    rnd = random.Random(3)
    good = [json.dumps({"n": i, "text": "é\n\"" * rnd.randint(0, 30)}, ensure_ascii=rnd.random() < .5).encode() for i in range(4000)]
    place.put("a.json", b"\r\n".join(good[:2000]) + b"\n\n" + b"\n".join(good[2000:]))
    place.run(*SMALL, jobs["json"])
    assert outputs(place) == told(good)
    at = len(b"\n".join(good[:50])) + 1
    place.put("b.json", b"\n".join(good[:50]) + b"\n{\"n\": 01}\n" + good[50])
    refused = place.run(jobs["json"], check=False, out="refused")
    assert refused.returncode == 1
    assert f"b.json: the line at offset {at} is no JSON: a number begins with 0 at offset {at + 7}" in refused.stderr.decode()
    place.run("-D", "job.bad.records=1", jobs["json"], out="passed")
    assert outputs(place, "passed") == told(good + good[:51])


def test_records_behind_their_lengths(place, jobs):
    rnd = random.Random(4)
    records = [rnd.randbytes(rnd.randint(0, 900)) for _ in range(600)]
    data = b"".join(struct.pack("<I", len(r)) + r for r in records)
    place.put("a", data)
    place.put("b.gz", gzip.compress(data[:len(data) // 3]) + gzip.compress(data[len(data) // 3:]))
    place.run(*SMALL, jobs["prefixed"])
    assert outputs(place) == told(records * 2)
    place.put("c", data[:-1])
    refused = place.run(jobs["prefixed"], check=False, out="refused")
    at = len(data) - len(records[-1]) - 4
    assert refused.returncode == 1 and f"/c: the file ends inside the record whose length stands at offset {at}" in refused.stderr.decode()


def test_pairs_lines_and_whole_files(place, jobs):
    text = b"k\tv\tw\r\n\tno key\nno value\n\r\nlast\t" * 5000
    pairs = [line.rstrip(b"\r").partition(b"\t") for line in text.split(b"\n")]
    place.put("a", text)
    place.run(*SMALL, jobs["pairs"])
    assert outputs(place) == b"".join(told([k, v]) for k, _, v in pairs)
    place.run(*SMALL, jobs["crlf"], out="lines")
    assert outputs(place, "lines") == told(line.rstrip(b"\r") for line in text.split(b"\n"))
    place.put("b", b"")
    place.put("c.gz", gzip.compress(b"packed\n"))
    place.run(*SMALL, jobs["whole"], out="files")
    assert outputs(place, "files") == told([text, b"", b"packed\n"])


def test_what_is_excluded_is_not_read(place, jobs):
    for name in ("keep.txt", "drop.tmp", "old-1", "old-2"):
        place.put(name, name.encode() + b"\n")
    place.run("-exclude", "*.tmp", "-exclude", "old-[1]", jobs["crlf"])
    assert outputs(place) == told([b"keep.txt", b"old-2"])
    place.run("-exclude", f"{place.top}/in/[a-o]*", jobs["crlf"], check=False, out="none")
    assert outputs(place, "none") == b""
    word = f"{place.top}/in/old-?"
    place.c.run("run", *place.flags, jobs["crlf"], word, f"{place.top}/globbed")
    assert outputs(place, "globbed") == told([b"old-1", b"old-2"])


@pytest.mark.parametrize("name, data, why", [
    ("cut.gz", gzip.compress(b"a\n" * 50_000)[:-9], "compressed data ends too early"),
    ("spoilt.gz", gzip.compress(b"a\n" * 50_000)[:-6] + b"xxxxxx", "damaged compressed data"),
    ("empty.gz", b"\x1f\x8b", "compressed data ends too early"),
])
def test_packed_bytes_that_are_damaged_are_told_with_their_place(place, jobs, name, data, why):
    place.put(name, data)
    refused = place.run(jobs["crlf"], check=False)
    assert refused.returncode == 1 and f"{name}: {why}" in refused.stderr.decode() and "offset" in refused.stderr.decode()


def tool(*command):
    """A filter: bytes in, bytes out."""
    def run(data):
        if not shutil.which(command[0]):
            pytest.skip(f"no {command[0]} here")
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=120).stdout
    return run


def in_frames(pack, text, size):
    return [pack(text[at:at + size]) for at in range(0, len(text), size)]


def seekable(text):
    """The seekable format of zstd: frames, and a table of them in a skippable one."""
    parts = [text[at:at + 50_000] for at in range(0, len(text), 50_000)]
    frames = [tool("zstd", "-q", "-c")(part) for part in parts]
    table = b"".join(struct.pack("<II", len(f), len(p)) for f, p in zip(frames, parts)) + struct.pack("<IBI", len(parts), 0, 0x8f92eab1)
    return b"".join(frames) + struct.pack("<II", 0x184d2a5e, len(table)) + table


CUT = {
    "zstd": lambda t: b"".join(in_frames(tool("zstd", "-q", "-c"), t, 100_000)),
    "long": lambda t: b"".join(in_frames(tool("zstd", "-q", "--long=27", "-c"), t, 150_000)),
    "pzstd": lambda t: tool("pzstd", "-q", "-p", "4", "-c")(t),
    "seekable": seekable,
    "lz4": tool("lz4", "-q", "-B4", "-BI"),
    "lz4-checked": tool("lz4", "-q", "-B4", "-BI", "-BX", "--content-size"),
    "lz4-linked": lambda t: b"".join(in_frames(tool("lz4", "-q", "-B4", "-BD"), t, 90_000)),
}


@pytest.mark.parametrize("how", CUT)
def test_packed_files_are_cut_where_that_is_possible(place, jobs, how):
    rnd = random.Random(how)
    text = b"".join(rnd.randbytes(rnd.randint(0, 60)).hex().encode() + b"\n" for _ in range(25_000)) + b"x" * 300_000 + b"\nno end"
    place.put("a", CUT[how](text))
    place.put("b.gz", gzip.compress(text[:200_000], 1))  # is never cut
    place.run(*SMALL, jobs["crlf"])
    assert outputs(place) == told(text.split(b"\n") + text[:200_000].split(b"\n"))
    assert len([n for n in place.names() if n.startswith("part-m")]) > (1 if how == "pzstd" else 5)  # it makes large frames
    if place.flags == []:
        assert place.c.fs("-text", place.top + "/in/a").stdout == text
    if how in ("zstd", "lz4"):
        spoilt = CUT[how](text)
        place.put("a", spoilt[:-20])
        refused = place.run(*SMALL, jobs["crlf"], check=False, out="cut")
        assert refused.returncode == 1 and b"/a: " in refused.stderr and b"compressed data" in refused.stderr


def test_a_zstd_window_that_is_larger_than_the_memory_is_told(place, jobs):
    """What was packed with --long=27 and piped in cannot say how long its text is: it asks for 128 MiB. (A second attempt has twice the
    memory.)"""
    text = b"a line\n" * 60_000
    place.put("long", tool("zstd", "-q", "--long=27", "-c")(text))
    refused = place.run("-D", "mapreduce.map.memory.mb=256", "-D", "mapreduce.map.maxattempts=1", jobs["crlf"], check=False)
    assert refused.returncode == 1
    assert b"long: needs 128 M for its window, and 64 M is the most" in refused.stderr
    assert b"-D mapreduce.map.memory.mb=512 would do" in refused.stderr
    for option, wanted, memory in (("--long=29", b"512 M", b"2048"), ("--long=30", b"1 G", b"4096")):
        place.put("long", tool("zstd", "-q", option, "-c")(text))
        refused = place.run("-D", "mapreduce.map.memory.mb=64", "-D", "mapreduce.map.maxattempts=1", jobs["crlf"], check=False, out="not")
        assert b"needs " + wanted + b" for its window, and 16 M is the most" in refused.stderr, refused.stderr
        assert b"memory.mb=" + memory + b" would do" in refused.stderr
    place.put("long", tool("zstd", "-q", "--long=27", "-c")(text))
    place.run("-D", "mapreduce.map.memory.mb=512", jobs["crlf"], out="done")
    assert outputs(place, "done") == told(text.split(b"\n")[:-1])


@pytest.mark.parametrize("lines", [1, 7])
def test_tasks_may_have_so_many_lines_of_a_file_each(place, jobs, lines):
    files = [b"".join(b"line %d\n" % i for i in range(20)), b"one\n\nlast", b"", b"\n" * 8]
    for i, data in enumerate(files):
        place.put(f"f{i}", data)
    place.put("g.gz", gzip.compress(files[0]))  # is one task
    place.run("-D", f"mapreduce.input.lineinputformat.linespermap={lines}", jobs["crlf"])
    want = []
    for data in files:
        have = data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n") if data else []
        want += [told(have[at:at + lines]) for at in range(0, len(have), lines)]
    assert [place.read(n) for n in place.names() if n.startswith("part-")] == [*want, told(files[0].split(b"\n")[:-1])]


# --- outputs -----------------------------------------------------------------------------------------

def days(seed, names, count=3000):
    rnd = random.Random(seed)
    return b"".join(b"%s w%02d\n" % (rnd.choice(names), rnd.randint(0, 40)) for _ in range(count)) + b"\n"


def day_counts(*texts):
    n = collections.Counter(line for text in texts for line in text.split(b"\n") if line)
    found = collections.defaultdict(dict)
    for line, times in n.items():
        day, _, word = line.partition(b" ")
        found[day.decode()][word] = times
    return found


def read_days(place, out="out"):
    found = collections.defaultdict(dict)
    for name in place.names(out):
        if name.startswith("day="):
            for line in place.read(name, out).splitlines():
                word, times = line.split(b"\t")
                found[name[4:].split("/")[0]][word] = int(times)
    return found


def test_outputs_that_a_job_names_appear_with_it_and_only_of_winners(place, jobs):
    text = days(5, [b"1", b"2", b"3"])
    place.put("a", text)
    twice = ["-D", "mapreduce.map.maxattempts=3", "-D", "mapreduce.reduce.maxattempts=3"]
    place.run("-reduces", "2", *twice, "-D", "namer.fail=2", jobs["namer"])
    assert read_days(place) == day_counts(text)
    assert not [n for n in place.names() if "ghost" in n or "_temporary" in n]
    assert place.read("empty-m-00000") == b"a line\twas empty\n"
    listed = [line.split("\t")[0] for line in place.read("_MANIFEST").decode().splitlines()]
    assert listed == sorted(listed) == [n for n in place.names() if not n.startswith("_")]
    assert b"all as their manifest says" in place.verify().stdout


def test_an_output_is_added_to_or_replaced_by_parts(place, jobs):
    first, second, third = days(6, [b"1", b"2"]), days(7, [b"2", b"3"]), days(8, [b"3"])
    place.put("a", first)
    place.run("-reduces", "2", jobs["namer"])
    refused = place.run("-reduces", "2", jobs["namer"], check=False)
    assert refused.returncode in (1, 2) and b"exists already" in refused.stderr
    place.put("a", second)
    place.run("-reduces", "1", "-mode", "replace-partition", jobs["namer"])
    want = day_counts(first)
    want.update(day_counts(second))
    assert read_days(place) == want
    assert b"all as their manifest says" in place.verify().stdout
    before = place.names()
    place.put("a", third)
    place.run("-reduces", "1", "-D", "job.output.mode=append", jobs["namer"])
    added = set(place.names()) - set(before)
    assert set(before) < set(place.names()) and len([n for n in added if n.startswith("day=3/part-r-00000-job_")]) == 1
    assert b"all as their manifest says" in place.verify().stdout
    place.run("-reduces", "1", "-mode", "replace", jobs["namer"])
    assert read_days(place) == day_counts(third) and "_MANIFEST" in place.names()
    assert len([n for n in place.names() if n.startswith("_MANIFEST")]) == 1


@pytest.mark.parametrize("mode", ["replace", "replace-partition"])
def test_what_no_job_has_made_is_never_replaced(place, mode):
    """OUTPUT may be a slip of the hand: the input itself, "." or a home."""
    place.put("work", b"work\n")
    done = place.run("-mode", mode, "distinct", out="in", check=False)
    assert (done.returncode, done.stdout) == (1, b"") and done.stderr.decode() == (
        f"quern run: {place.top}/in holds what no job has made (there is no _SUCCESS): it will not be replaced; remove it yourself, or choose another OUTPUT\n")
    assert place.names("in") == ["work"]
    done = place.run("-mode", mode, "distinct", out="in/work", check=False)
    assert done.stderr.decode() == f"quern run: {place.top}/in/work is a file, no directory: remove it yourself, or choose another OUTPUT\n"
    place.run("-mode", "append", "distinct", out="in")  # nothing goes
    assert place.read("work", "in") == b"work\n" and "_SUCCESS" in place.names("in")
    place.make_dir("empty")
    place.run("-mode", mode, "distinct", out="empty")
    assert outputs(place, "empty") == b"work\n"


def test_a_byte_that_changed_is_found(place, jobs):
    place.put("a", days(9, [b"1"]))
    place.run("-reduces", "1", jobs["namer"])
    name = "day=1/part-r-00000"
    data = place.read(name)
    place.spoil(name, data[:-2] + b"x\n")
    bad = place.verify(check=False)
    assert bad.returncode == 1 and name.encode() in bad.stderr and b"its checksum is" in bad.stderr
    place.spoil(name, data + b"more\n")
    assert b"bytes, its manifest says" in place.verify(check=False).stderr
    place.spoil(name, data)
    assert place.verify().returncode == 0
    assert b"has no _SUCCESS" in place.verify("in", check=False).stderr


def test_tasks_without_records_leave_no_file_when_told_so(place, jobs):
    place.put("a", b"1 one\n1 two\n")
    place.run("-reduces", "3", jobs["namer"])
    assert [n for n in place.names() if n.startswith("part-")] == ["part-r-00000", "part-r-00001", "part-r-00002"]
    place.run("-reduces", "3", "-D", "job.output.lazy=true", jobs["namer"], out="lazy")
    left = place.names("lazy")
    assert left == ["_MANIFEST", "_SUCCESS", *[n for n in place.names() if n.startswith("day=")]], left
    assert b"all as their manifest says" in place.verify("lazy").stdout
    place.run("-D", "job.output.lazy=true", jobs["crlf"], out="all")  # what has records is as ever
    assert place.read("part-m-00000", "all") == told([b"1 one", b"1 two"])


UNPACK = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"], "lz4": ["lz4", "-dcq"], "bzip2": ["bzip2", "-dc"]}
PACKED = "mapreduce.output.fileoutputformat.compress"


@pytest.mark.parametrize("codec, suffix, level", [("gzip", "gz", "zlib.compress.level=BEST_COMPRESSION"), ("lz4", "lz4", None), ("bzip2", "bz2", None),
                                                  ("zstd", "zst", "io.compression.codec.zstd.level=19")])
def test_outputs_are_packed_as_other_programs_read_them_and_we_cut_them(place, jobs, codec, suffix, level):
    rnd = random.Random(codec)
    words = [rnd.randbytes(6).hex().encode() for _ in range(2000)]
    text = b"".join(b" ".join(rnd.choice(words) for _ in range(9)) + b"\n" for _ in range(9000))
    place.put("a", text)
    packed = ["-D", f"{PACKED}=true", "-D", f"{PACKED}.codec={codec}"]
    place.run(*packed, "-D", "zlib.compress.level=1", "-D", "io.compression.codec.zstd.level=1", jobs["crlf"])
    data = place.read(f"part-m-00000.{suffix}")
    want = told(text.split(b"\n")[:-1])
    assert tool(*UNPACK[codec])(data) == want
    if level:
        place.run(*packed, "-D", level, jobs["crlf"], out="hard")
        hard = place.read(f"part-m-00000.{suffix}", "hard")
        assert tool(*UNPACK[codec])(hard) == want and len(hard) < 0.93 * len(data)
    wrong = place.run("-D", f"{PACKED}.codec=brotli", jobs["crlf"], check=False, out="wrong")
    assert wrong.returncode == 2 and b"gzip zstd lz4 bzip2" in wrong.stderr


def test_an_output_has_blocks_of_the_size_the_job_says(cluster):
    cluster.fs("-put", "-", "/numbers", input=b"".join(b"%d\n" % i for i in range(200000)))
    cluster.run("run", "-D", "dfs.blocksize=1m", "-reduces", "1", "wordcount", "/numbers", "/out/blocks")
    assert cluster.fs("-stat", "%o", "/out/blocks/part-r-00000").stdout == b"1048576\n"
    assert len(cluster.fs("-cat", "/out/blocks/part-r-00000").stdout.splitlines()) == 200000


def test_every_run_gives_the_same_bytes(cluster, jobs, tmp_path):
    """One worker or two, attempts that fail or none, a cluster or no cluster at all."""
    there, here = Place(cluster, tmp_path), Local(cluster, tmp_path)
    for i in range(3):
        text = days(10 + i, [b"1", b"2", b"3"], 20_000)
        there.put(f"f{i}", text)
        here.put(f"f{i}", text)
    packed = ["-D", "mapreduce.output.fileoutputformat.compress=true", "-reduces", "3", *SMALL]
    there.run(*packed, jobs["namer"], out="plain")
    there.run(*packed, "-D", "namer.fail=2", jobs["namer"], out="retried")
    here.run(*packed, jobs["namer"], out="local")
    here.run(*packed, "-D", "local.inprocess=true", jobs["namer"], out="thread")
    cluster.kill("worker2")
    there.run(*packed, jobs["namer"], out="alone")
    want = there.read("_MANIFEST", "plain")
    assert want.count(b"\n") > 8
    assert there.read("_MANIFEST", "retried") == there.read("_MANIFEST", "alone") == want
    assert here.read("_MANIFEST", "local") == want and here.read("_MANIFEST", "thread") == want
