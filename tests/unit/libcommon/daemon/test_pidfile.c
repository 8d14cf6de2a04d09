/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/daemon/pidfile.h"

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "/tmp/quern-pid-%d", (int)getpid());
    return 0;
}

/* A child that opens the file, says so with one byte, and waits to be killed. */
static pid_t hold_in_child(void)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct pidfile pidfile = PIDFILE_INIT;
        if (pidfile_open(&pidfile, path, NULL) == 0 && write(ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void who_had_the_file_last_can_be_told(void **state)
{
    (void)state;
    struct pidfile pidfile = PIDFILE_INIT;
    struct err err = {0};
    assert_int_equal(pidfile_written(path), 0);
    pid_t pid = hold_in_child();
    assert_int_equal(pidfile_written(path), pid);
    end_child(pid);
    assert_int_equal(pidfile_written(path), pid);
    assert_int_equal(pidfile_holder(path), 0);
    assert_int_equal(pidfile_open(&pidfile, path, &err), 0);
    pidfile_close(&pidfile);
    assert_int_equal(pidfile_written(path), 0); /* in order */
}

static void a_second_daemon_with_the_file_is_refused_by_name(void **state)
{
    (void)state;
    struct pidfile pidfile = PIDFILE_INIT;
    struct err err = {0};
    char want[128];
    pid_t pid = hold_in_child();
    assert_int_equal(pidfile_holder(path), pid);
    assert_int_equal(pidfile_open(&pidfile, path, &err), ERR_BUSY);
    snprintf(want, sizeof(want), "already running as process %d (%s)", (int)pid, path);
    assert_string_equal(err.msg, want);
    end_child(pid);
}

static void a_file_left_by_the_dead_is_no_obstacle(void **state)
{
    (void)state;
    struct pidfile pidfile = PIDFILE_INIT;
    char text[32] = "", want[32];
    end_child(hold_in_child());
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(pidfile_holder(path), 0);
    assert_int_equal(pidfile_open(&pidfile, path, NULL), 0);
    FILE *f = fopen(path, "r");
    assert_int_equal(pread(pidfile.fd, text, sizeof(text) - 1, 0),
                     snprintf(want, sizeof(want), "%d\n", (int)getpid()));
    assert_string_equal(text, want);
    fclose(f);
    pidfile_close(&pidfile);
    assert_int_not_equal(access(path, F_OK), 0);
    pidfile_close(&pidfile);
}

static void nobody_holds_a_file_that_is_not_there(void **state)
{
    (void)state;
    struct pidfile pidfile = PIDFILE_INIT;
    struct err err = {0};
    assert_int_equal(pidfile_holder("/nowhere/x.pid"), 0);
    assert_int_equal(pidfile_open(&pidfile, "/nowhere/x.pid", &err), ERR_NOENT);
    assert_string_equal(err.msg, "cannot write pid file /nowhere/x.pid: No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_had_the_file_last_can_be_told),
        cmocka_unit_test(a_second_daemon_with_the_file_is_refused_by_name),
        cmocka_unit_test(a_file_left_by_the_dead_is_no_obstacle),
        cmocka_unit_test(nobody_holds_a_file_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, make_path, NULL);
}
