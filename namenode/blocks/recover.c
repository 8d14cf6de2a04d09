/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/recover.h"

#include "libcommon/base/mem.h"

#define NODES_MAX  64   /* nodes that take part in one recovery */
#define LOOK_MS    1000 /* no node is there, or the stamp is not durable: look again */
#define TRIES_SLOW 4    /* attempts after which the time-out grows no more: 2^4 */

void nn_recoveries_init(struct nn_recoveries *r)
{
    *r = (struct nn_recoveries){0};
}

void nn_recoveries_release(struct nn_recoveries *r)
{
    hmap_each (&r->by_block, it)
        mem_free(CONTAINER_OF(it, struct nn_recovery, by_block));
    hmap_release(&r->by_block);
    heap_release(&r->times);
    nn_recoveries_init(r);
}

struct nn_recovery *nn_recoveries_find(const struct nn_recoveries *r, uint32_t block)
{
    for (struct hmap_node *n = hmap_find(&r->by_block, hash_u64(block)); n; n = hmap_find_next(n)) {
        struct nn_recovery *rec = CONTAINER_OF(n, struct nn_recovery, by_block);
        if (rec->block == block)
            return rec;
    }
    return NULL;
}

/* Its place in the heap was or is just being given back, so this cannot fail. */
static void wake_at(struct nn_recoveries *r, struct nn_recovery *rec, uint64_t at_ms)
{
    heap_remove(&r->times, &rec->by_time);
    if (heap_add(&r->times, &rec->by_time, at_ms) < 0)
        BUG("no room to put a recovery back");
}

int nn_recoveries_begin(struct nn_recoveries *r, uint32_t block, uint64_t gs, uint64_t after,
                        uint64_t now_ms)
{
    struct nn_recovery *rec = nn_recoveries_find(r, block);
    if (!rec) {
        rec = mem_calloc(1, sizeof(*rec));
        if (!rec)
            return ERR_NOMEM;
        *rec = (struct nn_recovery){.block = block, .since_ms = now_ms, .by_time = HEAP_NODE_INIT};
        if (heap_add(&r->times, &rec->by_time, now_ms) < 0) {
            mem_free(rec);
            return ERR_NOMEM;
        }
        if (hmap_add(&r->by_block, &rec->by_block, hash_u64(block)) < 0) {
            heap_remove(&r->times, &rec->by_time);
            mem_free(rec);
            return ERR_NOMEM;
        }
    }
    rec->gs = gs;
    rec->after = after;
    rec->primary = 0;
    rec->is_done = false;
    wake_at(r, rec, now_ms);
    return 0;
}

void nn_recoveries_end(struct nn_recoveries *r, uint32_t block)
{
    struct nn_recovery *rec = nn_recoveries_find(r, block);
    if (!rec)
        return;
    hmap_remove(&r->by_block, &rec->by_block);
    heap_remove(&r->times, &rec->by_time);
    mem_free(rec);
}

/* This stamp is used up: the next step asks for another. */
static void give_up(struct nn_recoveries *r, struct nn_recovery *rec, uint64_t at_ms)
{
    rec->gs = 0;
    rec->primary = 0;
    rec->is_done = false;
    wake_at(r, rec, at_ms);
}

void nn_recoveries_renew_all(struct nn_recoveries *r, uint64_t now_ms)
{
    hmap_each (&r->by_block, it) {
        struct nn_recovery *rec = CONTAINER_OF(it, struct nn_recovery, by_block);
        rec->since_ms = now_ms;
        give_up(r, rec, now_ms);
    }
}

void nn_recoveries_node_lost(struct nn_recoveries *r, uint32_t node, uint64_t now_ms)
{
    hmap_each (&r->by_block, it) {
        struct nn_recovery *rec = CONTAINER_OF(it, struct nn_recovery, by_block);
        if (rec->primary == node && !rec->is_done)
            give_up(r, rec, now_ms);
    }
}

/* ---- who takes part ---- */

struct team {
    uint32_t nodes[NODES_MAX];
    size_t count;
    bool is_whole; /* nobody who should have the block is missing, as far as we can know */
};

static void join(const struct nn_recoveries *r, struct team *team, uint32_t node)
{
    for (size_t i = 0; i < team->count; i++)
        if (team->nodes[i] == node)
            return;
    const struct nn_node *n = nn_nodes_get(r->nodes, node);
    if (!n->is_connected || n->state == NN_NODE_DEAD)
        team->is_whole = false;
    else if (team->count < NODES_MAX)
        team->nodes[team->count++] = node;
}

/* Nodes with a replica that is not older than the block, those of the last pipeline, and those with
 * a finalized good one. */
static void gather(const struct nn_recoveries *r, uint32_t block, struct team *team)
{
    struct nn_block b = nn_blockmap_get(r->map, block);
    const struct nn_writing *w = nn_writings_find(r->writings, block);
    const struct nn_replica *replicas = nn_blockmap_replicas(r->map, block);
    /* After a restart of ours nobody remembers the pipeline: who knows who is missing? */
    *team = (struct team){.is_whole = w && w->pipeline_count > 0};
    for (size_t i = 0; i < b.replicas; i++)
        if (!nn_replica_is_bad(replicas[i]))
            join(r, team, nn_nodes_storage(r->nodes, nn_replica_storage(replicas[i]))->node);
    for (size_t i = 0; w && i < w->replica_count; i++)
        join(r, team, nn_nodes_storage(r->nodes, w->replicas[i].storage)->node);
    for (size_t i = 0; w && i < w->pipeline_count; i++)
        join(r, team, w->pipeline[i]);
}

