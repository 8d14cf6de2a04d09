/* SPDX-License-Identifier: Apache-2.0
 * wal under power cuts: random logs, cut at a random operation (in the commit, in a roll, in
 * recovery itself), opened again, and again. After each: nothing that was said to be durable is
 * missing, nothing is there that was not appended, nothing is altered.
 *
 * A seed that fails is run alone with QUERN_SEED=n. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "tests/sim/disk.h"

#define SEGMENT     16384
#define RECORDS_MAX 2000
#define GENERATIONS 4
#define SEEDS       600

static const char *const dirs[] = {"/a", "/b"};

/* What may be asked of the log: record i was appended with salts[i]. */
struct model {
    uint64_t durable, last;
    uint64_t needed; /* below it records may be gone */
    uint64_t salts[RECORDS_MAX + 1];
};

struct world {
    struct sim_disk *sim, *clone;
    struct wal *wal;
    struct wal_options options;
    struct rand rand;
    struct model model, at_clone;
    uint64_t clone_at, now;
    char problem[ERR_MSG_MAX + 100];
};

static void problem(struct world *w, const char *what, uint64_t number)
{
    if (!w->problem[0])
        snprintf(w->problem, sizeof(w->problem), "%s (%llu)", what, (unsigned long long)number);
}

static size_t payload_of(uint64_t salt, uint8_t out[8192])
{
    struct rand rand;
    rand_init(&rand, salt);
    size_t len = rand_below(&rand, rand_chance(&rand, 20) ? 7000 : 300);
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(salt + i * 7);
    return len;
}

static void cut_the_power(void *arg, uint64_t op)
{
    struct world *w = arg;
    if (op != w->clone_at)
        return;
    w->clone =
        sim_disk_clone(w->sim, rand_chance(&w->rand, 8) ? SIM_CRASH_NOTHING : SIM_CRASH_RANDOM,
                       rand_u64(&w->rand));
    w->at_clone = w->model;
}

static int check_record(void *arg, const struct wal_record *record)
{
    struct world *w = arg;
    uint8_t want[8192];
    if (record->index > w->model.last) {
        problem(w, "a record that was never appended", record->index);
        return ERR_CORRUPT;
    }
    size_t len = payload_of(w->model.salts[record->index], want);
    if (!slice_eq(record->payload, slice_of(want, len)) || record->term != record->index / 10 ||
        record->type != record->index % 100 + 1)
        problem(w, "an altered record", record->index);
    return 0;
}

static bool open_and_check(struct world *w)
{
    struct err err = {0};
    if (wal_open(&w->options, &w->wal, &err) != 0) {
        problem(w, err.msg, 0);
        return false;
    }
    if (wal_durable(w->wal) < w->model.durable)
        problem(w, "lost a durable record", wal_durable(w->wal) + 1);
    if (wal_durable(w->wal) > w->model.last)
        problem(w, "invented a record", wal_durable(w->wal));
    if (wal_first(w->wal) > w->model.needed)
        problem(w, "lost a needed segment", wal_first(w->wal));
    if (wal_replay(w->wal, 1, check_record, w, &err) != 0)
        problem(w, err.msg, 1);
    w->model.durable = w->model.last = wal_durable(w->wal);
    return !w->problem[0];
}

static void append_one(struct world *w)
{
    uint8_t payload[8192];
    uint64_t index = 0, next = w->model.last + 1, salt = rand_u64(&w->rand);
    size_t len = payload_of(salt, payload);
    if (next > RECORDS_MAX)
        return;
    int rc =
        wal_append(w->wal, next / 10, (uint16_t)(next % 100 + 1), slice_of(payload, len), &index);
    if (rc == ERR_RETRY)
        return;
    if (rc != 0 || index != next)
        problem(w, "append failed", (uint64_t)-rc);
    w->model.salts[next] = salt;
    w->model.last = next;
}

static void commit(struct world *w)
{
    struct err err = {0};
    struct wal_batch *batch = wal_take_batch(w->wal, w->now);
    if (!batch)
        return;
    if (rand_chance(&w->rand, 3)) /* the loop goes on meanwhile */
        append_one(w);
    wal_write_batch(batch);
    if (wal_batch_done(w->wal, batch, &err) != 0)
        problem(w, err.msg, 2);
    w->model.durable = wal_durable(w->wal);
}

