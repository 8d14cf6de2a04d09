/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/spill.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/store/disk.h"
#include "worker/run/drain.h"

#define WRITE_BUFFER ((size_t)256 << 10)
#define READ_BUFFER  ((size_t)256 << 10) /* at most, per source */

/* Sources of one merge: spills [first, first + count) and, perhaps, the sort buffer behind them. */
struct sources {
    size_t first, count;
    bool has_buffer;
};

static size_t write_buffer(const struct spill *s)
{
    return s->conf.io_size / 4 < WRITE_BUFFER ? s->conf.io_size / 4 : WRITE_BUFFER;
}

/* How many spills can be merged at once. */
static size_t fan_in(const struct spill *s)
{
    size_t n = (s->conf.io_size - write_buffer(s)) / PIECE_BUFFER_MIN;
    if (s->conf.fan_in && s->conf.fan_in < n)
        n = s->conf.fan_in;
    return n < 2 ? 2 : n;
}

int spill_open(struct spill *s, const struct spill_conf *conf, struct err *err)
{
    *s = (struct spill){.conf = *conf};
    int rc = collect_open(&s->collect, conf->sort_space, conf->sort_size, conf->partitions,
                          &conf->order);
    return rc == 0 ? 0 : err_set(err, rc, "sort buffer: %s", err_text(rc));
}

static void drop_run(struct spill_run *run)
{
    scratch_file_close(&run->file);
    mem_free(run->parts);
}

void spill_close(struct spill *s)
{
    for (size_t i = 0; i < s->run_count; i++)
        drop_run(&s->runs[i]);
    mem_free(s->runs);
    collect_close(&s->collect);
    *s = (struct spill){0};
}

/* --- one partition, from its sources to the writer ------------------------------------------- */

struct opened {
    struct piece_cursor *pieces;
    uint32_t **sums;
    struct run_cursor **cursors;
    struct collect_cursor buffer;
    size_t count;
};

static void close_pieces(struct opened *o, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        piece_cursor_close(&o->pieces[i]);
        mem_free(o->sums[i]);
        o->sums[i] = NULL;
    }
    o->count = 0;
}

static int open_piece(struct spill *s, const struct sources *src, uint32_t partition, size_t i,
                      struct opened *o, struct err *err)
{
    const struct spill_run *run = &s->runs[src->first + i];
    struct run_reader reader;
    struct run_piece piece;
    int rc = run_reader_open(&reader, run->file.fd, run->len, "a spill of this task", err);
    if (rc == 0)
        rc = run_reader_piece(&reader, partition, &piece, &o->sums[i], err);
    if (rc != 0)
        return rc;
    size_t each = (s->conf.io_size - write_buffer(s)) / src->count;
    if (each > READ_BUFFER)
        each = READ_BUFFER;
    struct piece_conf conf = {.buffer = (uint8_t *)s->conf.io_space + write_buffer(s) + i * each,
                              .buffer_size = each,
                              .record_max = s->conf.record_max + RECORD_HEAD_MAX,
                              .name = "a spill of this task",
                              .err = err};
    piece_cursor_open(&o->pieces[i], &piece, &conf);
    o->cursors[o->count++] = &o->pieces[i].cursor;
    return 0;
}

static int merge_partition(struct spill *s, const struct sources *src, uint32_t partition,
                           struct opened *o, struct run_writer *w, struct err *err)
{
    int rc = 0;
    size_t opened = 0;
    for (; rc == 0 && opened < src->count; opened++)
        rc = open_piece(s, src, partition, opened, o, err);
    if (src->has_buffer) {
        collect_cursor_open(&o->buffer, &s->collect, partition);
        o->cursors[o->count++] = &o->buffer.cursor;
    }
    if (rc == 0)
        rc = drain(o->cursors, o->count,
                   &(struct drain){&s->conf.order, &s->conf.fold, w, s->conf.ticks}, err);
    close_pieces(o, opened);
    return rc;
}

static int merge_all(struct spill *s, const struct sources *src, const uint64_t *raw_bytes,
                     struct run_writer *w, struct err *err)
{
    struct opened o = {.pieces = mem_calloc(src->count + 1, sizeof(*o.pieces)),
                       .sums = mem_calloc(src->count + 1, sizeof(*o.sums)),
                       .cursors = mem_calloc(src->count + 1, sizeof(*o.cursors))};
    int rc = 0;
    if (!o.pieces || !o.sums || !o.cursors)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    for (uint32_t p = 0; rc == 0 && p < s->conf.partitions; p++) {
        rc = merge_partition(s, src, p, &o, w, err);
        run_writer_end_partition(w, raw_bytes ? raw_bytes[p] : 0);
    }
    mem_free(o.pieces);
    mem_free(o.sums);
    mem_free(o.cursors);
    return rc;
}

/* --- one run, wherever there is room --------------------------------------------------------- */

/* *ret_is_target: it was the target that failed, not a source. */
static int write_run(struct spill *s, const struct sources *src, const uint64_t *raw_bytes,
                     struct run_target target, struct spill_run *ret, bool *ret_is_target,
                     struct err *err)
{
    struct run_writer w;
    target.buffer = s->conf.io_space;
    target.buffer_size = write_buffer(s);
    int rc = run_writer_open(&w, &target, s->conf.partitions, err);
    *ret_is_target = false;
    if (rc != 0)
        return rc;
    rc = merge_all(s, src, raw_bytes, &w, err);
    if (rc != 0 && !run_writer_has_failed(&w)) {
        run_writer_abort(&w);
        return rc;
    }
    *ret_is_target = true;
    return run_writer_close(&w, &ret->parts, &ret->len, err);
}

