/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/fs/glob.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"

static void expands(const char *pattern, const char *want)
{
    struct fs_words words = {0};
    struct buf out = BUF_INIT;
    assert_int_equal(fs_glob_expand(pattern, &words), 0);
    for (size_t i = 0; i < words.n; i++)
        buf_printf(&out, "%s%s", i ? " " : "", words.v[i]);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
    fs_glob_free_words(&words);
}

static void braces_are_written_out(void **state)
{
    (void)state;
    expands("/a", "/a");
    expands("/a{b,c}d", "/abd /acd");
    expands("/{a/b,c}/d", "/a/b/d /c/d");
    expands("{a,b}{1,2}", "a1 a2 b1 b2");
    expands("{a,{b,c}d}", "a bd cd");
    expands("a{,b}", "a ab");
    expands("a{b}", "ab");
    expands("\\{a,b}", "\\{a,b}");
    expands("[{]a", "[{]a");
}

static void a_brace_without_its_other_half_is_refused(void **state)
{
    (void)state;
    struct fs_words words = {0};
    assert_int_equal(fs_glob_expand("/a{b", &words), ERR_INVAL);
    fs_glob_free_words(&words);
}

static void braces_cannot_fill_the_memory(void **state)
{
    (void)state;
    struct fs_words words = {0};
    assert_int_equal(fs_glob_expand("{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}{0,1}"
                                    "{0,1}{0,1}{0,1}{0,1}",
                                    &words),
                     ERR_LIMIT);
    fs_glob_free_words(&words);
}

static void an_escaped_wildcard_is_no_pattern(void **state)
{
    (void)state;
    assert_true(fs_glob_is_pattern("/a*"));
    assert_true(fs_glob_is_pattern("quern://h:1/{a,b}"));
    assert_false(fs_glob_is_pattern("/a\\*"));
    assert_false(fs_glob_is_pattern("/plain"));
    char *plain = fs_glob_unescape("/a\\*\\\\b");
    assert_string_equal(plain, "/a*\\b");
    mem_free(plain);
}

static void shows(const char *typed, const char *path, bool is_dir, const char *want)
{
    char *text = fs_item_show(typed, path, "/user/me", is_dir);
    assert_string_equal(text, want);
    mem_free(text);
}

static void output_keeps_the_form_that_was_typed(void **state)
{
    (void)state;
    shows("/a//b/", "/a/b", false, "/a/b");
    shows("quern://h:1/a/*", "/a/x", false, "quern://h:1/a/x");
    shows("hdfs:///a", "/a", true, "hdfs:///a");
    shows("x", "/user/me/x", false, "x");
    shows("d/x", "/user/me/d/x", false, "d/x");
    shows(".", "/user/me", true, ".");
    shows("..", "/user", true, "..");
    shows("../you/x", "/user/you/x", false, "../you/x");
    shows("../../tmp", "/tmp", true, "../../tmp");
    shows("../..", "/", true, "../..");
    shows("*", "/user/me", true, ".");
}

/* --- on a real directory ---------------------------------------------------------------------- */

static char root[] = "/tmp/quern-glob-XXXXXX";

static void make(const char *name, bool is_dir)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    if (is_dir)
        assert_int_equal(mkdir(path, 0755), 0);
    else
        close(open(path, O_CREAT | O_WRONLY, 0644));
}

static int set_up(void **state)
{
    struct fs_volume *v = fs_volume_local_new();
    assert_non_null(mkdtemp(root));
    make("d", true);
    make("e", true);
    make("d/a1", false);
    make("d/a2", false);
    make("d/.hidden", false);
    make("e/a1", false);
    make("e/a*", false);
    mem_free(v->home);
    v->home = slice_dup(slice_str(root));
    *state = v;
    return 0;
}

static int tear_down(void **state)
{
    struct fs_volume *v = *state;
    struct qn_error err;
    assert_int_equal(v->ops->remove(v, root, true, &err), 1);
    fs_volume_free(v);
    return 0;
}

static void finds(struct fs_volume *v, const char *pattern, const char *want)
{
    struct fs_items items = {0};
    struct qn_error err;
    struct buf out = BUF_INIT;
    buf_append_str(&out, "");
    assert_int_equal(fs_glob(v, pattern, &items, &err), 0);
    for (size_t i = 0; i < items.n; i++)
        buf_printf(&out, "%s%s%s", i ? " " : "", items.v[i].text, items.v[i].exists ? "" : "?");
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
    fs_items_release(&items);
}

static void patterns_find_what_is_there_in_order(void **state)
{
    struct fs_volume *v = *state;
    finds(v, "*", "d e");
    finds(v, "d/*", "d/.hidden d/a1 d/a2");
    finds(v, "*/a1", "d/a1 e/a1");
    finds(v, "{e,d}/a[1-2]", "d/a1 d/a2 e/a1");
    finds(v, "d/a[!1]", "d/a2");
    finds(v, "{d/a1,e/a1,d/a1,none}", "d/a1 e/a1");
    finds(v, "d/x*", "");
    finds(v, "d/a1/*", "");
    finds(v, "./d/../e/a?", "e/a* e/a1");
}

static void a_plain_word_is_one_item_there_or_not(void **state)
{
    struct fs_volume *v = *state;
    finds(v, "d/a1", "d/a1");
    finds(v, "none/", "none/?");
    finds(v, "d/a1/below", "d/a1/below?");
    finds(v, "e/a\\*", "e/a*");
}

static void a_broken_pattern_is_told(void **state)
{
    struct fs_volume *v = *state;
    struct fs_items items = {0};
    struct qn_error err;
    assert_int_equal(fs_glob(v, "d/[a", &items, &err), ERR_INVAL);
    assert_int_equal(strncmp(err.message, "Illegal file pattern: ", 22), 0);
    assert_int_equal(fs_glob(v, "{d", &items, &err), ERR_INVAL);
    fs_items_release(&items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(braces_are_written_out),
        cmocka_unit_test(a_brace_without_its_other_half_is_refused),
        cmocka_unit_test(braces_cannot_fill_the_memory),
        cmocka_unit_test(an_escaped_wildcard_is_no_pattern),
        cmocka_unit_test(output_keeps_the_form_that_was_typed),
        cmocka_unit_test(patterns_find_what_is_there_in_order),
        cmocka_unit_test(a_plain_word_is_one_item_there_or_not),
        cmocka_unit_test(a_broken_pattern_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
