/* SPDX-License-Identifier: Apache-2.0
 * hosts: what the operator wants of each datanode: the files of dfs.hosts (include) and
 * dfs.hosts.exclude, read by namenode/serve/admission and handed over as text.
 *
 *   include   one node a line. With at least one, every other node is refused.
 *   exclude   "NODE"                           is to be decommissioned
 *             "NODE maintenance [UNTIL-MS]"    is to rest; until a wall time in ms since 1970
 *
 * NODE is a node.name, a host, or host:port. "#" begins a comment. A node in both files is what
 * the exclude file says; one that is neither included nor excluded is refused, and so is one that
 * is excluded but not included. */
#ifndef QUERN_NN_BLOCKS_HOSTS_H
#define QUERN_NN_BLOCKS_HOSTS_H

#include "libcommon/base/hmap.h"
#include "namenode/blocks/nodes.h"

enum nn_wanted { NN_WANTED_IN_SERVICE, NN_WANTED_GONE, NN_WANTED_RESTING, NN_WANTED_REFUSED };

struct nn_hosts {
    struct hmap includes, excludes;
};
#define NN_HOSTS_INIT ((struct nn_hosts){HMAP_INIT, HMAP_INIT})

/* Adds the lines of a file. `path` names it in errors. 0, ERR_CONFIG or ERR_NOMEM: then release. */
int nn_hosts_include(struct nn_hosts *hosts, struct slice text, const char *path, struct err *err);
int nn_hosts_exclude(struct nn_hosts *hosts, struct slice text, const char *path, struct err *err);
void nn_hosts_release(struct nn_hosts *hosts);

/* *ret_until_ms: of NN_WANTED_RESTING, wall time; 0 = no end given. */
enum nn_wanted nn_hosts_wanted(const struct nn_hosts *hosts, const struct nn_address *address,
                               uint64_t *ret_until_ms);

#endif
