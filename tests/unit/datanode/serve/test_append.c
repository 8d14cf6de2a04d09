/* SPDX-License-Identifier: Apache-2.0
 * append: blocks that begin as a copy of a finalized one, for a writer (WRITE with a base) and for
 * the namenode (clone). Ids that differ by 256 have the same bytes here. */
#include "tests/unit/datanode/serve/serve_fixture.h"

#include "datanode/storage/clone.h"

#define OLD 1U
#define NEW 257U

static struct chain on_top_of(struct cluster *c, int count, uint64_t len)
{
    return (struct chain){.cluster = c,
                          .count = count,
                          .id = NEW,
                          .gs = 9,
                          .len = len,
                          .base = {.id = OLD, .gs = 7, .len = len}};
}

static void appended_bytes_follow_a_copy_of_the_old_block(void **state)
{
    (void)state;
    static const uint64_t lens[] = {1, 511, 512, 513, 100000, 3000001};
    struct cluster *c = cluster_open(2, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(lens); i++) {
        struct peer p;
        struct chain chain = on_top_of(c, 2, lens[i]);
        chain.id += i;
        chain.base.id += i;
        write_block(c, OLD + i, 7, lens[i], 2);
        open_chain(&p, &chain);
        expect_bytes(&c->node[1], NEW + i, 0, lens[i]); /* readable before anything was sent */
        stream(&p, lens[i], lens[i] + 5000, 2);
        peer_close(&p);
        for (int n = 0; n < 2; n++) {
            expect_state(&c->node[n], NEW + i, DN_REPLICA_FINALIZED, 9, lens[i] + 5000);
            expect_bytes(&c->node[n], NEW + i, 0, lens[i] + 5000);
            expect_state(&c->node[n], OLD + i, DN_REPLICA_FINALIZED, 7, lens[i]);
            expect_bytes(&c->node[n], OLD + i, 0, lens[i]);
        }
    }
    cluster_close(c);
}

static void a_writer_who_goes_leaves_at_least_the_copied_bytes(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct chain chain = on_top_of(c, 1, 1000);
    write_block(c, OLD, 7, 1000, 1);
    open_chain(&p, &chain);
    peer_close(&p);
    expect_state(&c->node[0], NEW, DN_REPLICA_RBW, 9, 1000);
    expect_bytes(&c->node[0], NEW, 0, 1000);
    cluster_close(c);
}

/* Of two who append, one may know a length that is not true any more. */
static void a_base_that_is_not_as_the_writer_knows_it_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    write_block(c, OLD, 7, 1000, 2);
    const struct {
        struct msg_block base;
        int code;
    } cases[] = {{{OLD, 6, 1000}, ERR_STALE},
                 {{OLD, 8, 1000}, ERR_STALE},
                 {{OLD, 7, 999}, ERR_STALE},
                 {{OLD, 7, 1001}, ERR_STALE},
                 {{OLD + 1, 7, 1000}, ERR_NOENT}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct peer p;
        struct data_writing answer = {0};
        struct chain chain = on_top_of(c, 2, 1000);
        chain.base = cases[i].base;
        assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
        assert_true(slice_is(answer.bad_node, c->node[0].name));
        assert_int_equal(answer.code, cases[i].code);
        peer_close(&p);
        assert_int_equal(replica_of(&c->node[0], NEW).id, 0);
    }
    expect_state(&c->node[0], OLD, DN_REPLICA_FINALIZED, 7, 1000);
    cluster_close(c);
}

static void what_makes_no_sense_as_a_base_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, OLD, 7, 1000, 1);
    for (int i = 0; i < 3; i++) {
        struct peer p;
        struct data_writing answer = {0};
        struct chain chain = on_top_of(c, 1, 1000);
        if (i == 0)
            chain.base.len = 0;
        if (i == 1)
            chain.base.len = BLOCK_BYTES + 1;
        if (i == 2)
            chain.id = OLD;
        assert_int_equal(ask_chain(&p, &chain, &answer, NULL), ERR_INVAL);
        peer_close(&p);
    }
    cluster_close(c);
}

