/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/members.h"

#include "libcommon/base/err.h"
#include "libcommon/base/mem.h"

void nn_members_release(struct nn_members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        mem_free(members->v[i].name);
        mem_free(members->v[i].uuid);
    }
    *members = (struct nn_members){.count = 0};
}

bool nn_members_has(const struct nn_members *members, struct slice name, struct slice uuid)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (slice_is(name, members->v[i].name) || slice_is(uuid, members->v[i].uuid))
            return true;
    return false;
}

bool nn_members_has_exactly(const struct nn_members *members, struct slice name, struct slice uuid)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (slice_is(name, members->v[i].name) && slice_is(uuid, members->v[i].uuid))
            return true;
    return false;
}

static bool is_before(const struct nn_member *a, const struct nn_member *b)
{
    int order = strcmp(a->name, b->name);
    return order < 0 || (order == 0 && strcmp(a->uuid, b->uuid) < 0);
}

int nn_members_add(struct nn_members *members, struct slice name, struct slice uuid)
{
    if (members->count == NN_CLOSE_REPLICAS || nn_members_has_exactly(members, name, uuid))
        return 0;
    struct nn_member fresh = {slice_dup(name), slice_dup(uuid)};
    if (!fresh.name || !fresh.uuid) {
        mem_free(fresh.name);
        mem_free(fresh.uuid);
        return ERR_NOMEM;
    }
    uint32_t at = members->count++;
    for (; at > 0 && is_before(&fresh, &members->v[at - 1]); at--)
        members->v[at] = members->v[at - 1];
    members->v[at] = fresh;
    return 0;
}
