/* SPDX-License-Identifier: Apache-2.0
 * flow: what a TCP connection's time went into, as the kernel counts it. A sender that waits
 * because the other side does not read is not the network's fault; one that waits though it does,
 * is. */
#ifndef QUERN_EVENT_FLOW_H
#define QUERN_EVENT_FLOW_H

#include "libcommon/base/err.h"

struct flow {
    uint64_t acked_bytes; /* sent, and known to have arrived */
    uint64_t busy_us;     /* something was to be sent, and the other side had room for it */
};
/* What a step took between two looks: ms of being busy per 256 KiB, or per packet of those
 * `packets` that were smaller. UINT32_MAX: there was none. */
uint32_t flow_step_ms(const struct flow *before, const struct flow *now, uint64_t packets);
/* Since the connection stands. ERR_UNSUPPORTED: it is no TCP connection, or the kernel too old. */
int flow_look(int fd, struct flow *ret);

#endif
