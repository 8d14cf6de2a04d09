/* SPDX-License-Identifier: Apache-2.0
 * record: one key and value, as they lie in sort buffers and in runs.
 *
 *     varint key length · varint value length · key (kept form, key.h) · value
 *
 * Varints are LEB128 (buf.h), lengths below 4 GiB. Bytes from a file are not trusted: parsing stays
 * inside the bytes given. */
#ifndef QUERN_WORKER_RUN_RECORD_H
#define QUERN_WORKER_RUN_RECORD_H

#include "libcommon/base/buf.h"

#define RECORD_HEAD_MAX 10U
#define RECORD_LEN_MAX  0xffffffffU

/* Memory of a task, in MiB, of which a record of `len` bytes is no more than a quarter. */
static inline uint64_t record_memory_mb(uint64_t len)
{
    const uint64_t head = 64 << 10, mib = 1 << 20; /* head: what a job puts beside a line */
    return (4 * (len + head) + mib - 1) / mib;
}

static inline size_t record_varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* Bytes written (at most RECORD_HEAD_MAX). */
static inline size_t record_head(uint8_t *out, size_t key_len, size_t value_len)
{
    if (__builtin_expect((key_len | value_len) < 0x80, 1)) {
        out[0] = (uint8_t)key_len;
        out[1] = (uint8_t)value_len;
        return 2;
    }
    size_t n = record_varint(out, key_len);
    return n + record_varint(out + n, value_len);
}

/* The record that begins at p; what follows it begins at the address returned. NULL: it is not
 * whole before `end`; *ret_need then is what it takes (0: not even the head is there), or
 * UINT64_MAX when the bytes cannot be a record at all. */
const uint8_t *record_parse_slow(const uint8_t *p, const uint8_t *end, struct slice *ret_key,
                                 struct slice *ret_value, uint64_t *ret_need);
static inline const uint8_t *record_parse(const uint8_t *p, const uint8_t *end,
                                          struct slice *ret_key, struct slice *ret_value,
                                          uint64_t *ret_need)
{
    if (__builtin_expect(end - p >= 2 && (p[0] | p[1]) < 0x80, 1)) {
        size_t key_len = p[0], value_len = p[1];
        if (__builtin_expect((size_t)(end - p) - 2 >= key_len + value_len, 1)) {
            *ret_key = slice_of(p + 2, key_len);
            *ret_value = slice_of(p + 2 + key_len, value_len);
            return p + 2 + key_len + value_len;
        }
    }
    return record_parse_slow(p, end, ret_key, ret_value, ret_need);
}

/* The same for a record of our own making, which is known to be whole: its length. */
static inline size_t record_of(const uint8_t *p, const uint8_t *end, struct slice *ret_key,
                               struct slice *ret_value)
{
    uint64_t need = 0;
    return (size_t)(record_parse(p, end, ret_key, ret_value, &need) - p);
}

#endif
