/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/fleet/workers.h"

#include "libcommon/base/mem.h"

void jt_fleet_init(struct jt_fleet *fleet)
{
    *fleet = (struct jt_fleet){0};
    list_init(&fleet->all);
    list_init(&fleet->free);
}

static void free_strings(struct jt_worker *worker)
{
    mem_free(worker->rack);
    mem_free(worker->host);
    mem_free(worker->socket);
    mem_free(worker->boot_id);
    worker->rack = worker->host = worker->socket = worker->boot_id = NULL;
}

void jt_fleet_release(struct jt_fleet *fleet)
{
    list_each_safe (&fleet->all, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        free_strings(worker);
        mem_free(worker->name);
        mem_free(worker);
    }
    hmap_release(&fleet->by_name);
}

struct jt_worker *jt_fleet_find(const struct jt_fleet *fleet, struct slice name)
{
    struct hmap_node *n = hmap_find(&fleet->by_name, slice_hash(name, 0));
    for (; n; n = hmap_find_next(n)) {
        struct jt_worker *worker = CONTAINER_OF(n, struct jt_worker, by_name);
        if (slice_is(name, worker->name))
            return worker;
    }
    return NULL;
}

static struct jt_worker *add(struct jt_fleet *fleet, struct slice name)
{
    struct jt_worker *worker = mem_calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->name = slice_dup(name);
    if (!worker->name || hmap_add(&fleet->by_name, &worker->by_name, slice_hash(name, 0)) != 0) {
        mem_free(worker->name);
        mem_free(worker);
        return NULL;
    }
    list_push_back(&fleet->all, &worker->all);
    list_init(&worker->free);
    list_init(&worker->attempts);
    list_init(&worker->links);
    return worker;
}

/* Few workers come and go: a scan is cheaper than keeping an order. */
static void find_most(struct jt_fleet *fleet)
{
    fleet->most_memory = 0;
    fleet->most_cores = 0;
    list_each (&fleet->all, it) {
        struct jt_worker *worker = list_entry(it, struct jt_worker, all);
        if (worker->is_live && worker->memory > fleet->most_memory)
            fleet->most_memory = worker->memory;
        if (worker->is_live && worker->cores > fleet->most_cores)
            fleet->most_cores = worker->cores;
    }
}

static void keep_free_list(struct jt_fleet *fleet, struct jt_worker *worker)
{
    bool is_free = worker->is_live && worker->cores_used < worker->cores;
    bool is_listed = !list_is_empty(&worker->free);
    if (is_free && !is_listed)
        list_push_back(&fleet->free, &worker->free);
    else if (!is_free && is_listed)
        list_remove(&worker->free);
}

struct jt_worker *jt_fleet_put(struct jt_fleet *fleet, const struct jt_worker_offer *offer,
                               uint64_t now_ms)
{
    struct jt_worker *worker = jt_fleet_find(fleet, offer->name);
    if (!worker)
        worker = add(fleet, offer->name);
    if (!worker)
        return NULL;
    if (worker->is_live)
        jt_worker_lose(fleet, worker);
    free_strings(worker);
    worker->rack = slice_dup(offer->rack);
    worker->host = slice_dup(offer->host);
    worker->socket = slice_dup(offer->socket);
    worker->boot_id = slice_dup(offer->boot_id);
    if (!worker->rack || !worker->host || !worker->socket || !worker->boot_id)
        return NULL; /* stays in the registry, not live */
    worker->netns = offer->netns;
    worker->port = offer->port;
    worker->http_port = offer->http_port;
    worker->incarnation = offer->incarnation;
    worker->cores = offer->cores;
    worker->memory = offer->memory;
    worker->cores_used = 0;
    worker->memory_used = 0;
    worker->last_beat_ms = now_ms;
    worker->slow_tasks = 0;
    worker->is_live = true;
    fleet->live++;
    find_most(fleet);
    keep_free_list(fleet, worker);
    return worker;
}

void jt_worker_lose(struct jt_fleet *fleet, struct jt_worker *worker)
{
    if (!worker->is_live)
        return;
    worker->is_live = false;
    fleet->live--;
    find_most(fleet);
    keep_free_list(fleet, worker);
}

bool jt_worker_could_fit(const struct jt_worker *worker, struct jt_need need)
{
    return worker->is_live && need.cores <= worker->cores && need.memory <= worker->memory;
}

bool jt_worker_fits(const struct jt_worker *worker, struct jt_need need)
{
    return worker->is_live && need.cores <= worker->cores - worker->cores_used &&
           need.memory <= worker->memory - worker->memory_used;
}

void jt_worker_take(struct jt_fleet *fleet, struct jt_worker *worker, struct jt_need need)
{
    worker->cores_used += need.cores;
    worker->memory_used += need.memory;
    keep_free_list(fleet, worker);
}

void jt_worker_give_back(struct jt_fleet *fleet, struct jt_worker *worker, struct jt_need need)
{
    BUG_ON(worker->cores_used < need.cores || worker->memory_used < need.memory);
    worker->cores_used -= need.cores;
    worker->memory_used -= need.memory;
    keep_free_list(fleet, worker);
}
