/* SPDX-License-Identifier: Apache-2.0
 * options: the table of every configuration key of the system. Hadoop's current name wherever one
 * exists, so that habits and -D flags carry over. One table for all programs, because one
 * quern.conf serves all of them: a datanode must be able to tell a namenode's key from a misspelt
 * one.
 *
 * To add a key: one row in the file of its subsystem (options_fs.c, options_job.c, options_node.c).
 */
#ifndef QUERN_DAEMON_OPTIONS_H
#define QUERN_DAEMON_OPTIONS_H

#include "libcommon/base/conf.h"

struct options_table {
    const struct conf_option *rows;
    size_t count;
};

extern const struct options_table options_fs;   /* fs.* dfs.*: names, blocks, journal */
extern const struct options_table options_job;  /* mapreduce.* job.* local.* */
extern const struct options_table options_node; /* node.* worker.* log.* listen trust ... */

/* Register all of it, and the names of Hadoop's that are known and mean nothing here. */
int options_register(struct conf *conf, struct err *err);

#endif
