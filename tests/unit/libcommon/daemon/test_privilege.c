/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/daemon/privilege.h"

static void without_a_user_nothing_changes(void **state)
{
    (void)state;
    uid_t before = geteuid();
    assert_int_equal(privilege_become("", NULL), 0);
    assert_int_equal(geteuid(), before);
    const struct passwd *pw = getpwuid(before);
    if (pw)
        assert_int_equal(privilege_become(pw->pw_name, NULL), 0);
}

static void a_user_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(privilege_become("no-such-user", &err), ERR_NOENT);
    assert_string_equal(err.msg, "user = no-such-user: there is no such user here");
}

static void root_becomes_the_user_for_good_and_others_cannot(void **state)
{
    (void)state;
    const struct passwd *nobody = getpwnam("nobody");
    int status;
    if (geteuid() != 0 || !nobody) {
        skip();
        return;
    }
    uid_t uid = nobody->pw_uid;
    gid_t gid = nobody->pw_gid;
    pid_t pid = fork();
    if (pid == 0) {
        bool ok = privilege_become("nobody", NULL) == 0 && getuid() == uid && geteuid() == uid &&
                  getegid() == gid && setuid(0) != 0 &&
                  privilege_become("root", NULL) == ERR_NOTPERM;
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_user_nothing_changes),
        cmocka_unit_test(a_user_that_is_not_there_is_named),
        cmocka_unit_test(root_becomes_the_user_for_good_and_others_cannot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
