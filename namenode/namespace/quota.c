/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "libcommon/base/str.h"
#include "namenode/namespace/xattr.h"

struct nn_quota nn_quota_get(const struct nn_tree *tree, uint32_t dir)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, dir);
    struct nn_quota quota = {NN_NO_QUOTA, NN_NO_QUOTA};
    if (extra)
        quota = (struct nn_quota){extra->names_quota, extra->space_quota};
    if (dir == NN_ROOT && quota.names == NN_NO_QUOTA)
        quota.names = INT64_MAX;
    return quota;
}

int nn_quota_set(struct nn_tree *tree, uint32_t dir, struct nn_quota quota)
{
    struct nn_extra *extra = NULL;
    int rc = nn_extra_need(&tree->store, dir, &extra);
    if (rc != 0)
        return rc;
    extra->names_quota = dir == NN_ROOT && quota.names == INT64_MAX ? NN_NO_QUOTA : quota.names;
    extra->space_quota = quota.space;
    nn_extra_trim(&tree->store, extra);
    return 0;
}

/* ---- by type of storage ---- */

static const char *const attrs[NN_STORAGE_TYPES] = {
    [NN_SSD] = "quota.SSD",           [NN_DISK] = "quota.DISK",     [NN_ARCHIVE] = "quota.ARCHIVE",
    [NN_PROVIDED] = "quota.PROVIDED", [NN_NVDIMM] = "quota.NVDIMM",
};
#define ATTR_NAME_AT (sizeof("quota.") - 1)

enum nn_storage_type nn_storage_type_parse(struct slice name)
{
    unsigned type = 0;
    for (; type < NN_STORAGE_TYPES; type++) {
        const char *word = attrs[type] + ATTR_NAME_AT;
        if (strlen(word) == name.len && strncasecmp(word, (const char *)name.data, name.len) == 0)
            break;
    }
    return (enum nn_storage_type)type;
}

struct slice nn_quota_type_attr(enum nn_storage_type type)
{
    return slice_str(attrs[type]);
}

uint64_t nn_quota_of_type(const struct nn_tree *tree, uint32_t dir, enum nn_storage_type type)
{
    const struct nn_xattr *x = nn_xattr_find(tree, dir, NN_XATTR_SYSTEM, nn_quota_type_attr(type));
    uint64_t quota = 0;
    char text[32];
    if (!x || x->value_len >= sizeof(text))
        return NN_NO_QUOTA;
    snprintf(text, sizeof(text), SLICE_FMT, SLICE_ARG(nn_xattr_value(x)));
    return str_to_u64(text, &quota) == 0 ? quota : NN_NO_QUOTA;
}

/* ---- may it grow? ---- */

/* Only what grows can be refused: who is over his quota may still move and remove. */
static bool is_over(uint64_t quota, uint64_t used, int64_t by)
{
    return quota != NN_NO_QUOTA && by > 0 && used + (uint64_t)by > quota;
}

static int over_names(struct slice path, uint64_t quota, uint64_t count, struct err *err)
{
    return err_set(err, ERR_QUOTA,
                   "The NameSpace quota (directories and files) of directory " SLICE_FMT
                   " is exceeded: quota=%" PRIu64 " file count=%" PRIu64,
                   SLICE_ARG(path), quota, count);
}

static int over_space(struct slice path, uint64_t quota, uint64_t space, struct err *err)
{
    char limit[40], used[40];
    return err_set(err, ERR_QUOTA,
                   "The DiskSpace quota of " SLICE_FMT " is exceeded: quota = %" PRIu64
                   " B = %s but diskspace consumed = %" PRIu64 " B = %s",
                   SLICE_ARG(path), quota, str_human_report(quota, limit, sizeof(limit)), space,
                   str_human_report(space, used, sizeof(used)));
}

static int over_disk(struct slice path, uint64_t quota, uint64_t space, struct err *err)
{
    char limit[40], used[40];
    return err_set(err, ERR_QUOTA,
                   "Quota by storage type : DISK on path : " SLICE_FMT
                   " is exceeded. quota = %s but space consumed = %s",
                   SLICE_ARG(path), str_human_report(quota, limit, sizeof(limit)),
                   str_human_report(space, used, sizeof(used)));
}

static int check_one(const struct nn_tree *tree, uint32_t dir, struct nn_growth by, struct err *err)
{
    struct nn_quota quota = nn_quota_get(tree, dir);
    uint64_t disk = nn_quota_of_type(tree, dir, NN_DISK);
    struct nn_sums sums = nn_tree_sums(tree, dir);
    uint64_t names = sums.dirs + sums.files, space = sums.space + (uint64_t)by.space;
    bool is_names = is_over(quota.names, names, by.names);
    bool is_space = is_over(quota.space, sums.space, by.space);
    if (!is_names && !is_space && !is_over(disk, sums.space, by.space))
        return 0;
    struct buf path = BUF_INIT;
    nn_tree_path(tree, dir, &path);
    int rc = is_names   ? over_names(buf_slice(&path), quota.names, names + (uint64_t)by.names, err)
             : is_space ? over_space(buf_slice(&path), quota.space, space, err)
                        : over_disk(buf_slice(&path), disk, space, err);
    buf_release(&path);
    return rc;
}

int nn_quota_check(const struct nn_tree *tree, uint32_t dir, uint32_t common, struct nn_growth by,
                   struct err *err)
{
    int rc = 0;
    for (uint32_t at = dir; rc == 0 && at && at != common; at = nn_inode(&tree->store, at)->parent)
        if (nn_inode(&tree->store, at)->has_extra)
            rc = check_one(tree, at, by, err);
    return rc;
}
