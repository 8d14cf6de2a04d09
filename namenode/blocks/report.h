/* SPDX-License-Identifier: Apache-2.0
 * report: what a datanode's word about a replica means, and when a full report is whole.
 *
 *   replica says             block is written,  committed, too    complete
 *                            or recovered       few replicas yet
 *   older stamp              BAD (stamp)        BAD (stamp)        BAD (stamp)
 *   same stamp, finalized    OPEN               GOOD; other        GOOD; other length:
 *                                               length: OPEN       BAD (length)
 *   same stamp, being written OPEN              OPEN               LAGGING (may finish yet)
 *   same stamp, was written  OPEN               OPEN               BAD (state)
 *   newer stamp              OPEN               OPEN               SUSPECT: kept, never counted
 *
 *   no such block: an id we did give out: DELETE, its file is gone. One beyond all we gave out:
 *   SUSPECT (either our journal lost it or it is a stranger's; deleting would finish the loss).
 *
 * Nothing is deleted because of a report that is not whole, or before the namespace is loaded. */
#ifndef QUERN_NN_BLOCKS_REPORT_H
#define QUERN_NN_BLOCKS_REPORT_H

#include "namenode/blocks/writing.h"

enum nn_verdict {
    NN_VERDICT_GOOD,    /* record it as a good replica */
    NN_VERDICT_OPEN,    /* remember it among the block's open replicas */
    NN_VERDICT_LAGGING, /* open although its block is settled: wait, see nn_blocks_conf.lag_ms */
    NN_VERDICT_BAD_STAMP,
    NN_VERDICT_BAD_LENGTH,
    NN_VERDICT_BAD_STATE,
    NN_VERDICT_SUSPECT, /* leave it alone, count it for nothing */
    NN_VERDICT_DELETE,  /* no file has this block */
};
const char *nn_verdict_name(enum nn_verdict verdict);

struct nn_said {
    uint64_t id, gs, len;
    enum nn_replica_state state;
};

/* block NULL = not in the map. highest_id: the last block id given out. */
enum nn_verdict nn_report_judge(const struct nn_block *block, uint64_t highest_id,
                                const struct nn_said *said);

/* ---- full reports, one storage after the other, in pages ---- */

struct nn_report {
    uint64_t id;        /* chosen by the datanode */
    uint32_t next_page; /* page that must come next */
    bool is_running;
    struct bitset seen; /* blocks named so far, and those added meanwhile by changes */
};

struct nn_report_page {
    uint64_t report_id;
    uint32_t page;
    bool is_last;
    const uint64_t *ids, *stamps, *lens, *states; /* in parallel */
    size_t count;
};

/* Takes the page's place in the sequence: page 0 starts a report (an unfinished one is forgotten).
 * 0, ERR_STALE when the page does not follow (the report is void, ask for a new one), ERR_INVAL for
 * a state that does not exist. */
int nn_report_begin_page(struct nn_report *report, const struct nn_report_page *page);
void nn_report_release(struct nn_report *report); /* also: forget what has come so far */

#endif
