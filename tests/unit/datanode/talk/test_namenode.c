/* SPDX-License-Identifier: Apache-2.0
 * A namenode that only listens and gives the orders it is told to, and real datanodes. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include "libcommon/wire/rpc.h"

#define SAID_MAX 256

struct said {
    char node[16];
    unsigned at; /* DN2NN_AT_ */
    uint64_t id, gs, len,
        state; /* of a replica reported or changed; state: also enum dn2nn_change */
    int code;
};

struct fake {
    struct identity identity;
    struct loop *loop;
    struct thread thread;
    struct rpc_server *server;
    struct rpc_service service;
    char address[SOCK_TEXT_MAX];
    uint64_t term;
    struct rpc_peer *peers[NODES_MAX];
    /* guarded by lock */
    struct mutex lock;
    struct said said[SAID_MAX];
    size_t count;
    unsigned registrations, heartbeats, reports_closed;
    unsigned closed_at_bad; /* reports_closed when a bad replica was last told */
    bool ask_again;
    char cluster_said[64], storage[64];
    uint64_t capacity;
};

static void note(struct fake *f, struct rpc_call *call, struct said said)
{
    struct rpc_peer *peer = rpc_call_peer(call);
    snprintf(said.node, sizeof(said.node), "%s", peer ? rpc_peer_node(peer) : "");
    if (f->count < SAID_MAX)
        f->said[f->count++] = said;
}

static void answer_heard(struct fake *f, struct rpc_call *call)
{
    struct dn2nn_heard heard = {.term = f->term, .register_again = f->ask_again};
    f->ask_again = false;
    rpc_answer(call, &heard);
}

static void on_register(struct rpc_call *call, const void *msg, void *arg)
{
    struct fake *f = arg;
    const struct dn2nn_register *ask = msg;
    mutex_lock(&f->lock);
    f->registrations++;
    snprintf(f->cluster_said, sizeof(f->cluster_said), SLICE_FMT, SLICE_ARG(ask->cluster_id));
    if (ask->storages.n > 0) {
        snprintf(f->storage, sizeof(f->storage), SLICE_FMT, SLICE_ARG(ask->storages.v[0].id));
        f->capacity = ask->storages.v[0].capacity;
    }
    for (int i = 0; i < NODES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "dn%d", i + 1);
        if (slice_is(ask->node.name, name))
            f->peers[i] = rpc_call_peer(call);
    }
    note(f, call, (struct said){.at = DN2NN_AT_REGISTER});
    mutex_unlock(&f->lock);
    struct dn2nn_registered answer = {.cluster_id = slice_str(f->identity.cluster),
                                      .term = f->term,
                                      .heartbeat_ms = 30,
                                      .report_ms = 600000};
    rpc_answer(call, &answer);
}

static void on_heartbeat(struct rpc_call *call, const void *msg, void *arg)
{
    struct fake *f = arg;
    (void)msg;
    mutex_lock(&f->lock);
    f->heartbeats++;
    answer_heard(f, call);
    mutex_unlock(&f->lock);
}

static void on_full_report(struct rpc_call *call, const void *msg, void *arg)
{
    struct fake *f = arg;
    const struct dn2nn_full_report *r = msg;
    mutex_lock(&f->lock);
    for (size_t i = 0; i < r->ids.n; i++)
        note(f, call,
             (struct said){.at = DN2NN_AT_FULL_REPORT,
                           .id = r->ids.v[i],
                           .gs = r->stamps.v[i],
                           .len = r->lens.v[i],
                           .state = r->states.v[i]});
    f->reports_closed += r->is_last;
    answer_heard(f, call);
    mutex_unlock(&f->lock);
}

static void on_changes(struct rpc_call *call, const void *msg, void *arg)
{
    struct fake *f = arg;
    const struct dn2nn_changes *c = msg;
    mutex_lock(&f->lock);
    for (size_t i = 0; i < c->changes.n; i++) {
        const struct dn2nn_replica_change *v = &c->changes.v[i];
        if (v->change == DN2NN_BAD)
            f->closed_at_bad = f->reports_closed;
        note(f, call,
             (struct said){.at = DN2NN_AT_CHANGES,
                           .id = v->block.id,
                           .gs = v->block.gs,
                           .len = v->block.len,
                           .state = v->change});
    }
    answer_heard(f, call);
    mutex_unlock(&f->lock);
}

