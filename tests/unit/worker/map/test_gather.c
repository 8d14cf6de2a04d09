/* SPDX-License-Identifier: Apache-2.0
 * A combine of the job's own at emit: what comes out combines to what went in, in its order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "sums.h"
#include "worker/map/gather.h"

/* As emit does it: a short key's number in fewer steps. */
static int add_quickly(struct gather *g, struct slice key, uint64_t number)
{
    uint64_t hash = key_hash(key), kept = key_word(key.data, key.len);
    uint64_t word = key.len - 1 < 8 ? tally_word(kept, key.len) : 0;
    if (word && !g->tally.is_open)
        return gather_add_word(g, hash, kept, key.len, number);
    return word && gather_counts(g, number, word, key.len)
               ? gather_count(g, hash, word)
               : gather_add(g, hash, key, slice_of(&number, 8));
}

static uint64_t calls;
static int sum_up(void *arg, struct slice key, struct gather *g)
{
    (void)arg;
    uint64_t sum = 0, n = 0;
    struct slice v;
    for (; gather_next(g, &v); n++)
        sum += get_u64(v.data);
    assert_true(n > 0);
    calls++;
    return gather_emit(g, key, slice_of(&sum, 8));
}

static int keep_all(void *arg, struct slice key, struct gather *g)
{
    (void)arg;
    struct slice v;
    int rc = 0;
    while (rc == 0 && gather_next(g, &v))
        rc = gather_emit(g, key, v);
    return rc;
}

static void run_gather(gather_combine *combine, size_t space, uint32_t keys, uint64_t emits)
{
    void *room = NULL;
    assert_int_equal(posix_memalign(&room, 64, space), 0);
    struct gather g;
    struct rand rand;
    rand_init(&rand, keys);
    reset((struct fold){.op = QN_SUM, .value = QN_U64});
    gather_open(&g, &(struct gather_conf){room, space, true, combine, take_out, NULL});
    for (uint64_t e = 0; e < emits; e++) {
        char text[64];
        uint32_t i = (uint32_t)rand_below(&rand, rand_below(&rand, keys) + 1);
        uint64_t v = rand_u64(&rand) >> 30;
        struct slice key = key_of(i, text);
        fold_to(&sums.in[i], &sums.has_in[i], v);
        int rc =
            e % 2 ? gather_add(&g, key_hash(key), key, slice_of(&v, 8)) : add_quickly(&g, key, v);
        assert_int_equal(rc, 0);
    }
    assert_int_equal(gather_flush(&g), 0);
    assert_int_equal(gather_records(&g), emits);
    assert_int_equal(g.out_records, sums.records_out);
    gather_close(&g);
    free(room);
    check_sums();
}

static void a_jobs_combine_sums_what_was_emitted(void **state)
{
    (void)state;
    calls = 0;
    run_gather(sum_up, GATHER_SPACE_MIN, 2000, 90000);
    assert_true(sums.records_out <= 2000);
    assert_true(calls > 2000);
    run_gather(sum_up, GATHER_SPACE_MIN, KEYS, 120000);
    run_gather(sum_up, 4 * GATHER_SPACE_MIN, KEYS, 120000);
}

static void a_combine_that_keeps_everything_loses_nothing(void **state)
{
    (void)state;
    run_gather(keep_all, GATHER_SPACE_MIN, 100, 90000);
    assert_int_equal(sums.records_out, 90000);
    run_gather(keep_all, GATHER_SPACE_MIN, KEYS, 90000);
    assert_int_equal(sums.records_out, 90000);
}

/* Values are the numbers of their records, followed by whatever else. */
static uint64_t last_out[KEYS];
static uint64_t out_of_order;

static int take_in_turn(void *arg, uint64_t hash, struct slice key, struct slice value,
                        uint64_t count)
{
    (void)arg, (void)hash, (void)count;
    uint64_t *last = &last_out[number_of(key)], number = get_u64(value.data);
    out_of_order += number <= *last;
    *last = number;
    sums.records_out++;
    return 0;
}

