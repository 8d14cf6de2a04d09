/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/conf.h"
#include "libcommon/base/mem.h"

static const struct conf_option table[] = {
    {"dfs.replication", CONF_INT, "3", "replicas", .min = "1", .max = "512", .flags = CONF_JOB},
    {"dfs.blocksize", CONF_SIZE, "128m", "block size", .min = "512", .alias = "dfs.block.size"},
    {"dfs.heartbeat.interval", CONF_TIME, "3", "seconds", .unit = 1000},
    {"mapreduce.task.io.sort.mb", CONF_SIZE, "100", "megabytes", .unit = 1 << 20, .max = "64g"},
    {"dfs.permissions.enabled", CONF_BOOL, "true", "check permissions"},
    {"threshold", CONF_NUMBER, "0.999", "share", .min = "0", .max = "1"},
    {"dirs", CONF_LIST, NULL, "directories"},
    {"address", CONF_ADDRESS, "127.0.0.1:8020", "where"},
    {"level", CONF_CHOICE, "info", "log level", .choices = "debug info warn error",
     .env = "QUERN_TEST_LEVEL", .flags = CONF_RELOAD},
    {"name", CONF_STRING, NULL, "any text"},
};
static const char *const ignored[] = {"yarn.*", "dfs.client.old"};

struct fixture {
    struct conf *conf;
    struct err err;
};
static struct fixture fix;

static int setup(void **state)
{
    (void)state;
    fix = (struct fixture){.conf = conf_new()};
    assert_non_null(fix.conf);
    assert_int_equal(conf_register(fix.conf, table, ARRAY_LEN(table), &fix.err), 0);
    assert_int_equal(conf_register_ignored(fix.conf, ignored, ARRAY_LEN(ignored)), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    conf_free(fix.conf);
    return 0;
}

static void set(const char *key, const char *value)
{
    int rc = conf_set(fix.conf, key, value, CONF_FROM_DEFINE, &fix.err);
    if (rc != 0)
        fail_msg("%s", fix.err.msg);
}

static void refuses(const char *key, const char *value, const char *message)
{
    assert_int_equal(conf_set(fix.conf, key, value, CONF_FROM_FILE("/etc/q.conf", 14), &fix.err),
                     ERR_CONFIG);
    assert_string_equal(fix.err.msg, message);
}

static void without_a_word_from_anybody_the_defaults_hold(void **state)
{
    (void)state;
    assert_int_equal(conf_int(fix.conf, "dfs.replication"), 3);
    assert_int_equal(conf_size(fix.conf, "dfs.blocksize"), 128 << 20);
    assert_int_equal(conf_ms(fix.conf, "dfs.heartbeat.interval"), 3000);
    assert_int_equal(conf_size(fix.conf, "mapreduce.task.io.sort.mb"), 100 << 20);
    assert_true(conf_bool(fix.conf, "dfs.permissions.enabled"));
    assert_true(conf_number(fix.conf, "threshold") == 0.999);
    assert_int_equal(conf_list(fix.conf, "dirs").count, 0);
    assert_string_equal(conf_address(fix.conf, "address").host, "127.0.0.1");
    assert_int_equal(conf_address(fix.conf, "address").port, 8020);
    assert_int_equal(conf_choice(fix.conf, "level"), 1);
    assert_string_equal(conf_str(fix.conf, "name"), "");
    assert_false(conf_is_set(fix.conf, "dfs.replication"));
}

static void values_are_taken_with_their_units(void **state)
{
    (void)state;
    set("dfs.blocksize", "1.5 GiB");
    assert_true(conf_size(fix.conf, "dfs.blocksize") == 3ULL << 29);
    set("dfs.heartbeat.interval", "1.5");
    assert_int_equal(conf_ms(fix.conf, "dfs.heartbeat.interval"), 1500);
    set("dfs.heartbeat.interval", "250ms");
    assert_int_equal(conf_ms(fix.conf, "dfs.heartbeat.interval"), 250);
    set("mapreduce.task.io.sort.mb", "1.5");
    assert_int_equal(conf_size(fix.conf, "mapreduce.task.io.sort.mb"), 3 << 19);
    set("mapreduce.task.io.sort.mb", "64k");
    assert_int_equal(conf_size(fix.conf, "mapreduce.task.io.sort.mb"), 64 << 10);
    set("address", " [::1]:99 ");
    assert_string_equal(conf_address(fix.conf, "address").host, "::1");
    assert_int_equal(conf_address(fix.conf, "address").port, 99);
    set("address", "");
    assert_string_equal(conf_address(fix.conf, "address").host, "");
}

static void a_list_is_cut_at_commas_and_empty_items_fall_out(void **state)
{
    (void)state;
    set("dirs", " /a , /b b,,/c,");
    struct conf_list list = conf_list(fix.conf, "dirs");
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0], "/a");
    assert_string_equal(list.items[1], "/b b");
    assert_string_equal(list.items[2], "/c");
}

