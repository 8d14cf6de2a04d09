/* SPDX-License-Identifier: Apache-2.0
 * A task's share is kept in the core as its input: the numbers of its partitions, u32 each. */
#include "jobtracker/packing.h"

#include "jobtracker/events/events.h"
#include "jobtracker/record.h"
#include "libcommon/base/bins.h"
#include "libcommon/base/log.h"

/* ERR_RETRY: an output is gone again. */
static int sum_up(const struct jt_stage *before, uint64_t *raw, size_t count)
{
    struct arena arena = ARENA_INIT;
    int rc = jt_stage_is_done(before) ? 0 : ERR_RETRY;
    for (uint32_t t = 0; rc == 0 && t < before->count; t++) {
        struct task_done done;
        arena_reset(&arena);
        rc = msg_decode(&task_done_desc, before->tasks[t].result, &arena, &done, NULL);
        for (size_t p = 0; rc == 0 && p < done.raw.n && p < count; p++)
            raw[p] += done.raw.v[p];
    }
    arena_release(&arena);
    return rc;
}

/* A list of partitions for each task, behind one another in `bytes`; inputs are slices of it. */
static void turn_around(const struct msg_u64s *task_of, uint32_t tasks, uint8_t *bytes,
                        struct slice *inputs)
{
    for (size_t p = 0; p < task_of->n; p++)
        inputs[task_of->v[p]].len += 4;
    for (uint32_t t = 0; t < tasks; t++) {
        inputs[t].data = bytes;
        bytes += inputs[t].len;
        inputs[t].len = 0;
    }
    for (size_t p = 0; p < task_of->n; p++) {
        struct slice *input = &inputs[task_of->v[p]];
        put_u32((uint8_t *)(uintptr_t)input->data + input->len, (uint32_t)p);
        input->len += 4;
    }
}

static int tell_core(struct jobtracker *jt, struct jt_stage *stage,
                     const struct joblog_packed *packed)
{
    struct slice *inputs = mem_calloc(packed->tasks, sizeof(*inputs));
    uint8_t *bytes = mem_alloc(packed->task_of.n * 4 + 1);
    int rc = inputs && bytes ? 0 : ERR_NOMEM;
    if (rc == 0) {
        turn_around(&packed->task_of, packed->tasks, bytes, inputs);
        jt_on_packed(&jt->core, stage, inputs, packed->tasks, jobtracker_now(jt));
    }
    mem_free(inputs);
    mem_free(bytes);
    return rc;
}

static const struct cl2jt_shuffle *shuffle_of(const struct jt_stage *stage)
{
    const struct cl2jt_submit *spec = &record_of(stage->job)->spec.job;
    BUG_ON(stage->index < 1 || stage->index > spec->shuffles.n);
    return &spec->shuffles.v[stage->index - 1];
}

bool packing_is_fixed(const struct jt_stage *stage)
{
    return shuffle_of(stage)->reduces > 0;
}

static int decide(struct jobtracker *jt, struct jt_stage *stage, struct arena *arena)
{
    const struct cl2jt_shuffle *shuffle = shuffle_of(stage);
    struct jt_job *job = stage->job;
    uint32_t n = stage->partitions;
    uint64_t *raw = arena_calloc(arena, n, sizeof(*raw));
    uint64_t *task_of = arena_calloc(arena, n, sizeof(*task_of));
    uint32_t *bins = arena_calloc(arena, n, sizeof(*bins));
    struct joblog_packed packed = {
        .number = job->number, .stage = stage->index, .task_of = {task_of, n}};
    struct bins_conf conf = {.how =
                                 shuffle->packing == CL2JT_PACK_IN_ORDER ? BINS_IN_ORDER : BINS_ANY,
                             .bins = shuffle->reduces,
                             .target = shuffle->reduce_bytes ? shuffle->reduce_bytes : 1};
    int rc = raw && task_of && bins ? 0 : ERR_NOMEM;
    if (rc == 0)
        rc = sum_up(&job->stages[stage->reads_from], raw, n);
    if (rc == 0)
        rc = bins_pack(raw, n, &conf, bins, &packed.tasks);
    if (rc != 0)
        return rc;
    for (uint32_t p = 0; p < n; p++)
        task_of[p] = bins[p];
    log_info("jt.jobs", "job %llu: %u partitions go to %u reducers",
             (unsigned long long)job->number, n, packed.tasks);
    jobtracker_journal(jt, JOBLOG_PACKED, &packed);
    return tell_core(jt, stage, &packed);
}

void packing_decide(struct jobtracker *jt, struct jt_stage *stage)
{
    struct arena arena = ARENA_INIT;
    int rc = decide(jt, stage, &arena);
    arena_release(&arena);
    if (rc == ERR_RETRY)
        jt_on_packed(&jt->core, stage, NULL, 0, jobtracker_now(jt));
    else if (rc != 0)
        daemon_exit(jt->daemon, 1, "cannot choose the partitions of reducers: %s", err_text(rc));
}

int packing_resume(struct jobtracker *jt, struct jt_job *job, const struct joblog_packed *packed)
{
    struct jt_stage *stage = packed->stage < job->stage_count ? &job->stages[packed->stage] : NULL;
    if (!stage || !stage->is_packed || packed->tasks == 0 || packed->task_of.n != stage->partitions)
        return ERR_CORRUPT;
    for (size_t p = 0; p < packed->task_of.n; p++)
        if (packed->task_of.v[p] >= packed->tasks)
            return ERR_CORRUPT;
    return tell_core(jt, stage, packed);
}

int packing_of_task(const struct jt_task *task, struct arena *arena, struct msg_u64s *ret)
{
    size_t n = task->stage->is_packed ? task->input.len / 4 : 1;
    uint64_t *list = arena_calloc(arena, n + 1, sizeof(*list));
    if (!list)
        return ERR_NOMEM;
    list[0] = task->index;
    for (size_t i = 0; task->stage->is_packed && i < n; i++)
        list[i] = get_u32(task->input.data + 4 * i);
    *ret = (struct msg_u64s){list, n};
    return 0;
}
