/* SPDX-License-Identifier: Apache-2.0
 * sums: what goes into a table that combines, and what comes out of it, key by key. For the tests
 * of combine and gather; cmocka is included before it. */
#ifndef QUERN_TESTS_WORKER_MAP_SUMS_H
#define QUERN_TESTS_WORKER_MAP_SUMS_H

#include "libcommon/base/rand.h"
#include "worker/run/fold.h"
#include "worker/run/key.h"

#define KEYS 50000

/* What went in and what came out, folded per key number. */
struct sums {
    struct fold fold;
    uint64_t in[KEYS], out[KEYS];
    bool has_in[KEYS], has_out[KEYS];
    uint64_t records_out;
    uint64_t counted; /* records that what came out says it stands for */
    uint64_t most;    /* of those, one record */
    uint64_t digest;  /* of the very sequence that came out */
};

static struct sums sums;

static inline void reset(struct fold fold)
{
    memset(&sums, 0, sizeof(sums));
    sums.fold = fold;
}

static inline void fold_to(uint64_t *at, bool *has, uint64_t v)
{
    *at = *has ? fold_numbers(&sums.fold, *at, v) : v;
    *has = true;
}

/* Key number i as bytes: some short, some long, some with zero bytes. */
static inline struct slice key_of(uint32_t i, char room[64])
{
    int len = i % 3 == 0 ? snprintf(room, 64, "%u", i)
                         : snprintf(room, 64, "%u-a key that is longer than eight bytes", i);
    if (i % 5 == 0)
        room[len++] = 0;
    return slice_of(room, (size_t)len);
}

static inline uint32_t number_of(struct slice key)
{
    uint32_t v = 0;
    for (size_t i = 0; i < key.len && key.data[i] >= '0' && key.data[i] <= '9'; i++)
        v = v * 10 + (key.data[i] - '0');
    return v;
}

static inline int take_out(void *arg, uint64_t hash, struct slice key, struct slice value,
                           uint64_t count)
{
    (void)arg;
    sums.counted += count;
    sums.most = count > sums.most ? count : sums.most;
    char room[64];
    uint32_t i = number_of(key);
    assert_true(slice_eq(key, key_of(i, room)));
    assert_true(hash == key_hash(key));
    assert_int_equal(value.len, 8);
    fold_to(&sums.out[i], &sums.has_out[i], get_u64(value.data));
    sums.records_out++;
    sums.digest = slice_hash(value, slice_hash(key, sums.digest));
    return 0;
}

static inline void check_sums(void)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(sums.has_in[i], sums.has_out[i]);
        assert_true(sums.in[i] == sums.out[i]);
    }
}

#endif
