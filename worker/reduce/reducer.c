/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/reduce/reducer.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "worker/plugin/meter.h"
#include "worker/reduce/group.h"
#include "worker/reduce/onward.h"
#include "worker/reduce/sources.h"
#include "worker/sink/further.h"
#include "worker/sink/output.h"

#define MIB         ((uint64_t)1 << 20)
#define OUTPUT_ROOM (4 * MIB)
#define STREAMS_MIN 8U
#define BURST_OFTEN 4     /* of the times that come after some thousand calls */
#define BURST_EVERY 4096U /* groups; and when it is time after many calls in one group */

struct reducer {
    struct context *c;
    const struct reducer_conf *conf;
    const struct plugin *plugin;
    struct fetch *fetch;
    struct pieces pieces;
    bool has_pieces;
    void *io_space;
    size_t io_size;
    uint8_t *key_space; /* of the group in hand */
    size_t key_size;
    struct output output; /* of a job's last stage; else: */
    struct onward onward;
    struct further further;
    struct group *group;  /* in hand, for next */
    struct group_top top; /* largest group of all partitions */
    uint64_t groups, records, merged_again;
    uint64_t fetch_us, merge_us, remote_bytes, local_bytes;
    struct meter meter;
    uint32_t often;
};

struct values {
    struct qn_values head;
    struct group *group;
    struct context *c;
    uint8_t *room; /* KEY_NUMBER_BYTES, for key_of */
};

static int no_memory(struct reducer *r)
{
    struct err why;
    char memory[32];
    err_set(&why, ERR_NOMEM,
            "%s are too little for a reduce task (-D mapreduce.reduce.memory.mb=...)",
            str_human(r->c->run->memory, memory, sizeof(memory)));
    return context_fail_engine(r->c, &why);
}

/* --- what reduce calls ----------------------------------------------------------------------- */

static int next_value(struct qn_values *values, struct qn_slice *ret_value)
{
    struct values *v = (struct values *)(void *)values;
    struct slice value;
    context_called(v->c);
    if (!group_value(v->group, &value))
        return 0;
    *ret_value = key_to_qn(value);
    return 1;
}

static struct qn_slice key_of_value(const struct qn_values *values)
{
    const struct values *v = (const struct values *)(const void *)values;
    return key_to_qn(key_restore(&v->group->order, v->group->given, v->room));
}

static bool is_number(enum qn_type type)
{
    return type == QN_U64 || type == QN_I64 || type == QN_F64;
}

static int refuse_size(struct reducer *r, const char *what, const char *field, size_t len,
                       enum qn_type type)
{
    struct err why;
    err_set(&why, ERR_FAILED, "emitted a %s of %zu bytes, but %s is %s, which takes eight", what,
            len, field, key_type_name(type));
    context_fail(r->c, TASK_FAILED_USER, &why);
    return -1;
}

static int emit_to_file(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    struct reducer *r = context_owner(task);
    const struct plugin *p = r->plugin;
    if (is_number(p->out_key) && key.len != 8)
        return refuse_size(r, "key", ".out_key", key.len, p->out_key);
    if (is_number(p->out_value) && value.len != 8)
        return refuse_size(r, "value", ".out_value", value.len, p->out_value);
    context_called(r->c);
    if (r->c->run->feeds)
        return onward_emit(&r->onward, key, value) == 0 ? 0 : -1;
    if (sink_record(&r->output.sink, p->out_key, key_from_qn(key), p->out_value,
                    key_from_qn(value)) == 0)
        return 0;
    context_fail_engine(r->c, &r->output.sink.failed);
    return -1;
}

/* --- where the time goes --------------------------------------------------------------------- */

static void end_burst(struct reducer *r)
{
    meter_drop(&r->meter);
    r->c->host.emit = emit_to_file;
    r->c->host.next = next_value;
}

static int next_measured(struct qn_values *values, struct qn_slice *ret_value)
{
    struct reducer *r = ((struct values *)(void *)values)->c->owner;
    if (!meter_move(&r->meter, METER_MERGE))
        end_burst(r);
    int rc = next_value(values, ret_value);
    if (meter_is_on(&r->meter) && !meter_move(&r->meter, METER_USER))
        end_burst(r);
    return rc;
}

static int emit_measured(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    struct reducer *r = context_owner(task);
    uint64_t before = r->output.sink.write_us; /* measured by itself */
    if (!meter_move(&r->meter, METER_EMIT))
        end_burst(r);
    int rc = emit_to_file(task, key, value);
    if (meter_is_on(&r->meter) &&
        (r->output.sink.write_us != before || !meter_move(&r->meter, METER_USER)))
        end_burst(r);
    return rc;
}

