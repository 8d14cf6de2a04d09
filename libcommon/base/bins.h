/* SPDX-License-Identifier: Apache-2.0
 * bins: things of different weight into bins of about the same: the partitions of a shuffle into
 * reduce tasks, once it is known what is in each. The same weights give the same bins, whoever
 * asks.
 *
 * BINS_ANY: the heaviest first, each into the lightest bin (at most 4/3 of the best there is).
 * BINS_IN_ORDER: every bin is a stretch of neighbours, so that the order of things goes on over the
 * bins; the heaviest bin is as light as that allows.
 *
 * Who alone weighs as much as a fair share is left alone. (In order and between two neighbours that
 * is not always to be had in so few bins; then it is not.) Things of no weight go anywhere. */
#ifndef QUERN_BASE_BINS_H
#define QUERN_BASE_BINS_H

#include "libcommon/base/err.h"

enum bins_how { BINS_ANY, BINS_IN_ORDER };

struct bins_conf {
    enum bins_how how;
    uint32_t bins;   /* so many, none of them empty while there are things; 0 = as `target` wants */
    uint64_t target; /* weight of a bin at most, when their number is free; at least 1 */
};

/* ret_bin (room for `count`) says for each thing which bin it is in; bins are numbered in order of
 * the first thing in them, *ret_bins of them (at least 1; what is beyond the last thing's is
 * empty). 0 or ERR_NOMEM. */
int bins_pack(const uint64_t *weights, uint32_t count, const struct bins_conf *conf,
              uint32_t *ret_bin, uint32_t *ret_bins);

#endif
