/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/jobs/middle.h"

#include <string.h>

#include "libcommon/base/mem.h"

static size_t place_for(const struct jt_middle *middle, uint64_t value)
{
    size_t low = 0, high = middle->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (middle->kept[mid] < value)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Every other one, so that what stays is distributed as before. */
static void thin_out(struct jt_middle *middle)
{
    for (size_t i = 0; i < middle->count / 2; i++)
        middle->kept[i] = middle->kept[2 * i + 1];
    middle->count /= 2;
    middle->halvings++;
}

void jt_middle_add(struct jt_middle *middle, uint64_t value)
{
    if (middle->seen++ & (((uint64_t)1 << middle->halvings) - 1))
        return;
    if (middle->count == JT_MIDDLE_MAX)
        thin_out(middle);
    if (mem_grow(&middle->kept, &middle->cap, middle->count, sizeof(*middle->kept)) != 0)
        return;
    size_t at = place_for(middle, value);
    memmove(&middle->kept[at + 1], &middle->kept[at], (middle->count - at) * sizeof(*middle->kept));
    middle->kept[at] = value;
    middle->count++;
}

uint64_t jt_middle_get(const struct jt_middle *middle)
{
    return middle->count ? middle->kept[middle->count / 2] : 0;
}

void jt_middle_release(struct jt_middle *middle)
{
    mem_free(middle->kept);
    *middle = (struct jt_middle){0};
}
