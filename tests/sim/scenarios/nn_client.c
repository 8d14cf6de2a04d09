/* SPDX-License-Identifier: Apache-2.0
 * nn_client: a client's process: one operation at a time, every question repeated until it is
 * answered, and a memory of what was acknowledged. When it cannot go on it dies; its successor
 * looks at what was left unsure before it does anything new. Writing a file is in nn_write.c. */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/nn_world.h"

#define TICK_MS   100
#define REPEAT_MS 800
#define REST_MS   400
#define TRIES_MAX 60 /* of one question */
#define RENEW_MS  2000
#define PAUSE_MS  300 /* between operations, at most */

static struct sim *sim_of(const struct cl_sim *cl)
{
    return cl->w->sim;
}

static uint64_t below(struct cl_sim *cl, uint64_t n)
{
    return rand_below(&sim_of(cl)->rand, n);
}

void cl_path(const struct cl_sim *cl, uint32_t entry, char out[PATH_CAP])
{
    snprintf(out, PATH_CAP, "/c%u/f%u", cl->number, entry);
}

/* ---- asking the namenode ---- */

static bool is_recorded(enum nn_msg_kind kind)
{
    return kind <= CL_CONCAT && kind != CL_LOCATE;
}

static void send_ask(struct cl_sim *cl, const struct nn_msg *ask)
{
    sim_cast(&cl->host, &cl->w->nn.host, ask->head.copy(&ask->head));
}

void cl_ask(struct cl_sim *cl, struct nn_msg *msg, cl_then *then)
{
    BUG_ON(cl->ask);
    msg->client = cl->id;
    msg->call = ++cl->next_call;
    msg->seq = is_recorded(msg->kind) ? ++cl->seq : 0;
    cl->ask = msg;
    cl->then = then;
    cl->tries = 0;
    cl->step = CL_ASKING_NN;
    cl->act_ms = sim_of(cl)->now_ms + REPEAT_MS;
    send_ask(cl, msg);
}

static void repeat(struct cl_sim *cl)
{
    if (++cl->tries > TRIES_MAX) {
        cl_give_up(cl, "asked too often");
        return;
    }
    cl->act_ms = sim_of(cl)->now_ms + REPEAT_MS;
    send_ask(cl, cl->ask);
}

/* A copy of a question answered long ago, as a slow network may bring one. */
static void ask_once_more(struct cl_sim *cl)
{
    cl->last_ask->call = cl->again_call = ++cl->next_call;
    send_ask(cl, cl->last_ask);
}

static void remember(struct cl_sim *cl, struct nn_msg *ask, const struct nn_msg *answer)
{
    bool is_worth = answer->code == 0 && is_recorded(ask->kind) && ask->kind != CL_MKDIR &&
                    ask->kind != CL_ABANDON && ask->kind != CL_FLUSHED;
    if (!is_worth) {
        mem_free(ask);
        return;
    }
    mem_free(cl->last_ask);
    cl->last_ask = ask;
    cl->again_call = 0; /* of an older one: no longer compared */
    memcpy(cl->last_values, answer->values, sizeof(cl->last_values));
    if (below(cl, 8) == 0)
        ask_once_more(cl);
}

/* Answers to copies sent before the first answer came may tell of a time before it was done; those
 * to copies sent afterwards must be the first answer. */
static void check_repeat(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (!cl->again_call || answer->client != cl->id || answer->call != cl->again_call)
        return;
    if (answer->code != 0 || memcmp(answer->values, cl->last_values, sizeof(cl->last_values)) != 0)
        sim_fail(sim_of(cl), "%s asked %llu again and got another answer: %s %llu, not %llu",
                 cl->host.name, (unsigned long long)cl->last_ask->seq, err_name(answer->code),
                 (unsigned long long)answer->values[0], (unsigned long long)cl->last_values[0]);
}

static void on_nn_answer(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (cl->step != CL_ASKING_NN || answer->call != cl->ask->call || answer->client != cl->id) {
        check_repeat(cl, answer);
        return;
    }
    if (answer->code == ERR_RETRY || answer->code == ERR_SAFEMODE) {
        cl->act_ms = sim_of(cl)->now_ms + REST_MS;
        return;
    }
    struct nn_msg *ask = cl->ask;
    cl->ask = NULL;
    cl->step = CL_IDLE;
    remember(cl, ask, answer);
    cl->then(cl, answer);
}

/* ---- beginning and ending ---- */

