/* SPDX-License-Identifier: Apache-2.0
 * A job's table is checked before anything of it runs, and every mistake has its own line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "worker/plugin/plugin.h"

static int map(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    (void)task, (void)record, (void)where;
    return 0;
}
static int look(struct qn_task *task)
{
    (void)task;
    return 0;
}
static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    (void)task, (void)key, (void)values;
    return 0;
}

static struct qn_job good(void)
{
    return (struct qn_job){.head = QN_JOB_HEAD, .name = "good", .map = map, .reduce = reduce};
}

/* What is said about a table; NULL when it is taken. */
static const char *said(const struct qn_job *job)
{
    static struct err err;
    struct plugin plugin = {0};
    int rc = plugin_take(&plugin, job, "./my.so", &err);
    if (rc == 0) {
        plugin_close(&plugin);
        return NULL;
    }
    assert_int_equal(rc, ERR_PLUGIN);
    assert_true(strncmp(err.msg, "./my.so: ", 9) == 0);
    assert_null(strchr(err.msg, '\n'));
    return err.msg + 9;
}

static void refused(struct qn_job job, const char *why)
{
    const char *text = said(&job);
    assert_non_null(text);
    if (!strstr(text, why))
        fail_msg("\"%s\" does not say \"%s\"", text, why);
}

static void what_was_left_out_is_filled_in(void **state)
{
    (void)state;
    struct plugin plugin = {0};
    struct qn_job job = good();
    assert_int_equal(plugin_take(&plugin, &job, "./my.so", NULL), 0);
    assert_int_equal(plugin.key, QN_TEXT);
    assert_int_equal(plugin.out_value, QN_TEXT);
    job.value = QN_I64;
    job.combine_op = QN_COUNT;
    assert_int_equal(plugin_take(&plugin, &job, "./my.so", NULL), 0);
    assert_int_equal(plugin.value, QN_I64);
    assert_int_equal(plugin.reduce_value, QN_U64);
    assert_int_equal(plugin.out_value, QN_U64);
    assert_int_equal(plugin_fold(&plugin).op, QN_COUNT);
}

static void another_abi_is_told_with_both_numbers(void **state)
{
    (void)state;
    struct qn_job job = good();
    job.head.abi = 7;
    assert_string_equal(said(&job), "built for job ABI 7, this quern runs 1: rebuild it against "
                                    "include/quern/job.h");
    job.head.magic = 1;
    refused(job, ".head = QN_JOB_HEAD");
}

static void an_older_smaller_table_is_taken(void **state)
{
    (void)state;
    struct qn_job job = good();
    job.head.job_size = (uint32_t)offsetof(struct qn_job, default_reducers);
    job.default_reducers = 99; /* not the plugin's: it ends before */
    struct plugin plugin = {0};
    assert_int_equal(plugin_take(&plugin, &job, "./my.so", NULL), 0);
    assert_int_equal(plugin.job.default_reducers, 0);
    job.head.host_size = (uint32_t)offsetof(struct qn_host, input_at);
    assert_null(said(&job));
    job.head.job_size = 40;
    refused(job, "impossible sizes");
}

static void a_newer_larger_table_is_taken_unless_it_uses_more(void **state)
{
    (void)state;
    struct {
        struct qn_job job;
        void *more[2];
    } newer = {.job = good()};
    newer.job.head.job_size = sizeof(newer);
    assert_null(said(&newer.job));
    newer.more[1] = &newer;
    assert_non_null(strstr(said(&newer.job), "newer job.h"));
    struct qn_job job = good();
    job.head.host_size = sizeof(struct qn_host) + 8;
    refused(job, "newer job.h");
}

static void a_job_without_a_map_or_name_is_refused(void **state)
{
    (void)state;
    struct qn_job job = good();
    job.map = NULL;
    refused(job, "neither .map nor .map_lines");
    job.map_lines = map;
    assert_null(said(&job));
    job.name = NULL;
    refused(job, "no .name");
}

static void a_reduce_that_is_needed_must_be_there(void **state)
{
    (void)state;
    struct qn_job job = good();
    job.needs_reduce = 1;
    assert_null(said(&job));
    job.reduce = NULL;
    refused(job, "has .needs_reduce, but no .reduce");
}

