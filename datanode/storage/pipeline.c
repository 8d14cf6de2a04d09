/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/pipeline.h"

void dn_pipeline_init(struct dn_pipeline *p, const struct dn_pipeline_conf *conf, uint64_t now_ms)
{
    memset(p, 0, sizeof(*p));
    p->conf = *conf;
    p->received = p->written = p->acked_len = conf->start_len;
    p->acked_tail_sum = conf->start_tail_sum;
    p->heard_ms = p->mirror_heard_ms = now_ms;
}

/* The n-th packet in flight, oldest first. */
static struct dn_flight *flight(struct dn_pipeline *p, unsigned n)
{
    return &p->flights[(p->head + n) % DN_PIPELINE_SLOTS];
}

/* ---- what happened ---- */

int dn_pipeline_check(const struct dn_pipeline *p, const struct dn_packet *packet)
{
    if (p->last_came || (p->has_seq && packet->seq != p->next_seq))
        return ERR_PROTO;
    if (p->count == DN_PIPELINE_SLOTS)
        return ERR_LIMIT;
    if (packet->len == 0)
        return 0;
    uint64_t chunk_start = p->received - p->received % DN_PIPELINE_CHUNK;
    if (packet->offset != chunk_start || packet->offset + packet->len < p->received)
        return ERR_PROTO;
    return packet->offset + packet->len > p->conf.max_len ? ERR_TOOBIG : 0;
}

int dn_pipeline_accept(struct dn_pipeline *p, const struct dn_packet *packet, uint64_t now_ms)
{
    int rc = dn_pipeline_check(p, packet);
    if (rc != 0)
        return rc;
    if (packet->len > 0)
        p->received = packet->offset + packet->len;
    *flight(p, p->count) = (struct dn_flight){
        .seq = packet->seq,
        .end = p->received,
        .arrived_ms = now_ms,
        .tail_sum = packet->tail_sum,
        .flags = (uint16_t)packet->flags,
        .has_data = packet->len > 0,
    };
    p->count++;
    p->has_seq = true;
    p->next_seq = packet->seq + 1;
    p->last_came = packet->flags & DN_PACKET_LAST;
    p->heard_ms = now_ms;
    if (packet->flags & DN_PACKET_SYNC) {
        p->wants_sync = true;
        p->sync_seq = packet->seq;
        p->sync_end = p->received;
    }
    return 0;
}

void dn_pipeline_written(struct dn_pipeline *p, uint64_t end)
{
    BUG_ON(end > p->received);
    if (end > p->written)
        p->written = end;
}

void dn_pipeline_synced(struct dn_pipeline *p)
{
    p->wants_sync = false;
    p->synced_below = p->sync_seq + 1;
}

void dn_pipeline_finalized(struct dn_pipeline *p)
{
    BUG_ON(!p->last_came || p->written != p->received);
    p->is_finalized = true;
    p->wants_sync = false;
    p->synced_below = p->next_seq;
}

void dn_pipeline_local_failed(struct dn_pipeline *p, int code)
{
    if (p->local_code == 0)
        p->local_code = code;
}

static bool is_good(const struct dn_ack *ack)
{
    for (unsigned i = 0; i < ack->count; i++)
        if (ack->status[i] != 0)
            return false;
    return true;
}

int dn_pipeline_mirror_ack(struct dn_pipeline *p, const struct dn_ack *ack, uint64_t now_ms)
{
    if (!p->conf.has_mirror || p->bad_count > 0)
        return ERR_PROTO;
    if (ack->count == 0 || ack->count >= DN_PIPELINE_CHAIN || p->mirrored == p->count ||
        flight(p, p->mirrored)->seq != ack->seq)
        return ERR_PROTO;
    p->mirror_heard_ms = now_ms;
    if (is_good(ack)) {
        p->behind = ack->count;
        p->mirrored++;
    } else {
        p->bad_count = ack->count;
        memcpy(p->bad_status, ack->status, sizeof(p->bad_status));
    }
    return 0;
}

