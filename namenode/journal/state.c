/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/state.h"

#include "namenode/blocks/blocks.h"
#include "namenode/journal/apply.h"

int nn_state_init(struct nn_state *state, struct nn_blocks *blocks, struct slice superuser,
                  struct slice supergroup)
{
    *state = (struct nn_state){
        .blocks = blocks, .next_block_id = NN_FIRST_BLOCK_ID, .next_gs = NN_FIRST_GS};
    nn_leases_init(&state->leases);
    nn_answers_init(&state->answers);
    nn_jobs_init(&state->jobs);
    nn_prepareds_init(&state->prepared);
    return nn_tree_init(&state->tree, superuser, supergroup, 0755);
}

void nn_state_release(struct nn_state *state)
{
    nn_tree_release(&state->tree);
    nn_leases_release(&state->leases);
    nn_answers_release(&state->answers);
    nn_jobs_release(&state->jobs);
    nn_prepareds_release(&state->prepared);
}

struct reaping {
    struct nn_state *state;
    uint32_t blocks; /* freed so far */
};

/* A file of a deleted tree goes: so do its lease and its blocks, also one prepared for it. */
static void file_gone(void *arg, uint32_t slot)
{
    struct reaping *r = arg;
    const struct nn_inode *inode = nn_inode(&r->state->tree.store, slot);
    if (inode->is_open) {
        nn_leases_remove(&r->state->leases, inode->id);
        nn_apply_unprepare(r->state, inode->id);
    }
    uint32_t block = inode->first_block;
    while (block) {
        uint32_t next = nn_blockmap_get(r->state->blocks->map, block).next;
        nn_blocks_remove(r->state->blocks, block);
        block = next;
        r->blocks++;
    }
}

bool nn_state_reap(struct nn_state *state, uint32_t limit)
{
    struct reaping r = {.state = state};
    uint32_t inodes = 0;
    while (state->tree.doomed_count > 0 && inodes + r.blocks < limit) {
        uint32_t some = limit - inodes < 16 ? limit - inodes : 16;
        (void)nn_tree_reap(&state->tree, some, file_gone, &r);
        inodes += some;
    }
    return state->tree.doomed_count > 0;
}
