/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/mapper.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "worker/map/combine.h"
#include "worker/map/feed.h"
#include "worker/map/gather.h"
#include "worker/map/lines.h"
#include "worker/map/ranges.h"
#include "worker/map/sketch.h"
#include "worker/map/spill.h"
#include "worker/plugin/meter.h"
#include "worker/sink/further.h"
#include "worker/sink/output.h"

#define RECORD_KEPT 1024U /* bytes: what is told of one that failed */
#define MIB         ((uint64_t)1 << 20)
#define LOOK_MAX    (16 * MIB) /* as the setting's default */
#define BURST_EVERY 4          /* of the times that come after some thousand calls */

struct mapper {
    struct context *c;
    const struct plugin *plugin;
    struct key_order order;
    uint32_t partitions;
    bool value_is_number;
    uint64_t record_max;
    uint64_t *raw;        /* per partition, bytes before combining */
    bool counts_in_table; /* they are known when a record leaves it: values are all of one length */
    struct lines lines;
    struct feed feed;
    size_t told_segment; /* of the split, counted from 1: whose path the context has */
    struct spill spill;
    struct combine combine;
    struct gather gather;
    struct ranges ranges;
    bool has_ranges;
    bool has_hashes; /* emit needs the keys' hashes, to choose partitions by them */
    struct sketch sketch;
    struct output output;
    struct further further;
    bool has_combine, has_gather;
    struct qn_host combine_host; /* what the job's combine calls */
    uint64_t emitted;            /* records, where no table counts them */
    uint64_t file_bytes;         /* emitted to the output itself; else `raw` has them */
    struct meter meter;
    uint32_t often;
    int (*emit)(struct qn_task *, struct qn_slice, struct qn_slice); /* what callbacks call */
    uint64_t spill_in_map_us;
    uint64_t run_raw;
};

static struct mapper *mapper_of(struct qn_task *task)
{
    return context_owner(task);
}

/* --- emit ------------------------------------------------------------------------------------ */

static int refuse_size(struct mapper *m, const char *what, const char *field, size_t len,
                       enum qn_type type)
{
    struct err why;
    err_set(&why, ERR_FAILED, "emitted a %s of %zu bytes, but %s is %s, which takes eight", what,
            len, field, key_type_name(type));
    context_fail(m->c, TASK_FAILED_USER, &why);
    return -1;
}

/* Check what was emitted and bring the key into kept form. */
static inline bool accept(struct mapper *m, struct slice *key, struct slice *value,
                          uint8_t room[KEY_NUMBER_BYTES])
{
    size_t len = key->len;
    if (__builtin_expect(!key_store(&m->order, *key, room, key), 0))
        return refuse_size(m, "key", ".key", len, m->order.type) == 0;
    if (__builtin_expect(m->value_is_number && value->len != 8, 0))
        return refuse_size(m, "value", ".value", value->len, m->plugin->value) == 0;
    if (m->plugin->value == QN_NONE)
        value->len = 0;
    if (m->order.type == QN_NONE)
        key->len = 0;
    m->emitted++;
    context_called(m->c);
    return true;
}

static int own_partition(struct mapper *m, struct slice key, uint32_t *ret)
{
    uint8_t room[KEY_NUMBER_BYTES];
    struct slice own = key_restore(&m->order, key, room);
    *ret = m->plugin->job.partition(key_to_qn(own), m->partitions);
    if (*ret < m->partitions)
        return 0;
    struct err why;
    err_set(&why, ERR_FAILED, "partition returned %u, but there are %u reducers (0 to %u)", *ret,
            m->partitions, m->partitions - 1);
    return context_fail(m->c, TASK_FAILED_USER, &why);
}

static inline int pick_partition(struct mapper *m, uint64_t hash, struct slice key, uint32_t *ret)
{
    if (__builtin_expect(m->plugin->job.partition != NULL, 0))
        return own_partition(m, key, ret);
    if (m->has_ranges) {
        *ret = ranges_pick(&m->ranges, key);
        return 0;
    }
    *ret = key_hash_pick(hash, m->partitions);
    return 0;
}

