/* SPDX-License-Identifier: Apache-2.0
 * local_crc: what `get -crc` leaves beside a file: `.NAME.crc`, by which Hadoop's local filesystem
 * finds rotten bytes when it reads the file again.
 *
 *     0  "crc" 0      4  u32 bytes per checksum (512)      8  u32 CRC32 (zlib's) of each 512 bytes
 *
 * all big-endian. Layout and name are Hadoop's. */
#ifndef QUERN_FS_LOCAL_CRC_H
#define QUERN_FS_LOCAL_CRC_H

#include "client/fs/volume.h"

/* For the local file `path` of `volume`, which is read for it. 0 or the code, with `err`. */
int fs_local_crc_write(struct fs_volume *volume, const char *path, struct qn_error *err);

#endif
