/* SPDX-License-Identifier: Apache-2.0
 * nn_check: what must hold in the simulated filesystem.
 *
 *   - what a client was told to be so is so, in the namenode's tree, whatever crashed since
 *   - and nothing is there that nobody asked for
 *   - every complete block has an intact replica on some disk, with its stamp and length
 *   - replicas of one block and stamp that were finalized have one length
 *   - the count of safe blocks is right
 *   - the sums over every directory, which quotas go by, are what counting says
 *   - settled: every block has exactly the replicas it wants, nothing is queued, doomed, open
 *   - cleared: when all files are deleted nothing is left, neither in memory nor on disks */
#include "tests/sim/scenarios/nn_world.h"

/* ---- the namespace ---- */

static void check_blocks(struct nn_world *w, const struct cl_sim *cl, uint32_t entry,
                         const struct nn_inode *inode)
{
    const struct cl_entry *e = &cl->entries[entry];
    uint32_t at = inode->first_block;
    for (uint32_t i = 0; i < e->block_count; i++) {
        struct nn_block b = {0};
        if (at)
            b = nn_blockmap_get(w->nn.blocks.map, at);
        if (!at || b.id != e->blocks[i].id || b.gs != e->blocks[i].gs ||
            b.len != e->blocks[i].len || b.state != NN_BLOCK_COMPLETE || b.want != e->replication) {
            sim_fail(w->sim,
                     "block %u of /c%u/f%u should be blk_%llu_%llu of %llu bytes x%u, is "
                     "blk_%llu_%llu of %llu x%u, %s",
                     i, cl->number, entry, (unsigned long long)e->blocks[i].id,
                     (unsigned long long)e->blocks[i].gs, (unsigned long long)e->blocks[i].len,
                     e->replication, (unsigned long long)b.id, (unsigned long long)b.gs,
                     (unsigned long long)b.len, b.want,
                     nn_block_state_name((enum nn_block_state)b.state));
            return;
        }
        at = b.next;
    }
    if (e->block_count && at)
        sim_fail(w->sim, "/c%u/f%u has more blocks than its writer gave it", cl->number, entry);
}

static void check_entry(struct nn_world *w, const struct cl_sim *cl, uint32_t entry)
{
    const struct cl_entry *e = &cl->entries[entry];
    char path[PATH_CAP];
    if (e->is_busy || e->state == CL_UNSURE)
        return;
    cl_path(cl, entry, path);
    uint32_t slot = nn_tree_find(&w->nn.state.tree, slice_str(path));
    if ((slot != 0) != (e->state == CL_CLOSED)) {
        sim_fail(w->sim, "%s was acknowledged to be %s", path, slot ? "gone" : "there");
        return;
    }
    if (!slot)
        return;
    const struct nn_inode *inode = nn_inode(&w->nn.state.tree.store, slot);
    if (inode->is_open || inode->len != e->len) {
        sim_fail(w->sim, "%s was closed with %llu bytes, now it has %llu%s", path,
                 (unsigned long long)e->len, (unsigned long long)inode->len,
                 inode->is_open ? " and is open" : "");
        return;
    }
    check_blocks(w, cl, entry, inode);
}

/* ---- bytes ---- */

static unsigned intact(const struct nn_world *w, const struct nn_block *b)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < w->dn_count; i++)
        n += dn_sim_has(&w->dns[i], (struct block_id){b->id, b->gs}, b->len);
    return n;
}

/* Whether a client knows of the file or not; but not of files that are deleted, whose blocks stay
 * in the map (and after a restart are there again) until they are reaped. */
static void check_bytes(struct nn_world *w)
{
    const struct nn_blockmap *map = w->nn.blocks.map;
    for (uint32_t at = nn_blockmap_next(map, 0); at; at = nn_blockmap_next(map, at + 1)) {
        struct nn_block b = nn_blockmap_get(map, at);
        if (b.state == NN_BLOCK_COMPLETE && intact(w, &b) == 0 &&
            nn_tree_is_attached(&w->nn.state.tree, b.file))
            sim_fail(w->sim, "blk_%llu_%llu of %llu bytes is lost: no disk has it",
                     (unsigned long long)b.id, (unsigned long long)b.gs, (unsigned long long)b.len);
    }
}

