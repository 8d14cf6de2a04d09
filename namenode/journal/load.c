/* SPDX-License-Identifier: Apache-2.0
 * load: sections into a state (layout: sections.h). */
#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/apply.h"
#include "namenode/journal/rows.h"
#include "namenode/journal/sections.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/quota.h"
#include "namenode/namespace/xattr.h"

struct nn_level {
    uint32_t dir;  /* slot; 0 = the one there is a file */
    uint32_t last; /* the entry of it loaded last: names must come in order */
};

struct nn_loader {
    struct nn_state *state;
    struct nn_rows rows;
    uint16_t section;
    uint64_t row;            /* of the section */
    uint32_t depth;          /* of the inode loaded last */
    struct nn_level *levels; /* levels[d] = the directory at depth d on the way there */
    size_t level_cap;
    bool is_deferred; /* inodes and blocks are not in their hashes yet */
    bool has_counters, has_root;
};

struct nn_loader *nn_loader_new(struct nn_state *state)
{
    struct nn_loader *loader = mem_calloc(1, sizeof(*loader));
    if (loader)
        loader->state = state;
    return loader;
}

void nn_loader_free(struct nn_loader *loader)
{
    if (!loader)
        return;
    nn_rows_release(&loader->rows);
    mem_free(loader->levels);
    mem_free(loader);
}

/* ---- counters ---- */

static int load_counters(struct nn_loader *l)
{
    l->state->tree.next_id = nn_rows_varint(&l->rows);
    l->state->next_block_id = nn_rows_varint(&l->rows);
    l->state->next_gs = nn_rows_varint(&l->rows);
    if (nn_rows_has_more(&l->rows)) {
        l->state->spared_from = nn_rows_varint(&l->rows);
        l->state->spared_to = nn_rows_varint(&l->rows);
    }
    if (l->has_counters)
        return ERR_CORRUPT;
    l->has_counters = true;
    return 0;
}

/* ---- inodes ---- */

static uint8_t block_state(const struct nn_row_inode *row, uint32_t number)
{
    if (!(row->flags & NN_ROW_OPEN))
        return NN_BLOCK_COMPLETE;
    if (number + 1 == row->blocks && (row->flags & NN_ROW_WRITING))
        return NN_BLOCK_UNDER_CONSTRUCTION;
    if (number + 1 == row->blocks && (row->flags & NN_ROW_RECOVERING))
        return NN_BLOCK_UNDER_RECOVERY;
    return NN_BLOCK_COMMITTED;
}

static int load_blocks(struct nn_loader *l, uint32_t slot, const struct nn_row_inode *row)
{
    struct nn_inode *inode = nn_inode(&l->state->tree.store, slot);
    uint64_t len = 0;
    for (uint32_t i = 0; i < row->blocks && !l->rows.is_bad; i++) {
        uint32_t index = 0;
        struct nn_block block = {
            .file = slot, .want = (uint16_t)row->replication, .state = block_state(row, i)};
        block.id = nn_rows_varint(&l->rows);
        block.gs = nn_rows_varint(&l->rows);
        block.len = nn_rows_varint(&l->rows);
        if (l->rows.is_bad || block.id >= l->state->next_block_id)
            return ERR_CORRUPT;
        int rc = nn_blocks_add(l->state->blocks, &block, inode->last_block, &index);
        if (rc != 0)
            return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
        if (i == 0)
            inode->first_block = index;
        inode->last_block = index;
        inode->block_count++;
        len += block.len;
    }
    nn_tree_set_len(&l->state->tree, slot, len);
    return nn_apply_reserve(l->state, slot);
}

static int set_dir(struct nn_loader *l, uint32_t depth, uint32_t slot)
{
    int rc = mem_grow(&l->levels, &l->level_cap, depth, sizeof(*l->levels));
    if (rc != 0)
        return rc;
    l->depth = depth;
    l->levels[depth] = (struct nn_level){slot, 0};
    return 0;
}

static int load_root(struct nn_loader *l, const struct nn_row_inode *row)
{
    if (l->has_root || !(row->flags & NN_ROW_DIR) || row->id != NN_ROOT_ID)
        return ERR_CORRUPT;
    struct nn_inode *root = nn_inode(&l->state->tree.store, NN_ROOT);
    root->mode = row->mode & NN_MODE_MASK;
    root->mtime_ms = row->mtime_ms & NN_TIME_MASK;
    root->atime_ms = row->atime_ms & NN_TIME_MASK;
    int rc = set_dir(l, 0, NN_ROOT);
    if (rc != 0)
        return rc;
    l->has_root = true;
    return nn_tree_set_owner(&l->state->tree, NN_ROOT, row->owner, row->group);
}

