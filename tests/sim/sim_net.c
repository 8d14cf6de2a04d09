/* SPDX-License-Identifier: Apache-2.0
 * sim_net: connections and casts. A connection is kept until the world ends, cut or not: events
 * that are under way may still point to it. */
#include "libcommon/base/mem.h"
#include "tests/sim/sim_conn.h"

#define CUT_TOLD_CRASH_MS 50   /* a dead process's peers hear of it within */
#define CUT_TOLD_PART_MS  8000 /* behind a partition it takes the other end's time-outs */

struct sim_conn {
    struct list link;
    struct sim_host *ends[2];
    uint64_t busy_until[2]; /* when the last message towards ends[i] arrives: order is kept */
    bool is_up;
};

struct delivery {
    struct sim *sim;
    struct sim_host *from, *to;
    uint32_t to_life;
    struct sim_conn *conn; /* NULL: a cast */
    struct sim_msg *msg;
};

static void msg_free(struct sim_msg *msg)
{
    if (!msg)
        return;
    if (msg->release)
        msg->release(msg);
    else
        mem_free(msg);
}

bool sim_is_parted(const struct sim_host *from, const struct sim_host *to)
{
    return (from->sim->parted[from->index] >> to->index & 1) != 0;
}

static uint64_t delay(struct sim *sim)
{
    const struct sim_net *net = &sim->net;
    return net->delay_min_ms + rand_below(&sim->rand, net->delay_max_ms - net->delay_min_ms + 1);
}

/* ---- connections ---- */

struct sim_conn *sim_connect(struct sim_host *from, struct sim_host *to)
{
    struct sim *sim = from->sim;
    if (!to->is_up || sim_is_parted(from, to) || sim_is_parted(to, from))
        return NULL;
    struct sim_conn *conn = mem_calloc(1, sizeof(*conn));
    BUG_ON(!conn);
    *conn = (struct sim_conn){.ends = {from, to}, .is_up = true};
    list_push_back(&sim->conns, &conn->link);
    return conn;
}

bool sim_conn_is_up(const struct sim_conn *conn)
{
    return conn->is_up;
}

struct sim_host *sim_conn_peer(const struct sim_conn *conn, const struct sim_host *self)
{
    return conn->ends[conn->ends[0] == self];
}

struct told {
    struct sim_conn *conn;
    struct sim_host *end;
};

static void tell_cut(void *arg)
{
    struct told *told = arg;
    if (told->end->ops->on_cut)
        told->end->ops->on_cut(told->end, told->conn);
    mem_free(told);
}

static void cut(struct sim *sim, struct sim_conn *conn, uint64_t told_ms)
{
    if (!conn->is_up)
        return;
    conn->is_up = false;
    for (int i = 0; i < 2; i++) {
        if (!conn->ends[i]->is_up)
            continue;
        struct told *told = mem_alloc(sizeof(*told));
        BUG_ON(!told);
        *told = (struct told){conn, conn->ends[i]};
        sim_after_owned(sim, conn->ends[i], 1 + rand_below(&sim->rand, told_ms),
                        &(struct sim_call){tell_cut, mem_free, told});
    }
}

void sim_conn_close(struct sim_conn *conn, struct sim_host *by)
{
    sim_trace(by->sim, "%s hangs up on %s", by->name, sim_conn_peer(conn, by)->name);
    cut(by->sim, conn, CUT_TOLD_CRASH_MS);
}

void sim_conns_of_dead(struct sim_host *host)
{
    list_each (&host->sim->conns, it) {
        struct sim_conn *conn = list_entry(it, struct sim_conn, link);
        if (conn->ends[0] == host || conn->ends[1] == host)
            cut(host->sim, conn, CUT_TOLD_CRASH_MS);
    }
}

void sim_conns_release(struct sim *sim)
{
    list_each_safe (&sim->conns, it)
        mem_free(list_entry(it, struct sim_conn, link));
}

/* ---- messages ---- */

