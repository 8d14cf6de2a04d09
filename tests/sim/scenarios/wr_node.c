/* SPDX-License-Identifier: Apache-2.0
 * wr_node: a datanode of a chain: takes packets, checks them, writes and syncs them as its disk
 * allows, sends them on, and answers when its part and that of all behind it is done. It is killed,
 * loses power, hangs, is slow, or damages what it sends on. */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/wr_world.h"

#define CALM_STEPS 12U /* between two hiccups of a disk */
#define TICK_MS    50

/* One conversation: a chain's writing, or a copy that is sent. Kept until the node dies, as events
 * may point to it; closed, it is without its big parts. */
struct wr_relay {
    struct list link;
    struct wr_node *node;
    struct sim_conn *up, *down; /* down NULL: we are the last */
    struct wr_rep *rep;
    struct dn_pipeline *p; /* NULL: being set up, or closed */
    struct wr_msg *setup;  /* NULL: set up, or closed */
    uint64_t setup_by_ms, link_free_ms;
    bool is_closed, is_copying, disk_is_busy, down_failed;
    uint64_t disk_end; /* of the write that is under way; 0: it is a sync */
    uint64_t next_report_ms, moved_ms, disk_sum_ms, disk_steps, sent, step_ms;
    struct cl_lag below[CL_PIPELINE_NODES];
    uint32_t below_count;
    bool has_news;
    uint8_t bytes[WR_BLOCK]; /* as received */
};

/* What came while it hung: a message, or (NULL) that the connection is gone. */
struct wr_heard {
    struct list link;
    struct sim_conn *conn;
    struct wr_msg *msg;
};

static struct sim *sim_of(const struct wr_node *node)
{
    return node->w->sim;
}

static bool is_hung(const struct wr_node *node)
{
    return node->hung_until_ms > sim_of(node)->now_ms;
}

/* Not now: the process stands still. */
static bool comes_later(struct wr_relay *r, void (*fn)(void *arg))
{
    if (!is_hung(r->node))
        return false;
    sim_after(sim_of(r->node), &r->node->host, r->node->hung_until_ms - sim_of(r->node)->now_ms + 1,
              fn, r);
    return true;
}

/* ---- replicas ---- */

struct wr_rep *wr_node_find(const struct wr_node *node, uint64_t block)
{
    list_each (&node->reps, it) {
        struct wr_rep *rep = list_entry(it, struct wr_rep, link);
        if (rep->r.id == block)
            return rep;
    }
    return NULL;
}

uint64_t wr_rep_right(const struct wr_world *w, const struct wr_rep *rep)
{
    uint64_t at = 0, seed = w->files[rep->r.id - 1].seed;
    while (at < rep->r.len && rep->bytes[at] == wr_byte(seed, at))
        at++;
    return at;
}

bool wr_node_is_relied_on(const struct wr_node *node, uint64_t block)
{
    return !node->has_bad_memory || node->caught == block;
}

static struct wr_rep *rep_add(struct wr_node *node, const struct wr_msg *msg,
                              enum dn_replica_state state)
{
    struct wr_rep *rep = mem_calloc(1, sizeof(*rep));
    BUG_ON(!rep);
    rep->r = (struct dn_replica){.id = msg->block, .gs = msg->gs, .state = (uint8_t)state};
    list_push_back(&node->reps, &rep->link);
    return rep;
}

static void rep_free(struct wr_rep *rep)
{
    list_remove(&rep->link);
    mem_free(rep);
}

/* ---- conversations ---- */

static struct wr_relay *relay_add(struct wr_node *node, struct sim_conn *up)
{
    struct wr_relay *r = mem_calloc(1, sizeof(*r));
    BUG_ON(!r);
    r->node = node;
    r->up = up;
    r->moved_ms = sim_of(node)->now_ms;
    list_push_back(&node->relays, &r->link);
    return r;
}

static void relay_close(struct wr_relay *r)
{
    if (r->is_closed)
        return;
    r->is_closed = true;
    if (r->down)
        sim_conn_close(r->down, &r->node->host);
    mem_free(r->p);
    mem_free(r->setup);
    r->p = NULL;
    r->setup = NULL;
}

