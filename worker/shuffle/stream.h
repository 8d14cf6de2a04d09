/* SPDX-License-Identifier: Apache-2.0
 * stream: one worker's segments, from the hello to the last byte. Blocks; runs on a thread of its
 * own (fetch.c). The bytes are told in libcommon/proto/shuffle. */
#ifndef QUERN_WORKER_SHUFFLE_STREAM_H
#define QUERN_WORKER_SHUFFLE_STREAM_H

#include <stdatomic.h>

#include "libcommon/proto/shuffle/messages.h"
#include "libcommon/wire/hello.h"
#include "worker/shuffle/pieces.h"

struct stream_conf {
    const char *address; /* host:port, or the path of a unix socket: then descriptors are passed */
    const struct identity *self;
    const struct shuffle_fetch *ask;
    struct pieces *pieces;
    uint32_t stall_ms;
    /* Is this segment still wanted? Asked before its bytes are taken. */
    bool (*wants)(void *arg, uint32_t map, uint64_t partition);
    /* Its bytes are whole. Says whether it is (still) wanted and counts it as held when so. */
    bool (*claim)(void *arg, uint32_t map, uint64_t partition, uint64_t len, bool is_passed);
    /* Are segments overdue there? A stream from which nothing is expected may stay silent. */
    bool (*expects)(void *arg);
    void *arg;
    atomic_int *fd; /* the socket while it is open, so that others may shut it down; -1 else */
};

/* 0: the worker has sent everything it has. Else what went wrong, with the address in err. */
int stream_run(const struct stream_conf *conf, struct err *err);

#endif
