/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/local/local.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/store/fsutil.h"
#include "worker/local/command.h"
#include "worker/local/inputs.h"
#include "worker/local/pool.h"
#include "worker/local/publish.h"
#include "worker/local/report.h"
#include "worker/local/sample.h"
#include "worker/runner/execution.h"
#include "worker/runner/files_for.h"
#include "worker/runner/probe.h"
#include "worker/task/strays.h"

#define EXIT_FAILED      1
#define EXIT_USAGE       2
#define EXIT_INTERRUPTED 130
#define WAIT_MS          100U
#define STRAYS_MS        1000U  /* for what a job has started, to be gone */
#define LINE_MS          10000U /* between lines of progress when nobody watches a terminal */

struct local {
    struct command command;
    struct inputs inputs;
    const struct split_conf *how; /* they are cut: by input */
    struct publish publish;
    struct job job;
    char *scratch;
    struct pool pool;
    bool has_pool;
    size_t slots;
    bool is_terminal;
    uint64_t last_line_ms;
    struct err err; /* the driver's own failure */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* --- preparing ------------------------------------------------------------------------------- */

static int make_scratch(struct local *l, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char text[512];
    snprintf(text, sizeof(text), "%s/quern-local-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(text))
        return err_errno(err, errno, "%s", text);
    l->scratch = slice_dup(slice_str(text));
    return l->scratch ? 0 : no_memory(err);
}

/* Memory that map outputs may take: half of what is free now. */
static uint64_t spare_memory(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib * 1024 / 2;
}

/* Local files have no blocks: smaller inputs are cut smaller, so that all cores get work. Sizes are
 * powers of two, and hang on nothing but the input. */
static int find_how(struct local *l, struct err *err)
{
    const struct conf *conf = l->command.conf;
    struct split_conf base = {
        .min_bytes = conf_size(conf, "mapreduce.input.fileinputformat.split.minsize"),
        .max_bytes = conf_size(conf, "mapreduce.input.fileinputformat.split.maxsize"),
        .lines = (uint64_t)conf_int(conf, "mapreduce.input.lineinputformat.linespermap")};
    uint64_t size = (uint64_t)8 << 20;
    while (size < (uint64_t)128 << 20 && size < l->inputs.bytes / 16)
        size *= 2;
    if (!base.max_bytes)
        base.max_bytes = size;
    return input_paths_confs(&l->job.probe, &base, &l->job.arena, &l->how, err);
}

static void choose_reducers(struct local *l)
{
    const struct reducers_wish wish = {l->command.reduces, l->inputs.bytes,
                                       reducers_start_early(l->command.conf)};
    l->job.shuffle_count = reducers_choose_all(&l->job.probe, &wish, l->job.shuffles);
}

static uint32_t choose_attempts(const struct conf *conf)
{
    /* The same machine, the same input: a second attempt is for those who ask for it. */
    return conf_is_set(conf, "mapreduce.map.maxattempts")
               ? (uint32_t)conf_int(conf, "mapreduce.map.maxattempts")
               : 1;
}

static size_t choose_slots(const struct local *l)
{
    const struct conf *conf = l->command.conf;
    uint64_t task =
        l->job.map_memory > l->job.reduce_memory ? l->job.map_memory : l->job.reduce_memory;
    uint64_t fit = conf_size(conf, "worker.memory") / (task ? task : 1);
    uint64_t cores = (uint64_t)conf_int(conf, "worker.cores");
    uint64_t n = fit < cores ? fit : cores;
    return n < 1 ? 1 : n > POOL_MAX ? POOL_MAX : (size_t)n;
}

/* Further plugins of a chain come as side files with names of their own, in order. */
static int prepare_chain(struct local *l, struct err *err)
{
    struct job *job = &l->job;
    unsigned number = 1;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->command.side_count; i++) {
        const char *word = l->command.sides[i], *hash = strrchr(word, '#');
        struct task_probe next;
        char name[32];
        snprintf(name, sizeof(name), TASK_SIDE_CHAIN, number);
        if (!hash || strcmp(hash + 1, name) != 0)
            continue;
        const char *path = slice_text(slice_of(word, (size_t)(hash - word)), &job->arena);
        rc = path ? probe_in_child(path, &job->arena, &next, err) : no_memory(err);
        if (rc == 0)
            rc = task_probe_append(&job->probe, &next, &job->arena, err);
        number++;
    }
    return rc;
}

static int prepare_plugin(struct local *l, struct err *err)
{
    struct job *job = &l->job;
    job->plugin = inputs_absolute(&job->arena, l->command.plugin, err);
    if (!job->plugin)
        return err->code;
    if (access(job->plugin, R_OK) != 0)
        return err_errno(err, errno, "%s", l->command.plugin);
    int rc = probe_in_child(job->plugin, &job->arena, &job->probe, err);
    if (rc != 0)
        return rc;
    rc = prepare_chain(l, err);
    if (rc != 0)
        return rc;
    job->name = l->command.name ? l->command.name : slice_text(job->probe.name, &job->arena);
    rc = job->name ? 0 : no_memory(err);
    return rc == 0 ? command_job_conf(&l->command, &job->probe, &job->arena, &job->conf, err) : rc;
}

/* PATH#NAME, or PATH under its own last name. */
static int prepare_sides(struct local *l, struct err *err)
{
    struct job *job = &l->job;
    size_t count = l->command.side_count;
    struct task_side *sides = arena_calloc(&job->arena, count + 1, sizeof(*sides));
    for (size_t i = 0; sides && i < count; i++) {
        const char *word = l->command.sides[i], *hash = strrchr(word, '#');
        struct slice typed = slice_of(word, hash ? (size_t)(hash - word) : strlen(word));
        const char *path = slice_text(typed, &job->arena);
        const char *whole = path ? inputs_absolute(&job->arena, path, err) : NULL;
        if (!whole)
            return path ? err->code : no_memory(err);
        if (access(whole, R_OK) != 0)
            return err_errno(err, errno, "-file %s", path);
        const char *slash = strrchr(path, '/');
        const char *name = hash ? hash + 1 : slash ? slash + 1 : path;
        sides[i] = (struct task_side){.name = slice_str(name), .path = slice_str(whole)};
    }
    job->sides = (struct task_side_list){sides, count};
    return sides ? 0 : no_memory(err);
}

static int prepare_output(struct local *l, struct err *err)
{
    const char *out = inputs_absolute(&l->job.arena, l->command.output, err);
    if (!out)
        return err->code;
    int rc = publish_open(&l->publish, out, l->command.mode, &l->job.arena, err);
    l->job.mode = l->command.mode;
    l->job.stage = l->publish.stage;
    return rc;
}

static int find_rows(struct local *l, struct err *err)
{
    static const struct split_conf as_they_are;
    struct job *job = &l->job;
    char key[128];
    task_probe_rows_key(&job->probe, key, sizeof(key));
    struct slice text = task_probe_setting(&job->probe, &job->conf, key);
    struct split_file *rows = arena_calloc(&job->arena, 1, sizeof(*rows));
    if (!rows)
        return no_memory(err);
    if (l->command.input_count + l->command.named_count > 0)
        return err_set(err, ERR_USAGE, "%s makes its own input: PLUGIN OUTPUT are wanted",
                       job->name);
    uint64_t tasks = (uint64_t)conf_int(l->command.conf, "mapreduce.job.maps");
    if (splits_rows(text, tasks, rows) != 0)
        return err_set(err, ERR_CONFIG,
                       "%s = \"" SLICE_FMT "\" is no number of rows (1000, 10m, 2b)", key,
                       SLICE_ARG(text));
    l->inputs.files = rows;
    l->inputs.count = 1;
    l->inputs.bytes = rows->len;
    l->how = &as_they_are;
    return 0;
}

static int find_input(struct local *l, struct err *err)
{
    const struct command *c = &l->command;
    const struct input_words words = {c->inputs, c->input_count, c->named, c->named_count};
    struct input_paths paths;
    if (l->job.probe.has_rows)
        return find_rows(l, err);
    int rc = input_paths_sort_out(&l->job.probe, &words, &l->job.arena, &paths, err);
    if (rc == 0)
        rc = inputs_list(&l->inputs, &l->job.arena, &paths, c->conf, err);
    if (rc == 0)
        rc = find_how(l, err);
    return rc == 0 ? inputs_find_cuts(&l->inputs, l->how, err) : rc;
}

static int prepare(struct local *l, struct err *err)
{
    struct job *job = &l->job;
    const struct conf *conf = l->command.conf;
    int rc = prepare_plugin(l, err);
    if (rc == 0)
        rc = prepare_sides(l, err);
    if (rc == 0)
        rc = find_input(l, err);
    if (rc == 0)
        rc = prepare_output(l, err);
    if (rc == 0)
        rc = make_scratch(l, err);
    if (rc != 0)
        return rc;
    job->scratch = l->scratch;
    job->files = l->inputs.files;
    choose_reducers(l);
    job->map_memory = conf_size(conf, "mapreduce.map.memory.mb");
    job->reduce_memory = conf_size(conf, "mapreduce.reduce.memory.mb");
    job->max_attempts = choose_attempts(conf);
    job->cluster_ms = clock_wall_ms();
    job->output_memory = spare_memory();
    l->slots = choose_slots(l);
    if (splits_compute(l->inputs.files, l->inputs.count, l->how, &job->arena, &job->splits) != 0 ||
        job_plan(job) != 0)
        return no_memory(err);
    return sample_for_job(job, l->inputs.count, err);
}

/* --- running --------------------------------------------------------------------------------- */

/* A place for a map's output in memory, -1 when there is none to offer. */
static int offer_memory(struct local *l, struct job_task *task, uint64_t *ret_bytes)
{
    *ret_bytes = task->stage < l->job.shuffle_count ? job_output_memory(&l->job, l->slots) : 0;
    if (*ret_bytes == 0)
        return -1;
    int fd = memfd_create("quern-map-output", MFD_CLOEXEC);
    if (fd < 0)
        *ret_bytes = 0;
    return fd;
}

static void drop_memory(struct job_task *task)
{
    if (task->memfd >= 0)
        close(task->memfd);
    task->memfd = -1;
}

static void on_done(void *arg, void *what, const struct task_done *done)
{
    struct local *l = arg;
    struct job_task *task = what;
    int memfd = task->memfd;
    task->memfd = -1;
    (void)job_done(&l->job, task, done, memfd, &l->err); /* run_all looks at err */
}

static void on_failed(void *arg, void *what, const struct task_failed *failed)
{
    struct local *l = arg;
    drop_memory(what);
    job_failed(&l->job, what, failed);
}

static int start_task(struct local *l, struct job_task *task, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct task_run run;
    uint64_t offer = 0;
    struct pool_runner *runner = pool_idle(&l->pool, err);
    if (!runner)
        return err->code;
    task->memfd = offer_memory(l, task, &offer);
    task->is_running = true;
    if (job_describe(&l->job, task, offer, &arena, &run) != 0) {
        arena_release(&arena);
        return no_memory(err);
    }
    return pool_run(&l->pool, runner, task, &run, &arena, task->memfd, err);
}

static void show_progress(struct local *l)
{
    uint64_t now = clock_mono_ms(), bytes = 0;
    if (now - l->last_line_ms < (l->is_terminal ? WAIT_MS : LINE_MS))
        return;
    l->last_line_ms = now;
    for (size_t i = 0; i < l->job.stages[0].count; i++)
        bytes += l->job.stages[0].tasks[i].is_done ? l->job.stages[0].tasks[i].bytes : 0;
    for (size_t i = 0; i < l->pool.count; i++) {
        const struct pool_runner *r = &l->pool.runners[i];
        if (r->task && r->run.kind != TASK_REDUCE)
            bytes += r->page->bytes_in;
    }
    report_progress(stdout, &l->job, bytes < l->job.splits.bytes ? bytes : l->job.splits.bytes,
                    l->is_terminal);
}

static int run_all(struct local *l, struct err *err)
{
    struct pool_ops ops = {on_done, on_failed, l};
    uint64_t timeout = conf_ms(l->command.conf, "mapreduce.task.timeout");
    int rc = pool_open(&l->pool, l->slots, &ops, l->scratch, timeout, err);
    l->has_pool = rc == 0;
    while (rc == 0 && !job_is_over(&l->job) && !interrupted) {
        struct job_task *task;
        while (rc == 0 && l->pool.busy < l->pool.count && (task = job_next(&l->job)) != NULL)
            rc = start_task(l, task, err);
        if (rc == 0)
            rc = pool_wait(&l->pool, WAIT_MS, err);
        if (rc == 0 && l->err.code != 0) {
            *err = l->err;
            rc = err->code;
        }
        show_progress(l);
    }
    return rc;
}

/* A shell that has become this driver may have left it children of its own. */
static bool has_children(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

/* Everything in this thread: what a debugger stops in is the job's code, and nothing else runs. */
static int run_inprocess(struct local *l, struct err *err)
{
    static struct progress_page page;
    struct execution_process process = {.files_for = files_for};
    struct job_task *task;
    bool adopts = !has_children(); /* what there is at the end, the job has started */
    int rc = chdir(l->scratch) == 0 ? 0 : err_errno(err, errno, "cannot work in %s", l->scratch);
    if (adopts)
        strays_adopt();
    while (rc == 0 && !interrupted && (task = job_next(&l->job)) != NULL) {
        struct arena arena = ARENA_INIT;
        struct execution execution;
        struct task_run run;
        uint64_t offer = 0;
        memset(&page, 0, sizeof(page));
        task->memfd = offer_memory(l, task, &offer);
        if (job_describe(&l->job, task, offer, &arena, &run) != 0) {
            rc = no_memory(err);
        } else {
            struct execution_conf conf = {
                .run = &run, .page = &page, .memfd = task->memfd, .news_fd = -1};
            execution_run(&execution, &process, &conf);
            if (execution.is_done)
                on_done(l, task, &execution.done);
            else
                on_failed(l, task, &execution.failed);
            execution_release(&execution);
        }
        arena_release(&arena);
        if (rc == 0 && l->err.code != 0) {
            *err = l->err;
            rc = err->code;
        }
    }
    execution_process_release(&process);
    if (adopts)
        (void)strays_end(NULL, NULL, STRAYS_MS);
    return rc;
}

/* --- the whole ------------------------------------------------------------------------------- */

static void watch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt}; /* no SA_RESTART: poll shall wake up */
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void local_release(struct local *l)
{
    if (l->has_pool)
        pool_close(&l->pool);
    publish_close(&l->publish);
    if (l->scratch)
        (void)fsutil_remove_tree(disk_real(), l->scratch, NULL); /* in /tmp: nobody misses it */
    mem_free(l->scratch);
    job_release(&l->job);
    command_release(&l->command);
}

static int say(const struct err *err)
{
    fprintf(stderr, "quern run: %s\n", err->msg);
    return err->code == ERR_USAGE || err->code == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
}

static int run_job(struct local *l, uint64_t start_us, struct err *err)
{
    bool in_process = conf_bool(l->command.conf, "local.inprocess");
    report_begin(stdout, &l->job, l->inputs.count, l->inputs.bytes);
    l->last_line_ms = clock_mono_ms();
    int rc = in_process ? run_inprocess(l, err) : run_all(l, err);
    if (l->is_terminal && !in_process)
        fprintf(stdout, "\r\033[K");
    if (interrupted) {
        fprintf(stderr, "quern run: interrupted\n");
        return EXIT_INTERRUPTED;
    }
    if (rc != 0)
        return say(err);
    if (l->job.has_failed) {
        (void)fflush(stdout);
        report_failed(stderr, &l->job);
        return EXIT_FAILED;
    }
    char id[ID_TEXT_MAX];
    const struct task_file_list files = job_out_files(&l->job);
    if (publish_commit(&l->publish, &files, job_id(&l->job, id), err) != 0)
        return say(err);
    if (l->command.counters && report_counters(l->command.counters, &l->job, err) != 0)
        return say(err);
    report_done(stdout, &l->job, l->publish.out, clock_mono_us() - start_us, l->command.is_verbose);
    return 0;
}

int local_main(int argc, char **argv)
{
    uint64_t start_us = clock_mono_us();
    struct local l = {.is_terminal = isatty(1)};
    struct err err = {0};
    int rc = command_parse(&l.command, argc, argv, &err);
    if (rc != 0)
        return say(&err);
    watch_interrupts();
    rc = prepare(&l, &err);
    int code = rc != 0 ? say(&err) : run_job(&l, start_us, &err);
    local_release(&l);
    return code;
}
