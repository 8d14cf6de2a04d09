/* SPDX-License-Identifier: Apache-2.0
 * What the namenode is asked for a block being written: a place for it, a new stamp when its chain
 * broke, and to know the chain that goes on. */
#include "client/lib/handle.h"
#include "client/lib/stream_out_inside.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"

#include <inttypes.h>
#include <unistd.h>

#define BUSY_MIN_MS 50 /* pause before nodes that were too busy are asked again; doubles */
#define BUSY_MAX_MS 1000

int cl_out_exclude(struct cl_out *out, uint32_t node, const char *why)
{
    struct slice name = out->nodes.v[node]->name;
    buf_printf(&out->reasons, "%s" SLICE_FMT ": %s", out->reasons.len ? "; " : "", SLICE_ARG(name),
               why);
    for (size_t i = 0; i < out->exclude.n; i++)
        if (slice_eq(out->exclude.v[i], name))
            return 0;
    struct slice *names = (struct slice *)(uintptr_t)out->exclude.v;
    int rc = mem_grow(&names, &out->exclude_cap, out->exclude.n, sizeof(*names));
    out->exclude.v = names;
    if (rc == 0)
        names[out->exclude.n++] = name;
    return rc;
}

static const char *reasons(struct cl_out *out)
{
    const char *text = out->reasons.len ? buf_cstr(&out->reasons) : NULL;
    return text ? text : "no reason given";
}

/* --- busy nodes ------------------------------------------------------------------------------- */

/* A busy node is a good one that wants a moment: when all others are out of the question too, it is
 * worth waiting for. */
struct busy {
    bool is_any; /* was a node refused as busy? */
    uint64_t until_ms, pause_ms;
};

static struct busy busy_from_now(const struct cl_out *out)
{
    return (struct busy){.until_ms = clock_mono_ms() + out->fs->timeout_ms,
                         .pause_ms = BUSY_MIN_MS};
}

/* False: nobody was busy, or it has lasted too long. */
static bool wait_for_busy(struct busy *busy)
{
    if (!busy->is_any || clock_mono_ms() + busy->pause_ms >= busy->until_ms)
        return false;
    usleep((useconds_t)busy->pause_ms * 1000);
    busy->pause_ms = busy->pause_ms * 2 < BUSY_MAX_MS ? busy->pause_ms * 2 : BUSY_MAX_MS;
    busy->is_any = false;
    return true;
}

/* --- a new block ------------------------------------------------------------------------------ */

int cl_out_intern(struct cl_out *out, const struct msg_node *node, uint32_t *ret)
{
    const struct msg_node *known = cl_nodes_intern(&out->nodes, node);
    if (!known)
        return ERR_NOMEM;
    for (uint32_t n = 0; n < out->nodes.n; n++)
        if (out->nodes.v[n] == known)
            *ret = n;
    return 0;
}

int cl_out_set_nodes(struct cl_out *out, const struct msg_node_list *list, struct err *err)
{
    uint32_t numbers[CL_PIPELINE_NODES] = {0}, count = 0;
    for (size_t i = 0; i < list->n && count < CL_PIPELINE_NODES; i++)
        if (cl_out_intern(out, &list->v[i], &numbers[count++]) != 0)
            return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    cl_pipeline_set_nodes(&out->pipe, numbers, count);
    return count ? 0 : err_set(err, ERR_NONODE, "%s: no datanode for a new block", out->path);
}

static int ask_block(struct cl_out *out, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct msg_located_block answer = {0};
    const struct cl2nn_add_block ask = {.origin = cl_origin(out->fs),
                                        .file_id = out->file_id,
                                        .previous = out->previous,
                                        .exclude = out->exclude,
                                        .writer_node = slice_str(out->fs->node)};
    int rc = cl_ask(out->fs, CL2NN_AT_ADD_BLOCK, &ask, &arena, &answer, err);
    if (rc == 0) {
        out->block = answer.block;
        rc = cl_out_set_nodes(out, &answer.nodes, err);
    } else if (out->reasons.len) {
        char line[ERR_MSG_MAX];
        snprintf(line, sizeof(line), "%s", err->msg);
        err_set(err, rc, "%s (%s)", line, reasons(out));
    }
    arena_release(&arena);
    return rc;
}

static int abandon(struct cl_out *out, struct err *err)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_abandon_block ask = {
        .origin = cl_origin(out->fs), .file_id = out->file_id, .block = out->block};
    int rc = cl_ask(out->fs, CL2NN_AT_ABANDON_BLOCK, &ask, &arena, NULL, err);
    arena_release(&arena);
    return rc;
}

int cl_block_give_back(struct cl_out *out, struct err *err)
{
    int rc = abandon(out, err);
    out->is_given = rc != 0;
    return rc;
}

/* Wait, and then ask all again that have refused this block. */
static bool try_busy_again(struct cl_out *out, struct busy *busy, size_t excluded)
{
    if (!wait_for_busy(busy))
        return false;
    out->exclude.n = excluded;
    buf_clear(&out->reasons);
    return true;
}

