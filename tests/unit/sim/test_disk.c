/* SPDX-License-Identifier: Apache-2.0
 * sim/disk: it forgets all that may be forgotten, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/store/fsutil.h"
#include "tests/sim/disk.h"

static struct sim_disk *sim;
static struct disk *d;

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    return disk_mkdir(d, "/d") || disk_fsync_dir(d, "/");
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_free(sim);
    return 0;
}

static int make(const char *path, const char *text, bool sync_file, bool sync_name)
{
    int fd = -1;
    assert_int_equal(disk_open(d, path, DISK_WRITE | DISK_CREATE, &fd), 0);
    assert_int_equal(disk_pwrite(d, fd, text, strlen(text), 0), 0);
    if (sync_file)
        assert_int_equal(disk_fsync(d, fd), 0);
    if (sync_name)
        assert_int_equal(disk_fsync_dir(d, "/d"), 0);
    return fd;
}

/* Text of a file, or "-" when it is not there. */
static const char *text_of(struct sim_disk *which, const char *path)
{
    static char text[4][64];
    static unsigned next;
    char *to = text[next++ % 4];
    struct buf got = BUF_INIT;
    int rc = fsutil_read_all(sim_disk(which), path, 1000, &got, NULL);
    snprintf(to, 64, "%.*s", rc ? 1 : (int)got.len, rc ? "-" : (const char *)got.data);
    buf_release(&got);
    return to;
}

static void synced_bytes_under_a_synced_name_survive(void **state)
{
    (void)state;
    make("/d/a", "kept", true, true);
    for (uint64_t seed = 0; seed < 50; seed++) {
        sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
        assert_string_equal(text_of(sim, "/d/a"), "kept");
    }
}

static void without_a_sync_of_the_name_the_file_may_be_gone(void **state)
{
    (void)state;
    unsigned gone = 0, there = 0;
    make("/d/a", "kept", true, false);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        const char *text = text_of(clone, "/d/a");
        if (strcmp(text, "-") == 0)
            gone++;
        else if (strcmp(text, "kept") == 0)
            there++;
        sim_disk_free(clone);
    }
    assert_true(gone > 5 && there > 5);
    assert_int_equal(gone + there, 50);
    assert_string_equal(text_of(sim, "/d/a"), "kept"); /* the original goes on */
}

static void unsynced_sectors_survive_in_any_combination(void **state)
{
    (void)state;
    int fd = make("/d/a", "", true, true);
    char page[1024], got[1024];
    memset(page, 'x', sizeof(page));
    assert_int_equal(disk_pwrite(d, fd, page, sizeof(page), 0), 0);
    bool seen[4] = {0};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        memset(got, 0, sizeof(got));
        int copy = -1;
        assert_int_equal(disk_open(sim_disk(clone), "/d/a", DISK_READ, &copy), 0);
        assert_true(disk_pread(sim_disk(clone), copy, got, sizeof(got), 0) >= 0);
        seen[(got[0] == 'x') + 2 * (got[1023] == 'x')] = true;
        assert_true(got[0] == got[511] && got[512] == got[1023]);
        sim_disk_free(clone);
    }
    assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void a_sector_written_twice_holds_one_of_its_versions(void **state)
{
    (void)state;
    int fd = make("/d/a", "old", true, true);
    bool one = false, two = false, old = false;
    assert_int_equal(disk_pwrite(d, fd, "one", 3, 0), 0);
    assert_int_equal(disk_pwrite(d, fd, "two", 3, 0), 0);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        const char *text = text_of(clone, "/d/a");
        one |= strcmp(text, "one") == 0;
        two |= strcmp(text, "two") == 0;
        old |= strcmp(text, "old") == 0;
        sim_disk_free(clone);
    }
    assert_true(one && two && old);
}

static void a_rename_is_old_or_new_and_never_neither(void **state)
{
    (void)state;
    unsigned olds = 0, news = 0;
    make("/d/a", "old", true, true);
    make("/d/b", "new", true, true);
    assert_int_equal(disk_rename(d, "/d/b", "/d/a"), 0);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        const char *a = text_of(clone, "/d/a"), *b = text_of(clone, "/d/b");
        bool is_old = strcmp(a, "old") == 0 && strcmp(b, "new") == 0;
        bool is_new = strcmp(a, "new") == 0 && strcmp(b, "-") == 0;
        assert_true(is_old || is_new);
        olds += is_old;
        news += is_new;
        sim_disk_free(clone);
    }
    assert_true(olds > 10 && news > 10);
}

static void a_move_between_directories_keeps_one_name_at_least(void **state)
{
    (void)state;
    assert_int_equal(disk_mkdir(d, "/e"), 0);
    assert_int_equal(disk_fsync_dir(d, "/"), 0);
    make("/d/a", "x", true, true);
    assert_int_equal(disk_rename(d, "/d/a", "/e/a"), 0);
    bool both = false, from = false, to = false;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        bool in_d = strcmp(text_of(clone, "/d/a"), "x") == 0;
        bool in_e = strcmp(text_of(clone, "/e/a"), "x") == 0;
        assert_true(in_d || in_e);
        both |= in_d && in_e;
        from |= in_d && !in_e;
        to |= in_e && !in_d;
        sim_disk_free(clone);
    }
    assert_true(both && from && to);
    assert_int_equal(disk_fsync_dir(d, "/d"), 0); /* takes the new name with it */
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_string_equal(text_of(sim, "/d/a"), "-");
    assert_string_equal(text_of(sim, "/e/a"), "x");
}

