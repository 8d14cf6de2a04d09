/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/emit.h"

#include "libcommon/base/str.h"
#include "worker/map/mapper.h"

#define MIB         ((uint64_t)1 << 20)
#define BURST_EVERY 4 /* of the times that come after some thousand calls */

static struct emit *emit_of(struct qn_task *task)
{
    return context_owner(task);
}

/* --- a record -------------------------------------------------------------------------------- */

static int refuse_size(struct emit *e, const char *what, const char *field, size_t len,
                       enum qn_type type)
{
    struct err why;
    err_set(&why, ERR_FAILED, "emitted a %s of %zu bytes, but %s is %s, which takes eight", what,
            len, field, key_type_name(type));
    context_fail(e->c, TASK_FAILED_USER, &why);
    return -1;
}

/* Check what was emitted and bring the key into kept form. */
static inline bool accept(struct emit *e, struct slice *key, struct slice *value,
                          uint8_t room[KEY_NUMBER_BYTES])
{
    size_t len = key->len;
    if (__builtin_expect(!key_store(&e->order, *key, room, key), 0))
        return refuse_size(e, "key", ".key", len, e->order.type) == 0;
    if (__builtin_expect(e->value_is_number && value->len != 8, 0))
        return refuse_size(e, "value", ".value", value->len, e->plugin->value) == 0;
    if (e->plugin->value == QN_NONE)
        value->len = 0;
    if (e->order.type == QN_NONE)
        key->len = 0;
    e->emitted++;
    context_called(e->c);
    return true;
}

static int own_partition(struct emit *e, struct slice key, uint32_t *ret)
{
    uint8_t room[KEY_NUMBER_BYTES];
    struct slice own = key_restore(&e->order, key, room);
    *ret = e->plugin->job.partition(key_to_qn(own), e->partitions);
    if (*ret < e->partitions)
        return 0;
    struct err why;
    err_set(&why, ERR_FAILED, "partition returned %u, but there are %u reducers (0 to %u)", *ret,
            e->partitions, e->partitions - 1);
    return context_fail(e->c, TASK_FAILED_USER, &why);
}

static inline int pick_partition(struct emit *e, uint64_t hash, struct slice key, uint32_t *ret)
{
    if (__builtin_expect(e->plugin->job.partition != NULL, 0))
        return own_partition(e, key, ret);
    if (e->has_ranges) {
        *ret = ranges_pick(&e->ranges, key);
        return 0;
    }
    *ret = key_hash_pick(hash, e->partitions);
    return 0;
}

static int spill_failed(struct emit *e, int rc, size_t len, struct err *why)
{
    const struct context *c = e->c;
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
    return context_fail_engine(e->c, why);
}

static inline int to_buffer(struct emit *e, uint32_t partition, uint64_t hash, struct slice key,
                            struct slice value)
{
    struct err why;
    sketch_add(&e->sketch, partition, hash, key, key.len + value.len);
    bool fits = key.len + value.len <= e->record_max;
    int rc =
        __builtin_expect(fits, 1) ? spill_add(&e->spill, partition, key, value, &why) : ERR_TOOBIG;
    return __builtin_expect(rc == 0, 1) ? 0 : spill_failed(e, rc, key.len + value.len, &why);
}

/* combine_out: what left the table of a combine or gather. */
static int folded_out(void *arg, uint64_t hash, struct slice key, struct slice value,
                      uint64_t count)
{
    struct emit *e = arg;
    uint32_t partition = 0;
    int rc = pick_partition(e, hash, key, &partition);
    if (rc != 0)
        return rc;
    if (e->counts_in_table)
        e->raw[partition] += count * (key.len + value.len);
    return to_buffer(e, partition, hash, key, value);
}

static int emit_to_buffer(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct emit *e = emit_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    uint32_t partition = 0;
    if (!accept(e, &key, &value, room))
        return -1;
    uint64_t hash = e->has_hashes ? key_hash(key) : 0;
    if (e->partitions > 1 && pick_partition(e, hash, key, &partition) != 0)
        return -1;
    e->raw[partition] += key.len + value.len;
    return to_buffer(e, partition, hash, key, value) == 0 ? 0 : -1;
}

