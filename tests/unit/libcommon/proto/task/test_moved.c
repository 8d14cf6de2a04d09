/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "libcommon/proto/task/moved.h"

static void says(const struct moved *moved, const char *want)
{
    char line[256] = "";
    FILE *out = fmemopen(line, sizeof(line), "w");
    assert_non_null(out);
    moved_tell(out, moved);
    (void)fclose(out);
    assert_string_equal(line, want);
}

static void each_shuffle_is_told_and_records_of_the_ends_only(void **state)
{
    struct task_account stages[] = {{.in_records = 4000, .out_records = 9},
                                    {.in_bytes = 2048, .in_records = 70, .out_records = 9},
                                    {.in_bytes = 1024, .in_records = 30, .out_records = 5}};
    (void)state;
    says(&(struct moved){2500, 4096, 50, stages, 3},
         "done in 2.5 s   4 K in → 2 K shuffled → 1 K shuffled → 50 out"
         "   4,000 records in → 5 out\n");
}

static void maps_alone_write_what_comes_out(void **state)
{
    struct task_account map = {.in_records = 3, .out_records = 2};
    (void)state;
    says(&(struct moved){10, 6, 4, &map, 1},
         "done in 10 ms   6 in → 4 out   3 records in → 2 out\n");
}

static void of_no_records_nothing_is_said(void **state)
{
    struct task_account stages[] = {{0}, {0}};
    (void)state;
    says(&(struct moved){10, 0, 0, stages, 2}, "done in 10 ms   0 in → 0 shuffled → 0 out\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shuffle_is_told_and_records_of_the_ends_only),
        cmocka_unit_test(maps_alone_write_what_comes_out),
        cmocka_unit_test(of_no_records_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
