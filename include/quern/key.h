/* SPDX-License-Identifier: Apache-2.0
 * quern/key.h: keys of several parts whose order as bytes is the order of the parts. For jobs whose
 * key type is QN_BYTES: order by (country, then revenue, largest first), group by country alone.
 *
 *     unsigned char room[256];
 *     struct qn_key key = qn_key_in(room, sizeof(room));
 *     qn_key_put_text(&key, country, QN_ASC);
 *     qn_key_put_f64(&key, revenue, QN_DESC);
 *     return qn_key_fits(&key) ? qn_emit(task, qn_key_bytes(&key), value) : qn_fail(task, ...);
 *
 * and back, part by part, in the same order and direction:
 *
 *     qn_key_take_text(&rest, room, sizeof(room), &country, QN_ASC);
 *
 * Numbers are eight bytes, most significant first; QN_I64 with the sign bit flipped; doubles with
 * all bits flipped when negative, else the sign bit. -0 is kept as 0, and every NaN as one NaN that
 * comes last. Text is its bytes with 0 written as 00 FF, and 00 01 behind the last: a shorter text
 * comes before all that begin with it, whatever part follows. QN_DESC is the same with every bit
 * flipped. No part is the beginning of another, so parts can be compared one by one. */
#ifndef QUERN_KEY_H
#define QUERN_KEY_H

#include <quern/job.h>

#ifdef __cplusplus
extern "C" {
#endif

enum qn_direction { QN_ASC = 0, QN_DESC = 0xff };

/* A key in the making, in room that the caller owns. len grows beyond cap when it does not fit. */
struct qn_key {
    unsigned char *data;
    size_t len, cap;
};

static inline struct qn_key qn_key_in(void *room, size_t cap)
{
    struct qn_key key;
    key.data = (unsigned char *)room;
    key.len = 0;
    key.cap = cap;
    return key;
}
static inline int qn_key_fits(const struct qn_key *key)
{
    return key->len <= key->cap;
}
/* Borrows the key's room. */
static inline struct qn_slice qn_key_bytes(const struct qn_key *key)
{
    return qn_bytes(key->data, key->len);
}

static inline void qn_key_put_byte(struct qn_key *key, unsigned byte, enum qn_direction direction)
{
    if (key->len < key->cap)
        key->data[key->len] = (unsigned char)(byte ^ (unsigned)direction);
    key->len++;
}
static inline void qn_key_put_u64(struct qn_key *key, uint64_t v, enum qn_direction direction)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        qn_key_put_byte(key, (unsigned)(v >> shift) & 0xff, direction);
}
static inline void qn_key_put_i64(struct qn_key *key, int64_t v, enum qn_direction direction)
{
    qn_key_put_u64(key, (uint64_t)v ^ (1ULL << 63), direction);
}
static inline void qn_key_put_f64(struct qn_key *key, double v, enum qn_direction direction)
{
    uint64_t bits = 0x7ff8ULL << 48; /* NaN */
    if (v == v)
        memcpy(&bits, &v, sizeof(bits));
    if (v == 0)
        bits = 0;
    qn_key_put_u64(key, bits >> 63 ? ~bits : bits ^ (1ULL << 63), direction);
}
static inline void qn_key_put_text(struct qn_key *key, struct qn_slice text,
                                   enum qn_direction direction)
{
    const unsigned char *p = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.len; i++) {
        qn_key_put_byte(key, p[i], direction);
        if (p[i] == 0)
            qn_key_put_byte(key, 0xff, direction);
    }
    qn_key_put_byte(key, 0, direction);
    qn_key_put_byte(key, 1, direction);
}

/* Takes: 1 = *v is the part and *rest begins behind it; 0 = there is no such part, nothing moved.
 */
static inline int qn_key_take_u64(struct qn_slice *rest, uint64_t *v, enum qn_direction direction)
{
    const unsigned char *p = (const unsigned char *)rest->data;
    uint64_t bits = 0;
    if (rest->len < sizeof(bits))
        return 0;
    for (size_t i = 0; i < sizeof(bits); i++)
        bits = bits << 8 | (unsigned char)(p[i] ^ (unsigned)direction);
    *v = bits;
    *rest = qn_bytes(p + sizeof(bits), rest->len - sizeof(bits));
    return 1;
}
static inline int qn_key_take_i64(struct qn_slice *rest, int64_t *v, enum qn_direction direction)
{
    uint64_t bits;
    if (!qn_key_take_u64(rest, &bits, direction))
        return 0;
    *v = (int64_t)(bits ^ (1ULL << 63));
    return 1;
}
static inline int qn_key_take_f64(struct qn_slice *rest, double *v, enum qn_direction direction)
{
    uint64_t bits;
    if (!qn_key_take_u64(rest, &bits, direction))
        return 0;
    bits = bits >> 63 ? bits ^ (1ULL << 63) : ~bits;
    memcpy(v, &bits, sizeof(*v));
    return 1;
}
/* The text is written to `room`, which *text borrows; 0 also when it does not fit. room may be the
 * key's own bytes: what is written never passes what is still to be read. */
