/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/depart.h"

#include "libcommon/base/mem.h"

struct departure {
    struct dn_storage *storage;
    uint16_t volume;
    size_t waiting; /* for who has them in hand, and for this function's own end */
    void (*done)(void *arg);
    void *arg;
    uint64_t *ids;
    size_t count, cap;
    bool lacks_memory;
};

struct leaver {
    struct dn_claim claim;
    struct departure *departure;
    uint64_t id;
};

static void one_less(struct departure *d)
{
    if (--d->waiting > 0)
        return;
    if (d->done && !d->lacks_memory)
        d->done(d->arg);
    mem_free(d->ids);
    mem_free(d);
}

/* It may have gone by itself meanwhile. */
static void leave(const struct departure *d, uint64_t id)
{
    struct dn_replica *replica = dn_storage_find(d->storage, id);
    if (replica && replica->volume == d->volume)
        dn_storage_forget(d->storage, replica);
}

static void on_granted(struct dn_claim *claim)
{
    struct leaver *l = CONTAINER_OF(claim, struct leaver, claim);
    struct departure *d = l->departure;
    leave(d, l->id);
    dn_claims_drop(&d->storage->claims, claim);
    mem_free(l);
    one_less(d);
}

static int wait_for(struct departure *d, uint64_t id)
{
    struct leaver *l = mem_calloc(1, sizeof(*l));
    if (!l)
        return ERR_NOMEM;
    l->claim.granted = on_granted;
    l->departure = d;
    l->id = id;
    d->waiting++;
    int rc = dn_claims_ask(&d->storage->claims, &l->claim, id, true);
    if (rc != 0) {
        d->waiting--;
        mem_free(l);
    }
    return rc;
}

static void note_one(const struct dn_replica *replica, void *arg)
{
    struct departure *d = arg;
    if (replica->volume != d->volume || d->lacks_memory)
        return;
    d->lacks_memory = mem_grow(&d->ids, &d->cap, d->count, sizeof(*d->ids)) != 0;
    if (!d->lacks_memory)
        d->ids[d->count++] = replica->id;
}

int dn_depart(struct dn_storage *storage, struct dn_volume *volume, void (*done)(void *arg),
              void *arg)
{
    struct departure *d = mem_calloc(1, sizeof(*d));
    if (!d)
        return ERR_NOMEM;
    *d = (struct departure){
        .storage = storage, .volume = volume->index, .waiting = 1, .done = done, .arg = arg};
    dn_storage_forget_twins(storage, volume->index);
    if (dn_replicas_count(&storage->replicas) > 0)
        dn_replicas_each(&storage->replicas, note_one, d);
    for (size_t i = 0; i < d->count && !d->lacks_memory; i++) {
        if (!dn_claims_is_taken(&storage->claims, d->ids[i]))
            leave(d, d->ids[i]);
        else
            d->lacks_memory = wait_for(d, d->ids[i]) != 0;
    }
    int rc = d->lacks_memory ? ERR_NOMEM : 0;
    one_less(d);
    return rc;
}
