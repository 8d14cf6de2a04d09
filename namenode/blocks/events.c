/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/events.h"

#include "libcommon/base/mem.h"
#include "namenode/blocks/settle.h"

#define TICK_MS       100  /* housekeeping is done so often, however often step is called */
#define DELETE_MS     1000 /* deletions are ordered in batches, at most so often */
#define REMOVAL_SLICE 4000

const char *nn_change_name(enum nn_change change)
{
    static const char *const names[] = {"RECEIVING", "RECEIVED", "DELETED", "BAD"};
    return (size_t)change < ARRAY_LEN(names) ? names[change] : "?";
}

/* ---- telling the namespace ---- */

static void tell(struct nn_blocks *b, const struct nn_notice *notice)
{
    uint32_t block = nn_blockmap_find(b->map, notice->id);
    const struct nn_blocks_hooks *hooks = &b->hooks;
    if (block == NN_BLOCK_NONE)
        return;
    switch (notice->kind) {
    case NN_NOTICE_READY:
        if (hooks->on_ready)
            hooks->on_ready(hooks->ctx, block);
        break;
    case NN_NOTICE_RECOVERED:
        if (hooks->on_recovered)
            hooks->on_recovered(hooks->ctx, &notice->result);
        break;
    case NN_NOTICE_STAMP:
        if (hooks->need_stamp)
            hooks->need_stamp(hooks->ctx, block);
        break;
    }
}

/* The namespace may call back in and cause further notices: they are told too. */
static void tell_all(struct nn_blocks *b)
{
    for (size_t i = 0; i < b->notice_count; i++) {
        struct nn_notice notice = b->notices[i];
        tell(b, &notice);
    }
    b->notice_count = 0;
}

/* ---- giving up what a storage held ---- */

/* At most `slice` blocks; true when nothing is left. */
static bool remove_some(struct nn_blocks *b, struct nn_storage *storage, uint32_t slice)
{
    for (uint32_t i = 0; i < slice; i++) {
        uint32_t block = nn_blockmap_on_storage(b->map, storage->index, storage->removed_to);
        if (block == NN_BLOCK_NONE)
            return true;
        nn_settle_drop(b, block, storage->index);
        storage->removed_to = block + 1;
        /* Short of memory, the block is found again by the scan after the next safe mode, or when
         * another of its nodes reports. */
        (void)nn_settle_check(b, block);
    }
    return false;
}

static void drop_open(struct nn_blocks *b, uint32_t storage)
{
    hmap_each (&b->writings.map, it)
        nn_writing_drop(CONTAINER_OF(it, struct nn_writing, by_block), storage);
}

static void forget_report(struct nn_blocks *b, uint32_t storage)
{
    if (storage < b->report_count)
        nn_report_release(&b->reports[storage]);
}

static void finish_removal(struct nn_blocks *b, struct nn_storage *storage)
{
    if (!storage->owes_removal)
        return;
    while (!remove_some(b, storage, REMOVAL_SLICE))
        continue;
    drop_open(b, storage->index);
    forget_report(b, storage->index);
    nn_doomed_forget_storage(&b->doomed, storage->node, storage->index);
    nn_nodes_removed(&b->nodes, storage->index);
}

static void removal_slice(struct nn_blocks *b)
{
    for (uint32_t i = 1; i <= b->nodes.storage_count && b->nodes.owing > 0; i++) {
        struct nn_storage *storage = nn_nodes_storage(&b->nodes, i);
        if (!storage->owes_removal)
            continue;
        if (remove_some(b, storage, REMOVAL_SLICE))
            finish_removal(b, storage);
        return;
    }
}

static void on_died(void *arg, uint32_t node)
{
    struct nn_blocks *b = arg;
    const struct nn_node *n = nn_nodes_get(&b->nodes, node);
    for (size_t i = 0; i < n->storage_count; i++) {
        drop_open(b, n->storages[i]);
        forget_report(b, n->storages[i]);
    }
    nn_doomed_forget_node(&b->doomed, node);
    nn_replicate_node_lost(&b->replicate, node);
    nn_recoveries_node_lost(&b->recoveries, node, b->now_ms);
    nn_leaving_died(&b->leaving, node);
    nn_balance_node_lost(&b->balance, node);
}

/* ---- registration and heartbeats ---- */

