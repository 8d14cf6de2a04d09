/* SPDX-License-Identifier: Apache-2.0
 * datanodes: the conversation over real connections, with two datanodes that are played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/clock.h"
#include "libcommon/event/sock.h"
#include "namenode/serve/datanodes.h"

#define CLUSTER "c1"
#define TERM    7
#define WAIT_MS 5000

/* A datanode: one link to the namenode, and what it was told. */
struct datanode {
    struct world *w;
    struct identity self;
    struct rpc_service service;
    struct rpc_link *link;
    char name[8], uuid[8], storage[8];
    bool is_answered;
    int code;
    char why[ERR_MSG_MAX];
    struct dn2nn_registered registered;
    struct dn2nn_heard heard;
    unsigned copies, deletes, recovers, reports;
    uint64_t term, id, new_gs;
    char target[16], cluster[16];
    int refuse; /* answer orders with this code */
};

struct world {
    struct loop *loop;
    struct nn_blocks blocks;
    struct racks *racks;
    struct nn_datanodes *datanodes;
    struct identity self;
    struct rpc_service services[1];
    struct rpc_server *server;
    struct datanode dn[2];
    uint32_t recovered;
};

static uint64_t highest_gs(void *ctx)
{
    (void)ctx;
    return 99;
}

static void on_peer_down(struct rpc_peer *peer, int code, void *arg)
{
    struct world *w = arg;
    (void)code;
    nn_datanodes_peer_down(w->datanodes, peer);
}

static void on_recovered(void *ctx, const struct nn_recovered *result)
{
    struct world *w = ctx;
    w->recovered++;
    assert_int_equal(nn_blocks_commit(&w->blocks, result->block, result->gs, result->len), 0);
}

/* ---- the played datanode ---- */

static bool answer_order(struct datanode *dn, struct rpc_call *call, uint64_t term)
{
    dn->term = term;
    if (dn->refuse) {
        rpc_fail(call, dn->refuse, "refused");
        return false;
    }
    rpc_answer(call, NULL);
    return true;
}
static void on_copy(struct rpc_call *call, const void *msg, void *arg)
{
    const struct nn2dn_copy *ask = msg;
    struct datanode *dn = arg;
    dn->id = ask->block.id;
    snprintf(dn->target, sizeof(dn->target), SLICE_FMT, SLICE_ARG(ask->targets.v[0].name));
    dn->copies++;
    answer_order(dn, call, ask->term);
}
static void on_delete(struct rpc_call *call, const void *msg, void *arg)
{
    const struct nn2dn_delete *ask = msg;
    struct datanode *dn = arg;
    dn->deletes += (unsigned)ask->blocks.n;
    answer_order(dn, call, ask->term);
}
static void on_recover(struct rpc_call *call, const void *msg, void *arg)
{
    const struct nn2dn_recover *ask = msg;
    struct datanode *dn = arg;
    dn->new_gs = ask->new_gs;
    dn->recovers++;
    answer_order(dn, call, ask->term);
}
static void on_report(struct rpc_call *call, const void *msg, void *arg)
{
    const struct nn2dn_report *ask = msg;
    struct datanode *dn = arg;
    dn->reports++;
    answer_order(dn, call, ask->term);
}
static rpc_handler *const order_handlers[NN2DN_METHOD_COUNT] = {
    [NN2DN_AT_COPY] = on_copy,
    [NN2DN_AT_DELETE] = on_delete,
    [NN2DN_AT_RECOVER] = on_recover,
    [NN2DN_AT_REPORT] = on_report,
};

static void answered(void *arg, int code, const void *answer, const struct err *err)
{
    struct datanode *dn = arg;
    dn->is_answered = true;
    dn->code = code;
    snprintf(dn->why, sizeof(dn->why), "%s", err ? err->msg : "");
    if (code == 0 && answer)
        memcpy(&dn->heard, answer, sizeof(dn->heard));
}
static void answered_register(void *arg, int code, const void *answer, const struct err *err)
{
    struct datanode *dn = arg;
    answered(arg, code, NULL, err);
    if (code != 0)
        return;
    dn->registered = *(const struct dn2nn_registered *)answer;
    snprintf(dn->cluster, sizeof(dn->cluster), SLICE_FMT, SLICE_ARG(dn->registered.cluster_id));
}

