/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/stream_out_inside.h"

#include <inttypes.h>

#include "client/lib/handle.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/str.h"

struct list *cl_out_link(struct cl_out *out)
{
    return &out->link;
}

struct cl_out *cl_out_of_link(struct list *link)
{
    return list_entry(link, struct cl_out, link);
}

/* --- driving the chain ------------------------------------------------------------------------ */

enum goal { GOAL_SENT, GOAL_ROOM, GOAL_ACKED, GOAL_SYNCED, GOAL_FINISHED };

static bool is_reached(const struct cl_pipeline *pipe, enum goal goal)
{
    switch (goal) {
    case GOAL_SENT:
        return true;
    case GOAL_ROOM:
        return cl_pipeline_room(pipe) > 0;
    case GOAL_ACKED:
        return pipe->acked == pipe->filled;
    case GOAL_SYNCED:
        return pipe->synced == pipe->filled;
    case GOAL_FINISHED:
        return pipe->is_finished;
    }
    return false;
}

/* Send and receive until the goal is reached, through whatever breaks on the way. */
static int drive(struct cl_out *out, enum goal goal, struct err *err)
{
    static const unsigned flags[] = {[GOAL_ACKED] = CL_PACKET_FLUSH,
                                     [GOAL_SYNCED] = CL_PACKET_SYNC,
                                     [GOAL_FINISHED] = CL_PACKET_LAST};
    struct cl_break broken;
    int rc = out->has_block ? 0 : cl_block_allocate(out, err);
    while (rc == 0) {
        /* Who flushes, syncs, ends counts on every member's replica. */
        bool must_prove = goal >= GOAL_ACKED && cl_pipeline_has_doubts(&out->pipe);
        enum goal step = must_prove && goal == GOAL_FINISHED ? GOAL_ACKED : goal;
        rc = cl_chain_send(out, flags[step], &broken);
        if (rc == 0 && is_reached(&out->pipe, step)) {
            if (!must_prove)
                return 0;
            rc = cl_block_prove(out, err);
            continue;
        }
        if (rc == 0)
            rc = cl_chain_acks(out, true, &broken);
        if (rc != 0)
            rc = cl_block_recover(out, &broken, err);
    }
    return rc;
}

