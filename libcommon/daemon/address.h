/* SPDX-License-Identifier: Apache-2.0
 * address: which address a daemon listens on, and which it tells others.
 *
 * A key such as dfs.namenode.rpc-address says where others find the service. A host with two
 * networks, or a name that means something else at home (Debian's 127.0.1.1), listens elsewhere:
 * the key's own bind-host where Hadoop has one (dfs.namenode.rpc-bind-host), else `listen`, else
 * the key's host. What is told to others is `advertise`, else the key's host, else (for a wildcard)
 * the host's own name.
 *
 * Nothing in the protocol proves who is calling yet: an address that other machines can reach is
 * refused unless `trust = network` says that everybody on that network is trusted. */
#ifndef QUERN_DAEMON_ADDRESS_H
#define QUERN_DAEMON_ADDRESS_H

#include "libcommon/base/conf.h"

#define ADDRESS_TEXT_MAX 300

/* "10.0.0.5:8020" to listen on for `key`, resolved, in digits. ERR_CONFIG when trust forbids it;
 * errors of the resolver as they are. */
int address_listen(const struct conf *conf, const char *key, char ret[ADDRESS_TEXT_MAX],
                   struct err *err);

/* "host:port" for others; `port` is the one bound (a key may say 0). Returns `out`. */
char *address_advertise(const struct conf *conf, const char *key, uint16_t port,
                        char out[ADDRESS_TEXT_MAX]);

/* "host:port", with brackets around an IPv6 address. Returns `out`. */
char *address_text(const char *host, uint16_t port, char out[ADDRESS_TEXT_MAX]);

#endif
