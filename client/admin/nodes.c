/* SPDX-License-Identifier: Apache-2.0
 * datanodes: what is asked of one of them, at its data port (what Hadoop calls its ipc port: there
 * is one port here), and of all of them by way of the namenode. */
#include <inttypes.h>

#include "client/admin/commands.h"
#include "client/admin/sizes.h"
#include "client/fs/grammar.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/wire/chan.h"

/* ---- all of them ---- */

int admin_refresh_nodes(struct session *session, int argc, char **argv)
{
    const struct msg_void ask = {0};
    struct arena arena = ARENA_INIT;
    (void)argc;
    int rc = admin_ask(session, argv[0], CL2NN_AT_REFRESH_NODES, &ask, &arena, NULL);
    arena_release(&arena);
    if (rc == 0)
        puts("Refresh nodes successful");
    return rc;
}

int admin_set_bandwidth(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct err err = {0};
    int64_t value = 0;
    (void)argc;
    int rc = admin_size(argv[1], &value, &err);
    if (rc == ERR_INVAL)
        return session_fail("NumberFormatException", ADMIN_USAGE, err.msg);
    if (rc != 0)
        return session_fail(argv[0], ADMIN_USAGE, err.msg);
    if (value < 0) {
        fprintf(stderr, "Bandwidth should be a non-negative integer\n");
        return ADMIN_FAILED;
    }
    const struct cl2nn_bandwidth ask = {(uint64_t)value};
    rc = session_connect(session, argv[0]) == 0
             ? cl_ask(session->fs, CL2NN_AT_SET_BANDWIDTH, &ask, &arena, NULL, &err)
             : ADMIN_FAILED;
    arena_release(&arena);
    if (rc == 0) {
        printf("Balancer bandwidth is set to %" PRId64 "\n", value);
        return 0;
    }
    if (rc < 0) {
        fprintf(stderr, "Balancer bandwidth is set failed.\n");
        session_fail(argv[0], 0, err.msg);
    }
    return ADMIN_FAILED;
}

/* ---- one of them ---- */

static bool has_port(const char *address)
{
    const char *colon = strrchr(address, ':');
    uint64_t port;
    return colon && colon > address && str_to_u64(colon + 1, &port) == 0 && port < 65536;
}

static int ask_node(struct session *session, const char *address, uint32_t action,
                    struct arena *arena, struct data_managed *ret, struct err *err)
{
    struct identity self;
    struct chan *chan = NULL;
    const struct data_manage ask = {.action = action};
    (void)session;
    identity_init(&self, WIRE_TOOL, NULL);
    const struct chan_conf conf = {.address = address, .self = &self, .role = WIRE_DATANODE};
    int rc = chan_open(&conf, &chan, err);
    if (rc == 0)
        rc = chan_call(chan, &DATA_methods[DATA_AT_MANAGE], &ask, arena, ret, 0, err);
    chan_close(chan);
    return rc;
}

/* Who is not let in hears that; else Hadoop's line for a datanode that cannot be asked. */
static int fail_node(const char *what, int rc, const struct err *err)
{
    char line[ERR_MSG_MAX + 32];
    if (rc == ERR_ACCESS)
        return session_fail(what, ADMIN_FAILED, err->msg);
    snprintf(line, sizeof(line), "Datanode unreachable. %s", err->msg);
    return session_fail(what, ADMIN_FAILED, line);
}

static int with_node(struct session *session, char **argv, uint32_t action, struct arena *arena,
                     struct data_managed *ret)
{
    struct err err = {0};
    char line[300];
    if (!has_port(argv[1])) {
        snprintf(line, sizeof(line), "Does not contain a valid host:port authority: %s", argv[1]);
        return session_fail(argv[0], ADMIN_USAGE, line);
    }
    int rc = ask_node(session, argv[1], action, arena, ret, &err);
    return rc == 0 ? 0 : fail_node(argv[0], rc, &err);
}

int admin_get_bandwidth(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct data_managed answer = {0};
    (void)argc;
    int rc = with_node(session, argv, DATA_MANAGE_INFO, &arena, &answer);
    if (rc == 0)
        printf("Balancer bandwidth is %" PRIu64 " bytes per second.\n", answer.copy_bytes_per_s);
    arena_release(&arena);
    return rc;
}

