/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/codec/packer.h"

#include <bzlib.h>
#include <lz4frame.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "libcommon/base/mem.h"

#define PIECE       ((size_t)64 << 10) /* given to a codec at once: zlib and bzip2 count in int */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8
#define BZIP2_LEVEL 9
#define ZSTD_FRAME                                                                 \
    ((size_t)16 << 20) /* of text, so that what is long can be cut when it is read \
                        */
#define ZSTD_HARD   9  /* beyond, windows of their own choice would take hundreds of megabytes */
#define ZSTD_WINDOW 21 /* its logarithm */

struct packer {
    enum packer_kind kind;
    packer_out out;
    void *arg;
    z_stream gzip;
    bz_stream bzip2;
    ZSTD_CStream *zstd;
    size_t in_frame; /* zstd: bytes of text */
    LZ4F_cctx *lz4;
    LZ4F_preferences_t lz4_how;
    bool is_begun; /* lz4: its header is out */
    uint8_t *room;
    size_t cap;
};

static const struct {
    const char *name, *class, *suffix;
} kinds[] = {
    [PACKER_PLAIN] = {"none", "", ""},
    [PACKER_GZIP] = {"gzip", "GzipCodec", ".gz"},
    [PACKER_ZSTD] = {"zstd", "ZStandardCodec", ".zst"},
    [PACKER_LZ4] = {"lz4", "Lz4Codec", ".lz4"},
    [PACKER_BZIP2] = {"bzip2", "BZip2Codec", ".bz2"},
};

enum packer_kind packer_kind_of(const char *name)
{
    const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
    for (size_t i = PACKER_GZIP; i < ARRAY_LEN(kinds); i++)
        if (strcasecmp(last, kinds[i].name) == 0 || strcmp(last, kinds[i].class) == 0)
            return (enum packer_kind)i;
    return PACKER_PLAIN;
}

const char *packer_suffix(enum packer_kind kind)
{
    return kinds[kind].suffix;
}

/* --- the codecs' beginnings and ends --------------------------------------------------------- */

static int begin(struct packer *p, int level)
{
    switch (p->kind) {
    case PACKER_GZIP:
        return deflateInit2(&p->gzip, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                            GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) == Z_OK
                   ? 0
                   : ERR_NOMEM;
    case PACKER_BZIP2:
        return BZ2_bzCompressInit(&p->bzip2, level ? level : BZIP2_LEVEL, 0, 0) == BZ_OK
                   ? 0
                   : ERR_NOMEM;
    case PACKER_ZSTD:
        p->zstd = ZSTD_createCStream();
        if (!p->zstd)
            return ERR_NOMEM;
        ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_compressionLevel, level);
        ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1);
        if (level > ZSTD_HARD)
            ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_windowLog, ZSTD_WINDOW);
        return 0;
    case PACKER_LZ4:
        p->lz4_how.compressionLevel = level;
        return LZ4F_isError(LZ4F_createCompressionContext(&p->lz4, LZ4F_VERSION)) ? ERR_NOMEM : 0;
    case PACKER_PLAIN:
        break;
    }
    return ERR_UNSUPPORTED;
}

int packer_open(enum packer_kind kind, int level, packer_out out, void *arg, struct packer **ret)
{
    struct packer *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return ERR_NOMEM;
    *p = (struct packer){.kind = kind, .out = out, .arg = arg};
    p->lz4_how.frameInfo = (LZ4F_frameInfo_t){.blockSizeID = LZ4F_max1MB,
                                              .blockMode = LZ4F_blockIndependent,
                                              .contentChecksumFlag = LZ4F_contentChecksumEnabled};
    p->cap = kind == PACKER_LZ4 ? LZ4F_compressBound(PIECE, &p->lz4_how) : 2 * PIECE;
    p->room = mem_alloc(p->cap);
    int rc = p->room ? begin(p, level) : ERR_NOMEM;
    if (rc == 0)
        *ret = p;
    else
        packer_close(p);
    return rc;
}

void packer_close(struct packer *p)
{
    if (!p)
        return;
    deflateEnd(&p->gzip); /* which refuses what never began, as does the next */
    BZ2_bzCompressEnd(&p->bzip2);
    ZSTD_freeCStream(p->zstd);
    LZ4F_freeCompressionContext(p->lz4);
    mem_free(p->room);
    mem_free(p);
}

