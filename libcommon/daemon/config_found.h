/* SPDX-License-Identifier: Apache-2.0
 * config_found: defaults that depend on the machine or on other keys. */
#ifndef QUERN_DAEMON_CONFIG_FOUND_H
#define QUERN_DAEMON_CONFIG_FOUND_H

#include "libcommon/base/conf.h"

/* Once everything else is set: node.name, worker.cores, worker.memory, and the one of fs.defaultFS
 * and dfs.namenode.rpc-address that is not set. ERR_CONFIG when fs.defaultFS is no URI. */
int config_found_defaults(struct conf *conf, struct err *err);

#endif
