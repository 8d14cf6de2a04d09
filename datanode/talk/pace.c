/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/talk/pace.h"

#define SECOND_US 1000000U

uint64_t dn_pace_take(struct dn_pace *pace, uint64_t bytes, uint64_t now_us)
{
    if (pace->bytes_per_s == 0)
        return 0;
    uint64_t from = pace->free_us > now_us ? pace->free_us : now_us;
    pace->free_us = from + bytes * SECOND_US / pace->bytes_per_s;
    return from - now_us;
}