/* Behind its older sister, so that no name is there twice. */
static bool is_in_order(const struct nn_loader *l, const struct nn_row_inode *row)
{
    uint32_t last = l->levels[row->depth - 1].last;
    return last == 0 || slice_cmp(nn_inode_name(&l->state->tree.store, last), row->name) < 0;
}

/* Rows come parents first, so the parent is the last directory seen one level up. That no id is
 * there twice is seen when all are entered into their hash. */
static bool fits(const struct nn_loader *l, const struct nn_row_inode *row)
{
    return l->has_counters && l->has_root && row->depth <= l->depth + 1 &&
           l->levels[row->depth - 1].dir != 0 && row->name.len > 0 &&
           row->name.len <= NAME_MAX_BYTES && !memchr(row->name.data, 0, row->name.len) &&
           !memchr(row->name.data, '/', row->name.len) && row->id < l->state->tree.next_id &&
           is_in_order(l, row);
}

static int load_inode(struct nn_loader *l)
{
    struct nn_tree *tree = &l->state->tree;
    struct nn_row_inode row;
    uint32_t slot = 0;
    nn_rows_inode(&l->rows, &row);
    if (l->rows.is_bad)
        return ERR_CORRUPT;
    if (row.depth == 0)
        return load_root(l, &row);
    if (!fits(l, &row))
        return ERR_CORRUPT;
    bool is_dir = row.flags & NN_ROW_DIR;
    struct nn_birth birth = {.id = row.id,
                             .is_dir = is_dir,
                             .mode = row.mode,
                             .owner = row.owner,
                             .group = row.group,
                             .now_ms = row.mtime_ms,
                             .replication = row.replication,
                             .block_size = (uint64_t)row.block_units * NN_BLOCK_SIZE_UNIT,
                             .keep_parent_time = true};
    struct nn_level *above = &l->levels[row.depth - 1];
    int rc = nn_tree_add(tree, above->dir, row.name, &birth, &slot);
    if (rc == 0) {
        above->last = slot;
        rc = set_dir(l, row.depth, is_dir ? slot : 0);
    }
    if (rc == 0)
        nn_tree_set_times(tree, slot, -1, (int64_t)row.atime_ms);
    if (rc != 0 || is_dir)
        return rc;
    if (row.flags & NN_ROW_OPEN) {
        if (nn_leases_find(&l->state->leases, row.id))
            return ERR_CORRUPT; /* an id twice, which leases see first */
        nn_inode(&tree->store, slot)->is_open = 1;
        rc = nn_leases_add(&l->state->leases, row.id, row.client, l->state->mono_ms);
    }
    return rc == 0 ? load_blocks(l, slot, &row) : rc;
}

/* ---- the rest ---- */

static int load_answer(struct nn_loader *l)
{
    struct nn_answer answer = {0};
    answer.client = nn_rows_u64(&l->rows);
    answer.seq = nn_rows_varint(&l->rows);
    answer.at_ms = nn_rows_varint(&l->rows);
    answer.op = (uint16_t)nn_rows_varint(&l->rows);
    answer.values[0] = nn_rows_varint(&l->rows);
    answer.values[1] = nn_rows_varint(&l->rows);
    return l->rows.is_bad ? ERR_CORRUPT : nn_answers_add(&l->state->answers, &answer);
}

static int load_job(struct nn_loader *l)
{
    struct slice name = nn_rows_text(&l->rows);
    uint64_t epoch = nn_rows_varint(&l->rows);
    if (l->rows.is_bad || name.len == 0 || memchr(name.data, 0, name.len))
        return ERR_CORRUPT;
    return nn_jobs_put(&l->state->jobs, name, epoch);
}

static bool is_quota(struct nn_quota quota)
{
    return quota.names != 0 && (quota.names == NN_NO_QUOTA || quota.names <= INT64_MAX) &&
           (quota.space == NN_NO_QUOTA || quota.space <= INT64_MAX);
}

