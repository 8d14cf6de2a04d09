/* SPDX-License-Identifier: Apache-2.0
 * shift: a finalized replica goes from one data directory of this node to another, and a crash
 * anywhere leaves exactly one good one behind the next start:
 *
 *   1 copied into TO's tmp, every byte verified       tmp is emptied at the start
 *   2 note in TO/current/shift: block, stamp, from    nothing there yet: the note goes
 *   3 fsync, rename into place, fsync of directory    both are there, the note says so: the new one
 *                                                     is verified, then the old one goes
 *   4 (the map points to the new one)
 *   5 the old files removed, fsync of directory       the note goes
 *   6 the note removed
 *
 * The caller has the block's claim. All of it blocks.
 *
 * Fault points: dn.shift.copied dn.shift.noted dn.shift.placed dn.shift.removed */
#ifndef QUERN_DN_STORAGE_SHIFT_H
#define QUERN_DN_STORAGE_SHIFT_H

#include "datanode/storage/replica.h"
#include "datanode/storage/volumes.h"

/* Steps 1 to 3. *ret_is_source_bad: what is there cannot be read as it should. On failure `to`
 * holds nothing of it. */
int dn_shift_begin(struct dn_volume *from, struct dn_volume *to, const struct dn_replica *replica,
                   bool *ret_is_source_bad, struct err *err);
/* Steps 5 and 6. A failure leaves both; the next start sees to it. */
int dn_shift_end(struct dn_volume *from, struct dn_volume *to, const struct dn_replica *replica,
                 struct err *err);
/* Two replicas of one block in two directories, and no note says why (twins.h). Of those that can
 * be read to the last byte and have the greater stamp one stays, rather the first, which is
 * finalized; the other's files go, durably. On failure some of them may be there still. */
struct dn_shift_twin {
    const struct dn_volume *volume;
    const struct dn_replica *replica;
};
enum dn_shift_left { DN_SHIFT_LEFT_BOTH, DN_SHIFT_LEFT_FIRST, DN_SHIFT_LEFT_SECOND };
int dn_shift_settle_twins(const struct dn_shift_twin *first, const struct dn_shift_twin *second,
                          enum dn_shift_left *ret);
/* Before the volumes are scanned: what a crash left between 2 and 6. 0, or why a disk would not. */
int dn_shift_recover(const struct dn_volumes *volumes, struct err *err);

#endif
