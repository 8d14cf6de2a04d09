/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/inode.h"

#include "namenode/namespace/extra.h"

static uint64_t name_hash(uint32_t parent, struct slice name)
{
    return slice_hash(name, hash_u64(parent));
}

static uint64_t hash_by_name(const void *owner, uint32_t slot)
{
    const struct nn_inodes *store = owner;
    return name_hash(nn_inode(store, slot)->parent, nn_inode_name(store, slot));
}
static uint32_t *link_by_name(const void *owner, uint32_t slot)
{
    return &nn_inode(owner, slot)->by_name;
}
static uint64_t id_of(const void *owner, uint32_t slot)
{
    return nn_inode(owner, slot)->id;
}
static uint64_t hash_by_id(const void *owner, uint32_t slot)
{
    return hash_u64(id_of(owner, slot));
}
static uint32_t *link_by_id(const void *owner, uint32_t slot)
{
    return &nn_inode(owner, slot)->by_id;
}

static const struct lhash_ops by_name_ops = {hash_by_name, link_by_name};
static const struct lhash_ops by_id_ops = {hash_by_id, link_by_id};

/* Names are asked for by every request, ids only while a file is written: longer chains will do. */
#define NAMES_PER_BUCKET 1
#define IDS_PER_BUCKET   2

int nn_inodes_init(struct nn_inodes *store)
{
    *store = (struct nn_inodes){0};
    slab_init(&store->inodes, sizeof(struct nn_inode));
    slab_init(&store->dirs, sizeof(struct nn_dir));
    nn_names_init(&store->names);
    nn_intern_init(&store->people);
    int rc = lhash_init(&store->by_name, NAMES_PER_BUCKET, &by_name_ops, store);
    if (rc == 0)
        rc = lhash_init(&store->by_id, IDS_PER_BUCKET, &by_id_ops, store);
    if (rc != 0)
        nn_inodes_release(store);
    return rc;
}

void nn_inodes_release(struct nn_inodes *store)
{
    for (uint32_t i = 1; i < store->dirs.fresh; i++) {
        struct nn_dir *dir = slab_at(&store->dirs, i);
        if (dir->in_use)
            nn_children_release(&dir->children);
    }
    nn_extra_release(store);
    lhash_release(&store->by_name);
    lhash_release(&store->by_id);
    nn_intern_release(&store->people);
    nn_names_release(&store->names);
    slab_release(&store->dirs);
    slab_release(&store->inodes);
}

void nn_inodes_defer(struct nn_inodes *store)
{
    lhash_defer(&store->by_name);
    lhash_defer(&store->by_id);
}

int nn_inodes_build(struct nn_inodes *store)
{
    (void)lhash_build(&store->by_name, NULL);
    return lhash_build(&store->by_id, id_of);
}

int nn_inodes_add(struct nn_inodes *store, uint64_t id, bool is_dir, uint32_t *ret_slot)
{
    uint32_t slot = 0, dir = 0;
    int rc = slab_add(&store->inodes, &slot);
    if (rc != 0)
        return rc;
    if (is_dir) {
        rc = slab_add(&store->dirs, &dir);
        if (rc != 0) {
            slab_remove(&store->inodes, slot);
            return rc;
        }
        ((struct nn_dir *)slab_at(&store->dirs, dir))->in_use = 1;
    }
    struct nn_inode *inode = nn_inode(store, slot);
    inode->id = id & ((1ULL << 48) - 1);
    inode->is_dir = is_dir;
    if (is_dir)
        inode->dir = dir;
    lhash_add(&store->by_id, slot);
    *ret_slot = slot;
    return 0;
}

void nn_inodes_remove(struct nn_inodes *store, uint32_t slot)
{
    struct nn_inode *inode = nn_inode(store, slot);
    BUG_ON(inode->name != 0);
    nn_extra_drop(store, slot);
    lhash_remove(&store->by_id, slot);
    if (inode->is_dir) {
        struct nn_dir *dir = nn_dir(store, slot);
        BUG_ON(dir->children.count != 0);
        dir->in_use = 0;
        slab_remove(&store->dirs, inode->dir);
    }
    slab_remove(&store->inodes, slot);
}

/* ---- a place in the tree ---- */