/* Keys of hundreds come again while the queue is not yet looked at. */
static void keep_in_turn(bool is_numbers, uint32_t keys, size_t longest)
{
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    static uint8_t value[2 * COMBINE_RECORD_MAX];
    const uint64_t emits = 60000;
    struct gather g;
    struct rand rand;
    rand_init(&rand, keys);
    memset(last_out, 0, sizeof(last_out));
    out_of_order = sums.records_out = 0;
    gather_open(
        &g, &(struct gather_conf){space, sizeof(space), is_numbers, keep_all, take_in_turn, NULL});
    for (uint64_t e = 1; e <= emits; e++) {
        char text[64];
        uint32_t i = (uint32_t)rand_below(&rand, rand_chance(&rand, 2) ? keys : 7);
        struct slice key = key_of(i, text);
        size_t len = 8 + (longest && rand_chance(&rand, 99) ? rand_below(&rand, longest) : 0);
        put_u64(value, e);
        int rc = !is_numbers || rand_chance(&rand, 9)
                     ? gather_add(&g, key_hash(key), key, slice_of(value, len))
                     : add_quickly(&g, key, e);
        assert_int_equal(rc, 0);
    }
    assert_int_equal(gather_flush(&g), 0);
    gather_close(&g);
    assert_int_equal(sums.records_out, emits);
    assert_int_equal(out_of_order, 0);
}

static void values_come_out_in_their_order_when_a_table_steps_aside_or_they_are_long(void **state)
{
    (void)state;
    keep_in_turn(false, KEYS, 0);
    keep_in_turn(true, KEYS, 0);
    keep_in_turn(false, 40, 2 * COMBINE_RECORD_MAX - 8);
}

static int drop_odd(void *arg, struct slice key, struct gather *g)
{
    (void)arg;
    (void)key;
    struct slice v;
    while (gather_next(g, &v))
        ;
    return 0;
}

static void a_combine_may_emit_nothing(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    struct gather g;
    reset((struct fold){.op = QN_SUM, .value = QN_U64});
    gather_open(&g, &(struct gather_conf){space, sizeof(space), true, drop_odd, take_out, NULL});
    uint64_t one = 1;
    char text[64];
    struct slice key = key_of(7, text);
    for (int i = 0; i < 10; i++)
        assert_int_equal(gather_add(&g, key_hash(key), key, slice_of(&one, 8)), 0);
    assert_int_equal(gather_flush(&g), 0);
    assert_int_equal(sums.records_out, 0);
    gather_close(&g);
}

static int rename_key(void *arg, struct slice key, struct gather *g)
{
    (void)arg;
    (void)key;
    struct slice v;
    char text[64];
    int rc = 0;
    while (rc == 0 && gather_next(g, &v))
        rc = gather_emit(g, key_of(8, text), v);
    return rc;
}

static void a_combine_may_emit_another_key(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    struct gather g;
    reset((struct fold){.op = QN_SUM, .value = QN_U64});
    gather_open(&g, &(struct gather_conf){space, sizeof(space), true, rename_key, take_out, NULL});
    uint64_t one = 1;
    char text[64];
    struct slice key = key_of(7, text);
    for (int i = 0; i < 10; i++)
        assert_int_equal(gather_add(&g, key_hash(key), key, slice_of(&one, 8)), 0);
    assert_int_equal(gather_flush(&g), 0);
    assert_int_equal(sums.out[8], 10);
    gather_close(&g);
}

/* Values of any length: a key's are strung together, in whatever pieces, or only the longest stays.
 */
static struct buf strung[40];

static int take_strung(void *arg, uint64_t hash, struct slice key, struct slice value,
                       uint64_t count)
{
    (void)arg, (void)count;
    assert_true(hash == key_hash(key));
    buf_append_slice(&strung[number_of(key)], value);
    return 0;
}

static int string_up(void *arg, struct slice key, struct gather *g)
{
    struct buf *all = arg;
    struct slice v;
    buf_clear(all);
    while (gather_next(g, &v))
        buf_append_slice(all, v);
    return gather_emit(g, key, buf_slice(all));
}

static int longest(void *arg, struct slice key, struct gather *g)
{
    struct slice v, most = {0};
    (void)arg;
    while (gather_next(g, &v))
        if (v.len >= most.len)
            most = v;
    return gather_emit(g, key, most);
}

