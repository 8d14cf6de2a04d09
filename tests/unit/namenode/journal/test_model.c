/* SPDX-License-Identifier: Apache-2.0
 * Thousands of random changes, against a model so simple that it can be seen to be right: a table
 * of whole paths. Then the same journal into a second state, an image into a third, and the two
 * mixed: all must be the same to the byte. */
#include "libcommon/base/rand.h"
#include "namenode/journal/apply.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/quota.h"
#include "tests/unit/namenode/journal/world.h"

#define ENTRIES 400
#define STEPS   9000
#define BLOCK   (1U << 20)
#define BLOCKS  64 /* of one file, at most */

struct entry {
    char path[96]; /* "" = free */
    bool is_dir, is_open;
    bool grows; /* its last block is being written */
    uint64_t id, len;
    uint64_t lens[BLOCKS]; /* of its blocks; `len` is their sum */
    uint64_t base;         /* what its last block had before it was appended to */
    unsigned blocks, replication, mode;
    int64_t names_quota, space_quota; /* -1 = none */
};

static struct entry model[ENTRIES];
static struct world live;
static struct rand rnd;
static unsigned appended, cut, joined; /* inside a block; the last: with blocks on both sides */

/* ---- the model ---- */

static struct entry *find(const char *path)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (model[i].path[0] && strcmp(model[i].path, path) == 0)
            return &model[i];
    return NULL;
}

static bool is_under(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/');
}

static unsigned below(const char *dir)
{
    unsigned n = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        n += model[i].path[0] && is_under(model[i].path, dir) && strcmp(model[i].path, dir) != 0;
    return n;
}

static bool has_parent_dir(const char *path)
{
    char parent[96];
    snprintf(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = 0;
    const struct entry *e = find(parent);
    return !parent[0] || (e && e->is_dir);
}

static void forget(const char *path)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (model[i].path[0] && is_under(model[i].path, path))
            model[i].path[0] = 0;
}

static struct entry *insert(const char *path, bool is_dir)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (!model[i].path[0]) {
            model[i] = (struct entry){
                .is_dir = is_dir, .replication = is_dir ? 0 : 1, .mode = is_dir ? 0755 : 0644};
            model[i].names_quota = model[i].space_quota = -1;
            snprintf(model[i].path, sizeof(model[i].path), "%s", path);
            return &model[i];
        }
    fail_msg("the model is full");
    return NULL;
}

/* A block being written counts as a full one. */
static uint64_t space_of(const struct entry *e)
{
    uint64_t room = e->grows ? BLOCK - e->lens[e->blocks - 1] : 0;
    return (e->len + room) * e->replication;
}

static void set_last(struct entry *e, uint64_t len)
{
    e->len += len - e->lens[e->blocks - 1];
    e->lens[e->blocks - 1] = len;
}

/* A directory above it has a quota of space. */
static bool has_space_quota(const char *path)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (model[i].path[0] && model[i].space_quota >= 0 && is_under(path, model[i].path))
            return true;
    return false;
}

static struct nn_growth used_by(const char *path)
{
    struct nn_growth used = {0, 0};
    for (size_t i = 0; i < ENTRIES; i++)
        if (model[i].path[0] && is_under(model[i].path, path)) {
            used.names++;
            used.space += (int64_t)space_of(&model[i]);
        }
    return used;
}

/* May that be added at `path`? Directories that `from` ("" = none) is in too are not asked. */
static bool has_room(const char *path, const char *from, struct nn_growth by)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &model[i];
        if (!e->path[0] || !is_under(path, e->path) || strcmp(path, e->path) == 0 ||
            is_under(from, e->path))
            continue;
        struct nn_growth used = used_by(e->path);
        if ((e->names_quota >= 0 && by.names > 0 && used.names + by.names > e->names_quota) ||
            (e->space_quota >= 0 && by.space > 0 && used.space + by.space > e->space_quota))
            return false;
    }
    return true;
}

static const struct nn_growth one_name = {1, 0};

/* ---- random requests ---- */

