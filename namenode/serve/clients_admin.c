/* SPDX-License-Identifier: Apache-2.0
 * clients_admin: a job's output, and what administrators ask. */
#include "libcommon/base/clock.h"
#include "namenode/serve/turn.h"

/* ---- publish ---- */

void nn_on_PUBLISH(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_publish *ask = message;
    struct nn_turn turn;
    struct op_publish op;
    struct nn_caller user;
    nn_turn_begin(&turn, call, arg, "publish", ask->out);
    turn.target = ask->job;
    struct nn_wish change = {&ask->origin, NN_OP_PUBLISH, "publish ", NULL, ask};
    if (!nn_turn_may_change(&turn, &change))
        return;
    nn_groups_caller(&turn.nn->groups, ask->user, namenode_now(turn.nn), &user);
    int rc = nn_check_publish(&turn.view, ask, &user, rpc_call_arena(call), &op, &turn.err);
    nn_turn_end(&turn, nn_turn_commit(&turn, rc, NN_OP_PUBLISH, &op, NULL), NULL);
}

/* ---- report ---- */

/* Monotonic times are this process's own: as wall time, 0 = never. */
static uint64_t as_wall(const struct nn_turn *turn, uint64_t mono_ms)
{
    uint64_t now = namenode_now(turn->nn);
    return mono_ms == 0 || mono_ms > now ? mono_ms : turn->view.wall_ms - (now - mono_ms);
}

static void fill_node(struct nn_turn *turn, const struct nn_node *node,
                      struct cl2nn_node_report *ret)
{
    const struct nn_blocks *blocks = &turn->nn->blocks;
    struct nn_space space = nn_nodes_space(&blocks->nodes, node);
    uint64_t report_ms = 0;
    ret->state = slice_str(nn_node_state_name(node->state));
    ret->admin = slice_str(nn_node_admin_name(node->admin));
    ret->capacity = space.capacity;
    ret->used = space.used;
    ret->non_dfs = node->non_dfs;
    ret->remaining = space.remaining;
    ret->xceivers = node->xceivers;
    ret->last_contact_ms = as_wall(turn, node->heard_ms);
    ret->failed_volumes = space.failed;
    for (size_t i = 0; i < node->storage_count; i++) {
        const struct nn_storage *storage = nn_nodes_storage(&blocks->nodes, node->storages[i]);
        ret->blocks += nn_blockmap_storage_count(blocks->map, storage->index);
        if (storage->last_report_ms > report_ms)
            report_ms = storage->last_report_ms;
    }
    ret->last_report_ms = as_wall(turn, report_ms);
}

/* All but those the operator wants out. */
static int fill_nodes(struct nn_turn *turn, struct cl2nn_report *ret)
{
    const struct nn_nodes *nodes = &turn->nn->blocks.nodes;
    uint32_t *numbers = arena_alloc(rpc_call_arena(turn->call), nodes->node_count * 4);
    size_t count = 0;
    struct msg_node_list addresses = {0};
    ret->nodes.v = arena_calloc(rpc_call_arena(turn->call), nodes->node_count,
                                sizeof(struct cl2nn_node_report));
    if (!numbers || !ret->nodes.v)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < nodes->node_count; i++)
        if (!nodes->node[i]->is_refused)
            numbers[count++] = (uint32_t)i + 1;
    int rc = nn_turn_nodes(turn, numbers, count, &addresses);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct cl2nn_node_report *row = &ret->nodes.v[ret->nodes.n++];
        row->node = addresses.v[i];
        fill_node(turn, nn_nodes_get(nodes, numbers[i]), row);
    }
    return rc;
}

void nn_on_REPORT(struct rpc_call *call, const void *ask, void *arg)
{
    struct nn_turn turn;
    (void)ask;
    nn_turn_begin(&turn, call, arg, "datanodeReport", slice_of(NULL, 0));
    struct namenode *nn = turn.nn;
    struct nn_blocks_stats stats = nn_blocks_stats(&nn->blocks);
    struct nn_sums sums = nn_tree_sums(&nn->state.tree, NN_ROOT);
    struct cl2nn_report report = {
        .safemode = nn_safemode_is_on(&nn->blocks.safemode),
        .capacity = stats.capacity,
        .used = stats.used,
        .remaining = stats.remaining,
        .under_replicated = stats.under_replicated,
        .corrupt_blocks = stats.corrupt,
        .missing_blocks = stats.missing,
        .missing_single = stats.missing_single,
        .highest_priority = stats.highest_priority,
        .pending_deletion = stats.pending_deletion,
        .files = sums.files,
        .dirs = sums.dirs,
        .blocks = stats.blocks,
        .cluster_id = slice_str(nn->identity.cluster),
        .durable_index = nn->held.durable,
    };
    int rc = nn_turn_check_super(&turn);
    if (rc == 0) {
        rc = fill_nodes(&turn, &report);
    } else { /* the figures are for everybody, as df is */
        report.denied = nn_turn_copy(&turn, slice_str(turn.err.msg));
        rc = 0;
    }
    nn_turn_end(&turn, rc, &report);
}

