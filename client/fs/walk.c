/* SPDX-License-Identifier: Apache-2.0
 * The walk through operands and, with -R, what lies below them: parents before their children. */
#include "client/fs/fs.h"

#define GROUP 100 /* entries that go through group() together, so that -R can stream */

static struct fs_item *add_entry(struct fs_run *run, const struct fs_item *dir,
                                 const struct qn_stat *entry, struct fs_items *items)
{
    struct qn_error err;
    struct fs_item *item = fs_items_add(items);
    if (!item || fs_item_child(item, dir, entry->name, &err) != 0 ||
        fs_item_set_stat(item, entry) != 0) {
        fs_fail(run, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    return item;
}

static void walk_group(struct fs_run *run, const struct fs_item *dir, struct fs_items *items)
{
    if (items->n && run->command->group)
        run->command->group(run, dir, items);
    for (size_t i = 0; i < items->n && !fs_is_interrupted(); i++)
        fs_walk_item(run, &items->v[i]);
    fs_items_release(items);
}

int fs_list(struct fs_run *run, const struct fs_item *dir, struct fs_items *ret)
{
    struct qn_error err = {0};
    void *listing = dir->volume->ops->opendir(dir->volume, dir->path, &err);
    const struct qn_stat *entry = NULL;
    while (listing && (entry = dir->volume->ops->readdir(listing, &err)))
        if (!add_entry(run, dir, entry, ret))
            break;
    if (listing)
        dir->volume->ops->closedir(listing);
    if (entry)
        return FS_STOP;
    return err.code ? fs_fail_error(run, dir->text, &err) : 0;
}

/* A page of entries at a time: a directory of millions needs no memory for them. */
static int stream_children(struct fs_run *run, struct fs_item *dir)
{
    struct qn_error err = {0};
    struct fs_items items = {0};
    void *listing = dir->volume->ops->opendir(dir->volume, dir->path, &err);
    const struct qn_stat *entry = NULL;
    while (listing && !fs_is_interrupted() && (entry = dir->volume->ops->readdir(listing, &err))) {
        if (!add_entry(run, dir, entry, &items))
            break;
        if (items.n == GROUP)
            walk_group(run, dir, &items);
    }
    if (listing)
        dir->volume->ops->closedir(listing);
    walk_group(run, dir, &items);
    return err.code ? fs_fail_error(run, dir->text, &err) : 0;
}

int fs_walk_children(struct fs_run *run, struct fs_item *dir)
{
    int rc = 0;
    run->depth++;
    if (run->whole_listing) {
        struct fs_items items = {0};
        rc = fs_list(run, dir, &items);
        if (rc == 0)
            walk_group(run, dir, &items);
        fs_items_release(&items);
    } else {
        rc = stream_children(run, dir);
    }
    run->depth--;
    return rc;
}

int fs_walk_item(struct fs_run *run, struct fs_item *item)
{
    const struct fs_command *command = run->command;
    int rc = command->path(run, item);
    if (rc == 0 && run->recursive && item->stat.is_dir)
        rc = command->children ? command->children(run, item) : fs_walk_children(run, item);
    if (rc == 0 && command->after && !fs_is_interrupted())
        rc = command->after(run, item);
    return rc;
}

void fs_walk_operand(struct fs_run *run, struct fs_item *item)
{
    if (!item->exists) {
        if (run->command->missing)
            run->command->missing(run, item);
        else if (!run->ignore_missing)
            fs_fail_path(run, item->text, err_text(ERR_NOENT));
        return;
    }
    if (run->command->argument) {
        run->command->argument(run, item);
        return;
    }
    struct fs_items one = {.v = item, .n = 1};
    if (run->command->group)
        run->command->group(run, NULL, &one);
    fs_walk_item(run, item);
}
