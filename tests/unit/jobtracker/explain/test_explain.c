/* SPDX-License-Identifier: Apache-2.0
 * Why a job was slow, from synthetic attempts: each rule fires on its own cause and says so;
 * healthy jobs have no finding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "jobtracker/explain/explain.h"
#include "libcommon/base/rand.h"

#define TASKS 20

struct trial {
    struct explain_task tasks[TASKS];
    struct explain_stage stage;
    struct explain_job job;
    struct finding found[EXPLAIN_MAX];
    size_t count;
};

/* Twenty tasks of ten seconds, 1 GB each, spread over four nodes. */
static void healthy(struct trial *t, enum explain_kind kind)
{
    static const char *const nodes[] = {"n1", "n2", "n3", "n4"};
    *t = (struct trial){0};
    for (uint32_t i = 0; i < TASKS; i++)
        t->tasks[i] = (struct explain_task){.index = i,
                                            .node = nodes[i % 4],
                                            .is_local = true,
                                            .ms = 10000,
                                            .bytes = 1000000000,
                                            .records = 1000000,
                                            .read_us = 1000000,
                                            .total_us = 10000000,
                                            .top_key = slice_str("k"),
                                            .top_records = 100};
    t->stage = (struct explain_stage){
        .kind = kind, .tasks = t->tasks, .count = TASKS, .elapsed_ms = 50000};
    t->job = (struct explain_job){.elapsed_ms = 60000,
                                  .files = 20,
                                  .bytes = 20000000000,
                                  .previous_bytes = 19000000000,
                                  .stages = &t->stage,
                                  .count = 1};
}

static void ask(struct trial *t)
{
    t->count = explain(&t->job, t->found);
}

static void assert_only(struct trial *t, const char *code, const char *says)
{
    ask(t);
    assert_int_equal(t->count, 1);
    assert_string_equal(t->found[0].code, code);
    assert_non_null(strstr(t->found[0].says, says));
    assert_true(t->found[0].fix[0] != 0);
}

static void twenty_healthy_jobs_have_no_finding(void **state)
{
    struct rand rand;
    (void)state;
    rand_init(&rand, 7);
    for (int i = 0; i < 20; i++) {
        struct trial t;
        healthy(&t, i % 2 ? EXPLAIN_MAP : EXPLAIN_REDUCE);
        for (uint32_t k = 0; k < TASKS;
             k++) { /* a fifth more or less to do, a tenth slower or faster */
            uint64_t more = 80 + rand_below(&rand, 41);
            t.tasks[k].bytes = t.tasks[k].bytes * more / 100;
            t.tasks[k].ms = t.tasks[k].ms * more * (90 + rand_below(&rand, 21)) / 10000;
        }
        ask(&t);
        assert_int_equal(t.count, 0);
    }
}

static void a_job_without_tasks_or_time_has_no_finding(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.stage.count = 0;
    t.job.elapsed_ms = 0;
    t.job.bytes = t.job.files = t.job.previous_bytes = 0;
    ask(&t);
    assert_int_equal(t.count, 0);
}

static void a_hot_key_is_named_with_its_share(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.tasks[7].ms = 40000;
    t.tasks[7].bytes = 9000000000;
    t.tasks[7].records = 9000000;
    t.tasks[7].top_key = slice_str("the\t\"");
    t.tasks[7].top_records = 8500000;
    assert_only(
        &t, "HOT_KEY",
        "the key \"the\\x09\\x22\" has 30 % of all values (8,500,000 ± 0): reduce 7 took 40.0 s");
    assert_int_equal(t.found[0].cost_ms, 30000);
}

static void other_hot_keys_are_named_within_their_bounds(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.tasks[7].ms = 40000;
    t.tasks[7].records = 9000000;
    t.tasks[7].top_key = slice_str("the");
    t.tasks[7].top_records = 8500000;
    t.job.key_records = 1000;
    t.job.key_count = 3;
    t.job.keys[0] = (struct explain_key){slice_str("the"), 290, 310};
    t.job.keys[1] = (struct explain_key){slice_str("and"), 60, 80};
    t.job.keys[2] = (struct explain_key){slice_str("of"), 40, 60}; /* perhaps: not told */
    assert_only(&t, "HOT_KEY", "(8,500,000 ± 0), \"and\" 7.0 % (± 1.0): reduce 7 took 40.0 s");
}

