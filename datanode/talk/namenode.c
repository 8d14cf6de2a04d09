/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/namenode.h"

#include <inttypes.h>

#include "datanode/talk/orders.h"
#include "datanode/talk/report.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/sm.h"

#define AGAIN_MS 1000U /* before a refused registration or report is tried again */

enum state { DOWN, JOINING, REGISTERING, UP };
static const struct sm_state states[] = {
    [DOWN] = {"DOWN", SM_TO(JOINING), SM_INITIAL},
    [JOINING] = {"JOINING", SM_TO(REGISTERING) | SM_TO(UP) | SM_TO(DOWN), 0},
    [REGISTERING] = {"REGISTERING", SM_TO(JOINING) | SM_TO(UP) | SM_TO(DOWN), 0},
    [UP] = {"UP", SM_TO(JOINING) | SM_TO(DOWN), 0},
};
static const struct sm_table namenode_sm = {"namenode link", states, ARRAY_LEN(states)};

/* Thread work on the way up: formatting and the term. */
struct joining {
    struct work work;
    struct dn_volumes volumes; /* as they were when it began: they may come and go */
    char cluster_id[VERSION_ID_MAX];
    char who[HELLO_TEXT_MAX + 1];
    uint64_t term; /* to make durable; 0 = only join */
    bool is_running;
    int code;
    struct err err;
};

struct dn_namenode {
    struct dn_namenode_conf conf;
    struct identity self; /* without a cluster: the comparison is made here, to say more about it */
    struct rpc_service service;
    struct rpc_link *link;
    struct rpc_peer *peer; /* while connected */
    bool is_known;         /* registered on this connection; only the term is not durable yet */
    struct dn2nn_registered said; /* numbers of the last registration */
    unsigned state;
    struct joining join;
    struct rpc_wait registering, beating;
    struct loop_timer again, beat;
    struct loop_timer report_timer;
    struct loop_hook hook;
    struct dn_report report;
    struct dn_orders *orders;
    bool was_registered, is_closing;
    bool was_changed; /* directories came or went while we were joining */
    char trouble[ERR_MSG_MAX];
};

static void move(struct dn_namenode *nn, enum state to)
{
    sm_move(&namenode_sm, &nn->state, to);
}

static void begin_join(struct dn_namenode *nn, uint64_t term);

static void note_trouble(struct dn_namenode *nn, const char *why)
{
    if (strcmp(nn->trouble, why) != 0)
        log_warn("dn.namenode", "%s", why);
    snprintf(nn->trouble, sizeof(nn->trouble), "%s", why);
}

/* ---- registering again ---- */

static void on_again(void *arg)
{
    struct dn_namenode *nn = arg;
    if (nn->peer && !nn->join.is_running)
        begin_join(nn, 0);
}

/* The namenode lost us, or something we told it: begin anew on the connection there is. */
static void try_again_soon(struct dn_namenode *nn)
{
    if (loop_after(nn->conf.loop, &nn->again, AGAIN_MS, on_again, nn) != 0 && nn->peer)
        rpc_peer_close(nn->peer);
}

static void start_over(void *arg, const char *why)
{
    struct dn_namenode *nn = arg;
    if (nn->state != UP || !nn->peer)
        return;
    log_info("dn.namenode", "registering again: %s", why);
    begin_join(nn, 0);
}

/* ---- heartbeats ---- */

static void on_beaten(void *arg, int code, const void *answer, const struct err *err)
{
    struct dn_namenode *nn = arg;
    const struct dn2nn_heard *heard = answer;
    if (code != 0) {
        note_trouble(nn, err->msg);
        return;
    }
    if (heard->term < nn->conf.storage->volumes->identity.term) {
        note_trouble(nn, "the namenode has been replaced by a later one: leaving it");
        if (nn->peer)
            rpc_peer_close(nn->peer);
    } else if (heard->register_again) {
        start_over(nn, "the namenode asks for it");
    }
}

