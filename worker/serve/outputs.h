/* SPDX-License-Identifier: Apache-2.0
 * outputs: hands this worker's map outputs to reducers (proto/shuffle). A reducer asks once and its
 * stream stays open: each output is sent as it is accepted (segments_accept), and the end once
 * every map of the job is placed somewhere. Over the unix socket descriptors are passed instead of
 * bytes. */
#ifndef QUERN_WORKER_SERVE_OUTPUTS_H
#define QUERN_WORKER_SERVE_OUTPUTS_H

#include "worker/task/jobs.h"
#include "worker/worker.h"

int outputs_listen(struct worker *worker, struct err *err);
void outputs_close(struct worker *worker);
void outputs_release(struct worker *worker);

/* Streams of stages whose outputs are all placed end when they have sent what they have. (Where one
 * was lost again, those that have ended already are asked for again by their reducer.) */
void outputs_complete(struct worker *worker, const struct wk_job *job);
/* The job is over: its streams break off. */
void outputs_end_job(struct worker *worker, uint64_t cluster_ms, uint64_t job);

#endif
