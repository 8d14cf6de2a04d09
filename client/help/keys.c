/* SPDX-License-Identifier: Apache-2.0
 * keys: see the header. A key is printed as one would look for it: name, kind and default, then
 * what it does, its limits, other names, and when a change of it counts. */
#include "client/help/keys.h"

#include "client/command.h"
#include "libcommon/base/conf.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/options.h"

#define MOST_KEYS 512

static const char *const kinds[] = {
    [CONF_STRING] = "text",   [CONF_BOOL] = "true or false", [CONF_INT] = "number",
    [CONF_NUMBER] = "number", [CONF_SIZE] = "size",          [CONF_TIME] = "time",
    [CONF_LIST] = "list",     [CONF_ADDRESS] = "host:port",  [CONF_CHOICE] = "one word",
};

struct search {
    const char *word;
    const char *names[MOST_KEYS]; /* all, for the near one */
    size_t count, found;
};

static void print_limits(const struct conf_option *o)
{
    if (o->choices)
        printf("; one of: %s", o->choices);
    else if (o->min && o->max && strcmp(o->min, o->max) == 0)
        return; /* the help says it */
    else if (o->min && o->max)
        printf("; %s to %s", o->min, o->max);
    else if (o->min)
        printf("; at least %s", o->min);
    else if (o->max)
        printf("; at most %s", o->max);
}

/* What a bare number of it counts, when that is not bytes or milliseconds. */
static const char *bare_unit(const struct conf_option *o)
{
    switch (o->type == CONF_TIME ? o->unit : 0) {
    case 1000:
        return " (a bare number is seconds)";
    case 60 * 1000:
        return " (a bare number is minutes)";
    case 3600 * 1000:
        return " (a bare number is hours)";
    default:
        return "";
    }
}

static void print_key(const struct conf_option *o, const char *value, const char *where, void *arg)
{
    struct search *s = arg;
    (void)value, (void)where;
    if (s->count < MOST_KEYS)
        s->names[s->count++] = o->key;
    if (s->word && !strcasestr(o->key, s->word))
        return;
    s->found++;
    printf("%s   %s%s", o->key, kinds[o->type], bare_unit(o));
    if (o->fallback && *o->fallback)
        printf(", default %s", o->fallback);
    printf("\n    %s", o->help);
    print_limits(o);
    putchar('\n');
    if (o->alias)
        printf("    also called %s\n", o->alias);
    if (o->env)
        printf("    also set by $%s\n", o->env);
    if (o->flags & CONF_JOB)
        puts("    may be set for one command or job (-D)");
    if (o->flags & CONF_RELOAD)
        puts("    a running daemon takes a change on SIGHUP");
}

static int none_found(const struct search *s)
{
    const char *near = str_nearest(s->word, s->names, s->count);
    fprintf(stderr, "quern help: no key contains \"%s\"", s->word);
    fprintf(stderr, near ? " (did you mean %s?)\n" : " (`quern help keys` shows all)\n", near);
    return EXIT_USAGE;
}

int help_keys(const char *word)
{
    struct search s = {.word = word};
    struct err err = {0};
    struct conf *conf = conf_new();
    int rc = conf ? options_register(conf, &err) : err_set(&err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        conf_each(conf, print_key, &s);
    else
        fprintf(stderr, "quern help: %s\n", err.msg);
    conf_free(conf);
    if (rc != 0)
        return 1;
    return s.found ? 0 : none_found(&s);
}
