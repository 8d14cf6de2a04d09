/* SPDX-License-Identifier: Apache-2.0
 * stat and test. Times are UTC here and local in ls: so are they in Hadoop's shell. */
#include <inttypes.h>

#include "client/fs/commands.h"
#include "client/fs/format.h"
#include "client/fs/stat_format.h"
#include "client/lib/server.h"
#include "libcommon/base/path.h"

void fs_print_stat_json(const struct fs_item *item)
{
    const struct qn_stat *stat = &item->stat;
    struct buf out = BUF_INIT;
    buf_append_str(&out, "{\"path\":");
    fs_append_json(&out, item->text);
    buf_printf(&out,
               ",\"type\":\"%s\",\"mode\":\"%o\",\"owner\":", stat->is_dir ? "directory" : "file",
               stat->mode);
    fs_append_json(&out, stat->owner);
    buf_append_str(&out, ",\"group\":");
    fs_append_json(&out, stat->group);
    buf_printf(&out,
               ",\"length\":%" PRIu64 ",\"replication\":%" PRIu32 ",\"blockSize\":%" PRIu64
               ",\"modificationTime\":%" PRIu64 ",\"accessTime\":%" PRIu64 ",\"open\":%s}\n",
               stat->length, stat->replication, stat->block_size, stat->mtime_ms, stat->atime_ms,
               stat->is_open ? "true" : "false");
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

struct stat_state {
    const char *format;
};

static int stat_begin(struct fs_run *run)
{
    struct stat_state *state = run->state;
    state->format = "%y";
    run->recursive = fs_has(run, "R");
    if (strchr(run->parsed.operands[0], '%')) {
        state->format = fs_shift_operand(run);
        if (run->parsed.count == 0)
            return fs_bad_usage(run, "Not enough arguments: expected 1 but got 0");
    }
    return 0;
}

static int stat_path(struct fs_run *run, struct fs_item *item)
{
    struct stat_state *state = run->state;
    if (fs_has(run, "-json")) {
        fs_print_stat_json(item);
        return 0;
    }
    struct buf out = BUF_INIT;
    struct slice name = path_name(slice_str(item->path));
    fs_stat_format(state->format, &item->stat, name, &out);
    buf_append_byte(&out, '\n');
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
    return 0;
}

static const struct fs_option stat_options[] = {
    {"R", NULL, NULL},
    {"-json", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_stat = {
    .name = "stat",
    .usage = "[format] <path> ...",
    .help = "Print statistics about the file/directory at <path>\n"
            "in the specified format. Format accepts permissions in\n"
            "octal (%a) and symbolic (%A), filesize in\n"
            "bytes (%b), type (%F), group name of owner (%g),\n"
            "name (%n), block size (%o), replication (%r), user name\n"
            "of owner (%u), access date (%x, %X).\n"
            "modification date (%y, %Y).\n"
            "%x and %y show UTC date as \"yyyy-MM-dd HH:mm:ss\" and\n"
            "%X and %Y show milliseconds since January 1, 1970 UTC.\n"
            "If the format is not specified, %y is used by default.\n"
            "  --json  One JSON object per line instead of the format.\n",
    .syntax = {stat_options, 1, FS_NO_LIMIT, false},
    .state_size = sizeof(struct stat_state),
    .begin = stat_begin,
    .path = stat_path,
};

/* --- test ------------------------------------------------------------------------------------- */

static int test_begin(struct fs_run *run)
{
    unsigned flags = 0;
    for (int i = 0; run->command->syntax.options[i].name; i++)
        flags += run->parsed.value[i] != NULL;
    if (flags == 0)
        return fs_bad_usage(run, "No test flag given");
    if (flags > 1)
        return fs_bad_usage(run, "Only one test flag is allowed");
    return 0;
}

/* The namenode knows who is a superuser, in which groups, and what the lists say. */
static bool may(const struct fs_item *item, uint32_t bit)
{
    struct qn_error err;
    return !item->volume->qn || cl_access(item->volume->qn, item->path, bit, &err) == 0;
}

static int test_path(struct fs_run *run, struct fs_item *item)
{
    const struct qn_stat *stat = &item->stat;
    bool yes = fs_has(run, "e") || (fs_has(run, "d") && stat->is_dir) ||
               (fs_has(run, "f") && !stat->is_dir) || (fs_has(run, "s") && stat->length > 0) ||
               (fs_has(run, "z") && stat->length == 0) || (fs_has(run, "r") && may(item, 4)) ||
               (fs_has(run, "w") && may(item, 2));
    if (!yes)
        run->exit_code = 1;
    return 0;
}

static void test_missing(struct fs_run *run, struct fs_item *item)
{
    (void)item;
    run->exit_code = 1;
}

static const struct fs_option test_options[] = {
    {"d", NULL, NULL}, {"e", NULL, NULL}, {"f", NULL, NULL}, {"s", NULL, NULL},
    {"w", NULL, NULL}, {"r", NULL, NULL}, {"z", NULL, NULL}, {NULL, NULL, NULL},
};

const struct fs_command fs_test = {
    .name = "test",
    .usage = "-[defswrz] <path>",
    .help = "Answer various questions about <path>, with result via exit status.\n"
            "  -d  return 0 if <path> is a directory.\n"
            "  -e  return 0 if <path> exists.\n"
            "  -f  return 0 if <path> is a file.\n"
            "  -s  return 0 if file <path> is greater than zero bytes in size.\n"
            "  -w  return 0 if file <path> exists and write permission is granted.\n"
            "  -r  return 0 if file <path> exists and read permission is granted.\n"
            "  -z  return 0 if file <path> is zero bytes in size, else return 1.\n",
    .syntax = {test_options, 1, 1, false},
    .begin = test_begin,
    .path = test_path,
    .missing = test_missing,
};
