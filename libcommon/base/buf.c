/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/buf.h"

#include <stdarg.h>

#include "libcommon/base/mem.h"

#define PRINT_ROOM 128

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files and packets are little-endian; get_/put_ copy bytes as they are");

void buf_release(struct buf *buf)
{
    mem_free(buf->data);
    *buf = BUF_INIT;
}

uint8_t *buf_reserve(struct buf *buf, size_t extra)
{
    if (buf->failed)
        return NULL;
    if (buf->cap - buf->len < extra) {
        size_t need, cap = buf->cap ? buf->cap : 64;
        if (__builtin_add_overflow(buf->len, extra, &need) || need > SIZE_MAX / 2) {
            buf->failed = true;
            return NULL;
        }
        while (cap < need)
            cap *= 2;
        uint8_t *grown = mem_realloc(buf->data, cap);
        if (!grown) {
            buf->failed = true;
            return NULL;
        }
        buf->data = grown;
        buf->cap = cap;
    }
    return buf->data + buf->len;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return;
    uint8_t *to = buf_reserve(buf, len);
    if (!to)
        return;
    memcpy(to, data, len);
    buf->len += len;
}

void buf_append_slice(struct buf *buf, struct slice s)
{
    buf_append(buf, s.data, s.len);
}

void buf_append_str(struct buf *buf, const char *s)
{
    buf_append(buf, s, strlen(s));
}

void buf_append_byte(struct buf *buf, uint8_t byte)
{
    buf_append(buf, &byte, 1);
}

/* Most texts fit the first time; the others are formed again. */
void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list ap, again;
    uint8_t *to = buf_reserve(buf, PRINT_ROOM);
    if (!to)
        return;
    size_t room = buf->cap - buf->len;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf((char *)to, room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n >= room) {
        to = buf_reserve(buf, (size_t)n + 1);
        if (to)
            vsnprintf((char *)to, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    if (n < 0)
        buf->failed = true;
    else if (to)
        buf->len += (size_t)n;
}

void buf_append_u16(struct buf *buf, uint16_t v)
{
    buf_append(buf, &v, sizeof(v));
}

void buf_append_u32(struct buf *buf, uint32_t v)
{
    buf_append(buf, &v, sizeof(v));
}

void buf_append_u64(struct buf *buf, uint64_t v)
{
    buf_append(buf, &v, sizeof(v));
}

void buf_append_varint(struct buf *buf, uint64_t v)
{
    uint8_t bytes[10];
    size_t n = 0;
    do {
        uint8_t low = (uint8_t)(v & 0x7f);
        v >>= 7;
        bytes[n++] = v ? (uint8_t)(low | 0x80) : low;
    } while (v);
    buf_append(buf, bytes, n);
}

size_t get_varint(const uint8_t *p, size_t len, uint64_t *ret_v)
{
    uint64_t v = 0;
    for (size_t i = 0; i < len && i < 10; i++) {
        if (i == 9 && p[i] > 1)
            return 0;
        v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
        if (!(p[i] & 0x80)) {
            *ret_v = v;
            return i + 1;
        }
    }
    return 0;
}

void buf_consume(struct buf *buf, size_t n)
{
    BUG_ON(n > buf->len);
    if (n == 0)
        return;
    buf->len -= n;
    if (buf->len)
        memmove(buf->data, buf->data + n, buf->len);
}

const char *buf_cstr(struct buf *buf)
{
    uint8_t *end = buf_reserve(buf, 1);
    if (!end)
        return NULL;
    *end = 0;
    return (const char *)buf->data;
}
