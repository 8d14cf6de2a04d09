/* SPDX-License-Identifier: Apache-2.0 */
#include "client/talk/datanode.h"

#include <unistd.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/str.h"
#include "libcommon/event/sock.h"

#define IDLE_MAX        64
#define IDLE_KEEP_S     30
#define FAILED_TEXT_MAX 2048

void cl_peers_init(struct cl_peers *peers, const struct identity *self, uint32_t timeout_ms)
{
    *peers = (struct cl_peers){.self = self, .timeout_ms = timeout_ms};
    mutex_init(&peers->lock);
    list_init(&peers->idle);
}

static void peer_free(struct cl_peer *peer)
{
    chan_close(peer->chan);
    mem_free(peer->address);
    mem_free(peer);
}

void cl_peers_release(struct cl_peers *peers)
{
    list_each_safe (&peers->idle, it)
        peer_free(list_entry(it, struct cl_peer, link));
    list_init(&peers->idle);
    mutex_release(&peers->lock);
}

/* Has the other side hung up meanwhile? Then asking over it would only cost time. */
static bool is_alive(struct cl_peer *peer)
{
    uint8_t byte;
    int fd = -1;
    if (chan_lend_fd(peer->chan, &fd) != 0)
        return false;
    ssize_t n = sock_recv_some(fd, &byte, 1, 0);
    chan_return_fd(peer->chan, n == ERR_TIMEOUT);
    return n == ERR_TIMEOUT; /* nothing to read, as it should be between requests */
}

/* The newest idle connection to there; those that have waited for too long go. */
static struct cl_peer *take_idle(struct cl_peers *peers, const char *address)
{
    struct cl_peer *found = NULL;
    struct list old;
    list_init(&old);
    uint64_t now_ms = clock_mono_ms();
    mutex_lock(&peers->lock);
    list_each_safe (&peers->idle, it) {
        struct cl_peer *peer = list_entry(it, struct cl_peer, link);
        bool is_old = now_ms - peer->idle_since_ms > IDLE_KEEP_S * 1000;
        if (!is_old && (found || strcmp(peer->address, address) != 0))
            continue;
        list_remove(&peer->link);
        peers->count--;
        if (is_old)
            list_push_back(&old, &peer->link);
        else
            found = peer;
    }
    mutex_unlock(&peers->lock);
    list_each_safe (&old, it)
        peer_free(list_entry(it, struct cl_peer, link));
    return found;
}

struct cl_peer *cl_peer_get_idle(struct cl_peers *peers, const char *address)
{
    struct cl_peer *peer;
    while ((peer = take_idle(peers, address)) && !is_alive(peer))
        peer_free(peer);
    return peer;
}

static struct chan_conf conf_of(const struct cl_peers *peers, const char *address)
{
    return (struct chan_conf){.address = address,
                              .self = peers->self,
                              .role = WIRE_DATANODE,
                              .timeout_ms = peers->timeout_ms};
}

/* Without a connection yet. NULL = no memory. */
static struct cl_peer *make_peer(struct cl_peers *peers, const char *address)
{
    struct cl_peer *peer = mem_calloc(1, sizeof(*peer));
    char *copy = str_dup(address);
    if (!peer || !copy) {
        mem_free(peer);
        mem_free(copy);
        return NULL;
    }
    peer->peers = peers;
    peer->address = copy;
    peer->fd = -1;
    list_init(&peer->link);
    return peer;
}

void cl_peer_adopt(struct cl_peers *peers, const char *address, int fd)
{
    const struct chan_conf conf = conf_of(peers, address);
    struct cl_peer *peer = make_peer(peers, address);
    if (peer && chan_adopt_fd(&conf, fd, &peer->chan) == 0) {
        cl_peer_put(peer);
        return;
    }
    close(fd);
    if (peer)
        peer_free(peer);
}

int cl_peer_get(struct cl_peers *peers, const char *address, struct cl_peer **ret, struct err *err)
{
    struct cl_peer *peer = cl_peer_get_idle(peers, address);
    if (peer) {
        *ret = peer;
        return 0;
    }
    const struct chan_conf conf = conf_of(peers, address);
    peer = make_peer(peers, address);
    if (!peer)
        return err_set(err, ERR_NOMEM, "%s: %s", address, err_text(ERR_NOMEM));
    int rc = fault_hit("client.connect") == FAULT_NONE
                 ? chan_open(&conf, &peer->chan, err)
                 : err_set(err, ERR_REFUSED, "cannot reach %s: fault", address);
    if (rc != 0)
        peer_free(peer);
    else
        *ret = peer;
    return rc;
}

