/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/codec/digest.h"

static const char *text_of(enum digest_kind kind, const char *data)
{
    static char text[DIGEST_TEXT_MAX];
    uint8_t sum[DIGEST_MAX_SIZE];
    assert_int_equal(digest_of(kind, slice_str(data), sum), 0);
    return digest_text(sum, digest_size(kind), text);
}

static void the_published_vectors_come_out(void **state)
{
    (void)state;
    assert_string_equal(text_of(DIGEST_SHA256, "abc"),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(text_of(DIGEST_SHA256, ""),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(text_of(DIGEST_MD5, "abc"), "900150983cd24fb0d6963f7d28e17f72");
}

static void pieces_give_the_sum_of_the_whole(void **state)
{
    (void)state;
    uint8_t whole[DIGEST_SHA256_SIZE], pieces[DIGEST_SHA256_SIZE];
    struct digest digest;
    digest_of(DIGEST_SHA256, slice_str("one two three"), whole);
    assert_int_equal(digest_init(&digest, DIGEST_SHA256), 0);
    assert_int_equal(digest_update(&digest, slice_str("one ")), 0);
    assert_int_equal(digest_update(&digest, slice_str("")), 0);
    assert_int_equal(digest_update(&digest, slice_str("two three")), 0);
    assert_int_equal(digest_final(&digest, pieces), 0);
    assert_memory_equal(whole, pieces, sizeof(whole));
}

static void a_file_gives_the_sum_of_its_bytes(void **state)
{
    (void)state;
    char name[] = "/tmp/quern-digest-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    static uint8_t bytes[600000]; /* more than one read */
    memset(bytes, 'q', sizeof(bytes));
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    uint8_t of_file[DIGEST_SHA256_SIZE], of_bytes[DIGEST_SHA256_SIZE];
    assert_int_equal(digest_fd(DIGEST_SHA256, fd, of_file, NULL), 0);
    digest_of(DIGEST_SHA256, slice_of(bytes, sizeof(bytes)), of_bytes);
    assert_memory_equal(of_file, of_bytes, sizeof(of_file));
    close(fd);
}

static void an_unreadable_file_says_why(void **state)
{
    (void)state;
    uint8_t sum[DIGEST_SHA256_SIZE];
    struct err err = {0};
    assert_int_not_equal(digest_fd(DIGEST_SHA256, -1, sum, &err), 0);
    assert_string_equal(err.msg, "cannot read what is to be digested: Bad file descriptor");
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    uint8_t sum[DIGEST_SHA256_SIZE];
    mem_fail_after(1);
    assert_int_equal(digest_fd(DIGEST_SHA256, -1, sum, NULL), ERR_NOMEM);
    assert_true(mem_has_failed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_come_out),
        cmocka_unit_test(pieces_give_the_sum_of_the_whole),
        cmocka_unit_test(a_file_gives_the_sum_of_its_bytes),
        cmocka_unit_test(an_unreadable_file_says_why),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
