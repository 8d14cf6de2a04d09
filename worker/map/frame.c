/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/frame.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"

static int bad(struct frame_window *w, uint64_t at, const char *what)
{
    w->bad_at = at;
    w->bad = what;
    return ERR_CORRUPT;
}

void frame_reset(struct frame *frame)
{
    frame->is_quoted = false;
}

/* --- records behind their length ------------------------------------------------------------- */

static int scan_prefixed(struct frame_window *w)
{
    size_t at = w->start;
    w->end = at;
    w->scanned = w->fill;
    while (w->fill - at >= FRAME_PREFIX) {
        uint64_t total = FRAME_PREFIX + (uint64_t)get_u32(w->bytes + at);
        if (w->left != UINT64_MAX && total > w->left - (at - w->start))
            return bad(w, w->at + at, "the file ends inside the record whose length stands");
        if (w->fill - at < total)
            break;
        at += (size_t)total;
        w->end = at;
        if (at >= w->stop) {
            w->is_last = true;
            return 0;
        }
    }
    if (w->is_file_end && at < w->fill)
        return bad(w, w->at + at, "the file ends inside the record whose length stands");
    w->is_last = w->is_file_end;
    return 0;
}

/* --- CSV ------------------------------------------------------------------------------------- */

static const uint8_t mark[] = {0xef, 0xbb, 0xbf};

static bool is_behind_mark(const struct frame_window *w, size_t record, size_t at)
{
    return w->at + record == 0 && at == record + sizeof(mark) &&
           memcmp(w->bytes + record, mark, sizeof(mark)) == 0;
}

/* May a quote here open a field of the record that begins at `record`? */
static bool can_open(const struct frame *f, const struct frame_window *w, size_t record, size_t at)
{
    return at == record || w->bytes[at - 1] == f->separator || is_behind_mark(w, record, at);
}

enum closing { CLOSED, DOUBLED, WANTS_MORE, SPOILED };

/* What is the quote at `at`, inside quotes? */
static enum closing look_behind_quote(const struct frame *f, const struct frame_window *w,
                                      size_t at)
{
    const uint8_t *p = w->bytes + at + 1;
    size_t left = w->fill - at - 1;
    if (left == 0)
        return w->is_file_end ? CLOSED : WANTS_MORE;
    if (*p == '"')
        return DOUBLED;
    if (*p == f->separator || *p == '\n')
        return CLOSED;
    if (*p != '\r')
        return SPOILED;
    if (left == 1)
        return w->is_file_end ? CLOSED : WANTS_MORE;
    return p[1] == '\n' ? CLOSED : SPOILED;
}

/* From inside quotes to behind what closes them: 1, 0 when more must be read, ERR_CORRUPT. */
static int leave_quotes(struct frame *f, struct frame_window *w)
{
    size_t at = w->scanned;
    for (;;) {
        const uint8_t *quote = memchr(w->bytes + at, '"', w->fill - at);
        w->scanned = quote ? (size_t)(quote - w->bytes) : w->fill;
        if (!quote)
            return w->is_file_end ? bad(w, f->quote_at, "no quote closes the field that begins")
                                  : 0;
        switch (look_behind_quote(f, w, w->scanned)) {
        case DOUBLED:
            at = w->scanned + 2;
            break;
        case WANTS_MORE:
            return 0;
        case SPOILED:
            return bad(w, w->at + w->scanned,
                       "neither a separator nor a line's end follows the "
                       "closing quote");
        case CLOSED:
            f->is_quoted = false;
            w->scanned++;
            return 1;
        }
    }
}

static int scan_csv(struct frame *f, struct frame_window *w)
{
    size_t record = w->start, nl = 0;
    w->end = record;
    for (;;) {
        int rc = f->is_quoted ? leave_quotes(f, w) : 1;
        if (rc <= 0)
            return rc;
        size_t at = w->scanned;
        if (nl < at || nl == 0) { /* no '\n' between `at` and `nl` */
            const uint8_t *p = memchr(w->bytes + at, '\n', w->fill - at);
            nl = p ? (size_t)(p - w->bytes) : w->fill;
        }
        const uint8_t *quote = memchr(w->bytes + at, '"', nl - at);
        if (quote) {
            at = (size_t)(quote - w->bytes);
            if (!can_open(f, w, record, at))
                return bad(w, w->at + at, "a quote inside a field that does not begin with one");
            f->is_quoted = true;
            f->quote_at = w->at + at;
            w->scanned = at + 1;
            continue;
        }
        if (nl == w->fill) {
            w->scanned = w->fill;
            w->is_last = w->is_file_end;
            w->end = w->is_file_end ? w->fill : w->end;
            return 0;
        }
        w->scanned = w->end = record = nl + 1;
        if (record >= w->stop) {
            w->is_last = true;
            return 0;
        }
    }
}

int frame_scan(struct frame *frame, struct frame_window *w)
{
    w->is_last = false;
    return frame->format == QN_CSV ? scan_csv(frame, w) : scan_prefixed(w);
}

/* --- one by one ------------------------------------------------------------------------------ */

/* Index of the '\n' that ends the first record, or the length of all: it is known to be well
 * formed, so every quote turns inside out. */
static size_t csv_end(struct slice rest)
{
    const uint8_t *from = rest.data, *end = rest.data + rest.len, *nl = NULL;
    for (;;) {
        if (!nl || nl < from) {
            nl = memchr(from, '\n', (size_t)(end - from));
            nl = nl ? nl : end;
        }
        const uint8_t *quote = memchr(from, '"', (size_t)(nl - from));
        if (!quote)
            return (size_t)(nl - rest.data);
        quote = memchr(quote + 1, '"', (size_t)(end - quote - 1));
        if (!quote)
            return rest.len;
        from = quote + 1;
    }
}

static struct slice take_csv(struct slice *rest, bool is_file_start)
{
    size_t len = csv_end(*rest), skip = len + (len < rest->len);
    struct slice record = slice_of(rest->data, len);
    *rest = slice_of(rest->data + skip, rest->len - skip);
    if (record.len && record.data[record.len - 1] == '\r')
        record.len--;
    if (is_file_start && slice_has_prefix(record, slice_of(mark, sizeof(mark))))
        record = slice_of(record.data + sizeof(mark), record.len - sizeof(mark));
    return record;
}

bool frame_next(const struct frame *frame, struct slice *rest, bool is_file_start,
                struct slice *ret_record)
{
    if (rest->len == 0)
        return false;
    if (frame->format == QN_CSV) {
        *ret_record = take_csv(rest, is_file_start);
        return true;
    }
    size_t len = get_u32(rest->data), total = FRAME_PREFIX + len;
    *ret_record = slice_of(rest->data + FRAME_PREFIX, len);
    *rest = slice_of(rest->data + total, rest->len - total);
    return true;
}
