/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/quota.h"

#include <inttypes.h>
#include <stdio.h>

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

/* Only what grows can be refused: who is over his quota may still move and remove. */
static bool is_over(uint64_t quota, uint64_t used, int64_t by)
{
    return quota != NN_NO_QUOTA && by > 0 && used + (uint64_t)by > quota;
}

/* "384 MB", "1.50 KB", "512 B": two decimals unless exact. */
static const char *with_prefix(uint64_t n, char *out, size_t cap)
{
    static const char letters[] = "KMGTPE";
    unsigned i = 0;
    while (i < 6 && n >> (10 * (i + 1)))
        i++;
    if (i == 0)
        snprintf(out, cap, "%" PRIu64 " B", n);
    else if ((n & ((1ULL << (10 * i)) - 1)) == 0)
        snprintf(out, cap, "%" PRIu64 " %cB", n >> (10 * i), letters[i - 1]);
    else {
        double rounded = (double)((n * 100.0L) / (double)(1ULL << (10 * i)));
        i += rounded >= 102399.5 && i < 6; /* never "1024.00 KB" */
        snprintf(out, cap, "%.2f %cB", (double)n / (double)(1ULL << (10 * i)), letters[i - 1]);
    }
    return out;
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
                   SLICE_ARG(path), quota, with_prefix(quota, limit, sizeof(limit)), space,
                   with_prefix(space, used, sizeof(used)));
}

static int check_one(const struct nn_tree *tree, uint32_t dir, struct nn_growth by, struct err *err)
{
    struct nn_quota quota = nn_quota_get(tree, dir);
    struct nn_sums sums = nn_tree_sums(tree, dir);
    uint64_t names = sums.dirs + sums.files;
    bool is_names = is_over(quota.names, names, by.names);
    if (!is_names && !is_over(quota.space, sums.space, by.space))
        return 0;
    struct buf path = BUF_INIT;
    nn_tree_path(tree, dir, &path);
    int rc = is_names
                 ? over_names(buf_slice(&path), quota.names, names + (uint64_t)by.names, err)
                 : over_space(buf_slice(&path), quota.space, sums.space + (uint64_t)by.space, err);
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
