/* SPDX-License-Identifier: Apache-2.0
 * Places where unpacking can begin: each is one, none is missing, and nothing in a file's text
 * passes for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lz4frame.h>
#include <zstd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/frames.h"

#define PLAIN ((size_t)700000)

static uint8_t plain[PLAIN];

static int fill(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 7);
    for (size_t i = 0; i < PLAIN; i++)
        plain[i] =
            i % 100000 < 50000 ? (uint8_t)rand_u64(&rand) : (uint8_t)('a' + rand_below(&rand, 4));
    return 0;
}

static int64_t read_buf(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    const struct buf *b = arg;
    (void)err;
    size_t left = off < b->len ? b->len - (size_t)off : 0, n = len < left ? len : left;
    if (n)
        memcpy(data, b->data + off, n);
    return (int64_t)n;
}

static void add_zstd(struct buf *out, const void *data, size_t len, int sum, int size)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, sum);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, size);
    size_t cap = ZSTD_compressBound(len);
    size_t n = ZSTD_compress2(c, buf_reserve(out, cap), cap, data, len);
    assert_false(ZSTD_isError(n));
    out->len += n;
    ZSTD_freeCCtx(c);
}

static void add_lz4(struct buf *out, const void *data, size_t len, LZ4F_blockMode_t mode, int sums)
{
    LZ4F_preferences_t how = {.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = mode}};
    how.frameInfo.contentChecksumFlag = sums ? LZ4F_contentChecksumEnabled : 0;
    how.frameInfo.blockChecksumFlag = sums ? LZ4F_blockChecksumEnabled : 0;
    how.frameInfo.contentSize = sums ? len : 0;
    size_t cap = LZ4F_compressFrameBound(len, &how);
    size_t n = LZ4F_compressFrame(buf_reserve(out, cap), cap, data, len, &how);
    assert_false(LZ4F_isError(n));
    out->len += n;
}

static void add_skippable(struct buf *out, size_t len)
{
    buf_append_u32(out, 0x184d2a50U + (uint32_t)(len & 15));
    buf_append_u32(out, (uint32_t)len);
    for (size_t i = 0; i < len; i++)
        buf_append_byte(out, (uint8_t)i);
}

/* Unpacks from each place to the end, and compares with the end of the text. Returns how many. */
static size_t check_places(struct buf *packed, enum unpack_kind want, struct slice text)
{
    const struct frames_file file = {read_buf, packed, packed->len};
    enum unpack_kind kind = UNPACK_PLAIN;
    struct frames frames;
    struct frames_place place;
    size_t n = 0, before = SIZE_MAX;
    assert_int_equal(frames_detect(&file, &kind, NULL), 0);
    assert_int_equal(kind, want);
    frames_open(&frames, &file, kind, NULL);
    while (frames_next(&frames, UINT64_MAX, &place) == 1) {
        struct unpack *u = NULL;
        struct buf out = BUF_INIT;
        struct slice in = slice_of(packed->data + place.offset, packed->len - place.offset);
        struct slice head = slice_of(packed->data + place.frame, FRAMES_LZ4_HEAD);
        assert_int_equal(
            place.offset == place.frame ? unpack_open(kind, &u) : unpack_open_inside(head, &u), 0);
        size_t len = 1;
        while (in.len > 0 || len > 0) {
            assert_int_equal(unpack_step(u, &in, buf_reserve(&out, 65536), 65536, &len), 0);
            out.len += len;
        }
        assert_true(unpack_is_complete(u));
        assert_true(out.len <= text.len && out.len < before);
        assert_true(n > 0 || out.len == text.len);
        assert_memory_equal(out.data ? out.data : plain, text.data + text.len - out.len, out.len);
        before = out.len;
        unpack_close(u);
        buf_release(&out);
        n++;
    }
    return n;
}

static void each_frame_of_zstd_is_a_place(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct buf packed = BUF_INIT;
        add_skippable(&packed, 4);
        add_zstd(&packed, plain, 300000, how & 1, how >> 1);
        add_zstd(&packed, plain + 300000, 100, how & 1, how >> 1);
        add_skippable(&packed, 0);
        add_skippable(&packed, 70000);
        add_zstd(&packed, plain + 300100, PLAIN - 300100, how & 1, how >> 1);
        add_skippable(&packed, 9);
        assert_int_equal(check_places(&packed, UNPACK_ZSTD, slice_of(plain, PLAIN)), 3);
        buf_release(&packed);
    }
}

static void each_independent_block_of_lz4_is_a_place(void **state)
{
    (void)state;
    for (int sums = 0; sums < 2; sums++) {
        struct buf packed = BUF_INIT;
        add_lz4(&packed, plain, 300000, LZ4F_blockIndependent, sums);
        add_skippable(&packed, 5);
        add_lz4(&packed, plain + 300000, 200000, LZ4F_blockLinked, sums);
        add_lz4(&packed, plain + 500000, PLAIN - 500000, LZ4F_blockIndependent, sums);
        assert_int_equal(check_places(&packed, UNPACK_LZ4, slice_of(plain, PLAIN)), 5 + 1 + 4);
        buf_release(&packed);
    }
}