static int spill_failed(struct mapper *m, int rc, size_t len, struct err *why)
{
    const struct context *c = m->c;
    char size[32], memory[32];
    if (rc == ERR_TOOBIG && len > RECORD_LEN_MAX)
        err_set(why, rc, "emitted a record of %s: none may have 4 G",
                str_human(len, size, sizeof(size)));
    else if (rc == ERR_TOOBIG)
        err_set(
            why, rc,
            "emitted a record of %s, more than a quarter of this task's memory (%s), in or "
            "behind %s offset %llu: -D mapreduce.map.memory.mb=%llu would do",
            str_human(len, size, sizeof(size)), str_human(c->run->memory, memory, sizeof(memory)),
            c->input.path[0] ? c->input.path : "row",
            (unsigned long long)atomic_load_explicit(&c->page->input_offset, memory_order_relaxed),
            (unsigned long long)record_memory_mb(len));
    return context_fail_engine(m->c, why);
}

static inline int to_buffer(struct mapper *m, uint32_t partition, uint64_t hash, struct slice key,
                            struct slice value)
{
    struct err why;
    sketch_add(&m->sketch, partition, hash, key, key.len + value.len);
    bool fits = key.len + value.len <= m->record_max;
    int rc =
        __builtin_expect(fits, 1) ? spill_add(&m->spill, partition, key, value, &why) : ERR_TOOBIG;
    return __builtin_expect(rc == 0, 1) ? 0 : spill_failed(m, rc, key.len + value.len, &why);
}

/* combine_out: what left the table of a combine or gather. */
static int folded_out(void *arg, uint64_t hash, struct slice key, struct slice value,
                      uint64_t count)
{
    struct mapper *m = arg;
    uint32_t partition = 0;
    int rc = pick_partition(m, hash, key, &partition);
    if (rc != 0)
        return rc;
    if (m->counts_in_table)
        m->raw[partition] += count * (key.len + value.len);
    return to_buffer(m, partition, hash, key, value);
}

static int emit_to_buffer(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct mapper *m = mapper_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    uint32_t partition = 0;
    if (!accept(m, &key, &value, room))
        return -1;
    uint64_t hash = m->has_hashes ? key_hash(key) : 0;
    if (m->partitions > 1 && pick_partition(m, hash, key, &partition) != 0)
        return -1;
    m->raw[partition] += key.len + value.len;
    return to_buffer(m, partition, hash, key, value) == 0 ? 0 : -1;
}

static int emit_to_table(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct mapper *m = mapper_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    uint32_t partition = 0;
    if (!accept(m, &key, &value, room))
        return -1;
    uint64_t hash = key_hash(key);
    if (!m->counts_in_table) {
        if (pick_partition(m, hash, key, &partition) != 0)
            return -1;
        m->raw[partition] += key.len + value.len;
    }
    int rc = m->has_combine ? combine_add(&m->combine, hash, key, value)
                            : gather_add(&m->gather, hash, key, value);
    return rc == 0 ? 0 : -1;
}

/* The same where most jobs are: keys of at most eight bytes, as they are, and numbers, to be added
 * or for a combine of the job's own. What is out of the ordinary is emit_to_table's, called last:
 * so nothing is to be kept for it. */
static inline bool is_short(struct slice key)
{
    return key.len - 1 < 8 && key_page_goes_on(key.data);
}

/* Of a short key and a value of eight bytes, where there is a tally. */
static inline __attribute__((always_inline)) int
add_word(struct qn_task *task, struct qn_slice qkey, struct qn_slice value)
{
    struct mapper *m = context_of(task)->owner;
    struct slice key = key_from_qn(qkey);
    uint64_t word = key_word_short(key.data, key.len), hash = key_hash_word(word, key.len);
    uint64_t number = get_u64(value.data);
    word = tally_word(word, key.len);
    if (__builtin_expect(number >= TALLY_NUMBERS || !tally_takes(word, key.len), 0))
        return emit_to_table(task, qkey, value);
    return combine_tally(&m->combine, hash, word, number);
}

