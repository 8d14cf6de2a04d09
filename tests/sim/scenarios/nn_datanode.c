/* SPDX-License-Identifier: Apache-2.0
 * nn_datanode: a datanode's process around real replica states: talks to the namenode, serves
 * clients and other datanodes, keeps replicas over its crashes as a disk would. */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/nn_world.h"

#define RETRY_MS  700  /* to reach the namenode */
#define SYNC_MS   20   /* at most, for the fsyncs of a finalize */
#define PATIENCE  1500 /* for other datanodes' answers in a recovery */
#define COPY_MS   150  /* a copy takes at most so long */
#define COPY_LATE 4000 /* the target said nothing */
#define SCAN_MS   6000 /* rotten replicas are noticed within two of these */

static struct sim *sim_of(const struct dn_sim *dn)
{
    return dn->w->sim;
}

static uint64_t up_to(const struct dn_sim *dn, uint64_t ms)
{
    return 1 + rand_below(&sim_of(dn)->rand, ms);
}

struct dn_rep *dn_sim_find(const struct dn_sim *dn, uint64_t id)
{
    list_each (&dn->reps, it) {
        struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (rep->r.id == id)
            return rep;
    }
    return NULL;
}

bool dn_sim_has(const struct dn_sim *dn, struct block_id block, uint64_t len)
{
    const struct dn_rep *rep = dn_sim_find(dn, block.id);
    return rep && dn_rep_is_whole(rep) && rep->r.gs == block.gs && rep->r.len == len &&
           !rep->is_rotten;
}

static void rep_free(struct dn_rep *rep)
{
    list_remove(&rep->link);
    mem_free(rep);
}

static struct dn_rep *rep_add(struct dn_sim *dn, uint64_t id, uint64_t gs,
                              enum dn_replica_state state, uint64_t len)
{
    unsigned volume = (unsigned)rand_below(&sim_of(dn)->rand, VOLUMES);
    if (dn->has_failed[volume])
        volume = (volume + 1) % VOLUMES;
    struct dn_rep *rep = mem_calloc(1, sizeof(*rep));
    BUG_ON(!rep);
    rep->r = (struct dn_replica){
        .id = id, .gs = gs, .len = len, .state = (uint8_t)state, .volume = (uint16_t)volume};
    list_push_back(&dn->reps, &rep->link);
    return rep;
}

/* ---- to the namenode ---- */

static void tell(struct dn_sim *dn, struct nn_msg *msg)
{
    if (dn->conn && dn->is_registered)
        sim_send(dn->conn, &dn->host, &msg->head);
    else
        mem_free(msg);
}

static void tell_change(struct dn_sim *dn, enum nn_change change, const struct dn_rep *rep)
{
    struct nn_msg *msg = nn_msg_new(DN_CHANGE);
    msg->change = change;
    msg->block = (struct msg_block){rep->r.id, rep->r.gs, rep->r.len};
    msg->volume = rep->r.volume;
    sim_trace(sim_of(dn), "%s: blk_%llu_%llu of %llu bytes is %s", dn->host.name,
              (unsigned long long)rep->r.id, (unsigned long long)rep->r.gs,
              (unsigned long long)rep->r.len, nn_change_name(change));
    tell(dn, msg);
}

static uint64_t wire_state(const struct dn_replica *r)
{
    static const uint64_t states[] = {[DN_REPLICA_FINALIZED] = NN_REPLICA_FINALIZED,
                                      [DN_REPLICA_RBW] = NN_REPLICA_RBW,
                                      [DN_REPLICA_RWR] = NN_REPLICA_RWR,
                                      [DN_REPLICA_RUR] = NN_REPLICA_RUR};
    return states[r->state];
}

static struct nn_msg *page_new(const struct dn_sim *dn, unsigned volume, uint32_t number)
{
    struct nn_msg *msg = nn_msg_new(DN_REPORT);
    msg->volume = volume;
    msg->page.id = dn->report_id;
    msg->page.page = number;
    return msg;
}

/* Before the last page, so that nobody deletes others because of them. */
static void report_bad(struct dn_sim *dn, unsigned volume)
{
    list_each (&dn->reps, it) {
        const struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (rep->r.volume == volume && rep->is_bad)
            tell_change(dn, NN_CHANGE_BAD, rep);
    }
}