static void packed_files_inside_a_packed_file_are_no_places(void **state)
{
    (void)state;
    struct buf inner = BUF_INIT, packed = BUF_INIT;
    add_zstd(&inner, plain, 40000, 1, 1); /* packs badly: stays as it is in the outer one */
    add_zstd(&inner, plain + 40000, 9000, 1, 1);
    add_zstd(&packed, inner.data, inner.len, 1, 1);
    assert_non_null(memmem(packed.data + 4, packed.len - 4, "\x28\xb5\x2f\xfd", 4));
    assert_int_equal(check_places(&packed, UNPACK_ZSTD, buf_slice(&inner)), 1);
    buf_release(&inner);
    buf_release(&packed);
}

static void what_is_cut_short_or_spoilt_ends_the_walk(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT;
    struct rand rand;
    rand_init(&rand, 3);
    add_zstd(&packed, plain, 100000, 1, 1);
    add_lz4(&packed, plain, 100000, LZ4F_blockIndependent, 1); /* not for a walk along zstd */
    for (int turn = 0; turn < 500; turn++) {
        struct buf cut = BUF_INIT;
        struct frames frames;
        struct frames_place place = {0};
        buf_append(&cut, packed.data, rand_below(&rand, (uint32_t)packed.len + 1));
        if (cut.len)
            cut.data[rand_below(&rand, cut.len < 40 ? (uint32_t)cut.len : 40)] ^=
                (uint8_t)(1 + rand_below(&rand, 255));
        const struct frames_file file = {read_buf, &cut, cut.len};
        frames_open(&frames, &file, turn & 1 ? UNPACK_ZSTD : UNPACK_LZ4, NULL);
        while (frames_next(&frames, UINT64_MAX, &place) == 1)
            assert_true(place.offset < cut.len && place.frame <= place.offset);
        buf_release(&cut);
    }
    buf_release(&packed);
}

static void what_skippable_frames_lead_to_decides(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT;
    const struct frames_file nothing = {read_buf, &packed, 0};
    enum unpack_kind kind = UNPACK_GZIP;
    assert_int_equal(frames_detect(&nothing, &kind, NULL), 0);
    assert_int_equal(kind, UNPACK_PLAIN);
    add_skippable(&packed, 300);
    const struct frames_file only = {read_buf, &packed, packed.len};
    assert_int_equal(frames_detect(&only, &kind, NULL), 0);
    assert_int_equal(kind, UNPACK_ZSTD);
    const struct frames_file cut = {read_buf, &packed, packed.len - 1};
    assert_int_equal(frames_detect(&cut, &kind, NULL), 0);
    assert_int_equal(kind, UNPACK_PLAIN);
    buf_append_slice(&packed, slice_str("some text\n"));
    const struct frames_file text = {read_buf, &packed, packed.len};
    assert_int_equal(frames_detect(&text, &kind, NULL), 0);
    assert_int_equal(kind, UNPACK_PLAIN);
    buf_release(&packed);
}

static void a_window_that_is_too_large_is_refused_as_such(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT;
    struct unpack *u = NULL;
    uint8_t out[1024];
    size_t len = 0;
    ZSTD_CCtx *c = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 24);
    ZSTD_outBuffer to = {buf_reserve(&packed, PLAIN * 2), PLAIN * 2, 0};
    ZSTD_inBuffer from = {plain, PLAIN, 0};
    (void)ZSTD_compressStream2(c, &to, &from, ZSTD_e_continue); /* its length is not known yet */
    while (ZSTD_compressStream2(c, &to, &from, ZSTD_e_end) != 0)
        ;
    ZSTD_freeCCtx(c);
    packed.len = to.pos;
    for (uint64_t mib = 15; mib <= 16; mib++) {
        struct slice in = buf_slice(&packed);
        assert_int_equal(unpack_open(UNPACK_ZSTD, &u), 0);
        unpack_limit(u, mib << 20);
        assert_int_equal(unpack_step(u, &in, out, sizeof(out), &len), mib == 15 ? ERR_TOOBIG : 0);
        unpack_close(u);
    }
    buf_release(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_frame_of_zstd_is_a_place),
        cmocka_unit_test(each_independent_block_of_lz4_is_a_place),
        cmocka_unit_test(packed_files_inside_a_packed_file_are_no_places),
        cmocka_unit_test(what_is_cut_short_or_spoilt_ends_the_walk),
        cmocka_unit_test(what_skippable_frames_lead_to_decides),
        cmocka_unit_test(a_window_that_is_too_large_is_refused_as_such),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
