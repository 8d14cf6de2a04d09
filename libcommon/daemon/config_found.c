/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/config_found.h"

#include <inttypes.h>
#include <sched.h>
#include <unistd.h>

#include "libcommon/base/str.h"
#include "libcommon/daemon/cgroup.h"

#define NAMENODE_PORT 8020
#define MEGABYTE      ((uint64_t)1 << 20)

static int find_node_name(struct conf *conf, struct err *err)
{
    char name[256] = "";
    if (gethostname(name, sizeof(name) - 1) != 0 || !*name)
        return err_set(err, ERR_CONFIG, "this machine has no host name: set node.name");
    return conf_set(conf, "node.name", name, CONF_COMPUTED("host name"), err);
}

static int find_cores(struct conf *conf, struct err *err)
{
    char text[32];
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    snprintf(text, sizeof(text), "%d", n);
    return conf_set(conf, "worker.cores", text, CONF_COMPUTED("cores of this machine"), err);
}

static int find_memory(struct conf *conf, struct err *err)
{
    char text[32];
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 1024 * MEGABYTE;
    struct cgroup group;
    if (conf_is_set(conf, "worker.memory")) /* a dozen files need not be looked into */
        return 0;
    cgroup_find("memory", &group);
    uint64_t limit = cgroup_memory_limit(&group);
    if (limit < bytes)
        bytes = limit;
    /* Three for tasks, one for the map outputs they leave; a quarter is the datanode's and all
     * else's. */
    snprintf(text, sizeof(text), "%" PRIu64 "m", bytes / 16 * 9 / MEGABYTE);
    return conf_set(conf, "worker.memory", text, CONF_COMPUTED("nine sixteenths of the memory"),
                    err);
}

/* quern://host[:port][/...] or hdfs://...: "host:port" into out; false for other schemes. */
static bool namenode_of(const char *uri, char *out, size_t cap)
{
    const char *schemes[] = {"quern://", "hdfs://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(uri, schemes[i], n) != 0)
            continue;
        int len = (int)strcspn(uri + n, "/");
        const char *colon = memrchr(uri + n, ':', (size_t)len);
        bool has_port = colon && !memchr(colon, ']', (size_t)(uri + n + len - colon));
        if (has_port)
            snprintf(out, cap, "%.*s", len, uri + n);
        else
            snprintf(out, cap, "%.*s:%d", len, uri + n, NAMENODE_PORT);
        return len > 0;
    }
    return false;
}

static int follow_default_fs(struct conf *conf, struct err *err)
{
    const char *uri = conf_str(conf, "fs.defaultFS");
    char address[300];
    if (!strstr(uri, "://"))
        return err_set(err, ERR_CONFIG, "fs.defaultFS = \"%s\": want quern://host:port", uri);
    if (!namenode_of(uri, address, sizeof(address)))
        snprintf(address, sizeof(address), "127.0.0.1:%d", NAMENODE_PORT);
    return conf_set(conf, "dfs.namenode.rpc-address", address, CONF_COMPUTED("from fs.defaultFS"),
                    err);
}

static int follow_rpc_address(struct conf *conf, struct err *err)
{
    char uri[320];
    snprintf(uri, sizeof(uri), "quern://%s", conf_str(conf, "dfs.namenode.rpc-address"));
    return conf_set(conf, "fs.defaultFS", uri, CONF_COMPUTED("from dfs.namenode.rpc-address"), err);
}

int config_found_defaults(struct conf *conf, struct err *err)
{
    int rc = find_node_name(conf, err);
    if (rc == 0)
        rc = find_cores(conf, err);
    if (rc == 0)
        rc = find_memory(conf, err);
    if (rc == 0)
        rc = conf_is_set(conf, "dfs.namenode.rpc-address") && !conf_is_set(conf, "fs.defaultFS")
                 ? follow_rpc_address(conf, err)
                 : follow_default_fs(conf, err);
    return rc;
}
