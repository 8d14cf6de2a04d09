/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "datanode/storage/buffers.h"
#include "datanode/storage/volumes.h"
#include "libcommon/base/mem.h"
#include "tests/sim/disk.h"

static struct dn_volume *open_one(struct disk *disk, int want, struct err *err)
{
    struct dn_volume *v = NULL;
    assert_int_equal(dn_volume_open(disk, "/d1", 0, &v, err), want);
    return v;
}

static void formatted(struct disk *disk, const char *path, const char *cluster, const char *node)
{
    struct dn_volume *v = NULL;
    struct dn_identity identity = {.term = 3};
    snprintf(identity.node_id, sizeof(identity.node_id), "%s", node);
    assert_int_equal(dn_volume_open(disk, path, 0, &v, NULL), 0);
    assert_int_equal(dn_volume_format(v, cluster, &identity, 1000, NULL), 0);
    dn_volume_close(v);
}

static void a_fresh_directory_is_formatted_once_the_cluster_is_known(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct err err = {0};
    struct dn_volume *v = open_one(sim_disk(sim), 0, &err);
    assert_false(dn_volume_is_formatted(v));
    struct dn_identity identity = {.node_id = "feed", .term = 9};
    assert_int_equal(dn_volume_format(v, "c1", &identity, 1000, &err), 0);
    dn_volume_close(v);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    v = open_one(sim_disk(sim), 0, &err);
    assert_string_equal(v->version.cluster_id, "c1");
    assert_string_equal(v->identity.node_id, "feed");
    assert_int_equal(v->identity.term, 9);
    dn_volume_close(v);
    sim_disk_free(sim);
}

/* ---- an interrupted format ---- */

struct watch {
    struct sim_disk *sim;
    unsigned fresh, whole;
};

static void look_after_crash(void *arg, uint64_t op)
{
    struct watch *w = arg;
    struct sim_disk *after = sim_disk_clone(w->sim, SIM_CRASH_RANDOM, op);
    struct dn_volume *v = NULL;
    struct err err = {0};
    int rc = dn_volume_open(sim_disk(after), "/d1", 0, &v, &err);
    if (rc != 0)
        fail_msg("after operation %u: %s", (unsigned)op, err.msg);
    w->fresh += !dn_volume_is_formatted(v);
    w->whole += dn_volume_is_formatted(v);
    dn_volume_close(v);
    sim_disk_free(after);
}

