/* SPDX-License-Identifier: Apache-2.0
 * <linux/tcp.h> has the whole of struct tcp_info, the C library's header only its beginning, and
 * the two cannot be included together. */
#include "libcommon/event/flow.h"

#include <linux/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

#define TCP_LEVEL   6 /* IPPROTO_TCP */
#define STEP_BYTES  (256U << 10)
#define LEAST_BYTES (32U << 10) /* of fewer, the time to come and go is the greater part */

int flow_look(int fd, struct flow *ret)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, TCP_LEVEL, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_rwnd_limited) + sizeof(info.tcpi_rwnd_limited))
        return ERR_UNSUPPORTED;
    uint64_t busy = info.tcpi_busy_time, closed = info.tcpi_rwnd_limited;
    *ret = (struct flow){.acked_bytes = info.tcpi_bytes_acked,
                         .busy_us = busy > closed ? busy - closed : 0};
    return 0;
}

uint32_t flow_step_ms(const struct flow *before, const struct flow *now, uint64_t packets)
{
    uint64_t bytes = now->acked_bytes - before->acked_bytes;
    uint64_t us = now->busy_us > before->busy_us ? now->busy_us - before->busy_us : 0;
    if (us == 0 && bytes == 0 && packets == 0)
        return UINT32_MAX;
    uint64_t by_packet = packets > 0 ? us / packets : UINT64_MAX;
    uint64_t by_bytes = us * STEP_BYTES / (bytes > LEAST_BYTES ? bytes : LEAST_BYTES);
    return (uint32_t)((by_packet < by_bytes ? by_packet : by_bytes) / 1000);
}
