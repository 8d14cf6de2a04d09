/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/blocks.h"

#include "libcommon/base/mem.h"
#include "namenode/blocks/settle.h"

#define EXPECT_MS \
    (30 * 1000)        /* the other replicas of a pipeline may take so long after the first */
#define NODES_MAX 1024 /* of one block */

static void link_parts(struct nn_blocks *b)
{
    b->replicate.conf = b->recoveries.conf = &b->conf;
    b->replicate.map = b->map;
    b->recoveries.map = b->map;
    b->replicate.nodes = &b->nodes;
    b->replicate.pendings.nodes = &b->nodes;
    b->recoveries.nodes = &b->nodes;
    b->replicate.doomed = &b->doomed;
    b->replicate.bads = &b->bads;
    b->replicate.rand = b->recoveries.rand = &b->rand;
    b->recoveries.writings = &b->writings;
    b->balance.conf = &b->conf;
    b->balance.replicate = &b->replicate;
    b->replicate.surplus_from = nn_balance_surplus;
    b->replicate.surplus_arg = &b->balance;
    b->leaving.conf = &b->conf;
    b->leaving.map = b->map;
    b->leaving.nodes = &b->nodes;
    b->leaving.writings = &b->writings;
    b->leaving.replicate = &b->replicate;
}

int nn_blocks_init(struct nn_blocks *b, const struct nn_blocks_conf *conf,
                   const struct nn_blocks_hooks *hooks, uint64_t seed, uint64_t now_ms)
{
    *b = (struct nn_blocks){.conf = *conf, .hooks = *hooks, .started_ms = now_ms, .now_ms = now_ms};
    b->map = nn_blockmap_new();
    if (!b->map)
        return ERR_NOMEM;
    rand_init(&b->rand, seed);
    nn_nodes_init(&b->nodes, &b->conf);
    nn_doomed_init(&b->doomed);
    nn_replicate_init(&b->replicate);
    nn_recoveries_init(&b->recoveries);
    nn_orders_init(&b->orders);
    nn_safemode_init(&b->safemode, conf->safemode_ppm, conf->safemode_nodes,
                     conf->safemode_extension_ms);
    link_parts(b);
    return 0;
}

void nn_blocks_release(struct nn_blocks *b)
{
    for (size_t i = 0; i < b->report_count; i++)
        nn_report_release(&b->reports[i]);
    mem_free(b->reports);
    mem_free(b->notices);
    nn_orders_release(&b->orders);
    nn_recoveries_release(&b->recoveries);
    nn_leaving_release(&b->leaving);
    nn_balance_release(&b->balance);
    nn_replicate_release(&b->replicate);
    nn_doomed_release(&b->doomed);
    nn_bads_release(&b->bads);
    nn_writings_release(&b->writings);
    nn_nodes_release(&b->nodes);
    nn_members_release(&b->members);
    nn_blockmap_free(b->map);
    *b = (struct nn_blocks){0};
}

/* ---- replicas in the map, and the count of safe blocks ---- */

/* Nodes with a good serving replica, counted up to `most`. */
static unsigned good_nodes(const struct nn_blocks *b, uint32_t block, unsigned most)
{
    const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
    struct nn_block blk = nn_blockmap_get(b->map, block);
    uint32_t nodes[NODES_MAX];
    unsigned n = 0;
    for (size_t i = 0; i < blk.replicas && n < most; i++) {
        uint32_t storage = nn_replica_storage(r[i]);
        if (nn_replica_is_bad(r[i]) || !nn_nodes_is_serving(&b->nodes, storage))
            continue;
        uint32_t node = nn_nodes_storage(&b->nodes, storage)->node;
        bool is_new = true;
        for (unsigned k = 0; k < n && is_new; k++)
            is_new = nodes[k] != node;
        if (is_new)
            nodes[n++] = node;
    }
    return n;
}

/* Any good replica recorded, whether its node is up or not? That is what "safe" counts. */
static bool has_good(const struct nn_blocks *b, uint32_t block, uint16_t count)
{
    const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
    for (size_t i = 0; i < count; i++)
        if (!nn_replica_is_bad(r[i]))
            return true;
    return false;
}

static bool is_safe(const struct nn_blocks *b, uint32_t block)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    return blk.state == NN_BLOCK_COMPLETE && has_good(b, block, blk.replicas);
}

static void count_safe(struct nn_blocks *b, uint32_t block, bool was_safe)
{
    b->safe -= was_safe;
    b->safe += is_safe(b, block);
}

