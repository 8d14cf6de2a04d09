/* SPDX-License-Identifier: Apache-2.0
 * The connection to the first datanode of a chain: packets down, acks up.
 *
 * Sending blocks and acks are read in between. That cannot lock up: acks are small, and there are
 * never more of them under way than packets may be in flight, which the socket's buffer holds. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "client/lib/stream_out_inside.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"

#define SMALL_BYTES (64U << 10) /* less is sent inline also on our own node: no ring to pass */

_Static_assert((int)CL_PACKET_LAST == PACKET_LAST && (int)CL_PACKET_FLUSH == PACKET_FLUSH &&
                   (int)CL_PACKET_SYNC == PACKET_SYNC && (int)CL_PACKET_BEAT == PACKET_BEAT,
               "flags are those of the wire");

static int broken(struct cl_break *ret, uint32_t bad, int code)
{
    ret->bad = bad;
    ret->code = code;
    return code;
}

/* Whatever goes wrong on the connection itself is held against the first node. */
static int broken_here(struct cl_out *out, int code, struct cl_break *ret)
{
    err_set(&ret->why, code, "%s: %s", out->peer ? out->peer->address : "datanode", err_text(code));
    return broken(ret, 0, code);
}

static const struct msg_node *node_at(const struct cl_out *out, uint32_t place)
{
    return out->nodes.v[out->pipe.nodes[place]];
}

/* --- setting up ------------------------------------------------------------------------------- */

static uint32_t place_of(const struct cl_out *out, struct slice name)
{
    for (uint32_t i = 0; i < out->pipe.count; i++)
        if (slice_eq(node_at(out, i)->name, name))
            return i;
    return 0; /* somebody we did not name: then he who answers is at fault */
}

static void fill_targets(const struct cl_out *out, struct msg_node *targets,
                         struct data_write *write)
{
    for (uint32_t i = 1; i < out->pipe.count; i++)
        targets[i - 1] = *node_at(out, i);
    write->targets = (struct msg_node_list){targets, out->pipe.count - 1};
}

/* Is it worth passing the ring? Not for a small file that ends here. */
static bool wants_ring(const struct cl_out *out)
{
    return out->pipe.filled - out->pipe.filled_before > SMALL_BYTES;
}

static int dial(struct cl_out *out, bool local, struct cl_peer **ret, struct err *err)
{
    char address[512];
    const struct msg_node *first = node_at(out, 0);
    const char *text =
        local ? (const char *)first->socket.data : cl_node_address(first, address, sizeof(address));
    return cl_peer_get(&out->fs->peers, text, ret, err);
}

static int pass_ring(struct cl_out *out)
{
    return sock_send_fds(out->peer->fd, slice_str("r"), &out->ring->fd, 1,
                         cl_peer_deadline(out->peer));
}

/* Ask the first node; the answer speaks for the whole chain. */
static int ask_chain(struct cl_out *out, const struct data_write *write, struct cl_break *ret)
{
    struct arena arena = ARENA_INIT;
    struct data_writing answer = {0};
    unsigned at = out->in_ring ? DATA_AT_LOCAL_WRITE : DATA_AT_WRITE;
    int rc = cl_peer_ask(out->peer, at, write, &arena, &answer, &ret->why);
    if (rc != 0) {
        broken(ret, 0, rc);
    } else if (answer.bad_node.len) {
        rc = answer.code < 0 && answer.code > -1000 ? (int)answer.code : ERR_FAILED;
        if (rc == ERR_CHECKSUM) /* of its own replica: nobody has sent anything yet */
            rc = ERR_CORRUPT;
        err_set(&ret->why, rc, SLICE_FMT, SLICE_ARG(answer.why));
        broken(ret, place_of(out, answer.bad_node), rc);
    }
    arena_release(&arena);
    return rc;
}

