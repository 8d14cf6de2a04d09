/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/shuffle/pieces.h"

#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/disk.h"

void pieces_open(struct pieces *pieces, void *space, size_t size, struct scratch *scratch)
{
    *pieces = (struct pieces){.space = space, .size = size, .scratch = scratch};
    mutex_init(&pieces->lock);
    cond_init(&pieces->changed);
}

void pieces_close(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (pieces->all[i].own_fd >= 0)
            close(pieces->all[i].own_fd);
        mem_free(pieces->all[i].sums);
    }
    for (size_t i = 0; i < pieces->file_count; i++)
        scratch_file_close(&pieces->files[i]);
    mem_free(pieces->all);
    mem_free(pieces->files);
    mutex_release(&pieces->lock);
    cond_release(&pieces->changed);
    *pieces = (struct pieces){0};
}

/* --- locked ---------------------------------------------------------------------------------- */

static int next_file(struct pieces *p, struct err *err)
{
    struct scratch_file file = SCRATCH_FILE_NONE;
    if (mem_grow(&p->files, &p->file_cap, p->file_count, sizeof(*p->files)) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = scratch_create(p->scratch, NULL, &file, err);
    if (rc != 0)
        return rc;
    p->files[p->file_count++] = file;
    p->file_len = 0;
    return 0;
}

/* A stretch of the file being written. */
static int take_file_room(struct pieces *p, uint64_t len, uint64_t *ret_offset, struct err *err)
{
    if (p->file_count == 0 || p->scratch->is_bad[p->files[p->file_count - 1].dir]) {
        int rc = next_file(p, err);
        if (rc != 0)
            return rc;
    }
    *ret_offset = p->file_len;
    p->file_len += len;
    return 0;
}

static int add(struct pieces *p, const struct piece *piece)
{
    if (mem_grow(&p->all, &p->cap, p->count, sizeof(*p->all)) != 0)
        return ERR_NOMEM;
    p->all[p->count++] = *piece;
    return 0;
}

static uint32_t *sum_up(const uint8_t *data, uint64_t len)
{
    uint64_t count = (len + RUN_CHUNK - 1) / RUN_CHUNK;
    uint32_t *sums = mem_calloc(count ? (size_t)count : 1, sizeof(*sums));
    for (uint64_t i = 0; sums && i < count; i++) {
        uint64_t at = i * RUN_CHUNK;
        size_t n = len - at < RUN_CHUNK ? (size_t)(len - at) : RUN_CHUNK;
        sums[i] = crc32c(0, data + at, n);
    }
    return sums;
}

/* Every piece in memory now lies in `fd` from `offset` on. */
static int move_to_file(struct pieces *p, int fd, uint64_t offset)
{
    for (size_t i = 0; i < p->count; i++) {
        struct piece *piece = &p->all[i];
        if (piece->run.fd >= 0)
            continue;
        piece->sums = sum_up(piece->run.data, piece->run.len);
        if (!piece->sums)
            return ERR_NOMEM;
        piece->run.sums = piece->sums;
        piece->run.offset = offset + (uint64_t)(piece->run.data - p->space);
        piece->run.fd = fd;
        piece->run.data = NULL;
    }
    return 0;
}

/* Move everything in memory to a file. The lock is let go while it is written; nobody receives into
 * memory meanwhile. */
static int spill(struct pieces *p, struct err *err)
{
    p->is_spilling = true;
    while (p->receiving > 0)
        cond_wait(&p->changed, &p->lock);
    int rc;
    do {
        uint64_t offset = 0;
        rc = take_file_room(p, p->used, &offset, err);
        if (rc != 0)
            break;
        struct scratch_file file = p->files[p->file_count - 1];
        mutex_unlock(&p->lock);
        rc = disk_pwrite(disk_real(), file.fd, p->space, p->used, offset);
        mutex_lock(&p->lock);
        if (rc == 0)
            rc = move_to_file(p, file.fd, offset);
        else if (scratch_blame(p->scratch, file.dir, rc))
            continue;
        if (rc != 0)
            err_set(err, rc, "fetched map outputs cannot be written: %s", err_text(rc));
        break;
    } while (true);
    if (rc == 0) {
        p->spilled_bytes += p->used;
        p->used = 0;
    }
    p->is_spilling = false;
    cond_broadcast(&p->changed);
    return rc;
}

static int begin_in_memory(struct pieces *p, struct pieces_slot *slot, struct err *err)
{
    for (;;) {
        if (p->is_spilling) {
            cond_wait(&p->changed, &p->lock);
        } else if (slot->len <= p->size - p->used) {
            slot->memory = p->space + p->used;
            p->used += (size_t)slot->len;
            p->receiving++;
            return 0;
        } else {
            int rc = spill(p, err);
            if (rc != 0)
                return rc;
        }
    }
}

/* --- public ---------------------------------------------------------------------------------- */

int pieces_begin(struct pieces *pieces, uint64_t len, struct pieces_slot *ret, struct err *err)
{
    *ret = (struct pieces_slot){.len = len, .fd = -1};
    mutex_lock(&pieces->lock);
    int rc;
    if (len <= pieces->size / 4) {
        rc = begin_in_memory(pieces, ret, err);
    } else {
        rc = take_file_room(pieces, len, &ret->offset, err);
        if (rc == 0) {
            ret->file = pieces->file_count - 1;
            ret->fd = pieces->files[ret->file].fd;
        }
    }
    mutex_unlock(&pieces->lock);
    return rc;
}

int pieces_write(struct pieces *pieces, struct pieces_slot *slot, struct slice bytes,
                 struct err *err)
{
    for (size_t at = 0; at < bytes.len;) {
        size_t room = RUN_CHUNK - (size_t)((slot->done + at) % RUN_CHUNK);
        size_t n = bytes.len - at < room ? bytes.len - at : room;
        slot->chunk_crc = crc32c(slot->chunk_crc, bytes.data + at, n);
        at += n;
        if (n == room || slot->done + at == slot->len) {
            uint64_t end = slot->done + at, len = end % RUN_CHUNK ? end % RUN_CHUNK : RUN_CHUNK;
            slot->crc = crc32c_join(slot->crc, slot->chunk_crc, crc32c_shift(len));
            buf_append_u32(&slot->sums, slot->chunk_crc);
            slot->chunk_crc = 0;
        }
    }
    int rc = buf_failed(&slot->sums) ? ERR_NOMEM
                                     : disk_pwrite(disk_real(), slot->fd, bytes.data, bytes.len,
                                                   slot->offset + slot->done);
    slot->done += bytes.len;
    if (rc == 0)
        return 0;
    mutex_lock(&pieces->lock);
    (void)scratch_blame(pieces->scratch, pieces->files[slot->file].dir, rc);
    mutex_unlock(&pieces->lock);
    return err_set(err, rc, "fetched map outputs cannot be written: %s", err_text(rc));
}

static void end_slot(struct pieces *p, struct pieces_slot *slot)
{
    if (slot->memory) {
        p->receiving--;
        cond_broadcast(&p->changed);
    }
    buf_release(&slot->sums);
    slot->memory = NULL;
}

int pieces_commit(struct pieces *pieces, struct pieces_slot *slot, const struct piece *what)
{
    struct piece piece = *what;
    piece.own_fd = -1;
    piece.sums = NULL;
    piece.run.len = slot->len;
    piece.run.fd = slot->memory ? -1 : slot->fd;
    piece.run.data = slot->memory;
    piece.run.offset = slot->offset;
    mutex_lock(&pieces->lock);
    if (!slot->memory) {
        piece.sums = (uint32_t *)(void *)slot->sums.data; /* now the piece's own */
        slot->sums = BUF_INIT;
        pieces->disk_bytes += slot->len;
    }
    piece.run.sums = piece.sums;
    int rc = piece.run.len ? add(pieces, &piece) : 0;
    if (rc != 0)
        mem_free(piece.sums);
    end_slot(pieces, slot);
    mutex_unlock(&pieces->lock);
    return rc;
}

void pieces_cancel(struct pieces *pieces, struct pieces_slot *slot)
{
    mutex_lock(&pieces->lock);
    end_slot(pieces, slot);
    mutex_unlock(&pieces->lock);
}

int pieces_add_passed(struct pieces *pieces, const struct piece *what)
{
    struct piece piece = *what;
    piece.is_passed = true;
    mutex_lock(&pieces->lock);
    int rc = piece.run.len ? add(pieces, &piece) : 0;
    mutex_unlock(&pieces->lock);
    if (rc != 0 && piece.own_fd >= 0)
        close(piece.own_fd);
    if (rc != 0 || piece.run.len == 0)
        mem_free(piece.sums);
    return rc;
}

bool pieces_is_damaged(const struct piece *piece)
{
    uint8_t chunk[RUN_CHUNK];
    bool is_good = true;
    for (uint64_t at = 0; is_good && piece->is_passed && at < piece->run.len;) {
        size_t n = piece->run.len - at < RUN_CHUNK ? (size_t)(piece->run.len - at) : RUN_CHUNK;
        int64_t got = disk_pread(disk_real(), piece->run.fd, chunk, n, piece->run.offset + at);
        is_good = got == (int64_t)n && run_piece_is_good(&piece->run, at, chunk, n);
        at += n;
    }
    return !is_good;
}

static int by_partition_and_map(const void *pa, const void *pb)
{
    const struct piece *a = pa, *b = pb;
    if (a->partition != b->partition)
        return a->partition < b->partition ? -1 : 1;
    return (a->map > b->map) - (a->map < b->map);
}

void pieces_sort(struct pieces *pieces)
{
    if (pieces->count)
        qsort(pieces->all, pieces->count, sizeof(*pieces->all), by_partition_and_map);
}
