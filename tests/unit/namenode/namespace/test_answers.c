/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "namenode/namespace/answers.h"
#include "namenode/namespace/jobs.h"

static struct nn_answer make(uint64_t client, uint64_t seq, uint64_t at_ms)
{
    return (struct nn_answer){.client = client,
                              .seq = seq,
                              .at_ms = at_ms,
                              .values = {client * 1000 + seq, seq},
                              .op = 3};
}

static void the_first_answer_is_found_again(void **state)
{
    (void)state;
    struct nn_answers answers;
    nn_answers_init(&answers);
    assert_null(nn_answers_find(&answers, 1, 1));
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        struct nn_answer a = make(seq % 7, seq, 100);
        assert_int_equal(nn_answers_add(&answers, &a), 0);
    }
    for (uint64_t seq = 1; seq <= 5000; seq++) {
        const struct nn_answer *a = nn_answers_find(&answers, seq % 7, seq);
        assert_non_null(a);
        assert_int_equal(a->values[0], (seq % 7) * 1000 + seq);
        assert_int_equal(a->op, 3);
        assert_null(nn_answers_find(&answers, seq % 7 + 1, seq));
    }
    assert_null(nn_answers_find(&answers, 0, 0)); /* 0 asks not to be remembered */
    assert_int_equal(nn_answers_at(&answers, 0)->seq, 1);
    nn_answers_release(&answers);
}

static void add_many(struct nn_answers *answers, uint64_t from, uint64_t count, uint64_t at_ms)
{
    for (uint64_t seq = from; seq < from + count; seq++) {
        struct nn_answer a = make(1, seq, at_ms);
        assert_int_equal(nn_answers_add(answers, &a), 0);
    }
}

static void answers_older_than_ten_minutes_are_forgotten_by_the_records_own_times(void **state)
{
    (void)state;
    struct nn_answers answers;
    nn_answers_init(&answers);
    add_many(&answers, 1, 1, 1000);
    add_many(&answers, 2, NN_ANSWERS_KEPT, 1000 + NN_ANSWERS_AGE_MS);
    assert_non_null(nn_answers_find(&answers, 1, 1));
    add_many(&answers, NN_ANSWERS_KEPT + 2, 1, 1001 + NN_ANSWERS_AGE_MS);
    assert_null(nn_answers_find(&answers, 1, 1));
    assert_non_null(nn_answers_find(&answers, 1, 2));
    nn_answers_release(&answers);
}

/* One change behind the jump, and then somebody asks again what he asked before it. */
static void the_last_ones_stay_however_far_the_clock_jumps(void **state)
{
    (void)state;
    struct nn_answers answers;
    nn_answers_init(&answers);
    add_many(&answers, 1, NN_ANSWERS_KEPT + 10, 1000);
    add_many(&answers, NN_ANSWERS_KEPT + 11, 1, 1000 + 100 * NN_ANSWERS_AGE_MS);
    assert_int_equal(answers.count, NN_ANSWERS_KEPT);
    assert_null(nn_answers_find(&answers, 1, 11));
    assert_non_null(nn_answers_find(&answers, 1, 12));
    nn_answers_release(&answers);
}

static void there_are_never_more_than_the_limit_and_the_newest_stay(void **state)
{
    (void)state;
    struct nn_answers answers;
    nn_answers_init(&answers);
    const uint64_t total = NN_ANSWERS_MAX + 5000;
    for (uint64_t seq = 1; seq <= total; seq++) {
        struct nn_answer a = make(9, seq, 100);
        assert_int_equal(nn_answers_add(&answers, &a), 0);
    }
    assert_int_equal(answers.count, NN_ANSWERS_MAX);
    assert_int_equal(answers.cap, NN_ANSWERS_MAX);
    for (uint64_t seq = 1; seq <= total; seq += 101)
        assert_int_equal(nn_answers_find(&answers, 9, seq) != NULL, seq > 5000);
    nn_answers_release(&answers);
}

static void no_memory_forgets_nothing_that_was_there(void **state)
{
    (void)state;
    struct nn_answers answers;
    nn_answers_init(&answers);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        struct nn_answer a = make(1, seq, 0);
        for (uint64_t n = 1;; n++) {
            mem_fail_after(n);
            int rc = nn_answers_add(&answers, &a);
            mem_fail_after(0);
            if (rc == 0)
                break;
            assert_int_equal(answers.count, seq - 1);
        }
    }
    for (uint64_t seq = 1; seq <= 300; seq++)
        assert_non_null(nn_answers_find(&answers, 1, seq));
    nn_answers_release(&answers);
}

static void the_job_published_longest_ago_is_forgotten_first(void **state)
{
    (void)state;
    struct nn_jobs jobs;
    char name[32];
    nn_jobs_init(&jobs);
    for (int i = 0; i <= NN_JOBS_MAX; i++) {
        snprintf(name, sizeof(name), "job_1_%05d", i);
        assert_int_equal(nn_jobs_put(&jobs, slice_str(name), 5), 0);
    }
    assert_null(nn_jobs_find(&jobs, slice_str("job_1_00000")));
    assert_int_equal(nn_jobs_find(&jobs, slice_str("job_1_00001"))->epoch, 5);
    assert_int_equal(nn_jobs_put(&jobs, slice_str("job_1_00001"), 6), 0);
    assert_int_equal(nn_jobs_find(&jobs, slice_str("job_1_00001"))->epoch, 6);
    assert_int_equal(jobs.names.count, NN_JOBS_MAX);
    nn_jobs_release(&jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_answer_is_found_again),
        cmocka_unit_test(answers_older_than_ten_minutes_are_forgotten_by_the_records_own_times),
        cmocka_unit_test(the_last_ones_stay_however_far_the_clock_jumps),
        cmocka_unit_test(there_are_never_more_than_the_limit_and_the_newest_stay),
        cmocka_unit_test(no_memory_forgets_nothing_that_was_there),
        cmocka_unit_test(the_job_published_longest_ago_is_forgotten_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
