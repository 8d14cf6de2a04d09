/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/err.h"

static void every_code_has_a_name_and_plain_words(void **state)
{
    (void)state;
#define CHECK(name, number, text)                     \
    assert_string_equal(err_name(ERR_##name), #name); \
    assert_string_equal(err_text(ERR_##name), text);  \
    assert_true(number < 0);
    ERR_LIST(CHECK)
#undef CHECK
    assert_string_equal(err_name(0), "OK");
    assert_string_equal(err_name(-9999), "?");
    assert_string_equal(err_text(-9999), "unknown error");
}

static void the_numbers_on_wire_and_disk_never_change(void **state)
{
    (void)state;
    assert_int_equal(ERR_NOMEM, -1);
    assert_int_equal(ERR_NOENT, -5);
    assert_int_equal(ERR_STALE, -14);
    assert_int_equal(ERR_CHECKSUM, -22);
    assert_int_equal(ERR_CRASHED, -38);
}

static void no_errno_becomes_success(void **state)
{
    (void)state;
    for (int e = 0; e < 200; e++)
        assert_true(err_from_errno(e) < 0);
    assert_int_equal(err_from_errno(EINTR), ERR_RETRY);
    assert_int_equal(err_from_errno(EDQUOT), ERR_NOSPC);
    assert_int_equal(err_from_errno(EOPNOTSUPP), ERR_UNSUPPORTED);
    assert_int_equal(err_from_errno(9999), ERR_IO);
}

static void a_message_gains_context_as_it_climbs(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(err_errno(&err, ENOENT, "open %s", "/x"), ERR_NOENT);
    assert_string_equal(err.msg, "open /x: No such file or directory");
    assert_int_equal(err_wrap(&err, "volume %d", 3), ERR_NOENT);
    assert_string_equal(err.msg, "volume 3: open /x: No such file or directory");
}

static void nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_BUSY, "%d", 1), ERR_BUSY);
    assert_int_equal(err_errno(NULL, EIO, "%d", 1), ERR_IO);
    assert_int_equal(err_wrap(NULL, "%d", 1), ERR_FAILED);
}

static void a_message_too_long_is_cut_and_stays_a_string(void **state)
{
    (void)state;
    struct err err = {0};
    char word[ERR_MSG_MAX + 100];
    memset(word, 'a', sizeof(word));
    word[sizeof(word) - 1] = 0;
    err_set(&err, ERR_IO, "%s", word);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    err_wrap(&err, "front");
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    assert_memory_equal(err.msg, "front: aaa", 10);
    err_wrap(&err, "%s", word);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

static void a_broken_invariant_tells_where_and_aborts(void **state)
{
    (void)state;
    int ends[2], status;
    char said[256] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        BUG_ON(1 + 1 == 2);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, "test_err.c:"));
    assert_non_null(strstr(said, "1 + 1 == 2"));
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_and_plain_words),
        cmocka_unit_test(the_numbers_on_wire_and_disk_never_change),
        cmocka_unit_test(no_errno_becomes_success),
        cmocka_unit_test(a_message_gains_context_as_it_climbs),
        cmocka_unit_test(nobody_has_to_listen),
        cmocka_unit_test(a_message_too_long_is_cut_and_stays_a_string),
        cmocka_unit_test(a_broken_invariant_tells_where_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
