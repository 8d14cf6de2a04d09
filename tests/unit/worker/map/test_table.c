/* SPDX-License-Identifier: Apache-2.0
 * The hash table of combining: keys are told apart by all of their bytes, whatever their hashes,
 * and none is lost or found twice while it grows: held against a list that is searched from one end
 * to the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "worker/map/table.h"

static _Alignas(64) uint8_t space[4 * TABLE_SPACE_MIN];

static void keys_of_one_hash_and_beginning_are_told_apart(void **state)
{
    static const char *const keys[] = {"a long key, one", "a long key, two", "a long ke",
                                       "a long k"};
    const uint64_t hash = 0x123456789abcdef0;
    struct table table;
    (void)state;
    table_open(&table, space, sizeof(space), sizeof(space) / 2);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct slice key = slice_str(keys[i]);
        assert_null(table_find(&table, hash, key));
        struct table_slot *slot = table_insert(&table, hash, key);
        assert_non_null(slot);
        slot->value = i;
    }
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct table_slot *slot = table_find(&table, hash, slice_str(keys[i]));
        assert_non_null(slot);
        assert_int_equal(slot->value, i);
    }
}

/* Few letters and zeros, so that many keys begin alike and some are others with a zero more. */
#define LISTED 3000
struct listed {
    uint8_t bytes[24];
    size_t len;
    uint64_t value;
};
static struct listed list[LISTED];

static const struct listed *find_listed(size_t count, struct slice key)
{
    for (size_t i = 0; i < count; i++)
        if (slice_eq(slice_of(list[i].bytes, list[i].len), key))
            return &list[i];
    return NULL;
}

static void make_key(struct rand *rand, struct listed *ret)
{
    ret->len = rand_below(rand, sizeof(ret->bytes) + 1);
    for (size_t i = 0; i < ret->len; i++)
        ret->bytes[i] = (uint8_t) "\0ab"[rand_below(rand, 3)];
}

/* Each used slot is one of the list's, and there are as many. */
static void check_table(const struct table *table, size_t count)
{
    size_t seen = 0;
    table_each(table, slot)
    {
        uint8_t room[8];
        const struct listed *one = find_listed(count, table_key(table, slot, room));
        assert_non_null(one);
        assert_true(slot->value == one->value);
        seen++;
    }
    assert_int_equal(seen, count);
    assert_int_equal(table->count, count);
}

/* `hashes` different ones: of few, all keys stand in one another's way. */
static void fill_and_compare(struct rand *rand, uint64_t hashes, size_t keys)
{
    struct table table;
    size_t count = 0;
    table_open(&table, space, sizeof(space), sizeof(space) / 2);
    for (size_t i = 0; i < keys; i++) {
        make_key(rand, &list[count]);
        struct slice key = slice_of(list[count].bytes, list[count].len);
        uint64_t hash = key_hash(key);
        hash = hashes ? hash % hashes * 0x0100000001000001 : hash;
        const struct listed *known = find_listed(count, key);
        struct table_slot *slot = table_find(&table, hash, key);
        assert_int_equal(slot != NULL, known != NULL);
        if (slot) {
            assert_true(slot->value == known->value);
            continue;
        }
        slot = table_insert(&table, hash, key);
        assert_non_null(slot);
        slot->value = list[count++].value = i;
    }
    check_table(&table, count);
    table_clear(&table);
    check_table(&table, 0);
}

static void it_holds_what_a_plain_list_holds(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 4);
    fill_and_compare(&rand, 0, LISTED);
    fill_and_compare(&rand, 300, 2000); /* before it grows, it knows keys by the hashes given */
    fill_and_compare(&rand, 1, 500);
}

/* By their own hashes, short and long ones, until there is no room: each is found again after every
 * growth. */
static void it_grows_until_it_is_full_and_loses_no_key(void **state)
{
    (void)state;
    struct table table;
    size_t count = 0;
    table_open(&table, space, sizeof(space), sizeof(space) / 2);
    for (bool is_full = false; !is_full;) {
        char text[24];
        size_t len = (size_t)snprintf(text, sizeof(text), count % 3 ? "%zu" : "a-long-%zu", count);
        struct slice key = slice_of(text, len);
        size_t slots = table.mask;
        struct table_slot *slot = table_insert(&table, key_hash(key), key);
        is_full = !slot;
        if (slot)
            slot->value = count++;
        if (!is_full && table.mask == slots)
            continue;
        for (size_t i = 0; i < count; i++) {
            len = (size_t)snprintf(text, sizeof(text), i % 3 ? "%zu" : "a-long-%zu", i);
            slot = table_find(&table, key_hash(slice_of(text, len)), slice_of(text, len));
            assert_non_null(slot);
            assert_int_equal(slot->value, i);
        }
    }
    assert_true(count > 4096); /* it has grown */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_hash_and_beginning_are_told_apart),
        cmocka_unit_test(it_holds_what_a_plain_list_holds),
        cmocka_unit_test(it_grows_until_it_is_full_and_loses_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
