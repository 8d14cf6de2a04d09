/* SPDX-License-Identifier: Apache-2.0 */
#include "client/up/options.h"

#include "libcommon/base/str.h"

#define OPTIONS_MAX 32

static const struct cmd_option *find(const struct cmd_option *options, size_t count,
                                     const char *word, const char **ret_value)
{
    word += word[1] == '-' ? 2 : 1;
    size_t n = strcspn(word, "=");
    *ret_value = word[n] ? word + n + 1 : NULL;
    if (n == 1 && (*word == 'h' || *word == '?')) {
        word = "help";
        n = strlen(word);
    }
    for (size_t i = 0; i < count; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, word, n) == 0)
            return &options[i];
    return NULL;
}

static int unknown(const struct cmd_option *options, size_t count, const char *word,
                   struct err *err)
{
    const char *names[OPTIONS_MAX];
    BUG_ON(count > OPTIONS_MAX);
    for (size_t i = 0; i < count; i++)
        names[i] = options[i].name;
    const char *near = str_nearest(word + strspn(word, "-"), names, count);
    if (near)
        return err_set(err, ERR_USAGE, "no option \"%s\" (did you mean -%s?)", word, near);
    return err_set(err, ERR_USAGE, "no option \"%s\" (-help shows all)", word);
}

int cmd_options_parse(const struct cmd_option *options, size_t count, int argc, char **argv,
                      int *ret_rest, struct err *err)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *value;
        const struct cmd_option *option = find(options, count, argv[i], &value);
        if (!option)
            return unknown(options, count, argv[i], err);
        if (!option->arg && value)
            return err_set(err, ERR_USAGE, "-%s takes no value", option->name);
        if (option->arg && !value) {
            if (i + 1 >= argc)
                return err_set(err, ERR_USAGE, "-%s needs %s", option->name, option->arg);
            value = argv[++i];
        }
        *option->ret_text = value ? value : "";
    }
    *ret_rest = i;
    return 0;
}

void cmd_options_print(const struct cmd_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof(left), "-%s %s", options[i].name,
                 options[i].arg ? options[i].arg : "");
        printf("  %-18s %s\n", left, options[i].help);
    }
}
