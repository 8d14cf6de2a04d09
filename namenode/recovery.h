/* SPDX-License-Identifier: Apache-2.0
 * recovery: closes the files whose writers are gone.
 *
 *            writer silent beyond the hard limit, or beyond the soft one and somebody wants the
 * file OPEN ------------------------------------------------------------------------> the
 * namenode's |                                                                                 | |
 * last block complete, or none                              RECOVER(stamp), journaled; the |
 * datanodes settle the length v | CLOSED <------------- CLOSE(stamp, length), or without the block
 * nobody has --------+
 *
 * A stamp is used for one attempt. When it fails the block side asks for another (need_stamp), as
 * long as it takes. After a restart all files that were the namenode's are begun anew. Nothing is
 * done in safe mode: the datanodes that know the length may not be there yet. */
#ifndef QUERN_NAMENODE_RECOVERY_H
#define QUERN_NAMENODE_RECOVERY_H

#include "libcommon/event/loop.h"
#include "namenode/blocks/blocks.h"

struct namenode;

struct nn_recovery_driver {
    struct namenode *nn;
    struct loop_timer timer;
    uint64_t hard_ms;
    bool was_safe; /* safe mode at the last look: leases get a full term when it ends */
};

/* Begins to look for silent writers. ERR_NOMEM. */
int nn_recovery_start(struct nn_recovery_driver *driver, struct namenode *nn, uint64_t hard_ms);
void nn_recovery_stop(struct nn_recovery_driver *driver);

/* Take this open file from its writer now; it may be closed when this returns. */
void nn_recovery_begin(struct nn_recovery_driver *driver, uint32_t slot);

/* The block side's hooks. */
void nn_recovery_settled(struct nn_recovery_driver *driver, const struct nn_recovered *result);
void nn_recovery_need_stamp(struct nn_recovery_driver *driver, uint32_t block);

#endif
