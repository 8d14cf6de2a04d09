/* SPDX-License-Identifier: Apache-2.0
 * settle: what happens to a replica's two files when nobody writes them any more: how much of them
 * is good, cut and new stamp, finalizing, copying, removing. Blocks; the caller has the block to
 * himself (claims.h).
 *
 * Steps of finalizing, and what a crash behind each leaves (scan.h puts it right):
 *   1 data file cut to the block's length       rbw
 *   2 fsync data, fsync checksums               rbw, all of it verifiable
 *   3 rename checksums, rename data             rbw, or finalized, or one of each: rbw again
 *   4 fsync of the finalized directory          finalized for good: only now may anybody be told
 *
 * Steps of a new stamp (and shorter length):
 *   1 a new checksum file, whole and durable, under the new stamp's name   the newest one counts
 *   2 data cut, fsync                                                      bytes beyond the sums
 * are not believed anyway 3 the old checksum file removed
 *
 * Fault points: dn.verify (corrupt) dn.restamp.sums dn.restamp.cut dn.finalize.synced
 * dn.finalize.renamed dn.finalize.done */
#ifndef QUERN_DN_STORAGE_SETTLE_H
#define QUERN_DN_STORAGE_SETTLE_H

#include "datanode/storage/blockfile.h"

/* Read everything and find how long a beginning of the block agrees with its checksums: file->len
 * and file->tail_sum. Never more than max_len. The recovery rule is in sumfile.h. 0 (also when that
 * is no byte at all), or ERR_IO and the like when the disk would not say. */
int dn_settle_verify(struct dn_blockfile *file, uint64_t max_len, struct err *err);

/* Cut to new_len (<= file->len, of which all is verified or was written by us) and take the stamp
 * new_gs. Durable when it returns 0; after an error file->gs tells under which stamp it goes on. A
 * partial last chunk gets a sum of its own, after its old sum was found to agree with its bytes:
 * wrong bytes never get a right sum. */
int dn_settle_restamp(struct dn_blockfile *file, uint64_t new_gs, uint64_t new_len,
                      struct err *err);

/* Into its place. `final_dir` exists and is durable. After 0 the replica survives a power cut. */
int dn_settle_finalize(struct dn_blockfile *file, const char *final_dir, struct err *err);

/* The first `len` bytes of a finalized replica as files of their own in `to`, under another stamp
 * or another id (sharing its blocks where the disk can); the finalized ones stay as they are. Every
 * byte of the copy has been verified. Opened for writing with len set. Durable with its names, but
 * for `to`'s directory having been made. ERR_CHECKSUM: the source is damaged (also told by
 * *ret_is_source_bad, for whatever reason it cannot be read as it should). */
struct dn_settle_copy {
    const char *from_dir;
    uint64_t from_id, from_gs, from_len, len;
    struct dn_blockfile_new to;
};
int dn_settle_copy(struct disk *disk, const struct dn_settle_copy *copy, struct dn_blockfile **ret,
                   bool *ret_is_source_bad, struct err *err);

/* A directory stands where a block's file belongs: nobody can say what is in it, so it gets the
 * name aside.NAME beside its place, and the log tells. */
int dn_settle_set_aside(struct disk *disk, const char *path);
/* Unlink both; 0 also when they are gone already. */
int dn_settle_remove(struct disk *disk, const char *dir, uint64_t id, uint64_t gs);

#endif
