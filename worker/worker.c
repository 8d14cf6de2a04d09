/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker.h"

#include <unistd.h>

#include "libcommon/base/log.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/proc.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "worker/serve/outputs.h"
#include "worker/talk/jobtracker.h"
#include "worker/task/attempt.h"
#include "worker/task/strays.h"

METRIC_GAUGE(attempts_running, "quern_wk_running_attempts", "attempts at work");
METRIC_GAUGE(outputs_held, "quern_wk_map_outputs", "map outputs held for reducers");
METRIC_GAUGE(output_bytes, "quern_wk_map_output_bytes", "bytes of these");
METRIC_GAUGE(output_memory, "quern_wk_map_output_memory_bytes", "of these, in memory");
METRIC_GAUGE(dirs_failed, "quern_wk_failed_directories", "local directories that have failed");
METRIC_GAUGE(is_registered, "quern_wk_registered", "1 while the jobtracker knows this worker");

#define BLANKS_MOST  8
#define WATCH_MS     200
#define EXPIRE_MS    3600000
#define OUTPUT_SHARE 3 /* part of worker.memory that map outputs may take beside it */

/* quern-task is beside this very program. */
static char *find_task_program(void)
{
    char *own = proc_own_dir(), *program = own ? str_printf("%s/quern-task", own) : NULL;
    mem_free(own);
    return program;
}

static void watch(void *arg)
{
    struct worker *worker = arg;
    attempts_watch(worker);
    if (workq_pending(worker->fencer) == 0) /* an empty group may be one that is being made */
        fences_sweep(&worker->fences);
    spares_expire(&worker->segments.spares, worker_now(worker));
    if (worker_now(worker) >= worker->next_expiry_ms) {
        worker->next_expiry_ms = worker_now(worker) + EXPIRE_MS;
        sandbox_expire_logs(worker);
    }
}

static void open_fences(struct worker *worker)
{
    char why[CGROUP_DIR_MAX + 64];
    bool may_group =
        strcmp(conf_str(daemon_conf(worker->daemon), "worker.task.limit"), "auto") == 0;
    fences_open(&worker->fences, may_group, why, sizeof(why));
    if (*why)
        log_info("wk",
                 "tasks run without control groups (%s): their memory is looked at now and "
                 "then",
                 why);
    else
        log_info("wk", "tasks run in control groups below %s", worker->fences.own.dir);
}

static uint32_t blanks_wanted(const struct conf *conf, uint32_t cores)
{
    int64_t n = conf_int(conf, "worker.runners.blank");
    if (n >= 0)
        return (uint32_t)n;
    return cores < BLANKS_MOST ? cores : BLANKS_MOST;
}

static int start_all(struct worker *worker, struct err *err)
{
    const struct conf *conf = daemon_conf(worker->daemon);
    worker->cores = (uint32_t)conf_int(conf, "worker.cores");
    worker->memory = conf_size(conf, "worker.memory");
    worker->blanks_wanted = blanks_wanted(conf, worker->cores);
    segments_init(&worker->segments,
                  conf_is_set(conf, "worker.output.memory")
                      ? conf_size(conf, "worker.output.memory")
                      : worker->memory / OUTPUT_SHARE,
                  conf_ms(conf, "worker.output.memory.keep"), &worker->leavings);
    open_fences(worker);
    worker->task_program = find_task_program();
    if (!worker->task_program || access(worker->task_program, X_OK) != 0)
        return err_set(err, ERR_NOENT, "cannot execute %s: install it beside quern-worker",
                       worker->task_program ? worker->task_program : "quern-task");
    worker->workq = workq_new(worker->loop, "wk-disk", 1, err);
    worker->fencer = workq_new(worker->loop, "wk-fence", 1, err);
    int rc = worker->workq && worker->fencer
                 ? leavings_open(&worker->leavings, worker->loop, worker->disk, err)
                 : ERR_NOMEM;
    if (rc == 0)
        rc = sandbox_open(worker, err);
    if (rc == 0) {
        birth_open(&worker->birth, worker->task_program); /* it has our mark now, and hands it on */
        rc = outputs_listen(worker, err);
    }
    if (rc == 0)
        rc = jobtracker_link(worker, err);
    if (rc == 0)
        rc = loop_every(worker->loop, &worker->watch_tick, WATCH_MS, watch, worker);
    return rc;
}

static void end_all(struct worker *worker);

