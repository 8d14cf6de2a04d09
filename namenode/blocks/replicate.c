/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/replicate.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

#define HOLDERS_MAX    1024 /* as many replicas as the map records of one block */
#define SCAN_SLICE     4000
#define LOOKS_PER_COPY 8   /* queued blocks looked at for each copy that may be ordered */
#define AGAIN_MS       250 /* nothing could be ordered: a deletion or a node is waited for */

/* ---- one block ---- */

/* Its serving replicas, sorted out. */
struct view {
    struct nn_block block;
    uint32_t good[HOLDERS_MAX]; /* storages, one per node, those that stay first */
    uint32_t twin[HOLDERS_MAX]; /* good, but on a node that has another good one */
    uint32_t bad[HOLDERS_MAX];
    size_t good_count, twin_count, bad_count;
    struct nn_health health;
};

static bool has_node(const struct nn_nodes *nodes, const uint32_t *storages, size_t count,
                     uint32_t node)
{
    for (size_t i = 0; i < count; i++)
        if (nn_nodes_storage(nodes, storages[i])->node == node)
            return true;
    return false;
}

static uint16_t count_racks(const struct nn_nodes *nodes, const uint32_t *storages, size_t count)
{
    uint16_t racks = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_new = true;
        for (size_t k = 0; k < i && is_new; k++)
            is_new = nn_nodes_of(nodes, storages[k])->rack != nn_nodes_of(nodes, storages[i])->rack;
        racks = (uint16_t)(racks + is_new);
    }
    return racks;
}

static bool is_resting(const struct nn_node *node)
{
    return node->admin == NN_NODE_ENTERING_MAINTENANCE || node->admin == NN_NODE_IN_MAINTENANCE;
}

/* On a node that is dead, but rests, so that nothing is lost by that. */
static bool is_asleep(const struct nn_nodes *nodes, struct nn_replica replica)
{
    const struct nn_storage *s = nn_nodes_storage(nodes, nn_replica_storage(replica));
    return nn_nodes_get(nodes, s->node)->admin == NN_NODE_IN_MAINTENANCE &&
           nn_nodes_get(nodes, s->node)->state == NN_NODE_DEAD && !s->has_failed && !s->is_gone &&
           !nn_replica_is_bad(replica);
}

/* One more good replica, on a node that has no other. */
static void add_good(const struct nn_replicate *rep, struct view *v, uint32_t storage)
{
    const struct nn_node *node = nn_nodes_of(rep->nodes, storage);
    v->good[v->good_count++] = storage;
    if (is_resting(node)) {
        v->health.resting++;
        if (node->admin == NN_NODE_ENTERING_MAINTENANCE)
            v->health.entering++;
    } else if (node->admin != NN_NODE_NORMAL) {
        v->health.leaving++;
        if (node->admin == NN_NODE_DECOMMISSIONED)
            v->health.left++;
    } else {
        bool is_sure = node->state == NN_NODE_LIVE && node->is_connected &&
                       nn_nodes_storage(rep->nodes, storage)->is_reported;
        v->good[v->good_count - 1] = v->good[v->health.staying];
        v->good[v->health.staying++] = storage;
        v->health.sure = (uint16_t)(v->health.sure + is_sure);
    }
}

/* Those that rest count in full as long as enough others stay. */
static uint16_t needed(const struct nn_replicate *rep, const struct nn_health *h)
{
    uint16_t least =
        h->want < rep->conf->maintenance_min ? h->want : (uint16_t)rep->conf->maintenance_min;
    uint16_t rest = h->resting < h->want ? (uint16_t)(h->want - h->resting) : 0;
    return rest > least ? rest : least;
}