static inline int qn_key_take_text(struct qn_slice *rest, void *room, size_t cap,
                                   struct qn_slice *text, enum qn_direction direction)
{
    const unsigned char *p = (const unsigned char *)rest->data;
    unsigned char *out = (unsigned char *)room;
    size_t n = 0;
    for (size_t i = 0; i + 1 < rest->len; i++) {
        unsigned byte = p[i] ^ (unsigned)direction, next = p[i + 1] ^ (unsigned)direction;
        if (byte == 0 && next == 1) {
            *text = qn_bytes(room, n);
            *rest = qn_bytes(p + i + 2, rest->len - i - 2);
            return 1;
        }
        if ((byte == 0 && next != 0xff) || n == cap)
            return 0;
        out[n++] = (unsigned char)byte;
        i += byte == 0;
    }
    return 0;
}

/* A line that travels under one of its own fields need not carry that field a second time. Cut: the
 * line without the bytes of `field`, which is a part of it, behind the place they are missing at
 * (u64), in `room`. Mend: the line again, in `room`. 0, or the task has failed. */
static inline int qn_key_cut(struct qn_task *task, struct qn_slice line, struct qn_slice field,
                             struct qn_room *room, struct qn_slice *cut)
{
    const unsigned char *p = (const unsigned char *)line.data;
    uint64_t at = (uint64_t)((const unsigned char *)field.data - p);
    if (qn_grow(task, room, sizeof(at) + line.len - field.len) != 0)
        return -1;
    memcpy(room->data, &at, sizeof(at));
    memcpy(room->data + sizeof(at), p, (size_t)at);
    memcpy(room->data + sizeof(at) + at, p + at + field.len, line.len - field.len - (size_t)at);
    *cut = qn_bytes(room->data, sizeof(at) + line.len - field.len);
    return 0;
}
static inline int qn_key_mend(struct qn_task *task, struct qn_slice cut, struct qn_slice field,
                              struct qn_room *room, struct qn_slice *line)
{
    const unsigned char *p = (const unsigned char *)cut.data + sizeof(uint64_t);
    uint64_t at = qn_to_u64(qn_bytes(cut.data, sizeof(at)));
    size_t len = cut.len - sizeof(at);
    if (qn_grow(task, room, len + field.len + 1) != 0)
        return -1;
    memcpy(room->data, p, (size_t)at);
    if (field.len)
        memcpy(room->data + at, field.data, field.len);
    memcpy(room->data + at + field.len, p + at, len - (size_t)at);
    *line = qn_bytes(room->data, len + field.len);
    return 0;
}

/* How many bytes the text at the beginning of a key takes, its end included: what `.group` and
 * `.partition` look at. 0 = no text begins there. */
static inline size_t qn_key_text_size(struct qn_slice key, enum qn_direction direction)
{
    const unsigned char *p = (const unsigned char *)key.data;
    for (size_t i = 0; i + 1 < key.len; i++)
        if ((p[i] ^ (unsigned)direction) == 0) {
            if ((p[i + 1] ^ (unsigned)direction) == 1)
                return i + 2;
            i++;
        }
    return 0;
}

/* A partition for the first `len` bytes of a key: what has them in common meets in one reducer. */
static inline uint32_t qn_key_pick(struct qn_slice key, size_t len, uint32_t count)
{
    const unsigned char *p = (const unsigned char *)key.data;
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a, and a last mix for its weak high bits */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ p[i]) * 0x100000001b3ULL;
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93ULL;
    return (uint32_t)(((hash >> 32) * count) >> 32);
}

/* For the table of a job whose keys begin with an ascending text: that text alone decides which
 * reducer gets a key, and which keys are one group. */
static inline uint32_t qn_key_partition_by_text(struct qn_slice key, uint32_t count)
{
    return qn_key_pick(key, qn_key_text_size(key, QN_ASC), count);
}
static inline int qn_key_group_by_text(struct qn_slice a, struct qn_slice b)
{
    size_t alen = qn_key_text_size(a, QN_ASC), blen = qn_key_text_size(b, QN_ASC);
    return alen != blen || memcmp(a.data, b.data, alen) != 0;
}

#ifdef __cplusplus
}
#endif

#endif
