/* SPDX-License-Identifier: Apache-2.0
 * The fake cluster's namenode: one file, whose blocks go to the first nodes that are wanted. */
#include "libcommon/proto/cl_nn/messages.h"
#include "tests/unit/client/lib/fake_conn.h"

static struct msg_node fake_msg_node(const char *name)
{
    for (size_t i = 0; i < FAKE_ALL; i++) {
        struct fake_node *n = &fake.nodes[i];
        if (strcmp(n->name, name) == 0)
            return (struct msg_node){.name = slice_str(n->name),
                                     .host = slice_str("127.0.0.1"),
                                     .data_port = n->port,
                                     .socket = slice_str(fake.same_host ? n->sock : ""),
                                     .boot_id = slice_str(fake.self.boot),
                                     .netns = fake.self.netns};
    }
    return (struct msg_node){0};
}

static struct msg_located_block fake_locate(struct fake_conn *c, const struct fake_block *b,
                                            uint64_t offset)
{
    struct msg_node *nodes = arena_calloc(&c->arena, FAKE_ALL, sizeof(*nodes));
    for (uint32_t i = 0; i < b->node_count; i++)
        nodes[i] = fake_msg_node(b->nodes[i]);
    return (struct msg_located_block){
        .block = {b->id, b->gs, b->len}, .offset = offset, .nodes = {nodes, b->node_count}};
}

static bool fake_is_among(const struct msg_strs *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (slice_is(names->v[i], name))
            return true;
    return false;
}

static bool fake_extra_node(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_extra_node, ask);
    struct msg_node node = {0};
    fake.extras++;
    for (size_t i = 0; i < FAKE_NODES + fake.spares && node.name.len == 0; i++)
        if (!fake_is_among(&ask.have, fake.nodes[i].name) &&
            !fake_is_among(&ask.exclude, fake.nodes[i].name))
            node = fake_msg_node(fake.nodes[i].name);
    const struct cl2nn_nodes answer = {{&node, 1}};
    if (node.name.len)
        fake_answer(c, &cl2nn_nodes_desc, &answer);
    else
        fake_fail(c, ERR_NONODE, "no further datanode");
    return true;
}

static struct fake_block *fake_block_of(uint64_t id)
{
    for (uint32_t i = 0; i < fake.block_count; i++)
        if (fake.blocks[i].id == id)
            return &fake.blocks[i];
    return NULL;
}

static void fake_commit(const struct msg_block *last)
{
    struct fake_block *b = last->id ? fake_block_of(last->id) : NULL;
    if (b && b->gs == last->gs)
        b->len = last->len;
}

/* Its id is 0 when there is no place for it. */
static struct msg_located_block fake_place(struct fake_conn *c, const struct msg_strs *exclude)
{
    struct fake_block *b = &fake.blocks[fake.block_count];
    *b = (struct fake_block){.id = 1000 + fake.block_count, .gs = fake.next_gs++};
    for (size_t i = 0; i < FAKE_NODES && b->node_count < fake.replication; i++)
        if (!fake_is_among(exclude, fake.nodes[i].name))
            snprintf(b->nodes[b->node_count++], 16, "%s", fake.nodes[i].name);
    if (b->node_count == 0)
        return (struct msg_located_block){0};
    fake.block_count++;
    return fake_locate(c, b, 0);
}

static bool fake_add_block(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_add_block, ask);
    fake.adds++;
    fake_commit(&ask.previous);
    const struct msg_located_block answer = fake_place(c, &ask.exclude);
    if (answer.block.id)
        fake_answer(c, &msg_located_block_desc, &answer);
    else
        fake_fail(c, ERR_NONODE, "File could only be written to 0 of the 1 minReplication nodes.");
    return true;
}

static bool fake_update_pipeline(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_update_pipeline, ask);
    struct fake_block *b = fake_block_of(ask.block.id);
    if (!b || b->gs != ask.block.gs) {
        fake_fail(c, ERR_STALE, "not the stamp of this block");
        return true;
    }
    b->gs = ask.new_gs;
    b->node_count = 0;
    for (size_t i = 0; i < ask.nodes.n; i++)
        snprintf(b->nodes[b->node_count++], 16, SLICE_FMT, SLICE_ARG(ask.nodes.v[i]));
    fake_answer(c, &msg_void_desc, &(struct msg_void){0});
    return true;
}

