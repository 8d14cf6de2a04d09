/* SPDX-License-Identifier: Apache-2.0
 * walopen: making a log, and recovering one. First everything is read and judged (look, choose,
 * judge); only when one whole copy is known is anything changed (repair, refill), and then always
 * so that a crash in the middle finds the same judgement again:
 *
 *   repair   in each directory that has all records: leftovers go; the segments at the end are
 *            written anew as log.N.tmp, synced, renamed. What the page cache may have shown us
 *            without the disk having it is on the disk now.
 *   refill   a directory that was written off, is new or is rotten: the others' watermarks stop
 *            naming it, its own goes, its segments go (rotten ones are set aside as
 *            log.N.damaged), all segments are copied, then it gets a watermark: from then on
 *            it is believed.
 *   at last  the watermarks of all. */
#include "libcommon/store/wal.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/walscan.h"
#include "libcommon/store/walstate.h"

enum dir_state {
    DIR_EMPTY,      /* no file of a log */
    DIR_UNFINISHED, /* segments but no watermark: the power went out while it was filled */
    DIR_BROKEN,     /* cannot be read, or its watermark is damaged; .err says how */
    DIR_STALE,      /* was written off */
    DIR_MEMBER,     /* the others count on it */
};

struct found {
    enum dir_state state;
    struct err err;
    struct walmark mark;
    struct walscan scan;
    bool is_whole; /* a member that has every durable record */
};

struct opening {
    struct wal *wal;
    const char *advice;
    struct found dirs[WAL_DIRS_MAX];
    const struct walmark *newest; /* of the watermarks */
    size_t best;                  /* the directory to copy from */
    uint64_t proven;
    struct buf tail;      /* the unsealed segment, closed after the last good record */
    bool members_changed; /* one of the list is missing or not whole */
};

static int fail(struct err *err, int code, const char *dir, const char *name, const char *verb)
{
    return err_set(err, code, "%s/%s: cannot %s: %s", dir, name, verb, err_text(code));
}

/* ---- a wal without files ---- */

static int check_options(const struct wal_options *options, struct err *err)
{
    uint64_t size = options->segment_bytes;
    if (options->dir_count == 0 || options->dir_count > WAL_DIRS_MAX)
        return err_set(err, ERR_INVAL, "a log takes 1 to %d directories, not %zu", WAL_DIRS_MAX,
                       options->dir_count);
    if (size && (size < 16384 || size % WALFILE_BLOCK || size > WALFILE_SIZE_MAX))
        return err_set(err, ERR_INVAL,
                       "segments of a log have 16 KiB to 1 GiB, in steps of 4 KiB, not %llu bytes",
                       (unsigned long long)size);
    for (size_t i = 0; i < options->dir_count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(options->dirs[i], options->dirs[k]) == 0)
                return err_set(err, ERR_INVAL, "%s is listed twice", options->dirs[i]);
    return 0;
}

static struct wal *wal_new(const struct wal_options *options)
{
    struct wal *wal = mem_calloc(1, sizeof(*wal));
    if (!wal)
        return NULL;
    wal->disk = options->disk;
    wal->segment_bytes = options->segment_bytes ? options->segment_bytes : WAL_SEGMENT_DEFAULT;
    wal->notify = options->notify;
    wal->notify_arg = options->notify_arg;
    wal->batch.wal = wal;
    wal->dir_count = options->dir_count;
    bool is_ok = true;
    for (size_t i = 0; i < wal->dir_count; i++) {
        struct wal_dir *dir = &wal->dirs[i];
        dir->path = str_dup(options->dirs[i]);
        dir->fd = dir->mark_fd = -1;
        is_ok &= dir->path != NULL;
    }
    if (is_ok)
        return wal;
    wal_abandon(wal);
    return NULL;
}

/* Unique within the log: the epoch is about to grow, and none comes twice. */
static uint64_t new_dir_id(const struct wal *wal, size_t i)
{
    return hash_u64(wal->mark.wal_id ^ hash_u64((wal->mark.epoch + 1) << 8 | i)) | 1;
}

/* Write a segment whole: allocated to `size` when there is room, durable and named when it returns.
 * *ret_fd (NULL: closed) writes it; *ret_size tells its length. */
