/* SPDX-License-Identifier: Apache-2.0
 * A replica goes from one directory to another, over a disk that forgets. */
#include "datanode/storage/shift.h"

#include "datanode/storage/scan.h"
#include "tests/unit/datanode/storage/blockfile_fixture.h"

#define LEN 70000U

static const char *const paths[] = {"/d1", "/d2"};

static struct dn_volumes *open_both(struct disk *disk)
{
    struct dn_volumes_conf conf = {.paths = paths, .count = 2};
    struct dn_volumes *all = NULL;
    struct err err = {0};
    if (dn_volumes_open(disk, &conf, &all, &err) != 0 ||
        dn_volumes_join(all, "c1", "nn", 1000, &err) != 0)
        fail_msg("%s", err.msg);
    return all;
}

/* A finalized block on one of the directories. */
static struct dn_replica put_on(struct dn_volumes *all, uint16_t where, uint64_t gs)
{
    struct dn_volume *v = all->v[where];
    char *rbw = dn_volume_dir(v, DN_DIR_RBW, ID), *dir = NULL;
    struct dn_blockfile *f = NULL;
    struct dn_blockfile_new what = named(rbw, gs);
    assert_int_equal(dn_blockfile_create(v->disk, &what, &f, NULL), 0);
    assert_int_equal(grow(f, LEN), 0);
    assert_int_equal(dn_volume_make_final_dir(v, ID, &dir, NULL), 0);
    assert_int_equal(dn_settle_finalize(f, dir, NULL), 0);
    dn_blockfile_close(f);
    mem_free(dir);
    mem_free(rbw);
    return (struct dn_replica){
        .id = ID, .gs = gs, .len = LEN, .volume = where, .state = DN_REPLICA_FINALIZED};
}

static struct dn_replica put_block(struct dn_volumes *all)
{
    return put_on(all, 0, GS);
}

static unsigned count_good(struct dn_volumes *all, size_t *ret_where)
{
    unsigned good = 0;
    for (size_t i = 0; i < 2; i++) {
        struct dn_scan_result found = {0};
        assert_int_equal(dn_scan_volume(all->v[i], &found, NULL), 0);
        for (size_t r = 0; r < found.count; r++) {
            const struct dn_replica *one = &found.replicas[r];
            assert_true(one->id == ID && one->gs == GS && one->len == LEN && !one->is_bad);
            assert_int_equal(one->state, DN_REPLICA_FINALIZED);
            char *dir = dn_volume_dir(all->v[i], DN_DIR_FINALIZED, ID);
            assert_int_equal(verified(all->v[i]->disk, dir, GS), LEN);
            mem_free(dir);
            *ret_where = i;
            good++;
        }
        assert_int_equal(found.orphans, 0);
        mem_free(found.replicas);
    }
    return good;
}