static void check_lengths(struct nn_world *w, const struct dn_sim *dn)
{
    list_each (&dn->reps, it) {
        const struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        for (uint32_t i = dn->number; dn_rep_is_whole(rep) && i < w->dn_count; i++) {
            const struct dn_rep *other = dn_sim_find(&w->dns[i], rep->r.id);
            if (other && dn_rep_is_whole(other) && other->r.gs == rep->r.gs &&
                other->r.len != rep->r.len)
                sim_fail(w->sim, "blk_%llu_%llu has %llu bytes on %s and %llu on %s",
                         (unsigned long long)rep->r.id, (unsigned long long)rep->r.gs,
                         (unsigned long long)rep->r.len, dn->host.name,
                         (unsigned long long)other->r.len, w->dns[i].host.name);
        }
    }
}

/* ---- the block side's own accounts ---- */

static void check_counts(struct nn_world *w)
{
    const struct nn_blocks *b = &w->nn.blocks;
    uint64_t complete = 0, safe = 0;
    for (uint32_t at = nn_blockmap_next(b->map, 0); at; at = nn_blockmap_next(b->map, at + 1)) {
        struct nn_block blk = nn_blockmap_get(b->map, at);
        bool has_good = false;
        for (uint32_t i = 0; i < blk.replicas; i++)
            has_good = has_good || !nn_replica_is_bad(nn_blockmap_replicas(b->map, at)[i]);
        complete += blk.state == NN_BLOCK_COMPLETE;
        safe += blk.state == NN_BLOCK_COMPLETE && has_good;
        if (blk.state == NN_BLOCK_COMPLETE && nn_writings_find(&b->writings, at))
            sim_fail(w->sim, "blk_%llu is complete and still has open replicas",
                     (unsigned long long)blk.id);
    }
    if (complete != b->complete || safe != b->safe)
        sim_fail(w->sim, "%llu of %llu blocks are safe, not %llu of %llu", (unsigned long long)safe,
                 (unsigned long long)complete, (unsigned long long)b->safe,
                 (unsigned long long)b->complete);
}

/* What a file counts as: a block that is being written as a full one. */
static uint64_t space_of(const struct nn_world *w, const struct nn_inode *inode)
{
    uint64_t bytes = 0, size = nn_inode_block_size(inode);
    const struct nn_prepared *prepared = nn_prepareds_find(&w->nn.state.prepared, inode->id);
    bool is_appended = prepared && prepared->kind == NN_PREPARED_APPEND;
    for (uint32_t at = inode->first_block; at;) {
        struct nn_block b = nn_blockmap_get(w->nn.blocks.map, at);
        bool grows = b.state == NN_BLOCK_UNDER_CONSTRUCTION || b.state == NN_BLOCK_UNDER_RECOVERY;
        grows = grows || (is_appended && at == inode->last_block);
        bytes += grows && b.len < size ? size : b.len;
        at = b.next;
    }
    return bytes * inode->replication;
}

static struct nn_sums count_sums(struct nn_world *w, uint32_t slot)
{
    const struct nn_inodes *store = &w->nn.state.tree.store;
    const struct nn_inode *inode = nn_inode(store, slot);
    if (!inode->is_dir)
        return (struct nn_sums){0, 1, inode->len, space_of(w, inode)};
    struct nn_sums sums = {.dirs = 1}, kept = nn_dir(store, slot)->sums;
    struct nn_cursor at = {0, 0};
    uint32_t child;
    while ((child = nn_children_next(&nn_dir(store, slot)->children, &at))) {
        struct nn_sums below = count_sums(w, child);
        sums.dirs += below.dirs;
        sums.files += below.files;
        sums.len += below.len;
        sums.space += below.space;
    }
    if (memcmp(&sums, &kept, sizeof(sums)) != 0)
        sim_fail(w->sim, "a directory of %llu names and %llu bytes of space says %llu and %llu",
                 (unsigned long long)(sums.dirs + sums.files), (unsigned long long)sums.space,
                 (unsigned long long)(kept.dirs + kept.files), (unsigned long long)kept.space);
    return sums;
}

