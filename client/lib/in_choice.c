/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/handle.h"
#include "client/lib/stream_in_inside.h"
#include "libcommon/base/clock.h"

#define NODES_KNOWN 16U /* of one block, for the choice */

bool cl_in_is_bad(struct cl_in *in, const struct cl_block *block, const struct msg_node *node)
{
    uint64_t hash = slice_hash(node->name, 0);
    bool bad = false;
    mutex_lock(&in->lock);
    for (unsigned i = 0; !bad && i < IN_BAD_MAX; i++)
        bad = in->bad[i].block == block->id && in->bad[i].node == hash;
    mutex_unlock(&in->lock);
    return bad;
}

/* Its bytes are wrong: remember it, and tell the namenode, which will replace it. */
static void report_bad(struct cl_in *in, const struct cl_block *block, const struct msg_node *node)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_bad_block ask = {
        .block = {.id = block->id, .gs = block->gs, .len = block->len},
        .nodes = {&node->name, 1},
    };
    mutex_lock(&in->lock);
    in->bad[in->bad_at++ % IN_BAD_MAX] = (struct bad_replica){block->id, slice_hash(node->name, 0)};
    mutex_unlock(&in->lock);
    (void)cl_ask(in->fs, CL2NN_AT_BAD_BLOCK, &ask, &arena, NULL, NULL); /* readers go on anyway */
    arena_release(&arena);
}

/* Is it slow, and is there somebody else to be read from? */
static bool is_slow(struct cl_in *in, const struct cl_block *block, uint64_t node)
{
    struct qn_fs *fs = in->fs;
    uint64_t others[NODES_KNOWN];
    uint32_t count = 0;
    for (uint32_t i = 0; i < block->node_count && count < NODES_KNOWN; i++) {
        const struct msg_node *other = block->nodes[i];
        uint64_t hash = slice_hash(other->name, 0);
        if (hash != node && !cl_is_dead(fs, other->name) && !cl_in_is_bad(in, block, other))
            others[count++] = hash;
    }
    mutex_lock(&fs->lock);
    bool slow = cl_paces_is_slow(&fs->paces, &fs->slow, node, others, count, clock_mono_ms());
    mutex_unlock(&fs->lock);
    return slow;
}

enum in_rank cl_in_rank(struct cl_in *in, const struct cl_block *block, const struct msg_node *node)
{
    if (cl_is_dead(in->fs, node->name))
        return IN_DEAD;
    return is_slow(in, block, slice_hash(node->name, 0)) ? IN_SLOW : IN_WELL;
}

void cl_in_blame(struct cl_in *in, const struct cl_block *block, const struct msg_node *node,
                 int rc)
{
    if (rc == ERR_CHECKSUM)
        report_bad(in, block, node);
    else if (rc != ERR_BUSY)
        cl_mark_dead(in->fs, node->name);
}

bool cl_in_leaves(struct cl_in *in, const struct cl_block *block, struct cl_remote *remote)
{
    struct qn_fs *fs = in->fs;
    bool waited = remote->waited_us >= (uint64_t)fs->slow.window_ms * 1000;
    bool is_over = !remote->peer && remote->taken >= CL_PACES_UNIT;
    if (!waited && !is_over)
        return false;
    mutex_lock(&fs->lock);
    cl_paces_note(&fs->paces, remote->node, remote->taken, remote->waited_us, clock_mono_ms());
    mutex_unlock(&fs->lock);
    remote->taken = remote->waited_us = 0;
    return waited && is_slow(in, block, remote->node);
}
