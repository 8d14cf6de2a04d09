/* SPDX-License-Identifier: Apache-2.0
 * groups: which groups a user is in, and who is a superuser.
 *
 * Hadoop's way: the namenode's own machine knows (getgrouplist), whatever the client's says. Kept
 * for five minutes. hadoop.user.group.static.mapping.overrides = "bob=staff,admin;eve=" comes
 * first. A user the machine does not know is in no group. */
#ifndef QUERN_NAMENODE_SERVE_GROUPS_H
#define QUERN_NAMENODE_SERVE_GROUPS_H

#include "libcommon/base/hmap.h"
#include "namenode/namespace/access.h"

#define NN_GROUPS_KEEP_MS (300ULL * 1000)

struct nn_groups {
    struct hmap users;
    char *superuser;  /* who runs the namenode */
    char *supergroup; /* whose members may do everything too */
    bool is_open;     /* dfs.permissions.enabled = false: nobody is asked for permission */
};

/* `overrides` may be NULL. ERR_CONFIG when it makes no sense, ERR_NOMEM. */
int nn_groups_init(struct nn_groups *groups, const char *superuser, const char *supergroup,
                   const char *overrides, struct err *err);
void nn_groups_release(struct nn_groups *groups);
/* Who this user is. Slices in *ret are good until the next call. Short of memory: in no group. */
void nn_groups_caller(struct nn_groups *groups, struct slice user, uint64_t now_ms,
                      struct nn_caller *ret);
/* What the system said is asked anew; what the configuration says stays. */
void nn_groups_forget(struct nn_groups *groups);
/* A superuser by right, also where permissions are not checked. */
bool nn_groups_is_super(struct nn_groups *groups, struct slice user, uint64_t now_ms);

#endif
