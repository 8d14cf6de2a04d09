/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bzlib.h>
#include <cmocka.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/unpack.h"

#define PLAIN 100000

static uint8_t plain[PLAIN];

static int fill(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 7);
    for (size_t i = 0; i < PLAIN; i++)
        plain[i] = (uint8_t)('a' + rand_below(&rand, 4));
    return 0;
}

static void add_gzip(struct buf *out, const void *data, size_t len)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    uint8_t *p = buf_reserve(out, len + 1000);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = p;
    z.avail_out = (uInt)len + 1000;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += z.total_out;
    deflateEnd(&z);
}

/* Feed `piece` bytes at a time, take `room` at a time. */
static int unpack_all(struct slice in, size_t piece, size_t room, struct buf *out, bool *complete)
{
    struct unpack *u = NULL;
    assert_int_equal(unpack_open(unpack_detect(in), &u), 0);
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < in.len; at += piece) {
        struct slice part = slice_of(in.data + at, in.len - at < piece ? in.len - at : piece);
        size_t len = 0;
        do {
            rc = unpack_step(u, &part, buf_reserve(out, room), room, &len);
            out->len += len;
        } while (rc == 0 && (part.len || len));
    }
    *complete = unpack_is_complete(u);
    unpack_close(u);
    return rc;
}

static void comes_back(struct buf *packed, struct slice want)
{
    static const size_t sizes[][2] = {{1 << 20, 1 << 20}, {7, 4096}, {4096, 13}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct buf out = BUF_INIT;
        bool complete = false;
        assert_int_equal(unpack_all(buf_slice(packed), sizes[i][0], sizes[i][1], &out, &complete),
                         0);
        assert_true(complete);
        assert_true(slice_eq(buf_slice(&out), want));
        buf_release(&out);
    }
}

static void gzip_comes_back_also_in_several_members(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT;
    add_gzip(&packed, plain, 60000);
    add_gzip(&packed, plain + 60000, PLAIN - 60000);
    comes_back(&packed, slice_of(plain, PLAIN));
    buf_release(&packed);
}

static void add_bzip2(struct buf *out, const void *data, size_t len)
{
    unsigned size = (unsigned)len + (unsigned)len / 100 + 600;
    char *to = (char *)buf_reserve(out, size);
    assert_int_equal(
        BZ2_bzBuffToBuffCompress(to, &size, (char *)(uintptr_t)data, (unsigned)len, 1, 0, 0),
        BZ_OK);
    out->len += size;
}

static void bzip2_comes_back_also_in_several_streams(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT, out = BUF_INIT;
    bool complete = true;
    add_bzip2(&packed, plain, 60000);
    add_bzip2(&packed, plain, 0);
    add_bzip2(&packed, plain + 60000, PLAIN - 60000);
    comes_back(&packed, slice_of(plain, PLAIN));
    packed.len -= 10;
    assert_int_equal(unpack_all(buf_slice(&packed), 4096, 4096, &out, &complete), 0);
    assert_false(complete);
    packed.data[100] ^= 1;
    assert_int_equal(unpack_all(buf_slice(&packed), 4096, 4096, &out, &complete), ERR_CORRUPT);
    buf_clear(&packed);
    add_bzip2(&packed, plain, 0);
    comes_back(&packed, slice_of(plain, 0));
    buf_release(&packed);
    buf_release(&out);
}

static void zstd_and_lz4_come_back(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT;
    size_t cap = ZSTD_compressBound(PLAIN);
    packed.len = ZSTD_compress(buf_reserve(&packed, cap), cap, plain, PLAIN, 1);
    comes_back(&packed, slice_of(plain, PLAIN));
    buf_clear(&packed);
    cap = LZ4F_compressFrameBound(PLAIN, NULL);
    packed.len = LZ4F_compressFrame(buf_reserve(&packed, cap), cap, plain, PLAIN, NULL);
    comes_back(&packed, slice_of(plain, PLAIN));
    buf_release(&packed);
}

static void a_stream_that_is_cut_short_is_not_complete(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT, out = BUF_INIT;
    bool complete = true;
    add_gzip(&packed, plain, PLAIN);
    packed.len -= 10;
    assert_int_equal(unpack_all(buf_slice(&packed), 4096, 4096, &out, &complete), 0);
    assert_false(complete);
    buf_release(&packed);
    buf_release(&out);
}

static void damage_is_noticed(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT, out = BUF_INIT;
    bool complete = true;
    add_gzip(&packed, plain, PLAIN);
    packed.data[packed.len - 6] ^= 1; /* its checksum */
    assert_int_equal(unpack_all(buf_slice(&packed), 4096, 4096, &out, &complete), ERR_CORRUPT);
    buf_release(&packed);
    buf_release(&out);
}

static void other_bytes_are_plain(void **state)
{
    (void)state;
    assert_int_equal(unpack_detect(slice_str("hello")), UNPACK_PLAIN);
    assert_int_equal(unpack_detect(slice_str("")), UNPACK_PLAIN);
    assert_int_equal(unpack_detect(slice_of("\x1f", 1)), UNPACK_PLAIN);
    assert_int_equal(unpack_detect(slice_str("BZh9 is not all of it")), UNPACK_PLAIN);
    assert_int_equal(unpack_detect(slice_str("BZh91AY")), UNPACK_PLAIN);
}

/* What a frame behind another one wants, its header in pieces of `piece` bytes. */
static uint64_t window_of(const uint8_t *head, size_t len, size_t piece)
{
    struct unpack *u = NULL;
    struct buf bytes = BUF_INIT;
    uint8_t out[64];
    size_t n = 0;
    uint8_t *room = buf_reserve(&bytes, 200);
    bytes.len = ZSTD_compress(room, 200, plain, 40, 3);
    buf_append(&bytes, head, len);
    assert_int_equal(unpack_open(UNPACK_ZSTD, &u), 0);
    unpack_limit(u, 64 << 20);
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < bytes.len; at += piece) {
        struct slice in =
            slice_of(bytes.data + at, bytes.len - at < piece ? bytes.len - at : piece);
        for (int turns = 0; rc == 0 && (in.len > 0 || turns == 0); turns++)
            rc = unpack_step(u, &in, out, sizeof(out), &n);
    }
    assert_int_equal(rc, ERR_TOOBIG);
    uint64_t window = unpack_window(u);
    unpack_close(u);
    buf_release(&bytes);
    return window;
}

static void a_window_that_is_too_large_is_known(void **state)
{
    (void)state;
    static const uint8_t piped[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0};
    static const uint8_t odd[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3 | 3, 1, 0, 0};
    static const uint8_t single[] = {0x28, 0xb5, 0x2f, 0xfd, 0xa1, 0, 1, 0, 0, 0x20, 1, 0, 0};
    static const uint8_t large[] = {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0};
    const size_t pieces[] = {1, 7, 1000};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(window_of(piped, sizeof(piped), pieces[i]), 128 << 20);
        assert_int_equal(window_of(odd, sizeof(odd), pieces[i]), 176 << 20);
        assert_int_equal(window_of(single, sizeof(single), pieces[i]), 0x20000001);
        assert_int_equal(window_of(large, sizeof(large), pieces[i]), 0x200000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_comes_back_also_in_several_members),
        cmocka_unit_test(bzip2_comes_back_also_in_several_streams),
        cmocka_unit_test(zstd_and_lz4_come_back),
        cmocka_unit_test(a_stream_that_is_cut_short_is_not_complete),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(other_bytes_are_plain),
        cmocka_unit_test(a_window_that_is_too_large_is_known),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
