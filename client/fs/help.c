/* SPDX-License-Identifier: Apache-2.0
 * The table of commands, and help and usage made from it. */
#include <errno.h>

#include "client/fs/commands.h"

#define WIDTH 80

/* In byte order of names: this is the order of the general usage. */
static const struct fs_command *const commands[] = {
    &fs_append_to_file,
    &fs_cat,
    &fs_checksum,
    &fs_chgrp,
    &fs_chmod,
    &fs_chown,
    &fs_copy_from_local,
    &fs_copy_to_local,
    &fs_count,
    &fs_cp,
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

/* A `hadoop` or `hdfs` that is a link to us is told about itself. */
const char *fs_program(void)
{
    const char *name = program_invocation_short_name;
    return strcmp(name, "hadoop") == 0 || strcmp(name, "hdfs") == 0 ? "hadoop fs" : "quern fs";
}

void fs_print_usage(FILE *out, const struct fs_command *command)
{
    fprintf(out, "Usage: %s [generic options] -%s %s\n", fs_program(), command->name,
            command->usage);
}

/* Words of one line of text, wrapped; every line begins with `indent` blanks. */
static void print_wrapped(FILE *out, const char *line, size_t len, int indent)
{
    size_t room = (size_t)(WIDTH - indent);
    while (len > room) {
        size_t cut = room;
        while (cut && line[cut] != ' ')
            cut--;
        if (cut == 0)
            break; /* one word that is longer than a line */
        fprintf(out, "%*s%.*s\n", indent, "", (int)cut, line);
        line += cut + 1;
        len -= cut + 1;
    }
    fprintf(out, "%*s%.*s\n", indent, "", (int)len, line);
}

static void print_text(FILE *out, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n && text[0] == '\t')
            fprintf(out, "  %.*s\n", (int)n, text); /* laid out by hand */
        else
            print_wrapped(out, text, n, 2);
        text += n + (text[n] == '\n');
    }
}

static void print_options(FILE *out, const struct fs_option *options)
{
    int width = 0;
    for (const struct fs_option *o = options; o && o->name; o++) {
        int n = (int)strlen(o->name) + 1 + (o->arg ? (int)strlen(o->arg) + 3 : 0);
        width = o->help && n > width ? n : width;
    }
    for (const struct fs_option *o = options; o && o->name; o++) {
        if (!o->help)
            continue;
        char name[64];
        snprintf(name, sizeof(name), o->arg ? "-%s <%s>" : "-%s", o->name, o->arg);
        fprintf(out, "  %-*s  ", width, name);
        /* the first line stands behind the name, the others below it */
        size_t room = (size_t)(WIDTH - width - 4), len = strlen(o->help), cut = len;
        if (len > room)
            for (cut = room; cut && o->help[cut] != ' ';)
                cut--;
        fprintf(out, "%.*s\n", (int)cut, o->help);
        if (cut < len)
            print_wrapped(out, o->help + cut + 1, len - cut - 1, width + 4);
    }
}

void fs_print_help(FILE *out, const struct fs_command *command)
{
    fprintf(out, "-%s %s :\n", command->name, command->usage);
    print_text(out, command->help);
    if (command->syntax.options)
        print_options(out, command->syntax.options);
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
