/* SPDX-License-Identifier: Apache-2.0
 * The timeline of a job's attempts, as a person reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/job/account.h"

static struct cl2jt_attempt attempt(const char *stage, uint32_t task, uint32_t number)
{
    return (struct cl2jt_attempt){.stage = slice_str(stage),
                                  .task = task,
                                  .number = number,
                                  .state = slice_str("done"),
                                  .worker = slice_str("node3"),
                                  .end_ms = 1000};
}

/* Attempts of a jobtracker's tenth life have numbers from 10000 on. */
static void names_stand_apart_from_nodes_however_long_they_are(void **state)
{
    struct cl2jt_attempt all[] = {attempt("map", 0, 0), attempt("reduce 2", 123, 10000)};
    const struct cl2jt_attempts rows = {.attempts = {all, 2}};
    const struct cl2jt_status status = {.elapsed_ms = 1000};
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    (void)state;
    assert_non_null(out);
    job_account_timeline(out, &status, &rows);
    (void)fclose(out);
    assert_non_null(strstr(text, "\nm0         node3        |"));
    assert_non_null(strstr(text, "\ns123_10000 node3        |"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_apart_from_nodes_however_long_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
