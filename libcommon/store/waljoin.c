/* SPDX-License-Identifier: Apache-2.0
 * waljoin: a directory takes part again (or for the first time) while the log is in use. What a
 * crash behind each step leaves:
 *
 *   1 its watermark and VERSION went before (the caller): nobody believes it
 *   2 sealed segments are copied, next to batches: segments without a watermark, filled anew at
 *     the next open
 *   3 in a batch, so that no record comes in between: the sealed ones made meanwhile, then the
 *     present one, as far as it is written: the same
 *   4 its watermark, with a new epoch and a list that names it and all survivors: it is newest, has
 *     every record, and the survivors are known to it: all are members
 *   5 the watermarks of the survivors: done
 *
 * When 4 or 5 fails it is written off again, as one that failed in use. */
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/walopening.h"

/* ---- sealed segments, ahead ---- */

static int compare(struct disk *disk, const char *a, const char *b, struct err *err)
{
    struct buf x = BUF_INIT, y = BUF_INIT;
    int rc = fsutil_read_all(disk, a, WALFILE_SIZE_MAX, &x, err);
    if (rc == 0)
        rc = fsutil_read_all(disk, b, WALFILE_SIZE_MAX, &y, err);
    if (rc == 0 && !slice_eq(buf_slice(&x), buf_slice(&y)))
        rc = err_set(err, ERR_CORRUPT, "%s is not what was copied from %s", b, a);
    buf_release(&x);
    buf_release(&y);
    return rc;
}

static int copy_one(struct disk *disk, const char *from, const char *to, uint64_t first,
                    struct err *err)
{
    char name[WALFILE_NAME_MAX];
    struct wal_report report = {0};
    walfile_name(name, first);
    char *source = fsutil_join(from, name), *target = fsutil_join(to, name);
    int rc = source && target ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = wal_inspect(disk, source, &(struct wal_inspection){0}, &report, err);
    if (rc == 0)
        rc = fsutil_copy(disk, source, target, err);
    if (rc == 0)
        rc = compare(disk, source, target, err);
    mem_free(source);
    mem_free(target);
    return rc;
}

int wal_copy_sealed(struct disk *disk, const char *from, const char *to, uint64_t *ret_have,
                    struct err *err)
{
    struct walscan scan;
    int rc = walscan_list(&scan, disk, from, err);
    if (rc != 0)
        return rc;
    if (scan.segments == 0)
        rc = err_set(err, ERR_NOENT, "%s holds no log", from);
    for (size_t s = 0; rc == 0 && s + 1 < scan.segments; s++)
        rc = copy_one(disk, from, to, scan.firsts[s], err);
    if (rc == 0)
        *ret_have = scan.firsts[scan.segments - 1];
    walscan_release(&scan);
    return rc;
}

/* ---- in a batch ---- */

static const struct wal_dir *any_alive(const struct wal *wal)
{
    for (size_t i = 0; i < wal->dir_count; i++)
        if (wal->dirs[i].alive)
            return &wal->dirs[i];
    return NULL;
}

static int read_present(struct wal *wal, const struct wal_dir *from, struct buf *out)
{
    char name[WALFILE_NAME_MAX];
    int fd = -1;
    uint8_t *to = buf_reserve(out, (size_t)wal->seg_off);
    char *path = fsutil_join(from->path, walfile_name(name, wal->firsts[wal->segments - 1]));
    int rc = to && path ? disk_open(wal->disk, path, DISK_READ, &fd) : ERR_NOMEM;
    mem_free(path);
    if (rc != 0)
        return rc;
    int64_t n = disk_pread(wal->disk, fd, to, (size_t)wal->seg_off, 0);
    disk_close(wal->disk, fd);
    if (n != (int64_t)wal->seg_off)
        return n < 0 ? (int)n : ERR_EOF;
    out->len += (size_t)n;
    return 0;
}

/* Step 3. */
static int fill_rest(struct wal *wal, struct wal_dir *dir, uint64_t have)
{
    const struct wal_dir *from = any_alive(wal);
    struct buf bytes = BUF_INIT;
    struct err ignored = {0};
    uint64_t size = 0;
    int rc = from ? 0 : ERR_IO;
    for (size_t s = 0; rc == 0 && s + 1 < wal->segments; s++)
        if (wal->firsts[s] >= have)
            rc = copy_one(wal->disk, from->path, dir->path, wal->firsts[s], &ignored);
    if (rc == 0)
        rc = read_present(wal, from, &bytes);
    if (rc == 0)
        rc = wal_put_segment(wal, dir, wal->firsts[wal->segments - 1], buf_slice(&bytes),
                             wal->seg_size, &dir->fd, &size);
    if (rc == 0 && size < wal->seg_size)
        rc = ERR_NOSPC;
    buf_release(&bytes);
    return rc;
}

