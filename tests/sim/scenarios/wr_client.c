/* SPDX-License-Identifier: Apache-2.0
 * wr_client: the writer: one block after another, in pieces, flushed and synced on the way; every
 * decision about its chain is client/lib/pipeline's and client/lib/lags'.
 *
 *   idle -> set up -> stream ------------------------------------------> closed
 *              ^         | broken                                           (or failed)
 *              |         v
 *              +-- stamp <- join newcomers <- drop one */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/wr_world.h"

#define TICK_MS  25
#define ATTEMPTS 3 /* other nodes for a new block, other newcomers for a chain */
#define BEAT_MS  5000
#define GUILTY_MS                                                                  \
    12000 /* so long after something was wrong with a node it may be blamed for it \
           */

enum goal { GOAL_NONE, GOAL_ROOM, GOAL_FLUSHED, GOAL_SYNCED, GOAL_FINISHED };

static struct sim *sim_of(const struct wr_client *c)
{
    return c->w->sim;
}

static void rest(struct wr_client *c, uint64_t ms, void (*rested)(struct wr_client *c))
{
    c->step = WR_RESTING;
    c->rested = rested;
    c->deadline_ms = sim_of(c)->now_ms + ms;
}

static struct wr_node *node_at(const struct wr_client *c, uint32_t place)
{
    return &c->w->nodes[c->p.nodes[place]];
}

/* ---- who is blamed ---- */

static bool is_guilty(const struct wr_client *c, const struct wr_node *node)
{
    uint64_t now_ms = sim_of(c)->now_ms;
    return !node->host.is_up || node->crashes != c->file->crashes[node->number] ||
           node->hung_until_ms > now_ms || now_ms - node->faulty_ms < GUILTY_MS || node->disk_ms ||
           node->link_ms || node->corrupts_one_in;
}

static void exclude(struct wr_client *c, uint32_t number, int code)
{
    const struct wr_node *node = &c->w->nodes[number];
    c->is_excluded[number] = true;
    sim_trace(sim_of(c), "%s is left out: %s", node->host.name, err_name(code));
    if (c->w->is_net_whole && !is_guilty(c, node))
        sim_fail(sim_of(c), "%s is blamed (%s) and nothing is wrong with it", node->host.name,
                 err_name(code));
}

/* ---- what was promised ---- */

/* A member that did not crash since its chain stands has everything that was acknowledged; what is
 * synced is there whatever happens. */
static void check_member(struct wr_client *c, const struct wr_node *node, bool is_synced)
{
    const struct wr_rep *rep = wr_node_find(node, c->file->block);
    if (!wr_node_is_relied_on(node, c->file->block))
        return;
    if (!is_synced && node->crashes != c->file->crashes[node->number])
        return;
    uint64_t has = rep ? is_synced ? rep->synced : rep->r.len : 0;
    if (has < c->p.acked || (rep && wr_rep_right(c->w, rep) < c->p.acked))
        sim_fail(sim_of(c), "%s has %llu bytes of %llu that were acknowledged as %s",
                 node->host.name, (unsigned long long)has, (unsigned long long)c->p.acked,
                 is_synced ? "synced" : "flushed");
}

static bool is_member(const struct wr_client *c, uint32_t number)
{
    for (uint32_t i = 0; i < c->p.count; i++)
        if (c->p.nodes[i] == number)
            return true;
    return false;
}

/* Somebody who could still join. */
static uint32_t reserve(const struct wr_client *c, uint64_t skip)
{
    for (uint32_t n = 1, seen = 0; n <= c->w->node_count; n++)
        if (!c->is_excluded[n] && !is_member(c, n) && seen++ == skip)
            return n;
    return 0;
}

static uint32_t reserves(const struct wr_client *c)
{
    uint32_t n = 0;
    while (reserve(c, n))
        n++;
    return n;
}

