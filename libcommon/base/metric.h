/* SPDX-License-Identifier: Apache-2.0
 * metric: counters and gauges by name, for /metrics (Prometheus) and /status.json.
 *
 *     METRIC_COUNTER(creates, "quern_nn_creates_total", "files created");   at file scope
 *     metric_add(&creates, 1);                                             from any thread
 *
 * A metric so declared is in the list, as 0, from the start of each program that its file is linked
 * into: whoever watches a rate must see the first of something bad, too. One made in another way
 * appears with metric_register, or when it is first touched (metric_add, metric_set). */
#ifndef QUERN_BASE_METRIC_H
#define QUERN_BASE_METRIC_H

#include "libcommon/base/buf.h"

enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE };

struct metric {
    const char *name; /* Prometheus name; may carry labels: name{op="read"} */
    const char *help;
    enum metric_kind kind;
    _Atomic uint64_t value;
    _Atomic int registered;
    struct metric *next;
};

#define METRIC_DEFINE(var, name_, help_, kind_)                               \
    static struct metric var = {.name = name_, .help = help_, .kind = kind_}; \
    __attribute__((constructor)) static void var##_is_known(void)             \
    {                                                                         \
        metric_register(&var);                                                \
    }                                                                         \
    _Static_assert(1, "takes the semicolon")
#define METRIC_COUNTER(var, name, help) METRIC_DEFINE(var, name, help, METRIC_KIND_COUNTER)
#define METRIC_GAUGE(var, name, help)   METRIC_DEFINE(var, name, help, METRIC_KIND_GAUGE)

void metric_register(struct metric *metric);
void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, uint64_t value);

/* Visit all registered metrics in order of name. */
void metric_each(void (*visit)(const struct metric *metric, void *arg), void *arg);
/* The Prometheus text exposition format. */
void metric_print(struct buf *out);

#endif