static struct wr_relay *relay_of(struct wr_node *node, const struct sim_conn *conn)
{
    list_each (&node->relays, it) {
        struct wr_relay *r = list_entry(it, struct wr_relay, link);
        if (!r->is_closed && (r->up == conn || r->down == conn))
            return r;
    }
    return NULL;
}

static void answer(struct wr_relay *r, enum wr_kind kind, int code, uint32_t bad)
{
    struct wr_msg *msg = wr_msg_new(kind, NULL, 0);
    msg->code = code;
    msg->bad = bad;
    sim_send(r->up, &r->node->host, &msg->head);
}

/* ---- acks up ---- */

static void send_acks(struct wr_relay *r)
{
    struct dn_ack ack;
    while (dn_pipeline_pop_ack(r->p, &ack)) {
        struct wr_msg *msg = wr_msg_new(WR_ACK, NULL, 0);
        msg->seq = ack.seq;
        msg->count = ack.count;
        for (unsigned i = 0; i < ack.count; i++)
            msg->status[i] = (int16_t)ack.status[i];
        sim_send(r->up, &r->node->host, &msg->head);
    }
}

/* ---- the disk ---- */

static void start_disk(struct wr_relay *r);

static void disk_done(void *arg)
{
    struct wr_relay *r = arg;
    if (r->is_closed || comes_later(r, disk_done))
        return;
    uint64_t end = r->disk_end;
    r->disk_is_busy = false;
    if (end) {
        memcpy(r->rep->bytes, r->bytes, end);
        r->rep->r.len = end;
        dn_pipeline_written(r->p, end);
    } else if (dn_pipeline_need(r->p) == DN_NEED_FINALIZE) {
        r->rep->synced = r->rep->r.len;
        if (dn_replica_finalize(&r->rep->r, r->rep->r.len) != 0)
            sim_fail(sim_of(r->node), "%s cannot finalize", r->node->host.name);
        dn_pipeline_finalized(r->p);
    } else {
        r->rep->synced = r->rep->r.len;
        if (dn_pipeline_need(r->p) == DN_NEED_SYNC)
            dn_pipeline_synced(r->p);
    }
    send_acks(r);
    start_disk(r);
}

/* Rare: several within a few steps would be a slow disk, and rightly taken for one. */
static bool has_hiccup(struct wr_node *node)
{
    if (!node->w->hiccup_ms || ++node->calm_steps < CALM_STEPS || wr_below(node->w, 60) > 0)
        return false;
    node->calm_steps = 0;
    return true;
}

/* Everything that has come goes in one write; then what the oldest packets want. */
static void start_disk(struct wr_relay *r)
{
    struct wr_node *node = r->node;
    bool writes = r->p->received > r->p->written && r->p->local_code == 0;
    if (r->disk_is_busy || (!writes && dn_pipeline_need(r->p) == DN_NEED_NOTHING))
        return;
    uint64_t ms = 1 + wr_below(node->w, 3) + node->disk_ms;
    if (has_hiccup(node))
        ms += node->w->hiccup_ms;
    r->disk_is_busy = true;
    r->disk_end = writes ? r->p->received : 0;
    r->disk_sum_ms += ms;
    r->step_ms = ms;
    r->disk_steps++;
    sim_after(sim_of(node), &node->host, ms, disk_done, r);
}

/* ---- reports ---- */

static struct wr_node *next_of(const struct wr_relay *r)
{
    return CONTAINER_OF(sim_conn_peer(r->down, &r->node->host), struct wr_node, host);
}

/* As datanode/serve/lags takes it. */
static uint32_t link_ms(const struct wr_relay *r, uint64_t now_ms)
{
    uint64_t silent_ms = now_ms - r->moved_ms;
    bool owes = r->p->mirrored < r->p->count && r->below_count > 0;
    if (owes && silent_ms > 4ULL * WR_REPORT_MS && silent_ms > 4 * r->step_ms)
        return (uint32_t)silent_ms;
    return r->sent ? next_of(r)->link_ms : CL_LAG_NONE;
}

