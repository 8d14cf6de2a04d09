/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <unistd.h>

#include "client/lib/handle.h"
#include "client/lib/stream_in_inside.h"

#define LOCATE_BYTES (1ULL << 30) /* places asked for at a time, from where one was missing */

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

int cl_in_locate(struct cl_in *in, uint64_t offset, uint64_t length, bool opening, struct err *err)
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

bool cl_in_known(struct cl_in *in, uint64_t offset, struct cl_block *ret)
{
    mutex_lock(&in->lock);
    const struct cl_block *block = cl_blocks_find(&in->blocks, offset);
    if (block)
        *ret = *block;
    mutex_unlock(&in->lock);
    return block != NULL;
}

int cl_in_find_block(struct cl_in *in, uint64_t offset, struct cl_block *ret, struct err *err)
{
    if (cl_in_known(in, offset, ret))
        return 0;
    int rc = cl_in_locate(in, offset, LOCATE_BYTES, false, err);
    if (rc != 0)
        return rc;
    if (cl_in_known(in, offset, ret))
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
        if (round + 1 == IN_ROUNDS)
            return err_set(err, rc, "%s is being written, and nobody says how long it is: %s",
                           in->path, why.msg);
        usleep((useconds_t)(IN_ROUND_PAUSE_MS << round) * 1000);
        rc = cl_in_locate(in, last->offset, LOCATE_BYTES, true, err);
        if (rc != 0)
            return rc;
    }
}

int cl_in_find_length(struct cl_in *in, struct err *err)
{
    int rc = cl_in_locate(in, 0, LOCATE_BYTES, true, err);
    if (rc == 0 && in->is_open && in->length >= LOCATE_BYTES)
        rc = cl_in_locate(in, in->length - 1, LOCATE_BYTES, false, err);
    return rc == 0 ? find_visible_length(in, err) : rc;
}
