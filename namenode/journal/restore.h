/* SPDX-License-Identifier: Apache-2.0
 * restore: a name directory that was dropped, or is new, takes part (again) while the namenode
 * serves:
 *
 *   idle --start--> copying --> joining --> finishing --> idle
 *                     |            |            |
 *                     +------------+------------+-- failed: as it was before
 *
 *   copying     on a thread: it is locked and looked at, cleared (VERSION first), then gets the
 *               images and all complete segments of the log, each verified
 *   joining     one batch of the log copies what is left and counts it in (store/waljoin.c)
 *   finishing   on a thread: VERSION
 *
 * A crash anywhere leaves a directory that the next start fills, or counts in. No image is made and
 * no segment dropped meanwhile: the journal sees to that. Loop thread only; one at a time. */
#ifndef QUERN_NAMENODE_JOURNAL_RESTORE_H
#define QUERN_NAMENODE_JOURNAL_RESTORE_H

#include "libcommon/event/workq.h"
#include "libcommon/store/wal.h"
#include "namenode/journal/images.h"
#include "namenode/journal/namedir.h"

struct nn_restore {
    struct work work;
    struct workq *workq;
    struct wal *wal;
    struct nn_namedir *dir;
    size_t place; /* in the log */
    struct nn_dir_set from;
    char cluster_id[VERSION_ID_MAX];
    uint64_t have;
    unsigned state;
    struct err err;
    void (*done)(void *arg, struct nn_namedir *dir,
                 const struct err *err); /* NULL: it takes part */
    void *arg;
};

void nn_restore_init(struct nn_restore *r, struct workq *workq, struct wal *wal,
                     void (*done)(void *arg, struct nn_namedir *dir, const struct err *err),
                     void *arg);
bool nn_restore_is_idle(const struct nn_restore *r);
/* `dir` has its path and disk, and is locked or not; `from`: the living directories. */
void nn_restore_start(struct nn_restore *r, struct nn_namedir *dir, size_t place,
                      const struct nn_dir_set *from, const char *cluster_id);
/* A batch of the log is done. */
void nn_restore_on_batch(struct nn_restore *r);

/* The thread's part of copying, for who makes a directory from others: images and complete
 * segments; `dir` is cleared. */
int nn_restore_copy(const struct nn_dir_set *from, struct nn_namedir *dir, uint64_t *ret_have,
                    struct err *err);

#endif