static int load_xattrs(struct nn_loader *l, uint32_t slot)
{
    uint64_t count = nn_rows_varint(&l->rows);
    int rc = count <= NN_XATTR_MAX ? 0 : ERR_CORRUPT;
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        uint64_t space = nn_rows_varint(&l->rows);
        struct slice name = nn_rows_text(&l->rows), value = nn_rows_text(&l->rows);
        if (l->rows.is_bad || space >= NN_XATTR_SPACES || name.len == 0 ||
            name.len + value.len > NN_XATTR_BYTES)
            return ERR_CORRUPT;
        rc = nn_xattr_set(&l->state->tree, slot, (enum nn_xattr_space)space, name, value);
    }
    return rc;
}

static int load_acl(struct nn_loader *l, uint32_t slot)
{
    struct nn_acl_list stored = {.n = 0};
    uint64_t count = nn_rows_varint(&l->rows);
    if (count > 2 * NN_ACL_MAX)
        return ERR_CORRUPT;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t what = nn_rows_varint(&l->rows), perm = nn_rows_varint(&l->rows);
        struct slice name = nn_rows_text(&l->rows);
        if (l->rows.is_bad || what > 7 || perm > 7 || (name.len && memchr(name.data, 0, name.len)))
            return ERR_CORRUPT;
        stored.v[stored.n++] =
            (struct nn_acl_item){(what & 4) != 0, (uint8_t)(what & 3), (uint8_t)perm, name};
    }
    if (!nn_acl_is_sound(&stored, nn_inode(&l->state->tree.store, slot)->is_dir))
        return ERR_CORRUPT;
    return nn_acl_store(&l->state->tree, slot, &stored);
}

/* Inodes come before, so the owner of the extras is there. */
static int load_extra(struct nn_loader *l)
{
    struct nn_tree *tree = &l->state->tree;
    uint32_t slot = nn_inodes_by_id(&tree->store, nn_rows_varint(&l->rows));
    struct nn_quota quota = {nn_rows_varint(&l->rows) - 1, nn_rows_varint(&l->rows) - 1};
    bool has_quota = quota.names != NN_NO_QUOTA || quota.space != NN_NO_QUOTA;
    if (l->rows.is_bad || !slot || !is_quota(quota) ||
        (has_quota && !nn_inode(&tree->store, slot)->is_dir))
        return ERR_CORRUPT;
    int rc = has_quota ? nn_quota_set(tree, slot, quota) : 0;
    if (rc == 0)
        rc = load_xattrs(l, slot);
    return rc == 0 ? load_acl(l, slot) : rc;
}

/* An image does not tell COMMITTED from COMPLETE; before a file can be opened again, all of its
 * blocks are the latter. */
static int load_before(struct nn_loader *l, uint32_t slot, const struct nn_prepared *what,
                       const struct msg_block *id)
{
    const struct nn_inode *inode = nn_inode(&l->state->tree.store, slot);
    struct nn_blockmap *map = l->state->blocks->map;
    bool is_append = what->kind == NN_PREPARED_APPEND;
    if (!inode->last_block || id->id == 0 || id->id >= l->state->next_block_id ||
        id->gs >= l->state->next_gs)
        return ERR_CORRUPT;
    if (is_append ? what->len != nn_blockmap_get(map, inode->last_block).len
                  : what->len >= inode->len)
        return ERR_CORRUPT;
    for (uint32_t b = inode->first_block; b; b = nn_blockmap_get(map, b).next)
        nn_blocks_complete(l->state->blocks, b);
    return nn_apply_prepare(l->state, slot, what, id);
}

static int load_base(struct nn_loader *l, uint32_t slot, struct nn_prepared *what)
{
    what->file = nn_inode(&l->state->tree.store, slot)->id;
    what->block = nn_inode(&l->state->tree.store, slot)->last_block;
    if (!what->block || what->len > nn_blockmap_get(l->state->blocks->map, what->block).len)
        return ERR_CORRUPT;
    return nn_prepareds_add(&l->state->prepared, what);
}

