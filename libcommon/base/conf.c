/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/conf.h"

#include "libcommon/base/conf_value.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define KEY_MAX_BYTES 128
#define WHERE_COLUMN  52

struct entry {
    const struct conf_option *option;
    struct conf_value value;
    enum conf_origin origin;
    char *name; /* of the source; NULL for a plain default and -D */
    unsigned line;
};

/* A key or an alias, leading to its entry. */
struct key_name {
    struct hmap_node by_name;
    struct entry *entry;
    char text[KEY_MAX_BYTES];
};

struct ignored_table {
    const char *const *names;
    size_t count;
};

struct conf {
    struct entry **entries; /* in order of key */
    size_t entry_count, entry_cap;
    struct hmap names;
    struct ignored_table *ignored;
    size_t ignored_count, ignored_cap;
    struct buf ignored_text;
};

struct conf *conf_new(void)
{
    return mem_calloc(1, sizeof(struct conf));
}

void conf_free(struct conf *conf)
{
    if (!conf)
        return;
    hmap_each (&conf->names, node)
        mem_free(CONTAINER_OF(node, struct key_name, by_name));
    hmap_release(&conf->names);
    for (size_t i = 0; i < conf->entry_count; i++) {
        conf_value_release(&conf->entries[i]->value);
        mem_free(conf->entries[i]->name);
        mem_free(conf->entries[i]);
    }
    mem_free(conf->entries);
    mem_free(conf->ignored);
    buf_release(&conf->ignored_text);
    mem_free(conf);
}

static struct entry *find(const struct conf *conf, const char *key)
{
    struct hmap_node *n = hmap_find(&conf->names, slice_hash(slice_str(key), 0));
    for (; n; n = hmap_find_next(n)) {
        struct key_name *name = CONTAINER_OF(n, struct key_name, by_name);
        if (strcmp(name->text, key) == 0)
            return name->entry;
    }
    return NULL;
}

static int add_name(struct conf *conf, struct slice text, struct entry *entry, struct err *err)
{
    if (text.len >= KEY_MAX_BYTES)
        return err_set(err, ERR_CONFIG, "key " SLICE_FMT " is too long", SLICE_ARG(text));
    struct key_name *name = mem_alloc(sizeof(*name));
    if (!name)
        return err_set(err, ERR_NOMEM, "out of memory");
    memcpy(name->text, text.data, text.len);
    name->text[text.len] = 0;
    name->entry = entry;
    int rc = 0;
    if (find(conf, name->text))
        rc = err_set(err, ERR_CONFIG, "key %s is declared twice", name->text);
    else if (hmap_add(&conf->names, &name->by_name, slice_hash(text, 0)) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0)
        mem_free(name);
    return rc;
}

static int add_names(struct conf *conf, struct entry *entry, struct err *err)
{
    const struct conf_option *option = entry->option;
    int rc = add_name(conf, slice_str(option->key), entry, err);
    const char *at = option->alias;
    while (rc == 0 && at && *at) {
        size_t n = strcspn(at, " ");
        rc = add_name(conf, slice_of(at, n), entry, err);
        at += n + (at[n] == ' ');
    }
    return rc;
}

/* Keeps `entries` in order of key; registration is rare, printing and completion want the order. */
static void insert_sorted(struct conf *conf, struct entry *entry)
{
    size_t at = conf->entry_count++;
    while (at > 0 && strcmp(conf->entries[at - 1]->option->key, entry->option->key) > 0) {
        conf->entries[at] = conf->entries[at - 1];
        at--;
    }
    conf->entries[at] = entry;
}

static int register_one(struct conf *conf, const struct conf_option *option, struct err *err)
{
    struct entry *entry = mem_calloc(1, sizeof(*entry));
    int rc = entry ? mem_grow(&conf->entries, &conf->entry_cap, conf->entry_count,
                              sizeof(struct entry *))
                   : ERR_NOMEM;
    if (rc != 0) {
        mem_free(entry);
        return err_set(err, rc, "out of memory");
    }
    entry->option = option;
    insert_sorted(conf, entry); /* from here on conf_free finds it */
    rc = option->fallback ? conf_value_parse(option, option->fallback, &entry->value, err)
                          : conf_value_empty(option, &entry->value);
    if (rc == ERR_CONFIG)
        err_wrap(err, "default of %s = \"%s\"", option->key, option->fallback);
    return rc == 0 ? add_names(conf, entry, err) : rc;
}

int conf_register(struct conf *conf, const struct conf_option *table, size_t count, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = register_one(conf, &table[i], err);
    return rc;
}

