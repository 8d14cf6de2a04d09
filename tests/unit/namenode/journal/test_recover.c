/* SPDX-License-Identifier: Apache-2.0
 * recover: the power goes out before every single disk operation of a life with formats, records
 * and images; what comes back is the state after some record, and no earlier one than was durable.
 */
#include "libcommon/base/log.h"
#include "libcommon/store/fsutil.h"
#include "namenode/journal/images.h"
#include "namenode/journal/journal.h"
#include "namenode/journal/recover.h"
#include "tests/sim/disk.h"
#include "tests/unit/namenode/journal/world.h"

#define RECORDS_MAX 100

static const char *const paths[] = {"/a", "/b"};
static struct sim_disk *sim;
static struct disk *d;
static struct world live;
static struct wal *wal;
static uint64_t image_index, durable, last, clones;
static uint64_t hashes[RECORDS_MAX + 1]; /* of the state after record i */

static struct wal_options options_on(struct disk *disk)
{
    return (struct wal_options){
        .disk = disk, .dirs = paths, .dir_count = 2, .segment_bytes = 16384};
}

static struct nn_dir_set dirs_on(struct disk *disk)
{
    return (struct nn_dir_set){.disk = disk, .paths = {"/a", "/b"}, .count = 2};
}

static int format_on(struct disk *disk, bool force)
{
    struct nn_journal_format format = {.disk = disk,
                                       .dirs = paths,
                                       .dir_count = 2,
                                       .cluster_id = "c1",
                                       .force = force,
                                       .segment_bytes = 16384,
                                       .superuser = "hdfs",
                                       .supergroup = "supergroup"};
    return nn_journal_format(&format, NULL);
}

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    image_index = durable = last = clones = 0;
    world_init(&live);
    hashes[0] = nn_state_hash(&live.state);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wal_abandon(wal);
    wal = NULL;
    world_release(&live);
    sim_disk_free(sim);
    return 0;
}

/* Recover what is on `disk` into a new state. 0 or the error; *ret_last is the record reached. */
static int recover_on(struct disk *disk, uint64_t *ret_hash, uint64_t *ret_last, struct err *err)
{
    struct wal_options options = options_on(disk);
    struct nn_dir_set dirs = dirs_on(disk);
    struct nn_recovered_state recovered = {0};
    struct world back;
    struct wal *log = NULL;
    int rc = wal_open(&options, &log, err);
    if (rc != 0)
        return rc;
    world_init(&back);
    rc = nn_recover_state(&dirs, log, &back.state, &recovered, err);
    if (rc == 0)
        rc = nn_recover_images(&dirs, &recovered, err);
    *ret_last = wal_durable(log);
    *ret_hash = nn_state_hash(&back.state);
    nn_images_release(&recovered.images);
    world_release(&back);
    wal_abandon(log);
    return rc;
}

static void cut_the_power(void *arg, uint64_t op)
{
    (void)arg;
    for (uint64_t seed = 0; seed < 2; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, op * 7 + seed);
        struct err err = {0};
        uint64_t hash = 0, reached = 0;
        if (recover_on(sim_disk(clone), &hash, &reached, &err) != 0)
            fail_msg("before operation %d: %s", (int)op, err.msg);
        assert_in_range(reached, durable, last);
        assert_int_equal(hash, hashes[reached]);
        sim_disk_free(clone);
        clones++;
    }
}

static void commit(void)
{
    struct wal_batch *batch = wal_take_batch(wal, 0);
    if (!batch)
        return;
    wal_write_batch(batch);
    assert_int_equal(wal_batch_done(wal, batch, NULL), 0);
    durable = wal_durable(wal);
}

static void make_dir(const char *path)
{
    uint64_t index = 0;
    assert_int_equal(do_mkdir(&live, path, true), 0);
    const struct logged *record = &live.log[live.log_count - 1];
    assert_int_equal(wal_append(wal, 1, record->number, buf_slice(&record->payload), &index), 0);
    assert_int_equal(index, live.log_count);
    last = index;
    live.state.applied = index;
    hashes[index] = nn_state_hash(&live.state);
}

static int save(void *state, nn_image_put_fn *put, void *arg)
{
    return nn_state_save(state, put, arg);
}

