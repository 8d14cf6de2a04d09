/* SPDX-License-Identifier: Apache-2.0
 * Kept keys order as bytes exactly as the numbers they stand for, and come back unharmed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <sys/mman.h>

#include "libcommon/base/rand.h"
#include "worker/run/key.h"

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static int kept_cmp(enum qn_type type, uint64_t a, uint64_t b)
{
    const struct key_order order = {type, NULL};
    uint8_t room_a[8], room_b[8];
    struct slice ka, kb;
    assert_true(key_store(&order, slice_of(&a, 8), room_a, &ka));
    assert_true(key_store(&order, slice_of(&b, 8), room_b, &kb));
    uint64_t pa = key_prefix(ka), pb = key_prefix(kb);
    assert_int_equal((pa > pb) - (pa < pb), sign(slice_cmp(ka, kb)));
    return sign(key_cmp(&order, ka, kb));
}

static uint64_t round_trip(enum qn_type type, uint64_t bits)
{
    const struct key_order order = {type, NULL};
    uint8_t room[8], back[8];
    struct slice kept;
    assert_true(key_store(&order, slice_of(&bits, 8), room, &kept));
    return get_u64(key_restore(&order, kept, back).data);
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static uint64_t some_bits(struct rand *rand)
{
    uint64_t v = rand_u64(rand);
    switch (rand_below(rand, 4)) {
    case 0:
        return v >> rand_below(rand, 64);
    case 1:
        return (uint64_t)((int64_t)v >> rand_below(rand, 64));
    case 2:
        return bits_of((double)(int64_t)v / 1e6);
    default:
        return v;
    }
}

static void integers_order_as_numbers(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t a = some_bits(&rand), b = rand_chance(&rand, 10) ? a : some_bits(&rand);
        assert_int_equal(kept_cmp(QN_U64, a, b), (a > b) - (a < b));
        int64_t sa = (int64_t)a, sb = (int64_t)b;
        assert_int_equal(kept_cmp(QN_I64, a, b), (sa > sb) - (sa < sb));
        assert_true(round_trip(QN_U64, a) == a && round_trip(QN_I64, a) == a);
    }
}

static void doubles_order_as_numbers(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 2);
    for (int i = 0; i < 20000; i++) {
        uint64_t a = some_bits(&rand), b = some_bits(&rand);
        double da, db;
        memcpy(&da, &a, 8);
        memcpy(&db, &b, 8);
        if (isnan(da) || isnan(db))
            continue;
        assert_int_equal(kept_cmp(QN_F64, a, b), (da > db) - (da < db));
        if (da != 0)
            assert_true(round_trip(QN_F64, a) == a);
    }
}

static void the_odd_doubles_have_their_place(void **state)
{
    (void)state;
    assert_int_equal(kept_cmp(QN_F64, bits_of(-0.0), bits_of(0.0)), 0);
    assert_int_equal(kept_cmp(QN_F64, bits_of((double)NAN), bits_of((double)INFINITY)), 1);
    assert_int_equal(kept_cmp(QN_F64, bits_of((double)-NAN), bits_of((double)NAN)), 0);
    assert_int_equal(kept_cmp(QN_F64, bits_of((double)-INFINITY), bits_of(-1e308)), -1);
}

static void a_number_of_the_wrong_size_is_refused(void **state)
{
    (void)state;
    const struct key_order order = {QN_U64, NULL};
    uint8_t room[8];
    struct slice kept;
    assert_false(key_store(&order, slice_str("1234567"), room, &kept));
    assert_false(key_store(&order, slice_of(NULL, 0), room, &kept));
}

static void the_prefix_never_contradicts_the_bytes(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 3);
    for (int i = 0; i < 50000; i++) {
        uint8_t a[12], b[12];
        for (size_t k = 0; k < sizeof(a); k++) {
            a[k] = (uint8_t)rand_below(&rand, 3);
            b[k] = (uint8_t)rand_below(&rand, 3);
        }
        struct slice sa = slice_of(a, rand_below(&rand, 13)),
                     sb = slice_of(b, rand_below(&rand, 13));
        uint64_t pa = key_prefix(sa), pb = key_prefix(sb);
        if (pa != pb)
            assert_int_equal(pa < pb ? -1 : 1, sign(slice_cmp(sa, sb)));
        else if (!key_is_beyond_prefix(sa) && !key_is_beyond_prefix(sb))
            assert_true(slice_eq(sa, sb));
    }
}

static int backwards(struct qn_slice a, struct qn_slice b)
{
    return -slice_cmp(key_from_qn(a), key_from_qn(b));
}

static void a_job_that_compares_keeps_its_own_bytes(void **state)
{
    (void)state;
    const struct key_order order = {QN_U64, backwards};
    uint64_t v = 0x0102030405060708;
    uint8_t room[8];
    struct slice kept;
    assert_true(key_store(&order, slice_of(&v, 8), room, &kept));
    assert_ptr_equal(kept.data, &v);
    assert_int_equal(key_cmp(&order, slice_str("a"), slice_str("b")), 1);
}

static void keys_spread_evenly_and_always_alike(void **state)
{
    (void)state;
    /* Which reducer gets a key is a promise: these must never change. */
    assert_true(key_hash(slice_str("")) == 0x1ff5c2923a788d2cULL);
    assert_true(key_hash(slice_str("quern")) == 0x79d86d21824c4487ULL);
    assert_true(key_hash(slice_str("a key of more than eight bytes")) == 0x6e8130db1478dddeULL);
    assert_int_equal(key_hash_pick(0xffffffffffffffffULL, 7), 6);
    assert_int_equal(key_hash_pick(0, 7), 0);
    /* Counting words and numbers: no reducer gets a tenth more than its share, no slot of a table
     * much more than its own. */
    uint32_t reducers[7] = {0}, slots[1024] = {0};
    for (uint32_t i = 0; i < 70000; i++) {
        char text[24];
        uint64_t number = i;
        size_t len = (size_t)snprintf(text, sizeof(text), i % 3 ? "%u" : "user-%08u", i);
        struct slice key = i % 2 ? slice_of(text, len) : slice_of(&number, 8);
        uint64_t hash = key_hash(key);
        reducers[key_hash_pick(hash, 7)]++;
        slots[hash % 1024]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(reducers[i], 9000, 11000);
    for (size_t i = 0; i < 1024; i++)
        assert_in_range(slots[i], 30, 120);
}

