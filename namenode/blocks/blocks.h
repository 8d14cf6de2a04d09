/* SPDX-License-Identifier: Apache-2.0
 * blocks: the front door of this folder. Two sides come here, both on the loop thread:
 *
 *   the namespace  (namespace/, journal/editop): blocks come, are committed, get new stamps, go;
 *                  asks where to put a block and where one is; is told when a block is ready
 *   the datanodes  (serve/datanodes): register, beat, report; take orders away
 *
 * What the namespace side does here is the apply half of journaled edits: the same calls live and
 * in replay. It says first which edit it is (nn_blocks_set_applied) and, when the journal has it on
 * disk, how far that is (nn_blocks_set_durable): no deletion and no recovery is ordered on the
 * strength of an edit that a crash could still undo.
 *
 * Pure: no clock, no I/O, no randomness but conf's seed. Events carry now_ms; orders come out of
 * nn_blocks_take_order. The hooks are called at the end of the functions of events.h, never from
 * inside one of this header's: so they may change the namespace and call back in here. */
#ifndef QUERN_NN_BLOCKS_BLOCKS_H
#define QUERN_NN_BLOCKS_BLOCKS_H

#include "namenode/blocks/balance.h"
#include "namenode/blocks/leaving.h"
#include "namenode/blocks/members.h"
#include "namenode/blocks/recover.h"
#include "namenode/blocks/replicate.h"
#include "namenode/blocks/report.h"
#include "namenode/safemode.h"

struct nn_blocks_hooks {
    void *ctx;
    /* A committed block now has enough finalized replicas (nn_blocks_enough): it is COMPLETE. Also
     * told when that became so inside nn_blocks_commit, a little later. */
    void (*on_ready)(void *ctx, uint32_t block);
    /* A recovery settled the block: journal it; the apply of that edit calls nn_blocks_commit (or
     * nn_blocks_remove when result->is_dropped). */
    void (*on_recovered)(void *ctx, const struct nn_recovered *result);
    /* A recovery needs another try: journal a new stamp, then nn_blocks_recover again. */
    void (*need_stamp)(void *ctx, uint32_t block);
};

/* Something to tell the namespace; by id, as the block may be gone when it is told. */
struct nn_notice {
    enum nn_notice_kind { NN_NOTICE_READY, NN_NOTICE_RECOVERED, NN_NOTICE_STAMP } kind;
    uint64_t id;
    struct nn_recovered result;
};

struct nn_blocks {
    struct nn_blocks_conf conf;
    struct nn_blocks_hooks hooks;
    struct rand rand;
    struct nn_blockmap *map;
    struct nn_nodes nodes;
    struct nn_members members;
    struct nn_writings writings;
    struct nn_bads bads;
    struct nn_doomed doomed;
    struct nn_replicate replicate;
    struct nn_recoveries recoveries;
    struct nn_leaving leaving;
    struct nn_balance balance;
    struct nn_orders orders;
    struct nn_safemode safemode;
    struct nn_report *reports; /* per storage */
    size_t report_count;
    struct nn_notice *notices; /* oldest first */
    size_t notice_count, notice_cap;
    uint64_t applied, durable;       /* journal indices */
    uint64_t highest_id;             /* last block id given out */
    uint64_t loaded_id;              /* ... when image and journal were in */
    uint64_t highest_told;           /* the highest beyond it that a datanode told of; or 0 */
    uint64_t complete, safe;         /* complete blocks; of them with a good replica */
    uint64_t suspects;               /* replicas seen whose block we never gave out */
    uint64_t spared_from, spared_to; /* ids of lost blocks: their replicas are never deleted */
    uint64_t started_ms, now_ms, tick_ms, delete_ms;
    bool is_loaded; /* the namespace is: unknown blocks may be judged */
};

/* hooks: copied. now_ms: the start of the process. 0 or ERR_NOMEM. */
int nn_blocks_init(struct nn_blocks *b, const struct nn_blocks_conf *conf,
                   const struct nn_blocks_hooks *hooks, uint64_t seed, uint64_t now_ms);
void nn_blocks_release(struct nn_blocks *b);

/* ---- the namespace: apply halves of edits ---- */

static inline void nn_blocks_set_applied(struct nn_blocks *b, uint64_t index)
{
    b->applied = index;
}
static inline void nn_blocks_set_durable(struct nn_blocks *b, uint64_t index)
{
    b->durable = index;
}
/* Image and journal are in: from now on datanodes are listened to. `highest_id`: also of blocks
 * that are gone. */
