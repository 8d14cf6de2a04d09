/* SPDX-License-Identifier: Apache-2.0
 * save: the state into sections (layout: sections.h). */
#include "libcommon/base/mem.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/rows.h"
#include "namenode/journal/sections.h"
#include "namenode/namespace/acl.h"
#include "namenode/namespace/xattr.h"

#define CHUNK_BYTES (256U << 10)

struct saver {
    const struct nn_state *state;
    nn_chunk_fn *put;
    void *arg;
    uint16_t section;
    struct buf chunk;
    uint32_t *words; /* intern number -> number in this image; 0 = not written yet */
    uint32_t word_count;
};

const char *nn_section_name(uint16_t section)
{
    static const char *const names[] = {"?",    "counters", "inodes",   "answers",
                                        "jobs", "extras",   "prepared", "datanodes"};
    return section < ARRAY_LEN(names) ? names[section] : "?";
}

static int flush(struct saver *s)
{
    if (buf_failed(&s->chunk))
        return ERR_NOMEM;
    int rc = s->chunk.len ? s->put(s->arg, s->section, buf_slice(&s->chunk)) : 0;
    buf_clear(&s->chunk);
    return rc;
}

static int row_done(struct saver *s)
{
    return s->chunk.len >= CHUNK_BYTES ? flush(s) : 0;
}

static int begin_section(struct saver *s, uint16_t section)
{
    int rc = flush(s);
    s->section = section;
    return rc;
}

static void put_text(struct buf *out, struct slice text)
{
    buf_append_varint(out, text.len);
    buf_append_slice(out, text);
}

static void put_word(struct saver *s, uint16_t number)
{
    if (s->words[number]) {
        buf_append_varint(&s->chunk, s->words[number]);
        return;
    }
    s->words[number] = ++s->word_count;
    buf_append_varint(&s->chunk, 0);
    put_text(&s->chunk, nn_intern_get(&s->state->tree.store.people, number));
}

/* ---- inodes ---- */

static struct nn_block block_at(const struct saver *s, uint32_t block)
{
    return nn_blockmap_get(s->state->blocks->map, block);
}

static uint32_t flags_of(const struct saver *s, const struct nn_inode *inode)
{
    if (inode->is_dir)
        return inode->atime_ms ? NN_ROW_DIR | NN_ROW_DIR_ATIME : NN_ROW_DIR;
    uint32_t flags = inode->is_open ? NN_ROW_OPEN : 0;
    if (!inode->is_open || !inode->last_block)
        return flags;
    uint8_t state = block_at(s, inode->last_block).state;
    if (state == NN_BLOCK_UNDER_CONSTRUCTION)
        flags |= NN_ROW_WRITING;
    if (state == NN_BLOCK_UNDER_RECOVERY)
        flags |= NN_ROW_RECOVERING;
    return flags;
}

static void put_file(struct saver *s, const struct nn_inode *inode)
{
    buf_append_varint(&s->chunk, inode->replication);
    buf_append_varint(&s->chunk, inode->block_units);
    buf_append_varint(&s->chunk, inode->block_count);
    if (inode->is_open) {
        const struct nn_lease *lease = nn_leases_find(&s->state->leases, inode->id);
        buf_append_u64(&s->chunk, lease ? lease->holder->client : NN_LEASE_NAMENODE);
    }
    for (uint32_t b = inode->first_block; b;) {
        struct nn_block block = block_at(s, b);
        buf_append_varint(&s->chunk, block.id);
        buf_append_varint(&s->chunk, block.gs);
        buf_append_varint(&s->chunk, block.len);
        b = block.next;
    }
}

static int put_inode(struct saver *s, uint32_t slot, uint32_t depth)
{
    const struct nn_inodes *store = &s->state->tree.store;
    const struct nn_inode *inode = nn_inode(store, slot);
    buf_append_varint(&s->chunk, depth);
    put_text(&s->chunk, depth ? nn_inode_name(store, slot) : slice_of(NULL, 0));
    buf_append_varint(&s->chunk, inode->id);
    buf_append_varint(&s->chunk, inode->mode);
    buf_append_varint(&s->chunk, flags_of(s, inode));
    put_word(s, inode->owner);
    put_word(s, inode->group);
    buf_append_varint(&s->chunk, inode->mtime_ms);
    if (!inode->is_dir || inode->atime_ms)
        buf_append_varint(&s->chunk, inode->atime_ms);
    if (!inode->is_dir)
        put_file(s, inode);
    return row_done(s);
}

