/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/uri.h"

#include <ctype.h>

#define DEFAULT_PORT 8020

static struct slice after(struct slice s, size_t n)
{
    return slice_of(s.data + n, s.len - n);
}

static size_t index_of(struct slice s, char c)
{
    const uint8_t *at = s.len ? memchr(s.data, c, s.len) : NULL;
    return at ? (size_t)(at - s.data) : s.len;
}

void cl_uri_parse(struct slice text, struct cl_uri *ret)
{
    *ret = (struct cl_uri){slice_of(text.data, 0), slice_of(text.data, 0), text};
    size_t colon = index_of(text, ':');
    if (colon > 0 && colon + 1 < text.len && text.data[colon + 1] == '/') {
        ret->scheme = slice_of(text.data, colon);
        ret->path = after(text, colon + 1);
    }
    if (ret->scheme.len && slice_is(ret->path, "//")) { /* hdfs:// is the root, as hdfs:/// */
        ret->path = after(ret->path, 1);
    } else if (ret->scheme.len && slice_has_prefix(ret->path, slice_str("//"))) {
        struct slice rest = after(ret->path, 2);
        size_t slash = index_of(rest, '/');
        ret->authority = slice_of(rest.data, slash);
        ret->path = after(rest, slash);
    }
}

bool cl_uri_is_ours(struct slice scheme)
{
    return slice_is(scheme, "quern") || slice_is(scheme, "hdfs");
}

static bool port_is_good(struct slice port)
{
    unsigned long v = 0;
    for (size_t i = 0; i < port.len; i++) {
        if (!isdigit(port.data[i]) || v > 65535)
            return false;
        v = v * 10 + (unsigned long)(port.data[i] - '0');
    }
    return port.len > 0 && v > 0 && v <= 65535;
}

int cl_uri_address(struct slice authority, char *out, size_t cap, struct err *err)
{
    const uint8_t *end = authority.len ? memrchr(authority.data, ':', authority.len) : NULL;
    const uint8_t *bracket = authority.len ? memrchr(authority.data, ']', authority.len) : NULL;
    if (end && bracket && end < bracket)
        end = NULL; /* the colons of a bare [v6] address */
    struct slice host = authority, port = slice_of(NULL, 0);
    if (end) {
        host = slice_of(authority.data, (size_t)(end - authority.data));
        port = after(authority, host.len + 1);
    }
    if (host.len == 0 || (end && !port_is_good(port)))
        return err_set(err, ERR_INVAL, "\"" SLICE_FMT "\" is no host:port", SLICE_ARG(authority));
    int n = end ? snprintf(out, cap, SLICE_FMT ":" SLICE_FMT, SLICE_ARG(host), SLICE_ARG(port))
                : snprintf(out, cap, SLICE_FMT ":%d", SLICE_ARG(host), DEFAULT_PORT);
    if (n < 0 || (size_t)n >= cap)
        return err_set(err, ERR_TOOBIG, "host name is too long: \"" SLICE_FMT "\"",
                       SLICE_ARG(authority));
    return 0;
}
