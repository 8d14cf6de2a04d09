/* SPDX-License-Identifier: Apache-2.0
 * fetch: bring the partitions of a reduce attempt here, from every worker that has some.
 *
 * One stream per worker, each on a thread that only moves bytes: header, bytes, checksum, commit.
 * The caller's thread owns the plan: it opens and closes streams as plan_next says, and meanwhile
 * listens to the worker it runs under for news of further outputs. On the same node (boot id and
 * network namespace agree) the stream is a unix socket and brings descriptors instead of bytes;
 * when that socket is not to be reached, it is the network after all.
 *
 *   caller: fetch_open, fetch_learn ..., fetch_run (returns when all is here), pieces, fetch_close
 *
 * A segment that is cut short, does not fit its checksum, or stands still for FETCH_STALL_MS ends
 * its stream; what was whole is kept, the rest is fetched again. Outputs that are files of this
 * very process tree (task_source.run) are opened at once and need no thread. */
#ifndef QUERN_WORKER_SHUFFLE_FETCH_H
#define QUERN_WORKER_SHUFFLE_FETCH_H

#include "libcommon/proto/task/messages.h"
#include "libcommon/wire/hello.h"
#include "worker/shuffle/pieces.h"
#include "worker/shuffle/plan.h"

#define FETCH_STALL_MS 30000U

struct fetch_ops {
    /* `fd` of the conf is readable: take what it says (fetch_learn). Negative ends the fetch. */
    int (*on_news)(void *arg, struct err *err);
    /* A worker does not give these maps' outputs. */
    void (*on_blame)(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why);
    /* At least once a second, and whenever something came. */
    void (*on_tick)(void *arg, uint64_t bytes);
};

struct fetch_conf {
    const struct task_run *run; /* borrowed for life */
    const struct identity *self;
    struct pieces *pieces;
    uint32_t streams_max;
    uint32_t stall_ms; /* 0 = FETCH_STALL_MS */
    const struct fetch_ops *ops;
    void *arg;
    int fd; /* to listen to meanwhile; -1 = none */
};

struct fetch;
int fetch_open(const struct fetch_conf *conf, struct fetch **ret, struct err *err);
/* Places of committed outputs; copies. */
int fetch_learn(struct fetch *fetch, const struct task_source *sources, size_t count,
                struct err *err);
/* Until every map's output is in the pieces, or for good not. */
int fetch_run(struct fetch *fetch, struct err *err);
/* Where a map's output came from: for messages, and for blame when it turns out damaged later. */
struct slice fetch_worker_of(const struct fetch *fetch, uint32_t map);
/* Bytes that came over the wire, and bytes read in place. */
void fetch_totals(const struct fetch *fetch, uint64_t *ret_remote, uint64_t *ret_local);
/* Ends all streams. NULL is fine. */
void fetch_close(struct fetch *fetch);

#endif
