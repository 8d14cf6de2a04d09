/* SPDX-License-Identifier: Apache-2.0
 * One Avro value as JSON, as Avro's own encoder has it: a union's branch in an object named by its
 * type, bytes as the characters of Latin-1, and the pairs of a map in the order of Java's HashMap,
 * which is the order in which Hadoop comes upon them. */
#include <stdlib.h>

#include "client/fs/avro.h"
#include "client/fs/format.h"

#define DEPTH_MAX    1000
#define NO_CHARACTER 0xfffd

struct walk {
    struct slice *in;
    unsigned depth;
};

static int write_value(struct walk *w, const struct avro_schema *schema, struct buf *out);

/* ---- strings ---- */

/* A character that UTF-16 needs two for. */
static bool split(uint32_t point, uint32_t pair[2])
{
    if (point < 0x10000 || point >= UTF8_BAD)
        return false;
    pair[0] = 0xd800 + ((point - 0x10000) >> 10);
    pair[1] = 0xdc00 + ((point - 0x10000) & 0x3ff);
    return true;
}

static void append_character(struct buf *out, uint32_t point)
{
    static const char shorts[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
    const char *at = point && point < 0x80 ? strchr(shorts, (int)point) : NULL;
    if (at)
        buf_printf(out, "\\%c", letters[at - shorts]);
    else if (point < 0x20)
        buf_printf(out, "\\u%04X", point);
    else if (point < 0x80)
        buf_append_byte(out, (uint8_t)point);
    else /* Latin-1 */
        buf_printf(out, "%c%c", (int)(0xc0 | point >> 6), (int)(0x80 | (point & 0x3f)));
}

static void append_latin(struct buf *out, struct slice bytes)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i++)
        append_character(out, bytes.data[i]);
    buf_append_byte(out, '"');
}

/* How many bytes in front are written as they are. */
static size_t plain_run(struct slice text)
{
    size_t n = 0;
    while (n < text.len && text.data[n] >= 0x20 && text.data[n] < 0x80 && text.data[n] != '"' &&
           text.data[n] != '\\')
        n++;
    return n;
}

static void append_string(struct buf *out, struct slice text)
{
    buf_append_byte(out, '"');
    while (text.len) {
        uint32_t point = 0, pair[2];
        size_t run = plain_run(text), n = run ? run : slice_utf8(text, &point);
        if (run)
            buf_append(out, text.data, run);
        else if (point >= UTF8_BAD) /* NO_CHARACTER */
            buf_append_str(out, "\xef\xbf\xbd");
        else if (split(point, pair))
            buf_printf(out, "\\u%04X\\u%04X", pair[0], pair[1]);
        else if (n > 1)
            buf_append(out, text.data, n);
        else
            append_character(out, point);
        text = slice_of(text.data + n, text.len - n);
    }
    buf_append_byte(out, '"');
}

/* ---- what a value begins with ---- */

static int take(struct walk *w, uint64_t n, struct slice *ret)
{
    if (n > w->in->len)
        return ERR_CORRUPT;
    *ret = slice_of(w->in->data, (size_t)n);
    *w->in = slice_of(w->in->data + n, w->in->len - (size_t)n);
    return 0;
}

static int take_bytes(struct walk *w, struct slice *ret)
{
    int64_t n = 0;
    return fs_avro_long(w->in, &n) && n >= 0 ? take(w, (uint64_t)n, ret) : ERR_CORRUPT;
}

static int write_text(struct walk *w, struct buf *out,
                      void (*append)(struct buf *out, struct slice text))
{
    struct slice bytes;
    int rc = take_bytes(w, &bytes);
    if (rc == 0)
        append(out, bytes);
    return rc;
}

static int write_number(struct walk *w, struct buf *out)
{
    int64_t n = 0;
    if (!fs_avro_long(w->in, &n))
        return ERR_CORRUPT;
    buf_printf(out, "%lld", (long long)n);
    return 0;
}

static int write_real(struct walk *w, bool is_double, struct buf *out)
{
    struct slice bytes;
    if (take(w, is_double ? 8 : 4, &bytes) != 0)
        return ERR_CORRUPT;
    uint64_t bits = is_double ? get_u64(bytes.data) : get_u32(bytes.data);
    bool is_number = is_double ? (bits >> 52 & 0x7ff) != 0x7ff : (bits >> 23 & 0xff) != 0xff;
    buf_append_str(out, is_number ? "" : "\"");
    fs_append_java_real(out, bits, is_double);
    buf_append_str(out, is_number ? "" : "\"");
    return 0;
}

