/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/logfile.h"

static struct logfile file = {.fd = -1};

static void before_it_is_open_lines_go_nowhere(void **state)
{
    (void)state;
    logfile_write(&file, slice_str("lost\n"));
    assert_int_equal(logfile_reopen(&file, NULL), 0);
    logfile_close(&file);
}

static void *write_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++)
        logfile_write(&file, slice_str("0123456789 0123456789 0123456789 0123456789\n"));
    return NULL;
}

static void lines_of_several_threads_stay_whole_over_rotation(void **state)
{
    (void)state;
    char dir[] = "/tmp/quern-logfile-XXXXXX", path[64], command[256];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/audit", dir);
    assert_int_equal(logfile_open(&file, path, 20000, 100, NULL), 0);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    logfile_close(&file);
    snprintf(command, sizeof(command), "cat %s/audit* | sort | uniq -c > %s/sum", dir, dir);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof(path), "%s/sum", dir);
    FILE *sum = fopen(path, "r");
    int count = 0, kinds = 0;
    char line[128];
    while (fgets(line, sizeof(line), sum)) {
        count += (int)strtol(line, NULL, 10);
        kinds++;
    }
    fclose(sum);
    assert_int_equal(count, 6000);
    assert_int_equal(kinds, 1);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_it_is_open_lines_go_nowhere),
        cmocka_unit_test(lines_of_several_threads_stay_whole_over_rotation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