int nn_blocks_register(struct nn_blocks *b, const struct nn_registration *reg, uint64_t now_ms,
                       uint32_t *ret_node, struct err *err)
{
    b->now_ms = now_ms;
    for (size_t i = 0; i < reg->storage_count; i++) {
        struct nn_storage *storage = nn_nodes_find_storage(&b->nodes, reg->storages[i].id);
        if (storage)
            finish_removal(b, storage);
    }
    int rc = nn_nodes_register(&b->nodes, reg, now_ms, ret_node, err);
    if (rc < 0)
        return rc;
    const struct nn_node *node = nn_nodes_get(&b->nodes, *ret_node);
    for (size_t i = 0; i < node->storage_count; i++)
        forget_report(b, node->storages[i]);
    nn_replicate_node_lost(&b->replicate, *ret_node);
    nn_recoveries_node_lost(&b->recoveries, *ret_node, now_ms);
    nn_leaving_returned(&b->leaving, *ret_node);
    nn_balance_node_lost(&b->balance, *ret_node);
    return 0;
}

int nn_blocks_want(struct nn_blocks *b, uint32_t node, enum nn_wanted wanted, uint64_t until_ms,
                   uint64_t now_ms)
{
    b->now_ms = now_ms;
    if (wanted != NN_WANTED_REFUSED)
        return nn_leaving_want(&b->leaving, node, wanted, until_ms);
    int rc = nn_leaving_want(&b->leaving, node, NN_WANTED_IN_SERVICE, 0);
    nn_nodes_get(&b->nodes, node)->is_refused = true;
    nn_nodes_bury(&b->nodes, node, on_died, b);
    return rc;
}

void nn_blocks_disconnect(struct nn_blocks *b, uint32_t node, uint64_t session, uint64_t now_ms)
{
    b->now_ms = now_ms;
    nn_nodes_disconnect(&b->nodes, node, session);
    if (nn_nodes_get(&b->nodes, node)->is_connected)
        return; /* an older connection of its */
    nn_recoveries_node_lost(&b->recoveries, node, now_ms);
    nn_replicate_node_lost(&b->replicate, node);
    nn_balance_node_lost(&b->balance, node);
}

bool nn_blocks_heartbeat(struct nn_blocks *b, uint32_t node, const struct nn_heartbeat *beat,
                         uint64_t now_ms)
{
    b->now_ms = now_ms;
    return nn_nodes_heartbeat(&b->nodes, node, beat, now_ms);
}

/* ---- reports and changes ---- */

#define NEWER_MAX (1ULL << 32) /* so many blocks are not given out between two backups */

static bool is_known_good(const struct nn_blocks *b, uint32_t block, uint32_t storage,
                          const struct nn_said *said)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
    if (nn_report_judge(&blk, b->highest_id, said) != NN_VERDICT_GOOD)
        return false;
    for (size_t i = 0; i < blk.replicas; i++)
        if (nn_replica_storage(r[i]) == storage)
            return !nn_replica_is_bad(r[i]);
    return false;
}

/* Was it given out by a namespace newer than ours? A stranger's file has any number, and one file
 * alone must stop nobody: it takes two blocks. And once we have given out ids ourselves, it is too
 * late to ask. */
static void note_newer(struct nn_blocks *b, const struct nn_said *said)
{
    bool is_first = b->highest_told == 0, is_again = b->highest_told == said->id;
    if (b->highest_id != b->loaded_id || said->id - b->highest_id >= NEWER_MAX)
        return;
    if (said->id > b->highest_told)
        b->highest_told = said->id;
    if (!is_first && !is_again)
        nn_safemode_note_newer(&b->safemode);
}

static int said_unknown(struct nn_blocks *b, uint32_t node, uint32_t storage,
                        const struct nn_said *said)
{
    bool is_spared = said->id >= b->spared_from && said->id <= b->spared_to;
    bool is_suspect = nn_report_judge(NULL, b->highest_id, said) == NN_VERDICT_SUSPECT;
    if (is_suspect && !is_spared)
        note_newer(b, said);
    if (is_suspect || is_spared) {
        b->suspects++;
        return 0;
    }
    return nn_doomed_add(&b->doomed, node, storage, (struct block_id){said->id, said->gs},
                         b->applied);
}

