/* SPDX-License-Identifier: Apache-2.0
 * life: the namenode as a daemon: what its descriptor (main.c) points to. Contracts of the
 * callbacks are in libcommon/daemon/daemon.h. */
#ifndef QUERN_NAMENODE_LIFE_H
#define QUERN_NAMENODE_LIFE_H

#include "namenode/namenode.h"

/* -format */
int namenode_format(struct daemon *d, struct err *err);
/* -recover: a report on the name directories; changes nothing. */
int namenode_recover(struct daemon *d, struct err *err);

int namenode_start(struct daemon *d, void **ret_state, struct err *err);
int namenode_reload(void *state, struct err *err);
/* Everything appended becomes durable and is answered, then the listeners close. */
void namenode_stop(void *state);

#endif
