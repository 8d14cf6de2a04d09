/* SPDX-License-Identifier: Apache-2.0
 * walfile: the bytes of one segment of the record log (wal.h), and one record at a time. Pure: no
 * disk, no allocation but the buf it is given.
 *
 * Segment `log.<first index, 12 digits or more>`, little-endian:
 *
 *        0  u32 magic "QSEG"      u32 version (1)
 *        8  u64 wal id            the same in all files of one log
 *       16  u64 first index
 *       24  u64 term of the record before the first (0: there is none)
 *       32  u32 crc of the record before the first; of the very first: CRC32C of the wal id
 *       36  zeros
 *       60  u32 CRC32C of bytes 0..59
 *     4096  records; what follows the last is zero to the end of the allocated file
 *
 * Record, at a multiple of 8:
 *
 *        0  u32 magic "QREC"      u32 length of the payload
 *        8  u64 index             one more than that of the record before
 *       16  u64 term
 *       24  u16 type (not 0)      u16 flags
 *       28  u32 crc of the record before (so records cannot be exchanged or left out)
 *       32  payload
 *        n  u32 CRC32C of all before it, then zeros up to a multiple of 8
 *
 * flags: bits 0..13 are the record's place in its batch (its group commit), from 0; bit 14 is set
 * on the last of a batch, after which zeros follow up to a multiple of 4096, so that a batch never
 * shares a sector (or a page) with one that was acknowledged before. Bit 15 is zero.
 *
 * Torn or rotten
 *   The next batch is written only after the one before was synced in this directory. So when the
 *   record expected at some place is not whole and right, everything hangs on whether it was ever
 *   durable. It was, if its index is at or below the watermark (walmark.h), or if any whole record
 *   behind it belongs to a batch that began later (index - place > the bad index), or if a later
 *   segment exists (it is named only after all before it is synced). Then bytes that the disk had
 *   accepted are gone: rot, and nothing may be cut. Otherwise the bad record is of the last batch,
 *   which nobody was told about: torn, and the log ends before it. A whole record with a wrong
 * index or chain is never what a crash leaves. */
#ifndef QUERN_STORE_WALFILE_H
#define QUERN_STORE_WALFILE_H

#include "libcommon/store/wal.h"

#define WALFILE_BLOCK       4096U
#define WALFILE_RECORD_HEAD 32U
#define WALFILE_BATCH_MAX   16384U /* records: what fits the flags */
#define WALFILE_NAME_MAX    32
#define WALFILE_SIZE_MAX    (1ULL << 30)

struct walfile_head {
    uint64_t wal_id;
    uint64_t first_index;
    uint64_t prev_term;
    uint32_t prev_crc;
};

/* "log.000000000042" */
char *walfile_name(char out[WALFILE_NAME_MAX], uint64_t first_index);
/* Is it the name of a segment? */
bool walfile_name_parse(const char *name, uint64_t *ret_first);

void walfile_head_encode(const struct walfile_head *head, uint8_t out[WALFILE_BLOCK]);
/* ERR_CORRUPT, or ERR_VERSION for a later format. */
int walfile_head_decode(struct slice file, struct walfile_head *ret);

/* The chain before the first record of a log. */
uint32_t walfile_chain_start(uint64_t wal_id);

/* Bytes a record takes, padding included. */
size_t walfile_record_size(size_t payload_len);

/* Append a record without flags, chain and checksum: walfile_seal_batch adds them. */
void walfile_append(struct buf *out, const struct wal_record *record);

/* A stretch of appended records that becomes one batch. */
struct walfile_batch {
    size_t bytes;   /* of its records; what follows on disk up to WALFILE_BLOCK is zero */
    size_t records; /* 0 when not even the first one fits */
    uint64_t last_index, last_term;
};
/* Finish as many of the records in data[0..len) as fit into `room` bytes and one batch, continuing
 * `*chain`, which is moved on. */
struct walfile_batch walfile_seal_batch(uint8_t *data, size_t len, uint64_t room, uint32_t *chain);

/* What stands at `off` of a segment. */
struct walfile_at {
    struct wal_record record; /* payload borrows the file */
    uint16_t place;           /* in its batch */
    uint32_t prev_crc, crc;
    uint64_t next_off; /* of the record after it */
};
/* True when the bytes there are a whole record (its own checksum fits). */
bool walfile_read(struct slice file, uint64_t off, struct walfile_at *ret);

/* The first place from `off` (a multiple of 8) on, also a multiple of 8, where the next 8 bytes are
 * not all zero; within 8 bytes of the end when there is none. */
uint64_t walfile_skip_zeros(struct slice file, uint64_t off);

/* Look behind `off` for whole records; the highest index that they prove to have been durable
 * (the one before the latest batch seen), or 0. */
uint64_t walfile_proof_behind(struct slice file, uint64_t off);

/* Make the record at `off` the last of its batch. Changes its checksum, which is returned. */
uint32_t walfile_close_batch(uint8_t *file, uint64_t off);

#endif
