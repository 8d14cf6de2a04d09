/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/fs/commands.h"
#include "client/fs/grammar.h"

static const struct fs_option options[] = {
    {"R", NULL, ""}, {"ignoreCrc", NULL, ""}, {"-long", NULL, ""}, {"t", "n", ""}, {0}};
static const struct fs_syntax one = {options, 1, 2, false};
static const struct fs_syntax lax = {options, 2, FS_NO_LIMIT, true};

/* Words separated by blanks; good until the next call. */
static int parse(const struct fs_syntax *syntax, const char *line, struct fs_parsed *ret,
                 struct err *err)
{
    static char words[256], *argv[16];
    int argc = 0;
    snprintf(words, sizeof(words), "%s", line);
    for (char *p = words, *word = NULL; (word = strsep(&p, " "));)
        argv[argc++] = word;
    return fs_parse(syntax, argc, argv, ret, err);
}

static void options_end_at_the_first_operand(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&one, "-R a -R", &parsed, &err), 0);
    assert_non_null(fs_parsed_value(&one, &parsed, "R"));
    assert_null(fs_parsed_value(&one, &parsed, "ignoreCrc"));
    assert_int_equal(parsed.count, 2);
    assert_string_equal(parsed.operands[1], "-R");
}

static void a_lone_dash_is_an_operand(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&one, "-R - b", &parsed, &err), 0);
    assert_string_equal(parsed.operands[0], "-");
    assert_int_equal(parsed.count, 2);
}

static void two_dashes_end_the_options_and_go_away(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&one, "-- -R", &parsed, &err), 0);
    assert_null(fs_parsed_value(&one, &parsed, "R"));
    assert_int_equal(parsed.count, 1);
    assert_string_equal(parsed.operands[0], "-R");
    assert_int_equal(parse(&one, "--long x", &parsed, &err), 0);
    assert_non_null(fs_parsed_value(&one, &parsed, "-long"));
}

static void options_are_not_clustered(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&one, "-Rt a", &parsed, &err), ERR_USAGE);
    assert_string_equal(err.msg, "Illegal option -Rt");
}

static void the_number_of_operands_is_checked_in_hadoops_words(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&one, "-R", &parsed, &err), ERR_USAGE);
    assert_string_equal(err.msg, "Not enough arguments: expected 1 but got 0");
    assert_int_equal(parse(&one, "a b c", &parsed, &err), ERR_USAGE);
    assert_string_equal(err.msg, "Too many arguments: expected 2 but got 3");
}

static void a_value_is_taken_only_while_operands_are_left(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&one, "-t 5 a", &parsed, &err), 0);
    assert_string_equal(fs_parsed_value(&one, &parsed, "t"), "5");
    assert_int_equal(parsed.count, 1);
    assert_int_equal(parse(&one, "-t a", &parsed, &err), 0);
    assert_string_equal(fs_parsed_value(&one, &parsed, "t"), "");
    assert_int_equal(parse(&one, "-t -R a", &parsed, &err), 0);
    assert_string_equal(fs_parsed_value(&one, &parsed, "t"), "");
    assert_non_null(fs_parsed_value(&one, &parsed, "R"));
}

static void a_lax_syntax_keeps_unknown_options_as_operands(void **state)
{
    (void)state;
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&lax, "-R -rwx a", &parsed, &err), 0);
    assert_int_equal(parsed.count, 2);
    assert_string_equal(parsed.operands[0], "-rwx");
}

static void an_option_is_popped_from_anywhere_but_once(void **state)
{
    (void)state;
    static const struct fs_option some[] = {{"d", NULL, NULL, false, true},
                                            {"n", "name", NULL, false, true},
                                            {NULL, NULL, NULL, false, false}};
    static const struct fs_syntax popped = {some, 0, FS_NO_LIMIT, true};
    struct fs_parsed parsed;
    struct err err;
    assert_int_equal(parse(&popped, "a -n -d b -n c", &parsed, &err), 0);
    assert_string_equal(fs_parsed_value(&popped, &parsed, "d"), "");
    assert_string_equal(fs_parsed_value(&popped, &parsed, "n"), "b");
    assert_int_equal(parsed.count, 3);
    assert_string_equal(parsed.operands[1], "-n");
    assert_int_equal(parse(&popped, "a -n", &parsed, &err), ERR_USAGE);
    assert_string_equal(err.msg, "option -n requires 1 argument.");
    assert_int_equal(parse(&popped, "-- -d", &parsed, &err), 0);
    assert_null(fs_parsed_value(&popped, &parsed, "d"));
    char w[] = "-a", n[] = "-n", now[] = "now", x[] = "x", *argv[] = {w, n, now, x};
    int argc = 4;
    assert_string_equal(fs_pop_option("n", &argc, argv), "now");
    assert_int_equal(argc, 2);
    assert_string_equal(argv[1], "x");
    assert_null(fs_pop_option("n", &argc, argv));
}

static void the_table_is_in_order_and_every_row_is_whole(void **state)
{
    (void)state;
    const struct fs_command *last = NULL, *c = NULL;
    for (size_t i = 0; (c = fs_command_at(i)); last = c, i++) {
        assert_true(!last || strcmp(last->name, c->name) < 0);
        assert_true(c->help && *c->help && c->usage);
        assert_true((c->flags & FS_RAW) ? c->begin != NULL
                                        : c->path != NULL || c->arguments != NULL);
        assert_ptr_equal(fs_command_find(c->name), c);
        size_t n = 0;
        while (c->syntax.options && c->syntax.options[n].name)
            n++;
        assert_true(n <= FS_OPTIONS_MAX);
    }
    assert_null(fs_command_find("nothing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_end_at_the_first_operand),
        cmocka_unit_test(a_lone_dash_is_an_operand),
        cmocka_unit_test(two_dashes_end_the_options_and_go_away),
        cmocka_unit_test(options_are_not_clustered),
        cmocka_unit_test(the_number_of_operands_is_checked_in_hadoops_words),
        cmocka_unit_test(a_value_is_taken_only_while_operands_are_left),
        cmocka_unit_test(a_lax_syntax_keeps_unknown_options_as_operands),
        cmocka_unit_test(an_option_is_popped_from_anywhere_but_once),
        cmocka_unit_test(the_table_is_in_order_and_every_row_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
