/* SPDX-License-Identifier: Apache-2.0
 * ask: questions about a replica: REPLICA (state and visible length, from the map) and CHECKSUM (of
 * its checksums, as HDFS counts: the MD5 over the CRC32C of each chunk, each as four bytes, most
 * significant first; so equal bytes in equal chunks give what a Hadoop cluster gives). */
#include <inttypes.h>

#include "datanode/serve/blocks.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/codec/digest.h"
#include "libcommon/proto/dn_nn/messages.h"

#define STEP_BYTES 65536U

static uint32_t wire_state(const struct dn_replica *replica)
{
    switch ((enum dn_replica_state)replica->state) {
    case DN_REPLICA_FINALIZED:
        return DN2NN_FINALIZED;
    case DN_REPLICA_RWR:
        return DN2NN_RWR;
    case DN_REPLICA_RUR:
        return DN2NN_RUR;
    default:
        return DN2NN_RBW;
    }
}

void dn_serve_replica(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct msg_block *block = ask;
    const struct dn_replica *replica = dn_storage_find(serve->conf.storage, block->id);
    if (!replica || replica->state == DN_REPLICA_TEMPORARY) {
        dn_session_fail(session, ERR_NOENT, "blk_%" PRIu64 " is not on %s", block->id,
                        serve->conf.node);
        return;
    }
    struct dn_visible visible = {.len = replica->len};
    if (replica->writing && !dn_replica_is_whole(replica))
        (void)dn_writing_look(replica->writing, &visible);
    struct data_replica answer = {
        .block = {.id = replica->id, .gs = replica->gs, .len = visible.len},
        .state = wire_state(replica),
        .visible_len = visible.len};
    dn_session_answer(session, &answer);
}

/* ---- CHECKSUM ---- */

struct summing {
    struct work work;
    struct dn_serve *serve;
    struct dn_session *session;
    struct dn_replica replica;
    struct dn_volume *volume;
    uint8_t md5[DIGEST_MD5_SIZE];
    struct err err;
};

static int digest_sums(const struct dn_blockfile *file, uint64_t len, struct digest *digest)
{
    uint8_t step[STEP_BYTES];
    uint64_t left = chunksum_count(len, DN_SUM_CHUNK) * DN_SUM_BYTES, off = DN_SUM_OFF;
    int rc = 0;
    while (rc == 0 && left > 0) {
        size_t n = left < sizeof(step) ? (size_t)left : sizeof(step);
        int64_t got = disk_pread(file->disk, file->sums_fd, step, n, off);
        if (got < 0 || (size_t)got != n)
            return got < 0 ? (int)got : ERR_CORRUPT;
        for (size_t i = 0; i < n; i += DN_SUM_BYTES)
            put_u32(step + i, __builtin_bswap32(get_u32(step + i)));
        rc = digest_update(digest, slice_of(step, n));
        off += n;
        left -= n;
    }
    return rc;
}

static int sum_up(struct summing *s, struct dn_blockfile *file)
{
    struct digest digest;
    int rc = digest_init(&digest, DIGEST_MD5);
    if (rc != 0)
        return rc;
    rc = digest_sums(file, s->replica.len, &digest);
    if (rc == 0)
        return digest_final(&digest, s->md5);
    digest_release(&digest);
    return rc;
}

static void run_summing(struct work *work)
{
    struct summing *s = CONTAINER_OF(work, struct summing, work);
    struct dn_blockfile *file = NULL;
    char *dir = dn_volume_dir(s->volume, DN_DIR_FINALIZED, s->replica.id);
    struct dn_blockfile_new what = {.dir = dir, .id = s->replica.id, .gs = s->replica.gs};
    int rc = dir ? dn_blockfile_open(s->volume->disk, &what, DISK_READ, &file, &s->err)
                 : err_set(&s->err, ERR_NOMEM, "out of memory");
    mem_free(dir);
    if (rc != 0)
        return;
    rc = sum_up(s, file);
    if (rc != 0)
        err_set(&s->err, rc, "blk_%" PRIu64 ": %s", s->replica.id, err_text(rc));
    dn_blockfile_close(file);
}

static void summing_done(struct work *work)
{
    struct summing *s = CONTAINER_OF(work, struct summing, work);
    struct data_checksum answer = {.md5 = slice_of(s->md5, sizeof(s->md5)), .len = s->replica.len};
    if (s->err.code != 0 && s->err.code != ERR_NOMEM)
        dn_storage_suspect(s->serve->conf.storage, s->replica.id);
    if (s->err.code != 0)
        dn_session_fail(s->session, s->err.code, "%s: %s", s->serve->conf.node, s->err.msg);
    else
        dn_session_answer(s->session, &answer);
    mem_free(s);
}

void dn_serve_checksum(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    const struct msg_block *block = ask;
    const struct dn_replica *replica = dn_storage_find(serve->conf.storage, block->id);
    if (!replica || replica->gs < block->gs) {
        dn_session_fail(session, ERR_NOENT, "blk_%" PRIu64 " is not on %s", block->id,
                        serve->conf.node);
        return;
    }
    if (!dn_replica_is_whole(replica)) {
        dn_session_fail(session, ERR_RETRY, "blk_%" PRIu64 " on %s is %s", block->id,
                        serve->conf.node, dn_replica_state_name(replica->state));
        return;
    }
    struct summing *s = mem_calloc(1, sizeof(*s));
    if (!s) {
        dn_session_fail(session, ERR_NOMEM, "%s: out of memory", serve->conf.node);
        return;
    }
    s->serve = serve;
    s->session = session;
    s->replica = *replica;
    s->volume = dn_storage_volume(serve->conf.storage, replica);
    workq_submit(serve->conf.disk_work, &s->work, run_summing, summing_done);
}
