/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "namenode/serve/audit.h"

static char path[] = "/tmp/quern-audit-XXXXXX";
static struct loop *loop;
static struct nn_audit audit;

static int setup(void **state)
{
    (void)state;
    struct err err;
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int fd = mkstemp(path);
    close(fd);
    loop = loop_new(&err);
    return nn_audit_open(&audit, loop, path, &err);
}
static int teardown(void **state)
{
    (void)state;
    nn_audit_close(&audit);
    loop_free(loop);
    unlink(path);
    return 0;
}

static char *contents(void)
{
    static char text[1 << 18];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    return text;
}

static const struct nn_audit_line line = {
    .user = "bob",
    .address = "10.0.0.5:41234",
    .command = "rename",
    .source = {(const uint8_t *)"/a", 2},
    .target = {(const uint8_t *)"/b", 2},
    .is_allowed = true,
};

static void a_call_is_one_line_in_hadoops_form(void **state)
{
    (void)state;
    struct nn_audit_line denied = line;
    denied.is_allowed = false;
    denied.target = slice_of(NULL, 0);
    nn_audit_add(&audit, &line, 1700000000123);
    nn_audit_add(&audit, &denied, 1700000000123);
    assert_string_equal(contents(), ""); /* collected */
    nn_audit_flush(&audit);
    assert_non_null(strstr(contents(),
                           ",123 INFO FSNamesystem.audit: allowed=true\tugi=bob (auth:SIMPLE)\t"
                           "ip=/10.0.0.5\tcmd=rename\tsrc=/a\tdst=/b\tperm=null\tproto=rpc\n"));
    assert_non_null(strstr(contents(), "allowed=false\tugi=bob (auth:SIMPLE)\tip=/10.0.0.5\t"
                                       "cmd=rename\tsrc=/a\tdst=null\tperm=null\tproto=rpc\n"));
}

static void a_name_cannot_forge_a_line(void **state)
{
    (void)state;
    struct nn_audit_line evil = line;
    evil.source = slice_str("/a\n2026 INFO FSNamesystem.audit: allowed=true\tugi=root");
    nn_audit_add(&audit, &evil, 1);
    nn_audit_flush(&audit);
    assert_non_null(strstr(contents(), "src=/a\\x0a2026 INFO"));
    assert_non_null(strstr(contents(), "allowed=true\\x09ugi=root\tdst"));
}

static void many_lines_are_written_together_and_few_within_a_second(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++)
        nn_audit_add(&audit, &line, 1);
    assert_true(strlen(contents()) > 60000);
    size_t before = strlen(contents());
    nn_audit_add(&audit, &line, 1);
    for (int i = 0; i < 30 && strlen(contents()) == before; i++)
        loop_turn(loop, 50);
    assert_true(strlen(contents()) > before);
}

static void a_rotated_file_is_opened_anew(void **state)
{
    (void)state;
    struct err err;
    nn_audit_add(&audit, &line, 1);
    unlink(path);
    assert_int_equal(nn_audit_reopen(&audit, &err), 0);
    assert_string_equal(contents(), "");
    nn_audit_add(&audit, &line, 1);
    nn_audit_flush(&audit);
    assert_true(strlen(contents()) > 50);
}

static void without_a_file_nothing_is_written(void **state)
{
    (void)state;
    struct nn_audit none;
    struct err err;
    assert_int_equal(nn_audit_open(&none, loop, "", &err), 0);
    nn_audit_add(&none, &line, 1);
    nn_audit_flush(&none);
    assert_int_equal(none.lines.cap, 0);
    nn_audit_close(&none);
    assert_int_not_equal(nn_audit_open(&none, loop, "/no/such/directory/x", &err), 0);
    assert_non_null(strstr(err.msg, "cannot open the audit log /no/such/directory/x"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_call_is_one_line_in_hadoops_form),
        CASE(a_name_cannot_forge_a_line),
        CASE(many_lines_are_written_together_and_few_within_a_second),
        CASE(a_rotated_file_is_opened_anew),
        CASE(without_a_file_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
