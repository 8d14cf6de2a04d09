/* SPDX-License-Identifier: Apache-2.0
 * order: what a quern-task that is asked one thing (-sample, -check) is told on its stdin. */
#ifndef QUERN_WORKER_RUNNER_ORDER_H
#define QUERN_WORKER_RUNNER_ORDER_H

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"

/* To its end: an encoded task_run. */
int order_read(struct buf *in, struct err *err);

#endif