/* Parents first. A cursor per level, so that no level is searched again. A tree may be deeper than
 * any path that can be asked for: it was moved there as a whole. */
static int save_inodes(struct saver *s)
{
    const struct nn_inodes *store = &s->state->tree.store;
    struct level {
        uint32_t slot;
        struct nn_cursor next;
    } *levels = NULL;
    size_t cap = 0;
    uint32_t depth = 0;
    int rc = mem_grow(&levels, &cap, 0, sizeof(*levels));
    if (rc != 0)
        return rc;
    levels[0] = (struct level){NN_ROOT, {0, 0}};
    rc = put_inode(s, NN_ROOT, 0);
    while (rc == 0) {
        uint32_t child =
            nn_children_next(&nn_dir(store, levels[depth].slot)->children, &levels[depth].next);
        if (!child) {
            if (depth == 0)
                break;
            depth--;
            continue;
        }
        rc = put_inode(s, child, depth + 1);
        if (rc != 0 || !nn_inode(store, child)->is_dir)
            continue;
        rc = mem_grow(&levels, &cap, ++depth, sizeof(*levels));
        if (rc == 0)
            levels[depth] = (struct level){child, {0, 0}};
    }
    mem_free(levels);
    return rc;
}

/* ---- the rest ---- */

static int save_counters(struct saver *s)
{
    buf_append_varint(&s->chunk, s->state->tree.next_id);
    buf_append_varint(&s->chunk, s->state->next_block_id);
    buf_append_varint(&s->chunk, s->state->next_gs);
    if (s->state->spared_to) {
        buf_append_varint(&s->chunk, s->state->spared_from);
        buf_append_varint(&s->chunk, s->state->spared_to);
    }
    return row_done(s);
}

static int save_answers(struct saver *s)
{
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < s->state->answers.count; i++) {
        const struct nn_answer *answer = nn_answers_at(&s->state->answers, i);
        buf_append_u64(&s->chunk, answer->client);
        buf_append_varint(&s->chunk, answer->seq);
        buf_append_varint(&s->chunk, answer->at_ms);
        buf_append_varint(&s->chunk, answer->op);
        buf_append_varint(&s->chunk, answer->values[0]);
        buf_append_varint(&s->chunk, answer->values[1]);
        rc = row_done(s);
    }
    return rc;
}

static int save_jobs(struct saver *s)
{
    int rc = 0;
    list_each (&s->state->jobs.ages, it) {
        const struct nn_job *job = list_entry(it, struct nn_job, by_age);
        put_text(&s->chunk, slice_str(job->name));
        buf_append_varint(&s->chunk, job->epoch);
        rc = row_done(s);
        if (rc != 0)
            break;
    }
    return rc;
}

static bool is_kept(const struct saver *s, const struct nn_extra *extra)
{
    return (extra->names_quota != NN_NO_QUOTA || extra->space_quota != NN_NO_QUOTA ||
            extra->xattr_count || extra->acl_count) &&
           nn_tree_is_attached(&s->state->tree, extra->slot);
}

static int by_id(const void *a, const void *b, void *arg)
{
    const struct saver *s = arg;
    uint64_t x = nn_inode(&s->state->tree.store, *(const uint32_t *)a)->id;
    uint64_t y = nn_inode(&s->state->tree.store, *(const uint32_t *)b)->id;
    return x < y ? -1 : x > y;
}

static int save_extra(struct saver *s, uint32_t slot)
{
    const struct nn_extra *extra = nn_extra_find(&s->state->tree.store, slot);
    buf_append_varint(&s->chunk, nn_inode(&s->state->tree.store, slot)->id);
    buf_append_varint(&s->chunk, extra->names_quota + 1);
    buf_append_varint(&s->chunk, extra->space_quota + 1);
    buf_append_varint(&s->chunk, extra->xattr_count);
    for (uint32_t i = 0; i < extra->xattr_count; i++) {
        buf_append_varint(&s->chunk, extra->xattrs[i].space);
        put_text(&s->chunk, nn_xattr_name(&extra->xattrs[i]));
        put_text(&s->chunk, nn_xattr_value(&extra->xattrs[i]));
    }
    buf_append_varint(&s->chunk, extra->acl_count);
    for (uint32_t i = 0; i < extra->acl_count; i++) {
        buf_append_varint(&s->chunk, extra->acl[i].what);
        buf_append_varint(&s->chunk, extra->acl[i].perm);
        put_text(&s->chunk, nn_intern_get(&s->state->tree.store.people, extra->acl[i].name));
    }
    return row_done(s);
}

