/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runner/order.h"

#include <errno.h>
#include <unistd.h>

#define RUN_MAX (64U << 20) /* bytes of an order */

int order_read(struct buf *in, struct err *err)
{
    for (;;) {
        uint8_t *to = buf_reserve(in, 65536);
        ssize_t n = to ? read(STDIN_FILENO, to, 65536) : -1;
        if (n == 0)
            return 0;
        if (n > 0)
            in->len += (size_t)n;
        else if (!to || errno != EINTR)
            return err_set(err, ERR_IO, "the order cannot be read");
        if (in->len > RUN_MAX)
            return err_set(err, ERR_TOOBIG, "the order is too long");
    }
}
