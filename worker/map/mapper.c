/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/mapper.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "worker/map/emit.h"
#include "worker/map/feed.h"
#include "worker/map/lines.h"
#include "worker/sink/further.h"

#define RECORD_KEPT 1024U /* bytes: what is told of one that failed */
#define MIB         ((uint64_t)1 << 20)
#define LOOK_MAX    (16 * MIB) /* as the setting's default */

struct mapper {
    struct context *c;
    struct emit emit; /* what emit works on: the context's owner */
    struct lines lines;
    struct feed feed;
    size_t told_segment; /* of the split, counted from 1: whose path the context has */
    struct further further;
    uint64_t spill_in_map_us;
    uint64_t run_raw;
};

/* --- running --------------------------------------------------------------------------------- */

static int open_lines(struct mapper *m, struct region *region)
{
    size_t size = (size_t)m->emit.record_max + 2 * LINES_READ;
    void *buffer = region_take(region, size);
    const struct lines_format *formats = feed_formats(m->c);
    if (!buffer || !formats)
        return emit_no_memory(&m->emit);
    lines_open(&m->lines, &(struct lines_conf){
                              .files = m->c->files,
                              .segments = m->c->run->input.v,
                              .count = m->c->run->input.n,
                              .buffer = buffer,
                              .buffer_size = size,
                              .memory = m->c->run->memory,
                              .formats = formats,
                              .ticks = &m->c->page->ticks,
                              .is_sample = m->c->run->kind == TASK_SAMPLE,
                              .look_max = context_conf_size(m->c, "job.csv.quoted.max", LOOK_MAX)});
    return 0;
}
/* What qn_input tells, and the report of a failure. */
static int tell_input(struct mapper *m)
{
    struct context *c = m->c;
    const struct task_segment *seg = &c->run->input.v[m->lines.segment];
    if (m->told_segment == m->lines.segment + 1)
        return 0;
    const char *path = slice_text(slice_str(lines_path(&m->lines)), &c->arena);
    if (!path)
        return emit_no_memory(&m->emit);
    m->told_segment = m->lines.segment + 1;
    feed_follow(&m->feed, seg);
    c->input.path = m->feed.path = path;
    c->input.split_offset = seg->offset;
    c->input.split_length = seg->length;
    atomic_store_explicit(&c->page->input_segment, (uint32_t)m->lines.segment + 1,
                          memory_order_relaxed);
    return 0;
}

/* Where no file had a record, the first one is the input all the same. */
static int tell_first(struct mapper *m)
{
    struct context *c = m->c;
    if (m->told_segment > 0 || c->run->input.n == 0)
        return 0;
    const struct task_segment *seg = &c->run->input.v[0];
    const char *path = slice_text(seg->path, &c->arena);
    if (!path)
        return emit_no_memory(&m->emit);
    c->input.path = path;
    c->input.split_offset = seg->offset;
    c->input.split_length = seg->length;
    return 0;
}
static int map_all(struct mapper *m)
{
    struct context *c = m->c;
    struct slice span;
    struct err why;
    uint64_t offset = 0;
    int rc;
    while ((rc = lines_next(&m->lines, &span, &offset, &why)) == 1) {
        meter_drop(&m->emit.meter); /* reading is measured by itself */
        rc = tell_input(m);
        if (rc == 0)
            rc = feed_span(&m->feed, span, offset);
        if (rc != 0)
            return rc;
        atomic_store_explicit(&c->page->bytes_in, m->lines.bytes, memory_order_relaxed);
        atomic_store_explicit(&c->page->records_out, emit_records(&m->emit), memory_order_relaxed);
        context_tick(c);
        c->record = slice_of(NULL, 0); /* what it lies in may go with the next span */
    }
    return rc == 0 ? tell_first(m) : context_fail_engine(c, &why);
}
static int finish_run(struct mapper *m, struct task_done *done)
{
    struct context *c = m->c;
    struct spill_result result;
    struct err why;
    context_phase(c, PROGRESS_SORT);
    m->spill_in_map_us = m->emit.spill.sort_us + m->emit.spill.spill_us;
    int rc = spill_finish(&m->emit.spill, m->emit.raw, &result, &why);
    if (rc != 0)
        return context_fail_engine(c, &why);
    struct task_part *parts = arena_calloc(&c->arena, m->emit.partitions, sizeof(*parts));
    struct slice path = slice_keep(slice_str(result.path), &c->arena);
    if (!parts || !path.data) {
        rc = emit_no_memory(&m->emit);
        goto out;
    }
    for (uint32_t p = 0; p < m->emit.partitions; p++) {
        const struct run_part *from = &result.parts[p];
        m->run_raw += from->plain_bytes;
        parts[p] = (struct task_part){from->offset, from->len, from->records, from->raw_bytes};
    }
    done->parts = (struct task_part_list){parts, m->emit.partitions};
    done->run_path = path;
    done->run_len = result.len;
out:
    mem_free(result.parts);
    mem_free(result.path);
    return rc;
}

