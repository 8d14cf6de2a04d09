/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/choose.h"

#define CHANCE_STEPS 1000000U

enum turn { AMONG_ALL, AMONG_LOW, AMONG_HIGH };

void dn_chooser_init(struct dn_chooser *chooser, const struct dn_choosing_conf *conf, uint64_t seed)
{
    *chooser = (struct dn_chooser){.conf = *conf};
    rand_init(&chooser->rand, seed);
}

/* Those whose room lies within (least, most]. */
struct range {
    uint64_t above, up_to;
    enum turn turn;
};

static bool is_within(const struct dn_candidate *c, const struct range *range)
{
    return (range->turn != AMONG_HIGH || c->available > range->above) &&
           c->available <= range->up_to;
}

/* The next in turn with room, from `next` on and around. */
static const struct dn_candidate *go_round(struct dn_chooser *chooser, const struct dn_candidate *v,
                                           size_t count, const struct range *range, uint64_t bytes)
{
    uint16_t *next = &chooser->next[range->turn];
    const struct dn_candidate *first = NULL, *later = NULL;
    for (size_t i = 0; i < count && !later; i++) {
        if (!is_within(&v[i], range) || v[i].available < bytes)
            continue;
        if (v[i].volume >= *next)
            later = &v[i];
        else if (!first)
            first = &v[i];
    }
    const struct dn_candidate *chosen = later ? later : first;
    if (chosen)
        *next = (uint16_t)(chosen->volume + 1U);
    return chosen;
}

static bool prefers_high(struct dn_chooser *chooser, size_t low, size_t high)
{
    double p = chooser->conf.preference;
    double of_high = (double)high * p, all = of_high + (double)low * (1 - p);
    uint64_t limit = all > 0 ? (uint64_t)(of_high / all * CHANCE_STEPS) : CHANCE_STEPS;
    return rand_below(&chooser->rand, CHANCE_STEPS) < limit;
}

static const struct dn_candidate *by_space(struct dn_chooser *chooser, const struct dn_candidate *v,
                                           size_t count, uint64_t bytes)
{
    uint64_t least = UINT64_MAX, most = 0, most_of_low = 0;
    size_t low_count = 0;
    for (size_t i = 0; i < count; i++) {
        least = v[i].available < least ? v[i].available : least;
        most = v[i].available > most ? v[i].available : most;
    }
    struct range all = {.up_to = UINT64_MAX, .turn = AMONG_ALL};
    if (count < 2 || most - least <= chooser->conf.balanced_bytes)
        return go_round(chooser, v, count, &all, bytes);
    struct range low = {.up_to = least + chooser->conf.balanced_bytes, .turn = AMONG_LOW};
    struct range high = {.above = low.up_to, .up_to = UINT64_MAX, .turn = AMONG_HIGH};
    for (size_t i = 0; i < count; i++) {
        if (!is_within(&v[i], &low))
            continue;
        low_count++;
        most_of_low = v[i].available > most_of_low ? v[i].available : most_of_low;
    }
    bool to_high = most_of_low < bytes || prefers_high(chooser, low_count, count - low_count);
    return go_round(chooser, v, count, to_high ? &high : &low, bytes);
}

const struct dn_candidate *dn_choose(struct dn_chooser *chooser, const struct dn_candidate *v,
                                     size_t count, uint64_t bytes)
{
    struct range all = {.up_to = UINT64_MAX, .turn = AMONG_ALL};
    const struct dn_candidate *chosen = NULL;
    if (chooser->conf.policy == DN_CHOOSE_BY_SPACE)
        chosen = by_space(chooser, v, count, bytes);
    return chosen ? chosen : go_round(chooser, v, count, &all, bytes);
}
