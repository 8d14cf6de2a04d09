/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datanode/serve/serve_fixture.h"

static int init(struct cluster *c, uint64_t id, uint64_t new_gs, struct data_replica *ret)
{
    struct peer p;
    struct data_recover_init ask = {.block = {.id = id}, .new_gs = new_gs};
    struct data_replica answer = {0};
    peer_open(&p, c->node[0].address);
    int rc = peer_ask(&p, DATA_AT_RECOVER_INIT, &ask, &answer, NULL);
    peer_close(&p);
    if (ret)
        *ret = answer;
    return rc;
}

static int commit(struct cluster *c, uint64_t id, uint64_t new_gs, uint64_t new_len)
{
    struct peer p;
    struct data_recover_commit ask = {.block = {.id = id}, .new_gs = new_gs, .new_len = new_len};
    struct msg_void answer;
    peer_open(&p, c->node[0].address);
    int rc = peer_ask(&p, DATA_AT_RECOVER_COMMIT, &ask, &answer, NULL);
    peer_close(&p);
    return rc;
}

static void break_off(struct cluster *c, uint64_t id, uint64_t len)
{
    struct peer p;
    struct chain chain = {.cluster = c, .count = 1, .id = id, .gs = 7};
    open_chain(&p, &chain);
    send_packet(&p, 0, (size_t)len, 0);
    expect_acks(&p, 0, 0, 1);
    peer_close(&p);
    expect_state(&c->node[0], id, DN_REPLICA_RBW, 7, len);
}

static void a_writer_is_stopped_and_what_it_left_is_finalized(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer writer;
    struct data_replica vote;
    struct chain chain = {.cluster = c, .count = 1, .id = 3, .gs = 7};
    open_chain(&writer, &chain);
    send_packet(&writer, 0, 6000, 0);
    expect_acks(&writer, 0, 0, 1);
    assert_int_equal(init(c, 3, 9, &vote), 0);
    assert_int_equal(vote.state, DN2NN_RBW);
    assert_int_equal(vote.block.len, 6000);
    assert_int_equal(vote.block.gs, 7);
    uint8_t byte;
    assert_true(sock_recv_some(writer.fd, &byte, 1, soon()) < 0);
    expect_state(&c->node[0], 3, DN_REPLICA_RUR, 7, 6000);
    assert_int_equal(commit(c, 3, 9, 5000), 0);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 9, 5000);
    expect_bytes(&c->node[0], 3, 0, 5000);
    assert_true(has_news(&c->node[0], DN_CHANGE_RECEIVED, 3));
    peer_close(&writer);
    node_close(&c->node[0]); /* and it is durable */
    node_open(&c->node[0], NULL);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 9, 5000);
    cluster_close(c);
}

static void nobody_writes_on_under_a_promise(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct peer p;
    struct data_writing answer = {0};
    break_off(c, 3, 6000);
    assert_int_equal(init(c, 3, 9, NULL), 0);
    struct chain chain = {.cluster = c,
                          .count = 1,
                          .id = 3,
                          .gs = 7,
                          .new_gs = 10,
                          .len = 5000,
                          .stage = DATA_WRITE_RECOVER};
    assert_int_equal(ask_chain(&p, &chain, &answer, NULL), 0);
    assert_int_equal(answer.code, ERR_BUSY);
    peer_close(&p);
    expect_bytes(&c->node[0], 3, 0, 6000); /* but it can be read */
    cluster_close(c);
}

static void an_overtaken_recovery_changes_nothing(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    break_off(c, 3, 6000);
    assert_int_equal(commit(c, 3, 8, 6000), ERR_STALE); /* nothing was promised */
    assert_int_equal(init(c, 3, 7, NULL), ERR_STALE);
    assert_int_equal(init(c, 3, 8, NULL), 0);
    assert_int_equal(init(c, 3, 9, NULL), 0);
    assert_int_equal(init(c, 3, 9, NULL), ERR_STALE);
    assert_int_equal(commit(c, 3, 8, 6000), ERR_STALE);
    assert_int_equal(commit(c, 3, 9, 6001), ERR_EOF);
    assert_int_equal(commit(c, 3, 9, 6000), 0);
    assert_int_equal(commit(c, 3, 9, 5000), ERR_STALE);
    assert_int_equal(init(c, 4, 9, NULL), ERR_NOENT);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 9, 6000);
    cluster_close(c);
}

/* Whatever step of a commit fails, the replica is found, and all of it, by the recovery that is
 * tried next: a vote for nothing would lose what was flushed. */
