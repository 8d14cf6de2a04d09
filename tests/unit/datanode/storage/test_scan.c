/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/datanode/storage/blockfile_fixture.h"

#include "datanode/storage/scan.h"

static struct dn_volume *new_volume(struct sim_disk *sim)
{
    struct dn_volume *v = NULL;
    struct dn_identity identity = {.node_id = "feed"};
    assert_int_equal(dn_volume_open(sim_disk(sim), "/d1", 4, &v, NULL), 0);
    assert_int_equal(dn_volume_format(v, "c1", &identity, 1000, NULL), 0);
    return v;
}

static struct dn_volume *reopened(struct sim_disk *sim)
{
    struct dn_volume *v = NULL;
    assert_int_equal(dn_volume_open(sim_disk(sim), "/d1", 4, &v, NULL), 0);
    return v;
}

static struct dn_blockfile *written(struct dn_volume *v, uint64_t id, uint64_t gs, uint64_t len)
{
    struct dn_blockfile *f = NULL;
    char *dir = dn_volume_dir(v, DN_DIR_RBW, id);
    struct dn_blockfile_new what = {.dir = dir, .id = id, .gs = gs, .max_len = MAX_LEN};
    assert_int_equal(dn_blockfile_create(v->disk, &what, &f, NULL), 0);
    assert_int_equal(grow(f, len), 0);
    mem_free(dir);
    return f;
}

static void finalized(struct dn_volume *v, uint64_t id, uint64_t gs, uint64_t len)
{
    struct dn_blockfile *f = written(v, id, gs, len);
    char *dir = NULL;
    assert_int_equal(dn_volume_make_final_dir(v, id, &dir, NULL), 0);
    assert_int_equal(dn_settle_finalize(f, dir, NULL), 0);
    mem_free(dir);
    dn_blockfile_close(f);
}

static struct dn_scan_result scanned(struct dn_volume *v)
{
    struct dn_scan_result r = {0};
    struct err err = {0};
    int rc = dn_scan_volume(v, &r, &err);
    if (rc != 0)
        fail_msg("%s", err.msg);
    return r;
}

static const struct dn_replica *find(const struct dn_scan_result *r, uint64_t id)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->replicas[i].id == id)
            return &r->replicas[i];
    return NULL;
}

static void expect(const struct dn_scan_result *r, uint64_t id, enum dn_replica_state state,
                   uint64_t gs, uint64_t len)
{
    const struct dn_replica *replica = find(r, id);
    assert_non_null(replica);
    assert_int_equal(replica->state, state);
    assert_int_equal(replica->gs, gs);
    assert_int_equal(replica->len, len);
    assert_int_equal(replica->volume, 4);
    assert_false(replica->is_bad);
}

