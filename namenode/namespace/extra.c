/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/extra.h"

#include "libcommon/base/mem.h"
#include "namenode/namespace/xattr.h"

struct nn_extra *nn_extra_find_entry(const struct nn_inodes *store, uint32_t slot)
{
    struct hmap_node *at = hmap_find(&store->extras, hash_u64(slot));
    while (at && CONTAINER_OF(at, struct nn_extra, by_slot)->slot != slot)
        at = hmap_find_next(at);
    return at ? CONTAINER_OF(at, struct nn_extra, by_slot) : NULL;
}

int nn_extra_need(struct nn_inodes *store, uint32_t slot, struct nn_extra **ret)
{
    *ret = nn_extra_find(store, slot);
    if (*ret)
        return 0;
    struct nn_extra *extra = mem_calloc(1, sizeof(*extra));
    if (!extra || hmap_add(&store->extras, &extra->by_slot, hash_u64(slot)) != 0) {
        mem_free(extra);
        return ERR_NOMEM;
    }
    extra->slot = slot;
    extra->names_quota = extra->space_quota = NN_NO_QUOTA;
    nn_inode(store, slot)->has_extra = 1;
    *ret = extra;
    return 0;
}

static void drop(struct nn_inodes *store, struct nn_extra *extra)
{
    nn_inode(store, extra->slot)->has_extra = 0;
    hmap_remove(&store->extras, &extra->by_slot);
    for (uint32_t i = 0; i < extra->xattr_count; i++)
        mem_free(extra->xattrs[i].bytes);
    mem_free(extra->xattrs);
    mem_free(extra->acl);
    mem_free(extra);
}

void nn_extra_trim(struct nn_inodes *store, struct nn_extra *extra)
{
    if (extra->names_quota == NN_NO_QUOTA && extra->space_quota == NN_NO_QUOTA &&
        extra->reserved == 0 && extra->xattr_count == 0 && extra->acl_count == 0)
        drop(store, extra);
}

void nn_extra_drop(struct nn_inodes *store, uint32_t slot)
{
    struct nn_extra *extra = nn_extra_find(store, slot);
    if (extra)
        drop(store, extra);
}

void nn_extra_release(struct nn_inodes *store)
{
    hmap_each (&store->extras, it)
        drop(store, CONTAINER_OF(it, struct nn_extra, by_slot));
    hmap_release(&store->extras);
}
