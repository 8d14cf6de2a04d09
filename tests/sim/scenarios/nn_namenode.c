/* SPDX-License-Identifier: Apache-2.0
 * nn_namenode: the namenode's process: opens its log, replays it, keeps the turn (step, orders,
 * log) that the daemon's loop keeps, and dies. */
#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "namenode/journal/apply.h"
#include "namenode/journal/sections.h"
#include "tests/sim/scenarios/nn_world.h"

#define DIR_A       "/a"
#define DIR_B       "/b"
#define DIR_IMAGE   "/images"
#define IMAGE       "/images/image"
#define IMAGE_EVERY 40000
#define TICK_MS     100
#define REAP_SLICE  3 /* small: deletion in slices is part of what is tried */
#define SEGMENT     16384
#define SETTLE_MS   5000

static const char *const dirs[] = {DIR_A, DIR_B};

static struct wal_options wal_options(struct nn_sim *nn)
{
    return (struct wal_options){
        .disk = sim_disk(nn->disk), .dirs = dirs, .dir_count = 2, .segment_bytes = SEGMENT};
}

/* ---- the log ---- */

int nn_sim_commit(struct nn_sim *nn, enum nn_op number, const void *op, uint64_t answer[2])
{
    const struct nn_op_row *row = nn_op_find((uint16_t)number);
    struct buf payload = BUF_INIT;
    uint64_t index = 0;
    msg_encode(row->desc, op, &payload);
    int rc = wal_append(nn->wal, 1, (uint16_t)number, buf_slice(&payload), &index);
    buf_release(&payload);
    if (rc < 0)
        return rc;
    nn_blocks_set_applied(&nn->blocks, index);
    nn->state.applied = index;
    nn->state.mono_ms = nn->w->sim->now_ms;
    rc = nn_op_apply(&nn->state, row, op, answer);
    if (rc < 0)
        sim_fail(nn->w->sim, "%s was logged and cannot be applied: %s", row->name, err_name(rc));
    sim_trace(nn->w->sim, "nn logs %llu %s", (unsigned long long)index, row->name);
    return rc;
}

static void release_held(struct nn_sim *nn, bool all)
{
    uint64_t durable = nn->wal ? wal_durable(nn->wal) : 0;
    list_each_safe (&nn->held, it) {
        struct nn_held_answer *held = list_entry(it, struct nn_held_answer, link);
        if (!all && held->index > durable)
            continue;
        list_remove(&held->link);
        if (all)
            mem_free(held->msg);
        else
            sim_cast(&nn->host, held->to, &held->msg->head);
        mem_free(held);
    }
}

void nn_sim_answer(struct nn_sim *nn, struct sim_host *to, struct nn_msg *msg)
{
    struct nn_held_answer *held = mem_calloc(1, sizeof(*held));
    BUG_ON(!held);
    *held = (struct nn_held_answer){.index = wal_last(nn->wal), .to = to, .msg = msg};
    list_push_back(&nn->held, &held->link);
    release_held(nn, false);
}

/* The power goes in the middle of this batch: what the disk would look like then is kept. */
struct midway {
    struct nn_sim *nn;
    uint64_t at, seed;
    struct sim_disk *disk;
};

static void before_disk_op(void *arg, uint64_t op)
{
    struct midway *m = arg;
    if (op == m->at)
        m->disk = sim_disk_clone(m->nn->disk, SIM_CRASH_RANDOM, m->seed);
}

static void pump_log(struct nn_sim *nn);

static void batch_written(void *arg)
{
    struct nn_sim *nn = arg;
    struct sim *sim = nn->w->sim;
    struct midway m = {nn, sim_disk_ops(nn->disk) + 1 + rand_below(&sim->rand, 5),
                       rand_u64(&sim->rand), NULL};
    struct err err = {0};
    sim_disk_on_op(nn->disk, nn->dies_in_batch ? before_disk_op : NULL, &m);
    wal_write_batch(nn->batch);
    sim_disk_on_op(nn->disk, NULL, NULL);
    if (nn->dies_in_batch) {
        sim_trace(sim, "nn dies while it writes its log");
        nn_sim_crash(nn, SIM_CRASH_RANDOM);
        if (m.disk) {
            sim_disk_free(nn->disk);
            nn->disk = m.disk;
        }
        return;
    }
    int rc = wal_batch_done(nn->wal, nn->batch, &err);
    nn->batch = NULL;
    if (rc < 0) {
        sim_fail(sim, "the log failed: %s", err.msg);
        return;
    }
    nn_blocks_set_durable(&nn->blocks, wal_durable(nn->wal));
    release_held(nn, false);
    pump_log(nn);
}

