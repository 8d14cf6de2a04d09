/* SPDX-License-Identifier: Apache-2.0
 * Written straight into three buffers, in JSON, so that a status costs no tree of objects. */
#include "libcommon/daemon/status.h"

#include <inttypes.h>
#include <stdarg.h>

void json_append_string(struct buf *out, struct slice text)
{
    buf_append_byte(out, '"');
    while (text.len) {
        uint32_t point;
        size_t n = slice_utf8(text, &point);
        if (point == '"' || point == '\\')
            buf_printf(out, "\\%c", (char)point);
        else if (point < ' ' || point == 0x7f)
            buf_printf(out, "\\u%04x", point);
        else if (point >= UTF8_BAD)
            buf_append_str(out, "\xef\xbf\xbd"); /* U+FFFD */
        else
            buf_append(out, text.data, n);
        text = slice_of(text.data + n, text.len - n);
    }
    buf_append_byte(out, '"');
}

static void append_str(struct buf *out, const char *text)
{
    json_append_string(out, slice_str(text));
}

static void comma(struct buf *out)
{
    if (out->len)
        buf_append_byte(out, ',');
}

static void value_head(struct status *st, const char *name)
{
    comma(&st->values);
    append_str(&st->values, name);
    buf_append_str(&st->values, ":{\"value\":");
}

static void value_tail(struct status *st, const char *unit, const char *link)
{
    buf_printf(&st->values, ",\"unit\":\"%s\",\"link\":", unit);
    append_str(&st->values, link);
    buf_append_byte(&st->values, '}');
}

static void add_number(struct status *st, const char *name, uint64_t n, const char *unit,
                       const char *link)
{
    value_head(st, name);
    buf_printf(&st->values, "%" PRIu64, n);
    value_tail(st, unit, link);
}

void status_text(struct status *st, const char *name, const char *value, const char *link)
{
    value_head(st, name);
    append_str(&st->values, value);
    value_tail(st, "text", link);
}

void status_count(struct status *st, const char *name, uint64_t n, const char *link)
{
    add_number(st, name, n, "count", link);
}

void status_bytes(struct status *st, const char *name, uint64_t bytes, const char *link)
{
    add_number(st, name, bytes, "bytes", link);
}

void status_note(struct status *st, const char *level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    comma(&st->notes);
    buf_printf(&st->notes, "{\"level\":\"%s\",\"text\":", level);
    append_str(&st->notes, text);
    buf_append_byte(&st->notes, '}');
}

static void end_row(struct status *st)
{
    if (st->in_row)
        buf_append_byte(&st->tables, ']');
    st->in_row = false;
}

static void end_table(struct status *st)
{
    end_row(st);
    if (st->in_table)
        buf_append_str(&st->tables, "]}");
    st->in_table = false;
}

/* "name:unit"; the name may hold spaces. */
static void add_column(struct buf *out, struct slice column)
{
    const uint8_t *colon = column.len ? memrchr(column.data, ':', column.len) : NULL;
    size_t name_len = colon ? (size_t)(colon - column.data) : column.len;
    struct slice unit = slice_str("text");
    if (colon)
        unit = slice_of(colon + 1, column.len - name_len - 1);
    buf_append_str(out, "{\"name\":");
    json_append_string(out, slice_of(column.data, name_len));
    buf_append_str(out, ",\"unit\":");
    json_append_string(out, unit);
    buf_append_byte(out, '}');
}

void status_table(struct status *st, const char *id, const char *title, const char *columns)
{
    struct buf *out = &st->tables;
    end_table(st);
    comma(out);
    append_str(out, id);
    buf_append_str(out, ":{\"title\":");
    append_str(out, title);
    buf_append_str(out, ",\"columns\":[");
    for (const char *at = columns; *at;) {
        size_t n = strcspn(at, "|");
        if (at != columns)
            buf_append_byte(out, ',');
        add_column(out, slice_of(at, n));
        at += n + (at[n] == '|');
    }
    buf_append_str(out, "],\"rows\":[");
    st->in_table = true;
    st->has_row = false;
}

void status_row(struct status *st)
{
    BUG_ON(!st->in_table);
    end_row(st);
    buf_append_str(&st->tables, st->has_row ? ",[" : "[");
    st->in_row = st->has_row = true;
    st->has_cell = false;
}

static void cell_comma(struct status *st)
{
    BUG_ON(!st->in_row);
    if (st->has_cell)
        buf_append_byte(&st->tables, ',');
    st->has_cell = true;
}

void status_cell(struct status *st, const char *text)
{
    cell_comma(st);
    append_str(&st->tables, text);
}

void status_cell_u64(struct status *st, uint64_t n)
{
    cell_comma(st);
    buf_printf(&st->tables, "%" PRIu64, n);
}

void status_print(struct status *st, struct buf *out)
{
    end_table(st);
    if (st->values.failed || st->tables.failed || st->notes.failed)
        out->failed = true;
    buf_append_str(out, "\"notes\":[");
    buf_append_slice(out, buf_slice(&st->notes));
    buf_append_str(out, "],\"values\":{");
    buf_append_slice(out, buf_slice(&st->values));
    buf_append_str(out, "},\"tables\":{");
    buf_append_slice(out, buf_slice(&st->tables));
    buf_append_str(out, "}");
}

void status_release(struct status *st)
{
    buf_release(&st->values);
    buf_release(&st->tables);
    buf_release(&st->notes);
    *st = STATUS_INIT;
}