static void a_hot_key_is_named_among_two_reduces_too(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.stage.count = 2;
    t.tasks[0].ms = 40000;
    t.tasks[0].records = 9000000;
    t.tasks[0].top_records = 8500000;
    assert_only(&t, "HOT_KEY",
                "the key \"k\" has 85 % of all values (8,500,000 ± 0): reduce 0 took "
                "40.0 s, the others 10.0 s");
}

/* Of a thousand reduces one that is a single key's has but a small share of all. */
static void a_key_that_fills_its_partition_is_not_called_many_keys(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.tasks[7].ms = 60000;
    t.tasks[7].bytes = 6000000000;
    t.tasks[7].records = 2050000;
    t.tasks[7].top_records = 900000;
    assert_only(&t, "SKEW_REDUCE", "many keys");
    t.tasks[TASKS - 1].top_records = 1030000; /* they are in order of their times now */
    assert_only(&t, "HOT_KEY", "has 4 % of all values");
}

/* Few keys, each with a reduce of its own: what is slow there is not the key. */
static void a_key_of_a_reduce_that_got_no_more_than_the_others_is_not_hot(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.stage.count = 4;
    for (uint32_t i = 0; i < 4; i++)
        t.tasks[i].top_records = t.tasks[i].records;
    t.tasks[2].ms = 30000;
    ask(&t);
    assert_int_equal(t.count, 0);
}

static void a_key_of_any_bytes_leaves_the_sentence_whole(void **state)
{
    struct trial t;
    static const uint8_t bytes[200];
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.tasks[7].ms = 40000;
    t.tasks[7].records = 90000000;
    t.tasks[7].top_key = slice_of(bytes, sizeof(bytes));
    t.tasks[7].top_records = 85000000;
    t.job.key_records = 1000;
    t.job.key_count = 3;
    for (int i = 0; i < 3; i++)
        t.job.keys[i] = (struct explain_key){
            slice_of((const uint8_t *)"\xff\xff\xff\xff\xff\xff", 6), 100, 120};
    assert_only(&t, "HOT_KEY", "took 40.0 s, the others 10.0 s");
}

static void a_disk_that_was_slow_is_not_skew_and_hides_none(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.tasks[3].ms = 60000;
    t.tasks[3].bytes = 6000000000;
    t.tasks[3].aside_us = 51000000;
    ask(&t);
    assert_int_equal(t.count, 0);
    healthy(&t, EXPLAIN_REDUCE);
    for (int i = 0; i < TASKS; i++) {
        t.tasks[i].ms = i == 3 ? 50000 : 60000;
        t.tasks[i].aside_us = i == 3 ? 5000000 : 50000000;
    }
    t.tasks[3].bytes = 6000000000;
    assert_only(&t, "SKEW_REDUCE", "reduce 3 got 5.6 G");
    assert_int_equal(t.found[0].cost_ms, 35000);
}

static void many_keys_in_one_partition_are_skew_not_a_hot_key(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    t.tasks[3].ms = 60000;
    t.tasks[3].bytes = 6000000000;
    assert_only(&t, "SKEW_REDUCE", "reduce 3 got 5.6 G, the usual one 953.7 M");
}

static void a_slow_node_is_told_apart_from_a_task_with_more_data(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    for (uint32_t i = 1; i < TASKS; i += 4) /* all of n2 */
        t.tasks[i].ms = 30000;
    assert_only(&t, "SLOW_NODE", "5 tasks on n2 ran at");
    healthy(&t, EXPLAIN_MAP);
    t.tasks[5].ms = 30000;
    t.tasks[5].bytes *= 3;
    ask(&t);
    assert_int_equal(t.count, 0);
}

static void a_node_that_only_reads_from_afar_is_not_called_slow(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    for (uint32_t i = 1; i < TASKS; i += 4) { /* all of n2 */
        t.tasks[i].ms = 30000;
        t.tasks[i].total_us = 30000000;
        t.tasks[i].is_local = false;
    }
    assert_only(&t, "LOCALITY_LOW", "5 of 20 maps read from other nodes, 67 % slower");
}

static void a_file_that_cannot_be_split_is_named(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.tasks[4].ms = 80000;
    t.tasks[4].bytes *= 8;
    t.tasks[4].input = slice_str("/in/big.gz");
    assert_only(&t, "SKEW_SPLIT",
                "map 4 read 7.5 G (/in/big.gz), the usual one 953.7 M: it took 1m 20s");
}

