/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/reader.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/disk.h"
#include "worker/run/key.h"
#include "worker/run/record.h"

static int damaged(const char *name, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%s: %s", name, what);
}

static int read_at(int fd, void *out, size_t len, uint64_t off, const char *name, struct err *err)
{
    int64_t n = disk_pread(disk_real(), fd, out, len, off);
    if (n < 0)
        return err_set(err, (int)n, "%s: cannot read map output: %s", name, err_text((int)n));
    if ((size_t)n != len)
        return damaged(name, "map output is cut short", err);
    return 0;
}

static bool sum_fits(const uint8_t *bytes, size_t len)
{
    return crc32c(0, bytes, len - RUN_SUM_BYTES) == get_u32(bytes + len - RUN_SUM_BYTES);
}

int run_reader_open(struct run_reader *reader, int fd, uint64_t len, const char *name,
                    struct err *err)
{
    uint8_t head[RUN_HEADER_BYTES], foot[RUN_FOOTER_BYTES];
    if (len < sizeof(head) + sizeof(foot))
        return damaged(name, "map output is cut short", err);
    int rc = read_at(fd, head, sizeof(head), 0, name, err);
    if (rc == 0)
        rc = read_at(fd, foot, sizeof(foot), len - sizeof(foot), name, err);
    if (rc != 0)
        return rc;
    if (get_u32(head) != RUN_MAGIC || !sum_fits(head, sizeof(head)))
        return damaged(name, "not a map output, or its header is damaged", err);
    if (get_u32(head + 4) != RUN_VERSION || get_u32(head + 16) != 0)
        return err_set(err, ERR_VERSION, "%s: map output of version %u, this program reads %u",
                       name, get_u32(head + 4), RUN_VERSION);
    if (get_u32(foot + 24) != RUN_MAGIC_END || !sum_fits(foot, sizeof(foot)) ||
        get_u64(foot + 8) != len || get_u32(foot + 16) != get_u32(head + 8) ||
        get_u32(foot + 20) != RUN_CHUNK || get_u32(head + 12) != RUN_CHUNK)
        return damaged(name, "map output has no footer, or a damaged one", err);
    *reader = (struct run_reader){
        .fd = fd, .len = len, .index_off = get_u64(foot), .partitions = get_u32(foot + 16)};
    if (reader->index_off > len ||
        (len - reader->index_off - RUN_FOOTER_BYTES) / RUN_ROW_BYTES != reader->partitions)
        return damaged(name, "map output has an index of the wrong size", err);
    return 0;
}

static int load_sums(const struct run_reader *reader, const uint8_t *row, uint32_t **ret_sums,
                     struct err *err)
{
    uint64_t count = (get_u64(row + 8) + RUN_CHUNK - 1) / RUN_CHUNK;
    size_t bytes = (size_t)count * RUN_SUM_BYTES;
    if (get_u64(row + 32) == 0)
        return count <= 1 ? 0 : damaged("partition", "its chunk sums are missing", err);
    uint32_t *sums = mem_alloc(bytes);
    if (!sums)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = read_at(reader->fd, sums, bytes, get_u64(row + 32), "chunk sums", err);
    if (rc == 0 && crc32c(0, sums, bytes) != get_u32(row + 44))
        rc = damaged("chunk sums", "they are damaged", err);
    if (rc != 0) {
        mem_free(sums);
        return rc;
    }
    *ret_sums = sums;
    return 0;
}

int run_reader_piece(const struct run_reader *reader, uint32_t partition, struct run_piece *ret,
                     uint32_t **ret_sums, struct err *err)
{
    uint8_t row[RUN_ROW_BYTES];
    *ret_sums = NULL;
    if (partition >= reader->partitions)
        return err_set(err, ERR_CORRUPT, "map output has %u partitions, not one of number %u",
                       reader->partitions, partition);
    int rc = read_at(reader->fd, row, sizeof(row),
                     reader->index_off + (uint64_t)partition * RUN_ROW_BYTES, "index", err);
    if (rc != 0)
        return rc;
    uint64_t offset = get_u64(row), len = get_u64(row + 8);
    if (!sum_fits(row, sizeof(row)) || offset > reader->index_off ||
        len > reader->index_off - offset)
        return damaged("index", "its row is damaged", err);
    rc = load_sums(reader, row, ret_sums, err);
    if (rc != 0)
        return rc;
    *ret = (struct run_piece){.fd = reader->fd,
                              .offset = offset,
                              .len = len,
                              .records = get_u64(row + 16),
                              .crc = get_u32(row + 40),
                              .sums = *ret_sums};
    return 0;
}

