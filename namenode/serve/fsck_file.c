/* SPDX-License-Identifier: Apache-2.0
 * fsck_file: a file in a check: its blocks are judged one by one, each finding printed where it is
 * met; then comes the verdict, then, if asked for, a line for each block. */
#include <inttypes.h>

#include "namenode/serve/fsck.h"

#define REPORT_FLAGS (CL2NN_FSCK_FILES | CL2NN_FSCK_BLOCKS)
#define PLACES_FLAGS \
    (CL2NN_FSCK_LOCATIONS | CL2NN_FSCK_RACKS | CL2NN_FSCK_DETAILS | CL2NN_FSCK_DOMAINS)

static struct nn_blocks *blocks_of(const struct fsck *c)
{
    return &c->turn->nn->blocks;
}

static bool asks(const struct fsck *c, uint32_t flag)
{
    return (c->ask->flags & flag) != 0;
}

/* ---- a block's name and places ---- */

void fsck_print_name(const struct fsck *c, const struct nn_block *b, struct buf *out)
{
    buf_printf(out, "BP-%s:blk_%" PRIu64 "_%" PRIu64, c->turn->nn->identity.cluster, b->id, b->gs);
}

bool fsck_is_listed(const struct nn_nodes *nodes, uint32_t storage)
{
    const struct nn_storage *s = nn_nodes_storage(nodes, storage);
    return nn_nodes_is_serving(nodes, storage) ||
           (!s->has_failed && !s->is_gone &&
            nn_nodes_get(nodes, s->node)->admin == NN_NODE_IN_MAINTENANCE);
}

static const char *detail_of(const struct fsck *c, const struct nn_node *node, uint32_t storage,
                             bool is_bad)
{
    if (node->admin == NN_NODE_DECOMMISSIONED)
        return "DECOMMISSIONED";
    if (node->admin == NN_NODE_DECOMMISSIONING)
        return "DECOMMISSIONING";
    if (asks(c, CL2NN_FSCK_MAINTENANCE) && node->admin == NN_NODE_ENTERING_MAINTENANCE)
        return "ENTERING MAINTENANCE";
    if (asks(c, CL2NN_FSCK_MAINTENANCE) && node->admin == NN_NODE_IN_MAINTENANCE)
        return "IN MAINTENANCE";
    if (is_bad)
        return "CORRUPT";
    if (node->state == NN_NODE_STALE)
        return "STALE_NODE";
    return nn_nodes_storage(&blocks_of(c)->nodes, storage)->is_reported ? "LIVE"
                                                                        : "STALE_BLOCK_CONTENT";
}

static void print_place(struct fsck *c, uint32_t storage, bool is_bad, bool is_first)
{
    const struct nn_nodes *nodes = &blocks_of(c)->nodes;
    const struct nn_node *node = nn_nodes_of(nodes, storage);
    const struct nn_address *at = &node->address;
    buf_append_str(&c->text, is_first ? "" : ", ");
    if (asks(c, CL2NN_FSCK_RACKS))
        buf_printf(&c->text, SLICE_FMT "/" SLICE_FMT ":%u", SLICE_ARG(at->rack),
                   SLICE_ARG(at->host), at->data_port);
    else
        buf_printf(&c->text, "DatanodeInfoWithStorage[" SLICE_FMT ":%u,%s,DISK]",
                   SLICE_ARG(at->host), at->data_port, nn_nodes_storage(nodes, storage)->id);
    if (asks(c, CL2NN_FSCK_DOMAINS))
        buf_append_str(&c->text, "(ud=undefined)");
    if (asks(c, CL2NN_FSCK_DETAILS))
        buf_printf(&c->text, "(%s)", detail_of(c, node, storage, is_bad));
}

static void print_replicas(struct fsck *c, uint32_t index, const struct nn_block *b)
{
    const struct nn_nodes *nodes = &blocks_of(c)->nodes;
    const struct nn_replica *r = nn_blockmap_replicas(blocks_of(c)->map, index);
    bool is_first = true;
    if (!asks(c, PLACES_FLAGS))
        return;
    buf_append_str(&c->text, "  [");
    for (size_t i = 0; i < b->replicas; i++) {
        uint32_t storage = nn_replica_storage(r[i]);
        if (!fsck_is_listed(nodes, storage))
            continue;
        print_place(c, storage, nn_replica_is_bad(r[i]), is_first);
        is_first = false;
    }
    buf_append_byte(&c->text, ']');
}