static void sort_out(const struct nn_replicate *rep, uint32_t block, struct view *v)
{
    uint32_t counted[HOLDERS_MAX]; /* for the racks */
    size_t counted_count = 0;
    const struct nn_replica *replicas = nn_blockmap_replicas(rep->map, block);
    v->block = nn_blockmap_get(rep->map, block);
    v->good_count = v->twin_count = v->bad_count = 0;
    v->health = (struct nn_health){.want = v->block.want};
    for (size_t i = 0; i < v->block.replicas; i++) {
        uint32_t storage = nn_replica_storage(replicas[i]);
        if (is_asleep(rep->nodes, replicas[i])) {
            v->health.resting++;
            counted[counted_count++] = storage;
        }
        if (!nn_nodes_is_serving(rep->nodes, storage))
            continue;
        const struct nn_node *node = nn_nodes_of(rep->nodes, storage);
        if (nn_replica_is_bad(replicas[i])) {
            v->bad[v->bad_count++] = storage;
            continue;
        }
        v->health.is_unsure |= !nn_nodes_storage(rep->nodes, storage)->is_reported;
        if (has_node(rep->nodes, v->good, v->good_count, node->index)) {
            v->twin[v->twin_count++] = storage;
            continue;
        }
        add_good(rep, v, storage);
        if (is_resting(node) || node->admin == NN_NODE_NORMAL)
            counted[counted_count++] = storage;
    }
    const struct nn_pending *pending = nn_pendings_find(&rep->pendings, block);
    v->health.good = (uint16_t)v->good_count;
    v->health.bad = (uint16_t)v->bad_count;
    v->health.pending = (uint16_t)(pending ? pending->target_count : 0);
    v->health.racks = count_racks(rep->nodes, counted, counted_count);
    v->health.need = needed(rep, &v->health);
}

struct nn_health nn_replicate_health(const struct nn_replicate *rep, uint32_t block)
{
    struct view v;
    sort_out(rep, block, &v);
    return v.health;
}

static unsigned level_of(const struct nn_replicate *rep, const struct nn_health *h)
{
    if (h->good == 0)
        return 5;
    if (h->staying + h->pending < h->need) {
        if (h->staying == 0 || (h->staying == 1 && h->want > 1))
            return 1;
        return h->staying * 3 < h->want ? 2 : 3;
    }
    bool is_crowded = h->racks == 1 && h->staying > 1 && h->pending == 0;
    return is_crowded && nn_nodes_racks(rep->nodes) > 1 ? 4 : 0;
}

/* Blocks whose numbers stand: complete ones, and committed ones, whose writer waits for the copies.
 * Of those, one without any replica yet is not missing: it may still be finalized. */
static bool is_settled(const struct view *v)
{
    return v->block.state == NN_BLOCK_COMPLETE ||
           (v->block.state == NN_BLOCK_COMMITTED && v->good_count > 0);
}

static unsigned level_due(const struct nn_replicate *rep, const struct view *v)
{
    return is_settled(v) ? level_of(rep, &v->health) : 0;
}

/* ---- queues ---- */

static int set_level(struct nn_replicate *rep, uint32_t block, unsigned level)
{
    struct nn_block b = nn_blockmap_get(rep->map, block);
    if (b.level == level)
        return 0;
    if (level && bitset_add(&rep->levels[level - 1], block) < 0)
        return ERR_NOMEM;
    if (b.level)
        bitset_remove(&rep->levels[b.level - 1], block);
    if (b.want == 1) {
        rep->missing_single -= b.level == 5;
        rep->missing_single += level == 5;
    }
    b.level = (uint8_t)level;
    nn_blockmap_set(rep->map, block, &b);
    return 0;
}

uint64_t nn_replicate_queued(const struct nn_replicate *rep, unsigned level)
{
    return rep->levels[level - 1].count;
}

/* The replica leaves the map and will be deleted. */
static int doom(struct nn_replicate *rep, const struct view *v, uint32_t block, uint32_t storage,
                uint64_t after)
{
    const struct nn_bad *bad = nn_bads_find(rep->bads, block, storage);
    struct block_id id = {v->block.id, bad ? bad->gs : v->block.gs};
    uint32_t node = nn_nodes_storage(rep->nodes, storage)->node;
    if (nn_doomed_add(rep->doomed, node, storage, id, after) < 0)
        return ERR_NOMEM;
    nn_bads_drop(rep->bads, block, storage);
    nn_blockmap_drop_replica(rep->map, block, storage);
    return 0;
}

