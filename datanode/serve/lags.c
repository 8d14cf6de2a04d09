/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/serve/lags.h"

#define SILENCE 4U /* reports that are missing */

void dn_lags_begin(struct dn_lags *l, uint32_t every_ms, int down_fd, uint64_t now_ms)
{
    *l = (struct dn_lags){
        .every_ms = every_ms, .down_fd = down_fd, .next_ms = now_ms + every_ms, .moved_ms = now_ms};
    if (every_ms > 0 && down_fd >= 0)
        (void)flow_look(down_fd, &l->flow);
}

void dn_lags_disk(struct dn_lags *l, uint64_t us)
{
    l->disk_us += us;
    l->step_us = us;
    l->disk_steps++;
}

void dn_lags_below(struct dn_lags *l, const struct packet_report *report)
{
    l->below = *report;
    l->has_news = true;
}

bool dn_lags_is_due(const struct dn_lags *l, uint64_t now_ms)
{
    return l->every_ms > 0 && now_ms >= l->next_ms;
}

static uint32_t disk_ms(const struct dn_lags *l)
{
    return l->disk_steps > 0 ? (uint32_t)(l->disk_us / l->disk_steps / 1000) : PACKET_LAG_NONE;
}

/* Of the way to the next node. */
static uint32_t link_ms(struct dn_lags *l)
{
    struct flow before = l->flow;
    if (flow_look(l->down_fd, &l->flow) != 0)
        return PACKET_LAG_NONE;
    return flow_step_ms(&before, &l->flow, l->packets);
}

/* Longer than a few steps of a disk like ours explain. */
static bool is_silence(const struct dn_lags *l, uint64_t now_ms)
{
    uint64_t silent_ms = now_ms - l->moved_ms;
    return silent_ms > SILENCE * (uint64_t)l->every_ms && silent_ms > SILENCE * l->step_us / 1000;
}

void dn_lags_take(struct dn_lags *l, bool owes, uint64_t now_ms, struct packet_report *ret)
{
    static const struct packet_lag nothing = {PACKET_LAG_NONE, PACKET_LAG_NONE};
    struct packet_report report = {.count = 1};
    report.lag[0] = (struct packet_lag){disk_ms(l), PACKET_LAG_NONE};
    if (l->down_fd >= 0) {
        for (unsigned i = 0; i < l->below.count && report.count < PIPELINE_MAX; i++)
            report.lag[report.count++] = l->has_news ? l->below.lag[i] : nothing;
        if (report.count == 1)
            report.lag[report.count++] = nothing;
        report.lag[1].link_ms = link_ms(l);
        if (owes && l->below.count > 0 && is_silence(l, now_ms))
            report.lag[1].link_ms = (uint32_t)(now_ms - l->moved_ms);
    }
    l->disk_us = l->disk_steps = l->packets = 0;
    l->has_news = false;
    l->next_ms = now_ms + l->every_ms;
    *ret = report;
}