static int add_word_now_and_then(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    context_called(context_of(task));
    return add_word(task, key, value);
}

static int emit_to_sum(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    const struct context *c = context_of(task);
    const struct mapper *m = c->owner;
    bool is_plain = is_short(key_from_qn(key)) && value.len == 8 && context_is_here(c);
    if (__builtin_expect(!is_plain || !m->combine.uses_tally, 0))
        return emit_to_table(task, key, value);
    return context_is_often(m->combine.tally.records) ? add_word_now_and_then(task, key, value)
                                                      : add_word(task, key, value);
}

/* What does not change from key to key is asked once. */
static int emit_keys_to_sum(struct qn_task *task, const struct qn_slice *keys, size_t count,
                            struct qn_slice value)
{
    struct mapper *m = mapper_of(task);
    uint64_t number = value.len == 8 ? get_u64(value.data) : TALLY_NUMBERS;
    bool is_plain = number < TALLY_NUMBERS && m->combine.uses_tally;
    if (!is_plain || m->c->host.emit != emit_to_sum)
        return context_emit_keys(task, keys, count, value);
    context_called(m->c);
    for (const struct qn_slice *at = keys; at < keys + count; at++) {
        struct slice key = key_from_qn(*at);
        size_t len = is_short(key) ? key.len : 0;
        uint64_t kept = len ? key_word_short(key.data, len) : 0, word = tally_word(kept, len);
        int rc = __builtin_expect(len && tally_takes(word, len), 1)
                     ? combine_tally(&m->combine, key_hash_word(kept, len), word, number)
                     : emit_to_table(task, *at, value);
        if (__builtin_expect(rc != 0, 0))
            return rc;
    }
    return 0;
}

static int emit_to_gather(struct qn_task *task, struct qn_slice qkey, struct qn_slice value)
{
    struct context *c = context_of(task);
    struct mapper *m = c->owner;
    struct slice key = key_from_qn(qkey);
    bool is_plain = is_short(key) && value.len == 8 && context_is_here(c);
    if (__builtin_expect(!is_plain, 0) || context_is_often(m->gather.in_records))
        return emit_to_table(task, qkey, value);
    uint64_t word = key_word_short(key.data, key.len), hash = key_hash_word(word, key.len);
    m->raw[key_hash_pick(hash, m->partitions)] += key.len + 8;
    return gather_add_word(&m->gather, hash, word, key.len, get_u64(value.data));
}

static int emit_to_file(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct mapper *m = mapper_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    struct slice kept = key;
    if (!accept(m, &kept, &value, room))
        return -1;
    m->file_bytes += kept.len + value.len;
    if (sink_record(&m->output.sink, m->plugin->key, key, m->plugin->value, value) == 0)
        return 0;
    context_fail_engine(m->c, &m->output.sink.failed);
    return -1;
}

/* --- what emit takes ------------------------------------------------------------------------- */

/* Time within emit that is measured by itself. */
static uint64_t lumps(const struct mapper *m)
{
    return m->spill.sort_us + m->spill.spill_us + m->combine.flush_us + m->gather.flush_us +
           m->output.sink.write_us;
}

/* In emit's place while a burst is measured. */
static int emit_measured(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    struct mapper *m = mapper_of(task);
    uint64_t before = lumps(m);
    if (!meter_is_on(&m->meter))
        meter_begin(&m->meter, METER_EMIT);
    else
        meter_move(&m->meter, METER_EMIT);
    int rc = m->emit(task, key, value);
    if (lumps(m) != before)
        meter_drop(&m->meter);
    if (!meter_is_on(&m->meter) || !meter_move(&m->meter, METER_USER))
        m->c->host.emit = m->emit;
    return rc;
}

static void measure_burst(void *owner)
{
    struct mapper *m = owner;
    if (++m->often % BURST_EVERY == 0 && m->c->host.emit == m->emit) /* and not combine's */
        m->c->host.emit = emit_measured;
}