static int load_prepared(struct nn_loader *l)
{
    uint64_t file = nn_rows_varint(&l->rows), kind = nn_rows_varint(&l->rows);
    struct nn_prepared what = {.kind = (enum nn_prepared_kind)kind};
    what.len = nn_rows_varint(&l->rows);
    uint32_t slot = nn_inodes_by_id(&l->state->tree.store, file);
    if (l->rows.is_bad || !slot || kind > NN_PREPARED_BASE ||
        !nn_inode(&l->state->tree.store, slot)->is_open ||
        nn_prepareds_find(&l->state->prepared, file))
        return ERR_CORRUPT;
    if (kind == NN_PREPARED_BASE)
        return load_base(l, slot, &what);
    struct msg_block id = {.id = nn_rows_varint(&l->rows)};
    id.gs = nn_rows_varint(&l->rows);
    return l->rows.is_bad ? ERR_CORRUPT : load_before(l, slot, &what, &id);
}

static bool is_word(struct slice text)
{
    return text.len > 0 && !memchr(text.data, 0, text.len);
}

static int load_datanode(struct nn_loader *l)
{
    struct nn_members *members = &l->state->blocks->members;
    struct slice name = nn_rows_text(&l->rows), uuid = nn_rows_text(&l->rows);
    if (l->rows.is_bad || !is_word(name) || !is_word(uuid) || members->count == NN_CLOSE_REPLICAS ||
        nn_members_has_exactly(members, name, uuid))
        return ERR_CORRUPT;
    return nn_members_add(members, name, uuid);
}

static int load_row(struct nn_loader *l)
{
    switch (l->section) {
    case NN_SECTION_COUNTERS:
        return load_counters(l);
    case NN_SECTION_INODES:
        return load_inode(l);
    case NN_SECTION_ANSWERS:
        return load_answer(l);
    case NN_SECTION_JOBS:
        return load_job(l);
    case NN_SECTION_EXTRAS:
        return load_extra(l);
    case NN_SECTION_PREPARED:
        return load_prepared(l);
    case NN_SECTION_DATANODES:
        return load_datanode(l);
    default:
        return ERR_VERSION;
    }
}

static int unknown_section(uint16_t section, struct err *err)
{
    return err_set(err, ERR_VERSION, "section %u is not known: written by a newer quern?", section);
}

static void defer(struct nn_loader *l)
{
    nn_inodes_defer(&l->state->tree.store);
    nn_blockmap_defer(l->state->blocks->map);
    l->is_deferred = true;
}

/* All inodes and blocks are there. */
static int build(struct nn_loader *l)
{
    if (!l->is_deferred)
        return 0;
    l->is_deferred = false;
    int names = nn_inodes_build(&l->state->tree.store);
    int blocks = nn_blockmap_build(l->state->blocks->map);
    return names != 0 || blocks != 0 ? ERR_CORRUPT : 0; /* an id that is there twice */
}

/* To another section. */
static int enter(struct nn_loader *l, uint16_t section, struct err *err)
{
    if (section < l->section)
        return err_set(err, ERR_CORRUPT, "section %s after section %s", nn_section_name(section),
                       nn_section_name(l->section));
    if (section != l->section)
        l->row = 0;
    l->section = section;
    if (section == NN_SECTION_INODES && !l->is_deferred && l->state->blocks)
        defer(l);
    if (section > NN_SECTION_INODES && build(l) != 0)
        return err_set(err, ERR_CORRUPT, "section %s has an id twice",
                       nn_section_name(NN_SECTION_INODES));
    return 0;
}

int nn_loader_take(struct nn_loader *l, uint16_t section, struct slice chunk, struct err *err)
{
    int rc = enter(l, section, err);
    if (rc != 0)
        return rc;
    nn_rows_begin(&l->rows, chunk);
    while (nn_rows_has_more(&l->rows)) {
        rc = load_row(l);
        if (rc == 0 && l->rows.is_bad)
            rc = ERR_CORRUPT;
        if (rc == ERR_VERSION)
            return unknown_section(section, err);
        if (rc != 0)
            return err_set(err, rc, "row %" PRIu64 " of section %s: %s", l->row,
                           nn_section_name(section), err_text(rc));
        l->row++;
    }
    return 0;
}

int nn_loader_end(struct nn_loader *l, struct err *err)
{
    if (build(l) != 0)
        return err_set(err, ERR_CORRUPT, "section %s has an id twice",
                       nn_section_name(NN_SECTION_INODES));
    if (l->has_counters && l->has_root)
        return 0;
    return err_set(err, ERR_CORRUPT, "section %s is missing",
                   l->has_counters ? "inodes" : "counters");
}