static void spills_that_cost_a_third_of_the_maps_are_told(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    for (uint32_t i = 0; i < TASKS; i++) {
        t.tasks[i].spill_us = 2000000;
        t.tasks[i].merge_us = 2000000;
        t.tasks[i].emitted = t.tasks[i].spilled = 1000000;
        t.tasks[i].emitted_bytes = t.tasks[i].spilled_bytes = 59000000;
        t.tasks[i].memory = 1 << 30;
    }
    t.job.sort_bytes = 16 << 20;
    assert_only(&t, "SPILL", "wrote 1.1 G (20,000,000 records) to disk");
    assert_non_null(strstr(t.found[0].says, "40 % of their time"));
    assert_non_null(strstr(t.found[0].says, "a buffer of 95.4 M"));
    assert_int_equal(t.found[0].cost_ms, 20000);
    assert_string_equal(t.found[0].fix,
                        "give the maps a larger buffer: -D mapreduce.task.io.sort.mb=96; or "
                        "smaller splits, or a combiner");
}

/* Whoever said nothing of buffers has as large ones as the memory of a map allows. */
static void what_avoids_spills_is_memory_where_that_is_what_is_short(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    for (uint32_t i = 0; i < TASKS; i++) {
        t.tasks[i].merge_us = 4000000;
        t.tasks[i].emitted = 9000000; /* of which a combiner left a few */
        t.tasks[i].emitted_bytes = 8 * 9000000;
        t.tasks[i].spilled = i == 7 ? 1000000 : 500000;
        t.tasks[i].spilled_bytes = 10000000;
        t.tasks[i].memory = 64 << 20;
    }
    assert_only(&t, "SPILL", "a buffer of 93.5 M");
    assert_string_equal(t.found[0].fix,
                        "give the maps a larger buffer: -D mapreduce.map.memory.mb=188; or "
                        "smaller splits, or a combiner");
    t.job.sort_bytes = 16 << 20;
    assert_only(&t, "SPILL", "a buffer of 93.5 M");
    assert_non_null(strstr(t.found[0].fix, "io.sort.mb=94 -D mapreduce.map.memory.mb=188; or "));
}

static void many_small_files_are_told_when_opening_them_costs(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.job.files = 50000;
    t.job.bytes = t.job.previous_bytes = 500000000;
    for (uint32_t i = 0; i < TASKS; i++)
        t.tasks[i].read_us = 8000000;
    assert_only(&t, "SMALL_FILES", "50,000 files of 9.8 K");
}

static void maps_that_read_from_afar_are_told_when_it_was_slower(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    for (uint32_t i = 0; i < TASKS; i++) { /* half of them, on every node */
        t.tasks[i].is_local = i / 4 % 2;
        t.tasks[i].ms = t.tasks[i].is_local ? 10000 : 20000;
        t.tasks[i].total_us = t.tasks[i].ms * 1000;
    }
    assert_only(&t, "LOCALITY_LOW", "12 of 20 maps read from other nodes, 50 % slower");
}

static void what_broke_is_told_however_little_it_cost(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.stage.again = 2;
    t.stage.again_node = "n2";
    assert_only(&t, "FETCH_FAIL", "2 finished maps ran again: what they had made was lost with n2");
    t.stage.again = t.stage.unread = 1;
    assert_only(&t, "FETCH_FAIL",
                "1 finished map ran again: what it had made could not be read from n2");
    healthy(&t, EXPLAIN_REDUCE);
    t.stage.cut_off = 2;
    t.stage.cut_off_ms = 6355;
    t.stage.lost_node = "n4";
    assert_only(&t, "NODE_LOST", "2 running reduces had to begin again: n4 was lost");
    assert_int_equal(t.found[0].cost_ms, 6355);
    healthy(&t, EXPLAIN_MAP);
    t.job.memory = (struct explain_memory){.count = 3, .node = "n3", .limit = 256 << 20};
    assert_only(&t, "OOM_LIMIT",
                "3 attempts wanted more memory than their limit: last a map on n3 with 256 M");
    assert_non_null(strstr(t.found[0].fix, "-D mapreduce.map.memory.mb=512"));
    t.job.memory = (struct explain_memory){1, 0, "n3", 1 << 30, true};
    assert_only(&t, "OOM_LIMIT",
                "1 attempt wanted more memory than its limit: a reduce on n3 with 1 G");
    assert_non_null(strstr(t.found[0].fix, "-D mapreduce.reduce.memory.mb=2048"));
}

