/* SPDX-License-Identifier: Apache-2.0
 * life: how a jobtracker starts (locks, journal, replay, a new epoch, listening) and ends. */
#ifndef QUERN_JOBTRACKER_LIFE_H
#define QUERN_JOBTRACKER_LIFE_H

#include "jobtracker/jobtracker.h"

int jobtracker_start(struct daemon *daemon, void **ret_state, struct err *err);
/* The configuration was read again. */
int jobtracker_reload(void *state, struct err *err);
void jobtracker_stop(void *state);
void jobtracker_release(void *state);
void jobtracker_status(void *state, struct status *st);
void jobtracker_measure(void *state); /* sets the gauges of /metrics; status.c */

#endif
