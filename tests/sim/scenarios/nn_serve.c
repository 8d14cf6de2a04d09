/* SPDX-License-Identifier: Apache-2.0
 * nn_serve: a client's request at the simulated namenode: first answer again if there was one, else
 * check, log, apply, and answer when that is durable. */
#include "namenode/journal/editop.h"
#include "tests/sim/scenarios/nn_world.h"

struct asked {
    struct nn_sim *nn;
    const struct nn_msg *msg;
    struct nn_msg *answer;
    struct nn_view view;
    struct err err;
    uint64_t values[2];
};

static struct msg_origin origin_of(const struct nn_msg *msg)
{
    return (struct msg_origin){msg->client, msg->seq};
}

/* check said `rc`: commit what it filled, or pass the refusal on. */
static int done(struct asked *a, int rc, enum nn_op number, const void *op)
{
    if (rc == NN_CHECK_NOTHING)
        return 0;
    return rc == 0 ? nn_sim_commit(a->nn, number, op, a->values) : rc;
}

static int serve_mkdir(struct asked *a)
{
    struct cl2nn_mkdir ask = {origin_of(a->msg), slice_str(a->msg->path), 0755, true};
    struct op_mkdir op;
    return done(a, nn_check_mkdir(&a->view, &ask, &op, &a->err), NN_OP_MKDIR, &op);
}

static int serve_create(struct asked *a)
{
    struct cl2nn_create ask = {.origin = origin_of(a->msg),
                               .path = slice_str(a->msg->path),
                               .mode = 0644,
                               .replication = a->msg->replication,
                               .block_size = BLOCK_SIZE,
                               .overwrite = a->msg->flag};
    struct op_create op;
    uint32_t takeover = 0;
    int rc = nn_check_create(&a->view, &ask, &op, &takeover, &a->err);
    if (takeover)
        nn_sim_begin_recovery(a->nn, takeover);
    return done(a, rc, NN_OP_CREATE, &op);
}

static int place(struct asked *a, uint32_t slot, struct nn_placed *placed)
{
    const struct nn_msg *msg = a->msg;
    struct slice exclude[NODES_MAX];
    const struct nn_inode *inode = nn_inode(&a->nn->state.tree.store, slot);
    struct nn_place_ask ask = {
        .block_size = BLOCK_SIZE, .count = (uint32_t)inode->replication, .exclude = exclude};
    for (uint32_t i = 0; i < msg->node_count; i++)
        exclude[ask.exclude_count++] = slice_str(a->nn->w->dns[msg->nodes[i] - 1].host.name);
    return nn_blocks_place(&a->nn->blocks, &ask, slice_str("/f"), placed, &a->err);
}

static void tell_pipeline(struct asked *a, uint32_t block)
{
    const struct nn_writing *w = nn_writings_find(&a->nn->blocks.writings, block);
    for (size_t i = 0; w && i < w->pipeline_count && i < NODES_MAX; i++)
        a->answer->nodes[a->answer->node_count++] = a->nn->number_of[w->pipeline[i]];
}

static int serve_add_block(struct asked *a)
{
    struct cl2nn_add_block ask = {
        .origin = origin_of(a->msg), .file_id = a->msg->file_id, .previous = a->msg->previous};
    struct op_add_block op;
    struct nn_placed placed;
    uint32_t slot = 0;
    int rc = nn_check_add_block(&a->view, &ask, &op, &a->err);
    if (rc == 0)
        rc = nn_check_writer(&a->view, ask.file_id, a->msg->client, &slot, &a->err);
    if (rc == 0)
        rc = place(a, slot, &placed);
    rc = done(a, rc, NN_OP_ADD_BLOCK, &op);
    if (rc != 0)
        return rc;
    uint32_t block = nn_blockmap_find(a->nn->blocks.map, a->values[0]);
    rc = nn_blocks_set_pipeline(&a->nn->blocks, block, placed.nodes, placed.count);
    tell_pipeline(a, block);
    a->answer->block = (struct msg_block){op.block_id, op.gs, 0};
    return rc;
}

/* The answer to a repeat: the block it made, if it is still that file's last. */
static void add_block_again(struct asked *a, uint64_t id)
{
    uint32_t block = nn_blockmap_find(a->nn->blocks.map, id);
    if (block == NN_BLOCK_NONE)
        return;
    a->answer->block = (struct msg_block){id, nn_blockmap_get(a->nn->blocks.map, block).gs, 0};
    tell_pipeline(a, block);
}

