/* SPDX-License-Identifier: Apache-2.0
 * wal: append and commit. The write path of one batch, and what recovery sees when the power goes
 * out at each step:
 *
 *   1 (only when the present segment is full) log.next gets its head, fdatasync, rename to
 *     log.<next index>, fsync of the directory. Before the rename: nothing new. After: an empty
 * last segment, or none. 2 the records go to the end of the segment in every directory: a beginning
 * of them may be seen, the rest is torn and cut. 3 fdatasync in every directory. A directory that
 * failed in 1..3 is now written off in the watermarks of the others: from then on recovery does not
 * believe it. 4 the batch is durable: only now may anybody be told. */
#include "libcommon/store/wal.h"

#include <stdarg.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/walstate.h"

/* Blocks that were written once, zeros too, are synced twice as fast as blocks that are only
 * allocated: the filesystem need not log that they became real. So zeros go ahead of the records.
 */
#define ZEROS_AHEAD   (256U << 10)
#define ROOM_RETRY_MS 5000

void wal_note(struct wal *wal, struct buf *notes, const char *fmt, ...)
{
    char line[ERR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (notes)
        buf_append(notes, line, strlen(line) + 1);
    else if (wal->notify)
        wal->notify(wal->notify_arg, line);
}

/* ---- the thread's half ---- */

int wal_write_mark(struct wal *wal, struct wal_dir *dir, bool twice)
{
    struct walmark mark = wal->mark;
    mark.self = dir->id;
    for (int i = 0; i < (twice ? 2 : 1); i++) {
        mark.seq = ++dir->mark_seq;
        int rc = walmark_write(wal->disk, dir->mark_fd, &mark);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void wal_lose_dir(struct wal *wal, struct wal_dir *dir, const char *doing, int code,
                  struct buf *notes)
{
    disk_close(wal->disk, dir->fd);
    disk_close(wal->disk, dir->mark_fd);
    dir->fd = dir->mark_fd = -1;
    dir->alive = dir->has_next = false;
    dir->is_lost = true;
    wal_note(wal, notes,
             "%s: cannot %s: %s: it is not used any more; repair it and start again to fill it",
             dir->path, doing, err_text(code));
}

void wal_list_members(struct wal *wal)
{
    wal->mark.member_count = 0;
    for (size_t i = 0; i < wal->dir_count; i++) {
        struct wal_dir *dir = &wal->dirs[i];
        if (!dir->alive)
            continue;
        struct walmark_member *member = &wal->mark.members[wal->mark.member_count++];
        *member = (struct walmark_member){.id = dir->id};
        snprintf(member->path, sizeof(member->path), "%s", dir->path);
    }
}

/* The survivors know; now, if it still can, the lost directory shall know it too, so that it is not
 * believed when it comes back alone. Its failure changes nothing. */
static void disown(struct wal *wal, struct wal_dir *dir)
{
    char *path = fsutil_join(dir->path, WALMARK_FILE);
    if (path && disk_unlink(wal->disk, path) == 0)
        (void)disk_fsync_dir(wal->disk, dir->path);
    mem_free(path);
    dir->is_lost = false;
}

int wal_write_off(struct wal *wal, struct buf *notes)
{
    bool again = true;
    while (again) {
        again = false;
        wal->mark.epoch++;
        wal_list_members(wal);
        for (size_t i = 0; i < wal->dir_count && !again; i++) {
            int rc = wal->dirs[i].alive ? wal_write_mark(wal, &wal->dirs[i], true) : 0;
            if (rc != 0) {
                wal_lose_dir(wal, &wal->dirs[i], "write the watermark", rc, notes);
                again = true;
            }
        }
    }
    if (wal->mark.member_count == 0)
        return ERR_IO;
    for (size_t i = 0; i < wal->dir_count; i++)
        if (wal->dirs[i].is_lost)
            disown(wal, &wal->dirs[i]);
    return 0;
}

/* Run one step in every living directory; those that fail are lost. `doing` says what for people.
 */
typedef int (*dir_step_fn)(struct wal *wal, struct wal_dir *dir, void *arg);

static bool in_every_dir(struct wal *wal, dir_step_fn step, void *arg, const char *doing,
                         struct buf *notes)
{
    bool lost = false;
    for (size_t i = 0; i < wal->dir_count; i++) {
        int rc = wal->dirs[i].alive ? step(wal, &wal->dirs[i], arg) : 0;
        if (rc != 0) {
            wal_lose_dir(wal, &wal->dirs[i], doing, rc, notes);
            lost = true;
        }
    }
    return lost;
}

static bool has_dirs(const struct wal *wal)
{
    for (size_t i = 0; i < wal->dir_count; i++)
        if (wal->dirs[i].alive)
            return true;
    return false;
}

static int make_next(struct wal *wal, struct wal_dir *dir)
{
    int fd = -1;
    char *path = fsutil_join(dir->path, WAL_NEXT_FILE);
    if (!path)
        return ERR_NOMEM;
    int rc = disk_open(wal->disk, path, DISK_WRITE | DISK_CREATE | DISK_TRUNC, &fd);
    if (rc == 0)
        rc = disk_allocate(wal->disk, fd, wal->segment_bytes);
    if (rc == 0)
        rc = disk_fsync(wal->disk, fd);
    disk_close(wal->disk, fd);
    if (rc != 0)
        (void)disk_unlink(wal->disk, path); /* gives back what was allocated; may fail, too */
    mem_free(path);
    return rc;
}

bool wal_prepare_next(struct wal *wal, struct buf *notes)
{
    int results[WAL_DIRS_MAX] = {0};
    bool any = false;
    for (size_t i = 0; i < wal->dir_count; i++) {
        struct wal_dir *dir = &wal->dirs[i];
        if (dir->alive && !dir->has_next) {
            results[i] = make_next(wal, dir);
            dir->has_next = results[i] == 0;
        }
        any |= dir->alive && dir->has_next;
    }
    bool is_full = false, lost = false;
    for (size_t i = 0; i < wal->dir_count; i++) {
        if (results[i] == ERR_NOSPC && !any) {
            is_full = true;
        } else if (results[i] != 0) {
            wal_lose_dir(wal, &wal->dirs[i], "allocate the next segment of the log", results[i],
                         notes);
            lost = true;
        }
    }
    if (is_full != wal->disk_full)
        wal_note(wal, notes,
                 is_full ? "no directory of the log has room for its next segment (%llu bytes): "
                           "free some space"
                         : "there is room for the next segment of the log again (%llu bytes)",
                 (unsigned long long)wal->segment_bytes);
    wal->disk_full = is_full;
    return lost;
}

static int give_name(struct wal *wal, struct wal_dir *dir, const uint8_t *head, int *ret_fd)
{
    char name[WALFILE_NAME_MAX];
    int fd = -1;
    char *from = fsutil_join(dir->path, WAL_NEXT_FILE);
    char *to = fsutil_join(dir->path, walfile_name(name, wal->disk_last + 1));
    int rc = from && to ? 0 : ERR_NOMEM;
    if (rc == 0)
        rc = disk_open(wal->disk, from, DISK_WRITE, &fd);
    if (rc == 0)
        rc = disk_pwrite(wal->disk, fd, head, WALFILE_BLOCK, 0);
    if (rc == 0)
        rc = disk_fdatasync(wal->disk, fd);
    if (rc == 0)
        rc = disk_rename(wal->disk, from, to);
    if (rc == 0)
        rc = disk_fsync_dir(wal->disk, dir->path);
    mem_free(from);
    mem_free(to);
    if (rc != 0)
        disk_close(wal->disk, fd);
    else
        *ret_fd = fd;
    return rc;
}

/* The old segment is complete: give back what it did not use. Only zeros go. */
static int roll_dir(struct wal *wal, struct wal_dir *dir, void *arg)
{
    int fd = -1;
    int rc = dir->has_next ? give_name(wal, dir, arg, &fd) : ERR_NOSPC;
    if (rc != 0)
        return rc;
    dir->has_next = false;
    rc = disk_truncate(wal->disk, dir->fd, wal->seg_off);
    disk_close(wal->disk, dir->fd);
    dir->fd = fd;
    return rc;
}

/* 0; ERR_NOSPC when no directory has the next segment; ERR_NOMEM. */
static int roll(struct wal *wal, struct buf *notes, bool *ret_lost)
{
    uint8_t head[WALFILE_BLOCK];
    if (wal_prepare_next(wal, notes))
        *ret_lost = true;
    if (wal->disk_full)
        return ERR_NOSPC;
    if (mem_grow(&wal->firsts, &wal->segment_cap, wal->segments, sizeof(*wal->firsts)) != 0)
        return ERR_NOMEM;
    walfile_head_encode(&(struct walfile_head){wal->mark.wal_id, wal->disk_last + 1,
                                               wal->disk_last_term, wal->chain},
                        head);
    if (in_every_dir(wal, roll_dir, head, "begin a new segment of the log", notes))
        *ret_lost = true;
    /* An empty segment that had no room for a record has just been replaced by one of its name. */
    if (wal->firsts[wal->segments - 1] <= wal->disk_last)
        wal->firsts[wal->segments++] = wal->disk_last + 1;
    wal->seg_size = wal->segment_bytes;
    wal->seg_off = wal->seg_zeroed = WALFILE_BLOCK;
    return 0;
}

struct stretch {
    const uint8_t *data;
    size_t len;
    const uint8_t *zeros; /* NULL: none this time */
    uint64_t zeros_off;
    size_t zeros_len;
};

static int write_dir(struct wal *wal, struct wal_dir *dir, void *arg)
{
    const struct stretch *s = arg;
    int rc = disk_pwrite(wal->disk, dir->fd, s->data, s->len, wal->seg_off);
    if (rc == 0 && s->zeros_len)
        rc = disk_pwrite(wal->disk, dir->fd, s->zeros, s->zeros_len, s->zeros_off);
    if (rc == 0 && wal->dir_count > 1) /* so that the directories' syncs overlap */
        rc = disk_writeback(wal->disk, dir->fd, wal->seg_off, s->len);
    return rc;
}

static int sync_dir(struct wal *wal, struct wal_dir *dir, void *arg)
{
    (void)arg;
    return disk_fdatasync(wal->disk, dir->fd);
}

static uint64_t block_end(uint64_t off)
{
    return (off + WALFILE_BLOCK - 1) / WALFILE_BLOCK * WALFILE_BLOCK;
}

/* Steps 2 and 3 for one sealed batch. True when a directory was lost. */
static bool commit_stretch(struct wal *wal, const uint8_t *data, size_t len, struct buf *notes)
{
    static uint8_t zeros[ZEROS_AHEAD]; /* never written; const would put it into the file */
    struct stretch s = {.data = data, .len = len};
    uint64_t end = block_end(wal->seg_off + len);
    if (end > wal->seg_zeroed && end < wal->seg_size) {
        s.zeros = zeros;
        s.zeros_off = end;
        s.zeros_len = wal->seg_size - end < ZEROS_AHEAD ? wal->seg_size - end : ZEROS_AHEAD;
        wal->seg_zeroed = end + s.zeros_len;
    }
    bool lost = in_every_dir(wal, write_dir, &s, "write the log", notes);
    if (in_every_dir(wal, sync_dir, NULL, "fdatasync the log", notes))
        lost = true;
    wal->seg_off = end;
    return lost;
}

static int write_records(struct wal_batch *batch, bool *ret_lost)
{
    struct wal *wal = batch->wal;
    size_t done = 0;
    while (done < batch->bytes.len && has_dirs(wal)) {
        uint64_t room = wal->seg_size - wal->seg_off;
        struct walfile_batch part = walfile_seal_batch(batch->bytes.data + done,
                                                       batch->bytes.len - done, room, &wal->chain);
        if (part.records == 0) {
            int rc = roll(wal, &batch->notes, ret_lost);
            if (rc != 0)
                return rc;
            continue;
        }
        if (commit_stretch(wal, batch->bytes.data + done, part.bytes, &batch->notes))
            *ret_lost = true;
        wal->disk_last = part.last_index;
        wal->disk_last_term = part.last_term;
        done += part.bytes;
    }
    return 0;
}

static int mark_dir(struct wal *wal, struct wal_dir *dir, void *arg)
{
    return wal_write_mark(wal, dir, arg != NULL);
}

static int unlink_segment(struct wal *wal, struct wal_dir *dir, void *arg)
{
    char name[WALFILE_NAME_MAX];
    char *path = fsutil_join(dir->path, walfile_name(name, *(uint64_t *)arg));
    int rc = path ? disk_unlink(wal->disk, path) : ERR_NOMEM;
    mem_free(path);
    return rc == ERR_NOENT ? 0 : rc;
}

/* First the watermark says that they are not needed, then they go, oldest first. */
static void drop_segments(struct wal_batch *batch, bool *ret_lost)
{
    struct wal *wal = batch->wal;
    size_t n = 0;
    while (n + 1 < wal->segments && wal->firsts[n + 1] <= batch->drop_below)
        n++;
    if (n == 0)
        return;
    wal->mark.first = wal->firsts[n];
    if (in_every_dir(wal, mark_dir, wal, "write the watermark", &batch->notes))
        *ret_lost = true;
    for (size_t i = 0; i < n; i++)
        if (in_every_dir(wal, unlink_segment, &wal->firsts[i], "remove an old segment of the log",
                         &batch->notes))
            *ret_lost = true;
    wal->segments -= n;
    memmove(wal->firsts, wal->firsts + n, wal->segments * sizeof(*wal->firsts));
}

/* As the operator wants it; one stays. */
static bool give_up(struct wal *wal, unsigned leave, struct buf *notes)
{
    bool any = false;
    size_t alive = 0;
    for (size_t i = 0; i < wal->dir_count; i++)
        alive += wal->dirs[i].alive;
    for (size_t i = 0; i < wal->dir_count; i++) {
        struct wal_dir *dir = &wal->dirs[i];
        if (!(leave & 1U << i) || !dir->alive || alive == 1)
            continue;
        wal_lose_dir(wal, dir, "use it any more", ERR_CLOSED, notes);
        alive--;
        any = true;
    }
    return any;
}

void wal_write_batch(struct wal_batch *batch)
{
    struct wal *wal = batch->wal;
    bool lost = false;
    int rc = 0;
    if (batch->want_roll && wal->firsts[wal->segments - 1] <= wal->disk_last) {
        rc = roll(wal, &batch->notes, &lost);
        if (rc == ERR_NOSPC) /* nobody depends on it: the present segment still has room */
            rc = 0;
    }
    if (rc == 0)
        rc = write_records(batch, &lost);
    if (rc == 0 && batch->drop_below)
        drop_segments(batch, &lost);
    if (rc == 0 && (!wal->disk_full || batch->want_room) && wal_prepare_next(wal, &batch->notes))
        lost = true;
    wal->mark.acknowledged = wal->disk_last;
    if (rc == 0 && batch->leave && give_up(wal, batch->leave, &batch->notes))
        lost = true;
    if (rc == 0 && batch->join.is_wanted &&
        wal_join_now(wal, batch->join.dir, batch->join.have, &batch->notes)) {
        lost = true;
        (void)wal_prepare_next(wal, &batch->notes); /* who has none is given up below */
    }
    if (rc == 0 && batch->want_seal && !lost &&
        in_every_dir(wal, mark_dir, NULL, "write the watermark", &batch->notes))
        lost = true;
    if (rc == 0 && lost)
        rc = wal_write_off(wal, &batch->notes);
    if (rc != 0)
        err_set(&batch->err, rc,
                "no directory of the log can be written any more (%s): stopping, so that nothing "
                "is promised that is not on disk",
                err_text(rc));
    batch->rc = rc;
}

/* ---- the loop's half ---- */

uint64_t wal_sure_room(const struct wal *wal)
{
    uint64_t here = wal->seg_size - wal->seg_off, next = wal->segment_bytes - WALFILE_BLOCK;
    for (size_t i = 0; i < wal->dir_count; i++)
        if (wal->dirs[i].alive && !wal->dirs[i].has_next)
            next = 0;
    return here > next ? here : next;
}

/* Besides the bytes themselves there is padding: after the batch in flight, after the next one, and
 * after every WALFILE_BATCH_MAX records. */
static bool has_room(const struct wal *wal, size_t size)
{
    uint64_t flying = wal->in_flight ? wal->batch.bytes.len : 0, next = wal->pending.len + size;
    return block_end(flying) + block_end(next) +
               (flying + next) / (WALFILE_BATCH_MAX * 40) * WALFILE_BLOCK <=
           wal->sure_room;
}

int wal_append(struct wal *wal, uint64_t term, uint16_t type, struct slice payload,
               uint64_t *ret_index)
{
    BUG_ON(type == 0);
    if (wal->failed)
        return ERR_IO;
    size_t size = walfile_record_size(payload.len);
    if (payload.len > WAL_PAYLOAD_MAX || size > wal->segment_bytes / 2)
        return ERR_TOOBIG;
    if (!has_room(wal, size))
        return wal->full ? ERR_NOSPC : ERR_RETRY;
    struct wal_record record = {wal->last + 1, term, type, payload};
    walfile_append(&wal->pending, &record);
    if (buf_failed(&wal->pending)) {
        wal->pending.failed = false;
        return ERR_NOMEM;
    }
    *ret_index = ++wal->last;
    return 0;
}

/* Is writing the watermark due? An idle tail soon, a busy one now and then; never together with the
 * first change after a pause, whose author waits. */
static bool seal_is_due(struct wal *wal, uint64_t now_ms)
{
    if (wal->durable == wal->sealed)
        wal->unsealed_since_ms = now_ms;
    if (wal->durable == wal->sealed || wal->pending.len)
        wal->idle_since_ms = now_ms;
    return now_ms - wal->unsealed_since_ms >= WAL_SEAL_BUSY_MS ||
           now_ms - wal->idle_since_ms >= WAL_SEAL_IDLE_MS;
}

struct wal_batch *wal_take_batch(struct wal *wal, uint64_t now_ms)
{
    struct wal_batch *batch = &wal->batch;
    if (wal->in_flight || wal->failed)
        return NULL;
    batch->want_seal = seal_is_due(wal, now_ms);
    batch->want_room = wal->full && now_ms - wal->room_tried_ms >= ROOM_RETRY_MS;
    batch->want_roll = wal->want_roll;
    batch->drop_below = wal->drop_below;
    if (!wal->pending.len && !batch->want_seal && !batch->want_room && !batch->want_roll &&
        !batch->drop_below && !wal->join.is_wanted && !wal->leave)
        return NULL;
    batch->join = wal->join;
    batch->leave = wal->leave;
    wal->join.is_wanted = false;
    wal->leave = 0;
    if (batch->want_seal)
        wal->unsealed_since_ms = now_ms;
    if (wal->full)
        wal->room_tried_ms = now_ms;
    wal->want_roll = false;
    wal->drop_below = 0;
    struct buf empty = batch->bytes;
    batch->bytes = wal->pending;
    wal->pending = empty;
    buf_clear(&wal->pending);
    batch->rc = 0;
    wal->in_flight = true;
    return batch;
}

static void tell_notes(struct wal *wal, struct buf *notes)
{
    for (size_t at = 0; at < notes->len; at += strlen((char *)notes->data + at) + 1)
        if (wal->notify)
            wal->notify(wal->notify_arg, (char *)notes->data + at);
    buf_clear(notes);
}

int wal_batch_done(struct wal *wal, struct wal_batch *batch, struct err *err)
{
    BUG_ON(batch != &wal->batch || !wal->in_flight);
    wal->in_flight = false;
    tell_notes(wal, &batch->notes);
    buf_clear(&batch->bytes);
    if (batch->rc != 0) {
        wal->failed = true;
        if (err)
            *err = batch->err;
        return batch->rc;
    }
    wal->durable = wal->disk_last;
    if (batch->want_seal)
        wal->sealed = wal->durable;
    wal->first = wal->firsts[0];
    wal->full = wal->disk_full;
    wal->sure_room = wal_sure_room(wal);
    for (size_t i = 0; i < wal->dir_count; i++)
        wal->dir_alive[i] = wal->dirs[i].alive;
    return 0;
}

void wal_roll(struct wal *wal)
{
    wal->want_roll = true;
}

void wal_drop_below(struct wal *wal, uint64_t index)
{
    if (index > wal->drop_below)
        wal->drop_below = index;
}

uint64_t wal_first(const struct wal *wal)
{
    return wal->first;
}

uint64_t wal_last(const struct wal *wal)
{
    return wal->last;
}

uint64_t wal_durable(const struct wal *wal)
{
    return wal->durable;
}

bool wal_is_full(const struct wal *wal)
{
    return wal->full;
}

uint64_t wal_id(const struct wal *wal)
{
    return wal->mark.wal_id;
}

bool wal_needs_tick(const struct wal *wal)
{
    return wal->durable != wal->sealed || wal->full;
}

const char *wal_dir(const struct wal *wal, size_t i, bool *ret_alive)
{
    *ret_alive = wal->dir_alive[i];
    return wal->dirs[i].path;
}

void wal_abandon(struct wal *wal)
{
    if (!wal)
        return;
    for (size_t i = 0; i < wal->dir_count; i++) {
        disk_close(wal->disk, wal->dirs[i].fd);
        disk_close(wal->disk, wal->dirs[i].mark_fd);
        mem_free(wal->dirs[i].path);
    }
    buf_release(&wal->pending);
    buf_release(&wal->batch.bytes);
    buf_release(&wal->batch.notes);
    mem_free(wal->firsts);
    mem_free(wal);
}

int wal_close(struct wal *wal, struct err *err)
{
    BUG_ON(wal->in_flight);
    int rc = 0;
    while (rc == 0 && !wal->failed && (wal->pending.len || wal->sealed != wal->durable)) {
        struct wal_batch *batch = wal_take_batch(wal, wal->idle_since_ms + WAL_SEAL_BUSY_MS);
        if (!batch)
            break;
        wal_write_batch(batch);
        rc = wal_batch_done(wal, batch, err);
    }
    wal_abandon(wal);
    return rc;
}
