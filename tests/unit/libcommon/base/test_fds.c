/* SPDX-License-Identifier: Apache-2.0
 * fds: a child closes what it was given and must not meet its own files under those numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/fds.h"

/* Bits: 1 the next file got a number above 2, 2 reading fails, 4 writing fails. */
static int see(unsigned closed)
{
    pid_t pid = fork();
    if (pid == 0) {
        char byte = 0;
        for (int fd = 0; fd < 3; fd++)
            if (closed & (1U << fd))
                close(fd);
        fds_fill_std();
        int seen = open("/dev/zero", O_RDWR | O_CLOEXEC) > 2;
        seen |= (read(0, &byte, 1) < 0 && errno == EBADF) << 1;
        seen |= (write(1, &byte, 0) < 0 && write(2, &byte, 0) < 0 && errno == EBADF) << 2;
        _exit(seen);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void no_file_of_ours_gets_the_number_of_a_closed_one(void **state)
{
    (void)state;
    for (unsigned closed = 0; closed < 8; closed++)
        assert_int_equal(see(closed) & 1, 1);
}

static void reading_and_writing_what_was_closed_stays_an_error(void **state)
{
    (void)state;
    assert_int_equal(see(7), 7);
    assert_int_equal(see(1) & 2, 2);
    assert_int_equal(see(6) & 4, 4);
}

static void the_limit_is_raised_as_far_as_it_goes(void **state)
{
    (void)state;
    struct rlimit before, now;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    now = before;
    now.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(fds_raise_limit() == before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    assert_true(now.rlim_cur == before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_of_ours_gets_the_number_of_a_closed_one),
        cmocka_unit_test(reading_and_writing_what_was_closed_stays_an_error),
        cmocka_unit_test(the_limit_is_raised_as_far_as_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
