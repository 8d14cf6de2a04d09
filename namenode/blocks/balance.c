/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/balance.h"

#include "libcommon/base/mem.h"

#define ALONE_MS   30000 /* nobody asked for so long: the run is over */
#define REST_MAX   60000 /* deletions may take so long before the next plan is made regardless */
#define LOOKS      2000  /* blocks looked at in one step */
#define ARRIVED_MS 60000 /* what arrived may wait so long for its surplus to be doomed */

/* ---- moves ---- */

static struct nn_move *find_move(const struct nn_balance *bal, uint32_t block)
{
    for (struct hmap_node *n = hmap_find(&bal->moves, hash_u64(block)); n; n = hmap_find_next(n)) {
        struct nn_move *m = CONTAINER_OF(n, struct nn_move, by_block);
        if (m->block == block)
            return m;
    }
    return NULL;
}

static struct nn_balance_node *part_of(const struct nn_balance *bal, uint32_t node)
{
    for (size_t i = 0; i < bal->part_count; i++)
        if (bal->parts[i].node == node)
            return &bal->parts[i];
    return NULL;
}

static void end_move(struct nn_balance *bal, struct nn_move *m, bool is_done)
{
    struct nn_balance_node *from = part_of(bal, m->from), *to = part_of(bal, m->to);
    if (from)
        from->moves--;
    if (to)
        to->moves--;
    bal->moved_bytes += is_done ? m->bytes : 0;
    bal->moved_blocks += is_done;
    bal->failed += !is_done;
    hmap_remove(&bal->moves, &m->by_block);
    mem_free(m);
}

void nn_balance_settled(struct nn_balance *bal, uint32_t block, uint32_t to, int code)
{
    struct nn_move *m = find_move(bal, block);
    if (!m || m->to != to)
        return;
    if (code == 0)
        m->has_arrived = true;
    else
        end_move(bal, m, false);
}

void nn_balance_node_lost(struct nn_balance *bal, uint32_t node)
{
    hmap_each (&bal->moves, it) {
        struct nn_move *m = CONTAINER_OF(it, struct nn_move, by_block);
        if (m->from == node || m->to == node)
            m->until_ms = 0; /* the next step ends it */
    }
}

void nn_balance_forget(struct nn_balance *bal, uint32_t block)
{
    struct nn_move *m = find_move(bal, block);
    if (m)
        end_move(bal, m, false);
}

static bool has_replica(const struct nn_replicate *rep, uint32_t block, uint32_t node)
{
    const struct nn_replica *r = nn_blockmap_replicas(rep->map, block);
    for (size_t i = 0; i < nn_blockmap_get(rep->map, block).replicas; i++)
        if (nn_nodes_storage(rep->nodes, nn_replica_storage(r[i]))->node == node)
            return true;
    return false;
}

uint32_t nn_balance_surplus(void *arg, uint32_t block)
{
    const struct nn_move *m = find_move(arg, block);
    return m && m->has_arrived ? m->from : 0;
}

/* Those whose source has given its replica up are done; those that take too long have failed. */
static void end_moves(struct nn_balance *bal, uint64_t now_ms)
{
    hmap_each (&bal->moves, it) {
        struct nn_move *m = CONTAINER_OF(it, struct nn_move, by_block);
        bool is_there = m->has_arrived && has_replica(bal->replicate, m->block, m->to);
        if (is_there && !has_replica(bal->replicate, m->block, m->from))
            end_move(bal, m, true);
        else if (now_ms >= m->until_ms + (m->has_arrived ? ARRIVED_MS : 0))
            end_move(bal, m, false);
    }
}

/* ---- begin and end ---- */

static void clear_moves(struct nn_balance *bal)
{
    hmap_each (&bal->moves, it)
        mem_free(CONTAINER_OF(it, struct nn_move, by_block));
    hmap_release(&bal->moves);
}

void nn_balance_release(struct nn_balance *bal)
{
    clear_moves(bal);
    mem_free(bal->parts);
    bal->parts = NULL;
    bal->part_count = 0;
    bal->state = NN_BALANCE_IDLE;
}

static bool is_running(const struct nn_balance *bal)
{
    return bal->state == NN_BALANCE_PLAN || bal->state == NN_BALANCE_MOVE ||
           bal->state == NN_BALANCE_REST;
}

static bool is_named(const struct slice *names, size_t count, const struct nn_address *at)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(names[i], at->name) || slice_eq(names[i], at->host))
            return true;
    return false;
}

