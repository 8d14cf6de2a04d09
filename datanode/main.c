/* SPDX-License-Identifier: Apache-2.0
 * quern-datanode: blocks on disks. See DESIGN.md. */
#include "datanode/datanode.h"

static const struct daemon_flag flags[] = {
    {"data", "DIR[,DIR...]", "where blocks are kept, best one directory per disk",
     "dfs.datanode.data.dir", NULL},
    {"listen", "HOST:PORT", "where it serves blocks", "dfs.datanode.address", NULL},
};

static const struct daemon_desc desc = {
    .name = "quern-datanode",
    .about = "keeps blocks on disks, and serves them",
    .role = "datanode",
    .http_key = "dfs.datanode.http.address",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .start = datanode_start,
    .release = datanode_release,
    .reload = datanode_reload,
    .status = datanode_status,
};

int main(int argc, char **argv)
{
    return daemon_main(&desc, argc, argv);
}
