/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/settings.h"

#include "libcommon/base/str.h"

#define SLIPS 2 /* of the keyboard, in a key that is another one */

struct gather {
    struct arena *arena;
    struct msg_pair *pairs;
    size_t n, cap;
    bool failed;
};

static struct slice keep(struct gather *g, struct slice text)
{
    struct slice copy = slice_keep(text, g->arena);
    g->failed |= !copy.data;
    return copy;
}

static void add(struct gather *g, struct slice key, struct slice value)
{
    if (mem_grow(&g->pairs, &g->cap, g->n, sizeof(*g->pairs)) != 0) {
        g->failed = true;
        return;
    }
    g->pairs[g->n++] = (struct msg_pair){keep(g, key), keep(g, value)};
}

static void visit(const struct conf_option *option, const char *value, const char *where, void *arg)
{
    if ((option->flags & CONF_JOB) && strcmp(where, "default") != 0)
        add(arg, slice_str(option->key), slice_str(value));
}

/* `no option "grep.patern": grep knows grep.pattern, grep.ignore.case (...)` */
static int unknown(const struct conf *conf, const struct task_probe *probe, struct slice key,
                   struct err *err)
{
    struct buf known = BUF_INIT, near = BUF_INIT;
    char *text = slice_dup(key);
    const char *engines = text ? conf_nearest(conf, text) : NULL;
    if (engines)
        buf_printf(&near, " (did you mean %s?)", engines);
    mem_free(text);
    for (size_t i = 0; i < probe->options.n; i++)
        buf_printf(&known, "%s" SLICE_FMT, i ? ", " : "", SLICE_ARG(probe->options.v[i].name));
    if (probe->options.n == 0)
        buf_printf(&known, "no options of its own");
    int rc = err_set(err, ERR_CONFIG,
                     "no option \"" SLICE_FMT "\"" SLICE_FMT ": " SLICE_FMT
                     " knows %s (`quern run " SLICE_FMT " -help`)",
                     SLICE_ARG(key), SLICE_ARG(buf_slice(&near)), SLICE_ARG(task_probe_who(probe)),
                     buf_failed(&known) ? "others" : buf_cstr(&known), SLICE_ARG(probe->name));
    buf_release(&known);
    buf_release(&near);
    return rc;
}

static int check_required(const struct task_probe *probe, const struct gather *g, struct err *err)
{
    for (size_t i = 0; i < probe->options.n; i++) {
        const struct task_probe_option *o = &probe->options.v[i];
        bool given = !o->is_required;
        for (size_t j = 0; j < g->n; j++)
            given = given || slice_eq(g->pairs[j].key, o->name);
        if (!given)
            return err_set(err, ERR_CONFIG, SLICE_FMT " needs -D " SLICE_FMT "=...: " SLICE_FMT,
                           SLICE_ARG(task_probe_who(probe)), SLICE_ARG(o->name),
                           SLICE_ARG(o->help));
    }
    return 0;
}

static bool is_option(const struct task_probe *probe, struct slice key)
{
    for (size_t i = 0; i < probe->options.n; i++)
        if (slice_eq(probe->options.v[i].name, key))
            return true;
    return false;
}

static const char *meant(const struct conf *conf, const struct task_probe *probe, const char *key,
                         struct arena *arena)
{
    const char **names = arena_calloc(arena, probe->options.n + 1, sizeof(*names));
    size_t n = 0;
    for (size_t i = 0; names && i < probe->options.n; i++) {
        names[n] = slice_text(probe->options.v[i].name, arena);
        n += names[n] != NULL;
    }
    const char *engines = conf_nearest(conf, key);
    if (names && engines)
        names[n++] = engines;
    const char *near = n ? str_nearest(key, names, n) : NULL;
    return near && str_distance(key, near) <= SLIPS ? near : NULL;
}

void job_settings_doubt(const struct conf *conf, const struct config_foreign *foreign,
                        const struct task_probe *probe, struct arena *arena)
{
    for (size_t i = 0; i < foreign->count; i++) {
        const char *define = foreign->defines[i];
        struct slice key = slice_of(define, strcspn(define, "="));
        char *text = is_option(probe, key) ? NULL : slice_dup(key);
        const char *near = text ? meant(conf, probe, text, arena) : NULL;
        if (near)
            fprintf(stderr,
                    "quern run: -D %s is no setting (did you mean %s?): it only goes into the "
                    "environment of the commands\n",
                    text, near);
        mem_free(text);
    }
}

static int add_foreign(struct gather *g, const struct conf *conf,
                       const struct config_foreign *foreign, const struct task_probe *probe,
                       struct err *err)
{
    for (size_t i = 0; i < foreign->count; i++) {
        const char *eq = strchr(foreign->defines[i], '=');
        struct slice key = slice_str(foreign->defines[i]);
        if (eq)
            key.len = (size_t)(eq - foreign->defines[i]);
        if (!eq || !task_probe_takes(probe, key))
            return unknown(conf, probe, key, err);
        add(g, key, slice_str(eq + 1));
    }
    return 0;
}

int job_settings(const struct conf *conf, const struct config_foreign *foreign,
                 const struct task_probe *probe, struct arena *arena, struct msg_pair_list *ret,
                 struct err *err)
{
    struct gather g = {.arena = arena};
    conf_each(conf, visit, &g);
    int rc = add_foreign(&g, conf, foreign, probe, err);
    if (rc == 0)
        rc = check_required(probe, &g, err);
    struct msg_pair *pairs = rc == 0 ? arena_calloc(arena, g.n + 1, sizeof(*pairs)) : NULL;
    if (rc == 0 && (!pairs || g.failed))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        if (g.n)
            memcpy(pairs, g.pairs, g.n * sizeof(*pairs));
        *ret = (struct msg_pair_list){pairs, g.n};
    }
    mem_free(g.pairs);
    return rc;
}