static void random_path(char *out, size_t cap)
{
    size_t depth = 1 + rand_below(&rnd, 4), len = 0;
    for (size_t i = 0; i < depth && len + 4 < cap; i++)
        len += (size_t)snprintf(out + len, cap - len, "/%c%u", 'a' + (char)i,
                                (unsigned)rand_below(&rnd, i == 0 ? 3 : 4));
}

static struct entry *some_entry(void)
{
    for (int i = 0; i < 50; i++) {
        struct entry *e = &model[rand_below(&rnd, ENTRIES)];
        if (e->path[0])
            return e;
    }
    return NULL;
}

/* Half of the time something that exists. */
static void some_path(char *out, size_t cap)
{
    const struct entry *e = some_entry();
    if (e && rand_chance(&rnd, 2))
        snprintf(out, cap, "%s", e->path);
    else
        random_path(out, cap);
}

/* With a default list in the directory the mode is a matter of that. */
static void take_mode(struct entry *e)
{
    if (nn_acl_has_default(&live.state.tree, inode_of(&live, e->path)->parent))
        e->mode = (unsigned)inode_of(&live, e->path)->mode;
}

static void try_mkdir(void)
{
    char path[96];
    random_path(path, sizeof(path));
    const struct entry *e = find(path);
    bool may = !e && has_parent_dir(path) && has_room(path, "", one_name);
    assert_int_equal(do_mkdir(&live, path, false) == 0, may);
    if (may)
        insert(path, true)->id = inode_of(&live, path)->id;
    if (may)
        take_mode(find(path));
}

static void try_create(void)
{
    char path[96];
    bool overwrite = rand_chance(&rnd, 3);
    some_path(path, sizeof(path));
    const struct entry *e = find(path);
    bool may = e ? !e->is_dir && overwrite : has_parent_dir(path) && has_room(path, "", one_name);
    assert_int_equal(do_create(&live, path, 7, overwrite) == 0, may);
    if (!may)
        return;
    forget(path);
    struct entry *fresh = insert(path, false);
    fresh->id = live.answer[0];
    fresh->is_open = true;
    take_mode(fresh);
}

/* As it is, if nobody writes it any more; else with all it can hold. */
static struct msg_block previous_of(const struct entry *e)
{
    return last_block(&live, e->id, !e->blocks || e->grows ? BLOCK : e->lens[e->blocks - 1]);
}

static void try_add_block(struct entry *e)
{
    struct nn_growth by = {0, (int64_t)BLOCK * e->replication};
    bool may = e->is_open && has_room(e->path, "", by);
    if (e->blocks == BLOCKS)
        return;
    int rc = do_add_block(&live, e->id, 7, previous_of(e));
    assert_int_equal(rc == 0, may);
    if (rc != 0)
        return;
    if (e->grows)
        set_last(e, BLOCK);
    e->lens[e->blocks++] = e->base = 0;
    e->grows = true;
}

static void try_complete(struct entry *e)
{
    uint64_t len = e->grows ? e->base + rand_below(&rnd, BLOCK - e->base) : 0;
    struct msg_block last = e->grows ? last_block(&live, e->id, len) : previous_of(e);
    int rc = do_complete(&live, e->id, 7, last);
    assert_int_equal(rc == 0, e->is_open);
    if (rc != 0)
        return;
    if (e->grows)
        set_last(e, len);
    e->is_open = e->grows = false;
    e->base = 0;
}

static void try_write(void)
{
    struct entry *e = some_entry();
    if (!e || e->is_dir)
        return;
    if (rand_chance(&rnd, 2))
        try_add_block(e);
    else
        try_complete(e);
}

/* ---- at the end of a file that was closed ---- */

/* Mostly one that there is something to do with. */
static void some_file(char *out, size_t cap)
{
    some_path(out, cap);
    for (unsigned i = rand_chance(&rnd, 5) ? ENTRIES : 0; i < ENTRIES; i++) {
        const struct entry *e = &model[rand_below(&rnd, ENTRIES)];
        if (!e->path[0] || e->is_dir || e->is_open || e->blocks == 0)
            continue;
        snprintf(out, cap, "%s", e->path);
        return;
    }
}

