/* SPDX-License-Identifier: Apache-2.0
 * lags: which member of a pipeline holds it up. Every member tells what it takes for a step of its
 * own work, its disk's and its network's, without what it waits for the others (the reports of
 * proto/data/packet.h). One is slow when it takes
 *
 *   - more than a floor (a pipeline that is fast enough has no slow member), and
 *   - a multiple of what the others take (one whose members are all slow has none, either), and
 *   - that for a whole window, told several times, of several steps (a hiccup is nothing)
 *
 * and every verdict doubles the window, so that a pipeline is never rebuilt again and again.
 *
 * On the way from one node to the next both ends may be at fault. A node that is an end of two slow
 * ways is it; else the receiver goes first, and its sender if the way to the next receiver is slow
 * too. The first way begins at the writer himself: when that one is slow a second time, it is us,
 * and nobody is blamed for it any more.
 *
 * Pure. Nodes are known by small numbers of the caller's. */
#ifndef QUERN_CLIENT_LAGS_H
#define QUERN_CLIENT_LAGS_H

#include "libcommon/base/slice.h"

#define CL_LAGS_NODES   16U
#define CL_LAGS_REPORTS 4U /* at least so many in a row */

struct cl_lag {
    uint32_t disk_ms, link_ms; /* per step; link: the way to this node */
};
#define CL_LAG_NONE UINT32_MAX /* it had no step to take: what was known of it stays */

struct cl_lags_rule {
    uint32_t factor; /* 0 = nobody is ever slow */
    uint32_t min_ms, window_ms;
};

struct cl_mean {
    uint32_t value;  /* smoothed, in sixteenths of a ms; begins at 0 */
    uint32_t weight; /* of what was put in, in 1/65536; 0 = nothing is known */
};

struct cl_lags {
    struct cl_lags_rule rule;
    struct cl_mean disk[CL_LAGS_NODES], link[CL_LAGS_NODES];
    uint32_t count;
    uint32_t culprit; /* place; CL_LAGS_NONE */
    uint64_t since_ms;
    unsigned reports; /* in which it was the culprit, in a row */
    unsigned steps;   /* of those: with news of a long step */
    unsigned verdicts;
    uint32_t suspect; /* the node that sent on a slow way before */
};
#define CL_LAGS_NONE UINT32_MAX
#define CL_LAGS_US   (UINT32_MAX - 1)

void cl_lags_init(struct cl_lags *l, const struct cl_lags_rule *rule);
/* A chain stands, or stands again: nothing is known of it yet. */
void cl_lags_begin(struct cl_lags *l);
/* A report on `count` nodes (their numbers, nearest first). The place of the one to be taken out
 * now, or CL_LAGS_NONE. After a verdict: cl_lags_begin, also when it could not be followed. */
uint32_t cl_lags_report(struct cl_lags *l, const uint32_t *nodes, const struct cl_lag *lags,
                        uint32_t count, uint64_t now_ms);
/* What it took on average; 0 when that is not known. */
uint32_t cl_lags_disk_ms(const struct cl_lags *l, uint32_t place);
uint32_t cl_lags_link_ms(const struct cl_lags *l, uint32_t place);
/* Is the first node silent for longer than steps of such disks explain? */
bool cl_lags_is_silence(const struct cl_lags *l, uint64_t silent_ms);

#endif