/* --- their steps: a piece in, until it is taken; with is_end until all is out ----------------- */

static int gzip(struct packer *p, struct slice in, bool is_end)
{
    int rc, said;
    p->gzip.next_in = (Bytef *)(uintptr_t)in.data;
    p->gzip.avail_in = (uInt)in.len;
    do {
        p->gzip.next_out = p->room;
        p->gzip.avail_out = (uInt)p->cap;
        said = deflate(&p->gzip, is_end ? Z_FINISH : Z_NO_FLUSH);
        rc = p->out(p->arg, p->room, p->cap - p->gzip.avail_out);
    } while (rc == 0 && (p->gzip.avail_in > 0 || (is_end && said != Z_STREAM_END)));
    return rc;
}

static int bzip2(struct packer *p, struct slice in, bool is_end)
{
    int rc, said;
    p->bzip2.next_in = (char *)(uintptr_t)in.data;
    p->bzip2.avail_in = (unsigned)in.len;
    do {
        p->bzip2.next_out = (char *)p->room;
        p->bzip2.avail_out = (unsigned)p->cap;
        said = BZ2_bzCompress(&p->bzip2, is_end ? BZ_FINISH : BZ_RUN);
        rc = p->out(p->arg, p->room, p->cap - p->bzip2.avail_out);
    } while (rc == 0 && (p->bzip2.avail_in > 0 || (is_end && said != BZ_STREAM_END)));
    return rc;
}

static int zstd(struct packer *p, struct slice in, bool is_end)
{
    ZSTD_inBuffer from = {in.data, in.len, 0};
    size_t left;
    int rc;
    do {
        ZSTD_outBuffer to = {p->room, p->cap, 0};
        left = ZSTD_compressStream2(p->zstd, &to, &from, is_end ? ZSTD_e_end : ZSTD_e_continue);
        rc = ZSTD_isError(left) ? ERR_NOMEM : p->out(p->arg, p->room, to.pos);
    } while (rc == 0 && (from.pos < from.size || (is_end && left > 0)));
    return rc;
}

static int lz4(struct packer *p, struct slice in, bool is_end)
{
    size_t n = 0;
    int rc = 0;
    if (!p->is_begun) {
        n = LZ4F_compressBegin(p->lz4, p->room, p->cap, &p->lz4_how);
        rc = LZ4F_isError(n) ? ERR_NOMEM : p->out(p->arg, p->room, n);
        p->is_begun = true;
    }
    if (rc != 0)
        return rc;
    n = is_end ? LZ4F_compressEnd(p->lz4, p->room, p->cap, NULL)
               : LZ4F_compressUpdate(p->lz4, p->room, p->cap, in.data, in.len, NULL);
    return LZ4F_isError(n) ? ERR_NOMEM : p->out(p->arg, p->room, n);
}

static int step(struct packer *p, struct slice in, bool is_end)
{
    switch (p->kind) {
    case PACKER_GZIP:
        return gzip(p, in, is_end);
    case PACKER_BZIP2:
        return bzip2(p, in, is_end);
    case PACKER_ZSTD:
        return zstd(p, in, is_end);
    case PACKER_LZ4:
        return lz4(p, in, is_end);
    case PACKER_PLAIN:
        break;
    }
    return ERR_UNSUPPORTED;
}

int packer_put(struct packer *packer, struct slice bytes)
{
    int rc = 0;
    while (rc == 0 && bytes.len > 0) {
        size_t n = bytes.len < PIECE ? bytes.len : PIECE;
        packer->in_frame += n;
        bool is_frame_end = packer->kind == PACKER_ZSTD && packer->in_frame >= ZSTD_FRAME;
        packer->in_frame = is_frame_end ? 0 : packer->in_frame;
        rc = step(packer, slice_of(bytes.data, n), is_frame_end);
        bytes = slice_of(bytes.data + n, bytes.len - n);
    }
    return rc;
}

int packer_end(struct packer *packer)
{
    return step(packer, slice_of("", 0), true);
}
