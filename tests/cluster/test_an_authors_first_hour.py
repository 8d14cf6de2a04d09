# SPDX-License-Identifier: Apache-2.0
"""The author's kit: a new plugin that builds and passes as it is, a test that shows the first line that differs, and a check that
finds jobs a cluster would spoil. No cluster runs here."""
import os
import shutil
import signal
import subprocess

import pytest

from cluster import BUILD, QUERN, ROOT, is_over, tree_of, wait_for

SANITIZED = "debug" in BUILD or "tsan" in BUILD
# Of a shell of his own: make would tell its children of the one that runs all tests.
ENV = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"} | {"PATH": f"{BUILD}:{os.environ['PATH']}"}


def quern(*args, cwd=None):
    return subprocess.run([QUERN, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=120, env=ENV)


def build(tmp_path, name, text):
    (tmp_path / f"{name}.c").write_text(text)
    subprocess.run(["cc", "-g", "-O1", "-w", "-shared", "-fPIC", f"-I{ROOT}/include", f"{name}.c", "-o", f"{name}.so"], cwd=tmp_path, check=True, timeout=120)
    return f"./{name}.so"


def job(map_body, reduce_body, more="", top=""):
    return f"""#include <quern/job.h>
{top}
static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{{ (void)where; {map_body} }}
static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{{ struct qn_slice value; uint64_t sum = 0; {reduce_body} }}
{more if more.startswith('static') else ''}
const struct qn_job qn_job = {{ .head = QN_JOB_HEAD, .name = "tried", .map = map,
    {'.combine = combine,' if more.startswith('static') else more} .reduce = reduce, .key = QN_TEXT, .value = QN_U64 }};
"""


COUNT_MAP = "uint64_t one = 1; return qn_emit(task, line, qn_from_u64(&one));"
SUM = "while (qn_next(values, &value)) sum += qn_to_u64(value); return qn_emit(task, key, qn_from_u64(&sum));"


def test_a_new_plugin_builds_and_passes_as_it_is(tmp_path):
    made = quern("job", "new", "lengths", cwd=tmp_path)
    assert made.returncode == 0 and "make test" in made.stdout, made.stderr
    done = subprocess.run(["make", "test"], cwd=tmp_path / "lengths", capture_output=True, text=True, env=ENV, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok    lengths: the output is test/expected.txt" in done.stdout and "FAIL" not in done.stdout
    assert quern("job", "new", "x", "-lang", "cobol", cwd=tmp_path).stderr == "quern job: -lang cobol: c, c++, rust are known\n"
    again = quern("job", "new", "lengths", cwd=tmp_path)
    assert again.returncode == 1 and again.stderr == "quern job: lengths exists already: choose another name, or remove it\n"
    for bad in ("../x", "", "-", "a b"):
        assert quern("job", "new", bad, cwd=tmp_path).returncode == 2


# What an author did wrong, per language: what is said, and where.
BROKEN = {
    "c++": ("const uint64_t length", 'if (line.len == 4) throw std::runtime_error("no four");\n    const uint64_t length', "#include <stdexcept>\n",
            "threw std::runtime_error: no four (nothing caught it", "broken.cpp:"),
    "rust": ("let length", "if line.len() == 4 { panic!(\"no four\"); }\n    let length", "",  "map 0: panicked at broken.rs:8: no four", "broken.rs:8"),
}


@pytest.mark.parametrize("lang,compiler,file", [("c++", "c++", "broken.cpp"), ("rust", "rustc", "broken.rs")])
def test_the_same_in_other_languages_and_what_they_throw_is_told(tmp_path, lang, compiler, file):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler} here")
    assert quern("job", "new", "broken", "-lang", lang, cwd=tmp_path).returncode == 0
    make = lambda: subprocess.run(["make", "test"], cwd=tmp_path / "broken", capture_output=True, text=True, env=ENV, timeout=120)
    done = make()
    assert done.returncode == 0 and "warning" not in done.stderr, done.stdout + done.stderr
    assert "ok    lengths" not in done.stdout and "ok    broken: the output is test/expected.txt" in done.stdout and "FAIL" not in done.stdout
    before, after, top, why, where = BROKEN[lang]
    source = tmp_path / "broken" / file
    source.write_text(source.read_text().replace(before, after, 1).replace("#include <quern/job.h>\n", "#include <quern/job.h>\n" + top))
    done = make()
    assert done.returncode != 0 and why in done.stderr and where in done.stderr and '"four" (4 bytes)' in done.stderr, done.stderr


@pytest.mark.parametrize("body,more,said", [
    ("for (volatile int i = 1; i;);", ["-D", "mapreduce.task.timeout=300ms"], ["made no progress for 0.3 s", "qn_status", "tried.c:5 in map"]),
    ("for (;;) memset(malloc(1 << 20), 1, 1 << 20);", ["-D", "mapreduce.map.memory.mb=16"], ["where 16 M is its share", "mend the leak"]),
    ("free((void *)&line);", [], ["map 0: crashed (signal 6, SIGABRT)", "tried.c:5 in map"]),
    ("return -1;", [], ["without saying why", "qn_fail"]),
    ("return qn_emit(task, line, qn_bytes(0, 3));", [], ["emitted a value of 3 bytes, but .value is QN_U64"]),
])
def test_what_a_job_does_wrong_is_told_with_its_place(tmp_path, body, more, said):
    (tmp_path / "in").write_text("a\nb\n")
    done = quern("job", "check", build(tmp_path, "tried", job("uint64_t one = 1;\n" + body + COUNT_MAP[17:], SUM)), "-in", "in", *more, cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    for words in said:
        if not (SANITIZED and words.startswith(("map 0: crashed", "tried.c"))):
            assert words in done.stderr, done.stderr


def test_a_test_shows_the_first_line_that_differs(tmp_path):
    plugin = build(tmp_path, "count", job(COUNT_MAP, SUM))
    (tmp_path / "in").write_text("a\nb\na\n")
    (tmp_path / "want").write_text("a\t2\nb\t7\n")
    done = quern("job", "test", plugin, "-in", "in", "-expect", "want", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.splitlines() == ["FAIL  tried: the output differs from want", "  line 2", "  expected  b\t7", "  got       b\t1"]
    (tmp_path / "want").write_text("a\t2\nb\t1\n")
    assert quern("job", "test", plugin, "-in", "in", "-expect", "want", cwd=tmp_path).returncode == 0


EVERY_THIRD = """static uint64_t n; n++;
    if (n % 3 == 0 && qn_emit_to(task, "by/third", line, qn_from_u64(&n)) != 0)
        return -1;
    return qn_emit(task, line, qn_from_u64(&(uint64_t){1}));"""
LONG_ONES = """if (line.len > 6 && qn_emit_to(task, "long", line, qn_from_u64(&(uint64_t){1})) != 0)
        return -1;
    return qn_emit(task, line, qn_from_u64(&(uint64_t){1}));"""


def test_a_test_compares_every_file_with_a_directory_and_says_which_it_did_not(tmp_path):
    plugin = build(tmp_path, "more", job(LONG_ONES, SUM))
    (tmp_path / "in").write_text("a\nlong line\n")
    (tmp_path / "want").write_text("a\t1\nlong line\t1\n")

    def test(expect):
        done = quern("job", "test", plugin, "-in", "in", "-expect", expect, cwd=tmp_path)
        return done.returncode, done.stdout
    note = "note  not compared: long-m-00000 (with a directory behind -expect, every file is)\n"
    assert test("want") == (0, "ok    tried: the output is want\n" + note)
    (tmp_path / "want").write_text("a\t1\nlong line\t1")
    assert test("want") == (1, "FAIL  tried: the output differs from want\n  but for the end of the last line\n" + note)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "_SUCCESS").touch()
    (tree / "part-r-00000").write_text("a\t1\nlong line\t1\n")
    differs = "FAIL  tried: the output differs from tree\n"
    assert test("tree") == (1, differs + "  file      long-m-00000, 12 bytes: only got\n")
    (tree / "long-m-00000").write_text("long line\t2\n")
    assert test("tree") == (1, differs + "  file      long-m-00000\n  line 1\n  expected  long line\t2\n  got       long line\t1\n")
    (tree / "long-m-00000").write_text("long line\t1\n")
    assert test("tree") == (0, "ok    tried: the output is tree, 2 files\n")
    (tree / "by").mkdir()
    (tree / "by" / "x-r-00000").touch()
    assert test("tree") == (1, differs + "  file      by/x-r-00000, 0 bytes: only expected\n")
    assert quern("job", "test", plugin, "-in", "in", "-expect", "nosuch", cwd=tmp_path).stderr == "quern job: nosuch: No such file or directory\n"


def test_a_check_looks_at_further_outputs_too(tmp_path):
    (tmp_path / "in").write_text("".join(f"line {n % 17}\n" for n in range(500)))
    done = quern("job", "check", build(tmp_path, "long", job(LONG_ONES, SUM, ".combine_op = QN_SUM,")), "-in", "in", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count("the same output") == 4, done.stdout
    done = quern("job", "check", build(tmp_path, "third", job(EVERY_THIRD, SUM)), "-in", "in", cwd=tmp_path)
    assert done.returncode == 1 and "FAIL  cut into small splits: another output" in done.stdout and "  file      by/third-m\n" in done.stdout, done.stdout


def test_a_check_finds_what_a_cluster_would_spoil(tmp_path):
    (tmp_path / "in").write_text("".join(f"line {n % 17}\n" for n in range(500)))
    average = """static int combine(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{ struct qn_slice v; uint64_t sum = 0, n = 0; while (qn_next(values, &v)) { sum += qn_to_u64(v); n++; } sum = sum * 3 / n + n; return qn_emit(task, key, qn_from_u64(&sum)); }"""
    remembers = "static uint64_t n; n++; return qn_emit(task, line, qn_from_u64(&n));"
    chance = "uint64_t t = (uint64_t)clock() + (uint64_t)getpid() + (uint64_t)time(0); return qn_emit(task, line, qn_from_u64(&t));"
    for name, text, said in (
            ("good", job(COUNT_MAP, SUM, ".combine_op = QN_SUM,"), None),
            ("average", job(COUNT_MAP, SUM, average), "FAIL  cut into small splits"),
            ("remembers", job(remembers, SUM), "FAIL  cut into small splits"),
            ("chance", job(chance, SUM, top="#include <time.h>\n#include <unistd.h>"), "FAIL  run a second time")):
        done = quern("job", "check", build(tmp_path, name, text), "-in", "in", cwd=tmp_path)
        assert "ok    loads: tried, keys QN_TEXT, values QN_U64" in done.stdout, done.stderr
        assert (done.returncode, "FAIL" in done.stdout) == ((1, True) if said else (0, False)), (name, done.stdout, done.stderr)
        assert said is None or said in done.stdout, done.stdout
        assert done.stdout.count("FAIL") <= 1, "what comes behind the first would be laid to something else"
        assert ("combine must" in done.stdout) == (name == "average"), "a job without a combine is not told of one"


def test_a_check_says_when_combine_was_not_tried(tmp_path):
    """A sum that forgets what it got is found only where a key comes twice: where none does, no "ok" may stand for it."""
    forgets = """static int combine(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{ struct qn_slice v; uint64_t sum = 0; while (qn_next(values, &v)) sum++; sum *= sum; return qn_emit(task, key, qn_from_u64(&sum)); }"""
    for name, text, is_tried, code, more in (("own", "a\nb\nc\n", False, 0, forgets), ("own2", "a\nb\na\na\n" * 40, True, 1, forgets),
                                             ("sum", "a\nb\nc\n", False, 0, ".combine_op = QN_SUM,"), ("sum2", "a\n" * 2000, True, 0, ".combine_op = QN_SUM,"),
                                             ("none", "a\nb\n", True, 0, "")):
        (tmp_path / "in").write_text(text)
        done = quern("job", "check", build(tmp_path, name, job(COUNT_MAP, SUM, more)), "-in", "in", cwd=tmp_path)
        assert done.returncode == code and ("note  combine had nothing to do" in done.stdout) == (not is_tried), (name, done.stdout, done.stderr)


def test_a_jobs_own_look_at_its_options_comes_first(tmp_path):
    (tmp_path / "in").write_text("a\t1\n")
    for words in (["check", "topn", "-D", "topn.field=2", "-Dtopn.n=x"], ["test", "topn", "--D", "topn.n=x", "-expect", "in"]):
        wrong = quern("job", *words, "-in", "in", cwd=tmp_path)
        assert (wrong.returncode, wrong.stdout) == (2, "") and wrong.stderr == 'quern job: topn.n = "x": a whole number from 1 to 99999999 is wanted\n'


def test_a_jobs_own_check_sees_its_inputs_and_side_files(tmp_path):
    """All of them as they were typed, by the name of the input; what is in them no process has yet."""
    sees = job(COUNT_MAP, SUM, ".inputs = inputs, .check = check,", top="""#include <stdio.h>
static int map(struct qn_task *task, struct qn_slice line, struct qn_slice where);
static const struct qn_job more = {.head = QN_JOB_HEAD, .name = "more", .map = map};
static const struct qn_job *const inputs[] = {&more, NULL};
static int check(struct qn_task *task)
{
    char all[500] = "";
    const char *path, *name;
    struct qn_slice bytes;
    for (uint32_t i = 0; (path = qn_input_at(task, i, &name)) != NULL; i++)
        snprintf(all + strlen(all), 200, "%s of \\"%s\\", ", path, name);
    for (uint32_t i = 0; (path = qn_side_at(task, i)) != NULL; i++)
        snprintf(all + strlen(all), 200, "%s, ", path);
    return strstr(all, "bytes") ? qn_side_file(task, "bytes", &bytes) : qn_fail(task, "%s", all);
}""")
    plugin = build(tmp_path, "sees", sees)
    for name in "a1", "a2", "b":
        (tmp_path / name).write_text("x\n")
    for words in ["run", "-jt", "127.0.0.1:1", plugin, "a*", "-input", "more=b", "-file", "b#s", "-file", "a1", "/out"], ["run", "-jt", "local", "a*", "out"]:
        words = words if plugin in words else [*words[:3], "-file", "b#s", "-file=a1", "-input=more=b", plugin, *words[3:]]
        done = quern(*words, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (2, 'quern run: a* of "", b of "more", s, a1, \n'), done.stderr
    done = quern("job", "test", plugin, "-in", "a1", "a2", "-file", "b", "-expect", "b", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, 'quern job: a1 of "", a2 of "", b, \n'), done.stderr
    done = quern("job", "check", plugin, "-in", "a1", "-file", "b#bytes", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr == "quern job: qn_side_file cannot be called here (qn_side_at tells what there is)\n", done.stderr


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has memory of its own")
def test_memory_taken_and_freed_for_each_record_is_the_same_memory(tmp_path):
    """Half a mebibyte is 150 pages: they come once, not once a record."""
    (tmp_path / "in").write_text("x\n" * 1000)
    takes = """struct rusage before, after; getrusage(RUSAGE_SELF, &before);
    char *p = (char *)malloc(600000); memset(p, 1, 600000); __asm__ volatile("" : : "r"(p) : "memory"); free(p);
    getrusage(RUSAGE_SELF, &after); uint64_t faults = (uint64_t)(after.ru_minflt - before.ru_minflt); return qn_emit(task, qn_text("faults"), qn_from_u64(&faults));"""
    plugin = build(tmp_path, "takes", job(takes, SUM, top="#include <sys/resource.h>"))
    done = quern("run", "-jt", "local", plugin, "in", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    faults = sum(int(line.split("\t")[1]) for part in (tmp_path / "out").glob("part-*") for line in part.read_text().splitlines())
    assert 0 < faults < 5000, faults  # of 1,000 records; 150,000 if each had its own


def test_a_check_runs_a_job_that_makes_its_own_rows(tmp_path):
    assert "note  with -D teragen.rows=N it is run, too" in quern("job", "check", "teragen", cwd=tmp_path).stdout
    done = quern("job", "check", "teragen", "-D", "teragen.rows=100", cwd=tmp_path)
    assert done.returncode == 0 and "runs: 10000 bytes" in done.stdout and done.stdout.count("the same output") == 3, done.stdout + done.stderr


def test_what_a_trial_has_started_ends_with_it(tmp_path):
    """Whatever it is a child of by then, and in whatever session."""
    leaves = f"""if (fork() == 0) {{ if (fork() == 0) {{ setsid(); char name[200]; snprintf(name, sizeof name, "{tmp_path}/left/%d", getpid());
        close(open(name, O_CREAT | O_WRONLY, 0600)); for (;;) pause(); }} _exit(0); }}"""
    (tmp_path / "left").mkdir()
    (tmp_path / "in").write_text("a\nb\n")
    plugin = build(tmp_path, "leaves", job(leaves + COUNT_MAP, SUM, top="#include <unistd.h>\n#include <fcntl.h>\n#include <stdio.h>"))
    done = quern("job", "check", plugin, "-in", "in", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count("the same output") == 4, done.stdout + done.stderr
    wait_for(lambda: all(is_over(int(pid)) for pid in os.listdir(tmp_path / "left")))


@pytest.mark.parametrize("whom", ["all", "the kit"])
def test_an_interrupted_check_leaves_nothing_behind(tmp_path, whom):
    plugin = build(tmp_path, "loops", job("for (volatile int i = 1; i;);" + COUNT_MAP, SUM))
    (tmp_path / "in").write_text("a\n")
    (tmp_path / "tmp").mkdir()
    check = subprocess.Popen([QUERN, "job", "check", plugin, "-in", "in"], cwd=tmp_path, env=ENV | {"TMPDIR": str(tmp_path / "tmp")}, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    wait_for(lambda: list((tmp_path / "tmp").glob("quern-kit-*/.0.*")))
    below = tree_of(check.pid)
    os.killpg(check.pid, signal.SIGINT) if whom == "all" else check.send_signal(signal.SIGTERM)
    out, told = check.communicate(timeout=120)
    assert check.returncode == 130 and told == "quern run: interrupted\n" and "FAIL" not in out, (check.returncode, out, told)
    assert list((tmp_path / "tmp").iterdir()) == []
    wait_for(lambda: all(is_over(pid) for pid in below))


def test_wrong_words_are_told_in_a_line(tmp_path):
    for words, code, said in ((["check"], 2, "check which?"), (["test", "wordcount"], 2, "needs -in FILE"), (["check", "./no.so"], 2, "No such file"),
                              (["check", "wordcount", "-ni", "x"], 2, "no option -ni"), (["check", "wordcount", "-in", "nosuch"], 1, "nosuch: No such file"),
                              (["check", "grep", "-in", __file__], 2, "needs -D grep.pattern="),
                              (["check", "join", "-in", __file__], 2, f"which side is {__file__}? -input left=PATH -input right=PATH, or -D join.left=PREFIX"),
                              (["check", "join", "-D", f"join.left={os.path.basename(__file__)}", "-in", __file__], 2, "the beginning of a whole path is wanted"),
                              (["check", "upsert", "-D", "upsert.changes=/no", "-in", __file__], 2, 'upsert.changes = "/no": the path of no input begins so'),
                              (["test", "hashjoin", "-D", "hashjoin.left=x", "-in", __file__, "-expect", __file__], 2, 'hashjoin.left = "x": the name of a file'),
                              (["check", "topn", "-D", "topn.what=1", "-in", __file__], 2, 'no option "topn.what"'),
                              (["check", "topn", "-D", "mapreduce.map.memory.mb=x", "-in", __file__], 2, "want a size"),
                              (["check", "topn", "-file", "nosuch", "-in", __file__], 2, "-file nosuch: No such file"), (["check", "a", "b"], 2, 'not "b" too')):
        done = quern("job", *words, cwd=tmp_path)
        assert done.returncode == code and said in done.stderr and len(done.stderr.splitlines()) == 1, (words, done.stderr)
    assert "author" in quern("job", "-help").stdout


@pytest.mark.parametrize("words", [["new", "-help"], ["test", "--help"], ["check", "-h"], ["check", "wordcount", "-help"]])
def test_each_command_of_the_kit_helps(tmp_path, words):
    done = quern("job", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"usage: quern job {words[0]} "), done
    assert list(tmp_path.iterdir()) == []


TWO_IN_RUST = """#[macro_use]
mod quern;
use quern::*;
fn left(task: &mut Task, line: &[u8], _where: &[u8]) -> Answer { let name = task.input_name(); task.emit(line, name) }
fn right(task: &mut Task, value: &[u8], key: &[u8]) -> Answer { task.emit(key, value) }
fn reduce(task: &mut Task, key: &[u8], values: &mut Values) -> Answer {
    let mut all = Vec::new();
    while let Some(value) = values.next() { all.extend_from_slice(value); all.push(b'.'); }
    task.emit(key, &all)
}
quern_job! { static LEFT; name: "left", map: left }
quern_job! { static RIGHT; name: "right", map: right, input: Input::KeyValues }
static INPUTS: &[Table] = &[Table(&LEFT), Table(&RIGHT), Table::END];
quern_job! { name: "two", about: "two inputs", reduce: reduce, inputs: INPUTS }
"""
TWO_IN_C = """#include <quern/job.h>
static int left(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{ (void)where; return qn_emit(task, line, qn_text(qn_input(task)->name)); }
static int right(struct qn_task *task, struct qn_slice value, struct qn_slice key) { return qn_emit(task, key, value); }
static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    char all[99] = "";
    struct qn_slice value;
    while (qn_next(values, &value))
        sprintf(all + strlen(all), "%.*s.", (int)value.len, (const char *)value.data);
    return qn_emit(task, key, qn_text(all));
}
static const struct qn_job a = {.head = QN_JOB_HEAD, .name = "left", .map = left};
static const struct qn_job b = {.head = QN_JOB_HEAD, .name = "right", .map = right, .input = QN_KEY_VALUES};
static const struct qn_job *const inputs[] = {&a, &b, NULL};
const struct qn_job qn_job = {.head = QN_JOB_HEAD, .name = "two", .about = "two inputs", .reduce = reduce, .inputs = inputs};
"""


@pytest.mark.parametrize("lang", ["c", "c++", "rust"])
def test_two_inputs_with_maps_of_their_own_are_tried_in_every_language(tmp_path, lang):
    if lang == "rust":
        if not shutil.which("rustc"):
            pytest.skip("no rustc here")
        shutil.copy(f"{ROOT}/include/quern/job.rs", tmp_path / "quern.rs")
        (tmp_path / "two.rs").write_text(TWO_IN_RUST)
        how = ["rustc", "--edition", "2021", "-D", "warnings", "--crate-type", "cdylib", "two.rs"]
    else:
        (tmp_path / "two.c").write_text("#include <stdio.h>\n" + TWO_IN_C)
        how = (["cc"] if lang == "c" else ["c++", "-std=c++20", "-x", "c++"]) + ["-shared", "-fPIC", f"-I{ROOT}/include", "two.c"]
    subprocess.run([*how, "-o", "two.so"], cwd=tmp_path, check=True, timeout=120)
    for name, text in ("l", "ann\nbob\n"), ("r", "ann\tx\ncy\ty\n"), ("want", "ann\tleft.x.\nbob\tleft.\ncy\ty.\n"):
        (tmp_path / name).write_text(text)
    inputs = ["-input", "left=l", "-input", "right=r"]
    done = quern("job", "test", "./two.so", *inputs, "-expect", "want", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    done = quern("job", "check", "./two.so", *inputs, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.count("the same output") == 4, done.stdout + done.stderr
    assert "no path is given for the input right of two" in quern("job", "check", "./two.so", "-in", "l", cwd=tmp_path).stderr
    told = quern("run", "./two.so", "-help", cwd=tmp_path).stdout
    assert "two -input NAME=PATH... OUTPUT" in told and "  -input left=PATH" in told
