/* SPDX-License-Identifier: Apache-2.0
 * check: may this request be done, and what exactly would it do? The first half of every change:
 * looks at the state, changes nothing, and either says why not, in the words Hadoop's users know,
 * or fills the operation that is then appended and applied.
 *
 * All answer 0 (the operation is filled; slices in it borrow the request), NN_CHECK_NOTHING (the
 * wish is fulfilled already: answer as if done, append nothing), or an error. Paths are checked
 * here; repeats of recorded requests and safe mode are the caller's affair. */
#ifndef QUERN_NAMENODE_JOURNAL_CHECK_H
#define QUERN_NAMENODE_JOURNAL_CHECK_H

#include "libcommon/proto/cl_nn/messages.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/state.h"

#define NN_CHECK_NOTHING 1

struct nn_limits {
    uint32_t default_replication, min_replication, max_replication;
    uint64_t default_block_size, min_block_size;
    uint32_t max_name;   /* bytes of a new name */
    uint32_t max_items;  /* entries of a directory */
    uint32_t max_blocks; /* of a file */
    uint64_t lease_soft_ms;
    uint64_t atime_precision_ms; /* 0 = access times are not kept */
    bool umask_always;           /* also where a default list says who may */
};
void nn_limits_init(struct nn_limits *limits); /* Hadoop's defaults */

/* Who asks what state, when. */
struct nn_view {
    const struct nn_state *state;
    const struct nn_limits *limits;
    const struct nn_caller *caller;
    const char *address; /* the caller's, for messages */
    uint64_t wall_ms;    /* becomes the operation's at_ms */
    uint64_t mono_ms;
    uint64_t below; /* id of the directory below which the caller was found to be allowed */
};

/* ---- names: check_names.c ---- */
int nn_check_mkdir(const struct nn_view *view, const struct cl2nn_mkdir *ask, struct op_mkdir *ret,
                   struct err *err);
int nn_check_rename(const struct nn_view *view, const struct cl2nn_rename *ask,
                    struct op_rename *ret, struct err *err);
int nn_check_delete(const struct nn_view *view, const struct cl2nn_delete *ask,
                    struct op_delete *ret, struct err *err);
int nn_check_set_times(const struct nn_view *view, const struct cl2nn_set_times *ask,
                       struct op_set_times *ret, struct err *err);
int nn_check_set_replication(const struct nn_view *view, const struct cl2nn_set_replication *ask,
                             struct op_set_replication *ret, struct err *err);
int nn_check_set_mode(const struct nn_view *view, const struct cl2nn_set_mode *ask,
                      struct op_set_mode *ret, struct err *err);
int nn_check_set_owner(const struct nn_view *view, const struct cl2nn_set_owner *ask,
                       struct op_set_owner *ret, struct err *err);

union nn_op_xattr {
    struct op_set_xattr set;
    struct op_remove_xattr remove;
};

/* ---- quotas: check_quota.c ---- */
int nn_check_set_quota(const struct nn_view *view, const struct cl2nn_set_quota *ask,
                       struct op_set_quota *ret, struct err *err);
/* Fills op_remove_xattr when the quota is to go, else op_set_xattr; texts live in the arena. */
int nn_check_set_type_quota(const struct nn_view *view, const struct cl2nn_set_type_quota *ask,
                            struct arena *arena, union nn_op_xattr *ret, struct err *err);
/* May the components that are missing be made? */
int nn_check_quota_new(const struct nn_view *view, const struct nn_walk *walk, struct err *err);
int nn_check_quota_move(const struct nn_view *view, const struct nn_walk *from,
                        const struct nn_walk *to, struct err *err);
/* May the file have a further block, once its last one is settled at `previous_len`? */
int nn_check_quota_block(const struct nn_view *view, uint32_t slot, uint64_t previous_len,
                         struct err *err);
/* May the file's last block grow to a full one? */
int nn_check_quota_append(const struct nn_view *view, uint32_t slot, struct err *err);
/* May what begins at `off` give way to a block that may become a full one? */
int nn_check_quota_cut(const struct nn_view *view, uint32_t slot, uint64_t off, struct err *err);
/* May the target have the bytes of these sources, with as many replicas as its own? */
int nn_check_quota_concat(const struct nn_view *view, uint32_t target, const uint32_t *sources,
                          size_t count, struct err *err);
int nn_check_quota_replication(const struct nn_view *view, uint32_t slot, uint32_t replication,
                               struct err *err);

/* ---- extended attributes: check_xattr.c ---- */
/* One of the two operations is filled: *ret_op says which. */
int nn_check_set_xattr(const struct nn_view *view, const struct cl2nn_set_xattr *ask,
                       enum nn_op *ret_op, union nn_op_xattr *ret, struct err *err);
/* May the caller, who typed `path`, see and set it? Superusers all but the filesystem's own, raw
 * ones below /.reserved/raw; everybody the one that closes a file to superusers. */
bool nn_xattr_is_for(const struct nn_caller *caller, struct slice path, uint32_t space,
                     struct slice name);
bool nn_xattr_is_closing(uint32_t space, struct slice name);
int nn_xattr_refuse(uint32_t space, struct slice name, struct err *err);

