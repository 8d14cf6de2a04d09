/* SPDX-License-Identifier: Apache-2.0
 * find: paths first, then tests and -print, -print0, joined by -a (or nothing). */
#include "client/fs/commands.h"
#include "client/fs/find_expr.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/path.h"

struct find {
    struct fs_find_expr expr;
    uint64_t now_ms;
};

static int find_begin(struct fs_run *run)
{
    static char here[] = ".", *only_here[] = {here};
    struct find *find = run->state;
    struct fs_parsed *parsed = &run->parsed;
    run->recursive = true;
    find->now_ms = clock_wall_ms();
    uint32_t paths = 0;
    while (paths < parsed->count && parsed->operands[paths][0] != '-')
        paths++;
    struct err err;
    int rc = fs_find_parse(parsed->operands + paths, parsed->count - paths, &find->expr, &err);
    if (rc != 0)
        return rc == ERR_USAGE ? fs_bad_usage(run, "%s", err.msg) : fs_fail(run, "%s", err.msg);
    parsed->count = paths;
    if (paths == 0) {
        parsed->operands = only_here;
        parsed->count = 1;
    }
    return 0;
}

static int find_path(struct fs_run *run, struct fs_item *item)
{
    struct find *find = run->state;
    const struct fs_find_entry entry = {path_name(slice_str(item->path)), &item->stat,
                                        find->now_ms};
    int ends[FS_FIND_STEPS_MAX];
    size_t n = fs_find_apply(&find->expr, &entry, ends);
    for (size_t i = 0; i < n; i++) {
        if (ends[i] == FS_FIND_AS_JSON) {
            fs_print_stat_json(item);
            continue;
        }
        fputs(item->text, stdout);
        putchar(ends[i]);
    }
    return 0;
}

static void find_end(struct fs_run *run)
{
    struct find *find = run->state;
    fs_find_release(&find->expr);
}

static const struct fs_option options[] = {
    {"L", NULL, NULL},
    {"H", NULL, NULL},
    {NULL, NULL, NULL},
};

const struct fs_command fs_find = {
    .name = "find",
    .usage = "<path> ... <expression> ...",
    .help = "Finds all files that match the specified expression and\n"
            "applies selected actions to them. If no <path> is specified\n"
            "then defaults to the current working directory. If no\n"
            "expression is specified then defaults to -print.\n\n"
            "The following primary expressions are recognised:\n"
            "  -name pattern\n"
            "  -iname pattern\n"
            "    Evaluates as true if the basename of the file matches the\n"
            "    pattern using standard file system globbing.\n"
            "    If -iname is used then the match is case insensitive.\n\n"
            "  -print\n"
            "  -print0\n"
            "    Always evaluates to true. Causes the current pathname to be\n"
            "    written to standard output followed by a newline. If the -print0\n"
            "    expression is used then an ASCII NULL character is appended rather\n"
            "    than a newline.\n\n"
            "The following operators are recognised:\n"
            "  expression -a expression\n"
            "  expression -and expression\n"
            "  expression expression\n"
            "    Logical AND operator for joining two expressions. Returns\n"
            "    true if both child expressions return true. Implied by the\n"
            "    juxtaposition of two expressions and so does not need to be\n"
            "    explicitly specified. The second expression will not be\n"
            "    applied if the first fails.\n"
            "These stand beside -name, which is all that Hadoop's find knows:\n"
            "  -type f|d\n"
            "  -size [+-]N[ckMGTP]\n"
            "  -mtime [+-]DAYS\n"
            "  -mmin [+-]MINUTES\n"
            "  -user NAME\n"
            "  -group NAME\n"
            "    Evaluates as true for files or directories; for what is so large\n"
            "    (in bytes, or in units of which a part counts as one), was changed\n"
            "    so long ago, or belongs to that user or group. + means more than,\n"
            "    - less than, a bare number exactly.\n"
            "  --json\n"
            "    In the place of -print: one JSON object per line, as -ls has it.\n",
    .syntax = {options, 1, FS_NO_LIMIT, true},
    .state_size = sizeof(struct find),
    .begin = find_begin,
    .path = find_path,
    .end = find_end,
};