/* The prepared block takes the place of the last one; or the appender gives up before that. */
static void switch_appended(struct entry *e)
{
    const struct nn_prepared *prepared = nn_prepareds_find(&live.state.prepared, e->id);
    struct msg_block last = previous_of(e);
    if (!prepared)
        return;
    if (rand_chance(&rnd, 4)) {
        assert_int_equal(do_complete(&live, e->id, 7, last), 0);
        e->is_open = false;
        return;
    }
    struct nn_view view = world_view(&live);
    struct nn_block block = nn_blockmap_get(live.blocks.map, prepared->block);
    struct cl2nn_switch ask = {.origin = {.client = 7},
                               .file_id = e->id,
                               .last = last,
                               .block = {block.id, block.gs, block.len}};
    struct op_switch op;
    int rc = nn_check_switch(&view, &ask, &op, &live.err);
    assert_int_equal(world_done(&live, rc, NN_OP_SWITCH, &op), 0);
    e->grows = true;
    e->base = e->lens[e->blocks - 1];
    appended++;
}

static void try_append(void)
{
    char path[96];
    some_file(path, sizeof(path));
    struct entry *e = find(path);
    struct nn_view view = world_view(&live);
    struct cl2nn_append ask = {
        .origin = {.client = 7}, .path = slice_str(path), .new_block = rand_chance(&rnd, 3)};
    struct op_append op;
    uint32_t takeover = 0;
    int rc = nn_check_append(&view, &ask, &op, &takeover, &live.err);
    rc = world_done(&live, rc, NN_OP_APPEND, &op);
    if (rc == ERR_QUOTA) {
        assert_true(has_space_quota(path));
        return;
    }
    assert_int_equal(rc == 0, e && !e->is_dir && !e->is_open);
    if (rc != 0)
        return;
    e->is_open = true;
    switch_appended(e);
}

/* What the datanodes do, done at once. */
static void switch_truncated(struct entry *e)
{
    const struct nn_prepared *prepared = nn_prepareds_find(&live.state.prepared, e->id);
    if (!prepared)
        return;
    struct op_switch op = {.at_ms = live.now_ms,
                           .file_id = e->id,
                           .block_id = nn_blockmap_get(live.blocks.map, prepared->block).id};
    assert_int_equal(world_commit(&live, NN_OP_SWITCH, &op), 0);
    cut++;
}

static void try_truncate(void)
{
    char path[96];
    some_file(path, sizeof(path));
    struct entry *e = find(path);
    struct nn_view view = world_view(&live);
    uint64_t len = e && e->len ? rand_below(&rnd, e->len + 1) : 0;
    len = rand_chance(&rnd, 3) ? len - len % BLOCK : len;
    struct cl2nn_truncate ask = {.origin = {.client = 8}, .path = slice_str(path), .len = len};
    struct op_truncate op;
    bool is_done = false;
    uint32_t takeover = 0;
    int rc = nn_check_truncate(&view, &ask, &op, &is_done, &takeover, &live.err);
    rc = world_done(&live, rc, NN_OP_TRUNCATE, &op);
    if (rc == ERR_QUOTA) {
        assert_true(has_space_quota(path));
        return;
    }
    assert_int_equal(rc == 0 || rc == NN_CHECK_NOTHING, e && !e->is_dir && !e->is_open);
    if (rc != 0)
        return;
    switch_truncated(e);
    while (e->blocks > 0 && e->len - e->lens[e->blocks - 1] >= len)
        e->len -= e->lens[--e->blocks];
    if (e->blocks > 0)
        set_last(e, e->lens[e->blocks - 1] - (e->len - len));
}

static bool are_siblings(const char *a, const char *b)
{
    size_t n = (size_t)(strrchr(a, '/') - a);
    return n == (size_t)(strrchr(b, '/') - b) && strncmp(a, b, n) == 0;
}

