/* SPDX-License-Identifier: Apache-2.0
 * Merging against the simplest thing that can be right: put all records in one array and sort. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "worker/run/merge.h"
#include "worker/run/record.h"

struct item {
    char key[24];
    size_t len;
    uint32_t source, seq;
};

static struct key_order by_bytes = {QN_TEXT, NULL};

static int item_cmp(const void *pa, const void *pb)
{
    const struct item *a = pa, *b = pb;
    int c = key_cmp(&by_bytes, slice_of(a->key, a->len), slice_of(b->key, b->len));
    if (c != 0)
        return c;
    if (a->source != b->source)
        return a->source < b->source ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

static void encode(struct buf *out, const struct item *item)
{
    uint8_t head[RECORD_HEAD_MAX];
    buf_append(out, head, record_head(head, item->len, 8));
    buf_append(out, item->key, item->len);
    buf_append_u32(out, item->source);
    buf_append_u32(out, item->seq);
}

static void random_key(struct rand *rand, unsigned letters, size_t longest, struct item *item)
{
    item->len = (size_t)rand_below(rand, longest + 1);
    for (size_t i = 0; i < item->len; i++)
        item->key[i] = (char)rand_below(rand, letters); /* zero bytes too */
}

/* Sources with `each` records at most; the merged order must be (key, source, sequence). */
static void check_merge(uint64_t seed, size_t sources, size_t each, unsigned letters,
                        size_t longest)
{
    struct rand rand;
    rand_init(&rand, seed);
    struct item *all = mem_calloc(sources * each + 1, sizeof(*all));
    struct buf *bytes = mem_calloc(sources, sizeof(*bytes));
    struct piece_cursor *pieces = mem_calloc(sources, sizeof(*pieces));
    struct run_cursor **cursors = mem_calloc(sources, sizeof(*cursors));
    struct err err = {0};
    size_t count = 0;
    for (uint32_t s = 0; s < sources; s++) {
        size_t n = (size_t)rand_below(&rand, each + 1), first = count;
        for (size_t i = 0; i < n; i++)
            random_key(&rand, letters, longest, &all[count++]);
        for (size_t i = first; i < count; i++)
            all[i].source = s;
        qsort(all + first, n, sizeof(*all), item_cmp);
        for (size_t i = first; i < count; i++) {
            all[i].seq = (uint32_t)(i - first);
            encode(&bytes[s], &all[i]);
        }
        struct run_piece piece = {
            .fd = -1, .data = bytes[s].data, .len = bytes[s].len, .records = n};
        piece_cursor_open(&pieces[s], &piece, &(struct piece_conf){NULL, 0, 100, "test", &err});
        cursors[s] = &pieces[s].cursor;
    }
    qsort(all, count, sizeof(*all), item_cmp);
    struct merge merge;
    assert_int_equal(merge_open(&merge, cursors, sources, &by_bytes), 0);
    struct run_cursor *at = NULL;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(merge_next(&merge, &at), 1);
        assert_true(slice_eq(at->key, slice_of(all[i].key, all[i].len)));
        assert_int_equal(get_u32(at->value.data), all[i].source);
        assert_int_equal(get_u32(at->value.data + 4), all[i].seq);
    }
    assert_int_equal(merge_next(&merge, &at), 0);
    merge_close(&merge);
    for (size_t s = 0; s < sources; s++)
        buf_release(&bytes[s]);
    mem_free(cursors);
    mem_free(pieces);
    mem_free(bytes);
    mem_free(all);
}

static void records_come_in_order_of_key_source_and_sequence(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++)
        check_merge(seed, 1 + seed % 23, 40, seed % 2 ? 3 : 200, 12);
}

static void equal_keys_only(void **state)
{
    (void)state;
    check_merge(1, 9, 50, 1, 0);
    check_merge(2, 9, 50, 1, 20); /* zero bytes of every length */
}

static void many_sources_and_none(void **state)
{
    (void)state;
    check_merge(3, 300, 5, 26, 6);
    struct merge merge;
    struct run_cursor *at = NULL;
    assert_int_equal(merge_open(&merge, NULL, 0, &by_bytes), 0);
    assert_int_equal(merge_next(&merge, &at), 0);
    merge_close(&merge);
}

static int backwards(struct qn_slice a, struct qn_slice b)
{
    return -slice_cmp(key_from_qn(a), key_from_qn(b));
}

static void the_jobs_own_order_is_followed(void **state)
{
    (void)state;
    by_bytes.compare = backwards;
    for (uint64_t seed = 0; seed < 10; seed++)
        check_merge(seed, 1 + seed, 30, 5, 12);
    by_bytes.compare = NULL;
}

static void a_damaged_source_fails_the_merge(void **state)
{
    (void)state;
    const uint8_t good[] = {1, 0, 'a'}, bad[] = {1, 0, 'b', 9, 9};
    struct piece_cursor pieces[2];
    struct err err = {0};
    struct piece_conf conf = {NULL, 0, 100, "map 7", &err};
    piece_cursor_open(&pieces[0],
                      &(struct run_piece){.fd = -1, .data = good, .len = 3, .records = 1}, &conf);
    piece_cursor_open(&pieces[1],
                      &(struct run_piece){.fd = -1, .data = bad, .len = 5, .records = 2}, &conf);
    struct run_cursor *cursors[] = {&pieces[0].cursor, &pieces[1].cursor}, *at = NULL;
    struct merge merge;
    assert_int_equal(merge_open(&merge, cursors, 2, &by_bytes), 0);
    assert_int_equal(merge_next(&merge, &at), 1);
    assert_int_equal(merge_next(&merge, &at), 1);
    assert_int_equal(merge_next(&merge, &at), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "map 7"));
    merge_close(&merge);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_in_order_of_key_source_and_sequence),
        cmocka_unit_test(equal_keys_only),
        cmocka_unit_test(many_sources_and_none),
        cmocka_unit_test(the_jobs_own_order_is_followed),
        cmocka_unit_test(a_damaged_source_fails_the_merge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
