/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/event/outq.h"

#include <sys/socket.h>

#include "libcommon/base/mem.h"

struct piece {
    struct list link;
    struct buf buf;
    size_t off; /* sent so far */
};

static void free_piece(struct piece *piece)
{
    list_remove(&piece->link);
    buf_release(&piece->buf);
    mem_free(piece);
}

void outq_init(struct outq *q)
{
    *q = (struct outq){.out = BUF_INIT};
    list_init(&q->pieces);
}

void outq_release(struct outq *q)
{
    struct piece *piece;
    while ((piece = list_first(&q->pieces, struct piece, link)))
        free_piece(piece);
    buf_release(&q->out);
}

static bool add_piece(struct outq *q, struct buf *bytes, size_t off)
{
    struct piece *piece = mem_alloc(sizeof(*piece));
    if (!piece)
        return false;
    *piece = (struct piece){.buf = *bytes, .off = off};
    *bytes = BUF_INIT;
    list_push_back(&q->pieces, &piece->link);
    q->piece_bytes += piece->buf.len - off;
    return true;
}

void outq_push(struct outq *q, struct buf *bytes)
{
    if (bytes->len > 0 || bytes->failed) {
        bool is_added = !bytes->failed && !q->out.failed;
        if (is_added && q->out.len > 0) {
            is_added = add_piece(q, &q->out, q->out_off);
            q->out_off = is_added ? 0 : q->out_off;
        }
        if (!is_added || !add_piece(q, bytes, 0))
            q->out.failed = true;
    }
    buf_release(bytes);
}

size_t outq_gather(const struct outq *q, struct iovec iov[OUTQ_IOVS])
{
    size_t n = 0;
    list_each (&q->pieces, it) {
        const struct piece *piece = list_entry(it, struct piece, link);
        iov[n++] = (struct iovec){piece->buf.data + piece->off, piece->buf.len - piece->off};
        if (n == OUTQ_IOVS)
            return n;
    }
    if (q->out.len > q->out_off)
        iov[n++] = (struct iovec){q->out.data + q->out_off, q->out.len - q->out_off};
    return n;
}

ssize_t outq_send(const struct outq *q, int fd)
{
    if (list_is_empty(&q->pieces)) /* nearly always; and cheaper than a vector of one */
        return send(fd, q->out.data + q->out_off, q->out.len - q->out_off,
                    MSG_NOSIGNAL | MSG_DONTWAIT);
    struct iovec iov[OUTQ_IOVS];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = outq_gather(q, iov)};
    return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void outq_sent(struct outq *q, size_t bytes)
{
    struct piece *piece;
    while (bytes > 0 && (piece = list_first(&q->pieces, struct piece, link))) {
        size_t left = piece->buf.len - piece->off, step = bytes < left ? bytes : left;
        piece->off += step;
        q->piece_bytes -= step;
        bytes -= step;
        if (step == left)
            free_piece(piece);
    }
    q->out_off += bytes;
    if (q->out_off == q->out.len) {
        buf_clear(&q->out);
        q->out_off = 0;
    }
}
