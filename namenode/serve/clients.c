/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/clients.h"

#include "libcommon/base/metric.h"
#include "namenode/serve/turn.h"

/* ---- the table ---- */

static rpc_handler *const handlers[CL2NN_METHOD_COUNT] = {
#define HANDLER_AT(P, type, NAME, flags, ask, answer) [P##_AT_##NAME] = nn_on_##NAME,
    CL2NN_METHODS(HANDLER_AT, CL2NN)
#undef HANDLER_AT
};

struct rpc_service nn_clients_service(struct nn_clients *clients)
{
    return (struct rpc_service){.methods = CL2NN_methods,
                                .handlers = handlers,
                                .count = CL2NN_METHOD_COUNT,
                                .arg = clients};
}

void nn_clients_init(struct nn_clients *clients, struct namenode *nn)
{
    *clients = (struct nn_clients){
        .nn = nn,
        .ls_limit = (uint32_t)conf_int(nn->conf, "dfs.ls.limit"),
        .trash_interval_ms = conf_ms(nn->conf, "fs.trash.interval"),
    };
    list_init(&clients->below);
    list_init(&clients->metasaves);
}

/* quern_nn_calls_total{method="MKDIR"} and so on */
static struct metric call_metrics[CL2NN_METHOD_COUNT] = {
#define CALL_METRIC(P, type, NAME, flags, ask, answer)                       \
    [P##_AT_##NAME] = {.name = "quern_nn_calls_total{method=\"" #NAME "\"}", \
                       .help = "requests of clients",                        \
                       .kind = METRIC_KIND_COUNTER},
    CL2NN_METHODS(CALL_METRIC, CL2NN)
#undef CALL_METRIC
};

uint64_t nn_clients_calls(size_t method)
{
    return call_metrics[method].value;
}

/* ---- beginning ---- */

void nn_turn_begin(struct nn_turn *turn, struct rpc_call *call, void *arg, const char *command,
                   struct slice source)
{
    const struct nn_clients *clients = arg;
    nn_turn_resume(turn, call, arg, command, source);
    metric_add(&call_metrics[rpc_call_method(call) - CL2NN_methods], clients->below_done == 0);
}

void nn_turn_resume(struct nn_turn *turn, struct rpc_call *call, void *arg, const char *command,
                    struct slice source)
{
    struct nn_clients *clients = arg;
    struct namenode *nn = clients->nn;
    turn->nn = nn;
    turn->call = call;
    turn->command = command;
    turn->source = source;
    turn->target = slice_of(NULL, 0);
    turn->lacks_memory = false;
    turn->err.code = 0;
    turn->err.msg[0] = 0;
    nn_groups_caller(&nn->groups, slice_str(rpc_call_user(call)), namenode_now(nn), &turn->caller);
    turn->view = namenode_view(nn, &turn->caller);
    turn->view.address = rpc_call_address(call);
    turn->view.below = clients->below_done;
}

/* "Cannot create directory /x. Name node is in safe mode.", and on further lines why. While it
 * starts, the caller may come again by himself. */
static int refuse_in_safe_mode(struct nn_turn *turn, const char *what)
{
    struct nn_blocks *blocks = &turn->nn->blocks;
    struct nn_safemode_figures figures = nn_blocks_figures(blocks);
    struct buf why = BUF_INIT;
    nn_safemode_why(&blocks->safemode, &figures, namenode_now(turn->nn), &why);
    const char *text = buf_cstr(&why);
    int code = nn_safemode_is_starting(&blocks->safemode) ? ERR_RETRY : ERR_SAFEMODE;
    int rc = err_set(&turn->err, code, "Cannot %s" SLICE_FMT ". Name node is in safe mode.\n%s",
                     what, SLICE_ARG(turn->source), text ? text : "");
    buf_release(&why);
    return rc;
}

static void give_first_answer(struct nn_turn *turn, const struct nn_wish *change,
                              const struct nn_answer *answer)
{
    if (answer->op != (uint16_t)change->op) {
        int rc = err_set(&turn->err, ERR_PROTO, "request %llu of this client was a %s",
                         (unsigned long long)answer->seq, nn_op_name(answer->op));
        nn_turn_end(turn, rc, NULL);
    } else if (change->repeat) {
        change->repeat(turn, change->ask, answer);
    } else {
        nn_turn_end(turn, 0, NULL);
    }
}

bool nn_turn_may_change(struct nn_turn *turn, const struct nn_wish *change)
{
    const struct nn_answer *answer =
        nn_answers_find(&turn->nn->state.answers, change->origin->client, change->origin->seq);
    if (answer) {
        give_first_answer(turn, change, answer);
        return false;
    }
    if (!nn_safemode_is_on(&turn->nn->blocks.safemode))
        return true;
    nn_turn_end(turn, refuse_in_safe_mode(turn, change->what), NULL);
    return false;
}

