/* SPDX-License-Identifier: Apache-2.0
 * Reading a replica of the same node by passed descriptors. */
#include <sys/mman.h>
#include <unistd.h>

#include "client/lib/block_read.h"
#include "libcommon/base/fault.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"

#define WINDOW CL_PATIENT_MAX /* read and verified while it is in the cache */

enum { DATA, SUMS }; /* of cl_files */

static int recv_descriptors(struct cl_peer *peer, int fds[2], struct err *err)
{
    struct sock_fds got = {0};
    uint8_t byte;
    int rc = cl_peer_begin_packets(peer);
    if (rc == 0)
        rc = sock_recv_fds(peer->fd, &byte, 1, &got, cl_peer_deadline(peer));
    if (rc == 0 && got.count == 2) {
        fds[0] = got.fd[0];
        fds[1] = got.fd[1];
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < got.count; i++)
        close(got.fd[i]);
    rc = rc ? rc : ERR_PROTO;
    return err_set(err, rc, "%s: no descriptors came: %s", peer->address, err_text(rc));
}

int cl_local_open(struct qn_fs *fs, const struct msg_node *node, const struct cl_block *block,
                  struct cl_local **ret, struct err *err)
{
    struct cl_peer *peer = NULL;
    struct arena arena = ARENA_INIT;
    struct data_local_reading answer = {0};
    const struct data_local_read ask = {
        .block = {.id = block->id, .gs = block->gs, .len = block->len}};
    int fds[2] = {-1, -1};
    struct cl_local *local = mem_calloc(1, sizeof(*local));
    if (!local)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    int rc = cl_peer_get(&fs->peers, (const char *)node->socket.data, &peer, err);
    if (rc == 0)
        rc = cl_peer_ask(peer, DATA_AT_LOCAL_READ, &ask, &arena, &answer, err);
    if (rc == 0) {
        rc = recv_descriptors(peer, fds, err);
        if (rc != 0) {
            cl_peer_drop(peer);
            peer = NULL;
        }
    }
    if (peer)
        cl_peer_put(peer);
    arena_release(&arena);
    if (rc != 0) {
        mem_free(local);
        return rc;
    }
    *local = (struct cl_local){.id = block->id,
                               .gs = answer.block.gs,
                               .len = answer.block.len,
                               .files = cl_files_new(fds),
                               .patient = fs->patient,
                               .wait_ms = fs->hedge_max ? fs->hedge_after_ms : fs->timeout_ms,
                               .sums_off = answer.sums_off};
    if (!local->files) {
        mem_free(local);
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    }
    list_init(&local->link);
    *ret = local;
    return 0;
}

void cl_local_close(struct cl_local *local)
{
    cl_files_unref(local->files);
    mem_free(local);
}

static int read_file(const struct cl_local *local, unsigned which, void *buffer, size_t size,
                     uint64_t off)
{
    return cl_patient_pread(local->patient, local->files, which, buffer, size, off, local->wait_ms);
}

static int fail_read(const struct cl_local *local, int rc, struct err *err)
{
    return err_set(err, rc, "block %llu by its local file: %s", (unsigned long long)local->id,
                   err_text(rc));
}

/* Are these the block's bytes? Whole chunks, at most a window of them. */
static int verify(const struct cl_local *local, const uint8_t *data, size_t size, uint64_t off,
                  struct err *err)
{
    uint32_t sums[WINDOW / CHUNKSUM_CHUNK];
    size_t count = (size_t)chunksum_count(size, CHUNKSUM_CHUNK);
    uint64_t sums_off = local->sums_off + off / CHUNKSUM_CHUNK * CHUNKSUM_SIZE;
    int rc = read_file(local, SUMS, sums, count * CHUNKSUM_SIZE, sums_off);
    if (rc != 0)
        return fail_read(local, rc, err);
    size_t bad = fault_hit("client.read.verify") == FAULT_CORRUPT
                     ? 0
                     : chunksum_verify(slice_of(data, size), CHUNKSUM_CHUNK,
                                       slice_of(sums, count * CHUNKSUM_SIZE));
    if (bad != CHUNKSUM_GOOD)
        return err_set(
            err, ERR_CHECKSUM, "checksum mismatch at offset %llu of block %llu in its local file",
            (unsigned long long)(off + bad * CHUNKSUM_CHUNK), (unsigned long long)local->id);
    return 0;
}

