/* SPDX-License-Identifier: Apache-2.0
 * workers: answers what workers ask (proto/wk_jt); each handler is one event of the core. */
#ifndef QUERN_JOBTRACKER_SERVE_WORKERS_H
#define QUERN_JOBTRACKER_SERVE_WORKERS_H

#include "jobtracker/jobtracker.h"
#include "libcommon/proto/wk_jt/messages.h"

extern rpc_handler *const workers_handlers[WK2JT_METHOD_COUNT];
/* The connection of a registered worker broke. */
/* Registrations that still wait for their rack are refused. */
void workers_release(struct jobtracker *jt);
void workers_peer_down(struct jobtracker *jt, struct rpc_peer *peer);

#endif
