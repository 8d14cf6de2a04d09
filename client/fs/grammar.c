/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/grammar.h"

static int option_find(const struct fs_syntax *syntax, const char *name)
{
    for (int i = 0; syntax->options && syntax->options[i].name; i++)
        if (strcmp(syntax->options[i].name, name) == 0)
            return i;
    return -1;
}

static void take_out(int *argc, char **argv, int at)
{
    for (int i = at; i + 1 < *argc; i++)
        argv[i] = argv[i + 1];
    (*argc)--;
}

/* A value is taken only while enough words for the operands are left, and never looks like an
 * option: `count -q -t /path` means the option without its optional value. */
static const char *take_value(const struct fs_syntax *syntax, int *argc, char **argv, int at)
{
    if (at >= *argc || (uint32_t)*argc <= syntax->min || argv[at][0] == '-')
        return "";
    const char *value = argv[at];
    take_out(argc, argv, at);
    return value;
}

int fs_check_count(const struct fs_syntax *syntax, uint32_t count, struct err *err)
{
    if (count < syntax->min)
        return err_set(err, ERR_USAGE, "Not enough arguments: expected %u but got %u", syntax->min,
                       count);
    if (count > syntax->max)
        return err_set(err, ERR_USAGE, "Too many arguments: expected %u but got %u", syntax->max,
                       count);
    return 0;
}

/* The word behind an option that must have one; NULL when none is there. */
static const char *must_take(const struct fs_option *option, int *argc, char **argv, int at,
                             struct err *err)
{
    if (at >= *argc) {
        err_set(err, ERR_USAGE, "option -%s requires 1 argument.", option->name);
        return NULL;
    }
    const char *value = argv[at];
    take_out(argc, argv, at);
    return value;
}

/* Where "-NAME" stands before "--"; *argc when it does not. */
static int find_word(const char *name, int argc, char **argv)
{
    for (int at = 0; at < argc && strcmp(argv[at], "--") != 0; at++)
        if (argv[at][0] == '-' && strcmp(argv[at] + 1, name) == 0)
            return at;
    return argc;
}

/* Those that may stand behind operands, too. */
static int pop_options(const struct fs_syntax *syntax, int *argc, char **argv,
                       struct fs_parsed *ret, struct err *err)
{
    for (int i = 0; syntax->options && syntax->options[i].name; i++) {
        const struct fs_option *option = &syntax->options[i];
        int at = option->popped ? find_word(option->name, *argc, argv) : *argc;
        if (at == *argc)
            continue;
        take_out(argc, argv, at);
        ret->value[i] = option->arg ? must_take(option, argc, argv, at, err) : "";
        if (!ret->value[i])
            return ERR_USAGE;
    }
    return 0;
}

int fs_parse(const struct fs_syntax *syntax, int argc, char **argv, struct fs_parsed *ret,
             struct err *err)
{
    struct fs_parsed parsed = {.operands = argv};
    int at = 0;
    if (pop_options(syntax, &argc, argv, &parsed, err) != 0)
        return ERR_USAGE;
    while (at < argc && argv[at][0] == '-' && argv[at][1]) {
        if (strcmp(argv[at], "--") == 0) {
            take_out(&argc, argv, at);
            break;
        }
        int i = option_find(syntax, argv[at] + 1);
        bool is_known = i >= 0 && !syntax->options[i].popped;
        if (!is_known && !syntax->ignores_unknown)
            return err_set(err, ERR_USAGE, "Illegal option %s", argv[at]);
        if (!is_known) {
            at++;
            continue;
        }
        take_out(&argc, argv, at);
        const struct fs_option *option = &syntax->options[i];
        parsed.value[i] = !option->arg     ? ""
                          : option->greedy ? must_take(option, &argc, argv, at, err)
                                           : take_value(syntax, &argc, argv, at);
        if (!parsed.value[i])
            return ERR_USAGE;
    }
    parsed.count = (uint32_t)argc;
    int rc = fs_check_count(syntax, parsed.count, err);
    if (rc == 0)
        *ret = parsed;
    return rc;
}

const char *fs_parsed_value(const struct fs_syntax *syntax, const struct fs_parsed *parsed,
                            const char *name)
{
    int i = option_find(syntax, name);
    BUG_ON(i < 0);
    return parsed->value[i];
}

const char *fs_pop_option(const char *name, int *argc, char **argv)
{
    int at = find_word(name, *argc, argv);
    if (at + 1 >= *argc)
        return NULL;
    const char *value = argv[at + 1];
    take_out(argc, argv, at);
    take_out(argc, argv, at);
    return value;
}
