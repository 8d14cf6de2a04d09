/* SPDX-License-Identifier: Apache-2.0
 * buf: owned, growing bytes. Appending to a full machine sets `failed` once and for all, so an
 * encoder appends freely and checks buf_failed() at the end; a failed buf must not be sent. */
#ifndef QUERN_BASE_BUF_H
#define QUERN_BASE_BUF_H

#include "libcommon/base/slice.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed;
};
#define BUF_INIT ((struct buf){0})

void buf_release(struct buf *buf);
static inline void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}
static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}
static inline struct slice buf_slice(const struct buf *buf)
{
    return slice_of(buf->data, buf->len);
}

/* Room for `extra` more bytes at data + len; returns that place, or NULL (and fails the buf). The
 * caller writes there and adds to len. */
uint8_t *buf_reserve(struct buf *buf, size_t extra);

void buf_append(struct buf *buf, const void *data, size_t len);
void buf_append_slice(struct buf *buf, struct slice s);
void buf_append_str(struct buf *buf, const char *s);
void buf_append_byte(struct buf *buf, uint8_t byte);
void buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Little-endian integers, the order of all our files and packet headers. */
void buf_append_u16(struct buf *buf, uint16_t v);
void buf_append_u32(struct buf *buf, uint32_t v);
void buf_append_u64(struct buf *buf, uint64_t v);
/* LEB128: seven bits a byte, low first; at most ten bytes. */
void buf_append_varint(struct buf *buf, uint64_t v);

/* Drop n bytes from the front (n <= len). */
void buf_consume(struct buf *buf, size_t n);

/* A NUL after the last byte (not counted in len); data is then a C string. NULL when it failed. */
const char *buf_cstr(struct buf *buf);

static inline uint16_t get_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline uint32_t get_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t get_u64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline void put_u16(void *p, uint16_t v)
{
    memcpy(p, &v, 2);
}
static inline void put_u32(void *p, uint32_t v)
{
    memcpy(p, &v, 4);
}
static inline void put_u64(void *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

/* Bytes read (1..10), or 0 when the varint is cut short or too long. */
size_t get_varint(const uint8_t *p, size_t len, uint64_t *ret_v);

#endif
