/* SPDX-License-Identifier: Apache-2.0
 * checksum: a file's MD5-of-MD5-of-CRC32C, from what its datanodes say of each block. The same
 * bytes with the same block size have the same one here and in Hadoop's filesystem.
 *
 *   bytes  0  u32 bytes per CRC (512)    big-endian, as over there
 *          4  u64 CRCs per block, 0 when the file has one block at most
 *         12  MD5 of the blocks' MD5s, zero-padded to 32, 64, 128 ... bytes (the size their buffer
 *             happens to have: part of the definition since the first release) */
#ifndef QUERN_CLIENT_CHECKSUM_H
#define QUERN_CLIENT_CHECKSUM_H

#include <quern/fs.h>

#define CL_CHECKSUM_BYTES 28

struct cl_checksum {
    uint32_t bytes_per_crc; /* 0: the file is empty */
    uint64_t crcs_per_block;
    uint8_t bytes[CL_CHECKSUM_BYTES];
};

int cl_file_checksum(struct qn_fs *fs, const char *path, struct cl_checksum *ret,
                     struct qn_error *err);

/* From the MD5s of `count` blocks (16 bytes each). Pure. 0 or ERR_NOMEM. */
int cl_checksum_combine(const uint8_t *md5s, size_t count, uint64_t block_size,
                        struct cl_checksum *ret);
/* "MD5-of-0MD5-of-512CRC32C" */
char *cl_checksum_name(const struct cl_checksum *sum, char *out, size_t cap);

#endif
