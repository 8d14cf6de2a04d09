/* SPDX-License-Identifier: Apache-2.0
 *
 *               connected, hello done            lost
 *   trying --------------------------> up ----------------+
 *     |  ^                                                v
 *     |  +---------------------- waiting <----------------+
 *     |        time is over        ^
 *     +----------------------------+
 *          could not be reached: waits twice as long as before */
#include "libcommon/base/log.h"
#include "libcommon/wire/rpc_inside.h"

struct rpc_link {
    struct rpc_core *core;
    struct rpc_peer *peer; /* trying or up; NULL while waiting */
    struct loop_timer retry;
    uint32_t wait_ms;
    struct rand rand;
    char address[];
};

static void try_now(void *arg);

/* Three quarters of the wait are certain: many clients of one server that comes back spread out. */
static void wait_and_retry(struct rpc_link *link)
{
    uint32_t quarter_ms = link->wait_ms / 4;
    uint64_t wait_ms = link->wait_ms - quarter_ms + rand_below(&link->rand, 2 * quarter_ms + 1);
    const struct rpc_conf *conf = &link->core->conf;
    link->wait_ms = link->wait_ms > conf->retry_max_ms / 2 ? conf->retry_max_ms : link->wait_ms * 2;
    if (loop_after(link->core->loop, &link->retry, wait_ms, try_now, link) != 0)
        log_error("rpc", "%s: not connecting again: out of memory", link->address);
}

static void report(struct rpc_link *link, const struct err *err)
{
    struct rpc_core *core = link->core;
    bool is_new = strncmp(core->why, err->msg, sizeof(core->why) - 1) != 0;
    snprintf(core->why, sizeof(core->why), "%.255s", err->msg);
    if (core->conf.on_link_error)
        core->conf.on_link_error(err, core->conf.arg);
    else if (is_new)
        log_warn("rpc", "%s; trying again", err->msg);
}

static void on_up(struct rpc_peer *peer)
{
    struct rpc_link *link = peer->core->owner;
    link->wait_ms = link->core->conf.retry_min_ms;
    link->core->why[0] = 0;
}

static void on_gone(struct rpc_peer *peer, const struct err *err)
{
    struct rpc_link *link = peer->core->owner;
    link->peer = NULL;
    wait_and_retry(link); /* before telling: the told may close the link */
    if (err)
        report(link, err);
}

static void try_now(void *arg)
{
    struct rpc_link *link = arg;
    struct err err;
    link->peer = rpc_peer_connect(link->core, link->address, &err);
    if (!link->peer) {
        wait_and_retry(link);
        report(link, &err);
    }
}

int rpc_link_open(struct loop *loop, const char *address, const struct rpc_conf *conf,
                  struct rpc_link **ret, struct err *err)
{
    size_t len = strlen(address) + 1;
    uint64_t seed;
    struct rpc_link *link = mem_calloc(1, sizeof(*link) + len);
    if (!link)
        return err_set(err, ERR_NOMEM, "cannot reach %s: out of memory", address);
    memcpy(link->address, address, len);
    int rc = rpc_core_new(loop, conf, &link->core, err);
    if (rc != 0)
        goto fail;
    rand_secret(&seed, sizeof(seed));
    rand_init(&link->rand, seed);
    link->wait_ms = link->core->conf.retry_min_ms;
    link->core->owner = link;
    link->core->address = link->address;
    link->core->on_up = on_up;
    link->core->on_gone = on_gone;
    struct err why;
    link->peer = rpc_peer_connect(link->core, link->address, &why);
    if (!link->peer) {
        rc = err_set(err, why.code, "%s", why.msg);
        rpc_core_close(link->core);
        goto fail;
    }
    *ret = link;
    return 0;

fail:
    mem_free(link);
    return rc;
}

struct rpc_peer *rpc_link_peer(const struct rpc_link *link)
{
    return link->peer && link->peer->state == PEER_UP ? link->peer : NULL;
}

void rpc_link_ask(struct rpc_link *link, const struct msg_method *method, const void *ask,
                  struct rpc_wait *wait)
{
    struct rpc_peer *peer = rpc_link_peer(link);
    BUG_ON(rpc_is_waiting(wait));
    if (peer)
        rpc_ask(peer, method, ask, wait);
    else
        rpc_core_fail(link->core, wait, method, ERR_UNREACHABLE);
}

void rpc_link_retry_now(struct rpc_link *link)
{
    link->wait_ms = link->core->conf.retry_min_ms;
    if (!link->peer && loop_after(link->core->loop, &link->retry, 0, try_now, link) != 0)
        log_error("rpc", "%s: not connecting again: out of memory", link->address);
}

void rpc_link_close(struct rpc_link *link)
{
    if (!link)
        return;
    struct rpc_core *core = link->core;
    if (link->peer)
        rpc_peer_end(link->peer);
    loop_timer_stop(&link->retry); /* after the peer: its end has set it */
    core->address = "a closed link";
    rpc_core_close(core);
    mem_free(link);
}