/* What the next start finds: exactly one, and it is good. */
static size_t expect_one(struct disk *disk)
{
    struct dn_volumes *all = open_both(disk);
    struct err err = {0};
    size_t where = 9;
    if (dn_shift_recover(all, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(count_good(all, &where), 1);
    dn_volumes_close(all);
    return where;
}

struct watch {
    struct sim_disk *sim;
    unsigned at[2];
};

static void look_after_crash(void *arg, uint64_t op)
{
    static const enum sim_crash kinds[] = {SIM_CRASH_RANDOM, SIM_CRASH_NOTHING};
    struct watch *w = arg;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct sim_disk *after = sim_disk_clone(w->sim, kinds[i], op);
        w->at[expect_one(sim_disk(after))]++;
        sim_disk_free(after);
    }
}

static void a_crash_anywhere_leaves_exactly_one_good_replica(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct dn_volumes *all = open_both(sim_disk(sim));
    struct watch watch = {.sim = sim};
    struct dn_replica r = put_block(all);
    bool is_bad = false;
    sim_disk_on_op(sim, look_after_crash, &watch);
    assert_int_equal(dn_shift_begin(all->v[0], all->v[1], &r, &is_bad, NULL), 0);
    assert_int_equal(dn_shift_end(all->v[0], all->v[1], &r, NULL), 0);
    sim_disk_on_op(sim, NULL, NULL);
    assert_true(watch.at[0] > 5 && watch.at[1] > 2);
    dn_volumes_close(all);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(expect_one(sim_disk(sim)), 1);
    sim_disk_free(sim);
}

static void a_step_that_fails_leaves_the_old_one(void **state)
{
    (void)state;
    bool has_succeeded = false;
    for (uint64_t n = 1; !has_succeeded; n++) {
        struct sim_disk *sim = sim_disk_new();
        struct dn_volumes *all = open_both(sim_disk(sim));
        struct dn_replica r = put_block(all);
        bool is_bad = false;
        sim_disk_fail(sim, "/d2", n, n % 2 ? ERR_IO : ERR_NOSPC, false);
        has_succeeded = dn_shift_begin(all->v[0], all->v[1], &r, &is_bad, NULL) == 0;
        sim_disk_fail(sim, "/d2", 0, 0, false);
        assert_false(is_bad);
        dn_volumes_close(all);
        size_t where = expect_one(sim_disk(sim));
        assert_true(has_succeeded || where == 0);
        sim_disk_free(sim);
        assert_true(n < 60);
    }
}

static void wrong_bytes_do_not_go_and_are_told(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct dn_volumes *all = open_both(sim_disk(sim));
    struct dn_replica r = put_block(all);
    bool is_bad = false;
    char *dir = dn_volume_dir(all->v[0], DN_DIR_FINALIZED, ID);
    char *path = fsutil_join(dir, "blk_42");
    flip(sim, path, 12345);
    assert_int_not_equal(dn_shift_begin(all->v[0], all->v[1], &r, &is_bad, NULL), 0);
    assert_true(is_bad);
    struct disk_stat st;
    char *there = dn_volume_dir(all->v[1], DN_DIR_FINALIZED, ID);
    char *copy = fsutil_join(there, "blk_42");
    assert_int_equal(disk_stat(sim_disk(sim), copy, &st), ERR_NOENT);
    mem_free(copy);
    mem_free(there);
    mem_free(path);
    mem_free(dir);
    dn_volumes_close(all);
    sim_disk_free(sim);
}

/* ---- two of them, without a note ---- */

static void damage(struct sim_disk *sim, struct dn_volumes *all, size_t where)
{
    char *dir = dn_volume_dir(all->v[where], DN_DIR_FINALIZED, ID);
    char *path = fsutil_join(dir, "blk_42");
    flip(sim, path, 100);
    mem_free(path);
    mem_free(dir);
}

static bool has_files(struct dn_volumes *all, size_t where)
{
    struct dn_scan_result found = {0};
    assert_int_equal(dn_scan_volume(all->v[where], &found, NULL), 0);
    bool has = found.count > 0;
    mem_free(found.replicas);
    return has;
}

static void of_two_the_one_that_can_be_read_stays_and_the_newer_one(void **state)
{
    static const struct {
        uint64_t second_gs;
        bool is_first_bad, is_second_bad;
        enum dn_shift_left left;
    } rows[] = {
        {GS, false, false, DN_SHIFT_LEFT_FIRST},      {GS, false, true, DN_SHIFT_LEFT_FIRST},
        {GS, true, false, DN_SHIFT_LEFT_SECOND},      {GS, true, true, DN_SHIFT_LEFT_BOTH},
        {GS - 1, false, false, DN_SHIFT_LEFT_FIRST},  {GS - 1, true, false, DN_SHIFT_LEFT_BOTH},
        {GS + 1, false, false, DN_SHIFT_LEFT_SECOND}, {GS + 1, false, true, DN_SHIFT_LEFT_BOTH},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sim_disk *sim = sim_disk_new();
        struct dn_volumes *all = open_both(sim_disk(sim));
        struct dn_replica first = put_block(all), second = put_on(all, 1, rows[i].second_gs);
        const struct dn_shift_twin a = {all->v[0], &first}, b = {all->v[1], &second};
        enum dn_shift_left left;
        if (rows[i].is_first_bad)
            damage(sim, all, 0);
        if (rows[i].is_second_bad)
            damage(sim, all, 1);
        assert_int_equal(dn_shift_settle_twins(&a, &b, &left), 0);
        assert_int_equal(left, rows[i].left);
        assert_int_equal(has_files(all, 0), left != DN_SHIFT_LEFT_SECOND);
        assert_int_equal(has_files(all, 1), left != DN_SHIFT_LEFT_FIRST);
        dn_volumes_close(all);
        sim_disk_free(sim);
    }
}

static void look_for_a_good_one(void *arg, uint64_t op)
{
    struct sim_disk *after = sim_disk_clone(arg, SIM_CRASH_RANDOM, op);
    struct dn_volumes *all = open_both(sim_disk(after));
    size_t where = 9;
    assert_true(count_good(all, &where) >= 1);
    dn_volumes_close(all);
    sim_disk_free(after);
}

static void a_crash_while_one_of_two_goes_leaves_a_good_one(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct dn_volumes *all = open_both(sim_disk(sim));
    struct dn_replica first = put_block(all), second = put_on(all, 1, GS);
    const struct dn_shift_twin a = {all->v[0], &first}, b = {all->v[1], &second};
    enum dn_shift_left left;
    sim_disk_on_op(sim, look_for_a_good_one, sim);
    assert_int_equal(dn_shift_settle_twins(&a, &b, &left), 0);
    sim_disk_on_op(sim, NULL, NULL);
    dn_volumes_close(all);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(expect_one(sim_disk(sim)), 0);
    sim_disk_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_anywhere_leaves_exactly_one_good_replica),
        cmocka_unit_test(a_step_that_fails_leaves_the_old_one),
        cmocka_unit_test(wrong_bytes_do_not_go_and_are_told),
        cmocka_unit_test(of_two_the_one_that_can_be_read_stays_and_the_newer_one),
        cmocka_unit_test(a_crash_while_one_of_two_goes_leaves_a_good_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