static void on_copied(struct rpc_call *call, const void *msg, void *arg)
{
    struct fake *f = arg;
    const struct dn2nn_copied *c = msg;
    mutex_lock(&f->lock);
    note(f, call, (struct said){.at = DN2NN_AT_COPIED, .id = c->block.id, .code = (int)c->code});
    mutex_unlock(&f->lock);
    rpc_answer(call, NULL);
}

static void on_recovered(struct rpc_call *call, const void *msg, void *arg)
{
    struct fake *f = arg;
    const struct dn2nn_recovered *r = msg;
    mutex_lock(&f->lock);
    note(f, call,
         (struct said){.at = DN2NN_AT_RECOVERED,
                       .id = r->block.id,
                       .gs = r->new_gs,
                       .len = r->new_len,
                       .state = r->nodes.n,
                       .code = (int)r->code});
    mutex_unlock(&f->lock);
    rpc_answer(call, NULL);
}

static void on_down(struct rpc_peer *peer, int code, void *arg)
{
    struct fake *f = arg;
    (void)code;
    for (int i = 0; i < NODES_MAX; i++)
        if (f->peers[i] == peer)
            f->peers[i] = NULL;
}

static void run_fake(void *arg)
{
    struct fake *f = arg;
    loop_run(f->loop);
}

static void fake_open(struct fake *f, const char *address, const char *cluster, uint64_t term)
{
    static rpc_handler *const handlers[DN2NN_METHOD_COUNT] = {
        [DN2NN_AT_REGISTER] = on_register,       [DN2NN_AT_HEARTBEAT] = on_heartbeat,
        [DN2NN_AT_FULL_REPORT] = on_full_report, [DN2NN_AT_CHANGES] = on_changes,
        [DN2NN_AT_COPIED] = on_copied,           [DN2NN_AT_RECOVERED] = on_recovered,
    };
    struct err err = {0};
    memset(f, 0, sizeof(*f));
    mutex_init(&f->lock);
    f->identity = (struct identity){.role = WIRE_NAMENODE, .cluster = cluster, .node = "nn"};
    f->term = term;
    f->loop = loop_new(&err);
    f->service = (struct rpc_service){DN2NN_methods, handlers, DN2NN_METHOD_COUNT, 0, f};
    struct rpc_conf conf = {.self = &f->identity,
                            .services = &f->service,
                            .service_count = 1,
                            .on_peer_down = on_down,
                            .arg = f};
    if (rpc_server_open(f->loop, address, &conf, &f->server, &err) != 0)
        fail_msg("%s", err.msg);
    snprintf(f->address, sizeof(f->address), "%s", rpc_server_address(f->server));
    assert_int_equal(thread_start(&f->thread, "fake", run_fake, f, NULL), 0);
}

static void fake_close(struct fake *f)
{
    loop_stop(f->loop);
    thread_join(&f->thread);
    rpc_server_close(f->server);
    loop_turn(f->loop, 0);
    loop_turn(f->loop, 0);
    loop_free(f->loop);
    mutex_release(&f->lock);
}

static bool was_said(struct fake *f, const struct said *want)
{
    bool found = false;
    mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count && !found; i++) {
        const struct said *s = &f->said[i];
        found = s->at == want->at && s->id == want->id && s->gs == want->gs &&
                s->len == want->len && s->state == want->state && s->code == want->code;
    }
    mutex_unlock(&f->lock);
    return found;
}

static void expect_said(struct fake *f, struct said want)
{
    for (int i = 0; i < 800; i++) {
        if (was_said(f, &want))
            return;
        usleep(5000);
    }
    for (size_t i = 0; i < f->count; i++)
        print_message("%s said %s blk_%u_%u len %u state %u code %d\n", f->said[i].node,
                      DN2NN_methods[f->said[i].at].name, (unsigned)f->said[i].id,
                      (unsigned)f->said[i].gs, (unsigned)f->said[i].len, (unsigned)f->said[i].state,
                      f->said[i].code);
    fail_msg("nobody said %s of blk_%u", DN2NN_methods[want.at].name, (unsigned)want.id);
}

