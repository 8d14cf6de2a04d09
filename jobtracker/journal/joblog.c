/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/journal/joblog.h"

#include "libcommon/base/log.h"
#include "libcommon/base/rand.h"

MSG_DEFINE(joblog_epoch, JOBLOG_EPOCH_FIELDS)
MSG_DEFINE(joblog_submit, JOBLOG_SUBMIT_FIELDS)
MSG_DEFINE(joblog_done, JOBLOG_DONE_FIELDS)
MSG_DEFINE(joblog_lost, JOBLOG_LOST_FIELDS)
MSG_DEFINE(joblog_end, JOBLOG_END_FIELDS)
MSG_DEFINE(joblog_priority, JOBLOG_PRIORITY_FIELDS)
MSG_DEFINE(joblog_packed, JOBLOG_PACKED_FIELDS)

static const struct msg_desc *const rows[] = {
    [JOBLOG_EPOCH] = &joblog_epoch_desc,   [JOBLOG_SUBMIT] = &joblog_submit_desc,
    [JOBLOG_DONE] = &joblog_done_desc,     [JOBLOG_LOST] = &joblog_lost_desc,
    [JOBLOG_END] = &joblog_end_desc,       [JOBLOG_PRIORITY] = &joblog_priority_desc,
    [JOBLOG_PACKED] = &joblog_packed_desc,
};

const struct msg_desc *joblog_desc(uint16_t type)
{
    return type < ARRAY_LEN(rows) ? rows[type] : NULL;
}

/* What nobody waits for waits this long for company: its fsync would be in the way of others. */
#define LATE_MS 10

struct joblog {
    struct wal *wal;
    struct loop *loop;
    struct workq *workq;
    joblog_durable_fn *on_durable;
    void *arg;
    struct loop_hook hook;
    struct loop_timer seal; /* an idle tail is sealed by the take that this brings */
    struct work work;
    struct wal_batch *batch; /* in flight, or NULL */
    struct buf scratch;
    struct buf backlog; /* records the log has no room for until a batch is done: each u32 length,
                         * u32 type, bytes */
    size_t backlog_count;
    struct loop_timer late; /* records that nobody waits for go to disk */
    bool has_late;          /* there are some */
    bool is_wanted;         /* somebody waits for what was appended last */
    bool is_stopped;
};

static void batch_run(struct work *work)
{
    wal_write_batch(CONTAINER_OF(work, struct joblog, work)->batch);
}

static void pump(void *arg);
static void pump_if_wanted(void *arg);

/* A disk that is slow for a second must not end the process: what does not fit waits in order. */
static int put_aside(struct joblog *log, uint16_t type, struct slice record, uint64_t *ret_index)
{
    size_t before = log->backlog.len;
    buf_append_u32(&log->backlog, (uint32_t)record.len);
    buf_append_u32(&log->backlog, type);
    buf_append_slice(&log->backlog, record);
    if (buf_failed(&log->backlog)) {
        log->backlog.failed = false;
        log->backlog.len = before;
        return ERR_NOMEM;
    }
    *ret_index = wal_last(log->wal) + ++log->backlog_count;
    return 0;
}

static int put(struct joblog *log, uint16_t type, struct slice record, uint64_t *ret_index)
{
    int rc = log->backlog_count ? ERR_RETRY : wal_append(log->wal, 1, type, record, ret_index);
    return rc == ERR_RETRY ? put_aside(log, type, record, ret_index) : rc;
}

/* There may be room again. */
static int take_backlog(struct joblog *log, struct err *err)
{
    size_t at = 0;
    int rc = 0;
    while (log->backlog_count) {
        uint64_t index;
        const uint8_t *head = log->backlog.data + at;
        uint32_t len = get_u32(head);
        rc = wal_append(log->wal, 1, (uint16_t)get_u32(head + 4), slice_of(head + 8, len), &index);
        if (rc != 0)
            break;
        at += 8 + (size_t)len;
        log->backlog_count--;
        log->is_wanted = true;
    }
    buf_consume(&log->backlog, at);
    if (rc == 0 || rc == ERR_RETRY)
        return 0;
    return err_set(err, rc, "cannot write to the job journal: %s", err_text(rc));
}

static void batch_done(struct work *work)
{
    struct joblog *log = CONTAINER_OF(work, struct joblog, work);
    struct wal_batch *batch = log->batch;
    struct err err = {0};
    log->batch = NULL;
    int rc = wal_batch_done(log->wal, batch, &err);
    if (rc == 0)
        rc = take_backlog(log, &err);
    log->on_durable(log->arg, wal_durable(log->wal), rc == 0 ? NULL : &err);
    if (rc == 0)
        pump_if_wanted(log);
}

