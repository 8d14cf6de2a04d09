/* SPDX-License-Identifier: Apache-2.0
 * quern diskbalancer: makes the data directories of one datanode equally full, as Hadoop's does.
 * The node plans by itself from step to step, so there is no file to carry from -plan to -execute:
 * both take the node. Exit codes: 0, 1 failed, 255 wrong words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/admin/session.h"
#include "client/command.h"
#include "client/fs/fs.h"
#include "client/help/asked.h"
#include "client/lib/handle.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/wire/chan.h"

#define EXIT_WORDS        255
#define DEFAULT_BANDWIDTH 10U /* MB/s */
#define DEFAULT_THRESHOLD 10U /* percent */
#define MB                (1024ULL * 1024)

struct wish {
    const char *what, *node;
    uint64_t bandwidth, threshold;
    bool is_verbose;
};

static int usage(FILE *out)
{
    fprintf(out,
            "Usage: %s diskbalancer [command] [options]\n"
            "\t-plan <node>\twhat would be moved between the node's data directories\n"
            "\t-execute <node>\tmove it\n"
            "\t-query <node>\thow far it is; -v: each directory\n"
            "\t-cancel <node>\tstop behind the block in hand\n"
            "\t-report\tevery live node and its directories\n"
            "Options:\n"
            "\t-bandwidth <MB/s>\tat most so many megabytes a second (default 10)\n"
            "\t-thresholdPercentage <percent>\tdirectories that differ from the node's average by "
            "less are left alone (default 10; 0 = as even as whole blocks can be)\n"
            "A node is a name, a host or host:port as `%s -report` shows them.\n",
            session_tool(), fs_is_hadoop() ? "hdfs dfsadmin" : "quern admin");
    return out == stdout ? 0 : EXIT_WORDS;
}

static int ask_node(const char *address, const struct data_level *ask, struct arena *arena,
                    struct data_leveling *ret, struct err *err)
{
    struct identity self;
    struct chan *chan = NULL;
    identity_init(&self, WIRE_TOOL, NULL);
    const struct chan_conf conf = {.address = address, .self = &self, .role = WIRE_DATANODE};
    int rc = chan_open(&conf, &chan, err);
    if (rc == 0)
        rc = chan_call(chan, &DATA_methods[DATA_AT_LEVEL], ask, arena, ret, 0, err);
    chan_close(chan);
    return rc;
}

/* ---- printing ---- */

static double share(uint64_t part, uint64_t rest)
{
    return part + rest > 0 ? (double)part / (double)(part + rest) : 0;
}

static void print_dirs(const struct data_leveling *r)
{
    for (size_t i = 0; i < r->dirs.n; i++) {
        const struct data_level_dir *d = &r->dirs.v[i];
        printf("[" SLICE_FMT ": volume-" SLICE_FMT "] - %.2f used: %" PRIu64 "/%" PRIu64
               ", %.2f free: %" PRIu64 "/%" PRIu64 ", isFailed: %s.\n",
               SLICE_ARG(d->media), SLICE_ARG(d->path), share(d->used, d->remaining), d->used,
               d->used + d->remaining, share(d->remaining, d->used), d->remaining,
               d->used + d->remaining, d->has_failed ? "True" : "False");
    }
}

static void print_query(const char *address, const struct data_leveling *r, bool is_verbose)
{
    const char *result = r->is_running        ? "PLAN_UNDER_PROGRESS"
                         : r->started_ms == 0 ? "NO_PLAN"
                         : r->was_cancelled   ? "PLAN_CANCELLED"
                                              : "PLAN_DONE";
    printf("Node: %s\nResult: %s\n", address, result);
    if (r->started_ms > 0)
        printf("Moved: %" PRIu64 " bytes in %" PRIu64 " blocks, %" PRIu64 " errors\n", r->bytes,
               r->blocks, r->errors);
    if (is_verbose)
        print_dirs(r);
}

static void print_plan(const char *address, const struct wish *wish, const struct data_leveling *r)
{
    if (r->bytes_left == 0)
        printf("No plan generated. DiskBalancing not needed for node: %s threshold used: %" PRIu64
               "\n",
               address, wish->threshold);
    else
        printf("Node: %s\nBytes to move: %" PRIu64 "\n", address, r->bytes_left);
    print_dirs(r);
}

/* ---- one node ---- */

