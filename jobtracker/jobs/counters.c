/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/counters.h"

void jt_counters_release(struct jt_counters *counters)
{
    mem_free(counters->items);
    arena_release(&counters->arena);
    *counters = (struct jt_counters){0};
}

/* A few dozen names: a scan beats a table. */
static struct jt_counter *find(const struct jt_counters *counters, struct slice group,
                               struct slice name)
{
    for (size_t i = 0; i < counters->count; i++)
        if (slice_eq(counters->items[i].name, name) && slice_eq(counters->items[i].group, group))
            return &counters->items[i];
    return NULL;
}

static int keep(struct arena *arena, struct slice s, struct slice *ret)
{
    uint8_t *copy = arena_alloc(arena, s.len);
    if (!copy)
        return ERR_NOMEM;
    if (s.len)
        memcpy(copy, s.data, s.len);
    *ret = slice_of(copy, s.len);
    return 0;
}

int jt_counters_add(struct jt_counters *counters, struct slice group, struct slice name,
                    uint64_t value)
{
    struct jt_counter *c = find(counters, group, name);
    if (c) {
        c->value += value;
        return 0;
    }
    if (counters->count == COUNTERS_MAX) {
        counters->dropped++;
        return 0;
    }
    int rc = mem_grow(&counters->items, &counters->cap, counters->count, sizeof(*c));
    if (rc != 0)
        return rc;
    c = &counters->items[counters->count];
    *c = (struct jt_counter){.value = value};
    rc = keep(&counters->arena, group, &c->group);
    if (rc == 0)
        rc = keep(&counters->arena, name, &c->name);
    if (rc == 0)
        counters->count++;
    return rc;
}

uint64_t jt_counters_get(const struct jt_counters *counters, const char *group, const char *name)
{
    const struct jt_counter *c = find(counters, slice_str(group), slice_str(name));
    return c ? c->value : 0;
}
