/* SPDX-License-Identifier: Apache-2.0
 * walopen: making a log, and the reading half of recovery: everything is read (look), the list of
 * directories that must agree is found (choose), and each is judged. Only when one whole copy is
 * known does anything change: walrepair.c. */
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/walopening.h"

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

/* ---- making one ---- */

static int remove_segment(const struct wal *wal, size_t i, uint64_t first, struct err *err)
{
    char name[WALFILE_NAME_MAX];
    char *path = fsutil_join(wal->dirs[i].path, walfile_name(name, first));
    int rc = path ? disk_unlink(wal->disk, path) : ERR_NOMEM;
    mem_free(path);
    return rc ? err_set(err, rc, "%s/%s: cannot remove: %s", wal->dirs[i].path, name, err_text(rc))
              : 0;
}

/* What an earlier try that was cut short has left is removed. */
static int check_is_new(struct wal *wal, struct err *err)
{
    for (size_t i = 0; i < wal->dir_count; i++) {
        struct walscan scan;
        int rc = walscan_list(&scan, wal->disk, wal->dirs[i].path, err);
        if (rc != 0)
            return rc;
        int unborn = walscan_is_unborn(&scan, err);
        if (unborn > 0 && scan.segments)
            rc = remove_segment(wal, i, scan.firsts[0], err);
        walscan_release(&scan);
        if (unborn < 0 || rc < 0)
            return unborn < 0 ? unborn : rc;
        if (!unborn)
            return err_set(err, ERR_EXIST, "%s holds a log already", wal->dirs[i].path);
    }
    return 0;
}

static int create_segment(struct wal *wal, size_t i, struct err *err)
{
    struct wal_dir *dir = &wal->dirs[i];
    uint8_t head[WALFILE_BLOCK];
    char name[WALFILE_NAME_MAX];
    walfile_head_encode(&(struct walfile_head){.wal_id = wal->mark.wal_id,
                                               .first_index = wal->mark.first,
                                               .prev_crc = walfile_chain_start(wal->mark.wal_id)},
                        head);
    int rc = wal_put_segment(wal, dir, wal->mark.first, slice_of(head, sizeof(head)),
                             wal->segment_bytes, NULL, NULL);
    if (rc != 0)
        return err_set(err, rc, "%s/%s: cannot create: %s", dir->path,
                       walfile_name(name, wal->mark.first), err_text(rc));
    return 0;
}

static int create_mark(struct wal *wal, size_t i, struct err *err)
{
    struct walmark mark = wal->mark;
    mark.self = wal->dirs[i].id;
    mark.seq = 1;
    return walmark_create(wal->disk, wal->dirs[i].path, &mark, err);
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
        wal->dirs[i].id = wal_new_dir_id(wal, i);
        wal->dirs[i].alive = true;
    }
    wal_list_members(wal);
    rc = check_is_new(wal, err);
    for (size_t i = 0; rc == 0 && i < wal->dir_count; i++)
        rc = create_segment(wal, i, err);
    for (size_t i = 0; rc == 0 && i < wal->dir_count; i++) /* they all exist: see WAL_DIR_UNBORN */
        rc = create_mark(wal, i, err);
    wal_abandon(wal);
    return rc;
}

/* ---- look ---- */

static int look_at(struct wal_opening *o, size_t i, struct err *err)
{
    struct wal_found *found = &o->dirs[i];
    const char *path = o->wal->dirs[i].path;
    found->state = WAL_DIR_BROKEN;
    if (walscan_list(&found->scan, o->wal->disk, path, &found->err) != 0)
        return 0;
    int unborn = walscan_is_unborn(&found->scan, &found->err);
    if (unborn != 0) {
        if (unborn > 0)
            found->state = found->scan.segments ? WAL_DIR_UNBORN : WAL_DIR_EMPTY;
        return 0;
    }
    int rc = walmark_read(o->wal->disk, path, &found->mark, &found->err);
    if (rc == ERR_VERSION) {
        *err = found->err;
        return rc;
    }
    if (rc == 0)
        found->state = WAL_DIR_STALE; /* until it is found in the newest list */
    if (rc == ERR_NOENT) {
        found->state = WAL_DIR_UNFINISHED;
        err_set(&found->err, ERR_CORRUPT,
                "%s holds segments of a log but no watermark: it was never finished, or it is "
                "damaged",
                path);
    }
    return 0;
}

