/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/reconfig.h"

#include <stdio.h>
#include <time.h>

#include "client/lib/handle.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/wire/chan.h"

#define EXIT_UNKNOWN 255
#define LIVE_NODES   "livenodes"

struct node {
    const char *type, *address;
};

static bool is_node_type(const char *type)
{
    return strcmp(type, "namenode") == 0 || strcmp(type, "datanode") == 0;
}

static int ask_node(struct node node, uint32_t action, struct arena *arena,
                    struct msg_reconfigured *ret, struct err *err)
{
    bool is_namenode = strcmp(node.type, "namenode") == 0;
    struct identity self;
    struct chan *chan = NULL;
    const struct msg_reconfig ask = {.action = action};
    const struct msg_method *method =
        is_namenode ? &CL2NN_methods[CL2NN_AT_RECONFIG] : &DATA_methods[DATA_AT_RECONFIG];
    identity_init(&self, WIRE_TOOL, NULL);
    const struct chan_conf conf = {.address = node.address,
                                   .self = &self,
                                   .role = is_namenode ? WIRE_NAMENODE : WIRE_DATANODE};
    int rc = chan_open(&conf, &chan, err);
    if (rc == 0)
        rc = chan_call(chan, method, &ask, arena, ret, 0, err);
    chan_close(chan);
    return rc;
}

/* As Java writes a date: Sat Nov 21 10:30:00 UTC 2026. */
static void print_date(uint64_t wall_ms)
{
    char text[64];
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!localtime_r(&seconds, &tm) || strftime(text, sizeof(text), "%a %b %d %T %Z %Y", &tm) == 0)
        snprintf(text, sizeof(text), "?");
    printf("%s", text);
}

static void print_changes(const struct msg_reconfigured *r)
{
    for (size_t i = 0; i < r->changes.n; i++) {
        const struct msg_key_change *c = &r->changes.v[i];
        printf("%s property " SLICE_FMT "\n\tFrom: \"" SLICE_FMT "\"\n\tTo: \"" SLICE_FMT "\"\n",
               c->is_refused ? "FAILED: Change" : "SUCCESS: Changed", SLICE_ARG(c->key),
               SLICE_ARG(c->from), SLICE_ARG(c->to));
        if (c->is_refused)
            printf("\tError: " SLICE_FMT ".\n", SLICE_ARG(c->why));
    }
}

static void print_status(struct node node, const struct msg_reconfigured *r)
{
    printf("Reconfiguring status for node [%s]: ", node.address);
    if (r->started_ms == 0) {
        puts("no task was found.");
        return;
    }
    printf("started at ");
    print_date(r->started_ms);
    if (r->finished_ms == 0) {
        puts(" and is still running.");
        return;
    }
    printf(" and finished at ");
    print_date(r->finished_ms);
    puts(".");
    print_changes(r);
}

static void print_keys(struct node node, const struct msg_reconfigured *r)
{
    printf("Node [%s] Reconfigurable properties:\n", node.address);
    for (size_t i = 0; i < r->keys.n; i++)
        printf(SLICE_FMT "\n", SLICE_ARG(r->keys.v[i]));
}

/* One node; 0 or 1. */
static int run_one(struct node node, uint32_t action)
{
    static const char *const doing[] = {"reconfiguring", "reloading configuration",
                                        "reconfiguration"};
    struct arena arena = ARENA_INIT;
    struct msg_reconfigured answer = {0};
    struct err err = {0};
    int rc = ask_node(node, action, &arena, &answer, &err);
    fflush(stdout);
    if (rc != 0)
        fprintf(stderr, "Node [%s] %s: %.*s.\n", node.address, doing[action],
                (int)strcspn(err.msg, "\n"), err.msg);
    else if (action == MSG_RECONFIG_START)
        printf("Started reconfiguration task on node [%s].\n", node.address);
    else if (action == MSG_RECONFIG_STATUS)
        print_status(node, &answer);
    else
        print_keys(node, &answer);
    arena_release(&arena);
    return rc == 0 ? 0 : 1;
}

/* ---- all live datanodes ---- */

static int run_each(const struct cl2nn_report *report, uint32_t action)
{
    unsigned good = 0, bad = 0;
    for (size_t i = 0; i < report->nodes.n; i++) {
        const struct msg_node *n = &report->nodes.v[i].node;
        if (!slice_is(report->nodes.v[i].state, "live"))
            continue;
        char *address = str_printf(SLICE_FMT ":%u", SLICE_ARG(n->host), n->data_port);
        if (address && run_one((struct node){"datanode", address}, action) == 0)
            good++;
        else
            bad++;
        mem_free(address);
    }
    printf("%s successful on %u nodes, failed on %u nodes.\n",
           action == MSG_RECONFIG_START ? "Starting of reconfiguration task"
                                        : "Retrieval of reconfiguration status",
           good, bad);
    return bad == 0 ? 0 : 1;
}

static int run_live(struct session *session, const char *type, uint32_t action)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_report report = {0};
    struct err err;
    const struct msg_void ask = {0};
    if (strcmp(type, "datanode") != 0) {
        fprintf(stderr, "Only datanode type supports reconfiguration in bulk.\n");
        return 1;
    }
    if (session_connect(session, "reconfig") != 0)
        return 1;
    int rc = cl_ask(session->fs, CL2NN_AT_REPORT, &ask, &arena, &report, &err);
    rc = rc == 0 ? run_each(&report, action) : session_fail("reconfig", 1, err.msg);
    arena_release(&arena);
    return rc;
}

/* ---- the command ---- */

static bool has_port(const char *address)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    return colon && colon > address && str_to_u64(colon + 1, &port) == 0 && port < 65536;
}

int reconfig_run(struct session *session, int argc, char **argv, int usage)
{
    static const char *const words[] = {"start", "status", "properties"};
    uint32_t action = 0;
    if (argc != 4)
        return usage;
    struct node node = {argv[1], argv[2]};
    while (action < ARRAY_LEN(words) && strcmp(argv[3], words[action]) != 0)
        action++;
    if (action == ARRAY_LEN(words)) {
        fprintf(stderr, "Unknown operation: %s\n", argv[3]);
        return EXIT_UNKNOWN;
    }
    if (strcmp(node.address, LIVE_NODES) == 0 && action != MSG_RECONFIG_PROPERTIES)
        return run_live(session, node.type, action);
    if (!is_node_type(node.type)) {
        fprintf(stderr, "Node type %s does not support reconfiguration.\n", node.type);
        return 1;
    }
    if (!has_port(node.address)) {
        fprintf(stderr, "reconfig: Does not contain a valid host:port authority: %s\n",
                node.address);
        return usage;
    }
    return run_one(node, action);
}