/* As key.h says it, a byte at a time. */
static uint64_t hash_by_definition(const uint8_t *p, size_t len)
{
    uint64_t hash = KEY_HASH_SEED;
    size_t at = 0;
    for (bool is_last = false; !is_last;) {
        uint64_t word = 0;
        is_last = len - at <= 8;
        for (unsigned i = 0; i < 8 && at < len; i++)
            word |= (uint64_t)p[at++] << (8 * i);
        __uint128_t product =
            (__uint128_t)(hash ^ word) * (KEY_HASH_STEP + (is_last ? 2 * (uint64_t)len : 0));
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    return hash;
}

static void the_hash_is_as_it_is_defined_at_every_length(void **state)
{
    (void)state;
    uint8_t bytes[100];
    struct rand rand;
    rand_init(&rand, 8);
    for (int round = 0; round < 20000; round++) {
        size_t at = rand_below(&rand, 20), len = rand_below(&rand, 80);
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = rand_chance(&rand, 30) ? 0 : (uint8_t)rand_u64(&rand);
        assert_true(key_hash(slice_of(bytes + at, len)) == hash_by_definition(bytes + at, len));
    }
}

/* At the end of a page behind which there is nothing, and in its middle. */
static void a_short_key_is_read_without_what_stands_behind_it(void **state)
{
    (void)state;
    uint8_t *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
    for (size_t i = 0; i < 4096; i++)
        pages[i] = (uint8_t)(i * 151 + 7);
    assert_true(key_page_goes_on(pages + 4088) && !key_page_goes_on(pages + 4089));
    for (size_t at = 4096 - 40; at <= 4096; at++)
        for (size_t len = 0; len <= 4096 - at; len++) {
            struct slice key = slice_of(pages + at, len);
            uint64_t word = key_word(key.data, len);
            assert_true(word == key_word_careful(key.data, len));
            if (len > 0 && len <= 8 && key_page_goes_on(key.data))
                assert_true(word == key_word_at_once(key.data, len));
            if (len <= 8)
                assert_true(key_hash(key) == key_hash_word(word, len));
        }
    assert_true(key_word(NULL, 0) == 0);
    munmap(pages, 8192);
}

static void a_zero_byte_more_is_another_key(void **state)
{
    (void)state;
    const char zeros[20] = {0};
    for (size_t a = 0; a < sizeof(zeros); a++)
        for (size_t b = 0; b < a; b++)
            assert_true(key_hash(slice_of(zeros, a)) != key_hash(slice_of(zeros, b)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_order_as_numbers),
        cmocka_unit_test(doubles_order_as_numbers),
        cmocka_unit_test(the_odd_doubles_have_their_place),
        cmocka_unit_test(a_number_of_the_wrong_size_is_refused),
        cmocka_unit_test(the_prefix_never_contradicts_the_bytes),
        cmocka_unit_test(a_job_that_compares_keeps_its_own_bytes),
        cmocka_unit_test(keys_spread_evenly_and_always_alike),
        cmocka_unit_test(the_hash_is_as_it_is_defined_at_every_length),
        cmocka_unit_test(a_zero_byte_more_is_another_key),
        cmocka_unit_test(a_short_key_is_read_without_what_stands_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
