/* SPDX-License-Identifier: Apache-2.0
 * sumfile: the bytes of a block's checksum file, `blk_<id>_<stamp>.meta`. Little-endian.
 *
 *      0  u32 magic "QSUM"     16  u64 stamp             512  mark 0, in a sector of its own
 *      4  u16 version (1)      24  u32 chunk (512)      1024  mark 1, likewise
 *      6  u16 zero             28  u32 sums_off (1536)  1536  u32 sums[]: CRC32C of each chunk of
 *      8  u64 block id         32  u32 crc32c of 0..31        the block; the last may be short
 *
 *   mark: 0 u32 magic "QSYN"  4 u32 tail_sum  8 u64 len  16 u64 number  24 u32 crc32c of 0..23
 *
 * The header is written once and never changed: a block that gets a new stamp gets a new checksum
 * file. It names block and stamp, so a file under the wrong name is seen.
 *
 * Why marks: the sum of the block's last, partial chunk is overwritten when the chunk grows. A
 * crash in between can leave new sum and old bytes, and with them lose bytes that an earlier hsync
 * had promised. So each hsync that ends in a partial chunk notes (len, sum of that chunk's bytes)
 * in a mark, the two taking turns, before its fsync. The chunk's earlier bytes never change, so the
 * note stays true.
 *
 * Recovery rule (settle.h): a block is as long as its chunks, one after the other, agree with
 * sums[]; the first that does not may still be good up to where a prefix of it agrees with its own
 * sum, or with that of a mark that ends inside it. */
#ifndef QUERN_DN_STORAGE_SUMFILE_H
#define QUERN_DN_STORAGE_SUMFILE_H

#include "libcommon/base/slice.h"

#define DN_SUM_CHUNK       512U
#define DN_SUM_BYTES       4U
#define DN_SUM_OFF         1536U /* where the sums begin */
#define DN_SUM_MARK_BYTES  28U
#define DN_SUM_MARK_OFF(n) (512U * (1U + (n)))
#define DN_SUM_MARKS       2U

struct dn_sum_mark {
    uint64_t len;    /* of the block, synced */
    uint64_t number; /* the greater one is the younger */
    uint32_t tail_sum;
};

/* Place of the sum of the chunk that begins at `off`. */
static inline uint64_t dn_sum_place(uint64_t off)
{
    return DN_SUM_OFF + off / DN_SUM_CHUNK * DN_SUM_BYTES;
}

/* The whole of header and marks, DN_SUM_OFF bytes. */
void dn_sum_head_encode(uint64_t id, uint64_t gs, uint8_t out[DN_SUM_OFF]);
/* 0; ERR_CORRUPT (no checksum file, or damaged); ERR_VERSION; ERR_STALE: that of another block or
 * stamp. `id` and `gs` are what it should be; ret_sums_off may differ in later versions. */
int dn_sum_head_check(const uint8_t *head, size_t len, uint64_t id, uint64_t gs,
                      uint32_t *ret_sums_off);

void dn_sum_mark_encode(const struct dn_sum_mark *mark, uint8_t out[DN_SUM_MARK_BYTES]);
/* False: never written, or damaged. */
bool dn_sum_mark_decode(const uint8_t in[DN_SUM_MARK_BYTES], struct dn_sum_mark *ret);

/* Names of a block's two files in a directory, as heap strings. */
struct dn_block_paths {
    char *data, *sums;
};
int dn_block_paths_make(const char *dir, uint64_t id, uint64_t gs, struct dn_block_paths *ret);
char *dn_block_paths_dir(const struct dn_block_paths *paths); /* heap; NULL when memory is out */
void dn_block_paths_release(struct dn_block_paths *paths);

/* What a file name in a block directory says. False: it is none of ours. */
enum dn_name_kind {
    DN_NAME_DATA,
    DN_NAME_SUMS,
    DN_NAME_UNFINISHED /* of an interrupted restamp */
};
bool dn_block_name_parse(const char *name, enum dn_name_kind *ret_kind, uint64_t *ret_id,
                         uint64_t *ret_gs);

#endif
