/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/copy.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <unistd.h>

#include "datanode/storage/settle.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"
#include "libcommon/proto/data/packet.h"

#define WINDOW 64U     /* packets sent ahead of their acks */
#define NAP_US 100000U /* at most, before it is looked whether to go on */

struct sender {
    const struct dn_copy *copy;
    struct dn_blockfile *file;
    int fd;
    uint8_t *buffer;
    uint64_t len;         /* how much there is to send */
    uint32_t tail_sum;    /* of its partial last chunk; only for a replica that is being written */
    uint64_t sent, acked; /* packets */
    struct dn_copy_fault fault;
};

void dn_copy_pace_init(struct dn_copy_pace *pace, uint64_t bytes_per_s)
{
    mutex_init(&pace->lock);
    pace->pace = (struct dn_pace){.bytes_per_s = bytes_per_s};
}

void dn_copy_pace_release(struct dn_copy_pace *pace)
{
    mutex_release(&pace->lock);
}

void dn_copy_pace_set(struct dn_copy_pace *pace, uint64_t bytes_per_s)
{
    mutex_lock(&pace->lock);
    pace->pace = (struct dn_pace){.bytes_per_s = bytes_per_s};
    mutex_unlock(&pace->lock);
}

static void wait_for_turn(const struct sender *s, uint64_t bytes)
{
    struct dn_copy_pace *pace = s->copy->pace;
    if (!pace)
        return;
    mutex_lock(&pace->lock);
    uint64_t wait_us = dn_pace_take(&pace->pace, bytes, clock_mono_us());
    mutex_unlock(&pace->lock);
    while (wait_us > 0 && !atomic_load(s->copy->stop)) {
        uint64_t nap = wait_us < NAP_US ? wait_us : NAP_US;
        usleep((useconds_t)nap);
        wait_us -= nap;
    }
}

static uint64_t patience(const struct sender *s)
{
    return clock_mono_ms() + pipeline_patience_ms(s->copy->timeout_ms, s->copy->targets.n);
}

static bool is_joining(const struct sender *s)
{
    return s->copy->stage == DATA_WRITE_JOIN;
}

static void blame(struct sender *s, struct slice node)
{
    snprintf(s->fault.node, sizeof(s->fault.node), SLICE_FMT, SLICE_ARG(node));
}

static int receive_ack(struct sender *s, struct err *err)
{
    uint8_t bytes[PACKET_ACK_BYTES];
    struct packet_ack ack;
    int rc = sock_recv_exact(s->fd, bytes, sizeof(bytes), patience(s));
    if (rc == 0)
        rc = packet_ack_decode(bytes, &ack);
    if (rc == 0 && ack.seq != s->acked)
        rc = ERR_PROTO;
    if (rc != 0) {
        blame(s, s->copy->targets.v[0].name);
        return err_set(err, rc, SLICE_FMT ": no acknowledgement: %s",
                       SLICE_ARG(s->copy->targets.v[0].name), err_text(rc));
    }
    for (size_t i = 0; i < ack.count && i < s->copy->targets.n; i++) {
        if (ack.status[i] == 0)
            continue;
        blame(s, s->copy->targets.v[i].name);
        return err_set(err, ack.status[i], SLICE_FMT ": %s", SLICE_ARG(s->copy->targets.v[i].name),
                       err_text(ack.status[i]));
    }
    s->acked++;
    return 0;
}

static int send_piece(struct sender *s, struct packet_header *h, struct err *err)
{
    uint8_t header[PACKET_HEADER_BYTES];
    uint8_t *sums = s->buffer + s->copy->piece_bytes;
    struct dn_visible all = {.len = s->len, .tail_sum = s->tail_sum, .has_tail_sum = is_joining(s)};
    struct dn_extent extent = {.off = h->offset, .len = h->data_len};
    int rc = dn_blockfile_read(s->file, extent, &all, s->buffer, sums);
    if (rc != 0) {
        s->fault.is_ours = true;
        return err_set(err, rc, "%s: %s", s->file->paths.data, err_text(rc));
    }
    switch (fault_hit("dn.copy.packet")) {
    case FAULT_CORRUPT:
        s->buffer[0] ^= 4;
        break;
    case FAULT_DROP:
        return err_set(err, ERR_CLOSED, "connection closed");
    default:
        break;
    }
    packet_header_encode(h, header);
    struct iovec iov[3] = {
        {header, sizeof(header)}, {sums, h->sums * (size_t)DN_SUM_BYTES}, {s->buffer, h->data_len}};
    rc = sock_writev_all(s->fd, iov, 3, patience(s));
    if (rc == 0)
        return 0;
    blame(s, s->copy->targets.v[0].name);
    return err_set(err, rc, SLICE_FMT ": %s", SLICE_ARG(s->copy->targets.v[0].name), err_text(rc));
}

