/* SPDX-License-Identifier: Apache-2.0
 * recover: the two halves of a block recovery, asked by its primary.
 *
 *   RECOVER_INIT    writers are stopped; every byte is verified against its checksum, for a replica
 *                   may only vote on a length it can prove; then it is promised to the new stamp
 *   RECOVER_COMMIT  verified again, cut, restamped, finalized, durable; then the map, then the
 * answer
 *
 * Both hold the block's claim. The promise is in memory only: after a restart the replica is RWR,
 * and a commit without a promise is refused, so an old recovery cannot finish over a newer one. */
#include <inttypes.h>

#include "datanode/serve/blocks.h"
#include "datanode/storage/settle.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/proto/dn_nn/messages.h"

struct recovery {
    struct dn_claim claim;
    struct work work;
    struct dn_serve *serve;
    struct dn_session *session;
    bool is_commit, is_restamped;
    uint64_t id, new_gs, new_len;
    struct dn_replica replica; /* as it was when granted */
    struct dn_volume *volume;
    uint64_t verified;
    struct err err;
};

/* ---- on a thread ---- */

static int open_replica(struct recovery *r, struct dn_blockfile **ret)
{
    char *dir = dn_volume_dir(r->volume, dn_storage_dir_of(&r->replica), r->id);
    struct dn_blockfile_new what = {.dir = dir, .id = r->id, .gs = r->replica.gs};
    int rc = dir ? dn_blockfile_open(r->volume->disk, &what, DISK_READ | DISK_WRITE, ret, &r->err)
                 : err_set(&r->err, ERR_NOMEM, "out of memory");
    mem_free(dir);
    if (rc == ERR_NOENT) /* that would mean "no such replica", and a vote for nothing */
        rc = ERR_IO;
    return rc;
}

/* Finalized bytes are all or nothing. */
static int verify(struct recovery *r, struct dn_blockfile *file)
{
    bool is_whole = dn_replica_is_whole(&r->replica);
    int rc = dn_settle_verify(file, is_whole ? r->replica.len : UINT64_MAX, &r->err);
    if (rc == 0 && is_whole && file->len != r->replica.len)
        rc = err_set(&r->err, ERR_CHECKSUM,
                     "only %" PRIu64 " of %" PRIu64 " finalized bytes agree with their checksums",
                     file->len, r->replica.len);
    r->verified = file->len;
    return rc;
}

static int commit(struct recovery *r, struct dn_blockfile *file)
{
    char *dir = NULL;
    if (file->len < r->new_len)
        return err_set(&r->err, ERR_CHECKSUM,
                       "only %" PRIu64 " of %" PRIu64 " bytes agree with their checksums",
                       file->len, r->new_len);
    int rc = dn_settle_restamp(file, r->new_gs, r->new_len, &r->err);
    r->is_restamped = file->gs == r->new_gs;
    if (rc == 0)
        rc = dn_volume_make_final_dir(r->volume, r->id, &dir, &r->err);
    if (rc == 0)
        rc = dn_settle_finalize(file, dir, &r->err);
    mem_free(dir);
    return rc;
}

static void run_recovery(struct work *work)
{
    struct recovery *r = CONTAINER_OF(work, struct recovery, work);
    struct dn_blockfile *file = NULL;
    fault_hit(r->is_commit ? "dn.recover.commit" : "dn.recover.init");
    int rc = open_replica(r, &file);
    if (rc == 0)
        rc = verify(r, file);
    if (rc == 0 && r->is_commit)
        rc = commit(r, file);
    if (rc != 0)
        r->err.code = rc;
    dn_blockfile_close(file);
}

/* ---- on the loop ---- */

static void end(struct recovery *r)
{
    dn_claims_drop(&r->serve->conf.storage->claims, &r->claim);
    mem_free(r);
}

static void fail(struct recovery *r, int code, const char *why)
{
    log_warn("dn.recover", "blk_%" PRIu64 " under stamp %" PRIu64 ": %s", r->id, r->new_gs, why);
    dn_session_fail(r->session, code, "blk_%" PRIu64 " on %s: %s", r->id, r->serve->conf.node, why);
    end(r);
}

