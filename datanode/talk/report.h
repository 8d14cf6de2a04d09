/* SPDX-License-Identifier: Apache-2.0
 * report: what the namenode is told about our replicas and volumes.
 *
 * A full report is put together and sent within one turn of the loop, storage by storage, in pages:
 * so it is one consistent picture, and changes that happen later are told after it, on the same
 * connection, in order. When any of it is refused or lost while the connection stands, everything
 * is told anew (`start_over`). Loop thread only. */
#ifndef QUERN_DN_TALK_REPORT_H
#define QUERN_DN_TALK_REPORT_H

#include "datanode/storage/storage.h"
#include "libcommon/proto/dn_nn/messages.h"
#include "libcommon/wire/rpc.h"

struct dn_noted {
    enum dn_change change;
    uint64_t id, gs, len;
    uint16_t volume;
};

struct dn_report {
    struct dn_storage *storage;
    struct workq *disk_work;
    void (*start_over)(void *arg, const char *why);
    void *arg;
    struct rpc_peer *peer; /* NULL unless we are registered with it */
    uint64_t last_report_id;
    struct dn_noted *notes; /* this turn's changes */
    size_t note_count, note_cap;
    bool lost_notes;  /* out of memory: tell everything */
    struct list asks; /* messages on their way */
    bool is_looking;
};

void dn_report_init(struct dn_report *r, struct dn_storage *storage, struct workq *disk_work,
                    void (*start_over)(void *arg, const char *why), void *arg);
void dn_report_release(struct dn_report *r); /* not while busy */
bool dn_report_is_busy(const struct dn_report *r);

/* Registered: what follows goes to this peer. NULL: no longer; notes and messages under way are
 * forgotten. */
void dn_report_set_peer(struct dn_report *r, struct rpc_peer *peer);

/* All of these do nothing while there is no peer. */
/* All replicas, in pages, and before the last page of each storage which of them are bad. Forgets
 * what was noted. */
void dn_report_send_all(struct dn_report *r);
void dn_report_note(struct dn_report *r, enum dn_change change, const struct dn_replica *replica);
void dn_report_send_changes(struct dn_report *r);
/* A message whose answer says nothing (COPIED, RECOVERED); `at` is a DN2NN_AT_ number. */
void dn_report_tell(struct dn_report *r, unsigned at, const void *msg);

/* Fills up to DN_VOLUMES_MAX; borrows. Returns how many. */
size_t dn_report_storages(const struct dn_report *r, struct dn2nn_storage *ret);
uint64_t dn_report_non_dfs(const struct dn_report *r);
/* Ask the disks how full they are, on a thread; the next heartbeat will know. A disk that hangs
 * does not hold up heartbeats. */
void dn_report_look_at_disks(struct dn_report *r);

#endif
