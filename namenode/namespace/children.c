/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/children.h"

#include "libcommon/base/mem.h"

#define LEAF_MERGE (NN_LEAF_MAX / 4) /* a leaf this empty joins a neighbour with room */

static bool has_many(const struct nn_children *children)
{
    return children->leaf_cap != 0;
}

static struct nn_leaf *leaf_at(const struct nn_children *children, uint32_t leaf)
{
    if (has_many(children))
        return &children->at.many[leaf];
    return (struct nn_leaf *)(uintptr_t)&children->at.one;
}

static uint32_t leaf_total(const struct nn_children *children)
{
    if (has_many(children))
        return children->leaf_count;
    return children->at.one.slots ? 1 : 0;
}

void nn_children_release(struct nn_children *children)
{
    for (uint32_t i = 0; i < leaf_total(children); i++)
        mem_free(leaf_at(children, i)->slots);
    if (has_many(children))
        mem_free(children->at.many);
    *children = (struct nn_children){0};
}

/* ---- finding a place ---- */

/* Entries of the leaf that come before `name`, counting `name` itself when `after`. */
static uint32_t leaf_search(const struct nn_leaf *leaf, const struct nn_naming *naming,
                            struct slice name, bool after)
{
    uint32_t low = 0, high = leaf->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int c = slice_cmp(naming->name(naming->arg, leaf->slots[mid]), name);
        if (c < 0 || (after && c == 0))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The last leaf whose first entry comes before or at `name`; the first leaf when none does. */
static uint32_t leaf_for(const struct nn_children *children, const struct nn_naming *naming,
                         struct slice name)
{
    uint32_t low = 0, high = leaf_total(children);
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (slice_cmp(naming->name(naming->arg, leaf_at(children, mid)->slots[0]), name) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : 0;
}

struct nn_cursor nn_children_after(const struct nn_children *children,
                                   const struct nn_naming *naming, struct slice name)
{
    if (name.len == 0 || children->count == 0)
        return (struct nn_cursor){0, 0};
    uint32_t leaf = leaf_for(children, naming, name);
    return (struct nn_cursor){leaf, leaf_search(leaf_at(children, leaf), naming, name, true)};
}

uint32_t nn_children_next(const struct nn_children *children, struct nn_cursor *cursor)
{
    while (cursor->leaf < leaf_total(children)) {
        const struct nn_leaf *leaf = leaf_at(children, cursor->leaf);
        if (cursor->at < leaf->count)
            return leaf->slots[cursor->at++];
        cursor->leaf++;
        cursor->at = 0;
    }
    return 0;
}

uint32_t nn_children_left(const struct nn_children *children, struct nn_cursor cursor)
{
    uint32_t left = 0;
    for (uint32_t i = cursor.leaf; i < leaf_total(children); i++)
        left += leaf_at(children, i)->count;
    return left > cursor.at ? left - cursor.at : 0;
}

/* ---- adding ---- */

static int leaf_resize(struct nn_leaf *leaf, uint32_t cap)
{
    uint32_t *slots = mem_realloc_array(leaf->slots, cap, sizeof(uint32_t));
    if (!slots)
        return ERR_NOMEM;
    leaf->slots = slots;
    leaf->cap = (uint16_t)cap;
    return 0;
}

/* Small directories are given what they need, big ones whole leaves. */
static int leaf_make_room(struct nn_leaf *leaf)
{
    if (leaf->count < leaf->cap)
        return 0;
    uint32_t cap = leaf->cap < 2 ? 2 : leaf->cap + leaf->cap / 2U + 1;
    return leaf_resize(leaf, cap > NN_LEAF_MAX ? NN_LEAF_MAX : cap);
}

static void leaf_insert(struct nn_leaf *leaf, uint32_t at, uint32_t slot)
{
    memmove(leaf->slots + at + 1, leaf->slots + at, (leaf->count - at) * sizeof(uint32_t));
    leaf->slots[at] = slot;
    leaf->count++;
}

static int make_many(struct nn_children *children)
{
    if (has_many(children))
        return 0;
    struct nn_leaf *many = mem_alloc(4 * sizeof(*many));
    if (!many)
        return ERR_NOMEM;
    many[0] = children->at.one;
    children->at.many = many;
    children->leaf_count = 1;
    children->leaf_cap = 4;
    return 0;
}

static int insert_leaf(struct nn_children *children, uint32_t at, struct nn_leaf leaf)
{
    size_t cap = children->leaf_cap;
    int rc = mem_grow(&children->at.many, &cap, children->leaf_count, sizeof(struct nn_leaf));
    if (rc != 0)
        return rc;
    children->leaf_cap = (uint32_t)cap;
    memmove(children->at.many + at + 1, children->at.many + at,
            (children->leaf_count - at) * sizeof(struct nn_leaf));
    children->at.many[at] = leaf;
    children->leaf_count++;
    return 0;
}

/* A full leaf gives its upper half to a new one; at the end of the directory it keeps all and the
 * new one starts empty, because names often come in order. */
static int split_leaf(struct nn_children *children, uint32_t leaf, bool at_end)
{
    int rc = make_many(children);
    if (rc != 0)
        return rc;
    struct nn_leaf fresh = {0};
    rc = leaf_resize(&fresh, at_end ? 64 : NN_LEAF_MAX);
    if (rc != 0)
        return rc;
    uint32_t keep = at_end ? NN_LEAF_MAX : NN_LEAF_MAX / 2;
    fresh.count = (uint16_t)(NN_LEAF_MAX - keep);
    memcpy(fresh.slots, children->at.many[leaf].slots + keep, fresh.count * sizeof(uint32_t));
    rc = insert_leaf(children, leaf + 1, fresh);
    if (rc != 0) {
        mem_free(fresh.slots);
        return rc;
    }
    children->at.many[leaf].count = (uint16_t)keep;
    return 0;
}

/* Behind all that are there? Names come in order when a tree is loaded or copied: no search then.
 */
static bool comes_last(const struct nn_children *children, const struct nn_naming *naming,
                       struct slice name)
{
    if (children->count == 0)
        return false;
    const struct nn_leaf *leaf = leaf_at(children, leaf_total(children) - 1);
    return slice_cmp(naming->name(naming->arg, leaf->slots[leaf->count - 1]), name) < 0;
}

int nn_children_add(struct nn_children *children, const struct nn_naming *naming, uint32_t slot)
{
    struct slice name = naming->name(naming->arg, slot);
    bool is_last = comes_last(children, naming, name);
    uint32_t leaf = is_last ? leaf_total(children) - 1 : leaf_for(children, naming, name);
    uint32_t at = is_last ? leaf_at(children, leaf)->count
                          : leaf_search(leaf_at(children, leaf), naming, name, false);
    if (leaf_at(children, leaf)->count == NN_LEAF_MAX) {
        bool at_end = at == NN_LEAF_MAX && leaf + 1 == leaf_total(children);
        int rc = split_leaf(children, leaf, at_end);
        if (rc != 0)
            return rc;
        uint32_t kept = children->at.many[leaf].count;
        if (at > kept || at_end) {
            leaf++;
            at -= kept;
        }
    }
    int rc = leaf_make_room(leaf_at(children, leaf));
    if (rc != 0)
        return rc;
    leaf_insert(leaf_at(children, leaf), at, slot);
    children->count++;
    return 0;
}

/* ---- removing ---- */

/* No leaf is ever empty. */
static void drop_leaf(struct nn_children *children, uint32_t at)
{
    mem_free(children->at.many[at].slots);
    children->leaf_count--;
    memmove(children->at.many + at, children->at.many + at + 1,
            (children->leaf_count - at) * sizeof(struct nn_leaf));
}

static bool try_merge(struct nn_children *children, uint32_t left)
{
    if (left + 1 >= children->leaf_count)
        return false;
    struct nn_leaf *a = &children->at.many[left], *b = a + 1;
    uint32_t sum = (uint32_t)a->count + b->count;
    if (sum > NN_LEAF_MAX * 3 / 4 || (a->cap < sum && leaf_resize(a, NN_LEAF_MAX) != 0))
        return false;
    memcpy(a->slots + a->count, b->slots, b->count * sizeof(uint32_t));
    a->count = (uint16_t)sum;
    drop_leaf(children, left + 1);
    return true;
}

static void after_removal(struct nn_children *children, uint32_t at)
{
    struct nn_leaf *leaf = leaf_at(children, at);
    children->count--;
    if (children->count == 0) {
        nn_children_release(children);
    } else if (!has_many(children)) {
        if (leaf->count < leaf->cap / 4)
            (void)leaf_resize(leaf, leaf->cap / 2U); /* a failure keeps the bigger one */
    } else if (leaf->count == 0) {
        drop_leaf(children, at);
    } else if (leaf->count < LEAF_MERGE && !try_merge(children, at) && at > 0) {
        (void)try_merge(children, at - 1);
    }
}

void nn_children_remove(struct nn_children *children, const struct nn_naming *naming, uint32_t slot)
{
    BUG_ON(children->count == 0);
    struct slice name = naming->name(naming->arg, slot);
    uint32_t at_leaf = leaf_for(children, naming, name);
    struct nn_leaf *leaf = leaf_at(children, at_leaf);
    uint32_t at = leaf_search(leaf, naming, name, false);
    BUG_ON(at >= leaf->count || leaf->slots[at] != slot);
    leaf->count--;
    memmove(leaf->slots + at, leaf->slots + at + 1, (leaf->count - at) * sizeof(uint32_t));
    after_removal(children, at_leaf);
}

uint32_t nn_children_last(const struct nn_children *children)
{
    if (children->count == 0)
        return 0;
    const struct nn_leaf *leaf = leaf_at(children, leaf_total(children) - 1);
    return leaf->slots[leaf->count - 1];
}

void nn_children_drop_last(struct nn_children *children)
{
    uint32_t last = leaf_total(children) - 1;
    leaf_at(children, last)->count--;
    after_removal(children, last);
}

size_t nn_children_bytes(const struct nn_children *children)
{
    size_t bytes = has_many(children) ? children->leaf_cap * sizeof(struct nn_leaf) : 0;
    for (uint32_t i = 0; i < leaf_total(children); i++)
        bytes += leaf_at(children, i)->cap * sizeof(uint32_t) + 8; /* and the allocator's header */
    return bytes;
}
