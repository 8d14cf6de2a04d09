/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/tools/jsonxml.h"

#define DEPTH_MAX 32

struct reader {
    const uint8_t *at, *end;
    const struct jsonxml_style *style;
    struct buf *out;
    bool is_bad;
};

/* ---- text ---- */

void jsonxml_text(struct slice text, struct buf *out)
{
    while (text.len) {
        uint32_t c = 0;
        size_t n = slice_utf8(text, &c);
        if (c == '&')
            buf_append_str(out, "&amp;");
        else if (c == '<')
            buf_append_str(out, "&lt;");
        else if (c == '>')
            buf_append_str(out, "&gt;");
        else if (c >= UTF8_BAD) /* a byte that is no character */
            buf_printf(out, "\\%04x;", text.data[0]);
        else if (c < 0x20 || c == '\\' || c == 0x7f || c == 0xfffe || c == 0xffff)
            buf_printf(out, "\\%04x;", c);
        else
            buf_append(out, text.data, n);
        text = slice_of(text.data + n, text.len - n);
    }
}

static void append_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_append_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_append_byte(out, (uint8_t)(0xc0 | c >> 6));
        buf_append_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_append_byte(out, (uint8_t)(0xe0 | c >> 12));
        buf_append_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_append_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

static uint32_t take_hex(struct reader *r)
{
    uint32_t c = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t b = r->at < r->end ? *r->at++ : 0;
        uint32_t digit = b >= '0' && b <= '9'   ? (uint32_t)(b - '0')
                         : b >= 'a' && b <= 'f' ? (uint32_t)(b - 'a' + 10)
                         : b >= 'A' && b <= 'F' ? (uint32_t)(b - 'A' + 10)
                                                : 16;
        r->is_bad |= digit > 15;
        c = c << 4 | (digit & 15);
    }
    return c;
}

/* A string, its opening quote passed: into `ret`. */
static void take_string(struct reader *r, struct buf *ret)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    for (; r->at < r->end && *r->at != '"' && !r->is_bad; r->at++) {
        if (*r->at != '\\' || r->at + 1 == r->end) {
            buf_append_byte(ret, *r->at);
            continue;
        }
        r->at++;
        const char *found = *r->at ? strchr(from, *r->at) : NULL;
        if (*r->at == 'u') {
            r->at++;
            append_utf8(ret, take_hex(r));
            r->at--;
        } else {
            buf_append_byte(ret, found ? (uint8_t)to[found - from] : *r->at);
        }
    }
    r->is_bad |= r->at >= r->end;
    r->at += !r->is_bad;
}

/* ---- values ---- */

static void put_tag(const struct reader *r, const struct buf *name, bool is_end)
{
    buf_append_str(r->out, is_end ? "</" : "<");
    for (size_t i = 0; i < name->len; i++) {
        uint8_t c = name->data[i];
        buf_append_byte(r->out, r->style->upper && c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c);
    }
    buf_append_byte(r->out, '>');
}

static void put_indent(const struct reader *r, unsigned in)
{
    for (unsigned i = 0; i < in; i++)
        buf_append_str(r->out, "  ");
}

static void put_members(struct reader *r, unsigned in, unsigned depth);

static void put_plain(struct reader *r)
{
    struct buf text = BUF_INIT;
    if (*r->at == '"') {
        r->at++;
        take_string(r, &text);
    } else {
        while (r->at < r->end && !strchr(",]}", *r->at))
            buf_append_byte(&text, *r->at++);
    }
    jsonxml_text(buf_slice(&text), r->out);
    r->is_bad |= text.failed;
    buf_release(&text);
}

static void put_value(struct reader *r, const struct buf *name, unsigned in, unsigned depth)
{
    if (r->at >= r->end || depth > DEPTH_MAX) {
        r->is_bad = true;
        return;
    }
    if (*r->at == '[') {
        for (r->at++; r->at < r->end && *r->at != ']' && !r->is_bad; r->at += *r->at == ',')
            put_value(r, name, in, depth + 1);
        r->is_bad |= r->at >= r->end;
        r->at += !r->is_bad;
        return;
    }
    put_indent(r, in);
    put_tag(r, name, false);
    if (*r->at == '{') {
        buf_append_byte(r->out, '\n');
        put_members(r, in + 1, depth + 1);
        put_indent(r, in);
    } else {
        put_plain(r);
    }
    put_tag(r, name, true);
    buf_append_byte(r->out, '\n');
}

/* The braces too. */
static void put_members(struct reader *r, unsigned in, unsigned depth)
{
    struct buf name = BUF_INIT;
    for (r->at++; r->at < r->end && *r->at != '}' && !r->is_bad; r->at += *r->at == ',') {
        buf_clear(&name);
        r->is_bad |= *r->at != '"';
        r->at++;
        take_string(r, &name);
        if (r->is_bad || r->at >= r->end || *r->at != ':') {
            r->is_bad = true;
            break;
        }
        r->at++;
        put_value(r, &name, in, depth);
        if (r->at >= r->end)
            break;
    }
    r->is_bad |= r->at >= r->end;
    r->at += !r->is_bad;
    buf_release(&name);
}

int jsonxml(struct slice json, const struct jsonxml_style *style, struct buf *out)
{
    struct reader r = {json.data, json.data + json.len, style, out, json.len < 2};
    if (r.is_bad || json.data[0] != '{')
        return ERR_CORRUPT;
    put_members(&r, style->in, 0);
    return r.is_bad ? ERR_CORRUPT : buf_failed(out) ? ERR_NOMEM : 0;
}