static void an_unknown_key_names_file_line_and_the_nearest_known_key(void **state)
{
    (void)state;
    refuses("dfs.bloksize", "1m",
            "/etc/q.conf:14: unknown key \"dfs.bloksize\" (did you mean dfs.blocksize?)");
    refuses("zzzzzzzzzzzzzz", "1", "/etc/q.conf:14: unknown key \"zzzzzzzzzzzzzz\"");
}

static void a_wrong_unit_says_what_is_wanted(void **state)
{
    (void)state;
    refuses("dfs.blocksize", "12q",
            "/etc/q.conf:14: dfs.blocksize = \"12q\": want a size such as 4096, 64k, 128m or 1.5g");
    refuses("dfs.heartbeat.interval", "3 weeks",
            "/etc/q.conf:14: dfs.heartbeat.interval = \"3 weeks\": want a time such as 250ms, 30s, "
            "20m, 6h or 3d");
    refuses("dfs.permissions.enabled", "maybe",
            "/etc/q.conf:14: dfs.permissions.enabled = \"maybe\": want true or false");
    refuses("dfs.replication", "", "/etc/q.conf:14: dfs.replication = \"\": want a whole number");
    refuses("dfs.replication", "2.5",
            "/etc/q.conf:14: dfs.replication = \"2.5\": want a whole number");
    refuses("threshold", "nan", "/etc/q.conf:14: threshold = \"nan\": want a number such as 0.75");
    refuses("level", "wran",
            "/etc/q.conf:14: level = \"wran\": want one of: debug info warn error (did you mean "
            "warn?)");
}

static void an_impossible_value_says_its_limit(void **state)
{
    (void)state;
    refuses("dfs.replication", "0", "/etc/q.conf:14: dfs.replication = \"0\": must be at least 1");
    refuses("dfs.replication", "513",
            "/etc/q.conf:14: dfs.replication = \"513\": must be at most 512");
    refuses("threshold", "1.01", "/etc/q.conf:14: threshold = \"1.01\": must be at most 1");
    refuses("dfs.blocksize", "511",
            "/etc/q.conf:14: dfs.blocksize = \"511\": must be at least 512");
    refuses("dfs.blocksize", "99999999999t",
            "/etc/q.conf:14: dfs.blocksize = \"99999999999t\": want a size such as 4096, 64k, 128m "
            "or 1.5g");
    assert_int_equal(conf_int(fix.conf, "dfs.replication"), 3);
}

static void an_address_without_port_or_brackets_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"host1",   "host1:", ":x",    "host1:65536", "::1:80",
                                      "[::1:80", "[]:1x",  "a b:1", "unix:/x:1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(conf_set(fix.conf, "address", bad[i], CONF_FROM_DEFINE, &fix.err),
                         ERR_CONFIG);
    set("address", ":8020");
    assert_string_equal(conf_address(fix.conf, "address").host, "");
}

