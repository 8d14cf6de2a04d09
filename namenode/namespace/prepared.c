/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/prepared.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

const char *nn_prepared_kind_name(uint64_t kind)
{
    static const char *const names[] = {"append", "truncate", "base"};
    return kind < ARRAY_LEN(names) ? names[kind] : "?";
}

void nn_prepareds_init(struct nn_prepareds *all)
{
    all->files = HMAP_INIT;
}

void nn_prepareds_release(struct nn_prepareds *all)
{
    hmap_each (&all->files, it)
        mem_free(CONTAINER_OF(it, struct nn_prepared, by_file));
    hmap_release(&all->files);
}

int nn_prepareds_add(struct nn_prepareds *all, const struct nn_prepared *what)
{
    struct nn_prepared *prepared = mem_calloc(1, sizeof(*prepared));
    if (!prepared)
        return ERR_NOMEM;
    *prepared = *what;
    int rc = hmap_add(&all->files, &prepared->by_file, hash_u64(what->file));
    if (rc != 0)
        mem_free(prepared);
    return rc;
}

struct nn_prepared *nn_prepareds_find(const struct nn_prepareds *all, uint64_t file)
{
    for (struct hmap_node *n = hmap_find(&all->files, hash_u64(file)); n; n = hmap_find_next(n)) {
        struct nn_prepared *prepared = CONTAINER_OF(n, struct nn_prepared, by_file);
        if (prepared->file == file)
            return prepared;
    }
    return NULL;
}

void nn_prepareds_remove(struct nn_prepareds *all, struct nn_prepared *prepared)
{
    hmap_remove(&all->files, &prepared->by_file);
    mem_free(prepared);
}