int conf_register_ignored(struct conf *conf, const char *const *names, size_t count)
{
    int rc = mem_grow(&conf->ignored, &conf->ignored_cap, conf->ignored_count,
                      sizeof(struct ignored_table));
    if (rc == 0)
        conf->ignored[conf->ignored_count++] = (struct ignored_table){names, count};
    return rc;
}

static bool name_covers(const char *name, const char *key)
{
    size_t n = strlen(name);
    if (n && name[n - 1] == '*')
        return strncmp(name, key, n - 1) == 0;
    return strcmp(name, key) == 0;
}

bool conf_ignores(const struct conf *conf, const char *key)
{
    for (size_t t = 0; t < conf->ignored_count; t++)
        for (size_t i = 0; i < conf->ignored[t].count; i++)
            if (name_covers(conf->ignored[t].names[i], key))
                return true;
    return false;
}

const char *conf_ignored(struct conf *conf)
{
    const char *text = buf_cstr(&conf->ignored_text);
    return text ? text : "";
}

/* "/etc/quern.conf:14", "-D", "$NAME", "--flag", "default", "default (host name)" */
static char *where_text(enum conf_origin origin, const char *name, unsigned line, char *out,
                        size_t cap)
{
    switch (origin) {
    case CONF_ORIGIN_DEFAULT:
        snprintf(out, cap, name ? "default (%s)" : "default", name);
        break;
    case CONF_ORIGIN_FILE:
        snprintf(out, cap, "%s:%u", name, line);
        break;
    case CONF_ORIGIN_ENV:
        snprintf(out, cap, "$%s", name);
        break;
    case CONF_ORIGIN_DEFINE:
        snprintf(out, cap, "-D");
        break;
    case CONF_ORIGIN_FLAG:
        snprintf(out, cap, "--%s", name);
        break;
    }
    return out;
}

const char *conf_nearest(const struct conf *conf, const char *key)
{
    const char *near = NULL;
    const char **names = mem_calloc(conf->names.count, sizeof(char *));
    size_t count = 0;
    if (names) {
        for (size_t i = 0; i < conf->entry_count; i++)
            names[count++] = conf->entries[i]->option->key;
        near = str_nearest(key, names, count);
        mem_free(names);
    }
    return near;
}

static int unknown_key(const struct conf *conf, const char *key, const char *where, struct err *err)
{
    const char *near = conf_nearest(conf, key);
    if (near)
        return err_set(err, ERR_CONFIG, "%s: unknown key \"%s\" (did you mean %s?)", where, key,
                       near);
    return err_set(err, ERR_CONFIG, "%s: unknown key \"%s\"", where, key);
}

static int store(struct entry *entry, struct conf_value *value, struct conf_source from)
{
    char *name = from.name ? str_dup(from.name) : NULL;
    if (from.name && !name)
        return ERR_NOMEM;
    conf_value_release(&entry->value);
    mem_free(entry->name);
    entry->value = *value;
    entry->origin = from.origin;
    entry->name = name;
    entry->line = from.line;
    return 0;
}

static bool is_same_file(const struct entry *entry, struct conf_source from)
{
    return from.origin == CONF_ORIGIN_FILE && entry->origin == CONF_ORIGIN_FILE &&
           strcmp(entry->name, from.name) == 0;
}

static int set_entry(struct entry *entry, const char *value, struct conf_source from,
                     const char *where, struct err *err)
{
    const struct conf_option *option = entry->option;
    struct conf_value parsed;
    struct err why = {0};
    int rc = conf_value_parse(option, value, &parsed, &why);
    if (rc != 0)
        return err_set(err, rc, "%s: %s = \"%s\": %s", where, option->key, value, why.msg);
    if (is_same_file(entry, from))
        rc = err_set(err, ERR_CONFIG, "%s: %s is set twice (first in line %u)", where, option->key,
                     entry->line);
    else if (from.origin < entry->origin)
        conf_value_release(&parsed); /* checked, but outranked */
    else if (store(entry, &parsed, from) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0)
        conf_value_release(&parsed);
    return rc;
}

