/* SPDX-License-Identifier: Apache-2.0
 * createSnapshot, deleteSnapshot, renameSnapshot: no directory can be made snapshottable here, and
 * under Hadoop's name they say of each what it says of one that is not. */
#include "client/fs/commands.h"

static int snapshot_path(struct fs_run *run, struct fs_item *item)
{
    if (!item->volume->qn)
        return fs_fail_path(run, item->text, err_text(ERR_UNSUPPORTED));
    if (!item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_NOTDIR));
    return 0;
}

/* Once, and only when nothing was wrong with what the pattern found. */
static void snapshot_arguments(struct fs_run *run, struct fs_items *items)
{
    for (size_t i = 0; i < items->n; i++)
        fs_walk_operand(run, &items->v[i]);
    if (run->errors || items->n == 0)
        return;
    if (fs_is_hadoop())
        fs_fail(run, "Directory is not a snapshottable directory: %s", items->v[0].path);
    else
        fs_fail(run, "there are no snapshots here: nothing was done");
}

static int create_begin(struct fs_run *run)
{
    if (run->parsed.count == 0)
        return fs_bad_usage(run, "<snapshotDir> is missing.");
    if (run->parsed.count > 2)
        return fs_bad_usage(run, "Too many arguments.");
    if (run->parsed.count == 2)
        fs_pop_operand(run);
    return 0;
}

static int exactly(struct fs_run *run, uint32_t count)
{
    if (run->parsed.count != count)
        return fs_bad_usage(run, "Incorrect number of arguments.");
    for (uint32_t i = 1; i < count; i++)
        fs_pop_operand(run);
    return 0;
}

static int delete_begin(struct fs_run *run)
{
    return exactly(run, 2);
}

static int rename_begin(struct fs_run *run)
{
    return exactly(run, 3);
}

#define SNAPSHOT \
    .syntax = {NULL, 0, FS_NO_LIMIT, true}, .arguments = snapshot_arguments, .path = snapshot_path

const struct fs_command fs_create_snapshot = {
    .name = "createSnapshot",
    .usage = "<snapshotDir> [<snapshotName>]",
    .help = "Create a snapshot on a directory",
    .begin = create_begin,
    SNAPSHOT,
};

const struct fs_command fs_delete_snapshot = {
    .name = "deleteSnapshot",
    .usage = "<snapshotDir> <snapshotName>",
    .help = "Delete a snapshot from a directory",
    .begin = delete_begin,
    SNAPSHOT,
};

const struct fs_command fs_rename_snapshot = {
    .name = "renameSnapshot",
    .usage = "<snapshotDir> <oldName> <newName>",
    .help = "Rename a snapshot from oldName to newName",
    .begin = rename_begin,
    SNAPSHOT,
};