/* --- the job's own combine ------------------------------------------------------------------- */

struct values {
    struct qn_values head;
    struct gather *gather;
};

static int next_to_combine(struct qn_values *values, struct qn_slice *ret_value)
{
    struct slice value;
    if (!gather_next(((struct values *)(void *)values)->gather, &value))
        return 0;
    *ret_value = key_to_qn(value);
    return 1;
}

static int emit_from_combine(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct mapper *m = mapper_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    return accept(m, &key, &value, room) && gather_emit(&m->gather, key, value) == 0 ? 0 : -1;
}

/* With a table of host functions that stays as it is: combine is called too often to make one. */
static int run_combine(void *arg, struct slice key, struct gather *g)
{
    struct mapper *m = arg;
    struct context *c = m->c;
    struct values values = {{&m->combine_host}, g};
    uint8_t room[KEY_NUMBER_BYTES];
    void *further = c->further;
    c->further = NULL;
    c->task.host = &m->combine_host;
    int rc = m->plugin->job.combine(&c->task, key_to_qn(key_restore(&m->order, key, room)),
                                    &values.head);
    c->task.host = &c->host;
    c->further = further;
    return context_check(c, rc, "combine");
}

/* --- opening --------------------------------------------------------------------------------- */

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static int no_memory(struct mapper *m)
{
    struct err why;
    char memory[32];
    err_set(&why, ERR_NOMEM, "%s are too little for a map task (-D mapreduce.map.memory.mb=...)",
            str_human(m->c->run->memory, memory, sizeof(memory)));
    return context_fail_engine(m->c, &why);
}