static int put_segment(struct wal *wal, struct wal_dir *dir, uint64_t first, struct slice bytes,
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

/* ---- making one ---- */

static int check_is_new(const struct wal *wal, struct err *err)
{
    for (size_t i = 0; i < wal->dir_count; i++) {
        struct walscan scan;
        int rc = walscan_list(&scan, wal->disk, wal->dirs[i].path, err);
        if (rc != 0)
            return rc;
        bool is_used = scan.segments || scan.has_watermark;
        walscan_release(&scan);
        if (is_used)
            return err_set(err, ERR_EXIST, "%s holds a log already", wal->dirs[i].path);
    }
    return 0;
}

static int create_in(struct wal *wal, size_t i, struct err *err)
{
    struct wal_dir *dir = &wal->dirs[i];
    uint8_t head[WALFILE_BLOCK];
    char name[WALFILE_NAME_MAX];
    walfile_head_encode(&(struct walfile_head){.wal_id = wal->mark.wal_id,
                                               .first_index = wal->mark.first,
                                               .prev_crc = walfile_chain_start(wal->mark.wal_id)},
                        head);
    int rc = put_segment(wal, dir, wal->mark.first, slice_of(head, sizeof(head)),
                         wal->segment_bytes, NULL, NULL);
    if (rc != 0)
        return fail(err, rc, dir->path, walfile_name(name, wal->mark.first), "create");
    struct walmark mark = wal->mark;
    mark.self = dir->id;
    mark.seq = 1;
    return walmark_create(wal->disk, dir->path, &mark, err);
}

int wal_create(const struct wal_options *options, uint64_t wal_id, uint64_t first_index,
               struct err *err)
{
    BUG_ON(first_index == 0);
    int rc = check_options(options, err);
    if (rc != 0)
        return rc;
    struct wal *wal = wal_new(options);
    if (!wal)
        return err_set(err, ERR_NOMEM, "%s: out of memory", options->dirs[0]);
    wal->mark = (struct walmark){
        .wal_id = wal_id, .acknowledged = first_index - 1, .first = first_index, .epoch = 1};
    for (size_t i = 0; i < wal->dir_count; i++) {
        wal->dirs[i].id = new_dir_id(wal, i);
        wal->dirs[i].alive = true;
    }
    wal_list_members(wal);
    rc = check_is_new(wal, err);
    for (size_t i = 0; rc == 0 && i < wal->dir_count; i++)
        rc = create_in(wal, i, err);
    wal_abandon(wal);
    return rc;
}

/* ---- look ---- */

static int look_at(struct opening *o, size_t i, struct err *err)
{
    struct found *found = &o->dirs[i];
    const char *path = o->wal->dirs[i].path;
    found->state = DIR_BROKEN;
    if (walscan_list(&found->scan, o->wal->disk, path, &found->err) != 0)
        return 0;
    if (!found->scan.segments && !found->scan.has_watermark) {
        found->state = DIR_EMPTY;
        return 0;
    }
    int rc = walmark_read(o->wal->disk, path, &found->mark, &found->err);
    if (rc == ERR_VERSION) {
        *err = found->err;
        return rc;
    }
    if (rc == 0)
        found->state = DIR_STALE; /* until it is found in the newest list */
    if (rc == ERR_NOENT) {
        found->state = DIR_UNFINISHED;
        err_set(&found->err, ERR_CORRUPT,
                "%s holds segments of a log but no watermark: it was never finished, or it is "
                "damaged",
                path);
    }
    return 0;
}

static bool has_mark(const struct found *found)
{
    return found->state == DIR_STALE || found->state == DIR_MEMBER;
}

static int no_log(const struct opening *o, struct err *err)
{
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        if (o->dirs[i].state != DIR_EMPTY) {
            *err = o->dirs[i].err;
            return err->code;
        }
    }
    return err_set(err, ERR_NOENT, "%s holds no log: it was not formatted", o->wal->dirs[0].path);
}

