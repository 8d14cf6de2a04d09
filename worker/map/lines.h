/* SPDX-License-Identifier: Apache-2.0
 * lines: the records of a split, as spans of whole ones; most often they are lines of text.
 *
 * A line belongs to the segment its first byte lies in. So a segment that does not begin at offset
 * 0 is read from one byte before it and begins after the first '\n' found; and a segment ends with
 * the line that holds its last byte, however far that reaches beyond it:
 *
 *     ...aaa\nbbbbb\nccc|ccc\nddd\neee|eeeee\nfff     segment between the bars: ddd, eeeeeeee
 *
 * Bytes are kept as they are: only '\n' ends a line, a '\r' before it is part of the line (as
 * sort(1) and awk see it; Hadoop drops it), and the last line of a file may lack its '\n'. Lines
 * are read through one buffer; one that does not fit is an error that tells where it is, how long,
 * and what memory would do.
 *
 * Records of a fixed size are lines without a '\n': one belongs to the segment its first byte lies
 * in, and a file holds a whole number of them. So do records of CSV (frame.h tells where they end,
 * border.h where the first of a segment begins). A file of records behind their lengths, or one
 * that is a record, is one segment.
 *
 * A file whose first bytes are those of gzip, zstd or lz4 is unpacked on the way, whatever its name
 * is; offsets are those of its text. It comes as one segment, but for zstd and lz4 that can be
 * unpacked from several places (codec/frames), when its records are lines. Nobody sees the byte
 * before such a place, so a segment has the lines behind the first '\n' of its text, to the one
 * that begins at its very end or before it; offsets count from the segment's, since nobody knows
 * how much text is before it. */
#ifndef QUERN_WORKER_MAP_LINES_H
#define QUERN_WORKER_MAP_LINES_H

#include <stdatomic.h>

#include "libcommon/base/slice.h"
#include "libcommon/codec/unpack.h"
#include "libcommon/proto/task/messages.h"
#include "worker/map/frame.h"
#include "worker/run/files.h"

#define LINES_READ ((size_t)256 << 10) /* one read; small enough to stay in the cache */

struct lines_format {
    enum qn_input_format kind;
    uint32_t record_size; /* 0 = lines; else records of so many bytes are given out instead */
    uint8_t separator;    /* of CSV */
};

struct lines_conf {
    struct files *files;
    const struct task_segment *segments; /* borrowed for life */
    size_t count;
    void *buffer;       /* borrowed for life */
    size_t buffer_size; /* the longest line and LINES_READ */
    uint64_t memory;    /* of the task: for messages, and the windows of packed files */
    const struct lines_format *formats; /* by task_segment.input; borrowed for life */
    _Atomic uint64_t *ticks; /* grows while a line that is too long is measured; may be NULL */
    bool is_sample; /* a compressed file gives its first lines only, and segments inside it none */
    uint64_t look_max; /* border.h */
};

struct lines {
    struct lines_conf conf;
    size_t segment; /* the one being read */
    struct lines_format format;
    char *path; /* of its file; NULL between segments */
    struct files_in *in;
    size_t pos, fill; /* bytes of the buffer: given out up to pos, read up to fill */
    size_t scanned;   /* no '\n' between pos and here */
    uint64_t at;      /* file offset of the buffer's first byte */
    uint64_t stop;    /* no line of this segment begins here or behind */
    bool is_skipping; /* the line in hand began in the segment before */
    bool is_owed;     /* a file that is one record has not been given out yet */
    struct frame frame;
    struct qn_view window; /* what the span given out lies in, unless that is the buffer */
    bool is_far;           /* no replica lies here: windows would be copies */
    uint64_t no_window_at; /* a window from here has been tried */
    uint64_t bytes;     /* of the file, given out as lines: over all splits of a file, its length */
    uint64_t raw_bytes; /* given out: of text, more than `bytes` where the file is packed */
    uint64_t read_us, unpack_us;
    struct unpack *unpack; /* NULL: the file is text */
    uint8_t *packed;       /* what of the file is still to be unpacked; owned */
    struct slice packed_left;
    uint64_t packed_at;   /* file offset behind it */
    uint64_t packed_stop; /* where the segment ends: its last line may reach beyond */
    bool is_unpacked;     /* all of the file */
};

void lines_open(struct lines *lines, const struct lines_conf *conf);
/* The next whole lines: 1 with the span and the file offset of its first byte (valid until the next
 * call), 0 at the end of the split, or a negative code. */
int lines_next(struct lines *lines, struct slice *ret_span, uint64_t *ret_offset, struct err *err);
/* Path of the file the last span came from (valid until the next call). */
const char *lines_path(const struct lines *lines);
void lines_close(struct lines *lines);

#endif
