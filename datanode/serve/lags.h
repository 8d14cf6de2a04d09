/* SPDX-License-Identifier: Apache-2.0
 * lags: what this node and those behind it take for a step, for a writer that wants to know which
 * of them holds it up (the report of proto/data/packet.h). Waiting for each other is not counted:
 * only a write or fsync of one's own, and a network that does not take what the other side would
 * have.
 *
 * One owner: the relay's thread. */
#ifndef QUERN_DN_SERVE_LAGS_H
#define QUERN_DN_SERVE_LAGS_H

#include "libcommon/event/flow.h"
#include "libcommon/proto/data/packet.h"

struct dn_lags {
    uint32_t every_ms; /* 0 = nobody asked */
    int down_fd;       /* -1 = nobody is behind us */
    uint64_t next_ms;
    uint64_t moved_ms;            /* when something last went down, or came up */
    uint64_t disk_us, disk_steps; /* since the last report */
    uint64_t step_us;             /* the last write or fsync took so long */
    uint64_t packets;             /* sent down since then */
    struct flow flow;             /* then */
    bool has_news;                /* from below, since the last report */
    struct packet_report below;   /* the last one; count 0 = there was none yet */
};

void dn_lags_begin(struct dn_lags *l, uint32_t every_ms, int down_fd, uint64_t now_ms);
void dn_lags_disk(struct dn_lags *l, uint64_t us); /* one write or fsync took so long */
/* A packet went down; anything came from below. */
static inline void dn_lags_sent(struct dn_lags *l, uint64_t now_ms)
{
    l->packets++;
    l->moved_ms = now_ms;
}
static inline void dn_lags_heard(struct dn_lags *l, uint64_t now_ms)
{
    l->moved_ms = now_ms;
}
void dn_lags_below(struct dn_lags *l, const struct packet_report *report);

/* Is one due? Nothing is told while nothing is in flight. */
bool dn_lags_is_due(const struct dn_lags *l, uint64_t now_ms);
/* What to tell, and begin anew. `owes`: those behind us have packets to acknowledge; when they do
 * not even report, it is the next one that stands still. */
void dn_lags_take(struct dn_lags *l, bool owes, uint64_t now_ms, struct packet_report *ret);

#endif
