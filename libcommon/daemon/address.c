/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/address.h"

#include "libcommon/event/sock.h"

/* Hadoop's keys for "listen elsewhere than the address says". */
static const struct {
    const char *key, *bind_host;
} bind_hosts[] = {
    {"dfs.namenode.rpc-address", "dfs.namenode.rpc-bind-host"},
    {"dfs.namenode.http-address", "dfs.namenode.http-bind-host"},
};

char *address_text(const char *host, uint16_t port, char out[ADDRESS_TEXT_MAX])
{
    bool is_v6 = strchr(host, ':') != NULL;
    int len = (int)strnlen(host, ADDRESS_TEXT_MAX - 16);
    snprintf(out, ADDRESS_TEXT_MAX, "%s%.*s%s:%u", is_v6 ? "[" : "", len, host, is_v6 ? "]" : "",
             port);
    return out;
}

static const char *listen_host(const struct conf *conf, const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(bind_hosts); i++) {
        const char *host = conf_str(conf, bind_hosts[i].bind_host);
        if (strcmp(bind_hosts[i].key, key) == 0 && *host)
            return host;
    }
    const char *host = conf_str(conf, "listen");
    return *host ? host : conf_address(conf, key).host;
}

int address_listen(const struct conf *conf, const char *key, char ret[ADDRESS_TEXT_MAX],
                   struct err *err)
{
    char address[ADDRESS_TEXT_MAX];
    struct sock_addr addr;
    address_text(listen_host(conf, key), conf_address(conf, key).port, address);
    int rc = sock_resolve(address, false, &addr, err);
    if (rc != 0) {
        err_wrap(err, "%s", key);
        return rc;
    }
    if (!sock_addr_is_local(&addr) && strcmp(conf_str(conf, "trust"), "network") != 0)
        return err_set(
            err, ERR_CONFIG,
            "%s = %s can be reached from other machines, and nothing yet proves who calls "
            "from there: set trust = network if all of them may do anything, or listen "
            "on 127.0.0.1",
            key, address);
    /* in digits: a name asked for again might mean another machine */
    sock_addr_text(&addr, ret, ADDRESS_TEXT_MAX);
    return 0;
}

static bool is_wildcard(const char *host)
{
    return !*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0 ||
           strcmp(host, "*") == 0;
}

char *address_advertise(const struct conf *conf, const char *key, uint16_t port,
                        char out[ADDRESS_TEXT_MAX])
{
    const char *host = conf_str(conf, "advertise");
    if (!*host)
        host = conf_address(conf, key).host;
    if (is_wildcard(host))
        host = conf_str(conf, "node.name");
    return address_text(host, port, out);
}
