/* SPDX-License-Identifier: Apache-2.0
 * acl_edit: one logical list and a wish make another, as Hadoop's AclTransformation does it. */
#include <stdio.h>
#include <stdlib.h>

#include "namenode/namespace/acl.h"

/* Per scope: access, default. */
struct edit {
    struct nn_acl_list *out;
    struct nn_acl_item mask[2];
    bool has_mask[2];   /* given, or there before */
    bool mask_dirty[2]; /* given, or taken away */
    bool dirty[2];      /* something in the scope changed */
};

static int compare(const void *a, const void *b)
{
    const struct nn_acl_item *x = a, *y = b;
    if (x->is_default != y->is_default)
        return x->is_default ? 1 : -1;
    return x->type != y->type ? (int)x->type - (int)y->type : slice_cmp(x->name, y->name);
}

void nn_acl_sort(struct nn_acl_list *list)
{
    qsort(list->v, list->n, sizeof(*list->v), compare);
}

static const struct nn_acl_item *find(const struct nn_acl_list *list,
                                      const struct nn_acl_item *like)
{
    for (size_t i = 0; i < list->n; i++)
        if (compare(&list->v[i], like) == 0)
            return &list->v[i];
    return NULL;
}

static void add(struct edit *e, const struct nn_acl_item *item)
{
    BUG_ON(e->out->n >= NN_ACL_ROOM);
    e->out->v[e->out->n++] = *item;
}

/* Masks wait until all else is there. */
static void take(struct edit *e, const struct nn_acl_item *item, bool is_new)
{
    unsigned scope = item->is_default;
    e->dirty[scope] = e->dirty[scope] || is_new;
    if (item->type != NN_ACL_MASK) {
        add(e, item);
        return;
    }
    e->mask[scope] = *item;
    e->has_mask[scope] = true;
    e->mask_dirty[scope] = e->mask_dirty[scope] || is_new;
}

static void modify(struct edit *e, const struct nn_acl_list *now, const struct nn_acl_list *spec)
{
    for (size_t i = 0; i < now->n; i++) {
        const struct nn_acl_item *better = find(spec, &now->v[i]);
        take(e, better ? better : &now->v[i], better != NULL);
    }
    for (size_t i = 0; i < spec->n; i++)
        if (!find(now, &spec->v[i]))
            take(e, &spec->v[i], true);
}

static void remove_some(struct edit *e, const struct nn_acl_list *now,
                        const struct nn_acl_list *spec)
{
    for (size_t i = 0; i < now->n; i++) {
        unsigned scope = now->v[i].is_default;
        if (!find(spec, &now->v[i])) {
            take(e, &now->v[i], false);
            continue;
        }
        e->dirty[scope] = true;
        e->mask_dirty[scope] = e->mask_dirty[scope] || now->v[i].type == NN_ACL_MASK;
    }
}

static void remove_default(struct edit *e, const struct nn_acl_list *now)
{
    for (size_t i = 0; i < now->n; i++)
        if (!now->v[i].is_default)
            take(e, &now->v[i], false);
}

static void remove_all(struct edit *e, const struct nn_acl_list *now)
{
    for (size_t i = 0; i < now->n; i++)
        if (!now->v[i].is_default && now->v[i].type != NN_ACL_MASK && now->v[i].name.len == 0)
            add(e, &now->v[i]);
}

static void replace(struct edit *e, const struct nn_acl_list *now, const struct nn_acl_list *spec)
{
    for (size_t i = 0; i < spec->n; i++)
        take(e, &spec->v[i], true);
    for (size_t i = 0; i < now->n; i++)
        if (!e->dirty[now->v[i].is_default])
            take(e, &now->v[i], false);
}

/* A default list has the three entries every list has; what is missing is as in the access list. */
static void complete_default(struct edit *e)
{
    static const uint8_t needed[] = {NN_ACL_USER, NN_ACL_GROUP, NN_ACL_OTHER};
    bool has_default = e->has_mask[1];
    for (size_t i = 0; i < e->out->n; i++)
        has_default = has_default || e->out->v[i].is_default;
    for (size_t i = 0; has_default && i < ARRAY_LEN(needed); i++) {
        struct nn_acl_item want = {.is_default = true, .type = needed[i]};
        struct nn_acl_item like = {.type = needed[i]};
        const struct nn_acl_item *model = find(e->out, &like);
        if (find(e->out, &want) || !model)
            continue;
        want.perm = model->perm;
        add(e, &want);
    }
}

