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

/* --- against all there is to choose from ----------------------------------------------------- */

#define FEW 8U

/* Stretches between the cuts; what is alone is left out of *ret_most. False: something that is to
 * be alone is not, or another stretch is above `limit`. */
static bool cut(const uint64_t *weights, uint32_t count, uint32_t cuts, uint64_t alone,
                uint64_t limit, uint64_t *ret_most)
{
    uint64_t weight = 0, heaviest = 0;
    *ret_most = 0;
    for (uint32_t i = 0; i < count; i++) {
        weight += weights[i];
        heaviest = weights[i] > heaviest ? weights[i] : heaviest;
        if (i + 1 < count && !(cuts >> i & 1))
            continue;
        if (heaviest >= alone && weight > heaviest)
            return false;
        if (heaviest < alone && weight > limit)
            return false;
        if (heaviest < alone && weight > *ret_most)
            *ret_most = weight;
        weight = heaviest = 0;
    }
    return true;
}

/* The least weight of the heaviest stretch that is not alone, of `bins`; UINT64_MAX: it cannot be.
 */
static uint64_t best(const uint64_t *weights, uint32_t count, uint32_t bins, uint64_t alone,
                     uint64_t limit)
{
    uint64_t least = UINT64_MAX, most;
    for (uint32_t cuts = 0; cuts < 1U << (count - 1); cuts++)
        if ((uint32_t)__builtin_popcount(cuts) + 1 == bins &&
            cut(weights, count, cuts, alone, limit, &most) && most < least)
            least = most;
    return least;
}

/* Where the bins of a row begin, as cuts. */
static uint32_t cuts_of(const struct packed *p)
{
    uint32_t cuts = 0;
    for (uint32_t i = 0; i + 1 < p->count; i++)
        cuts |= (uint32_t)(p->bin[i] != p->bin[i + 1]) << i;
    return cuts;
}

static uint32_t draw(struct rand *rand, uint64_t *weights, uint64_t *ret_sum)
{
    uint32_t count = 1 + (uint32_t)rand_below(rand, FEW);
    *ret_sum = 0;
    for (uint32_t i = 0; i < count; i++)
        *ret_sum += weights[i] = rand_below(rand, 3) ? rand_below(rand, 12) : 0;
    return count;
}

static void no_row_of_so_many_bins_is_lighter(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 9);
    for (unsigned round = 0; round < 5000; round++) {
        uint64_t weights[FEW], sum, most = 0;
        uint32_t count = draw(&rand, weights, &sum), bins = 1 + (uint32_t)rand_below(&rand, FEW);
        uint32_t used = bins < count ? bins : count;
        struct packed p = pack(BINS_IN_ORDER, bins, 0, weights, count);
        assert_int_equal(p.bins, bins);
        assert_int_equal((uint32_t)__builtin_popcount(cuts_of(&p)) + 1, used);
        uint64_t alone = (sum + bins - 1) / bins;
        if (sum == 0)
            continue;
        if (best(weights, count, used, alone, UINT64_MAX) == UINT64_MAX)
            alone = UINT64_MAX;
        assert_true(cut(weights, count, cuts_of(&p), alone, UINT64_MAX, &most));
        assert_int_equal(most, best(weights, count, used, alone, UINT64_MAX));
    }
}

static void no_row_within_a_target_has_fewer_bins_or_is_lighter(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 10);
    for (unsigned round = 0; round < 5000; round++) {
        uint64_t weights[FEW], sum, most = 0, target = 1 + rand_below(&rand, 20);
        uint32_t count = draw(&rand, weights, &sum), bins = 1;
        struct packed p = pack(BINS_IN_ORDER, 0, target, weights, count);
        while (best(weights, count, bins, target, target) == UINT64_MAX)
            bins++;
        assert_int_equal(p.bins, bins);
        assert_true(cut(weights, count, cuts_of(&p), target, target, &most));
        assert_int_equal(most, best(weights, count, bins, target, target));
    }
}

/* The heaviest bin of the best there is in any order. */
static uint64_t spread(const uint64_t *weights, uint32_t count, uint64_t *bin, uint32_t bins)
{
    uint64_t least = UINT64_MAX, most = 0;
    for (uint32_t b = 0; b < bins; b++) {
        if (count == 0) {
            most = bin[b] > most ? bin[b] : most;
            continue;
        }
        bin[b] += weights[count - 1];
        most = spread(weights, count - 1, bin, bins);
        least = most < least ? most : least;
        bin[b] -= weights[count - 1];
    }
    return count == 0 ? most : least;
}

static void in_any_order_it_is_a_third_above_the_best_at_most(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 11);
    for (unsigned round = 0; round < 500; round++) {
        uint64_t weights[FEW], sum, bin[3] = {0};
        uint32_t count = draw(&rand, weights, &sum), bins = 1 + (uint32_t)rand_below(&rand, 3);
        struct packed p = pack(BINS_ANY, bins, 0, weights, count);
        assert_int_equal(p.bins, bins);
        assert_true(heaviest(&p) * 3 <= spread(weights, count, bin, bins) * 4);
        for (uint32_t i = 0; bins > 1 && i < count; i++)
            if (weights[i] > 0 && weights[i] * bins >= sum)
                assert_int_equal(p.weight[p.bin[i]], weights[i]);
        for (uint32_t b = 0; b < bins && b < count; b++)
            assert_true(p.things[b] > 0);
        p = pack(BINS_ANY, 0, 5, weights, count);
        uint64_t left = 0;
        uint32_t alone = 0;
        for (uint32_t i = 0; i < count; i++) {
            left += weights[i] < 5 ? weights[i] : 0;
            alone += weights[i] >= 5;
        }
        assert_int_equal(p.bins, alone + (left + 4) / 5 + (alone < count && left == 0));
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
        cmocka_unit_test(no_row_of_so_many_bins_is_lighter),
        cmocka_unit_test(no_row_within_a_target_has_fewer_bins_or_is_lighter),
        cmocka_unit_test(in_any_order_it_is_a_third_above_the_best_at_most),
        cmocka_unit_test(nothing_weighs_anything),
        cmocka_unit_test(bins_are_numbered_as_they_are_met),
        cmocka_unit_test(as_many_things_as_bins_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