/* The time is reduce's now, or that of what it called: as good as. */
static void begin_burst(struct reducer *r)
{
    if (meter_is_on(&r->meter))
        return;
    meter_begin(&r->meter, METER_USER);
    r->c->host.emit = emit_measured;
    r->c->host.next = next_measured;
}

static void measure_burst(void *owner)
{
    struct reducer *r = owner;
    if (++r->often % BURST_OFTEN == 0)
        begin_burst(r);
}

static int next_group(struct reducer *r, struct group *group, struct slice *ret_key)
{
    if (group->groups % BURST_EVERY == 0)
        begin_burst(r);
    if (!meter_is_on(&r->meter))
        return group_next(group, ret_key);
    if (!meter_move(&r->meter, METER_MERGE))
        end_burst(r);
    int rc = group_next(group, ret_key);
    if (meter_is_on(&r->meter) && !meter_move(&r->meter, METER_USER))
        end_burst(r);
    return rc;
}

/* --- fetching -------------------------------------------------------------------------------- */

static int on_news(void *arg, struct err *err)
{
    struct reducer *r = arg;
    return r->conf->on_news ? r->conf->on_news(r->conf->arg, r->fetch, err) : 0;
}

static void on_blame(void *arg, struct slice worker, const uint64_t *maps, size_t count,
                     const char *why)
{
    struct reducer *r = arg;
    if (r->conf->on_blame)
        r->conf->on_blame(r->conf->arg, worker, maps, count, why, false);
}

static void on_tick(void *arg, uint64_t bytes)
{
    struct reducer *r = arg;
    atomic_store_explicit(&r->c->page->bytes_in, bytes, memory_order_relaxed);
    context_tick(r->c);
}

static int fail_fetch(struct reducer *r, const struct err *why)
{
    return context_fail(r->c, why->code == ERR_NOSPC ? TASK_FAILED_IO : TASK_FAILED_FETCH, why);
}

static int fetch_pieces(struct reducer *r)
{
    static const struct fetch_ops ops = {on_news, on_blame, on_tick};
    const struct task_run *run = r->c->run;
    uint64_t start = clock_mono_us();
    uint32_t streams =
        (uint32_t)context_conf_size(r->c, "mapreduce.reduce.shuffle.parallelcopies", STREAMS_MIN);
    struct fetch_conf conf = {.run = run,
                              .self = r->conf->self,
                              .pieces = &r->pieces,
                              .streams_max = streams < STREAMS_MIN ? STREAMS_MIN : streams,
                              .ops = &ops,
                              .arg = r,
                              .fd = r->conf->fd};
    struct err why;
    context_phase(r->c, PROGRESS_FETCH);
    int rc = fetch_open(&conf, &r->fetch, &why);
    if (rc == 0)
        rc = fetch_learn(r->fetch, run->sources.v, run->sources.n, &why);
    if (rc == 0)
        rc = fetch_run(r->fetch, &why);
    r->fetch_us = clock_mono_us() - start;
    if (rc != 0)
        return fail_fetch(r, &why);
    fetch_totals(r->fetch, &r->remote_bytes, &r->local_bytes);
    pieces_sort(&r->pieces);
    return 0;
}

/* Outputs that are read where they lie are not looked at before. When one of them is damaged, all
 * of them are, so that all that must be made again is, at once. */
static size_t blame_damaged(struct reducer *r, const char *why)
{
    size_t found = 0;
    for (size_t i = 0; i < r->pieces.count; i++) {
        const struct piece *piece = &r->pieces.all[i];
        uint64_t map = piece->map;
        context_tick(r->c);
        if (!pieces_is_damaged(piece))
            continue;
        if (r->conf->on_blame)
            r->conf->on_blame(r->conf->arg, fetch_worker_of(r->fetch, piece->map), &map, 1, why,
                              true);
        found++;
    }
    return found;
}

/* A source could not be read: a map's output that is damaged, or what was fetched and kept here. In
 * neither case is it this task's fault. */
static int fail_source(struct reducer *r, struct sources *sources, int rc, struct err *why)
{
    uint32_t map = 0;
    why->code = rc;
    if (rc == ERR_TOOBIG || rc == ERR_NOMEM || !sources_bad(sources, &map))
        return context_fail_engine(r->c, why);
    bool is_theirs = blame_damaged(r, why->msg) > 0;
    return context_fail(r->c, is_theirs ? TASK_FAILED_FETCH : TASK_FAILED_NODE, why);
}

/* --- reducing -------------------------------------------------------------------------------- */

