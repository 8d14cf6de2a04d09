/* SPDX-License-Identifier: Apache-2.0
 * serving: does the whole cluster serve, not just its processes? */
#ifndef QUERN_CLIENT_UP_SERVING_H
#define QUERN_CLIENT_UP_SERVING_H

#include "client/up/layout.h"

/* Wait until the namenode answers, is out of safe mode and has all datanodes, and the jobtracker
 * has all workers. `check` is called between tries: what it returns, if not 0, ends the waiting (a
 * daemon has died). ERR_TIMEOUT says what was still missing; ERR_RETRY comes before the deadline
 * when only the operator can help (safe mode with a full disk). */
int up_wait_serving(const struct up_layout *layout, uint64_t deadline_ms,
                    int (*check)(void *arg, struct err *err), void *arg, struct err *err);

#endif
