/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/blockfile.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/chunksum.h"

#define PAGE            4096U
#define RESERVE_FROM    (4U << 20)  /* smaller blocks are not worth a reservation */
#define RESERVE_LEAST   (32U << 20) /* ... and then at least so much */
#define WRITE_OUT_BYTES (1U << 20)  /* begin to write out whenever so much more has come */

/* ---- life ---- */

static struct dn_blockfile *file_new(struct disk *disk, const struct dn_blockfile_new *what,
                                     struct err *err)
{
    struct dn_blockfile *f = mem_calloc(1, sizeof(*f));
    if (f && dn_block_paths_make(what->dir, what->id, what->gs, &f->paths) == 0) {
        f->disk = disk;
        f->id = what->id;
        f->gs = what->gs;
        f->max_len = what->max_len;
        f->direct_min = what->direct_min;
        f->can_reserve = true;
        f->data_fd = f->sums_fd = f->direct_fd = -1;
        return f;
    }
    mem_free(f);
    err_set(err, ERR_NOMEM, "%s: out of memory", what->dir);
    return NULL;
}

void dn_blockfile_close(struct dn_blockfile *file)
{
    if (!file)
        return;
    disk_close(file->disk, file->data_fd);
    disk_close(file->disk, file->sums_fd);
    disk_close(file->disk, file->direct_fd);
    dn_block_paths_release(&file->paths);
    mem_free(file);
}

bool dn_blockfile_is_damage(int code)
{
    return code == ERR_CHECKSUM || code == ERR_CORRUPT || code == ERR_STALE || code == ERR_NOENT ||
           code == ERR_ISDIR;
}

static int open_one(struct disk *disk, const char *path, unsigned flags, int *ret_fd,
                    struct err *err)
{
    int rc = disk_open(disk, path, flags, ret_fd);
    return rc == 0 ? 0 : err_set(err, rc, "%s: cannot open: %s", path, err_text(rc));
}

int dn_blockfile_create(struct disk *disk, const struct dn_blockfile_new *what,
                        struct dn_blockfile **ret, struct err *err)
{
    struct dn_blockfile *f = file_new(disk, what, err);
    if (!f)
        return ERR_NOMEM;
    unsigned flags = DISK_READ | DISK_WRITE | DISK_CREATE | DISK_TRUNC;
    uint8_t head[DN_SUM_OFF];
    dn_sum_head_encode(what->id, what->gs, head);
    int rc = open_one(disk, f->paths.data, flags, &f->data_fd, err);
    if (rc == 0)
        rc = open_one(disk, f->paths.sums, flags, &f->sums_fd, err);
    if (rc == 0) {
        rc = disk_pwrite(disk, f->sums_fd, head, sizeof(head), 0);
        if (rc != 0)
            err_set(err, rc, "%s: cannot write: %s", f->paths.sums, err_text(rc));
    }
    if (rc != 0) {
        if (f->data_fd >= 0)
            (void)disk_unlink(disk, f->paths.data);
        if (f->sums_fd >= 0)
            (void)disk_unlink(disk, f->paths.sums);
        dn_blockfile_close(f);
        return rc;
    }
    *ret = f;
    return 0;
}

static int check_head(struct dn_blockfile *f, struct err *err)
{
    uint8_t head[DN_SUM_OFF];
    uint32_t sums_off = 0;
    int64_t n = disk_pread(f->disk, f->sums_fd, head, sizeof(head), 0);
    if (n < 0)
        return err_set(err, (int)n, "%s: cannot read: %s", f->paths.sums, err_text((int)n));
    int rc = dn_sum_head_check(head, (size_t)n, f->id, f->gs, &sums_off);
    if (rc == 0 && sums_off != DN_SUM_OFF)
        rc = ERR_VERSION;
    if (rc == ERR_STALE)
        return err_set(err, rc, "%s: these are the checksums of another block or stamp",
                       f->paths.sums);
    if (rc != 0)
        return err_set(err, rc, "%s: damaged header: %s", f->paths.sums, err_text(rc));
    for (uint32_t i = 0; i < DN_SUM_MARKS && (size_t)n == sizeof(head); i++) {
        struct dn_sum_mark mark;
        if (dn_sum_mark_decode(head + DN_SUM_MARK_OFF(i), &mark) && mark.number > f->mark_number)
            f->mark_number = mark.number;
    }
    return 0;
}