static void next_op(struct cl_sim *cl);

void cl_rest(struct cl_sim *cl, uint64_t ms, void (*rested)(struct cl_sim *cl))
{
    cl->step = CL_RESTING;
    cl->act_ms = sim_of(cl)->now_ms + ms;
    cl->rested = rested;
}

void cl_op_done(struct cl_sim *cl)
{
    cl->entries[cl->entry].is_busy = false;
    cl->entries[cl->other].is_busy = false;
    cl->is_writing = false;
    cl->ops_done++;
    cl_rest(cl, 1 + below(cl, PAUSE_MS), next_op);
}

static void be_reborn(void *arg)
{
    cl_sim_start(arg);
}

void cl_give_up(struct cl_sim *cl, const char *why)
{
    sim_trace(sim_of(cl), "%s gives up: %s", cl->host.name, why);
    cl->gave_up++;
    cl_sim_crash(cl);
    sim_after(sim_of(cl), NULL, LATE_MS + 500 + below(cl, 3000), be_reborn, cl);
}

/* ---- operations ---- */

static bool pick_entry(struct cl_sim *cl, enum cl_entry_state state, uint32_t *ret)
{
    uint32_t start = (uint32_t)below(cl, FILES);
    for (uint32_t i = 0; i < FILES; i++) {
        uint32_t at = (start + i) % FILES;
        if (cl->entries[at].state == state) {
            *ret = at;
            return true;
        }
    }
    return false;
}

static void deleted(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot delete");
        return;
    }
    cl->entries[cl->entry] = (struct cl_entry){.state = CL_ABSENT};
    cl_op_done(cl);
}

static void start_delete(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_DELETE);
    cl->entries[cl->entry].is_busy = true;
    cl->other = cl->entry;
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, deleted);
}

static void renamed(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot rename");
        return;
    }
    cl->entries[cl->other] = cl->entries[cl->entry];
    cl->entries[cl->entry] = (struct cl_entry){.state = CL_ABSENT};
    cl_op_done(cl);
}

static void start_rename(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_RENAME);
    cl->other = (cl->entry + 1 + (uint32_t)below(cl, FILES - 1)) % FILES;
    if (cl->entries[cl->other].state == CL_UNSURE) {
        mem_free(msg);
        cl->other = cl->entry;
        cl_op_done(cl);
        return;
    }
    cl->entries[cl->entry].is_busy = cl->entries[cl->other].is_busy = true;
    cl_path(cl, cl->entry, msg->path);
    cl_path(cl, cl->other, msg->to);
    cl_ask(cl, msg, renamed);
}

static void replication_set(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot set replication");
        return;
    }
    cl->entries[cl->entry].replication = cl->fresh.replication;
    cl_op_done(cl);
}

static void start_replication(struct cl_sim *cl)
{
    struct nn_msg *msg = NULL;
    cl->other = cl->entry;
    if (cl->entries[cl->entry].replication < 3) {
        cl_op_done(cl);
        return;
    }
    msg = nn_msg_new(CL_REPLICATION);
    cl->entries[cl->entry].is_busy = true;
    /* To another number: what changes nothing is not recorded, and a late copy of it might. Only
     * down: see nn_check_deletion. */
    cl->fresh.replication = 2;
    msg->replication = cl->fresh.replication;
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, replication_set);
}

static void bad_told(struct cl_sim *cl, const struct nn_msg *answer)
{
    (void)answer;
    cl_op_done(cl);
}

/* Reading: the datanodes named for one block are asked all at once. */
static void read_over(struct cl_sim *cl)
{
    for (uint32_t i = 0; i < cl->pipeline_count; i++) {
        if (!(cl->failed >> i & 1) || !(cl->answered >> i & 1))
            continue;
        struct nn_msg *msg = nn_msg_new(CL_BAD);
        msg->block = cl->block;
        msg->nodes[0] = cl->pipeline[i];
        cl_ask(cl, msg, bad_told);
        return;
    }
    cl_op_done(cl);
}