/* Snapshot and pages in one go: no change can get between them. */
static void report_volume(struct dn_sim *dn, unsigned volume)
{
    uint32_t number = 0;
    struct nn_msg *msg = page_new(dn, volume, number);
    list_each (&dn->reps, it) {
        const struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (rep->r.volume != volume)
            continue;
        if (msg->page.count == PAGE_MAX) {
            tell(dn, msg);
            msg = page_new(dn, volume, ++number);
        }
        uint32_t at = msg->page.count++;
        msg->page.ids[at] = rep->r.id;
        msg->page.stamps[at] = rep->r.gs;
        msg->page.lens[at] = rep->r.len;
        msg->page.states[at] = wire_state(&rep->r);
    }
    tell(dn, msg);
    report_bad(dn, volume);
    msg = page_new(dn, volume, ++number);
    msg->page.is_last = true;
    tell(dn, msg);
}

static void report_all(struct dn_sim *dn)
{
    dn->report_id++;
    for (unsigned v = 0; v < VOLUMES; v++)
        if (!dn->has_failed[v])
            report_volume(dn, v);
}

static void first_report(void *arg)
{
    report_all(arg);
}

static void send_register(struct dn_sim *dn)
{
    struct nn_msg *msg = nn_msg_new(DN_REGISTER);
    memcpy(msg->failed, dn->has_failed, sizeof(msg->failed));
    dn->is_registered = false;
    sim_send(dn->conn, &dn->host, &msg->head);
}

static void reach_namenode(void *arg)
{
    struct dn_sim *dn = arg;
    if (!dn->conn)
        dn->conn = sim_connect(&dn->host, &dn->w->nn.host);
    if (dn->conn)
        send_register(dn);
    else
        sim_after(sim_of(dn), &dn->host, RETRY_MS, reach_namenode, dn);
}

static void on_cut(struct sim_host *host, struct sim_conn *conn)
{
    struct dn_sim *dn = CONTAINER_OF(host, struct dn_sim, host);
    if (dn->conn != conn)
        return;
    dn->conn = NULL;
    dn->is_registered = false;
    sim_after(sim_of(dn), &dn->host, up_to(dn, RETRY_MS), reach_namenode, dn);
}

static void beat(void *arg)
{
    struct dn_sim *dn = arg;
    struct nn_msg *msg = nn_msg_new(DN_BEAT);
    memcpy(msg->failed, dn->has_failed, sizeof(msg->failed));
    tell(dn, msg);
    sim_after(sim_of(dn), &dn->host, HEARTBEAT_MS, beat, dn);
}

static void report_in_turn(void *arg)
{
    struct dn_sim *dn = arg;
    report_all(dn);
    sim_after(sim_of(dn), &dn->host, dn->w->report_every_ms, report_in_turn, dn);
}

static void scan(void *arg)
{
    struct dn_sim *dn = arg;
    list_each (&dn->reps, it) {
        struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (!rep->is_rotten || !dn_rep_is_whole(rep))
            continue;
        rep->is_bad = true;
        tell_change(dn, NN_CHANGE_BAD, rep);
    }
    sim_after(sim_of(dn), &dn->host, SCAN_MS + up_to(dn, SCAN_MS), scan, dn);
}

/* ---- things that take a while: struct dn_job ---- */

struct dn_job {
    struct list link;
    struct dn_sim *dn;
    uint64_t call;
    struct block_id block;
    uint64_t len, new_gs;
    uint64_t flushed;       /* of a recovery */
    struct sim_host *asker; /* of a finalize or an incoming copy; by its host */
    uint64_t asker_call;
    uint32_t nodes[NODES_MAX], node_count; /* of a recovery; or the one target of a copy */
    struct dn_vote votes[NODES_MAX];
    uint32_t heard;   /* bit set over nodes */
    bool is_settling; /* a recovery: in its second half; a copy: its end was told */
};

static struct dn_job *job_new(struct dn_sim *dn, struct block_id block, uint64_t len)
{
    struct dn_job *job = mem_calloc(1, sizeof(*job));
    BUG_ON(!job);
    *job = (struct dn_job){.dn = dn, .call = ++dn->next_call, .block = block, .len = len};
    list_push_back(&dn->jobs, &job->link);
    return job;
}

