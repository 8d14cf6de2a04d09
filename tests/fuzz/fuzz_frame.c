/* SPDX-License-Identifier: Apache-2.0
 * fuzz_frame: a byte stream is cut into frames, at once and byte by byte: the same frames must come
 * out. Each body is tried as a hello and as an error. */
#include "libcommon/base/mem.h"
#include "libcommon/wire/hello.h"
#include "tests/fuzz/fuzz.h"

static const struct identity self = {WIRE_NAMENODE, "c1", "host1", "boss", "boot1", 7};

void fuzz_seed(struct rand *rand, struct buf *out)
{
    struct frame frame = {.type = (uint16_t)rand_u64(rand),
                          .flags = (uint16_t)rand_below(rand, 8),
                          .call = rand_u64(rand),
                          .deadline_ms = (uint32_t)rand_u64(rand)};
    switch (rand_below(rand, 3)) {
    case 0:
        (void)hello_put(out, &self, (uint16_t)rand_below(rand, 2));
        break;
    case 1:
        (void)frame_put_error(out, frame.type, frame.call, ERR_NOENT, "no such thing");
        break;
    default: {
        size_t begin = frame_begin(out, &frame);
        msg_seed(&hello_desc, rand, out);
        (void)frame_end(out, begin);
    }
    }
}

static void try_body(const struct frame *frame)
{
    struct arena arena = ARENA_INIT;
    struct hello hello;
    struct err err = {0};
    struct hello_want want = {&self, HELLO_ROLE(WIRE_CLIENT) | HELLO_ROLE(WIRE_DATANODE), "peer:1"};
    if (hello_check(frame, &want, &arena, &hello, &err) == 0) {
        if (hello.user.len > HELLO_TEXT_MAX || hello.role > WIRE_TOOL)
            BUG("an impossible hello was accepted");
    } else if (!err.msg[0]) {
        BUG("a hello was refused without a word");
    }
    arena_release(&arena);
}

/* What a parser that sees one byte more each time makes of the first frame. */
static void check_slowly(struct slice in, int rc, size_t used)
{
    struct frame frame;
    struct err err;
    for (size_t len = 0; len <= in.len && len <= 64; len++) {
        size_t need = 0;
        int now = frame_parse(slice_of(in.data, len), FRAME_MAX_BYTES, &frame, &need, &err);
        if (now == ERR_RETRY && need <= len)
            BUG("wants %zu bytes of %zu", need, len);
        if (now == 0 && (rc != 0 || need != used))
            BUG("a frame appears and goes away again");
        if (now != ERR_RETRY)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct err err;
    (void)hello_stranger(in, "10.0.0.1:8020", &err);
    for (;;) {
        struct frame frame;
        size_t used = 0;
        int rc = frame_parse(in, FRAME_MAX_BYTES, &frame, &used, &err);
        check_slowly(in, rc, used);
        if (rc != 0)
            break;
        if (used < FRAME_HEADER_BYTES || used > in.len)
            BUG("a frame of %zu bytes in %zu", used, in.len);
        try_body(&frame);
        in = slice_of(in.data + used, in.len - used);
    }
    return 0;
}
