/* SPDX-License-Identifier: Apache-2.0
 * peer: a worker that says word by word what a test has written down for it, after a hello and an
 * answer to FETCH as a worker gives them. One thread, one connection at a time: the first one has
 * the first talk, the next one the next, the last talk again and again. */
#ifndef QUERN_TESTS_WORKER_SHUFFLE_PEER_H
#define QUERN_TESTS_WORKER_SHUFFLE_PEER_H

#include <stdatomic.h>

#include "libcommon/event/thread.h"
#include "libcommon/proto/shuffle/messages.h"
#include "libcommon/wire/hello.h"
#include "worker/run/writer.h"

/* Read one frame, whole; `in` has its bytes. */
int peer_read_frame(int fd, struct buf *in, struct frame *frame);
int peer_answer_hello(int fd, const struct identity *self, struct buf *in);
/* Says yes to FETCH. */
int peer_answer_fetch(int fd, const struct frame *fetch);

enum peer_end { THEN_END, THEN_HANG_UP, THEN_STAY };

/* A header and what follows it. */
struct said {
    struct shuffle_header header;
    const void *bytes;
    size_t len;
    bool has_fd; /* with the header comes: */
    int fd;
    bool has_two;    /* the same one twice */
    bool is_garbled; /* its header */
    bool waits;      /* in the middle of the bytes (without any: before the header), for the gate */
};
struct talk {
    const struct said *said;
    size_t count;
    enum peer_end then;
};

struct peer {
    const struct identity *self;
    const struct talk *talks;
    size_t talk_count;
    char address[128]; /* where it listens */
    int listen_fd;
    struct thread thread;
    atomic_bool stop, gate; /* open the gate: those who wait go on */
    atomic_uint connections, hang_ups, waiting, had;
    atomic_bool was_asked_for_fds;
    uint64_t cluster_ms; /* of whose outputs it was asked last; with peer_stop */
    uint64_t job;
    uint32_t stage;
};

/* A map's output: a run whose records are keys. */
struct output {
    int fd;
    uint64_t len;
    struct run_part *parts;
    uint8_t *bytes;
};
/* `records` of each partition, into `fd`. */
void output_make(struct output *output, int fd, const uint32_t *records, uint32_t partitions);
void output_release(struct output *output);
struct said output_bytes(const struct output *output, uint32_t map, uint32_t attempt, uint32_t p);
/* The descriptor goes with the first one said of a map. */
struct said output_passed(const struct output *output, uint32_t map, uint32_t p, bool is_first);

void peer_start(struct peer *peer, const char *address, const struct talk *talks, size_t count);
void peer_stop(struct peer *peer);
/* Until `count` is at least `least`: half a minute at most, and that only if it never will be. */
bool peer_waits_for(atomic_uint *count, unsigned least);

#endif