static void a_commit_that_failed_is_made_up_for_by_the_next_recovery(void **state)
{
    (void)state;
    static const char *const points[] = {"disk.write",       "disk.fsync",    "disk.rename",
                                         "disk.rename.done", "disk.truncate", "disk.fsyncdir",
                                         "disk.open"};
    struct cluster *c = cluster_open(1, NULL);
    uint64_t id = 100;
    unsigned failures = 0;
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        int rc = 1;
        for (unsigned n = 1; rc != 0; n++, id++) {
            char fault[40];
            struct data_replica vote = {0};
            snprintf(fault, sizeof(fault), "%s=%u:eio", points[i], n);
            break_off(c, id, 6000);
            assert_int_equal(init(c, id, 9, NULL), 0);
            assert_int_equal(fault_arm(fault, NULL), 0);
            rc = commit(c, id, 9, 5000);
            assert_int_equal(fault_arm("", NULL), 0);
            if (rc == 0)
                continue;
            failures++;
            assert_int_equal(init(c, id, 10, &vote), 0);
            assert_in_range(vote.block.len, 5000, 6000);
            assert_int_equal(commit(c, id, 10, 5000), 0);
            expect_state(&c->node[0], id, DN_REPLICA_FINALIZED, 10, 5000);
            expect_bytes(&c->node[0], id, 0, 5000);
            assert_true(n < 20);
        }
    }
    assert_true(failures > 6);
    cluster_close(c);
}

static void a_promise_does_not_outlive_a_restart(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct data_replica vote;
    break_off(c, 3, 6000);
    assert_int_equal(init(c, 3, 9, NULL), 0);
    node_close(&c->node[0]);
    node_open(&c->node[0], NULL);
    assert_int_equal(commit(c, 3, 9, 6000), ERR_STALE);
    assert_int_equal(init(c, 3, 10, &vote), 0);
    assert_int_equal(vote.state, DN2NN_RWR);
    assert_int_equal(vote.block.len, 6000);
    assert_int_equal(commit(c, 3, 10, 6000), 0);
    expect_bytes(&c->node[0], 3, 0, 6000);
    cluster_close(c);
}

/* Wrong bytes must not become the agreed ones. */
static void a_replica_votes_only_for_bytes_it_can_prove(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct data_replica vote;
    break_off(c, 3, 6000);
    char *path = file_of(&c->node[0], DN_DIR_RBW, 3, 7, false);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xff\xfe\xfd", 3, 4000), 3);
    close(fd);
    mem_free(path);
    assert_int_equal(init(c, 3, 9, &vote), 0);
    assert_int_equal(vote.block.len, 4000 / 512 * 512);
    assert_int_equal(commit(c, 3, 9, 3000), 0);
    expect_bytes(&c->node[0], 3, 0, 3000);
    cluster_close(c);
}

static void damage_between_the_two_halves_is_seen_at_the_second(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    break_off(c, 3, 6000);
    assert_int_equal(init(c, 3, 9, NULL), 0);
    assert_int_equal(fault_arm("dn.verify=1:corrupt", NULL), 0);
    assert_int_equal(commit(c, 3, 9, 6000), ERR_CHECKSUM);
    assert_int_equal(fault_arm(NULL, NULL), 0);
    expect_state(&c->node[0], 3, DN_REPLICA_RUR, 7, 6000);
    cluster_close(c);
}

static void a_finalized_block_takes_the_stamp_and_keeps_its_bytes(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    struct data_replica vote;
    write_block(c, 3, 7, 6001, 1);
    assert_int_equal(init(c, 3, 9, &vote), 0);
    assert_int_equal(vote.state, DN2NN_FINALIZED);
    assert_int_equal(vote.block.len, 6001);
    expect_bytes(&c->node[0], 3, 0, 6001); /* readers do not notice */
    assert_int_equal(commit(c, 3, 9, 6000), ERR_INVAL);
    assert_int_equal(commit(c, 3, 9, 6001), 0);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 9, 6001);
    expect_bytes(&c->node[0], 3, 0, 6001);
    node_close(&c->node[0]);
    node_open(&c->node[0], NULL);
    expect_state(&c->node[0], 3, DN_REPLICA_FINALIZED, 9, 6001);
    cluster_close(c);
}

static void a_damaged_finalized_block_has_no_vote(void **state)
{
    (void)state;
    struct cluster *c = cluster_open(1, NULL);
    write_block(c, 3, 7, 6001, 1);
    flip_byte(&c->node[0], 3, 7, false, 5000);
    assert_int_equal(init(c, 3, 9, NULL), ERR_CHECKSUM);
    expect_news(&c->node[0], DN_CHANGE_BAD, 3);
    cluster_close(c);
}

int main(void)
{
    if (!getenv("TEST_VERBOSE"))
        log_set_level(LOG_ERROR_ + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_writer_is_stopped_and_what_it_left_is_finalized),
        cmocka_unit_test(nobody_writes_on_under_a_promise),
        cmocka_unit_test(an_overtaken_recovery_changes_nothing),
        cmocka_unit_test(a_commit_that_failed_is_made_up_for_by_the_next_recovery),
        cmocka_unit_test(a_promise_does_not_outlive_a_restart),
        cmocka_unit_test(a_replica_votes_only_for_bytes_it_can_prove),
        cmocka_unit_test(damage_between_the_two_halves_is_seen_at_the_second),
        cmocka_unit_test(a_finalized_block_takes_the_stamp_and_keeps_its_bytes),
        cmocka_unit_test(a_damaged_finalized_block_has_no_vote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
