/* SPDX-License-Identifier: Apache-2.0
 * fuzz_msg: every message of every conversation. The first two bytes choose one, the rest is its
 * encoding. What decodes must print, and encode to bytes that decode to the same again. */
#include "libcommon/base/mem.h"
#include "libcommon/wire/msg.h"
#include "tests/fuzz/fuzz.h"

static const struct msg_desc *choose(uint64_t number)
{
    size_t count = (size_t)(__stop_quern_msgs - __start_quern_msgs);
    return __start_quern_msgs[number % count];
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    uint16_t number = (uint16_t)rand_u64(rand);
    buf_append_u16(out, number);
    msg_seed(choose(number), rand, out);
}

static void check_again(const struct msg_desc *desc, const void *msg)
{
    struct arena arena = ARENA_INIT;
    struct buf once = BUF_INIT, twice = BUF_INIT, text = BUF_INIT;
    struct err err;
    msg_encode(desc, msg, &once);
    void *again = arena_alloc(&arena, desc->size);
    if (msg_decode(desc, buf_slice(&once), &arena, again, &err) != 0)
        BUG("%s: what was encoded does not decode: %s", desc->name, err.msg);
    msg_encode(desc, again, &twice);
    if (!slice_eq(buf_slice(&once), buf_slice(&twice)))
        BUG("%s: encodes differently the second time", desc->name);
    msg_print(desc, msg, &text);
    if (text.len < 2 || memchr(text.data, '\n', text.len))
        BUG("%s: does not print as one line", desc->name);
    buf_release(&once);
    buf_release(&twice);
    buf_release(&text);
    arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct msg_desc *desc = choose(get_u16(data));
    struct slice in = slice_of(data + 2, size - 2);
    struct arena arena = ARENA_INIT;
    struct err err = {0};
    void *msg = mem_alloc(desc->size);
    int rc = msg_decode(desc, in, &arena, msg, &err);
    if (arena.total > 32 * in.len + 8192)
        BUG("%s: %zu bytes took %zu of memory", desc->name, in.len, arena.total);
    if (rc == 0)
        check_again(desc, msg);
    else if (err.code != rc || !err.msg[0])
        BUG("%s: refused without a word", desc->name);
    mem_free(msg);
    arena_release(&arena);
    return 0;
}
