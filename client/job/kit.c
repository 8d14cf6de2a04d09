/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/help/asked.h"
#include "client/job/check.h"
#include "client/job/job.h"
#include "client/job/kit_new.h"
#include "client/job/kit_output.h"
#include "client/job/plugin.h"
#include "client/up/program.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define EXPECT_MAX ((size_t)1 << 30)
#define COUNTERS   "counters"
#define OPTIONS_HELP                                                           \
    "\n  -in FILE...        what it reads, as `quern run` would\n"             \
    "  -input NAME=FILE   for a job that reads several in ways of their own\n" \
    "  -D key=value       a setting of the engine or of the job\n"             \
    "  -file PATH[#NAME]  a file it needs beside it\n"                         \
    "\nExit codes: 0 as it should be, 1 not, 2 usage, 130 interrupted.\n"

struct kit {
    const char *command, *plugin_word, *expect, *language;
    const char **inputs;
    size_t input_count;
    const char **passed; /* -D, -file, -input and their values: for the job */
    size_t passed_count;
    bool has_input;
    struct job_plugin plugin;
    struct buf task; /* path of quern-task */
    char *dir;       /* for outputs and COUNTERS of the last run, removed at the end */
    unsigned runs;
};

static const struct kit_command {
    const char *name, *args, *help, *more;
} commands[KIT_COMMANDS] = {
    {"new", "NAME [-lang c|c++|rust]",
     "a directory with a plugin to begin with, its Makefile and test",
     "\n  quern job new lengths && cd lengths && make test\n"},
    {"test", "PLUGIN -in FILE... [-input NAME=FILE]... -expect FILE|DIR",
     "run it without a cluster; is that the output?",
     "\nThe output of one reducer: all part-* one behind the other are compared with FILE, or\n"
     "every file by its name, further outputs too, with those in DIR.\n" OPTIONS_HELP},
    {"check", "PLUGIN [-in FILE...] [-input NAME=FILE]...",
     "load it, and try what a cluster may do to it", OPTIONS_HELP},
};

const char *kit_name(const char *word)
{
    const char *name = word + (word[0] == '-') + (word[0] == '-' && word[1] == '-');
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].name;
    return NULL;
}

void kit_names(const char *names[KIT_COMMANDS])
{
    for (size_t i = 0; i < KIT_COMMANDS; i++)
        names[i] = commands[i].name;
}

void kit_help(FILE *out)
{
    fprintf(out, "\nFor authors, without a cluster:\n\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "  %s %s\n%20s%s\n", commands[i].name, commands[i].args, "", commands[i].help);
}

/* Of one of them alone. */
static void help_with(const char *command)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, command) == 0)
            printf("usage: quern job %s %s\n\n%s\n%s", command, commands[i].args, commands[i].help,
                   commands[i].more);
}

/* --- the command line ------------------------------------------------------------------------ */

static int take_option(struct kit *kit, int argc, char **argv, int *i, struct err *err)
{
    const char *name = argv[*i] + 1 + (argv[*i][1] == '-');
    bool is_glued = name[0] == 'D' && name[1];
    if (!is_glued && *i + 1 == argc)
        return err_set(err, ERR_USAGE, "%s needs a value", argv[*i]);
    if (strcmp(name, "in") == 0) {
        while (*i + 1 < argc && argv[*i + 1][0] != '-')
            kit->inputs[kit->input_count++] = argv[++*i];
        kit->has_input |= kit->input_count > 0;
    } else if (strcmp(name, "expect") == 0) {
        kit->expect = argv[++*i];
    } else if (strcmp(name, "lang") == 0) {
        kit->language = argv[++*i];
    } else if (is_glued) {
        kit->passed[kit->passed_count++] = argv[*i];
    } else if (strcmp(name, "D") == 0 || strcmp(name, "file") == 0 || strcmp(name, "input") == 0) {
        kit->has_input |= name[0] == 'i';
        kit->passed[kit->passed_count++] = argv[*i];
        kit->passed[kit->passed_count++] = argv[++*i];
    } else {
        return err_set(err, ERR_USAGE, "no option %s (`quern job -help`)", argv[*i]);
    }
    return 0;
}

static int parse(struct kit *kit, int argc, char **argv, struct err *err)
{
    int rc = 0;
    kit->command = argv[0];
    for (int i = 1; rc == 0 && i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1])
            rc = take_option(kit, argc, argv, &i, err);
        else if (kit->plugin_word)
            rc = err_set(err, ERR_USAGE, "one name, not \"%s\" too", argv[i]);
        else
            kit->plugin_word = argv[i];
    }
    bool is_test = strcmp(kit->command, "test") == 0;
    if (rc == 0 && !kit->plugin_word)
        rc = err_set(err, ERR_USAGE, "%s which?", kit->command);
    if (rc == 0 && is_test && (!kit->has_input || !kit->expect))
        rc = err_set(err, ERR_USAGE, "test needs -in FILE... and -expect FILE|DIR");
    return rc;
}

