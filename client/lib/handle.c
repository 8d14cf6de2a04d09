/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/handle.h"

#include <unistd.h>

#include "client/lib/file.h"
#include "client/lib/mode.h"
#include "client/lib/patient.h"
#include "client/lib/uri.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/path.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"

#define DEAD_MS  30000
#define CALL_MIN 120000

const char *qn_error_name(int code)
{
    return err_name(code);
}

int64_t cl_edge(int64_t rc, const struct err *err, struct qn_error *error)
{
    if (!error)
        return rc;
    error->code = rc < 0 ? (int)rc : 0;
    if (rc < 0)
        snprintf(error->message, sizeof(error->message), "%s", err->msg);
    return rc;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
}

/* host:port of the URI given, or of the configured filesystem. */
static int find_address(struct qn_fs *fs, const struct conf *conf, const char *uri, struct err *err)
{
    char address[512];
    const char *text = uri && *uri ? uri : conf_str(conf, "fs.defaultFS");
    struct cl_uri parts;
    cl_uri_parse(slice_str(text), &parts);
    if (!cl_uri_is_ours(parts.scheme) || parts.authority.len == 0)
        return err_set(err, ERR_INVAL, "\"%s\" is no quern filesystem: quern://host:port is wanted",
                       text);
    int rc = cl_uri_address(parts.authority, address, sizeof(address), err);
    if (rc != 0)
        return rc;
    fs->address = str_dup(address);
    fs->uri = str_printf("quern://%s", address);
    return fs->address && fs->uri ? 0 : no_memory(err);
}

/* identity_init answers in static storage: one at a time, and copied. */
static int find_self(struct qn_fs *fs, const struct conf *conf, const char *user, struct err *err)
{
    static struct mutex once = MUTEX_INIT;
    const char *node = conf_str(conf, "node.name");
    mutex_lock(&once);
    identity_init(&fs->self, WIRE_CLIENT, *node ? node : NULL);
    fs->node = str_dup(fs->self.node);
    fs->boot = str_dup(fs->self.boot);
    fs->user = str_dup(user && *user ? user : fs->self.user);
    mutex_unlock(&once);
    if (!fs->node || !fs->boot || !fs->user)
        return no_memory(err);
    fs->self.node = fs->node;
    fs->self.boot = fs->boot;
    fs->self.user = fs->user;
    fs->home = str_printf("/user/%s", fs->user);
    return fs->home ? 0 : no_memory(err);
}

/* Over a socket the kernel says who calls: for somebody who calls himself otherwise it is of no
 * use. And it belongs to the configured namenode, not to any that a URI may name. */
static int find_socket(struct qn_fs *fs, const struct conf *conf, struct err *err)
{
    char kernel_user[HELLO_TEXT_MAX + 1], address[512];
    const char *path = conf_str(conf, "dfs.namenode.socket.path");
    struct cl_uri parts;
    if (!path || !*path ||
        strcmp(fs->user, identity_user_of(geteuid(), kernel_user, sizeof(kernel_user))) != 0)
        return 0;
    cl_uri_parse(slice_str(conf_str(conf, "fs.defaultFS")), &parts);
    if (parts.authority.len == 0 ||
        cl_uri_address(parts.authority, address, sizeof(address), NULL) != 0 ||
        strcmp(address, fs->address) != 0)
        return 0;
    fs->socket = str_dup(path);
    return fs->socket ? 0 : no_memory(err);
}

static enum cl_replace_policy replace_policy(const struct conf *conf)
{
    const char *name = conf_str(conf, "dfs.client.block.write.replace-datanode-on-failure.policy");
    if (!conf_bool(conf, "dfs.client.block.write.replace-datanode-on-failure.enable") ||
        strcmp(name, "NEVER") == 0)
        return CL_REPLACE_NEVER;
    return strcmp(name, "ALWAYS") == 0 ? CL_REPLACE_ALWAYS : CL_REPLACE_DEFAULT;
}

