/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/datanode.h"

#include <inttypes.h>

#include "datanode/storage/hotswap.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/address.h"

#define DISK_THREADS 4U
#define PIECE_BYTES  (512U << 10) /* a packet to a reader: fits the second-level cache twice */
#define PATIENCE_MS  10000U       /* then we count as started, though no namenode has come */

/* ---- news from below ---- */

static void on_change(void *arg, enum dn_change change, const struct dn_replica *replica)
{
    struct datanode *dn = arg;
    if (dn->namenode)
        dn_namenode_change(dn->namenode, change, replica);
}

/* Better no datanode than one that pretends: with a disk less than it was allowed to lose it ends.
 */
static void on_volume_failed(void *arg, const struct dn_volume *volume)
{
    struct datanode *dn = arg;
    const struct dn_volumes *all = dn->storage->volumes;
    if (dn_volumes_are_too_few(all))
        daemon_exit(dn->daemon, 1,
                    "%s has failed: %zu of %zu data directories are lost, %" PRId64
                    " may be (dfs.datanode.failed.volumes.tolerated)",
                    volume->path, dn_volumes_failed(all), dn_volumes_configured(all),
                    all->failed_tolerated);
}

static void on_suspect(void *arg, uint64_t id)
{
    struct datanode *dn = arg;
    if (dn->patrol)
        dn_patrol_suspect(dn->patrol, id);
}

static void on_registered(void *arg)
{
    struct datanode *dn = arg;
    loop_timer_stop(&dn->patience);
    dn_serve_registered(dn->serve);
    dn_patrol_start(dn->patrol);
    dn_census_start(dn->census);
    dn_twins_look(dn->twins);
    daemon_set_state(dn->daemon, "serving");
    daemon_serving(dn->daemon);
}

static void on_fatal(void *arg, const struct err *err)
{
    struct datanode *dn = arg;
    daemon_exit(dn->daemon, 1, "%s", err->msg);
}

static void on_patience_over(void *arg)
{
    struct datanode *dn = arg;
    log_warn("dn", "no namenode yet: going on without");
    daemon_serving(dn->daemon);
}

/* ---- start ---- */

static struct dn_choosing_conf read_choosing(const struct conf *conf)
{
    static const char prefix[] = "dfs.datanode.available-space-volume-choosing-policy."
                                 "balanced-space-";
    char threshold[128], fraction[128];
    snprintf(threshold, sizeof(threshold), "%sthreshold", prefix);
    snprintf(fraction, sizeof(fraction), "%spreference-fraction", prefix);
    bool by_space = conf_choice(conf, "dfs.datanode.fsdataset.volume.choosing.policy") % 2 == 1;
    return (struct dn_choosing_conf){.policy =
                                         by_space ? DN_CHOOSE_BY_SPACE : DN_CHOOSE_ROUND_ROBIN,
                                     .balanced_bytes = conf_size(conf, threshold),
                                     .preference = conf_number(conf, fraction)};
}

static int open_storage(struct datanode *dn, const struct conf *conf, struct err *err)
{
    struct conf_list dirs = conf_list(conf, "dfs.datanode.data.dir");
    struct dn_storage_conf storage = {
        .disk = disk_real(),
        .volumes = {.paths = (const char *const *)dirs.items,
                    .count = dirs.count,
                    .reserved_bytes = conf_size(conf, "dfs.datanode.du.reserved"),
                    .failed_tolerated = conf_int(conf, "dfs.datanode.failed.volumes.tolerated"),
                    .choosing = read_choosing(conf)},
        .disk_work = dn->disk_work,
        .on_change = on_change,
        .on_volume_failed = on_volume_failed,
        .on_suspect = on_suspect,
        .arg = dn,
    };
    int rc = dn_storage_open(&storage, &dn->storage, err);
    if (rc == 0) /* empty until it is known; hellos read it each time */
        dn->identity.cluster = dn->storage->volumes->cluster_id;
    return rc;
}

