/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/lines.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/frames.h"
#include "worker/map/border.h"
#include "worker/map/window.h"
#include "worker/run/record.h"

#define READ_BEYOND ((size_t)16 << 10)  /* at a time, behind the end of the segment */
#define WINDOW_MIN  ((uint64_t)8 << 20) /* what zstd asks for, but for --long and --ultra */

static const struct task_segment *segment_of(const struct lines *l)
{
    return &l->conf.segments[l->segment];
}

/* Of the segment that comes next, if one does. */
static void take_format(struct lines *l)
{
    if (l->segment == l->conf.count)
        return;
    l->format = l->conf.formats[segment_of(l)->input];
    l->frame = (struct frame){.format = l->format.kind, .separator = l->format.separator};
}

void lines_open(struct lines *lines, const struct lines_conf *conf)
{
    BUG_ON(conf->buffer_size < 2 * LINES_READ);
    *lines = (struct lines){.conf = *conf};
    take_format(lines);
}

/* As long as a record may be: the memory is the one that long records do not take. */
static uint64_t window_max(const struct lines *l)
{
    return l->conf.memory / 4 > WINDOW_MIN ? l->conf.memory / 4 : WINDOW_MIN;
}

static void end_unpacking(struct lines *l)
{
    unpack_close(l->unpack);
    mem_free(l->packed);
    l->unpack = NULL;
    l->packed = NULL;
}

static void end_segment(struct lines *l)
{
    end_unpacking(l);
    window_close(l);
    uint64_t start = clock_mono_us();
    files_close(l->conf.files, l->in);
    l->read_us += clock_mono_us() - start;
    l->in = NULL;
    l->segment++;
    take_format(l);
}

void lines_close(struct lines *lines)
{
    end_unpacking(lines);
    window_close(lines);
    files_close(lines->conf.files, lines->in);
    mem_free(lines->path);
    lines->in = NULL;
    lines->path = NULL;
}

const char *lines_path(const struct lines *lines)
{
    return lines->path ? lines->path : "";
}

static int64_t read_for_frames(void *arg, void *data, size_t len, uint64_t off, struct err *err)
{
    struct lines *l = arg;
    uint64_t start = clock_mono_us();
    int64_t n = files_pread(l->conf.files, l->in, data, len, off, err);
    l->read_us += clock_mono_us() - start;
    return n;
}

/* An lz4 frame may be entered at a block, with its header. */
static int open_unpacking(struct lines *l, enum unpack_kind kind, struct err *err)
{
    uint8_t head[FRAMES_LZ4_HEAD];
    const struct task_segment *seg = segment_of(l);
    uint64_t frame = seg->frame - 1;
    if (seg->frame == 0 || frame == seg->offset || kind != UNPACK_LZ4)
        return unpack_open(kind, &l->unpack);
    int64_t n = files_pread(l->conf.files, l->in, head, sizeof(head), frame, err);
    return n < 0 ? (int)n : unpack_open_inside(slice_of(head, (size_t)n), &l->unpack);
}

static int begin_unpacking(struct lines *l, enum unpack_kind kind, struct err *err)
{
    const struct task_segment *seg = segment_of(l);
    int rc = open_unpacking(l, kind, err);
    if (rc == ERR_CORRUPT)
        return err_set(err, rc, "%s: no frame of lz4 begins at offset %llu", l->path,
                       (unsigned long long)seg->frame - 1);
    l->packed = mem_alloc(LINES_READ);
    if (rc != 0 || !l->packed)
        return rc != 0 && rc != ERR_NOMEM ? rc : err_set(err, ERR_NOMEM, "out of memory");
    unpack_limit(l->unpack, window_max(l));
    l->packed_left = slice_of(l->packed, 0);
    l->packed_at = seg->offset;
    l->packed_stop = seg->offset + seg->length;
    l->is_unpacked = false;
    l->is_skipping = seg->offset > 0;
    l->stop = UINT64_MAX; /* until its end is found */
    return 0;
}

