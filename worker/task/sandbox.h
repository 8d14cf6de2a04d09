/* SPDX-License-Identifier: Apache-2.0
 * sandbox: where attempts live on disk, and as whom.
 *
 *   DIR/plugins/<sha256>.so
 *   DIR/jobs/<job>/<sha256>        a side file; removed with the job
 *   DIR/jobs/<job>/<attempt>/      one in each good directory; removed when the attempt is gone
 *   DIR/logs/<job>/<attempt>.log   kept for worker.log.retain */
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
/* A worker that is root runs a task as its submitter, or as worker.task.user when the submitter is
 * root or has no account here; it refuses (ERR_CONFIG) when there is nobody to be. Any other
 * worker runs tasks as itself. */
int sandbox_user(const struct worker *worker, const char *submitter, struct task_user *ret,
                 struct err *err);

/* The attempt's own directories, best first: given (each and the array mem_free, see
 * sandbox_free_dirs). A directory in which none can be made is left out: for good, when it fails;
 * this time, when it is full. */
int sandbox_make(struct worker *worker, const char *job, const char *attempt,
                 const struct task_user *user, char ***ret_dirs, size_t *ret_count,
                 struct err *err);
void sandbox_free_dirs(char **dirs, size_t count);
void sandbox_remove_attempt(struct worker *worker, const char *job, const char *attempt);
void sandbox_remove_job(struct worker *worker, const char *job);

/* Open the attempt's log for appending; gives a descriptor. */
int sandbox_open_log(struct worker *worker, const char *job, const char *attempt, int *ret_fd,
                     struct err *err);
/* Up to `max` bytes from `offset`, or (from_end) the last `max`; appended to `out`. ERR_NOENT. */
int sandbox_read_log(struct worker *worker, const char *job, const char *attempt, bool from_end,
                     uint64_t offset, size_t max, struct buf *out, uint64_t *ret_total);
/* A log that has grown beyond worker.log.limit keeps its end only. */
void sandbox_trim_log(struct worker *worker, int fd);
/* Remove logs older than worker.log.retain. */
void sandbox_expire_logs(struct worker *worker);

#endif