static int write_bool(struct walk *w, struct buf *out)
{
    struct slice byte;
    if (take(w, 1, &byte) != 0 || byte.data[0] > 1)
        return ERR_CORRUPT;
    buf_append_str(out, byte.data[0] ? "true" : "false");
    return 0;
}

/* A number that stands for one of the parts. */
static int take_part(struct walk *w, const struct avro_schema *schema, const struct avro_part **ret)
{
    int64_t n = 0;
    if (!fs_avro_long(w->in, &n) || n < 0 || (uint64_t)n >= schema->count)
        return ERR_CORRUPT;
    *ret = &schema->parts[n];
    return 0;
}

static int write_enum(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    const struct avro_part *symbol = NULL;
    int rc = take_part(w, schema, &symbol);
    if (rc == 0)
        append_string(out, slice_str(symbol->name));
    return rc;
}

static int write_fixed(struct walk *w, uint64_t size, struct buf *out)
{
    struct slice bytes;
    int rc = take(w, size, &bytes);
    if (rc == 0)
        append_latin(out, bytes);
    return rc;
}

/* ---- what holds others ---- */

static int write_union(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    const struct avro_part *branch = NULL;
    int rc = take_part(w, schema, &branch);
    if (rc != 0)
        return rc;
    bool is_null = branch->schema->type == AVRO_NULL;
    if (!is_null) {
        buf_append_byte(out, '{');
        append_string(out, slice_str(branch->schema->name));
        buf_append_byte(out, ':');
    }
    rc = write_value(w, branch->schema, out);
    if (!is_null)
        buf_append_byte(out, '}');
    return rc;
}

static int write_record(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    int rc = 0;
    buf_append_byte(out, '{');
    for (size_t i = 0; rc == 0 && i < schema->count; i++) {
        buf_append_str(out, i ? "," : "");
        append_string(out, slice_str(schema->parts[i].name));
        buf_append_byte(out, ':');
        rc = write_value(w, schema->parts[i].schema, out);
    }
    buf_append_byte(out, '}');
    return rc;
}

/* How many items follow: 0 = no more. */
static int take_count(struct walk *w, uint64_t *ret)
{
    int64_t n = 0, size = 0;
    if (!fs_avro_long(w->in, &n) || n < -INT32_MAX || n > INT32_MAX)
        return ERR_CORRUPT;
    if (n < 0 && !fs_avro_long(w->in, &size))
        return ERR_CORRUPT;
    *ret = (uint64_t)(n < 0 ? -n : n);
    return 0;
}

static int write_array(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    uint64_t n = 0;
    bool is_first = true;
    buf_append_byte(out, '[');
    int rc = take_count(w, &n);
    while (rc == 0 && n) {
        for (; rc == 0 && n; n--) {
            buf_append_str(out, is_first ? "" : ",");
            is_first = false;
            rc = write_value(w, schema->parts[0].schema, out);
        }
        if (rc == 0)
            rc = take_count(w, &n);
    }
    buf_append_byte(out, ']');
    return rc;
}

/* ---- maps ---- */

struct pair {
    struct slice key;
    size_t at, len; /* its value among the texts */
    size_t place;   /* in the order they came */
    uint32_t hash;
};

struct pairs {
    struct pair *v;
    size_t n, cap;
    size_t room; /* what the map was made for: the count of its first block */
    struct buf texts;
};

/* String.hashCode(): of the UTF-16 of it. Utf8.hashCode(): of its bytes, which are signed. */
static uint32_t hash_of(struct slice key, bool is_java)
{
    uint32_t hash = 0;
    for (size_t i = 0; !is_java && i < key.len; i++)
        hash = hash * 31 + key.data[i] - (key.data[i] < 0x80 ? 0 : 0x100);
    while (is_java && key.len) {
        uint32_t point = 0, pair[2];
        size_t n = slice_utf8(key, &point);
        if (split(point, pair))
            hash = (hash * 31 + pair[0]) * 31 + pair[1];
        else
            hash = hash * 31 + (point < UTF8_BAD ? point : NO_CHARACTER);
        key = slice_of(key.data + n, key.len - n);
    }
    return hash ^ hash >> 16;
}

static int take_pair(struct walk *w, const struct avro_schema *schema, struct pairs *pairs)
{
    if (mem_grow(&pairs->v, &pairs->cap, pairs->n, sizeof(*pairs->v)) != 0)
        return ERR_NOMEM;
    struct pair pair = {.at = pairs->texts.len, .place = pairs->n};
    int rc = take_bytes(w, &pair.key);
    if (rc == 0)
        rc = write_value(w, schema->parts[0].schema, &pairs->texts);
    pair.len = pairs->texts.len - pair.at;
    pair.hash = rc == 0 ? hash_of(pair.key, schema->has_java_strings) : 0;
    pairs->v[pairs->n++] = pair;
    return rc;
}

