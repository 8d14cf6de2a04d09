/* SPDX-License-Identifier: Apache-2.0
 * namenode: what the jobtracker asks of the filesystem: publish a job's output in one step, remove
 * what a dead job left. Asked again, with the same origin, until there is an answer. */
#ifndef QUERN_JOBTRACKER_TALK_NAMENODE_H
#define QUERN_JOBTRACKER_TALK_NAMENODE_H

#include "jobtracker/record.h"

/* Ends in jt_on_published, sooner or later. */
void namenode_publish(struct jobtracker *jt, struct jt_job *job);
/* Best effort: OUT/_temporary/<job>, then OUT/_temporary and OUT if nothing else is in them. */
void namenode_clean_up(struct jobtracker *jt, struct jt_job *job);

#endif
