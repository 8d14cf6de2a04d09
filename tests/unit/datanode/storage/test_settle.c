/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datanode/storage/blockfile_fixture.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/fault.h"

static void a_cut_block_has_a_right_sum_for_its_last_chunk(void **state)
{
    (void)state;
    static const uint64_t cuts[] = {0, 1, 511, 512, 513, 1024, 1200, 1299, 1300};
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 1300);
        assert_int_equal(dn_settle_restamp(f, GS + 1, cuts[i], NULL), 0);
        assert_int_equal(f->gs, GS + 1);
        expect_content(f, cuts[i]);
        assert_int_equal(grow(f, 2000), 0); /* and can be written on */
        expect_content(f, 2000);
        dn_blockfile_close(f);
        assert_int_equal(verified(sim_disk(sim), "/rbw", GS + 1), 2000);
        struct disk_stat st;
        assert_int_equal(disk_stat(sim_disk(sim), "/rbw/blk_42_7.meta", &st), ERR_NOENT);
        sim_disk_free(sim);
    }
}

/* Concurrent writers once agreed on bytes nobody had checked; the cut must not bless them. */
static void wrong_bytes_never_get_a_right_sum(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 1300);
    flip(sim, "/rbw/blk_42", 8 * 1030);
    struct err err = {0};
    assert_int_equal(dn_settle_restamp(f, GS + 1, 1200, &err), ERR_CHECKSUM);
    assert_string_equal(err.msg, "/rbw/blk_42: cannot cut in its last chunk: checksum mismatch");
    assert_int_equal(f->gs, GS);
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

static void a_block_is_as_long_as_its_checksums_agree(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    dn_blockfile_close(created(sim_disk(sim), 300000));
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 300000);
    flip(sim, "/rbw/blk_42", 8 * 270000);
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 270000 / 512 * 512);
    flip(sim, "/rbw/blk_42_7.meta", 8 * dn_sum_place(512));
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 512);
    flip(sim, "/rbw/blk_42", 0);
    assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 0);
    sim_disk_free(sim);
}

static void a_disk_that_does_not_answer_is_no_reason_to_cut(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_blockfile *f = created(sim_disk(sim), 300000);
    sim_disk_fail(sim, "/rbw", 1, ERR_IO, true);
    uint8_t byte = 0;
    (void)disk_pwrite(f->disk, f->data_fd, &byte, 1, 0); /* it dies with this write */
    struct err err = {0};
    assert_int_equal(dn_settle_verify(f, MAX_LEN, &err), ERR_IO);
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

static void a_finalized_block_survives_every_power_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 5000 + seed);
        assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
        dn_blockfile_close(f);
        sim_disk_crash(sim, seed % 2 ? SIM_CRASH_RANDOM : SIM_CRASH_NOTHING, seed);
        f = opened(sim_disk(sim), "/final", GS);
        expect_content(f, 5000 + seed);
        dn_blockfile_close(f);
        sim_disk_free(sim);
    }
}

/* Each sync of the way is needed: left out (it claims success), some power cut loses the block. */
static void leaving_out_any_sync_of_finalizing_loses_blocks(void **state)
{
    (void)state;
    static const char *const points[] = {"disk.fsync=1:drop", "disk.fsync=2:drop",
                                         "disk.fsyncdir=1:drop"};
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        unsigned lost = 0;
        for (uint64_t seed = 0; seed < 40; seed++) {
            struct sim_disk *sim = new_sim();
            struct dn_blockfile *f = created(sim_disk(sim), 5000), *again = NULL;
            assert_int_equal(fault_arm(points[i], NULL), 0);
            assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
            assert_int_equal(fault_arm(NULL, NULL), 0);
            dn_blockfile_close(f);
            sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
            struct dn_blockfile_new what = named("/final", GS);
            int rc = dn_blockfile_open(sim_disk(sim), &what, DISK_READ, &again, NULL);
            if (rc == 0)
                rc = dn_settle_verify(again, MAX_LEN, NULL);
            lost += rc != 0 || again->len != 5000;
            dn_blockfile_close(again);
            sim_disk_free(sim);
        }
        assert_true(lost > 0);
    }
}

static void a_failing_step_of_finalizing_leaves_a_block_being_written(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 5; n++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 5000);
        sim_disk_fail(sim, "/", n, ERR_IO, false);
        assert_int_equal(dn_settle_finalize(f, "/final", NULL), ERR_IO);
        dn_blockfile_close(f);
        assert_int_equal(verified(sim_disk(sim), "/rbw", GS), 5000);
        sim_disk_free(sim);
    }
}

/* A power cut at any step of a restamp: the newest whole checksum file tells a length that was once
 * promised, and every acknowledged byte (up to the cut) is there. */
struct cut_watch {
    struct sim_disk *sim;
    uint64_t seed, tried;
};

