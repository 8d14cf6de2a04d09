/* SPDX-License-Identifier: Apache-2.0
 * The table of commands, and help and usage made from it. */
#include <errno.h>

#include "client/fs/commands.h"

#define WIDTH       80
#define TABLE_WIDTH 79

/* In byte order of names: this is the order of the general usage. */
static const struct fs_command *const commands[] = {
    &fs_append_to_file,
    &fs_cat,
    &fs_checksum,
    &fs_chgrp,
    &fs_chmod,
    &fs_chown,
    &fs_concat,
    &fs_copy_from_local,
    &fs_copy_to_local,
    &fs_count,
    &fs_cp,
    &fs_create_snapshot,
    &fs_delete_snapshot,
    &fs_df,
    &fs_du,
    &fs_dus,
    &fs_expunge,
    &fs_find,
    &fs_get,
    &fs_getfacl,
    &fs_getfattr,
    &fs_getmerge,
    &fs_head,
    &fs_help,
    &fs_ls,
    &fs_lsr,
    &fs_mkdir,
    &fs_move_from_local,
    &fs_move_to_local,
    &fs_mv,
    &fs_put,
    &fs_rename_snapshot,
    &fs_rm,
    &fs_rmdir,
    &fs_rmr,
    &fs_setfacl,
    &fs_setfattr,
    &fs_setrep,
    &fs_stat,
    &fs_tail,
    &fs_test,
    &fs_text,
    &fs_touch,
    &fs_touchz,
    &fs_truncate,
    &fs_usage,
};

const struct fs_command *fs_command_at(size_t i)
{
    return i < ARRAY_LEN(commands) ? commands[i] : NULL;
}

const struct fs_command *fs_command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

bool fs_is_hadoop(void)
{
    const char *name = program_invocation_short_name;
    return strcmp(name, "hadoop") == 0 || strcmp(name, "hdfs") == 0;
}

/* A `hadoop` or `hdfs` that is a link to us is told about itself. */
const char *fs_program(void)
{
    return fs_is_hadoop() ? "hadoop fs" : "quern fs";
}

/* A deprecated name tells only what to type instead. */
static const char *usage_of(const struct fs_command *command)
{
    return command->replacement ? "" : command->usage;
}

void fs_print_usage(FILE *out, const struct fs_command *command)
{
    const char *usage = usage_of(command);
    fprintf(out, "Usage: %s [generic options] -%s%s%s\n", fs_program(), command->name,
            *usage ? " " : "", usage);
}

/* The part of a line that fits into `room`, cut at a blank; all of it when there is none. */
static size_t fitting(const char *text, size_t len, size_t room)
{
    if (len <= room)
        return len;
    size_t cut = room;
    while (cut && text[cut] != ' ')
        cut--;
    return cut ? cut : len; /* one word that is longer than a line */
}

static void print_wrapped(FILE *out, struct slice line)
{
    const char *text = (const char *)line.data;
    for (size_t at = 0;;) {
        size_t n = fitting(text + at, line.len - at, WIDTH);
        fprintf(out, "  %.*s\n", (int)n, text + at);
        at += n + 1;
        if (at > line.len)
            return;
    }
}

/* --- rows: a word, and what it means beside it ------------------------------------------------ */

struct row {
    char left[32];
    struct slice right;
};
struct rows {
    struct row v[FS_OPTIONS_MAX];
    size_t n;
};

/* Laid out as Hadoop's shell does, which pads each line with blanks to the width of the table. */
static void print_rows(FILE *out, struct rows *rows)
{
    size_t left = 0, right = 0;
    for (size_t i = 0; i < rows->n; i++) {
        size_t n = strlen(rows->v[i].left) + 1;
        left = n > left ? n : left;
        right = rows->v[i].right.len + 1 > right ? rows->v[i].right.len + 1 : right;
    }
    if (left + 1 + right > TABLE_WIDTH)
        right = TABLE_WIDTH - left - 1;
    if (rows->n)
        fprintf(out, "  %*s\n", (int)(left + 1 + right), "");
    for (size_t i = 0; i < rows->n; i++) {
        const char *word = rows->v[i].left, *text = (const char *)rows->v[i].right.data;
        for (size_t at = 0; at < rows->v[i].right.len; word = "") {
            size_t n = fitting(text + at, rows->v[i].right.len - at, right);
            fprintf(out, "  %-*s %-*.*s\n", (int)left, word, (int)right, (int)n, text + at);
            at += n + 1;
        }
    }
    rows->n = 0;
}

