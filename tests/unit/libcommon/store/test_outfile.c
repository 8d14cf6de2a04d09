/* SPDX-License-Identifier: Apache-2.0
 * outfile: whole or not at all, wherever the power goes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/outfile.h"
#include "tests/sim/disk.h"

#define BIG (3U << 20) /* several buffers */

static struct sim_disk *sim;
static struct disk *d;
static uint8_t *big;

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    big = mem_alloc(BIG);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (uint8_t)(i * 31);
    return disk_mkdir(d, "/d") || disk_fsync_dir(d, "/") ||
           fsutil_replace(d, "/d/f", slice_str("old"), NULL);
}

static int teardown(void **state)
{
    (void)state;
    mem_free(big);
    sim_disk_free(sim);
    return 0;
}

enum content { OLD, NEW, WRONG };

static enum content content_of(struct sim_disk *which)
{
    struct buf got = BUF_INIT;
    enum content content = WRONG;
    if (fsutil_read_all(sim_disk(which), "/d/f", 2 * BIG, &got, NULL) == 0) {
        if (slice_is(buf_slice(&got), "old"))
            content = OLD;
        else if (slice_eq(buf_slice(&got), slice_of(big, BIG)))
            content = NEW;
    }
    buf_release(&got);
    return content;
}

static int write_new(struct err *err)
{
    struct outfile out;
    int rc = outfile_open(&out, d, "/d/f", err);
    if (rc != 0)
        return rc;
    outfile_append(&out, big, 10);
    for (size_t i = 10; i < BIG / 2; i += 4000)
        outfile_append(&out, big + i, i + 4000 < BIG / 2 ? 4000 : BIG / 2 - i);
    outfile_append(&out, big + BIG / 2, BIG - BIG / 2);
    assert_int_equal(outfile_offset(&out), BIG);
    return outfile_commit(&out, err);
}

static void a_committed_file_survives_any_crash(void **state)
{
    (void)state;
    assert_int_equal(write_new(NULL), 0);
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, seed);
        assert_int_equal(content_of(clone), NEW);
        sim_disk_free(clone);
    }
}

static void crash_here(void *arg, uint64_t op)
{
    unsigned *seen = arg;
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct sim_disk *clone = sim_disk_clone(sim, SIM_CRASH_RANDOM, op * 100 + seed);
        enum content content = content_of(clone);
        assert_int_not_equal(content, WRONG);
        seen[content]++;
        sim_disk_free(clone);
    }
}

static void a_crash_at_any_step_leaves_the_old_or_the_new(void **state)
{
    (void)state;
    unsigned seen[3] = {0};
    sim_disk_on_op(sim, crash_here, seen);
    assert_int_equal(write_new(NULL), 0);
    assert_true(seen[OLD] > 0 && seen[NEW] > 0);
}

static void an_error_at_any_step_is_told_and_keeps_a_whole_file(void **state)
{
    (void)state;
    unsigned failures = 0;
    for (uint64_t n = 1;; n++) {
        struct err err = {0};
        assert_int_equal(fsutil_replace(d, "/d/f", slice_str("old"), NULL), 0);
        sim_disk_fail(sim, "/d", n, ERR_IO, false);
        int rc = write_new(&err);
        sim_disk_fail(sim, "/d", 0, 0, false);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_IO);
        assert_non_null(strstr(err.msg, "/d"));
        assert_int_not_equal(content_of(sim), WRONG);
        failures++;
    }
    assert_true(failures > 4);
}

static void an_aborted_file_leaves_nothing(void **state)
{
    (void)state;
    struct outfile out;
    struct disk_stat st;
    assert_int_equal(outfile_open(&out, d, "/d/f", NULL), 0);
    outfile_append(&out, "x", 1);
    outfile_abort(&out);
    outfile_abort(&out);
    assert_int_equal(content_of(sim), OLD);
    assert_int_equal(disk_stat(d, "/d/f.tmp", &st), ERR_NOENT);
}

static void memory_running_out_is_an_error(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 20; n++) {
        mem_fail_after(n);
        struct outfile out;
        int rc = outfile_open(&out, d, "/d/f", NULL);
        bool failed = mem_has_failed();
        mem_fail_after(0);
        if (rc == 0) {
            outfile_abort(&out);
            return;
        }
        assert_true(failed);
        assert_int_equal(rc, ERR_NOMEM);
        if (n == 2)
            return; /* further allocations are the simulated disk's own */
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_committed_file_survives_any_crash),
        CASE(a_crash_at_any_step_leaves_the_old_or_the_new),
        CASE(an_error_at_any_step_is_told_and_keeps_a_whole_file),
        CASE(an_aborted_file_leaves_nothing),
        CASE(memory_running_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
