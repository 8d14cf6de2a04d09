/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/proc.h"
#include "libcommon/base/str.h"

static void a_program_finds_what_lies_beside_it(void **state)
{
    (void)state;
    char *own = proc_own_dir();
    assert_non_null(own);
    char *beside = str_printf("%s/test_proc", own);
    assert_int_equal(access(beside, X_OK), 0);
    mem_free(beside);
    mem_free(own);
}

static void a_killed_process_is_at_its_end_and_a_sleeping_one_is_not(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        for (;;)
            pause();
    assert_false(proc_is_ending(pid));
    assert_false(proc_wait(pid, 1));
    kill(pid, SIGKILL);
    assert_true(proc_wait(pid, 60000)); /* not reaped yet */
    assert_true(proc_is_ending(pid));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(proc_is_ending(pid));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_finds_what_lies_beside_it),
        cmocka_unit_test(a_killed_process_is_at_its_end_and_a_sleeping_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
