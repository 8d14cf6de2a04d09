/* SPDX-License-Identifier: Apache-2.0
 * When records of the jobtracker's journal leave for the disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobtracker/journal/joblog.h"
#include "libcommon/base/clock.h"
#include "tests/sim/disk.h"

#define LIMIT_MS 10000

struct fixture {
    struct sim_disk *disk;
    struct loop *loop;
    struct workq *workq;
    struct joblog *log;
    unsigned batches;
};

static void on_durable(void *arg, uint64_t durable, const struct err *err)
{
    struct fixture *f = arg;
    (void)durable;
    assert_null(err);
    f->batches++;
}

static int open_log(struct fixture *f)
{
    static const char *const dirs[] = {"/j"};
    struct joblog_options options = {
        .disk = sim_disk(f->disk),
        .dirs = dirs,
        .dir_count = 1,
        .loop = f->loop,
        .workq = f->workq,
        .on_durable = on_durable,
        .arg = f,
    };
    return joblog_open(&options, &f->log, NULL);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    f->disk = sim_disk_new();
    f->loop = loop_new(NULL);
    f->workq = workq_new(f->loop, "jt-disk", 1, NULL);
    *state = f;
    return disk_mkdir(sim_disk(f->disk), "/j") == 0 ? open_log(f) : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    joblog_stop(f->log);
    workq_free(f->workq);
    int rc = joblog_close(f->log, NULL);
    loop_free(f->loop);
    sim_disk_free(f->disk);
    test_free(f);
    return rc;
}

static uint64_t append_done(struct fixture *f)
{
    struct joblog_done record = {.id = {.job = 1}};
    return joblog_append(f->log, JOBLOG_DONE, &record, NULL);
}

static void turn_until_durable(struct fixture *f, uint64_t index)
{
    uint64_t limit_ms = clock_mono_ms() + LIMIT_MS;
    while (joblog_durable(f->log) < index && clock_mono_ms() < limit_ms)
        loop_turn(f->loop, 50);
    assert_true(joblog_durable(f->log) >= index);
}

static bool has_left(const struct fixture *f)
{
    return f->batches > 0 || workq_pending(f->workq) > 0;
}

static void what_nobody_waits_for_goes_to_disk_by_itself(void **state)
{
    struct fixture *f = *state;
    uint64_t start_ms = clock_mono_ms(), index = append_done(f);
    loop_turn(f->loop, 0);
    bool was_at_once = has_left(f);
    assert_true(!was_at_once || clock_mono_ms() > start_ms + 8);
    turn_until_durable(f, index);
}

static void many_that_nobody_waits_for_go_together(void **state)
{
    struct fixture *f = *state;
    uint64_t index = 0, start_ms = clock_mono_ms();
    for (int i = 0; i < 20; i++) {
        index = append_done(f);
        loop_turn(f->loop, 0);
    }
    uint64_t took_ms = clock_mono_ms() - start_ms;
    turn_until_durable(f, index);
    assert_true(f->batches <= 2 + took_ms / 8);
}

static void a_record_that_is_waited_for_takes_the_others_along_at_once(void **state)
{
    struct fixture *f = *state;
    struct joblog_end end = {.number = 1};
    uint64_t done = append_done(f), index = joblog_append(f->log, JOBLOG_END, &end, NULL);
    assert_true(done < index);
    turn_until_durable(f, index);
    assert_int_equal(f->batches, 1);
}

static void who_needs_them_after_all_says_so(void **state)
{
    struct fixture *f = *state;
    uint64_t index = append_done(f);
    joblog_hurry(f->log);
    loop_turn(f->loop, 0);
    assert_true(has_left(f));
    turn_until_durable(f, index);
}

/* More than segments are allocated for, before the disk has taken any: job i ends, at some length.
 */
static uint64_t append_much(struct fixture *f, uint64_t count)
{
    static char why[1 << 20];
    uint64_t index = 0, first = 0;
    memset(why, 'x', sizeof(why));
    for (uint64_t i = 0; i < count; i++) {
        struct joblog_end end = {.number = i, .why = slice_of(why, sizeof(why))};
        index = joblog_append(f->log, JOBLOG_END, &end, NULL);
        first = first ? first : index;
        assert_int_equal(index, first + i);
    }
    return index;
}

static int is_next(void *arg, const struct wal_record *record)
{
    struct arena arena = ARENA_INIT;
    struct joblog_end end;
    uint64_t *next = arg;
    assert_int_equal(record->type, JOBLOG_END);
    assert_int_equal(msg_decode(&joblog_end_desc, record->payload, &arena, &end, NULL), 0);
    assert_int_equal(end.number, (*next)++);
    arena_release(&arena);
    return 0;
}

static void a_slow_disk_makes_records_wait_in_order(void **state)
{
    struct fixture *f = *state;
    turn_until_durable(f, append_much(f, 10));
}

static void what_waits_for_room_is_written_when_the_log_is_closed(void **state)
{
    struct fixture *f = *state;
    uint64_t next = 0;
    append_much(f, 10);
    joblog_stop(f->log);
    assert_int_equal(joblog_close(f->log, NULL), 0);
    assert_int_equal(open_log(f), 0);
    assert_int_equal(joblog_replay(f->log, is_next, &next, NULL), 0);
    assert_int_equal(next, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_nobody_waits_for_goes_to_disk_by_itself, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_that_nobody_waits_for_go_together, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_is_waited_for_takes_the_others_along_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(who_needs_them_after_all_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slow_disk_makes_records_wait_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waits_for_room_is_written_when_the_log_is_closed,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