static int begin(struct cl_out *out, const struct data_write *write, bool local,
                 struct cl_break *ret)
{
    int rc = dial(out, local, &out->peer, &ret->why);
    if (local && (rc == ERR_REFUSED || rc == ERR_NOENT)) {
        local = false; /* its socket is gone, perhaps its port is not */
        rc = dial(out, local, &out->peer, &ret->why);
    }
    if (rc != 0)
        return broken(ret, 0, rc);
    cl_peer_set_behind(out->peer, out->pipe.count);
    out->in_ring = local && wants_ring(out);
    rc = ask_chain(out, write, ret);
    if (rc != 0) {
        cl_peer_put(out->peer); /* refused: it stands between requests */
        out->peer = NULL;
        return rc;
    }
    rc = cl_peer_begin_packets(out->peer);
    if (rc == 0 && out->in_ring)
        rc = pass_ring(out);
    if (rc != 0) {
        rc = broken_here(out, rc, ret);
        cl_chain_hang_up(out, false);
    } else {
        cl_slow_begin(out);
    }
    return rc;
}

int cl_chain_connect(struct cl_out *out, uint64_t new_gs, struct cl_break *ret)
{
    struct msg_node targets[CL_PIPELINE_NODES];
    struct data_write write = {
        .block = {.id = out->block.id, .gs = out->block.gs, .len = out->pipe.acked},
        .stage = new_gs ? DATA_WRITE_RECOVER : DATA_WRITE_CREATE,
        .new_gs = new_gs,
        .client = out->fs->namenode.client_id,
        .block_size = out->block_bytes,
        .ring_bytes = CL_RING_BYTES,
        .reports_ms = cl_slow_reports_ms(out),
    };
    if (out->is_prepared)
        write.base = out->previous;
    fault_hit(new_gs ? "client.write.recover" : "client.write.setup");
    fill_targets(out, targets, &write);
    out->ack_bytes = 0;
    out->sent_ms = clock_mono_ms();
    return begin(out, &write, cl_is_local(out->fs, node_at(out, 0)), ret);
}

void cl_chain_hang_up(struct cl_out *out, bool clean)
{
    if (!clean && out->peer && out->in_ring)
        out->ring_is_shared = true;
    if (out->peer && clean)
        cl_peer_put(out->peer);
    else
        cl_peer_drop(out->peer);
    out->peer = NULL;
}

/* --- acks ------------------------------------------------------------------------------------- */

static int take_ack(struct cl_out *out, const uint8_t *raw, struct cl_break *ret)
{
    struct packet_ack ack;
    int rc = packet_ack_decode(raw, &ack);
    if (rc != 0)
        return broken_here(out, rc, ret);
    uint32_t bad = 0;
    const struct cl_ack event = {ack.seq, ack.count, ack.status};
    rc = cl_pipeline_ack(&out->pipe, &event, &bad);
    if (rc == 0)
        return 0;
    err_set(&ret->why, rc, "%s", err_text(rc));
    return broken(ret, bad, rc);
}

static int take_acks(struct cl_out *out, struct cl_break *ret)
{
    size_t used = 0;
    int rc = 0;
    while (rc == 0 && out->ack_bytes - used >= PACKET_ACK_BYTES) {
        const uint8_t *raw = out->acks + used;
        rc = packet_is_report(raw) ? cl_slow_report(out, raw, ret) : take_ack(out, raw, ret);
        used += PACKET_ACK_BYTES;
    }
    out->ack_bytes -= used;
    memmove(out->acks, out->acks + used, out->ack_bytes);
    return rc;
}

/* Some bytes of acks, as they come; ERR_TIMEOUT: none came in `patience`, the last of which is
 * looked through for who is slow. */
static ssize_t receive_some(struct cl_out *out, uint64_t until_ms, struct cl_break *ret)
{
    uint32_t every_ms = cl_slow_reports_ms(out);
    for (;;) {
        uint64_t step_ms = clock_mono_ms() + 2ULL * every_ms + 1;
        bool is_whole = every_ms == 0 || step_ms > until_ms;
        ssize_t n =
            sock_recv_some(out->peer->fd, out->acks + out->ack_bytes,
                           sizeof(out->acks) - out->ack_bytes, is_whole ? until_ms : step_ms);
        if (n != ERR_TIMEOUT || is_whole)
            return n;
        if (cl_slow_silence(out, ret) != 0)
            return 0;
    }
}

