/* SPDX-License-Identifier: Apache-2.0
 * grammar: what may be typed behind `quern fs -<command>`, as Hadoop's shell takes it.
 *
 * Options come before operands and are never clustered (-l -R, not -lR); the first word that does
 * not begin with '-' ends them, a lone "-" is an operand, "--" ends them and goes away. Pure. */
#ifndef QUERN_FS_GRAMMAR_H
#define QUERN_FS_GRAMMAR_H

#include "libcommon/base/err.h"

#define FS_OPTIONS_MAX 24
#define FS_NO_LIMIT    UINT32_MAX

struct fs_option {
    const char *name; /* without the dash: "R", "ignoreCrc", "-ignore-fail-on-non-empty" */
    const char *arg;  /* how its value is written in help; NULL = it takes none */
    const char *help; /* NULL = accepted, not shown, or told by the command's text */
    bool greedy;      /* the next word is its value, whatever it is */
    bool popped;      /* taken out wherever it stands before "--", but only once; its value as if
                       * greedy */
};

struct fs_syntax {
    const struct fs_option *options; /* ends with a NULL name; NULL = none */
    uint32_t min, max;               /* operands; FS_NO_LIMIT */
    bool ignores_unknown;            /* unknown options stay among the operands (chmod -rwx) */
};

struct fs_parsed {
    const char
        *value[FS_OPTIONS_MAX]; /* by index in syntax->options; NULL = not given, "" = given */
    char **operands;            /* argv, options taken out in place */
    uint32_t count;
};

/* `argv` has `argc` words behind the command and is rearranged. ERR_USAGE with Hadoop's words:
 * "Illegal option -x", "Not enough arguments: expected 1 but got 0", "Too many arguments: ...". */
int fs_parse(const struct fs_syntax *syntax, int argc, char **argv, struct fs_parsed *ret,
             struct err *err);
/* Check the number of operands again (a command took some away). */
int fs_check_count(const struct fs_syntax *syntax, uint32_t count, struct err *err);

/* The value of an option ("" for one without), NULL when it was not given. The name must be in the
 * table. */
const char *fs_parsed_value(const struct fs_syntax *syntax, const struct fs_parsed *parsed,
                            const char *name);

/* Take "-NAME VALUE" out of argv wherever it stands before "--"; NULL when it is not there. */
const char *fs_pop_option(const char *name, int *argc, char **argv);

#endif
