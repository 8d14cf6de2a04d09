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
#include "libcommon/codec/crc32c.h"
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
    for (size_t i = 0; i < pieces.count; i++) /* nor is anything written there any more */
        for (size_t f = 0; f < pieces.file_count; f++)
            if (pieces.files[f].fd == pieces.all[i].run.fd)
                assert_false(scratch.is_bad[pieces.files[f].dir]);
    for (uint32_t map = 0; map < 20; map++)
        check(&pieces.all[map], 500);
    end();
}

static void a_disk_that_fails_in_the_middle_of_a_piece_gets_no_more(void **state)
{
    (void)state;
    begin(100000);
    struct pieces_slot slot;
    assert_int_equal(pieces_begin(&pieces, 50000, &slot, &err), 0);
    assert_int_equal(fault_arm("disk.write=1:eio", &err), 0);
    assert_int_equal(pieces_write(&pieces, &slot, slice_str("half"), &err), ERR_IO);
    fault_arm(NULL, NULL);
    size_t bad = pieces.files[slot.file].dir;
    pieces_cancel(&pieces, &slot);
    assert_true(scratch.is_bad[bad]);
    assert_false(scratch.is_bad[1 - bad]);
    receive(0, 0, 10000);
    assert_int_equal(pieces.files[pieces.file_count - 1].dir, 1 - bad);
    check(&pieces.all[0], 10000);
    end();
}

static void a_quarter_of_the_memory_at_most_goes_there(void **state)
{
    (void)state;
    begin(100000);
    struct pieces_slot small, large;
    assert_int_equal(pieces_begin(&pieces, 25000, &small, &err), 0);
    assert_int_equal(pieces_begin(&pieces, 25001, &large, &err), 0);
    assert_non_null(small.memory);
    assert_null(large.memory);
    pieces_cancel(&pieces, &small);
    pieces_cancel(&pieces, &large);
    end();
}

static void the_memory_is_used_to_its_last_byte_and_not_beyond(void **state)
{
    (void)state;
    begin(99999);
    const struct piece what = {.map = 2, .run = {.records = 1}};
    /* Four leave three bytes; then, behind four, the last one takes all that is left. */
    const uint64_t lens[] = {24999, 24999, 24999, 24999, 4, 24999, 24999, 24999, 24998};
    for (size_t i = 0, at = 0; i < 9; i++) {
        struct pieces_slot slot;
        at = i == 4 ? 0 : at;
        assert_int_equal(pieces_begin(&pieces, lens[i], &slot, &err), 0);
        assert_ptr_equal(slot.memory, space + at);
        assert_int_equal(pieces.spilled_bytes, i < 4 ? 0 : 99996);
        memset(slot.memory, 0, lens[i]);
        assert_int_equal(pieces_commit(&pieces, &slot, &what), 0);
        at += lens[i];
    }
    assert_int_equal(pieces.used, 99999);
    end();
}

static void a_piece_without_bytes_is_not_kept_nor_are_its_sums(void **state)
{
    (void)state;
    begin(100000);
    struct piece nothing = {.own_fd = -1, .sums = mem_alloc(4)};
    assert_int_equal(pieces_add_passed(&pieces, &nothing), 0);
    assert_int_equal(pieces.count, 0);
    end();
}

static void only_what_others_wrote_is_looked_at_for_damage(void **state)
{
    (void)state;
    begin(100000);
    receive(0, 0, 10000);
    struct piece passed = pieces.all[0];
    passed.is_passed = true;
    assert_false(pieces_is_damaged(&passed));
    uint8_t byte;
    assert_int_equal(pread(passed.run.fd, &byte, 1, (off_t)passed.run.len - 1), 1);
    byte ^= 4;
    assert_int_equal(pwrite(passed.run.fd, &byte, 1, (off_t)passed.run.len - 1), 1);
    assert_true(pieces_is_damaged(&passed));
    assert_false(pieces_is_damaged(&pieces.all[0])); /* received: that is our own disk's doing */
    end();
}

