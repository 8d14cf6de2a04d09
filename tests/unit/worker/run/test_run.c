/* SPDX-License-Identifier: Apache-2.0
 * Runs: what is written is read again, and no flipped or missing byte goes unnoticed; packed runs
 * as well as others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/disk.h"
#include "worker/run/reader.h"
#include "worker/run/record.h"

#define RECORD_MAX ((uint64_t)8 << 20)

/* How the runs of a test are written: NULL, or packed. */
static struct run_packing *packing;

static int plain(void **state)
{
    (void)state;
    packing = NULL;
    return 0;
}

static int packed(void **state)
{
    static struct run_packing always = {.when = PACK_ALWAYS};
    (void)state;
    packing = &always;
    return 0;
}

static struct run_target target_of(int fd, void *room, size_t size)
{
    return (struct run_target){fd, UINT64_MAX, room, size, packing};
}

struct made {
    int fd;
    uint64_t len;
    struct run_part *parts;
    uint32_t partitions;
    struct buf expect; /* the records of all partitions, encoded, one after another */
    size_t ends[64];   /* where each partition's end in it */
};

static void add_record(struct run_writer *w, struct buf *expect, struct slice key,
                       struct slice value)
{
    uint8_t head[RECORD_HEAD_MAX];
    size_t at = expect->len;
    buf_append(expect, head, record_head(head, key.len, value.len));
    buf_append_slice(expect, key);
    buf_append_slice(expect, value);
    run_writer_add(w, expect->data + at, expect->len - at);
}

static struct slice random_bytes(struct rand *rand, uint8_t *room, size_t max)
{
    size_t len = rand_chance(rand, 20) ? (size_t)rand_below(rand, max) : rand_below(rand, 40);
    unsigned letters = rand_chance(rand, 2) ? 256 : 2; /* of which some become less, packed */
    for (size_t i = 0; i < len; i++)
        room[i] = (uint8_t)rand_below(rand, letters);
    return slice_of(room, len);
}

static struct made make_run(uint64_t seed, uint32_t partitions, size_t records, size_t max)
{
    struct made made = {.fd = memfd_create("run", MFD_CLOEXEC), .partitions = partitions};
    struct run_writer w;
    size_t cap = 96 * 1024;
    void *room = mem_alloc(cap);
    struct run_target target = target_of(made.fd, room, cap);
    assert_int_equal(run_writer_open(&w, &target, partitions, NULL), 0);
    struct rand rand;
    rand_init(&rand, seed);
    uint8_t *key = mem_alloc(max), *value = mem_alloc(max);
    for (uint32_t p = 0; p < partitions; p++) {
        size_t n = records ? (size_t)rand_below(&rand, records * 2) : 0;
        for (size_t i = 0; i < n; i++)
            add_record(&w, &made.expect, random_bytes(&rand, key, max),
                       random_bytes(&rand, value, max));
        made.ends[p] = made.expect.len;
        run_writer_end_partition(&w, 7 * p);
    }
    assert_int_equal(run_writer_close(&w, &made.parts, &made.len, NULL), 0);
    mem_free(key);
    mem_free(value);
    mem_free(room);
    return made;
}

static void drop_run(struct made *made)
{
    mem_free(made->parts);
    buf_release(&made->expect);
    close(made->fd);
}

/* All records of one partition through a cursor; its code, and what was read. */
static int read_partition(int fd, uint64_t len, uint32_t p, size_t buffer, struct buf *out)
{
    struct run_reader reader;
    struct run_piece piece;
    uint32_t *sums = NULL;
    struct err err = {0};
    int rc = run_reader_open(&reader, fd, len, "run", &err);
    if (rc == 0)
        rc = run_reader_piece(&reader, p, &piece, &sums, &err);
    if (rc != 0)
        return rc;
    void *room = mem_alloc(buffer);
    struct piece_cursor c;
    piece_cursor_open(&c, &piece,
                      &(struct piece_conf){room, buffer, RECORD_MAX, "run of a test", &err});
    while ((rc = c.cursor.next(&c.cursor)) == 1) {
        struct slice raw = c.cursor.raw, key = c.cursor.key, value = c.cursor.value;
        assert_ptr_equal(value.data, key.data + key.len);
        assert_true(raw.len > key.len + value.len);
        buf_append_slice(out, raw);
    }
    if (rc < 0)
        assert_int_equal(err.code, rc);
    piece_cursor_close(&c);
    mem_free(room);
    mem_free(sums);
    return rc;
}

