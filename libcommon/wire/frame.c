/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/wire/frame.h"

MSG_DEFINE(frame_error, FRAME_ERROR_FIELDS)

int frame_parse(struct slice in, size_t max_bytes, struct frame *ret, size_t *ret_used,
                struct err *err)
{
    if (in.len >= 4) {
        uint32_t length = get_u32(in.data);
        if (length < FRAME_HEADER_BYTES || length > max_bytes)
            return err_set(err, ERR_PROTO, "a frame of %u bytes, allowed are %u to %zu", length,
                           FRAME_HEADER_BYTES, max_bytes);
        *ret_used = length;
    } else {
        *ret_used = FRAME_HEADER_BYTES;
    }
    if (in.len < FRAME_HEADER_BYTES || in.len < *ret_used)
        return ERR_RETRY;
    struct frame frame = {
        .type = get_u16(in.data + 4),
        .flags = get_u16(in.data + 6),
        .call = get_u64(in.data + 8),
        .deadline_ms = get_u32(in.data + 16),
        .body = slice_of(in.data + FRAME_HEADER_BYTES, *ret_used - FRAME_HEADER_BYTES)};
    if ((frame.flags & FRAME_ERROR) && !(frame.flags & FRAME_ANSWER))
        return err_set(err, ERR_PROTO, "a frame that is an error but no answer (flags 0x%x)",
                       frame.flags);
    *ret = frame;
    return 0;
}

size_t frame_begin(struct buf *out, const struct frame *frame)
{
    size_t begin = out->len;
    uint8_t *header = buf_reserve(out, FRAME_HEADER_BYTES);
    if (!header)
        return begin;
    put_u32(header, 0); /* frame_end knows */
    put_u16(header + 4, frame->type);
    put_u16(header + 6, frame->flags);
    put_u64(header + 8, frame->call);
    put_u32(header + 16, frame->deadline_ms);
    out->len += FRAME_HEADER_BYTES;
    return begin;
}

int frame_end(struct buf *out, size_t begin)
{
    if (buf_failed(out))
        return ERR_NOMEM;
    size_t length = out->len - begin;
    if (length > FRAME_MAX_BYTES) {
        out->len = begin;
        return ERR_TOOBIG;
    }
    put_u32(out->data + begin, (uint32_t)length);
    return 0;
}

int frame_put(struct buf *out, const struct frame *frame, const struct msg_desc *desc,
              const void *msg)
{
    size_t begin = frame_begin(out, frame);
    msg_encode(desc, msg, out);
    return frame_end(out, begin);
}

int frame_put_error(struct buf *out, uint16_t type, uint64_t call, int code, const char *text)
{
    struct frame frame = {.type = type, .flags = FRAME_ANSWER | FRAME_ERROR, .call = call};
    struct frame_error error = {.code = code, .text = slice_str(text)};
    return frame_put(out, &frame, &frame_error_desc, &error);
}