static void pump_log(struct nn_sim *nn)
{
    struct sim *sim = nn->w->sim;
    if (nn->batch)
        return;
    nn->batch = wal_take_batch(nn->wal, sim->now_ms);
    if (nn->batch)
        sim_after(sim, &nn->host, 1 + rand_below(&sim->rand, nn->w->sync_ms), batch_written, nn);
}

/* ---- images ---- */

static int put_chunk(void *arg, uint16_t section, struct slice chunk)
{
    struct buf *out = arg;
    buf_append_u16(out, section);
    buf_append_u32(out, (uint32_t)chunk.len);
    buf_append_slice(out, chunk);
    return 0;
}

/* As the daemon does: an image of what is durable, then the log before it may go. */
static void save_image(struct nn_sim *nn)
{
    struct buf out = BUF_INIT;
    struct err err = {0};
    uint64_t index = wal_last(nn->wal);
    if (index != wal_durable(nn->wal))
        return;
    buf_append_u64(&out, index);
    int rc = nn_state_save(&nn->state, put_chunk, &out);
    if (rc == 0)
        rc = fsutil_replace(sim_disk(nn->disk), IMAGE, buf_slice(&out), &err);
    if (rc < 0)
        sim_fail(nn->w->sim, "the image was not written: %s", err.msg);
    buf_release(&out);
    wal_drop_below(nn->wal, index + 1);
    nn->image_ms = nn->w->sim->now_ms;
    sim_trace(nn->w->sim, "nn saved an image at %llu", (unsigned long long)index);
}

static int load_image(struct nn_sim *nn, uint64_t *ret_index, struct err *err)
{
    struct buf in = BUF_INIT;
    int rc = fsutil_read_all(sim_disk(nn->disk), IMAGE, 64U << 20, &in, err);
    if (rc < 0) {
        buf_release(&in);
        return rc == ERR_NOENT ? 0 : rc;
    }
    struct nn_loader *loader = nn_loader_new(&nn->state);
    BUG_ON(!loader);
    *ret_index = get_u64(in.data);
    for (size_t at = 8; at < in.len && rc == 0;) {
        uint16_t section = get_u16(in.data + at);
        uint32_t len = get_u32(in.data + at + 2);
        rc = nn_loader_take(loader, section, slice_of(in.data + at + 6, len), err);
        at += 6 + len;
    }
    if (rc == 0)
        rc = nn_loader_end(loader, err);
    nn_loader_free(loader);
    buf_release(&in);
    return rc;
}

/* ---- recovery of files whose writers are gone ---- */

static void close_file(struct nn_sim *nn, uint32_t slot, struct msg_block last, bool drop_last)
{
    uint64_t answer[2];
    struct op_close op = {.at_ms = nn->w->sim->now_ms,
                          .file_id = nn_inode(&nn->state.tree.store, slot)->id,
                          .last = last,
                          .drop_last = drop_last};
    (void)nn_sim_commit(nn, NN_OP_CLOSE, &op, answer); /* no room: the next look tries again */
}

void nn_sim_begin_recovery(struct nn_sim *nn, uint32_t slot)
{
    uint64_t answer[2];
    const struct nn_inode *inode = nn_inode(&nn->state.tree.store, slot);
    struct nn_block block = {0};
    const struct nn_prepared *prepared = nn_prepareds_find(&nn->state.prepared, inode->id);
    if (prepared && prepared->kind == NN_PREPARED_TRUNCATE)
        return; /* the datanodes are at it: see look_at_cuts */
    if (inode->last_block)
        block = nn_blockmap_get(nn->blocks.map, inode->last_block);
    if (!inode->last_block || nn_blocks_is_ready(&nn->blocks, inode->last_block)) {
        close_file(nn, slot, (struct msg_block){block.id, block.gs, block.len}, false);
        return;
    }
    struct op_recover op = {.at_ms = nn->w->sim->now_ms,
                            .file_id = inode->id,
                            .block_id = block.id,
                            .gs = nn->state.next_gs};
    (void)nn_sim_commit(nn, NN_OP_RECOVER, &op, answer);
}

