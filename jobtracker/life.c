/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/life.h"

#include "jobtracker/endings.h"
#include "jobtracker/journal/retire.h"
#include "jobtracker/queueing.h"
#include "jobtracker/record.h"
#include "jobtracker/replay.h"
#include "jobtracker/serve/clients.h"
#include "jobtracker/serve/past.h"
#include "jobtracker/serve/watchers.h"
#include "jobtracker/serve/workers.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/daemon/address.h"

#define TICK_MS       50
#define RETIRE_MAX_MS (10 * 60 * 1000)

/* --- events from below ----------------------------------------------------------------------- */

static void on_durable(void *arg, uint64_t durable, const struct err *err)
{
    struct jobtracker *jt = arg;
    if (err)
        daemon_exit(jt->daemon, 1, "%s", err->msg);
    else {
        clients_durable(jt, durable);
        endings_durable(jt);
    }
}

static void on_tick(void *arg)
{
    struct jobtracker *jt = arg;
    jt_on_tick(&jt->core, jobtracker_now(jt));
    jobtracker_carry_out(jt);
    watchers_tell_due(jt);
}

static void on_peer_down(struct rpc_peer *peer, int code, void *arg)
{
    struct jobtracker *jt = arg;
    (void)code;
    if (!jt->is_stopping)
        workers_peer_down(jt, peer);
}

/* --- old history leaves ----------------------------------------------------------------------- */

struct retirement {
    struct work work;
    struct jobtracker *jt;
    uint64_t before_wall_ms;
    struct arena arena;
    struct slice *kept; /* plugins and split lists of jobs that are not over; in the arena */
    size_t kept_count;
};

static uint64_t keep_ms(const struct jobtracker *jt)
{
    return conf_ms(daemon_conf(jt->daemon), "mapreduce.jobhistory.max-age-ms");
}

/* No job stays for twice as long as it should. */
static uint64_t retire_every_ms(const struct jobtracker *jt)
{
    return keep_ms(jt) < RETIRE_MAX_MS ? keep_ms(jt) : RETIRE_MAX_MS;
}

static void retirement_run(struct work *work)
{
    const struct retirement *r = CONTAINER_OF(work, struct retirement, work);
    retire_old(r->jt->disk, r->jt->blobs.dir, r->before_wall_ms, r->kept, r->kept_count);
    retire_old(r->jt->disk, r->jt->history.dir, r->before_wall_ms, NULL, 0);
}

static void retirement_done(struct work *work)
{
    struct retirement *r = CONTAINER_OF(work, struct retirement, work);
    if (!r->jt->is_stopping) {
        endings_forget(r->jt, r->before_wall_ms);
        past_forget_retired(r->jt);
    }
    arena_release(&r->arena);
    mem_free(r);
}

static int keep_digest(struct retirement *r, struct slice digest)
{
    struct slice copy = slice_keep(digest, &r->arena);
    if (!copy.data)
        return ERR_NOMEM;
    r->kept[r->kept_count++] = copy;
    return 0;
}

