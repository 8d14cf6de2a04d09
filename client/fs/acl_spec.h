/* SPDX-License-Identifier: Apache-2.0
 * acl_spec: "user:bob:rw-,default:group::r-x" taken apart, and entries shown the same way. Pure. */
#ifndef QUERN_FS_ACL_SPEC_H
#define QUERN_FS_ACL_SPEC_H

#include <quern/fs.h>

#include "libcommon/base/err.h"

#define FS_ACL_SPEC_MAX 64

/* Of the words of `text`, which is cut up and lends the names. With `has_perm` every entry has a
 * permission, else none has (entries to remove). ERR_INVAL in Hadoop's words. */
int fs_acl_parse(char *text, bool has_perm, struct qn_acl_entry ret[FS_ACL_SPEC_MAX],
                 size_t *ret_count, struct err *err);

/* "rw-" */
const char *fs_acl_perm(uint32_t perm, char out[4]);
const char *fs_acl_type(enum qn_acl_type type); /* "user" */

/* All entries in the order they are shown, those that only the mode has among them; *ret_count of
 * them, to be given back with mem_free. NULL when memory is out. Names borrow `acl`. */
struct qn_acl_entry *fs_acl_whole(const struct qn_acl *acl, size_t *ret_count);

#endif
