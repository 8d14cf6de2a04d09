/* SPDX-License-Identifier: Apache-2.0
 * A directory of a log leaves and comes back while records are written, over a disk that forgets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "tests/sim/disk.h"

static const char *const both[] = {"/a", "/b"};

static struct wal_options options_of(struct sim_disk *sim, const char *const *dirs, size_t count)
{
    return (struct wal_options){
        .disk = sim_disk(sim), .dirs = dirs, .dir_count = count, .segment_bytes = 16384};
}

static struct wal *open_log(struct sim_disk *sim, const char *const *dirs, size_t count)
{
    struct wal_options options = options_of(sim, dirs, count);
    struct wal *wal = NULL;
    struct err err = {0};
    if (wal_open(&options, &wal, &err) != 0)
        fail_msg("%s", err.msg);
    return wal;
}

static struct wal *new_log(struct sim_disk *sim)
{
    struct wal_options options = options_of(sim, both, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(fsutil_mkdirs(sim_disk(sim), both[i], NULL), 0);
    assert_int_equal(wal_create(&options, 77, 1, NULL), 0);
    return open_log(sim, both, 2);
}

static void commit(struct wal *wal)
{
    static uint64_t now_ms;
    struct err err = {0};
    struct wal_batch *batch = wal_take_batch(wal, now_ms += 100);
    if (!batch)
        return;
    wal_write_batch(batch);
    if (wal_batch_done(wal, batch, &err) != 0)
        fail_msg("%s", err.msg);
}

static void write_records(struct wal *wal, unsigned count)
{
    uint8_t payload[700] = {1};
    uint64_t index = 0;
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(wal_append(wal, 1, 5, slice_of(payload, sizeof(payload)), &index), 0);
        commit(wal);
    }
}

static bool is_alive(const struct wal *wal, size_t i)
{
    bool alive = false;
    wal_dir(wal, i, &alive);
    return alive;
}

/* /b is given up, and what it holds removed. */
static void leave(struct sim_disk *sim, struct wal *wal)
{
    struct disk *disk = sim_disk(sim);
    wal_leave(wal, 1);
    commit(wal);
    assert_false(is_alive(wal, 1));
    assert_int_equal(fsutil_remove_tree(disk, "/b", NULL), 0);
    assert_int_equal(fsutil_mkdirs(disk, "/b", NULL), 0);
}

struct watch {
    struct sim_disk *sim;
    const struct wal *wal;
    unsigned looks;
};

static int count_one(void *arg, const struct wal_record *record)
{
    uint64_t *last = arg;
    assert_int_equal(record->index, *last + 1);
    *last = record->index;
    return 0;
}

static void expect_records(struct sim_disk *sim, const char *const *dirs, size_t count,
                           uint64_t least)
{
    struct wal *wal = open_log(sim, dirs, count);
    uint64_t last = 0;
    assert_int_equal(wal_replay(wal, 1, count_one, &last, NULL), 0);
    assert_true(last >= least);
    wal_abandon(wal);
}

/* The power goes: both directories, as they are configured, give all that was durable. */
static void look_after_crash(void *arg, uint64_t op)
{
    struct watch *w = arg;
    struct sim_disk *after = sim_disk_clone(w->sim, SIM_CRASH_RANDOM, op);
    expect_records(after, both, 2, wal_durable(w->wal));
    sim_disk_free(after);
    w->looks++;
}

static void a_directory_comes_back_and_a_power_cut_anywhere_loses_nothing(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct wal *wal = new_log(sim);
    struct watch watch = {sim, wal, 0};
    uint64_t have = 0;
    write_records(wal, 30); /* two segments */
    leave(sim, wal);
    write_records(wal, 15);
    sim_disk_on_op(sim, look_after_crash, &watch);
    assert_int_equal(wal_copy_sealed(sim_disk(sim), "/a", "/b", &have, NULL), 0);
    write_records(wal, 25); /* the next segment begins meanwhile */
    wal_join(wal, 1, have);
    assert_true(wal_is_joining(wal) && !wal_is_settled(wal));
    write_records(wal, 1);
    assert_true(is_alive(wal, 1) && !wal_is_joining(wal));
    write_records(wal, 25);
    sim_disk_on_op(sim, NULL, NULL);
    assert_true(watch.looks > 50);
    uint64_t durable = wal_durable(wal);
    assert_int_equal(durable, 96);
    wal_abandon(wal);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    expect_records(sim, &both[1], 1, durable); /* it needs nobody else */
    sim_disk_free(sim);
}

static void one_that_fails_while_it_comes_back_is_written_off_again(void **state)
{
    (void)state;
    for (unsigned at = 1; at < 24; at++) {
        struct sim_disk *sim = sim_disk_new();
        struct wal *wal = new_log(sim);
        uint64_t have = 0;
        write_records(wal, 30);
        leave(sim, wal);
        assert_int_equal(wal_copy_sealed(sim_disk(sim), "/a", "/b", &have, NULL), 0);
        sim_disk_fail(sim, "/b", at, ERR_IO, false);
        wal_join(wal, 1, have);
        write_records(wal, 3);
        sim_disk_fail(sim, "/b", 0, 0, false);
        write_records(wal, 3);
        uint64_t durable = wal_durable(wal);
        wal_abandon(wal);
        sim_disk_crash(sim, SIM_CRASH_NOTHING, at);
        expect_records(sim, both, 2, durable);
        sim_disk_free(sim);
    }
}

static void the_last_directory_does_not_leave(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct wal *wal = new_log(sim);
    wal_leave(wal, 0);
    wal_leave(wal, 1);
    write_records(wal, 2);
    assert_true(is_alive(wal, 0) != is_alive(wal, 1));
    wal_abandon(wal);
    sim_disk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_comes_back_and_a_power_cut_anywhere_loses_nothing),
        cmocka_unit_test(one_that_fails_while_it_comes_back_is_written_off_again),
        cmocka_unit_test(the_last_directory_does_not_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
