/* SPDX-License-Identifier: Apache-2.0
 * border: where the first record of CSV behind a place in the middle of a file begins. A line break
 * there may end a record, or stand inside a quoted field, and only the quotes from the file's
 * beginning on would tell; they are not counted:
 *
 *  1. From the border on both readings are tried, "outside quotes here" and "inside". As quotes may
 *     stand in few places (frame.h), one of them breaks down soon, in most files within a line or
 *     two, and in the end one of them must: the file does not end inside quotes.
 *  2. No quote at all within `look_max` bytes: taken as outside. A quoted field with line breaks,
 *     but no quote, may not be longer than that where a file is cut.
 *  3. Both readings make sense for so long (columns of "," and line breaks only): the quotes before
 *     the border are counted after all.
 *
 * Whoever reads the part before the border knows where its last record ends, asks the same question
 * (lines.c), and the task fails when the answer is another place: then the file was malformed, or 2
 * was wrong. So by induction from the file's beginning no record is lost or cut, ever. */
#ifndef QUERN_WORKER_MAP_BORDER_H
#define QUERN_WORKER_MAP_BORDER_H

#include "worker/run/files.h"

struct border {
    struct files *files; /* borrowed */
    struct files_in *in;
    const char *path;
    uint64_t file_len;
    uint64_t look_max;
    uint8_t separator;
};

/* Offset of the first record that begins at `at` (> 0) or behind it; file_len when there is none.
 */
int border_find(const struct border *border, uint64_t at, uint64_t *ret_first, struct err *err);

#endif
