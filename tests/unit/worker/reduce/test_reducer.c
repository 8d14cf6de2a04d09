/* SPDX-License-Identifier: Apache-2.0
 * Whole reduce tasks over runs in files, with jobs that live in this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "tests/unit/worker/own_dir.h"
#include "worker/reduce/reducer.h"
#include "worker/run/record.h"

#define MEMORY ((uint64_t)16 << 20)
#define MAPS   12

static struct err err;

struct task {
    struct plugin plugin;
    struct task_run run;
    struct task_source sources[MAPS];
    char paths[MAPS][64];
    char out[64];
    struct slice dirs[1];
    struct msg_pair pairs[2];
    uint64_t partitions[2];
    struct progress_page page;
    struct region region;
    struct scratch scratch;
    struct context context;
    struct task_done done;
    unsigned blames;
    uint64_t blamed;
};

static struct task *make(const struct qn_job *job, uint32_t maps)
{
    struct task *t = mem_calloc(1, sizeof(*t));
    snprintf(t->out, sizeof(t->out), "%s/part-r-00000", dir);
    if (plugin_take(&t->plugin, job, "test", &err) != 0)
        fail_msg("%s", err.msg);
    t->dirs[0] = slice_str(dir);
    t->run = (struct task_run){.kind = TASK_REDUCE,
                               .partitions = 2,
                               .maps = maps,
                               .local_dirs = {t->dirs, 1},
                               .memory = MEMORY,
                               .reduce_partitions = {t->partitions, 1},
                               .sources = {t->sources, maps},
                               .out = slice_str(t->out),
                               .out_name = slice_str("part-r-00000")};
    assert_int_equal(scratch_open(&t->scratch, t->dirs, 1), 0);
    assert_int_equal(region_reserve(&t->region, MEMORY, &err), 0);
    return t;
}

/* A run of two partitions: "key value" words in partition 0 in the order given; in partition 1 the
 * word "other". */
