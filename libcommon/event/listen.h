/* SPDX-License-Identifier: Apache-2.0
 * listen: an accepting socket on a loop. */
#ifndef QUERN_EVENT_LISTEN_H
#define QUERN_EVENT_LISTEN_H

#include "libcommon/event/loop.h"
#include "libcommon/event/sock.h"

struct listener;
/* Takes fd: connected, non-blocking, close-on-exec. */
typedef void listen_fn(int fd, const struct sock_addr *peer, void *arg);

struct listen_conf {
    const char *address; /* see sock.h; port 0 = any free one */
    unsigned unix_mode;  /* permissions of a unix socket's path; 0 = 0600 */
    listen_fn *on_accept;
    void *arg;
};

/* ERR_BUSY when the address is taken: "127.0.0.1:8020 is taken by process 4711 (java)"; a unix
 * socket's path that nobody listens on any more is replaced. ERR_INVAL, ERR_ACCESS, ... likewise
 * name the address. Running out of descriptors pauses accepting for a moment. */
int listen_open(struct loop *loop, const struct listen_conf *conf, struct listener **ret,
                struct err *err);
/* What was bound: "127.0.0.1:41234" or the path. Valid until closed. */
const char *listen_address(const struct listener *listener);
uint16_t listen_port(const struct listener *listener); /* 0 for a unix socket */
/* Stops accepting, removes a unix socket's path. Not from inside on_accept. NULL is fine. */
void listen_close(struct listener *listener);

/* Could somebody listen on that port now? Bound for a moment without listening, which is in the way
 * of nobody who begins to at the same time. */
int listen_try(const char *address, struct err *err);
/* Just the bound, listening, non-blocking socket and its address (*ret_bound). */
int listen_socket(const char *address, unsigned unix_mode, int *ret_fd,
                  char ret_bound[SOCK_TEXT_MAX], struct err *err);

#endif
