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

static const struct {
    const char *name;
    const struct msg_desc *desc;
} rows[] = {
    [JOBLOG_EPOCH] = {"EPOCH", &joblog_epoch_desc},
    [JOBLOG_SUBMIT] = {"SUBMIT", &joblog_submit_desc},
    [JOBLOG_DONE] = {"DONE", &joblog_done_desc},
    [JOBLOG_LOST] = {"LOST", &joblog_lost_desc},
    [JOBLOG_END] = {"END", &joblog_end_desc},
    [JOBLOG_PRIORITY] = {"PRIORITY", &joblog_priority_desc},
    [JOBLOG_PACKED] = {"PACKED", &joblog_packed_desc},
};

const struct msg_desc *joblog_desc(uint16_t type)
{
    return type < ARRAY_LEN(rows) ? rows[type].desc : NULL;
}

const char *joblog_name(uint16_t type)
{
    return joblog_desc(type) ? rows[type].name : "?";
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

static void batch_done(struct work *work)
{
    struct joblog *log = CONTAINER_OF(work, struct joblog, work);
    struct wal_batch *batch = log->batch;
    struct err err = {0};
    log->batch = NULL;
    int rc = wal_batch_done(log->wal, batch, &err);
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
    int rc = buf_failed(&log->scratch)
                 ? ERR_NOMEM
                 : wal_append(log->wal, 1, (uint16_t)type, buf_slice(&log->scratch), &index);
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

int joblog_close(struct joblog *log, struct err *err)
{
    if (!log)
        return 0;
    BUG_ON(log->batch);
    joblog_stop(log);
    int rc = wal_close(log->wal, err);
    buf_release(&log->scratch);
    mem_free(log);
    return rc;
}
