/* SPDX-License-Identifier: Apache-2.0
 * fsutil: whole files, trees and the directory lock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "tests/sim/disk.h"

static struct sim_disk *sim;
static struct disk *d;

static int setup(void **state)
{
    (void)state;
    sim = sim_disk_new();
    d = sim_disk(sim);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sim_disk_free(sim);
    return 0;
}

static bool has(struct disk *disk, const char *path)
{
    struct disk_stat st;
    return disk_stat(disk, path, &st) == 0;
}

static void a_file_is_read_whole_or_refused(void **state)
{
    (void)state;
    struct buf got = BUF_INIT;
    struct err err = {0};
    assert_int_equal(fsutil_write_all(d, "/f", slice_str("hello"), &err), 0);
    assert_int_equal(fsutil_read_all(d, "/f", 5, &got, &err), 0);
    assert_true(slice_is(buf_slice(&got), "hello"));
    assert_int_equal(fsutil_read_all(d, "/f", 4, &got, &err), ERR_TOOBIG);
    assert_int_equal(fsutil_read_all(d, "/none", 4, &got, &err), ERR_NOENT);
    assert_string_equal(err.msg, "/none: cannot read: No such file or directory");
    assert_int_equal(fsutil_read_all(d, "/", 4, &got, &err), ERR_ISDIR);
    buf_release(&got);
}

static void a_made_path_survives_a_crash_as_a_whole(void **state)
{
    (void)state;
    assert_int_equal(fsutil_mkdirs(d, "/a//b/c/", NULL), 0);
    assert_int_equal(fsutil_mkdirs(d, "/a/b/c", NULL), 0);
    assert_int_equal(fsutil_mkdirs(d, "/", NULL), 0);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_true(has(d, "/a/b/c"));
}

static void a_file_in_the_way_of_a_path_is_named(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(fsutil_write_all(d, "/a", slice_str(""), NULL), 0);
    assert_int_equal(fsutil_mkdirs(d, "/a/b", &err), ERR_NOTDIR);
    assert_string_equal(err.msg, "/a: is in the way: not a directory");
}

static void a_tree_is_removed_with_everything_in_it(void **state)
{
    (void)state;
    char name[32];
    assert_int_equal(fsutil_mkdirs(d, "/t/u/v", NULL), 0);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "/t/u/%d", i);
        assert_int_equal(fsutil_write_all(d, name, slice_str("x"), NULL), 0);
    }
    assert_int_equal(fsutil_remove_tree(d, "/t", NULL), 0);
    assert_false(has(d, "/t"));
    assert_int_equal(fsutil_remove_tree(d, "/t", NULL), 0);
}

static void a_link_in_a_tree_is_removed_and_not_followed(void **state)
{
    (void)state;
    char dir[] = "/tmp/quern-fsutil-XXXXXX", inside[64], target[64], kept[64];
    assert_non_null(mkdtemp(dir));
    snprintf(inside, sizeof(inside), "%s/in", dir);
    snprintf(target, sizeof(target), "%s/out", dir);
    snprintf(kept, sizeof(kept), "%s/out/kept", dir);
    assert_int_equal(fsutil_mkdirs(disk_real(), inside, NULL), 0);
    assert_int_equal(fsutil_mkdirs(disk_real(), target, NULL), 0);
    assert_int_equal(fsutil_write_all(disk_real(), kept, slice_str("x"), NULL), 0);
    snprintf(inside, sizeof(inside), "%s/in/link", dir);
    assert_int_equal(symlink(target, inside), 0);
    snprintf(inside, sizeof(inside), "%s/in", dir);
    assert_int_equal(fsutil_remove_tree(disk_real(), inside, NULL), 0);
    assert_true(has(disk_real(), kept));
    assert_false(has(disk_real(), inside));
    assert_int_equal(fsutil_remove_tree(disk_real(), dir, NULL), 0);
}

static void copies_are_durable_and_equal(void **state)
{
    (void)state;
    struct buf big = BUF_INIT, got = BUF_INIT;
    for (int i = 0; i < 300000; i++)
        buf_append_u64(&big, (uint64_t)i);
    assert_int_equal(fsutil_replace(d, "/a", buf_slice(&big), NULL), 0);
    assert_int_equal(fsutil_copy(d, "/a", "/b", NULL), 0);
    sim_disk_crash(sim, SIM_CRASH_NOTHING, 1);
    assert_int_equal(fsutil_read_all(d, "/b", SIZE_MAX, &got, NULL), 0);
    assert_true(slice_eq(buf_slice(&got), buf_slice(&big)));
    assert_int_equal(fsutil_copy(d, "/none", "/c", NULL), ERR_NOENT);
    assert_false(has(d, "/c"));
    buf_release(&big);
    buf_release(&got);
}

static void an_empty_directory_may_hold_a_lock(void **state)
{
    (void)state;
    struct fsutil_lock lock = FSUTIL_LOCK_INIT;
    assert_int_equal(fsutil_is_empty_dir(d, "/d"), ERR_NOENT);
    assert_int_equal(fsutil_mkdirs(d, "/d/lost+found", NULL), 0);
    assert_int_equal(fsutil_lock(d, "/d", &lock, NULL), 0);
    assert_int_equal(fsutil_is_empty_dir(d, "/d"), 1);
    assert_int_equal(fsutil_write_all(d, "/d/x", slice_str(""), NULL), 0);
    assert_int_equal(fsutil_is_empty_dir(d, "/d"), 0);
    fsutil_unlock(&lock);
    fsutil_unlock(&lock);
}

static void a_second_process_is_told_who_holds_the_directory(void **state)
{
    (void)state;
    char dir[] = "/tmp/quern-fsutil-XXXXXX", pid[32];
    struct fsutil_lock lock = FSUTIL_LOCK_INIT, again = FSUTIL_LOCK_INIT;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    int to_child[2], to_parent[2];
    char byte = 0;
    assert_int_equal(pipe(to_child) | pipe(to_parent), 0);
    pid_t child = fork();
    if (child == 0) {
        int rc = fsutil_lock(disk_real(), dir, &lock, NULL);
        byte = rc == 0 ? 'y' : 'n';
        _exit(write(to_parent[1], &byte, 1) == 1 && read(to_child[0], &byte, 1) == 1 ? 0 : 1);
    }
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(fsutil_lock(disk_real(), dir, &again, &err), ERR_BUSY);
    snprintf(pid, sizeof(pid), "locked by process %d ", child);
    assert_non_null(strstr(err.msg, pid));
    assert_non_null(strstr(err.msg, dir));
    char *file = fsutil_join(dir, "in_use.lock"); /* somebody's attempt to help */
    assert_int_equal(unlink(file), 0);
    mem_free(file);
    assert_int_equal(fsutil_lock(disk_real(), dir, &again, &err), ERR_BUSY);
    assert_non_null(strstr(err.msg, "is in use: another process has locked it"));
    assert_int_equal(write(to_child[1], "x", 1), 1);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(fsutil_lock(disk_real(), dir, &again, &err), 0); /* it ends with the process */
    fsutil_unlock(&again);
    assert_int_equal(fsutil_remove_tree(disk_real(), dir, NULL), 0);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}

