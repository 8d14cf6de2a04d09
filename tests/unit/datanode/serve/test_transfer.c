/* SPDX-License-Identifier: Apache-2.0
 * A further node joins the pipeline of a block that is being written: it gets from a survivor what
 * that one can prove, and is from then on like any other member. */
#include "tests/unit/datanode/serve/serve_fixture.h"

/* What the first node has of block 3, to the second one. */
static int transfer(struct cluster *c, uint64_t gs, uint64_t len, char bad[16])
{
    struct peer p;
    struct msg_node target = msg_node_of(&c->node[1]);
    struct data_transfer ask = {.block = {.id = 3, .gs = gs, .len = len},
                                .block_size = BLOCK_BYTES,
                                .targets = {&target, 1}};
    struct data_writing answer = {0};
    peer_open(&p, c->node[0].address);
    int rc = peer_ask(&p, DATA_AT_TRANSFER, &ask, &answer, NULL);
    if (rc == 0 && answer.bad_node.len > 0)
        rc = (int)answer.code;
    snprintf(bad, 16, SLICE_FMT, SLICE_ARG(answer.bad_node));
    peer_close(&p);
    return rc;
}

/* The first node's writer, with 5820 bytes acknowledged; it stays connected. */
static struct peer write_some(struct cluster *c)
{
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, 5120, 0);
    send_packet(&p, 5120, 700, PACKET_FLUSH);
    expect_acks(&p, 0, 1, 1);
    return p;
}

static void break_off(struct cluster *c)
{
    struct peer p = write_some(c);
    peer_close(&p);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 5820);
}

static void expect_nothing(struct node *n)
{
    for (int i = 0; i < 500 && replica_of(n, 3).id != 0; i++)
        usleep(10000);
    assert_int_equal(replica_of(n, 3).id, 0);
    for (enum dn_dir dir = DN_DIR_RBW; dir <= DN_DIR_TMP; dir++) {
        char *path = file_of(n, dir, 3, 7, false);
        assert_int_equal(access(path, F_OK), -1);
        mem_free(path);
    }
}

static void a_newcomer_gets_what_was_acknowledged_and_joins(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p = write_some(c), again;
    char bad[16];
    assert_int_equal(transfer(c, 7, 5820, bad), 0);
    uint8_t byte; /* the writer there was has been told to end */
    assert_true(sock_recv_some(p.fd, &byte, 1, soon()) < 0);
    peer_close(&p);
    expect_state(&c->node[1], 3, DN_REPLICA_RBW, 7, 5820);
    expect_bytes(&c->node[1], 3, 0, 5820);
    struct chain both = {.cluster = c,
                         .count = 2,
                         .id = 3,
                         .gs = 7,
                         .new_gs = 8,
                         .len = 5820,
                         .stage = DATA_WRITE_RECOVER};
    open_chain(&again, &both);
    stream(&again, 5820, 50001, 2);
    peer_close(&again);
    for (int i = 0; i < 2; i++) {
        expect_state(&c->node[i], 3, DN_REPLICA_FINALIZED, 8, 50001);
        expect_bytes(&c->node[i], 3, 0, 50001);
    }
    cluster_close(c);
}

static void what_a_newcomer_got_is_on_its_disk(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    break_off(c);
    assert_int_equal(transfer(c, 7, 5820, bad), 0);
    assert_true(has_news(&c->node[1], DN_CHANGE_RECEIVING, 3));
    node_close(&c->node[1]);
    node_open(&c->node[1], NULL);
    expect_state(&c->node[1], 3, DN_REPLICA_RWR, 7, 5820);
    cluster_close(c);
}

static void an_empty_one_can_be_joined_too(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    char bad[16];
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&p, &chain);
    peer_close(&p);
    expect_state(&c->node[0], 3, DN_REPLICA_RBW, 7, 0);
    assert_int_equal(transfer(c, 7, 0, bad), 0);
    expect_state(&c->node[1], 3, DN_REPLICA_RBW, 7, 0);
    cluster_close(c);
}

