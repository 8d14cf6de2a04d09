/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/conf.h"

void nn_blocks_conf_init(struct nn_blocks_conf *conf)
{
    *conf = (struct nn_blocks_conf){
        .heartbeat_ms = 3000,
        .recheck_ms = 300 * 1000,
        .stale_ms = 30 * 1000,
        .report_ms = 6 * 3600 * 1000,
        .consider_load = true,
        .load_factor = 2.0,
        .streams_soft = 2,
        .streams_hard = 4,
        .work_multiplier = 2,
        .redundancy_ms = 3000,
        .pending_ms = 300 * 1000,
        .delete_batch = 1000,
        .leaving_ms = 3000,
        .maintenance_min = 1,
        .balance_moves = 10,
        .balance_min_bytes = 10 << 20,
        .balance_max_bytes = 10ULL << 30,
        .settle_ms = 30 * 1000,
        .lag_ms = 600 * 1000,
        .recover_ms = 30 * 1000,
        .safemode_ppm = 999000,
        .safemode_extension_ms = 30 * 1000,
    };
}

void nn_blocks_conf_read(struct nn_blocks_conf *ret, const struct conf *conf)
{
    nn_blocks_conf_init(ret);
    ret->heartbeat_ms = conf_ms(conf, "dfs.heartbeat.interval");
    ret->recheck_ms = conf_ms(conf, "dfs.namenode.heartbeat.recheck-interval");
    ret->stale_ms = conf_ms(conf, "dfs.namenode.stale.datanode.interval");
    ret->report_ms = conf_ms(conf, "dfs.blockreport.intervalMsec");
    ret->avoid_stale_write = conf_bool(conf, "dfs.namenode.avoid.write.stale.datanode");
    ret->avoid_stale_read = conf_bool(conf, "dfs.namenode.avoid.read.stale.datanode");
    ret->consider_load = conf_bool(conf, "dfs.namenode.redundancy.considerLoad");
    ret->load_factor = conf_number(conf, "dfs.namenode.redundancy.considerLoad.factor");
    ret->streams_soft = (uint32_t)conf_int(conf, "dfs.namenode.replication.max-streams");
    ret->streams_hard = (uint32_t)conf_int(conf, "dfs.namenode.replication.max-streams-hard-limit");
    ret->work_multiplier =
        (uint32_t)conf_int(conf, "dfs.namenode.replication.work.multiplier.per.iteration");
    ret->redundancy_ms = conf_ms(conf, "dfs.namenode.redundancy.interval.seconds");
    ret->pending_ms = conf_ms(conf, "dfs.namenode.reconstruction.pending.timeout-sec");
    ret->delete_batch = (uint32_t)conf_int(conf, "dfs.block.invalidate.limit");
    ret->leaving_ms = conf_ms(conf, "dfs.namenode.decommission.interval");
    ret->maintenance_min = (uint32_t)conf_int(conf, "dfs.namenode.maintenance.replication.min");
    ret->balance_moves = (uint32_t)conf_int(conf, "dfs.datanode.balance.max.concurrent.moves");
    ret->balance_min_bytes = conf_size(conf, "dfs.balancer.getBlocks.min-block-size");
    ret->balance_max_bytes = conf_size(conf, "dfs.balancer.max-size-to-move");
    ret->settle_ms = conf_ms(conf, "dfs.namenode.redundancy.settle");
    ret->safemode_ppm =
        (uint32_t)(conf_number(conf, "dfs.namenode.safemode.threshold-pct") * 1e6 + 0.5);
    ret->safemode_nodes = (uint32_t)conf_int(conf, "dfs.namenode.safemode.min.datanodes");
    ret->safemode_extension_ms = conf_ms(conf, "dfs.namenode.safemode.extension");
}

uint64_t nn_blocks_conf_dead_ms(const struct nn_blocks_conf *conf)
{
    return 2 * conf->recheck_ms + 10 * conf->heartbeat_ms;
}
