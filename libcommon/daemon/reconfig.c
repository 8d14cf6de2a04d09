/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/reconfig.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

/* ---- whose keys ---- */

static bool concerns(const char *role, const char *key)
{
    static const struct {
        const char *prefix, *role;
    } owners[] = {{"dfs.datanode.", "datanode"},
                  {"dfs.block.scanner.", "datanode"},
                  {"dfs.namenode.", "namenode"},
                  {"dfs.hosts", "namenode"},
                  {"jobtracker.", "jobtracker"}};
    for (size_t i = 0; i < ARRAY_LEN(owners); i++)
        if (strncmp(key, owners[i].prefix, strlen(owners[i].prefix)) == 0)
            return strcmp(role, owners[i].role) == 0;
    return true;
}

struct key_walk {
    const char *role;
    struct slice *v;
    size_t n;
};

static void take_key(const struct conf_option *option, const char *value, const char *where,
                     void *arg)
{
    (void)value, (void)where;
    struct key_walk *walk = arg;
    if (!(option->flags & CONF_RELOAD) || !concerns(walk->role, option->key))
        return;
    if (walk->v)
        walk->v[walk->n] = slice_str(option->key);
    walk->n++;
}

int reconfig_keys(const struct conf *conf, const char *role, struct arena *arena,
                  struct msg_strs *ret)
{
    struct key_walk walk = {.role = role};
    conf_each(conf, take_key, &walk);
    walk.v = arena_calloc(arena, walk.n + 1, sizeof(*walk.v));
    if (!walk.v)
        return ERR_NOMEM;
    walk.n = 0;
    conf_each(conf, take_key, &walk);
    *ret = (struct msg_strs){walk.v, walk.n};
    return 0;
}

/* ---- a task ---- */

static void forget(struct reconfig *r)
{
    for (size_t i = 0; i < r->count; i++) {
        mem_free(r->changes[i].from);
        mem_free(r->changes[i].to);
        mem_free(r->changes[i].refusal);
    }
    r->count = 0;
    r->lacks_memory = false;
}

struct beginning {
    struct reconfig *r;
    const struct conf *conf;
    const char *role;
    void (*waits)(const char *key);
};

static void note_change(const struct conf_option *option, bool is_applied, void *arg)
{
    const struct beginning *b = arg;
    struct reconfig *r = b->r;
    if (!is_applied) {
        b->waits(option->key);
        return;
    }
    if (!concerns(b->role, option->key))
        return;
    struct reconfig_change change = {.key = option->key,
                                     .from = str_dup(conf_str(r->fresh, option->key)),
                                     .to = str_dup(conf_str(b->conf, option->key))};
    log_info("daemon", "%s is now %s", option->key, conf_str(b->conf, option->key));
    if (change.from && change.to &&
        mem_grow(&r->changes, &r->cap, r->count, sizeof(*r->changes)) == 0) {
        r->changes[r->count++] = change;
        return;
    }
    r->lacks_memory = true;
    mem_free(change.from);
    mem_free(change.to);
}

void reconfig_begin(struct reconfig *r, struct conf *conf, struct conf *fresh, const char *role,
                    void (*waits)(const char *key))
{
    BUG_ON(reconfig_is_running(r));
    struct beginning b = {r, conf, role, waits};
    forget(r);
    r->fresh = fresh;
    r->holds = 1;
    r->finished_ms = 0;
    r->started_ms = clock_wall_ms();
    conf_reload(conf, fresh, note_change, &b);
}

void reconfig_refuse(struct reconfig *r, struct conf *conf, const char *key, const char *why)
{
    for (size_t i = 0; i < r->count; i++) {
        struct reconfig_change *change = &r->changes[i];
        if (strcmp(change->key, key) != 0 || change->refusal)
            continue;
        conf_exchange(conf, r->fresh, key);
        change->refusal = str_dup(why);
        r->lacks_memory |= !change->refusal;
    }
    log_error("daemon", "%s stays %s: %s", key, conf_str(conf, key), why);
}

void reconfig_end(struct reconfig *r)
{
    conf_free(r->fresh);
    r->fresh = NULL;
    r->finished_ms = clock_wall_ms();
}

void reconfig_release(struct reconfig *r)
{
    forget(r);
    conf_free(r->fresh);
    mem_free(r->changes);
    *r = (struct reconfig){0};
}

int reconfig_answer(const struct reconfig *r, struct arena *arena, struct msg_reconfigured *ret)
{
    struct msg_key_change *v = arena_calloc(arena, r->count + 1, sizeof(*v));
    if (!v || r->lacks_memory)
        return ERR_NOMEM;
    for (size_t i = 0; i < r->count; i++) {
        const struct reconfig_change *c = &r->changes[i];
        v[i] = (struct msg_key_change){.key = slice_str(c->key),
                                       .from = slice_str(c->from),
                                       .to = slice_str(c->to),
                                       .is_refused = c->refusal != NULL,
                                       .why = slice_str(c->refusal ? c->refusal : "")};
    }
    *ret = (struct msg_reconfigured){
        .started_ms = r->started_ms, .finished_ms = r->finished_ms, .changes = {v, r->count}};
    return 0;
}
