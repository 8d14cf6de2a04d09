/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/placement.h"

#include "libcommon/base/mem.h"

#define NOT_FOUND 0u
#define SHOWN_MAX 8 /* nodes whose reason an error message tells */
#define TRIES     4 /* random draws before looking at every node in turn */

const char *nn_refusal_text(enum nn_refusal refusal)
{
    static const char *const texts[] = {
        [NN_REFUSAL_NONE] = "usable",
        [NN_REFUSAL_DEAD] = "dead",
        [NN_REFUSAL_NOT_CONNECTED] = "not connected",
        [NN_REFUSAL_STALE] = "stale",
        [NN_REFUSAL_LEAVING] = "being decommissioned or in maintenance",
        [NN_REFUSAL_EXCLUDED] = "excluded by the client",
        [NN_REFUSAL_HAS_IT] = "has the block already",
        [NN_REFUSAL_FULL] = "not enough space",
        [NN_REFUSAL_COPYING] = "receiving enough copies already",
        [NN_REFUSAL_BUSY] = "too busy",
        [NN_REFUSAL_RACK_FULL] = "its rack has enough replicas",
    };
    return (size_t)refusal < ARRAY_LEN(texts) ? texts[refusal] : "?";
}

/* ---- what one node is worth ---- */

static bool is_excluded(const struct nn_place_ask *ask, struct slice name)
{
    for (size_t i = 0; i < ask->exclude_count; i++)
        if (slice_eq(ask->exclude[i], name))
            return true;
    return false;
}

static bool is_among(const uint32_t *nodes, size_t count, uint32_t node)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

/* Blocks promised to the node take room that its last heartbeat does not know of. */
static bool has_room(const struct nn_nodes *nodes, const struct nn_node *node, uint64_t size)
{
    struct nn_space space = nn_nodes_space(nodes, node);
    uint64_t promised = (uint64_t)(node->scheduled + node->scheduled_last) * size;
    return space.largest_remaining >= size && space.remaining >= promised + size;
}

static bool is_busy(const struct nn_nodes *nodes, const struct nn_node *node)
{
    if (!nodes->conf->consider_load || nodes->living == 0)
        return false;
    double average = (double)nodes->xceivers / nodes->living;
    return (double)node->xceivers > nodes->conf->load_factor * average + 1.0;
}

enum nn_refusal nn_place_refusal(const struct nn_nodes *nodes, const struct nn_place_ask *ask,
                                 const struct nn_node *node)
{
    if (node->state == NN_NODE_DEAD)
        return NN_REFUSAL_DEAD;
    if (!node->is_connected)
        return NN_REFUSAL_NOT_CONNECTED;
    if (!nn_nodes_is_usable(nodes, node))
        return NN_REFUSAL_STALE;
    if (node->admin != NN_NODE_NORMAL)
        return NN_REFUSAL_LEAVING;
    if (is_excluded(ask, node->address.name))
        return NN_REFUSAL_EXCLUDED;
    if (is_among(ask->have, ask->have_count, node->index) ||
        is_among(ask->also, ask->also_count, node->index))
        return NN_REFUSAL_HAS_IT;
    if (!has_room(nodes, node, ask->block_size))
        return NN_REFUSAL_FULL;
    if (ask->is_copy && node->copies_in >= ask->copy_limit)
        return NN_REFUSAL_COPYING;
    if (is_busy(nodes, node))
        return NN_REFUSAL_BUSY;
    return NN_REFUSAL_NONE;
}

/* ---- choosing ---- */

struct choice {
    const struct nn_nodes *nodes;
    const struct nn_place_ask *ask;
    struct rand *rand;
    struct nn_placed *out;
    uint32_t per_rack; /* most replicas on one rack */
    bool mind_load;    /* refuse busy nodes */
};

/* Replicas, old and newly placed, on this rack. */
static uint32_t on_rack(const struct choice *c, uint32_t rack)
{
    uint32_t n = 0;
    for (size_t i = 0; i < c->ask->have_count; i++)
        n += nn_nodes_get(c->nodes, c->ask->have[i])->rack == rack;
    for (size_t i = 0; i < c->out->count; i++)
        n += nn_nodes_get(c->nodes, c->out->nodes[i])->rack == rack;
    return n;
}