/* The one that whoever moves blocks wants gone, unless that were the last on its rack. */
static size_t pick_surplus(const struct nn_replicate *rep, const struct view *v, uint32_t block)
{
    uint32_t rest[HOLDERS_MAX];
    size_t count = v->health.staying, n = 0, wanted = SIZE_MAX;
    uint32_t from = rep->surplus_from ? rep->surplus_from(rep->surplus_arg, block) : 0;
    for (size_t i = 0; i < count; i++) {
        if (from && nn_nodes_storage(rep->nodes, v->good[i])->node == from)
            wanted = i;
        else
            rest[n++] = v->good[i];
    }
    bool keeps_racks =
        count_racks(rep->nodes, rest, n) > 1 || count_racks(rep->nodes, v->good, count) < 2;
    return wanted != SIZE_MAX && keeps_racks ? wanted
                                             : nn_place_surplus(rep->nodes, v->good, count);
}

static int doom_surplus(struct nn_replicate *rep, struct view *v, uint32_t block, uint64_t after)
{
    int rc = 0;
    for (size_t i = 0; i < v->twin_count && rc == 0; i++)
        rc = doom(rep, v, block, v->twin[i], after);
    while (v->health.staying > v->block.want && rc == 0) {
        size_t i = pick_surplus(rep, v, block);
        rc = doom(rep, v, block, v->good[i], after);
        v->good[i] = v->good[--v->health.staying];
    }
    return rc;
}

/* Nodes without a replica, where a further one could be made. While a writer waits for it, one that
 * is not connected is none: nobody knows when it will be back. */
static uint32_t spare_nodes(const struct nn_replicate *rep, const struct view *v)
{
    const uint32_t *const lists[] = {v->good, v->bad};
    const size_t counts[] = {v->good_count, v->bad_count};
    bool is_waited_for = v->block.state == NN_BLOCK_COMMITTED;
    uint32_t nodes = is_waited_for ? rep->nodes->connected : rep->nodes->in_service, taken = 0;
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < counts[l]; i++) {
            const struct nn_node *node = nn_nodes_of(rep->nodes, lists[l][i]);
            taken += node->admin == NN_NODE_NORMAL && (!is_waited_for || node->is_connected);
        }
    return nodes > taken ? nodes - taken : 0;
}

/* A bad replica goes when there are good ones to live on: two (or all that are wanted). With one
 * good one, and no other node where a second could be made, one bad one goes to make room; the rest
 * stay until the copy is there. Newer than known is never touched. */
static int doom_bad(struct nn_replicate *rep, const struct view *v, uint32_t block, uint64_t after)
{
    uint32_t enough = v->block.want < 2 ? v->block.want : 2;
    bool is_cornered = v->good_count > 0 && spare_nodes(rep, v) == 0;
    size_t may_go = v->good_count >= enough ? v->bad_count : is_cornered;
    for (size_t i = 0; i < v->bad_count && may_go > 0; i++) {
        const struct nn_bad *bad = nn_bads_find(rep->bads, block, v->bad[i]);
        if (bad && (bad->reason == NN_BAD_SUSPECT || bad->reason == NN_BAD_LAGGING))
            continue;
        if (doom(rep, v, block, v->bad[i], after) < 0)
            return ERR_NOMEM;
        may_go--;
    }
    return 0;
}

static size_t count_deletable(const struct nn_replicate *rep, const struct view *v, uint32_t block)
{
    size_t n = 0;
    for (size_t i = 0; i < v->bad_count; i++) {
        const struct nn_bad *bad = nn_bads_find(rep->bads, block, v->bad[i]);
        n += !bad || (bad->reason != NN_BAD_SUSPECT && bad->reason != NN_BAD_LAGGING);
    }
    return n;
}

/* Once every replica was seen and some were bad, nobody can bring the missing ones any more. A
 * committed block's writer waits for its second replica, and there are only as many as writers. */
static int note_urgent(struct nn_replicate *rep, const struct view *v, uint32_t block,
                       size_t refuse)
{
    if (v->good_count >= v->block.want)
        bitset_remove(&rep->urgent, block);
    else if (v->block.state == NN_BLOCK_COMMITTED ||
             (refuse > 0 && v->good_count + refuse >= v->block.want))
        return bitset_add(&rep->urgent, block);
    return 0;
}

