/* SPDX-License-Identifier: Apache-2.0
 * volumes: all data directories of this node, as one store. They belong to one cluster and one
 * node; fresh ones join the others. */
#ifndef QUERN_DN_STORAGE_VOLUMES_H
#define QUERN_DN_STORAGE_VOLUMES_H

#include "datanode/storage/choose.h"
#include "datanode/storage/volume.h"

#define DN_VOLUMES_MAX 256U

struct dn_volumes {
    struct dn_volume *v[DN_VOLUMES_MAX];
    size_t count;
    struct dn_identity identity;     /* term: the highest found */
    char cluster_id[VERSION_ID_MAX]; /* "" while all are fresh */
    uint64_t reserved_bytes;         /* left free on each disk */
    int64_t failed_tolerated;
    struct dn_chooser chooser;
};

/* Opens all or none, but that `failed_tolerated` of them may be lost to their disks: those count as
 * failed. One that is not ours to use (locked, foreign, newer, damaged) is never passed over.
 * ERR_FOREIGN and ERR_CONFIG name the two directories that do not go together. */
struct dn_volumes_conf {
    const char *const *paths;
    size_t count;
    uint64_t reserved_bytes;
    int64_t failed_tolerated; /* -1: all but one */
    struct dn_choosing_conf choosing;
};
int dn_volumes_open(struct disk *disk, const struct dn_volumes_conf *conf, struct dn_volumes **ret,
                    struct err *err);
void dn_volumes_close(struct dn_volumes *volumes); /* NULL is fine */

/* The namenode `other` says which cluster this is. Fresh volumes are formatted for it; ERR_FOREIGN
 * when the others belong to another one: "wrong disk, or wrong namenode". Blocks; on a thread,
 * before anything is served. The loop sets cluster_id behind it. */
int dn_volumes_join(const struct dn_volumes *volumes, const char *cluster_id, const char *other,
                    uint64_t now_wall_ms, struct err *err);
/* A higher term was seen: 0 when it is on disk. Blocks; any thread. The loop sets identity.term
 * behind it. */
int dn_volumes_keep_term(const struct dn_volumes *volumes, uint64_t term, struct err *err);

/* A disk does not let us use one of the directories: may it be lost? */
bool dn_volumes_can_lose(const struct dn_volumes *volumes, int code);

/* Has it room for so many bytes, beside what is promised to others? */
bool dn_volumes_has_room(const struct dn_volumes *volumes, struct dn_volume *volume,
                         uint64_t bytes);
/* How many have failed, of how many, and is that too many? Removed ones do not count. */
size_t dn_volumes_failed(const struct dn_volumes *volumes);
size_t dn_volumes_configured(const struct dn_volumes *volumes);
bool dn_volumes_are_too_few(const struct dn_volumes *volumes);

/* Where a block of this size goes (choose.h): one that has room for it beside what is promised to
 * others. NULL when none has. */
struct dn_volume *dn_volumes_choose(struct dn_volumes *volumes, uint64_t bytes);
/* Bytes a volume has for blocks: what was free when last looked, less what is reserved. */
uint64_t dn_volumes_remaining(const struct dn_volumes *volumes, const struct dn_volume *volume);

#endif