static void wait_for(struct fake *f, const unsigned *counter, unsigned at_least)
{
    for (int i = 0; i < 1000; i++) {
        mutex_lock(&f->lock);
        bool is_there = *counter >= at_least;
        mutex_unlock(&f->lock);
        if (is_there)
            return;
        usleep(5000);
    }
    fail_msg("waited in vain");
}

/* ---- orders ---- */

struct order {
    struct fake *fake;
    int node;
    unsigned at; /* NN2DN_AT_ */
    const void *msg;
    struct loop_task task;
    struct rpc_wait wait;
    int code;
    _Atomic bool is_done;
};

static void order_answered(void *arg, int code, const void *answer, const struct err *err)
{
    struct order *o = arg;
    (void)answer;
    (void)err;
    o->code = code;
    atomic_store(&o->is_done, true);
}

static void give_order(void *arg)
{
    struct order *o = arg;
    o->wait.done = order_answered;
    o->wait.arg = o;
    rpc_ask(o->fake->peers[o->node], &NN2DN_methods[o->at], o->msg, &o->wait);
}

/* The code the order was answered with. */
static int order(struct fake *f, int node, unsigned at, const void *msg)
{
    struct order o = {.fake = f, .node = node, .at = at, .msg = msg};
    loop_post(f->loop, &o.task, give_order, &o);
    while (!atomic_load(&o.is_done))
        usleep(1000);
    return o.code;
}

/* ---- a cluster with it ---- */

static struct cluster *open_with(struct fake *f, int count)
{
    struct node_options options = {.namenode = f->address};
    fake_open(f, "127.0.0.1:0", "c1", 5);
    struct cluster *c = cluster_open(count, &options);
    wait_for(f, &f->reports_closed, (unsigned)count);
    return c;
}

static void close_both(struct cluster *c, struct fake *f)
{
    cluster_close(c);
    fake_close(f);
}

static void reopen(struct cluster *c, int i, struct fake *f)
{
    struct node_options options = {.namenode = f->address};
    node_open(&c->node[i], &options);
}

static void a_fresh_datanode_takes_the_cluster_of_its_namenode(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 1);
    assert_string_equal(f.cluster_said, "c1");
    assert_int_not_equal(f.capacity, 0);
    wait_for(&f, &f.heartbeats, 3);
    assert_int_equal(f.registrations, 1);
    char storage[64];
    memcpy(storage, f.storage, sizeof(storage));
    node_close(&c->node[0]);
    reopen(c, 0, &f);
    wait_for(&f, &f.registrations, 2);
    assert_string_equal(f.storage, storage); /* it is known again by its disks */
    close_both(c, &f);
}

static void another_clusters_namenode_ends_the_datanode(void **state)
{
    (void)state;
    struct fake f, other;
    struct cluster *c = open_with(&f, 1);
    node_close(&c->node[0]);
    fake_open(&other, "127.0.0.1:0", "c2", 5);
    reopen(c, 0, &other);
    struct node *n = &c->node[0];
    char want[300];
    snprintf(want, sizeof(want),
             "%s belongs to cluster c1, namenode %s is cluster c2: wrong disk, "
             "or wrong namenode",
             n->dir, other.address);
    int code = 0;
    for (int i = 0; i < 1000 && code == 0; i++) {
        usleep(5000);
        mutex_lock(&n->lock);
        code = n->fatal.code;
        mutex_unlock(&n->lock);
    }
    assert_int_equal(code, ERR_FOREIGN);
    assert_string_equal(n->fatal.msg, want);
    assert_int_equal(other.registrations, 0);
    close_both(c, &f);
    fake_close(&other);
}

static void nothing_is_served_before_the_namenode_knows_us(void **state)
{
    (void)state;
    struct node_options options = {.namenode = "127.0.0.1:1"};
    struct cluster *c = cluster_open(1, &options);
    struct peer p;
    struct data_writing answer = {0};
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), ERR_RETRY);
    peer_close(&p);
    cluster_close(c);
}

