/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/datanodes.h"

#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "namenode/serve/datanodes_orders.h"

#define STEP_MS 100 /* the block side's time passes at least so often */
#define MORE_MS 5   /* between slices of long work: others get their turn */

struct nn_datanodes {
    struct nn_datanodes_conf conf;
    struct nn_pusher pusher;
    struct loop_timer timer, more;
    struct loop_hook hook;
    struct list registering;   /* struct registering */
    bool was_safe, was_behind; /* in safe mode at the last look, for the log */
};

/* A registration that waits for its rack. */
struct registering {
    struct list link;
    struct nn_datanodes *d;
    struct rpc_call *call;
    const struct dn2nn_register *ask;
    struct racks_wait wait;
};

static uint64_t now_of(const struct nn_datanodes *d)
{
    return loop_now_ms(d->conf.loop);
}

/* The node this connection registered as; 0 before that, or when a newer one took its place. */
static uint32_t node_of(const struct nn_datanodes *d, const struct rpc_peer *peer)
{
    uint32_t node = peer ? (uint32_t)(uintptr_t)rpc_peer_data(peer) : 0;
    return node && nn_nodes_get(&d->conf.blocks->nodes, node)->link == peer ? node : 0;
}

/* ---- who may come, and who is to go ---- */

/* What is wanted of a node. One that is refused loses its connection. */
static int admit(struct nn_datanodes *d, uint32_t node)
{
    if (!d->conf.admission)
        return 0;
    int rc = nn_admission_apply(d->conf.admission, d->conf.blocks, node, now_of(d));
    struct nn_node *n = nn_nodes_get(&d->conf.blocks->nodes, node);
    struct rpc_peer *peer = n->link;
    if (n->is_refused && peer) {
        log_info("nn.datanodes", SLICE_FMT " is not in the include-list any more",
                 SLICE_ARG(n->address.name));
        n->link = NULL;
        rpc_peer_close(peer);
    }
    return rc;
}

int nn_datanodes_admit(struct nn_datanodes *d)
{
    int rc = 0;
    for (uint32_t i = 1; i <= d->conf.blocks->nodes.node_count && rc == 0; i++)
        rc = admit(d, i);
    return rc;
}

/* Say in the log what became of nodes that leave, rest or are back. */
static void log_admin(const struct nn_datanodes *d)
{
    const struct nn_nodes *nodes = &d->conf.blocks->nodes;
    for (size_t i = 0; i < nodes->node_count; i++) {
        struct nn_node *n = nodes->node[i];
        if (n->logged_admin == n->admin)
            continue;
        n->logged_admin = n->admin;
        log_info("nn.datanodes", SLICE_FMT ": %s", SLICE_ARG(n->address.name),
                 nn_node_admin_name(n->admin));
    }
}

/* ---- registration ---- */

static int storages_of(const struct dn2nn_storage_list *from, struct arena *arena,
                       const struct nn_storage_facts **ret)
{
    struct nn_storage_facts *facts = arena_calloc(arena, from->n + 1, sizeof(*facts));
    if (!facts)
        return ERR_NOMEM;
    for (size_t i = 0; i < from->n; i++)
        facts[i] =
            (struct nn_storage_facts){from->v[i].id, from->v[i].has_failed, from->v[i].capacity,
                                      from->v[i].used, from->v[i].remaining};
    *ret = facts;
    return 0;
}

static void take_connection(struct nn_datanodes *d, uint32_t node, struct rpc_peer *peer)
{
    struct nn_node *n = nn_nodes_get(&d->conf.blocks->nodes, node);
    struct rpc_peer *old = n->link;
    n->link = peer;
    rpc_peer_set_data(peer, (void *)(uintptr_t)node);
    if (old && old != peer)
        rpc_peer_close(old);
}

