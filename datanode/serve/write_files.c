/* SPDX-License-Identifier: Apache-2.0
 * The files a block is written into: new ones, empty or with the beginning of another block; for a
 * recovery those that are there, verified, cut and restamped; finalized in the end, or removed. */
#include "datanode/serve/write_inside.h"

#include <inttypes.h>

#include "datanode/storage/settle.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

/* Files in `dir` that begin with `len` bytes of the finalized replica `before`, on disk. */
static int copy_files(struct dn_write *w, const char *dir, uint64_t len, struct err *err)
{
    const struct dn_volume *from = dn_storage_volume(w->serve->conf.storage, &w->before);
    char *final_dir = dn_volume_dir(from, DN_DIR_FINALIZED, w->before.id);
    struct dn_settle_copy copy = {
        .from_dir = final_dir,
        .from_id = w->before.id,
        .from_gs = w->before.gs,
        .from_len = w->before.len,
        .len = len,
        .to = {.dir = dir,
               .id = w->id,
               .gs = w->gs,
               .max_len = w->ask->block_size,
               .direct_min = w->serve->conf.direct_min},
    };
    int rc = final_dir ? dn_settle_copy(w->volume->disk, &copy, &w->file, &w->is_source_bad, err)
                       : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(final_dir);
    return rc;
}

static int make_files(struct dn_write *w, struct err *err)
{
    char *dir = dn_volume_dir(w->volume, dn_write_is_copy(w) ? DN_DIR_TMP : DN_DIR_RBW, w->id);
    struct dn_blockfile_new what = {.dir = dir,
                                    .id = w->id,
                                    .gs = w->gs,
                                    .max_len = w->ask->block_size,
                                    .direct_min = w->serve->conf.direct_min};
    int rc = !dir                   ? err_set(err, ERR_NOMEM, "out of memory")
             : dn_write_has_base(w) ? copy_files(w, dir, w->before.len, err)
                                    : dn_blockfile_create(w->volume->disk, &what, &w->file, err);
    mem_free(dir);
    return rc;
}

/* A replica that is being written: verify all of it, cut it, give it the new stamp. */
static int reopen_files(struct dn_write *w, const char *dir, struct err *err)
{
    struct dn_blockfile_new what = {.dir = dir,
                                    .id = w->id,
                                    .gs = w->before.gs,
                                    .max_len = w->ask->block_size,
                                    .direct_min = w->serve->conf.direct_min};
    int rc = dn_blockfile_open(w->volume->disk, &what, DISK_READ | DISK_WRITE, &w->file, err);
    if (rc == 0)
        rc = dn_settle_verify(w->file, UINT64_MAX, err);
    if (rc == 0 && w->file->len < w->ask->block.len)
        rc = err_set(err, ERR_CHECKSUM,
                     "blk_%" PRIu64 ": only %" PRIu64 " of %" PRIu64
                     " acknowledged bytes agree with their checksums",
                     w->id, w->file->len, w->ask->block.len);
    if (rc == 0)
        rc = dn_settle_restamp(w->file, w->gs, w->ask->block.len, err);
    return rc;
}

static void resume_on_loop(struct dn_move *move)
{
    struct dn_write *w = CONTAINER_OF(move, struct dn_write, move);
    struct dn_replica *replica = dn_storage_find(w->serve->conf.storage, w->id);
    struct dn_storage_resume how = {.gs = w->ask->block.gs,
                                    .new_gs = w->gs,
                                    .len = w->ask->block.len,
                                    .max_len = w->ask->block_size,
                                    .writing = w->writing};
    w->code = replica ? dn_storage_resume(w->serve->conf.storage, replica, &how) : ERR_NOENT;
}

static void share_files(struct dn_write *w)
{
    struct dn_visible visible = {.len = w->file->len, .tail_sum = w->file->tail_sum};
    dn_writing_open(w->writing, w->file, &visible);
}

static int recover_files(struct dn_write *w, struct err *err)
{
    bool was_final = w->before.state == DN_REPLICA_FINALIZED;
    char *dir = dn_volume_dir(w->volume, DN_DIR_RBW, w->id);
    int rc = !dir        ? err_set(err, ERR_NOMEM, "out of memory")
             : was_final ? copy_files(w, dir, w->ask->block.len, err)
                         : reopen_files(w, dir, err);
    mem_free(dir);
    bool is_restamped = w->file && w->file->gs == w->gs && !was_final;
    if (rc != 0 && !is_restamped) {
        dn_blockfile_close(w->file);
        w->file = NULL;
        return rc;
    }
    share_files(w);
    dn_movers_call(&w->move, resume_on_loop);
    if (w->code != 0)
        return err_set(err, w->code, "blk_%" PRIu64 ": %s", w->id, err_text(w->code));
    w->has_begun = true;
    if (rc != 0) /* nobody writes on, but the map must say what its files say */
        return rc;
    if (was_final) { /* nobody finds it any more; a crash here is put right at start */
        char *final_dir = dn_volume_dir(w->volume, DN_DIR_FINALIZED, w->id);
        if (final_dir)
            (void)dn_settle_remove(w->volume->disk, final_dir, w->id, w->before.gs);
        mem_free(final_dir);
    }
    return 0;
}

int dn_write_open_files(struct dn_write *w, struct err *err)
{
    if (dn_write_is_recover(w))
        return recover_files(w, err);
    int rc = make_files(w, err);
    if (rc == 0)
        share_files(w);
    return rc;
}

/* What was made for nothing. */
void dn_write_remove_files(struct dn_write *w)
{
    char *dir = dn_volume_dir(w->volume, dn_write_is_copy(w) ? DN_DIR_TMP : DN_DIR_RBW, w->id);
    if (dir)
        (void)dn_settle_remove(w->volume->disk, dir, w->id, w->gs);
    mem_free(dir);
}

int dn_write_finalize(void *arg)
{
    struct dn_write *w = arg;
    struct err err = {0};
    char *dir = dn_write_joins(w) ? dn_volume_dir(w->volume, DN_DIR_RBW, w->id) : NULL;
    int rc = dir ? 0 : dn_volume_make_final_dir(w->volume, w->id, &dir, &err);
    if (rc == 0)
        rc = dn_settle_finalize(w->file, dir, &err);
    mem_free(dir);
    w->is_finalized = rc == 0;
    if (rc != 0)
        log_error("dn.write", "blk_%" PRIu64 "_%" PRIu64 ": %s", w->id, w->gs, err.msg);
    return rc;
}