/* Is it compressed? Its first bytes tell; those of a frame of its own where it was cut. */
static int detect(struct lines *l, enum unpack_kind *ret, struct err *err)
{
    const struct task_segment *seg = segment_of(l);
    const struct frames_file file = {read_for_frames, l, seg->file_len};
    uint8_t head[UNPACK_HEAD];
    if (seg->offset == 0 || seg->frame == 0)
        return frames_detect(&file, ret, err);
    int64_t n = read_for_frames(l, head, sizeof(head), seg->frame - 1, err);
    *ret = unpack_detect(slice_of(head, n > 0 ? (size_t)n : 0));
    if (n >= 0 && *ret == UNPACK_PLAIN)
        return err_set(err, ERR_CORRUPT, "%s: has changed: no frame begins at offset %llu", l->path,
                       (unsigned long long)seg->frame - 1);
    return n < 0 ? (int)n : 0;
}

static int look_inside(struct lines *l, struct err *err)
{
    const struct task_segment *seg = segment_of(l);
    enum unpack_kind kind;
    int rc = detect(l, &kind, err);
    if (rc != 0 || kind == UNPACK_PLAIN)
        return rc;
    if (seg->offset > 0 && seg->frame == 0) { /* for a sample: no line can be found in the middle */
        l->at = l->stop;
        return 0;
    }
    return begin_unpacking(l, kind, err);
}

/* From the first record that begins here to the first that does not. */
static int begin_records(struct lines *l, struct err *err)
{
    const struct task_segment *seg = segment_of(l);
    uint64_t size = l->format.record_size, end = seg->offset + seg->length;
    if (seg->file_len % size != 0)
        return err_set(err, ERR_CORRUPT,
                       "%s: has %llu bytes, which is no whole number of records of %llu", l->path,
                       (unsigned long long)seg->file_len, (unsigned long long)size);
    l->at = (seg->offset + size - 1) / size * size;
    l->stop = (end + size - 1) / size * size;
    return 0;
}

static int find_border(struct lines *l, uint64_t at, uint64_t *ret_first, struct err *err)
{
    const struct border border = {.files = l->conf.files,
                                  .in = l->in,
                                  .path = l->path,
                                  .file_len = segment_of(l)->file_len,
                                  .look_max = l->conf.look_max,
                                  .separator = l->format.separator};
    return border_find(&border, at, ret_first, err);
}

/* The part behind us must begin where ours ends: border.h. */
static int check_border(struct lines *l, struct err *err)
{
    const struct task_segment *seg = segment_of(l);
    uint64_t border = seg->offset + seg->length, end = l->at + l->pos, first = 0;
    if (l->format.kind != QN_CSV || l->unpack || l->conf.is_sample || border >= seg->file_len)
        return 0;
    int rc = find_border(l, border, &first, err);
    if (rc != 0 || first == end)
        return rc;
    return err_set(err, ERR_CORRUPT,
                   "%s: the record across offset %llu ends at %llu, but looks as if it ended at "
                   "%llu: a quoted field there is longer than job.csv.quoted.max, or the file is "
                   "no CSV (-D mapreduce.input.fileinputformat.split.minsize=1t reads each file in "
                   "one piece)",
                   l->path, (unsigned long long)border, (unsigned long long)end,
                   (unsigned long long)first);
}

/* In the middle of a file: to the first record that begins here. */
static int begin_in_middle(struct lines *l, struct err *err)
{
    if (l->format.kind == QN_CSV) {
        int rc = find_border(l, l->at, &l->at, err);
        return rc == 0 && l->at >= l->stop ? check_border(l, err) : rc;
    }
    if (l->format.kind == QN_PREFIXED || l->format.kind == QN_WHOLE_FILES) {
        l->at = l->stop; /* a sample's stretch: no record can be found there */
        return 0;
    }
    l->is_skipping = true;
    l->at--;
    return 0;
}

/* Of small files this, and closing them, is what takes long. */
static int open_file(struct lines *l, struct err *err)
{
    uint64_t start = clock_mono_us();
    int rc = files_open(l->conf.files, l->path, &l->in, err);
    l->read_us += clock_mono_us() - start;
    return rc;
}

