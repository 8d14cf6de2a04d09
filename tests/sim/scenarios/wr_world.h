/* SPDX-License-Identifier: Apache-2.0
 * wr_world: one writer and its datanodes, at the level of packets. The writer is the real
 * bookkeeping of client/lib/pipeline and lags, driven here instead of by sockets and a clock; each
 * datanode the real datanode/storage/pipeline around real replica states and a pretended disk. What
 * they know of each other is what messages told them. The namenode is a counter of stamps.
 *
 * Bytes are real: each follows from its place and its file's seed, and whoever finds another one
 * says so. */
#ifndef QUERN_TESTS_SIM_WR_WORLD_H
#define QUERN_TESTS_SIM_WR_WORLD_H

#include "client/lib/lags.h"
#include "client/lib/pipeline.h"
#include "datanode/storage/agree.h"
#include "datanode/storage/pipeline.h"
#include "tests/sim/scenario.h"

#define WR_NODES     7
#define WR_FILES     64
#define WR_RING      8192U
#define WR_PACKET    2048U
#define WR_BLOCK     40960U
#define WR_WAIT_MS   3000U /* a silent neighbour is given up after so long ... */
#define WR_BEHIND_MS 1000U /* ... and so much more for each node behind it */
#define WR_IDLE_MS   30000U
#define WR_WINDOW_MS 600U
#define WR_REPORT_MS (WR_WINDOW_MS / CL_LAGS_REPORTS)

enum wr_kind {
    WR_SETUP,    /* down: block, gs, new_gs (0: create), len, nodes behind the receiver */
    WR_READY,    /* up: code and who (0 = all is well) */
    WR_PACKET_,  /* down */
    WR_ACK,      /* up */
    WR_REPORT,   /* up */
    WR_TRANSFER, /* to a member: send len bytes to nodes[0] */
    WR_COPY,     /* to a newcomer: these bytes */
    WR_COPIED,   /* answer to both: code and who */
    WR_KINDS
};

struct wr_msg {
    struct sim_msg head;
    enum wr_kind kind;
    uint64_t block, gs, new_gs, len;
    uint32_t nodes[CL_PIPELINE_NODES], count; /* numbers from 1; also of statuses and lags */
    int code;
    uint32_t bad;
    uint64_t seq, offset, sum; /* sum: of the bytes, as their first sender saw them */
    unsigned flags;
    int16_t status[CL_PIPELINE_NODES];
    struct cl_lag lags[CL_PIPELINE_NODES];
    uint32_t size;
    uint8_t bytes[]; /* size */
};

struct wr_msg *wr_msg_new(enum wr_kind kind, const uint8_t *bytes, uint32_t size);
struct wr_msg *wr_msg_copy(const struct wr_msg *msg);
uint64_t wr_sum(const uint8_t *bytes, uint32_t size);
uint8_t wr_byte(uint64_t seed, uint64_t at);

struct wr_world;

/* ---- datanodes: wr_node.c ---- */

struct wr_rep {
    struct list link;
    struct dn_replica r;
    uint64_t synced; /* bytes that survive a power cut */
    uint8_t bytes[WR_BLOCK];
};

struct wr_node {
    struct sim_host host;
    struct wr_world *w;
    uint32_t number;
    struct list reps, relays;
    struct list waiting;               /* struct wr_heard: what came while it hung */
    uint64_t hung_until_ms, faulty_ms; /* faulty: when something was last wrong with it */
    uint32_t disk_ms, link_ms;         /* of a step; the way to it. 0 = healthy */
    uint32_t corrupts_one_in;          /* of the packets it sends on */
    bool has_bad_memory;               /* ... and of those it writes: that is why */
    uint64_t caught;                   /* the block of which its next one found a packet damaged */
    uint32_t crashes;
    uint32_t calm_steps; /* of its disk, since a hiccup */
};

void wr_node_add(struct wr_world *w, uint32_t number);
void wr_node_crash(struct wr_node *node, bool is_power_cut);
void wr_node_start(struct wr_node *node);
void wr_node_hang(struct wr_node *node, uint64_t ms);
void wr_node_release(struct wr_node *node);
struct wr_rep *wr_node_find(const struct wr_node *node, uint64_t block);
/* Its memory is good, or it was found out while this block was written: its replica counts. */
bool wr_node_is_relied_on(const struct wr_node *node, uint64_t block);
/* So many of its bytes, from the first one on, are what they should be (and agree with their
 * checksums, which are as they were sent). */
uint64_t wr_rep_right(const struct wr_world *w, const struct wr_rep *rep);

/* ---- the writer: wr_client.c ---- */

enum wr_end { WR_OPEN, WR_CLOSED, WR_FAILED, WR_DEAD };

/* One block, and what its writer was promised about it. */
struct wr_file {
    uint64_t block, seed;
    uint64_t gs;   /* the namenode knows it */
    uint64_t len;  /* at its end */
    uint64_t told; /* the length the namenode knows */
    uint64_t flushed, synced;
    uint32_t members[CL_PIPELINE_NODES], count; /* as the namenode knows them */
    uint32_t crashes[WR_NODES + 1];             /* of each node, when its chain was set up */
    enum wr_end end;
};

enum wr_step { WR_RESTING, WR_SETTING_UP, WR_STREAMING, WR_JOINING, WR_IDLE };

struct wr_client {
    struct sim_host host;
    struct wr_world *w;
    struct cl_pipeline p;
    struct cl_lags lags;
    struct wr_file *file; /* NULL: between two */
    struct sim_conn *conn;
    enum wr_step step;
    void (*rested)(struct wr_client *c);
    uint64_t deadline_ms, heard_ms, link_free_ms, new_gs, target, seed;
    bool is_told, was_flushed, told_length, must_replace;
    unsigned goal, attempts;
    bool is_excluded[WR_NODES + 1];
    uint32_t newcomer;
    uint64_t slow_reports; /* in which a slow node held a chain up that could do without */
    uint8_t ring[WR_RING];
};

void wr_client_add(struct wr_world *w);
void wr_client_crash(struct wr_client *c);
void wr_client_start(struct wr_client *c);

/* ---- the whole: writer.c ---- */

struct wr_world {
    struct sim *sim;
    struct wr_node nodes[WR_NODES + 1]; /* from 1 */
    struct wr_client client;
    uint32_t node_count, replication;
    enum cl_replace_policy policy;
    struct cl_lags_rule slow;
    uint64_t next_gs;
    struct wr_file files[WR_FILES];
    uint32_t file_count;
    bool is_net_whole;   /* no partitions, no cuts: whoever is blamed was faulty */
    bool is_nobody_slow; /* all are, or only now and then: nobody may be taken out for it */
    bool is_healing;
    uint32_t hiccup_ms;
};

static inline struct wr_world *wr_world(struct sim *sim)
{
    return sim->scenario;
}
static inline uint64_t wr_below(struct wr_world *w, uint64_t n)
{
    return rand_below(&w->sim->rand, n);
}
/* A packet over a way that takes its time; in order. Takes msg. */
void wr_post(struct sim_host *from, struct sim_conn *conn, struct wr_msg *msg, uint32_t ms,
             uint64_t *free_ms);

#endif
