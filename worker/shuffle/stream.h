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
    /* Before a segment's bytes are taken: false = not wanted (any more). True: it is ours to bring,
     * nobody else will, until settle says whether it is kept in the pieces now, or came to nothing.
     */
    bool (*claim)(void *arg, uint32_t map, uint64_t partition);
    void (*settle)(void *arg, const struct piece *piece, bool is_passed, bool is_kept);
    /* Of the partitions asked for, `partition` and those behind it, `count` in all, hold nothing.
     */
    void (*empty)(void *arg, uint32_t map, uint64_t partition, uint64_t count);
    /* Are segments overdue there? A stream from which nothing is expected may stay silent. */
    bool (*expects)(void *arg);
    void *arg;
    atomic_int *fd; /* the socket while it is open, so that others may shut it down; -1 else */
};

/* 0: the worker has sent everything it has. Else what went wrong, with the address in err. */
int stream_run(const struct stream_conf *conf, struct err *err);

#endif
