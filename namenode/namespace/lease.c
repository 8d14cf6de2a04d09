/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/lease.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

void nn_leases_init(struct nn_leases *leases)
{
    *leases = (struct nn_leases){HMAP_INIT, HMAP_INIT, HEAP_INIT};
}

void nn_leases_release(struct nn_leases *leases)
{
    hmap_each (&leases->files, it)
        mem_free(CONTAINER_OF(it, struct nn_lease, by_file));
    hmap_each (&leases->holders, it)
        mem_free(CONTAINER_OF(it, struct nn_holder, by_client));
    hmap_release(&leases->files);
    hmap_release(&leases->holders);
    heap_release(&leases->ages);
    nn_leases_init(leases);
}

static struct nn_holder *find_holder(const struct nn_leases *leases, uint64_t client)
{
    for (struct hmap_node *n = hmap_find(&leases->holders, hash_u64(client)); n;
         n = hmap_find_next(n)) {
        struct nn_holder *holder = CONTAINER_OF(n, struct nn_holder, by_client);
        if (holder->client == client)
            return holder;
    }
    return NULL;
}

static struct nn_lease *find_lease(const struct nn_leases *leases, uint64_t file)
{
    for (struct hmap_node *n = hmap_find(&leases->files, hash_u64(file)); n;
         n = hmap_find_next(n)) {
        struct nn_lease *lease = CONTAINER_OF(n, struct nn_lease, by_file);
        if (lease->file == file)
            return lease;
    }
    return NULL;
}

const struct nn_lease *nn_leases_find(const struct nn_leases *leases, uint64_t file)
{
    return find_lease(leases, file);
}

/* His place among the ages stays: nn_leases_over puts it right when he comes to the top. So a
 * renewal, which every request of a writer is, touches nobody else. */
static void renew(struct nn_holder *holder, uint64_t now_ms)
{
    holder->renewed_ms = now_ms;
}

static struct nn_holder *make_holder(struct nn_leases *leases, uint64_t client, uint64_t now_ms)
{
    struct nn_holder *holder = mem_calloc(1, sizeof(*holder));
    if (!holder)
        return NULL;
    holder->client = client;
    holder->renewed_ms = now_ms;
    holder->by_age = HEAP_NODE_INIT;
    list_init(&holder->files);
    if (heap_add(&leases->ages, &holder->by_age, now_ms) != 0)
        goto fail_heap;
    if (hmap_add(&leases->holders, &holder->by_client, hash_u64(client)) != 0)
        goto fail_map;
    return holder;
fail_map:
    heap_remove(&leases->ages, &holder->by_age);
fail_heap:
    mem_free(holder);
    return NULL;
}

static void drop_idle_holder(struct nn_leases *leases, struct nn_holder *holder)
{
    if (!list_is_empty(&holder->files))
        return;
    heap_remove(&leases->ages, &holder->by_age);
    hmap_remove(&leases->holders, &holder->by_client);
    mem_free(holder);
}

int nn_leases_add(struct nn_leases *leases, uint64_t file, uint64_t client, uint64_t now_ms)
{
    BUG_ON(find_lease(leases, file));
    struct nn_lease *lease = mem_calloc(1, sizeof(*lease));
    if (!lease)
        return ERR_NOMEM;
    lease->file = file;
    if (hmap_add(&leases->files, &lease->by_file, hash_u64(file)) != 0)
        goto fail_map;
    struct nn_holder *holder = find_holder(leases, client);
    if (holder)
        renew(holder, now_ms);
    else
        holder = make_holder(leases, client, now_ms);
    if (!holder)
        goto fail_holder;
    lease->holder = holder;
    list_push_back(&holder->files, &lease->of_holder);
    return 0;
fail_holder:
    hmap_remove(&leases->files, &lease->by_file);
fail_map:
    mem_free(lease);
    return ERR_NOMEM;
}

void nn_leases_note_host(struct nn_leases *leases, uint64_t client, const char *address)
{
    struct nn_holder *holder = find_holder(leases, client);
    const char *port = strrchr(address, ':');
    if (holder)
        snprintf(holder->host, sizeof(holder->host), "%.*s",
                 port ? (int)(port - address) : (int)strlen(address), address);
}

void nn_leases_remove(struct nn_leases *leases, uint64_t file)
{
    struct nn_lease *lease = find_lease(leases, file);
    if (!lease)
        return;
    list_remove(&lease->of_holder);
    hmap_remove(&leases->files, &lease->by_file);
    drop_idle_holder(leases, lease->holder);
    mem_free(lease);
}

int nn_leases_move(struct nn_leases *leases, uint64_t file, uint64_t client, uint64_t now_ms)
{
    struct nn_lease *lease = find_lease(leases, file);
    BUG_ON(!lease);
    struct nn_holder *from = lease->holder, *to = find_holder(leases, client);
    if (to)
        renew(to, now_ms);
    else
        to = make_holder(leases, client, now_ms);
    if (!to)
        return ERR_NOMEM;
    if (from == to)
        return 0;
    list_remove(&lease->of_holder);
    list_push_back(&to->files, &lease->of_holder);
    lease->holder = to;
    drop_idle_holder(leases, from);
    return 0;
}

size_t nn_leases_count(const struct nn_leases *leases, uint64_t client)
{
    size_t count = 0;
    const struct nn_lease *lease = nn_leases_first(leases, client);
    for (; lease; lease = nn_leases_next(lease))
        count++;
    return count;
}

const struct nn_lease *nn_leases_first(const struct nn_leases *leases, uint64_t client)
{
    struct nn_holder *holder = find_holder(leases, client);
    return holder ? list_first(&holder->files, struct nn_lease, of_holder) : NULL;
}

const struct nn_lease *nn_leases_next(const struct nn_lease *lease)
{
    struct list *next = lease->of_holder.next;
    return next == &lease->holder->files ? NULL : list_entry(next, struct nn_lease, of_holder);
}

bool nn_leases_renew(struct nn_leases *leases, uint64_t client, uint64_t now_ms)
{
    struct nn_holder *holder = find_holder(leases, client);
    if (holder)
        renew(holder, now_ms);
    return holder != NULL;
}

void nn_leases_renew_all(struct nn_leases *leases, uint64_t now_ms)
{
    hmap_each (&leases->holders, it)
        renew(CONTAINER_OF(it, struct nn_holder, by_client), now_ms);
}

bool nn_lease_is_over(const struct nn_lease *lease, uint64_t limit_ms, uint64_t now_ms)
{
    return now_ms >= lease->holder->renewed_ms && now_ms - lease->holder->renewed_ms >= limit_ms;
}

const struct nn_holder *nn_leases_over(struct nn_leases *leases, uint64_t limit_ms, uint64_t now_ms)
{
    struct heap_node *oldest;
    while ((oldest = heap_min(&leases->ages))) {
        struct nn_holder *holder = CONTAINER_OF(oldest, struct nn_holder, by_age);
        if (now_ms < oldest->key || now_ms - oldest->key < limit_ms)
            return NULL;
        if (holder->renewed_ms == oldest->key)
            return holder;
        heap_remove(&leases->ages, oldest);
        BUG_ON(heap_add(&leases->ages, oldest, holder->renewed_ms) != 0); /* into the room left */
    }
    return NULL;
}