static void promise(struct wr_client *c, bool is_synced)
{
    for (uint32_t i = 0; i < c->p.count; i++)
        check_member(c, node_at(c, i), is_synced);
    c->file->flushed = c->p.acked;
    if (is_synced)
        c->file->synced = c->p.acked;
    if (is_synced || !c->told_length)
        c->file->told = c->p.acked;
    c->told_length = true;
    sim_trace(sim_of(c), "%llu bytes are %s on %u nodes", (unsigned long long)c->p.acked,
              is_synced ? "synced" : "flushed", c->p.count);
}

/* ---- one block ---- */

static void pump(struct wr_client *c);
static void broken(struct wr_client *c, uint32_t bad, int code);
static void allocate(struct wr_client *c);
static void reinforce(struct wr_client *c);

static void hang_up(struct wr_client *c)
{
    if (c->conn)
        sim_conn_close(c->conn, &c->host);
    c->conn = NULL;
}

static void next_file(struct wr_client *c)
{
    struct wr_world *w = c->w;
    c->step = WR_IDLE;
    c->file = NULL;
    memset(c->is_excluded, 0, sizeof(c->is_excluded));
    if (w->is_healing || w->file_count == WR_FILES)
        return;
    c->attempts = 0;
    c->seed = rand_u64(&w->sim->rand);
    c->target = wr_below(w, 4) ? 1 + wr_below(w, WR_BLOCK) : WR_BLOCK;
    c->was_flushed = c->told_length = c->must_replace = false;
    cl_lags_init(&c->lags, &w->slow);
    cl_pipeline_init(&c->p, WR_RING, WR_PACKET, WR_BLOCK);
    rest(c, 1 + wr_below(w, 200), allocate);
}

static void end_file(struct wr_client *c, enum wr_end end)
{
    hang_up(c);
    sim_trace(sim_of(c), "block %llu is %s", (unsigned long long)c->file->block,
              end == WR_CLOSED ? "closed" : "given up");
    c->file->len = c->p.filled;
    c->file->end = end;
    next_file(c);
}

static void tell_pipeline(struct wr_client *c, uint64_t gs)
{
    c->file->gs = gs;
    memcpy(c->file->members, c->p.nodes, sizeof(c->file->members));
    c->file->count = c->p.count;
}

/* ---- setting up ---- */

static void connect_chain(struct wr_client *c)
{
    struct wr_msg *msg = wr_msg_new(WR_SETUP, NULL, 0);
    msg->block = c->file->block;
    msg->gs = c->file->gs;
    msg->new_gs = c->new_gs;
    msg->len = c->p.acked;
    for (uint32_t i = 1; i < c->p.count; i++)
        msg->nodes[msg->count++] = c->p.nodes[i];
    for (uint32_t i = 0; i < c->p.count; i++)
        c->file->crashes[c->p.nodes[i]] = node_at(c, i)->crashes;
    c->step = WR_SETTING_UP;
    c->deadline_ms = sim_of(c)->now_ms + WR_WAIT_MS + c->p.count * WR_BEHIND_MS;
    c->link_free_ms = 0;
    c->conn = sim_connect(&c->host, &node_at(c, 0)->host);
    if (c->conn)
        sim_send(c->conn, &c->host, &msg->head);
    else
        mem_free(msg);
    if (!c->conn)
        broken(c, 0, ERR_UNREACHABLE);
}

static void stream(struct wr_client *c)
{
    c->step = WR_STREAMING;
    c->heard_ms = sim_of(c)->now_ms;
    c->is_told = false;
    c->slow_reports = 0;
    cl_lags_begin(&c->lags);
    pump(c);
}

/* The chain listens under its new stamp; the namenode hears of it, then the writer goes on. */
static void resume(struct wr_client *c)
{
    bool must = c->w->policy == CL_REPLACE_ALWAYS && c->p.count < c->w->replication;
    tell_pipeline(c, c->new_gs);
    if (must && reserves(c) > 0 && c->attempts == 0)
        sim_fail(sim_of(c), "the chain goes on with %u of %u nodes, and there are others",
                 c->p.count, c->w->replication);
    cl_pipeline_resume(&c->p);
    stream(c);
}