static uint32_t file_in_recovery(const struct nn_sim *nn, uint32_t block)
{
    uint32_t slot = nn_blockmap_get(nn->blocks.map, block).file;
    const struct nn_inode *inode = nn_inode(&nn->state.tree.store, slot);
    if (!nn_tree_is_attached(&nn->state.tree, slot) || !inode->is_open ||
        inode->last_block != block)
        return 0;
    const struct nn_lease *lease = nn_leases_find(&nn->state.leases, inode->id);
    return lease && lease->holder->client == NN_LEASE_NAMENODE ? slot : 0;
}

/* With disks that fail it may be gone for good, and would never settle. */
static bool loses_base(const struct nn_sim *nn, uint32_t slot, const struct nn_recovered *result)
{
    const struct nn_prepared *prepared =
        nn_prepareds_find(&nn->state.prepared, nn_inode(&nn->state.tree.store, slot)->id);
    return !nn->w->has_disk_faults && prepared && prepared->kind == NN_PREPARED_BASE &&
           prepared->block == result->block && (result->is_dropped || result->len < prepared->len);
}

static void on_recovered(void *ctx, const struct nn_recovered *result)
{
    struct nn_sim *nn = ctx;
    uint32_t slot = file_in_recovery(nn, result->block);
    struct nn_block block = nn_blockmap_get(nn->blocks.map, result->block);
    struct msg_block last = {block.id, result->is_dropped ? block.gs : result->gs,
                             result->is_dropped ? block.len : result->len};
    if (result->gs <= block.gs)
        sim_fail(nn->w->sim, "recovery would take blk_%llu from stamp %llu to %llu",
                 (unsigned long long)block.id, (unsigned long long)block.gs,
                 (unsigned long long)result->gs);
    if (slot && !loses_base(nn, slot, result))
        close_file(nn, slot, last, result->is_dropped);
}

static void need_stamp(void *ctx, uint32_t block)
{
    struct nn_sim *nn = ctx;
    uint32_t slot = file_in_recovery(nn, block);
    if (slot)
        nn_sim_begin_recovery(nn, slot);
}

static void look_for_silent_writers(struct nn_sim *nn)
{
    uint64_t now = nn->w->sim->now_ms;
    bool is_safe = nn_safemode_is_on(&nn->blocks.safemode);
    if (is_safe || nn->was_safe)
        nn_leases_renew_all(&nn->state.leases, now);
    nn->was_safe = is_safe;
    if (is_safe)
        return;
    const struct nn_holder *holder = nn_leases_over(&nn->state.leases, HARD_MS, now);
    if (!holder)
        return;
    uint64_t client = holder->client;
    const struct nn_lease *lease = nn_leases_first(&nn->state.leases, client);
    uint64_t file = lease->file;
    uint32_t slot = nn_tree_find_id(&nn->state.tree, file);
    if (slot)
        nn_sim_begin_recovery(nn, slot);
    else
        nn_leases_remove(&nn->state.leases, file);
    lease = nn_leases_find(&nn->state.leases, file);
    if (lease && lease->holder->client == client)
        (void)nn_leases_renew(&nn->state.leases, client, now);
}

/* ---- files that are cut inside a block ---- */

static void order_cuts(struct nn_sim *nn, uint32_t slot, const struct nn_prepared *prepared)
{
    uint32_t nodes[NODES_MAX];
    bool is_corrupt = false;
    struct nn_cut cut;
    nn_apply_find_cut(&nn->state, slot, prepared->len, &cut);
    struct nn_block from = nn_blockmap_get(nn->blocks.map, cut.block);
    struct nn_block to = nn_blockmap_get(nn->blocks.map, prepared->block);
    size_t n =
        nn_blocks_locate(&nn->blocks, cut.block, slice_str(""), nodes, NODES_MAX, &is_corrupt);
    for (size_t i = 0; i < n && !is_corrupt; i++) {
        struct nn_order *o = nn_orders_push(&nn->blocks.orders, NN_ORDER_CLONE, nodes[i], 0, 1);
        BUG_ON(!o);
        o->block = (struct block_id){from.id, from.gs};
        o->len = from.len;
        o->blocks[0] = (struct block_id){to.id, to.gs};
        o->keep = to.len;
    }
}