void nn_blocks_loaded(struct nn_blocks *b, uint64_t highest_id, uint64_t now_ms);

/* A new block of a file, UNDER_CONSTRUCTION unless block->state says otherwise (the image does).
 * `previous`: the last block of the file so far, or NN_BLOCK_NONE; it is linked to the new one.
 * 0, ERR_EXIST, ERR_INVAL, ERR_NOMEM. */
int nn_blocks_add(struct nn_blocks *b, const struct nn_block *block, uint32_t previous,
                  uint32_t *ret_index);
/* The writer (or the end of a recovery) said the final stamp and length: COMMITTED, and COMPLETE as
 * soon as enough replicas agree, perhaps inside this call. Ends a recovery. Harmless to repeat with
 * the same numbers. ERR_STALE for a stamp below the block's, ERR_INVAL for other numbers than those
 * of a block that is COMPLETE. */
int nn_blocks_commit(struct nn_blocks *b, uint32_t block, uint64_t gs, uint64_t len);
/* The file is closed: COMPLETE however many replicas are known (the journal says it was right). */
void nn_blocks_complete(struct nn_blocks *b, uint32_t block);
/* The pipeline goes on under a new stamp (greater than the old), with at least len acknowledged. */
int nn_blocks_restamp(struct nn_blocks *b, uint32_t block, uint64_t gs, uint64_t len);
/* Readers may count on so many bytes of a block that is being written (never shrinks). */
int nn_blocks_flushed(struct nn_blocks *b, uint32_t block, uint64_t len);
/* Out of the namespace: the map forgets it, its replicas are doomed. The caller unlinks it. */
void nn_blocks_remove(struct nn_blocks *b, uint32_t block);
void nn_blocks_set_want(struct nn_blocks *b, uint32_t block, uint16_t want);

/* Recovery of a block nobody writes any more, under a stamp just journaled; UNDER_RECOVERY until
 * nn_blocks_commit (or nn_blocks_remove) applies its end. ERR_INVAL for a COMPLETE block: it needs
 * none. */
int nn_blocks_recover(struct nn_blocks *b, uint32_t block, uint64_t gs);

/* ---- the namespace: questions (nothing of this is journaled) ---- */

/* How many finalized replicas a close waits for: min(2, wanted), or 1 while the cluster has never
 * had a second datanode. */
unsigned nn_blocks_enough(const struct nn_blocks *b, uint32_t block);
/* A registered datanode that belongs among the members and is not on record yet, or NULL. */
const struct nn_node *nn_blocks_new_member(const struct nn_blocks *b);
/* Are so many replicas finalized on different nodes? */
bool nn_blocks_is_ready(const struct nn_blocks *b, uint32_t block);
/* Choose nodes for a pipeline; reserves room on them. ERR_NONODE with the whole story in err. */
int nn_blocks_place(struct nn_blocks *b, const struct nn_place_ask *ask, struct slice path,
                    struct nn_placed *ret, struct err *err);
/* The namenode is younger than recheck_ms: what nobody has may only not have been reported. */
bool nn_blocks_is_young(const struct nn_blocks *b);
/* It is, and datanodes that are on record have not come back; or
 * all were lost a moment ago. */
bool nn_blocks_awaits_nodes(const struct nn_blocks *b);
/* Who is writing this block now (ADD_BLOCK, UPDATE_PIPELINE). Volatile. */
int nn_blocks_set_pipeline(struct nn_blocks *b, uint32_t block, const uint32_t *nodes,
                           size_t count);
/* Where to read it, best first for a reader on `reader`: at most cap nodes; bad replicas only when
 * there is no good one, and *ret_is_corrupt then. Returns how many. */
size_t nn_blocks_locate(struct nn_blocks *b, uint32_t block, struct slice reader,
                        uint32_t *ret_nodes, size_t cap, bool *ret_is_corrupt);
/* A reader met wrong bytes on this node. ERR_NOENT when it has no such replica. */
int nn_blocks_mark_bad(struct nn_blocks *b, struct block_id block, uint32_t node);

struct nn_blocks_stats {
    uint64_t blocks, under_replicated, corrupt, missing, missing_single, highest_priority,
        pending_copies, pending_deletion, postponed, capacity, used, remaining;
};
struct nn_blocks_stats nn_blocks_stats(const struct nn_blocks *b);
struct nn_safemode_figures nn_blocks_figures(const struct nn_blocks *b);

#endif
