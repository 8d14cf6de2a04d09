/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/splits.h"

#include "libcommon/base/path.h"

#define ROWS_PER_TASK 1000000
#define SAMPLE_COUNT  32
#define SAMPLE_BYTES  ((uint64_t)64 << 10) /* a stretch */

struct cutter {
    const struct split_file *files;
    const struct split_conf *confs; /* by a file's input */
    struct arena *arena;
    struct splits *out;
    size_t cap;
    struct split_segment *pack; /* the split being filled */
    size_t pack_count, pack_cap;
    uint64_t pack_bytes, pack_target;
    int rc;
};

uint64_t splits_size(const struct split_file *file, const struct split_conf *conf)
{
    uint64_t size = file->block_size ? file->block_size : 128ULL << 20;
    if (conf->max_bytes && conf->max_bytes < size)
        size = conf->max_bytes;
    return conf->min_bytes > size ? conf->min_bytes : size;
}

/* As Hadoop: a last piece may be up to a tenth longer, so that no crumbs are left. */
uint64_t splits_last_size(const struct split_file *file, const struct split_conf *conf)
{
    uint64_t size = splits_size(file, conf);
    return size + size / 10;
}

/* --- where a split should run ---------------------------------------------------------------- */

struct held {
    struct slice node;
    uint64_t bytes;
};

#define HELD_MAX 64 /* nodes looked at per split: beyond that the best are found already */

static void count_node(struct held *held, size_t *count, struct slice node, uint64_t bytes)
{
    for (size_t i = 0; i < *count; i++) {
        if (slice_eq(held[i].node, node)) {
            held[i].bytes += bytes;
            return;
        }
    }
    if (*count < HELD_MAX)
        held[(*count)++] = (struct held){node, bytes};
}

static uint64_t overlap(const struct split_segment *segment, const struct split_block *block)
{
    uint64_t from = segment->offset > block->offset ? segment->offset : block->offset;
    uint64_t end = segment->offset + segment->length, block_end = block->offset + block->length;
    if (block_end < end)
        end = block_end;
    return end > from ? end - from : 0;
}

