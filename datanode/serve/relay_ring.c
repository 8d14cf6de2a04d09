/* SPDX-License-Identifier: Apache-2.0
 * Where the bytes of a block and their sums lie in a relay's rings, as pieces for one system call.
 */
#include "datanode/serve/relay_inside.h"

#include <errno.h>
#include <sys/socket.h>

/* Append the (at most two) pieces of block bytes [off, off + len). */
size_t dn_relay_data_pieces(struct dn_relay *r, uint64_t off, size_t len, struct iovec *iov)
{
    size_t at = (size_t)(off % r->conf->ring_bytes), room = r->conf->ring_bytes - at;
    size_t first = len < room ? len : room;
    iov[0] = (struct iovec){r->conf->ring + at, first};
    iov[1] = (struct iovec){r->conf->ring, len - first};
    return len > first ? 2 : first > 0;
}

size_t dn_relay_sum_pieces(struct dn_relay *r, uint64_t off, size_t count, struct iovec *iov)
{
    size_t at = (size_t)(off / DN_SUM_CHUNK % r->sum_count), room = r->sum_count - at;
    size_t first = count < room ? count : room;
    iov[0] = (struct iovec){r->sums + at * DN_SUM_BYTES, first * DN_SUM_BYTES};
    iov[1] = (struct iovec){r->sums, (count - first) * DN_SUM_BYTES};
    return count > first ? 2 : first > 0;
}

/* Drop `skip` bytes from the front of the pieces. */
size_t dn_relay_skip_pieces(struct iovec *iov, size_t count, size_t skip)
{
    size_t from = 0;
    while (from < count && skip >= iov[from].iov_len)
        skip -= iov[from++].iov_len;
    for (size_t i = from; i < count; i++)
        iov[i - from] = iov[i];
    if (from < count) {
        iov[0].iov_base = (uint8_t *)iov[0].iov_base + skip;
        iov[0].iov_len -= skip;
    }
    return count - from;
}

/* Non-blocking receive into pieces: bytes, 0 when there are none now, or a negative code. */
ssize_t dn_relay_receive(int fd, struct iovec *iov, size_t count)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t n;
    do
        n = recvmsg(fd, &msg, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return ERR_EOF;
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : err_from_errno(errno);
    return n;
}
