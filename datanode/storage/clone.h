/* SPDX-License-Identifier: Apache-2.0
 * clone: a new finalized replica that is the beginning of another one here, as the namenode orders
 * when a file is cut in the middle of a block: finalized bytes never change.
 *
 *   loop     the new block's claim, TEMPORARY in the map, on the same volume if it has room
 *   thread   copied, verified, fsynced, into its place (settle.h)
 *   loop     FINALIZED, RECEIVED noted; or nothing is left of it, and the namenode asks again
 *
 * A process that dies meanwhile leaves a temporary replica, which the next start drops. */
#ifndef QUERN_DN_STORAGE_CLONE_H
#define QUERN_DN_STORAGE_CLONE_H

#include "datanode/storage/storage.h"
#include "libcommon/base/ids.h"

struct dn_clone_ask {
    struct block_id from, to;
    uint64_t from_len, len;
};
/* 0: begun, or it is here already or being made. ERR_NOENT: the source is not here, whole, with
 * that stamp and length; ERR_INVAL, ERR_NOSPC, ERR_NOMEM. Loop thread. */
int dn_clone_begin(struct dn_storage *storage, const struct dn_clone_ask *ask, struct err *err);

#endif