static int write_file(struct spill *s, const struct sources *src, const uint64_t *raw_bytes,
                      const char *name, struct spill_run *ret, struct err *err)
{
    for (;;) {
        struct scratch_file file = SCRATCH_FILE_NONE;
        bool is_target = false;
        int rc = scratch_create(s->conf.scratch, name, &file, err);
        if (rc != 0)
            return rc;
        struct run_target target = {
            .fd = file.fd, .limit = UINT64_MAX, .packing = s->conf.scratch->packing};
        rc = write_run(s, src, raw_bytes, target, ret, &is_target, err);
        if (rc == 0) {
            ret->file = file;
            return 0;
        }
        if (!is_target || !scratch_give_up(s->conf.scratch, &file, rc)) {
            scratch_file_close(&file);
            return rc;
        }
    }
}

static void sort_buffer(struct spill *s)
{
    uint64_t start = clock_mono_us();
    collect_sort(&s->collect);
    s->sort_us += clock_mono_us() - start;
}

int spill_out(struct spill *s, struct err *err)
{
    if (mem_grow(&s->runs, &s->run_cap, s->run_count, sizeof(*s->runs)) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    sort_buffer(s);
    uint64_t start = clock_mono_us();
    fault_hit("task.spill");
    struct spill_run run = {.file = SCRATCH_FILE_NONE};
    int rc = write_file(s, &(struct sources){.has_buffer = true}, NULL, NULL, &run, err);
    s->spill_us += clock_mono_us() - start;
    if (rc != 0)
        return rc;
    s->runs[s->run_count++] = run;
    s->spills++;
    s->spilled_records += s->collect.count;
    s->spilled_bytes += run.len;
    collect_reset(&s->collect);
    return 0;
}

int spill_add_slow(struct spill *s, uint32_t partition, struct slice key, struct slice value,
                   struct err *err)
{
    if (key.len + value.len > s->conf.record_max || key.len > RECORD_LEN_MAX ||
        value.len > RECORD_LEN_MAX)
        return ERR_TOOBIG; /* the caller knows what to say */
    if (s->collect.count > 0) {
        int rc = spill_out(s, err);
        if (rc != 0)
            return rc;
    }
    if (collect_add(&s->collect, partition, key, value))
        return 0;
    if (s->conf.sort_most > s->conf.sort_size)
        collect_resize(&s->collect, s->conf.sort_most);
    return collect_add(&s->collect, partition, key, value) ? 0 : ERR_TOOBIG;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Neighbouring spills into one, until one merge can take them all. */
static int merge_some(struct spill *s, struct err *err)
{
    size_t most = fan_in(s);
    for (size_t at = 0; s->run_count > most; at++) {
        size_t count = s->run_count - most + 1;
        if (count > most)
            count = most;
        if (at + count > s->run_count)
            at = 0;
        struct spill_run run = {.file = SCRATCH_FILE_NONE};
        int rc =
            write_file(s, &(struct sources){.first = at, .count = count}, NULL, NULL, &run, err);
        if (rc != 0)
            return rc;
        for (size_t i = 0; i < count; i++)
            drop_run(&s->runs[at + i]);
        s->runs[at] = run;
        s->spilled_bytes += run.len;
        memmove(&s->runs[at + 1], &s->runs[at + count],
                (s->run_count - at - count) * sizeof(*s->runs));
        s->run_count -= count - 1;
        s->spills++;
    }
    return 0;
}

/* No run made of these sources is longer. */
static uint64_t longest_run(const struct spill *s)
{
    uint64_t len = RUN_HEADER_BYTES + RUN_FOOTER_BYTES + collect_bytes(&s->collect);
    for (size_t i = 0; i < s->run_count; i++)
        for (uint32_t p = 0; p < s->conf.partitions; p++)
            len += s->runs[i].parts[p].plain_bytes;
    return len + len / RUN_CHUNK * RUN_SUM_BYTES +
           s->conf.partitions * (uint64_t)(RUN_ROW_BYTES + RUN_SUM_BYTES);
}

static int write_last(struct spill *s, const uint64_t *raw_bytes, struct spill_run *run,
                      struct err *err)
{
    struct sources all = {.count = s->run_count, .has_buffer = true};
    if (s->conf.memfd >= 0 && longest_run(s) <= s->conf.memfd_limit) {
        bool is_target = false;
        struct run_target target = {.fd = s->conf.memfd, .limit = s->conf.memfd_limit};
        int rc = write_run(s, &all, raw_bytes, target, run, &is_target, err);
        if (rc == 0 || !is_target)
            return rc;
        /* Memory is short after all. */
        rc = disk_truncate(disk_real(), s->conf.memfd, 0);
        if (rc != 0)
            return err_set(err, rc, "map output memory: %s", err_text(rc));
    }
    return write_file(s, &all, raw_bytes, s->conf.run_name, run, err);
}

int spill_finish(struct spill *s, const uint64_t *raw_bytes, struct spill_result *ret,
                 struct err *err)
{
    sort_buffer(s);
    uint64_t start = clock_mono_us();
    struct spill_run run = {.file = SCRATCH_FILE_NONE};
    int rc = merge_some(s, err);
    if (rc == 0)
        rc = write_last(s, raw_bytes, &run, err);
    s->merge_us += clock_mono_us() - start;
    if (rc != 0)
        return rc;
    *ret = (struct spill_result){.parts = run.parts, .len = run.len, .path = run.file.path};
    run.file.path = NULL;
    scratch_file_close(&run.file);
    return 0;
}
