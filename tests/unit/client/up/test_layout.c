/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "client/up/layout.h"
#include "libcommon/base/conf.h"
#include "libcommon/daemon/config.h"
#include "libcommon/daemon/options.h"

static char dir[64];
static struct err err;

static int make_dir(void **state)
{
    (void)state;
    memcpy(dir, "/tmp/quern-layout-XXXXXX", 25);
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static struct up_layout opened(unsigned datanodes, unsigned workers)
{
    struct up_layout layout;
    if (up_layout_open(&layout, dir, true, &err) != 0)
        fail_msg("%s", err.msg);
    layout.datanodes = datanodes;
    layout.workers = workers;
    layout.replication = datanodes < 3 ? datanodes : 3;
    layout.port_base = 20000;
    return layout;
}

static struct conf *load(const char *name)
{
    char path[UP_PATH_MAX];
    struct conf *conf = conf_new();
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (options_register(conf, &err) != 0 || config_read_file(conf, path, &err) != 0)
        fail_msg("%s", err.msg);
    return conf;
}

static void daemons_are_started_in_the_order_of_their_needs(void **state)
{
    (void)state;
    struct up_layout layout = opened(2, 3);
    static const char *const names[] = {"namenode", "datanode1", "datanode2", "jobtracker",
                                        "worker1",  "worker2",   "worker3"};
    char name[32];
    assert_int_equal(up_daemon_count(&layout), ARRAY_LEN(names));
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_string_equal(up_daemon_name(up_daemon_at(&layout, i), name), names[i]);
}

static void no_two_ports_are_the_same_and_none_is_beyond_the_last(void **state)
{
    (void)state;
    struct up_layout layout = opened(UP_NODES_MAX, UP_NODES_MAX);
    bool used[2000] = {false};
    for (size_t i = 0; i < up_daemon_count(&layout); i++) {
        struct up_daemon daemon = up_daemon_at(&layout, i);
        unsigned ports[] = {up_daemon_port(&layout, daemon), up_daemon_http_port(&layout, daemon)};
        for (size_t p = 0; p < 2; p++) {
            assert_in_range(ports[p], layout.port_base, up_last_port(&layout));
            assert_false(used[ports[p] - layout.port_base]);
            used[ports[p] - layout.port_base] = true;
        }
    }
}

static void each_pair_of_datanode_and_worker_is_a_node_of_its_own(void **state)
{
    (void)state;
    struct up_layout layout = opened(2, 2);
    assert_int_equal(up_layout_write(&layout, &err), 0);
    struct conf *datanode = load("conf/datanode2.conf"), *worker = load("conf/worker2.conf"),
                *other = load("conf/worker1.conf"), *namenode = load("conf/namenode.conf");
    assert_string_equal(conf_str(datanode, "node.name"), "node2");
    assert_string_equal(conf_str(worker, "node.name"), "node2");
    assert_string_equal(conf_str(other, "node.name"), "node1");
    assert_string_equal(conf_str(datanode, "dfs.domain.socket.path"),
                        conf_str(worker, "dfs.domain.socket.path"));
    assert_int_equal(conf_address(datanode, "dfs.datanode.address").port, 20021);
    assert_int_equal(conf_address(namenode, "dfs.namenode.rpc-address").port, 20001);
    assert_string_equal(conf_str(datanode, "dfs.namenode.rpc-address"),
                        conf_str(namenode, "dfs.namenode.rpc-address"));
    conf_free(datanode);
    conf_free(worker);
    conf_free(other);
    conf_free(namenode);
}

static void the_shape_is_read_back_from_what_was_written(void **state)
{
    (void)state;
    struct up_layout layout = opened(4, 2), again;
    assert_int_equal(up_layout_write(&layout, &err), 0);
    assert_int_equal(up_layout_open(&again, dir, false, &err), 0);
    assert_int_equal(up_layout_read(&again, &err), 0);
    assert_int_equal(again.datanodes, 4);
    assert_int_equal(again.workers, 2);
    assert_int_equal(again.replication, 3);
    assert_int_equal(again.port_base, 20000);
}

static void an_empty_directory_has_no_shape(void **state)
{
    (void)state;
    struct up_layout layout;
    assert_int_equal(up_layout_open(&layout, "/tmp/quern-layout-none", false, &err), 0);
    assert_int_equal(up_layout_read(&layout, &err), 0);
    assert_int_equal(layout.datanodes, 0);
    assert_int_equal(layout.port_base, 0);
    assert_int_not_equal(access("/tmp/quern-layout-none", F_OK), 0);
}

static void the_users_own_keys_in_site_conf_win(void **state)
{
    (void)state;
    struct up_layout layout = opened(1, 1);
    char path[UP_PATH_MAX];
    snprintf(path, sizeof(path), "%s/site.conf", dir);
    FILE *f = fopen(path, "w");
    fputs("dfs.replication = 2\nfs.trash.interval = 10\n", f);
    fclose(f);
    assert_int_equal(up_layout_write(&layout, &err), 0);
    struct conf *conf = load("conf/datanode1.conf");
    assert_int_equal(conf_int(conf, "dfs.replication"), 2);
    assert_int_equal(conf_ms(conf, "fs.trash.interval"), 600000);
    conf_free(conf);
    unlink(path);
}

static void files_that_did_not_change_are_not_touched(void **state)
{
    (void)state;
    struct up_layout layout = opened(1, 1);
    char path[UP_PATH_MAX];
    struct stat before, after;
    assert_int_equal(up_layout_write(&layout, &err), 0);
    snprintf(path, sizeof(path), "%s/quern.conf", dir);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(up_layout_write(&layout, &err), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_memory_equal(&before.st_mtim, &after.st_mtim, sizeof(before.st_mtim));
}

static void a_relative_directory_becomes_absolute(void **state)
{
    (void)state;
    struct up_layout layout;
    char want[UP_PATH_MAX], here[256];
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(want, sizeof(want), "%s/some/where", here);
    assert_int_equal(up_layout_open(&layout, "some/where//", false, &err), 0);
    assert_string_equal(layout.dir, want);
    setenv("HOME", "/home/me", 1);
    assert_int_equal(up_layout_open(&layout, NULL, false, &err), 0);
    assert_string_equal(layout.dir, "/home/me/.local/share/quern");
}

static void a_name_that_quern_conf_could_not_hold_is_refused(void **state)
{
    (void)state;
    struct up_layout layout;
    char deep[1000];
    memset(deep, 'd', sizeof(deep));
    deep[0] = '/';
    deep[sizeof(deep) - 1] = 0;
    assert_int_equal(up_layout_open(&layout, deep, false, &err), ERR_TOOBIG);
    assert_int_equal(up_layout_open(&layout, "/tmp/a,b", false, &err), ERR_USAGE);
    assert_int_equal(up_layout_open(&layout, "/tmp/a;b", false, &err), ERR_USAGE);
}

static void a_directory_too_deep_for_sockets_does_without_them(void **state)
{
    (void)state;
    struct up_layout layout;
    char deep[200];
    snprintf(deep, sizeof(deep), "%s/%0120d", dir, 7);
    assert_int_equal(up_layout_open(&layout, deep, true, &err), 0);
    layout.datanodes = layout.workers = layout.replication = 1;
    layout.port_base = 20000;
    assert_int_equal(up_layout_write(&layout, &err), 0);
    char name[200];
    snprintf(name, sizeof(name), "%0120d/conf/datanode1.conf", 7);
    struct conf *conf = load(name);
    assert_string_equal(conf_str(conf, "dfs.domain.socket.path"), "");
    assert_string_equal(conf_str(conf, "admin.socket"), "");
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(daemons_are_started_in_the_order_of_their_needs),
        cmocka_unit_test(no_two_ports_are_the_same_and_none_is_beyond_the_last),
        cmocka_unit_test(each_pair_of_datanode_and_worker_is_a_node_of_its_own),
        cmocka_unit_test(the_shape_is_read_back_from_what_was_written),
        cmocka_unit_test(an_empty_directory_has_no_shape),
        cmocka_unit_test(the_users_own_keys_in_site_conf_win),
        cmocka_unit_test(files_that_did_not_change_are_not_touched),
        cmocka_unit_test(a_relative_directory_becomes_absolute),
        cmocka_unit_test(a_name_that_quern_conf_could_not_hold_is_refused),
        cmocka_unit_test(a_directory_too_deep_for_sockets_does_without_them),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
