/* SPDX-License-Identifier: Apache-2.0
 * history, on a disk that forgets what was not synced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "jobtracker/journal/history.h"
#include "libcommon/store/fsutil.h"
#include "tests/sim/disk.h"

struct fixture {
    struct sim_disk *sim;
    struct history history;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->sim = sim_disk_new();
    *state = f;
    return history_init(&f->history, sim_disk(f->sim), "/h", NULL);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    history_release(&f->history);
    sim_disk_free(f->sim);
    free(f);
    return 0;
}

static void write_status(struct fixture *f, uint64_t ms, uint64_t number)
{
    struct job_id id = {ms, number};
    assert_int_equal(history_write(&f->history, id, ".status", slice_str("s"), NULL), 0);
}

static void what_was_written_is_read_again_after_a_power_cut(void **state)
{
    struct fixture *f = *state;
    struct job_id id = {5, 17};
    struct buf out = BUF_INIT;
    assert_int_equal(history_write(&f->history, id, ".json", slice_str("{}"), NULL), 0);
    sim_disk_crash(f->sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(history_read(&f->history, id, ".json", &out, NULL), 0);
    assert_true(slice_eq(buf_slice(&out), slice_str("{}")));
    buf_release(&out);
}

static void begin(struct fixture *f, uint64_t number, struct outfile *ret)
{
    assert_int_equal(
        history_begin(&f->history, (struct job_id){5, number}, ".json", slice_str("{}"), ret, NULL),
        0);
}

static void
what_was_begun_is_there_after_a_power_cut_once_all_was_committed_and_synced(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT;
    struct outfile files[4];
    for (uint64_t n = 1; n <= 4; n++)
        begin(f, n, &files[n - 1]);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(outfile_commit_unnamed(&files[i], NULL), 0);
    assert_int_equal(history_sync(&f->history, NULL), 0);
    assert_int_equal(outfile_commit_unnamed(&files[3], NULL), 0);
    sim_disk_crash(f->sim, SIM_CRASH_NOTHING, 1);
    for (uint64_t n = 1; n <= 3; n++)
        assert_int_equal(history_read(&f->history, (struct job_id){5, n}, ".json", &out, NULL), 0);
    assert_int_equal(history_read(&f->history, (struct job_id){5, 4}, ".json", &out, NULL),
                     ERR_NOENT);
    buf_release(&out);
}

static void what_a_kill_left_half_written_is_gone_after_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct disk *disk = sim_disk(f->sim);
    struct disk_stat st;
    struct history again;
    write_status(f, 5, 1);
    assert_int_equal(fsutil_write_all(disk, "/h/job_5_0002.log.tmp", slice_str("ha"), NULL), 0);
    assert_int_equal(history_init(&again, disk, "/h", NULL), 0);
    history_release(&again);
    assert_int_equal(disk_stat(disk, "/h/job_5_0002.log.tmp", &st), ERR_NOENT);
    assert_int_equal(disk_stat(disk, "/h/job_5_0001.status", &st), 0);
}

static void a_job_that_was_never_written_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT;
    assert_int_equal(history_read(&f->history, (struct job_id){5, 18}, ".log", &out, NULL),
                     ERR_NOENT);
    buf_release(&out);
}

static void a_full_disk_leaves_no_half_written_history(void **state)
{
    struct fixture *f = *state;
    struct job_id ids[4];
    size_t count;
    struct err err = {0};
    sim_disk_fail(f->sim, "/h", 2, ERR_NOSPC, false);
    assert_int_not_equal(
        history_write(&f->history, (struct job_id){5, 1}, ".status", slice_str("s"), &err), 0);
    assert_int_equal(history_list(&f->history, 4, ids, &count), 0);
    assert_int_equal(count, 0);
}

static void the_newest_come_first_and_no_more_than_asked_for(void **state)
{
    struct fixture *f = *state;
    struct job_id ids[3];
    size_t count;
    write_status(f, 5, 2);
    write_status(f, 5, 10);
    write_status(f, 4, 99);
    write_status(f, 5, 9);
    assert_int_equal(history_list(&f->history, 3, ids, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(ids[0].number, 10);
    assert_int_equal(ids[1].number, 9);
    assert_int_equal(ids[2].number, 2);
}

static void foreign_files_among_the_history_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct job_id ids[3];
    size_t count;
    int fd;
    assert_int_equal(disk_open(sim_disk(f->sim), "/h/notes.status", DISK_WRITE | DISK_CREATE, &fd),
                     0);
    disk_close(sim_disk(f->sim), fd);
    write_status(f, 5, 1);
    assert_int_equal(history_list(&f->history, 3, ids, &count), 0);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read_again_after_a_power_cut, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            what_was_begun_is_there_after_a_power_cut_once_all_was_committed_and_synced, setup,
            teardown),
        cmocka_unit_test_setup_teardown(what_a_kill_left_half_written_is_gone_after_the_next_start,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_that_was_never_written_is_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_no_half_written_history, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_newest_come_first_and_no_more_than_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(foreign_files_among_the_history_are_passed_over, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
