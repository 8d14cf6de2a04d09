/* SPDX-License-Identifier: Apache-2.0
 * fsck_block: all about one block, and the list of those that have no good replica. */
#include <inttypes.h>

#include "libcommon/base/str.h"
#include "namenode/serve/fsck.h"

/* Hadoop's words for a bad replica. */
static const char *reason_code(const struct nn_bad *bad)
{
    switch (bad ? bad->reason : NN_BAD_CHECKSUM) {
    case NN_BAD_STAMP:
    case NN_BAD_SUSPECT:
        return "GENSTAMP_MISMATCH";
    case NN_BAD_LENGTH:
        return "SIZE_MISMATCH";
    case NN_BAD_STATE:
    case NN_BAD_LAGGING:
        return "INVALID_STATE";
    case NN_BAD_CHECKSUM:
        break;
    }
    return "CORRUPTION_REPORTED";
}

static const char *status_of(const struct fsck *c, const struct nn_node *node)
{
    bool shows_rest = c->ask->flags & CL2NN_FSCK_MAINTENANCE;
    if (node->admin == NN_NODE_DECOMMISSIONED)
        return "is DECOMMISSIONED";
    if (node->admin == NN_NODE_DECOMMISSIONING)
        return "is DECOMMISSIONING";
    if (shows_rest && node->admin == NN_NODE_ENTERING_MAINTENANCE)
        return "is ENTERING MAINTENANCE";
    if (shows_rest && node->admin == NN_NODE_IN_MAINTENANCE)
        return "is IN MAINTENANCE";
    return node->state == NN_NODE_STALE ? "is STALE" : "is HEALTHY";
}

static void print_replicas(struct fsck *c, uint32_t index, const struct nn_block *b)
{
    struct nn_blocks *blocks = &c->turn->nn->blocks;
    const struct nn_replica *r = nn_blockmap_replicas(blocks->map, index);
    for (size_t i = 0; i < b->replicas; i++) {
        uint32_t storage = nn_replica_storage(r[i]);
        if (!fsck_is_listed(&blocks->nodes, storage))
            continue;
        const struct nn_node *node = nn_nodes_of(&blocks->nodes, storage);
        buf_printf(&c->text, "Block replica on datanode/rack: " SLICE_FMT SLICE_FMT " ",
                   SLICE_ARG(node->address.host), SLICE_ARG(node->address.rack));
        if (nn_replica_is_bad(r[i]))
            buf_printf(&c->text, "is CORRUPT\t ReasonCode: %s\n",
                       reason_code(nn_bads_find(&blocks->bads, index, storage)));
        else
            buf_printf(&c->text, "%s\n", status_of(c, node));
    }
}

static unsigned count_stale(const struct nn_blocks *blocks, uint32_t index,
                            const struct nn_block *b)
{
    const struct nn_replica *r = nn_blockmap_replicas(blocks->map, index);
    unsigned n = 0;
    for (size_t i = 0; i < b->replicas; i++) {
        uint32_t storage = nn_replica_storage(r[i]);
        n += nn_nodes_is_serving(&blocks->nodes, storage) &&
             !nn_nodes_storage(&blocks->nodes, storage)->is_reported;
    }
    return n;
}

/* "blk_" and digits; 0 is no block's id. */
static uint64_t parse_id(struct slice word)
{
    char digits[24];
    uint64_t id = 0;
    if (word.len < 5 || word.len - 4 >= sizeof(digits) || memcmp(word.data, "blk_", 4) != 0)
        return 0;
    memcpy(digits, word.data + 4, word.len - 4);
    digits[word.len - 4] = 0;
    return str_to_u64(digits, &id) == 0 ? id : 0;
}

static bool names_blocks(struct slice word)
{
    return memmem(word.data, word.len, "blk_", 4) != NULL;
}

void fsck_block(struct fsck *c, struct slice word)
{
    struct nn_blocks *blocks = &c->turn->nn->blocks;
    const struct nn_tree *tree = &c->turn->nn->state.tree;
    if (!names_blocks(word)) {
        buf_printf(&c->text, "Incorrect blockId format: " SLICE_FMT "\n", SLICE_ARG(word));
        return;
    }
    uint32_t index = nn_blockmap_find(blocks->map, parse_id(word));
    struct nn_block b = {0};
    if (index)
        b = nn_blockmap_get(blocks->map, index);
    if (!index || !nn_tree_is_attached(tree, b.file)) {
        buf_printf(&c->text, "\nBlock " SLICE_FMT " does not exist\n", SLICE_ARG(word));
        return;
    }
    struct nn_health h = nn_replicate_health(&blocks->replicate, index);
    buf_printf(&c->text, "\nBlock Id: " SLICE_FMT "\nBlock belongs to: ", SLICE_ARG(word));
    nn_tree_path(tree, b.file, &c->text);
    buf_printf(&c->text,
               "\nNo. of Expected Replica: %u\nNo. of live Replica: %u\nNo. of excess Replica: %u\n"
               "No. of stale Replica: %u\nNo. of decommissioned Replica: %u\n"
               "No. of decommissioning Replica: %u\n",
               b.want, h.staying, h.staying > b.want ? (unsigned)(h.staying - b.want) : 0U,
               count_stale(blocks, index, &b), h.left, (unsigned)(h.leaving - h.left));
    if (c->ask->flags & CL2NN_FSCK_MAINTENANCE)
        buf_printf(&c->text,
                   "No. of entering maintenance Replica: %u\nNo. of in maintenance Replica: %u\n",
                   h.entering, (unsigned)(h.resting - h.entering));
    buf_printf(&c->text, "No. of corrupted Replica: %u\n", h.bad);
    print_replicas(c, index, &b);
}

bool fsck_list_corrupt(struct fsck *c, uint32_t *next)
{
    struct nn_blocks *blocks = &c->turn->nn->blocks;
    const struct nn_tree *tree = &c->turn->nn->state.tree;
    const struct bitset *lost = &blocks->replicate.levels[NN_LEVELS - 1];
    uint32_t index = bitset_next(lost, *next);
    for (; index != BITSET_END && c->steps > 0; index = bitset_next(lost, index + 1), c->steps--) {
        struct nn_block b = nn_blockmap_get(blocks->map, index);
        if (!nn_tree_is_attached(tree, b.file))
            continue;
        buf_clear(&c->path);
        nn_tree_path(tree, b.file, &c->path);
        if (path_is_under(buf_slice(&c->path), c->ask->path))
            buf_printf(&c->text, "blk_%" PRIu64 "\t%u\t%s\n", b.id, b.want, buf_cstr(&c->path));
    }
    *next = index;
    return index == BITSET_END;
}
