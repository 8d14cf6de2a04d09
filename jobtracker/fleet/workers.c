/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/fleet/workers.h"

#include "libcommon/base/mem.h"

void jt_fleet_init(struct jt_fleet *fleet)
{
    *fleet = (struct jt_fleet){0};
    list_init(&fleet->all);
    list_init(&fleet->free);
    list_init(&fleet->offers);
    list_init(&fleet->excluded);
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
    heap_release(&fleet->due);
    heap_release(&fleet->by_memory);
    heap_release(&fleet->by_cores);
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

/* From here on no worker's place in a heap can fail. */
static int reserve(struct jt_fleet *fleet, size_t count)
{
    int rc = heap_reserve(&fleet->due, count);
    if (rc == 0)
        rc = heap_reserve(&fleet->by_memory, count);
    return rc == 0 ? heap_reserve(&fleet->by_cores, count) : rc;
}

static struct jt_worker *add(struct jt_fleet *fleet, struct slice name)
{
    struct jt_worker *worker = mem_calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->name = slice_dup(name);
    if (!worker->name || reserve(fleet, fleet->known + 1) != 0 ||
        hmap_add(&fleet->by_name, &worker->by_name, slice_hash(name, 0)) != 0) {
        mem_free(worker->name);
        mem_free(worker);
        return NULL;
    }
    worker->number = fleet->known++;
    worker->due = worker->by_memory = worker->by_cores = HEAP_NODE_INIT;
    list_push_back(&fleet->all, &worker->all);
    list_init(&worker->free);
    list_init(&worker->offered);
    list_init(&worker->excluded);
    list_init(&worker->held);
    list_init(&worker->attempts);
    list_init(&worker->links);
    return worker;
}

static void set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    int rc = heap_set(heap, node, key);
    BUG_ON(rc != 0); /* there is room for each known worker */
}

static void find_most(struct jt_fleet *fleet)
{
    const struct heap_node *memory = heap_min(&fleet->by_memory);
    const struct heap_node *cores = heap_min(&fleet->by_cores);
    fleet->most_memory = memory ? UINT64_MAX - memory->key : 0;
    fleet->most_cores = cores ? (uint32_t)(UINT64_MAX - cores->key) : 0;
}

static void count_in(struct jt_fleet *fleet, struct jt_worker *worker)
{
    set(&fleet->by_memory, &worker->by_memory, UINT64_MAX - worker->memory);
    set(&fleet->by_cores, &worker->by_cores, UINT64_MAX - worker->cores);
    set(&fleet->due, &worker->due, 0);
    fleet->live++;
    fleet->cores += worker->cores;
    fleet->memory += worker->memory;
    find_most(fleet);
}

static void count_out(struct jt_fleet *fleet, struct jt_worker *worker)
{
    heap_remove(&fleet->by_memory, &worker->by_memory);
    heap_remove(&fleet->by_cores, &worker->by_cores);
    heap_remove(&fleet->due, &worker->due);
    fleet->live--;
    fleet->cores -= worker->cores;
    fleet->memory -= worker->memory;
    find_most(fleet);
}

static void keep_free_list(struct jt_fleet *fleet, struct jt_worker *worker)
{
    bool is_free =
        worker->is_live && !worker->excluded_until_ms && worker->cores_used < worker->cores;
    bool is_listed = !list_is_empty(&worker->free);
    if (is_free && !is_listed)
        list_push_back(&fleet->free, &worker->free);
    else if (!is_free && is_listed)
        list_remove(&worker->free);
    if (!is_free)
        list_remove(&worker->offered);
}

void jt_worker_offer_again(struct jt_fleet *fleet, struct jt_worker *worker)
{
    if (!list_is_empty(&worker->free) && list_is_empty(&worker->offered))
        list_push_back(&fleet->offers, &worker->offered);
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
    worker->takes_rows = offer->takes_rows;
    worker->cores_used = 0;
    worker->memory_used = 0;
    worker->last_beat_ms = now_ms;
    worker->slow_tasks = 0;
    worker->doubts = worker->exclusions = 0;
    worker->is_live = true;
    count_in(fleet, worker);
    keep_free_list(fleet, worker);
    jt_worker_offer_again(fleet, worker);
    return worker;
}

void jt_worker_lose(struct jt_fleet *fleet, struct jt_worker *worker)
{
    if (!worker->is_live)
        return;
    jt_worker_include(fleet, worker);
    worker->is_live = false;
    count_out(fleet, worker);
    keep_free_list(fleet, worker);
}

void jt_worker_exclude(struct jt_fleet *fleet, struct jt_worker *worker, uint64_t until_ms)
{
    worker->excluded_until_ms = until_ms;
    fleet->excluded_count++;
    fleet->cores -= worker->cores;
    fleet->memory -= worker->memory;
    list_push_back(&fleet->excluded, &worker->excluded);
    keep_free_list(fleet, worker);
}

void jt_worker_include(struct jt_fleet *fleet, struct jt_worker *worker)
{
    if (!worker->excluded_until_ms)
        return;
    worker->excluded_until_ms = 0;
    fleet->excluded_count--;
    fleet->cores += worker->cores;
    fleet->memory += worker->memory;
    list_remove(&worker->excluded);
    keep_free_list(fleet, worker);
    jt_worker_offer_again(fleet, worker);
}

const char *jt_worker_state(const struct jt_worker *worker)
{
    return !worker->is_live ? "lost" : worker->excluded_until_ms ? "excluded" : "live";
}

uint64_t jt_worker_excluded_ms(const struct jt_worker *worker, uint64_t now_ms)
{
    bool is_out = worker->is_live && worker->excluded_until_ms > now_ms;
    bool is_for_good = worker->excluded_until_ms == JT_FOR_GOOD;
    return !is_out ? 0 : is_for_good ? JT_FOR_GOOD : worker->excluded_until_ms - now_ms;
}

void jt_worker_doubt(struct jt_fleet *fleet, struct jt_worker *worker)
{
    if (worker->is_live)
        set(&fleet->due, &worker->due, 0);
}

/* A beat does not move its worker in the heap: who seems due and has beaten is put where it belongs
 * when it is met, once a time-out. */
struct jt_worker *jt_fleet_silent(struct jt_fleet *fleet, uint64_t now_ms, uint64_t timeout_ms)
{
    struct heap_node *first;
    while ((first = heap_min(&fleet->due)) != NULL && first->key < now_ms) {
        struct jt_worker *worker = CONTAINER_OF(first, struct jt_worker, due);
        uint64_t due_ms = worker->last_beat_ms + timeout_ms;
        if (due_ms < now_ms)
            return worker;
        set(&fleet->due, first, due_ms);
    }
    return NULL;
}

bool jt_worker_could_fit(const struct jt_worker *worker, struct jt_need need)
{
    return worker->is_live && !worker->excluded_until_ms && need.cores <= worker->cores &&
           need.memory <= worker->memory;
}

bool jt_worker_fits(const struct jt_worker *worker, struct jt_need need)
{
    return worker->is_live && !worker->excluded_until_ms &&
           need.cores <= worker->cores - worker->cores_used &&
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
    jt_worker_offer_again(fleet, worker);
}
