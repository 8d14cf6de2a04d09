/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/fsimage.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"

#define MAGIC       0x474d4951U /* "QIMG" */
#define VERSION     1U
#define HEAD        64U
#define HEAD_CRC    60U
#define CHUNK_HEAD  12U
#define SECTION_END 0xffffU
#define READ_AHEAD  (1U << 20)

char *nn_image_name(char out[NN_IMAGE_NAME_MAX], uint64_t index)
{
    snprintf(out, NN_IMAGE_NAME_MAX, "image.%012llu", (unsigned long long)index);
    return out;
}

bool nn_image_name_parse(const char *name, uint64_t *ret_index)
{
    uint64_t index = 0;
    char again[NN_IMAGE_NAME_MAX];
    if (strncmp(name, "image.", 6) != 0 || str_to_u64(name + 6, &index) != 0)
        return false;
    if (strcmp(nn_image_name(again, index), name) != 0)
        return false;
    *ret_index = index;
    return true;
}

/* ---- writing ---- */

int nn_image_begin(struct nn_image_writer *writer, struct disk *disk, const char *path,
                   const struct nn_image_head *head, struct err *err)
{
    uint8_t bytes[HEAD] = {0};
    *writer = (struct nn_image_writer){0};
    int rc = outfile_open(&writer->out, disk, path, err);
    if (rc != 0)
        return rc;
    put_u32(bytes, MAGIC);
    put_u32(bytes + 4, VERSION);
    put_u64(bytes + 8, head->log_id);
    put_u64(bytes + 16, head->index);
    put_u64(bytes + 24, head->wall_ms);
    writer->crc = crc32c(0, bytes, HEAD_CRC);
    put_u32(bytes + HEAD_CRC, writer->crc);
    outfile_append(&writer->out, bytes, sizeof(bytes));
    return 0;
}

static void put_chunk(struct nn_image_writer *writer, uint16_t section, struct slice chunk)
{
    uint8_t head[CHUNK_HEAD];
    put_u16(head, section);
    put_u16(head + 2, 0);
    put_u32(head + 4, (uint32_t)chunk.len);
    writer->crc = crc32c(writer->crc, head, 8);
    writer->crc = crc32c(writer->crc, chunk.data, chunk.len);
    put_u32(head + 8, writer->crc);
    outfile_append(&writer->out, head, sizeof(head));
    outfile_append(&writer->out, chunk.data, chunk.len);
}

void nn_image_put(struct nn_image_writer *writer, uint16_t section, struct slice chunk)
{
    BUG_ON(section == 0 || section == SECTION_END || chunk.len > NN_IMAGE_CHUNK_MAX);
    put_chunk(writer, section, chunk);
    writer->chunks++;
}

int nn_image_commit(struct nn_image_writer *writer, struct err *err)
{
    uint8_t end[16];
    put_u64(end, writer->chunks);
    put_u64(end + 8, outfile_offset(&writer->out) + CHUNK_HEAD + sizeof(end));
    put_chunk(writer, SECTION_END, slice_of(end, sizeof(end)));
    return outfile_commit(&writer->out, err);
}

void nn_image_abort(struct nn_image_writer *writer)
{
    outfile_abort(&writer->out);
}

/* ---- reading ---- */

struct reader {
    struct disk *disk;
    const char *path;
    int fd;
    uint64_t size, off; /* of the file; of what was read */
    struct buf bytes;   /* read and not yet used */
    size_t used;
    uint32_t crc;
    uint64_t chunks;
    struct err *err;
};

static int damaged(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_CORRUPT, "%s is damaged: %s", r->path, what);
}

/* Have `len` bytes at bytes.data + used. Only called for what the file is long enough for. */
static int need(struct reader *r, size_t len)
{
    if (r->bytes.len - r->used >= len)
        return 0;
    buf_consume(&r->bytes, r->used);
    r->used = 0;
    size_t want = len - r->bytes.len;
    if (want < READ_AHEAD)
        want = READ_AHEAD;
    if (want > r->size - r->off)
        want = r->size - r->off;
    uint8_t *to = buf_reserve(&r->bytes, want);
    if (!to)
        return err_set(r->err, ERR_NOMEM, "%s: out of memory", r->path);
    int64_t n = disk_pread(r->disk, r->fd, to, want, r->off);
    if (n < 0)
        return err_set(r->err, (int)n, "%s: cannot read: %s", r->path, err_text((int)n));
    r->bytes.len += (size_t)n;
    r->off += (uint64_t)n;
    return r->bytes.len >= len ? 0 : damaged(r, "it ends too early");
}

