/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/execution.h"

#include <sys/resource.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "worker/map/mapper.h"
#include "worker/map/sort.h"
#include "worker/sink/commit.h"

#define RECORD_SHOWN 256U
#define MEMORY_MIN   ((uint64_t)16 << 20)

struct context *execution_now;

void execution_process_release(struct execution_process *process)
{
    plugin_close(&process->plugin);
    region_release(&process->region);
}

static uint64_t cpu_us(const struct rusage *usage)
{
    const struct timeval *user = &usage->ru_utime, *system = &usage->ru_stime;
    return (uint64_t)(user->tv_sec + system->tv_sec) * 1000000U +
           (uint64_t)(user->tv_usec + system->tv_usec);
}

/* The process has served other attempts before: what it had used then is taken off, but for the
 * peak of its memory, which was forgotten (tidy_forget_peak). */
static void tell_usage(const struct rusage *before, struct task_account *ret)
{
    struct rusage now;
    if (getrusage(RUSAGE_SELF, &now) != 0)
        return;
    ret->cpu_us = cpu_us(&now) - cpu_us(before);
    ret->peak_memory = (uint64_t)now.ru_maxrss * 1024;
    ret->major_faults = (uint64_t)(now.ru_majflt - before->ru_majflt);
    ret->switches = (uint64_t)(now.ru_nvcsw - before->ru_nvcsw);
}

/* From the order's arrival on this node, whose processes share one clock. */
static uint64_t begin_time(const struct execution_conf *conf)
{
    uint64_t now = clock_mono_us(), ordered = conf->run->ordered_us;
    uint64_t from = ordered && ordered < now ? ordered : now;
    atomic_store_explicit(&conf->page->began_us, from, memory_order_relaxed);
    return from;
}

static uint64_t end_launch(const struct execution_conf *conf)
{
    uint64_t now = clock_mono_us();
    atomic_store_explicit(&conf->page->ready_us, now, memory_order_relaxed);
    return now;
}

/* The plugins of further stages came as side files. */
static int load_chain(struct plugin *plugin, const struct task_run *run, struct err *err)
{
    char name[32];
    int rc = 0;
    for (unsigned i = 1; rc == 0; i++) {
        const struct task_side *side = NULL;
        snprintf(name, sizeof(name), TASK_SIDE_CHAIN, i);
        for (size_t k = 0; !side && k < run->sides.n; k++)
            side = slice_is(run->sides.v[k].name, name) ? &run->sides.v[k] : NULL;
        if (!side)
            return 0;
        char *path = slice_dup(side->path);
        rc = path ? plugin_append(plugin, path, err) : err_set(err, ERR_NOMEM, "out of memory");
        mem_free(path);
    }
    plugin_close(plugin);
    return rc;
}

/* One job's plugins per process: they cannot be unloaded. */
static int load_plugin(struct execution_process *process, const struct task_run *run,
                       struct err *err)
{
    char *path = slice_dup(run->plugin);
    if (!path)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = 0;
    if (!process->plugin.path) {
        rc = plugin_load(&process->plugin, path, err);
        if (rc == 0)
            rc = load_chain(&process->plugin, run, err);
    } else if (strcmp(process->plugin.path, path) != 0)
        rc = err_set(err, ERR_PLUGIN, "%s: this process runs %s already", path,
                     process->plugin.path);
    mem_free(path);
    return rc;
}

static int check_run(const struct task_run *run, struct err *err)
{
    if (run->memory < MEMORY_MIN)
        return err_set(err, ERR_CONFIG, "a task cannot work in less than 16 MiB of memory");
    bool makes_run = run->kind == TASK_MAP || run->feeds;
    if (makes_run && (run->partitions == 0 || run->partitions > SORT_PARTITIONS_MAX))
        return err_set(err, ERR_CONFIG, "%u reducers are out of range (1 to %u)", run->partitions,
                       SORT_PARTITIONS_MAX);
    return 0;
}

static int check_plugin(const struct task_run *run, const struct plugin *plugin, struct err *err)
{
    bool wants_reduce = run->kind != TASK_MAP_OUT;
    if (!plugin || (run->feeds && !plugin->then))
        return err_set(err, ERR_PROTO, "the job has no stage %u", run->id.stage + run->feeds);
    if (wants_reduce && !plugin->job.reduce)
        return err_set(err, ERR_PLUGIN, "%s has no reduce: run it without reducers",
                       plugin->job.name);
    return 0;
}

static const struct plugin *plugin_of(const struct execution_process *process,
                                      const struct task_run *run)
{
    return plugin_of_stage(&process->plugin, run->kind == TASK_REDUCE ? run->id.stage : 0);
}