/* One a tick: what is ready takes its place, what is not is ordered again. */
static void look_at_cuts(struct nn_sim *nn)
{
    hmap_each (&nn->state.prepared.files, it) {
        const struct nn_prepared *prepared = CONTAINER_OF(it, struct nn_prepared, by_file);
        uint32_t slot = nn_tree_find_id(&nn->state.tree, prepared->file);
        if (!slot || prepared->kind != NN_PREPARED_TRUNCATE ||
            nn_safemode_is_on(&nn->blocks.safemode) || prepared->after > nn->blocks.durable)
            continue;
        if (!nn_blocks_is_ready(&nn->blocks, prepared->block)) {
            order_cuts(nn, slot, prepared);
            continue;
        }
        uint64_t answer[2];
        struct op_switch op = {.at_ms = nn->w->sim->now_ms,
                               .file_id = prepared->file,
                               .block_id = nn_blockmap_get(nn->blocks.map, prepared->block).id};
        (void)nn_sim_commit(nn, NN_OP_SWITCH, &op, answer); /* no room: later */
        return;
    }
}

/* ---- orders ---- */

static uint32_t numbers(const struct nn_sim *nn, const struct nn_order *order, uint32_t *ret)
{
    uint32_t n = 0;
    for (size_t i = 0; i < order->target_count && n < NODES_MAX; i++)
        ret[n++] = nn->number_of[order->targets[i]];
    return n;
}

/* No storms: before the cluster has settled nothing that a late datanode may bring, and never more
 * than so much a second. */
static void check_pace(struct nn_sim *nn, uint64_t id)
{
    struct sim *sim = nn->w->sim;
    const struct nn_blocks *b = &nn->blocks;
    if (nn->copies_second != sim->now_ms / 1000)
        nn->copies = 0;
    nn->copies_second = sim->now_ms / 1000;
    nn->copies++;
    bool is_early = sim->now_ms < b->started_ms + SETTLE_MS &&
                    !bitset_has(&b->replicate.urgent, nn_blockmap_find(b->map, id));
    if (nn_safemode_is_on(&b->safemode) || is_early)
        sim_fail(sim, "a copy was ordered before the cluster had settled");
    if (nn->copies > 2 * (uint64_t)b->conf.work_multiplier * nn->w->dn_count)
        sim_fail(sim, "%llu copies were ordered within a second", (unsigned long long)nn->copies);
}

static void push_order(struct nn_sim *nn, const struct nn_order *order)
{
    static const enum nn_msg_kind kinds[] = {[NN_ORDER_COPY] = NN_COPY,
                                             [NN_ORDER_DELETE] = NN_DELETE,
                                             [NN_ORDER_RECOVER] = NN_RECOVER,
                                             [NN_ORDER_REPORT] = NN_REPORT,
                                             [NN_ORDER_CLONE] = NN_CLONE};
    struct sim_conn *conn = nn->conns[order->node];
    if (!conn)
        return;
    struct nn_msg *msg = nn_msg_new(kinds[order->kind]);
    msg->block = (struct msg_block){order->block.id, order->block.gs, order->len};
    msg->new_gs = order->new_gs;
    msg->new_len = order->keep;
    msg->values[0] = nn->term;
    msg->node_count = numbers(nn, order, msg->nodes);
    BUG_ON(order->block_count > DELETE_MAX);
    for (size_t i = 0; i < order->block_count; i++) {
        msg->blocks[msg->block_count++] = order->blocks[i];
        if (order->kind == NN_ORDER_CLONE)
            continue;
        sim_trace(nn->w->sim, "blk_%llu_%llu is to go from dn%u",
                  (unsigned long long)order->blocks[i].id, (unsigned long long)order->blocks[i].gs,
                  nn->number_of[order->node]);
    }
    if (order->kind == NN_ORDER_COPY || order->kind == NN_ORDER_RECOVER)
        sim_trace(nn->w->sim, "%s blk_%llu_%llu by dn%u, %u others", msg->head.name,
                  (unsigned long long)order->block.id, (unsigned long long)order->block.gs,
                  nn->number_of[order->node], msg->node_count);
    if (order->kind == NN_ORDER_COPY)
        check_pace(nn, order->block.id);
    sim_send(conn, &nn->host, &msg->head);
}