/* Where the writer has it: on each node of his pipeline, on the storage that the node told of. */
static void print_pipeline(struct fsck *c, const struct nn_writing *w)
{
    const struct nn_nodes *nodes = &blocks_of(c)->nodes;
    if (!asks(c, PLACES_FLAGS))
        return;
    buf_append_str(&c->text, "  [");
    for (size_t i = 0; w && i < w->pipeline_count; i++) {
        const struct nn_node *node = nn_nodes_get(nodes, w->pipeline[i]);
        uint32_t storage = node->storage_count ? node->storages[0] : 0;
        for (size_t k = 0; k < w->replica_count; k++)
            if (nn_nodes_of(nodes, w->replicas[k].storage) == node)
                storage = w->replicas[k].storage;
        if (storage)
            print_place(c, storage, false, i == 0);
    }
    buf_append_byte(&c->text, ']');
}

/* ---- judging ---- */

/* The writer's, which is not judged: the last of an open file, until it is complete. */
static bool is_being_written(const struct nn_inode *inode, const struct nn_block *b, uint32_t index)
{
    return inode->is_open && index == inode->last_block && b->state != NN_BLOCK_COMPLETE;
}

struct verdict {
    struct nn_health health;
    unsigned total; /* good replicas, wherever */
    bool is_corrupt, is_missing;
};

static struct verdict judge(const struct fsck *c, uint32_t index)
{
    struct verdict v = {.health = nn_replicate_health(&blocks_of(c)->replicate, index)};
    v.total = (unsigned)v.health.staying + v.health.leaving + v.health.resting;
    v.is_corrupt = v.total == 0 && v.health.bad > 0;
    v.is_missing = v.total == 0 && !v.is_corrupt;
    return v;
}

static void count_replicas(struct fsck *c, const struct verdict *v, uint64_t want)
{
    const struct nn_health *health = &v->health;
    c->counts.replicas += v->total;
    c->counts.decommissioned += health->left;
    c->counts.decommissioning += (unsigned)(health->leaving - health->left);
    c->counts.entering += health->entering;
    c->counts.resting += (unsigned)(health->resting - health->entering);
    c->counts.expected_replicas += want;
    c->counts.minimal += v->total > 0;
    c->counts.below += v->total == 0;
    c->counts.over += health->staying > want;
}

static void judge_under(struct fsck *c, const struct nn_block *b, const struct verdict *v,
                        unsigned want)
{
    const struct nn_health *health = &v->health;
    if (v->total >= want || v->total == 0)
        return;
    c->counts.under++;
    c->counts.missing_replicas += (uint64_t)(want - v->total);
    c->place.under++;
    if (!asks(c, CL2NN_FSCK_FILES))
        buf_printf(&c->text, "\n%s: ", buf_cstr(&c->path));
    buf_append_str(&c->text, " Under replicated ");
    fsck_print_name(c, b, &c->text);
    buf_printf(&c->text,
               ". Target Replicas is %u but found %u live replica(s), %u decommissioned "
               "replica(s), %u decommissioning replica(s)",
               want, health->staying, health->left, (unsigned)(health->leaving - health->left));
    if (asks(c, CL2NN_FSCK_MAINTENANCE)) /* the two words run together in Hadoop's, too */
        buf_printf(&c->text, "%u, entering maintenance replica(s) and %u in maintenance replica(s)",
                   health->entering, (unsigned)(health->resting - health->entering));
    buf_append_str(&c->text, ".\n");
}

/* Racks of the replicas that a reader is told of, and how many those are. */
static unsigned count_places(const struct fsck *c, uint32_t index, const struct nn_block *b,
                             bool is_corrupt, unsigned *ret_racks)
{
    const struct nn_nodes *nodes = &blocks_of(c)->nodes;
    const struct nn_replica *r = nn_blockmap_replicas(blocks_of(c)->map, index);
    uint32_t racks[2] = {0, 0}; /* more than two are as good as two */
    unsigned places = 0, found = 0;
    for (size_t i = 0; i < b->replicas; i++) {
        uint32_t storage = nn_replica_storage(r[i]);
        if (nn_replica_is_bad(r[i]) != is_corrupt || !fsck_is_listed(nodes, storage))
            continue;
        uint32_t rack = nn_nodes_of(nodes, storage)->rack;
        places++;
        if (found == 0 || (found == 1 && racks[0] != rack))
            racks[found++] = rack;
    }
    *ret_racks = found;
    return places;
}

