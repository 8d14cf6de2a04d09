/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/sumfile.h"

#include <inttypes.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"

#define HEAD_MAGIC   0x4d555351U /* "QSUM" */
#define MARK_MAGIC   0x4e595351U /* "QSYN" */
#define HEAD_BYTES   36U
#define HEAD_VERSION 1U

void dn_sum_head_encode(uint64_t id, uint64_t gs, uint8_t out[DN_SUM_OFF])
{
    memset(out, 0, DN_SUM_OFF);
    put_u32(out, HEAD_MAGIC);
    put_u16(out + 4, HEAD_VERSION);
    put_u64(out + 8, id);
    put_u64(out + 16, gs);
    put_u32(out + 24, DN_SUM_CHUNK);
    put_u32(out + 28, DN_SUM_OFF);
    put_u32(out + 32, crc32c(0, out, 32));
}

int dn_sum_head_check(const uint8_t *head, size_t len, uint64_t id, uint64_t gs,
                      uint32_t *ret_sums_off)
{
    if (len < HEAD_BYTES || get_u32(head) != HEAD_MAGIC ||
        get_u32(head + 32) != crc32c(0, head, 32))
        return ERR_CORRUPT;
    if (get_u16(head + 4) != HEAD_VERSION || get_u32(head + 24) != DN_SUM_CHUNK)
        return ERR_VERSION;
    if (get_u64(head + 8) != id || get_u64(head + 16) != gs)
        return ERR_STALE;
    *ret_sums_off = get_u32(head + 28);
    return 0;
}

void dn_sum_mark_encode(const struct dn_sum_mark *mark, uint8_t out[DN_SUM_MARK_BYTES])
{
    put_u32(out, MARK_MAGIC);
    put_u32(out + 4, mark->tail_sum);
    put_u64(out + 8, mark->len);
    put_u64(out + 16, mark->number);
    put_u32(out + 24, crc32c(0, out, 24));
}

bool dn_sum_mark_decode(const uint8_t in[DN_SUM_MARK_BYTES], struct dn_sum_mark *ret)
{
    if (get_u32(in) != MARK_MAGIC || get_u32(in + 24) != crc32c(0, in, 24))
        return false;
    *ret = (struct dn_sum_mark){
        .tail_sum = get_u32(in + 4), .len = get_u64(in + 8), .number = get_u64(in + 16)};
    return true;
}

/* ---- names ---- */

int dn_block_paths_make(const char *dir, uint64_t id, uint64_t gs, struct dn_block_paths *ret)
{
    struct dn_block_paths p = {
        .data = str_printf("%s/blk_%" PRIu64, dir, id),
        .sums = str_printf("%s/blk_%" PRIu64 "_%" PRIu64 ".meta", dir, id, gs),
    };
    if (!p.data || !p.sums) {
        dn_block_paths_release(&p);
        return ERR_NOMEM;
    }
    *ret = p;
    return 0;
}

char *dn_block_paths_dir(const struct dn_block_paths *paths)
{
    const char *slash = strrchr(paths->data, '/');
    return slice_dup(slice_of(paths->data, (size_t)(slash - paths->data)));
}

void dn_block_paths_release(struct dn_block_paths *paths)
{
    mem_free(paths->data);
    mem_free(paths->sums);
    *paths = (struct dn_block_paths){0};
}

/* Digits without leading zeros; returns what is behind them, or NULL. */
static const char *number(const char *s, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = s;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (v > (UINT64_MAX - 9) / 10)
            return NULL;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (p == s || (*s == '0' && p - s > 1))
        return NULL;
    *ret = v;
    return p;
}

bool dn_block_name_parse(const char *name, enum dn_name_kind *ret_kind, uint64_t *ret_id,
                         uint64_t *ret_gs)
{
    if (strncmp(name, "blk_", 4) != 0)
        return false;
    *ret_gs = 0;
    const char *p = number(name + 4, ret_id);
    if (p && *p == '\0') {
        *ret_kind = DN_NAME_DATA;
        return true;
    }
    if (!p || *p != '_')
        return false;
    p = number(p + 1, ret_gs);
    if (p && strcmp(p, ".meta") == 0)
        *ret_kind = DN_NAME_SUMS;
    else if (p && strcmp(p, ".meta.tmp") == 0)
        *ret_kind = DN_NAME_UNFINISHED;
    else
        return false;
    return true;
}
