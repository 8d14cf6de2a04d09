/* SPDX-License-Identifier: Apache-2.0
 * slice: borrowed bytes. Never owns, never ends in NUL by promise; may hold any byte. */
#ifndef QUERN_BASE_SLICE_H
#define QUERN_BASE_SLICE_H

#include "libcommon/base/err.h"

struct slice {
    const uint8_t *data; /* may be NULL only when len is 0 */
    size_t len;
};

#define SLICE_FMT    "%.*s"
#define SLICE_ARG(s) (int)(s).len, ((s).data ? (const char *)(s).data : "")

static inline struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){data, len};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){(const uint8_t *)s, s ? strlen(s) : 0};
}

/* Order as bytes: memcmp of the common part, then the shorter first. */
static inline int slice_cmp(struct slice a, struct slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;
    if (c != 0)
        return c;
    return (a.len > b.len) - (a.len < b.len);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *s)
{
    return slice_eq(a, slice_str(s));
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.data, prefix.data, prefix.len) == 0);
}

/* A good 64-bit hash (seeded, not cryptographic) for tables keyed by bytes. */
uint64_t slice_hash(struct slice s, uint64_t seed);

/* Mixes a 64-bit key so that all bits depend on all bits (splitmix64 finaliser). */
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* The first UTF-8 character of s (which must not be empty): its bytes (1..4), and the code point. A
 * byte that begins no character stands alone as UTF8_BAD + byte. */
#define UTF8_BAD 0x110000U
size_t slice_utf8(struct slice s, uint32_t *ret_point);

/* The first `most` bytes of it as a person can read them: what is no printable character (and each
 * " and \) as \xNN, "..." where more follows. `out` has SLICE_SHOWN(most) bytes. */
#define SLICE_SHOWN(most) (4 * (most) + 4)
void slice_show(struct slice s, size_t most, char *out);

/* Copy into a NUL-terminated heap string (mem_free it); NULL when memory is out. */
char *slice_dup(struct slice s);

/* Copies that live as long as an arena, with a NUL behind the last byte: a C string, NULL when
 * memory is out; or the slice of it, whose data is NULL only then. */
struct arena;
char *slice_text(struct slice s, struct arena *arena);
struct slice slice_keep(struct slice s, struct arena *arena);

#endif