static void turn_until(struct world *w, const bool *flag)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;
    while (!*flag && clock_mono_ms() < end)
        loop_turn(w->loop, 10);
    assert_true(*flag);
}
#define TURN_UNTIL(w, cond)                        \
    do {                                           \
        uint64_t end_ = clock_mono_ms() + WAIT_MS; \
        while (!(cond) && clock_mono_ms() < end_)  \
            loop_turn((w)->loop, 10);              \
        assert_true(cond);                         \
    } while (0)

static int ask_and_wait(struct datanode *dn, size_t method, const void *msg)
{
    struct rpc_wait wait = {.done = method == DN2NN_AT_REGISTER ? answered_register : answered,
                            .arg = dn};
    dn->is_answered = false;
    rpc_link_ask(dn->link, &DN2NN_methods[method], msg, &wait);
    turn_until(dn->w, &dn->is_answered);
    return dn->code;
}

static int register_dn(struct datanode *dn, const char *cluster)
{
    struct dn2nn_storage storage = {.id = slice_str(dn->storage),
                                    .path = slice_str("/d"),
                                    .capacity = 1ULL << 40,
                                    .remaining = 1ULL << 40};
    struct dn2nn_register ask = {
        .node = {.name = slice_str(dn->name), .host = slice_str("127.0.0.1"), .data_port = 9866},
        .cluster_id = slice_str(cluster),
        .node_uuid = slice_str(dn->uuid),
        .storages = {&storage, 1},
    };
    return ask_and_wait(dn, DN2NN_AT_REGISTER, &ask);
}

static int report_dn(struct datanode *dn, const uint64_t *id)
{
    static const uint64_t gs = 5, len = 100, finalized = DN2NN_FINALIZED;
    size_t n = id ? 1 : 0;
    struct dn2nn_full_report ask = {.report_id = clock_mono_us(),
                                    .is_last = true,
                                    .ids = {id, n},
                                    .stamps = {&gs, n},
                                    .lens = {&len, n},
                                    .states = {&finalized, n},
                                    .storage = slice_str(dn->storage)};
    return ask_and_wait(dn, DN2NN_AT_FULL_REPORT, &ask);
}

static int change_dn(struct datanode *dn, enum dn2nn_change change, uint64_t id)
{
    struct dn2nn_replica_change c = {
        .change = change, .block = {id, 5, 100}, .storage = slice_str(dn->storage)};
    struct dn2nn_changes ask = {.changes = {&c, 1}};
    return ask_and_wait(dn, DN2NN_AT_CHANGES, &ask);
}

static void open_dn(struct world *w, size_t i)
{
    struct datanode *dn = &w->dn[i];
    *dn = (struct datanode){.w = w};
    snprintf(dn->name, sizeof(dn->name), "dn%zu", i + 1);
    snprintf(dn->uuid, sizeof(dn->uuid), "u%zu", i + 1);
    snprintf(dn->storage, sizeof(dn->storage), "s%zu", i + 1);
    identity_init(&dn->self, WIRE_DATANODE, dn->name);
    dn->service = (struct rpc_service){NN2DN_methods, order_handlers, NN2DN_METHOD_COUNT, 0, dn};
    struct rpc_conf conf = {.self = &dn->self, .services = &dn->service, .service_count = 1};
    assert_int_equal(rpc_link_open(w->loop, rpc_server_address(w->server), &conf, &dn->link, NULL),
                     0);
    TURN_UNTIL(w, rpc_link_peer(dn->link) != NULL);
}

