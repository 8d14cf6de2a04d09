/* SPDX-License-Identifier: Apache-2.0
 * The fields of a record of CSV, as an author walks over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <quern/csv.h>

#include "libcommon/base/buf.h"

static struct qn_task task; /* memory is never out here */

static void check(const char *record, char separator, const char *fields)
{
    struct qn_csv csv = {{0}, {0}, 0, 0, 0};
    struct qn_slice field[16];
    struct buf out = BUF_INIT;
    size_t n = 0;
    assert_int_equal(qn_csv_begin(&task, &csv, qn_text(record), separator), 0);
    while (n < 16 && qn_csv_next(&csv, &field[n]))
        n++;
    for (size_t i = 0; i < n; i++) /* all of them are good until the next record */
        buf_printf(&out, "[%.*s]", (int)field[i].len, (const char *)field[i].data);
    assert_string_equal(buf_cstr(&out), fields);
    buf_release(&out);
    qn_give_back(&csv.room);
}

static void fields_come_without_their_quotes(void **state)
{
    (void)state;
    check("a,b,c", ',', "[a][b][c]");
    check("", ',', "[]");
    check(",", ',', "[][]");
    check("a,,", ',', "[a][][]");
    check("\"a,b\",\"c\nd\"", ',', "[a,b][c\nd]");
    check("\"\",\"\"\"\",\"x\"\"y\"\"\",z", ',', "[][\"][x\"y\"][z]");
    check("\"a\",", ',', "[a][]");
    check("a;\"b;\"\"\";c,d", ';', "[a][b;\"][c,d]");
    check("a\tb", '\t', "[a][b]");
}

static void a_record_spoilt_on_the_way_ends_all_the_same(void **state)
{
    (void)state;
    check("\"never closed", ',', "[never closed]");
    check("\"", ',', "[]");
    check("\"a\"\"", ',', "[a\"]");
}

static void the_nth_field_is_found_or_not(void **state)
{
    (void)state;
    struct qn_csv csv = {{0}, {0}, 0, 0, 0};
    struct qn_slice field = {0};
    assert_int_equal(qn_csv_field(&task, &csv, qn_text("a,\"b,b\",c"), ',', 2, &field), 1);
    assert_memory_equal(field.data, "b,b", 3);
    assert_int_equal(qn_csv_field(&task, &csv, qn_text("a,\"b,b\",c"), ',', 4, &field), 0);
    assert_int_equal(qn_csv_field(&task, &csv, qn_text("a"), ',', 0, &field), 0);
    qn_give_back(&csv.room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_without_their_quotes),
        cmocka_unit_test(a_record_spoilt_on_the_way_ends_all_the_same),
        cmocka_unit_test(the_nth_field_is_found_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
