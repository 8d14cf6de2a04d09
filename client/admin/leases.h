/* SPDX-License-Identifier: Apache-2.0
 * leases: quern admin -recoverLease and -listOpenFiles. */
#ifndef QUERN_ADMIN_LEASES_H
#define QUERN_ADMIN_LEASES_H

#include "client/admin/session.h"

/* Rows of the command table; `usage` is what they return for a wrong line. */
int leases_recover(struct session *session, int argc, char **argv, int usage);
int leases_list(struct session *session, int argc, char **argv, int usage);

#endif