static void start(struct world *w)
{
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {.ctx = w, .on_recovered = on_recovered};
    *w = (struct world){.loop = loop_new(NULL)};
    nn_blocks_conf_init(&conf);
    conf.settle_ms = conf.safemode_extension_ms = 0;
    conf.redundancy_ms = 50;
    assert_int_equal(nn_blocks_init(&w->blocks, &conf, &hooks, 1, loop_now_ms(w->loop)), 0);
    nn_blocks_loaded(&w->blocks, 0, loop_now_ms(w->loop));
    assert_int_equal(racks_open(w->loop, NULL, NULL, &w->racks, NULL), 0);
    struct nn_datanodes_conf dc = {.loop = w->loop,
                                   .blocks = &w->blocks,
                                   .racks = w->racks,
                                   .cluster_id = CLUSTER,
                                   .term = TERM,
                                   .highest_gs = highest_gs};
    w->datanodes = nn_datanodes_new(&dc);
    assert_non_null(w->datanodes);
    identity_init(&w->self, WIRE_NAMENODE, "nn");
    w->services[0] = nn_datanodes_service(w->datanodes);
    struct rpc_conf rpc = {.self = &w->self,
                           .services = w->services,
                           .service_count = 1,
                           .on_peer_down = on_peer_down,
                           .arg = w};
    assert_int_equal(rpc_server_open(w->loop, "127.0.0.1:0", &rpc, &w->server, NULL), 0);
    open_dn(w, 0);
    open_dn(w, 1);
}

static void stop(struct world *w)
{
    for (size_t i = 0; i < 2; i++)
        rpc_link_close(w->dn[i].link);
    for (int i = 0; i < 5; i++)
        loop_turn(w->loop, 5);
    rpc_server_close(w->server);
    nn_datanodes_free(w->datanodes);
    racks_close(w->racks);
    for (int i = 0; i < 5; i++)
        loop_turn(w->loop, 1);
    nn_blocks_release(&w->blocks);
    loop_free(w->loop);
}

static uint32_t block_on_first(struct world *w, uint16_t want)
{
    struct nn_block block = {
        .id = 1001, .gs = 5, .len = 100, .want = want, .state = NN_BLOCK_COMPLETE};
    const uint64_t id = 1001;
    uint32_t index = 0;
    assert_int_equal(nn_blocks_add(&w->blocks, &block, NN_BLOCK_NONE, &index), 0);
    assert_int_equal(register_dn(&w->dn[0], CLUSTER), 0);
    assert_int_equal(report_dn(&w->dn[0], &id), 0);
    assert_int_equal(register_dn(&w->dn[1], ""), 0);
    assert_int_equal(report_dn(&w->dn[1], NULL), 0);
    return index;
}

/* ---- cases ---- */

static void a_datanode_registers_and_learns_how_it_is_to_behave(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(register_dn(&w.dn[0], ""), 0);
    assert_string_equal(w.dn[0].cluster, CLUSTER);
    assert_int_equal(w.dn[0].registered.term, TERM);
    assert_int_equal(w.dn[0].registered.heartbeat_ms, 3000);
    assert_int_equal(w.dn[0].registered.highest_gs, 99);
    struct dn2nn_heartbeat beat = {.xceivers = 3};
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_HEARTBEAT, &beat), 0);
    assert_false(w.dn[0].heard.register_again);
    assert_int_equal(nn_nodes_get(&w.blocks.nodes, 1)->xceivers, 3);
    stop(&w);
}

static void a_datanode_of_another_cluster_is_refused(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(register_dn(&w.dn[0], "c2"), ERR_FOREIGN);
    assert_non_null(strstr(w.dn[0].why, "belongs to cluster c2, this namenode is of cluster c1"));
    assert_int_equal(w.blocks.nodes.node_count, 0);
    stop(&w);
}

static void whoever_is_not_registered_is_asked_to_do_so(void **state)
{
    (void)state;
    struct world w;
    struct dn2nn_heartbeat beat = {0};
    start(&w);
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_HEARTBEAT, &beat), 0);
    assert_true(w.dn[0].heard.register_again);
    assert_int_equal(report_dn(&w.dn[0], NULL), 0);
    assert_true(w.dn[0].heard.register_again);
    assert_int_equal(change_dn(&w.dn[0], DN2NN_RECEIVED, 1), 0);
    assert_true(w.dn[0].heard.register_again);
    stop(&w);
}

static void a_missing_replica_becomes_an_order_with_our_term(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    uint32_t block = block_on_first(&w, 2);
    TURN_UNTIL(&w, w.dn[0].copies == 1);
    assert_int_equal(w.dn[0].term, TERM);
    assert_int_equal(w.dn[0].id, 1001);
    assert_string_equal(w.dn[0].target, "dn2");
    assert_int_equal(change_dn(&w.dn[1], DN2NN_RECEIVED, 1001), 0);
    assert_int_equal(nn_replicate_health(&w.blocks.replicate, block).good, 2);
    nn_blocks_remove(&w.blocks, block);
    TURN_UNTIL(&w, w.dn[0].deletes == 1 && w.dn[1].deletes == 1);
    stop(&w);
}

