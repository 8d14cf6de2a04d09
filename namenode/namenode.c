/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namenode.h"

#include <pwd.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/daemon/address.h"
#include "namenode/truncation.h"

#define TERM        1    /* of a namenode that is alone */
#define REAP_SLICE  2000 /* inodes freed at a time: about a millisecond */
#define REAP_MS     5
#define SPACE_MS    5000
#define RPC_ADDRESS "dfs.namenode.rpc-address"
/* What is in the journal must be applied, so the memory that may take is set aside before. Most is
 * needed when the table of first answers doubles: 24 MiB, once in its life. */
#define APPLY_RESERVE_BYTES ((size_t)64 << 20)

/* ---- the end of everything ---- */

/* Nothing may be answered any more, not even what is already in the output buffers of connections:
 * so not a graceful end. The journal holds what was promised; the next start reads it. */
__attribute__((noreturn)) static void die(const struct err *err)
{
    log_error("nn", "%s", err->msg);
    _exit(1);
}

static void on_journal_failed(void *arg, const struct err *err)
{
    (void)arg;
    die(err);
}

/* ---- changes ---- */

uint64_t namenode_now(const struct namenode *nn)
{
    return loop_now_ms(nn->loop);
}

uint64_t namenode_applied(const struct namenode *nn)
{
    return nn->state.applied;
}

struct nn_view namenode_view(struct namenode *nn, const struct nn_caller *caller)
{
    return (struct nn_view){.state = &nn->state,
                            .limits = &nn->limits,
                            .caller = caller,
                            .address = "",
                            .wall_ms = clock_wall_ms(),
                            .mono_ms = namenode_now(nn)};
}

int namenode_commit(struct namenode *nn, enum nn_op number, const void *op, uint64_t ret_answer[2],
                    struct err *err)
{
    const struct nn_op_row *row = nn_op_find((uint16_t)number);
    uint64_t index = 0;
    if (nn->is_stopping)
        return err_set(err, ERR_CLOSED, "the namenode is stopping");
    if (!mem_reserve_fill(APPLY_RESERVE_BYTES))
        return err_set(err, ERR_NOMEM, "out of memory");
    buf_clear(&nn->record);
    msg_encode(row->desc, op, &nn->record);
    if (buf_failed(&nn->record))
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = nn_journal_append(nn->journal, row->number, buf_slice(&nn->record), &index, err);
    if (rc != 0)
        return rc;
    nn->state.applied = index;
    nn->state.mono_ms = namenode_now(nn);
    nn_blocks_set_applied(&nn->blocks, index);
    bool before = mem_reserve_use(true);
    rc = nn_op_apply(&nn->state, row, op, ret_answer);
    (void)mem_reserve_use(before);
    if (rc != 0) {
        struct err last;
        err_set(&last, rc, "record %llu (%s) is in the journal and cannot be applied: %s",
                (unsigned long long)index, row->name, err_text(rc));
        die(&last);
    }
    return 0;
}

static void on_durable(void *arg, uint64_t durable)
{
    struct namenode *nn = arg;
    nn_blocks_set_durable(&nn->blocks, durable);
    nn_held_release_to(&nn->held, durable);
    if (nn->has_truncation)
        nn_truncation_look(nn, false);
}

/* ---- the block side's hooks ---- */

static void on_ready(void *ctx, uint32_t block)
{
    nn_clients_on_ready(&((struct namenode *)ctx)->clients, block);
    nn_truncation_ready(ctx, block);
}

static void on_recovered(void *ctx, const struct nn_recovered *result)
{
    nn_recovery_settled(&((struct namenode *)ctx)->recovery, result);
}

static void need_stamp(void *ctx, uint32_t block)
{
    nn_recovery_need_stamp(&((struct namenode *)ctx)->recovery, block);
}

static uint64_t highest_gs(void *ctx)
{
    return ((struct namenode *)ctx)->state.next_gs - 1;
}

/* ---- work in slices ---- */

static void reap(void *arg)
{
    struct namenode *nn = arg;
    if (!nn_state_reap(&nn->state, REAP_SLICE))
        loop_timer_stop(&nn->reap_timer);
}

/* Datanodes that closes count on from now on, also after a restart. Without room in the log they
 * are counted as long as this process lives, and tried again at the next turn. */