int nn_settle_good(struct nn_blocks *b, uint32_t block, uint32_t storage)
{
    bool was_safe = is_safe(b, block);
    struct nn_replica replica = {storage};
    int rc = nn_blockmap_put_replica(b->map, block, replica);
    if (rc == 0)
        nn_bads_drop(&b->bads, block, storage);
    count_safe(b, block, was_safe);
    return rc;
}

int nn_settle_bad(struct nn_blocks *b, const struct nn_bad *bad)
{
    bool was_safe = is_safe(b, bad->block);
    struct nn_replica replica = {bad->storage | NN_REPLICA_BAD};
    int rc = nn_bads_put(&b->bads, bad);
    if (rc == 0)
        rc = nn_blockmap_put_replica(b->map, bad->block, replica);
    count_safe(b, bad->block, was_safe);
    return rc;
}

void nn_settle_drop(struct nn_blocks *b, uint32_t block, uint32_t storage)
{
    bool was_safe = is_safe(b, block);
    nn_blockmap_drop_replica(b->map, block, storage);
    nn_bads_drop(&b->bads, block, storage);
    count_safe(b, block, was_safe);
}

/* Takes replicas out of the map by itself, but never the last good one: "safe" stays as it is. */
int nn_settle_check(struct nn_blocks *b, uint32_t block)
{
    return nn_replicate_check(&b->replicate, block, b->applied);
}

int nn_settle_notice(struct nn_blocks *b, enum nn_notice_kind kind, uint32_t block,
                     const struct nn_recovered *result)
{
    if (mem_grow(&b->notices, &b->notice_cap, b->notice_count, sizeof(*b->notices)) < 0)
        return ERR_NOMEM;
    struct nn_notice *notice = &b->notices[b->notice_count++];
    *notice = (struct nn_notice){.kind = kind, .id = nn_blockmap_get(b->map, block).id};
    if (result)
        notice->result = *result;
    return 0;
}

/* ---- open replicas, when the block's numbers changed ---- */

static int record(struct nn_blocks *b, uint32_t block, uint32_t storage, const struct nn_said *said,
                  enum nn_verdict verdict)
{
    struct nn_bad bad = {.block = block, .storage = storage, .gs = said->gs, .since_ms = b->now_ms};
    switch (verdict) {
    case NN_VERDICT_GOOD:
        return nn_settle_good(b, block, storage);
    case NN_VERDICT_LAGGING:
        bad.reason = NN_BAD_LAGGING;
        break;
    case NN_VERDICT_BAD_STAMP:
        bad.reason = NN_BAD_STAMP;
        break;
    case NN_VERDICT_BAD_LENGTH:
        bad.reason = NN_BAD_LENGTH;
        break;
    case NN_VERDICT_BAD_STATE:
        bad.reason = NN_BAD_STATE;
        break;
    case NN_VERDICT_SUSPECT:
        bad.reason = NN_BAD_SUSPECT;
        break;
    case NN_VERDICT_OPEN:
    case NN_VERDICT_DELETE:
        BUG("verdict %s has no place in the map", nn_verdict_name(verdict));
    }
    return nn_settle_bad(b, &bad);
}

/* It was still being written after its block was complete: when it has been so for too long, nobody
 * will finish it. */
static enum nn_verdict outlived(const struct nn_blocks *b, uint32_t block, uint32_t storage,
                                enum nn_verdict verdict)
{
    const struct nn_bad *bad = nn_bads_find(&b->bads, block, storage);
    bool is_late =
        bad && bad->reason == NN_BAD_LAGGING && b->now_ms - bad->since_ms > b->conf.lag_ms;
    return verdict == NN_VERDICT_LAGGING && is_late ? NN_VERDICT_BAD_STATE : verdict;
}

int nn_settle_said(struct nn_blocks *b, uint32_t block, uint32_t storage,
                   const struct nn_said *said)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    enum nn_verdict verdict = nn_report_judge(&blk, b->highest_id, said);
    verdict = outlived(b, block, storage, verdict);
    if (verdict == NN_VERDICT_OPEN) {
        struct nn_writing *w = nn_writings_open(&b->writings, block);
        struct nn_open_replica replica = {storage, said->state, said->gs, said->len};
        nn_settle_drop(b, block, storage);
        return w ? nn_writing_put(w, &replica) : ERR_NOMEM;
    }
    struct nn_writing *w = nn_writings_find(&b->writings, block);
    if (w)
        nn_writing_drop(w, storage);
    const struct nn_bad *bad = nn_bads_find(&b->bads, block, storage);
    if (verdict == NN_VERDICT_GOOD && bad && bad->reason == NN_BAD_CHECKSUM && bad->gs == said->gs)
        return 0; /* the datanode counts it; that does not make its bytes right */
    return record(b, block, storage, said, verdict);
}

