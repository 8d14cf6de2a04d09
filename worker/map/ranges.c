/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/map/ranges.h"

static const char magic[] = "quern ranges 1\n";
#define MAGIC_LEN (sizeof(magic) - 1)

void ranges_begin_sample(struct buf *out)
{
    buf_append(out, magic, MAGIC_LEN);
}

void ranges_add_to_sample(struct buf *out, struct slice kept)
{
    uint8_t head[4];
    uint32_t len = kept.len < RANGES_KEY_MAX ? (uint32_t)kept.len : RANGES_KEY_MAX;
    put_u32(head, len);
    buf_append(out, head, sizeof(head));
    buf_append(out, kept.data, len);
}

static int damaged(struct err *err)
{
    return err_set(err, ERR_CORRUPT,
                   "the sample of keys that cuts the reducers' ranges is damaged");
}

/* The next key off *rest; false at its end, and where it is no key (then *rest is not empty). */
static bool next_key(struct slice *rest, struct slice *ret)
{
    if (rest->len < 4)
        return false;
    uint32_t len = get_u32(rest->data);
    if (len > RANGES_KEY_MAX || len > rest->len - 4)
        return false;
    *ret = slice_of(rest->data + 4, len);
    *rest = slice_of(rest->data + 4 + len, rest->len - 4 - len);
    return true;
}

/* *ret_count of them; ERR_CORRUPT also where they are not in order. */
static int count_keys(struct slice sample, size_t *ret_count, struct err *err)
{
    struct slice key, before = {0};
    *ret_count = 0;
    while (next_key(&sample, &key)) {
        if (*ret_count > 0 && slice_cmp(before, key) > 0)
            return damaged(err);
        before = key;
        ++*ret_count;
    }
    return sample.len == 0 ? 0 : damaged(err);
}

int ranges_open(struct ranges *ranges, struct slice sample, uint32_t reducers, struct arena *arena,
                struct err *err)
{
    *ranges = (struct ranges){0};
    size_t keys = 0;
    if (sample.len < MAGIC_LEN || memcmp(sample.data, magic, MAGIC_LEN) != 0)
        return damaged(err);
    sample = slice_of(sample.data + MAGIC_LEN, sample.len - MAGIC_LEN);
    int rc = count_keys(sample, &keys, err);
    if (rc != 0 || keys == 0 || reducers < 2)
        return rc;
    ranges->starts = arena_calloc(arena, reducers, sizeof(*ranges->starts));
    ranges->prefixes = arena_calloc(arena, reducers, sizeof(*ranges->prefixes));
    if (!ranges->starts || !ranges->prefixes)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct slice key;
    for (uint64_t at = 0; next_key(&sample, &key); at++)
        while (ranges->count + 1 < reducers &&
               (uint64_t)(ranges->count + 1) * keys / reducers == at) {
            ranges->starts[ranges->count] = key;
            ranges->prefixes[ranges->count++] = key_prefix(key);
        }
    return 0;
}

uint32_t ranges_pick_whole(const struct ranges *ranges, struct slice kept)
{
    uint32_t from = 0, end = ranges->count;
    while (from < end) {
        uint32_t mid = from + (end - from) / 2;
        if (slice_cmp(ranges->starts[mid], kept) <= 0)
            from = mid + 1;
        else
            end = mid;
    }
    return from;
}