static int read_conf(struct qn_fs *fs, const struct conf *conf, struct err *err)
{
    const char *umask = conf_str(conf, "fs.permissions.umask-mode");
    if (cl_mode_parse_umask(umask, &fs->umask) != 0)
        return err_set(err, ERR_CONFIG, "fs.permissions.umask-mode: \"%s\" is no umask, as 022 is",
                       umask);
    if (conf_is_set(conf, "dfs.blocksize"))
        fs->block_size = conf_size(conf, "dfs.blocksize");
    if (conf_is_set(conf, "dfs.replication"))
        fs->replication = (uint32_t)conf_int(conf, "dfs.replication");
    fs->block_retries = (unsigned)conf_int(conf, "dfs.client.block.write.retries");
    fs->replace = replace_policy(conf);
    fs->replace_or_fail =
        !conf_bool(conf, "dfs.client.block.write.replace-datanode-on-failure.best-effort");
    fs->slow = (struct cl_lags_rule){
        .factor = (uint32_t)conf_int(conf, "dfs.client.slow.datanode.factor"),
        .min_ms = (uint32_t)conf_ms(conf, "dfs.client.slow.datanode.min"),
        .window_ms = (uint32_t)conf_ms(conf, "dfs.client.slow.datanode.window")};
    fs->timeout_ms = (uint32_t)conf_ms(conf, "dfs.client.socket-timeout");
    fs->short_circuit = conf_bool(conf, "dfs.client.read.shortcircuit");
    fs->hedge_max = (unsigned)conf_int(conf, "dfs.client.hedged.read.threadpool.size");
    fs->hedge_after_ms = (uint32_t)conf_ms(conf, "dfs.client.hedged.read.threshold.millis");
    fs->trash_ms = conf_ms(conf, "fs.trash.interval");
    uint64_t soft_ms = conf_ms(conf, "dfs.namenode.lease-soft-limit");
    uint64_t hard_ms = conf_ms(conf, "dfs.namenode.lease-hard-limit-sec");
    fs->renew.every_ms = (soft_ms < hard_ms ? soft_ms : hard_ms) / 3;
    return 0;
}

/* From now on it is this cluster: a namenode or a datanode of another one that answers in its
 * place, in the middle of a write or a read, is refused. */
static int bind_to_cluster(struct qn_fs *fs, struct err *err)
{
    fs->cluster = str_dup(chan_peer_cluster(fs->namenode.chan));
    fs->self.cluster = fs->cluster;
    return fs->cluster ? 0 : no_memory(err);
}

static int open_handle(struct qn_fs *fs, const struct conf *conf, const char *uri, const char *user,
                       struct err *err)
{
    int rc = find_address(fs, conf, uri, err);
    if (rc == 0)
        rc = find_self(fs, conf, user, err);
    if (rc == 0)
        rc = find_socket(fs, conf, err);
    if (rc == 0)
        rc = read_conf(fs, conf, err);
    if (rc != 0)
        return rc;
    uint64_t client_id;
    rand_secret(&client_id, sizeof(client_id));
    fs->namenode = (struct cl_namenode){
        .address = fs->address,
        .socket = fs->socket,
        .self = &fs->self,
        .client_id = client_id | 1, /* never 0 */
        .timeout_ms = fs->timeout_ms,
        .call_ms = fs->timeout_ms * 2 > CALL_MIN ? fs->timeout_ms * 2 : CALL_MIN,
    };
    fs->peers.timeout_ms = fs->timeout_ms;
    rc = cl_namenode_open(&fs->namenode, err);
    return rc == 0 ? bind_to_cluster(fs, err) : rc;
}

struct qn_fs *cl_fs_open(const struct conf *conf, const char *uri, const char *user,
                         struct qn_error *error)
{
    struct err err;
    struct qn_fs *fs = mem_calloc(1, sizeof(*fs));
    if (!fs) {
        cl_edge(no_memory(&err), &err, error);
        return NULL;
    }
    mutex_init(&fs->lock);
    list_init(&fs->files);
    list_init(&fs->closed);
    cl_peers_init(&fs->peers, &fs->self, 0);
    cl_rings_init(&fs->rings);
    cl_renew_init(&fs->renew, fs);
    fs->patient = cl_patient_new();
    int rc = fs->patient ? open_handle(fs, conf, uri, user, &err) : no_memory(&err);
    cl_edge(rc, &err, error);
    if (rc == 0)
        return fs;
    qn_fs_close(fs);
    return NULL;
}

static int define_options(const struct qn_fs_options *options, struct conf *conf, struct err *err)
{
    int rc = 0;
    for (const struct qn_option *o = options->options; rc == 0 && o && o->key; o++) {
        rc = cl_need(o->value, o->key, err);
        if (rc == 0)
            rc = conf_set(conf, o->key, o->value, CONF_FROM_DEFINE, err);
    }
    return rc;
}

