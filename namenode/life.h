/* SPDX-License-Identifier: Apache-2.0
 * life: the namenode as a daemon: what its descriptor (main.c) points to. Contracts of the
 * callbacks are in libcommon/daemon/daemon.h. */
#ifndef QUERN_NAMENODE_LIFE_H
#define QUERN_NAMENODE_LIFE_H

#include "namenode/namenode.h"

/* -format */
int namenode_format(struct daemon *d, struct err *err);
/* -bootstrap HOST:PORT: the name directories become a copy (talk/bootstrap.h). */
int namenode_bootstrap(struct daemon *d, struct err *err);
/* -recover: tells what is whole in the name directories and what is damaged; if a start would be
 * refused, what would be lost by going on from what is whole, asks (or takes -force for yes), and
 * does so (journal/salvage.h). */
int namenode_recover(struct daemon *d, struct err *err);

int namenode_start(struct daemon *d, void **ret_state, struct err *err);
int namenode_reload(void *state, struct err *err);
/* Everything appended becomes durable and is answered, then the listeners close. */
void namenode_stop(void *state);

#endif
