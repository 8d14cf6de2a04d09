/* SPDX-License-Identifier: Apache-2.0
 * crc32c: the checksum of everything we store and send (Castagnoli polynomial, reflected, with the
 * usual inversions: "123456789" gives 0xe3069283, as in iSCSI, ext4 and HDFS). */
#ifndef QUERN_CODEC_CRC32C_H
#define QUERN_CODEC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue `crc` (0 to begin) over `len` more bytes: crc32c(crc32c(0, a), b) is the sum of a
 * followed by b. Any length, any alignment; `data` may be NULL when len is 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

/* The sum of A followed by B from the two sums alone: crc32c_join(a, b, crc32c_shift(B's length)).
 * A shift costs some hundred nanoseconds and may be kept; a join some thirty. */
uint32_t crc32c_shift(uint64_t len);
uint32_t crc32c_join(uint32_t crc_a, uint32_t crc_b, uint32_t shift_b);

#endif
