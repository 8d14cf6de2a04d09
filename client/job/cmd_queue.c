/* SPDX-License-Identifier: Apache-2.0
 * cmd_queue: `quern queue`: the queues of jobs, what each is to have and what it has. */
#include <inttypes.h>

#include "client/command.h"
#include "client/help/asked.h"
#include "client/job/job.h"
#include "client/talk/jobtracker.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"

struct ask {
    struct chan *chan;
    struct arena arena;
    const char *command, *name; /* "list" or "info", and of which */
    bool json, shows_jobs;
    struct err err;
};

static int failed(const struct ask *ask, int code)
{
    fprintf(stderr, "quern queue: %s\n", ask->err.msg);
    return job_exit_of_error(code);
}

static int usage(FILE *out, int code)
{
    fprintf(out,
            "usage: quern queue -list [--json]\n"
            "       quern queue -info NAME [-showJobs] [--json]\n\n"
            "  -list    all queues: weights and limits, what each should have of the cluster's\n"
            "           cores as things are now, what it has, and its jobs\n"
            "  -info    one of them; with -showJobs its unfinished jobs too\n\n"
            "Queues are configured for the jobtracker (`quern help jobtracker.queues`). A job\n"
            "chooses one with -D mapreduce.job.queuename=NAME, else it stands in `default`.\n");
    return code;
}

static const char *limits(const struct cl2jt_queue *q, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = 0;
    if (q->most_cores)
        n += (size_t)snprintf(out + n, cap - n, " cores=%" PRIu32, q->most_cores);
    if (q->most_percent)
        n += (size_t)snprintf(out + n, cap - n, " cores=%" PRIu32 "%%", q->most_percent);
    if (q->most_running)
        n += (size_t)snprintf(out + n, cap - n, " running=%" PRIu32, q->most_running);
    if (q->most_jobs)
        snprintf(out + n, cap - n, " jobs=%" PRIu32, q->most_jobs);
    return out[0] ? out + 1 : "none";
}

static void print_head(void)
{
    printf("%-16s %-8s %6s %6s %6s %6s %10s %8s %8s  %s\n", "queue", "state", "weight", "share",
           "cores", "due", "memory", "running", "waiting", "limits");
}

static void print_queue(const struct cl2jt_queue *q)
{
    char memory[32], text[128];
    printf("%-16.*s %-8.*s %6" PRIu32 " %5" PRIu32 "%% %6" PRIu32 " %6" PRIu32 " %10s %8" PRIu32
           " %8" PRIu32 "  %s\n",
           (int)q->name.len, (const char *)q->name.data, (int)q->state.len,
           (const char *)q->state.data, q->weight, q->share_percent, q->cores_used, q->fair_cores,
           str_human(q->memory_used, memory, sizeof(memory)), q->running, q->waiting,
           limits(q, text, sizeof(text)));
}

static int print_json(struct ask *ask, const struct msg_desc *desc, const void *msg)
{
    int rc = msg_print_line(desc, msg, stdout);
    return rc == 0 ? 0 : failed(ask, err_set(&ask->err, rc, "out of memory"));
}

static int show_jobs(struct ask *ask, const struct cl2jt_queue *queue)
{
    struct cl2jt_list question = {0};
    struct cl2jt_jobs jobs;
    int rc = jobtracker_ask(ask->chan, LIST, &question, &ask->arena, &jobs, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    for (size_t i = 0; i < jobs.jobs.n; i++) {
        const struct cl2jt_status *job = &jobs.jobs.v[i];
        if (slice_eq(job->queue, queue->name))
            printf("%6" PRIu64 "  %-11s " SLICE_FMT " of " SLICE_FMT "\n", job->id.job,
                   job_state_name(job->state), SLICE_ARG(job->name), SLICE_ARG(job->user));
    }
    return 0;
}

static int show_one(struct ask *ask, const struct cl2jt_queues *queues)
{
    for (size_t i = 0; i < queues->queues.n; i++) {
        const struct cl2jt_queue *queue = &queues->queues.v[i];
        if (!slice_is(queue->name, ask->name))
            continue;
        if (ask->json)
            return print_json(ask, &cl2jt_queue_desc, queue);
        print_head();
        print_queue(queue);
        return ask->shows_jobs ? show_jobs(ask, queue) : 0;
    }
    err_set(&ask->err, ERR_NOENT, "no queue \"%s\" (`quern queue -list` shows all)", ask->name);
    return failed(ask, ERR_NOENT);
}

static int show(struct ask *ask)
{
    struct cl2jt_queues queues;
    int rc = jobtracker_ask(ask->chan, QUEUES, NULL, &ask->arena, &queues, &ask->err);
    if (rc != 0)
        return failed(ask, rc);
    if (ask->name)
        return show_one(ask, &queues);
    if (ask->json)
        return print_json(ask, &cl2jt_queues_desc, &queues);
    print_head();
    for (size_t i = 0; i < queues.queues.n; i++)
        print_queue(&queues.queues.v[i]);
    return 0;
}

static int connect_and_show(struct ask *ask, const struct config_args *config)
{
    struct conf *conf = NULL;
    struct identity self;
    identity_init(&self, WIRE_CLIENT, NULL);
    int rc = config_open(config, &conf, NULL, &ask->err);
    if (rc == 0)
        rc = jobtracker_open(conf, &self, &ask->chan, &ask->err);
    int code = rc == 0 ? show(ask) : failed(ask, rc);
    chan_close(ask->chan);
    conf_free(conf);
    return code;
}

static bool is_word(const char *word, const char *name)
{
    word += word[0] == '-';
    word += word[0] == '-';
    return strcmp(word, name) == 0;
}

/* -1 = ask; else the exit code. */
static int take_words(struct ask *ask, struct config_args *config, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int taken = config_args_take(config, argc, argv, &i, &ask->err);
        if (taken < 0)
            return failed(ask, ERR_USAGE);
        if (taken)
            continue;
        if (is_word(argv[i], "json"))
            ask->json = true;
        else if (is_word(argv[i], "showJobs"))
            ask->shows_jobs = true;
        else if (!ask->command)
            ask->command = argv[i];
        else if (!ask->name && is_word(ask->command, "info"))
            ask->name = argv[i];
        else
            return usage(stderr, EXIT_USAGE);
    }
    if (ask->command && help_is_asked(ask->command))
        return usage(stdout, 0);
    bool is_known = ask->command &&
                    (is_word(ask->command, "list") || (is_word(ask->command, "info") && ask->name));
    return is_known ? -1 : usage(stderr, EXIT_USAGE);
}

int cmd_queue(int argc, char **argv)
{
    struct ask ask = {0};
    struct config_args config = CONFIG_ARGS_INIT;
    int code = take_words(&ask, &config, argc, argv);
    if (code < 0)
        code = connect_and_show(&ask, &config);
    arena_release(&ask.arena);
    config_args_release(&config);
    return code;
}
