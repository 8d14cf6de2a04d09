/* SPDX-License-Identifier: Apache-2.0
 * metric: counters and gauges by name, for /metrics (Prometheus) and /status.json.
 *
 *     METRIC_COUNTER(creates, "quern_nn_creates_total", "files created");   at file scope
 *     metric_add(&creates, 1);                                             from any thread
 *
 * A metric appears in the list when its program first touches it (metric_add, metric_set) or at
 * start through metric_register. */
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

#define METRIC_COUNTER(var, name_, help_)                                                          \
    static struct metric var = {.name = name_, .help = help_, .kind = METRIC_KIND_COUNTER}
#define METRIC_GAUGE(var, name_, help_)                                                            \
    static struct metric var = {.name = name_, .help = help_, .kind = METRIC_KIND_GAUGE}

void metric_register(struct metric *metric);
void metric_add(struct metric *metric, uint64_t n);
void metric_set(struct metric *metric, uint64_t value);

/* Visit all registered metrics in order of name. */
void metric_each(void (*visit)(const struct metric *metric, void *arg), void *arg);
/* The Prometheus text exposition format. */
void metric_print(struct buf *out);

#endif
