/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/cord.h"

#include <unistd.h>

#include "libcommon/base/clock.h"

int cord_send(int fd, const struct msg_method *method, const void *msg, const int *fds,
              size_t fd_count, struct err *err)
{
    struct buf out = BUF_INIT;
    struct frame frame = {.type = method->type, .flags = FRAME_ONEWAY};
    uint64_t deadline = clock_mono_ms() + CORD_SEND_MS;
    int rc = frame_put(&out, &frame, method->ask, msg);
    if (rc == 0)
        rc = fd_count ? sock_send_fds(fd, buf_slice(&out), fds, fd_count, deadline)
                      : sock_send_all(fd, out.data, out.len, deadline);
    buf_release(&out);
    return rc == 0 ? 0 : err_set(err, rc, "cannot send %s: %s", method->name, err_text(rc));
}

static void close_all(struct sock_fds *fds)
{
    while (fds->count)
        close(fds->fd[--fds->count]);
}

int cord_recv(int fd, struct buf *in, struct frame *ret, struct sock_fds *ret_fds, struct err *err)
{
    struct sock_fds fds = {.count = 0};
    size_t whole = 0;
    buf_clear(in);
    uint8_t *head = buf_reserve(in, FRAME_HEADER_BYTES);
    if (!head)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = sock_recv_fds(fd, head, FRAME_HEADER_BYTES, &fds, SOCK_FOREVER);
    if (rc != 0)
        return err_set(err, rc, "the other end is gone: %s", err_text(rc));
    in->len = FRAME_HEADER_BYTES;
    rc = frame_parse(buf_slice(in), FRAME_MAX_BYTES, ret, &whole, err);
    if (rc == ERR_RETRY) {
        uint8_t *body = buf_reserve(in, whole - FRAME_HEADER_BYTES);
        rc = body ? sock_recv_exact(fd, body, whole - FRAME_HEADER_BYTES, SOCK_FOREVER) : ERR_NOMEM;
        if (rc == 0) {
            in->len = whole;
            rc = frame_parse(buf_slice(in), FRAME_MAX_BYTES, ret, &whole, err);
        } else {
            err_set(err, rc, "reading a message: %s", err_text(rc));
        }
    }
    if (rc != 0)
        close_all(&fds);
    *ret_fds = fds;
    return rc;
}
