/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin/counters.h"

#include "worker/run/key.h"

struct entry {
    struct qn_counter counter;
    struct hmap_node node;
    struct slice group, name;
};

void counters_init(struct counters *counters, size_t max)
{
    *counters = (struct counters){.max = max};
}

void counters_release(struct counters *counters)
{
    hmap_release(&counters->by_name);
    arena_release(&counters->arena);
    *counters = (struct counters){0};
}

static struct slice cut(struct slice s)
{
    return s.len <= COUNTERS_NAME_MAX ? s : slice_of(s.data, COUNTERS_NAME_MAX);
}

/* However many a job makes up, the engine's own have their places. */
static bool is_own(struct slice group)
{
    return slice_is(group, COUNTERS_GROUP);
}

static struct qn_counter *get(struct counters *counters, struct slice group, struct slice name)
{
    uint64_t hash = key_hash(group) * 31 + key_hash(name);
    for (struct hmap_node *n = hmap_find(&counters->by_name, hash); n; n = hmap_find_next(n)) {
        struct entry *e = CONTAINER_OF(n, struct entry, node);
        if (slice_eq(e->name, name) && slice_eq(e->group, group))
            return &e->counter;
    }
    if (counters->by_name.count >= counters->max + (is_own(group) ? COUNTERS_OWN_MAX : 0))
        return &counters->rest;
    struct entry *e = arena_calloc(&counters->arena, 1, sizeof(*e));
    if (!e)
        return &counters->rest;
    e->group = slice_keep(group, &counters->arena);
    e->name = slice_keep(name, &counters->arena);
    if (!e->group.data || !e->name.data || hmap_add(&counters->by_name, &e->node, hash) != 0)
        return &counters->rest;
    return &e->counter;
}

struct qn_counter *counters_get(struct counters *counters, const char *group, const char *name)
{
    return get(counters, cut(slice_str(group ? group : "")), cut(slice_str(name ? name : "")));
}

void counters_add(struct counters *counters, const char *group, const char *name, uint64_t n)
{
    counters_get(counters, group, name)->value += n;
}

static int by_group_and_name(const void *pa, const void *pb)
{
    const struct msg_counter *a = pa, *b = pb;
    int c = slice_cmp(a->group, b->group);
    return c != 0 ? c : slice_cmp(a->name, b->name);
}

int counters_list(const struct counters *counters, struct arena *arena,
                  struct msg_counter_list *ret)
{
    struct msg_counter *rows = arena_calloc(arena, counters->by_name.count + 1, sizeof(*rows));
    size_t count = 0;
    if (!rows)
        return ERR_NOMEM;
    hmap_each (&counters->by_name, n) {
        const struct entry *e = CONTAINER_OF(n, struct entry, node);
        if (e->counter.value)
            rows[count++] = (struct msg_counter){e->group, e->name, e->counter.value};
    }
    if (counters->rest.value)
        rows[count++] =
            (struct msg_counter){slice_str(COUNTERS_GROUP), slice_str("counters beyond the limit"),
                                 counters->rest.value};
    qsort(rows, count, sizeof(*rows), by_group_and_name);
    *ret = (struct msg_counter_list){rows, count};
    return 0;
}

void counters_add_list(struct counters *counters, const struct msg_counter_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        get(counters, cut(list->v[i].group), cut(list->v[i].name))->value += list->v[i].value;
}