int nn_balance_start(struct nn_balance *bal, const struct nn_balance_ask *ask, uint64_t now_ms)
{
    const struct nn_nodes *nodes = bal->replicate->nodes;
    if (is_running(bal) && now_ms - bal->polled_ms < ALONE_MS)
        return ERR_BUSY;
    struct nn_balance_node *parts = mem_calloc(nodes->node_count + 1, sizeof(*parts));
    if (!parts)
        return ERR_NOMEM;
    nn_balance_release(bal);
    bal->parts = parts;
    for (size_t i = 0; i < nodes->node_count; i++) {
        const struct nn_address *at = &nodes->node[i]->address;
        if ((ask->only_count && !is_named(ask->only, ask->only_count, at)) ||
            is_named(ask->without, ask->without_count, at))
            continue;
        parts[bal->part_count++] = (struct nn_balance_node){
            .node = nodes->node[i]->index,
            .is_barred = ask->source_count && !is_named(ask->source, ask->source_count, at)};
    }
    bal->state = NN_BALANCE_PLAN;
    bal->session++;
    bal->threshold = ask->threshold;
    bal->idle_max = ask->idle_max;
    bal->idle = bal->iteration = 0;
    bal->polled_ms = now_ms;
    bal->left_bytes = bal->planned_bytes = 0;
    bal->moved_bytes = bal->moved_blocks = bal->failed = bal->moved_before = 0;
    return 0;
}

bool nn_balance_poll(struct nn_balance *bal, uint64_t session, uint64_t now_ms)
{
    if (bal->session != session || bal->state == NN_BALANCE_IDLE)
        return false;
    bal->polled_ms = now_ms;
    return true;
}

void nn_balance_stop(struct nn_balance *bal, uint64_t session)
{
    if (bal->session == session)
        nn_balance_release(bal);
}

/* ---- the plan ---- */

static bool takes_part(const struct nn_nodes *nodes, const struct nn_balance_node *p)
{
    const struct nn_node *n = nn_nodes_get(nodes, p->node);
    return n->state == NN_NODE_LIVE && n->is_connected && n->admin == NN_NODE_NORMAL &&
           nn_nodes_space(nodes, n).capacity > 0;
}

struct mean {
    double used;            /* share of capacity, 0..1 */
    double slack;           /* the threshold, likewise */
    bool is_over, is_under; /* is any node beyond the threshold? */
};

static double deviation(const struct nn_space *space, double mean)
{
    return (double)space->used / (double)space->capacity - mean;
}

static struct mean measure(const struct nn_balance *bal)
{
    const struct nn_nodes *nodes = bal->replicate->nodes;
    struct mean m = {0, bal->threshold / 100, false, false};
    double used = 0, capacity = 0;
    for (size_t i = 0; i < bal->part_count; i++) {
        struct nn_space s = nn_nodes_space(nodes, nn_nodes_get(nodes, bal->parts[i].node));
        used += takes_part(nodes, &bal->parts[i]) ? (double)s.used : 0;
        capacity += takes_part(nodes, &bal->parts[i]) ? (double)s.capacity : 0;
    }
    m.used = capacity > 0 ? used / capacity : 0;
    for (size_t i = 0; i < bal->part_count; i++) {
        struct nn_space s = nn_nodes_space(nodes, nn_nodes_get(nodes, bal->parts[i].node));
        double d = takes_part(nodes, &bal->parts[i]) ? deviation(&s, m.used) : 0;
        m.is_over |= d > m.slack;
        m.is_under |= d < -m.slack;
    }
    return m;
}

static uint64_t at_most(double bytes, uint64_t most)
{
    return bytes <= 0 ? 0 : bytes < (double)most ? (uint64_t)bytes : most;
}

/* Shares for one node; gives what it is beyond the threshold. */
static uint64_t plan_node(const struct nn_balance *bal, const struct mean *m,
                          struct nn_balance_node *p)
{
    const struct nn_nodes *nodes = bal->replicate->nodes;
    struct nn_space s = nn_nodes_space(nodes, nn_nodes_get(nodes, p->node));
    uint64_t most = bal->conf->balance_max_bytes;
    p->gives = p->takes = p->next = 0;
    p->storage = 0;
    p->is_through = false;
    if (!takes_part(nodes, p))
        return 0;
    double d = deviation(&s, m->used), bytes = d * (double)s.capacity;
    if (d > 0 && !p->is_barred && (d > m->slack || m->is_under))
        p->gives = at_most(bytes, most);
    if (d < 0 && (d < -m->slack || m->is_over))
        p->takes = at_most(-bytes, most < s.remaining ? most : s.remaining);
    return d > m->slack ? (uint64_t)((d - m->slack) * (double)s.capacity) : 0;
}

