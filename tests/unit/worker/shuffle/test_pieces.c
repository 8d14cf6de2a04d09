/* SPDX-License-Identifier: Apache-2.0
 * Pieces keep their bytes, in memory, moved to disk, or received there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/store/fsutil.h"
#include "worker/run/record.h"
#include "worker/shuffle/pieces.h"

static char dirs[2][40];
static struct scratch scratch;
static struct pieces pieces;
static uint8_t *space;
static struct err err;

static void begin(size_t size)
{
    struct slice paths[2];
    for (int i = 0; i < 2; i++) {
        snprintf(dirs[i], sizeof(dirs[i]), "/tmp/quern-pieces-XXXXXX");
        assert_non_null(mkdtemp(dirs[i]));
        paths[i] = slice_str(dirs[i]);
    }
    assert_int_equal(scratch_open(&scratch, paths, 2), 0);
    space = mem_alloc(size);
    pieces_open(&pieces, space, size, &scratch);
}

static void end(void)
{
    pieces_close(&pieces);
    scratch_close(&scratch);
    mem_free(space);
    for (int i = 0; i < 2; i++)
        assert_int_equal(fsutil_remove_tree(disk_real(), dirs[i], NULL), 0);
}

/* The piece of a map: `records` records of its own. */
static struct buf make_bytes(uint32_t map, uint32_t partition, uint64_t records)
{
    struct buf out = BUF_INIT;
    for (uint64_t i = 0; i < records; i++) {
        uint8_t head[RECORD_HEAD_MAX];
        char key[64];
        size_t len = (size_t)snprintf(key, sizeof(key), "map %u partition %u record %llu", map,
                                      partition, (unsigned long long)i);
        buf_append(&out, head, record_head(head, len, 0));
        buf_append(&out, key, len);
    }
    return out;
}

static void receive(uint32_t map, uint32_t partition, uint64_t records)
{
    struct buf bytes = make_bytes(map, partition, records);
    struct pieces_slot slot;
    assert_int_equal(pieces_begin(&pieces, bytes.len, &slot, &err), 0);
    if (slot.memory) {
        if (bytes.len)
            memcpy(slot.memory, bytes.data, bytes.len);
    } else {
        for (size_t at = 0; at < bytes.len;) {
            size_t n = bytes.len - at < 50001 ? bytes.len - at : 50001;
            assert_int_equal(pieces_write(&pieces, &slot, slice_of(bytes.data + at, n), &err), 0);
            at += n;
        }
    }
    struct piece what = {.map = map, .partition = partition, .run = {.records = records}};
    assert_int_equal(pieces_commit(&pieces, &slot, &what), 0);
    buf_release(&bytes);
}

static void check(const struct piece *piece, uint64_t records)
{
    struct buf want = make_bytes(piece->map, piece->partition, records);
    uint8_t *room = mem_alloc(PIECE_BUFFER_MIN);
    struct piece_cursor c;
    piece_cursor_open(&c, &piece->run,
                      &(struct piece_conf){room, PIECE_BUFFER_MIN, 1 << 20, "piece", &err});
    size_t at = 0;
    int rc;
    for (; (rc = c.cursor.next(&c.cursor)) == 1; at += c.cursor.raw.len)
        assert_true(slice_eq(c.cursor.raw, slice_of(want.data + at, c.cursor.raw.len)));
    assert_int_equal(rc, 0);
    assert_int_equal(at, want.len);
    piece_cursor_close(&c);
    mem_free(room);
    buf_release(&want);
}

static uint64_t records_of(uint32_t map)
{
    return map % 5 == 0 ? 0 : map * 37 % 900;
}