/* ---- who may ask for what follows ---- */

int nn_turn_check_super(struct nn_turn *turn)
{
    return nn_groups_is_super(&turn->nn->groups, turn->caller.user, namenode_now(turn->nn))
               ? 0
               : err_set(&turn->err, ERR_ACCESS,
                         "Access denied for user " SLICE_FMT
                         ". Superuser privilege is required for operation %s",
                         SLICE_ARG(turn->caller.user), turn->command);
}

void nn_on_REFRESH_NODES(struct rpc_call *call, const void *ask, void *arg)
{
    struct nn_turn turn;
    (void)ask;
    nn_turn_begin(&turn, call, arg, "refreshNodes", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0)
        rc = namenode_refresh_nodes(turn.nn, &turn.err);
    nn_turn_end(&turn, rc, NULL);
}

/* ---- the balancer ---- */

_Static_assert((int)NN_BALANCE_PLAN == CL2NN_BALANCE_PLANS &&
                   (int)NN_BALANCE_NO_PROGRESS == CL2NN_BALANCE_HAS_NO_PROGRESS,
               "the wire's numbers are ours");

static int start_balancer(struct nn_turn *turn, const struct cl2nn_balance *ask)
{
    struct nn_blocks *blocks = &turn->nn->blocks;
    const struct nn_balance_ask wish = {
        .threshold = ask->threshold / 1000.0,
        .idle_max = ask->idle_max,
        .only = ask->include.v,
        .only_count = ask->include.n,
        .without = ask->exclude.v,
        .without_count = ask->exclude.n,
        .source = ask->source.v,
        .source_count = ask->source.n,
    };
    if (ask->threshold == 0 || ask->threshold > 100000 || ask->idle_max == 0)
        return err_set(&turn->err, ERR_INVAL, "balance: a number is out of range");
    if (nn_safemode_is_on(&blocks->safemode))
        return err_set(&turn->err, ERR_SAFEMODE, "Cannot balance. Name node is in safe mode.");
    int rc = nn_balance_start(&blocks->balance, &wish, namenode_now(turn->nn));
    if (rc == ERR_BUSY)
        return err_set(&turn->err, rc, "Another Balancer is running..  Exiting ...");
    return rc == 0 ? 0 : err_set(&turn->err, rc, "out of memory");
}

static int steer_balancer(struct nn_turn *turn, const struct cl2nn_balance *ask)
{
    struct nn_balance *balance = &turn->nn->blocks.balance;
    if (ask->action == CL2NN_BALANCE_START)
        return start_balancer(turn, ask);
    if (ask->action > CL2NN_BALANCE_STOP)
        return err_set(&turn->err, ERR_INVAL, "balance action %u is not known", ask->action);
    if (!nn_balance_poll(balance, ask->session, namenode_now(turn->nn)))
        return err_set(&turn->err, ERR_NOENT, "this run of the balancer is over");
    return 0;
}

void nn_on_BALANCE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_balance *ask = message;
    struct nn_turn turn;
    bool polls = ask->action == CL2NN_BALANCE_POLL;
    nn_turn_begin(&turn, call, arg, "balance", slice_of(NULL, 0));
    struct nn_balance *balance = &turn.nn->blocks.balance;
    int rc = nn_turn_check_super(&turn);
    if (rc == 0 && polls)
        turn.command = NULL; /* no line in the audit log for each look */
    if (rc == 0)
        rc = steer_balancer(&turn, ask);
    struct cl2nn_balancing answer = {
        .session = balance->session,
        .state = balance->state,
        .iteration = balance->iteration,
        .left_bytes = balance->left_bytes,
        .planned_bytes = balance->planned_bytes,
        .moved_before = balance->moved_before,
        .moved_bytes = balance->moved_bytes,
        .moved_blocks = balance->moved_blocks,
        .failed = balance->failed,
        .under_way = balance->moves.count,
    };
    if (rc == 0 && ask->action == CL2NN_BALANCE_STOP)
        nn_balance_stop(balance, ask->session);
    nn_turn_end(&turn, rc, &answer);
}

/* ---- safe mode ---- */

/* What the datanodes have beyond our last block is given up: its ids are not given out again. */
static void force_exit(struct namenode *nn)
{
    if (nn->state.next_block_id <= nn->blocks.highest_told)
        nn->state.next_block_id = nn->blocks.highest_told + 1;
    nn_safemode_force(&nn->blocks.safemode);
}

static int change_safemode(struct nn_turn *turn, uint32_t action)
{
    struct nn_safemode *safemode = &turn->nn->blocks.safemode;
    if (action == CL2NN_SAFEMODE_GET)
        return 0;
    int rc = nn_turn_check_super(turn);
    if (rc == 0 && action == CL2NN_SAFEMODE_ENTER)
        nn_safemode_enter(safemode, NULL);
    else if (rc == 0 && action == CL2NN_SAFEMODE_FORCE_EXIT)
        force_exit(turn->nn);
    else if (rc == 0 && action == CL2NN_SAFEMODE_LEAVE && nn_safemode_is_behind(safemode))
        rc = err_set(&turn->err, ERR_INVAL,
                     "Refusing to leave safe mode without a force flag: datanodes hold blocks "
                     "newer than this name directory (-safemode get)");
    else if (rc == 0 && action == CL2NN_SAFEMODE_LEAVE)
        nn_safemode_leave(safemode);
    else if (rc == 0)
        rc = err_set(&turn->err, ERR_INVAL, "safe mode action %u is not known", action);
    return rc;
}

