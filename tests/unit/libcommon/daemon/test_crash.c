/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/doing.h"
#include "libcommon/base/log.h"
#include "libcommon/daemon/crash.h"

/* What a child that dies by `die` writes to stderr; its wait status. */
static int last_words(void (*die)(void), char *said, size_t cap)
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        close(ends[1]);
        crash_install("quern-test");
        log_info("nn.lease", "the last thing that happened");
        doing_set("CL2NN_MKDIR", 77);
        die();
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], said + n, cap - 1 - n)) > 0)
        n += (size_t)got;
    said[n] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void abort_it(void)
{
    abort();
}

static void be_killed(void)
{
    kill(getpid(), SIGABRT);
}

static void a_crash_tells_build_request_stack_and_last_lines(void **state)
{
    (void)state;
    char said[16384];
    int status = last_words(abort_it, said, sizeof(said));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(said, "cut here: quern-test crashed"));
    assert_non_null(strstr(said, "version:  " QUERN_VERSION "\n"));
    assert_non_null(strstr(said, crash_build_id()));
    assert_non_null(strstr(said, "reason:   SIGABRT"));
    assert_non_null(strstr(said, "request:  CL2NN_MKDIR 77\n"));
    assert_non_null(strstr(said, "test_crash("));
    assert_non_null(strstr(said, "nn.lease   the last thing that happened\n"));
    assert_non_null(strstr(said, "cut here: end"));
}

static void whoever_sent_the_signal_is_named(void **state)
{
    (void)state;
    char said[16384], want[64];
    last_words(be_killed, said, sizeof(said));
    char *at = strstr(said, "process:  ");
    assert_non_null(at);
    snprintf(want, sizeof(want), "SIGABRT sent by process %d\n", (int)strtol(at + 10, NULL, 10));
    assert_non_null(strstr(said, want));
}

static void the_program_has_a_build_id(void **state)
{
    (void)state;
    assert_int_equal(strspn(crash_build_id(), "0123456789abcdef"), strlen(crash_build_id()));
    assert_true(strlen(crash_build_id()) >= 32);
}

#ifndef QUERN_DEBUG /* the sanitizers keep these signals for themselves */
static int deep(volatile int *n)
{
    volatile char room[4096];
    room[0] = (char)*n;
    return *n ? deep(n) + room[0] : 0;
}

static void overflow_the_stack(void)
{
    volatile int n = 1;
    deep(&n);
}

static void a_stack_that_overflowed_is_reported_too(void **state)
{
    (void)state;
    char said[65536];
    int status = last_words(overflow_the_stack, said, sizeof(said));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    assert_non_null(strstr(said, "reason:   SIGSEGV at address 0x"));
    assert_non_null(strstr(said, "cut here: end"));
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_tells_build_request_stack_and_last_lines),
        cmocka_unit_test(whoever_sent_the_signal_is_named),
        cmocka_unit_test(the_program_has_a_build_id),
#ifndef QUERN_DEBUG
        cmocka_unit_test(a_stack_that_overflowed_is_reported_too),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
