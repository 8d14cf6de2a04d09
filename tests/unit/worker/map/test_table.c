/* SPDX-License-Identifier: Apache-2.0
 * The hash table of combining: keys are told apart by all of their bytes, whatever their hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_hash_and_beginning_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