static int take_pairs(struct walk *w, const struct avro_schema *schema, struct pairs *pairs)
{
    uint64_t n = 0;
    int rc = take_count(w, &n);
    pairs->room = (size_t)n;
    while (rc == 0 && n) {
        for (; rc == 0 && n; n--)
            rc = take_pair(w, schema, pairs);
        if (rc == 0)
            rc = take_count(w, &n);
    }
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int order = slice_cmp(x->key, y->key);
    return order ? order : x->place < y->place ? -1 : 1;
}

static int by_bucket(const void *a, const void *b, void *arg)
{
    const struct pair *x = a, *y = b;
    uint32_t mask = *(const uint32_t *)arg, bx = x->hash & mask, by = y->hash & mask;
    return bx != by ? (bx < by ? -1 : 1) : x->place < y->place ? -1 : 1;
}

/* A key that came twice stands where it came first, with its last value. */
static void drop_doubles(struct pairs *pairs)
{
    size_t kept = 0;
    qsort(pairs->v, pairs->n, sizeof(*pairs->v), by_key);
    for (size_t i = 0; i < pairs->n; i++) {
        struct pair *last = kept ? &pairs->v[kept - 1] : NULL;
        if (last && slice_eq(last->key, pairs->v[i].key)) {
            last->at = pairs->v[i].at;
            last->len = pairs->v[i].len;
        } else {
            pairs->v[kept++] = pairs->v[i];
        }
    }
    pairs->n = kept;
}

/* A HashMap has a power of two of buckets, and doubles them when more than three quarters of that
 * are in it. */
static void order_as_java(struct pairs *pairs)
{
    uint64_t buckets = 1;
    drop_doubles(pairs);
    while (buckets < pairs->room || pairs->n > buckets * 3 / 4)
        buckets *= 2;
    uint32_t mask = (uint32_t)(buckets - 1);
    qsort_r(pairs->v, pairs->n, sizeof(*pairs->v), by_bucket, &mask);
}

static int write_map(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    struct pairs pairs = {.texts = BUF_INIT};
    int rc = take_pairs(w, schema, &pairs);
    if (rc == 0 && pairs.n)
        order_as_java(&pairs);
    buf_append_byte(out, '{');
    for (size_t i = 0; rc == 0 && !buf_failed(&pairs.texts) && i < pairs.n; i++) {
        buf_append_str(out, i ? "," : "");
        append_string(out, pairs.v[i].key);
        buf_append_byte(out, ':');
        buf_append(out, pairs.texts.data + pairs.v[i].at, pairs.v[i].len);
    }
    buf_append_byte(out, '}');
    rc = rc == 0 && buf_failed(&pairs.texts) ? ERR_NOMEM : rc;
    buf_release(&pairs.texts);
    mem_free(pairs.v);
    return rc;
}

static int write_by_type(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    switch (schema->type) {
    case AVRO_NULL:
        buf_append_str(out, "null");
        return 0;
    case AVRO_BOOLEAN:
        return write_bool(w, out);
    case AVRO_INT:
    case AVRO_LONG:
        return write_number(w, out);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return write_real(w, schema->type == AVRO_DOUBLE, out);
    case AVRO_BYTES:
        return write_text(w, out, append_latin);
    case AVRO_STRING:
        return write_text(w, out, append_string);
    case AVRO_RECORD:
        return write_record(w, schema, out);
    case AVRO_ENUM:
        return write_enum(w, schema, out);
    case AVRO_FIXED:
        return write_fixed(w, schema->size, out);
    case AVRO_ARRAY:
        return write_array(w, schema, out);
    case AVRO_MAP:
        return write_map(w, schema, out);
    case AVRO_UNION:
        return write_union(w, schema, out);
    case AVRO_TYPES:
        break;
    }
    BUG("no such type");
}

static int write_value(struct walk *w, const struct avro_schema *schema, struct buf *out)
{
    if (w->depth >= DEPTH_MAX || out->len > FS_RECORD_MAX)
        return ERR_CORRUPT;
    w->depth++;
    int rc = write_by_type(w, schema, out);
    w->depth--;
    return rc == 0 && buf_failed(out) ? ERR_NOMEM : rc;
}

int fs_avro_json(const struct avro_schema *schema, struct slice *in, struct buf *out)
{
    struct walk walk = {.in = in};
    return write_value(&walk, schema, out);
}
