/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/frames.h"

#include "libcommon/base/buf.h"

#define ZSTD_MAGIC      0xfd2fb528U
#define LZ4_MAGIC       0x184d2204U
#define SKIP_MAGIC      0x184d2a50U /* its last four bits are anybody's */
#define SKIP_HEAD       8U
#define SKIPS_LOOKED_AT 1000U
#define ZSTD_CHECKSUM   0x04U
#define ZSTD_SINGLE     0x20U
#define LZ4_INDEPENDENT 0x20U
#define LZ4_BLOCK_SUM   0x10U
#define LZ4_SIZE        0x08U
#define LZ4_SUM         0x04U
#define LZ4_DICTIONARY  0x01U

enum zstd_block { BLOCK_RAW, BLOCK_RLE, BLOCK_PACKED, BLOCK_RESERVED };

static bool is_skippable(uint32_t magic)
{
    return (magic & ~15U) == SKIP_MAGIC;
}

int frames_detect(const struct frames_file *file, enum unpack_kind *ret, struct err *err)
{
    uint64_t at = 0;
    bool has_skipped = false;
    for (unsigned i = 0; i < SKIPS_LOOKED_AT && at < file->len; i++) {
        uint8_t head[UNPACK_HEAD];
        int64_t n = file->read(file->arg, head, sizeof(head), at, err);
        if (n < 0)
            return (int)n;
        *ret = unpack_detect(slice_of(head, (size_t)n));
        bool is_framed = *ret == UNPACK_ZSTD || *ret == UNPACK_LZ4;
        if (n < (int64_t)sizeof(head) || !is_skippable(get_u32(head))) {
            if (has_skipped && !is_framed)
                *ret = UNPACK_PLAIN;
            return 0;
        }
        has_skipped = true;
        at += SKIP_HEAD + (uint64_t)get_u32(head + 4);
    }
    /* Nothing else than skippable frames, to the byte: no text. */
    *ret = has_skipped && at == file->len ? UNPACK_ZSTD : UNPACK_PLAIN;
    return 0;
}

void frames_open(struct frames *frames, const struct frames_file *file, enum unpack_kind kind,
                 struct err *err)
{
    *frames = (struct frames){.file = file, .kind = kind, .err = err};
}

/* `len` bytes here: 1; 0 when the file has not so many; negative. */
static int look(const struct frames *f, uint8_t *bytes, size_t len)
{
    if (f->at > f->file->len || len > f->file->len - f->at)
        return 0;
    int64_t n = f->file->read(f->file->arg, bytes, len, f->at, f->err);
    return n < 0 ? (int)n : n == (int64_t)len;
}

/* --- headers: 1 when we are behind it, 0 when it makes no sense ------------------------------- */

static int enter_zstd(struct frames *f)
{
    static const uint8_t dictionary[] = {0, 1, 2, 4}, content[] = {0, 2, 4, 8};
    int rc = 0;
    f->at += 4;
    if ((rc = look(f, &f->flags, 1)) <= 0)
        return rc;
    bool is_single = f->flags & ZSTD_SINGLE;
    f->at += 1U + !is_single + dictionary[f->flags & 3] + content[f->flags >> 6];
    f->at += is_single && f->flags >> 6 == 0;
    return 1;
}

static int enter_lz4(struct frames *f)
{
    int rc = 0;
    f->at += 4;
    if ((rc = look(f, &f->flags, 1)) <= 0)
        return rc;
    if (f->flags >> 6 != 1)
        return 0;
    f->at += 3U + (f->flags & LZ4_SIZE ? 8 : 0) + (f->flags & LZ4_DICTIONARY ? 4 : 0);
    f->is_lz4_free = (f->flags & LZ4_INDEPENDENT) && !(f->flags & LZ4_DICTIONARY);
    return 1;
}

static int enter(struct frames *f, struct frames_place *ret)
{
    uint8_t head[4];
    int rc = look(f, head, sizeof(head));
    if (rc <= 0)
        return rc;
    uint32_t magic = get_u32(head);
    if (is_skippable(magic)) {
        f->at += 4;
        rc = look(f, head, sizeof(head));
        f->at += 4 + (uint64_t)get_u32(head);
        return rc;
    }
    if (magic != (f->kind == UNPACK_ZSTD ? ZSTD_MAGIC : LZ4_MAGIC))
        return 0;
    f->frame = f->at;
    f->is_inside = true;
    *ret = (struct frames_place){f->at, f->at};
    return f->kind == UNPACK_ZSTD ? enter_zstd(f) : enter_lz4(f);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static int pass_zstd(struct frames *f)
{
    uint8_t head[4] = {0};
    int rc = look(f, head, 3);
    uint32_t word = get_u32(head), size = word >> 3;
    enum zstd_block type = (word >> 1) & 3;
    bool is_last = word & 1;
    if (rc <= 0 || type == BLOCK_RESERVED)
        return rc < 0 ? rc : 0;
    f->at += 3 + (type == BLOCK_RLE ? 1 : size);
    if (is_last) {
        f->at += f->flags & ZSTD_CHECKSUM ? 4 : 0;
        f->is_inside = false;
    }
    return 1;
}

static int pass_lz4(struct frames *f)
{
    uint8_t head[4];
    int rc = look(f, head, sizeof(head));
    if (rc <= 0)
        return rc;
    uint32_t size = get_u32(head) & 0x7fffffffU;
    f->is_inside = get_u32(head) != 0;
    f->at += 4 + (uint64_t)size;
    if (f->is_inside)
        f->at += f->flags & LZ4_BLOCK_SUM ? 4 : 0;
    else
        f->at += f->flags & LZ4_SUM ? 4 : 0;
    return 1;
}

/* Is there a block of its own right here, and not only the frame's end? */
static int is_at_block(const struct frames *f)
{
    uint8_t head[4];
    int rc = look(f, head, sizeof(head));
    return rc <= 0 ? rc : get_u32(head) != 0;
}

int frames_next(struct frames *frames, uint64_t until, struct frames_place *ret)
{
    struct frames *f = frames;
    int rc = 1;
    while (rc == 1 && f->at < f->file->len && f->at <= until) {
        if (!f->is_inside) {
            rc = enter(f, ret);
            if (rc != 1 || f->is_inside)
                return rc;
            continue;
        }
        rc = f->kind == UNPACK_ZSTD ? pass_zstd(f) : pass_lz4(f);
        if (rc == 1 && f->is_inside && f->kind == UNPACK_LZ4 && f->is_lz4_free) {
            *ret = (struct frames_place){f->at, f->frame};
            if ((rc = is_at_block(f)) == 1)
                return 1;
            rc = rc < 0 ? rc : 1; /* the frame's end, which comes next */
        }
    }
    return rc < 0 ? rc : 0;
}
