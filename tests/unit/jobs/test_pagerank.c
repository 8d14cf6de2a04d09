/* SPDX-License-Identifier: Apache-2.0
 * pagerank gathers a page's links in one place, and puts the rank before them there: a page may
 * have as many as fill a fifth of a task's memory twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/pagerank.c"
#include "libcommon/base/buf.h"

#define LONG 1000000

static struct buf out;
static const char *step;
static const struct qn_slice *coming; /* ends with a slice of no bytes */

static int emit(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    (void)task;
    buf_append(&out, key.data, key.len);
    buf_append_byte(&out, '\t');
    buf_append(&out, value.data, value.len);
    return 0;
}
static int next(struct qn_values *values, struct qn_slice *ret)
{
    (void)values;
    *ret = *coming;
    return coming++->len > 0;
}
static const char *option(struct qn_task *task, const char *name)
{
    (void)task;
    return strcmp(name, "pagerank.step") == 0 ? step : "0.85";
}

/* The output of page "p"; *ret_kept: bytes of memory used. */
static const char *ranked(const struct qn_slice *parts, size_t *ret_kept)
{
    const struct qn_host host = {.emit = emit, .next = next, .option = option};
    struct qn_task task = {.host = &host};
    struct qn_values values = {&host};
    coming = parts;
    buf_clear(&out);
    assert_int_equal(setup(&task), 0);
    assert_int_equal(reduce(&task, qn_text("p"), &values), 0);
    const struct state *s = *qn_state(&task);
    *ret_kept = s->room.size + s->line.size;
    assert_int_equal(cleanup(&task), 0);
    return buf_cstr(&out);
}

static void the_rank_stands_before_links_of_any_number(void **state)
{
    (void)state;
    size_t kept;
    const unsigned char given[9] = {GIVEN, 0, 0x94, 0x35, 0x77}; /* two of ONE */
    step = "0";
    assert_string_equal(ranked((struct qn_slice[]){qn_bytes("\0", 1), {0}}, &kept),
                        "p\t1.000000000");
    assert_string_equal(
        ranked((struct qn_slice[]){qn_bytes("\0\ta", 3), qn_bytes("\0\tb\tc", 5), {0}}, &kept),
        "p\t1.000000000\ta\tb\tc");
    step = "1";
    assert_string_equal(ranked((struct qn_slice[]){qn_bytes(given, 9), {0}}, &kept),
                        "p\t1.850000000");
}

static void two_long_lists_of_links_are_kept_once(void **state)
{
    (void)state;
    size_t kept;
    char *links = test_malloc(LONG);
    memset(links, 'l', LONG);
    links[0] = LINKS;
    step = "0";
    const char *line =
        ranked((struct qn_slice[]){qn_bytes(links, LONG), qn_bytes(links, LONG), {0}}, &kept);
    assert_int_equal(strlen(line), strlen("p\t1.000000000") + 2 * (LONG - 1));
    assert_true(kept < 4 * LONG);
    test_free(links);
}

static int release(void **state)
{
    (void)state;
    buf_release(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rank_stands_before_links_of_any_number),
        cmocka_unit_test(two_long_lists_of_links_are_kept_once),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