int worker_start(struct daemon *daemon, void **ret_state, struct err *err)
{
    struct worker *worker = mem_calloc(1, sizeof(*worker));
    if (!worker)
        return err_set(err, ERR_NOMEM, "out of memory");
    worker->daemon = daemon;
    worker->loop = daemon_loop(daemon);
    worker->disk = disk_real();
    list_init(&worker->jobs);
    list_init(&worker->attempts);
    list_init(&worker->runners);
    list_init(&worker->streams);
    worker->leavings.disk = worker->disk;
    segments_init(&worker->segments, 0, 0, &worker->leavings);
    strays_adopt();
    rand_secret(&worker->incarnation, sizeof(worker->incarnation));
    identity_init(&worker->self, WIRE_WORKER, daemon_node_name(daemon));
    int rc = start_all(worker, err);
    if (rc != 0) {
        end_all(worker);
        worker_release(worker);
        return rc;
    }
    log_info("wk", "%u cores, %llu MiB; map outputs at %s:%u", worker->cores,
             (unsigned long long)(worker->memory >> 20), worker->data_address, worker->data_port);
    *ret_state = worker;
    return DAEMON_SERVING;
}

/* Attempts end with their worker: the jobtracker runs them elsewhere. */
static void end_all(struct worker *worker)
{
    worker->is_stopping = true;
    loop_timer_stop(&worker->watch_tick);
    attempts_release(worker);
    process_kill_all(worker);
    fences_close(&worker->fences);
    outputs_close(worker);
    jobtracker_unlink(worker);
}

void worker_stop(void *state)
{
    struct worker *worker = state;
    if (!worker->is_stopping)
        end_all(worker);
    daemon_stopped(worker->daemon);
}

void worker_release(void *state)
{
    struct worker *worker = state;
    workq_free(worker->workq);
    list_each_safe (&worker->jobs, it)
        jobs_remove(list_entry(it, struct wk_job, link));
    segments_release(&worker->segments);
    outputs_release(worker);
    leavings_close(&worker->leavings);
    sandbox_close(worker);
    mem_free(worker->task_program);
    mem_free(worker);
}

static uint64_t count_outputs(const struct worker *worker, uint64_t *ret_bytes)
{
    uint64_t outputs = 0;
    *ret_bytes = 0;
    list_each (&worker->segments.all, it) {
        outputs++;
        *ret_bytes += list_entry(it, struct segment, link)->len;
    }
    return outputs;
}

void worker_measure(void *state)
{
    const struct worker *worker = state;
    uint64_t bytes, outputs = count_outputs(worker, &bytes), running = 0, bad = 0;
    list_each (&worker->attempts, it)
        running += list_entry(it, struct wk_attempt, link)->state == WK_RUNNING;
    for (size_t i = 0; i < worker->dir_count; i++)
        bad += worker->dirs[i].is_bad;
    metric_set(&attempts_running, running);
    metric_set(&outputs_held, outputs);
    metric_set(&output_bytes, bytes);
    metric_set(&output_memory, worker->segments.memory_used);
    metric_set(&dirs_failed, bad);
    metric_set(&is_registered, worker->is_registered);
}

void worker_status(void *state, struct status *st)
{
    const struct worker *worker = state;
    uint64_t bytes, outputs = count_outputs(worker, &bytes);
    status_count(st, "cores", worker->cores, "");
    status_bytes(st, "memory", worker->memory, "");
    status_text(st, "task limits",
                worker->fences.own.kind == CGROUP_NONE ? "looked at" : "control groups", "");
    status_text(st, "jobtracker", worker->is_registered ? "registered" : "not connected", "");
    status_count(st, "map outputs held", outputs, "");
    status_bytes(st, "map output bytes", bytes, "");
    status_bytes(st, "of these in memory", worker->segments.memory_used, "");
    status_bytes(st, "memory kept for the next", worker->segments.spares.bytes, "");
    status_table(
        st, "attempts", "Attempts",
        "attempt|state|records in:count|records out:count|input done:bytes|input:bytes|idle:ms");
    list_each (&worker->attempts, it) {
        const struct wk_attempt *a = list_entry(it, struct wk_attempt, link);
        status_row(st);
        status_cell(st, a->name);
        status_cell(st, sm_name(&wk_attempt_states, a->state));
        status_cell_u64(st, a->page ? a->page->records_in : 0);
        status_cell_u64(st, a->page ? a->page->records_out : 0);
        status_cell_u64(st, a->page ? a->page->bytes_in : 0);
        status_cell_u64(st, a->page ? a->page->bytes_total : 0);
        status_cell_u64(st, a->state == WK_RUNNING ? worker_now(worker) - a->moved_ms : 0);
    }
    status_table(st, "directories", "Directories", "path|state");
    for (size_t i = 0; i < worker->dir_count; i++) {
        status_row(st);
        status_cell(st, worker->dirs[i].path);
        status_cell(st, worker->dirs[i].is_bad ? "failed" : "good");
    }
}
