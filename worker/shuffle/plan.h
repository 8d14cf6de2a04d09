/* SPDX-License-Identifier: Apache-2.0
 * plan: which map outputs a reduce attempt still needs, and what to do next to get them. Pure: it
 * is told what happened and when, and answers what is to be done; fetch.c does it.
 *
 * A worker that holds outputs we need:
 *
 *                  PLAN_OPEN                     END, or closed by us
 *      waiting --------------> streaming ------------------------------> waiting
 *         ^                       | failed, or ended without what it was said to have
 *         |  retry_at             v
 *         +------------------- backing off     200 ms, doubling up to 10 s
 *
 * PLAN_BLAME_AFTER failures in a row without one segment in between: its worker is blamed for the
 * outputs still missing there (once per that many failures), so that the maps are run again
 * elsewhere; the plan goes on trying meanwhile. What a stream broke in is left out of the next as
 * long as that has others to bring, so that one bad output does not keep back all behind it. After
 * PLAN_GIVE_UP_AFTER failures it gives up. A map that
 * is heard of from a later attempt has moved: whatever its former place does no longer matters. */
#ifndef QUERN_WORKER_SHUFFLE_PLAN_H
#define QUERN_WORKER_SHUFFLE_PLAN_H

#include "libcommon/base/slice.h"

#define PLAN_RETRY_MIN_MS  200U
#define PLAN_RETRY_MAX_MS  10000U
#define PLAN_BLAME_AFTER   3U
#define PLAN_GIVE_UP_AFTER 30U
#define PLAN_NO_WORKER     UINT32_MAX

struct plan_map {
    uint32_t worker; /* PLAN_NO_WORKER = not heard of */
    uint32_t attempt;
    bool is_held;
    bool is_spoilt; /* a stream broke in it */
};

struct plan_worker {
    char *name;
    bool is_streaming;
    uint32_t wanted;    /* maps there that we do not hold */
    uint32_t spoilt;    /* of these */
    uint32_t failures;  /* in a row */
    uint32_t blamed_at; /* failures when it was last blamed */
    uint64_t retry_at_ms;
};

struct plan {
    struct plan_map *maps;
    uint32_t map_count, held;
    struct plan_worker *workers;
    size_t worker_count, worker_cap;
    uint32_t streams, streams_max;
    uint32_t turn; /* so that workers are taken in turn */
};

int plan_open(struct plan *plan, uint32_t maps, uint32_t streams_max);
void plan_close(struct plan *plan);

/* A committed map output. The worker's number on success; ERR_NOMEM, or ERR_INVAL for a map number
 * out of range. An attempt older than the known one changes nothing. */
int64_t plan_learn(struct plan *plan, uint32_t map, uint32_t attempt, struct slice worker_name);

enum plan_what {
    PLAN_DONE,    /* everything is held */
    PLAN_OPEN,    /* start a stream from `worker` */
    PLAN_CLOSE,   /* end the stream from `worker`: it has nothing for us, others wait */
    PLAN_BLAME,   /* tell that `worker` does not give what it has */
    PLAN_GIVE_UP, /* `worker` never will */
    PLAN_WAIT,    /* until something happens, or until_ms (UINT64_MAX = however long) */
};
struct plan_step {
    enum plan_what what;
    uint32_t worker;
    uint64_t until_ms;
};
/* What to do now. OPEN, CLOSE and BLAME count as done once they are returned. */
struct plan_step plan_next(struct plan *plan, uint64_t now_ms);

/* Is this output still wanted? Then receive it, and say so. */
bool plan_wants(const struct plan *plan, uint32_t map);
void plan_got(struct plan *plan, uint32_t worker, uint32_t map);
/* The stream from this worker broke in the middle of an attempt's output. */
void plan_spoilt(struct plan *plan, uint32_t worker, uint32_t map, uint32_t attempt);
/* Is there something to bring from there that is not spoilt? Then what is, is not asked for. */
bool plan_has_sound(const struct plan *plan, uint32_t worker);
/* The stream ended; code 0: the worker says it has sent everything; ERR_CANCELLED: we ended it,
 * which is no failure of the worker's. */
void plan_stream_over(struct plan *plan, uint32_t worker, int code, uint64_t now_ms);

/* Walk the maps wanted from a worker: *at begins at 0; false at the end. */
bool plan_missing(const struct plan *plan, uint32_t worker, uint32_t *at, uint32_t *ret_map);

#endif
