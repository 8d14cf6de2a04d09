/* SPDX-License-Identifier: Apache-2.0
 * nn_write: a client writes a file: create, and for each block: a pipeline, a few packets, perhaps
 * a flush, finalize; then close. A member of a pipeline that fails is left behind under a new
 * stamp. */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/nn_world.h"

#define DN_WAIT_MS   900
#define FAILURES_MAX 6

static uint64_t below(struct cl_sim *cl, uint64_t n)
{
    return rand_below(&cl->w->sim->rand, n);
}

/* ---- asking the pipeline ---- */

static void ask_dns(struct cl_sim *cl, enum nn_msg_kind kind, void (*said)(struct cl_sim *cl))
{
    struct nn_msg *msg = nn_msg_new(kind);
    msg->block = cl->block;
    cl->dn_ask = msg;
    cl->dns_said = said;
}

/* Send what is prepared in dn_ask; or, when it was sent, take silence for failure. */
void cl_write_timeout(struct cl_sim *cl)
{
    if (cl->step != CL_ASKING_DNS) {
        cl->step = CL_ASKING_DNS;
        cl->act_ms = cl->w->sim->now_ms + DN_WAIT_MS;
        cl->answered = cl->failed = 0;
        cl->dn_ask->call = ++cl->next_call;
        for (uint32_t i = 0; i < cl->pipeline_count; i++)
            sim_cast(&cl->host, &cl->w->dns[cl->pipeline[i] - 1].host,
                     cl->dn_ask->head.copy(&cl->dn_ask->head));
        return;
    }
    mem_free(cl->dn_ask);
    cl->dn_ask = NULL;
    cl->step = CL_IDLE;
    cl->failed |= ((1ULL << cl->pipeline_count) - 1) & ~cl->answered;
    cl->dns_said(cl);
}

void cl_write_on_answer(struct cl_sim *cl, uint32_t number, const struct nn_msg *answer)
{
    if (cl->step != CL_ASKING_DNS || answer->call != cl->dn_ask->call)
        return;
    for (uint32_t i = 0; i < cl->pipeline_count; i++) {
        if (cl->pipeline[i] != number || cl->answered >> i & 1)
            continue;
        cl->answered |= 1ULL << i;
        if (answer->code == ERR_CHECKSUM || (answer->code != 0 && cl->is_writing))
            cl->failed |= 1ULL << i;
    }
    if (cl->answered == (1ULL << cl->pipeline_count) - 1)
        cl_write_timeout(cl);
}

/* Only those that did not fail stay. What the others have will be stale: it saves no flush. */
static void keep_good(struct cl_sim *cl)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < cl->pipeline_count; i++)
        if (!(cl->failed >> i & 1))
            cl->pipeline[kept++] = cl->pipeline[i];
        else
            cl->fresh.flush.is_member[cl->pipeline[i]] = false;
    cl->pipeline_count = kept;
}

/* ---- a pipeline lost a member
 * -------------------------------------------------------------------- */

static void pipeline_updated(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "the new pipeline was not taken");
        return;
    }
    cl->block.gs = cl->new_gs;
    cl_write_on(cl);
}

static void go_on_without(struct cl_sim *cl);

/* A stamp is good for those who took it at once: a member that failed may take it later, with what
 * it had then, and would pass for one of them. So the others go on under yet another one. */
static void resumed(struct cl_sim *cl)
{
    struct nn_msg *msg = NULL;
    if (cl->failed) {
        go_on_without(cl);
        return;
    }
    msg = nn_msg_new(CL_PIPELINE);
    msg->file_id = cl->file_id;
    msg->block = cl->block;
    msg->new_gs = cl->new_gs;
    msg->new_len = cl->block.len;
    msg->node_count = cl->pipeline_count;
    memcpy(msg->nodes, cl->pipeline, sizeof(msg->nodes));
    cl_ask(cl, msg, pipeline_updated);
}

static void stamped(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "no new stamp");
        return;
    }
    cl->new_gs = answer->values[0];
    ask_dns(cl, CL_RESUME, resumed);
    cl->dn_ask->new_gs = cl->new_gs;
    cl->dn_ask->new_len = cl->block.len;
    cl_write_timeout(cl);
}

/* With those that are left (all of them may be asked: a silent one may have been slow only). */
static void go_on_without(struct cl_sim *cl)
{
    struct nn_msg *msg = NULL;
    if (++cl->failures > FAILURES_MAX || (cl->answered & ~cl->failed) == 0) {
        cl_give_up(cl, "the pipeline is gone");
        return;
    }
    keep_good(cl);
    msg = nn_msg_new(CL_STAMP);
    msg->file_id = cl->file_id;
    msg->block = cl->block;
    cl_ask(cl, msg, stamped);
}

/* ---- the end of a file
 * --------------------------------------------------------------------------- */

static void completed(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot close");
        return;
    }
    cl->fresh.state = CL_CLOSED;
    cl->fresh.flushed = 0;
    cl->entries[cl->entry] = cl->fresh;
    cl->writes_done++;
    cl_op_done(cl);
}

static void complete(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_COMPLETE);
    msg->file_id = cl->file_id;
    if (cl->fresh.block_count)
        msg->block = cl->fresh.blocks[cl->fresh.block_count - 1];
    cl_ask(cl, msg, completed);
}

/* ---- blocks
 * --------------------------------------------------------------------------------------- */

