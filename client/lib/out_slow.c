/* SPDX-License-Identifier: Apache-2.0
 * A chain is as fast as its slowest member. The datanodes tell what each takes for a step of its
 * own, the way to the first one is measured here, and client/lib/lags says who is too slow: that
 * one is taken out like one that failed, and another takes its place. */
#include <inttypes.h>

#include "client/lib/stream_out_inside.h"
#include "libcommon/base/clock.h"
#include "libcommon/proto/data/packet.h"

uint32_t cl_slow_reports_ms(const struct cl_out *out)
{
    if (out->fs->slow.factor == 0 || out->pipe.count < 2)
        return 0;
    return out->fs->slow.window_ms / CL_LAGS_REPORTS;
}

void cl_slow_begin(struct cl_out *out)
{
    cl_lags_begin(&out->lags);
    out->flow = (struct flow){0};
    out->packets = 0;
    out->is_told = false;
    out->heard_ms = clock_mono_ms();
    (void)flow_look(out->peer->fd, &out->flow);
}

/* Of the way to the first node; none over a unix socket. */
static uint32_t first_link_ms(struct cl_out *out)
{
    struct flow before = out->flow;
    uint64_t packets = out->packets;
    if (flow_look(out->peer->fd, &out->flow) != 0)
        return 0; /* nothing is in the way */
    out->packets = 0;
    return flow_step_ms(&before, &out->flow, packets);
}

/* With two left there is nothing to lose by waiting, unless somebody takes the slow one's place. */
static bool can_do_without(struct cl_out *out)
{
    return out->pipe.count > 2 || cl_block_has_reserve(out);
}

static int judge(struct cl_out *out, const struct cl_lag *lags, uint32_t count,
                 struct cl_break *ret)
{
    uint32_t slow = cl_lags_report(&out->lags, out->pipe.nodes, lags, count, clock_mono_ms());
    if (slow == CL_LAGS_NONE)
        return 0;
    if (!can_do_without(out)) {
        cl_lags_begin(&out->lags);
        return 0;
    }
    out->must_replace = true;
    ret->bad = slow;
    ret->code = ERR_TIMEOUT;
    return err_set(&ret->why, ERR_TIMEOUT,
                   "too slow: about %" PRIu32 " ms for a step of its disk, %" PRIu32
                   " ms on the way to it, several times what the others take",
                   cl_lags_disk_ms(&out->lags, slow), cl_lags_link_ms(&out->lags, slow));
}

int cl_slow_report(struct cl_out *out, const uint8_t *raw, struct cl_break *ret)
{
    struct packet_report report;
    struct cl_lag lags[CL_PIPELINE_NODES];
    int rc = packet_report_decode(raw, &report);
    ret->bad = 0;
    ret->code = rc;
    if (rc != 0)
        return err_set(&ret->why, rc, "%s: %s", out->peer->address, err_text(rc));
    uint32_t count = report.count < out->pipe.count ? report.count : out->pipe.count;
    for (uint32_t i = 0; i < count; i++)
        lags[i] = (struct cl_lag){report.lag[i].disk_ms, report.lag[i].link_ms};
    lags[0].link_ms = first_link_ms(out);
    out->is_told = true;
    return judge(out, lags, count, ret);
}

int cl_slow_silence(struct cl_out *out, struct cl_break *ret)
{
    struct cl_lag lags[CL_PIPELINE_NODES];
    uint64_t silent_ms = clock_mono_ms() - out->heard_ms;
    if (!out->is_told || out->pipe.last_sent || !cl_lags_is_silence(&out->lags, silent_ms))
        return 0;
    memset(lags, 0xff, sizeof(lags)); /* nothing new of the others */
    (void)first_link_ms(out);         /* begins anew */
    lags[0].link_ms = (uint32_t)silent_ms;
    return judge(out, lags, out->pipe.count, ret);
}
