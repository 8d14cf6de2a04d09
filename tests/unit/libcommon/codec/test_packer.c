/* SPDX-License-Identifier: Apache-2.0
 * What is packed comes out of unpack as it went in, in whatever pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/frames.h"
#include "libcommon/codec/packer.h"
#include "libcommon/codec/unpack.h"

static int take(void *arg, const void *data, size_t len)
{
    buf_append(arg, data, len);
    return 0;
}

static int refuse(void *arg, const void *data, size_t len)
{
    (void)arg;
    (void)data;
    return len > 0 ? ERR_IO : 0;
}

static struct buf unpacked(const struct buf *packed)
{
    struct buf out = BUF_INIT;
    struct unpack *unpack = NULL;
    struct slice in = buf_slice(packed);
    size_t n = 1;
    assert_int_equal(unpack_open(unpack_detect(in), &unpack), 0);
    while (in.len > 0 || n > 0) {
        uint8_t *room = buf_reserve(&out, 70000);
        assert_int_equal(unpack_step(unpack, &in, room, 70000, &n), 0);
        out.len += n;
    }
    assert_true(unpack_is_complete(unpack));
    unpack_close(unpack);
    return out;
}

static void every_codec_gives_back_what_it_took(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 3);
    for (int kind = PACKER_GZIP; kind <= PACKER_BZIP2; kind++) {
        for (int round = 0; round < 8; round++) {
            struct buf text = BUF_INIT, packed = BUF_INIT;
            struct packer *packer = NULL;
            uint64_t letters = round % 2 ? 256 : 3;
            for (size_t len = (size_t)1 << (round * 5 / 2); text.len < len && round > 0;)
                buf_append_byte(&text, (uint8_t)rand_below(&rand, letters));
            assert_int_equal(packer_open((enum packer_kind)kind, 0, take, &packed, &packer), 0);
            for (size_t at = 0, n; at < text.len; at += n) {
                n = 1 + rand_below(&rand, text.len);
                n = n < text.len - at ? n : text.len - at;
                assert_int_equal(packer_put(packer, slice_of(text.data + at, n)), 0);
            }
            assert_int_equal(packer_end(packer), 0);
            packer_close(packer);
            struct buf back = unpacked(&packed);
            assert_true(slice_eq(buf_slice(&back), buf_slice(&text)));
            buf_release(&back);
            buf_release(&packed);
            buf_release(&text);
        }
    }
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

/* What is long can be cut by those who read it. */
static void zstd_and_lz4_can_be_begun_in_their_middle(void **state)
{
    (void)state;
    static uint8_t text[1 << 20];
    static const struct {
        enum packer_kind kind;
        enum unpack_kind back;
        size_t places;
    } codecs[] = {{PACKER_ZSTD, UNPACK_ZSTD, 3}, {PACKER_LZ4, UNPACK_LZ4, 40}};
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        struct buf packed = BUF_INIT;
        struct packer *packer = NULL;
        struct frames frames;
        struct frames_place place;
        size_t n = 0;
        assert_int_equal(packer_open(codecs[i].kind, 0, take, &packed, &packer), 0);
        for (int mib = 0; mib < 40; mib++)
            assert_int_equal(packer_put(packer, slice_of(text, sizeof(text))), 0);
        assert_int_equal(packer_end(packer), 0);
        packer_close(packer);
        const struct frames_file file = {read_buf, &packed, packed.len};
        frames_open(&frames, &file, codecs[i].back, NULL);
        while (frames_next(&frames, UINT64_MAX, &place) == 1)
            n++;
        assert_int_equal(n, codecs[i].places);
        buf_release(&packed);
    }
}

static void what_the_taker_says_stops_it(void **state)
{
    (void)state;
    struct rand rand;
    uint8_t noise[200000];
    rand_init(&rand, 4);
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)rand_u64(&rand);
    for (int kind = PACKER_GZIP; kind <= PACKER_BZIP2; kind++) {
        struct packer *packer = NULL;
        assert_int_equal(packer_open((enum packer_kind)kind, 0, refuse, NULL, &packer), 0);
        int rc = packer_put(packer, slice_of(noise, sizeof(noise)));
        assert_int_equal(rc == 0 ? packer_end(packer) : rc, ERR_IO);
        packer_close(packer);
    }
}

static void codecs_have_hadoops_names_too(void **state)
{
    (void)state;
    assert_int_equal(packer_kind_of("gzip"), PACKER_GZIP);
    assert_int_equal(packer_kind_of("org.apache.hadoop.io.compress.GzipCodec"), PACKER_GZIP);
    assert_int_equal(packer_kind_of("org.apache.hadoop.io.compress.ZStandardCodec"), PACKER_ZSTD);
    assert_int_equal(packer_kind_of("org.apache.hadoop.io.compress.Lz4Codec"), PACKER_LZ4);
    assert_int_equal(packer_kind_of("org.apache.hadoop.io.compress.BZip2Codec"), PACKER_BZIP2);
    assert_int_equal(packer_kind_of("snappy"), PACKER_PLAIN);
    assert_int_equal(packer_kind_of(""), PACKER_PLAIN);
    assert_string_equal(packer_suffix(PACKER_ZSTD), ".zst");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_codec_gives_back_what_it_took),
        cmocka_unit_test(zstd_and_lz4_can_be_begun_in_their_middle),
        cmocka_unit_test(what_the_taker_says_stops_it),
        cmocka_unit_test(codecs_have_hadoops_names_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