static void on_beat(void *arg)
{
    struct dn_namenode *nn = arg;
    struct dn2nn_heartbeat beat = {0};
    struct dn2nn_storage storages[DN_VOLUMES_MAX];
    dn_report_look_at_disks(&nn->report);
    if (nn->state != UP || rpc_is_waiting(&nn->beating))
        return;
    beat.storages =
        (struct dn2nn_storage_list){storages, dn_report_storages(&nn->report, storages)};
    beat.xceivers = dn_movers_active(nn->conf.movers) - dn_movers_parked(nn->conf.movers);
    beat.non_dfs = dn_report_non_dfs(&nn->report);
    beat.scheduled_copies = dn_orders_copies(nn->orders);
    rpc_ask(nn->peer, &DN2NN_methods[DN2NN_AT_HEARTBEAT], &beat, &nn->beating);
}

static void on_report_due(void *arg)
{
    struct dn_namenode *nn = arg;
    dn_report_send_all(&nn->report);
}

/* ---- up ---- */

static void go_up(struct dn_namenode *nn)
{
    uint64_t beat_ms = nn->said.heartbeat_ms > 0 ? nn->said.heartbeat_ms : 3000;
    uint64_t report_ms = nn->said.report_ms > 0 ? nn->said.report_ms : 6 * 3600000U;
    move(nn, UP);
    nn->trouble[0] = '\0';
    log_info("dn.namenode",
             "registered with %s: cluster %s, term %" PRIu64 ", %" PRIu64 " replicas",
             nn->conf.address, nn->conf.storage->volumes->cluster_id, nn->said.term,
             dn_replicas_count(&nn->conf.storage->replicas));
    dn_report_set_peer(&nn->report, nn->peer);
    dn_report_send_all(&nn->report);
    if (loop_every(nn->conf.loop, &nn->beat, beat_ms, on_beat, nn) != 0 ||
        loop_every(nn->conf.loop, &nn->report_timer, report_ms, on_report_due, nn) != 0)
        rpc_peer_close(nn->peer);
    if (!nn->was_registered) {
        nn->was_registered = true;
        nn->conf.on_registered(nn->conf.arg);
    }
    on_beat(nn);
}

static void on_registered(void *arg, int code, const void *msg, const struct err *err)
{
    struct dn_namenode *nn = arg;
    const struct dn2nn_registered *answer = msg;
    uint64_t term = nn->conf.storage->volumes->identity.term;
    if (nn->state != REGISTERING)
        return;
    if (code == ERR_FOREIGN) {
        nn->conf.on_fatal(nn->conf.arg, err);
    } else if (code != 0) {
        note_trouble(nn, err->msg);
        move(nn, JOINING);
        try_again_soon(nn);
    } else if (answer->term < term) {
        note_trouble(nn, "the namenode's term is over: a later one has been obeyed here");
        rpc_peer_close(nn->peer);
    } else if (answer->term > term) {
        nn->said = *answer;
        nn->is_known = true;
        begin_join(nn, answer->term); /* durable before anything is done under it */
    } else {
        nn->said = *answer;
        go_up(nn);
    }
}

static void register_now(struct dn_namenode *nn)
{
    const struct dn_volumes *volumes = nn->conf.storage->volumes;
    struct dn2nn_storage storages[DN_VOLUMES_MAX];
    struct dn2nn_register ask = {
        .node = nn->conf.node,
        .cluster_id = slice_str(volumes->cluster_id),
        .node_uuid = slice_str(volumes->identity.node_id),
        .version = slice_str(QUERN_VERSION),
        .storages = {storages, dn_report_storages(&nn->report, storages)},
    };
    move(nn, REGISTERING);
    nn->is_known = false;
    rpc_ask(nn->peer, &DN2NN_methods[DN2NN_AT_REGISTER], &ask, &nn->registering);
}

/* ---- joining ---- */

