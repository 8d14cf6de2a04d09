/* SPDX-License-Identifier: Apache-2.0
 * A further datanode for a chain that lost one:
 *
 *   namenode   EXTRA_NODE   somebody new; not who is in the chain, not who failed us
 *   a survivor TRANSFER     sends him what it has of the block, verified, durable there
 *   then the chain is set up with him as its last, under a new stamp, like after any failure: that
 *   verifies all of it once more and cuts everybody to what was acknowledged
 *
 * Whether one is wanted is client/lib/pipeline's to say. When there is none, the write goes on
 * without: the last word has the close, which waits for two replicas. */
#include <inttypes.h>

#include "client/lib/handle.h"
#include "client/lib/stream_out_inside.h"
#include "libcommon/base/fault.h"

/* For every so many bytes that have to be copied first, a little more patience. */
#define BYTES_PER_PATIENCE (8U << 20)

static int ask_extra(struct cl_out *out, uint32_t *ret_node, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_nodes answer = {0};
    struct slice have[CL_PIPELINE_NODES];
    for (uint32_t i = 0; i < out->pipe.count; i++)
        have[i] = out->nodes.v[out->pipe.nodes[i]]->name;
    const struct cl2nn_extra_node ask = {.file_id = out->file_id,
                                         .block = out->block,
                                         .have = {have, out->pipe.count},
                                         .exclude = out->exclude};
    fault_hit("client.write.extra");
    int rc = cl_ask(out->fs, CL2NN_AT_EXTRA_NODE, &ask, &arena, &answer, err);
    if (rc == 0 && answer.nodes.n == 0)
        rc = err_set(err, ERR_NONODE, "no further datanode");
    if (rc == 0)
        rc = cl_out_intern(out, &answer.nodes.v[0], ret_node);
    arena_release(&arena);
    return rc;
}

/* Which of the two it is: the one that sends (its place), or the new one (CL_NOBODY). */
static int ask_source(struct cl_out *out, uint32_t source, uint32_t target, uint32_t *ret_bad,
                      struct err *err)
{
    struct arena arena = ARENA_INIT;
    char address[512];
    struct msg_node node = *out->nodes.v[target];
    const struct msg_node *from = out->nodes.v[out->pipe.nodes[source]];
    struct data_writing answer = {0};
    struct data_transfer ask = {
        .block = out->block, .block_size = out->block_bytes, .targets = {&node, 1}};
    struct cl_peer *peer = NULL;
    ask.block.len = out->pipe.acked;
    *ret_bad = source;
    int rc =
        cl_peer_get(&out->fs->peers, cl_node_address(from, address, sizeof(address)), &peer, err);
    if (rc == 0) {
        cl_peer_set_behind(peer, 2 + (unsigned)(out->pipe.acked / BYTES_PER_PATIENCE));
        rc = cl_peer_ask(peer, DATA_AT_TRANSFER, &ask, &arena, &answer, err);
        if (rc == 0 && answer.bad_node.len) {
            rc = answer.code < 0 && answer.code > -1000 ? (int)answer.code : ERR_FAILED;
            err_set(err, rc, SLICE_FMT, SLICE_ARG(answer.why));
            if (!slice_eq(answer.bad_node, from->name))
                *ret_bad = CL_NOBODY;
            else if (rc == ERR_CHECKSUM) /* its own replica's */
                rc = ERR_CORRUPT;
        }
        cl_peer_put(peer);
    }
    arena_release(&arena);
    return rc;
}

/* One node more; or a member failed (ret->code), then it is not 0. A newcomer that fails is left
 * out and the next one asked for, as often as for a new block. */
static int join_one(struct cl_out *out, struct cl_break *ret, struct err *err)
{
    for (unsigned attempt = 0;; attempt++) {
        uint32_t node = 0, bad = CL_NOBODY, source = cl_pipeline_source(&out->pipe);
        int rc = ask_extra(out, &node, err);
        if (rc != 0)
            return rc;
        rc = ask_source(out, source, node, &bad, &ret->why);
        if (rc == 0) {
            cl_pipeline_join(&out->pipe, node);
            return 0;
        }
        /* An older datanode does not know how: nobody's fault. */
        if (rc == ERR_UNSUPPORTED)
            return err_set(err, rc, "%s", ret->why.msg);
        if (bad != CL_NOBODY && rc != ERR_BUSY) {
            ret->bad = bad;
            ret->code = rc;
            return rc;
        }
        if (bad == CL_NOBODY && cl_out_exclude(out, node, ret->why.msg) != 0)
            return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        if (attempt >= out->fs->block_retries)
            return err_set(err, rc, "%s", ret->why.msg);
    }
}

bool cl_block_has_reserve(struct cl_out *out)
{
    uint32_t node = 0;
    struct err why;
    return out->fs->replace != CL_REPLACE_NEVER && ask_extra(out, &node, &why) == 0;
}

int cl_block_reinforce(struct cl_out *out, struct cl_break *ret, struct err *err)
{
    bool always = out->must_replace && out->fs->replace != CL_REPLACE_NEVER;
    const struct cl_replace_rule rule = {.policy = always ? CL_REPLACE_ALWAYS : out->fs->replace,
                                         .replication = out->replication,
                                         .is_counted_on = out->was_flushed};
    struct err why = {0};
    out->must_replace = false;
    ret->code = 0;
    while (cl_pipeline_wants_node(&out->pipe, &rule)) {
        int rc = join_one(out, ret, &why);
        if (rc == 0)
            continue;
        if (ret->code != 0 || !out->fs->replace_or_fail)
            return 0;
        return err_set(err, rc,
                       "%s: block blk_%" PRIu64 " has %u datanodes left of %u, and no good one is "
                       "there to replace those that failed (%s); see "
                       "dfs.client.block.write.replace-datanode-on-failure.best-effort",
                       out->path, out->block.id, out->pipe.count, out->replication, why.msg);
    }
    return 0;
}