static int open_lines(struct mapper *m, struct region *region)
{
    size_t size = (size_t)m->record_max + 2 * LINES_READ;
    void *buffer = region_take(region, size);
    const struct lines_format *formats = feed_formats(m->c);
    if (!buffer || !formats)
        return no_memory(m);
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

static int open_combine(struct mapper *m, struct region *region)
{
    const struct fold fold = plugin_fold(m->plugin);
    size_t size = (size_t)clamp(m->c->run->memory / 8, COMBINE_SPACE_MIN, 256 * MIB);
    if (fold.op == QN_NO_FOLD && !m->plugin->job.combine)
        return 0;
    void *space = region_take(region, size);
    if (!space)
        return no_memory(m);
    m->combine_host = m->c->host;
    m->combine_host.emit = emit_from_combine;
    m->combine_host.next = next_to_combine;
    m->has_combine = fold.op != QN_NO_FOLD;
    m->counts_in_table = fold_is_number(&fold) && m->value_is_number;
    m->has_gather = !m->has_combine;
    if (m->has_combine)
        combine_open(&m->combine, &fold, space, size, folded_out, m);
    else
        gather_open(&m->gather, &(struct gather_conf){.space = space,
                                                      .size = size,
                                                      .is_numbers = m->value_is_number,
                                                      .combine = run_combine,
                                                      .out = folded_out,
                                                      .arg = m});
    return 0;
}

static int open_spill(struct mapper *m, const struct mapper_conf *conf)
{
    struct context *c = m->c;
    char name[64];
    struct err why;
    uint64_t memory = c->run->memory;
    size_t io_size = (size_t)clamp(memory / 16, SPILL_IO_MIN, 16 * MIB);
    void *io_space = region_take(conf->region, io_size);
    size_t sort_most = region_left(conf->region) & ~(size_t)63, sort_size = sort_most;
    uint64_t wanted = context_conf_megabytes(c, "mapreduce.task.io.sort.mb", 0);
    if (wanted && wanted < sort_size)
        sort_size = (size_t)wanted;
    if (!io_space || sort_size < 64 * 1024)
        return no_memory(m);
    snprintf(name, sizeof(name), "stage-%u-%u-%u.run", c->run->id.stage, c->run->id.task,
             c->run->id.attempt);
    struct spill_conf spill = {.partitions = m->partitions,
                               .order = m->order,
                               .fold = plugin_fold(m->plugin),
                               .sort_space = region_take(conf->region, sort_most),
                               .sort_size = sort_size,
                               .sort_most = sort_most,
                               .io_space = io_space,
                               .io_size = io_size,
                               .record_max = m->record_max,
                               .fan_in =
                                   (size_t)context_conf_size(c, "mapreduce.task.io.sort.factor", 0),
                               .scratch = conf->scratch,
                               .memfd = conf->memfd,
                               .memfd_limit = c->run->output_memory,
                               .run_name = name,
                               .ticks = &c->page->ticks};
    spill.run_name = slice_text(slice_str(name), &c->arena);
    if (!spill.run_name)
        return no_memory(m);
    return spill_open(&m->spill, &spill, &why) == 0 ? 0 : context_fail_engine(c, &why);
}

static int (*choose_emit(const struct mapper *m))(struct qn_task *, struct qn_slice,
                                                  struct qn_slice)
{
    if (!m->has_combine && !m->has_gather)
        return emit_to_buffer;
    bool is_plain = !key_is_converted(&m->order) && m->order.type != QN_NONE;
    if (is_plain && m->has_combine && m->plugin->job.combine_op == QN_SUM &&
        fold_is_addition(&m->combine.fold))
        return emit_to_sum;
    bool is_hashed = !m->plugin->job.partition && !m->has_ranges;
    return is_plain && m->has_gather && is_hashed && m->value_is_number ? emit_to_gather
                                                                        : emit_to_table;
}

static int open_ranges(struct mapper *m)
{
    struct context *c = m->c;
    struct slice sample;
    struct err why;
    if (m->plugin->job.spread != QN_BY_RANGE || m->partitions < 2)
        return 0;
    int rc = sides_bytes(&c->sides, TASK_SIDE_RANGES, &sample, &why);
    if (rc == 0)
        rc = ranges_open(&m->ranges, sample, m->partitions, &c->arena, &why);
    m->has_ranges = rc == 0;
    return rc == 0 ? 0 : context_fail_engine(c, &why);
}

static void use_emit(struct mapper *m,
                     int (*emit)(struct qn_task *, struct qn_slice, struct qn_slice))
{
    m->emit = emit;
    meter_open(&m->meter);
    m->c->host.emit = emit_measured; /* the first ones, too: there may be no more */
    m->c->on_often = measure_burst;
}

static int open_output(struct mapper *m, const struct mapper_conf *conf)
{
    struct context *c = m->c;
    if (c->run->kind != TASK_MAP_OUT) {
        m->raw = arena_calloc(&c->arena, m->partitions, sizeof(*m->raw));
        int rc = m->raw ? open_combine(m, conf->region) : no_memory(m);
        if (rc == 0)
            rc = open_ranges(m);
        m->has_hashes = m->partitions > 1 && !m->has_ranges && !m->plugin->job.partition;
        if (c->run->kind == TASK_MAP)
            sketch_open(&m->sketch,
                        &(struct sketch_conf){m->partitions,
                                              m->has_hashes || m->has_combine || m->has_gather,
                                              m->order},
                        &c->arena);
        use_emit(m, choose_emit(m));
        if (m->emit == emit_to_sum)
            c->host.emit_keys = emit_keys_to_sum;
        return rc == 0 ? open_spill(m, conf) : rc;
    }
    void *buffer = region_take(conf->region, SINK_BUFFER);
    use_emit(m, emit_to_file);
    return buffer ? output_open(&m->output, c, buffer) : no_memory(m);
}

/* --- running --------------------------------------------------------------------------------- */

/* What qn_input tells, and the report of a failure. */
static int tell_input(struct mapper *m)
{
    struct context *c = m->c;
    const struct task_segment *seg = &c->run->input.v[m->lines.segment];
    if (m->told_segment == m->lines.segment + 1)
        return 0;
    const char *path = slice_text(slice_str(lines_path(&m->lines)), &c->arena);
    if (!path)
        return no_memory(m);
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
        return no_memory(m);
    c->input.path = path;
    c->input.split_offset = seg->offset;
    c->input.split_length = seg->length;
    return 0;
}

static uint64_t emitted(const struct mapper *m)
{
    return m->has_combine  ? combine_records(&m->combine)
           : m->has_gather ? m->gather.in_records
                           : m->emitted;
}

static uint64_t emitted_bytes(const struct mapper *m)
{
    uint64_t sum = m->file_bytes;
    for (uint32_t p = 0; m->raw && p < m->partitions; p++)
        sum += m->raw[p];
    return sum;
}

static int map_all(struct mapper *m)
{
    struct context *c = m->c;
    struct slice span;
    struct err why;
    uint64_t offset = 0;
    int rc;
    while ((rc = lines_next(&m->lines, &span, &offset, &why)) == 1) {
        meter_drop(&m->meter); /* reading is measured by itself */
        rc = tell_input(m);
        if (rc == 0)
            rc = feed_span(&m->feed, span, offset);
        if (rc != 0)
            return rc;
        atomic_store_explicit(&c->page->bytes_in, m->lines.bytes, memory_order_relaxed);
        atomic_store_explicit(&c->page->records_out, emitted(m), memory_order_relaxed);
        context_tick(c);
        c->record = slice_of(NULL, 0); /* what it lies in may go with the next span */
    }
    return rc == 0 ? tell_first(m) : context_fail_engine(c, &why);
}

static int flush_combine(struct mapper *m)
{
    int rc = 0;
    if (m->has_combine)
        rc = combine_flush(&m->combine);
    else if (m->has_gather)
        rc = gather_flush(&m->gather);
    if (rc == 0 || m->c->failed.code != 0)
        return rc;
    struct err why;
    err_set(&why, rc, "combining: %s", err_text(rc));
    return context_fail_engine(m->c, &why);
}

static int finish_run(struct mapper *m, struct task_done *done)
{
    struct context *c = m->c;
    struct spill_result result;
    struct err why;
    context_phase(c, PROGRESS_SORT);
    m->spill_in_map_us = m->spill.sort_us + m->spill.spill_us;
    int rc = spill_finish(&m->spill, m->raw, &result, &why);
    if (rc != 0)
        return context_fail_engine(c, &why);
    struct task_part *parts = arena_calloc(&c->arena, m->partitions, sizeof(*parts));
    struct slice path = slice_keep(slice_str(result.path), &c->arena);
    if (!parts || !path.data) {
        rc = no_memory(m);
        goto out;
    }
    for (uint32_t p = 0; p < m->partitions; p++) {
        const struct run_part *from = &result.parts[p];
        m->run_raw += from->plain_bytes;
        parts[p] = (struct task_part){from->offset, from->len, from->records, from->raw_bytes};
    }
    done->parts = (struct task_part_list){parts, m->partitions};
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
    counters_add(all, COUNTERS_GROUP, "Map output records", emitted(m));
    counters_add(all, COUNTERS_GROUP, "Map output bytes", emitted_bytes(m));
    counters_add(all, COUNTERS_GROUP, "Combine input records",
                 combine_records(&m->combine) + m->gather.in_records);
    counters_add(all, COUNTERS_GROUP, "Combine output records",
                 m->combine.out_records + m->gather.out_records);
    counters_add(all, COUNTERS_GROUP, "combine stepped aside",
                 m->combine.is_aside || m->gather.is_aside);
    counters_add(all, COUNTERS_GROUP, "Spilled Records", m->spill.spilled_records);
    counters_add(all, COUNTERS_GROUP, "spills", m->spill.spills);
    counters_add(all, COUNTERS_GROUP, "Map output materialized bytes", done->run_len);
    for (size_t i = 0; i < done->files.n; i++) {
        counters_add(all, COUNTERS_GROUP, "output bytes", done->files.v[i].len);
        counters_add(all, COUNTERS_GROUP, "output records", done->files.v[i].records);
    }
}

/* Emptying the combiner's table, but for the sorting and spilling that this led to. */
static uint64_t flush_us(const struct mapper *m)
{
    uint64_t gross = m->combine.flush_us + m->gather.flush_us;
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
                               .sort = m->spill.sort_us,
                               .spill = m->spill.spill_us,
                               .merge = m->spill.merge_us,
                               .write = m->output.sink.write_us + m->further.write_us,
                               .commit = m->output.sink.finish_us,
                               .total = total};
    uint64_t told = ret->read + ret->decompress + ret->combine + ret->sort + ret->spill +
                    ret->merge + ret->write + ret->commit;
    uint64_t left = total > told ? total - told : 0;
    uint64_t emit = meter_share(&m->meter, METER_EMIT, left < computed ? left : computed);
    bool combines =
        (m->has_combine && !m->combine.is_aside) || (m->has_gather && !m->gather.is_aside);
    ret->map = left - emit;
    *(combines ? &ret->combine : m->emit == emit_to_file ? &ret->write : &ret->sort) += emit;
}

