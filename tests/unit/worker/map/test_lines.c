/* SPDX-License-Identifier: Apache-2.0
 * Lines of splits: however a file is cut, every line is in exactly one piece, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lz4frame.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/frames.h"
#include "worker/map/lines.h"

static char path[] = "/tmp/quern-lines-XXXXXX";

static void write_file(struct slice data)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data.data, 1, data.len, f), data.len);
    assert_int_equal(fclose(f), 0);
}

static const struct lines_format as_lines;

/* --- files whose bytes can be seen where they lie, some of them ------------------------------- */

#define VIEW_BLOCK 100003U /* of the third, fourth, fifth block a copy only: no replica is here */

static unsigned views; /* shown and not yet ended */

static int view_block(struct files_in *in, uint64_t off, size_t most, struct qn_view *ret,
                      struct err *err)
{
    uint64_t left = VIEW_BLOCK - off % VIEW_BLOCK;
    size_t size = most < left ? most : (size_t)left;
    void *bytes = mem_alloc(size + 1);
    int64_t n = files_local()->ops->pread(in, bytes, size, off, err);
    assert_true(n >= 0);
    *ret = (struct qn_view){bytes, (size_t)n, off / VIEW_BLOCK % 6 >= 3, bytes, size};
    views++;
    return 0;
}

static void end_view(struct qn_view *view)
{
    mem_free(view->base); /* who looks at it later is told */
    *view = (struct qn_view){0};
    views--;
}

static struct files *files;

static int read_them(void **state)
{
    (void)state;
    files = files_local();
    return 0;
}

static int view_them(void **state)
{
    (void)state;
    static struct files_ops ops;
    static struct files viewed = {&ops};
    ops = *files_local()->ops;
    ops.view = view_block;
    ops.end_view = end_view;
    files = &viewed;
    return 0;
}

static int has_ended_all(void **state)
{
    (void)state;
    return views == 0 ? 0 : -1;
}

static struct task_segment segment(uint64_t offset, uint64_t length, uint64_t file_len)
{
    return (struct task_segment){slice_str(path), offset, length, file_len};
}

/* Appends every span of the segments to `out`, checking offsets; the code of the last call. */
static int read_all(const struct task_segment *segments, size_t count, size_t line_max,
                    struct slice file, struct buf *out, struct err *err)
{
    struct lines lines;
    size_t size = line_max + LINES_READ;
    void *room = mem_alloc(size);
    lines_open(&lines,
               &(struct lines_conf){files, segments, count, room, size, 1 << 20, &as_lines});
    struct slice span = {0};
    uint64_t offset = 0;
    int rc;
    while ((rc = lines_next(&lines, &span, &offset, err)) == 1) {
        assert_true(span.len > 0);
        assert_true(slice_eq(span, slice_of(file.data + offset, span.len)));
        assert_true(offset == 0 || file.data[offset - 1] == '\n');
        assert_true(span.data[span.len - 1] == '\n' || offset + span.len == file.len);
        assert_string_equal(lines_path(&lines), path);
        buf_append_slice(out, span);
    }
    lines_close(&lines);
    mem_free(room);
    return rc;
}

/* Cut the file at these places; the pieces put together must be the file. */
static void check_cuts(struct slice file, const uint64_t *cuts, size_t count)
{
    struct buf all = BUF_INIT;
    uint64_t from = 0;
    for (size_t i = 0; i <= count; i++) {
        uint64_t to = i < count ? cuts[i] : file.len;
        struct task_segment seg = segment(from, to - from, file.len);
        struct err err = {0};
        assert_int_equal(read_all(&seg, 1, 1 << 20, file, &all, &err), 0);
        from = to;
    }
    assert_true(slice_eq(buf_slice(&all), file));
    buf_release(&all);
}

static void a_small_file_cut_at_every_place(void **state)
{
    (void)state;
    const char *const texts[] = {"a\nbb\n\nccc\ndddd",  "\n\n\n", "one line",
                                 "one line\n",          "x",      "\n",
                                 "a\r\nb\r\n\r\nc\r\n", ""};
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct slice file = slice_str(texts[t]);
        write_file(file);
        for (uint64_t a = 0; a <= file.len; a++)
            for (uint64_t b = a; b <= file.len; b++)
                check_cuts(file, (uint64_t[]){a, b}, 2);
    }
}

