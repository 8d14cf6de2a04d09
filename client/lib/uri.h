/* SPDX-License-Identifier: Apache-2.0
 * uri: the three parts of what people type where a path is meant:
 *
 *     /a/b   a/b                      path only
 *     quern://host:8020/a   hdfs:///a   file:/tmp/x     scheme, authority (may be empty), path
 *
 * Nothing is decoded or normalised: ? # % and spaces are ordinary bytes of names. A colon is a
 * scheme's only when a slash follows it at once, so "a:b" is a name. Pure. */
#ifndef QUERN_CLIENT_URI_H
#define QUERN_CLIENT_URI_H

#include "libcommon/base/slice.h"

struct cl_uri {
    struct slice scheme;    /* "" = none */
    struct slice authority; /* host:port, "" = none given */
    struct slice path;      /* as typed; may be "" when there is an authority */
};

/* Borrows `text`. */
void cl_uri_parse(struct slice text, struct cl_uri *ret);

/* Is it one of the names of our own filesystem ("quern", "hdfs")? */
bool cl_uri_is_ours(struct slice scheme);

/* "host:port" of an authority: the port is filled in when missing (8020). ERR_INVAL for an empty
 * host or a bad port. */
int cl_uri_address(struct slice authority, char *out, size_t cap, struct err *err);

#endif