static void note_members(struct nn_sim *nn)
{
    const struct nn_node *node = NULL;
    uint64_t answer[2];
    int rc = 0;
    while (rc == 0 && (node = nn_blocks_new_member(&nn->blocks)) != NULL) {
        const struct op_datanode op = {
            .at_ms = nn->w->sim->now_ms, .name = node->address.name, .uuid = slice_str(node->uuid)};
        rc = nn_sim_commit(nn, NN_OP_DATANODE, &op, answer); /* no room: later */
    }
}

/* What the end of a turn of the daemon's loop does. */
static void end_turn(struct nn_sim *nn)
{
    struct nn_order *order = NULL;
    note_members(nn);
    if (nn_blocks_step(&nn->blocks, nn->w->sim->now_ms) < 0)
        sim_fail(nn->w->sim, "the block side is out of memory");
    while ((order = nn_blocks_take_order(&nn->blocks)) != NULL) {
        push_order(nn, order);
        nn_order_free(order);
    }
    pump_log(nn);
}

static void tick(void *arg)
{
    struct nn_sim *nn = arg;
    nn_state_reap(&nn->state, REAP_SLICE);
    look_for_silent_writers(nn);
    look_at_cuts(nn);
    if (nn->w->sim->now_ms - nn->image_ms > IMAGE_EVERY)
        save_image(nn);
    end_turn(nn);
    sim_after(nn->w->sim, &nn->host, TICK_MS, tick, nn);
}

/* ---- what datanodes say ---- */

uint32_t nn_sim_node(const struct nn_sim *nn, uint32_t number)
{
    for (uint32_t i = 1; i <= nn->blocks.nodes.node_count; i++)
        if (nn->number_of[i] == number)
            return i;
    return 0;
}

struct facts {
    char ids[VOLUMES][16];
    struct nn_storage_facts list[VOLUMES];
};

static void fill_facts(struct facts *f, uint32_t number, const bool *failed)
{
    for (unsigned v = 0; v < VOLUMES; v++) {
        snprintf(f->ids[v], sizeof(f->ids[v]), "s%u.%u", number, v);
        f->list[v] =
            (struct nn_storage_facts){slice_str(f->ids[v]), failed[v], 1ULL << 40, 0, 1ULL << 40};
    }
}

static void on_register(struct nn_sim *nn, struct dn_sim *dn, struct sim_conn *conn,
                        const struct nn_msg *msg)
{
    char rack[16], uuid[16];
    struct facts facts;
    struct err err = {0};
    uint32_t node = 0;
    snprintf(rack, sizeof(rack), "/r%u", dn->number % nn->w->racks);
    snprintf(uuid, sizeof(uuid), "u%u", dn->number);
    fill_facts(&facts, dn->number, msg->failed);
    struct nn_registration reg = {.address = {.name = slice_str(dn->host.name),
                                              .host = slice_str("h"),
                                              .rack = slice_str(rack)},
                                  .uuid = slice_str(uuid),
                                  .storages = facts.list,
                                  .storage_count = VOLUMES};
    struct nn_msg *answer = nn_msg_new(NN_REGISTERED);
    answer->code = nn_blocks_register(&nn->blocks, &reg, nn->w->sim->now_ms, &node, &err);
    answer->values[0] = nn->term;
    if (answer->code == 0) {
        if (nn->conns[node] && nn->conns[node] != conn)
            sim_conn_close(nn->conns[node], &nn->host);
        nn->conns[node] = conn;
        nn->number_of[node] = dn->number;
    }
    sim_send(conn, &nn->host, &answer->head);
}

static int on_report(struct nn_sim *nn, uint32_t node, struct slice storage,
                     const struct nn_msg *msg)
{
    const struct nn_page *p = &msg->page;
    struct nn_report_page page = {p->id,     p->page, p->is_last, p->ids,
                                  p->stamps, p->lens, p->states,  p->count};
    return nn_blocks_report(&nn->blocks, node, storage, &page, nn->w->sim->now_ms);
}

