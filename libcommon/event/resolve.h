/* SPDX-License-Identifier: Apache-2.0
 * resolve: looks a host name up on a thread of its own, because getaddrinfo may take seconds. Loop
 * thread only. Private to this folder. */
#ifndef QUERN_EVENT_RESOLVE_H
#define QUERN_EVENT_RESOLVE_H

#include "libcommon/event/loop.h"
#include "libcommon/event/sock.h"

struct resolve;
/* 0 and the address, which is borrowed until the return, or why there is none. */
typedef void resolve_fn(void *arg, int code, const struct sock_addr *addr);

/* `done` follows, from the loop, once. Frees itself after. ERR_NOMEM, or no thread. */
int resolve_start(struct loop *loop, const char *address, resolve_fn *done, void *arg,
                  struct resolve **ret, struct err *err);
/* Nobody waits for it any more: `done` will not be called. */
void resolve_forget(struct resolve *resolve);

#endif
