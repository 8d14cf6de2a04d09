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

/* Without -p the parent must be there; when it is not, it is the parent that is named. */
static int check_parent(struct fs_run *run, const struct fs_item *item)
{
    struct qn_error err;
    struct qn_stat stat;
    char *parent = slice_dup(path_parent(slice_str(item->path)));
    char *shown = parent ? fs_item_show(item->text, parent, item->volume->home, true) : NULL;
    int rc =
        shown ? item->volume->ops->stat(item->volume, parent, &stat, &err) : fs_out_of_memory(&err);
    if (rc == 0)
        item->volume->ops->stat_release(&stat);
    else
        fs_fail_error(run, shown && strcmp(shown, ".") != 0 ? shown : item->volume->home, &err);
    mem_free(parent);
    mem_free(shown);
    return rc;
}

static void mkdir_missing(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    bool parents = fs_has(run, "p");
    if (!parents && check_parent(run, item) != 0)
        return;
    if (item->volume->ops->mkdir(item->volume, item->path, parents, &err) != 0)
        fs_fail_error(run, item->text, &err);
}

static const struct fs_option options[] = {
    {"p", NULL, "Do not fail if the directory already exists; make missing parents too."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_mkdir = {
    .name = "mkdir",
    .usage = "[-p] <path> ...",
    .help = "Create a directory in the specified location.",
    .syntax = {options, 1, FS_NO_LIMIT, false},
    .path = mkdir_path,
    .missing = mkdir_missing,
};
