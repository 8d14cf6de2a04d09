/* SPDX-License-Identifier: Apache-2.0
 * sandbox: where attempts live on disk, and as whom.
 *
 *   DIR/plugins/<sha256>.so
 *   DIR/jobs/<job>/<sha256>        a side file; removed with the job
 *   DIR/jobs/<job>/runner_<n>/     one in each good directory, for the attempts of one process; it
 *                                  is empty when the next one begins
 *   DIR/logs/<job>/<attempt>.log   kept for worker.log.retain; none of an attempt that was silent
 */
#ifndef QUERN_WORKER_TASK_SANDBOX_H
#define QUERN_WORKER_TASK_SANDBOX_H

#include "worker/worker.h"

/* Who a task runs as. is_same: nobody else than the worker itself. */
struct task_user {
    bool is_same;
    uid_t uid;
    gid_t gid;
    char name[64];
};

/* Makes and locks the directories; at least one must be good. Removes what a crash left. */
int sandbox_open(struct worker *worker, struct err *err);
/* The jobtracker `other` says which cluster this is: compared with every directory, and written
 * down in fresh ones. ERR_FOREIGN: this worker must end. */
int sandbox_join(struct worker *worker, const char *cluster_id, const char *other, struct err *err);
void sandbox_close(struct worker *worker);
/* The first good directory from `from` on: its place in worker->dirs; WORKER_DIRS_MAX when none is
 * left. */
size_t sandbox_good_dir(const struct worker *worker, size_t from);
/* It has failed: left alone from now on. */
void sandbox_give_up(struct worker *worker, size_t dir, const struct err *why);
/* A worker that is root runs a task as its submitter, or as worker.task.user when the submitter is
 * root or has no account here; it refuses (ERR_CONFIG) when there is nobody to be. Any other
 * worker runs tasks as itself. */
int sandbox_user(const struct worker *worker, const char *submitter, struct task_user *ret,
                 struct err *err);

/* A process's own directories, best first; zeroed = none. */
struct task_dirs {
    char **v;
    size_t count;
    char name[32];
};
/* A directory in which none can be made is left out: for good, when it fails; this time, when it is
 * full. ERR_NONODE: none is left. */
int sandbox_make(struct worker *worker, const char *job, const struct task_user *user,
                 struct task_dirs *ret, struct err *err);
/* May another attempt begin in them: are they empty, and their disks as good as they were? */
bool sandbox_is_clean(const struct worker *worker, const struct task_dirs *dirs);
/* They are no longer wanted: removed, or (is_kept) left for sandbox_remove_job, because a map
 * output lies there. */
void sandbox_drop(struct worker *worker, const char *job, struct task_dirs *dirs, bool is_kept);
void sandbox_remove_job(struct worker *worker, const char *job);

/* A log that attempts append to. It has no name until one of them has printed something, so the
 * many that print nothing cost nothing. fd -1 = none. */
struct task_log {
    int fd;
    size_t dir; /* in worker->dirs */
    bool is_named;
};
/* `attempt`: its name at once, where the filesystem has no files without one. */
int sandbox_open_log(struct worker *worker, const char *job, const char *attempt,
                     struct task_log *ret, struct err *err);
/* Give it the attempt's name if anything is in it. True: it has one. */
bool sandbox_name_log(struct worker *worker, const char *job, const char *attempt,
                      struct task_log *log);
/* Have attempts of this job run here whose logs are still kept? Then one without a log was silent.
 */
bool sandbox_has_logs(const struct worker *worker, const char *job);
/* Up to `max` bytes from `offset`, or (from_end) the last `max`; appended to `out`. ERR_NOENT. */
int sandbox_read_log(struct worker *worker, const char *job, const char *attempt, bool from_end,
                     uint64_t offset, size_t max, struct buf *out, uint64_t *ret_total);
/* A log that has grown beyond worker.log.limit keeps its end only. */
void sandbox_trim_log(struct worker *worker, int fd);
/* Remove logs older than worker.log.retain. */
void sandbox_expire_logs(struct worker *worker);

#endif
