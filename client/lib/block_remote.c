/* SPDX-License-Identifier: Apache-2.0
 * Reading a replica over a socket. */
#include "client/lib/block_read.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"

#define SKIP_MAX (1U << 20) /* a gap that is cheaper to read through than to ask again */

void cl_remote_stop(struct cl_remote *remote)
{
    if (!remote->peer)
        return;
    if (remote->is_last) {
        cl_peer_put(remote->peer);
    } else {
        cl_peer_drop(remote->peer);
    }
    remote->peer = NULL;
    remote->packet_len = 0;
}

void cl_remote_release(struct cl_remote *remote)
{
    cl_remote_stop(remote);
    mem_free(remote->packet);
    mem_free(remote->sums);
    *remote = (struct cl_remote){0};
}

static int make_buffers(struct cl_remote *remote, struct err *err)
{
    if (!remote->packet)
        remote->packet = mem_alloc(PACKET_DATA_MAX);
    if (!remote->sums)
        remote->sums = mem_alloc(PACKET_SUMS_MAX * sizeof(*remote->sums));
    return remote->packet && remote->sums ? 0 : err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
}

/* Ask over `peer`; it is taken: kept in *remote or dropped. */
static int ask(struct cl_remote *remote, struct cl_peer *peer, const struct data_read *read,
               struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct data_reading answer = {0};
    int rc = cl_peer_ask(peer, DATA_AT_READ, read, &arena, &answer, err);
    arena_release(&arena);
    if (rc != 0) {
        /* an error answer leaves the connection as it was; a broken one is found when next used */
        cl_peer_put(peer);
        return rc;
    }
    if (answer.start > read->offset || answer.start + answer.length < read->offset + read->length) {
        err_set(err, ERR_EOF, "%s: the replica ends at %llu", peer->address,
                (unsigned long long)answer.visible_len);
        cl_peer_drop(peer);
        return ERR_EOF;
    }
    rc = cl_peer_begin_packets(peer);
    if (rc != 0) {
        cl_peer_drop(peer);
        return err_set(err, rc, "%s", err_text(rc));
    }
    remote->peer = peer;
    remote->pos = read->offset;
    remote->end = answer.start + answer.length;
    remote->packet_off = answer.start;
    return 0;
}

int cl_remote_start(struct qn_fs *fs, struct cl_remote *remote, const struct msg_node *node,
                    const struct cl_block *block, uint64_t off, uint64_t len, struct err *err)
{
    char address[512];
    struct cl_peer *peer = NULL;
    cl_remote_stop(remote);
    int rc = make_buffers(remote, err);
    if (rc == 0)
        rc = cl_peer_get(&fs->peers, cl_node_address(node, address, sizeof(address)), &peer, err);
    if (rc != 0)
        return rc;
    const struct data_read read = {
        .block = {.id = block->id, .gs = block->gs, .len = block->len},
        .offset = off,
        .length = len,
    };
    remote->id = block->id;
    remote->node = slice_hash(node->name, 0);
    remote->taken = remote->waited_us = 0;
    remote->packet_len = 0;
    remote->is_last = false;
    return ask(remote, peer, &read, err);
}

static int fail(struct cl_remote *remote, int rc)
{
    remote->is_last = false; /* in the middle of something: not to be used again */
    cl_remote_stop(remote);
    return rc;
}

static int check_sums(const struct cl_remote *remote, const void *data, uint32_t len, uint64_t off,
                      struct err *err)
{
    struct slice sums = slice_of(remote->sums, chunksum_count(len, CHUNKSUM_CHUNK) * CHUNKSUM_SIZE);
    size_t bad = fault_hit("client.read.verify") == FAULT_CORRUPT
                     ? 0
                     : chunksum_verify(slice_of(data, len), CHUNKSUM_CHUNK, sums);
    if (bad == CHUNKSUM_GOOD)
        return 0;
    return err_set(err, ERR_CHECKSUM, "checksum mismatch at offset %llu of block %llu on %s",
                   (unsigned long long)(off + bad * CHUNKSUM_CHUNK), (unsigned long long)remote->id,
                   remote->peer->address);
}