static void try_concat(void)
{
    char to[96], from[96];
    some_file(to, sizeof(to));
    some_file(from, sizeof(from));
    bool is_blind = rand_chance(&rnd, 5);
    for (size_t i = 0; i < ENTRIES && !is_blind; i++)
        if (model[i].path[0] && model[i].blocks && !model[i].is_open && strcmp(model[i].path, to) &&
            are_siblings(model[i].path, to))
            memcpy(from, model[i].path, sizeof(from));
    struct entry *target = find(to), *source = find(from);
    bool may = target && source && target != source && !target->is_dir && !source->is_dir &&
               !target->is_open && !source->is_open && source->blocks > 0 && are_siblings(to, from);
    if (may && target->blocks + source->blocks > BLOCKS)
        return;
    struct nn_view view = world_view(&live);
    struct slice sources[1] = {slice_str(from)};
    struct cl2nn_concat ask = {.path = slice_str(to), .sources = {sources, 1}};
    struct arena arena = ARENA_INIT;
    struct op_concat op;
    int rc = nn_check_concat(&view, &ask, &arena, &op, &live.err);
    rc = world_done(&live, rc, NN_OP_CONCAT, &op);
    arena_release(&arena);
    if (rc == ERR_QUOTA) {
        assert_true(has_space_quota(to));
        return;
    }
    assert_int_equal(rc == 0, may);
    if (rc != 0)
        return;
    joined += target->blocks > 0;
    memcpy(target->lens + target->blocks, source->lens, source->blocks * sizeof(source->lens[0]));
    target->blocks += source->blocks;
    target->len += source->len;
    forget(from);
}

static void rename_model(const char *from, const char *to)
{
    char moved[sizeof(model[0].path)];
    forget(to);
    for (size_t i = 0; i < ENTRIES; i++)
        if (model[i].path[0] && is_under(model[i].path, from)) {
            assert_true(strlen(to) + strlen(model[i].path) < sizeof(moved));
            snprintf(moved, sizeof(moved), "%s%s", to, model[i].path + strlen(from));
            memcpy(model[i].path, moved, sizeof(moved));
        }
}

static void try_rename(void)
{
    char from[96], to[96];
    bool overwrite = rand_chance(&rnd, 2);
    some_path(from, sizeof(from));
    some_path(to, sizeof(to));
    if (strlen(to) > 20)
        return;
    const struct entry *a = find(from), *b = find(to);
    bool may = a && !is_under(to, from) && has_parent_dir(to);
    if (b && may)
        may = overwrite && a->is_dir == b->is_dir && below(to) == 0;
    if (may) {
        struct nn_growth by = used_by(from), gone = used_by(to);
        by = (struct nn_growth){by.names - gone.names, by.space - gone.space};
        may = has_room(to, from, by);
    }
    assert_int_equal(do_rename(&live, from, to, overwrite) == 0, may);
    if (may)
        rename_model(from, to);
}

static void try_delete(void)
{
    char path[96];
    bool recursive = rand_chance(&rnd, 6);
    some_path(path, sizeof(path));
    bool may = find(path) && (recursive || below(path) == 0);
    assert_int_equal(do_delete(&live, path, recursive) == 0, may);
    if (may)
        forget(path);
}

static void try_quota(void)
{
    char path[96];
    some_path(path, sizeof(path));
    struct entry *e = find(path);
    int64_t names = rand_chance(&rnd, 2) ? -1 : 1 + (int64_t)rand_below(&rnd, 30);
    int64_t space = rand_chance(&rnd, 3) ? (int64_t)rand_below(&rnd, 60 * (uint64_t)BLOCK) : -1;
    int rc = do_set_quota(&live, path, names, space);
    assert_int_equal(rc >= 0, e && e->is_dir);
    if (rc >= 0) {
        e->names_quota = names;
        e->space_quota = space;
    }
}

