/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/write_inside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "datanode/serve/relay.h"
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

/* The answer that says who is at fault. */
static struct data_writing blame(const struct dn_write *w, const char *node, const struct err *err)
{
    return (struct data_writing){.node = slice_str(w->serve->conf.node),
                                 .bad_node = slice_str(node),
                                 .code = err->code,
                                 .why = slice_str(err->msg)};
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
    int rc = dn_write_open_files(w, &err);
    if (rc == 0)
        rc = open_chain(w, bad, &err);
    if (rc == 0)
        return 0;
    w->end_code = rc;
    log_warn("dn.write", "blk_%" PRIu64 "_%" PRIu64 " from %s: %s: %s", w->id, w->gs,
             w->session->peer, bad, err.msg);
    struct data_writing answer = blame(w, bad, &err);
    w->outcome = send_answer(w, &answer) == 0 ? DN_WRITE_REFUSED : DN_WRITE_BROKEN;
    if (!dn_write_is_recover(w))
        dn_write_remove_files(w);
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
        .exact_len = dn_write_is_copy(w) ? w->ask->block.len : UINT64_MAX,
        .timeout_ms = timeout_ms,
        .ack_timeout_ms = pipeline_patience_ms(timeout_ms, behind),
        .reports_ms = w->ask->reports_ms,
        .finalize = dn_write_finalize,
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
    if (!dn_write_is_recover(w)) {
        w->has_begun = true;
        loop_post(w->serve->conf.loop, &w->began, began_on_loop, w);
    }
    w->outcome = DN_WRITE_BROKEN;
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
    w->outcome = rc == 0 ? DN_WRITE_FINALIZED : DN_WRITE_BROKEN;
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
    if (w->has_begun && dn_write_is_copy(w) && !w->is_finalized)
        dn_write_remove_files(w);
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
    if (w->is_finalized && dn_write_joins(w)) {
        dn_storage_converted(storage, replica, w->len);
    } else if (w->is_finalized) {
        dn_storage_finalized(storage, replica, w->len);
        metric_add(&blocks_written, 1);
    } else if (w->has_begun && !dn_write_is_copy(w)) {
        dn_storage_left(storage, replica, w->len);
        metric_add(&writes_broken, 1);
    } else if (!dn_write_is_recover(w)) {
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
    } else if (w->outcome == DN_WRITE_FINALIZED) {
        dn_session_attach(w->session, w->fd, slice_of(w->last_ack, sizeof(w->last_ack)));
    } else if (w->outcome == DN_WRITE_REFUSED) {
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
                                  .event = dn_write_is_copy(w) ? DN_EVENT_COPY : DN_EVENT_CREATE,
                                  .beside = dn_write_has_base(w) ? &w->before : NULL};
    int rc = dn_write_has_base(w) ? check_base(w, err) : 0;
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
    int rc = dn_write_is_recover(w) ? prepare_recover(w, &err) : prepare_new(w, &err);
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
    if (dn_write_is_recover(w)) /* a hopeless one does not stop the writer there is */
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