int cl_block_allocate(struct cl_out *out, struct err *err)
{
    struct cl_break broken;
    if (out->is_prepared)
        return cl_append_begin(out, err);
    struct busy busy = busy_from_now(out);
    size_t excluded = out->exclude.n;
    for (unsigned attempt = 0;; attempt++) {
        fault_hit("client.write.allocate");
        int rc = out->is_given ? 0 : ask_block(out, err);
        out->is_given = false;
        if (rc == ERR_NONODE && try_busy_again(out, &busy, excluded))
            continue;
        if (rc != 0)
            return rc;
        rc = cl_chain_connect(out, 0, &broken);
        if (rc == 0)
            break;
        busy.is_any = busy.is_any || broken.code == ERR_BUSY;
        if (cl_out_exclude(out, out->pipe.nodes[broken.bad], broken.why.msg) != 0)
            return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        rc = abandon(out, err);
        if (rc != 0)
            return rc;
        if (attempt >= out->fs->block_retries && !try_busy_again(out, &busy, excluded))
            return err_set(err, broken.code, "%s: no chain of datanodes for a new block: %s",
                           out->path, reasons(out));
    }
    out->has_block = true;
    out->told_length = out->was_flushed = false;
    return 0;
}

int cl_block_tell_length(struct cl_out *out, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_flushed ask = {
        .origin = cl_origin(out->fs), .file_id = out->file_id, .last = out->block};
    ask.last.len = out->pipe.acked;
    int rc = cl_ask(out->fs, CL2NN_AT_FLUSHED, &ask, &arena, NULL, err);
    arena_release(&arena);
    out->told_length = rc == 0;
    return rc;
}

/* --- recovery --------------------------------------------------------------------------------- */

static int ask_stamp(struct cl_out *out, uint64_t *ret_gs, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_stamped answer = {0};
    struct cl2nn_new_stamp ask = {
        .origin = cl_origin(out->fs), .file_id = out->file_id, .block = out->block};
    ask.block.len = out->pipe.acked;
    int rc = cl_ask(out->fs, CL2NN_AT_NEW_STAMP, &ask, &arena, &answer, err);
    arena_release(&arena);
    *ret_gs = answer.gs;
    return rc;
}

static int tell_pipeline(struct cl_out *out, uint64_t new_gs, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct slice names[CL_PIPELINE_NODES];
    for (uint32_t i = 0; i < out->pipe.count; i++)
        names[i] = out->nodes.v[out->pipe.nodes[i]]->name;
    const struct cl2nn_update_pipeline ask = {.origin = cl_origin(out->fs),
                                              .file_id = out->file_id,
                                              .block = out->block,
                                              .new_gs = new_gs,
                                              .new_len = out->pipe.acked,
                                              .nodes = {names, out->pipe.count}};
    fault_hit("client.write.update");
    int rc = cl_ask(out->fs, CL2NN_AT_UPDATE_PIPELINE, &ask, &arena, NULL, err);
    arena_release(&arena);
    return rc;
}

/* Nobody is left. When no byte has left the ring, the block is given up and written elsewhere. */
static int begin_anew(struct cl_out *out, struct err *err)
{
    if (!cl_pipeline_restart(&out->pipe))
        return err_set(err, ERR_NONODE,
                       "%s: no datanode is left that writes block blk_%" PRIu64 ": %s", out->path,
                       out->block.id, reasons(out));
    int rc = abandon(out, err);
    out->has_block = false;
    return rc == 0 ? cl_block_allocate(out, err) : rc;
}

/* The survivors under a new stamp; a busy one is not dropped for that. */
static int reconnect(struct cl_out *out, uint64_t *ret_gs, struct cl_break *broken, struct err *err)
{
    struct busy busy = busy_from_now(out);
    for (;;) {
        int rc = ask_stamp(out, ret_gs, err);
        if (rc != 0)
            return rc;
        broken->code = cl_chain_connect(out, *ret_gs, broken);
        busy.is_any = broken->code == ERR_BUSY;
        if (!wait_for_busy(&busy))
            return 0;
    }
}

static int drop(struct cl_out *out, struct cl_break *broken, struct err *err)
{
    uint32_t dropped = out->pipe.nodes[broken->bad];
    int rc = cl_pipeline_break(&out->pipe, broken->bad, broken->code, &dropped);
    if (dropped != CL_NOBODY && cl_out_exclude(out, dropped, broken->why.msg) != 0)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    return rc;
}

/* Those that are left under a new stamp, with whoever joins them; or one of them failed
 * (broken->code). */
static int set_up_anew(struct cl_out *out, struct cl_break *broken, struct err *err)
{
    uint64_t new_gs = 0;
    int rc = cl_block_reinforce(out, broken, err);
    if (rc == 0 && broken->code == 0)
        rc = reconnect(out, &new_gs, broken, err);
    if (rc != 0 || broken->code != 0)
        return rc;
    rc = tell_pipeline(out, new_gs, err);
    if (rc != 0)
        return rc;
    out->block.gs = new_gs;
    cl_pipeline_resume(&out->pipe);
    return 0;
}

int cl_block_recover(struct cl_out *out, struct cl_break *broken, struct err *err)
{
    int rc = 0;
    while (rc == 0 && broken->code != 0) {
        cl_chain_hang_up(out, false);
        rc = drop(out, broken, err);
        if (rc == ERR_NOMEM)
            return rc;
        if (rc != 0)
            return begin_anew(out, err);
        rc = set_up_anew(out, broken, err);
    }
    return rc;
}

int cl_block_prove(struct cl_out *out, struct err *err)
{
    struct cl_break broken = {.bad = cl_pipeline_guilty_place(&out->pipe), .code = ERR_CORRUPT};
    if (broken.bad != CL_NOBODY && out->pipe.count > 1 && cl_block_has_reserve(out)) {
        out->must_replace = true;
        err_set(&broken.why, ERR_CORRUPT, "what it sends on is damaged");
        return cl_block_recover(out, &broken, err);
    }
    cl_chain_hang_up(out, false);
    int rc = set_up_anew(out, &broken, err);
    return rc == 0 ? cl_block_recover(out, &broken, err) : rc;
}
