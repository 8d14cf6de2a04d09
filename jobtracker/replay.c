/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/replay.h"

#include "jobtracker/record.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"

/* A job seen in the journal, with its DONE and LOST records in order: u16 type, u32 len, bytes. */
struct seen {
    struct list link;
    uint64_t number, index;
    struct buf submit, events;
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

union any {
    struct joblog_epoch epoch;
    struct joblog_submit submit;
    struct joblog_done done;
    struct joblog_lost lost;
    struct joblog_end end;
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
    default: {
        struct seen *seen = find(r, any.end.number);
        if (seen)
            seen_free(seen);
        return 0;
    }
    }
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
    struct attempt_id id = jobtracker_core_id(type == JOBLOG_DONE ? &any.done.id : &any.lost.id);
    if (type == JOBLOG_DONE)
        jt_on_resumed(&jt->core, record->job, &id, any.done.worker, any.done.result,
                      jobtracker_now(jt));
    else
        jt_on_resumed_lost(&jt->core, record->job, &id);
    return 0;
}

/* A job that cannot be begun again (its plugin's blob is gone) is said and left out. */
static int begin(struct replaying *r, struct seen *seen)
{
    struct err why = {0};
    struct record *record = record_new(r->jt, &seen->submit, &why);
    if (!record || record_begin(r->jt, record, &why) != 0) {
        log_error("jt", "job %llu cannot be resumed: %s", (unsigned long long)seen->number,
                  why.msg);
        record_free(record);
        return 0;
    }
    record->submit_index = seen->index;
    const uint8_t *p = seen->events.data;
    size_t left = seen->events.len;
    int rc = 0;
    while (rc == 0 && left > 0) {
        uint32_t len = get_u32(p + 2);
        rc = apply_event(r, record, get_u16(p), slice_of(p + 6, len));
        p += 6 + len;
        left -= 6 + len;
    }
    log_info("jt", "resuming job %llu", (unsigned long long)seen->number);
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
    if (rc != 0)
        return err && err->code ? rc : err_set(err, rc, "job journal: %s", err_text(rc));
    jt_effects_clear(&jt->core); /* of the replay itself: already in the journal */
    jt->is_replaying = false;
    jt_on_resume_end(&jt->core, (uint32_t)jt->epoch, jobtracker_now(jt));
    return 0;
}
