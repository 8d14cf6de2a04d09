/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/writer.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/disk.h"

#define NO_SUMS UINT64_MAX

static void release(struct run_writer *w)
{
    mem_free(w->parts);
    mem_free(w->sums_at);
    buf_release(&w->sums);
    w->parts = NULL;
    w->sums_at = NULL;
}

/* A packed run's frame in the making is the last part of the buffer. */
static void lay_out(struct run_writer *w)
{
    w->out = w->buf;
    w->out_cap = w->cap - PACK_FRAME;
    w->out_fill = w->fill;
    w->buf += w->out_cap;
    w->cap = PACK_FRAME;
    w->fill = w->summed = 0;
}

int run_writer_open(struct run_writer *w, const struct run_target *target, uint32_t partitions,
                    struct err *err)
{
    *w = (struct run_writer){
        .fd = target->fd,
        .buf = target->buffer,
        .cap = target->buffer_size,
        .limit = target->limit,
        .partitions = partitions,
        .full_shift = crc32c_shift(RUN_CHUNK),
        .parts = mem_calloc(partitions ? partitions : 1, sizeof(*w->parts)),
        .sums_at = mem_calloc(partitions ? partitions : 1, sizeof(*w->sums_at)),
        .packing = target->packing,
    };
    if (!w->parts || !w->sums_at) {
        release(w);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    w->is_packed = w->packing && run_packing_decide(w->packing);
    uint8_t *head = w->buf;
    memset(head, 0, RUN_HEADER_BYTES);
    put_u32(head, RUN_MAGIC);
    put_u32(head + 4, RUN_VERSION);
    put_u32(head + 8, partitions);
    put_u32(head + 12, RUN_CHUNK);
    put_u32(head + 16, w->is_packed ? RUN_PACKED : 0);
    put_u32(head + 28, crc32c(0, head, 28));
    w->fill = w->summed = RUN_HEADER_BYTES;
    w->parts[0].offset = RUN_HEADER_BYTES;
    if (w->is_packed)
        lay_out(w);
    return 0;
}

/* The chunk in hand is full, or its partition ends: note its sum and add it to the partition's. */
static void end_chunk(struct run_writer *w)
{
    struct run_part *part = &w->parts[w->current];
    uint32_t shift = w->chunk_len == RUN_CHUNK ? w->full_shift : crc32c_shift(w->chunk_len);
    part->crc = crc32c_join(part->crc, w->chunk_crc, shift);
    part->len += w->chunk_len;
    buf_append_u32(&w->sums, w->chunk_crc);
    w->chunk_crc = w->chunk_len = 0;
}

/* The partition's next bytes, as they are stored. */
static void sum(struct run_writer *w, const uint8_t *bytes, size_t len)
{
    while (len) {
        size_t n = len, room = RUN_CHUNK - w->chunk_len;
        if (n > room)
            n = room;
        w->chunk_crc = crc32c(w->chunk_crc, bytes, n);
        w->chunk_len += (uint32_t)n;
        bytes += n;
        len -= n;
        if (w->chunk_len == RUN_CHUNK)
            end_chunk(w);
    }
}

static void put_out(struct run_writer *w, const void *bytes, size_t len)
{
    if (w->failed)
        return;
    uint64_t start = w->packing ? clock_mono_us() : 0;
    if (len > w->limit || w->off > w->limit - len)
        w->failed = ERR_NOSPC;
    else
        w->failed = disk_pwrite(disk_real(), w->fd, bytes, len, w->off);
    w->off += len;
    if (w->packing)
        run_packing_wrote(w->packing, len, clock_mono_us() - start);
}

/* --- packed ---------------------------------------------------------------------------------- */

static void put_out_frames(struct run_writer *w)
{
    put_out(w, w->out, w->out_fill);
    w->out_fill = 0;
}

static size_t pack_measured(struct run_packing *packing, struct slice plain, uint8_t *room)
{
    uint64_t start = clock_mono_us();
    size_t n = pack_frame_make(plain, room);
    run_packing_packed(packing, plain.len, n, clock_mono_us() - start);
    return n;
}

static void end_frame(struct run_writer *w)
{
    if (w->fill == 0)
        return;
    if (w->out_cap - w->out_fill < PACK_ROOM)
        put_out_frames(w);
    uint8_t *at = w->out + w->out_fill;
    size_t n = pack_measured(w->packing, slice_of(w->buf, w->fill), at);
    sum(w, at, n);
    w->out_fill += n;
    w->parts[w->current].plain_bytes += w->fill;
    w->fill = 0;
}

/* Bytes that go among the frames as they are. */
static void put_among_frames(struct run_writer *w, const uint8_t *bytes, size_t len)
{
    while (len) {
        if (w->out_fill == w->out_cap)
            put_out_frames(w);
        size_t room = w->out_cap - w->out_fill, n = len < room ? len : room;
        memcpy(w->out + w->out_fill, bytes, n);
        sum(w, bytes, n);
        w->out_fill += n;
        bytes += n;
        len -= n;
    }
}

/* What it would be, packed: the records that begin `buf`, which are written, into the rest of it.
 */
static void take_sample(struct run_writer *w)
{
    if (w->packing && w->fill >= 2 * PACK_ROOM && run_packing_wants_sample(w->packing))
        pack_measured(w->packing,
                      slice_of(w->buf + RUN_HEADER_BYTES, PACK_FRAME - RUN_HEADER_BYTES),
                      w->buf + PACK_FRAME);
}

/* --- records --------------------------------------------------------------------------------- */

static void sum_up(struct run_writer *w)
{
    sum(w, w->buf + w->summed, w->fill - w->summed);
    w->summed = w->fill;
}

static void flush(struct run_writer *w)
{
    if (w->is_packed) {
        end_frame(w);
        put_out_frames(w);
        return;
    }
    sum_up(w);
    put_out(w, w->buf, w->fill);
    take_sample(w);
    w->fill = w->summed = 0;
}

void run_writer_go_on(struct run_writer *w, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    if (w->is_packed) {
        put_among_frames(w, p, len);
        return;
    }
    while (len) {
        size_t n = w->cap - w->fill;
        if (n > len)
            n = len;
        memcpy(w->buf + w->fill, p, n);
        w->fill += n;
        p += n;
        len -= n;
        if (w->fill == w->cap)
            flush(w);
    }
}

/* A frame of its own. */
static void open_long(struct run_writer *w, uint64_t len)
{
    uint8_t head[PACK_HEAD];
    end_frame(w);
    pack_head_plain(head, len);
    put_among_frames(w, head, sizeof(head));
    w->parts[w->current].plain_bytes += len;
}

void run_writer_begin_long(struct run_writer *w, uint64_t len)
{
    w->parts[w->current].records++;
    if (w->is_packed)
        open_long(w, len);
}

/* What does not fit into the rest of the buffer, possibly longer than all of it. */
void run_writer_add_slow(struct run_writer *w, const void *record, size_t len)
{
    if (w->is_packed && len <= PACK_FRAME) {
        end_frame(w);
        memcpy(w->buf, record, len);
        w->fill = len;
        return;
    }
    if (w->is_packed)
        open_long(w, len);
    run_writer_go_on(w, record, len);
}

void run_writer_end_partition(struct run_writer *w, uint64_t raw_bytes)
{
    struct run_part *part = &w->parts[w->current];
    if (w->is_packed)
        end_frame(w);
    else
        sum_up(w);
    if (w->chunk_len)
        end_chunk(w);
    if (!w->is_packed)
        part->plain_bytes = part->len;
    part->raw_bytes = raw_bytes;
    if (w->sums.len - w->part_sums <= RUN_SUM_BYTES)
        w->sums.len = w->part_sums;
    w->sums_at[w->current] = w->sums.len == w->part_sums ? NO_SUMS : w->part_sums;
    w->part_sums = w->sums.len;
    w->current++;
    if (w->current < w->partitions)
        w->parts[w->current].offset = w->off + (w->is_packed ? w->out_fill : w->fill);
}

static size_t sums_bytes(uint64_t part_len)
{
    return (size_t)((part_len + RUN_CHUNK - 1) / RUN_CHUNK) * RUN_SUM_BYTES;
}

static void append_row(const struct run_writer *w, uint32_t p, uint64_t sums_off, struct buf *out)
{
    const struct run_part *part = &w->parts[p];
    bool has_sums = w->sums_at[p] != NO_SUMS;
    size_t at = out->len;
    buf_append_u64(out, part->offset);
    buf_append_u64(out, part->len);
    buf_append_u64(out, part->records);
    buf_append_u64(out, part->raw_bytes);
    buf_append_u64(out, has_sums ? sums_off + w->sums_at[p] : 0);
    buf_append_u32(out, part->crc);
    buf_append_u32(out,
                   has_sums ? crc32c(0, w->sums.data + w->sums_at[p], sums_bytes(part->len)) : 0);
    buf_append_u32(out, 0);
    buf_append_u32(out,
                   buf_failed(out) ? 0 : crc32c(0, out->data + at, RUN_ROW_BYTES - RUN_SUM_BYTES));
}

/* Index and footer; `sums_off` is where the sums went, which they follow. */
static void make_tail(const struct run_writer *w, uint64_t sums_off, struct buf *out)
{
    uint64_t index_off = sums_off + w->sums.len;
    for (uint32_t p = 0; p < w->partitions; p++)
        append_row(w, p, sums_off, out);
    size_t at = out->len;
    buf_append_u64(out, index_off);
    buf_append_u64(out, index_off + at + RUN_FOOTER_BYTES);
    buf_append_u32(out, w->partitions);
    buf_append_u32(out, RUN_CHUNK);
    buf_append_u32(out, RUN_MAGIC_END);
    buf_append_u32(
        out, buf_failed(out) ? 0 : crc32c(0, out->data + at, RUN_FOOTER_BYTES - RUN_SUM_BYTES));
}

int run_writer_close(struct run_writer *w, struct run_part **ret_parts, uint64_t *ret_len,
                     struct err *err)
{
    struct buf tail = BUF_INIT;
    while (w->current < w->partitions)
        run_writer_end_partition(w, 0);
    flush(w);
    make_tail(w, w->off, &tail);
    if (buf_failed(&tail) || buf_failed(&w->sums))
        w->failed = ERR_NOMEM;
    put_out(w, w->sums.data, w->sums.len);
    put_out(w, tail.data, tail.len);
    int rc = w->failed;
    if (rc == 0) {
        *ret_len = w->off;
        *ret_parts = w->parts;
        w->parts = NULL;
    } else {
        err_set(err, rc, "cannot write map output: %s", err_text(rc));
    }
    buf_release(&tail);
    release(w);
    return rc;
}

void run_writer_abort(struct run_writer *w)
{
    release(w);
}