/* The block gets another stamp: its finalized replicas are open again until they carry it. */
static int reopen(struct nn_blocks *b, uint32_t block)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    for (size_t i = blk.replicas; i-- > 0;) {
        struct nn_replica r = nn_blockmap_replicas(b->map, block)[i];
        struct nn_open_replica open = {nn_replica_storage(r), NN_REPLICA_FINALIZED, blk.gs,
                                       blk.len};
        if (nn_replica_is_bad(r))
            continue;
        struct nn_writing *w = nn_writings_open(&b->writings, block);
        if (!w || nn_writing_put(w, &open) < 0)
            return ERR_NOMEM;
        nn_settle_drop(b, block, open.storage);
    }
    return 0;
}

/* Judge every open replica again. */
static int rejudge(struct nn_blocks *b, uint32_t block)
{
    struct nn_writing *w = nn_writings_find(&b->writings, block);
    struct nn_block blk = nn_blockmap_get(b->map, block);
    int rc = 0;
    for (size_t i = w ? w->replica_count : 0; i-- > 0 && rc == 0;) {
        struct nn_open_replica open = w->replicas[i];
        struct nn_said said = {blk.id, open.gs, open.len, open.state};
        enum nn_verdict verdict = nn_report_judge(&blk, b->highest_id, &said);
        if (verdict == NN_VERDICT_OPEN)
            continue;
        nn_writing_drop(w, open.storage);
        rc = record(b, block, open.storage, &said, verdict);
    }
    return rc;
}

/* ---- states ---- */

static void set_numbers(struct nn_blocks *b, uint32_t block, enum nn_block_state state, uint64_t gs,
                        uint64_t len)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    bool was_safe = is_safe(b, block);
    b->complete -= blk.state == NN_BLOCK_COMPLETE;
    b->complete += state == NN_BLOCK_COMPLETE;
    blk.state = (uint8_t)state;
    blk.gs = gs;
    blk.len = len;
    nn_blockmap_set(b->map, block, &blk);
    count_safe(b, block, was_safe);
}

/* Those of the pipeline that have not finalized yet are waited for before a copy is made. */
static int expect_rest(struct nn_blocks *b, uint32_t block)
{
    const struct nn_writing *w = nn_writings_find(&b->writings, block);
    uint32_t late[NODES_MAX];
    size_t n = 0;
    for (size_t i = 0; w && i < w->pipeline_count && n < NODES_MAX; i++) {
        const struct nn_node *node = nn_nodes_get(&b->nodes, w->pipeline[i]);
        bool is_there = false;
        for (size_t s = 0; s < node->storage_count && !is_there; s++) {
            const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
            for (size_t k = 0; k < nn_blockmap_get(b->map, block).replicas; k++)
                is_there = is_there || (!nn_replica_is_bad(r[k]) &&
                                        nn_replica_storage(r[k]) == node->storages[s]);
        }
        if (!is_there && node->is_connected)
            late[n++] = node->index;
    }
    return nn_replicate_expect(&b->replicate, block, late, n, b->now_ms + EXPECT_MS);
}

static int make_complete(struct nn_blocks *b, uint32_t block)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    set_numbers(b, block, NN_BLOCK_COMPLETE, blk.gs, blk.len);
    int rc = rejudge(b, block);
    if (rc == 0)
        rc = expect_rest(b, block);
    nn_writings_close(&b->writings, block);
    return rc == 0 ? nn_settle_check(b, block) : rc;
}

/* So many datanodes are registered or on record, each counted once. */
static unsigned known_nodes(const struct nn_blocks *b)
{
    unsigned known = b->members.count;
    for (size_t i = 0; i < b->nodes.node_count && known < NN_CLOSE_REPLICAS; i++) {
        const struct nn_node *node = b->nodes.node[i];
        known += !nn_members_has(&b->members, node->address.name, slice_str(node->uuid));
    }
    return known > b->nodes.node_count ? known : (unsigned)b->nodes.node_count;
}

bool nn_blocks_is_young(const struct nn_blocks *b)
{
    return b->now_ms - b->started_ms < b->conf.recheck_ms;
}