static uint32_t enough(const struct cl_sim *cl)
{
    return cl->fresh.replication < 2 ? 1 : 2;
}

static void all_finalized(struct cl_sim *cl)
{
    if (cl->pipeline_count - (uint32_t)__builtin_popcountll(cl->failed) < enough(cl) &&
        cl->failed) {
        go_on_without(cl);
        return;
    }
    cl->fresh.blocks[cl->fresh.block_count++] = cl->block;
    cl->fresh.len += cl->block.len;
    cl_write_next(cl);
}

static void finalize(struct cl_sim *cl)
{
    ask_dns(cl, CL_FINALIZE, all_finalized);
    cl->dn_ask->new_len = cl->block.len;
    cl_write_timeout(cl);
}

static void flush_noted(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0)
        cl_give_up(cl, "the flush was not noted");
    else
        cl_write_on(cl);
}

static void note_flush(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_FLUSHED);
    cl->fresh.flushed = cl->fresh.len + cl->block.len;
    cl->fresh.flush = cl->sent;
    msg->file_id = cl->file_id;
    msg->block = cl->block;
    cl_ask(cl, msg, flush_noted);
}

static void packet_acked(struct cl_sim *cl)
{
    if (cl->failed) {
        go_on_without(cl);
        return;
    }
    cl->block.len = cl->sent_len;
    if (below(cl, 4) == 0)
        note_flush(cl);
    else
        cl_write_on(cl);
}

/* Before the part is sent: who loses something from now on may lose it. */
static void note_members(struct cl_sim *cl)
{
    cl->sent = (struct cl_flush){0};
    for (uint32_t i = 0; i < cl->pipeline_count; i++) {
        uint32_t number = cl->pipeline[i];
        cl->sent.is_member[number] = true;
        cl->sent.losses[number] = cl->w->dns[number - 1].losses;
    }
}

/* Another part of the block, or its end. */
void cl_write_on(struct cl_sim *cl)
{
    uint64_t left = cl->want_len - cl->block.len;
    if (left == 0) {
        finalize(cl);
        return;
    }
    uint64_t part = below(cl, 3) == 0 ? left : 1 + below(cl, left);
    note_members(cl);
    ask_dns(cl, CL_WRITE, packet_acked);
    cl->dn_ask->new_len = cl->sent_len = cl->block.len + part;
    cl->dn_ask->flag = below(cl, 4) == 0;
    cl_write_timeout(cl);
}

static void abandoned(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0)
        cl_give_up(cl, "cannot abandon a block");
    else
        cl_write_next(cl);
}

static void abandon(struct cl_sim *cl)
{
    struct nn_msg *msg = NULL;
    if (++cl->failures > FAILURES_MAX) {
        cl_give_up(cl, "no pipeline");
        return;
    }
    msg = nn_msg_new(CL_ABANDON);
    msg->file_id = cl->file_id;
    msg->block = cl->block;
    cl_ask(cl, msg, abandoned);
}

static void opened(struct cl_sim *cl)
{
    for (uint32_t i = 0; i < cl->pipeline_count; i++)
        if (cl->failed >> i & 1 && cl->exclude_count < NODES_MAX)
            cl->exclude[cl->exclude_count++] = cl->pipeline[i];
    if (cl->failed)
        abandon(cl);
    else
        cl_write_on(cl);
}

static void block_added(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0 || answer->block.id == 0) {
        cl_give_up(cl, "no block");
        return;
    }
    cl->block = answer->block;
    cl->pipeline_count = answer->node_count;
    memcpy(cl->pipeline, answer->nodes, sizeof(cl->pipeline));
    bool is_last = cl->fresh.block_count + 1 == cl->want_blocks;
    cl->want_len = is_last ? 1 + below(cl, BLOCK_SIZE) : BLOCK_SIZE;
    if (cl->pipeline_count == 0) {
        abandon(cl); /* a namenode that was started anew does not remember whom it chose */
        return;
    }
    ask_dns(cl, CL_OPEN, opened);
    cl_write_timeout(cl);
}

void cl_write_next(struct cl_sim *cl)
{
    struct nn_msg *msg = NULL;
    if (cl->fresh.block_count == cl->want_blocks) {
        complete(cl);
        return;
    }
    msg = nn_msg_new(CL_ADD_BLOCK);
    msg->file_id = cl->file_id;
    if (cl->fresh.block_count)
        msg->previous = cl->fresh.blocks[cl->fresh.block_count - 1];
    msg->node_count = cl->exclude_count;
    memcpy(msg->nodes, cl->exclude, sizeof(msg->nodes));
    cl_ask(cl, msg, block_added);
}

static void created(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot create");
        return;
    }
    cl->file_id = answer->values[0];
    cl_write_next(cl);
}

void cl_write_start(struct cl_sim *cl, bool overwrite)
{
    struct nn_msg *msg = nn_msg_new(CL_CREATE);
    cl->other = cl->entry;
    cl->entries[cl->entry].is_busy = true;
    cl->is_writing = true;
    cl->file_id = 0;
    cl->failures = cl->exclude_count = 0;
    cl->want_blocks = (uint32_t)below(cl, BLOCKS_MAX + 1);
    cl->fresh = (struct cl_entry){.replication = 1 + (uint32_t)below(cl, cl->w->replication)};
    msg->replication = cl->fresh.replication;
    msg->flag = overwrite;
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, created);
}