static int said_by_datanode(struct nn_sim *nn, uint32_t node, struct dn_sim *dn,
                            const struct nn_msg *msg)
{
    uint64_t now = nn->w->sim->now_ms;
    struct block_id id = {msg->block.id, msg->block.gs};
    struct nn_said said = {msg->block.id, msg->block.gs, msg->block.len, NN_REPLICA_FINALIZED};
    struct nn_recovered result = {
        .gs = msg->new_gs, .len = msg->new_len, .is_dropped = msg->node_count == 0};
    char storage[16];
    struct facts facts;
    snprintf(storage, sizeof(storage), "s%u.%u", dn->number, msg->volume);
    switch (msg->kind) {
    case DN_BEAT:
        fill_facts(&facts, dn->number, msg->failed);
        return nn_blocks_heartbeat(&nn->blocks, node,
                                   &(struct nn_heartbeat){facts.list, VOLUMES, 0, 0}, now)
                   ? 0
                   : ERR_NOENT;
    case DN_REPORT:
        return on_report(nn, node, slice_str(storage), msg);
    case DN_CHANGE:
        return nn_blocks_change(&nn->blocks, node, slice_str(storage), msg->change, &said, now);
    case DN_COPIED:
        return nn_blocks_copied(&nn->blocks, node, id, nn_sim_node(nn, msg->nodes[0]), msg->code,
                                now);
    case DN_RECOVERED:
        return nn_blocks_recovery_result(&nn->blocks, id, &result, msg->code, now);
    default:
        BUG("%s from a datanode", nn_msg_name(msg->kind));
    }
}

static void on_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *sim_msg)
{
    struct nn_sim *nn = CONTAINER_OF(host, struct nn_sim, host);
    struct nn_msg *msg = CONTAINER_OF(sim_msg, struct nn_msg, head);
    if (!conn) {
        nn_sim_serve(nn, from, msg);
        end_turn(nn);
        return;
    }
    struct dn_sim *dn = CONTAINER_OF(from, struct dn_sim, host);
    uint32_t node = nn_sim_node(nn, dn->number);
    if (msg->kind == DN_REGISTER) {
        on_register(nn, dn, conn, msg);
    } else {
        bool is_current = node && nn->conns[node] == conn;
        int rc = is_current ? said_by_datanode(nn, node, dn, msg) : ERR_NOENT;
        struct nn_msg *answer = nn_msg_new(NN_HEARD);
        answer->flag = rc == ERR_NOENT;
        answer->values[0] = nn->term;
        sim_send(conn, &nn->host, &answer->head);
    }
    end_turn(nn);
}

static void on_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct nn_sim *nn = CONTAINER_OF(host, struct nn_sim, host);
    for (uint32_t i = 1; i <= nn->blocks.nodes.node_count; i++) {
        if (nn->conns[i] != conn)
            continue;
        nn->conns[i] = NULL;
        nn_blocks_disconnect(&nn->blocks, i, nn_nodes_get(&nn->blocks.nodes, i)->session,
                             nn->w->sim->now_ms);
        end_turn(nn);
    }
}

static const struct sim_host_ops ops = {.on_message = on_message, .on_cut = on_cut};

/* ---- life ---- */

static void conf_fill(const struct nn_world *w, struct nn_blocks_conf *conf)
{
    nn_blocks_conf_init(conf);
    conf->heartbeat_ms = HEARTBEAT_MS;
    conf->recheck_ms = RECHECK_MS;
    conf->stale_ms = STALE_MS;
    conf->report_ms = w->report_every_ms;
    conf->redundancy_ms = 1000;
    conf->pending_ms = PENDING_MS;
    conf->delete_batch = DELETE_MAX;
    conf->settle_ms = SETTLE_MS;
    conf->lag_ms = 20000;
    conf->recover_ms = w->recover_ms;
    conf->safemode_extension_ms = w->sim->seed % 3 == 0 ? 3000 : 0;
}

struct replay {
    struct nn_sim *nn;
    struct arena scratch;
    struct err err;
};

static int replay_one(void *arg, const struct wal_record *record)
{
    struct replay *r = arg;
    struct nn_sim *nn = r->nn;
    nn_blocks_set_applied(&nn->blocks, record->index);
    nn->state.applied = record->index;
    nn->state.mono_ms = nn->w->sim->now_ms;
    return nn_op_replay(&nn->state, record->type, record->payload, &r->scratch, &r->err);
}