static struct row *new_row(struct rows *rows)
{
    BUG_ON(rows->n == ARRAY_LEN(rows->v));
    return &rows->v[rows->n++];
}

static void add_options(struct rows *rows, const struct fs_option *options)
{
    for (const struct fs_option *o = options; o && o->name; o++) {
        if (!o->help)
            continue;
        struct row *row = new_row(rows);
        snprintf(row->left, sizeof(row->left), o->arg ? "-%s %s" : "-%s", o->name, o->arg);
        row->right = slice_str(o->help);
    }
}

/* "-x: what it does" or "<x>: what it is" */
static bool add_row(struct rows *rows, struct slice line)
{
    const char *text = (const char *)line.data, *colon = memchr(text, ':', line.len);
    if (line.len == 0 || (text[0] != '-' && text[0] != '<') || !colon)
        return false;
    struct row *row = new_row(rows);
    snprintf(row->left, sizeof(row->left), "%.*s", (int)(colon - text), text);
    row->right = slice_of(colon + 2, line.len - (size_t)(colon + 2 - text));
    return true;
}

void fs_print_help(FILE *out, const struct fs_command *command)
{
    struct rows rows = {.n = 0};
    bool listed = false;
    if (command == &fs_distcp) /* no command of fs */
        fprintf(out, "Usage: %s distcp %s\n\n", fs_is_hadoop() ? "hadoop" : "quern",
                command->usage);
    else
        fprintf(out, "-%s%s%s :\n", command->name, *usage_of(command) ? " " : "",
                usage_of(command));
    for (const char *text = command->help; *text;) {
        struct slice line = slice_of(text, strcspn(text, "\n"));
        text += line.len + (text[line.len] == '\n');
        if (slice_is(line, FS_HELP_OPTIONS)) {
            add_options(&rows, command->syntax.options);
            listed = true;
        } else if (!add_row(&rows, line)) {
            print_rows(out, &rows);
            print_wrapped(out, line);
        }
    }
    if (!listed && !command->replacement)
        add_options(&rows, command->syntax.options);
    print_rows(out, &rows);
}

static void print_generic(FILE *out)
{
    fprintf(out,
            "Generic options supported are:\n"
            "-conf <configuration file>        specify an application configuration file\n"
            "-D <property=value>               define a value for a given property\n"
            "-fs <file:///|quern://namenode:port> specify default filesystem URL to use, overrides "
            "'fs.defaultFS' property from configurations.\n"
            "-jt <local|jobtracker:port>  specify a jobtracker\n"
            "\n"
            "The general command line syntax is:\n"
            "command [genericOptions] [commandOptions]\n\n");
}

void fs_print_general(FILE *out, bool with_help)
{
    fprintf(out, "Usage: %s [generic options]\n", fs_program());
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (!commands[i]->replacement)
            fprintf(out, "\t[-%s%s%s]\n", commands[i]->name, *commands[i]->usage ? " " : "",
                    commands[i]->usage);
    for (size_t i = 0; with_help && i < ARRAY_LEN(commands); i++) {
        if (commands[i]->replacement)
            continue;
        fputc('\n', out);
        fs_print_help(out, commands[i]);
    }
    fputc('\n', out);
    print_generic(out);
}

/* --- the two commands that show it ------------------------------------------------------------ */

typedef void print_fn(FILE *out, const struct fs_command *command);

static int print_each(struct fs_run *run, print_fn *print, bool with_help)
{
    if (run->parsed.count == 0)
        fs_print_general(stdout, with_help);
    for (uint32_t i = 0; i < run->parsed.count; i++) {
        const char *name = run->parsed.operands[i];
        const struct fs_command *command = fs_command_find(name + (name[0] == '-'));
        if (!command)
            return fs_bad_usage(run, "`%s': Unknown command", name);
        print(stdout, command);
    }
    return 0;
}

static int help_begin(struct fs_run *run)
{
    return print_each(run, fs_print_help, true);
}

static int usage_begin(struct fs_run *run)
{
    return print_each(run, fs_print_usage, false);
}

const struct fs_command fs_help = {
    .name = "help",
    .usage = "[cmd ...]",
    .help = "Displays help for given command or all commands if none is specified.",
    .syntax = {NULL, 0, FS_NO_LIMIT, true},
    .flags = FS_RAW,
    .begin = help_begin,
};
const struct fs_command fs_usage = {
    .name = "usage",
    .usage = "[cmd ...]",
    .help = "Displays the usage for given command or all commands if none is specified.",
    .syntax = {NULL, 0, FS_NO_LIMIT, true},
    .flags = FS_RAW,
    .begin = usage_begin,
};
