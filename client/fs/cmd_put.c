/* SPDX-License-Identifier: Apache-2.0
 * put, copyFromLocal, moveFromLocal; get, copyToLocal, moveToLocal. */
#include "client/fs/commands.h"
#include "client/fs/dest.h"
#include "libcommon/base/str.h"

/* --- into the filesystem ---------------------------------------------------------------------- */

static void keep(struct fs_dest *dest, bool yes)
{
    dest->keep_times = dest->keep_owner = dest->keep_mode = yes;
}

static int put_begin(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    int rc = fs_dest_begin_copy(run);
    if (rc != 0)
        return rc;
    keep(dest, fs_has(run, "p"));
    dest->replication = fs_has(run, "l") ? 1 : 0;
    return fs_dest_remote(run);
}

/* Operands are local; "put - /x" reads stdin, which is no file to ask about. */
static void put_arguments(struct fs_run *run, struct fs_items *items)
{
    if (run->parsed.count != 1 || strcmp(run->parsed.operands[0], "-") != 0) {
        fs_dest_arguments(run, items);
        return;
    }
    struct fs_item none = {.text = run->parsed.operands[0], .path = run->parsed.operands[0]};
    struct fs_item target = {0};
    if (fs_dest_target(run, &none, true, &target) == 0)
        fs_copy_stdin(run, &target);
}

static int move_begin(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    int rc = put_begin(run);
    dest->removes_source = true;
    return rc;
}

/* A file's source goes when its copy is there (copy.c); a directory's when it is empty. */
static int move_after(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    if (item->stat.is_dir && item->volume->ops->remove(item->volume, item->path, false, &err) <= 0)
        return fs_fail(run, "remove `%s': %s", item->text, err_text(ERR_IO));
    return 0;
}

static const struct fs_option silent_put_options[] = {
    {"f", NULL, NULL}, {"p", NULL, NULL}, {"l", NULL, NULL},  {"d", NULL, NULL},
    {"t", "", NULL},   {"q", "", NULL},   {NULL, NULL, NULL},
};
static const struct fs_option move_options[] = {
    {"f", NULL, NULL}, {"p", NULL, NULL}, {"l", NULL, NULL}, {"d", NULL, NULL}, {NULL, NULL, NULL},
};
static const struct fs_option put_options[] = {
    {"p", NULL, "Preserves timestamps, ownership and the mode."},
    {"f", NULL, "Overwrites the destination if it already exists."},
    {"t", "<thread count>",
     "Number of threads to be used, default is 16 (sixty-four of files up to 1 MiB)."},
    {"q", "<thread pool queue size>", "Thread pool queue size to be used, default is 1024."},
    {"l", NULL,
     "Allow DataNode to lazily persist the file to disk. Forces replication factor of 1. This flag "
     "will result in reduced durability. Use with care."},
    {"d", NULL, "Skip creation of temporary file(<dst>._COPYING_)."},
    {NULL, NULL, NULL},
};

#define PUT                                                                              \
    .flags = FS_LOCAL, .state_size = sizeof(struct fs_dest), .arguments = put_arguments, \
    .argument = fs_dest_argument, .path = fs_dest_path, .children = fs_dest_children,    \
    .end = fs_dest_end
#define PUT_USAGE \
    "[-f] [-p] [-l] [-d] [-t <thread count>] [-q <thread pool queue size>] <localsrc> ... <dst>"

const struct fs_command fs_put = {
    .name = "put",
    .usage = PUT_USAGE,
    .help = "Copy files from the local file system into fs. Copying fails if the file already "
            "exists, unless the -f flag is given.\n"
            "Flags:\n",
    .syntax = {put_options, 1, FS_NO_LIMIT, false},
    .begin = put_begin,
    PUT,
};
const struct fs_command fs_copy_from_local = {
    .name = "copyFromLocal",
    .usage = PUT_USAGE,
    .help = "Identical to the -put command.",
    .syntax = {silent_put_options, 1, FS_NO_LIMIT, false},
    .begin = put_begin,
    PUT,
};
const struct fs_command fs_move_from_local = {
    .name = "moveFromLocal",
    .usage = "[-f] [-p] [-l] [-d] <localsrc> ... <dst>",
    .help = "Same as -put, except that the source is deleted after it's copied\n"
            "and -t option has not yet implemented.\n",
    .syntax = {move_options, 1, FS_NO_LIMIT, false},
    .begin = move_begin,
    .after = move_after,
    PUT,
};

/* --- out of it -------------------------------------------------------------------------------- */

static int get_begin(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    int rc = fs_dest_begin_copy(run);
    if (rc != 0)
        return rc;
    keep(dest, fs_has(run, "p"));
    dest->write_crc = fs_has(run, "crc");
    return fs_dest_local(run);
}

static void get_arguments(struct fs_run *run, struct fs_items *items)
{
    struct fs_dest *dest = run->state;
    if (strcmp(dest->dst.text, "-") != 0) {
        fs_dest_arguments(run, items);
        return;
    }
    for (size_t i = 0; i < items->n && !fs_is_interrupted(); i++) {
        if (items->v[i].exists)
            fs_cat.path(run, &items->v[i]);
        else
            fs_fail_path(run, items->v[i].text, err_text(ERR_NOENT));
    }
}

static const struct fs_option get_options[] = {
    {"p", NULL, "Preserves timestamps, ownership and the mode."},
    {"f", NULL, "Overwrites the destination if it already exists."},
    {"crc", NULL, "write CRC checksums for the files downloaded."},
    {"ignoreCrc", NULL, "Skip CRC checks on the file(s) downloaded."},
    {"t", "<thread count>",
     "Number of threads to be used, default is 16 (sixty-four of files up to 1 MiB)."},
    {"q", "<thread pool queue size>", "Thread pool queue size to be used, default is 1024."},
    {"d", NULL, NULL},
    {NULL, NULL, NULL},
};
static const struct fs_option silent_get_options[] = {
    {"f", NULL, NULL}, {"p", NULL, NULL}, {"crc", NULL, NULL}, {"ignoreCrc", NULL, NULL},
    {"t", "", NULL},   {"q", "", NULL},   {"d", NULL, NULL},   {NULL, NULL, NULL},
};

#define GET                                                                                     \
    .usage = "[-f] [-p] [-crc] [-ignoreCrc] [-t <thread count>] [-q <thread pool queue size>] " \
             "<src> ... <localdst>",                                                            \
    .state_size = sizeof(struct fs_dest), .begin = get_begin, .arguments = get_arguments,       \
    .argument = fs_dest_argument, .path = fs_dest_path, .children = fs_dest_children,           \
    .end = fs_dest_end

const struct fs_command fs_get = {
    .name = "get",
    .help = "Copy files that match the file pattern <src> to the local name. <src> is kept. When "
            "copying multiple files, the destination must be a directory.\n"
            "Flags:\n",
    .syntax = {get_options, 1, FS_NO_LIMIT, false},
    GET,
};
const struct fs_command fs_copy_to_local = {
    .name = "copyToLocal",
    .help = "Identical to the -get command.",
    .syntax = {silent_get_options, 1, FS_NO_LIMIT, false},
    GET,
};

static int not_there_yet(struct fs_run *run)
{
    return fs_fail(run, "Option '-%s' is not implemented yet.", run->command->name);
}

const struct fs_command fs_move_to_local = {
    .name = "moveToLocal",
    .usage = "<src> <localdst>",
    .help = "Not implemented yet",
    .syntax = {NULL, 0, FS_NO_LIMIT, true},
    .flags = FS_RAW,
    .begin = not_there_yet,
};