/* --- running --------------------------------------------------------------------------------- */

static volatile sig_atomic_t child, interrupted;

/* The job ends and tells of it; what it left in our directory is ours to remove. */
static void on_interrupt(int signal)
{
    interrupted = 1;
    if (child > 0)
        kill((pid_t)child, signal);
}

static void catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* quern-task -local MORE... PASSED... PLUGIN INPUTS... OUT; what it reports nobody sees. */
static int run_child(struct kit *kit, const char *const *more, const char *out, struct err *err)
{
    size_t n = 0, most = 18 + kit->passed_count + kit->input_count;
    const char **words = mem_calloc(most, sizeof(*words));
    char *counters = fsutil_join(kit->dir, COUNTERS);
    int status = 0;
    if (!words || !counters) {
        mem_free(words);
        mem_free(counters);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    words[n++] = "quern-task";
    words[n++] = "-local";
    words[n++] = "-counters";
    words[n++] = counters;
    while (*more)
        words[n++] = *more++;
    for (size_t i = 0; i < kit->passed_count; i++)
        words[n++] = kit->passed[i];
    words[n++] = kit->plugin.path;
    for (size_t i = 0; i < kit->input_count; i++)
        words[n++] = kit->inputs[i];
    words[n++] = out;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
            dup2(fd, STDOUT_FILENO);
        execv(buf_cstr(&kit->task), (char *const *)(uintptr_t)words);
        _exit(127);
    }
    child = pid;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    child = 0;
    mem_free(words);
    mem_free(counters);
    if (pid < 0)
        return err_errno(err, errno, "cannot start quern-task");
    if (interrupted || (WIFEXITED(status) && WEXITSTATUS(status) < 126 && status != 0))
        return WEXITSTATUS(status) == JOB_EXIT_USAGE ? ERR_USAGE
                                                     : ERR_FAILED; /* the job has told so */
    return status == 0 ? 0 : err_set(err, ERR_FAILED, "quern-task ended without a word");
}

