/* SPDX-License-Identifier: Apache-2.0
 * worker: owns the modules; takes orders from the jobtracker, runs attempts in child processes,
 * keeps their map outputs and hands them to reducers.
 *
 *   talk/jobtracker -> task/jobs (what a job needs here: plugin, places of outputs)
 *                   -> task/attempt -> task/sandbox, task/runner (process, umbilical)
 *                   -> outputs/segments -> serve/outputs
 *
 * Loop thread only. */
#ifndef QUERN_WORKER_WORKER_H
#define QUERN_WORKER_WORKER_H

#include "libcommon/daemon/daemon.h"
#include "libcommon/event/workq.h"
#include "libcommon/proto/wk_jt/messages.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/home.h"
#include "libcommon/wire/rpc.h"
#include "worker/outputs/segments.h"
#include "worker/task/birth.h"
#include "worker/task/fence.h"

#define WORKER_DIRS_MAX 32

/* A directory for task files. One that fails is left alone until the worker starts again. */
struct worker_dir {
    const char *path; /* the configuration's */
    struct fsutil_lock lock;
    struct version version; /* empty in a fresh one */
    bool is_bad;
    uint64_t free_bytes, free_until_ms; /* as the disk said last, and how long that is believed */
};

struct worker {
    struct daemon *daemon;
    struct loop *loop;
    struct disk *disk;
    struct workq *workq;
    struct identity self;
    struct worker_dir dirs[WORKER_DIRS_MAX];
    size_t dir_count;
    char id[VERSION_ID_MAX];        /* of this worker, in each directory's VERSION */
    char mark[VERSION_ID_MAX + 48]; /* in the environment of all it starts: its id and place */
    bool is_joined;                 /* it is known whose cluster this is */
    char *task_program;             /* path of quern-task */
    uint64_t incarnation;
    uint32_t cores;
    uint64_t memory;
    char *socket;       /* of serve/outputs, "" = none */
    char *data_address; /* advertised host of serve/outputs */
    uint16_t data_port;

    struct rpc_link *jobtracker;
    struct rpc_service orders; /* JT2WK */
    bool is_registered;
    uint64_t epoch; /* highest obeyed */
    struct rpc_wait register_wait, beat_wait;
    struct loop_timer beat, watch_tick;
    uint64_t next_expiry_ms; /* of logs */

    struct list jobs;       /* struct wk_job */
    struct list attempts;   /* struct wk_attempt */
    struct list runners;    /* struct wk_process */
    uint64_t last_runner;   /* number of the last set of directories made for one */
    struct birth birth;     /* of runners */
    uint64_t usual_limit;   /* of memory, for a job's first task here: the last job's */
    uint32_t blanks_wanted; /* runners that wait for a job */
    struct loop_timer add_blank;
    struct loop_timer strays; /* what ended runners left behind, until it is gone */
    struct fences fences;     /* around each runner */
    struct workq *fencer;     /* puts waiting runners inside */
    struct segments segments;
    struct leavings leavings; /* files nobody needs any more */
    uint64_t gone_count;      /* of directories that wait there under another name */
    struct rpc_service shuffle;
    struct rpc_server *tcp_server, *unix_server;
    struct list streams; /* struct out_stream */
    bool is_stopping;
};

int worker_start(struct daemon *daemon, void **ret_state, struct err *err);
void worker_stop(void *state);
void worker_release(void *state);
void worker_status(void *state, struct status *st);
void worker_measure(void *state); /* sets the gauges of /metrics */

static inline uint64_t worker_now(const struct worker *worker)
{
    return loop_now_ms(worker->loop);
}

#endif
