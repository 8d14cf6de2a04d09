/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/outputs/segments.h"

#include <unistd.h>

#include "worker/run/reader.h"

#define LEAST_OFFER_BYTES ((uint64_t)1 << 20)
#define USUAL_TIMES       4 /* an output is seldom longer than so many times its input */

void segments_init(struct segments *segments, uint64_t memory_max, uint64_t keep_ms,
                   struct leavings *leavings)
{
    *segments = (struct segments){.memory_max = memory_max, .leavings = leavings};
    list_init(&segments->all);
    spares_init(&segments->spares, keep_ms, leavings);
}

static void segment_free(struct segments *segments, struct segment *segment)
{
    if (segment->in_memory)
        segments->memory_used -= segment->len;
    if (segment->fd >= 0 && segment->path)
        leavings_add_file(segments->leavings, segment->fd);
    else if (segment->fd >= 0)
        leavings_add_memory(segments->leavings, segment->fd);
    mem_free(segment->path);
    mem_free(segment->data);
    mem_free(segment->parts);
    mem_free(segment->crcs);
    mem_free(segment);
}

void segment_unref(struct segments *segments, struct segment *segment)
{
    if (--segment->refs == 0)
        segment_free(segments, segment);
}

void segments_accept(struct segments *segments, struct segment *segment)
{
    segment->is_accepted = true;
    segments->on_accepted(segments->arg, segment);
}

void segments_drop(struct segments *segments, struct segment *segment)
{
    list_remove(&segment->link);
    segment->is_dropped = true;
    if (segment->path)
        unlink(segment->path); /* best effort: its directory goes with the job anyway. Quick: we
                                  have it open */
    segment_unref(segments, segment);
}

void segments_release(struct segments *segments)
{
    list_each_safe (&segments->all, it)
        segments_drop(segments, list_entry(it, struct segment, link));
    spares_release(&segments->spares);
}

/* The sums of whole partitions are in the run's own index, which is checked as it is read. */
static int read_index(struct segment *segment, struct err *err)
{
    struct run_reader reader;
    const char *name = segment->path ? segment->path : "map output in memory";
    int rc = segment->data
                 ? run_reader_open_memory(&reader, slice_of(segment->data, segment->len), name, err)
                 : run_reader_open(&reader, segment->fd, segment->len, name, err);
    segment->is_packed = rc == 0 && reader.is_packed;
    for (uint32_t i = 0; rc == 0 && i < segment->part_count; i++) {
        struct run_piece piece;
        uint32_t *sums = NULL;
        rc = run_reader_piece(&reader, i, &piece, &sums, err);
        mem_free(sums);
        if (rc == 0) {
            segment->parts[i].offset = piece.offset;
            segment->parts[i].len = piece.len;
            segment->parts[i].records = piece.records;
            segment->crcs[i] = piece.crc;
        }
    }
    return rc;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t segments_offer(struct segments *segments, const struct segments_wish *wish,
                        struct spare *ret)
{
    struct spares *spares = &segments->spares;
    uint64_t used = least(segments->memory_used, segments->memory_max); /* rows may take more */
    uint64_t left = segments->memory_max - used, input = wish->input_bytes;
    uint64_t offer = least(wish->task_memory, left / 2);
    uint64_t expected = wish->output_bytes ? wish->output_bytes : input;
    *ret = (struct spare){.fd = -1};
    if (offer < LEAST_OFFER_BYTES)
        return 0;
    if (expected > LEAST_OFFER_BYTES) /* small ones lie over one another in the process's own */
        *ret = spares_take(spares, wish->uid, expected + expected / 16, offer);
    spares_trim(spares, left - least(offer, USUAL_TIMES * input + LEAST_OFFER_BYTES));
    return least(offer, left - spares->bytes);
}

uint8_t *segments_read_small(int memfd, uint64_t len, struct err *err)
{
    uint8_t *data = len <= SEGMENT_SMALL_BYTES ? mem_alloc((size_t)len + 1) : NULL;
    if (!data) {
        err_set(err, ERR_NOMEM, "out of memory");
    } else if (pread(memfd, data, (size_t)len, 0) != (ssize_t)len) {
        err_set(err, ERR_CORRUPT, "the map output is shorter than its runner says");
        mem_free(data);
        data = NULL;
    }
    return data;
}

struct segment *segments_add(struct segments *segments, const struct task_done *done,
                             const struct segment_place *place, struct err *err)
{
    size_t n = done->parts.n;
    struct segment *segment = mem_calloc(1, sizeof(*segment));
    struct task_part *parts = mem_calloc(n + 1, sizeof(*parts));
    uint32_t *crcs = mem_calloc(n + 1, sizeof(*crcs));
    if (!segment || !parts || !crcs) {
        mem_free(segment);
        mem_free(parts);
        mem_free(crcs);
        mem_free(place->path);
        mem_free(place->data);
        if (place->fd >= 0)
            close(place->fd);
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        parts[i] = done->parts.v[i];
    *segment = (struct segment){
        .id = done->id,
        .fd = place->fd,
        .path = place->path,
        .data = place->data,
        .len = done->run_len,
        .in_memory = place->path == NULL,
        .refs = 1,
        .parts = parts,
        .crcs = crcs,
        .part_count = (uint32_t)n,
    };
    list_init(&segment->link);
    if (segment->in_memory)
        segments->memory_used += segment->len;
    if (read_index(segment, err) != 0) {
        segment_unref(segments, segment);
        return NULL;
    }
    list_push_back(&segments->all, &segment->link);
    return segment;
}

static bool same(const struct task_attempt *a, const struct task_attempt *b)
{
    return a->job == b->job && a->task == b->task && a->attempt == b->attempt &&
           a->stage == b->stage && a->cluster_ms == b->cluster_ms;
}

struct segment *segments_find(const struct segments *segments, const struct task_attempt *id)
{
    list_each (&segments->all, it) {
        struct segment *segment = list_entry(it, struct segment, link);
        if (same(&segment->id, id))
            return segment;
    }
    return NULL;
}

static void keep_memory(struct segments *segments, struct segment *segment,
                        const struct segments_owner *last)
{
    if (!segment->in_memory || segment->fd < 0 || segment->refs > 1)
        return;
    spares_put(&segments->spares,
               &(struct spare){segment->fd, segment->len, last->uid, last->now_ms});
    segment->fd = -1;
}

void segments_end_job(struct segments *segments, const struct segments_owner *last)
{
    list_each_safe (&segments->all, it) {
        struct segment *segment = list_entry(it, struct segment, link);
        if (segment->id.job != last->job || segment->id.cluster_ms != last->cluster_ms)
            continue;
        keep_memory(segments, segment, last);
        segments_drop(segments, segment);
    }
}
