/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/daemon/config.h"
#include "libcommon/daemon/options.h"

static char dir[64];
static char path[128];
static struct err err;

static const char *in_dir(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    memcpy(dir, "/tmp/quern-config-XXXXXX", 25);
    assert_non_null(mkdtemp(dir));
    setenv("HOME", dir, 1);
    unsetenv("QUERN_CONF");
    memset(&err, 0, sizeof(err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* A conf with just the system's tables. */
static struct conf *fresh(void)
{
    struct conf *conf = conf_new();
    assert_int_equal(options_register(conf, &err), 0);
    return conf;
}

static struct conf *opened(const struct config_args *args)
{
    struct conf *conf = NULL;
    if (config_open(args, &conf, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    return conf;
}

/* Reading `text` fails with `message`, in which @ stands for the file. */
static void refuses(const char *text, const char *message)
{
    char want[512];
    struct conf *conf = fresh();
    write_file("q.conf", text);
    snprintf(want, sizeof(want), "%s%s", in_dir("q.conf"), message);
    assert_int_equal(config_read_file(conf, in_dir("q.conf"), &err), ERR_CONFIG);
    assert_string_equal(err.msg, want);
    conf_free(conf);
}

static void a_file_sets_keys_and_remembers_their_lines(void **state)
{
    (void)state;
    struct conf *conf = fresh();
    struct buf out = BUF_INIT;
    write_file("q.conf", "# a comment\n"
                         "\n"
                         "dfs.replication = 2   ; two will do\n"
                         "fs.defaultFS=quern://host1:8020\n"
                         "dfs.blocksize: 64m\n"
                         "; another comment\n"
                         "net.topology.table.file.name = /etc/racks#1\n");
    assert_int_equal(config_read_file(conf, in_dir("q.conf"), &err), 0);
    assert_int_equal(conf_int(conf, "dfs.replication"), 2);
    assert_string_equal(conf_str(conf, "fs.defaultFS"), "quern://host1:8020");
    assert_int_equal(conf_size(conf, "dfs.blocksize"), 64 << 20);
    assert_string_equal(conf_str(conf, "net.topology.table.file.name"), "/etc/racks#1");
    conf_print(conf, &out);
    assert_non_null(strstr(buf_cstr(&out), "q.conf:3\n"));
    assert_non_null(strstr(buf_cstr(&out), "q.conf:5\n"));
    buf_release(&out);
    conf_free(conf);
}

static void a_list_goes_on_in_indented_lines(void **state)
{
    (void)state;
    struct conf *conf = fresh();
    write_file("q.conf", "dfs.datanode.data.dir = /srv/d1,\n"
                         "    /srv/d2, /srv/d3\n"
                         "\t/srv/d4\n"
                         "dfs.replication = 1\n");
    assert_int_equal(config_read_file(conf, in_dir("q.conf"), &err), 0);
    struct conf_list dirs = conf_list(conf, "dfs.datanode.data.dir");
    assert_int_equal(dirs.count, 4);
    assert_string_equal(dirs.items[2], "/srv/d3");
    assert_string_equal(dirs.items[3], "/srv/d4");
    conf_free(conf);
}

static void mistakes_name_file_and_line(void **state)
{
    (void)state;
    refuses("\n\ndfs.bloksize = 1m\n",
            ":3: unknown key \"dfs.bloksize\" (did you mean dfs.blocksize?)");
    refuses("dfs.replication = 1\nwhat is this\n", ":2: want key = value");
    refuses("[datanode]\ndfs.replication = 1\n",
            ":2: there are no [sections]: write the keys without them");
    refuses("dfs.replication = 1\ndfs.replication = 2\n",
            ":2: dfs.replication is set twice (first in line 1)");
    refuses("dfs.heartbeat.interval = 3 moons\ndfs.replication = 0\n",
            ":1: dfs.heartbeat.interval = \"3 moons\": want a time such as 250ms, 30s, 20m, 6h or "
            "3d");
}

static void a_line_longer_than_the_parser_takes_is_read_whole(void **state)
{
    (void)state;
    char text[3000], dir_name[1000];
    memset(dir_name, 'x', sizeof(dir_name));
    dir_name[0] = '/';
    dir_name[sizeof(dir_name) - 1] = 0;
    snprintf(
        text, sizeof(text),
        "dfs.replication = 1\ndfs.datanode.data.dir = %s , /b;b ; comment\n  %s\nlisten = ::1\n",
        dir_name, dir_name);
    struct conf *conf = fresh();
    write_file("q.conf", text);
    if (config_read_file(conf, in_dir("q.conf"), &err) != 0)
        fail_msg("%s", err.msg);
    struct conf_list dirs = conf_list(conf, "dfs.datanode.data.dir");
    assert_int_equal(dirs.count, 3);
    assert_string_equal(dirs.items[0], dir_name);
    assert_string_equal(dirs.items[1], "/b;b");
    assert_string_equal(dirs.items[2], dir_name);
    assert_string_equal(conf_str(conf, "listen"), "::1");
    conf_free(conf);
    memset(text, 'k', sizeof(text));
    text[sizeof(text) - 1] = 0;
    refuses(text, ":1: want key = value");
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    struct conf *conf = fresh();
    FILE *f = fopen(in_dir("q.conf"), "w");
    fwrite("dfs.replication\0= 2\n", 1, 20, f);
    fclose(f);
    assert_int_equal(config_read_file(conf, in_dir("q.conf"), &err), ERR_CONFIG);
    assert_non_null(strstr(err.msg, "q.conf:1: this is no text"));
    conf_free(conf);
}

static void an_included_file_gives_way_to_what_stands_below(void **state)
{
    (void)state;
    struct conf *conf = fresh();
    write_file("base.conf", "dfs.replication = 2\nnode.name = nobody\n");
    write_file("q.conf", "include = base.conf\nnode.name = dn1\n");
    assert_int_equal(config_read_file(conf, in_dir("q.conf"), &err), 0);
    assert_int_equal(conf_int(conf, "dfs.replication"), 2);
    assert_string_equal(conf_str(conf, "node.name"), "dn1");
    conf_free(conf);
}

static void a_file_that_includes_itself_or_nothing_is_refused(void **state)
{
    (void)state;
    struct conf *conf = fresh();
    write_file("q.conf", "include = q.conf\n");
    assert_int_equal(config_read_file(conf, in_dir("q.conf"), &err), ERR_CONFIG);
    assert_non_null(strstr(err.msg, "include goes too deep"));
    write_file("r.conf", "include = nowhere.conf\n");
    assert_int_equal(config_read_file(conf, in_dir("r.conf"), &err), ERR_CONFIG);
    assert_non_null(strstr(err.msg, "r.conf:1: cannot include "));
    assert_non_null(strstr(err.msg, "nowhere.conf: No such file"));
    conf_free(conf);
}

static void the_first_file_that_exists_is_found_in_the_promised_order(void **state)
{
    (void)state;
    struct buf found = BUF_INIT;
    mkdir(in_dir(".config"), 0700);
    mkdir(in_dir(".config/quern"), 0700);
    mkdir(in_dir(".local"), 0700);
    mkdir(in_dir(".local/share"), 0700);
    mkdir(in_dir(".local/share/quern"), 0700);
    write_file(".local/share/quern/quern.conf", "");
    assert_int_equal(config_find(NULL, &found, &err), 0);
    assert_string_equal(buf_cstr(&found), in_dir(".local/share/quern/quern.conf"));
    write_file(".config/quern/quern.conf", "");
    assert_int_equal(config_find(NULL, &found, &err), 0);
    assert_string_equal(buf_cstr(&found), in_dir(".config/quern/quern.conf"));
    write_file("env.conf", "");
    setenv("QUERN_CONF", in_dir("env.conf"), 1);
    assert_int_equal(config_find(NULL, &found, &err), 0);
    assert_string_equal(buf_cstr(&found), in_dir("env.conf"));
    write_file("flag.conf", "");
    assert_int_equal(config_find(in_dir("flag.conf"), &found, &err), 0);
    assert_string_equal(buf_cstr(&found), in_dir("flag.conf"));
    buf_release(&found);
}

static void a_named_file_that_is_missing_is_an_error(void **state)
{
    (void)state;
    struct buf found = BUF_INIT;
    assert_int_equal(config_find("/nowhere/q.conf", &found, &err), ERR_CONFIG);
    assert_string_equal(
        err.msg, "cannot read configuration file /nowhere/q.conf: No such file or directory");
    setenv("QUERN_CONF", "/nowhere/e.conf", 1);
    assert_int_equal(config_find(NULL, &found, &err), ERR_CONFIG);
    assert_string_equal(err.msg,
                        "cannot read configuration file /nowhere/e.conf (from $QUERN_CONF): "
                        "No such file or directory");
    buf_release(&found);
}

static void generic_options_are_taken_with_one_dash_or_two(void **state)
{
    (void)state;
    const char *words[] = {"x",     "-conf", "/f",        "-Da=1", "--D",         "b=2",
                           "-D",    "c=3",   "--conf=/g", "-fs",   "quern://h:1", "-jt",
                           "local", "-ls",   "-config",   "plain"};
    char **argv = (char **)words;
    int argc = ARRAY_LEN(words), i = 1;
    struct config_args args = CONFIG_ARGS_INIT;
    while (config_args_take(&args, argc, argv, &i, &err) == 1)
        i++;
    assert_string_equal(argv[i], "-ls");
    assert_string_equal(args.file, "/g");
    assert_int_equal(args.define_count, 3);
    assert_string_equal(args.defines[0], "a=1");
    assert_string_equal(args.defines[2], "c=3");
    assert_string_equal(args.fs, "quern://h:1");
    assert_string_equal(args.jt, "local");
    i = argc - 2;
    assert_int_equal(config_args_take(&args, argc, argv, &i, &err), 0);
    i = argc - 1;
    assert_int_equal(config_args_take(&args, argc, argv, &i, &err), 0);
    i = 1;
    assert_int_equal(config_args_take(&args, 2, argv, &i, &err), ERR_USAGE);
    assert_string_equal(err.msg, "-conf needs a value");
    config_args_release(&args);
}

static void defines_override_the_file_and_bad_ones_are_named(void **state)
{
    (void)state;
    write_file("q.conf", "dfs.replication = 2\n");
    struct config_args args = {.file = in_dir("q.conf")};
    const char *words[] = {"-Ddfs.replication=5", "-Ddfs.blocksiz=1m"};
    char **argv = (char **)words;
    for (int i = 0; i < 1; i++)
        assert_int_equal(config_args_take(&args, 1, argv, &i, &err), 1);
    struct conf *conf = opened(&args);
    assert_int_equal(conf_int(conf, "dfs.replication"), 5);
    assert_string_equal(config_file(conf), args.file);
    conf_free(conf);
    int i = 1;
    assert_int_equal(config_args_take(&args, 2, argv, &i, &err), 1);
    assert_int_equal(config_open(&args, &conf, NULL, &err), ERR_CONFIG);
    assert_string_equal(err.msg, "-D: unknown key \"dfs.blocksiz\" (did you mean dfs.blocksize?)");
    config_args_release(&args);
}

/* A worker's tasks read it from other directories. */
static void a_file_named_from_here_is_known_by_its_whole_path(void **state)
{
    (void)state;
    struct config_args args = {.file = "q.conf"};
    struct conf *conf = NULL;
    char whole[512], before[PATH_MAX];
    write_file("q.conf", "dfs.replication = 2\n");
    snprintf(whole, sizeof(whole), "%s", in_dir("q.conf"));
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(in_dir("")), 0);
    int rc = config_open(&args, &conf, NULL, &err);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(rc, 0);
    assert_string_equal(config_file(conf), whole);
    conf_free(conf);
}

static void keys_that_may_belong_to_a_plugin_are_handed_back(void **state)
{
    (void)state;
    struct config_args args = CONFIG_ARGS_INIT;
    const char *words[] = {"-Dgrep.pattern=a=b", "-Dmapreduce.job.reduces=2", "-Dyarn.x=1"};
    char **argv = (char **)words;
    for (int i = 0; i < 3; i++)
        assert_int_equal(config_args_take(&args, 3, argv, &i, &err), 1);
    struct config_foreign foreign = {0};
    struct conf *conf = NULL;
    assert_int_equal(config_open(&args, &conf, &foreign, &err), 0);
    assert_int_equal(foreign.count, 1);
    assert_string_equal(foreign.defines[0], "grep.pattern=a=b");
    assert_int_equal(conf_int(conf, "mapreduce.job.reduces"), 2);
    assert_string_equal(conf_ignored(conf), "yarn.x");
    mem_free(foreign.defines);
    conf_free(conf);
    config_args_release(&args);
}

static void namenode_address_and_default_filesystem_follow_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *file, *rpc, *fs;
    } cases[] = {
        {"", "127.0.0.1:8020", "quern://127.0.0.1:8020"},
        {"fs.defaultFS = hdfs://host1", "host1:8020", "hdfs://host1"},
        {"fs.defaultFS = quern://host1:9000/user", "host1:9000", "quern://host1:9000/user"},
        {"fs.defaultFS = quern://[::1]", "[::1]:8020", "quern://[::1]"},
        {"dfs.namenode.rpc-address = host2:8020", "host2:8020", "quern://host2:8020"},
        {"fs.defaultFS = webhdfs://h:9870\ndfs.namenode.rpc-address = h:1", "h:1",
         "webhdfs://h:9870"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_file("q.conf", cases[i].file);
        struct conf *conf = opened(&(struct config_args){.file = in_dir("q.conf")});
        assert_string_equal(conf_str(conf, "dfs.namenode.rpc-address"), cases[i].rpc);
        assert_string_equal(conf_str(conf, "fs.defaultFS"), cases[i].fs);
        conf_free(conf);
    }
}

static void what_the_machine_has_is_found_out(void **state)
{
    (void)state;
    struct conf *conf = opened(&CONFIG_ARGS_INIT);
    char host[256] = "";
    gethostname(host, sizeof(host) - 1);
    assert_string_equal(conf_str(conf, "node.name"), host);
    assert_true(conf_int(conf, "worker.cores") >= 1);
    assert_true(conf_size(conf, "worker.memory") >= 16 << 20);
    assert_false(conf_is_set(conf, "node.name"));
    conf_free(conf);
}

static void what_is_printed_can_be_loaded_again(void **state)
{
    (void)state;
    struct buf first = BUF_INIT;
    struct conf *conf = opened(&CONFIG_ARGS_INIT), *again = fresh();
    conf_print(conf, &first);
    write_file("q.conf", buf_cstr(&first));
    if (config_read_file(again, in_dir("q.conf"), &err) != 0)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < options_fs.count; i++)
        assert_string_equal(conf_str(conf, options_fs.rows[i].key),
                            conf_str(again, options_fs.rows[i].key));
    buf_release(&first);
    conf_free(conf);
    conf_free(again);
}

static void every_row_of_the_tables_has_help_and_is_in_order(void **state)
{
    (void)state;
    const struct options_table *tables[] = {&options_fs, &options_job, &options_node};
    for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            assert_non_null(tables[t]->rows[i].help);
            assert_true(strlen(tables[t]->rows[i].help) > 5);
            assert_true(i == 0 || strcmp(tables[t]->rows[i - 1].key, tables[t]->rows[i].key) < 0);
        }
    }
}