static uint64_t bytes_left(const struct reader *r)
{
    return r->size - r->off + (r->bytes.len - r->used);
}

static int read_head(struct reader *r, struct nn_image_head *ret)
{
    int rc = bytes_left(r) < HEAD ? damaged(r, "it ends too early") : need(r, HEAD);
    if (rc != 0)
        return rc;
    const uint8_t *p = r->bytes.data;
    r->crc = crc32c(0, p, HEAD_CRC);
    if (get_u32(p) != MAGIC || get_u32(p + HEAD_CRC) != r->crc)
        return damaged(r, "it does not begin like an image");
    if (get_u32(p + 4) != VERSION)
        return err_set(r->err, ERR_VERSION, "%s was written by a newer quern: run that one",
                       r->path);
    *ret = (struct nn_image_head){get_u64(p + 8), get_u64(p + 16), get_u64(p + 24)};
    r->used = HEAD;
    return 0;
}

static int read_chunk(struct reader *r, uint16_t *ret_section, struct slice *ret)
{
    int rc = bytes_left(r) < CHUNK_HEAD ? damaged(r, "it ends too early") : need(r, CHUNK_HEAD);
    if (rc != 0)
        return rc;
    uint32_t len = get_u32(r->bytes.data + r->used + 4);
    if (len > NN_IMAGE_CHUNK_MAX || len > bytes_left(r) - CHUNK_HEAD)
        return damaged(r, "a chunk has an impossible length");
    rc = need(r, CHUNK_HEAD + len);
    if (rc != 0)
        return rc;
    const uint8_t *p = r->bytes.data + r->used;
    r->crc = crc32c(crc32c(r->crc, p, 8), p + CHUNK_HEAD, len);
    if (get_u32(p + 8) != r->crc || get_u16(p + 2) != 0 || get_u16(p) == 0)
        return damaged(r, "a chunk's checksum is wrong");
    *ret_section = get_u16(p);
    *ret = slice_of(p + CHUNK_HEAD, len);
    r->used += CHUNK_HEAD + len;
    return 0;
}

static int check_end(struct reader *r, struct slice end)
{
    if (end.len < 16 || get_u64(end.data) != r->chunks || get_u64(end.data + 8) != r->size ||
        bytes_left(r) != 0)
        return damaged(r, "its end does not fit");
    return 0;
}

static int read_all(struct reader *r, struct nn_image_head *ret_head, nn_image_visit_fn *visit,
                    void *arg)
{
    int rc = read_head(r, ret_head);
    while (rc == 0) {
        uint16_t section = 0;
        struct slice chunk;
        rc = read_chunk(r, &section, &chunk);
        if (rc == 0 && section == SECTION_END)
            return check_end(r, chunk);
        if (rc == 0 && visit)
            rc = visit(arg, section, chunk, r->err);
        r->chunks++;
    }
    return rc;
}

int nn_image_read(struct disk *disk, const char *path, struct nn_image_head *ret_head,
                  nn_image_visit_fn *visit, void *arg, struct err *err)
{
    struct reader r = {.disk = disk, .path = path, .fd = -1, .err = err};
    struct nn_image_head head = {0};
    struct disk_stat st = {0};
    int rc = disk_open(disk, path, DISK_READ, &r.fd);
    if (rc == 0)
        rc = disk_stat_fd(disk, r.fd, &st);
    if (rc != 0) {
        err_set(err, rc, "%s: cannot read: %s", path, err_text(rc));
    } else {
        r.size = st.size_bytes;
        rc = read_all(&r, &head, visit, arg);
    }
    if (rc == 0 && ret_head)
        *ret_head = head;
    disk_close(disk, r.fd);
    buf_release(&r.bytes);
    return rc;
}