/* Everything that can be refused before the job's code runs. */
static int prepare(struct execution *a, struct execution_process *process,
                   const struct execution_conf *conf, struct files **ret_files, struct err *err)
{
    const struct task_run *run = conf->run;
    int rc = check_run(run, err);
    if (rc == 0 && scratch_open(&a->scratch, run->local_dirs.v, run->local_dirs.n) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = region_reserve(&process->region, (size_t)run->memory, err);
    if (rc == 0)
        rc = load_plugin(process, run, err);
    if (rc == 0 && run->kind != TASK_COMMIT)
        rc = check_plugin(run, plugin_of(process, run), err);
    if (rc == 0) {
        *ret_files = process->files_for(run, err);
        rc = *ret_files ? 0 : (err && err->code ? err->code : ERR_FAILED);
    }
    return rc;
}

static int run_kind(struct execution *a, struct execution_process *process,
                    const struct execution_conf *conf)
{
    struct context *c = &a->context;
    switch (conf->run->kind) {
    case TASK_MAP:
    case TASK_MAP_OUT:
    case TASK_SAMPLE:
        return mapper_run(c, &(struct mapper_conf){&process->region, &a->scratch, conf->memfd},
                          &a->done);
    case TASK_REDUCE:
        return reducer_run(c,
                           &(struct reducer_conf){.region = &process->region,
                                                  .scratch = &a->scratch,
                                                  .memfd = conf->memfd,
                                                  .self = process->self,
                                                  .on_news = conf->on_news,
                                                  .on_blame = conf->on_blame,
                                                  .arg = conf->arg,
                                                  .fd = conf->news_fd},
                           &a->done);
    case TASK_COMMIT:
        return commit_run(c, &process->region, &a->done);
    default: {
        struct err why;
        err_set(&why, ERR_PROTO, "a task of unknown kind %u", conf->run->kind);
        return context_fail(c, TASK_FAILED_NODE, &why);
    }
    }
}

static void tell_failure(struct execution *a, const struct task_run *run, uint32_t failure,
                         const struct err *why)
{
    a->failed = (struct task_failed){.id = run->id,
                                     .failure = failure,
                                     .code = why->code,
                                     .why = slice_keep(slice_str(why->msg), &a->arena)};
    if (!a->has_context)
        return;
    const struct context *c = &a->context;
    bool is_in_record = failure == TASK_FAILED_USER && c->input.path[0] && c->page->input_segment;
    if (is_in_record) {
        struct slice record = c->record;
        record.len = record.len < RECORD_SHOWN ? record.len : RECORD_SHOWN;
        a->failed.path = slice_keep(slice_str(c->input.path), &a->arena);
        a->failed.offset = atomic_load_explicit(&c->page->input_offset, memory_order_relaxed);
        a->failed.record = slice_keep(record, &a->arena);
    }
    (void)counters_list(&c->counters, &a->arena, &a->failed.counters);
}

void execution_run(struct execution *execution, struct execution_process *process,
                   const struct execution_conf *conf)
{
    struct execution *a = execution;
    struct err why = {0};
    struct files *files = NULL;
    struct rusage before = {0};
    uint64_t began_us = begin_time(conf);
    *a = (struct execution){0};
    (void)getrusage(RUSAGE_SELF, &before);
    int rc = prepare(a, process, conf, &files, &why);
    if (rc == 0)
        rc = context_open(
            &a->context,
            &(struct context_conf){plugin_of(process, conf->run), conf->run, files, conf->page},
            &why);
    if (rc != 0) {
        tell_failure(a, conf->run, rc == ERR_NOMEM ? TASK_FAILED_MEMORY : TASK_FAILED_PLUGIN, &why);
        return;
    }
    a->has_context = true;
    process->packing.when =
        pack_when_of(context_conf(&a->context, "mapreduce.map.output.compress"));
    a->scratch.packing = &process->packing;
    execution_now = &a->context;
    uint64_t ready_us = end_launch(conf);
    rc = run_kind(a, process, conf);
    execution_now = NULL;
    if (rc != 0) {
        tell_failure(a, conf->run, a->context.failure, &a->context.failed);
        tell_usage(&before, &a->failed.account);
        return;
    }
    context_phase(&a->context, PROGRESS_END);
    a->is_done = true;
    a->done.id = conf->run->id;
    a->done.times.launch = ready_us - began_us;
    a->done.times.total += a->done.times.launch;
    tell_usage(&before, &a->done.account);
    a->done.account.last_offset =
        atomic_load_explicit(&a->context.page->input_offset, memory_order_relaxed);
    a->done.peak_memory = a->done.account.peak_memory;
    (void)counters_list(&a->context.counters, &a->arena, &a->done.counters);
}

void execution_release(struct execution *execution)
{
    if (execution->has_context)
        context_close(&execution->context);
    scratch_close(&execution->scratch);
    arena_release(&execution->arena);
    *execution = (struct execution){0};
}