static void pieces_that_do_not_fit_move_to_disk_and_stay_the_same(void **state)
{
    (void)state;
    begin(100000);
    for (uint32_t map = 60; map-- > 0;)
        receive(map, map % 2, records_of(map));
    assert_true(pieces.spilled_bytes > 0);
    pieces_sort(&pieces);
    size_t at = 0;
    for (uint32_t i = 0; i < 60; i++) {
        uint32_t map = i < 30 ? 2 * i : 2 * (i - 30) + 1;
        if (records_of(map) == 0) /* of nothing nothing is kept */
            continue;
        assert_int_equal(pieces.all[at].partition, map % 2);
        assert_int_equal(pieces.all[at].map, map);
        check(&pieces.all[at++], records_of(map));
    }
    assert_int_equal(pieces.count, at);
    end();
}

static void a_large_piece_goes_straight_to_disk(void **state)
{
    (void)state;
    begin(100000);
    receive(0, 0, 10000);
    receive(1, 0, 10);
    assert_int_equal(pieces.spilled_bytes, 0);
    assert_true(pieces.disk_bytes > 100000);
    check(&pieces.all[0], 10000);
    check(&pieces.all[1], 10);
    end();
}

static void what_is_dropped_halfway_leaves_nothing(void **state)
{
    (void)state;
    begin(100000);
    struct pieces_slot slot;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(pieces_begin(&pieces, 20000, &slot, &err), 0);
        pieces_cancel(&pieces, &slot);
    }
    assert_int_equal(pieces_begin(&pieces, 500000, &slot, &err), 0);
    assert_int_equal(pieces_write(&pieces, &slot, slice_str("half"), &err), 0);
    pieces_cancel(&pieces, &slot);
    assert_int_equal(pieces.count, 0);
    end();
}

static void a_full_disk_is_left_for_the_next(void **state)
{
    (void)state;
    begin(100000);
    assert_int_equal(fault_arm("disk.write=1:enospc", &err), 0);
    for (uint32_t map = 0; map < 20; map++)
        receive(map, 0, 500);
    fault_arm(NULL, NULL);
    assert_true(scratch.is_bad[0] != scratch.is_bad[1]);
    for (uint32_t map = 0; map < 20; map++)
        check(&pieces.all[map], 500);
    end();
}

static void damage_on_disk_is_noticed(void **state)
{
    (void)state;
    begin(100000);
    receive(0, 0, 10000);
    struct run_piece *run = &pieces.all[0].run;
    uint8_t byte;
    assert_int_equal(pread(run->fd, &byte, 1, (off_t)run->len / 2), 1);
    byte ^= 4;
    assert_int_equal(pwrite(run->fd, &byte, 1, (off_t)run->len / 2), 1);
    uint8_t *room = mem_alloc(PIECE_BUFFER_MIN);
    struct piece_cursor c;
    piece_cursor_open(&c, run,
                      &(struct piece_conf){room, PIECE_BUFFER_MIN, 1 << 20, "piece", &err});
    int rc;
    while ((rc = c.cursor.next(&c.cursor)) == 1)
        ;
    assert_int_equal(rc, ERR_CORRUPT);
    assert_true(c.is_bad);
    piece_cursor_close(&c);
    mem_free(room);
    end();
}

static atomic_uint next_map;
static void receiver(void *arg)
{
    (void)arg;
    uint32_t map;
    while ((map = atomic_fetch_add(&next_map, 1)) < 300)
        receive(map, 0, records_of(map));
}

static void many_threads_share_the_memory(void **state)
{
    (void)state;
    begin(120000);
    struct thread threads[4];
    atomic_store(&next_map, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(thread_start(&threads[i], "receiver", receiver, NULL, &err), 0);
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    pieces_sort(&pieces);
    size_t at = 0;
    for (uint32_t i = 0; i < 300; i++) {
        if (records_of(i) == 0)
            continue;
        assert_int_equal(pieces.all[at].map, i);
        check(&pieces.all[at++], records_of(i));
    }
    assert_int_equal(pieces.count, at);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_that_do_not_fit_move_to_disk_and_stay_the_same),
        cmocka_unit_test(a_large_piece_goes_straight_to_disk),
        cmocka_unit_test(what_is_dropped_halfway_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_left_for_the_next),
        cmocka_unit_test(damage_on_disk_is_noticed),
        cmocka_unit_test(many_threads_share_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
