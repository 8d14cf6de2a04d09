/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/write.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "datanode/serve/relay.h"
#include "datanode/storage/settle.h"
#include "datanode/storage/suspect.h"
#include "datanode/talk/peer.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"

#define BLOCK_BYTES_MAX (1ULL << 40)
#define RING_BYTES_MIN  (64U << 10)
#define RING_BYTES_MAX  (64U << 20)
#define PAGE            4096U

METRIC_COUNTER(blocks_written, "quern_dn_blocks_written_total", "blocks received and finalized");
METRIC_COUNTER(writes_broken, "quern_dn_broken_writes_total",
               "writes that ended before their block");

/* How it ended, for the loop. */
enum outcome {
    REFUSED,   /* nothing was begun; upstream has been told and may ask for something else */
    BROKEN,    /* begun, and left in the middle */
    FINALIZED, /* and the last ack may go */
};

struct dn_write {
    struct list link;
    struct dn_serve *serve;
    struct dn_session *session;
    const struct data_write *ask; /* the session's, until it is answered */
    bool is_local;
    struct dn_claim claim;
    struct dn_move move;
    struct loop_task began;
    /* set on the loop before the thread starts */
    uint64_t id, gs; /* gs: the stamp to write under */
    struct dn_volume *volume;
    struct dn_writing *writing;
    struct dn_replica before; /* RECOVER: the replica as it was; with a base: that one */
    int fd, cancel_fd;
    /* the thread's */
    struct dn_blockfile *file; /* owned by `writing` once that has it */
    int down_fd;
    struct dn_relay *relay; /* bytes are being moved */
    uint8_t *ring;
    size_t ring_bytes;
    bool has_begun, is_finalized;
    bool is_source_bad; /* what was to be copied is damaged */
    int code;           /* of something done on the loop */
    int end_code;       /* why it broke off or was not begun; 0 = it did not */
    /* the thread's last word */
    enum outcome outcome;
    uint64_t len;
    uint8_t last_ack[PACKET_ACK_BYTES];
};

static bool is_recover(const struct dn_write *w)
{
    return w->ask->stage == DATA_WRITE_RECOVER;
}

static bool joins(const struct dn_write *w)
{
    return w->ask->stage == DATA_WRITE_JOIN;
}

/* Temporary until it is whole. */
static bool is_copy(const struct dn_write *w)
{
    return w->ask->stage == DATA_WRITE_COPY || joins(w);
}

static bool has_base(const struct dn_write *w)
{
    return w->ask->base.id != 0;
}

/* The answer that says who is at fault. */
static struct data_writing blame(const struct dn_write *w, const char *node, const struct err *err)
{
    return (struct data_writing){.node = slice_str(w->serve->conf.node),
                                 .bad_node = slice_str(node),
                                 .code = err->code,
                                 .why = slice_str(err->msg)};
}

/* ---- the files (thread) ---- */

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
    char *dir = dn_volume_dir(w->volume, is_copy(w) ? DN_DIR_TMP : DN_DIR_RBW, w->id);
    struct dn_blockfile_new what = {.dir = dir,
                                    .id = w->id,
                                    .gs = w->gs,
                                    .max_len = w->ask->block_size,
                                    .direct_min = w->serve->conf.direct_min};
    int rc = !dir          ? err_set(err, ERR_NOMEM, "out of memory")
             : has_base(w) ? copy_files(w, dir, w->before.len, err)
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

static int open_files(struct dn_write *w, struct err *err)
{
    if (is_recover(w))
        return recover_files(w, err);
    int rc = make_files(w, err);
    if (rc == 0)
        share_files(w);
    return rc;
}

/* What was made for nothing. */
static void remove_files(struct dn_write *w)
{
    char *dir = dn_volume_dir(w->volume, is_copy(w) ? DN_DIR_TMP : DN_DIR_RBW, w->id);
    if (dir)
        (void)dn_settle_remove(w->volume->disk, dir, w->id, w->gs);
    mem_free(dir);
}

