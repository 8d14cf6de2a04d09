/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/reader.h"

#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/codec/lz4.h"
#include "libcommon/store/disk.h"
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

/* ... wherever it is. */
static int get_at(const struct run_reader *reader, void *out, size_t len, uint64_t off,
                  const char *name, struct err *err)
{
    if (!reader->data)
        return read_at(reader->fd, out, len, off, name, err);
    if (off > reader->len || len > reader->len - off)
        return damaged(name, "map output is cut short", err);
    memcpy(out, reader->data + off, len);
    return 0;
}

static bool sum_fits(const uint8_t *bytes, size_t len)
{
    return crc32c(0, bytes, len - RUN_SUM_BYTES) == get_u32(bytes + len - RUN_SUM_BYTES);
}

/* `reader` says where it is and how long. */
static int open_run(struct run_reader *reader, const char *name, struct err *err)
{
    uint64_t len = reader->len;
    uint8_t head[RUN_HEADER_BYTES], foot[RUN_FOOTER_BYTES];
    if (len < sizeof(head) + sizeof(foot))
        return damaged(name, "map output is cut short", err);
    int rc = get_at(reader, head, sizeof(head), 0, name, err);
    if (rc == 0)
        rc = get_at(reader, foot, sizeof(foot), len - sizeof(foot), name, err);
    if (rc != 0)
        return rc;
    if (get_u32(head) != RUN_MAGIC || !sum_fits(head, sizeof(head)))
        return damaged(name, "not a map output, or its header is damaged", err);
    if (get_u32(head + 4) != RUN_VERSION || (get_u32(head + 16) & ~RUN_PACKED) != 0)
        return err_set(err, ERR_VERSION, "%s: map output of version %u, this program reads %u",
                       name, get_u32(head + 4), RUN_VERSION);
    if (get_u32(foot + 24) != RUN_MAGIC_END || !sum_fits(foot, sizeof(foot)) ||
        get_u64(foot + 8) != len || get_u32(foot + 16) != get_u32(head + 8) ||
        get_u32(foot + 20) != RUN_CHUNK || get_u32(head + 12) != RUN_CHUNK)
        return damaged(name, "map output has no footer, or a damaged one", err);
    reader->index_off = get_u64(foot);
    reader->partitions = get_u32(foot + 16);
    reader->is_packed = get_u32(head + 16) & RUN_PACKED;
    if (reader->index_off > len ||
        (len - reader->index_off - RUN_FOOTER_BYTES) / RUN_ROW_BYTES != reader->partitions)
        return damaged(name, "map output has an index of the wrong size", err);
    return 0;
}

int run_reader_open(struct run_reader *reader, int fd, uint64_t len, const char *name,
                    struct err *err)
{
    struct run_reader made = {.fd = fd, .len = len};
    int rc = open_run(&made, name, err);
    if (rc == 0)
        *reader = made;
    return rc;
}

int run_reader_open_memory(struct run_reader *reader, struct slice run, const char *name,
                           struct err *err)
{
    struct run_reader made = {.fd = -1, .data = run.data, .len = run.len};
    int rc = open_run(&made, name, err);
    if (rc == 0)
        *reader = made;
    return rc;
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
    int rc = get_at(reader, sums, bytes, get_u64(row + 32), "chunk sums", err);
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
    int rc = get_at(reader, row, sizeof(row),
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
                              .data = reader->data ? reader->data + offset : NULL,
                              .offset = offset,
                              .len = len,
                              .records = get_u64(row + 16),
                              .crc = get_u32(row + 40),
                              .sums = *ret_sums,
                              .is_packed = reader->is_packed};
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

/* --- long records ---------------------------------------------------------------------------- */

void run_cursor_let_go(const void *data, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)data + len) / page * page;
    if (to > from) /* a hint only */
        (void)madvise((void *)from, to - from, MADV_DONTNEED);
}

static void let_go_if_mapped(const struct run_cursor *c, const uint8_t *data, size_t len)
{
    if (c && c->is_mapped)
        run_cursor_let_go(data, len);
}

/* memcmp of a.key and the key of b (or `key`, when b is NULL), by steps. */
static int compare_by_steps(const struct run_cursor *a, const struct run_cursor *b,
                            struct slice key, size_t len)
{
    for (size_t at = 0; at < len; at += RUN_STEP) {
        size_t n = len - at < RUN_STEP ? len - at : RUN_STEP;
        int order = memcmp(a->key.data + at, key.data + at, n);
        let_go_if_mapped(a, a->key.data + at, n);
        let_go_if_mapped(b, key.data + at, n);
        if (order != 0)
            return order;
    }
    return 0;
}

