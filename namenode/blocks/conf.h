/* SPDX-License-Identifier: Apache-2.0
 * conf: the numbers the block side of the namenode runs by; Hadoop's key beside each. */
#ifndef QUERN_NN_BLOCKS_CONF_H
#define QUERN_NN_BLOCKS_CONF_H

#include "libcommon/base/conf.h"

struct nn_blocks_conf {
    uint64_t heartbeat_ms;      /* dfs.heartbeat.interval */
    uint64_t recheck_ms;        /* dfs.namenode.heartbeat.recheck-interval */
    uint64_t stale_ms;          /* dfs.namenode.stale.datanode.interval */
    uint64_t report_ms;         /* dfs.blockreport.intervalMsec */
    bool avoid_stale_write;     /* dfs.namenode.avoid.write.stale.datanode */
    bool avoid_stale_read;      /* dfs.namenode.avoid.read.stale.datanode */
    bool consider_load;         /* dfs.namenode.redundancy.considerLoad */
    double load_factor;         /* dfs.namenode.redundancy.considerLoad.factor */
    uint32_t streams_soft;      /* dfs.namenode.replication.max-streams */
    uint32_t streams_hard;      /* dfs.namenode.replication.max-streams-hard-limit */
    uint32_t work_multiplier;   /* dfs.namenode.replication.work.multiplier.per.iteration */
    uint64_t redundancy_ms;     /* dfs.namenode.redundancy.interval.seconds */
    uint64_t pending_ms;        /* dfs.namenode.reconstruction.pending.timeout-sec */
    uint32_t delete_batch;      /* dfs.block.invalidate.limit */
    uint64_t leaving_ms;        /* dfs.namenode.decommission.interval */
    uint32_t maintenance_min;   /* dfs.namenode.maintenance.replication.min */
    uint32_t balance_moves;     /* dfs.datanode.balance.max.concurrent.moves */
    uint64_t balance_min_bytes; /* dfs.balancer.getBlocks.min-block-size */
    uint64_t balance_max_bytes; /* dfs.balancer.max-size-to-move */
    uint64_t settle_ms;      /* dfs.namenode.redundancy.settle: no copies so long after the start */
    uint64_t lag_ms;         /* a replica still open so long after its block was completed is bad */
    uint64_t recover_ms;     /* first time-out of a block recovery; doubles up to 16 times it */
    uint32_t safemode_ppm;   /* dfs.namenode.safemode.threshold-pct, in millionths */
    uint32_t safemode_nodes; /* dfs.namenode.safemode.min.datanodes */
    uint64_t safemode_extension_ms; /* dfs.namenode.safemode.extension */
};

/* The defaults of a real cluster, and the same from the configuration. */
void nn_blocks_conf_init(struct nn_blocks_conf *conf);
void nn_blocks_conf_read(struct nn_blocks_conf *ret, const struct conf *conf);
/* A node not heard of for so long is dead: 2 * recheck + 10 * heartbeat. */
uint64_t nn_blocks_conf_dead_ms(const struct nn_blocks_conf *conf);

#endif
