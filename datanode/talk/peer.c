/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/peer.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/proto/data/packet.h"

char *dn_peer_address(const struct msg_node *node, char *out, size_t cap)
{
    bool is_v6 = node->host.len > 0 && memchr(node->host.data, ':', node->host.len);
    snprintf(out, cap, is_v6 ? "[" SLICE_FMT "]:%u" : SLICE_FMT ":%u", SLICE_ARG(node->host),
             node->data_port);
    return out;
}

/* What is left of the time for all of it: connecting counts too. */
static uint32_t left_ms(uint64_t deadline_ms)
{
    uint64_t now_ms = clock_mono_ms();
    return deadline_ms > now_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
}

static void copy_name(char to[HELLO_TEXT_MAX + 1], struct slice name)
{
    snprintf(to, HELLO_TEXT_MAX + 1, SLICE_FMT, SLICE_ARG(name));
}

int dn_peer_open_chain(const struct dn_peer_chain *chain, int *ret_fd,
                       char ret_bad[HELLO_TEXT_MAX + 1], struct err *err)
{
    const struct msg_node *next = &chain->ask->targets.v[0];
    struct data_write ask = *chain->ask;
    struct data_writing answer = {0};
    struct arena arena = ARENA_INIT;
    struct chan *chan = NULL;
    char address[DN_PEER_TEXT_MAX];
    uint64_t deadline_ms =
        clock_mono_ms() + pipeline_patience_ms(chain->timeout_ms, chain->ask->targets.n);
    ask.targets.v++;
    ask.targets.n--;
    ask.ring_bytes = 0;
    copy_name(ret_bad, next->name);
    struct chan_conf conf = {.address = dn_peer_address(next, address, sizeof(address)),
                             .self = chain->self,
                             .role = WIRE_DATANODE,
                             .timeout_ms = (uint32_t)chain->timeout_ms};
    int rc = chan_open(&conf, &chan, err);
    if (rc == 0)
        rc = chan_call(chan, &DATA_methods[DATA_AT_WRITE], &ask, &arena, &answer,
                       left_ms(deadline_ms), err);
    if (rc == 0 && answer.bad_node.len > 0) {
        copy_name(ret_bad, answer.bad_node);
        rc = answer.code < 0 && answer.code > INT16_MIN ? (int)answer.code : ERR_FAILED;
        err_set(err, rc, SLICE_FMT, SLICE_ARG(answer.why));
    }
    if (rc == 0)
        rc = chan_steal_fd(chan, ret_fd);
    if (rc != 0)
        chan_close(chan);
    arena_release(&arena);
    return rc;
}
