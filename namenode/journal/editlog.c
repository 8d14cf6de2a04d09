/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/editlog.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"

METRIC_COUNTER(records, "quern_nn_journal_records_total", "records appended to the journal");
METRIC_COUNTER(commits, "quern_nn_journal_commits_total", "group commits of the journal");
METRIC_COUNTER(commit_us, "quern_nn_journal_commit_us_total", "time in group commits");

static void pump(void *arg);

static void batch_run(struct work *work)
{
    wal_write_batch(CONTAINER_OF(work, struct nn_editlog, work)->batch);
}

static void tell_full(struct nn_editlog *log)
{
    bool is_full = wal_is_full(log->wal);
    if (is_full == log->is_full)
        return;
    log->is_full = is_full;
    log->events.on_full(log->events.arg, is_full);
}

static void batch_done(struct work *work)
{
    struct nn_editlog *log = CONTAINER_OF(work, struct nn_editlog, work);
    struct wal_batch *batch = log->batch;
    struct err err = {0};
    uint64_t before = wal_durable(log->wal);
    log->batch = NULL;
    int rc = wal_batch_done(log->wal, batch, &err);
    metric_add(&commits, 1);
    metric_add(&commit_us, clock_mono_us() - log->commit_us);
    if (rc != 0) {
        bool told = log->has_failed;
        log->has_failed = true;
        if (!told && log->turn_end.loop)
            log->events.on_failed(log->events.arg, &err);
        return;
    }
    if (!log->turn_end.loop)
        return; /* stopped */
    tell_full(log);
    if (wal_durable(log->wal) != before)
        log->events.on_durable(log->events.arg, wal_durable(log->wal));
    log->events.on_batch(log->events.arg);
    pump(log);
}

/* At the end of every turn, after each batch, and by the timer while the tail is unsealed. */
static void pump(void *arg)
{
    struct nn_editlog *log = arg;
    if (log->batch || log->has_failed || !log->turn_end.loop)
        return;
    tell_full(log);
    log->batch = wal_take_batch(log->wal, loop_now_ms(log->loop));
    if (log->batch) {
        log->commit_us = clock_mono_us();
        workq_submit(log->workq, &log->work, batch_run, batch_done);
    } else if (!wal_needs_tick(log->wal)) {
        loop_timer_stop(&log->tick);
    } else if (!loop_timer_is_running(&log->tick)) {
        (void)loop_every(log->loop, &log->tick, WAL_SEAL_IDLE_MS, pump, log); /* else next turn */
    }
}

void nn_editlog_start(struct nn_editlog *log, struct wal *wal, struct loop *loop,
                      struct workq *workq, const struct nn_editlog_events *events)
{
    *log = (struct nn_editlog){.wal = wal, .loop = loop, .workq = workq, .events = *events};
    loop_on_turn_end(loop, &log->turn_end, pump, log);
}

int nn_editlog_append(struct nn_editlog *log, uint16_t type, struct slice payload,
                      uint64_t *ret_index, struct err *err)
{
    int rc = wal_append(log->wal, NN_TERM_ALONE, type, payload, ret_index);
    if (rc == 0) {
        metric_add(&records, 1);
        return 0;
    }
    if (rc == ERR_NOSPC)
        return err_set(err, rc, "the journal is full: no directory has room for more of it");
    if (rc == ERR_TOOBIG)
        return err_set(err, rc, "a change of %zu bytes is too big for the journal", payload.len);
    return err_set(err, rc, "cannot write to the journal: %s", err_text(rc));
}

bool nn_editlog_is_drained(const struct nn_editlog *log)
{
    return !log->batch && wal_durable(log->wal) == wal_last(log->wal);
}

void nn_editlog_stop(struct nn_editlog *log)
{
    loop_hook_remove(&log->turn_end);
    loop_timer_stop(&log->tick);
}

void nn_editlog_close(struct nn_editlog *log)
{
    struct err err = {0};
    if (!log->wal)
        return;
    BUG_ON(log->batch);
    if (log->has_failed || !nn_editlog_is_drained(log))
        wal_abandon(log->wal);
    else if (wal_close(log->wal, &err) != 0)
        log_error("nn.journal", "%s", err.msg);
    log->wal = NULL;
}
