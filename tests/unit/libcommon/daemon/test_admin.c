/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/daemon/admin.h"
#include "libcommon/event/loop.h"
#include "libcommon/event/sock.h"

static int say(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)err;
    buf_printf(out, "%s says", (const char *)state);
    for (int i = 1; i < argc; i++)
        buf_printf(out, " %s", argv[i]);
    return 0;
}

static int refuse(void *state, int argc, char **argv, struct buf *out, struct err *err)
{
    (void)state, (void)argc, (void)argv, (void)out;
    return err_set(err, ERR_BUSY, "not now");
}

static const struct admin_command first[] = {
    {"say", "WORD...", "says it", say},
    {"refuse", "", "never works", refuse},
};
static const struct admin_command second[] = {{"say", "", "hidden by the first", say},
                                              {"tell", "", "as say", say}};
static struct admin_table tables[2];

static int make_tables(void **state)
{
    (void)state;
    static char one[] = "one", two[] = "two";
    tables[0] = (struct admin_table){first, ARRAY_LEN(first), one};
    tables[1] = (struct admin_table){second, ARRAY_LEN(second), two};
    return 0;
}

static void answers(const char *line, const char *want)
{
    struct buf out = BUF_INIT;
    admin_run_line(tables, 2, slice_str(line), &out);
    assert_string_equal(buf_cstr(&out), want);
    buf_release(&out);
}

static void a_command_gets_its_words_and_its_tables_state(void **state)
{
    (void)state;
    answers("say hello  there\r", "one says hello there\nok\n");
    answers("tell x", "two says x\nok\n");
}

static void a_failure_is_one_line(void **state)
{
    (void)state;
    answers("refuse", "error: not now\n");
}

static void an_unknown_command_names_the_nearest(void **state)
{
    (void)state;
    answers("sya x", "error: no command \"sya\" (did you mean say?)\n");
    answers("zzzzzz", "error: no command \"zzzzzz\" (try help)\n");
}

static void nothing_is_answered_with_nothing(void **state)
{
    (void)state;
    answers("", "");
    answers("  \t", "");
}

static void help_lists_all_tables(void **state)
{
    (void)state;
    struct buf out = BUF_INIT;
    admin_run_line(tables, 2, slice_str("help"), &out);
    assert_non_null(strstr(buf_cstr(&out), "say WORD...                  says it\n"));
    assert_non_null(strstr(buf_cstr(&out), "tell "));
    buf_release(&out);
}

static void absurd_lines_are_refused(void **state)
{
    (void)state;
    char line[5000];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = 0;
    answers(line, "error: line is too long\n");
    for (size_t i = 1; i < 4000; i += 2)
        line[i] = ' ';
    line[4000] = 0;
    struct buf out = BUF_INIT;
    admin_run_line(tables, 2, slice_str(line), &out); /* two thousand words */
    assert_non_null(strstr(buf_cstr(&out), "error: no command \"x\""));
    buf_release(&out);
}

static char path[64];

static void turn_until_readable(struct loop *loop, int fd, char *text, size_t cap)
{
    uint64_t end_ms = clock_mono_ms() + 5000;
    size_t n = 0;
    while (clock_mono_ms() < end_ms && !(n && text[n - 1] == '\n')) {
        loop_turn(loop, 10);
        ssize_t got = recv(fd, text + n, cap - 1 - n, MSG_DONTWAIT);
        n += got > 0 ? (size_t)got : 0;
        text[n] = 0;
    }
}

static void the_console_answers_over_its_socket_and_goes_away(void **state)
{
    (void)state;
    struct err err = {0};
    struct loop *loop = loop_new(&err);
    struct admin_server *server = NULL;
    char text[256] = "";
    int fd = -1;
    snprintf(path, sizeof(path), "/tmp/quern-admin-%d.sock", (int)getpid());
    if (admin_server_open(loop, path, tables, 2, &server, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(sock_connect(path, clock_mono_ms() + 1000, &fd, &err), 0);
    assert_int_equal(sock_send_all(fd, "say a\nsay b\nref", 15, clock_mono_ms() + 1000), 0);
    turn_until_readable(loop, fd, text, sizeof(text));
    assert_string_equal(text, "one says a\nok\none says b\nok\n");
    assert_int_equal(sock_send_all(fd, "use\n", 4, clock_mono_ms() + 1000), 0);
    turn_until_readable(loop, fd, text, sizeof(text));
    assert_string_equal(text, "error: not now\n");
    admin_server_close(server); /* with the connection still open */
    for (int i = 0; i < 4; i++)
        loop_turn(loop, 0);
    assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    close(fd);
    loop_free(loop);
}

static void a_line_without_end_does_not_fill_the_memory(void **state)
{
    (void)state;
    struct err err = {0};
    struct loop *loop = loop_new(&err);
    struct admin_server *server = NULL;
    char junk[8192];
    int fd = -1;
    memset(junk, 'j', sizeof(junk));
    assert_int_equal(admin_server_open(loop, path, tables, 2, &server, &err), 0);
    assert_int_equal(sock_connect(path, clock_mono_ms() + 1000, &fd, &err), 0);
    assert_int_equal(sock_send_all(fd, junk, sizeof(junk), clock_mono_ms() + 1000), 0);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 20);
    assert_int_equal(recv(fd, junk, sizeof(junk), MSG_DONTWAIT), 0); /* hung up on us */
    close(fd);
    admin_server_close(server);
    for (int i = 0; i < 4; i++)
        loop_turn(loop, 0);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_gets_its_words_and_its_tables_state),
        cmocka_unit_test(a_failure_is_one_line),
        cmocka_unit_test(an_unknown_command_names_the_nearest),
        cmocka_unit_test(nothing_is_answered_with_nothing),
        cmocka_unit_test(help_lists_all_tables),
        cmocka_unit_test(absurd_lines_are_refused),
        cmocka_unit_test(the_console_answers_over_its_socket_and_goes_away),
        cmocka_unit_test(a_line_without_end_does_not_fill_the_memory),
    };
    return cmocka_run_group_tests(tests, make_tables, NULL);
}
