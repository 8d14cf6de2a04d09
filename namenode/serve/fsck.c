/* SPDX-License-Identifier: Apache-2.0
 * fsck: the check of everything below a path, a page at a time. The cursor is the path visited
 * last; a page goes on behind it, whatever has changed meanwhile.
 *
 * The text is Hadoop's. A page's counters (all of group ""): dirs, files, symlinks, size, blocks,
 * open_files, open_size, open_blocks, replicas (good ones, wherever), of which decommissioned,
 * decommissioning, entering and resting (maintenance) are, expected_replicas, missing_replicas,
 * minimal (blocks with a live replica), over, under, mis, missing_blocks, missing_size,
 * corrupt_blocks, corrupt_size, corrupt_files. What is the same for all pages comes with each one,
 * in group "server": nodes, racks, replication. */
#include <inttypes.h>

#include "namenode/serve/turn.h"

#define PAGE_INODES 2000
#define PAGE_BYTES  (1U << 20)
#define NODES_MAX   64

/* The formatter lays this list out another way each time. */
/* clang-format off */
#define COUNTERS(C) \
    C(dirs) C(files) C(symlinks) C(size) C(blocks) C(open_files) C(open_size) C(open_blocks) \
    C(replicas) C(decommissioned) C(decommissioning) C(entering) C(resting) C(expected_replicas) C(missing_replicas) C(minimal) C(over) C(under) C(mis) \
    C(missing_blocks) C(missing_size) C(corrupt_blocks) C(corrupt_size) C(corrupt_files)
/* clang-format on */

struct counts {
#define COUNT_FIELD(name) uint64_t name;
    COUNTERS(COUNT_FIELD)
#undef COUNT_FIELD
};

struct check {
    struct nn_turn *turn;
    const struct cl2nn_fsck *ask;
    struct buf text;
    struct buf path; /* of what is being looked at */
    struct counts counts;
};

static const struct nn_inodes *store_of(const struct check *c)
{
    return &c->turn->nn->state.tree.store;
}

/* ---- a block ---- */

/* What is wrong with one file. */
struct findings {
    uint64_t missing, missing_size, corrupt, corrupt_size;
    struct buf lines; /* of single blocks, behind the file's line */
};

static void print_places(struct check *c, uint32_t block, struct buf *out)
{
    uint32_t nodes[NODES_MAX];
    bool is_corrupt = false;
    struct nn_blocks *blocks = &c->turn->nn->blocks;
    size_t count =
        nn_blocks_locate(blocks, block, slice_of(NULL, 0), nodes, NODES_MAX, &is_corrupt);
    buf_append_str(out, "  [");
    for (size_t i = 0; i < count; i++) {
        const struct nn_address *at = &nn_nodes_get(&blocks->nodes, nodes[i])->address;
        if (c->ask->flags & CL2NN_FSCK_RACKS)
            buf_printf(out, "%s" SLICE_FMT "/" SLICE_FMT ":%u", i ? ", " : "", SLICE_ARG(at->rack),
                       SLICE_ARG(at->host), at->data_port);
        else
            buf_printf(out, "%sDatanodeInfoWithStorage[" SLICE_FMT ":%u," SLICE_FMT ",DISK]",
                       i ? ", " : "", SLICE_ARG(at->host), at->data_port, SLICE_ARG(at->name));
    }
    buf_append_byte(out, ']');
}

static void print_block(struct check *c, uint32_t index, unsigned number, uint16_t good,
                        struct buf *out)
{
    struct nn_block b = nn_blockmap_get(c->turn->nn->blocks.map, index);
    buf_printf(out, "%u. blk_%" PRIu64 "_%" PRIu64 " len=%" PRIu64, number, b.id, b.gs, b.len);
    if (good == 0 && b.state == NN_BLOCK_COMPLETE)
        buf_append_str(out, " MISSING!");
    else
        buf_printf(out, " Live_repl=%u", good);
    if (c->ask->flags & (CL2NN_FSCK_LOCATIONS | CL2NN_FSCK_RACKS))
        print_places(c, index, out);
    buf_append_byte(out, '\n');
}