static int run_on(const char *address, const struct wish *wish)
{
    struct arena arena = ARENA_INIT;
    struct data_leveling answer = {0};
    struct err err = {0};
    struct data_level ask = {.bytes_per_s = wish->bandwidth * MB,
                             .threshold = (uint32_t)wish->threshold};
    if (strcmp(wish->what, "execute") == 0)
        ask.action = DATA_LEVEL_EXECUTE;
    else if (strcmp(wish->what, "cancel") == 0)
        ask.action = DATA_LEVEL_CANCEL;
    int rc = ask_node(address, &ask, &arena, &answer, &err);
    if (rc != 0)
        session_fail("diskbalancer", 1, err.msg);
    else if (strcmp(wish->what, "plan") == 0)
        print_plan(address, wish, &answer);
    else if (strcmp(wish->what, "report") == 0)
        print_dirs(&answer);
    else
        print_query(address, &answer, wish->is_verbose);
    arena_release(&arena);
    return rc == 0 ? 0 : 1;
}

static bool is_meant(const struct msg_node *n, const char *address, const char *word)
{
    return slice_is(n->name, word) || slice_is(n->host, word) || strcmp(address, word) == 0;
}

static int run_nodes(struct session *session, const struct wish *wish)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_report report = {0};
    struct err err;
    const struct msg_void ask = {0};
    unsigned met = 0;
    int code = 0;
    if (session_connect(session, "diskbalancer") != 0)
        return 1;
    int rc = cl_ask(session->fs, CL2NN_AT_REPORT, &ask, &arena, &report, &err);
    for (size_t i = 0; rc == 0 && i < report.nodes.n; i++) {
        const struct msg_node *n = &report.nodes.v[i].node;
        char *address = str_printf(SLICE_FMT ":%u", SLICE_ARG(n->host), n->data_port);
        if (!address || !slice_is(report.nodes.v[i].state, "live") ||
            (wish->node && (met > 0 || !is_meant(n, address, wish->node)))) {
            mem_free(address);
            continue;
        }
        met++;
        if (!wish->node)
            printf("<%s[" SLICE_FMT "]>\n", address, SLICE_ARG(n->name));
        code |= run_on(address, wish);
        mem_free(address);
    }
    arena_release(&arena);
    if (rc != 0)
        return session_fail("diskbalancer", 1, err.msg);
    if (met > 0 || !wish->node)
        return code;
    fprintf(stderr, "diskbalancer: %s is no live datanode\n", wish->node);
    return 1;
}

/* ---- the words ---- */

static bool take_number(int argc, char **argv, int *i, uint64_t max, uint64_t *ret)
{
    return *i + 1 < argc && str_to_u64(argv[++*i], ret) == 0 && *ret <= max;
}

static bool take_words(int argc, char **argv, struct wish *wish)
{
    static const char *const commands[] = {"plan", "execute", "query", "cancel", "report"};
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i][0] == '-' ? argv[i] + 1 + (argv[i][1] == '-') : "";
        size_t c = 0;
        while (c < ARRAY_LEN(commands) && strcmp(word, commands[c]) != 0)
            c++;
        if (c < ARRAY_LEN(commands) && !wish->what) {
            wish->what = commands[c];
            if (strcmp(word, "report") != 0 && (i + 1 == argc || argv[++i][0] == '-'))
                return false;
            wish->node = strcmp(word, "report") != 0 ? argv[i] : NULL;
        } else if (strcmp(word, "v") == 0) {
            wish->is_verbose = true;
        } else if (!(strcmp(word, "bandwidth") == 0 &&
                     take_number(argc, argv, &i, 1000000, &wish->bandwidth)) &&
                   !(strcmp(word, "thresholdPercentage") == 0 &&
                     take_number(argc, argv, &i, 100, &wish->threshold))) {
            return false;
        }
    }
    return wish->what != NULL && wish->bandwidth > 0;
}

int cmd_diskbalancer(int argc, char **argv)
{
    struct session session;
    struct wish wish = {.bandwidth = DEFAULT_BANDWIDTH, .threshold = DEFAULT_THRESHOLD};
    int code = EXIT_WORDS;
    if (session_begin(&session, "quern diskbalancer", &argc, argv) == 0) {
        if (help_is_asked_in(argc, argv))
            code = usage(stdout);
        else
            code = take_words(argc, argv, &wish) ? run_nodes(&session, &wish) : usage(stderr);
    }
    session_end(&session);
    return fflush(stdout) == 0 ? code : 1;
}
