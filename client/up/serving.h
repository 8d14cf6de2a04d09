/* SPDX-License-Identifier: Apache-2.0
 * serving: does the whole cluster serve, not just its processes? */
#ifndef QUERN_CLIENT_UP_SERVING_H
#define QUERN_CLIENT_UP_SERVING_H

#include "client/up/layout.h"

struct up_awaited {
    const struct up_layout *layout;
    uint64_t deadline_ms;
    bool may_rest; /* the namenode ran before: a safe mode that only people end is no obstacle */
    int (*check)(void *arg, struct err *err); /* called between tries; what it returns, if not 0,
                                               * ends the waiting (a daemon has died) */
    void *arg;
};

/* Wait until the namenode answers, is out of safe mode and has all datanodes, and the jobtracker
 * has all workers. ERR_TIMEOUT says what was still missing; ERR_RETRY comes before the deadline
 * when only the operator can help (safe mode with a full disk). After 0 the code of `ret_rest`
 * is 0 as well, or its line says why the namenode is in safe mode all the same. */
int up_wait_serving(const struct up_awaited *awaited, struct err *ret_rest, struct err *err);

#endif