static int finalize(void *arg)
{
    struct dn_write *w = arg;
    struct err err = {0};
    char *dir = joins(w) ? dn_volume_dir(w->volume, DN_DIR_RBW, w->id) : NULL;
    int rc = dir ? 0 : dn_volume_make_final_dir(w->volume, w->id, &dir, &err);
    if (rc == 0)
        rc = dn_settle_finalize(w->file, dir, &err);
    mem_free(dir);
    w->is_finalized = rc == 0;
    if (rc != 0)
        log_error("dn.write", "blk_%" PRIu64 "_%" PRIu64 ": %s", w->id, w->gs, err.msg);
    return rc;
}

/* ---- the ring (thread) ---- */

/* The client's memory: sealed, so that it cannot be cut away under us. Plain pages only: of huge
 * ones a hole that the client punches may not be filled again, and we would die of touching it. */
static int map_ring(struct dn_write *w, int memfd, struct err *err)
{
    struct stat st;
    struct statfs fs;
    int need = F_SEAL_SHRINK | F_SEAL_GROW, seals = fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || (seals & need) != need)
        return err_set(err, ERR_INVAL, "the ring is not sealed against shrinking and growing");
    if (fstatfs(memfd, &fs) != 0 || fs.f_type != TMPFS_MAGIC)
        return err_set(err, ERR_INVAL, "the ring is not made of plain pages");
    if (fstat(memfd, &st) != 0 || (uint64_t)st.st_size != w->ring_bytes)
        return err_set(err, ERR_INVAL, "the ring has another size than was said");
    void *ring = mmap(NULL, w->ring_bytes, PROT_READ, MAP_SHARED, memfd, 0);
    if (ring == MAP_FAILED)
        return err_set(err, ERR_NOMEM, "cannot map the ring");
    w->ring = ring;
    return 0;
}

static int receive_ring(struct dn_write *w, struct err *err)
{
    uint8_t byte = 0;
    struct sock_fds fds = {.count = 0};
    int rc = sock_recv_fds(w->fd, &byte, 1, &fds, clock_mono_ms() + w->serve->conf.timeout_ms);
    if (rc != 0)
        return err_set(err, rc, "the ring did not come: %s", err_text(rc));
    rc = fds.count == 1 ? map_ring(w, fds.fd[0], err)
                        : err_set(err, ERR_PROTO, "one descriptor was expected");
    for (size_t i = 0; i < fds.count; i++)
        close(fds.fd[i]);
    return rc;
}