static void values_of_any_length_wait_in_their_order(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    static char value[9000];
    struct buf in[40] = {{0}}, all = BUF_INIT;
    struct gather g;
    struct rand rand;
    gather_open(&g,
                &(struct gather_conf){space, sizeof(space), false, string_up, take_strung, &all});
    rand_init(&rand, 5);
    for (int e = 0; e < 6000; e++) {
        char text[64];
        uint32_t i = (uint32_t)rand_below(&rand, ARRAY_LEN(in));
        struct slice key = key_of(i, text);
        size_t len = (size_t)rand_below(&rand, rand_chance(&rand, 9) ? sizeof(value) : 12);
        memset(value, 'a' + e % 26, len);
        buf_append(&in[i], value, len);
        assert_int_equal(gather_add(&g, key_hash(key), key, slice_of(value, len)), 0);
    }
    assert_int_equal(gather_flush(&g), 0);
    for (size_t i = 0; i < ARRAY_LEN(in); i++) {
        assert_true(slice_eq(buf_slice(&in[i]), buf_slice(&strung[i])));
        buf_release(&in[i]);
        buf_release(&strung[i]);
    }
    gather_close(&g);
    buf_release(&all);
}

static void a_hot_key_is_combined_once_for_many_values_and_goes_out_once(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    struct gather g;
    char text[64];
    struct slice key = key_of(6, text);
    reset((struct fold){.op = QN_SUM, .value = QN_U64});
    calls = 0;
    gather_open(&g, &(struct gather_conf){space, sizeof(space), true, sum_up, take_out, NULL});
    for (uint64_t v = 0; v < 31000; v++) { /* the first one was counted */
        fold_to(&sums.in[6], &sums.has_in[6], v);
        assert_int_equal(gather_add(&g, key_hash(key), key, slice_of(&v, 8)), 0);
    }
    assert_int_equal(gather_flush(&g), 0);
    check_sums();
    assert_int_equal(sums.records_out, 2);
    assert_in_range(calls, 1000, 1030);
    gather_close(&g);
}

/* A value is a step x -> a x + b, both of 32 bits; one after another they are a step again, but not
 * in another order. */
static uint64_t step_of(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}

static uint64_t then(uint64_t first, uint64_t second)
{
    uint32_t a = (uint32_t)(second >> 32);
    return step_of(a * (uint32_t)(first >> 32), a * (uint32_t)first + (uint32_t)second);
}

static uint64_t steps_out[40];
static uint64_t most_at_once;

static int take_step(void *arg, uint64_t hash, struct slice key, struct slice value, uint64_t count)
{
    (void)arg, (void)hash, (void)count;
    uint64_t *step = &steps_out[number_of(key)];
    *step = then(*step, get_u64(value.data));
    return 0;
}

static int one_step(void *arg, struct slice key, struct gather *g)
{
    (void)arg;
    uint64_t step = step_of(1, 0), n = 0;
    struct slice v;
    for (; gather_next(g, &v); n++)
        step = then(step, get_u64(v.data));
    most_at_once = n > most_at_once ? n : most_at_once;
    calls++;
    return gather_emit(g, key, slice_of(&step, 8));
}

/* `repeats` of a hundred values are the one before, of whatever key. */
static void run_steps(uint32_t keys, uint32_t repeats, uint64_t emits)
{
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    uint64_t in[ARRAY_LEN(steps_out)], value = step_of(3, 5);
    struct gather g;
    struct rand rand;
    rand_init(&rand, keys + repeats);
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        in[i] = steps_out[i] = step_of(1, 0);
    calls = most_at_once = 0;
    gather_open(&g, &(struct gather_conf){space, sizeof(space), true, one_step, take_step, NULL});
    for (uint64_t e = 0; e < emits; e++) {
        char text[64];
        uint32_t i = (uint32_t)rand_below(&rand, keys);
        struct slice key = key_of(i, text);
        if (rand_below(&rand, 100) >= repeats)
            value = step_of((uint32_t)rand_u64(&rand) | 1, (uint32_t)rand_u64(&rand));
        in[i] = then(in[i], value);
        int rc = e % 2 ? gather_add(&g, key_hash(key), key, slice_of(&value, 8))
                       : add_quickly(&g, key, value);
        assert_int_equal(rc, 0);
    }
    assert_int_equal(gather_flush(&g), 0);
    assert_memory_equal(in, steps_out, sizeof(in));
    gather_close(&g);
}