static int settle_mask(struct edit *e, unsigned scope, struct err *err)
{
    bool is_found = false, is_needed = false;
    uint8_t all = 0;
    for (size_t i = 0; i < e->out->n; i++) {
        const struct nn_acl_item *item = &e->out->v[i];
        if (item->is_default != (scope == 1))
            continue;
        is_found = true;
        is_needed = is_needed || item->name.len;
        if (item->type == NN_ACL_GROUP || item->name.len)
            all |= item->perm;
    }
    if (!is_found)
        return 0;
    if (!e->has_mask[scope] && is_needed && e->mask_dirty[scope])
        return err_set(err, ERR_INVAL, "Invalid ACL: mask is required and cannot be deleted.");
    struct nn_acl_item fresh = {.is_default = scope == 1, .type = NN_ACL_MASK, .perm = all};
    if (e->has_mask[scope] && (!e->dirty[scope] || e->mask_dirty[scope]))
        add(e, &e->mask[scope]);
    else if (is_needed || e->has_mask[scope])
        add(e, &fresh);
    return 0;
}

static int check_scope(const struct nn_acl_list *list, bool is_default, struct err *err)
{
    size_t count = 0, base = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct nn_acl_item *item = &list->v[i];
        if (item->is_default != is_default)
            continue;
        count++;
        base += item->name.len == 0 && item->type != NN_ACL_MASK;
    }
    if (count > NN_ACL_MAX)
        return err_set(err, ERR_INVAL,
                       "Invalid ACL: ACL has %zu %s entries, which exceeds maximum of %d.", count,
                       is_default ? "default" : "access", NN_ACL_MAX);
    if (base != 3 && (count || !is_default))
        return err_set(err, ERR_INVAL,
                       "Invalid ACL: the user, group and other entries are required.");
    return 0;
}

/* Sorted, no entry twice, no names where none belong. */
static int check_list(struct nn_acl_list *list, struct err *err)
{
    nn_acl_sort(list);
    for (size_t i = 0; i < list->n; i++) {
        const struct nn_acl_item *item = &list->v[i];
        if (i > 0 && compare(item - 1, item) == 0)
            return err_set(err, ERR_INVAL,
                           "Invalid ACL: multiple entries with same scope, type and name.");
        if (item->name.len && item->type >= NN_ACL_MASK)
            return err_set(err, ERR_INVAL,
                           "Invalid ACL: this entry type must not have a name: %s%s:" SLICE_FMT
                           ":%s%s%s.",
                           item->is_default ? "default:" : "", nn_acl_type_name(item->type),
                           SLICE_ARG(item->name), item->perm & 4 ? "r" : "-",
                           item->perm & 2 ? "w" : "-", item->perm & 1 ? "x" : "-");
    }
    return 0;
}

int nn_acl_edit(const struct nn_acl_list *now, enum nn_acl_action action,
                const struct nn_acl_list *spec, struct nn_acl_list *ret, struct err *err)
{
    struct edit e = {.out = ret};
    struct nn_acl_list sorted = *spec;
    int rc = spec->n <= 2 * NN_ACL_MAX
                 ? check_list(&sorted, err)
                 : err_set(err, ERR_INVAL,
                           "Invalid ACL: ACL spec has %zu entries, which exceeds maximum of %d.",
                           spec->n, NN_ACL_MAX);
    if (rc != 0)
        return rc;
    ret->n = 0;
    switch (action) {
    case NN_ACL_MODIFY:
        modify(&e, now, spec);
        break;
    case NN_ACL_REMOVE:
        remove_some(&e, now, spec);
        break;
    case NN_ACL_REMOVE_DEFAULT:
        remove_default(&e, now);
        break;
    case NN_ACL_REMOVE_ALL:
        remove_all(&e, now);
        break;
    case NN_ACL_SET:
        replace(&e, now, spec);
        break;
    default:
        return err_set(err, ERR_INVAL, "Invalid ACL: action %u is not known", (unsigned)action);
    }
    complete_default(&e);
    for (unsigned scope = 0; rc == 0 && scope < 2; scope++)
        rc = settle_mask(&e, scope, err);
    if (rc == 0)
        rc = check_list(ret, err);
    if (rc == 0)
        rc = check_scope(ret, false, err);
    return rc != 0 ? rc : check_scope(ret, true, err);
}
