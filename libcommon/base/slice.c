/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/slice.h"

#include "libcommon/base/mem.h"

/* Eight bytes at a time through a multiply-fold; the tail is zero-extended and the length mixed in.
 * Same construction as wyhash's core: product of two 64-bit words folded to 64 bits. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    __uint128_t p = (__uint128_t)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t slice_hash(struct slice s, uint64_t seed)
{
    const uint64_t k0 = 0xa0761d6478bd642fULL, k1 = 0xe7037ed1a0b428dbULL;
    uint64_t h = seed ^ k0;
    const uint8_t *p = s.data;
    size_t n = s.len;
    while (n >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        h = fold(h ^ w, k1);
        p += 8;
        n -= 8;
    }
    uint64_t tail = 0;
    if (n)
        memcpy(&tail, p, n);
    h = fold(h ^ tail, k0 ^ s.len);
    return fold(h, k1);
}

size_t slice_utf8(struct slice s, uint32_t *ret_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* shortest forms only */
    uint8_t first = s.data[0];
    size_t len = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    *ret_point = first;
    if (len == 1)
        return 1;
    *ret_point = UTF8_BAD + first;
    if (len == 0 || first >= 0xf8 || len > s.len)
        return 1;
    uint32_t point = first & (0xffU >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80)
            return 1;
        point = point << 6 | (s.data[i] & 0x3f);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return 1;
    *ret_point = point;
    return len;
}

static bool is_shown_as_it_is(uint32_t point)
{
    return point >= ' ' && point < UTF8_BAD && (point < 0x7f || point >= 0xa0) && point != '"' &&
           point != '\\';
}

void slice_show(struct slice s, size_t most, char *out)
{
    size_t at = 0, take = 0;
    while (at < s.len && at < most) {
        uint32_t point = 0;
        take = slice_utf8(slice_of(s.data + at, s.len - at), &point);
        if (at + take > most)
            break;
        if (is_shown_as_it_is(point)) {
            memcpy(out, s.data + at, take);
            out += take;
        }
        for (size_t i = 0; !is_shown_as_it_is(point) && i < take; i++)
            out += snprintf(out, 5, "\\x%02x", s.data[at + i]);
        at += take;
    }
    memcpy(out, "...", at < s.len ? 4 : 0);
    out[at < s.len ? 3 : 0] = 0;
}

static char *copy_to(char *room, struct slice s)
{
    if (!room)
        return NULL;
    if (s.len)
        memcpy(room, s.data, s.len);
    room[s.len] = 0;
    return room;
}

char *slice_dup(struct slice s)
{
    return copy_to(mem_alloc(s.len + 1), s);
}

char *slice_text(struct slice s, struct arena *arena)
{
    return copy_to(arena_alloc(arena, s.len + 1), s);
}

struct slice slice_keep(struct slice s, struct arena *arena)
{
    char *copy = slice_text(s, arena);
    return slice_of(copy, copy ? s.len : 0);
}