/* As an administrator would: the sample as it is, and with every commented key put to use. */
static void the_sample_configuration_holds_no_mistake(void **state)
{
    (void)state;
    char line[300];
    FILE *from = fopen("etc/quern.conf", "r"), *to = fopen(in_dir("all.conf"), "w");
    assert_non_null(from);
    while (fgets(line, sizeof(line), from))
        fputs(line[0] == '#' && line[1] != ' ' && strstr(line, " = ") ? line + 1 : line, to);
    fclose(from);
    fclose(to);
    struct conf *plain = fresh(), *all = fresh();
    if (config_read_file(plain, "etc/quern.conf", &err) != 0 ||
        config_read_file(all, in_dir("all.conf"), &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(conf_list(plain, "dfs.datanode.data.dir").count, 2);
    assert_true(conf_is_set(all, "worker.cores"));
    conf_free(plain);
    conf_free(all);
}

static void nothing_about_security_is_ignored_in_silence(void **state)
{
    (void)state;
    static const char *const keys[] = {"hadoop.security.authentication",
                                       "dfs.encrypt.data.transfer", "hadoop.rpc.protection",
                                       "dfs.block.access.token.enable", "dfs.http.policy"};
    struct conf *conf = fresh();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_int_equal(conf_set(conf, keys[i], "x", CONF_FROM_DEFINE, &err), ERR_CONFIG);
    conf_free(conf);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_sets_keys_and_remembers_their_lines),
        CASE(a_list_goes_on_in_indented_lines),
        CASE(mistakes_name_file_and_line),
        CASE(a_line_longer_than_the_parser_takes_is_read_whole),
        CASE(bytes_that_are_no_text_are_refused),
        CASE(an_included_file_gives_way_to_what_stands_below),
        CASE(a_file_that_includes_itself_or_nothing_is_refused),
        CASE(the_first_file_that_exists_is_found_in_the_promised_order),
        CASE(a_named_file_that_is_missing_is_an_error),
        CASE(generic_options_are_taken_with_one_dash_or_two),
        CASE(defines_override_the_file_and_bad_ones_are_named),
        CASE(a_file_named_from_here_is_known_by_its_whole_path),
        CASE(keys_that_may_belong_to_a_plugin_are_handed_back),
        CASE(namenode_address_and_default_filesystem_follow_each_other),
        CASE(what_the_machine_has_is_found_out),
        CASE(what_is_printed_can_be_loaded_again),
        CASE(every_row_of_the_tables_has_help_and_is_in_order),
        CASE(the_sample_configuration_holds_no_mistake),
        CASE(nothing_about_security_is_ignored_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