/* The newest list of members, and who is in it. */
static int choose_members(struct opening *o, struct err *err)
{
    const char *newest_path = NULL;
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        const struct walmark *mark = &o->dirs[i].mark;
        if (has_mark(&o->dirs[i]) && (!o->newest || mark->epoch > o->newest->epoch)) {
            o->newest = mark;
            newest_path = o->wal->dirs[i].path;
        }
    }
    if (!o->newest)
        return no_log(o, err);
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        struct found *found = &o->dirs[i];
        const char *path = o->wal->dirs[i].path;
        if (!has_mark(found))
            continue;
        if (found->mark.wal_id != o->newest->wal_id)
            return err_set(err, ERR_FOREIGN,
                           "%s and %s belong to different logs: one of them is wrong", newest_path,
                           path);
        if (walmark_has(o->newest, found->mark.self))
            found->state = DIR_MEMBER; /* also with an older list: the new one did not reach it */
        else if (found->mark.epoch == o->newest->epoch)
            return err_set(err, ERR_CORRUPT,
                           "%s and %s went on without each other: configure the one that counts",
                           newest_path, path);
    }
    return 0;
}

static const struct found *find_member(const struct opening *o, uint64_t id)
{
    for (size_t i = 0; i < o->wal->dir_count; i++)
        if (o->dirs[i].state == DIR_MEMBER && o->dirs[i].mark.self == id)
            return &o->dirs[i];
    return NULL;
}

/* A member may be missing only when the operator took it out of the configuration: it may be the
 * one that wrote off those we see. */
static int check_members(struct opening *o, struct err *err)
{
    for (uint32_t m = 0; m < o->newest->member_count; m++) {
        const struct walmark_member *member = &o->newest->members[m];
        if (find_member(o, member->id))
            continue;
        o->members_changed = true;
        for (size_t i = 0; i < o->wal->dir_count; i++) {
            if (strcmp(o->wal->dirs[i].path, member->path) != 0)
                continue;
            const char *why = o->dirs[i].err.code != 0 ? o->dirs[i].err.msg
                              : o->dirs[i].state == DIR_EMPTY
                                  ? "it is empty: is it mounted?"
                                  : "it holds an older state, or another directory's";
            return err_set(err, ERR_CORRUPT,
                           "%s must have every record, but %s. If it is gone for good, start once "
                           "without it in the configuration; then it may come back empty",
                           member->path, why);
        }
        wal_note(o->wal, NULL, "%s was taken out of the configuration and is not used any more",
                 member->path);
    }
    return 0;
}

/* ---- judge ---- */

static int scan_members(struct opening *o, struct err *err)
{
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        struct found *found = &o->dirs[i];
        if (found->state != DIR_MEMBER)
            continue;
        int rc = walscan_read(&found->scan, &found->mark, 0, NULL, NULL, err);
        if (rc != 0)
            return rc;
        if (found->scan.proven > o->proven)
            o->proven = found->scan.proven;
    }
    return 0;
}

/* Does `a` reach further than `b`? With the same records, the one with the later segment. */
static bool is_longer(const struct walscan *a, const struct walscan *b)
{
    if (a->last != b->last)
        return a->last > b->last;
    return a->firsts[a->last_segment] > b->firsts[b->last_segment];
}

static int judge(struct opening *o, struct err *err)
{
    bool any = false, all = true;
    struct err first_err = {0};
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        struct found *found = &o->dirs[i];
        if (found->state != DIR_MEMBER)
            continue;
        found->is_whole = walscan_verdict(&found->scan, o->proven, o->advice, &found->err) == 0;
        if (!found->is_whole) {
            all = false;
            if (first_err.code == 0)
                first_err = found->err;
        } else if (!any || is_longer(&found->scan, &o->dirs[o->best].scan)) {
            o->best = i;
            any = true;
        }
    }
    if (!any) {
        if (err)
            *err = first_err;
        return first_err.code;
    }
    o->members_changed |= !all;
    if (!all)
        wal_note(o->wal, NULL, "%s (another directory has all of it and is used)", first_err.msg);
    for (size_t i = 0; i < o->wal->dir_count; i++)
        if (o->dirs[i].state == DIR_STALE &&
            o->dirs[i].mark.acknowledged > o->dirs[o->best].scan.last)
            return err_set(err, ERR_CORRUPT,
                           "%s was written off but holds newer records than %s: configure the one "
                           "that counts",
                           o->wal->dirs[i].path, o->wal->dirs[o->best].path);
    return 0;
}

