/* SPDX-License-Identifier: Apache-2.0
 * What a map tells of its keys, against the keys it had: all of a few, a sample of many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "worker/map/sketch.h"

#define PARTITIONS 3U

static const struct key_order text = {.type = QN_TEXT};

struct feed {
    struct arena arena;
    struct sketch sketch;
    struct task_part parts[PARTITIONS];
    struct task_sketch_list told;
};

static void feed_open(struct feed *f, bool has_hashes, struct key_order order)
{
    *f = (struct feed){.arena = ARENA_INIT};
    sketch_open(&f->sketch, &(struct sketch_conf){PARTITIONS, has_hashes, order}, &f->arena);
}

static void feed(struct feed *f, uint64_t key, size_t len)
{
    struct slice bytes = slice_of(&key, sizeof(key));
    uint64_t hash = key_hash(bytes);
    uint32_t partition = key_hash_pick(hash, PARTITIONS);
    sketch_add(&f->sketch, partition, hash, bytes, len);
    f->parts[partition].records++;
}

static void feed_tell(struct feed *f)
{
    sketch_tell(&f->sketch, &(struct task_part_list){f->parts, PARTITIONS}, &f->told);
}

static const struct task_key *told_key(const struct feed *f, uint64_t key)
{
    uint64_t hash = key_hash(slice_of(&key, sizeof(key)));
    for (size_t s = 0; s < f->told.n; s++)
        for (size_t i = 0; i < f->told.v[s].keys.n; i++)
            if (f->told.v[s].keys.v[i].hash == hash)
                return &f->told.v[s].keys.v[i];
    return NULL;
}

static void few_records_are_told_exactly(void **state)
{
    struct feed f;
    (void)state;
    feed_open(&f, true, text);
    for (uint64_t i = 0; i < 1000; i++)
        feed(&f, i % 10 ? i % 7 : 77, 20);
    feed_tell(&f);
    const struct task_key *key = told_key(&f, 77);
    assert_non_null(key);
    assert_int_equal(key->low, 100);
    assert_int_equal(key->high, 100);
    uint64_t lengths = 0;
    for (size_t s = 0; s < f.told.n; s++) {
        assert_int_equal(f.told.v[s].absent, 0);
        assert_false(f.told.v[s].is_sample);
        assert_int_equal(f.told.v[s].lengths.n, 3);
        lengths += f.told.v[s].lengths.v[2];
    }
    assert_int_equal(lengths, 1000);
    arena_release(&f.arena);
}

static void a_hot_key_among_many_is_within_its_bounds(void **state)
{
    struct feed f;
    uint64_t hot = 0;
    (void)state;
    feed_open(&f, true, text);
    for (uint64_t i = 0; i < 400000; i++) {
        bool is_hot = i % 9 == 0;
        feed(&f, is_hot ? UINT64_MAX : i, 20);
        hot += is_hot;
    }
    feed_tell(&f);
    const struct task_key *key = told_key(&f, UINT64_MAX);
    assert_non_null(key);
    assert_in_range(hot, key->low, key->high);
    assert_true((key->high - key->low) * 4 < hot); /* and they are worth telling */
    arena_release(&f.arena);
}

static void different_keys_are_counted_from_all_records(void **state)
{
    struct feed f;
    (void)state;
    feed_open(&f, true, text);
    for (uint64_t i = 0; i < 300000; i++)
        feed(&f, i % 100000, 20);
    feed_tell(&f);
    uint64_t sum = 0;
    assert_int_equal(f.told.n, PARTITIONS);
    for (size_t s = 0; s < f.told.n; s++) {
        assert_int_equal(f.told.v[s].hll.len, f.told.v[s].registers);
        assert_false(f.told.v[s].is_sample);
        sum += hll_count(f.told.v[s].hll.data, f.told.v[s].registers);
    }
    assert_in_range(sum, 90000, 110000);
    arena_release(&f.arena);
}

static void without_hashes_the_count_is_of_a_sample_and_says_so(void **state)
{
    struct feed f;
    (void)state;
    feed_open(&f, false, text);
    for (uint64_t i = 0; i < 100000; i++)
        feed(&f, i, 20);
    feed_tell(&f);
    assert_true(f.told.v[0].is_sample);
    assert_in_range(hll_count(f.told.v[0].hll.data, f.told.v[0].registers), 500, 40000);
    arena_release(&f.arena);
}

static void keys_that_are_numbers_are_told_as_text(void **state)
{
    struct feed f;
    uint8_t room[KEY_NUMBER_BYTES];
    const struct key_order order = {.type = QN_U64};
    struct slice kept;
    (void)state;
    feed_open(&f, true, order);
    assert_true(key_store(&order, slice_of(&(uint64_t){4711}, 8), room, &kept));
    sketch_add(&f.sketch, 0, key_hash(kept), kept, 16);
    f.parts[0].records = 1;
    feed_tell(&f);
    assert_true(slice_is(f.told.v[0].keys.v[0].key, "4711"));
    arena_release(&f.arena);
}

static void what_is_told_of_many_partitions_stays_small(void **state)
{
    struct arena arena = ARENA_INIT;
    struct sketch s;
    const uint32_t partitions = 2000;
    struct task_part *parts = arena_calloc(&arena, partitions, sizeof(*parts));
    struct task_done done = {0};
    struct buf out = BUF_INIT;
    (void)state;
    sketch_open(&s, &(struct sketch_conf){partitions, true, text}, &arena);
    for (uint64_t i = 0; i < 60000; i++)
        sketch_add(&s, (uint32_t)(i % partitions), i, slice_of(&i, sizeof(i)), 20);
    sketch_tell(&s, &(struct task_part_list){parts, partitions}, &done.sketches);
    msg_encode(&task_done_desc, &done, &out);
    assert_true(out.len < 100000);
    buf_release(&out);
    sketch_open(&s, &(struct sketch_conf){SKETCH_PARTITIONS + 1, true, text}, &arena);
    sketch_add(&s, SKETCH_PARTITIONS, 1, slice_of("a", 1), 1);
    sketch_tell(&s, &(struct task_part_list){NULL, 0}, &done.sketches);
    assert_int_equal(done.sketches.n, 0);
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_records_are_told_exactly),
        cmocka_unit_test(a_hot_key_among_many_is_within_its_bounds),
        cmocka_unit_test(different_keys_are_counted_from_all_records),
        cmocka_unit_test(without_hashes_the_count_is_of_a_sample_and_says_so),
        cmocka_unit_test(keys_that_are_numbers_are_told_as_text),
        cmocka_unit_test(what_is_told_of_many_partitions_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