static int open_state(struct nn_sim *nn, struct err *err)
{
    struct wal_options options = wal_options(nn);
    struct replay r = {.nn = nn, .scratch = ARENA_INIT};
    uint64_t from = 0;
    int rc = wal_open(&options, &nn->wal, err);
    if (rc == 0)
        rc = load_image(nn, &from, err);
    if (rc == 0)
        rc = wal_replay(nn->wal, from + 1, replay_one, &r, err);
    if (rc != 0 && r.err.code)
        *err = r.err;
    arena_release(&r.scratch);
    return rc;
}

void nn_sim_start(struct nn_sim *nn)
{
    struct sim *sim = nn->w->sim;
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {
        .ctx = nn, .on_recovered = on_recovered, .need_stamp = need_stamp};
    struct err err = {0};
    conf_fill(nn->w, &conf);
    nn->batch = NULL;
    nn->dies_in_batch = false;
    nn->was_safe = true;
    nn->term++;
    memset(nn->conns, 0, sizeof(nn->conns));
    memset(nn->number_of, 0, sizeof(nn->number_of));
    BUG_ON(nn_blocks_init(&nn->blocks, &conf, &hooks, rand_u64(&sim->rand), sim->now_ms) < 0);
    BUG_ON(nn_state_init(&nn->state, &nn->blocks, slice_str("root"), slice_str("supergroup")) < 0);
    nn->is_open = true;
    if (open_state(nn, &err) != 0) {
        sim_fail(sim, "the namenode does not start: %s", err.msg);
        return;
    }
    nn_blocks_set_durable(&nn->blocks, wal_durable(nn->wal));
    nn_blocks_loaded(&nn->blocks, nn->state.next_block_id - 1, sim->now_ms);
    nn->image_ms = sim->now_ms;
    sim_trace(sim, "nn serves from record %llu, state %016llx",
              (unsigned long long)wal_last(nn->wal), (unsigned long long)nn_state_hash(&nn->state));
    sim_after(sim, &nn->host, TICK_MS, tick, nn);
}

static void close_state(struct nn_sim *nn)
{
    if (!nn->is_open)
        return;
    release_held(nn, true);
    wal_abandon(nn->wal);
    nn->wal = NULL;
    nn_state_release(&nn->state);
    nn_blocks_release(&nn->blocks);
    nn->is_open = false;
}

void nn_sim_crash(struct nn_sim *nn, enum sim_crash how)
{
    sim_host_crash(&nn->host);
    close_state(nn);
    sim_disk_crash(nn->disk, how, rand_u64(&nn->w->sim->rand));
}

static int format(struct nn_sim *nn)
{
    struct disk *disk = sim_disk(nn->disk);
    struct wal_options options = wal_options(nn);
    struct err err = {0};
    int rc = fsutil_mkdirs(disk, DIR_A, &err);
    if (rc == 0)
        rc = fsutil_mkdirs(disk, DIR_B, &err);
    if (rc == 0)
        rc = fsutil_mkdirs(disk, DIR_IMAGE, &err);
    return rc == 0 ? wal_create(&options, 77, 1, &err) : rc;
}

void nn_sim_add(struct nn_world *w)
{
    struct nn_sim *nn = &w->nn;
    nn->w = w;
    list_init(&nn->held);
    nn_limits_init(&nn->limits);
    nn->limits.min_block_size = 512;
    nn->limits.lease_soft_ms = SOFT_MS;
    nn->caller = (struct nn_caller){.user = slice_str("root"), .is_super = true};
    nn->disk = sim_disk_new();
    BUG_ON(!nn->disk);
    sim_disk_set_garble(nn->disk, 4);
    sim_host_add(w->sim, &nn->host, "nn", &ops);
    if (format(nn) < 0)
        sim_fail(w->sim, "the log cannot be made");
    nn_sim_start(nn);
}

void nn_sim_release(struct nn_sim *nn)
{
    close_state(nn);
    sim_disk_free(nn->disk);
}

struct nn_view nn_sim_view(struct nn_sim *nn)
{
    return (struct nn_view){.state = &nn->state,
                            .limits = &nn->limits,
                            .caller = &nn->caller,
                            .address = "sim",
                            .wall_ms = nn->w->sim->now_ms,
                            .mono_ms = nn->w->sim->now_ms};
}
