/* SPDX-License-Identifier: Apache-2.0
 * Whole map tasks, with jobs that live in this file: what they emit is in the run, in its
 * partition, in order; and what goes wrong is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "tests/unit/worker/own_dir.h"
#include "worker/map/mapper.h"
#include "worker/run/merge.h"

#define MEMORY ((uint64_t)16 << 20)

static struct err err;

struct task {
    struct plugin plugin;
    struct task_run run;
    struct task_segment segments[4];
    struct slice dirs[1];
    struct msg_pair pairs[4];
    struct progress_page page;
    struct region region;
    struct scratch scratch;
    struct context context;
    struct task_done done;
    char input[64], out[64];
    int memfd;
};

static struct task *make(const struct qn_job *job, const char *text, size_t len)
{
    struct task *t = mem_calloc(1, sizeof(*t));
    snprintf(t->input, sizeof(t->input), "%s/input", dir);
    snprintf(t->out, sizeof(t->out), "%s/part-m-00000", dir);
    assert_int_equal(fsutil_write_all(disk_real(), t->input, slice_of(text, len), &err), 0);
    if (plugin_take(&t->plugin, job, "test", &err) != 0)
        fail_msg("%s", err.msg);
    t->dirs[0] = slice_str(dir);
    t->segments[0] = (struct task_segment){slice_str(t->input), 0, len, len};
    t->memfd = memfd_create("run", MFD_CLOEXEC);
    t->run = (struct task_run){.kind = job->reduce ? TASK_MAP : TASK_MAP_OUT,
                               .partitions = job->reduce ? 3 : 0,
                               .local_dirs = {t->dirs, 1},
                               .memory = MEMORY,
                               .input = {t->segments, 1},
                               .output_memory = 256 << 20,
                               .out = slice_str(t->out),
                               .out_name = slice_str("part-m-00000")};
    assert_int_equal(scratch_open(&t->scratch, t->dirs, 1), 0);
    assert_int_equal(region_reserve(&t->region, MEMORY, &err), 0);
    return t;
}

static void set(struct task *t, const char *key, const char *value)
{
    t->run.conf.v = t->pairs;
    t->pairs[t->run.conf.n++] = (struct msg_pair){slice_str(key), slice_str(value)};
}

static int run(struct task *t)
{
    struct context_conf conf = {&t->plugin, &t->run, files_local(), &t->page};
    assert_int_equal(context_open(&t->context, &conf, &err), 0);
    return mapper_run(&t->context, &(struct mapper_conf){&t->region, &t->scratch, t->memfd},
                      &t->done);
}

static void drop(struct task *t)
{
    context_close(&t->context);
    scratch_close(&t->scratch);
    region_release(&t->region);
    close(t->memfd);
    mem_free(t);
}

static uint64_t counter(struct task *t, const char *name)
{
    return counters_get(&t->context.counters, COUNTERS_GROUP, name)->value;
}

/* "key=value " of every record of a partition; numbers as numbers. */
static struct buf dump(struct task *t, uint32_t partition)
{
    struct run_reader reader;
    struct run_piece piece;
    struct piece_cursor c;
    uint32_t *sums = NULL;
    struct buf out = BUF_INIT;
    static uint8_t room[PIECE_BUFFER_MIN];
    assert_int_equal(t->done.run_path.len, 0);
    assert_int_equal(run_reader_open(&reader, t->memfd, t->done.run_len, "run", &err), 0);
    assert_int_equal(run_reader_piece(&reader, partition, &piece, &sums, &err), 0);
    piece_cursor_open(&c, &piece, &(struct piece_conf){room, sizeof(room), MEMORY, "run", &err});
    while (c.cursor.next(&c.cursor) == 1) {
        buf_append_slice(&out, c.cursor.key);
        if (c.cursor.value.len == 8)
            buf_printf(&out, "=%llu ", (unsigned long long)get_u64(c.cursor.value.data));
        else
            buf_printf(&out, "=" SLICE_FMT " ", SLICE_ARG(c.cursor.value));
    }
    piece_cursor_close(&c);
    mem_free(sums);
    return out;
}

/* --- jobs ------------------------------------------------------------------------------------ */

static int no_reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    (void)task, (void)key, (void)values;
    return 0;
}

