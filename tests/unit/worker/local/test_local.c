/* SPDX-License-Identifier: Apache-2.0
 * The local driver's own decisions: which files, which task next, how output appears. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "tests/unit/worker/own_dir.h"
#include "worker/local/command.h"
#include "worker/local/inputs.h"
#include "worker/local/job.h"
#include "worker/local/publish.h"

static struct err err;
static const struct task_file_list none;

static const char *in_dir(const char *name)
{
    static char paths[8][100];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void touch(const char *name, const char *text)
{
    const char *path = in_dir(name);
    struct err why;
    if (fsutil_write_all(disk_real(), path, slice_str(text), &why) != 0)
        fail_msg("%s", why.msg);
}

#define RECURSIVE "mapreduce.input.fileinputformat.input.dir.recursive"

static struct conf *new_conf(void)
{
    struct config_args args = CONFIG_ARGS_INIT;
    struct conf *conf = NULL;
    if (config_open(&args, &conf, NULL, &err) != 0)
        fail_msg("%s", err.msg);
    return conf;
}

static void take(struct conf *conf, const char *define)
{
    assert_int_equal(config_define(conf, define, &err), 0);
}

static void files_come_in_order_without_hidden_ones(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_dir("in"), 0777), 0);
    touch("in/b", "22");
    touch("in/a", "1");
    touch("in/_log", "x");
    touch("in/.swp", "x");
    touch("zzz", "333");
    struct arena arena = ARENA_INIT;
    struct inputs inputs;
    struct conf *conf = new_conf();
    struct input_path words[] = {{.path = in_dir("zzz")}, {.path = in_dir("in")}};
    struct input_paths paths = {words, 2};
    assert_int_equal(inputs_list(&inputs, &arena, &paths, conf, &err), 0);
    assert_int_equal(inputs.count, 3);
    assert_int_equal(inputs.bytes, 6);
    assert_true(slice_is(inputs.files[0].path, in_dir("in/a")));
    assert_true(slice_is(inputs.files[2].path, in_dir("zzz")));
    assert_int_equal(inputs.files[1].len, 2);

    assert_int_equal(mkdir(in_dir("in/below"), 0777), 0);
    touch("in/below/c", "4444");
    assert_int_equal(inputs_list(&inputs, &arena, &paths, conf, &err), ERR_ISDIR);
    take(conf, RECURSIVE "=true");
    assert_int_equal(inputs_list(&inputs, &arena, &paths, conf, &err), 0);
    assert_int_equal(inputs.bytes, 10);
    take(conf, "job.input.exclude=bel*");
    assert_int_equal(inputs_list(&inputs, &arena, &paths, conf, &err), 0);
    assert_int_equal(inputs.bytes, 6);
    words[0].path = "/dev/null";
    assert_int_equal(inputs_list(&inputs, &arena, &paths, conf, &err), ERR_UNSUPPORTED);
    assert_string_equal(inputs_absolute(&arena, "/a/./b/../c", &err), "/a/c");
    conf_free(conf);
    arena_release(&arena);
}

static void output_appears_whole_and_only_once(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    struct publish publish;
    const char *out = in_dir("deep/er/out");
    assert_int_equal(publish_open(&publish, out, CL2NN_PUBLISH_FAIL, &arena, &err), 0);
    assert_int_not_equal(access(out, F_OK), 0);
    char *part = fsutil_join(publish.stage, "part-r-00000");
    assert_int_equal(fsutil_write_all(disk_real(), part, slice_str("x\n"), &err), 0);
    mem_free(part);
    assert_int_equal(publish_commit(&publish, &none, "job_1_0001", &err), 0);
    publish_close(&publish);
    assert_int_equal(access(in_dir("deep/er/out/_SUCCESS"), F_OK), 0);
    assert_int_equal(access(in_dir("deep/er/out/part-r-00000"), F_OK), 0);

    assert_int_equal(publish_open(&publish, out, CL2NN_PUBLISH_FAIL, &arena, &err), ERR_EXIST);
    assert_non_null(strstr(err.msg, "exists already (add -mode replace, or remove it)"));
    publish_close(&publish);

    /* Given up: nothing is left, and what was there is as before. */
    assert_int_equal(publish_open(&publish, out, CL2NN_PUBLISH_REPLACE, &arena, &err), 0);
    publish_close(&publish);
    assert_int_equal(access(in_dir("deep/er/out/part-r-00000"), F_OK), 0);
    assert_int_not_equal(access(publish.stage, F_OK), 0);

    assert_int_equal(publish_open(&publish, out, CL2NN_PUBLISH_REPLACE, &arena, &err), 0);
    assert_int_equal(publish_commit(&publish, &none, "job_1_0001", &err), 0);
    publish_close(&publish);
    assert_int_not_equal(access(in_dir("deep/er/out/part-r-00000"), F_OK), 0);
    assert_int_equal(fsutil_remove_tree(disk_real(), in_dir("deep"), &err), 0);
    arena_release(&arena);
}

