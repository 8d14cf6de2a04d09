/* SPDX-License-Identifier: Apache-2.0
 * A relay's acks up: what the pipeline says of each packet, reports for a writer that looks for the
 * slow one, and the farewell behind a failure. */
#include "datanode/serve/relay_inside.h"

#include <errno.h>
#include <sys/socket.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/event/sock.h"

#define FAREWELL_MS 2000U

static void encode_ack(const struct dn_ack *ack, uint8_t out[PACKET_ACK_BYTES])
{
    struct packet_ack wire = {
        .seq = ack->seq, .count = (uint16_t)ack->count, .flags = ack->is_synced ? PACKET_SYNC : 0};
    for (unsigned i = 0; i < ack->count && i < PIPELINE_MAX; i++)
        wire.status[i] = (int16_t)ack->status[i];
    packet_ack_encode(&wire, out);
}

/* The code of the first node that could not go on, 0 when all could. */
static int first_bad(const struct dn_ack *ack)
{
    for (unsigned i = 0; i < ack->count; i++)
        if (ack->status[i] != 0)
            return ack->status[i];
    return 0;
}

/* Acks that are due. The last good one is kept back: it goes when the node's map says finalized. */
bool dn_relay_pop_acks(struct dn_relay *r, uint8_t last_ack[PACKET_ACK_BYTES])
{
    struct dn_ack ack;
    bool any = false;
    while (r->acks_len + PACKET_ACK_BYTES <= sizeof(r->acks) && dn_pipeline_pop_ack(&r->p, &ack)) {
        any = true;
        int bad = first_bad(&ack);
        if (bad == 0)
            dn_writing_show(r->conf->writing, r->p.acked_len, r->p.acked_tail_sum);
        if (bad == 0 && dn_pipeline_is_over(&r->p)) {
            encode_ack(&ack, last_ack);
            r->is_final = true;
            break;
        }
        if (bad != 0)
            r->end_code = bad;
        if (fault_hit("dn.write.ack") == FAULT_DROP)
            continue;
        if (r->acks_len == 0)
            r->took_acks_ms = clock_mono_ms();
        encode_ack(&ack, r->acks + r->acks_len);
        r->acks_len += PACKET_ACK_BYTES;
    }
    return any;
}

/* Bytes are still under way here. When they have all gone, everybody syncs, which takes its time.
 */
static bool is_streaming(const struct dn_relay *r)
{
    return r->p.count > 0 &&
           (!r->p.last_came || dn_relay_has_forward(r) || dn_relay_unwritten(r) > 0);
}

/* Who of us is slow? Those behind us may be busy still when we are not. */
bool dn_relay_report_is_wanted(const struct dn_relay *r)
{
    return r->lags.every_ms > 0 && (is_streaming(r) || r->lags.has_news) &&
           r->acks_len + PACKET_REPORT_BYTES <= sizeof(r->acks);
}

void dn_relay_report(struct dn_relay *r)
{
    uint64_t now_ms = clock_mono_ms();
    if (!dn_relay_report_is_wanted(r) || !dn_lags_is_due(&r->lags, now_ms))
        return;
    struct packet_report said;
    dn_lags_take(&r->lags, is_streaming(r) && r->p.mirrored < r->p.count, now_ms, &said);
    if (dn_relay_is_draining(r) && said.lag[0].disk_ms == PACKET_LAG_NONE)
        said.lag[0].disk_ms = (uint32_t)((clock_mono_us() - r->run_begun_us) / 1000);
    if (r->acks_len == 0)
        r->took_acks_ms = now_ms;
    packet_report_encode(&said, r->acks + r->acks_len);
    r->acks_len += PACKET_REPORT_BYTES;
}

bool dn_relay_go_up(struct dn_relay *r)
{
    if (r->acks_len == 0 || r->up_is_dead)
        return false;
    ssize_t n = send(r->conf->up_fd, r->acks, r->acks_len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
        r->up_is_dead = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
        return r->up_is_dead;
    }
    r->took_acks_ms = clock_mono_ms();
    r->acks_len -= (size_t)n;
    memmove(r->acks, r->acks + n, r->acks_len);
    return n > 0;
}

/* A failure has been told: let upstream read it. Closing while its packets still arrive would reset
 * the connection, and the reset would overtake our ack. */
void dn_relay_say_farewell(struct dn_relay *r)
{
    uint64_t until = clock_mono_ms() + FAREWELL_MS;
    if (r->up_is_dead || sock_send_all(r->conf->up_fd, r->acks, r->acks_len, until) != 0)
        return;
    (void)shutdown(r->conf->up_fd, SHUT_WR);
    while (sock_recv_some(r->conf->up_fd, r->acks, sizeof(r->acks), until) > 0)
        ;
}
