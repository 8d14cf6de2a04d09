/* SPDX-License-Identifier: Apache-2.0
 * walrepair: the changing half of recovery, when the files have been read and one whole copy is
 * known. A crash in the middle finds the same judgement again:
 *
 *   repair   in each directory that has all records: leftovers go; the segments at the end are
 *            written anew as log.N.tmp, synced, renamed. What the page cache may have shown us
 *            without the disk having it is on the disk now.
 *   marks    the watermarks of these, without the directories that follow.
 *   refill   a directory that was written off, is new or is rotten: its watermark goes, its
 *            segments go (rotten ones are set aside as log.N.damaged), all segments are copied,
 *            then it gets a watermark, and the others' name it: from then on it is believed. */
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/walopening.h"

static int fail(struct err *err, int code, const char *dir, const char *name, const char *verb)
{
    return err_set(err, code, "%s/%s: cannot %s: %s", dir, name, verb, err_text(code));
}

uint64_t wal_new_dir_id(const struct wal *wal, size_t i)
{
    return hash_u64(wal->mark.wal_id ^ hash_u64((wal->mark.epoch + 1) << 8 | i)) | 1;
}

int wal_put_segment(struct wal *wal, struct wal_dir *dir, uint64_t first, struct slice bytes,
                    uint64_t size, int *ret_fd, uint64_t *ret_size)
{
    char name[WALFILE_NAME_MAX];
    struct disk *disk = wal->disk;
    int fd = -1;
    char *path = fsutil_join(dir->path, walfile_name(name, first));
    char *tmp = path ? str_printf("%s.tmp", path) : NULL;
    int rc = tmp ? disk_open(disk, tmp, DISK_WRITE | DISK_CREATE | DISK_TRUNC, &fd) : ERR_NOMEM;
    if (rc == 0 && size > bytes.len) {
        rc = disk_allocate(disk, fd, size);
        if (rc == ERR_NOSPC) { /* it can at least be read; the log is full then */
            size = bytes.len;
            rc = 0;
        }
    }
    if (rc == 0)
        rc = disk_pwrite(disk, fd, bytes.data, bytes.len, 0);
    if (rc == 0)
        rc = disk_fsync(disk, fd);
    if (rc == 0)
        rc = disk_rename(disk, tmp, path);
    if (rc == 0)
        rc = disk_fsync_dir(disk, dir->path);
    mem_free(path);
    mem_free(tmp);
    if (rc != 0 || !ret_fd) {
        disk_close(disk, fd);
        return rc;
    }
    *ret_fd = fd;
    *ret_size = size > bytes.len ? size : bytes.len;
    return 0;
}

static int remove_named(struct wal *wal, const char *dir, const char *name, struct err *err)
{
    char *path = fsutil_join(dir, name);
    int rc = path ? disk_unlink(wal->disk, path) : ERR_NOMEM;
    mem_free(path);
    return rc == 0 || rc == ERR_NOENT ? 0 : fail(err, rc, dir, name, "remove");
}

struct leftovers {
    struct wal *wal;
    const char *dir;
    struct err *err;
};

static int remove_leftover(void *arg, const char *name, bool is_dir)
{
    struct leftovers *l = arg;
    size_t n = strlen(name);
    bool is_tmp = n > 4 && strncmp(name, "log.", 4) == 0 && strcmp(name + n - 4, ".tmp") == 0;
    if (is_dir || !(is_tmp || strcmp(name, WAL_NEXT_FILE) == 0))
        return 0;
    return remove_named(l->wal, l->dir, name, l->err);
}

static int remove_leftovers(struct wal_opening *o, size_t i, struct err *err)
{
    struct leftovers l = {o->wal, o->wal->dirs[i].path, err};
    struct walscan *scan = &o->dirs[i].scan;
    char name[WALFILE_NAME_MAX];
    int rc = scan->has_leftovers ? disk_list(o->wal->disk, l.dir, remove_leftover, &l) : 0;
    for (size_t s = 0; rc == 0 && s + 1 < scan->segments; s++)
        if (scan->firsts[s + 1] <= o->wal->mark.first)
            rc = remove_named(o->wal, l.dir, walfile_name(name, scan->firsts[s]), err);
    return rc;
}

/* The unsealed segment of the best directory, ended after its last good record. */
static int load_tail(struct wal_opening *o, struct err *err)
{
    struct wal *wal = o->wal;
    struct wal_found *best = &o->dirs[o->best];
    struct walscan *scan = &best->scan;
    int rc = walscan_load(scan, scan->firsts[scan->last_segment], &o->tail, err);
    if (rc != 0)
        return rc;
    if (scan->is_torn)
        wal_note(wal, NULL, "%s/%s: cut after record %llu: what followed was not finished",
                 scan->dir, scan->where, (unsigned long long)scan->last);
    wal->chain = scan->last_crc;
    if (scan->last_off)
        wal->chain = walfile_close_batch(o->tail.data, scan->last_off);
    if (o->tail.len > scan->end_off)
        o->tail.len = scan->end_off;
    wal->seg_off = (scan->end_off + WALFILE_BLOCK - 1) / WALFILE_BLOCK * WALFILE_BLOCK;
    size_t pad = wal->seg_off - o->tail.len;
    uint8_t *to = buf_reserve(&o->tail, pad);
    if (!to)
        return err_set(err, ERR_NOMEM, "%s: out of memory", scan->dir);
    memset(to, 0, pad);
    o->tail.len += pad;
    return 0;
}