static void what_happens_is_told_at_once(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 2);
    write_block(c, 3, 7, 5000, 2);
    expect_said(&f,
                (struct said){.at = DN2NN_AT_CHANGES, .id = 3, .gs = 7, .state = DN2NN_RECEIVING});
    expect_said(
        &f, (struct said){
                .at = DN2NN_AT_CHANGES, .id = 3, .gs = 7, .len = 5000, .state = DN2NN_RECEIVED});
    struct msg_block it = {.id = 3, .gs = 7};
    struct nn2dn_delete del = {.term = 5, .blocks = {&it, 1}};
    assert_int_equal(order(&f, 0, NN2DN_AT_DELETE, &del), 0);
    expect_said(&f,
                (struct said){
                    .at = DN2NN_AT_CHANGES, .id = 3, .gs = 7, .len = 5000, .state = DN2NN_DELETED});
    expect_state(&c->node[1], 3, DN_REPLICA_FINALIZED, 7, 5000);
    close_both(c, &f);
}

static void a_full_report_says_everything_also_what_is_damaged(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 1);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 9, .gs = 7};
    for (uint64_t id = 1; id <= 5; id++)
        write_block(c, id, 10 + id, 1000 * id, 1);
    open_chain(&p, &chain);
    send_packet(&p, 0, 700, PACKET_FLUSH);
    expect_acks(&p, 0, 0, 1);
    flip_byte(&c->node[0], 4, 14, false, 100);
    struct peer reader;
    struct reading r;
    struct data_read ask = {.block = {.id = 4}, .length = 4000};
    peer_open(&reader, c->node[0].address);
    assert_int_equal(read_range(&reader, &ask, &r, NULL), 0);
    assert_int_equal(r.failed, ERR_CHECKSUM);
    peer_close(&reader);
    expect_said(
        &f,
        (struct said){.at = DN2NN_AT_CHANGES, .id = 4, .gs = 14, .len = 4000, .state = DN2NN_BAD});
    mutex_lock(&f.lock);
    f.count = 0;
    unsigned closed = f.reports_closed;
    mutex_unlock(&f.lock);
    struct nn2dn_report again = {.term = 5};
    assert_int_equal(order(&f, 0, NN2DN_AT_REPORT, &again), 0);
    for (uint64_t id = 1; id <= 5; id++)
        expect_said(&f, (struct said){.at = DN2NN_AT_FULL_REPORT,
                                      .id = id,
                                      .gs = 10 + id,
                                      .len = 1000 * id,
                                      .state = DN2NN_FINALIZED});
    expect_said(&f,
                (struct said){
                    .at = DN2NN_AT_FULL_REPORT, .id = 9, .gs = 7, .len = 700, .state = DN2NN_RBW});
    expect_said(
        &f,
        (struct said){.at = DN2NN_AT_CHANGES, .id = 4, .gs = 14, .len = 4000, .state = DN2NN_BAD});
    wait_for(&f, &f.reports_closed, closed + 1);
    assert_int_equal(f.closed_at_bad, closed); /* told before the report was whole */
    peer_close(&p);
    close_both(c, &f);
}

static void asked_to_register_again_it_tells_everything_again(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 1);
    write_block(c, 3, 7, 5000, 1);
    mutex_lock(&f.lock);
    f.ask_again = true;
    mutex_unlock(&f.lock);
    wait_for(&f, &f.registrations, 2);
    expect_said(&f, (struct said){.at = DN2NN_AT_FULL_REPORT, .id = 3, .gs = 7, .len = 5000});
    close_both(c, &f);
}

static void a_namenode_that_comes_back_is_told_everything(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 1);
    char address[SOCK_TEXT_MAX];
    memcpy(address, f.address, sizeof(address));
    fake_close(&f);
    write_block(c, 3, 7, 5000, 1); /* serving goes on meanwhile */
    fake_open(&f, address, "c1", 6);
    expect_said(&f, (struct said){.at = DN2NN_AT_FULL_REPORT, .id = 3, .gs = 7, .len = 5000});
    close_both(c, &f);
}

