/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/unpack.h"

#include <bzlib.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"

#define GZIP_WINDOW (15 + 16) /* largest window, gzip header */
#define ZLIB_WINDOW 15        /* ... zlib header */
#define BARE_WINDOW (-15)     /* ... no header */

struct unpack {
    enum unpack_kind kind;
    bool between; /* no frame is half read */
    z_stream gzip;
    bz_stream bzip2;
    bool has_bzip2; /* a stream is begun */
    ZSTD_DStream *zstd;
    uint8_t head[18]; /* of zstd's frame in hand, as far as it is known; a header has no more */
    size_t head_len;
    LZ4F_dctx *lz4;
    size_t unread; /* bytes behind the frame that we began to read inside: its checksum */
};

/* "BZh", its level, and how the first block begins (pi), or, of nothing, the end (its root). */
static bool is_bzip2(struct slice head)
{
    static const uint8_t block[] = {0x31, 0x41, 0x59, 0x26}, end[] = {0x17, 0x72, 0x45, 0x38};
    return head.len >= UNPACK_HEAD && memcmp(head.data, "BZh", 3) == 0 && head.data[3] >= '1' &&
           head.data[3] <= '9' &&
           (memcmp(head.data + 4, block, sizeof(block)) == 0 ||
            memcmp(head.data + 4, end, sizeof(end)) == 0);
}

/* Magic, the one method there is, and no flag that means nothing: other bytes may begin with two of
 * these. What is cut off after the magic is gzip that was cut off. */
static bool is_gzip(struct slice head)
{
    return head.len >= 2 && head.data[0] == 0x1f && head.data[1] == 0x8b &&
           (head.len < 3 || head.data[2] == 8) && (head.len < 4 || head.data[3] < 0x20);
}

enum unpack_kind unpack_detect(struct slice head)
{
    static const uint8_t zstd[] = {0x28, 0xb5, 0x2f, 0xfd}, lz4[] = {0x04, 0x22, 0x4d, 0x18};
    if (is_gzip(head))
        return UNPACK_GZIP;
    if (slice_has_prefix(head, slice_of(zstd, sizeof(zstd))))
        return UNPACK_ZSTD;
    if (slice_has_prefix(head, slice_of(lz4, sizeof(lz4))))
        return UNPACK_LZ4;
    if (is_bzip2(head))
        return UNPACK_BZIP2;
    return UNPACK_PLAIN;
}

static int begin_bzip2(struct unpack *u)
{
    u->bzip2 = (bz_stream){0};
    u->has_bzip2 = BZ2_bzDecompressInit(&u->bzip2, 0, 0) == BZ_OK;
    return u->has_bzip2 ? 0 : ERR_NOMEM;
}

static void end_bzip2(struct unpack *u)
{
    if (u->has_bzip2)
        BZ2_bzDecompressEnd(&u->bzip2);
    u->has_bzip2 = false;
}

static int begin(struct unpack *u)
{
    switch (u->kind) {
    case UNPACK_GZIP:
        return inflateInit2(&u->gzip, GZIP_WINDOW) == Z_OK ? 0 : ERR_NOMEM;
    case UNPACK_ZLIB:
        return inflateInit2(&u->gzip, ZLIB_WINDOW) == Z_OK ? 0 : ERR_NOMEM;
    case UNPACK_DEFLATE:
        return inflateInit2(&u->gzip, BARE_WINDOW) == Z_OK ? 0 : ERR_NOMEM;
    case UNPACK_BZIP2:
        return begin_bzip2(u);
    case UNPACK_ZSTD:
        u->zstd = ZSTD_createDStream();
        return u->zstd ? 0 : ERR_NOMEM;
    case UNPACK_LZ4:
        return LZ4F_isError(LZ4F_createDecompressionContext(&u->lz4, LZ4F_VERSION)) ? ERR_NOMEM : 0;
    case UNPACK_PLAIN:
        break;
    }
    return ERR_UNSUPPORTED;
}

int unpack_open(enum unpack_kind kind, struct unpack **ret)
{
    struct unpack *u = mem_calloc(1, sizeof(*u));
    if (!u)
        return ERR_NOMEM;
    u->kind = kind;
    u->between = true;
    int rc = begin(u);
    if (rc != 0) {
        mem_free(u);
        return rc;
    }
    *ret = u;
    return 0;
}

