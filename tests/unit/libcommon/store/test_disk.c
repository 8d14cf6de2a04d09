/* SPDX-License-Identifier: Apache-2.0
 * disk: what both tables must answer alike (the kernel's and the simulated one), and the fault
 * points in front of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/store/disk.h"
#include "libcommon/store/fsutil.h"
#include "tests/sim/disk.h"

static struct {
    struct disk *disk;
    struct sim_disk *sim; /* NULL with the kernel's */
    char dir[64];
} env;

static char *at(const char *name)
{
    static char path[4][128];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", env.dir, name);
    return p;
}

static int real_setup(void **state)
{
    (void)state;
    env.disk = disk_real();
    env.sim = NULL;
    snprintf(env.dir, sizeof(env.dir), "/tmp/quern-disk-XXXXXX");
    return mkdtemp(env.dir) ? 0 : -1;
}

static int sim_setup(void **state)
{
    (void)state;
    env.sim = sim_disk_new();
    env.disk = sim_disk(env.sim);
    snprintf(env.dir, sizeof(env.dir), "/d");
    return disk_mkdir(env.disk, "/d");
}

static int teardown(void **state)
{
    (void)state;
    fault_arm(NULL, NULL);
    int rc = fsutil_remove_tree(env.disk, env.dir, NULL);
    sim_disk_free(env.sim);
    return rc;
}

static int open_new(const char *name)
{
    int fd = -1;
    assert_int_equal(disk_open(env.disk, at(name), DISK_READ | DISK_WRITE | DISK_CREATE, &fd), 0);
    return fd;
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    int fd = open_new("a");
    char got[16] = "";
    assert_int_equal(disk_pwrite(env.disk, fd, "hello", 5, 3), 0);
    assert_int_equal(disk_append(env.disk, fd, "!", 1), 0);
    assert_int_equal(disk_pread(env.disk, fd, got, sizeof(got), 0), 9);
    assert_memory_equal(got, "\0\0\0hello!", 9);
    assert_int_equal(disk_pread(env.disk, fd, got, 4, 100), 0);
    assert_int_equal(disk_fsync(env.disk, fd), 0);
    assert_int_equal(disk_fdatasync(env.disk, fd), 0);
    assert_int_equal(disk_writeback(env.disk, fd, 0, 9), 0);
    disk_close(env.disk, fd);
    disk_close(env.disk, -1);
}

static void opening_says_what_is_missing_or_in_the_way(void **state)
{
    (void)state;
    int fd = -1;
    assert_int_equal(disk_open(env.disk, at("none"), DISK_READ, &fd), ERR_NOENT);
    assert_int_equal(disk_open(env.disk, at("no/dir"), DISK_WRITE | DISK_CREATE, &fd), ERR_NOENT);
    disk_close(env.disk, open_new("a"));
    assert_int_equal(disk_open(env.disk, at("a"), DISK_WRITE | DISK_CREATE | DISK_EXCL, &fd),
                     ERR_EXIST);
    assert_int_equal(disk_open(env.disk, env.dir, DISK_WRITE, &fd), ERR_ISDIR);
    assert_int_equal(fd, -1);
}

static void truncating_and_allocating_give_zeros(void **state)
{
    (void)state;
    int fd = open_new("a");
    struct disk_stat st;
    char got[8192];
    assert_int_equal(disk_pwrite(env.disk, fd, "abcdef", 6, 0), 0);
    assert_int_equal(disk_truncate(env.disk, fd, 3), 0);
    assert_int_equal(disk_allocate(env.disk, fd, 8192), 0);
    assert_int_equal(disk_stat_fd(env.disk, fd, &st), 0);
    assert_int_equal(st.size_bytes, 8192);
    assert_true(st.allocated_bytes >= 8192);
    assert_int_equal(disk_pread(env.disk, fd, got, sizeof(got), 0), 8192);
    assert_memory_equal(got, "abc\0\0\0", 6);
    assert_int_equal(disk_allocate(env.disk, fd, 4096), 0); /* never shorter */
    assert_int_equal(disk_stat(env.disk, at("a"), &st), 0);
    assert_int_equal(st.size_bytes, 8192);
    disk_close(env.disk, fd);
}

