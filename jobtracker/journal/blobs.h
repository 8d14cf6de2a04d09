/* SPDX-License-Identifier: Apache-2.0
 * blobs: plugins and big split lists, kept as files named by their SHA-256. A blob counts once its
 * bytes hash to its name and it is fsynced: so a job that was accepted can always be run again.
 *
 * dir/<digest>        whole
 * dir/<digest>.part   being brought; starts anew after a restart */
#ifndef QUERN_JOBTRACKER_JOURNAL_BLOBS_H
#define QUERN_JOBTRACKER_JOURNAL_BLOBS_H

#include "libcommon/base/buf.h"
#include "libcommon/store/disk.h"

#define BLOB_MAX_BYTES (1ULL << 30)

struct blobs {
    struct disk *disk;
    char *dir; /* owned */
};

/* Creates the directory and removes unfinished parts. */
int blobs_init(struct blobs *blobs, struct disk *disk, const char *dir, struct err *err);
void blobs_release(struct blobs *blobs);

/* 64 lower-case hex digits? Anything else never gets near a file name. */
bool blob_is_digest(struct slice digest);

/* How many bytes are there: the whole length for a whole blob, what has come of a part, or 0. */
uint64_t blobs_have(struct blobs *blobs, struct slice digest, bool *ret_whole);
/* Append bytes at `offset`, which must be what blobs_have says (ERR_STALE otherwise). */
int blobs_put(struct blobs *blobs, struct slice digest, uint64_t offset, struct slice bytes,
              struct err *err);
/* All bytes have come: verify, fsync, name. Blocks (hashing): for a work queue. ERR_CHECKSUM
 * removes the part. */
int blobs_finish(struct blobs *blobs, const char *digest, struct err *err);
/* Stay as long as one that was brought now. For those that something over refers to: what is used
 * is kept anyway. Does nothing to one that is younger than `least_age_ms`. Blocks. */
int blobs_renew(struct blobs *blobs, struct slice digest, uint64_t now_wall_ms,
                uint64_t least_age_ms, struct err *err);
/* Up to `max` bytes from `offset` of a whole blob, appended to `out`; *ret_total its length. */
int blobs_read(struct blobs *blobs, struct slice digest, uint64_t offset, size_t max,
               struct buf *out, uint64_t *ret_total);

#endif