static void make_run(struct task *t, uint32_t map, const char *const *pairs)
{
    static uint8_t room[64 * 1024];
    struct run_writer w;
    struct run_part *parts;
    uint64_t len;
    snprintf(t->paths[map], sizeof(t->paths[map]), "%s/map-%u.run", dir, map);
    int fd = open(t->paths[map], O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct run_target target = {fd, UINT64_MAX, room, sizeof(room)};
    assert_int_equal(run_writer_open(&w, &target, 2, &err), 0);
    for (; *pairs; pairs++) {
        const char *space = strchr(*pairs, ' ');
        size_t key_len = (size_t)(space - *pairs), value_len = strlen(space + 1);
        uint8_t record[256];
        size_t head = record_head(record, key_len, value_len);
        memcpy(record + head, *pairs, key_len);
        memcpy(record + head + key_len, space + 1, value_len);
        run_writer_add(&w, record, head + key_len + value_len);
    }
    run_writer_end_partition(&w, 0);
    const uint8_t other[] = {5, 0, 'o', 't', 'h', 'e', 'r'};
    run_writer_add(&w, other, sizeof(other));
    assert_int_equal(run_writer_close(&w, &parts, &len, &err), 0);
    mem_free(parts);
    close(fd);
    t->sources[map] = (struct task_source){.map_task = map, .run = slice_str(t->paths[map])};
}

static void on_blame(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why, bool is_damaged)
{
    struct task *t = arg;
    (void)worker;
    assert_true(is_damaged);
    assert_int_equal(count, 1);
    assert_non_null(strstr(why, "checksum"));
    t->blames++;
    t->blamed = maps[0];
}

static int run(struct task *t)
{
    struct context_conf conf = {&t->plugin, &t->run, files_local(), &t->page};
    assert_int_equal(context_open(&t->context, &conf, &err), 0);
    struct reducer_conf reducer = {
        .region = &t->region, .scratch = &t->scratch, .on_blame = on_blame, .arg = t, .fd = -1};
    return reducer_run(&t->context, &reducer, &t->done);
}

static void drop(struct task *t)
{
    context_close(&t->context);
    scratch_close(&t->scratch);
    region_release(&t->region);
    mem_free(t);
}

static void check_output(struct task *t, const char *want)
{
    struct buf file = BUF_INIT;
    if (t->context.failed.code)
        fail_msg("%s", t->context.failed.msg);
    assert_int_equal(fsutil_read_all(disk_real(), t->out, 1 << 24, &file, &err), 0);
    assert_string_equal(buf_cstr(&file), want);
    assert_int_equal(t->done.files.v[0].len, file.len);
    buf_release(&file);
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int map(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    (void)task, (void)record, (void)where;
    return 0;
}

/* "key TAB v1,v2,": shows order. */
static int join(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    char text[4000];
    size_t len = 0;
    struct qn_slice v;
    while (qn_next(values, &v)) {
        memcpy(text + len, v.data, v.len);
        len += v.len;
        text[len++] = ',';
    }
    return qn_emit(task, key, qn_bytes(text, len));
}

static struct qn_job join_job(void)
{
    return (struct qn_job){.head = QN_JOB_HEAD, .name = "join", .map = map, .reduce = join};
}

static void values_come_in_order_of_map_and_emission(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    struct task *t = make(&job, 3);
    make_run(t, 0, (const char *[]){"a 01", "a 02", "c 03", NULL});
    make_run(t, 1, (const char *[]){NULL});
    make_run(t, 2, (const char *[]){"a 21", "b 22", "c 23", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "a\t01,02,21,\nb\t22,\nc\t03,23,\n");
    drop(t);
}

static void several_partitions_become_one_order(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    struct task *t = make(&job, 2);
    t->partitions[1] = 1;
    t->run.reduce_partitions.n = 2;
    make_run(t, 0, (const char *[]){"a 1", "z 1", NULL});
    make_run(t, 1, (const char *[]){"a 2", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "a\t1,2,\nother\t,,\nz\t1,\n");
    drop(t);
}

static void ranges_of_keys_go_one_after_another(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    job.spread = QN_BY_RANGE;
    struct task *t = make(&job, 2);
    t->partitions[1] = 1;
    t->run.reduce_partitions.n = 2;
    make_run(t, 0, (const char *[]){"z 1", NULL});
    make_run(t, 1, (const char *[]){"a 2", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "a\t2,\nz\t1,\nother\t,,\n");
    drop(t);
}

static void no_maps_make_an_empty_file(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    struct task *t = make(&job, 0);
    assert_int_equal(run(t), 0);
    check_output(t, "");
    drop(t);
}

static int lazy(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice first = qn_nothing();
    (void)qn_next(values, &first);
    return qn_emit(task, key, first);
}

static void a_reduce_may_leave_values_unread(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    job.reduce = lazy;
    struct task *t = make(&job, 2);
    make_run(t, 0, (const char *[]){"a 1", "a 2", "b 3", NULL});
    make_run(t, 1, (const char *[]){"a 4", "b 5", "b 6", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "a\t1\nb\t3\n");
    drop(t);
}

static int by_first(struct qn_slice a, struct qn_slice b)
{
    return *(const char *)a.data - *(const char *)b.data;
}

static void the_jobs_grouping_joins_keys(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    job.group = by_first;
    struct task *t = make(&job, 2);
    make_run(t, 0, (const char *[]){"a1 x", "a3 y", "b1 z", NULL});
    make_run(t, 1, (const char *[]){"a2 m", "b0 n", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "a1\tx,m,y,\nb0\tn,z,\n");
    drop(t);
}

static int join_with_keys(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    char text[64];
    struct qn_slice first = qn_key_of(values), v;
    size_t n = (size_t)snprintf(text, sizeof(text), "%.*s:", (int)first.len, (char *)first.data);
    while (qn_next(values, &v)) {
        struct qn_slice k = qn_key_of(values);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s=%.*s,", (int)k.len, (char *)k.data,
                              (int)v.len, (char *)v.data);
    }
    (void)key;
    return qn_emit(task, qn_key_of(values), (struct qn_slice){text, n});
}

static void each_value_of_a_group_has_its_own_key(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    job.group = by_first;
    job.reduce = join_with_keys;
    struct task *t = make(&job, 2);
    make_run(t, 0, (const char *[]){"a1 x", "a3 y", "b1 z", NULL});
    make_run(t, 1, (const char *[]){"a2 m", "b0 n", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "a1\ta1:a1=x,a2=m,a3=y,\nb0\tb0:b0=n,b1=z,\n");
    drop(t);
}

static int backwards(struct qn_slice a, struct qn_slice b)
{
    return -slice_cmp(key_from_qn(a), key_from_qn(b));
}

static void the_jobs_order_is_followed(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    job.compare = backwards;
    struct task *t = make(&job, 2);
    make_run(t, 0, (const char *[]){"c 1", "a 2", NULL});
    make_run(t, 1, (const char *[]){"c 4", "b 5", NULL});
    assert_int_equal(run(t), 0);
    check_output(t, "c\t1,4,\nb\t5,\na\t2,\n");
    drop(t);
}

static void many_runs_with_little_memory_are_merged_in_steps(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    struct task *t = make(&job, MAPS);
    for (uint32_t m = 0; m < MAPS; m++) {
        char value[16];
        snprintf(value, sizeof(value), "k %02u", m);
        make_run(t, m, (const char *[]){value, NULL});
    }
    t->run.conf.v = t->pairs;
    t->pairs[t->run.conf.n++] =
        (struct msg_pair){slice_str("mapreduce.task.io.sort.factor"), slice_str("3")};
    assert_int_equal(run(t), 0);
    check_output(t, "k\t00,01,02,03,04,05,06,07,08,09,10,11,\n");
    assert_true(counters_get(&t->context.counters, COUNTERS_GROUP, "runs merged again")->value > 0);
    drop(t);
}

/* --- what goes wrong ------------------------------------------------------------------------- */

static int refuse(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    (void)values;
    return qn_fail(task, "cannot reduce %.*s", (int)key.len, (const char *)key.data);
}

static int emit_text_as_number(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    (void)values;
    return qn_emit(task, key, key);
}

static void what_reduce_says_is_told(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    job.reduce = refuse;
    struct task *t = make(&job, 1);
    make_run(t, 0, (const char *[]){"a 1", NULL});
    assert_true(run(t) < 0);
    assert_string_equal(t->context.failed.msg, "cannot reduce a");
    assert_int_equal(t->context.failure, TASK_FAILED_USER);
    drop(t);

    job.reduce = emit_text_as_number;
    job.out_value = QN_F64;
    t = make(&job, 1);
    make_run(t, 0, (const char *[]){"a 1", NULL});
    assert_true(run(t) < 0);
    assert_non_null(strstr(t->context.failed.msg, "a value of 1 bytes, but .out_value is QN_F64"));
    drop(t);
}

static void a_damaged_output_is_blamed_on_its_map(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    struct task *t = make(&job, 2);
    make_run(t, 0, (const char *[]){"a 1", NULL});
    make_run(t, 1, (const char *[]){"a 2", NULL});
    int fd = open(t->paths[1], O_WRONLY);
    assert_int_equal(pwrite(fd, "X", 1, RUN_HEADER_BYTES + 3), 1);
    close(fd);
    assert_true(run(t) < 0);
    assert_int_equal(t->context.failure, TASK_FAILED_FETCH);
    assert_int_equal(t->blames, 1);
    assert_int_equal(t->blamed, 1);
    drop(t);
}

static void an_output_that_vanished_is_a_failed_fetch(void **state)
{
    (void)state;
    struct qn_job job = join_job();
    struct task *t = make(&job, 1);
    make_run(t, 0, (const char *[]){"a 1", NULL});
    unlink(t->paths[0]);
    assert_true(run(t) < 0);
    assert_int_equal(t->context.failure, TASK_FAILED_FETCH);
    assert_non_null(strstr(t->context.failed.msg, "output of map 0"));
    drop(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_in_order_of_map_and_emission),
        cmocka_unit_test(several_partitions_become_one_order),
        cmocka_unit_test(ranges_of_keys_go_one_after_another),
        cmocka_unit_test(no_maps_make_an_empty_file),
        cmocka_unit_test(a_reduce_may_leave_values_unread),
        cmocka_unit_test(the_jobs_grouping_joins_keys),
        cmocka_unit_test(each_value_of_a_group_has_its_own_key),
        cmocka_unit_test(the_jobs_order_is_followed),
        cmocka_unit_test(many_runs_with_little_memory_are_merged_in_steps),
        cmocka_unit_test(what_reduce_says_is_told),
        cmocka_unit_test(a_damaged_output_is_blamed_on_its_map),
        cmocka_unit_test(an_output_that_vanished_is_a_failed_fetch),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
