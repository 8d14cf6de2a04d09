/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    mem_fail_after(3);
    void *a = mem_alloc(1), *b = mem_calloc(1, 1), *c = mem_alloc(1), *d = mem_realloc(NULL, 1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_non_null(d);
    assert_true(mem_has_failed());
    mem_fail_after(0);
    assert_false(mem_has_failed());
    mem_free(a);
    mem_free(b);
    mem_free(d);
}

static void asking_for_nothing_gives_something_to_free(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_calloc(0, 7), *c = mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}

static void a_product_that_overflows_is_no_memory(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    volatile size_t half = SIZE_MAX / 2; /* keeps the compiler from seeing it coming */
    assert_null(mem_realloc_array(NULL, half, 3));
    assert_null(arena_calloc(&arena, half, 3));
    assert_null(arena_alloc(&arena, half + 1));
    arena_release(&arena);
}

static void an_array_grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    uint32_t *items = NULL;
    size_t cap = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(mem_grow(&items, &cap, i, sizeof(*items)), 0);
        items[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    size_t before = cap;
    mem_fail_after(1);
    assert_int_equal(mem_grow(&items, &cap, cap, sizeof(*items)), ERR_NOMEM);
    assert_int_equal(cap, before);
    assert_int_equal(items[999], 999);
    mem_free(items);
}

static void an_arena_gives_aligned_bytes_that_do_not_overlap(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    uint8_t *last = NULL;
    size_t last_size = 0;
    for (size_t size = 0; size < 3000; size += 7) {
        uint8_t *p = arena_alloc(&arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, (int)(size % 251), size);
        for (size_t i = 0; last && i < last_size; i++)
            assert_int_equal(last[i], (size - 7) % 251);
        last = p;
        last_size = size;
    }
    arena_release(&arena);
}

static void a_reset_arena_starts_again_in_the_chunk_it_kept(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    arena_alloc(&arena, 100000);
    arena_alloc(&arena, 10);
    assert_true(arena.total >= 100010);
    arena_reset(&arena);
    assert_int_equal(arena.total, 0);
    mem_fail_after(1); /* nothing new is needed */
    assert_non_null(arena_alloc(&arena, 4000));
    mem_fail_after(0);
    arena_release(&arena);
    arena_release(&arena);
}

static void an_arena_that_cannot_grow_keeps_what_it_gave(void **state)
{
    (void)state;
    struct arena arena = ARENA_INIT;
    char *p = arena_alloc(&arena, 10);
    memcpy(p, "123456789", 10);
    mem_fail_after(1);
    assert_null(arena_alloc(&arena, 100000));
    assert_string_equal(p, "123456789");
    uint64_t *zero = arena_calloc(&arena, 3, sizeof(*zero));
    assert_true(zero[0] == 0 && zero[2] == 0);
    arena_release(&arena);
}

static void what_was_set_aside_is_there_when_nothing_else_is(void **state)
{
    (void)state;
    assert_true(mem_reserve_fill(1 << 20));
    mem_fail_after(1);
    assert_null(mem_alloc(10)); /* not for everybody */
    assert_false(mem_reserve_use(true));
    for (int i = 0; i < 3; i++) {
        mem_fail_after(1);
        void *p = mem_alloc(10);
        assert_non_null(p);
        mem_fail_after(1);
        p = mem_realloc(p, 100000);
        assert_non_null(p);
        mem_free(p);
        mem_fail_after(1);
        p = mem_calloc(3, 3);
        assert_non_null(p);
        mem_free(p);
        mem_fail_after(1);
        p = mem_map(4096, false);
        assert_non_null(p);
        mem_unmap(p, 4096);
    }
    assert_true(mem_reserve_use(false));
    mem_fail_after(1);
    assert_false(mem_reserve_fill(1 << 20)); /* it was spent, and there is none to be had now */
    assert_true(mem_reserve_fill(1 << 20));
    mem_fail_after(1);
    assert_true(mem_reserve_fill(1 << 20)); /* it is there: nothing is asked for */
    mem_fail_after(0);
    mem_reserve_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(asking_for_nothing_gives_something_to_free),
        cmocka_unit_test(a_product_that_overflows_is_no_memory),
        cmocka_unit_test(an_array_grows_and_keeps_what_it_has),
        cmocka_unit_test(an_arena_gives_aligned_bytes_that_do_not_overlap),
        cmocka_unit_test(a_reset_arena_starts_again_in_the_chunk_it_kept),
        cmocka_unit_test(an_arena_that_cannot_grow_keeps_what_it_gave),
        cmocka_unit_test(what_was_set_aside_is_there_when_nothing_else_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
