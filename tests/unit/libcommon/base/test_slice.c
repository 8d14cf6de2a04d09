/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/slice.h"

static void bytes_are_ordered_like_memcmp_then_by_length(void **state)
{
    (void)state;
    static const char *const sorted[] = {"", "a", "aa", "ab", "b", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++)
        for (size_t j = 0; j < ARRAY_LEN(sorted); j++) {
            int c = slice_cmp(slice_str(sorted[i]), slice_str(sorted[j]));
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
            assert_int_equal(slice_eq(slice_str(sorted[i]), slice_str(sorted[j])), i == j);
        }
}

static void the_empty_slice_may_have_no_address(void **state)
{
    (void)state;
    struct slice none = slice_of(NULL, 0);
    assert_true(slice_eq(none, slice_str("")));
    assert_int_equal(slice_cmp(none, slice_str("")), 0);
    assert_true(slice_is(none, ""));
    assert_true(slice_has_prefix(slice_str("abc"), none));
    assert_int_equal(slice_str(NULL).len, 0);
    slice_hash(none, 0);
}

static void a_nul_byte_is_a_byte_like_any_other(void **state)
{
    (void)state;
    assert_false(slice_eq(slice_of("a\0b", 3), slice_of("a\0c", 3)));
    assert_true(slice_has_prefix(slice_of("a\0b", 3), slice_of("a\0", 2)));
    char *copy = slice_dup(slice_of("a\0b", 3));
    assert_memory_equal(copy, "a\0b\0", 4);
    mem_free(copy);
    mem_fail_after(1);
    assert_null(slice_dup(slice_str("x")));
}

/* Not a proof, but a hash that forgets a byte, the length or the seed falls here. */
static void one_changed_bit_changes_the_hash(void **state)
{
    (void)state;
    uint8_t bytes[40];
    struct rand rand;
    rand_init(&rand, 5);
    for (size_t len = 1; len <= sizeof(bytes); len++) {
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)rand_u64(&rand);
        uint64_t h = slice_hash(slice_of(bytes, len), 1);
        assert_true(h == slice_hash(slice_of(bytes, len), 1));
        assert_true(h != slice_hash(slice_of(bytes, len), 2));
        assert_true(h != slice_hash(slice_of(bytes, len - 1), 1));
        for (size_t bit = 0; bit < 8 * len; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
            assert_true(h != slice_hash(slice_of(bytes, len), 1));
            bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        }
    }
    assert_true(slice_hash(slice_of("\0", 1), 0) != slice_hash(slice_of("\0\0", 2), 0));
}

static void near_keys_fall_into_all_slots(void **state)
{
    (void)state;
    unsigned slots[64] = {0};
    for (uint64_t i = 0; i < 6400; i++)
        slots[hash_u64(i) & 63]++;
    for (size_t i = 0; i < 64; i++)
        assert_in_range(slots[i], 50, 160);
    memset(slots, 0, sizeof(slots));
    for (uint64_t i = 0; i < 6400; i++) {
        char name[32];
        snprintf(name, sizeof(name), "part-r-%05u", (unsigned)i);
        slots[slice_hash(slice_str(name), 0) & 63]++;
    }
    for (size_t i = 0; i < 64; i++)
        assert_in_range(slots[i], 50, 160);
}

static uint32_t point_of(const char *bytes, size_t want_len)
{
    uint32_t point;
    assert_int_equal(slice_utf8(slice_str(bytes), &point), want_len);
    return point;
}

static void characters_are_decoded_and_bad_bytes_stand_alone(void **state)
{
    (void)state;
    assert_int_equal(point_of("a", 1), 'a');
    assert_int_equal(point_of("\xc3\xa9x", 2), 0xe9);
    assert_int_equal(point_of("\xe6\x97\xa5", 3), 0x65e5);
    assert_int_equal(point_of("\xf0\x9f\x8c\xbe", 4), 0x1f33e);
    assert_int_equal(point_of("\xa9", 1), UTF8_BAD + 0xa9);             /* continuation alone */
    assert_int_equal(point_of("\xc3", 1), UTF8_BAD + 0xc3);             /* cut short */
    assert_int_equal(point_of("\xc3z", 1), UTF8_BAD + 0xc3);            /* broken */
    assert_int_equal(point_of("\xc0\xaf", 1), UTF8_BAD + 0xc0);         /* not the shortest form */
    assert_int_equal(point_of("\xed\xa0\x80", 1), UTF8_BAD + 0xed);     /* surrogate */
    assert_int_equal(point_of("\xf4\x90\x80\x80", 1), UTF8_BAD + 0xf4); /* beyond Unicode */
    assert_int_equal(point_of("\xff", 1), UTF8_BAD + 0xff);
}

static void a_key_is_shown_so_that_a_person_can_read_it(void **state)
{
    static const struct {
        const char *key, *shown;
    } cases[] = {
        {"", ""},
        {"plain words", "plain words"},
        {"Gr\xc3\xb6\xc3\x9f"
         "e",
         "Gr\xc3\xb6\xc3\x9f"
         "e"},
        {"\xb4 \t\"\\", "\\xb4 \\x09\\x22\\x5c"},
        {"\xc2\x9b", "\\xc2\\x9b"}, /* would begin an order to the terminal */
        {"eleven byt\xc3\xb6", "eleven byt\xc3\xb6"},
        {"eleven byte\xc3\xb6", "eleven byte..."},
        {"longer than twelve", "longer than ..."},
    };
    char out[SLICE_SHOWN(12)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        slice_show(slice_str(cases[i].key), 12, out);
        assert_string_equal(out, cases[i].shown);
    }
}

static void a_copy_in_an_arena_ends_in_nul_and_outlives_what_it_was_made_of(void **state)
{
    struct arena arena = ARENA_INIT;
    char bytes[] = {'a', 0, 'b', '!'};
    (void)state;
    struct slice kept = slice_keep(slice_of(bytes, 3), &arena);
    const char *text = slice_text(slice_of(bytes + 2, 1), &arena);
    memset(bytes, 'x', sizeof(bytes));
    assert_int_equal(kept.len, 3);
    assert_memory_equal(kept.data, "a\0b", 4);
    assert_string_equal(text, "b");
    arena_release(&arena);
}

static void an_empty_copy_is_told_from_memory_that_is_out(void **state)
{
    struct arena arena = ARENA_INIT;
    (void)state;
    struct slice empty = slice_keep(slice_of(NULL, 0), &arena);
    assert_non_null(empty.data);
    assert_int_equal(empty.len, 0);
    assert_string_equal(slice_text(slice_of(NULL, 0), &arena), "");
    assert_null(slice_text(slice_of("x", SIZE_MAX / 2), &arena));
    struct slice none = slice_keep(slice_of("x", SIZE_MAX / 2), &arena);
    assert_null(none.data);
    assert_int_equal(none.len, 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_ordered_like_memcmp_then_by_length),
        cmocka_unit_test(the_empty_slice_may_have_no_address),
        cmocka_unit_test(a_nul_byte_is_a_byte_like_any_other),
        cmocka_unit_test(one_changed_bit_changes_the_hash),
        cmocka_unit_test(near_keys_fall_into_all_slots),
        cmocka_unit_test(a_key_is_shown_so_that_a_person_can_read_it),
        cmocka_unit_test(characters_are_decoded_and_bad_bytes_stand_alone),
        cmocka_unit_test(a_copy_in_an_arena_ends_in_nul_and_outlives_what_it_was_made_of),
        cmocka_unit_test(an_empty_copy_is_told_from_memory_that_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
