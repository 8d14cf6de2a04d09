/* SPDX-License-Identifier: Apache-2.0
 * jobs: what this worker knows of a job it has tasks of: its description, its plugin (fetched once
 * per node, by digest), and where its map outputs lie. */
#ifndef QUERN_WORKER_TASK_JOBS_H
#define QUERN_WORKER_TASK_JOBS_H

#include "worker/worker.h"

enum wk_plugin_state { WK_PLUGIN_ABSENT, WK_PLUGIN_COMING, WK_PLUGIN_HERE };

struct wk_job {
    struct list link;
    struct worker *worker;
    struct buf bytes; /* the encoded jt2wk_job; `spec` borrows from it */
    struct arena arena;
    struct jt2wk_job spec;
    enum wk_plugin_state plugin;
    char *plugin_path; /* dir/plugins/<digest>.so */
    size_t plugin_dir; /* which of the worker's directories that is */
    struct rpc_wait blob_wait;
    struct work verify; /* the digest is taken on a thread */
    struct buf blob;    /* while it comes */
    int verify_rc;
    struct err verify_err;
    struct buf sources; /* encoded task_source records, each after a u32 length */
    size_t source_count;
    bool is_complete; /* every map is placed: streams may end */
    bool is_over;     /* told to end while the plugin was being verified */
};

struct wk_job *jobs_find(const struct worker *worker, uint64_t cluster_ms, uint64_t number);
/* Keeps a copy; begins to fetch the plugin. Known already: refreshed, 0. */
int jobs_add(struct worker *worker, const struct jt2wk_job *spec, struct err *err);
/* An attempt waits for the plugin: fetch it, if that failed before. */
void jobs_want_plugin(struct wk_job *job);
int jobs_add_sources(struct wk_job *job, const struct jt2wk_outputs *outputs);
/* All sources so far, decoded into `arena`. */
int jobs_sources(const struct wk_job *job, struct arena *arena, struct task_source_list *ret);
/* Free it; its attempts must be gone. */
void jobs_remove(struct wk_job *job);
/* The link to the jobtracker is up: what was being fetched is asked for again. */
void jobs_link_up(struct worker *worker);
/* job_<ms>_<n>, the name of its directories. */
void jobs_dir_name(const struct wk_job *job, char *out, size_t cap);

#endif
