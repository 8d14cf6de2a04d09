/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin/meter.h"

#include <string.h>
#include <sys/resource.h>

static long times_pushed_aside(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

void meter_open(struct meter *meter)
{
    uint64_t least = UINT64_MAX;
    memset(meter, 0, sizeof(*meter));
    for (int i = 0; i < 8; i++) {
        uint64_t before = meter_clock(), took = meter_clock() - before;
        least = took < least ? took : least;
    }
    meter->cost = least;
}

void meter_begin(struct meter *meter, enum meter_side side)
{
    memset(meter->burst, 0, sizeof(meter->burst));
    meter->left = METER_MOVES;
    meter->side = side;
    meter->pushed_aside = times_pushed_aside();
    meter->last = meter_clock();
}

void meter_drop(struct meter *meter)
{
    meter->left = 0;
}

void meter_end(struct meter *meter)
{
    meter->left = 0;
    if (times_pushed_aside() != meter->pushed_aside)
        return;
    for (size_t i = 0; i < METER_SIDES; i++)
        meter->ticks[i] += meter->burst[i];
}

uint64_t meter_share(const struct meter *meter, enum meter_side side, uint64_t us)
{
    double all = 0;
    for (size_t i = 0; i < METER_SIDES; i++)
        all += (double)meter->ticks[i];
    if (all <= 0)
        return side == METER_USER ? us : 0;
    return (uint64_t)((double)us * (double)meter->ticks[side] / all);
}