static void plan(struct nn_balance *bal)
{
    struct mean m = measure(bal);
    uint64_t gives = 0, takes = 0, over = 0, under = 0;
    for (size_t i = 0; i < bal->part_count; i++) {
        struct nn_balance_node *p = &bal->parts[i];
        over += plan_node(bal, &m, p);
        gives += p->gives;
        takes += p->takes;
        struct nn_space s =
            nn_nodes_space(bal->replicate->nodes, nn_nodes_get(bal->replicate->nodes, p->node));
        double d = takes_part(bal->replicate->nodes, p) ? deviation(&s, m.used) : 0;
        under += d < -m.slack ? (uint64_t)((-d - m.slack) * (double)s.capacity) : 0;
    }
    bal->left_bytes = over > under ? over : under;
    bal->planned_bytes = gives < takes ? gives : takes;
    bal->moved_before = bal->moved_bytes;
    bal->ordered = 0;
    if (!m.is_over && !m.is_under)
        bal->state = NN_BALANCE_BALANCED;
    else
        bal->state = bal->planned_bytes ? NN_BALANCE_MOVE : NN_BALANCE_NO_BLOCK;
}

/* ---- moving ---- */

/* Racks of the good replicas, were the one on `from` on `to`; with 0 for both as they are. */
static size_t racks_if(const struct nn_replicate *rep, uint32_t block, uint32_t from, uint32_t to)
{
    const struct nn_replica *r = nn_blockmap_replicas(rep->map, block);
    size_t count = nn_blockmap_get(rep->map, block).replicas, racks = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_new = true;
        for (size_t k = 0; k <= i && is_new; k++) {
            uint32_t a = nn_nodes_storage(rep->nodes, nn_replica_storage(r[i]))->node;
            uint32_t b = nn_nodes_storage(rep->nodes, nn_replica_storage(r[k]))->node;
            a = a == from ? to : a;
            b = b == from ? to : b;
            is_new =
                k == i || nn_nodes_get(rep->nodes, a)->rack != nn_nodes_get(rep->nodes, b)->rack;
        }
        racks += is_new;
    }
    return racks;
}

/* Is it whole, at rest, and has the node a replica that another could do without? */
static bool may_move(const struct nn_balance *bal, uint32_t block, const struct nn_block *b)
{
    struct nn_health h = nn_replicate_health(bal->replicate, block);
    return b->state == NN_BLOCK_COMPLETE && b->level == 0 && h.pending == 0 && h.bad == 0 &&
           !h.is_unsure && h.sure == b->want && h.good == b->want && b->replicas == b->want &&
           b->len >= bal->conf->balance_min_bytes && b->len > 0 && !find_move(bal, block);
}

static bool fits(uint64_t bytes, uint64_t share)
{
    return bytes <= share + share / 2;
}

static bool can_take(const struct nn_balance *bal, const struct nn_balance_node *to, uint32_t block,
                     const struct nn_block *b, uint32_t from)
{
    const struct nn_replicate *rep = bal->replicate;
    const struct nn_place_ask ask = {
        .block_size = b->len, .is_copy = true, .copy_limit = UINT32_MAX};
    enum nn_refusal refusal =
        nn_place_refusal(rep->nodes, &ask, nn_nodes_get(rep->nodes, to->node));
    if (!fits(b->len, to->takes) || to->moves >= bal->conf->balance_moves ||
        (refusal != NN_REFUSAL_NONE && refusal != NN_REFUSAL_BUSY) ||
        has_replica(rep, block, to->node) || nn_replicate_is_doomed_on(rep, b->id, to->node))
        return false;
    return racks_if(rep, block, from, to->node) >= racks_if(rep, block, 0, 0);
}

/* Who takes it: first of the same rack, then whoever has most room for more. */
static struct nn_balance_node *choose(const struct nn_balance *bal, uint32_t block,
                                      const struct nn_block *b, const struct nn_balance_node *from)
{
    const struct nn_nodes *nodes = bal->replicate->nodes;
    struct nn_balance_node *best = NULL;
    bool is_best_near = false;
    for (size_t i = 0; i < bal->part_count; i++) {
        struct nn_balance_node *to = &bal->parts[i];
        bool is_near = nn_nodes_get(nodes, to->node)->rack == nn_nodes_get(nodes, from->node)->rack;
        if (to->takes == 0 || !can_take(bal, to, block, b, from->node))
            continue;
        if (best &&
            (is_best_near > is_near || (is_best_near == is_near && best->takes >= to->takes)))
            continue;
        best = to;
        is_best_near = is_near;
    }
    return best;
}

