/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/avro.h"

#define SYNC           16
#define LONG_MAX_BYTES 10

struct avro {
    const struct fs_records *in;
    struct arena arena;
    const struct avro_schema *schema;
    enum unpack_kind codec;
    uint8_t sync[SYNC];
    bool has_line; /* something was shown */
    struct buf packed, plain, line;
};

static const uint8_t magic[] = {'O', 'b', 'j', 1};

bool fs_avro_is(struct slice head)
{
    return slice_has_prefix(head, slice_of(magic, sizeof(magic)));
}

bool fs_avro_long(struct slice *in, int64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < LONG_MAX_BYTES && i < in->len; i++) {
        v |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
        if (in->data[i] & 0x80)
            continue;
        *in = slice_of(in->data + i + 1, in->len - i - 1);
        *ret = (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
        return true;
    }
    return false;
}

/* 0, an error, or 1 at the end of the file. */
static int take_long(const struct fs_records *in, int64_t *ret)
{
    uint8_t bytes[LONG_MAX_BYTES];
    size_t n = 0;
    do {
        ssize_t got = n < sizeof(bytes) ? in->read(in->arg, bytes + n, 1) : 0;
        if (got < 0)
            return ERR_CANCELLED;
        if (got == 0)
            return n ? fs_records_damaged(in) : 1;
    } while (bytes[n++] & 0x80);
    struct slice all = slice_of(bytes, n);
    return fs_avro_long(&all, ret) ? 0 : fs_records_damaged(in);
}

/* One that must be there, and no less than `least`. */
static int need_long(const struct fs_records *in, int64_t least, int64_t *ret)
{
    int rc = take_long(in, ret);
    return rc < 0 ? rc : rc == 1 || *ret < least ? fs_records_damaged(in) : 0;
}

static int take_bytes(const struct fs_records *in, struct buf *ret)
{
    int64_t n = 0;
    int rc = need_long(in, 0, &n);
    return rc == 0 ? fs_records_take_buf(in, ret, (uint64_t)n) : rc;
}

/* ---- the head ---- */

static int know_codec(struct avro *a, struct slice name)
{
    static const struct {
        const char *name;
        enum unpack_kind kind;
    } codecs[] = {{"null", UNPACK_PLAIN},
                  {"deflate", UNPACK_DEFLATE},
                  {"bzip2", UNPACK_BZIP2},
                  {"zstandard", UNPACK_ZSTD}};
    for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
        if (!slice_is(name, codecs[i].name))
            continue;
        a->codec = codecs[i].kind;
        return 0;
    }
    return err_set(a->in->err, ERR_UNSUPPORTED,
                   "an Avro file packed by " SLICE_FMT ", which is not known here",
                   SLICE_ARG(name));
}

static int take_pair(struct avro *a)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    int rc = take_bytes(a->in, &key);
    if (rc == 0)
        rc = take_bytes(a->in, &value);
    if (rc == 0 && slice_is(buf_slice(&key), "avro.schema"))
        rc = avro_schema_parse(buf_slice(&value), &a->arena, &a->schema, a->in->err);
    else if (rc == 0 && slice_is(buf_slice(&key), "avro.codec"))
        rc = know_codec(a, buf_slice(&value));
    buf_release(&key);
    buf_release(&value);
    return rc;
}

static int take_head(struct avro *a)
{
    uint8_t head[sizeof(magic)];
    int64_t pairs = 0, size = 0;
    int rc = fs_records_take(a->in, head, sizeof(head));
    for (;;) {
        if (rc == 0)
            rc = need_long(a->in, -INT32_MAX, &pairs);
        if (rc == 0 && pairs < 0)
            rc = need_long(a->in, 0, &size);
        if (rc != 0 || pairs == 0)
            break;
        for (int64_t i = pairs < 0 ? -pairs : pairs; rc == 0 && i > 0; i--)
            rc = take_pair(a);
    }
    if (rc == 0)
        rc = fs_records_take(a->in, a->sync, sizeof(a->sync));
    return rc == 0 && !a->schema ? fs_records_damaged(a->in) : rc;
}

/* ---- records ---- */

static int show_record(struct avro *a, struct slice *in)
{
    buf_clear(&a->line);
    if (a->has_line) /* between two records; behind the last one it is written at the end */
        buf_append_byte(&a->line, '\n');
    int rc = fs_avro_json(a->schema, in, &a->line);
    if (rc != 0)
        return rc == ERR_NOMEM ? fs_records_no_memory(a->in) : fs_records_damaged(a->in);
    a->has_line = true;
    return fs_records_say(a->in, &a->line);
}

static int show_block(struct avro *a, int64_t count)
{
    uint8_t sync[SYNC];
    int rc = take_bytes(a->in, &a->packed);
    if (rc == 0)
        rc = fs_records_take(a->in, sync, sizeof(sync));
    if (rc == 0 && memcmp(sync, a->sync, sizeof(sync)) != 0)
        rc = fs_records_damaged(a->in);
    bool is_packed = a->codec != UNPACK_PLAIN;
    if (rc == 0 && is_packed)
        rc = fs_records_unpack(a->in, a->codec, buf_slice(&a->packed), &a->plain);
    struct slice in = buf_slice(is_packed ? &a->plain : &a->packed);
    for (int64_t i = 0; rc == 0 && i < count; i++)
        rc = show_record(a, &in);
    return rc == 0 && in.len ? fs_records_damaged(a->in) : rc;
}

int fs_avro_show(const struct fs_records *in)
{
    struct avro a = {.in = in, .arena = ARENA_INIT, .codec = UNPACK_PLAIN};
    int64_t count = 0;
    int rc = take_head(&a);
    while (rc == 0) {
        rc = take_long(in, &count);
        if (rc == 0)
            rc = count < 0 ? fs_records_damaged(in) : show_block(&a, count);
    }
    rc = rc == 1 ? 0 : rc;
    if (a.has_line && rc != ERR_CANCELLED) {
        buf_clear(&a.line);
        buf_append_byte(&a.line, '\n');
        int said = fs_records_say(in, &a.line);
        rc = rc == 0 ? said : rc;
    }
    buf_release(&a.packed);
    buf_release(&a.plain);
    buf_release(&a.line);
    arena_release(&a.arena);
    return rc;
}
