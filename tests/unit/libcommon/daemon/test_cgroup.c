/* SPDX-License-Identifier: Apache-2.0
 * Control groups: found in what the kernel says of mounts and of us, and their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/err.h"
#include "libcommon/daemon/cgroup.h"

#define SECOND                                \
    "25 30 0:23 / /sys rw - sysfs sysfs rw\n" \
    "26 25 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define FIRST                                                                    \
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"        \
    "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"                \
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" \
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"

static void check(const char *mounts, const char *groups, enum cgroup_kind kind, const char *dir)
{
    struct cgroup g;
    cgroup_parse(mounts, groups, "memory", &g);
    assert_int_equal(g.kind, kind);
    if (kind != CGROUP_NONE)
        assert_string_equal(g.dir, dir);
}

static void our_group_is_found_in_either_version(void **state)
{
    (void)state;
    check(SECOND, "0::/system.slice/quern-worker.service\n", CGROUP_V2,
          "/sys/fs/cgroup/system.slice/quern-worker.service");
    check(SECOND, "0::/\n", CGROUP_V2, "/sys/fs/cgroup");
    check(FIRST, "8:pids:/\n4:memory:/a/b\n1:cpu:/\n0::/x\n", CGROUP_V1,
          "/sys/fs/cgroup/memory/a/b");
    check(FIRST, "4:hugetlb,memory:/\n0::/x", CGROUP_V1, "/sys/fs/cgroup/memory");
    check(FIRST, "4:memoryless:/a\n0::/x", CGROUP_V2, "/sys/fs/cgroup/unified/x");
    struct cgroup g;
    cgroup_parse(FIRST, "4:memory:/a\n2:cpu:/b\n", "cpu", &g);
    assert_string_equal(g.dir, "/sys/fs/cgroup/cpu/b");
    check("", "0::/\n", CGROUP_NONE, NULL);
    check(FIRST, "", CGROUP_NONE, NULL);
    check("nonsense - \n- cgroup\n", "::\n:\n", CGROUP_NONE, NULL);
}

static void a_mount_of_a_part_shows_what_is_below_it(void **state)
{
    (void)state;
    const char *mount = "9 8 0:1 /docker/7 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    check(mount, "4:memory:/docker/7/task\n", CGROUP_V1, "/sys/fs/cgroup/memory/task");
    check(mount, "4:memory:/docker/7\n", CGROUP_V1, "/sys/fs/cgroup/memory");
    check(mount, "4:memory:/docker/77\n", CGROUP_NONE, NULL);
    check(mount, "4:memory:/other\n", CGROUP_NONE, NULL);
}

static void put(const char *dir, const char *file, const char *text)
{
    char path[CGROUP_DIR_MAX + 64];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void the_least_limit_above_us_holds(void **state)
{
    (void)state;
    char top[] = "/tmp/cgroup.XXXXXX", command[64];
    assert_non_null(mkdtemp(top));
    struct cgroup g = {.kind = CGROUP_V2, .top_len = strlen(top)};
    snprintf(g.dir, sizeof(g.dir), "%s/a", top);
    mkdir(g.dir, 0700);
    put(g.dir, "memory.max", "7000\n");
    snprintf(g.dir, sizeof(g.dir), "%s/a/b", top);
    mkdir(g.dir, 0700);
    put(g.dir, "memory.max", "max\n");
    assert_int_equal(cgroup_memory_limit(&g), 7000);
    put(g.dir, "memory.max", "9000\n");
    assert_int_equal(cgroup_memory_limit(&g), 7000);
    put(top, "memory.max", "100\n");
    assert_int_equal(cgroup_memory_limit(&g), 100);
    put(g.dir, "memory.events", "low 0\nmax 3\noom 2\noom_kill 1\n");
    uint64_t n = 0;
    assert_true(cgroup_read(g.dir, "memory.events", "oom_kill", &n) && n == 1);
    assert_true(cgroup_read(g.dir, "memory.events", "oom", &n) && n == 2);
    assert_false(cgroup_read(g.dir, "memory.events", "oom_", &n));
    assert_false(cgroup_read(g.dir, "memory.none", NULL, &n));
    assert_int_equal(cgroup_write(g.dir, "memory.none", "1"), ERR_NOENT);
    g.kind = CGROUP_NONE;
    assert_true(cgroup_memory_limit(&g) == UINT64_MAX);
    snprintf(command, sizeof(command), "rm -r %s", top);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_group_is_found_in_either_version),
        cmocka_unit_test(a_mount_of_a_part_shows_what_is_below_it),
        cmocka_unit_test(the_least_limit_above_us_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