#define LOST_MS 20000 /* whoever cut off all datanodes at once may mend it */

bool nn_blocks_awaits_nodes(const struct nn_blocks *b)
{
    return (nn_blocks_is_young(b) && known_nodes(b) > b->nodes.node_count) ||
           nn_nodes_lost_all(&b->nodes, b->now_ms > LOST_MS ? b->now_ms - LOST_MS : 0);
}

const struct nn_node *nn_blocks_new_member(const struct nn_blocks *b)
{
    if (b->members.count == NN_CLOSE_REPLICAS || known_nodes(b) <= b->members.count)
        return NULL;
    for (size_t i = 0; i < b->nodes.node_count; i++) {
        const struct nn_node *node = b->nodes.node[i];
        if (!nn_members_has_exactly(&b->members, node->address.name, slice_str(node->uuid)))
            return node;
    }
    return NULL;
}

unsigned nn_blocks_enough(const struct nn_blocks *b, uint32_t block)
{
    uint16_t want = nn_blockmap_get(b->map, block).want;
    unsigned enough = want < NN_CLOSE_REPLICAS ? want : NN_CLOSE_REPLICAS;
    return enough > 1 && known_nodes(b) == 1 ? 1 : enough;
}

bool nn_blocks_is_ready(const struct nn_blocks *b, uint32_t block)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    unsigned enough = nn_blocks_enough(b, block);
    return blk.state == NN_BLOCK_COMPLETE ||
           (blk.state == NN_BLOCK_COMMITTED && good_nodes(b, block, enough) >= enough);
}

int nn_settle_ready(struct nn_blocks *b, uint32_t block)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    if (blk.state == NN_BLOCK_COMPLETE)
        return nn_settle_check(b, block);
    if (!nn_blocks_is_ready(b, block)) /* its writer waits: copies are made now, not after that */
        return blk.state == NN_BLOCK_COMMITTED ? nn_settle_check(b, block) : 0;
    int rc = make_complete(b, block);
    return rc == 0 ? nn_settle_notice(b, NN_NOTICE_READY, block, NULL) : rc;
}

int nn_blocks_commit(struct nn_blocks *b, uint32_t block, uint64_t gs, uint64_t len)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    if (gs < blk.gs)
        return ERR_STALE;
    if (blk.state == NN_BLOCK_COMPLETE)
        return gs == blk.gs && len == blk.len ? 0 : ERR_INVAL;
    nn_recoveries_end(&b->recoveries, block);
    set_numbers(b, block, NN_BLOCK_COMMITTED, gs, len);
    int rc = rejudge(b, block);
    if (rc == 0)
        rc = expect_rest(b, block);
    return rc == 0 ? nn_settle_ready(b, block) : rc;
}

void nn_blocks_complete(struct nn_blocks *b, uint32_t block)
{
    if (nn_blockmap_get(b->map, block).state == NN_BLOCK_COMPLETE)
        return;
    nn_recoveries_end(&b->recoveries, block);
    /* Short of memory, a replica is missed until the next report names it. */
    (void)make_complete(b, block);
}

int nn_blocks_restamp(struct nn_blocks *b, uint32_t block, uint64_t gs, uint64_t len)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    if (gs <= blk.gs)
        return ERR_STALE;
    int rc = reopen(b, block);
    set_numbers(b, block, blk.state, gs, len > blk.len ? len : blk.len);
    return rc == 0 ? rejudge(b, block) : rc;
}

int nn_blocks_flushed(struct nn_blocks *b, uint32_t block, uint64_t len)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    if (blk.state != NN_BLOCK_UNDER_CONSTRUCTION)
        return ERR_INVAL;
    if (len > blk.len)
        set_numbers(b, block, blk.state, blk.gs, len);
    return 0;
}

int nn_blocks_recover(struct nn_blocks *b, uint32_t block, uint64_t gs)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    if (blk.state == NN_BLOCK_COMPLETE)
        return ERR_INVAL;
    int rc = reopen(b, block);
    if (rc < 0)
        return rc;
    set_numbers(b, block, NN_BLOCK_UNDER_RECOVERY, blk.gs, blk.len);
    return nn_recoveries_begin(&b->recoveries, block, gs, b->applied, b->now_ms);
}

/* ---- coming and going ---- */