/* With -files a file's line begins with its path anyway. */
static void put_subject(const struct check *c, struct buf *out)
{
    if (c->ask->flags & CL2NN_FSCK_FILES)
        return;
    buf_append_byte(out, '\n');
    buf_append_slice(out, buf_slice(&c->path));
    buf_append_byte(out, ':');
}

static void count_replicas(struct check *c, const struct nn_health *health, unsigned total)
{
    c->counts.replicas += total;
    c->counts.decommissioned += health->left;
    c->counts.decommissioning += (unsigned)(health->leaving - health->left);
    c->counts.entering += health->entering;
    c->counts.resting += (unsigned)(health->resting - health->entering);
}

static void put_under(const struct check *c, const struct nn_block *b,
                      const struct nn_health *health, struct buf *out)
{
    buf_printf(out,
               " Under replicated blk_%" PRIu64 "_%" PRIu64
               ". Target Replicas is %u but found %u live replica(s), %u decommissioned "
               "replica(s), %u decommissioning replica(s)",
               b->id, b->gs, b->want, health->staying, health->left,
               (unsigned)(health->leaving - health->left));
    if (c->ask->flags & CL2NN_FSCK_MAINTENANCE)
        buf_printf(out, ", %u entering maintenance replica(s) and %u in maintenance replica(s)",
                   health->entering, (unsigned)(health->resting - health->entering));
    buf_append_str(out, ".\n");
}

static void judge_block(struct check *c, uint32_t index, struct findings *found)
{
    struct nn_block b = nn_blockmap_get(c->turn->nn->blocks.map, index);
    struct nn_health health = nn_replicate_health(&c->turn->nn->blocks.replicate, index);
    unsigned total = (unsigned)health.staying + health.leaving + health.resting;
    c->counts.blocks++;
    count_replicas(c, &health, total);
    c->counts.expected_replicas += b.want;
    c->counts.minimal += health.good > 0;
    c->counts.over += health.staying > b.want;
    c->counts.mis +=
        health.staying > 1 && health.racks < 2 && nn_nodes_racks(&c->turn->nn->blocks.nodes) > 1;
    if (health.good == 0 && health.bad > 0) {
        found->corrupt++;
        found->corrupt_size += b.len;
        buf_printf(&found->lines, "\n%s: CORRUPT blockpool %s block blk_%" PRIu64 "\n",
                   buf_cstr(&c->path), c->turn->nn->identity.cluster, b.id);
    }
    if (health.good == 0) {
        found->missing++;
        found->missing_size += b.len;
    } else if (total < b.want) {
        c->counts.under++;
        c->counts.missing_replicas += (uint64_t)(b.want - total);
        put_subject(c, &found->lines);
        put_under(c, &b, &health, &found->lines);
    }
}

/* ---- a file ---- */

static void print_verdict(struct check *c, const struct findings *found)
{
    bool shows_files = c->ask->flags & CL2NN_FSCK_FILES;
    if (found->missing) {
        put_subject(c, &c->text);
        buf_printf(&c->text, " MISSING %" PRIu64 " blocks of total size %" PRIu64 " B.\n",
                   found->missing, found->missing_size);
    }
    if (found->lines.len)
        buf_append_slice(&c->text, buf_slice(&found->lines));
    else if (!found->missing && shows_files)
        buf_append_str(&c->text, " OK\n");
}

