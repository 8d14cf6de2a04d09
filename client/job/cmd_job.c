/* SPDX-License-Identifier: Apache-2.0
 * cmd_job: `quern job`: list, look at, wait for, kill jobs. One row per question. */
#include <inttypes.h>

#include "client/command.h"
#include "client/help/asked.h"
#include "client/job/account.h"
#include "client/job/again.h"
#include "client/job/attempts.h"
#include "client/job/counters.h"
#include "client/job/job.h"
#include "client/job/kit.h"
#include "client/job/verify.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/ids.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"

struct ask {
    struct chan *chan;
    struct arena arena;
    struct cl2jt_job id;
    char **words; /* behind the id */
    int word_count;
    bool all, json, gdb, record;
    const struct conf *conf;
    const char *task;
    struct err err;
};

static int failed(const struct ask *ask, int code)
{
    fprintf(stderr, "quern job: %s\n", ask->err.msg);
    return job_exit_of_error(code);
}

static void print_job(const struct cl2jt_status *job)
{
    char bytes[32], took[32];
    printf("%6" PRIu64 "  %-11s %-16.*s %-10.*s %10s %10s  " SLICE_FMT "\n", job->id.job,
           job_state_name(job->state), (int)job->name.len, (const char *)job->name.data,
           (int)job->user.len, (const char *)job->user.data,
           str_human(job->bytes, bytes, sizeof(bytes)),
           str_duration(job->elapsed_ms, took, sizeof(took)), SLICE_ARG(job->out));
}

static int print_json(struct ask *ask, const struct msg_desc *desc, const void *msg)
{
    int rc = msg_print_line(desc, msg, stdout);
    return rc == 0 ? 0 : failed(ask, err_set(&ask->err, rc, "out of memory"));
}

