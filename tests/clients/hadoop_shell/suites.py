#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""suites: run one of Hadoop's own files of shell tests (testConf.xml, testHDFSConf.xml, testAclCLI.xml ...)
on a running cluster, and tell what differs.

    suites.py [-n NUMBER] [-k PART-OF-TITLE] --data DIR FILE.xml

A cluster as the suites want it, eight datanodes in four racks, is started and stopped, unless $QUERN_CONF
names one: that is written to and emptied by the tests. DIR has the files data15bytes, data30bytes ... beside Hadoop's
TestCLI. $QUERN is the program, else build/release/quern of this tree. Exit code 1 when a test differs."""
import argparse
import contextlib
import getpass
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
QUERN = os.environ.get("QUERN", os.path.join(ROOT, "build/release/quern"))
TOOLS = {"command": ["hadoop", "fs"], "dfs-admin-command": ["hdfs", "dfsadmin"]}


RACKS = ["/rack1"] * 2 + ["/rack2"] * 3 + ["/rack3"] + ["/rack4"] * 2


class Own:
    """The cluster that Hadoop's runner of a suite makes."""

    def __init__(self, file):
        self.dir = tempfile.mkdtemp(prefix="quern-suite-")
        with open(os.path.join(self.dir, "racks"), "w") as f:
            f.writelines(f"node{i} {rack}\n" for i, rack in enumerate(RACKS, 1))
        with open(os.path.join(self.dir, "site.conf"), "w") as f:
            f.write(f"net.topology.table.file.name = {self.dir}/racks\n")
            if os.path.basename(file) == "testAclCLI.xml":
                f.write("dfs.namenode.posix.acl.inheritance.enabled = false\n")

    def __enter__(self):
        subprocess.run([QUERN, "up", "-dir", self.dir, "-datanodes", str(len(RACKS)), "-workers", "1", "-replication", "1", "-detach"], check=True, stdout=subprocess.DEVNULL)
        os.environ["QUERN_CONF"] = os.path.join(self.dir, "quern.conf")

    def __exit__(self, *_):
        subprocess.run([QUERN, "down", "-dir", self.dir], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(self.dir)


class Suite:
    def __init__(self, data, here):
        fs = subprocess.run([QUERN, "getconf", "-confKey", "fs.defaultFS"], capture_output=True, text=True, check=True).stdout.strip()
        self.words = {"NAMENODE": fs.replace("quern://", "hdfs://"), "CLITEST_DATA": "file:" + os.path.abspath(data) + "/", "USERNAME": getpass.getuser(), "#LF#": "\n"}
        self.here = here

    def fill(self, text):
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def run(self, command):
        """Exit code and what was said, of one command; the words are cut as Hadoop's runner cuts them."""
        name, *rest = TOOLS.get(command.tag, ["hadoop", command.tag])
        typed = [self.fill(next(g for g in m.groups() if g is not None)) for m in re.finditer(r"'([^']*)'|\"([^\"]*)\"|(\S+)", command.text or "")]
        try:
            said = subprocess.run([name, *rest, *typed], executable=QUERN, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.here, timeout=60)
        except subprocess.TimeoutExpired:
            return -1, "(no answer within a minute)"
        return said.returncode, said.stdout.decode("utf8", "replace")

    def agrees(self, comparator, code, said):
        kind, want = comparator.findtext("type"), self.fill(comparator.findtext("expected-output") or "")
        lines = [line for line in re.split("[\n\r]", said) if line]
        wanted_code = comparator.findtext("expected-exit-code")
        if wanted_code is not None and int(wanted_code) not in (-1, code):
            return False
        return {"RegexpComparator": lambda: any(re.fullmatch(want.replace(r"\p{Upper}", "[A-Z]"), line) for line in lines),
                "RegexpAcrossOutputComparator": lambda: re.search(want, said),
                "ExactComparator": lambda: said == want,
                "ExactLineComparator": lambda: want in lines,
                "TokenComparator": lambda: all(token in said for token in re.split("[,\n\r]", want)),
                "SubstringComparator": lambda: want in said}[kind]()

    def play(self, number, test):
        """Prints what differs; whether nothing does."""
        for command in test.find("test-commands"):
            code, said = self.run(command)
        asked = [c for c in test.find("comparators").iter("comparator") if c.find("expected-output") is not None]  # one may lie in another
        wrong = [c for c in asked if not self.agrees(c, code, said)]
        if wrong:
            print(f"=== {number}: {test.findtext('description')}")
            for command in test.find("test-commands"):
                print(f"    $ {command.tag} {command.text}")
            for c in wrong:
                print(f"    wanted {c.findtext('type')} {self.fill(c.findtext('expected-output') or '')!r}")
            print(f"    exit {code}, said {said[:2000]!r}")
        for command in test.find("cleanup-commands"):
            self.run(command)
        return not wrong


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("-n", type=int)
    options.add_argument("-k", default="")
    options.add_argument("--data", required=True)
    options.add_argument("file")
    args = options.parse_args()
    tests = tree.parse(args.file).getroot().findall("tests/test")
    with tempfile.TemporaryDirectory() as here, contextlib.nullcontext() if "QUERN_CONF" in os.environ else Own(args.file):
        suite = Suite(args.data, here)
        chosen = [(i, t) for i, t in enumerate(tests, 1) if args.n in (None, i) and args.k in t.findtext("description")]
        differ = [i for i, test in chosen if not suite.play(i, test)]
    print(f"{len(chosen)} tests, {len(differ)} differ: {differ}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
