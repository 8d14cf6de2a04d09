/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/bins.h"
#include "libcommon/base/rand.h"

#define MOST 600

struct packed {
    uint32_t bin[MOST], bins, count;
    uint64_t weight[MOST]; /* of bins */
    uint32_t things[MOST]; /* in them */
};

static struct packed pack(enum bins_how how, uint32_t bins, uint64_t target,
                          const uint64_t *weights, uint32_t count)
{
    struct packed p = {.count = count};
    struct bins_conf conf = {how, bins, target};
    assert_int_equal(bins_pack(weights, count, &conf, p.bin, &p.bins), 0);
    assert_true(p.bins >= 1 && p.bins <= MOST);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(p.bin[i] < p.bins);
        p.weight[p.bin[i]] += weights[i];
        p.things[p.bin[i]]++;
    }
    return p;
}

static uint64_t heaviest(const struct packed *p)
{
    uint64_t most = 0;
    for (uint32_t b = 0; b < p->bins; b++)
        most = p->weight[b] > most ? p->weight[b] : most;
    return most;
}

static void check_order(const struct packed *p)
{
    for (uint32_t i = 1; i < p->count; i++)
        assert_true(p->bin[i] == p->bin[i - 1] || p->bin[i] == p->bin[i - 1] + 1);
}

static void who_weighs_a_fair_share_is_alone(void **state)
{
    (void)state;
    const uint64_t weights[] = {1, 1, 12, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct packed p = pack(BINS_ANY, 3, 0, weights, 12);
    assert_int_equal(p.bins, 3);
    assert_int_equal(p.things[p.bin[2]], 1);
    p = pack(BINS_IN_ORDER, 3, 0, weights, 12);
    check_order(&p);
    assert_int_equal(p.bins, 3);
    assert_int_equal(p.things[p.bin[2]], 1);
    p = pack(BINS_ANY, 0, 5, weights, 12);
    assert_int_equal(p.things[p.bin[2]], 1);
    assert_int_equal(p.bins, 1 + 3); /* eleven of the others, five to a bin */
    p = pack(BINS_IN_ORDER, 0, 5, weights, 12);
    check_order(&p);
    assert_int_equal(p.things[p.bin[2]], 1);
    assert_int_equal(p.bins, 1 + 1 + 2);
}

static void the_second_heaviest_is_alone_if_its_share_of_the_rest_is_whole(void **state)
{
    (void)state;
    const uint64_t weights[] = {100, 9, 1, 1, 1, 1, 1, 1, 1, 1};
    struct packed p = pack(BINS_ANY, 3, 0, weights, 10);
    assert_int_equal(p.things[p.bin[0]], 1);
    assert_int_equal(p.things[p.bin[1]], 1);
    assert_int_equal(heaviest(&p), 100);
}

static void weight_is_spread_evenly(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 7);
    for (unsigned round = 0; round < 200; round++) {
        uint64_t weights[MOST], sum = 0, top = 0;
        uint32_t bins = 1 + (uint32_t)rand_below(&rand, 60), count = bins * 4;
        for (uint32_t i = 0; i < count; i++) {
            weights[i] = rand_below(&rand, 1000);
            sum += weights[i];
            top = weights[i] > top ? weights[i] : top;
        }
        struct packed any = pack(BINS_ANY, bins, 0, weights, count);
        struct packed row = pack(BINS_IN_ORDER, bins, 0, weights, count);
        check_order(&row);
        assert_int_equal(any.bins, bins);
        assert_int_equal(row.bins, bins);
        for (uint32_t b = 0; b < bins; b++)
            assert_true(any.things[b] > 0 && row.things[b] > 0);
        assert_true(heaviest(&any) <= (sum / bins + 1) * 4 / 3 + top / 3 + 1);
        assert_true(heaviest(&row) <= sum / bins + top + 1);
    }
}

static void by_a_target_no_bin_is_much_above_it(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 8);
    for (unsigned round = 0; round < 200; round++) {
        uint64_t weights[MOST], sum = 0;
        uint32_t count = 1 + (uint32_t)rand_below(&rand, MOST / 2);
        for (uint32_t i = 0; i < count; i++)
            sum += weights[i] = rand_below(&rand, 3) ? rand_below(&rand, 100) : 0;
        struct packed row = pack(BINS_IN_ORDER, 0, 250, weights, count);
        check_order(&row);
        assert_true(heaviest(&row) <= 250);
        assert_true(row.bins <= sum / 125 + 1); /* two neighbours are above 250 together */
        struct packed any = pack(BINS_ANY, 0, 250, weights, count);
        assert_int_equal(any.bins, sum == 0 ? 1 : (sum + 249) / 250);
        assert_true(heaviest(&any) <= 250 + 100);
    }
}

static void nothing_weighs_anything(void **state)
{
    (void)state;
    const uint64_t weights[8] = {0};
    for (int how = BINS_ANY; how <= BINS_IN_ORDER; how++) {
        struct packed p = pack((enum bins_how)how, 0, 10, weights, 8);
        assert_int_equal(p.bins, 1);
        p = pack((enum bins_how)how, 3, 0, weights, 8);
        assert_int_equal(p.bins, 3);
        for (uint32_t b = 0; b < 3; b++)
            assert_true(p.things[b] > 0);
        p = pack((enum bins_how)how, 0, 10, weights, 0);
        assert_int_equal(p.bins, 1);
    }
}

static void bins_are_numbered_as_they_are_met(void **state)
{
    (void)state;
    const uint64_t weights[] = {1, 50, 3, 20, 2, 30};
    struct packed p = pack(BINS_ANY, 3, 0, weights, 6);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(p.bin[i] <= seen);
        seen += p.bin[i] == seen;
    }
    assert_int_equal(seen, 3);
}

static void as_many_things_as_bins_stay_as_they_are(void **state)
{
    (void)state;
    const uint64_t weights[] = {5, 0, 900, 1, 1};
    for (int how = BINS_ANY; how <= BINS_IN_ORDER; how++) {
        struct packed p = pack((enum bins_how)how, 5, 0, weights, 5);
        for (uint32_t i = 0; i < 5; i++)
            assert_int_equal(p.bin[i], i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_weighs_a_fair_share_is_alone),
        cmocka_unit_test(the_second_heaviest_is_alone_if_its_share_of_the_rest_is_whole),
        cmocka_unit_test(weight_is_spread_evenly),
        cmocka_unit_test(by_a_target_no_bin_is_much_above_it),
        cmocka_unit_test(nothing_weighs_anything),
        cmocka_unit_test(bins_are_numbered_as_they_are_met),
        cmocka_unit_test(as_many_things_as_bins_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