/* Whole chunks [off, off + size) (the last may be the block's short one) into `buffer`. */
static int read_chunks(const struct cl_local *local, uint8_t *buffer, size_t size, uint64_t off,
                       struct err *err)
{
    int rc = fault_errno(fault_hit("client.read.local"))
                 ? ERR_IO
                 : read_file(local, DATA, buffer, size, off);
    return rc == 0 ? verify(local, buffer, size, off, err) : fail_read(local, rc, err);
}

/* Part of one chunk: read it whole, give what is wanted of it. */
static int read_edge(const struct cl_local *local, uint8_t *buffer, size_t size, uint64_t off,
                     struct err *err)
{
    uint8_t chunk[CHUNKSUM_CHUNK];
    uint64_t start = chunksum_first(off, CHUNKSUM_CHUNK);
    uint64_t end = start + CHUNKSUM_CHUNK < local->len ? start + CHUNKSUM_CHUNK : local->len;
    int rc = read_chunks(local, chunk, (size_t)(end - start), start, err);
    if (rc == 0)
        memcpy(buffer, chunk + (off - start), size);
    return rc;
}

static int check_range(const struct cl_local *local, size_t size, uint64_t off, struct err *err)
{
    if (off <= local->len && size <= local->len - off)
        return 0;
    return err_set(err, ERR_EOF, "block %llu is shorter than the namenode says",
                   (unsigned long long)local->id);
}

int cl_local_read(const struct cl_local *local, void *buffer, size_t size, uint64_t off,
                  struct err *err)
{
    uint8_t *out = buffer;
    int rc = check_range(local, size, off, err);
    if (rc != 0)
        return rc;
    while (size) {
        size_t in_chunk = (size_t)(off % CHUNKSUM_CHUNK), n = 0;
        bool to_the_end = off + size == local->len;
        if (in_chunk || (size < CHUNKSUM_CHUNK && !to_the_end)) {
            n = CHUNKSUM_CHUNK - in_chunk < size ? CHUNKSUM_CHUNK - in_chunk : size;
            rc = read_edge(local, out, n, off, err);
        } else {
            n = size < WINDOW ? size : WINDOW;
            if (n % CHUNKSUM_CHUNK && !(to_the_end && n == size))
                n -= n % CHUNKSUM_CHUNK;
            rc = read_chunks(local, out, n, off, err);
        }
        if (rc != 0)
            return rc;
        out += n;
        off += n;
        size -= n;
    }
    return 0;
}

static int verify_all(const struct cl_local *local, const uint8_t *data, uint64_t off, uint64_t end,
                      struct err *err)
{
    int rc = 0;
    for (size_t n; rc == 0 && off < end; off += n, data += n) {
        n = end - off < WINDOW ? (size_t)(end - off) : WINDOW;
        rc = verify(local, data, n, off, err);
    }
    return rc;
}

int cl_local_view(const struct cl_local *local, size_t size, uint64_t off, struct qn_view *ret,
                  struct err *err)
{
    uint64_t start = off - off % (uint64_t)sysconf(_SC_PAGESIZE); /* a page is whole chunks */
    uint64_t first = chunksum_first(off, CHUNKSUM_CHUNK);
    uint64_t end = chunksum_last(off, size, local->len, CHUNKSUM_CHUNK);
    size_t span = (size_t)(end - start);
    int rc = check_range(local, size, off, err);
    if (rc != 0)
        return rc;
    uint8_t *map =
        cl_patient_map(local->patient, local->files, DATA, span, start, local->wait_ms, &rc);
    if (!map)
        return fail_read(local, rc, err);
    rc = verify_all(local, map + (first - start), first, end, err);
    if (rc != 0)
        munmap(map, span);
    else
        *ret = (struct qn_view){map + (off - start), size, false, map, span};
    return rc;
}
