/* SPDX-License-Identifier: Apache-2.0
 * fuzz_edits: journal records, whatever they say, replayed into a state: each is applied or refused
 * with a word, and what came of it can be saved and loaded again. An input is a row of records: u8
 * operation, u16 length, payload. */
#include "libcommon/base/mem.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/sections.h"
#include "tests/fuzz/fuzz.h"

static void put_op(struct buf *out, enum nn_op number, const void *op)
{
    struct buf payload = BUF_INIT;
    msg_encode(nn_op_find((uint16_t)number)->desc, op, &payload);
    buf_append_byte(out, (uint8_t)number);
    buf_append_u16(out, (uint16_t)payload.len);
    buf_append_slice(out, buf_slice(&payload));
    buf_release(&payload);
}

/* A short life of a file, so that mutations meet something. */
void fuzz_seed(struct rand *rand, struct buf *out)
{
    uint64_t gs = NN_FIRST_GS, block = NN_FIRST_BLOCK_ID;
    struct op_mkdir dir = {.path = slice_str("/a/b"), .first_id = 2, .owner = slice_str("u")};
    struct op_create file = {.origin = {7, 1},
                             .path = slice_str("/a/f"),
                             .first_id = 4,
                             .owner = slice_str("u"),
                             .replication = 2,
                             .block_size = 1 << 20};
    struct op_add_block add = {.file_id = 4, .block_id = block, .gs = gs};
    struct op_flush flush = {.file_id = 4, .block_id = block, .len = 9};
    struct op_pipeline pipeline = {.file_id = 4, .block_id = block, .gs = gs + 1, .len = 10};
    struct op_recover recover = {.file_id = 4, .block_id = block, .gs = gs + 2};
    struct op_close close = {.file_id = 4, .last = {block, gs + 2, 11}};
    struct op_rename move = {.from = slice_str("/a/f"), .to = slice_str("/a/b/g")};
    struct op_set_replication wide = {.path = slice_str("/a/b/g"), .replication = 3};
    struct op_delete gone = {.path = slice_str("/a")};
    struct op_set_quota quota = {.path = slice_str("/a"), .names = 50, .space = 1 << 25};
    struct op_set_xattr attr = {
        .path = slice_str("/a"), .name = slice_str("n"), .value = slice_str("v")};
    struct op_remove_xattr no_attr = {.path = slice_str("/a"), .name = slice_str("n")};
    struct op_acl_entry entries[] = {{true, 0, 7, slice_of(NULL, 0)},
                                     {true, 0, 5, slice_str("bob")},
                                     {true, 1, 5, slice_of(NULL, 0)},
                                     {true, 2, 5, slice_of(NULL, 0)},
                                     {true, 3, 5, slice_of(NULL, 0)}};
    struct op_set_acl acl = {.path = slice_str("/a"), .mode = 0755, .entries = {entries, 5}};
    put_op(out, NN_OP_MKDIR, &dir);
    put_op(out, NN_OP_SET_QUOTA, &quota);
    put_op(out, NN_OP_SET_XATTR, &attr);
    put_op(out, NN_OP_SET_ACL, &acl);
    put_op(out, NN_OP_CREATE, &file);
    put_op(out, NN_OP_ADD_BLOCK, &add);
    put_op(out, NN_OP_FLUSH, &flush);
    put_op(out, NN_OP_PIPELINE, &pipeline);
    put_op(out, NN_OP_RECOVER, &recover);
    put_op(out, NN_OP_CLOSE, &close);
    put_op(out, NN_OP_RENAME, &move);
    if (rand_chance(rand, 2))
        put_op(out, NN_OP_SET_REPLICATION, &wide);
    if (rand_chance(rand, 2))
        put_op(out, NN_OP_REMOVE_XATTR, &no_attr);
    put_op(out, NN_OP_DELETE, &gone);
}

struct copy {
    struct nn_loader *loader;
    struct err err;
};

static int load_chunk(void *arg, uint16_t section, struct slice chunk)
{
    struct copy *copy = arg;
    return nn_loader_take(copy->loader, section, chunk, &copy->err);
}

static void start(struct nn_blocks *blocks, struct nn_state *state)
{
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {0};
    nn_blocks_conf_init(&conf);
    if (nn_blocks_init(blocks, &conf, &hooks, 1, 0) != 0 ||
        nn_state_init(state, blocks, slice_str("root"), slice_str("group")) != 0)
        BUG("no memory");
}

/* What replay accepted must be a state like any other. */
static void check_state(const struct nn_state *state)
{
    struct nn_blocks blocks;
    struct nn_state again;
    struct copy copy;
    start(&blocks, &again);
    copy.loader = nn_loader_new(&again);
    if (nn_state_save(state, load_chunk, &copy) != 0 || nn_loader_end(copy.loader, &copy.err) != 0)
        BUG("what was replayed cannot be loaded: %s", copy.err.msg);
    if (nn_state_hash(state) != nn_state_hash(&again))
        BUG("saved and loaded it is another");
    nn_loader_free(copy.loader);
    nn_state_release(&again);
    nn_blocks_release(&blocks);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nn_blocks blocks;
    struct nn_state state;
    struct arena scratch = ARENA_INIT;
    struct err err = {0};
    int rc = 0;
    start(&blocks, &state);
    while (rc == 0 && size >= 3) {
        size_t len = get_u16(data + 1);
        if (len > size - 3)
            len = size - 3;
        rc = nn_op_replay(&state, data[0], slice_of(data + 3, len), &scratch, &err);
        data += 3 + len;
        size -= 3 + len;
        if (rc == 0)
            (void)nn_state_reap(&state, 2);
        else if (!err.msg[0])
            BUG("a record was refused without a word");
    }
    if (rc == 0)
        check_state(&state);
    while (nn_state_reap(&state, 1000))
        ;
    arena_release(&scratch);
    nn_state_release(&state);
    nn_blocks_release(&blocks);
    return 0;
}
