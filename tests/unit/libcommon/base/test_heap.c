/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/heap.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"

static void the_least_key_comes_first(void **state)
{
    (void)state;
    struct heap heap = HEAP_INIT;
    static const uint64_t keys[] = {5, 1, 9, 3, 7, UINT64_MAX, 0};
    struct heap_node nodes[ARRAY_LEN(keys)];
    assert_null(heap_min(&heap));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        nodes[i] = HEAP_NODE_INIT;
        assert_int_equal(heap_add(&heap, &nodes[i], keys[i]), 0);
    }
    static const uint64_t sorted[] = {0, 1, 3, 5, 7, 9, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
        struct heap_node *min = heap_min(&heap);
        assert_true(min->key == sorted[i]);
        heap_remove(&heap, min);
        assert_false(heap_has(min));
    }
    assert_null(heap_min(&heap));
    heap_release(&heap);
}

static void equal_keys_leave_in_the_order_they_came(void **state)
{
    (void)state;
    struct heap heap = HEAP_INIT;
    struct heap_node nodes[50];
    for (size_t i = 0; i < 50; i++) {
        nodes[i] = HEAP_NODE_INIT;
        assert_int_equal(heap_add(&heap, &nodes[i], 7), 0);
    }
    for (size_t i = 0; i < 50; i++) {
        assert_ptr_equal(heap_min(&heap), &nodes[i]);
        heap_remove(&heap, &nodes[i]);
    }
    heap_release(&heap);
}

static void removing_what_is_outside_is_harmless(void **state)
{
    (void)state;
    struct heap heap = HEAP_INIT;
    struct heap_node node = HEAP_NODE_INIT;
    heap_remove(&heap, &node);
    assert_int_equal(heap_add(&heap, &node, 1), 0);
    heap_remove(&heap, &node);
    heap_remove(&heap, &node);
    heap_release(&heap);
}

static void any_member_may_leave_and_the_order_holds(void **state)
{
    (void)state;
    struct heap heap = HEAP_INIT;
    static struct heap_node nodes[300];
    struct rand rand;
    rand_init(&rand, 21);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        nodes[i] = HEAP_NODE_INIT;
    for (int step = 0; step < 20000; step++) {
        struct heap_node *node = &nodes[rand_below(&rand, ARRAY_LEN(nodes))];
        if (heap_has(node))
            heap_remove(&heap, node);
        else
            assert_int_equal(heap_add(&heap, node, rand_below(&rand, 50)), 0);
        const struct heap_node *min = heap_min(&heap);
        if (step % 16)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
            if (heap_has(&nodes[i]))
                assert_true(min->key < nodes[i].key ||
                            (min->key == nodes[i].key && min->seq <= nodes[i].seq));
    }
    heap_release(&heap);
}

static void without_memory_the_heap_stays_as_it_is(void **state)
{
    (void)state;
    struct heap heap = HEAP_INIT;
    struct heap_node node = HEAP_NODE_INIT;
    mem_fail_after(1);
    assert_int_equal(heap_add(&heap, &node, 1), ERR_NOMEM);
    assert_false(heap_has(&node));
    assert_null(heap_min(&heap));
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_key_comes_first),
        cmocka_unit_test(equal_keys_leave_in_the_order_they_came),
        cmocka_unit_test(removing_what_is_outside_is_harmless),
        cmocka_unit_test(any_member_may_leave_and_the_order_holds),
        cmocka_unit_test(without_memory_the_heap_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