static int emit_words(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    struct qn_slice word;
    const uint64_t one = 1;
    (void)where;
    while (qn_next_word(&line, &word))
        if (qn_emit(task, word, qn_from_u64(&one)) != 0)
            return -1;
    return 0;
}

static uint32_t by_first_letter(struct qn_slice key, uint32_t count)
{
    return (uint32_t)(*(const unsigned char *)key.data - 'a') % count;
}

static struct qn_job words_job(void)
{
    return (struct qn_job){.head = QN_JOB_HEAD,
                           .name = "words",
                           .map = emit_words,
                           .reduce = no_reduce,
                           .partition = by_first_letter,
                           .value = QN_U64};
}

static void check_words(const struct qn_job *job, const char *want[3])
{
    struct task *t = make(job, "b a a\nc b\r\na", 12);
    assert_int_equal(run(t), 0);
    for (uint32_t p = 0; p < 3; p++) {
        struct buf got = dump(t, p);
        assert_string_equal(buf_cstr(&got), want[p]);
        buf_release(&got);
    }
    assert_int_equal(counter(t, "Map input records"), 3);
    assert_int_equal(counter(t, "Map output records"), 6);
    assert_int_equal(t->done.parts.n, 3);
    assert_int_equal(t->done.parts.v[0].raw_bytes, 3 * 9); /* before combining */
    drop(t);
}

static void what_is_emitted_is_sorted_into_its_partition(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    check_words(&job, (const char *[]){"a=1 a=1 a=1 ", "b=1 b=1 ", "c=1 "});
}

static void a_declared_fold_folds(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    job.combine_op = QN_SUM;
    check_words(&job, (const char *[]){"a=3 ", "b=2 ", "c=1 "});
    job.combine_op = QN_COUNT;
    check_words(&job, (const char *[]){"a=3 ", "b=2 ", "c=1 "});
}

static int sum_up(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice v;
    uint64_t sum = 0;
    while (qn_next(values, &v))
        sum += qn_to_u64(v);
    return qn_emit(task, key, qn_from_u64(&sum));
}

static void the_jobs_own_combine_combines(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    job.combine = sum_up;
    check_words(&job, (const char *[]){"a=3 ", "b=2 ", "c=1 "});
}

/* As qn_next was before it took numbers by itself, and as other languages ask. */
static int sum_up_by_the_host(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct qn_slice v;
    uint64_t sum = 0;
    while (values->host->next(values, &v))
        sum += qn_to_u64(v);
    if (!slice_eq(key_from_qn(qn_key_of(values)), key_from_qn(key)))
        return -1;
    return qn_emit(task, key, qn_from_u64(&sum));
}

static void a_combine_built_against_an_older_header_gets_the_same_values(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    job.combine = sum_up_by_the_host;
    check_words(&job, (const char *[]){"a=3 ", "b=2 ", "c=1 "});
}

static int emit_spans(struct qn_task *task, struct qn_slice lines, struct qn_slice where)
{
    struct qn_slice line;
    (void)where;
    while (qn_next_line(&lines, &line))
        if (emit_words(task, line, where) != 0)
            return -1;
    return 0;
}

static void spans_of_lines_give_the_same(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    job.map = NULL;
    job.map_lines = emit_spans;
    check_words(&job, (const char *[]){"a=1 a=1 a=1 ", "b=1 b=1 ", "c=1 "});
}

/* Keys of any length and last byte, often enough that emit is no longer measured. */
static uint64_t number;
static bool at_once;
static int emit_odd_keys(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    static const char bytes[] = "a\0bcdef\x80\xff\x7f\x01gh";
    struct qn_slice keys[117];
    size_t n = 0;
    (void)line, (void)where;
    for (size_t len = 1; len <= 9; len++)
        for (size_t from = 0; from + len < sizeof(bytes) + 4; from++)
            keys[n++] = qn_bytes(bytes + from % 4, from % 13 < len ? len : from % 13);
    assert_true(n <= ARRAY_LEN(keys));
    if (at_once)
        return qn_emit_keys(task, keys, n, qn_from_u64(&number));
    for (size_t i = 0; i < n; i++)
        if (qn_emit(task, keys[i], qn_from_u64(&number)) != 0)
            return -1;
    return 0;
}