static void random_files_cut_at_random(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 1);
    for (int round = 0; round < 25; round++) {
        struct buf file = BUF_INIT;
        uint64_t longest = round % 5 == 0 ? 400000 : 200;
        while (file.len < 900000) {
            size_t n = (size_t)rand_below(&rand, longest);
            memset(buf_reserve(&file, n), 'a' + round, n);
            file.len += n;
            buf_append_byte(&file, '\n');
        }
        if (round % 2)
            file.len--;
        write_file(buf_slice(&file));
        uint64_t cuts[4], from = 0;
        for (int i = 0; i < 4; i++)
            from = cuts[i] = from + rand_below(&rand, file.len - from + 1);
        check_cuts(buf_slice(&file), cuts, 4);
        /* Cuts close to the borders of reads. */
        check_cuts(buf_slice(&file), (uint64_t[]){LINES_READ - 1, LINES_READ, LINES_READ + 1}, 3);
        buf_release(&file);
    }
}

static void a_split_of_many_files_gives_them_one_after_another(void **state)
{
    (void)state;
    struct slice file = slice_str("one\ntwo\nthree");
    write_file(file);
    struct task_segment segments[] = {segment(0, 13, 13), segment(0, 0, 13), segment(4, 4, 13),
                                      segment(8, 5, 13)};
    struct buf out = BUF_INIT;
    struct err err = {0};
    assert_int_equal(read_all(segments, 4, 1 << 20, file, &out, &err), 0);
    assert_string_equal(buf_cstr(&out), "one\ntwo\nthreetwo\nthree");
    buf_release(&out);
}

static void a_line_too_long_is_told_with_its_place(void **state)
{
    (void)state;
    struct buf file = BUF_INIT, out = BUF_INIT;
    buf_append_str(&file, "short\n");
    size_t giant = 2 << 20;
    memset(buf_reserve(&file, giant), 'x', giant);
    file.len += giant;
    buf_append_str(&file, "\nshort\n");
    write_file(buf_slice(&file));
    struct task_segment seg = segment(0, file.len, file.len);
    struct err err = {0};
    assert_int_equal(read_all(&seg, 1, 1 << 20, buf_slice(&file), &out, &err), ERR_TOOBIG);
    assert_non_null(strstr(err.msg, path));
    assert_non_null(strstr(err.msg, "the line at offset 6 has 2 M, more than a quarter of"));
    assert_non_null(strstr(err.msg, "-D mapreduce.map.memory.mb=9 would do"));
    buf_clear(&out);
    assert_int_equal(read_all(&seg, 1, giant + 1, buf_slice(&file), &out, &err), 0);
    assert_int_equal(out.len, file.len);
    buf_release(&out);
    buf_release(&file);
}

static void a_file_that_shrank_or_vanished_is_an_error(void **state)
{
    (void)state;
    struct slice file = slice_str("one\ntwo\n");
    struct buf out = BUF_INIT;
    struct err err = {0};
    write_file(file);
    struct task_segment seg = segment(0, 100, 100);
    assert_int_equal(read_all(&seg, 1, 1 << 20, file, &out, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "has become shorter"));
    seg.path = slice_str("/tmp/quern-no-such-file");
    assert_int_equal(read_all(&seg, 1, 1 << 20, file, &out, &err), ERR_NOENT);
    assert_string_equal(err.msg, "/tmp/quern-no-such-file: No such file or directory");
    buf_release(&out);
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int drop_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* The text as gzip, in two members, and so many bytes of that. */
static struct slice write_gzip(struct slice text, struct buf *out)
{
    const size_t first = text.len / 2;
    for (int half = 0; half < 2; half++) {
        struct slice part = slice_of(text.data, first);
        if (half)
            part = slice_of(first ? text.data + first : text.data, text.len - first);
        z_stream z = {0};
        assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        z.next_out = buf_reserve(out, part.len + 1000);
        z.next_in = (Bytef *)(uintptr_t)part.data;
        z.avail_in = (uInt)part.len;
        z.avail_out = (uInt)part.len + 1000;
        assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
        out->len += z.total_out;
        deflateEnd(&z);
    }
    return buf_slice(out);
}

static void some_lines(struct rand *rand, size_t len, bool ends, struct buf *out)
{
    while (out->len < len)
        buf_append_byte(out, rand_chance(rand, 3) ? '\n' : (uint8_t)('a' + rand_below(rand, 20)));
    if (out->len)
        out->data[out->len - 1] = ends ? '\n' : 'z';
}

static void a_compressed_file_is_read_as_its_text(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 11);
    const size_t sizes[] = {0, 1, 2, 1000, 300000, 2000000};
    for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
        struct buf text = BUF_INIT, packed = BUF_INIT, all = BUF_INIT;
        struct err err = {0};
        some_lines(&rand, sizes[i / 2], i % 2, &text);
        write_file(write_gzip(buf_slice(&text), &packed));
        struct task_segment seg = segment(0, packed.len, packed.len);
        assert_int_equal(read_all(&seg, 1, 1 << 20, buf_slice(&text), &all, &err), 0);
        assert_true(slice_eq(buf_slice(&all), buf_slice(&text)));
        buf_release(&text);
        buf_release(&packed);
        buf_release(&all);
    }
}

