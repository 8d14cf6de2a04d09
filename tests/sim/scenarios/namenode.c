/* SPDX-License-Identifier: Apache-2.0
 * namenode: the scenario. Clients write, rename and delete while whatever can fail does: processes
 * are killed, machines lose power (also in the middle of a log write), connections break, the
 * network parts one way or both, disks die, bytes rot. Sizes, rates and conditions come from the
 * seed. Faults stay survivable: no more bytes are destroyed than replication promises to bear. */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/nn_world.h"

#define FULL_CHECK_STEPS 300
#define HEAL_MS          400000

enum fault {
    FAULT_NN_KILL,
    FAULT_NN_POWER,
    FAULT_NN_MIDWAY, /* in the middle of writing the log */
    FAULT_DN_KILL,
    FAULT_DN_POWER,
    FAULT_ALL_POWER,
    FAULT_CLIENT,
    FAULT_PART,
    FAULT_ROT,
    FAULT_DISK,
    FAULTS
};

struct scenario {
    struct nn_world w; /* first: nn_world(sim) */
    uint32_t pause_ms; /* between faults, on average half of it */
    uint32_t weights[FAULTS];
    uint64_t full_at; /* step of the next full check */
    uint32_t nn_lives;
    struct buf why;
};

static struct scenario *of(struct sim *sim)
{
    return CONTAINER_OF(nn_world(sim), struct scenario, w);
}

static uint64_t below(struct sim *sim, uint64_t n)
{
    return rand_below(&sim->rand, n);
}

/* ---- faults
 * -------------------------------------------------------------------------------------- */

static void start_nn(void *arg)
{
    struct nn_world *w = arg;
    if (w->nn.host.is_up)
        return;
    sim_host_start(&w->nn.host);
    nn_sim_start(&w->nn);
}

static void crash_nn(struct sim *sim, enum sim_crash how)
{
    struct nn_world *w = nn_world(sim);
    if (!w->nn.host.is_up)
        return;
    nn_sim_crash(&w->nn, how);
    sim_after(sim, NULL, 50 + below(sim, below(sim, 2) ? 500 : 8000), start_nn, w);
}

/* It dies with the next batch; somebody starts it again. */
static void crash_nn_midway(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    if (!w->nn.host.is_up)
        return;
    w->nn.dies_in_batch = true;
}

static void start_dn(void *arg)
{
    struct dn_sim *dn = arg;
    if (!dn->host.is_up)
        dn_sim_start(dn);
}

static void crash_dn(struct sim *sim, struct dn_sim *dn, enum dn_crash how)
{
    if (!dn->host.is_up)
        return;
    dn_sim_crash(dn, how);
    dn->losses += how == DN_POWER_CUT;
    sim_after(sim, NULL, 100 + below(sim, below(sim, 3) ? 4000 : 40000), start_dn, dn);
}

static void crash_client(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    struct cl_sim *cl = &w->cls[below(sim, w->cl_count)];
    if (cl->host.is_up)
        cl_give_up(cl, "killed");
}

static void all_power(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    for (uint32_t i = 0; i < w->dn_count; i++)
        crash_dn(sim, &w->dns[i], DN_POWER_CUT);
    crash_nn(sim, SIM_CRASH_RANDOM);
}

struct parted {
    struct sim *sim;
    struct sim_host *a, *b;
    bool both;
};

static void join(void *arg)
{
    struct parted *p = arg;
    sim_unpart(p->sim, p->a, p->b);
    if (p->both)
        sim_unpart(p->sim, p->b, p->a);
    mem_free(p);
}

static void part(struct sim *sim)
{
    struct parted *p = mem_alloc(sizeof(*p));
    BUG_ON(!p);
    *p = (struct parted){sim, sim->hosts[below(sim, sim->host_count)],
                         sim->hosts[below(sim, sim->host_count)], below(sim, 2) == 0};
    sim_part(sim, p->a, p->b);
    if (p->both)
        sim_part(sim, p->b, p->a);
    uint64_t ms = 500 + below(sim, below(sim, 3) ? 4000 : 30000);
    sim_after_owned(sim, NULL, ms, &(struct sim_call){join, mem_free, p});
}

static void rot(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    struct dn_sim *dn = &w->dns[below(sim, w->dn_count)];
    uint64_t skip = below(sim, 20);
    list_each (&dn->reps, it) {
        struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (skip-- > 0)
            continue;
        if (rep->is_rotten || !dn_rep_is_whole(rep) || !nn_is_expendable(w, dn, rep))
            return;
        sim_trace(sim, "blk_%llu rots on %s", (unsigned long long)rep->r.id, dn->host.name);
        rep->is_rotten = true;
        dn->losses++;
        return;
    }
}

static void lose_disk(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    struct dn_sim *dn = &w->dns[below(sim, w->dn_count)];
    unsigned volume = (unsigned)below(sim, VOLUMES);
    if (!dn->host.is_up || dn->has_failed[0] || dn->has_failed[1])
        return;
    list_each (&dn->reps, it) {
        struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (rep->r.volume == volume && !nn_is_expendable(w, dn, rep))
            return;
    }
    dn->losses++;
    dn_sim_lose_volume(dn, volume);
}