static void count_up(struct mapper *m, const struct task_done *done)
{
    struct counters *all = &m->c->counters;
    counters_add(all, COUNTERS_GROUP, "Map input records", m->feed.records);
    if (m->feed.bad)
        counters_add(all, COUNTERS_GROUP, "bad records", m->feed.bad);
    counters_add(all, COUNTERS_GROUP, "Map input bytes", m->lines.bytes);
    counters_add(all, COUNTERS_GROUP, "Map output records", emit_records(&m->emit));
    counters_add(all, COUNTERS_GROUP, "Map output bytes", emit_bytes(&m->emit));
    counters_add(all, COUNTERS_GROUP, "Combine input records",
                 combine_records(&m->emit.combine) + gather_records(&m->emit.gather));
    counters_add(all, COUNTERS_GROUP, "Combine output records",
                 m->emit.combine.out_records + m->emit.gather.out_records);
    counters_add(all, COUNTERS_GROUP, "combine stepped aside",
                 m->emit.combine.is_aside || m->emit.gather.is_aside);
    counters_add(all, COUNTERS_GROUP, "Spilled Records", m->emit.spill.spilled_records);
    counters_add(all, COUNTERS_GROUP, "spills", m->emit.spill.spills);
    counters_add(all, COUNTERS_GROUP, "Map output materialized bytes", done->run_len);
    for (size_t i = 0; i < done->files.n; i++) {
        counters_add(all, COUNTERS_GROUP, "output bytes", done->files.v[i].len);
        counters_add(all, COUNTERS_GROUP, "output records", done->files.v[i].records);
    }
}

/* Emptying the combiner's table, but for the sorting and spilling that this led to. */
static uint64_t flush_us(const struct mapper *m)
{
    uint64_t gross = emit_flush_us(&m->emit);
    return gross > m->spill_in_map_us ? gross - m->spill_in_map_us : 0;
}

/* What was measured is told as such; what is left was the job's own code, and emit's share of it as
 * the sample says: of what was computed, as waiting (for a program of streaming) is the job's. */
static void tell_times(const struct mapper *m, uint64_t total, uint64_t computed,
                       struct task_times *ret)
{
    *ret = (struct task_times){.read = m->lines.read_us,
                               .decompress = m->lines.unpack_us,
                               .combine = flush_us(m),
                               .sort = m->emit.spill.sort_us,
                               .spill = m->emit.spill.spill_us,
                               .merge = m->emit.spill.merge_us,
                               .write = m->emit.output.sink.write_us + m->further.write_us,
                               .commit = m->emit.output.sink.finish_us,
                               .total = total};
    uint64_t told = ret->read + ret->decompress + ret->combine + ret->sort + ret->spill +
                    ret->merge + ret->write + ret->commit;
    uint64_t left = total > told ? total - told : 0;
    uint64_t emit = meter_share(&m->emit.meter, METER_EMIT, left < computed ? left : computed);
    ret->map = left - emit;
    *(emit_combines(&m->emit)     ? &ret->combine
      : emit_is_to_file(&m->emit) ? &ret->write
                                  : &ret->sort) += emit;
}