/* A context that has read a header keeps some of it: not the one that is to unpack. */
static int read_lz4_head(struct slice head, LZ4F_frameInfo_t *ret)
{
    LZ4F_dctx *reader = NULL;
    size_t used = head.len;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&reader, LZ4F_VERSION)))
        return ERR_NOMEM;
    bool is_bad = LZ4F_isError(LZ4F_getFrameInfo(reader, ret, head.data, &used));
    LZ4F_freeDecompressionContext(reader);
    return is_bad || ret->blockMode != LZ4F_blockIndependent || ret->dictID != 0 ? ERR_CORRUPT : 0;
}

/* The frame's own header, but for what is of all of it: its length and checksum. */
static int begin_inside(struct unpack *u, const LZ4F_frameInfo_t *info)
{
    const LZ4F_preferences_t how = {.frameInfo = {.blockSizeID = info->blockSizeID,
                                                  .blockMode = info->blockMode,
                                                  .blockChecksumFlag = info->blockChecksumFlag}};
    LZ4F_cctx *maker = NULL;
    uint8_t made[LZ4F_HEADER_SIZE_MAX];
    size_t none = 0;
    if (LZ4F_isError(LZ4F_createCompressionContext(&maker, LZ4F_VERSION)))
        return ERR_NOMEM;
    size_t len = LZ4F_compressBegin(maker, made, sizeof(made), &how), used = len;
    LZ4F_freeCompressionContext(maker);
    if (LZ4F_isError(len) ||
        LZ4F_isError(LZ4F_decompress(u->lz4, NULL, &none, made, &used, NULL)) || used != len)
        return ERR_NOMEM;
    u->unread = info->contentChecksumFlag == LZ4F_contentChecksumEnabled ? 4 : 0;
    u->between = false;
    return 0;
}

int unpack_open_inside(struct slice head, struct unpack **ret)
{
    struct unpack *u = NULL;
    LZ4F_frameInfo_t info = {0};
    int rc = read_lz4_head(head, &info);
    if (rc == 0)
        rc = unpack_open(UNPACK_LZ4, &u);
    if (rc == 0)
        rc = begin_inside(u, &info);
    if (rc == 0)
        *ret = u;
    else
        unpack_close(u);
    return rc;
}

void unpack_limit(struct unpack *u, uint64_t window)
{
    ZSTD_bounds most = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    int log = most.lowerBound;
    while (log < most.upperBound && (uint64_t)2 << log <= window)
        log++;
    if (u->kind == UNPACK_ZSTD)
        (void)ZSTD_DCtx_setParameter(u->zstd, ZSTD_d_windowLogMax, log);
}

/* RFC 8878, 3.1.1.1: magic, descriptor, then the window or, of a single segment, the size of all.
 */
uint64_t unpack_window(const struct unpack *u)
{
    uint8_t head[sizeof(u->head)] = {0};
    if (u->kind != UNPACK_ZSTD || u->head_len < 6)
        return 0;
    memcpy(head, u->head, u->head_len);
    uint64_t base = (uint64_t)1 << (10 + (head[5] >> 3));
    if (!(head[4] & 0x20))
        return base + base / 8 * (head[5] & 7);
    const uint8_t *size = head + 5 + ((1 << (head[4] & 3)) >> 1); /* behind the dictionary's id */
    switch (head[4] >> 6) {
    case 0:
        return size[0];
    case 1:
        return get_u16(size) + 256U;
    case 2:
        return get_u32(size);
    default:
        return get_u64(size);
    }
}

void unpack_close(struct unpack *u)
{
    if (!u)
        return;
    inflateEnd(&u->gzip); /* which refuses what never began */
    end_bzip2(u);
    ZSTD_freeDStream(u->zstd);
    LZ4F_freeDecompressionContext(u->lz4);
    mem_free(u);
}

/* zlib counts in unsigned int. */
static uInt clip(size_t n)
{
    return n < (1U << 30) ? (uInt)n : 1U << 30;
}