static int begin_segment(struct lines *l, struct err *err)
{
    const struct task_segment *seg = segment_of(l);
    mem_free(l->path);
    l->path = slice_dup(seg->path);
    if (!l->path)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = open_file(l, err);
    if (rc != 0)
        return rc;
    l->is_skipping = false;
    l->at = seg->offset;
    l->stop = seg->offset + seg->length;
    l->pos = l->fill = l->scanned = 0;
    l->is_far = false;
    l->no_window_at = UINT64_MAX;
    l->is_owed = l->format.kind == QN_WHOLE_FILES && seg->offset == 0;
    frame_reset(&l->frame);
    if (seg->offset == 0 || seg->frame > 0 || l->conf.is_sample)
        rc = look_inside(l, err);
    if (rc != 0 || l->unpack || l->at == l->stop)
        return rc;
    if (l->format.record_size)
        return begin_records(l, err);
    return seg->offset > 0 ? begin_in_middle(l, err) : 0;
}

static bool is_at_end(const struct lines *l)
{
    return l->unpack ? l->is_unpacked : l->at + l->fill >= segment_of(l)->file_len;
}

/* How much to read next: not much beyond the segment, of which only the last line's end is wanted.
 */
static size_t want(const struct lines *l)
{
    if (l->unpack)
        return LINES_READ;
    uint64_t here = l->at + l->fill;
    uint64_t left = here < l->stop ? l->stop - here : 0;
    uint64_t file_left = segment_of(l)->file_len - here;
    uint64_t n = left < LINES_READ ? left + READ_BEYOND : LINES_READ;
    if (l->format.record_size && left < LINES_READ)
        n = (size_t)left; /* its end is known */
    else if (left == 0 && l->fill - l->pos > READ_BEYOND)
        n = LINES_READ; /* a long line */
    return (size_t)(n < file_left ? n : file_left);
}

static int read_file(struct lines *l, void *to, size_t n, uint64_t at, struct err *err)
{
    uint64_t start = clock_mono_us();
    int64_t got = files_pread(l->conf.files, l->in, to, n, at, err);
    l->read_us += clock_mono_us() - start;
    if (got < 0)
        return (int)got;
    if ((size_t)got < n)
        return err_set(err, ERR_IO, "%s: has become shorter than when the job began (%llu bytes)",
                       l->path, (unsigned long long)segment_of(l)->file_len);
    return 0;
}

static int damaged(const struct lines *l, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "%s: %s before offset %llu", l->path, what,
                   (unsigned long long)l->packed_at);
}

static int window_too_large(const struct lines *l, struct err *err)
{
    char window[32], most[32];
    uint64_t wanted = unpack_window(l->unpack), whole = WINDOW_MIN;
    while (whole < wanted && whole < UINT64_MAX / 8)
        whole *= 2;
    return err_set(err, ERR_TOOBIG,
                   "%s: needs %s for its window, and %s is the most, a quarter of this task's "
                   "memory: -D mapreduce.map.memory.mb=%llu would do",
                   l->path, str_human(wanted, window, sizeof(window)),
                   str_human(window_max(l), most, sizeof(most)),
                   (unsigned long long)(whole * 4 >> 20));
}

static bool is_behind_segment(const struct lines *l)
{
    return l->packed_at >= l->packed_stop;
}

/* Not across the segment's end: where its text ends must be seen. */
static int read_packed(struct lines *l, struct err *err)
{
    bool is_behind = is_behind_segment(l);
    uint64_t end = is_behind ? segment_of(l)->file_len : l->packed_stop;
    uint64_t left = end - l->packed_at, most = is_behind ? READ_BEYOND : LINES_READ;
    size_t n = left < most ? (size_t)left : (size_t)most;
    int rc = read_file(l, l->packed, n, l->packed_at, err);
    l->packed_at += n;
    l->packed_left = slice_of(l->packed, n);
    l->bytes += is_behind ? 0 : n;
    return rc;
}

