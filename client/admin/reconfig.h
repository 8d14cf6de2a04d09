/* SPDX-License-Identifier: Apache-2.0
 * reconfig: `quern admin -reconfig`: have a daemon read its configuration again, hear how that
 * went, and which keys take effect this way. Texts as Hadoop's dfsadmin prints them. */
#ifndef QUERN_ADMIN_RECONFIG_H
#define QUERN_ADMIN_RECONFIG_H

#include "client/admin/session.h"

/* argv: "reconfig" TYPE ADDRESS OPERATION. Exit code; `usage` for wrong words. */
int reconfig_run(struct session *session, int argc, char **argv, int usage);

#endif