static int save_extras(struct saver *s)
{
    const struct hmap *extras = &s->state->tree.store.extras;
    uint32_t *slots = mem_calloc(extras->count + 1, sizeof(*slots));
    size_t count = 0;
    int rc = slots ? 0 : ERR_NOMEM;
    for (struct hmap_node *at = hmap_first(extras); slots && at; at = hmap_next(extras, at)) {
        const struct nn_extra *extra = CONTAINER_OF(at, struct nn_extra, by_slot);
        if (is_kept(s, extra))
            slots[count++] = extra->slot;
    }
    if (slots)
        qsort_r(slots, count, sizeof(*slots), by_id, s);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = save_extra(s, slots[i]);
    mem_free(slots);
    return rc;
}

static int by_file(const void *a, const void *b)
{
    const struct nn_prepared *const *x = a, *const *y = b;
    return (*x)->file < (*y)->file ? -1 : (*x)->file > (*y)->file;
}

static int save_one_prepared(struct saver *s, const struct nn_prepared *prepared)
{
    buf_append_varint(&s->chunk, prepared->file);
    buf_append_varint(&s->chunk, prepared->kind);
    buf_append_varint(&s->chunk, prepared->len);
    if (prepared->kind != NN_PREPARED_BASE) {
        struct nn_block block = block_at(s, prepared->block);
        buf_append_varint(&s->chunk, block.id);
        buf_append_varint(&s->chunk, block.gs);
    }
    return row_done(s);
}

static int save_prepared(struct saver *s)
{
    const struct hmap *files = &s->state->prepared.files;
    const struct nn_prepared **all = mem_calloc(files->count + 1, sizeof(void *));
    size_t count = 0;
    int rc = all ? 0 : ERR_NOMEM;
    for (struct hmap_node *at = hmap_first(files); all && at; at = hmap_next(files, at)) {
        const struct nn_prepared *prepared = CONTAINER_OF(at, struct nn_prepared, by_file);
        if (nn_tree_find_id(&s->state->tree, prepared->file))
            all[count++] = prepared;
    }
    if (all)
        qsort(all, count, sizeof(*all), by_file);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = save_one_prepared(s, all[i]);
    mem_free(all);
    return rc;
}

static int save_datanodes(struct saver *s)
{
    const struct nn_blocks *blocks = s->state->blocks;
    for (uint32_t i = 0; blocks && i < blocks->members.count; i++) {
        put_text(&s->chunk, slice_str(blocks->members.v[i].name));
        put_text(&s->chunk, slice_str(blocks->members.v[i].uuid));
    }
    return row_done(s);
}

int nn_state_save(const struct nn_state *state, nn_chunk_fn *put, void *arg)
{
    static const struct {
        uint16_t section;
        int (*save)(struct saver *s);
    } parts[] = {{NN_SECTION_COUNTERS, save_counters},  {NN_SECTION_INODES, save_inodes},
                 {NN_SECTION_ANSWERS, save_answers},    {NN_SECTION_JOBS, save_jobs},
                 {NN_SECTION_EXTRAS, save_extras},      {NN_SECTION_PREPARED, save_prepared},
                 {NN_SECTION_DATANODES, save_datanodes}};
    struct saver s = {.state = state, .put = put, .arg = arg};
    s.words = mem_calloc(state->tree.store.people.count, sizeof(uint32_t));
    int rc = s.words ? 0 : ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++) {
        rc = begin_section(&s, parts[i].section);
        if (rc == 0)
            rc = parts[i].save(&s);
    }
    if (rc == 0)
        rc = flush(&s);
    buf_release(&s.chunk);
    mem_free(s.words);
    return rc;
}

static int hash_chunk(void *arg, uint16_t section, struct slice chunk)
{
    uint64_t *hash = arg;
    *hash = slice_hash(chunk, *hash ^ section);
    return 0;
}

uint64_t nn_state_hash(const struct nn_state *state)
{
    uint64_t hash = 1;
    return nn_state_save(state, hash_chunk, &hash) == 0 ? hash : 0;
}
