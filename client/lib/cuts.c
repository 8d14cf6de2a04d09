/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/cuts.h"

/* A frame so many splits long: what comes behind it is not looked for, block by block. */
#define LOOK_SPLITS 4U
#define READ_SIZE   ((size_t)256 << 10)

struct cuts {
    struct split_cut *v;
    size_t n, cap;
};

static int keep(struct cuts *cuts, uint64_t offset, uint64_t frame)
{
    if (mem_grow(&cuts->v, &cuts->cap, cuts->n, sizeof(*cuts->v)) != 0)
        return ERR_NOMEM;
    cuts->v[cuts->n++] = (struct split_cut){offset, frame};
    return 0;
}

/* The first place that makes a split long enough, and so on from there. */
static int find_frames(const struct split_file *file, const struct split_conf *conf,
                       struct frames *frames, struct cuts *cuts)
{
    uint64_t size = splits_size(file, conf), at = 0, last = 0;
    int rc = 1;
    while (rc == 1 && file->len - at > splits_last_size(file, conf)) {
        struct frames_place place;
        rc = frames_next(frames, last + LOOK_SPLITS * size, &place);
        if (rc != 1)
            break;
        last = place.offset;
        if (last < at + size)
            continue;
        at = last;
        rc = keep(cuts, last, place.frame + 1) == 0 ? 1 : ERR_NOMEM;
    }
    return rc < 0 ? rc : 0;
}

/* Behind every so many lines, but for the file's end. */
static int find_lines(const struct split_file *file, uint64_t lines,
                      const struct frames_file *bytes, struct cuts *cuts, struct err *err)
{
    uint8_t *room = mem_alloc(READ_SIZE);
    uint64_t seen = 0;
    int64_t n = room ? 1 : ERR_NOMEM;
    for (uint64_t at = 0; n > 0 && at < file->len; at += (uint64_t)n) {
        n = bytes->read(bytes->arg, room, READ_SIZE, at, err);
        const uint8_t *p = room, *end = room + (n > 0 ? n : 0);
        while (n > 0 && (p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
            uint64_t next = at + (uint64_t)(++p - room);
            if (++seen % lines == 0 && next < file->len && keep(cuts, next, 0) != 0)
                n = ERR_NOMEM;
        }
    }
    mem_free(room);
    return n < 0 ? (int)n : 0;
}

int cuts_look(struct split_file *file, const struct split_conf *conf,
              const struct frames_file *bytes, struct arena *arena, struct err *err)
{
    enum unpack_kind kind;
    struct frames frames;
    struct cuts cuts = {0};
    int rc = frames_detect(bytes, &kind, err);
    if (rc != 0)
        return rc;
    file->is_whole = kind != UNPACK_PLAIN || conf->lines > 0;
    frames_open(&frames, bytes, kind, err);
    if (conf->lines > 0 && kind == UNPACK_PLAIN)
        rc = find_lines(file, conf->lines, bytes, &cuts, err);
    else if (conf->has_lines && (kind == UNPACK_ZSTD || kind == UNPACK_LZ4))
        rc = find_frames(file, conf, &frames, &cuts);
    struct split_cut *copy = rc == 0 ? arena_calloc(arena, cuts.n + 1, sizeof(*copy)) : NULL;
    if (rc == ERR_NOMEM || (rc == 0 && !copy))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0) {
        if (cuts.n)
            memcpy(copy, cuts.v, cuts.n * sizeof(*copy));
        file->cuts = copy;
        file->cut_count = cuts.n;
    }
    mem_free(cuts.v);
    return rc;
}