int admin_node_info(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct data_managed answer = {0};
    (void)argc;
    int rc = with_node(session, argv, DATA_MANAGE_INFO, &arena, &answer);
    if (rc == 0)
        printf("Uptime: %" PRIu64 ", Software version: " SLICE_FMT
               ", Config version: core-3.0.0,hdfs-1\n",
               answer.uptime_s, SLICE_ARG(answer.version));
    arena_release(&arena);
    return rc;
}

static void put_size(const char *label, uint64_t bytes)
{
    char human[32];
    printf("%s: %" PRIu64 "(%s)\n", label, bytes, str_human_report(bytes, human, sizeof(human)));
}

int admin_volumes(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct data_managed answer = {0};
    size_t active = 0;
    (void)argc;
    int rc = with_node(session, argv, DATA_MANAGE_VOLUMES, &arena, &answer);
    if (rc == 0 && session->is_json) {
        if (msg_print_line(&data_managed_desc, &answer, stdout) != 0)
            rc = session_fail(argv[0], ADMIN_FAILED, err_text(ERR_NOMEM));
        arena_release(&arena);
        return rc;
    }
    for (size_t i = 0; i < answer.volumes.n; i++)
        active += !answer.volumes.v[i].has_failed;
    if (rc == 0)
        printf("Active Volumes : %zu\n", active);
    for (size_t i = 0; rc == 0 && i < answer.volumes.n; i++) {
        const struct data_volume *v = &answer.volumes.v[i];
        if (v->has_failed)
            continue;
        printf("\nDirectory: " SLICE_FMT "\nStorageType: DISK\n", SLICE_ARG(v->path));
        put_size("Capacity Used", v->used);
        put_size("Capacity Left", v->remaining);
        put_size("Capacity Reserved", v->reserved);
        put_size("Reserved Space for Replicas", v->promised);
        printf("Blocks: %" PRIu64 "\n", v->blocks);
    }
    arena_release(&arena);
    return rc;
}

int admin_evict(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct data_managed answer = {0};
    (void)argc;
    int rc = with_node(session, argv, DATA_MANAGE_EVICT_WRITERS, &arena, &answer);
    if (rc == 0)
        printf("Requested writer eviction to datanode %s\n", argv[1]);
    arena_release(&arena);
    return rc;
}

int admin_shutdown(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct data_managed answer = {0};
    /* "upgrade" asks writers to wait for it; ours go on with the other datanodes of the pipeline.
     */
    if (argc == 3 && strcmp(argv[2], "upgrade") != 0)
        return ADMIN_USAGE;
    int rc = with_node(session, argv, DATA_MANAGE_SHUTDOWN, &arena, &answer);
    if (rc == 0)
        printf("Submitted a shutdown request to datanode %s\n", argv[1]);
    arena_release(&arena);
    return rc;
}

/* [-incremental] HOST:PORT [-namenode HOST:PORT]: an odd one, whose own complaints end with 1. */
/* Takes the word out of argv wherever it stands: as Hadoop, which lets options follow the node. */
static bool take_word(const char *word, int *argc, char **argv)
{
    for (int i = 1; i < *argc; i++)
        if (strcmp(argv[i], word) == 0) {
            memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof(*argv));
            --*argc;
            return true;
        }
    return false;
}

int admin_trigger_report(struct session *session, int argc, char **argv)
{
    const char *namenode = fs_pop_option("namenode", &argc, argv);
    bool is_changes = take_word("-incremental", &argc, argv);
    int at = 1;
    while (at < argc && argv[at][0] == '-')
        at++;
    if (at == argc) {
        fprintf(stderr, "You must specify a host:port pair.\n");
        return 1;
    }
    char *words[] = {argv[0], argv[at]};
    if (argc > 2) {
        fprintf(stderr, "Can't understand arguments:");
        for (int i = 1; i < argc; i++)
            if (i != at)
                fprintf(stderr, " %s", argv[i]);
        fputc('\n', stderr);
        return 1;
    }
    struct arena arena = ARENA_INIT;
    struct data_managed answer = {0};
    int rc = with_node(session, words, is_changes ? DATA_MANAGE_REPORT_CHANGES : DATA_MANAGE_REPORT,
                       &arena, &answer);
    arena_release(&arena);
    if (rc == ADMIN_FAILED)
        return 1;
    if (rc == 0)
        printf("Triggering %s block report on %s%s%s.\n", is_changes ? "an incremental" : "a full",
               words[1], namenode ? " to namenode " : "", namenode ? namenode : "");
    return rc;
}