static void located(struct cl_sim *cl, const struct nn_msg *answer)
{
    const struct cl_entry *e = &cl->entries[cl->entry];
    if (answer->code != 0 || answer->block.gs != cl->block.gs ||
        answer->block.len != cl->block.len) {
        sim_fail(sim_of(cl), "%s: blk_%llu of /c%u/f%u (%u blocks) is %s, stamp %llu, %llu bytes",
                 cl->host.name, (unsigned long long)cl->block.id, cl->number, cl->entry,
                 e->block_count, err_name(answer->code), (unsigned long long)answer->block.gs,
                 (unsigned long long)answer->block.len);
        return;
    }
    cl->pipeline_count = answer->node_count;
    memcpy(cl->pipeline, answer->nodes, sizeof(cl->pipeline));
    if (cl->pipeline_count == 0) {
        cl_op_done(cl);
        return;
    }
    cl->dn_ask = nn_msg_new(CL_READ);
    cl->dn_ask->block = cl->block;
    cl->dns_said = read_over;
    cl_write_timeout(cl); /* asks them */
}

static void start_read(struct cl_sim *cl)
{
    const struct cl_entry *e = &cl->entries[cl->entry];
    cl->other = cl->entry;
    if (e->block_count == 0) {
        cl_op_done(cl);
        return;
    }
    cl->block = e->blocks[below(cl, e->block_count)];
    struct nn_msg *msg = nn_msg_new(CL_LOCATE);
    msg->block = cl->block;
    cl_ask(cl, msg, located);
}

/* ---- what a former life left
 * --------------------------------------------------------------------- */

static void look_again(struct cl_sim *cl)
{
    next_op(cl);
}

/* Is there one who had all that was flushed and lost nothing since? A process killed keeps it. */
static bool somebody_kept(const struct nn_world *w, const struct cl_flush *flush)
{
    for (uint32_t number = 1; number <= w->dn_count; number++)
        if (flush->is_member[number] && flush->losses[number] == w->dns[number - 1].losses)
            return true;
    return false;
}

static void seen(struct cl_sim *cl, const struct nn_msg *answer)
{
    struct cl_entry *e = &cl->entries[cl->entry];
    struct cl_entry was = *e;
    if (answer->code != 0 && answer->code != ERR_NOENT) {
        cl_give_up(cl, "cannot look");
        return;
    }
    e->is_busy = false;
    if (answer->code == 0 && answer->flag && !cl->w->is_healing && below(cl, 3) == 0) {
        start_delete(cl); /* an open file that nobody writes may go, too */
        return;
    }
    if (answer->code == 0 && answer->flag) {
        cl_rest(cl, 1000, look_again); /* its lease must run out */
        return;
    }
    *e = (struct cl_entry){.state = answer->code == 0 ? CL_CLOSED : CL_ABSENT,
                           .len = answer->new_len,
                           .replication = answer->replication};
    if (answer->code == 0 && answer->file_id == was.file_id && answer->new_len < was.flushed &&
        somebody_kept(cl->w, &was.flush))
        sim_fail(sim_of(cl), "/c%u/f%u was closed with %llu bytes, but %llu had been flushed",
                 cl->number, cl->entry, (unsigned long long)answer->new_len,
                 (unsigned long long)was.flushed);
    if (answer->code == 0 && answer->file_id == was.file_id && answer->new_len < was.base &&
        !cl->w->has_disk_faults)
        sim_fail(sim_of(cl), "/c%u/f%u had %llu bytes before it was appended to, and has %llu",
                 cl->number, cl->entry, (unsigned long long)was.base,
                 (unsigned long long)answer->new_len);
    cl_op_done(cl);
}

static void start_look(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_STAT);
    cl->other = cl->entry;
    cl->entries[cl->entry].is_busy = true;
    cl_path(cl, cl->entry, msg->path);
    cl_ask(cl, msg, seen);
}

static void dir_made(struct cl_sim *cl, const struct nn_msg *answer)
{
    if (answer->code != 0) {
        cl_give_up(cl, "cannot make a directory");
        return;
    }
    cl->has_dir = true;
    cl_op_done(cl);
}

static void start_mkdir(struct cl_sim *cl)
{
    struct nn_msg *msg = nn_msg_new(CL_MKDIR);
    cl->entry = cl->other = 0;
    snprintf(msg->path, PATH_CAP, "/c%u", cl->number);
    cl_ask(cl, msg, dir_made);
}

/* ---- which operation
 * ----------------------------------------------------------------------------- */

