# SPDX-License-Identifier: Apache-2.0
"""bundled: what each bundled job makes of its input files, in a few lines of Python each, and text that nobody would write.

JOBS: name -> Job(options, want): `want` takes {path: bytes} and gives all the output, in the order of one reducer. In options {dir}
is the inputs' directory; files whose name begins with l are the left side, or the changes."""
import collections
import math
import os
import random
import re

Job = collections.namedtuple("Job", "plugin options want side", defaults=(None,))


def noise(seed, size, letters):
    return bytes(random.Random(seed).choices(letters, k=size))


def table(seed, rows, keys):
    rnd = random.Random(seed)
    return b"".join(b"%s\t%s\t%06d\n" % (rnd.choice(keys), rnd.choice([b"%d" % rnd.randrange(-99, 99), b"%.3f" % rnd.gauss(0, 50),
                                                                      b"-0", b"1e3", b"x", b"", b"  7", b"3 ", b"0x10", b" "]), n) for n in range(rows))


KEYS = [b"a", b"b", b"ab", b"", b"a\0", b"\0", b"\0\xff", b"\xff", b"k" * 300, "\u00e4\u20ac".encode(), b"a b"]
TABLES = {
    "nothing": b"",
    "one newline": b"\n",
    "one row": b"only\t-5",
    "tidy": b"".join(b"key%d\t%d\t%d\n" % (n % 97, n * 7919 % 1009, n) for n in range(2500)),
    "odd": table(1, 1500, KEYS),
    "one key": b"k\t1\n" * 2000,
    "all distinct": b"".join(b"%05d\t%d\n" % (i * 7919 % 10007, i) for i in range(2000)),
    "no tabs": b"just\nsome\n\nlines\nsome\n",
    "odd lines": b"\n" * 300 + b"\t\n\t\t\n\t\t\t\n\t\t\n" * 20 + b"a\t1\r\nb\t2\r\r\n\ra\t3\n\r\n" * 30
                 + b"a\0\t1\na\0b\t2\n\0\0\t\0\n\0\na\0\t1\0\n" * 30 + b"".join(b"\t%d\t%d\n" % (n % 7, n) for n in range(200)),
    "not utf-8": noise(1, 3000, b"\xff\xfe\xc3\x28\xa0\xf0\x9f\x98\t1 \n"),
    "noise": noise(2, 20000, bytes(range(256))),
    "long fields": b"".join(bytes([c]) * 50_000 + b"\t" + bytes([c]) * 50_000 + b"\n" for c in b"abcabc") + b"end",
}


def lines(text):
    cut = text.split(b"\n")
    return cut[:-1] if cut[-1] == b"" else cut


def joined(rows):
    return b"".join(row + b"\n" for row in rows)


def all_lines(files):
    return [line for path in sorted(files) for line in lines(files[path])]


def counted(items):
    counts = collections.Counter(items)
    return joined(b"%s\t%d" % (k, counts[k]) for k in sorted(counts))


def number(text):
    try:
        v = float(text) if text and len(text.rstrip()) < 64 and b"_" not in text and b"\0" not in text else math.nan
    except ValueError:
        v = math.nan
    return None if math.isnan(v) else v


def field(line, n):
    fields = line.split(b"\t")
    return fields[n - 1] if n <= len(fields) else None


def is_left(path):
    return os.path.basename(path).startswith("l")


def secondarysort(files):
    rows = []
    for line in all_lines(files):
        second = field(line, 2) or b""
        if re.fullmatch(rb"-?[0-9]+", second):
            rows.append((field(line, 1), int(second)))
    return joined(b"%s\t%d" % row for row in sorted(rows))


def topn(files):
    rows = [(-number(field(l, 2)), l) for l in all_lines(files) if number(field(l, 2)) is not None]
    return joined(l for _, l in sorted(rows)[:25])


def dedupe(files):
    best = {}
    for line in all_lines(files):
        order = field(line, 3) or b""
        if field(line, 1) not in best or order >= best[field(line, 1)][0]:
            best[field(line, 1)] = (order, line)
    return joined(best[key][1] for key in sorted(best))


def upsert(files):
    data, changes = ({field(l, 1): l for path in sorted(files) if is_left(path) == side for l in lines(files[path])} for side in (False, True))
    rows = dict(data, **{})
    rows.update(changes)
    return joined(rows[key] for key in sorted(rows) if not (key in changes and field(rows[key], 2) == b"-5"))


def invertedindex(files):
    counts = collections.Counter((word, path) for path, text in files.items() for word in text.split())
    return joined(b"%s\t%s\t%d" % (word, path.encode(), counts[word, path]) for word, path in sorted(counts))


def histogram(files):
    numbers = [number(field(l, 2)) for l in all_lines(files)]
    counts = collections.Counter(math.floor(v / 12.5) * 12.5 for v in numbers if v is not None and not math.isinf(v))
    return joined(b"%s\t%d" % ((b"%d" if low == int(low) else b"%.1f") % low, counts[low]) for low in sorted(counts))


