/* SPDX-License-Identifier: Apache-2.0
 * ready: telling whoever started us that we serve, or why not. Three listeners, any of them: the
 * parent that --detach left in front, the descriptor of --ready-fd, systemd's $NOTIFY_SOCKET.
 *
 * On a descriptor goes one line: "ok\n", or "error: <why>\n". A descriptor that closes without a
 * word means the daemon died. */
#ifndef QUERN_DAEMON_READY_H
#define QUERN_DAEMON_READY_H

#include "libcommon/base/err.h"

struct ready {
    int fd; /* -1 = nobody waits there, or he was told */
};
#define READY_INIT ((struct ready){-1})

/* Fork; the parent never returns: it waits for the child's word, prints an error as "program: why"
 * and exits with 0 or 1. The child returns 0, in a session of its own, with stdin from /dev/null.
 */
int ready_detach(struct ready *ready, const char *program, struct err *err);

/* How another program starts a daemon and waits: reads the word from fd. 0; ERR_FAILED with the
 * daemon's line in err; ERR_TIMEOUT; ERR_CLOSED (it died without a word). */
int ready_wait(int fd, uint64_t deadline_ms, struct err *err);

void ready_ok(struct ready *ready);
void ready_failed(struct ready *ready, const char *why);
/* "STOPPING=1", "RELOADING=1" for systemd. */
void ready_notify(const char *state);

#endif
