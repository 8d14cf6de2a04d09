/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/probe.h"

MSG_DEFINE(task_probe_option, TASK_PROBE_OPTION_FIELDS)
MSG_DEFINE_SINCE(task_probe, TASK_PROBE_FIELDS, has_rows)

struct slice task_probe_setting(const struct task_probe *probe, const struct msg_pair_list *said,
                                const char *key)
{
    struct slice value = slice_of(NULL, 0);
    for (size_t i = 0; i < probe->options.n; i++)
        if (slice_is(probe->options.v[i].name, key))
            value = probe->options.v[i].default_value;
    for (size_t i = 0; i < said->n; i++)
        if (slice_is(said->v[i].key, key))
            value = said->v[i].value;
    return value;
}

void task_probe_rows_key(const struct task_probe *probe, char *out, size_t cap)
{
    snprintf(out, cap, SLICE_FMT ".rows", SLICE_ARG(probe->name));
}
