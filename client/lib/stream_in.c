/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/stream_in.h"

#include <inttypes.h>
#include <unistd.h>

#include "client/lib/block_race.h"
#include "client/talk/namenode.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"

#define LOCATE_BYTES   (1ULL << 30) /* places asked for at a time, from where one was missing */
#define WINDOW_FIRST   (256ULL << 10)
#define WINDOW_LAST    (8ULL << 20) /* from here on: the rest of the block */
#define ROUNDS         4            /* through all replicas, with fresh places in between */
#define ROUNDS_NOWHERE 6            /* the same where the namenode knows no datanode that has it */
#define ROUND_PAUSE_MS 150          /* doubles */
#define BAD_MAX        32
#define LOCALS_KEPT    8

/* A replica whose bytes were wrong: not to be read again by this stream. */
struct bad_replica {
    uint64_t block, node; /* id, hash of the name */
};

struct cl_in {
    struct qn_fs *fs;
    char *path;
    uint64_t id; /* of the file: a name may be another one's by the time its places are asked for */
    uint64_t length;
    bool is_open;

    struct mutex lock; /* of all up to the next */
    struct cl_blocks blocks;
    struct list locals; /* struct cl_local, last used first */
    unsigned local_count;
    struct bad_replica bad[BAD_MAX];
    unsigned bad_at;

    struct mutex sequence; /* of the long answer, and of where it stands */
    struct cl_remote remote;
    uint64_t sequence_end; /* file offset behind the last read that went on */
    uint64_t window;       /* how much is asked for when it goes on next */
    struct cl_piece ahead; /* with hedged reads, instead of the long answer */

    struct mutex place;
    uint64_t pos;
};

/* --- places ----------------------------------------------------------------------------------- */

/* An answer about another file of that name: bytes of two files are never mixed. Who is still
 * opening takes the new one, whole. */
static int check_file(struct cl_in *in, uint64_t id, bool opening, struct err *err)
{
    if (opening && in->id != id) {
        cl_blocks_release(&in->blocks);
        in->id = id;
    }
    if (in->id == id)
        return 0;
    return err_set(err, ERR_STALE,
                   "%s was replaced while it was read: this is another file of that name, open it "
                   "again",
                   in->path);
}

/* Ask the namenode for the places of [offset, offset + length). With `opening`, take the length. */
static int locate(struct cl_in *in, uint64_t offset, uint64_t length, bool opening, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_located answer = {0};
    const struct cl2nn_locate ask = {.path = slice_str(in->path),
                                     .offset = offset,
                                     .length = length,
                                     .reader_node = slice_str(in->fs->node)};
    int rc = cl_ask(in->fs, CL2NN_AT_LOCATE, &ask, &arena, &answer, err);
    if (rc == 0)
        rc = check_file(in, answer.file_id, opening, err);
    if (rc == 0) {
        mutex_lock(&in->lock);
        rc = cl_blocks_merge(&in->blocks, &answer.blocks);
        mutex_unlock(&in->lock);
        if (rc != 0)
            err_set(err, rc, "places of %s: %s", in->path, err_text(rc));
    }
    if (rc == 0 && opening) {
        in->length = answer.file_len;
        in->is_open = answer.is_open;
    }
    arena_release(&arena);
    return rc;
}

static bool known(struct cl_in *in, uint64_t offset, struct cl_block *ret)
{
    mutex_lock(&in->lock);
    const struct cl_block *block = cl_blocks_find(&in->blocks, offset);
    if (block)
        *ret = *block;
    mutex_unlock(&in->lock);
    return block != NULL;
}

static int find_block(struct cl_in *in, uint64_t offset, struct cl_block *ret, struct err *err)
{
    if (known(in, offset, ret))
        return 0;
    int rc = locate(in, offset, LOCATE_BYTES, false, err);
    if (rc != 0)
        return rc;
    if (known(in, offset, ret))
        return 0;
    return err_set(err, ERR_EOF, "%s: the namenode knows no block at %" PRIu64, in->path, offset);
}

/* A file that is being written holds more than the namenode was told: its last block's datanodes
 * know how much of it may be read. One that its pipeline left behind does not: when nobody else is
 * known, right after a restart, the namenode names it as well. */
static int ask_visible(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                       uint64_t *ret_len, struct err *err)
{
    char address[512];
    struct arena arena = ARENA_INIT;
    struct cl_peer *peer = NULL;
    struct data_replica answer = {0};
    const struct msg_block ask = {.id = block->id, .gs = block->gs, .len = block->len};
    int rc =
        cl_peer_get(&in->fs->peers, cl_node_address(node, address, sizeof(address)), &peer, err);
    if (rc == 0)
        rc = cl_peer_ask(peer, DATA_AT_REPLICA, &ask, &arena, &answer, err);
    if (peer)
        cl_peer_put(peer);
    if (rc == 0 && answer.block.gs < block->gs)
        rc = err_set(err, ERR_STALE, SLICE_FMT " was left behind by its writer",
                     SLICE_ARG(node->name));
    if (rc == 0)
        *ret_len = answer.visible_len;
    arena_release(&arena);
    return rc;
}