static void check_file(struct check *c, uint32_t slot)
{
    const struct nn_inode *inode = nn_inode(store_of(c), slot);
    bool shows_files = c->ask->flags & CL2NN_FSCK_FILES;
    struct findings found = {.lines = BUF_INIT};
    if (inode->is_open) {
        c->counts.open_files++;
        c->counts.open_size += inode->len;
        c->counts.open_blocks += inode->block_count;
        if (!(c->ask->flags & CL2NN_FSCK_OPEN))
            return;
    } else {
        c->counts.files++;
        c->counts.size += inode->len;
    }
    if (shows_files)
        buf_printf(&c->text, "%s %" PRIu64 " bytes, replicated: replication=%u, %u block(s)%s: ",
                   buf_cstr(&c->path), (uint64_t)inode->len, (unsigned)inode->replication,
                   (unsigned)inode->block_count, inode->is_open ? ", OPENFORWRITE" : "");
    for (uint32_t b = inode->first_block; b;) {
        struct nn_block block = nn_blockmap_get(c->turn->nn->blocks.map, b);
        if (block.state == NN_BLOCK_COMPLETE)
            judge_block(c, b, &found);
        b = block.next;
    }
    print_verdict(c, &found);
    buf_release(&found.lines);
    c->counts.missing_blocks += found.missing;
    c->counts.missing_size += found.missing_size;
    c->counts.corrupt_blocks += found.corrupt;
    c->counts.corrupt_size += found.corrupt_size;
    c->counts.corrupt_files += found.missing > 0;
    unsigned number = 0;
    uint32_t b = c->ask->flags & CL2NN_FSCK_BLOCKS ? inode->first_block : 0;
    for (; b; b = nn_blockmap_get(c->turn->nn->blocks.map, b).next)
        print_block(c, b, number++, nn_replicate_health(&c->turn->nn->blocks.replicate, b).good,
                    &c->text);
}

static void check_inode(struct check *c, uint32_t slot)
{
    buf_clear(&c->path);
    nn_tree_path(&c->turn->nn->state.tree, slot, &c->path);
    if (!buf_cstr(&c->path))
        return;
    if (!nn_inode(store_of(c), slot)->is_dir) {
        check_file(c, slot);
        return;
    }
    c->counts.dirs++;
    if (c->ask->flags & CL2NN_FSCK_FILES)
        buf_printf(&c->text, "%s <dir>\n", buf_cstr(&c->path));
}

/* ---- the walk ---- */

static uint32_t first_after(const struct check *c, uint32_t dir, struct slice name)
{
    struct nn_naming naming = nn_inodes_naming(store_of(c));
    const struct nn_children *children = &nn_dir(store_of(c), dir)->children;
    struct nn_cursor at = nn_children_after(children, &naming, name);
    return nn_children_next(children, &at);
}

/* The inode after `slot` in pre-order below `top`; 0 at the end. */
static uint32_t next_inode(const struct check *c, uint32_t slot, uint32_t top)
{
    const struct nn_inodes *store = store_of(c);
    if (nn_inode(store, slot)->is_dir) {
        uint32_t child = first_after(c, slot, slice_of(NULL, 0));
        if (child)
            return child;
    }
    for (; slot != top; slot = nn_inode(store, slot)->parent) {
        uint32_t sibling =
            first_after(c, nn_inode(store, slot)->parent, nn_inode_name(store, slot));
        if (sibling)
            return sibling;
    }
    return 0;
}

/* Where the page begins: behind the cursor, which may be gone by now. */
static uint32_t resume(const struct check *c, uint32_t top)
{
    struct nn_walk walk;
    if (c->ask->cursor.len == 0)
        return top;
    nn_tree_walk(&c->turn->nn->state.tree, c->ask->cursor, &walk);
    uint32_t at = nn_walk_last(&walk);
    if (nn_walk_is_whole(&walk))
        return next_inode(c, at, top);
    if (nn_inode(store_of(c), at)->is_dir) {
        uint32_t child = first_after(c, at, walk.names[walk.found]);
        if (child)
            return child;
    }
    for (; at != top; at = nn_inode(store_of(c), at)->parent) {
        uint32_t sibling =
            first_after(c, nn_inode(store_of(c), at)->parent, nn_inode_name(store_of(c), at));
        if (sibling)
            return sibling;
    }
    return 0;
}

