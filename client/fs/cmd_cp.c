/* SPDX-License-Identifier: Apache-2.0
 * cp and mv. */
#include <ctype.h>

#include "client/fs/commands.h"
#include "client/fs/dest.h"

/* -p[topax] is one word: taken out before the options are looked at. */
static int cp_begin(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    int rc = fs_dest_begin_copy(run);
    if (rc != 0)
        return rc;
    struct fs_parsed *parsed = &run->parsed;
    const char *keep = fs_has(run, "p") ? "top" : NULL;
    while (parsed->count && parsed->operands[0][0] == '-' && parsed->operands[0][1]) {
        const char *word = parsed->operands[0];
        if (word[1] != 'p' || word[2 + strspn(word + 2, "topaxTOPAX")])
            return fs_bad_usage(run, "Illegal option %s", word);
        keep = fs_shift_operand(run) + 2;
    }
    if (parsed->count < 2)
        return fs_bad_usage(run, "Not enough arguments: expected 2 but got %u", parsed->count);
    for (const char *p = keep; p && *p; p++) {
        int c = tolower((unsigned char)*p);
        dest->keep_times |= c == 't';
        dest->keep_owner |= c == 'o';
        dest->keep_mode |= c == 'p' || c == 'a';
        dest->keep_acl |= c == 'a';
        dest->keep_xattrs |= c == 'x';
    }
    return fs_dest_remote(run);
}

static const struct fs_option cp_options[] = {
    {"p", NULL, NULL},
    {"f", NULL, "Overwrite the destination if it already exists."},
    {"d", NULL, "Skip creation of temporary file(<dst>._COPYING_)."},
    {"t", "<thread count>",
     "Number of threads to be used, default is 16 (sixty-four of files up to 1 MiB)."},
    {"q", "<thread pool queue size>", "Thread pool queue size to be used, default is 1024."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_cp = {
    .name = "cp",
    .usage = "[-f] [-p | -p[topax]] [-d] [-t <thread count>] [-q <thread pool queue size>] <src> "
             "... <dst>",
    .help = "Copy files that match the file pattern <src> to a destination. When copying multiple "
            "files, the destination must be a directory.\n"
            "Flags :\n"
            "-p[topax]: Preserve file attributes [topx] (timestamps, ownership, permission, ACL, "
            "XAttr). If -p is specified with no arg, then preserves timestamps, ownership, "
            "permission. If -pa is specified, then preserves permission also because ACL is a "
            "super-set of permission. Determination of whether raw namespace extended attributes "
            "are preserved is independent of the -p flag.\n",
    .syntax = {cp_options, 2, FS_NO_LIMIT, true},
    .state_size = sizeof(struct fs_dest),
    .begin = cp_begin,
    .arguments = fs_dest_arguments,
    .argument = fs_dest_argument,
    .path = fs_dest_path,
    .children = fs_dest_children,
    .end = fs_dest_end,
};

/* --- mv --------------------------------------------------------------------------------------- */

static int mv_process(struct fs_run *run, struct fs_item *src, struct fs_item *target)
{
    struct qn_error err;
    int rc = 0;
    if (!fs_volume_is_same(src->volume, target->volume))
        rc = fs_fail_path(run, src->text, "Does not match target filesystem");
    else if (target->exists)
        rc = fs_fail_path(run, target->text, err_text(ERR_EXIST));
    else if (src->volume->ops->rename(src->volume, src->path, target->path, false, &err) != 0)
        rc = fs_fail_error(run, err.code == ERR_EXIST ? target->text : src->text, &err);
    fs_item_release(target);
    return rc;
}

static int mv_begin(struct fs_run *run)
{
    struct fs_dest *dest = run->state;
    dest->process = mv_process;
    return fs_dest_remote(run);
}

const struct fs_command fs_mv = {
    .name = "mv",
    .usage = "<src> ... <dst>",
    .help = "Move files that match the specified file pattern <src> to a destination <dst>. \n"
            "When moving multiple files, the destination must be a directory.\n",
    .syntax = {NULL, 2, FS_NO_LIMIT, false},
    .state_size = sizeof(struct fs_dest),
    .begin = mv_begin,
    .arguments = fs_dest_arguments,
    .argument = fs_dest_argument,
    .path = fs_dest_path,
    .end = fs_dest_end,
};
