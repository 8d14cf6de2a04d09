/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/wire/pack.h"

#include <stdatomic.h>

/* ---- writing ---- */

static int append(void *data, const char *bytes, size_t len)
{
    struct buf *out = data;
    buf_append(out, bytes, len);
    return out->failed ? -1 : 0;
}

void pack_init(msgpack_packer *packer, struct buf *out)
{
    msgpack_packer_init(packer, out, append);
}

/* ---- scanning ---- */

/* What follows a first byte: `skip` bytes of value, then `items` objects inside. */
struct head {
    uint64_t skip;
    uint64_t items;
    bool is_container;
};

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* The bytes of a count or length that follows the first byte: msgpack's order of widths is 8, 16,
 * 32 for bin and str, 16, 32 for array and map. */
static size_t count_width(uint8_t first)
{
    switch (first) {
    case 0xc4:
    case 0xd9:
        return 1;
    case 0xc5:
    case 0xda:
    case 0xdc:
    case 0xde:
        return 2;
    case 0xc6:
    case 0xdb:
    case 0xdd:
    case 0xdf:
        return 4;
    default:
        return 0;
    }
}

/* 0, or what is wrong with the object that starts at `p`. */
static const char *read_head(const uint8_t *p, size_t left, struct head *ret)
{
    static const uint8_t number_bytes[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8}; /* ca .. d3 */
    uint8_t first = p[0];
    size_t width = count_width(first);
    if (left - 1 < width)
        return "cut short";
    uint64_t count = big_endian(p + 1, width);
    *ret = (struct head){.skip = 1 + width};
    if (first <= 0x7f || first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3)
        return NULL; /* small integers, nil, false, true: nothing more */
    if (first >= 0xca && first <= 0xd3)
        ret->skip += number_bytes[first - 0xca];
    else if (first <= 0x8f) /* fixmap */
        ret->items = 2U * (first & 0x0f), ret->is_container = true;
    else if (first <= 0x9f) /* fixarray */
        ret->items = first & 0x0f, ret->is_container = true;
    else if (first <= 0xbf) /* fixstr */
        ret->skip += first & 0x1f;
    else if ((first >= 0xc4 && first <= 0xc6) || (first >= 0xd9 && first <= 0xdb))
        ret->skip += count;
    else if (first == 0xdc || first == 0xdd)
        ret->items = count, ret->is_container = true;
    else if (first == 0xde || first == 0xdf)
        ret->items = 2 * count, ret->is_container = true;
    else
        return "a type we do not use"; /* extensions, 0xc1 */
    if (ret->skip > left)
        return "cut short";
    if (ret->items > left - ret->skip)
        return "a count larger than the message";
    return NULL;
}

int pack_scan(struct slice in, struct err *err)
{
    uint64_t open[MSG_DEPTH_MAX]; /* objects still to come, per level */
    size_t depth = 0, at = 0;
    uint64_t objects = 0;
    const char *wrong = NULL;
    do {
        struct head head;
        wrong = at < in.len ? read_head(in.data + at, in.len - at, &head) : "cut short";
        if (wrong)
            break;
        at += head.skip;
        if (++objects > PACK_ITEMS_MAX)
            wrong = "too many objects";
        else if (head.is_container && depth == MSG_DEPTH_MAX)
            wrong = "nested too deeply";
        else if (head.is_container)
            open[depth++] = head.items;
        while (depth > 0 && open[depth - 1] == 0)
            depth--;
        if (depth > 0)
            open[depth - 1]--;
        else
            break;
    } while (!wrong);
    if (!wrong && at != in.len)
        wrong = "bytes left over behind the message";
    if (wrong)
        return err_set(err, ERR_PROTO, "bad msgpack at byte %zu of %zu: %s", at, in.len, wrong);
    return 0;
}

/* ---- reading ---- */

/* Allocating a zone for each message would cost more than unpacking it. One waits here; whoever
 * finds the place empty (another thread is decoding) makes his own. */
#define ZONE_CHUNK_BYTES 4096
static _Atomic(msgpack_zone *) spare_zone;

int pack_open(struct slice in, struct pack_tree *ret, struct err *err)
{
    int rc = pack_scan(in, err);
    if (rc != 0)
        return rc;
    struct pack_tree tree = {.zone = atomic_exchange(&spare_zone, NULL)};
    if (!tree.zone)
        tree.zone = msgpack_zone_new(ZONE_CHUNK_BYTES);
    if (!tree.zone)
        return err_set(err, ERR_NOMEM, "out of memory decoding a message");
    size_t off = 0;
    msgpack_unpack_return got =
        msgpack_unpack((const char *)in.data, in.len, &off, tree.zone, &tree.root);
    if (got == MSGPACK_UNPACK_SUCCESS) {
        *ret = tree;
        return 0;
    }
    pack_close(&tree);
    if (got == MSGPACK_UNPACK_NOMEM_ERROR)
        return err_set(err, ERR_NOMEM, "out of memory decoding a message of %zu bytes", in.len);
    return err_set(err, ERR_PROTO, "bad msgpack before byte %zu of %zu", off, in.len);
}

void pack_close(struct pack_tree *tree)
{
    msgpack_zone_clear(tree->zone);
    msgpack_zone *before = atomic_exchange(&spare_zone, tree->zone);
    if (before)
        msgpack_zone_free(before);
    tree->zone = NULL;
}
