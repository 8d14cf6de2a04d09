/* SPDX-License-Identifier: Apache-2.0
 * touchz and touch. */
#include "client/fs/commands.h"
#include "client/fs/format.h"
#include "libcommon/base/clock.h"

static int create_empty(struct fs_run *run, struct fs_item *item, bool overwrite)
{
    struct qn_error err;
    const struct fs_new_file how = {.overwrite = overwrite};
    void *file = item->volume->ops->create(item->volume, item->path, &how, &err);
    if (!file || item->volume->ops->finish(file, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    return 0;
}

static int touchz_path(struct fs_run *run, struct fs_item *item)
{
    if (item->stat.is_dir)
        return fs_fail_path(run, item->text, err_text(ERR_ISDIR));
    if (item->stat.length != 0)
        return fs_fail_path(run, item->text, "Not a zero-length file");
    return create_empty(run, item, true);
}

static void touchz_missing(struct fs_run *run, struct fs_item *item)
{
    if (fs_check_parent(run, item) == 0)
        create_empty(run, item, true);
}

const struct fs_command fs_touchz = {
    .name = "touchz",
    .usage = "<path> ...",
    .help = "Creates a file of zero length at <path> with current time as the timestamp of that "
            "<path>. An error is returned if the file exists with non-zero length\n",
    .syntax = {NULL, 1, FS_NO_LIMIT, false},
    .path = touchz_path,
    .missing = touchz_missing,
};

/* --- touch ------------------------------------------------------------------------------------ */

static int touch_begin(struct fs_run *run)
{
    int64_t ms;
    const char *stamp = fs_value(run, "t");
    if (stamp && fs_parse_timestamp(stamp, &ms) != 0)
        return fs_bad_usage(run,
                            "Unable to parse the specified timestamp %s. The expected format "
                            "is yyyyMMdd:HHmmss",
                            stamp);
    return 0;
}

static int set_times(struct fs_run *run, struct fs_item *item)
{
    int64_t now = (int64_t)clock_wall_ms();
    const char *stamp = fs_value(run, "t");
    if (stamp && fs_parse_timestamp(stamp, &now) != 0)
        BUG("checked before");
    bool only_m = fs_has(run, "m") && !fs_has(run, "a");
    bool only_a = fs_has(run, "a") && !fs_has(run, "m");
    struct qn_error err;
    if (item->volume->ops->utimes(item->volume, item->path, only_a ? -1 : now, only_m ? -1 : now,
                                  &err) != 0)
        return fs_fail_error(run, item->text, &err);
    return 0;
}

static void touch_missing(struct fs_run *run, struct fs_item *item)
{
    if (fs_check_parent(run, item) != 0 || fs_has(run, "c"))
        return;
    if (create_empty(run, item, false) == 0 && fs_has(run, "t"))
        set_times(run, item);
}

static const struct fs_option options[] = {
    {"a", NULL, NULL}, {"m", NULL, NULL},  {"t", "", NULL, false, true},
    {"c", NULL, NULL}, {NULL, NULL, NULL},
};

const struct fs_command fs_touch = {
    .name = "touch",
    .usage = "[-a] [-m] [-t TIMESTAMP (yyyyMMdd:HHmmss) ] [-c] <path> ...",
    .help = "Updates the access and modification times of the file specified by the <path> to the "
            "current time. If the file does not exist, then a zero length file is created at "
            "<path> with current time as the timestamp of that <path>.\n"
            "-a Change only the access time \n"
            "-m Change only the modification time \n"
            "-t TIMESTAMP Use specified timestamp instead of current time\n"
            " TIMESTAMP format yyyyMMdd:HHmmss\n"
            "-c Do not create any files\n",
    .syntax = {options, 1, FS_NO_LIMIT, false},
    .begin = touch_begin,
    .path = set_times,
    .missing = touch_missing,
};