/* A new block, on nodes nobody complained about. */
static void allocate(struct wr_client *c)
{
    struct wr_world *w = c->w;
    uint32_t nodes[CL_PIPELINE_NODES] = {0}, count = 0;
    cl_pipeline_set_nodes(&c->p, nodes, 0);
    for (uint32_t left = reserves(c); count < w->replication && left > 0; left--) {
        nodes[count++] = reserve(c, wr_below(w, left));
        cl_pipeline_set_nodes(&c->p, nodes, count);
    }
    if (count == 0 || w->file_count == WR_FILES) {
        next_file(c); /* nobody is left, and nothing was promised */
        return;
    }
    c->file = &w->files[w->file_count++];
    *c->file = (struct wr_file){.block = w->file_count, .seed = c->seed, .gs = ++w->next_gs};
    c->new_gs = 0;
    c->was_flushed = c->told_length = false;
    sim_trace(w->sim, "block %llu begins on %u nodes", (unsigned long long)c->file->block, count);
    connect_chain(c);
}

/* Nobody is left: elsewhere, if all of it is in the ring still. */
static void begin_anew(struct wr_client *c)
{
    if (!cl_pipeline_restart(&c->p)) {
        end_file(c, WR_FAILED);
        return;
    }
    /* what was acknowledged is where nobody is; the block is given up, the bytes are written again
     */
    c->file->flushed = c->file->synced = c->file->told = 0;
    c->file->end = WR_FAILED;
    allocate(c);
}

/* ---- mending ---- */

static void got_stamp(struct wr_client *c)
{
    c->new_gs = ++c->w->next_gs;
    connect_chain(c);
}

static void ask_stamp(struct wr_client *c)
{
    rest(c, 1 + wr_below(c->w, 10), got_stamp);
}

static void reinforce(struct wr_client *c)
{
    bool always = c->must_replace && c->w->policy != CL_REPLACE_NEVER;
    const struct cl_replace_rule rule = {.policy = always ? CL_REPLACE_ALWAYS : c->w->policy,
                                         .replication = c->w->replication,
                                         .is_counted_on = c->was_flushed};
    uint32_t left = reserves(c);
    if (left == 0 || c->attempts > ATTEMPTS || !cl_pipeline_wants_node(&c->p, &rule)) {
        c->must_replace = false;
        ask_stamp(c);
        return;
    }
    uint32_t source = cl_pipeline_source(&c->p);
    struct wr_msg *msg = wr_msg_new(WR_TRANSFER, NULL, 0);
    c->newcomer = reserve(c, wr_below(c->w, left));
    msg->block = c->file->block;
    msg->gs = c->file->gs;
    msg->len = c->p.acked;
    msg->nodes[msg->count++] = c->newcomer;
    c->step = WR_JOINING;
    c->deadline_ms = sim_of(c)->now_ms + WR_WAIT_MS + 2 * WR_BEHIND_MS;
    c->conn = sim_connect(&c->host, &node_at(c, source)->host);
    if (!c->conn) {
        mem_free(msg);
        broken(c, source, ERR_UNREACHABLE);
        return;
    }
    sim_send(c->conn, &c->host, &msg->head);
}

static void joined(struct wr_client *c, const struct wr_msg *said)
{
    hang_up(c);
    if (said->code == 0) {
        cl_pipeline_join(&c->p, c->newcomer);
    } else if (said->bad == c->newcomer) {
        c->attempts++;
        c->file->crashes[c->newcomer] = c->w->nodes[c->newcomer].crashes;
        exclude(c, c->newcomer, said->code);
    } else {
        broken(c, cl_pipeline_source(&c->p), said->code);
        return;
    }
    reinforce(c);
}

