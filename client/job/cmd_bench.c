/* SPDX-License-Identifier: Apache-2.0
 * cmd_bench: `quern bench`: the standard jobs on the cluster that is there, one after the other,
 * and a table of how long each took. It makes its own data, in a directory of its own, and removes
 * it.
 *
 * A job is started as a person does it, by `quern run`; how long it took is what the jobtracker
 * says (from its submission to its published output), and for the empty job what the shell waited,
 * too. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/command.h"
#include "client/job/job.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"

#define WORDS_MAX  24
#define ROW_BYTES  100 /* of teragen */
#define TEXT_BYTES 530 /* of randomtextwriter, about */
#define EMPTY_RUNS 20
#define MIB        1048576.0

static volatile sig_atomic_t is_interrupted;

struct bench {
    struct config_args config;
    struct conf *conf;
    struct identity self;
    struct chan *chan;
    uint64_t bytes; /* how large each job's data is */
    uint32_t files; /* of dfsio */
    const char *dir, *only;
    bool json, keep, has_rows;
};

/* One line of the table. */
struct result {
    uint64_t ms, bytes;
    uint64_t task_us; /* summed over the tasks that moved the bytes; 0 = not told */
    const char *note;
};

/* --- running quern itself -------------------------------------------------------------------- */

/* `out` gets its stdout, or nothing does where it is NULL. Its exit code. */
static int run_self(const char *const *words, struct buf *out)
{
    int pair[2], status = 0;
    char chunk[4096];
    if (pipe(pair) != 0)
        return 1;
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pair[1], STDOUT_FILENO);
        close(pair[0]);
        close(pair[1]);
        execv("/proc/self/exe", (char *const *)(uintptr_t)words);
        _exit(127);
    }
    close(pair[1]);
    for (ssize_t n; pid > 0 && (n = read(pair[0], chunk, sizeof(chunk))) != 0;)
        if (n > 0 && out)
            buf_append(out, chunk, (size_t)n);
        else if (n < 0 && errno != EINTR)
            break;
    close(pair[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void remove_data(const struct bench *b)
{
    const char *const words[] = {"quern", "fs", "-rm", "-r", "-f", "-skipTrash", b->dir, NULL};
    (void)run_self(words, NULL);
}

/* --- jobs ------------------------------------------------------------------------------------ */

static uint64_t task_us_of(const struct cl2jt_status *status)
{
    uint64_t us = 0;
    for (size_t i = 0; i < status->stages.n; i++)
        if (slice_is(status->stages.v[i].name, "map"))
            us += status->stages.v[i].times.total;
    return us;
}

/* Until the job has ended; a job that is left behind by Ctrl-C is killed. */
static int wait_for(struct bench *b, const struct job_id *id, struct result *ret, struct err *err)
{
    struct cl2jt_job job = {.cluster_ms = id->cluster_ms, .job = id->number};
    struct cl2jt_watch ask = {.id = job, .max_wait_ms = 500, .only_end = true};
    struct cl2jt_status status;
    struct arena arena = ARENA_INIT;
    int rc;
    do {
        arena_reset(&arena);
        rc = jobtracker_ask(b->chan, WATCH, &ask, &arena, &status, err);
    } while (rc == 0 && !job_has_ended(&status) && !is_interrupted);
    if (rc == 0 && is_interrupted) {
        struct cl2jt_kill kill = {.id = job};
        (void)jobtracker_ask(b->chan, KILL, &kill, &arena, NULL, err);
        rc = err_set(err, ERR_CANCELLED, "interrupted");
    } else if (rc == 0 && status.state != CL2JT_SUCCEEDED) {
        rc = err_set(err, ERR_FAILED, SLICE_FMT, SLICE_ARG(status.why));
    } else if (rc == 0) {
        *ret = (struct result){
            .ms = status.elapsed_ms, .bytes = status.bytes, .task_us = task_us_of(&status)};
    }
    arena_release(&arena);
    return rc;
}

/* quern run -detach OPTIONS... PLUGIN WORDS..., to its end. */
static int run_job(struct bench *b, const char *const *more, struct result *ret, struct err *err)
{
    const char *words[WORDS_MAX] = {"quern", "run", "-detach"};
    struct buf out = BUF_INIT;
    struct job_id id;
    size_t n = 3;
    while (*more && n + 1 < WORDS_MAX)
        words[n++] = *more++;
    int code = run_self(words, &out), rc = 0;
    struct slice line = buf_slice(&out);
    while (line.len && line.data[line.len - 1] <= ' ')
        line.len--;
    char *text = slice_dup(line);
    if (code != 0 || !text || job_id_parse(text, &id) != 0)
        rc = err_set(err, ERR_FAILED, "it could not be started");
    else
        rc = wait_for(b, &id, ret, err);
    mem_free(text);
    buf_release(&out);
    return rc;
}

/* --- what comes out -------------------------------------------------------------------------- */

static void show(struct bench *b, const char *name, const struct result *r)
{
    char size[32], whole[32] = "-", each[32] = "-";
    double seconds = (double)r->ms / 1000;
    double rate = r->ms ? (double)r->bytes / MIB / seconds : 0;
    double task = r->task_us ? (double)r->bytes / MIB / ((double)r->task_us / 1e6) : 0;
    if (b->json) {
        printf("%s{\"name\":\"%s\",\"seconds\":%.3f,\"bytes\":%" PRIu64
               ",\"mib_per_second\":%.1f,\"mib_per_task_second\":%.1f,\"note\":\"%s\"}",
               b->has_rows ? ",\n " : "[", name, seconds, r->bytes, rate, task,
               r->note ? r->note : "");
    } else {
        if (!b->has_rows)
            printf("%-16s %10s %10s %14s %13s\n", "job", "data", "seconds", "MiB/s",
                   "MiB/s a task");
        if (rate > 0)
            snprintf(whole, sizeof(whole), "%.0f", rate);
        if (task > 0)
            snprintf(each, sizeof(each), "%.0f", task);
        printf("%-16s %10s %10.3f %14s %13s%s%s\n", name,
               r->bytes ? str_human(r->bytes, size, sizeof(size)) : "-", seconds, whole, each,
               r->note ? "  " : "", r->note ? r->note : "");
    }
    b->has_rows = true;
    (void)fflush(stdout);
}

/* --- each of them ---------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int bench_empty(struct bench *b, struct err *err)
{
    uint64_t ms[EMPTY_RUNS], shell_us[EMPTY_RUNS];
    char out[512], note[128];
    snprintf(out, sizeof(out), "%s/empty", b->dir);
    const char *const words[] = {"-mode=replace",
                                 "-reduces=1",
                                 "-Dsleep.map.ms=0",
                                 "-Dmapreduce.job.maps=1",
                                 "sleep",
                                 out,
                                 NULL};
    struct result r = {0};
    for (size_t i = 0; i < EMPTY_RUNS; i++) {
        uint64_t start = clock_mono_us();
        int rc = run_job(b, words, &r, err);
        if (rc != 0)
            return rc;
        ms[i] = r.ms;
        shell_us[i] = clock_mono_us() - start;
    }
    qsort(ms, EMPTY_RUNS, sizeof(*ms), by_number);
    qsort(shell_us, EMPTY_RUNS, sizeof(*shell_us), by_number);
    snprintf(note, sizeof(note),
             "median of %d, slowest %" PRIu64 " ms; from the shell %" PRIu64 " ms", EMPTY_RUNS,
             ms[EMPTY_RUNS - 1], shell_us[EMPTY_RUNS / 2] / 1000);
    show(b, "empty job", &(struct result){.ms = ms[EMPTY_RUNS / 2], .note = note});
    return 0;
}

/* What teravalidate found: a line for each place that is out of order. */
static int check_sorted(struct bench *b, const char *dir, struct err *err)
{
    char path[600];
    struct buf text = BUF_INIT;
    snprintf(path, sizeof(path), "%s/part-*", dir);
    const char *const words[] = {"quern", "fs", "-cat", path, NULL};
    (void)b;
    int code = run_self(words, &text);
    bool is_sorted =
        code == 0 && text.len && !buf_failed(&text) && !memmem(text.data, text.len, "misorder", 8);
    buf_release(&text);
    return is_sorted ? 0 : err_set(err, ERR_FAILED, "its output is not sorted");
}

static int bench_tera(struct bench *b, struct err *err)
{
    char rows[64], in[512], out[512], valid[512];
    struct result r = {0};
    snprintf(rows, sizeof(rows), "-Dteragen.rows=%" PRIu64, b->bytes / ROW_BYTES);
    snprintf(in, sizeof(in), "%s/rows", b->dir);
    snprintf(out, sizeof(out), "%s/sorted", b->dir);
    snprintf(valid, sizeof(valid), "%s/validated", b->dir);
    const char *const generate[] = {rows, "teragen", in, NULL};
    const char *const sort[] = {"terasort", in, out, NULL};
    const char *const validate[] = {"teravalidate", out, valid, NULL};
    int rc = run_job(b, generate, &r, err);
    if (rc == 0) {
        r.bytes = b->bytes / ROW_BYTES * ROW_BYTES;
        r.task_us = 0;
        show(b, "teragen", &r);
        rc = run_job(b, sort, &r, err);
    }
    if (rc == 0) {
        r.task_us = 0;
        r.note = "by ranges of keys";
        show(b, "terasort", &r);
        rc = run_job(b, validate, &r, err);
    }
    if (rc == 0)
        rc = check_sorted(b, valid, err);
    if (rc == 0) {
        r.task_us = 0;
        show(b, "teravalidate", &r);
    }
    return rc;
}

static int make_text(struct bench *b, char *in, size_t cap, struct err *err)
{
    char rows[64], path[600];
    struct result r = {0};
    snprintf(in, cap, "%s/text", b->dir);
    snprintf(path, sizeof(path), "%s/_SUCCESS", in);
    const char *const is_there[] = {"quern", "fs", "-test", "-e", path, NULL};
    if (run_self(is_there, NULL) == 0)
        return 0;
    snprintf(rows, sizeof(rows), "-Drandomtextwriter.rows=%" PRIu64, b->bytes / TEXT_BYTES + 1);
    const char *const words[] = {rows, "randomtextwriter", in, NULL};
    return run_job(b, words, &r, err);
}

static int bench_text(struct bench *b, const char *job, const char *option, struct err *err)
{
    char in[512], out[512];
    struct result r = {0};
    snprintf(out, sizeof(out), "%s/%s", b->dir, job);
    const char *const words[] = {option, job, in, out, NULL};
    int rc = make_text(b, in, sizeof(in), err);
    if (rc == 0)
        rc = run_job(b, words, &r, err);
    if (rc == 0) {
        r.task_us = 0;
        show(b, job, &r);
    }
    return rc;
}

static int bench_wordcount(struct bench *b, struct err *err)
{
    return bench_text(b, "wordcount", "-mode=fail", err);
}

static int bench_grep(struct bench *b, struct err *err)
{
    return bench_text(b, "grep", "-Dgrep.pattern=zu[a-z]*", err);
}

static int bench_sort(struct bench *b, struct err *err)
{
    return bench_text(b, "sort", "-mode=fail", err);
}

static int bench_dfsio(struct bench *b, struct err *err)
{
    char files[64], rows[64], size[64], in[512], out[512];
    struct result r = {0};
    snprintf(files, sizeof(files), "-Dmapreduce.job.maps=%" PRIu32, b->files);
    snprintf(rows, sizeof(rows), "-Ddfsiowrite.rows=%" PRIu32, b->files);
    snprintf(size, sizeof(size), "-Ddfsio.size=%" PRIu64, b->bytes / b->files);
    snprintf(in, sizeof(in), "%s/dfsio", b->dir);
    snprintf(out, sizeof(out), "%s/dfsioread", b->dir);
    const char *const writes[] = {files, rows, size, "dfsiowrite", in, NULL};
    const char *const reads[] = {"dfsioread", in, out, NULL};
    int rc = run_job(b, writes, &r, err);
    if (rc == 0) {
        r.bytes = b->bytes / b->files * b->files;
        show(b, "dfsio write", &r);
        rc = run_job(b, reads, &r, err);
    }
    if (rc == 0)
        show(b, "dfsio read", &r);
    return rc;
}

static const struct row {
    const char *name, *help;
    int (*run)(struct bench *b, struct err *err);
} rows[] = {
    {"empty", "a map and a reduce that do nothing, twenty times", bench_empty},
    {"dfsio", "files written, and read again", bench_dfsio},
    {"terasort", "rows of the sort benchmark made, sorted and validated", bench_tera},
    {"wordcount", "words of random text counted", bench_wordcount},
    {"grep", "the same text searched", bench_grep},
    {"sort", "its lines sorted", bench_sort},
};

/* --- the command line ------------------------------------------------------------------------ */

static void help(void)
{
    printf(
        "usage: quern bench [OPTION...] [JOB,...]\n\n"
        "Run the standard jobs on the cluster that is configured, print how long each took, and\n"
        "remove what they made.\n\n"
        "  -size BYTES    how much data each job has (256m)\n"
        "  -files N       how many files dfsio writes at a time (4)\n"
        "  -only A,B      these alone; so does A,B without -only:\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        printf("                   %-10s %s\n", rows[i].name, rows[i].help);
    printf("  -dir DIR       where in the filesystem; must not exist (/benchmarks/quern)\n"
           "  -keep          leave it there\n"
           "  --json         a list of objects\n"
           "  -conf FILE     another configuration\n\n"
           "Time is from a job's submission to its published output. \"MiB/s a task\" is bytes by "
           "the\n"
           "sum of the tasks' times, as Hadoop's TestDFSIO counts its throughput.\n");
}

static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, len) == 0)
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

static int take_option(struct bench *b, int argc, char **argv, int *i, struct err *err)
{
    int taken = config_args_take(&b->config, argc, argv, i, err);
    const char *word = argv[*i] + (argv[*i][0] == '-') + (strncmp(argv[*i], "--", 2) == 0), *value;
    uint64_t n;
    if (taken != 0)
        return taken < 0 ? taken : 0;
    if (strcmp(word, "json") == 0 || strcmp(word, "keep") == 0) {
        *(*word == 'j' ? &b->json : &b->keep) = true;
        return 0;
    }
    if (word == argv[*i] && !b->only) {
        b->only = word;
        return 0;
    }
    if (word == argv[*i])
        return err_set(err, ERR_USAGE, "\"%s\" behind \"%s\": the jobs are one word, A,B", word,
                       b->only);
    if (strcmp(word, "size") != 0 && strcmp(word, "files") != 0 && strcmp(word, "only") != 0 &&
        strcmp(word, "dir") != 0)
        return err_set(err, ERR_USAGE, "no option %s (`quern bench -help`)", argv[*i]);
    if (*i + 1 == argc)
        return err_set(err, ERR_USAGE, "%s needs a value", argv[*i]);
    value = argv[++*i];
    if (*word == 'o')
        b->only = value;
    else if (*word == 'd')
        b->dir = value;
    else if (*word == 's' && (str_to_size(value, &b->bytes) != 0 || b->bytes < 1 << 20))
        return err_set(err, ERR_USAGE, "-size %s: a size from 1m up", value);
    else if (*word == 'f' && (str_to_u64(value, &n) != 0 || n == 0 || n > 1000))
        return err_set(err, ERR_USAGE, "-files %s: a number from 1 to 1000", value);
    else if (*word == 'f')
        b->files = (uint32_t)n;
    return 0;
}

static int no_job(struct slice typed, struct err *err)
{
    const char *names[ARRAY_LEN(rows)];
    char *word = slice_dup(typed);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        names[i] = rows[i].name;
    const char *near = word ? str_nearest(word, names, ARRAY_LEN(rows)) : NULL;
    err_set(err, ERR_USAGE,
            near ? "-only " SLICE_FMT ": no such job (did you mean %s?)"
                 : "-only " SLICE_FMT ": no such job (`quern bench -help`)",
            SLICE_ARG(typed), near);
    mem_free(word);
    return ERR_USAGE;
}

/* Every name of the list must be one of ours. */
static int check_only(const struct bench *b, struct err *err)
{
    for (const char *at = b->only ? b->only : ""; *at;) {
        size_t n = strcspn(at, ",");
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            is_known |= strlen(rows[i].name) == n && memcmp(rows[i].name, at, n) == 0;
        if (!is_known)
            return no_job(slice_of(at, n), err);
        at += n + (at[n] == ',');
    }
    return 0;
}

static void on_interrupt(int signo)
{
    (void)signo;
    is_interrupted = 1;
}

/* Nothing of a user's may be there: it is removed in the end. */
static int begin(struct bench *b, struct err *err)
{
    const char *const is_there[] = {"quern", "fs", "-test", "-e", b->dir, NULL};
    struct sigaction action = {.sa_handler = on_interrupt};
    if (b->config.file && setenv("QUERN_CONF", b->config.file, 1) != 0) /* what we start has it */
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = config_open(&b->config, &b->conf, NULL, err);
    identity_init(&b->self, WIRE_CLIENT, NULL);
    if (rc == 0)
        rc = jobtracker_open(b->conf, &b->self, &b->chan, err);
    if (rc == 0 && run_self(is_there, NULL) == 0)
        rc = err_set(err, ERR_EXIST, "%s exists already: remove it, or choose another by -dir",
                     b->dir);
    if (rc == 0)
        sigaction(SIGINT, &action, NULL);
    return rc;
}

static int run_all(struct bench *b, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(rows); i++) {
        struct err why = {0};
        if (b->only && !is_listed(b->only, rows[i].name))
            continue;
        rc = rows[i].run(b, &why);
        if (rc != 0)
            err_set(err, rc, "%s: %s", rows[i].name, why.msg);
    }
    if (b->json)
        printf("%s]\n", b->has_rows ? "" : "[");
    if (!b->keep)
        remove_data(b);
    else if (!b->json)
        printf("its data is in %s\n", b->dir);
    return rc;
}

int cmd_bench(int argc, char **argv)
{
    struct bench b = {.bytes = 256 << 20, .files = 4, .dir = "/benchmarks/quern"};
    struct err err = {0};
    int rc = 0;
    for (int i = 1; rc == 0 && i < argc; i++) {
        const char *word = argv[i] + (argv[i][0] == '-') + (strncmp(argv[i], "--", 2) == 0);
        if (word > argv[i] && (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)) {
            help();
            config_args_release(&b.config);
            return 0;
        }
        rc = take_option(&b, argc, argv, &i, &err);
    }
    if (rc == 0)
        rc = check_only(&b, &err);
    if (rc == 0)
        rc = begin(&b, &err);
    if (rc == 0)
        rc = run_all(&b, &err);
    if (rc != 0)
        fprintf(stderr, "quern bench: %s\n", err.msg);
    chan_close(b.chan);
    conf_free(b.conf);
    config_args_release(&b.config);
    return rc == 0 ? 0 : is_interrupted ? JOB_EXIT_INTERRUPTED : job_exit_of_error(rc);
}