static void a_format_cut_short_anywhere_is_begun_again(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct watch watch = {.sim = sim};
    struct dn_volume *v = open_one(sim_disk(sim), 0, NULL);
    struct dn_identity identity = {.node_id = "feed"};
    sim_disk_on_op(sim, look_after_crash, &watch);
    assert_int_equal(dn_volume_format(v, "c1", &identity, 1000, NULL), 0);
    sim_disk_on_op(sim, NULL, NULL);
    assert_true(watch.fresh > 5);
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void other_peoples_files_are_left_alone(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    struct err err = {0};
    assert_int_equal(fsutil_mkdirs(disk, "/d1/holiday-pictures", NULL), 0);
    open_one(disk, ERR_NOTEMPTY, &err);
    assert_string_equal(err.msg, "/d1 holds files but no current/VERSION: not a quern data "
                                 "directory (give an empty one)");
    sim_disk_free(sim);
}

/* A directory whose VERSION is lost must not be taken for an empty one. */
static void blocks_without_a_version_file_are_not_formatted_over(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    formatted(disk, "/d1", "c1", "feed");
    assert_int_equal(fsutil_write_all(disk, "/d1/current/rbw/blk_1", slice_str("x"), NULL), 0);
    assert_int_equal(disk_unlink(disk, "/d1/current/VERSION"), 0);
    open_one(disk, ERR_NOTEMPTY, NULL);
    sim_disk_free(sim);
}

static void a_locked_directory_is_refused(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct err err = {0};
    struct dn_volume *v = open_one(sim_disk(sim), 0, NULL);
    open_one(sim_disk(sim), ERR_BUSY, &err);
    assert_non_null(strstr(err.msg, "/d1 is in use: locked by process"));
    dn_volume_close(v);
    sim_disk_free(sim);
}

static void replace_text(struct disk *disk, const char *path, const char *text)
{
    assert_int_equal(fsutil_replace(disk, path, slice_str(text), NULL), 0);
}

static void a_damaged_or_newer_directory_is_refused(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    struct err err = {0};
    formatted(disk, "/d1", "c1", "feed");
    struct version newer = {
        .type = "datanode", .layout = DN_VOLUME_LAYOUT + 1, .cluster_id = "c1", .storage_id = "s"};
    assert_int_equal(version_write(disk, "/d1/current", &newer, NULL), 0);
    open_one(disk, ERR_VERSION, &err);
    replace_text(disk, "/d1/current/VERSION", "garbage\n");
    open_one(disk, ERR_CORRUPT, &err);
    newer.layout = DN_VOLUME_LAYOUT;
    assert_int_equal(version_write(disk, "/d1/current", &newer, NULL), 0);
    dn_volume_close(open_one(disk, 0, &err));
    replace_text(disk, "/d1/current/node", "node=feed\nterm=4\ncheck=00000000\n");
    open_one(disk, ERR_CORRUPT, &err);
    assert_string_equal(err.msg, "/d1/current/node is damaged or not quern's");
    assert_int_equal(disk_unlink(disk, "/d1/current/node"), 0);
    open_one(disk, ERR_NOENT, &err);
    sim_disk_free(sim);
}

static void a_directory_that_lost_its_finalized_blocks_is_refused(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct err err = {0};
    formatted(sim_disk(sim), "/d1", "c1", "feed");
    assert_int_equal(disk_rmdir(sim_disk(sim), "/d1/current/finalized"), 0);
    open_one(sim_disk(sim), ERR_NOENT, &err);
    assert_non_null(strstr(err.msg, "/d1/current/finalized: cannot be used"));
    sim_disk_free(sim);
}

static void blocks_spread_over_directories_by_their_id(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct dn_volume *v = open_one(sim_disk(sim), 0, NULL);
    char *dir = dn_volume_dir(v, DN_DIR_FINALIZED, 0x12345678);
    assert_string_equal(dir, "/d1/current/finalized/subdir20/subdir22");
    mem_free(dir);
    dir = dn_volume_dir(v, DN_DIR_RBW, 0x12345678);
    assert_string_equal(dir, "/d1/current/rbw");
    mem_free(dir);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(dn_volume_make_final_dir(v, 0x12345678, &dir, NULL), 0);
        mem_free(dir);
    }
    dn_volume_close(v);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    struct disk_stat st;
    assert_int_equal(disk_stat(sim_disk(sim), "/d1/current/finalized/subdir20/subdir22", &st), 0);
    sim_disk_free(sim);
}

/* ---- several of them ---- */

static struct dn_volumes *open_all(struct disk *disk, int want, struct err *err)
{
    static const char *const paths[] = {"/d1", "/d2", "/d3"};
    struct dn_volumes_conf conf = {.paths = paths, .count = 3, .reserved_bytes = 100};
    struct dn_volumes *all = NULL;
    assert_int_equal(dn_volumes_open(disk, &conf, &all, err), want);
    return all;
}

static void a_fresh_disk_joins_the_others(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    formatted(disk, "/d1", "c1", "feed");
    formatted(disk, "/d3", "c1", "feed");
    struct dn_volumes *all = open_all(disk, 0, NULL);
    assert_string_equal(all->cluster_id, "c1");
    assert_int_equal(all->identity.term, 3);
    assert_int_equal(dn_volumes_join(all, "c1", "host1:8020", 1000, NULL), 0);
    assert_int_equal(dn_volumes_keep_term(all, 12, NULL), 0);
    dn_volumes_close(all);
    all = open_all(disk, 0, NULL);
    assert_string_equal(all->v[1]->identity.node_id, "feed");
    assert_int_equal(all->identity.term, 12);
    dn_volumes_close(all);
    sim_disk_free(sim);
}

