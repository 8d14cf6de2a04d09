/* SPDX-License-Identifier: Apache-2.0
 * Combining at emit: whatever the table does, what comes out folds to what went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "sums.h"
#include "worker/map/combine.h"

static void run_combine(struct fold fold, size_t space, uint32_t keys, uint64_t emits,
                        uint64_t seed)
{
    void *room = NULL;
    assert_int_equal(posix_memalign(&room, 64, space), 0);
    struct combine c;
    struct rand rand;
    rand_init(&rand, seed);
    reset(fold);
    combine_open(&c, &fold, room, space, take_out, NULL);
    for (uint64_t e = 0; e < emits; e++) {
        char text[64];
        /* A few keys are hot. */
        uint32_t i = (uint32_t)rand_below(&rand, rand_chance(&rand, 3) ? keys : 50);
        double d = (double)(int64_t)rand_u64(&rand) / 3e7;
        uint64_t v = rand_u64(&rand) >> 20;
        if (fold.value == QN_F64)
            memcpy(&v, &d, 8);
        struct slice key = key_of(i, text);
        fold_to(&sums.in[i], &sums.has_in[i], fold.op == QN_COUNT ? 1 : v);
        assert_int_equal(combine_add(&c, key_hash(key), key, slice_of(&v, 8)), 0);
    }
    assert_int_equal(combine_flush(&c), 0);
    assert_int_equal(c.in_records, emits);
    assert_int_equal(c.out_records, sums.records_out);
    assert_int_equal(sums.counted, emits);
    free(room);
}

static void every_integer_fold_survives_the_table(void **state)
{
    (void)state;
    const enum qn_fold ops[] = {QN_SUM, QN_MIN, QN_MAX, QN_COUNT};
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        run_combine((struct fold){.op = ops[i], .value = QN_U64}, COMBINE_SPACE_MIN, 1000, 30000,
                    i);
        check_sums();
        assert_true(sums.records_out <= 1000);
        if (ops[i] != QN_COUNT)
            run_combine((struct fold){.op = ops[i], .value = QN_I64}, COMBINE_SPACE_MIN, 1000,
                        30000, i);
        check_sums();
    }
}

static void minimum_and_maximum_of_doubles_survive_too(void **state)
{
    (void)state;
    run_combine((struct fold){.op = QN_MIN, .value = QN_F64}, COMBINE_SPACE_MIN, 500, 20000, 7);
    check_sums();
    run_combine((struct fold){.op = QN_MAX, .value = QN_F64}, COMBINE_SPACE_MIN, 500, 20000, 8);
    check_sums();
}

/* As emit does it: short keys and small numbers in fewer steps, while there is a tally. */
static int add_quickly(struct combine *c, struct slice key, uint64_t value)
{
    uint64_t hash = key_hash(key), word;
    bool is_short = key.len - 1 < 8 && value < TALLY_NUMBERS && c->tally.is_open;
    word = is_short ? tally_word(key_word(key.data, key.len), key.len) : 0;
    return is_short && tally_takes(word, key.len) ? combine_tally(c, hash, word, value)
                                                  : combine_add(c, hash, key, slice_of(&value, 8));
}

static void short_keys_in_fewer_steps_give_the_same(void **state)
{
    (void)state;
    const struct fold fold = {.op = QN_SUM, .value = QN_U64};
    void *space = NULL;
    assert_int_equal(posix_memalign(&space, 64, COMBINE_SPACE_MIN), 0);
    for (uint32_t keys = 30; keys <= KEYS; keys = keys * 30) {
        struct combine c;
        struct rand rand;
        rand_init(&rand, keys);
        reset(fold);
        combine_open(&c, &fold, space, COMBINE_SPACE_MIN, take_out, NULL);
        for (uint64_t e = 0; e < 100000; e++) {
            char text[64];
            uint32_t i = (uint32_t)rand_below(&rand, rand_below(&rand, keys) + 1);
            struct slice key = key_of(i, text);
            fold_to(&sums.in[i], &sums.has_in[i], e % 600);
            assert_int_equal(add_quickly(&c, key, e % 600), 0);
        }
        assert_int_equal(combine_flush(&c), 0);
        assert_int_equal(combine_records(&c), 100000);
        assert_int_equal(c.out_records, sums.records_out);
        assert_int_equal(sums.counted, 100000);
        check_sums();
    }
    free(space);
}