static void output_that_came_into_being_meanwhile_is_not_overwritten(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    struct publish publish;
    char out[100];
    snprintf(out, sizeof(out), "%s", in_dir("raced"));
    assert_int_equal(publish_open(&publish, out, CL2NN_PUBLISH_FAIL, &arena, &err), 0);
    assert_int_equal(mkdir(out, 0777), 0);
    assert_int_equal(publish_commit(&publish, &none, "job_1_0001", &err), ERR_EXIST);
    publish_close(&publish);
    assert_int_equal(rmdir(out), 0);
    for (uint32_t mode = CL2NN_PUBLISH_REPLACE; mode <= CL2NN_PUBLISH_PARTITION; mode++) {
        if (mode == CL2NN_PUBLISH_APPEND)
            continue;
        assert_int_equal(publish_open(&publish, out, mode, &arena, &err), 0);
        assert_int_equal(mkdir(out, 0777), 0);
        touch("raced/dear", "x");
        assert_int_equal(publish_commit(&publish, &none, "job_1_0001", &err), ERR_EXIST);
        assert_non_null(strstr(err.msg, "holds what no job has made"));
        publish_close(&publish);
        assert_int_equal(unlink(in_dir("raced/dear")), 0);
        assert_int_equal(rmdir(in_dir("raced")), 0);
    }
    touch("a-file", "x");
    assert_int_equal(publish_open(&publish, in_dir("a-file"), CL2NN_PUBLISH_REPLACE, &arena, &err),
                     ERR_NOTDIR);
    publish_close(&publish);
    arena_release(&arena);
}

static bool is_there(const char *out, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", out, name);
    return access(path, F_OK) == 0;
}

/* An attempt's file under the stage, as the list of winners has it. */
static struct task_file winner(const struct publish *publish, const char *name, struct arena *arena)
{
    char *path = arena_alloc(arena, 256), *slash;
    snprintf(path, 256, "%s/_temporary/r-0-0/%s", publish->stage, name);
    for (slash = path + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = 0;
        (void)mkdir(path, 0777);
    }
    assert_int_equal(fsutil_write_all(disk_real(), path, slice_str(name), &err), 0);
    return (struct task_file){.path = slice_str(path), .name = slice_str(name)};
}

/* The two files of a job, published over what is there. */
static void publish_two(const char *out, uint32_t mode, const char *const names[2], const char *job)
{
    struct arena arena = ARENA_INIT;
    struct publish publish;
    char manifest[256];
    assert_int_equal(publish_open(&publish, out, mode, &arena, &err), 0);
    struct task_file files[] = {winner(&publish, names[0], &arena),
                                winner(&publish, names[1], &arena)};
    (void)winner(&publish, "of-a-loser", &arena);
    snprintf(manifest, sizeof(manifest), "%s/_MANIFEST", publish.stage);
    assert_int_equal(fsutil_write_all(disk_real(), manifest, slice_str("x"), &err), 0);
    const struct task_file_list list = {files, 2};
    if (publish_commit(&publish, &list, job, &err) != 0)
        fail_msg("%s", err.msg);
    publish_close(&publish);
    assert_false(is_there(publish.stage, ""));
    assert_false(is_there(out, "of-a-loser"));
    assert_false(is_there(out, "_temporary"));
    assert_true(is_there(out, "_SUCCESS"));
    arena_release(&arena);
}

static void a_partition_is_replaced_and_the_others_stay(void **state)
{
    (void)state;
    const char *out = in_dir("parts");
    publish_two(out, CL2NN_PUBLISH_FAIL, (const char *[]){"day=1/a-r-0", "day=2/a-r-0"}, "job_1");
    publish_two(out, CL2NN_PUBLISH_PARTITION, (const char *[]){"day=2/b-r-0", "day=3/b-r-0"},
                "job_2");
    assert_true(is_there(out, "day=1/a-r-0"));
    assert_false(is_there(out, "day=2/a-r-0"));
    assert_true(is_there(out, "day=2/b-r-0"));
    assert_true(is_there(out, "day=3/b-r-0"));
    assert_true(is_there(out, "_MANIFEST"));
    assert_true(is_there(out, "_MANIFEST-job_2"));
    publish_two(out, CL2NN_PUBLISH_APPEND, (const char *[]){"day=1/c-r-0", "top-r-0"}, "job_3");
    assert_true(is_there(out, "day=1/a-r-0"));
    assert_true(is_there(out, "day=1/c-r-0"));
    publish_two(out, CL2NN_PUBLISH_PARTITION, (const char *[]){"new-r-0", "new-r-1"}, "job_4");
    assert_false(is_there(out, "top-r-0")); /* the files of OUT itself; directories stay */
    assert_true(is_there(out, "day=1/c-r-0"));
    assert_true(is_there(out, "_MANIFEST-job_3"));
}

