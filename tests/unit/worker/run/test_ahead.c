/* SPDX-License-Identifier: Apache-2.0
 * Reading ahead: a cursor has the disk begin with what it will read, and with nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/store/disk.h"
#include "worker/run/reader.h"
#include "worker/run/record.h"

#define RECORDS 600 /* of 16 KiB in each partition */
#define VALUE   ((size_t)16 << 10)
#define BUFFER  (4 * (size_t)RUN_CHUNK)
#define AHEAD   ((uint64_t)1 << 20)
#define WAIT_MS 60000

struct cold {
    int fd;
    uint64_t len;
    struct run_piece before, piece, behind; /* three partitions, one after another */
    uint32_t *sums[3];
};

static bool is_cached(const struct cold *cold, uint64_t off)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char here = 0;
    void *map = mmap(NULL, page, PROT_READ, MAP_SHARED, cold->fd, (off_t)(off / page * page));
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, page, &here), 0);
    munmap(map, page);
    return here & 1;
}

static void write_run(struct cold *cold)
{
    struct run_writer w;
    struct run_part *parts = NULL;
    uint8_t *room = mem_alloc(BUFFER), *record = mem_calloc(1, VALUE + RECORD_HEAD_MAX);
    size_t head = record_head(record, 0, VALUE);
    struct run_target target = {cold->fd, UINT64_MAX, room, BUFFER, NULL};
    assert_int_equal(run_writer_open(&w, &target, 3, NULL), 0);
    for (int p = 0; p < 3; p++) {
        for (int i = 0; i < RECORDS; i++)
            run_writer_add(&w, record, head + VALUE);
        run_writer_end_partition(&w, 0);
    }
    assert_int_equal(run_writer_close(&w, &parts, &cold->len, NULL), 0);
    mem_free(parts);
    mem_free(room);
    mem_free(record);
}

/* A run on the disk and not in memory; skipped where files are always in memory. */
static struct cold make_cold(void)
{
    char path[] = "/tmp/quern-ahead-XXXXXX";
    struct cold cold = {.fd = mkstemp(path)};
    struct run_piece *pieces[] = {&cold.before, &cold.piece, &cold.behind};
    struct run_reader reader;
    assert_true(cold.fd >= 0);
    unlink(path);
    write_run(&cold);
    assert_int_equal(run_reader_open(&reader, cold.fd, cold.len, "run", NULL), 0);
    for (uint32_t p = 0; p < 3; p++)
        assert_int_equal(run_reader_piece(&reader, p, pieces[p], &cold.sums[p], NULL), 0);
    assert_int_equal(fdatasync(cold.fd), 0);
    assert_int_equal(posix_fadvise(cold.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return cold;
}

static void drop_cold(struct cold *cold)
{
    for (int p = 0; p < 3; p++)
        mem_free(cold->sums[p]);
    close(cold->fd);
}

static bool comes_into_memory(const struct cold *cold, uint64_t off)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    while (!is_cached(cold, off) && clock_mono_ms() < until)
        usleep(1000);
    return is_cached(cold, off);
}

static void a_piece_is_read_ahead_to_its_end_and_no_further(void **state)
{
    (void)state;
    struct cold cold = make_cold();
    struct piece_cursor c;
    struct err err = {0};
    void *room = mem_alloc(BUFFER);
    struct piece_conf conf = {room, BUFFER, 2 * VALUE, "run", &err, AHEAD};
    uint64_t middle = cold.behind.offset + cold.behind.len / 2;
    if (is_cached(&cold, middle) || is_cached(&cold, cold.piece.offset + cold.piece.len / 2)) {
        mem_free(room);
        drop_cold(&cold);
        skip(); /* /tmp is memory */
    }
    piece_cursor_open(&c, &cold.piece, &conf);
    assert_true(comes_into_memory(&cold, cold.piece.offset + BUFFER / 2));
    size_t records = 0;
    while (c.cursor.next(&c.cursor) == 1) {
        uint64_t next = c.read + BUFFER;
        if (++records % 100 == 0 && next < cold.piece.len)
            assert_true(comes_into_memory(&cold, cold.piece.offset + next));
    }
    assert_int_equal(err.code, 0);
    assert_int_equal(records, RECORDS);
    assert_false(is_cached(&cold, middle));
    assert_false(is_cached(&cold, cold.before.offset + cold.before.len / 2));
    piece_cursor_close(&c);
    mem_free(room);
    drop_cold(&cold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_piece_is_read_ahead_to_its_end_and_no_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