int cl_chain_acks(struct cl_out *out, bool wait, struct cl_break *ret)
{
    uint64_t patience = cl_peer_deadline(out->peer);
    uint32_t before = out->pipe.in_flight;
    int rc = 0;
    if (fault_hit("client.write.acks") != FAULT_NONE)
        return broken_here(out, ERR_IO, ret);
    while (rc == 0 && out->pipe.in_flight) {
        bool must = wait && out->pipe.in_flight == before;
        ssize_t n = receive_some(out, must ? patience : 0, ret);
        if (n == ERR_TIMEOUT && !must)
            return 0;
        if (n < 0)
            return broken_here(out, n == ERR_EOF ? ERR_CLOSED : (int)n, ret);
        if (n == 0)
            return ret->code; /* the first node is too slow */
        out->heard_ms = clock_mono_ms();
        out->ack_bytes += (size_t)n;
        rc = take_acks(out, ret);
    }
    return rc;
}

/* --- packets ---------------------------------------------------------------------------------- */

/* The first node takes no more for the moment: it may have something to say. */
static int wait_to_send(struct cl_out *out, uint64_t until_ms, struct cl_break *ret)
{
    uint64_t now_ms = clock_mono_ms();
    struct pollfd ready = {.fd = out->peer->fd, .events = POLLIN | POLLOUT};
    if (now_ms >= until_ms)
        return broken_here(out, ERR_TIMEOUT, ret);
    (void)poll(&ready, 1, (int)(until_ms - now_ms));
    return ready.revents & POLLIN ? cl_chain_acks(out, false, ret) : 0;
}

/* Acks and reports are taken meanwhile: a chain that stands still says why. */
static int send_pieces(struct cl_out *out, struct iovec iov[3], struct cl_break *ret)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
    uint64_t until_ms = cl_peer_deadline(out->peer);
    while (msg.msg_iovlen > 0) {
        ssize_t n = sendmsg(out->peer->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return broken_here(out, err_from_errno(errno), ret);
        if (n < 0) {
            int rc = wait_to_send(out, until_ms, ret);
            if (rc != 0)
                return rc;
            continue;
        }
        until_ms = cl_peer_deadline(out->peer);
        while (msg.msg_iovlen > 0 && (size_t)n >= msg.msg_iov->iov_len) {
            n -= (ssize_t)msg.msg_iov->iov_len;
            msg.msg_iov++;
            msg.msg_iovlen--;
        }
        if (msg.msg_iovlen > 0) {
            msg.msg_iov->iov_base = (uint8_t *)msg.msg_iov->iov_base + n;
            msg.msg_iov->iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int send_packet(struct cl_out *out, const struct cl_packet *packet, struct cl_break *ret)
{
    uint8_t raw[PACKET_HEADER_BYTES];
    const uint8_t *data = out->ring->data + packet->offset % CL_RING_BYTES;
    struct packet_header header = {.data_len = packet->len,
                                   .flags = (uint16_t)packet->flags,
                                   .seq = packet->seq,
                                   .offset = packet->offset};
    struct iovec iov[3] = {{raw, sizeof(raw)}, {out->sums, 0}, {(void *)(uintptr_t)data, 0}};
    if (out->in_ring && packet->len) {
        header.flags |= PACKET_RING;
    } else if (packet->len) {
        header.sums = (uint16_t)chunksum_count(packet->len, CHUNKSUM_CHUNK);
        chunksum_compute(slice_of(data, packet->len), CHUNKSUM_CHUNK, out->sums);
        iov[1].iov_len = header.sums * CHUNKSUM_SIZE;
        iov[2].iov_len = packet->len;
    }
    packet_header_encode(&header, raw);
    out->packets++;
    if (fault_hit("client.write.send") != FAULT_NONE)
        return broken_here(out, ERR_IO, ret);
    int rc = send_pieces(out, iov, ret);
    out->sent_ms = clock_mono_ms();
    return rc;
}

int cl_chain_send(struct cl_out *out, unsigned flags, struct cl_break *ret)
{
    struct cl_packet packet;
    int rc = 0;
    while (rc == 0 && cl_pipeline_next(&out->pipe, flags, &packet)) {
        rc = send_packet(out, &packet, ret);
        if (rc == 0 && out->pipe.in_flight % 4 == 0)
            rc = cl_chain_acks(out, false, ret);
    }
    return rc;
}

int cl_chain_beat(struct cl_out *out, struct cl_break *ret)
{
    struct cl_packet packet;
    int rc = cl_chain_acks(out, false, ret);
    if (rc == 0 && cl_pipeline_beat(&out->pipe, &packet))
        rc = send_packet(out, &packet, ret);
    return rc;
}
