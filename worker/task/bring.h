/* SPDX-License-Identifier: Apache-2.0
 * bring: what a job's tasks need on this node, fetched from the jobtracker one file after another:
 * the plugin, kept for later jobs (DIR/plugins/<sha256>.so), then the side files, which go with the
 * job (DIR/jobs/<job>/<sha256>). A file has its name once it is whole and its digest is right.
 *
 *   absent --> coming --> here        coming --> absent: it failed; wanted again, it is tried again
 *
 * Loop thread only; bytes are written and summed on the work queue, a piece at a time. */
#ifndef QUERN_WORKER_TASK_BRING_H
#define QUERN_WORKER_TASK_BRING_H

#include "libcommon/codec/digest.h"
#include "libcommon/store/outfile.h"
#include "worker/worker.h"

struct wk_job;

enum bring_state { BRING_ABSENT, BRING_COMING, BRING_HERE };

struct bring {
    enum bring_state state;
    char **paths; /* the plugin, then side files in their order; NULL where not yet decided */
    size_t count;
    size_t at;       /* the one in hand */
    size_t dir;      /* which of the worker's directories that is to be in */
    bool is_waiting; /* another job brings the same file */
    struct rpc_wait wait;
    struct work work; /* writes a piece */
    struct buf piece;
    bool is_last;
    struct outfile out;
    struct digest sum;
    bool is_open; /* out and sum */
    uint64_t offset;
    int rc; /* of the work */
    struct err err;
};

/* Begin, or begin again after a failure; nothing while it is coming, or here. Whoever waits is told
 * by attempts_ready. */
void bring_want(struct wk_job *job);
/* The link to the jobtracker is up again. */
void bring_link_up(struct wk_job *job);
/* False: a piece is being written; jobs_over is called when it is. */
bool bring_stop(struct wk_job *job);
/* The job leaves the worker's list. */
void bring_release(struct wk_job *job);

#endif