/* One replica named by a report or a change. */
static int said(struct nn_blocks *b, uint32_t node, uint32_t storage, const struct nn_said *said)
{
    struct block_id id = {said->id, said->gs};
    if (nn_doomed_has(&b->doomed, storage, id)) {
        nn_doomed_again(&b->doomed, storage, id);
        return 0;
    }
    uint32_t block = nn_blockmap_find(b->map, said->id);
    if (block == NN_BLOCK_NONE)
        return said_unknown(b, node, storage, said);
    struct nn_report *report = storage < b->report_count ? &b->reports[storage] : NULL;
    if (report && report->is_running && bitset_add(&report->seen, block) < 0)
        return ERR_NOMEM;
    if (is_known_good(b, block, storage, said))
        return 0;
    int rc = nn_settle_said(b, block, storage, said);
    if (rc == 0 && said->state == NN_REPLICA_FINALIZED) {
        nn_nodes_arrived(&b->nodes, node);
        (void)nn_replicate_settled(&b->replicate, block, node);
        nn_balance_settled(&b->balance, block, node, 0);
    }
    return rc == 0 ? nn_settle_ready(b, block) : rc;
}

static struct nn_report *report_of(struct nn_blocks *b, uint32_t storage)
{
    if (storage >= b->report_count) {
        struct nn_report *reports = mem_realloc_array(b->reports, storage + 1, sizeof(*reports));
        if (!reports)
            return NULL;
        memset(reports + b->report_count, 0, (storage + 1 - b->report_count) * sizeof(*reports));
        b->reports = reports;
        b->report_count = storage + 1;
    }
    return &b->reports[storage];
}

/* The report was whole: what it did not name is not there. */
static void conclude(struct nn_blocks *b, uint32_t node, struct nn_storage *storage,
                     struct nn_report *report)
{
    uint32_t block = nn_blockmap_on_storage(b->map, storage->index, 0);
    for (; block != NN_BLOCK_NONE;
         block = nn_blockmap_on_storage(b->map, storage->index, block + 1)) {
        if (bitset_has(&report->seen, block))
            continue;
        nn_settle_drop(b, block, storage->index);
        (void)nn_settle_check(b, block); /* as in remove_some */
    }
    hmap_each (&b->writings.map, it) {
        struct nn_writing *w = CONTAINER_OF(it, struct nn_writing, by_block);
        if (!bitset_has(&report->seen, w->block))
            nn_writing_drop(w, storage->index);
    }
    nn_doomed_report_ends(&b->doomed, node, storage->index);
    nn_report_release(report);
    storage->is_reported = true;
    storage->last_report_ms = b->now_ms;
    nn_replicate_reported(&b->replicate);
}

static int ask_report(struct nn_blocks *b, uint32_t node)
{
    return nn_orders_push(&b->orders, NN_ORDER_REPORT, node, 0, 0) ? 0 : ERR_NOMEM;
}

/* May this node speak for this storage? One that was given up, and whose replicas were, must
 * register again first: what it says before that would be taken for known by its next report. */
static bool may_speak(const struct nn_blocks *b, uint32_t node, const struct nn_storage *storage)
{
    return storage && storage->node == node && !storage->is_gone && !storage->owes_removal &&
           nn_nodes_get(&b->nodes, node)->state != NN_NODE_DEAD;
}

int nn_blocks_report(struct nn_blocks *b, uint32_t node, struct slice storage_id,
                     const struct nn_report_page *page, uint64_t now_ms)
{
    struct nn_storage *storage = nn_nodes_find_storage(&b->nodes, storage_id);
    b->now_ms = now_ms;
    if (!b->is_loaded)
        return ERR_RETRY;
    if (!may_speak(b, node, storage))
        return ERR_NOENT;
    struct nn_report *report = report_of(b, storage->index);
    if (!report)
        return ERR_NOMEM;
    int rc = nn_report_begin_page(report, page);
    if (rc == ERR_STALE && ask_report(b, node) < 0)
        return ERR_NOMEM;
    if (rc == 0 && page->page == 0)
        nn_doomed_report_begins(&b->doomed, node, storage->index);
    for (size_t i = 0; i < page->count && rc == 0; i++) {
        struct nn_said one = {page->ids[i], page->stamps[i], page->lens[i],
                              (enum nn_replica_state)page->states[i]};
        rc = said(b, node, storage->index, &one);
    }
    if (rc == 0 && page->is_last)
        conclude(b, node, storage, report);
    else if (rc < 0)
        nn_report_release(report); /* not whole any more */
    tell_all(b);
    return rc;
}

