/* SPDX-License-Identifier: Apache-2.0
 * walmark: the small file `watermark` in each directory of a log: up to where records were
 * acknowledged, which is the lowest one still needed, and which directories must have them all.
 *
 * Two slots of 4096 bytes; a write goes to the one that is not the newest, and is synced:
 *
 *        0  u32 magic "QMRK"      u32 version (1)
 *        8  u64 wal id
 *       16  u64 sequence          the newest whole slot counts
 *       24  u64 acknowledged      at least up to here records were durable everywhere
 *       32  u64 first             lowest index still needed
 *       40  u64 epoch             of the member list; grows with each change of it
 *       48  u64 self              this directory's id
 *       56  u32 members           at most 8
 *       60  zeros
 *       64  members x { u64 id, 248 bytes: last known path, cut, ends in NUL }
 *     4092  u32 CRC32C of bytes 0..4091
 *
 * Recovery: a slot that does not check is ignored (the power went out while it was written) as long
 * as the other one does. `acknowledged` may then be a little old, which is safe: it is only ever a
 * lower bound. `first` and the members may not be old, so a change of them is written to both
 * slots, one after the other. Both slots bad: the directory is damaged.
 *
 * A directory whose epoch is lower than another's, or that is not in the newest list, was written
 * off: it may lack records. */
#ifndef QUERN_STORE_WALMARK_H
#define QUERN_STORE_WALMARK_H

#include "libcommon/store/wal.h"

#define WALMARK_FILE     "watermark"
#define WALMARK_PATH_MAX 248

struct walmark_member {
    uint64_t id;
    char path[WALMARK_PATH_MAX];
};

struct walmark {
    uint64_t wal_id;
    uint64_t seq;
    uint64_t acknowledged;
    uint64_t first;
    uint64_t epoch;
    uint64_t self;
    uint32_t member_count;
    struct walmark_member members[WAL_DIRS_MAX];
};

/* ERR_NOENT: no such file. ERR_CORRUPT: both slots are bad. ERR_VERSION: of a later quern. Other
 * codes: cannot be read. `err` names the file. */
int walmark_read(struct disk *disk, const char *dir, struct walmark *ret, struct err *err);

/* Make the file (both slots the same), whole or not at all; replaces an old one. */
int walmark_create(struct disk *disk, const char *dir, const struct walmark *mark, struct err *err);

/* Write one slot through an open descriptor of the file and sync it; mark->seq must have grown by
 * one, as it chooses the slot. */
int walmark_write(struct disk *disk, int fd, const struct walmark *mark);

/* Is `id` in the list? */
bool walmark_has(const struct walmark *mark, uint64_t id);

#endif
