/* SPDX-License-Identifier: Apache-2.0
 * version: what is taken, and in which words the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/version.h"
#include "tests/sim/disk.h"

static struct sim_disk *sim;
static struct disk *d;
static const struct version ours = {
    "datanode", 2, "7f3a91c05e1d4b22", "c41f0a3392de7751", 10502184756120391445U, 1700};

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    return fsutil_mkdirs(d, "/d", NULL);
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_free(sim);
    return 0;
}

static void put_text(const char *body)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%scheck=%08x\n", body, crc32c(0, body, strlen(body)));
    assert_int_equal(fsutil_replace(d, "/d/VERSION", buf_slice(&text), NULL), 0);
    buf_release(&text);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct version got;
    assert_int_equal(version_write(d, "/d", &ours, NULL), 0);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(version_read(d, "/d", "datanode", 2, &got, NULL), 0);
    assert_string_equal(got.type, "datanode");
    assert_int_equal(got.layout, 2);
    assert_string_equal(got.cluster_id, ours.cluster_id);
    assert_string_equal(got.storage_id, ours.storage_id);
    assert_true(got.log_id == ours.log_id);
    assert_int_equal(got.created_ms, 1700);
}

static void keys_of_a_later_quern_are_ignored(void **state)
{
    (void)state;
    struct version got;
    put_text("type=datanode\nlayout=1\nflavour=sweet\ncluster=ab\n");
    assert_int_equal(version_read(d, "/d", "datanode", 1, &got, NULL), 0);
    assert_string_equal(got.storage_id, "");
}

static void newer_foreign_and_mistaken_directories_are_told_apart(void **state)
{
    (void)state;
    struct version got;
    struct err err = {0};
    assert_int_equal(version_read(d, "/d", "datanode", 2, &got, &err), ERR_NOENT);
    assert_int_equal(version_write(d, "/d", &ours, NULL), 0);
    assert_int_equal(version_read(d, "/d", "datanode", 1, &got, &err), ERR_VERSION);
    assert_string_equal(err.msg, "/d was written by a newer quern (layout 2, this one reads up to "
                                 "1): run that one");
    assert_int_equal(version_read(d, "/d", "namenode", 2, &got, &err), ERR_VERSION);
    assert_string_equal(err.msg,
                        "/d holds the data of a datanode, not of a namenode: wrong directory");
    assert_int_equal(version_check_cluster(&ours, "/d", "namenode h:8020", ours.cluster_id, &err),
                     0);
    assert_int_equal(version_check_cluster(&ours, "/d", "namenode h:8020", "91c0", &err),
                     ERR_FOREIGN);
    assert_string_equal(err.msg, "/d belongs to cluster 7f3a91c05e1d4b22, namenode h:8020 is "
                                 "cluster 91c0: wrong disk, or wrong namenode");
}

static void every_flipped_bit_is_damage(void **state)
{
    (void)state;
    struct version got;
    struct disk_stat st;
    assert_int_equal(version_write(d, "/d", &ours, NULL), 0);
    assert_int_equal(disk_stat(d, "/d/VERSION", &st), 0);
    for (uint64_t bit = 0; bit < st.size_bytes * 8; bit++) {
        struct err err = {0};
        assert_int_equal(sim_disk_flip(sim, "/d/VERSION", bit), 0);
        assert_int_equal(version_read(d, "/d", "datanode", 2, &got, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.msg, "/d/VERSION is damaged"));
        assert_int_equal(sim_disk_flip(sim, "/d/VERSION", bit), 0);
    }
}

static void nonsense_with_a_good_check_line_is_still_refused(void **state)
{
    (void)state;
    struct version got;
    static const char *const bodies[] = {
        "",
        "type=datanode\nlayout=1\n",
        "type=datanode\nlayout=0\ncluster=a\n",
        "type=datanode\nlayout=one\ncluster=a\n",
        "type=datanode\nlayout=1\ncluster=../a\n",
        "type=datanode\nlayout=1\ncluster=a\nno equals sign\n",
        "type=averyveryverylongtypename\nlayout=1\ncluster=a\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        put_text(bodies[i]);
        assert_int_equal(version_read(d, "/d", "datanode", 1, &got, NULL), ERR_CORRUPT);
    }
}

static void fresh_ids_differ(void **state)
{
    (void)state;
    char one[VERSION_ID_MAX], two[VERSION_ID_MAX];
    version_new_id(one);
    version_new_id(two);
    assert_int_equal(strlen(one), 16);
    assert_string_not_equal(one, two);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_written_is_read),
        CASE(keys_of_a_later_quern_are_ignored),
        CASE(newer_foreign_and_mistaken_directories_are_told_apart),
        CASE(every_flipped_bit_is_damage),
        CASE(nonsense_with_a_good_check_line_is_still_refused),
        CASE(fresh_ids_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
