/* SPDX-License-Identifier: Apache-2.0
 * nn_append: a client changes a file it closed before: writes on at its end, cuts it, joins another
 * to it. Whatever dies on the way, an appended file keeps what it had, a cut one has its old length
 * or the new one, and of two that are joined either both are there or one with the bytes of both.
 */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/nn_world.h"

#define CUT_POLL_MS 400

static uint64_t below(struct cl_sim *cl, uint64_t n)
{
    return rand_below(&cl->w->sim->rand, n);
}

static struct cl_entry *entry_of(struct cl_sim *cl)
{
    return &cl->entries[cl->entry];
}

/* ---- append ---- */

static void switched(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0)
        cl_give_up(cl, "the blocks were not exchanged");
    else
        cl_write_on(cl);
}

static void copied(struct cl_sim *cl)
{
    if (cl->failed) {
        cl_give_up(cl, "a node cannot begin with a copy");
        return;
    }
    struct nn_msg *msg = nn_msg_new(CL_SWITCH);
    msg->file_id = cl->file_id;
    msg->block = cl->block;
    msg->previous = cl->base;
    msg->node_count = cl->pipeline_count;
    memcpy(msg->nodes, cl->pipeline, sizeof(msg->nodes));
    cl_ask(cl, msg, switched);
}

static void begin_with_copy(struct cl_sim *cl, const struct nn_msg *answer)
{
    cl->block = answer->block;
    cl->base = answer->previous;
    cl->pipeline_count = answer->node_count;
    memcpy(cl->pipeline, answer->nodes, sizeof(cl->pipeline));
    cl->fresh.block_count--;
    cl->fresh.len -= cl->block.len;
    cl->want_len = cl->block.len + 1 + below(cl, BLOCK_SIZE - cl->block.len);
    cl->dn_ask = nn_msg_new(CL_OPEN);
    cl->dn_ask->block = cl->block;
    cl->dn_ask->previous = cl->base;
    cl->dns_said = copied;
    cl_write_timeout(cl); /* asks them */
}

static void append_opened(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot append");
        return;
    }
    cl->file_id = answer->values[0];
    if (answer->block.id && answer->node_count == 0)
        cl_give_up(cl, "nobody holds the last block");
    else if (answer->block.id)
        begin_with_copy(cl, answer);
    else
        cl_write_next(cl);
}

void cl_append_start(struct cl_sim *cl)
{
    struct cl_entry *e = entry_of(cl);
    cl->other = cl->entry;
    if (e->len > 0 && e->block_count == 0) { /* a former life's: its blocks are not known */
        cl_op_done(cl);
        return;
    }
    struct nn_msg *msg = nn_msg_new(CL_APPEND);
    e->is_busy = true;
    cl->is_writing = true;
    cl->file_id = 0;
    cl->failures = cl->exclude_count = 0;
    cl->fresh = *e;
    cl->fresh.base = e->len;
    cl->want_blocks = e->block_count + (uint32_t)below(cl, BLOCKS_MAX - e->block_count + 1);
    if (cl->want_blocks < 1)
        cl->want_blocks = 1;
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, append_opened);
}

/* ---- truncate ---- */

static void look_at_cut(struct cl_sim *cl);

static void is_cut(struct cl_sim *cl, const struct nn_msg *answer)
{
    struct cl_entry *e = entry_of(cl);
    if (answer->code != 0) {
        sim_fail(cl->w->sim, "/c%u/f%u vanished while it was cut", cl->number, cl->entry);
        return;
    }
    if (answer->flag) {
        cl_rest(cl, CUT_POLL_MS, look_at_cut);
        return;
    }
    if (answer->new_len != cl->want_len)
        sim_fail(cl->w->sim, "/c%u/f%u was cut from %llu to %llu bytes and has %llu", cl->number,
                 cl->entry, (unsigned long long)e->len, (unsigned long long)cl->want_len,
                 (unsigned long long)answer->new_len);
    e->len = cl->want_len;
    e->block_count = 0;
    cl_op_done(cl);
}

static void look_at_cut(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_STAT);
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, is_cut);
}

static void cut_taken(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0)
        cl_give_up(cl, "cannot truncate");
    else
        look_at_cut(cl);
}

void cl_truncate_start(struct cl_sim *cl)
{
    struct cl_entry *e = entry_of(cl);
    cl->other = cl->entry;
    if (e->len == 0) {
        cl_op_done(cl);
        return;
    }
    struct nn_msg *msg = nn_msg_new(CL_TRUNCATE);
    e->is_busy = true;
    cl->want_len = below(cl, 4) == 0 ? e->len / BLOCK_SIZE * BLOCK_SIZE : below(cl, e->len);
    if (cl->want_len == e->len)
        cl->want_len = 0;
    msg->new_len = cl->want_len;
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, cut_taken);
}

/* ---- concat ---- */

static void joined(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot join");
        return;
    }
    entry_of(cl)->len += cl->entries[cl->other].len;
    entry_of(cl)->block_count = 0;
    cl->entries[cl->other] = (struct cl_entry){.state = CL_ABSENT};
    cl_op_done(cl);
}

/* The source must not want fewer replicas than it gets (nn_check_deletion). */
void cl_concat_start(struct cl_sim *cl)
{
    const struct cl_entry *e = entry_of(cl);
    cl->other = (cl->entry + 1 + (uint32_t)below(cl, FILES - 1)) % FILES;
    const struct cl_entry *source = &cl->entries[cl->other];
    if (source->state != CL_CLOSED || source->len == 0 || source->replication < e->replication ||
        e->len > 4 * BLOCKS_MAX * BLOCK_SIZE) {
        cl->other = cl->entry;
        cl_op_done(cl);
        return;
    }
    struct nn_msg *msg = nn_msg_new(CL_CONCAT);
    cl->entries[cl->entry].is_busy = cl->entries[cl->other].is_busy = true;
    cl_path(cl, cl->entry, msg->path);
    cl_path(cl, cl->other, msg->to);
    cl_ask(cl, msg, joined);
}