static void a_higher_rank_wins_in_whatever_order_values_arrive(void **state)
{
    (void)state;
    assert_int_equal(conf_set(fix.conf, "dfs.replication", "5", CONF_FROM_FLAG("r"), NULL), 0);
    assert_int_equal(conf_set(fix.conf, "dfs.replication", "4", CONF_FROM_DEFINE, NULL), 0);
    assert_int_equal(conf_set(fix.conf, "dfs.replication", "2", CONF_FROM_FILE("f", 1), NULL), 0);
    assert_int_equal(conf_int(fix.conf, "dfs.replication"), 5);
    set("dfs.blocksize", "1m");
    set("dfs.blocksize", "2m");
    assert_int_equal(conf_size(fix.conf, "dfs.blocksize"), 2 << 20);
    assert_int_equal(conf_set(fix.conf, "name", "h", CONF_COMPUTED("host name"), NULL), 0);
    assert_false(conf_is_set(fix.conf, "name"));
    assert_int_equal(conf_set(fix.conf, "name", "f", CONF_FROM_FILE("f", 2), NULL), 0);
    assert_int_equal(conf_set(fix.conf, "name", "h", CONF_COMPUTED("host name"), NULL), 0);
    assert_string_equal(conf_str(fix.conf, "name"), "f");
    assert_true(conf_is_set(fix.conf, "name"));
}

static void an_outranked_value_is_still_checked(void **state)
{
    (void)state;
    set("dfs.replication", "5");
    refuses("dfs.replication", "x", "/etc/q.conf:14: dfs.replication = \"x\": want a whole number");
}

static void one_file_may_not_set_a_key_twice_under_either_name(void **state)
{
    (void)state;
    assert_int_equal(
        conf_set(fix.conf, "dfs.blocksize", "1m", CONF_FROM_FILE("/etc/q.conf", 3), NULL), 0);
    refuses("dfs.block.size", "2m", "/etc/q.conf:14: dfs.blocksize is set twice (first in line 3)");
    assert_int_equal(
        conf_set(fix.conf, "dfs.blocksize", "4m", CONF_FROM_FILE("/etc/other.conf", 1), NULL), 0);
    assert_int_equal(conf_size(fix.conf, "dfs.blocksize"), 4 << 20);
}

static void an_alias_is_the_same_key(void **state)
{
    (void)state;
    set("dfs.block.size", "1m");
    assert_int_equal(conf_size(fix.conf, "dfs.blocksize"), 1 << 20);
    assert_true(conf_knows(fix.conf, "dfs.block.size"));
}

static void known_but_meaningless_names_are_collected_for_one_warning(void **state)
{
    (void)state;
    assert_string_equal(conf_ignored(fix.conf), "");
    set("yarn.resourcemanager.address", "x");
    set("dfs.client.old", "y");
    assert_string_equal(conf_ignored(fix.conf), "yarn.resourcemanager.address, dfs.client.old");
    assert_false(conf_knows(fix.conf, "dfs.client.old"));
}

static void the_environment_stands_between_file_and_define(void **state)
{
    (void)state;
    setenv("QUERN_TEST_LEVEL", "warn", 1);
    assert_int_equal(conf_set(fix.conf, "level", "debug", CONF_FROM_FILE("f", 1), NULL), 0);
    assert_int_equal(conf_set_from_env(fix.conf, &fix.err), 0);
    assert_int_equal(conf_choice(fix.conf, "level"), 2);
    set("level", "error");
    assert_int_equal(conf_set_from_env(fix.conf, &fix.err), 0);
    assert_int_equal(conf_choice(fix.conf, "level"), 3);
    setenv("QUERN_TEST_LEVEL", "loud", 1);
    assert_int_equal(conf_set_from_env(fix.conf, &fix.err), ERR_CONFIG);
    assert_string_equal(fix.err.msg, "$QUERN_TEST_LEVEL: level = \"loud\": want one of: debug info "
                                     "warn error");
    unsetenv("QUERN_TEST_LEVEL");
}

static void printing_shows_each_value_and_where_it_came_from(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    assert_int_equal(conf_set(fix.conf, "dfs.replication", "2", CONF_FROM_FILE("/q.conf", 7), NULL),
                     0);
    set("dirs", "/a,/b");
    assert_int_equal(conf_set(fix.conf, "level", "warn", CONF_FROM_FLAG("log-level"), NULL), 0);
    conf_print(fix.conf, &out);
    const char *text = buf_cstr(&out);
    assert_non_null(strstr(text, "dfs.replication = 2 "));
    assert_non_null(strstr(text, " ; /q.conf:7\n"));
    assert_non_null(strstr(text, " ; -D\n"));
    assert_non_null(strstr(text, " ; --log-level\n"));
    assert_non_null(strstr(text, "dfs.blocksize = 128m "));
    assert_non_null(strstr(text, "\n# name = "));
    assert_true(strstr(text, "address") < strstr(text, "threshold"));
    buf_release(&out);
}

