/* SPDX-License-Identifier: Apache-2.0
 * key: the form in which keys are kept between emit and reduce, so that order is the order of
 * bytes.
 *
 *   QN_TEXT, QN_BYTES   as they are
 *   QN_U64              eight bytes, most significant first
 *   QN_I64              the same with the sign bit flipped
 *   QN_F64              the same of the bits; all flipped when negative, else the sign bit. -0 is
 *                       kept as 0 and every NaN as one NaN, which comes last: equal numbers are one
 *                       key
 *   QN_NONE             empty
 *
 * A job with a `compare` of its own keeps its keys as they are, whatever their type. So one
 * comparison serves all: the first eight bytes as a number (the prefix, zero-padded), then the
 * whole. Keys are put into this form at emit and taken out of it for callbacks and output. Files
 * hold this form: it is part of the format of runs. */
#ifndef QUERN_WORKER_RUN_KEY_H
#define QUERN_WORKER_RUN_KEY_H

#include "include/quern/job.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/sanitized.h"

#define KEY_NUMBER_BYTES 8U

struct key_order {
    enum qn_type type;                                    /* of the key */
    int (*compare)(struct qn_slice a, struct qn_slice b); /* the job's own; NULL = by bytes */
};

/* Both types are (pointer, length); these change the name only. */
static inline struct qn_slice key_to_qn(struct slice s)
{
    return qn_bytes(s.data, s.len);
}
static inline struct slice key_from_qn(struct qn_slice s)
{
    return slice_of(s.data, s.len);
}

/* Is the kept form another one than the job's own? */
static inline bool key_is_converted(const struct key_order *order)
{
    return !order->compare &&
           (order->type == QN_U64 || order->type == QN_I64 || order->type == QN_F64);
}

uint64_t key_bits_store(enum qn_type type, uint64_t bits);
uint64_t key_bits_restore(enum qn_type type, uint64_t bits);

/* Kept form of an emitted key: borrows `key` or `room`. False: a number of the wrong size. */
static inline bool key_store(const struct key_order *order, struct slice key,
                             uint8_t room[KEY_NUMBER_BYTES], struct slice *ret)
{
    *ret = key;
    if (__builtin_expect(!key_is_converted(order), 1))
        return true;
    if (key.len != KEY_NUMBER_BYTES)
        return false;
    put_u64(room, __builtin_bswap64(key_bits_store(order->type, get_u64(key.data))));
    *ret = slice_of(room, KEY_NUMBER_BYTES);
    return true;
}

/* The job's own form of a kept key: borrows `kept` or `room`. */
static inline struct slice key_restore(const struct key_order *order, struct slice kept,
                                       uint8_t room[KEY_NUMBER_BYTES])
{
    if (__builtin_expect(!key_is_converted(order) || kept.len != KEY_NUMBER_BYTES, 1))
        return kept;
    put_u64(room, key_bits_restore(order->type, __builtin_bswap64(get_u64(kept.data))));
    return slice_of(room, KEY_NUMBER_BYTES);
}

/* Up to eight bytes as a little-endian number, zero-padded; touches no byte beyond `len`. */
static inline uint64_t key_word_careful(const uint8_t *p, size_t len)
{
    if (len >= 8)
        return get_u64(p);
    if (len >= 4)
        return get_u32(p) | (uint64_t)get_u32(p + len - 4) << (8 * (len - 4));
    if (len >= 2)
        return get_u16(p) | (uint64_t)get_u16(p + len - 2) << (8 * (len - 2));
    return len ? *p : 0;
}

/* The same in one load, which reaches beyond `len` (1 .. 8) but not beyond the page: how long keys
 * are is what a processor cannot guess, and a wrong guess costs more than all else done for a short
 * key. */
static inline bool key_page_goes_on(const uint8_t *p)
{
    const uintptr_t page = 4096;
    return (uintptr_t)p % page <= page - 8;
}
extern const uint64_t key_masks[9]; /* so many bytes of a word */
static inline uint64_t key_word_at_once(const uint8_t *p, size_t len)
{
    __asm__("" : "+r"(p)); /* any object: the compiler must conclude nothing from its size */
    return get_u64(p) & key_masks[len];
}

/* Of 1 .. 8 bytes, where the page goes on: one of both. Where every load is watched, the careful
 * one. */
static inline uint64_t key_word_short(const uint8_t *p, size_t len)
{
    return IS_SANITIZED ? key_word_careful(p, len) : key_word_at_once(p, len);
}

/* Of any. */
static inline uint64_t key_word(const uint8_t *p, size_t len)
{
    if (len >= 8)
        return get_u64(p);
    if (__builtin_expect(len == 0 || !key_page_goes_on(p), 0))
        return key_word_careful(p, len);
    return key_word_short(p, len);
}

/* The first eight bytes as a number that orders like them. */
static inline uint64_t key_prefix(struct slice kept)
{
    return __builtin_bswap64(key_word(kept.data, kept.len));
}

/* Does the prefix not tell the whole key? (It is longer, or ends in zero bytes like the padding.)
 */
static inline bool key_is_beyond_prefix(struct slice kept)
{
    return kept.len > 8 || (kept.len > 0 && kept.data[kept.len - 1] == 0);
}

/* <0, 0, >0 for kept keys. */
static inline int key_cmp(const struct key_order *order, struct slice a, struct slice b)
{
    if (order->compare)
        return order->compare(key_to_qn(a), key_to_qn(b));
    return slice_cmp(a, b);
}

/* Which reducer a key goes to hangs on this, so it never changes. Eight bytes at a time through a
 * multiply-fold (the product's halves xored, as in wyhash); the tail is zero-padded, with the
 * length mixed in. */
#define KEY_HASH_SEED 0xa0761d6478bd642fULL
#define KEY_HASH_STEP 0xe7037ed1a0b428dbULL
static inline uint64_t key_hash_fold(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}
/* Of a key of at most eight bytes, by its word. */
static inline uint64_t key_hash_word(uint64_t word, size_t len)
{
    return key_hash_fold(KEY_HASH_SEED ^ word, KEY_HASH_STEP + 2 * len);
}
static inline uint64_t key_hash(struct slice key)
{
    const uint8_t *p = key.data;
    size_t n = key.len;
    uint64_t h = KEY_HASH_SEED;
    for (; n > 8; n -= 8, p += 8)
        h = key_hash_fold(h ^ get_u64(p), KEY_HASH_STEP);
    return key_hash_fold(h ^ key_word(p, n), KEY_HASH_STEP + 2 * key.len);
}

/* 0 .. count - 1, evenly. */
static inline uint32_t key_hash_pick(uint64_t hash, uint32_t count)
{
    return (uint32_t)(((hash >> 32) * count) >> 32);
}

/* "TEXT", "U64" ...: for messages. */
const char *key_type_name(enum qn_type type);

#endif