/* --- the job --------------------------------------------------------------------------------- */

static struct job new_job(uint32_t maps, uint32_t partitions)
{
    struct job job = {.name = "test",
                      .plugin = "/x.so",
                      .scratch = "/scratch",
                      .stage = "/stage",
                      .shuffles = {{.partitions = partitions, .reduces = partitions}},
                      .shuffle_count = partitions > 0,
                      .map_memory = 32 << 20,
                      .reduce_memory = 64 << 20,
                      .max_attempts = 2};
    struct split_file *files = arena_calloc(&job.arena, maps + 1, sizeof(*files));
    struct split_conf conf = {.max_bytes = 100};
    for (uint32_t i = 0; i < maps; i++)
        files[i] = (struct split_file){.path = slice_str("/in/f"), .len = 100};
    job.files = files;
    assert_int_equal(splits_compute(files, maps, &conf, &job.arena, &job.splits), 0);
    assert_int_equal(job_plan(&job), 0);
    return job;
}

static void finish(struct job *job, struct job_task *task)
{
    struct arena arena = ARENA_INIT;
    struct task_run run;
    struct task_file file = {.name = slice_str("part"), .len = 5, .records = 1};
    assert_int_equal(job_describe(job, task, 0, &arena, &run), 0);
    struct task_done done = {.id = run.id, .run_path = slice_str("/scratch/run"), .run_len = 10};
    if (task->kind != TASK_MAP)
        done.files = (struct task_file_list){&file, 1};
    task->is_running = true;
    assert_int_equal(job_done(job, task, &done, -1, &err), 0);
    arena_release(&arena);
}

static void maps_go_before_reduces_and_the_list_is_last(void **state)
{
    (void)state;
    struct job job = new_job(3, 2);
    for (uint32_t i = 0; i < 3; i++) {
        struct job_task *task = job_next(&job);
        assert_int_equal(task->kind, TASK_MAP);
        assert_int_equal(task->index, i);
        task->is_running = true;
    }
    assert_null(job_next(&job)); /* all are running: no reduce yet */
    for (uint32_t i = 0; i < 3; i++)
        finish(&job, &job.stages[0].tasks[i]);
    struct job_task *reduce = job_next(&job);
    assert_int_equal(reduce->kind, TASK_REDUCE);
    finish(&job, reduce);
    finish(&job, job_next(&job));
    struct job_task *commit = job_next(&job);
    assert_int_equal(commit->kind, TASK_COMMIT);
    assert_false(job_is_over(&job));

    struct arena arena = ARENA_INIT;
    struct task_run run;
    assert_int_equal(job_describe(&job, commit, 0, &arena, &run), 0);
    assert_int_equal(run.manifest.n, 2);
    assert_true(slice_is(run.out, "/stage/_MANIFEST"));
    finish(&job, commit);
    assert_true(job_is_over(&job));
    assert_null(job_next(&job));
    arena_release(&arena);
    job_release(&job);
}

static void a_reduce_is_told_where_every_map_left_its_run(void **state)
{
    (void)state;
    struct job job = new_job(2, 5);
    finish(&job, &job.stages[0].tasks[1]);
    finish(&job, &job.stages[0].tasks[0]);
    struct arena arena = ARENA_INIT;
    struct task_run run;
    assert_int_equal(job_describe(&job, &job.stages[1].tasks[4], 0, &arena, &run), 0);
    assert_int_equal(run.sources.n, 2);
    assert_int_equal(run.sources.v[1].map_task, 1);
    assert_true(slice_is(run.sources.v[0].run, "/scratch/run"));
    assert_int_equal(run.reduce_partitions.v[0], 4);
    assert_int_equal(run.memory, 64 << 20);
    assert_true(slice_is(run.out_name, "part-r-00004"));
    arena_release(&arena);
    job_release(&job);
}