static int reduce_groups(struct reducer *r, struct group *group)
{
    struct context *c = r->c;
    uint8_t room[KEY_NUMBER_BYTES];
    struct values values = {.head = {.host = &c->host}, .group = group, .c = c, .room = room};
    struct slice key;
    int rc;
    while ((rc = next_group(r, group, &key)) == 1) {
        context_record(c, key, 0);
        int returned = r->plugin->job.reduce(&c->task, key_to_qn(key), &values.head);
        rc = context_check(c, returned, "reduce");
        if (rc != 0)
            return rc;
        atomic_store_explicit(&c->page->records_out, r->output.sink.records, memory_order_relaxed);
    }
    return rc;
}

static int reduce_sources(struct reducer *r, struct sources *sources, struct err *why)
{
    struct key_order order = plugin_order(r->plugin);
    struct merge merge;
    struct group group;
    if (merge_open(&merge, sources->cursors, sources->count, &order) != 0)
        return err_set(why, ERR_NOMEM, "out of memory");
    group_open(&group, &(struct group_conf){&merge, order, r->plugin->job.group, r->key_space,
                                            r->key_size});
    int rc = reduce_groups(r, &group);
    r->groups += group.groups;
    r->records += group.records;
    if (group.top.records > r->top.records)
        r->top = group.top;
    merge_close(&merge);
    return rc;
}

static int reduce_pieces(struct reducer *r, const struct piece *first, size_t count)
{
    struct err why = {0};
    struct sources sources;
    struct key_order order = plugin_order(r->plugin);
    struct fold fold = plugin_fold(r->plugin);
    struct sources_conf conf = {
        .io_space = r->io_space,
        .io_size = r->io_size,
        .record_max = r->c->run->memory / 4,
        .fan_in = (size_t)context_conf_size(r->c, "mapreduce.task.io.sort.factor", 0),
        .scratch = r->conf->scratch,
        .order = &order,
        .fold = &fold,
        .ticks = &r->c->page->ticks,
        .err = &why};
    uint64_t start = clock_mono_us();
    int rc = sources_open(&sources, first, count, &conf);
    r->merge_us += clock_mono_us() - start;
    r->merged_again += sources.merged_again;
    uint64_t told = sources.read_us;
    if (rc == 0) {
        context_phase(r->c, PROGRESS_REDUCE);
        rc = reduce_sources(r, &sources, &why);
    }
    if (rc != 0 && r->c->failed.code == 0)
        rc = fail_source(r, &sources, rc, &why);
    r->merge_us += sources.read_us - told;
    sources_close(&sources);
    return rc;
}

/* Ranges of keys follow one another as their partitions do. Otherwise each partition has keys from
 * everywhere, and all of them are merged, so that the output is in order. */
static int reduce_all(struct reducer *r)
{
    const struct pieces *all = &r->pieces;
    int rc = 0;
    if (r->plugin->job.spread != QN_BY_RANGE)
        return all->count ? reduce_pieces(r, all->all, all->count) : 0;
    for (size_t from = 0, to; rc == 0 && from < all->count; from = to) {
        for (to = from; to < all->count && all->all[to].partition == all->all[from].partition; to++)
            ;
        rc = reduce_pieces(r, &all->all[from], to - from);
    }
    return rc;
}

/* Half of the memory, but for what the output takes beside it: the ring of its writer, and a line
 * of a program's that is not whole yet, as long as the largest record. */
static uint64_t fetch_room(uint64_t memory)
{
    return memory / 2 - (memory / 8 < OUTPUT_ROOM ? memory / 8 : OUTPUT_ROOM);
}

static int open_all(struct reducer *r)
{
    struct context *c = r->c;
    struct region *region = r->conf->region;
    bool feeds = c->run->feeds; /* then half of the memory is to sort in again */
    size_t fetch_size = (size_t)(feeds ? c->run->memory / 8 : fetch_room(c->run->memory));
    size_t io_size = (size_t)(c->run->memory / (feeds ? 8 : 4)) & ~(size_t)63;
    r->key_size = (size_t)(c->run->memory / 4) & ~(size_t)63; /* of the largest record there is */
    r->io_size = io_size > SINK_BUFFER ? io_size - SINK_BUFFER : 0;
    void *fetch_space = region_take(region, fetch_size);
    r->io_space = region_take(region, r->io_size);
    void *buffer = region_take(region, SINK_BUFFER);
    r->key_space = region_take(region, r->key_size);
    if (!fetch_space || !r->io_space || !buffer || !r->key_space || r->io_size < SOURCES_IO_MIN)
        return no_memory(r);
    if (!feeds)
        region_give_back_rest(region); /* an earlier map's, here */
    pieces_open(&r->pieces, fetch_space, fetch_size, r->conf->scratch);
    r->has_pieces = true;
    if (feeds)
        return onward_open(&r->onward, c,
                           &(struct mapper_conf){region, r->conf->scratch, r->conf->memfd});
    return output_open(&r->output, c, buffer);
}

