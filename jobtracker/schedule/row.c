/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/schedule/row.h"

#include "jobtracker/jobs/attempts.h"
#include "jobtracker/jobs/locality.h"

/* The mean follows so fast: the last eight tasks or so are in it. */
#define MEAN_OVER 8
/* Each core is to come back for more at least so often before the stage is handed out. */
#define TURNS 2

uint32_t jt_row_size(const struct jt_stage *stage, const struct jt_fleet *fleet)
{
    if (stage->brief_count < JT_ROW_PROVEN)
        return 1;
    uint64_t by_time = JT_ROW_US / (stage->brief_us + 1);
    uint64_t by_rest = stage->waiting / (TURNS * (fleet->cores + 1)) + 1;
    uint64_t size = by_time < by_rest ? by_time : by_rest;
    return size < 1 ? 1 : size < JT_ROW_MAX ? (uint32_t)size : JT_ROW_MAX;
}

void jt_row_note(struct jt_stage *stage, const struct jt_progress *progress)
{
    if (!progress || !progress->may_follow || progress->took_us * 2 > JT_ROW_US) {
        stage->brief_count = 0;
        return;
    }
    if (stage->brief_count++ == 0)
        stage->brief_us = progress->took_us;
    stage->brief_us = (stage->brief_us * (MEAN_OVER - 1) + progress->took_us) / MEAN_OVER;
}

/* One that has failed, or wants more memory, is tried by itself. */
static bool is_ordinary(const struct jt_task *task)
{
    return task->failures == 0 && task->node_failures == 0 && task->memory == 0;
}

static enum jt_locality worst_behind(enum jt_locality level)
{
    return level == JT_RACK_LOCAL || level == JT_REMOTE ? level : JT_NODE_LOCAL;
}

void jt_row_extend(struct jt_core *core, struct jt_attempt *front, enum jt_locality level)
{
    struct jt_stage *stage = front->task->stage;
    bool may_have_some =
        stage->kind == JT_STAGE_MAP && front->worker->takes_rows && is_ordinary(front->task);
    uint32_t more = may_have_some ? jt_row_size(stage, &core->fleet) - 1 : 0;
    while (more-- > 0 && jt_stage_wants(stage) > 0) {
        struct jt_task *task =
            jt_locality_find(stage, front->worker, worst_behind(level), false, &level);
        core->steps++;
        if (!task || !is_ordinary(task) || !jt_launch_behind(core, task, front, level))
            return;
    }
}
