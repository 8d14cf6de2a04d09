/* SPDX-License-Identifier: Apache-2.0
 * keep: what cp -p carries over that not every filesystem has. */
#ifndef QUERN_FS_KEEP_H
#define QUERN_FS_KEEP_H

#include "client/fs/item.h"

/* 0, or the error; ERR_UNSUPPORTED when the source has something that the target cannot. */
int fs_keep_acl(const struct fs_item *src, const struct fs_item *target, struct qn_error *err);
int fs_keep_xattrs(const struct fs_item *src, const struct fs_item *target, struct qn_error *err);

#endif