struct qn_fs *qn_fs_open(const char *uri, const struct qn_fs_options *options,
                         struct qn_error *error)
{
    static const struct qn_fs_options none = {0};
    struct err err;
    struct conf *conf = NULL;
    struct qn_fs *fs = NULL;
    options = options ? options : &none;
    const struct config_args args = {.file = options->conf_file};
    int rc = config_open(&args, &conf, NULL, &err);
    if (rc == 0)
        rc = define_options(options, conf, &err);
    if (rc == 0)
        fs = cl_fs_open(conf, uri, options->user, error);
    else
        cl_edge(rc, &err, error);
    conf_free(conf);
    return fs;
}

void qn_fs_close(struct qn_fs *fs)
{
    if (!fs)
        return;
    while (!list_is_empty(&fs->files))
        cl_file_abandon(list_first(&fs->files, struct qn_file, link));
    while (!list_is_empty(&fs->closed))
        cl_file_forget(list_first(&fs->closed, struct qn_file, link));
    cl_renew_release(&fs->renew);
    cl_namenode_close(&fs->namenode);
    cl_peers_release(&fs->peers);
    cl_rings_release(&fs->rings);
    cl_patient_close(fs->patient);
    mutex_release(&fs->lock);
    mem_free(fs->address);
    mem_free(fs->socket);
    mem_free(fs->uri);
    mem_free(fs->user);
    mem_free(fs->home);
    mem_free(fs->node);
    mem_free(fs->boot);
    mem_free(fs->cluster);
    mem_free(fs);
}

const char *qn_uri(const struct qn_fs *fs)
{
    return fs ? fs->uri : NULL;
}

const char *qn_user(const struct qn_fs *fs)
{
    return fs ? fs->user : NULL;
}

const char *qn_home(const struct qn_fs *fs)
{
    return fs ? fs->home : NULL;
}

/* --- paths and nodes -------------------------------------------------------------------------- */

int cl_need(const void *given, const char *what, struct err *err)
{
    return given ? 0 : err_set(err, ERR_INVAL, "no %s was given", what);
}

/* A path that names a filesystem must name this one: the same name elsewhere is another file. */
static int check_authority(const struct qn_fs *fs, const char *path, const struct cl_uri *uri,
                           struct err *err)
{
    char address[512];
    if (!cl_uri_is_ours(uri->scheme) || uri->authority.len == 0)
        return 0;
    int rc = cl_uri_address(uri->authority, address, sizeof(address), err);
    if (rc == 0 && strcmp(address, fs->address) != 0)
        rc = err_set(err, ERR_INVAL, "Wrong FS: %s, expected: %s", path, fs->uri);
    return rc;
}

int cl_path(struct qn_fs *fs, const char *path, struct buf *out, struct err *err)
{
    struct cl_uri uri;
    if (cl_need(fs, "filesystem", err) != 0 || cl_need(path, "path", err) != 0)
        return ERR_INVAL;
    cl_uri_parse(slice_str(path), &uri);
    if (check_authority(fs, path, &uri, err) != 0)
        return ERR_INVAL;
    struct slice rest = cl_uri_is_ours(uri.scheme) ? uri.path : slice_str(path);
    if (rest.len == 0 && uri.scheme.len)
        rest = slice_str(".");
    int rc = path_normalise(slice_str(fs->home), rest, out);
    if (rc == ERR_NOMEM)
        return no_memory(err);
    if (rc != 0)
        return err_set(err, rc, "`%s': is no path", path);
    return 0;
}

bool cl_is_local(const struct qn_fs *fs, const struct msg_node *node)
{
    return fs->short_circuit && node->socket.len && fs->self.netns &&
           node->netns == fs->self.netns && node->boot_id.len &&
           slice_is(node->boot_id, fs->boot) && slice_is(node->name, fs->node);
}

void cl_mark_dead(struct qn_fs *fs, struct slice node)
{
    mutex_lock(&fs->lock);
    fs->dead[fs->dead_at++ % CL_DEAD_MAX] =
        (struct cl_dead){slice_hash(node, 0), clock_mono_ms() + DEAD_MS};
    mutex_unlock(&fs->lock);
}

bool cl_is_dead(struct qn_fs *fs, struct slice node)
{
    uint64_t hash = slice_hash(node, 0), now_ms = clock_mono_ms();
    bool is_dead = false;
    mutex_lock(&fs->lock);
    for (unsigned i = 0; !is_dead && i < CL_DEAD_MAX; i++)
        is_dead = fs->dead[i].node == hash && fs->dead[i].until_ms > now_ms;
    mutex_unlock(&fs->lock);
    return is_dead;
}