static uint32_t wire_state(enum dn_replica_state state)
{
    return state == DN_REPLICA_FINALIZED ? DN2NN_FINALIZED
           : state == DN_REPLICA_RWR     ? DN2NN_RWR
                                         : DN2NN_RBW;
}

static void promised(struct recovery *r, struct dn_replica *replica)
{
    int rc = dn_storage_promise(r->serve->conf.storage, replica, r->new_gs, r->verified);
    if (rc != 0) {
        fail(r, rc, err_text(rc));
        return;
    }
    struct data_replica answer = {.block = {.id = r->id, .gs = replica->gs, .len = r->verified},
                                  .state = wire_state(replica->before),
                                  .visible_len = r->verified};
    dn_session_answer(r->session, &answer);
    end(r);
}

static void recovery_done(struct work *work)
{
    struct recovery *r = CONTAINER_OF(work, struct recovery, work);
    struct dn_storage *storage = r->serve->conf.storage;
    struct dn_replica *replica = dn_storage_find(storage, r->id);
    if (r->err.code == ERR_CHECKSUM && replica && dn_replica_is_whole(replica))
        dn_storage_bad(storage, r->id, replica->gs);
    if (r->err.code != 0 && replica && r->is_restamped)
        dn_storage_restamped(storage, replica, r->new_gs, r->new_len);
    if (r->err.code != 0 || !replica) {
        fail(r, r->err.code ? r->err.code : ERR_NOENT, r->err.code ? r->err.msg : "it is gone");
        return;
    }
    if (!r->is_commit) {
        promised(r, replica);
        return;
    }
    int rc = dn_storage_settle(storage, replica, r->new_gs, r->new_len);
    if (rc != 0) {
        fail(r, rc, err_text(rc));
        return;
    }
    log_info("dn.recover", "blk_%" PRIu64 " recovered: stamp %" PRIu64 ", %" PRIu64 " bytes", r->id,
             r->new_gs, r->new_len);
    dn_session_answer(r->session, NULL);
    end(r);
}

/* Codes of the replica's own rules; a length is known only when its writer has ended. */
static int check(const struct recovery *r, const struct dn_replica *replica)
{
    if (!replica)
        return ERR_NOENT;
    return r->is_commit ? dn_replica_can_settle(replica, r->new_gs, r->new_len)
                        : dn_replica_can_promise(replica, r->new_gs);
}

static void granted(struct dn_claim *claim)
{
    struct recovery *r = CONTAINER_OF(claim, struct recovery, claim);
    const struct dn_replica *replica = dn_storage_find(r->serve->conf.storage, r->id);
    int rc = check(r, replica);
    if (rc != 0) {
        fail(r, rc, err_text(rc));
        return;
    }
    r->replica = *replica;
    r->volume = dn_storage_volume(r->serve->conf.storage, replica);
    workq_submit(r->serve->conf.disk_work, &r->work, run_recovery, recovery_done);
}

static void begin(struct dn_serve *serve, struct dn_session *session, const struct recovery *what)
{
    struct recovery *r = mem_calloc(1, sizeof(*r));
    if (!r) {
        dn_session_fail(session, ERR_NOMEM, "%s: out of memory", serve->conf.node);
        return;
    }
    *r = *what;
    r->serve = serve;
    r->session = session;
    r->claim.granted = granted;
    int rc = check(r, dn_storage_find(serve->conf.storage, r->id)); /* or stop no writer */
    if (rc == 0)
        rc = dn_claims_ask(&serve->conf.storage->claims, &r->claim, r->id, true);
    if (rc != 0)
        fail(r, rc, err_text(rc));
}

void dn_serve_recover_init(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct data_recover_init *init = ask;
    struct recovery what = {.id = init->block.id, .new_gs = init->new_gs};
    begin(serve, session, &what);
}

void dn_serve_recover_commit(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct data_recover_commit *c = ask;
    struct recovery what = {
        .id = c->block.id, .new_gs = c->new_gs, .new_len = c->new_len, .is_commit = true};
    begin(serve, session, &what);
}
