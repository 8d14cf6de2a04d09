/* SPDX-License-Identifier: Apache-2.0
 * join puts lines together without keeping more than the left ones of a key: two long lines may be
 * a fifth of a task's memory each. Keys of all lengths, cut out of their lines or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs/join.c"
#include "libcommon/base/buf.h"

#define LONG 1000000

/* --- a host that keeps what maps emit, and writes what reduce emits -------------------------- */

static struct qn_slice sent[10]; /* values, copied; the keys are in order of the calls here */
static size_t sent_count, given;
static struct buf key, out;
static struct qn_counter without_key;
static const char *type;

static int emit_sent(struct qn_task *task, struct qn_slice k, struct qn_slice value)
{
    (void)task;
    void *copy = malloc(value.len);
    memcpy(copy, value.data, value.len);
    if (sent_count == 0) {
        buf_clear(&key);
        buf_append(&key, k.data, k.len);
    }
    sent[sent_count++] = qn_bytes(copy, value.len);
    return 0;
}
static int emit_out(struct qn_task *task, struct qn_slice k, struct qn_slice value)
{
    (void)task;
    buf_append(&out, k.data, k.len);
    buf_append_byte(&out, '\t');
    buf_append(&out, value.data, value.len);
    buf_append_byte(&out, '\n');
    return 0;
}
static int next(struct qn_values *values, struct qn_slice *ret)
{
    (void)values;
    if (given == sent_count)
        return 0;
    *ret = sent[given++];
    return 1;
}
static const char *option(struct qn_task *task, const char *name)
{
    (void)task;
    return strcmp(name, "join.type") == 0 ? type : strcmp(name, "join.left") == 0 ? "" : "1";
}
static struct qn_counter *counter(struct qn_task *task, const char *group, const char *name)
{
    (void)task, (void)group, (void)name;
    return &without_key;
}

/* --- one key's lines ------------------------------------------------------------------------- */

/* What comes of left and right lines, which all have one key; *ret_kept: bytes of memory used. */
static const char *joined(const char *const *lefts, const char *const *rights, size_t *ret_kept)
{
    struct qn_host host = {.emit = emit_sent, .next = next, .option = option, .counter = counter};
    struct qn_task task = {.host = &host};
    struct qn_values values = {&host};
    sent_count = given = 0;
    buf_clear(&out);
    assert_int_equal(setup(&task), 0);
    for (; *lefts; lefts++)
        assert_int_equal(map_left(&task, qn_text(*lefts), qn_nothing()), 0);
    for (; *rights; rights++)
        assert_int_equal(map_right(&task, qn_text(*rights), qn_nothing()), 0);
    assert_int_equal(cleanup(&task), 0);
    host.emit = emit_out;
    assert_int_equal(setup(&task), 0);
    assert_int_equal(reduce(&task, qn_bytes(key.data, key.len), &values), 0);
    const struct state *s = *qn_state(&task);
    *ret_kept = s->room.size + s->line.size + s->lefts.size;
    assert_int_equal(cleanup(&task), 0);
    for (size_t i = 0; i < sent_count; i++)
        free((void *)(uintptr_t)sent[i].data);
    return buf_cstr(&out);
}
#define LINES(...)                      \
    (const char *const[])               \
    {                                   \
        __VA_ARGS__ __VA_OPT__(, ) NULL \
    }

static void each_left_line_meets_each_right_one(void **state)
{
    (void)state;
    size_t kept;
    type = "inner";
    assert_string_equal(joined(LINES("k\ta", "k", "k\tb"), LINES("k\tx", "k\t"), &kept),
                        "k\tk\ta\tk\tx\nk\tk\tk\tx\nk\tk\tb\tk\tx\n"
                        "k\tk\ta\tk\t\nk\tk\tk\t\nk\tk\tb\tk\t\n");
    assert_string_equal(joined(LINES("\ta"), LINES("\tx"), &kept), "\t\ta\t\tx\n");
    assert_string_equal(joined(LINES("k\ta"), LINES(), &kept), "");
    assert_string_equal(joined(LINES(), LINES("k\tx"), &kept), "");
    type = "full";
    assert_string_equal(joined(LINES("k\ta", "k\tb"), LINES(), &kept), "k\tk\ta\t\nk\tk\tb\t\n");
    assert_string_equal(joined(LINES(), LINES("k\tx", "k\ty"), &kept), "k\t\tk\tx\nk\t\tk\ty\n");
}

static char *long_line(size_t key_len, char letter)
{
    char *line = test_malloc(LONG + 1);
    memset(line, 'k', key_len);
    memset(line + key_len, letter, LONG - key_len);
    line[key_len] = '\t';
    line[LONG] = 0;
    return line;
}

static void of_two_long_lines_one_is_kept(void **state)
{
    (void)state;
    size_t kept;
    char *one = long_line(1, 'x'), *other = long_line(1, 'y');
    struct buf want = BUF_INIT;
    type = "inner";
    buf_printf(&want, "k\t%s\t%s\n", one, other);
    assert_string_equal(joined(LINES(one), LINES(other), &kept), buf_cstr(&want));
    assert_true(kept < 2 * LONG);
    buf_release(&want);
    test_free(one);
    test_free(other);
}

static void a_long_key_goes_beside_its_lines_not_in_them(void **state)
{
    (void)state;
    size_t kept;
    char *one = long_line(LONG / 2, 'x'), *other = long_line(LONG / 2, 'y');
    struct buf want = BUF_INIT;
    type = "full";
    buf_printf(&want, "%.*s\t%s\t%s\n", LONG / 2, one, one, other);
    assert_string_equal(joined(LINES(one), LINES(other), &kept), buf_cstr(&want));
    assert_true(sent[0].len <= LONG / 2 + 16 && sent[1].len <= LONG / 2 + 16);
    buf_release(&want);
    test_free(one);
    test_free(other);
}

static int release(void **state)
{
    (void)state;
    buf_release(&key);
    buf_release(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_left_line_meets_each_right_one),
        cmocka_unit_test(of_two_long_lines_one_is_kept),
        cmocka_unit_test(a_long_key_goes_beside_its_lines_not_in_them),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
