/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "libcommon/base/mem.h"
#include "libcommon/daemon/status.h"

static json_t *printed(struct status *st)
{
    struct buf out = BUF_INIT;
    json_error_t error;
    buf_append_byte(&out, '{');
    status_print(st, &out);
    buf_append_byte(&out, '}');
    json_t *json = json_loads(buf_cstr(&out), JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("%s in %s", error.text, buf_cstr(&out));
    buf_release(&out);
    status_release(st);
    return json;
}

static void nothing_said_is_still_json(void **state)
{
    (void)state;
    struct status st = STATUS_INIT;
    json_t *json = printed(&st);
    assert_int_equal(json_object_size(json_object_get(json, "values")), 0);
    assert_int_equal(json_array_size(json_object_get(json, "notes")), 0);
    json_decref(json);
}

static void values_notes_and_tables_may_come_in_any_order(void **state)
{
    (void)state;
    struct status st = STATUS_INIT;
    status_table(&st, "nodes", "Datanodes", "node|capacity:bytes|last heard:ms");
    status_row(&st);
    status_cell(&st, "dn1");
    status_cell_u64(&st, 7);
    status_cell_u64(&st, 3);
    status_count(&st, "files", 12, "#nodes");
    status_row(&st);
    status_cell(&st, "dn2");
    status_cell_u64(&st, UINT32_MAX);
    status_cell_u64(&st, 0);
    status_note(&st, "warn", "%d nodes are \"late\"", 2);
    status_table(&st, "empty", "Nothing", "a");
    status_text(&st, "mode", "on", "");
    status_bytes(&st, "used", 1, "");
    json_t *json = printed(&st);
    json_t *values = json_object_get(json, "values"), *tables = json_object_get(json, "tables");
    json_t *files = json_object_get(values, "files"), *nodes = json_object_get(tables, "nodes");
    assert_int_equal(json_integer_value(json_object_get(files, "value")), 12);
    assert_string_equal(json_string_value(json_object_get(files, "link")), "#nodes");
    assert_string_equal(json_string_value(json_object_get(json_object_get(values, "used"), "unit")),
                        "bytes");
    json_t *columns = json_object_get(nodes, "columns"), *rows = json_object_get(nodes, "rows");
    assert_int_equal(json_array_size(columns), 3);
    json_t *last = json_array_get(columns, 2);
    assert_string_equal(json_string_value(json_object_get(last, "name")), "last heard");
    assert_string_equal(json_string_value(json_object_get(last, "unit")), "ms");
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(json_string_value(json_array_get(json_array_get(rows, 1), 0)), "dn2");
    json_t *empty = json_object_get(json_object_get(tables, "empty"), "rows");
    assert_int_equal(json_array_size(empty), 0);
    json_t *note = json_array_get(json_object_get(json, "notes"), 0);
    assert_string_equal(json_string_value(json_object_get(note, "text")), "2 nodes are \"late\"");
    json_decref(json);
}

static void any_bytes_make_a_valid_string(void **state)
{
    (void)state;
    uint8_t all[256];
    struct status st = STATUS_INIT;
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    buf_append_byte(&out, '[');
    json_append_string(&out, slice_of(all, sizeof(all)));
    buf_append_byte(&out, ',');
    json_append_string(&out, slice_str("q\"\\\n\t\x7f é日🌾 \xff"));
    buf_append_byte(&out, ']');
    json_t *json = json_loadb((const char *)out.data, out.len, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_array_get(json, 1)),
                        "q\"\\\n\t\x7f é日🌾 \xef\xbf\xbd");
    json_decref(json);
    buf_release(&out);
    status_release(&st);
}

static void memory_that_runs_out_fails_the_answer(void **state)
{
    (void)state;
    struct status st = STATUS_INIT;
    struct buf out = BUF_INIT;
    mem_fail_after(1);
    status_count(&st, "files", 1, "");
    status_print(&st, &out);
    assert_true(buf_failed(&out));
    buf_release(&out);
    status_release(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_still_json),
        cmocka_unit_test(values_notes_and_tables_may_come_in_any_order),
        cmocka_unit_test(any_bytes_make_a_valid_string),
        cmocka_unit_test(memory_that_runs_out_fails_the_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