static void another_clusters_namenode_is_refused_by_name(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    struct err err = {0};
    formatted(disk, "/d1", "7f3a", "feed");
    struct dn_volumes *all = open_all(disk, 0, NULL);
    assert_int_equal(dn_volumes_join(all, "91c0", "namenode host1:8020", 1000, &err), ERR_FOREIGN);
    assert_string_equal(err.msg, "/d1 belongs to cluster 7f3a, namenode host1:8020 is cluster "
                                 "91c0: wrong disk, or wrong namenode");
    dn_volumes_close(all);
    sim_disk_free(sim);
}

static void disks_of_two_clusters_or_nodes_do_not_go_together(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    struct err err = {0};
    formatted(disk, "/d1", "c1", "feed");
    formatted(disk, "/d2", "c2", "feed");
    open_all(disk, ERR_FOREIGN, &err);
    assert_string_equal(err.msg,
                        "/d2 belongs to cluster c2, /d1 to cluster c1: one datanode, one cluster");
    assert_int_equal(fsutil_remove_tree(disk, "/d2", NULL), 0);
    formatted(disk, "/d2", "c1", "beef");
    open_all(disk, ERR_CONFIG, &err);
    assert_string_equal(err.msg, "/d2 belongs to datanode beef, /d1 to datanode feed: a disk of "
                                 "another node?");
    sim_disk_free(sim);
}

static int open_some(struct disk *disk, int64_t tolerated, struct dn_volumes **ret, struct err *err)
{
    const char *paths[] = {"/d1", "/broken", "/d3"};
    struct dn_volumes_conf conf = {.paths = paths, .count = 3, .failed_tolerated = tolerated};
    return dn_volumes_open(disk, &conf, ret, err);
}

static void a_dead_disk_at_the_start_is_passed_over_if_so_many_may_be_lost(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    struct dn_volumes *all = NULL;
    struct err err = {0};
    formatted(disk, "/d1", "c1", "feed");
    formatted(disk, "/d3", "c1", "feed");
    assert_int_equal(fsutil_write_all(disk, "/broken", slice_str("no directory"), NULL), 0);
    assert_int_equal(open_some(disk, 0, &all, &err), ERR_NOTDIR);
    assert_int_equal(open_some(disk, 1, &all, &err), 0);
    assert_true(atomic_load(&all->v[1]->has_failed));
    assert_string_equal(all->cluster_id, "c1");
    assert_int_equal(dn_volumes_join(all, "c1", "nn", 1000, &err), 0);
    for (int i = 0; i < 6; i++)
        assert_int_not_equal(dn_volumes_choose(all, 10)->index, 1);
    assert_false(dn_volumes_can_lose(all, ERR_IO)); /* one more would be too many */
    dn_volumes_close(all);
    sim_disk_free(sim);
}

static void a_directory_that_is_not_ours_is_no_dead_disk(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct disk *disk = sim_disk(sim);
    struct dn_volumes *all = NULL;
    struct err err = {0};
    formatted(disk, "/d1", "c1", "feed");
    formatted(disk, "/d3", "c1", "feed");
    assert_int_equal(fsutil_mkdirs(disk, "/broken/pictures", NULL), 0);
    assert_int_equal(open_some(disk, 2, &all, &err), ERR_NOTEMPTY);
    assert_int_equal(fsutil_remove_tree(disk, "/broken", NULL), 0);
    formatted(disk, "/broken", "c2", "feed");
    assert_int_equal(open_some(disk, 2, &all, &err), ERR_FOREIGN);
    replace_text(disk, "/broken/current/VERSION", "rubbish");
    assert_int_equal(open_some(disk, 2, &all, &err), ERR_CORRUPT);
    sim_disk_free(sim);
}