static void crash_and_look(void *arg, uint64_t op)
{
    struct cut_watch *w = arg;
    struct sim_disk *after = sim_disk_clone(w->sim, SIM_CRASH_RANDOM, w->seed + op);
    struct dn_blockfile_new what = named("/rbw", GS + 1);
    struct dn_blockfile *f = NULL;
    if (dn_blockfile_open(sim_disk(after), &what, DISK_READ, &f, NULL) != 0) {
        what.gs = GS;
        assert_int_equal(dn_blockfile_open(sim_disk(after), &what, DISK_READ, &f, NULL), 0);
    }
    assert_int_equal(dn_settle_verify(f, MAX_LEN, NULL), 0);
    assert_in_range(f->len, 1200, 1300);
    expect_content(f, f->len < 1200 ? f->len : 1024);
    dn_blockfile_close(f);
    sim_disk_free(after);
    w->tried++;
}

static void a_restamp_can_be_interrupted_anywhere(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 1300);
        assert_int_equal(dn_blockfile_sync(f), 0);
        struct cut_watch watch = {.sim = sim, .seed = seed * 1000};
        sim_disk_on_op(sim, crash_and_look, &watch);
        assert_int_equal(dn_settle_restamp(f, GS + 1, 1200, NULL), 0);
        sim_disk_on_op(sim, NULL, NULL);
        assert_true(watch.tried >= 6);
        dn_blockfile_close(f);
        sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
        assert_int_equal(verified(sim_disk(sim), "/rbw", GS + 1), 1200);
        sim_disk_free(sim);
    }
}

static void a_failing_step_of_a_restamp_leaves_the_old_stamp_or_the_new_one(void **state)
{
    (void)state;
    bool has_succeeded = false;
    for (uint64_t n = 1; !has_succeeded; n++) {
        struct sim_disk *sim = new_sim();
        struct disk_stat st;
        struct dn_blockfile *f = created(sim_disk(sim), 1300);
        sim_disk_fail(sim, "/", n, ERR_NOSPC, false);
        has_succeeded = dn_settle_restamp(f, GS + 1, 1200, NULL) == 0;
        sim_disk_fail(sim, "/", 0, 0, false);
        uint64_t gs = f->gs;
        dn_blockfile_close(f);
        assert_in_range(verified(sim_disk(sim), "/rbw", gs), 1024, 1300);
        if (gs == GS) /* nothing of the new one is left */
            assert_int_equal(disk_stat(sim_disk(sim), "/rbw/blk_42_8.meta", &st), ERR_NOENT);
        sim_disk_free(sim);
        assert_true(n < 30);
    }
}

static void a_copy_leaves_the_finalized_replica_alone(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct disk *disk = sim_disk(sim);
    struct dn_blockfile *f = created(disk, 5000), *copy = NULL;
    assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
    bool is_source_bad = true;
    struct dn_settle_copy order = {.from_dir = "/final",
                                   .from_id = ID,
                                   .from_gs = GS,
                                   .from_len = 5000,
                                   .len = 3333,
                                   .to = named("/rbw", GS + 1)};
    assert_int_equal(dn_settle_copy(disk, &order, &copy, &is_source_bad, NULL), 0);
    assert_false(is_source_bad);
    expect_content(copy, 3333);
    assert_int_equal(grow(copy, 6000), 0);
    expect_content(copy, 6000);
    expect_content(f, 5000);
    dn_blockfile_close(copy);
    dn_blockfile_close(f);
    sim_disk_free(sim);
}

static struct dn_settle_copy copy_of(uint64_t len)
{
    return (struct dn_settle_copy){.from_dir = "/final",
                                   .from_id = ID,
                                   .from_gs = GS,
                                   .from_len = 5000,
                                   .len = len,
                                   .to = named("/rbw", GS + 1)};
}

/* What was durable must stay so: an append goes on in the copy, and the old block is deleted. */
static void a_copy_survives_every_power_cut_once_it_is_made(void **state)
{
    (void)state;
    static const uint64_t lens[] = {1, 511, 512, 513, 4999, 5000};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 5000), *copy = NULL;
        bool is_source_bad = false;
        uint64_t len = lens[seed % ARRAY_LEN(lens)];
        struct dn_settle_copy order = copy_of(len);
        assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
        dn_blockfile_close(f);
        assert_int_equal(dn_settle_copy(sim_disk(sim), &order, &copy, &is_source_bad, NULL), 0);
        if (seed % 3 == 0) /* written on, and not synced: the copied bytes do not suffer */
            assert_int_equal(grow(copy, 9000), 0);
        dn_blockfile_close(copy);
        sim_disk_crash(sim, seed % 2 ? SIM_CRASH_RANDOM : SIM_CRASH_NOTHING, seed);
        assert_in_range(verified(sim_disk(sim), "/rbw", GS + 1), len, 9000);
        copy = opened(sim_disk(sim), "/rbw", GS + 1);
        expect_content(copy, len / 512 * 512);
        dn_blockfile_close(copy);
        sim_disk_free(sim);
    }
}