static void combining_must_make_sense(void **state)
{
    (void)state;
    struct qn_job job = good();
    job.combine_op = QN_SUM;
    refused(job, "QN_SUM needs numbers");
    job.value = QN_F64;
    assert_null(said(&job));
    job.combine = reduce;
    refused(job, "choose one");
    job.combine_op = QN_NO_FOLD;
    assert_null(said(&job));
    job.reduce = NULL;
    refused(job, "no .reduce");
    job = good();
    job.combine_op = (enum qn_fold)77;
    refused(job, ".combine_op is none");
    job.combine_op = QN_FIRST; /* any type */
    assert_null(said(&job));
    job.concat_with = ",";
    refused(job, ".concat_with and .concat_limit need .combine_op = QN_CONCAT");
    job.combine_op = QN_CONCAT;
    assert_null(said(&job));
    job.concat_limit = 8193;
    refused(job, ".concat_limit is above 8192");
    job.concat_limit = 8192;
    job.value = QN_U64;
    refused(job, "QN_CONCAT needs .value = QN_TEXT or QN_BYTES");
}

static void types_must_be_types(void **state)
{
    (void)state;
    struct qn_job job = good();
    job.key = (enum qn_type)55;
    refused(job, ".key is none");
    job = good();
    job.reduce = NULL;
    job.out_value = QN_U64;
    refused(job, "without it .key and .value");
}

static void options_must_have_names_of_their_own(void **state)
{
    (void)state;
    static const struct qn_option_row twice[] = {
        {"a.b", "1", "help"}, {"a.b", "2", "help"}, {NULL, NULL, NULL}};
    static const struct qn_option_row empty[] = {{"", "1", "help"}, {NULL, NULL, NULL}};
    struct qn_job job = good();
    job.options = twice;
    refused(job, "\"a.b\" twice");
    job.options = empty;
    refused(job, "empty name");
}

static void a_wrong_option_names_those_there_are(void **state)
{
    (void)state;
    static const struct qn_option_row rows[] = {{"grep.pattern", NULL, "what to look for"},
                                                {"grep.ignore.case", "false", "help"},
                                                {NULL, NULL, NULL}};
    struct qn_job job = good();
    struct plugin plugin = {0};
    struct err err;
    job.name = "grep";
    job.options = rows;
    assert_int_equal(plugin_take(&plugin, &job, "./grep.so", NULL), 0);
    assert_int_equal(plugin_no_option(&plugin, "grep.patern", &err), ERR_CONFIG);
    assert_string_equal(err.msg,
                        "no option \"grep.patern\": grep knows grep.pattern, grep.ignore.case");
}

static void files_that_are_no_plugins_are_told_apart(void **state)
{
    (void)state;
    struct plugin plugin;
    struct err err;
    assert_int_equal(plugin_load(&plugin, "/nowhere/x.so", &err), ERR_NOENT);
    assert_string_equal(err.msg, "/nowhere/x.so: No such file or directory");
    char path[] = "/tmp/quern-plugin-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd,
                           "#!/bin/sh\necho not an ELF file, but long enough to be one....."
                           "..................................\n",
                           90),
                     90);
    close(fd);
    assert_int_equal(plugin_load(&plugin, path, &err), ERR_PLUGIN);
    assert_non_null(strstr(err.msg, "cannot be loaded: invalid ELF header"));
    unlink(path);
}