/* All of the segment is unpacked, or of the file: now it is known where its text ends. */
static int end_packed(struct lines *l, struct err *err)
{
    bool is_file_end = l->packed_at == segment_of(l)->file_len;
    if (is_file_end && !unpack_is_complete(l->unpack))
        return damaged(l, "compressed data ends too early,", err);
    l->is_unpacked = is_file_end;
    if (l->stop == UINT64_MAX)
        l->stop = l->at + l->fill + !is_file_end; /* a line that begins right here is ours */
    return 0;
}

/* Up to `cap` bytes of text; fewer, or none, is no end. */
static int unpack_more(struct lines *l, uint8_t *to, size_t cap, struct err *err)
{
    size_t len = 0, before = l->packed_left.len;
    uint64_t start = clock_mono_us();
    int unpacked = unpack_step(l->unpack, &l->packed_left, to, cap, &len);
    l->unpack_us += clock_mono_us() - start;
    if (unpacked != 0)
        return unpacked == ERR_TOOBIG ? window_too_large(l, err)
                                      : damaged(l, "damaged compressed data", err);
    l->fill += len;
    if (before > 0 || len > 0)
        return 0;
    bool is_end = l->packed_at == segment_of(l)->file_len;
    if (is_end || (is_behind_segment(l) && l->stop == UINT64_MAX))
        return end_packed(l, err);
    return read_packed(l, err);
}

/* `n` bytes behind those in the buffer; of packed ones fewer, or none. */
static int append(struct lines *l, size_t n, struct err *err)
{
    uint8_t *buf = l->conf.buffer;
    if (l->unpack)
        return unpack_more(l, buf + l->fill, n, err);
    int rc = read_file(l, buf + l->fill, n, l->at + l->fill, err);
    l->fill += rc == 0 ? n : 0;
    return rc;
}

/* Where the record in hand ends, if it does so in what was read: a line break, outside quotes. */
static uint8_t *find_end(struct lines *l, size_t from, bool *is_quoted)
{
    uint8_t *buf = l->conf.buffer, *end = buf + l->fill;
    if (l->format.kind != QN_CSV)
        return memchr(buf + from, '\n', l->fill - from);
    for (uint8_t *p = buf + from; p < end; p++) {
        *is_quoted = *is_quoted != (*p == '"');
        if (*p == '\n' && !*is_quoted)
            return p;
    }
    return NULL;
}

/* How long is the line in hand? Its end is looked for and nothing of it kept: the task fails. */
static int measure(struct lines *l, uint64_t *ret_len, struct err *err)
{
    uint8_t *buf = l->conf.buffer, *nl = NULL;
    uint64_t at = l->at + l->pos;
    bool is_quoted = false;
    (void)find_end(l, l->pos, &is_quoted);
    *ret_len = l->fill - l->pos;
    while (!nl && !is_at_end(l) && *ret_len <= RECORD_LEN_MAX) {
        l->at += l->fill;
        l->pos = l->fill = l->scanned = 0;
        uint64_t left = segment_of(l)->file_len - l->at;
        int rc = append(l, l->unpack || left > LINES_READ ? LINES_READ : (size_t)left, err);
        if (rc != 0)
            return rc;
        nl = find_end(l, 0, &is_quoted);
        *ret_len += nl ? (size_t)(nl - buf) : l->fill;
        if (l->conf.ticks)
            atomic_fetch_add_explicit(l->conf.ticks, 1, memory_order_relaxed);
    }
    if (l->format.kind == QN_CSV && !nl && is_quoted && is_at_end(l))
        return err_set(err, ERR_CORRUPT, "%s: no quote closes a field of the record at offset %llu",
                       l->path, (unsigned long long)at);
    return 0;
}

/* Of a record that does not fit. */
static int find_length(struct lines *l, uint64_t *ret_len, struct err *err)
{
    const uint8_t *buf = l->conf.buffer;
    *ret_len = l->format.record_size;
    if (l->format.kind == QN_PREFIXED)
        *ret_len = get_u32(buf + l->pos);
    else if (l->format.kind == QN_WHOLE_FILES && !l->unpack)
        *ret_len = segment_of(l)->file_len;
    return *ret_len ? 0 : measure(l, ret_len, err);
}

