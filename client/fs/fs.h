/* SPDX-License-Identifier: Apache-2.0
 * fs: the shell `quern fs`, Hadoop's file system shell to the letter: table of commands, the walk
 * all of them share, and how they say that something went wrong.
 *
 * A command is a row: its syntax, and what it does with each path. The walk of one command:
 *
 *   begin(run)                      options and operands are parsed; take some away, refuse
 *   operands -> items               globs expanded (unless FS_NO_GLOB); errors are told, the rest
 * goes on arguments(run, items)           or, for each: argument(run, item), or: missing(run, item)
 * nothing is there path(run, item)               something is; -R: then its children, then
 * after(run, item) end(run)
 *
 * Exit codes: 0; 1 when any operand failed (the others were still done); 255 for bad usage; 130
 * interrupted; `test` answers with 0 and 1. */
#ifndef QUERN_FS_FS_H
#define QUERN_FS_FS_H

#include "client/fs/grammar.h"
#include "client/fs/item.h"

struct fs_shell; /* one process: volumes, options given before the command */
struct fs_run;   /* one command at work */
struct fs_later; /* its requests under way (later.h) */

enum fs_command_flag {
    FS_NO_GLOB = 1,      /* operands are taken as they are */
    FS_LOCAL = 2,        /* operands are local paths; implies FS_NO_GLOB */
    FS_DEFAULT_HERE = 4, /* no operand means the home directory */
    FS_RAW = 8,          /* no items: everything happens in begin */
};

/* In a command's help this line stands for the options of its table; without it they come at the
 * end. Lines that begin like "-x: text" or "<x>: text" are laid out as options are. */
#define FS_HELP_OPTIONS "{options}"

struct fs_command {
    const char *name;  /* "ls" */
    const char *usage; /* behind the name: "[-R] <path> ..." */
    const char *help;  /* lines, see FS_HELP_OPTIONS */
    struct fs_syntax syntax;
    const char *replacement; /* a deprecated name: what to type instead */
    const char *implied;     /* ... and the option it stands for ("R") */
    unsigned flags;
    size_t state_size; /* zeroed memory for run->state */

    /* 0, or FS_STOP after fs_fail, or FS_USAGE after fs_bad_usage */
    int (*begin)(struct fs_run *run);
    void (*arguments)(struct fs_run *run, struct fs_items *items);
    void (*argument)(struct fs_run *run, struct fs_item *item);
    /* Before the entries of a directory (or one operand, dir NULL) are gone through; may sort. */
    void (*group)(struct fs_run *run, const struct fs_item *dir, struct fs_items *items);
    int (*path)(struct fs_run *run, struct fs_item *item);    /* not 0 = failed, and told */
    int (*children)(struct fs_run *run, struct fs_item *dir); /* instead of fs_walk_children */
    int (*after)(struct fs_run *run, struct fs_item *item);
    void (*missing)(struct fs_run *run, struct fs_item *item);
    void (*end)(struct fs_run *run); /* also after a failed begin */
};
enum { FS_STOP = 1, FS_USAGE = 2 };

struct fs_run {
    struct fs_shell *shell;
    const struct fs_command *command;
    const char *name; /* as typed, without the dash: in front of messages */
    struct fs_parsed parsed;
    void *state;
    bool recursive;         /* the walk enters directories */
    bool whole_listing;     /* directories are read whole before they are walked (sorting) */
    bool ignore_missing;    /* what is not there is no error (rm -f) */
    unsigned depth;         /* directories above the present one; 0 = an operand */
    struct fs_later *later; /* NULL = none yet */
    unsigned errors;
    int exit_code;  /* when there were no errors */
    int error_code; /* when there were; 0 = 1 */
    char usage_error[512];
};

/* --- options of the command under way --- */
bool fs_has(const struct fs_run *run, const char *option);
const char *fs_value(const struct fs_run *run, const char *option); /* NULL = not given */
/* Take the last operand away. */
char *fs_pop_operand(struct fs_run *run);
char *fs_shift_operand(struct fs_run *run);

/* --- what went wrong; one line each, on stderr --- */
/* "name: message", first line only; counts. Returns FS_STOP. */
int fs_fail(struct fs_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "name: `text': why" */
int fs_fail_path(struct fs_run *run, const char *text, const char *why);
/* What a volume said about `text`: the path form for the plain codes, else its own line. */
int fs_fail_error(struct fs_run *run, const char *text, const struct qn_error *err);
/* Nothing can be made at `item`: the file in its way is named, or `missing` is not
 * there, and its whole `uri` unless NULL. Returns FS_STOP. */
int fs_fail_no_parent(struct fs_run *run, const struct fs_item *item, const char *missing,
                      const char *uri);
/* 0 when the directory an item would lie in is there; else told, and FS_STOP. */
int fs_check_parent(struct fs_run *run, const struct fs_item *item);
/* "name: message" that is no error. */
void fs_warn(struct fs_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "-name: message", then usage; exit code 255. Returns FS_USAGE. */
int fs_bad_usage(struct fs_run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ctrl-C was pressed: stop, exit 130. */
bool fs_is_interrupted(void);

/* --- items --- */
/* The volume for what was typed; NULL with err. */
struct fs_volume *fs_volume_for(struct fs_shell *shell, const char *text, struct qn_error *err);
struct fs_volume *fs_volume_local(struct fs_shell *shell, struct qn_error *err);
/* The configuration with what stands before the command; NULL with err. */
struct conf;
const struct conf *fs_conf(struct fs_run *run, struct qn_error *err);
/* One word to items, as operands are. */
int fs_expand(struct fs_run *run, const char *text, struct fs_items *ret, struct qn_error *err);

/* --- the walk --- */
void fs_walk_operand(struct fs_run *run, struct fs_item *item); /* the default argument() */
int fs_walk_item(struct fs_run *run, struct fs_item *item);
int fs_walk_children(struct fs_run *run, struct fs_item *dir);
/* All entries of a directory; told when it fails. */
int fs_list(struct fs_run *run, const struct fs_item *dir, struct fs_items *ret);

/* --- usage and help (help.c) --- */
void fs_print_usage(FILE *out, const struct fs_command *command);
void fs_print_help(FILE *out, const struct fs_command *command);
void fs_print_general(FILE *out, bool with_help);
const struct fs_command *fs_command_find(const char *name); /* without the dash */
const struct fs_command *fs_command_at(size_t i);           /* NULL behind the last */
bool fs_is_hadoop(void);                                    /* called by a name of Hadoop's? */
const char *fs_program(void);                               /* "quern fs", "hadoop fs" */

#endif
