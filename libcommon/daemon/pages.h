/* SPDX-License-Identifier: Apache-2.0
 * pages: what a daemon shows over HTTP: the status page and its parts (the files of web/, inside
 * the binary), /status.json, /metrics, /conf and /conf.json. */
#ifndef QUERN_DAEMON_PAGES_H
#define QUERN_DAEMON_PAGES_H

#include "libcommon/base/conf.h"

struct http_server;

struct pages {
    const struct conf *conf;
    /* Append /status.json, /metrics. */
    void (*print_status)(void *arg, struct buf *out);
    void (*print_metrics)(void *arg, struct buf *out);
    void *arg;
};

/* Add the routes. `pages` is borrowed until the server is freed. 0 or ERR_NOMEM. */
int pages_attach(struct http_server *server, const struct pages *pages);

#endif
