/* SPDX-License-Identifier: Apache-2.0
 * A datanode that fails while a block is written is replaced by another: as the policy says, by one
 * that has what was acknowledged, and never at the price of the write. */
#include "tests/unit/client/lib/fake_cluster.h"

#define POLICY "dfs.client.block.write.replace-datanode-on-failure.policy"
#define EFFORT "dfs.client.block.write.replace-datanode-on-failure.best-effort"
#define SIZE   900000U

static struct qn_error error;
static uint8_t bytes[SIZE];

static int set_up(void **state)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)hash_u64(i + 1);
    return fake_set_up(state);
}

static struct qn_file *create(struct qn_fs *fs)
{
    struct qn_file *file = qn_open(fs, "/f", QN_WRITE, NULL, &error);
    if (!file)
        fail_msg("create: %s", error.message);
    return file;
}

static void put(struct qn_file *file, size_t from, size_t to)
{
    if (qn_write(file, bytes + from, to - from, &error) != (ssize_t)(to - from))
        fail_msg("write: %s", error.message);
}

static void flush(struct qn_file *file)
{
    if (qn_hflush(file, &error) != 0)
        fail_msg("hflush: %s", error.message);
}

/* A third of the file, flushed or not; then `fails` of the nodes fail; then the rest. */
static void write_through_failure(struct qn_fs *fs, bool is_flushed, unsigned fails)
{
    struct qn_file *file = create(fs);
    put(file, 0, SIZE / 3);
    if (is_flushed)
        flush(file);
    mutex_lock(&fake.lock);
    for (unsigned i = 0; i < fails; i++) {
        fake.nodes[i].fail_packet = is_flushed ? 1 : 2;
        fake.nodes[i].fail_code = ERR_IO;
    }
    mutex_unlock(&fake.lock);
    put(file, SIZE / 3, SIZE);
    if (qn_close(file, &error) != 0)
        fail_msg("close: %s", error.message);
}

/* Which nodes hold all of the block, finalized, under its stamp: as bits. */
static unsigned holders(void)
{
    const struct fake_block *block = &fake.blocks[fake.block_count - 1];
    unsigned bits = 0;
    for (unsigned n = 0; n < FAKE_ALL; n++) {
        struct fake_replica *r = fake_replica_of(&fake.nodes[n], block->id, false);
        if (r && r->is_final && r->gs == block->gs && r->data.len == SIZE &&
            memcmp(r->data.data, bytes, SIZE) == 0)
            bits |= 1U << n;
    }
    return bits;
}

static void one_of_three_is_not_replaced_while_nobody_counts_on_the_block(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    write_through_failure(fs, false, 1);
    assert_int_equal(fake.extras, 0);
    assert_int_equal(holders(), 6);
    qn_fs_close(fs);
}

static void one_of_three_is_replaced_in_a_block_that_was_flushed(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    write_through_failure(fs, true, 1);
    assert_int_equal(fake.extras, 1);
    assert_int_equal(fake.nodes[1].transfers, 1);
    assert_int_equal(holders(), 6 + 8);
    qn_fs_close(fs);
}

static void when_two_of_three_fail_one_is_replaced(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    write_through_failure(fs, false, 2);
    assert_int_equal(holders(), 4 + 8);
    qn_fs_close(fs);
}

static void two_replicas_are_no_reason_to_replace(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    fake.replication = 2;
    write_through_failure(fs, true, 1);
    assert_int_equal(fake.extras, 0);
    assert_int_equal(holders(), 2);
    qn_fs_close(fs);
}

static void the_policy_may_be_always_or_never(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect_with(NULL, POLICY, "ALWAYS");
    fake.spares = 2;
    fake.replication = 2;
    write_through_failure(fs, false, 1);
    assert_int_equal(holders(), 2 + 4);
    qn_fs_close(fs);
    fake_reset();
    fake.spares = 2;
    fs = fake_connect_with(NULL, POLICY, "NEVER");
    write_through_failure(fs, true, 2);
    assert_int_equal(fake.extras, 0);
    assert_int_equal(holders(), 4);
    qn_fs_close(fs);
}

static void a_newcomer_that_fails_is_left_out_for_another(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    fake.nodes[3].refuses = true;
    write_through_failure(fs, true, 1);
    assert_int_equal(fake.extras, 2);
    assert_int_equal(holders(), 6 + 16);
    qn_fs_close(fs);
}

static void a_survivor_that_lost_its_bytes_is_dropped_too(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    fake.nodes[1].loses = true;
    write_through_failure(fs, true, 1);
    assert_int_equal(fake.nodes[1].transfers, 1);
    assert_int_equal(fake.nodes[2].transfers, 2);
    assert_int_equal(holders(), 4 + 8 + 16);
    qn_fs_close(fs);
}

static void without_another_node_the_write_goes_on_with_those_left(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    write_through_failure(fs, true, 2);
    assert_true(fake.extras > 0);
    assert_int_equal(holders(), 4);
    qn_fs_close(fs);
}