/* Nothing is there that nobody asked for: what a torn record might be read as. */
static void check_names(struct nn_world *w)
{
    const struct nn_inodes *store = &w->nn.state.tree.store;
    for (struct nn_cursor at = {0, 0}, in = {0, 0};; in = (struct nn_cursor){0, 0}) {
        uint32_t dir = nn_children_next(&nn_dir(store, NN_ROOT)->children, &at), file;
        struct slice name = dir ? nn_inode_name(store, dir) : slice_of(NULL, 0);
        if (!dir)
            return;
        bool is_right = nn_inode(store, dir)->is_dir && name.len == 2 && name.data[0] == 'c' &&
                        name.data[1] - '0' <= (int)w->cl_count;
        while (is_right && (file = nn_children_next(&nn_dir(store, dir)->children, &in))) {
            const struct nn_inode *inode = nn_inode(store, file);
            name = nn_inode_name(store, file);
            is_right = !inode->is_dir && name.len == 2 && name.data[0] == 'f' &&
                       name.data[1] - '0' < FILES && inode->replication <= w->replication &&
                       nn_inode_block_size(inode) == BLOCK_SIZE;
        }
        if (!is_right)
            sim_fail(w->sim, "nobody ever asked for " SLICE_FMT, SLICE_ARG(name));
    }
}

void nn_check(struct nn_world *w, bool is_full)
{
    const struct nn_blocks *b = &w->nn.blocks;
    if (!w->nn.is_open)
        return;
    if (b->safe > b->complete)
        sim_fail(w->sim, "more blocks are safe than complete");
    if (!is_full)
        return;
    for (uint32_t c = 0; c < w->cl_count; c++)
        for (uint32_t i = 0; i < FILES; i++)
            check_entry(w, &w->cls[c], i);
    check_names(w);
    check_bytes(w);
    for (uint32_t d = 0; d < w->dn_count; d++)
        check_lengths(w, &w->dns[d]);
    check_counts(w);
    (void)count_sums(w, NN_ROOT);
}

/* As long as nothing vanishes by itself, orders never take a block below the replicas it wants
 * (clients only ever want fewer than before), whatever reports were late and whoever was started
 * anew. */
void nn_check_deletion(struct nn_world *w, const struct dn_rep *rep)
{
    uint32_t block = w->nn.is_open ? nn_blockmap_find(w->nn.blocks.map, rep->r.id) : 0;
    if (!block || w->has_disk_faults || !dn_rep_is_whole(rep))
        return;
    struct nn_block b = nn_blockmap_get(w->nn.blocks.map, block);
    if (b.state == NN_BLOCK_COMPLETE && b.gs == rep->r.gs && b.len == rep->r.len &&
        intact(w, &b) < b.want)
        sim_fail(w->sim, "a deletion left blk_%llu_%llu with %u of %u replicas",
                 (unsigned long long)b.id, (unsigned long long)b.gs, intact(w, &b), b.want);
}

/* ---- what may be lost
 * ----------------------------------------------------------------------------- */

static const struct dn_sim *dn_of(const struct nn_world *w, uint32_t storage)
{
    uint32_t node = nn_nodes_storage(&w->nn.blocks.nodes, storage)->node;
    uint32_t number = w->nn.number_of[node];
    return number ? &w->dns[number - 1] : NULL;
}