static int copy_sealed(struct wal_opening *o, size_t to, uint64_t first, struct err *err)
{
    char name[WALFILE_NAME_MAX];
    struct buf bytes = BUF_INIT;
    struct wal_dir *dir = &o->wal->dirs[to];
    int rc = walscan_load(&o->dirs[o->best].scan, first, &bytes, err);
    if (rc == 0) {
        rc = wal_put_segment(o->wal, dir, first, buf_slice(&bytes), 0, NULL, NULL);
        if (rc != 0)
            fail(err, rc, dir->path, walfile_name(name, first), "write");
    }
    buf_release(&bytes);
    return rc;
}

/* Segments of the best directory from `from` on, the unsealed one last and kept open. */
static int copy_segments(struct wal_opening *o, size_t i, uint64_t from, struct err *err)
{
    struct wal *wal = o->wal;
    char name[WALFILE_NAME_MAX];
    int rc = 0;
    for (size_t s = 0; rc == 0 && s + 1 < wal->segments; s++)
        if (wal->firsts[s] >= from)
            rc = copy_sealed(o, i, wal->firsts[s], err);
    if (rc != 0)
        return rc;
    uint64_t size = 0, first = wal->firsts[wal->segments - 1];
    rc = wal_put_segment(wal, &wal->dirs[i], first, buf_slice(&o->tail), wal->segment_bytes,
                         &wal->dirs[i].fd, &size);
    if (rc == ERR_NOSPC)
        return err_set(err, rc, "%s/%s: cannot rewrite: %s: free %zu bytes at least",
                       wal->dirs[i].path, walfile_name(name, first), err_text(rc), o->tail.len);
    if (rc != 0)
        return fail(err, rc, wal->dirs[i].path, walfile_name(name, first), "rewrite");
    if (wal->seg_size == 0 || size < wal->seg_size)
        wal->seg_size = size;
    wal->dirs[i].alive = true;
    return 0;
}

static int open_mark(struct wal *wal, struct wal_dir *dir, struct err *err)
{
    char *path = fsutil_join(dir->path, WALMARK_FILE);
    int rc = path ? disk_open(wal->disk, path, DISK_WRITE, &dir->mark_fd) : ERR_NOMEM;
    mem_free(path);
    return rc ? fail(err, rc, dir->path, WALMARK_FILE, "open") : 0;
}

static int repair_dir(struct wal_opening *o, size_t i, struct err *err)
{
    struct wal_found *found = &o->dirs[i];
    struct walscan *scan = &found->scan;
    struct wal_dir *dir = &o->wal->dirs[i];
    int rc = remove_leftovers(o, i, err);
    if (rc == 0)
        rc = copy_segments(o, i, scan->firsts[scan->last_segment], err);
    dir->id = found->mark.self;
    dir->mark_seq = found->mark.seq;
    return rc ? rc : open_mark(o->wal, dir, err);
}

static int set_aside(struct wal_opening *o, size_t i, uint64_t first, struct err *err)
{
    char name[WALFILE_NAME_MAX];
    const char *dir = o->wal->dirs[i].path;
    walfile_name(name, first);
    if (o->dirs[i].state != WAL_DIR_MEMBER)
        return remove_named(o->wal, dir, name, err);
    char *from = fsutil_join(dir, name);
    char *to = from ? str_printf("%s.damaged", from) : NULL;
    int rc = to ? disk_rename(o->wal->disk, from, to) : ERR_NOMEM;
    mem_free(from);
    mem_free(to);
    return rc ? fail(err, rc, dir, name, "set aside") : 0;
}

/* Forget its watermark, so that a half-filled directory is never believed. */
static int forget_mark(struct wal_opening *o, size_t i, struct err *err)
{
    const char *dir = o->wal->dirs[i].path;
    int rc = remove_named(o->wal, dir, WALMARK_FILE, err);
    if (rc != 0)
        return rc;
    rc = disk_fsync_dir(o->wal->disk, dir);
    return rc ? err_set(err, rc, "%s: cannot fsync: %s", dir, err_text(rc)) : 0;
}

