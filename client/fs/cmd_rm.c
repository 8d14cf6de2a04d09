/* SPDX-License-Identifier: Apache-2.0
 * rm, rmr, rmdir, expunge. */
#include <inttypes.h>
#include <strings.h>

#include "client/fs/commands.h"
#include "client/fs/trash.h"
#include "libcommon/base/conf.h"
#include "libcommon/base/mem.h"

static int rm_begin(struct fs_run *run)
{
    run->ignore_missing = fs_has(run, "f");
    return 0;
}

/* Asks until it is a yes or a no; the end of stdin is a no. */
static bool confirm(uint64_t files)
{
    char line[256];
    fflush(stdout);
    for (;;) {
        fprintf(stderr, "Proceed deleting %" PRIu64 " files? (Y or N) ", files);
        if (!fgets(line, sizeof(line), stdin))
            return false;
        line[strcspn(line, "\r\n")] = '\0';
        if (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0)
            return true;
        if (strcasecmp(line, "n") == 0 || strcasecmp(line, "no") == 0)
            return false;
        fprintf(stderr, "Invalid input: %s\n", line);
    }
}

/* -safely: more than so many files below go only after a yes. 1 = it may go, 0 = it was not to. */
static int ask_first(struct fs_run *run, const struct fs_item *item)
{
    struct qn_error err;
    struct qn_summary sum;
    const struct conf *conf = fs_conf(run, &err);
    if (!conf || item->volume->ops->summary(item->volume, item->path, &sum, &err) != 0) {
        fs_fail_error(run, item->text, &err);
        return -1;
    }
    uint64_t limit = (uint64_t)conf_int(conf, "hadoop.shell.safely.delete.limit.num.files");
    if (limit == 0 || sum.files <= limit || confirm(sum.files))
        return 1;
    fprintf(stderr, "Delete aborted at user request.\n\n");
    return 0;
}

static bool is_root(const struct fs_item *item)
{
    return strcmp(item->path, "/") == 0;
}

static void trash_it(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    if (!fs_has(run, "skipTrash"))
        fs_trash_take(item, ret);
}

static bool is_recursive(const struct fs_run *run)
{
    return fs_has(run, "r") || fs_has(run, "R");
}

static void delete_it(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    ret->rc = is_root(item) ? 0
                            : item->volume->ops->remove(item->volume, item->path, is_recursive(run),
                                                        &ret->err);
}

static void rm_ask(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    trash_it(run, item, ret);
    if (ret->rc == 0)
        delete_it(run, item, ret);
}

static int rm_tell(struct fs_run *run, struct fs_item *item, const struct fs_answer *answer)
{
    if (answer->rc < 0 && answer->text)
        return fs_fail(run, "%s", answer->text);
    if (answer->rc < 0)
        return fs_fail_error(run, item->text, &answer->err);
    if (answer->rc == 0)
        return fs_fail_path(run, item->text, err_text(ERR_IO));
    if (answer->rc == FS_TRASH_MOVED) {
        fflush(stdout);
        fprintf(stderr, "%s\n", answer->text ? answer->text : err_text(ERR_NOMEM));
    } else {
        printf("Deleted %s\n", item->text);
    }
    return 0;
}

/* Who is asked about one thing is not to find the next gone already. */
static int rm_safely(struct fs_run *run, struct fs_item *item)
{
    struct fs_answer answer = {0};
    trash_it(run, item, &answer);
    int rc = answer.rc == 0 ? ask_first(run, item) : 1;
    if (rc > 0 && answer.rc == 0)
        delete_it(run, item, &answer);
    rc = rc > 0 ? rm_tell(run, item, &answer) : rc < 0 ? FS_STOP : 0;
    mem_free(answer.text);
    return rc;
}

static int rm_path(struct fs_run *run, struct fs_item *item)
{
    static const struct fs_request request = {rm_ask, rm_tell};
    if (item->stat.is_dir && !is_recursive(run))
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    return fs_has(run, "safely") ? rm_safely(run, item) : fs_later(run, item, &request);
}

static int rmdir_path(struct fs_run *run, struct fs_item *item)
{
    if (!item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_NOTDIR));
    struct qn_error err = {.code = ERR_NOTEMPTY};
    int rc = is_root(item) ? ERR_NOTEMPTY
                           : item->volume->ops->remove(item->volume, item->path, false, &err);
    if (rc == ERR_NOTEMPTY && fs_has(run, "-ignore-fail-on-non-empty"))
        return 0;
    return rc < 0 ? fs_fail_error(run, item->text, &err) : 0;
}

static int expunge_begin(struct fs_run *run)
{
    struct qn_error err;
    const char *where = fs_value(run, "fs");
    struct fs_volume *volume = fs_volume_for(run->shell, where && *where ? where : ".", &err);
    if (!volume)
        return fs_fail_error(run, where ? where : ".", &err);
    return fs_trash_expunge(run, volume, fs_has(run, "immediate"));
}

static const struct fs_option rm_options[] = {
    {"f", NULL, NULL},         {"r", NULL, NULL},      {"R", NULL, NULL},
    {"skipTrash", NULL, NULL}, {"safely", NULL, NULL}, {NULL, NULL, NULL},
};
static const struct fs_option rmdir_options[] = {
    {"-ignore-fail-on-non-empty", NULL, NULL},
    {NULL, NULL, NULL},
};
static const struct fs_option expunge_options[] = {
    {"immediate", NULL, NULL},
    {"fs", "", NULL},
    {NULL, NULL, NULL},
};

#define RM                                                    \
    .usage = "[-f] [-r|-R] [-skipTrash] [-safely] <src> ...", \
    .syntax = {rm_options, 1, FS_NO_LIMIT, false}, .begin = rm_begin, .path = rm_path

const struct fs_command fs_rm = {
    .name = "rm",
    .help = "Delete all files that match the specified file pattern. Equivalent to the Unix "
            "command \"rm <src>\"\n"
            "-f: If the file does not exist, do not display a diagnostic message or modify the "
            "exit status to reflect an error.\n"
            "-[rR]: Recursively deletes directories.\n"
            "-skipTrash: option bypasses trash, if enabled, and immediately deletes <src>.\n"
            "-safely: option requires safety confirmation, if enabled, requires confirmation "
            "before deleting large directory with more than <hadoop.shell.delete.limit.num.files> "
            "files. Delay is expected when walking over large directory recursively to count the "
            "number of files to be deleted before the confirmation.\n",
    RM,
};
const struct fs_command fs_rmr = {
    .name = "rmr",
    .help = "(DEPRECATED) Same as '-rm -r'",
    .replacement = "-rm -r",
    .implied = "r",
    RM,
};
const struct fs_command fs_rmdir = {
    .name = "rmdir",
    .usage = "[--ignore-fail-on-non-empty] <dir> ...",
    .help = "Removes the directory entry specified by each directory argument, provided it is "
            "empty.",
    .syntax = {rmdir_options, 1, FS_NO_LIMIT, false},
    .path = rmdir_path,
};
const struct fs_command fs_expunge = {
    .name = "expunge",
    .usage = "[-immediate] [-fs <path>]",
    .help = "Delete files from the trash that are older than the retention threshold",
    .syntax = {expunge_options, 0, FS_NO_LIMIT, false},
    .flags = FS_RAW,
    .begin = expunge_begin,
};
