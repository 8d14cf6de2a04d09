/* SPDX-License-Identifier: Apache-2.0
 * fsck: the check of everything below a path, a page at a time. The cursor is the path visited
 * last; a page goes on behind it, whatever has changed meanwhile (or in it, when that page ended in
 * the middle of a file).
 *
 * A page's counters (all of group ""): dirs, files, symlinks, size, blocks, open_files, open_size,
 * open_blocks, replicas (good ones, wherever), of which decommissioned, decommissioning, entering
 * and resting (maintenance) are, expected_replicas, missing_replicas, minimal (blocks with a live
 * replica), below (those without), over, under, mis, missing_blocks, missing_size, corrupt_blocks,
 * corrupt_size, corrupt_files, queued. What is the same for all pages comes with each one, in group
 * "server": nodes, racks, replication. */
#include <inttypes.h>

#include "libcommon/base/str.h"
#include "namenode/serve/fsck.h"

#define PAGE_STEPS 2000
#define PAGE_BYTES (1U << 20)

/* ---- a name in the tree ---- */

/* Who is no superuser sees what he could see by himself: lists of directories, blocks of files. */
static bool may_look(struct fsck *c, bool is_dir)
{
    const struct nn_tree *tree = &c->turn->nn->state.tree;
    struct nn_walk walk;
    if (c->turn->caller.is_super)
        return true;
    nn_tree_walk(tree, buf_slice(&c->path), &walk);
    return nn_access_path(tree, &walk, &c->turn->caller, is_dir ? NN_RX : NN_R, &c->failure) == 0;
}

/* True when it is done with. */
static bool check_inode(struct fsck *c, uint32_t slot)
{
    bool is_dir = nn_inode(fsck_store(c), slot)->is_dir;
    buf_clear(&c->path);
    nn_tree_path(&c->turn->nn->state.tree, slot, &c->path);
    if (!buf_cstr(&c->path))
        return true; /* without memory: the answer fails */
    if (c->place.part == 0 && c->place.seen % 1000 == 0)
        buf_append_byte(&c->text, '\n');
    if (is_dir) {
        if (c->ask->flags & CL2NN_FSCK_FILES)
            buf_printf(&c->text, "%s <dir>\n", buf_cstr(&c->path));
        c->counts.dirs++;
        c->place.seen++;
    }
    return !may_look(c, is_dir) || is_dir || fsck_file(c, slot);
}

/* ---- the walk ---- */

static uint32_t first_after(const struct fsck *c, uint32_t dir, struct slice name)
{
    struct nn_naming naming = nn_inodes_naming(fsck_store(c));
    const struct nn_children *children = &nn_dir(fsck_store(c), dir)->children;
    struct nn_cursor at = nn_children_after(children, &naming, name);
    return nn_children_next(children, &at);
}

