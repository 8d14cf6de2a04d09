/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/daemon/ready.h"

static void the_waiting_one_hears_yes_or_why_not(void **state)
{
    (void)state;
    struct err err = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct ready ready = {ends[1]};
    ready_ok(&ready);
    assert_int_equal(ready.fd, -1);
    assert_int_equal(ready_wait(ends[0], clock_mono_ms() + 1000, &err), 0);
    close(ends[0]);
    assert_int_equal(pipe(ends), 0);
    ready.fd = ends[1];
    ready_failed(&ready, "disk is on fire");
    ready_failed(&ready, "told once only");
    ready_ok(&ready);
    assert_int_equal(ready_wait(ends[0], clock_mono_ms() + 1000, &err), ERR_FAILED);
    assert_string_equal(err.msg, "disk is on fire");
    close(ends[0]);
}

static void silence_and_death_are_told_apart(void **state)
{
    (void)state;
    struct err err = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ready_wait(ends[0], clock_mono_ms() + 20, &err), ERR_TIMEOUT);
    close(ends[1]);
    assert_int_equal(ready_wait(ends[0], clock_mono_ms() + 1000, &err), ERR_CLOSED);
    assert_string_equal(err.msg, "died before it served");
    close(ends[0]);
}

/* Runs ready_detach in a child, whose child in turn does `after`; the exit code of the first. */
static int detach_and(void (*after)(struct ready *ready), char *said, size_t cap)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct ready ready = READY_INIT;
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (ready_detach(&ready, "quern-test", NULL) != 0)
            _exit(9);
        after(&ready);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ssize_t n = read(ends[0], said, cap - 1);
    said[n > 0 ? n : 0] = 0;
    close(ends[0]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void serve_later(struct ready *ready)
{
    usleep(50000);
    ready_ok(ready);
}

static void fail_later(struct ready *ready)
{
    ready_failed(ready, "127.0.0.1:8020 is taken");
}

static void die(struct ready *ready)
{
    (void)ready;
    raise(SIGKILL);
}

static void the_parent_in_front_exits_as_the_child_fares(void **state)
{
    (void)state;
    char said[256];
    uint64_t start_ms = clock_mono_ms();
    assert_int_equal(detach_and(serve_later, said, sizeof(said)), 0);
    assert_true(clock_mono_ms() - start_ms >= 49); /* not before the child serves */
    assert_string_equal(said, "");
    assert_int_equal(detach_and(fail_later, said, sizeof(said)), 1);
    assert_string_equal(said, "quern-test: 127.0.0.1:8020 is taken\n");
    assert_int_equal(detach_and(die, said, sizeof(said)), 1);
    assert_string_equal(said, "quern-test: died before it served\n");
}

static void systemd_is_told_on_its_socket(void **state)
{
    (void)state;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char text[64] = "";
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(un.sun_path, sizeof(un.sun_path), "/tmp/quern-notify-%d", (int)getpid());
    unlink(un.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    setenv("NOTIFY_SOCKET", un.sun_path, 1);
    struct ready ready = READY_INIT;
    ready_ok(&ready);
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
    unlink(un.sun_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_waiting_one_hears_yes_or_why_not),
        cmocka_unit_test(silence_and_death_are_told_apart),
        cmocka_unit_test(the_parent_in_front_exits_as_the_child_fares),
        cmocka_unit_test(systemd_is_told_on_its_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