/* What the forked child and the parent do, one after the other. */
static void checkpoint(void)
{
    struct nn_dir_set dirs = dirs_on(d);
    struct nn_image_head head = {wal_id(wal), live.state.applied, 0};
    assert_int_equal(nn_images_write(&dirs, &head, save, &live.state, NULL), 0);
    commit(); /* named no sooner than its last record is durable */
    assert_int_equal(nn_images_swap(&dirs, head.index, NULL), 0);
    assert_int_equal(nn_images_retire(&dirs, image_index, NULL), 0);
    wal_drop_below(wal, image_index + 1);
    image_index = head.index;
    commit();
}

static void a_life_with_records_and_images_survives_any_power_cut(void **state)
{
    (void)state;
    struct wal_options options = options_on(d);
    char path[400];
    assert_int_equal(format_on(d, false), 0);
    sim_disk_on_op(sim, cut_the_power, NULL);
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++) {
            snprintf(path, sizeof(path), "/round%d/%0200d", round, i);
            make_dir(path);
            if (i % 3 == 2)
                commit();
        }
        checkpoint();
    }
    assert_true(clones > 200);
    assert_true(wal_first(wal) > 1);
}

/* Until a format is complete there is no name directory; it may simply be done again. */
static void format_after_a_cut(void *arg, uint64_t op)
{
    unsigned *seen = arg;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, op * 7 + seed);
        struct nn_namedir one, two;
        uint64_t hash = 0, reached = 0;
        assert_int_equal(nn_namedir_open(&one, sim_disk(clone), "/a", NULL), 0);
        assert_int_equal(nn_namedir_open(&two, sim_disk(clone), "/b", NULL), 0);
        bool complete = one.state == NN_DIR_FORMATTED && two.state == NN_DIR_FORMATTED;
        bool half = one.state == NN_DIR_FORMATTED || two.state == NN_DIR_FORMATTED;
        assert_int_not_equal(one.state, NN_DIR_FOREIGN);
        nn_namedir_close(&one);
        nn_namedir_close(&two);
        if (!half)
            assert_int_equal(format_on(sim_disk(clone), false), 0);
        if (!half || complete) {
            assert_int_equal(recover_on(sim_disk(clone), &hash, &reached, NULL), 0);
            assert_int_equal(hash, hashes[0]);
        }
        seen[complete ? 2 : half]++;
        sim_disk_free(clone);
    }
}

static void a_format_cut_short_may_be_done_again(void **state)
{
    (void)state;
    unsigned seen[3] = {0};
    sim_disk_on_op(sim, format_after_a_cut, seen);
    assert_int_equal(format_on(d, false), 0);
    sim_disk_on_op(sim, NULL, NULL);
    assert_true(seen[0] > 50);
    assert_int_equal(format_on(d, false), ERR_EXIST);
}

static void an_error_at_any_step_of_a_format_is_told(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        sim_disk_fail(sim, "/", n, ERR_IO, false);
        int rc = format_on(d, true);
        sim_disk_fail(sim, "/", 0, 0, false);
        if (rc == 0) {
            assert_true(n > 30);
            return;
        }
        assert_int_equal(rc, ERR_IO);
    }
}

/* An image that holds more than the log would make record numbers come twice. */
static void an_image_named_before_its_records_are_durable_would_be_refused(void **state)
{
    (void)state;
    struct wal_options options = options_on(d);
    struct nn_dir_set dirs = dirs_on(d);
    struct err err = {0};
    uint64_t hash = 0, reached = 0;
    assert_int_equal(format_on(d, false), 0);
    assert_int_equal(wal_open(&options, &wal, NULL), 0);
    make_dir("/a");
    struct nn_image_head head = {wal_id(wal), 1, 0};
    assert_int_equal(nn_images_write(&dirs, &head, save, &live.state, NULL), 0);
    assert_int_equal(nn_images_swap(&dirs, 1, NULL), 0);
    wal_abandon(wal);
    wal = NULL;
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(recover_on(d, &hash, &reached, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "records are missing. Nothing was changed"));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    log_set_level(LOG_ERROR_);
    const struct CMUnitTest tests[] = {
        CASE(a_life_with_records_and_images_survives_any_power_cut),
        CASE(a_format_cut_short_may_be_done_again),
        CASE(an_error_at_any_step_of_a_format_is_told),
        CASE(an_image_named_before_its_records_are_durable_would_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