static bool may_arrive(const struct delivery *d)
{
    if (!d->to->is_up || d->to->life != d->to_life)
        return false;
    if (sim_is_parted(d->from, d->to))
        return false;
    return !d->conn || d->conn->is_up;
}

static void drop(void *arg)
{
    struct delivery *d = arg;
    msg_free(d->msg);
    mem_free(d);
}

static void deliver(void *arg)
{
    struct delivery *d = arg;
    if (may_arrive(d)) {
        sim_trace(d->sim, "%s -> %s %s", d->from->name, d->to->name, d->msg->name);
        d->to->ops->on_message(d->to, d->from, d->conn, d->msg);
    }
    drop(d);
}

static void post(struct sim_host *from, struct sim_host *to, struct sim_conn *conn,
                 struct sim_msg *msg, uint64_t in_ms)
{
    struct delivery *d = mem_calloc(1, sizeof(*d));
    BUG_ON(!d);
    *d = (struct delivery){
        .sim = from->sim, .from = from, .to = to, .to_life = to->life, .conn = conn, .msg = msg};
    sim_after_owned(from->sim, NULL, in_ms, &(struct sim_call){deliver, drop, d});
}

void sim_send(struct sim_conn *conn, struct sim_host *from, struct sim_msg *msg)
{
    struct sim *sim = from->sim;
    int side = conn->ends[0] == from; /* of the receiver */
    if (conn->is_up && sim->net.cut_one_in && rand_chance(&sim->rand, sim->net.cut_one_in)) {
        sim_trace(sim, "the connection of %s and %s breaks", conn->ends[0]->name,
                  conn->ends[1]->name);
        cut(sim, conn, CUT_TOLD_PART_MS);
    }
    if (!conn->is_up) {
        msg_free(msg);
        return;
    }
    uint64_t at = sim->now_ms + delay(sim);
    if (at < conn->busy_until[side])
        at = conn->busy_until[side];
    conn->busy_until[side] = at;
    post(from, conn->ends[side], conn, msg, at - sim->now_ms);
}

void sim_cast(struct sim_host *from, struct sim_host *to, struct sim_msg *msg)
{
    struct sim *sim = from->sim;
    const struct sim_net *net = &sim->net;
    if (msg->copy && net->double_one_in && rand_chance(&sim->rand, net->double_one_in))
        post(from, to, NULL, msg->copy(msg), delay(sim) + rand_below(&sim->rand, net->late_ms + 1));
    if (net->lose_one_in && rand_chance(&sim->rand, net->lose_one_in)) {
        msg_free(msg);
        return;
    }
    uint64_t in_ms = delay(sim);
    if (net->late_one_in && rand_chance(&sim->rand, net->late_one_in))
        in_ms += rand_below(&sim->rand, net->late_ms + 1);
    post(from, to, NULL, msg, in_ms);
}

/* ---- partitions ---- */

void sim_part(struct sim *sim, struct sim_host *from, struct sim_host *to)
{
    sim_trace(sim, "nothing gets from %s to %s any more", from->name, to->name);
    sim->parted[from->index] |= 1ULL << to->index;
    list_each (&sim->conns, it) {
        struct sim_conn *conn = list_entry(it, struct sim_conn, link);
        bool is_theirs = (conn->ends[0] == from && conn->ends[1] == to) ||
                         (conn->ends[1] == from && conn->ends[0] == to);
        if (is_theirs)
            cut(sim, conn, CUT_TOLD_PART_MS);
    }
}

void sim_unpart(struct sim *sim, struct sim_host *from, struct sim_host *to)
{
    sim_trace(sim, "what %s sends reaches %s again", from->name, to->name);
    sim->parted[from->index] &= ~(1ULL << to->index);
}

void sim_heal(struct sim *sim)
{
    sim_trace(sim, "the network is whole");
    memset(sim->parted, 0, sizeof(sim->parted));
    sim->net = (struct sim_net){.delay_min_ms = 1, .delay_max_ms = 5};
}
