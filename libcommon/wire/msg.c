/* SPDX-License-Identifier: Apache-2.0
 * One walk over a message's rows for each of encode, decode, print and seed. */
#include "libcommon/wire/msg.h"

#include <inttypes.h>
#include <math.h>

#include "libcommon/wire/pack.h"

/* What decoding may take from the arena, per byte received: an object of one byte becomes at most a
 * slice or list of 16 in a struct; twice that leaves room for senders that know fewer fields. */
#define BYTES_PER_BYTE 32U
#define BYTES_FREE     4096U

static const struct msg_field no_fields[1];
static const struct msg_field *void_fields(void)
{
    return no_fields;
}
const struct msg_desc msg_void_desc = {"msg_void", sizeof(struct msg_void), 0, 0, void_fields};

/* ---- encode ---- */

static void encode_msg(msgpack_packer *to, const struct msg_desc *desc, const char *msg);

static void encode_str(msgpack_packer *to, const struct slice *s)
{
    msgpack_pack_str(to, s->len);
    if (s->len)
        msgpack_pack_str_body(to, s->data, s->len);
}

static void encode_bytes(msgpack_packer *to, const struct slice *s)
{
    msgpack_pack_bin(to, s->len);
    if (s->len)
        msgpack_pack_bin_body(to, s->data, s->len);
}

/* Every `struct NAME_list` has this shape. */
struct any_list {
    char *v;
    size_t n;
};

static void encode_field(msgpack_packer *to, const struct msg_field *field, const char *at)
{
    switch (field->kind) {
    case MSG_KIND_U64:
        msgpack_pack_uint64(to, *(const uint64_t *)(const void *)at);
        break;
    case MSG_KIND_U32:
        msgpack_pack_uint32(to, *(const uint32_t *)(const void *)at);
        break;
    case MSG_KIND_I64:
        msgpack_pack_int64(to, *(const int64_t *)(const void *)at);
        break;
    case MSG_KIND_F64:
        msgpack_pack_double(to, *(const double *)(const void *)at);
        break;
    case MSG_KIND_BOOL:
        if (*(const bool *)at)
            msgpack_pack_true(to);
        else
            msgpack_pack_false(to);
        break;
    case MSG_KIND_STR:
        encode_str(to, (const struct slice *)(const void *)at);
        break;
    case MSG_KIND_BYTES:
        encode_bytes(to, (const struct slice *)(const void *)at);
        break;
    case MSG_KIND_U64S: {
        const struct msg_u64s *list = (const void *)at;
        msgpack_pack_array(to, list->n);
        for (size_t i = 0; i < list->n; i++)
            msgpack_pack_uint64(to, list->v[i]);
        break;
    }
    case MSG_KIND_STRS: {
        const struct msg_strs *list = (const void *)at;
        msgpack_pack_array(to, list->n);
        for (size_t i = 0; i < list->n; i++)
            encode_str(to, &list->v[i]);
        break;
    }
    case MSG_KIND_STRUCT:
        encode_msg(to, field->sub, at);
        break;
    case MSG_KIND_LIST: {
        const struct any_list *list = (const void *)at;
        msgpack_pack_array(to, list->n);
        for (size_t i = 0; i < list->n; i++)
            encode_msg(to, field->sub, list->v + i * field->sub->size);
        break;
    }
    }
}

static void encode_msg(msgpack_packer *to, const struct msg_desc *desc, const char *msg)
{
    const struct msg_field *fields = desc->fields();
    msgpack_pack_array(to, desc->field_count);
    for (uint32_t i = 0; i < desc->field_count; i++)
        encode_field(to, &fields[i], msg + fields[i].offset);
}

void msg_encode(const struct msg_desc *desc, const void *msg, struct buf *out)
{
    msgpack_packer packer;
    pack_init(&packer, out);
    encode_msg(&packer, desc, msg);
}

/* ---- decode ---- */