static void try_lists(void)
{
    static const char *const people[] = {"bob", "eve", "ops"};
    char path[96];
    some_path(path, sizeof(path));
    struct entry *e = find(path);
    struct nn_view view = world_view(&live);
    struct cl2nn_acl_entry entries[2] = {
        {.type = NN_ACL_USER, .perm = (uint32_t)rand_below(&rnd, 8)},
        {.type = NN_ACL_GROUP, .perm = 4, .name = slice_str("staff"), .is_default = true}};
    entries[0].name = slice_str(people[rand_below(&rnd, 3)]);
    struct cl2nn_set_acl ask = {
        .path = slice_str(path), .action = (uint32_t)rand_below(&rnd, 4), .entries = {entries, 1}};
    struct arena arena = ARENA_INIT;
    struct op_set_acl op;
    ask.entries.n += e && e->is_dir && rand_chance(&rnd, 3);
    int rc = nn_check_set_acl(&view, &ask, &arena, &op, &live.err);
    assert_int_equal(rc == 0, e != NULL);
    assert_int_equal(world_done(&live, rc, NN_OP_SET_ACL, &op) == 0, e != NULL);
    if (e)
        e->mode = op.mode;
    arena_release(&arena);
}

static void try_xattr(void)
{
    char path[96], name[] = "user.?";
    some_path(path, sizeof(path));
    const struct entry *e = find(path);
    struct nn_view view = world_view(&live);
    name[5] = (char)('a' + rand_below(&rnd, 4));
    bool is_remove = rand_chance(&rnd, 3);
    struct cl2nn_set_xattr ask = {.path = slice_str(path),
                                  .name = slice_str(name),
                                  .value = slice_str(path),
                                  .flags = is_remove ? CL2NN_XATTR_REMOVE : 3};
    enum nn_op number = NN_OP_SET_XATTR;
    union nn_op_xattr op;
    int rc = nn_check_set_xattr(&view, &ask, &number, &op, &live.err);
    rc = world_done(&live, rc, number, &op);
    assert_true(is_remove ? rc != 0 || e : (rc == 0) == (e != NULL));
}

static void try_attributes(void)
{
    char path[96];
    some_path(path, sizeof(path));
    struct entry *e = find(path);
    struct nn_view view = world_view(&live);
    if (rand_chance(&rnd, 2)) {
        struct cl2nn_set_mode ask = {.path = slice_str(path),
                                     .mode = (uint32_t)rand_below(&rnd, 01000)};
        struct op_set_mode op;
        int rc = nn_check_set_mode(&view, &ask, &op, &live.err);
        assert_int_equal(world_done(&live, rc, NN_OP_SET_MODE, &op) == 0, e != NULL);
        if (e)
            e->mode = ask.mode;
    } else {
        unsigned wanted = 1 + (unsigned)rand_below(&rnd, 4);
        bool may = e && !e->is_dir;
        if (may) {
            int64_t space = (int64_t)space_of(e);
            struct nn_growth by = {0, space / e->replication * wanted - space};
            may = has_room(path, "", by);
        }
        int rc = do_set_replication(&live, path, wanted);
        assert_int_equal(rc >= 0, may);
        if (rc >= 0)
            e->replication = wanted;
    }
}

static void random_step(void)
{
    static void (*const what[])(void) = {try_mkdir, try_mkdir, try_create, try_create,    try_write,
                                         try_write, try_write, try_rename, try_attributes};
    static void (*const rare[])(void) = {try_quota, try_lists, try_xattr};
    static void (*const ends[])(void) = {try_append, try_concat, try_truncate};
    live.now_ms += rand_below(&rnd, 100);
    if (rand_chance(&rnd, 12))
        try_delete();
    else if (rand_chance(&rnd, 10))
        rare[rand_below(&rnd, ARRAY_LEN(rare))]();
    else if (rand_chance(&rnd, 4))
        ends[rand_below(&rnd, ARRAY_LEN(ends))]();
    else
        what[rand_below(&rnd, ARRAY_LEN(what))]();
    (void)nn_state_reap(&live.state, (uint32_t)rand_below(&rnd, 5));
}

/* ---- comparing ---- */

