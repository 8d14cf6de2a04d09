/* SPDX-License-Identifier: Apache-2.0
 * The state the events change, and the list of what the world must be told. */
#include "jobtracker/jobs/core.h"

#include <stdio.h>

#define CHECK_EVERY_MS 100 /* at a stage, for stragglers */

const struct jt_config jt_config_default = {
    .max_attempts = JT_ATTEMPTS,
    .worker_timeout_ms = 30000,
    .reconnect_ms = 5000,
    .locality_wait_ms = 100,
    .resume_grace_ms = 15000,
    .preempt_ms = 1000,
    .slowstart_percent = 5,
    .speculate_percent = 10,
    .speculate_after_percent = 75,
    .job_worker_failures = 3,
    .share_wait_ms = 500,
    .exclude_ms = 300000,
    .reserve_ms = 1000,
};

void jt_core_init(struct jt_core *core, const struct jt_config *config, uint64_t now_ms)
{
    *core = (struct jt_core){.config = *config, .next_job = 1, .now_ms = now_ms};
    core->start_ms = now_ms;
    jt_fleet_init(&core->fleet);
    list_init(&core->all);
    list_init(&core->active);
    list_init(&core->changed);
    list_init(&core->matching);
    list_init(&core->aside);
    list_init(&core->cornered);
    list_init(&core->untold);
    list_init(&core->again);
    if (jt_queues_configure(&core->queues, NULL, 0) != 0)
        core->out_of_memory = true;
}

void jt_core_release(struct jt_core *core)
{
    list_each_safe (&core->all, it)
        jt_job_free(list_entry(it, struct jt_job, all));
    hmap_release(&core->jobs);
    heap_release(&core->delays);
    heap_release(&core->checks);
    jt_queues_release(&core->queues);
    jt_fleet_release(&core->fleet);
    mem_free(core->effects);
}

void jt_effects_clear(struct jt_core *core)
{
    core->effect_count = 0;
}

/* Never NULL: when memory is out, the effect goes to a spare place and the core says so. */
struct jt_effect *jt_effect_add(struct jt_core *core, enum jt_effect_kind kind, struct jt_job *job)
{
    static _Thread_local struct jt_effect spare;
    struct jt_effect *effect = &spare;
    if (mem_grow(&core->effects, &core->effect_cap, core->effect_count, sizeof(struct jt_effect)) ==
        0)
        effect = &core->effects[core->effect_count++];
    else
        core->out_of_memory = true;
    *effect = (struct jt_effect){.kind = kind, .job = job};
    return effect;
}

struct jt_job *jt_core_job(const struct jt_core *core, uint64_t number)
{
    struct hmap_node *n = hmap_find(&core->jobs, hash_u64(number));
    for (; n; n = hmap_find_next(n)) {
        struct jt_job *job = CONTAINER_OF(n, struct jt_job, by_number);
        if (job->number == number)
            return job;
    }
    return NULL;
}

struct jt_attempt *jt_core_attempt(const struct jt_core *core, const struct attempt_id *id)
{
    struct jt_job *job = jt_core_job(core, id->job.number);
    struct jt_task *task = job ? jt_job_task(job, id->stage, id->task) : NULL;
    return task ? jt_attempt_find(task, id->attempt) : NULL;
}

int jt_core_activate(struct jt_core *core, struct jt_job *job, struct slice queue)
{
    size_t stages = core->stage_count + job->stage_count;
    int rc = heap_reserve(&core->delays, stages);
    if (rc == 0)
        rc = heap_reserve(&core->checks, stages);
    if (rc == 0)
        rc = jt_queue_enter(&core->queues, job, queue);
    if (rc != 0)
        return rc;
    core->stage_count = stages;
    list_push_back(&core->active, &job->active);
    jt_claim_update(job, &core->fleet, core->now_ms);
    return 0;
}

void jt_core_deactivate(struct jt_core *core, struct jt_job *job)
{
    jt_queue_leave(job);
    core->stage_count -= job->stage_count;
    for (uint32_t i = 0; i < job->stage_count; i++) {
        struct jt_stage *stage = &job->stages[i];
        heap_remove(&core->delays, &stage->delay);
        heap_remove(&core->checks, &stage->check);
        list_remove(&stage->matching);
        jt_reserve(core, stage, NULL);
    }
    list_remove(&job->active);
    list_remove(&job->changed);
    list_remove(&job->aside);
    list_remove(&job->cornered);
    list_remove(&job->untold);
}

void jt_reserve(struct jt_core *core, struct jt_stage *stage, struct jt_worker *worker)
{
    if (stage->reserved) {
        stage->reserved->reserved_for = NULL;
        jt_worker_offer_again(&core->fleet, stage->reserved);
    }
    stage->reserved = worker;
    if (worker)
        worker->reserved_for = stage;
}

void jt_match(struct jt_core *core, struct jt_stage *stage)
{
    if (list_is_empty(&stage->matching))
        list_push_back(&core->matching, &stage->matching);
}

void jt_corner(struct jt_core *core, struct jt_stage *stage)
{
    if (stage->feeds && stage->job->reducing > 0 && list_is_empty(&stage->job->cornered))
        list_push_back(&core->cornered, &stage->job->cornered);
}

void jt_check_later(struct jt_core *core, struct jt_stage *stage)
{
    if (stage->kind == JT_STAGE_COMMIT || stage->no_copies || heap_has(&stage->check))
        return;
    int rc = heap_add(&core->checks, &stage->check, core->now_ms + CHECK_EVERY_MS);
    BUG_ON(rc != 0); /* room was made when its job came */
}

void jt_core_forget(struct jt_core *core, struct jt_job *job)
{
    BUG_ON(!jt_job_is_over(job));
    hmap_remove(&core->jobs, &job->by_number);
    jt_job_free(job);
}
