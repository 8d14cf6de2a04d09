/* SPDX-License-Identifier: Apache-2.0
 * movers: the threads that move block bytes. A move (one write, one read, one copy) has a thread
 * for itself while it lasts, blocking as it likes. Threads come into being as they are needed, up
 * to a limit, and go again after a minute without work; beyond the limit moves wait in line, up to
 * a limit too, and beyond that are refused at once: an overloaded node says so instead of growing
 * slow.
 *
 *        submit             a thread is free        run returns
 *   idle ------> queued ---------------------> running ---------> done(), on the loop
 *                 | ^                             | run returns, having asked to be parked
 *                 | |     a descriptor is ready   v
 *                 | +-- or it is time --------- parked
 *                 +-- waited too long ---> done() with was_refused
 *
 * A peer that keeps its move waiting costs no thread: run() gives the thread back and is called
 * again when there is something to do. How long it may wait first depends on whether others wait
 * for threads (dn_move_patience_ms); so those who stall never starve those who do not.
 *
 * Loop thread only; run() is called on a thread. */
#ifndef QUERN_DN_STORAGE_MOVERS_H
#define QUERN_DN_STORAGE_MOVERS_H

#include "libcommon/base/list.h"
#include "libcommon/event/loop.h"

struct dn_movers;

#define DN_PARK_FDS 3

/* What a parked move waits for. */
struct dn_park {
    struct {
        int fd;         /* -1 = none */
        unsigned ready; /* enum loop_ready */
    } fds[DN_PARK_FDS];
    uint64_t until_ms; /* monotonic; run() is called then at the latest */
};

/* Inside a bigger struct of its owner, in place until done was called. */
struct dn_move {
    void (*run)(struct dn_move *move);  /* again after each parking */
    void (*done)(struct dn_move *move); /* may free it */
    bool was_refused;                   /* in done: never ran, it waited too long */
    /* Set by run() before it returns to be called again; else it is over. */
    bool wants_park;
    struct dn_park park;
    /* private */
    struct list link;
    struct loop_watch *watches[DN_PARK_FDS];
    struct loop_timer timer;
    bool has_run;
    struct loop_task task;
    struct dn_movers *movers;
    uint64_t queued_ms;
};

struct dn_movers_conf {
    struct loop *loop;
    unsigned threads_max, queue_max;
    uint64_t wait_ms; /* longest wait in line */
};
/* NULL when memory is out. */
struct dn_movers *dn_movers_new(const struct dn_movers_conf *conf);
/* Waits for running moves (their owner has told them to end) and calls every done. NULL is fine. */
void dn_movers_free(struct dn_movers *movers);

/* ERR_BUSY with a line for the asker when the line is full; done is not called then. */
int dn_movers_submit(struct dn_movers *movers, struct dn_move *move, struct err *err);
/* From inside run(): have fn(move) called on the loop, and wait for it. */
void dn_movers_call(struct dn_move *move, void (*fn)(struct dn_move *move));
/* From inside run(): how long it may keep its thread without anything to do. */
uint64_t dn_move_patience_ms(const struct dn_move *move);
/* From inside run(): everything is to end: do not ask to be parked. */
bool dn_move_must_end(const struct dn_move *move);
/* Moves running, waiting or parked; and the parked ones of them. */
unsigned dn_movers_active(const struct dn_movers *movers);
unsigned dn_movers_parked(const struct dn_movers *movers);

#endif