static int emit_to_table(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct emit *e = emit_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    uint32_t partition = 0;
    if (!accept(e, &key, &value, room))
        return -1;
    uint64_t hash = key_hash(key);
    if (!e->counts_in_table) {
        if (pick_partition(e, hash, key, &partition) != 0)
            return -1;
        e->raw[partition] += key.len + value.len;
    }
    int rc = e->has_combine ? combine_add(&e->combine, hash, key, value)
                            : gather_add(&e->gather, hash, key, value);
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
    struct emit *e = context_of(task)->owner;
    struct slice key = key_from_qn(qkey);
    uint64_t word = key_word_short(key.data, key.len), hash = key_hash_word(word, key.len);
    uint64_t number = get_u64(value.data);
    word = tally_word(word, key.len);
    if (__builtin_expect(number >= TALLY_NUMBERS || !tally_takes(word, key.len), 0))
        return emit_to_table(task, qkey, value);
    return combine_tally(&e->combine, hash, word, number);
}

static int add_word_now_and_then(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    context_called(context_of(task));
    return add_word(task, key, value);
}

static int emit_to_sum(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    const struct context *c = context_of(task);
    const struct emit *e = c->owner;
    bool is_plain = is_short(key_from_qn(key)) && value.len == 8 && context_is_here(c);
    if (__builtin_expect(!is_plain || !e->combine.tally.is_open, 0))
        return emit_to_table(task, key, value);
    return context_is_often(e->combine.tally.records) ? add_word_now_and_then(task, key, value)
                                                      : add_word(task, key, value);
}

/* What does not change from key to key is asked once. */
static int emit_keys_to_sum(struct qn_task *task, const struct qn_slice *keys, size_t count,
                            struct qn_slice value)
{
    struct emit *e = emit_of(task);
    uint64_t number = value.len == 8 ? get_u64(value.data) : TALLY_NUMBERS;
    bool is_plain = number < TALLY_NUMBERS && e->combine.tally.is_open;
    if (!is_plain || e->c->host.emit != emit_to_sum)
        return context_emit_keys(task, keys, count, value);
    context_called(e->c);
    for (const struct qn_slice *at = keys; at < keys + count; at++) {
        struct slice key = key_from_qn(*at);
        size_t len = is_short(key) ? key.len : 0;
        uint64_t kept = len ? key_word_short(key.data, len) : 0, word = tally_word(kept, len);
        int rc = __builtin_expect(len && tally_takes(word, len), 1)
                     ? combine_tally(&e->combine, key_hash_word(kept, len), word, number)
                     : emit_to_table(task, *at, value);
        if (__builtin_expect(rc != 0, 0))
            return rc;
    }
    return 0;
}

/* For a combine of the job's own. (Apart, or emit_to_count saves registers for it.) */
static __attribute__((noinline)) int emit_to_gather(struct qn_task *task, struct qn_slice qkey,
                                                    struct qn_slice value)
{
    const struct context *c = context_of(task);
    struct emit *e = c->owner;
    struct slice key = key_from_qn(qkey);
    bool is_plain = is_short(key) && value.len == 8 && context_is_here(c);
    if (__builtin_expect(!is_plain, 0) || context_is_often(e->gather.in_records))
        return emit_to_table(task, qkey, value);
    uint64_t word = key_word_short(key.data, key.len), hash = key_hash_word(word, key.len);
    e->raw[key_hash_pick(hash, e->partitions)] += key.len + 8;
    return gather_add_word(&e->gather, hash, word, key.len, get_u64(value.data));
}

