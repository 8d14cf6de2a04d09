/* SPDX-License-Identifier: Apache-2.0
 * blobs, on a real directory: a blob counts once its bytes hash to its name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobtracker/journal/blobs.h"

/* SHA-256 of "hello world" */
#define HELLO "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"

static char dir[] = "/tmp/quern-blobs-XXXXXX";
static struct blobs blobs;

static int remove_one(void *arg, const char *name, bool is_dir)
{
    char path[256];
    (void)arg, (void)is_dir;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return unlink(path);
}

static int setup(void **state)
{
    (void)state;
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    return mkdtemp(dir) ? blobs_init(&blobs, disk_real(), dir, NULL) : -1;
}

static int teardown(void **state)
{
    (void)state;
    blobs_release(&blobs);
    disk_list(disk_real(), dir, remove_one, NULL);
    return rmdir(dir);
}

static int put(uint64_t offset, const char *text, struct err *err)
{
    return blobs_put(&blobs, slice_str(HELLO), offset, slice_str(text), err);
}

static void a_blob_brought_in_pieces_is_whole_once_its_hash_is_right(void **state)
{
    bool whole;
    struct buf out = BUF_INIT;
    uint64_t total;
    (void)state;
    assert_int_equal(put(0, "hello ", NULL), 0);
    assert_int_equal(blobs_have(&blobs, slice_str(HELLO), &whole), 6);
    assert_false(whole);
    assert_int_equal(put(6, "world", NULL), 0);
    assert_int_equal(blobs_finish(&blobs, HELLO, NULL), 0);
    assert_int_equal(blobs_have(&blobs, slice_str(HELLO), &whole), 11);
    assert_true(whole);
    assert_int_equal(blobs_read(&blobs, slice_str(HELLO), 6, 100, &out, &total), 0);
    assert_int_equal(total, 11);
    assert_true(slice_eq(buf_slice(&out), slice_str("world")));
    buf_release(&out);
}

static void bytes_that_do_not_hash_to_the_name_are_thrown_away(void **state)
{
    bool whole;
    struct err err = {0};
    (void)state;
    assert_int_equal(put(0, "hello w0rld", NULL), 0);
    assert_int_equal(blobs_finish(&blobs, HELLO, &err), ERR_CHECKSUM);
    assert_non_null(strstr(err.msg, HELLO));
    assert_int_equal(blobs_have(&blobs, slice_str(HELLO), &whole), 0);
    assert_false(whole);
}

static void a_piece_that_does_not_follow_is_told_where_to_go_on(void **state)
{
    struct err err = {0};
    (void)state;
    assert_int_equal(put(0, "hello ", NULL), 0);
    assert_int_equal(put(0, "hello ", &err), ERR_STALE);
    assert_non_null(strstr(err.msg, "from 6 on"));
}

static void a_name_that_is_no_digest_never_becomes_a_file(void **state)
{
    struct err err = {0};
    struct buf out = BUF_INIT;
    uint64_t total;
    (void)state;
    assert_int_equal(blobs_put(&blobs, slice_str("../../etc/passwd"), 0, slice_str("x"), &err),
                     ERR_INVAL);
    assert_int_equal(blobs_read(&blobs, slice_str("../x"), 0, 9, &out, &total), ERR_INVAL);
    assert_false(blob_is_digest(
        slice_str("B94D27B9934D3E08A52E52D7DA7DABFAC484EFE37A5380EE9088F7ACE2EFCDE9")));
}

static void half_a_blob_is_gone_after_a_restart(void **state)
{
    bool whole;
    (void)state;
    assert_int_equal(put(0, "hello ", NULL), 0);
    blobs_release(&blobs);
    assert_int_equal(blobs_init(&blobs, disk_real(), dir, NULL), 0);
    assert_int_equal(blobs_have(&blobs, slice_str(HELLO), &whole), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_blob_brought_in_pieces_is_whole_once_its_hash_is_right,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_that_do_not_hash_to_the_name_are_thrown_away, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_piece_that_does_not_follow_is_told_where_to_go_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_name_that_is_no_digest_never_becomes_a_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(half_a_blob_is_gone_after_a_restart, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
