/* SPDX-License-Identifier: Apache-2.0
 * fake_cluster: a namenode and datanodes in one process, on real sockets, small enough to misbehave
 * on purpose. Blocks live in memory; a chain of datanodes is the first one writing into all of
 * them. Everything is guarded by one lock; each connection has a thread. */
#ifndef QUERN_TEST_FAKE_CLUSTER_H
#define QUERN_TEST_FAKE_CLUSTER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/lib/handle.h"
#include "libcommon/base/clock.h"
#include "libcommon/event/sock.h"
#include "libcommon/event/thread.h"
#include "libcommon/wire/hello.h"

#define FAKE_NODES   3
#define FAKE_ALL     5 /* with those that only replace others */
#define FAKE_BLOCKS  64
#define FAKE_THREADS 4096
#define FAKE_WAIT    (clock_mono_ms() + 20000)

struct fake_replica {
    bool is_there, is_final;
    uint64_t id, gs, acked;
    uint64_t damaged; /* its first wrong byte; UINT64_MAX: none */
    struct buf data;
};
struct fake_node {
    char name[16], tcp[SOCK_TEXT_MAX], sock[64];
    uint32_t port;
    int listeners[2];
    struct fake_replica replicas[FAKE_BLOCKS];
    /* how it misbehaves */
    bool is_down;     /* accepts and hangs up */
    bool is_mute;     /* accepts and says nothing */
    int mute_packet;  /* says nothing any more from the middle of the n-th packet it is to send */
    bool refuses;     /* answers every WRITE with a reason */
    int refuse_code;  /* ... this one; 0 = no space */
    unsigned refused; /* set-ups it headed that somebody refused */
    int fail_packet;  /* the n-th packet with data from now on gets this node's bad status */
    int fail_code;
    int close_packet;    /* the connection is cut at the n-th packet from now on */
    uint32_t packet_ms;  /* waits so long before each packet it sends */
    bool corrupts;       /* flips a bit in what it reads */
    bool has_bad_memory; /* what it writes is wrong, and nobody notices before it is verified */
    bool loses;          /* what it has of a block is wrong when it is to go elsewhere */
    unsigned reads, local_reads, writes, ring_writes, transfers;
};
struct fake_block {
    uint64_t id, gs, len;
    bool is_abandoned;
    char nodes[FAKE_ALL][16];
    uint32_t node_count;
};
extern struct fake {
    struct mutex lock;
    struct fake_node nodes[FAKE_ALL];
    struct fake_block blocks[FAKE_BLOCKS];
    uint32_t block_count;
    uint32_t replication;
    uint64_t block_size, next_gs, file_len, file_id;
    bool exists, is_complete, same_host;
    unsigned renews, bad_reports, stamps, flushes, deletes, extras, adds;
    unsigned nowhere; /* so many questions for places are answered with none */
    unsigned spares;  /* further nodes, to replace others */
    char last_bad[16];
    int nn_listener;
    char nn_address[SOCK_TEXT_MAX];
    struct thread threads[FAKE_THREADS];
    unsigned thread_count;
    _Atomic bool is_ending;
    unsigned generation; /* of tests: a conversation begun in an earlier one is over */
    struct identity self;
    char self_node[64], self_user[64], self_boot[64]; /* every client writes identity_init's own */
} fake;

void fake_start(void);
/* All clients must have hung up. */
void fake_stop(void);
/* Everything as new, all nodes well. */
void fake_reset(void);
/* The same for cmocka: of a group, and before each of its cases. */
int fake_set_up(void **state);
int fake_tear_down(void **state);
int fake_fresh(void **state);
/* A handle on it, as node `node` (NULL = elsewhere). */
struct qn_fs *fake_connect_with(const char *node, const char *key, const char *value);
struct qn_fs *fake_connect(const char *node);
/* What a node has of a block; NULL = nothing, unless it is to be made. */
struct fake_replica *fake_replica_of(struct fake_node *node, uint64_t id, bool make);

#endif
