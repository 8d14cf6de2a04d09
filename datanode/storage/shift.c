/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/shift.h"

#include <inttypes.h>

#include "datanode/storage/settle.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"

#define NOTE     "shift"
#define NOTE_MAX 1024U

struct note {
    uint64_t id, gs;
    char from[VERSION_ID_MAX]; /* the storage's id */
};

/* ---- the note ---- */

static void write_lines(const struct note *note, struct buf *out)
{
    buf_printf(out, "block=%" PRIu64 "\nstamp=%" PRIu64 "\nfrom=%s\n", note->id, note->gs,
               note->from);
    uint32_t crc = crc32c(0, out->data, out->len);
    buf_printf(out, "check=%08" PRIx32 "\n", crc);
}

static int put_note(struct dn_volume *to, const struct note *note, struct err *err)
{
    struct buf text = BUF_INIT;
    char *path = fsutil_join(to->current, NOTE);
    write_lines(note, &text);
    int rc = path && !buf_failed(&text) ? fsutil_replace(to->disk, path, buf_slice(&text), err)
                                        : err_set(err, ERR_NOMEM, "%s: out of memory", to->path);
    mem_free(path);
    buf_release(&text);
    return rc;
}

static int drop_note(const struct dn_volume *to)
{
    char *path = fsutil_join(to->current, NOTE);
    int rc = path ? disk_unlink(to->disk, path) : ERR_NOMEM;
    mem_free(path);
    return rc == ERR_NOENT ? 0 : rc;
}

/* 0, ERR_NOENT (none, or damaged: it was never whole, so nothing was placed behind it). */
static int get_note(const struct dn_volume *to, struct note *ret)
{
    struct buf text = BUF_INIT, again = BUF_INIT;
    char *path = fsutil_join(to->current, NOTE);
    int rc = path ? fsutil_read_all(to->disk, path, NOTE_MAX, &text, NULL) : ERR_NOMEM;
    const char *lines = rc == 0 ? buf_cstr(&text) : NULL;
    if (rc == 0 && (!lines || sscanf(lines, "block=%" SCNu64 " stamp=%" SCNu64 " from=%40s",
                                     &ret->id, &ret->gs, ret->from) != 3))
        rc = ERR_NOENT;
    if (rc == 0) {
        write_lines(ret, &again);
        rc = slice_eq(buf_slice(&text), buf_slice(&again)) ? 0 : ERR_NOENT;
    }
    mem_free(path);
    buf_release(&text);
    buf_release(&again);
    return rc;
}

/* ---- forth ---- */

static int copy(struct dn_volume *from, struct dn_volume *to, const struct dn_replica *r,
                struct dn_blockfile **ret, bool *ret_is_source_bad, struct err *err)
{
    char *old = dn_volume_dir(from, DN_DIR_FINALIZED, r->id);
    char *tmp = dn_volume_dir(to, DN_DIR_TMP, r->id);
    struct dn_settle_copy what = {
        .from_dir = old,
        .from_id = r->id,
        .from_gs = r->gs,
        .from_len = r->len,
        .len = r->len,
        .to = {.dir = tmp, .id = r->id, .gs = r->gs, .max_len = r->len},
    };
    int rc = old && tmp ? dn_settle_copy(to->disk, &what, ret, ret_is_source_bad, err)
                        : err_set(err, ERR_NOMEM, "%s: out of memory", to->path);
    mem_free(old);
    mem_free(tmp);
    return rc;
}

int dn_shift_begin(struct dn_volume *from, struct dn_volume *to, const struct dn_replica *replica,
                   bool *ret_is_source_bad, struct err *err)
{
    struct dn_blockfile *file = NULL;
    struct note note = {.id = replica->id, .gs = replica->gs};
    char *dir = NULL, *tmp = dn_volume_dir(to, DN_DIR_TMP, replica->id);
    snprintf(note.from, sizeof(note.from), "%s", from->version.storage_id);
    *ret_is_source_bad = false;
    int rc = tmp ? copy(from, to, replica, &file, ret_is_source_bad, err)
                 : err_set(err, ERR_NOMEM, "%s: out of memory", to->path);
    fault_hit("dn.shift.copied");
    if (rc == 0)
        rc = put_note(to, &note, err);
    fault_hit("dn.shift.noted");
    if (rc == 0)
        rc = dn_volume_make_final_dir(to, replica->id, &dir, err);
    if (rc == 0)
        rc = dn_settle_finalize(file, dir, err);
    fault_hit("dn.shift.placed");
    if (rc != 0 && tmp) {
        (void)dn_settle_remove(to->disk, tmp, replica->id, replica->gs);
        (void)drop_note(to);
    }
    dn_blockfile_close(file);
    mem_free(dir);
    mem_free(tmp);
    return rc;
}

