/* SPDX-License-Identifier: Apache-2.0
 * fixture: a block side with datanodes that say what a test tells them to say. Node i (from 1) is
 * "dn<i>", has one storage "s<i>", and stands in rack "/r<(i - 1) % racks>". Time is a variable. */
#ifndef QUERN_TEST_NN_BLOCKS_FIXTURE_H
#define QUERN_TEST_NN_BLOCKS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "namenode/blocks/events.h"

#define GIB      (1ULL << 30)
#define TEST_LEN 1000
#define FIRST_ID 1001
#define FIRST_GS 11

struct world {
    struct nn_blocks b;
    uint64_t now_ms;
    unsigned racks;
    /* what the hooks told */
    uint32_t ready[64], stamps[64];
    size_t ready_count, stamp_count;
    struct nn_recovered recovered[16];
    size_t recovered_count;
};

static inline void on_ready(void *ctx, uint32_t block)
{
    struct world *w = ctx;
    w->ready[w->ready_count++] = block;
}
static inline void on_recovered(void *ctx, const struct nn_recovered *result)
{
    struct world *w = ctx;
    w->recovered[w->recovered_count++] = *result;
}
static inline void need_stamp(void *ctx, uint32_t block)
{
    struct world *w = ctx;
    w->stamps[w->stamp_count++] = block;
}

/* Everything loaded, safe mode off at the first step, no settling time. */
static inline void world_init(struct world *w, unsigned racks)
{
    struct nn_blocks_conf conf;
    *w = (struct world){.now_ms = 1000, .racks = racks};
    nn_blocks_conf_init(&conf);
    conf.settle_ms = 0;
    conf.safemode_extension_ms = 0;
    const struct nn_blocks_hooks hooks = {w, on_ready, on_recovered, need_stamp};
    assert_int_equal(nn_blocks_init(&w->b, &conf, &hooks, 1, w->now_ms), 0);
}

static inline uint32_t world_register(struct world *w, unsigned i)
{
    char name[16], id[16], rack[16], uuid[16];
    uint32_t node = 0;
    struct err err = {0};
    snprintf(name, sizeof(name), "dn%u", i);
    snprintf(id, sizeof(id), "s%u", i);
    snprintf(uuid, sizeof(uuid), "u%u", i);
    snprintf(rack, sizeof(rack), "/r%u", (i - 1) % w->racks);
    struct nn_storage_facts facts = {slice_str(id), false, 100 * GIB, 0, 100 * GIB};
    struct nn_registration reg = {.address = {.name = slice_str(name),
                                              .host = slice_str("127.0.0.1"),
                                              .rack = slice_str(rack),
                                              .data_port = 9866},
                                  .uuid = slice_str(uuid),
                                  .storages = &facts,
                                  .storage_count = 1};
    assert_int_equal(nn_blocks_register(&w->b, &reg, w->now_ms, &node, &err), 0);
    return node;
}

static inline struct slice storage_id(unsigned i)
{
    static char ids[100][16];
    snprintf(ids[i], sizeof(ids[i]), "s%u", i);
    return slice_str(ids[i]);
}

static inline struct nn_storage *storage_of(struct world *w, unsigned i)
{
    return nn_nodes_find_storage(&w->b.nodes, storage_id(i));
}

/* A whole report of node i: these blocks, finalized. */
static inline int world_report(struct world *w, unsigned i, const struct nn_said *said, size_t n)
{
    uint64_t ids[64], stamps[64], lens[64], states[64];
    static uint64_t report_id;
    for (size_t k = 0; k < n; k++) {
        ids[k] = said[k].id;
        stamps[k] = said[k].gs;
        lens[k] = said[k].len;
        states[k] = said[k].state;
    }
    struct nn_report_page page = {++report_id, 0, true, ids, stamps, lens, states, n};
    return nn_blocks_report(&w->b, storage_of(w, i)->node, storage_id(i), &page, w->now_ms);
}

/* n nodes, registered, having reported nothing; loaded. */
static inline void world_start(struct world *w, unsigned racks, unsigned n)
{
    world_init(w, racks);
    nn_blocks_loaded(&w->b, 0, w->now_ms);
    for (unsigned i = 1; i <= n; i++) {
        world_register(w, i);
        assert_int_equal(world_report(w, i, NULL, 0), 0);
    }
    assert_int_equal(nn_blocks_step(&w->b, w->now_ms), 0);
    assert_false(nn_safemode_is_on(&w->b.safemode));
}

static inline void world_release(struct world *w)
{
    nn_blocks_release(&w->b);
}

static inline uint32_t add_block(struct world *w, uint64_t id, uint16_t want)
{
    struct nn_block block = {.id = id, .gs = FIRST_GS, .want = want, .file = 7};
    uint32_t index = 0;
    assert_int_equal(nn_blocks_add(&w->b, &block, NN_BLOCK_NONE, &index), 0);
    return index;
}

static inline int say(struct world *w, unsigned i, enum nn_change change, uint64_t id, uint64_t gs,
                      uint64_t len)
{
    struct nn_said said = {id, gs, len, NN_REPLICA_FINALIZED};
    return nn_blocks_change(&w->b, storage_of(w, i)->node, storage_id(i), change, &said, w->now_ms);
}

static inline void received(struct world *w, unsigned i, uint64_t id, uint64_t gs)
{
    assert_int_equal(say(w, i, NN_CHANGE_RECEIVED, id, gs, TEST_LEN), 0);
}

/* A complete block on nodes first .. first + count - 1. */
static inline uint32_t settled_block(struct world *w, uint64_t id, uint16_t want, unsigned first,
                                     unsigned count)
{
    uint32_t index = add_block(w, id, want);
    assert_int_equal(nn_blocks_commit(&w->b, index, FIRST_GS, TEST_LEN), 0);
    nn_blocks_complete(&w->b, index);
    for (unsigned i = first; i < first + count; i++)
        received(w, i, id, FIRST_GS);
    return index;
}

static inline void beat(struct world *w, unsigned i)
{
    struct nn_heartbeat quiet = {NULL, 0, 0, 0};
    if (!storage_of(w, i))
        return; /* never came */
    uint32_t node = storage_of(w, i)->node;
    bool is_dead = nn_nodes_get(&w->b.nodes, node)->state == NN_NODE_DEAD;
    assert_int_equal(nn_blocks_heartbeat(&w->b, node, &quiet, w->now_ms), !is_dead);
}

/* Let time pass in steps of a second; nodes in the bit set `alive` beat. */
static inline void pass(struct world *w, uint64_t ms, uint64_t alive)
{
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        w->now_ms += 1000;
        for (unsigned i = 1; i < 64; i++)
            if (alive >> i & 1)
                beat(w, i);
        assert_int_equal(nn_blocks_step(&w->b, w->now_ms), 0);
    }
}

/* The next order of this kind, others thrown away; the caller frees it. NULL when there is none. */
static inline struct nn_order *next_order(struct world *w, enum nn_order_kind kind)
{
    struct nn_order *order = NULL;
    while ((order = nn_blocks_take_order(&w->b)) != NULL && order->kind != kind)
        nn_order_free(order);
    return order;
}

static inline void no_order(struct world *w, enum nn_order_kind kind)
{
    struct nn_order *order = next_order(w, kind);
    assert_null(order);
}

#endif