static void a_failed_task_runs_again_as_often_as_it_may(void **state)
{
    (void)state;
    struct job job = new_job(1, 1);
    struct arena arena = ARENA_INIT;
    struct task_run run;
    struct task_failed failed = {.failure = TASK_FAILED_CRASH, .why = slice_str("crashed")};
    struct job_task *task = job_next(&job);
    assert_int_equal(job_describe(&job, task, 0, &arena, &run), 0);
    assert_int_equal(run.id.attempt, 0);
    task->is_running = true;
    job_failed(&job, task, &failed);
    assert_false(job_is_over(&job));
    assert_ptr_equal(job_next(&job), task);
    assert_int_equal(job_describe(&job, task, 0, &arena, &run), 0);
    assert_int_equal(run.id.attempt, 1);
    job_failed(&job, task, &failed);
    assert_true(job_is_over(&job));
    assert_true(slice_is(job.failed.why, "crashed"));
    assert_null(job_next(&job));
    job_release(&job);

    /* What cannot get better is not tried again. */
    job = new_job(1, 1);
    failed.failure = TASK_FAILED_PLUGIN;
    assert_int_equal(job_describe(&job, job_next(&job), 0, &arena, &run), 0);
    job_failed(&job, &job.stages[0].tasks[0], &failed);
    assert_true(job_is_over(&job));
    arena_release(&arena);
    job_release(&job);
}

static void memory_for_map_outputs_is_shared_by_those_that_run(void **state)
{
    (void)state;
    struct job job = new_job(1, 1);
    job.output_memory = 1000;
    job.output_memory_used = 400;
    assert_int_equal(job_output_memory(&job, 3), 200);
    job.output_memory_used = 2000;
    assert_int_equal(job_output_memory(&job, 3), 0);
    job_release(&job);
}

/* --- the command line ------------------------------------------------------------------------ */

static int parse(struct command *command, const char *const *words)
{
    static char *argv[20];
    int argc = 0;
    argv[argc++] = (char *)(uintptr_t) "-local";
    for (; *words; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    return command_parse(command, argc, argv, &err);
}

static void words_and_options_may_be_mixed(void **state)
{
    (void)state;
    struct command c;
    assert_int_equal(parse(&c, (const char *[]){"-reduces", "7", "x.so", "-D", "a.b=c", "in1",
                                                "--mode", "replace", "in2", "out", NULL}),
                     0);
    assert_string_equal(c.plugin, "x.so");
    assert_int_equal(c.input_count, 2);
    assert_string_equal(c.inputs[1], "in2");
    assert_string_equal(c.output, "out");
    assert_int_equal(c.reduces, 7);
    assert_int_equal(c.mode, CL2NN_PUBLISH_REPLACE);

    struct task_probe_option option = {.name = slice_str("a.b")};
    struct task_probe probe = {.name = slice_str("x"), .options = {&option, 1}};
    struct arena arena = ARENA_INIT;
    struct msg_pair_list pairs;
    assert_int_equal(command_job_conf(&c, &probe, &arena, &pairs, &err), 0);
    bool is_there = false;
    for (size_t i = 0; i < pairs.n; i++)
        is_there |= slice_is(pairs.v[i].key, "a.b") && slice_is(pairs.v[i].value, "c");
    assert_true(is_there);
    option.name = slice_str("a.c");
    assert_int_equal(command_job_conf(&c, &probe, &arena, &pairs, &err), ERR_CONFIG);
    assert_string_equal(err.msg, "no option \"a.b\": x knows a.c");
    arena_release(&arena);
    command_release(&c);
}

static void what_is_wrong_with_a_command_is_told(void **state)
{
    (void)state;
    struct command c;
    assert_int_equal(parse(&c, (const char *[]){"x.so", NULL}), ERR_USAGE);
    assert_int_equal(parse(&c, (const char *[]){"x.so", "in", "out", "-bogus", NULL}), ERR_USAGE);
    assert_int_equal(parse(&c, (const char *[]){"-reduces", "-3", "x", "in", "out", NULL}),
                     ERR_USAGE);
    assert_int_equal(parse(&c, (const char *[]){"-mode", "sideways", "x", "in", "out", NULL}),
                     ERR_USAGE);
    assert_int_equal(parse(&c, (const char *[]){"x", "in", "out", "-reduces", NULL}), ERR_USAGE);
    assert_int_equal(
        parse(&c, (const char *[]){"-D", "mapreduce.map.memory.mb=lots", "x", "in", "out", NULL}),
        ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_in_order_without_hidden_ones),
        cmocka_unit_test(output_appears_whole_and_only_once),
        cmocka_unit_test(output_that_came_into_being_meanwhile_is_not_overwritten),
        cmocka_unit_test(a_partition_is_replaced_and_the_others_stay),
        cmocka_unit_test(maps_go_before_reduces_and_the_list_is_last),
        cmocka_unit_test(a_reduce_is_told_where_every_map_left_its_run),
        cmocka_unit_test(a_failed_task_runs_again_as_often_as_it_may),
        cmocka_unit_test(memory_for_map_outputs_is_shared_by_those_that_run),
        cmocka_unit_test(words_and_options_may_be_mixed),
        cmocka_unit_test(what_is_wrong_with_a_command_is_told),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
