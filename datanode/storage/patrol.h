/* SPDX-License-Identifier: Apache-2.0
 * patrol: goes the rounds (rounds.h): reads finalized replicas, a step at a time, and compares them
 * with their checksums. What is wrong is told like wrong bytes found by a reader (dn_storage_bad):
 * the namenode has it replaced, and has the bad one removed when that is done.
 *
 *     timer -> a step on a disk thread: up to 256 KiB of one block -> back on the loop: the next
 * one
 *
 * Each data directory has rounds of its own. How far they are is kept in DIR/current/patrol:
 *
 *     cursor=<id> \n began=<ms> \n done=<bytes> \n resting=<0|1> \n check=<crc32c of the lines
 * before>
 *
 * written once a minute and at the end of a round; one that is missing or damaged begins a new
 * round. Loop thread only. */
#ifndef QUERN_DN_STORAGE_PATROL_H
#define QUERN_DN_STORAGE_PATROL_H

#include "datanode/storage/rounds.h"
#include "datanode/storage/storage.h"

struct dn_patrol;
struct dn_patrol_conf {
    struct loop *loop;
    struct dn_storage *storage; /* its disk_work does the reading */
    struct dn_rounds_conf rounds;
};

/* NULL when memory is out. Blocks a little (its files); no block is read before dn_patrol_start. */
struct dn_patrol *dn_patrol_new(const struct dn_patrol_conf *conf);
/* The volumes are formatted and what is found can be told. Harmless when started. */
void dn_patrol_start(struct dn_patrol *patrol);
/* No further step; those under way end with the disk queue. NULL is fine. */
void dn_patrol_stop(struct dn_patrol *patrol);
/* Behind dn_patrol_stop, and when the disk queue has ended. NULL is fine. */
void dn_patrol_free(struct dn_patrol *patrol);

/* Directories came, or came back: they have rounds too. 0 or ERR_NOMEM (they have none then). */
int dn_patrol_volumes_changed(struct dn_patrol *patrol);

/* A block of which something is odd: it is verified next. */
void dn_patrol_suspect(struct dn_patrol *patrol, uint64_t id);
/* How far it is with a volume. */
struct dn_rounds_state dn_patrol_state(const struct dn_patrol *patrol, size_t volume);

#endif