static void job_free(struct dn_job *job)
{
    list_remove(&job->link);
    mem_free(job);
}

static struct dn_job *job_find(struct dn_sim *dn, uint64_t call)
{
    list_each (&dn->jobs, it) {
        struct dn_job *job = list_entry(it, struct dn_job, link);
        if (job->call == call)
            return job;
    }
    return NULL;
}

static void answer(struct dn_sim *dn, struct sim_host *to, enum nn_msg_kind kind, uint64_t call,
                   int code)
{
    struct nn_msg *msg = nn_msg_new(kind);
    msg->call = call;
    msg->code = code;
    msg->nodes[0] = dn->number;
    sim_cast(&dn->host, to, &msg->head);
}

/* ---- clients ---- */

/* What was to be begun with is not here, or is found to be rotten now. */
static int refuse_base(struct dn_sim *dn, uint64_t id)
{
    struct dn_rep *rep = dn_sim_find(dn, id);
    if (!rep || !rep->is_rotten || !dn_rep_is_whole(rep))
        return ERR_STALE;
    rep->is_bad = true;
    tell_change(dn, NN_CHANGE_BAD, rep);
    return ERR_CHECKSUM;
}

static int open_replica(struct dn_sim *dn, const struct nn_msg *msg)
{
    struct dn_rep *rep = dn_sim_find(dn, msg->block.id);
    if (dn->has_failed[0] && dn->has_failed[1])
        return ERR_IO;
    if (rep)
        return rep->r.gs == msg->block.gs && rep->r.state == DN_REPLICA_RBW ? 0 : ERR_EXIST;
    if (msg->previous.id &&
        !dn_sim_has(dn, (struct block_id){msg->previous.id, msg->previous.gs}, msg->previous.len))
        return refuse_base(dn, msg->previous.id);
    rep = rep_add(dn, msg->block.id, msg->block.gs, DN_REPLICA_RBW, msg->previous.len);
    rep->synced = msg->previous.len;
    tell_change(dn, NN_CHANGE_RECEIVING, rep);
    return 0;
}

static int write_replica(struct dn_sim *dn, const struct nn_msg *msg)
{
    struct dn_rep *rep = dn_sim_find(dn, msg->block.id);
    if (!rep || rep->r.state != DN_REPLICA_RBW || rep->r.gs != msg->block.gs)
        return ERR_STALE;
    if (msg->new_len > rep->r.len)
        rep->r.len = msg->new_len;
    if (msg->flag)
        rep->synced = rep->r.len;
    return 0;
}

static int resume_replica(struct dn_sim *dn, const struct nn_msg *msg)
{
    struct dn_rep *rep = dn_sim_find(dn, msg->block.id);
    if (!rep)
        return ERR_NOENT;
    if (rep->r.gs == msg->new_gs && rep->r.state == DN_REPLICA_RBW)
        return 0; /* the same again */
    int rc = dn_replica_resume(&rep->r, msg->block.gs, msg->new_gs, msg->new_len);
    if (rc == 0) {
        rep->synced = rep->synced < rep->r.len ? rep->synced : rep->r.len;
        tell_change(dn, NN_CHANGE_RECEIVING, rep);
    }
    return rc;
}

/* The fsyncs are through. */
static void finalized(void *arg)
{
    struct dn_job *job = arg;
    struct dn_sim *dn = job->dn;
    struct dn_rep *rep = dn_sim_find(dn, job->block.id);
    int rc = ERR_STALE;
    if (rep && rep->r.gs == job->block.gs && rep->r.state == DN_REPLICA_RBW &&
        rep->r.len == job->len)
        rc = dn_replica_finalize(&rep->r, job->len);
    else if (dn_sim_has(dn, job->block, job->len))
        rc = 0;
    if (rc == 0) {
        rep->synced = rep->r.len;
        tell_change(dn, NN_CHANGE_RECEIVED, rep);
    }
    answer(dn, job->asker, DN_ANSWER, job->asker_call, rc);
    job_free(job);
}

