/* SPDX-License-Identifier: Apache-2.0
 * The fast sort against the plain one (a stable merge sort of whole keys), over every kind of key
 * that has ever upset a radix sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "worker/map/sort.h"
#include "worker/run/record.h"

struct pile {
    struct buf bytes;
    struct sort_entry *entries; /* newest first */
    size_t count, cap;
    uint32_t partitions;
};

static void add(struct pile *pile, uint32_t partition, struct slice key)
{
    uint8_t head[RECORD_HEAD_MAX];
    uint64_t offset = pile->bytes.len;
    buf_append(&pile->bytes, head, record_head(head, key.len, 0));
    buf_append_slice(&pile->bytes, key);
    assert_true(pile->count < pile->cap);
    pile->count++;
    pile->entries[pile->cap - pile->count] = (struct sort_entry){
        sort_ref(partition, offset, key_is_beyond_prefix(key)), key_prefix(key)};
}

static struct pile new_pile(size_t cap, uint32_t partitions)
{
    struct pile pile = {.cap = cap, .partitions = partitions};
    pile.entries = mem_calloc(cap ? cap : 1, sizeof(*pile.entries));
    return pile;
}

/* Sorts the pile both ways and wants the same order; frees it. */
static void check(struct pile *pile)
{
    size_t n = pile->count;
    struct sort_entry *first = pile->entries + (pile->cap - n);
    struct sort_entry *fast = mem_calloc(n + 1, sizeof(*fast)), *plain = mem_calloc(n + 1, 16);
    struct sort_entry *room = mem_calloc(n + 1, sizeof(*room));
    size_t *starts = mem_calloc(pile->partitions + 1, sizeof(*starts));
    const uint8_t *bytes = pile->bytes.data ? pile->bytes.data : (const uint8_t *)"";
    struct sort_space space = {bytes, bytes + pile->bytes.len};
    const struct key_order order = {QN_TEXT, NULL};
    sort_scatter(first, n, fast, pile->partitions, starts);
    assert_int_equal(starts[pile->partitions], n);
    memcpy(plain, fast, n * sizeof(*fast));
    for (uint32_t p = 0; p < pile->partitions; p++) {
        size_t from = starts[p], count = starts[p + 1] - from;
        for (size_t i = from; i < starts[p + 1]; i++) {
            assert_int_equal(sort_partition(fast[i].ref), p);
            assert_true(i == from || fast[i].ref > fast[i - 1].ref);
        }
        sort_entries(fast + from, room, count, &space);
        sort_by_compare(plain + from, room, count, &space, &order);
    }
    for (size_t i = 0; i < n; i++)
        if (fast[i].ref != plain[i].ref)
            fail_msg("entry %d of %d differs", (int)i, (int)n);
    mem_free(starts);
    mem_free(room);
    mem_free(plain);
    mem_free(fast);
    mem_free(pile->entries);
    buf_release(&pile->bytes);
}

/* `count` keys of up to `longest` bytes out of `letters` letters behind `common` equal ones. */
static void check_random(uint64_t seed, size_t count, unsigned letters, size_t longest,
                         size_t common)
{
    struct rand rand;
    rand_init(&rand, seed);
    uint32_t partitions = seed % 3 == 0 ? 1 : (uint32_t)(seed % 17 + 1);
    struct pile pile = new_pile(count, partitions);
    uint8_t key[2048];
    memset(key, 'c', common);
    for (size_t i = 0; i < count; i++) {
        size_t len = (size_t)rand_below(&rand, longest + 1);
        for (size_t k = 0; k < len; k++)
            key[common + k] = (uint8_t)rand_below(&rand, letters);
        add(&pile, (uint32_t)rand_below(&rand, partitions), slice_of(key, common + len));
    }
    check(&pile);
}

static void random_keys_of_all_sizes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++)
        check_random(seed, (size_t)seed * 37, 256, 30, 0);
    check_random(1, 60000, 256, 20, 0);
    check_random(3, 60000, 26, 12, 0);
}

static void few_letters_and_zero_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++)
        check_random(seed, 3000, 2, 20, 0);
    check_random(5, 30000, 1, 30, 0); /* zero bytes only, of every length */
    check_random(6, 30000, 2, 9, 0);
}

static void keys_with_a_long_common_beginning(void **state)
{
    (void)state;
    check_random(1, 5000, 256, 10, 8);
    check_random(2, 5000, 256, 10, 61);
    check_random(3, 500, 3, 10, 1200); /* beyond what is looked at by eights */
}

static void one_key_only(void **state)
{
    (void)state;
    struct pile pile = new_pile(20000, 1);
    for (int i = 0; i < 20000; i++)
        add(&pile, 0, slice_str("the"));
    check(&pile);
    pile = new_pile(20000, 1);
    for (int i = 0; i < 20000; i++)
        add(&pile, 0, slice_str("the same, and longer than a prefix"));
    check(&pile);
}

static void sorted_backwards_and_sawtooth(void **state)
{
    (void)state;
    for (int shape = 0; shape < 4; shape++) {
        struct pile pile = new_pile(30000, 1);
        for (uint64_t i = 0; i < 30000; i++) {
            uint64_t v = shape == 0 ? i : shape == 1 ? 30000 - i : shape == 2 ? i % 100 : i & ~7ULL;
            v = __builtin_bswap64(v);
            add(&pile, 0, slice_of(&v, 8));
        }
        check(&pile);
    }
}

/* Half of the keys differ in ever lower bits: each scatter finds one full bucket. */
static void prefixes_that_halve_at_every_bit(void **state)
{
    (void)state;
    struct pile pile = new_pile(64 * 600, 1);
    struct rand rand;
    rand_init(&rand, 9);
    for (int i = 0; i < 64 * 600; i++) {
        uint64_t v = __builtin_bswap64(1ULL << rand_below(&rand, 64));
        add(&pile, 0, slice_of(&v, 8));
    }
    check(&pile);
}

static void partitions_of_one_entry_each(void **state)
{
    (void)state;
    struct pile pile = new_pile(1000, 100000);
    for (uint32_t i = 0; i < 1000; i++)
        add(&pile, 99999 - i * 100, slice_str("x"));
    check(&pile);
}

static void nothing_at_all(void **state)
{
    (void)state;
    struct pile pile = new_pile(0, 3);
    check(&pile);
}

static void the_heap_orders_by_prefix_and_then_by_place(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 17);
    struct sort_entry e[700];
    for (size_t n = 0; n <= 700; n += 50) {
        for (size_t i = 0; i < n; i++)
            e[i] = (struct sort_entry){rand_u64(&rand), rand_below(&rand, 40)};
        sort_by_heap(e, n);
        for (size_t i = 1; i < n; i++)
            assert_true(e[i - 1].prefix < e[i].prefix ||
                        (e[i - 1].prefix == e[i].prefix && e[i - 1].ref <= e[i].ref));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_keys_of_all_sizes),
        cmocka_unit_test(few_letters_and_zero_bytes),
        cmocka_unit_test(keys_with_a_long_common_beginning),
        cmocka_unit_test(one_key_only),
        cmocka_unit_test(sorted_backwards_and_sawtooth),
        cmocka_unit_test(prefixes_that_halve_at_every_bit),
        cmocka_unit_test(partitions_of_one_entry_each),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(the_heap_orders_by_prefix_and_then_by_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
