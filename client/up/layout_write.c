/* SPDX-License-Identifier: Apache-2.0
 * The configuration files of a local cluster. Rewritten at each `quern up`, when they differ: what
 * the user wants kept goes into site.conf. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/up/layout.h"
#include "libcommon/daemon/cgroup.h"
#include "libcommon/store/fsutil.h"

#define FILE_MAX_BYTES    (64 << 10)
#define WORKER_MEMORY_MIN ((uint64_t)1 << 30)
#define SOCKET_PATH_MAX   107 /* of a unix socket */

/* ---- quern.conf ---- */

static struct up_daemon first_datanode(void)
{
    return (struct up_daemon){UP_DATANODE, 1};
}

/* Short circuit to the datanode of `index`; none when DIR is too deep for a socket's name. */
static void print_data_socket(const struct up_layout *layout, unsigned index, struct buf *out)
{
    char path[UP_PATH_MAX];
    struct up_daemon datanode = {UP_DATANODE, index <= layout->datanodes ? index : 1};
    up_daemon_path(layout, datanode, "run", "data", path);
    if (strlen(path) <= SOCKET_PATH_MAX)
        buf_printf(out, "dfs.domain.socket.path = %s\n", path);
}

static void print_common(const struct up_layout *layout, struct buf *out)
{
    const struct up_daemon nn = {UP_NAMENODE, 0}, jt = {UP_JOBTRACKER, 0};
    unsigned port = up_daemon_port(layout, nn);
    buf_append_str(out, UP_SIGNATURE
                   ", and again when it is asked for another shape.\n"
                   "# Keys of your own go into site.conf beside this file: they win.\n\n");
    buf_printf(out, "fs.defaultFS = quern://127.0.0.1:%u\n", port);
    buf_printf(out, "dfs.namenode.rpc-address = 127.0.0.1:%u\n", port);
    buf_printf(out, "dfs.namenode.http-address = 127.0.0.1:%u\n", up_daemon_http_port(layout, nn));
    buf_printf(out, "mapreduce.jobtracker.address = 127.0.0.1:%u\n", up_daemon_port(layout, jt));
    buf_printf(out, "mapreduce.jobtracker.http.address = 127.0.0.1:%u\n",
               up_daemon_http_port(layout, jt));
    buf_printf(out, "dfs.replication = %u\n", layout->replication);
    buf_append_str(out, "\n# a client reads and writes as if it were on the first node\n"
                        "node.name = node1\n");
    print_data_socket(layout, first_datanode().index, out);
    buf_append_str(out, "\ninclude = site.conf\n");
}

/* ---- one daemon's file ---- */

/* Cores and memory are dealt out evenly: every worker thinking it has the whole machine would make
 * the first job swap. */
static void print_worker_share(const struct up_layout *layout, struct buf *out)
{
    cpu_set_t set;
    unsigned cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    struct cgroup group;
    cgroup_find("memory", &group);
    if (cgroup_memory_limit(&group) < memory)
        memory = cgroup_memory_limit(&group);
    uint64_t share = memory / 16 * 9 / layout->workers; /* as of a worker alone */
    if (share < WORKER_MEMORY_MIN)
        share = WORKER_MEMORY_MIN;
    unsigned each = (cores + layout->workers - 1) / layout->workers;
    buf_printf(out, "worker.cores = %u\nworker.memory = %" PRIu64 "m\n", each, share >> 20);
}

static void print_own(const struct up_layout *layout, struct up_daemon daemon, struct buf *out)
{
    const char *dir = layout->dir;
    unsigned port = up_daemon_port(layout, daemon), http = up_daemon_http_port(layout, daemon);
    switch (daemon.kind) {
    case UP_NAMENODE:
        buf_printf(out, "node.name = namenode\ndfs.namenode.name.dir = %s/name\n", dir);
        buf_append_str(out, "# no other machine's blocks are awaited here\n"
                            "dfs.namenode.safemode.extension = 0\n");
        break;
    case UP_JOBTRACKER:
        buf_printf(out, "node.name = jobtracker\njobtracker.dir = %s/jobs\n", dir);
        break;
    case UP_DATANODE:
        buf_printf(out, "node.name = node%u\ndfs.datanode.data.dir = %s/data/%u\n", daemon.index,
                   dir, daemon.index);
        buf_printf(out, "dfs.datanode.address = 127.0.0.1:%u\n", port);
        buf_printf(out, "dfs.datanode.http.address = 127.0.0.1:%u\n", http);
        print_data_socket(layout, daemon.index, out);
        break;
    case UP_WORKER:
        buf_printf(out, "node.name = node%u\nworker.local.dir = %s/work/%u\n", daemon.index, dir,
                   daemon.index);
        buf_printf(out, "worker.address = 127.0.0.1:%u\n", port);
        buf_printf(out, "worker.http.address = 127.0.0.1:%u\n", http);
        print_data_socket(layout, daemon.index, out);
        break;
    }
}

static void print_daemon(const struct up_layout *layout, struct up_daemon daemon, struct buf *out)
{
    char path[UP_PATH_MAX];
    buf_append_str(out, "# written by `quern up`\n");
    if (daemon.kind == UP_WORKER)
        print_worker_share(layout, out); /* unless site.conf says otherwise, which wins */
    buf_append_str(out, "include = ../quern.conf\n");
    print_own(layout, daemon, out);
    buf_printf(out, "log.file = %s\n", up_daemon_path(layout, daemon, "log", "log", path));
    up_daemon_path(layout, daemon, "run", "sock", path);
    if (strlen(path) <= SOCKET_PATH_MAX)
        buf_printf(out, "admin.socket = %s\n", path);
}

/* ---- writing ---- */

/* Nothing in it is a secret, and tasks that run as other users read it, as their clients do. */
static int let_all_read(const char *path, struct err *err)
{
    return chmod(path, 0644) == 0 ? 0 : err_errno(err, errno, "cannot let others read %s", path);
}

static int write_if_changed(const char *path, struct buf *text, struct err *err)
{
    struct disk *disk = disk_real();
    struct buf old = BUF_INIT;
    int rc = 0;
    bool is_same = fsutil_read_all(disk, path, FILE_MAX_BYTES, &old, NULL) == 0 &&
                   slice_eq(buf_slice(&old), buf_slice(text));
    if (buf_failed(text))
        rc = err_set(err, ERR_NOMEM, "out of memory");
    else if (!is_same)
        rc = fsutil_write_all(disk, path, buf_slice(text), err);
    if (rc == 0)
        rc = let_all_read(path, err);
    buf_release(&old);
    buf_clear(text);
    return rc;
}

int up_layout_write(const struct up_layout *layout, struct err *err)
{
    struct buf text = BUF_INIT;
    char path[UP_PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/quern.conf", layout->dir);
    print_common(layout, &text);
    int rc = write_if_changed(path, &text, err);
    for (size_t i = 0; i < up_daemon_count(layout) && rc == 0; i++) {
        struct up_daemon daemon = up_daemon_at(layout, i);
        print_daemon(layout, daemon, &text);
        rc = write_if_changed(up_daemon_path(layout, daemon, "conf", "conf", path), &text, err);
    }
    buf_release(&text);
    return rc;
}