struct decoder {
    struct arena *arena;
    size_t budget; /* bytes the arena may still give */
    struct err *err;
    const char *wrong;
};

static int decode_msg(struct decoder *from, const struct msg_desc *desc, const msgpack_object *in,
                      char *msg);

static int refuse(struct decoder *from, const char *wrong)
{
    from->wrong = wrong;
    return ERR_PROTO;
}

static int decode_u64(struct decoder *from, const msgpack_object *in, uint64_t *ret)
{
    if (in->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return refuse(from, "must be a number that is not negative");
    *ret = in->via.u64;
    return 0;
}

static int decode_u32(struct decoder *from, const msgpack_object *in, uint32_t *ret)
{
    if (in->type != MSGPACK_OBJECT_POSITIVE_INTEGER || in->via.u64 > UINT32_MAX)
        return refuse(from, "must be a number of 32 bits that is not negative");
    *ret = (uint32_t)in->via.u64;
    return 0;
}

static int decode_i64(struct decoder *from, const msgpack_object *in, int64_t *ret)
{
    if (in->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *ret = in->via.i64;
        return 0;
    }
    if (in->type != MSGPACK_OBJECT_POSITIVE_INTEGER || in->via.u64 > INT64_MAX)
        return refuse(from, "must be a number of 63 bits and a sign");
    *ret = (int64_t)in->via.u64;
    return 0;
}

static int decode_f64(struct decoder *from, const msgpack_object *in, double *ret)
{
    if (in->type != MSGPACK_OBJECT_FLOAT64 && in->type != MSGPACK_OBJECT_FLOAT32)
        return refuse(from, "must be a floating-point number");
    *ret = in->via.f64;
    return 0;
}

static int decode_str(struct decoder *from, const msgpack_object *in, struct slice *ret)
{
    if (in->type != MSGPACK_OBJECT_STR)
        return refuse(from, "must be a string");
    *ret = slice_of(in->via.str.ptr, in->via.str.size);
    return 0;
}

static int decode_bytes(struct decoder *from, const msgpack_object *in, struct slice *ret)
{
    if (in->type != MSGPACK_OBJECT_BIN)
        return refuse(from, "must be bytes");
    *ret = slice_of(in->via.bin.ptr, in->via.bin.size);
    return 0;
}

/* Room for the list's items; *ret_v stays NULL for an empty list. */
static int open_list(struct decoder *from, const msgpack_object *in, size_t item_size, void *ret_v)
{
    if (in->type != MSGPACK_OBJECT_ARRAY)
        return refuse(from, "must be a list");
    size_t bytes = (size_t)in->via.array.size * item_size; /* at most 2^22 items of 2^32 bytes */
    if (bytes == 0)
        return 0;
    if (bytes > from->budget)
        return refuse(from, "claims far more items than it has bytes");
    from->budget -= bytes;
    void *v = arena_calloc(from->arena, in->via.array.size, item_size);
    if (!v)
        return ERR_NOMEM;
    memcpy(ret_v, &v, sizeof(v));
    return 0;
}

static int decode_u64s(struct decoder *from, const msgpack_object *in, struct msg_u64s *ret)
{
    uint64_t *v = NULL;
    int rc = open_list(from, in, sizeof(*v), &v);
    for (uint32_t i = 0; rc == 0 && v && i < in->via.array.size; i++)
        rc = decode_u64(from, &in->via.array.ptr[i], &v[i]);
    if (rc == 0)
        *ret = (struct msg_u64s){v, in->via.array.size};
    return rc;
}

static int decode_strs(struct decoder *from, const msgpack_object *in, struct msg_strs *ret)
{
    struct slice *v = NULL;
    int rc = open_list(from, in, sizeof(*v), &v);
    for (uint32_t i = 0; rc == 0 && v && i < in->via.array.size; i++)
        rc = decode_str(from, &in->via.array.ptr[i], &v[i]);
    if (rc == 0)
        *ret = (struct msg_strs){v, in->via.array.size};
    return rc;
}

static int decode_list(struct decoder *from, const struct msg_desc *desc, const msgpack_object *in,
                       struct any_list *ret)
{
    char *v = NULL;
    int rc = open_list(from, in, desc->size, &v);
    for (uint32_t i = 0; rc == 0 && v && i < in->via.array.size; i++)
        rc = decode_msg(from, desc, &in->via.array.ptr[i], v + (size_t)i * desc->size);
    if (rc == 0)
        *ret = (struct any_list){v, in->via.array.size};
    return rc;
}

static int decode_field(struct decoder *from, const struct msg_field *field,
                        const msgpack_object *in, void *at)
{
    switch (field->kind) {
    case MSG_KIND_U64:
        return decode_u64(from, in, at);
    case MSG_KIND_U32:
        return decode_u32(from, in, at);
    case MSG_KIND_I64:
        return decode_i64(from, in, at);
    case MSG_KIND_F64:
        return decode_f64(from, in, at);
    case MSG_KIND_BOOL:
        if (in->type != MSGPACK_OBJECT_BOOLEAN)
            return refuse(from, "must be true or false");
        *(bool *)at = in->via.boolean;
        return 0;
    case MSG_KIND_STR:
        return decode_str(from, in, at);
    case MSG_KIND_BYTES:
        return decode_bytes(from, in, at);
    case MSG_KIND_U64S:
        return decode_u64s(from, in, at);
    case MSG_KIND_STRS:
        return decode_strs(from, in, at);
    case MSG_KIND_STRUCT:
        return decode_msg(from, field->sub, in, at);
    case MSG_KIND_LIST:
        return decode_list(from, field->sub, in, at);
    }
    BUG("message field %s is of kind %d", field->name, (int)field->kind);
}

/* msg is zeroed. The innermost failure names its field; outer ones leave it alone. */
static int decode_msg(struct decoder *from, const struct msg_desc *desc, const msgpack_object *in,
                      char *msg)
{
    const struct msg_field *fields = desc->fields();
    if (in->type != MSGPACK_OBJECT_ARRAY) {
        from->wrong = NULL;
        return err_set(from->err, ERR_PROTO, "message %s must be an array", desc->name);
    }
    uint32_t count =
        in->via.array.size < desc->field_count ? in->via.array.size : desc->field_count;
    for (uint32_t i = 0; i < count; i++) {
        int rc = decode_field(from, &fields[i], &in->via.array.ptr[i], msg + fields[i].offset);
        if (rc == 0)
            continue;
        if (from->wrong)
            err_set(from->err, rc, "message %s: %s %s", desc->name, fields[i].name, from->wrong);
        else if (rc == ERR_NOMEM)
            err_set(from->err, rc, "out of memory decoding message %s", desc->name);
        from->wrong = NULL;
        return rc;
    }
    if (count < desc->field_count && fields[count].offset < desc->needed)
        return err_set(from->err, ERR_PROTO, "message %s lacks its field %s", desc->name,
                       fields[count].name);
    return 0;
}

int msg_decode(const struct msg_desc *desc, struct slice in, struct arena *arena, void *ret_msg,
               struct err *err)
{
    struct pack_tree tree;
    int rc = pack_open(in, &tree, err);
    if (rc != 0) {
        err_wrap(err, "message %s", desc->name);
        return rc;
    }
    struct decoder from = {
        .arena = arena, .budget = in.len * BYTES_PER_BYTE + BYTES_FREE, .err = err};
    memset(ret_msg, 0, desc->size);
    rc = decode_msg(&from, desc, &tree.root, ret_msg);
    pack_close(&tree);
    return rc;
}

/* ---- print ---- */

/* Length of the UTF-8 sequence at p, or 0 when it is none. */
static size_t utf8_len(const uint8_t *p, size_t left)
{
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xc2 && *p < 0xe0 ? 2
               : (*p & 0xf0) == 0xe0     ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;
    if (n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)))
        return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)))
        return 0;
    return n;
}

