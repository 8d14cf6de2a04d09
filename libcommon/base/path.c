/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/path.h"

bool path_next(struct slice *rest, struct slice *ret_name)
{
    while (rest->len && rest->data[0] == '/')
        *rest = slice_of(rest->data + 1, rest->len - 1);
    if (rest->len == 0)
        return false;
    const uint8_t *slash = memchr(rest->data, '/', rest->len);
    size_t n = slash ? (size_t)(slash - rest->data) : rest->len;
    *ret_name = slice_of(rest->data, n);
    *rest = slice_of(rest->data + n, rest->len - n);
    return true;
}

/* Gives how deep it is and its longest name, too. */
static bool look_at(struct slice path, size_t *ret_depth, size_t *ret_longest)
{
    *ret_depth = *ret_longest = 0;
    if (path.len == 0 || path.data[0] != '/')
        return false;
    if (path.len == 1)
        return true;
    if (memchr(path.data, 0, path.len))
        return false;
    size_t start = 1;
    for (size_t i = 1; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/')
            continue;
        struct slice name = slice_of(path.data + start, i - start);
        if (name.len == 0 || slice_is(name, ".") || slice_is(name, ".."))
            return false;
        *ret_longest = name.len > *ret_longest ? name.len : *ret_longest;
        ++*ret_depth;
        start = i + 1;
    }
    return true;
}

bool path_is_formed(struct slice path)
{
    size_t depth, longest;
    return look_at(path, &depth, &longest);
}

bool path_is_normal(struct slice path)
{
    size_t depth, longest;
    return path.len <= PATH_MAX_BYTES && look_at(path, &depth, &longest) &&
           depth <= PATH_MAX_DEPTH && longest <= NAME_MAX_BYTES;
}

static void climb(struct buf *out, size_t start)
{
    while (out->len > start && out->data[out->len - 1] != '/')
        out->len--;
    if (out->len > start)
        out->len--; /* the slash itself */
}

static int normalise(struct slice base, struct slice path, struct buf *out)
{
    size_t start = out->len;
    struct slice parts[2] = {path.data[0] == '/' ? slice_of(NULL, 0) : base, path};
    for (size_t i = 0; i < 2; i++) {
        struct slice name;
        while (path_next(&parts[i], &name)) {
            if (slice_is(name, "."))
                continue;
            if (slice_is(name, "..")) {
                climb(out, start);
                continue;
            }
            buf_append_byte(out, '/');
            buf_append_slice(out, name);
        }
    }
    if (out->len == start)
        buf_append_byte(out, '/');
    return buf_failed(out) ? ERR_NOMEM : 0;
}

int path_normalise(struct slice base, struct slice path, struct buf *out)
{
    if (path.len == 0 || memchr(path.data, 0, path.len))
        return ERR_INVAL;
    size_t start = out->len;
    int rc = normalise(base, path, out);
    if (rc != 0)
        out->len = start;
    return rc;
}

static const uint8_t *last_slash(struct slice path)
{
    return path.len ? memrchr(path.data, '/', path.len) : NULL;
}

struct slice path_name(struct slice path)
{
    const uint8_t *slash = last_slash(path);
    if (!slash)
        return path;
    size_t at = (size_t)(slash - path.data) + 1;
    return slice_of(path.data + at, path.len - at);
}

struct slice path_parent(struct slice path)
{
    const uint8_t *slash = last_slash(path);
    if (!slash || slash == path.data)
        return slice_str("/");
    return slice_of(path.data, (size_t)(slash - path.data));
}

bool path_is_under(struct slice path, struct slice dir)
{
    if (dir.len == 1)
        return true;
    return slice_has_prefix(path, dir) && (path.len == dir.len || path.data[dir.len] == '/');
}

/* The character at s[at] (there is one); its length. */
static size_t char_at(struct slice s, size_t at, uint32_t *ret_point)
{
    return slice_utf8(slice_of(s.data + at, s.len - at), ret_point);
}

/* As char_at, for a member of a set: a backslash makes the next character plain. */
static size_t member_at(struct slice pattern, size_t at, uint32_t *ret_point)
{
    size_t escape = pattern.data[at] == '\\' && at + 1 < pattern.len;
    return escape + char_at(pattern, at + escape, ret_point);
}

/* One [...] set at pattern[*at]; tells whether `c` is in it and moves *at behind the ']'. */
static bool set_matches(struct slice pattern, size_t *at, uint32_t c)
{
    size_t i = *at + 1;
    bool negate = i < pattern.len && (pattern.data[i] == '!' || pattern.data[i] == '^');
    i += negate;
    bool hit = false, first = true;
    while (i < pattern.len && (pattern.data[i] != ']' || first)) {
        uint32_t low, high;
        first = false;
        i += member_at(pattern, i, &low);
        high = low;
        if (i + 1 < pattern.len && pattern.data[i] == '-' && pattern.data[i + 1] != ']')
            i += 1 + member_at(pattern, i + 1, &high);
        hit = hit || (c >= low && c <= high);
    }
    *at = i + 1;
    return hit != negate;
}

/* Does the pattern's element at *p (no star) match character c? Moves *p behind the element. */
static bool element_matches(struct slice pattern, size_t *p, uint32_t c)
{
    uint32_t want;
    switch (pattern.data[*p]) {
    case '[':
        return set_matches(pattern, p, c);
    case '?':
        (*p)++;
        return true;
    default:
        *p += member_at(pattern, *p, &want);
        return want == c;
    }
}

bool path_glob_match(struct slice pattern, struct slice name)
{
    size_t p = 0, n = 0;
    size_t star = SIZE_MAX, star_n = 0; /* where to resume after the last '*' */
    while (n < name.len) {
        uint32_t c;
        if (p < pattern.len && pattern.data[p] == '*') {
            star = ++p;
            star_n = n;
            continue;
        }
        size_t next = p, len = char_at(name, n, &c);
        if (p < pattern.len && element_matches(pattern, &next, c)) {
            p = next;
            n += len;
        } else if (star != SIZE_MAX) {
            p = star;
            n = star_n += char_at(name, star_n, &c);
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}

int path_glob_check(struct slice pattern)
{
    bool in_set = false;
    size_t set_start = 0;
    for (size_t i = 0; i < pattern.len; i++) {
        uint8_t c = pattern.data[i];
        if (c == '\\') {
            if (++i == pattern.len)
                return ERR_INVAL;
        } else if (in_set) {
            in_set = !(c == ']' && i > set_start + 1);
        } else if (c == '[') {
            in_set = true;
            set_start = i;
            if (i + 1 < pattern.len && (pattern.data[i + 1] == '!' || pattern.data[i + 1] == '^'))
                set_start = ++i;
        }
    }
    return in_set ? ERR_INVAL : 0;
}
