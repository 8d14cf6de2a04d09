/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/up/launch.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/proc.h"
#include "libcommon/daemon/pidfile.h"
#include "libcommon/daemon/ready.h"

/* This program is also the daemons it starts, under their names (links in a directory in PATH):
 * what they do is told by the name of a file in DIR. */

static char dir[64];
static struct up_layout layout;
static struct err err;
static const struct up_daemon datanode1 = {UP_DATANODE, 1};

static bool is_asked_to(const char *base, const char *what)
{
    char path[UP_PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", base, what);
    return access(path, F_OK) == 0;
}

static void *end_soon(void *arg)
{
    usleep(200000);
    _exit(0);
    return arg;
}

/* As after a kill -9: the first thread is gone, and the lock, but another thread still holds what
 * they shared. */
static void be_taken_down(const char *pid_file)
{
    pthread_t thread;
    close(open(pid_file, O_RDONLY | O_CLOEXEC)); /* which drops it */
    if (pthread_create(&thread, NULL, end_soon, NULL) == 0)
        pthread_exit(NULL);
}

/* argv: -conf DIR/conf/X -pid-file P -ready-fd 3 */
static int play_daemon(char **argv)
{
    struct pidfile pidfile = PIDFILE_INIT;
    struct ready ready = {3};
    struct err why = {0};
    char base[UP_PATH_MAX];
    if (strcmp(argv[1], "-format") == 0) {
        fprintf(stderr, "2026 a log line\nquern-namenode: the name directory is in use\n\n");
        return getenv("FORMAT_FAILS") ? 1 : 0;
    }
    snprintf(base, sizeof(base), "%s", argv[2]);
    *strstr(base, "/conf/") = 0;
    if (is_asked_to(base, "die"))
        raise(SIGKILL);
    if (is_asked_to(base, "hang"))
        pause();
    if (is_asked_to(base, "stubborn"))
        signal(SIGTERM, SIG_IGN);
    fprintf(stderr, "a line for the log\n");
    if (is_asked_to(base, "refuse"))
        ready_failed(&ready, "127.0.0.1:9881 is taken by process 7 (java)");
    else if (pidfile_open(&pidfile, argv[4], &why) != 0)
        ready_failed(&ready, why.msg);
    else
        ready_ok(&ready);
    if (is_asked_to(base, "end"))
        be_taken_down(argv[4]);
    pause();
    return 0;
}

static void ask_to(const char *what)
{
    char path[UP_PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", dir, what);
    fclose(fopen(path, "w"));
}

static int setup(void **state)
{
    (void)state;
    char path[UP_PATH_MAX], self[512];
    memcpy(dir, "/tmp/quern-launch-XXXXXX", 25);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (!mkdtemp(dir) || n < 0 || up_layout_open(&layout, dir, true, &err) != 0)
        return -1;
    self[n] = 0;
    layout.datanodes = layout.workers = layout.replication = 1;
    layout.port_base = 20000;
    snprintf(path, sizeof(path), "%s/quern-datanode", dir);
    if (symlink(self, path) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/quern-namenode", dir);
    setenv("PATH", dir, 1);
    return symlink(self, path);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    setenv("PATH", "/usr/bin:/bin", 1);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void a_daemon_is_up_once_it_says_so_and_down_once_stopped(void **state)
{
    (void)state;
    struct up_process process;
    char text[64] = "", log[UP_PATH_MAX];
    assert_int_equal(up_running(&layout, datanode1), 0);
    assert_int_equal(up_launch(&layout, datanode1, false, &process, &err), 0);
    if (up_wait_ready(&layout, &process, clock_mono_ms() + 5000, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(up_running(&layout, datanode1), process.pid);
    assert_int_equal(getsid(process.pid), process.pid); /* a Ctrl-C does not reach it */
    assert_int_equal(up_stop(&process.pid, 1, clock_mono_ms() + 5000), 0);
    assert_int_equal(up_running(&layout, datanode1), 0);
    FILE *f = fopen(up_daemon_path(&layout, datanode1, "log", "log", log), "r");
    assert_non_null(fgets(text, sizeof(text), f));
    assert_string_equal(text, "a line for the log\n");
    fclose(f);
}

static void its_own_words_say_why_it_does_not_start(void **state)
{
    (void)state;
    struct up_process process;
    ask_to("refuse");
    assert_int_equal(up_launch(&layout, datanode1, false, &process, &err), 0);
    assert_int_equal(up_wait_ready(&layout, &process, clock_mono_ms() + 5000, &err), ERR_FAILED);
    assert_string_equal(err.msg, "datanode1: 127.0.0.1:9881 is taken by process 7 (java)");
    up_stop(&process.pid, 1, clock_mono_ms() + 5000);
}

static void one_that_dies_or_hangs_is_named_with_its_log(void **state)
{
    (void)state;
    struct up_process process;
    char want[UP_PATH_MAX + 64];
    ask_to("die");
    assert_int_equal(up_launch(&layout, datanode1, false, &process, &err), 0);
    assert_int_equal(up_wait_ready(&layout, &process, clock_mono_ms() + 5000, &err), ERR_CLOSED);
    snprintf(want, sizeof(want), "datanode1: died while starting (its log: %s/log/datanode1.log)",
             dir);
    assert_string_equal(err.msg, want);
    up_stop(&process.pid, 1, clock_mono_ms() + 5000);
    snprintf(want, sizeof(want), "%s/die", dir);
    unlink(want);
    ask_to("hang");
    assert_int_equal(up_launch(&layout, datanode1, false, &process, &err), 0);
    assert_int_equal(up_wait_ready(&layout, &process, clock_mono_ms() + 50, &err), ERR_TIMEOUT);
    assert_non_null(strstr(err.msg, "does not serve in time"));
    up_stop(&process.pid, 1, clock_mono_ms() + 5000);
    assert_int_not_equal(kill(process.pid, 0), 0);
}

static void a_program_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct up_process process;
    assert_int_equal(up_launch(&layout, (struct up_daemon){UP_WORKER, 1}, false, &process, &err),
                     ERR_NOENT);
    assert_string_equal(err.msg, "there is no program quern-worker, neither beside this one nor in "
                                 "PATH");
}

static void one_that_is_being_taken_down_is_waited_for(void **state)
{
    (void)state;
    struct up_process process;
    ask_to("end");
    assert_int_equal(up_launch(&layout, datanode1, false, &process, &err), 0);
    assert_int_equal(up_wait_ready(&layout, &process, clock_mono_ms() + 5000, &err), 0);
    while (!proc_is_ending(process.pid))
        usleep(1000);
    assert_int_equal(up_running(&layout, datanode1), 0);
    assert_true(proc_wait(process.pid, 0));
    up_stop(&process.pid, 1, clock_mono_ms() + 5000);
}

static void what_does_not_stop_is_killed_and_counted(void **state)
{
    (void)state;
    struct up_process process;
    ask_to("stubborn");
    assert_int_equal(up_launch(&layout, datanode1, false, &process, &err), 0);
    assert_int_equal(up_wait_ready(&layout, &process, clock_mono_ms() + 5000, &err), 0);
    assert_int_equal(up_stop(&process.pid, 1, clock_mono_ms() + 100), 1);
    assert_int_equal(up_running(&layout, datanode1), 0);
}

static void children_of_a_foreground_cluster_end_with_it(void **state)
{
    (void)state;
    int status;
    pid_t parent = fork();
    if (parent == 0) {
        struct up_process process;
        if (up_launch(&layout, datanode1, true, &process, NULL) != 0 ||
            up_wait_ready(&layout, &process, clock_mono_ms() + 5000, NULL) != 0)
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFSIGNALED(status));
    uint64_t end_ms = clock_mono_ms() + 5000;
    while (up_running(&layout, datanode1) && clock_mono_ms() < end_ms)
        usleep(2000);
    assert_int_equal(up_running(&layout, datanode1), 0);
}

static void formatting_tells_the_last_line_of_its_failure(void **state)
{
    (void)state;
    assert_int_equal(up_format(&layout, &err), 0);
    setenv("FORMAT_FAILS", "1", 1);
    assert_int_equal(up_format(&layout, &err), ERR_FAILED);
    assert_string_equal(err.msg, "quern-namenode: the name directory is in use");
    unsetenv("FORMAT_FAILS");
}

int main(int argc, char **argv)
{
    const char *slash = strrchr(argv[0], '/');
    if (argc > 2 && strncmp(slash ? slash + 1 : argv[0], "quern-", 6) == 0)
        return play_daemon(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_daemon_is_up_once_it_says_so_and_down_once_stopped, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(its_own_words_say_why_it_does_not_start, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_dies_or_hangs_is_named_with_its_log, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_program_that_is_not_there_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_being_taken_down_is_waited_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_does_not_stop_is_killed_and_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(children_of_a_foreground_cluster_end_with_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(formatting_tells_the_last_line_of_its_failure, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