static int serve_abandon(struct asked *a)
{
    struct cl2nn_abandon_block ask = {origin_of(a->msg), a->msg->file_id, a->msg->block};
    struct op_abandon_block op;
    return done(a, nn_check_abandon_block(&a->view, &ask, &op, &a->err), NN_OP_ABANDON_BLOCK, &op);
}

static int serve_stamp(struct asked *a)
{
    struct cl2nn_new_stamp ask = {origin_of(a->msg), a->msg->file_id, a->msg->block};
    struct op_stamp op;
    return done(a, nn_check_new_stamp(&a->view, &ask, &op, &a->err), NN_OP_STAMP, &op);
}

static int serve_pipeline(struct asked *a)
{
    struct cl2nn_update_pipeline ask = {.origin = origin_of(a->msg),
                                        .file_id = a->msg->file_id,
                                        .block = a->msg->block,
                                        .new_gs = a->msg->new_gs,
                                        .new_len = a->msg->new_len};
    struct op_pipeline op;
    uint32_t nodes[NODES_MAX];
    size_t n = 0;
    int rc = done(a, nn_check_update_pipeline(&a->view, &ask, &op, &a->err), NN_OP_PIPELINE, &op);
    uint32_t block = nn_blockmap_find(a->nn->blocks.map, a->msg->block.id);
    for (uint32_t i = 0; i < a->msg->node_count; i++)
        if (nn_sim_node(a->nn, a->msg->nodes[i]))
            nodes[n++] = nn_sim_node(a->nn, a->msg->nodes[i]);
    return rc == 0 && block ? nn_blocks_set_pipeline(&a->nn->blocks, block, nodes, n) : rc;
}

static int serve_flushed(struct asked *a)
{
    struct cl2nn_flushed ask = {origin_of(a->msg), a->msg->file_id, a->msg->block};
    struct op_flush op;
    return done(a, nn_check_flushed(&a->view, &ask, &op, &a->err), NN_OP_FLUSH, &op);
}

static bool are_all_ready(const struct nn_sim *nn, const struct nn_inode *inode)
{
    for (uint32_t b = inode->first_block; b; b = nn_blockmap_get(nn->blocks.map, b).next)
        if (!nn_blocks_is_ready(&nn->blocks, b))
            return false;
    return true;
}

static int serve_complete(struct asked *a)
{
    struct cl2nn_complete ask = {origin_of(a->msg), a->msg->file_id, a->msg->block};
    struct op_close op;
    uint64_t ignored[2];
    int rc = nn_check_complete(&a->view, &ask, &op, &a->err);
    if (rc != 0)
        return rc;
    uint32_t slot = nn_inodes_by_id(&a->nn->state.tree.store, ask.file_id);
    const struct nn_inode *inode = nn_inode(&a->nn->state.tree.store, slot);
    if (inode->last_block && nn_blockmap_get(a->nn->blocks.map, inode->last_block).state ==
                                 NN_BLOCK_UNDER_CONSTRUCTION) {
        struct op_commit commit = {.at_ms = op.at_ms, .file_id = ask.file_id, .last = ask.last};
        rc = nn_sim_commit(a->nn, NN_OP_COMMIT, &commit, ignored);
        if (rc != 0)
            return rc;
    }
    if (!are_all_ready(a->nn, inode))
        return ERR_RETRY;
    return done(a, 0, NN_OP_CLOSE, &op);
}

static int serve_rename(struct asked *a)
{
    struct cl2nn_rename ask = {origin_of(a->msg), slice_str(a->msg->path), slice_str(a->msg->to),
                               true};
    struct op_rename op;
    return done(a, nn_check_rename(&a->view, &ask, &op, &a->err), NN_OP_RENAME, &op);
}

static int serve_delete(struct asked *a)
{
    struct cl2nn_delete ask = {origin_of(a->msg), slice_str(a->msg->path), true};
    struct op_delete op;
    return done(a, nn_check_delete(&a->view, &ask, &op, &a->err), NN_OP_DELETE, &op);
}

