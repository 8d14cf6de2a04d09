/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/daemon/options.h"
#include "namenode/blocks/conf.h"

static struct conf *read_with(const char *key, const char *value)
{
    struct conf *conf = conf_new();
    struct err err = {0};
    assert_int_equal(options_register(conf, &err), 0);
    if (key)
        assert_int_equal(conf_set(conf, key, value, CONF_FROM_DEFINE, &err), 0);
    return conf;
}

static void the_options_default_to_what_the_code_takes_without_them(void **state)
{
    (void)state;
    struct nn_blocks_conf plain, read;
    struct conf *conf = read_with(NULL, NULL);
    memset(&plain, 0, sizeof(plain));
    memset(&read, 0, sizeof(read));
    nn_blocks_conf_init(&plain);
    nn_blocks_conf_read(&read, conf);
    assert_memory_equal(&plain, &read, sizeof(plain));
    assert_int_equal(nn_blocks_conf_dead_ms(&read), 630 * 1000);
    conf_free(conf);
}

static void a_key_that_is_set_is_followed(void **state)
{
    (void)state;
    struct nn_blocks_conf read;
    struct conf *conf = read_with("dfs.namenode.safemode.threshold-pct", "0.5");
    nn_blocks_conf_read(&read, conf);
    assert_int_equal(read.safemode_ppm, 500000);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_options_default_to_what_the_code_takes_without_them),
        cmocka_unit_test(a_key_that_is_set_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