static int run(struct kit *kit, const char *const *more, struct kit_output *out, struct err *err)
{
    char *dir = str_printf("%s/%u", kit->dir, kit->runs++);
    int rc = dir ? run_child(kit, more, dir, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = kit_output_read(out, dir, err);
    mem_free(dir);
    return rc;
}

/* --- test ------------------------------------------------------------------------------------ */

/* Each file, by its name. */
static int test_files(const struct kit *kit, const struct kit_output *got, struct err *err)
{
    struct kit_output wanted = {0};
    const struct kit_pair pair = {&wanted, got, "expected", "got"};
    int rc = kit_output_read(&wanted, kit->expect, err);
    bool is_same = rc == 0 && kit_output_is_same(&pair, false);
    if (is_same)
        printf("ok    " SLICE_FMT ": the output is %s, %zu file%s\n",
               SLICE_ARG(kit->plugin.probe.name), kit->expect, wanted.count,
               wanted.count == 1 ? "" : "s");
    else if (rc == 0)
        printf("FAIL  " SLICE_FMT ": the output differs from %s\n",
               SLICE_ARG(kit->plugin.probe.name), kit->expect);
    if (rc == 0 && !is_same)
        kit_output_show(&pair, false);
    kit_output_release(&wanted);
    return rc == 0 && !is_same ? ERR_FAILED : rc;
}

/* All parts, one behind the other; of further outputs it is said that they were not looked at. */
static int test_parts(const struct kit *kit, const struct kit_output *got, struct err *err)
{
    const struct kit_pair pair = {NULL, NULL, "expected", "got"};
    struct buf wanted = BUF_INIT, parts = BUF_INIT, others = BUF_INIT;
    for (size_t i = 0; i < got->count; i++)
        if (strncmp(got->files[i].name, "part-", 5) == 0)
            buf_append_slice(&parts, buf_slice(&got->files[i].bytes));
        else
            buf_printf(&others, "%s%s", others.len ? ", " : "", got->files[i].name);
    int rc = buf_failed(&parts)
                 ? err_set(err, ERR_NOMEM, "out of memory")
                 : fsutil_read_all(disk_real(), kit->expect, EXPECT_MAX, &wanted, err);
    bool is_same = rc == 0 && slice_eq(buf_slice(&parts), buf_slice(&wanted));
    if (rc == 0)
        printf("%s" SLICE_FMT ": the output %s %s\n", is_same ? "ok    " : "FAIL  ",
               SLICE_ARG(kit->plugin.probe.name), is_same ? "is" : "differs from", kit->expect);
    if (rc == 0 && !is_same)
        kit_output_show_lines(&pair, buf_slice(&wanted), buf_slice(&parts));
    if (rc == 0 && others.len)
        printf("note  not compared: %s (with a directory behind -expect, every file is)\n",
               buf_cstr(&others));
    buf_release(&wanted);
    buf_release(&parts);
    buf_release(&others);
    return rc == 0 && !is_same ? ERR_FAILED : rc;
}

static int test(struct kit *kit, struct err *err)
{
    static const char *const one[] = {"-reduces", "1", NULL};
    struct kit_output got = {0};
    struct stat st;
    int rc = stat(kit->expect, &st) == 0 ? 0 : err_errno(err, errno, "%s", kit->expect);
    if (rc == 0)
        rc = run(kit, one, &got, err);
    if (rc == 0)
        rc = S_ISDIR(st.st_mode) ? test_files(kit, &got, err) : test_parts(kit, &got, err);
    kit_output_release(&got);
    return rc;
}

/* --- check ----------------------------------------------------------------------------------- */

/* What a cluster may do to a job, and must not change its output. Each stands on those before it:
 * behind one that fails, the others would lay the same fault to something else. */
static const struct trial {
    const char *what, *advice, *with_combine; /* NULL: the same advice */
    const char *more[9];
    bool is_sorted; /* compare lines, whatever their order */
} trials[] = {
    {"run a second time",
     "it hangs on the time, on chance, on addresses in memory, or on memory nobody set",
     NULL,
     {"-reduces", "1"},
     false},
    {"cut into small splits",
     "map must not remember other records",
     "combine must be associative and commutative, and map must not remember other records",
     {"-reduces", "1", "-D", "mapreduce.input.fileinputformat.split.maxsize=64", "-D",
      "mapreduce.job.maps=7"},
     false},
    {"all in one process, one attempt after another",
     "what is static outlives an attempt: keep state in qn_state, set up in setup",
     NULL,
     {"-reduces", "1", "-D", "local.inprocess=true", "-D",
      "mapreduce.input.fileinputformat.split.maxsize=256"},
     false},
    {"three reducers",
     "reduce must not remember other keys, and partition must send equal keys to one reducer",
     NULL,
     {"-reduces", "3"},
     true},
};

static void describe(const struct task_probe *p)
{
    printf("ok    loads: " SLICE_FMT ", keys " SLICE_FMT ", values " SLICE_FMT "%s" SLICE_FMT
           "%s\n",
           SLICE_ARG(p->name), SLICE_ARG(p->key), SLICE_ARG(p->value),
           p->combine.len ? ", combined by " : "", SLICE_ARG(p->combine),
           p->has_reduce ? "" : ", no reduce");
    if (p->about.len == 0)
        printf("note  no .about: `quern run -list` and -help have nothing to say\n");
}

static int out_of_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* From here on `first` has its lines in order, too, if the trial's are to be. */
static int try(struct kit *kit, const struct trial *trial, struct kit_output *first,
               struct err *err)
{
    struct kit_output got = {0};
    const struct kit_pair pair = {first, &got, "before", "now"};
    int rc = run(kit, trial->more, &got, err);
    if (rc == 0 && kit_output_merge(&got) != 0)
        rc = out_of_memory(err);
    if (rc == 0 && trial->is_sorted &&
        (kit_output_sort_lines(&got) != 0 || kit_output_sort_lines(first) != 0))
        rc = out_of_memory(err);
    bool is_same = rc == 0 && kit_output_is_same(&pair, true);
    bool combines = kit->plugin.probe.combine.len > 0 && trial->with_combine;
    if (is_same)
        printf("ok    %s: the same output\n", trial->what);
    else if (!interrupted)
        printf("FAIL  %s: %s. %s.\n", trial->what,
               rc == 0 ? "another output" : "the job failed there, not before",
               combines ? trial->with_combine : trial->advice);
    if (rc == 0 && !is_same)
        kit_output_show(&pair, true);
    kit_output_release(&got);
    return is_same ? 0 : ERR_FAILED;
}

/* Of the last run; 0 where the job has no such counter. */
static uint64_t counted(const struct kit *kit, const char *name)
{
    char *path = fsutil_join(kit->dir, COUNTERS), *line = str_printf("\t%s\t", name);
    struct buf text = BUF_INIT;
    const uint8_t *at = NULL;
    if (path && line && fsutil_read_all(disk_real(), path, EXPECT_MAX, &text, NULL) == 0)
        at = memmem(text.data, text.len, line, strlen(line));
    uint64_t value =
        at && buf_cstr(&text) ? strtoull((const char *)at + strlen(line), NULL, 10) : 0;
    buf_release(&text);
    mem_free(path);
    mem_free(line);
    return value;
}

/* Did combine make fewer of the records it got? In no trial after the first has it more of them. */
static bool has_combined(const struct kit *kit)
{
    return counted(kit, "Combine output records") < counted(kit, "Combine input records");
}

static int check(struct kit *kit, struct err *err)
{
    static const char *const one[] = {"-reduces", "1", NULL};
    struct kit_output first = {0};
    describe(&kit->plugin.probe);
    bool makes_rows = kit->plugin.probe.has_rows;
    char key[128] = "";
    task_probe_rows_key(&kit->plugin.probe, key, sizeof(key));
    if (!kit->has_input && !(makes_rows && kit->passed_count > 0)) {
        printf("note  with %s%s%s it is run, too: twice, cut in several ways\n",
               makes_rows ? "-D " : "-in FILE", makes_rows ? key : "", makes_rows ? "=N" : "");
        return 0;
    }
    int rc = run(kit, one, &first, err);
    if (rc == 0 && kit_output_merge(&first) != 0)
        rc = out_of_memory(err);
    if (rc == 0)
        printf("ok    runs: %" PRIu64 " bytes of output\n", kit_output_bytes(&first));
    if (rc == 0 && kit->plugin.probe.combine.len && !has_combined(kit))
        printf("note  combine had nothing to do: what is behind -in gives no key twice. It is not "
               "tried.\n");
    bool has_run = rc == 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(trials); i++)
        if (!trials[i].is_sorted || kit->plugin.probe.has_reduce)
            rc = try(kit, &trials[i], &first, err);
    kit_output_release(&first);
    if (has_run && rc != 0)
        *err = (struct err){0}; /* told above */
    return rc;
}