int conf_set(struct conf *conf, const char *key, const char *value, struct conf_source from,
             struct err *err)
{
    char where[512];
    where_text(from.origin, from.name, from.line, where, sizeof(where));
    struct entry *entry = find(conf, key);
    if (entry)
        return set_entry(entry, value, from, where, err);
    if (!conf_ignores(conf, key))
        return unknown_key(conf, key, where, err);
    if (conf->ignored_text.len)
        buf_append_str(&conf->ignored_text, ", ");
    buf_append_str(&conf->ignored_text, key);
    return buf_failed(&conf->ignored_text) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

int conf_set_from_env(struct conf *conf, struct err *err)
{
    for (size_t i = 0; i < conf->entry_count; i++) {
        const struct conf_option *option = conf->entries[i]->option;
        const char *value = option->env ? getenv(option->env) : NULL;
        if (!value || !*value)
            continue;
        int rc = conf_set(conf, option->key, value, CONF_FROM_ENV(option->env), err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void swap_values(struct entry *a, struct entry *b)
{
    struct entry old = *a;
    *a = *b;
    *b = old;
}

void conf_reload(struct conf *conf, struct conf *fresh,
                 void (*changed)(const struct conf_option *option, bool is_applied, void *arg),
                 void *arg)
{
    for (size_t i = 0; i < conf->entry_count; i++) {
        struct entry *entry = conf->entries[i], *other = find(fresh, entry->option->key);
        if (!other || strcmp(entry->value.text, other->value.text) == 0)
            continue;
        bool is_applied = entry->option->flags & CONF_RELOAD;
        if (is_applied)
            swap_values(entry, other); /* both hold the same option */
        changed(entry->option, is_applied, arg);
    }
}

void conf_exchange(struct conf *conf, struct conf *other, const char *key)
{
    struct entry *a = find(conf, key), *b = find(other, key);
    BUG_ON(!a || !b);
    swap_values(a, b);
}

bool conf_knows(const struct conf *conf, const char *key)
{
    return find(conf, key) != NULL;
}

bool conf_is_set(const struct conf *conf, const char *key)
{
    const struct entry *entry = find(conf, key);
    return entry && entry->origin != CONF_ORIGIN_DEFAULT;
}

static const struct conf_value *get(const struct conf *conf, const char *key, enum conf_type type)
{
    const struct entry *entry = find(conf, key);
    if (!entry)
        BUG("no configuration key %s", key);
    if (entry->option->type != type)
        BUG("configuration key %s is of another type", key);
    return &entry->value;
}

const char *conf_str(const struct conf *conf, const char *key)
{
    const struct entry *entry = find(conf, key);
    if (!entry)
        BUG("no configuration key %s", key);
    return entry->value.text;
}

bool conf_bool(const struct conf *conf, const char *key)
{
    return get(conf, key, CONF_BOOL)->boolean;
}

int64_t conf_int(const struct conf *conf, const char *key)
{
    return get(conf, key, CONF_INT)->integer;
}

double conf_number(const struct conf *conf, const char *key)
{
    return get(conf, key, CONF_NUMBER)->number;
}

uint64_t conf_size(const struct conf *conf, const char *key)
{
    return get(conf, key, CONF_SIZE)->amount;
}

uint64_t conf_ms(const struct conf *conf, const char *key)
{
    return get(conf, key, CONF_TIME)->amount;
}

struct conf_list conf_list(const struct conf *conf, const char *key)
{
    const struct conf_value *value = get(conf, key, CONF_LIST);
    return (struct conf_list){value->items, value->item_count};
}

struct conf_address conf_address(const struct conf *conf, const char *key)
{
    return get(conf, key, CONF_ADDRESS)->address;
}

unsigned conf_choice(const struct conf *conf, const char *key)
{
    return (unsigned)get(conf, key, CONF_CHOICE)->amount;
}

void conf_each(const struct conf *conf, conf_visit *visit, void *arg)
{
    char where[512];
    for (size_t i = 0; i < conf->entry_count; i++) {
        const struct entry *entry = conf->entries[i];
        where_text(entry->origin, entry->name, entry->line, where, sizeof(where));
        visit(entry->option, entry->value.text, where, arg);
    }
}

/* A default that is nothing is shown as a comment: "key =" would be no number when loaded again.
 * What somebody has set to nothing stays: the default may be something. */
static void print_one(const struct conf_option *option, const char *value, const char *where,
                      void *arg)
{
    struct buf *out = arg;
    size_t start = out->len;
    bool is_left_out = !*value && strncmp(where, "default", 7) == 0;
    buf_printf(out, "%s%s = %s", is_left_out ? "# " : "", option->key, value);
    size_t used = out->len - start;
    buf_printf(out, "%*s ; %s\n", used < WHERE_COLUMN ? (int)(WHERE_COLUMN - used) : 0, "", where);
}

void conf_print(const struct conf *conf, struct buf *out)
{
    conf_each(conf, print_one, out);
}