/* A byte that is no UTF-8 is shown as the character of that number, so that nothing is lost to a
 * reader and the line stays valid JSON. */
static void print_str(struct slice s, struct buf *out)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len(s.data + i, s.len - i);
        uint8_t c = s.data[i];
        if (n == 0 || c < 0x20 || c == 0x7f) {
            buf_printf(out, "\\u%04x", c);
            i++;
            continue;
        }
        if (c == '"' || c == '\\')
            buf_append_byte(out, '\\');
        buf_append(out, s.data + i, n);
        i += n;
    }
    buf_append_byte(out, '"');
}

static void print_hex(struct slice s, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    buf_append_byte(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        buf_append_byte(out, (uint8_t)digits[s.data[i] >> 4]);
        buf_append_byte(out, (uint8_t)digits[s.data[i] & 15]);
    }
    buf_append_byte(out, '"');
}

static void print_f64(double v, struct buf *out)
{
    if (isfinite(v))
        buf_printf(out, "%.17g", v);
    else
        buf_append_str(out, "null"); /* JSON has no word for it */
}

/* Messages are printed whole, a job's history with dozens of numbers an attempt. */
static void print_u64(struct buf *out, uint64_t v)
{
    char digits[20], *end = digits + sizeof(digits), *at = end;
    do
        *--at = (char)('0' + v % 10);
    while (v /= 10);
    buf_append(out, at, (size_t)(end - at));
}