static void tell_account(const struct mapper *m, const struct task_done *done,
                         struct task_account *ret)
{
    *ret = (struct task_account){
        .in_bytes = m->lines.bytes,
        .in_raw = m->lines.raw_bytes,
        .in_records = m->feed.records,
        .emitted_records = emit_records(&m->emit),
        .emitted_bytes = emit_bytes(&m->emit),
        .run_bytes = done->run_len,
        .run_raw = m->run_raw,
        .spilled_records = m->emit.spill.spilled_records,
        .spilled_bytes = m->emit.spill.spilled_bytes,
    };
    for (size_t i = 0; i < done->parts.n; i++)
        ret->combined_records += done->parts.v[i].records;
    output_account(&m->emit.output, ret);
    further_account(&m->further, ret);
}

static uint64_t input_bytes(const struct task_run *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->input.n; i++)
        sum += run->input.v[i].length;
    return sum;
}

/* It is told when what it lies in is gone. */
static void keep_record(struct context *c)
{
    size_t len = c->record.len < RECORD_KEPT ? c->record.len : RECORD_KEPT;
    if (len)
        c->record = slice_keep(slice_of(c->record.data, len), &c->arena);
    else
        c->record = slice_of(NULL, 0);
}

static void release(struct mapper *m)
{
    if (m->c->failed.code != 0)
        keep_record(m->c);
    else
        m->c->record = slice_of(NULL, 0);
    lines_close(&m->lines);
    further_abandon(&m->further);
    emit_close(&m->emit);
}

int mapper_run(struct context *c, const struct mapper_conf *conf, struct task_done *done)
{
    uint64_t start = clock_mono_us(), cpu_start = clock_cpu_us();
    struct mapper m = {.c = c};
    emit_init(&m.emit, c);
    atomic_store_explicit(&c->page->bytes_total, input_bytes(c->run), memory_order_relaxed);
    context_phase(c, PROGRESS_MAP);
    further_open(&m.further, c);
    int rc = feed_open(&m.feed, c);
    if (rc == 0)
        rc = open_lines(&m, conf->region);
    if (rc == 0)
        rc = emit_open(&m.emit, conf);
    if (rc == 0) {
        rc = context_setup(c);
        if (rc == 0)
            rc = m.emit.plugin->job.input == QN_ROWS ? feed_rows(&m.feed) : map_all(&m);
        if (rc == 0)
            context_no_record(c);
        /* Also after a failure: an author may hold files open. Its own comes second then. */
        int cleanup = context_cleanup(c);
        rc = rc != 0 ? rc : cleanup;
    }
    if (rc == 0)
        rc = emit_flush(&m.emit);
    if (rc == 0)
        rc = c->run->kind == TASK_MAP_OUT ? output_finish(&m.emit.output, c, done)
                                          : finish_run(&m, done);
    if (rc == 0)
        rc = further_finish(&m.further, done);
    if (rc == 0) {
        count_up(&m, done);
        tell_account(&m, done, &done->account);
        sketch_tell(&m.emit.sketch, &done->parts, &done->sketches);
        tell_times(&m, clock_mono_us() - start, clock_cpu_us() - cpu_start, &done->times);
    }
    release(&m);
    return rc;
}

/* --- behind a reduce ------------------------------------------------------------------------- */

int mapper_open(struct context *c, const struct mapper_conf *conf, struct mapper **ret)
{
    struct mapper *m = mem_calloc(1, sizeof(*m));
    struct err why;
    *ret = m;
    if (!m)
        return context_fail_engine(c, (err_set(&why, ERR_NOMEM, "out of memory"), &why));
    m->c = c;
    emit_init(&m->emit, c);
    return emit_open(&m->emit, conf);
}

int mapper_finish(struct mapper *mapper, struct task_done *done)
{
    int rc = emit_flush(&mapper->emit);
    if (rc == 0)
        rc = finish_run(mapper, done);
    if (rc == 0)
        count_up(mapper, done);
    return rc;
}

void mapper_close(struct mapper *mapper)
{
    if (mapper)
        release(mapper);
    mem_free(mapper);
}
