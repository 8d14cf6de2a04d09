/* SPDX-License-Identifier: Apache-2.0
 * sim: a simulated world for the pure cores: time, hosts, a network, a trace, all from one seed.
 *
 * A world is a heap of events ordered by (virtual time, order of scheduling). Running one event is
 * a step. Nothing in it looks at the real clock, so an hour passes in milliseconds, and the same
 * seed gives the same steps: every line told to sim_trace goes into a hash, and two runs of one
 * seed must end with the same hash.
 *
 * A host is a process on a machine. It crashes and comes back (its timers and connections die with
 * it; what it keeps on disk is the scenario's affair, see disk.h). Two kinds of message:
 *
 *   sim_send   over a connection: in order, never lost while it stands; a crash, a partition or bad
 *              luck cuts it, what was under way is gone, and both ends are told, sooner or later
 *   sim_cast   on its own: delayed, overtaken, lost, doubled. A request that is repeated over a new
 *              connection while the old one still drains looks like this to its receiver
 *
 * Faults come from the scenario (crash, partition) and from the conditions of the network
 * (sim->net). sim_heal ends them all. One thread; single-use. */
#ifndef QUERN_TESTS_SIM_SIM_H
#define QUERN_TESTS_SIM_SIM_H

#include "libcommon/base/buf.h"
#include "libcommon/base/heap.h"
#include "libcommon/base/list.h"
#include "libcommon/base/rand.h"

#define SIM_HOSTS_MAX 64

struct sim;
struct sim_host;
struct sim_conn;

/* What travels. The sender fills in the rest of a bigger struct that begins with this. Freed by the
 * world through `release` (NULL: mem_free). */
struct sim_msg {
    const char *name; /* for the trace; a literal */
    void (*release)(struct sim_msg *msg);
    struct sim_msg *(*copy)(const struct sim_msg *msg); /* NULL: is never doubled */
};

struct sim_host_ops {
    /* conn is NULL for a cast. msg is borrowed. */
    void (*on_message)(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *msg);
    void (*on_cut)(struct sim_host *host, struct sim_conn *conn); /* the connection is gone */
};

struct sim_host {
    struct sim *sim;
    const struct sim_host_ops *ops;
    char name[24];
    uint32_t index;
    uint32_t life; /* counts starts: events of an earlier life never run */
    bool is_up;
};

struct sim_net {
    uint32_t delay_min_ms, delay_max_ms;
    uint32_t cut_one_in;    /* messages on connections that cut it; 0 = none */
    uint32_t lose_one_in;   /* casts */
    uint32_t double_one_in; /* casts */
    uint32_t late_one_in;   /* casts that take up to late_ms */
    uint32_t late_ms;
};

struct sim {
    uint64_t now_ms;
    uint64_t seed, steps;
    struct rand rand;
    struct sim_net net;
    struct heap events;
    struct list conns;
    struct sim_host *hosts[SIM_HOSTS_MAX];
    uint32_t host_count;
    uint64_t parted[SIM_HOSTS_MAX]; /* [i] bit k: nothing from host i reaches host k */
    uint64_t hash;
    bool is_traced;  /* print the trace, too */
    bool has_failed; /* an invariant is broken; `failure` says which */
    char failure[512];
    void *scenario; /* the scenario's own state */
};

void sim_init(struct sim *sim, uint64_t seed, bool is_traced);
void sim_release(struct sim *sim); /* frees events and connections; hosts are the scenario's */
/* Run the next event. False when there is none. */
bool sim_step(struct sim *sim);

void sim_trace(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An invariant is broken: the run ends. The first one counts. */
void sim_fail(struct sim *sim, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- hosts ---- */
void sim_host_add(struct sim *sim, struct sim_host *host, const char *name,
                  const struct sim_host_ops *ops); /* up, in its first life */
void sim_host_crash(struct sim_host *host);
void sim_host_start(struct sim_host *host); /* a crashed one; events of the old life stay dead */

/* Run fn(arg) in so many ms, if the host still lives this life then. host NULL: in any case. */
void sim_after(struct sim *sim, struct sim_host *host, uint64_t ms, void (*fn)(void *arg),
               void *arg);

/* The same with an argument of its own: drop(arg) frees it when fn is never run. fn frees it
 * itself. */
struct sim_call {
    void (*fn)(void *arg);
    void (*drop)(void *arg);
    void *arg;
};
void sim_after_owned(struct sim *sim, struct sim_host *host, uint64_t ms,
                     const struct sim_call *call);

/* ---- network: sim_net.c ---- */
/* NULL when the other one is down or out of reach. Takes no time; its first message does. */
struct sim_conn *sim_connect(struct sim_host *from, struct sim_host *to);
bool sim_conn_is_up(const struct sim_conn *conn);
struct sim_host *sim_conn_peer(const struct sim_conn *conn, const struct sim_host *self);
void sim_conn_close(struct sim_conn *conn, struct sim_host *by); /* the other end is told later */
void sim_send(struct sim_conn *conn, struct sim_host *from, struct sim_msg *msg); /* takes msg */
void sim_cast(struct sim_host *from, struct sim_host *to, struct sim_msg *msg);   /* takes msg */
/* Nothing passes from one to the other (one way) any more. */
void sim_part(struct sim *sim, struct sim_host *from, struct sim_host *to);
bool sim_is_parted(const struct sim_host *from, const struct sim_host *to); /* one way */
void sim_unpart(struct sim *sim, struct sim_host *from, struct sim_host *to);
/* Everything passes again, quickly, and nothing is lost. */
void sim_heal(struct sim *sim);

#endif
