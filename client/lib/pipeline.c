/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/pipeline.h"

static uint64_t chunk_start(uint64_t off)
{
    return off - off % CL_PIPELINE_CHUNK;
}

void cl_pipeline_init(struct cl_pipeline *p, uint64_t ring_bytes, uint64_t packet_bytes,
                      uint64_t block_bytes)
{
    BUG_ON(ring_bytes % CL_PIPELINE_CHUNK || packet_bytes % CL_PIPELINE_CHUNK ||
           packet_bytes == 0 || packet_bytes > ring_bytes / 2);
    *p = (struct cl_pipeline){.ring_bytes = ring_bytes,
                              .packet_bytes = packet_bytes,
                              .block_bytes = block_bytes,
                              .suspect = CL_NOBODY,
                              .complainer = CL_NOBODY,
                              .guilty = CL_NOBODY};
}

void cl_pipeline_begin_at(struct cl_pipeline *p, uint64_t len)
{
    BUG_ON(len > p->block_bytes);
    p->filled = p->sent = p->acked = p->synced = p->sync_sent = p->filled_before = len;
    p->proven = len;
}

void cl_pipeline_set_nodes(struct cl_pipeline *p, const uint32_t *nodes, uint32_t count)
{
    BUG_ON(count > CL_PIPELINE_NODES);
    memcpy(p->nodes, nodes, count * sizeof(*nodes));
    memset(p->is_doubted, 0, sizeof(p->is_doubted));
    p->count = count;
}

/* --- bytes in --------------------------------------------------------------------------------- */

uint64_t cl_pipeline_room(const struct cl_pipeline *p)
{
    uint64_t kept = p->filled - chunk_start(p->acked);
    uint64_t ring = p->ring_bytes - kept, block = p->block_bytes - p->filled;
    return ring < block ? ring : block;
}

void cl_pipeline_fill(struct cl_pipeline *p, uint64_t bytes)
{
    BUG_ON(bytes > cl_pipeline_room(p));
    p->filled += bytes;
}

/* --- packets out ------------------------------------------------------------------------------ */

static void take_off(struct cl_pipeline *p, uint64_t end, struct cl_packet *packet)
{
    packet->seq = p->next_seq++;
    p->flights[(p->head + p->in_flight++) % CL_PIPELINE_FLIGHTS] =
        (struct cl_flight){packet->seq, end, packet->flags};
    p->sent = end;
    if (packet->flags & CL_PACKET_SYNC)
        p->sync_sent = end;
    if (packet->flags & CL_PACKET_LAST)
        p->last_sent = true;
}

/* End of the packet that begins at `offset`: it never wraps around in the ring. */
static uint64_t packet_end(const struct cl_pipeline *p, uint64_t offset)
{
    uint64_t whole = offset + p->packet_bytes;
    uint64_t ring_end = offset - offset % p->ring_bytes + p->ring_bytes;
    return whole < ring_end ? whole : ring_end;
}

bool cl_pipeline_next(struct cl_pipeline *p, unsigned flags, struct cl_packet *ret)
{
    if (p->last_sent || p->in_flight == CL_PIPELINE_FLIGHTS)
        return false;
    uint64_t offset = chunk_start(p->sent), end = packet_end(p, offset);
    bool is_whole = end <= p->filled && end > p->sent;
    if (!is_whole && flags == 0)
        return false;
    if (end > p->filled)
        end = p->filled;
    bool wants_empty = (flags & CL_PACKET_LAST) || ((flags & CL_PACKET_SYNC) && p->sync_sent < end);
    if (end == p->sent && !wants_empty)
        return false;
    *ret = (struct cl_packet){.offset = end == p->sent ? end : offset,
                              .len = end == p->sent ? 0 : (uint32_t)(end - offset),
                              .flags = end == p->filled ? flags : 0};
    take_off(p, end, ret);
    return true;
}

bool cl_pipeline_beat(struct cl_pipeline *p, struct cl_packet *ret)
{
    if (p->in_flight || p->last_sent)
        return false;
    *ret = (struct cl_packet){.offset = p->sent, .flags = CL_PACKET_BEAT};
    take_off(p, p->sent, ret);
    return true;
}

/* --- acks ------------------------------------------------------------------------------------- */

