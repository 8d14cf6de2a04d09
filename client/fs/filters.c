/* SPDX-License-Identifier: Apache-2.0
 * Java's expressions are written anew as extended ones of POSIX, byte by byte: a class becomes the
 * set of its bytes, for a backslash means something else within POSIX's brackets. */
#include "client/fs/filters.h"

#include <ctype.h>

#include "libcommon/base/mem.h"

struct set {
    bool has[256];
};

struct reader {
    struct slice in;
    size_t at;
    size_t groups; /* open here */
    struct buf *out;
};

static bool is_here(const struct reader *r, const char *text)
{
    return slice_has_prefix(slice_of(r->in.data + r->at, r->in.len - r->at), slice_str(text));
}

/* --- classes ---------------------------------------------------------------------------------- */

static void set_range(struct set *set, unsigned from, unsigned to)
{
    for (unsigned c = from; c <= to; c++)
        set->has[c] = true;
}

/* \d, \w, \s and, as capitals, all but those. */
static bool set_named(struct set *set, uint8_t letter)
{
    struct set named = {{false}};
    if (!strchr("dwsDWS", letter))
        return false;
    for (const char *s = " \t\n\v\f\r"; tolower(letter) == 's' && *s; s++)
        named.has[(uint8_t)*s] = true;
    if (tolower(letter) != 's')
        set_range(&named, '0', '9');
    if (tolower(letter) == 'w') {
        set_range(&named, 'a', 'z');
        set_range(&named, 'A', 'Z');
        named.has['_'] = true;
    }
    for (unsigned c = 0; c < 256; c++)
        set->has[c] |= named.has[c] != (isupper(letter) != 0);
    return true;
}

/* What stands behind a backslash and is one character; -1 = it means something else. */
static int escaped(uint8_t c)
{
    return c == 't' ? '\t' : c == 'n' ? '\n' : isalnum(c) || c >= 128 ? -1 : c;
}

/* One character of a class, which may be behind a backslash. */
static int class_member(struct reader *r)
{
    uint8_t c = r->in.data[r->at++];
    if (c == '\\' && r->at < r->in.len)
        return escaped(r->in.data[r->at++]);
    return c >= 128 || c == '[' || c == '&' ? -1 : c; /* unions, intersections */
}

static int class_item(struct reader *r, struct set *set)
{
    if (r->in.data[r->at] == '\\' && r->at + 1 < r->in.len &&
        set_named(set, r->in.data[r->at + 1])) {
        r->at += 2;
        return 0;
    }
    int from = class_member(r), to = from;
    if (from >= 0 && r->at + 1 < r->in.len && r->in.data[r->at] == '-' &&
        r->in.data[r->at + 1] != ']') {
        r->at++;
        to = class_member(r);
    }
    if (from < 0 || to < from)
        return ERR_INVAL;
    set_range(set, (unsigned)from, (unsigned)to);
    return 0;
}

/* As POSIX has it: ']' comes first, '-' first or last, '^' never first. No path has a byte 0. */
static void put_set(struct buf *out, const struct set *set)
{
    unsigned last = 0;
    size_t empty = out->len + 1;
    buf_append_byte(out, '[');
    if (set->has[']'])
        buf_append_byte(out, ']');
    for (unsigned c = 1; c < 256; c = last + 1) {
        last = c;
        if (!set->has[c] || strchr("]^-[", (int)c))
            continue;
        while (last < 255 && set->has[last + 1] && !strchr("]^-[", (int)last + 1))
            last++;
        buf_append_byte(out, (uint8_t)c);
        if (last > c + 1)
            buf_append_byte(out, '-');
        if (last > c)
            buf_append_byte(out, (uint8_t)last);
    }
    if (set->has['['])
        buf_append_byte(out, '[');
    for (const char *c = out->len == empty ? "-^" : "^-"; *c; c++)
        if (set->has[(uint8_t)*c])
            buf_append_byte(out, (uint8_t)*c);
    buf_append_byte(out, ']');
}

static void put_literal(struct buf *out, uint8_t c)
{
    if (c && strchr(".[]{}()*+?|^$\\", c))
        buf_append_byte(out, '\\');
    buf_append_byte(out, c);
}

