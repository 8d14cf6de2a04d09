/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/settle.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/outfile.h"

#define STEP_BYTES (256U << 10)
#define STEP_SUMS  (STEP_BYTES / DN_SUM_CHUNK * DN_SUM_BYTES)

static int io_error(struct err *err, int code, const char *path, const char *verb)
{
    return err_set(err, code, "%s: cannot %s: %s", path, verb, err_text(code));
}

/* ---- how much of it is good ---- */

/* The longest beginning of these bytes whose sum is this one; 0 = none. */
static size_t good_prefix(const uint8_t *data, size_t len, uint32_t sum)
{
    size_t best = 0;
    uint32_t crc = 0;
    for (size_t n = 1; n <= len; n++) {
        crc = crc32c(crc, data + n - 1, 1);
        if (crc == sum)
            best = n;
    }
    return best;
}

/* The chunk at `off` does not agree with its sum as a whole: up to where is it good? */
static int judge_last_chunk(struct dn_blockfile *f, uint64_t off, const uint8_t *data, size_t len,
                            const uint8_t *sum)
{
    uint8_t head[DN_SUM_OFF];
    size_t best = sum ? good_prefix(data, len, get_u32(sum)) : 0;
    uint32_t best_sum = sum ? get_u32(sum) : 0;
    int64_t n = disk_pread(f->disk, f->sums_fd, head, sizeof(head), 0);
    if (n < 0)
        return (int)n;
    for (uint32_t i = 0; i < DN_SUM_MARKS && n == sizeof(head); i++) {
        struct dn_sum_mark mark;
        if (!dn_sum_mark_decode(head + DN_SUM_MARK_OFF(i), &mark) || mark.len <= off + best ||
            mark.len > off + len || mark.len % DN_SUM_CHUNK == 0) /* of whole chunks none is kept */
            continue;
        if (crc32c(0, data, (size_t)(mark.len - off)) == mark.tail_sum) {
            best = (size_t)(mark.len - off);
            best_sum = mark.tail_sum;
        }
    }
    f->len = off + best;
    f->tail_sum = best_sum;
    return 0;
}

struct step {
    uint8_t *data, *sums;
    int64_t data_len, sum_count;
};

static int read_step(const struct dn_blockfile *f, uint64_t off, uint64_t max_len, struct step *s)
{
    uint64_t want = max_len - off < STEP_BYTES ? max_len - off : STEP_BYTES;
    s->data_len = disk_pread(f->disk, f->data_fd, s->data, (size_t)want, off);
    if (s->data_len < 0)
        return (int)s->data_len;
    size_t count = chunksum_count((uint64_t)s->data_len, DN_SUM_CHUNK);
    s->sum_count =
        disk_pread(f->disk, f->sums_fd, s->sums, count * DN_SUM_BYTES, dn_sum_place(off));
    if (s->sum_count < 0)
        return (int)s->sum_count;
    s->sum_count /= DN_SUM_BYTES;
    if (s->data_len > 0 && fault_hit("dn.verify") == FAULT_CORRUPT)
        s->data[0] ^= 1;
    return 0;
}

/* Whole chunks from the start that agree, then the one that does not. */
static int verify_steps(struct dn_blockfile *f, uint64_t max_len, struct step *s)
{
    uint64_t off = 0;
    f->len = 0;
    f->tail_sum = 0;
    for (;;) {
        int rc = off < max_len ? read_step(f, off, max_len, s) : 0;
        if (rc != 0)
            return rc;
        if (off == max_len || s->data_len == 0)
            return 0;
        size_t whole = (size_t)s->data_len / DN_SUM_CHUNK;
        if (whole > (size_t)s->sum_count)
            whole = (size_t)s->sum_count;
        size_t bad = chunksum_verify(slice_of(s->data, whole * DN_SUM_CHUNK), DN_SUM_CHUNK,
                                     slice_of(s->sums, whole * DN_SUM_BYTES));
        size_t good = bad == CHUNKSUM_GOOD ? whole : bad;
        f->len = off + good * DN_SUM_CHUNK;
        size_t rest = (size_t)s->data_len - good * DN_SUM_CHUNK;
        if (rest > 0) {
            size_t len = rest < DN_SUM_CHUNK ? rest : DN_SUM_CHUNK;
            const uint8_t *sum = good < (size_t)s->sum_count ? s->sums + good * DN_SUM_BYTES : NULL;
            return judge_last_chunk(f, f->len, s->data + good * DN_SUM_CHUNK, len, sum);
        }
        off += (uint64_t)s->data_len;
    }
}

int dn_settle_verify(struct dn_blockfile *file, uint64_t max_len, struct err *err)
{
    struct step s = {.data = mem_alloc(STEP_BYTES), .sums = mem_alloc(STEP_SUMS)};
    int rc = s.data && s.sums ? verify_steps(file, max_len, &s) : ERR_NOMEM;
    mem_free(s.data);
    mem_free(s.sums);
    return rc == 0 ? 0 : io_error(err, rc, file->paths.data, "verify");
}