static int open_patrol(struct datanode *dn, const struct conf *conf, struct err *err)
{
    struct dn_patrol_conf patrol = {
        .loop = dn->loop,
        .storage = dn->storage,
        .rounds = {.period_ms = conf_ms(conf, "dfs.datanode.scan.period.hours"),
                   .limit_bytes = conf_size(conf, "dfs.block.scanner.volume.bytes.per.second")}};
    dn->patrol = dn_patrol_new(&patrol);
    dn->census =
        dn_census_new(dn->loop, dn->storage, conf_ms(conf, "dfs.datanode.directoryscan.interval"));
    dn->level = dn_level_new(dn->loop, dn->storage);
    dn->twins = dn_twins_new(dn->loop, dn->storage);
    return dn->patrol && dn->census && dn->level && dn->twins
               ? 0
               : err_set(err, ERR_NOMEM, "out of memory");
}

static int reconfig(void *arg, uint32_t action, struct arena *arena, struct msg_reconfigured *ret,
                    struct err *err)
{
    struct datanode *dn = arg;
    return daemon_reconfig(dn->daemon, action, arena, ret, err);
}

static int open_serve(struct datanode *dn, const struct conf *conf, struct err *err)
{
    char address[ADDRESS_TEXT_MAX];
    int rc = address_listen(conf, "dfs.datanode.address", address, err);
    if (rc != 0)
        return rc;
    struct dn_serve_conf serve = {
        .loop = dn->loop,
        .storage = dn->storage,
        .disk_work = dn->disk_work,
        .self = &dn->identity,
        .node = daemon_node_name(dn->daemon),
        .tcp_address = address,
        .unix_address = conf_str(conf, "dfs.domain.socket.path"),
        .threads_max = (unsigned)conf_int(conf, "dfs.datanode.max.transfer.threads"),
        .ring_bytes = (size_t)conf_size(conf, "dfs.datanode.write.window") / 4096 * 4096,
        .piece_bytes = PIECE_BYTES,
        .direct_min = (uint32_t)conf_size(conf, "dfs.datanode.direct.min"),
        .timeout_ms = conf_ms(conf, "dfs.client.socket-timeout"),
        .supergroup = conf_str(conf, "dfs.permissions.superusergroup"),
        .reconfig = reconfig,
        .level = dn->level,
        .manage = datanode_manage,
        .arg = dn,
    };
    return dn_serve_open(&serve, &dn->serve, err);
}

static uint32_t port_of(const char *address)
{
    const char *colon = strrchr(address, ':');
    uint64_t port = 0;
    return colon && str_to_u64(colon + 1, &port) == 0 ? (uint32_t)port : 0;
}

/* "host:port" without the port, and without the brackets of an IPv6 address. */
static char *host_of(const char *address)
{
    struct slice host = slice_str(address);
    const char *colon = strrchr(address, ':');
    if (colon)
        host.len = (size_t)(colon - address);
    if (host.len >= 2 && host.data[0] == '[')
        host = slice_of(host.data + 1, host.len - 2);
    return slice_dup(host);
}

static int open_namenode(struct datanode *dn, const struct conf *conf, struct err *err)
{
    char address[ADDRESS_TEXT_MAX];
    const char *namenode = conf_str(conf, "dfs.namenode.rpc-address");
    if (*namenode == '\0')
        return err_set(err, ERR_CONFIG, "which namenode? Set fs.defaultFS to quern://HOST:PORT");
    uint16_t port = dn_serve_port(dn->serve);
    dn->host = host_of(address_advertise(conf, "dfs.datanode.address", port, address));
    if (!dn->host)
        return err_set(err, ERR_NOMEM, "out of memory");
    struct dn_namenode_conf talk = {
        .loop = dn->loop,
        .address = namenode,
        .self = &dn->identity,
        .node = {.name = slice_str(daemon_node_name(dn->daemon)),
                 .host = slice_str(dn->host),
                 .data_port = port,
                 .http_port = port_of(daemon_http_address(dn->daemon)),
                 .socket = slice_str(dn_serve_socket(dn->serve)),
                 .boot_id = slice_str(dn->identity.boot),
                 .netns = dn->identity.netns},
        .storage = dn->storage,
        .movers = dn->serve->movers,
        .pieces = dn->serve->pieces,
        .piece_bytes = dn->serve->conf.piece_bytes,
        .disk_work = dn->disk_work,
        .timeout_ms = conf_ms(conf, "dfs.client.socket-timeout"),
        .copy_bytes_per_s = conf_size(conf, "dfs.datanode.balance.bandwidthPerSec"),
        .on_registered = on_registered,
        .on_fatal = on_fatal,
        .arg = dn,
    };
    return dn_namenode_open(&talk, &dn->namenode, err);
}