static void step(struct world *w)
{
    uint64_t what = rand_below(&w->rand, 20);
    w->now += rand_below(&w->rand, 60);
    if (what == 0) {
        wal_roll(w->wal);
    } else if (what == 1 && w->model.durable) {
        uint64_t below = rand_below(&w->rand, w->model.durable + 1);
        wal_drop_below(w->wal, below);
        if (below > w->model.needed)
            w->model.needed = below;
    }
    for (uint64_t n = rand_below(&w->rand, 6); n; n--)
        append_one(w);
    commit(w);
}

/* One life of the process: from opening until the power goes out, at an operation drawn before. */
static void live(struct world *w)
{
    w->clone_at = sim_disk_ops(w->sim) + 1 + rand_below(&w->rand, 120);
    sim_disk_on_op(w->sim, cut_the_power, w);
    if (w->options.dir_count == 2 && rand_chance(&w->rand, 3))
        sim_disk_fail(w->sim, "/b", 30 + rand_below(&w->rand, 60), ERR_IO,
                      rand_chance(&w->rand, 2));
    if (open_and_check(w))
        for (int i = 0; i < 60 && !w->clone && !w->problem[0]; i++)
            step(w);
    wal_abandon(w->wal);
    w->wal = NULL;
    sim_disk_on_op(w->sim, NULL, NULL);
    if (w->clone) {
        sim_disk_free(w->sim);
        w->sim = w->clone;
        w->clone = NULL;
        w->model = w->at_clone;
    } else {
        sim_disk_crash(w->sim, SIM_CRASH_RANDOM, rand_u64(&w->rand));
    }
    w->options.disk = sim_disk(w->sim);
}

/* "" when all is well. */
static const char *run_seed(uint64_t seed)
{
    static struct world w;
    w = (struct world){.sim = sim_disk_new(), .model.needed = 1};
    rand_init(&w.rand, seed);
    w.options = (struct wal_options){.disk = sim_disk(w.sim),
                                     .dirs = dirs,
                                     .dir_count = 1 + rand_below(&w.rand, 2),
                                     .segment_bytes = SEGMENT};
    sim_disk_set_garble(w.sim, rand_chance(&w.rand, 2) ? 4 : 0);
    for (size_t i = 0; i < w.options.dir_count; i++)
        fsutil_mkdirs(w.options.disk, dirs[i], NULL);
    if (wal_create(&w.options, seed, 1, NULL) != 0)
        problem(&w, "cannot create", 0);
    for (int i = 0; i < GENERATIONS && !w.problem[0]; i++)
        live(&w);
    if (!w.problem[0])
        open_and_check(&w);
    wal_abandon(w.wal);
    sim_disk_free(w.sim);
    return w.problem;
}

static void no_power_cut_loses_or_invents_a_record(void **state)
{
    (void)state;
    uint64_t from = 0, to = SEEDS;
    const char *one = getenv("QUERN_SEED");
    if (one && str_to_u64(one, &from) == 0)
        to = from + 1;
    for (uint64_t seed = from; seed < to; seed++) {
        const char *what = run_seed(seed);
        if (what[0])
            fail_msg("seed %llu: %s", (unsigned long long)seed, what);
    }
}

/* How many of some seeds go wrong while one protection is out of order? */
static unsigned problems_with(const char *fault)
{
    unsigned count = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        assert_int_equal(fault_arm(fault, NULL), 0);
        count += run_seed(seed)[0] != 0;
    }
    fault_arm(NULL, NULL);
    return count;
}

static void without_its_fsync_records_would_be_lost(void **state)
{
    (void)state;
    assert_true(problems_with("disk.fsync=1+:drop") > 10);
}

static void without_the_fsync_of_the_directory_segments_would_be_lost(void **state)
{
    (void)state;
    assert_true(problems_with("disk.fsyncdir=1+:drop") > 10);
}

/* ---- every operation of one life, in turn ---- */

struct each {
    struct wal_options options;
    struct sim_disk *sim;
    struct wal *wal;
    uint64_t durable, last, clones;
};

static int count_record(void *arg, const struct wal_record *record)
{
    (void)record;
    ++*(uint64_t *)arg;
    return 0;
}