static void finalize_replica(struct dn_sim *dn, struct sim_host *from, const struct nn_msg *msg)
{
    struct dn_job *job = job_new(dn, (struct block_id){msg->block.id, msg->block.gs}, msg->new_len);
    job->asker = from;
    job->asker_call = msg->call;
    sim_after(sim_of(dn), &dn->host, up_to(dn, SYNC_MS), finalized, job);
}

static int read_replica(const struct dn_sim *dn, const struct nn_msg *msg)
{
    const struct dn_rep *rep = dn_sim_find(dn, msg->block.id);
    if (!rep || rep->r.gs < msg->block.gs || rep->r.len < msg->block.len)
        return ERR_NOENT;
    return rep->is_rotten ? ERR_CHECKSUM : 0;
}

/* ---- copies ---- */

static void tell_copied(struct dn_sim *dn, const struct dn_job *job, int code)
{
    struct nn_msg *msg = nn_msg_new(DN_COPIED);
    msg->block = (struct msg_block){job->block.id, job->block.gs, job->len};
    msg->nodes[0] = job->nodes[0];
    msg->node_count = 1;
    msg->code = code;
    tell(dn, msg);
}

static void copy_is_late(void *arg)
{
    struct dn_job *job = arg;
    if (!job->is_settling)
        tell_copied(job->dn, job, ERR_TIMEOUT);
    job_free(job);
}

static void copy_runs(void *arg)
{
    struct dn_job *job = arg;
    struct dn_sim *dn = job->dn;
    struct dn_rep *rep = dn_sim_find(dn, job->block.id);
    bool is_right = rep && rep->r.state == DN_REPLICA_FINALIZED && rep->r.gs == job->block.gs;
    if (!is_right || rep->is_rotten) {
        tell_copied(dn, job, is_right ? ERR_CHECKSUM : ERR_NOENT);
        job_free(job);
        return;
    }
    struct nn_msg *msg = nn_msg_new(DN_COPY_DATA);
    msg->call = job->call;
    msg->block = (struct msg_block){job->block.id, job->block.gs, rep->r.len};
    sim_cast(&dn->host, &dn->w->dns[job->nodes[0] - 1].host, &msg->head);
    sim_after(sim_of(dn), &dn->host, COPY_LATE, copy_is_late, job);
}

static void on_copy(struct dn_sim *dn, const struct nn_msg *msg)
{
    for (uint32_t i = 0; i < msg->node_count; i++) {
        struct block_id block = {msg->block.id, msg->block.gs};
        struct dn_job *job = job_new(dn, block, msg->block.len);
        job->nodes[job->node_count++] = msg->nodes[i];
        sim_after(sim_of(dn), &dn->host, up_to(dn, COPY_MS), copy_runs, job);
    }
}

static void copy_arrived(void *arg)
{
    struct dn_job *job = arg;
    struct dn_sim *dn = job->dn;
    struct dn_rep *rep = dn_sim_find(dn, job->block.id);
    int rc = rep && !dn_sim_has(dn, job->block, job->len) ? ERR_EXIST : 0;
    if (dn->has_failed[0] && dn->has_failed[1])
        rc = ERR_IO;
    if (rc == 0 && !rep)
        rep = rep_add(dn, job->block.id, job->block.gs, DN_REPLICA_FINALIZED, job->len);
    if (rc == 0)
        tell_change(dn, NN_CHANGE_RECEIVED, rep);
    answer(dn, job->asker, DN_COPY_DONE, job->asker_call, rc);
    job_free(job);
}

static void on_copy_data(struct dn_sim *dn, struct sim_host *from, const struct nn_msg *msg)
{
    struct block_id block = {msg->block.id, msg->block.gs};
    struct dn_job *job = job_new(dn, block, msg->block.len);
    job->asker = from;
    job->asker_call = msg->call;
    sim_after(sim_of(dn), &dn->host, up_to(dn, SYNC_MS), copy_arrived, job);
}

/* The job ends with its time-out, whether or not the target answered before: so its memory is
 * simple; only the news is told once. */
static void on_copy_done(struct dn_sim *dn, const struct nn_msg *msg)
{
    struct dn_job *job = job_find(dn, msg->call);
    if (!job || job->is_settling)
        return;
    job->is_settling = true;
    tell_copied(dn, job, msg->code);
}

/* ---- clones ---- */

