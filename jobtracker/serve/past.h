/* SPDX-License-Identifier: Apache-2.0
 * past: what is known of a job's attempts, running or long over: answers from memory, else from the
 * history. */
#ifndef QUERN_JOBTRACKER_SERVE_PAST_H
#define QUERN_JOBTRACKER_SERVE_PAST_H

#include "jobtracker/record.h"

struct http_server;

void past_on_history(struct rpc_call *call, const void *msg, void *arg);
void past_on_attempts(struct rpc_call *call, const void *msg, void *arg);

/* What it was submitted with: of jobs in memory, and of those in the history that did not succeed.
 */
void past_on_replay(struct rpc_call *call, const void *msg, void *arg);
void past_on_fetch(struct rpc_call *call, const void *msg, void *arg);

/* /job.json?id=17: the same document for the status page. */
int past_attach(struct jobtracker *jt, struct http_server *server);

#endif