static void every_block_is_found_with_stamp_and_length(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    for (uint64_t id = 1; id < 40; id++)
        finalized(v, id * 77777, 1000 + id, id * 100);
    struct dn_scan_result r = scanned(v);
    assert_int_equal(r.count, 39);
    for (uint64_t id = 1; id < 40; id++)
        expect(&r, id * 77777, DN_REPLICA_FINALIZED, 1000 + id, id * 100);
    assert_int_equal(r.repaired + r.orphans, 0);
    mem_free(r.replicas);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void what_was_being_written_comes_back_as_long_as_its_checksums_agree(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    dn_blockfile_close(written(v, 1, 7, 5000));
    dn_blockfile_close(written(v, 2, 7, 5000));
    dn_blockfile_close(written(v, 3, 7, 5000));
    flip(sim, "/d1/current/rbw/blk_2", 8 * 3000);
    flip(sim, "/d1/current/rbw/blk_3_7.meta", 3);
    struct dn_scan_result r = scanned(v);
    expect(&r, 1, DN_REPLICA_RWR, 7, 5000);
    expect(&r, 2, DN_REPLICA_RWR, 7, 3000 / 512 * 512);
    expect(&r, 3, DN_REPLICA_RWR, 7, 0);
    mem_free(r.replicas);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void copies_on_their_way_are_dropped(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    fsutil_write_all(v->disk, "/d1/current/tmp/blk_9", slice_str("half"), NULL);
    struct dn_scan_result r = scanned(v);
    assert_int_equal(r.count, 0);
    assert_int_equal(fsutil_is_empty_dir(v->disk, "/d1/current/tmp"), 1);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void lengths_that_cannot_belong_together_are_marked(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    int fd = -1;
    finalized(v, 1, 7, 5000);
    assert_int_equal(
        disk_open(v->disk, "/d1/current/finalized/subdir0/subdir0/blk_1", DISK_WRITE, &fd), 0);
    assert_int_equal(disk_truncate(v->disk, fd, 3000), 0);
    disk_close(v->disk, fd);
    struct dn_scan_result r = scanned(v);
    assert_int_equal(r.count, 1);
    assert_true(r.replicas[0].is_bad);
    assert_int_equal(r.replicas[0].len, 3000);
    mem_free(r.replicas);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void a_block_without_checksums_is_kept_but_not_offered(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    struct disk_stat st;
    finalized(v, 1, 7, 5000);
    finalized(v, 2, 7, 5000);
    assert_int_equal(disk_unlink(v->disk, "/d1/current/finalized/subdir0/subdir0/blk_1_7.meta"), 0);
    assert_int_equal(disk_unlink(v->disk, "/d1/current/finalized/subdir0/subdir0/blk_2"), 0);
    struct dn_scan_result r = scanned(v);
    assert_int_equal(r.count, 0);
    assert_int_equal(r.orphans, 1);
    assert_int_equal(disk_stat(v->disk, "/d1/current/finalized/subdir0/subdir0/blk_1", &st), 0);
    assert_int_equal(disk_stat(v->disk, "/d1/current/finalized/subdir0/subdir0/blk_2_7.meta", &st),
                     ERR_NOENT);
    dn_volume_close(v);
    sim_disk_free(sim);
}

#define FINAL "/d1/current/finalized/subdir0/subdir0/"

static void put_directory_in_place_of(struct dn_volume *v, const char *path)
{
    assert_int_equal(disk_unlink(v->disk, path), 0);
    assert_int_equal(fsutil_mkdirs(v->disk, path, NULL), 0);
}

static void check_is_directory(struct dn_volume *v, const char *path)
{
    struct disk_stat st;
    assert_int_equal(disk_stat(v->disk, path, &st), 0);
    assert_true(st.is_dir);
}

static void a_directory_in_the_place_of_a_file_is_set_aside(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    struct dn_scan_file one;
    for (uint64_t id = 1; id <= 3; id++)
        finalized(v, id, 7, 300);
    put_directory_in_place_of(v, FINAL "blk_1");
    put_directory_in_place_of(v, FINAL "blk_2_7.meta");
    assert_int_equal(dn_scan_file(v, 2, &one, NULL), 0); /* while it serves */
    assert_true(one.has_data && !one.has_sums);
    check_is_directory(v, FINAL "aside.blk_2_7.meta");
    struct dn_scan_result r = scanned(v);
    check_is_directory(v, FINAL "aside.blk_1");
    assert_int_equal(r.count, 1);
    assert_non_null(find(&r, 3));
    assert_int_equal(r.orphans, 1); /* the data of the second */
    mem_free(r.replicas);
    finalized(v, 1, 8, 300); /* it has its place again */
    put_directory_in_place_of(v, FINAL "blk_3");
    assert_int_equal(dn_settle_remove(v->disk, "/d1/current/finalized/subdir0/subdir0", 3, 7), 0);
    check_is_directory(v, FINAL "aside.blk_3");
    finalized(v, 3, 8, 300);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void a_write_cut_short_before_its_first_byte_leaves_nothing(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    dn_blockfile_close(written(v, 3, 7, 0));
    assert_int_equal(disk_unlink(v->disk, "/d1/current/rbw/blk_3_7.meta"), 0);
    struct dn_scan_result r = scanned(v);
    assert_int_equal(r.count + r.orphans, 0);
    assert_int_equal(r.repaired, 1);
    assert_int_equal(fsutil_is_empty_dir(v->disk, "/d1/current/rbw"), 1);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void of_two_stamps_the_greater_counts_and_of_equals_the_finalized(void **state)
{
    (void)state;
    struct sim_disk *sim = new_sim();
    struct dn_volume *v = new_volume(sim);
    finalized(v, 1, 7, 5000);
    dn_blockfile_close(written(v, 1, 8, 3000)); /* its close failed; it was written on */
    finalized(v, 2, 9, 5000);
    dn_blockfile_close(written(v, 2, 8, 3000));
    finalized(v, 3, 8, 5000);
    dn_blockfile_close(written(v, 3, 8, 3000));
    for (int again = 0; again < 2; again++) {
        struct dn_scan_result r = scanned(v);
        assert_int_equal(r.count, 3);
        expect(&r, 1, DN_REPLICA_RWR, 8, 3000);
        expect(&r, 2, DN_REPLICA_FINALIZED, 9, 5000);
        expect(&r, 3, DN_REPLICA_FINALIZED, 8, 5000);
        assert_int_equal(r.repaired, again ? 0 : 6);
        mem_free(r.replicas);
    }
    dn_volume_close(v);
    sim_disk_free(sim);
}

/* ---- a crash anywhere in finalize, restamp and remove ---- */

struct watch {
    struct sim_disk *sim;
    uint64_t seed, low, high;
    bool may_be_gone;
    unsigned tried;
};

static void look_after_crash(void *arg, uint64_t op)
{
    struct watch *w = arg;
    struct sim_disk *after = sim_disk_clone(w->sim, SIM_CRASH_RANDOM, w->seed + op);
    struct dn_volume *v = reopened(after);
    for (int again = 0; again < 2; again++) {
        struct dn_scan_result r = scanned(v);
        const struct dn_replica *replica = find(&r, 1);
        if (!w->may_be_gone)
            assert_non_null(replica);
        if (replica && !w->may_be_gone)
            assert_in_range(replica->len, w->low, w->high);
        if (again)
            assert_int_equal(r.repaired, 0);
        mem_free(r.replicas);
    }
    dn_volume_close(v);
    sim_disk_free(after);
    w->tried++;
}

static void a_finalize_cut_short_anywhere_loses_nothing_synced(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 25; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_volume *v = new_volume(sim);
        struct dn_blockfile *f = written(v, 1, 7, 5000);
        char *dir = NULL;
        assert_int_equal(dn_blockfile_sync(f), 0);
        struct watch watch = {.sim = sim, .seed = seed * 100, .low = 5000, .high = 5000};
        sim_disk_on_op(sim, look_after_crash, &watch);
        assert_int_equal(dn_volume_make_final_dir(v, 1, &dir, NULL), 0);
        assert_int_equal(dn_settle_finalize(f, dir, NULL), 0);
        sim_disk_on_op(sim, NULL, NULL);
        assert_true(watch.tried >= 5);
        mem_free(dir);
        dn_blockfile_close(f);
        dn_volume_close(v);
        sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
        v = reopened(sim);
        struct dn_scan_result r = scanned(v);
        expect(&r, 1, DN_REPLICA_FINALIZED, 7, 5000);
        mem_free(r.replicas);
        dn_volume_close(v);
        sim_disk_free(sim);
    }
}

static void a_restamp_cut_short_anywhere_keeps_what_was_agreed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 25; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_volume *v = new_volume(sim);
        struct dn_blockfile *f = written(v, 1, 7, 5000);
        assert_int_equal(dn_blockfile_sync(f), 0);
        struct watch watch = {.sim = sim, .seed = seed * 100, .low = 4444, .high = 5000};
        sim_disk_on_op(sim, look_after_crash, &watch);
        assert_int_equal(dn_settle_restamp(f, 8, 4444, NULL), 0);
        sim_disk_on_op(sim, NULL, NULL);
        dn_blockfile_close(f);
        dn_volume_close(v);
        sim_disk_crash(sim, SIM_CRASH_RANDOM, seed);
        v = reopened(sim);
        struct dn_scan_result r = scanned(v);
        expect(&r, 1, DN_REPLICA_RWR, 8, 4444);
        mem_free(r.replicas);
        dn_volume_close(v);
        sim_disk_free(sim);
    }
}

static void a_removal_cut_short_leaves_nothing_strange(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_volume *v = new_volume(sim);
        finalized(v, 1, 7, 5000);
        struct watch watch = {.sim = sim, .seed = seed * 100, .may_be_gone = true};
        sim_disk_on_op(sim, look_after_crash, &watch);
        assert_int_equal(dn_settle_remove(v->disk, "/d1/current/finalized/subdir0/subdir0", 1, 7),
                         0);
        sim_disk_on_op(sim, NULL, NULL);
        assert_true(watch.tried >= 2);
        dn_volume_close(v);
        sim_disk_free(sim);
    }
}

static void a_start_cut_short_anywhere_is_begun_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 25; seed++) {
        struct sim_disk *sim = new_sim();
        struct dn_volume *v = new_volume(sim);
        finalized(v, 1, 7, 5000);
        dn_blockfile_close(written(v, 2, 7, 0));
        assert_int_equal(disk_unlink(v->disk, "/d1/current/rbw/blk_2_7.meta"), 0);
        fsutil_write_all(v->disk, "/d1/current/tmp/blk_9", slice_str("half"), NULL);
        dn_volume_close(v);
        v = reopened(sim);
        struct watch watch = {.sim = sim, .seed = seed * 100, .low = 5000, .high = 5000};
        sim_disk_on_op(sim, look_after_crash, &watch);
        struct dn_scan_result r = scanned(v);
        sim_disk_on_op(sim, NULL, NULL);
        assert_true(watch.tried >= 4);
        mem_free(r.replicas);
        dn_volume_close(v);
        sim_disk_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_is_found_with_stamp_and_length),
        cmocka_unit_test(what_was_being_written_comes_back_as_long_as_its_checksums_agree),
        cmocka_unit_test(copies_on_their_way_are_dropped),
        cmocka_unit_test(lengths_that_cannot_belong_together_are_marked),
        cmocka_unit_test(a_block_without_checksums_is_kept_but_not_offered),
        cmocka_unit_test(a_directory_in_the_place_of_a_file_is_set_aside),
        cmocka_unit_test(a_write_cut_short_before_its_first_byte_leaves_nothing),
        cmocka_unit_test(of_two_stamps_the_greater_counts_and_of_equals_the_finalized),
        cmocka_unit_test(a_finalize_cut_short_anywhere_loses_nothing_synced),
        cmocka_unit_test(a_restamp_cut_short_anywhere_keeps_what_was_agreed),
        cmocka_unit_test(a_start_cut_short_anywhere_is_begun_again),
        cmocka_unit_test(a_removal_cut_short_leaves_nothing_strange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