static void leaving_out_any_sync_of_a_copy_loses_bytes(void **state)
{
    (void)state;
    static const char *const points[] = {"disk.fsync=1:drop", "disk.fsync=2:drop",
                                         "disk.fsyncdir=1:drop"};
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        unsigned lost = 0;
        for (uint64_t seed = 0; seed < 40; seed++) {
            struct sim_disk *sim = new_sim();
            struct dn_blockfile *f = created(sim_disk(sim), 5000), *copy = NULL;
            bool is_source_bad = false;
            struct dn_settle_copy order = copy_of(4000);
            assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
            dn_blockfile_close(f);
            assert_int_equal(fault_arm(points[i], NULL), 0);
            assert_int_equal(dn_settle_copy(sim_disk(sim), &order, &copy, &is_source_bad, NULL), 0);
            assert_int_equal(fault_arm(NULL, NULL), 0);
            dn_blockfile_close(copy);
            copy = NULL;
            sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
            int rc = dn_blockfile_open(sim_disk(sim), &order.to, DISK_READ, &copy, NULL);
            if (rc == 0)
                rc = dn_settle_verify(copy, MAX_LEN, NULL);
            lost += rc != 0 || copy->len < 4000;
            dn_blockfile_close(copy);
            sim_disk_free(sim);
        }
        assert_true(lost > 0);
    }
}

/* A copy that was not looked at would carry wrong bytes on under a new name. */
static void damaged_bytes_are_not_copied(void **state)
{
    (void)state;
    static const uint64_t places[] = {0, 2000, 3999, 4608, 4999};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 5000), *copy = NULL;
        bool is_source_bad = false;
        struct dn_settle_copy order = copy_of(5000);
        struct err err = {0};
        assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
        dn_blockfile_close(f);
        flip(sim, "/final/blk_42", 8 * places[i]);
        assert_int_equal(dn_settle_copy(sim_disk(sim), &order, &copy, &is_source_bad, &err),
                         ERR_CHECKSUM);
        assert_true(is_source_bad);
        assert_null(copy);
        assert_int_equal(fsutil_is_empty_dir(sim_disk(sim), "/rbw"), 1);
        sim_disk_free(sim);
    }
}

static void a_copy_that_fails_leaves_nothing_and_blames_nobody(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 6; n++) {
        struct sim_disk *sim = new_sim();
        struct dn_blockfile *f = created(sim_disk(sim), 5000), *copy = NULL;
        bool is_source_bad = false;
        struct dn_settle_copy order = copy_of(5000);
        assert_int_equal(dn_settle_finalize(f, "/final", NULL), 0);
        dn_blockfile_close(f);
        sim_disk_fail(sim, "/rbw", n, ERR_NOSPC, false);
        int rc = dn_settle_copy(sim_disk(sim), &order, &copy, &is_source_bad, NULL);
        assert_int_equal(rc, ERR_NOSPC);
        assert_false(is_source_bad);
        assert_int_equal(fsutil_is_empty_dir(sim_disk(sim), "/rbw"), 1);
        assert_int_equal(verified(sim_disk(sim), "/final", GS), 5000);
        sim_disk_free(sim);
    }
}

static void removing_what_is_gone_is_no_error(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    dn_blockfile_close(created(sim_disk(sim), 5000));
    assert_int_equal(dn_settle_remove(sim_disk(sim), "/rbw", ID, GS), 0);
    assert_int_equal(fsutil_is_empty_dir(sim_disk(sim), "/rbw"), 1);
    assert_int_equal(dn_settle_remove(sim_disk(sim), "/rbw", ID, GS), 0);
    sim_disk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_block_has_a_right_sum_for_its_last_chunk),
        cmocka_unit_test(wrong_bytes_never_get_a_right_sum),
        cmocka_unit_test(a_block_is_as_long_as_its_checksums_agree),
        cmocka_unit_test(a_disk_that_does_not_answer_is_no_reason_to_cut),
        cmocka_unit_test(a_finalized_block_survives_every_power_cut),
        cmocka_unit_test(leaving_out_any_sync_of_finalizing_loses_blocks),
        cmocka_unit_test(a_failing_step_of_finalizing_leaves_a_block_being_written),
        cmocka_unit_test(a_restamp_can_be_interrupted_anywhere),
        cmocka_unit_test(a_failing_step_of_a_restamp_leaves_the_old_stamp_or_the_new_one),
        cmocka_unit_test(a_copy_leaves_the_finalized_replica_alone),
        cmocka_unit_test(a_copy_survives_every_power_cut_once_it_is_made),
        cmocka_unit_test(leaving_out_any_sync_of_a_copy_loses_bytes),
        cmocka_unit_test(damaged_bytes_are_not_copied),
        cmocka_unit_test(a_copy_that_fails_leaves_nothing_and_blames_nobody),
        cmocka_unit_test(removing_what_is_gone_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
