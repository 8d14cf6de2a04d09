/* SPDX-License-Identifier: Apache-2.0
 * layout: what a cluster on one machine consists of and where everything of it lies.
 *
 *   DIR/quern.conf           keys of all, for clients and daemons; includes site.conf, the user's
 * own DIR/conf/NAME.conf       one per daemon: includes quern.conf, then its own name, ports,
 * directories DIR/name DIR/jobs DIR/data/I DIR/work/I        what they store DIR/log/NAME.log
 * DIR/run/NAME.pid DIR/run/NAME.sock
 *
 * NAME is namenode, jobtracker, datanode1 ..., worker1 .... Datanode I and worker I share the node
 * name nodeI, so that locality means something. Ports go up from one base:
 *
 *   +0 namenode pages  +1 namenode  +2 jobtracker pages  +3 jobtracker
 *   +10 I: datanode pages  +10 I + 1 datanode  +10 I + 2 worker pages  +10 I + 3 worker
 *
 * The shape (how many, which base) is not kept in a file of its own: DIR/conf and quern.conf tell.
 */
#ifndef QUERN_CLIENT_UP_LAYOUT_H
#define QUERN_CLIENT_UP_LAYOUT_H

#include "libcommon/base/buf.h"

#define UP_NODES_MAX 64
#define UP_DIR_MAX   400
#define UP_PATH_MAX  512
#define UP_PORT_BASE 9870
#define UP_BASE_STEP 100
#define UP_DATANODES 3
#define UP_WORKERS   3
#define UP_SIGNATURE \
    "# Written by `quern up`" /* how quern.conf begins: what does not is not ours */

enum up_kind { UP_NAMENODE, UP_DATANODE, UP_JOBTRACKER, UP_WORKER };

struct up_daemon {
    enum up_kind kind;
    unsigned index; /* from 1; 0 for namenode and jobtracker */
};

struct up_layout {
    char dir[UP_DIR_MAX]; /* absolute */
    unsigned datanodes, workers, replication;
    unsigned port_base;
};

/* Absolute form of `dir` (NULL: ~/.local/share/quern), which need not exist; made, with the folders
 * below it and an empty site.conf, when `make`. ERR_EXIST when its quern.conf is somebody else's.
 */
int up_layout_open(struct up_layout *layout, const char *dir, bool make, struct err *err);
/* The shape found in an existing DIR; 0s where nothing is there yet. */
int up_layout_read(struct up_layout *layout, struct err *err);
/* Write quern.conf and each daemon's file, where they differ from what is there. */
int up_layout_write(const struct up_layout *layout, struct err *err);

/* All daemons in the order in which they are started: namenode, datanodes, jobtracker, workers. */
size_t up_daemon_count(const struct up_layout *layout);
struct up_daemon up_daemon_at(const struct up_layout *layout, size_t i);

char *up_daemon_name(struct up_daemon daemon, char out[32]); /* "datanode2" */
const char *up_daemon_program(struct up_daemon daemon);      /* "quern-datanode" */
unsigned up_daemon_port(const struct up_layout *layout, struct up_daemon daemon); /* its service */
unsigned up_daemon_http_port(const struct up_layout *layout, struct up_daemon daemon);
/* DIR/FOLDER/NAME.SUFFIX */
char *up_daemon_path(const struct up_layout *layout, struct up_daemon daemon, const char *folder,
                     const char *suffix, char out[UP_PATH_MAX]);

/* First and last port of the layout. */
unsigned up_last_port(const struct up_layout *layout);

#endif