static void a_plugin_describes_itself(void **state)
{
    (void)state;
    static const struct qn_option_row rows[] = {{"x.y", NULL, "must be given"}, {NULL, NULL, NULL}};
    struct qn_job job = good();
    struct plugin plugin = {0};
    struct arena arena = ARENA_INIT;
    struct task_probe probe;
    job.options = rows;
    job.combine_op = QN_FIRST;
    job.default_reducers = 4;
    job.needs_reduce = 2;
    job.check = look;
    assert_int_equal(plugin_take(&plugin, &job, "./my.so", NULL), 0);
    assert_int_equal(plugin_describe(&plugin, &arena, &probe), 0);
    struct buf json = BUF_INIT;
    msg_print(&task_probe_desc, &probe, &json);
    const char *text = buf_cstr(&json);
    assert_non_null(strstr(text, "\"name\":\"good\""));
    assert_non_null(strstr(text, "\"key\":\"QN_TEXT\""));
    assert_non_null(strstr(text, "\"combine\":\"QN_FIRST\""));
    assert_non_null(strstr(text, "\"needs_reduce\":true"));
    assert_non_null(strstr(text, "\"has_check\":true"));
    assert_non_null(strstr(text, "\"is_required\":true"));
    assert_non_null(strstr(text, "\"default_reducers\":4"));
    buf_release(&json);
    arena_release(&arena);
}

static void a_next_stage_must_fit_what_feeds_it(void **state)
{
    (void)state;
    struct qn_job first = good(), next = good();
    first.then = &next;
    next.map = NULL;
    assert_null(said(&first)); /* what comes is text and text, as ours is */
    next.key = QN_U64;
    refused(first, "takes QN_U64 and QN_TEXT, but what comes is QN_TEXT and QN_TEXT");
    next.map = map; /* it reads lines, and emits what it likes */
    assert_null(said(&first));
    next.spread = QN_BY_RANGE;
    refused(first, "cannot have .spread = QN_BY_RANGE");
    next.spread = QN_BY_HASH;
    next.input = QN_ROWS;
    refused(first, "has lines as input");
    next.input = QN_LINES;
    next.reduce = NULL;
    refused(first, "needs a .reduce");
    next.reduce = reduce;
    first.output = QN_RAW;
    refused(first, "cannot follow one with .output = QN_RAW");
    first.output = QN_TEXT_LINES;
    next.then = &next; /* without end */
    refused(first, "more than 8 stages that reduce: is a .then one too far, or does it lead back");
}

static void stages_are_found_by_their_number_and_describe_themselves(void **state)
{
    (void)state;
    static const struct qn_option_row rows[] = {{"x.y", "1", "of both"}, {NULL, NULL, NULL}};
    struct qn_job first = good(), next = good();
    struct plugin plugin = {0};
    struct arena arena = ARENA_INIT;
    struct task_probe probe;
    first.then = &next;
    first.out_key = QN_I64;
    first.options = next.options = rows;
    next.map = NULL;
    next.name = "next";
    next.out_value = QN_F64;
    next.default_reducers = 1;
    assert_int_equal(plugin_take(&plugin, &first, "./my.so", NULL), 0);
    assert_ptr_equal(plugin_of_stage(&plugin, 0), &plugin);
    assert_ptr_equal(plugin_of_stage(&plugin, 1), &plugin);
    assert_ptr_equal(plugin_of_stage(&plugin, 2), plugin.then);
    assert_null(plugin_of_stage(&plugin, 3));
    assert_int_equal(plugin.then->key, QN_I64);
    assert_int_equal(plugin_describe(&plugin, &arena, &probe), 0);
    assert_int_equal(probe.options.n, 1);
    assert_int_equal(probe.then.n, 1);
    assert_true(slice_is(probe.then.v[0].name, "next"));
    assert_int_equal(probe.then.v[0].default_reducers, 1);
    assert_true(slice_is(probe.out_key, "QN_I64"));
    assert_true(slice_is(probe.out_value, "QN_F64"));
    plugin_close(&plugin);
    arena_release(&arena);
}

/* --- inputs read in ways of their own -------------------------------------------------------- */

static const struct qn_job orders = {.head = QN_JOB_HEAD,
                                     .name = "orders",
                                     .map = map,
                                     .input = QN_CSV,
                                     .csv_separator = ';',
                                     .split_size = 32};
static const struct qn_job people = {
    .head = QN_JOB_HEAD, .name = "people", .map_lines = map, .input = QN_PREFIXED};
static const struct qn_job *const two_inputs[] = {&orders, &people, NULL};