static void pump_if_wanted(void *arg)
{
    struct joblog *log = arg;
    if (log->is_wanted || !log->has_late)
        pump(log);
}

static void pump(void *arg)
{
    struct joblog *log = arg;
    if (log->batch || log->is_stopped)
        return;
    log->is_wanted = log->has_late = false;
    log->batch = wal_take_batch(log->wal, loop_now_ms(log->loop));
    if (log->batch)
        workq_submit(log->workq, &log->work, batch_run, batch_done);
}

static void late(void *arg)
{
    struct joblog *log = arg;
    log->is_wanted = true; /* if a batch is under way, behind that */
    pump(log);
}

/* What an operator must know: a directory dropped or filled again, a torn tail cut, no room. */
static void on_notice(void *arg, const char *line)
{
    (void)arg;
    log_warn("jt.journal", "%s", line);
}

int joblog_open(const struct joblog_options *options, struct joblog **ret, struct err *err)
{
    struct wal_options wal = {
        .disk = options->disk,
        .dirs = options->dirs,
        .dir_count = options->dir_count,
        .segment_bytes = 4U << 20,
        .notify = on_notice,
    };
    struct joblog *log = mem_calloc(1, sizeof(*log));
    if (!log)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = wal_open(&wal, &log->wal, err);
    if (rc == ERR_NOENT) {
        uint64_t id;
        rand_secret(&id, sizeof(id));
        rc = wal_create(&wal, id, 1, err);
        if (rc == 0)
            rc = wal_open(&wal, &log->wal, err);
    }
    if (rc != 0) {
        mem_free(log);
        return rc;
    }
    log->loop = options->loop;
    log->workq = options->workq;
    log->on_durable = options->on_durable;
    log->arg = options->arg;
    log->work = WORK_INIT;
    loop_on_turn_end(log->loop, &log->hook, pump_if_wanted, log);
    rc = loop_every(log->loop, &log->seal, WAL_SEAL_IDLE_MS, pump, log);
    if (rc != 0) {
        joblog_close(log, NULL);
        return err_set(err, rc, "out of memory");
    }
    *ret = log;
    return 0;
}

int joblog_replay(struct joblog *log, wal_visit_fn visit, void *arg, struct err *err)
{
    return wal_replay(log->wal, wal_first(log->wal), visit, arg, err);
}

uint64_t joblog_append(struct joblog *log, enum joblog_type type, const void *record,
                       struct err *err)
{
    uint64_t index = 0;
    buf_clear(&log->scratch);
    msg_encode(joblog_desc((uint16_t)type), record, &log->scratch);
    int rc = buf_failed(&log->scratch) ? ERR_NOMEM
                                       : put(log, (uint16_t)type, buf_slice(&log->scratch), &index);
    if (rc != 0) {
        err_set(err, rc, "cannot write to the job journal: %s", err_text(rc));
        return 0;
    }
    bool is_late = type == JOBLOG_DONE || type == JOBLOG_LOST;
    if (is_late && !loop_timer_is_running(&log->late))
        is_late = loop_after(log->loop, &log->late, LATE_MS, late, log) == 0;
    log->has_late = log->has_late || is_late;
    log->is_wanted = log->is_wanted || !is_late;
    return index;
}

void joblog_hurry(struct joblog *log)
{
    log->is_wanted = true;
}

uint64_t joblog_durable(const struct joblog *log)
{
    return wal_durable(log->wal);
}

void joblog_drop_below(struct joblog *log, uint64_t index)
{
    wal_drop_below(log->wal, index);
}

void joblog_stop(struct joblog *log)
{
    loop_hook_remove(&log->hook);
    loop_timer_stop(&log->seal);
    loop_timer_stop(&log->late);
    log->is_stopped = true;
}

/* In this thread: the process ends. */
static int write_backlog(struct joblog *log, struct err *err)
{
    int rc = take_backlog(log, err);
    while (rc == 0 && log->backlog_count) {
        struct wal_batch *batch = wal_take_batch(log->wal, loop_now_ms(log->loop));
        if (!batch)
            return err_set(err, ERR_NOSPC, "the job journal takes no more records");
        wal_write_batch(batch);
        rc = wal_batch_done(log->wal, batch, err);
        if (rc == 0)
            rc = take_backlog(log, err);
    }
    return rc;
}

int joblog_close(struct joblog *log, struct err *err)
{
    if (!log)
        return 0;
    BUG_ON(log->batch);
    joblog_stop(log);
    int rc = write_backlog(log, err), closed = wal_close(log->wal, rc == 0 ? err : NULL);
    rc = rc == 0 ? closed : rc;
    buf_release(&log->scratch);
    buf_release(&log->backlog);
    mem_free(log);
    return rc;
}