static enum nn_refusal refusal(const struct choice *c, const struct nn_node *node)
{
    enum nn_refusal r = nn_place_refusal(c->nodes, c->ask, node);
    if (r == NN_REFUSAL_BUSY && !c->mind_load)
        r = NN_REFUSAL_NONE;
    if (r == NN_REFUSAL_NONE && is_among(c->out->nodes, c->out->count, node->index))
        r = NN_REFUSAL_HAS_IT;
    if (r == NN_REFUSAL_NONE && on_rack(c, node->rack) >= c->per_rack)
        r = NN_REFUSAL_RACK_FULL;
    return r;
}

static bool take(struct choice *c, uint32_t node)
{
    if (refusal(c, nn_nodes_get(c->nodes, node)) != NN_REFUSAL_NONE)
        return false;
    c->out->nodes[c->out->count++] = node;
    return true;
}

/* Any acceptable node of `list` (indices; NULL = every node) that is not on rack `not_rack`: a few
 * draws, then all from a random start, so that a nearly full cluster costs one walk. */
static bool take_from(struct choice *c, const uint32_t *list, size_t count, uint32_t not_rack)
{
    if (count == 0)
        return false;
    uint32_t start = (uint32_t)rand_below(c->rand, count);
    for (size_t i = 0; i < count + TRIES; i++) {
        size_t at = i < TRIES ? (size_t)rand_below(c->rand, count) : (start + i) % count;
        uint32_t node = list ? list[at] : (uint32_t)at + 1;
        if (nn_nodes_get(c->nodes, node)->rack != not_rack && take(c, node))
            return true;
    }
    return false;
}

#define ANY_RACK UINT32_MAX

static bool take_any(struct choice *c)
{
    return take_from(c, NULL, c->nodes->node_count, ANY_RACK);
}
static bool take_on_rack(struct choice *c, uint32_t rack)
{
    const struct nn_rack *r = &c->nodes->racks[rack];
    return take_from(c, r->nodes, r->count, ANY_RACK) || take_any(c);
}
static bool take_off_rack(struct choice *c, uint32_t rack)
{
    if (c->nodes->racks[rack].in_service == c->nodes->in_service)
        return take_any(c);
    return take_from(c, NULL, c->nodes->node_count, rack) || take_any(c);
}

static uint32_t rack_of(const struct choice *c, uint32_t node)
{
    return nn_nodes_get(c->nodes, node)->rack;
}

/* The n-th replica counted from 0 over those it has and those just placed. */
static uint32_t nth(const struct choice *c, size_t n)
{
    return n < c->ask->have_count ? c->ask->have[n] : c->out->nodes[n - c->ask->have_count];
}

static bool take_first(struct choice *c)
{
    const struct nn_node *writer =
        c->ask->writer.len ? nn_nodes_find(c->nodes, c->ask->writer) : NULL;
    if (!writer)
        return take_any(c);
    return take(c, writer->index) || take_on_rack(c, writer->rack);
}

static bool take_next(struct choice *c)
{
    size_t n = c->ask->have_count + c->out->count;
    if (n == 0)
        return take_first(c);
    if (n == 1)
        return take_off_rack(c, rack_of(c, nth(c, 0)));
    if (n > 2)
        return take_any(c);
    uint32_t first = rack_of(c, nth(c, 0)), second = rack_of(c, nth(c, 1));
    if (first == second)
        return take_off_rack(c, first);
    return take_on_rack(c, c->ask->is_copy ? first : second);
}

static uint32_t count_excluded(const struct nn_nodes *nodes, const struct nn_place_ask *ask)
{
    uint32_t n = 0;
    for (size_t i = 0; i < ask->exclude_count; i++) {
        const struct nn_node *node = nn_nodes_find(nodes, ask->exclude[i]);
        n += node && node->state != NN_NODE_DEAD;
    }
    return n;
}

/* First with every rule, then without the load, then without the cap per rack: a busy node or a
 * crowded rack is better than a replica that is not there. */
