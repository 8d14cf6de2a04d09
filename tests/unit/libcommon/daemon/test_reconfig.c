/* SPDX-License-Identifier: Apache-2.0
 * What a reload changed, and what a refusal takes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/daemon/reconfig.h"

static const struct conf_option rows[] = {
    {"dfs.datanode.a", CONF_LIST, "x", "a", .flags = CONF_RELOAD},
    {"dfs.datanode.b", CONF_INT, "1", "b"},
    {"dfs.hosts", CONF_STRING, NULL, "c", .flags = CONF_RELOAD},
    {"log.x", CONF_INT, "1", "d", .flags = CONF_RELOAD},
};

static unsigned waiting;

static void on_waits(const char *key)
{
    assert_string_equal(key, "dfs.datanode.b");
    waiting++;
}

static struct conf *read_conf(const char *a, const char *b, const char *x)
{
    struct err err = {0};
    struct conf *conf = conf_new();
    assert_int_equal(conf_register(conf, rows, ARRAY_LEN(rows), &err), 0);
    assert_int_equal(conf_set(conf, "dfs.datanode.a", a, CONF_FROM_DEFINE, &err), 0);
    assert_int_equal(conf_set(conf, "dfs.datanode.b", b, CONF_FROM_DEFINE, &err), 0);
    assert_int_equal(conf_set(conf, "log.x", x, CONF_FROM_DEFINE, &err), 0);
    return conf;
}

static void a_refused_key_has_its_old_value_again_and_says_why(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    struct msg_reconfigured told = {0};
    struct conf *conf = read_conf("x", "1", "1");
    struct reconfig r = {0};
    reconfig_begin(&r, conf, read_conf("y,z", "2", "3"), "datanode", on_waits);
    assert_true(reconfig_is_running(&r));
    assert_int_equal(waiting, 1);
    assert_int_equal(conf_list(conf, "dfs.datanode.a").count, 2);
    reconfig_refuse(&r, conf, "dfs.datanode.a", "no such disk");
    reconfig_refuse(&r, conf, "dfs.datanode.a", "again");
    assert_string_equal(conf_str(conf, "dfs.datanode.a"), "x");
    assert_int_equal(conf_int(conf, "log.x"), 3);
    assert_int_equal(conf_int(conf, "dfs.datanode.b"), 1);
    reconfig_end(&r);
    assert_false(reconfig_is_running(&r));
    assert_int_equal(reconfig_answer(&r, &arena, &told), 0);
    assert_true(told.started_ms > 0 && told.finished_ms >= told.started_ms);
    assert_int_equal(told.changes.n, 2);
    assert_true(slice_is(told.changes.v[0].key, "dfs.datanode.a"));
    assert_true(slice_is(told.changes.v[0].from, "x"));
    assert_true(slice_is(told.changes.v[0].to, "y,z"));
    assert_true(told.changes.v[0].is_refused && slice_is(told.changes.v[0].why, "no such disk"));
    assert_true(slice_is(told.changes.v[1].key, "log.x") && !told.changes.v[1].is_refused);
    reconfig_release(&r);
    conf_free(conf);
    arena_release(&arena);
}

static void a_daemon_names_the_keys_that_concern_it(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    struct msg_strs keys = {0};
    struct conf *conf = read_conf("x", "1", "1");
    assert_int_equal(reconfig_keys(conf, "datanode", &arena, &keys), 0);
    assert_int_equal(keys.n, 2);
    assert_true(slice_is(keys.v[0], "dfs.datanode.a") && slice_is(keys.v[1], "log.x"));
    assert_int_equal(reconfig_keys(conf, "namenode", &arena, &keys), 0);
    assert_int_equal(keys.n, 2);
    assert_true(slice_is(keys.v[0], "dfs.hosts"));
    conf_free(conf);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_key_has_its_old_value_again_and_says_why),
        cmocka_unit_test(a_daemon_names_the_keys_that_concern_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
