/* SPDX-License-Identifier: Apache-2.0
 * frame: how messages are cut out of a byte stream. Little-endian:
 *
 *    0  u32  length       of the whole frame, these 20 bytes included: 20 .. 16 MiB
 *    4  u16  type         the method (enum in the conversation's messages.h), or FRAME_HELLO
 *    6  u16  flags        enum frame_flag
 *    8  u64  call         the asker's number for this call; an answer repeats it. Each side counts
 *                         for itself: FRAME_ANSWER tells whose number it is
 *   16  u32  deadline_ms  time the asker will still wait when sending; 0 = it does not say
 *   20  ...  body         one message (msg.h); of an error answer: struct frame_error
 *
 * A stream that breaks a rule is closed: there is no way to find the next frame. Zeroed bytes are
 * never a frame. Before the hello is done frames are at most FRAME_HELLO_MAX_BYTES. */
#ifndef QUERN_WIRE_FRAME_H
#define QUERN_WIRE_FRAME_H

#include "libcommon/wire/msg.h"

#define FRAME_HEADER_BYTES    20U
#define FRAME_MAX_BYTES       (16U << 20)
#define FRAME_HELLO_MAX_BYTES 4096U

enum frame_flag {
    FRAME_ANSWER = 1, /* else a question */
    FRAME_ERROR = 2,  /* with ANSWER: the body is a frame_error */
    FRAME_ONEWAY = 4, /* a question that wants no answer */
};

struct frame {
    uint16_t type;
    uint16_t flags;
    uint64_t call;
    uint32_t deadline_ms;
    struct slice body; /* borrows the stream's bytes */
};

/* The first whole frame of `in`. 0 with *ret and *ret_used (bytes to consume); ERR_RETRY when more
 * bytes are needed (*ret_used = how many the whole frame has, or 20 while that is unknown);
 * ERR_PROTO with the reason. */
int frame_parse(struct slice in, size_t max_bytes, struct frame *ret, size_t *ret_used,
                struct err *err);

/* Append a header, then the body goes into `out`, then frame_end(out, what begin returned) writes
 * the length. frame_end: 0; ERR_NOMEM when the buf failed; ERR_TOOBIG, with the frame taken out
 * again and all before it still good. */
size_t frame_begin(struct buf *out, const struct frame *frame);
int frame_end(struct buf *out, size_t begin);

/* Header, one message, length. Codes as frame_end. frame->body is not looked at. */
int frame_put(struct buf *out, const struct frame *frame, const struct msg_desc *desc,
              const void *msg);
/* An error answer to call `call`. */
int frame_put_error(struct buf *out, uint16_t type, uint64_t call, int code, const char *text);

#define FRAME_ERROR_FIELDS(F, S, L) \
    F(I64, code)                    \
    F(STR, text)
MSG_STRUCT(frame_error, FRAME_ERROR_FIELDS)

#endif
