/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/local_crc.h"

#include "client/fs/item.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define CHUNK 512U
#define PIECE (256U << 10) /* whole chunks */

static uint32_t crc32_of(const uint8_t *data, size_t n)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < n; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

static void append_be32(struct buf *out, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_append_byte(out, (uint8_t)(v >> shift));
}

/* Fills the piece unless the file ends. */
static ssize_t read_full(struct fs_volume *volume, void *file, uint8_t *piece, struct qn_error *err)
{
    size_t have = 0;
    while (have < PIECE) {
        ssize_t n = volume->ops->read(file, piece + have, PIECE - have, err);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

static int sum_file(struct fs_volume *volume, void *file, struct buf *out, struct qn_error *err)
{
    uint8_t *piece = mem_alloc(PIECE);
    if (!piece)
        return fs_out_of_memory(err);
    ssize_t n = 0;
    while ((n = read_full(volume, file, piece, err)) > 0)
        for (size_t at = 0; at < (size_t)n; at += CHUNK)
            append_be32(out, crc32_of(piece + at, (size_t)n - at < CHUNK ? (size_t)n - at : CHUNK));
    mem_free(piece);
    return n < 0 ? (int)n : buf_failed(out) ? fs_out_of_memory(err) : 0;
}

static int write_sums(struct fs_volume *volume, const char *path, const struct buf *sums,
                      struct qn_error *err)
{
    const struct fs_new_file how = {.overwrite = true};
    void *file = volume->ops->create(volume, path, &how, err);
    if (!file)
        return err->code;
    int rc = volume->ops->write(file, sums->data, sums->len, err);
    if (rc == 0)
        return volume->ops->finish(file, err);
    volume->ops->abort(file);
    return rc;
}

int fs_local_crc_write(struct fs_volume *volume, const char *path, struct qn_error *err)
{
    struct buf sums = BUF_INIT;
    struct slice dir = path_parent(slice_str(path)), name = path_name(slice_str(path));
    char *beside = str_printf("%.*s/." SLICE_FMT ".crc", (int)(dir.len > 1 ? dir.len : 0),
                              (const char *)dir.data, SLICE_ARG(name));
    void *file = beside ? volume->ops->open(volume, path, err) : NULL;
    int rc = !beside ? fs_out_of_memory(err) : !file ? err->code : 0;
    buf_append(&sums, "crc", 4);
    append_be32(&sums, CHUNK);
    if (rc == 0)
        rc = sum_file(volume, file, &sums, err);
    if (file)
        volume->ops->close_read(file);
    if (rc == 0)
        rc = write_sums(volume, beside, &sums, err);
    mem_free(beside);
    buf_release(&sums);
    return rc;
}
