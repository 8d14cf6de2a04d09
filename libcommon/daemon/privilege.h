/* SPDX-License-Identifier: Apache-2.0
 * privilege: a daemon started as root becomes the user it is told to be, for good. */
#ifndef QUERN_DAEMON_PRIVILEGE_H
#define QUERN_DAEMON_PRIVILEGE_H

#include "libcommon/base/err.h"

/* Become `user`, with his groups. Nothing to do when `user` is "" or us already; ERR_NOTPERM when
 * we are neither root nor him; ERR_NOENT when there is no such user. */
int privilege_become(const char *user, struct err *err);

#endif