static bool has_mark(const struct wal_found *found)
{
    return found->state == WAL_DIR_STALE || found->state == WAL_DIR_MEMBER;
}

static int no_log(const struct wal_opening *o, struct err *err)
{
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        if (o->dirs[i].state != WAL_DIR_EMPTY && o->dirs[i].state != WAL_DIR_UNBORN) {
            *err = o->dirs[i].err;
            return err->code;
        }
    }
    return err_set(err, ERR_NOENT, "%s holds no log: it was not formatted", o->wal->dirs[0].path);
}

/* The newest list of members, and who is in it. */
static int choose_members(struct wal_opening *o, struct err *err)
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
        struct wal_found *found = &o->dirs[i];
        const char *path = o->wal->dirs[i].path;
        if (!has_mark(found))
            continue;
        if (found->mark.wal_id != o->newest->wal_id)
            return err_set(err, ERR_FOREIGN,
                           "%s and %s belong to different logs: one of them is wrong", newest_path,
                           path);
        if (walmark_has(o->newest, found->mark.self))
            found->state =
                WAL_DIR_MEMBER; /* also with an older list: the new one did not reach it */
        else if (found->mark.epoch == o->newest->epoch)
            return err_set(err, ERR_CORRUPT,
                           "%s and %s went on without each other: configure the one that counts",
                           newest_path, path);
    }
    return 0;
}

static const struct wal_found *find_member(const struct wal_opening *o, uint64_t id)
{
    for (size_t i = 0; i < o->wal->dir_count; i++)
        if (o->dirs[i].state == WAL_DIR_MEMBER && o->dirs[i].mark.self == id)
            return &o->dirs[i];
    return NULL;
}

/* A member may be missing only when the operator took it out of the configuration: it may be the
 * one that wrote off those we see. */
static int check_members(struct wal_opening *o, struct err *err)
{
    for (uint32_t m = 0; m < o->newest->member_count; m++) {
        const struct walmark_member *member = &o->newest->members[m];
        if (find_member(o, member->id))
            continue;
        o->members_changed = true;
        size_t i = 0;
        for (; i < o->wal->dir_count; i++) {
            if (strcmp(o->wal->dirs[i].path, member->path) != 0)
                continue;
            if (o->dirs[i].state == WAL_DIR_UNBORN && o->newest->epoch == 1)
                break; /* the log was being made, and is finished now */
            const char *why = o->dirs[i].err.code != 0 ? o->dirs[i].err.msg
                              : o->dirs[i].state == WAL_DIR_EMPTY
                                  ? "it is empty: is it mounted?"
                                  : "it holds an older state, or another directory's";
            return err_set(err, ERR_CORRUPT,
                           "%s must have every record, but %s. If it is gone for good, start once "
                           "without it in the configuration; then it may come back empty",
                           member->path, why);
        }
        if (i == o->wal->dir_count)
            wal_note(o->wal, NULL, "%s was taken out of the configuration and is not used any more",
                     member->path);
    }
    return 0;
}

/* ---- judge ---- */

static int scan_members(struct wal_opening *o, struct err *err)
{
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        struct wal_found *found = &o->dirs[i];
        if (found->state != WAL_DIR_MEMBER)
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

static int judge(struct wal_opening *o, struct err *err)
{
    bool any = false, all = true;
    struct err first_err = {0};
    for (size_t i = 0; i < o->wal->dir_count; i++) {
        struct wal_found *found = &o->dirs[i];
        if (found->state != WAL_DIR_MEMBER)
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
        if (o->dirs[i].state == WAL_DIR_STALE &&
            o->dirs[i].mark.acknowledged > o->dirs[o->best].scan.last)
            return err_set(err, ERR_CORRUPT,
                           "%s was written off but holds newer records than %s: configure the one "
                           "that counts",
                           o->wal->dirs[i].path, o->wal->dirs[o->best].path);
    return 0;
}

static int begin(struct wal_opening *o, struct err *err)
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

static int open_steps(struct wal_opening *o, struct err *err)
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
        rc = wal_repair(o, err);
    return rc ? rc : begin(o, err);
}

int wal_open(const struct wal_options *options, struct wal **ret_wal, struct err *err)
{
    struct err unread = {0};
    err = err ? err : &unread;
    int rc = check_options(options, err);
    if (rc != 0)
        return rc;
    struct wal_opening *o = mem_calloc(1, sizeof(*o));
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