def sides(files):
    both = [collections.defaultdict(list), collections.defaultdict(list)]
    for path in sorted(files):
        for line in lines(files[path]):
            both[not is_left(path)][field(line, 1)].append(line)
    return both


def join(files):
    left, right = sides(files)
    return joined(b"%s\t%s\t%s" % (key, l, r) for key in sorted(set(left) | set(right)) for r in right[key] or [b""] for l in left[key] or [b""])


def hashjoin(files):
    """Its left side comes as a side file, and is among the inputs, too."""
    left = sides(files)[0]
    return joined(b"%s\t%s\t%s" % (field(r, 1), l, r) for r in all_lines(files) for l in left[field(r, 1)] or [b""])


def pagerank_step(rows, damping):
    """One step over {page: (rank in units of 10^-9, [links])}; gathering if damping is None."""
    given = collections.Counter()
    for rank, links in rows.values():
        for link in links:
            given[link] += rank // len(links)
    pages = sorted(set(rows) | set(given))
    unit = 10**9
    if damping is None:
        return {page: (unit, rows.get(page, (0, []))[1]) for page in pages}
    return {page: (unit - damping + damping * given[page] // unit, rows.get(page, (0, []))[1]) for page in pages}


def pagerank(files, steps=1):
    rows = {}
    for line in all_lines(files):
        if not line.startswith(b"#"):
            page, *links = line.split(b"\t")
            rows.setdefault(page, (0, []))[1].extend(links)
    rows = pagerank_step(rows, None)
    for _ in range(steps - 1):
        rows = pagerank_step(rows, 850_000_000)
    return joined(b"\t".join([page, b"%d.%09d" % divmod(rank, 10**9), *links]) for page, (rank, links) in rows.items())


def matches(line):
    return [m for m in re.findall(rb"[ab]+[^ab ]?", line) if m]


def streamed(files):
    rows = [l.split(b"\t", 1) for l in all_lines(files)]
    rows = sorted(((r[0], r[1] if len(r) > 1 else b"") for r in rows), key=lambda r: r[0])
    return joined(b"%s\t%s" % row for row in rows)


def dfsioread(files):
    return b"bytes\t%d\nlines\t%d\n" % (sum(map(len, files.values())), len(all_lines(files))) if any(files.values()) else b""


def topwords(files):
    counts = collections.Counter(w for text in files.values() for w in text.split())
    return b"".join(b"%s\t%d\n" % kv for kv in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:7])


JOBS = {
    "wordcount": Job("wordcount", [], lambda files: counted(w for text in files.values() for w in text.split())),
    "sort": Job("sort", [], lambda files: joined(sorted(all_lines(files)))),
    "distinct": Job("distinct", [], lambda files: joined(sorted(set(all_lines(files))))),
    "grep": Job("grep", ["-D", "grep.pattern=[ab]+[^ab ]?"], lambda files: counted(m for l in all_lines(files) for m in matches(l))),
    "grep, a group": Job("grep", ["-D", "grep.pattern=(a|1)(b?)|(9+)", "-D", "grep.group=2"],
                         lambda files: counted(m[2] for l in all_lines(files) for m in re.finditer(rb"(?s)(a|1)(b?)|(9+)", l) if m[2] is not None)),
    "secondarysort": Job("secondarysort", [], secondarysort),
    "topn": Job("topn", ["-D", "topn.n=25", "-D", "topn.field=2"], topn),
    "topwords": Job("topwords", ["-D", "topwords.n=7"], topwords),
    "dedupe": Job("dedupe", ["-D", "dedupe.order=3"], dedupe),
    "upsert": Job("upsert", ["-D", "upsert.changes={dir}/l", "-D", "upsert.delete=-5"], upsert),
    "invertedindex": Job("invertedindex", [], invertedindex),
    "histogram": Job("histogram", ["-D", "histogram.width=12.5", "-D", "histogram.field=2"], histogram),
    "join": Job("join", ["-D", "join.left={dir}/l", "-D", "join.type=full"], join),
    "hashjoin": Job("hashjoin", ["-D", "hashjoin.left=left", "-D", "hashjoin.type=right"], hashjoin, "left"),
    "pagerank": Job("pagerank", [], pagerank),
    "dfsioread": Job("dfsioread", [], dfsioread),
    "stream": Job("stream", [], streamed),
    "stream, programs": Job("stream", ["-D", "stream.map.command=cat", "-D", "stream.reduce.command=cat"], streamed),
}


def inputs_of(text):
    """Left and right file: few lines of the first half, as one key's lines of both sides are multiplied; and the second half as it ends."""
    rows = lines(text)
    left, right = joined(rows[:len(rows) // 2][:40]), joined(rows[len(rows) // 2:])
    return {"left": left, "right": right if text.endswith(b"\n") else right[:-1]}
