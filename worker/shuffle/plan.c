/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/shuffle/plan.h"

#include "libcommon/base/mem.h"

int plan_open(struct plan *plan, uint32_t maps, uint32_t streams_max)
{
    *plan = (struct plan){.map_count = maps, .streams_max = streams_max ? streams_max : 1};
    plan->maps = mem_calloc(maps ? maps : 1, sizeof(*plan->maps));
    if (!plan->maps)
        return ERR_NOMEM;
    for (uint32_t m = 0; m < maps; m++)
        plan->maps[m].worker = PLAN_NO_WORKER;
    return 0;
}

void plan_close(struct plan *plan)
{
    for (size_t w = 0; w < plan->worker_count; w++)
        mem_free(plan->workers[w].name);
    mem_free(plan->workers);
    mem_free(plan->maps);
    *plan = (struct plan){0};
}

static int64_t find_worker(struct plan *plan, struct slice name)
{
    for (size_t w = 0; w < plan->worker_count; w++)
        if (slice_is(name, plan->workers[w].name))
            return (int64_t)w;
    if (mem_grow(&plan->workers, &plan->worker_cap, plan->worker_count, sizeof(*plan->workers)) !=
        0)
        return ERR_NOMEM;
    char *copy = slice_dup(name);
    if (!copy)
        return ERR_NOMEM;
    plan->workers[plan->worker_count] = (struct plan_worker){.name = copy};
    return (int64_t)plan->worker_count++;
}

static void unwant(struct plan *plan, struct plan_map *map)
{
    if (map->worker == PLAN_NO_WORKER || map->is_held)
        return;
    plan->workers[map->worker].wanted--;
    plan->workers[map->worker].spoilt -= map->is_spoilt;
    map->is_spoilt = false;
}

int64_t plan_learn(struct plan *plan, uint32_t map, uint32_t attempt, struct slice worker_name)
{
    if (map >= plan->map_count)
        return ERR_INVAL;
    int64_t worker = find_worker(plan, worker_name);
    if (worker < 0)
        return worker;
    struct plan_map *m = &plan->maps[map];
    if (m->worker != PLAN_NO_WORKER && attempt < m->attempt)
        return worker;
    unwant(plan, m);
    m->worker = (uint32_t)worker;
    m->attempt = attempt;
    if (!m->is_held)
        plan->workers[worker].wanted++;
    return worker;
}

static bool is_waiting(const struct plan_worker *w)
{
    return !w->is_streaming && w->wanted > 0;
}

/* The next waiting worker that may be tried now; the earliest time for the others. */
static uint32_t pick_waiting(struct plan *plan, uint64_t now_ms, uint64_t *ret_until_ms)
{
    *ret_until_ms = UINT64_MAX;
    for (size_t i = 0; i < plan->worker_count; i++) {
        uint32_t w = (uint32_t)((plan->turn + i) % plan->worker_count);
        const struct plan_worker *worker = &plan->workers[w];
        if (!is_waiting(worker))
            continue;
        if (worker->retry_at_ms <= now_ms)
            return w;
        if (worker->retry_at_ms < *ret_until_ms)
            *ret_until_ms = worker->retry_at_ms;
    }
    return PLAN_NO_WORKER;
}

static uint32_t pick_idle_stream(const struct plan *plan)
{
    for (size_t w = 0; w < plan->worker_count; w++)
        if (plan->workers[w].is_streaming && plan->workers[w].wanted == 0)
            return (uint32_t)w;
    return PLAN_NO_WORKER;
}

/* Somebody to be blamed, or to give up on? */
static bool look_for_failures(struct plan *plan, struct plan_step *ret)
{
    for (uint32_t w = 0; w < plan->worker_count; w++) {
        struct plan_worker *worker = &plan->workers[w];
        if (worker->wanted == 0 || worker->failures < worker->blamed_at + PLAN_BLAME_AFTER)
            continue;
        worker->blamed_at = worker->failures;
        ret->what = worker->failures >= PLAN_GIVE_UP_AFTER ? PLAN_GIVE_UP : PLAN_BLAME;
        ret->worker = w;
        return true;
    }
    return false;
}

struct plan_step plan_next(struct plan *plan, uint64_t now_ms)
{
    struct plan_step step = {.what = PLAN_DONE, .worker = PLAN_NO_WORKER};
    if (plan->held == plan->map_count || look_for_failures(plan, &step))
        return step;
    uint32_t w = pick_waiting(plan, now_ms, &step.until_ms);
    step.what = PLAN_WAIT;
    if (w == PLAN_NO_WORKER)
        return step;
    step.worker = w;
    if (plan->streams < plan->streams_max) {
        step.what = PLAN_OPEN;
        plan->workers[w].is_streaming = true;
        plan->streams++;
        plan->turn = w + 1;
        return step;
    }
    step.worker = pick_idle_stream(plan);
    if (step.worker != PLAN_NO_WORKER)
        step.what = PLAN_CLOSE;
    return step;
}

bool plan_wants(const struct plan *plan, uint32_t map)
{
    return map < plan->map_count && !plan->maps[map].is_held;
}

void plan_got(struct plan *plan, uint32_t worker, uint32_t map)
{
    BUG_ON(!plan_wants(plan, map));
    unwant(plan, &plan->maps[map]);
    plan->maps[map].is_held = true;
    plan->held++;
    if (worker != PLAN_NO_WORKER)
        plan->workers[worker].failures = plan->workers[worker].blamed_at = 0;
}

void plan_spoilt(struct plan *plan, uint32_t worker, uint32_t map, uint32_t attempt)
{
    struct plan_map *m = &plan->maps[map];
    if (m->is_held || m->is_spoilt || m->worker != worker || attempt < m->attempt)
        return;
    m->is_spoilt = true;
    plan->workers[worker].spoilt++;
}

bool plan_has_sound(const struct plan *plan, uint32_t worker)
{
    return plan->workers[worker].wanted > plan->workers[worker].spoilt;
}

void plan_stream_over(struct plan *plan, uint32_t worker, int code, uint64_t now_ms)
{
    struct plan_worker *w = &plan->workers[worker];
    BUG_ON(!w->is_streaming);
    w->is_streaming = false;
    plan->streams--;
    /* "Everything was sent", yet something is missing: as good as broken. */
    if (code == ERR_CANCELLED || (code == 0 && w->wanted == 0))
        return;
    uint64_t pause = PLAN_RETRY_MIN_MS;
    for (uint32_t i = 0; i < w->failures && pause < PLAN_RETRY_MAX_MS; i++)
        pause *= 2;
    w->failures++;
    w->retry_at_ms = now_ms + (pause < PLAN_RETRY_MAX_MS ? pause : PLAN_RETRY_MAX_MS);
}

bool plan_missing(const struct plan *plan, uint32_t worker, uint32_t *at, uint32_t *ret_map)
{
    for (; *at < plan->map_count; (*at)++) {
        const struct plan_map *m = &plan->maps[*at];
        if (!m->is_held && m->worker == worker) {
            *ret_map = (*at)++;
            return true;
        }
    }
    return false;
}