int nn_replicate_check(struct nn_replicate *rep, uint32_t block, uint64_t after)
{
    struct view v;
    if (!rep->is_active)
        return 0;
    sort_out(rep, block, &v);
    int rc = set_level(rep, block, level_due(rep, &v));
    if (!is_settled(&v))
        return rc;
    bool has_surplus = v.twin_count > 0 || v.health.staying > v.block.want;
    size_t refuse = count_deletable(rep, &v, block);
    bool has_refuse = refuse > 0;
    if (rc == 0)
        rc = note_urgent(rep, &v, block, refuse);
    if (rc < 0 || (!has_surplus && !has_refuse)) {
        bitset_remove(&rep->postponed, block);
        return rc;
    }
    if (v.health.is_unsure)
        return bitset_add(&rep->postponed, block);
    bitset_remove(&rep->postponed, block);
    rc = has_refuse ? doom_bad(rep, &v, block, after) : 0;
    return rc == 0 && has_surplus ? doom_surplus(rep, &v, block, after) : rc;
}

void nn_replicate_start(struct nn_replicate *rep)
{
    rep->is_active = true;
    rep->scan = 0;
}

void nn_replicate_reported(struct nn_replicate *rep)
{
    rep->scan_postponed = 0;
}

/* ---- copies under way ---- */

bool nn_replicate_settled(struct nn_replicate *rep, uint32_t block, uint32_t node)
{
    return nn_pendings_settle(&rep->pendings, block, node);
}

/* What went to or from it ends with the next step, which checks the blocks. */
void nn_replicate_node_lost(struct nn_replicate *rep, uint32_t node)
{
    rep->scan_urgent = 0;
    nn_pendings_expire(&rep->pendings, node);
}

int nn_replicate_expect(struct nn_replicate *rep, uint32_t block, const uint32_t *nodes,
                        size_t count, uint64_t until_ms)
{
    if (count == 0 || nn_pendings_find(&rep->pendings, block))
        return 0;
    return nn_pendings_begin(&rep->pendings, block, 0, nodes, count, until_ms);
}

void nn_replicate_forget(struct nn_replicate *rep, uint32_t block)
{
    struct nn_pending *p = nn_pendings_find(&rep->pendings, block);
    if (p)
        nn_pendings_end(&rep->pendings, p);
    bitset_remove(&rep->postponed, block);
    bitset_remove(&rep->urgent, block);
    (void)set_level(rep, block, 0); /* level 0 needs no memory */
}

/* ---- ordering copies ---- */

/* Nodes where no further replica can be put: those with one of any kind; first those that stay. */
static size_t holders(const struct nn_replicate *rep, const struct view *v,
                      uint32_t ret[2 * HOLDERS_MAX])
{
    const uint32_t *const lists[] = {v->good, v->bad};
    const size_t counts[] = {v->good_count, v->bad_count};
    size_t n = 0;
    for (size_t l = 0; l < 2; l++)
        for (size_t i = 0; i < counts[l]; i++)
            ret[n++] = nn_nodes_storage(rep->nodes, lists[l][i])->node;
    return n;
}

/* A node that is still to delete an older replica of this block cannot take it yet. */
bool nn_replicate_is_doomed_on(const struct nn_replicate *rep, uint64_t block_id, uint32_t node)
{
    const struct nn_node *n = nn_nodes_get(rep->nodes, node);
    for (size_t i = 0; i < n->storage_count; i++)
        if (nn_doomed_has(rep->doomed, n->storages[i], (struct block_id){block_id, 0}))
            return true;
    return false;
}

static void choose_targets(const struct nn_replicate *rep, const struct view *v, uint32_t limit,
                           struct nn_placed *ret)
{
    uint32_t have[2 * HOLDERS_MAX];
    size_t staying = v->health.staying, all = holders(rep, v, have);
    bool is_for_racks = staying >= v->health.need;
    struct nn_place_ask ask = {
        .block_size = v->block.len,
        .count = is_for_racks ? 1 : v->health.need - (uint32_t)staying - v->health.pending,
        .have = have,
        .have_count = staying,
        .also = have + staying,
        .also_count = all - staying,
        .is_copy = true,
        .copy_limit = limit,
    };
    nn_place(rep->nodes, &ask, rep->rand, ret);
    size_t kept = 0;
    for (size_t i = 0; i < ret->count; i++) {
        uint32_t node = ret->nodes[i];
        bool is_same_rack =
            nn_nodes_get(rep->nodes, node)->rack == nn_nodes_of(rep->nodes, v->good[0])->rack;
        if (!nn_replicate_is_doomed_on(rep, v->block.id, node) && !(is_for_racks && is_same_rack))
            ret->nodes[kept++] = node;
    }
    ret->count = kept;
}

