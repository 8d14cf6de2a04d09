/* SPDX-License-Identifier: Apache-2.0
 * frame: where records end, in the formats whose records a '\n' alone does not end. Pure: looks at
 * bytes that somebody else has read, and remembers how far it came, so that a record which spans
 * many reads is looked at once.
 *
 *     QN_CSV        RFC 4180, strictly: a quote stands at the beginning of a field or inside one
 *                   that began with a quote, doubled; behind the quote that closes a field comes a
 *                   separator or the record's end. So a file is read in one way only, or refused.
 *     QN_PREFIXED   four bytes of length, least significant first, and the record
 *
 * Byte order mark: a quote behind the three bytes EF BB BF that begin a file begins a field. */
#ifndef QUERN_WORKER_MAP_FRAME_H
#define QUERN_WORKER_MAP_FRAME_H

#include "include/quern/job.h"
#include "libcommon/base/slice.h"

#define FRAME_PREFIX 4U

struct frame {
    enum qn_input_format format;
    uint8_t separator;
    bool is_quoted;    /* what comes next is inside quotes */
    uint64_t quote_at; /* file offset of the quote that opened them */
};

/* Bytes in hand. In: a record begins at `start`; those up to `scanned` have been looked at. Out:
 * whole records end at `end` (start: there is none yet), none of them begins at `stop` or behind
 * it. */
struct frame_window {
    const uint8_t *bytes;
    size_t start, scanned, fill, stop;
    uint64_t at;      /* file offset of bytes[0] */
    uint64_t left;    /* bytes of the file from `start` on; UINT64_MAX = unknown */
    bool is_file_end; /* nothing comes behind `fill` */
    size_t end;
    bool is_last;    /* the record behind `end` begins at `stop` or behind it, or the file ends */
    uint64_t bad_at; /* of what is wrong */
    const char *bad; /* what that is: "the quote ... is never closed" */
};

/* Formats that a frame is for: the others are lines, or records of a fixed size. */
static inline bool frame_is_for(enum qn_input_format format)
{
    return format == QN_CSV || format == QN_PREFIXED;
}
/* 0, or ERR_CORRUPT with bad and bad_at set. */
int frame_scan(struct frame *frame, struct frame_window *w);
/* Forget the record begun: the next call looks at its first byte again. */
void frame_reset(struct frame *frame);

/* Take the first of whole records off *rest, without what ends or begins it; `is_file_start`: it
 * begins where the file does. Returns false when none is left. */
bool frame_next(const struct frame *frame, struct slice *rest, bool is_file_start,
                struct slice *ret_record);

#endif
