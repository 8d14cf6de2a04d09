/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/reduce/sources.h"

#include "libcommon/base/mem.h"

#define WRITE_BUFFER ((size_t)128 << 10)
#define READ_BUFFER  ((size_t)256 << 10)   /* at most, per source */
#define AHEAD        ((uint64_t)2 << 20)   /* asked of the disk in advance, per source, at most */
#define AHEAD_ALL    ((uint64_t)256 << 20) /* and for all together: it stays in the page cache */
#define NO_MAP       UINT32_MAX

struct source_item {
    struct run_piece piece;
    uint32_t map; /* NO_MAP: a scratch run */
    char name[40];
};

struct source_run {
    struct scratch_file file;
    uint32_t *sums;
};

static int no_memory(const struct sources *s)
{
    return err_set(s->conf.err, ERR_NOMEM, "out of memory");
}

static bool needs_buffer(const struct source_item *item)
{
    return run_piece_needs_buffer(&item->piece);
}

static size_t count_buffers(const struct source_item *items, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += needs_buffer(&items[i]);
    return n;
}

/* How many buffered sources can be read at once. */
static size_t most(const struct sources *s)
{
    size_t n = (s->conf.io_size - WRITE_BUFFER) / PIECE_BUFFER_MIN;
    if (s->conf.fan_in && s->conf.fan_in < n)
        n = s->conf.fan_in;
    return n < 2 ? 2 : n;
}

/* Cursors over items [first, first + count). */
static void open_cursors(struct sources *s, size_t first, size_t count)
{
    size_t buffers = count_buffers(s->items + first, count), taken = 0;
    size_t each = buffers ? (s->conf.io_size - WRITE_BUFFER) / buffers : 0;
    uint64_t ahead = buffers > AHEAD_ALL / AHEAD ? AHEAD_ALL / buffers : AHEAD;
    if (each > READ_BUFFER)
        each = READ_BUFFER;
    for (size_t i = 0; i < count; i++) {
        const struct source_item *item = &s->items[first + i];
        struct piece_conf conf = {.buffer =
                                      (uint8_t *)s->conf.io_space + WRITE_BUFFER + taken * each,
                                  .buffer_size = each,
                                  .record_max = s->conf.record_max + 16,
                                  .name = item->name,
                                  .err = s->conf.err,
                                  .ahead_max = ahead,
                                  .read_us = &s->read_us};
        taken += needs_buffer(item);
        piece_cursor_open(&s->pieces[i], &item->piece, &conf);
        s->cursors[i] = &s->pieces[i].cursor;
    }
    s->count = count;
}

static void close_cursors(struct sources *s, size_t first)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->pieces[i].is_bad && s->items[first + i].map != NO_MAP) {
            s->has_bad = true;
            s->bad_map = s->items[first + i].map;
        }
        piece_cursor_close(&s->pieces[i]);
    }
    s->count = 0;
}

static int write_run(struct sources *s, size_t first, size_t count, int fd, uint64_t *ret_len,
                     bool *ret_is_target)
{
    struct run_writer w;
    struct run_part *parts = NULL;
    struct run_target target = {.fd = fd,
                                .limit = UINT64_MAX,
                                .buffer = s->conf.io_space,
                                .buffer_size = WRITE_BUFFER,
                                .packing = s->conf.scratch->packing};
    int rc = run_writer_open(&w, &target, 1, s->conf.err);
    *ret_is_target = false;
    if (rc != 0)
        return rc;
    open_cursors(s, first, count);
    struct drain conf = {s->conf.order, s->conf.fold, &w, s->conf.ticks};
    rc = drain(s->cursors, s->count, &conf, s->conf.err);
    close_cursors(s, first);
    if (rc != 0 && !run_writer_has_failed(&w)) {
        run_writer_abort(&w);
        return rc;
    }
    *ret_is_target = true;
    rc = run_writer_close(&w, &parts, ret_len, s->conf.err);
    mem_free(parts);
    return rc;
}

