/* SPDX-License-Identifier: Apache-2.0 */
#include "client/up/serving.h"

#include <poll.h>

#include "libcommon/base/clock.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/chan.h"

#define POLL_MS 5
#define CALL_MS 2000

struct probe {
    const struct up_layout *layout;
    bool may_rest;
    struct identity self;
    struct chan *namenode, *jobtracker; /* NULL = not connected yet */
    bool is_in_vain;                    /* what is missing will not come by waiting */
    struct err rest;                    /* code 0, or the safe mode that is no obstacle */
};

static int connect_to(struct probe *probe, struct up_daemon daemon, enum wire_role role,
                      struct chan **chan, struct err *err)
{
    char address[64];
    if (*chan)
        return 0;
    snprintf(address, sizeof(address), "127.0.0.1:%u", up_daemon_port(probe->layout, daemon));
    const struct chan_conf conf = {
        .address = address, .self = &probe->self, .role = role, .timeout_ms = CALL_MS};
    return chan_open(&conf, chan, err);
}

/* The namenode's own reason. */
static int ask_why(struct probe *probe, struct arena *arena, struct err *err)
{
    const struct cl2nn_safemode ask = {.action = CL2NN_SAFEMODE_GET};
    struct cl2nn_safemode_state state;
    int rc = chan_call(probe->namenode, &CL2NN_methods[CL2NN_AT_SAFEMODE], &ask, arena, &state,
                       CALL_MS, err);
    if (rc != 0 || !state.is_on)
        return rc;
    struct err *why = state.is_lasting && probe->may_rest ? &probe->rest : err;
    probe->is_in_vain = state.is_lasting && !probe->may_rest;
    rc = err_set(why, ERR_RETRY, "the namenode is in safe mode: " SLICE_FMT, SLICE_ARG(state.why));
    return why == err ? rc : 0;
}

static int ask_namenode(struct probe *probe, struct arena *arena, struct err *err)
{
    struct cl2nn_report report;
    unsigned live = 0;
    int rc =
        connect_to(probe, (struct up_daemon){UP_NAMENODE, 0}, WIRE_NAMENODE, &probe->namenode, err);
    if (rc == 0)
        rc = chan_call(probe->namenode, &CL2NN_methods[CL2NN_AT_REPORT], &(struct msg_void){0},
                       arena, &report, CALL_MS, err);
    if (rc != 0)
        return rc;
    struct err asleep = {0};
    probe->rest = (struct err){0};
    rc = report.safemode ? ask_why(probe, arena, &asleep) : 0;
    for (size_t i = 0; i < report.nodes.n; i++)
        live += slice_is(report.nodes.v[i].state, "live");
    if (live < probe->layout->datanodes && !probe->is_in_vain)
        return err_set(err, ERR_RETRY, "%u of %u datanodes have registered", live,
                       probe->layout->datanodes);
    return rc == 0 ? 0 : err_set(err, rc, "%s", asleep.msg);
}

static int ask_jobtracker(struct probe *probe, struct arena *arena, struct err *err)
{
    struct cl2jt_cluster cluster;
    int rc = connect_to(probe, (struct up_daemon){UP_JOBTRACKER, 0}, WIRE_JOBTRACKER,
                        &probe->jobtracker, err);
    if (rc == 0)
        rc = chan_call(probe->jobtracker, &CL2JT_methods[CL2JT_AT_CLUSTER], &(struct msg_void){0},
                       arena, &cluster, CALL_MS, err);
    if (rc != 0)
        return rc;
    unsigned live = 0;
    for (size_t i = 0; i < cluster.workers.n; i++)
        live += !slice_is(cluster.workers.v[i].state, "lost");
    if (live < probe->layout->workers)
        return err_set(err, ERR_RETRY, "%u of %u workers have registered", live,
                       probe->layout->workers);
    return 0;
}

static int ask_both(struct probe *probe, struct err *err)
{
    struct arena arena = ARENA_INIT;
    int rc = ask_namenode(probe, &arena, err);
    if (rc == 0)
        rc = ask_jobtracker(probe, &arena, err);
    arena_release(&arena);
    return rc;
}

int up_wait_serving(const struct up_awaited *awaited, struct err *ret_rest, struct err *err)
{
    struct probe probe = {.layout = awaited->layout, .may_rest = awaited->may_rest};
    struct err missing = {0};
    int rc;
    identity_init(&probe.self, WIRE_TOOL, NULL);
    while ((rc = ask_both(&probe, &missing)) != 0) {
        int died = awaited->check(awaited->arg, err);
        if (died != 0) {
            rc = died;
            break;
        }
        if (probe.is_in_vain) {
            rc = err_set(err, ERR_RETRY, "does not serve: %s", missing.msg);
            break;
        }
        if (clock_mono_ms() >= awaited->deadline_ms) {
            rc = err_set(err, ERR_TIMEOUT, "does not serve in time: %s", missing.msg);
            break;
        }
        poll(NULL, 0, POLL_MS);
    }
    chan_close(probe.namenode);
    chan_close(probe.jobtracker);
    if (rc == 0)
        *ret_rest = probe.rest;
    return rc;
}