/* The stamp of the replica we have on record there; 0 = none. */
static uint64_t recorded_gs(const struct nn_blocks *b, uint32_t block, uint32_t storage)
{
    const struct nn_writing *w = nn_writings_find(&b->writings, block);
    const struct nn_bad *bad = nn_bads_find(&b->bads, block, storage);
    struct nn_block blk = nn_blockmap_get(b->map, block);
    const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
    if (bad)
        return bad->gs;
    for (size_t i = 0; w && i < w->replica_count; i++)
        if (w->replicas[i].storage == storage)
            return w->replicas[i].gs;
    for (size_t i = 0; i < blk.replicas; i++)
        if (nn_replica_storage(r[i]) == storage)
            return blk.gs;
    return 0;
}

static int was_deleted(struct nn_blocks *b, uint32_t storage, const struct nn_said *said)
{
    uint32_t block = nn_blockmap_find(b->map, said->id);
    nn_doomed_done(&b->doomed, storage, said->id);
    if (block == NN_BLOCK_NONE || recorded_gs(b, block, storage) > said->gs)
        return 0; /* news of an older replica that a newer one has replaced */
    struct nn_writing *w = nn_writings_find(&b->writings, block);
    if (w)
        nn_writing_drop(w, storage);
    nn_settle_drop(b, block, storage);
    return nn_settle_check(b, block);
}

static int was_bad(struct nn_blocks *b, uint32_t storage, const struct nn_said *said)
{
    uint32_t block = nn_blockmap_find(b->map, said->id);
    if (block == NN_BLOCK_NONE || recorded_gs(b, block, storage) != said->gs)
        return 0;
    struct nn_bad bad = {.block = block,
                         .storage = storage,
                         .gs = said->gs,
                         .reason = NN_BAD_CHECKSUM,
                         .since_ms = b->now_ms};
    struct nn_writing *w = nn_writings_find(&b->writings, block);
    if (w)
        nn_writing_drop(w, storage);
    int rc = nn_settle_bad(b, &bad);
    return rc == 0 ? nn_settle_check(b, block) : rc;
}

int nn_blocks_change(struct nn_blocks *b, uint32_t node, struct slice storage_id,
                     enum nn_change change, const struct nn_said *what, uint64_t now_ms)
{
    struct nn_storage *storage = nn_nodes_find_storage(&b->nodes, storage_id);
    struct nn_said one = *what;
    int rc = 0;
    b->now_ms = now_ms;
    if (!b->is_loaded)
        return ERR_RETRY;
    if (!may_speak(b, node, storage))
        return ERR_NOENT;
    switch (change) {
    case NN_CHANGE_RECEIVING:
        one.state = NN_REPLICA_RBW;
        rc = said(b, node, storage->index, &one);
        break;
    case NN_CHANGE_RECEIVED:
        one.state = NN_REPLICA_FINALIZED;
        rc = said(b, node, storage->index, &one);
        break;
    case NN_CHANGE_DELETED:
        rc = was_deleted(b, storage->index, &one);
        break;
    case NN_CHANGE_BAD:
        rc = was_bad(b, storage->index, &one);
        break;
    }
    tell_all(b);
    return rc;
}

/* ---- ends of orders ---- */

int nn_blocks_copied(struct nn_blocks *b, uint32_t node, struct block_id id, uint32_t target,
                     int code, uint64_t now_ms)
{
    uint32_t block = nn_blockmap_find(b->map, id.id);
    b->now_ms = now_ms;
    if (block == NN_BLOCK_NONE || code == 0)
        return 0; /* the target's own word counts */
    if (nn_replicate_settled(&b->replicate, block, target))
        nn_nodes_arrived(&b->nodes, target); /* it needs the room no more */
    nn_balance_settled(&b->balance, block, target, code);
    if (code == ERR_CHECKSUM)
        (void)nn_blocks_mark_bad(b, id, node); /* not there any more: as good */
    int rc = 0;
    if (code == ERR_NOENT || code == ERR_EXIST)
        rc = ask_report(b, code == ERR_NOENT ? node : target); /* we know something wrong of it */
    return rc == 0 ? nn_settle_check(b, block) : rc;
}

