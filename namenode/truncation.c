/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/truncation.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "namenode/journal/apply.h"
#include "namenode/namenode.h"

#define NODES_MAX 64 /* of one block */

static struct nn_block block_at(const struct namenode *nn, uint32_t block)
{
    return nn_blockmap_get(nn->blocks.map, block);
}

/* The slot of the file, if it is still there and being cut; else 0. */
static uint32_t file_of(const struct namenode *nn, const struct nn_prepared *prepared)
{
    if (!prepared || prepared->kind != NN_PREPARED_TRUNCATE)
        return 0;
    return nn_tree_find_id(&nn->state.tree, prepared->file);
}

/* ---- the end ---- */

static void end(struct namenode *nn, uint64_t file, uint32_t block)
{
    struct err err = {0};
    uint64_t answer[2];
    struct op_switch op = {
        .at_ms = clock_wall_ms(), .file_id = file, .block_id = block_at(nn, block).id};
    if (namenode_commit(nn, NN_OP_SWITCH, &op, answer, &err) != 0)
        log_warn("nn.truncate", "a truncation waits: %s", err.msg); /* until the next look */
}

void nn_truncation_ready(struct namenode *nn, uint32_t block)
{
    uint32_t slot = block_at(nn, block).file;
    uint64_t file = nn_inode(&nn->state.tree.store, slot)->id;
    const struct nn_prepared *prepared = nn_prepareds_find(&nn->state.prepared, file);
    if (file_of(nn, prepared) == slot && slot && prepared->block == block &&
        !nn_safemode_is_on(&nn->blocks.safemode))
        end(nn, file, block);
}

/* ---- orders ---- */

static bool has_replica(const struct namenode *nn, uint32_t block, uint32_t node)
{
    const struct nn_replica *r = nn_blockmap_replicas(nn->blocks.map, block);
    for (size_t i = 0; i < block_at(nn, block).replicas; i++)
        if (!nn_replica_is_bad(r[i]) &&
            nn_nodes_storage(&nn->blocks.nodes, nn_replica_storage(r[i]))->node == node)
            return true;
    return false;
}

/* Short of memory, or lost on the way: the next look orders it again. */
static void order(struct namenode *nn, uint32_t node, const struct nn_block *from,
                  const struct nn_block *to, bool is_first)
{
    struct nn_order *o = nn_orders_push(&nn->blocks.orders, NN_ORDER_CLONE, node, 0, 1);
    if (!o)
        return;
    o->block = (struct block_id){from->id, from->gs};
    o->len = from->len;
    o->blocks[0] = (struct block_id){to->id, to->gs};
    o->keep = to->len;
    if (is_first)
        nn_nodes_scheduled(&nn->blocks.nodes, node);
}

static void order_copies(struct namenode *nn, uint32_t slot, const struct nn_prepared *prepared)
{
    uint32_t nodes[NODES_MAX];
    bool is_corrupt = false;
    struct nn_cut cut;
    nn_apply_find_cut(&nn->state, slot, prepared->len, &cut);
    size_t count =
        nn_blocks_locate(&nn->blocks, cut.block, slice_of(NULL, 0), nodes, NODES_MAX, &is_corrupt);
    struct nn_block from = block_at(nn, cut.block), to = block_at(nn, prepared->block);
    for (size_t i = 0; i < count && !is_corrupt; i++)
        if (nn_nodes_get(&nn->blocks.nodes, nodes[i])->is_connected &&
            !has_replica(nn, prepared->block, nodes[i]))
            order(nn, nodes[i], &from, &to, prepared->after > 0);
}

/* ---- looking ---- */

static void look_at(struct namenode *nn, uint64_t file)
{
    struct nn_prepared *prepared = nn_prepareds_find(&nn->state.prepared, file);
    uint32_t slot = file_of(nn, prepared);
    if (!slot)
        return;
    if (prepared->after > nn->blocks.durable) /* a crash could take the block's id back */
        nn->has_truncation = true;
    else if (nn_blocks_is_ready(&nn->blocks, prepared->block))
        end(nn, file, prepared->block);
    else {
        order_copies(nn, slot, prepared);
        prepared->after = 0;
    }
}

void nn_truncation_look(struct namenode *nn, bool all)
{
    const struct hmap *files = &nn->state.prepared.files;
    nn->has_truncation = false;
    if (files->count == 0 || nn_safemode_is_on(&nn->blocks.safemode))
        return;
    size_t count = 0;
    uint64_t *ids = mem_calloc(files->count, sizeof(*ids)); /* without: at the next look */
    hmap_each (files, it) {
        const struct nn_prepared *prepared = CONTAINER_OF(it, struct nn_prepared, by_file);
        if (ids && (all || prepared->after > 0))
            ids[count++] = prepared->file;
    }
    for (size_t i = 0; i < count; i++)
        look_at(nn, ids[i]);
    mem_free(ids);
}