/* Two namenodes, each taking itself for the leader. */
static void orders_of_an_older_term_are_refused_also_after_a_restart(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 1);
    write_block(c, 3, 7, 5000, 1);
    struct msg_block it = {.id = 3, .gs = 7};
    struct nn2dn_delete del = {.term = 4, .blocks = {&it, 1}};
    assert_int_equal(order(&f, 0, NN2DN_AT_DELETE, &del), ERR_STALE);
    del.term = 6; /* not yet durable here */
    assert_int_equal(order(&f, 0, NN2DN_AT_DELETE, &del), ERR_RETRY);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 7, 5000);
    node_close(&c->node[0]);
    fake_close(&f);
    fake_open(&f, "127.0.0.1:0", "c1", 4); /* the old leader wakes up */
    reopen(c, 0, &f);
    wait_for(&f, &f.registrations, 1);
    usleep(100000);
    assert_int_equal(f.reports_closed, 0);
    close_both(c, &f);
}

/* ---- copies ---- */

static void an_ordered_copy_is_made_and_told(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 3);
    static const uint64_t lens[] = {0, 5000, 300000};
    for (uint64_t i = 0; i < ARRAY_LEN(lens); i++) {
        write_block(c, i + 1, 7, lens[i], 1);
        struct msg_node targets[2] = {msg_node_of(&c->node[1]), msg_node_of(&c->node[2])};
        struct nn2dn_copy copy = {
            .term = 5, .block = {.id = i + 1, .gs = 7}, .targets = {targets, 2}};
        assert_int_equal(order(&f, 0, NN2DN_AT_COPY, &copy), 0);
        expect_said(&f, (struct said){.at = DN2NN_AT_COPIED, .id = i + 1});
        for (int n = 1; n < 3; n++) {
            expect_state(&c->node[n], i + 1, DN_REPLICA_FINALIZED, 7, lens[i]);
            expect_bytes(&c->node[n], i + 1, 0, lens[i]);
        }
    }
    close_both(c, &f);
}

static void a_damaged_source_is_found_out_and_not_spread(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 2);
    write_block(c, 3, 7, 300000, 1);
    flip_byte(&c->node[0], 3, 7, false, 200000);
    struct msg_node target = msg_node_of(&c->node[1]);
    struct nn2dn_copy copy = {.term = 5, .block = {.id = 3, .gs = 7}, .targets = {&target, 1}};
    assert_int_equal(order(&f, 0, NN2DN_AT_COPY, &copy), 0);
    expect_said(&f, (struct said){.at = DN2NN_AT_COPIED, .id = 3, .code = ERR_CHECKSUM});
    expect_said(
        &f,
        (struct said){.at = DN2NN_AT_CHANGES, .id = 3, .gs = 7, .len = 300000, .state = DN2NN_BAD});
    wait_idle(&c->node[1]);
    assert_int_equal(replica_of(&c->node[1], 3).id, 0);
    close_both(c, &f);
}

static void a_copy_damaged_on_its_way_is_nobodys_replica(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 2);
    write_block(c, 3, 7, 300000, 1);
    struct msg_node target = msg_node_of(&c->node[1]);
    struct nn2dn_copy copy = {.term = 5, .block = {.id = 3, .gs = 7}, .targets = {&target, 1}};
    assert_int_equal(fault_arm("dn.copy.packet=2:corrupt", NULL), 0);
    assert_int_equal(order(&f, 0, NN2DN_AT_COPY, &copy), 0);
    expect_said(&f, (struct said){.at = DN2NN_AT_COPIED, .id = 3, .code = ERR_CHECKSUM});
    assert_int_equal(fault_arm(NULL, NULL), 0);
    wait_idle(&c->node[1]);
    assert_int_equal(replica_of(&c->node[1], 3).id, 0);
    assert_false(has_news(&c->node[0], DN_CHANGE_BAD, 3)); /* the source is good */
    copy.block.gs = 8;
    assert_int_equal(order(&f, 0, NN2DN_AT_COPY, &copy), ERR_NOENT);
    close_both(c, &f);
}

/* ---- recovery ---- */

