/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/counters.h"

void jt_counters_release(struct jt_counters *counters)
{
    hmap_release(&counters->by_name);
    mem_free(counters->items);
    arena_release(&counters->arena);
    *counters = (struct jt_counters){0};
}

static uint64_t hash_of(struct slice group, struct slice name)
{
    return slice_hash(name, slice_hash(group, 0));
}

static struct jt_counter *find(const struct jt_counters *counters, struct slice group,
                               struct slice name)
{
    struct hmap_node *n = hmap_find(&counters->by_name, hash_of(group, name));
    for (; n; n = hmap_find_next(n)) {
        struct jt_counter *c = CONTAINER_OF(n, struct jt_counter, by_name);
        if (slice_eq(c->name, name) && slice_eq(c->group, group))
            return c;
    }
    return NULL;
}

static int add_new(struct jt_counters *counters, struct slice group, struct slice name,
                   uint64_t value)
{
    size_t max = COUNTERS_MAX + (slice_is(group, COUNTERS_OWN) ? COUNTERS_OWN_MAX : 0);
    if (counters->count >= max) {
        counters->dropped++;
        return 0;
    }
    struct jt_counter *c = arena_calloc(&counters->arena, 1, sizeof(*c));
    int rc = c ? mem_grow(&counters->items, &counters->cap, counters->count, sizeof(c)) : ERR_NOMEM;
    if (rc == 0) {
        c->group = slice_keep(group, &counters->arena);
        c->name = slice_keep(name, &counters->arena);
        rc = c->group.data && c->name.data ? 0 : ERR_NOMEM;
    }
    if (rc == 0)
        rc = hmap_add(&counters->by_name, &c->by_name, hash_of(group, name));
    if (rc != 0)
        return rc;
    c->value = value;
    counters->items[counters->count++] = c;
    return 0;
}

int jt_counters_add(struct jt_counters *counters, struct slice group, struct slice name,
                    uint64_t value)
{
    struct jt_counter *c = find(counters, group, name);
    if (!c)
        return add_new(counters, group, name, value);
    c->value += value;
    return 0;
}

int jt_counters_max(struct jt_counters *counters, struct slice group, struct slice name,
                    uint64_t value)
{
    struct jt_counter *c = find(counters, group, name);
    if (!c)
        return add_new(counters, group, name, value);
    if (value > c->value)
        c->value = value;
    return 0;
}

uint64_t jt_counters_get(const struct jt_counters *counters, const char *group, const char *name)
{
    const struct jt_counter *c = find(counters, slice_str(group), slice_str(name));
    return c ? c->value : 0;
}
