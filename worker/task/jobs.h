/* SPDX-License-Identifier: Apache-2.0
 * jobs: what this worker knows of a job it has tasks of: its description, the files it needs here
 * (bring), and where its map outputs lie. */
#ifndef QUERN_WORKER_TASK_JOBS_H
#define QUERN_WORKER_TASK_JOBS_H

#include "worker/task/bring.h"
#include "worker/task/sandbox.h"

struct wk_job {
    struct list link;
    struct worker *worker;
    struct buf bytes; /* the encoded jt2wk_job; `spec` borrows from it */
    struct arena arena;
    struct jt2wk_job spec;
    struct task_user user; /* of its tasks, once has_user */
    bool has_user;
    uint32_t tasks_max; /* that one process may serve; 0 = without limit */
    struct bring bring; /* its plugin and side files */
    struct buf sources; /* encoded task_source records, each after a u32 length */
    size_t source_count;
    uint64_t run_input, run_output; /* of the tasks whose outputs are here: sums of bytes */
    uint64_t complete; /* a bit for each stage all of whose outputs are placed: streams may end */
    bool is_over;      /* told to end while a piece of a file was being written */
};

struct wk_job *jobs_find(const struct worker *worker, uint64_t cluster_ms, uint64_t number);
/* Keeps a copy; begins to bring its files. Known already: 0. */
int jobs_add(struct worker *worker, const struct jt2wk_job *spec, struct err *err);
int jobs_add_sources(struct wk_job *job, const struct jt2wk_outputs *outputs);
/* The sources of a stage so far, decoded into `arena`. */
int jobs_sources(const struct wk_job *job, uint32_t stage, struct arena *arena,
                 struct task_source_list *ret);
/* Free it; its attempts must be gone. */
void jobs_remove(struct wk_job *job);
/* It was removed while a piece was being written, which now is. */
void jobs_over(struct wk_job *job);
/* The side files and where they are, all of them being here. */
int jobs_sides(const struct wk_job *job, struct arena *arena, struct task_side_list *ret);
/* The link to the jobtracker is up: what was being fetched is asked for again. */
void jobs_link_up(struct worker *worker);
/* job_<ms>_<n>, the name of its directories. */
void jobs_dir_name(const struct wk_job *job, char *out, size_t cap);

#endif
