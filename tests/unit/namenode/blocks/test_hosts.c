/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "namenode/blocks/hosts.h"

static enum nn_wanted wanted(const struct nn_hosts *hosts, const char *name, const char *host,
                             uint32_t port, uint64_t *ret_until_ms)
{
    struct nn_address at = {.name = slice_str(name), .host = slice_str(host), .data_port = port};
    return nn_hosts_wanted(hosts, &at, ret_until_ms);
}

static void without_files_every_node_serves(void **state)
{
    (void)state;
    struct nn_hosts hosts = NN_HOSTS_INIT;
    uint64_t until = 1;
    assert_int_equal(wanted(&hosts, "a", "10.0.0.1", 9866, &until), NN_WANTED_IN_SERVICE);
    assert_int_equal(until, 0);
}

static void a_node_is_known_by_its_name_its_host_or_its_host_and_port(void **state)
{
    (void)state;
    struct nn_hosts hosts = NN_HOSTS_INIT;
    struct err err = {0};
    uint64_t until = 0;
    assert_int_equal(nn_hosts_include(&hosts,
                                      slice_str("# ours\n a \n\n10.0.0.2\n10.0.0.3:7000 # c\n"),
                                      "in", &err),
                     0);
    assert_int_equal(wanted(&hosts, "a", "10.0.0.1", 1, &until), NN_WANTED_IN_SERVICE);
    assert_int_equal(wanted(&hosts, "b", "10.0.0.2", 1, &until), NN_WANTED_IN_SERVICE);
    assert_int_equal(wanted(&hosts, "c", "10.0.0.3", 7000, &until), NN_WANTED_IN_SERVICE);
    assert_int_equal(wanted(&hosts, "c", "10.0.0.3", 7001, &until), NN_WANTED_REFUSED);
    nn_hosts_release(&hosts);
}

static void the_exclude_file_says_who_goes_and_who_rests(void **state)
{
    (void)state;
    struct nn_hosts hosts = NN_HOSTS_INIT;
    struct err err = {0};
    uint64_t until = 0;
    assert_int_equal(nn_hosts_include(&hosts, slice_str("a\nb\nc"), "in", &err), 0);
    assert_int_equal(nn_hosts_exclude(&hosts,
                                      slice_str("a\r\nb maintenance\nc maintenance 12345\nd\n"),
                                      "ex", &err),
                     0);
    assert_int_equal(wanted(&hosts, "a", "h", 1, &until), NN_WANTED_GONE);
    assert_int_equal(wanted(&hosts, "b", "h", 1, &until), NN_WANTED_RESTING);
    assert_int_equal(until, 0);
    assert_int_equal(wanted(&hosts, "c", "h", 1, &until), NN_WANTED_RESTING);
    assert_int_equal(until, 12345);
    assert_int_equal(wanted(&hosts, "d", "h", 1, &until), NN_WANTED_REFUSED);
    nn_hosts_release(&hosts);
}

static void a_line_that_makes_no_sense_is_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"a decommission", "a maintenance soon", "a maintenance 1 2"};
    struct err err = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct nn_hosts hosts = NN_HOSTS_INIT;
        char text[64];
        snprintf(text, sizeof(text), "b\n%s\n", bad[i]);
        assert_int_equal(nn_hosts_exclude(&hosts, slice_str(text), "ex", &err), ERR_CONFIG);
        assert_non_null(strstr(err.msg, "ex:2: "));
        nn_hosts_release(&hosts);
    }
    struct nn_hosts hosts = NN_HOSTS_INIT;
    assert_int_equal(nn_hosts_include(&hosts, slice_str("a b"), "in", &err), ERR_CONFIG);
    assert_non_null(strstr(err.msg, "in:1: "));
    nn_hosts_release(&hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_files_every_node_serves),
        cmocka_unit_test(a_node_is_known_by_its_name_its_host_or_its_host_and_port),
        cmocka_unit_test(the_exclude_file_says_who_goes_and_who_rests),
        cmocka_unit_test(a_line_that_makes_no_sense_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
