/* SPDX-License-Identifier: Apache-2.0
 * world: a state with its blocks and a journal in memory, for tests. Requests go through check, log
 * and apply as in the daemon; what was logged can be replayed into another world. */
#ifndef QUERN_TESTS_NAMENODE_JOURNAL_WORLD_H
#define QUERN_TESTS_NAMENODE_JOURNAL_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "namenode/blocks/blocks.h"
#include "namenode/blocks/events.h"
#include "namenode/journal/check.h"
#include "namenode/journal/sections.h"

struct logged {
    uint16_t number;
    struct buf payload;
};

struct world {
    struct nn_blocks blocks;
    struct nn_state state;
    struct nn_limits limits;
    struct nn_caller caller; /* of the next request */
    uint64_t now_ms;         /* wall and monotonic alike */
    struct logged *log;
    size_t log_count, log_cap;
    struct arena arena;
    struct err err; /* of the last request */
    uint64_t answer[2];
};

static inline void world_init(struct world *w)
{
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {0};
    *w = (struct world){.now_ms = 1000};
    nn_blocks_conf_init(&conf);
    assert_int_equal(nn_blocks_init(&w->blocks, &conf, &hooks, 1, w->now_ms), 0);
    assert_int_equal(
        nn_state_init(&w->state, &w->blocks, slice_str("hdfs"), slice_str("supergroup")), 0);
    nn_limits_init(&w->limits);
    w->caller = (struct nn_caller){.user = slice_str("hdfs"), .is_super = true};
}

static inline void world_release(struct world *w)
{
    for (size_t i = 0; i < w->log_count; i++)
        buf_release(&w->log[i].payload);
    mem_free(w->log);
    arena_release(&w->arena);
    nn_state_release(&w->state);
    nn_blocks_release(&w->blocks);
}

static inline struct nn_view world_view(struct world *w)
{
    w->state.mono_ms = w->now_ms;
    return (struct nn_view){.state = &w->state,
                            .limits = &w->limits,
                            .caller = &w->caller,
                            .address = "127.0.0.1",
                            .wall_ms = w->now_ms,
                            .mono_ms = w->now_ms};
}

/* Log and apply. */
static inline int world_commit(struct world *w, enum nn_op number, const void *op)
{
    const struct nn_op_row *row = nn_op_find((uint16_t)number);
    assert_int_equal(mem_grow(&w->log, &w->log_cap, w->log_count, sizeof(*w->log)), 0);
    struct logged *record = &w->log[w->log_count++];
    *record = (struct logged){(uint16_t)number, BUF_INIT};
    msg_encode(row->desc, op, &record->payload);
    assert_false(buf_failed(&record->payload));
    nn_blocks_set_applied(&w->blocks, w->log_count);
    return nn_op_apply(&w->state, row, op, w->answer);
}

/* Everything `from` logged since its record number `first`, decoded and applied here. */
static inline void world_replay(struct world *w, const struct world *from, size_t first)
{
    for (size_t i = first; i < from->log_count; i++) {
        const struct logged *record = &from->log[i];
        nn_blocks_set_applied(&w->blocks, i + 1);
        int rc = nn_op_replay(&w->state, record->number, buf_slice(&record->payload), &w->arena,
                              &w->err);
        if (rc != 0)
            fail_msg("record %zu: %s", i, w->err.msg);
    }
}

struct world_image {
    struct buf bytes; /* u16 section, u32 length, chunk; again and again */
};

static inline int world_put_chunk(void *arg, uint16_t section, struct slice chunk)
{
    struct world_image *image = arg;
    buf_append_u16(&image->bytes, section);
    buf_append_u32(&image->bytes, (uint32_t)chunk.len);
    buf_append_slice(&image->bytes, chunk);
    return 0;
}

static inline int world_load(struct world *w, const struct world_image *image)
{
    struct nn_loader *loader = nn_loader_new(&w->state);
    const uint8_t *at = image->bytes.data, *end = at + image->bytes.len;
    int rc = 0;
    assert_non_null(loader);
    while (rc == 0 && at < end) {
        uint16_t section = get_u16(at);
        uint32_t len = get_u32(at + 2);
        rc = nn_loader_take(loader, section, slice_of(at + 6, len), &w->err);
        at += 6 + len;
    }
    if (rc == 0)
        rc = nn_loader_end(loader, &w->err);
    nn_loader_free(loader);
    return rc;
}

/* ---- requests: 0, NN_CHECK_NOTHING or an error, as the daemon would answer ---- */

static inline int world_done(struct world *w, int rc, enum nn_op number, const void *op)
{
    return rc == 0 ? world_commit(w, number, op) : rc;
}

