/* SPDX-License-Identifier: Apache-2.0
 * reducers: how the output of maps is cut, and who reduces what. Pure, and a function of the
 * input's size and of settings only, so that the same job cuts the same way on any cluster.
 *
 * Nobody has to guess how many reducers a job needs: maps cut their output into more partitions
 * than there will be reducers, and when the maps are done the partitions are packed (base/bins) by
 * the bytes that really came, a reducer for each REDUCER_BYTES of them. Where somebody says N there
 * are N, of partitions packed evenly.
 *
 * A job's own .partition, .compare or .group says what belongs together, and N partitions are what
 * it is told: there each partition is a reducer's, and without an N their number follows the size
 * of the input. The same where a job wants reducers to fetch before its maps are done (a slow start
 * below 1 of its own): what they get must be known then. And for one reducer, of course. */
#ifndef QUERN_CLIENT_REDUCERS_H
#define QUERN_CLIENT_REDUCERS_H

#include "libcommon/base/conf.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/proto/task/probe.h"

#define REDUCER_BYTES     (UINT64_C(256) << 20)
#define REDUCERS_AUTO_MAX 1000
#define REDUCERS_PACKED_MAX                                                                    \
    65536U                       /* partitions: where N wants more than these, each is its own \
                                  */
#define REDUCERS_HASH_FACTOR  4U /* each costs a sorted stretch more to merge */
#define REDUCERS_RANGE_FACTOR 8U /* ranges follow one another and cost nothing */

struct reducers_wish {
    int64_t said;         /* how many; -1 = nobody did */
    uint64_t input_bytes; /* of the job */
    bool starts_early;    /* it says itself that reducers are to fetch before all maps are done */
};

bool reducers_start_early(const struct conf *conf);

/* May a job have so many? ERR_USAGE: it needs a reduce, and is to have none. */
int reducers_check(const struct task_probe *probe, int64_t said, struct err *err);
/* The first reduce stage of a job; partitions 0: it has none. */
struct cl2jt_shuffle reducers_choose(const struct task_probe *probe,
                                     const struct reducers_wish *wish);
/* All of them; how many. What a person said is the last one's number, which is that of the output's
 * files; those before have as many as they need. 0: none. */
size_t reducers_choose_all(const struct task_probe *probe, const struct reducers_wish *wish,
                           struct cl2jt_shuffle ret[TASK_SHUFFLES_MAX]);

#endif