static int serve_replication(struct asked *a)
{
    struct cl2nn_set_replication ask = {origin_of(a->msg), slice_str(a->msg->path),
                                        a->msg->replication};
    struct op_set_replication op;
    return done(a, nn_check_set_replication(&a->view, &ask, &op, &a->err), NN_OP_SET_REPLICATION,
                &op);
}

/* The prepared block, if there is one, and who can make it; the last one. */
static void tell_append(struct asked *a, uint64_t file)
{
    struct nn_sim *nn = a->nn;
    uint32_t slot = nn_tree_find_id(&nn->state.tree, file), nodes[NODES_MAX];
    bool is_corrupt = false;
    const struct nn_prepared *prepared = nn_prepareds_find(&nn->state.prepared, file);
    if (!slot || !prepared || prepared->kind != NN_PREPARED_APPEND)
        return;
    const struct nn_inode *inode = nn_inode(&nn->state.tree.store, slot);
    struct nn_block last = nn_blockmap_get(nn->blocks.map, inode->last_block);
    struct nn_block next = nn_blockmap_get(nn->blocks.map, prepared->block);
    size_t n = nn_blocks_locate(&nn->blocks, inode->last_block, slice_str(""), nodes,
                                (size_t)inode->replication, &is_corrupt);
    a->answer->previous = (struct msg_block){last.id, last.gs, last.len};
    a->answer->block = (struct msg_block){next.id, next.gs, next.len};
    for (size_t i = 0; i < n && !is_corrupt; i++)
        a->answer->nodes[a->answer->node_count++] = nn->number_of[nodes[i]];
    (void)nn_blocks_set_pipeline(&nn->blocks, prepared->block, nodes, is_corrupt ? 0 : n);
}

static int serve_append(struct asked *a)
{
    struct cl2nn_append ask = {.origin = origin_of(a->msg), .path = slice_str(a->msg->path)};
    struct op_append op;
    uint32_t takeover = 0;
    int rc = nn_check_append(&a->view, &ask, &op, &takeover, &a->err);
    if (takeover)
        nn_sim_begin_recovery(a->nn, takeover);
    rc = done(a, rc, NN_OP_APPEND, &op);
    if (rc == 0)
        tell_append(a, a->values[0]);
    return rc;
}

static int serve_switch(struct asked *a)
{
    struct cl2nn_switch ask = {.origin = origin_of(a->msg),
                               .file_id = a->msg->file_id,
                               .last = a->msg->previous,
                               .block = a->msg->block};
    struct op_switch op;
    uint32_t nodes[NODES_MAX];
    size_t n = 0;
    int rc = done(a, nn_check_switch(&a->view, &ask, &op, &a->err), NN_OP_SWITCH, &op);
    for (uint32_t i = 0; i < a->msg->node_count; i++)
        if (nn_sim_node(a->nn, a->msg->nodes[i]))
            nodes[n++] = nn_sim_node(a->nn, a->msg->nodes[i]);
    uint32_t block = nn_blockmap_find(a->nn->blocks.map, a->msg->block.id);
    return rc == 0 && block ? nn_blocks_set_pipeline(&a->nn->blocks, block, nodes, n) : rc;
}

static int serve_truncate(struct asked *a)
{
    struct cl2nn_truncate ask = {origin_of(a->msg), slice_str(a->msg->path), a->msg->new_len};
    struct op_truncate op;
    uint32_t takeover = 0;
    bool is_done = false;
    int rc = nn_check_truncate(&a->view, &ask, &op, &is_done, &takeover, &a->err);
    if (takeover)
        nn_sim_begin_recovery(a->nn, takeover);
    return done(a, rc, NN_OP_TRUNCATE, &op);
}

static int serve_concat(struct asked *a)
{
    struct slice source = slice_str(a->msg->to);
    struct cl2nn_concat ask = {origin_of(a->msg), slice_str(a->msg->path), {&source, 1}};
    struct op_concat op;
    struct arena arena = ARENA_INIT;
    int rc = nn_check_concat(&a->view, &ask, &arena, &op, &a->err);
    rc = done(a, rc, NN_OP_CONCAT, &op);
    arena_release(&arena);
    return rc;
}

