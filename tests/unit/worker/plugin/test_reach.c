/* SPDX-License-Identifier: Apache-2.0
 * Which code can change nothing of its process but memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <dlfcn.h>

#include "worker/plugin/reach.h"

/* Compiles these lines into a shared object and asks. */
static bool is_memory(const char *code, const char *libraries)
{
    char dir[] = "/tmp/reachXXXXXX", command[4096];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof(command),
             "cd %s && printf '%%s' '%s' > a.c && cc -w -shared -fPIC -o a.so a.c %s", dir, code,
             libraries);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "%s/a.so", dir);
    void *handle = dlopen(command, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(handle);
    bool answer = reach_is_memory(handle);
    dlclose(handle);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    return answer;
}

static void code_that_computes_and_allocates_reaches_only_memory(void **state)
{
    (void)state;
    assert_true(is_memory("#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n"
                          "char *f(char *s) { return strdup(s); }\n"
                          "double g(double x) { return pow(x, 3) + strtod(\"1\", 0); }\n",
                          "-lm"));
}

static void code_that_asks_the_system_reaches_further(void **state)
{
    (void)state;
    assert_false(is_memory("int signal(); int f(void) { return signal(2, 0); }\n", ""));
}

/* What a library does with what it is asked for, nobody knows. */
static void code_that_needs_other_libraries_reaches_further(void **state)
{
    (void)state;
    assert_false(is_memory("int f(void) { return 1; }\n", "-Wl,--no-as-needed -lz"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_that_computes_and_allocates_reaches_only_memory),
        cmocka_unit_test(code_that_asks_the_system_reaches_further),
        cmocka_unit_test(code_that_needs_other_libraries_reaches_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