static void numbers_are_combined_in_their_order_however_often_one_comes(void **state)
{
    (void)state;
    run_steps(1, 90, 20000);
    run_steps(40, 0, 20000);
    run_steps(40, 50, 20000);
    run_steps(40, 99, 50000);
}

static void a_number_that_comes_again_and_again_waits_in_its_slot_but_not_without_end(void **state)
{
    (void)state;
    run_steps(1, 100, 60000);
    assert_int_equal(calls, 1);
    run_steps(1, 100, 3 * (uint64_t)GATHER_SAME_MAX + 9);
    assert_int_equal(calls, 4);
    assert_int_equal(most_at_once, GATHER_SAME_MAX);
}

static void only_what_a_combine_leaves_comes_out(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    static const char value[300];
    struct gather g;
    char text[64];
    struct slice key = key_of(6, text);
    gather_open(&g, &(struct gather_conf){space, sizeof(space), false, longest, take_strung, NULL});
    for (size_t i = 0; i < sizeof(value); i++)
        assert_int_equal(gather_add(&g, key_hash(key), key, slice_of(value, i * 7 % sizeof(value))),
                         0);
    assert_int_equal(gather_flush(&g), 0);
    assert_int_equal(strung[6].len, 299);
    buf_release(&strung[6]);
    gather_close(&g);
}

/* Of keys of seven digits, how often each came. */
static int count_seven(void *arg, uint64_t hash, struct slice key, struct slice value,
                       uint64_t count)
{
    uint8_t *counted = arg;
    char text[8] = "";
    (void)count;
    assert_int_equal(key.len, 7);
    assert_true(hash == key_hash(key));
    memcpy(text, key.data, 7);
    counted[strtoul(text, NULL, 10)] += (uint8_t)get_u64(value.data);
    return 0;
}

/* One number for all, and from record `other` on another one. */
static void run_counts(uint32_t keys, uint64_t emits, uint64_t other, gather_combine *combine)
{
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    struct gather g;
    struct rand rand;
    rand_init(&rand, keys + other);
    reset((struct fold){.op = QN_SUM, .value = QN_U64});
    calls = 0;
    gather_open(&g, &(struct gather_conf){space, sizeof(space), true, combine, take_out, NULL});
    for (uint64_t e = 1; e <= emits; e++) {
        char text[64];
        uint32_t i = (uint32_t)rand_below(&rand, keys);
        uint64_t v = other && e >= other ? 9 : 7;
        struct slice key = key_of(i, text);
        fold_to(&sums.in[i], &sums.has_in[i], v);
        int rc =
            e % 5 ? add_quickly(&g, key, v) : gather_add(&g, key_hash(key), key, slice_of(&v, 8));
        assert_int_equal(rc, 0);
        assert_int_equal(gather_records(&g), e);
    }
    assert_int_equal(g.tally.is_open, other <= 1);
    assert_int_equal(gather_flush(&g), 0);
    assert_int_equal(g.out_records, sums.records_out);
    gather_close(&g);
    check_sums();
}

static void one_number_for_all_is_counted_until_another_comes(void **state)
{
    (void)state;
    run_counts(600, 50000, 0, sum_up);
    assert_int_equal(sums.records_out, 600);
    assert_int_equal(calls, 600);
    run_counts(600, 50000, 20001, sum_up);
    assert_in_range(sums.records_out, 601, 1200);
    run_counts(600, 50000, 1, sum_up);
    run_counts(KEYS, 300000, 0, sum_up);
    run_counts(KEYS, 300000, 299900, sum_up);
    run_counts(600, 50000, 0, keep_all);
    assert_int_equal(sums.records_out, 50000);
    run_counts(600, 50000, 30000, keep_all);
    assert_int_equal(sums.records_out, 50000);
}