void nn_turn_repeat_yes(struct nn_turn *turn, const void *ask, const struct nn_answer *answer)
{
    const struct cl2nn_yes first = {answer->values[0] != 0};
    (void)ask;
    nn_turn_end(turn, 0, &first);
}

/* ---- the end ---- */

int nn_turn_commit(struct nn_turn *turn, int rc, enum nn_op op, const void *filled,
                   uint64_t *ret_answer)
{
    uint64_t ignored[2];
    if (rc == 0)
        rc = namenode_commit(turn->nn, op, filled, ret_answer ? ret_answer : ignored, &turn->err);
    return rc == NN_CHECK_NOTHING ? 0 : rc;
}

void nn_turn_end(struct nn_turn *turn, int rc, const void *answer)
{
    struct namenode *nn = turn->nn;
    if (rc == 0 && turn->lacks_memory)
        rc = err_set(&turn->err, ERR_NOMEM, "out of memory");
    if (turn->command && (rc == 0 || rc == ERR_ACCESS)) {
        struct nn_audit_line line = {rpc_call_user(turn->call),
                                     rpc_call_address(turn->call),
                                     turn->command,
                                     turn->source,
                                     turn->target,
                                     rc == 0};
        nn_audit_add(&nn->audit, &line, turn->view.wall_ms);
    }
    if (rc == 0) {
        nn_held_answer(&nn->held, namenode_applied(nn), turn->call, answer);
        return;
    }
    if (turn->err.code != rc)
        err_set(&turn->err, rc, "%s", err_text(rc));
    nn_held_fail(&nn->held, namenode_applied(nn), turn->call, &turn->err);
}

bool nn_turn_is_held(const struct nn_turn *turn)
{
    return namenode_applied(turn->nn) > turn->nn->held.durable ||
           !list_is_empty(&turn->nn->held.queue);
}

struct slice nn_turn_copy(struct nn_turn *turn, struct slice s)
{
    struct slice copy = slice_keep(s, rpc_call_arena(turn->call));
    turn->lacks_memory |= !copy.data;
    return copy;
}

struct slice nn_turn_keep(struct nn_turn *turn, struct slice s)
{
    return nn_turn_is_held(turn) ? nn_turn_copy(turn, s) : s;
}

int nn_turn_nodes(struct nn_turn *turn, const uint32_t *nodes, size_t count,
                  struct msg_node_list *ret)
{
    ret->n = 0;
    ret->v = arena_calloc(rpc_call_arena(turn->call), count, sizeof(*ret->v));
    if (!ret->v && count)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        struct msg_node *node = &ret->v[ret->n++];
        nn_datanodes_fill(&turn->nn->blocks, nodes[i], node);
        node->name = nn_turn_keep(turn, node->name);
        node->host = nn_turn_keep(turn, node->host);
        node->rack = nn_turn_keep(turn, node->rack);
        node->socket = nn_turn_keep(turn, node->socket);
        node->boot_id = nn_turn_keep(turn, node->boot_id);
    }
    return 0;
}

size_t nn_turn_numbers(const struct nn_turn *turn, const struct msg_strs *names, uint32_t *ret,
                       size_t cap)
{
    size_t count = 0;
    for (size_t i = 0; i < names->n && count < cap; i++) {
        const struct nn_node *node = nn_nodes_find(&turn->nn->blocks.nodes, names->v[i]);
        if (node)
            ret[count++] = node->index;
    }
    return count;
}

int nn_turn_tell_block(struct nn_turn *turn, uint32_t block, uint64_t offset,
                       const struct nn_placed *nodes, struct msg_located_block *ret)
{
    struct nn_block b = nn_blockmap_get(turn->nn->blocks.map, block);
    int rc = nn_blocks_set_pipeline(&turn->nn->blocks, block, nodes->nodes, nodes->count);
    if (rc != 0)
        return err_set(&turn->err, rc, "out of memory");
    ret->block = (struct msg_block){b.id, b.gs, b.len};
    ret->offset = offset;
    return nn_turn_nodes(turn, nodes->nodes, nodes->count, &ret->nodes);
}

int nn_turn_set_pipeline(struct nn_turn *turn, uint64_t block_id, const struct msg_strs *names)
{
    struct nn_blocks *blocks = &turn->nn->blocks;
    uint32_t nodes[NN_PLACE_MAX];
    size_t count = nn_turn_numbers(turn, names, nodes, NN_PLACE_MAX);
    return nn_blocks_set_pipeline(blocks, nn_blockmap_find(blocks->map, block_id), nodes, count);
}
