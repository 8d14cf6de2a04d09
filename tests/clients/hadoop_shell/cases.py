# SPDX-License-Identifier: Apache-2.0
"""cases: what is in *.txt here (README tells the format), how one case is played on a shell, and
how what the shell said is compared with what a file says. A shell is anything with
    run(tool, words, user, stdin, cwd) -> (exit code, stdout, stderr)
    fs                                     the URI typed for its filesystem
    datanode                               "host:port" at which its one datanode is asked by name
so that record.py can play the same cases on another one."""
import getpass
import glob
import os
import re
import shlex
import subprocess
import time

# a step "! verb ..." does something to the cluster: shell.run("world", [verb, ...]) must succeed
HERE = os.path.dirname(os.path.abspath(__file__))
USER = getpass.getuser()
FORMS = {"absolute": "", "relative": None, "hdfs:///": "hdfs://", "full": "{fs}"}
USAGE = re.compile(r"Usage: hadoop fs \[generic options\]\n.*?command \[genericOptions\] \[commandOptions\]\n\n", re.S)
ADMIN_USAGE = re.compile(r"Usage: hdfs dfsadmin\n.*?command \[genericOptions\] \[commandOptions\]\n\n", re.S)
GENERIC = re.compile(r"Generic options supported are:\n.*?command \[genericOptions\] \[commandOptions\]\n\n", re.S)
NO_GROUPS = re.compile(r"""Erasure Coded Block Groups:
 Total size:	0 B
 Total files:	0
 Total block groups \(validated\):	0
 Minimally erasure-coded block groups:	0
 Over-erasure-coded block groups:	0
 Under-erasure-coded block groups:	0
 Unsatisfactory placement block groups:	0
 Average block group size:	0\.0
 Missing block groups:		0
 Corrupt block groups:		0
 Missing internal blocks:	0
 Blocks queued for replication:	0
""")
TOKENS = {
    "{usage}": r"Usage: hadoop fs .*", "{adminusage}": r"Usage: hdfs dfsadmin", "{generic}": r"Generic options supported are:", "{nogroups}": r"Erasure Coded Block Groups: none", "{date}": r"\d{4}-\d\d-\d\d \d\d:\d\d", "{utc}": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "{via}": r"Connecting to namenode via \S+", "{when}": r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \w+ \d{4}", "{took}": r"\d+ milliseconds",
    "{from}": r"from /\S+", "{pool}": r"BP-[-.\w]+", "{blk}": r"blk_\d+_\d+", "{id}": r"blk_\d+", "{node}": r"[\w.]+:\d+",
    "{storage}": r"DatanodeInfoWithStorage\[[\w.]+:\d+,[-\w]+,DISK\]", "{rackhost}": r"/default-rack/[\w.]+:\d+", "{onhost}": r"[\w.]+/default-rack ",
    "{ms}": r"\d{13}", "{checkpoint}": r"\d{12}(?:-\d)?", "{n}": r" *\d+", "{any}": r".*"}
MARK = re.compile(r"(q?)(>\||>~|>|2>~|2>|\?) ?(.*)")


class Said:
    """What a step must answer: lines of stdout and stderr as (is a regular expression, text), and a code."""

    def __init__(self):
        self.out, self.err, self.code, self.open_end, self.any = [], [], 0, False, False

    def add(self, mark, text):
        self.any = True
        if mark == "?":
            self.code = int(text)
        else:
            (self.err if mark[0] == "2" else self.out).append((mark.endswith("~"), text))
            self.open_end = self.open_end or mark == ">|"


class Step:
    def __init__(self, text):
        self.kind, self.text = text[0], text[2:]
        self.hadoop, self.ours, self.reason = Said(), Said(), []
        self.less, self.more = [], []  # lines of stdout that only the one or the other says

    def expected(self):
        return self.ours if self.ours.any else self.hadoop


class Case:
    def __init__(self, number, title):
        words = title.split()
        self.number, self.title = number, title
        self.forms = list(FORMS) if words[-1] == "@" else ["absolute"]
        self.empty = words[-1] == "!"
        self.absolute = words[-1] in "/!"
        self.name = title.rstrip("@!/ ")
        self.steps = []


