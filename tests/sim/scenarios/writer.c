/* SPDX-License-Identifier: Apache-2.0
 * writer: the scenario. A writer streams blocks through chains of datanodes that are killed, lose
 * power, hang, get slow or damage what they send on, over a network that breaks, while now and then
 * it dies itself. What kinds of fault a run has comes from its seed: with few of them, more can be
 * demanded.
 *
 *   - what was flushed is on every member that lives, what was synced on every member's disk
 *   - a closed block is whole, under its last stamp, on the disk of every member of its last chain
 *   - a block whose writer died or gave up is agreed upon (the real vote) with what was synced, and
 *     with what was flushed as long as one member has not crashed, or had it told to the namenode
 *     and somebody still has it
 *   - no replica ever has a wrong byte, but on a node with bad memory; once that was found out,
 * what is flushed is right there, too, or it is left out
 *   - with a whole network, only nodes with which something is wrong are left out
 *   - a slow one among quick ones does not stay; where all are slow, or only now and then, nobody
 *     goes
 *   - when all faults are over, the writer comes to the end of its block */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/wr_world.h"

#define HEAL_MS     120000
#define WHOLE_EVERY 1000 /* steps between looks at all bytes */
#define SLOW_MS     300

enum fault { KILL, POWER, HANG, CUT, PART, SLOW, DIE, FAULTS };
enum mood { MIXED, CRASHES, SENDER, HANGS, ONE_SLOW, NOBODY_SLOW, MOODS };

struct scenario {
    struct wr_world w; /* first: wr_world(sim) */
    bool has[FAULTS];
    uint32_t pause_ms;
};

/* ---- messages, bytes ---- */

uint64_t wr_sum(const uint8_t *bytes, uint32_t size)
{
    return slice_hash(slice_of(bytes, size), size);
}

uint8_t wr_byte(uint64_t seed, uint64_t at)
{
    return (uint8_t)(hash_u64(seed ^ (at / 8 + 1)) >> at % 8 * 8);
}

struct wr_msg *wr_msg_new(enum wr_kind kind, const uint8_t *bytes, uint32_t size)
{
    static const char *const names[] = {"SETUP",  "READY",    "PACKET", "ACK",
                                        "REPORT", "TRANSFER", "COPY",   "COPIED"};
    struct wr_msg *msg = mem_calloc(1, sizeof(*msg) + size);
    BUG_ON(!msg);
    msg->head.name = names[kind];
    msg->kind = kind;
    msg->size = size;
    if (size)
        memcpy(msg->bytes, bytes, size);
    msg->sum = wr_sum(msg->bytes, size);
    return msg;
}

struct wr_msg *wr_msg_copy(const struct wr_msg *msg)
{
    struct wr_msg *copy = mem_alloc(sizeof(*msg) + msg->size);
    BUG_ON(!copy);
    memcpy(copy, msg, sizeof(*msg) + msg->size);
    return copy;
}

struct posted {
    struct sim_host *from;
    struct sim_conn *conn;
    struct wr_msg *msg;
};

static void posted_drop(void *arg)
{
    struct posted *p = arg;
    mem_free(p->msg);
    mem_free(p);
}

static void posted_send(void *arg)
{
    struct posted *p = arg;
    sim_send(p->conn, p->from, &p->msg->head);
    mem_free(p);
}

void wr_post(struct sim_host *from, struct sim_conn *conn, struct wr_msg *msg, uint32_t ms,
             uint64_t *free_ms)
{
    struct sim *sim = from->sim;
    uint64_t at = (*free_ms > sim->now_ms ? *free_ms : sim->now_ms) + ms;
    if (at == sim->now_ms && *free_ms < at) { /* nothing is before it */
        sim_send(conn, from, &msg->head);
        return;
    }
    struct posted *p = mem_alloc(sizeof(*p));
    BUG_ON(!p);
    *p = (struct posted){from, conn, msg};
    *free_ms = at;
    sim_after_owned(sim, from, at - sim->now_ms, &(struct sim_call){posted_send, posted_drop, p});
}

/* ---- faults ---- */

static void start_node(void *arg)
{
    wr_node_start(arg);
}

static void start_writer(void *arg)
{
    wr_client_start(arg);
}

static void join_again(void *arg)
{
    struct sim *sim = arg;
    memset(sim->parted, 0, sizeof(sim->parted));
    sim_trace(sim, "the parts are joined");
}

static void part(struct wr_world *w, const struct wr_node *node)
{
    struct sim *sim = w->sim;
    struct sim_host *other = sim->hosts[wr_below(w, sim->host_count)];
    struct sim_host *one = sim->hosts[node->host.index];
    sim_part(sim, one, other);
    if (wr_below(w, 2))
        sim_part(sim, other, one);
    sim_after(sim, NULL, 200 + wr_below(w, 8000), join_again, sim);
}

static void healthy(void *arg)
{
    struct wr_node *node = arg;
    if (node->disk_ms)
        node->faulty_ms = node->w->sim->now_ms;
    node->disk_ms = 0;
}