static void one_fault(struct sim *sim, enum fault fault)
{
    struct nn_world *w = nn_world(sim);
    switch (fault) {
    case FAULT_NN_KILL:
        crash_nn(sim, SIM_CRASH_ALL);
        break;
    case FAULT_NN_POWER:
        crash_nn(sim, SIM_CRASH_RANDOM);
        break;
    case FAULT_NN_MIDWAY:
        crash_nn_midway(sim);
        break;
    case FAULT_DN_KILL:
        crash_dn(sim, &w->dns[below(sim, w->dn_count)], DN_KILLED);
        break;
    case FAULT_DN_POWER:
        crash_dn(sim, &w->dns[below(sim, w->dn_count)], DN_POWER_CUT);
        break;
    case FAULT_ALL_POWER:
        all_power(sim);
        break;
    case FAULT_CLIENT:
        crash_client(sim);
        break;
    case FAULT_PART:
        part(sim);
        break;
    case FAULT_ROT:
        rot(sim);
        break;
    case FAULT_DISK:
        lose_disk(sim);
        break;
    case FAULTS:
        break;
    }
}

static bool has_faults(const uint32_t *weights)
{
    uint64_t total = 0;
    for (int i = 0; i < FAULTS; i++)
        total += weights[i];
    return total > 0;
}

static enum fault pick_fault(struct sim *sim, const uint32_t *weights)
{
    uint64_t total = 0;
    for (int i = 0; i < FAULTS; i++)
        total += weights[i];
    uint64_t at = below(sim, total);
    for (int i = 0; i < FAULTS; i++) {
        if (at < weights[i])
            return (enum fault)i;
        at -= weights[i];
    }
    return FAULT_NN_KILL;
}

static void nemesis(void *arg)
{
    struct sim *sim = arg;
    struct scenario *s = of(sim);
    if (s->w.is_healing)
        return;
    one_fault(sim, pick_fault(sim, s->weights));
    sim_after(sim, NULL, 50 + below(sim, s->pause_ms), nemesis, sim);
}

/* ---- the scenario
 * --------------------------------------------------------------------------------- */

static void trace_conditions(struct sim *sim, const struct scenario *s)
{
    static const char *const names[FAULTS] = {
        [FAULT_NN_KILL] = "namenode killed",
        [FAULT_NN_POWER] = "namenode without power",
        [FAULT_NN_MIDWAY] = "in the middle of its log",
        [FAULT_DN_KILL] = "datanode killed",
        [FAULT_DN_POWER] = "datanode without power",
        [FAULT_ALL_POWER] = "all without power",
        [FAULT_CLIENT] = "client killed",
        [FAULT_PART] = "partition",
        [FAULT_ROT] = "rot",
        [FAULT_DISK] = "disk lost",
    };
    const struct nn_world *w = &s->w;
    const struct sim_net *net = &sim->net;
    sim_trace(sim, "%u datanodes on %u racks, %u clients, a fault each %u ms, delay up to %u ms",
              w->dn_count, w->racks, w->cl_count, s->pause_ms / 2, net->delay_max_ms);
    sim_trace(sim,
              "of casts 1 in %u is lost (0: none), 1 in %u doubled, 1 in %u late by up to %u ms; "
              "1 message in %u cuts its connection",
              net->lose_one_in, net->double_one_in, net->late_one_in, net->late_ms,
              net->cut_one_in);
    sim_trace(sim,
              "a batch of the log takes up to %u ms; the first report up to %u ms, further each %u",
              w->sync_ms, w->report_ms, w->report_every_ms);
    for (int i = 0; i < FAULTS; i++)
        sim_trace(sim, "fault: %s, weight %u", names[i], s->weights[i]);
}

static void draw_conditions(struct sim *sim, struct scenario *s)
{
    static const uint32_t usual[FAULTS] = {
        [FAULT_NN_KILL] = 2,  [FAULT_NN_POWER] = 3,  [FAULT_NN_MIDWAY] = 3, [FAULT_DN_KILL] = 8,
        [FAULT_DN_POWER] = 6, [FAULT_ALL_POWER] = 1, [FAULT_CLIENT] = 4,    [FAULT_PART] = 8,
        [FAULT_ROT] = 5,      [FAULT_DISK] = 3,
    };
    struct nn_world *w = &s->w;
    w->dn_count = 3 + (uint32_t)below(sim, DN_MAX - 3 + 1);
    w->cl_count = 1 + (uint32_t)below(sim, CL_MAX);
    w->racks = 1 + (uint32_t)below(sim, 3);
    w->replication = 3;
    s->pause_ms = below(sim, 4) == 0 ? 1500 : 6000;
    for (int i = 0; i < FAULTS; i++)
        s->weights[i] = usual[i] * (uint32_t)below(sim, 3);
    s->weights[below(sim, FAULTS)] += 2;
    if (below(sim, 2))
        s->weights[FAULT_ROT] = s->weights[FAULT_DISK] = 0;
    s->weights[FAULT_PART] += !has_faults(s->weights); /* all may have come out as nothing */
    w->has_disk_faults = s->weights[FAULT_ROT] || s->weights[FAULT_DISK];
    w->sync_ms = below(sim, 3) ? 20 : 1500;
    w->report_ms = below(sim, 2) ? 5 : 4000;
    w->report_every_ms = below(sim, 2) ? 45000 : 3000;
    w->recover_ms = below(sim, 2) ? 4000 : 700;
    sim->net = (struct sim_net){
        .delay_min_ms = 1,
        .delay_max_ms = 1 + (uint32_t)below(sim, below(sim, 3)   ? 5
                                                 : below(sim, 2) ? 200
                                                                 : 900),
        .cut_one_in = below(sim, 2) ? 0 : 50 + (uint32_t)below(sim, 500),
        .lose_one_in = below(sim, 2) ? 0 : 5 + (uint32_t)below(sim, 50),
        .double_one_in = 3 + (uint32_t)below(sim, 30),
        .late_one_in = 3 + (uint32_t)below(sim, 30),
        .late_ms = LATE_MS - 300,
    };
    trace_conditions(sim, s);
}