static int serve_stat(struct asked *a)
{
    uint32_t slot = nn_tree_find(&a->nn->state.tree, slice_str(a->msg->path));
    if (!slot)
        return ERR_NOENT;
    const struct nn_inode *inode = nn_inode(&a->nn->state.tree.store, slot);
    a->answer->flag = inode->is_open;
    a->answer->new_len = inode->len;
    a->answer->file_id = inode->id;
    a->answer->replication = (uint32_t)inode->replication;
    return 0;
}

static int serve_locate(struct asked *a)
{
    uint32_t block = nn_blockmap_find(a->nn->blocks.map, a->msg->block.id), nodes[NODES_MAX];
    bool is_corrupt = false;
    if (block == NN_BLOCK_NONE)
        return ERR_NOENT;
    struct nn_block b = nn_blockmap_get(a->nn->blocks.map, block);
    size_t n =
        nn_blocks_locate(&a->nn->blocks, block, slice_str(""), nodes, NODES_MAX, &is_corrupt);
    a->answer->block = (struct msg_block){b.id, b.gs, b.len};
    a->answer->flag = is_corrupt;
    for (size_t i = 0; i < n; i++)
        a->answer->nodes[a->answer->node_count++] = a->nn->number_of[nodes[i]];
    return 0;
}

static int serve_bad(struct asked *a)
{
    uint32_t node = nn_sim_node(a->nn, a->msg->nodes[0]);
    struct block_id id = {a->msg->block.id, a->msg->block.gs};
    (void)(node ? nn_blocks_mark_bad(&a->nn->blocks, id, node) : 0); /* gone meanwhile: as good */
    return 0;
}

static int serve_renew(struct asked *a)
{
    (void)nn_leases_renew(&a->nn->state.leases, a->msg->client, a->nn->w->sim->now_ms);
    return 0;
}

typedef int serve_fn(struct asked *a);
static serve_fn *const changes[] = {
    [CL_MKDIR] = serve_mkdir,
    [CL_CREATE] = serve_create,
    [CL_ADD_BLOCK] = serve_add_block,
    [CL_ABANDON] = serve_abandon,
    [CL_STAMP] = serve_stamp,
    [CL_PIPELINE] = serve_pipeline,
    [CL_FLUSHED] = serve_flushed,
    [CL_COMPLETE] = serve_complete,
    [CL_RENAME] = serve_rename,
    [CL_DELETE] = serve_delete,
    [CL_REPLICATION] = serve_replication,
    [CL_APPEND] = serve_append,
    [CL_SWITCH] = serve_switch,
    [CL_TRUNCATE] = serve_truncate,
    [CL_CONCAT] = serve_concat,
};
static serve_fn *const reads[] = {
    [CL_RENEW] = serve_renew,
    [CL_STAT] = serve_stat,
    [CL_LOCATE] = serve_locate,
    [CL_BAD] = serve_bad,
};

static int change(struct asked *a)
{
    const struct nn_msg *msg = a->msg;
    const struct nn_answer *first =
        msg->seq ? nn_answers_find(&a->nn->state.answers, msg->client, msg->seq) : NULL;
    if (first) {
        memcpy(a->values, first->values, sizeof(a->values));
        if (msg->kind == CL_ADD_BLOCK)
            add_block_again(a, a->values[0]);
        if (msg->kind == CL_APPEND)
            tell_append(a, a->values[0]);
        return 0;
    }
    if (nn_safemode_is_on(&a->nn->blocks.safemode))
        return ERR_SAFEMODE;
    return changes[msg->kind](a);
}

void nn_sim_serve(struct nn_sim *nn, struct sim_host *from, const struct nn_msg *ask)
{
    struct asked a = {.nn = nn, .msg = ask, .answer = nn_msg_new(NN_ANSWER)};
    a.view = nn_sim_view(nn);
    bool is_change = ask->kind < ARRAY_LEN(changes) && changes[ask->kind];
    int rc = is_change ? change(&a) : reads[ask->kind](&a);
    a.answer->code = rc;
    a.answer->call = ask->call;
    a.answer->client = ask->client;
    a.answer->seq = ask->seq;
    memcpy(a.answer->values, a.values, sizeof(a.values));
    if (rc < 0)
        sim_trace(nn->w->sim, "nn refuses %s: %s %s", nn_msg_name(ask->kind), err_name(rc),
                  a.err.msg);
    nn_sim_answer(nn, from, a.answer);
}
