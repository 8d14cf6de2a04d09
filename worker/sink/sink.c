/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink/sink.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/codec/crc32c.h"

static int write_out(void *arg, const void *data, size_t len)
{
    struct sink *sink = arg;
    uint64_t start = clock_mono_us();
    sink->crc = crc32c(sink->crc, data, len);
    int rc = len ? files_write(sink->files, sink->out, data, len, &sink->failed) : 0;
    sink->len += len;
    sink->write_us += clock_mono_us() - start;
    return rc;
}

int sink_open(struct sink *sink, struct files *files, const char *path, const struct sink_how *how,
              struct slice buffer, struct err *err)
{
    *sink = (struct sink){.how = *how,
                          .files = files,
                          .path = path,
                          .buf = (uint8_t *)(uintptr_t)buffer.data,
                          .cap = buffer.len};
    if (!sink->how.separator.data)
        sink->how.separator = slice_str("\t");
    if (how->pack != PACKER_PLAIN &&
        packer_open(how->pack, how->level, write_out, sink, &sink->packer) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    return 0;
}

static int make_file(struct sink *sink)
{
    uint64_t start = clock_mono_us();
    int rc = files_create(sink->files, sink->path, &sink->how.create, &sink->out, &sink->failed);
    sink->write_us += clock_mono_us() - start;
    return rc;
}

static int put_out(struct sink *sink, struct slice bytes)
{
    if (sink->failed.code != 0)
        return sink->failed.code;
    sink->raw += bytes.len;
    int rc =
        sink->packer ? packer_put(sink->packer, bytes) : write_out(sink, bytes.data, bytes.len);
    if (rc != 0 && sink->failed.code == 0)
        err_set(&sink->failed, rc, "out of memory");
    return rc;
}

static int flush(struct sink *sink)
{
    int rc = put_out(sink, slice_of(sink->buf, sink->fill));
    sink->fill = 0;
    return rc;
}

int sink_write(struct sink *sink, struct slice bytes)
{
    if (!sink->out && sink->failed.code == 0 && bytes.len)
        (void)make_file(
            sink); /* a file that cannot be made is not to be heard of at the end only */
    if (bytes.len > sink->cap - sink->fill) {
        int rc = flush(sink);
        if (rc != 0)
            return rc;
        if (bytes.len > sink->cap)
            return put_out(sink, bytes);
    }
    if (bytes.len)
        memcpy(sink->buf + sink->fill, bytes.data, bytes.len);
    sink->fill += bytes.len;
    return sink->failed.code;
}

static inline int put_raw(struct sink *sink, struct slice key, struct slice value)
{
    bool fits = sink->out && key.len + value.len <= sink->cap - sink->fill;
    if (__builtin_expect(!fits || !key.len || !value.len, 0))
        return sink_write(sink, key) != 0 ? sink->failed.code : sink_write(sink, value);
    memcpy(sink->buf + sink->fill, key.data, key.len);
    memcpy(sink->buf + sink->fill + key.len, value.data, value.len);
    sink->fill += key.len + value.len;
    return sink->failed.code;
}

static size_t put_u64_text(uint64_t v, char *out)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while (v /= 10);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

/* As few digits as bring the same double back. */
static size_t put_double_text(uint64_t bits, char *out)
{
    double v, back;
    uint64_t back_bits;
    memcpy(&v, &bits, sizeof(v));
    for (int digits = 15;; digits++) {
        int n = snprintf(out, SINK_NUMBER_MAX, "%.*g", digits, v);
        if (digits == 17)
            return (size_t)n;
        back = strtod(out, NULL);
        memcpy(&back_bits, &back, sizeof(back));
        if (back_bits == bits)
            return (size_t)n;
    }
}

size_t sink_number(enum qn_type type, uint64_t bits, char *out)
{
    if (type == QN_F64)
        return put_double_text(bits, out);
    if (type == QN_I64 && (int64_t)bits < 0) {
        *out = '-';
        return 1 + put_u64_text(0 - bits, out + 1);
    }
    return put_u64_text(bits, out);
}

static bool is_number(enum qn_type type)
{
    return type == QN_U64 || type == QN_I64 || type == QN_F64;
}

static int put_field(struct sink *sink, enum qn_type type, struct slice bytes)
{
    if (type == QN_NONE)
        return 0;
    if (!is_number(type))
        return sink_write(sink, bytes);
    char text[SINK_NUMBER_MAX];
    size_t n = sink_number(type, bytes.len == 8 ? get_u64(bytes.data) : 0, text);
    return sink_write(sink, slice_of(text, n));
}

int sink_record(struct sink *sink, enum qn_type key_type, struct slice key, enum qn_type value_type,
                struct slice value)
{
    if (sink->how.is_raw) {
        sink->records++;
        return put_raw(sink, key, value);
    }
    int rc = put_field(sink, key_type, key);
    if (rc == 0 && key_type != QN_NONE && value_type != QN_NONE)
        rc = sink_write(sink, sink->how.separator);
    if (rc == 0)
        rc = put_field(sink, value_type, value);
    sink->records++;
    return rc == 0 ? sink_write(sink, slice_str("\n")) : rc;
}

int sink_finish(struct sink *sink, struct task_file *ret, struct err *err)
{
    bool is_skipped = !sink->out && !sink->packer && sink->how.skips_empty;
    int rc = sink->out || is_skipped || sink->failed.code ? flush(sink) : make_file(sink);
    if (rc == 0 && sink->packer) {
        rc = packer_end(sink->packer);
        if (rc != 0 && sink->failed.code == 0)
            err_set(&sink->failed, rc, "out of memory");
    }
    if (rc != 0) {
        if (err)
            *err = sink->failed;
        sink_abandon(sink);
        return rc;
    }
    uint64_t start = clock_mono_us();
    rc = is_skipped ? 0 : files_finish(sink->files, sink->out, err);
    sink->finish_us = clock_mono_us() - start;
    sink->out = NULL;
    sink_abandon(sink);
    if (is_skipped)
        ret->path = slice_str("");
    ret->len = sink->len;
    ret->records = sink->records;
    ret->crc = sink->crc;
    return rc;
}

void sink_abandon(struct sink *sink)
{
    files_abandon(sink->files, sink->out);
    packer_close(sink->packer);
    sink->out = NULL;
    sink->packer = NULL;
}
