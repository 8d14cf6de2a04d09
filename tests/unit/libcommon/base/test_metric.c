/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/metric.h"

METRIC_COUNTER(creates, "quern_test_creates_total", "files created");
METRIC_GAUGE(open_files, "quern_test_open", "files open");
METRIC_COUNTER(reads, "quern_test_calls_total{op=\"read\"}", "calls");
METRIC_COUNTER(writes, "quern_test_calls_total{op=\"write\"}", "calls");
METRIC_COUNTER(untouched, "quern_test_untouched_total", "never touched");
static struct metric made = {.name = "quern_test_made_total", .help = "made by hand"};

static void what_has_never_happened_is_shown_as_nought(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    metric_print(&out);
    assert_non_null(strstr(buf_cstr(&out), "\nquern_test_creates_total 0\n"));
    assert_non_null(strstr(buf_cstr(&out), "\nquern_test_untouched_total 0\n"));
    assert_null(strstr(buf_cstr(&out), "made"));
    buf_clear(&out);
    metric_add(&creates, 2);
    metric_add(&creates, 3);
    metric_set(&open_files, 9);
    metric_set(&open_files, 4);
    metric_print(&out);
    assert_non_null(strstr(buf_cstr(&out), "# HELP quern_test_creates_total files created\n"
                                           "# TYPE quern_test_creates_total counter\n"
                                           "quern_test_creates_total 5\n"
                                           "# HELP quern_test_open files open\n"
                                           "# TYPE quern_test_open gauge\n"
                                           "quern_test_open 4\n"));
    buf_release(&out);
}

static void labels_of_one_family_share_its_heading(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    metric_add(&writes, 1);
    metric_add(&reads, 7);
    metric_print(&out);
    assert_non_null(strstr(buf_cstr(&out), "# HELP quern_test_calls_total calls\n"
                                           "# TYPE quern_test_calls_total counter\n"
                                           "quern_test_calls_total{op=\"read\"} 7\n"
                                           "quern_test_calls_total{op=\"write\"} 1\n"));
    buf_release(&out);
}

static void count(const struct metric *metric, void *arg)
{
    (void)metric;
    ++*(int *)arg;
}

static void registering_twice_shows_it_once(void **state)
{
    (void)state;
    int before = 0, after = 0;
    metric_each(count, &before);
    metric_register(&made);
    metric_register(&made);
    metric_each(count, &after);
    assert_int_equal(after, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_never_happened_is_shown_as_nought),
        cmocka_unit_test(labels_of_one_family_share_its_heading),
        cmocka_unit_test(registering_twice_shows_it_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