/* Step 4. */
static int believe(struct wal *wal, size_t i)
{
    struct wal_dir *dir = &wal->dirs[i];
    dir->id = wal_new_dir_id(wal, i);
    dir->mark_seq = 1;
    dir->alive = true;
    wal->mark.epoch++;
    wal_list_members(wal);
    struct walmark mark = wal->mark;
    mark.self = dir->id;
    mark.seq = 1;
    int rc = walmark_create(wal->disk, dir->path, &mark, NULL);
    char *path = fsutil_join(dir->path, WALMARK_FILE);
    if (rc == 0)
        rc = path ? disk_open(wal->disk, path, DISK_WRITE, &dir->mark_fd) : ERR_NOMEM;
    mem_free(path);
    return rc;
}

bool wal_join_now(struct wal *wal, size_t i, uint64_t have, struct buf *notes)
{
    struct wal_dir *dir = &wal->dirs[i];
    if (dir->alive)
        return false;
    int rc = fill_rest(wal, dir, have);
    if (rc == 0)
        rc = believe(wal, i);
    if (rc != 0)
        wal_lose_dir(wal, dir, "fill it again", rc, notes);
    else
        wal_note(wal, notes, "%s was filled again and is used", dir->path);
    return true;
}

/* ---- a copy ---- */

/* Each file by itself, and one after the other without a gap. */
static int verify_all(struct disk *disk, const char *dir, const struct walscan *scan,
                      struct wal_report *ret, struct err *err)
{
    int rc = 0;
    for (size_t s = 0; rc == 0 && s < scan->segments; s++) {
        struct wal_report one = {0};
        char name[WALFILE_NAME_MAX];
        char *path = fsutil_join(dir, walfile_name(name, scan->firsts[s]));
        rc = path ? wal_inspect(disk, path, &(struct wal_inspection){0}, &one, err)
                  : err_set(err, ERR_NOMEM, "out of memory");
        mem_free(path);
        if (rc == 0 && s > 0 && (one.wal_id != ret->wal_id || scan->firsts[s] != ret->last + 1))
            rc = err_set(err, ERR_CORRUPT, "%s/%s does not continue the segment before it", dir,
                         name);
        if (rc == 0 && s == 0)
            ret->first = one.first;
        ret->wal_id = one.wal_id;
        if (one.last >= one.first || s == 0)
            ret->last = one.last;
    }
    return rc;
}

int wal_adopt(struct disk *disk, const char *dir, uint64_t least, uint64_t *ret_last,
              struct err *err)
{
    struct walscan scan;
    struct wal_report report = {0};
    int rc = walscan_list(&scan, disk, dir, err);
    if (rc != 0)
        return rc;
    if (scan.segments == 0)
        rc = err_set(err, ERR_NOENT, "%s holds no log", dir);
    if (rc == 0)
        rc = verify_all(disk, dir, &scan, &report, err);
    if (rc == 0 && report.last < least)
        rc = err_set(err, ERR_EOF, "%s ends at record %llu, not %llu: it was not copied whole", dir,
                     (unsigned long long)report.last, (unsigned long long)least);
    if (rc == 0) {
        struct walmark mark = {.wal_id = report.wal_id,
                               .seq = 1,
                               .acknowledged = report.last,
                               .first = scan.firsts[0],
                               .epoch = 1,
                               .self = hash_u64(report.wal_id ^ report.last) | 1,
                               .member_count = 1};
        mark.members[0].id = mark.self;
        snprintf(mark.members[0].path, sizeof(mark.members[0].path), "%s", dir);
        rc = walmark_create(disk, dir, &mark, err);
    }
    if (rc == 0)
        *ret_last = report.last;
    walscan_release(&scan);
    return rc;
}

/* ---- the loop's half ---- */

int wal_add_dir(struct wal *wal, const char *path, size_t *ret_i)
{
    BUG_ON(wal->in_flight);
    size_t i = 0;
    while (i < wal->dir_count && strcmp(wal->dirs[i].path, path) != 0)
        i++;
    if (i == wal->dir_count) {
        char *copy = i < WAL_DIRS_MAX ? str_dup(path) : NULL;
        if (!copy)
            return i < WAL_DIRS_MAX ? ERR_NOMEM : ERR_LIMIT;
        wal->dirs[i] = (struct wal_dir){.path = copy, .fd = -1, .mark_fd = -1};
        wal->dir_count++;
    }
    *ret_i = i;
    return 0;
}

void wal_join(struct wal *wal, size_t i, uint64_t have)
{
    wal->join = (struct wal_join_wish){.is_wanted = true, .dir = i, .have = have};
}

bool wal_is_joining(const struct wal *wal)
{
    return wal->join.is_wanted || (wal->in_flight && wal->batch.join.is_wanted);
}

void wal_leave(struct wal *wal, size_t i)
{
    wal->leave |= 1U << i;
}

bool wal_is_settled(const struct wal *wal)
{
    return !wal->in_flight && !wal->drop_below && !wal->join.is_wanted && !wal->leave;
}
