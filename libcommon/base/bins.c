/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/bins.h"

#include <stdlib.h>

#include "libcommon/base/heap.h"
#include "libcommon/base/mem.h"

#define NOWHERE UINT32_MAX

static uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static uint64_t sum_of(const uint64_t *weights, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += weights[i];
    return sum;
}

/* --- in any order ---------------------------------------------------------------------------- */

struct thing {
    uint64_t weight;
    uint32_t at;
};

static int by_weight(const void *pa, const void *pb)
{
    const struct thing *a = pa, *b = pb;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* How many of the heaviest stand alone, each in a bin of its own; *ret_bins: for all others. */
static uint32_t count_alone(const struct thing *things, uint32_t count,
                            const struct bins_conf *conf, uint32_t *ret_bins)
{
    uint64_t left = 0;
    uint32_t alone = 0;
    for (uint32_t i = 0; i < count; i++)
        left += things[i].weight;
    for (; alone < count && things[alone].weight > 0; alone++) {
        uint32_t bins = conf->bins - alone;
        if (conf->bins ? bins == 1 || things[alone].weight < divide_up(left, bins)
                       : things[alone].weight < conf->target)
            break;
        left -= things[alone].weight;
    }
    *ret_bins = conf->bins ? conf->bins - alone : (uint32_t)divide_up(left, conf->target);
    if (*ret_bins == 0 && (alone < count || count == 0))
        *ret_bins = 1;
    return alone;
}

/* The lightest bin takes the next; of those alike the one that has waited longest. */
static int fill(const struct thing *things, uint32_t count, uint32_t first_bin, uint32_t bins,
                uint32_t *ret_bin)
{
    struct heap heap = HEAP_INIT;
    struct heap_node *nodes = mem_calloc(bins ? bins : 1, sizeof(*nodes));
    int rc = nodes ? 0 : ERR_NOMEM;
    for (uint32_t b = 0; rc == 0 && b < bins; b++) {
        nodes[b] = HEAP_NODE_INIT;
        rc = heap_add(&heap, &nodes[b], 0);
    }
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        struct heap_node *bin = heap_min(&heap);
        uint64_t weight = bin->key + things[i].weight;
        ret_bin[things[i].at] = first_bin + (uint32_t)(bin - nodes);
        heap_remove(&heap, bin);
        rc = heap_add(&heap, bin, weight);
    }
    heap_release(&heap);
    mem_free(nodes);
    return rc;
}

/* Bins as they are first met. */
static int renumber(uint32_t *bin_of, uint32_t count, uint32_t bins)
{
    uint32_t *named = mem_alloc((bins ? bins : 1) * sizeof(*named));
    uint32_t next = 0;
    if (!named)
        return ERR_NOMEM;
    for (uint32_t b = 0; b < bins; b++)
        named[b] = NOWHERE;
    for (uint32_t i = 0; i < count; i++) {
        if (named[bin_of[i]] == NOWHERE)
            named[bin_of[i]] = next++;
        bin_of[i] = named[bin_of[i]];
    }
    mem_free(named);
    return 0;
}

static int pack_any(const uint64_t *weights, uint32_t count, const struct bins_conf *conf,
                    uint32_t *ret_bin, uint32_t *ret_bins)
{
    struct thing *things = mem_calloc(count ? count : 1, sizeof(*things));
    if (!things)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        things[i] = (struct thing){weights[i], i};
    qsort(things, count, sizeof(*things), by_weight);
    uint32_t bins = 0, alone = count_alone(things, count, conf, &bins);
    for (uint32_t i = 0; i < alone; i++)
        ret_bin[things[i].at] = i;
    int rc = fill(things + alone, count - alone, alone, bins, ret_bin);
    mem_free(things);
    *ret_bins = alone + bins;
    return rc == 0 ? renumber(ret_bin, count, *ret_bins) : rc;
}

/* --- in order -------------------------------------------------------------------------------- */

struct row {
    const uint64_t *weights;
    uint32_t count;
    uint64_t alone; /* what weighs so much stands alone; UINT64_MAX: nothing does */
};

/* From left to right, each bin as full as `most` lets it be. Counts the bins; with `bins` there are
 * exactly so many. `ret_bin` may be NULL. */
static uint64_t walk(const struct row *row, uint64_t most, uint32_t bins, uint32_t *ret_bin)
{
    uint64_t used = 0, weight = 0;
    bool is_closed = true; /* the next one with a weight begins a bin */
    for (uint32_t i = 0; i < row->count; i++) {
        uint64_t w = row->weights[i];
        bool must = bins && row->count - i <= bins - used;
        bool is_alone = w >= row->alone;
        bool begins = w > 0 && (is_closed || is_alone || weight + w > most);
        if (used == 0 || must || (begins && weight > 0)) {
            used++;
            weight = 0;
        }
        weight += w;
        is_closed = is_alone || (is_closed && w == 0 && weight > 0);
        if (ret_bin)
            ret_bin[i] = (uint32_t)used - 1;
    }
    return used;
}

/* The least weight that the heaviest bin can do with, in so many bins. 0 = it cannot be. */
static uint64_t least(const struct row *row, uint32_t bins)
{
    uint64_t low = 1, high = sum_of(row->weights, row->count);
    if (high == 0)
        return 1;
    for (uint32_t i = 0; i < row->count; i++)
        if (row->weights[i] > low && row->weights[i] < row->alone)
            low = row->weights[i];
    if (walk(row, high, 0, NULL) > bins)
        return 0;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        if (walk(row, mid, 0, NULL) <= bins)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

static void pack_in_order(const uint64_t *weights, uint32_t count, const struct bins_conf *conf,
                          uint32_t *ret_bin, uint32_t *ret_bins)
{
    struct row row = {weights, count, conf->target};
    if (conf->bins == 0) {
        uint32_t bins = (uint32_t)walk(&row, conf->target, 0, NULL);
        *ret_bins = (uint32_t)walk(&row, least(&row, bins), 0, ret_bin);
    } else {
        uint32_t bins = conf->bins < count ? conf->bins : count;
        row.alone = divide_up(sum_of(weights, count), conf->bins);
        uint64_t most = least(&row, bins);
        if (most == 0) {
            row.alone = UINT64_MAX;
            most = least(&row, bins);
        }
        (void)walk(&row, most, bins, ret_bin);
        *ret_bins = conf->bins;
    }
    if (*ret_bins == 0)
        *ret_bins = 1;
}

int bins_pack(const uint64_t *weights, uint32_t count, const struct bins_conf *conf,
              uint32_t *ret_bin, uint32_t *ret_bins)
{
    if (conf->how == BINS_ANY)
        return pack_any(weights, count, conf, ret_bin, ret_bins);
    pack_in_order(weights, count, conf, ret_bin, ret_bins);
    return 0;
}
