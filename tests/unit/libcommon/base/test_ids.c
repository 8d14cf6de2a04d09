/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/ids.h"

static void blocks_are_written_and_read(void **state)
{
    (void)state;
    char out[ID_TEXT_MAX];
    struct block_id id = {0};
    assert_string_equal(block_id_text((struct block_id){1073741825, 1001}, out, sizeof(out)),
                        "blk_1073741825_1001");
    assert_int_equal(block_id_parse(out, &id), 0);
    assert_true(id.id == 1073741825 && id.gs == 1001);
    assert_int_equal(block_id_parse("7", &id), 0);
    assert_true(id.id == 7 && id.gs == 0);
}

static void a_job_may_be_named_by_its_number_alone(void **state)
{
    (void)state;
    char out[ID_TEXT_MAX];
    struct job_id id = {0};
    assert_string_equal(job_id_text((struct job_id){1700000000000, 17}, out, sizeof(out)),
                        "job_1700000000000_0017");
    assert_int_equal(job_id_parse(out, &id), 0);
    assert_true(id.cluster_ms == 1700000000000 && id.number == 17);
    assert_int_equal(job_id_parse("17", &id), 0);
    assert_true(id.cluster_ms == 0 && id.number == 17);
    assert_int_equal(job_id_parse("job_5_12345", &id), 0);
    assert_true(id.cluster_ms == 5 && id.number == 12345);
}

static void anything_else_is_no_id(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "job_",
                                      "job_1",
                                      "1_2",
                                      "job_1_2_3",
                                      "jib_1_2",
                                      "x",
                                      "job__2",
                                      "job_1_",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "job_99999999999999999999_1"};
    struct job_id job = {3, 4};
    struct block_id block = {3, 4};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(job_id_parse(bad[i], &job), ERR_INVAL);
    assert_int_equal(block_id_parse("blk_1_2.meta", &block), ERR_INVAL);
    assert_int_equal(block_id_parse("blk_", &block), ERR_INVAL);
    assert_int_equal(block_id_parse("", &block), ERR_INVAL);
    assert_true(job.number == 4 && block.gs == 4);
}

static void tasks_and_attempts_carry_their_job(void **state)
{
    (void)state;
    char out[ID_TEXT_MAX];
    struct attempt_id id = {.job = {1700000000000, 17}, .stage = 0, .task = 12, .attempt = 3};
    assert_string_equal(task_id_text(&id, 'm', out, sizeof(out)),
                        "task_1700000000000_0017_m_000012");
    assert_string_equal(attempt_id_text(&id, 'r', out, sizeof(out)),
                        "attempt_1700000000000_0017_r_000012_3");
    struct attempt_id huge = {{UINT64_MAX, UINT64_MAX}, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    assert_true(strlen(attempt_id_text(&huge, 'm', out, sizeof(out))) < ID_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_written_and_read),
        cmocka_unit_test(a_job_may_be_named_by_its_number_alone),
        cmocka_unit_test(anything_else_is_no_id),
        cmocka_unit_test(tasks_and_attempts_carry_their_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