int datanode_start(struct daemon *d, void **ret_state, struct err *err)
{
    const struct conf *conf = daemon_conf(d);
    struct datanode *dn = mem_calloc(1, sizeof(*dn));
    if (!dn)
        return err_set(err, ERR_NOMEM, "out of memory");
    dn->daemon = d;
    dn->loop = daemon_loop(d);
    dn->started_ms = loop_now_ms(dn->loop);
    identity_init(&dn->identity, WIRE_DATANODE, daemon_node_name(d));
    dn->disk_work = workq_new(dn->loop, "disk", DISK_THREADS, err);
    int rc = dn->disk_work ? open_storage(dn, conf, err) : err->code;
    if (rc == 0)
        rc = open_patrol(dn, conf, err);
    if (rc == 0)
        rc = open_serve(dn, conf, err);
    if (rc == 0)
        rc = open_namenode(dn, conf, err);
    if (rc == 0 && loop_after(dn->loop, &dn->patience, PATIENCE_MS, on_patience_over, dn) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0) {
        datanode_release(dn);
        return rc;
    }
    daemon_set_state(d, "waiting for the namenode");
    *ret_state = dn;
    return DAEMON_LATER;
}

/* ---- reload ---- */

#define DATA_DIR "dfs.datanode.data.dir"

static void on_swapped(void *arg, const struct err *err, bool has_changed)
{
    struct datanode *dn = arg;
    if (err)
        daemon_reload_refuse(dn->daemon, DATA_DIR, err->msg);
    if (has_changed && dn->namenode) {
        if (dn_patrol_volumes_changed(dn->patrol) != 0)
            log_warn("dn", "out of memory: new directories are not verified");
        dn_twins_look(dn->twins);
        dn_namenode_volumes_changed(dn->namenode);
    }
    daemon_reload_done(dn->daemon);
}

int datanode_reload(void *state, struct err *err)
{
    struct datanode *dn = state;
    const struct conf *conf = daemon_conf(dn->daemon);
    struct conf_list dirs = conf_list(conf, DATA_DIR);
    struct dn_volumes *volumes = dn->storage->volumes;
    const struct dn_hotswap_conf swap = {.entries = (const char *const *)dirs.items,
                                         .count = dirs.count,
                                         .done = on_swapped,
                                         .arg = dn};
    dn_namenode_set_copy_rate(dn->namenode,
                              conf_size(conf, "dfs.datanode.balance.bandwidthPerSec"));
    volumes->reserved_bytes = conf_size(conf, "dfs.datanode.du.reserved");
    volumes->failed_tolerated = conf_int(conf, "dfs.datanode.failed.volumes.tolerated");
    daemon_reload_hold(dn->daemon);
    int rc = dn_hotswap_start(dn->storage, &swap, err);
    if (rc != 0)
        on_swapped(dn, err, false);
    return 0;
}

/* From the outside in: no orders, no requests, no work, then the files and their lock. */
void datanode_release(void *state)
{
    struct datanode *dn = state;
    loop_timer_stop(&dn->patience);
    loop_timer_stop(&dn->goodbye);
    dn_namenode_close(dn->namenode);
    dn->namenode = NULL;
    dn_serve_close(dn->serve);
    dn_patrol_stop(dn->patrol);
    dn_census_stop(dn->census);
    dn_level_stop(dn->level);
    dn_twins_stop(dn->twins);
    workq_free(dn->disk_work);
    dn_patrol_free(dn->patrol);
    dn_census_free(dn->census);
    dn_level_free(dn->level);
    dn_twins_free(dn->twins);
    dn_storage_close(dn->storage);
    mem_free(dn->host);
    mem_free(dn);
}