static void cloned(void *arg)
{
    struct dn_job *job = arg;
    struct dn_sim *dn = job->dn;
    const struct dn_rep *from = dn_sim_find(dn, job->block.id);
    struct block_id to = {job->call, job->new_gs};
    bool is_right = from && from->r.state == DN_REPLICA_FINALIZED &&
                    dn_sim_has(dn, job->block, from->r.len) && !dn_sim_find(dn, to.id);
    if (is_right && !(dn->has_failed[0] && dn->has_failed[1]))
        tell_change(dn, NN_CHANGE_RECEIVED,
                    rep_add(dn, to.id, to.gs, DN_REPLICA_FINALIZED, job->len));
    job_free(job);
}

/* Its number is the new block's: nobody answers it. */
static void on_clone(struct dn_sim *dn, const struct nn_msg *msg)
{
    if (dn_sim_find(dn, msg->blocks[0].id))
        return;
    struct dn_job *job = job_new(dn, (struct block_id){msg->block.id, msg->block.gs}, msg->new_len);
    job->call = msg->blocks[0].id;
    job->new_gs = msg->blocks[0].gs;
    sim_after(sim_of(dn), &dn->host, up_to(dn, SYNC_MS), cloned, job);
}

/* ---- deletions ---- */

static void on_delete(struct dn_sim *dn, const struct nn_msg *msg)
{
    for (uint32_t i = 0; i < msg->block_count; i++) {
        struct dn_rep *rep = dn_sim_find(dn, msg->blocks[i].id);
        if (!rep || rep->r.gs != msg->blocks[i].gs)
            continue;
        tell_change(dn, NN_CHANGE_DELETED, rep);
        list_remove(&rep->link); /* gone for whoever counts */
        nn_check_deletion(dn->w, rep);
        rep_free(rep);
    }
}

/* ---- recoveries ---- */

static void tell_recovered(struct dn_job *job, int code)
{
    struct nn_msg *msg = nn_msg_new(DN_RECOVERED);
    msg->block = (struct msg_block){job->block.id, job->block.gs, 0};
    msg->new_gs = job->new_gs;
    msg->new_len = job->len;
    msg->code = code;
    for (uint32_t i = 0; i < job->node_count; i++)
        if (job->votes[i].takes_part && job->votes[i].code == 0)
            msg->nodes[msg->node_count++] = job->nodes[i];
    tell(job->dn, msg);
    job_free(job);
}

static void ask_member(struct dn_job *job, uint32_t at, enum nn_msg_kind kind)
{
    struct nn_msg *msg = nn_msg_new(kind);
    msg->call = job->call;
    msg->block = (struct msg_block){job->block.id, job->block.gs, 0};
    msg->new_gs = job->new_gs;
    msg->new_len = job->len;
    sim_cast(&job->dn->host, &job->dn->w->dns[job->nodes[at] - 1].host, &msg->head);
}

/* All settled, or those that answered in time. */
static void recovery_ends(void *arg)
{
    struct dn_job *job = arg;
    bool has_any = false;
    for (uint32_t i = 0; i < job->node_count; i++) {
        if (!(job->heard >> i & 1))
            job->votes[i].code = ERR_TIMEOUT;
        has_any = has_any || (job->votes[i].takes_part && job->votes[i].code == 0);
    }
    tell_recovered(job, has_any ? 0 : ERR_FAILED);
}

static void votes_are_in(void *arg)
{
    struct dn_job *job = arg;
    bool has_any = false;
    for (uint32_t i = 0; i < job->node_count; i++)
        if (!(job->heard >> i & 1))
            job->votes[i].code = ERR_TIMEOUT;
    struct dn_agreeing block = {.gs = job->block.gs, .flushed = job->flushed};
    int rc = dn_agree(job->votes, job->node_count, &block, &job->len);
    for (uint32_t i = 0; i < job->node_count; i++)
        has_any = has_any || job->votes[i].takes_part;
    if (rc < 0 || !has_any) {
        tell_recovered(job, rc);
        return;
    }
    job->is_settling = true;
    job->heard = 0;
    for (uint32_t i = 0; i < job->node_count; i++)
        if (job->votes[i].takes_part)
            ask_member(job, i, DN_SETTLE);
    sim_after(sim_of(job->dn), &job->dn->host, PATIENCE, recovery_ends, job);
}

