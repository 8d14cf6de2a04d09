/* SPDX-License-Identifier: Apache-2.0
 * operator: what an operator asks of this datanode at its data port. He is the user this process
 * runs as, or a member of dfs.permissions.superusergroup as the system knows it. */
#ifndef QUERN_DN_SERVE_OPERATOR_H
#define QUERN_DN_SERVE_OPERATOR_H

#include "datanode/serve/blocks.h"

/* May he? When not, the request has been refused. Looks users and groups up. */
bool dn_operator_is(const struct dn_serve *serve, struct dn_session *session);

#endif
