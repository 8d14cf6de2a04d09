/* SPDX-License-Identifier: Apache-2.0
 * http: a small HTTP/1.1 server on a loop (libevent's), for status pages, /status.json and
 * /metrics. All on the loop's thread.
 *
 * A request is answered now or later, exactly once (http_reply). It stays valid until then, also
 * when the client has gone (then answering does nothing).
 *
 * The Host header must be an address in digits, localhost, this machine's name, or a name allowed
 * by http_allow_host; anything else gets 403, so that a hostile web page cannot reach a daemon on
 * loopback through a name of its own (DNS rebinding). */
#ifndef QUERN_EVENT_HTTP_H
#define QUERN_EVENT_HTTP_H

#include "libcommon/base/buf.h"
#include "libcommon/event/loop.h"

struct http_server;
struct http_request;
typedef void http_handler(struct http_request *req, void *arg);

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_PUT, HTTP_POST, HTTP_DELETE, HTTP_OTHER };

int http_server_new(struct loop *loop, const char *address, struct http_server **ret,
                    struct err *err);
const char *http_server_address(const struct http_server *server); /* as bound */
/* Open requests are dropped. NULL is fine. */
void http_server_free(struct http_server *server);
/* Paths that begin with `prefix`; the longest prefix wins; a prefix not ending in / matches itself
 * and what follows a slash. Nothing matching: 404. Borrows prefix. */
int http_route(struct http_server *server, const char *prefix, http_handler *handler, void *arg);
int http_allow_host(struct http_server *server, const char *name); /* copies */
void http_set_body_max(struct http_server *server, size_t bytes);  /* default 1 MiB; over it: 413 */

/* All borrowed until the request is answered. */
enum http_method http_method(const struct http_request *req);
const char *http_path(const struct http_request *req); /* decoded, without the query */
/* Value of ?name=value, decoded; "" when it has none; NULL when it is not there. */
const char *http_query(const struct http_request *req, const char *name);
const char *http_header(const struct http_request *req, const char *name); /* or NULL */
struct slice http_body(const struct http_request *req);
const char *http_peer(const struct http_request *req); /* address without port */

/* Before replying. Borrows. */
void http_set_header(struct http_request *req, const char *name, const char *value);
/* Copies body; a HEAD request gets the headers only. */
void http_reply(struct http_request *req, int status, const char *content_type, struct slice body);
void http_reply_text(struct http_request *req, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#endif