static void count_up(struct reducer *r, const struct task_done *done)
{
    struct counters *all = &r->c->counters;
    counters_add(all, COUNTERS_GROUP, "Reduce input groups", r->groups);
    counters_add(all, COUNTERS_GROUP, "Reduce input records", r->records);
    counters_add(all, COUNTERS_GROUP, "Reduce shuffle bytes", r->remote_bytes + r->local_bytes);
    counters_add(all, COUNTERS_GROUP, "shuffle bytes in place", r->local_bytes);
    counters_add(all, COUNTERS_GROUP, "shuffle bytes spilled",
                 r->pieces.spilled_bytes + r->pieces.disk_bytes);
    counters_add(all, COUNTERS_GROUP, "runs merged again", r->merged_again);
    if (done->files.n == 0)
        counters_add(all, COUNTERS_GROUP, "Reduce output records", r->onward.records);
    for (size_t i = 0; i < done->files.n; i++) {
        counters_add(all, COUNTERS_GROUP, "Reduce output records", done->files.v[i].records);
        counters_add(all, COUNTERS_GROUP, "output bytes", done->files.v[i].len);
    }
}

/* As in a map: what is left is shared as the sample says, but for waiting, which is the job's. */
static void tell_times(const struct reducer *r, uint64_t total, uint64_t computed,
                       struct task_times *ret)
{
    *ret = (struct task_times){.fetch = r->fetch_us,
                               .merge = r->merge_us,
                               .write = r->output.sink.write_us + r->further.write_us,
                               .commit = r->output.sink.finish_us,
                               .total = total};
    uint64_t told = ret->fetch + ret->merge + ret->write + ret->commit;
    uint64_t left = total > told ? total - told : 0;
    uint64_t busy = left < computed ? left : computed;
    uint64_t merge = meter_share(&r->meter, METER_MERGE, busy);
    uint64_t write = meter_share(&r->meter, METER_EMIT, busy);
    ret->merge += merge;
    ret->write += write;
    ret->reduce = left > merge + write ? left - merge - write : 0;
}

static void tell_account(const struct reducer *r, struct task_account *ret)
{
    *ret = (struct task_account){.in_records = r->records,
                                 .in_bytes = r->remote_bytes + r->local_bytes,
                                 .groups = r->groups,
                                 .local_bytes = r->local_bytes,
                                 .remote_bytes = r->remote_bytes,
                                 .spilled_bytes = r->pieces.spilled_bytes + r->pieces.disk_bytes,
                                 .merged_again = r->merged_again};
    output_account(&r->output, ret);
    further_account(&r->further, ret);
}

/* The report outlives us. */
static struct slice keep_key(struct context *c, const struct group_top *top)
{
    return slice_keep(slice_of(top->key, top->key_len), &c->arena);
}

int reducer_run(struct context *c, const struct reducer_conf *conf, struct task_done *done)
{
    uint64_t start = clock_mono_us(), cpu_start = clock_cpu_us();
    struct reducer r = {.c = c, .conf = conf, .plugin = c->plugin};
    c->owner = &r;
    c->host.emit = emit_to_file;
    c->host.next = next_value;
    c->host.key_of = key_of_value;
    further_open(&r.further, c);
    meter_open(&r.meter);
    c->on_often = measure_burst;
    int rc = open_all(&r);
    if (rc == 0)
        rc = fetch_pieces(&r);
    if (rc == 0) {
        rc = context_setup(c);
        if (rc == 0)
            rc = reduce_all(&r);
        int cleanup = context_cleanup(c);
        rc = rc != 0 ? rc : cleanup;
    }
    if (rc == 0)
        rc = c->run->feeds ? onward_finish(&r.onward, done) : output_finish(&r.output, c, done);
    if (rc == 0)
        rc = further_finish(&r.further, done);
    if (rc == 0) {
        count_up(&r, done);
        tell_account(&r, &done->account);
        done->top_key = keep_key(c, &r.top);
        done->top_records = r.top.records;
        tell_times(&r, clock_mono_us() - start, clock_cpu_us() - cpu_start, &done->times);
    }
    fetch_close(r.fetch);
    if (r.has_pieces)
        pieces_close(&r.pieces);
    output_abandon(&r.output);
    onward_close(&r.onward);
    further_abandon(&r.further);
    c->owner = NULL;
    c->on_often = NULL;
    return rc;
}