static void note_members(struct namenode *nn)
{
    const struct nn_node *node = NULL;
    int rc = 0;
    while (rc == 0 && (node = nn_blocks_new_member(&nn->blocks)) != NULL) {
        const struct op_datanode op = {
            .at_ms = clock_wall_ms(), .name = node->address.name, .uuid = slice_str(node->uuid)};
        uint64_t ignored[2];
        struct err err;
        rc = namenode_commit(nn, NN_OP_DATANODE, &op, ignored, &err);
    }
}

static void on_turn_end(void *arg)
{
    struct namenode *nn = arg;
    if (!nn->is_short && !nn->is_stopping)
        note_members(nn);
    if (nn->state.tree.doomed_count && !loop_timer_is_running(&nn->reap_timer))
        (void)loop_every(nn->loop, &nn->reap_timer, REAP_MS, reap, nn); /* else at the next turn */
}

/* ---- room for the journal ---- */

/* A start that was interrupted by this waits for its blocks again afterwards. */
static void set_short(struct namenode *nn, bool is_short)
{
    struct nn_safemode *safemode = &nn->blocks.safemode;
    if (is_short == nn->is_short)
        return;
    nn->is_short = is_short;
    if (is_short) {
        log_error("nn", "little room is left for the journal: safe mode, only reading is allowed");
        nn->was_starting = nn_safemode_is_starting(safemode);
        nn_safemode_enter(safemode, "Resources are low on NN: there is little room left for the "
                                    "journal. Please add or free up space");
        return;
    }
    log_info("nn", "there is room for the journal again");
    if (nn->was_starting && !nn_safemode_is_behind(safemode))
        nn_safemode_init(safemode, safemode->threshold_ppm, safemode->min_nodes,
                         safemode->extension_ms);
    else
        nn_safemode_leave(safemode);
}

static void look_at_space(void *arg)
{
    struct namenode *nn = arg;
    struct nn_journal_dir dirs[NN_JOURNAL_DIRS_MAX];
    size_t count = nn_journal_dirs(nn->journal, dirs, ARRAY_LEN(dirs));
    bool is_short = nn->is_log_full;
    for (size_t i = 0; i < count; i++) {
        struct disk_space space;
        if (dirs[i].is_alive && disk_space(disk_real(), dirs[i].path, &space) == 0)
            is_short = is_short || space.free_bytes < nn->reserved_bytes;
    }
    set_short(nn, is_short);
}

static void on_journal_full(void *arg, bool is_full)
{
    struct namenode *nn = arg;
    nn->is_log_full = is_full;
    look_at_space(nn);
}

/* ---- an image by hand ---- */

struct saving {
    struct namenode *nn;
    struct rpc_call *call;
};

static void on_saved(void *arg, const struct err *err)
{
    struct saving *saving = arg;
    if (err)
        rpc_fail_err(saving->call, err);
    else
        rpc_answer(saving->call, &(const struct cl2nn_yes){true});
}

int namenode_checkpoint(struct namenode *nn, struct rpc_call *call, struct err *err)
{
    struct saving *saving = arena_alloc(rpc_call_arena(call), sizeof(*saving));
    if (!saving)
        return err_set(err, ERR_NOMEM, "out of memory");
    *saving = (struct saving){nn, call};
    return nn_journal_checkpoint(nn->journal, on_saved, saving, err);
}

/* ---- who may be a datanode ---- */