static uint32_t check_page(struct check *c, uint32_t top)
{
    uint32_t at = resume(c, top), last = at;
    for (unsigned n = 0; at && n < PAGE_INODES && c->text.len < PAGE_BYTES; n++) {
        check_inode(c, at);
        last = at;
        at = next_inode(c, at, top);
    }
    return at ? last : 0;
}

/* ---- the answer ---- */

static int fill_counters(struct check *c, struct cl2nn_fsck_page *ret)
{
    static const char *const names[] = {
#define COUNT_NAME(name) #name,
        COUNTERS(COUNT_NAME)
#undef COUNT_NAME
    };
    const uint64_t values[] = {
#define COUNT_VALUE(name) c->counts.name,
        COUNTERS(COUNT_VALUE)
#undef COUNT_VALUE
    };
    const struct namenode *nn = c->turn->nn;
    const struct msg_counter server[] = {
        {slice_str("server"), slice_str("nodes"), nn->blocks.nodes.living},
        {slice_str("server"), slice_str("racks"), nn->blocks.nodes.rack_count},
        {slice_str("server"), slice_str("replication"), nn->limits.default_replication},
    };
    size_t total = ARRAY_LEN(names) + ARRAY_LEN(server);
    ret->counters.v = arena_alloc(rpc_call_arena(c->turn->call), total * sizeof(*server));
    if (!ret->counters.v)
        return err_set(&c->turn->err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        ret->counters.v[ret->counters.n++] =
            (struct msg_counter){slice_str(""), slice_str(names[i]), values[i]};
    for (size_t i = 0; i < ARRAY_LEN(server); i++)
        ret->counters.v[ret->counters.n++] = server[i];
    return 0;
}

static int check_path(struct nn_turn *turn, const struct cl2nn_fsck *ask, struct nn_walk *walk)
{
    const struct nn_tree *tree = &turn->nn->state.tree;
    int rc = nn_check_path(ask->path, "fsck", &turn->err);
    if (rc == 0 && ask->cursor.len &&
        (!path_is_normal(ask->cursor) || !path_is_under(ask->cursor, ask->path)))
        rc = err_set(&turn->err, ERR_INVAL, "fsck: the cursor is not below the path");
    if (rc != 0)
        return rc;
    nn_tree_walk(tree, ask->path, walk);
    rc = nn_access_traverse(tree, walk, &turn->caller, &turn->err);
    if (rc == 0)
        rc = nn_check_exists(walk, ask->path, &turn->err);
    if (rc == 0)
        rc = nn_access_below(tree, walk, &turn->caller, NN_RX, false, &turn->err);
    return rc;
}

void nn_on_FSCK(struct rpc_call *call, const void *message, void *arg)
{
    struct nn_turn turn;
    struct nn_walk walk;
    struct cl2nn_fsck_page page = {0};
    struct check c = {.turn = &turn, .ask = message};
    nn_turn_begin(&turn, call, arg, c.ask->cursor.len ? NULL : "fsck", c.ask->path);
    int rc = check_path(&turn, c.ask, &walk);
    if (rc == 0) {
        uint32_t last = check_page(&c, nn_walk_last(&walk));
        buf_clear(&c.path);
        if (last)
            nn_tree_path(&turn.nn->state.tree, last, &c.path);
        rc = fill_counters(&c, &page);
    }
    if (rc == 0 && (buf_failed(&c.text) || buf_failed(&c.path)))
        rc = err_set(&turn.err, ERR_NOMEM, "out of memory");
    page.text = nn_turn_copy(&turn, buf_slice(&c.text));
    page.cursor = nn_turn_copy(&turn, buf_slice(&c.path));
    buf_release(&c.text);
    buf_release(&c.path);
    nn_turn_end(&turn, rc, &page);
}