void cl_peer_put(struct cl_peer *peer)
{
    if (peer->is_owed_answer) {
        cl_peer_drop(peer);
        return;
    }
    struct cl_peers *peers = peer->peers;
    struct cl_peer *last = NULL;
    if (peer->fd >= 0)
        cl_peer_end_packets(peer);
    peer->behind = 0;
    peer->idle_since_ms = clock_mono_ms();
    mutex_lock(&peers->lock);
    list_push_front(&peers->idle, &peer->link);
    if (++peers->count > IDLE_MAX) {
        last = list_entry(peers->idle.prev, struct cl_peer, link);
        list_remove(&last->link);
        peers->count--;
    }
    mutex_unlock(&peers->lock);
    if (last)
        peer_free(last);
}

void cl_peer_drop(struct cl_peer *peer)
{
    if (!peer)
        return;
    if (peer->fd >= 0)
        chan_return_fd(peer->chan, false);
    peer_free(peer);
}

static uint64_t patience_ms(const struct cl_peer *peer)
{
    return pipeline_patience_ms(peer->peers->timeout_ms, peer->behind);
}

void cl_peer_set_behind(struct cl_peer *peer, unsigned behind)
{
    peer->behind = behind;
}

int cl_peer_ask(struct cl_peer *peer, unsigned at, const void *ask, struct arena *arena,
                void *ret_answer, struct err *err)
{
    /* Never asked again over another connection: there are other replicas, and no time to lose. */
    struct msg_method once = DATA_methods[at];
    once.flags = 0;
    int rc = chan_call(peer->chan, &once, ask, arena, ret_answer, (uint32_t)patience_ms(peer), err);
    peer->is_owed_answer = rc == ERR_TIMEOUT;
    return rc;
}

int cl_peer_begin_packets(struct cl_peer *peer)
{
    return chan_lend_fd(peer->chan, &peer->fd);
}

void cl_peer_end_packets(struct cl_peer *peer)
{
    chan_return_fd(peer->chan, true);
    peer->fd = -1;
}

uint64_t cl_peer_deadline(const struct cl_peer *peer)
{
    return clock_mono_ms() + patience_ms(peer);
}

/* The other side gave up in the middle and says why. */
static int recv_failure(struct cl_peer *peer, uint32_t len, struct err *err)
{
    uint8_t text[FAILED_TEXT_MAX];
    if (len < 4 || len > sizeof(text))
        return err_set(err, ERR_PROTO, "%s: a failure of %u bytes", peer->address, len);
    int rc = sock_recv_exact(peer->fd, text, len, cl_peer_deadline(peer));
    if (rc != 0)
        return err_set(err, rc, "%s: %s", peer->address, err_text(rc));
    int32_t code = (int32_t)get_u32(text);
    if (code >= 0 || code < -1000)
        code = ERR_FAILED;
    return err_set(err, code, "%.*s", (int)(len - 4), (const char *)text + 4);
}

int cl_peer_recv_header(struct cl_peer *peer, struct packet_header *ret, uint32_t *sums,
                        struct err *err)
{
    uint8_t raw[PACKET_HEADER_BYTES];
    uint64_t deadline_ms = cl_peer_deadline(peer);
    int rc = sock_recv_exact(peer->fd, raw, sizeof(raw), deadline_ms);
    if (rc == 0)
        rc = packet_header_decode(raw, ret);
    if (rc == 0 && (ret->flags & PACKET_FAILED))
        return recv_failure(peer, ret->data_len, err);
    if (rc == 0)
        rc = sock_recv_exact(peer->fd, sums, (size_t)ret->sums * sizeof(*sums), deadline_ms);
    return rc == 0 ? 0 : err_set(err, rc, "%s: %s", peer->address, err_text(rc));
}

char *cl_node_address(const struct msg_node *node, char *out, size_t cap)
{
    bool is_v6 = node->host.len && memchr(node->host.data, ':', node->host.len);
    snprintf(out, cap, is_v6 ? "[" SLICE_FMT "]:%u" : SLICE_FMT ":%u", SLICE_ARG(node->host),
             node->data_port);
    return out;
}