/* 0 when one of them said it. */
static int ask_each_visible(struct cl_in *in, struct cl_block *last, struct err *err)
{
    uint64_t len = 0;
    int rc = err_set(err, ERR_NONODE, "none of its datanodes lives");
    for (uint32_t i = 0; i < last->node_count; i++) {
        rc = ask_visible(in, last->nodes[i], last, &len, err);
        if (rc == 0 && len < last->len)
            rc = err_set(err, ERR_STALE, SLICE_FMT " has less of it than was flushed",
                         SLICE_ARG(last->nodes[i]->name));
        if (rc != 0)
            continue;
        last->len = len;
        in->length = last->offset + len;
        return 0;
    }
    return rc;
}

/* What was flushed must be seen, and only datanodes know all of it: when none can be asked, the
 * namenode's number is not taken for it, unless nothing was ever flushed. */
static int find_visible_length(struct cl_in *in, struct err *err)
{
    struct err why;
    for (unsigned round = 0;; round++) {
        struct cl_block *last = cl_blocks_last(&in->blocks);
        if (!in->is_open || !last || last->offset + last->len < in->length)
            return 0;
        int rc = ask_each_visible(in, last, &why);
        if (rc == 0 || last->len == 0)
            return 0;
        if (round + 1 == ROUNDS)
            return err_set(err, rc, "%s is being written, and nobody says how long it is: %s",
                           in->path, why.msg);
        usleep((useconds_t)(ROUND_PAUSE_MS << round) * 1000);
        rc = locate(in, last->offset, LOCATE_BYTES, true, err);
        if (rc != 0)
            return rc;
    }
}

static int find_length(struct cl_in *in, struct err *err)
{
    int rc = locate(in, 0, LOCATE_BYTES, true, err);
    if (rc == 0 && in->is_open && in->length >= LOCATE_BYTES)
        rc = locate(in, in->length - 1, LOCATE_BYTES, false, err);
    return rc == 0 ? find_visible_length(in, err) : rc;
}

/* --- replicas that failed --------------------------------------------------------------------- */

static bool is_bad(struct cl_in *in, const struct cl_block *block, const struct msg_node *node)
{
    uint64_t hash = slice_hash(node->name, 0);
    bool bad = false;
    mutex_lock(&in->lock);
    for (unsigned i = 0; !bad && i < BAD_MAX; i++)
        bad = in->bad[i].block == block->id && in->bad[i].node == hash;
    mutex_unlock(&in->lock);
    return bad;
}

/* Its bytes are wrong: remember it, and tell the namenode, which will replace it. */
static void report_bad(struct cl_in *in, const struct cl_block *block, const struct msg_node *node)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_bad_block ask = {
        .block = {.id = block->id, .gs = block->gs, .len = block->len},
        .nodes = {&node->name, 1},
    };
    mutex_lock(&in->lock);
    in->bad[in->bad_at++ % BAD_MAX] = (struct bad_replica){block->id, slice_hash(node->name, 0)};
    mutex_unlock(&in->lock);
    (void)cl_ask(in->fs, CL2NN_AT_BAD_BLOCK, &ask, &arena, NULL, NULL); /* readers go on anyway */
    arena_release(&arena);
}

/* Add "; node: why" to what the whole read will say if nobody can help. */
static void note(struct buf *tried, const struct msg_node *node, const struct err *why)
{
    buf_printf(tried, "%s" SLICE_FMT ": %s", tried->len ? "; " : "", SLICE_ARG(node->name),
               why->msg);
}

/* --- descriptors ------------------------------------------------------------------------------ */

static struct cl_local *take_local(struct cl_in *in, const struct cl_block *block)
{
    mutex_lock(&in->lock);
    list_each (&in->locals, it) {
        struct cl_local *local = list_entry(it, struct cl_local, link);
        if (local->id != block->id)
            continue;
        list_remove(&local->link);
        list_push_front(&in->locals, &local->link);
        local->refs++;
        mutex_unlock(&in->lock);
        return local;
    }
    mutex_unlock(&in->lock);
    return NULL;
}

/* The oldest one nobody reads from, beyond what is kept. Lock held. */
static struct cl_local *surplus(struct cl_in *in)
{
    if (in->local_count <= LOCALS_KEPT)
        return NULL;
    for (struct list *it = in->locals.prev; it != &in->locals; it = it->prev) {
        struct cl_local *local = list_entry(it, struct cl_local, link);
        if (local->refs == 0) {
            list_remove(&local->link);
            in->local_count--;
            return local;
        }
    }
    return NULL;
}

static void give_local(struct cl_in *in, struct cl_local *local)
{
    mutex_lock(&in->lock);
    local->refs--;
    struct cl_local *old = surplus(in);
    mutex_unlock(&in->lock);
    if (old)
        cl_local_close(old);
}

