/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/seqfile.h"

#include <inttypes.h>

#include "client/fs/format.h"

#define VERSION   6
#define SYNC      16
#define NO_LENGTH UINT32_MAX /* what stands where a length would: a sync follows */

enum kind { TEXT, BYTE, SHORT, INT, LONG, VINT, VLONG, FLOAT, DOUBLE, BOOL, NOTHING, BYTES, KINDS };

static const char *const classes[KINDS] = {
    [TEXT] = "Text",
    [BYTE] = "ByteWritable",
    [SHORT] = "ShortWritable",
    [INT] = "IntWritable",
    [LONG] = "LongWritable",
    [VINT] = "VIntWritable",
    [VLONG] = "VLongWritable",
    [FLOAT] = "FloatWritable",
    [DOUBLE] = "DoubleWritable",
    [BOOL] = "BooleanWritable",
    [NOTHING] = "NullWritable",
    [BYTES] = "BytesWritable",
};

struct seq {
    const struct fs_records *in;
    enum kind key, value;
    bool is_packed, by_block;
    enum unpack_kind codec;
    uint8_t sync[SYNC];
    struct buf line;
};

bool fs_seq_is(struct slice head)
{
    return head.len >= 4 && memcmp(head.data, "SEQ", 3) == 0 && head.data[3] <= VERSION;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int take_u32(struct seq *s, uint32_t *ret)
{
    uint8_t bytes[4];
    int rc = fs_records_take(s->in, bytes, sizeof(bytes));
    *ret = rc == 0 ? be32(bytes) : 0;
    return rc;
}

/* How many bytes follow the first of a variable-length number. */
static size_t vlong_more(uint8_t first)
{
    int8_t b = (int8_t)first;
    return b >= -112 ? 0 : (size_t)(b < -120 ? -120 - b : -112 - b);
}

static int64_t vlong_value(const uint8_t *p, size_t more)
{
    uint64_t v = 0;
    for (size_t i = 1; i <= more; i++)
        v = v << 8 | p[i];
    return more == 0 ? (int8_t)p[0] : (int8_t)p[0] < -120 ? (int64_t)~v : (int64_t)v;
}

static int take_vlong(struct seq *s, int64_t *ret)
{
    uint8_t bytes[9];
    int rc = fs_records_take(s->in, bytes, 1);
    size_t more = rc == 0 ? vlong_more(bytes[0]) : 0;
    if (rc == 0)
        rc = fs_records_take(s->in, bytes + 1, more);
    *ret = rc == 0 ? vlong_value(bytes, more) : 0;
    return rc;
}

/* The same from bytes that are here; moves on. */
static bool next_vlong(struct slice *in, int64_t *ret)
{
    size_t more = in->len ? vlong_more(in->data[0]) : 0;
    if (in->len < more + 1)
        return false;
    *ret = vlong_value(in->data, more);
    *in = slice_of(in->data + more + 1, in->len - more - 1);
    return true;
}

static int take_text(struct seq *s, struct buf *ret)
{
    int64_t n;
    int rc = take_vlong(s, &n);
    return rc != 0 ? rc
           : n < 0 ? fs_records_damaged(s->in)
                   : fs_records_take_buf(s->in, ret, (uint64_t)n);
}

/* ---- the header ---- */

static int take_class(struct seq *s, enum kind *ret)
{
    static const char package[] = "org.apache.hadoop.io.";
    struct buf name = BUF_INIT;
    int rc = take_text(s, &name);
    size_t k = KINDS;
    if (rc == 0 && slice_has_prefix(buf_slice(&name), slice_str(package)))
        for (k = 0; k < KINDS; k++)
            if (strcmp(buf_cstr(&name) + sizeof(package) - 1, classes[k]) == 0)
                break;
    if (rc == 0 && k == KINDS)
        rc = err_set(s->in->err, ERR_UNSUPPORTED, "a SequenceFile of %s, which is not known here",
                     buf_cstr(&name));
    *ret = k < KINDS ? (enum kind)k : TEXT;
    buf_release(&name);
    return rc;
}

static int take_codec(struct seq *s)
{
    static const struct {
        const char *name;
        enum unpack_kind kind;
    } codecs[] = {{"DefaultCodec", UNPACK_ZLIB},
                  {"DeflateCodec", UNPACK_ZLIB},
                  {"GzipCodec", UNPACK_GZIP},
                  {"BZip2Codec", UNPACK_BZIP2},
                  {"ZStandardCodec", UNPACK_ZSTD}};
    struct buf name = BUF_INIT;
    int rc = take_text(s, &name);
    const char *text = rc == 0 ? buf_cstr(&name) : "";
    const char *last = text ? strrchr(text, '.') : NULL;
    for (size_t i = 0; rc == 0 && last && i < ARRAY_LEN(codecs); i++)
        if (strcmp(last + 1, codecs[i].name) == 0)
            s->codec = codecs[i].kind;
    if (rc == 0 && s->codec == UNPACK_PLAIN)
        rc = err_set(s->in->err, ERR_UNSUPPORTED,
                     "a SequenceFile packed by %s, which is not known here", text);
    buf_release(&name);
    return rc;
}

static int skip_metadata(struct seq *s)
{
    struct buf word = BUF_INIT;
    uint32_t pairs;
    int rc = take_u32(s, &pairs);
    for (uint32_t i = 0; rc == 0 && i < pairs; i++) {
        rc = take_text(s, &word);
        if (rc == 0)
            rc = take_text(s, &word);
    }
    buf_release(&word);
    return rc;
}

static int take_header(struct seq *s)
{
    uint8_t magic[4], flags[2];
    int rc = fs_records_take(s->in, magic, sizeof(magic));
    if (rc == 0 && (memcmp(magic, "SEQ", 3) != 0 || magic[3] != VERSION))
        rc = err_set(s->in->err, ERR_UNSUPPORTED, "a SequenceFile of version %u, not %d", magic[3],
                     VERSION);
    if (rc == 0)
        rc = take_class(s, &s->key);
    if (rc == 0)
        rc = take_class(s, &s->value);
    if (rc == 0)
        rc = fs_records_take(s->in, flags, sizeof(flags));
    if (rc != 0)
        return rc;
    s->is_packed = flags[0];
    s->by_block = flags[1];
    rc = s->is_packed ? take_codec(s) : 0;
    if (rc == 0)
        rc = skip_metadata(s);
    return rc == 0 ? fs_records_take(s->in, s->sync, sizeof(s->sync)) : rc;
}

/* ---- records ---- */

static bool append_text(struct buf *out, struct slice in)
{
    int64_t n;
    if (!next_vlong(&in, &n) || n < 0 || (uint64_t)n != in.len)
        return false;
    buf_append_slice(out, in);
    return true;
}

static bool append_bytes(struct buf *out, struct slice in)
{
    if (in.len < 4 || be32(in.data) != in.len - 4)
        return false;
    for (size_t i = 4; i < in.len; i++)
        buf_printf(out, i > 4 ? " %02x" : "%02x", in.data[i]);
    return true;
}

/* The bytes of a number, the highest first. */
static uint64_t big_endian(struct slice in)
{
    uint64_t v = 0;
    for (size_t i = 0; i < in.len; i++)
        v = v << 8 | in.data[i];
    return v;
}

static bool append_number(struct buf *out, enum kind kind, struct slice in)
{
    static const size_t sizes[KINDS] = {
        [BYTE] = 1, [SHORT] = 2, [INT] = 4, [LONG] = 8, [FLOAT] = 4, [DOUBLE] = 8};
    int64_t v = 0;
    bool is_long = kind == VINT || kind == VLONG;
    if (is_long ? !next_vlong(&in, &v) || in.len : in.len != sizes[kind])
        return false;
    uint64_t bits = big_endian(in);
    if (kind == FLOAT || kind == DOUBLE) {
        fs_append_java_real(out, bits, kind == DOUBLE);
        return true;
    }
    unsigned unused = 64 - 8 * (unsigned)sizes[kind];
    if (!is_long) /* the sign is the highest bit */
        v = (int64_t)(bits << unused) >> unused;
    buf_printf(out, "%" PRId64, v);
    return true;
}

/* As toString() of the class has it. */
static bool append_value(struct buf *out, enum kind kind, struct slice in)
{
    switch (kind) {
    case TEXT:
        return append_text(out, in);
    case BYTES:
        return append_bytes(out, in);
    case BOOL:
        buf_append_str(out, in.len == 1 && in.data[0] ? "true" : "false");
        return in.len == 1;
    case NOTHING:
        buf_append_str(out, "(null)");
        return in.len == 0;
    default:
        return append_number(out, kind, in);
    }
}

static int show(struct seq *s, struct slice key, struct slice value)
{
    buf_clear(&s->line);
    bool good = append_value(&s->line, s->key, key);
    buf_append_byte(&s->line, '\t');
    good = good && append_value(&s->line, s->value, value);
    buf_append_byte(&s->line, '\n');
    if (!good)
        return fs_records_damaged(s->in);
    return fs_records_say(s->in, &s->line);
}

static int check_sync(struct seq *s)
{
    uint8_t sync[SYNC];
    int rc = fs_records_take(s->in, sync, sizeof(sync));
    return rc == 0 && memcmp(sync, s->sync, sizeof(sync)) != 0 ? fs_records_damaged(s->in) : rc;
}

static int show_record(struct seq *s, uint32_t length)
{
    struct buf key = BUF_INIT, value = BUF_INIT, plain = BUF_INIT;
    uint32_t key_len = 0;
    int rc = take_u32(s, &key_len);
    if (rc == 0 && key_len > length)
        rc = fs_records_damaged(s->in);
    if (rc == 0)
        rc = fs_records_take_buf(s->in, &key, key_len);
    if (rc == 0)
        rc = fs_records_take_buf(s->in, &value, length - key_len);
    if (rc == 0 && s->is_packed)
        rc = fs_records_unpack(s->in, s->codec, buf_slice(&value), &plain);
    if (rc == 0)
        rc = show(s, buf_slice(&key), buf_slice(s->is_packed ? &plain : &value));
    buf_release(&key);
    buf_release(&value);
    buf_release(&plain);
    return rc;
}

static int take_packed(struct seq *s, struct buf *ret)
{
    struct buf packed = BUF_INIT;
    int rc = take_text(s, &packed); /* the same shape: a length and bytes */
    if (rc == 0)
        rc = fs_records_unpack(s->in, s->codec, buf_slice(&packed), ret);
    buf_release(&packed);
    return rc;
}

/* The next of some bytes, as long as `lengths` says. */
static bool next_part(struct slice *lengths, struct slice *in, struct slice *ret)
{
    int64_t n;
    if (!next_vlong(lengths, &n) || n < 0 || (uint64_t)n > in->len)
        return false;
    *ret = slice_of(in->data, (size_t)n);
    *in = slice_of(in->data + n, in->len - (size_t)n);
    return true;
}

static int show_block(struct seq *s)
{
    struct buf parts[4] = {BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT};
    int64_t records = 0;
    int rc = take_vlong(s, &records);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(parts); i++)
        rc = take_packed(s, &parts[i]);
    struct slice key_lens = buf_slice(&parts[0]), keys = buf_slice(&parts[1]);
    struct slice value_lens = buf_slice(&parts[2]), values = buf_slice(&parts[3]), key, value;
    for (int64_t i = 0; rc == 0 && i < records; i++)
        rc = next_part(&key_lens, &keys, &key) && next_part(&value_lens, &values, &value)
                 ? show(s, key, value)
                 : fs_records_damaged(s->in);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        buf_release(&parts[i]);
    return rc;
}

/* A length, or the end of the file between two records: 1. */
static int take_length(struct seq *s, uint32_t *ret)
{
    uint8_t bytes[4];
    ssize_t n = s->in->read(s->in->arg, bytes, sizeof(bytes));
    *ret = n == sizeof(bytes) ? be32(bytes) : 0;
    return n < 0                        ? ERR_CANCELLED
           : n == 0                     ? 1
           : n < (ssize_t)sizeof(bytes) ? fs_records_damaged(s->in)
                                        : 0;
}

int fs_seq_show(const struct fs_records *in)
{
    struct seq s = {.in = in, .codec = UNPACK_PLAIN, .line = BUF_INIT};
    int rc = take_header(&s);
    while (rc == 0) {
        uint32_t length = 0;
        rc = take_length(&s, &length);
        if (rc != 0)
            break;
        if (length == NO_LENGTH)
            rc = check_sync(&s);
        else if (s.by_block)
            rc = fs_records_damaged(in);
        else
            rc = show_record(&s, length);
        if (rc == 0 && length == NO_LENGTH && s.by_block)
            rc = show_block(&s);
    }
    buf_release(&s.line);
    return rc == 1 ? 0 : rc;
}