static uint32_t by_last_byte(struct qn_slice key, uint32_t count)
{
    return ((const unsigned char *)key.data)[key.len - 1] % count;
}

static void many_keys_at_once_are_as_one_by_one(void **state)
{
    (void)state;
    static char lines[6000];
    const uint64_t numbers[] = {0, 1, 511, 512, UINT64_MAX};
    const enum qn_fold folds[] = {QN_SUM, QN_NO_FOLD, QN_MAX};
    struct buf got[2][3];
    struct qn_job job = words_job();
    memset(lines, '\n', sizeof(lines));
    job.map = emit_odd_keys;
    job.partition = by_last_byte;
    for (size_t i = 0; i < ARRAY_LEN(numbers) * ARRAY_LEN(folds); i++) {
        number = numbers[i % ARRAY_LEN(numbers)];
        job.combine_op = folds[i / ARRAY_LEN(numbers)];
        for (int way = 0; way < 2; way++) {
            at_once = way;
            struct task *t = make(&job, lines, job.combine_op == QN_NO_FOLD ? 20 : sizeof(lines));
            assert_int_equal(run(t), 0);
            for (uint32_t p = 0; p < 3; p++)
                got[way][p] = dump(t, p);
            drop(t);
        }
        for (uint32_t p = 0; p < 3; p++) {
            assert_true(slice_eq(buf_slice(&got[0][p]), buf_slice(&got[1][p])));
            buf_release(&got[0][p]);
            buf_release(&got[1][p]);
        }
    }
}

/* --- typed keys, offsets, input -------------------------------------------------------------- */

static int emit_offsets(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    int64_t minus = -(int64_t)qn_to_u64(where);
    const struct qn_input *input = qn_input(task);
    assert_int_equal(input->offset, qn_to_u64(where));
    assert_non_null(strstr(input->path, "/input"));
    return qn_emit(task, qn_from_i64(&minus), line);
}

static void numbers_sort_as_numbers(void **state)
{
    (void)state;
    struct qn_job job = {.head = QN_JOB_HEAD,
                         .name = "offsets",
                         .map = emit_offsets,
                         .reduce = no_reduce,
                         .key = QN_I64};
    struct task *t = make(&job, "x\nyy\n\nzzz\n", 10);
    t->run.partitions = 1;
    assert_int_equal(run(t), 0);
    struct run_reader reader;
    struct run_piece piece;
    struct piece_cursor c;
    uint32_t *sums;
    static uint8_t room[PIECE_BUFFER_MIN];
    const int64_t keys[] = {-6, -5, -2, 0};
    const char *const values[] = {"zzz", "", "yy", "x"};
    assert_int_equal(run_reader_open(&reader, t->memfd, t->done.run_len, "run", &err), 0);
    assert_int_equal(run_reader_piece(&reader, 0, &piece, &sums, &err), 0);
    piece_cursor_open(&c, &piece, &(struct piece_conf){room, sizeof(room), 100, "run", &err});
    const struct key_order order = {QN_I64, NULL};
    for (int i = 0; i < 4; i++) {
        uint8_t own[8];
        assert_int_equal(c.cursor.next(&c.cursor), 1);
        assert_int_equal((int64_t)get_u64(key_restore(&order, c.cursor.key, own).data), keys[i]);
        assert_true(slice_is(c.cursor.value, values[i]));
    }
    piece_cursor_close(&c);
    drop(t);
}

/* --- without reduce -------------------------------------------------------------------------- */

static void without_reduce_the_output_is_a_file(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    job.reduce = NULL;
    job.partition = NULL;
    struct task *t = make(&job, "one two\n", 8);
    assert_int_equal(run(t), 0);
    struct buf file = BUF_INIT;
    assert_int_equal(fsutil_read_all(disk_real(), t->out, 1000, &file, &err), 0);
    assert_string_equal(buf_cstr(&file), "one\t1\ntwo\t1\n");
    assert_int_equal(t->done.files.n, 1);
    assert_int_equal(t->done.files.v[0].records, 2);
    assert_int_equal(t->done.files.v[0].len, file.len);
    assert_true(slice_is(t->done.files.v[0].name, "part-m-00000"));
    buf_release(&file);
    drop(t);
}