int dn_blockfile_open(struct disk *disk, const struct dn_blockfile_new *what, unsigned flags,
                      struct dn_blockfile **ret, struct err *err)
{
    struct dn_blockfile *f = file_new(disk, what, err);
    if (!f)
        return ERR_NOMEM;
    int rc = open_one(disk, f->paths.data, flags, &f->data_fd, err);
    if (rc == 0)
        rc = open_one(disk, f->paths.sums, flags, &f->sums_fd, err);
    if (rc == 0)
        rc = check_head(f, err);
    if (rc != 0) {
        dn_blockfile_close(f);
        return rc;
    }
    *ret = f;
    return 0;
}

/* ---- writing ---- */

/* Reserving in steps that double: a large file lies in few extents and its last fsync has no
 * allocation left to do, a small one takes no more than it needs. Not getting it is no error. */
static void reserve(struct dn_blockfile *f, uint64_t end)
{
    if (!f->can_reserve || end <= f->reserved || end < RESERVE_FROM)
        return;
    uint64_t want = end * 2 > RESERVE_LEAST ? end * 2 : RESERVE_LEAST;
    if (want > f->max_len)
        want = f->max_len;
    f->can_reserve = want >= end && disk_allocate(f->disk, f->data_fd, want) == 0;
    if (f->can_reserve)
        f->reserved = want;
}

static int write_cached(struct dn_blockfile *f, uint64_t off, struct slice data)
{
    if (data.len == 0)
        return 0;
    int rc = disk_pwrite(f->disk, f->data_fd, data.data, data.len, off);
    uint64_t end = off + data.len;
    if (rc == 0 && end >= f->writing_out + WRITE_OUT_BYTES) {
        rc = disk_writeback(f->disk, f->data_fd, f->writing_out, end - f->writing_out);
        f->writing_out = end;
    }
    return rc;
}

/* Is the memory aligned to pages as the file offset is? */
static bool is_congruent(const void *data, uint64_t off)
{
    return ((uintptr_t)data - (uintptr_t)off) % PAGE == 0;
}

static bool can_go_direct(struct dn_blockfile *f)
{
    if (f->direct_fd < 0 &&
        disk_open(f->disk, f->paths.data, DISK_WRITE | DISK_DIRECT, &f->direct_fd) != 0)
        f->direct_min = 0;
    return f->direct_fd >= 0;
}

/* Whole pages past the cache, the ragged ends through it. */
static int write_data(struct dn_blockfile *f, uint64_t off, struct slice data)
{
    size_t head = (PAGE - off % PAGE) % PAGE;
    if (f->direct_min == 0 || data.len < head + f->direct_min || !is_congruent(data.data, off) ||
        !can_go_direct(f))
        return write_cached(f, off, data);
    size_t middle = (data.len - head) / PAGE * PAGE;
    int rc = write_cached(f, off, slice_of(data.data, head));
    if (rc == 0)
        rc = disk_pwrite(f->disk, f->direct_fd, data.data + head, middle, off + head);
    if (rc == ERR_INVAL) { /* a filesystem that changed its mind */
        f->direct_min = 0;
        return write_cached(f, off + head, slice_of(data.data + head, data.len - head));
    }
    if (rc != 0)
        return rc;
    if (f->writing_out < off + head + middle)
        f->writing_out = off + head + middle;
    return write_cached(f, off + head + middle,
                        slice_of(data.data + head + middle, data.len - head - middle));
}

