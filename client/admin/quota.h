/* SPDX-License-Identifier: Apache-2.0
 * quota: -setQuota, -clrQuota, -setSpaceQuota, -clrSpaceQuota. */
#ifndef QUERN_ADMIN_QUOTA_H
#define QUERN_ADMIN_QUOTA_H

#include "client/admin/session.h"

/* argv[0] is the command's name. 0; 255 after messages; `usage` for words that make no sense. */
struct quota_wish {
    bool is_space, is_clear;
};
int quota_run(struct session *session, struct quota_wish wish, int argc, char **argv, int usage);

#endif