/* ---- a new stamp ---- */

/* Sum of the first `keep` bytes of the chunk at `off`, of which `have` are there. */
static int partial_sum(struct dn_blockfile *f, uint64_t off, size_t have, size_t keep,
                       uint32_t *ret_sum)
{
    uint8_t data[DN_SUM_CHUNK], stored[DN_SUM_BYTES];
    int64_t n = disk_pread(f->disk, f->data_fd, data, have, off);
    if (n < 0 || (size_t)n != have)
        return n < 0 ? (int)n : ERR_CORRUPT;
    uint32_t sum = f->tail_sum;
    if (have == DN_SUM_CHUNK) {
        n = disk_pread(f->disk, f->sums_fd, stored, sizeof(stored), dn_sum_place(off));
        if (n != (int64_t)sizeof(stored))
            return n < 0 ? (int)n : ERR_CORRUPT;
        sum = get_u32(stored);
    }
    if (crc32c(0, data, have) != sum)
        return ERR_CHECKSUM;
    *ret_sum = crc32c(0, data, keep);
    return 0;
}

static int copy_sums(struct dn_blockfile *f, uint64_t whole_chunks, struct outfile *out)
{
    uint8_t *sums = mem_alloc(STEP_SUMS);
    uint64_t left = whole_chunks * DN_SUM_BYTES, off = DN_SUM_OFF;
    int rc = sums ? 0 : ERR_NOMEM;
    while (rc == 0 && left > 0) {
        size_t n = left < STEP_SUMS ? (size_t)left : STEP_SUMS;
        int64_t got = disk_pread(f->disk, f->sums_fd, sums, n, off);
        rc = got < 0 ? (int)got : (size_t)got == n ? 0 : ERR_CORRUPT;
        outfile_append(out, sums, n);
        left -= n;
        off += n;
    }
    mem_free(sums);
    return rc;
}

/* The checksum file of the shortened block under its new stamp, durable with its name. */
static int write_new_sums(struct dn_blockfile *f, const char *path, uint64_t new_gs,
                          uint64_t new_len, struct err *err)
{
    struct outfile out;
    uint8_t head[DN_SUM_OFF], tail[DN_SUM_BYTES];
    uint64_t whole = new_len / DN_SUM_CHUNK, tail_off = whole * DN_SUM_CHUNK;
    uint32_t tail_sum = 0;
    if (new_len > tail_off) {
        uint64_t have = f->len - tail_off < DN_SUM_CHUNK ? f->len - tail_off : DN_SUM_CHUNK;
        int rc = partial_sum(f, tail_off, (size_t)have, (size_t)(new_len - tail_off), &tail_sum);
        if (rc != 0)
            return io_error(err, rc, f->paths.data, "cut in its last chunk");
    }
    dn_sum_head_encode(f->id, new_gs, head);
    put_u32(tail, tail_sum);
    int rc = outfile_open(&out, f->disk, path, err);
    if (rc != 0)
        return rc;
    outfile_append(&out, head, sizeof(head));
    rc = copy_sums(f, whole, &out);
    if (rc != 0) {
        outfile_abort(&out);
        return io_error(err, rc, f->paths.sums, "read");
    }
    if (new_len > tail_off)
        outfile_append(&out, tail, sizeof(tail));
    rc = outfile_commit(&out, err);
    if (rc == 0)
        f->tail_sum = tail_sum;
    return rc;
}

/* Go on with the checksum file at `path`, open as `fd`; the old one goes. */
static void switch_sums(struct dn_blockfile *f, char **path, int fd, uint64_t new_gs)
{
    disk_close(f->disk, f->sums_fd);
    (void)disk_unlink(f->disk, f->paths.sums); /* a left-over is removed by the next scan */
    mem_free(f->paths.sums);
    f->paths.sums = *path;
    *path = NULL;
    f->sums_fd = fd;
    f->gs = new_gs;
    f->mark_number = 0;
    f->has_durable_names = true;
}

/* New checksums are durable beside the old ones. Once the data are cut the old ones no longer hold
 * for their last chunk, so the new ones take over then, whatever becomes of the fsync. */
static int cut_data(struct dn_blockfile *f, struct dn_block_paths *paths, uint64_t new_gs,
                    uint64_t len, struct err *err)
{
    int fd = -1;
    int rc = disk_open(f->disk, paths->sums, DISK_READ | DISK_WRITE, &fd);
    if (rc != 0)
        return io_error(err, rc, paths->sums, "open");
    rc = disk_truncate(f->disk, f->data_fd, len);
    if (rc != 0) {
        disk_close(f->disk, fd);
        return io_error(err, rc, f->paths.data, "cut");
    }
    rc = disk_fdatasync(f->disk, f->data_fd);
    f->len = len;
    f->reserved = 0;
    f->writing_out = len;
    fault_hit("dn.restamp.cut");
    switch_sums(f, &paths->sums, fd, new_gs);
    return rc == 0 ? 0 : io_error(err, rc, f->paths.data, "cut");
}

