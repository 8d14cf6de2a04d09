/* SPDX-License-Identifier: Apache-2.0
 * getmerge: files, and those directly in directories, one after another into a local file. The
 * sources are all found before the first byte is written: a wrong path leaves the target alone.
 *
 * A job's output directory holds its list of files besides them (_MANIFEST,
 * worker/sink/commit.h). Who merges such a directory wants the output: the list is passed over,
 * unless it is named itself. */
#include "client/fs/commands.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"

#define PIECE (256U << 10)

struct merge {
    struct fs_item dst;
    struct fs_items sources;
};

static int merge_begin(struct fs_run *run)
{
    struct merge *merge = run->state;
    struct qn_error err;
    const char *text = fs_pop_operand(run);
    struct fs_volume *local = fs_volume_local(run->shell, &err);
    if (!local || fs_item_init(&merge->dst, local, text, &err) != 0 ||
        fs_item_refresh(&merge->dst, &err) != 0)
        return fs_fail_error(run, text, &err);
    if (merge->dst.exists && merge->dst.stat.is_dir)
        return fs_fail_path(run, text, err_text(ERR_ISDIR));
    return 0;
}

static bool is_manifest(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "_MANIFEST") == 0;
}

static int collect(struct fs_run *run, struct fs_item *item)
{
    struct merge *merge = run->state;
    struct qn_error err;
    if (item->stat.is_dir)
        return run->depth == 0 ? fs_walk_children(run, item) : 0;
    if (run->depth > 0 && is_manifest(item->path))
        return 0;
    struct fs_item *source = fs_items_add(&merge->sources);
    if (!source || fs_item_suffix(source, item, "", &err) != 0 ||
        fs_item_set_stat(source, &item->stat) != 0)
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    return 0;
}

static int pour(struct fs_run *run, const struct fs_item *src, void *out, char *piece)
{
    struct merge *merge = run->state;
    struct qn_error err;
    void *in = src->volume->ops->open(src->volume, src->path, &err);
    if (!in)
        return fs_fail_error(run, src->text, &err);
    ssize_t n = 0;
    int rc = 0;
    while (rc == 0 && !fs_is_interrupted() &&
           (n = src->volume->ops->read(in, piece, PIECE, &err)) != 0) {
        if (n < 0)
            rc = fs_fail_error(run, src->text, &err);
        else if (merge->dst.volume->ops->write(out, piece, (size_t)n, &err) != 0)
            rc = fs_fail_error(run, merge->dst.text, &err);
    }
    src->volume->ops->close_read(in);
    return rc;
}

static int write_all(struct fs_run *run, void *out, char *piece)
{
    struct merge *merge = run->state;
    struct qn_error err;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < merge->sources.n && !fs_is_interrupted(); i++) {
        const struct fs_item *src = &merge->sources.v[i];
        bool is_empty = src->stat.length == 0;
        if (!is_empty)
            rc = pour(run, src, out, piece);
        if (rc == 0 && fs_has(run, "nl") && !(is_empty && fs_has(run, "skip-empty-file")) &&
            merge->dst.volume->ops->write(out, "\n", 1, &err) != 0)
            rc = fs_fail_error(run, merge->dst.text, &err);
    }
    return rc;
}

static void merge_arguments(struct fs_run *run, struct fs_items *items)
{
    struct merge *merge = run->state;
    struct qn_error err;
    for (size_t i = 0; i < items->n && !fs_is_interrupted(); i++)
        fs_walk_operand(run, &items->v[i]);
    if (run->errors)
        return;
    const struct fs_new_file how = {.overwrite = true};
    const struct fs_volume_ops *ops = merge->dst.volume->ops;
    char *dir = slice_dup(path_parent(slice_str(merge->dst.path)));
    if (!dir || ops->mkdir(merge->dst.volume, dir, true, &err) != 0)
        fs_fail(run, "%s", dir ? err.message : err_text(ERR_NOMEM));
    mem_free(dir);
    if (run->errors)
        return;
    void *out = ops->create(merge->dst.volume, merge->dst.path, &how, &err);
    char *piece = mem_alloc(PIECE);
    if (!out)
        fs_fail_error(run, merge->dst.text, &err);
    else if (!piece)
        fs_fail(run, "%s", err_text(ERR_NOMEM));
    else
        write_all(run, out, piece);
    if (out && ops->finish(out, &err) != 0)
        fs_fail_error(run, merge->dst.text, &err);
    mem_free(piece);
}

static void merge_end(struct fs_run *run)
{
    struct merge *merge = run->state;
    fs_item_release(&merge->dst);
    fs_items_release(&merge->sources);
}

static const struct fs_option options[] = {
    {"nl", NULL, "Add a newline character at the end of each file."},
    {"skip-empty-file", NULL, "Do not add new line character for empty file."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_getmerge = {
    .name = "getmerge",
    .usage = "[-nl] [-skip-empty-file] <src> <localdst>",
    .help = "Get all the files in the directories that match the source file pattern and merge "
            "and sort them to only one file on local fs. <src> is kept.\n",
    .syntax = {options, 2, FS_NO_LIMIT, false},
    .state_size = sizeof(struct merge),
    .begin = merge_begin,
    .arguments = merge_arguments,
    .path = collect,
    .end = merge_end,
};