static inline int do_mkdir(struct world *w, const char *path, bool parents)
{
    struct nn_view view = world_view(w);
    struct cl2nn_mkdir ask = {.path = slice_str(path), .mode = 0755, .parents = parents};
    struct op_mkdir op;
    return world_done(w, nn_check_mkdir(&view, &ask, &op, &w->err), NN_OP_MKDIR, &op);
}

static inline int do_create(struct world *w, const char *path, uint64_t client, bool overwrite)
{
    struct nn_view view = world_view(w);
    struct cl2nn_create ask = {.origin = {.client = client},
                               .path = slice_str(path),
                               .mode = 0644,
                               .replication = 1,
                               .block_size = 1 << 20,
                               .overwrite = overwrite};
    struct op_create op;
    uint32_t takeover = 0;
    return world_done(w, nn_check_create(&view, &ask, &op, &takeover, &w->err), NN_OP_CREATE, &op);
}

static inline int do_rename(struct world *w, const char *from, const char *to, bool overwrite)
{
    struct nn_view view = world_view(w);
    struct cl2nn_rename ask = {
        .from = slice_str(from), .to = slice_str(to), .overwrite = overwrite};
    struct op_rename op;
    return world_done(w, nn_check_rename(&view, &ask, &op, &w->err), NN_OP_RENAME, &op);
}

static inline int do_delete(struct world *w, const char *path, bool recursive)
{
    struct nn_view view = world_view(w);
    struct cl2nn_delete ask = {.path = slice_str(path), .recursive = recursive};
    struct op_delete op;
    return world_done(w, nn_check_delete(&view, &ask, &op, &w->err), NN_OP_DELETE, &op);
}

/* CL2NN_QUOTA_NONE, CL2NN_QUOTA_KEEP */
static inline int do_set_quota(struct world *w, const char *path, int64_t names, int64_t space)
{
    struct nn_view view = world_view(w);
    struct cl2nn_set_quota ask = {.path = slice_str(path), .names = names, .space = space};
    struct op_set_quota op;
    return world_done(w, nn_check_set_quota(&view, &ask, &op, &w->err), NN_OP_SET_QUOTA, &op);
}

static inline int do_set_replication(struct world *w, const char *path, uint32_t replication)
{
    struct nn_view view = world_view(w);
    struct cl2nn_set_replication ask = {.path = slice_str(path), .replication = replication};
    struct op_set_replication op;
    int rc = nn_check_set_replication(&view, &ask, &op, &w->err);
    return world_done(w, rc, NN_OP_SET_REPLICATION, &op);
}

static inline int do_add_block(struct world *w, uint64_t file_id, uint64_t client,
                               struct msg_block previous)
{
    struct nn_view view = world_view(w);
    struct cl2nn_add_block ask = {
        .origin = {.client = client}, .file_id = file_id, .previous = previous};
    struct op_add_block op;
    return world_done(w, nn_check_add_block(&view, &ask, &op, &w->err), NN_OP_ADD_BLOCK, &op);
}

static inline int do_complete(struct world *w, uint64_t file_id, uint64_t client,
                              struct msg_block last)
{
    struct nn_view view = world_view(w);
    struct cl2nn_complete ask = {.origin = {.client = client}, .file_id = file_id, .last = last};
    struct op_close op;
    return world_done(w, nn_check_complete(&view, &ask, &op, &w->err), NN_OP_CLOSE, &op);
}

static inline uint32_t slot_of(struct world *w, const char *path)
{
    return nn_tree_find(&w->state.tree, slice_str(path));
}
static inline const struct nn_inode *inode_of(struct world *w, const char *path)
{
    uint32_t slot = slot_of(w, path);
    if (!slot)
        fail_msg("%s is not there", path);
    return nn_inode(&w->state.tree.store, slot);
}
/* The last block of a file, with its current stamp and a length of one's choice. */
static inline struct msg_block last_block(struct world *w, uint64_t file_id, uint64_t len)
{
    uint32_t slot = nn_inodes_by_id(&w->state.tree.store, file_id);
    uint32_t block = nn_inode(&w->state.tree.store, slot)->last_block;
    if (!block)
        return (struct msg_block){0};
    struct nn_block b = nn_blockmap_get(w->blocks.map, block);
    return (struct msg_block){b.id, b.gs, len};
}

/* A closed file of that many blocks; the last has 1000 bytes, the others a full one. */
static inline uint64_t make_file(struct world *w, const char *path, unsigned blocks)
{
    assert_int_equal(do_create(w, path, 7, false), 0);
    uint64_t id = w->answer[0];
    for (unsigned i = 0; i < blocks; i++)
        assert_int_equal(do_add_block(w, id, 7, last_block(w, id, 1 << 20)), 0);
    assert_int_equal(do_complete(w, id, 7, last_block(w, id, 1000)), 0);
    return id;
}

#endif