static void broken(struct wr_client *c, uint32_t bad, int code)
{
    uint32_t dropped = c->p.nodes[bad];
    hang_up(c);
    sim_trace(sim_of(c), "the chain breaks at %s: %s", node_at(c, bad)->host.name, err_name(code));
    if (c->step == WR_SETTING_UP && c->new_gs == 0) { /* not a byte has gone anywhere */
        exclude(c, dropped, code);
        c->file->end = WR_FAILED;
        if (++c->attempts > ATTEMPTS)
            next_file(c);
        else
            rest(c, 5, allocate);
        return;
    }
    int rc = cl_pipeline_break(&c->p, bad, code, &dropped);
    if (dropped != CL_NOBODY)
        exclude(c, dropped, code);
    c->attempts = 0;
    if (rc != 0)
        begin_anew(c);
    else
        reinforce(c);
}

static uint32_t place_of(const struct wr_client *c, uint32_t number)
{
    for (uint32_t i = 0; i < c->p.count; i++)
        if (c->p.nodes[i] == number)
            return i;
    return 0;
}

static void ready(struct wr_client *c, const struct wr_msg *said)
{
    if (said->code != 0) {
        bool is_own = said->code == ERR_CHECKSUM; /* of its replica: nothing was sent yet */
        broken(c, place_of(c, said->bad), is_own ? ERR_CORRUPT : said->code);
    } else if (c->new_gs == 0) {
        tell_pipeline(c, c->file->gs);
        stream(c);
    } else {
        rest(c, 1 + wr_below(c->w, 20), resume);
    }
}

/* ---- streaming ---- */

static void send_packet(struct wr_client *c, const struct cl_packet *packet)
{
    struct wr_msg *msg = wr_msg_new(WR_PACKET_, c->ring + packet->offset % WR_RING, packet->len);
    msg->seq = packet->seq;
    msg->offset = packet->offset;
    msg->flags = packet->flags;
    wr_post(&c->host, c->conn, msg, node_at(c, 0)->link_ms, &c->link_free_ms);
}

static bool is_reached(const struct wr_client *c, enum goal goal)
{
    switch (goal) {
    case GOAL_NONE:
        return true;
    case GOAL_ROOM:
        return cl_pipeline_room(&c->p) > 0;
    case GOAL_FLUSHED:
        return c->p.acked == c->p.filled;
    case GOAL_SYNCED:
        return c->p.synced == c->p.filled;
    case GOAL_FINISHED:
        return c->p.is_finished;
    }
    return false;
}

static void reached(struct wr_client *c)
{
    enum goal goal = (enum goal)c->goal;
    c->goal = GOAL_NONE;
    if (goal == GOAL_FLUSHED || goal == GOAL_SYNCED)
        promise(c, goal == GOAL_SYNCED);
    if (goal == GOAL_FINISHED) {
        promise(c, true);
        end_file(c, WR_CLOSED);
    }
}

/* Somebody is doubted, and others will count on what he has: he goes, if somebody can take his
 * place, or all of them prove it. */
static void prove(struct wr_client *c)
{
    uint32_t guilty = cl_pipeline_guilty_place(&c->p);
    c->attempts = 0;
    if (guilty != CL_NOBODY && c->p.count > 1 && c->w->policy != CL_REPLACE_NEVER &&
        reserves(c) > 0) {
        c->must_replace = true;
        broken(c, guilty, ERR_CORRUPT);
        return;
    }
    sim_trace(sim_of(c), "all members prove %llu bytes", (unsigned long long)c->p.acked);
    hang_up(c);
    reinforce(c);
}

/* All that may go now; and what comes of it. */
static void pump(struct wr_client *c)
{
    static const unsigned flags[] = {[GOAL_FLUSHED] = CL_PACKET_FLUSH,
                                     [GOAL_SYNCED] = CL_PACKET_SYNC,
                                     [GOAL_FINISHED] = CL_PACKET_LAST};
    struct cl_packet packet;
    bool must_prove = c->goal >= GOAL_FLUSHED && cl_pipeline_has_doubts(&c->p);
    enum goal step = must_prove && c->goal == GOAL_FINISHED ? GOAL_FLUSHED : (enum goal)c->goal;
    while (cl_pipeline_next(&c->p, flags[step], &packet))
        send_packet(c, &packet);
    if (step == GOAL_NONE || !is_reached(c, step))
        return;
    if (must_prove)
        prove(c);
    else
        reached(c);
}

