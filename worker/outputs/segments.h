/* SPDX-License-Identifier: Apache-2.0
 * segments: map outputs this worker holds: a memfd, a file, or, where it is small, plain memory (a
 * job may have more maps than a process may have descriptors). They belong to the worker, so they
 * outlive the runner that made them. Only outputs the jobtracker has accepted are handed out. A
 * segment in use by a stream stays until the stream lets it go. */
#ifndef QUERN_WORKER_OUTPUTS_SEGMENTS_H
#define QUERN_WORKER_OUTPUTS_SEGMENTS_H

#include "libcommon/base/list.h"
#include "libcommon/proto/task/messages.h"
#include "worker/outputs/leavings.h"
#include "worker/outputs/spare.h"

struct segment {
    struct list link;
    struct task_attempt id;
    int fd;        /* owned; -1 = in `data` */
    char *path;    /* owned; NULL = memfd or data */
    uint8_t *data; /* owned; NULL = in fd */
    uint64_t len;
    bool in_memory, is_accepted, is_dropped;
    bool is_packed; /* its parts are frames */
    uint32_t refs;  /* the table's own, and one per stream that sends it */
    struct task_part *parts;
    uint32_t *crcs; /* per part, from the run's index */
    uint32_t part_count;
};

struct segments {
    struct list all;
    uint64_t memory_used; /* bytes in memfds, held ones and those being filled */
    uint64_t memory_max;
    struct spares spares; /* beside those: together no more than memory_max */
    struct leavings *leavings;
    /* One may be handed out from now on; set by who does that (serve/outputs). */
    void (*on_accepted)(void *arg, struct segment *segment);
    void *arg;
};

/* Borrows `leavings` until segments_release. */
void segments_init(struct segments *segments, uint64_t memory_max, uint64_t keep_ms,
                   struct leavings *leavings);
void segments_release(struct segments *segments);

#define SEGMENT_SMALL_BYTES TASK_RUN_SMALL

/* What a task that makes an output may be given for it. */
struct segments_wish {
    uint64_t task_memory, input_bytes;
    uid_t uid;
    uint64_t output_bytes; /* expected, by the job's other tasks; 0 = nothing is known */
};
/* How long its output may become in memory: half of what is left, or as much as the task may use; 0
 * = it goes to a file. *ret is a memory file to be written over (fd -1: none), now the caller's.
 * What else is kept of earlier jobs makes room, but only as far as an output of a usual length
 * would need. */
uint64_t segments_offer(struct segments *segments, const struct segments_wish *wish,
                        struct spare *ret);

/* Where a finished output is; all of it is taken, also on failure. */
struct segment_place {
    int fd;        /* -1 = in `data` */
    char *path;    /* of a file */
    uint8_t *data; /* run_len bytes */
};
/* Reads the run's index. NULL with err. */
struct segment *segments_add(struct segments *segments, const struct task_done *done,
                             const struct segment_place *place, struct err *err);
/* The whole of a small output, read out of a memfd, for `place`. NULL: ERR_NOMEM, or unreadable. */
uint8_t *segments_read_small(int memfd, uint64_t len, struct err *err);
struct segments_owner {
    uint64_t cluster_ms, job;
    uid_t uid;
    uint64_t now_ms;
};
/* The jobtracker has accepted it. */
void segments_accept(struct segments *segments, struct segment *segment);
struct segment *segments_find(const struct segments *segments, const struct task_attempt *id);
/* Give it up: out of the table, freed when no stream uses it. Files are unlinked at once. */
void segments_drop(struct segments *segments, struct segment *segment);
/* The job of `last` is over: all that it has here goes, and its memory is kept as last->uid's. No
 * task of it reads any more (or if, then for nobody). */
void segments_end_job(struct segments *segments, const struct segments_owner *last);
void segment_unref(struct segments *segments, struct segment *segment);
static inline void segment_ref(struct segment *segment)
{
    segment->refs++;
}

#endif