static const char *word_for_record(const struct lines *l)
{
    bool is_lines = !l->format.record_size && !frame_is_for(l->format.kind);
    return l->format.kind == QN_WHOLE_FILES ? "file" : is_lines ? "line" : "record";
}

static int too_long(struct lines *l, struct err *err)
{
    char size[32], memory[32];
    const char *word = word_for_record(l);
    uint64_t at = l->at + l->pos, len = 0;
    int rc = find_length(l, &len, err);
    if (rc != 0)
        return rc;
    str_human(len, size, sizeof(size));
    str_human(l->conf.memory, memory, sizeof(memory));
    if (len > RECORD_LEN_MAX)
        return err_set(err, ERR_TOOBIG,
                       "%s: the %s at offset %llu is longer than 4 G: no record "
                       "may be",
                       l->path, word, (unsigned long long)at);
    return err_set(err, ERR_TOOBIG,
                   "%s: the %s at offset %llu has %s, more than a quarter of this task's memory "
                   "(%s): -D mapreduce.map.memory.mb=%llu would do",
                   l->path, word, (unsigned long long)at, size, memory,
                   (unsigned long long)record_memory_mb(len));
}

/* Read on, behind what is not given out yet. */
static int read_more(struct lines *l, struct err *err)
{
    uint8_t *buf = l->conf.buffer;
    size_t left = l->fill - l->pos, n = want(l);
    if (left + n > l->conf.buffer_size)
        return too_long(l, err);
    if (l->pos > 0) { /* the front of the buffer is the part that is in the cache */
        memmove(buf, buf + l->pos, left);
        l->at += l->pos;
        l->scanned -= l->pos;
        l->fill = left;
        l->pos = 0;
    }
    return append(l, n, err);
}

/* Unpacked bytes that are no whole record. */
static int cut_short(const struct lines *l, struct err *err)
{
    return err_set(err, ERR_CORRUPT,
                   "%s: its text has %llu bytes, which is no whole number of records of %u",
                   l->path, (unsigned long long)(l->at + l->fill), l->format.record_size);
}

/* Drop the line that began before the segment. True: its end was found. */
static bool skip(struct lines *l)
{
    uint8_t *buf = l->conf.buffer;
    uint8_t *nl = memchr(buf + l->pos, '\n', l->fill - l->pos);
    l->pos = nl ? (size_t)(nl - buf) + 1 : l->fill;
    l->scanned = l->pos;
    l->is_skipping = !nl;
    return nl != NULL;
}

static size_t records_end(const struct lines *l, bool *ret_last)
{
    uint64_t left = l->stop - (l->at + l->pos);
    size_t in_hand = l->fill - l->pos, size = l->format.record_size;
    *ret_last = in_hand >= left && left % size == 0; /* unpacked ones may be cut short */
    return l->pos + (in_hand < left ? in_hand : (size_t)left) / size * size;
}

/* Index behind the last whole line in hand that begins before `stop`; pos when there is none.
 * *ret_last: it is the segment's last. */
static size_t span_end(struct lines *l, bool *ret_last)
{
    if (l->format.record_size)
        return records_end(l, ret_last);
    uint8_t *buf = l->conf.buffer, *nl = NULL;
    *ret_last = false;
    if (l->at + l->fill >= l->stop) {
        /* The line that holds the byte before `stop`. */
        size_t last = l->at + l->pos >= l->stop ? l->pos : (size_t)(l->stop - 1 - l->at);
        size_t from = last > l->scanned ? last : l->scanned;
        nl = memchr(buf + from, '\n', l->fill - from);
        *ret_last = nl != NULL || is_at_end(l);
        if (*ret_last)
            return nl ? (size_t)(nl - buf) + 1 : l->fill;
    }
    nl = memrchr(buf + l->scanned, '\n', l->fill - l->scanned);
    return nl ? (size_t)(nl - buf) + 1 : l->pos;
}