/* The program that writes: some bytes more, or a flush, or the end. */
static void act(struct wr_client *c)
{
    struct wr_world *w = c->w;
    uint64_t left = c->target - c->p.filled, room = cl_pipeline_room(&c->p);
    if (left == 0) {
        c->goal = GOAL_FINISHED;
    } else if (c->p.filled && wr_below(w, 6) == 0) {
        c->goal = wr_below(w, 3) ? GOAL_FLUSHED : GOAL_SYNCED;
        c->was_flushed = true;
    } else if (room == 0) {
        c->goal = GOAL_ROOM;
    } else {
        uint64_t n = 1 + wr_below(w, wr_below(w, 3) ? 4000 : 300);
        n = n < left ? n : left;
        n = n < room ? n : room;
        for (uint64_t i = c->p.filled; i < c->p.filled + n; i++)
            c->ring[i % WR_RING] = wr_byte(c->seed, i);
        cl_pipeline_fill(&c->p, n);
    }
    pump(c);
}

static void take_ack(struct wr_client *c, const struct wr_msg *msg)
{
    const struct cl_ack ack = {msg->seq, msg->count, msg->status};
    uint32_t bad = 0;
    int rc = cl_pipeline_ack(&c->p, &ack, &bad);
    if (rc != 0)
        broken(c, bad, rc);
    else
        pump(c);
}

/* ---- who is slow ---- */

static bool can_do_without(const struct wr_client *c)
{
    return c->p.count > 2 || (c->w->policy != CL_REPLACE_NEVER && reserves(c) > 0);
}

/* A slow member among quick ones must not hold a chain up for long. While one hangs there is no
 * news, and other limits hold. */
static void count_slow(struct wr_client *c)
{
    uint32_t slow = 0;
    for (uint32_t i = 0; i < c->p.count; i++) {
        if (node_at(c, i)->hung_until_ms > sim_of(c)->now_ms)
            return;
        slow += node_at(c, i)->disk_ms || node_at(c, i)->link_ms;
    }
    bool is_due = slow > 0 && slow < c->p.count && can_do_without(c);
    c->slow_reports = is_due ? c->slow_reports + 1 : 0;
    uint64_t verdicts = c->lags.verdicts < 8 ? c->lags.verdicts : 8;
    if (c->slow_reports > 8ULL * CL_LAGS_REPORTS << verdicts)
        sim_fail(sim_of(c), "a slow node was in the chain for %llu reports",
                 (unsigned long long)c->slow_reports);
}

static void judge(struct wr_client *c, const struct cl_lag *lags, uint32_t count)
{
    uint32_t slow = cl_lags_report(&c->lags, c->p.nodes, lags, count, sim_of(c)->now_ms);
    if (slow == CL_LAGS_NONE)
        return;
    if (!can_do_without(c)) {
        cl_lags_begin(&c->lags);
        return;
    }
    if (c->w->is_nobody_slow)
        sim_fail(sim_of(c), "%s is taken out for being slow, and is not slower than the others",
                 node_at(c, slow)->host.name);
    c->must_replace = true;
    broken(c, slow, ERR_TIMEOUT);
}

static void take_report(struct wr_client *c, const struct wr_msg *msg)
{
    struct cl_lag lags[CL_PIPELINE_NODES];
    uint32_t count = msg->count < c->p.count ? msg->count : c->p.count;
    memcpy(lags, msg->lags, sizeof(lags));
    lags[0].link_ms = node_at(c, 0)->link_ms;
    c->is_told = true;
    if (!c->w->is_nobody_slow && c->w->is_net_whole && c->w->slow.factor)
        count_slow(c);
    judge(c, lags, count);
}

