/* SPDX-License-Identifier: Apache-2.0
 * editlog: drives the record log (store/wal) from the namenode's loop. What a turn of the loop has
 * appended goes to the disk together, on a thread; what comes meanwhile goes with the next batch.
 * An idle tail is sealed by a timer that runs only while there is one.
 *
 * Knows records and indexes, not what is in them. Loop thread only. */
#ifndef QUERN_NAMENODE_JOURNAL_EDITLOG_H
#define QUERN_NAMENODE_JOURNAL_EDITLOG_H

#include "libcommon/event/workq.h"
#include "libcommon/store/wal.h"

#define NN_TERM_ALONE 1 /* the term of a namenode that has no peers */

struct nn_editlog_events {
    void (*on_durable)(void *arg, uint64_t durable);
    void (*on_failed)(void *arg, const struct err *err); /* once; then nothing is called any more */
    void (*on_full)(void *arg, bool is_full);            /* on each change; it begins as not full */
    void (*on_batch)(void *arg);                         /* one has ended well */
    void *arg;
};

struct nn_editlog {
    struct wal *wal;
    struct loop *loop;
    struct workq *workq;
    struct nn_editlog_events events;
    struct loop_hook turn_end;
    struct loop_timer tick;
    struct work work;
    struct wal_batch *batch; /* in flight, or NULL */
    bool is_full, has_failed;
    uint64_t commit_us; /* when the batch in flight was handed over */
};

/* Takes the wal; borrows loop and workq until nn_editlog_close. */
void nn_editlog_start(struct nn_editlog *log, struct wal *wal, struct loop *loop,
                      struct workq *workq, const struct nn_editlog_events *events);
/* 0 with the index; ERR_NOSPC, ERR_RETRY, ERR_TOOBIG, ERR_NOMEM, ERR_IO: nothing was appended. */
int nn_editlog_append(struct nn_editlog *log, uint16_t type, struct slice payload,
                      uint64_t *ret_index, struct err *err);
/* Everything appended is durable and no batch is in flight. */
bool nn_editlog_is_drained(const struct nn_editlog *log);
/* Call no more events and take no more batches. The workq must then be drained before the close. */
void nn_editlog_stop(struct nn_editlog *log);
/* Seals the log when it is drained and has not failed; else leaves the disk as it is. */
void nn_editlog_close(struct nn_editlog *log);

#endif
