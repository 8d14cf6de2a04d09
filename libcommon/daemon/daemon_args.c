/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/daemon_args.h"

#include "libcommon/base/str.h"

#define HELP_COLUMN 24

static const struct daemon_flag common[] = {
    {"help", NULL, "show this", NULL, NULL},
    {"version", NULL, "show version and build", NULL, NULL},
    {"print-config", NULL, "show every key, its value and where that came from", NULL, NULL},
    {"detach", NULL, "go to the background; exit 0 once it serves", NULL, NULL},
    {"foreground", NULL, "stay in the foreground (default)", NULL, NULL},
    {"pid-file", "FILE", "write the process number there, refuse to run twice", NULL, NULL},
    {"log-file", "FILE", "log there instead of stderr", "log.file", NULL},
    {"ready-fd", "N", "write \"ok\" or \"error: why\" to descriptor N once it is known", NULL,
     NULL},
};

/* Shown by --help, parsed by config_args. */
static const struct daemon_flag config_flags[] = {
    {"conf", "FILE", "read this configuration file", NULL, NULL},
    {"D", "KEY=VALUE", "set one key; may be repeated", NULL, NULL},
};

static const struct daemon_flag *flag_at(const struct daemon_desc *desc, size_t i)
{
    if (i < desc->flag_count)
        return &desc->flags[i];
    i -= desc->flag_count;
    return i < ARRAY_LEN(common) ? &common[i] : NULL;
}

static int unknown_flag(const struct daemon_desc *desc, const char *word, struct err *err)
{
    const char *names[DAEMON_FLAGS_MAX + 2];
    size_t n = 0;
    char name[64];
    const struct daemon_flag *flag;
    for (size_t i = 0; n < DAEMON_FLAGS_MAX && (flag = flag_at(desc, i)); i++)
        names[n++] = flag->name;
    names[n++] = "conf";
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
             word + strspn(word, "-"));
    const char *near = str_nearest(name, names, n);
    if (near)
        return err_set(err, ERR_USAGE, "no option \"%s\" (did you mean --%s?)", word, near);
    return err_set(err, ERR_USAGE, "no option \"%s\" (--help shows all)", word);
}

/* "--name" or "-name=value": does it name this flag? The text behind '=' or NULL. */
static bool is_flag(const char *word, const char *name, const char **ret_value)
{
    size_t n = strlen(name);
    word += word[1] == '-' ? 2 : 1;
    if (strncmp(word, name, n) != 0 || (word[n] != 0 && word[n] != '='))
        return false;
    *ret_value = word[n] ? word + n + 1 : NULL;
    return true;
}

static const struct daemon_flag *find_flag(const struct daemon_desc *desc, const char *word,
                                           const char **ret_value)
{
    const struct daemon_flag *flag;
    for (size_t i = 0; (flag = flag_at(desc, i)); i++)
        if (is_flag(word, flag->name, ret_value))
            return flag;
    return NULL;
}

static int take_flag(struct daemon_args *args, const struct daemon_desc *desc, int argc,
                     char **argv, int *i, struct err *err)
{
    const char *word = strcmp(argv[*i], "-h") == 0 ? "--help" : argv[*i], *value = NULL;
    if (word[0] != '-' || !word[1])
        return err_set(err, ERR_USAGE, "takes no argument \"%s\"", word);
    const struct daemon_flag *flag = find_flag(desc, word, &value);
    if (!flag)
        return unknown_flag(desc, word, err);
    if (!flag->arg && value)
        return err_set(err, ERR_USAGE, "--%s takes no value", flag->name);
    if (flag->arg && !value) {
        if (*i + 1 >= argc)
            return err_set(err, ERR_USAGE, "--%s needs %s", flag->name, flag->arg);
        value = argv[++*i];
    }
    if (args->given_count == DAEMON_FLAGS_MAX)
        return err_set(err, ERR_USAGE, "too many options");
    args->given[args->given_count].flag = flag;
    args->given[args->given_count++].value = value ? value : "";
    return 0;
}

int daemon_args_parse(struct daemon_args *args, const struct daemon_desc *desc, int argc,
                      char **argv, struct err *err)
{
    *args = (struct daemon_args){.config = CONFIG_ARGS_INIT};
    for (int i = 1; i < argc; i++) {
        int rc = config_args_take(&args->config, argc, argv, &i, err);
        if (rc == 0)
            rc = take_flag(args, desc, argc, argv, &i, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void daemon_args_release(struct daemon_args *args)
{
    config_args_release(&args->config);
}

const char *daemon_args_find(const struct daemon_args *args, const char *name)
{
    for (size_t i = args->given_count; i > 0; i--)
        if (strcmp(args->given[i - 1].flag->name, name) == 0)
            return args->given[i - 1].value;
    return NULL;
}

int daemon_args_set(const struct daemon_args *args, struct conf *conf, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < args->given_count && rc == 0; i++) {
        const struct daemon_flag *flag = args->given[i].flag;
        const char *value = flag->arg ? args->given[i].value : "true";
        if (flag->key)
            rc = conf_set(conf, flag->key, value, CONF_FROM_FLAG(flag->name), err);
    }
    return rc;
}

const struct daemon_flag *daemon_args_action(const struct daemon_args *args)
{
    for (size_t i = 0; i < args->given_count; i++)
        if (args->given[i].flag->run)
            return args->given[i].flag;
    return NULL;
}

static void help_row(const struct daemon_flag *flag, struct buf *out)
{
    size_t start = out->len;
    buf_printf(out, "  -%s%s%s", flag->name, flag->arg ? " " : "", flag->arg ? flag->arg : "");
    size_t used = out->len - start;
    buf_printf(out, "%*s  %s\n", used < HELP_COLUMN ? (int)(HELP_COLUMN - used) : 0, "",
               flag->help);
}

void daemon_args_help(const struct daemon_desc *desc, struct buf *out)
{
    buf_printf(out, "%s %s: %s\n\nusage: %s [option...]\n\n", desc->name, QUERN_VERSION,
               desc->about, desc->name);
    for (size_t i = 0; i < desc->flag_count; i++)
        help_row(&desc->flags[i], out);
    if (desc->flag_count)
        buf_append_byte(out, '\n');
    for (size_t i = 0; i < ARRAY_LEN(config_flags); i++)
        help_row(&config_flags[i], out);
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        help_row(&common[i], out);
    buf_append_str(
        out, "\nOne dash or two. Without -conf the file is $QUERN_CONF, else\n"
             "~/.config/quern/quern.conf, ~/.local/share/quern/quern.conf or\n"
             "/etc/quern/quern.conf. --print-config shows every key there is.\n"
             "\nSignals: TERM, INT stop gracefully (twice: at once); HUP reopens the log and\n"
             "reads the configuration again; USR1 writes the state to the log.\n"
             "Exit codes: 0 stopped, 1 failed, 2 wrong option or configuration.\n");
}
