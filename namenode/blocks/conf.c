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
        .settle_ms = 30 * 1000,
        .lag_ms = 600 * 1000,
        .recover_ms = 30 * 1000,
        .default_block_size = 128ULL << 20,
        .safemode_ppm = 999000,
        .safemode_extension_ms = 30 * 1000,
    };
}

uint64_t nn_blocks_conf_dead_ms(const struct nn_blocks_conf *conf)
{
    return 2 * conf->recheck_ms + 10 * conf->heartbeat_ms;
}
