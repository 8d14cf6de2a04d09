/* SPDX-License-Identifier: Apache-2.0
 * Scratch directories of which one may fail, and the memory of a task. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <unistd.h>

#include "libcommon/base/fault.h"
#include "libcommon/store/fsutil.h"
#include "worker/run/region.h"
#include "worker/run/scratch.h"

static char dirs[3][40];
static struct scratch scratch;
static struct err err;

static size_t count_files(const char *dir)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    const struct dirent *e;
    while ((e = readdir(d)) != NULL)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static void files_take_the_directories_in_turn(void **state)
{
    (void)state;
    struct scratch_file files[6];
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(scratch_create(&scratch, NULL, &files[i], &err), 0);
        assert_int_equal(files[i].dir, i % 3);
        assert_null(files[i].path);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(count_files(dirs[i]), 0); /* nameless: nothing can be left behind */
    for (size_t i = 0; i < 6; i++)
        scratch_file_close(&files[i]);
}

static void a_named_file_stays(void **state)
{
    (void)state;
    struct scratch_file file;
    assert_int_equal(scratch_create(&scratch, "map-7.run", &file, &err), 0);
    assert_non_null(strstr(file.path, "/map-7.run"));
    char path[100];
    snprintf(path, sizeof(path), "%s", file.path);
    scratch_file_close(&file);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(unlink(path), 0);
}

static void a_directory_that_cannot_be_written_is_passed_over(void **state)
{
    (void)state;
    struct scratch_file file;
    assert_int_equal(fault_arm("disk.open=1:eio", &err), 0);
    assert_int_equal(scratch_create(&scratch, NULL, &file, &err), 0);
    assert_int_equal(file.dir, 1);
    fault_arm(NULL, NULL);
    assert_true(scratch.is_bad[0]);
    /* Writing fails too: the next one. */
    assert_true(scratch_give_up(&scratch, &file, ERR_NOSPC));
    assert_int_equal(file.fd, -1);
    assert_int_equal(scratch_create(&scratch, NULL, &file, &err), 0);
    assert_int_equal(file.dir, 2);
    /* What is no fault of the disk does not take it out of use. */
    assert_false(scratch_give_up(&scratch, &file, ERR_CORRUPT));
    assert_true(scratch_give_up(&scratch, &file, ERR_IO));
    assert_int_equal(scratch_create(&scratch, NULL, &file, &err), ERR_NOSPC);
    char want[200]; /* what failed last, and how */
    snprintf(want, sizeof(want), "no local directory is usable (%s: %s)", dirs[2],
             err_text(ERR_IO));
    assert_non_null(strstr(err.msg, want));
}

static int make(void **state)
{
    (void)state;
    struct slice paths[3];
    for (int i = 0; i < 3; i++) {
        snprintf(dirs[i], sizeof(dirs[i]), "/tmp/quern-scratch-XXXXXX");
        if (!mkdtemp(dirs[i]))
            return -1;
        paths[i] = slice_str(dirs[i]);
    }
    return scratch_open(&scratch, paths, 3);
}
static int drop(void **state)
{
    (void)state;
    scratch_close(&scratch);
    int rc = 0;
    for (int i = 0; i < 3; i++)
        rc |= fsutil_remove_tree(disk_real(), dirs[i], NULL);
    return rc;
}

static void a_region_is_carved_until_it_is_used_up(void **state)
{
    (void)state;
    struct region region = REGION_INIT;
    assert_int_equal(region_reserve(&region, 4 << 20, &err), 0);
    uint8_t *a = region_take(&region, 100), *b = region_take(&region, 1 << 20);
    assert_int_equal((uintptr_t)b % 64, 0);
    assert_true(b >= a + 100);
    assert_null(region_take(&region, 4 << 20));
    size_t left = region_left(&region);
    uint8_t *c = region_take(&region, left);
    assert_non_null(c);
    assert_int_equal(region_left(&region), 0);
    c[left - 1] = 1;
    region_release(&region);
}

static void a_region_keeps_its_pages_from_task_to_task(void **state)
{
    (void)state;
    struct region region = REGION_INIT;
    assert_int_equal(region_reserve(&region, 8 << 20, &err), 0);
    uint8_t *base = region.base, *p = region_take(&region, 10);
    *p = 42;
    assert_int_equal(region_reserve(&region, 4 << 20, &err), 0);
    assert_ptr_equal(region.base, base);
    assert_int_equal(*(uint8_t *)region_take(&region, 10), 42);
    assert_int_equal(region_reserve(&region, 64 << 20, &err), 0);
    assert_true(region.size >= 64 << 20);
    region_release(&region);
}

static void a_region_gives_back_what_is_not_carved(void **state)
{
    (void)state;
    struct region region = REGION_INIT;
    assert_int_equal(region_reserve(&region, 8 << 20, &err), 0);
    memset(region_take(&region, region_left(&region)), 42, 8 << 20);
    region_reset(&region);
    uint8_t *kept = region_take(&region, (3 << 20) + 1);
    region_give_back_rest(&region);
    assert_int_equal(kept[0] + kept[3 << 20], 84);
    uint8_t *rest = region_take(&region, region_left(&region));
    for (size_t at = 4096; at < (5 << 20) - 64; at += 4096)
        assert_int_equal(rest[at], 0);
    region_give_back_rest(&region);
    assert_int_equal(kept[3 << 20], 42);
    region_release(&region);
}

static void more_memory_than_there_is_is_refused(void **state)
{
    (void)state;
    struct region region = REGION_INIT;
    assert_int_equal(region_reserve(&region, (size_t)1 << 60, &err), ERR_NOMEM);
    assert_non_null(strstr(err.msg, "cannot reserve"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_take_the_directories_in_turn, make, drop),
        cmocka_unit_test_setup_teardown(a_named_file_stays, make, drop),
        cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_written_is_passed_over, make,
                                        drop),
        cmocka_unit_test(a_region_is_carved_until_it_is_used_up),
        cmocka_unit_test(a_region_gives_back_what_is_not_carved),
        cmocka_unit_test(a_region_keeps_its_pages_from_task_to_task),
        cmocka_unit_test(more_memory_than_there_is_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