static void records_come_back_as_they_were_written(void **state)
{
    (void)state;
    const size_t longest[] = {40, 3000, 200000};
    for (uint64_t round = 0; round < 9; round++) {
        uint32_t partitions = (uint32_t)(round % 3 == 0 ? 1 : round * 5);
        struct made made =
            make_run(round, partitions, round % 3 == 2 ? 15 : 200, longest[round % 3]);
        size_t start = 0;
        for (uint32_t p = 0; p < partitions; p++) {
            struct buf got = BUF_INIT;
            size_t buffer = round % 2 ? PIECE_BUFFER_MIN : 5 * RUN_CHUNK + 77;
            assert_int_equal(read_partition(made.fd, made.len, p, buffer, &got), 0);
            struct slice want = slice_of(made.expect.data + start, made.ends[p] - start);
            assert_true(slice_eq(buf_slice(&got), want));
            assert_int_equal(made.parts[p].plain_bytes, want.len);
            if (!packing) {
                assert_int_equal(made.parts[p].len, want.len);
                assert_int_equal(made.parts[p].crc, crc32c(0, want.data, want.len));
            }
            assert_int_equal(made.parts[p].raw_bytes, 7 * p);
            start = made.ends[p];
            buf_release(&got);
        }
        drop_run(&made);
    }
}

static void a_piece_in_memory_reads_the_same(void **state)
{
    (void)state;
    struct made made = make_run(3, 1, 500, 100);
    struct run_piece piece = {.fd = -1,
                              .data = made.expect.data,
                              .len = made.expect.len,
                              .records = made.parts[0].records};
    struct piece_cursor c;
    struct err err = {0};
    piece_cursor_open(&c, &piece, &(struct piece_conf){NULL, 0, RECORD_MAX, "memory", &err});
    size_t at = 0;
    while (c.cursor.next(&c.cursor) == 1) {
        assert_ptr_equal(c.cursor.raw.data, made.expect.data + at);
        at += c.cursor.raw.len;
    }
    assert_int_equal(at, made.expect.len);
    piece_cursor_close(&c);
    drop_run(&made);
}

/* Every partition is still exactly what was written, or the damage was told. */
static bool is_noticed(const struct made *made)
{
    size_t start = 0;
    for (uint32_t p = 0; p < made->partitions; p++) {
        struct buf got = BUF_INIT;
        int rc = read_partition(made->fd, made->len, p, PIECE_BUFFER_MIN, &got);
        struct slice want = slice_of(made->expect.data + start, made->ends[p] - start);
        if (rc == 0)
            assert_true(slice_eq(buf_slice(&got), want));
        buf_release(&got);
        if (rc != 0) {
            assert_true(rc == ERR_CORRUPT || rc == ERR_VERSION);
            return true;
        }
        start = made->ends[p];
    }
    return false;
}

static void every_flipped_bit_is_noticed(void **state)
{
    (void)state;
    struct made made = make_run(11, 2, 4, 40);
    for (uint64_t bit = 0; bit < 8 * made.len; bit++) {
        uint8_t byte;
        off_t at = (off_t)(bit / 8);
        assert_int_equal(pread(made.fd, &byte, 1, at), 1);
        uint8_t wrong = (uint8_t)(byte ^ (1U << (bit % 8)));
        assert_int_equal(pwrite(made.fd, &wrong, 1, at), 1);
        if (!is_noticed(&made))
            fail_msg("bit %d of %d flipped and nobody noticed", (int)bit, (int)(8 * made.len));
        assert_int_equal(pwrite(made.fd, &byte, 1, at), 1);
    }
    assert_false(is_noticed(&made));
    drop_run(&made);
}

static void a_flipped_byte_in_a_partition_of_many_chunks_is_noticed(void **state)
{
    (void)state;
    struct made made = make_run(12, 2, 1500, 2000);
    assert_true(made.parts[1].len > 3 * RUN_CHUNK);
    for (uint64_t at = 5; at < made.len; at += made.len / 60) {
        uint8_t byte;
        assert_int_equal(pread(made.fd, &byte, 1, (off_t)at), 1);
        uint8_t wrong = byte ^ 0x10;
        assert_int_equal(pwrite(made.fd, &wrong, 1, (off_t)at), 1);
        assert_true(is_noticed(&made));
        assert_int_equal(pwrite(made.fd, &byte, 1, (off_t)at), 1);
    }
    drop_run(&made);
}

