/* SPDX-License-Identifier: Apache-2.0
 * storage: the front door of this folder. One map of replicas over all volumes, who has which block
 * in hand, and the news of it for the namenode.
 *
 * Loop thread only, but where it says "blocks". Files are touched on threads, by whoever holds the
 * block's claim; the map is changed here, before or after, so that it never says more than the
 * disk:
 *
 *   a new block        add (RBW, nothing visible) ... files made, chain stands -> began
 *   its end            files finalized and durable -> finalized; else left (stays RBW)
 *   it never was       discard
 *   a recovered one    resume, or promise ... settle, with the new stamp already durable
 *   deletion           remove: out of the map first, then the files */
#ifndef QUERN_DN_STORAGE_STORAGE_H
#define QUERN_DN_STORAGE_STORAGE_H

#include "datanode/storage/buffers.h"
#include "datanode/storage/claims.h"
#include "datanode/storage/replica.h"
#include "datanode/storage/volumes.h"
#include "datanode/storage/writing.h"
#include "libcommon/event/workq.h"

enum dn_change {
    DN_CHANGE_RECEIVING, /* being written, or its stamp moved */
    DN_CHANGE_RECEIVED,  /* finalized, durable */
    DN_CHANGE_DELETED,
    DN_CHANGE_BAD,
};

struct dn_storage_conf {
    struct disk *disk;
    struct dn_volumes_conf volumes;
    struct workq *disk_work; /* for what blocks; borrowed */
    /* News. `replica` is borrowed, and as it is after the change (before, for DELETED). */
    void (*on_change)(void *arg, enum dn_change change, const struct dn_replica *replica);
    /* A data directory has failed (suspect.h). NULL: nobody wants to know. */
    void (*on_volume_failed)(void *arg, const struct dn_volume *volume);
    /* Something is odd about this replica: it should be verified soon. NULL: nobody does that. */
    void (*on_suspect)(void *arg, uint64_t id);
    void *arg;
};

struct dn_storage {
    struct dn_storage_conf conf;
    struct dn_volumes *volumes;
    struct dn_replicas replicas;
    struct dn_claims claims;
    uint64_t bad_count; /* replicas found bad since the start */
    /* Second replicas of blocks in the map, in another directory (twins.h). */
    struct dn_replica *twins;
    size_t twin_count, twin_cap;
};

/* Opens and scans the volumes. Blocks; before the loop serves. */
int dn_storage_open(const struct dn_storage_conf *conf, struct dn_storage **ret, struct err *err);
/* Nothing may be in hand. NULL is fine. */
void dn_storage_close(struct dn_storage *storage);

static inline struct dn_volume *dn_storage_volume(const struct dn_storage *s,
                                                  const struct dn_replica *replica)
{
    return s->volumes->v[replica->volume];
}
enum dn_dir dn_storage_dir_of(const struct dn_replica *replica);
struct dn_replica *dn_storage_find(const struct dn_storage *s, uint64_t id);

/* A new replica, RBW or TEMPORARY, on a volume with room for max_len bytes. The caller has the
 * block's claim. ERR_EXIST, ERR_NOSPC, ERR_NOMEM, with a line for the asker. */
struct dn_storage_new {
    uint64_t id, gs, max_len;
    enum dn_replica_event event;     /* CREATE or COPY */
    const struct dn_replica *beside; /* on the same volume as this one, if it has room; or NULL */
};
int dn_storage_add(struct dn_storage *s, const struct dn_storage_new *what, struct dn_replica **ret,
                   struct err *err);
void dn_storage_began(struct dn_storage *s, const struct dn_replica *replica);
/* The writer is gone; `len` bytes are in the files. */
void dn_storage_left(struct dn_storage *s, struct dn_replica *replica, uint64_t len);
void dn_storage_finalized(struct dn_storage *s, struct dn_replica *replica, uint64_t len);
/* A copy of a block that is being written has come whole: it is RBW from here on. */
void dn_storage_converted(struct dn_storage *s, struct dn_replica *replica, uint64_t len);
void dn_storage_discard(struct dn_storage *s, struct dn_replica *replica);

/* RBW again under a new stamp (dn_replica_resume), with new shared files. */
struct dn_storage_resume {
    uint64_t gs, new_gs, len, max_len;
    struct dn_writing *writing; /* takes a reference of its own */
};
int dn_storage_resume(struct dn_storage *s, struct dn_replica *replica,
                      const struct dn_storage_resume *how);
/* RUR, promised to new_gs (dn_replica_promise). */
int dn_storage_promise(struct dn_storage *s, struct dn_replica *replica, uint64_t new_gs,
                       uint64_t verified_len);
/* RUR with new stamp and length (dn_replica_restamped). */
void dn_storage_restamped(struct dn_storage *s, struct dn_replica *replica, uint64_t new_gs,
                          uint64_t new_len);
/* FINALIZED with new stamp and length (dn_replica_settle). */
int dn_storage_settle(struct dn_storage *s, struct dn_replica *replica, uint64_t new_gs,
                      uint64_t new_len);

/* Found on a disk. Of two volumes with one block the greater stamp counts; the other one is noted
 * among the twins. 0 or ERR_NOMEM. */
int dn_storage_take_in(struct dn_storage *s, const struct dn_replica *found);
/* 0 or ERR_NOMEM. */
int dn_storage_note_twin(struct dn_storage *s, const struct dn_replica *twin);
/* Its files are gone. / It counts from now on: the one that did is gone, its files too. The second
 * may be ERR_NOMEM when there was none any more. */
void dn_storage_twin_removed(struct dn_storage *s, const struct dn_replica *twin);
int dn_storage_twin_counts(struct dn_storage *s, const struct dn_replica *twin);
/* Of a directory that goes. */
void dn_storage_forget_twins(struct dn_storage *s, uint16_t volume);
/* Out of the map, files untouched, nobody told: its directory goes. Nobody has it in hand. */
void dn_storage_forget(struct dn_storage *s, struct dn_replica *replica);

/* The census: its files are gone; a finalized one that nobody knew is there (0 or ERR_NOMEM). */
void dn_storage_vanished(struct dn_storage *s, struct dn_replica *replica);
int dn_storage_appeared(struct dn_storage *s, const struct dn_replica *found);

/* It is in another directory now, durably (shift.h): told as gone there and come here. */
void dn_storage_shifted(struct dn_storage *s, struct dn_replica *replica, struct dn_volume *to);
/* Is it still what it was, where it was? Else a failure to read its files proves nothing. */
bool dn_storage_is_still(const struct dn_storage *s, const struct dn_replica *was);

/* Wrong bytes were found. Told once per replica; harmless for one that is gone or has another
 * stamp. */
void dn_storage_bad(struct dn_storage *s, uint64_t id, uint64_t gs);

/* A copy of it, or its checksums asked for, failed in a way that may be our disk's fault. */
void dn_storage_suspect(struct dn_storage *s, uint64_t id);

/* Delete exactly this replica: a writer of it is stopped first; another stamp stays. The files go
 * on a thread, then the news. 0 or ERR_NOMEM. */
int dn_storage_remove(struct dn_storage *s, uint64_t id, uint64_t gs);

#endif