static void killing_the_process_forgets_nothing_but_locks(void **state)
{
    (void)state;
    int lock = -1;
    make("/d/a", "x", false, false);
    assert_int_equal(disk_lock(d, "/d/lock", &lock), 0);
    sim_disk_crash(sim, SIM_CRASH_ALL, 1);
    assert_string_equal(text_of(sim, "/d/a"), "x");
    assert_int_equal(disk_lock(d, "/d/lock", &lock), 0);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1); /* but it was still unsynced */
    assert_string_equal(text_of(sim, "/d/a"), "-");
}

static void after_a_failed_sync_the_next_one_lies(void **state)
{
    (void)state;
    int fd = make("/d/a", "old", true, true);
    sim_disk_fail(sim, "/d", 2, ERR_IO, false);
    assert_int_equal(disk_pwrite(d, fd, "new", 3, 0), 0);
    assert_int_equal(disk_fsync(d, fd), ERR_IO);
    assert_int_equal(disk_fsync(d, fd), 0);
    assert_string_equal(text_of(sim, "/d/a"), "new");
    sim_disk_crash(sim, SIM_CRASH_RANDOM, 3);
    assert_string_equal(text_of(sim, "/d/a"), "old");
}

static void a_dead_disk_fails_everything_under_its_prefix(void **state)
{
    (void)state;
    int fd = make("/d/a", "x", true, true);
    char got[4];
    sim_disk_fail(sim, "/d", 1, ERR_IO, true);
    assert_int_equal(disk_pwrite(d, fd, "y", 1, 0), ERR_IO);
    assert_int_equal(disk_pread(d, fd, got, 1, 0), ERR_IO);
    assert_int_equal(disk_rename(d, "/d/a", "/d/b"), ERR_IO);
    assert_int_equal(disk_mkdir(d, "/e"), 0);
    sim_disk_fail(sim, "/d", 0, 0, false);
    assert_int_equal(disk_pread(d, fd, got, 1, 0), 1);
}

static void a_full_disk_refuses_to_grow(void **state)
{
    (void)state;
    int fd = make("/d/a", "", true, true);
    sim_disk_set_capacity(sim, 1000);
    assert_int_equal(disk_allocate(d, fd, 1001), ERR_NOSPC);
    assert_int_equal(disk_allocate(d, fd, 900), 0);
    make("/d/b", "1234", true, true);
    assert_int_equal(disk_pwrite(d, fd, "x", 1, 999), ERR_NOSPC);
    assert_int_equal(disk_unlink(d, "/d/b"), 0);
    assert_int_equal(disk_pwrite(d, fd, "x", 1, 999), 0);
}

static void garbled_sectors_are_noise(void **state)
{
    (void)state;
    bool noise = false;
    int fd = make("/d/a", "old", true, true);
    sim_disk_set_garble(sim, 2);
    assert_int_equal(disk_pwrite(d, fd, "new", 3, 0), 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        const char *text = text_of(clone, "/d/a");
        noise |= strcmp(text, "old") != 0 && strcmp(text, "new") != 0;
        sim_disk_free(clone);
    }
    assert_true(noise);
}

static void count(void *arg, uint64_t op)
{
    *(uint64_t *)arg = op;
}

static void every_changing_operation_is_counted_before_it_happens(void **state)
{
    (void)state;
    uint64_t seen = 0, before = sim_disk_ops(sim);
    sim_disk_on_op(sim, count, &seen);
    make("/d/a", "x", true, true); /* create, write, sync, sync of the name */
    assert_int_equal(seen - before, 4);
    assert_int_equal(sim_disk_ops(sim), seen);
}

static void a_flipped_bit_is_read_and_survives(void **state)
{
    (void)state;
    make("/d/a", "a", true, true);
    assert_int_equal(sim_disk_flip(sim, "/d/a", 1), 0);
    assert_string_equal(text_of(sim, "/d/a"), "c");
    assert_int_equal(sim_disk_flip(sim, "/d/a", 8), ERR_INVAL);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_string_equal(text_of(sim, "/d/a"), "c");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(synced_bytes_under_a_synced_name_survive),
        CASE(without_a_sync_of_the_name_the_file_may_be_gone),
        CASE(unsynced_sectors_survive_in_any_combination),
        CASE(a_sector_written_twice_holds_one_of_its_versions),
        CASE(a_rename_is_old_or_new_and_never_neither),
        CASE(a_move_between_directories_keeps_one_name_at_least),
        CASE(killing_the_process_forgets_nothing_but_locks),
        CASE(after_a_failed_sync_the_next_one_lies),
        CASE(a_dead_disk_fails_everything_under_its_prefix),
        CASE(a_full_disk_refuses_to_grow),
        CASE(garbled_sectors_are_noise),
        CASE(every_changing_operation_is_counted_before_it_happens),
        CASE(a_flipped_bit_is_read_and_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
