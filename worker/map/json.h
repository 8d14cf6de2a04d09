/* SPDX-License-Identifier: Apache-2.0
 * json: is this one JSON value and nothing else (RFC 8259)? White space around it is fine. Strings
 * must be UTF-8; values may be nested JSON_DEPTH deep. Pure. */
#ifndef QUERN_WORKER_MAP_JSON_H
#define QUERN_WORKER_MAP_JSON_H

#include "libcommon/base/slice.h"

#define JSON_DEPTH 1024U

/* NULL: it is. Else what is wrong, with *ret_at the index of it. */
const char *json_check(struct slice text, size_t *ret_at);

#endif