static void print_field(const struct msg_field *field, const char *at, struct buf *out);

static void print_list(const struct msg_field *field, const char *at, struct buf *out)
{
    const struct any_list *list = (const void *)at;
    struct msg_field item = {.name = field->name, .sub = field->sub};
    size_t size;
    if (field->kind == MSG_KIND_U64S) {
        item.kind = MSG_KIND_U64;
        size = sizeof(uint64_t);
    } else if (field->kind == MSG_KIND_STRS) {
        item.kind = MSG_KIND_STR;
        size = sizeof(struct slice);
    } else {
        item.kind = MSG_KIND_STRUCT;
        size = field->sub->size;
    }
    buf_append_byte(out, '[');
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            buf_append_byte(out, ',');
        print_field(&item, list->v + i * size, out);
    }
    buf_append_byte(out, ']');
}

static void print_field(const struct msg_field *field, const char *at, struct buf *out)
{
    switch (field->kind) {
    case MSG_KIND_U64:
        print_u64(out, *(const uint64_t *)(const void *)at);
        break;
    case MSG_KIND_U32:
        print_u64(out, *(const uint32_t *)(const void *)at);
        break;
    case MSG_KIND_I64:
        buf_printf(out, "%" PRId64, *(const int64_t *)(const void *)at);
        break;
    case MSG_KIND_F64:
        print_f64(*(const double *)(const void *)at, out);
        break;
    case MSG_KIND_BOOL:
        buf_append_str(out, *(const bool *)at ? "true" : "false");
        break;
    case MSG_KIND_STR:
        print_str(*(const struct slice *)(const void *)at, out);
        break;
    case MSG_KIND_BYTES:
        print_hex(*(const struct slice *)(const void *)at, out);
        break;
    case MSG_KIND_STRUCT:
        msg_print(field->sub, at, out);
        break;
    case MSG_KIND_U64S:
    case MSG_KIND_STRS:
    case MSG_KIND_LIST:
        print_list(field, at, out);
        break;
    }
}

void msg_print(const struct msg_desc *desc, const void *msg, struct buf *out)
{
    const struct msg_field *fields = desc->fields();
    buf_append_byte(out, '{');
    for (uint32_t i = 0; i < desc->field_count; i++) {
        buf_append_str(out, i ? ",\"" : "\"");
        buf_append_str(out, fields[i].name);
        buf_append_str(out, "\":");
        print_field(&fields[i], (const char *)msg + fields[i].offset, out);
    }
    buf_append_byte(out, '}');
}