/* Each key twice, far apart, more keys than the tally takes; all are short. */
static void
a_tally_that_does_not_help_is_given_up_and_one_nobody_needs_gives_its_space(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    static uint8_t counted[500000];
    const uint64_t one = 1;
    struct gather g;
    memset(counted, 0, sizeof(counted));
    gather_open(&g,
                &(struct gather_conf){space, sizeof(space), true, sum_up, count_seven, counted});
    for (uint32_t e = 0; e < 2 * sizeof(counted); e++) {
        char text[64];
        snprintf(text, sizeof(text), "%07u", e % (uint32_t)sizeof(counted));
        assert_int_equal(add_quickly(&g, slice_of(text, 7), 1), 0);
    }
    assert_false(g.tally.is_open);
    assert_int_equal(gather_flush(&g), 0);
    for (size_t i = 0; i < sizeof(counted); i++)
        assert_int_equal(counted[i], 2);
    gather_close(&g);

    reset((struct fold){.op = QN_SUM, .value = QN_U64});
    gather_open(&g, &(struct gather_conf){space, sizeof(space), true, sum_up, take_out, NULL});
    size_t slots = g.table.slots_max;
    for (uint32_t e = 0; e < 300000; e++) {
        char text[64];
        uint32_t i = e % 1000 == 0 ? 6 : e / 3 % 16000 * 3 + 1; /* hardly any is short */
        struct slice key = key_of(i, text);
        fold_to(&sums.in[i], &sums.has_in[i], 1);
        assert_int_equal(gather_add(&g, key_hash(key), key, slice_of(&one, 8)), 0);
    }
    assert_false(g.tally.is_open);
    assert_int_equal(g.table.slots_max, 2 * slots);
    assert_int_equal(gather_flush(&g), 0);
    check_sums();
    gather_close(&g);
}

/* Each key once with the same number, until the tally is given up; then with others, more often
 * than the table holds before the end. */
static void what_waits_when_a_tally_is_given_up_goes_out_before_other_numbers(void **state)
{
    (void)state;
    static uint8_t space[GATHER_SPACE_MIN] __attribute__((aligned(64)));
    struct gather g;
    const uint32_t rounds = 12;
    uint32_t keys = 0;
    char text[64];
    memset(last_out, 0, sizeof(last_out));
    out_of_order = sums.records_out = 0;
    gather_open(&g,
                &(struct gather_conf){space, sizeof(space), true, keep_all, take_in_turn, NULL});
    while (keys == 0 || g.tally.is_open) {
        int len = snprintf(text, sizeof(text), "%u", keys++);
        assert_true(keys < KEYS);
        assert_int_equal(add_quickly(&g, slice_of(text, (size_t)len), 1), 0);
    }
    for (uint32_t e = 2; e < 2 + rounds; e++)
        for (uint32_t i = keys; i > 0; i--) {
            int len = snprintf(text, sizeof(text), "%u", i - 1);
            assert_int_equal(add_quickly(&g, slice_of(text, (size_t)len), e), 0);
        }
    assert_int_equal(gather_flush(&g), 0);
    gather_close(&g);
    assert_int_equal(sums.records_out, (uint64_t)keys * (rounds + 1));
    assert_int_equal(out_of_order, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_jobs_combine_sums_what_was_emitted),
        cmocka_unit_test(a_combine_that_keeps_everything_loses_nothing),
        cmocka_unit_test(values_come_out_in_their_order_when_a_table_steps_aside_or_they_are_long),
        cmocka_unit_test(a_combine_may_emit_nothing),
        cmocka_unit_test(a_combine_may_emit_another_key),
        cmocka_unit_test(values_of_any_length_wait_in_their_order),
        cmocka_unit_test(a_hot_key_is_combined_once_for_many_values_and_goes_out_once),
        cmocka_unit_test(numbers_are_combined_in_their_order_however_often_one_comes),
        cmocka_unit_test(a_number_that_comes_again_and_again_waits_in_its_slot_but_not_without_end),
        cmocka_unit_test(only_what_a_combine_leaves_comes_out),
        cmocka_unit_test(one_number_for_all_is_counted_until_another_comes),
        cmocka_unit_test(
            a_tally_that_does_not_help_is_given_up_and_one_nobody_needs_gives_its_space),
        cmocka_unit_test(what_waits_when_a_tally_is_given_up_goes_out_before_other_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