static int step_gzip(struct unpack *u, struct slice *in, void *out, size_t cap, size_t *ret_len)
{
    if (u->between && in->len && inflateReset(&u->gzip) != Z_OK) /* the next member */
        return ERR_CORRUPT;
    u->between = u->between && in->len == 0;
    u->gzip.next_in = (Bytef *)(uintptr_t)in->data;
    u->gzip.avail_in = clip(in->len);
    u->gzip.next_out = out;
    u->gzip.avail_out = clip(cap);
    int rc = inflate(&u->gzip, Z_NO_FLUSH);
    size_t used = clip(in->len) - u->gzip.avail_in;
    *ret_len = clip(cap) - u->gzip.avail_out;
    *in = slice_of(in->data + used, in->len - used);
    if (rc == Z_STREAM_END)
        u->between = true;
    return rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR ? 0 : ERR_CORRUPT;
}

static int step_bzip2(struct unpack *u, struct slice *in, void *out, size_t cap, size_t *ret_len)
{
    if (!u->has_bzip2 && begin_bzip2(u) != 0) /* the next stream */
        return ERR_NOMEM;
    u->between = u->between && in->len == 0;
    u->bzip2.next_in = (char *)(uintptr_t)in->data;
    u->bzip2.avail_in = clip(in->len);
    u->bzip2.next_out = out;
    u->bzip2.avail_out = clip(cap);
    int rc = BZ2_bzDecompress(&u->bzip2);
    size_t used = clip(in->len) - u->bzip2.avail_in;
    *ret_len = clip(cap) - u->bzip2.avail_out;
    *in = slice_of(in->data + used, in->len - used);
    if (rc == BZ_STREAM_END) {
        end_bzip2(u);
        u->between = true;
    }
    return rc == BZ_OK || rc == BZ_STREAM_END ? 0 : rc == BZ_MEM_ERROR ? ERR_NOMEM : ERR_CORRUPT;
}

/* The beginning of a frame, which may come in several steps. */
static void keep_head(struct unpack *u, struct slice in)
{
    size_t room = sizeof(u->head) - u->head_len, n = in.len < room ? in.len : room;
    if (n)
        memcpy(u->head + u->head_len, in.data, n);
    u->head_len += n;
}

static int step_zstd(struct unpack *u, struct slice *in, void *out, size_t cap, size_t *ret_len)
{
    ZSTD_inBuffer from = {in->data, in->len, 0};
    ZSTD_outBuffer to = {out, cap, 0};
    size_t rc = ZSTD_decompressStream(u->zstd, &to, &from);
    if (ZSTD_isError(rc)) {
        keep_head(u, *in);
        return ZSTD_getErrorCode(rc) == ZSTD_error_frameParameter_windowTooLarge ? ERR_TOOBIG
                                                                                 : ERR_CORRUPT;
    }
    u->between = rc == 0;
    if (u->between) /* no step goes beyond a frame's end */
        u->head_len = 0;
    else
        keep_head(u, slice_of(in->data, from.pos));
    *ret_len = to.pos;
    *in = slice_of(in->data + from.pos, in->len - from.pos);
    return 0;
}

static int step_lz4(struct unpack *u, struct slice *in, void *out, size_t cap, size_t *ret_len)
{
    size_t used = in->len, made = cap;
    if (u->between && u->unread > 0) {
        used = u->unread < in->len ? u->unread : in->len;
        u->unread -= used;
        *in = slice_of(in->data + used, in->len - used);
        return 0;
    }
    size_t rc = LZ4F_decompress(u->lz4, out, &made, in->data, &used, NULL);
    if (LZ4F_isError(rc))
        return ERR_CORRUPT;
    u->between = rc == 0;
    *ret_len = made;
    *in = slice_of(in->data + used, in->len - used);
    return 0;
}

int unpack_step(struct unpack *u, struct slice *in, void *out, size_t cap, size_t *ret_len)
{
    *ret_len = 0;
    if (in->len == 0 && u->between)
        return 0;
    switch (u->kind) {
    case UNPACK_GZIP:
    case UNPACK_ZLIB:
    case UNPACK_DEFLATE:
        return step_gzip(u, in, out, cap, ret_len);
    case UNPACK_BZIP2:
        return step_bzip2(u, in, out, cap, ret_len);
    case UNPACK_ZSTD:
        return step_zstd(u, in, out, cap, ret_len);
    case UNPACK_LZ4:
        return step_lz4(u, in, out, cap, ret_len);
    case UNPACK_PLAIN:
        break;
    }
    return ERR_UNSUPPORTED;
}

bool unpack_is_complete(const struct unpack *u)
{
    return u->between && u->unread == 0;
}
