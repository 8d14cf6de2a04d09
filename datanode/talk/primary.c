/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/primary.h"

#include <inttypes.h>

#include "datanode/storage/agree.h"
#include "libcommon/base/log.h"
#include "libcommon/proto/dn_nn/messages.h"

struct lead {
    const struct dn_primary *primary;
    struct chan *chans[DN_PRIMARY_NODES_MAX]; /* one per node, kept for both halves */
    struct dn_vote votes[DN_PRIMARY_NODES_MAX];
};

static int connect_to(struct lead *l, size_t i, struct err *err)
{
    char address[DN_PEER_TEXT_MAX];
    struct chan_conf conf = {.address =
                                 dn_peer_address(&l->primary->nodes.v[i], address, sizeof(address)),
                             .self = l->primary->self,
                             .role = WIRE_DATANODE,
                             .timeout_ms = (uint32_t)l->primary->timeout_ms};
    return chan_open(&conf, &l->chans[i], err);
}

static enum dn_replica_state state_of(uint32_t wire)
{
    return wire == DN2NN_FINALIZED ? DN_REPLICA_FINALIZED
           : wire == DN2NN_RWR     ? DN_REPLICA_RWR
                                   : DN_REPLICA_RBW;
}

static void ask_vote(struct lead *l, size_t i)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct data_replica answer = {0};
    struct data_recover_init ask = {.block = l->primary->block, .new_gs = l->primary->new_gs};
    struct dn_vote *vote = &l->votes[i];
    vote->code = connect_to(l, i, &err);
    if (vote->code == 0)
        vote->code = chan_call(l->chans[i], &DATA_methods[DATA_AT_RECOVER_INIT], &ask, &arena,
                               &answer, (uint32_t)l->primary->timeout_ms, &err);
    if (vote->code == 0) {
        vote->state = state_of(answer.state);
        vote->gs = answer.block.gs;
        vote->len = answer.block.len;
    } else {
        log_info("dn.primary", "blk_%" PRIu64 ": " SLICE_FMT " has no say: %s",
                 l->primary->block.id, SLICE_ARG(l->primary->nodes.v[i].name), err.msg);
    }
    arena_release(&arena);
}

static int ask_commit(struct lead *l, size_t i, uint64_t len)
{
    struct err err = {0};
    struct arena arena = ARENA_INIT;
    struct data_recover_commit ask = {
        .block = l->primary->block, .new_gs = l->primary->new_gs, .new_len = len};
    int rc = chan_call(l->chans[i], &DATA_methods[DATA_AT_RECOVER_COMMIT], &ask, &arena, NULL,
                       (uint32_t)l->primary->timeout_ms, &err);
    if (rc != 0)
        log_warn("dn.primary", "blk_%" PRIu64 ": " SLICE_FMT " is left out: %s",
                 l->primary->block.id, SLICE_ARG(l->primary->nodes.v[i].name), err.msg);
    arena_release(&arena);
    return rc;
}

static int settle(struct lead *l, struct dn_primary_result *ret, struct err *err)
{
    size_t count = l->primary->nodes.n;
    uint64_t len = 0;
    struct dn_agreeing block = {.gs = l->primary->block.gs, .flushed = l->primary->block.len};
    int rc = dn_agree(l->votes, count, &block, &len);
    if (rc == ERR_CORRUPT)
        return err_set(err, rc, "finalized replicas of different length");
    if (rc != 0)
        return err_set(err, rc, "no node that could be asked holds a byte");
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        if (!l->votes[i].takes_part)
            continue;
        any = true;
        if (ask_commit(l, i, len) == 0)
            ret->who[ret->count++] = i;
    }
    ret->len = len;
    if (any && ret->count == 0)
        return err_set(err, ERR_FAILED, "no node could take the agreed length");
    return 0;
}

int dn_primary_run(const struct dn_primary *primary, struct dn_primary_result *ret, struct err *err)
{
    struct lead lead = {.primary = primary};
    *ret = (struct dn_primary_result){0};
    if (primary->nodes.n == 0 || primary->nodes.n > DN_PRIMARY_NODES_MAX)
        return err_set(err, ERR_INVAL, "%zu nodes to ask", primary->nodes.n);
    for (size_t i = 0; i < primary->nodes.n; i++)
        ask_vote(&lead, i);
    int rc = settle(&lead, ret, err);
    for (size_t i = 0; i < primary->nodes.n; i++)
        chan_close(lead.chans[i]);
    return rc;
}