int run_cursor_cmp(const struct key_order *order, const struct run_cursor *a,
                   const struct run_cursor *b)
{
    bool is_plain = order->compare || (!a->is_mapped && !b->is_mapped);
    if (__builtin_expect(is_plain, 1))
        return key_cmp(order, a->key, b->key);
    size_t least = a->key.len < b->key.len ? a->key.len : b->key.len;
    int c = compare_by_steps(a, b, b->key, least);
    return c != 0 ? c : (a->key.len > b->key.len) - (a->key.len < b->key.len);
}

bool run_cursor_has_key(const struct run_cursor *cursor, struct slice key)
{
    if (!cursor->is_mapped)
        return slice_eq(cursor->key, key);
    return cursor->key.len == key.len && compare_by_steps(cursor, NULL, key, key.len) == 0;
}

/* Read chunks [from, to) of the piece through the buffer, for their sums only. */
static int check_chunks(struct piece_cursor *c, uint64_t from, uint64_t to)
{
    size_t n = c->cap / RUN_CHUNK * RUN_CHUNK;
    for (; from < to; from += n) {
        if (n > to - from)
            n = (size_t)(to - from);
        int rc = read_at(c->piece.fd, c->buf, n, c->piece.offset + from, c->name, c->err);
        c->is_bad = rc != 0;
        if (rc != 0)
            return rc;
        if (!run_piece_is_good(&c->piece, from, c->buf, n))
            return fail(c, ERR_CORRUPT, "map output is damaged: checksum mismatch");
    }
    return 0;
}

static int too_long(struct piece_cursor *c, uint64_t need)
{
    char text[32];
    c->is_bad = true;
    return err_set(c->err, ERR_TOOBIG,
                   "%s: a record of %s is more than a quarter of this task's memory: -D "
                   "mapreduce.reduce.memory.mb=%llu would do",
                   c->name, str_human(need, text, sizeof(text)),
                   (unsigned long long)record_memory_mb(need));
}

/* The record of `need` bytes that begins with what is left in the buffer. */
static int map_record(struct piece_cursor *c, uint64_t need)
{
    uint64_t at = c->read - (uint64_t)(c->end - c->pos), end = at + need;
    uint64_t chunks = (end + RUN_CHUNK - 1) / RUN_CHUNK * RUN_CHUNK;
    if (need > c->record_max)
        return too_long(c, need);
    if (need > c->piece.len - at)
        return fail(c, ERR_CORRUPT, "map output ends within a record");
    int rc =
        check_chunks(c, at / RUN_CHUNK * RUN_CHUNK, chunks < c->piece.len ? chunks : c->piece.len);
    if (rc != 0)
        return rc;
    size_t before = (size_t)((c->piece.offset + at) % (uint64_t)sysconf(_SC_PAGESIZE));
    void *map = mmap(NULL, before + (size_t)need, PROT_READ, MAP_SHARED, c->piece.fd,
                     (off_t)(c->piece.offset + at - before));
    if (map == MAP_FAILED)
        return fail(c, ERR_NOMEM, "a long record cannot be mapped");
    c->map = map;
    c->map_len = before + (size_t)need;
    c->pos = (uint8_t *)map + before;
    c->end = c->pos + need;
    c->read = end;
    c->cursor.is_mapped = true;
    return 0;
}

/* On from the long record: what follows it is read from the beginning of its chunk. */
static void leave_map(struct piece_cursor *c)
{
    munmap(c->map, c->map_len);
    c->map = NULL;
    c->cursor.is_mapped = false;
    c->pos = c->end = c->frames = c->frames_end = c->buf;
    c->skip = c->read == c->piece.len ? 0 : (size_t)(c->read % RUN_CHUNK);
    c->read -= c->skip;
}

/* --- walking --------------------------------------------------------------------------------- */

/* Ask for what comes next while the processor is at what came. The first stretch is short, since
 * all cursors of a merge ask at once and wait for it; then each is twice the one before. Left to
 * the kernel, it would go on behind the piece's end, into what others merge, much later. */
static void read_ahead(struct piece_cursor *c)
{
    if (c->asked < c->read)
        c->asked = c->read;
    if (c->ahead_max == 0 || c->asked >= c->read + c->ahead / 2 || c->asked == c->piece.len)
        return;
    uint64_t rest = c->piece.len - c->asked, len = c->read + c->ahead - c->asked;
    if (len > rest)
        len = rest;
    disk_read_soon(disk_real(), c->piece.fd, c->piece.offset + c->asked, len);
    c->asked += len;
    c->ahead = 2 * c->ahead < c->ahead_max ? 2 * c->ahead : c->ahead_max;
}

