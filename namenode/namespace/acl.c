/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/acl.h"

#include "libcommon/base/mem.h"

#define IS_DEFAULT 4

const char *nn_acl_type_name(enum nn_acl_type type)
{
    static const char *const names[NN_ACL_TYPES] = {"user", "group", "mask", "other"};
    return type < NN_ACL_TYPES ? names[type] : "?";
}

/* ---- reading ---- */

void nn_acl_stored(const struct nn_tree *tree, uint32_t slot, struct nn_acl_list *ret)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    ret->n = 0;
    for (uint32_t i = 0; extra && i < extra->acl_count; i++) {
        const struct nn_acl_entry *e = &extra->acl[i];
        ret->v[ret->n++] =
            (struct nn_acl_item){.is_default = e->what & IS_DEFAULT,
                                 .type = e->what & 3,
                                 .perm = e->perm,
                                 .name = nn_intern_get(&tree->store.people, e->name)};
    }
}

static void put(struct nn_acl_list *list, enum nn_acl_type type, uint32_t perm)
{
    list->v[list->n++] = (struct nn_acl_item){.type = (uint8_t)type, .perm = perm & 7};
}

void nn_acl_logical(const struct nn_tree *tree, uint32_t slot, struct nn_acl_list *ret)
{
    uint32_t mode = (uint32_t)nn_inode(&tree->store, slot)->mode;
    nn_acl_stored(tree, slot, ret);
    bool is_extended = ret->n && !ret->v[0].is_default;
    put(ret, NN_ACL_USER, mode >> 6);
    put(ret, is_extended ? NN_ACL_MASK : NN_ACL_GROUP, mode >> 3);
    put(ret, NN_ACL_OTHER, mode);
    nn_acl_sort(ret);
}

bool nn_acl_has_any(const struct nn_tree *tree, uint32_t slot)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    return extra && extra->acl_count;
}

bool nn_acl_has_default(const struct nn_tree *tree, uint32_t slot)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    return extra && extra->acl_count && (extra->acl[extra->acl_count - 1].what & IS_DEFAULT);
}

/* ---- storing ---- */

uint32_t nn_acl_split(const struct nn_acl_list *logical, uint32_t mode,
                      struct nn_acl_list *ret_stored)
{
    bool has_mask = false;
    uint32_t bits = mode & 01000U;
    for (size_t i = 0; i < logical->n; i++)
        has_mask = has_mask || (!logical->v[i].is_default && logical->v[i].type == NN_ACL_MASK);
    ret_stored->n = 0;
    for (size_t i = 0; i < logical->n; i++) {
        const struct nn_acl_item *item = &logical->v[i];
        bool is_base = !item->is_default && item->name.len == 0;
        if (is_base && item->type == NN_ACL_USER)
            bits |= (uint32_t)item->perm << 6;
        else if (is_base && item->type == NN_ACL_OTHER)
            bits |= item->perm;
        else if (is_base && item->type == (has_mask ? NN_ACL_MASK : NN_ACL_GROUP))
            bits |= (uint32_t)item->perm << 3;
        else
            ret_stored->v[ret_stored->n++] = *item;
    }
    return bits;
}

bool nn_acl_is_sound(const struct nn_acl_list *stored, bool is_dir)
{
    struct nn_acl_list logical = *stored, same;
    bool is_extended = stored->n && !stored->v[0].is_default;
    size_t access = 0, defaults = 0;
    for (size_t i = 0; i < stored->n; i++) {
        const struct nn_acl_item *item = &stored->v[i];
        if (item->type >= NN_ACL_TYPES || item->perm > 7 || (item->is_default && !is_dir))
            return false;
        access += !item->is_default;
        defaults += item->is_default;
    }
    if (access + 3 > NN_ACL_MAX + (is_extended ? 0 : 3) || defaults > NN_ACL_MAX)
        return false;
    put(&logical, NN_ACL_USER, 0);
    put(&logical, is_extended ? NN_ACL_MASK : NN_ACL_GROUP, 0);
    put(&logical, NN_ACL_OTHER, 0);
    struct nn_acl_list nothing = {.n = 0};
    nn_acl_sort(&logical);
    if (nn_acl_edit(&logical, NN_ACL_MODIFY, &nothing, &same, NULL) != 0 || same.n != logical.n)
        return false;
    for (size_t i = 0; i < stored->n; i++) /* in order */
        if (i > 0 && stored->v[i].is_default < stored->v[i - 1].is_default)
            return false;
    return true;
}

int nn_acl_store(struct nn_tree *tree, uint32_t slot, const struct nn_acl_list *stored)
{
    struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    struct nn_acl_entry *acl = NULL;
    if (!extra && stored->n == 0)
        return 0;
    int rc = nn_extra_need(&tree->store, slot, &extra);
    if (rc == 0 && stored->n && !(acl = mem_calloc(stored->n, sizeof(*acl))))
        rc = ERR_NOMEM;
    for (size_t i = 0; rc == 0 && i < stored->n; i++) {
        const struct nn_acl_item *item = &stored->v[i];
        acl[i].what = (uint8_t)(item->type | (item->is_default ? IS_DEFAULT : 0));
        acl[i].perm = item->perm;
        rc = item->name.len ? nn_intern_add(&tree->store.people, item->name, &acl[i].name) : 0;
    }
    if (rc != 0) {
        mem_free(acl);
        return rc;
    }
    mem_free(extra->acl);
    extra->acl = acl;
    extra->acl_count = (uint32_t)stored->n;
    nn_extra_trim(&tree->store, extra);
    return 0;
}

/* ---- inheriting ---- */

/* The mode it was made with takes bits away, as a umask otherwise would. */
static uint8_t limited(const struct nn_acl_item *item, bool has_mask, uint32_t mode)
{
    uint32_t limit = 7;
    if (item->name.len == 0 && item->type == NN_ACL_USER)
        limit = mode >> 6;
    else if (item->type == NN_ACL_MASK || (item->type == NN_ACL_GROUP && !has_mask))
        limit = mode >> 3;
    else if (item->type == NN_ACL_OTHER)
        limit = mode;
    return (uint8_t)(item->perm & limit & 7);
}

int nn_acl_inherit(struct nn_tree *tree, uint32_t slot)
{
    struct nn_inode *inode = nn_inode(&tree->store, slot);
    struct nn_acl_list above, logical = {.n = 0}, stored;
    if (!nn_acl_has_default(tree, inode->parent))
        return 0;
    nn_acl_stored(tree, inode->parent, &above);
    bool has_mask = false;
    for (size_t i = 0; i < above.n; i++)
        has_mask = has_mask || (above.v[i].is_default && above.v[i].type == NN_ACL_MASK);
    for (size_t i = 0; i < above.n; i++) {
        struct nn_acl_item item = above.v[i];
        if (!item.is_default)
            continue;
        if (inode->is_dir)
            logical.v[logical.n++] = item;
        item.perm = limited(&item, has_mask, (uint32_t)inode->mode);
        item.is_default = false;
        logical.v[logical.n++] = item;
    }
    nn_acl_sort(&logical);
    inode->mode = nn_acl_split(&logical, (uint32_t)inode->mode, &stored) & NN_MODE_MASK;
    return nn_acl_store(tree, slot, &stored);
}
