/* SPDX-License-Identifier: Apache-2.0
 * movers: the threads that move block bytes. A move (one write, one read, one copy) has a thread
 * for itself while it lasts, blocking as it likes. Threads come into being as they are needed, up
 * to a limit, and go again after a minute without work; beyond the limit moves wait in line, up to
 * a limit too, and beyond that are refused at once: an overloaded node says so instead of growing
 * slow.
 *
 *        submit             a thread is free        run returns
 *   idle ------> queued ---------------------> running ---------> done(), on the loop
 *                   +-- waited too long ---> done() with was_refused
 *
 * Loop thread only; run() is called on a thread. */
#ifndef QUERN_DN_SERVE_MOVERS_H
#define QUERN_DN_SERVE_MOVERS_H

#include "libcommon/base/list.h"
#include "libcommon/event/loop.h"

struct dn_movers;

/* Inside a bigger struct of its owner, in place until done was called. */
struct dn_move {
    void (*run)(struct dn_move *move);
    void (*done)(struct dn_move *move); /* may free it */
    bool was_refused;                   /* in done: never ran, it waited too long */
    /* private */
    struct list link;
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
/* Moves running or waiting. */
unsigned dn_movers_active(const struct dn_movers *movers);

#endif
