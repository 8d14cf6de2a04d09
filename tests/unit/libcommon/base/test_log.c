/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/base/log.h"

static char dir[64], path[128];

static int make_dir(void **state)
{
    (void)state;
    memcpy(dir, "/tmp/quern-log-XXXXXX", 22);
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/q.log", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    log_open(NULL, 0, 0, NULL);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static const char *content(const char *name)
{
    static char text[8192];
    int fd = open(name, O_RDONLY);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void a_line_has_time_level_module_and_words(void **state)
{
    (void)state;
    assert_int_equal(log_open(path, 0, 0, NULL), 0);
    log_warn("nn.lease", "recovered lease of client %d on %s", 7, "/a/b");
    const char *line = content(path);
    assert_true(line[4] == '-' && line[13] == ':' && line[19] == '.');
    assert_string_equal(line + 23, " WARN  nn.lease   recovered lease of client 7 on /a/b\n");
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    enum log_level level;
    assert_int_equal(truncate(path, 0), 0);
    log_debug("t", "hidden");
    assert_int_equal(log_level_parse("Debug", &level), 0);
    log_set_level(level);
    log_debug("t", "shown");
    log_set_level(LOG_INFO_);
    assert_null(strstr(content(path), "hidden"));
    assert_non_null(strstr(content(path), "shown"));
    assert_int_equal(log_level_parse("loud", &level), ERR_INVAL);
}

static void one_event_is_one_line_whatever_it_says(void **state)
{
    (void)state;
    char word[5000];
    assert_int_equal(truncate(path, 0), 0);
    log_info("t", "two\nlines\r and \033[31mred");
    assert_non_null(strstr(content(path), "two lines  and  [31mred\n"));
    assert_int_equal(truncate(path, 0), 0);
    memset(word, 'w', sizeof(word));
    word[sizeof(word) - 1] = 0;
    log_info("t", "%s", word);
    const char *line = content(path);
    assert_true(strlen(line) < 2100);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = ENOTTY;
    log_info("t", "x");
    assert_int_equal(errno, ENOTTY);
}

static void a_full_file_is_set_aside_and_the_oldest_dropped(void **state)
{
    (void)state;
    char old[160];
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(log_open(path, 200, 2, NULL), 0);
    for (int i = 0; i < 20; i++)
        log_info("t", "line %02d %060d", i, 0);
    struct stat st;
    snprintf(old, sizeof(old), "%s.2", path);
    assert_int_equal(stat(old, &st), 0);
    assert_true(st.st_size < 400);
    snprintf(old, sizeof(old), "%s.3", path);
    assert_int_not_equal(stat(old, &st), 0);
    snprintf(old, sizeof(old), "%s.1", path);
    assert_non_null(strstr(content(old), "line 19"));
}

static void a_renamed_file_is_followed_on_reopen(void **state)
{
    (void)state;
    char moved[160];
    assert_int_equal(log_open(path, 0, 0, NULL), 0);
    snprintf(moved, sizeof(moved), "%s.moved", path);
    assert_int_equal(rename(path, moved), 0);
    log_info("t", "into the old file");
    assert_int_equal(log_reopen(NULL), 0);
    log_info("t", "into the new file");
    assert_non_null(strstr(content(moved), "into the old file"));
    assert_null(strstr(content(moved), "into the new file"));
    assert_non_null(strstr(content(path), "into the new file"));
}

/* Another thread may be inside write(2) with the old number: it must never come to mean another
 * file, or log lines land in somebody's data. */
static void switching_files_never_frees_the_descriptors_number(void **state)
{
    (void)state;
    assert_int_equal(log_open(path, 0, 0, NULL), 0);
    int before = open("/dev/null", O_RDONLY);
    close(before);
    for (int i = 0; i < 5; i++)
        assert_int_equal(log_reopen(NULL), 0);
    int after = open("/dev/null", O_RDONLY);
    assert_int_equal(after, before);
    close(after);
}

static void a_log_that_cannot_be_opened_says_why_and_the_old_one_goes_on(void **state)
{
    (void)state;
    struct err err = {0};
    char nowhere[160];
    snprintf(nowhere, sizeof(nowhere), "%s/no/such/q.log", dir);
    assert_int_equal(log_open(nowhere, 0, 0, &err), ERR_NOENT);
    assert_non_null(strstr(err.msg, "No such file or directory"));
    log_info("t", "still here");
    assert_int_equal(log_reopen(&err), 0);
    log_info("t", "and here");
    assert_non_null(strstr(content(path), "still here"));
    assert_non_null(strstr(content(path), "and here"));
}

static void the_last_lines_are_kept_for_the_crash_report(void **state)
{
    (void)state;
    char dump[160];
    for (int i = 0; i < 100; i++)
        log_info("t", "event %d", i);
    snprintf(dump, sizeof(dump), "%s/dump", dir);
    int fd = open(dump, O_RDWR | O_CREAT, 0600);
    log_dump_recent(fd);
    close(fd);
    const char *text = content(dump);
    assert_non_null(strstr(text, "event 99\n"));
    assert_non_null(strstr(text, "event 36\n"));
    assert_null(strstr(text, "event 35\n"));
    assert_true(strstr(text, "event 36\n") < strstr(text, "event 99\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_module_and_words),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(one_event_is_one_line_whatever_it_says),
        cmocka_unit_test(errno_is_left_alone),
        cmocka_unit_test(a_full_file_is_set_aside_and_the_oldest_dropped),
        cmocka_unit_test(a_renamed_file_is_followed_on_reopen),
        cmocka_unit_test(switching_files_never_frees_the_descriptors_number),
        cmocka_unit_test(a_log_that_cannot_be_opened_says_why_and_the_old_one_goes_on),
        cmocka_unit_test(the_last_lines_are_kept_for_the_crash_report),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