static void random_op(struct cl_sim *cl)
{
    bool has_closed = pick_entry(cl, CL_CLOSED, &cl->entry);
    switch (has_closed ? below(cl, 14) : 13) {
    case 0:
        start_delete(cl);
        break;
    case 1:
        start_rename(cl);
        break;
    case 2:
        start_replication(cl);
        break;
    case 3:
    case 4:
        start_read(cl);
        break;
    case 5:
        cl_write_start(cl, true);
        break;
    case 6:
    case 7:
        cl_append_start(cl);
        break;
    case 8:
        cl_truncate_start(cl);
        break;
    case 9:
        cl_concat_start(cl);
        break;
    default:
        if (pick_entry(cl, CL_ABSENT, &cl->entry))
            cl_write_start(cl, false);
        else
            start_delete(cl);
    }
}

static void next_op(struct cl_sim *cl)
{
    if (!cl->has_dir)
        start_mkdir(cl);
    else if (pick_entry(cl, CL_UNSURE, &cl->entry))
        start_look(cl);
    else if (cl->w->is_clearing && pick_entry(cl, CL_CLOSED, &cl->entry))
        start_delete(cl);
    else if (cl->w->is_healing)
        cl_rest(cl, PAUSE_MS, next_op);
    else
        random_op(cl);
}

/* ---- time and messages
 * ----------------------------------------------------------------------------- */

static void tick(void *arg)
{
    struct cl_sim *cl = arg;
    uint64_t now = sim_of(cl)->now_ms;
    uint32_t life = cl->host.life;
    if (now >= cl->act_ms) {
        if (cl->step == CL_ASKING_NN)
            repeat(cl);
        else if (cl->step == CL_ASKING_DNS)
            cl_write_timeout(cl);
        else
            cl->rested(cl);
    }
    if (cl->host.is_up && cl->host.life == life)
        sim_after(sim_of(cl), &cl->host, TICK_MS, tick, cl);
}

static void renew(void *arg)
{
    struct cl_sim *cl = arg;
    if (cl->is_writing) {
        struct nn_msg *msg = nn_msg_new(CL_RENEW);
        msg->client = cl->id;
        sim_cast(&cl->host, &cl->w->nn.host, &msg->head);
    }
    sim_after(sim_of(cl), &cl->host, RENEW_MS, renew, cl);
}

static void on_message(struct sim_host *host, struct sim_host *from, struct sim_conn *conn,
                       struct sim_msg *sim_msg)
{
    struct cl_sim *cl = CONTAINER_OF(host, struct cl_sim, host);
    const struct nn_msg *msg = CONTAINER_OF(sim_msg, struct nn_msg, head);
    (void)conn;
    if (msg->kind == NN_ANSWER)
        on_nn_answer(cl, msg);
    else
        cl_write_on_answer(cl, CONTAINER_OF(from, struct dn_sim, host)->number, msg);
}

static const struct sim_host_ops ops = {.on_message = on_message};

static void begin(struct cl_sim *cl)
{
    cl->id = ++cl->w->next_client;
    cl->seq = 0;
    cl_rest(cl, 1 + below(cl, 100), next_op);
    sim_after(sim_of(cl), &cl->host, TICK_MS, tick, cl);
    sim_after(sim_of(cl), &cl->host, RENEW_MS, renew, cl);
}

void cl_sim_add(struct nn_world *w, uint32_t number)
{
    struct cl_sim *cl = &w->cls[number - 1];
    char name[16];
    cl->w = w;
    cl->number = number;
    snprintf(name, sizeof(name), "cl%u", number);
    sim_host_add(w->sim, &cl->host, name, &ops);
    begin(cl);
}

void cl_sim_crash(struct cl_sim *cl)
{
    sim_host_crash(&cl->host);
    mem_free(cl->ask);
    mem_free(cl->dn_ask);
    mem_free(cl->last_ask);
    cl->ask = cl->dn_ask = cl->last_ask = NULL;
    cl->again_call = 0;
    for (uint32_t i = 0; i < FILES; i++) {
        if (!cl->entries[i].is_busy)
            continue;
        cl->entries[i] = (struct cl_entry){.state = CL_UNSURE};
        if (cl->is_writing && i == cl->entry) {
            cl->entries[i].flushed = cl->fresh.flushed;
            cl->entries[i].flush = cl->fresh.flush;
            cl->entries[i].base = cl->fresh.base;
            cl->entries[i].file_id = cl->file_id;
        }
    }
    cl->is_writing = false;
}

void cl_sim_start(struct cl_sim *cl)
{
    sim_host_start(&cl->host);
    begin(cl);
}

void cl_sim_release(struct cl_sim *cl)
{
    mem_free(cl->ask);
    mem_free(cl->dn_ask);
    mem_free(cl->last_ask);
}