/* First block that reaches beyond the segment's start. */
static size_t first_block(const struct split_file *file, uint64_t offset)
{
    size_t low = 0, high = file->block_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (file->blocks[mid].offset + file->blocks[mid].length <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void count_segment(const struct split_file *file, const struct split_segment *segment,
                          struct held *held, size_t *count)
{
    for (size_t b = first_block(file, segment->offset); b < file->block_count; b++) {
        uint64_t bytes = overlap(segment, &file->blocks[b]);
        if (bytes == 0)
            return;
        for (uint32_t n = 0; n < file->blocks[b].node_count; n++)
            count_node(held, count, file->blocks[b].nodes[n], bytes);
    }
}

/* Those with at least half of what the best one holds, best first; ties in order of appearance. */
static void rank_nodes(const struct cutter *c, struct split *split)
{
    struct held held[HELD_MAX];
    size_t count = 0;
    for (size_t i = 0; i < split->segment_count; i++)
        count_segment(&c->files[split->segments[i].file], &split->segments[i], held, &count);
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = held[i].bytes > most ? held[i].bytes : most;
    while (split->node_count < SPLIT_NODES_MAX) {
        struct held *best = NULL;
        for (size_t i = 0; i < count; i++)
            if (held[i].bytes && (!best || held[i].bytes > best->bytes))
                best = &held[i];
        if (!best || best->bytes < most / 2)
            return;
        split->nodes[split->node_count++] = best->node;
        best->bytes = 0;
    }
}

/* --- cutting --------------------------------------------------------------------------------- */

/* Grow an arena array by doubling; the old copy stays in the arena. */
static void *grown(struct cutter *c, const void *items, size_t used, size_t *cap, size_t size)
{
    if (used < *cap)
        return (void *)(uintptr_t)items;
    size_t want = *cap ? *cap * 2 : 16;
    void *to = arena_calloc(c->arena, want, size);
    if (!to) {
        c->rc = ERR_NOMEM;
        return NULL;
    }
    if (used)
        memcpy(to, items, used * size);
    *cap = want;
    return to;
}

static void emit(struct cutter *c, const struct split_segment *segments, size_t count,
                 uint64_t bytes)
{
    struct split_segment *copy = arena_calloc(c->arena, count, sizeof(*copy));
    struct split *v = grown(c, c->out->v, c->out->n, &c->cap, sizeof(*v));
    if (!copy || !v) {
        c->rc = ERR_NOMEM;
        return;
    }
    memcpy(copy, segments, count * sizeof(*copy));
    c->out->v = v;
    struct split *split = &v[c->out->n++];
    *split = (struct split){.segments = copy, .segment_count = count, .bytes = bytes};
    c->out->bytes += bytes;
    rank_nodes(c, split);
}

static void close_pack(struct cutter *c)
{
    if (c->pack_count)
        emit(c, c->pack, c->pack_count, c->pack_bytes);
    c->pack_count = 0;
    c->pack_bytes = 0;
}

static bool fits_pack(const struct cutter *c, const struct split_segment *segment, uint64_t target)
{
    uint64_t most = target < c->pack_target ? target : c->pack_target;
    return c->pack_bytes + segment->length <= most && c->pack_count < SPLIT_SEGMENTS_MAX &&
           c->files[c->pack[0].file].input == c->files[segment->file].input;
}

static void pack(struct cutter *c, struct split_segment segment, uint64_t target)
{
    if (c->pack_count && !fits_pack(c, &segment, target))
        close_pack(c);
    if (c->pack_count == 0)
        c->pack_target = target;
    c->pack = grown(c, c->pack, c->pack_count, &c->pack_cap, sizeof(*c->pack));
    if (!c->pack)
        return;
    c->pack[c->pack_count++] = segment;
    c->pack_bytes += segment.length;
}

/* What waits to be packed comes first: tasks are in the order of the input, and so are the values
 * of a key. */
static void emit_alone(struct cutter *c, struct split_segment segment)
{
    close_pack(c);
    if (c->rc == 0)
        emit(c, &segment, 1, segment.length);
}

bool splits_would_cut(const struct split_file *file, const struct split_conf *conf)
{
    return !conf->is_whole && (file->len > splits_last_size(file, conf) || conf->lines > 0);
}

static const struct split_conf *conf_of(const struct cutter *c, const struct split_file *file)
{
    return &c->confs[file->input];
}

/* At the places given; where `ret` begins, its length is that of the file's rest. */
static void cut_at_places(struct cutter *c, struct split_segment *ret)
{
    const struct split_file *file = &c->files[ret->file];
    ret->frame = file->cut_count && file->cuts[0].frame ? 1 : 0;
    for (size_t i = 0; c->rc == 0 && i < file->cut_count; i++) {
        ret->length = file->cuts[i].offset - ret->offset;
        emit_alone(c, *ret);
        *ret = (struct split_segment){ret->file, file->cuts[i].offset,
                                      file->len - file->cuts[i].offset, file->cuts[i].frame};
    }
}

static void cut_plain(struct cutter *c, struct split_segment *ret, uint64_t size)
{
    const struct split_file *file = &c->files[ret->file];
    while (c->rc == 0 && file->len - ret->offset > splits_last_size(file, conf_of(c, file))) {
        ret->length = size;
        emit_alone(c, *ret);
        ret->offset += size;
    }
    ret->length = file->len - ret->offset;
}

static void cut_file(struct cutter *c, uint32_t index)
{
    const struct split_file *file = &c->files[index];
    const struct split_conf *conf = conf_of(c, file);
    uint64_t size = splits_size(file, conf);
    struct split_segment rest = {.file = index, .length = file->len};
    if (file->is_whole)
        cut_at_places(c, &rest);
    else if (!conf->is_whole)
        cut_plain(c, &rest, size);
    if (c->rc != 0 || (rest.length == 0 && (rest.offset > 0 || conf->lines > 0)))
        return;
    if (rest.length >= size || conf->lines > 0)
        emit_alone(c, rest);
    else
        pack(c, rest, size);
}

int splits_compute(const struct split_file *files, size_t file_count,
                   const struct split_conf *confs, struct arena *arena, struct splits *ret)
{
    *ret = (struct splits){0};
    struct cutter c = {.files = files, .confs = confs, .arena = arena, .out = ret};
    for (size_t i = 0; c.rc == 0 && i < file_count; i++)
        cut_file(&c, (uint32_t)i);
    if (c.rc == 0)
        close_pack(&c);
    return c.rc;
}

/* A pattern's first part, up to the slash behind it. */
static struct slice take_part(struct slice *rest)
{
    const uint8_t *slash = rest->len ? memchr(rest->data, '/', rest->len) : NULL;
    size_t len = slash ? (size_t)(slash - rest->data) : rest->len;
    struct slice part = slice_of(rest->data, len);
    *rest = slice_of(rest->data + len + (slash != NULL), rest->len - len - (slash != NULL));
    return part;
}

static bool is_matched(struct slice pattern, struct slice path)
{
    if (pattern.len == 0)
        return false;
    if (!memchr(pattern.data, '/', pattern.len))
        return path_glob_match(pattern, path_name(path));
    while (pattern.len > 0 && path.len > 0)
        if (!path_glob_match(take_part(&pattern), take_part(&path)))
            return false;
    return pattern.len == 0 && path.len == 0;
}

bool splits_exclude(const struct conf_list *patterns, struct slice path)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (is_matched(slice_str(patterns->items[i]), path))
            return true;
    return false;
}

int splits_rows(struct slice text, uint64_t tasks, struct split_file *ret)
{
    static const char units[] = "kmbt";
    uint64_t rows = 0, unit = 1;
    const char *at = NULL;
    if (text.len > 1 && (at = strchr(units, text.data[text.len - 1] | 0x20)) != NULL && *at) {
        for (const char *u = units; u <= at; u++)
            unit *= 1000;
        text.len--;
    }
    if (text.len == 0)
        return ERR_INVAL;
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9' || __builtin_mul_overflow(rows, 10, &rows) ||
            __builtin_add_overflow(rows, (uint64_t)(text.data[i] - '0'), &rows))
            return ERR_INVAL;
    if (__builtin_mul_overflow(rows, unit, &rows) || rows > UINT64_MAX / 2)
        return ERR_INVAL;
    uint64_t each = tasks ? (rows + tasks - 1) / tasks : ROWS_PER_TASK;
    *ret = (struct split_file){.path = slice_str(""), .len = rows, .block_size = each ? each : 1};
    return 0;
}