static void check_entry(const struct entry *e)
{
    const struct nn_inode *inode = inode_of(&live, e->path);
    assert_int_equal(inode->id, e->id);
    assert_int_equal(inode->is_dir, e->is_dir);
    assert_int_equal(inode->mode, e->mode);
    if (e->is_dir)
        return;
    assert_int_equal(inode->len, e->len);
    assert_int_equal(inode->is_open, e->is_open);
    assert_int_equal(inode->block_count, e->blocks);
    assert_int_equal(inode->replication, e->replication);
}

/* Every directory lists exactly the model's entries, in order, and its sums are right. */
static void check_dir(const char *path)
{
    const struct nn_inodes *store = &live.state.tree.store;
    uint32_t slot = path[0] ? slot_of(&live, path) : NN_ROOT;
    const struct nn_dir *dir = nn_dir(store, slot);
    struct nn_cursor at = {0, 0};
    struct nn_sums sums = {.dirs = 1};
    uint32_t child, listed = 0;
    char before[96] = "", whole[200];
    while ((child = nn_children_next(&dir->children, &at))) {
        struct slice name = nn_inode_name(store, child);
        snprintf(whole, sizeof(whole), "%s/" SLICE_FMT, path, SLICE_ARG(name));
        assert_non_null(find(whole));
        assert_true(strcmp(before, whole) < 0);
        memcpy(before, whole, sizeof(before));
        listed++;
    }
    unsigned direct = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &model[i];
        if (!e->path[0] || !is_under(e->path, path) || strcmp(e->path, path) == 0)
            continue;
        direct += strchr(e->path + strlen(path) + 1, '/') == NULL;
        sums.dirs += e->is_dir;
        sums.files += !e->is_dir;
        sums.len += e->len;
        sums.space += space_of(e);
    }
    assert_int_equal(listed, direct);
    assert_memory_equal(&sums, &dir->sums, sizeof(sums));
}

static void check_all(void)
{
    check_dir("");
    for (size_t i = 0; i < ENTRIES; i++)
        if (model[i].path[0]) {
            check_entry(&model[i]);
            if (model[i].is_dir)
                check_dir(model[i].path);
        }
}

/* ---- the test ---- */

static void run(uint64_t seed, struct world_image *image, size_t *ret_image_at)
{
    memset(model, 0, sizeof(model));
    rand_init(&rnd, seed);
    world_init(&live);
    for (unsigned step = 0; step < STEPS; step++) {
        random_step();
        if (step % 500 == 0)
            check_all();
        if (step == STEPS / 2) { /* with doomed trees half reaped, files open, and so on */
            assert_int_equal(nn_state_save(&live.state, world_put_chunk, image), 0);
            *ret_image_at = live.log_count;
        }
    }
    check_all();
}

static void the_namespace_does_what_the_model_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct world_image image = {BUF_INIT};
        size_t image_at = 0;
        run(seed, &image, &image_at);
        assert_true(live.log_count > 1000);

        struct world replayed;
        world_init(&replayed);
        world_replay(&replayed, &live, 0);
        assert_int_equal(nn_state_hash(&replayed.state), nn_state_hash(&live.state));
        world_release(&replayed);

        struct world loaded;
        world_init(&loaded);
        if (world_load(&loaded, &image) != 0)
            fail_msg("%s", loaded.err.msg);
        world_replay(&loaded, &live, image_at);
        assert_int_equal(nn_state_hash(&loaded.state), nn_state_hash(&live.state));
        world_release(&loaded);

        while (nn_state_reap(&live.state, 1000))
            ;
        size_t blocks = 0;
        for (size_t i = 0; i < ENTRIES; i++)
            blocks += model[i].path[0] ? model[i].blocks : 0;
        assert_int_equal(nn_blockmap_count(live.blocks.map), blocks); /* none leaked */
        buf_release(&image.bytes);
        world_release(&live);
    }
    if (appended < 20 || cut < 20 || joined < 3)
        fail_msg("only %u appended to, %u cut, %u joined", appended, cut, joined);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_namespace_does_what_the_model_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
