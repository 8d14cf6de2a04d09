/* SPDX-License-Identifier: Apache-2.0
 * retire, on a real directory: file times are what it goes by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobtracker/journal/retire.h"

static char dir[] = "/tmp/quern-retire-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void write_at(const char *name, time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    int fd = open(path_of(name), O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static bool is_there(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static void what_is_old_leaves_and_what_is_young_or_needed_stays(void **state)
{
    const struct slice kept[] = {slice_str("needed")};
    (void)state;
    write_at("old", 1000);
    write_at("needed", 1000);
    write_at("young", 3000);
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(retire_old(disk_real(), dir, 2000 * 1000, kept, 1), 1);
    assert_false(is_there("old"));
    assert_true(is_there("needed"));
    assert_true(is_there("young"));
    assert_true(is_there("sub"));
    assert_int_equal(retire_old(disk_real(), dir, 4000 * 1000, NULL, 0), 2);
    assert_int_equal(rmdir(path_of("sub")), 0);
}

static void a_directory_that_is_not_there_is_no_disaster(void **state)
{
    (void)state;
    assert_int_equal(retire_old(disk_real(), "/no/such/directory", 1, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_old_leaves_and_what_is_young_or_needed_stays),
        cmocka_unit_test(a_directory_that_is_not_there_is_no_disaster),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