static int push_copy(struct nn_orders *orders, const struct nn_block *block, uint32_t source,
                     const struct nn_placed *targets)
{
    struct nn_order *order = nn_orders_push(orders, NN_ORDER_COPY, source, targets->count, 0);
    if (!order)
        return ERR_NOMEM;
    order->block = (struct block_id){block->id, block->gs};
    order->len = block->len;
    memcpy(order->targets, targets->nodes, targets->count * sizeof(*order->targets));
    return 0;
}

/* 1 when a copy was ordered, 0 when not now, or ERR_NOMEM. */
static int order_copy(struct nn_replicate *rep, uint32_t block, unsigned level, uint64_t now_ms,
                      struct nn_orders *orders)
{
    struct view v;
    struct nn_placed targets;
    uint32_t limit = level == 1 ? rep->conf->streams_hard : rep->conf->streams_soft;
    sort_out(rep, block, &v);
    if (v.health.pending > 0 || level_due(rep, &v) != level)
        return set_level(rep, block, level_due(rep, &v));
    size_t at = nn_place_source(rep->nodes, v.good, v.good_count, limit, rep->rand);
    if (at == SIZE_MAX)
        return 0;
    uint32_t source = nn_nodes_storage(rep->nodes, v.good[at])->node;
    choose_targets(rep, &v, rep->conf->streams_soft, &targets);
    if (targets.count == 0)
        return 0;
    if (nn_pendings_begin(&rep->pendings, block, source, targets.nodes, targets.count,
                          now_ms + rep->conf->pending_ms) < 0)
        return ERR_NOMEM;
    if (push_copy(orders, &v.block, source, &targets) < 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < targets.count; i++)
        nn_nodes_scheduled(rep->nodes, targets.nodes[i]);
    int rc = set_level(rep, block, 0);
    return rc < 0 ? rc : 1;
}

/* What may still be done in this period. */
struct budget {
    uint32_t copies, looks;
};

/* Walk one queue from where the last period stopped, once round at most. */
static int order_level(struct nn_replicate *rep, unsigned level, struct budget *budget,
                       uint64_t now_ms, struct nn_orders *orders)
{
    struct bitset *queue = &rep->levels[level - 1];
    uint32_t left = queue->count;
    while (budget->copies > 0 && budget->looks > 0 && left > 0 && queue->count > 0) {
        uint32_t block = bitset_next(queue, rep->cursor[level - 1]);
        if (block == BITSET_END)
            block = bitset_next(queue, 0);
        rep->cursor[level - 1] = block + 1;
        budget->looks--;
        left--;
        int rc = order_copy(rep, block, level, now_ms, orders);
        if (rc < 0)
            return rc;
        budget->copies -= (uint32_t)rc;
    }
    return 0;
}

/* While the cluster settles: only what no late datanode can bring, and what a writer waits for. */
static int order_urgent(struct nn_replicate *rep, struct budget *budget, uint64_t now_ms,
                        struct nn_orders *orders)
{
    uint32_t block = bitset_next(&rep->urgent, 0);
    for (; block != BITSET_END && budget->copies > 0 && budget->looks > 0;
         block = bitset_next(&rep->urgent, block + 1)) {
        unsigned level = nn_blockmap_get(rep->map, block).level;
        budget->looks--;
        if (level == 0 || level == NN_LEVELS)
            continue;
        int rc = order_copy(rep, block, level, now_ms, orders);
        if (rc < 0)
            return rc;
        budget->copies -= (uint32_t)rc;
    }
    return 0;
}

/* ---- time ---- */

