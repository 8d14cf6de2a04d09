/* SPDX-License-Identifier: Apache-2.0
 * fuzz_sections: an image's chunks, whatever is in them, are loaded or refused with a word; what
 * loads is saved again to a state with the same hash; and all of it can be printed. An input is a
 * row of chunks: u8 section, u16 length, rows. */
#include "libcommon/base/mem.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/sections.h"
#include "tests/fuzz/fuzz.h"

static void put_text(struct buf *out, const char *text)
{
    buf_append_varint(out, strlen(text));
    buf_append_str(out, text);
}

static void put_inode(struct buf *rows, unsigned depth, const char *name, unsigned id,
                      unsigned flags)
{
    buf_append_varint(rows, depth);
    put_text(rows, name);
    buf_append_varint(rows, id);
    buf_append_varint(rows, 0755);
    buf_append_varint(rows, flags);
    buf_append_varint(rows, depth ? 1 : 0);
    if (!depth)
        put_text(rows, "owner");
    buf_append_varint(rows, 1);
    buf_append_varint(rows, 1700000000000);
}

static void put_file(struct buf *rows, unsigned blocks, bool is_open, unsigned first)
{
    buf_append_varint(rows, 1700000000000);
    buf_append_varint(rows, 3);
    buf_append_varint(rows, 2048);
    buf_append_varint(rows, blocks);
    if (is_open)
        buf_append_u64(rows, 99);
    for (unsigned i = 0; i < blocks; i++) {
        buf_append_varint(rows, first + i);
        buf_append_varint(rows, 1001);
        buf_append_varint(rows, 1000);
    }
}

static void put_chunk(struct buf *out, uint16_t section, struct buf *rows)
{
    buf_append_byte(out, (uint8_t)section);
    buf_append_u16(out, (uint16_t)rows->len);
    buf_append_slice(out, buf_slice(rows));
    buf_clear(rows);
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    struct buf rows = BUF_INIT;
    buf_append_varint(&rows, 100);
    buf_append_varint(&rows, 1000);
    buf_append_varint(&rows, 2000);
    put_chunk(out, NN_SECTION_COUNTERS, &rows);
    put_inode(&rows, 0, "", 1, 1);
    put_inode(&rows, 1, "a", 2, 1);
    put_inode(&rows, 2, "f", 3, 0);
    put_file(&rows, 2, false, 10);
    put_chunk(out, NN_SECTION_INODES, &rows);
    put_inode(&rows, 2, "open", 4, rand_chance(rand, 2) ? 6 : 10);
    put_file(&rows, 1, true, 20);
    put_inode(&rows, 1, "b", 5, 1);
    put_chunk(out, NN_SECTION_INODES, &rows);
    buf_append_u64(&rows, 1);
    for (int i = 0; i < 5; i++)
        buf_append_varint(&rows, 1 + rand_below(rand, 9));
    put_chunk(out, NN_SECTION_ANSWERS, &rows);
    put_text(&rows, "job_1");
    buf_append_varint(&rows, 7);
    put_chunk(out, NN_SECTION_JOBS, &rows);
    buf_append_varint(&rows, 2);
    buf_append_varint(&rows, rand_below(rand, 9));
    buf_append_varint(&rows, rand_below(rand, 9));
    buf_append_varint(&rows, 1);
    buf_append_varint(&rows, rand_below(rand, 3));
    put_text(&rows, "color");
    put_text(&rows, "blue");
    buf_append_varint(&rows, 3);
    for (unsigned i = 0; i < 3; i++) { /* default: user, group, other */
        buf_append_varint(&rows, i < 2 ? 4 + i : 7);
        buf_append_varint(&rows, rand_below(rand, 8));
        put_text(&rows, "");
    }
    put_chunk(out, NN_SECTION_EXTRAS, &rows);
    for (unsigned i = 0; i < 2; i++) {
        put_text(&rows, rand_chance(rand, 2) ? "node2" : "node1");
        put_text(&rows, "uuid");
    }
    put_chunk(out, NN_SECTION_DATANODES, &rows);
    buf_release(&rows);
}

struct target {
    struct nn_blocks blocks;
    struct nn_state state;
    struct nn_loader *loader;
    struct err err;
};

static void target_init(struct target *t)
{
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks = {0};
    nn_blocks_conf_init(&conf);
    t->err.msg[0] = 0;
    if (nn_blocks_init(&t->blocks, &conf, &hooks, 1, 0) != 0 ||
        nn_state_init(&t->state, &t->blocks, slice_str("root"), slice_str("group")) != 0 ||
        !(t->loader = nn_loader_new(&t->state)))
        BUG("no memory");
}

static void target_release(struct target *t)
{
    nn_loader_free(t->loader);
    nn_state_release(&t->state);
    nn_blocks_release(&t->blocks);
}

static int load_chunk(void *arg, uint16_t section, struct slice chunk)
{
    struct target *t = arg;
    return nn_loader_take(t->loader, section, chunk, &t->err);
}

static void check_again(const struct nn_state *state)
{
    struct target again;
    target_init(&again);
    if (nn_state_save(state, load_chunk, &again) != 0)
        BUG("what was loaded and saved cannot be loaded: %s", again.err.msg);
    if (nn_state_hash(state) != nn_state_hash(&again.state))
        BUG("saved and loaded it is another");
    target_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct target t;
    struct nn_printer *printer = nn_printer_new();
    struct buf text = BUF_INIT;
    struct err ignored;
    int rc = 0;
    target_init(&t);
    while (size >= 3) {
        size_t len = get_u16(data + 1);
        if (len > size - 3)
            len = size - 3;
        struct slice chunk = slice_of(data + 3, len);
        if (rc == 0)
            rc = nn_loader_take(t.loader, data[0], chunk, &t.err);
        (void)nn_printer_take(printer, data[0], chunk, &text, &ignored);
        data += 3 + len;
        size -= 3 + len;
    }
    if (rc != 0 && !t.err.msg[0])
        BUG("a chunk was refused without a word");
    if (rc == 0 && nn_loader_end(t.loader, &t.err) == 0)
        check_again(&t.state);
    buf_release(&text);
    nn_printer_free(printer);
    target_release(&t);
    return 0;
}