int nn_blocks_recovery_result(struct nn_blocks *b, struct block_id id,
                              const struct nn_recovered *result, int code, uint64_t now_ms)
{
    struct nn_recovered said = *result;
    b->now_ms = now_ms;
    said.block = nn_blockmap_find(b->map, id.id);
    if (said.block == NN_BLOCK_NONE)
        return ERR_STALE;
    int rc = nn_recoveries_result(&b->recoveries, &said, code, now_ms);
    if (rc == 0)
        rc = nn_settle_notice(b, NN_NOTICE_RECOVERED, said.block, &said);
    tell_all(b);
    return rc;
}

/* ---- time ---- */

static int note_stamp(void *ctx, uint32_t block)
{
    return nn_settle_notice(ctx, NN_NOTICE_STAMP, block, NULL);
}
static int note_recovered(void *ctx, const struct nn_recovered *result)
{
    return nn_settle_notice(ctx, NN_NOTICE_RECOVERED, result->block, result);
}

static void step_safemode(struct nn_blocks *b)
{
    struct nn_safemode_figures figures = nn_blocks_figures(b);
    nn_safemode_step(&b->safemode, &figures, b->now_ms);
    if (nn_safemode_is_on(&b->safemode))
        b->replicate.is_active = false;
    else if (!b->replicate.is_active)
        nn_replicate_start(&b->replicate);
}

/* The first ones at once, then a batch a second. */
static int order_deletions(struct nn_blocks *b)
{
    uint64_t waiting = b->doomed.waiting;
    if (waiting == 0 || b->now_ms - b->delete_ms < DELETE_MS)
        return 0;
    int rc = nn_doomed_step(&b->doomed, &b->nodes, b->durable, b->conf.delete_batch, &b->orders);
    if (b->doomed.waiting < waiting)
        b->delete_ms = b->now_ms;
    return rc;
}

static int housekeeping(struct nn_blocks *b)
{
    bool is_settled = b->now_ms - b->started_ms >= b->conf.settle_ms;
    nn_nodes_step(&b->nodes, b->now_ms, on_died, b);
    removal_slice(b);
    step_safemode(b);
    if (nn_safemode_is_on(&b->safemode))
        return 0;
    int rc = nn_leaving_step(&b->leaving, b->applied, b->now_ms);
    if (rc == 0)
        rc = nn_replicate_step(&b->replicate, is_settled, b->applied, b->now_ms, &b->orders);
    if (rc == 0)
        rc = nn_balance_step(&b->balance, b->now_ms, &b->orders);
    return rc == 0 ? order_deletions(b) : rc;
}

bool nn_blocks_has_more(const struct nn_blocks *b)
{
    return b->nodes.owing > 0 || b->leaving.walking > 0 || b->replicate.scan != BITSET_END ||
           b->replicate.scan_postponed != BITSET_END;
}

int nn_blocks_step(struct nn_blocks *b, uint64_t now_ms)
{
    int rc = 0;
    b->now_ms = now_ms;
    if (!b->is_loaded)
        return 0;
    uint64_t pause_ms = nn_blocks_has_more(b) ? 1 : TICK_MS;
    if (now_ms - b->tick_ms >= pause_ms || b->tick_ms == 0) {
        b->tick_ms = now_ms;
        rc = housekeeping(b);
    }
    if (rc == 0 && !nn_safemode_is_on(&b->safemode)) {
        const struct nn_recover_hooks hooks = {b, note_stamp, note_recovered};
        rc = nn_recoveries_step(&b->recoveries, b->durable, now_ms, &b->orders, &hooks);
    }
    tell_all(b);
    return rc;
}

int nn_blocks_set_bandwidth(struct nn_blocks *b, uint64_t bytes_per_s)
{
    for (uint32_t n = 1; n <= b->nodes.node_count; n++) {
        struct nn_order *order = NULL;
        if (!nn_nodes_get(&b->nodes, n)->is_connected)
            continue;
        order = nn_orders_push(&b->orders, NN_ORDER_BANDWIDTH, n, 0, 0);
        if (!order)
            return ERR_NOMEM;
        order->len = bytes_per_s;
    }
    return 0;
}

struct nn_order *nn_blocks_take_order(struct nn_blocks *b)
{
    return nn_orders_take(&b->orders);
}