int dn_blockfile_write(struct dn_blockfile *file, uint64_t off, struct slice data,
                       const uint8_t *sums)
{
    BUG_ON(off % DN_SUM_CHUNK != 0 || off > file->len);
    uint64_t end = off + data.len;
    size_t count = chunksum_count(data.len, DN_SUM_CHUNK);
    if (count == 0)
        return 0;
    reserve(file, end);
    int rc = write_data(file, off, data);
    if (rc == 0)
        rc = disk_pwrite(file->disk, file->sums_fd, sums, count * DN_SUM_BYTES, dn_sum_place(off));
    if (rc == 0 && end >= file->len) {
        file->len = end;
        file->tail_sum = get_u32(sums + (count - 1) * DN_SUM_BYTES);
    }
    return rc;
}

static int write_mark(struct dn_blockfile *f)
{
    uint8_t bytes[DN_SUM_MARK_BYTES];
    struct dn_sum_mark mark = {
        .len = f->len, .number = f->mark_number + 1, .tail_sum = f->tail_sum};
    dn_sum_mark_encode(&mark, bytes);
    int rc = disk_pwrite(f->disk, f->sums_fd, bytes, sizeof(bytes),
                         DN_SUM_MARK_OFF(mark.number % DN_SUM_MARKS));
    if (rc == 0)
        f->mark_number = mark.number;
    return rc;
}

void dn_blockfile_hurry(struct dn_blockfile *file)
{
    (void)disk_writeback(file->disk, file->sums_fd, 0, dn_sum_place(file->len) + DN_SUM_BYTES);
}

int dn_blockfile_sync(struct dn_blockfile *file)
{
    int rc = file->len % DN_SUM_CHUNK ? write_mark(file) : 0;
    dn_blockfile_hurry(file);
    if (rc == 0)
        rc = disk_fdatasync(file->disk, file->data_fd);
    if (rc == 0)
        rc = disk_fdatasync(file->disk, file->sums_fd);
    if (rc != 0 || file->has_durable_names)
        return rc;
    char *dir = dn_block_paths_dir(&file->paths);
    rc = dir ? disk_fsync_dir(file->disk, dir) : ERR_NOMEM;
    mem_free(dir);
    file->has_durable_names = rc == 0;
    return rc;
}

/* ---- reading ---- */

static int read_exact(const struct dn_blockfile *f, int fd, uint8_t *to, size_t len, uint64_t off)
{
    int64_t n = disk_pread(f->disk, fd, to, len, off);
    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : ERR_CORRUPT; /* shorter than it was promised to be */
}

int dn_blockfile_read(const struct dn_blockfile *file, struct dn_extent extent,
                      const struct dn_visible *visible, uint8_t *data, uint8_t *sums)
{
    uint64_t end = extent.off + extent.len;
    BUG_ON(extent.off % DN_SUM_CHUNK != 0 || end > visible->len ||
           (end % DN_SUM_CHUNK != 0 && end != visible->len));
    size_t count = chunksum_count(extent.len, DN_SUM_CHUNK);
    int rc = read_exact(file, file->data_fd, data, extent.len, extent.off);
    if (rc == 0)
        rc = read_exact(file, file->sums_fd, sums, count * DN_SUM_BYTES, dn_sum_place(extent.off));
    if (rc != 0)
        return rc;
    /* The file's own sum of a growing chunk may cover bytes that nobody may see yet. */
    if (visible->has_tail_sum && end % DN_SUM_CHUNK != 0)
        put_u32(sums + (count - 1) * DN_SUM_BYTES, visible->tail_sum);
    size_t bad = chunksum_verify(slice_of(data, extent.len), DN_SUM_CHUNK,
                                 slice_of(sums, count * DN_SUM_BYTES));
    return bad == CHUNKSUM_GOOD ? 0 : ERR_CHECKSUM;
}