/* One at a time. */
static void slow(struct wr_world *w, struct wr_node *node)
{
    for (uint32_t i = 1; i <= w->node_count; i++)
        if (w->nodes[i].disk_ms)
            return;
    sim_trace(w->sim, "%s has a slow disk", node->host.name);
    node->disk_ms = SLOW_MS;
    sim_after(w->sim, NULL, 3000 + wr_below(w, 20000), healthy, node);
}

static void do_fault(struct wr_world *w, enum fault fault)
{
    struct wr_node *node = &w->nodes[1 + wr_below(w, w->node_count)];
    switch (fault) {
    case KILL:
    case POWER:
        wr_node_crash(node, fault == POWER);
        sim_after(w->sim, NULL, 50 + wr_below(w, 6000), start_node, node);
        break;
    case HANG:
        wr_node_hang(node, 10 + wr_below(w, wr_below(w, 2) ? 500 : 15000));
        break;
    case PART:
        part(w, node);
        break;
    case SLOW:
        slow(w, node);
        break;
    case DIE:
        wr_client_crash(&w->client);
        sim_after(w->sim, NULL, 100 + wr_below(w, 1000), start_writer, &w->client);
        break;
    case CUT: /* the network's own */
    case FAULTS:
        break;
    }
}

static void fault_in_turn(void *arg)
{
    struct scenario *s = arg;
    struct wr_world *w = &s->w;
    if (w->is_healing)
        return;
    enum fault fault = (enum fault)wr_below(w, FAULTS);
    if (s->has[fault])
        do_fault(w, fault);
    sim_after(w->sim, NULL, 1 + wr_below(w, s->pause_ms), fault_in_turn, s);
}

/* ---- setting up ---- */

static void choose_mood(struct scenario *s)
{
    struct wr_world *w = &s->w;
    enum mood mood = (enum mood)wr_below(w, MOODS);
    uint32_t one = 1 + (uint32_t)wr_below(w, w->node_count);
    for (int i = 0; i < FAULTS; i++)
        s->has[i] = mood == MIXED && wr_below(w, 2);
    if (mood == CRASHES) {
        s->has[KILL] = s->has[HANG] = true;
        s->has[POWER] = s->has[DIE] = wr_below(w, 2);
    }
    s->has[HANG] = s->has[HANG] || mood == HANGS; /* now and then, and nothing else */
    if (mood == SENDER) {
        w->nodes[one].corrupts_one_in = 1 + (uint32_t)wr_below(w, 5);
        w->nodes[one].has_bad_memory = wr_below(w, 2);
    }
    if (mood == ONE_SLOW && wr_below(w, 2))
        w->nodes[one].link_ms = SLOW_MS;
    else if (mood == ONE_SLOW)
        w->nodes[one].disk_ms = SLOW_MS;
    if (mood == NOBODY_SLOW && wr_below(w, 2))
        w->hiccup_ms = 200 + (uint32_t)wr_below(w, WR_WINDOW_MS - 200);
    else if (mood == NOBODY_SLOW)
        for (uint32_t i = 1; i <= w->node_count; i++)
            w->nodes[i].disk_ms = SLOW_MS;
    w->is_nobody_slow = mood == NOBODY_SLOW;
    if (mood < ONE_SLOW && (mood == HANGS || wr_below(w, 3) == 0))
        w->slow.factor = 0; /* then silence alone tells who hangs */
    w->is_net_whole = !s->has[CUT] && !s->has[PART];
    w->sim->net.cut_one_in = s->has[CUT] ? 100 + (uint32_t)wr_below(w, 900) : 0;
    sim_trace(w->sim, "mood %d, %u nodes, %u replicas, policy %d", (int)mood, w->node_count,
              w->replication, (int)w->policy);
}

static void setup(struct sim *sim)
{
    struct scenario *s = mem_calloc(1, sizeof(*s));
    BUG_ON(!s);
    struct wr_world *w = &s->w;
    sim->scenario = w;
    w->sim = sim;
    w->node_count = 1 + (uint32_t)wr_below(w, WR_NODES);
    w->replication = 1 + (uint32_t)wr_below(w, w->node_count < 4 ? w->node_count : 4);
    w->policy = (enum cl_replace_policy)wr_below(w, 3);
    w->slow = (struct cl_lags_rule){.factor = 4, .min_ms = 100, .window_ms = WR_WINDOW_MS};
    w->next_gs = 1000;
    s->pause_ms = 100 + (uint32_t)wr_below(w, 3000);
    sim->net = (struct sim_net){.delay_min_ms = 0, .delay_max_ms = (uint32_t)wr_below(w, 8)};
    for (uint32_t i = 1; i <= w->node_count; i++)
        wr_node_add(w, i);
    choose_mood(s);
    wr_client_add(w);
    fault_in_turn(s);
}

/* ---- what must hold ---- */

/* Of replicas that are not in the hands of somebody whose memory is bad. */
static void check_bytes(struct wr_world *w)
{
    for (uint32_t n = 1; n <= w->node_count; n++) {
        if (w->nodes[n].has_bad_memory)
            continue;
        list_each (&w->nodes[n].reps, it) {
            const struct wr_rep *rep = list_entry(it, struct wr_rep, link);
            uint64_t right = wr_rep_right(w, rep);
            if (right < rep->r.len)
                sim_fail(w->sim, "byte %llu of block %llu is wrong on %s",
                         (unsigned long long)right, (unsigned long long)rep->r.id,
                         w->nodes[n].host.name);
        }
    }
}

