/* SPDX-License-Identifier: Apache-2.0
 * commands: the commands of `quern admin`, a file per noun. Each gets its words (argv[0] is its
 * name without dashes), prints its own errors and gives the exit code: 0, 255 for any failure, or
 * ADMIN_USAGE: how it is to be called is printed then, and 255 is the code. How many words it takes
 * has been looked at before (admin.c). */
#ifndef QUERN_ADMIN_COMMANDS_H
#define QUERN_ADMIN_COMMANDS_H

#include "client/admin/session.h"
#include "client/lib/handle.h"

#define ADMIN_FAILED 255
#define ADMIN_USAGE  1000
/* Who is called by this name is asked to be Hadoop's, to the letter. */
#define ADMIN_AS_HDFS "hdfs dfsadmin"

typedef int admin_command(struct session *session, int argc, char **argv);

/* report.c, safemode.c, image.c */
admin_command admin_report, admin_topology, admin_safemode, admin_save, admin_roll, admin_fetch,
    admin_metasave, admin_restore_storage;
/* nodes.c, leases.c, quota.c */
admin_command admin_refresh_nodes, admin_set_bandwidth, admin_get_bandwidth, admin_node_info,
    admin_evict, admin_trigger_report, admin_shutdown, admin_volumes, admin_list_open,
    admin_recover_lease, admin_set_quota, admin_clr_quota, admin_set_space_quota,
    admin_clr_space_quota;
/* upgrade.c, refresh.c, snapshot.c */
admin_command admin_finalize_upgrade, admin_upgrade, admin_rolling_upgrade, admin_refresh_acl,
    admin_refresh_groups, admin_refresh_proxies, admin_refresh_queue, admin_refresh,
    admin_refresh_namenodes, admin_delete_pool, admin_allow_snapshot, admin_disallow_snapshot,
    admin_provision_trash;

/* Connect, ask the namenode, print what went wrong behind "what: ". 0 or ADMIN_FAILED. `ret` may be
 * NULL. */
int admin_ask(struct session *session, const char *what, unsigned method, const void *ask,
              struct arena *arena, void *ret);
/* Is the caller a superuser? 0, or ADMIN_FAILED with "what: Access denied for user bob. Superuser
 * privilege is required for operation OPERATION" printed: for what needs no question otherwise. */
int admin_need_super(struct session *session, const char *what, const char *operation);

#endif