static void or_fails_and_names_the_key_when_it_is_told_to(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect_with(NULL, EFFORT, "false");
    struct qn_file *file = create(fs);
    put(file, 0, SIZE / 3);
    flush(file);
    fake.nodes[0].fail_packet = 1;
    fake.nodes[0].fail_code = ERR_IO;
    put(file, SIZE / 3, SIZE / 3 + 100);
    assert_int_equal(qn_hflush(file, &error), ERR_NONODE);
    assert_non_null(strstr(error.message, "has 2 datanodes left of 3"));
    assert_non_null(strstr(error.message, EFFORT));
    assert_int_not_equal(qn_close(file, &error), 0);
    qn_fs_close(fs);
}

/* Whoever sends on what is damaged is moved to where he sends nothing; nobody is lost. */
static void a_faulty_sender_costs_no_healthy_receiver(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create(fs);
    fake.nodes[1].fail_packet = 1; /* finds damaged what node 0 sent on */
    fake.nodes[1].fail_code = ERR_CHECKSUM;
    put(file, 0, SIZE);
    if (qn_close(file, &error) != 0)
        fail_msg("close: %s", error.message);
    assert_int_equal(holders(), 7);
    assert_string_equal(fake.blocks[0].nodes[0], "n1");
    assert_string_equal(fake.blocks[0].nodes[2], "n0");
    qn_fs_close(fs);
}

/* The replicas of the block as far as it is flushed, of those the namenode knows: how many are
 * right? */
static unsigned right_ones(size_t len)
{
    const struct fake_block *block = &fake.blocks[fake.block_count - 1];
    unsigned right = 0;
    for (unsigned i = 0; i < block->node_count; i++)
        for (unsigned n = 0; n < FAKE_ALL; n++) {
            struct fake_replica *r = fake_replica_of(&fake.nodes[n], block->id, false);
            right += strcmp(fake.nodes[n].name, block->nodes[i]) == 0 && r && r->data.len >= len &&
                     memcmp(r->data.data, bytes, len) == 0;
        }
    return right;
}

/* Node 0 sends what is damaged, and writes it, too: at the end of the chain nobody sees that. */
static struct qn_file *write_with_bad_memory(struct qn_fs *fs)
{
    struct qn_file *file = create(fs);
    put(file, 0, SIZE / 3);
    flush(file);
    fake.nodes[0].has_bad_memory = true;
    fake.nodes[1].fail_packet = 1;
    fake.nodes[1].fail_code = ERR_CHECKSUM;
    put(file, SIZE / 3, SIZE / 2);
    return file;
}

static void a_flush_counts_on_no_replica_of_a_faulty_sender(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    fake.spares = 2;
    struct qn_file *file = write_with_bad_memory(fs);
    flush(file);
    assert_int_equal(right_ones(SIZE / 2), 3);
    put(file, SIZE / 2, SIZE);
    if (qn_close(file, &error) != 0)
        fail_msg("close: %s", error.message);
    assert_int_equal(holders(), 6 + 8);
    qn_fs_close(fs);
}

static void without_another_node_a_faulty_sender_proves_what_he_has(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = write_with_bad_memory(fs);
    flush(file); /* he cannot: he is left out */
    assert_int_equal(right_ones(SIZE / 2), 2);
    assert_int_equal(fake.blocks[0].node_count, 2);
    put(file, SIZE / 2, SIZE);
    if (qn_close(file, &error) != 0)
        fail_msg("close: %s", error.message);
    assert_int_equal(holders(), 6);
    qn_fs_close(fs);
}

static void a_block_is_not_finished_with_a_replica_in_doubt(void **state)
{
    (void)state;
    struct qn_fs *fs = fake_connect(NULL);
    struct qn_file *file = create(fs);
    fake.nodes[0].has_bad_memory = true;
    fake.nodes[1].fail_packet = 2;
    fake.nodes[1].fail_code = ERR_CHECKSUM;
    put(file, 0, SIZE);
    if (qn_close(file, &error) != 0)
        fail_msg("close: %s", error.message);
    assert_int_equal(holders(), 6);
    assert_int_equal(fake.blocks[0].node_count, 2);
    qn_fs_close(fs);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, fake_fresh)
    const struct CMUnitTest tests[] = {
        TEST(one_of_three_is_not_replaced_while_nobody_counts_on_the_block),
        TEST(one_of_three_is_replaced_in_a_block_that_was_flushed),
        TEST(when_two_of_three_fail_one_is_replaced),
        TEST(two_replicas_are_no_reason_to_replace),
        TEST(the_policy_may_be_always_or_never),
        TEST(a_newcomer_that_fails_is_left_out_for_another),
        TEST(a_survivor_that_lost_its_bytes_is_dropped_too),
        TEST(without_another_node_the_write_goes_on_with_those_left),
        TEST(or_fails_and_names_the_key_when_it_is_told_to),
        TEST(a_faulty_sender_costs_no_healthy_receiver),
        TEST(a_flush_counts_on_no_replica_of_a_faulty_sender),
        TEST(without_another_node_a_faulty_sender_proves_what_he_has),
        TEST(a_block_is_not_finished_with_a_replica_in_doubt),
    };
    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
