/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/json.h"

struct json {
    const uint8_t *p, *from, *end;
    const char *bad;
    uint32_t depth;
    uint8_t in_object[JSON_DEPTH / 8]; /* a bit for each level */
};

static bool fail(struct json *j, const char *why)
{
    if (!j->bad)
        j->bad = why;
    return false;
}

static void skip_space(struct json *j)
{
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
        j->p++;
}

static bool is_digit(const struct json *j)
{
    return j->p < j->end && *j->p >= '0' && *j->p <= '9';
}

static bool is_next(const struct json *j, uint8_t c)
{
    return j->p < j->end && *j->p == c;
}

static bool take(struct json *j, uint8_t c)
{
    bool is_there = is_next(j, c);
    j->p += is_there;
    return is_there;
}

static bool digits(struct json *j)
{
    if (!is_digit(j))
        return fail(j, "a digit is missing");
    while (is_digit(j))
        j->p++;
    return true;
}

static bool number(struct json *j)
{
    (void)take(j, '-');
    if (take(j, '0')) {
        if (is_digit(j))
            return fail(j, "a number begins with 0");
    } else if (!digits(j)) {
        return false;
    }
    if (take(j, '.') && !digits(j))
        return false;
    if (!take(j, 'e') && !take(j, 'E'))
        return true;
    if (!take(j, '+'))
        (void)take(j, '-');
    return digits(j);
}

static bool word(struct json *j, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(j->end - j->p) < n || memcmp(j->p, text, n) != 0)
        return fail(j, "no value");
    j->p += n;
    return true;
}

static bool escape(struct json *j)
{
    if (j->p == j->end)
        return fail(j, "the string is not closed");
    uint8_t c = *j->p++;
    if (c != 'u')
        return memchr("\"\\/bfnrt", c, 8) ? true : fail(j, "an unknown escape");
    for (int i = 0; i < 4; i++, j->p++)
        if (j->p == j->end || !(is_digit(j) || ((*j->p | 0x20) >= 'a' && (*j->p | 0x20) <= 'f')))
            return fail(j, "\\u without four hexadecimal digits");
    return true;
}

/* One character of more than one byte: no longer than need be, no surrogate, below 0x110000. */
static bool utf8(struct json *j)
{
    uint8_t c = *j->p;
    uint32_t n = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    uint32_t v = c & (0x3fu >> n);
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (c < 0xc2 || c > 0xf4 || (size_t)(j->end - j->p) <= n)
        return fail(j, "no UTF-8");
    for (uint32_t i = 1; i <= n; i++) {
        if ((j->p[i] & 0xc0) != 0x80)
            return fail(j, "no UTF-8");
        v = v << 6 | (j->p[i] & 0x3f);
    }
    if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
        return fail(j, "no UTF-8");
    j->p += n + 1;
    return true;
}

static bool string(struct json *j)
{
    if (!take(j, '"'))
        return fail(j, "a string is missing");
    while (j->p < j->end) {
        uint8_t c = *j->p;
        if (c == '"') {
            j->p++;
            return true;
        }
        if (c < 0x20)
            return fail(j, "a control character in a string");
        if (c >= 0x80) {
            if (!utf8(j))
                return false;
            continue;
        }
        j->p++;
        if (c == '\\' && !escape(j))
            return false;
    }
    return fail(j, "the string is not closed");
}

static bool is_object(const struct json *j)
{
    uint32_t level = j->depth - 1;
    return j->in_object[level / 8] & (1u << level % 8);
}

static bool key(struct json *j)
{
    skip_space(j);
    if (!string(j))
        return false;
    skip_space(j);
    return take(j, ':') ? true : fail(j, "a colon is missing");
}

/* Into an array or object. *ret_is_empty: and out again. */
static bool enter(struct json *j, bool *ret_is_empty)
{
    uint32_t level = j->depth;
    if (level == JSON_DEPTH)
        return fail(j, "nested too deeply");
    bool object = *j->p++ == '{';
    uint8_t bit = (uint8_t)(1u << level % 8);
    j->in_object[level / 8] = (uint8_t)((j->in_object[level / 8] & ~bit) | (object ? bit : 0));
    skip_space(j);
    *ret_is_empty = take(j, object ? '}' : ']');
    j->depth += !*ret_is_empty;
    return *ret_is_empty || !object || key(j);
}

/* A value's beginning: *ret_is_whole when it is over, too. */
static bool value(struct json *j, bool *ret_is_whole)
{
    skip_space(j);
    *ret_is_whole = true;
    if (j->p == j->end)
        return fail(j, "a value is missing");
    switch (*j->p) {
    case '{':
    case '[':
        return enter(j, ret_is_whole);
    case '"':
        return string(j);
    case 't':
        return word(j, "true");
    case 'f':
        return word(j, "false");
    case 'n':
        return word(j, "null");
    default:
        return *j->p == '-' || is_digit(j) ? number(j) : fail(j, "no value");
    }
}

/* Behind a value: out of all that ends here. *ret_more: another value follows. */
static bool leave(struct json *j, bool *ret_more)
{
    for (*ret_more = false; j->depth > 0; j->depth--) {
        skip_space(j);
        if (take(j, ',')) {
            *ret_more = true;
            return !is_object(j) || key(j);
        }
        if (!take(j, is_object(j) ? '}' : ']'))
            return fail(j, "a comma or the end is missing");
    }
    return true;
}

const char *json_check(struct slice text, size_t *ret_at)
{
    struct json j = {.p = text.data, .from = text.data, .end = text.data + text.len};
    bool is_whole = false, more = true;
    while (more && value(&j, &is_whole)) {
        if (is_whole && !leave(&j, &more))
            break;
    }
    if (!j.bad) {
        skip_space(&j);
        if (j.p < j.end)
            (void)fail(&j, "something follows the value");
    }
    *ret_at = (size_t)(j.p - j.from);
    return j.bad;
}