static void tell_account(const struct mapper *m, const struct task_done *done,
                         struct task_account *ret)
{
    *ret = (struct task_account){
        .in_bytes = m->lines.bytes,
        .in_raw = m->lines.raw_bytes,
        .in_records = m->feed.records,
        .emitted_records = emitted(m),
        .emitted_bytes = emitted_bytes(m),
        .run_bytes = done->run_len,
        .run_raw = m->run_raw,
        .spilled_records = m->spill.spilled_records,
        .spilled_bytes = m->spill.spilled_bytes,
    };
    for (size_t i = 0; i < done->parts.n; i++)
        ret->combined_records += done->parts.v[i].records;
    output_account(&m->output, ret);
    further_account(&m->further, ret);
}

static uint64_t input_bytes(const struct task_run *run)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < run->input.n; i++)
        sum += run->input.v[i].length;
    return sum;
}

static struct mapper new_mapper(struct context *c)
{
    const struct plugin *p = c->plugin;
    return (struct mapper){.c = c,
                           .plugin = p,
                           .order = plugin_order(p),
                           .partitions = c->run->partitions,
                           .record_max = c->run->memory / 4,
                           .value_is_number =
                               p->value == QN_U64 || p->value == QN_I64 || p->value == QN_F64};
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
    gather_close(&m->gather);
    spill_close(&m->spill);
    output_abandon(&m->output);
    further_abandon(&m->further);
    m->c->owner = NULL;
    m->c->on_often = NULL;
}