int msg_print_line(const struct msg_desc *desc, const void *msg, FILE *out)
{
    struct buf text = BUF_INIT;
    msg_print(desc, msg, &text);
    buf_append_byte(&text, '\n');
    int rc = buf_failed(&text) ? ERR_NOMEM : 0;
    if (rc == 0)
        fwrite(text.data, 1, text.len, out);
    buf_release(&text);
    return rc;
}

/* ---- seed ---- */

static void seed_msg(msgpack_packer *to, const struct msg_desc *desc, struct rand *rand);

/* Small numbers and the edges of each width are where decoders go wrong. */
static uint64_t seed_u64(struct rand *rand)
{
    uint64_t v = rand_u64(rand) >> rand_below(rand, 64);
    switch (rand_below(rand, 4)) {
    case 0:
        return v & 0xff;
    case 1:
        return UINT64_MAX >> (8 * rand_below(rand, 8));
    default:
        return v;
    }
}

static struct slice seed_bytes(struct rand *rand, uint8_t *room, size_t cap)
{
    size_t len = rand_below(rand, rand_chance(rand, 4) ? cap : 8);
    for (size_t i = 0; i < len; i++)
        room[i] = (uint8_t)(rand_chance(rand, 8) ? rand_u64(rand) : 'a' + rand_below(rand, 26));
    return slice_of(room, len);
}

static void seed_str(msgpack_packer *to, struct rand *rand)
{
    uint8_t room[300];
    struct slice s = seed_bytes(rand, room, sizeof(room));
    encode_str(to, &s);
}

static void seed_list(msgpack_packer *to, const struct msg_field *field, struct rand *rand)
{
    size_t n = rand_below(rand, 4);
    msgpack_pack_array(to, n);
    for (size_t i = 0; i < n; i++) {
        if (field->kind == MSG_KIND_U64S)
            msgpack_pack_uint64(to, seed_u64(rand));
        else if (field->kind == MSG_KIND_STRS)
            seed_str(to, rand);
        else if (field->sub)
            seed_msg(to, field->sub, rand);
    }
}

static void seed_field(msgpack_packer *to, const struct msg_field *field, struct rand *rand)
{
    uint8_t room[300];
    struct slice s;
    switch (field->kind) {
    case MSG_KIND_U64:
        msgpack_pack_uint64(to, seed_u64(rand));
        break;
    case MSG_KIND_U32:
        msgpack_pack_uint32(to, (uint32_t)seed_u64(rand));
        break;
    case MSG_KIND_I64:
        msgpack_pack_int64(to, (int64_t)seed_u64(rand));
        break;
    case MSG_KIND_F64:
        msgpack_pack_double(to, (double)(int64_t)seed_u64(rand) / 8);
        break;
    case MSG_KIND_BOOL:
        if (rand_chance(rand, 2))
            msgpack_pack_true(to);
        else
            msgpack_pack_false(to);
        break;
    case MSG_KIND_STR:
        seed_str(to, rand);
        break;
    case MSG_KIND_BYTES:
        s = seed_bytes(rand, room, sizeof(room));
        encode_bytes(to, &s);
        break;
    case MSG_KIND_STRUCT:
        seed_msg(to, field->sub, rand);
        break;
    case MSG_KIND_U64S:
    case MSG_KIND_STRS:
    case MSG_KIND_LIST:
        seed_list(to, field, rand);
        break;
    }
}

static void seed_msg(msgpack_packer *to, const struct msg_desc *desc, struct rand *rand)
{
    const struct msg_field *fields = desc->fields();
    msgpack_pack_array(to, desc->field_count);
    for (uint32_t i = 0; i < desc->field_count; i++)
        seed_field(to, &fields[i], rand);
}

void msg_seed(const struct msg_desc *desc, struct rand *rand, struct buf *out)
{
    msgpack_packer packer;
    pack_init(&packer, out);
    seed_msg(&packer, desc, rand);
}