static int have_mended(struct fsck *c, uint32_t index)
{
    c->counts.queued++;
    return nn_replicate_check(&blocks_of(c)->replicate, index, blocks_of(c)->applied);
}

static void judge_places(struct fsck *c, uint32_t index, const struct nn_block *b, unsigned want,
                         bool is_corrupt)
{
    unsigned racks = 0, need = want < 2 ? want : 2;
    unsigned places = count_places(c, index, b, is_corrupt, &racks);
    c->by_replicas[places < FSCK_REPLICAS_MAX ? places : FSCK_REPLICAS_MAX]++;
    if (blocks_of(c)->nodes.rack_count < 2 || racks >= need || racks >= c->racks)
        return;
    c->counts.mis++;
    c->place.mis++;
    if (!asks(c, CL2NN_FSCK_FILES))
        buf_printf(&c->text, "%s%s: ", c->place.under ? "" : "\n", buf_cstr(&c->path));
    buf_append_str(&c->text, " Replica placement policy is violated for ");
    fsck_print_name(c, b, &c->text);
    buf_printf(&c->text,
               ". Block should be additionally replicated on %u more rack(s). Total number of "
               "racks in the cluster: %u\n",
               need - racks, c->racks);
    if (asks(c, CL2NN_FSCK_REPLICATE) && have_mended(c, index) < 0)
        err_set(&c->failure, ERR_NOMEM, "out of memory");
}

static void judge_block(struct fsck *c, const struct nn_inode *inode, uint32_t index)
{
    struct nn_block b = nn_blockmap_get(blocks_of(c)->map, index);
    struct verdict v = judge(c, index);
    unsigned want = (unsigned)inode->replication;
    count_replicas(c, &v, want);
    if (v.is_corrupt) {
        c->place.corrupt++;
        c->place.corrupt_size += b.len;
        buf_printf(&c->text, "\n%s: CORRUPT blockpool BP-%s block blk_%" PRIu64 "\n",
                   buf_cstr(&c->path), c->turn->nn->identity.cluster, b.id);
    }
    if (v.is_missing) {
        c->place.missing++;
        c->place.missing_size += b.len;
    }
    judge_under(c, &b, &v, want);
    judge_places(c, index, &b, want, v.is_corrupt);
}

/* ---- the verdict on a file ---- */

static void note_corrupt(struct fsck *c)
{
    struct arena *arena = rpc_call_arena(c->turn->call);
    if (c->corrupt_count == c->corrupt_cap) {
        size_t cap = c->corrupt_cap ? 2 * c->corrupt_cap : 16;
        struct slice *v = arena_alloc(arena, cap * sizeof(*v));
        if (v && c->corrupt_count)
            memcpy(v, c->corrupt, c->corrupt_count * sizeof(*v));
        if (!v) {
            err_set(&c->failure, ERR_NOMEM, "out of memory");
            return;
        }
        c->corrupt = v;
        c->corrupt_cap = cap;
    }
    c->corrupt[c->corrupt_count++] = nn_turn_copy(c->turn, buf_slice(&c->path));
}

static void print_loss(struct fsck *c, const char *what, uint64_t count, uint64_t size)
{
    bool shows_files = asks(c, CL2NN_FSCK_FILES);
    if (count == 0)
        return;
    if (!shows_files)
        buf_printf(&c->text, "\n%s:", buf_cstr(&c->path));
    buf_printf(&c->text, " %s %" PRIu64 " blocks of total size %" PRIu64 " B%s", what, count, size,
               shows_files ? "\n" : ".");
}

static void conclude(struct fsck *c, const struct nn_inode *inode)
{
    const struct fsck_place *p = &c->place;
    print_loss(c, "MISSING", p->missing, p->missing_size);
    print_loss(c, "CORRUPT", p->corrupt, p->corrupt_size);
    if (asks(c, CL2NN_FSCK_FILES) && p->missing + p->corrupt + p->under + p->mis == 0)
        buf_append_str(&c->text, " OK\n");
    c->counts.missing_blocks += p->missing;
    c->counts.missing_size += p->missing_size;
    c->counts.corrupt_blocks += p->corrupt;
    c->counts.corrupt_size += p->corrupt_size;
    if (p->missing + p->corrupt == 0)
        return;
    c->counts.corrupt_files++;
    if (asks(c, CL2NN_FSCK_NAME_CORRUPT) && !inode->is_open)
        note_corrupt(c);
}

