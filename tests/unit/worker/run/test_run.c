/* SPDX-License-Identifier: Apache-2.0
 * Runs: what is written is read again, and no flipped or missing byte goes unnoticed. */
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
    for (size_t i = 0; i < len; i++)
        room[i] = (uint8_t)rand_u64(rand);
    return slice_of(room, len);
}

static struct made make_run(uint64_t seed, uint32_t partitions, size_t records, size_t max)
{
    struct made made = {.fd = memfd_create("run", MFD_CLOEXEC), .partitions = partitions};
    struct run_writer w;
    size_t cap = 96 * 1024;
    void *room = mem_alloc(cap);
    struct run_target target = {made.fd, UINT64_MAX, room, cap};
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
            assert_int_equal(made.parts[p].len, want.len);
            assert_int_equal(made.parts[p].crc, crc32c(0, want.data, want.len));
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

static void every_flipped_byte_is_noticed(void **state)
{
    (void)state;
    struct made made = make_run(11, 2, 4, 40);
    for (uint64_t at = 0; at < made.len; at++) {
        uint8_t byte;
        assert_int_equal(pread(made.fd, &byte, 1, (off_t)at), 1);
        uint8_t wrong = (uint8_t)(byte ^ (1U << (at % 8)));
        assert_int_equal(pwrite(made.fd, &wrong, 1, (off_t)at), 1);
        if (!is_noticed(&made))
            fail_msg("byte %d of %d flipped and nobody noticed", (int)at, (int)made.len);
        assert_int_equal(pwrite(made.fd, &byte, 1, (off_t)at), 1);
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
    struct run_target target = {made.fd, UINT64_MAX, room, sizeof(room)};
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

static void a_full_target_fails_at_close(void **state)
{
    (void)state;
    struct run_writer w;
    static uint8_t room[64 * 1024];
    int fd = memfd_create("run", MFD_CLOEXEC);
    struct run_target target = {fd, 100000, room, sizeof(room)};
    assert_int_equal(run_writer_open(&w, &target, 4, NULL), 0);
    struct buf expect = BUF_INIT;
    for (int i = 0; i < 20000; i++)
        add_record(&w, &expect, slice_str("a key"), slice_str("a value"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_as_they_were_written),
        cmocka_unit_test(a_piece_in_memory_reads_the_same),
        cmocka_unit_test(every_flipped_byte_is_noticed),
        cmocka_unit_test(a_flipped_byte_in_a_partition_of_many_chunks_is_noticed),
        cmocka_unit_test(a_run_cut_anywhere_is_refused),
        cmocka_unit_test(a_run_in_memory_has_the_pieces_it_has_in_a_file),
        cmocka_unit_test(a_record_above_the_limit_is_refused_by_name),
        cmocka_unit_test(a_full_target_fails_at_close),
        cmocka_unit_test(garbage_is_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