static int order_move(struct nn_balance *bal, uint32_t block, const struct nn_block *b,
                      struct nn_balance_node *from, struct nn_balance_node *to, uint64_t now_ms,
                      struct nn_orders *orders)
{
    uint64_t until_ms = now_ms + bal->conf->pending_ms;
    struct nn_move *m = mem_calloc(1, sizeof(*m));
    if (!m)
        return ERR_NOMEM;
    *m = (struct nn_move){
        .block = block, .from = from->node, .to = to->node, .bytes = b->len, .until_ms = until_ms};
    if (hmap_add(&bal->moves, &m->by_block, hash_u64(block)) < 0) {
        mem_free(m);
        return ERR_NOMEM;
    }
    from->moves++;
    to->moves++;
    int rc = nn_replicate_expect(bal->replicate, block, &to->node, 1, until_ms);
    struct nn_order *order =
        rc == 0 ? nn_orders_push(orders, NN_ORDER_COPY, from->node, 1, 0) : NULL;
    if (!order) {
        (void)nn_replicate_settled(bal->replicate, block, to->node);
        end_move(bal, m, false);
        return ERR_NOMEM;
    }
    bal->ordered++;
    order->block = (struct block_id){b->id, b->gs};
    order->len = b->len;
    order->targets[0] = to->node;
    nn_nodes_scheduled(bal->replicate->nodes, to->node);
    from->gives -= b->len < from->gives ? b->len : from->gives;
    to->takes -= b->len < to->takes ? b->len : to->takes;
    return 0;
}

static uint32_t next_block(const struct nn_balance *bal, struct nn_balance_node *p)
{
    const struct nn_replicate *rep = bal->replicate;
    const struct nn_node *node = nn_nodes_get(rep->nodes, p->node);
    while (p->storage < node->storage_count) {
        uint32_t block = nn_blockmap_on_storage(rep->map, node->storages[p->storage], p->next);
        p->next = block + 1;
        if (block != NN_BLOCK_NONE)
            return block;
        p->storage++;
        p->next = 0;
    }
    p->is_through = true;
    return NN_BLOCK_NONE;
}

static int give(struct nn_balance *bal, struct nn_balance_node *from, uint32_t *looks,
                uint64_t now_ms, struct nn_orders *orders)
{
    while (*looks > 0 && from->gives > 0 && from->moves < bal->conf->balance_moves &&
           !from->is_through) {
        uint32_t block = next_block(bal, from);
        (*looks)--;
        if (block == NN_BLOCK_NONE)
            break;
        struct nn_block b = nn_blockmap_get(bal->replicate->map, block);
        if (!fits(b.len, from->gives) || !may_move(bal, block, &b))
            continue;
        struct nn_balance_node *to = choose(bal, block, &b, from);
        int rc = to ? order_move(bal, block, &b, from, to, now_ms, orders) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool has_deletions(const struct nn_balance *bal)
{
    const struct nn_doomed *doomed = bal->replicate->doomed;
    return doomed->waiting + doomed->ordered > 0;
}

/* Has every node told its figures since the rest began, twice? */
static bool is_rested(const struct nn_balance *bal, uint64_t now_ms)
{
    const struct nn_nodes *nodes = bal->replicate->nodes;
    uint64_t since = now_ms - bal->rest_ms;
    if (since < 2 * bal->conf->heartbeat_ms || (has_deletions(bal) && since < REST_MAX))
        return false;
    for (size_t i = 0; i < bal->part_count; i++)
        if (takes_part(nodes, &bal->parts[i]) &&
            nn_nodes_get(nodes, bal->parts[i].node)->heard_ms <= bal->rest_ms)
            return since >= REST_MAX;
    return true;
}

static void end_iteration(struct nn_balance *bal, uint64_t now_ms)
{
    bool has_moved = bal->moved_bytes > bal->moved_before;
    bal->idle = has_moved ? 0 : bal->idle + 1;
    bal->iteration++;
    bal->rest_ms = now_ms;
    bal->state = bal->idle >= bal->idle_max ? NN_BALANCE_NO_PROGRESS : NN_BALANCE_REST;
}

static int move(struct nn_balance *bal, uint64_t now_ms, struct nn_orders *orders)
{
    uint32_t looks = LOOKS;
    bool is_over = true;
    for (size_t i = 0; i < bal->part_count; i++) {
        int rc = give(bal, &bal->parts[i], &looks, now_ms, orders);
        if (rc < 0)
            return rc;
        is_over = is_over && (bal->parts[i].gives == 0 || bal->parts[i].is_through);
    }
    if (!is_over || bal->moves.count > 0)
        return 0;
    if (bal->ordered == 0)
        bal->state = NN_BALANCE_NO_BLOCK;
    else
        end_iteration(bal, now_ms);
    return 0;
}

int nn_balance_step(struct nn_balance *bal, uint64_t now_ms, struct nn_orders *orders)
{
    if (bal->state == NN_BALANCE_IDLE)
        return 0;
    if (now_ms - bal->polled_ms >= ALONE_MS) {
        nn_balance_release(bal);
        return 0;
    }
    end_moves(bal, now_ms);
    if (bal->state == NN_BALANCE_REST && is_rested(bal, now_ms))
        bal->state = NN_BALANCE_PLAN;
    if (bal->state == NN_BALANCE_PLAN)
        plan(bal);
    return bal->state == NN_BALANCE_MOVE ? move(bal, now_ms, orders) : 0;
}
