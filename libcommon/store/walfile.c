/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/walfile.h"

#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"

#define SEGMENT_MAGIC   0x47455351U /* "QSEG" */
#define RECORD_MAGIC    0x43455251U /* "QREC" */
#define SEGMENT_VERSION 1U
#define HEAD_CRC_AT     60U

#define FLAG_PLACE      0x3fffU
#define FLAG_LAST       0x4000U
#define FLAG_KNOWN      (FLAG_PLACE | FLAG_LAST)

#define AT_LEN          4U
#define AT_INDEX        8U
#define AT_TERM         16U
#define AT_TYPE         24U
#define AT_FLAGS        26U
#define AT_PREV         28U

_Static_assert(WALFILE_BATCH_MAX == FLAG_PLACE + 1, "every place fits the flags");

static size_t round_up(size_t n, size_t unit)
{
    return (n + unit - 1) / unit * unit;
}

char *walfile_name(char out[WALFILE_NAME_MAX], uint64_t first_index)
{
    snprintf(out, WALFILE_NAME_MAX, "log.%012llu", (unsigned long long)first_index);
    return out;
}

bool walfile_name_parse(const char *name, uint64_t *ret_first)
{
    uint64_t first = 0;
    char again[WALFILE_NAME_MAX];
    if (strncmp(name, "log.", 4) != 0 || str_to_u64(name + 4, &first) != 0 || first == 0)
        return false;
    if (strcmp(walfile_name(again, first), name) != 0)
        return false;
    *ret_first = first;
    return true;
}

void walfile_head_encode(const struct walfile_head *head, uint8_t out[WALFILE_BLOCK])
{
    memset(out, 0, WALFILE_BLOCK);
    put_u32(out, SEGMENT_MAGIC);
    put_u32(out + 4, SEGMENT_VERSION);
    put_u64(out + 8, head->wal_id);
    put_u64(out + 16, head->first_index);
    put_u64(out + 24, head->prev_term);
    put_u32(out + 32, head->prev_crc);
    put_u32(out + HEAD_CRC_AT, crc32c(0, out, HEAD_CRC_AT));
}

int walfile_head_decode(struct slice file, struct walfile_head *ret)
{
    const uint8_t *p = file.data;
    if (file.len < WALFILE_BLOCK || get_u32(p) != SEGMENT_MAGIC)
        return ERR_CORRUPT;
    if (get_u32(p + HEAD_CRC_AT) != crc32c(0, p, HEAD_CRC_AT))
        return ERR_CORRUPT;
    if (get_u32(p + 4) != SEGMENT_VERSION)
        return ERR_VERSION;
    *ret = (struct walfile_head){
        .wal_id = get_u64(p + 8),
        .first_index = get_u64(p + 16),
        .prev_term = get_u64(p + 24),
        .prev_crc = get_u32(p + 32),
    };
    return 0;
}

uint32_t walfile_chain_start(uint64_t wal_id)
{
    return crc32c(0, &wal_id, sizeof(wal_id));
}

size_t walfile_record_size(size_t payload_len)
{
    return round_up(WALFILE_RECORD_HEAD + payload_len + 4, 8);
}

void walfile_append(struct buf *out, const struct wal_record *record)
{
    size_t len = record->payload.len, size = walfile_record_size(len);
    uint8_t *p = buf_reserve(out, size);
    if (!p)
        return;
    put_u32(p, RECORD_MAGIC);
    put_u32(p + AT_LEN, (uint32_t)len);
    put_u64(p + AT_INDEX, record->index);
    put_u64(p + AT_TERM, record->term);
    put_u16(p + AT_TYPE, record->type);
    memset(p + AT_FLAGS, 0, WALFILE_RECORD_HEAD - AT_FLAGS);
    if (len)
        memcpy(p + WALFILE_RECORD_HEAD, record->payload.data, len);
    memset(p + WALFILE_RECORD_HEAD + len, 0, size - WALFILE_RECORD_HEAD - len);
    out->len += size;
}