/* ---- access control lists: check_acl.c ---- */
/* The entries of *ret live in `arena`. */
int nn_check_set_acl(const struct nn_view *view, const struct cl2nn_set_acl *ask,
                     struct arena *arena, struct op_set_acl *ret, struct err *err);
/* What is made in that directory gets: a default list takes the place of the umask. */
uint32_t nn_check_mode(const struct nn_view *view, uint32_t dir, uint32_t mode, uint32_t full_mode);

/* ---- files being written: check_files.c ---- */

/* ERR_LEASE: somebody else writes it. ERR_RETRY with *ret_takeover set to the file's slot: its
 * writer has been silent beyond the soft limit; begin its recovery, and let the caller come again.
 */
int nn_check_create(const struct nn_view *view, const struct cl2nn_create *ask,
                    struct op_create *ret, uint32_t *ret_takeover, struct err *err);
int nn_check_add_block(const struct nn_view *view, const struct cl2nn_add_block *ask,
                       struct op_add_block *ret, struct err *err);
int nn_check_abandon_block(const struct nn_view *view, const struct cl2nn_abandon_block *ask,
                           struct op_abandon_block *ret, struct err *err);
int nn_check_new_stamp(const struct nn_view *view, const struct cl2nn_new_stamp *ask,
                       struct op_stamp *ret, struct err *err);
int nn_check_update_pipeline(const struct nn_view *view, const struct cl2nn_update_pipeline *ask,
                             struct op_pipeline *ret, struct err *err);
int nn_check_flushed(const struct nn_view *view, const struct cl2nn_flushed *ask,
                     struct op_flush *ret, struct err *err);
/* Whether enough replicas are there is not looked at. */
int nn_check_complete(const struct nn_view *view, const struct cl2nn_complete *ask,
                      struct op_close *ret, struct err *err);
/* Somebody has that file open: why it cannot be opened now, in Hadoop's words. Codes and
 * *ret_takeover as nn_check_create. */
struct nn_opening {
    const char *verb; /* "APPEND_FILE" */
    struct slice path;
    uint64_t client;
    uint32_t slot;
};
int nn_check_held(const struct nn_view *view, const struct nn_opening *what, uint32_t *ret_takeover,
                  struct err *err);
/* The file of a writer who asks about it: its slot, or ERR_NOENT or ERR_LEASE. */
int nn_check_writer(const struct nn_view *view, uint64_t file_id, uint64_t client,
                    uint32_t *ret_slot, struct err *err);

/* ---- files that were closed: check_append.c ---- */

/* Codes and *ret_takeover as nn_check_create. Whether a replica is left to begin with is not looked
 * at. */
int nn_check_append(const struct nn_view *view, const struct cl2nn_append *ask,
                    struct op_append *ret, uint32_t *ret_takeover, struct err *err);
int nn_check_append_again(const struct nn_view *view, const struct cl2nn_again *ask,
                          struct op_prepare *ret, struct err *err);
int nn_check_switch(const struct nn_view *view, const struct cl2nn_switch *ask,
                    struct op_switch *ret, struct err *err);
/* NN_CHECK_NOTHING: with *ret_is_done it has that length, else it is being cut to it. */
int nn_check_truncate(const struct nn_view *view, const struct cl2nn_truncate *ask,
                      struct op_truncate *ret, bool *ret_is_done, uint32_t *ret_takeover,
                      struct err *err);
/* The list of *ret lives in `arena`. */
int nn_check_concat(const struct nn_view *view, const struct cl2nn_concat *ask, struct arena *arena,
                    struct op_concat *ret, struct err *err);

/* ---- a job's output: check_publish.c ---- */

/* `user_groups`: caller for ask->user, in whose name the output directory is written. The winners
 * array of *ret lives in `arena`. NN_CHECK_NOTHING: published before. */
int nn_check_publish(const struct nn_view *view, const struct cl2nn_publish *ask,
                     const struct nn_caller *user, struct arena *arena, struct op_publish *ret,
                     struct err *err);

/* ---- for those three files, and for reads ---- */

/* Can there be something? ERR_INVAL for what is no path, ERR_NOENT "File does not exist: /p" for
 * one beyond the limits. */
int nn_check_path(struct slice path, struct err *err);
/* The path of what is to be made: ERR_TOOBIG "mkdirs: Pathname too long. ..." (that is `verb`) for
 * one that is too long as a whole; of its names nn_check_room tells. */
int nn_check_new_path(struct slice path, const char *verb, struct err *err);
/* The walk to something that must be there, along directories the caller may pass through:
 * ERR_NOENT "File does not exist: /p", and what nn_check_path and nn_access_traverse answer. */
int nn_check_reach(const struct nn_view *view, struct slice path, struct nn_walk *ret,
                   struct err *err);
/* ERR_ISDIR "Path is not a file: /p" when what was reached is a directory. */
int nn_check_is_file(const struct nn_view *view, const struct nn_walk *walk, struct slice path,
                     struct err *err);
/* May these components be made below the deepest that exists? Lengths, depth, entries. */
int nn_check_room(const struct nn_view *view, const struct nn_walk *walk, struct err *err);

#endif
