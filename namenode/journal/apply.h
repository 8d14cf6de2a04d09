/* SPDX-License-Identifier: Apache-2.0
 * apply: the second half of every change, live and in replay: what an operation does to the state.
 * One function per row of NN_OPS, reached through the table only (editop.h). */
#ifndef QUERN_NAMENODE_JOURNAL_APPLY_H
#define QUERN_NAMENODE_JOURNAL_APPLY_H

#include "namenode/journal/editop.h"
#include "namenode/journal/state.h"

#define NN_APPLY_DECLARE(number, NAME, type) \
    int nn_apply_##NAME(struct nn_state *state, const void *op, uint64_t *answer);
NN_OPS(NN_APPLY_DECLARE)

/* Make the missing directories of a path but its last component: ids from *id on. Gives the parent
 * of that component; ERR_CORRUPT when a file is in the way. */
struct nn_parents {
    struct slice path, owner;
    uint32_t mode;
    uint64_t at_ms;
};
int nn_apply_parents(struct nn_state *state, const struct nn_parents *parents, uint64_t *id,
                     uint32_t *ret_parent, struct slice *ret_name);
/* A tree goes; of a file also its lease, at once. */
int nn_apply_doom(struct nn_state *state, uint32_t slot, uint64_t at_ms);

/* Where a file of `len` bytes would end: the block with the byte behind it (NONE: there is none),
 * that block's place in the file, and the block before it. */
struct nn_cut {
    uint32_t before, block;
    uint64_t off;
};
void nn_apply_find_cut(const struct nn_state *state, uint32_t slot, uint64_t len,
                       struct nn_cut *ret);
/* Prepare a block for an append or a truncation (what->kind and len count). ERR_NOMEM, ERR_CORRUPT.
 */
int nn_apply_prepare(struct nn_state *state, uint32_t slot, const struct nn_prepared *what,
                     const struct msg_block *id);
/* Whatever was prepared for this file is forgotten, and its replicas go. */
void nn_apply_unprepare(struct nn_state *state, uint64_t file);

/* The room that the file's last block may still grow by, kept up after every change of it: quotas
 * count a block being written as a full one. ERR_NOMEM. */
int nn_apply_reserve(struct nn_state *state, uint32_t slot);

#endif
