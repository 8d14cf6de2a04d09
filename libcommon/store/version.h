/* SPDX-License-Identifier: Apache-2.0
 * version: the VERSION file at the head of every storage directory: whose it is and how to read it.
 *
 *     # quern storage directory; written by quern, not by people
 *     type=namenode
 *     layout=1
 *     cluster=7f3a91c05e1d4b22
 *     storage=c41f0a3392de7751
 *     log=10502184756120391445
 *     created=1700000000000
 *     check=9a3c01f7
 *
 * Lines are key=value in any order; unknown keys are kept out of the way (a later quern may add
 * some); `check` is the CRC32C, in hex, of all bytes before its line, and is the last line. The
 * file is replaced whole (fsutil_replace), so a crash leaves the old or the new one; anything else
 * that does not check is damage, and is refused. Readers take layouts 1..the one they are given. */
#ifndef QUERN_STORE_VERSION_H
#define QUERN_STORE_VERSION_H

#include "libcommon/store/disk.h"

#define VERSION_ID_MAX 64

struct version {
    char type[24];                   /* namenode, datanode, jobtracker, ... */
    uint32_t layout;                 /* of the directory, from 1 */
    char cluster_id[VERSION_ID_MAX]; /* the same in all of a cluster; see version_id_is_ok */
    char storage_id[VERSION_ID_MAX]; /* this directory's own; "" when there is none */
    uint64_t log_id;                 /* of the log that lies beside it; 0 = none does */
    uint64_t created_ms;
};

/* A fresh 16-digit hex id from the kernel's randomness. */
void version_new_id(char out[VERSION_ID_MAX]);

/* Letters, digits, '-', '_' and '.', one to VERSION_ID_MAX - 1 of them. */
bool version_id_is_ok(const char *id);

/* DIR/VERSION. ERR_NOENT: no such file (an unformatted directory). ERR_CORRUPT: damaged or not
 * ours. ERR_VERSION: layout newer than `layout_max`, or of another `type`. Whose cluster it is, the
 * caller compares with version_check_cluster. */
int version_read(struct disk *disk, const char *dir, const char *type, uint32_t layout_max,
                 struct version *ret, struct err *err);

/* Replaces DIR/VERSION durably. */
int version_write(struct disk *disk, const char *dir, const struct version *version,
                  struct err *err);

/* ERR_FOREIGN: "/srv/d1 belongs to cluster 7f3a…, namenode host1:8020 is cluster 91c0…: wrong disk,
 * or wrong namenode". `other` says who claims to be `cluster_id`; its first word is what it is. */
int version_check_cluster(const struct version *version, const char *dir, const char *other,
                          const char *cluster_id, struct err *err);

#endif