/* ---- a line for each block ---- */

static void print_open_block(struct fsck *c, uint32_t index, const struct nn_block *b)
{
    const struct nn_writing *w = nn_writings_find(&blocks_of(c)->writings, index);
    buf_printf(&c->text, "\nUnder Construction Block:\n%" PRIu64 ". ", c->place.at);
    fsck_print_name(c, b, &c->text);
    buf_printf(&c->text, " len=%" PRIu64 " Expected_repl=%zu", b->len, w ? w->pipeline_count : 0);
    print_pipeline(c, w);
}

static void print_block(struct fsck *c, const struct nn_inode *inode, uint32_t index)
{
    struct nn_block b = nn_blockmap_get(blocks_of(c)->map, index);
    if (is_being_written(inode, &b, index)) {
        print_open_block(c, index, &b);
        return;
    }
    struct verdict v = judge(c, index);
    buf_printf(&c->text, "%" PRIu64 ". ", c->place.at);
    fsck_print_name(c, &b, &c->text);
    buf_printf(&c->text, " len=%" PRIu64, b.len);
    if (v.is_missing)
        buf_append_str(&c->text, " MISSING!");
    else
        buf_printf(&c->text, " Live_repl=%u", v.health.staying);
    if (!v.is_missing)
        print_replicas(c, index, &b);
    buf_append_byte(&c->text, '\n');
}

/* ---- a file ---- */

/* False: it is open, and open files were not asked for. */
static bool begin(struct fsck *c, const struct nn_inode *inode)
{
    bool is_open = inode->is_open;
    if (is_open && !asks(c, CL2NN_FSCK_OPEN)) {
        c->counts.open_files++;
        c->counts.open_size += inode->len;
        c->counts.open_blocks += inode->block_count;
        return false;
    }
    c->counts.files++;
    c->counts.size += inode->len;
    c->counts.blocks += inode->block_count;
    c->place.seen++;
    c->place.files++;
    if (is_open || asks(c, CL2NN_FSCK_FILES))
        buf_printf(&c->text, "%s %" PRIu64 " bytes, replicated: replication=%u, %u block(s)%s: ",
                   buf_cstr(&c->path), (uint64_t)inode->len, (unsigned)inode->replication,
                   (unsigned)inode->block_count, is_open ? ", OPENFORWRITE" : "");
    else if (c->place.files % 100 == 0)
        buf_append_byte(&c->text, '.');
    return true;
}

/* One pass over the blocks, from the place where it stands: true when it came to the end. */
static bool pass(struct fsck *c, const struct nn_inode *inode,
                 void (*look)(struct fsck *, const struct nn_inode *, uint32_t))
{
    const struct nn_blockmap *map = blocks_of(c)->map;
    uint32_t index = inode->first_block;
    for (uint64_t i = 0; index && i < c->place.at; i++)
        index = nn_blockmap_get(map, index).next;
    for (; index && c->steps > 0; c->steps--) {
        look(c, inode, index);
        c->place.at++;
        index = nn_blockmap_get(map, index).next;
    }
    return index == NN_BLOCK_NONE;
}

static void judge_one(struct fsck *c, const struct nn_inode *inode, uint32_t index)
{
    struct nn_block b = nn_blockmap_get(blocks_of(c)->map, index);
    if (!is_being_written(inode, &b, index))
        judge_block(c, inode, index);
}

static void next_part(struct fsck *c, uint64_t part)
{
    struct fsck_place *p = &c->place;
    *p = (struct fsck_place){.seen = p->seen, .files = p->files, .part = part};
}

bool fsck_file(struct fsck *c, uint32_t slot)
{
    const struct nn_inode *inode = nn_inode(fsck_store(c), slot);
    if (c->place.part == 0) {
        if (!begin(c, inode))
            return true;
        next_part(c, 1);
    }
    if (c->place.part == 1) {
        if (!pass(c, inode, judge_one))
            return false;
        conclude(c, inode);
        next_part(c, (c->ask->flags & REPORT_FLAGS) == REPORT_FLAGS ? 2 : 0);
    }
    if (c->place.part == 2) {
        if (!pass(c, inode, print_block))
            return false;
        buf_append_byte(&c->text, '\n');
        next_part(c, 0);
    }
    return true;
}