static void a_lock_file_that_is_a_directory_is_named(void **state)
{
    (void)state;
    char dir[] = "/tmp/quern-fsutil-XXXXXX";
    struct fsutil_lock lock = FSUTIL_LOCK_INIT;
    struct err err = {0};
    assert_non_null(mkdtemp(dir));
    char *file = fsutil_join(dir, "in_use.lock");
    assert_int_equal(disk_mkdir(disk_real(), file), 0);
    assert_int_equal(fsutil_lock(disk_real(), dir, &lock, &err), ERR_ISDIR);
    assert_non_null(strstr(err.msg, "/in_use.lock: cannot write: Is a directory"));
    mem_free(file);
    assert_int_equal(fsutil_remove_tree(disk_real(), dir, NULL), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_file_is_read_whole_or_refused),
        CASE(a_made_path_survives_a_crash_as_a_whole),
        CASE(a_file_in_the_way_of_a_path_is_named),
        CASE(a_tree_is_removed_with_everything_in_it),
        CASE(a_link_in_a_tree_is_removed_and_not_followed),
        CASE(copies_are_durable_and_equal),
        CASE(an_empty_directory_may_hold_a_lock),
        CASE(a_second_process_is_told_who_holds_the_directory),
        CASE(a_lock_file_that_is_a_directory_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