static void compressed_bytes_that_are_damaged_or_cut_are_an_error(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 12);
    struct buf text = BUF_INIT, packed = BUF_INIT, all = BUF_INIT;
    struct err err = {0};
    some_lines(&rand, 400000, true, &text);
    struct slice whole = write_gzip(buf_slice(&text), &packed);
    write_file(slice_of(whole.data, whole.len - 5));
    struct task_segment seg = segment(0, whole.len - 5, whole.len - 5);
    assert_int_equal(read_all(&seg, 1, 1 << 20, buf_slice(&text), &all, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "ends too early"));
    assert_non_null(strstr(err.msg, path));
    packed.data[packed.len - 3] ^= 1; /* the length gzip notes at its end */
    write_file(whole);
    seg = segment(0, whole.len, whole.len);
    buf_clear(&all);
    assert_int_equal(read_all(&seg, 1, 1 << 20, buf_slice(&text), &all, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "damaged"));
    buf_release(&text);
    buf_release(&packed);
    buf_release(&all);
}

static void records_of_a_fixed_size_are_whole_in_one_piece_however_a_file_is_cut(void **state)
{
    (void)state;
    const uint32_t sizes[] = {1, 3, 100, LINES_READ + 7};
    struct rand rand;
    rand_init(&rand, 13);
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct buf file = BUF_INIT, all = BUF_INIT;
        uint64_t size = sizes[s], from = 0, len = size * (size > 1000 ? 3 : 7000);
        while (file.len < len)
            buf_append_byte(&file, rand_chance(&rand, 20) ? '\n' : (uint8_t)rand_u64(&rand));
        write_file(buf_slice(&file));
        void *room = mem_alloc(3 * LINES_READ);
        while (from < len) {
            uint64_t n = 1 + rand_below(&rand, (uint32_t)len);
            struct task_segment seg = segment(from, n < len - from ? n : len - from, len);
            struct lines lines;
            struct slice span = {0};
            uint64_t offset = 0;
            struct err err = {0};
            const struct lines_format format = {.record_size = (uint32_t)size};
            int rc;
            lines_open(&lines, &(struct lines_conf){files, &seg, 1, room, 3 * LINES_READ, 1 << 20,
                                                    &format});
            while ((rc = lines_next(&lines, &span, &offset, &err)) == 1) {
                assert_int_equal(span.len % size, 0);
                assert_int_equal(offset, all.len);
                buf_append_slice(&all, span);
            }
            assert_int_equal(rc, 0);
            lines_close(&lines);
            from += seg.length;
        }
        assert_true(slice_eq(buf_slice(&all), buf_slice(&file)));
        mem_free(room);
        buf_release(&file);
        buf_release(&all);
    }
}

enum packing { ZSTD_FRAMES, LZ4_FRAMES, LZ4_BLOCKS, PACKINGS };

