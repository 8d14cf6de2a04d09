/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/locality.h"

/* How far past tasks that failed on this very worker we look before giving up for now. */
#define LOOK_AHEAD 32

static struct jt_place *find_place(const struct hmap *places, const char *name)
{
    struct hmap_node *n = hmap_find(places, slice_hash(slice_str(name), 0));
    for (; n; n = hmap_find_next(n)) {
        struct jt_place *place = CONTAINER_OF(n, struct jt_place, by_name);
        if (strcmp(place->name, name) == 0)
            return place;
    }
    return NULL;
}

static struct jt_place *get_place(struct jt_stage *stage, struct hmap *places, const char *name)
{
    struct jt_place *place = find_place(places, name);
    if (place)
        return place;
    place = arena_calloc(&stage->job->arena, 1, sizeof(*place));
    char *copy = slice_text(slice_str(name), &stage->job->arena);
    if (!place || !copy)
        return NULL;
    place->name = copy;
    if (hmap_add(places, &place->by_name, slice_hash(slice_str(name), 0)) != 0)
        return NULL;
    return place;
}

static int place_add(struct jt_place *place, uint32_t task)
{
    if (!place)
        return ERR_NOMEM;
    int rc = mem_grow(&place->tasks, &place->cap, place->count, sizeof(uint32_t));
    if (rc == 0)
        place->tasks[place->count++] = task;
    return rc;
}

int jt_locality_add(struct jt_stage *stage, struct jt_task *task, const struct jt_fleet *fleet)
{
    int rc = place_add(&stage->anywhere, task->index);
    bool has_home = false;
    for (uint32_t i = 0; i < task->node_count; i++) {
        const struct jt_worker *worker = jt_fleet_find(fleet, slice_str(task->nodes[i]));
        int added = place_add(get_place(stage, &stage->nodes, task->nodes[i]), task->index);
        if (worker && added == 0)
            added = place_add(get_place(stage, &stage->racks, worker->rack), task->index);
        has_home = has_home || (worker && worker->is_live);
        rc = rc ? rc : added;
    }
    if (!has_home) {
        int added = place_add(&stage->unrestricted, task->index);
        rc = rc ? rc : added;
    }
    return rc;
}

void jt_locality_trim(struct jt_stage *stage, struct jt_place *place)
{
    while (place->next < place->count &&
           stage->tasks[place->tasks[place->next]].state != JT_TASK_WAITING)
        place->next++;
    if (place->next == place->count) {
        place->next = place->count = 0;
        if (place == &stage->anywhere)
            stage->fresh = 0;
    }
}

static struct jt_task *place_find(struct jt_stage *stage, struct jt_place *place,
                                  const struct jt_worker *worker, bool any_node)
{
    if (!place)
        return NULL;
    jt_locality_trim(stage, place);
    for (size_t i = place->next, seen = 0; i < place->count && seen < LOOK_AHEAD; i++, seen++) {
        struct jt_task *task = &stage->tasks[place->tasks[i]];
        if (task->state == JT_TASK_WAITING && (any_node || !jt_task_failed_on(task, worker)))
            return task;
    }
    return NULL;
}

struct jt_task *jt_locality_find(struct jt_stage *stage, const struct jt_worker *worker,
                                 enum jt_locality worst, bool any_node, enum jt_locality *ret_level)
{
    struct jt_task *task =
        place_find(stage, find_place(&stage->nodes, worker->name), worker, any_node);
    *ret_level = JT_NODE_LOCAL;
    if (!task) {
        task = place_find(stage, &stage->unrestricted, worker, any_node);
        *ret_level = JT_NO_PREFERENCE;
    }
    if (!task && worst >= JT_RACK_LOCAL) {
        task = place_find(stage, find_place(&stage->racks, worker->rack), worker, any_node);
        *ret_level = JT_RACK_LOCAL;
    }
    if (!task && worst >= JT_REMOTE) {
        task = place_find(stage, &stage->anywhere, worker, any_node);
        *ret_level = JT_REMOTE;
    }
    return task;
}