static void join_subdirs(struct nn_inodes *store, uint32_t slot, uint32_t parent)
{
    struct nn_dir *dir = nn_dir(store, slot), *above = nn_dir(store, parent);
    dir->prev_subdir = 0;
    dir->next_subdir = above->first_subdir;
    if (above->first_subdir)
        nn_dir(store, above->first_subdir)->prev_subdir = slot;
    above->first_subdir = slot;
}

static void leave_subdirs(struct nn_inodes *store, uint32_t slot, uint32_t parent)
{
    struct nn_dir *dir = nn_dir(store, slot);
    if (dir->prev_subdir)
        nn_dir(store, dir->prev_subdir)->next_subdir = dir->next_subdir;
    else
        nn_dir(store, parent)->first_subdir = dir->next_subdir;
    if (dir->next_subdir)
        nn_dir(store, dir->next_subdir)->prev_subdir = dir->prev_subdir;
    dir->next_subdir = dir->prev_subdir = 0;
}

int nn_inodes_link(struct nn_inodes *store, uint32_t slot, uint32_t parent, struct slice name)
{
    struct nn_inode *inode = nn_inode(store, slot);
    BUG_ON(inode->name != 0 || !nn_inode(store, parent)->is_dir);
    uint32_t ref = 0;
    int rc = nn_names_add(&store->names, name, &ref);
    if (rc != 0)
        return rc;
    inode->name = ref;
    struct nn_naming naming = nn_inodes_naming(store);
    rc = nn_children_add(&nn_dir(store, parent)->children, &naming, slot);
    if (rc != 0) {
        nn_names_remove(&store->names, ref);
        inode->name = 0;
        return rc;
    }
    inode->parent = parent;
    lhash_add(&store->by_name, slot);
    if (inode->is_dir)
        join_subdirs(store, slot, parent);
    return 0;
}

/* Everything of a place but the parent's entry. */
static void unlink_name(struct nn_inodes *store, uint32_t slot)
{
    struct nn_inode *inode = nn_inode(store, slot);
    if (inode->is_dir)
        leave_subdirs(store, slot, inode->parent);
    lhash_remove(&store->by_name, slot);
    nn_names_remove(&store->names, inode->name);
    inode->name = 0;
    inode->parent = 0;
}

void nn_inodes_unlink(struct nn_inodes *store, uint32_t slot)
{
    struct nn_naming naming = nn_inodes_naming(store);
    nn_children_remove(&nn_dir(store, nn_inode(store, slot)->parent)->children, &naming, slot);
    unlink_name(store, slot);
}

uint32_t nn_inodes_unlink_last(struct nn_inodes *store, uint32_t parent)
{
    struct nn_children *children = &nn_dir(store, parent)->children;
    uint32_t slot = nn_children_last(children);
    if (slot) {
        nn_children_drop_last(children);
        unlink_name(store, slot);
    }
    return slot;
}

/* ---- finding ---- */

uint32_t nn_inodes_child(const struct nn_inodes *store, uint32_t parent, struct slice name)
{
    uint32_t slot = lhash_find(&store->by_name, name_hash(parent, name));
    while (slot) {
        const struct nn_inode *inode = nn_inode(store, slot);
        if (inode->parent == parent && slice_eq(nn_names_get(&store->names, inode->name), name))
            return slot;
        slot = inode->by_name;
    }
    return 0;
}

uint32_t nn_inodes_by_id(const struct nn_inodes *store, uint64_t id)
{
    uint32_t slot = lhash_find(&store->by_id, hash_u64(id));
    while (slot && nn_inode(store, slot)->id != id)
        slot = nn_inode(store, slot)->by_id;
    return slot;
}

static struct slice name_of(const void *arg, uint32_t slot)
{
    return nn_inode_name(arg, slot);
}

struct nn_naming nn_inodes_naming(const struct nn_inodes *store)
{
    return (struct nn_naming){name_of, store};
}

size_t nn_inodes_bytes(const struct nn_inodes *store)
{
    return slab_bytes(&store->inodes) + slab_bytes(&store->dirs) + lhash_bytes(&store->by_name) +
           lhash_bytes(&store->by_id) + nn_names_bytes(&store->names);
}