static void inputs_have_maps_and_formats_of_their_own(void **state)
{
    (void)state;
    struct plugin plugin = {0};
    struct qn_job job = good();
    struct arena arena = ARENA_INIT;
    struct task_probe probe;
    job.map = NULL;
    job.inputs = two_inputs;
    assert_int_equal(plugin_take(&plugin, &job, "./my.so", NULL), 0);
    assert_null(plugin_input(&plugin, 0));
    assert_int_equal(plugin_input(&plugin, 1)->csv_separator, ';');
    assert_string_equal(plugin_input(&plugin, 2)->name, "people");
    assert_null(plugin_input(&plugin, 3));
    assert_int_equal(plugin_describe(&plugin, &arena, &probe), 0);
    assert_true(probe.needs_names && probe.needs_more_than_lines);
    assert_int_equal(probe.inputs.n, 3);
    assert_int_equal(probe.inputs.v[0].split_size + probe.inputs.v[2].split_size, 0);
    assert_int_equal(probe.inputs.v[1].split_size, 32);
    assert_true(slice_is(probe.inputs.v[2].name, "people") && probe.inputs.v[2].is_whole);
    assert_false(probe.inputs.v[1].is_whole || probe.inputs.v[1].has_lines);
    plugin_close(&plugin);
    arena_release(&arena);

    job.map = map; /* reads paths that have no name */
    assert_int_equal(plugin_take(&plugin, &job, "./my.so", NULL), 0);
    assert_ptr_equal(plugin_input(&plugin, 0), &plugin.job);
    plugin_close(&plugin);
}

static void inputs_refused(struct qn_job one, const char *why)
{
    const struct qn_job *const list[] = {&orders, &one, NULL};
    struct qn_job job = good();
    job.inputs = list;
    refused(job, why);
}

static void what_an_input_cannot_have_is_told(void **state)
{
    (void)state;
    struct qn_job one = people, job = good();
    one.name = "orders";
    inputs_refused(one, ".inputs has \"orders\" twice");
    one.name = "or=ders";
    inputs_refused(one, "a .name that can be typed before `=PATH`");
    one.name = NULL;
    inputs_refused(one, "a .name that can be typed");
    one = people;
    one.map_lines = NULL;
    inputs_refused(one, "\"people\" has neither .map nor .map_lines");
    one = people;
    one.value = QN_U64;
    inputs_refused(one, "\"people\" has more than .name");
    one = people;
    one.reduce = reduce;
    inputs_refused(one, "\"people\" has more than .name");
    one = people;
    one.input = QN_RECORDS;
    inputs_refused(one, ".input = QN_RECORDS and .record_size need each other");
    one = orders;
    one.name = "rows";
    one.input = QN_ROWS;
    inputs_refused(one, "QN_ROWS reads no files");
    one = people;
    one.head.abi = 9;
    inputs_refused(one, "built for job ABI 9");
    job.inputs = (const struct qn_job *const[]){NULL};
    refused(job, ".inputs is empty");
    struct qn_job next = good();
    job = good();
    next.inputs = two_inputs;
    job.then = &next;
    refused(job, "and no .inputs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_have_maps_and_formats_of_their_own),
        cmocka_unit_test(what_an_input_cannot_have_is_told),
        cmocka_unit_test(what_was_left_out_is_filled_in),
        cmocka_unit_test(another_abi_is_told_with_both_numbers),
        cmocka_unit_test(an_older_smaller_table_is_taken),
        cmocka_unit_test(a_newer_larger_table_is_taken_unless_it_uses_more),
        cmocka_unit_test(a_job_without_a_map_or_name_is_refused),
        cmocka_unit_test(a_reduce_that_is_needed_must_be_there),
        cmocka_unit_test(combining_must_make_sense),
        cmocka_unit_test(types_must_be_types),
        cmocka_unit_test(options_must_have_names_of_their_own),
        cmocka_unit_test(a_wrong_option_names_those_there_are),
        cmocka_unit_test(files_that_are_no_plugins_are_told_apart),
        cmocka_unit_test(a_plugin_describes_itself),
        cmocka_unit_test(a_next_stage_must_fit_what_feeds_it),
        cmocka_unit_test(stages_are_found_by_their_number_and_describe_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
