/* SPDX-License-Identifier: Apache-2.0
 * Writing on at the end of a file that is closed. What is finalized never changes, so a partial
 * last block is not written on: its datanodes make the new one as a copy of it (they have the
 * bytes), and when their chain stands the namenode puts that in the old one's place. Only then is
 * anything written, and nothing of all this is done before there is a byte to write. */
#include "client/lib/handle.h"
#include "client/lib/stream_in.h"
#include "client/lib/stream_out_inside.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"

#include <inttypes.h>
#include <unistd.h>

#define BUSY_PAUSE_MS 100

/* --- opening ---------------------------------------------------------------------------------- */

/* The bytes of the chunk the file ends in: the first packet repeats them. */
static int read_tail(struct cl_out *out, uint64_t file_len, struct err *err)
{
    uint64_t have = out->pipe.filled, begin = have - have % CL_PIPELINE_CHUNK;
    size_t size = (size_t)(have - begin);
    struct cl_in *in = NULL;
    if (size == 0)
        return 0;
    int rc = cl_in_open(out->fs, out->path, &in, err);
    if (rc != 0)
        return rc;
    ssize_t n =
        cl_in_pread(in, out->ring->data + begin % CL_RING_BYTES, size, file_len - size, err);
    if (n >= 0 && ((size_t)n != size || cl_in_length(in) != file_len))
        rc = err_set(err, ERR_STALE, "%s: %" PRIu64 " bytes were to be read on from, not %" PRIu64,
                     out->path, file_len, cl_in_length(in));
    else if (n < 0)
        rc = (int)n;
    cl_in_close(in);
    return rc;
}

int cl_append_open(struct cl_out *out, bool new_block, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_appended answer = {0};
    const struct cl2nn_append ask = {.origin = cl_origin(out->fs),
                                     .path = slice_str(out->path),
                                     .new_block = new_block,
                                     .writer_node = slice_str(out->fs->node)};
    int rc = cl_ask(out->fs, CL2NN_AT_APPEND, &ask, &arena, &answer, err);
    if (rc == 0 &&
        (answer.block_size < CL_PIPELINE_CHUNK || answer.next.block.len > answer.file_len ||
         (answer.next.block.id && answer.next.block.len >= answer.block_size)))
        rc = err_set(err, ERR_PROTO, "%s: the namenode gave numbers that cannot be", out->path);
    out->is_append = true;
    out->file_id = answer.file_id;
    out->block_bytes = answer.block_size;
    out->replication = answer.replication;
    out->previous = answer.last;
    out->base = answer.file_len - answer.next.block.len;
    if (rc == 0)
        cl_pipeline_init(&out->pipe, CL_RING_BYTES, OUT_PACKET_BYTES, out->block_bytes);
    if (rc == 0 && answer.next.block.id) {
        out->is_prepared = true;
        out->block = answer.next.block;
        cl_pipeline_begin_at(&out->pipe, answer.next.block.len);
        rc = cl_out_set_nodes(out, &answer.next.nodes, err);
        if (rc == 0)
            rc = read_tail(out, answer.file_len, err);
    }
    arena_release(&arena);
    return rc;
}

/* --- the first byte --------------------------------------------------------------------------- */

/* Another prepared block, on those of the old one's datanodes that did not fail us. */
static int prepare_again(struct cl_out *out, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct msg_located_block answer = {0};
    struct cl2nn_again ask = {.origin = cl_origin(out->fs),
                              .file_id = out->file_id,
                              .block = out->block,
                              .exclude = out->exclude,
                              .writer_node = slice_str(out->fs->node)};
    ask.block.len = out->pipe.filled_before;
    int rc = cl_ask(out->fs, CL2NN_AT_APPEND_AGAIN, &ask, &arena, &answer, err);
    if (rc == 0) {
        out->block = answer.block;
        rc = cl_out_set_nodes(out, &answer.nodes, err);
    }
    arena_release(&arena);
    return rc;
}

static int take_place(struct cl_out *out, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct slice names[CL_PIPELINE_NODES];
    for (uint32_t i = 0; i < out->pipe.count; i++)
        names[i] = out->nodes.v[out->pipe.nodes[i]]->name;
    struct cl2nn_switch ask = {.origin = cl_origin(out->fs),
                               .file_id = out->file_id,
                               .last = out->previous,
                               .block = out->block,
                               .nodes = {names, out->pipe.count}};
    ask.block.len = out->pipe.filled_before;
    fault_hit("client.append.switch");
    int rc = cl_ask(out->fs, CL2NN_AT_SWITCH, &ask, &arena, NULL, err);
    arena_release(&arena);
    return rc;
}

/* All who refused are busy, or one more is out: asked again, until nobody is left or it has lasted
 * too long. */
static int set_up(struct cl_out *out, struct err *err)
{
    struct cl_break broken;
    uint64_t until_ms = clock_mono_ms() + out->fs->timeout_ms;
    for (;;) {
        fault_hit("client.append.setup");
        int rc = cl_chain_connect(out, 0, &broken);
        if (rc == 0)
            return 0;
        bool is_busy = broken.code == ERR_BUSY && clock_mono_ms() < until_ms;
        if (is_busy)
            usleep(BUSY_PAUSE_MS * 1000);
        else if (cl_out_exclude(out, out->pipe.nodes[broken.bad], broken.why.msg) != 0)
            return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        rc = prepare_again(out, err);
        if (rc != 0) {
            char line[ERR_MSG_MAX];
            snprintf(line, sizeof(line), "%s", err->msg);
            return err_set(err, rc, "%s: %s (%s)", out->path, line,
                           out->reasons.len ? buf_cstr(&out->reasons) : broken.why.msg);
        }
    }
}

int cl_append_begin(struct cl_out *out, struct err *err)
{
    int rc = set_up(out, err);
    if (rc != 0)
        return rc;
    rc = take_place(out, err);
    if (rc != 0) {
        cl_chain_hang_up(out, false);
        return rc;
    }
    out->is_prepared = false;
    out->has_block = true;
    out->told_length = false;
    out->was_flushed = true; /* readers have its beginning */
    return 0;
}

/* --- giving up -------------------------------------------------------------------------------- */

void cl_append_give_up(struct cl_out *out)
{
    struct arena arena = ARENA_INIT;
    if (out->is_prepared || !out->has_block) { /* the namenode knows its end */
        const struct cl2nn_complete ask = {
            .origin = cl_origin(out->fs), .file_id = out->file_id, .last = out->previous};
        struct cl2nn_completed answer;
        (void)cl_ask(out->fs, CL2NN_AT_COMPLETE, &ask, &arena, &answer, NULL);
    } else {
        const struct cl2nn_path ask = {.path = slice_str(out->path)};
        (void)cl_ask(out->fs, CL2NN_AT_RECOVER_LEASE, &ask, &arena, NULL, NULL);
    }
    arena_release(&arena);
}