/* The same as long as its numbers are one number. */
static int emit_to_count(struct qn_task *task, struct qn_slice qkey, struct qn_slice value)
{
    const struct context *c = context_of(task);
    struct emit *e = c->owner;
    struct slice key = key_from_qn(qkey);
    if (!e->gather.tally.is_open)
        return emit_to_gather(task, qkey, value);
    bool is_plain = is_short(key) && value.len == 8 && context_is_here(c);
    if (__builtin_expect(!is_plain, 0) || context_is_often(e->gather.tally.records))
        return emit_to_table(task, qkey, value);
    uint64_t kept = key_word_short(key.data, key.len), word = tally_word(kept, key.len);
    if (__builtin_expect(!gather_counts(&e->gather, get_u64(value.data), word, key.len), 0))
        return emit_to_table(task, qkey, value);
    uint64_t hash = key_hash_word(kept, key.len);
    e->raw[key_hash_pick(hash, e->partitions)] += key.len + 8;
    return gather_count(&e->gather, hash, word);
}

static int emit_to_file(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct emit *e = emit_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    struct slice kept = key;
    if (!accept(e, &kept, &value, room))
        return -1;
    e->file_bytes += kept.len + value.len;
    if (sink_record(&e->output.sink, e->plugin->key, key, e->plugin->value, value) == 0)
        return 0;
    context_fail_engine(e->c, &e->output.sink.failed);
    return -1;
}

/* --- what emit takes ------------------------------------------------------------------------- */

uint64_t emit_flush_us(const struct emit *e)
{
    return e->combine.flush_us + e->combine.tally.flush_us + e->gather.flush_us +
           e->gather.tally.flush_us;
}

/* Time within emit that is measured by itself. */
static uint64_t lumps(const struct emit *e)
{
    return e->spill.sort_us + e->spill.spill_us + emit_flush_us(e) + e->output.sink.write_us;
}

/* In emit's place while a burst is measured. */
static int emit_measured(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    struct emit *e = emit_of(task);
    uint64_t before = lumps(e);
    if (!meter_is_on(&e->meter))
        meter_begin(&e->meter, METER_EMIT);
    else
        meter_move(&e->meter, METER_EMIT);
    int rc = e->emit(task, key, value);
    if (lumps(e) != before)
        meter_drop(&e->meter);
    if (!meter_is_on(&e->meter) || !meter_move(&e->meter, METER_USER))
        e->c->host.emit = e->emit;
    return rc;
}

static void measure_burst(void *owner)
{
    struct emit *e = owner;
    if (++e->often % BURST_EVERY == 0 && e->c->host.emit == e->emit) /* and not combine's */
        e->c->host.emit = emit_measured;
}

/* --- the job's own combine ------------------------------------------------------------------- */

struct values {
    struct qn_values head;
    struct gather *gather;
    struct qn_slice key;
};

/* Numbers are at hand in the head, where qn_next takes them by itself; who was built before it did
 * comes here. */
static int next_to_combine(struct qn_values *values, struct qn_slice *ret_value)
{
    struct slice value;
    if (values->left)
        return qn_next(values, ret_value);
    if (!gather_next(((struct values *)(void *)values)->gather, &value))
        return 0;
    *ret_value = key_to_qn(value);
    return 1;
}

static struct qn_slice key_in_combine(const struct qn_values *values)
{
    return ((const struct values *)(const void *)values)->key;
}

static int emit_from_combine(struct qn_task *task, struct qn_slice qkey, struct qn_slice qvalue)
{
    struct emit *e = emit_of(task);
    struct slice key = key_from_qn(qkey), value = key_from_qn(qvalue);
    uint8_t room[KEY_NUMBER_BYTES];
    return accept(e, &key, &value, room) && gather_emit(&e->gather, key, value) == 0 ? 0 : -1;
}