static void a_slot_that_cannot_count_further_goes_out_in_time(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    const struct fold fold = {.op = QN_SUM, .value = QN_U64};
    struct combine c;
    char text[64];
    struct slice key = key_of(3, text);
    reset(fold);
    combine_open(&c, &fold, space, sizeof(space), take_out, NULL);
    c.round_max = 1000;
    for (uint64_t e = 0; e < 10000; e++) {
        fold_to(&sums.in[3], &sums.has_in[3], e);
        assert_int_equal(combine_add(&c, key_hash(key), key, slice_of(&e, 8)), 0);
    }
    assert_int_equal(combine_flush(&c), 0);
    check_sums();
    assert_int_equal(sums.counted, 10000);
    assert_in_range(sums.records_out, 9, 11);
    assert_in_range(sums.most, 1000, 1000 + QUEUE_LENGTH);
    combine_open(&c, &fold, space, sizeof(space), take_out, NULL);
    assert_int_equal(c.round_max, UINT32_MAX - QUEUE_LENGTH);
}

static void a_tally_tells_all_keys_apart_that_it_takes(void **state)
{
    (void)state;
    static const uint8_t ends[] = {0, 1, 'a', 0x7f, 0x80, 0x81, 0x87, 0x88, 0xff};
    struct rand rand;
    rand_init(&rand, 3);
    for (int i = 0; i < 100000; i++) {
        uint8_t key[8];
        size_t len = 1 + rand_below(&rand, 8);
        for (size_t k = 0; k < len; k++)
            key[k] = ends[rand_below(&rand, sizeof(ends))];
        uint64_t bytes = key_word(key, len), word = tally_word(bytes, len);
        bool takes = tally_takes(word, len);
        assert_int_equal(takes, len < 8 || (key[7] >= 1 && key[7] <= 0x7f));
        if (!takes)
            continue;
        assert_true(word != 0);
        assert_int_equal(tally_len(word), len);
        assert_true(tally_key_word(word) == bytes);
        assert_true(tally_hash(word) == key_hash(slice_of(key, len)));
    }
}

static void a_key_that_comes_more_often_than_its_slot_counts_goes_out_in_time(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    const struct fold fold = {.op = QN_SUM, .value = QN_U64};
    const uint64_t often = ((uint64_t)1 << 27) - 3; /* as if it had come so often, with 511 */
    struct combine c;
    char text[64];
    struct slice key = key_of(3, text);
    uint64_t word = tally_word(key_word(key.data, key.len), key.len);
    reset(fold);
    combine_open(&c, &fold, space, sizeof(space), take_out, NULL);
    for (uint32_t i = 0; i <= TALLY_WAITING; i++)
        assert_int_equal(add_quickly(&c, key, 511), 0);
    struct tally_slot *slot = tally_near(&c.tally, key_hash(key), word);
    assert_int_equal(slot->both, TALLY_ONE + 511);
    slot->both = often * (TALLY_ONE + 511);
    for (uint32_t i = 0; i < 2 * TALLY_WAITING; i++)
        assert_int_equal(add_quickly(&c, key, 511), 0);
    assert_int_equal(sums.records_out, 1);
    assert_int_equal(sums.counted, (uint64_t)1 << 27);
    assert_int_equal(combine_flush(&c), 0);
    assert_int_equal(sums.records_out, 2);
    assert_int_equal(sums.counted, often + 3 * TALLY_WAITING);
    assert_int_equal(sums.out[3], 511 * sums.counted);
}

/* Seven digits each. */
struct many {
    uint32_t counted[200000];
    uint64_t out;
};
static struct many many;
static int take_many(void *arg, uint64_t hash, struct slice key, struct slice value, uint64_t count)
{
    uint64_t i;
    char text[8] = "";
    (void)arg;
    assert_int_equal(key.len, 7);
    assert_true(hash == key_hash(key));
    memcpy(text, key.data, 7);
    i = strtoull(text, NULL, 10);
    assert_true(i < ARRAY_LEN(many.counted));
    assert_int_equal(get_u64(value.data), count);
    many.counted[i] += (uint32_t)count;
    many.out++;
    return 0;
}

/* `keys` keys, each `often` times in a row. */
static void count_many(struct combine *c, uint32_t keys, uint32_t often)
{
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    const struct fold fold = {.op = QN_SUM, .value = QN_U64};
    memset(&many, 0, sizeof(many));
    combine_open(c, &fold, space, sizeof(space), take_many, NULL);
    for (uint32_t i = 0; i < keys * often; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%07u", i / often);
        assert_int_equal(add_quickly(c, slice_of(text, 7), 1), 0);
    }
    assert_int_equal(combine_flush(c), 0);
    assert_int_equal(combine_records(c), (uint64_t)keys * often);
    assert_int_equal(c->out_records, many.out);
    for (uint32_t i = 0; i < keys; i++)
        assert_int_equal(many.counted[i], often);
}