/* As span_end, of records that a frame tells apart. */
static int framed_end(struct lines *l, size_t *ret_end, bool *ret_last, struct err *err)
{
    uint64_t ours = l->stop - l->at;
    struct frame_window w = {.bytes = l->conf.buffer,
                             .start = l->pos,
                             .scanned = l->scanned,
                             .fill = l->fill,
                             .stop = ours < SIZE_MAX ? (size_t)ours : SIZE_MAX,
                             .at = l->at,
                             .left =
                                 l->unpack ? UINT64_MAX : segment_of(l)->file_len - l->at - l->pos,
                             .is_file_end = is_at_end(l)};
    if (frame_scan(&l->frame, &w) != 0)
        return err_set(err, ERR_CORRUPT, "%s: %s at offset %llu", l->path, w.bad,
                       (unsigned long long)w.bad_at);
    l->scanned = w.scanned;
    *ret_end = w.end;
    *ret_last = w.is_last;
    return 0;
}

static int find_span(struct lines *l, size_t *ret_end, bool *ret_last, struct err *err)
{
    if (frame_is_for(l->format.kind))
        return framed_end(l, ret_end, ret_last, err);
    *ret_end = span_end(l, ret_last);
    l->scanned = l->fill;
    return 0;
}

/* Give the bytes up to `end` out. */
static int give(struct lines *l, size_t end, bool is_last, struct slice *ret_span,
                uint64_t *ret_offset, struct err *err)
{
    *ret_span = slice_of((uint8_t *)l->conf.buffer + l->pos, end - l->pos);
    *ret_offset = l->at + l->pos;
    l->raw_bytes += end - l->pos;
    l->bytes += l->unpack ? 0 : end - l->pos; /* counted as it is read */
    l->pos = l->scanned = end;
    frame_reset(&l->frame);
    int rc = is_last ? check_border(l, err) : 0;
    if (is_last || (l->unpack && l->conf.is_sample))
        l->stop = l->at + l->pos;
    return rc < 0 ? rc : 1;
}

/* Records out of the open segment: 1, 0 when it has no more, or negative. */
static int next_in_segment(struct lines *l, struct slice *ret_span, uint64_t *ret_offset,
                           struct err *err)
{
    int rc = window_next(l, ret_span, ret_offset, err);
    while (rc == 0) {
        bool is_last = false;
        if (l->is_skipping && l->fill > l->pos)
            skip(l);
        if (l->at + l->pos >= l->stop)
            return 0;
        if (!l->is_skipping && l->fill > l->pos) {
            size_t end = l->pos;
            rc = find_span(l, &end, &is_last, err);
            if (rc == 0 && end > l->pos)
                return give(l, end, is_last, ret_span, ret_offset, err);
        }
        if (rc == 0 && is_at_end(l))
            return l->format.record_size && l->fill > l->pos ? cut_short(l, err) : 0;
        if (rc == 0)
            rc = read_more(l, err);
    }
    return rc;
}

/* All of the file: 1, once, or negative. */
static int next_whole(struct lines *l, struct slice *ret_span, uint64_t *ret_offset,
                      struct err *err)
{
    while (!is_at_end(l)) {
        int rc = read_more(l, err);
        if (rc != 0)
            return rc;
    }
    l->is_owed = false;
    return give(l, l->fill, true, ret_span, ret_offset, err);
}

int lines_next(struct lines *lines, struct slice *ret_span, uint64_t *ret_offset, struct err *err)
{
    while (lines->segment < lines->conf.count) {
        bool is_passed = segment_of(lines)->length == 0 && lines->format.kind != QN_WHOLE_FILES;
        int rc = lines->in || is_passed ? 0 : begin_segment(lines, err);
        if (rc == 0 && lines->in)
            rc = (lines->is_owed ? next_whole : next_in_segment)(lines, ret_span, ret_offset, err);
        if (rc != 0)
            return rc;
        end_segment(lines);
    }
    return 0;
}
