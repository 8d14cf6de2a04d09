/* SPDX-License-Identifier: Apache-2.0
 * clients: answers what clients ask (proto/cl_jt). A submission is answered, and its job begins,
 * once its SUBMIT record is durable; an end is told once its END record is. */
#ifndef QUERN_JOBTRACKER_SERVE_CLIENTS_H
#define QUERN_JOBTRACKER_SERVE_CLIENTS_H

#include "jobtracker/record.h"

extern rpc_handler *const clients_handlers[CL2JT_METHOD_COUNT];

/* Records up to this index are on disk. */
void clients_durable(struct jobtracker *jt, uint64_t durable);
/* Answer watchers whose job has news, or whose patience ends. */
void clients_tell_watchers(struct jobtracker *jt);
/* Drop all that waits: the process ends. */
void clients_release(struct jobtracker *jt);

#endif