static void report(struct wr_relay *r)
{
    uint64_t now_ms = sim_of(r->node)->now_ms;
    if (now_ms < r->next_report_ms || (r->p->count == 0 && !r->has_news) ||
        r->node->w->slow.factor == 0) /* nobody asked */
        return;
    struct wr_msg *msg = wr_msg_new(WR_REPORT, NULL, 0);
    uint32_t disk = r->disk_steps ? (uint32_t)(r->disk_sum_ms / r->disk_steps) : CL_LAG_NONE;
    msg->lags[msg->count++] = (struct cl_lag){disk, CL_LAG_NONE};
    for (uint32_t i = 0; r->down && i < r->below_count; i++)
        msg->lags[msg->count++] =
            r->has_news ? r->below[i] : (struct cl_lag){CL_LAG_NONE, CL_LAG_NONE};
    if (r->down && msg->count == 1)
        msg->lags[msg->count++] = (struct cl_lag){CL_LAG_NONE, CL_LAG_NONE};
    if (r->down)
        msg->lags[1].link_ms = link_ms(r, now_ms);
    r->disk_sum_ms = r->disk_steps = r->sent = 0;
    r->has_news = false;
    r->next_report_ms = now_ms + WR_REPORT_MS;
    sim_send(r->up, &r->node->host, &msg->head);
}

/* ---- setting up ---- */

static void tick(void *arg)
{
    struct wr_relay *r = arg;
    if (r->is_closed || comes_later(r, tick))
        return;
    uint64_t now_ms = sim_of(r->node)->now_ms;
    if (!r->p && r->down && now_ms >= r->setup_by_ms) {
        answer(r, r->is_copying ? WR_COPIED : WR_READY, ERR_TIMEOUT, next_of(r)->number);
        relay_close(r);
        return;
    }
    if (r->p && dn_pipeline_expire(r->p, now_ms) != 0) {
        sim_conn_close(r->up, &r->node->host);
        relay_close(r);
        return;
    }
    if (r->p) {
        send_acks(r);
        report(r);
    }
    sim_after(sim_of(r->node), &r->node->host, TICK_MS, tick, r);
}

static void begin(struct wr_relay *r)
{
    const struct wr_msg *ask = r->setup;
    uint64_t len = r->rep->r.len;
    const struct dn_pipeline_conf conf = {.start_len = len,
                                          .max_len = WR_BLOCK,
                                          .has_mirror = r->down != NULL,
                                          .idle_ms = WR_IDLE_MS,
                                          .ack_ms = WR_WAIT_MS + ask->count * WR_BEHIND_MS};
    r->p = mem_alloc(sizeof(*r->p));
    BUG_ON(!r->p);
    dn_pipeline_init(r->p, &conf, sim_of(r->node)->now_ms);
    memcpy(r->bytes, r->rep->bytes, len);
    r->next_report_ms = sim_of(r->node)->now_ms + WR_REPORT_MS;
    mem_free(r->setup);
    r->setup = NULL;
    answer(r, WR_READY, 0, 0);
}

/* Who wrote here before is not heard any more. */
static void end_writing(struct wr_node *node, const struct wr_rep *rep)
{
    list_each (&node->relays, it) {
        struct wr_relay *old = list_entry(it, struct wr_relay, link);
        if (old->rep == rep && !old->is_closed)
            relay_close(old);
    }
}

static int resume(struct wr_node *node, const struct wr_msg *ask, struct wr_rep *rep)
{
    if (!rep)
        return ERR_NOENT;
    int rc = dn_replica_can_resume(&rep->r, ask->gs, ask->new_gs, ask->len);
    if (rc != 0)
        return rc;
    end_writing(node, rep);
    if (wr_rep_right(node->w, rep) < ask->len)
        return ERR_CHECKSUM;
    rc = dn_replica_resume(&rep->r, ask->gs, ask->new_gs, ask->len);
    rep->synced = rep->synced < ask->len ? rep->synced : ask->len;
    return rc;
}

static void set_up(struct wr_node *node, struct sim_conn *conn, const struct wr_msg *ask)
{
    struct wr_rep *rep = wr_node_find(node, ask->block);
    int rc = ask->new_gs ? resume(node, ask, rep) : rep ? ERR_EXIST : 0;
    struct wr_relay *r = relay_add(node, conn);
    if (rc == 0 && !rep)
        rep = rep_add(node, ask, DN_REPLICA_RBW);
    r->rep = rep;
    r->setup = wr_msg_copy(ask);
    uint32_t bad = node->number;
    if (rc == 0 && ask->count > 0) {
        bad = ask->nodes[0];
        r->down = sim_connect(&node->host, &node->w->nodes[bad].host);
        rc = r->down ? 0 : ERR_UNREACHABLE;
    }
    if (rc != 0) {
        answer(r, WR_READY, rc, bad);
        relay_close(r);
        return;
    }
    sim_after(sim_of(node), &node->host, TICK_MS, tick, r);
    if (!r->down) {
        begin(r);
        return;
    }
    struct wr_msg *onward = wr_msg_copy(ask);
    onward->count--;
    memmove(onward->nodes, onward->nodes + 1, onward->count * sizeof(onward->nodes[0]));
    r->setup_by_ms = sim_of(node)->now_ms + WR_WAIT_MS + onward->count * WR_BEHIND_MS;
    sim_send(r->down, &node->host, &onward->head);
}

