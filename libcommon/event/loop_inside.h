/* SPDX-License-Identifier: Apache-2.0
 * loop_inside: what the other files of event/ may know of the loop. Private to this folder. */
#ifndef QUERN_EVENT_LOOP_INSIDE_H
#define QUERN_EVENT_LOOP_INSIDE_H

#include "libcommon/base/buf.h"
#include "libcommon/event/loop.h"

struct event_base;
struct event_base *loop_base(struct loop *loop);

/* Run fn at the very end of the turn, after the hooks: connections write their queued bytes. */
void loop_flush_later(struct loop *loop, struct loop_task *task, loop_fn *fn, void *arg);

/* Before a callback that libevent makes directly: reads the clock, once a turn. loop_blame after
 * it. */
void loop_callback_begin(struct loop *loop);

/* A thread somewhere will still post to this loop: loop_free turns until it has. Loop thread only.
 */
void loop_hold(struct loop *loop);
void loop_unhold(struct loop *loop);
/* A connection begins or has been freed: loop_free gives closing ones their time. */
void loop_count_conn(struct loop *loop, int change);

/* One big buffer all connections read into, so that an idle one needs none of its own. Only for the
 * length of a callback; empty (len 0) before and after. */
#define LOOP_SCRATCH_BYTES (128U << 10)
struct buf *loop_scratch(struct loop *loop);
/* Output buffers wander between connections likewise: take one (may be empty), give one back. */
struct buf loop_spare_take(struct loop *loop);
void loop_spare_give(struct loop *loop, struct buf *buf);

#endif