static int remove_in(const struct dn_volume *volume, enum dn_dir which, uint64_t id, uint64_t gs)
{
    char *dir = dn_volume_dir(volume, which, id);
    int rc = dir ? dn_settle_remove(volume->disk, dir, id, gs) : ERR_NOMEM;
    if (rc == 0) {
        rc = disk_fsync_dir(volume->disk, dir);
        rc = rc == ERR_NOENT ? 0 : rc; /* never made */
    }
    mem_free(dir);
    return rc;
}

/* Its files, for good: also the names under which they were once written, which a power cut may
 * bring back (only the directory they went to was synced then). */
static int remove_from(const struct dn_volume *volume, uint64_t id, uint64_t gs)
{
    int rc = remove_in(volume, DN_DIR_RBW, id, gs);
    return rc == 0 ? remove_in(volume, DN_DIR_FINALIZED, id, gs) : rc;
}

int dn_shift_end(struct dn_volume *from, struct dn_volume *to, const struct dn_replica *replica,
                 struct err *err)
{
    int rc = remove_from(from, replica->id, replica->gs);
    fault_hit("dn.shift.removed");
    if (rc == 0)
        rc = drop_note(to);
    if (rc != 0)
        err_set(err, rc, "%s: cannot remove what went to %s: %s", from->path, to->path,
                err_text(rc));
    return rc;
}

/* ---- after a crash ---- */

static bool is_whole(const struct dn_volume *volume, uint64_t id, uint64_t gs)
{
    struct dn_blockfile *file = NULL;
    struct disk_stat st = {0};
    char *dir = dn_volume_dir(volume, DN_DIR_FINALIZED, id);
    struct dn_blockfile_new what = {.dir = dir, .id = id, .gs = gs};
    int rc = dir ? dn_blockfile_open(volume->disk, &what, DISK_READ, &file, NULL) : ERR_NOMEM;
    if (rc == 0)
        rc = dn_settle_verify(file, UINT64_MAX, NULL);
    if (rc == 0)
        rc = disk_stat_fd(volume->disk, file->data_fd, &st);
    bool is_good = rc == 0 && file->len == st.size_bytes;
    dn_blockfile_close(file);
    mem_free(dir);
    return is_good;
}

static struct dn_volume *find_volume(const struct dn_volumes *volumes, const char *storage_id)
{
    for (size_t i = 0; i < volumes->count; i++)
        if (strcmp(volumes->v[i]->version.storage_id, storage_id) == 0 &&
            !atomic_load(&volumes->v[i]->has_failed))
            return volumes->v[i];
    return NULL;
}

static int recover_one(const struct dn_volumes *volumes, struct dn_volume *to,
                       const struct note *note)
{
    struct dn_volume *from = find_volume(volumes, note->from);
    int rc = 0;
    if (is_whole(to, note->id, note->gs)) {
        if (!from) /* its disk is not here: the note stays, for when it is */
            return 0;
        rc = remove_from(from, note->id, note->gs);
    } else if (from && is_whole(from, note->id, note->gs)) {
        rc = remove_from(to, note->id, note->gs);
    }
    log_warn("dn.storage", "blk_%" PRIu64 "_%" PRIu64 " was on its way to %s: put right", note->id,
             note->gs, to->path);
    return rc == 0 ? drop_note(to) : rc;
}

int dn_shift_recover(const struct dn_volumes *volumes, struct err *err)
{
    for (size_t i = 0; i < volumes->count; i++) {
        struct dn_volume *to = volumes->v[i];
        struct note note;
        if (atomic_load(&to->has_failed) || !dn_volume_is_formatted(to) || get_note(to, &note) != 0)
            continue;
        int rc = recover_one(volumes, to, &note);
        if (rc != 0)
            return err_set(err, rc, "%s: cannot put blk_%" PRIu64 " right: %s", to->path, note.id,
                           err_text(rc));
    }
    return 0;
}

/* ---- two of them, without a note ---- */

int dn_shift_settle_twins(const struct dn_shift_twin *first, const struct dn_shift_twin *second,
                          enum dn_shift_left *ret)
{
    const struct dn_replica *a = first->replica, *b = second->replica;
    int rc = 0;
    *ret = DN_SHIFT_LEFT_BOTH;
    if (a->gs >= b->gs && is_whole(first->volume, a->id, a->gs)) {
        rc = remove_from(second->volume, b->id, b->gs);
        *ret = DN_SHIFT_LEFT_FIRST;
    } else if (b->gs >= a->gs && b->state == DN_REPLICA_FINALIZED &&
               is_whole(second->volume, b->id, b->gs)) {
        rc = remove_from(first->volume, a->id, a->gs);
        *ret = DN_SHIFT_LEFT_SECOND;
    }
    return rc;
}