static void blocks_go_round_the_volumes_that_have_room(void **state)
{
    (void)state;
    struct sim_disk *sim = sim_disk_new();
    struct dn_volumes *all = open_all(sim_disk(sim), 0, NULL);
    assert_null(dn_volumes_choose(all, 1)); /* not formatted yet */
    assert_int_equal(dn_volumes_join(all, "c1", "host1", 1000, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        all->v[i]->space = (struct disk_space){.total_bytes = 10000, .free_bytes = 1100};
    all->v[1]->space.free_bytes = 600;
    assert_int_equal(dn_volumes_choose(all, 800)->index, 0);
    assert_int_equal(dn_volumes_choose(all, 800)->index, 2);
    assert_int_equal(dn_volumes_choose(all, 500)->index, 0);
    assert_int_equal(dn_volumes_choose(all, 500)->index, 1);
    all->v[2]->promised = 900; /* to blocks being written */
    assert_int_equal(dn_volumes_choose(all, 500)->index, 0);
    atomic_store(&all->v[0]->has_failed, true);
    assert_int_equal(dn_volumes_choose(all, 500)->index, 1);
    assert_null(dn_volumes_choose(all, 501));
    dn_volumes_close(all);
    sim_disk_free(sim);
}

static void a_buffer_given_back_is_the_next_one_handed_out(void **state)
{
    (void)state;
    struct dn_buffers *b = dn_buffers_new(1U << 20, 2);
    uint8_t *x = dn_buffers_get(b), *y = dn_buffers_get(b), *z = dn_buffers_get(b);
    assert_int_equal((uintptr_t)x % 4096, 0);
    x[0] = y[(1U << 20) - 1] = z[5] = 1;
    assert_int_equal(dn_buffers_used(b), 3);
    dn_buffers_put(b, x);
    dn_buffers_put(b, y);
    dn_buffers_put(b, z); /* one too many to keep */
    assert_ptr_equal(dn_buffers_get(b), y);
    dn_buffers_put(b, y);
    assert_int_equal(dn_buffers_used(b), 0);
    dn_buffers_free(b);
}

static void buffers_nobody_wanted_since_the_last_trim_go(void **state)
{
    (void)state;
    struct dn_buffers *b = dn_buffers_new(8192, 8);
    uint8_t *held[5];
    for (int i = 0; i < 5; i++)
        held[i] = dn_buffers_get(b);
    for (int i = 0; i < 5; i++)
        dn_buffers_put(b, held[i]);
    assert_int_equal(dn_buffers_trim(b), 0); /* all were wanted a moment ago */
    uint8_t *one = dn_buffers_get(b), *two = dn_buffers_get(b);
    dn_buffers_put(b, one);
    assert_int_equal(dn_buffers_trim(b), 3);
    dn_buffers_put(b, two);
    assert_ptr_equal(dn_buffers_get(b), two);
    dn_buffers_put(b, two);
    assert_int_equal(dn_buffers_trim(b), 1);
    assert_int_equal(dn_buffers_trim(b), 1);
    assert_int_equal(dn_buffers_trim(b), 0);
    dn_buffers_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_directory_is_formatted_once_the_cluster_is_known),
        cmocka_unit_test(a_format_cut_short_anywhere_is_begun_again),
        cmocka_unit_test(other_peoples_files_are_left_alone),
        cmocka_unit_test(blocks_without_a_version_file_are_not_formatted_over),
        cmocka_unit_test(a_locked_directory_is_refused),
        cmocka_unit_test(a_damaged_or_newer_directory_is_refused),
        cmocka_unit_test(a_directory_that_lost_its_finalized_blocks_is_refused),
        cmocka_unit_test(blocks_spread_over_directories_by_their_id),
        cmocka_unit_test(a_fresh_disk_joins_the_others),
        cmocka_unit_test(another_clusters_namenode_is_refused_by_name),
        cmocka_unit_test(disks_of_two_clusters_or_nodes_do_not_go_together),
        cmocka_unit_test(a_dead_disk_at_the_start_is_passed_over_if_so_many_may_be_lost),
        cmocka_unit_test(a_directory_that_is_not_ours_is_no_dead_disk),
        cmocka_unit_test(blocks_go_round_the_volumes_that_have_room),
        cmocka_unit_test(a_buffer_given_back_is_the_next_one_handed_out),
        cmocka_unit_test(buffers_nobody_wanted_since_the_last_trim_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