int namenode_refresh_nodes(struct namenode *nn, struct err *err)
{
    int rc = nn_admission_read(&nn->admission, nn->conf, err);
    if (rc == 0 && nn_datanodes_admit(nn->datanodes) < 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    return rc;
}

/* ---- start ---- */

int namenode_user(char *out, size_t cap, struct err *err)
{
    char text[4096];
    struct passwd pw, *found = NULL;
    if (getpwuid_r(geteuid(), &pw, text, sizeof(text), &found) == 0 && found)
        snprintf(out, cap, "%s", found->pw_name);
    else
        snprintf(out, cap, "%u", (unsigned)geteuid());
    return out[0] ? 0 : err_set(err, ERR_CONFIG, "the namenode's own user has no name");
}

static void read_limits(struct nn_limits *limits, const struct conf *conf)
{
    nn_limits_init(limits);
    limits->default_replication = (uint32_t)conf_int(conf, "dfs.replication");
    limits->max_replication = (uint32_t)conf_int(conf, "dfs.replication.max");
    limits->default_block_size = conf_size(conf, "dfs.blocksize");
    limits->min_block_size = conf_size(conf, "dfs.namenode.fs-limits.min-block-size");
    uint32_t max_name = (uint32_t)conf_int(conf, "dfs.namenode.fs-limits.max-component-length");
    limits->max_name = max_name ? max_name : NAME_MAX_BYTES;
    limits->max_items = (uint32_t)conf_int(conf, "dfs.namenode.fs-limits.max-directory-items");
    limits->max_blocks = (uint32_t)conf_int(conf, "dfs.namenode.fs-limits.max-blocks-per-file");
    limits->lease_soft_ms = conf_ms(conf, "dfs.namenode.lease-soft-limit");
    limits->atime_precision_ms = conf_ms(conf, "dfs.namenode.accesstime.precision");
    limits->umask_always = !conf_bool(conf, "dfs.namenode.posix.acl.inheritance.enabled");
}

static int start_state(struct namenode *nn, const char *user, struct err *err)
{
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {nn, on_ready, on_recovered, need_stamp};
    uint64_t seed = 0;
    rand_secret(&seed, sizeof(seed));
    nn_blocks_conf_read(&conf, nn->conf);
    int rc = nn_blocks_init(&nn->blocks, &conf, &hooks, seed, namenode_now(nn));
    if (rc != 0)
        return err_set(err, rc, "out of memory");
    nn->state.mono_ms = namenode_now(nn);
    rc = nn_state_init(&nn->state, &nn->blocks, slice_str(user),
                       slice_str(conf_str(nn->conf, "dfs.permissions.superusergroup")));
    return rc == 0 ? 0 : err_set(err, rc, "out of memory");
}

static int start_journal(struct namenode *nn, struct err *err)
{
    struct conf_list dirs = conf_list(nn->conf, "dfs.namenode.name.dir");
    struct nn_journal_options options = {
        .disk = disk_real(),
        .dirs = (const char *const *)dirs.items,
        .dir_count = dirs.count,
        .state = &nn->state,
        .loop = nn->loop,
        .checkpoint_ms = conf_ms(nn->conf, "dfs.namenode.checkpoint.period"),
        .checkpoint_records = (uint64_t)conf_int(nn->conf, "dfs.namenode.checkpoint.txns"),
        .on_durable = on_durable,
        .on_failed = on_journal_failed,
        .on_full = on_journal_full,
        .arg = nn,
    };
    nn->reserved_bytes = conf_size(nn->conf, "dfs.namenode.resource.du.reserved");
    int rc = nn_journal_open(&options, &nn->journal, err);
    if (rc != 0)
        return rc;
    nn_journal_set_restore(nn->journal, conf_bool(nn->conf, "dfs.namenode.name.dir.restore"));
    nn->state.applied = nn_journal_last(nn->journal);
    nn_blocks_set_applied(&nn->blocks, nn->state.applied);
    on_durable(nn, nn_journal_durable(nn->journal));
    nn_leases_renew_all(&nn->state.leases, namenode_now(nn));
    nn->blocks.spared_from = nn->state.spared_from;
    nn->blocks.spared_to = nn->state.spared_to;
    nn_blocks_loaded(&nn->blocks, nn->state.next_block_id - 1, namenode_now(nn));
    nn->identity.cluster = nn_journal_cluster_id(nn->journal);
    return 0;
}

static int start_people(struct namenode *nn, const char *user, struct err *err)
{
    int rc = nn_groups_init(&nn->groups, user, conf_str(nn->conf, "dfs.permissions.superusergroup"),
                            conf_str(nn->conf, "hadoop.user.group.static.mapping.overrides"), err);
    nn->groups.is_open = !conf_bool(nn->conf, "dfs.permissions.enabled");
    if (rc == 0)
        rc = nn_audit_open(&nn->audit, nn->loop, conf_str(nn->conf, "dfs.namenode.audit.log"), err);
    return rc;
}

static int start_datanodes(struct namenode *nn, struct err *err)
{
    int rc = racks_open(nn->loop, conf_str(nn->conf, "net.topology.table.file.name"),
                        conf_str(nn->conf, "net.topology.script.file.name"), &nn->racks, err);
    if (rc == 0)
        rc = nn_admission_read(&nn->admission, nn->conf, err);
    if (rc != 0)
        return rc;
    struct nn_datanodes_conf conf = {.loop = nn->loop,
                                     .blocks = &nn->blocks,
                                     .racks = nn->racks,
                                     .admission = &nn->admission,
                                     .cluster_id = nn->identity.cluster,
                                     .term = TERM,
                                     .highest_gs = highest_gs,
                                     .ctx = nn};
    nn->datanodes = nn_datanodes_new(&conf);
    return nn->datanodes ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static void on_peer_down(struct rpc_peer *peer, int code, void *arg)
{
    struct namenode *nn = arg;
    (void)code;
    if (nn->datanodes && rpc_peer_role(peer) == WIRE_DATANODE)
        nn_datanodes_peer_down(nn->datanodes, peer);
}

static int start_server(struct namenode *nn, struct err *err)
{
    char address[ADDRESS_TEXT_MAX];
    nn->services[0] = nn_clients_service(&nn->clients);
    nn->services[1] = nn_datanodes_service(nn->datanodes);
    struct rpc_conf rpc = {.self = &nn->identity,
                           .services = nn->services,
                           .service_count = ARRAY_LEN(nn->services),
                           .on_peer_down = on_peer_down,
                           .arg = nn};
    int rc = address_listen(nn->conf, RPC_ADDRESS, address, err);
    if (rc == 0)
        rc = rpc_server_open(nn->loop, address, &rpc, &nn->server, err);
    if (rc == 0)
        log_info("nn", "serving cluster %s on %s", nn->identity.cluster,
                 rpc_server_address(nn->server));
    const char *path = conf_str(nn->conf, "dfs.namenode.socket.path");
    if (rc == 0 && path && *path)
        rc = rpc_server_open(nn->loop, path, &rpc, &nn->local_server, err);
    return rc;
}

int namenode_open(struct namenode *nn, struct err *err)
{
    char user[256];
    nn->audit.fd = -1;
    int rc = namenode_user(user, sizeof(user), err);
    read_limits(&nn->limits, nn->conf);
    identity_init(&nn->identity, WIRE_NAMENODE, nn->node_name);
    nn_held_init(&nn->held);
    nn_clients_init(&nn->clients, nn);
    if (rc == 0)
        rc = start_people(nn, user, err);
    if (rc == 0)
        rc = start_state(nn, user, err);
    if (rc == 0)
        rc = start_journal(nn, err);
    if (rc == 0)
        rc = start_datanodes(nn, err);
    if (rc == 0 &&
        (nn_recovery_start(&nn->recovery, nn,
                           conf_ms(nn->conf, "dfs.namenode.lease-hard-limit-sec")) != 0 ||
         nn_emptier_start(&nn->emptier, nn, conf_ms(nn->conf, "fs.trash.interval"),
                          conf_ms(nn->conf, "fs.trash.checkpoint.interval")) != 0 ||
         loop_every(nn->loop, &nn->space_timer, SPACE_MS, look_at_space, nn) != 0))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0)
        return rc;
    loop_on_turn_end(nn->loop, &nn->turn_end, on_turn_end, nn);
    look_at_space(nn);
    return start_server(nn, err);
}

/* ---- release ---- */

void namenode_release(void *state)
{
    struct namenode *nn = state;
    nn_recovery_stop(&nn->recovery);
    nn_emptier_stop(&nn->emptier);
    loop_hook_remove(&nn->turn_end);
    loop_timer_stop(&nn->reap_timer);
    loop_timer_stop(&nn->space_timer);
    loop_timer_stop(&nn->state_timer);
    nn_clients_release(&nn->clients);
    nn_held_drop_all(&nn->held);
    nn_datanodes_free(nn->datanodes);
    nn->datanodes = NULL; /* on_peer_down comes while the server closes */
    rpc_server_close(nn->server);
    rpc_server_close(nn->local_server);
    racks_close(nn->racks);
    nn_admission_release(&nn->admission);
    nn_journal_close(nn->journal);
    nn_audit_close(&nn->audit);
    nn_groups_release(&nn->groups);
    if (nn->state.blocks)
        nn_state_release(&nn->state);
    if (nn->blocks.map)
        nn_blocks_release(&nn->blocks);
    buf_release(&nn->record);
    mem_free(nn);
}