/* ---- repair ---- */

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

static int remove_leftovers(struct opening *o, size_t i, struct err *err)
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
static int load_tail(struct opening *o, struct err *err)
{
    struct wal *wal = o->wal;
    struct found *best = &o->dirs[o->best];
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

static int copy_sealed(struct opening *o, size_t to, uint64_t first, struct err *err)
{
    char name[WALFILE_NAME_MAX];
    struct buf bytes = BUF_INIT;
    struct wal_dir *dir = &o->wal->dirs[to];
    int rc = walscan_load(&o->dirs[o->best].scan, first, &bytes, err);
    if (rc == 0) {
        rc = put_segment(o->wal, dir, first, buf_slice(&bytes), 0, NULL, NULL);
        if (rc != 0)
            fail(err, rc, dir->path, walfile_name(name, first), "write");
    }
    buf_release(&bytes);
    return rc;
}

/* Segments of the best directory from `from` on, the unsealed one last and kept open. */
static int copy_segments(struct opening *o, size_t i, uint64_t from, struct err *err)
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
    rc = put_segment(wal, &wal->dirs[i], first, buf_slice(&o->tail), wal->segment_bytes,
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

static int repair_dir(struct opening *o, size_t i, struct err *err)
{
    struct found *found = &o->dirs[i];
    struct walscan *scan = &found->scan;
    struct wal_dir *dir = &o->wal->dirs[i];
    int rc = remove_leftovers(o, i, err);
    if (rc == 0)
        rc = copy_segments(o, i, scan->firsts[scan->last_segment], err);
    dir->id = found->mark.self;
    dir->mark_seq = found->mark.seq;
    return rc ? rc : open_mark(o->wal, dir, err);
}

static int set_aside(struct opening *o, size_t i, uint64_t first, struct err *err)
{
    char name[WALFILE_NAME_MAX];
    const char *dir = o->wal->dirs[i].path;
    walfile_name(name, first);
    if (o->dirs[i].state != DIR_MEMBER)
        return remove_named(o->wal, dir, name, err);
    char *from = fsutil_join(dir, name);
    char *to = from ? str_printf("%s.damaged", from) : NULL;
    int rc = to ? disk_rename(o->wal->disk, from, to) : ERR_NOMEM;
    mem_free(from);
    mem_free(to);
    return rc ? fail(err, rc, dir, name, "set aside") : 0;
}

/* Forget its watermark, so that a half-filled directory is never believed. */
static int forget_mark(struct opening *o, size_t i, struct err *err)
{
    const char *dir = o->wal->dirs[i].path;
    int rc = remove_named(o->wal, dir, WALMARK_FILE, err);
    if (rc != 0)
        return rc;
    rc = disk_fsync_dir(o->wal->disk, dir);
    return rc ? err_set(err, rc, "%s: cannot fsync: %s", dir, err_text(rc)) : 0;
}

static int refill_dir(struct opening *o, size_t i, struct err *err)
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
static void do_without(struct opening *o, size_t i, const struct err *err)
{
    struct wal_dir *dir = &o->wal->dirs[i];
    disk_close(o->wal->disk, dir->fd);
    disk_close(o->wal->disk, dir->mark_fd);
    dir->fd = dir->mark_fd = -1;
    dir->alive = false;
    dir->is_lost = o->dirs[i].is_whole;
    o->dirs[i].is_whole = false;
    o->dirs[i].state = DIR_BROKEN;
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
static int refill(struct opening *o)
{
    struct wal *wal = o->wal;
    bool filled[WAL_DIRS_MAX] = {0}, any = false;
    struct err one = {0};
    for (size_t i = 0; i < wal->dir_count; i++) {
        if (o->dirs[i].is_whole || o->dirs[i].state == DIR_BROKEN)
            continue;
        if (refill_dir(o, i, &one) != 0) {
            do_without(o, i, &one);
            continue;
        }
        filled[i] = any = true;
        wal->dirs[i].id = new_dir_id(wal, i);
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

static int take_segments(struct opening *o, struct err *err)
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
static int repair(struct opening *o, struct err *err)
{
    struct wal *wal = o->wal;
    bool any = false;
    struct err one = {0};
    int rc = take_segments(o, err);
    for (size_t i = 0; rc == 0 && i < wal->dir_count; i++) {
        if (o->dirs[i].state == DIR_BROKEN)
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

static int begin(struct opening *o, struct err *err)
{
    struct wal *wal = o->wal;
    wal->seg_zeroed = wal->seg_off;
    if (wal_prepare_next(wal, NULL) && wal_write_off(wal, NULL) != 0)
        return err_set(err, ERR_IO, "no directory of the log can be written");
    wal->first = wal->firsts[0];
    wal->last = wal->durable = wal->sealed = wal->disk_last;
    wal->full = wal->disk_full;
    wal->sure_room = wal_sure_room(wal);
    for (size_t i = 0; i < wal->dir_count; i++)
        wal->dir_alive[i] = wal->dirs[i].alive;
    return 0;
}

static int open_steps(struct opening *o, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o->wal->dir_count; i++)
        rc = look_at(o, i, err);
    if (rc == 0)
        rc = choose_members(o, err);
    if (rc == 0)
        rc = check_members(o, err);
    if (rc == 0)
        rc = scan_members(o, err);
    if (rc == 0)
        rc = judge(o, err);
    if (rc == 0)
        rc = repair(o, err);
    return rc ? rc : begin(o, err);
}

int wal_open(const struct wal_options *options, struct wal **ret_wal, struct err *err)
{
    struct err unread = {0};
    err = err ? err : &unread;
    int rc = check_options(options, err);
    if (rc != 0)
        return rc;
    struct opening *o = mem_calloc(1, sizeof(*o));
    struct wal *wal = o ? wal_new(options) : NULL;
    if (!wal) {
        mem_free(o);
        return err_set(err, ERR_NOMEM, "%s: out of memory", options->dirs[0]);
    }
    o->wal = wal;
    o->advice = options->advice;
    rc = open_steps(o, err);
    for (size_t i = 0; i < wal->dir_count; i++)
        walscan_release(&o->dirs[i].scan);
    buf_release(&o->tail);
    mem_free(o);
    if (rc != 0)
        wal_abandon(wal);
    else
        *ret_wal = wal;
    return rc;
}

/* ---- reading ---- */

int wal_replay(struct wal *wal, uint64_t from, wal_visit_fn visit, void *arg, struct err *err)
{
    struct walscan scan;
    size_t i = 0;
    while (!wal->dirs[i].alive)
        i++;
    int rc = walscan_list(&scan, wal->disk, wal->dirs[i].path, err);
    if (rc != 0)
        return rc;
    rc = walscan_read(&scan, &wal->mark, from, visit, arg, err);
    if (rc == 0)
        rc = walscan_verdict(&scan, wal->durable, NULL, err);
    walscan_release(&scan);
    return rc;
}

static void report_on(const struct walscan *scan, const struct walmark *mark,
                      struct wal_report *report)
{
    *report = (struct wal_report){
        .wal_id = mark->wal_id,
        .first = mark->first,
        .last = scan->last,
        .acknowledged = mark->acknowledged,
        .segments = scan->segments,
        .torn = scan->is_torn,
    };
}

int wal_inspect(struct disk *disk, const char *dir, uint64_t from, wal_visit_fn visit, void *arg,
                struct wal_report *ret_report, struct err *err)
{
    struct walscan scan;
    struct walmark mark;
    int rc = walmark_read(disk, dir, &mark, err);
    if (rc == ERR_NOENT)
        return err_set(err, rc, "%s holds no log", dir);
    if (rc == 0)
        rc = walscan_list(&scan, disk, dir, err);
    if (rc != 0)
        return rc;
    rc = walscan_read(&scan, &mark, from, visit, arg, err);
    if (rc == 0 && ret_report)
        report_on(&scan, &mark, ret_report);
    if (rc == 0)
        rc = walscan_verdict(&scan, scan.proven, NULL, err);
    walscan_release(&scan);
    return rc;
}
