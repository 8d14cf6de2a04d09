/* SPDX-License-Identifier: Apache-2.0
 * home: a fresh directory joins the first cluster it meets, and no other one ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/store/fsutil.h"
#include "libcommon/store/home.h"
#include "tests/sim/disk.h"

static const char *const rooms[] = {"jobs", "logs", NULL};
static const struct home_kind kind = {"worker", 1, rooms};
static struct sim_disk *sim;
static struct disk *d;

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    return fsutil_mkdirs(d, "/w/jobs/job_1", NULL);
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_free(sim);
    return 0;
}

static int join(const char *cluster, struct version *version, struct err *err)
{
    int rc = home_read(d, "/w", &kind, version, err);
    return rc ? rc : home_join(d, "/w", &kind, cluster, "aa", "jobtracker h:1", version, err);
}

static void a_fresh_directory_joins_the_first_cluster_it_meets(void **state)
{
    struct version version;
    struct err err = {0};
    (void)state;
    assert_int_equal(home_read(d, "/w", &kind, &version, &err), 0);
    assert_string_equal(version.cluster_id, "");
    assert_int_equal(join("c1", &version, &err), 0);
    assert_string_equal(version.cluster_id, "c1");
    assert_int_equal(join("c1", &version, &err), 0);
    assert_string_equal(version.storage_id, "aa");
}

static void what_it_joined_survives_a_power_cut(void **state)
{
    struct version version;
    struct err err = {0};
    (void)state;
    assert_int_equal(join("c1", &version, &err), 0);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(join("c2", &version, &err), ERR_FOREIGN);
}

static void another_cluster_is_refused_in_one_line(void **state)
{
    struct version version;
    struct err err = {0};
    (void)state;
    assert_int_equal(join("c1", &version, &err), 0);
    assert_int_equal(join("c2", &version, &err), ERR_FOREIGN);
    assert_string_equal(err.msg, "/w belongs to cluster c1, jobtracker h:1 is cluster c2: wrong "
                                 "disk, or wrong jobtracker");
}

static void somebody_elses_files_are_left_alone(void **state)
{
    struct version version;
    struct err err = {0};
    (void)state;
    assert_int_equal(fsutil_replace(d, "/w/letters", slice_str("dear"), NULL), 0);
    assert_int_equal(join("c1", &version, &err), ERR_NOTEMPTY);
    assert_non_null(strstr(err.msg, "/w holds files but no VERSION"));
}

static void the_directory_of_another_kind_of_daemon_is_refused(void **state)
{
    const struct home_kind other = {"jobtracker", 1, rooms};
    struct version version;
    struct err err = {0};
    (void)state;
    assert_int_equal(join("c1", &version, &err), 0);
    assert_int_equal(home_read(d, "/w", &other, &version, &err), ERR_VERSION);
    assert_int_equal(fsutil_mkdirs(d, "/dn/current", NULL), 0);
    assert_int_equal(home_read(d, "/dn", &kind, &version, &err), ERR_NOTEMPTY);
}

static void a_cluster_with_an_impossible_name_is_not_joined(void **state)
{
    struct version version;
    struct err err = {0};
    (void)state;
    assert_int_equal(join("c 1\nlayout=9", &version, &err), ERR_PROTO);
    assert_int_equal(home_read(d, "/w", &kind, &version, &err), 0);
    assert_string_equal(version.cluster_id, "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_fresh_directory_joins_the_first_cluster_it_meets),
        CASE(what_it_joined_survives_a_power_cut),
        CASE(another_cluster_is_refused_in_one_line),
        CASE(somebody_elses_files_are_left_alone),
        CASE(the_directory_of_another_kind_of_daemon_is_refused),
        CASE(a_cluster_with_an_impossible_name_is_not_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
