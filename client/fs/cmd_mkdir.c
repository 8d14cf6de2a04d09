/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/commands.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"

static int mkdir_path(struct fs_run *run, struct fs_item *item)
{
    if (!item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_NOTDIR));
    return fs_has(run, "p") ? 0 : fs_fail_path(run, item->text, err_text(ERR_EXIST));
}

/* What is missing above it is told by its whole URI. */
static int check_parent(struct fs_run *run, const struct fs_item *item)
{
    struct qn_error err;
    struct fs_item dir = {.volume = item->volume};
    dir.path = slice_dup(path_parent(slice_str(item->path)));
    dir.text = dir.path ? fs_item_uri(&dir) : NULL;
    int rc = dir.text ? fs_item_refresh(&dir, &err) : fs_out_of_memory(&err);
    if (rc != 0)
        rc = fs_fail_error(run, item->text, &err);
    else if (!dir.exists || !dir.stat.is_dir)
        rc = fs_fail_no_parent(run, item, dir.text, NULL);
    fs_item_release(&dir);
    return rc;
}

static void mkdir_missing(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    bool parents = fs_has(run, "p");
    if (!parents && check_parent(run, item) != 0)
        return;
    int rc = item->volume->ops->mkdir(item->volume, item->path, parents, &err);
    if (rc == ERR_NOTDIR && !item->volume->qn)
        fs_fail_no_parent(run, item, item->text, NULL);
    else if (rc != 0)
        fs_fail_error(run, item->text, &err);
}

static const struct fs_option options[] = {
    {"p", NULL, "Do not fail if the directory already exists"},
    {NULL, NULL, NULL},
};

const struct fs_command fs_mkdir = {
    .name = "mkdir",
    .usage = "[-p] <path> ...",
    .help = "Create a directory in specified location.",
    .syntax = {options, 1, FS_NO_LIMIT, false},
    .path = mkdir_path,
    .missing = mkdir_missing,
};