static void a_range_is_copied_to_the_same_place(void **state)
{
    (void)state;
    int from = open_new("a"), to = open_new("b");
    char got[8];
    assert_int_equal(disk_pwrite(env.disk, from, "0123456789", 10, 0), 0);
    assert_int_equal(disk_copy(env.disk, from, to, 2, 6), 0);
    assert_int_equal(disk_pread(env.disk, to, got, 8, 0), 8);
    assert_memory_equal(got, "\0\000234567", 8);
    assert_int_equal(disk_copy(env.disk, from, to, 8, 6), ERR_EOF);
    disk_close(env.disk, from);
    disk_close(env.disk, to);
}

static int join_names(void *arg, const char *name, bool is_dir)
{
    buf_printf(arg, "%s%s ", name, is_dir ? "/" : "");
    return 0;
}

static int stop_listing(void *arg, const char *name, bool is_dir)
{
    (void)name;
    (void)is_dir;
    ++*(int *)arg;
    return 7;
}

static void names_are_made_moved_listed_and_removed(void **state)
{
    (void)state;
    int visits = 0;
    disk_close(env.disk, open_new("a"));
    assert_int_equal(disk_mkdir(env.disk, at("sub")), 0);
    assert_int_equal(disk_mkdir(env.disk, at("sub")), ERR_EXIST);
    assert_int_equal(disk_rename(env.disk, at("a"), at("sub/b")), 0);
    assert_int_equal(disk_rename(env.disk, at("a"), at("c")), ERR_NOENT);
    assert_int_equal(disk_fsync_dir(env.disk, at("sub")), 0);
    assert_int_equal(disk_fsync_dir(env.disk, at("none")), ERR_NOENT);
    struct buf names = BUF_INIT;
    assert_int_equal(disk_list(env.disk, env.dir, join_names, &names), 0);
    assert_int_equal(disk_list(env.disk, at("sub"), join_names, &names), 0);
    assert_string_equal(buf_cstr(&names), "sub/ b ");
    buf_release(&names);
    assert_int_equal(disk_list(env.disk, env.dir, stop_listing, &visits), 7);
    assert_int_equal(visits, 1);
    assert_int_equal(disk_rmdir(env.disk, at("sub")), ERR_NOTEMPTY);
    assert_int_equal(disk_unlink(env.disk, at("sub")), ERR_ISDIR);
    assert_int_equal(disk_unlink(env.disk, at("sub/b")), 0);
    assert_int_equal(disk_unlink(env.disk, at("sub/b")), ERR_NOENT);
    assert_int_equal(disk_rmdir(env.disk, at("sub")), 0);
}

static void a_file_is_locked_once(void **state)
{
    (void)state;
    int one = -1, two = -1;
    assert_int_equal(disk_lock(env.disk, at("lock"), &one), 0);
    assert_int_equal(disk_lock(env.disk, at("lock"), &two), ERR_BUSY);
    disk_close(env.disk, one);
    assert_int_equal(disk_lock(env.disk, at("lock"), &two), 0);
    disk_close(env.disk, two);
}

static void space_is_told(void **state)
{
    (void)state;
    struct disk_space space;
    assert_int_equal(disk_space(env.disk, env.dir, &space), 0);
    assert_true(space.total_bytes >= space.free_bytes);
    assert_true(space.free_bytes > 0);
}

static void armed_points_fail_the_operation(void **state)
{
    (void)state;
    int fd = open_new("a");
    char got[4] = "";
    assert_int_equal(fault_arm("disk.write=2:enospc,disk.fsync=1:eio,disk.read=2:corrupt", NULL),
                     0);
    assert_int_equal(disk_pwrite(env.disk, fd, "abcd", 4, 0), 0);
    assert_int_equal(disk_pwrite(env.disk, fd, "efgh", 4, 0), ERR_NOSPC);
    assert_int_equal(disk_fdatasync(env.disk, fd), ERR_IO);
    assert_int_equal(disk_pread(env.disk, fd, got, 4, 0), 4);
    assert_memory_equal(got, "abcd", 4);
    assert_int_equal(disk_pread(env.disk, fd, got, 4, 0), 4);
    assert_memory_not_equal(got, "abcd", 4);
    disk_close(env.disk, fd);
}

