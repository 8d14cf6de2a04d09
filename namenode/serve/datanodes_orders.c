/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/datanodes_orders.h"

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

#define ORDER_TIMEOUT_MS 60000

/* One order on its way: the question, and what to conclude when it cannot be put. */
struct sent {
    struct rpc_wait wait;
    struct list link;
    struct nn_pusher *pusher;
    struct nn_order *order; /* owned */
};

void nn_pusher_init(struct nn_pusher *p, struct nn_blocks *blocks, struct loop *loop, uint64_t term)
{
    *p = (struct nn_pusher){.blocks = blocks, .loop = loop, .term = term};
    list_init(&p->sent);
}

static void sent_free(struct sent *s)
{
    list_remove(&s->link);
    nn_order_free(s->order);
    mem_free(s);
}

void nn_pusher_release(struct nn_pusher *p)
{
    list_each_safe (&p->sent, it) {
        struct sent *s = list_entry(it, struct sent, link);
        rpc_cancel(&s->wait);
        sent_free(s);
    }
}

/* The order was not taken: say at once what would otherwise be found out by a time-out. */
static void not_taken(struct nn_pusher *p, const struct nn_order *order, int code)
{
    uint64_t now_ms = loop_now_ms(p->loop);
    const struct nn_recovered failed = {.gs = order->new_gs};
    int rc = 0;
    if (order->kind == NN_ORDER_COPY)
        for (size_t i = 0; i < order->target_count && rc == 0; i++)
            rc = nn_blocks_copied(p->blocks, order->node, order->block, order->targets[i], code,
                                  now_ms);
    if (order->kind == NN_ORDER_RECOVER)
        (void)nn_blocks_recovery_result(p->blocks, order->block, &failed, code, now_ms);
    if (rc < 0)
        log_warn("nn.orders", "%s of blk_%llu_%llu: %s", nn_order_kind_name(order->kind),
                 (unsigned long long)order->block.id, (unsigned long long)order->block.gs,
                 err_text(rc));
}

static void order_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct sent *s = arg;
    (void)answer;
    if (code != 0) {
        if (code != ERR_CLOSED && code != ERR_UNREACHABLE)
            log_warn("nn.orders", "%s", err->msg);
        not_taken(s->pusher, s->order, code);
    }
    sent_free(s);
}

static int fill_nodes(const struct nn_pusher *p, const struct nn_order *order, struct arena *arena,
                      struct msg_node_list *ret)
{
    ret->v = arena_calloc(arena, order->target_count + 1, sizeof(*ret->v));
    if (!ret->v)
        return ERR_NOMEM;
    for (size_t i = 0; i < order->target_count; i++)
        nn_datanodes_fill(p->blocks, order->targets[i], &ret->v[ret->n++]);
    return 0;
}

static int fill_blocks(const struct nn_order *order, struct arena *arena,
                       struct msg_block_list *ret)
{
    ret->v = arena_calloc(arena, order->block_count + 1, sizeof(*ret->v));
    if (!ret->v)
        return ERR_NOMEM;
    for (size_t i = 0; i < order->block_count; i++)
        ret->v[ret->n++] = (struct msg_block){order->blocks[i].id, order->blocks[i].gs, 0};
    return 0;
}

static int ask(struct nn_pusher *p, struct rpc_peer *peer, struct sent *s, struct arena *arena)
{
    const struct nn_order *o = s->order;
    struct msg_block block = {o->block.id, o->block.gs, o->len};
    struct nn2dn_copy copy = {.term = p->term, .block = block};
    struct nn2dn_delete delete = {.term = p->term};
    struct nn2dn_recover recover = {.term = p->term, .block = block, .new_gs = o->new_gs};
    struct nn2dn_report report = {.term = p->term};
    struct nn2dn_clone clone = {.term = p->term, .from = block};
    struct nn2dn_bandwidth bandwidth = {.term = p->term, .bytes_per_s = o->len};
    const void *msg = &report;
    size_t method = NN2DN_AT_REPORT;
    int rc = 0;
    switch (o->kind) {
    case NN_ORDER_COPY:
        rc = fill_nodes(p, o, arena, &copy.targets);
        msg = &copy;
        method = NN2DN_AT_COPY;
        break;
    case NN_ORDER_DELETE:
        rc = fill_blocks(o, arena, &delete.blocks);
        msg = &delete;
        method = NN2DN_AT_DELETE;
        break;
    case NN_ORDER_RECOVER:
        rc = fill_nodes(p, o, arena, &recover.nodes);
        msg = &recover;
        method = NN2DN_AT_RECOVER;
        break;
    case NN_ORDER_CLONE:
        clone.block = (struct msg_block){o->blocks[0].id, o->blocks[0].gs, o->keep};
        msg = &clone;
        method = NN2DN_AT_CLONE;
        break;
    case NN_ORDER_REPORT:
        break;
    case NN_ORDER_BANDWIDTH:
        msg = &bandwidth;
        method = NN2DN_AT_BANDWIDTH;
        break;
    }
    if (rc == 0)
        rpc_ask(peer, &NN2DN_methods[method], msg, &s->wait);
    return rc;
}

static void push(struct nn_pusher *p, struct nn_order *order, struct arena *arena)
{
    struct rpc_peer *peer = nn_nodes_get(&p->blocks->nodes, order->node)->link;
    struct sent *s = peer ? mem_calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        nn_order_free(order);
        return;
    }
    *s = (struct sent){.pusher = p, .order = order};
    s->wait = (struct rpc_wait){.done = order_done, .arg = s, .timeout_ms = ORDER_TIMEOUT_MS};
    list_push_back(&p->sent, &s->link);
    if (ask(p, peer, s, arena) < 0)
        sent_free(s);
}

void nn_pusher_push_all(struct nn_pusher *p)
{
    struct arena arena = ARENA_INIT;
    struct nn_order *order = NULL;
    while ((order = nn_blocks_take_order(p->blocks)) != NULL) {
        push(p, order, &arena);
        arena_reset(&arena);
    }
    arena_release(&arena);
}
