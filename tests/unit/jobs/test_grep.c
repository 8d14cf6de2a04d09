/* SPDX-License-Identifier: Apache-2.0
 * grep by the text that every match contains answers as grep that looks at every line; and the
 * search for a text, 64 places at a time, as memmem. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "jobs/grep.c"
#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"

/* --- a host that notes what is emitted ------------------------------------------------------- */

static struct buf emitted;
static struct qn_counter lines_counter;
static const char *pattern, *ignore_case;

static int note(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    (void)task;
    assert_int_equal(qn_to_u64(value), 1);
    buf_append(&emitted, key.data, key.len);
    buf_append(&emitted, "\n", 1);
    return 0;
}
static const char *option(struct qn_task *task, const char *name)
{
    (void)task;
    if (strcmp(name, "grep.group") == 0)
        return "0";
    return strcmp(name, "grep.pattern") == 0 ? pattern : ignore_case;
}
static struct qn_counter *counter(struct qn_task *task, const char *group, const char *name)
{
    (void)task, (void)group, (void)name;
    lines_counter.value = 0;
    return &lines_counter;
}
static const struct qn_host host = {.emit = note, .option = option, .counter = counter};

/* What is emitted and how many lines matched; *ret_text: what setup found that matches contain. */
static const char *matches(struct qn_slice text, bool at_once, bool icase, char *ret_text)
{
    struct qn_task task = {.host = &host};
    buf_clear(&emitted);
    ignore_case = icase ? "true" : "false";
    assert_int_equal(setup(&task), 0);
    struct state *s = *qn_state(&task);
    snprintf(ret_text, 100, "%.*s", (int)s->text_len, s->text);
    assert_int_equal(at_once ? map_lines(&task, text, qn_nothing()) : map_all(&task, text), 0);
    buf_printf(&emitted, "%llu", (unsigned long long)lines_counter.value);
    assert_int_equal(cleanup(&task), 0);
    return buf_cstr(&emitted);
}

static void same(const char *of, struct qn_slice text, bool icase)
{
    char known[100];
    pattern = of;
    char *want = strdup(matches(text, false, icase, known));
    assert_non_null(want);
    const char *got = matches(text, true, icase, known);
    if (strcmp(want, got) != 0)
        fail_msg("%s (text \"%s\"): wanted %.200s, got %.200s", of, known, want, got);
    free(want);
}

/* --- cases ----------------------------------------------------------------------------------- */

static void what_every_match_contains_is_found_in_the_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool is_plain;
    } cases[] = {
        {"error", "error", true},
        {"a\\.b\\|c", "a.b|c", true},
        {"^GET /index", "GET /index", false},
        {"ab|cd", "", false},
        {"x(ab|cd)yz", "yz", false},
        {"[0-9]+", "", false},
        {"abc*", "ab", false},
        {"abc?def", "def", false},
        {"a{3}bcd", "bcd", false},
        {"ab{12}", "a", false},
        {"[]abc]de", "de", false},
        {"[[:alpha:]]qu", "qu", false},
        {"(a[)]b)cd", "cd", false},
        {"a\\wbc\\b", "bc", false},
        {"(a)\\1xyz", "xyz", false},
        {"a.long.word", "long", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char text[100];
        struct state s = {.text = text};
        char run[100];
        find_text(&s, cases[i].pattern, run);
        assert_int_equal(s.text_len, strlen(cases[i].text));
        assert_memory_equal(s.text, cases[i].text, s.text_len);
        if (s.text_len)
            assert_int_equal(s.is_plain, cases[i].is_plain);
    }
}

static void the_answer_is_that_of_looking_at_every_line(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "ab",      "a",      "aa",         "a+b",    "^ab",          "ab$",     "^$",   "b*",
        "(a|b)ab", "a.c|bb", "[ab]+c",     "a\\.b",  "ab{2}a",       "(ab)*ca", "x?ab", "c",
        "abcabc",  "a\\{b",  "(a(b)c)\\2", "\\babc", "[^a]ab[^\n]?", "a{2}b",   "bab*", "\\.",
    };
    static const char letters[] = "aaabbbccc. \n\n{";
    char text[3000];
    struct rand rand;
    rand_init(&rand, 7);
    for (int i = 0; i < 60; i++) {
        size_t len = rand_below(&rand, sizeof(text));
        for (size_t k = 0; k < len; k++)
            text[k] = rand_chance(&rand, 1) ? 0 : letters[rand_below(&rand, sizeof(letters) - 1)];
        for (size_t p = 0; p < sizeof(patterns) / sizeof(*patterns); p++) {
            same(patterns[p], qn_bytes(text, len), false);
            same(patterns[p], qn_bytes(text, len), true);
        }
    }
}

static void a_text_is_found_where_memmem_finds_it(void **state)
{
    (void)state;
    unsigned char bytes[500], text[12];
    struct rand rand;
    rand_init(&rand, 11);
    for (int i = 0; i < 20000; i++) {
        size_t len = rand_below(&rand, sizeof(bytes)), n = 1 + rand_below(&rand, sizeof(text));
        uint32_t letters = 1 + (uint32_t)rand_below(&rand, 4);
        for (size_t k = 0; k < len; k++)
            bytes[k] = (unsigned char)('a' + rand_below(&rand, letters));
        for (size_t k = 0; k < n; k++)
            text[k] = (unsigned char)('a' + rand_below(&rand, letters));
        struct qn_find find = qn_find_of(qn_bytes(text, n));
        unsigned char *copy = malloc(len ? len : 1); /* ends where it ends */
        assert_non_null(copy);
        memcpy(copy, bytes, len);
        assert_ptr_equal(qn_find_next(&find, qn_bytes(copy, len)), memmem(copy, len, text, n));
        free(copy);
    }
    struct qn_find none = qn_find_of(qn_nothing());
    assert_null(qn_find_next(&none, qn_text("abc")));
}

static int release(void **state)
{
    (void)state;
    buf_release(&emitted);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_every_match_contains_is_found_in_the_pattern),
        cmocka_unit_test(the_answer_is_that_of_looking_at_every_line),
        cmocka_unit_test(a_text_is_found_where_memmem_finds_it),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
