/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"

static void a_point_is_silent_until_armed(void **state)
{
    (void)state;
    assert_int_equal(fault_arm(NULL, NULL), 0);
    assert_false(fault_is_armed);
    assert_int_equal(fault_hit("test.a"), FAULT_NONE);
}

static void a_rule_fires_at_its_hit_and_only_there(void **state)
{
    (void)state;
    assert_int_equal(fault_arm("test.a=3:eio", NULL), 0);
    for (int hit = 1; hit <= 5; hit++) {
        assert_int_equal(fault_hit("test.b"), FAULT_NONE);
        assert_int_equal(fault_hit("test.a"), hit == 3 ? FAULT_EIO : FAULT_NONE);
    }
}

static void a_plus_fires_from_there_on(void **state)
{
    (void)state;
    assert_int_equal(fault_arm("test.a=2+:enospc", NULL), 0);
    assert_int_equal(fault_hit("test.a"), FAULT_NONE);
    assert_int_equal(fault_hit("test.a"), FAULT_ENOSPC);
    assert_int_equal(fault_hit("test.a"), FAULT_ENOSPC);
}

static void a_star_counts_all_points_with_that_beginning_together(void **state)
{
    (void)state;
    assert_int_equal(fault_arm("test.*=3:drop,other=1:corrupt", NULL), 0);
    assert_int_equal(fault_hit("test.a"), FAULT_NONE);
    assert_int_equal(fault_hit("other"), FAULT_CORRUPT);
    assert_int_equal(fault_hit("test.b"), FAULT_NONE);
    assert_int_equal(fault_hit("test.c"), FAULT_DROP);
}

static void actions_become_errnos(void **state)
{
    (void)state;
    assert_int_equal(fault_errno(FAULT_EIO), EIO);
    assert_int_equal(fault_errno(FAULT_ENOSPC), ENOSPC);
    assert_int_equal(fault_errno(FAULT_NONE), 0);
    assert_int_equal(fault_errno(FAULT_DROP), 0);
}

static void a_delay_waits_and_goes_on(void **state)
{
    (void)state;
    assert_int_equal(fault_arm("test.a=1:delay30", NULL), 0);
    uint64_t start = clock_mono_ms();
    assert_int_equal(fault_hit("test.a"), FAULT_NONE);
    assert_true(clock_mono_ms() - start >= 29);
}

static void *hit_on_a_thread(void *ret)
{
    *(enum fault_action *)ret = fault_hit("test.rearmed");
    return NULL;
}

static bool was_met(const char *point)
{
    struct buf out = BUF_INIT;
    fault_report(&out);
    bool was = strstr(buf_cstr(&out), point) != NULL;
    buf_release(&out);
    return was;
}

static void a_thread_at_its_point_keeps_its_rules_however_often_others_are_armed(void **state)
{
    (void)state;
    pthread_t thread;
    enum fault_action result = FAULT_NONE;
    assert_int_equal(fault_arm("test.rearmed=1:delay300,test.rearmed=1:drop", NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, hit_on_a_thread, &result), 0);
    while (!was_met("test.rearmed "))
        poll(NULL, 0, 1);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fault_arm("test.other=1:eio", NULL), 0);
        assert_int_equal(fault_arm(NULL, NULL), 0);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(result, FAULT_DROP);
}

static void kill_and_exit_end_the_process(void **state)
{
    (void)state;
    static const char *const specs[] = {"test.a=2:kill", "test.a=2:exit"};
    for (size_t i = 0; i < 2; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            if (fault_arm(specs[i], NULL) != 0)
                _exit(1);
            fault_hit("test.a");
            fault_hit("test.a");
            _exit(2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (i == 0)
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 99);
    }
}

static void a_bad_rule_is_named_and_leaves_the_old_ones_armed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x",        "x=1",         "x=:eio",       "x=0:eio",
        "x=1:burn", "x=1:delayed", "x=1:eio,y=2:", "x=1:delay99999999999"};
    struct err err = {0};
    assert_int_equal(fault_arm("test.a=1:eio", NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(fault_arm(bad[i], &err), ERR_INVAL);
    assert_non_null(strstr(err.msg, "bad rule near"));
    assert_int_equal(fault_hit("test.a"), FAULT_EIO);
}

static void points_met_are_counted(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    assert_int_equal(fault_arm("nothing=1:eio", NULL), 0);
    for (int i = 0; i < 7; i++)
        fault_hit("test.counted");
    fault_report(&out);
    assert_non_null(strstr(buf_cstr(&out), "test.counted 7\n"));
    buf_release(&out);
}

static void the_environment_arms_and_asks_for_counts(void **state)
{
    (void)state;
    char file[] = "/tmp/quern-fault-XXXXXX", text[256] = "";
    int fd = mkstemp(file), status;
    assert_true(fd >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("QUERN_FAULT", "test.env=2:eio", 1);
        setenv("QUERN_FAULT_COUNT", file, 1);
        bool ok = fault_arm_from_env(NULL) == 0 && fault_hit("test.env") == FAULT_NONE &&
                  fault_hit("test.env") == FAULT_EIO;
        exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, "test.env 2\n"));
    close(fd);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_is_silent_until_armed),
        cmocka_unit_test(a_rule_fires_at_its_hit_and_only_there),
        cmocka_unit_test(a_plus_fires_from_there_on),
        cmocka_unit_test(a_star_counts_all_points_with_that_beginning_together),
        cmocka_unit_test(actions_become_errnos),
        cmocka_unit_test(a_delay_waits_and_goes_on),
        cmocka_unit_test(a_thread_at_its_point_keeps_its_rules_however_often_others_are_armed),
        cmocka_unit_test(kill_and_exit_end_the_process),
        cmocka_unit_test(a_bad_rule_is_named_and_leaves_the_old_ones_armed),
        cmocka_unit_test(points_met_are_counted),
        cmocka_unit_test(the_environment_arms_and_asks_for_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
