/* SPDX-License-Identifier: Apache-2.0
 * jobtracker: the one long-lived connection to it. Registers when it comes up (with what is held
 * and running, so that a restarted jobtracker need not have it made again), beats, takes orders. */
#ifndef QUERN_WORKER_TALK_JOBTRACKER_H
#define QUERN_WORKER_TALK_JOBTRACKER_H

#include "worker/worker.h"

int jobtracker_link(struct worker *worker, struct err *err);
void jobtracker_unlink(struct worker *worker);

#endif
