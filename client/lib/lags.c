/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/lags.h"

#define PART    16U /* means are kept in sixteenths */
#define WEIGHT  65536U
#define MOST_MS 10000000U

/* One long step, and then nothing to do for a while, is a hiccup: reports without news repeat it.
 */
#define STEPS_MIN 2U

void cl_lags_init(struct cl_lags *l, const struct cl_lags_rule *rule)
{
    *l = (struct cl_lags){.rule = *rule, .suspect = CL_LAGS_NONE};
    cl_lags_begin(l);
}

void cl_lags_begin(struct cl_lags *l)
{
    memset(l->disk, 0, sizeof(l->disk));
    memset(l->link, 0, sizeof(l->link));
    l->count = 0;
    l->culprit = CL_LAGS_NONE;
    l->reports = l->steps = 0;
}

/* --- who is slow ------------------------------------------------------------------------------ */

/* A quarter of the news, three of what was known: one long step among short ones counts little. */
static void smooth(struct cl_mean *mean, uint32_t ms)
{
    if (ms == CL_LAG_NONE)
        return;
    uint64_t fresh = (ms < MOST_MS ? ms : MOST_MS) * PART;
    mean->value = (uint32_t)(((uint64_t)mean->value * 3 + fresh) / 4);
    mean->weight = (mean->weight * 3 + WEIGHT) / 4;
}

/* It is for long that it takes so long: the value has left its beginning at 0 behind. */
static bool is_long(const struct cl_lags *l, const struct cl_mean *mean)
{
    return mean->value >= l->rule.min_ms * PART;
}

/* What others are measured by has no such delay. */
static uint64_t fair(const struct cl_mean *mean)
{
    return (uint64_t)mean->value * WEIGHT / mean->weight;
}

/* The lower median of all others that are known. False when none is. */
static bool median_of_others(const struct cl_lags *l, const struct cl_mean *means, uint32_t place,
                             uint64_t *ret)
{
    uint64_t sorted[CL_LAGS_NODES];
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        uint32_t at = n;
        if (i == place || means[i].weight == 0)
            continue;
        uint64_t value = fair(&means[i]);
        for (; at > 0 && sorted[at - 1] > value; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = value;
        n++;
    }
    if (n > 0)
        *ret = sorted[(n - 1) / 2];
    return n > 0;
}

static bool is_slow(const struct cl_lags *l, const struct cl_mean *means, uint32_t place)
{
    uint64_t others = 0;
    return is_long(l, &means[place]) && median_of_others(l, means, place, &others) &&
           means[place].value >= l->rule.factor * others;
}

/* The way to this place is slow: which end of it? *ret_sender: who is to be remembered. */
static uint32_t blame_for_link(const struct cl_lags *l, const uint32_t *nodes, uint32_t place,
                               uint32_t *ret_sender)
{
    uint32_t sender = place > 0 ? nodes[place - 1] : CL_LAGS_US;
    *ret_sender = CL_LAGS_NONE;
    if (place + 1 < l->count && is_long(l, &l->link[place + 1]))
        return place; /* the way from it, too */
    if (l->suspect == sender)
        return place > 0 ? place - 1 : CL_LAGS_NONE;
    *ret_sender = sender;
    return place;
}

static bool is_long_step(const struct cl_lags *l, uint32_t ms)
{
    return ms != CL_LAG_NONE && ms >= l->rule.min_ms;
}

/* *ret_is_news: this report tells of a long step; without one it is blamed for an earlier. */
static uint32_t find_culprit(const struct cl_lags *l, const uint32_t *nodes,
                             const struct cl_lag *lags, uint32_t *ret_sender, bool *ret_is_news)
{
    *ret_sender = CL_LAGS_NONE;
    for (uint32_t i = 0; i < l->count; i++) {
        *ret_is_news = is_long_step(l, lags[i].disk_ms);
        if (is_slow(l, l->disk, i))
            return i;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        *ret_is_news = is_long_step(l, lags[i].link_ms);
        if (is_slow(l, l->link, i))
            return blame_for_link(l, nodes, i, ret_sender);
    }
    return CL_LAGS_NONE;
}

/* --- reports ---------------------------------------------------------------------------------- */

static uint64_t window_ms(const struct cl_lags *l)
{
    return (uint64_t)l->rule.window_ms << (l->verdicts < 16 ? l->verdicts : 16);
}

uint32_t cl_lags_report(struct cl_lags *l, const uint32_t *nodes, const struct cl_lag *lags,
                        uint32_t count, uint64_t now_ms)
{
    uint32_t sender = CL_LAGS_NONE;
    if (l->rule.factor == 0)
        return CL_LAGS_NONE;
    l->count = count < CL_LAGS_NODES ? count : CL_LAGS_NODES;
    for (uint32_t i = 0; i < l->count; i++) {
        smooth(&l->disk[i], lags[i].disk_ms);
        smooth(&l->link[i], lags[i].link_ms);
    }
    bool is_news = false;
    uint32_t culprit = find_culprit(l, nodes, lags, &sender, &is_news);
    if (culprit != l->culprit) {
        l->culprit = culprit;
        l->since_ms = now_ms;
        l->reports = l->steps = 0;
    }
    l->steps += is_news;
    if (culprit == CL_LAGS_NONE || ++l->reports < CL_LAGS_REPORTS || l->steps < STEPS_MIN ||
        now_ms - l->since_ms < window_ms(l))
        return CL_LAGS_NONE;
    l->verdicts++;
    if (sender != CL_LAGS_NONE)
        l->suspect = sender;
    return culprit;
}

uint32_t cl_lags_disk_ms(const struct cl_lags *l, uint32_t place)
{
    return l->disk[place].value / PART;
}

uint32_t cl_lags_link_ms(const struct cl_lags *l, uint32_t place)
{
    return l->link[place].value / PART;
}

bool cl_lags_is_silence(const struct cl_lags *l, uint64_t silent_ms)
{
    if (silent_ms < l->rule.window_ms)
        return false;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->disk[i].weight > 0 && silent_ms * PART < l->rule.factor * fair(&l->disk[i]))
            return false;
    return true;
}