static void a_block_whose_close_failed_elsewhere_is_sent_from_its_place(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    write_block(c, 3, 7, 6000, 1);
    assert_int_equal(transfer(c, 7, 5000, bad), 0);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 7, 6000);
    expect_state(&c->node[1], 3, DN_REPLICA_RBW, 7, 6000);
    cluster_close(c);
}

/* Bytes that no longer agree with their checksums never reach another node. */
static void a_sender_whose_bytes_are_wrong_blames_itself(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    break_off(c);
    char *path = file_of(&c->node[0], DN_DIR_RBW, 3, 7, false);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff\x00", 2, 2000), 2);
    close(fd);
    mem_free(path);
    assert_int_equal(transfer(c, 7, 5820, bad), ERR_CHECKSUM);
    assert_string_equal(bad, "dn1");
    expect_nothing(&c->node[1]);
    cluster_close(c);
}

static void a_sender_that_has_less_than_was_acknowledged_blames_itself(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    break_off(c);
    assert_int_equal(transfer(c, 7, 5821, bad), ERR_CHECKSUM);
    assert_string_equal(bad, "dn1");
    expect_nothing(&c->node[1]);
    cluster_close(c);
}

static void what_is_damaged_on_its_way_leaves_nothing_at_the_newcomer(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    break_off(c);
    assert_int_equal(fault_arm("dn.copy.packet=1:corrupt", NULL), 0);
    assert_int_equal(transfer(c, 7, 5820, bad), ERR_CHECKSUM);
    (void)fault_arm(NULL, NULL);
    assert_string_equal(bad, "dn2");
    expect_nothing(&c->node[1]);
    assert_int_equal(transfer(c, 7, 5820, bad), 0);
    cluster_close(c);
}

static void a_connection_that_breaks_leaves_nothing_at_the_newcomer(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    break_off(c);
    assert_int_equal(fault_arm("dn.copy.packet=1:drop", NULL), 0);
    assert_true(transfer(c, 7, 5820, bad) < 0);
    (void)fault_arm(NULL, NULL);
    expect_nothing(&c->node[1]);
    cluster_close(c);
}

static void a_newcomer_that_has_the_block_already_is_named(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    char bad[16];
    break_off(c);
    assert_int_equal(transfer(c, 7, 5820, bad), 0);
    assert_int_equal(transfer(c, 7, 5820, bad), ERR_EXIST);
    assert_string_equal(bad, "dn2");
    cluster_close(c);
}

static void only_a_member_of_the_pipeline_sends(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(2, NULL);
    struct peer p;
    char bad[16];
    assert_int_equal(transfer(c, 7, 0, bad), ERR_NOENT);
    break_off(c);
    assert_int_equal(transfer(c, 8, 5820, bad), ERR_STALE);
    struct data_recover_init init = {.block = {.id = 3}, .new_gs = 9};
    struct data_replica vote = {0};
    peer_open(&p, c->node[0].address);
    assert_int_equal(peer_ask(&p, DATA_AT_RECOVER_INIT, &init, &vote, NULL), 0);
    peer_close(&p);
    assert_int_equal(transfer(c, 7, 5820, bad), ERR_BUSY);
    node_close(&c->node[0]);
    node_open(&c->node[0], NULL);
    assert_int_equal(transfer(c, 7, 5820, bad), ERR_INVAL); /* RWR */
    expect_nothing(&c->node[1]);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        OVER_TCP(a_newcomer_gets_what_was_acknowledged_and_joins),
        OVER_TCP(what_a_newcomer_got_is_on_its_disk),
        OVER_TCP(an_empty_one_can_be_joined_too),
        OVER_TCP(a_block_whose_close_failed_elsewhere_is_sent_from_its_place),
        OVER_TCP(a_sender_whose_bytes_are_wrong_blames_itself),
        OVER_TCP(a_sender_that_has_less_than_was_acknowledged_blames_itself),
        OVER_TCP(what_is_damaged_on_its_way_leaves_nothing_at_the_newcomer),
        OVER_TCP(a_connection_that_breaks_leaves_nothing_at_the_newcomer),
        OVER_TCP(a_newcomer_that_has_the_block_already_is_named),
        OVER_TCP(only_a_member_of_the_pipeline_sends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
