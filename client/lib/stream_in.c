/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <unistd.h>

#include "client/lib/stream_in_inside.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"

#define WINDOW_FIRST   (256ULL << 10)
#define WINDOW_LAST    (8ULL << 20) /* from here on: the rest of the block */
#define ROUNDS_NOWHERE 6            /* the same where the namenode knows no datanode that has it */

/* Add "; node: why" to what the whole read will say if nobody can help. */
static void note(struct buf *tried, const struct msg_node *node, const struct err *why)
{
    buf_printf(tried, "%s" SLICE_FMT ": %s", tried->len ? "; " : "", SLICE_ARG(node->name),
               why->msg);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static int read_local(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                      void *buffer, size_t size, uint64_t off, struct err *err)
{
    struct cl_local *local = NULL;
    int rc = cl_locals_take(&in->locals, in->fs, node, block, &local, err);
    if (rc != 0)
        return rc;
    rc = cl_local_read(local, buffer, size, off, err);
    cl_locals_give(&in->locals, local, rc == 0);
    return rc;
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* As cl_remote_take; ERR_BUSY: it is slow, and another is to be asked for the rest. */
static int take_watched(struct cl_in *in, const struct cl_block *block, struct cl_remote *remote,
                        uint8_t *out, size_t size, struct err *err)
{
    while (size) {
        size_t n = size < CL_PACES_UNIT ? size : CL_PACES_UNIT;
        int rc = cl_remote_take(remote, out, n, err);
        if (rc != 0)
            return rc;
        out += n;
        size -= n;
        if (!cl_in_leaves(in, block, remote))
            continue;
        cl_remote_stop(remote);
        if (size)
            return err_set(err, ERR_BUSY, "is slow");
    }
    return 0;
}

/* Just this range, on a connection of its own. */
static int read_range(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                      void *buffer, size_t size, uint64_t off, struct err *err)
{
    struct cl_remote remote = {0};
    int rc = cl_remote_start(in->fs, &remote, node, block, off, size, err);
    if (rc == 0)
        rc = take_watched(in, block, &remote, buffer, size, err);
    cl_remote_release(&remote);
    return rc;
}

/* Read on: a longer answer each time, in the end the rest of the block. Holds `sequence`. */
static int start_window(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                        size_t size, uint64_t off, struct err *err)
{
    uint64_t rest = block->len - off;
    uint64_t want = in->window > size ? in->window : size;
    if (want >= WINDOW_LAST || want > rest)
        want = rest;
    int rc = cl_remote_start(in->fs, &in->remote, node, block, off, want, err);
    if (rc == 0)
        in->window = in->window < WINDOW_LAST ? in->window * 2 : in->window;
    return rc;
}

static int read_on(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                   void *buffer, size_t size, uint64_t off, struct err *err)
{
    uint8_t *out = buffer;
    while (size) {
        int rc = 0;
        if (cl_remote_can_go_on(&in->remote, block->id, off))
            rc = cl_remote_skip_to(&in->remote, off, err);
        else
            rc = start_window(in, node, block, size, off, err);
        if (rc != 0)
            return rc;
        uint64_t ready = in->remote.end - off;
        size_t n = ready < size ? (size_t)ready : size;
        rc = take_watched(in, block, &in->remote, out, n, err);
        if (rc != 0)
            return rc;
        out += n;
        off += n;
        size -= n;
    }
    return 0;
}

/* --- one block -------------------------------------------------------------------------------- */

/* How a call reads; the long answer belongs to whoever holds `sequence`. */
struct reader {
    struct cl_in *in;
    bool goes_on;
};

static int read_from(struct reader *r, const struct msg_node *node, const struct cl_block *block,
                     void *buffer, size_t size, uint64_t off, struct err *err)
{
    struct cl_in *in = r->in;
    if (cl_is_local(in->fs, node)) {
        int rc = read_local(in, node, block, buffer, size, off, err);
        if (rc == 0 || rc == ERR_CHECKSUM || rc == ERR_TIMEOUT)
            return rc; /* else perhaps over the socket; a hung node hangs there too */
    }
    if (r->goes_on)
        return read_on(in, node, block, buffer, size, off, err);
    return read_range(in, node, block, buffer, size, off, err);
}

/* --- hedged ----------------------------------------------------------------------------------- */

/* What somebody who failed in a race is told to. */
struct witness {
    struct cl_in *in;
    const struct cl_block *block;
    struct buf *tried;
};

static void on_failed(void *arg, const struct msg_node *node, int rc, const struct err *why)
{
    const struct witness *w = arg;
    note(w->tried, node, why);
    cl_in_blame(w->in, w->block, node, rc);
}

/* Those to be asked, in that order. `ret` has room for all. */
static uint32_t line_up(struct cl_in *in, const struct cl_block *block, const struct msg_node **ret)
{
    uint32_t count = 0;
    for (int rank = 0; rank < IN_RANKS; rank++)
        for (uint32_t i = 0; i < block->node_count; i++)
            if ((int)cl_in_rank(in, block, block->nodes[i]) == rank &&
                !cl_in_is_bad(in, block, block->nodes[i]))
                ret[count++] = block->nodes[i];
    return count;
}

/* How much is asked for: what is wanted, and ahead of it for who goes on. */
static size_t piece_size(struct reader *r, const struct cl_block *block, size_t size, uint64_t off)
{
    struct cl_in *in = r->in;
    uint64_t want = size, rest = block->len - off;
    if (r->goes_on) {
        want = in->window > want ? in->window : want;
        in->window = in->window < WINDOW_LAST ? in->window * 2 : in->window;
    }
    want = want < CL_PIECE_MAX ? want : CL_PIECE_MAX;
    return (size_t)(want < rest ? want : rest);
}

/* At least the first byte of what is wanted. */
static int race_for(struct reader *r, const struct cl_block *block, size_t size, uint64_t off,
                    struct buf *tried, struct cl_piece *ret)
{
    struct witness witness = {r->in, block, tried};
    const struct msg_node **nodes = mem_alloc((block->node_count + 1) * sizeof(*nodes));
    if (!nodes)
        return ERR_NOMEM;
    const struct cl_race race = {.fs = r->in->fs,
                                 .block = block,
                                 .nodes = nodes,
                                 .count = line_up(r->in, block, nodes),
                                 .off = off,
                                 .len = piece_size(r, block, size, off),
                                 .on_failed = on_failed,
                                 .arg = &witness};
    int rc = cl_race(&race, ret);
    mem_free(nodes);
    return rc;
}

static int read_pieces(struct reader *r, const struct cl_block *block, void *buffer, size_t size,
                       uint64_t off, struct buf *tried)
{
    struct cl_piece own = {0}, *piece = r->goes_on ? &r->in->ahead : &own;
    uint8_t *out = buffer;
    int rc = 0;
    while (size) {
        size_t n = cl_piece_take(piece, block->id, off, out, size);
        if (n == 0 && (rc = race_for(r, block, size, off, tried, piece)) != 0)
            break;
        out += n;
        off += n;
        size -= n;
    }
    cl_piece_release(&own);
    return rc;
}

/* As try_replicas: a replica of our own node by its files, all others against each other. */
static int try_hedged(struct reader *r, const struct cl_block *block, void *buffer, size_t size,
                      uint64_t off, struct buf *tried)
{
    struct cl_in *in = r->in;
    for (uint32_t i = 0; i < block->node_count; i++) {
        const struct msg_node *node = block->nodes[i];
        struct err why;
        if (!cl_is_local(in->fs, node) || cl_is_dead(in->fs, node->name) ||
            cl_in_is_bad(in, block, node))
            continue;
        int rc = read_local(in, node, block, buffer, size, off, &why);
        if (rc == 0)
            return 0;
        if (rc != ERR_CHECKSUM && rc != ERR_TIMEOUT)
            continue; /* perhaps over the socket */
        note(tried, node, &why);
        cl_in_blame(in, block, node, rc);
    }
    return read_pieces(r, block, buffer, size, off, tried);
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Once through the replicas. */
static int try_replicas(struct reader *r, const struct cl_block *block, void *buffer, size_t size,
                        uint64_t off, struct buf *tried)
{
    struct err why;
    int rc = ERR_NONODE;
    if (r->in->fs->hedge_max)
        return try_hedged(r, block, buffer, size, off, tried);
    for (int rank = 0; rank < IN_RANKS; rank++) {
        for (uint32_t i = 0; i < block->node_count; i++) {
            const struct msg_node *node = block->nodes[i];
            if ((int)cl_in_rank(r->in, block, node) != rank || cl_in_is_bad(r->in, block, node))
                continue;
            rc = read_from(r, node, block, buffer, size, off, &why);
            if (rc == 0)
                return 0;
            note(tried, node, &why);
            cl_in_blame(r->in, block, node, rc);
        }
    }
    return rc;
}

static int fail_block(struct cl_in *in, const struct cl_block *block, int rc, struct buf *tried,
                      struct err *err)
{
    const char *why = tried->len ? buf_cstr(tried) : "no datanode that lives has it";
    return err_set(err, rc,
                   "cannot read block blk_%" PRIu64 "_%" PRIu64 " of %s (at %" PRIu64 "): %s",
                   block->id, block->gs, in->path, block->offset, why ? why : err_text(rc));
}

/* Is another round worth it? A busy node is a good one: it is asked again for as long as a silent
 * one would be waited for. A namenode that knows of no place may have been cut off from all of them
 * until now: they need a moment to come back. */
static bool is_worth_a_round(const struct cl_in *in, const struct cl_block *block, int rc,
                             unsigned round, uint64_t begun_ms)
{
    unsigned rounds = block->node_count == 0 ? ROUNDS_NOWHERE : IN_ROUNDS;
    return rc != 0 && (round + 1 < rounds ||
                       (rc == ERR_BUSY && clock_mono_ms() < begun_ms + in->fs->timeout_ms));
}

static void pause_before(unsigned round)
{
    unsigned doubled = round < ROUNDS_NOWHERE ? round : IN_ROUNDS;
    if (round) /* the first time at once: perhaps we only had old places */
        usleep((useconds_t)(IN_ROUND_PAUSE_MS << doubled) * 1000);
}

/* `size` bytes of one block, whatever it takes. */
static int read_block(struct reader *r, struct cl_block *block, void *buffer, size_t size,
                      uint64_t offset, struct err *err)
{
    struct buf tried = BUF_INIT;
    uint64_t begun_ms = clock_mono_ms();
    int rc = 0;
    for (unsigned round = 0;; round++) {
        buf_clear(&tried);
        rc = try_replicas(r, block, buffer, size, offset - block->offset, &tried);
        if (!is_worth_a_round(r->in, block, rc, round, begun_ms))
            break;
        pause_before(round);
        int told = cl_in_locate(r->in, offset, 1, false, err);
        if (told == 0 &&
            (!cl_in_known(r->in, offset, block) || block->offset + block->len < offset + size))
            told = err_set(err, ERR_STALE, "%s changed while it was read", r->in->path);
        if (told == ERR_STALE) {
            buf_release(&tried);
            return told;
        }
        if (told != 0)
            break;
    }
    if (rc != 0)
        fail_block(r->in, block, rc, &tried, err);
    buf_release(&tried);
    return rc;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* Does this read begin where the last one ended, and is nobody else at it? Then it may use the long
 * answer. `must`: it is the stream's own reader. */
static bool begin_sequence(struct cl_in *in, uint64_t offset, bool must)
{
    if (must)
        mutex_lock(&in->sequence);
    else if (!mutex_trylock(&in->sequence))
        return false;
    if (in->sequence_end == offset || must) {
        if (in->sequence_end != offset)
            in->window = WINDOW_FIRST;
        return true;
    }
    mutex_unlock(&in->sequence);
    return false;
}

static ssize_t read_at(struct cl_in *in, void *buffer, size_t size, uint64_t offset, bool own,
                       struct err *err)
{
    if (offset >= in->length || size == 0)
        return 0;
    if (size > in->length - offset)
        size = (size_t)(in->length - offset);
    if (size > INT64_MAX / 2)
        size = INT64_MAX / 2;
    struct reader r = {in, begin_sequence(in, offset, own)};
    struct cl_block block;
    size_t done = 0;
    int rc = 0;
    while (rc == 0 && done < size) {
        rc = cl_in_find_block(in, offset + done, &block, err);
        if (rc != 0)
            break;
        uint64_t left = block.offset + block.len - (offset + done);
        size_t n = left < size - done ? (size_t)left : size - done;
        rc = read_block(&r, &block, (uint8_t *)buffer + done, n, offset + done, err);
        if (rc == 0)
            done += n;
    }
    if (r.goes_on) {
        in->sequence_end = offset + done;
        mutex_unlock(&in->sequence);
    }
    return rc == 0 ? (ssize_t)done : rc;
}

ssize_t cl_in_pread(struct cl_in *in, void *buffer, size_t size, uint64_t offset, struct err *err)
{
    return read_at(in, buffer, size, offset, false, err);
}

ssize_t cl_in_read(struct cl_in *in, void *buffer, size_t size, struct err *err)
{
    mutex_lock(&in->place);
    ssize_t n = read_at(in, buffer, size, in->pos, true, err);
    if (n > 0)
        in->pos += (uint64_t)n;
    mutex_unlock(&in->place);
    return n;
}

void cl_in_seek(struct cl_in *in, uint64_t offset)
{
    mutex_lock(&in->place);
    in->pos = offset;
    mutex_unlock(&in->place);
}

uint64_t cl_in_tell(struct cl_in *in)
{
    mutex_lock(&in->place);
    uint64_t pos = in->pos;
    mutex_unlock(&in->place);
    return pos;
}

uint64_t cl_in_length(const struct cl_in *in)
{
    return in->length;
}

/* --- life ------------------------------------------------------------------------------------- */

int cl_in_open(struct qn_fs *fs, const char *path, struct cl_in **ret, struct err *err)
{
    struct cl_in *in = mem_calloc(1, sizeof(*in));
    char *copy = str_dup(path);
    if (!in || !copy) {
        mem_free(in);
        mem_free(copy);
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    }
    in->fs = fs;
    in->path = copy;
    in->window = WINDOW_FIRST;
    mutex_init(&in->lock);
    mutex_init(&in->sequence);
    mutex_init(&in->place);
    cl_locals_init(&in->locals);
    int rc = cl_in_find_length(in, err);
    if (rc == 0)
        *ret = in;
    else
        cl_in_close(in);
    return rc;
}

void cl_in_close(struct cl_in *in)
{
    cl_remote_release(&in->remote);
    cl_piece_release(&in->ahead);
    cl_locals_release(&in->locals);
    cl_blocks_release(&in->blocks);
    mutex_release(&in->lock);
    mutex_release(&in->sequence);
    mutex_release(&in->place);
    mem_free(in->path);
    mem_free(in);
}