static void a_tally_that_does_not_help_is_given_up(void **state)
{
    (void)state;
    struct combine c;
    count_many(&c, 10000, 1); /* not full yet */
    assert_true(c.tally.is_open);
    count_many(&c, 200000, 1);
    assert_false(c.tally.is_open);
    assert_true(c.is_aside);
    assert_int_equal(many.out, 200000);
}

static void a_full_tally_that_helps_goes_out_and_begins_again(void **state)
{
    (void)state;
    struct combine c;
    count_many(&c, 200000, 3);
    assert_true(c.tally.is_open && !c.is_aside);
    assert_in_range(many.out, 200000, 200010);
}

static void a_full_table_gets_the_space_of_a_tally_nobody_needs(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    const struct fold fold = {.op = QN_SUM, .value = QN_U64};
    for (uint32_t short_keys = 0; short_keys <= 10000; short_keys += 10000) {
        struct combine c;
        reset(fold);
        combine_open(&c, &fold, space, sizeof(space), take_out, NULL);
        size_t slots = c.table.slots_max;
        for (uint32_t e = 0; e < 3 * 40000; e++) {
            char text[64];
            bool is_short = e % 100 == 0 || e < 3 * short_keys;
            struct slice key =
                key_of(is_short ? e % 5000 * 3 % 14991 : e / 3 % 13333 * 3 + 1, text);
            uint32_t i = number_of(key);
            fold_to(&sums.in[i], &sums.has_in[i], 1);
            assert_int_equal(add_quickly(&c, key, 1), 0);
        }
        assert_int_equal(c.tally.is_open, short_keys > 0);
        assert_int_equal(c.table.slots_max, short_keys ? slots : 2 * slots);
        assert_int_equal(combine_flush(&c), 0);
        check_sums();
        assert_int_equal(combine_records(&c), 3 * 40000);
    }
}

/* Who emits many keys at once asks once whether there is a tally; its space may go meanwhile, and a
 * long key in it may begin with the eight bytes of a short one. */
static int take_prefixed(void *arg, uint64_t hash, struct slice key, struct slice value,
                         uint64_t count)
{
    uint64_t *counted = arg;
    (void)hash;
    assert_int_equal(get_u64(value.data), count);
    counted[key.len == 8] += count;
    return 0;
}

static void keys_that_come_after_the_tallys_space_is_given_away_are_not_lost(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    const struct fold fold = {.op = QN_SUM, .value = QN_U64};
    const uint64_t one = 1;
    uint64_t counted[2] = {0};
    struct combine c;
    combine_open(&c, &fold, space, sizeof(space), take_prefixed, counted);
    for (uint32_t e = 0; e < 600000; e++) {
        char text[16];
        snprintf(text, sizeof(text), "%08u!", e / 3 % 50000);
        struct slice key = slice_of(text, 9);
        assert_int_equal(combine_add(&c, key_hash(key), key, slice_of(&one, 8)), 0);
        if (c.tally.is_open)
            continue;
        key.len = 8;
        assert_int_equal(combine_tally(&c, key_hash(key), key_word(key.data, 8), 1), 0);
        counted[1]--;
    }
    assert_false(c.tally.is_open);
    assert_int_equal(combine_flush(&c), 0);
    assert_int_equal(counted[0], 600000);
    assert_int_equal(counted[1], 0);
}

static void a_full_table_goes_out_and_begins_again(void **state)
{
    (void)state;
    run_combine((struct fold){.op = QN_SUM, .value = QN_U64}, COMBINE_SPACE_MIN, KEYS, 250000, 9);
    check_sums();
    uint64_t distinct = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        distinct += sums.has_in[i];
    assert_true(sums.records_out > distinct && sums.records_out < 250000 / 2);
}

static void step_aside(struct fold fold)
{
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    struct combine c;
    reset(fold);
    combine_open(&c, &fold, space, sizeof(space), take_out, NULL);
    const uint64_t seven = 7;
    for (uint32_t i = 0; i < KEYS; i++) {
        char text[64];
        struct slice key = key_of(i, text);
        bool was_aside = c.is_aside;
        uint64_t out = sums.records_out;
        fold_to(&sums.in[i], &sums.has_in[i], fold.op == QN_COUNT ? 1 : seven);
        assert_int_equal(combine_add(&c, key_hash(key), key, slice_of(&seven, 8)), 0);
        assert_true(!was_aside || sums.records_out == out + 1);
    }
    assert_true(c.is_aside);
    assert_int_equal(combine_flush(&c), 0);
    assert_int_equal(sums.records_out, KEYS);
    check_sums();
}

