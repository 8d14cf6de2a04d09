/* SPDX-License-Identifier: Apache-2.0
 * blocks: the data port and the unix socket: who connects, what they ask, who serves it.
 *
 *   accept -> session (hello, requests) -> one of
 *      serve/write    WRITE, LOCAL_WRITE               a mover's thread, the block's claim
 *      serve/read     READ, LOCAL_READ                 a mover's thread
 *      serve/recover  RECOVER_INIT, RECOVER_COMMIT     the block's claim, a disk thread
 *      serve/transfer TRANSFER                         the block's claim, a mover's thread
 *      serve/ask      REPLICA, CHECKSUM                the loop; a disk thread
 *      serve/operator RECONFIG, LEVEL                  the loop; superusers only
 *
 * Requests are refused with ERR_RETRY until the node is registered: before that it does not know
 * whose blocks it holds. Loop thread only. */
#ifndef QUERN_DN_SERVE_BLOCKS_H
#define QUERN_DN_SERVE_BLOCKS_H

#include "datanode/serve/session.h"
#include "datanode/storage/level.h"
#include "datanode/storage/movers.h"
#include "datanode/storage/storage.h"
#include "libcommon/event/listen.h"
#include "libcommon/proto/data/packet.h"

struct dn_serve_conf {
    struct loop *loop;
    struct dn_storage *storage;
    struct workq *disk_work;
    const struct identity *self;
    const char *node;         /* our name in answers and blame */
    const char *tcp_address;  /* to listen on */
    const char *unix_address; /* "" = no unix socket; "_PORT" in it becomes the data port */
    unsigned threads_max;
    size_t ring_bytes;   /* in flight per write that comes over a socket */
    size_t piece_bytes;  /* per packet to readers */
    uint32_t direct_min; /* see blockfile.h */
    uint64_t timeout_ms; /* a peer silent for so long is given up */
    /* For operators: who is one besides the user of this process, and what they ask for. */
    const char *supergroup;
    int (*reconfig)(void *arg, uint32_t action, struct arena *arena, struct msg_reconfigured *ret,
                    struct err *err);
    struct dn_level *level; /* NULL: none here */
    int (*manage)(void *arg, uint32_t action, struct arena *arena, struct data_managed *ret,
                  struct err *err);
    void *arg;
};

struct dn_serve {
    struct dn_serve_conf conf;
    struct dn_session_conf session_conf;
    struct dn_movers *movers;
    struct dn_buffers *rings, *pieces;
    struct listener *tcp, *local;
    struct list sessions, writes, transfers;
    size_t session_count;
    struct loop_timer trim;
    bool is_registered, is_closing;
};

/* Listens; serves once dn_serve_registered was called. */
int dn_serve_open(const struct dn_serve_conf *conf, struct dn_serve **ret, struct err *err);
void dn_serve_registered(struct dn_serve *serve);
uint16_t dn_serve_port(const struct dn_serve *serve);
const char *dn_serve_socket(const struct dn_serve *serve); /* path of the unix socket, or "" */
/* Tells everything under way to end, and waits for it by turning the loop; then frees. NULL is
 * fine. */
void dn_serve_close(struct dn_serve *serve);

/* Transfers under way are to end soon. */
void dn_transfer_cancel_all(struct dn_serve *serve);

/* The rows of the dispatch table: each takes over the request (session.h says how it may end). */
typedef void dn_serve_handler(struct dn_serve *serve, struct dn_session *session, const void *ask);
dn_serve_handler dn_serve_write, dn_serve_local_write, dn_serve_read, dn_serve_local_read,
    dn_serve_recover_init, dn_serve_recover_commit, dn_serve_replica, dn_serve_checksum,
    dn_serve_reconfig, dn_serve_transfer, dn_serve_level, dn_serve_manage;

#endif