static void a_run_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct made made = make_run(13, 2, 20, 60);
    for (uint64_t len = 0; len < made.len; len++) {
        struct run_reader reader;
        assert_int_equal(run_reader_open(&reader, made.fd, len, "run", NULL), ERR_CORRUPT);
    }
    assert_int_equal(ftruncate(made.fd, (off_t)made.len / 2), 0);
    assert_true(is_noticed(&made));
    drop_run(&made);
}

static void a_run_in_memory_has_the_pieces_it_has_in_a_file(void **state)
{
    (void)state;
    struct made made = make_run(17, 3, 20, 60);
    uint8_t *whole = mem_alloc((size_t)made.len);
    struct run_reader in_file, in_memory;
    assert_int_equal(pread(made.fd, whole, (size_t)made.len, 0), (ssize_t)made.len);
    assert_int_equal(run_reader_open(&in_file, made.fd, made.len, "run", NULL), 0);
    assert_int_equal(
        run_reader_open_memory(&in_memory, slice_of(whole, (size_t)made.len), "run", NULL), 0);
    for (uint32_t p = 0; p < 3; p++) {
        struct run_piece a, b;
        uint32_t *sums = NULL, *others = NULL;
        assert_int_equal(run_reader_piece(&in_file, p, &a, &sums, NULL), 0);
        assert_int_equal(run_reader_piece(&in_memory, p, &b, &others, NULL), 0);
        assert_true(a.offset == b.offset && a.len == b.len && a.records == b.records);
        assert_int_equal(a.crc, b.crc);
        assert_ptr_equal(b.data, whole + b.offset);
        mem_free(sums);
        mem_free(others);
    }
    for (size_t len = 0; len < made.len; len++)
        assert_int_equal(run_reader_open_memory(&in_memory, slice_of(whole, len), "run", NULL),
                         ERR_CORRUPT);
    mem_free(whole);
    drop_run(&made);
}

static void a_record_above_the_limit_is_refused_by_name(void **state)
{
    (void)state;
    struct made made = {.fd = memfd_create("run", MFD_CLOEXEC)};
    struct run_writer w;
    static uint8_t room[96 * 1024];
    struct run_target target = target_of(made.fd, room, sizeof(room));
    assert_int_equal(run_writer_open(&w, &target, 1, NULL), 0);
    size_t len = (size_t)RECORD_MAX;
    void *giant = mem_calloc(1, len);
    add_record(&w, &made.expect, slice_str("k"), slice_of(giant, len));
    assert_int_equal(run_writer_close(&w, &made.parts, &made.len, NULL), 0);
    struct buf got = BUF_INIT;
    assert_int_equal(read_partition(made.fd, made.len, 0, PIECE_BUFFER_MIN, &got), ERR_TOOBIG);
    mem_free(giant);
    drop_run(&made);
}

/* A record whose bytes tell where they stand in it; where `becomes_less`, for the most part. */
static void fill_record(uint8_t *record, size_t len, bool becomes_less)
{
    size_t head = record_head(record, 3, len);
    memcpy(record + head, "key", 3);
    for (size_t i = 0; i < len; i++)
        record[head + 3 + i] = (uint8_t)(becomes_less ? i >> 10 : i * 2654435761U >> 13);
}