/* The inode after `slot` in pre-order below `top`; 0 at the end. */
static uint32_t next_inode(const struct fsck *c, uint32_t slot, uint32_t top)
{
    const struct nn_inodes *store = fsck_store(c);
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
static uint32_t resume(struct fsck *c, uint32_t top)
{
    struct nn_walk walk;
    if (c->ask->cursor.len == 0)
        return top;
    nn_tree_walk(&c->turn->nn->state.tree, c->ask->cursor, &walk);
    uint32_t at = nn_walk_last(&walk);
    bool is_inside = c->place.part > 0;
    if (is_inside && nn_walk_is_whole(&walk) && !nn_inode(fsck_store(c), at)->is_dir)
        return at;
    if (is_inside) /* the file is gone: what was found in it does not count */
        c->place = (struct fsck_place){.seen = c->place.seen, .files = c->place.files};
    if (nn_walk_is_whole(&walk))
        return next_inode(c, at, top);
    if (nn_inode(fsck_store(c), at)->is_dir) {
        uint32_t child = first_after(c, at, walk.names[walk.found]);
        if (child)
            return child;
    }
    for (; at != top; at = nn_inode(fsck_store(c), at)->parent) {
        uint32_t sibling =
            first_after(c, nn_inode(fsck_store(c), at)->parent, nn_inode_name(fsck_store(c), at));
        if (sibling)
            return sibling;
    }
    return 0;
}

/* The inode visited last; 0 when there is nothing behind it. */
static uint32_t check_page(struct fsck *c, uint32_t top)
{
    uint32_t at = resume(c, top), last = 0;
    while (at && c->steps > 0 && c->text.len < PAGE_BYTES && c->failure.code == 0) {
        c->steps--;
        last = at;
        if (!check_inode(c, at))
            return last;
        at = next_inode(c, at, top);
    }
    return at && c->failure.code == 0 ? last : 0;
}

/* ---- the answer ---- */

/* Racks with a node that lives. */
static uint32_t count_racks(const struct nn_nodes *nodes)
{
    uint32_t n = 0;
    for (size_t r = 0; r < nodes->rack_count; r++) {
        bool lives = false;
        for (size_t i = 0; i < nodes->racks[r].count && !lives; i++)
            lives = nn_nodes_get(nodes, nodes->racks[r].nodes[i])->state != NN_NODE_DEAD;
        n += lives;
    }
    return n;
}

struct counters {
    struct msg_counter *v;
    size_t n;
};

static void put_counter(struct counters *to, const char *group, struct slice name, uint64_t value)
{
    to->v[to->n++] = (struct msg_counter){slice_str(group), name, value};
}

/* How many blocks have how many replicas: the number is the counter's name. */
static void put_policies(struct fsck *c, struct counters *to)
{
    char name[16];
    for (size_t i = 0; i <= FSCK_REPLICAS_MAX; i++) {
        int n = snprintf(name, sizeof(name), "%zu", i);
        if (c->by_replicas[i])
            put_counter(to, "policy", nn_turn_copy(c->turn, slice_of(name, (size_t)n)),
                        c->by_replicas[i]);
    }
}

static int fill_counters(struct fsck *c, struct cl2nn_fsck_page *ret)
{
#define COUNT_ROW(name) {#name, c->counts.name},
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {FSCK_COUNTS(COUNT_ROW)};
#undef COUNT_ROW
    const struct namenode *nn = c->turn->nn;
    bool has_policies = c->ask->flags & CL2NN_FSCK_POLICIES;
    size_t most = ARRAY_LEN(rows) + 3 + (has_policies ? FSCK_REPLICAS_MAX + 1 : 0);
    struct counters to = {arena_alloc(rpc_call_arena(c->turn->call), most * sizeof(*to.v)), 0};
    if (!to.v)
        return err_set(&c->turn->err, ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        put_counter(&to, "", slice_str(rows[i].name), rows[i].value);
    put_counter(&to, "server", slice_str("nodes"), nn->blocks.nodes.living);
    put_counter(&to, "server", slice_str("racks"), c->racks);
    put_counter(&to, "server", slice_str("replication"), nn->limits.default_replication);
    if (has_policies)
        put_policies(c, &to);
    ret->counters.v = to.v;
    ret->counters.n = to.n;
    return 0;
}

/* The place, for the client to bring back: it need not be understood there, nor believed here. */
static struct slice place_out(struct fsck *c)
{
    struct buf bytes = BUF_INIT;
#define PLACE_OUT(name) buf_append_u64(&bytes, c->place.name);
    FSCK_PLACE(PLACE_OUT)
#undef PLACE_OUT
    struct slice copy = nn_turn_copy(c->turn, buf_slice(&bytes));
    buf_release(&bytes);
    return copy;
}

static void place_in(struct fsck *c)
{
    const uint8_t *p = c->ask->state.data;
    if (c->ask->state.len != sizeof(c->place))
        return; /* the first page, or an older client */
#define PLACE_IN(name)          \
    c->place.name = get_u64(p); \
    p += 8;
    FSCK_PLACE(PLACE_IN)
#undef PLACE_IN
}

static int check_path(struct nn_turn *turn, const struct cl2nn_fsck *ask, struct nn_walk *walk)
{
    int rc = nn_check_reach(&turn->view, ask->path, walk, &turn->err);
    if (rc == 0 && ask->cursor.len &&
        (!path_is_normal(ask->cursor) || !path_is_under(ask->cursor, ask->path)))
        rc = err_set(&turn->err, ERR_INVAL, "fsck: the cursor is not below the path");
    return rc;
}

static int answer_tree(struct fsck *c, struct cl2nn_fsck_page *page)
{
    struct nn_walk walk;
    int rc = check_path(c->turn, c->ask, &walk);
    if (rc != 0)
        return rc;
    place_in(c);
    uint32_t last = check_page(c, nn_walk_last(&walk));
    buf_clear(&c->path);
    if (last)
        nn_tree_path(&c->turn->nn->state.tree, last, &c->path);
    page->state = place_out(c);
    page->corrupt.v = c->corrupt;
    page->corrupt.n = c->corrupt_count;
    return fill_counters(c, page);
}

static int answer_corrupt(struct fsck *c)
{
    char number[24];
    uint64_t from = 0;
    int rc = nn_access_super(&c->turn->caller, "listCorruptFileBlocks", &c->turn->err);
    if (rc == 0 && !c->turn->nn->blocks.replicate.is_active)
        rc = err_set(&c->turn->err, ERR_RETRY,
                     "Cannot run listCorruptFileBlocks because replication queues have not been "
                     "initialized.");
    if (rc != 0)
        return rc;
    if (c->ask->cursor.len && c->ask->cursor.len < sizeof(number)) {
        memcpy(number, c->ask->cursor.data, c->ask->cursor.len);
        number[c->ask->cursor.len] = 0;
        (void)str_to_u64(number, &from); /* what is no number begins anew */
    }
    uint32_t next = from < BITSET_END ? (uint32_t)from : BITSET_END;
    bool is_done = fsck_list_corrupt(c, &next);
    buf_clear(&c->path);
    if (!is_done)
        buf_printf(&c->path, "%u", next);
    return 0;
}

static int answer_blocks(struct fsck *c)
{
    int rc = nn_access_super(&c->turn->caller, "fsck", &c->turn->err);
    for (size_t i = 0; rc == 0 && i < c->ask->blocks.n; i++)
        fsck_block(c, c->ask->blocks.v[i]);
    return rc;
}

void nn_on_FSCK(struct rpc_call *call, const void *message, void *arg)
{
    struct nn_turn turn;
    struct cl2nn_fsck_page page = {0};
    struct fsck c = {.turn = &turn, .ask = message, .steps = PAGE_STEPS};
    int rc = 0;
    nn_turn_begin(&turn, call, arg, c.ask->cursor.len ? NULL : "fsck", c.ask->path);
    c.racks = count_racks(&turn.nn->blocks.nodes);
    if (c.ask->blocks.n)
        rc = answer_blocks(&c);
    else if (c.ask->flags & CL2NN_FSCK_LIST_CORRUPT)
        rc = answer_corrupt(&c);
    else
        rc = answer_tree(&c, &page);
    if (rc == 0 && (buf_failed(&c.text) || buf_failed(&c.path) || c.failure.code == ERR_NOMEM))
        rc = err_set(&turn.err, ERR_NOMEM, "out of memory");
    page.text = nn_turn_copy(&turn, buf_slice(&c.text));
    page.cursor = nn_turn_copy(&turn, buf_slice(&c.path));
    if (c.failure.code)
        page.failure = nn_turn_copy(&turn, slice_str(c.failure.msg));
    buf_release(&c.text);
    buf_release(&c.path);
    nn_turn_end(&turn, rc, &page);
}