static int put_class(struct reader *r)
{
    struct set set = {{false}};
    r->at++;
    bool is_not = is_here(r, "^");
    r->at += is_not;
    size_t first = r->at;
    int rc = 0;
    while (rc == 0 && r->at < r->in.len && (r->in.data[r->at] != ']' || r->at == first))
        rc = class_item(r, &set);
    if (rc != 0 || r->at == r->in.len)
        return ERR_INVAL;
    r->at++;
    for (unsigned c = 0; c < 256 && is_not; c++)
        set.has[c] = !set.has[c];
    size_t members = 0;
    for (unsigned c = 1; c < 256; c++)
        members += set.has[c];
    if (members == 1 && set.has['^'])
        put_literal(r->out, '^');
    else
        put_set(r->out, &set);
    return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

static int put_quoted(struct reader *r)
{
    for (r->at += 2; r->at < r->in.len && !is_here(r, "\\E"); r->at++)
        put_literal(r->out, r->in.data[r->at]);
    r->at += r->at < r->in.len ? 2 : 0;
    return 0;
}

static int put_escape(struct reader *r)
{
    struct set set = {{false}};
    if (is_here(r, "\\Q"))
        return put_quoted(r);
    if (r->at + 1 >= r->in.len)
        return ERR_INVAL;
    uint8_t letter = r->in.data[r->at + 1];
    int c = escaped(letter);
    r->at += 2;
    if (set_named(&set, letter))
        put_set(r->out, &set);
    else if (letter == 'b' || letter == 'B') /* an edge of a word, GNU has it too */
        buf_printf(r->out, "\\%c", letter);
    else if (c >= 0)
        put_literal(r->out, (uint8_t)c);
    else
        return ERR_INVAL;
    return 0;
}

/* Behind what it is about; a lazy one matches the same strings as a whole. */
static int put_quantifier(struct reader *r)
{
    uint8_t c = r->in.data[r->at++];
    buf_append_byte(r->out, c);
    while (c == '{' && r->at < r->in.len && r->in.data[r->at - 1] != '}')
        buf_append_byte(r->out, r->in.data[r->at++]);
    if (is_here(r, "+"))
        return ERR_INVAL;
    r->at += is_here(r, "?");
    return 0;
}

static int put_next(struct reader *r)
{
    uint8_t c = r->in.data[r->at];
    if (c == '[')
        return put_class(r);
    if (c == '\\')
        return put_escape(r);
    if (c && strchr("*+?{", c))
        return put_quantifier(r);
    bool is_plain_group = is_here(r, "(?:");
    if (!is_plain_group && is_here(r, "(?"))
        return ERR_INVAL;
    if (c == ')' && r->groups == 0)
        return ERR_INVAL; /* a letter to POSIX */
    r->groups += c == '(';
    r->groups -= c == ')';
    buf_append_byte(r->out, c);
    r->at += is_plain_group ? 3 : 1;
    return 0;
}

/* It matches all of a string. */
static int translate(struct reader *r, int *ret_flags)
{
    int rc = 0;
    *ret_flags = REG_EXTENDED | REG_NOSUB;
    if (is_here(r, "(?i)")) {
        *ret_flags |= REG_ICASE;
        r->at += 4;
    }
    buf_append_str(r->out, "^(");
    while (rc == 0 && r->at < r->in.len)
        rc = put_next(r);
    buf_append_str(r->out, ")$");
    return rc;
}

int fs_filters_add(struct fs_filters *filters, struct slice java, struct err *err)
{
    struct buf text = BUF_INIT;
    struct reader r = {.in = java, .out = &text};
    char shown[SLICE_SHOWN(64)];
    int flags = 0;
    int rc = translate(&r, &flags);
    regex_t *v = mem_realloc_array(filters->v, filters->n + 1, sizeof(*v));
    if (v)
        filters->v = v;
    if (!v || !buf_cstr(&text))
        rc = ERR_NOMEM;
    else if (rc == 0)
        rc = regcomp(&v[filters->n], buf_cstr(&text), flags) == 0 ? 0 : ERR_INVAL;
    buf_release(&text);
    if (rc == 0) {
        filters->n++;
    } else if (rc == ERR_NOMEM) {
        err_set(err, rc, "%s", err_text(rc));
    } else {
        slice_show(java, 64, shown);
        err_set(err, rc, "\"%s\" is no regular expression that is understood here", shown);
    }
    return rc;
}

bool fs_filters_match(const struct fs_filters *filters, const char *uri)
{
    for (size_t i = 0; i < filters->n; i++)
        if (regexec(&filters->v[i], uri, 0, NULL, 0) == 0)
            return true;
    return false;
}

void fs_filters_release(struct fs_filters *filters)
{
    for (size_t i = 0; i < filters->n; i++)
        regfree(&filters->v[i]);
    mem_free(filters->v);
    *filters = (struct fs_filters){0};
}