/* With a table of host functions that stays as it is: combine is called too often to make one. */
static int run_combine(void *arg, struct slice key, struct gather *g)
{
    struct emit *e = arg;
    struct context *c = e->c;
    struct values values = {.head = {.host = &e->combine_host}, .gather = g};
    gather_hand_over(g, &values.head.at, &values.head.step, &values.head.left);
    uint8_t room[KEY_NUMBER_BYTES];
    values.key = key_to_qn(key_restore(&e->order, key, room));
    void *further = c->further;
    c->further = NULL;
    c->task.host = &e->combine_host;
    int rc = e->plugin->job.combine(&c->task, values.key, &values.head);
    c->task.host = &c->host;
    c->further = further;
    return context_check(c, rc, "combine");
}

/* --- opening --------------------------------------------------------------------------------- */

void emit_init(struct emit *emit, struct context *c)
{
    const struct plugin *p = c->plugin;
    *emit = (struct emit){.c = c,
                          .plugin = p,
                          .order = plugin_order(p),
                          .partitions = c->run->partitions,
                          .record_max = c->run->memory / 4,
                          .value_is_number =
                              p->value == QN_U64 || p->value == QN_I64 || p->value == QN_F64};
    c->owner = emit;
}

static uint64_t clamp(uint64_t v, uint64_t low, uint64_t high)
{
    return v < low ? low : v > high ? high : v;
}

int emit_no_memory(struct emit *e)
{
    struct err why;
    char memory[32];
    err_set(&why, ERR_NOMEM, "%s are too little for a map task (-D mapreduce.map.memory.mb=...)",
            str_human(e->c->run->memory, memory, sizeof(memory)));
    return context_fail_engine(e->c, &why);
}
static int open_combine(struct emit *e, struct region *region)
{
    const struct fold fold = plugin_fold(e->plugin);
    size_t size = (size_t)clamp(e->c->run->memory / 8, COMBINE_SPACE_MIN, 256 * MIB);
    if (fold.op == QN_NO_FOLD && !e->plugin->job.combine)
        return 0;
    void *space = region_take(region, size);
    if (!space)
        return emit_no_memory(e);
    e->combine_host = e->c->host;
    e->combine_host.emit = emit_from_combine;
    e->combine_host.next = next_to_combine;
    e->combine_host.key_of = key_in_combine;
    e->has_combine = fold.op != QN_NO_FOLD;
    e->counts_in_table = fold_is_number(&fold) && e->value_is_number;
    e->has_gather = !e->has_combine;
    if (e->has_combine)
        combine_open(&e->combine, &fold, space, size, folded_out, e);
    else
        gather_open(&e->gather, &(struct gather_conf){.space = space,
                                                      .size = size,
                                                      .is_numbers = e->value_is_number,
                                                      .combine = run_combine,
                                                      .out = folded_out,
                                                      .arg = e});
    return 0;
}

static int open_spill(struct emit *e, const struct mapper_conf *conf)
{
    struct context *c = e->c;
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
        return emit_no_memory(e);
    snprintf(name, sizeof(name), "stage-%u-%u-%u.run", c->run->id.stage, c->run->id.task,
             c->run->id.attempt);
    struct spill_conf spill = {.partitions = e->partitions,
                               .order = e->order,
                               .fold = plugin_fold(e->plugin),
                               .sort_space = region_take(conf->region, sort_most),
                               .sort_size = sort_size,
                               .sort_most = sort_most,
                               .io_space = io_space,
                               .io_size = io_size,
                               .record_max = e->record_max,
                               .fan_in =
                                   (size_t)context_conf_size(c, "mapreduce.task.io.sort.factor", 0),
                               .scratch = conf->scratch,
                               .memfd = conf->memfd,
                               .memfd_limit = c->run->output_memory,
                               .run_name = name,
                               .ticks = &c->page->ticks};
    spill.run_name = slice_text(slice_str(name), &c->arena);
    if (!spill.run_name)
        return emit_no_memory(e);
    return spill_open(&e->spill, &spill, &why) == 0 ? 0 : context_fail_engine(c, &why);
}