/* --- all three ------------------------------------------------------------------------------- */

static int with_plugin(struct kit *kit, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    const struct job_words words = {kit->passed, kit->passed_count, kit->inputs, kit->input_count};
    int rc = job_plugin_open(&kit->plugin, kit->plugin_word, err);
    if (rc == 0)
        rc = program_find("quern-task", &kit->task, err);
    if (rc == 0 && (kit->has_input || kit->passed_count > 0))
        rc = job_check_words(&kit->plugin, &words, err);
    if (rc != 0) /* that a plugin cannot be loaded is an answer, wrong words are none */
        return rc != ERR_PLUGIN && job_exit_of_words(rc) == JOB_EXIT_USAGE ? ERR_USAGE : rc;
    kit->dir = str_printf("%s/quern-kit-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!kit->dir)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (!mkdtemp(kit->dir))
        return err_errno(err, errno, "%s (TMPDIR says where outputs go)", kit->dir);
    catch_interrupts();
    rc = strcmp(kit->command, "test") == 0 ? test(kit, err) : check(kit, err);
    (void)fsutil_remove_tree(disk_real(), kit->dir, NULL);
    return rc;
}

static int run_command(int argc, char **argv)
{
    struct kit kit = {.inputs = mem_calloc((size_t)argc + 1, sizeof(char *)),
                      .passed = mem_calloc((size_t)argc + 1, sizeof(char *))};
    struct err err = {0};
    int rc = kit.inputs && kit.passed ? parse(&kit, argc, argv, &err)
                                      : err_set(&err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = strcmp(kit.command, "new") == 0 ? kit_new(kit.plugin_word, kit.language, &err)
                                             : with_plugin(&kit, &err);
    if (err.code != 0)
        fprintf(stderr, "quern job: %s\n", err.msg);
    if (kit.plugin.path)
        job_plugin_close(&kit.plugin);
    buf_release(&kit.task);
    mem_free(kit.dir);
    mem_free(kit.inputs);
    mem_free(kit.passed);
    if (interrupted)
        return JOB_EXIT_INTERRUPTED;
    return rc == 0 ? 0 : rc == ERR_USAGE ? JOB_EXIT_USAGE : JOB_EXIT_FAILED;
}

int kit_main(int argc, char **argv)
{
    if (!help_is_asked_in(argc, argv))
        return run_command(argc, argv);
    help_with(argv[0]);
    return 0;
}