int dn_settle_restamp(struct dn_blockfile *file, uint64_t new_gs, uint64_t new_len, struct err *err)
{
    BUG_ON(new_len > file->len || new_gs <= file->gs);
    struct dn_block_paths paths = {0};
    char *dir = dn_block_paths_dir(&file->paths);
    int rc = dir ? dn_block_paths_make(dir, file->id, new_gs, &paths) : ERR_NOMEM;
    mem_free(dir);
    if (rc != 0)
        return io_error(err, rc, file->paths.data, "restamp");
    rc = write_new_sums(file, paths.sums, new_gs, new_len, err);
    fault_hit("dn.restamp.sums");
    if (rc == 0)
        rc = cut_data(file, &paths, new_gs, new_len, err);
    if (rc != 0 && paths.sums) /* it goes on under the old ones */
        (void)disk_unlink(file->disk, paths.sums);
    dn_block_paths_release(&paths);
    return rc;
}

/* ---- finalizing ---- */

static int sync_both(struct dn_blockfile *f, struct err *err)
{
    int rc = 0;
    if (f->reserved > f->len) {
        rc = disk_truncate(f->disk, f->data_fd, f->len);
        if (rc != 0)
            return io_error(err, rc, f->paths.data, "cut");
        f->reserved = 0;
    }
    dn_blockfile_hurry(f);
    rc = disk_fdatasync(f->disk, f->data_fd);
    if (rc != 0)
        return io_error(err, rc, f->paths.data, "fsync");
    rc = disk_fdatasync(f->disk, f->sums_fd);
    return rc == 0 ? 0 : io_error(err, rc, f->paths.sums, "fsync");
}

/* Not finalized after all: who goes on with the block looks for it where it was. */
static void rename_back(struct dn_blockfile *f, const struct dn_block_paths *from)
{
    (void)disk_rename(f->disk, from->data, f->paths.data);
    (void)disk_rename(f->disk, from->sums, f->paths.sums);
}

/* Checksums first: a block's data never stands in its place without them. */
static int rename_both(struct dn_blockfile *f, const struct dn_block_paths *to, struct err *err)
{
    int rc = disk_rename(f->disk, f->paths.sums, to->sums);
    if (rc == 0)
        rc = disk_rename(f->disk, f->paths.data, to->data);
    if (rc == 0)
        return 0;
    rename_back(f, to);
    return io_error(err, rc, to->data, "rename into place");
}

int dn_settle_finalize(struct dn_blockfile *file, const char *final_dir, struct err *err)
{
    struct dn_block_paths to = {0};
    int rc = dn_block_paths_make(final_dir, file->id, file->gs, &to);
    if (rc != 0)
        return io_error(err, rc, file->paths.data, "finalize");
    rc = sync_both(file, err);
    fault_hit("dn.finalize.synced");
    if (rc == 0)
        rc = rename_both(file, &to, err);
    if (rc == 0) {
        fault_hit("dn.finalize.renamed");
        rc = disk_fsync_dir(file->disk, final_dir);
        if (rc != 0) {
            rename_back(file, &to);
            io_error(err, rc, final_dir, "fsync");
        }
    }
    if (rc != 0) {
        dn_block_paths_release(&to);
        return rc;
    }
    dn_block_paths_release(&file->paths);
    file->paths = to;
    fault_hit("dn.finalize.done");
    return 0;
}

/* ---- copy and remove ---- */

static int copy_bytes(struct dn_blockfile *from, struct dn_blockfile *to, uint64_t len)
{
    uint64_t whole = len / DN_SUM_CHUNK, rest = len % DN_SUM_CHUNK;
    int rc = disk_copy(from->disk, from->data_fd, to->data_fd, 0, len);
    if (rc == 0 && whole > 0)
        rc = disk_copy(from->disk, from->sums_fd, to->sums_fd, DN_SUM_OFF, whole * DN_SUM_BYTES);
    if (rc != 0 || rest == 0)
        return rc;
    uint8_t sum[DN_SUM_BYTES];
    uint64_t off = whole * DN_SUM_CHUNK;
    uint64_t have = from->len - off < DN_SUM_CHUNK ? from->len - off : DN_SUM_CHUNK;
    rc = partial_sum(from, off, (size_t)have, (size_t)rest, &to->tail_sum);
    if (rc != 0)
        return rc;
    put_u32(sum, to->tail_sum);
    return disk_pwrite(to->disk, to->sums_fd, sum, sizeof(sum), dn_sum_place(off));
}