static void a_table_that_does_not_help_steps_aside(void **state)
{
    (void)state;
    step_aside((struct fold){.op = QN_SUM, .value = QN_U64});
    step_aside((struct fold){.op = QN_COUNT, .value = QN_U64});
    step_aside((struct fold){.op = QN_SUM, .value = QN_F64});
}

static void sums_of_doubles_take_the_same_steps_in_any_memory(void **state)
{
    (void)state;
    const struct fold fold = {.op = QN_SUM, .value = QN_F64};
    run_combine(fold, COMBINE_SPACE_MIN, 3000, 60000, 11);
    uint64_t small = sums.digest, records = sums.records_out;
    run_combine(fold, 8 * COMBINE_SPACE_MIN, 3000, 60000, 11);
    assert_true(sums.digest == small);
    assert_int_equal(sums.records_out, records);
    assert_true(records < 60000 / 2);
}

/* Steps that change would change answers. */
static void a_window_of_doubles_is_half_a_mebibyte_of_slots_and_keys(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    const struct fold fold = {.op = QN_SUM, .value = QN_F64};
    struct combine c;
    double one = 1;
    reset(fold);
    combine_open(&c, &fold, space, sizeof(space), take_out, NULL);
    const uint64_t emits = (512 * 1024 + 32) / (32 + 1);
    for (uint64_t e = 1; e <= 3 * emits; e++) {
        struct slice key = slice_str("3");
        assert_int_equal(combine_add(&c, key_hash(key), key, slice_of(&one, 8)), 0);
        assert_int_equal(sums.records_out, e / emits);
    }
}

static struct buf firsts;
static int append_out(void *arg, uint64_t hash, struct slice key, struct slice value,
                      uint64_t count)
{
    (void)arg, (void)count;
    (void)hash;
    buf_printf(&firsts, SLICE_FMT "=" SLICE_FMT " ", SLICE_ARG(key), SLICE_ARG(value));
    return 0;
}

static void add_text(struct combine *c, const char *key, struct slice value)
{
    struct slice k = slice_str(key);
    assert_int_equal(combine_add(c, key_hash(k), k, value), 0);
}

static void the_first_value_stays_first_also_before_a_long_one(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    static uint8_t giant[COMBINE_RECORD_MAX + 1];
    memset(giant, 'g', sizeof(giant));
    struct fold fold = {.op = QN_FIRST, .value = QN_TEXT};
    struct combine c;
    combine_open(&c, &fold, space, sizeof(space), append_out, NULL);
    add_text(&c, "a", slice_str("one"));
    add_text(&c, "a", slice_str("two"));
    add_text(&c, "empty", slice_str(""));
    add_text(&c, "a", slice_of(giant, sizeof(giant)));
    add_text(&c, "a", slice_str("three"));
    assert_int_equal(combine_flush(&c), 0);
    const char *text = buf_cstr(&firsts);
    const char *one = strstr(text, "a=one"), *long_one = strstr(text, "a=ggg");
    assert_non_null(one);
    assert_non_null(long_one);
    assert_true(one < long_one);
    assert_true(long_one < strstr(text, "a=three"));
    assert_null(strstr(text, "two"));
    assert_non_null(strstr(text, "empty= "));
    buf_release(&firsts);
}

static int refuse(void *arg, uint64_t hash, struct slice key, struct slice value, uint64_t count)
{
    (void)arg, (void)hash, (void)key, (void)value, (void)count;
    return ERR_NOSPC;
}

static void what_out_fails_with_is_told(void **state)
{
    (void)state;
    static uint8_t space[COMBINE_SPACE_MIN] __attribute__((aligned(64)));
    struct fold fold = {.op = QN_SUM, .value = QN_U64};
    struct combine c;
    combine_open(&c, &fold, space, sizeof(space), refuse, NULL);
    uint64_t one = 1;
    add_text(&c, "a", slice_of(&one, 8));
    assert_int_equal(combine_flush(&c), ERR_NOSPC);
}

/* --- values strung together ------------------------------------------------------------------ */

#define CONCAT_KEYS 300

