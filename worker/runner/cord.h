/* SPDX-License-Identifier: Apache-2.0
 * cord: the conversation of proto/task over a socket pair, blocking: the runner's end of it, and
 * both ends under the local driver. Messages are single frames; descriptors travel with the first
 * byte. */
#ifndef QUERN_WORKER_RUNNER_CORD_H
#define QUERN_WORKER_RUNNER_CORD_H

#include "libcommon/event/sock.h"
#include "libcommon/wire/frame.h"

#define CORD_FD      3 /* in a runner */
#define CORD_SEND_MS 60000U

/* What comes with RUN, in this order. */
enum cord_run_fd { CORD_PAGE, CORD_LOG, CORD_MEMFD };

/* Descriptors are borrowed. */
int cord_send(int fd, const struct msg_method *method, const void *msg, const int *fds,
              size_t fd_count, struct err *err);
/* The next frame; waits for it. *ret's body borrows `in`, which is overwritten; the descriptors are
 * given. ERR_EOF: the other end is gone. */
int cord_recv(int fd, struct buf *in, struct frame *ret, struct sock_fds *ret_fds, struct err *err);

#endif