static void a_job_with_more_input_than_last_time_is_told_so(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.job.previous_bytes = t.job.bytes / 4;
    assert_only(&t, "VOLUME_UP", "18.6 G of input, the run before had 4.7 G");
    assert_int_equal(t.found[0].cost_ms, 45000);
}

static void runs_over_the_same_data_of_another_day_are_alike(void **state)
{
    static const struct {
        const char *a, *b;
        bool is_alike;
    } pairs[] = {
        {"/logs/2026-11-03", "/logs/2026-11-04", true},
        {"/logs/9", "/logs/10", true},
        {"/in/small", "/in/big", false},
        {"/in/a1", "/in/a", false},
        {"/in/a", "/in/a", true},
        {"", "", true},
        {"/in/1/a", "/in/1/ab", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct slice a = slice_str(pairs[i].a), b = slice_str(pairs[i].b);
        assert_int_equal(explain_is_alike(a, b), pairs[i].is_alike);
        assert_int_equal(explain_is_alike(b, a), pairs[i].is_alike);
    }
}

static void what_was_lost_side_by_side_is_no_more_than_the_job_took(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.stage.again = 20;
    t.job.memory = (struct explain_memory){20, 200000, "n3", 1 << 30, false};
    ask(&t);
    assert_int_equal(t.count, 2);
    assert_int_equal(t.found[0].cost_ms, t.job.elapsed_ms);
    assert_int_equal(t.found[1].cost_ms, t.job.elapsed_ms);
}

static void the_most_costly_finding_comes_first(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_MAP);
    t.job.previous_bytes = t.job.bytes / 4;
    t.stage.again = 1;
    ask(&t);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.found[0].code, "VOLUME_UP");
    assert_string_equal(t.found[1].code, "FETCH_FAIL");
}

static void a_cause_that_cost_little_is_not_told(void **state)
{
    struct trial t;
    (void)state;
    healthy(&t, EXPLAIN_REDUCE);
    for (uint32_t i = 0; i < TASKS; i++)
        t.tasks[i].ms = 50;
    t.tasks[7].ms = 900;
    t.tasks[7].top_records = t.tasks[7].records = 90000000;
    t.job.elapsed_ms = 1000;
    ask(&t);
    assert_int_equal(t.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twenty_healthy_jobs_have_no_finding),
        cmocka_unit_test(a_job_without_tasks_or_time_has_no_finding),
        cmocka_unit_test(a_hot_key_is_named_with_its_share),
        cmocka_unit_test(other_hot_keys_are_named_within_their_bounds),
        cmocka_unit_test(a_hot_key_is_named_among_two_reduces_too),
        cmocka_unit_test(a_key_that_fills_its_partition_is_not_called_many_keys),
        cmocka_unit_test(a_key_of_a_reduce_that_got_no_more_than_the_others_is_not_hot),
        cmocka_unit_test(a_key_of_any_bytes_leaves_the_sentence_whole),
        cmocka_unit_test(a_disk_that_was_slow_is_not_skew_and_hides_none),
        cmocka_unit_test(many_keys_in_one_partition_are_skew_not_a_hot_key),
        cmocka_unit_test(a_slow_node_is_told_apart_from_a_task_with_more_data),
        cmocka_unit_test(a_node_that_only_reads_from_afar_is_not_called_slow),
        cmocka_unit_test(a_file_that_cannot_be_split_is_named),
        cmocka_unit_test(spills_that_cost_a_third_of_the_maps_are_told),
        cmocka_unit_test(what_avoids_spills_is_memory_where_that_is_what_is_short),
        cmocka_unit_test(many_small_files_are_told_when_opening_them_costs),
        cmocka_unit_test(maps_that_read_from_afar_are_told_when_it_was_slower),
        cmocka_unit_test(what_broke_is_told_however_little_it_cost),
        cmocka_unit_test(a_job_with_more_input_than_last_time_is_told_so),
        cmocka_unit_test(runs_over_the_same_data_of_another_day_are_alike),
        cmocka_unit_test(what_was_lost_side_by_side_is_no_more_than_the_job_took),
        cmocka_unit_test(the_most_costly_finding_comes_first),
        cmocka_unit_test(a_cause_that_cost_little_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
