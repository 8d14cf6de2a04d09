/* SPDX-License-Identifier: Apache-2.0
 * identity: who this datanode is, whatever its address, and the highest term it has obeyed. Kept in
 * every volume as current/node, so that it goes where the blocks go:
 *
 *     node=9f03a2c41d7be650
 *     term=17
 *     check=1b8a0c44
 *
 * `check` is the CRC32C, in hex, of all bytes before its line. The file is replaced whole; anything
 * that does not check is damage, and is refused. */
#ifndef QUERN_DN_STORAGE_IDENTITY_H
#define QUERN_DN_STORAGE_IDENTITY_H

#include "libcommon/store/version.h"

struct dn_identity {
    char node_id[VERSION_ID_MAX];
    uint64_t term;
};

/* DIR/node. ERR_NOENT when it is not there, ERR_CORRUPT. */
int dn_identity_read(struct disk *disk, const char *dir, struct dn_identity *ret, struct err *err);
int dn_identity_write(struct disk *disk, const char *dir, const struct dn_identity *identity,
                      struct err *err);

#endif