static void setup(struct sim *sim)
{
    struct scenario *s = mem_calloc(1, sizeof(*s));
    BUG_ON(!s);
    s->w.sim = sim;
    sim->scenario = &s->w;
    draw_conditions(sim, s);
    nn_sim_add(&s->w);
    for (uint32_t i = 1; i <= s->w.dn_count; i++)
        dn_sim_add(&s->w, i);
    for (uint32_t i = 1; i <= s->w.cl_count; i++)
        cl_sim_add(&s->w, i);
    sim_after(sim, NULL, 3000, nemesis, sim);
}

/* The namenode that died in the middle of its log has nobody yet who starts it. */
static void restart_midway(struct sim *sim)
{
    struct scenario *s = of(sim);
    if (s->w.nn.host.is_up || s->nn_lives == s->w.nn.host.life || !s->w.nn.dies_in_batch)
        return;
    s->nn_lives = s->w.nn.host.life;
    sim_after(sim, NULL, 50 + below(sim, 2000), start_nn, &s->w);
}

static void check(struct sim *sim)
{
    struct scenario *s = of(sim);
    bool is_full = sim->steps >= s->full_at || s->nn_lives != s->w.nn.host.life;
    restart_midway(sim);
    if (is_full)
        s->full_at = sim->steps + FULL_CHECK_STEPS;
    nn_check(&s->w, is_full);
}

static void heal(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    w->is_healing = true;
    w->nn.dies_in_batch = false;
    start_nn(w);
    for (uint32_t i = 0; i < w->dn_count; i++) {
        if (w->dns[i].has_failed[0] || w->dns[i].has_failed[1])
            if (w->dns[i].host.is_up)
                dn_sim_crash(&w->dns[i], DN_KILLED); /* to get new disks */
        start_dn(&w->dns[i]);
    }
}

/* First everything must be whole; then all files are deleted, and nothing may be left. */
static bool is_settled(struct sim *sim)
{
    struct scenario *s = of(sim);
    buf_clear(&s->why);
    if (!nn_is_settled(&s->w, &s->why))
        return false;
    if (s->w.is_clearing)
        return nn_blockmap_count(s->w.nn.blocks.map) == 0;
    sim_trace(sim, "all is settled; now everything is deleted");
    nn_check(&s->w, true);
    s->w.is_clearing = true;
    buf_append_str(&s->why, "files are being deleted");
    return false;
}

static void explain(struct sim *sim, struct buf *out)
{
    buf_append_slice(out, buf_slice(&of(sim)->why));
}

static void finish(struct sim *sim)
{
    struct nn_world *w = nn_world(sim);
    uint64_t writes = 0, ops = 0, given_up = 0;
    for (uint32_t i = 0; i < w->cl_count; i++) {
        writes += w->cls[i].writes_done;
        ops += w->cls[i].ops_done;
        given_up += w->cls[i].gave_up;
    }
    sim_trace(sim, "%llu operations, %llu files written, %llu given up; %llu namenode lives",
              (unsigned long long)ops, (unsigned long long)writes, (unsigned long long)given_up,
              (unsigned long long)w->nn.term);
}

static void teardown(struct sim *sim)
{
    struct scenario *s = of(sim);
    for (uint32_t i = 0; i < s->w.cl_count; i++)
        cl_sim_release(&s->w.cls[i]);
    for (uint32_t i = 0; i < s->w.dn_count; i++)
        dn_sim_release(&s->w.dns[i]);
    nn_sim_release(&s->w.nn);
    buf_release(&s->why);
    mem_free(s);
}

const struct sim_scenario sim_scenario_namenode = {
    .name = "namenode",
    .about = "clients, datanodes and a namenode that all fail",
    .steps = 12000,
    .heal_ms = HEAL_MS,
    .setup = setup,
    .check = check,
    .heal = heal,
    .is_settled = is_settled,
    .explain = explain,
    .finish = finish,
    .teardown = teardown,
};
