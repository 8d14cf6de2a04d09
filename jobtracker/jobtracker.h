/* SPDX-License-Identifier: Apache-2.0
 * jobtracker: owns the modules, carries the core's effects out into the world.
 *
 *   serve/clients, serve/workers -> events/events (pure) -> effects -> serve/orders (to workers),
 *   journal/joblog, talk/namenode (publish), journal/history
 *
 * Loop thread only. Every event ends with jobtracker_carry_out. */
#ifndef QUERN_JOBTRACKER_JOBTRACKER_H
#define QUERN_JOBTRACKER_JOBTRACKER_H

#include "jobtracker/events/events.h"
#include "jobtracker/journal/blobs.h"
#include "jobtracker/journal/history.h"
#include "jobtracker/journal/joblog.h"
#include "libcommon/base/heap.h"
#include "libcommon/daemon/daemon.h"
#include "libcommon/daemon/racks.h"
#include "libcommon/event/workq.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/home.h"
#include "libcommon/wire/rpc.h"

struct jobtracker {
    struct daemon *daemon;
    struct loop *loop;
    struct disk *disk;
    struct workq *workq;
    struct identity self;    /* as workers and clients meet it: with its cluster, once known */
    struct identity unbound; /* as the namenode meets it, which says the cluster */
    char *dir;               /* first of jobtracker.dir: history and blobs live there */
    struct fsutil_lock locks[WAL_DIRS_MAX];
    struct version versions[WAL_DIRS_MAX]; /* of each directory; empty in a fresh one */
    size_t dir_count;
    struct joblog *log;
    struct blobs blobs;
    struct history history;
    struct rpc_service services[2]; /* clients, workers */
    struct rpc_server *server;
    struct rpc_link *namenode;
    struct racks *racks;
    struct list registering; /* workers whose rack is being asked for: serve/workers */
    struct jt_core core;
    uint64_t cluster_ms, epoch;
    uint64_t epoch_index;   /* of this life's EPOCH record */
    uint64_t last_index;    /* of the last record appended */
    struct list submits;    /* struct submit_wait: accepted, not yet durable */
    struct list changes;    /* struct change_wait: the same */
    struct hmap origins;    /* struct record, by who submitted it and under which number */
    struct list unwritten;  /* struct record: not yet in the history, oldest first */
    struct list publishing; /* struct record: PUBLISH waits for the disk, in order of its index */
    struct list ended;      /* struct record: END is on its way to the disk, in order */
    struct heap watchers;   /* those that are told of progress, by when they may be next */
    struct list over;       /* struct record: finished jobs still in memory, oldest first */
    size_t over_count;
    struct cl2jt_status *earlier; /* the newest jobs of lives before: serve/past; in earlier_room */
    size_t earlier_count;
    struct arena earlier_room;
    struct list endings; /* struct ending: over, and not yet history */
    struct loop_timer write_history;
    bool writes_history; /* of some of them, on the work queue */
    struct loop_timer tick;
    struct loop_timer retire; /* old history leaves */
    bool is_replaying;
    bool is_stopping;
};

/* Write a record; on failure the process ends (daemon_exit). Returns its index, or 0. */
uint64_t jobtracker_journal(struct jobtracker *jt, enum joblog_type type, const void *record);
/* Do what the core has asked for, until it asks for nothing more. */
void jobtracker_carry_out(struct jobtracker *jt);
/* The journal has moved on: publish what waited for its winners to be on disk. */
void jobtracker_publish_ready(struct jobtracker *jt);
uint64_t jobtracker_now(const struct jobtracker *jt);
struct task_attempt jobtracker_attempt_id(const struct jobtracker *jt,
                                          const struct jt_attempt *attempt);
struct attempt_id jobtracker_core_id(const struct task_attempt *id);

#endif
