/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/reducers.h"

bool reducers_start_early(const struct conf *conf)
{
    const char *key = "mapreduce.job.reduce.slowstart.completedmaps";
    return conf_is_set(conf, key) && conf_number(conf, key) < 1;
}

static uint32_t by_size(uint64_t bytes)
{
    uint64_t n = bytes / REDUCER_BYTES + (bytes % REDUCER_BYTES != 0);
    return (uint32_t)(n < 1 ? 1 : n > REDUCERS_AUTO_MAX ? REDUCERS_AUTO_MAX : n);
}

static bool may_pack(const struct task_probe *probe, const struct reducers_wish *wish)
{
    return !probe->has_partition && !probe->has_compare && !probe->has_group && !wish->starts_early;
}

int reducers_check(const struct task_probe *probe, int64_t said, struct err *err)
{
    if (said != 0 || !probe->needs_reduce || probe->then.n > 0) /* a chain has them anyway */
        return 0;
    return err_set(err, ERR_USAGE,
                   "-reduces 0: what the maps of " SLICE_FMT " emit is for its reduce alone: leave "
                   "it out, or give 1 or more",
                   SLICE_ARG(probe->name));
}

struct cl2jt_shuffle reducers_choose(const struct task_probe *probe,
                                     const struct reducers_wish *wish)
{
    int64_t said = wish->said < 0 && probe->default_reducers ? probe->default_reducers : wish->said;
    uint32_t n = said < 0 ? by_size(wish->input_bytes) : (uint32_t)said;
    uint32_t factor = probe->has_ranges ? REDUCERS_RANGE_FACTOR : REDUCERS_HASH_FACTOR;
    /* To cut one range of keys into eight, for one reducer to put together, takes a sample. */
    bool is_one = n == 1 && (said >= 0 || probe->has_ranges);
    if (!probe->has_reduce || n == 0)
        return (struct cl2jt_shuffle){0};
    if (!may_pack(probe, wish) || is_one || n > REDUCERS_PACKED_MAX / factor)
        return (struct cl2jt_shuffle){.partitions = n, .reduces = n};
    return (struct cl2jt_shuffle){.partitions = n * factor,
                                  .reduces = said < 0 ? 0 : n,
                                  .packing =
                                      probe->has_ranges ? CL2JT_PACK_IN_ORDER : CL2JT_PACK_EVENLY,
                                  .reduce_bytes = REDUCER_BYTES};
}

static struct task_probe probe_of(const struct task_probe_stage *stage)
{
    return (struct task_probe){.has_reduce = true,
                               .has_partition = stage->has_partition,
                               .has_compare = stage->has_compare,
                               .has_group = stage->has_group,
                               .default_reducers = stage->default_reducers};
}

size_t reducers_choose_all(const struct task_probe *probe, const struct reducers_wish *wish,
                           struct cl2jt_shuffle ret[TASK_SHUFFLES_MAX])
{
    size_t more = probe->then.n < TASK_SHUFFLES_MAX ? probe->then.n : TASK_SHUFFLES_MAX - 1;
    for (size_t i = 0; i <= more; i++) {
        struct reducers_wish own = *wish;
        struct task_probe stage = i ? probe_of(&probe->then.v[i - 1]) : *probe;
        if (i < more || (more > 0 && own.said == 0)) /* a chain cannot do without */
            own.said = -1;
        ret[i] = reducers_choose(&stage, &own);
    }
    return ret[0].partitions > 0 ? more + 1 : 0;
}