static void check(struct sim *sim)
{
    if (sim->steps % WHOLE_EVERY == 0)
        check_bytes(wr_world(sim));
}

static void check_closed(struct wr_world *w, const struct wr_file *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        const struct wr_node *node = &w->nodes[f->members[i]];
        const struct wr_rep *rep = wr_node_find(node, f->block);
        if (!rep || rep->r.state != DN_REPLICA_FINALIZED || rep->r.gs != f->gs ||
            rep->r.len != f->len || rep->synced != f->len ||
            (wr_node_is_relied_on(node, f->block) && wr_rep_right(w, rep) < f->len))
            sim_fail(w->sim, "block %llu was closed with %llu bytes on %s, which has %llu, %s",
                     (unsigned long long)f->block, (unsigned long long)f->len, node->host.name,
                     (unsigned long long)(rep ? rep->r.len : 0),
                     rep ? dn_replica_state_name((enum dn_replica_state)rep->r.state) : "none");
    }
}

/* All that is left of it votes. */
static void check_abandoned(struct wr_world *w, const struct wr_file *f)
{
    struct dn_vote votes[WR_NODES] = {{0}};
    uint64_t agreed = 0, sure = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct wr_node *node = &w->nodes[f->members[i]];
        bool has_flushed = node->crashes == f->crashes[f->members[i]];
        uint64_t had = has_flushed ? f->flushed : f->synced;
        if (wr_node_is_relied_on(node, f->block) && had > sure)
            sure = had;
    }
    for (uint32_t n = 1; n <= w->node_count; n++) {
        const struct wr_rep *rep = wr_node_find(&w->nodes[n], f->block);
        struct dn_vote *vote = &votes[n - 1];
        vote->code = rep ? 0 : ERR_NOENT;
        if (rep)
            *vote = (struct dn_vote){.state = (enum dn_replica_state)rep->r.state,
                                     .gs = rep->r.gs,
                                     .len = wr_rep_right(w, rep)};
        if (rep && rep->r.gs >= f->gs && vote->len >= f->told && f->told > sure)
            sure = f->told; /* the namenode knew, and somebody has it */
    }
    const struct dn_agreeing block = {.gs = f->gs, .flushed = f->told};
    int rc = dn_agree(votes, w->node_count, &block, &agreed);
    if (sure > 0 && (rc != 0 || agreed < sure))
        sim_fail(w->sim,
                 "block %llu, of which %llu bytes were flushed and %llu synced, is recovered with "
                 "%llu (%s)",
                 (unsigned long long)f->block, (unsigned long long)f->flushed,
                 (unsigned long long)f->synced, (unsigned long long)agreed, err_name(rc));
}

static void finish(struct sim *sim)
{
    struct wr_world *w = wr_world(sim);
    uint32_t closed = 0;
    check_bytes(w);
    for (uint32_t i = 0; i < w->file_count; i++) {
        const struct wr_file *f = &w->files[i];
        closed += f->end == WR_CLOSED;
        if (f->end == WR_CLOSED)
            check_closed(w, f);
        else
            check_abandoned(w, f);
    }
    sim_trace(sim, "%u of %u blocks are closed", closed, w->file_count);
}

static void heal(struct sim *sim)
{
    struct wr_world *w = wr_world(sim);
    w->is_healing = true;
    w->hiccup_ms = 0;
    for (uint32_t n = 1; n <= w->node_count; n++) {
        struct wr_node *node = &w->nodes[n];
        if (node->disk_ms || node->link_ms || node->corrupts_one_in)
            node->faulty_ms = sim->now_ms;
        node->disk_ms = node->link_ms = node->corrupts_one_in = 0;
        wr_node_start(node);
    }
    wr_client_start(&w->client);
}

static bool is_settled(struct sim *sim)
{
    const struct wr_world *w = wr_world(sim);
    return w->client.host.is_up && w->client.step == WR_IDLE;
}

static void explain(struct sim *sim, struct buf *out)
{
    const struct wr_client *c = &wr_world(sim)->client;
    buf_printf(out, "the writer is in step %d, %llu of %llu bytes acknowledged", (int)c->step,
               (unsigned long long)c->p.acked, (unsigned long long)c->target);
}

static void teardown(struct sim *sim)
{
    struct wr_world *w = wr_world(sim);
    for (uint32_t n = 1; n <= w->node_count; n++)
        wr_node_release(&w->nodes[n]);
    mem_free(CONTAINER_OF(w, struct scenario, w));
    sim->scenario = NULL;
}

const struct sim_scenario sim_scenario_writer = {
    .name = "writer",
    .about = "one writer, its chains of datanodes, packet by packet; the client's decisions",
    .steps = 20000,
    .heal_ms = HEAL_MS,
    .setup = setup,
    .check = check,
    .heal = heal,
    .is_settled = is_settled,
    .finish = finish,
    .explain = explain,
    .teardown = teardown,
};
