/* SPDX-License-Identifier: Apache-2.0
 * peer: what this node asks of other datanodes, on a mover's thread: the tail of a pipeline it is
 * part of, a copy of a replica it was ordered to make, the two halves of a block recovery. */
#ifndef QUERN_DN_TALK_PEER_H
#define QUERN_DN_TALK_PEER_H

#include "libcommon/proto/data/messages.h"
#include "libcommon/wire/chan.h"

#define DN_PEER_TEXT_MAX 300

/* "host:port" of a node's data port. Returns `out`. */
char *dn_peer_address(const struct msg_node *node, char *out, size_t cap);

/* Set up the rest of a chain: asks targets[0] to receive the block and to pass it on to the others.
 * 0 with a socket on which packets may be sent; else who is at fault (its name, NUL-terminated) and
 * err says why. The asking node waits a little longer than those behind it, so that the one next to
 * a silent node is the first to notice. */
struct dn_peer_chain {
    const struct identity *self;
    const struct data_write *ask; /* as it came to us; targets are those behind us */
    uint64_t timeout_ms;
};
int dn_peer_open_chain(const struct dn_peer_chain *chain, int *ret_fd,
                       char ret_bad[HELLO_TEXT_MAX + 1], struct err *err);

#endif
