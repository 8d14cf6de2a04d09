/* SPDX-License-Identifier: Apache-2.0
 * snapshots are not here yet: one line says so, and what serves meanwhile. Who may not ask is told
 * that first, as scripts look for it. */
#include "client/admin/commands.h"

static int refuse(struct session *session, const char *what)
{
    int rc = admin_need_super(session, what, what);
    return rc != 0
               ? rc
               : session_fail(what, ADMIN_FAILED, "there are no snapshots here: nothing was done");
}

int admin_allow_snapshot(struct session *session, int argc, char **argv)
{
    (void)argc;
    return refuse(session, argv[0]);
}

int admin_disallow_snapshot(struct session *session, int argc, char **argv)
{
    (void)argc;
    return refuse(session, argv[0]);
}

int admin_provision_trash(struct session *session, int argc, char **argv)
{
    (void)argc;
    return refuse(session, argv[0]);
}