static int note_kept(struct retirement *r)
{
    size_t most = 0;
    list_each (&r->jt->core.active, it)
        most += 2 + record_of(list_entry(it, struct jt_job, active))->spec.job.sides.n;
    r->kept = arena_alloc(&r->arena, (most + 1) * sizeof(*r->kept));
    if (!r->kept)
        return ERR_NOMEM;
    list_each (&r->jt->core.active, it) {
        const struct cl2jt_submit *job =
            &record_of(list_entry(it, struct jt_job, active))->spec.job;
        int rc = keep_digest(r, job->plugin_digest);
        if (rc == 0)
            rc = keep_digest(r, job->splits_digest);
        for (size_t i = 0; rc == 0 && i < job->sides.n; i++)
            rc = keep_digest(r, job->sides.v[i].digest);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void on_retire(void *arg)
{
    struct jobtracker *jt = arg;
    uint64_t now = clock_wall_ms(), age = keep_ms(jt);
    struct retirement *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return; /* there is a next time */
    r->jt = jt;
    r->before_wall_ms = now > age ? now - age : 0;
    if (note_kept(r) == 0)
        workq_submit(jt->workq, &r->work, retirement_run, retirement_done);
    else
        retirement_done(&r->work);
}

/* --- whose cluster ---------------------------------------------------------------------------- */

static const char *const rooms[] = {"journal", "blobs", "history", NULL};
static const struct home_kind home = {"jobtracker", 1, rooms};

static int open_home(struct jobtracker *jt, size_t i, const char *dir, struct err *err)
{
    struct version *version = &jt->versions[i];
    int rc = home_read(jt->disk, dir, &home, version, err);
    jt->dir_count = i + 1;
    if (rc != 0 || !version->cluster_id[0])
        return rc;
    if (jt->self.cluster && strcmp(jt->self.cluster, version->cluster_id) != 0)
        return err_set(err, ERR_FOREIGN,
                       "%s belongs to cluster %s, another of jobtracker.dir to cluster %s: one "
                       "jobtracker, one cluster",
                       dir, version->cluster_id, jt->self.cluster);
    jt->self.cluster = version->cluster_id;
    return 0;
}

/* The namenode says which cluster this is: the first time it is written down. */
static void on_namenode_up(struct rpc_peer *peer, void *arg)
{
    struct jobtracker *jt = arg;
    struct conf_list dirs = conf_list(daemon_conf(jt->daemon), "jobtracker.dir");
    struct conf_address nn = conf_address(daemon_conf(jt->daemon), "dfs.namenode.rpc-address");
    const char *cluster = rpc_peer_cluster(peer);
    char address[ADDRESS_TEXT_MAX], other[ADDRESS_TEXT_MAX + 16], id[VERSION_ID_MAX];
    struct err err = {0};
    if (jt->is_stopping || !cluster[0])
        return;
    snprintf(other, sizeof(other), "namenode %s", address_text(nn.host, nn.port, address));
    for (size_t i = 0; i < jt->dir_count; i++) {
        version_new_id(id);
        if (home_join(jt->disk, dirs.items[i], &home, cluster, id, other, &jt->versions[i], &err) !=
            0) {
            daemon_exit(jt->daemon, 1, "%s", err.msg);
            return;
        }
        jt->self.cluster = jt->versions[i].cluster_id;
    }
}

/* --- start ----------------------------------------------------------------------------------- */

static int open_dirs(struct jobtracker *jt, const char **journal_dirs, size_t *ret_count,
                     struct err *err)
{
    struct conf_list dirs = conf_list(daemon_conf(jt->daemon), "jobtracker.dir");
    if (dirs.count == 0 || dirs.count > WAL_DIRS_MAX)
        return err_set(err, ERR_CONFIG, "jobtracker.dir names %zu directories: give 1 to %d",
                       dirs.count, WAL_DIRS_MAX);
    for (size_t i = 0; i < dirs.count; i++) {
        int rc = fsutil_mkdirs(jt->disk, dirs.items[i], err);
        if (rc == 0)
            rc = fsutil_lock(jt->disk, dirs.items[i], &jt->locks[i], err);
        if (rc == 0)
            rc = open_home(jt, i, dirs.items[i], err);
        char *journal = rc == 0 ? fsutil_join(dirs.items[i], "journal") : NULL;
        if (rc == 0)
            rc = journal ? fsutil_mkdirs(jt->disk, journal, err)
                         : err_set(err, ERR_NOMEM, "out of memory");
        journal_dirs[(*ret_count)++] = journal;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int open_log(struct jobtracker *jt, struct err *err)
{
    const char *dirs[WAL_DIRS_MAX] = {0};
    size_t count = 0;
    int rc = open_dirs(jt, dirs, &count, err);
    if (rc == 0) {
        struct joblog_options options = {
            .disk = jt->disk,
            .dirs = dirs,
            .dir_count = count,
            .loop = jt->loop,
            .workq = jt->workq,
            .on_durable = on_durable,
            .arg = jt,
        };
        rc = joblog_open(&options, &jt->log, err);
    }
    for (size_t i = 0; i < count; i++)
        mem_free((void *)(uintptr_t)dirs[i]);
    return rc;
}

static int open_stores(struct jobtracker *jt, struct err *err)
{
    const char *dir = conf_list(daemon_conf(jt->daemon), "jobtracker.dir").items[0];
    char *blobs = fsutil_join(dir, "blobs"), *history = fsutil_join(dir, "history");
    int rc = blobs && history ? blobs_init(&jt->blobs, jt->disk, blobs, err)
                              : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = history_init(&jt->history, jt->disk, history, err);
    mem_free(blobs);
    mem_free(history);
    return rc;
}

static struct jt_config core_config(const struct conf *conf)
{
    struct jt_config config = jt_config_default;
    config.max_attempts = (uint32_t)conf_int(conf, "mapreduce.map.maxattempts");
    config.worker_timeout_ms = conf_ms(conf, "jobtracker.worker.timeout");
    config.reconnect_ms = conf_ms(conf, "jobtracker.worker.reconnect");
    config.resume_grace_ms = conf_ms(conf, "jobtracker.resume.grace");
    config.locality_wait_ms = conf_ms(conf, "jobtracker.locality.wait");
    config.share_wait_ms = conf_ms(conf, "jobtracker.share.wait");
    config.exclude_ms = conf_ms(conf, "jobtracker.worker.exclude");
    config.slowstart_percent =
        (uint32_t)(conf_number(conf, "mapreduce.job.reduce.slowstart.completedmaps") * 100);
    return config;
}

static int start_server(struct jobtracker *jt, struct err *err)
{
    jt->services[0] =
        (struct rpc_service){CL2JT_methods, clients_handlers, CL2JT_METHOD_COUNT, 0, jt};
    jt->services[1] = (struct rpc_service){WK2JT_methods, workers_handlers, WK2JT_METHOD_COUNT,
                                           HELLO_ROLE(WIRE_WORKER), jt};
    struct rpc_conf rpc = {
        .self = &jt->self,
        .services = jt->services,
        .service_count = ARRAY_LEN(jt->services),
        .on_peer_down = on_peer_down,
        .arg = jt,
    };
    char address[ADDRESS_TEXT_MAX];
    int rc = address_listen(daemon_conf(jt->daemon), "mapreduce.jobtracker.address", address, err);
    if (rc == 0)
        rc = rpc_server_open(jt->loop, address, &rpc, &jt->server, err);
    if (rc == 0 && past_attach(jt, daemon_http(jt->daemon)) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    return rc;
}

static int start_link(struct jobtracker *jt, struct err *err)
{
    struct conf_address nn = conf_address(daemon_conf(jt->daemon), "dfs.namenode.rpc-address");
    char address[ADDRESS_TEXT_MAX];
    struct rpc_conf rpc = {
        .self = &jt->unbound,
        .roles = HELLO_ROLE(WIRE_NAMENODE),
        .on_peer_up = on_namenode_up,
        .arg = jt,
    };
    return rpc_link_open(jt->loop, address_text(nn.host, nn.port, address), &rpc, &jt->namenode,
                         err);
}

static int open_racks(struct jobtracker *jt, struct err *err)
{
    const struct conf *conf = daemon_conf(jt->daemon);
    return racks_open(jt->loop, conf_str(conf, "net.topology.table.file.name"),
                      conf_str(conf, "net.topology.script.file.name"), &jt->racks, err);
}

static int start_all(struct jobtracker *jt, struct err *err)
{
    struct jt_config config = core_config(daemon_conf(jt->daemon));
    jt_core_init(&jt->core, &config, jobtracker_now(jt));
    int rc = queueing_configure(&jt->core.queues, daemon_conf(jt->daemon), err);
    jt->workq = workq_new(jt->loop, "jt-disk", 2, rc == 0 ? err : NULL);
    if (rc == 0)
        rc = jt->workq ? open_log(jt, err) : ERR_NOMEM;
    if (rc == 0)
        rc = open_stores(jt, err);
    if (rc == 0)
        rc = open_racks(jt, err);
    if (rc == 0)
        rc = start_link(jt, err);
    if (rc == 0)
        rc = replay(jt, err);
    if (rc == 0) {
        past_open(jt);
        rc = start_server(jt, err);
    }
    if (rc == 0)
        rc = loop_every(jt->loop, &jt->tick, TICK_MS, on_tick, jt);
    if (rc == 0)
        rc = loop_every(jt->loop, &jt->retire, retire_every_ms(jt), on_retire, jt);
    if (rc == 0)
        on_retire(jt);
    return rc;
}

static void end_all(struct jobtracker *jt);

int jobtracker_start(struct daemon *daemon, void **ret_state, struct err *err)
{
    struct jobtracker *jt = mem_calloc(1, sizeof(*jt));
    if (!jt)
        return err_set(err, ERR_NOMEM, "out of memory");
    jt->daemon = daemon;
    jt->loop = daemon_loop(daemon);
    jt->disk = disk_real();
    list_init(&jt->submits);
    list_init(&jt->changes);
    list_init(&jt->unwritten);
    list_init(&jt->publishing);
    list_init(&jt->ended);
    list_init(&jt->over);
    list_init(&jt->endings);
    list_init(&jt->registering);
    for (size_t i = 0; i < WAL_DIRS_MAX; i++)
        jt->locks[i] = FSUTIL_LOCK_INIT;
    identity_init(&jt->self, WIRE_JOBTRACKER, daemon_node_name(daemon));
    jt->unbound = jt->self;
    int rc = start_all(jt, err);
    if (rc != 0) {
        end_all(jt);
        jobtracker_release(jt);
        return rc;
    }
    log_info("jt", "epoch %llu, listening on %s", (unsigned long long)jt->epoch,
             rpc_server_address(jt->server));
    *ret_state = jt;
    jobtracker_carry_out(jt);
    return DAEMON_SERVING;
}

int jobtracker_reload(void *state, struct err *err)
{
    struct jobtracker *jt = state;
    const struct conf *conf = daemon_conf(jt->daemon);
    struct err why = {0};
    jt->core.config.locality_wait_ms = conf_ms(conf, "jobtracker.locality.wait");
    jt->core.config.share_wait_ms = conf_ms(conf, "jobtracker.share.wait");
    jt->core.config.exclude_ms = conf_ms(conf, "jobtracker.worker.exclude");
    if (queueing_configure(&jt->core.queues, conf, &why) != 0)
        daemon_reload_refuse(jt->daemon, "jobtracker.queues", why.msg);
    jt_on_queues_changed(&jt->core, jobtracker_now(jt));
    jobtracker_carry_out(jt);
    return racks_reload(jt->racks, err); /* a worker's is looked up when it registers */
}

/* --- end ------------------------------------------------------------------------------------- */

static void end_all(struct jobtracker *jt)
{
    jt->is_stopping = true;
    loop_timer_stop(&jt->tick);
    loop_timer_stop(&jt->retire);
    clients_release(jt);
    workers_release(jt);
    endings_stop(jt);
    if (jt->server)
        rpc_server_close(jt->server);
    if (jt->namenode)
        rpc_link_close(jt->namenode);
    if (jt->log)
        joblog_stop(jt->log);
}

void jobtracker_stop(void *state)
{
    struct jobtracker *jt = state;
    if (!jt->is_stopping)
        end_all(jt);
    daemon_stopped(jt->daemon);
}

void jobtracker_release(void *state)
{
    struct jobtracker *jt = state;
    struct err err = {0};
    racks_close(jt->racks);
    workq_free(jt->workq);
    if (joblog_close(jt->log, &err) != 0)
        log_error("jt", "%s", err.msg);
    list_each_safe (&jt->core.all, it)
        record_free(record_of(list_entry(it, struct jt_job, all)));
    hmap_release(&jt->origins);
    heap_release(&jt->watchers);
    jt_core_release(&jt->core);
    blobs_release(&jt->blobs);
    past_release(jt);
    history_release(&jt->history);
    for (size_t i = 0; i < WAL_DIRS_MAX; i++)
        fsutil_unlock(&jt->locks[i]);
    mem_free(jt);
}