/* What the next one said of itself and those behind it. */
static void set_up_below(struct wr_relay *r, const struct wr_msg *said)
{
    if (said->code == 0) {
        begin(r);
        return;
    }
    answer(r, WR_READY, said->code, said->bad);
    relay_close(r);
}

/* ---- packets ---- */

/* Behind its own check. */
static void damage(struct wr_relay *r, struct wr_msg *msg)
{
    struct wr_node *node = r->node;
    if (!node->corrupts_one_in || !msg->size || wr_below(node->w, node->corrupts_one_in) != 0)
        return;
    uint64_t at = wr_below(node->w, msg->size);
    msg->bytes[at] ^= 4;
    if (node->has_bad_memory)
        r->bytes[msg->offset + at] ^= 4;
    sim_trace(sim_of(node), "%s damages packet %llu", node->host.name,
              (unsigned long long)msg->seq);
}

/* To the next one, if there is one. */
static void forward(struct wr_relay *r, const struct wr_msg *msg)
{
    struct wr_node *node = r->node;
    struct wr_msg *onward = wr_msg_copy(msg);
    damage(r, onward);
    if (!r->down || r->p->bad_count > 0 || r->down_failed) {
        mem_free(onward);
        return;
    }
    r->sent++;
    r->moved_ms = sim_of(node)->now_ms;
    wr_post(&node->host, r->down, onward, next_of(r)->link_ms, &r->link_free_ms);
}

/* Only another datanode sends what is damaged. */
static void complain(const struct wr_relay *r)
{
    struct wr_node *sender =
        CONTAINER_OF(sim_conn_peer(r->up, &r->node->host), struct wr_node, host);
    sender->caught = r->rep->r.id;
}

static void take_packet(struct wr_relay *r, const struct wr_msg *msg)
{
    const struct dn_packet packet = {
        .seq = msg->seq,
        .offset = msg->offset,
        .len = msg->size,
        .flags = (msg->flags & CL_PACKET_LAST ? DN_PACKET_LAST : 0U) |
                 (msg->flags & CL_PACKET_SYNC ? DN_PACKET_SYNC : 0U),
    };
    if (dn_pipeline_is_over(r->p))
        return;
    if (dn_pipeline_accept(r->p, &packet, sim_of(r->node)->now_ms) != 0) {
        sim_fail(sim_of(r->node), "%s was sent packet %llu, which does not continue its stream",
                 r->node->host.name, (unsigned long long)msg->seq);
        return;
    }
    if (wr_sum(msg->bytes, msg->size) != msg->sum) {
        dn_pipeline_local_failed(r->p, ERR_CHECKSUM);
        complain(r);
    } else if (msg->size) {
        memcpy(r->bytes + msg->offset, msg->bytes, msg->size);
    }
    if (r->p->local_code == 0)
        forward(r, msg);
    report(r);
    send_acks(r);
    start_disk(r);
}

static void take_ack(struct wr_relay *r, const struct wr_msg *msg)
{
    struct dn_ack ack = {.seq = msg->seq, .count = msg->count};
    for (uint32_t i = 0; i < msg->count; i++)
        ack.status[i] = msg->status[i];
    r->moved_ms = sim_of(r->node)->now_ms;
    if (dn_pipeline_mirror_ack(r->p, &ack, sim_of(r->node)->now_ms) != 0)
        dn_pipeline_mirror_failed(r->p, ERR_PROTO);
    send_acks(r);
}

static void take_report(struct wr_relay *r, const struct wr_msg *msg)
{
    memcpy(r->below, msg->lags, sizeof(r->below));
    r->below_count = msg->count < CL_PIPELINE_NODES ? msg->count : CL_PIPELINE_NODES - 1;
    r->has_news = true;
    r->moved_ms = sim_of(r->node)->now_ms;
}