/* Items [first, first + count) become one scratch run, made again elsewhere if a disk fails. */
static int merge_items(struct sources *s, size_t first, size_t count)
{
    struct source_run *run = &s->runs[s->run_count];
    struct source_item item = {.map = NO_MAP, .name = "a scratch run of this task"};
    struct run_reader reader;
    uint64_t len = 0;
    for (;;) {
        bool is_target = false;
        run->file = SCRATCH_FILE_NONE;
        int rc = scratch_create(s->conf.scratch, NULL, &run->file, s->conf.err);
        if (rc == 0)
            rc = write_run(s, first, count, run->file.fd, &len, &is_target);
        if (rc == 0)
            break;
        if (!is_target || !scratch_give_up(s->conf.scratch, &run->file, rc)) {
            scratch_file_close(&run->file);
            return rc;
        }
    }
    s->run_count++;
    s->merged_again++;
    int rc = run_reader_open(&reader, run->file.fd, len, item.name, s->conf.err);
    if (rc == 0)
        rc = run_reader_piece(&reader, 0, &item.piece, &run->sums, s->conf.err);
    s->items[first] = item;
    memmove(&s->items[first + 1], &s->items[first + count],
            (s->item_count - first - count) * sizeof(*s->items));
    s->item_count -= count - 1;
    return rc;
}

/* How many items from `first` on hold `buffers` buffered ones; 0: there are not so many. */
static size_t span_of(const struct sources *s, size_t first, size_t buffers)
{
    for (size_t i = first; i < s->item_count; i++) {
        buffers -= needs_buffer(&s->items[i]);
        if (buffers == 0)
            return i - first + 1;
    }
    return 0;
}

static int reduce_count(struct sources *s)
{
    size_t limit = most(s), first = 0, buffers;
    while ((buffers = count_buffers(s->items, s->item_count)) > limit) {
        size_t wanted = buffers - limit + 1 < limit ? buffers - limit + 1 : limit;
        size_t count = span_of(s, first, wanted);
        if (count == 0) {
            first = 0;
            continue;
        }
        int rc = merge_items(s, first++, count);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int sources_open(struct sources *sources, const struct piece *pieces, size_t count,
                 const struct sources_conf *conf)
{
    struct sources *s = sources;
    *s = (struct sources){.conf = *conf,
                          .items = mem_calloc(count + 1, sizeof(*s->items)),
                          .runs = mem_calloc(count + 1, sizeof(*s->runs)),
                          .pieces = mem_calloc(count + 1, sizeof(*s->pieces)),
                          .cursors = mem_calloc(count + 1, sizeof(*s->cursors))};
    if (!s->items || !s->runs || !s->pieces || !s->cursors)
        return no_memory(s);
    for (size_t i = 0; i < count; i++) {
        struct source_item *item = &s->items[s->item_count];
        if (pieces[i].run.records == 0 && pieces[i].run.len == 0)
            continue;
        *item = (struct source_item){.piece = pieces[i].run, .map = pieces[i].map};
        snprintf(item->name, sizeof(item->name), "output of map %u", item->map);
        s->item_count++;
    }
    int rc = reduce_count(s);
    if (rc == 0)
        open_cursors(s, 0, s->item_count);
    return rc;
}

bool sources_bad(const struct sources *sources, uint32_t *ret_map)
{
    if (sources->has_bad)
        *ret_map = sources->bad_map;
    for (size_t i = 0; i < sources->count; i++) {
        if (sources->pieces[i].is_bad && sources->items[i].map != NO_MAP) {
            *ret_map = sources->items[i].map;
            return true;
        }
    }
    return sources->has_bad;
}

void sources_close(struct sources *sources)
{
    close_cursors(sources, 0);
    for (size_t i = 0; i < sources->run_count; i++) {
        scratch_file_close(&sources->runs[i].file);
        mem_free(sources->runs[i].sums);
    }
    mem_free(sources->items);
    mem_free(sources->runs);
    mem_free(sources->pieces);
    mem_free(sources->cursors);
    *sources = (struct sources){0};
}