static void an_abandoned_block_is_settled_on_all_nodes(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 3);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 3, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5120, 0);
    send_packet(&p, 5120, 700, PACKET_FLUSH);
    expect_acks(&p, 0, 1, 3);
    struct msg_node nodes[3];
    for (int i = 0; i < 3; i++)
        nodes[i] = msg_node_of(&c->node[i]);
    struct nn2dn_recover rec = {
        .term = 5, .block = {.id = 3, .gs = 7}, .new_gs = 9, .nodes = {nodes, 3}};
    assert_int_equal(order(&f, 1, NN2DN_AT_RECOVER, &rec), 0); /* its writer still runs */
    expect_said(&f,
                (struct said){.at = DN2NN_AT_RECOVERED, .id = 3, .gs = 9, .len = 5820, .state = 3});
    for (int i = 0; i < 3; i++) {
        expect_state(&c->node[i], 3, DN_REPLICA_FINALIZED, 9, 5820);
        expect_bytes(&c->node[i], 3, 0, 5820);
    }
    peer_close(&p);
    close_both(c, &f);
}

static void a_dead_node_does_not_hold_up_a_recovery(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 2);
    struct peer p;
    struct chain chain = {.cluster = c, .count = 2, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5000, 0);
    expect_acks(&p, 0, 0, 2);
    peer_close(&p);
    struct msg_node nodes[2] = {msg_node_of(&c->node[0]), msg_node_of(&c->node[1])};
    node_close(&c->node[1]);
    struct nn2dn_recover rec = {
        .term = 5, .block = {.id = 3, .gs = 7}, .new_gs = 9, .nodes = {nodes, 2}};
    assert_int_equal(order(&f, 0, NN2DN_AT_RECOVER, &rec), 0);
    expect_said(&f,
                (struct said){.at = DN2NN_AT_RECOVERED, .id = 3, .gs = 9, .len = 5000, .state = 1});
    /* its replica is stale now, and says so with its old stamp */
    reopen(c, 1, &f);
    expect_state(&c->node[1], 3, DN_REPLICA_RWR, 7, 5000);
    close_both(c, &f);
}

static void a_block_nobody_holds_is_told_to_be_dropped(void **state)
{
    (void)state;
    struct fake f;
    struct cluster *c = open_with(&f, 2);
    struct msg_node nodes[2] = {msg_node_of(&c->node[0]), msg_node_of(&c->node[1])};
    struct nn2dn_recover rec = {
        .term = 5, .block = {.id = 3, .gs = 7}, .new_gs = 9, .nodes = {nodes, 2}};
    assert_int_equal(order(&f, 0, NN2DN_AT_RECOVER, &rec), 0);
    expect_said(&f, (struct said){.at = DN2NN_AT_RECOVERED, .id = 3, .gs = 9});
    /* but not when one could not be asked */
    nodes[1].data_port = 1;
    rec.new_gs = 10;
    assert_int_equal(order(&f, 0, NN2DN_AT_RECOVER, &rec), 0);
    expect_said(&f, (struct said){.at = DN2NN_AT_RECOVERED, .id = 3, .gs = 10, .code = ERR_NONODE});
    close_both(c, &f);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_datanode_takes_the_cluster_of_its_namenode),
        cmocka_unit_test(another_clusters_namenode_ends_the_datanode),
        cmocka_unit_test(nothing_is_served_before_the_namenode_knows_us),
        cmocka_unit_test(what_happens_is_told_at_once),
        cmocka_unit_test(a_full_report_says_everything_also_what_is_damaged),
        cmocka_unit_test(asked_to_register_again_it_tells_everything_again),
        cmocka_unit_test(a_namenode_that_comes_back_is_told_everything),
        cmocka_unit_test(orders_of_an_older_term_are_refused_also_after_a_restart),
        cmocka_unit_test(an_ordered_copy_is_made_and_told),
        cmocka_unit_test(a_damaged_source_is_found_out_and_not_spread),
        cmocka_unit_test(a_copy_damaged_on_its_way_is_nobodys_replica),
        cmocka_unit_test(an_abandoned_block_is_settled_on_all_nodes),
        cmocka_unit_test(a_dead_node_does_not_hold_up_a_recovery),
        cmocka_unit_test(a_block_nobody_holds_is_told_to_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