static void run_join(struct work *work)
{
    struct joining *j = CONTAINER_OF(work, struct joining, work);
    j->code = dn_volumes_join(&j->volumes, j->cluster_id, j->who, clock_wall_ms(), &j->err);
    if (j->code == 0 && j->term > 0)
        j->code = dn_volumes_keep_term(&j->volumes, j->term, &j->err);
}

static void join_done(struct work *work)
{
    struct dn_namenode *nn = CONTAINER_OF(work, struct dn_namenode, join.work);
    nn->join.is_running = false;
    if (nn->is_closing)
        return;
    struct dn_volumes *volumes = nn->conf.storage->volumes;
    if (nn->join.code == 0)
        memcpy(volumes->cluster_id, nn->join.cluster_id, sizeof(nn->join.cluster_id));
    if (nn->join.code == 0 && nn->join.term > 0)
        volumes->identity.term = nn->join.term;
    if (nn->join.code == ERR_FOREIGN) {
        nn->conf.on_fatal(nn->conf.arg, &nn->join.err);
    } else if (nn->join.code != 0) {
        note_trouble(nn, nn->join.err.msg);
        try_again_soon(nn);
    } else if (!nn->peer) {
        move(nn, DOWN);
    } else if (strcmp(rpc_peer_cluster(nn->peer), nn->join.cluster_id) != 0) {
        begin_join(nn, 0); /* another connection by now */
    } else if (nn->was_changed) {
        nn->was_changed = false; /* the new directories have not joined yet */
        begin_join(nn, nn->join.term);
    } else if (nn->is_known && nn->join.term > 0) {
        go_up(nn);
    } else {
        register_now(nn);
    }
}

static void begin_join(struct dn_namenode *nn, uint64_t term)
{
    const char *cluster = rpc_peer_cluster(nn->peer);
    if (nn->state != JOINING)
        move(nn, JOINING);
    rpc_cancel(&nn->registering);
    dn_report_set_peer(&nn->report, NULL);
    nn->join.volumes = *nn->conf.storage->volumes;
    nn->join.term = term;
    nn->join.is_running = true;
    snprintf(nn->join.who, sizeof(nn->join.who), "namenode %s", nn->conf.address);
    snprintf(nn->join.cluster_id, sizeof(nn->join.cluster_id), "%s", cluster);
    workq_submit(nn->conf.disk_work, &nn->join.work, run_join, join_done);
}

/* ---- the link ---- */

static void on_peer_up(struct rpc_peer *peer, void *arg)
{
    struct dn_namenode *nn = arg;
    nn->peer = peer;
    nn->is_known = false;
    if (nn->state == DOWN)
        move(nn, JOINING);
    if (rpc_peer_cluster(peer)[0] == '\0') {
        note_trouble(nn, "the namenode does not say which cluster it is");
        rpc_peer_close(peer);
    } else if (!nn->join.is_running) {
        begin_join(nn, 0);
    }
}

static void on_peer_down(struct rpc_peer *peer, int code, void *arg)
{
    struct dn_namenode *nn = arg;
    (void)peer;
    nn->peer = NULL;
    rpc_cancel(&nn->registering);
    rpc_cancel(&nn->beating);
    loop_timer_stop(&nn->again);
    loop_timer_stop(&nn->report_timer);
    dn_report_set_peer(&nn->report, NULL);
    if (nn->state == UP && !nn->is_closing)
        log_warn("dn.namenode", "lost the connection to %s: %s", nn->conf.address, err_text(code));
    if (!nn->join.is_running) /* else it is its end that does so */
        move(nn, DOWN);
}

static void on_link_error(const struct err *err, void *arg)
{
    note_trouble(arg, err->msg);
}

/* Everything the turn has changed goes out in one message. */
static void on_turn_end(void *arg)
{
    struct dn_namenode *nn = arg;
    dn_report_send_changes(&nn->report);
}

/* ---- opening and closing ---- */