static int load_tail_sum(struct dn_blockfile *f)
{
    uint8_t sum[DN_SUM_BYTES];
    if (f->len % DN_SUM_CHUNK == 0)
        return 0;
    int64_t n = disk_pread(f->disk, f->sums_fd, sum, sizeof(sum),
                           dn_sum_place(f->len - f->len % DN_SUM_CHUNK));
    if (n != (int64_t)sizeof(sum))
        return n < 0 ? (int)n : ERR_CORRUPT;
    f->tail_sum = get_u32(sum);
    return 0;
}

/* All of the copy must agree with the sums that came along. If it does not, who is wrong? */
static int verify_copy(struct dn_blockfile *from, struct dn_blockfile *to,
                       const struct dn_settle_copy *copy, bool *ret_is_source_bad, struct err *err)
{
    int rc = dn_settle_verify(to, copy->len, err);
    if (rc != 0 || to->len == copy->len)
        return rc;
    rc = dn_settle_verify(from, copy->from_len, err);
    if (rc != 0)
        return rc;
    *ret_is_source_bad = from->len != copy->from_len;
    if (*ret_is_source_bad)
        return err_set(
            err, ERR_CHECKSUM, "%s: only %llu of %llu finalized bytes agree with their checksums",
            from->paths.data, (unsigned long long)from->len, (unsigned long long)copy->from_len);
    return err_set(err, ERR_IO, "%s: was not copied as it is", from->paths.data);
}

static int fill_copy(struct dn_blockfile *from, struct dn_blockfile *to,
                     const struct dn_settle_copy *copy, bool *ret_is_source_bad, struct err *err)
{
    int rc = load_tail_sum(from);
    if (rc == 0)
        rc = copy_bytes(from, to, copy->len);
    *ret_is_source_bad = rc == ERR_CHECKSUM || rc == ERR_CORRUPT || rc == ERR_EOF;
    if (rc != 0)
        return io_error(err, rc, from->paths.data, "copy");
    rc = verify_copy(from, to, copy, ret_is_source_bad, err);
    if (rc == 0) {
        rc = dn_blockfile_sync(to);
        if (rc != 0)
            io_error(err, rc, to->paths.data, "fsync");
    }
    return rc;
}

int dn_settle_copy(struct disk *disk, const struct dn_settle_copy *copy, struct dn_blockfile **ret,
                   bool *ret_is_source_bad, struct err *err)
{
    struct dn_blockfile *from = NULL, *to = NULL;
    struct dn_blockfile_new old = {.dir = copy->from_dir, .id = copy->from_id, .gs = copy->from_gs};
    int rc = dn_blockfile_open(disk, &old, DISK_READ, &from, err);
    *ret_is_source_bad = rc == ERR_NOENT || rc == ERR_CORRUPT || rc == ERR_STALE;
    if (rc != 0)
        return rc;
    from->len = copy->from_len;
    rc = dn_blockfile_create(disk, &copy->to, &to, err);
    if (rc == 0)
        rc = fill_copy(from, to, copy, ret_is_source_bad, err);
    if (rc != 0 && to) {
        (void)dn_settle_remove(disk, copy->to.dir, copy->to.id, copy->to.gs);
        dn_blockfile_close(to);
    } else if (rc == 0) {
        *ret = to;
    }
    dn_blockfile_close(from);
    return rc;
}

int dn_settle_set_aside(struct disk *disk, const char *path)
{
    int dir = (int)(strrchr(path, '/') - path) + 1;
    char *to = str_printf("%.*saside.%s", dir, path, path + dir);
    int rc = to ? disk_rename(disk, path, to) : ERR_NOMEM;
    if (rc == 0)
        log_warn("dn.storage", "%s was a directory where a block's file belongs: it is %s now",
                 path, to);
    else
        log_warn("dn.storage",
                 "%s is a directory where a block's file belongs, and cannot be moved out of the "
                 "way (%s): do it by hand",
                 path, err_text(rc));
    mem_free(to);
    return rc;
}

static int remove_one(struct disk *disk, const char *path)
{
    int rc = disk_unlink(disk, path);
    return rc == ERR_ISDIR ? dn_settle_set_aside(disk, path) : rc == ERR_NOENT ? 0 : rc;
}

/* Data first: checksums without data are removed by the next scan, data without checksums could
 * only be wondered at. */
int dn_settle_remove(struct disk *disk, const char *dir, uint64_t id, uint64_t gs)
{
    struct dn_block_paths paths;
    int rc = dn_block_paths_make(dir, id, gs, &paths);
    if (rc != 0)
        return rc;
    rc = remove_one(disk, paths.data);
    if (rc == 0)
        rc = remove_one(disk, paths.sums);
    dn_block_paths_release(&paths);
    return rc;
}