def load(path):
    """The cases of one file, and the lines before the first."""
    head, cases = [], []
    for line in open(path).read().split("\n"):
        if line.startswith("=== "):
            cases.append(Case(len(cases), line[4:]))
        elif not cases:
            head.append(line)
        elif line[:2] in ("$ ", "% ", "! "):
            cases[-1].steps.append(Step(line))
        elif line[:2] in ("q-", "q+"):
            (cases[-1].steps[-1].less if line[1] == "-" else cases[-1].steps[-1].more).append(line[3:])
        elif line.startswith("q# "):
            cases[-1].steps[-1].reason.append(line[3:])
        elif line.strip():
            found = MARK.fullmatch(line)
            assert found, f"{path}: what is this? {line}"
            ours, mark, text = found.groups()
            step = cases[-1].steps[-1]
            (step.ours if ours else step.hadoop).add(mark, text)
    return head, cases


def files(nodes=1):
    """Those that want so many datanodes."""
    return sorted(glob.glob(os.path.join(HERE, "*.txt" if nodes == 1 else f"nodes{nodes}/*.txt")))


class Play:
    """One case, in one form, on one shell, in one local directory."""

    def __init__(self, shell, name, case, form, cwd):
        self.shell, self.case, self.cwd = shell, case, str(cwd)
        self.absolute = f"/user/{USER}/{name}" if form == "relative" else f"/{name}"
        self.dir = name if form == "relative" else FORMS[form].replace("{fs}", shell.fs) + self.absolute

    def block_of(self, path):
        """The name of a file's first block."""
        _, out, _ = self.shell.run("fsck", [path, "-files", "-blocks"], USER, b"", self.cwd)
        return re.search(r"blk_\d+", out)[0]

    def fill(self, text):
        if "{id:" in text:
            text = re.sub(r"\{id:(.*?)\}", lambda m: self.block_of(self.fill(m[1])), text)
        text = text.replace("@", self.dir + "/").replace("{d}", self.dir).replace("{abs}", self.absolute)
        return text.replace("{fs}", self.shell.fs).replace("{user}", USER).replace("{cwd}", self.cwd).replace("{at}", "@") \
            .replace("{dn}", self.shell.datanode)

    def blank(self, text):
        """The other way round: what depends on this run is replaced by its token."""
        now = time.time()
        text = GENERIC.sub("{generic}\n", NO_GROUPS.sub("{nogroups}\n", ADMIN_USAGE.sub("{adminusage}\n", USAGE.sub("{usage}\n", text)))).replace("@", "{at}")
        for what, token in ((self.shell.fs, "{fs}"), (self.shell.datanode, "{dn}"), (self.cwd, "{cwd}"), (self.absolute, "{abs}"), (self.dir + "/", "@"), (self.dir, "{d}")):
            text = re.sub(re.escape(what) + r"(?![a-z0-9])" if what[-1] != "/" else re.escape(what), lambda _, t=token: t, text)
        text = re.sub(rf"\b{USER}\b(?! partitions| in one)", "{user}", text)
        for token in ("{via}", "{when}", "{took}", "{pool}", "{storage}", "{rackhost}", "{blk}", "{id}"):
            text = re.sub(TOKENS[token], token, text)
        text = re.sub(r"(FSCK started by .*) from /\S+", r"\1 {from}", text)
        text = re.sub(r"(datanode/rack: )\S+/default-rack ", r"\1{onhost}", text)
        text = re.sub(TOKENS["{ms}"], lambda m: "{ms}" if abs(int(m[0]) / 1000 - now) < 86400 else m[0], text)
        text = re.sub(r"(?<=\.Trash/)" + TOKENS["{checkpoint}"], lambda m: "{checkpoint}" if abs(int(m[0][:6]) - int(time.strftime("%y%m%d"))) < 2 else m[0], text)
        for token in ("{utc}", "{date}"):
            shape = "%Y-%m-%d %H:%M:%S"[:17 if token == "{utc}" else 14]
            near = {time.strftime(shape[:8], time.gmtime(now + d)) for d in (-86400, 0, 86400)}
            text = re.sub(TOKENS[token], lambda m, t=token: t if m[0][:10] in near else m[0], text)
        return text

    def begin(self):
        if self.case.empty:
            self.shell.run("fs", ["-rm", "-r", "-f", "-skipTrash", "/*"], USER, b"", self.cwd)
        self.shell.run("fs", ["-mkdir", "-p", f"/user/{USER}"] + ([] if self.case.empty else [self.absolute]), USER, b"", self.cwd)

    def local(self, text):
        subprocess.run(["bash", "-c", text], cwd=self.cwd, check=True)

    def do(self, step):
        """Exit code, stdout and stderr of one step; None for a local one."""
        text = self.fill(step.text)
        if step.kind == "%":
            self.local(text)
            return None
        if step.kind == "!":
            code, out, err = self.shell.run("world", shlex.split(text), USER, b"", self.cwd)
            assert code == 0, f"! {text}: {out}{err}"
            return None
        user, tool, stdin, into = USER, "fs", b"", None
        found = re.match(r"\((\w+)\) ", text)
        if found:
            user, text = found[1], text[found.end():]
        found = re.match(r"(dfsadmin|fsck)(?: |$)", text)
        if found:
            tool, text = found[1], text[found.end():]
        if " <<< " in text:
            text, here = text.split(" <<< ", 1)
            stdin = here.encode() + b"\n"
        found = re.search(r" > (\w+)$", text)
        if found:
            into, text = found[1], text[:found.start()]
        code, out, err = self.shell.run(tool, shlex.split(text), user, stdin, self.cwd)
        if into:
            open(os.path.join(self.cwd, into), "w").write(out)
            out = ""
        return code, out, err

    def regex(self, text):
        if self.dir.startswith(self.shell.fs):  # Hadoop says the whole URI behind what was typed, when it is another
            text = re.sub(r": `\{fs\}\{abs\}[^']*'$", "", text)
        regex = re.escape(self.fill(text))
        for token, pattern in TOKENS.items():
            regex = regex.replace(re.escape(token), pattern)
        return regex

    def differs(self, what, said, lines):
        said = NO_GROUPS.sub("Erasure Coded Block Groups: none\n", USAGE.sub(lambda m: m[0].split("\n")[0] + "\n", said))
        said = ADMIN_USAGE.sub("Usage: hdfs dfsadmin\n", said)
        said = GENERIC.sub("Generic options supported are:\n", said)
        is_open = bool(said) and not said.endswith("\n")
        got = said.split("\n") if is_open else said.split("\n")[:-1]
        for i in range(max(len(got), len(lines))):
            here = got[i] if i < len(got) else None
            is_regex, want = lines[i] if i < len(lines) else (False, None)
            if here is None or want is None or not re.fullmatch(self.fill(want) if is_regex else self.regex(want), here):
                return f"{what} line {i + 1}: {here!r} instead of {want!r}, in:\n{said}"
        return None

    def compare(self, step, expected, code, out, err, less=(), more=()):
        """None, or what is not as it should be; `less` of the lines are not expected, `more` are."""
        wanted = [line for line in expected.out if line[1] not in less]
        own = [re.compile(self.regex(line)) for line in more]
        lines = [line for line in out.split("\n") if not any(one.fullmatch(line) for one in own)]
        if len(wanted) != len(expected.out) - len(less) or len(lines) != out.count("\n") + 1 - len(more):
            return f"$ {step.text}\nnot exactly these lines differ: {less} {more}, in:\n{out}"
        out = "\n".join(lines)
        if code != expected.code:
            return f"$ {step.text}\nexit {code} instead of {expected.code}\n{out}{err}"
        why = self.differs("stdout", out, wanted) or self.differs("stderr", err, expected.err)
        if not why and bool(out and not out.endswith("\n")) != expected.open_end:
            why = f"newline at the end of stdout: {out!r}"
        return why and f"$ {step.text}\n{why}"
