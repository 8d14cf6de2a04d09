/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/admission.h"

#include "libcommon/base/clock.h"
#include "libcommon/store/fsutil.h"

#define FILE_MAX_BYTES (16U << 20)

typedef int lines_fn(struct nn_hosts *hosts, struct slice text, const char *path, struct err *err);

static int read_file(const struct conf *conf, const char *key, lines_fn *lines,
                     struct nn_hosts *hosts, struct err *err)
{
    const char *path = conf_str(conf, key);
    struct buf text = BUF_INIT;
    if (!path || !path[0])
        return 0;
    int rc = fsutil_read_all(disk_real(), path, FILE_MAX_BYTES, &text, err);
    if (rc == 0)
        rc = lines(hosts, buf_slice(&text), path, err);
    buf_release(&text);
    return rc == 0 ? 0 : err_wrap(err, "%s", key);
}

int nn_admission_read(struct nn_admission *a, const struct conf *conf, struct err *err)
{
    struct nn_hosts hosts = NN_HOSTS_INIT;
    int rc = read_file(conf, "dfs.hosts", nn_hosts_include, &hosts, err);
    if (rc == 0)
        rc = read_file(conf, "dfs.hosts.exclude", nn_hosts_exclude, &hosts, err);
    if (rc < 0) {
        nn_hosts_release(&hosts);
        return rc;
    }
    nn_hosts_release(&a->hosts);
    a->hosts = hosts;
    return 0;
}

void nn_admission_release(struct nn_admission *a)
{
    nn_hosts_release(&a->hosts);
}

int nn_admission_check(const struct nn_admission *a, const struct nn_address *address,
                       struct err *err)
{
    uint64_t until_ms = 0;
    if (nn_hosts_wanted(&a->hosts, address, &until_ms) != NN_WANTED_REFUSED)
        return 0;
    return err_set(err, ERR_ACCESS,
                   "Datanode denied communication with namenode because the host is not in the "
                   "include-list (dfs.hosts): " SLICE_FMT " (" SLICE_FMT ":%u)",
                   SLICE_ARG(address->name), SLICE_ARG(address->host), address->data_port);
}

int nn_admission_apply(const struct nn_admission *a, struct nn_blocks *blocks, uint32_t node,
                       uint64_t now_ms)
{
    uint64_t until_ms = 0, wall_ms = clock_wall_ms();
    const struct nn_node *n = nn_nodes_get(&blocks->nodes, node);
    enum nn_wanted wanted = nn_hosts_wanted(&a->hosts, &n->address, &until_ms);
    if (wanted == NN_WANTED_RESTING && until_ms && until_ms <= wall_ms)
        wanted = NN_WANTED_IN_SERVICE; /* that rest is over */
    uint64_t mono_ms = until_ms ? now_ms + (until_ms - wall_ms) : 0;
    return nn_blocks_want(blocks, node, wanted, mono_ms, now_ms);
}
