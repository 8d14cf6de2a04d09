/* SPDX-License-Identifier: Apache-2.0
 * pages: the files of a name directory as a stranger asks for them, by names and offsets that he
 * chooses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "libcommon/base/fault.h"
#include "libcommon/store/fsutil.h"
#include "namenode/journal/pages.h"

#define IMAGE   "image.000000000007"
#define SEGMENT "log.000000000008"

static struct loop *loop;
static struct workq *workq;
static struct arena arena;
static struct nn_pages pages;
static char dir[64];
static bool is_done;

static void on_done(struct nn_pages *p)
{
    (void)p;
    is_done = true;
}

static int setup(void **state)
{
    (void)state;
    struct err err;
    snprintf(dir, sizeof(dir), "/tmp/quern-pages-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    loop = loop_new(&err);
    workq = loop ? workq_new(loop, "pages", 1, &err) : NULL;
    return workq ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    fault_arm(NULL, NULL);
    workq_free(workq);
    loop_free(loop);
    arena_release(&arena);
    return fsutil_remove_tree(disk_real(), dir, NULL);
}

static void put(const char *name, size_t size)
{
    struct err err = {0};
    uint8_t *bytes = mem_alloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    char *path = fsutil_join(dir, name);
    if (fsutil_replace(disk_real(), path, slice_of(bytes, size), &err) != 0)
        fail_msg("%s", err.msg);
    mem_free(path);
    mem_free(bytes);
}

/* name NULL: which files are there? */
static int ask(const char *name, uint64_t offset)
{
    pages = (struct nn_pages){.dir = dir,
                              .disk = disk_real(),
                              .arena = &arena,
                              .name = name,
                              .offset = offset,
                              .done = on_done};
    is_done = false;
    nn_pages_start(&pages, workq);
    while (!is_done)
        loop_turn(loop, 100);
    return pages.err.code;
}

static void the_newest_image_comes_first_then_the_log_in_order(void **state)
{
    (void)state;
    put("image.000000000003", 10);
    put("log.000000000100", 10);
    put(SEGMENT, 10);
    put("log.000000000020", 10);
    put(IMAGE, 10);
    put("image.000000000009.tmp", 10);
    put("VERSION", 10);
    put("log.8", 10);
    assert_int_equal(ask(NULL, 0), 0);
    static const char *const want[] = {IMAGE, SEGMENT, "log.000000000020", "log.000000000100"};
    assert_int_equal(pages.files.names.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(slice_is(pages.files.names.v[i], want[i]));
}

static void a_directory_without_an_image_is_no_answer(void **state)
{
    (void)state;
    put(SEGMENT, 10);
    assert_int_equal(ask(NULL, 0), ERR_NOENT);
}

static void pages_put_together_are_the_file(void **state)
{
    (void)state;
    const size_t size = 2 * NN_PAGE_BYTES + 4711;
    size_t got = 0, questions = 0;
    put(IMAGE, size);
    do {
        assert_int_equal(ask(IMAGE, got), 0);
        assert_int_equal(pages.bytes.size, size);
        assert_true(pages.bytes.bytes.len > 0 && pages.bytes.bytes.len <= NN_PAGE_BYTES);
        for (size_t i = 0; i < pages.bytes.bytes.len; i += 509)
            assert_int_equal(pages.bytes.bytes.data[i], (uint8_t)((got + i) * 31 >> 3));
        got += pages.bytes.bytes.len;
        questions++;
    } while (got < size);
    assert_int_equal(got, size);
    assert_int_equal(questions, 3);
}

static void an_offset_beyond_the_end_gets_no_bytes(void **state)
{
    (void)state;
    static const uint64_t beyond[] = {100, 101, 1ULL << 40, INT64_MAX - NN_PAGE_BYTES};
    put(IMAGE, 100);
    for (size_t i = 0; i < ARRAY_LEN(beyond); i++) {
        assert_int_equal(ask(IMAGE, beyond[i]), 0);
        assert_int_equal(pages.bytes.bytes.len, 0);
        assert_int_equal(pages.bytes.size, 100);
    }
}

/* The kernel's offsets are signed: these would be negative ones. */
static void an_offset_that_no_file_has_is_refused(void **state)
{
    (void)state;
    static const uint64_t wild[] = {1ULL << 63, UINT64_MAX, UINT64_MAX - NN_PAGE_BYTES};
    put(IMAGE, 100);
    for (size_t i = 0; i < ARRAY_LEN(wild); i++) {
        assert_true(ask(IMAGE, wild[i]) < 0);
        assert_int_equal(pages.bytes.bytes.len, 0);
    }
}

static void what_is_no_image_and_no_segment_is_not_opened(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "VERSION",
                                        "in_use.lock",
                                        ".",
                                        "../../etc/passwd",
                                        "/etc/passwd",
                                        "image.7",
                                        "image.000000000007/",
                                        "image.000000000007/../VERSION",
                                        "image.000000000007.tmp",
                                        "image.-00000000007",
                                        "image.99999999999999999999999",
                                        "log.000000000000",
                                        "log.+00000000008",
                                        " " IMAGE,
                                        IMAGE "\n"};
    put(IMAGE, 10);
    put("VERSION", 10);
    put("in_use.lock", 10);
    put("image.000000000007.tmp", 10);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_int_equal(ask(names[i], 0), ERR_INVAL);
        assert_int_equal(pages.bytes.bytes.len, 0);
    }
}

static void a_file_that_vanished_between_two_pages_says_begin_again(void **state)
{
    (void)state;
    put(IMAGE, NN_PAGE_BYTES + 1);
    assert_int_equal(ask(IMAGE, 0), 0);
    char *path = fsutil_join(dir, IMAGE);
    assert_int_equal(disk_unlink(disk_real(), path), 0);
    mem_free(path);
    assert_int_equal(ask(IMAGE, NN_PAGE_BYTES), ERR_NOENT);
    assert_non_null(strstr(pages.err.msg, IMAGE));
}

static void a_disk_that_fails_is_told_and_gives_no_bytes(void **state)
{
    (void)state;
    struct err err = {0};
    put(IMAGE, 100);
    assert_int_equal(fault_arm("disk.read=1:eio", &err), 0);
    assert_int_equal(ask(IMAGE, 0), ERR_IO);
    assert_int_equal(pages.bytes.bytes.len, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_newest_image_comes_first_then_the_log_in_order),
        CASE(a_directory_without_an_image_is_no_answer),
        CASE(pages_put_together_are_the_file),
        CASE(an_offset_beyond_the_end_gets_no_bytes),
        CASE(an_offset_that_no_file_has_is_refused),
        CASE(what_is_no_image_and_no_segment_is_not_opened),
        CASE(a_file_that_vanished_between_two_pages_says_begin_again),
        CASE(a_disk_that_fails_is_told_and_gives_no_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