int mapper_run(struct context *c, const struct mapper_conf *conf, struct task_done *done)
{
    uint64_t start = clock_mono_us(), cpu_start = clock_cpu_us();
    struct mapper m = new_mapper(c);
    c->owner = &m;
    atomic_store_explicit(&c->page->bytes_total, input_bytes(c->run), memory_order_relaxed);
    context_phase(c, PROGRESS_MAP);
    further_open(&m.further, c);
    int rc = feed_open(&m.feed, c);
    if (rc == 0)
        rc = open_lines(&m, conf->region);
    if (rc == 0)
        rc = open_output(&m, conf);
    if (rc == 0) {
        rc = context_setup(c);
        if (rc == 0)
            rc = m.plugin->job.input == QN_ROWS ? feed_rows(&m.feed) : map_all(&m);
        if (rc == 0)
            context_no_record(c);
        /* Also after a failure: an author may hold files open. Its own comes second then. */
        int cleanup = context_cleanup(c);
        rc = rc != 0 ? rc : cleanup;
    }
    if (rc == 0)
        rc = flush_combine(&m);
    if (rc == 0)
        rc =
            c->run->kind == TASK_MAP_OUT ? output_finish(&m.output, c, done) : finish_run(&m, done);
    if (rc == 0)
        rc = further_finish(&m.further, done);
    if (rc == 0) {
        count_up(&m, done);
        tell_account(&m, done, &done->account);
        sketch_tell(&m.sketch, &done->parts, &done->sketches);
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
    *m = new_mapper(c);
    c->owner = m;
    return open_output(m, conf);
}

int mapper_finish(struct mapper *mapper, struct task_done *done)
{
    int rc = flush_combine(mapper);
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