static int read_timed(struct piece_cursor *c, void *out, size_t len)
{
    uint64_t start = c->read_us ? clock_mono_us() : 0;
    int rc = read_at(c->piece.fd, out, len, c->piece.offset + c->read, c->name, c->err);
    if (c->read_us)
        *c->read_us += clock_mono_us() - start;
    return rc;
}

/* Move what is left to the front and read whole chunks behind it. */
static int refill(struct piece_cursor *c, uint64_t need)
{
    size_t left = (size_t)(c->end - c->pos);
    uint64_t rest = c->piece.len - c->read;
    if (c->piece.fd < 0 || rest == 0)
        return fail(c, ERR_CORRUPT, "map output ends within a record");
    if (need + RUN_CHUNK > c->cap)
        return map_record(c, need);
    if (left && c->pos != c->buf)
        memmove(c->buf, c->pos, left);
    size_t n = (c->cap - left) / RUN_CHUNK * RUN_CHUNK;
    if (n > rest)
        n = (size_t)rest;
    int rc = read_timed(c, c->buf + left, n);
    c->is_bad = rc != 0;
    if (rc != 0)
        return rc;
    if (!run_piece_is_good(&c->piece, c->read, c->buf + left, n))
        return fail(c, ERR_CORRUPT, "map output is damaged: checksum mismatch");
    c->read += n;
    read_ahead(c);
    c->pos = c->buf + c->skip;
    c->end = c->buf + left + n;
    c->skip = 0;
    return 0;
}

/* At least `need` bytes of frames. */
static int have(struct piece_cursor *c, uint64_t need)
{
    int rc = 0;
    while (rc == 0 && (uint64_t)(c->end - c->pos) < need)
        rc = refill(c, need);
    return rc;
}

/* The frame at hand: the records become what is to be parsed. */
static int open_frame(struct piece_cursor *c, const struct pack_frame *frame)
{
    int rc = have(c, frame->stored);
    if (rc != 0)
        return rc;
    const uint8_t *stored = c->pos;
    c->frames = c->pos + frame->stored;
    c->frames_end = c->end;
    c->pos = frame->is_as_it_is ? stored : c->unpacked;
    c->end = c->pos + frame->plain;
    if (!frame->is_as_it_is &&
        lz4_decode(slice_of(stored, (size_t)frame->stored), c->unpacked, (size_t)frame->plain) != 0)
        return fail(c, ERR_CORRUPT, "map output cannot be unpacked");
    return 0;
}

/* Of a packed piece: on to the next frame. Until it is open, what is at hand are frames. */
static int next_frame(struct piece_cursor *c)
{
    struct pack_frame frame;
    if (c->pos != c->end)
        return fail(c, ERR_CORRUPT, "map output holds what is no record");
    c->pos = c->frames;
    c->end = c->frames_end;
    int rc = have(c, PACK_HEAD);
    if (rc != 0)
        return rc;
    if (!pack_head_read(c->pos, &frame))
        return fail(c, ERR_CORRUPT, "map output holds what is no frame");
    c->pos += PACK_HEAD;
    return open_frame(c, &frame);
}

static bool is_at_end(const struct piece_cursor *c)
{
    return c->pos == c->end && c->frames == c->frames_end && c->read == c->piece.len;
}

static int piece_next(struct run_cursor *cursor)
{
    struct piece_cursor *c = CONTAINER_OF(cursor, struct piece_cursor, cursor);
    if (__builtin_expect(c->map != NULL, 0)) {
        if (c->pos != c->end)
            return fail(c, ERR_CORRUPT, "map output holds more than a record in a long frame");
        leave_map(c);
    }
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
            __builtin_prefetch(after + 64); /* by its next turn, a merge of many is elsewhere */
            __builtin_prefetch(after + 128);
            return 1;
        }
        if (is_at_end(c))
            return c->seen == c->piece.records
                       ? 0
                       : fail(c, ERR_CORRUPT, "map output has another number of records than said");
        if (need == UINT64_MAX)
            return fail(c, ERR_CORRUPT, "map output holds what is no record");
        int rc = c->piece.is_packed ? next_frame(c) : refill(c, need);
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
                               .err = conf->err,
                               .read_us = conf->read_us,
                               .ahead = conf->buffer_size,
                               .ahead_max = conf->ahead_max};
    if (piece->fd < 0) {
        c->pos = piece->data;
        c->end = piece->len ? piece->data + piece->len : piece->data;
        c->read = piece->len;
    } else {
        c->pos = c->end = c->buf;
        read_ahead(c);
    }
    if (piece->is_packed) {
        c->cap -= PACK_FRAME;
        c->unpacked = c->buf + c->cap;
        c->frames = c->pos;
        c->frames_end = c->end;
        c->pos = c->end = c->buf;
    }
}

void piece_cursor_close(struct piece_cursor *c)
{
    if (c->map)
        leave_map(c);
}