static void look_at_silence(struct wr_client *c)
{
    struct cl_lag lags[CL_PIPELINE_NODES];
    uint64_t silent_ms = sim_of(c)->now_ms - c->heard_ms;
    if (c->p.in_flight == 0)
        return;
    if (silent_ms > WR_WAIT_MS + c->p.count * WR_BEHIND_MS) {
        broken(c, 0, ERR_TIMEOUT);
        return;
    }
    if (silent_ms < 2ULL * WR_REPORT_MS || !c->is_told || c->p.last_sent ||
        !cl_lags_is_silence(&c->lags, silent_ms))
        return;
    memset(lags, 0xff, sizeof(lags));
    lags[0].link_ms = (uint32_t)silent_ms;
    judge(c, lags, c->p.count);
}

/* ---- time, messages ---- */

static void beat(struct wr_client *c)
{
    struct cl_packet packet;
    if (sim_of(c)->now_ms - c->heard_ms > BEAT_MS && cl_pipeline_beat(&c->p, &packet)) {
        c->heard_ms = sim_of(c)->now_ms;
        send_packet(c, &packet);
    }
}

static void expired(struct wr_client *c)
{
    if (c->step == WR_RESTING)
        c->rested(c);
    else if (c->step == WR_SETTING_UP)
        broken(c, 0, ERR_TIMEOUT);
    else if (c->step == WR_JOINING)
        broken(c, cl_pipeline_source(&c->p), ERR_TIMEOUT);
}

static void tick(void *arg)
{
    struct wr_client *c = arg;
    sim_after(sim_of(c), &c->host, TICK_MS, tick, c);
    if (c->step == WR_IDLE) {
        if (!c->w->is_healing && wr_below(c->w, 20) == 0)
            next_file(c);
    } else if (c->step != WR_STREAMING) {
        if (sim_of(c)->now_ms >= c->deadline_ms)
            expired(c);
    } else {
        beat(c);
        if (c->goal == GOAL_NONE && (c->w->is_healing || wr_below(c->w, 3)))
            act(c);
        if (c->step == WR_STREAMING)
            look_at_silence(c);
    }
}

static void on_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *msg)
{
    struct wr_client *c = CONTAINER_OF(host, struct wr_client, host);
    const struct wr_msg *said = CONTAINER_OF(msg, struct wr_msg, head);
    (void)from;
    if (conn != c->conn)
        return;
    if (c->step == WR_STREAMING && (said->kind == WR_ACK || said->kind == WR_REPORT))
        c->heard_ms = sim_of(c)->now_ms;
    if (said->kind == WR_READY && c->step == WR_SETTING_UP)
        ready(c, said);
    else if (said->kind == WR_COPIED && c->step == WR_JOINING)
        joined(c, said);
    else if (said->kind == WR_ACK && c->step == WR_STREAMING)
        take_ack(c, said);
    else if (said->kind == WR_REPORT && c->step == WR_STREAMING)
        take_report(c, said);
}

static void on_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct wr_client *c = CONTAINER_OF(host, struct wr_client, host);
    if (conn != c->conn || !c->conn)
        return;
    if (c->step == WR_JOINING)
        broken(c, cl_pipeline_source(&c->p), ERR_CLOSED);
    else if (c->step == WR_STREAMING || c->step == WR_SETTING_UP)
        broken(c, 0, ERR_CLOSED);
    else if (c->step == WR_RESTING && c->rested == resume)
        broken(c, 0, ERR_CLOSED);
}

/* ---- life ---- */

void wr_client_add(struct wr_world *w)
{
    static const struct sim_host_ops ops = {on_message, on_cut};
    w->client.w = w;
    sim_host_add(w->sim, &w->client.host, "writer", &ops);
    w->client.step = WR_IDLE;
    tick(&w->client);
}

void wr_client_crash(struct wr_client *c)
{
    if (!c->host.is_up)
        return;
    sim_trace(sim_of(c), "the writer is killed");
    sim_host_crash(&c->host);
    if (c->file && c->file->end == WR_OPEN)
        c->file->end = WR_DEAD;
    c->file = NULL;
    c->conn = NULL;
}

void wr_client_start(struct wr_client *c)
{
    if (c->host.is_up)
        return;
    sim_host_start(&c->host);
    c->goal = GOAL_NONE;
    next_file(c);
    tick(c);
}
