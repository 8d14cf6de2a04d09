/* SPDX-License-Identifier: Apache-2.0
 * du, dus, df: how much room things take. */
#include <inttypes.h>

#include "client/fs/commands.h"
#include "client/fs/format.h"

struct usage {
    struct fs_table table;
    uint32_t rows; /* without the header */
};

static int out_of_memory(struct fs_run *run)
{
    return fs_fail(run, "%s", err_text(ERR_NOMEM));
}

static int du_begin(struct fs_run *run)
{
    struct usage *usage = run->state;
    fs_table_init(&usage->table, 3, 0);
    static const char *const header[] = {"SIZE", "DISK_SPACE_CONSUMED_WITH_ALL_REPLICAS",
                                         "FULL_PATH_NAME"};
    if (fs_has(run, "v") && fs_table_add(&usage->table, header) != 0)
        return out_of_memory(run);
    return 0;
}

static void du_argument(struct fs_run *run, struct fs_item *item)
{
    if (item->stat.is_dir && !fs_has(run, "s"))
        fs_walk_children(run, item);
    else
        fs_walk_item(run, item);
}

static void du_json(const struct fs_item *item, const struct qn_summary *sum)
{
    struct buf out = BUF_INIT;
    buf_append_str(&out, "{\"path\":");
    fs_append_json(&out, item->text);
    buf_printf(&out, ",\"size\":%" PRIu64 ",\"space\":%" PRIu64 "}\n", sum->length, sum->space);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

/* A listing told all of a closed file of the cluster. Elsewhere a file may have holes. */
static int measure(const struct fs_item *item, struct qn_summary *ret, struct qn_error *err)
{
    const struct qn_stat *stat = &item->stat;
    if (stat->is_dir || stat->is_open || !item->volume->qn)
        return item->volume->ops->summary(item->volume, item->path, ret, err);
    *ret = (struct qn_summary){
        .length = stat->length, .space = stat->length * stat->replication, .files = 1};
    return 0;
}

static int du_path(struct fs_run *run, struct fs_item *item)
{
    struct usage *usage = run->state;
    struct qn_error err;
    struct qn_summary sum;
    if (measure(item, &sum, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    if (fs_has(run, "-json")) {
        du_json(item, &sum);
        return 0;
    }
    char length[FS_SIZE_TEXT], space[FS_SIZE_TEXT];
    bool human = fs_has(run, "h");
    const char *const row[] = {fs_format_size(sum.length, human, length),
                               fs_format_size(sum.space, human, space), item->text};
    usage->rows++;
    return fs_table_add(&usage->table, row) == 0 ? 0 : out_of_memory(run);
}

static void print_table(struct fs_run *run)
{
    struct usage *usage = run->state;
    if (usage->rows)
        fs_table_print(&usage->table, stdout);
    fs_table_release(&usage->table);
}

static int df_begin(struct fs_run *run)
{
    static char root[] = "/", *only_root[] = {root};
    static const char *const header[] = {"Filesystem", "Size", "Used", "Available", "Use%"};
    struct usage *usage = run->state;
    fs_table_init(&usage->table, 5, 2 | 4 | 8 | 16);
    if (run->parsed.count == 0) {
        run->parsed.operands = only_root;
        run->parsed.count = 1;
    }
    return fs_table_add(&usage->table, header) == 0 ? 0 : out_of_memory(run);
}

static void df_json(const struct fs_item *item, const struct qn_space *space)
{
    struct buf out = BUF_INIT;
    buf_append_str(&out, "{\"filesystem\":");
    fs_append_json(&out, item->volume->uri);
    buf_printf(&out, ",\"capacity\":%" PRIu64 ",\"used\":%" PRIu64 ",\"remaining\":%" PRIu64 "}\n",
               space->capacity, space->used, space->remaining);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

static int df_path(struct fs_run *run, struct fs_item *item)
{
    struct usage *usage = run->state;
    struct qn_error err;
    struct qn_space space;
    if (item->volume->ops->space(item->volume, &space, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    if (fs_has(run, "-json")) {
        df_json(item, &space);
        return 0;
    }
    char size[FS_SIZE_TEXT], used[FS_SIZE_TEXT], left[FS_SIZE_TEXT], percent[16];
    bool human = fs_has(run, "h");
    snprintf(percent, sizeof(percent), "%.0f%%",
             space.capacity ? 100.0 * (double)space.used / (double)space.capacity : 0.0);
    const char *const row[] = {item->volume->uri, fs_format_size(space.capacity, human, size),
                               fs_format_size(space.used, human, used),
                               fs_format_size(space.remaining, human, left), percent};
    usage->rows++;
    return fs_table_add(&usage->table, row) == 0 ? 0 : out_of_memory(run);
}

static const struct fs_option du_options[] = {
    {"s", NULL,
     "Rather than showing the size of each individual file that matches the pattern, shows the "
     "total (summary) size."},
    {"h", NULL,
     "Formats the sizes of files in a human-readable fashion rather than a number of bytes."},
    {"v", NULL, "option displays a header line."},
    {"x", NULL, "Excludes snapshots from being counted."},
    {"-json", NULL, NULL},
    {NULL, NULL, NULL},
};
static const struct fs_option df_options[] = {
    {"h", NULL,
     "Formats the sizes of files in a human-readable fashion rather than a number of bytes."},
    {"-json", NULL, NULL},
    {NULL, NULL, NULL},
};

#define DU                                                                                    \
    .usage = "[-s] [-h] [-v] [-x] <path> ...", .syntax = {du_options, 0, FS_NO_LIMIT, false}, \
    .flags = FS_DEFAULT_HERE, .state_size = sizeof(struct usage), .begin = du_begin,          \
    .argument = du_argument, .path = du_path, .end = print_table

const struct fs_command fs_du = {
    .name = "du",
    .help = "Show the amount of space, in bytes, used by the files that match the specified file "
            "pattern. The following flags are optional:\n" FS_HELP_OPTIONS "\n\n"
            "Note that, even without the -s option, this only shows size summaries one level deep "
            "into a directory.\n\n"
            "The output is in the form \n"
            "\tsize\tdisk space consumed\tname(full path)\n"
            "  --json  One JSON object per line instead of columns.\n",
    DU,
};
const struct fs_command fs_dus = {
    .name = "dus",
    .help = "(DEPRECATED) Same as 'du -s'",
    .replacement = "du -s",
    .implied = "s",
    DU,
};
const struct fs_command fs_df = {
    .name = "df",
    .usage = "[-h] [<path> ...]",
    .help = "Shows the capacity, free and used space of the filesystem. If the filesystem has "
            "multiple partitions, and no path to a particular partition is specified, then the "
            "status of the root partitions will be shown.\n" FS_HELP_OPTIONS "\n"
            "  --json  One JSON object per line instead of columns.\n",
    .syntax = {df_options, 0, FS_NO_LIMIT, false},
    .state_size = sizeof(struct usage),
    .begin = df_begin,
    .path = df_path,
    .end = print_table,
};
