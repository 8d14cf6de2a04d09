/* SPDX-License-Identifier: Apache-2.0
 * namenode: the one long-lived connection to the namenode.
 *
 *            connected          cluster and term known        registered, reported
 *   DOWN ----------------> JOINING ---------------> REGISTERING ---------------> UP
 *     ^      (on a thread: fresh volumes formatted,       |                      |
 *     |       a higher term made durable)                 |                      |
 *     +------------------------ connection lost, refused -+----------------------+
 *
 * On the way up: which cluster it is (another one's namenode ends this process), a term no smaller
 * than any we have obeyed, registration, then at once, in one turn, every replica we hold in pages
 * and which of them are bad. From then on changes go out at the end of the turn they happened in,
 * heartbeats as often as the namenode wants them. Whatever cannot be told because the connection is
 * down is covered by the next full report.
 *
 * Orders come back on the same connection; one of a smaller term than the highest we know is
 * refused: that namenode has been replaced and does not know it yet. Loop thread only. */
#ifndef QUERN_DN_TALK_NAMENODE_H
#define QUERN_DN_TALK_NAMENODE_H

#include "datanode/storage/movers.h"
#include "datanode/storage/storage.h"
#include "libcommon/proto/dn_nn/messages.h"
#include "libcommon/wire/rpc.h"

struct dn_namenode;

struct dn_namenode_conf {
    struct loop *loop;
    const char *address;         /* "host:port" */
    const struct identity *self; /* borrowed; its `cluster` is set when it is known */
    struct msg_node node;        /* how others reach us; borrowed texts */
    struct dn_storage *storage;
    struct dn_movers *movers;  /* for what it orders */
    struct dn_buffers *pieces; /* see orders.h */
    size_t piece_bytes;
    struct workq *disk_work;
    uint64_t timeout_ms;
    uint64_t copy_bytes_per_s; /* see orders.h */
    /* Registered for the first time. */
    void (*on_registered)(void *arg);
    /* It makes no sense to go on: wrong cluster. */
    void (*on_fatal)(void *arg, const struct err *err);
    void *arg;
};

int dn_namenode_open(const struct dn_namenode_conf *conf, struct dn_namenode **ret,
                     struct err *err);
/* Waits for copies (which are told to end) and recoveries under way by turning the loop; before the
 * serve side is closed. NULL is fine. */
void dn_namenode_close(struct dn_namenode *nn);

/* The storage's news (dn_storage_conf.on_change). */
void dn_namenode_change(struct dn_namenode *nn, enum dn_change change,
                        const struct dn_replica *replica);
/* Data directories came or went: they are told by registering again, and all replicas. */
void dn_namenode_volumes_changed(struct dn_namenode *nn);
void dn_namenode_set_copy_rate(struct dn_namenode *nn, uint64_t bytes_per_s);
uint64_t dn_namenode_copy_rate(const struct dn_namenode *nn);
/* Report now: everything, or the changes of this turn. Nothing while it is not up. */
void dn_namenode_report(struct dn_namenode *nn, bool is_full);
bool dn_namenode_is_up(const struct dn_namenode *nn);
/* Why it is not up: one line; "" when it is, or nothing has been tried yet. */
const char *dn_namenode_trouble(const struct dn_namenode *nn);

#endif
