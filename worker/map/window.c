/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/window.h"

#include "libcommon/base/clock.h"

#define WINDOW_BYTES ((uint64_t)2 << 20) /* of the task's resident memory, beside its budget */
#define WINDOW_LEAST (64U << 10)         /* fewer are copied sooner than mapped */

void window_close(struct lines *l)
{
    if (l->window.data)
        l->conf.files->ops->end_view(&l->window);
}

static bool is_possible(const struct lines *l, uint64_t at)
{
    return l->conf.files->ops->view && !l->is_far && !l->unpack && !l->is_skipping &&
           !frame_is_for(l->format.kind) && l->stop - at >= WINDOW_LEAST && at != l->no_window_at;
}

/* Of the window: how many bytes are whole records? */
static size_t whole(const struct lines *l)
{
    if (l->format.record_size)
        return l->window.size / l->format.record_size * l->format.record_size;
    const uint8_t *data = l->window.data, *nl = memrchr(data, '\n', l->window.size);
    return nl ? (size_t)(nl - data) + 1 : 0;
}

int window_next(struct lines *l, struct slice *ret_span, uint64_t *ret_offset, struct err *err)
{
    uint64_t at = l->at + l->pos;
    window_close(l);
    if (at >= l->stop || !is_possible(l, at))
        return 0;
    uint64_t left = l->stop - at;
    uint64_t start_us = clock_mono_us();
    int rc = l->conf.files->ops->view(l->in, at, left < WINDOW_BYTES ? left : WINDOW_BYTES,
                                      &l->window, err);
    l->read_us += clock_mono_us() - start_us;
    if (rc != 0)
        return rc;
    size_t n = whole(l);
    l->is_far = l->window.is_copy; /* then our own buffer is as good */
    l->no_window_at = at;
    if (n == 0)
        return 0;
    *ret_span = slice_of(l->window.data, n);
    *ret_offset = at;
    l->at = at + n;
    l->pos = l->fill = l->scanned = 0;
    l->bytes += n;
    l->raw_bytes += n;
    return 1;
}