/* A packet's header and sums, then its bytes: into `buffer` if it has room for all that is wanted.
 */
static int recv_packet(struct cl_remote *remote, struct packet_header *header, uint8_t *buffer,
                       size_t size, uint8_t **ret_into, struct err *err)
{
    struct cl_peer *peer = remote->peer;
    uint64_t begun_us = clock_mono_us();
    int rc = cl_peer_recv_header(peer, header, remote->sums, err);
    if (rc != 0)
        return rc;
    bool is_direct = header->offset == remote->pos && header->data_len <= size;
    *ret_into = is_direct ? buffer : remote->packet;
    rc = sock_recv_exact(peer->fd, *ret_into, header->data_len, cl_peer_deadline(peer));
    if (rc != 0)
        return err_set(err, rc, "%s: %s", peer->address, err_text(rc));
    remote->waited_us += clock_mono_us() - begun_us;
    remote->taken += header->data_len;
    return 0;
}

/* The next packet: straight into `buffer` when all of it is wanted there (*ret_direct), else into
 * our own. */
static int next_packet(struct cl_remote *remote, uint8_t *buffer, size_t size, size_t *ret_direct,
                       struct err *err)
{
    struct packet_header header;
    uint8_t *into = NULL;
    *ret_direct = 0;
    int rc = recv_packet(remote, &header, buffer, size, &into, err);
    if (rc != 0)
        return rc;
    uint64_t expected = remote->packet_off + remote->packet_len;
    if (remote->is_last || (header.data_len && header.offset != expected))
        return err_set(err, ERR_PROTO, "%s: a packet out of order", remote->peer->address);
    remote->is_last = header.flags & PACKET_LAST;
    rc = check_sums(remote, into, header.data_len, header.offset, err);
    if (rc != 0)
        return rc;
    remote->packet_off = expected;
    remote->packet_len = header.data_len;
    if (into != remote->packet)
        *ret_direct = header.data_len;
    return 0;
}

/* What is left of the present packet behind pos. */
static size_t left_in_packet(const struct cl_remote *remote)
{
    uint64_t packet_end = remote->packet_off + remote->packet_len;
    return packet_end > remote->pos ? (size_t)(packet_end - remote->pos) : 0;
}

/* An empty packet may end the answer: take it now, so that the connection can be used again. */
static int take_last(struct cl_remote *remote, struct err *err)
{
    size_t direct = 0;
    while (remote->pos >= remote->end && !remote->is_last) {
        int rc = next_packet(remote, NULL, 0, &direct, err);
        if (rc != 0)
            return fail(remote, rc);
    }
    if (remote->is_last && left_in_packet(remote) == 0)
        cl_remote_stop(remote);
    return 0;
}

int cl_remote_take(struct cl_remote *remote, void *buffer, size_t size, struct err *err)
{
    uint8_t *out = buffer;
    while (size) {
        size_t n = left_in_packet(remote), direct = 0;
        if (n == 0) {
            if (remote->is_last)
                return fail(remote, err_set(err, ERR_EOF, "the answer ends too early"));
            int rc = next_packet(remote, out, size, &direct, err);
            if (rc != 0)
                return fail(remote, rc);
            n = direct;
        } else {
            n = n < size ? n : size;
            memcpy(out, remote->packet + (remote->pos - remote->packet_off), n);
        }
        remote->pos += n;
        out += n;
        size -= n;
    }
    return take_last(remote, err);
}

bool cl_remote_can_go_on(const struct cl_remote *remote, uint64_t id, uint64_t off)
{
    return remote->peer && remote->id == id && off >= remote->pos && off < remote->end &&
           off - remote->pos <= SKIP_MAX;
}

int cl_remote_skip_to(struct cl_remote *remote, uint64_t off, struct err *err)
{
    size_t direct = 0;
    while (remote->pos < off) {
        size_t n = left_in_packet(remote);
        if (n == 0) {
            int rc = next_packet(remote, NULL, 0, &direct, err);
            if (rc != 0)
                return fail(remote, rc);
            continue;
        }
        remote->pos += n < off - remote->pos ? n : off - remote->pos;
    }
    return 0;
}
