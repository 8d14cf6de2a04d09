/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"

static struct slice s(const char *text)
{
    return slice_str(text);
}

static void assert_normal_form(const char *base, const char *path, const char *want)
{
    struct buf out = BUF_INIT;
    assert_int_equal(path_normalise(s(base), s(path), &out), 0);
    assert_string_equal(buf_cstr(&out), want);
    assert_true(path_is_normal(buf_slice(&out)));
    buf_release(&out);
}

static void a_path_has_one_normal_form(void **state)
{
    (void)state;
    assert_normal_form("/", "/", "/");
    assert_normal_form("/", "//a///b/", "/a/b");
    assert_normal_form("/", "/a/./b/../c", "/a/c");
    assert_normal_form("/user/me", "x/y", "/user/me/x/y");
    assert_normal_form("/user/me", "../you", "/user/you");
    assert_normal_form("/user/me", "../../../..", "/");
    assert_normal_form("/user/me", ".", "/user/me");
    assert_normal_form("/", "..a/...", "/..a/...");
}

static void a_path_that_cannot_be_is_refused_and_adds_nothing(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    buf_append_str(&out, "kept");
    assert_int_equal(path_normalise(s("/"), s(""), &out), ERR_INVAL);
    assert_int_equal(path_normalise(s("/"), slice_of("/a\0b", 4), &out), ERR_INVAL);
    assert_string_equal(buf_cstr(&out), "kept");
    buf_release(&out);
}

/* Who types one is told by the namenode, in the words for what he wanted of it. */
static void a_path_beyond_the_limits_has_a_normal_form_and_is_none(void **state)
{
    (void)state;
    char name[NAME_MAX_BYTES + 2], deep[2 * PATH_MAX_DEPTH + 2];
    struct buf path = BUF_INIT, out = BUF_INIT;
    for (int i = 0; i < 40; i++)
        buf_printf(&path, "/%0200d", i);
    assert_int_equal(path_normalise(s("/"), buf_slice(&path), &out), 0);
    assert_true(path_is_formed(buf_slice(&out)) && !path_is_normal(buf_slice(&out)));
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    assert_true(path_is_normal(slice_of(name, NAME_MAX_BYTES + 1)));
    assert_true(path_is_formed(slice_of(name, NAME_MAX_BYTES + 2)));
    assert_false(path_is_normal(slice_of(name, NAME_MAX_BYTES + 2)));
    for (size_t i = 0; i < sizeof(deep); i++)
        deep[i] = i % 2 ? 'd' : '/';
    assert_true(path_is_normal(slice_of(deep, 2 * PATH_MAX_DEPTH)));
    assert_true(path_is_formed(slice_of(deep, 2 * PATH_MAX_DEPTH + 2)));
    assert_false(path_is_normal(slice_of(deep, 2 * PATH_MAX_DEPTH + 2)));
    buf_release(&path);
    buf_release(&out);
}

static void only_the_normal_form_counts_as_normal(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a", "/a/", "//", "/a//b", "/.", "/a/..", "/../a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(path_is_normal(s(bad[i])) || path_is_formed(s(bad[i])));
    assert_false(path_is_normal(slice_of("/a\0", 3)));
    assert_true(path_is_normal(s("/...")));
    assert_true(path_is_normal(s("/\xff\x01")));
}

static void name_and_parent_make_up_the_path(void **state)
{
    (void)state;
    assert_true(slice_is(path_name(s("/a/bc")), "bc"));
    assert_true(slice_is(path_parent(s("/a/bc")), "/a"));
    assert_true(slice_is(path_name(s("/a")), "a"));
    assert_true(slice_is(path_parent(s("/a")), "/"));
    assert_true(slice_is(path_name(s("/")), ""));
    assert_true(slice_is(path_parent(s("/")), "/"));
}

static void walking_gives_each_component_once(void **state)
{
    (void)state;
    struct slice rest = s("/a/bb/c"), name;
    assert_true(path_next(&rest, &name) && slice_is(name, "a"));
    assert_true(path_next(&rest, &name) && slice_is(name, "bb"));
    assert_true(path_next(&rest, &name) && slice_is(name, "c"));
    assert_false(path_next(&rest, &name));
    rest = s("/");
    assert_false(path_next(&rest, &name));
}

