/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobtracker.h"

#include "jobtracker/endings.h"
#include "jobtracker/packing.h"
#include "jobtracker/record.h"
#include "jobtracker/schedule/row.h"
#include "jobtracker/serve/clients.h"
#include "jobtracker/serve/orders.h"
#include "jobtracker/talk/namenode.h"
#include "libcommon/base/log.h"

uint64_t jobtracker_now(const struct jobtracker *jt)
{
    return loop_now_ms(jt->loop);
}

struct task_attempt jobtracker_attempt_id(const struct jobtracker *jt,
                                          const struct jt_attempt *attempt)
{
    const struct jt_task *task = attempt->task;
    return (struct task_attempt){jt->cluster_ms, task->stage->job->number, task->stage->index,
                                 task->index, attempt->number};
}

struct attempt_id jobtracker_core_id(const struct task_attempt *id)
{
    return (struct attempt_id){{id->cluster_ms, id->job}, id->stage, id->task, id->attempt};
}

uint64_t jobtracker_journal(struct jobtracker *jt, enum joblog_type type, const void *record)
{
    struct err err = {0};
    uint64_t index = joblog_append(jt->log, type, record, &err);
    if (index == 0)
        daemon_exit(jt->daemon, 1, "%s", err.msg);
    else
        jt->last_index = index;
    return index;
}

/* What is published must be in the journal: a next life that had forgotten a winner would run that
 * task again and publish something else. */
void jobtracker_publish_ready(struct jobtracker *jt)
{
    uint64_t durable = joblog_durable(jt->log);
    list_each_safe (&jt->publishing, it) {
        struct record *record = list_entry(it, struct record, publishing);
        if (record->publish_index > durable)
            break;
        list_remove(&record->publishing);
        namenode_publish(jt, record->job);
    }
}

static void wait_to_publish(struct jobtracker *jt, struct record *record)
{
    record->publish_index = jt->last_index;
    joblog_hurry(jt->log); /* winners are among what nobody waited for so far */
    list_push_back(&jt->publishing, &record->publishing);
}

static void write_done(struct jobtracker *jt, const struct jt_attempt *attempt)
{
    struct joblog_done record = {
        .id = jobtracker_attempt_id(jt, attempt),
        .worker = slice_str(attempt->worker->name),
        .result = attempt->task->result,
    };
    jobtracker_journal(jt, JOBLOG_DONE, &record);
}

static void write_lost(struct jobtracker *jt, const struct jt_attempt *attempt)
{
    struct joblog_lost record = {jobtracker_attempt_id(jt, attempt)};
    log_info("jt.jobs",
             "the output of task %u (attempt %u) of job %llu on %s is lost: it runs again",
             attempt->task->index, attempt->number, (unsigned long long)record.id.job,
             attempt->worker->name);
    jobtracker_journal(jt, JOBLOG_LOST, &record);
}

static void say_excluded(struct jobtracker *jt, const struct jt_worker *worker)
{
    if (worker->excluded_until_ms == JT_FOR_GOOD)
        log_warn("jt.workers",
                 "%s gets no tasks: none of its local directories is usable (its log tells what "
                 "failed): mend one and start the worker again",
                 worker->name);
    else if (worker->excluded_until_ms)
        log_warn("jt.workers",
                 "%s gets no tasks for %llu s: those of several jobs failed there and then went "
                 "well elsewhere, the last in job %llu",
                 worker->name,
                 (unsigned long long)(worker->excluded_until_ms - jobtracker_now(jt)) / 1000,
                 (unsigned long long)worker->doubted_by);
    else
        log_info("jt.workers", "%s gets tasks again", worker->name);
}

/* --- effects --------------------------------------------------------------------------------- */

static void carry_out(struct jobtracker *jt, const struct jt_effect *effect)
{
    switch (effect->kind) {
    case JT_WRITE_DONE:
        write_done(jt, effect->attempt);
        break;
    case JT_WRITE_LOST:
        write_lost(jt, effect->attempt);
        break;
    case JT_WRITE_END:
        endings_begin(jt, effect->job);
        break;
    case JT_PUBLISH:
        wait_to_publish(jt, record_of(effect->job));
        break;
    case JT_PACK:
        packing_decide(jt, effect->stage);
        break;
    case JT_CLEAN_UP:
        namenode_clean_up(jt, effect->job);
        break;
    case JT_SAY_EXCLUDED:
        say_excluded(jt, effect->worker);
        break;
    default:
        orders_send(jt, effect);
    }
}

/* The effect there, with those of its row. How many. */
static size_t take_row(const struct jt_core *core, size_t at, struct jt_effect row[JT_ROW_MAX])
{
    size_t n = 0;
    do
        row[n++] = core->effects[at++];
    while (at < core->effect_count && core->effects[at].is_behind && n < JT_ROW_MAX);
    return n;
}

void jobtracker_carry_out(struct jobtracker *jt)
{
    if (jt->is_replaying || jt->is_stopping)
        return;
    if (jt->core.out_of_memory) { /* something may be missing among them: nothing leaves */
        jt_effects_clear(&jt->core);
        daemon_exit(jt->daemon, 1, "out of memory");
        return;
    }
    for (size_t i = 0; i < jt->core.effect_count;) {
        struct jt_effect row[JT_ROW_MAX]; /* the array may move meanwhile */
        size_t n = take_row(&jt->core, i, row);
        if (row[0].kind == JT_TELL_RUN)
            orders_send_row(jt, row, n);
        else
            carry_out(jt, &row[0]);
        i += n;
    }
    jt_effects_clear(&jt->core);
    jobtracker_publish_ready(jt);
    if (jt->core.out_of_memory)
        daemon_exit(jt->daemon, 1, "out of memory");
}