static int register_node(struct nn_datanodes *d, struct rpc_call *call,
                         const struct dn2nn_register *ask, struct slice rack, uint32_t *ret_node,
                         struct err *err)
{
    const struct msg_node *n = &ask->node;
    struct nn_registration reg = {
        .address = {.name = n->name,
                    .host = n->host,
                    .rack = rack,
                    .socket = n->socket,
                    .boot_id = n->boot_id,
                    .data_port = n->data_port,
                    .http_port = n->http_port,
                    .netns = n->netns},
        .uuid = ask->node_uuid,
        .storage_count = ask->storages.n,
    };
    if (ask->cluster_id.len > 0 && !slice_is(ask->cluster_id, d->conf.cluster_id))
        return err_set(err, ERR_FOREIGN,
                       "datanode " SLICE_FMT " belongs to cluster " SLICE_FMT
                       ", this namenode is of cluster %s: wrong disk, or wrong namenode",
                       SLICE_ARG(n->name), SLICE_ARG(ask->cluster_id), d->conf.cluster_id);
    if (storages_of(&ask->storages, rpc_call_arena(call), &reg.storages) < 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = d->conf.admission ? nn_admission_check(d->conf.admission, &reg.address, err) : 0;
    if (rc == 0)
        rc = nn_blocks_register(d->conf.blocks, &reg, now_of(d), ret_node, err);
    if (rc == 0 && admit(d, *ret_node) < 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    return rc;
}

static void answer_registered(struct nn_datanodes *d, struct rpc_call *call)
{
    const struct nn_blocks_conf *conf = &d->conf.blocks->conf;
    struct dn2nn_registered answer = {
        .cluster_id = slice_str(d->conf.cluster_id),
        .term = d->conf.term,
        .heartbeat_ms = conf->heartbeat_ms,
        .report_ms = conf->report_ms,
        .highest_gs = d->conf.highest_gs ? d->conf.highest_gs(d->conf.ctx) : 0,
    };
    rpc_answer(call, &answer);
}

static void on_rack(void *arg, struct slice rack)
{
    struct registering *r = arg;
    struct nn_datanodes *d = r->d;
    struct rpc_call *call = r->call;
    const struct dn2nn_register *ask = r->ask;
    struct rpc_peer *peer = rpc_call_peer(call);
    struct err err = {0};
    uint32_t node = 0;
    list_remove(&r->link);
    mem_free(r);
    if (!peer)
        return rpc_fail(call, ERR_CLOSED, "connection closed");
    if (register_node(d, call, ask, rack, &node, &err) < 0) {
        log_warn("nn.datanodes", "refused %s: %s", rpc_call_address(call), err.msg);
        return rpc_fail_err(call, &err);
    }
    take_connection(d, node, peer);
    log_info("nn.datanodes", SLICE_FMT " registered from %s: rack " SLICE_FMT ", %zu storages",
             SLICE_ARG(ask->node.name), rpc_call_address(call), SLICE_ARG(rack), ask->storages.n);
    answer_registered(d, call);
}

static void on_register(struct rpc_call *call, const void *msg, void *arg)
{
    struct nn_datanodes *d = arg;
    const struct dn2nn_register *ask = msg;
    struct registering *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    *r = (struct registering){.d = d, .call = call, .ask = ask};
    r->wait.done = on_rack;
    r->wait.arg = r;
    list_push_back(&d->registering, &r->link);
    racks_ask(d->conf.racks, ask->node.name, ask->node.host, ask->node.rack, &r->wait);
}

void nn_datanodes_peer_down(struct nn_datanodes *d, struct rpc_peer *peer)
{
    uint32_t node = node_of(d, peer);
    if (!node)
        return;
    struct nn_node *n = nn_nodes_get(&d->conf.blocks->nodes, node);
    n->link = NULL;
    log_warn("nn.datanodes", "lost the connection to " SLICE_FMT, SLICE_ARG(n->address.name));
    nn_blocks_disconnect(d->conf.blocks, node, n->session, now_of(d));
}

/* ---- what registered nodes say ---- */

static void heard(const struct nn_datanodes *d, struct rpc_call *call, bool register_again)
{
    struct dn2nn_heard answer = {.term = d->conf.term, .register_again = register_again};
    rpc_answer(call, &answer);
}

static void on_heartbeat(struct rpc_call *call, const void *msg, void *arg)
{
    struct nn_datanodes *d = arg;
    const struct dn2nn_heartbeat *ask = msg;
    uint32_t node = node_of(d, rpc_call_peer(call));
    struct nn_heartbeat beat = {
        .storage_count = ask->storages.n, .xceivers = ask->xceivers, .non_dfs = ask->non_dfs};
    if (node && storages_of(&ask->storages, rpc_call_arena(call), &beat.storages) < 0)
        return rpc_fail(call, ERR_NOMEM, "out of memory");
    heard(d, call, !node || !nn_blocks_heartbeat(d->conf.blocks, node, &beat, now_of(d)));
}

static void on_full_report(struct rpc_call *call, const void *msg, void *arg)
{
    struct nn_datanodes *d = arg;
    const struct dn2nn_full_report *ask = msg;
    uint32_t node = node_of(d, rpc_call_peer(call));
    size_t n = ask->ids.n;
    struct nn_report_page page = {ask->report_id, ask->page,   ask->is_last,  ask->ids.v,
                                  ask->stamps.v,  ask->lens.v, ask->states.v, n};
    if (ask->stamps.n != n || ask->lens.n != n || ask->states.n != n)
        return rpc_fail(call, ERR_PROTO, "the columns of a report differ in length");
    if (!node)
        return heard(d, call, true);
    int rc = nn_blocks_report(d->conf.blocks, node, ask->storage, &page, now_of(d));
    if (rc == ERR_NOENT)
        return heard(d, call, true);
    if (rc < 0)
        return rpc_fail(call, rc, "page %u of report %llu: %s", ask->page,
                        (unsigned long long)ask->report_id, err_text(rc));
    heard(d, call, false);
}

_Static_assert((int)NN_CHANGE_RECEIVING == DN2NN_RECEIVING && (int)NN_CHANGE_BAD == DN2NN_BAD &&
                   (int)NN_CHANGE_RECEIVED == DN2NN_RECEIVED &&
                   (int)NN_CHANGE_DELETED == DN2NN_DELETED,
               "the wire's numbers are ours");
_Static_assert((int)NN_REPLICA_RUR == DN2NN_RUR && (int)NN_REPLICA_FINALIZED == DN2NN_FINALIZED &&
                   (int)NN_REPLICA_RBW == DN2NN_RBW && (int)NN_REPLICA_RWR == DN2NN_RWR,
               "the wire's numbers are ours");

static void on_changes(struct rpc_call *call, const void *msg, void *arg)
{
    struct nn_datanodes *d = arg;
    const struct dn2nn_changes *ask = msg;
    uint32_t node = node_of(d, rpc_call_peer(call));
    int rc = node ? 0 : ERR_NOENT;
    for (size_t i = 0; i < ask->changes.n && rc == 0; i++) {
        const struct dn2nn_replica_change *c = &ask->changes.v[i];
        struct nn_said said = {c->block.id, c->block.gs, c->block.len, NN_REPLICA_FINALIZED};
        if (c->change > DN2NN_BAD)
            return rpc_fail(call, ERR_PROTO, "change %u does not exist", c->change);
        rc = nn_blocks_change(d->conf.blocks, node, c->storage, (enum nn_change)c->change, &said,
                              now_of(d));
    }
    if (rc == ERR_NOENT)
        return heard(d, call, true);
    if (rc < 0)
        return rpc_fail(call, rc, "%s", err_text(rc));
    heard(d, call, false);
}

/* A code from the wire: 0, one of ours, or ERR_FAILED for what is none. */
static int code_of(int64_t code)
{
    return code == 0 ? 0 : code < 0 && code >= INT32_MIN ? (int)code : ERR_FAILED;
}

static void on_copied(struct rpc_call *call, const void *msg, void *arg)
{
    struct nn_datanodes *d = arg;
    const struct dn2nn_copied *ask = msg;
    uint32_t node = node_of(d, rpc_call_peer(call));
    const struct nn_node *target = nn_nodes_find(&d->conf.blocks->nodes, ask->target);
    struct block_id block = {ask->block.id, ask->block.gs};
    if (node && target) {
        if (ask->code != 0)
            log_warn("nn.datanodes", "copy of blk_%llu_%llu to " SLICE_FMT " failed: " SLICE_FMT,
                     (unsigned long long)block.id, (unsigned long long)block.gs,
                     SLICE_ARG(ask->target), SLICE_ARG(ask->why));
        int rc = nn_blocks_copied(d->conf.blocks, node, block, target->index, code_of(ask->code),
                                  now_of(d));
        if (rc < 0)
            return rpc_fail(call, rc, "%s", err_text(rc));
    }
    rpc_answer(call, NULL);
}

static void on_recovered(struct rpc_call *call, const void *msg, void *arg)
{
    struct nn_datanodes *d = arg;
    const struct dn2nn_recovered *ask = msg;
    struct block_id block = {ask->block.id, ask->block.gs};
    struct nn_recovered result = {
        .gs = ask->new_gs, .len = ask->new_len, .is_dropped = ask->nodes.n == 0};
    int rc =
        nn_blocks_recovery_result(d->conf.blocks, block, &result, code_of(ask->code), now_of(d));
    log_info(
        "nn.datanodes", "recovery of blk_%llu_%llu to stamp %llu: %s, %llu bytes on %zu nodes%s",
        (unsigned long long)block.id, (unsigned long long)block.gs, (unsigned long long)ask->new_gs,
        ask->code ? err_text(code_of(ask->code)) : "done", (unsigned long long)ask->new_len,
        ask->nodes.n, rc == ERR_STALE ? " (late, not taken)" : "");
    if (rc == ERR_STALE)
        return rpc_fail(call, rc, "recovery %llu of blk_%llu is over",
                        (unsigned long long)ask->new_gs, (unsigned long long)block.id);
    rpc_answer(call, NULL);
}

/* ---- time, and the whole ---- */

/* Only wakes the loop: the work is done at the end of the turn. */
static void on_timer(void *arg)
{
    (void)arg;
}

static void log_safemode(struct nn_datanodes *d)
{
    const struct nn_safemode *safemode = &d->conf.blocks->safemode;
    bool is_safe = nn_safemode_is_on(safemode), is_behind = nn_safemode_is_behind(safemode);
    if (is_safe != d->was_safe)
        log_info("nn.safemode", "safe mode is %s", is_safe ? "ON" : "OFF");
    if (is_behind && !d->was_behind) {
        struct nn_safemode_figures figures = nn_blocks_figures(d->conf.blocks);
        struct buf why = BUF_INIT;
        nn_safemode_why(safemode, &figures, now_of(d), &why);
        log_error("nn.safemode", SLICE_FMT, SLICE_ARG(buf_slice(&why)));
        buf_release(&why);
    }
    d->was_safe = is_safe;
    d->was_behind = is_behind;
}

static void on_turn_end(void *arg)
{
    struct nn_datanodes *d = arg;
    int rc = nn_blocks_step(d->conf.blocks, now_of(d));
    if (rc < 0)
        log_warn("nn.blocks", "housekeeping: %s", err_text(rc));
    nn_pusher_push_all(&d->pusher);
    log_admin(d);
    /* Short of memory, the other timer comes soon enough. */
    if (nn_blocks_has_more(d->conf.blocks) && !loop_timer_is_running(&d->more))
        (void)loop_after(d->conf.loop, &d->more, MORE_MS, on_timer, d);
    log_safemode(d);
}

struct nn_datanodes *nn_datanodes_new(const struct nn_datanodes_conf *conf)
{
    struct nn_datanodes *d = mem_calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->conf = *conf;
    d->was_safe = nn_safemode_is_on(&conf->blocks->safemode);
    list_init(&d->registering);
    nn_pusher_init(&d->pusher, conf->blocks, conf->loop, conf->term);
    if (loop_every(conf->loop, &d->timer, STEP_MS, on_timer, d) < 0) {
        mem_free(d);
        return NULL;
    }
    loop_on_turn_end(conf->loop, &d->hook, on_turn_end, d);
    return d;
}

void nn_datanodes_free(struct nn_datanodes *d)
{
    if (!d)
        return;
    loop_timer_stop(&d->timer);
    loop_timer_stop(&d->more);
    loop_hook_remove(&d->hook);
    nn_pusher_release(&d->pusher);
    list_each_safe (&d->registering, it) {
        struct registering *r = list_entry(it, struct registering, link);
        racks_cancel(&r->wait);
        rpc_fail(r->call, ERR_CLOSED, "the namenode is stopping");
        mem_free(r);
    }
    mem_free(d);
}

struct rpc_service nn_datanodes_service(struct nn_datanodes *d)
{
    static rpc_handler *const handlers[DN2NN_METHOD_COUNT] = {
        [DN2NN_AT_REGISTER] = on_register,       [DN2NN_AT_HEARTBEAT] = on_heartbeat,
        [DN2NN_AT_FULL_REPORT] = on_full_report, [DN2NN_AT_CHANGES] = on_changes,
        [DN2NN_AT_COPIED] = on_copied,           [DN2NN_AT_RECOVERED] = on_recovered,
    };
    return (struct rpc_service){DN2NN_methods, handlers, DN2NN_METHOD_COUNT,
                                HELLO_ROLE(WIRE_DATANODE), d};
}

void nn_datanodes_fill(const struct nn_blocks *blocks, uint32_t node, struct msg_node *ret)
{
    const struct nn_node *n = nn_nodes_get(&blocks->nodes, node);
    *ret = (struct msg_node){
        .name = n->address.name,
        .host = n->address.host,
        .data_port = n->address.data_port,
        .http_port = n->address.http_port,
        .rack = n->address.rack,
        .socket = n->address.socket,
        .boot_id = n->address.boot_id,
        .netns = n->address.netns,
    };
}
