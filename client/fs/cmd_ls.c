/* SPDX-License-Identifier: Apache-2.0
 * ls. Columns are what scripts cut out by number: never add one in the middle. Widths grow while
 * one command runs and never shrink, but for the one of -e, which is each group's own. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/fs/commands.h"
#include "client/fs/format.h"

struct ls {
    size_t repl, len, owner, group; /* widths */
    bool has_file;                  /* in this group: only then is -e's column wide */
    bool in_colour;
};

/* Only for a person's eyes: a script must never cut an escape sequence out of a column. */
static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) == 1 && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static size_t wider(size_t width, size_t n)
{
    return n > width ? n : width;
}

static size_t digits(uint64_t v)
{
    char text[24];
    return (size_t)snprintf(text, sizeof(text), "%" PRIu64, v);
}

static int ls_begin(struct fs_run *run)
{
    struct ls *ls = run->state;
    ls->repl = 3;
    ls->len = 10;
    ls->in_colour = wants_colour();
    run->recursive = fs_has(run, "R") && !fs_has(run, "d");
    run->whole_listing =
        !run->recursive || fs_has(run, "t") || fs_has(run, "S") || fs_has(run, "r");
    return 0;
}

static uint64_t shown_time(const struct fs_run *run, const struct fs_item *item)
{
    return fs_has(run, "u") ? item->stat.atime_ms : item->stat.mtime_ms;
}

/* Newest or largest first; ties by name, also when reversed. */
static int compare(const void *a, const void *b, void *arg)
{
    const struct fs_run *run = arg;
    const struct fs_item *x = a, *y = b;
    int sign = fs_has(run, "r") ? -1 : 1;
    uint64_t vx = 0, vy = 0;
    if (fs_has(run, "t")) {
        vx = shown_time(run, x);
        vy = shown_time(run, y);
    } else if (fs_has(run, "S")) {
        vx = x->stat.length;
        vy = y->stat.length;
    } else {
        return sign * strcmp(x->path, y->path);
    }
    if (vx != vy)
        return vx > vy ? -sign : sign;
    return strcmp(x->path, y->path);
}

static void ls_group(struct fs_run *run, const struct fs_item *dir, struct fs_items *items)
{
    struct ls *ls = run->state;
    bool plain = !fs_has(run, "C") && !fs_has(run, "-json");
    if (dir && !run->recursive && plain)
        printf("Found %zu items\n", items->n);
    if (dir && run->whole_listing)
        qsort_r(items->v, items->n, sizeof(*items->v), compare, run);
    ls->has_file = false;
    for (size_t i = 0; plain && i < items->n; i++) {
        const struct qn_stat *stat = &items->v[i].stat;
        ls->repl = wider(ls->repl, digits(stat->replication));
        ls->len = wider(ls->len, digits(stat->length));
        ls->owner = wider(ls->owner, strlen(stat->owner));
        ls->group = wider(ls->group, strlen(stat->group));
        ls->has_file = ls->has_file || !stat->is_dir;
    }
}

