/* SPDX-License-Identifier: Apache-2.0
 * namedir: one of the directories of dfs.namenode.name.dir: locked, and known for what it is.
 *
 *     in_use.lock   VERSION   watermark   log.<first index>...   image.<last index>...
 *
 * VERSION comes last when a directory is made and goes first when it is made anew, so a directory
 * without it is no name directory, whatever else a crash has left in it. */
#ifndef QUERN_NAMENODE_JOURNAL_NAMEDIR_H
#define QUERN_NAMENODE_JOURNAL_NAMEDIR_H

#include "libcommon/store/fsutil.h"
#include "libcommon/store/version.h"

#define NN_LAYOUT 1

enum nn_dir_state {
    NN_DIR_MISSING,    /* not there, or cannot be read */
    NN_DIR_EMPTY,      /* nothing in it */
    NN_DIR_UNFINISHED, /* only files of ours, but no VERSION */
    NN_DIR_FOREIGN,    /* somebody's files */
    NN_DIR_FORMATTED,
};

struct nn_namedir {
    struct disk *disk;
    const char *path; /* borrowed */
    struct fsutil_lock lock;
    enum nn_dir_state state;
    struct version version; /* when FORMATTED */
};

/* Lock it (unless it is missing) and look. ERR_BUSY: in use. ERR_CORRUPT, ERR_VERSION: its VERSION
 * is damaged, of a later quern or of another daemon. */
int nn_namedir_open(struct nn_namedir *dir, struct disk *disk, const char *path, struct err *err);
void nn_namedir_close(struct nn_namedir *dir); /* unlocks; a zeroed one is harmless */

/* Remove what is ours, VERSION first and durably. */
int nn_namedir_clear(struct nn_namedir *dir, struct err *err);
/* Make it FORMATTED: the last step, when its log is there. */
int nn_namedir_finish(struct nn_namedir *dir, const char *cluster_id, uint64_t wall_ms,
                      struct err *err);
/* Why nothing may be put in it without -force: it is formatted, or full of other files. ERR_EXIST.
 */
int nn_namedir_refuse(const struct nn_namedir *dir, struct err *err);
/* Was the VERSION of a FORMATTED one made with the log beside it? ERR_FOREIGN: it was not. */
int nn_namedir_check_log(const struct nn_namedir *dir, struct err *err);
/* Remove unfinished images: `image.*.new` and `image.*.tmp`. */
int nn_namedir_tidy(struct nn_namedir *dir, struct err *err);

#endif