static void the_sum_of_a_piece_on_disk_is_that_of_its_bytes(void **state)
{
    (void)state;
    static uint8_t bytes[3 * RUN_CHUNK + 1];
    const size_t lens[] = {
        1, RUN_CHUNK - 1, RUN_CHUNK, RUN_CHUNK + 1, 2 * RUN_CHUNK, sizeof(bytes)};
    const size_t steps[] = {1000, RUN_CHUNK, RUN_CHUNK + 1, sizeof(bytes)};
    struct rand rand;
    rand_init(&rand, 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)rand_u64(&rand);
    begin(2);
    for (size_t l = 0; l < ARRAY_LEN(lens); l++) {
        for (size_t s = 0; s < ARRAY_LEN(steps); s++) {
            struct pieces_slot slot;
            assert_int_equal(pieces_begin(&pieces, lens[l], &slot, &err), 0);
            for (size_t at = 0; at < lens[l]; at += steps[s]) {
                size_t n = lens[l] - at < steps[s] ? lens[l] - at : steps[s];
                assert_int_equal(pieces_write(&pieces, &slot, slice_of(bytes + at, n), &err), 0);
            }
            assert_int_equal(slot.crc, crc32c(0, bytes, lens[l]));
            pieces_cancel(&pieces, &slot);
        }
    }
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

#define SMALL 11000U

static void begin_small(void *arg)
{
    struct err why;
    assert_int_equal(pieces_begin(&pieces, SMALL, arg, &why), 0);
}

static void until_it_spills(void)
{
    for (bool is_spilling = false; !is_spilling; usleep(1000)) {
        mutex_lock(&pieces.lock);
        is_spilling = pieces.is_spilling || pieces.spilled_bytes > 0;
        mutex_unlock(&pieces.lock);
    }
}

static void nothing_in_memory_moves_before_the_last_piece_in_hand_is_whole(void **state)
{
    (void)state;
    begin(45000);
    struct pieces_slot slow, dropped, waiting;
    struct thread thread;
    const struct piece what = {.map = 2, .run = {.records = 1}};
    uint8_t byte = 0;
    receive(0, 0, 300);
    receive(1, 0, 300);
    assert_int_equal(pieces_begin(&pieces, SMALL, &slow, &err), 0);
    assert_int_equal(pieces_begin(&pieces, SMALL, &dropped, &err), 0);
    assert_int_equal(thread_start(&thread, "begin", begin_small, &waiting, &err), 0);
    until_it_spills();
    pieces_cancel(&pieces, &dropped);
    usleep(20000);
    memset(slow.memory, 's', SMALL);
    assert_int_equal(pieces_commit(&pieces, &slow, &what), 0);
    thread_join(&thread);
    assert_ptr_equal(waiting.memory, space);
    pieces_cancel(&pieces, &waiting);
    const struct run_piece *run = &pieces.all[2].run;
    for (size_t at = 0; at < SMALL; at++) {
        assert_int_equal(pread(run->fd, &byte, 1, (off_t)(run->offset + at)), 1);
        assert_int_equal(byte, 's');
    }
    check(&pieces.all[0], 300);
    check(&pieces.all[1], 300);
    end();
}

static void whoever_waits_while_it_moves_goes_on_beside_whoever_moved_it(void **state)
{
    (void)state;
    begin(45000);
    struct pieces_slot slots[2];
    struct thread threads[2];
    for (uint32_t map = 0; map < 5; map++)
        receive(map, 0, 300);
    assert_int_equal(fault_arm("disk.write=1:delay1000", &err), 0);
    assert_int_equal(thread_start(&threads[0], "begin", begin_small, &slots[0], &err), 0);
    until_it_spills();
    assert_int_equal(thread_start(&threads[1], "begin", begin_small, &slots[1], &err), 0);
    for (int i = 0; i < 2; i++) /* neither waits for the other's piece to be whole */
        thread_join(&threads[i]);
    fault_arm(NULL, NULL);
    assert_ptr_not_equal(slots[0].memory, slots[1].memory);
    for (int i = 0; i < 2; i++)
        pieces_cancel(&pieces, &slots[i]);
    for (uint32_t map = 0; map < 5; map++)
        check(&pieces.all[map], 300);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_that_do_not_fit_move_to_disk_and_stay_the_same),
        cmocka_unit_test(a_large_piece_goes_straight_to_disk),
        cmocka_unit_test(what_is_dropped_halfway_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_left_for_the_next),
        cmocka_unit_test(a_disk_that_fails_in_the_middle_of_a_piece_gets_no_more),
        cmocka_unit_test(a_quarter_of_the_memory_at_most_goes_there),
        cmocka_unit_test(the_memory_is_used_to_its_last_byte_and_not_beyond),
        cmocka_unit_test(a_piece_without_bytes_is_not_kept_nor_are_its_sums),
        cmocka_unit_test(only_what_others_wrote_is_looked_at_for_damage),
        cmocka_unit_test(the_sum_of_a_piece_on_disk_is_that_of_its_bytes),
        cmocka_unit_test(damage_on_disk_is_noticed),
        cmocka_unit_test(many_threads_share_the_memory),
        cmocka_unit_test(nothing_in_memory_moves_before_the_last_piece_in_hand_is_whole),
        cmocka_unit_test(whoever_waits_while_it_moves_goes_on_beside_whoever_moved_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