static bool is_doomed(const struct nn_world *w, const struct dn_sim *dn, struct block_id id)
{
    uint32_t node = nn_sim_node(&w->nn, dn->number);
    if (!node)
        return false;
    const struct nn_node *n = nn_nodes_get(&w->nn.blocks.nodes, node);
    for (size_t i = 0; i < n->storage_count; i++)
        if (nn_doomed_has(&w->nn.blocks.doomed, n->storages[i], id))
            return true;
    return false;
}

/* Replicas the namenode counts on that are not there or not right. */
static unsigned phantoms(const struct nn_world *w, uint32_t block)
{
    struct nn_block b = nn_blockmap_get(w->nn.blocks.map, block);
    const struct nn_replica *r = nn_blockmap_replicas(w->nn.blocks.map, block);
    unsigned n = 0;
    for (uint32_t i = 0; i < b.replicas; i++) {
        const struct dn_sim *dn = dn_of(w, nn_replica_storage(r[i]));
        n += !nn_replica_is_bad(r[i]) &&
             !(dn && dn_sim_has(dn, (struct block_id){b.id, b.gs}, b.len));
    }
    return n;
}

/* A file whose last flushed bytes are on no disk any more stays under recovery for good (a node
 * might yet come back with them); that is right, but never settles. */
static bool has_other_copy(const struct nn_world *w, const struct dn_sim *dn, struct block_id id)
{
    for (uint32_t i = 0; i < w->dn_count; i++) {
        const struct dn_rep *rep = &w->dns[i] != dn ? dn_sim_find(&w->dns[i], id.id) : NULL;
        if (rep && rep->r.gs >= id.gs) /* an older one counts for nothing */
            return true;
    }
    return false;
}

/* A damaged copy that nobody has noticed, on a disk the namenode may hear of any time: it would
 * count on it. */
static bool has_rotten_copy(const struct nn_world *w, uint64_t id)
{
    for (uint32_t i = 0; i < w->dn_count; i++) {
        const struct dn_rep *rep = dn_sim_find(&w->dns[i], id);
        if (rep && rep->is_rotten)
            return true;
    }
    return false;
}

bool nn_is_expendable(const struct nn_world *w, const struct dn_sim *dn, const struct dn_rep *rep)
{
    uint32_t block = w->nn.is_open ? nn_blockmap_find(w->nn.blocks.map, rep->r.id) : 0;
    if (!w->nn.is_open)
        return false;
    if (!block) /* or its deletion might be undone by a crash */
        return w->nn.state.applied == w->nn.blocks.durable;
    struct nn_block b = nn_blockmap_get(w->nn.blocks.map, block);
    struct block_id id = {b.id, b.gs};
    if (!dn_rep_is_whole(rep))
        return has_other_copy(w, dn, id);
    if (rep->r.gs < b.gs)
        return true;
    if (b.state != NN_BLOCK_COMPLETE || b.want < 2 || phantoms(w, block) > 0 ||
        has_rotten_copy(w, b.id))
        return false;
    struct nn_health health = nn_replicate_health(&w->nn.blocks.replicate, block);
    unsigned surplus = health.good > b.want ? (unsigned)(health.good - b.want) : 0, others = 0;
    for (uint32_t i = 0; i < w->dn_count; i++)
        others +=
            &w->dns[i] != dn && dn_sim_has(&w->dns[i], id, b.len) && !is_doomed(w, &w->dns[i], id);
    return others >= 1 + surplus;
}

/* ---- settled?
 * ------------------------------------------------------------------------------------- */

static bool clients_rest(const struct nn_world *w, struct buf *why)
{
    for (uint32_t c = 0; c < w->cl_count; c++) {
        const struct cl_sim *cl = &w->cls[c];
        bool is_quiet = cl->host.is_up && cl->has_dir && cl->step == CL_RESTING;
        for (uint32_t i = 0; i < FILES; i++) {
            is_quiet = is_quiet && cl->entries[i].state != CL_UNSURE && !cl->entries[i].is_busy;
            is_quiet = is_quiet && !(w->is_clearing && cl->entries[i].state == CL_CLOSED);
        }
        if (!is_quiet) {
            buf_printf(why, "%s is not done (step %d, asks %s); ", cl->host.name, (int)cl->step,
                       cl->ask ? cl->ask->head.name : "nothing");
            return false;
        }
    }
    return true;
}