/* ---- copies for a newcomer ---- */

static void send_copy(struct wr_node *node, struct sim_conn *conn, const struct wr_msg *ask)
{
    struct wr_rep *rep = wr_node_find(node, ask->block);
    struct wr_relay *r = relay_add(node, conn);
    uint32_t target = ask->nodes[0];
    r->is_copying = true;
    enum dn_replica_state to;
    uint64_t right = rep ? wr_rep_right(node->w, rep) : 0;
    bool can = rep && rep->r.gs >= ask->gs && right >= ask->len &&
               dn_replica_next((enum dn_replica_state)rep->r.state,
                               (enum dn_replica_state)rep->r.before, DN_EVENT_RESUME, &to) == 0;
    if (can)
        end_writing(node, rep);
    r->down = can ? sim_connect(&node->host, &node->w->nodes[target].host) : NULL;
    if (!r->down) {
        answer(r, WR_COPIED,
               can                ? ERR_UNREACHABLE
               : right < ask->len ? ERR_CORRUPT
                                  : ERR_STALE,
               can ? target : node->number);
        relay_close(r);
        return;
    }
    struct wr_msg *copy = wr_msg_new(WR_COPY, rep->bytes, (uint32_t)right);
    copy->block = ask->block;
    copy->gs = rep->r.gs;
    r->setup_by_ms = sim_of(node)->now_ms + WR_WAIT_MS;
    sim_after(sim_of(node), &node->host, TICK_MS, tick, r);
    sim_send(r->down, &node->host, &copy->head);
}

static void take_copy(struct wr_node *node, struct sim_conn *conn, const struct wr_msg *msg)
{
    struct wr_relay *r = relay_add(node, conn);
    int rc = wr_node_find(node, msg->block)              ? ERR_EXIST
             : wr_sum(msg->bytes, msg->size) != msg->sum ? ERR_CHECKSUM
                                                         : 0;
    if (rc == 0) {
        struct wr_rep *rep = rep_add(node, msg, DN_REPLICA_TEMPORARY);
        memcpy(rep->bytes, msg->bytes, msg->size);
        rep->synced = msg->size;
        rc = dn_replica_convert(&rep->r, msg->size);
    }
    answer(r, WR_COPIED, rc, node->number);
    relay_close(r);
}

/* ---- hearing ---- */

static void hear_up(struct wr_relay *r, const struct wr_msg *msg)
{
    if (msg->kind == WR_PACKET_ && r->p)
        take_packet(r, msg);
}

static void hear_down(struct wr_relay *r, const struct wr_msg *msg)
{
    if (msg->kind == WR_READY && !r->p)
        set_up_below(r, msg);
    else if (msg->kind == WR_ACK && r->p)
        take_ack(r, msg);
    else if (msg->kind == WR_REPORT && r->p)
        take_report(r, msg);
    else if (msg->kind == WR_COPIED && r->is_copying) {
        answer(r, WR_COPIED, msg->code, msg->bad);
        relay_close(r);
    }
}

static void hear(struct wr_node *node, struct sim_conn *conn, const struct wr_msg *msg)
{
    struct wr_relay *r = relay_of(node, conn);
    if (msg->kind == WR_SETUP)
        set_up(node, conn, msg);
    else if (msg->kind == WR_TRANSFER)
        send_copy(node, conn, msg);
    else if (msg->kind == WR_COPY)
        take_copy(node, conn, msg);
    else if (r && r->up == conn)
        hear_up(r, msg);
    else if (r)
        hear_down(r, msg);
}

static void hear_cut(struct wr_node *node, struct sim_conn *conn)
{
    struct wr_relay *r = relay_of(node, conn);
    if (!r)
        return;
    if (r->up == conn) {
        relay_close(r);
    } else if (r->p) {
        r->down_failed = true;
        dn_pipeline_mirror_failed(r->p, ERR_CLOSED);
        send_acks(r);
    } else {
        answer(r, r->is_copying ? WR_COPIED : WR_READY, ERR_CLOSED, next_of(r)->number);
        relay_close(r);
    }
}