static int send_all(struct sender *s, struct err *err)
{
    uint64_t len = s->len, off = 0;
    int rc = 0;
    do {
        uint64_t left = len - off, piece = s->copy->piece_bytes;
        struct packet_header h = {
            .seq = s->sent++, .offset = off, .data_len = (uint32_t)(left < piece ? left : piece)};
        off += h.data_len;
        h.sums = (uint16_t)chunksum_count(h.data_len, DN_SUM_CHUNK);
        h.flags = off == len ? PACKET_LAST : 0;
        wait_for_turn(s, h.data_len);
        rc = send_piece(s, &h, err);
        if (rc == 0 && s->sent - s->acked >= WINDOW)
            rc = receive_ack(s, err);
        if (rc == 0 && atomic_load(s->copy->stop))
            rc = err_set(err, ERR_CANCELLED, "the datanode is stopping");
    } while (rc == 0 && off < len);
    while (rc == 0 && s->acked < s->sent)
        rc = receive_ack(s, err);
    return rc;
}

/* A replica that is being written is as long as its checksums say, all of it looked at. */
static int find_length(struct sender *s, struct err *err)
{
    const struct dn_replica *r = &s->copy->replica;
    s->len = r->len;
    if (!is_joining(s))
        return 0;
    uint64_t most = dn_replica_is_whole(r) ? r->len : UINT64_MAX;
    int rc = dn_settle_verify(s->file, most, err);
    if (rc == 0 && s->file->len < s->copy->least)
        rc = err_set(err, ERR_CHECKSUM,
                     "only %" PRIu64 " of %" PRIu64 " bytes agree with their checksums",
                     s->file->len, s->copy->least);
    s->len = s->file->len;
    s->tail_sum = s->file->tail_sum;
    return rc;
}

static int open_source(struct sender *s, struct err *err)
{
    const struct dn_replica *r = &s->copy->replica;
    char *dir = dn_volume_dir(s->copy->volume, dn_storage_dir_of(r), r->id);
    struct dn_blockfile_new what = {.dir = dir, .id = r->id, .gs = r->gs};
    int rc = dir ? dn_blockfile_open(s->copy->volume->disk, &what, DISK_READ, &s->file, err)
                 : err_set(err, ERR_NOMEM, "out of memory");
    mem_free(dir);
    if (rc == 0)
        rc = find_length(s, err);
    s->fault.is_ours = rc != 0;
    return rc;
}

static int open_targets(struct sender *s, struct err *err)
{
    uint64_t most = is_joining(s) ? s->copy->block_size : s->len > 0 ? s->len : 1;
    uint64_t gs = is_joining(s) ? s->copy->gs : s->copy->replica.gs;
    struct data_write ask = {.block = {.id = s->copy->replica.id, .gs = gs, .len = s->len},
                             .stage = s->copy->stage,
                             .targets = s->copy->targets,
                             .block_size = most};
    struct dn_peer_chain chain = {
        .self = s->copy->self, .ask = &ask, .timeout_ms = s->copy->timeout_ms};
    int rc = dn_peer_open_chain(&chain, &s->fd, s->fault.node, err);
    if (rc != 0)
        err_wrap(err, "%s", s->fault.node);
    return rc;
}

int dn_copy_run(const struct dn_copy *copy, struct dn_copy_fault *ret, struct err *err)
{
    struct sender s = {.copy = copy, .fd = -1};
    s.buffer = dn_buffers_get(copy->pieces);
    int rc = s.buffer ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = open_source(&s, err);
    if (rc == 0)
        rc = open_targets(&s, err);
    if (rc == 0)
        rc = send_all(&s, err);
    *ret = s.fault;
    dn_buffers_put(copy->pieces, s.buffer);
    dn_blockfile_close(s.file);
    if (s.fd >= 0)
        close(s.fd);
    return rc;
}