static struct {
    struct buf in[CONCAT_KEYS], out[CONCAT_KEYS]; /* all values of a key, in order, joined */
    uint64_t in_records, out_records;
    size_t limit;
} joined;

static void join(struct buf *at, struct slice value)
{
    if (at->len)
        buf_append_str(at, "; ");
    buf_append_slice(at, value);
}

static int take_joined(void *arg, uint64_t hash, struct slice key, struct slice value,
                       uint64_t count)
{
    (void)count;
    uint64_t *longest_of_one = arg;
    uint32_t i = number_of(key);
    assert_true(hash == key_hash(key));
    assert_true(value.len <= joined.limit || value.len <= *longest_of_one);
    join(&joined.out[i], value);
    joined.out_records++;
    return 0;
}

static struct slice random_value(struct rand *rand, char *room, size_t longest)
{
    size_t len = 1 + (size_t)rand_below(rand, rand_chance(rand, 50) || longest < 20 ? longest : 20);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)('a' + rand_below(rand, 26));
    return slice_of(room, len);
}

static void concatenate(uint32_t limit, size_t longest, uint64_t emits, uint64_t seed)
{
    void *room = NULL;
    char value[9000], text[64];
    uint64_t longest_of_one = longest;
    struct combine c;
    struct rand rand;
    const struct fold fold = {
        .op = QN_CONCAT, .value = QN_TEXT, .with = slice_str("; "), .limit = limit};
    rand_init(&rand, seed);
    memset(&joined, 0, sizeof(joined));
    joined.limit = limit;
    assert_int_equal(posix_memalign(&room, 64, COMBINE_SPACE_MIN), 0);
    combine_open(&c, &fold, room, COMBINE_SPACE_MIN, take_joined, &longest_of_one);
    for (uint64_t e = 0; e < emits; e++) {
        uint32_t i = (uint32_t)rand_below(&rand, rand_chance(&rand, 3) ? CONCAT_KEYS : 9);
        struct slice key = key_of(i, text), v = random_value(&rand, value, longest);
        join(&joined.in[i], v);
        assert_int_equal(combine_add(&c, key_hash(key), key, v), 0);
    }
    assert_int_equal(combine_flush(&c), 0);
    assert_int_equal(c.in_records, emits);
    assert_int_equal(c.out_records, joined.out_records);
    for (uint32_t i = 0; i < CONCAT_KEYS; i++) {
        assert_true(slice_eq(buf_slice(&joined.in[i]), buf_slice(&joined.out[i])));
        buf_release(&joined.in[i]);
        buf_release(&joined.out[i]);
    }
    free(room);
}

static void values_strung_together_keep_their_order_and_their_limit(void **state)
{
    (void)state;
    concatenate(1024, 60, 20000, 1);
    assert_true(joined.out_records < 20000 / 10);
    concatenate(8192, 3000, 6000, 2); /* much more than the table holds */
    concatenate(100, 300, 6000, 3);   /* some are longer than may be strung together */
    concatenate(1, 10, 2000, 4);      /* nothing can be */
    assert_int_equal(joined.out_records, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_integer_fold_survives_the_table),
        cmocka_unit_test(short_keys_in_fewer_steps_give_the_same),
        cmocka_unit_test(a_slot_that_cannot_count_further_goes_out_in_time),
        cmocka_unit_test(a_tally_tells_all_keys_apart_that_it_takes),
        cmocka_unit_test(a_key_that_comes_more_often_than_its_slot_counts_goes_out_in_time),
        cmocka_unit_test(a_tally_that_does_not_help_is_given_up),
        cmocka_unit_test(a_full_tally_that_helps_goes_out_and_begins_again),
        cmocka_unit_test(a_full_table_gets_the_space_of_a_tally_nobody_needs),
        cmocka_unit_test(keys_that_come_after_the_tallys_space_is_given_away_are_not_lost),
        cmocka_unit_test(minimum_and_maximum_of_doubles_survive_too),
        cmocka_unit_test(a_full_table_goes_out_and_begins_again),
        cmocka_unit_test(a_table_that_does_not_help_steps_aside),
        cmocka_unit_test(values_strung_together_keep_their_order_and_their_limit),
        cmocka_unit_test(sums_of_doubles_take_the_same_steps_in_any_memory),
        cmocka_unit_test(a_window_of_doubles_is_half_a_mebibyte_of_slots_and_keys),
        cmocka_unit_test(the_first_value_stays_first_also_before_a_long_one),
        cmocka_unit_test(what_out_fails_with_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