static int do_list(struct ask *ask)
{
    struct cl2jt_list question = {.all = ask->all};
    struct cl2jt_jobs jobs;
    int rc = jobtracker_ask(ask->chan, LIST, &question, &ask->arena, &jobs, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    if (ask->json)
        return print_json(ask, &cl2jt_jobs_desc, &jobs);
    printf("Total jobs:%zu\n", jobs.jobs.n);
    if (jobs.jobs.n)
        printf("%6s  %-11s %-16s %-10s %10s %10s  %s\n", "job", "state", "name", "user", "input",
               "elapsed", "output");
    for (size_t i = 0; i < jobs.jobs.n; i++)
        print_job(&jobs.jobs.v[i]);
    return 0;
}

static int show_status(struct ask *ask, void (*show)(FILE *out, const struct cl2jt_status *status))
{
    struct cl2jt_status status;
    int rc = jobtracker_ask(ask->chan, STATUS, &ask->id, &ask->arena, &status, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    if (ask->json)
        return print_json(ask, &cl2jt_status_desc, &status);
    show(stdout, &status);
    return 0;
}

/* With what its attempts recorded; a jobtracker of an earlier version does not tell. */
static int show_account(struct ask *ask, bool with_timeline)
{
    struct cl2jt_status status;
    struct cl2jt_attempts rows;
    struct err ignored = {0};
    int rc = jobtracker_ask(ask->chan, STATUS, &ask->id, &ask->arena, &status, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    job_show_status(stdout, &status);
    if (job_account_ask(ask->chan, &ask->id, &ask->arena, &rows, &ignored) == 0) {
        job_account_show(stdout, &status, &rows);
        if (with_timeline)
            job_account_timeline(stdout, &status, &rows);
    }
    return 0;
}

static int do_status(struct ask *ask)
{
    return ask->json ? show_status(ask, job_show_status) : show_account(ask, false);
}

static int do_why(struct ask *ask)
{
    return show_status(ask, job_show_why);
}

static int do_wait(struct ask *ask)
{
    struct cl2jt_status status;
    int code = job_watch(ask->chan, &ask->id, false, &ask->arena, &status, &ask->err);
    if (ask->err.code)
        return failed(ask, ask->err.code);
    if (code != JOB_EXIT_INTERRUPTED)
        job_show_end(status.state == CL2JT_SUCCEEDED ? stdout : stderr, &status);
    return code;
}

/* A job the jobtracker knows from its history only can no more be killed than one that just ended.
 */
static bool is_over(struct ask *ask)
{
    struct cl2jt_status status;
    struct err ignored = {0};
    return jobtracker_ask(ask->chan, STATUS, &ask->id, &ask->arena, &status, &ignored) == 0 &&
           job_has_ended(&status);
}

static int do_kill(struct ask *ask)
{
    struct cl2jt_kill question = {.id = ask->id};
    int rc = jobtracker_ask(ask->chan, KILL, &question, &ask->arena, NULL, &ask->err);
    if (rc == ERR_EXIST || (rc == ERR_NOENT && is_over(ask))) {
        printf("The job %" PRIu64 " is over already.\n", ask->id.job);
        return 0;
    }
    if (rc != 0)
        return failed(ask, rc);
    printf("Killed job %" PRIu64 "\n", ask->id.job);
    return 0;
}

static int stop(struct ask *ask, const char *word, bool fails)
{
    if (ask->word_count != 1) {
        fprintf(stderr, "quern job: -%s ATTEMPT: which attempt?\n", word);
        return JOB_EXIT_USAGE;
    }
    int rc = job_attempt_stop(ask->chan, ask->words[0], fails, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    printf("Killed task %s%s\n", ask->words[0], fails ? " by failing it" : "");
    return 0;
}

static int do_kill_task(struct ask *ask)
{
    return stop(ask, "kill-task", false);
}

static int do_fail_task(struct ask *ask)
{
    return stop(ask, "fail-task", true);
}

static int do_list_attempts(struct ask *ask)
{
    const char *kind = ask->word_count > 0 ? ask->words[0] : "";
    const char *state = ask->word_count > 1 ? ask->words[1] : "";
    int rc = job_attempts_list(ask->chan, &ask->id, kind, state, &ask->err);
    return rc == 0 ? 0 : failed(ask, rc);
}

static int do_config(struct ask *ask)
{
    if (ask->word_count != 1) {
        fprintf(stderr, "quern job: -config ID FILE: to which file?\n");
        return JOB_EXIT_USAGE;
    }
    int rc = job_settings_write(ask->chan, &ask->id, ask->words[0], &ask->err);
    return rc == 0 ? 0 : failed(ask, rc);
}

static int print_text(struct ask *ask, int rc, const struct cl2jt_text *text)
{
    if (rc != 0)
        return failed(ask, rc);
    fwrite(text->text.data, 1, text->text.len, stdout);
    if (text->text.len && text->text.data[text->text.len - 1] != '\n')
        putchar('\n');
    return 0;
}

static int do_history(struct ask *ask)
{
    struct cl2jt_text text;
    if (!ask->json)
        return show_account(ask, true);
    return print_text(
        ask, jobtracker_ask(ask->chan, HISTORY, &ask->id, &ask->arena, &text, &ask->err), &text);
}

static int do_logs(struct ask *ask)
{
    struct cl2jt_logs question = {
        .id = ask->id, .task = slice_str(ask->task ? ask->task : ""), .attempt = -1};
    struct cl2jt_text text;
    char last = '\n';
    for (;;) {
        int rc = jobtracker_ask(ask->chan, LOGS, &question, &ask->arena, &text, &ask->err);
        if (rc != 0)
            return failed(ask, rc);
        if (text.text.len == 0)
            break;
        fwrite(text.text.data, 1, text.text.len, stdout);
        last = (char)text.text.data[text.text.len - 1];
        question.offset += text.text.len;
        arena_reset(&ask->arena);
    }
    if (last != '\n')
        putchar('\n');
    if (question.offset == 0 && ask->task)
        fprintf(stderr, "quern job: %s of job %" PRIu64 " wrote nothing\n", ask->task, ask->id.job);
    else if (question.offset == 0)
        fprintf(stderr,
                "quern job: no attempt of job %" PRIu64 " failed (`quern job -logs %" PRIu64
                " -task m0` shows what a task wrote)\n",
                ask->id.job, ask->id.job);
    return 0;
}

/* The one for which the job failed; "" when there is none. */
static int find_failed_task(struct ask *ask, char *out, size_t cap)
{
    struct cl2jt_status status;
    int rc = jobtracker_ask(ask->chan, STATUS, &ask->id, &ask->arena, &status, &ask->err);
    const struct task_attempt *id = &status.failure.id;
    out[0] = 0;
    if (rc == 0 && status.state == CL2JT_FAILED && id->job && id->stage < status.stages.n)
        job_show_task(status.stages.v[id->stage].name, id->task, out, cap);
    return rc;
}

static int do_replay(struct ask *ask)
{
    char failed_one[16] = "";
    int rc = ask->task ? 0 : find_failed_task(ask, failed_one, sizeof(failed_one));
    const struct job_again what = {.id = ask->id,
                                   .task = ask->task ? ask->task : failed_one,
                                   .with_gdb = ask->gdb,
                                   .only_record = ask->record,
                                   .conf = ask->conf};
    if (rc != 0)
        return failed(ask, rc);
    if (!what.task[0]) {
        fprintf(stderr,
                "quern job: job %" PRIu64 " did not fail: say which of its tasks with -task (m12, "
                "r3; `quern job -logs %" PRIu64 "` names attempts that failed)\n",
                ask->id.job, ask->id.job);
        return JOB_EXIT_USAGE;
    }
    return failed(ask, job_again(ask->chan, &what, &ask->arena, &ask->err));
}

static int do_counter(struct ask *ask)
{
    struct cl2jt_status status;
    int rc = jobtracker_ask(ask->chan, STATUS, &ask->id, &ask->arena, &status, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    struct msg_counter_list counters;
    if (job_counters(&status, &ask->arena, &counters) != 0)
        return failed(ask, err_set(&ask->err, ERR_NOMEM, "out of memory"));
    if (ask->word_count == 0 && !ask->json) {
        job_show_counters(stdout, &counters);
        return 0;
    }
    for (size_t i = 0; ask->word_count == 0 && i < counters.n && rc == 0; i++)
        rc = print_json(ask, &msg_counter_desc, &counters.v[i]);
    if (ask->word_count == 0)
        return rc;
    if (ask->word_count != 2) {
        fprintf(stderr, "quern job: -counter ID GROUP NAME, or -counter ID for all\n");
        return JOB_EXIT_USAGE;
    }
    printf("%" PRIu64 "\n", job_counters_value(&counters, ask->words[0], ask->words[1]));
    return 0;
}

static int do_priority(struct ask *ask)
{
    static const char *const names[] = {"VERY_LOW", "LOW", "NORMAL", "HIGH", "VERY_HIGH"};
    struct cl2jt_set_priority question = {.id = ask->id, .priority = UINT32_MAX};
    for (uint32_t i = 0; ask->word_count == 1 && i < ARRAY_LEN(names); i++)
        if (strcmp(ask->words[0], names[i]) == 0)
            question.priority = i;
    if (question.priority == UINT32_MAX) {
        fprintf(stderr, "quern job: -set-priority ID VERY_LOW|LOW|NORMAL|HIGH|VERY_HIGH\n");
        return JOB_EXIT_USAGE;
    }
    int rc = jobtracker_ask(ask->chan, SET_PRIORITY, &question, &ask->arena, NULL, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    printf("Changed job priority.\n");
    return 0;
}

static void tell_excluded(const struct cl2jt_worker *w)
{
    if (w->excluded_ms == UINT64_MAX)
        printf(SLICE_FMT " gets no tasks: none of its local directories is usable (its log tells "
                         "what failed): mend one and start the worker again\n",
               SLICE_ARG(w->name));
    else if (w->excluded_ms)
        printf(SLICE_FMT " gets no tasks for another %" PRIu64
                         " s: those of several jobs failed there and then went well elsewhere "
                         "(its log tells how)\n",
               SLICE_ARG(w->name), w->excluded_ms / 1000 + 1);
}

static int do_workers(struct ask *ask)
{
    struct cl2jt_cluster c;
    char memory[32];
    int rc = jobtracker_ask(ask->chan, CLUSTER, NULL, &ask->arena, &c, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    if (ask->json)
        return print_json(ask, &cl2jt_cluster_desc, &c);
    printf("%-24s %-8s %9s %10s %9s  %s\n", "worker", "state", "cores", "memory", "failures",
           "rack");
    for (size_t i = 0; i < c.workers.n; i++) {
        const struct cl2jt_worker *w = &c.workers.v[i];
        printf("%-24.*s %-8.*s %4" PRIu32 "/%-4" PRIu32 " %10s %9" PRIu32 "  " SLICE_FMT "\n",
               (int)w->name.len, (const char *)w->name.data, (int)w->state.len,
               (const char *)w->state.data, w->cores_used, w->cores,
               str_human(w->memory, memory, sizeof(memory)), w->failures, SLICE_ARG(w->rack));
    }
    for (size_t i = 0; i < c.workers.n; i++)
        tell_excluded(&c.workers.v[i]);
    return 0;
}

static const struct row {
    const char *name, *args, *help;
    int (*run)(struct ask *ask); /* NULL: needs no jobtracker (verify) */
    bool needs_id;
    int more; /* words behind the id */
    bool knows_json;
} rows[] = {
    {"list", "[all]", "unfinished jobs; with `all` the finished ones too", do_list, false, 0, true},
    {"status", "ID", "how a job fares, its stages and counters", do_status, true, 0, true},
    {"wait", "ID", "watch a job to its end; exits as `quern run` would", do_wait, true},
    {"kill", "ID", "end a job; nothing of its output appears", do_kill, true},
    {"kill-task", "ATTEMPT", "end an attempt; its task runs again, with as many tries",
     do_kill_task, false, 1},
    {"fail-task", "ATTEMPT", "the same, and it has used up a try", do_fail_task, false, 1},
    {"list-attempt-ids", "ID KIND STATE", "of MAP or REDUCE: running, completed, failed or killed",
     do_list_attempts, true, 2},
    {"config", "ID FILE", "its settings as XML, to a file here or -", do_config, true, 1},
    {"history", "ID", "the same with a timeline; for programs every attempt of it", do_history,
     true, 0, true},
    {"logs", "ID [-task m12]", "what a task wrote; without -task the failed attempts' last words",
     do_logs, true},
    {"why", "ID", "what made it slow or fail: evidence, cost, what to do", do_why, true},
    {"replay", "ID [-task T]",
     "a failed task again, here, alone, without limits of memory and time; -record: its last "
     "record; -gdb",
     do_replay, true},
    {"counter", "ID [GROUP NAME]", "one counter's value, or all", do_counter, true, 2, true},
    {"set-priority", "ID PRIORITY", "VERY_LOW LOW NORMAL HIGH VERY_HIGH", do_priority, true, 1},
    {"workers", "", "who can run tasks", do_workers, false, 0, true},
    {"verify", "OUT", "read an output: is every byte what its manifest says?", NULL, false, 1},
};

static void print_help(FILE *out)
{
    fprintf(out, "usage: quern job -COMMAND ...\n\n");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int len = (int)strlen(rows[i].name), width = len > 13 ? 29 - len : 16;
        fprintf(out, "  -%-13s %-*s %s%s\n", rows[i].name, width, rows[i].args, rows[i].help,
                rows[i].knows_json ? " [--json]" : "");
    }
    fprintf(out, "\nID is a job's number (17) or its whole id (job_1700000000000_0017). --json "
                 "prints for programs.\n-conf FILE and -D key=value as everywhere.\n");
    kit_help(out);
}

static const struct row *find_row(const char *word)
{
    const char *name = word + (word[0] == '-') + (word[0] == '-' && word[1] == '-');
    const char *names[ARRAY_LEN(rows) + KIT_COMMANDS];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        names[i] = rows[i].name;
        if (strcmp(name, names[i]) == 0)
            return &rows[i];
    }
    kit_names(names + ARRAY_LEN(rows));
    const char *near = str_nearest(name, names, ARRAY_LEN(names));
    if (near)
        fprintf(stderr, "quern job: no command -%s (did you mean %s%s?)\n", name,
                kit_name(near) ? "" : "-", near);
    else
        fprintf(stderr, "quern job: no command -%s (`quern job -help` shows all)\n", name);
    return NULL;
}

static int take_id(struct ask *ask, const struct row *row)
{
    struct job_id id;
    if (ask->word_count == 0 || job_id_parse(ask->words[0], &id) != 0) {
        fprintf(stderr, "quern job: -%s %s: %s\n", row->name, row->args,
                ask->word_count ? "that is no job id" : "which job?");
        return JOB_EXIT_USAGE;
    }
    ask->id = (struct cl2jt_job){id.cluster_ms, id.number};
    ask->words++;
    ask->word_count--;
    return 0;
}

static int check_rest(const struct ask *ask, const struct row *row)
{
    if (ask->word_count <= row->more)
        return 0;
    fprintf(stderr, "quern job: -%s %s: takes no \"%s\"\n", row->name, row->args,
            ask->words[row->more]);
    return JOB_EXIT_USAGE;
}

static int verify(struct ask *ask, const struct row *row, const struct config_args *config)
{
    if (ask->word_count == 0) {
        fprintf(stderr, "quern job: -%s %s: which output?\n", row->name, row->args);
        return JOB_EXIT_USAGE;
    }
    int code = job_verify(ask->words[0], config, &ask->err);
    if (ask->err.code != 0)
        fprintf(stderr, "quern job: %s\n", ask->err.msg);
    return code;
}

static int connect_and_run(struct ask *ask, const struct row *row, const struct config_args *config)
{
    struct conf *conf = NULL;
    struct identity self;
    identity_init(&self, WIRE_CLIENT, NULL);
    int rc = config_open(config, &conf, NULL, &ask->err);
    if (rc == 0)
        rc = jobtracker_open(conf, &self, &ask->chan, &ask->err);
    ask->conf = conf;
    int code = rc == 0 ? row->run(ask) : failed(ask, rc);
    chan_close(ask->chan);
    conf_free(conf);
    return code;
}

/* Words that are no options gather at the front of argv, behind the command. */
static int take_options(struct ask *ask, struct config_args *config, int argc, char **argv)
{
    int words = 0;
    ask->words = argv + 1;
    for (int i = 1; i < argc; i++) {
        int taken = config_args_take(config, argc, argv, &i, &ask->err);
        const char *word = argv[i];
        if (taken < 0)
            return failed(ask, ERR_USAGE);
        if (taken)
            continue;
        if (strcmp(word, "-task") == 0 || strcmp(word, "--task") == 0) {
            if (i + 1 == argc) {
                err_set(&ask->err, ERR_USAGE, "-task needs a task, m12 or r3");
                return failed(ask, ERR_USAGE);
            }
            ask->task = argv[++i];
        } else if (strcmp(word, "-gdb") == 0 || strcmp(word, "--gdb") == 0) {
            ask->gdb = true;
        } else if (strcmp(word, "-record") == 0 || strcmp(word, "--record") == 0) {
            ask->record = true;
        } else if (strcmp(word, "-json") == 0 || strcmp(word, "--json") == 0) {
            ask->json = true;
        } else if (strcmp(word, "all") == 0 || strcmp(word, "-all") == 0 ||
                   strcmp(word, "--all") == 0) {
            ask->all = true;
        } else {
            argv[1 + words++] = argv[i];
        }
    }
    ask->word_count = words;
    return 0;
}

int cmd_job(int argc, char **argv)
{
    struct ask ask = {0};
    struct config_args config = CONFIG_ARGS_INIT;
    const char *kit = argc > 1 ? kit_name(argv[1]) : NULL;
    if (kit) {
        argv[1] = (char *)(uintptr_t)kit;
        return kit_main(argc - 1, argv + 1);
    }
    int code = take_options(&ask, &config, argc, argv);
    const char *word = ask.word_count ? ask.words[0] : "";
    if (code == 0 && !*word) {
        print_help(stderr);
        code = JOB_EXIT_USAGE;
    } else if (code == 0 && (help_is_asked(word) || strcmp(word, "help") == 0)) {
        print_help(stdout);
    } else if (code == 0) {
        const struct row *row = find_row(word);
        code = row ? 0 : JOB_EXIT_USAGE;
        ask.words++;
        ask.word_count--;
        if (row && row->needs_id)
            code = take_id(&ask, row);
        if (code == 0)
            code = check_rest(&ask, row);
        if (code == 0)
            code = (row->run ? connect_and_run : verify)(&ask, row, &config);
    }
    arena_release(&ask.arena);
    config_args_release(&config);
    return code;
}