static void keep_local(struct cl_in *in, struct cl_local *local)
{
    mutex_lock(&in->lock);
    local->refs = 1;
    list_push_front(&in->locals, &local->link);
    in->local_count++;
    mutex_unlock(&in->lock);
}

/* One that failed is not kept. */
static void forget_local(struct cl_in *in, struct cl_local *local)
{
    mutex_lock(&in->lock);
    bool unused = --local->refs == 0;
    if (unused) {
        list_remove(&local->link);
        in->local_count--;
    }
    mutex_unlock(&in->lock);
    if (unused)
        cl_local_close(local);
}

static int read_local(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                      void *buffer, size_t size, uint64_t off, struct err *err)
{
    struct cl_local *local = take_local(in, block);
    if (!local) {
        int rc = cl_local_open(in->fs, node, block, &local, err);
        if (rc != 0)
            return rc;
        keep_local(in, local);
    }
    int rc = cl_local_read(local, buffer, size, off, err);
    if (rc == 0)
        give_local(in, local);
    else
        forget_local(in, local);
    return rc;
}

/* --- sockets ---------------------------------------------------------------------------------- */

/* Just this range, on a connection of its own. */
static int read_range(struct cl_in *in, const struct msg_node *node, const struct cl_block *block,
                      void *buffer, size_t size, uint64_t off, struct err *err)
{
    struct cl_remote remote = {0};
    int rc = cl_remote_start(in->fs, &remote, node, block, off, size, err);
    if (rc == 0)
        rc = cl_remote_take(&remote, buffer, size, err);
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
        rc = cl_remote_take(&in->remote, out, n, err);
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

static void blame(struct cl_in *in, const struct cl_block *block, const struct msg_node *node,
                  int rc)
{
    if (rc == ERR_CHECKSUM)
        report_bad(in, block, node);
    else if (rc != ERR_BUSY)
        cl_mark_dead(in->fs, node->name);
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
    blame(w->in, w->block, node, rc);
}

/* Those to be asked: believed alive first, then the others. `ret` has room for all. */
static uint32_t line_up(struct cl_in *in, const struct cl_block *block, const struct msg_node **ret)
{
    uint32_t count = 0;
    for (int dead = 0; dead < 2; dead++)
        for (uint32_t i = 0; i < block->node_count; i++)
            if (cl_is_dead(in->fs, block->nodes[i]->name) == (dead == 1) &&
                !is_bad(in, block, block->nodes[i]))
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
        if (!cl_is_local(in->fs, node) || cl_is_dead(in->fs, node->name) || is_bad(in, block, node))
            continue;
        int rc = read_local(in, node, block, buffer, size, off, &why);
        if (rc == 0)
            return 0;
        if (rc != ERR_CHECKSUM && rc != ERR_TIMEOUT)
            continue; /* perhaps over the socket */
        note(tried, node, &why);
        blame(in, block, node, rc);
    }
    return read_pieces(r, block, buffer, size, off, tried);
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Once through the replicas: those believed alive first, then the others. */
static int try_replicas(struct reader *r, const struct cl_block *block, void *buffer, size_t size,
                        uint64_t off, struct buf *tried)
{
    struct err why;
    int rc = ERR_NONODE;
    if (r->in->fs->hedge_max)
        return try_hedged(r, block, buffer, size, off, tried);
    for (int dead = 0; dead < 2; dead++) {
        for (uint32_t i = 0; i < block->node_count; i++) {
            const struct msg_node *node = block->nodes[i];
            if (cl_is_dead(r->in->fs, node->name) != (dead == 1) || is_bad(r->in, block, node))
                continue;
            rc = read_from(r, node, block, buffer, size, off, &why);
            if (rc == 0)
                return 0;
            note(tried, node, &why);
            blame(r->in, block, node, rc);
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
    unsigned rounds = block->node_count == 0 ? ROUNDS_NOWHERE : ROUNDS;
    return rc != 0 && (round + 1 < rounds ||
                       (rc == ERR_BUSY && clock_mono_ms() < begun_ms + in->fs->timeout_ms));
}

static void pause_before(unsigned round)
{
    unsigned doubled = round < ROUNDS_NOWHERE ? round : ROUNDS;
    if (round) /* the first time at once: perhaps we only had old places */
        usleep((useconds_t)(ROUND_PAUSE_MS << doubled) * 1000);
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
        int told = locate(r->in, offset, 1, false, err);
        if (told == 0 &&
            (!known(r->in, offset, block) || block->offset + block->len < offset + size))
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
        rc = find_block(in, offset + done, &block, err);
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
    list_init(&in->locals);
    int rc = find_length(in, err);
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
    list_each_safe (&in->locals, it)
        cl_local_close(list_entry(it, struct cl_local, link));
    cl_blocks_release(&in->blocks);
    mutex_release(&in->lock);
    mutex_release(&in->sequence);
    mutex_release(&in->place);
    mem_free(in->path);
    mem_free(in);
}
