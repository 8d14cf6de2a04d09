/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/sm.h"

enum { IDLE, BUSY, DONE };
static const struct sm_state states[] = {
    [IDLE] = {"idle", SM_TO(BUSY), SM_INITIAL},
    [BUSY] = {"busy", SM_TO(IDLE) | SM_TO(DONE), 0},
    [DONE] = {"done", 0, SM_FINAL},
};
static const struct sm_table machine = {"machine", states, ARRAY_LEN(states)};

static void only_moves_in_the_table_are_allowed(void **state)
{
    (void)state;
    assert_true(sm_can(&machine, IDLE, BUSY));
    assert_false(sm_can(&machine, IDLE, DONE));
    assert_false(sm_can(&machine, DONE, IDLE));
    assert_false(sm_can(&machine, 3, IDLE));
    assert_false(sm_can(&machine, IDLE, 3));
    assert_false(sm_can(&machine, IDLE, 40));
    unsigned at = IDLE;
    sm_move(&machine, &at, BUSY);
    sm_move(&machine, &at, DONE);
    assert_int_equal(at, DONE);
}

static void states_have_names_and_ends(void **state)
{
    (void)state;
    assert_string_equal(sm_name(&machine, BUSY), "busy");
    assert_string_equal(sm_name(&machine, 99), "?");
    assert_true(sm_is_final(&machine, DONE));
    assert_false(sm_is_final(&machine, BUSY));
    assert_false(sm_is_final(&machine, 99));
}

static void a_move_outside_the_table_stops_the_program(void **state)
{
    (void)state;
    int ends[2], status;
    char said[256] = "";
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned at = IDLE;
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        sm_move(&machine, &at, DONE);
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(read(ends[0], said, sizeof(said) - 1) > 0);
    assert_non_null(strstr(said, "machine: idle cannot become done"));
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_moves_in_the_table_are_allowed),
        cmocka_unit_test(states_have_names_and_ends),
        cmocka_unit_test(a_move_outside_the_table_stops_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