static void a_dropped_write_or_rename_claims_success(void **state)
{
    (void)state;
    int fd = open_new("a");
    char got[4] = "";
    struct disk_stat st;
    assert_int_equal(fault_arm("disk.write=1:drop,disk.write=2:corrupt,disk.rename=1:drop", NULL),
                     0);
    assert_int_equal(disk_pwrite(env.disk, fd, "abcd", 4, 0), 0);
    assert_int_equal(disk_pread(env.disk, fd, got, 4, 0), 0);
    assert_int_equal(disk_pwrite(env.disk, fd, "abcd", 4, 0), 0);
    assert_int_equal(disk_pread(env.disk, fd, got, 4, 0), 4);
    assert_memory_equal(got, "abs", 3); /* one bit of the third byte is not what was written */
    assert_int_equal(disk_rename(env.disk, at("a"), at("b")), 0);
    assert_int_equal(disk_stat(env.disk, at("b"), &st), ERR_NOENT);
    disk_close(env.disk, fd);
}

static void direct_files_work_where_they_can(void **state)
{
    (void)state;
    int fd = -1;
    char *page = aligned_alloc(4096, 4096);
    memset(page, 7, 4096);
    assert_int_equal(
        disk_open(env.disk, at("a"), DISK_READ | DISK_WRITE | DISK_CREATE | DISK_DIRECT, &fd), 0);
    assert_int_equal(disk_pwrite(env.disk, fd, page, 4096, 4096), 0);
    memset(page, 0, 4096);
    assert_int_equal(disk_pread(env.disk, fd, page, 4096, 4096), 4096);
    assert_int_equal(page[4095], 7);
    disk_close(env.disk, fd);
    free(page);
}

/* Who opened a pipe would wait for its other end, and the daemon with him. */
static void what_is_no_file_is_refused_at_once(void **state)
{
    (void)state;
    const unsigned ways[] = {DISK_READ, DISK_READ | DISK_WRITE, DISK_WRITE | DISK_CREATE,
                             DISK_READ | DISK_DIRECT};
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    assert_int_equal(mknod(at("socket"), S_IFSOCK | 0600, 0), 0);
    assert_int_equal(symlink("/dev/zero", at("link")), 0);
    assert_int_equal(disk_mkdir(env.disk, at("directory")), 0);
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        int fd = -1;
        assert_int_equal(disk_open(env.disk, at("pipe"), ways[i], &fd), ERR_CORRUPT);
        assert_int_equal(disk_open(env.disk, at("socket"), ways[i], &fd), ERR_CORRUPT);
        assert_int_equal(disk_open(env.disk, at("link"), ways[i], &fd), ERR_CORRUPT);
        assert_int_equal(disk_open(env.disk, at("directory"), ways[i], &fd), ERR_ISDIR);
        assert_int_equal(fd, -1);
    }
}

#define BOTH(test)                                           \
    {"kernel: " #test, test, real_setup, teardown, NULL},    \
    {                                                        \
        "simulated: " #test, test, sim_setup, teardown, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(what_is_written_is_read_back),
        BOTH(opening_says_what_is_missing_or_in_the_way),
        BOTH(truncating_and_allocating_give_zeros),
        BOTH(a_range_is_copied_to_the_same_place),
        BOTH(names_are_made_moved_listed_and_removed),
        BOTH(a_file_is_locked_once),
        BOTH(space_is_told),
        BOTH(armed_points_fail_the_operation),
        BOTH(a_dropped_write_or_rename_claims_success),
        BOTH(direct_files_work_where_they_can),
        {"what_is_no_file_is_refused_at_once", what_is_no_file_is_refused_at_once, real_setup,
         teardown, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