static void a_node_whose_copy_is_damaged_says_so_and_is_blamed(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    struct data_writing answer = {0};
    struct chain chain = on_top_of(c, 2, 100000);
    write_block(c, OLD, 7, 100000, 2);
    flip_byte(&c->node[1], OLD, 7, false, 77777);
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
    assert_true(slice_is(answer.bad_node, c->node[1].name));
    assert_int_equal(answer.code, ERR_CHECKSUM);
    peer_close(&p);
    expect_news(&c->node[1], DN_CHANGE_BAD, OLD);
    wait_idle(&c->node[0]);
    wait_idle(&c->node[1]);
    assert_int_equal(replica_of(&c->node[0], NEW).id, 0);
    assert_int_equal(replica_of(&c->node[1], NEW).id, 0);
    assert_false(has_news(&c->node[0], DN_CHANGE_BAD, OLD));
    cluster_close(c);
}

/* ---- clones ---- */

struct cloning {
    struct dn_clone_ask ask;
    int code;
};

static void clone_on_loop(struct node *n, void *arg)
{
    struct cloning *cloning = arg;
    struct err err = {0};
    cloning->code = dn_clone_begin(n->storage, &cloning->ask, &err);
}

static int make_clone(struct node *n, uint64_t from_len, uint64_t len)
{
    struct cloning cloning = {.ask = {{OLD, 7}, {NEW + (len << 8), 9}, from_len, len}};
    on_loop(n, clone_on_loop, &cloning);
    return cloning.code;
}

static void a_clone_is_the_beginning_of_a_block_and_finalized(void **state)
{
    (void)state;
    static const uint64_t lens[] = {1, 511, 512, 513, 99999, 100000};
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, OLD, 7, 100000, 1);
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        uint64_t id = NEW + (lens[i] << 8);
        assert_int_equal(make_clone(&c->node[0], 100000, lens[i]), 0);
        assert_int_equal(make_clone(&c->node[0], 100000, lens[i]), 0); /* again while it is made */
        expect_state(&c->node[0], id, DN_REPLICA_FINALIZED, 9, lens[i]);
        expect_news(&c->node[0], DN_CHANGE_RECEIVED, id);
        expect_bytes(&c->node[0], id, 0, lens[i]);
        expect_bytes(&c->node[0], OLD, 0, 100000);
        assert_int_equal(make_clone(&c->node[0], 100000, lens[i]), 0); /* and when it is there */
    }
    cluster_close(c);
}

static void a_clone_of_what_is_not_here_as_it_should_be_is_refused(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    assert_int_equal(make_clone(&c->node[0], 1000, 10), ERR_NOENT);
    write_block(c, OLD, 7, 1000, 1);
    assert_int_equal(make_clone(&c->node[0], 999, 10), ERR_NOENT);
    assert_int_equal(make_clone(&c->node[0], 1000, 1001), ERR_INVAL);
    assert_int_equal(make_clone(&c->node[0], 1000, 0), ERR_INVAL);
    assert_int_equal(replica_of(&c->node[0], NEW).id, 0);
    cluster_close(c);
}

static void a_clone_of_damaged_bytes_is_not_made_and_told(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, OLD, 7, 100000, 1);
    flip_byte(&c->node[0], OLD, 7, false, 400);
    assert_int_equal(make_clone(&c->node[0], 100000, 5000), 0);
    expect_news(&c->node[0], DN_CHANGE_BAD, OLD);
    for (int i = 0; i < 500 && replica_of(&c->node[0], NEW + (5000U << 8)).id != 0; i++)
        usleep(10000);
    assert_int_equal(replica_of(&c->node[0], NEW + (5000U << 8)).id, 0);
    cluster_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(appended_bytes_follow_a_copy_of_the_old_block),
        BOTH_WAYS(a_writer_who_goes_leaves_at_least_the_copied_bytes),
        OVER_TCP(a_base_that_is_not_as_the_writer_knows_it_is_refused),
        OVER_TCP(what_makes_no_sense_as_a_base_is_refused),
        OVER_TCP(a_node_whose_copy_is_damaged_says_so_and_is_blamed),
        OVER_TCP(a_clone_is_the_beginning_of_a_block_and_finalized),
        OVER_TCP(a_clone_of_what_is_not_here_as_it_should_be_is_refused),
        OVER_TCP(a_clone_of_damaged_bytes_is_not_made_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