/* The node heard of last leads; after a failed attempt anyone may, as the freshest may be the
 * trouble. */
static uint32_t pick_primary(const struct nn_recoveries *r, const struct nn_recovery *rec,
                             const struct team *team)
{
    if (rec->tries > 0)
        return team->nodes[rand_below(r->rand, team->count)];
    uint32_t best = team->nodes[0];
    for (size_t i = 1; i < team->count; i++)
        if (nn_nodes_get(r->nodes, team->nodes[i])->heard_ms >
            nn_nodes_get(r->nodes, best)->heard_ms)
            best = team->nodes[i];
    return best;
}

static int push_order(const struct nn_recovery *rec, const struct nn_block *block,
                      const struct team *team, struct nn_orders *orders)
{
    struct nn_order *order = nn_orders_push(orders, NN_ORDER_RECOVER, rec->primary, team->count, 0);
    if (!order)
        return ERR_NOMEM;
    order->block = (struct block_id){block->id, block->gs};
    order->len = block->len;
    order->new_gs = rec->gs;
    memcpy(order->targets, team->nodes, team->count * sizeof(*order->targets));
    return 0;
}

static bool had_time(const struct nn_recovery *rec, uint64_t ms, uint64_t now_ms)
{
    return now_ms - rec->since_ms > ms;
}

/* How long those who are absent are waited for before this is believed without them. */
static uint64_t patience_ms(const struct nn_recoveries *r, const struct nn_block *block,
                            const struct nn_recovered *said)
{
    if (block->len > (said->is_dropped ? 0 : said->len))
        return nn_blocks_conf_dead_ms(r->conf);
    return said->is_dropped ? r->conf->stale_ms : 0;
}

static uint64_t timeout_ms(const struct nn_recoveries *r, const struct nn_recovery *rec)
{
    return r->conf->recover_ms << (rec->tries < TRIES_SLOW ? rec->tries : TRIES_SLOW);
}

static int start_attempt(struct nn_recoveries *r, struct nn_recovery *rec, uint64_t now_ms,
                         struct nn_orders *orders, const struct nn_recover_hooks *hooks)
{
    struct team team;
    struct nn_block block = nn_blockmap_get(r->map, rec->block);
    gather(r, rec->block, &team);
    if (team.count == 0) {
        bool is_hopeless = block.len == 0 && had_time(rec, r->conf->stale_ms, now_ms);
        wake_at(r, rec, now_ms + (is_hopeless ? timeout_ms(r, rec) : LOOK_MS));
        if (!is_hopeless)
            return 0;
        rec->is_done = true;
        return hooks->recovered(hooks->ctx, &(struct nn_recovered){rec->block, rec->gs, 0, true});
    }
    rec->primary = pick_primary(r, rec, &team);
    rec->has_all = team.is_whole;
    wake_at(r, rec, now_ms + timeout_ms(r, rec));
    rec->tries++;
    return push_order(rec, &block, &team, orders);
}

int nn_recoveries_step(struct nn_recoveries *r, uint64_t durable, uint64_t now_ms,
                       struct nn_orders *orders, const struct nn_recover_hooks *hooks)
{
    struct heap_node *n = NULL;
    int rc = 0;
    while (rc == 0 && (n = heap_min(&r->times)) != NULL && n->key <= now_ms) {
        struct nn_recovery *rec = CONTAINER_OF(n, struct nn_recovery, by_time);
        if (rec->gs != 0 && !rec->primary && !rec->is_done) {
            if (rec->after > durable)
                wake_at(r, rec, now_ms + 1);
            else
                rc = start_attempt(r, rec, now_ms, orders, hooks);
            continue;
        }
        give_up(r, rec, now_ms + timeout_ms(r, rec)); /* asked again then, if nobody answers */
        rc = hooks->need_stamp(hooks->ctx, rec->block);
    }
    return rc;
}

int nn_recoveries_result(struct nn_recoveries *r, const struct nn_recovered *said, int code,
                         uint64_t now_ms)
{
    struct nn_recovery *rec = nn_recoveries_find(r, said->block);
    if (!rec || rec->gs == 0 || rec->gs != said->gs || !rec->primary || rec->is_done)
        return ERR_STALE;
    struct nn_block block = nn_blockmap_get(r->map, said->block);
    uint64_t patience = patience_ms(r, &block, said);
    if (code < 0 || (patience > 0 && !rec->has_all && !had_time(rec, patience, now_ms))) {
        give_up(r, rec, now_ms + LOOK_MS);
        return ERR_RETRY;
    }
    rec->is_done = true;
    wake_at(r, rec, now_ms + timeout_ms(r, rec));
    return 0;
}
