/* SPDX-License-Identifier: Apache-2.0
 * admission: which datanodes may register, leave or rest: the files of dfs.hosts and
 * dfs.hosts.exclude (format: blocks/hosts.h), read at the start, by -refreshNodes and by a reload,
 * and applied to the nodes that are there. A file that cannot be read changes nothing. */
#ifndef QUERN_NAMENODE_SERVE_ADMISSION_H
#define QUERN_NAMENODE_SERVE_ADMISSION_H

#include "namenode/blocks/events.h"

struct nn_admission {
    struct nn_hosts hosts;
};

/* Read both files again; the names come from conf. On failure the old lines stay. */
int nn_admission_read(struct nn_admission *a, const struct conf *conf, struct err *err);
void nn_admission_release(struct nn_admission *a);

/* May this datanode register? ERR_ACCESS with the line for its log. */
int nn_admission_check(const struct nn_admission *a, const struct nn_address *address,
                       struct err *err);
/* Tell the block side what is wanted of a registered node. One that is refused counts as dead
 * from here on: the caller closes its connection. ERR_NOMEM. */
int nn_admission_apply(const struct nn_admission *a, struct nn_blocks *blocks, uint32_t node,
                       uint64_t now_ms);

#endif
