/* SPDX-License-Identifier: Apache-2.0
 * agree: which length the replicas of an abandoned block are brought to, and which of them take
 * part. The primary of a block recovery asks every node to stop writing and to verify its
 * checksums; the answers are the votes.
 *
 *   1. votes of replicas with an older stamp than the block's, and of failed ones, do not count;
 *   2. if any replica was finalized, its length is the block's (its close was on its way):
 * finalized ones take part, and those that hold exactly as many bytes;
 *   3. else the shortest replica that was being written and holds what is known to have been
 *      flushed decides. Every member of the pipeline has all acknowledged bytes, so nothing
 *      acknowledged is lost;
 *   4. else (all of those restarted) the shortest restarted one that holds as much: as long as one
 *      member kept what was flushed, those whose power was cut do not shorten it;
 *   5. else nobody has all that was flushed, and whoever has most of it decides.
 *   Everyone whose verified length reaches the agreed one takes part and is cut to it.
 *
 * Pure. */
#ifndef QUERN_DN_STORAGE_AGREE_H
#define QUERN_DN_STORAGE_AGREE_H

#include "datanode/storage/replica.h"

struct dn_vote {
    int code;                    /* 0; ERR_NOENT: it has no replica; else it has nothing to say */
    enum dn_replica_state state; /* before the recovery */
    uint64_t gs, len;            /* verified length */
    bool takes_part;             /* out */
};

/* What the namenode knows of the block: votes with an older stamp do not count. */
struct dn_agreeing {
    uint64_t gs;
    uint64_t flushed; /* so many bytes were acknowledged by a flush; 0 = nothing known */
};

/* 0 with *ret_len (0 and nobody taking part: all have spoken and no replica holds a byte).
 * ERR_CORRUPT when two finalized replicas differ in length; ERR_NONODE when nobody who spoke has a
 * byte, but not all have spoken. */
int dn_agree(struct dn_vote *votes, size_t count, const struct dn_agreeing *block,
             uint64_t *ret_len);

#endif
