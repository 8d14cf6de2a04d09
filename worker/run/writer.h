/* SPDX-License-Identifier: Apache-2.0
 * writer: a run, the file a map leaves behind: partitions one after another, each a sorted sequence
 * of records, with an index and checksums. Spills have the same form. Little-endian:
 *
 *   0    header   0 "QRN1"  4 u32 version 1  8 u32 partitions  12 u32 bytes per chunk
 *                 16 u32 flags (RUN_PACKED)  20 u32 zero  24 u32 zero  28 u32 crc32c of bytes 0..27
 *   32   the records (record.h) of partition 0, then of partition 1, ... with nothing between
 *   ...  chunk sums: of each partition longer than one chunk a u32 crc32c per chunk, counted from
 *        the partition's first byte; the last chunk may be short
 *   ...  index: per partition
 *                  0 u64 offset   8 u64 length  16 u64 records  24 u64 bytes before combining
 *                 32 u64 offset of its chunk sums (0 = one chunk: the sum below is its sum)
 *                 40 u32 crc32c of the whole partition   44 u32 crc32c of its chunk sums (0 if
 * none) 48 u32 zero                            52 u32 crc32c of bytes 0..51
 *   ...  footer   0 u64 offset of the index  8 u64 length of the file  16 u32 partitions
 *                 20 u32 bytes per chunk  24 "QRNE"  28 u32 crc32c of bytes 0..27
 *
 * Of a run that is packed the partitions are frames (pack.h) with the records in them. All of the
 * above is then said of the frames, as they lie there: lengths, chunks, sums. So whoever moves
 * partitions about needs not know, but for telling on that they are packed.
 *
 * A reader needs the last 32 bytes, then only its own row of the index and its own sums. A run is
 * whole or worthless: nothing in it is repaired. A footer that is missing or wrong (a torn file), a
 * row or a chunk whose sum differs: ERR_CORRUPT, and the map is run again. */
#ifndef QUERN_WORKER_RUN_WRITER_H
#define QUERN_WORKER_RUN_WRITER_H

#include "libcommon/base/buf.h"
#include "worker/run/pack.h"

#define RUN_VERSION      1U
#define RUN_MAGIC        0x314e5251U /* "QRN1" read as little-endian */
#define RUN_MAGIC_END    0x454e5251U /* "QRNE" */
#define RUN_HEADER_BYTES 32U
#define RUN_ROW_BYTES    56U
#define RUN_FOOTER_BYTES 32U
#define RUN_CHUNK        32768U
#define RUN_SUM_BYTES    4U
#define RUN_PACKED       1U

struct run_part {
    uint64_t offset, len, records;
    uint64_t raw_bytes;   /* before combining */
    uint64_t plain_bytes; /* of its records: len, unless it is packed */
    uint32_t crc;
};

/* Private but for the inline functions below. */
struct run_writer {
    int fd;
    uint8_t *buf; /* where records go */
    size_t cap, fill;
    size_t summed; /* of a run that is not packed: bytes of buf that are summed up */
    uint8_t *out;  /* of one that is: frames; buf is the frame in the making */
    size_t out_cap, out_fill;
    uint64_t off; /* of buf[0], or out[0], in the file */
    uint64_t limit;
    struct run_part *parts;
    uint32_t partitions, current;
    uint32_t chunk_crc, chunk_len, full_shift;
    struct buf sums;   /* of all partitions so far */
    size_t part_sums;  /* where this partition's begin */
    uint64_t *sums_at; /* per partition: index into sums, UINT64_MAX = none */
    int failed;
    bool is_packed;
    struct run_packing *packing;
};

struct run_target {
    int fd;         /* borrowed: an empty file or memfd, written from offset 0 */
    uint64_t limit; /* the run may be so long; UINT64_MAX = as it likes */
    void *buffer;   /* borrowed until close; at least 64 KiB */
    size_t buffer_size;
    struct run_packing *packing; /* whether to pack; learns from what is written. NULL: never */
};

/* On failure nothing needs closing. */
int run_writer_open(struct run_writer *w, const struct run_target *target, uint32_t partitions,
                    struct err *err);
/* Partitions are ended in order, once each, empty ones too. */
void run_writer_end_partition(struct run_writer *w, uint64_t raw_bytes);
/* Ends what was not ended, writes sums, index and footer. *ret_parts (one per partition) is given:
 * mem_free. Frees the writer in every case. ERR_NOSPC: full, or over the limit; else as pwrite. */
int run_writer_close(struct run_writer *w, struct run_part **ret_parts, uint64_t *ret_len,
                     struct err *err);
void run_writer_abort(struct run_writer *w);

void run_writer_add_slow(struct run_writer *w, const void *record, size_t len);

/* A record of `len` bytes, more than PACK_FRAME, of which the bytes come in steps. */
void run_writer_begin_long(struct run_writer *w, uint64_t len);
void run_writer_go_on(struct run_writer *w, const void *bytes, size_t len);

/* Has anything failed already? Then the rest may be left out; close tells what it was. */
static inline bool run_writer_has_failed(const struct run_writer *w)
{
    return w->failed != 0;
}

/* One encoded record into the current partition. */
static inline void run_writer_add(struct run_writer *w, const void *record, size_t len)
{
    w->parts[w->current].records++;
    if (__builtin_expect(len > w->cap - w->fill, 0)) {
        run_writer_add_slow(w, record, len);
        return;
    }
    memcpy(w->buf + w->fill, record, len);
    w->fill += len;
}

#endif