static void no_input_makes_an_empty_run(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    struct task *t = make(&job, "", 0);
    assert_int_equal(run(t), 0);
    assert_int_equal(t->done.parts.n, 3);
    assert_int_equal(t->done.parts.v[2].records, 0);
    drop(t);
}

/* --- much data, little memory ---------------------------------------------------------------- */

static int emit_line(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    (void)where;
    return qn_emit(task, line, qn_from_u64(where.data));
}

static void the_buffer_is_told_in_megabytes_however_many(void **state)
{
    static const struct {
        const char *told;
        bool spills;
    } sizes[] = {{"1", true}, {"2048", false}, {"65536", false}, {"1.5", true}, {"1024k", true}};
    (void)state;
    struct qn_job job = {.head = QN_JOB_HEAD,
                         .name = "lines",
                         .map = emit_line,
                         .reduce = no_reduce,
                         .value = QN_U64};
    struct buf text = BUF_INIT;
    for (int i = 0; i < 50000; i++)
        buf_printf(&text, "%08d some words to make it longer\n", i);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct task *t = make(&job, (const char *)text.data, text.len);
        set(t, "mapreduce.task.io.sort.mb", sizes[i].told);
        assert_int_equal(run(t), 0);
        assert_int_equal(counter(t, "Spilled Records") > 0, sizes[i].spills);
        drop(t);
    }
    buf_release(&text);
}

static void more_than_the_memory_holds_is_spilled_and_stays_whole(void **state)
{
    (void)state;
    struct qn_job job = {.head = QN_JOB_HEAD,
                         .name = "lines",
                         .map = emit_line,
                         .reduce = no_reduce,
                         .value = QN_U64};
    struct rand rand;
    struct buf text = BUF_INIT;
    rand_init(&rand, 4);
    for (int i = 0; i < 150000; i++)
        buf_printf(&text, "%08llx some words to make it longer\n",
                   (unsigned long long)rand_below(&rand, 100000));
    struct task *t = make(&job, (const char *)text.data, text.len);
    set(t, "mapreduce.task.io.sort.mb", "2");
    assert_int_equal(run(t), 0);
    assert_true(counter(t, "Spilled Records") > 0);
    uint64_t records = 0;
    for (uint32_t p = 0; p < 3; p++) {
        struct run_reader reader;
        struct run_piece piece;
        struct piece_cursor c;
        uint32_t *sums;
        static uint8_t room[PIECE_BUFFER_MIN], last[64];
        size_t last_len = 0;
        uint64_t last_offset = 0;
        assert_int_equal(run_reader_open(&reader, t->memfd, t->done.run_len, "run", &err), 0);
        assert_int_equal(run_reader_piece(&reader, p, &piece, &sums, &err), 0);
        piece_cursor_open(&c, &piece, &(struct piece_conf){room, sizeof(room), 999, "run", &err});
        while (c.cursor.next(&c.cursor) == 1) {
            int cmp = slice_cmp(slice_of(last, last_len), c.cursor.key);
            uint64_t offset = get_u64(c.cursor.value.data);
            assert_true(cmp < 0 || (cmp == 0 && offset > last_offset));
            assert_memory_equal(c.cursor.key.data, text.data + offset, c.cursor.key.len);
            memcpy(last, c.cursor.key.data, c.cursor.key.len);
            last_len = c.cursor.key.len;
            last_offset = offset;
            records++;
        }
        piece_cursor_close(&c);
        mem_free(sums);
    }
    assert_int_equal(records, 150000);
    buf_release(&text);
    drop(t);
}

/* --- what goes wrong ------------------------------------------------------------------------- */

static const char *how;
static int misbehave(struct qn_task *task, struct qn_slice line, struct qn_slice where)
{
    static char giant[5 << 20];
    (void)line, (void)where;
    if (strcmp(how, "fail") == 0)
        return qn_fail(task, "no date in %.*s", (int)line.len, (const char *)line.data);
    if (strcmp(how, "silent") == 0)
        return 5;
    if (strcmp(how, "size") == 0)
        (void)qn_emit(task, qn_text("key"), qn_text("abc")); /* does not look */
    if (strcmp(how, "giant") == 0)
        return qn_emit(task, qn_bytes(giant, sizeof(giant)), qn_from_u64(where.data));
    if (strcmp(how, "option") == 0)
        (void)qn_option(task, "un.declared");
    return 0;
}