void nn_on_SAFEMODE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_safemode *ask = message;
    static const char *const commands[] = {"safemode_get", "safemode_enter", "safemode_leave",
                                           "safemode_force_exit"};
    struct nn_turn turn;
    struct cl2nn_safemode_state answer = {0};
    struct buf why = BUF_INIT;
    nn_turn_begin(&turn, call, arg, commands[ask->action % ARRAY_LEN(commands)], slice_of(NULL, 0));
    const struct nn_safemode *safemode = &turn.nn->blocks.safemode;
    int rc = change_safemode(&turn, ask->action);
    struct nn_safemode_figures figures = nn_blocks_figures(&turn.nn->blocks);
    answer.is_on = nn_safemode_is_on(safemode);
    answer.is_lasting = answer.is_on && !nn_safemode_is_starting(safemode);
    nn_safemode_why(safemode, &figures, namenode_now(turn.nn), &why);
    answer.why = nn_turn_copy(&turn, buf_slice(&why));
    buf_release(&why);
    nn_turn_end(&turn, rc, &answer);
}

/* ---- the server itself ---- */

void nn_on_SERVER_INFO(struct rpc_call *call, const void *ask, void *arg)
{
    const struct nn_clients *clients = arg;
    struct nn_turn turn;
    (void)ask;
    nn_turn_begin(&turn, call, arg, NULL, slice_of(NULL, 0));
    const struct namenode *nn = turn.nn;
    struct cl2nn_server_info info = {
        .cluster_id = slice_str(nn->identity.cluster),
        .block_size = nn->limits.default_block_size,
        .replication = nn->limits.default_replication,
        .trash_interval_ms = clients->trash_interval_ms,
        .version = slice_str(QUERN_VERSION),
        .user = turn.caller.user,
        .is_superuser =
            nn_groups_is_super(&turn.nn->groups, turn.caller.user, namenode_now(turn.nn)),
        .safemode = nn_safemode_is_on(&nn->blocks.safemode),
        .live_nodes = nn->blocks.nodes.living,
    };
    nn_turn_end(&turn, 0, &info);
}

void nn_on_RESTORE_STORAGE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_restore_storage *ask = message;
    struct nn_turn turn;
    struct cl2nn_yes answer = {0};
    nn_turn_begin(&turn, call, arg,
                  ask->action == CL2NN_RESTORE_CHECK ? "checkRestoreFailedStorage"
                                                     : "restoreFailedStorage",
                  slice_of(NULL, 0));
    struct nn_journal *journal = turn.nn->journal;
    int rc = nn_turn_check_super(&turn);
    if (rc == 0 && ask->action != CL2NN_RESTORE_CHECK)
        nn_journal_set_restore(journal, ask->action == CL2NN_RESTORE_ON);
    answer.yes = nn_journal_wants_restore(journal);
    nn_turn_end(&turn, rc, &answer);
}

void nn_on_RECONFIG(struct rpc_call *call, const void *message, void *arg)
{
    static const char *const commands[] = {"startNamenodeReconfiguration",
                                           "getNamenodeReconfigurationStatus",
                                           "listNamenodeReconfigurableProperties"};
    const struct msg_reconfig *ask = message;
    struct msg_reconfigured answer = {0};
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, commands[ask->action % ARRAY_LEN(commands)], slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0)
        rc =
            daemon_reconfig(turn.nn->daemon, ask->action, rpc_call_arena(call), &answer, &turn.err);
    for (size_t i = 0; rc == 0 && i < answer.changes.n; i++) { /* a new task would free them */
        struct msg_key_change *c = &answer.changes.v[i];
        c->from = nn_turn_copy(&turn, c->from);
        c->to = nn_turn_copy(&turn, c->to);
        c->why = nn_turn_copy(&turn, c->why);
    }
    nn_turn_end(&turn, rc, &answer);
}

/* Who is in which group is asked anew, of the system, when it matters next. */
void nn_on_REFRESH_GROUPS(struct rpc_call *call, const void *ask, void *arg)
{
    struct nn_turn turn;
    (void)ask;
    nn_turn_begin(&turn, call, arg, "refreshUserToGroupsMappings", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0)
        nn_groups_forget(&turn.nn->groups);
    nn_turn_end(&turn, rc, NULL);
}

void nn_on_SET_BANDWIDTH(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_bandwidth *ask = message;
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, "setBalancerBandwidth", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0 && nn_blocks_set_bandwidth(&turn.nn->blocks, ask->bytes_per_s) != 0)
        rc = err_set(&turn.err, ERR_NOMEM, "out of memory");
    nn_turn_end(&turn, rc, NULL);
}