static uint32_t finish_record(uint8_t *p, uint16_t flags, uint32_t prev_crc)
{
    size_t end = WALFILE_RECORD_HEAD + get_u32(p + AT_LEN);
    put_u16(p + AT_FLAGS, flags);
    put_u32(p + AT_PREV, prev_crc);
    uint32_t crc = crc32c(0, p, end);
    put_u32(p + end, crc);
    return crc;
}

/* How many fit: the flags must know which is last before it is summed. */
static struct walfile_batch measure(const uint8_t *data, size_t len, uint64_t room)
{
    struct walfile_batch batch = {0};
    while (batch.bytes < len && batch.records < WALFILE_BATCH_MAX) {
        size_t size = walfile_record_size(get_u32(data + batch.bytes + AT_LEN));
        if (batch.bytes + size > room)
            break;
        batch.bytes += size;
        batch.records++;
    }
    return batch;
}

struct walfile_batch walfile_seal_batch(uint8_t *data, size_t len, uint64_t room, uint32_t *chain)
{
    struct walfile_batch batch = measure(data, len, room);
    uint8_t *p = data;
    for (size_t i = 0; i < batch.records; i++) {
        bool is_last = i + 1 == batch.records;
        *chain = finish_record(p, (uint16_t)(i | (is_last ? FLAG_LAST : 0)), *chain);
        batch.last_index = get_u64(p + AT_INDEX);
        batch.last_term = get_u64(p + AT_TERM);
        p += walfile_record_size(get_u32(p + AT_LEN));
    }
    return batch;
}

bool walfile_read(struct slice file, uint64_t off, struct walfile_at *ret)
{
    if (off >= file.len || file.len - off < WALFILE_RECORD_HEAD + 4)
        return false;
    const uint8_t *p = file.data + off;
    uint32_t len = get_u32(p + AT_LEN);
    if (get_u32(p) != RECORD_MAGIC || len > file.len - off - WALFILE_RECORD_HEAD - 4)
        return false;
    uint32_t crc = get_u32(p + WALFILE_RECORD_HEAD + len);
    if (crc32c(0, p, WALFILE_RECORD_HEAD + len) != crc)
        return false;
    uint16_t flags = get_u16(p + AT_FLAGS), type = get_u16(p + AT_TYPE);
    if (type == 0 || (flags & ~FLAG_KNOWN))
        return false;
    *ret = (struct walfile_at){
        .record = {.index = get_u64(p + AT_INDEX),
                   .term = get_u64(p + AT_TERM),
                   .type = type,
                   .payload = slice_of(p + WALFILE_RECORD_HEAD, len)},
        .place = flags & FLAG_PLACE,
        .prev_crc = get_u32(p + AT_PREV),
        .crc = crc,
        .next_off = off + walfile_record_size(len),
    };
    if (flags & FLAG_LAST)
        ret->next_off = round_up(ret->next_off, WALFILE_BLOCK);
    return true;
}

uint64_t walfile_skip_zeros(struct slice file, uint64_t off)
{
    static const uint8_t zeros[WALFILE_BLOCK];
    while (off + WALFILE_BLOCK <= file.len && memcmp(file.data + off, zeros, WALFILE_BLOCK) == 0)
        off += WALFILE_BLOCK;
    while (off + 8 <= file.len && memcmp(file.data + off, zeros, 8) == 0)
        off += 8;
    return off;
}

uint64_t walfile_proof_behind(struct slice file, uint64_t off)
{
    uint64_t proven = 0;
    struct walfile_at at;
    for (off = round_up(off + 1, 8); off + WALFILE_RECORD_HEAD < file.len; off += 8) {
        if (off % WALFILE_BLOCK == 0)
            off = walfile_skip_zeros(file, off);
        if (!walfile_read(file, off, &at) || at.record.index <= at.place)
            continue;
        uint64_t before_batch = at.record.index - at.place - 1;
        if (before_batch > proven)
            proven = before_batch;
    }
    return proven;
}

uint32_t walfile_close_batch(uint8_t *file, uint64_t off)
{
    uint8_t *p = file + off;
    return finish_record(p, get_u16(p + AT_FLAGS) | FLAG_LAST, get_u32(p + AT_PREV));
}