static void an_order_that_is_refused_is_tried_again_soon(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    w.dn[0].refuse = ERR_BUSY;
    block_on_first(&w, 2);
    TURN_UNTIL(&w, w.dn[0].copies >= 2);
    stop(&w);
}

static void a_failed_copy_reported_by_its_source_is_ordered_again(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    block_on_first(&w, 2);
    TURN_UNTIL(&w, w.dn[0].copies == 1);
    struct dn2nn_copied copied = {.block = {1001, 5, 100},
                                  .target = slice_str("dn2"),
                                  .code = ERR_NOSPC,
                                  .why = slice_str("disk full")};
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_COPIED, &copied), 0);
    TURN_UNTIL(&w, w.dn[0].copies == 2);
    stop(&w);
}

static void a_recovery_is_ordered_and_its_late_twin_is_refused(void **state)
{
    (void)state;
    struct world w;
    const uint32_t pipeline[] = {1};
    start(&w);
    struct nn_block block = {.id = 1002, .gs = 5, .want = 1};
    uint32_t index = 0;
    assert_int_equal(register_dn(&w.dn[0], CLUSTER), 0);
    assert_int_equal(report_dn(&w.dn[0], NULL), 0);
    assert_int_equal(nn_blocks_add(&w.blocks, &block, NN_BLOCK_NONE, &index), 0);
    assert_int_equal(nn_blocks_set_pipeline(&w.blocks, index, pipeline, 1), 0);
    assert_int_equal(nn_blocks_recover(&w.blocks, index, 21), 0);
    TURN_UNTIL(&w, w.dn[0].recovers == 1);
    assert_int_equal(w.dn[0].new_gs, 21);
    struct slice name = slice_str("dn1");
    struct dn2nn_recovered done = {
        .block = {1002, 5, 0}, .new_gs = 20, .new_len = 4, .nodes = {&name, 1}};
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_RECOVERED, &done), ERR_STALE);
    done.new_gs = 21;
    done.new_len = 70;
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_RECOVERED, &done), 0);
    assert_int_equal(w.recovered, 1);
    assert_int_equal(nn_blockmap_get(w.blocks.map, index).len, 70);
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_RECOVERED, &done), ERR_STALE);
    stop(&w);
}

static void a_report_whose_columns_differ_is_refused(void **state)
{
    (void)state;
    struct world w;
    const uint64_t id = 1;
    start(&w);
    assert_int_equal(register_dn(&w.dn[0], CLUSTER), 0);
    struct dn2nn_full_report ask = {
        .report_id = 1, .is_last = true, .ids = {&id, 1}, .storage = slice_str(w.dn[0].storage)};
    assert_int_equal(ask_and_wait(&w.dn[0], DN2NN_AT_FULL_REPORT, &ask), ERR_PROTO);
    stop(&w);
}

static void a_lost_connection_is_noticed_and_the_node_is_welcome_back(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(register_dn(&w.dn[0], CLUSTER), 0);
    rpc_link_close(w.dn[0].link);
    const struct nn_node *node = nn_nodes_get(&w.blocks.nodes, 1);
    TURN_UNTIL(&w, !node->is_connected);
    assert_null(node->link);
    open_dn(&w, 0);
    assert_int_equal(register_dn(&w.dn[0], CLUSTER), 0);
    assert_true(node->is_connected);
    assert_int_equal(node->session, 2);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_datanode_registers_and_learns_how_it_is_to_behave),
        cmocka_unit_test(a_datanode_of_another_cluster_is_refused),
        cmocka_unit_test(whoever_is_not_registered_is_asked_to_do_so),
        cmocka_unit_test(a_missing_replica_becomes_an_order_with_our_term),
        cmocka_unit_test(an_order_that_is_refused_is_tried_again_soon),
        cmocka_unit_test(a_failed_copy_reported_by_its_source_is_ordered_again),
        cmocka_unit_test(a_recovery_is_ordered_and_its_late_twin_is_refused),
        cmocka_unit_test(a_report_whose_columns_differ_is_refused),
        cmocka_unit_test(a_lost_connection_is_noticed_and_the_node_is_welcome_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
