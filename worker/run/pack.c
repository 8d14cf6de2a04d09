/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run/pack.h"

#include "libcommon/base/buf.h"
#include "libcommon/codec/lz4.h"

#define AS_IT_IS     ((uint64_t)1 << 63)

#define SINK_LEAST   ((uint64_t)4 << 20)  /* fewer bytes say nothing of a disk */
#define SINK_KEPT    ((uint64_t)64 << 20) /* what was before so many counts half */
#define PACKED_KEPT  ((uint64_t)4 << 20)
#define SAMPLE_EVERY ((uint64_t)8 << 20)

void pack_head_plain(uint8_t out[PACK_HEAD], uint64_t len)
{
    put_u64(out, AS_IT_IS | len);
}

size_t pack_frame_make(struct slice plain, uint8_t *out)
{
    int64_t n = lz4_encode_to(plain, out + PACK_HEAD, PACK_ROOM - PACK_HEAD);
    if (n > 0 && (uint64_t)n < plain.len - plain.len / 8) {
        put_u64(out, (uint64_t)n << 32 | plain.len);
        return PACK_HEAD + (size_t)n;
    }
    pack_head_plain(out, plain.len);
    memcpy(out + PACK_HEAD, plain.data, plain.len);
    return PACK_HEAD + plain.len;
}

bool pack_head_read(const uint8_t in[PACK_HEAD], struct pack_frame *ret)
{
    uint64_t head = get_u64(in);
    if (head & AS_IT_IS) {
        uint64_t len = head & ~AS_IT_IS;
        *ret = (struct pack_frame){len, len, true};
        return len > 0;
    }
    *ret = (struct pack_frame){head & UINT32_MAX, head >> 32, false};
    return ret->plain > 0 && ret->plain <= PACK_FRAME && ret->stored > 0 &&
           ret->stored <= PACK_FRAME;
}

/* --- is it worth it? ------------------------------------------------------------------------- */

void run_packing_wrote(struct run_packing *p, uint64_t bytes, uint64_t us)
{
    p->sink_bytes += bytes;
    p->sink_us += us;
    p->unsampled += bytes;
    if (p->sink_bytes > SINK_KEPT) {
        p->sink_bytes /= 2;
        p->sink_us /= 2;
    }
}

void run_packing_packed(struct run_packing *p, uint64_t plain, uint64_t packed, uint64_t us)
{
    p->plain_bytes += plain;
    p->packed_bytes += packed;
    p->pack_us += us;
    p->unsampled = 0;
    if (p->plain_bytes > PACKED_KEPT) {
        p->plain_bytes /= 2;
        p->packed_bytes /= 2;
        p->pack_us /= 2;
    }
}

bool run_packing_wants_sample(const struct run_packing *p)
{
    return p->when == PACK_WHERE_SLOW && (p->plain_bytes == 0 || p->unsampled >= SAMPLE_EVERY);
}

/* What a byte costs, written and read once: 2 s as it is, 2 r s + c + d packed; s of the disk, r
 * what packing leaves of it, c to pack, d to unpack, which takes a quarter of that. Once on, it
 * stays until it costs twice what it gains: packed, the disk has less to do and looks faster. */
static bool gains(const struct run_packing *p)
{
    if (p->sink_bytes < SINK_LEAST || p->plain_bytes == 0 ||
        p->packed_bytes * 5 > p->plain_bytes * 4)
        return false;
    uint64_t gain = 8 * p->sink_us * (p->plain_bytes - p->packed_bytes);
    uint64_t cost = 5 * p->pack_us * p->sink_bytes;
    return p->is_on ? 2 * gain > cost : gain > cost;
}

bool run_packing_decide(struct run_packing *p)
{
    p->is_on = p->when == PACK_ALWAYS || (p->when == PACK_WHERE_SLOW && gains(p));
    return p->is_on;
}

enum pack_when pack_when_of(const char *said)
{
    if (!said || strcmp(said, "auto") == 0)
        return PACK_WHERE_SLOW;
    return strcmp(said, "true") == 0 ? PACK_ALWAYS : PACK_NEVER;
}