static void being_below_is_a_matter_of_components(void **state)
{
    (void)state;
    assert_true(path_is_under(s("/a/b"), s("/a")));
    assert_true(path_is_under(s("/a"), s("/a")));
    assert_true(path_is_under(s("/a"), s("/")));
    assert_true(path_is_under(s("/"), s("/")));
    assert_false(path_is_under(s("/ab"), s("/a")));
    assert_false(path_is_under(s("/a"), s("/a/b")));
}

static void globs_match_as_the_shell_says(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool match;
    } cases[] = {
        {"*", "", true},
        {"*", ".hidden", true},
        {"a*", "abc", true},
        {"a*c", "abcbc", true},
        {"a*c", "abcb", false},
        {"*.gz", "x.gz", true},
        {"*a*b*", "xaybz", true},
        {"?", "a", true},
        {"?", "", false},
        {"??", "a", false},
        {"[abc]", "b", true},
        {"[abc]", "d", false},
        {"[a-c]x", "bx", true},
        {"[!a-c]", "d", true},
        {"[^a-c]", "b", false},
        {"[]a]", "]", true},
        {"[a-]", "-", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"\\?", "a", false},
        {"a\\", "a\\", true},
        {"[\\]]", "]", true},
        {"[a", "a", false},
        {"part-[rm]-0000?", "part-r-00003", true},
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"***a", "bbba", true},
        {"[a-c][x-z]", "by", true},
        {"\\[a]", "[a]", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (path_glob_match(s(cases[i].pattern), s(cases[i].name)) != cases[i].match)
            fail_msg("%s on %s", cases[i].pattern, cases[i].name);
}

static void a_question_mark_is_one_character_however_many_bytes(void **state)
{
    (void)state;
    assert_true(path_glob_match(s("?"), s("é")));
    assert_false(path_glob_match(s("??"), s("é")));
    assert_true(path_glob_match(s("caf?.txt"), s("café.txt")));
    assert_true(path_glob_match(s("[à-ü]"), s("é")));
    assert_false(path_glob_match(s("[!é]"), s("é")));
    assert_false(path_glob_match(s("*??"), s("日")));
    assert_true(path_glob_match(s("*?"), s("日本")));
    assert_true(path_glob_match(s("?"), s("\xff"))); /* names may hold any byte */
}

static void many_stars_take_no_forever(void **state)
{
    (void)state;
    char name[200];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    assert_false(path_glob_match(s("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b"), s(name)));
}

static void broken_patterns_are_known(void **state)
{
    (void)state;
    assert_int_equal(path_glob_check(s("[a")), ERR_INVAL);
    assert_int_equal(path_glob_check(s("[")), ERR_INVAL);
    assert_int_equal(path_glob_check(s("[]")), ERR_INVAL);
    assert_int_equal(path_glob_check(s("[!]")), ERR_INVAL);
    assert_int_equal(path_glob_check(s("a\\")), ERR_INVAL);
    assert_int_equal(path_glob_check(s("[a]*?\\[")), 0);
    assert_int_equal(path_glob_check(s("[]a]")), 0);
}

static void memory_that_runs_out_is_told(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    mem_fail_after(1);
    assert_int_equal(path_normalise(s("/"), s("/a"), &out), ERR_NOMEM);
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_has_one_normal_form),
        cmocka_unit_test(a_path_that_cannot_be_is_refused_and_adds_nothing),
        cmocka_unit_test(a_path_beyond_the_limits_has_a_normal_form_and_is_none),
        cmocka_unit_test(only_the_normal_form_counts_as_normal),
        cmocka_unit_test(name_and_parent_make_up_the_path),
        cmocka_unit_test(walking_gives_each_component_once),
        cmocka_unit_test(being_below_is_a_matter_of_components),
        cmocka_unit_test(globs_match_as_the_shell_says),
        cmocka_unit_test(a_question_mark_is_one_character_however_many_bytes),
        cmocka_unit_test(many_stars_take_no_forever),
        cmocka_unit_test(broken_patterns_are_known),
        cmocka_unit_test(memory_that_runs_out_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