static int end_late(struct nn_replicate *rep, uint64_t after, uint64_t now_ms)
{
    struct nn_pending *p;
    while ((p = nn_pendings_late(&rep->pendings, now_ms)) != NULL) {
        uint32_t block = p->block;
        for (size_t i = 0; i < p->target_count; i++)
            nn_nodes_arrived(rep->nodes, p->targets[i]); /* it needs the room no more */
        nn_pendings_end(&rep->pendings, p);
        int rc = nn_replicate_check(rep, block, after);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Some blocks more of this set, from *at on; BITSET_END when all were checked. */
static int scan_set(struct nn_replicate *rep, const struct bitset *set, uint32_t *at,
                    uint64_t after)
{
    for (int i = 0; i < SCAN_SLICE && *at != BITSET_END; i++) {
        uint32_t block = bitset_next(set, *at);
        *at = block == BITSET_END ? BITSET_END : block + 1;
        int rc = block == BITSET_END ? 0 : nn_replicate_check(rep, block, after);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int scan_slice(struct nn_replicate *rep, uint64_t after)
{
    for (int i = 0; i < SCAN_SLICE && rep->scan != BITSET_END; i++) {
        uint32_t block = nn_blockmap_next(rep->map, rep->scan);
        rep->scan = block == NN_BLOCK_NONE ? BITSET_END : block + 1;
        int rc = block == NN_BLOCK_NONE ? 0 : nn_replicate_check(rep, block, after);
        if (rc < 0)
            return rc;
    }
    int rc = scan_set(rep, &rep->urgent, &rep->scan_urgent, after);
    return rc < 0 ? rc : scan_set(rep, &rep->postponed, &rep->scan_postponed, after);
}

static bool has_work(const struct nn_replicate *rep, bool is_settled)
{
    if (!is_settled)
        return rep->urgent.count > 0;
    for (unsigned level = 1; level < NN_LEVELS; level++)
        if (rep->levels[level - 1].count > 0)
            return true;
    return false;
}

static int order_some(struct nn_replicate *rep, bool is_settled, struct budget *budget,
                      uint64_t now_ms, struct nn_orders *orders)
{
    int rc = 0;
    if (!is_settled)
        return order_urgent(rep, budget, now_ms, orders);
    for (unsigned level = 1; level < NN_LEVELS && rc == 0; level++)
        rc = order_level(rep, level, budget, now_ms, orders);
    return rc;
}

int nn_replicate_step(struct nn_replicate *rep, bool is_settled, uint64_t after, uint64_t now_ms,
                      struct nn_orders *orders)
{
    int rc = end_late(rep, after, now_ms);
    if (rc == 0)
        rc = scan_slice(rep, after);
    bool is_new = now_ms >= rep->next_ms;
    bool has_ended = rep->pendings.by_block.count < rep->under_way;
    if (rc < 0 || !has_work(rep, is_settled) || !(is_new || (has_ended && rep->copies_left)))
        return rc;
    uint32_t copies = is_new ? rep->nodes->living * rep->conf->work_multiplier : rep->copies_left;
    struct budget budget = {copies, copies * LOOKS_PER_COPY};
    rc = order_some(rep, is_settled, &budget, now_ms, orders);
    rep->under_way = rep->pendings.by_block.count;
    rep->copies_left = budget.copies;
    bool is_spent = budget.copies < copies || budget.looks == 0;
    bool is_soon = !is_spent && rep->conf->redundancy_ms >= AGAIN_MS;
    if (is_new)
        rep->next_ms = now_ms + (is_soon ? AGAIN_MS : rep->conf->redundancy_ms);
    return rc;
}

void nn_replicate_init(struct nn_replicate *rep)
{
    *rep = (struct nn_replicate){
        .scan = BITSET_END, .scan_postponed = BITSET_END, .scan_urgent = BITSET_END};
}

void nn_replicate_release(struct nn_replicate *rep)
{
    for (size_t i = 0; i < NN_LEVELS; i++)
        bitset_release(&rep->levels[i]);
    bitset_release(&rep->postponed);
    bitset_release(&rep->urgent);
    nn_pendings_release(&rep->pendings);
    nn_replicate_init(rep);
}