static void pack_part(enum packing how, struct slice part, struct buf *out)
{
    LZ4F_preferences_t lz4 = {.frameInfo = {.blockSizeID = LZ4F_max64KB}};
    lz4.frameInfo.blockMode = how == LZ4_BLOCKS ? LZ4F_blockIndependent : LZ4F_blockLinked;
    lz4.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    size_t cap = ZSTD_compressBound(part.len) + LZ4F_compressFrameBound(part.len, &lz4);
    uint8_t *to = buf_reserve(out, cap);
    size_t n = how == ZSTD_FRAMES ? ZSTD_compress(to, cap, part.data, part.len, 1)
                                  : LZ4F_compressFrame(to, cap, part.data, part.len, &lz4);
    assert_true(!ZSTD_isError(n) && !LZ4F_isError(n));
    out->len += n;
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

/* The lines of the segments, one after another, must be the text. */
static void check_pieces(const struct task_segment *segments, size_t count, struct slice text)
{
    struct buf all = BUF_INIT;
    size_t size = ((size_t)1 << 20) + LINES_READ;
    void *room = mem_alloc(size);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct lines lines;
        struct slice span;
        uint64_t offset;
        struct err err = {0};
        int rc;
        lines_open(&lines,
                   &(struct lines_conf){files, &segments[i], 1, room, size, 1 << 20, &as_lines});
        while ((rc = lines_next(&lines, &span, &offset, &err)) == 1)
            buf_append_slice(&all, span);
        assert_int_equal(rc, 0);
        bytes += lines.bytes;
        lines_close(&lines);
    }
    assert_int_equal(bytes, segments[0].file_len);
    assert_int_equal(all.len, text.len);
    assert_true(slice_eq(buf_slice(&all), text));
    mem_free(room);
    buf_release(&all);
}

/* Cut at every place there is, and at every other one. */
static void cut_and_check(struct buf *packed, enum packing how, struct slice text)
{
    struct task_segment cut[400];
    const struct frames_file file = {read_buf, packed, packed->len};
    write_file(buf_slice(packed));
    for (size_t every = 1; every < 4; every++) {
        struct frames frames;
        struct frames_place place;
        size_t n = 0;
        frames_open(&frames, &file, how == ZSTD_FRAMES ? UNPACK_ZSTD : UNPACK_LZ4, NULL);
        for (size_t i = 0; frames_next(&frames, UINT64_MAX, &place) == 1; i++) {
            if (i % every)
                continue;
            assert_true(n < ARRAY_LEN(cut));
            cut[n] =
                segment(n ? place.offset : 0, packed->len - (n ? place.offset : 0), packed->len);
            cut[n].frame = place.frame + 1;
            if (n > 0)
                cut[n - 1].length = place.offset - cut[n - 1].offset;
            n++;
        }
        if (n > 0)
            check_pieces(cut, n, text);
    }
}

static void a_packed_file_cut_where_it_can_be_gives_every_line_once(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 21);
    for (unsigned round = 0; round < 60; round++) {
        struct buf text = BUF_INIT, packed = BUF_INIT;
        enum packing how = round % PACKINGS;
        size_t longest = round % 4 == 3 ? 200000 : round % 4 == 2 ? 70 : 5;
        while (text.len < (round % 2 ? 300000U : 40U)) {
            size_t n = (size_t)rand_below(&rand, longest);
            memset(buf_reserve(&text, n + 1), 'a' + (int)rand_below(&rand, 26), n);
            text.len += n;
            buf_append_byte(&text, '\n');
        }
        text.len -= round % 5 == 0;
        for (size_t at = 0; at < text.len || packed.len == 0;) {
            size_t n = (size_t)rand_below(&rand, round % 2 ? 90000 : 9); /* also none at all */
            n = n < text.len - at ? n : text.len - at;
            pack_part(how, slice_of(text.data + at, n), &packed);
            at += n;
        }
        cut_and_check(&packed, how, buf_slice(&text));
        buf_release(&text);
        buf_release(&packed);
    }
}

/* Through the buffer, and by windows on the file. */
#define BOTH(test)                                                   \
    cmocka_unit_test_setup_teardown(test, read_them, has_ended_all), \
    {                                                                \
#test " (seen)", test, view_them, has_ended_all, NULL        \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_small_file_cut_at_every_place),
        BOTH(random_files_cut_at_random),
        BOTH(a_split_of_many_files_gives_them_one_after_another),
        BOTH(a_line_too_long_is_told_with_its_place),
        BOTH(records_of_a_fixed_size_are_whole_in_one_piece_however_a_file_is_cut),
        BOTH(a_compressed_file_is_read_as_its_text),
        BOTH(compressed_bytes_that_are_damaged_or_cut_are_an_error),
        BOTH(a_packed_file_cut_where_it_can_be_gives_every_line_once),
        BOTH(a_file_that_shrank_or_vanished_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_path, drop_path);
}