static void another_table_may_not_declare_a_key_again_or_default_to_nonsense(void **state)
{
    (void)state;
    static const struct conf_option twice[] = {{"dirs", CONF_STRING, NULL, ""}};
    static const struct conf_option bad[] = {{"plug.n", CONF_INT, "many", ""}};
    assert_int_equal(conf_register(fix.conf, twice, 1, &fix.err), ERR_CONFIG);
    assert_string_equal(fix.err.msg, "key dirs is declared twice");
    assert_int_equal(conf_register(fix.conf, bad, 1, &fix.err), ERR_CONFIG);
    assert_string_equal(fix.err.msg, "default of plug.n = \"many\": want a whole number");
}

static void note_change(const struct conf_option *option, bool is_applied, void *arg)
{
    buf_printf(arg, "%s%s ", option->key, is_applied ? "+" : "-");
}

static void a_reload_applies_what_may_change_and_tells_what_must_wait(void **state)
{
    (void)state;
    struct buf changes = BUF_INIT;
    struct conf *fresh = conf_new();
    assert_int_equal(conf_register(fresh, table, ARRAY_LEN(table), NULL), 0);
    assert_int_equal(conf_set(fix.conf, "level", "warn", CONF_FROM_FILE("/q.conf", 1), NULL), 0);
    assert_int_equal(conf_set(fresh, "level", "error", CONF_FROM_FILE("/q.conf", 2), NULL), 0);
    assert_int_equal(conf_set(fresh, "dfs.replication", "9", CONF_FROM_FILE("/q.conf", 3), NULL),
                     0);
    conf_reload(fix.conf, fresh, note_change, &changes);
    assert_string_equal(buf_cstr(&changes), "dfs.replication- level+ ");
    assert_string_equal(conf_str(fix.conf, "level"), "error");
    assert_int_equal(conf_int(fix.conf, "dfs.replication"), 3);
    conf_free(fresh);
    buf_release(&changes);
}

/* Every allocation in turn fails; nothing may leak, break, or half happen. */
static void memory_may_run_out_at_any_point(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        mem_fail_after(n);
        struct conf *conf = conf_new();
        int rc = conf ? conf_register(conf, table, ARRAY_LEN(table), NULL) : ERR_NOMEM;
        if (rc == 0)
            rc = conf_register_ignored(conf, ignored, ARRAY_LEN(ignored));
        if (rc == 0)
            rc = conf_set(conf, "dirs", "/a,/b", CONF_FROM_FILE("f", 1), NULL);
        if (rc == 0)
            rc = conf_set(conf, "yarn.x", "1", CONF_FROM_DEFINE, NULL);
        bool failed = mem_has_failed();
        mem_fail_after(0);
        assert_true(rc == 0 || rc == ERR_NOMEM);
        conf_free(conf);
        if (!failed)
            break;
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_a_word_from_anybody_the_defaults_hold),
        CASE(values_are_taken_with_their_units),
        CASE(a_list_is_cut_at_commas_and_empty_items_fall_out),
        CASE(an_unknown_key_names_file_line_and_the_nearest_known_key),
        CASE(a_wrong_unit_says_what_is_wanted),
        CASE(an_impossible_value_says_its_limit),
        CASE(an_address_without_port_or_brackets_is_refused),
        CASE(a_higher_rank_wins_in_whatever_order_values_arrive),
        CASE(an_outranked_value_is_still_checked),
        CASE(one_file_may_not_set_a_key_twice_under_either_name),
        CASE(an_alias_is_the_same_key),
        CASE(known_but_meaningless_names_are_collected_for_one_warning),
        CASE(the_environment_stands_between_file_and_define),
        CASE(printing_shows_each_value_and_where_it_came_from),
        CASE(another_table_may_not_declare_a_key_again_or_default_to_nonsense),
        CASE(a_reload_applies_what_may_change_and_tells_what_must_wait),
        CASE(memory_may_run_out_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