static void print_text(const struct fs_run *run, const char *text)
{
    if (!fs_has(run, "q")) {
        fputs(text, stdout);
        return;
    }
    struct buf out = BUF_INIT;
    fs_append_printable(&out, text);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

/* On a terminal: directories blue, on green where everybody may write, what can be run green. */
static void print_path(const struct fs_run *run, const struct fs_item *item)
{
    const struct ls *ls = run->state;
    const struct qn_stat *stat = &item->stat;
    const char *colour = stat->is_dir        ? stat->mode & 0002 ? "30;42" : "01;34"
                         : stat->mode & 0111 ? "01;32"
                                             : NULL;
    bool on = ls->in_colour && colour;
    if (on)
        printf("\033[%sm", colour);
    print_text(run, item->text);
    if (on)
        fputs("\033[0m", stdout);
}

static void print_line(const struct fs_run *run, const struct fs_item *item)
{
    const struct ls *ls = run->state;
    const struct qn_stat *stat = &item->stat;
    char mode[FS_MODE_TEXT], repl[16], size[FS_SIZE_TEXT], when[FS_TIME_TEXT];
    snprintf(repl, sizeof(repl), stat->is_dir ? "-" : "%" PRIu32, stat->replication);
    fs_format_size(stat->is_dir ? 0 : stat->length, fs_has(run, "h"), size);
    printf("%c%s%c%*s %-*s %-*s ", stat->is_dir ? 'd' : '-', fs_format_mode(stat->mode, mode),
           stat->has_acl ? '+' : ' ', (int)ls->repl, repl, (int)ls->owner, stat->owner,
           (int)ls->group, stat->group);
    if (fs_has(run, "e") && ls->has_file)
        printf("%-10s ", stat->is_dir ? "" : "Replicated");
    printf("%*s %s ", (int)ls->len, size, fs_format_local_minute(shown_time(run, item), when));
    print_path(run, item);
    putchar('\n');
}

static int ls_path(struct fs_run *run, struct fs_item *item)
{
    if (fs_has(run, "-json")) {
        fs_print_stat_json(item);
    } else if (fs_has(run, "C")) {
        print_path(run, item);
        putchar('\n');
    } else {
        print_line(run, item);
    }
    return 0;
}

static void ls_argument(struct fs_run *run, struct fs_item *item)
{
    if (item->stat.is_dir && !fs_has(run, "d")) {
        fs_walk_children(run, item);
        return;
    }
    struct fs_items one = {.v = item, .n = 1};
    ls_group(run, NULL, &one);
    ls_path(run, item);
}

static const struct fs_option options[] = {
    {"C", NULL, NULL}, {"d", NULL, NULL}, {"h", NULL, NULL},     {"q", NULL, NULL},
    {"R", NULL, NULL}, {"t", NULL, NULL}, {"S", NULL, NULL},     {"r", NULL, NULL},
    {"u", NULL, NULL}, {"e", NULL, NULL}, {"-json", NULL, NULL}, {NULL, NULL, NULL},
};

#define LS                                                                     \
    .usage = "[-C] [-d] [-h] [-q] [-R] [-t] [-S] [-r] [-u] [-e] [<path> ...]", \
    .syntax = {options, 0, FS_NO_LIMIT, false}, .flags = FS_DEFAULT_HERE,      \
    .state_size = sizeof(struct ls), .begin = ls_begin, .group = ls_group,     \
    .argument = ls_argument, .path = ls_path

const struct fs_command fs_ls = {
    .name = "ls",
    .help = "List the contents that match the specified file pattern. If path is not specified, "
            "the contents of /user/<currentUser> will be listed. For a directory a list of its "
            "direct children is returned (unless -d option is specified).\n\n"
            "Directory entries are of the form:\n"
            "\tpermissions - userId groupId sizeOfDirectory(in bytes)\n"
            "modificationDate(yyyy-MM-dd HH:mm) directoryName\n\n"
            "and file entries are of the form:\n"
            "\tpermissions numberOfReplicas userId groupId sizeOfFile(in bytes)\n"
            "modificationDate(yyyy-MM-dd HH:mm) fileName\n\n"
            "  -C  Display the paths of files and directories only.\n"
            "  -d  Directories are listed as plain files.\n"
            "  -h  Formats the sizes of files in a human-readable fashion\n"
            "      rather than a number of bytes.\n"
            "  -q  Print ? instead of non-printable characters.\n"
            "  -R  Recursively list the contents of directories.\n"
            "  -t  Sort files by modification time (most recent first).\n"
            "  -S  Sort files by size.\n"
            "  -r  Reverse the order of the sort.\n"
            "  -u  Use time of last access instead of modification for\n"
            "      display and sorting.\n"
            "  -e  Display the erasure coding policy of files and directories.\n"
            "  --json  One JSON object per line instead of columns.\n",
    LS,
};

const struct fs_command fs_lsr = {
    .name = "lsr",
    .help = "(DEPRECATED) Same as 'ls -R'",
    .replacement = "ls -R",
    .implied = "R",
    LS,
};
