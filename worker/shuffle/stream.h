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
    /* Before a segment's bytes are taken: false = not wanted (any more). */
    bool (*wants)(void *arg, const struct shuffle_header *header);
    /* It is whole and good: takes it into the pieces, from the slot it was received into or (NULL)
     * as one passed. ERR_EXIST: it is there from somewhere else by now; nothing is taken. */
    int (*keep)(void *arg, const struct piece *piece, struct pieces_slot *slot);
    /* Of the partitions asked for, `partition` and those behind it, `count` in all, hold nothing.
     */
    void (*empty)(void *arg, uint32_t map, uint64_t partition, uint64_t count);
    /* Are segments overdue there? A stream from which nothing is expected may stay silent. */
    bool (*expects)(void *arg);
    void *arg;
    atomic_int *fd; /* the socket from the first moment on, for others to shut down; -1 = none */
};

/* 0: the worker has sent everything it has. Else what went wrong, with the address in err. */
int stream_run(const struct stream_conf *conf, struct err *err);

#endif
