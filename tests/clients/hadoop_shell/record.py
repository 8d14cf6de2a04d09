#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record: ask a real Hadoop what it answers to the cases here, and write it into the files.

    record.py --jars DIR [FILE.txt ...]     (all files when none is named)

DIR holds the jars of hadoop-minicluster 3.4 and the tests of hadoop-hdfs and hadoop-common, with junit
and mockito (mvn dependency:copy-dependencies); a JDK compiles Oracle.java. What is written by hand stays:
commands, regular expressions (which must fit what Hadoop says), and all lines that begin with q."""
import argparse
import base64
import os
import re
import shutil
import subprocess
import sys
import tempfile

import cases

SETTINGS = ["dfs.namenode.acls.enabled=true", "dfs.namenode.fs-limits.min-block-size=512", "dfs.datanode.data.dir.perm=755",
            "dfs.namenode.accesstime.precision=3600000"]


# What is moved to the trash, and what becomes of it there, is only told by the log.
LOG = """log4j.rootLogger=OFF
log4j.logger.org.apache.hadoop.fs.TrashPolicyDefault=INFO,trash
log4j.appender.trash=org.apache.log4j.ConsoleAppender
log4j.appender.trash.target=System.err
log4j.appender.trash.follow=true
log4j.appender.trash.layout=org.apache.log4j.PatternLayout
log4j.appender.trash.layout.ConversionPattern=%m%n
"""
for i, text in enumerate(("TrashPolicyDefault#", "Can't create trash directory", "Invalid value")):  # the step it is at, and what follows says more
    LOG += f"""log4j.appender.trash.filter.{i}=org.apache.log4j.varia.StringMatchFilter
log4j.appender.trash.filter.{i}.StringToMatch={text}
log4j.appender.trash.filter.{i}.AcceptOnMatch=false
"""
TRACE = re.compile(r"(?:^\tat .*\n)+\n?", re.M)  # where in Java it went wrong: nobody's script looks for that


class Hadoop:
    def __init__(self, jars, dir, nodes):
        self.here = os.path.join(dir, "here")  # a JVM cannot change its directory: it is emptied before each case
        os.makedirs(self.here)
        subprocess.run(["javac", "-cp", jars + "/*", "-d", dir] + [os.path.join(cases.HERE, n) for n in ("Oracle.java", "World.java")], check=True)
        open(os.path.join(dir, "log4j.properties"), "w").write(LOG)
        self.java = subprocess.Popen(["java", "-Dhadoop.log.dir=" + dir, "-cp", f"{dir}:{jars}/*", "Oracle", str(nodes), "hdfs.minidfs.basedir=" + dir + "/data"] + SETTINGS, cwd=self.here, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        _, self.fs, self.datanode = self.line().split()

    def empty(self):
        for name in os.listdir(self.here):
            path = os.path.join(self.here, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def line(self):
        line = self.java.stdout.readline()
        assert line, "the oracle is gone"
        return line

    def run(self, tool, words, user, stdin, cwd):
        encode = lambda data: base64.b64encode(data).decode()
        print("\t".join([tool, user, encode(stdin)] + [encode(w.encode()) for w in words]), file=self.java.stdin, flush=True)
        code, out, err = self.line().rstrip("\n").split("\t")
        return int(code), base64.b64decode(out).decode(), TRACE.sub("", base64.b64decode(err).decode())


def lines_of(play, step, code, out, err):
    """What a step's answer looks like in a file."""
    said = step.hadoop
    if any(regex for regex, _ in said.out + said.err):
        why = play.compare(step, said, code, out, err)
        if why:
            print(f"{play.case.name}: written by hand, and Hadoop says otherwise: {why}")
        marks = [(">~ " if r else "> ") + t for r, t in said.out] + [("2>~ " if r else "2> ") + t for r, t in said.err]
    else:
        last_open = bool(out) and not out.endswith("\n")
        texts = play.blank(out).split("\n")
        texts = texts if last_open else texts[:-1]
        marks = [(">| " if last_open and i == len(texts) - 1 else "> ") + t for i, t in enumerate(texts)]
        marks += ["2> " + t for t in play.blank(err).split("\n")[:-1 if err.endswith("\n") else None] if err]
    return [">" if m == "> " else m for m in marks] + ([f"? {code}"] if code else [])


def ours_of(step):
    said, lines = step.ours, ["q- " + line for line in step.less] + ["q+ " + line for line in step.more]
    for i, (regex, text) in enumerate(said.out):
        lines.append("q>" + ("~" if regex else "|" if said.open_end and i == len(said.out) - 1 else "") + " " + text)
    lines += ["q2>" + ("~" if regex else "") + " " + text for regex, text in said.err]
    if said.any and (said.code or not said.out + said.err):
        lines.append(f"q? {said.code}")
    return lines + ["q# " + line for line in step.reason]


def play_all_forms(hadoop, stem, case):
    """Lines of the relative form (what was typed cannot be mistaken for anything else there); the others must say the same."""
    answers = {}
    for form in (["relative"] if not case.absolute else []) + [form for form in case.forms if form != "relative"]:
        hadoop.empty()
        play = cases.Play(hadoop, f"{stem}{case.number}{form[0]}", case, form, hadoop.here)
        play.begin()
        answers[form] = play, [play.do(step) for step in case.steps]
    play, said = next(iter(answers.values()))
    lines = ["=== " + case.title]
    for i, step in enumerate(case.steps):
        lines.append(f"{step.kind} {step.text}")
        if step.kind != "$":
            continue
        recorded = lines_of(play, step, *said[i])
        lines += recorded + ours_of(step)
        fresh = cases.Step("$ " + step.text)
        for line in recorded:
            fresh.hadoop.add(*cases.MARK.fullmatch(line).groups()[1:])
        for form, (other, other_said) in answers.items():
            why = other.compare(step, fresh.hadoop, *other_said[i])
            if why:
                print(f"{stem}: {case.name} [{form}]: {why}")
    return lines


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jars", required=True)
    options.add_argument("files", nargs="*")
    args = options.parse_args()
    for nodes in (1, 3):
        files = [path for path in cases.files(nodes) if not args.files or os.path.realpath(path) in map(os.path.realpath, args.files)]
        if files:
            record(os.path.abspath(args.jars), nodes, files)


def record(jars, nodes, files):
    with tempfile.TemporaryDirectory() as top:
        hadoop = Hadoop(jars, top, nodes)
        for path in files:
            head, listed = cases.load(path)
            stem = re.sub(r"\W", "", os.path.basename(path)[:-4])
            text = "\n".join(head).rstrip("\n") + "\n"
            for case in listed:
                text += "\n" + "\n".join(play_all_forms(hadoop, stem, case)) + "\n"
            open(path, "w").write(text)
        hadoop.java.stdin.close()
        hadoop.java.wait()


if __name__ == "__main__":
    sys.exit(main())
