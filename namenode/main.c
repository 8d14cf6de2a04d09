/* SPDX-License-Identifier: Apache-2.0
 * quern-namenode: names -> blocks -> places. See DESIGN.md. */
#include "namenode/life.h"

static const struct daemon_flag flags[] = {
    {"format", NULL, "make the name directories, empty, and exit", NULL, namenode_format},
    {"recover", NULL,
     "tell what is damaged in the name directories; go on from what is whole, if told so", NULL,
     namenode_recover},
    {"bootstrap", "HOST:PORT",
     "make the name directories a copy of that running namenode's image and log, and exit", NULL,
     namenode_bootstrap},
    {"force", NULL,
     "with -format, -bootstrap: also over an existing filesystem; with -recover: do not ask", NULL,
     NULL},
    {"clusterid", "ID", "with -format: the cluster's name, instead of a random one", NULL, NULL},
    {"dir", "DIR", "where journal and images are kept", "dfs.namenode.name.dir", NULL},
    {"listen", "HOST:PORT", "where clients and datanodes find it", "dfs.namenode.rpc-address",
     NULL},
};

static const struct daemon_desc desc = {
    .name = "quern-namenode",
    .about = "knows which blocks make up which file, and where they are",
    .role = "namenode",
    .http_key = "dfs.namenode.http-address",
    .flags = flags,
    .flag_count = ARRAY_LEN(flags),
    .start = namenode_start,
    .stop = namenode_stop,
    .release = namenode_release,
    .reload = namenode_reload,
    .status = namenode_status,
    .measure = namenode_measure,
};

int main(int argc, char **argv)
{
    return daemon_main(&desc, argc, argv);
}
