/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/many_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct nn_blocks blocks;
struct nn_state state;

void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, err_text(rc));
    exit(1);
}

void many_begin(const char *superuser)
{
    static const struct nn_blocks_hooks hooks;
    struct nn_blocks_conf conf;
    nn_blocks_conf_init(&conf);
    must(nn_blocks_init(&blocks, &conf, &hooks, 1, 0), "start");
    must(nn_state_init(&state, &blocks, slice_str(superuser), slice_str("supergroup")), "start");
}

static struct nn_birth birth_of(bool is_dir)
{
    return (struct nn_birth){.id = state.tree.next_id,
                             .is_dir = is_dir,
                             .mode = 0755,
                             .owner = slice_str("alice"),
                             .group = slice_str("users"),
                             .now_ms = 1,
                             .replication = 1,
                             .block_size = 128U << 20};
}

uint32_t many_dir(uint32_t parent, const char *name)
{
    struct nn_birth birth = birth_of(true);
    uint32_t dir = 0;
    must(nn_tree_add(&state.tree, parent, slice_str(name), &birth, &dir), "mkdir");
    return dir;
}

static void add_block(uint32_t slot)
{
    uint64_t id = state.next_block_id++;
    uint32_t block = 0;
    struct nn_block b = {
        .id = id, .gs = 1, .len = 1000, .file = slot, .want = 1, .state = NN_BLOCK_COMPLETE};
    must(nn_blocks_add(&blocks, &b, 0, &block), "add block");
    must(nn_blockmap_put_replica(blocks.map, block,
                                 (struct nn_replica){(uint32_t)(1 + (id - NN_FIRST_BLOCK_ID) % 3)}),
         "replica");
    nn_inode(&state.tree.store, slot)->first_block = block;
    nn_inode(&state.tree.store, slot)->last_block = block;
    nn_inode(&state.tree.store, slot)->block_count = 1;
    nn_tree_set_len(&state.tree, slot, b.len);
}

void many_make(uint32_t parent, uint32_t files)
{
    char name[16];
    uint32_t dir = 0, slot = 0;
    for (uint32_t i = 0; i < files; i++) {
        if (i % MANY_PER_DIR == 0) {
            snprintf(name, sizeof(name), "dir-%08u", i / MANY_PER_DIR);
            dir = many_dir(parent, name);
        }
        struct nn_birth birth = birth_of(false);
        snprintf(name, sizeof(name), "part-%07u", i);
        must(nn_tree_add(&state.tree, dir, slice_str(name), &birth, &slot), "create");
        add_block(slot);
    }
}