static int (*choose_emit(const struct emit *e))(struct qn_task *, struct qn_slice, struct qn_slice)
{
    if (!e->has_combine && !e->has_gather)
        return emit_to_buffer;
    bool is_plain = !key_is_converted(&e->order) && e->order.type != QN_NONE;
    if (is_plain && e->has_combine && e->plugin->job.combine_op == QN_SUM &&
        fold_is_addition(&e->combine.fold))
        return emit_to_sum;
    bool is_hashed = !e->plugin->job.partition && !e->has_ranges;
    return is_plain && e->has_gather && is_hashed && e->value_is_number ? emit_to_count
                                                                        : emit_to_table;
}

static int open_ranges(struct emit *e)
{
    struct context *c = e->c;
    struct slice sample;
    struct err why;
    if (e->plugin->job.spread != QN_BY_RANGE || e->partitions < 2)
        return 0;
    int rc = sides_bytes(&c->sides, TASK_SIDE_RANGES, &sample, &why);
    if (rc == 0)
        rc = ranges_open(&e->ranges, sample, e->partitions, &c->arena, &why);
    e->has_ranges = rc == 0;
    return rc == 0 ? 0 : context_fail_engine(c, &why);
}

static void use_emit(struct emit *e,
                     int (*emit)(struct qn_task *, struct qn_slice, struct qn_slice))
{
    e->emit = emit;
    meter_open(&e->meter);
    e->c->host.emit = emit_measured; /* the first ones, too: there may be no more */
    e->c->on_often = measure_burst;
}

int emit_open(struct emit *e, const struct mapper_conf *conf)
{
    struct context *c = e->c;
    if (c->run->kind != TASK_MAP_OUT) {
        e->raw = arena_calloc(&c->arena, e->partitions, sizeof(*e->raw));
        int rc = e->raw ? open_combine(e, conf->region) : emit_no_memory(e);
        if (rc == 0)
            rc = open_ranges(e);
        e->has_hashes = e->partitions > 1 && !e->has_ranges && !e->plugin->job.partition;
        if (c->run->kind == TASK_MAP)
            sketch_open(&e->sketch,
                        &(struct sketch_conf){e->partitions,
                                              e->has_hashes || e->has_combine || e->has_gather,
                                              e->order},
                        &c->arena);
        use_emit(e, choose_emit(e));
        if (e->emit == emit_to_sum)
            c->host.emit_keys = emit_keys_to_sum;
        return rc == 0 ? open_spill(e, conf) : rc;
    }
    void *buffer = region_take(conf->region, SINK_BUFFER);
    use_emit(e, emit_to_file);
    return buffer ? output_open(&e->output, c, buffer) : emit_no_memory(e);
}

/* --- the end --------------------------------------------------------------------------------- */

uint64_t emit_records(const struct emit *e)
{
    return e->has_combine  ? combine_records(&e->combine)
           : e->has_gather ? gather_records(&e->gather)
                           : e->emitted;
}

uint64_t emit_bytes(const struct emit *e)
{
    uint64_t sum = e->file_bytes;
    for (uint32_t p = 0; e->raw && p < e->partitions; p++)
        sum += e->raw[p];
    return sum;
}
int emit_flush(struct emit *e)
{
    int rc = 0;
    if (e->has_combine)
        rc = combine_flush(&e->combine);
    else if (e->has_gather)
        rc = gather_flush(&e->gather);
    if (rc == 0 || e->c->failed.code != 0)
        return rc;
    struct err why;
    err_set(&why, rc, "combining: %s", err_text(rc));
    return context_fail_engine(e->c, &why);
}

void emit_close(struct emit *emit)
{
    gather_close(&emit->gather);
    spill_close(&emit->spill);
    output_abandon(&emit->output);
    emit->c->owner = NULL;
    emit->c->on_often = NULL;
}

bool emit_combines(const struct emit *emit)
{
    return (emit->has_combine && !emit->combine.is_aside) ||
           (emit->has_gather && !emit->gather.is_aside);
}

bool emit_is_to_file(const struct emit *emit)
{
    return emit->emit == emit_to_file;
}