bool run_piece_is_good(const struct run_piece *piece, uint64_t at, const uint8_t *data, size_t len)
{
    if (!piece->sums)
        return len == piece->len && crc32c(0, data, len) == piece->crc;
    for (uint64_t chunk = at / RUN_CHUNK; len; chunk++) {
        size_t n = len < RUN_CHUNK ? len : RUN_CHUNK;
        if (crc32c(0, data, n) != piece->sums[chunk])
            return false;
        data += n;
        len -= n;
    }
    return true;
}

static int fail(struct piece_cursor *c, int code, const char *what)
{
    c->is_bad = true;
    return err_set(c->err, code, "%s: %s", c->name, what);
}

/* A buffer of our own for a record that the borrowed one cannot hold beside a chunk. */
static int grow(struct piece_cursor *c, uint64_t need)
{
    if (need > c->record_max) {
        char text[32];
        c->is_bad = true;
        return err_set(c->err, ERR_TOOBIG,
                       "%s: a record of %s is more than this task can hold: give it more memory",
                       c->name, str_human(need, text, sizeof(text)));
    }
    size_t left = (size_t)(c->end - c->pos), cap = (size_t)need + 2 * RUN_CHUNK;
    uint8_t *wider = mem_alloc(cap);
    if (!wider)
        return fail(c, ERR_NOMEM, "out of memory");
    memcpy(wider, c->pos, left);
    if (c->owns_buf)
        mem_free(c->buf);
    c->buf = wider;
    c->cap = cap;
    c->owns_buf = true;
    c->pos = wider;
    c->end = wider + left;
    return 0;
}

/* Move what is left to the front and read whole chunks behind it. */
static int refill(struct piece_cursor *c, uint64_t need)
{
    size_t left = (size_t)(c->end - c->pos);
    uint64_t rest = c->piece.len - c->read;
    if (c->piece.fd < 0 || rest == 0)
        return fail(c, ERR_CORRUPT, "map output ends within a record");
    if (need + RUN_CHUNK > c->cap || left + RUN_CHUNK > c->cap) {
        int rc = grow(c, need > left ? need : left + 1);
        if (rc != 0)
            return rc;
    } else if (left && c->pos != c->buf) {
        memmove(c->buf, c->pos, left);
    }
    size_t n = (c->cap - left) / RUN_CHUNK * RUN_CHUNK;
    if (n > rest)
        n = (size_t)rest;
    int rc = read_at(c->piece.fd, c->buf + left, n, c->piece.offset + c->read, c->name, c->err);
    c->is_bad = rc != 0;
    if (rc != 0)
        return rc;
    if (!run_piece_is_good(&c->piece, c->read, c->buf + left, n))
        return fail(c, ERR_CORRUPT, "map output is damaged: checksum mismatch");
    c->read += n;
    c->pos = c->buf;
    c->end = c->buf + left + n;
    return 0;
}

static int piece_next(struct run_cursor *cursor)
{
    struct piece_cursor *c = CONTAINER_OF(cursor, struct piece_cursor, cursor);
    for (;;) {
        uint64_t need = 0;
        const uint8_t *after =
            c->pos == c->end ? NULL
                             : record_parse(c->pos, c->end, &cursor->key, &cursor->value, &need);
        if (__builtin_expect(after != NULL, 1)) {
            cursor->raw = slice_of(c->pos, (size_t)(after - c->pos));
            cursor->prefix = key_prefix(cursor->key);
            c->pos = after;
            c->seen++;
            return 1;
        }
        if (c->pos == c->end && c->read == c->piece.len)
            return c->seen == c->piece.records
                       ? 0
                       : fail(c, ERR_CORRUPT, "map output has another number of records than said");
        if (need == UINT64_MAX)
            return fail(c, ERR_CORRUPT, "map output holds what is no record");
        int rc = refill(c, need);
        if (rc != 0)
            return rc;
    }
}

void piece_cursor_open(struct piece_cursor *c, const struct run_piece *piece,
                       const struct piece_conf *conf)
{
    *c = (struct piece_cursor){.cursor = {.next = piece_next},
                               .piece = *piece,
                               .buf = conf->buffer,
                               .cap = conf->buffer_size,
                               .record_max = conf->record_max,
                               .name = conf->name,
                               .err = conf->err};
    if (piece->fd < 0) {
        c->pos = piece->data;
        c->end = piece->len ? piece->data + piece->len : piece->data;
        c->read = piece->len;
    } else {
        c->pos = c->end = c->buf;
    }
}

void piece_cursor_close(struct piece_cursor *c)
{
    if (c->owns_buf)
        mem_free(c->buf);
    c->owns_buf = false;
}