static bool fake_on_locate(struct fake_conn *c)
{
    FAKE_DECODE(c, cl2nn_locate, ask);
    if (!fake.exists) {
        fake_fail(c, ERR_NOENT, "File does not exist: /f");
        return true;
    }
    struct cl2nn_located answer = {.is_open = !fake.is_complete, .file_id = fake.file_id};
    answer.blocks.v = arena_calloc(&c->arena, FAKE_BLOCKS, sizeof(*answer.blocks.v));
    uint64_t offset = 0;
    for (uint32_t i = 0; i < fake.block_count; i++) {
        const struct fake_block *b = &fake.blocks[i];
        if (b->is_abandoned)
            continue;
        if (offset + b->len > ask.offset || !fake.is_complete)
            answer.blocks.v[answer.blocks.n++] = fake_locate(c, b, offset);
        offset += b->len;
    }
    for (size_t i = 0; fake.nowhere && i < answer.blocks.n; i++)
        answer.blocks.v[i].nodes.n = 0;
    fake.nowhere -= fake.nowhere > 0;
    answer.file_len = offset;
    fake_answer(c, &cl2nn_located_desc, &answer);
    return true;
}

bool fake_namenode(struct fake_conn *c)
{
    const struct msg_void nothing = {0};
    switch (c->frame.type) {
    case CL2NN_CREATE: {
        FAKE_DECODE(c, cl2nn_create, ask);
        struct cl2nn_created answer = {7, fake.replication, fake.block_size, {{0}, 0, false, {0}}};
        if (ask.first.client)
            answer.first = fake_place(c, &(const struct msg_strs){0});
        fake.exists = true;
        fake_answer(c, &cl2nn_created_desc, &answer);
        return true;
    }
    case CL2NN_ADD_BLOCK:
        return fake_add_block(c);
    case CL2NN_ABANDON_BLOCK: {
        FAKE_DECODE(c, cl2nn_abandon_block, ask);
        fake_block_of(ask.block.id)->is_abandoned = true;
        break;
    }
    case CL2NN_NEW_STAMP: {
        fake.stamps++;
        const struct cl2nn_stamped answer = {fake.next_gs++};
        fake_answer(c, &cl2nn_stamped_desc, &answer);
        return true;
    }
    case CL2NN_EXTRA_NODE:
        return fake_extra_node(c);
    case CL2NN_UPDATE_PIPELINE:
        return fake_update_pipeline(c);
    case CL2NN_FLUSHED: {
        FAKE_DECODE(c, cl2nn_flushed, ask);
        fake.flushes++;
        fake_commit(&ask.last);
        break;
    }
    case CL2NN_COMPLETE: {
        FAKE_DECODE(c, cl2nn_complete, ask);
        const struct cl2nn_completed answer = {.is_renamed = false};
        fake_commit(&ask.last);
        fake.is_complete = true;
        fake_answer(c, &cl2nn_completed_desc, &answer);
        return true;
    }
    case CL2NN_LOCATE:
        return fake_on_locate(c);
    case CL2NN_STAT: {
        const struct msg_file answer = {.id = 7, .owner = slice_str("o"), .group = slice_str("g")};
        if (fake.exists)
            fake_answer(c, &msg_file_desc, &answer);
        else
            fake_fail(c, ERR_NOENT, "File does not exist: /f");
        return true;
    }
    case CL2NN_DELETE: {
        const struct cl2nn_yes answer = {fake.exists};
        fake.exists = false;
        fake.deletes++;
        fake_answer(c, &cl2nn_yes_desc, &answer);
        return true;
    }
    case CL2NN_RENEW:
        fake.renews++;
        break;
    case CL2NN_BAD_BLOCK: {
        FAKE_DECODE(c, cl2nn_bad_block, ask);
        fake.bad_reports++;
        snprintf(fake.last_bad, sizeof(fake.last_bad), SLICE_FMT, SLICE_ARG(ask.nodes.v[0]));
        break;
    }
    default:
        fake_fail(c, ERR_UNSUPPORTED, "not here");
        return true;
    }
    fake_answer(c, &msg_void_desc, &nothing);
    return true;
}
