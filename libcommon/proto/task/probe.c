/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/probe.h"

#include "libcommon/proto/task/messages.h"

MSG_DEFINE(task_probe_option, TASK_PROBE_OPTION_FIELDS)
MSG_DEFINE(task_probe_stage, TASK_PROBE_STAGE_FIELDS)
MSG_DEFINE_SINCE(task_probe_input, TASK_PROBE_INPUT_FIELDS, split_size)
MSG_DEFINE_SINCE(task_probe, TASK_PROBE_FIELDS, has_rows)

bool task_probe_takes(const struct task_probe *probe, struct slice key)
{
    for (size_t i = 0; i < probe->options.n; i++)
        if (slice_eq(probe->options.v[i].name, key) || slice_is(probe->options.v[i].name, "*"))
            return true;
    return false;
}

struct slice task_probe_who(const struct task_probe *probe)
{
    return probe->then.n ? slice_str("the chain") : probe->name;
}

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

static int check_append(const struct task_probe *probe, const struct task_probe *next,
                        struct err *err)
{
    const struct task_probe *bad = !probe->has_reduce ? probe : !next->has_reduce ? next : NULL;
    if (bad)
        return err_set(err, ERR_CONFIG, SLICE_FMT " has no reduce: it cannot be part of a chain",
                       SLICE_ARG(bad->name));
    if (next->has_rows || next->needs_more_than_lines)
        return err_set(err, ERR_CONFIG,
                       SLICE_FMT " does not read lines: it can only be the first of a chain",
                       SLICE_ARG(next->name));
    if (probe->writes_raw)
        return err_set(err, ERR_CONFIG,
                       SLICE_FMT " does not write lines: it can only be the last of a chain",
                       SLICE_ARG(probe->name));
    if (next->has_ranges)
        return err_set(err, ERR_CONFIG,
                       SLICE_FMT
                       " gives each reducer a range of keys, of which there is no sample: "
                       "it can only be the first of a chain",
                       SLICE_ARG(next->name));
    if (probe->then.n + 1 + next->then.n >= TASK_SHUFFLES_MAX)
        return err_set(err, ERR_CONFIG, "a chain has at most %u stages that reduce",
                       TASK_SHUFFLES_MAX);
    return 0;
}

int task_probe_append(struct task_probe *probe, const struct task_probe *next, struct arena *arena,
                      struct err *err)
{
    int rc = check_append(probe, next, err);
    if (rc != 0)
        return rc;
    struct task_probe_stage *then = arena_calloc(arena, TASK_SHUFFLES_MAX, sizeof(*then));
    struct task_probe_option *options =
        arena_calloc(arena, probe->options.n + next->options.n + 1, sizeof(*options));
    if (!then || !options)
        return err_set(err, ERR_NOMEM, "out of memory");
    size_t n = 0;
    for (size_t i = 0; i < probe->then.n; i++)
        then[n++] = probe->then.v[i];
    then[n++] = (struct task_probe_stage){next->name, next->has_partition, next->has_compare,
                                          next->has_group, next->default_reducers};
    for (size_t i = 0; i < next->then.n; i++)
        then[n++] = next->then.v[i];
    probe->then = (struct task_probe_stage_list){then, n};
    for (n = 0; n < probe->options.n; n++)
        options[n] = probe->options.v[n];
    for (size_t i = 0; i < next->options.n; i++)
        options[n++] = next->options.v[i];
    probe->options = (struct task_probe_option_list){options, n};
    probe->out_key = next->out_key;
    probe->out_value = next->out_value;
    probe->writes_raw = next->writes_raw;
    return 0;
}
