/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/replay.h"

#include "jobtracker/account.h"
#include "jobtracker/endings.h"
#include "jobtracker/packing.h"
#include "jobtracker/record.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"

/* A job seen in the journal, with its DONE, LOST, PRIORITY and PACKED records in order: u16 type,
 * u32 len, bytes. */
struct seen {
    struct list link;
    uint64_t number, index;
    struct buf submit, events;
    uint64_t end_index; /* it ended there, and its history is not written; 0 = it did not */
    uint64_t end_wall_ms;
    uint32_t end_state;
    char *end_why;
};

struct replaying {
    struct jobtracker *jt;
    struct list jobs;
    struct arena arena;
    struct err *err;
};

static void seen_free(struct seen *seen)
{
    list_remove(&seen->link);
    buf_release(&seen->submit);
    buf_release(&seen->events);
    mem_free(seen->end_why);
    mem_free(seen);
}

static struct seen *find(struct replaying *r, uint64_t number)
{
    list_each (&r->jobs, it) {
        struct seen *seen = list_entry(it, struct seen, link);
        if (seen->number == number)
            return seen;
    }
    return NULL;
}

static void on_epoch(struct replaying *r, const struct joblog_epoch *epoch)
{
    r->jt->cluster_ms = epoch->cluster_ms;
    r->jt->epoch = epoch->epoch;
    if (epoch->next_job > r->jt->core.next_job)
        r->jt->core.next_job = epoch->next_job;
}

static int on_submit(struct replaying *r, const struct joblog_submit *submit,
                     const struct wal_record *record)
{
    struct seen *seen = mem_calloc(1, sizeof(*seen));
    if (!seen)
        return ERR_NOMEM;
    seen->number = submit->number;
    seen->index = record->index;
    buf_append_slice(&seen->submit, record->payload);
    list_push_back(&r->jobs, &seen->link);
    if (submit->number >= r->jt->core.next_job)
        r->jt->core.next_job = submit->number + 1;
    return buf_failed(&seen->submit) ? ERR_NOMEM : 0;
}

static int on_event(struct replaying *r, uint64_t number, const struct wal_record *record)
{
    struct seen *seen = find(r, number);
    if (!seen)
        return 0; /* of a job that ended */
    buf_append_u16(&seen->events, record->type);
    buf_append_u32(&seen->events, (uint32_t)record->payload.len);
    buf_append_slice(&seen->events, record->payload);
    return buf_failed(&seen->events) ? ERR_NOMEM : 0;
}

/* Its history follows the END; what has left since, being too old, stays away. */
static bool has_history(const struct jobtracker *jt, const struct joblog_end *end)
{
    uint64_t age = conf_ms(daemon_conf(jt->daemon), "mapreduce.jobhistory.max-age-ms");
    struct job_id id = {jt->cluster_ms, end->number};
    return history_has(&jt->history, id) || end->wall_ms + age < clock_wall_ms();
}

static int on_end(struct replaying *r, const struct joblog_end *end, uint64_t index)
{
    struct seen *seen = find(r, end->number);
    if (!seen)
        return 0;
    if (has_history(r->jt, end)) {
        seen_free(seen);
        return 0;
    }
    mem_free(seen->end_why);
    seen->end_why = slice_dup(end->why);
    seen->end_index = index;
    seen->end_state = end->state;
    seen->end_wall_ms = end->wall_ms;
    return seen->end_why ? 0 : ERR_NOMEM;
}

union any {
    struct joblog_epoch epoch;
    struct joblog_submit submit;
    struct joblog_done done;
    struct joblog_lost lost;
    struct joblog_end end;
    struct joblog_priority priority;
    struct joblog_packed packed;
};

static int visit(void *arg, const struct wal_record *record)
{
    struct replaying *r = arg;
    const struct msg_desc *desc = joblog_desc(record->type);
    union any any;
    if (!desc)
        return err_set(r->err, ERR_VERSION,
                       "job journal: record %llu is of a kind this version does not know",
                       (unsigned long long)record->index);
    arena_reset(&r->arena);
    int rc = msg_decode(desc, record->payload, &r->arena, &any, r->err);
    if (rc != 0)
        return rc;
    switch (record->type) {
    case JOBLOG_EPOCH:
        on_epoch(r, &any.epoch);
        return 0;
    case JOBLOG_SUBMIT:
        return on_submit(r, &any.submit, record);
    case JOBLOG_DONE:
        return on_event(r, any.done.id.job, record);
    case JOBLOG_LOST:
        return on_event(r, any.lost.id.job, record);
    case JOBLOG_PRIORITY:
        return on_event(r, any.priority.number, record);
    case JOBLOG_PACKED:
        return on_event(r, any.packed.number, record);
    default:
        return on_end(r, &any.end, record->index);
    }
}

static int apply_done(struct replaying *r, struct record *record, const struct joblog_done *event)
{
    struct task_done done;
    int rc = msg_decode(&task_done_desc, event->result, &r->arena, &done, r->err);
    if (rc != 0)
        return rc;
    struct jt_resumed was = {jobtracker_core_id(&event->id), event->worker, event->result,
                             account_progress(record->job, &done)};
    jt_on_resumed(&r->jt->core, record->job, &was, jobtracker_now(r->jt));
    return 0;
}

