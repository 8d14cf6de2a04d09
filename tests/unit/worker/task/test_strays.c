/* SPDX-License-Identifier: Apache-2.0
 * Processes that were left behind are known by their mark, whatever they give up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/task/strays.h"

/* A process with this mark that waits, in another session, directory, program and environment. */
static pid_t begin(const char *id)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char *const nothing[] = {NULL};
        char *const words[] = {(char *)(uintptr_t) "sleep", (char *)(uintptr_t) "1000", NULL};
        if (strays_mark(id) != 0)
            _exit(1);
        setsid();
        if (chdir("/") != 0)
            _exit(1);
        for (int fd = 0; fd < 64; fd++)
            if (fd != ready[1])
                close(fd);
        if (write(ready[1], "", 1) == 1)
            execve("/bin/sleep", words, nothing);
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static int signal_of_end(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void all_with_one_mark_end_and_no_others(void **state)
{
    (void)state;
    char one[64], other[64];
    snprintf(one, sizeof(one), "one.%d", getpid());
    snprintf(other, sizeof(other), "other.%d", getpid());
    pid_t first = begin(one), second = begin(one), neighbour = begin(other);
    assert_true(strays_is_marked(first, one));
    assert_false(strays_is_marked(neighbour, one));
    assert_false(strays_is_marked(getpid(), one));
    assert_int_equal(strays_end_marked(one), 2);
    assert_int_equal(strays_end_marked(one), 0); /* what dies is no longer one */
    assert_int_equal(signal_of_end(first), SIGKILL);
    assert_int_equal(signal_of_end(second), SIGKILL);
    assert_int_equal(waitpid(neighbour, NULL, WNOHANG), 0);
    assert_int_equal(strays_end_marked(other), 1);
    assert_int_equal(signal_of_end(neighbour), SIGKILL);
}

static void who_is_marked_is_not_its_own_stray(void **state)
{
    (void)state;
    assert_int_equal(strays_mark("self"), 0);
    assert_true(strays_is_marked(getpid(), "self"));
    assert_int_equal(strays_end_marked("self"), 0);
}

static void a_limit_that_cannot_be_raised_is_no_mark_and_said(void **state)
{
    (void)state;
    const struct rlimit low = {7, 7};
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        bool is_low = setrlimit(RLIMIT_LOCKS, &low) == 0 && (getuid() != 0 || setuid(65534) == 0);
        _exit(is_low && strays_mark("any") == ERR_NOTPERM ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_with_one_mark_end_and_no_others),
        cmocka_unit_test(who_is_marked_is_not_its_own_stray),
        cmocka_unit_test(a_limit_that_cannot_be_raised_is_no_mark_and_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
