/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/keep.h"

#include "client/fs/acl_spec.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"

static int unsupported(const char *what, struct qn_error *err)
{
    err->code = ERR_UNSUPPORTED;
    snprintf(err->message, sizeof(err->message), "%s of the source: %s", what,
             err_text(ERR_UNSUPPORTED));
    return err->code;
}

int fs_keep_acl(const struct fs_item *src, const struct fs_item *target, struct qn_error *err)
{
    struct qn_acl acl = {0};
    size_t count = 0;
    if (!src->volume->qn || !src->stat.has_acl)
        return 0;
    if (!target->volume->qn)
        return unsupported("ACL", err);
    int rc = qn_get_acl(src->volume->qn, src->path, &acl, err);
    if (rc != 0)
        return rc;
    struct qn_acl_entry *all = fs_acl_whole(&acl, &count);
    rc = all ? qn_set_acl(target->volume->qn, target->path, QN_ACL_SET, all, count, err)
             : fs_out_of_memory(err);
    mem_free(all);
    qn_acl_release(&acl);
    return rc;
}

bool fs_keep_is_raw(const struct fs_item *item)
{
    return item->volume->qn && path_is_under(slice_str(item->path), slice_str("/.reserved/raw"));
}

int fs_keep_xattrs(const struct fs_item *src, const struct fs_item *target, bool only_raw,
                   struct qn_error *err)
{
    struct qn_xattrs xattrs = {0};
    if (!src->volume->qn)
        return 0;
    int rc = qn_get_xattrs(src->volume->qn, src->path, NULL, &xattrs, err);
    if (rc == 0 && xattrs.count && !target->volume->qn)
        rc = unsupported("extended attributes", err);
    for (size_t i = 0; rc == 0 && i < xattrs.count; i++)
        if (!only_raw || strncmp(xattrs.xattrs[i].name, "raw.", 4) == 0)
            rc = qn_set_xattr(target->volume->qn, target->path, xattrs.xattrs[i].name,
                              xattrs.xattrs[i].value, xattrs.xattrs[i].size,
                              QN_XATTR_CREATE | QN_XATTR_REPLACE, err);
    qn_xattrs_release(&xattrs);
    return rc;
}