static void keep(struct wr_node *node, struct sim_conn *conn, struct wr_msg *msg)
{
    struct wr_heard *heard = mem_calloc(1, sizeof(*heard));
    BUG_ON(!heard);
    heard->conn = conn;
    heard->msg = msg;
    list_push_back(&node->waiting, &heard->link);
}

static void heard_free(struct wr_heard *heard)
{
    list_remove(&heard->link);
    mem_free(heard->msg);
    mem_free(heard);
}

static void on_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *msg)
{
    struct wr_node *node = CONTAINER_OF(host, struct wr_node, host);
    const struct wr_msg *said = CONTAINER_OF(msg, struct wr_msg, head);
    (void)from;
    if (is_hung(node) || !list_is_empty(&node->waiting))
        keep(node, conn, wr_msg_copy(said));
    else
        hear(node, conn, said);
}

static void on_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct wr_node *node = CONTAINER_OF(host, struct wr_node, host);
    if (is_hung(node) || !list_is_empty(&node->waiting))
        keep(node, conn, NULL);
    else
        hear_cut(node, conn);
}

/* It goes on; first it hears what has come meanwhile. */
static void wake(void *arg)
{
    struct wr_node *node = arg;
    if (is_hung(node))
        return;
    sim_trace(sim_of(node), "%s goes on", node->host.name);
    node->faulty_ms = sim_of(node)->now_ms;
    list_each_safe (&node->waiting, it) {
        struct wr_heard *heard = list_entry(it, struct wr_heard, link);
        if (!heard->msg)
            hear_cut(node, heard->conn);
        else if (sim_conn_is_up(heard->conn))
            hear(node, heard->conn, heard->msg);
        heard_free(heard);
    }
}

/* ---- life ---- */

void wr_node_hang(struct wr_node *node, uint64_t ms)
{
    uint64_t until = sim_of(node)->now_ms + ms;
    if (!node->host.is_up || is_hung(node))
        return;
    sim_trace(sim_of(node), "%s hangs for %llu ms", node->host.name, (unsigned long long)ms);
    node->hung_until_ms = until;
    sim_after(sim_of(node), &node->host, ms, wake, node);
}

void wr_node_add(struct wr_world *w, uint32_t number)
{
    static const struct sim_host_ops ops = {on_message, on_cut};
    struct wr_node *node = &w->nodes[number];
    char name[24];
    snprintf(name, sizeof(name), "dn%u", number);
    node->w = w;
    node->number = number;
    list_init(&node->reps);
    list_init(&node->relays);
    list_init(&node->waiting);
    sim_host_add(w->sim, &node->host, name, &ops);
}

static void forget_all(struct wr_node *node)
{
    list_each_safe (&node->waiting, it)
        heard_free(list_entry(it, struct wr_heard, link));
    list_each_safe (&node->relays, it) {
        struct wr_relay *r = list_entry(it, struct wr_relay, link);
        list_remove(&r->link);
        mem_free(r->p);
        mem_free(r->setup);
        mem_free(r);
    }
}

void wr_node_crash(struct wr_node *node, bool is_power_cut)
{
    if (!node->host.is_up)
        return;
    sim_trace(sim_of(node), "%s %s", node->host.name, is_power_cut ? "loses power" : "is killed");
    sim_host_crash(&node->host);
    node->crashes++;
    node->hung_until_ms = 0;
    forget_all(node);
    list_each_safe (&node->reps, it) {
        struct wr_rep *rep = list_entry(it, struct wr_rep, link);
        enum dn_replica_state state = DN_REPLICA_GONE;
        int rc = dn_replica_next((enum dn_replica_state)rep->r.state,
                                 (enum dn_replica_state)rep->r.before, DN_EVENT_RESTART, &state);
        if (is_power_cut && !dn_replica_is_whole(&rep->r)) /* some was written out already */
            rep->r.len = rep->synced += wr_below(node->w, rep->r.len - rep->synced + 1);
        rep->r.state = (uint8_t)state;
        if (rc != 0 || state == DN_REPLICA_GONE)
            rep_free(rep);
    }
}

void wr_node_start(struct wr_node *node)
{
    if (node->host.is_up)
        return;
    sim_host_start(&node->host);
    node->faulty_ms = sim_of(node)->now_ms;
}

void wr_node_release(struct wr_node *node)
{
    forget_all(node);
    list_each_safe (&node->reps, it)
        rep_free(list_entry(it, struct wr_rep, link));
}
