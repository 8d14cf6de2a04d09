/* SPDX-License-Identifier: Apache-2.0
 * keep: what cp -p carries over that not every filesystem has. */
#ifndef QUERN_FS_KEEP_H
#define QUERN_FS_KEEP_H

#include "client/fs/item.h"

/* 0, or the error; ERR_UNSUPPORTED when the source has something that the target cannot. */
int fs_keep_acl(const struct fs_item *src, const struct fs_item *target, struct qn_error *err);
/* All, or only those that are seen below /.reserved/raw. */
int fs_keep_xattrs(const struct fs_item *src, const struct fs_item *target, bool only_raw,
                   struct qn_error *err);
/* Is it named below /.reserved/raw? Copies that begin and end there keep what only shows there. */
bool fs_keep_is_raw(const struct fs_item *item);

#endif