static bool block_is_right(const struct nn_world *w, uint32_t at, struct buf *why)
{
    struct nn_block b = nn_blockmap_get(w->nn.blocks.map, at);
    struct nn_health h = nn_replicate_health(&w->nn.blocks.replicate, at);
    unsigned want = b.want < w->dn_count ? b.want : w->dn_count;
    bool is_right =
        b.state == NN_BLOCK_COMPLETE && h.good == want && h.bad == 0 && intact(w, &b) == want;
    if (!is_right)
        buf_printf(why,
                   "blk_%llu_%llu is %s, wants %u, has %u good, %u bad, %u pending, %u on disks; ",
                   (unsigned long long)b.id, (unsigned long long)b.gs,
                   nn_block_state_name((enum nn_block_state)b.state), want, h.good, h.bad,
                   h.pending, intact(w, &b));
    return is_right;
}

static bool queues_are_empty(const struct nn_world *w, struct buf *why)
{
    const struct nn_blocks *b = &w->nn.blocks;
    struct nn_blocks_stats s = nn_blocks_stats(b);
    bool is_empty = s.pending_deletion == 0 && s.pending_copies == 0 && s.under_replicated == 0 &&
                    s.missing == 0 && s.corrupt == 0 && s.postponed == 0 &&
                    b->writings.map.count == 0 && b->recoveries.by_block.count == 0 &&
                    w->nn.state.leases.files.count == 0 && w->nn.state.prepared.files.count == 0 &&
                    b->orders.count == 0;
    if (!is_empty)
        buf_printf(
            why,
            "doomed %llu copies %llu under %llu missing %llu bad %llu postponed %llu open %zu "
            "recoveries %zu leases %zu; ",
            (unsigned long long)s.pending_deletion, (unsigned long long)s.pending_copies,
            (unsigned long long)s.under_replicated, (unsigned long long)s.missing,
            (unsigned long long)s.corrupt, (unsigned long long)s.postponed, b->writings.map.count,
            b->recoveries.by_block.count, w->nn.state.leases.files.count);
    return is_empty;
}

/* No disk holds what no file has. */
static bool disks_are_clean(const struct nn_world *w, struct buf *why)
{
    for (uint32_t d = 0; d < w->dn_count; d++)
        list_each (&w->dns[d].reps, it) {
            const struct dn_rep *rep = list_entry(it, struct dn_rep, link);
            uint32_t block = nn_blockmap_find(w->nn.blocks.map, rep->r.id);
            if (block && nn_blockmap_get(w->nn.blocks.map, block).gs == rep->r.gs &&
                rep->r.state == DN_REPLICA_FINALIZED)
                continue;
            buf_printf(why, "%s keeps blk_%llu_%llu %s; ", w->dns[d].host.name,
                       (unsigned long long)rep->r.id, (unsigned long long)rep->r.gs,
                       dn_replica_state_name((enum dn_replica_state)rep->r.state));
            return false;
        }
    return true;
}

bool nn_is_settled(struct nn_world *w, struct buf *why)
{
    const struct nn_blocks *b = &w->nn.blocks;
    if (!w->nn.is_open || nn_safemode_is_on(&b->safemode)) {
        buf_append_str(why, "the namenode is down or in safe mode; ");
        return false;
    }
    for (uint32_t d = 0; d < w->dn_count; d++)
        if (!w->dns[d].is_registered) {
            buf_printf(why, "%s is not registered; ", w->dns[d].host.name);
            return false;
        }
    if (!clients_rest(w, why) || !queues_are_empty(w, why))
        return false;
    for (uint32_t at = nn_blockmap_next(b->map, 0); at; at = nn_blockmap_next(b->map, at + 1))
        if (!block_is_right(w, at, why))
            return false;
    return disks_are_clean(w, why);
}
