/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/daemon/address.h"
#include "libcommon/daemon/options.h"

#define RPC "dfs.namenode.rpc-address"

static struct conf *conf;
static struct err err;

static int make_conf(void **state)
{
    (void)state;
    conf = conf_new();
    return options_register(conf, &err);
}

static int free_conf(void **state)
{
    (void)state;
    conf_free(conf);
    return 0;
}

static void set(const char *key, const char *value)
{
    assert_int_equal(conf_set(conf, key, value, CONF_FROM_DEFINE, &err), 0);
}

static void assert_listens(const char *key, const char *want)
{
    char got[ADDRESS_TEXT_MAX];
    if (address_listen(conf, key, got, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(got, want);
}

static void assert_advertises(const char *key, uint16_t port, const char *want)
{
    char got[ADDRESS_TEXT_MAX];
    assert_string_equal(address_advertise(conf, key, port, got), want);
}

static void loopback_needs_no_trust(void **state)
{
    (void)state;
    set(RPC, "localhost:8020");
    assert_listens(RPC, "127.0.0.1:8020");
    set(RPC, "[::1]:0");
    assert_listens(RPC, "[::1]:0");
    set("trust", "local");
}

static void an_address_others_can_reach_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const open[] = {"0.0.0.0:8020", ":8020", "[::]:8020", "10.1.2.3:8020"};
    char got[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(open); i++) {
        set(RPC, open[i]);
        assert_int_equal(address_listen(conf, RPC, got, &err), ERR_CONFIG);
    }
    assert_non_null(strstr(err.msg, RPC " = 10.1.2.3:8020 can be reached from other machines"));
    assert_non_null(strstr(err.msg, "set trust = network"));
    set("trust", "network");
    set(RPC, "0.0.0.0:8020");
    assert_listens(RPC, "0.0.0.0:8020");
    set("trust", "local");
}

static void a_listen_host_cannot_slip_past_trust(void **state)
{
    (void)state;
    char got[ADDRESS_TEXT_MAX];
    set(RPC, "127.0.0.1:8020");
    set("listen", "0.0.0.0");
    assert_int_equal(address_listen(conf, RPC, got, &err), ERR_CONFIG);
    set("listen", "");
    set("dfs.namenode.rpc-bind-host", "0.0.0.0");
    assert_int_equal(address_listen(conf, RPC, got, &err), ERR_CONFIG);
    set("dfs.namenode.rpc-bind-host", "");
}

static void the_keys_own_bind_host_goes_before_listen(void **state)
{
    (void)state;
    set(RPC, "10.1.2.3:8020");
    set("listen", "127.0.0.2");
    assert_listens(RPC, "127.0.0.2:8020");
    assert_listens("dfs.datanode.address", "127.0.0.2:9866");
    set("dfs.namenode.rpc-bind-host", "127.0.0.3");
    assert_listens(RPC, "127.0.0.3:8020");
    set("listen", "");
    set("dfs.namenode.rpc-bind-host", "");
}

static void others_are_told_a_name_that_means_something_to_them(void **state)
{
    (void)state;
    set("node.name", "host3");
    set(RPC, "10.1.2.3:8020");
    assert_advertises(RPC, 8020, "10.1.2.3:8020");
    set("dfs.datanode.address", "0.0.0.0:9866");
    assert_advertises("dfs.datanode.address", 41234, "host3:41234");
    set("advertise", "host3.data");
    assert_advertises("dfs.datanode.address", 1, "host3.data:1");
    set("advertise", "::1");
    assert_advertises(RPC, 1, "[::1]:1");
    set("advertise", "");
}

static void a_host_that_is_none_is_named_with_its_key(void **state)
{
    (void)state;
    char got[ADDRESS_TEXT_MAX];
    set(RPC, "no-such-host.invalid:8020");
    assert_true(address_listen(conf, RPC, got, &err) < 0);
    assert_memory_equal(err.msg, RPC ": ", strlen(RPC) + 2);
    assert_non_null(strstr(err.msg, "no-such-host.invalid"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_needs_no_trust),
        cmocka_unit_test(an_address_others_can_reach_is_refused_with_the_reason),
        cmocka_unit_test(a_listen_host_cannot_slip_past_trust),
        cmocka_unit_test(the_keys_own_bind_host_goes_before_listen),
        cmocka_unit_test(others_are_told_a_name_that_means_something_to_them),
        cmocka_unit_test(a_host_that_is_none_is_named_with_its_key),
    };
    return cmocka_run_group_tests(tests, make_conf, free_conf);
}