void dn_pipeline_mirror_failed(struct dn_pipeline *p, int code)
{
    if (!p->conf.has_mirror || p->bad_count > 0)
        return;
    p->bad_count = 1;
    p->bad_status[0] = code;
}

static bool waits_for_mirror(const struct dn_pipeline *p)
{
    return p->conf.has_mirror && p->bad_count == 0 && p->mirrored < p->count;
}

/* Since when the downstream owes us an ack: it is not silent while acks keep coming. */
static uint64_t mirror_owes_since(struct dn_pipeline *p)
{
    uint64_t sent = flight(p, p->mirrored)->arrived_ms;
    return sent > p->mirror_heard_ms ? sent : p->mirror_heard_ms;
}

int dn_pipeline_expire(struct dn_pipeline *p, uint64_t now_ms)
{
    if (waits_for_mirror(p) && now_ms >= mirror_owes_since(p) + p->conf.ack_ms)
        dn_pipeline_mirror_failed(p, ERR_TIMEOUT);
    if (p->count > 0) /* upstream waits for us: its silence is no wonder */
        p->heard_ms = now_ms;
    return now_ms >= p->heard_ms + p->conf.idle_ms ? ERR_TIMEOUT : 0;
}

uint64_t dn_pipeline_deadline_ms(struct dn_pipeline *p)
{
    uint64_t at = p->heard_ms + p->conf.idle_ms;
    if (!waits_for_mirror(p))
        return at;
    uint64_t mirror_at = mirror_owes_since(p) + p->conf.ack_ms;
    return mirror_at < at ? mirror_at : at;
}

/* ---- what to do ---- */

enum dn_pipeline_need dn_pipeline_need(const struct dn_pipeline *p)
{
    if (p->local_code != 0 || p->is_over)
        return DN_NEED_NOTHING;
    /* With a broken chain the block is not finalized here: its writer comes again with a new stamp,
     * and would have to open up a finalized replica. */
    if (p->last_came && !p->is_finalized && p->written == p->received && p->bad_count == 0)
        return DN_NEED_FINALIZE;
    if (p->wants_sync && p->written >= p->sync_end && !p->last_came)
        return DN_NEED_SYNC;
    return DN_NEED_NOTHING;
}

static bool is_done_here(const struct dn_pipeline *p, const struct dn_flight *f)
{
    if (f->end > p->written)
        return false;
    if ((f->flags & DN_PACKET_SYNC) && f->seq >= p->synced_below)
        return false;
    return !(f->flags & DN_PACKET_LAST) || p->is_finalized;
}

/* The ack of the oldest packet, when its fate is known. */
static bool decide(const struct dn_pipeline *p, const struct dn_flight *f, struct dn_ack *ack)
{
    ack->count = 1;
    if (p->local_code != 0) {
        ack->status[0] = p->local_code;
        return true;
    }
    if (p->mirrored == 0 && p->bad_count > 0) { /* no need to wait for our own part of it */
        ack->count += p->bad_count;
        memcpy(ack->status + 1, p->bad_status, p->bad_count * sizeof(ack->status[0]));
        return true;
    }
    if (!is_done_here(p, f) || (p->conf.has_mirror && p->mirrored == 0))
        return false;
    ack->count += p->behind;
    ack->is_synced = f->flags & (DN_PACKET_SYNC | DN_PACKET_LAST);
    return true;
}

bool dn_pipeline_pop_ack(struct dn_pipeline *p, struct dn_ack *ret)
{
    if (p->is_over || p->count == 0)
        return false;
    struct dn_flight *f = flight(p, 0);
    struct dn_ack ack = {.seq = f->seq};
    if (!decide(p, f, &ack))
        return false;
    if (is_good(&ack)) {
        p->acked_len = f->end;
        if (f->has_data)
            p->acked_tail_sum = f->tail_sum;
        p->is_over = f->flags & DN_PACKET_LAST;
    } else {
        p->is_over = true;
    }
    p->head = (p->head + 1) % DN_PIPELINE_SLOTS;
    p->count--;
    if (p->mirrored > 0)
        p->mirrored--;
    *ret = ack;
    return true;
}