static int open_link(struct dn_namenode *nn, struct err *err)
{
    struct rpc_conf conf = {
        .self = &nn->self,
        .services = &nn->service,
        .service_count = 1,
        .on_peer_up = on_peer_up,
        .on_peer_down = on_peer_down,
        .arg = nn,
        .roles = HELLO_ROLE(WIRE_NAMENODE),
        .on_link_error = on_link_error,
    };
    return rpc_link_open(nn->conf.loop, nn->conf.address, &conf, &nn->link, err);
}

int dn_namenode_open(const struct dn_namenode_conf *conf, struct dn_namenode **ret, struct err *err)
{
    struct dn_namenode *nn = mem_calloc(1, sizeof(*nn));
    if (!nn)
        return err_set(err, ERR_NOMEM, "namenode link: out of memory");
    nn->conf = *conf;
    nn->self = *conf->self;
    nn->self.cluster = NULL;
    nn->registering.done = on_registered;
    nn->beating.done = on_beaten;
    nn->registering.arg = nn->beating.arg = nn;
    dn_report_init(&nn->report, conf->storage, conf->disk_work, start_over, nn);
    struct dn_orders_conf orders = {.self = conf->self,
                                    .storage = conf->storage,
                                    .movers = conf->movers,
                                    .pieces = conf->pieces,
                                    .piece_bytes = conf->piece_bytes,
                                    .report = &nn->report,
                                    .timeout_ms = conf->timeout_ms,
                                    .copy_bytes_per_s = conf->copy_bytes_per_s};
    nn->orders = dn_orders_new(&orders);
    int rc = nn->orders ? 0 : err_set(err, ERR_NOMEM, "namenode link: out of memory");
    if (rc == 0) {
        nn->service = dn_orders_service(nn->orders);
        rc = open_link(nn, err);
    }
    if (rc != 0) {
        dn_orders_free(nn->orders);
        mem_free(nn);
        return rc;
    }
    loop_on_turn_end(conf->loop, &nn->hook, on_turn_end, nn);
    *ret = nn;
    return 0;
}

void dn_namenode_close(struct dn_namenode *nn)
{
    if (!nn)
        return;
    nn->is_closing = true;
    loop_hook_remove(&nn->hook);
    loop_timer_stop(&nn->beat);
    dn_orders_stop(nn->orders);
    rpc_link_close(nn->link);
    while (nn->join.is_running || nn->peer || dn_report_is_busy(&nn->report) ||
           dn_orders_is_busy(nn->orders))
        loop_turn(nn->conf.loop, 10);
    loop_timer_stop(&nn->again);
    loop_timer_stop(&nn->report_timer);
    dn_report_release(&nn->report);
    dn_orders_free(nn->orders);
    mem_free(nn);
}

void dn_namenode_change(struct dn_namenode *nn, enum dn_change change,
                        const struct dn_replica *replica)
{
    dn_report_note(&nn->report, change, replica);
}

void dn_namenode_volumes_changed(struct dn_namenode *nn)
{
    nn->was_changed = nn->join.is_running;
    if (!nn->join.is_running && nn->peer)
        begin_join(nn, 0);
}

void dn_namenode_set_copy_rate(struct dn_namenode *nn, uint64_t bytes_per_s)
{
    dn_orders_set_copy_rate(nn->orders, bytes_per_s);
}

uint64_t dn_namenode_copy_rate(const struct dn_namenode *nn)
{
    return dn_orders_copy_rate(nn->orders);
}

void dn_namenode_report(struct dn_namenode *nn, bool is_full)
{
    if (is_full)
        dn_report_send_all(&nn->report);
    else
        dn_report_send_changes(&nn->report);
}

bool dn_namenode_is_up(const struct dn_namenode *nn)
{
    return nn->state == UP;
}

const char *dn_namenode_trouble(const struct dn_namenode *nn)
{
    return nn->trouble;
}
