/* SPDX-License-Identifier: Apache-2.0
 * What topk says of a stream, against counting it: for streams of many shapes, alone and put
 * together from parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "libcommon/base/topk.h"

#define KEYS 5000U

static uint64_t hash_of(uint32_t key)
{
    return (key + 1) * 0x9e3779b97f4a7c15U;
}

/* Zipf-like: the smaller `flat`, the more the first keys have. */
static uint32_t draw(struct rand *rand, uint32_t flat)
{
    uint64_t limit = KEYS;
    for (uint32_t i = 0; i < flat; i++)
        limit = 1 + rand_below(rand, limit);
    return (uint32_t)rand_below(rand, limit);
}

static void add(struct topk *t, uint64_t *truth, uint32_t key, uint64_t weight)
{
    topk_add(t, hash_of(key), slice_of(&key, sizeof(key)), weight);
    truth[key] += weight;
}

static void check(const struct topk *t, const uint64_t *truth)
{
    uint64_t absent = topk_absent(t), total = 0;
    bool is_held[KEYS] = {false};
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t key;
        memcpy(&key, t->cells[i].key, sizeof(key));
        assert_int_equal(t->hashes[i], hash_of(key));
        assert_true(t->cells[i].low <= truth[key]);
        assert_true(truth[key] <= t->cells[i].high);
        is_held[key] = true;
    }
    for (uint32_t key = 0; key < KEYS; key++) {
        total += truth[key];
        assert_true(is_held[key] || truth[key] <= absent);
    }
    assert_int_equal(total, t->total);
}

static void bounds_hold_and_every_frequent_key_is_there(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct rand rand;
        struct topk t;
        static uint64_t truth[KEYS];
        memset(truth, 0, sizeof(truth));
        rand_init(&rand, seed);
        topk_init(&t, 1 + seed % TOPK_MAX);
        for (uint32_t i = 0; i < 8000; i++)
            add(&t, truth, draw(&rand, seed % 5), 1 + rand_below(&rand, 1 + seed % 3));
        check(&t, truth);
        assert_true(topk_absent(&t) <= t.total / t.capacity);
    }
}

static void parts_put_together_say_what_is_true_of_the_whole(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 40; seed++) {
        struct rand rand;
        struct topk whole;
        static uint64_t truth[KEYS];
        memset(truth, 0, sizeof(truth));
        rand_init(&rand, seed);
        topk_init(&whole, 64);
        for (uint32_t part = 0; part < 12; part++) {
            struct topk t;
            topk_init(&t, 8 + part);
            for (uint32_t i = 0; i < 700; i++)
                add(&t, truth, (draw(&rand, seed % 5) + part * (seed % 7)) % KEYS, 1);
            topk_merge(&whole, &t);
        }
        check(&whole, truth);
        /* Each part may have missed its total over its capacity, and no more. */
        assert_true(topk_absent(&whole) <= whole.total / 8 + whole.total / 64);
    }
}

static void keys_come_out_by_how_often_they_came(void **state)
{
    struct topk t;
    static uint64_t truth[KEYS];
    uint32_t order[TOPK_MAX];
    (void)state;
    memset(truth, 0, sizeof(truth));
    topk_init(&t, 8);
    for (uint32_t key = 0; key < 6; key++)
        add(&t, truth, key, key * 10 + 1);
    assert_int_equal(topk_order(&t, order), 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(t.cells[order[i]].high, (5 - i) * 10 + 1);
}

static void a_long_key_keeps_its_first_bytes(void **state)
{
    struct topk t;
    uint8_t key[100];
    (void)state;
    memset(key, 'a', sizeof(key));
    topk_init(&t, 1);
    topk_add(&t, 7, slice_of(key, sizeof(key)), 1);
    assert_int_equal(t.cells[0].key_len, TOPK_KEY);
    topk_add(&t, 8, slice_of(NULL, 0), 1);
    assert_int_equal(t.cells[0].key_len, 0);
    assert_int_equal(t.cells[0].low, 1);
    assert_int_equal(t.cells[0].high, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold_and_every_frequent_key_is_there),
        cmocka_unit_test(parts_put_together_say_what_is_true_of_the_whole),
        cmocka_unit_test(keys_come_out_by_how_often_they_came),
        cmocka_unit_test(a_long_key_keeps_its_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
