/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/clone.h"

#include <inttypes.h>

#include "datanode/storage/settle.h"
#include "datanode/storage/suspect.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"

struct clone {
    struct dn_claim claim;
    struct work work;
    struct dn_storage *storage;
    struct dn_clone_ask ask;
    struct dn_replica from; /* as it was */
    struct dn_volume *volume;
    struct err *refusal; /* of dn_clone_begin, while it runs */
    int refused;
    /* the thread's */
    bool is_source_bad;
    struct err err;
};

/* ---- on a thread ---- */

static int copy_and_finalize(struct clone *c, const char *from_dir, const char *tmp_dir)
{
    struct dn_blockfile *file = NULL;
    char *final_dir = NULL;
    struct dn_settle_copy copy = {
        .from_dir = from_dir,
        .from_id = c->from.id,
        .from_gs = c->from.gs,
        .from_len = c->from.len,
        .len = c->ask.len,
        .to = {.dir = tmp_dir, .id = c->ask.to.id, .gs = c->ask.to.gs, .max_len = c->ask.len},
    };
    int rc = dn_settle_copy(c->volume->disk, &copy, &file, &c->is_source_bad, &c->err);
    if (rc == 0)
        rc = dn_volume_make_final_dir(c->volume, c->ask.to.id, &final_dir, &c->err);
    if (rc == 0)
        rc = dn_settle_finalize(file, final_dir, &c->err);
    if (rc != 0 && file)
        (void)dn_settle_remove(c->volume->disk, tmp_dir, c->ask.to.id, c->ask.to.gs);
    mem_free(final_dir);
    dn_blockfile_close(file);
    return rc;
}

static void run_clone(struct work *work)
{
    struct clone *c = CONTAINER_OF(work, struct clone, work);
    char *from_dir =
        dn_volume_dir(dn_storage_volume(c->storage, &c->from), DN_DIR_FINALIZED, c->from.id);
    char *tmp_dir = dn_volume_dir(c->volume, DN_DIR_TMP, c->ask.to.id);
    int rc = from_dir && tmp_dir ? copy_and_finalize(c, from_dir, tmp_dir)
                                 : err_set(&c->err, ERR_NOMEM, "out of memory");
    c->err.code = rc;
    mem_free(from_dir);
    mem_free(tmp_dir);
}

/* ---- on the loop ---- */

static void end(struct clone *c)
{
    dn_claims_drop(&c->storage->claims, &c->claim);
    mem_free(c);
}

static void clone_done(struct work *work)
{
    struct clone *c = CONTAINER_OF(work, struct clone, work);
    struct dn_replica *replica = dn_storage_find(c->storage, c->ask.to.id);
    BUG_ON(!replica); /* nobody takes it away while we have its claim */
    if (c->err.code == 0) {
        dn_storage_finalized(c->storage, replica, c->ask.len);
    } else {
        log_warn("dn.clone", "blk_%" PRIu64 " cannot be made out of blk_%" PRIu64 ": %s",
                 c->ask.to.id, c->ask.from.id, c->err.msg);
        dn_storage_discard(c->storage, replica);
        dn_suspect_volume(c->storage, c->volume, c->err.code);
    }
    if (c->is_source_bad && dn_storage_is_still(c->storage, &c->from))
        dn_storage_bad(c->storage, c->from.id, c->from.gs);
    end(c);
}

static void clone_granted(struct dn_claim *claim)
{
    struct clone *c = CONTAINER_OF(claim, struct clone, claim);
    struct dn_replica *replica = NULL;
    struct dn_storage_new what = {.id = c->ask.to.id,
                                  .gs = c->ask.to.gs,
                                  .max_len = c->ask.len,
                                  .event = DN_EVENT_COPY,
                                  .beside = &c->from};
    c->refused = dn_storage_add(c->storage, &what, &replica, c->refusal);
    if (c->refused != 0)
        return; /* to dn_clone_begin, which called us */
    c->volume = dn_storage_volume(c->storage, replica);
    workq_submit(c->storage->conf.disk_work, &c->work, run_clone, clone_done);
}

int dn_clone_begin(struct dn_storage *storage, const struct dn_clone_ask *ask, struct err *err)
{
    const struct dn_replica *from = dn_storage_find(storage, ask->from.id);
    if (ask->to.id == 0 || ask->to.id == ask->from.id || ask->len == 0 || ask->len > ask->from_len)
        return err_set(err, ERR_INVAL, "blk_%" PRIu64 ": no such beginning", ask->from.id);
    if (dn_storage_find(storage, ask->to.id) || dn_claims_is_taken(&storage->claims, ask->to.id))
        return 0;
    if (!from || from->state != DN_REPLICA_FINALIZED || from->gs != ask->from.gs ||
        from->len != ask->from_len || from->is_bad)
        return err_set(err, ERR_NOENT, "blk_%" PRIu64 "_%" PRIu64 " is not here, or not whole",
                       ask->from.id, ask->from.gs);
    struct clone *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return err_set(err, ERR_NOMEM, "out of memory");
    c->claim.granted = clone_granted;
    c->storage = storage;
    c->ask = *ask;
    c->from = *from;
    c->refusal = err;
    int rc = dn_claims_ask(&storage->claims, &c->claim, ask->to.id, false); /* free: granted now */
    if (rc != 0) {
        mem_free(c);
        return err_set(err, rc, "out of memory");
    }
    rc = c->refused;
    c->refusal = NULL;
    if (rc != 0)
        end(c);
    return rc;
}
