/* SPDX-License-Identifier: Apache-2.0
 * Which path is read in which way, and what is said when that cannot be known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/input_paths.h"

static struct arena arena = ARENA_INIT;
static struct err err;

static int release(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct task_probe_input ways[] = {
    {.name = {(const uint8_t *)"sales", 5}, .has_lines = true},
    {.name = {(const uint8_t *)"orders", 6}, .split_size = 32},
    {.name = {(const uint8_t *)"people", 6}, .is_whole = true}};

static struct task_probe job(size_t names, bool needs_names)
{
    return (struct task_probe){
        .name = slice_str("sales"), .inputs = {ways, 1 + names}, .needs_names = needs_names};
}

/* "0/a 2/b", or what was said. */
static const char *sorted(struct task_probe probe, const char *const *plain, size_t plain_count,
                          const char *const *named, size_t named_count)
{
    static char text[256];
    const struct input_words words = {plain, plain_count, named, named_count};
    struct input_paths paths;
    size_t n = 0;
    int rc = input_paths_sort_out(&probe, &words, &arena, &paths, &err);
    if (rc != 0) {
        assert_int_equal(rc, ERR_USAGE);
        return err.msg;
    }
    for (size_t i = 0; i < paths.n; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u%s", i ? " " : "", paths.v[i].input,
                              paths.v[i].path);
    return text;
}
#define PLAIN(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / 8
#define NONE       NULL, 0

static void paths_without_a_name_are_the_jobs_own_or_the_first_ones(void **state)
{
    (void)state;
    assert_string_equal(sorted(job(0, false), PLAIN("/a", "/b=c"), NONE), "0/a 0/b=c");
    assert_string_equal(sorted(job(2, false), PLAIN("/a"), PLAIN("people=/p=q")), "0/a 2/p=q");
    assert_string_equal(sorted(job(2, true), PLAIN("/a"), PLAIN("people=/p", "people=/q")),
                        "1/a 2/p 2/q");
    assert_string_equal(sorted(job(2, true), NONE, PLAIN("people=/p", "orders=/o")), "2/p 1/o");
}

static void names_may_be_left_out_only_where_there_are_paths_without(void **state)
{
    (void)state;
    const char *why = "no path is given for the input people of sales: -input people=PATH";
    assert_string_equal(sorted(job(2, false), PLAIN("/a"), NONE), "0/a");
    assert_string_equal(sorted(job(2, true), PLAIN("/a"), NONE), why);
    assert_string_equal(sorted(job(2, true), NONE, PLAIN("orders=/o")), why);
    assert_string_equal(sorted(job(2, false), NONE, PLAIN("orders=/o")), why);
    assert_string_equal(sorted(job(0, false), NONE, NONE), "INPUT... OUTPUT are wanted");
}

static void a_wrong_name_is_told_with_the_near_one(void **state)
{
    (void)state;
    assert_string_equal(
        sorted(job(2, true), PLAIN("/a"), PLAIN("peopel=/p")),
        "-input peopel=/p: the inputs of sales are orders, people (did you mean people?)");
    assert_string_equal(sorted(job(2, true), PLAIN("/a"), PLAIN("x=/p")),
                        "-input x=/p: the inputs of sales are orders, people");
    assert_string_equal(sorted(job(2, true), NONE, PLAIN("/p")), "-input /p: NAME=PATH is wanted");
    assert_string_equal(sorted(job(2, true), NONE, PLAIN("people=")),
                        "-input people=: NAME=PATH is wanted");
    assert_string_equal(sorted(job(0, false), PLAIN("/a"), PLAIN("people=/p")),
                        "-input people=/p: sales has no inputs with names: give paths alone");
}

static void each_way_is_cut_as_its_records_are(void **state)
{
    (void)state;
    const struct split_conf base = {.max_bytes = 7}, lines = {.lines = 3};
    const struct split_conf *confs;
    struct task_probe two = job(2, false), none = job(0, false);
    assert_int_equal(input_paths_confs(&two, &base, &arena, &confs, &err), 0);
    assert_true(confs[0].has_lines && !confs[0].is_whole && confs[2].is_whole);
    assert_int_equal(confs[1].max_bytes, 7);
    assert_int_equal(input_paths_confs(&none, &lines, &arena, &confs, &err), 0);
    assert_int_equal(input_paths_confs(&two, &lines, &arena, &confs, &err), ERR_CONFIG);
    assert_non_null(strstr(err.msg, "orders does not read lines"));
}

static void where_no_size_is_set_the_jobs_own_is_taken(void **state)
{
    (void)state;
    const struct split_conf unset = {.min_bytes = 1}, set = {.max_bytes = 64};
    const struct split_conf *confs;
    struct task_probe two = job(2, false);
    assert_int_equal(input_paths_confs(&two, &unset, &arena, &confs, &err), 0);
    assert_int_equal(confs[0].max_bytes, 0);
    assert_int_equal(confs[1].max_bytes, 32);
    assert_int_equal(input_paths_confs(&two, &set, &arena, &confs, &err), 0);
    assert_int_equal(confs[1].max_bytes, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_without_a_name_are_the_jobs_own_or_the_first_ones),
        cmocka_unit_test(names_may_be_left_out_only_where_there_are_paths_without),
        cmocka_unit_test(a_wrong_name_is_told_with_the_near_one),
        cmocka_unit_test(each_way_is_cut_as_its_records_are),
        cmocka_unit_test(where_no_size_is_set_the_jobs_own_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