static int apply_event(struct replaying *r, struct record *record, uint16_t type,
                       struct slice payload)
{
    struct jobtracker *jt = r->jt;
    union any any;
    arena_reset(&r->arena);
    int rc = msg_decode(joblog_desc(type), payload, &r->arena, &any, r->err);
    if (rc != 0)
        return rc;
    if (type == JOBLOG_PRIORITY) {
        jt_on_priority(&jt->core, record->job, any.priority.priority, jobtracker_now(jt));
        return 0;
    }
    if (type == JOBLOG_PACKED) {
        rc = packing_resume(jt, record->job, &any.packed);
        return rc == 0 ? 0
                       : err_set(r->err, rc, "job journal: what reducers of job %llu read: %s",
                                 (unsigned long long)any.packed.number, err_text(rc));
    }
    record->has_map_files = true; /* not looked at here */
    if (type == JOBLOG_DONE)
        return apply_done(r, record, &any.done);
    struct attempt_id id = jobtracker_core_id(&any.lost.id);
    jt_on_resumed_lost(&jt->core, record->job, &id);
    return 0;
}

/* A job whose list of splits is gone or damaged fails, and its history says why: it was accepted,
 * so somebody asks for it. */
static int give_up(struct replaying *r, const struct seen *seen, struct slice submit,
                   const struct err *why)
{
    struct jobtracker *jt = r->jt;
    struct joblog_submit spec;
    struct buf out = BUF_INIT;
    struct err err = {0};
    struct job_id id = {jt->cluster_ms, seen->number};
    arena_reset(&r->arena);
    int rc = msg_decode(&joblog_submit_desc, submit, &r->arena, &spec, r->err);
    if (rc != 0)
        return rc;
    log_error("jt", "job %llu cannot be resumed: %s", (unsigned long long)seen->number, why->msg);
    struct cl2jt_status status = {
        .id = {jt->cluster_ms, seen->number},
        .name = spec.job.name,
        .plugin = spec.job.plugin_name,
        .user = spec.user,
        .state = CL2JT_FAILED,
        .submitted_ms = spec.wall_ms,
        .out = spec.job.out,
        .why = slice_str(why->msg),
    };
    msg_encode(&cl2jt_status_desc, &status, &out);
    rc = buf_failed(&out) ? ERR_NOMEM
                          : history_write(&jt->history, id, ".status", buf_slice(&out), &err);
    buf_release(&out);
    if (rc != 0)
        return err_set(r->err, rc, "job %llu cannot be resumed, nor its end be told: %s",
                       (unsigned long long)seen->number, err.code ? err.msg : err_text(rc));
    struct joblog_end end = {seen->number, JT_JOB_FAILED, slice_str(why->msg), clock_wall_ms()};
    return joblog_append(jt->log, JOBLOG_END, &end, r->err) ? 0 : r->err->code;
}

/* It was submitted in another life, whose clock was not ours: as long ago as the wall's clock
 * says. */
static void date_back(struct record *record)
{
    uint64_t now = clock_wall_ms(), *since = &record->job->submitted_ms;
    uint64_t ago = now > record->spec.wall_ms ? now - record->spec.wall_ms : 0;
    *since -= ago < *since ? ago : *since;
}

static int begin(struct replaying *r, struct seen *seen)
{
    struct err why = {0};
    struct buf bytes = BUF_INIT;
    buf_append_slice(&bytes, buf_slice(&seen->submit));
    if (buf_failed(&bytes))
        return ERR_NOMEM;
    struct record *record = record_new(r->jt, &bytes, &why);
    if (!record && why.code != ERR_NOMEM)
        return give_up(r, seen, buf_slice(&seen->submit), &why);
    if (!record || record_begin(r->jt, record, &why) != 0) {
        record_free(record);
        return err_set(r->err, ERR_NOMEM, "no memory to resume job %llu",
                       (unsigned long long)seen->number);
    }
    record->submit_index = seen->index;
    date_back(record);
    const uint8_t *p = seen->events.data;
    size_t left = seen->events.len;
    int rc = 0;
    while (rc == 0 && left > 0) {
        uint32_t len = get_u32(p + 2);
        rc = apply_event(r, record, get_u16(p), slice_of(p + 6, len));
        p += 6 + len;
        left -= 6 + len;
    }
    if (seen->end_index == 0) {
        log_info("jt", "resuming job %llu", (unsigned long long)seen->number);
    } else if (rc == 0) {
        jt_on_resumed_end(&r->jt->core, record->job, seen->end_state,
                          seen->end_why[0] ? seen->end_why : NULL);
        endings_resume(r->jt, record->job, seen->end_index, seen->end_wall_ms);
    }
    return rc;
}

static int new_epoch(struct jobtracker *jt, struct err *err)
{
    if (jt->cluster_ms == 0)
        jt->cluster_ms = clock_wall_ms();
    jt->epoch++;
    struct joblog_epoch record = {jt->cluster_ms, jt->epoch, jt->core.next_job};
    jt->epoch_index = joblog_append(jt->log, JOBLOG_EPOCH, &record, err);
    jt->last_index = jt->epoch_index;
    return jt->epoch_index ? 0 : ERR_IO;
}

int replay(struct jobtracker *jt, struct err *err)
{
    struct replaying r = {.jt = jt, .err = err};
    list_init(&r.jobs);
    jt->is_replaying = true;
    jt_on_resume_begin(&jt->core);
    int rc = joblog_replay(jt->log, visit, &r, err);
    if (rc == 0)
        rc = new_epoch(jt, err);
    list_each_safe (&r.jobs, it) {
        struct seen *seen = list_entry(it, struct seen, link);
        if (rc == 0)
            rc = begin(&r, seen);
        seen_free(seen);
    }
    arena_release(&r.arena);
    if (rc == 0 && jt->core.out_of_memory)
        rc = ERR_NOMEM;
    if (rc != 0)
        return err && err->code ? rc : err_set(err, rc, "job journal: %s", err_text(rc));
    jt_effects_clear(&jt->core); /* of the replay itself: already in the journal */
    jt->is_replaying = false;
    jt_on_resume_end(&jt->core, (uint32_t)jt->epoch, jobtracker_now(jt));
    return 0;
}
