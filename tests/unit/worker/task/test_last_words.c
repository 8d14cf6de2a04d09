/* SPDX-License-Identifier: Apache-2.0
 * What processes print before SIGABRT ends them, and nothing else, becomes a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/task/last_words.h"

static void tells(const char *log, const char *want)
{
    char said[300] = "";
    assert_int_equal(last_words(slice_str(log), said, sizeof(said)), want != NULL);
    assert_string_equal(said, want ? want : "");
}

static void an_exception_is_told_with_what_it_says(void **state)
{
    (void)state;
    tells("before\nterminate called after throwing an instance of 'std::runtime_error'\n"
          "  what():  no date\n",
          "threw std::runtime_error: no date (nothing caught it: catch it, and return qn_fail)");
    tells("terminate called after throwing an instance of 'int'\n",
          "threw int (nothing caught it: catch it, and return qn_fail)");
}

static void of_panics_the_first_is_told(void **state)
{
    (void)state;
    tells("\nthread '<unnamed>' panicked at src/lib.rs:12:9:\nno date\nnote: run with X\n\n"
          "thread '<unnamed>' panicked at core/panicking.rs:2:5:\npanic in a function that cannot "
          "unwind\n",
          "panicked at src/lib.rs:12:9: no date");
}

static void what_the_system_says_is_told_as_it_is(void **state)
{
    (void)state;
    tells("quern-task: my.c:7: map: Assertion `n > 0' failed.\n",
          "quern-task: my.c:7: map: Assertion `n > 0' failed.");
    tells("x\nfree(): invalid pointer", "free(): invalid pointer");
}

static void other_words_are_no_reason(void **state)
{
    (void)state;
    tells("", NULL);
    tells("reading line 5\nreading line 6\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exception_is_told_with_what_it_says),
        cmocka_unit_test(of_panics_the_first_is_told),
        cmocka_unit_test(what_the_system_says_is_told_as_it_is),
        cmocka_unit_test(other_words_are_no_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