static int cleanups;
static int clean(struct qn_task *task)
{
    (void)task;
    cleanups++;
    return 0;
}

static uint32_t partition_nine(struct qn_slice key, uint32_t count)
{
    (void)key, (void)count;
    return 9;
}

static void fails(const char *what, const char *why, uint32_t failure)
{
    struct qn_job job = {.head = QN_JOB_HEAD,
                         .name = "bad",
                         .map = misbehave,
                         .reduce = no_reduce,
                         .cleanup = clean,
                         .value = QN_U64};
    if (strcmp(what, "partition") == 0) {
        job.map = emit_words;
        job.partition = partition_nine;
    }
    how = what;
    cleanups = 0;
    struct task *t = make(&job, "hello\n", 6);
    assert_true(run(t) < 0);
    if (!strstr(t->context.failed.msg, why))
        fail_msg("\"%s\" does not say \"%s\"", t->context.failed.msg, why);
    assert_int_equal(t->context.failure, failure);
    assert_int_equal(cleanups, 1);
    drop(t);
}

static void every_misdeed_is_told(void **state)
{
    (void)state;
    fails("fail", "no date in hello", TASK_FAILED_USER);
    fails("silent", "map returned 5 without saying why", TASK_FAILED_USER);
    fails("size", "emitted a value of 3 bytes, but .value is QN_U64", TASK_FAILED_USER);
    fails("giant",
          "a record of 5.0 M, more than a quarter of this task's memory (16 M), in or behind",
          TASK_FAILED_MEMORY);
    fails("giant", "/input offset 0: -D mapreduce.map.memory.mb=21 would do", TASK_FAILED_MEMORY);
    fails("partition", "partition returned 9, but there are 3 reducers", TASK_FAILED_USER);
    fails("option", "no option \"un.declared\"", TASK_FAILED_USER);
}

static void a_missing_input_is_told(void **state)
{
    (void)state;
    struct qn_job job = words_job();
    struct task *t = make(&job, "x", 1);
    unlink(t->input);
    assert_true(run(t) < 0);
    assert_int_equal(t->context.failure, TASK_FAILED_IO);
    assert_non_null(strstr(t->context.failed.msg, "/input: No such file or directory"));
    drop(t);
}

static void an_option_that_must_be_given_is_asked_for(void **state)
{
    (void)state;
    static const struct qn_option_row rows[] = {
        {"my.key", NULL, "which key"}, {"my.other", "7", "another"}, {NULL, NULL, NULL}};
    struct qn_job job = words_job();
    job.options = rows;
    struct task *t = make(&job, "x", 1);
    struct context_conf conf = {&t->plugin, &t->run, files_local(), &t->page};
    assert_int_equal(context_open(&t->context, &conf, &err), ERR_CONFIG);
    assert_string_equal(err.msg, "words needs -D my.key=... (which key)");
    set(t, "my.key", "first");
    set(t, "my.key", "last");
    assert_int_equal(context_open(&t->context, &conf, &err), 0);
    assert_string_equal(qn_option(&t->context.task, "my.key"), "last");
    assert_string_equal(qn_option(&t->context.task, "my.other"), "7");
    drop(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_emitted_is_sorted_into_its_partition),
        cmocka_unit_test(a_declared_fold_folds),
        cmocka_unit_test(the_jobs_own_combine_combines),
        cmocka_unit_test(a_combine_built_against_an_older_header_gets_the_same_values),
        cmocka_unit_test(spans_of_lines_give_the_same),
        cmocka_unit_test(many_keys_at_once_are_as_one_by_one),
        cmocka_unit_test(numbers_sort_as_numbers),
        cmocka_unit_test(without_reduce_the_output_is_a_file),
        cmocka_unit_test(no_input_makes_an_empty_run),
        cmocka_unit_test(the_buffer_is_told_in_megabytes_however_many),
        cmocka_unit_test(more_than_the_memory_holds_is_spilled_and_stays_whole),
        cmocka_unit_test(every_misdeed_is_told),
        cmocka_unit_test(a_missing_input_is_told),
        cmocka_unit_test(an_option_that_must_be_given_is_asked_for),
    };
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
