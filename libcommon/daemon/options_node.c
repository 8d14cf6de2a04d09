/* SPDX-License-Identifier: Apache-2.0
 * Keys of a node and its daemons: name, addresses, trust, log, worker resources. In order of key.
 */
#include "libcommon/daemon/options.h"

#define MEGABYTES (1 << 20)

static const struct conf_option rows[] = {
    {"admin.socket", CONF_STRING, NULL,
     "unix socket of the admin console; default: /run/quern/<daemon>.sock where that can be made"},
    {"advertise", CONF_STRING, NULL,
     "host others are told to reach this node's daemons at; default: as configured",
     .alias = "dfs.datanode.hostname"},
    {"conf.file", CONF_STRING, NULL, "the configuration file that was read"},
    {"listen", CONF_STRING, NULL,
     "host all of this node's daemons listen on, whatever their address keys say"},
    {"log.file", CONF_STRING, NULL, "a daemon's log; default: stderr", .env = "QUERN_LOG_FILE"},
    {"log.keep", CONF_INT, "5", "rotated log files kept; 0 = never rotate", .min = "0",
     .max = "1000"},
    {"log.level", CONF_CHOICE, "info", "least important lines that are logged",
     .choices = "debug info warn error", .env = "QUERN_LOG_LEVEL", .flags = CONF_RELOAD},
    {"log.max.size", CONF_SIZE, "100m", "a log file is rotated at this size", .min = "64k"},
    {"node.name", CONF_STRING, NULL,
     "this node's identity in placement, racks and locality; default: host name"},
    {"node.rack", CONF_STRING, "/default-rack", "the rack this node stands in, for placing tasks"},
    {"stop.timeout", CONF_TIME, "10s", "a daemon told to stop ends after so long at the latest",
     .flags = CONF_RELOAD},
    {"trust", CONF_CHOICE, "local",
     "network = believe every machine that can reach us; local = only this one",
     .choices = "local network"},
    {"user", CONF_STRING, NULL, "a daemon started as root becomes this user"},
    {"worker.address", CONF_ADDRESS, "127.0.0.1:8040", "where a worker hands out map outputs"},
    {"worker.cores", CONF_INT, NULL, "cores for tasks; default: all of this machine",
     .alias = "yarn.nodemanager.resource.cpu-vcores"},
    {"worker.heartbeat.interval", CONF_TIME, "1s", "how often a worker tells how its tasks fare",
     .min = "50ms"},
    {"worker.http.address", CONF_ADDRESS, "127.0.0.1:8042", "a worker's status pages"},
    {"worker.local.dir", CONF_LIST, "/var/lib/quern/work",
     "directories for task files, best one per disk",
     .alias = "mapreduce.cluster.local.dir mapred.local.dir yarn.nodemanager.local-dirs"},
    {"worker.log.limit", CONF_SIZE, "16m",
     "of what an attempt prints; beyond it the oldest goes, the end stays", .min = "64k"},
    {"worker.log.retain", CONF_TIME, "3d", "logs of finished tasks stay on the node for so long"},
    {"worker.memory", CONF_SIZE, NULL,
     "memory for tasks; default: nine sixteenths of what the machine, or the control group, has",
     .unit = MEGABYTES, .alias = "yarn.nodemanager.resource.memory-mb"},
    {"worker.output.memory", CONF_SIZE, NULL,
     "memory for map outputs until they are fetched, beside that; beyond it they go to files; "
     "default: a third of worker.memory",
     .unit = MEGABYTES},
    {"worker.output.memory.keep", CONF_TIME, "5m",
     "how long memory that held map outputs is kept when their job is over, for those of the same "
     "user's next jobs: getting it anew costs more than writing to it; 0 = not at all"},
    {"worker.runners.blank", CONF_INT, "-1",
     "task processes that wait for the next job, once there has been one; -1 = as many as cores, "
     "at most 8",
     .min = "-1", .max = "1000"},
    {"worker.task.limit", CONF_CHOICE, "auto",
     "how tasks are kept to their memory: auto = in control groups, where this machine has them; "
     "poll = by looking at it",
     .choices = "auto poll"},
    {"worker.task.user", CONF_STRING, NULL,
     "user of tasks whose submitter has no account here, when the worker runs as root"},
};

const struct options_table options_node = {rows, ARRAY_LEN(rows)};
