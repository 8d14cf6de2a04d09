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

/* Jobs that are over and no longer in memory, newest first, in `arena`: how many were put to `ret`,
 * at most `limit`. What cannot be read is left out. */
size_t past_list(struct jobtracker *jt, struct arena *arena, struct cl2jt_status *ret,
                 size_t limit);

/* At the start, when none is in memory but those that run: the status page shows these beneath
 * those of this life. */
#define PAST_SHOWN 50 /* jobs */
void past_open(struct jobtracker *jt);
/* What is too old has left the history. */
void past_forget_retired(struct jobtracker *jt);
void past_release(struct jobtracker *jt);

/* /job.json?id=17: the same document for the status page. */
int past_attach(struct jobtracker *jt, struct http_server *server);

#endif
