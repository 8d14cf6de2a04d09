/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/locals.h"

#define KEPT_MAX 8

void cl_locals_init(struct cl_locals *locals)
{
    mutex_init(&locals->lock);
    list_init(&locals->kept);
    locals->count = 0;
}

void cl_locals_release(struct cl_locals *locals)
{
    list_each_safe (&locals->kept, it)
        cl_local_close(list_entry(it, struct cl_local, link));
    mutex_release(&locals->lock);
}

static struct cl_local *find(struct cl_locals *locals, const struct cl_block *block)
{
    struct cl_local *found = NULL;
    mutex_lock(&locals->lock);
    list_each (&locals->kept, it) {
        struct cl_local *local = list_entry(it, struct cl_local, link);
        if (local->id != block->id)
            continue;
        list_remove(&local->link);
        list_push_front(&locals->kept, &local->link);
        local->refs++;
        found = local;
        break;
    }
    mutex_unlock(&locals->lock);
    return found;
}

int cl_locals_take(struct cl_locals *locals, struct qn_fs *fs, const struct msg_node *node,
                   const struct cl_block *block, struct cl_local **ret, struct err *err)
{
    *ret = find(locals, block);
    if (*ret)
        return 0;
    int rc = cl_local_open(fs, node, block, ret, err);
    if (rc != 0)
        return rc;
    mutex_lock(&locals->lock);
    (*ret)->refs = 1;
    list_push_front(&locals->kept, &(*ret)->link);
    locals->count++;
    mutex_unlock(&locals->lock);
    return 0;
}

/* Lock held. */
static struct cl_local *drop(struct cl_locals *locals, struct cl_local *local)
{
    list_remove(&local->link);
    locals->count--;
    return local;
}

/* The oldest one nobody reads from, beyond what is kept. Lock held. */
static struct cl_local *surplus(struct cl_locals *locals)
{
    if (locals->count <= KEPT_MAX)
        return NULL;
    for (struct list *it = locals->kept.prev; it != &locals->kept; it = it->prev) {
        struct cl_local *local = list_entry(it, struct cl_local, link);
        if (local->refs == 0)
            return drop(locals, local);
    }
    return NULL;
}

void cl_locals_give(struct cl_locals *locals, struct cl_local *local, bool is_good)
{
    struct cl_local *old = NULL;
    mutex_lock(&locals->lock);
    local->refs--;
    if (is_good)
        old = surplus(locals);
    else if (local->refs == 0)
        old = drop(locals, local);
    mutex_unlock(&locals->lock);
    if (old)
        cl_local_close(old);
}
