/* SPDX-License-Identifier: Apache-2.0
 * orders: effects that concern a worker, as JT2WK questions over its connection. An order that a
 * worker refuses fails the attempt without counting; one that is lost with its connection is dealt
 * with when the worker comes back or is given up. */
#ifndef QUERN_JOBTRACKER_SERVE_ORDERS_H
#define QUERN_JOBTRACKER_SERVE_ORDERS_H

#include "jobtracker/jobtracker.h"
#include "libcommon/proto/wk_jt/messages.h"

/* Any but JT_TELL_RUN. */
void orders_send(struct jobtracker *jt, const struct jt_effect *effect);
/* One JT_TELL_RUN, and those of its row behind it: one order. */
void orders_send_row(struct jobtracker *jt, const struct jt_effect *effects, size_t count);

/* Ask a worker for an attempt's log; done as in rpc_ask (the answer is a wk2jt_blob_piece). `wait`
 * must be the caller's and idle. ERR_UNREACHABLE when the worker is not connected. */
int orders_ask_log(struct jt_worker *worker, const struct jt2wk_log *ask, struct rpc_wait *wait);

#endif