static void on_recover(struct dn_sim *dn, const struct nn_msg *msg)
{
    struct dn_job *job = job_new(dn, (struct block_id){msg->block.id, msg->block.gs}, 0);
    job->new_gs = msg->new_gs;
    job->flushed = msg->block.len;
    job->node_count = msg->node_count;
    memcpy(job->nodes, msg->nodes, sizeof(job->nodes));
    for (uint32_t i = 0; i < job->node_count; i++)
        ask_member(job, i, DN_PROMISE);
    sim_after(sim_of(dn), &dn->host, PATIENCE, votes_are_in, job);
}

/* A recovery comes: nobody writes here any more; how much is good? */
static void on_promise(struct dn_sim *dn, struct sim_host *from, const struct nn_msg *msg)
{
    struct dn_rep *rep = dn_sim_find(dn, msg->block.id);
    struct nn_msg *vote = nn_msg_new(DN_PROMISED);
    vote->call = msg->call;
    vote->nodes[0] = dn->number;
    vote->code =
        rep ? dn_replica_promise(&rep->r, msg->new_gs, rep->is_rotten ? 0 : rep->r.len) : ERR_NOENT;
    if (rep && vote->code == 0) {
        vote->state = (enum dn_replica_state)rep->r.before;
        vote->block = (struct msg_block){rep->r.id, rep->r.gs, rep->is_rotten ? 0 : rep->r.len};
    }
    sim_cast(&dn->host, from, &vote->head);
}

static void on_settle(struct dn_sim *dn, struct sim_host *from, const struct nn_msg *msg)
{
    struct dn_rep *rep = dn_sim_find(dn, msg->block.id);
    int rc = rep ? dn_replica_settle(&rep->r, msg->new_gs, msg->new_len) : ERR_NOENT;
    if (rc == 0) {
        rep->synced = rep->r.len;
        tell_change(dn, NN_CHANGE_RECEIVED, rep);
    }
    if (rc == ERR_STALE &&
        dn_sim_has(dn, (struct block_id){msg->block.id, msg->new_gs}, msg->new_len))
        rc = 0; /* the same message twice */
    answer(dn, from, DN_SETTLED, msg->call, rc);
}

static void on_member_answer(struct dn_sim *dn, const struct nn_msg *msg)
{
    struct dn_job *job = job_find(dn, msg->call);
    if (!job || job->is_settling != (msg->kind == DN_SETTLED))
        return;
    for (uint32_t i = 0; i < job->node_count; i++) {
        if (job->nodes[i] != msg->nodes[0] || job->heard >> i & 1)
            continue;
        job->heard |= 1U << i;
        if (msg->kind == DN_PROMISED)
            job->votes[i] = (struct dn_vote){
                .code = msg->code, .state = msg->state, .gs = msg->block.gs, .len = msg->block.len};
        else
            job->votes[i].code = msg->code;
    }
}

/* ---- messages ---- */

static void from_namenode(struct dn_sim *dn, const struct nn_msg *msg)
{
    switch (msg->kind) {
    case NN_REGISTERED:
        dn->is_registered = msg->code == 0;
        if (dn->is_registered)
            sim_after(sim_of(dn), &dn->host, up_to(dn, dn->w->report_ms), first_report, dn);
        else
            sim_after(sim_of(dn), &dn->host, RETRY_MS, reach_namenode, dn);
        break;
    case NN_HEARD:
        if (msg->flag && dn->is_registered)
            send_register(dn);
        break;
    case NN_COPY:
        on_copy(dn, msg);
        break;
    case NN_DELETE:
        on_delete(dn, msg);
        break;
    case NN_RECOVER:
        on_recover(dn, msg);
        break;
    case NN_CLONE:
        on_clone(dn, msg);
        break;
    case NN_REPORT:
        report_all(dn);
        break;
    default:
        BUG("%s from the namenode", nn_msg_name(msg->kind));
    }
}