/* --- a sample -------------------------------------------------------------------------------- */

/* From `at` in the file on, or behind what is in the sample so far. */
static void add_stretch(struct split *split, const struct split_file *files, size_t file,
                        uint64_t at)
{
    struct split_segment *last =
        split->segment_count ? &split->segments[split->segment_count - 1] : NULL;
    if (!last || last->file != file)
        at = 0;
    else if (at < last->offset + last->length)
        at = last->offset + last->length;
    uint64_t length = files[file].len - at;
    if (length > SAMPLE_BYTES)
        length = SAMPLE_BYTES;
    if (length > 0)
        split->segments[split->segment_count++] =
            (struct split_segment){.file = (uint32_t)file, .offset = at, .length = length};
}

int splits_sample(const struct split_file *files, size_t file_count, struct arena *arena,
                  struct split *ret)
{
    uint64_t total = 0, before = 0; /* bytes of the files before `file` */
    size_t file = 0;
    *ret = (struct split){.segments = arena_calloc(arena, SAMPLE_COUNT, sizeof(*ret->segments))};
    if (!ret->segments)
        return ERR_NOMEM;
    for (size_t i = 0; i < file_count; i++)
        total += files[i].len;
    for (uint64_t i = 0; total > 0 && i < SAMPLE_COUNT; i++) {
        uint64_t at = (uint64_t)((__uint128_t)total * i / SAMPLE_COUNT);
        while (at >= before + files[file].len)
            before += files[file++].len;
        add_stretch(ret, files, file, at - before);
    }
    return 0;
}