static int get_ring(struct dn_write *w, struct err *err)
{
    if (w->is_local) {
        w->ring_bytes = (size_t)w->ask->ring_bytes;
        return receive_ring(w, err);
    }
    w->ring_bytes = w->serve->conf.ring_bytes;
    w->ring = dn_buffers_get(w->serve->rings);
    return w->ring ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static void put_ring(struct dn_write *w)
{
    if (w->is_local && w->ring)
        munmap(w->ring, w->ring_bytes);
    else if (!w->is_local)
        dn_buffers_put(w->serve->rings, w->ring);
    w->ring = NULL;
}

/* ---- the thread ---- */

static void began_on_loop(void *arg)
{
    struct dn_write *w = arg;
    const struct dn_replica *replica = dn_storage_find(w->serve->conf.storage, w->id);
    if (replica)
        dn_storage_began(w->serve->conf.storage, replica);
}

static int send_answer(struct dn_write *w, const struct data_writing *answer)
{
    struct buf out = BUF_INIT;
    int rc = dn_session_put_answer(w->session, answer, &out);
    if (rc == 0)
        rc = sock_send_all(w->fd, out.data, out.len, clock_mono_ms() + w->serve->conf.timeout_ms);
    buf_release(&out);
    return rc;
}

static int open_chain(struct dn_write *w, char bad[HELLO_TEXT_MAX + 1], struct err *err)
{
    struct dn_peer_chain chain = {
        .self = w->serve->conf.self, .ask = w->ask, .timeout_ms = w->serve->conf.timeout_ms};
    if (w->ask->targets.n == 0)
        return 0;
    fault_hit("dn.write.chain");
    return dn_peer_open_chain(&chain, &w->down_fd, bad, err);
}

/* Files and chain. On failure upstream knows who is to blame, and the socket is still good. */
static int set_up(struct dn_write *w)
{
    char bad[HELLO_TEXT_MAX + 1];
    struct err err = {0};
    snprintf(bad, sizeof(bad), "%s", w->serve->conf.node);
    int rc = open_files(w, &err);
    if (rc == 0)
        rc = open_chain(w, bad, &err);
    if (rc == 0)
        return 0;
    w->end_code = rc;
    log_warn("dn.write", "blk_%" PRIu64 "_%" PRIu64 " from %s: %s: %s", w->id, w->gs,
             w->session->peer, bad, err.msg);
    struct data_writing answer = blame(w, bad, &err);
    w->outcome = send_answer(w, &answer) == 0 ? REFUSED : BROKEN;
    if (!is_recover(w))
        remove_files(w);
    return rc;
}

static struct dn_relay *make_relay(struct dn_write *w)
{
    size_t behind = w->ask->targets.n;
    uint64_t timeout_ms = w->serve->conf.timeout_ms;
    struct dn_relay_conf conf = {
        .up_fd = w->fd,
        .down_fd = w->down_fd,
        .cancel_fd = w->cancel_fd,
        .ring = w->ring,
        .ring_bytes = w->ring_bytes,
        .is_shared = w->is_local,
        .file = w->file,
        .writing = w->writing,
        .max_len = w->ask->block_size,
        .exact_len = is_copy(w) ? w->ask->block.len : UINT64_MAX,
        .timeout_ms = timeout_ms,
        .ack_timeout_ms = pipeline_patience_ms(timeout_ms, behind),
        .reports_ms = w->ask->reports_ms,
        .finalize = finalize,
        .arg = w,
    };
    return dn_relay_new(&conf);
}

/* Set up, and tell upstream. False: it ends here, and `outcome` says how. */
static bool begin_bytes(struct dn_write *w)
{
    struct err err = {0};
    if (set_up(w) != 0)
        return false;
    if (!is_recover(w)) {
        w->has_begun = true;
        loop_post(w->serve->conf.loop, &w->began, began_on_loop, w);
    }
    w->outcome = BROKEN;
    struct data_writing answer = {.node = slice_str(w->serve->conf.node)};
    int rc = send_answer(w, &answer);
    if (rc == 0)
        rc = get_ring(w, &err);
    if (rc == 0) {
        w->relay = make_relay(w);
        rc = w->relay ? 0 : ERR_NOMEM;
    }
    if (rc != 0)
        log_warn("dn.write", "blk_%" PRIu64 " from %s: %s", w->id, w->session->peer,
                 err.code ? err.msg : err_text(rc));
    return rc == 0;
}

/* True: the peers keep us waiting; to be called again when they do not. An idle writer keeps no
 * ring of ours. */
static bool move_bytes(struct dn_write *w)
{
    if (!w->ring)
        w->ring = dn_buffers_get(w->serve->rings);
    dn_relay_set_ring(w->relay, w->ring);
    int rc = w->ring ? dn_relay_run(w->relay, &w->move, w->last_ack) : ERR_NOMEM;
    if (rc == DN_RELAY_WAITS) {
        if (!w->is_local && !dn_relay_needs_ring(w->relay))
            put_ring(w);
        dn_relay_park(w->relay, &w->move.park);
        w->move.wants_park = true;
        return true;
    }
    w->outcome = rc == 0 ? FINALIZED : BROKEN;
    w->end_code = rc;
    if (rc != 0)
        log_warn("dn.write",
                 "blk_%" PRIu64 "_%" PRIu64 " from %s broke off at %" PRIu64 " bytes: %s", w->id,
                 w->gs, w->session->peer, w->file->len, err_text(rc));
    return false;
}

static void run_write(struct dn_move *move)
{
    struct dn_write *w = CONTAINER_OF(move, struct dn_write, move);
    if (w->relay || begin_bytes(w))
        if (move_bytes(w))
            return;
    dn_relay_free(w->relay);
    w->relay = NULL;
    put_ring(w);
    if (w->has_begun && is_copy(w) && !w->is_finalized)
        remove_files(w);
    w->len = w->file ? w->file->len : 0;
    if (w->down_fd >= 0)
        close(w->down_fd);
}

/* ---- the loop ---- */

static void write_free(struct dn_write *w)
{
    list_remove(&w->link);
    dn_writing_unref(w->writing);
    if (w->cancel_fd >= 0)
        close(w->cancel_fd);
    dn_claims_drop(&w->serve->conf.storage->claims, &w->claim);
    mem_free(w);
}

/* The map, as the thread left the disk. */
static void settle_map(struct dn_write *w)
{
    struct dn_storage *storage = w->serve->conf.storage;
    struct dn_replica *replica = dn_storage_find(storage, w->id);
    if (!replica)
        return;
    if (w->is_finalized && joins(w)) {
        dn_storage_converted(storage, replica, w->len);
    } else if (w->is_finalized) {
        dn_storage_finalized(storage, replica, w->len);
        metric_add(&blocks_written, 1);
    } else if (w->has_begun && !is_copy(w)) {
        dn_storage_left(storage, replica, w->len);
        metric_add(&writes_broken, 1);
    } else if (!is_recover(w)) {
        dn_storage_discard(storage, replica);
    }
}

/* Too busy: the thread never ran. */
static void refuse_detached(struct dn_write *w, const struct err *err)
{
    struct buf out = BUF_INIT;
    struct data_writing answer = blame(w, w->serve->conf.node, err);
    if (dn_session_put_answer(w->session, &answer, &out) == 0)
        dn_session_attach(w->session, w->fd, buf_slice(&out));
    else
        dn_session_end(w->session, w->fd);
    buf_release(&out);
}

static void write_done(struct dn_move *move)
{
    struct dn_write *w = CONTAINER_OF(move, struct dn_write, move);
    struct err err = {0};
    settle_map(w);
    if (w->is_source_bad)
        dn_storage_bad(w->serve->conf.storage, w->before.id, w->before.gs);
    dn_suspect_volume(w->serve->conf.storage, w->volume, w->end_code);
    dn_claims_drop(&w->serve->conf.storage->claims, &w->claim);
    if (move->was_refused) {
        err_set(&err, ERR_BUSY, "busy: no thread was free to move bytes");
        refuse_detached(w, &err);
    } else if (w->outcome == FINALIZED) {
        dn_session_attach(w->session, w->fd, slice_of(w->last_ack, sizeof(w->last_ack)));
    } else if (w->outcome == REFUSED) {
        dn_session_attach(w->session, w->fd, slice_of(NULL, 0));
    } else {
        dn_session_end(w->session, w->fd);
    }
    write_free(w);
}

/* Refused before the socket was detached. */
static void refuse(struct dn_write *w, const struct err *err)
{
    struct data_writing answer = blame(w, w->serve->conf.node, err);
    log_warn("dn.write", "blk_%" PRIu64 " from %s refused: %s", w->id, w->session->peer, err->msg);
    dn_session_answer(w->session, &answer);
    write_free(w);
}

/* While its writer runs the map does not know how long a replica is: `len` 0 asks for the rest
 * only. */
static int check_recover(struct dn_write *w, uint64_t len, struct err *err)
{
    const struct dn_replica *replica = dn_storage_find(w->serve->conf.storage, w->id);
    if (!replica)
        return err_set(err, ERR_NOENT, "blk_%" PRIu64 " is not here", w->id);
    int rc = dn_replica_can_resume(replica, w->ask->block.gs, w->ask->new_gs, len);
    if (rc != 0)
        return err_set(err, rc,
                       "blk_%" PRIu64 " (%s, stamp %" PRIu64 ", %" PRIu64
                       " bytes) cannot go on from stamp %" PRIu64 ", %" PRIu64 " bytes: %s",
                       w->id, dn_replica_state_name(replica->state), replica->gs, replica->len,
                       w->ask->block.gs, w->ask->block.len, err_text(rc));
    return 0;
}

static int prepare_recover(struct dn_write *w, struct err *err)
{
    int rc = check_recover(w, w->ask->block.len, err);
    if (rc != 0)
        return rc;
    const struct dn_replica *replica = dn_storage_find(w->serve->conf.storage, w->id);
    w->before = *replica;
    w->volume = dn_storage_volume(w->serve->conf.storage, replica);
    w->writing = dn_writing_new();
    return w->writing ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* What the new block begins with must be here as the writer knows it: of two who append, one may
 * have an old idea of the file. */
static int check_base(struct dn_write *w, struct err *err)
{
    const struct msg_block *base = &w->ask->base;
    const struct dn_replica *replica = dn_storage_find(w->serve->conf.storage, base->id);
    if (!replica)
        return err_set(err, ERR_NOENT, "blk_%" PRIu64 " is not here to begin with", base->id);
    if (replica->state != DN_REPLICA_FINALIZED || replica->gs != base->gs ||
        replica->len != base->len || replica->is_bad)
        return err_set(err, replica->is_bad ? ERR_CHECKSUM : ERR_STALE,
                       "blk_%" PRIu64 " (%s, stamp %" PRIu64 ", %" PRIu64
                       " bytes%s) is not what was to be begun with: stamp %" PRIu64 ", %" PRIu64
                       " bytes",
                       base->id, dn_replica_state_name(replica->state), replica->gs, replica->len,
                       replica->is_bad ? ", damaged" : "", base->gs, base->len);
    w->before = *replica;
    return 0;
}

static int prepare_new(struct dn_write *w, struct err *err)
{
    struct dn_replica *replica = NULL;
    struct dn_storage_new what = {.id = w->id,
                                  .gs = w->gs,
                                  .max_len = w->ask->block_size,
                                  .event = is_copy(w) ? DN_EVENT_COPY : DN_EVENT_CREATE,
                                  .beside = has_base(w) ? &w->before : NULL};
    int rc = has_base(w) ? check_base(w, err) : 0;
    if (rc == 0)
        rc = dn_storage_add(w->serve->conf.storage, &what, &replica, err);
    if (rc != 0)
        return rc;
    w->volume = dn_storage_volume(w->serve->conf.storage, replica);
    w->writing = dn_writing_ref(replica->writing);
    return 0;
}

/* The block is ours. */
static void write_granted(struct dn_claim *claim)
{
    struct dn_write *w = CONTAINER_OF(claim, struct dn_write, claim);
    struct err err = {0};
    fault_hit("dn.write.begin");
    int rc = is_recover(w) ? prepare_recover(w, &err) : prepare_new(w, &err);
    if (rc != 0) {
        refuse(w, &err);
        return;
    }
    rc = dn_session_detach(w->session, &w->fd);
    if (rc != 0) {
        settle_map(w);
        dn_session_end(w->session, -1);
        write_free(w);
        return;
    }
    rc = dn_movers_submit(w->serve->movers, &w->move, &err);
    if (rc != 0) {
        settle_map(w);
        refuse_detached(w, &err);
        write_free(w);
    }
}

static void write_cancel(struct dn_write *w)
{
    uint64_t one = 1;
    if (write(w->cancel_fd, &one, sizeof(one)) < 0)
        log_warn("dn.write", "blk_%" PRIu64 ": cannot be told to end", w->id);
}

static void write_preempted(struct dn_claim *claim)
{
    write_cancel(CONTAINER_OF(claim, struct dn_write, claim));
}

void dn_write_cancel_all(struct dn_serve *serve)
{
    list_each (&serve->writes, it)
        write_cancel(list_entry(it, struct dn_write, link));
}

size_t dn_write_count(const struct dn_serve *serve)
{
    size_t n = 0;
    list_each (&serve->writes, it)
        n++;
    return n;
}

/* Does the request make sense, whatever we hold? */
static const char *nonsense(const struct dn_session *session, const struct data_write *ask,
                            bool is_local)
{
    if (ask->block.id == 0 || ask->stage > DATA_WRITE_JOIN)
        return "no such block or stage";
    if (ask->block_size == 0 || ask->block_size > BLOCK_BYTES_MAX ||
        ask->block.len > ask->block_size)
        return "sizes that cannot be";
    if (ask->targets.n >= PIPELINE_MAX)
        return "the chain is too long";
    if (ask->base.id != 0 && (ask->stage != DATA_WRITE_CREATE || ask->base.id == ask->block.id ||
                              ask->base.len == 0 || ask->base.len > ask->block_size))
        return "no such beginning";
    if (ask->stage == DATA_WRITE_RECOVER && ask->new_gs <= ask->block.gs)
        return "the new stamp is not newer";
    if (is_local && !session->is_unix)
        return "memory can be passed over the unix socket only";
    if (is_local && (ask->ring_bytes < RING_BYTES_MIN || ask->ring_bytes > RING_BYTES_MAX ||
                     ask->ring_bytes % PAGE != 0 || ask->stage >= DATA_WRITE_COPY))
        return "no such ring";
    return NULL;
}

static struct dn_write *write_new(struct dn_serve *serve, struct dn_session *session,
                                  const struct data_write *ask, bool is_local)
{
    struct dn_write *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->cancel_fd < 0) {
        mem_free(w);
        return NULL;
    }
    w->serve = serve;
    w->session = session;
    w->ask = ask;
    w->is_local = is_local;
    w->id = ask->block.id;
    w->gs = ask->stage == DATA_WRITE_RECOVER ? ask->new_gs : ask->block.gs;
    w->fd = w->down_fd = -1;
    w->claim.granted = write_granted;
    w->claim.preempted = write_preempted;
    w->move.run = run_write;
    w->move.done = write_done;
    list_push_back(&serve->writes, &w->link);
    return w;
}

static void begin(struct dn_serve *serve, struct dn_session *session, const struct data_write *ask,
                  bool is_local)
{
    struct err err = {0};
    const char *why = nonsense(session, ask, is_local);
    if (why) {
        dn_session_fail(session, ERR_INVAL, "blk_%" PRIu64 ": %s", ask->block.id, why);
        return;
    }
    struct dn_write *w = write_new(serve, session, ask, is_local);
    if (!w) {
        dn_session_fail(session, ERR_NOMEM, "%s: out of memory", serve->conf.node);
        return;
    }
    struct dn_claims *claims = &serve->conf.storage->claims;
    int rc = 0;
    if (is_recover(w)) /* a hopeless one does not stop the writer there is */
        rc = check_recover(w, 0, &err);
    else if (dn_claims_is_taken(claims, w->id))
        rc = err_set(&err, ERR_BUSY, "blk_%" PRIu64 " is being worked on", w->id);
    if (rc == 0)
        rc = dn_claims_ask(claims, &w->claim, w->id, true);
    if (rc == ERR_NOMEM && err.code == 0)
        err_set(&err, rc, "out of memory");
    if (rc != 0)
        refuse(w, &err);
}

void dn_serve_write(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    begin(serve, session, ask, false);
}

void dn_serve_local_write(struct dn_serve *serve, struct dn_session *session, const void *ask)
{
    begin(serve, session, ask, true);
}