static void on_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *sim_msg)
{
    struct dn_sim *dn = CONTAINER_OF(host, struct dn_sim, host);
    const struct nn_msg *msg = CONTAINER_OF(sim_msg, struct nn_msg, head);
    if (conn) {
        if (conn == dn->conn)
            from_namenode(dn, msg);
        return;
    }
    switch (msg->kind) {
    case CL_OPEN:
        answer(dn, from, DN_ANSWER, msg->call, open_replica(dn, msg));
        break;
    case CL_WRITE:
        answer(dn, from, DN_ANSWER, msg->call, write_replica(dn, msg));
        break;
    case CL_RESUME:
        answer(dn, from, DN_ANSWER, msg->call, resume_replica(dn, msg));
        break;
    case CL_READ:
        answer(dn, from, DN_ANSWER, msg->call, read_replica(dn, msg));
        break;
    case CL_FINALIZE:
        finalize_replica(dn, from, msg);
        break;
    case DN_COPY_DATA:
        on_copy_data(dn, from, msg);
        break;
    case DN_COPY_DONE:
        on_copy_done(dn, msg);
        break;
    case DN_PROMISE:
        on_promise(dn, from, msg);
        break;
    case DN_SETTLE:
        on_settle(dn, from, msg);
        break;
    case DN_PROMISED:
    case DN_SETTLED:
        on_member_answer(dn, msg);
        break;
    default:
        BUG("%s at a datanode", nn_msg_name(msg->kind));
    }
}

static const struct sim_host_ops ops = {.on_message = on_message, .on_cut = on_cut};

/* ---- life ---- */

static void begin(struct dn_sim *dn)
{
    struct sim *sim = sim_of(dn);
    dn->conn = NULL;
    dn->is_registered = false;
    sim_after(sim, &dn->host, up_to(dn, 50), reach_namenode, dn);
    sim_after(sim, &dn->host, up_to(dn, HEARTBEAT_MS), beat, dn);
    sim_after(sim, &dn->host, up_to(dn, dn->w->report_every_ms), report_in_turn, dn);
    sim_after(sim, &dn->host, up_to(dn, SCAN_MS), scan, dn);
}

void dn_sim_add(struct nn_world *w, uint32_t number)
{
    struct dn_sim *dn = &w->dns[number - 1];
    char name[16];
    dn->w = w;
    dn->number = number;
    list_init(&dn->reps);
    list_init(&dn->jobs);
    snprintf(name, sizeof(name), "dn%u", number);
    sim_host_add(w->sim, &dn->host, name, &ops);
    begin(dn);
}

void dn_sim_start(struct dn_sim *dn)
{
    sim_host_start(&dn->host);
    memset(dn->has_failed, 0,
           sizeof(dn->has_failed)); /* broken disks were replaced by empty ones */
    begin(dn);
}

/* What a disk shows to the process that starts next. */
static void after_crash(struct dn_sim *dn, struct dn_rep *rep, enum dn_crash how)
{
    if (dn_rep_is_whole(rep)) {
        rep->r.state = DN_REPLICA_FINALIZED;
    } else {
        rep->r.state = DN_REPLICA_RWR;
        if (how == DN_POWER_CUT && rep->r.len > rep->synced)
            rep->r.len = rep->synced + rand_below(&sim_of(dn)->rand, rep->r.len - rep->synced + 1);
        if (rep->synced > rep->r.len)
            rep->synced = rep->r.len;
    }
    rep->r.promised = 0;
    rep->r.before = 0;
    rep->is_bad = false;
}

static void drop_jobs(struct dn_sim *dn)
{
    list_each_safe (&dn->jobs, it)
        job_free(list_entry(it, struct dn_job, link));
}

void dn_sim_crash(struct dn_sim *dn, enum dn_crash how)
{
    sim_host_crash(&dn->host);
    drop_jobs(dn);
    list_each (&dn->reps, it)
        after_crash(dn, list_entry(it, struct dn_rep, link), how);
}

void dn_sim_lose_volume(struct dn_sim *dn, unsigned volume)
{
    sim_trace(sim_of(dn), "%s loses disk %u", dn->host.name, volume);
    dn->has_failed[volume] = true;
    list_each_safe (&dn->reps, it) {
        struct dn_rep *rep = list_entry(it, struct dn_rep, link);
        if (rep->r.volume == volume)
            rep_free(rep);
    }
}

void dn_sim_release(struct dn_sim *dn)
{
    drop_jobs(dn);
    list_each_safe (&dn->reps, it)
        rep_free(list_entry(it, struct dn_rep, link));
}