/* The block is full, or the file ends: its last byte is on disk everywhere after this. */
static int finish_block(struct cl_out *out, struct err *err)
{
    fault_hit("client.write.finish");
    int rc = drive(out, GOAL_FINISHED, err);
    if (rc != 0)
        return rc;
    cl_chain_hang_up(out, true);
    if (out->pipe.guilty != CL_NOBODY &&
        cl_out_exclude(out, out->pipe.guilty, "what it sends on is damaged") != 0)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    out->previous = out->block;
    out->previous.len = out->pipe.filled;
    out->base += out->pipe.filled;
    out->has_block = false;
    buf_clear(&out->reasons);
    cl_pipeline_init(&out->pipe, CL_RING_BYTES, OUT_PACKET_BYTES, out->block_bytes);
    return 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The file was there when we made it: to its writer, a file that is gone is a lease that is lost,
 * not a path that was never right. */
static int lost_if_gone(const struct cl_out *out, int rc, struct err *err)
{
    if (rc != ERR_NOENT)
        return rc;
    return err_set(err, ERR_LEASE,
                   "No lease on %s (inode %" PRIu64 "): File does not exist: it was deleted, or "
                   "replaced by another writer",
                   out->path, out->file_id);
}

/* The first failure stays: nothing more can be written, and closing fails too. */
static int settle(struct cl_out *out, int rc, struct err *err)
{
    rc = lost_if_gone(out, rc, err);
    if (rc != 0 && out->failed.code == 0) {
        out->failed = *err;
        out->failed.code = rc;
    }
    return rc;
}

static int check_failed(const struct cl_out *out, struct err *err)
{
    if (out->failed.code != 0)
        *err = out->failed;
    return out->failed.code;
}

/* As many bytes as there is room for, without wrapping around in the ring. */
static size_t fill_ring(struct cl_out *out, const uint8_t *data, size_t size)
{
    struct cl_pipeline *pipe = &out->pipe;
    uint64_t at = pipe->filled % CL_RING_BYTES, room = cl_pipeline_room(pipe);
    size_t n = size;
    if (n > room)
        n = (size_t)room;
    if (n > CL_RING_BYTES - at)
        n = (size_t)(CL_RING_BYTES - at);
    /* no more than a packet before it is sent: the datanode works while we copy */
    if (n > OUT_PACKET_BYTES)
        n = OUT_PACKET_BYTES;
    memcpy(out->ring->data + at, data, n);
    cl_pipeline_fill(pipe, n);
    return n;
}

static int write_some(struct cl_out *out, const uint8_t **data, size_t *size, struct err *err)
{
    int rc = 0;
    if (out->pipe.filled == out->block_bytes)
        rc = finish_block(out, err);
    if (rc == 0 && cl_pipeline_room(&out->pipe) == 0)
        rc = drive(out, GOAL_ROOM, err);
    if (rc != 0)
        return rc;
    size_t n = fill_ring(out, *data, *size);
    *data += n;
    *size -= n;
    if (out->pipe.filled - out->pipe.sent >= OUT_PACKET_BYTES)
        rc = drive(out, GOAL_SENT, err);
    return rc;
}

int cl_out_write(struct cl_out *out, const void *data, size_t size, struct err *err)
{
    const uint8_t *p = data;
    mutex_lock(&out->lock);
    int rc = check_failed(out, err);
    if (rc == 0) {
        while (rc == 0 && size)
            rc = write_some(out, &p, &size, err);
        rc = settle(out, rc, err);
    }
    mutex_unlock(&out->lock);
    return rc;
}

/* Is there anything in the present block that we wrote? */
static bool has_bytes(const struct cl_out *out)
{
    return out->pipe.filled > (out->is_prepared ? out->pipe.filled_before : 0);
}

int cl_out_flush(struct cl_out *out, bool to_disk, struct err *err)
{
    mutex_lock(&out->lock);
    int rc = check_failed(out, err);
    if (rc == 0 && has_bytes(out)) {
        out->was_flushed = out->has_block;
        rc = drive(out, to_disk ? GOAL_SYNCED : GOAL_ACKED, err);
        out->was_flushed = true;
        if (rc == 0 && (to_disk || !out->told_length))
            rc = cl_block_tell_length(out, err);
        rc = settle(out, rc, err);
    }
    mutex_unlock(&out->lock);
    return rc;
}

uint64_t cl_out_length(struct cl_out *out)
{
    mutex_lock(&out->lock);
    uint64_t length = out->base + out->pipe.filled;
    mutex_unlock(&out->lock);
    return length;
}

void cl_out_beat(struct cl_out *out, uint64_t before_ms)
{
    struct cl_break broken;
    if (!mutex_trylock(&out->lock))
        return; /* it is busy, so it is not idle */
    /* A chain that turns out to be broken is mended by the next call that needs it. */
    if (out->peer && out->failed.code == 0 && out->sent_ms < before_ms)
        (void)cl_chain_beat(out, &broken);
    mutex_unlock(&out->lock);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static int create(struct cl_out *out, const struct cl_out_options *options, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_created answer = {0};
    const struct cl2nn_create ask = {.origin = cl_origin(out->fs),
                                     .path = slice_str(out->path),
                                     .mode = options->mode,
                                     .replication = options->replication,
                                     .block_size = options->block_size,
                                     .overwrite = options->overwrite,
                                     .create_parents = options->create_parents,
                                     .writer_node = slice_str(out->fs->node),
                                     .full_mode = options->full_mode,
                                     .first = options->will_write ? cl_origin(out->fs)
                                                                  : (struct msg_origin){0}};
    int rc = cl_ask(out->fs, CL2NN_AT_CREATE, &ask, &arena, &answer, err);
    if (rc == 0 && answer.block_size < CL_PIPELINE_CHUNK)
        rc = err_set(err, ERR_PROTO, "%s: the namenode gave no block size", out->path);
    out->file_id = answer.file_id;
    out->block_bytes = answer.block_size;
    out->replication = answer.replication;
    if (rc == 0)
        cl_pipeline_init(&out->pipe, CL_RING_BYTES, OUT_PACKET_BYTES, out->block_bytes);
    if (rc == 0 && answer.first.block.id) {
        out->is_given = true;
        out->block = answer.first.block;
        rc = cl_out_set_nodes(out, &answer.first.nodes, err);
    }
    arena_release(&arena);
    return rc;
}

int cl_out_open(struct qn_fs *fs, const char *path, const struct cl_out_options *options,
                struct cl_out **ret, struct err *err)
{
    struct cl_out *out = mem_calloc(1, sizeof(*out));
    char *copy = str_dup(path);
    if (!out || !copy) {
        mem_free(out);
        mem_free(copy);
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    }
    out->fs = fs;
    out->path = copy;
    mutex_init(&out->lock);
    list_init(&out->link);
    cl_lags_init(&out->lags, &fs->slow);
    int rc = cl_ring_get(&fs->rings, &out->ring);
    if (rc != 0)
        err_set(err, rc, "%s: no memory for writing: %s", path, err_text(rc));
    if (rc == 0)
        rc = options->append ? cl_append_open(out, options->new_block, err)
                             : create(out, options, err);
    if (rc == 0)
        rc = cl_renew_add(&fs->renew, out, err);
    if (rc != 0) {
        if (out->is_append && out->file_id)
            cl_append_give_up(out);
        cl_out_free(out);
        return rc;
    }
    *ret = out;
    return 0;
}

void cl_out_free(struct cl_out *out)
{
    cl_renew_remove(&out->fs->renew, out);
    cl_chain_hang_up(out, false);
    if (out->ring_is_shared)
        cl_ring_drop(out->ring);
    else
        cl_ring_put(&out->fs->rings, out->ring);
    cl_nodes_release(&out->nodes);
    mem_free((void *)(uintptr_t)out->exclude.v);
    buf_release(&out->reasons);
    mutex_release(&out->lock);
    mem_free(out->path);
    mem_free(out);
}

/* What RENAME is asked for: the very file we wrote, and not another writer's of the same name. */
static struct cl2nn_rename final_name(struct cl_out *out, const char *to, bool overwrite)
{
    return (struct cl2nn_rename){.origin = cl_origin(out->fs),
                                 .from = slice_str(out->path),
                                 .to = slice_str(to),
                                 .overwrite = overwrite,
                                 .id = out->file_id};
}

static int complete(struct cl_out *out, const struct cl2nn_rename *rename, bool *ret_is_renamed,
                    struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_completed answer = {0};
    const struct cl2nn_complete ask = {.origin = cl_origin(out->fs),
                                       .file_id = out->file_id,
                                       .last = out->previous,
                                       .rename = *rename};
    fault_hit("client.write.complete");
    int rc = cl_ask(out->fs, CL2NN_AT_COMPLETE, &ask, &arena, &answer, err);
    *ret_is_renamed = answer.is_renamed;
    arena_release(&arena);
    return rc;
}

static int finish(struct cl_out *out, const struct cl2nn_rename *rename, bool *ret_is_renamed,
                  struct err *err)
{
    int rc = check_failed(out, err);
    if (rc == 0 && has_bytes(out))
        rc = finish_block(out, err);
    if (rc == 0 && out->is_given)
        rc = cl_block_give_back(out, err);
    if (rc == 0)
        rc = complete(out, rename, ret_is_renamed, err);
    return lost_if_gone(out, rc, err);
}

int cl_out_close(struct cl_out *out, struct err *err)
{
    static const struct cl2nn_rename none = {0};
    bool is_renamed = false;
    mutex_lock(&out->lock);
    int rc = finish(out, &none, &is_renamed, err);
    mutex_unlock(&out->lock);
    cl_out_free(out);
    return rc;
}

/* Only the very file we made goes: the name may be another's by now. */
static void remove_own(struct cl_out *out)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_delete ask = {
        .origin = cl_origin(out->fs), .path = slice_str(out->path), .id = out->file_id};
    /* If it fails, the lease ends and the file stays as far as it got: as after a crash. */
    (void)cl_ask(out->fs, CL2NN_AT_DELETE, &ask, &arena, NULL, NULL);
    arena_release(&arena);
}

void cl_out_abort(struct cl_out *out)
{
    mutex_lock(&out->lock);
    cl_chain_hang_up(out, false);
    if (out->is_append)
        cl_append_give_up(out);
    else
        remove_own(out);
    mutex_unlock(&out->lock);
    cl_out_free(out);
}

static int rename_own(struct cl_out *out, const char *to, bool overwrite, struct err *err)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_rename ask = final_name(out, to, overwrite);
    fault_hit("client.write.rename");
    int rc = cl_ask(out->fs, CL2NN_AT_RENAME, &ask, &arena, NULL, err);
    arena_release(&arena);
    return rc;
}

int cl_out_close_as(struct cl_out *out, const char *to, bool overwrite, struct err *err)
{
    bool is_renamed = false;
    mutex_lock(&out->lock);
    const struct cl2nn_rename rename = final_name(out, to, overwrite);
    int rc = finish(out, &rename, &is_renamed, err);
    if (rc == 0 && !is_renamed)
        rc = rename_own(out, to, overwrite, err);
    if (rc != 0)
        remove_own(out);
    mutex_unlock(&out->lock);
    cl_out_free(out);
    return rc;
}
