/* SPDX-License-Identifier: Apache-2.0
 * level: the data directories of this node are made equally full (Hadoop's disk balancer), on
 * request: replicas go from the fullest to the emptiest one (shift.h), one at a time, no faster
 * than the bandwidth, until none differs from the node's average by more than the threshold.
 *
 * The namenode hears of each in one message, gone here and come there; it never sees a loss.
 * Readers hold open files; who opens one just then and finds it gone asks again. Loop thread only.
 */
#ifndef QUERN_DN_STORAGE_LEVEL_H
#define QUERN_DN_STORAGE_LEVEL_H

#include "datanode/storage/storage.h"

struct dn_level;

struct dn_level_wish {
    uint64_t bytes_per_s;
    uint32_t threshold; /* percent of a directory's size */
};
struct dn_level_state {
    bool is_running, was_cancelled;
    uint64_t started_ms, finished_ms; /* wall; 0 = never */
    uint64_t blocks, bytes, errors;
    uint64_t bytes_left; /* to be moved, by the plan of now */
};

struct dn_level *dn_level_new(struct loop *loop, struct dn_storage *storage); /* or NULL */
/* ERR_BUSY while it runs, ERR_NOENT when there is nothing to do. */
int dn_level_start(struct dn_level *level, const struct dn_level_wish *wish, struct err *err);
void dn_level_cancel(struct dn_level *level); /* the block in hand is finished */
struct dn_level_state dn_level_state(const struct dn_level *level, uint32_t threshold);
/* No further step; NULL is fine. Freed when the disk queue has ended. */
void dn_level_stop(struct dn_level *level);
void dn_level_free(struct dn_level *level);

#endif
