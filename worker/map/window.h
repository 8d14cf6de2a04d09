/* SPDX-License-Identifier: Apache-2.0
 * window: whole records of a local block where they lie, without a copy. A window is a view of the
 * file (files.h) that begins at a record and ends at the block's end at the latest; what is given
 * out ends with the last record that lies in it wholly. The next one begins behind that. A record
 * that lies across a block's end, or is longer than a window, goes through the buffer of lines.h,
 * and so does all that is packed, not on this node, or framed by more than its line breaks. */
#ifndef QUERN_WORKER_MAP_WINDOW_H
#define QUERN_WORKER_MAP_WINDOW_H

#include "worker/map/lines.h"

/* Records from where `l` stands, its buffer dropped: 1 as lines_next, 0: the buffer is to be used,
 * or negative. */
int window_next(struct lines *l, struct slice *ret_span, uint64_t *ret_offset, struct err *err);
/* The span that was given out is no longer used. */
void window_close(struct lines *l);

#endif