void nn_place(const struct nn_nodes *nodes, const struct nn_place_ask *ask, struct rand *rand,
              struct nn_placed *ret)
{
    uint32_t racks = nn_nodes_racks(nodes);
    uint32_t total = ask->count + (uint32_t)ask->have_count;
    uint32_t cap = racks > 1 && total > 1 ? (total - 1) / racks + 2 : UINT32_MAX;
    uint32_t want = ask->count < NN_PLACE_MAX ? ask->count : NN_PLACE_MAX;
    struct choice c = {nodes, ask, rand, ret, cap, true};
    ret->count = 0;
    ret->excluded = count_excluded(nodes, ask);
    for (unsigned round = 0; round < 3 && ret->count < want; round++) {
        c.mind_load = round == 0;
        c.per_rack = round < 2 ? cap : UINT32_MAX;
        while (ret->count < want && take_next(&c))
            continue;
    }
}

int nn_place_error(const struct nn_nodes *nodes, const struct nn_place_ask *ask, struct slice path,
                   const struct nn_placed *placed, struct err *err)
{
    struct buf why = BUF_INIT;
    size_t shown = nodes->node_count < SHOWN_MAX ? nodes->node_count : SHOWN_MAX;
    for (size_t i = 0; i < shown; i++) {
        const struct nn_node *node = nodes->node[i];
        buf_printf(&why, "%s" SLICE_FMT ": %s",
                   i ? ", " : " Nodes: ", SLICE_ARG(node->address.name),
                   nn_refusal_text(nn_place_refusal(nodes, ask, node)));
    }
    if (shown < nodes->node_count)
        buf_printf(&why, " and %zu more", nodes->node_count - shown);
    const char *text = buf_cstr(&why);
    int rc =
        err_set(err, ERR_NONODE,
                "File " SLICE_FMT " could only be written to %zu of the 1 minReplication "
                "nodes. There are %u datanode(s) running and %u node(s) are excluded in this "
                "operation.%s",
                SLICE_ARG(path), placed->count, nodes->living, placed->excluded, text ? text : "");
    buf_release(&why);
    return rc;
}

/* ---- of replicas that are there ---- */

static uint32_t sharing_rack(const struct nn_nodes *nodes, const uint32_t *storages, size_t count,
                             uint32_t rack)
{
    uint32_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += nn_nodes_of(nodes, storages[i])->rack == rack;
    return n;
}

static bool shares_node(const struct nn_nodes *nodes, const uint32_t *storages, size_t count,
                        size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (i != at && nn_nodes_of(nodes, storages[i]) == nn_nodes_of(nodes, storages[at]))
            return true;
    return false;
}

size_t nn_place_surplus(const struct nn_nodes *nodes, const uint32_t *storages, size_t count)
{
    size_t best = 0;
    unsigned best_rank = 0;
    uint64_t best_room = 0;
    for (size_t i = 0; i < count; i++) {
        const struct nn_node *node = nn_nodes_of(nodes, storages[i]);
        unsigned rank = shares_node(nodes, storages, count, i)                 ? 3
                        : node->admin != NN_NODE_NORMAL                        ? 2
                        : sharing_rack(nodes, storages, count, node->rack) > 1 ? 1
                                                                               : 0;
        uint64_t room = nn_nodes_space(nodes, node).remaining;
        if (i == 0 || rank > best_rank || (rank == best_rank && room < best_room)) {
            best = i;
            best_rank = rank;
            best_room = room;
        }
    }
    return best;
}

size_t nn_place_source(const struct nn_nodes *nodes, const uint32_t *storages, size_t count,
                       uint32_t limit, struct rand *rand)
{
    size_t best = SIZE_MAX;
    uint32_t best_copies = limit, ties = 0;
    for (size_t i = 0; i < count; i++) {
        const struct nn_node *node = nn_nodes_of(nodes, storages[i]);
        if (!node->is_connected || node->state == NN_NODE_DEAD || node->copies_out >= limit)
            continue;
        if (node->copies_out < best_copies)
            ties = 0;
        else if (node->copies_out > best_copies)
            continue;
        ties++;
        if (rand_below(rand, ties) == 0)
            best = i;
        best_copies = node->copies_out;
    }
    return best;
}