static void open_a_clone(void *arg, uint64_t op)
{
    struct each *e = arg;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct sim_disk *clone = sim_disk_clone(e->sim, SIM_CRASH_RANDOM, op * 10 + seed);
        struct wal_options options = e->options;
        struct wal *wal = NULL;
        struct err err = {0};
        uint64_t count = 0;
        options.disk = sim_disk(clone);
        if (wal_open(&options, &wal, &err) != 0)
            fail_msg("before operation %d: %s", (int)op, err.msg);
        assert_in_range(wal_durable(wal), e->durable, e->last);
        assert_int_equal(wal_replay(wal, 1, count_record, &count, NULL), 0);
        assert_int_equal(count, wal_durable(wal));
        wal_abandon(wal);
        sim_disk_free(clone);
        e->clones++;
    }
}

static void a_cut_before_each_single_operation_is_survived(void **state)
{
    (void)state;
    struct each e = {.sim = sim_disk_new()};
    char text[2000];
    memset(text, 'q', sizeof(text));
    e.options = (struct wal_options){
        .disk = sim_disk(e.sim), .dirs = dirs, .dir_count = 2, .segment_bytes = SEGMENT};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(fsutil_mkdirs(e.options.disk, dirs[i], NULL), 0);
    assert_int_equal(wal_create(&e.options, 9, 1, NULL), 0);
    sim_disk_on_op(e.sim, open_a_clone, &e);
    assert_int_equal(wal_open(&e.options, &e.wal, NULL), 0);
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 2; k++)
            assert_int_equal(wal_append(e.wal, 1, 1, slice_of(text, sizeof(text)), &e.last), 0);
        struct wal_batch *batch = wal_take_batch(e.wal, 0);
        wal_write_batch(batch);
        assert_int_equal(wal_batch_done(e.wal, batch, NULL), 0);
        e.durable = wal_durable(e.wal);
    }
    assert_int_equal(wal_close(e.wal, NULL), 0);
    assert_true(e.clones > 150);
    sim_disk_free(e.sim);
}

/* ---- making a log ---- */

static void make_it_again(void *arg, uint64_t op)
{
    struct each *e = arg;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct sim_disk *clone = sim_disk_clone(e->sim, SIM_CRASH_RANDOM, op * 10 + seed);
        struct wal_options options = e->options;
        struct wal *wal = NULL;
        struct err err = {0};
        options.disk = sim_disk(clone);
        int rc = wal_open(&options, &wal, &err);
        if (rc == ERR_NOENT && (rc = wal_create(&options, 10, 1, &err)) == 0)
            rc = wal_open(&options, &wal, &err);
        if (rc != 0)
            fail_msg("before operation %d: %s", (int)op, err.msg);
        assert_int_equal(wal_durable(wal), 0);
        bool alive = false;
        wal_dir(wal, 1, &alive);
        assert_true(alive);
        assert_int_equal(wal_append(wal, 1, 1, slice_str("x"), &e->last), 0);
        assert_int_equal(wal_close(wal, NULL), 0);
        assert_int_equal(wal_open(&options, &wal, &err), 0);
        assert_int_equal(wal_durable(wal), 1);
        wal_abandon(wal);
        sim_disk_free(clone);
        e->clones++;
    }
}

static void a_log_whose_making_was_cut_short_can_be_made(void **state)
{
    (void)state;
    struct each e = {.sim = sim_disk_new()};
    e.options = (struct wal_options){
        .disk = sim_disk(e.sim), .dirs = dirs, .dir_count = 2, .segment_bytes = SEGMENT};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(fsutil_mkdirs(e.options.disk, dirs[i], NULL), 0);
    sim_disk_on_op(e.sim, make_it_again, &e);
    assert_int_equal(wal_create(&e.options, 9, 1, NULL), 0);
    assert_true(e.clones > 50);
    sim_disk_free(e.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_power_cut_loses_or_invents_a_record),
        cmocka_unit_test(without_its_fsync_records_would_be_lost),
        cmocka_unit_test(without_the_fsync_of_the_directory_segments_would_be_lost),
        cmocka_unit_test(a_cut_before_each_single_operation_is_survived),
        cmocka_unit_test(a_log_whose_making_was_cut_short_can_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
