/* SPDX-License-Identifier: Apache-2.0
 * journal: the front door of this folder for the daemon: one object that owns the namenode's
 * directories (dfs.namenode.name.dir), the log in them (editlog), the images (fsimage), the way
 * back from a crash (recover) and the writing of images meanwhile (checkpoint).
 *
 *   nn_journal_format    make the directories; refuses used or formatted ones unless forced
 *   nn_journal_open      lock, verify, load the newest image, replay the log into the state
 *   nn_journal_append    a record; it leaves for the disk at the end of this turn of the loop, with
 *                        all others of the turn; on_durable says when it is there
 *   nn_journal_checkpoint   an image of the state as it is now, by a forked child
 *
 * All on the loop's thread. */
#ifndef QUERN_NAMENODE_JOURNAL_JOURNAL_H
#define QUERN_NAMENODE_JOURNAL_JOURNAL_H

#include "libcommon/event/loop.h"
#include "libcommon/store/disk.h"
#include "namenode/journal/pages.h"
#include "namenode/journal/state.h"

#define NN_JOURNAL_DIRS_MAX 8

struct nn_journal;

struct nn_journal_options {
    struct disk *disk;       /* borrowed, as are the other pointers, for the journal's life */
    const char *const *dirs; /* at least one */
    size_t dir_count;
    struct nn_state *state; /* fresh from nn_state_init */
    struct loop *loop;
    uint64_t checkpoint_ms;      /* an image at least so often, when anything changed */
    uint64_t checkpoint_records; /* or after so many records */
    uint64_t segment_bytes;      /* 0 = the log's own default */
    /* All records up to `durable` are. */
    void (*on_durable)(void *arg, uint64_t durable);
    /* The last directory has failed: the process must end, now, with this line. */
    void (*on_failed)(void *arg, const struct err *err);
    /* The disk is full, or has room again: safe mode, or not. */
    void (*on_full)(void *arg, bool is_full);
    void *arg;
};

/* `cluster_id` NULL: a fresh one. ERR_EXIST: formatted already, and `force` is not set; ERR_BUSY:
 * in use by a running namenode, whatever `force` says. */
struct nn_journal_format {
    struct disk *disk;
    const char *const *dirs;
    size_t dir_count;
    const char *cluster_id;
    bool force;
    uint64_t segment_bytes;             /* 0 = the log's own default */
    const char *superuser, *supergroup; /* who owns "/" */
};
int nn_journal_format(const struct nn_journal_format *format, struct err *err);

/* On return the state is what the journal says. ERR_NOENT: not formatted. */
int nn_journal_open(const struct nn_journal_options *options, struct nn_journal **ret,
                    struct err *err);
const char *nn_journal_cluster_id(const struct nn_journal *journal);

/* 0 with the record's index; ERR_NOSPC, ERR_TOOBIG, ERR_NOMEM: nothing was appended. */
int nn_journal_append(struct nn_journal *journal, uint16_t type, struct slice payload,
                      uint64_t *ret_index, struct err *err);
uint64_t nn_journal_durable(const struct nn_journal *journal);
uint64_t nn_journal_last(const struct nn_journal *journal); /* appended */

/* Start one unless one is running; done(arg, err) when the image is there (err NULL) or not. */
typedef void nn_journal_done_fn(void *arg, const struct err *err);
int nn_journal_checkpoint(struct nn_journal *journal, nn_journal_done_fn *done, void *arg,
                          struct err *err);

/* The operator wants these directories (dfs.namenode.name.dir read again). Those that were dropped,
 * and new ones, are filled while serving and take part then; the others are given up, durably. done
 * (may be NULL) is called when all were tried: an error means that a new one will not do, and all
 * is as it was. A dropped one that still fails is told in the log. ERR_CONFIG, ERR_BUSY: nothing is
 * done. */
int nn_journal_set_dirs(struct nn_journal *journal, const char *const *paths, size_t count,
                        nn_journal_done_fn *done, void *arg, struct err *err);
/* Try the dropped directories once; or again and again (Hadoop's -restoreFailedStorage). */
void nn_journal_restore(struct nn_journal *journal);
void nn_journal_set_restore(struct nn_journal *journal, bool is_on);
bool nn_journal_wants_restore(const struct nn_journal *journal);
/* The image that there is: is it younger than window_ms, and fewer than `records` behind? */
bool nn_journal_image_is_fresh(const struct nn_journal *journal, uint64_t window_ms,
                               uint64_t records);
/* A new segment begins with the next record, whose index is the result. */
uint64_t nn_journal_roll(struct nn_journal *journal);
/* Image and log as files (pages.h): fills in from where, and starts. ERR_NOMEM. */
int nn_journal_pages(struct nn_journal *journal, struct nn_pages *pages);

/* No append after this. Calls stopped(arg) when everything appended is durable and no child runs.
 */
void nn_journal_stop(struct nn_journal *journal, loop_fn *stopped, void *arg);
/* Unlocks and frees. NULL is fine. Not stopped before: as if the process died. */
void nn_journal_close(struct nn_journal *journal);

/* For the status page: how the directories stand, the last image. */
struct nn_journal_dir {
    const char *path;
    bool is_alive;
};
size_t nn_journal_dirs(const struct nn_journal *journal, struct nn_journal_dir *ret, size_t cap);
uint64_t nn_journal_image_index(const struct nn_journal *journal);
bool nn_journal_is_full(const struct nn_journal *journal);

#endif