int nn_blocks_add(struct nn_blocks *b, const struct nn_block *block, uint32_t previous,
                  uint32_t *ret_index)
{
    uint32_t index = NN_BLOCK_NONE;
    struct nn_block blk = *block;
    blk.next = NN_BLOCK_NONE;
    blk.level = 0;
    int rc = nn_blockmap_add(b->map, &blk, &index);
    if (rc < 0)
        return rc;
    /* From an image: a recovery was under way, and needs a stamp of its own (0) to go on. */
    if (blk.state == NN_BLOCK_UNDER_RECOVERY)
        rc = nn_recoveries_begin(&b->recoveries, index, 0, 0, b->now_ms);
    if (rc < 0) {
        nn_blockmap_remove(b->map, index);
        return rc;
    }
    if (previous != NN_BLOCK_NONE) {
        struct nn_block before = nn_blockmap_get(b->map, previous);
        before.next = index;
        nn_blockmap_set(b->map, previous, &before);
    }
    b->complete += blk.state == NN_BLOCK_COMPLETE;
    if (blk.id > b->highest_id)
        b->highest_id = blk.id;
    *ret_index = index;
    return 0;
}

/* Replicas of a block that goes. Short of memory, one is found as unknown by the next report. */
static void doom_all(struct nn_blocks *b, uint32_t block, const struct nn_block *blk)
{
    const struct nn_replica *r = nn_blockmap_replicas(b->map, block);
    for (size_t i = 0; i < blk->replicas; i++) {
        uint32_t storage = nn_replica_storage(r[i]);
        const struct nn_bad *bad = nn_bads_find(&b->bads, block, storage);
        struct block_id id = {blk->id, bad ? bad->gs : blk->gs};
        (void)nn_doomed_add(&b->doomed, nn_nodes_storage(&b->nodes, storage)->node, storage, id,
                            b->applied);
        nn_bads_drop(&b->bads, block, storage);
    }
    const struct nn_writing *w = nn_writings_find(&b->writings, block);
    for (size_t i = 0; w && i < w->replica_count; i++) {
        uint32_t storage = w->replicas[i].storage;
        struct block_id id = {blk->id, w->replicas[i].gs};
        (void)nn_doomed_add(&b->doomed, nn_nodes_storage(&b->nodes, storage)->node, storage, id,
                            b->applied);
    }
}

/* Room was promised for it on the nodes of its pipeline; who did not finish it needs that no more.
 * (Else a small disk that was full once would be passed over until the promises are forgotten.) */
static void take_promises_back(struct nn_blocks *b, uint32_t block)
{
    const struct nn_writing *w = nn_writings_find(&b->writings, block);
    for (size_t i = 0; w && i < w->pipeline_count; i++) {
        bool is_kept = false;
        for (size_t k = 0; k < w->replica_count && !is_kept; k++)
            is_kept = w->replicas[k].state == NN_REPLICA_FINALIZED &&
                      nn_nodes_storage(&b->nodes, w->replicas[k].storage)->node == w->pipeline[i];
        if (!is_kept)
            nn_nodes_arrived(&b->nodes, w->pipeline[i]);
    }
}

void nn_blocks_remove(struct nn_blocks *b, uint32_t block)
{
    struct nn_block blk = nn_blockmap_get(b->map, block);
    take_promises_back(b, block);
    b->safe -= is_safe(b, block);
    b->complete -= blk.state == NN_BLOCK_COMPLETE;
    doom_all(b, block, &blk);
    nn_replicate_forget(&b->replicate, block);
    nn_recoveries_end(&b->recoveries, block);
    nn_writings_close(&b->writings, block);
    nn_leaving_forget(&b->leaving, block);
    nn_balance_forget(&b->balance, block);
    nn_blockmap_remove(b->map, block);
}

void nn_blocks_set_want(struct nn_blocks *b, uint32_t block, uint16_t want)
{
    nn_replicate_forget(&b->replicate, block);
    struct nn_block blk = nn_blockmap_get(b->map, block);
    blk.want = want;
    nn_blockmap_set(b->map, block, &blk);
    /* Short of memory, the block is looked at again when one of its nodes reports. */
    (void)nn_settle_check(b, block);
}

void nn_blocks_loaded(struct nn_blocks *b, uint64_t highest_id, uint64_t now_ms)
{
    b->highest_id = highest_id > b->highest_id ? highest_id : b->highest_id;
    b->loaded_id = b->highest_id;
    b->now_ms = b->started_ms = now_ms;
    b->is_loaded = true;
    nn_recoveries_renew_all(&b->recoveries, now_ms);
}