static void write_lengths(struct made *made, const size_t *lengths, size_t count, uint8_t *record)
{
    static uint8_t room[96 * 1024];
    struct run_target target = target_of(made->fd, room, sizeof(room));
    struct run_writer w;
    assert_int_equal(run_writer_open(&w, &target, 1, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        uint8_t head[RECORD_HEAD_MAX];
        size_t len = record_head(head, 3, lengths[i]) + 3 + lengths[i];
        fill_record(record, lengths[i], i % 2);
        if (i % 3 != 1 || len <= PACK_FRAME) {
            run_writer_add(&w, record, len);
            continue;
        }
        run_writer_begin_long(&w, len);
        for (size_t at = 0; at < len; at += RUN_STEP)
            run_writer_go_on(&w, record + at, len - at < RUN_STEP ? len - at : RUN_STEP);
    }
    assert_int_equal(run_writer_close(&w, &made->parts, &made->len, NULL), 0);
}

static void read_lengths(const struct made *made, const size_t *lengths, size_t count, size_t room,
                         uint8_t *record)
{
    struct run_reader reader;
    struct run_piece piece;
    struct piece_cursor c;
    uint32_t *sums = NULL;
    struct err err = {0};
    assert_int_equal(run_reader_open(&reader, made->fd, made->len, "run", &err), 0);
    assert_int_equal(run_reader_piece(&reader, 0, &piece, &sums, &err), 0);
    void *buffer = mem_alloc(room);
    piece_cursor_open(&c, &piece, &(struct piece_conf){buffer, room, UINT32_MAX, "run", &err});
    for (size_t i = 0; i < count; i++) {
        fill_record(record, lengths[i], i % 2);
        if (c.cursor.next(&c.cursor) != 1)
            fail_msg("record %zu of %zu bytes: %s", i, lengths[i], err.msg);
        assert_int_equal(c.cursor.value.len, lengths[i]);
        assert_memory_equal(c.cursor.raw.data, record, c.cursor.raw.len);
    }
    assert_int_equal(c.cursor.next(&c.cursor), 0);
    piece_cursor_close(&c);
    mem_free(sums);
    mem_free(buffer);
}

static void records_of_any_length_come_back(void **state)
{
    (void)state;
    const size_t longest = (size_t)100 << 20;
    const size_t lengths[] = {10,
                              PACK_FRAME - 20,
                              PACK_FRAME - 6,
                              PACK_FRAME - 7,
                              PACK_FRAME,
                              3,
                              32767,
                              32768,
                              65536,
                              200000,
                              12345,
                              longest,
                              1,
                              5 << 20,
                              (1 << 20) - 7,
                              0,
                              PACK_FRAME + 1,
                              49152,
                              longest / 7};
    struct made made = {.fd = memfd_create("run", MFD_CLOEXEC)};
    uint8_t *record = mem_alloc(longest + 100);
    write_lengths(&made, lengths, ARRAY_LEN(lengths), record);
    read_lengths(&made, lengths, ARRAY_LEN(lengths), PIECE_BUFFER_MIN, record);
    read_lengths(&made, lengths, ARRAY_LEN(lengths), 256 << 10, record);
    mem_free(record);
    drop_run(&made);
}

static void what_becomes_less_takes_less_room_when_packed(void **state)
{
    (void)state;
    struct made made = {.fd = memfd_create("run", MFD_CLOEXEC)};
    struct run_writer w;
    static uint8_t room[96 * 1024];
    struct run_target target = target_of(made.fd, room, sizeof(room));
    assert_int_equal(run_writer_open(&w, &target, 1, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "%08d", i);
        add_record(&w, &made.expect, slice_str(key), slice_str("the same words every time"));
    }
    assert_int_equal(run_writer_close(&w, &made.parts, &made.len, NULL), 0);
    assert_int_equal(made.parts[0].plain_bytes, made.expect.len);
    assert_true(packing ? made.len < made.expect.len / 2 : made.len > made.expect.len);
    drop_run(&made);
}

static void a_packed_piece_in_memory_reads_the_same(void **state)
{
    (void)state;
    struct made made = make_run(3, 1, 500, 20000);
    struct run_piece piece = {
        .fd = -1, .len = made.parts[0].len, .records = made.parts[0].records, .is_packed = true};
    uint8_t *bytes = mem_alloc((size_t)piece.len), room[PIECE_BUFFER_MIN];
    struct buf got = BUF_INIT;
    struct piece_cursor c;
    struct err err = {0};
    assert_int_equal(pread(made.fd, bytes, (size_t)piece.len, (off_t)made.parts[0].offset),
                     (ssize_t)piece.len);
    piece.data = bytes;
    assert_true(run_piece_needs_buffer(&piece));
    struct piece_conf conf = {room, sizeof(room), RECORD_MAX, "memory", &err};
    piece_cursor_open(&c, &piece, &conf);
    while (c.cursor.next(&c.cursor) == 1)
        buf_append_slice(&got, c.cursor.raw);
    assert_true(slice_eq(buf_slice(&got), buf_slice(&made.expect)));
    assert_false(c.is_bad);
    piece_cursor_close(&c);
    for (uint64_t len = 0; len < piece.len; len += len < 100 ? 1 : 997) { /* nothing beyond it */
        struct run_piece part = piece;
        uint8_t *copy = mem_alloc((size_t)len + 1);
        memcpy(copy, bytes, (size_t)len);
        part.data = copy;
        part.len = len;
        piece_cursor_open(&c, &part, &conf);
        int rc;
        while ((rc = c.cursor.next(&c.cursor)) == 1)
            ;
        assert_int_equal(rc, ERR_CORRUPT);
        piece_cursor_close(&c);
        mem_free(copy);
    }
    mem_free(bytes);
    buf_release(&got);
    drop_run(&made);
}

static void a_long_frame_holds_one_record(void **state)
{
    (void)state;
    const uint8_t short_one[] = {1, 1, 'k', 'v'};
    size_t len = (size_t)1 << 20;
    uint8_t *bytes = mem_calloc(1, len); /* many empty records */
    memcpy(bytes, short_one, sizeof(short_one));
    struct made made = {.fd = memfd_create("run", MFD_CLOEXEC)};
    struct run_writer w;
    static uint8_t room[96 * 1024];
    struct run_target target = target_of(made.fd, room, sizeof(room));
    assert_int_equal(run_writer_open(&w, &target, 1, NULL), 0);
    run_writer_begin_long(&w, len);
    run_writer_go_on(&w, bytes, len);
    assert_int_equal(run_writer_close(&w, &made.parts, &made.len, NULL), 0);
    struct buf got = BUF_INIT;
    assert_int_equal(read_partition(made.fd, made.len, 0, PIECE_BUFFER_MIN, &got), ERR_CORRUPT);
    buf_release(&got);
    mem_free(bytes);
    drop_run(&made);
}

static void a_full_target_fails_at_close(void **state)
{
    (void)state;
    struct run_writer w;
    static uint8_t room[64 * 1024];
    int fd = memfd_create("run", MFD_CLOEXEC);
    struct run_target target = {fd, 100000, room, sizeof(room), packing};
    assert_int_equal(run_writer_open(&w, &target, 4, NULL), 0);
    struct buf expect = BUF_INIT;
    struct rand rand;
    rand_init(&rand, 5);
    for (int i = 0; i < 20000; i++) {
        uint64_t value = rand_u64(&rand);
        add_record(&w, &expect, slice_str("a key"), slice_of(&value, sizeof(value)));
    }
    assert_true(run_writer_has_failed(&w));
    struct run_part *parts = NULL;
    uint64_t len = 0;
    struct err err;
    assert_int_equal(run_writer_close(&w, &parts, &len, &err), ERR_NOSPC);
    buf_release(&expect);
    close(fd);
}

static void garbage_is_no_record(void **state)
{
    (void)state;
    struct slice key, value;
    uint64_t need = 0;
    uint8_t endless[16];
    memset(endless, 0xff, sizeof(endless));
    assert_null(record_parse(endless, endless + 16, &key, &value, &need));
    assert_true(need == UINT64_MAX);
    assert_null(record_parse(endless, endless + 3, &key, &value, &need));
    assert_int_equal(need, 0);
    const uint8_t half[] = {3, 4, 'a', 'b'};
    assert_null(record_parse(half, half + 4, &key, &value, &need));
    assert_int_equal(need, 9);
}

#define BOTH(test)                                 \
    {#test, test, plain, NULL, NULL},              \
    {                                              \
#test ", packed", test, packed, NULL, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(records_come_back_as_they_were_written),
        BOTH(records_of_any_length_come_back),
        BOTH(what_becomes_less_takes_less_room_when_packed),
        BOTH(every_flipped_bit_is_noticed),
        BOTH(a_flipped_byte_in_a_partition_of_many_chunks_is_noticed),
        BOTH(a_run_cut_anywhere_is_refused),
        BOTH(a_run_in_memory_has_the_pieces_it_has_in_a_file),
        BOTH(a_record_above_the_limit_is_refused_by_name),
        BOTH(a_full_target_fails_at_close),
        cmocka_unit_test_setup(a_piece_in_memory_reads_the_same, plain),
        cmocka_unit_test_setup(a_packed_piece_in_memory_reads_the_same, packed),
        cmocka_unit_test_setup(a_long_frame_holds_one_record, packed),
        cmocka_unit_test(garbage_is_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