static int refill_dir(struct wal_opening *o, size_t i, struct err *err)
{
    struct wal *wal = o->wal;
    struct walscan *scan = &o->dirs[i].scan;
    int rc = forget_mark(o, i, err);
    if (rc == 0)
        rc = remove_leftovers(o, i, err);
    for (size_t s = 0; rc == 0 && s < scan->segments; s++)
        if (s + 1 == scan->segments || scan->firsts[s + 1] > wal->mark.first)
            rc = set_aside(o, i, scan->firsts[s], err);
    if (rc == 0)
        rc = copy_segments(o, i, 0, err);
    if (rc == 0)
        wal_note(wal, NULL, "%s was filled again from %s and is used", wal->dirs[i].path,
                 wal->dirs[o->best].path);
    return rc;
}

/* Recovery can do without this one as long as another is there. */
static void do_without(struct wal_opening *o, size_t i, const struct err *err)
{
    struct wal_dir *dir = &o->wal->dirs[i];
    disk_close(o->wal->disk, dir->fd);
    disk_close(o->wal->disk, dir->mark_fd);
    dir->fd = dir->mark_fd = -1;
    dir->alive = false;
    dir->is_lost = o->dirs[i].is_whole;
    o->dirs[i].is_whole = false;
    o->dirs[i].state = WAL_DIR_BROKEN;
    o->dirs[i].err = *err;
    wal_note(o->wal, NULL, "%s: it is not used; repair or empty it and start again to fill it",
             err->msg);
}

static int create_mark(struct wal *wal, struct wal_dir *dir, struct err *err)
{
    struct walmark mark = wal->mark;
    mark.self = dir->id;
    mark.seq = dir->mark_seq = 1;
    int rc = walmark_create(wal->disk, dir->path, &mark, err);
    return rc ? rc : open_mark(wal, dir, err);
}

/* The filled ones get the new list first: once the others name them, they must be members. */
static int refill(struct wal_opening *o)
{
    struct wal *wal = o->wal;
    bool filled[WAL_DIRS_MAX] = {0}, any = false;
    struct err one = {0};
    for (size_t i = 0; i < wal->dir_count; i++) {
        if (o->dirs[i].is_whole || o->dirs[i].state == WAL_DIR_BROKEN)
            continue;
        if (refill_dir(o, i, &one) != 0) {
            do_without(o, i, &one);
            continue;
        }
        filled[i] = any = true;
        wal->dirs[i].id = wal_new_dir_id(wal, i);
    }
    if (!any)
        return 0;
    wal->mark.epoch++;
    wal_list_members(wal);
    for (size_t i = 0; i < wal->dir_count; i++)
        if (filled[i] && create_mark(wal, &wal->dirs[i], &one) != 0)
            do_without(o, i, &one);
    return wal_write_off(wal, NULL);
}

static int take_segments(struct wal_opening *o, struct err *err)
{
    struct wal *wal = o->wal;
    const struct walscan *best = &o->dirs[o->best].scan;
    wal->mark = *o->newest;
    for (size_t i = 0; i < wal->dir_count; i++)
        if (o->dirs[i].is_whole && o->dirs[i].mark.first > wal->mark.first)
            wal->mark.first = o->dirs[i].mark.first;
    for (size_t s = 0; s <= best->last_segment; s++) {
        if (s < best->last_segment && best->firsts[s + 1] <= wal->mark.first)
            continue; /* a leftover, about to be removed */
        if (mem_grow(&wal->firsts, &wal->segment_cap, wal->segments, sizeof(*wal->firsts)) != 0)
            return err_set(err, ERR_NOMEM, "%s: out of memory", wal->dirs[o->best].path);
        wal->firsts[wal->segments++] = best->firsts[s];
    }
    wal->disk_last = wal->mark.acknowledged = best->last;
    wal->disk_last_term = best->last_term;
    return load_tail(o, err);
}

/* Whole directories first, so that a copy is safe before anything is replaced. */
int wal_repair(struct wal_opening *o, struct err *err)
{
    struct wal *wal = o->wal;
    bool any = false;
    struct err one = {0};
    int rc = take_segments(o, err);
    for (size_t i = 0; rc == 0 && i < wal->dir_count; i++) {
        if (o->dirs[i].state == WAL_DIR_BROKEN)
            do_without(o, i, &o->dirs[i].err);
        if (!o->dirs[i].is_whole)
            continue;
        if (repair_dir(o, i, &one) == 0) {
            any = true;
        } else {
            do_without(o, i, &one);
            o->members_changed = true;
        }
    }
    if (rc != 0)
        return rc;
    if (!any) {
        *err = one;
        return one.code;
    }
    wal_list_members(wal);
    for (size_t i = 0; i < wal->dir_count && !o->members_changed; i++) {
        int failed = wal->dirs[i].alive ? wal_write_mark(wal, &wal->dirs[i], false) : 0;
        if (failed != 0) {
            wal_lose_dir(wal, &wal->dirs[i], "write the watermark", failed, NULL);
            o->members_changed = true;
        }
    }
    if (o->members_changed)
        rc = wal_write_off(wal, NULL);
    if (rc == 0)
        rc = refill(o);
    return rc ? err_set(err, rc, "no directory of the log can be written") : 0;
}