int cl_pipeline_ack(struct cl_pipeline *p, const struct cl_ack *ack, uint32_t *ret_bad)
{
    const struct cl_flight *flight = &p->flights[p->head];
    if (p->in_flight == 0 || ack->seq != flight->seq)
        return ERR_PROTO;
    for (uint32_t i = 0; i < ack->count; i++) {
        if (ack->status[i] != 0) {
            *ret_bad = i < p->count ? i : p->count - 1;
            return ack->status[i];
        }
    }
    if (ack->count != p->count) /* somebody is missing who did not say why */
        return ERR_PROTO;
    if (flight->end > p->acked) {
        p->acked = flight->end;
        p->recoveries = 0;
        if (p->was_moved && p->nodes[p->count - 1] == p->suspect)
            p->guilty = p->suspect;
        p->suspect = CL_NOBODY;
        p->was_moved = false;
    }
    if (flight->flags & (CL_PACKET_SYNC | CL_PACKET_LAST))
        p->synced = flight->end;
    p->is_finished = flight->flags & CL_PACKET_LAST;
    p->head = (p->head + 1) % CL_PIPELINE_FLIGHTS;
    p->in_flight--;
    return 0;
}

/* --- breaking --------------------------------------------------------------------------------- */

static void take_out(struct cl_pipeline *p, uint32_t place)
{
    p->count--;
    memmove(&p->nodes[place], &p->nodes[place + 1], (p->count - place) * sizeof(*p->nodes));
    memmove(&p->is_doubted[place], &p->is_doubted[place + 1],
            (p->count - place) * sizeof(*p->is_doubted));
}

static void put_in(struct cl_pipeline *p, uint32_t node, bool is_doubted)
{
    p->is_doubted[p->count] = is_doubted;
    p->nodes[p->count++] = node;
}

/* The one at `bad` has complained of two: then it is not them. */
static void acquit_senders(struct cl_pipeline *p, uint32_t bad)
{
    p->is_doubted[bad - 1] = false;
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i] == p->suspect)
            p->is_doubted[i] = false;
}

/* The one at `bad` found damaged what the one before it had sent. True: that one was moved, and
 * nobody needs to go; else *bad is who does. */
static bool settle_damage(struct cl_pipeline *p, uint32_t *bad)
{
    uint32_t sender = p->nodes[*bad - 1], complainer = p->nodes[*bad];
    if (p->suspect == sender) {
        (*bad)--;
        return false;
    }
    p->is_doubted[*bad - 1] = true;
    if (p->suspect != CL_NOBODY && p->complainer == complainer)
        acquit_senders(p, *bad);
    p->suspect = sender;
    p->complainer = complainer;
    if (p->was_moved)
        return false;
    p->was_moved = true;
    take_out(p, *bad - 1);
    put_in(p, sender, true);
    return true;
}

int cl_pipeline_break(struct cl_pipeline *p, uint32_t bad, int code, uint32_t *ret_dropped)
{
    BUG_ON(bad >= p->count);
    if (++p->recoveries > CL_PIPELINE_RECOVERIES)
        return ERR_LIMIT;
    if (p->count == 1)
        return ERR_NONODE;
    *ret_dropped = CL_NOBODY;
    if (code == ERR_CHECKSUM && bad == 0)
        p->suspect = CL_NOBODY; /* what came from us was damaged, too: it was the receiver */
    else if (code == ERR_CHECKSUM && settle_damage(p, &bad))
        return 0;
    *ret_dropped = p->nodes[bad];
    take_out(p, bad);
    return 0;
}

bool cl_pipeline_has_doubts(const struct cl_pipeline *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->is_doubted[i] && p->filled > p->proven)
            return true;
    return false;
}

uint32_t cl_pipeline_guilty_place(const struct cl_pipeline *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i] == p->guilty)
            return i;
    return CL_NOBODY;
}

bool cl_pipeline_wants_node(const struct cl_pipeline *p, const struct cl_replace_rule *rule)
{
    if (p->count == 0 || p->count >= rule->replication || p->count >= CL_PIPELINE_NODES)
        return false;
    switch (rule->policy) {
    case CL_REPLACE_NEVER:
        return false;
    case CL_REPLACE_DEFAULT:
        return rule->replication >= 3 && (p->count <= rule->replication / 2 || rule->is_counted_on);
    case CL_REPLACE_ALWAYS:
        return true;
    }
    return false;
}

uint32_t cl_pipeline_source(const struct cl_pipeline *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        if (p->nodes[i] != p->suspect)
            return i;
    return 0;
}

void cl_pipeline_join(struct cl_pipeline *p, uint32_t node)
{
    BUG_ON(p->count >= CL_PIPELINE_NODES);
    put_in(p, node, false);
}

void cl_pipeline_resume(struct cl_pipeline *p)
{
    p->proven = p->acked;
    p->head = p->in_flight = 0;
    p->sent = p->acked;
    p->synced = p->synced < p->acked ? p->synced : p->acked;
    p->sync_sent = p->synced;
    p->last_sent = false;
}

bool cl_pipeline_restart(struct cl_pipeline *p)
{
    if (p->filled > p->ring_bytes || p->filled_before > 0)
        return false;
    p->acked = p->synced = 0;
    p->recoveries = 0;
    p->suspect = CL_NOBODY;
    p->was_moved = false;
    cl_pipeline_resume(p);
    return true;
}
