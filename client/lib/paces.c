/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/paces.h"

static const struct cl_pace *find(const struct cl_paces *p, uint64_t node, uint64_t now_ms)
{
    for (size_t i = 0; i < CL_PACES_NODES; i++)
        if (p->of[i].node == node && p->of[i].until_ms > now_ms)
            return &p->of[i];
    return NULL;
}

void cl_paces_note(struct cl_paces *p, uint64_t node, uint64_t bytes, uint64_t waited_us,
                   uint64_t now_ms)
{
    size_t at = 0;
    while (at < CL_PACES_NODES && p->of[at].node != node)
        at++;
    if (at == CL_PACES_NODES)
        at = p->at++ % CL_PACES_NODES;
    uint64_t units_us = waited_us * (CL_PACES_UNIT / 1024);
    p->of[at] = (struct cl_pace){node, now_ms + CL_PACES_MS, units_us / (bytes / 1024 + 1)};
}

bool cl_paces_is_slow(const struct cl_paces *p, const struct cl_lags_rule *rule, uint64_t node,
                      const uint64_t *others, uint32_t count, uint64_t now_ms)
{
    const struct cl_pace *mine = find(p, node, now_ms);
    if (rule->factor == 0 || !mine || mine->us <= (uint64_t)rule->min_ms * 1000)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct cl_pace *other = find(p, others[i], now_ms);
        if (!other || other->us * rule->factor < mine->us)
            return true;
    }
    return false;
}
